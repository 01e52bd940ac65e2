package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/sla"
)

// mostRows is how many rows of one kind people are shown; --json has all.
const mostRows = 100

// slaPrinter writes a result for people: the figure first, then everything it
// was made of.
type slaPrinter struct {
	out    io.Writer
	r      *sla.Result
	level  *agreement.SLA
	zone   *time.Location
	places int
}

func (p *slaPrinter) print() error {
	r := p.r
	p.fact("service level", p.named())
	p.fact("period", fmt.Sprintf("%s: %s until %s (%s), on the clock of %s", r.Period.Label, clock(r.Period.From, p.zone), clock(r.Period.To, p.zone), span(r.Period.Length()), r.Zone))
	var err error
	if r.Figure != nil {
		p.figure(r.Figure)
		if r.Credit != nil {
			p.credit(r.Credit)
		}
		err = p.working(r.Figure)
		p.opposed()
	}
	if err == nil && r.Responses != nil {
		err = p.responses()
	}
	if err == nil && r.Support != nil {
		err = p.support()
	}
	return err
}

func (p *slaPrinter) fact(name, value string) { fmt.Fprintf(p.out, "%-14s %s\n", name, value) }

func (p *slaPrinter) named() string {
	out := p.r.Level + " of " + p.r.Policy
	if p.r.Component != "" {
		out += ", component " + p.r.Component
	}
	if p.r.Beneficiary != "" {
		out += ", for " + p.r.Beneficiary
	}
	return out
}

func (p *slaPrinter) figure(f *sla.Figure) {
	verdict := "there is no figure: nothing was measured"
	if f.Met != nil && *f.Met {
		verdict = "kept"
	} else if f.Met != nil {
		verdict = "missed"
	}
	shown := percent(f.Uptime, p.places)
	if f.Uptime.Rat != nil {
		exact := plainPercent(f.Uptime)
		if strings.Contains(exact, "…") {
			exact += " = " + f.Uptime.String() + " %"
		}
		shown += " (rounded down from " + exact + ")"
		if f.Judged.Cmp(f.Uptime.Rat) != 0 {
			shown += "; judged as " + plainPercent(f.Judged) + ", rounded as agreed"
		}
	}
	p.fact("availability", shown)
	p.fact("promised", plainPercent(f.Promise)+": "+verdict)
	if f.Counts != nil && f.Measure != "error_minutes" {
		p.fact("requests", fmt.Sprintf("%d, of which %d failed", f.Counts.Requests, f.Counts.Failed))
	} else {
		p.fact("counts as down", span(f.Counted)+" of "+span(f.Denominator))
	}
	coverage := percent(f.Coverage, p.places)
	if f.Unmeasured > 0 {
		coverage += fmt.Sprintf(": nobody measured %s of %s, %s", span(f.Unmeasured), span(f.Agreed), p.gapRule())
	} else {
		coverage += " of " + span(f.Agreed) + " agreed time"
	}
	p.fact("coverage", coverage)
	if f.Disputable != 0 {
		p.fact("disputable", "until "+clock(f.Disputable, p.zone))
	}
	for _, c := range p.r.Consequences {
		p.consequence(c)
	}
}

func (p *slaPrinter) gapRule() string {
	switch p.level.Availability.Gaps {
	case "count_as_up":
		return "which counts as up"
	case "count_as_down":
		return "which counts as down"
	}
	return "which is left out"
}

func (p *slaPrinter) consequence(c sla.Consequence) {
	due := "not due"
	if c.Due {
		due = "due"
	}
	text := fmt.Sprintf("%s: %d of %d missed periods", due, c.Misses, c.Needed)
	if c.Within != "" {
		text += " within " + string(c.Within)
	}
	if len(c.Periods) > 0 {
		text += " (" + strings.Join(c.Periods, ", ") + ")"
	}
	p.fact(strings.ReplaceAll(c.Kind, "_", " "), text)
}

