package sla_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/sla"
)

const day = 86_400_000

// history is a random past of a few places: states of uneven length that
// touch, some of them unknown.
func history(r *rand.Rand, over sla.Span) []sla.Location {
	var out []sla.Location
	for i := range 1 + r.IntN(3) {
		l := sla.Location{ID: fmt.Sprint("L", i)}
		for at := over.From; at < over.To; {
			to := min(at+sla.Instant(1+r.Int64N(3*day)), over.To)
			state := sla.Up
			switch n := r.IntN(10); {
			case n < 2:
				state, to = sla.Down, min(at+sla.Instant(1+r.Int64N(6*3_600_000)), over.To)
			case n < 3:
				state = sla.Unknown
			}
			l.Intervals = append(l.Intervals, sla.Interval{Span: sla.Span{From: at, To: to}, State: state, Evidence: []string{fmt.Sprint(at)}})
			at = to
		}
		out = append(out, l)
	}
	return out
}

// terms is a random policy of time.
func terms(r *rand.Rand) *agreement.SLA {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	s := &agreement.SLA{ID: "x", Component: "c",
		Availability: &agreement.Availability{Uptime: "99.9%", Period: "calendar_month", Measure: "time", Gaps: pick("", "left_out", "count_as_up", "count_as_down"),
			Denominator: pick("", "without_exclusions"), PartMinutes: pick("", "count", "drop"),
			Exclusions: []agreement.Exclusion{{Kind: "planned_maintenance"}}},
		Probe: &agreement.Probe{Every: "60s", Quorum: pick("any", "majority", "all")}}
	if r.IntN(3) == 0 {
		s.Availability.MinOutage = "5m"
	}
	if r.IntN(3) == 0 {
		s.Availability.Exclusions[0].Most = "4h"
	}
	if r.IntN(3) == 0 {
		s.Availability.Hours = "mon-fri 08:00-18:00"
	}
	return s
}

func maintenance(r *rand.Rand, over sla.Span) []sla.Exclusion {
	var out []sla.Exclusion
	for i := range r.IntN(4) {
		from := over.From + sla.Instant(r.Int64N(over.Length()))
		out = append(out, sla.Exclusion{ID: fmt.Sprint("m", i), Kind: "planned_maintenance", Span: sla.Span{From: from, To: from + sla.Instant(1+r.Int64N(day))}})
	}
	return out
}

func figure(t *testing.T, p *sla.Policy, o *sla.Observations, period sla.Period) *sla.Figure {
	t.Helper()
	r, err := sla.NewRecord(p, o)
	if err != nil {
		t.Fatal(err)
	}
	f, err := r.Figure(period)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Whatever was seen and agreed, a share is from 0 to 100, and telling the
// same in more rows, or in more words, changes nothing.
func TestSharesAndRepetition(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := terms(r)
		p := compile(t, "Europe/Amsterdam", s)
		period, err := p.PeriodNamed("2026-10")
		if err != nil {
			t.Fatal(err)
		}
		wide := sla.Span{From: period.From - 3*day, To: period.To + 3*day}
		o := &sla.Observations{Locations: history(r, wide), Exclusions: maintenance(r, period.Span)}
		f := figure(t, p, o, period)
		sound(t, f)
		for _, x := range []sla.Fraction{f.Uptime, f.Coverage} {
			if x.Rat != nil && (x.Sign() < 0 || x.Cmp(big.NewRat(100, 1)) > 0) {
				t.Fatalf("seed %d: %s %%", seed, x.Exact())
			}
		}
		// Ten checks where there was one, some of them told twice, in any order.
		more := &sla.Observations{Exclusions: o.Exclusions}
		for _, l := range o.Locations {
			n := sla.Location{ID: l.ID}
			for _, x := range l.Intervals {
				cuts := 1 + r.Int64N(10)
				for i := range cuts {
					from, to := x.From+sla.Instant(x.Length()*i/cuts), x.From+sla.Instant(x.Length()*(i+1)/cuts)
					if to > from {
						piece := sla.Interval{Span: sla.Span{From: from, To: to}, State: x.State, Evidence: x.Evidence}
						n.Intervals = append(n.Intervals, piece)
						if r.IntN(4) == 0 {
							n.Intervals = append(n.Intervals, piece)
						}
					}
				}
			}
			r.Shuffle(len(n.Intervals), func(i, j int) { n.Intervals[i], n.Intervals[j] = n.Intervals[j], n.Intervals[i] })
			more.Locations = append(more.Locations, n)
		}
		g := figure(t, p, more, period)
		if f.Uptime.Exact() != g.Uptime.Exact() || f.Counted != g.Counted || f.Denominator != g.Denominator || f.Unmeasured != g.Unmeasured || len(f.Outages) != len(g.Outages) {
			t.Fatalf("seed %d: %s (%d of %d) in few rows, %s (%d of %d) in many", seed, f.Uptime.Exact(), f.Counted, f.Denominator, g.Uptime.Exact(), g.Counted, g.Denominator)
		}
	}
}

