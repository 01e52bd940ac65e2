// Package ledger keeps the append-only Merkle log of every act in the same
// SQL database as the state it is about, and proves from it.
//
// It imports the standard library, x/mod/sumdb, evidence and escrow, and
// works inside transactions its caller opens. The published formats and all
// offline checks are in evidence.
package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/mod/sumdb/note"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// Tx is what the ledger needs of a transaction; *sql.Tx satisfies it.
type Tx interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Beginner opens read transactions; *sql.DB satisfies it. For SQLite it must
// be a handle of its own, not the writer's, or a read inside a write would
// wait for itself.
type Beginner interface {
	BeginTx(ctx context.Context, opts *sql.TxOptions) (*sql.Tx, error)
}

// Act is something somebody did, as an engine reports it, and the state that
// the same transaction wrote because of it, as the store saw it.
type Act struct {
	escrow.Act
	Rows []evidence.Row
}

// Entry is an act in its place in the ledger.
type Entry = evidence.Entry

// Options are what a [Log] is made of.
type Options struct {
	Reader Beginner         // committed state; proofs and checkpoints are made from it
	Signer note.Signer      // signs checkpoints; its name is the ledger's origin
	Now    func() time.Time // for acts without a time
	Rand   io.Reader        // for salts
}

// Log is the ledger of one installation. It keeps no state of its own and
// may be used by many goroutines, and by many processes on one database.
type Log struct {
	reader Beginner
	signer note.Signer
	now    func() time.Time
	rand   io.Reader
}

// New returns the log over tables that [Schema] made.
func New(o Options) (*Log, error) {
	if o.Reader == nil || o.Signer == nil || o.Now == nil || o.Rand == nil {
		return nil, errors.New("ledger: reader, signer, clock and random source are all needed")
	}
	empty := evidence.Checkpoint{Origin: o.Signer.Name(), Root: new(evidence.Frontier).Root()}
	if _, err := evidence.SignCheckpoint(empty, o.Signer); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	return &Log{reader: o.Reader, signer: o.Signer, now: o.Now, rand: o.Rand}, nil
}

// Origin names the ledger: the first line of its checkpoints.
func (l *Log) Origin() string { return l.signer.Name() }
