package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"holdfast/client"
)

// locationCmd is about where sealed objects are kept.
type locationCmd struct {
	List   locationListCmd   `cmd:"" help:"Where objects are kept, how each location does, and what it lacks."`
	Drain  locationDrainCmd  `cmd:"" help:"Write nothing more to a location; what only it has is copied to the others."`
	Use    locationUseCmd    `cmd:"" help:"Write to a draining location again."`
	Retire locationRetireCmd `cmd:"" help:"Give a drained location up for good. What lies there stays until you remove it."`
	Reload locationReloadCmd `cmd:"" help:"Have the server take new locations from its configuration, without a restart."`
}

type locationListCmd struct{ remote }

func (c *locationListCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	list, err := cl.Locations(ctx)
	if err != nil {
		return err
	}
	return printLocations(s, list)
}

func printLocations(s *streams, list []client.Location) error {
	if s.json {
		return s.result(list, "")
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "LOCATION\tSTATE\tOBJECTS\tSIZE\tBEHIND\tBAD\tREAD AGAIN\tPLACE")
	for _, l := range list {
		state := l.State
		if l.Away {
			state += ", away"
		}
		place := l.Place
		if l.Arrangement != "" {
			place += " (" + l.Arrangement + " only)"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", l.ID, state, l.Objects, size(l.Bytes), behind(l), bad(l), scrubbed(l.Scrub), place)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, l := range list {
		if l.Away {
			fmt.Fprintf(s.out, "%s is away since %s: %s\n", l.ID, l.Since.Local().Format(time.DateTime), l.Error)
		}
		if l.State == "draining" {
			if l.Alone == 0 {
				fmt.Fprintf(s.out, "%s is drained: nothing needs it; give it up with 'holdfast location retire %s'\n", l.ID, l.ID)
			} else {
				fmt.Fprintf(s.out, "%s is draining: %d objects are only there yet\n", l.ID, l.Alone)
			}
		}
		if n := l.Damaged + l.Missing; n > 0 {
			fmt.Fprintf(s.out, "ALARM: %d copies at %s are bad and not healed; 'holdfast ledger list' names the deposits (finding.damaged, finding.missing, finding.unhealed)\n", n, l.ID)
		}
	}
	return nil
}

func behind(l client.Location) string {
	if l.Due == 0 {
		return "-"
	}
	return fmt.Sprintf("%d (%s)", l.Due, size(l.DueBytes))
}

func bad(l client.Location) string {
	if n := l.Damaged + l.Missing; n > 0 {
		return fmt.Sprint(n)
	}
	return "-"
}

func scrubbed(p client.ScrubPass) string {
	switch {
	case p.StartedAt == nil:
		return "not yet"
	case p.FinishedAt != nil:
		return p.FinishedAt.Local().Format("2006-01-02")
	case p.TotalBytes == 0:
		return "now"
	}
	return fmt.Sprintf("%d%%", min(100, p.Bytes*100/p.TotalBytes))
}

type locationStateCmd struct {
	remote
	Location string `arg:"" help:"Location id."`
}

func (c *locationStateCmd) set(ctx context.Context, s *streams, state string) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	list, err := cl.SetLocationState(ctx, c.Location, state)
	if err != nil {
		return err
	}
	return printLocations(s, list)
}

type locationDrainCmd struct{ locationStateCmd }

func (c *locationDrainCmd) Run(ctx context.Context, s *streams) error {
	return c.set(ctx, s, "draining")
}

type locationUseCmd struct{ locationStateCmd }

func (c *locationUseCmd) Run(ctx context.Context, s *streams) error { return c.set(ctx, s, "active") }

type locationRetireCmd struct{ locationStateCmd }

func (c *locationRetireCmd) Run(ctx context.Context, s *streams) error {
	return c.set(ctx, s, "retired")
}

type locationReloadCmd struct{ remote }

func (c *locationReloadCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	list, err := cl.ReloadLocations(ctx)
	if err != nil {
		return err
	}
	return printLocations(s, list)
}
