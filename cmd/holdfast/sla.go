package main

import (
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/check"
	"holdfast/internal/escrow/agreement/problem"
	"holdfast/internal/sla"
)

// slaCmd is the arithmetic of service levels. It needs no server.
type slaCmd struct {
	Check   slaCheckCmd   `cmd:"" help:"Check the service levels of a policy or an agreement: holes, overlaps, exclusions that swallow the promise."`
	Compute slaComputeCmd `cmd:"" help:"Compute the figure of a period, and the credit, from a file of what was observed; with all of its working."`
}

type slaCheckCmd struct {
	Policy string `arg:"" help:"A policy (sla-policy/v1) or an agreement; - reads standard input."`
	Lang   string `help:"Language of the findings: nl or en." enum:"nl,en" default:"en"`
}

// slaReport is the machine-readable result of sla check.
type slaReport struct {
	File     string       `json:"file"`
	ID       string       `json:"id,omitempty"`
	OK       bool         `json:"ok"`
	Problems problem.List `json:"problems"`
	Levels   []slaLevel   `json:"service_levels"`
}

// slaLevel says in short what a service level promises.
type slaLevel struct {
	ID        string `json:"id"`
	Component string `json:"component,omitempty"`
	Promise   string `json:"promise,omitempty"`
	Period    string `json:"period,omitempty"`
	Measure   string `json:"measure,omitempty"`
	Down      int64  `json:"down_in_30_days_ms,omitempty"` // what the promise allows, of 30 days round the clock
	Credits   string `json:"credits,omitempty"`
}

func (c slaCheckCmd) Run(s *streams) error {
	data, err := readText(s, c.Policy)
	if err != nil {
		return err
	}
	o := check.Options{At: time.Now(), Language: agreement.Language(c.Lang)}
	find := check.Check
	if agreement.IsPolicy(data) {
		find = check.CheckPolicy
	}
	a, problems := find(c.Policy, data, o)
	r := slaReport{File: c.Policy, Problems: problem.List{}, Levels: []slaLevel{}}
	for _, p := range problems {
		// Of an agreement only what is about service levels is of interest
		// here, and what stops it from being read at all.
		if p.Severity == problem.Error && a == nil || strings.HasPrefix(p.Path, "sla") || agreement.IsPolicy(data) {
			r.Problems = append(r.Problems, p)
		}
	}
	if a != nil {
		r.ID = a.ID
		if len(a.SLA) == 0 {
			r.Problems = append(r.Problems, problem.Problem{File: c.Policy, Severity: problem.Error, Rule: "sla", Message: "there are no service levels", Hint: "add sla"})
		}
		for i := range a.SLA {
			if _, err := sla.Compile(a, &a.SLA[i], ""); err != nil {
				r.Problems = append(r.Problems, problem.Problem{File: c.Policy, Path: fmt.Sprintf("sla[%d]", i), Severity: problem.Error, Rule: "sla", Message: err.Error()})
			}
			r.Levels = append(r.Levels, shortly(&a.SLA[i]))
		}
	}
	r.OK = !r.Problems.Any(problem.Error)
	if s.json {
		err = writeIndented(s.out, r)
	} else {
		err = r.print(s.out, o.Language)
	}
	if err == nil && !r.OK {
		err = errFindings
	}
	return err
}

// shortly sums a service level up.
func shortly(l *agreement.SLA) slaLevel {
	out := slaLevel{ID: l.ID, Component: l.Component}
	if v := l.Availability; v != nil {
		out.Promise, out.Period, out.Measure = string(v.Uptime), v.Period, v.Measure
		if n, err := v.Uptime.Millionths(); err == nil {
			out.Down = (100_000_000 - n) * 30 * 86_400 / 100_000 // 1000 ms, 100 million
		}
	}
	if cr := l.Credits; cr != nil {
		var steps []string
		for _, t := range cr.Tiers {
			steps = append(steps, string(t.Credit)+" "+tierSide(t))
		}
		if f := cr.Formula; f != nil {
			steps = append(steps, formulaWords(f))
		}
		out.Credits = strings.Join(steps, ", ") + ", at most " + string(cr.Cap)
	}
	return out
}

