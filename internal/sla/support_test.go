package sla_test

import (
	"fmt"
	"testing"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/quantity"
	"holdfast/internal/sla"
)

// help is a policy of support with one severity.
func help(t *testing.T, zone string, calendar agreement.Calendar, p agreement.Priority, hours quantity.Hours) *sla.Policy {
	t.Helper()
	s := &agreement.SLA{ID: "help", Support: &agreement.Support{Hours: hours, Priorities: map[string]agreement.Priority{"p1": p, "p2": {Response: "1h", Resolution: "8h"}}}}
	out, err := sla.Compile(&agreement.Agreement{ID: "a", TimeZone: zone, Calendar: calendar}, s, "")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func clocks(t *testing.T, p *sla.Policy, x sla.Ticket, versions []sla.Version, now sla.Instant) map[string]sla.Clock {
	t.Helper()
	r, err := p.Ticket(&x, versions, now)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]sla.Clock{}
	for _, c := range r.Clocks {
		out[c.Name] = c
	}
	return out
}

func TestClockVectors(t *testing.T) {
	v := readVectors(t)
	if len(v.Support) < 2 {
		t.Fatal("no clock vectors")
	}
	for _, x := range v.Support {
		t.Run(x.ID, func(t *testing.T) {
			zone := zoneOf(t, x.Input.TZ)
			pr := agreement.Priority{Response: quantity.Period(fmt.Sprintf("%dm", x.Input.Target)), Clock: "24x7"}
			hours := quantity.Hours("24x7")
			if x.ID != "C1" {
				hours, pr.Clock = "mon-fri 08:30-17:30", ""
			}
			ticket := sla.Ticket{ID: x.ID, Severity: "p1", ReportedAt: at(t, x.Input.Start, zone), AcknowledgedAt: at(t, x.Input.Stop, zone)}
			for _, q := range x.Input.Pauses {
				ticket.Pauses = append(ticket.Pauses, sla.Pause{Span: sla.Span{From: at(t, q[0], zone), To: at(t, q[1], zone)}, Reason: "r", Who: "w"})
			}
			c := clocks(t, help(t, x.Input.TZ, "nl", pr, hours), ticket, nil, ticket.AcknowledgedAt)["response"]
			if got := fmt.Sprintf("%d.%03d", c.Elapsed/60_000, c.Elapsed%60_000*1000/60_000); got != x.Elapsed {
				t.Errorf("elapsed %s min, want %s", got, x.Elapsed)
			}
			if got := c.Due.Time().In(zone).Format("2006-01-02T15:04:05-07:00"); got != x.Due {
				t.Errorf("due %s, want %s", got, x.Due)
			}
			if c.Met == nil || *c.Met != x.Met {
				t.Errorf("met %v, want %t", c.Met, x.Met)
			}
		})
	}
}

