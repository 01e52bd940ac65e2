package observed

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/escrow/agreement/problem"
	"holdfast/internal/sla"
)

// elem is the value a pointer points at.
func elem(v any) reflect.Value { return reflect.ValueOf(v).Elem() }

// readCSV reads a table. Its header says which of the kinds it is; columns
// may be in any order, and those that may be empty may be left out. Commas
// separate, or semicolons where the header has them. Several values in one
// cell, as of evidence, are separated by spaces.
func readCSV(name string, data []byte, zone *time.Location) (*sla.Observations, problem.List) {
	first, _, _ := bytes.Cut(data, []byte("\n"))
	r := csv.NewReader(bytes.NewReader(data))
	if bytes.IndexByte(first, ';') >= 0 && bytes.IndexByte(first, ',') < 0 {
		r.Comma = ';'
	}
	r.ReuseRecord = true
	t := &table{file: name, zone: zone, reader: r, out: &sla.Observations{}, places: map[string]int{}, tickets: map[string]int{}}
	head, err := r.Read()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the file is empty")
		}
		t.broken(err)
		return nil, t.problems
	}
	head = slices.Clone(head)
	for i := range head {
		head[i] = strings.ToLower(strings.TrimSpace(head[i]))
	}
	row, known, needed := t.kind(head)
	if row == nil {
		t.add(1, 1, "its header has location,from,to,state or from,to,requests,failed or id,kind,from,to or ticket,severity,reported_at", "this is neither a JSON file of observations nor a table of them")
		return nil, t.problems
	}
	for i, h := range head {
		switch {
		case !slices.Contains(known, h):
			line, column := r.FieldPos(i)
			t.add(line, column, problem.DidYouMean(h, known), "unknown column %.60q", h)
		case slices.Index(head, h) != i:
			line, column := r.FieldPos(i)
			t.add(line, column, "remove one", "the column %q is there twice", h)
		}
	}
	for _, n := range needed {
		if !slices.Contains(head, n) {
			t.add(1, 1, "add it", "the column %q is missing", n)
		}
	}
	for len(t.problems) == 0 || len(t.problems) < maxProblems && t.row > 0 {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.broken(err)
			break
		}
		t.row++
		t.cells, t.head = cells, head
		row()
	}
	for _, rows := range t.rows {
		conflicts(rows, func(row, other placed) {
			t.add(row.mark, 1, "remove what is wrong", "%s", conflict(row, other, problem.Pos{Line: other.mark}))
		})
	}
	if len(t.problems) > 0 {
		return nil, t.problems.Sort()
	}
	return t.out, nil
}

type table struct {
	file     string
	zone     *time.Location
	reader   *csv.Reader
	head     []string
	cells    []string
	row      int
	out      *sla.Observations
	places   map[string]int // where a location is in out
	tickets  map[string]int // where a ticket is in out
	rows     [][]placed     // by location, or all counts
	problems problem.List
}

func (t *table) add(line, column int, hint, format string, args ...any) {
	if len(t.problems) < maxProblems {
		t.problems = append(t.problems, problem.Problem{File: t.file, Pos: problem.Pos{Line: line, Column: column}, Severity: problem.Error, Rule: "observations", Message: fmt.Sprintf(format, args...), Hint: hint})
	}
}

func (t *table) broken(err error) {
	var p *csv.ParseError
	if errors.As(err, &p) {
		t.add(p.Line, p.Column, "", "%v", p.Err)
		return
	}
	t.add(1, 1, "", "%v", err)
}

// kind finds out what the table has.
func (t *table) kind(head []string) (row func(), known, needed []string) {
	has := func(names ...string) bool {
		return !slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(head, n) })
	}
	switch {
	case has("state"):
		return t.interval, []string{"location", "from", "to", "state", "evidence"}, []string{"location", "from", "to", "state"}
	case has("requests") || has("failed"):
		return t.count, []string{"from", "to", "requests", "failed", "evidence"}, []string{"from", "to", "requests", "failed"}
	case has("kind"):
		return t.exclusion, []string{"id", "kind", "from", "to", "announced_at", "requested_by", "approved_by", "approved_at", "refused_by", "caused_by", "evidence"}, []string{"id", "kind", "from", "to"}
	case has("ticket"):
		return t.ticket, []string{"ticket", "severity", "impact", "urgency", "reported_at", "acknowledged_at", "workaround_at", "resolved_at", "updates", "resolved", "reopened", "no_incident_at", "fixed_due",
			"calendar_version", "pause_from", "pause_to", "pause_reason", "pause_who", "evidence"}, []string{"ticket", "severity", "reported_at"}
	}
	return nil, nil, nil
}

func (t *table) fail(column, hint, format string, args ...any) {
	line, at := 1, 1
	if i := slices.Index(t.head, column); i >= 0 && i < len(t.cells) {
		line, at = t.reader.FieldPos(i)
	}
	t.add(line, at, hint, format, args...)
}

func (t *table) text(column string, needed bool) string {
	i := slices.Index(t.head, column)
	if i < 0 {
		return ""
	}
	s := strings.TrimSpace(t.cells[i])
	if s == "" && needed {
		t.fail(column, "fill it in", "%s is empty", column)
	}
	if err := plain(s); err != nil {
		t.fail(column, "", "%s: %v", column, err)
	}
	return s
}

