package store

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"time"

	"holdfast/internal/escrow"
)

const passColumns = `location, started_us, position, objects, bytes, damaged, missing, healed, total, total_bytes, urgent, finished_us`

func scanPass(s scanner) (p escrow.ScrubPass, err error) {
	var started, finished int64
	err = s.Scan(&p.Location, &started, &p.Position, &p.Objects, &p.Bytes, &p.Damaged, &p.Missing, &p.Healed, &p.Total, &p.TotalBytes, &p.Urgent, &finished)
	p.StartedAt, p.FinishedAt = instant(started), instant(finished)
	return p, err
}

// TakeScrub gives the pass at a location to this process until a time, unless
// another one has it. A pass that was wanted begins then.
func (j *Journal) TakeScrub(ctx context.Context, location string, until time.Time) (p escrow.ScrubPass, free bool, err error) {
	// Nobody takes a pass for longer than that: who seems to had a clock that
	// was wrong, and is dead or has another one by now.
	now := j.now()
	never := until.Add(until.Sub(now))
	err = j.write(ctx, func(tx *sql.Tx) error {
		free = false
		if _, err := tx.ExecContext(ctx, newPass+`FALSE, 0) ON CONFLICT DO NOTHING`, location); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE scrub SET started_us = 0, position = '', objects = 0, bytes = 0, damaged = 0, missing = 0, healed = 0,
			total = 0, total_bytes = 0, urgent = TRUE, finished_us = 0, wanted = FALSE WHERE location = $1 AND wanted = TRUE AND (taken_us <= $2 OR taken_us > $3)`,
			location, micros(now), micros(never)); err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, `UPDATE scrub SET taken_us = $2 WHERE location = $1 AND (taken_us <= $3 OR taken_us > $4) RETURNING `+passColumns,
			location, micros(until), micros(now), micros(never))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			free = true
			if p, err = scanPass(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	return p, free, err
}

const newPass = `INSERT INTO scrub (` + passColumns + `, wanted, taken_us) VALUES ($1, 0, '', 0, 0, 0, 0, 0, 0, 0, FALSE, 0, `

// PutScrub keeps how far a pass is, and the pass for this process until a
// time, or for anybody when that is zero.
func (j *Journal) PutScrub(ctx context.Context, p escrow.ScrubPass, until time.Time) error {
	return j.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE scrub SET started_us = $2, position = $3, objects = $4, bytes = $5, damaged = $6, missing = $7, healed = $8,
			total = $9, total_bytes = $10, urgent = $11, finished_us = $12, taken_us = $13 WHERE location = $1`,
			p.Location, micros(p.StartedAt), p.Position, p.Objects, p.Bytes, p.Damaged, p.Missing, p.Healed, p.Total, p.TotalBytes, p.Urgent, micros(p.FinishedAt), micros(until))
		return err
	})
}

// WantScrub asks for a pass at full speed, which begins when whoever is at
// work at the location has ended its step.
func (j *Journal) WantScrub(ctx context.Context, location string) error {
	return j.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, newPass+`TRUE, 0) ON CONFLICT (location) DO UPDATE SET wanted = TRUE`, location)
		return err
	})
}

// FreeScrubs gives every pass back. It is for a database that this process has
// for itself: whoever had one is dead, and need not be waited for.
func (j *Journal) FreeScrubs(ctx context.Context) error {
	return j.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE scrub SET taken_us = 0 WHERE taken_us > 0`)
		return err
	})
}

// Totals counts what the scrubber has to read at a location.
func (j *Journal) Totals(ctx context.Context, location string) (objects, bytes int64, err error) {
	err = j.db.reader.QueryRowContext(ctx, `SELECT COUNT(*), CAST(COALESCE(SUM(o.size), 0) AS BIGINT) FROM object_copy AS c JOIN stored_object AS o ON o.name = c.name
		WHERE c.location = $1 AND c.state <> 'due' AND o.going = FALSE`, location).Scan(&objects, &bytes)
	return objects, bytes, explain(err)
}

// CopiesAt returns copies at a location in the order of their names.
func (j *Journal) CopiesAt(ctx context.Context, location, after string, most int) ([]escrow.LocatedCopy, error) {
	rows, err := j.db.reader.QueryContext(ctx, `SELECT c.name, o.size, c.state FROM object_copy AS c JOIN stored_object AS o ON o.name = c.name
		WHERE c.location = $1 AND c.name > $2 AND c.state <> 'due' AND o.going = FALSE ORDER BY c.name LIMIT $3`, location, after, most)
	if err != nil {
		return nil, explain(err)
	}
	defer rows.Close()
	var list []escrow.LocatedCopy
	for rows.Next() {
		var c escrow.LocatedCopy
		if err := rows.Scan(&c.Name, &c.Size, &c.State); err != nil {
			return nil, explain(err)
		}
		list = append(list, c)
	}
	return list, explain(rows.Err())
}

// Known tells which of the named objects have a copy noted at a location.
func (j *Journal) Known(ctx context.Context, location string, names []string) (map[string]bool, error) {
	known := make(map[string]bool, len(names))
	for chunk := range slices.Chunk(names, objectsAtOnce) {
		in, args := inList(chunk)
		rows, err := j.db.reader.QueryContext(ctx, `SELECT name FROM object_copy WHERE location = $`+strconv.Itoa(len(args)+1)+` AND state <> 'due' AND name IN (`+in+`)`, append(args, location)...)
		if err != nil {
			return nil, explain(err)
		}
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				rows.Close()
				return nil, explain(err)
			}
			known[name] = true
		}
		if err := rows.Close(); err != nil {
			return nil, explain(err)
		}
	}
	return known, nil
}

// Holds reports whether anything is known to be at a location.
func (j *Journal) Holds(ctx context.Context, location string) (bool, error) {
	var any bool
	err := j.db.reader.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM object_copy WHERE location = $1 AND state = 'held')`, location).Scan(&any)
	return any, explain(err)
}
