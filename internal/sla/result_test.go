package sla_test

import (
	"testing"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/sla"
)

// The strip shows each day as it stands: with what was excluded up to its
// limit, what was decided, and what nobody measured.
func TestStrip(t *testing.T) {
	const hour = 3_600_000
	s := level([][2]any{{"99.9", 0}, {"99.0", 10}})
	s.Availability.Exclusions = []agreement.Exclusion{{Kind: "planned_maintenance", Most: "2h"}}
	p := compile(t, "Europe/Amsterdam", s)
	period, err := p.PeriodNamed("2026-10")
	if err != nil {
		t.Fatal(err)
	}
	zone := zoneOf(t, "Europe/Amsterdam")
	span := func(day string, hours sla.Instant) sla.Span {
		from := at(t, day, zone)
		return sla.Span{From: from, To: from + hours*hour}
	}
	down := []sla.Span{span("2026-10-10 10:00", 3), span("2026-10-12 10:00", 1), span("2026-10-25 00:00", 25)}
	gaps := []sla.Span{span("2026-10-20 00:00", 6)}
	o := &sla.Observations{Locations: []sla.Location{seenBy("A", period.Span, down, gaps)},
		Exclusions: []sla.Exclusion{{ID: "m", Kind: "planned_maintenance", Span: down[0]}},
		Contests:   []sla.Contest{{ID: "c", Span: down[1], Claim: sla.ClaimUp, By: "s", Decided: "accepted"}}}
	r, err := sla.NewRecord(p, o)
	if err != nil {
		t.Fatal(err)
	}
	result, err := r.Result(period, period.To)
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Strip) != sla.StripDays || result.Strip[sla.StripDays-1].Day != "2026-10-31" {
		t.Fatalf("%d days, the last %s", len(result.Strip), result.Strip[len(result.Strip)-1].Day)
	}
	days := map[string]sla.DayState{}
	sum := int64(0)
	for _, d := range result.Strip {
		days[d.Day] = d
		sum += d.Down
	}
	for day, want := range map[string]struct {
		agreed, down, excluded, unmeasured int64
		uptime                             string
	}{
		"2026-10-09": {24, 0, 0, 0, "100.000000000"},
		"2026-10-10": {24, 1, 2, 0, "95.833333333…"},
		"2026-10-12": {24, 0, 0, 0, "100.000000000"},
		"2026-10-20": {24, 0, 0, 6, "100.000000000"},
		"2026-10-25": {25, 25, 0, 0, "0.000000000"},
		"2026-09-30": {24, 0, 0, 24, "n/a"},
	} {
		d := days[day]
		if d.Agreed != want.agreed*hour || d.Down != want.down*hour || d.Excluded != want.excluded*hour || d.Unmeasured != want.unmeasured*hour || d.Uptime.Exact() != want.uptime {
			t.Errorf("%s: %d of %d ms down, %d excluded, %d not measured, %s %%", day, d.Down, d.Agreed, d.Excluded, d.Unmeasured, d.Uptime.Exact())
		}
	}
	if sum != result.Figure.Counted {
		t.Errorf("the days have %d ms down, the figure %d", sum, result.Figure.Counted)
	}
}
