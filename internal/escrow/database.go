package escrow

import (
	"context"
	"time"

	"holdfast/evidence"
)

// Act is something somebody did, as an engine reports it for the ledger.
type Act struct {
	Kind        string    // lower-case words joined by dots, such as "deposit.accepted"
	At          time.Time // zero means now
	Actor       string    // who; never empty
	Arrangement string    // "" for acts about the installation
	Subject     string    // an id, or the digest of the document it is about
	Data        any       // rendered as a JSON object; nil means {}. Never a secret
}

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
	Update(ctx context.Context, fn func(T) ([]Act, error)) ([]evidence.Entry, error)
}