func (p *slaPrinter) credit(c *sla.Credit) {
	p.fact("credit", p.owed(c))
	if c.Flag != "" || nothing(c) {
		return
	}
	way := "by the formula"
	if c.Tier > 0 {
		way = fmt.Sprintf("tier %d, %s", c.Tier, tierSide(p.level.Credits.Tiers[c.Tier-1]))
	} else if f := p.level.Credits.Formula; f != nil {
		way = formulaWords(f) + ", " + span(c.Weighted) + " of it counted"
	}
	p.fact("  share", plainPercent(c.Percent)+": "+way)
	from := "the agreed fee over the period"
	if c.BaseFrom == "invoice" {
		from = "as invoiced for the period"
	}
	p.fact("  base", c.Currency+" "+money(c.Base)+", "+from)
	line := fmt.Sprintf("%s × %s = %s", plainPercent(c.Percent), money(c.Base), money(c.BeforeCap))
	limit := "not reached"
	if c.Capped {
		limit = "reached"
	}
	line += fmt.Sprintf("; cap %s, %s", money(c.Cap), limit)
	if c.CeilingLeft.Rat != nil {
		line += "; left under the ceiling " + money(c.CeilingLeft)
	}
	if c.BelowMinimum {
		line += "; below the minimum of " + string(p.level.Credits.Minimum) + ", so nothing is paid"
	}
	p.fact("  working", line+"; rounded half up to the cent once")
	if c.ClaimBy != 0 {
		claim := "before " + clock(c.ClaimBy, p.zone)
		if c.ClaimTo != "" {
			claim += ", at " + c.ClaimTo
		}
		if len(c.ClaimNeeds) > 0 {
			claim += ", with " + strings.Join(c.ClaimNeeds, ", ")
		}
		p.fact("  claim", claim)
	}
}

// nothing reports whether the promise was kept and nothing is owed. By a
// formula something may be owed although it was kept.
func nothing(c *sla.Credit) bool { return !c.Missed && c.Percent.Sign() == 0 }

// owed says in one line what is owed to whom.
func (p *slaPrinter) owed(c *sla.Credit) string {
	switch c.Flag {
	case sla.NoFigure:
		return "cannot be said: there is no figure"
	case sla.NoBand:
		return "a person has to decide: the uptime is in no tier of the agreement"
	}
	out := string(c.Amount)
	if nothing(c) {
		return out + ", the promise was kept"
	}
	if c.To != "" {
		out += " to " + c.To
	}
	if c.From != "" {
		out += " from " + c.From
	}
	if c.Form != "credit" {
		out += " (" + strings.ReplaceAll(c.Form, "_", " ") + ")"
	}
	return out
}

// opposed shows the figures as the parties hold them until it is decided.
func (p *slaPrinter) opposed() {
	for _, a := range p.r.Alternatives {
		line := percent(a.Figure.Uptime, p.places) + " (" + plainPercent(a.Figure.Uptime) + ")"
		if a.Credit != nil {
			line += ", credit " + p.owed(a.Credit)
		}
		fmt.Fprintf(p.out, "\nif %s is right about %s: %s\n", a.Party, strings.Join(a.Ids, ", "), line)
	}
}

