package sla

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/quantity"
)

// Clock is one promise about one ticket.
type Clock struct {
	Name    string          `json:"clock"` // response, update, workaround, resolution
	Target  quantity.Period `json:"target"`
	Elapsed int64           `json:"elapsed_ms"`          // of the hours that count, without pauses
	Real    int64           `json:"elapsed_calendar_ms"` // on the wall
	Paused  int64           `json:"paused_ms"`           // of the hours that count
	Due     Instant         `json:"due"`
	Stopped Instant         `json:"stopped,omitempty"`
	Met     *bool           `json:"met"` // nil while it runs and is not overdue
}

// TicketResult is what became of the promises about one ticket.
type TicketResult struct {
	ID       string   `json:"id"`
	Severity string   `json:"severity"` // at the end
	Calendar string   `json:"calendar_version,omitempty"`
	Clocks   []Clock  `json:"clocks,omitempty"`
	Pauses   []Pause  `json:"pauses,omitempty"`
	Silent   int      `json:"pauses_not_told,omitempty"` // pauses of which the customer was not told
	NoCase   bool     `json:"no_incident,omitempty"`
	Evidence []string `json:"evidence,omitempty"`
}

// SupportSum counts the clocks of one severity and name.
type SupportSum struct {
	Severity string `json:"severity"`
	Name     string `json:"clock"`
	Met      int    `json:"met"`
	Missed   int    `json:"missed"`
	Running  int    `json:"running"`
}

// SupportFigure is the support of a period: the tickets reported in it.
type SupportFigure struct {
	Period  Period         `json:"period"`
	Tickets []TicketResult `json:"tickets,omitempty"`
	Sums    []SupportSum   `json:"sums,omitempty"`
}

// Support computes the clocks of the tickets that were reported in a period,
// as they stood at a moment. It is nil when the policy promises no support.
func (r *Record) Support(period Period, now Instant) (*SupportFigure, error) {
	s := r.policy.Level.Support
	if s == nil {
		return nil, nil
	}
	out := &SupportFigure{Period: period}
	sums := map[[2]string]*SupportSum{}
	list := slices.Clone(r.seen.Tickets)
	slices.SortStableFunc(list, func(a, b Ticket) int { return cmp.Or(cmp.Compare(a.ReportedAt, b.ReportedAt), cmp.Compare(a.ID, b.ID)) })
	for i := range list {
		if !period.Contains(list[i].ReportedAt) {
			continue
		}
		t, err := r.policy.Ticket(&list[i], r.seen.Calendars, now)
		if err != nil {
			return nil, err
		}
		out.Tickets = append(out.Tickets, *t)
		for _, c := range t.Clocks {
			key := [2]string{t.Severity, c.Name}
			if sums[key] == nil {
				sums[key] = &SupportSum{Severity: t.Severity, Name: c.Name}
			}
			switch {
			case c.Met == nil:
				sums[key].Running++
			case *c.Met:
				sums[key].Met++
			default:
				sums[key].Missed++
			}
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(sums), func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(clockRank(a[1]), clockRank(b[1])))
	}) {
		out.Sums = append(out.Sums, *sums[key])
	}
	return out, nil
}

func clockRank(name string) int {
	return slices.Index([]string{"response", "update", "workaround", "resolution"}, name)
}

// run is the clocks of one ticket.
type run struct {
	p      *Policy
	t      *Ticket
	hours  Opening
	always Opening
	pauses spans
	now    Instant
}

