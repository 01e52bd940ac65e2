package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// MaxEntries bounds the entries of one answer of [Log.Entries] and
// [Log.EntriesOf].
const MaxEntries = 1000

// Entry returns one committed entry.
func (l *Log) Entry(ctx context.Context, index int64) (Entry, error) {
	var e Entry
	err := l.read(ctx, func(s *snapshot) (err error) {
		e, err = s.entry(ctx, index)
		return err
	})
	return e, err
}

// Entries returns up to limit committed entries from index from on.
func (l *Log) Entries(ctx context.Context, from int64, limit int) ([]Entry, error) {
	return l.entries(ctx, `WHERE seq >= $1 ORDER BY seq LIMIT $2`, from, min(limit, MaxEntries))
}

// EntriesOf returns up to limit committed entries about one arrangement, from
// index from on, without those whose content was erased.
func (l *Log) EntriesOf(ctx context.Context, arrangement string, from int64, limit int) ([]Entry, error) {
	return l.entries(ctx, `WHERE arrangement = $3 AND seq >= $1 ORDER BY seq LIMIT $2`, from, min(limit, MaxEntries), arrangement)
}

func (l *Log) entries(ctx context.Context, where string, args ...any) ([]Entry, error) {
	var out []Entry
	err := l.read(ctx, func(s *snapshot) error {
		rows, err := s.tx.QueryContext(ctx, `SELECT seq, payload, salt, commitment FROM ledger_leaf `+where, args...)
		if err != nil {
			return fmt.Errorf("ledger: read entries: %w", err)
		}
		defer rows.Close()
		for rows.Next() {
			e, err := scanEntry(rows)
			if err != nil {
				return fmt.Errorf("ledger: read entries: %w", err)
			}
			out = append(out, e)
		}
		if err := rows.Err(); err != nil {
			return fmt.Errorf("ledger: read entries: %w", err)
		}
		return nil
	})
	return out, err
}

// Sign returns a signed checkpoint of the committed ledger as it is now. It
// never signs what a transaction has written but not committed, which could
// be lost and then differ.
func (l *Log) Sign(ctx context.Context) ([]byte, error) {
	var signed []byte
	err := l.read(ctx, func(s *snapshot) (err error) {
		signed, err = l.sign(s)
		return err
	})
	return signed, err
}

func (l *Log) sign(s *snapshot) ([]byte, error) {
	return evidence.SignCheckpoint(evidence.Checkpoint{Origin: l.Origin(), Size: s.size, Root: s.root}, l.signer)
}

// Prove returns an entry with the proof that it is in the ledger as it is
// now. Entry, proof and checkpoint come from one read transaction, so they
// always belong together.
func (l *Log) Prove(ctx context.Context, index int64) (Entry, evidence.Proof, error) {
	var e Entry
	p := evidence.Proof{Index: index}
	err := l.read(ctx, func(s *snapshot) (err error) {
		if e, err = s.entry(ctx, index); err != nil {
			return err
		}
		if p.Hashes, err = s.proveRecord(ctx, s.size, s.root, e); err != nil {
			return err
		}
		p.Checkpoint, err = l.sign(s)
		return err
	})
	return e, p, err
}

// ProveWitnessed is [Log.Prove] against the newest checkpoint that at least
// witnesses of the known witnesses have cosigned and that includes the entry.
// Until there is one it fails as Unavailable.
func (l *Log) ProveWitnessed(ctx context.Context, index int64, witnesses int) (Entry, evidence.Proof, error) {
	var e Entry
	p := evidence.Proof{Index: index}
	err := l.read(ctx, func(s *snapshot) (err error) {
		if e, err = s.entry(ctx, index); err != nil {
			return err
		}
		var size int64
		err = s.tx.QueryRowContext(ctx, `SELECT size, note FROM ledger_checkpoint
			WHERE size > $1 AND witnesses >= $2 ORDER BY size DESC LIMIT 1`, index, witnesses).Scan(&size, &p.Checkpoint)
		if errors.Is(err, sql.ErrNoRows) {
			return escrow.Errorf(escrow.Unavailable, "ledger: no checkpoint with %d cosignatures includes entry %d yet", witnesses, index).
				WithHint("ask again after the witnesses have seen the next checkpoint")
		}
		if err != nil {
			return fmt.Errorf("ledger: read checkpoints: %w", err)
		}
		c, err := evidence.PeekCheckpoint(p.Checkpoint)
		if err != nil || c.Size != size {
			return damaged(err, "the stored checkpoint of size %d", size)
		}
		p.Hashes, err = s.proveRecord(ctx, c.Size, c.Root, e)
		return err
	})
	return e, p, err
}