func (t *table) instant(column string, needed bool) sla.Instant {
	s := t.text(column, needed)
	if s == "" {
		return 0
	}
	i, err := sla.ParseInstant(s, t.zone)
	if err != nil {
		t.fail(column, "", "%s: %v", column, err)
	}
	return i
}

func (t *table) instants(column string) []sla.Instant {
	var out []sla.Instant
	for _, s := range strings.Fields(t.text(column, false)) {
		i, err := sla.ParseInstant(s, t.zone)
		if err != nil {
			t.fail(column, "separate several by spaces, with a T between day and time", "%s: %v", column, err)
		}
		out = append(out, i)
	}
	return out
}

func (t *table) number(column string) int64 {
	s := t.text(column, true)
	n, err := strconv.ParseInt(s, 10, 64)
	if s != "" && (err != nil || n < 0) {
		t.fail(column, "write plain digits", "%s: %.40q is not a whole number from 0 on", column, s)
	}
	return n
}

func (t *table) span() sla.Span {
	before := len(t.problems)
	s := sla.Span{From: t.instant("from", true), To: t.instant("to", true)}
	if err := s.Valid(); err != nil && len(t.problems) == before {
		t.fail("to", "", "%v", err)
	}
	return s
}

func (t *table) evidence() []string {
	if list := strings.Fields(t.text("evidence", false)); len(list) > 0 {
		return list
	}
	return nil
}

func (t *table) interval() {
	id := t.text("location", true)
	x := sla.Interval{Span: t.span(), State: sla.State(t.text("state", true)), Evidence: t.evidence()}
	if !x.State.Valid() && x.State != "" {
		t.fail("state", "possible: up, down, unknown", "%.40q is no state", x.State)
	}
	i, ok := t.places[id]
	if !ok {
		i = len(t.out.Locations)
		if i == MaxLocations {
			t.fail("location", "", "more than %d locations", MaxLocations)
			return
		}
		t.places[id] = i
		t.out.Locations = append(t.out.Locations, sla.Location{ID: id})
		t.rows = append(t.rows, nil)
	}
	t.out.Locations[i].Intervals = append(t.out.Locations[i].Intervals, x)
	line, _ := t.reader.FieldPos(0)
	t.rows[i] = append(t.rows[i], placed{x.Span, x.State, line, ""})
}

func (t *table) count() {
	c := sla.Count{Span: t.span(), Requests: t.number("requests"), Failed: t.number("failed"), Evidence: t.evidence()}
	if c.Failed > c.Requests {
		t.fail("failed", "", "%d failed, but there were only %d", c.Failed, c.Requests)
	}
	t.out.Counts = append(t.out.Counts, c)
	if t.rows == nil {
		t.rows = make([][]placed, 1)
	}
	line, _ := t.reader.FieldPos(0)
	t.rows[0] = append(t.rows[0], placed{c.Span, "", line, ""})
}

func (t *table) exclusion() {
	t.out.Exclusions = append(t.out.Exclusions, sla.Exclusion{ID: t.text("id", true), Kind: t.text("kind", true), Span: t.span(),
		AnnouncedAt: t.instant("announced_at", false), RequestedBy: t.text("requested_by", false), ApprovedBy: t.text("approved_by", false),
		ApprovedAt: t.instant("approved_at", false), RefusedBy: t.text("refused_by", false), CausedBy: t.text("caused_by", false), Evidence: t.evidence()})
}

// ticket reads one ticket; a second row with the same id adds a pause.
func (t *table) ticket() {
	id := t.text("ticket", true)
	var pauses []sla.Pause
	if t.text("pause_from", false) != "" || t.text("pause_to", false) != "" {
		q := sla.Pause{Span: sla.Span{From: t.instant("pause_from", true), To: t.instant("pause_to", true)}, Reason: t.text("pause_reason", true), Who: t.text("pause_who", true)}
		if err := q.Valid(); err != nil {
			t.fail("pause_to", "", "%v", err)
		}
		pauses = append(pauses, q)
	}
	if i, ok := t.tickets[id]; ok {
		if len(pauses) == 0 {
			t.fail("ticket", "give it another id, or write only its further pauses in further rows", "the ticket %.60q is there twice", id)
		}
		t.out.Tickets[i].Pauses = append(t.out.Tickets[i].Pauses, pauses...)
		return
	}
	t.tickets[id] = len(t.out.Tickets)
	t.out.Tickets = append(t.out.Tickets, sla.Ticket{ID: id, Severity: strings.ToLower(t.text("severity", true)), Impact: t.text("impact", false), Urgency: t.text("urgency", false),
		ReportedAt: t.instant("reported_at", true), AcknowledgedAt: t.instant("acknowledged_at", false), WorkaroundAt: t.instant("workaround_at", false),
		ResolvedAt: t.instant("resolved_at", false), Updates: t.instants("updates"), Resolved: t.instants("resolved"), Reopened: t.instants("reopened"),
		NoIncidentAt: t.instant("no_incident_at", false), FixedDue: t.instant("fixed_due", false), CalendarVersion: t.text("calendar_version", false),
		Pauses: pauses, Evidence: t.evidence()})
}