// A period cut anywhere, and its parts added up, is the whole.
func TestPartsMakeTheWhole(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		s := terms(r)
		s.Availability.Exclusions[0].Most = "" // a limit is one of a whole period
		p := compile(t, "Europe/Amsterdam", s)
		whole, err := p.PeriodNamed("2026-03")
		if err != nil {
			t.Fatal(err)
		}
		wide := sla.Span{From: whole.From - 3*day, To: whole.To + 3*day}
		o := &sla.Observations{Locations: history(r, wide), Exclusions: maintenance(r, whole.Span)}
		f := figure(t, p, o, whole)
		var counted, denominator, agreed, unmeasured, down, removed int64
		for at := whole.From; at < whole.To; {
			to := min(at+sla.Instant(1+r.Int64N(10*day)), whole.To)
			g := figure(t, p, o, sla.Period{Span: sla.Span{From: at, To: to}, Label: "part"})
			counted, denominator, agreed = counted+g.Counted, denominator+g.Denominator, agreed+g.Agreed
			unmeasured, down, removed = unmeasured+g.Unmeasured, down+g.Down, removed+g.Removed
			at = to
		}
		if counted != f.Counted || denominator != f.Denominator || agreed != f.Agreed || unmeasured != f.Unmeasured || down != f.Down || removed != f.Removed {
			t.Fatalf("seed %d: %d of %d in parts, %d of %d whole", seed, counted, denominator, f.Counted, f.Denominator)
		}
	}
}

// Error rates too are shares, however little the denominators have in common.
func TestErrorRateIsAShare(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 3))
		s := &agreement.SLA{ID: "x", Component: "c", Availability: &agreement.Availability{Uptime: "99.9%", Period: "calendar_month", Measure: "error_rate", Interval: "5m"}}
		p := compile(t, "UTC", s)
		period, err := p.PeriodNamed("2026-04")
		if err != nil {
			t.Fatal(err)
		}
		o := &sla.Observations{}
		want, n := new(big.Rat), int64(0)
		for at := period.From; at < period.To; at += 300_000 {
			if r.IntN(50) > 0 {
				continue
			}
			c := sla.Count{Span: sla.Span{From: at, To: at + 300_000}, Requests: 1 + r.Int64N(1_000_000)}
			c.Failed = r.Int64N(c.Requests + 1)
			o.Counts = append(o.Counts, c)
			want.Add(want, big.NewRat(100*c.Failed, c.Requests))
			n++
		}
		want.Sub(big.NewRat(100, 1), want.Quo(want, big.NewRat(n, 1)))
		if f := figure(t, p, o, period); f.Uptime.Cmp(want) != 0 {
			t.Fatalf("seed %d: %s, want %s", seed, f.Uptime.Exact(), want.FloatString(9))
		}
	}
}

// Intervals that the service hours cut are measured as far as they are owed,
// and what nobody counted is told as time, whatever it then counts as.
func TestErrorRateCoverage(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 4))
		s := &agreement.SLA{ID: "x", Component: "c", Availability: &agreement.Availability{Uptime: "99.9%", Period: "calendar_month", Measure: "error_rate", Interval: "1h",
			Hours: "mon-fri 08:30-17:15", Gaps: []string{"left_out", "count_as_up", "count_as_down"}[seed%3]}}
		p := compile(t, "Europe/Amsterdam", s)
		period, err := p.PeriodNamed("2026-10")
		if err != nil {
			t.Fatal(err)
		}
		o := &sla.Observations{}
		for at := period.From; at < period.To; at += 3_600_000 {
			if r.IntN(20) < int(seed%20) {
				o.Counts = append(o.Counts, sla.Count{Span: sla.Span{From: at, To: at + 3_600_000}, Requests: 10, Failed: r.Int64N(11)})
			}
		}
		f := figure(t, p, o, period)
		gaps := int64(0)
		for _, g := range f.Gaps {
			gaps += g.Length()
		}
		if gaps != f.Unmeasured || f.Unmeasured > f.Agreed || f.Coverage.Sign() < 0 {
			t.Fatalf("seed %d: %d ms not measured of %d, gaps of %d, coverage %s", seed, f.Unmeasured, f.Agreed, gaps, f.Coverage.Exact())
		}
		if seed%20 == 0 && f.Coverage.Sign() != 0 {
			t.Fatalf("seed %d: nothing was counted, coverage %s", seed, f.Coverage.Exact())
		}
		for _, b := range f.Counts.Bad {
			if b.Why == sla.WhyNotMeasured {
				t.Fatalf("seed %d: %v has failures although nobody counted", seed, b)
			}
		}
	}
}

