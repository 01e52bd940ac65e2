package main

import (
	"context"
	"fmt"
	"slices"

	"holdfast/client"
	"holdfast/internal/escrow"
)

// printFound says what a deposit lacks that was agreed, and what can be done.
func printFound(s *streams, d client.Duty, f client.Refused) {
	if slices.ContainsFunc(d.Refused, func(r client.Refused) bool { return r.Deposit == f.Deposit && slices.Equal(r.Defects, f.Defects) }) {
		return // it was said already
	}
	for _, defect := range f.Defects {
		if f.Deposit == 0 {
			fmt.Fprintf(s.out, "%s lacks what was agreed: %s\n", d.Module, defect)
			continue
		}
		fmt.Fprintf(s.out, "deposit %d of %s lacks what was agreed: %s\n", f.Deposit, d.Module, defect)
	}
	if f.Deposit > 0 && d.Level > 1 {
		fmt.Fprintf(s.out, "  the agent refuses it for that with 'holdfast duty refuse %s %d'\n", d.Module, f.Deposit)
	}
}

// foundDefects are what the check at intake found missing in a deposit.
func foundDefects(ctx context.Context, cl *client.Client, r scoped, module string, number int) ([]string, error) {
	list, err := cl.Duty(ctx, r.Arrangement)
	if err != nil {
		return nil, err
	}
	for _, d := range list {
		if d.Module != module {
			continue
		}
		for _, f := range d.Found {
			if f.Deposit == number {
				return f.Defects, nil
			}
		}
	}
	return nil, escrow.Errorf(escrow.Invalid, "nothing that was agreed was found missing in deposit %d of %s, so say what is wrong", number, module).
		WithHint("--defect 'README.md: it does not say how to build'")
}
