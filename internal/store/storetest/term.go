package storetest

import (
	"context"
	"testing"

	"holdfast/internal/escrow"
	"holdfast/internal/store"
)

func termFact(id string, minute int) escrow.TermFact {
	return escrow.TermFact{Arrangement: Acme, ID: id, Kind: escrow.CoverFiled, About: "insurance/cyber/agent", Until: "2028-01-31", Document: "polis", Digest: digest("polis"),
		Party: "agent", RecordedBy: "agent/eva", RecordedAt: at(minute)}
}

// termSteps fill the tables of promises with a date.
func termSteps() []step {
	return []step{{"term_fact", func(ctx context.Context, tx *store.Tx) error { return tx.PutTermFact(ctx, termFact("t1", 30)) }}}
}

func testTerms(t *testing.T, d *Database) {
	for _, f := range []escrow.TermFact{termFact("t2", 31), termFact("t1", 30)} {
		d.Update(t, "term.certificate", func(ctx context.Context, tx *store.Tx) error { return tx.PutTermFact(ctx, f) })
	}
	d.refuses(t, "a fact that is there", escrow.Conflict, func(ctx context.Context, tx *store.Tx) error { return tx.PutTermFact(ctx, termFact("t1", 40)) })
	same(t, d, "facts", []escrow.TermFact{termFact("t1", 30), termFact("t2", 31)}, func(ctx context.Context, tx *store.Tx) ([]escrow.TermFact, error) {
		return tx.TermFacts(ctx, Acme)
	})
}
