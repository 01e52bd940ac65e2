package main

import (
	"context"
	"fmt"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/export"
)

// exportCmd writes everything of an arrangement into a directory that needs
// no server any more.
type exportCmd struct {
	scoped
	Case string `help:"Only what this case released, with its approvals."`
	To   string `arg:"" help:"Directory to make." type:"path"`
}

func (c *exportCmd) Run(ctx context.Context, s *streams) error {
	x, err := fetchExport(ctx, s, c.scoped, export.Want{Case: c.Case, Dir: c.To})
	if c.Case == "" && codeOf(err) == escrow.NotFound {
		return escrow.Wrap(err, escrow.NotFound, "not everything in %s is for you to fetch", c.Arrangement).
			WithHint("the agent exports a whole arrangement; what was released to you comes with --case CASE")
	}
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(x.Index)
	}
	fmt.Fprintf(s.out, "exported  %s to %s, and verified\n", x.Index.Arrangement, c.To)
	for _, m := range x.Index.Modules {
		fmt.Fprintf(s.out, "  module  %-20s deposits %d to %d\n", m.ID, m.From, m.To)
	}
	fmt.Fprintf(s.out, "  guide   README.en.md, README.nl.md\n")
	return nil
}

// fetchExport fetches and verifies an export against the ledger remembered.
func fetchExport(ctx context.Context, s *streams, r scoped, w export.Want) (*export.Export, error) {
	c, memory, err := r.connect(ctx, s)
	if err != nil {
		return nil, err
	}
	pin, err := evidence.ParsePin(memory.Pin)
	if err != nil {
		return nil, err
	}
	bar := newProgress(s, "fetch")
	defer bar.done()
	w.Arrangement, w.Pins, w.Progress = r.Arrangement, []evidence.Pin{pin}, bar.of
	return export.Fetch(ctx, c, export.Server{LedgerKey: memory.Key, SigningKey: memory.Signer}, w)
}