// table writes a heading and rows in columns, as many as people read.
func (p *slaPrinter) table(title, columns string, rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintf(p.out, "\n%s\n", title)
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  "+strings.ReplaceAll(columns, " | ", "\t"))
	some, more := shown(rows, mostRows)
	for _, row := range some {
		fmt.Fprintln(w, "  "+strings.Join(row, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(b.String()) {
		fmt.Fprintln(p.out, strings.TrimRight(line, " \n"))
	}
	if more > 0 {
		fmt.Fprintf(p.out, "  and %d more: --json has them all\n", more)
	}
	return nil
}

func (p *slaPrinter) times(s sla.Span) []string {
	return []string{clock(s.From, p.zone), clock(s.To, p.zone), span(s.Length())}
}

func (p *slaPrinter) working(f *sla.Figure) error {
	var rows [][]string
	for _, o := range f.Outages {
		for i, piece := range o.Pieces {
			row := append(p.times(piece.Span), why(piece.Why, piece.Exclusion), "", "")
			if i == 0 {
				row[4], row[5] = orDash(strings.Join(o.Locations, " ")), orDash(strings.Join(o.Evidence, " "))
			}
			rows = append(rows, row)
		}
	}
	if err := p.table("down, and what became of it", "FROM | UNTIL | LENGTH | COUNTS | SEEN FROM | EVIDENCE", rows); err != nil {
		return err
	}
	rows = nil
	if f.Counts != nil {
		for _, b := range f.Counts.Bad {
			rows = append(rows, append(p.times(b.Span), fmt.Sprint(b.Requests), fmt.Sprint(b.Failed), why(b.Why, b.Exclusion), orDash(strings.Join(b.Evidence, " "))))
		}
	}
	if err := p.table("with failures, and what became of them", "FROM | UNTIL | LENGTH | REQUESTS | FAILED | COUNTS | EVIDENCE", rows); err != nil {
		return err
	}
	rows = nil
	for _, g := range f.Gaps {
		rows = append(rows, p.times(g))
	}
	if err := p.table("not measured, "+p.gapRule(), "FROM | UNTIL | LENGTH", rows); err != nil {
		return err
	}
	rows = nil
	for _, x := range f.Rulings {
		taken := "-"
		if x.Accepted {
			taken = span(x.Spent)
		}
		rows = append(rows, append([]string{x.ID, strings.ReplaceAll(x.Kind, "_", " ")}, append(p.times(x.Asked), ruling(x), taken, orDash(x.Asker), orDash(x.Approver), orDash(strings.Join(x.Evidence, " ")))...))
	}
	if err := p.table("exclusions", "ID | KIND | FROM | UNTIL | LENGTH | RESULT | TOOK | ASKED BY | APPROVED BY | EVIDENCE", rows); err != nil {
		return err
	}
	rows = nil
	for _, c := range f.Contests {
		state := "not decided"
		if c.Decided != "" {
			state = c.Decided + " by " + orDash(c.DecidedBy)
		}
		for _, id := range f.Late {
			if id == c.ID {
				state = "raised too late"
			}
		}
		rows = append(rows, append([]string{c.ID, c.By, "it was " + string(c.Claim)}, append(p.times(c.Span), state, orDash(strings.Join(c.Evidence, " ")))...))
	}
	return p.table("contested", "ID | BY | CLAIM | FROM | UNTIL | LENGTH | RESULT | EVIDENCE", rows)
}

// ruling says what became of an exclusion.
func ruling(x sla.Ruling) string {
	switch {
	case x.Accepted && x.Why == sla.WhyLimitUsed:
		return "accepted in part: the limit is used"
	case x.Accepted:
		return "accepted"
	}
	return "refused: " + why(x.Why, "")
}

// why puts a reason in words.
func why(w sla.Why, id string) string {
	switch w {
	case sla.WhyCounted:
		return "counts"
	case sla.WhyTooShort:
		return "no: shorter than agreed"
	case sla.WhyPartMinute:
		return "no: a begun minute"
	case sla.WhyOutsideHours:
		return "no: outside the service hours"
	case sla.WhyOtherPeriod:
		return "no: in another period"
	case sla.WhyExcluded:
		return "no: excluded by " + id
	case sla.WhyDecided:
		return "no: decided in " + id
	case sla.WhyNotMeasured:
		return "no: not measured"
	case sla.WhyUnknownKind:
		return "this kind is not agreed"
	case sla.WhyRefused:
		return "the other party said no"
	case sla.WhyExcepted:
		return "the party that caused it is answered for"
	case sla.WhyOutsideWindow:
		return "outside the agreed windows"
	case sla.WhyNoNotice:
		return "announced too late, or never"
	case sla.WhyNoEvidence:
		return "no evidence"
	case sla.WhyNotApproved:
		return "not approved"
	case sla.WhyLimitUsed:
		return "the limit is used"
	case sla.WhyTimesUsed:
		return "as many as agreed were excluded before"
	}
	return strings.ReplaceAll(string(w), "_", " ")
}

func (p *slaPrinter) responses() error {
	r := p.r.Responses
	var rows [][]string
	for _, x := range r.Percentiles {
		rows = append(rows, []string{fmt.Sprintf("%d of 100", x.Percent), "within " + string(x.Promise),
			fmt.Sprintf("%.1f ms", x.Estimate), fmt.Sprintf("%.1f to %.1f ms", x.Low, x.High), strings.ReplaceAll(string(x.Verdict), "_", " ")})
	}
	return p.table(fmt.Sprintf("response times of %d answers", r.Answers), "ANSWERS | PROMISED | MEASURED | WITH ITS ERROR | VERDICT", rows)
}

func (p *slaPrinter) support() error {
	var rows [][]string
	for _, t := range p.r.Support.Tickets {
		for _, c := range t.Clocks {
			state := "running"
			if c.Met != nil && *c.Met {
				state = "met"
			} else if c.Met != nil {
				state = "missed"
			}
			due := "-"
			if c.Due != 0 {
				due = clock(c.Due, p.zone)
			}
			stopped := "-"
			if c.Stopped != 0 {
				stopped = clock(c.Stopped, p.zone)
			}
			rows = append(rows, []string{t.ID, t.Severity, strings.ReplaceAll(c.Name, "_", " "), due, stopped, state, orDash(strings.Join(t.Evidence, " "))})
		}
	}
	return p.table("support", "TICKET | SEVERITY | CLOCK | DUE | STOPPED | RESULT | EVIDENCE", rows)
}