// Receipt returns the receipt for the document that entry index is about.
func (l *Log) Receipt(ctx context.Context, index int64) (*evidence.Receipt, error) {
	e, p, err := l.Prove(ctx, index)
	if err != nil {
		return nil, err
	}
	if !e.Open() {
		return nil, escrow.Errorf(escrow.Missing, "ledger: the content of entry %d was erased, so it has no receipt", index).
			WithHint("a receipt that was handed out before still verifies")
	}
	a, err := e.Act()
	if err != nil {
		return nil, damaged(err, "entry %d", index)
	}
	r, err := evidence.NewReceipt(a.Subject, e, p)
	if err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "ledger: entry %d has no receipt: %w", index, err)
	}
	return r, nil
}

// Grow returns the proof that the ledger as it is now contains the ledger as
// it was at size old.
func (l *Log) Grow(ctx context.Context, old int64) (evidence.Growth, error) {
	g := evidence.Growth{Old: old}
	err := l.read(ctx, func(s *snapshot) (err error) {
		if g.Hashes, err = s.proveTree(ctx, s.size, old); err != nil {
			return err
		}
		g.Checkpoint, err = l.sign(s)
		return err
	})
	return g, err
}

// Between returns the proof that the ledger at size contains the ledger as it
// was at size old. Both may be smaller than it is now.
func (l *Log) Between(ctx context.Context, old, size int64) (tlog.TreeProof, error) {
	var proof tlog.TreeProof
	err := l.read(ctx, func(s *snapshot) (err error) {
		if size > s.size {
			return escrow.Errorf(escrow.NotFound, "ledger: it has %d entries, not %d", s.size, size)
		}
		proof, err = s.proveTree(ctx, size, old)
		return err
	})
	return proof, err
}

// snapshot is the committed ledger at one size.
type snapshot struct {
	tx   Tx
	edge *evidence.Frontier
	size int64
	root tlog.Hash
}

// read runs fn over the committed ledger. The head is read first: whatever
// the isolation, everything below its size is there and never changes.
func (l *Log) read(ctx context.Context, fn func(*snapshot) error) error {
	tx, err := l.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead})
	if err != nil {
		return fmt.Errorf("ledger: begin read: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	s, err := readSnapshot(ctx, tx)
	if err != nil {
		return err
	}
	return fn(s)
}

func readSnapshot(ctx context.Context, tx Tx) (*snapshot, error) {
	s := &snapshot{tx: tx}
	var edge []byte
	if err := tx.QueryRowContext(ctx, `SELECT size, edge FROM ledger_head WHERE id = 1`).Scan(&s.size, &edge); err != nil {
		return nil, fmt.Errorf("ledger: read head: %w", err)
	}
	var err error
	if s.edge, err = evidence.ParseFrontier(s.size, edge); err != nil {
		return nil, damaged(err, "the head")
	}
	s.root = s.edge.Root()
	return s, nil
}

func (s *snapshot) entry(ctx context.Context, index int64) (Entry, error) {
	if index < 0 || index >= s.size {
		return Entry{}, escrow.Errorf(escrow.NotFound, "ledger: no entry %d; the ledger has %d", index, s.size)
	}
	row := s.tx.QueryRowContext(ctx, `SELECT seq, payload, salt, commitment FROM ledger_leaf WHERE seq = $1`, index)
	e, err := scanEntry(row)
	if errors.Is(err, sql.ErrNoRows) {
		return Entry{}, damaged(nil, "entry %d is not there", index)
	}
	if err != nil {
		return Entry{}, fmt.Errorf("ledger: read entry %d: %w", index, err)
	}
	if err := e.Check(); err != nil {
		return Entry{}, damaged(err, "a stored entry does not hold")
	}
	return e, nil
}

type scanner interface{ Scan(...any) error }

func scanEntry(row scanner) (Entry, error) {
	var e Entry
	var commitment []byte
	if err := row.Scan(&e.Index, &e.Payload, &e.Salt, &commitment); err != nil {
		return Entry{}, err
	}
	copy(e.Commitment[:], commitment)
	return e, nil
}

// damaged makes the error for a stored ledger that contradicts itself.
func damaged(cause error, format string, args ...any) error {
	e := &escrow.Error{Code: escrow.Damaged, Message: "ledger: " + fmt.Sprintf(format, args...), Err: cause}
	return e.WithHint("run holdfast verify; it names the first entry that does not hold")
}
