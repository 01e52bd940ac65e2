package main

import (
	"context"
	"fmt"
	"time"

	"holdfast/client"
	"holdfast/evidence"
)

// unchangedResult is what --json shows of a run that deposited nothing.
type unchangedResult struct {
	client.Deposit
	Reported *client.Unchanged `json:"reported,omitempty"`
}

// report tells the server, signed, that the source was read and holds nothing
// that is not deposited: a run that finds nothing new is then no missed
// deposit. Of a restic repository there is nothing to tell, since what is in it
// is restic's to know.
func (d *depositing) report(ctx context.Context, latest client.Deposit) error {
	said := func(out any, more string) error {
		return d.s.result(out, "unchanged module %s: deposit %d is up to date\n%s", d.c.Module, latest.Number, more)
	}
	if d.base.State.State == "" {
		return said(latest, "")
	}
	u := evidence.Unchanged{Arrangement: d.c.Arrangement, Agreement: d.base.Agreement, Module: d.c.Module, Number: d.base.Latest.Number,
		Deposit: d.base.Latest.Digest, State: d.base.State.State, At: evidence.At(time.Now()), By: d.me.name}
	document, err := u.Bytes()
	if err != nil {
		return err
	}
	signature, err := evidence.Sign(d.signer, evidence.NamespaceDeposit, document)
	if err != nil {
		return err
	}
	got, err := d.client.ReportUnchanged(ctx, d.c.Arrangement, d.c.Module, client.UnchangedReport{Report: client.Signed{Document: string(document), Signature: string(signature)}})
	if err != nil {
		return fmt.Errorf("nothing changed since deposit %d, and that could not be reported: %w", latest.Number, err)
	}
	more := "  reported to the server: nothing is owed\n"
	if got.NotCounted != "" {
		more = fmt.Sprintf("  reported to the server, but it does not count: of deposit %d, %s\n", got.Number, got.NotCounted)
	}
	return said(unchangedResult{latest, &got}, more)
}
