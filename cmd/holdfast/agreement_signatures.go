package main

import (
	"context"
	"fmt"
	"slices"
	"text/tabwriter"

	"holdfast/client"
	"holdfast/internal/escrow"
)

type agreementSignaturesCmd struct{ ofVersion }

func (c *agreementSignaturesCmd) Run(ctx context.Context, s *streams) error {
	_, v, err := c.fetch(ctx, s)
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(v)
	}
	until := ""
	if v.State == string(escrow.VersionOffered) {
		until = ", to be signed until " + v.ExpiresAt.Format("2006-01-02 15:04 UTC")
	}
	fmt.Fprintf(s.out, "version %d of %s is %s%s\n", v.Version, c.Arrangement, v.State, until)
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PART\tPARTY\tSTATE\tBY\tON\tPROOF")
	for _, p := range v.Parts {
		if !p.Due {
			fmt.Fprintf(w, "%s\t-\tunchanged\t-\t-\t-\n", p.ID)
			continue
		}
		for _, g := range p.Signatures {
			state := "signed"
			if g.Needs != "" {
				state = "needs " + g.Needs
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", p.ID, g.Party, state, g.Person, g.SignedAt.Format("2006-01-02 15:04"), orDash(g.Authority))
		}
		for _, o := range p.Open {
			if o.Needs == "" {
				fmt.Fprintf(w, "%s\t%s\tto sign\t-\t-\t-\n", p.ID, o.Party)
			}
		}
	}
	return w.Flush()
}

// printOpen says what comes next.
func printOpen(s *streams, v client.AgreementVersion, parts []string) error {
	if v.State == string(escrow.VersionActive) {
		_, err := fmt.Fprintf(s.out, "  version %d is signed by everybody and in force\n", v.Version)
		return err
	}
	for _, p := range v.Parts {
		for _, o := range p.Open {
			if o.Needs != "" && (len(parts) == 0 || slices.Contains(parts, p.ID)) {
				fmt.Fprintf(s.out, "  the signature of %s under %s needs %s\n", o.Party, p.ID, o.Needs)
			}
		}
	}
	return nil
}
