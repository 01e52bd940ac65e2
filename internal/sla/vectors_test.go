package sla_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/quantity"
	"holdfast/internal/sla"
)

// vectors is the published file of worked examples, copied to testdata so that
// the tests run wherever the source is.
type vectors struct {
	Tables map[string][][2]any `json:"tables"`
	Uptime []struct {
		ID     string                     `json:"id"`
		Input  map[string]json.RawMessage `json:"input"`
		Result json.RawMessage            `json:"result"`
	} `json:"uptime"`
	Support []struct {
		ID    string `json:"id"`
		Title string `json:"title"`
		Input struct {
			Start, Stop, TZ string
			Pauses          [][2]string
			Target          int `json:"target_min"`
		}
		Elapsed string `json:"elapsed_min"`
		Due     string
		Met     bool
	} `json:"support"`
}

type wanted struct {
	Period   int64  `json:"period_ms"`
	Counted  int64  `json:"counted_downtime_ms"`
	Fraction string `json:"uptime_fraction"`
	Percent  string `json:"uptime_pct"`
	Credit   any    `json:"credit_pct"`
	Coverage string `json:"coverage_pct"`
	EUR      string `json:"credit_eur"`
}

func readVectors(t *testing.T) vectors {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// level is a service level whose tiers are a table of the vectors.
func level(table [][2]any) *agreement.SLA {
	s := &agreement.SLA{ID: "x", Component: "c", Availability: &agreement.Availability{Period: "calendar_month", Measure: "time"},
		Probe:   &agreement.Probe{Every: "60s"},
		Credits: &agreement.Credits{Base: &agreement.CreditBase{Fee: "EUR 1000/mo"}, Cap: "100%", ClaimWithin: "30d"}}
	percent := func(text string) quantity.Percent {
		f := sla.Fraction{}
		if err := json.Unmarshal([]byte(`"`+text+`"`), &f.Rat); err != nil {
			panic(err)
		}
		out := f.Decimal(6)
		return quantity.Percent(strings.TrimRight(strings.TrimRight(out, "0"), ".") + "%")
	}
	for i := range table {
		if i == 0 {
			s.Availability.Uptime = percent(table[0][0].(string))
			continue
		}
		s.Credits.Tiers = append(s.Credits.Tiers, agreement.Tier{Below: percent(table[i-1][0].(string)), Credit: quantity.Percent(fmt.Sprintf("%v%%", table[i][1]))})
	}
	return s
}

func zoneOf(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func at(t *testing.T, text string, zone *time.Location) sla.Instant {
	t.Helper()
	i, err := sla.ParseInstant(text, zone)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// seenBy is one location that saw a period, all up but for the outages and,
// in the gaps, nothing.
func seenBy(id string, period sla.Span, outages, gaps []sla.Span) sla.Location {
	l := sla.Location{ID: id}
	cut := []sla.Instant{period.From, period.To}
	for _, list := range [][]sla.Span{outages, gaps} {
		for _, s := range list {
			cut = append(cut, s.From, s.To)
		}
	}
	for i := range cut {
		for j := range i {
			if cut[i] < cut[j] {
				cut[i], cut[j] = cut[j], cut[i]
			}
		}
	}
	inside := func(list []sla.Span, at sla.Instant) bool {
		for _, s := range list {
			if s.Contains(at) {
				return true
			}
		}
		return false
	}
	for i := range cut[:len(cut)-1] {
		s := sla.Span{From: cut[i], To: cut[i+1]}
		if s.Length() == 0 {
			continue
		}
		state := sla.Up
		switch {
		case inside(outages, s.From):
			state = sla.Down
		case inside(gaps, s.From):
			state = sla.Unknown
		}
		l.Intervals = append(l.Intervals, sla.Interval{Span: s, State: state})
	}
	return l
}

func compile(t *testing.T, zone string, s *agreement.SLA) *sla.Policy {
	t.Helper()
	p, err := sla.Compile(&agreement.Agreement{ID: "a", TimeZone: zone, Calendar: "nl"}, s, "")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func compute(t *testing.T, p *sla.Policy, o *sla.Observations, period sla.Period) (*sla.Figure, *sla.Credit) {
	t.Helper()
	r, err := sla.NewRecord(p, o)
	if err != nil {
		t.Fatal(err)
	}
	f, err := r.Figure(period)
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.Credit(f)
	if err != nil {
		t.Fatal(err)
	}
	sound(t, f)
	return f, c
}

// sound checks what holds for every figure of time: pieces make up their
// outage, and what they count adds up to the figure.
func sound(t *testing.T, f *sla.Figure) {
	t.Helper()
	sum := int64(0)
	for _, o := range f.Outages {
		counted, length := int64(0), int64(0)
		for _, p := range o.Pieces {
			length += p.Length()
			if p.Why == sla.WhyCounted {
				counted += p.Length()
			}
		}
		if counted != o.Counted || length < o.Length() {
			t.Errorf("outage %s: pieces of %d ms count %d, the outage of %d ms counts %d", o.From, length, counted, o.Length(), o.Counted)
		}
		sum += o.Counted
	}
	if f.Counts == nil && sum != f.Counted {
		t.Errorf("outages count %d ms, the figure %d", sum, f.Counted)
	}
	if f.Counted < 0 || f.Counted > f.Denominator {
		t.Errorf("%d ms of %d count", f.Counted, f.Denominator)
	}
}

func check(t *testing.T, what string, w wanted, f *sla.Figure, c *sla.Credit) {
	t.Helper()
	if f.Denominator != w.Period || f.Counted != w.Counted {
		t.Errorf("%s: %d ms of %d, want %d of %d", what, f.Counted, f.Denominator, w.Counted, w.Period)
	}
	if got, _ := f.Uptime.MarshalText(); w.Fraction != "" && string(got) != w.Fraction {
		t.Errorf("%s: uptime %s, want %s", what, got, w.Fraction)
	}
	if got := f.Uptime.Exact(); got != w.Percent {
		t.Errorf("%s: uptime %s, want %s", what, got, w.Percent)
	}
	if w.Coverage != "" && f.Coverage.Exact() != w.Coverage {
		t.Errorf("%s: coverage %s, want %s", what, f.Coverage.Exact(), w.Coverage)
	}
	if w.Credit != nil && c.Percent.Decimal(0) != fmt.Sprint(w.Credit) {
		t.Errorf("%s: credit %s %%, want %v", what, c.Percent.Decimal(0), w.Credit)
	}
	if w.EUR != "" && string(c.Amount) != "EUR "+w.EUR {
		t.Errorf("%s: credit %s, want EUR %s", what, c.Amount, w.EUR)
	}
}

func TestVectors(t *testing.T) {
	v := readVectors(t)
	done := 0
	for _, x := range v.Uptime {
		t.Run(x.ID, func(t *testing.T) {
			text := func(key string) string {
				var s string
				_ = json.Unmarshal(x.Input[key], &s)
				return s
			}
			zone := zoneOf(t, text("tz"))
			pairs := func(key string) []sla.Span {
				var list [][2]string
				if x.Input[key] != nil {
					if err := json.Unmarshal(x.Input[key], &list); err != nil {
						t.Fatal(err)
					}
				}
				var out []sla.Span
				for _, p := range list {
					out = append(out, sla.Span{From: at(t, p[0], zone), To: at(t, p[1], zone)})
				}
				return out
			}
			var ends [2]string
			if err := json.Unmarshal(x.Input["period"], &ends); err != nil {
				t.Fatal(err)
			}
			period := sla.Period{Span: sla.Span{From: at(t, ends[0], zone), To: at(t, ends[1], zone)}, Label: ends[0][:7]}
			wide := sla.Span{From: period.From - 40*86_400_000, To: period.To + 40*86_400_000}
			one := func(raw json.RawMessage, s *agreement.SLA, o *sla.Observations) {
				t.Helper()
				var w wanted
				if err := json.Unmarshal(raw, &w); err != nil {
					t.Fatal(err)
				}
				f, c := compute(t, compile(t, text("tz"), s), o, period)
				check(t, x.ID, w, f, c)
				done++
			}
			split := func() map[string]json.RawMessage {
				var m map[string]json.RawMessage
				if err := json.Unmarshal(x.Result, &m); err != nil {
					t.Fatal(err)
				}
				return m
			}
			table := level(v.Tables[text("table")])
			switch x.ID {
			case "V17":
				for rule, raw := range split() {
					s := level(v.Tables["S3"])
					s.Availability.Gaps = map[string]string{"gap_is_up": "count_as_up", "gap_left_out": "left_out", "gap_is_down": "count_as_down"}[rule]
					one(raw, s, &sla.Observations{Locations: []sla.Location{seenBy("A", period.Span, pairs("outages"), pairs("gaps"))}})
				}
			case "V18":
				for rule, raw := range split() {
					s := level(v.Tables["S3"])
					s.Probe.Quorum = map[string]string{"any_1_of_3": "any", "majority_2_of_3": "majority", "all_3_of_3": "all"}[rule]
					var o sla.Observations
					for _, id := range []string{"AMS", "FRA", "LON"} {
						o.Locations = append(o.Locations, seenBy(id, wide, pairs(id), nil))
					}
					one(raw, s, &o)
				}
			case "V19":
				var lengths []int64
				if err := json.Unmarshal(x.Input["separate_outages_s"], &lengths); err != nil {
					t.Fatal(err)
				}
				var list []sla.Span
				for i, n := range lengths {
					from := period.From + sla.Instant(i+1)*86_400_000
					list = append(list, sla.Span{From: from, To: from + sla.Instant(n)*1000})
				}
				for rule, raw := range split() {
					s := level(v.Tables["SAFE9999"])
					switch rule {
					case "ge_1min_whole_minutes(Google)":
						s.Availability.MinOutage, s.Availability.PartMinutes = "60s", "drop"
					case "ge_5min(Safespring)":
						s.Availability.MinOutage = "5m"
					}
					one(raw, s, &sla.Observations{Locations: []sla.Location{seenBy("A", wide, list, nil)}})
				}
			case "V21":
				table.Availability.Measure, table.Availability.Threshold = "error_minutes", "5%"
				var o sla.Observations
				for m := range 43200 {
					c := sla.Count{Span: sla.Span{From: period.From + sla.Instant(m)*60_000, To: period.From + sla.Instant(m+1)*60_000}, Requests: 1000}
					switch {
					case m >= 100 && m < 160:
						c.Failed = 50
					case m >= 5000 && m < 5030:
						c.Failed = 51
					}
					o.Counts = append(o.Counts, c)
				}
				one(x.Result, table, &o)
			case "V04":
				s := &agreement.SLA{ID: "auth0", Component: "c", Availability: &agreement.Availability{Uptime: "99.99%", Period: "calendar_month", Measure: "time"},
					Credits: &agreement.Credits{Base: &agreement.CreditBase{Fee: "EUR 100/mo"}, Cap: "100%", ClaimWithin: "5bd", Tiers: []agreement.Tier{
						{UpTo: "99.98%", From: "98.50%", Credit: "5%"}, {UpTo: "98.49%", From: "97.00%", Credit: "10%"}, {Below: "97.00%", Credit: "20%"}}}}
				o := &sla.Observations{Locations: []sla.Location{seenBy("A", wide, pairs("outages"), nil)}}
				for rounding, want := range map[string]string{"half_up_2": "0", "truncate_2": "5", "none": sla.NoBand} {
					s.Availability.Rounding = rounding
					f, c := compute(t, compile(t, text("tz"), s), o, period)
					if f.Uptime.Exact() != "99.985000000" || f.Counted != 388_800 || f.Denominator != 2_592_000_000 {
						t.Errorf("uptime %s", f.Uptime.Exact())
					}
					if got := c.Flag; got == "" && c.Percent.Decimal(0) != want || got != "" && got != want {
						t.Errorf("%s: flag %q, credit %s, want %s", rounding, got, c.Percent.Decimal(0), want)
					}
					done++
				}
			case "V05":
				s := &agreement.SLA{ID: "github", Component: "c", Availability: &agreement.Availability{Uptime: "99.9%", Period: "calendar_quarter", Measure: "time"},
					Credits: &agreement.Credits{Base: &agreement.CreditBase{Fee: "EUR 100/mo"}, Cap: "100%", ClaimWithin: "30d", Tiers: []agreement.Tier{
						{UpTo: "99.9%", Above: "99.0%", Credit: "10%"}, {Below: "99.0%", Credit: "25%"}}}}
				down := sla.Span{From: period.From + 1000_000, To: period.From + 1000_000 + 77_760_000}
				f, c := compute(t, compile(t, text("tz"), s), &sla.Observations{Locations: []sla.Location{seenBy("A", wide, []sla.Span{down}, nil)}}, period)
				if f.Uptime.Exact() != "99.000000000" || c.Flag != sla.NoBand || f.Denominator != 7_776_000_000 {
					t.Errorf("uptime %s, flag %q", f.Uptime.Exact(), c.Flag)
				}
				done++
			case "V24":
				down := sla.Span{From: period.From + 1000_000, To: period.From + 1000_000 + 37*3_600_000}
				table.Credits.Cap = "50%"
				table.Component = "A"
				one(x.Result, table, &sla.Observations{Locations: []sla.Location{seenBy("A", wide, []sla.Span{down}, nil)},
					Fees: []sla.FeeLine{{Component: "A", Amount: "EUR 1000.00"}, {Component: "B", Amount: "EUR 3000.00"}, {Component: "A", Amount: "EUR 9000.00", OneOff: true}}})
			default:
				o := &sla.Observations{}
				table.Availability.Exclusions = []agreement.Exclusion{{Kind: "planned_maintenance", Notice: "72h"}}
				for i, s := range pairs("excluded") {
					o.Exclusions = append(o.Exclusions, sla.Exclusion{ID: fmt.Sprint("m", i), Span: s, Kind: "planned_maintenance", AnnouncedAt: s.From - 72*3_600_000})
				}
				// Overlapping outages are what several checks of one place cannot see: three of which any decides.
				table.Probe.Quorum = "any"
				for i, s := range pairs("outages") {
					o.Locations = append(o.Locations, seenBy(fmt.Sprint("L", i), wide, []sla.Span{s}, nil))
				}
				one(x.Result, table, o)
			}
		})
	}
	if done < 24 {
		t.Errorf("only %d figures were compared", done)
	}
}