// Ticket computes the clocks of one ticket as they stood at a moment.
func (p *Policy) Ticket(t *Ticket, versions []Version, now Instant) (*TicketResult, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	s := p.Level.Support
	days, version, err := p.daysFor(t, versions)
	if err != nil {
		return nil, err
	}
	x := run{p: p, t: t, now: now, always: Opening{zone: p.zone, always: true}}
	if x.hours, err = NewOpening(s.Hours, p.zone, days); err != nil {
		return nil, invalid("support.hours: %v", err)
	}
	out := &TicketResult{ID: t.ID, Severity: t.severityAt(1 << 62), Calendar: version, Pauses: t.Pauses, Evidence: t.Evidence}
	for _, q := range t.Pauses {
		x.pauses = append(x.pauses, q.Span)
		if q.InformedAt == 0 {
			out.Silent++
		}
	}
	x.pauses = union(x.pauses)
	if t.NoIncidentAt != 0 {
		out.NoCase = true
		return out, nil
	}
	if _, ok := s.Priorities[out.Severity]; !ok {
		return nil, invalid("ticket %s: the policy knows no severity %q", t.ID, out.Severity)
	}
	first := earliest(t.AcknowledgedAt, t.WorkaroundAt, t.ResolvedAt, firstOf(t.Resolved))
	out.add(x.clock("response", t.ReportedAt, first, nil, func(p agreement.Priority) quantity.Period { return p.Response }))
	out.add(x.updates(first))
	out.add(x.clock("workaround", t.ReportedAt, earliest(t.WorkaroundAt, t.ResolvedAt, firstOf(t.Resolved)), nil, func(p agreement.Priority) quantity.Period { return p.Workaround }))
	c := x.clock("resolution", t.ReportedAt, t.ResolvedAt, t.solved(), func(p agreement.Priority) quantity.Period { return p.Resolution })
	if c != nil && t.FixedDue != 0 {
		c.Due = t.FixedDue
		c.judge(now)
	}
	out.add(c)
	return out, nil
}

func (r *TicketResult) add(c *Clock) {
	if c != nil {
		r.Clocks = append(r.Clocks, *c)
	}
}

// check refuses a ticket whose times cannot be.
func (t *Ticket) check() error {
	fail := func(format string, args ...any) error {
		return invalid("ticket "+t.ID+": "+format, args...)
	}
	if t.ID == "" {
		return invalid("a ticket has no id")
	}
	if t.ReportedAt == 0 {
		return fail("reported_at is missing")
	}
	for _, x := range []struct {
		name string
		at   Instant
	}{{"acknowledged_at", t.AcknowledgedAt}, {"workaround_at", t.WorkaroundAt}, {"resolved_at", t.ResolvedAt}, {"no_incident_at", t.NoIncidentAt}} {
		if x.at != 0 && x.at < t.ReportedAt {
			return fail("%s is %s, before it was reported at %s", x.name, x.at, t.ReportedAt)
		}
	}
	var before Instant
	for i, q := range t.Pauses {
		switch {
		case q.Valid() != nil:
			return fail("pause %d: %v", i+1, q.Valid())
		case q.Reason == "" || q.Who == "":
			return fail("pause %d: a reason and who paused it are needed", i+1)
		case q.From < before:
			return fail("pause %d begins at %s, before the one before it ended at %s", i+1, q.From, before)
		case q.From < t.ReportedAt:
			return fail("pause %d begins before the ticket was reported", i+1)
		}
		before = q.To
	}
	if len(t.Resolved) != len(t.Reopened) {
		return fail("it was reopened %d times, so resolved has to have as many earlier resolutions, not %d", len(t.Reopened), len(t.Resolved))
	}
	at := t.ReportedAt
	for i := range t.Resolved {
		if t.Resolved[i] < at || t.Reopened[i] <= t.Resolved[i] {
			return fail("reopening %d: it has to be resolved before it is reopened", i+1)
		}
		at = t.Reopened[i]
	}
	if t.ResolvedAt != 0 && t.ResolvedAt < at {
		return fail("resolved_at is before it was last reopened")
	}
	before = 0
	for i, c := range t.Changes {
		if c.At < before || c.At < t.ReportedAt {
			return fail("change %d of severity is out of order", i+1)
		}
		before = c.At
	}
	return nil
}

// severityAt is the severity at a moment.
func (t *Ticket) severityAt(at Instant) string {
	s := t.Severity
	for _, c := range t.Changes {
		if c.At <= at {
			s = c.Severity
		}
	}
	return s
}

// solved is the time between a resolution and a reopening.
func (t *Ticket) solved() spans {
	var out []Span
	for i := range t.Resolved {
		out = append(out, Span{t.Resolved[i], t.Reopened[i]})
	}
	return union(out)
}

func firstOf(list []Instant) Instant {
	if len(list) == 0 {
		return 0
	}
	return list[0]
}

// earliest is the first of the moments that have come.
func earliest(list ...Instant) Instant {
	out := Instant(0)
	for _, i := range list {
		if i != 0 && (out == 0 || i < out) {
			out = i
		}
	}
	return out
}

