package server

import (
	"context"

	"holdfast/evidence"
	"holdfast/internal/arrangement"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/restic"
	"holdfast/internal/keyring"
	"holdfast/internal/release"
	"holdfast/internal/scrub"
	"holdfast/internal/store"
	"holdfast/internal/vault"
)

// The store's transaction is everything the engines ask for.
var (
	_ arrangement.Tx = (*store.Tx)(nil)
	_ keyring.Tx     = (*store.Tx)(nil)
	_ vault.Tx       = (*store.Tx)(nil)
	_ scrub.Tx       = (*store.Tx)(nil)
	_ release.Tx     = (*store.Tx)(nil)
	_ restic.Tx      = (*store.Tx)(nil)
)

// database shows the store to an engine as the interface T it declared.
type database[T any] struct{ db *store.DB }

var _ escrow.Database[vault.Tx] = database[vault.Tx]{}

func (d database[T]) View(ctx context.Context, fn func(T) error) error {
	return d.db.View(ctx, func(tx *store.Tx) error { return fn(any(tx).(T)) })
}

func (d database[T]) Update(ctx context.Context, fn func(T) ([]escrow.Act, error)) ([]evidence.Entry, error) {
	return d.db.Update(ctx, func(tx *store.Tx) ([]escrow.Act, error) { return fn(any(tx).(T)) })
}
