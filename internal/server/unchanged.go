package server

import (
	"context"

	"holdfast/client"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/store"
	"holdfast/internal/vault"
)

var _ vault.Terms = terms{}

// Content implements vault.Terms.
func (terms) Content(source []byte, module string) (items []string, decides bool, err error) {
	parsed, problems := agreement.Parse("agreement", source)
	if parsed == nil {
		return nil, false, agreement.Refusal(problems)
	}
	t, named := parsed.Duty(module)
	return escrow.FindableOf(t.Mandatory), named && t.Level < 2, nil
}

// Unchanged implements api.Deposits. What the next deposit has to bring again,
// though nothing changed, is not reported away.
func (d *deposits) Unchanged(ctx context.Context, actor escrow.Actor, arrangement, module string, report client.Signed) (client.Unchanged, error) {
	base, err := d.Base(ctx, actor, arrangement, module)
	if err != nil {
		return client.Unchanged{}, err
	}
	if base.Full {
		return client.Unchanged{}, escrow.Errorf(escrow.Conflict, "the next deposit of %s has to stand alone: what is held of its chain is not all there, or has to go soon", module).
			WithHint("deposit again: it is FULL by itself, though nothing changed")
	}
	u, err := d.Vault.Unchanged(ctx, actor, arrangement, module, []byte(report.Document), []byte(report.Signature))
	if err != nil {
		return client.Unchanged{}, err
	}
	out := client.Unchanged{Module: module, Number: u.Deposit, At: u.At.UTC(), ReceivedAt: u.ReceivedAt.UTC()}
	out.NotCounted, err = d.notCounted(ctx, u)
	return out, err
}

// notCounted says why the word that nothing changed does not count as a look,
// "" when it does.
func (d *deposits) notCounted(ctx context.Context, u escrow.Unchanged) (why string, err error) {
	err = d.db.View(ctx, func(tx *store.Tx) error {
		marks, err := tx.Marks(ctx, u.Arrangement, u.Module)
		for _, m := range marks {
			if m.Deposit == u.Deposit && !m.Released() {
				why = "it looks wrong beside what was there before and is kept aside until two people release it"
			}
		}
		if err != nil {
			return err
		}
		words, err := tx.Decisions(ctx, u.Arrangement, u.Module)
		for _, w := range words {
			if w.Deposit == u.Deposit && w.Refused {
				why = "it was refused, so a deposit is still owed"
			}
		}
		return err
	})
	return why, err
}
