package store

import (
	"context"
	"fmt"
	"time"

	"holdfast/internal/escrow"
)

// watchTables are the tables of what is measured and what was seen.
func watchTables() []*table {
	return []*table{
		newTable("watch_target", "arrangement id", "", "component party kind every_us:i shown:x sealed:x set_by set_us:i removed_us:i"),
		newTable("watch_stretch", "arrangement place from_us:i to_us:i", "target", "states:x checks:i failed:i sketch:x"),
		newTable("watch_change", "arrangement target place at_us:i", "", "was state reason evidence:x"),
	}
}

const watchTargetColumns = `arrangement, id, component, party, kind, every_us, shown, sealed, set_by, set_us, removed_us`

func scanWatchTarget(s scanner) (w escrow.WatchTarget, err error) {
	var every, set, removed int64
	err = s.Scan(&w.Arrangement, &w.ID, &w.Component, &w.Party, &w.Kind, &every, &w.Shown, &w.Sealed, &w.SetBy, &set, &removed)
	w.Every, w.SetAt, w.RemovedAt = time.Duration(every)*time.Microsecond, instant(set), instant(removed)
	if len(w.Sealed) == 0 {
		w.Sealed = nil
	}
	return w, err
}

// PutWatchTarget adds a target, changes it, or says that it is watched no more.
func (t *Tx) PutWatchTarget(ctx context.Context, w escrow.WatchTarget) error {
	_, err := t.write(ctx, "watch_target", `INSERT INTO watch_target (`+watchTargetColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (arrangement, id) DO UPDATE SET component = excluded.component, party = excluded.party, kind = excluded.kind, every_us = excluded.every_us,
			shown = excluded.shown, sealed = excluded.sealed, set_by = excluded.set_by, set_us = excluded.set_us, removed_us = excluded.removed_us`,
		w.Arrangement, w.ID, w.Component, w.Party, w.Kind, w.Every.Microseconds(), blob(w.Shown), blob(w.Sealed), w.SetBy, micros(w.SetAt), micros(w.RemovedAt))
	return err
}

// WatchTargets returns the targets of an arrangement, or of all for "", by id,
// removed ones included.
func (t *Tx) WatchTargets(ctx context.Context, arrangement string) ([]escrow.WatchTarget, error) {
	return many(ctx, t, scanWatchTarget, `SELECT `+watchTargetColumns+` FROM watch_target WHERE arrangement = $1 OR CAST($1 AS TEXT) = '' ORDER BY arrangement, id`, arrangement)
}

// WatchTarget returns one target.
func (t *Tx) WatchTarget(ctx context.Context, arrangement, id string) (escrow.WatchTarget, error) {
	return one(ctx, t, scanWatchTarget, escrow.Errorf(escrow.NotFound, "nothing called %q is watched", id), `SELECT `+watchTargetColumns+` FROM watch_target WHERE arrangement = $1 AND id = $2`, arrangement, id)
}

// AddWatchStretches adds what one place saw in one stretch of time of several
// targets of one arrangement; they have arrangement, place, from and to in
// common. What was seen of a target before is never replaced: that is a
// Conflict.
func (t *Tx) AddWatchStretches(ctx context.Context, list []escrow.WatchStretch) error {
	if len(list) == 0 {
		return nil
	}
	first := list[0]
	rows := make([][]any, len(list))
	for i, w := range list {
		if w.Arrangement != first.Arrangement || w.Place != first.Place || !w.From.Equal(first.From) || !w.To.Equal(first.To) {
			return fmt.Errorf("stretches of several groups")
		}
		rows[i] = []any{w.Target, blob(w.States), w.Checks, w.Failed, blob(w.Sketch)}
	}
	return t.insertGroup(ctx, "watch_stretch", []any{first.Arrangement, first.Place, micros(first.From), micros(first.To)}, rows)
}

// DropWatchStretches removes a group whose content was put together into a
// longer one, or whose time to be kept is over.
func (t *Tx) DropWatchStretches(ctx context.Context, arrangement, place string, from, to time.Time) error {
	if err := t.writable(); err != nil {
		return err
	}
	res, err := t.tx.ExecContext(ctx, `DELETE FROM watch_stretch WHERE arrangement = $1 AND place = $2 AND from_us = $3 AND to_us = $4`, arrangement, place, micros(from), micros(to))
	if err != nil {
		return fmt.Errorf("delete from watch_stretch: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return escrow.Errorf(escrow.NotFound, "nothing was seen from %s at that time", place)
	}
	t.written[rowID{"watch_stretch", rowKey(arrangement, place, micros(from), micros(to))}] = ""
	return nil
}

const watchStretchColumns = `arrangement, place, from_us, to_us, target, states, checks, failed, sketch`

func scanWatchStretch(s scanner) (w escrow.WatchStretch, err error) {
	var from, to int64
	err = s.Scan(&w.Arrangement, &w.Place, &from, &to, &w.Target, &w.States, &w.Checks, &w.Failed, &w.Sketch)
	w.From, w.To = instant(from), instant(to)
	if len(w.Sketch) == 0 {
		w.Sketch = nil
	}
	return w, err
}

// WatchStretches returns what was seen of a target in any part of a time, by
// place and time; target "" is every target.
func (t *Tx) WatchStretches(ctx context.Context, arrangement, target string, from, to time.Time) ([]escrow.WatchStretch, error) {
	return many(ctx, t, scanWatchStretch, `SELECT `+watchStretchColumns+` FROM watch_stretch
		WHERE arrangement = $1 AND (target = $2 OR CAST($2 AS TEXT) = '') AND from_us < $4 AND to_us > $3 ORDER BY target, place, from_us, to_us`, arrangement, target, micros(from), micros(to))
}

// WatchHoursBefore returns at most limit groups of no more than an hour that
// ended before a moment, the oldest first: without what is in them.
func (t *Tx) WatchHoursBefore(ctx context.Context, before time.Time, limit int) ([]escrow.WatchStretch, error) {
	scan := func(s scanner) (w escrow.WatchStretch, err error) {
		var from, to int64
		err = s.Scan(&w.Arrangement, &w.Place, &from, &to)
		w.From, w.To = instant(from), instant(to)
		return w, err
	}
	return many(ctx, t, scan, `SELECT DISTINCT arrangement, place, from_us, to_us FROM watch_stretch
		WHERE to_us <= $1 AND to_us - from_us <= 3600000000 ORDER BY from_us, arrangement, place LIMIT $2`, micros(before), limit)
}

const watchChangeColumns = `arrangement, target, place, at_us, was, state, reason, evidence`

func scanWatchChange(s scanner) (w escrow.WatchChange, err error) {
	var at int64
	err = s.Scan(&w.Arrangement, &w.Target, &w.Place, &at, &w.Was, &w.Is, &w.Reason, &w.Evidence)
	w.At = instant(at)
	return w, err
}

// PutWatchChange records that a state began. The same change again is no
// second one: it reports whether it was new.
func (t *Tx) PutWatchChange(ctx context.Context, w escrow.WatchChange) (fresh bool, err error) {
	n, err := t.write(ctx, "watch_change", `INSERT INTO watch_change (`+watchChangeColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		w.Arrangement, w.Target, w.Place, micros(w.At), w.Was, w.Is, w.Reason, blob(w.Evidence))
	return n == 1, err
}

// WatchChanges returns at most limit changes of a target within a time, the
// newest first.
func (t *Tx) WatchChanges(ctx context.Context, arrangement, target string, from, to time.Time, limit int) ([]escrow.WatchChange, error) {
	return many(ctx, t, scanWatchChange, `SELECT `+watchChangeColumns+` FROM watch_change
		WHERE arrangement = $1 AND target = $2 AND at_us >= $3 AND at_us < $4 ORDER BY at_us DESC, place LIMIT $5`, arrangement, target, micros(from), micros(to), limit)
}

const watchNowColumns = `arrangement, target, place, hour_us, states, checks, failed, sketch, state, since_us, last_us, reason, note`

func scanWatchNow(s scanner) (w escrow.WatchNow, err error) {
	var hour, since, last int64
	err = s.Scan(&w.Arrangement, &w.Target, &w.Place, &hour, &w.States, &w.Checks, &w.Failed, &w.Sketch, &w.State, &since, &last, &w.Reason, &w.Note)
	w.From, w.Since, w.Last = instant(hour), instant(since), instant(last)
	if len(w.Sketch) == 0 {
		w.Sketch = nil
	}
	return w, err
}

// WatchNows returns how far the targets of an arrangement have come, of all
// for "".
func (t *Tx) WatchNows(ctx context.Context, arrangement string) ([]escrow.WatchNow, error) {
	return many(ctx, t, scanWatchNow, `SELECT `+watchNowColumns+` FROM watch_now WHERE arrangement = $1 OR CAST($1 AS TEXT) = '' ORDER BY arrangement, target, place`, arrangement)
}

// WatchBeat returns the newest report of a target, a zero time for none.
func (t *Tx) WatchBeat(ctx context.Context, arrangement, target string) (escrow.WatchBeat, error) {
	scan := func(s scanner) (w escrow.WatchBeat, err error) {
		var at int64
		err = s.Scan(&w.Arrangement, &w.Target, &at, &w.Failed, &w.Note)
		w.At = instant(at)
		return w, err
	}
	list, err := many(ctx, t, scan, `SELECT arrangement, target, at_us, failed, note FROM watch_beat WHERE arrangement = $1 AND target = $2`, arrangement, target)
	if err != nil || len(list) == 0 {
		return escrow.WatchBeat{Arrangement: arrangement, Target: target}, err
	}
	return list[0], nil
}