func TestClocks(t *testing.T) {
	zone := zoneOf(t, "Europe/Amsterdam")
	when := func(s string) sla.Instant { return at(t, s, zone) }
	p := help(t, "Europe/Amsterdam", "nl", agreement.Priority{Response: "30m", Update: "2h", Workaround: "4h", Resolution: "1bd", Clock: ""}, "mon-fri 08:30-17:30")
	base := sla.Ticket{ID: "1", Severity: "p1", ReportedAt: when("2026-11-02 09:00"), AcknowledgedAt: when("2026-11-02 09:20")}

	t.Run("a pause moves what is due, in the hours that count", func(t *testing.T) {
		x := base
		x.AcknowledgedAt = 0
		x.ReportedAt = when("2026-11-02 17:20") // Monday, 10 minutes before it closes
		x.Pauses = []sla.Pause{{Span: sla.Span{From: when("2026-11-02 17:25"), To: when("2026-11-03 08:40")}, Reason: "customer", Who: "desk"}}
		c := clocks(t, p, x, nil, when("2026-11-03 08:45"))["response"]
		// 5 minutes on Monday, paused 5 + 10, then 25 minutes from 08:40.
		if want := when("2026-11-03 09:05"); c.Due != want || c.Elapsed != 10*60_000 || c.Paused != 15*60_000 || c.Met != nil {
			t.Errorf("%+v, want due %s", c, want)
		}
	})
	t.Run("business days and pauses", func(t *testing.T) {
		x := base
		x.Pauses = []sla.Pause{{Span: sla.Span{From: when("2026-11-02 10:00"), To: when("2026-11-02 12:00")}, Reason: "customer", Who: "desk"}}
		x.ResolvedAt = when("2026-11-03 10:59")
		c := clocks(t, p, x, nil, when("2026-12-01"))["resolution"]
		if want := when("2026-11-03 11:00"); c.Due != want || c.Met == nil || !*c.Met {
			t.Errorf("%+v, want due %s", c, want)
		}
	})
	t.Run("the longest silence counts", func(t *testing.T) {
		x := base
		x.Updates = []sla.Instant{when("2026-11-02 11:00"), when("2026-11-02 13:01")}
		x.ResolvedAt = when("2026-11-02 14:00")
		c := clocks(t, p, x, nil, when("2026-12-01"))["update"]
		if c.Met == nil || *c.Met || c.Elapsed != 121*60_000 {
			t.Errorf("%+v", c)
		}
	})
	t.Run("time while it was solved does not count", func(t *testing.T) {
		x := base
		x.Severity = "p2"
		x.Resolved, x.Reopened = []sla.Instant{when("2026-11-02 12:00")}, []sla.Instant{when("2026-11-04 12:00")}
		x.ResolvedAt = when("2026-11-04 17:00")
		c := clocks(t, p, x, nil, when("2026-12-01"))["resolution"]
		if c.Elapsed != 8*3_600_000 || c.Met == nil || !*c.Met || c.Due != x.ResolvedAt {
			t.Errorf("%+v", c)
		}
	})
	t.Run("a change of severity: the new target, the same clock", func(t *testing.T) {
		x := base
		x.Severity = "p2"
		x.Changes = []sla.Change{{At: when("2026-11-02 09:10"), Severity: "p1"}}
		c := clocks(t, p, x, nil, when("2026-12-01"))["response"]
		if c.Target != "30m" || c.Due != when("2026-11-02 09:30") || c.Elapsed != 20*60_000 {
			t.Errorf("%+v", c)
		}
	})
	t.Run("a calendar of its time", func(t *testing.T) {
		versions := []sla.Version{{ID: "1"}, {ID: "2", From: when("2026-11-03"), Closed: []quantity.Date{"2026-11-02"}}}
		x := base
		x.CalendarVersion = "2"
		if c := clocks(t, p, x, versions, when("2026-12-01"))["response"]; c.Elapsed != 0 {
			t.Errorf("%+v", c)
		}
		x.CalendarVersion = ""
		if c := clocks(t, p, x, versions, when("2026-12-01"))["response"]; c.Elapsed != 20*60_000 {
			t.Errorf("a holiday declared later moved an old clock: %+v", c)
		}
	})
	t.Run("an agreed date does not move", func(t *testing.T) {
		x := base
		x.FixedDue = when("2026-11-10 12:00")
		x.Pauses = []sla.Pause{{Span: sla.Span{From: when("2026-11-02 10:00"), To: when("2026-11-02 12:00")}, Reason: "customer", Who: "desk"}}
		if c := clocks(t, p, x, nil, when("2026-11-09"))["resolution"]; c.Due != x.FixedDue || c.Met != nil {
			t.Errorf("%+v", c)
		}
	})
	for name, bad := range map[string]sla.Ticket{
		"answered before it was asked": {ID: "1", Severity: "p1", ReportedAt: 2000, AcknowledgedAt: 1000},
		"a pause backwards":            {ID: "1", Severity: "p1", ReportedAt: 1000, Pauses: []sla.Pause{{Span: sla.Span{From: 3000, To: 2000}, Reason: "r", Who: "w"}}},
		"a pause of no length":         {ID: "1", Severity: "p1", ReportedAt: 1000, Pauses: []sla.Pause{{Span: sla.Span{From: 3000, To: 3000}, Reason: "r", Who: "w"}}},
		"a pause without a reason":     {ID: "1", Severity: "p1", ReportedAt: 1000, Pauses: []sla.Pause{{Span: sla.Span{From: 3000, To: 4000}, Who: "w"}}},
		"pauses that overlap":          {ID: "1", Severity: "p1", ReportedAt: 1000, Pauses: []sla.Pause{{Span: sla.Span{From: 3000, To: 4000}, Reason: "r", Who: "w"}, {Span: sla.Span{From: 3500, To: 5000}, Reason: "r", Who: "w"}}},
		"reopened without a solution":  {ID: "1", Severity: "p1", ReportedAt: 1000, Reopened: []sla.Instant{2000}},
		"an unknown severity":          {ID: "1", Severity: "p5", ReportedAt: 1000},
		"an unknown calendar":          {ID: "1", Severity: "p1", ReportedAt: 1000, CalendarVersion: "x"},
	} {
		if _, err := p.Ticket(&bad, nil, 10_000); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}
