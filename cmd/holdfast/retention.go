package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"holdfast/client"
)

// retentionCmd shows what is kept and why, and records what that rests on.
type retentionCmd struct {
	Show     retentionShowCmd     `cmd:"" help:"Of every deposit of a module, whether it stays and why."`
	Verified retentionVerifiedCmd `cmd:"" help:"Record that a deposit passed a verification level."`
	Release  retentionReleaseCmd  `cmd:"" help:"Say that a deposit which is kept aside is right; it takes two people."`
}

type retentionShowCmd struct {
	scoped
	Module string `arg:"" help:"Module id."`
}

func (c *retentionShowCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	list, err := cl.Standing(ctx, c.Arrangement, c.Module)
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(list)
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NUMBER\tKIND\tACCEPTED\tSTORED\tVERIFIED\tIT\tBECAUSE")
	for _, d := range list {
		var why []string
		for _, r := range d.Reasons {
			why = append(why, r.Text)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", d.Number, d.Kind, d.AcceptedAt.Format("2006-01-02"), size(d.StoredBytes), level(d), fate(d), strings.Join(why, "; "))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, d := range list {
		if len(d.Suspect) == 0 {
			continue
		}
		state := "kept aside until two people release it"
		switch len(d.ReleasedBy) {
		case 1:
			state = "kept aside; " + d.ReleasedBy[0] + " says it is right, a second person is needed"
		case 2:
			state = "released by " + strings.Join(d.ReleasedBy, " and ")
		}
		fmt.Fprintf(s.out, "deposit %d: %s; %s\n", d.Number, strings.Join(d.Suspect, "; "), state)
	}
	return nil
}

func level(d client.Standing) string {
	if d.Level == 0 {
		return "-"
	}
	return fmt.Sprintf("level %d", d.Level)
}

// fate is what becomes of a deposit, in a word or two.
func fate(d client.Standing) string {
	switch {
	case d.Destruction != "":
		return "is gone (" + d.Destruction + ")"
	case d.Due && d.Keep:
		return "is overdue"
	case d.Due:
		return "must go"
	case d.Keep:
		return "stays"
	}
	return "may go"
}

type retentionVerifiedCmd struct {
	scoped
	Module string `arg:"" help:"Module id."`
	Number int    `arg:"" help:"Deposit number."`
	Level  int    `required:"" help:"1 integrity, 2 content, 3 build or restore, 4 operate."`
	Note   string `required:"" help:"What was done and seen, for the record."`
}

func (c *retentionVerifiedCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	if err := cl.RecordVerification(ctx, c.Arrangement, c.Module, c.Number, client.Verification{Level: c.Level, Note: c.Note}); err != nil {
		return err
	}
	return s.result(map[string]any{"module": c.Module, "number": c.Number, "level": c.Level}, "verified  deposit %d of %s, level %d\n", c.Number, c.Module, c.Level)
}

type retentionReleaseCmd struct {
	scoped
	Module string `arg:"" help:"Module id."`
	Number int    `arg:"" help:"Deposit number."`
	Reason string `required:"" help:"Why it is right although it looks wrong, for the record."`
}

func (c *retentionReleaseCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	if err := cl.ReleaseSuspect(ctx, c.Arrangement, c.Module, c.Number, c.Reason); err != nil {
		return err
	}
	d, err := cl.Deposit(ctx, c.Arrangement, c.Module, c.Number)
	if err != nil {
		return err
	}
	state := "released"
	if len(d.Suspect) > 0 {
		state = "waiting for a second person of another party"
	}
	return s.result(map[string]any{"module": c.Module, "number": c.Number, "state": state}, "release   deposit %d of %s: %s\n", c.Number, c.Module, state)
}

// runningCmd says what a beneficiary runs, so that it stays.
type runningCmd struct {
	State runningStateCmd `cmd:"" help:"Say which deposit of a module your organisation runs."`
	List  runningListCmd  `cmd:"" help:"List what is run."`
}

type runningStateCmd struct {
	scoped
	Module  string `arg:"" help:"Module id."`
	Deposit int    `arg:"" optional:"" help:"Deposit number."`
	Version string `help:"The version as people call it."`
	None    bool   `help:"Nothing of this module is run any more."`
}

func (c *runningStateCmd) Validate() error {
	if c.None == (c.Deposit > 0) {
		return fmt.Errorf("give a deposit number, or --none")
	}
	return nil
}

func (c *runningStateCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	if err := cl.StateRunning(ctx, c.Arrangement, c.Module, client.NewRunning{Deposit: c.Deposit, Version: c.Version}); err != nil {
		return err
	}
	if c.None {
		return s.result(map[string]any{"module": c.Module, "deposit": 0}, "running   nothing of %s any more\n", c.Module)
	}
	return s.result(map[string]any{"module": c.Module, "deposit": c.Deposit, "version": c.Version}, "running   deposit %d of %s: it stays as long as that is so\n", c.Deposit, c.Module)
}

type runningListCmd struct{ scoped }

func (c *runningListCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	list, err := cl.Running(ctx, c.Arrangement)
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(list)
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MODULE\tPARTY\tDEPOSIT\tVERSION\tSTATED")
	for _, r := range list {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", r.Module, r.Party, r.Deposit, orDash(r.Version), r.StatedAt.Format("2006-01-02"))
	}
	return w.Flush()
}
