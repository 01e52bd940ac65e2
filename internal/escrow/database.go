package escrow

import (
	"context"

	"holdfast/evidence"
)

// Database runs the transactions of an engine. T is the small interface over
// the state that the engine declares for itself; the server supplies the
// store behind it.
type Database[T any] interface {
	// View runs fn in one read transaction: everything it reads belongs
	// together.
	View(ctx context.Context, fn func(T) error) error

	// Update runs fn in one write transaction and records the acts it
	// returns in the ledger within that same transaction. State that was
	// written without an act is refused and rolled back. fn may run again
	// when the database asks for it, so it has no other effects. When Update
	// returns without an error, state and acts are durable.
	Update(ctx context.Context, fn func(T) ([]evidence.Act, error)) ([]evidence.Entry, error)
}
