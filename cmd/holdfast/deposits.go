package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// depositsCmd shows what is held.
type depositsCmd struct {
	scoped
	Module string `arg:"" help:"Module id."`
}

func (c *depositsCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	list, err := cl.Deposits(ctx, c.Arrangement, c.Module)
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(list)
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NUMBER\tKIND\tSTORED\tHELD\tACCEPTED\tMANIFEST")
	for _, d := range list {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", d.Number, d.Kind, size(d.StoredBytes), d.Completeness, d.AcceptedAt.Format("2006-01-02 15:04:05"), d.Digest[:16])
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, d := range list {
		if d.Destruction != "" {
			fmt.Fprintf(s.out, "deposit %d: destroyed by %s; its number and receipt stay\n", d.Number, d.Destruction)
		}
		for _, why := range d.Suspect {
			fmt.Fprintf(s.out, "deposit %d: kept aside: %s\n", d.Number, why)
		}
		m, err := evidence.ParseDepositManifest([]byte(d.Manifest.Document))
		if err != nil {
			return escrow.Errorf(escrow.Damaged, "manifest of deposit %d: %w", d.Number, err)
		}
		if m.Git != nil {
			for _, ch := range m.Git.Changes {
				fmt.Fprintf(s.out, "deposit %d: %s %s, was %.12s, is %.12s\n", d.Number, ch.Ref, ch.Kind, orDash(ch.Old), orDash(ch.New))
			}
		}
		for _, missing := range m.Missing {
			fmt.Fprintf(s.out, "deposit %d: not held: %s\n", d.Number, missing)
		}
	}
	return nil
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// receiptCmd fetches a receipt, checks it, and keeps it.
type receiptCmd struct {
	scoped
	Module string `arg:"" help:"Module id."`
	Number int    `arg:"" help:"Deposit number."`
	Out    string `required:"" help:"File to write the receipt to; the manifest goes beside it." type:"path"`
}

func (c *receiptCmd) Run(ctx context.Context, s *streams) error {
	cl, memory, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	d, err := cl.Deposit(ctx, c.Arrangement, c.Module, c.Number)
	if err != nil {
		return err
	}
	data, err := cl.Receipt(ctx, c.Arrangement, c.Module, c.Number)
	if err != nil {
		return err
	}
	checkpoint, err := c.believe(ctx, cl, memory, data, evidence.Digest([]byte(d.Manifest.Document)))
	if err != nil {
		return err
	}
	if err := newFiles(receiptFiles(c.Out, data, d.Manifest)); err != nil {
		return err
	}
	return s.result(map[string]any{"module": c.Module, "number": d.Number, "origin": checkpoint.Origin, "size": checkpoint.Size, "written": c.Out},
		"receipt   deposit %d of %s is in the ledger of %s, size %d\n  kept in   %s\n", d.Number, c.Module, checkpoint.Origin, checkpoint.Size, c.Out)
}

// receiptFiles are a receipt and, beside it, the manifest it is for.
func receiptFiles(path string, receipt []byte, manifest client.Signed) []newFile {
	return []newFile{{path, receipt, 0o600}, {path + ".manifest", []byte(manifest.Document), 0o600}, {path + ".manifest.sig", []byte(manifest.Signature), 0o600}}
}

// believe verifies a receipt, and that its ledger is the one remembered: a
// server could show one ledger to everybody else and another in receipts.
func (r remote) believe(ctx context.Context, cl *client.Client, memory client.Memory, receipt []byte, manifest string) (evidence.Checkpoint, error) {
	checkpoint, err := checkReceipt(receipt, manifest, memory.Key)
	if err != nil {
		return checkpoint, err
	}
	after, err := cl.Follow(ctx, memory, checkpoint)
	if err != nil {
		return checkpoint, ledgerError(err)
	}
	if after == memory {
		return checkpoint, nil
	}
	path, err := r.memoryPath()
	if err != nil {
		return checkpoint, err
	}
	return checkpoint, r.remember(path, after)
}

// checkReceipt verifies a receipt offline.
func checkReceipt(data []byte, manifestDigest, ledgerKey string) (evidence.Checkpoint, error) {
	policy, err := evidence.NewPolicy(ledgerKey, nil, 0)
	if err != nil {
		return evidence.Checkpoint{}, escrow.Errorf(escrow.Invalid, "ledger key: %w", err)
	}
	r, err := evidence.ParseReceipt(data)
	if err != nil {
		return evidence.Checkpoint{}, escrow.Errorf(escrow.Damaged, "%w", err)
	}
	checkpoint, err := evidence.VerifyReceipt(r, policy, manifestDigest)
	if err != nil {
		return evidence.Checkpoint{}, escrow.Errorf(escrow.Damaged, "%w", err)
	}
	return checkpoint, nil
}
