package storetest

import (
	"context"
	"testing"

	"holdfast/internal/escrow"
	"holdfast/internal/store"
)

func unchanged(deposit int) escrow.Unchanged {
	return escrow.Unchanged{Arrangement: Acme, Module: "code", Deposit: deposit, Document: []byte("document"), Signature: []byte("signature"),
		Party: "leverancier", Person: "bob", At: at(60), ReceivedAt: at(61)}
}

func foundDefects(deposit int) escrow.FoundDefects {
	return escrow.FoundDefects{Arrangement: Acme, Module: "code", Deposit: deposit, Defects: []string{"build.sh: it is not in the deposit"}, FoundAt: at(62)}
}

func testUnchanged(t *testing.T, d *Database) {
	d.Update(t, "deposit.accepted", putDeposit(Deposit("code", 1)))
	d.Read(t, func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.Unchanged(ctx, Acme, "code"); escrow.CodeOf(err) != escrow.NotFound {
			t.Errorf("before there is one: %v", err)
		}
		return nil
	})
	put := func(u escrow.Unchanged) write {
		return func(ctx context.Context, tx *store.Tx) error { return tx.PutUnchanged(ctx, u) }
	}
	d.refuses(t, "about no deposit", escrow.Conflict, put(unchanged(2)))
	d.Update(t, "deposit.unchanged", put(unchanged(1)))
	next := unchanged(1)
	next.Document, next.At, next.ReceivedAt = []byte("another"), at(70), at(71)
	d.Update(t, "deposit.unchanged", put(next))
	same(t, d, "the newest", next, func(ctx context.Context, tx *store.Tx) (escrow.Unchanged, error) {
		return tx.Unchanged(ctx, Acme, "code")
	})

	defects := func(f escrow.FoundDefects) write {
		return func(ctx context.Context, tx *store.Tx) error { return tx.PutDefects(ctx, f) }
	}
	d.refuses(t, "defects of no deposit", escrow.Conflict, defects(foundDefects(2)))
	d.Update(t, "finding.content", defects(foundDefects(1)))
	d.refuses(t, "found twice", escrow.Conflict, defects(foundDefects(1)))
	same(t, d, "defects", []escrow.FoundDefects{foundDefects(1)}, func(ctx context.Context, tx *store.Tx) ([]escrow.FoundDefects, error) {
		return tx.Defects(ctx, Acme, "code")
	})
	d.mustVerify(t)
}
