package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"holdfast/client"
)

// dutyCmd shows whether deposits come as agreed.
type dutyCmd struct {
	Show     dutyShowCmd     `cmd:"" default:"withargs" help:"Of every module: the last deposit, when the next is due, what was missed."`
	Accept   dutyAcceptCmd   `cmd:"" help:"Accept a deposit as what was agreed (the agent's word)."`
	Refuse   dutyRefuseCmd   `cmd:"" help:"Refuse a deposit, with what is wrong and where (the agent's word)."`
	Announce dutyAnnounceCmd `cmd:"" help:"Say that a new version of a module's software is there."`
}

type dutyShowCmd struct{ scoped }

func (c *dutyShowCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	list, err := cl.Duty(ctx, c.Arrangement)
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(list)
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MODULE\tLAST\tCAME\tDUE\tMISSED AT\tMISSED\tSTEP\tDECIDE BY")
	for _, d := range list {
		last := "-"
		if d.Last > 0 {
			last = fmt.Sprint(d.Last)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", d.Module, last, minute(d.LastAt), minute(d.Due), minute(d.Missed), d.Count, strings.ReplaceAll(d.Step, "_", " "), decideBy(d))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, d := range list {
		for _, r := range d.Refused {
			for _, defect := range r.Defects {
				fmt.Fprintf(s.out, "deposit %d of %s was refused: %s\n", r.Deposit, d.Module, defect)
			}
		}
		for _, f := range d.Found {
			printFound(s, d, f)
		}
		if len(d.Mandatory) > 0 {
			fmt.Fprintf(s.out, "%s must hold: %s\n", d.Module, strings.Join(d.Mandatory, ", "))
		}
		for _, t := range d.Taken {
			fmt.Fprintf(s.out, "%s: %s since %s\n", d.Module, strings.ReplaceAll(t.Step, "_", " "), minute(&t.Since))
		}
	}
	return nil
}

func minute(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Format("2006-01-02 15:04")
}

func decideBy(d client.Duty) string {
	switch {
	case d.Undecided == 0:
		return "-"
	case d.Late:
		return fmt.Sprintf("deposit %d, late since %s", d.Undecided, minute(d.DecideBy))
	}
	return fmt.Sprintf("deposit %d, %s", d.Undecided, minute(d.DecideBy))
}

type dutyAcceptCmd struct {
	scoped
	Module string `arg:"" help:"Module id."`
	Number int    `arg:"" help:"Deposit number; it settles those before it as well."`
	Level  int    `required:"" help:"Verification level it was found to have: 1 integrity, 2 content, 3 build or restore, 4 operate."`
	Note   string `help:"What was done and seen, for the record."`
}

func (c *dutyAcceptCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	if err := cl.DecideDeposit(ctx, c.Arrangement, c.Module, c.Number, client.NewDecision{Level: c.Level, Note: c.Note}); err != nil {
		return err
	}
	return s.result(map[string]any{"module": c.Module, "number": c.Number, "level": c.Level}, "accepted  deposit %d of %s, level %d\n", c.Number, c.Module, c.Level)
}

type dutyRefuseCmd struct {
	scoped
	Module string   `arg:"" help:"Module id."`
	Number int      `arg:"" help:"Deposit number."`
	Defect []string `sep:"none" help:"What is wrong and where, such as 'README.md: it does not say how to build'. Repeat it for more. Without it, what the check at intake found missing."`
	Note   string   `help:"Anything else, for the record."`
}

func (c *dutyRefuseCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	if len(c.Defect) == 0 {
		if c.Defect, err = foundDefects(ctx, cl, c.scoped, c.Module, c.Number); err != nil {
			return err
		}
	}
	if err := cl.DecideDeposit(ctx, c.Arrangement, c.Module, c.Number, client.NewDecision{Refused: true, Defects: c.Defect, Note: c.Note}); err != nil {
		return err
	}
	return s.result(map[string]any{"module": c.Module, "number": c.Number, "refused": true, "defects": c.Defect}, "refused   deposit %d of %s: it does not count as made\n", c.Number, c.Module)
}

type dutyAnnounceCmd struct {
	scoped
	Module  string `arg:"" help:"Module id."`
	Version string `arg:"" help:"The version."`
}

func (c *dutyAnnounceCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	if err := cl.AnnounceRelease(ctx, c.Arrangement, c.Module, c.Version); err != nil {
		return err
	}
	return s.result(map[string]any{"module": c.Module, "version": c.Version}, "announced version %s of %s\n", c.Version, c.Module)
}