// tierSide is where a tier begins, in words.
func tierSide(t agreement.Tier) string {
	if t.UpTo != "" {
		return "at " + string(t.UpTo) + " or less"
	}
	return "below " + string(t.Below)
}

func formulaWords(f *agreement.CreditFormula) string {
	if f.Multiple > 0 {
		return fmt.Sprintf("%d times the fee for the time down", f.Multiple)
	}
	return fmt.Sprintf("%s for each %s down", f.Credit, f.Each)
}

func (r slaReport) print(out io.Writer, l agreement.Language) error {
	checkReport{File: r.File, OK: r.OK, Problems: r.Problems}.print(out, r.Problems, l)
	if len(r.Levels) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nLEVEL\tCOMPONENT\tPROMISE\tPERIOD\tMEASURE\tALLOWS IN 30 DAYS\tCREDITS")
	for _, x := range r.Levels {
		allows := "-"
		if x.Promise != "" && (x.Measure == "time" || x.Measure == "error_minutes") {
			allows = span(x.Down)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", x.ID, orDash(x.Component), orDash(x.Promise), orDash(x.Period), orDash(x.Measure), allows, orDash(x.Credits))
	}
	return w.Flush()
}

// loadPolicy reads a policy or an agreement that must pass.
func loadPolicy(s *streams, file string) (*agreement.Agreement, error) {
	data, err := readText(s, file)
	if err != nil {
		return nil, err
	}
	var (
		a        *agreement.Agreement
		problems problem.List
	)
	if agreement.IsPolicy(data) {
		a, _, problems = agreement.ParsePolicy(file, data)
	} else {
		a, problems = agreement.Parse(file, data)
	}
	if err := refused("the policy", problems, "run holdfast sla check on it; it lists them all"); err != nil {
		return nil, err
	}
	return a, nil
}

// refused makes an error of the first of the problems that stop a file.
func refused(what string, problems problem.List, hint string) error {
	n := problems.Count(problem.Error)
	if n == 0 {
		return nil
	}
	var first []string
	for _, p := range problems {
		if p.Severity == problem.Error && len(first) < 10 {
			first = append(first, p.String())
		}
	}
	return escrow.Errorf(escrow.Invalid, "%s cannot be used: %s:\n%s", what, count(n, "error"), strings.Join(first, "\n")).WithHint("%s", hint)
}

// span writes a length as hours, minutes and seconds: 1:00:00, 0:00:00.250.
func span(ms int64) string {
	out := fmt.Sprintf("%d:%02d:%02d", ms/3_600_000, ms/60_000%60, ms/1000%60)
	if ms%1000 != 0 {
		out += fmt.Sprintf(".%03d", ms%1000)
	}
	return out
}

// clock writes a moment on the clock of a zone, with its offset: one hour of
// the year has the same time twice.
func clock(at sla.Instant, zone *time.Location) string {
	t := at.Time().In(zone)
	switch {
	case at%1000 != 0:
		return t.Format("2006-01-02 15:04:05.000 -07:00")
	case at%60_000 != 0:
		return t.Format("2006-01-02 15:04:05 -07:00")
	}
	return t.Format("2006-01-02 15:04 -07:00")
}

// money writes an exact amount: in cents where that is all of it.
func money(a sla.Amount) string {
	if a.Rat == nil {
		return "0.00"
	}
	f := sla.Fraction(a)
	if short, ok := new(big.Rat).SetString(f.Decimal(2)); ok && short.Cmp(a.Rat) == 0 {
		return f.Decimal(2)
	}
	return strings.TrimRight(f.Exact(), "0") // more than two decimals stay: it is no whole number of cents
}

// percent writes a share with at least so many decimals, rounded down.
func percent(f sla.Fraction, places int) string {
	if f.Rat == nil {
		return "n/a"
	}
	return f.Decimal(places) + " %"
}

// plainPercent writes a share without zeros at its end.
func plainPercent(f sla.Fraction) string {
	s := f.Exact()
	if strings.Contains(s, ".") && !strings.HasSuffix(s, "…") {
		s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	}
	return s + " %"
}

// shown shortens a list for people.
func shown[T any](list []T, most int) ([]T, int) {
	if len(list) <= most {
		return list, 0
	}
	return slices.Clip(list[:most]), len(list) - most
}
