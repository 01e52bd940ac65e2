package store

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/escrow"
)

// PutWatchNow keeps how far watching has come.
func (j *Journal) PutWatchNow(ctx context.Context, list []escrow.WatchNow) error {
	const columns = 13
	for batch := range slices.Chunk(list, maxArguments/columns) {
		var q strings.Builder
		var args []any
		q.WriteString(`INSERT INTO watch_now (` + watchNowColumns + `) VALUES `)
		for i, w := range batch {
			if i > 0 {
				q.WriteByte(',')
			}
			for k, v := range []any{w.Arrangement, w.Target, w.Place, micros(w.From), blob(w.States), w.Checks, w.Failed, blob(w.Sketch), w.State, micros(w.Since), micros(w.Last), w.Reason, w.Note} {
				args = append(args, v)
				q.WriteByte("(,,,,,,,,,,,,"[k])
				q.WriteString("$" + strconv.Itoa(len(args)))
			}
			q.WriteByte(')')
		}
		q.WriteString(` ON CONFLICT (arrangement, target, place) DO UPDATE SET hour_us = excluded.hour_us, states = excluded.states, checks = excluded.checks, failed = excluded.failed,
			sketch = excluded.sketch, state = excluded.state, since_us = excluded.since_us, last_us = excluded.last_us, reason = excluded.reason, note = excluded.note`)
		if err := j.write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, q.String(), args...)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// DropWatchNow forgets how far watching a target from a place had come.
func (j *Journal) DropWatchNow(ctx context.Context, arrangement, target, place string) error {
	return j.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM watch_now WHERE arrangement = $1 AND target = $2 AND place = $3`, arrangement, target, place)
		return err
	})
}

// PutWatchBeat keeps the newest report of a target. An older one changes
// nothing.
func (j *Journal) PutWatchBeat(ctx context.Context, b escrow.WatchBeat) error {
	return j.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO watch_beat (arrangement, target, at_us, failed, note) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (arrangement, target) DO UPDATE SET at_us = excluded.at_us, failed = excluded.failed, note = excluded.note WHERE watch_beat.at_us <= excluded.at_us`,
			b.Arrangement, b.Target, micros(b.At), b.Failed, b.Note)
		return err
	})
}

// TakeWatch gives watching from a place to a process until a time, or renews
// it; it reports whether the process has it. Another one has it until its time
// is over.
func (j *Journal) TakeWatch(ctx context.Context, place, process string, until time.Time) (mine bool, err error) {
	now := j.now()
	never := until.Add(until.Sub(now)) // nobody takes it for longer: that clock was wrong
	err = j.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `INSERT INTO watch_turn (place, process, until_us) VALUES ($1, $2, $3)
			ON CONFLICT (place) DO UPDATE SET process = excluded.process, until_us = excluded.until_us
			WHERE watch_turn.process = excluded.process OR watch_turn.until_us <= $4 OR watch_turn.until_us > $5`, place, process, micros(until), micros(now), micros(never))
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		mine = n == 1
		return err
	})
	return mine, err
}

// LeaveWatch gives watching from a place back.
func (j *Journal) LeaveWatch(ctx context.Context, place, process string) error {
	return j.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM watch_turn WHERE place = $1 AND process = $2`, place, process)
		return err
	})
}
