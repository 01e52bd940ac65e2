package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// Published returns the last published checkpoint with the cosignatures it
// has, or a fresh one when none was published yet.
func (l *Log) Published(ctx context.Context) ([]byte, error) {
	var signed []byte
	err := l.read(ctx, func(s *snapshot) (err error) {
		_, signed, err = s.published(ctx)
		if err == nil && signed == nil {
			signed, err = l.sign(s)
		}
		return err
	})
	return signed, err
}

// published returns the stored checkpoint of the greatest size, or nil.
func (s *snapshot) published(ctx context.Context) (evidence.Checkpoint, []byte, error) {
	var size int64
	var signed []byte
	err := s.tx.QueryRowContext(ctx, `SELECT size, note FROM ledger_checkpoint ORDER BY size DESC LIMIT 1`).Scan(&size, &signed)
	if errors.Is(err, sql.ErrNoRows) {
		return evidence.Checkpoint{}, nil, nil
	}
	if err != nil {
		return evidence.Checkpoint{}, nil, fmt.Errorf("ledger: read checkpoints: %w", err)
	}
	c, err := evidence.PeekCheckpoint(signed)
	if err != nil || c.Size != size {
		return evidence.Checkpoint{}, nil, damaged(err, "the published checkpoint of size %d", size)
	}
	return c, signed, nil
}

// Writer runs fn in a write transaction and commits it when fn returns nil.
type Writer func(ctx context.Context, fn func(Tx) error) error

// Publish signs the committed ledger as it is now, stores the checkpoint as
// the published one through write, and returns it. Earlier checkpoints stay
// only when they are cosigned.
//
// It refuses when the ledger no longer contains what was published before,
// or was published under another origin: signing then would be the proof of
// a fork.
func (l *Log) Publish(ctx context.Context, write Writer) ([]byte, error) {
	var size int64
	var signed []byte
	err := l.read(ctx, func(s *snapshot) error {
		last, lastSigned, err := s.published(ctx)
		if err != nil {
			return err
		}
		if lastSigned != nil {
			if err := l.follows(ctx, s, last); err != nil {
				return err
			}
			if last.Size == s.size {
				signed = lastSigned
				return nil
			}
		}
		size = s.size
		signed, err = l.sign(s)
		return err
	})
	if err != nil || size == 0 {
		return signed, err
	}
	err = write(ctx, func(tx Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO ledger_checkpoint (size, note, witnesses) VALUES ($1, $2, 0)
			ON CONFLICT (size) DO NOTHING`, size, signed)
		if err != nil {
			return err
		}
		// A smaller one that another process was slower to publish goes too.
		_, err = tx.ExecContext(ctx, `DELETE FROM ledger_checkpoint WHERE witnesses = 0
			AND size < (SELECT max(size) FROM ledger_checkpoint)`)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: publish size %d: %w", size, err)
	}
	return signed, nil
}

// follows checks that the ledger at s contains what last says.
func (l *Log) follows(ctx context.Context, s *snapshot, last evidence.Checkpoint) error {
	if last.Origin != l.Origin() {
		return escrow.Errorf(escrow.Conflict, "ledger: it was published as %q, and the configured key signs for %q", last.Origin, l.Origin()).
			WithHint("configure the key this ledger was started with")
	}
	if last.Size > s.size {
		return damaged(nil, "size %d was published and %d entries are there", last.Size, s.size)
	}
	root, err := s.rootAt(ctx, last.Size)
	if err != nil {
		return err
	}
	if root != last.Root {
		return damaged(nil, "at size %d the root %s was published and is now %s", last.Size, last.Root, root)
	}
	return nil
}

// Cosign adds the witness cosignatures in signed, a published checkpoint, to
// the stored one, in tx. policy names the witnesses that count; lines of
// others are dropped and a line that does not verify is refused. It returns
// how many witnesses have cosigned that checkpoint now.
func (l *Log) Cosign(ctx context.Context, tx Tx, policy evidence.Policy, signed []byte) (int, error) {
	c, err := evidence.PeekCheckpoint(signed)
	if err != nil {
		return 0, escrow.Errorf(escrow.Invalid, "ledger: cosignature: %w", err)
	}
	// The no-op update takes the row's lock, so two witnesses that arrive at
	// once both end up in the note.
	var have []byte
	err = tx.QueryRowContext(ctx, `UPDATE ledger_checkpoint SET size = size WHERE size = $1 RETURNING note`, c.Size).Scan(&have)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, escrow.Errorf(escrow.NotFound, "ledger: no published checkpoint of size %d", c.Size).
			WithHint("cosign the checkpoint that is published now")
	}
	if err != nil {
		return 0, fmt.Errorf("ledger: read checkpoint of size %d: %w", c.Size, err)
	}
	merged, witnesses, err := evidence.MergeCosignatures(policy, have, signed)
	if err != nil {
		return 0, escrow.Errorf(escrow.Invalid, "ledger: cosignature of size %d: %w", c.Size, err)
	}
	_, err = tx.ExecContext(ctx, `UPDATE ledger_checkpoint SET note = $1, witnesses = $2 WHERE size = $3`, merged, witnesses, c.Size)
	if err != nil {
		return 0, fmt.Errorf("ledger: store cosignature of size %d: %w", c.Size, err)
	}
	return witnesses, nil
}
