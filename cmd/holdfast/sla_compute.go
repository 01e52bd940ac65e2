package main

import (
	"slices"
	"strings"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/sla"
	"holdfast/internal/sla/observed"
)

type slaComputeCmd struct {
	Policy       string   `required:"" help:"A policy (sla-policy/v1) or an agreement; - reads standard input." placeholder:"FILE"`
	Observations []string `required:"" sep:"none" help:"What was observed, JSON or CSV (docs/sla.md). Repeat it for more files, which are put together." placeholder:"FILE"`
	Level        string   `help:"The service level. Needed where there is more than one." placeholder:"ID"`
	Period       string   `help:"2026-09, 2026-Q3, 2026, or a day that is in it. Default the one in which the observations end." placeholder:"LABEL"`
	Beneficiary  string   `help:"The customer it is computed for. Needed where they pay different fees." placeholder:"PARTY"`
	At           string   `help:"The moment at which clocks of support that still run are read. Default now." placeholder:"MOMENT"`
}

// computed is the machine-readable result of sla compute: everything exact,
// and what people are shown.
type computed struct {
	*sla.Result
	Shown *shownFigure `json:"shown,omitempty"`
}

// shownFigure is a figure in decimals.
type shownFigure struct {
	Uptime   string `json:"uptime"`    // percent, rounded down
	Exact    string `json:"exact"`     // percent to nine decimals, … when there are more
	Coverage string `json:"coverage"`  // percent, rounded down
	Promise  string `json:"promise"`   // percent
	Met      bool   `json:"met"`       // false also when there is no figure
	NoFigure bool   `json:"no_figure"` // nothing can be said: nothing was measured
}

func (c slaComputeCmd) Run(s *streams) error {
	a, err := loadPolicy(s, c.Policy)
	if err != nil {
		return err
	}
	level, err := a.ServiceLevel(c.Level)
	if err != nil {
		return err
	}
	who, err := beneficiaryOf(a, level, c.Beneficiary)
	if err != nil {
		return err
	}
	p, err := sla.Compile(a, level, who)
	if err != nil {
		return err
	}
	seen, err := readObservations(s, c.Observations, p.Zone())
	if err != nil {
		return err
	}
	now := sla.InstantOf(time.Now())
	if c.At != "" {
		if now, err = sla.ParseInstant(c.At, p.Zone()); err != nil {
			return escrow.Wrap(err, escrow.Invalid, "--at")
		}
	}
	if seen.Component != "" && level.Component != "" && seen.Component != level.Component {
		return escrow.Errorf(escrow.Invalid, "the observations are of %s, the service level %s is about %s", seen.Component, level.ID, level.Component).WithHint("name another service level with --level, or give its observations")
	}
	period, err := c.period(p, seen)
	if err != nil {
		return err
	}
	r, err := sla.NewRecord(p, seen)
	if err != nil {
		return err
	}
	result, err := r.Result(period, now)
	if err != nil {
		return err
	}
	out := computed{Result: result}
	if f := result.Figure; f != nil {
		n := places(level)
		out.Shown = &shownFigure{Uptime: f.Uptime.Decimal(n), Exact: f.Uptime.Exact(), Coverage: f.Coverage.Decimal(n), Promise: f.Promise.Decimal(n),
			Met: f.Met != nil && *f.Met, NoFigure: f.Met == nil}
	}
	if s.json {
		return writeIndented(s.out, out)
	}
	w := &slaPrinter{out: s.out, r: result, level: level, zone: p.Zone(), places: places(level)}
	return w.print()
}

func (c slaComputeCmd) period(p *sla.Policy, seen *sla.Observations) (sla.Period, error) {
	if c.Period != "" {
		return p.PeriodNamed(c.Period)
	}
	last := sla.Instant(0)
	for _, l := range seen.Locations {
		for _, x := range l.Intervals {
			last = max(last, x.To-1)
		}
	}
	for _, x := range seen.Counts {
		last = max(last, x.To-1)
	}
	for _, x := range seen.Latency {
		last = max(last, x.To-1)
	}
	for _, x := range seen.Tickets {
		last = max(last, x.ReportedAt)
	}
	if last == 0 {
		return sla.Period{}, escrow.Errorf(escrow.Invalid, "nothing was observed, so nothing says which period is meant").WithHint("name one with --period, such as 2026-09")
	}
	return p.PeriodAt(last), nil
}

// beneficiaryOf finds out for whom a figure is made: who is named, or the
// only customer there is. Customers that pay different fees must be named.
func beneficiaryOf(a *agreement.Agreement, level *agreement.SLA, named string) (string, error) {
	all := a.WithRole(escrow.Beneficiary)
	switch {
	case named != "" && len(all) > 0 && !slices.Contains(all, named):
		return "", escrow.Errorf(escrow.NotFound, "%s has no beneficiary %q", a.ID, named).WithHint("it has %s", strings.Join(all, ", "))
	case named != "":
		return named, nil
	case len(all) == 1:
		return all[0], nil
	case level.Credits != nil && level.Credits.Base != nil && len(level.Credits.Base.For) > 0:
		return "", escrow.Errorf(escrow.Invalid, "the customers of %s pay different fees", level.ID).WithHint("say for whom with --beneficiary: %s", strings.Join(all, ", "))
	}
	return "", nil
}

// readObservations reads the files and puts them together.
func readObservations(s *streams, files []string, zone *time.Location) (*sla.Observations, error) {
	var list []*sla.Observations
	for _, file := range files {
		data, err := readAtMost(s, file, observed.MaxFile)
		if err != nil {
			return nil, err
		}
		o, problems := observed.Read(file, data, zone)
		if err := refused(file, problems, "mend what is named and compute again; docs/sla.md says how the file is written"); err != nil {
			return nil, err
		}
		list = append(list, o)
	}
	return observed.Join(list...), nil
}

// places is with how many decimals a figure is shown: two, or as many as the
// promise has.
func places(level *agreement.SLA) int {
	if level.Availability == nil {
		return 2
	}
	_, decimals, _ := strings.Cut(strings.TrimSuffix(string(level.Availability.Uptime), "%"), ".")
	return max(2, len(decimals))
}