// Every month of 2020 to 2030 in Europe has the length its clocks give it; an
// outage across a change of the clock lasts as long as it really did; a
// service hour that is skipped is not owed, one that is repeated is owed
// twice; a time on the clock that does not exist, or exists twice, is refused.
func TestClockChangesInEurope(t *testing.T) {
	for _, name := range []string{"Europe/Amsterdam", "Europe/Berlin", "Europe/London", "Europe/Dublin", "Europe/Lisbon", "Atlantic/Azores", "Europe/Athens", "Europe/Helsinki", "Europe/Istanbul", "Europe/Chisinau", "Atlantic/Reykjavik"} {
		zone := zoneOf(t, name)
		s := level([][2]any{{"99.9", 0}, {"99.0", 10}})
		p := compile(t, name, s)
		night := level([][2]any{{"99.9", 0}, {"99.0", 10}})
		night.Holidays = "open"
		night.Availability.Hours = "mon-sun 00:00-06:00"
		hours := compile(t, name, night)
		for y := 2020; y <= 2030; y++ {
			for m := time.January; m <= time.December; m++ {
				label := fmt.Sprintf("%d-%02d", y, m)
				period, err := p.PeriodNamed(label)
				if err != nil {
					t.Fatal(err)
				}
				first, next := time.Date(y, m, 1, 0, 0, 0, 0, zone), time.Date(y, m+1, 1, 0, 0, 0, 0, zone)
				_, before := first.Zone()
				_, after := next.Zone()
				days := int64(time.Date(y, m+1, 0, 0, 0, 0, 0, time.UTC).Day())
				shift := int64(before-after) * 1000 // the month is longer where the offset falls
				if want := days*day + shift; period.Length() != want {
					t.Errorf("%s %s: %d ms, want %d", name, label, period.Length(), want)
				}
				o := &sla.Observations{Locations: []sla.Location{seenBy("A", period.Span, nil, nil)}}
				if f := figure(t, hours, o, period); f.Agreed != days*6*3_600_000+shift {
					t.Errorf("%s %s: %d ms of nights, want %d", name, label, f.Agreed, days*6*3_600_000+shift)
				}
				for at := first; shift != 0; {
					_, change := at.ZoneBounds()
					if change.IsZero() || !change.Before(next) {
						break
					}
					at = change
					_, was := change.Add(-time.Second).Zone()
					_, is := change.Zone()
					down := sla.Span{From: sla.InstantOf(change.Add(-30 * time.Minute)), To: sla.InstantOf(change.Add(30 * time.Minute))}
					o := &sla.Observations{Locations: []sla.Location{seenBy("A", period.Span, []sla.Span{down}, nil)}}
					if f := figure(t, p, o, period); f.Counted != 3_600_000 {
						t.Errorf("%s %s: an hour across the change counts %d ms", name, label, f.Counted)
					}
					// In the middle of what the clock skips or repeats.
					wall := change.Add(time.Duration(was)*time.Second + time.Duration(is-was)*time.Second/2).UTC().Format("2006-01-02T15:04:05")
					if got, err := sla.ParseInstant(wall, zone); err == nil {
						t.Errorf("%s: %s was read as %s", name, wall, got)
					}
				}
			}
		}
	}
}

// The report of a contract is the same wherever the machine stands.
func TestZoneOfTheMachineDoesNotMatter(t *testing.T) {
	s := level([][2]any{{"99.9", 0}, {"99.0", 10}})
	p := compile(t, "Europe/Amsterdam", s)
	period, err := p.PeriodNamed("2026-10")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"UTC", "Pacific/Kiritimati", "America/St_Johns", "Pacific/Pago_Pago"} {
		now := time.Date(2026, 10, 31, 22, 59, 59, 0, time.UTC).In(zoneOf(t, name))
		if got := p.PeriodAt(sla.InstantOf(now)); got != period {
			t.Errorf("seen from %s it is %v", name, got)
		}
		if got := p.PeriodAt(sla.InstantOf(now.Add(time.Second))); got.Label != "2026-11" {
			t.Errorf("a second later, seen from %s, it is %v", name, got)
		}
	}
}
