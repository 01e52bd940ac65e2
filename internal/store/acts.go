package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/ledger"
)

// indexSubjects makes acts findable by what they are about. The index is drawn
// from the ledger and proves nothing; see [DB.EntryAbout].
func indexSubjects(ctx context.Context, tx *sql.Tx, acts []escrow.Act, entries []evidence.Entry) error {
	var q strings.Builder
	var args []any
	for i, a := range acts {
		if a.Subject == "" {
			continue
		}
		if len(args) > 0 {
			q.WriteByte(',')
		}
		fmt.Fprintf(&q, "($%d,$%d)", len(args)+1, len(args)+2)
		args = append(args, a.Subject, entries[i].Index)
	}
	if len(args) == 0 {
		return nil
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO act_subject (subject, seq) VALUES `+q.String(), args...); err != nil {
		return fmt.Errorf("index acts: %w", err)
	}
	return nil
}

// EntryAbout returns the index of the first ledger entry of a kind about a
// subject, such as the acceptance of the deposit with a manifest digest.
func (db *DB) EntryAbout(ctx context.Context, kind, subject string) (int64, error) {
	var found int64 = -1
	err := db.View(ctx, func(tx *Tx) error {
		scan := func(s scanner) (e evidence.Entry, err error) {
			return e, s.Scan(&e.Index, &e.Payload)
		}
		entries, err := many(ctx, tx, scan, `SELECT l.seq, l.payload FROM act_subject AS s JOIN ledger_leaf AS l ON l.seq = s.seq
			WHERE s.subject = $1 AND l.kind = $2 ORDER BY l.seq LIMIT 1`, subject, kind)
		if err != nil || len(entries) == 0 {
			return err
		}
		// The columns that led here are not what the tree commits to.
		a, err := entries[0].Act()
		if err != nil || a.Subject != subject || a.Kind != kind {
			return escrow.Errorf(escrow.Damaged, "ledger entry %d is indexed as %s about %s, which it is not", entries[0].Index, kind, subject)
		}
		found = entries[0].Index
		return nil
	})
	if err == nil && found < 0 {
		return 0, escrow.Errorf(escrow.NotFound, "the ledger has no %s about %s", kind, subject)
	}
	return found, err
}

// Erase removes the content of a ledger entry and returns the act that the
// transaction must record first. What the entry said about rows is said again
// by that act, so that the rows stay provable. Rows with personal data are to
// be deleted in the same transaction, after Erase.
//
// It refuses with code Damaged when a row is not as the entry recorded it and
// no later entry says why: to erase the entry would hide that for ever.
func (t *Tx) Erase(ctx context.Context, index int64, actor, reason string) (escrow.Act, error) {
	if err := t.writable(); err != nil {
		return escrow.Act{}, err
	}
	var payload []byte
	err := t.tx.QueryRowContext(ctx, `SELECT payload FROM ledger_leaf WHERE seq = $1`, index).Scan(&payload)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return escrow.Act{}, fmt.Errorf("read ledger entry %d: %w", index, err)
	}
	if payload != nil {
		act, err := evidence.ParseAct(payload)
		if err != nil {
			return escrow.Act{}, escrow.Errorf(escrow.Damaged, "ledger entry %d: %w", index, err)
		}
		if err := t.recordAgain(ctx, index, act.Rows); err != nil {
			return escrow.Act{}, err
		}
	}
	act, err := t.db.log.Erase(ctx, t.tx, index, actor, reason)
	if err != nil {
		return escrow.Act{}, err
	}
	t.erased = true
	if _, err := t.tx.ExecContext(ctx, `DELETE FROM act_subject WHERE seq = $1`, index); err != nil {
		return escrow.Act{}, fmt.Errorf("erase ledger entry %d: %w", index, err)
	}
	return act, nil
}

// recordAgain notes the rows of an entry that is about to be erased, those
// that no later entry has recorded since.
func (t *Tx) recordAgain(ctx context.Context, index int64, rows []evidence.Row) error {
	var later map[rowID]bool
	for _, r := range rows {
		id := rowID{r.Table, r.Key}
		if _, ok := t.written[id]; ok {
			continue
		}
		now, err := t.digest(ctx, id)
		if err != nil {
			return err
		}
		if now == r.Digest {
			t.written[id] = now
			continue
		}
		if later == nil {
			if later, err = t.recordedAfter(ctx, index); err != nil {
				return err
			}
		}
		if !later[id] {
			fault := &RowFault{Table: r.Table, Key: r.Key, Index: index, What: "was changed"}
			return escrow.Errorf(escrow.Damaged, "ledger entry %d cannot be erased: %w", index, fault).
				WithHint("run holdfast verify first, and settle what it finds")
		}
	}
	return nil
}

func (t *Tx) recordedAfter(ctx context.Context, index int64) (map[rowID]bool, error) {
	seen := make(map[rowID]bool)
	for e, err := range t.entries(ctx, index+1) {
		if err != nil {
			return nil, err
		}
		if !e.Open() {
			continue
		}
		act, err := e.Act()
		if err != nil {
			return nil, escrow.Errorf(escrow.Damaged, "ledger entry %d: %w", e.Index, err)
		}
		for _, r := range act.Rows {
			seen[rowID{r.Table, r.Key}] = true
		}
	}
	return seen, nil
}

// Publish signs the ledger as it is committed now and stores the checkpoint as
// the published one; see [ledger.Log.Publish].
func (db *DB) Publish(ctx context.Context) ([]byte, error) {
	signed, err := db.log.Publish(ctx, db.keepBooks)
	return signed, explain(err)
}

// Cosign adds cosignatures of witnesses to the checkpoint they belong to and
// returns how many it has; see [ledger.Log.Cosign].
func (db *DB) Cosign(ctx context.Context, policy evidence.Policy, signed []byte) (witnesses int, err error) {
	err = db.keepBooks(ctx, func(tx ledger.Tx) error {
		witnesses, err = db.log.Cosign(ctx, tx, policy, signed)
		return err
	})
	return witnesses, explain(err)
}

// keepBooks is a write transaction for the ledger's own checkpoints, which are
// no acts: they say what the acts were.
func (db *DB) keepBooks(ctx context.Context, fn func(ledger.Tx) error) error {
	tx, err := db.writer.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("database: begin: %w", err)
	}
	defer tx.Rollback()
	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("database: commit: %w", err)
	}
	return nil
}
