package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"holdfast/client"
	"holdfast/internal/escrow"
)

// holdCmd stops deletion.
type holdCmd struct {
	Place holdPlaceCmd `cmd:"" help:"Stop all deletion of a module's deposits, or of every module's."`
	Lift  holdLiftCmd  `cmd:"" help:"Lift a hold that your party placed."`
	List  holdListCmd  `cmd:"" help:"List the holds, with their grounds."`
}

type holdPlaceCmd struct {
	scoped
	Module string `arg:"" optional:"" help:"Module id (default: every module)."`
	From   int    `help:"First deposit (default: all)."`
	To     int    `help:"Last deposit (default: all)."`
	Ground string `required:"" help:"Why: the claim, the proceedings, the order. It stays in the ledger."`
	Until  string `help:"Until when: a date (2027-12-31) or an RFC 3339 time (default: until it is lifted)."`
}

func (c *holdPlaceCmd) Run(ctx context.Context, s *streams) error {
	until, err := moment(c.Until)
	if err != nil {
		return err
	}
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	h, err := cl.PlaceHold(ctx, c.Arrangement, client.NewHold{Module: c.Module, From: c.From, To: c.To, Ground: c.Ground, Until: until})
	if err != nil {
		return err
	}
	return s.result(h, "held      %s: nothing of %s is deleted, %s\n", h.ID, heldWhat(h), heldUntil(h))
}

// moment reads a date or a time as RFC 3339; a date means its end in UTC.
func moment(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if d, err := time.Parse(time.DateOnly, text); err == nil {
		return d.AddDate(0, 0, 1).Format(time.RFC3339), nil
	}
	if _, err := time.Parse(time.RFC3339, text); err != nil {
		return "", escrow.Errorf(escrow.Invalid, "%q is neither a date nor a time", text).WithHint("write it like 2027-12-31 or 2027-12-31T17:00:00Z")
	}
	return text, nil
}

func heldWhat(h client.Hold) string {
	switch {
	case h.Module == "":
		return "any module"
	case h.From > 0 && h.To > 0:
		return fmt.Sprintf("%s, deposits %d to %d,", h.Module, h.From, h.To)
	case h.From > 0:
		return fmt.Sprintf("%s from deposit %d on", h.Module, h.From)
	case h.To > 0:
		return fmt.Sprintf("%s up to deposit %d", h.Module, h.To)
	}
	return h.Module
}

func heldUntil(h client.Hold) string {
	if h.Until == nil {
		return "until it is lifted"
	}
	return "until " + h.Until.Format("2006-01-02 15:04 UTC")
}

type holdLiftCmd struct {
	scoped
	Hold   string `arg:"" help:"Hold id."`
	Reason string `required:"" help:"Why, for the record."`
}

func (c *holdLiftCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	h, err := cl.LiftHold(ctx, c.Arrangement, c.Hold, c.Reason)
	if err != nil {
		return err
	}
	return s.result(h, "lifted    %s\n", h.ID)
}

type holdListCmd struct{ scoped }

func (c *holdListCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	list, err := cl.Holds(ctx, c.Arrangement)
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(list)
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "HOLD\tCOVERS\tBY\tUNTIL\tSTATE\tGROUND")
	for _, h := range list {
		state := "active"
		switch {
		case h.LiftedAt != nil:
			state = "lifted"
		case !h.Active:
			state = "ended"
		}
		until := "-"
		if h.Until != nil {
			until = h.Until.Format("2006-01-02 15:04")
		}
		fmt.Fprintf(w, "%s\t%s\t%s/%s\t%s\t%s\t%s\n", h.ID, heldWhat(h), h.Party, h.Person, until, state, h.Ground)
	}
	return w.Flush()
}