// daysFor finds the calendar a ticket is counted by: the version it was
// opened under, or else the one in force on the day it was reported.
func (p *Policy) daysFor(t *Ticket, versions []Version) (Days, string, error) {
	days := p.days
	var found *Version
	for i := range versions {
		v := &versions[i]
		switch {
		case t.CalendarVersion != "" && v.ID == t.CalendarVersion:
			found = v
		case t.CalendarVersion == "" && v.From <= t.ReportedAt && (found == nil || v.From > found.From):
			found = v
		}
	}
	if found == nil {
		if t.CalendarVersion != "" {
			return days, "", invalid("ticket %s: there is no calendar version %q", t.ID, t.CalendarVersion)
		}
		return days, "", nil
	}
	days.Closed = append(slices.Clone(days.Closed), found.Closed...)
	days.Open = append(slices.Clone(days.Open), found.Open...)
	return days, found.ID, nil
}

// running is the time that counts between two moments: the hours of the
// severity in force, without pauses.
func (x *run) running(from, to Instant, apart spans) (counts, paused spans) {
	for at := from; at < to; {
		end := to
		for _, c := range x.t.Changes {
			if c.At > at && c.At < end {
				end = c.At
			}
		}
		open := x.hours
		if x.p.Level.Support.Priorities[x.t.severityAt(at)].Clock == "24x7" {
			open = x.always
		}
		counts = append(counts, open.within(Span{at, end})...)
		at = end
	}
	counts = union(counts).without(apart)
	return counts.without(x.pauses), counts.and(x.pauses)
}

// clock measures one promise from a moment until it was kept, or until now.
// It is nil when there is no such promise.
func (x *run) clock(name string, from, stopped Instant, apart spans, target func(agreement.Priority) quantity.Period) *Clock {
	end := stopped
	if end == 0 {
		end = max(x.now, from)
	}
	want := target(x.p.Level.Support.Priorities[x.t.severityAt(end)])
	if want == "" {
		return nil
	}
	counts, paused := x.running(from, end, apart)
	c := &Clock{Name: name, Target: want, Elapsed: counts.length(), Paused: paused.length(), Real: int64(end - from), Stopped: stopped}
	c.Due = x.due(from, want, apart)
	c.judge(x.now)
	return c
}

// judge compares the moment it stopped, or now, with the due one.
func (c *Clock) judge(now Instant) {
	met := c.Stopped <= c.Due
	switch {
	case c.Stopped != 0:
		c.Met = &met
	case now > c.Due:
		met = false
		c.Met = &met
	default:
		c.Met = nil
	}
}

// due is the moment at which the target is used up. Targets in business days,
// months and years end by the calendar and move with every pause by the
// counting time it took.
func (x *run) due(from Instant, target quantity.Period, apart spans) Instant {
	length, fixed := target.Fixed()
	left := length.Milliseconds()
	if !fixed {
		from = x.p.rules.deadline(from, target)
		_, paused := x.running(x.t.ReportedAt, from, apart)
		if left = paused.length(); left == 0 {
			return from
		}
	}
	if left == 0 {
		return from
	}
	const day = Instant(24 * time.Hour / time.Millisecond)
	at := from
	for step := 14 * day; step < 40*366*day; step *= 2 {
		counts, _ := x.running(at, at+step, apart)
		for _, s := range counts {
			if s.Length() >= left {
				return s.From + Instant(left)
			}
			left -= s.Length()
		}
		at += step
	}
	return at
}

// updates measures the longest time between two messages, from the first
// answer to the solution. It is nil when there is no such promise, or nothing
// was answered yet.
func (x *run) updates(first Instant) *Clock {
	if first == 0 {
		return nil
	}
	end := x.t.ResolvedAt
	points := slices.Clone(x.t.Updates)
	points = slices.DeleteFunc(points, func(i Instant) bool { return i < first || end != 0 && i > end })
	slices.Sort(points)
	if end != 0 {
		points = append(points, end)
	}
	var worst *Clock
	from := first
	target := func(p agreement.Priority) quantity.Period { return p.Update }
	for i := 0; i <= len(points); i++ {
		stop := Instant(0)
		if i < len(points) {
			stop = points[i]
		} else if end != 0 {
			break
		}
		c := x.clock("update", from, stop, x.t.solved(), target)
		if c == nil {
			return nil
		}
		if worst == nil || missed(c) && !missed(worst) || missed(c) == missed(worst) && c.Elapsed > worst.Elapsed {
			worst = c
		}
		from = stop
	}
	return worst
}

func missed(c *Clock) bool { return c.Met != nil && !*c.Met }
