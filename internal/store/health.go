package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"holdfast/internal/escrow"
)

// Vitals are the figures of an installation that its operator watches, of one
// moment.
type Vitals struct {
	LedgerSize    int64 // entries
	PublishedSize int64 // of the last published checkpoint, 0 if there is none
	Deposits      int64
	StoredBytes   int64 // of all deposits; an object of two counts twice
	Failing       int64 // modules whose last sync failed
	Overdue       int64 // modules whose next sync should have begun before Overdue's limit
	Jobs          map[JobState]int64
	Worker        bool // a process is taking work from the queue
}

// JobState is a kind of job and the state that some of them are in.
type JobState struct{ Kind, State string }

// Vitals reads the figures. A module is overdue when its time came before late.
func (db *DB) Vitals(ctx context.Context, late time.Time) (Vitals, error) {
	v := Vitals{Jobs: make(map[JobState]int64)}
	err := db.View(ctx, func(t *Tx) error {
		for _, q := range []struct {
			into  []any
			query string
			args  []any
		}{
			{[]any{&v.LedgerSize}, `SELECT size FROM ledger_head WHERE id = 1`, nil},
			{[]any{&v.PublishedSize}, `SELECT COALESCE(MAX(size), 0) FROM ledger_checkpoint`, nil},
			{[]any{&v.Deposits, &v.StoredBytes}, `SELECT COUNT(*), CAST(COALESCE(SUM(stored_bytes), 0) AS BIGINT) FROM deposit`, nil},
			{[]any{&v.Failing}, `SELECT COUNT(*) FROM module_sync WHERE failures > 0`, nil},
			{[]any{&v.Overdue}, `SELECT COUNT(*) FROM module_sync WHERE next_due_us > 0 AND next_due_us < $1`, []any{micros(late)}},
		} {
			if err := t.tx.QueryRowContext(ctx, q.query, q.args...).Scan(q.into...); err != nil {
				return fmt.Errorf("read the vitals: %w", err)
			}
		}
		type count struct {
			JobState
			n int64
		}
		scan := func(s scanner) (c count, err error) { return c, s.Scan(&c.Kind, &c.State, &c.n) }
		counts, err := many(ctx, t, scan, `SELECT kind, state, COUNT(*) FROM river_job GROUP BY kind, state`)
		if err != nil {
			return fmt.Errorf("read the queue: %w", err)
		}
		for _, c := range counts {
			v.Jobs[c.JobState] = c.n
		}
		v.Worker, err = t.led(ctx)
		return err
	})
	return v, err
}

// led reports whether a process leads the queue: one that works does, or will
// within seconds.
func (t *Tx) led(ctx context.Context) (bool, error) {
	var until time.Time
	err := t.tx.QueryRowContext(ctx, `SELECT expires_at FROM river_leader`).Scan(&until)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the queue's leader: %w", err)
	}
	return until.After(time.Now()), nil // the queue goes by real time, whatever the clock of the program
}

// CheckSchema refuses with code Conflict a database whose schema is another
// than that of this release, as when a newer process has migrated it since
// this one started.
func (db *DB) CheckSchema(ctx context.Context) error {
	list, err := db.migrations()
	if err != nil {
		return err
	}
	var have int64
	if err := db.reader.QueryRowContext(ctx, `SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&have); err != nil {
		return explain(fmt.Errorf("database schema: read version: %w", err))
	}
	if want := list[len(list)-1].Version; have != want {
		return escrow.Errorf(escrow.Conflict, "the database has schema version %d, this holdfast wants %d", have, want).
			WithHint("run one release of holdfast on all machines")
	}
	return nil
}
