package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/internal/escrow"
)

// Journal remembers where objects lie. It is not recorded in the ledger: what
// it says follows from the locations themselves and is checked against them
// all the time. Its writes are short transactions of their own.
type Journal struct {
	db    *DB
	now   func() time.Time
	quota int64
}

// claimFor is how long a copy that one process is making is nobody else's.
const claimFor = 10 * time.Minute

// Journal returns the journal of db. quota bounds the bytes of uploads that a
// party has made and no deposit uses yet; 0 for no bound.
func (db *DB) Journal(now func() time.Time, quota int64) *Journal { return &Journal{db, now, quota} }

// write runs fn in a transaction, again when the engine gave it up.
func (j *Journal) write(ctx context.Context, fn func(tx *sql.Tx) error) error {
	for try := 1; ; try++ {
		err := j.writeOnce(ctx, fn)
		if err == nil || try == maxTries || !retryable(err) {
			return explain(err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(try) * 20 * time.Millisecond):
		}
	}
}

func (j *Journal) writeOnce(ctx context.Context, fn func(tx *sql.Tx) error) error {
	tx, err := j.db.writer.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("database: begin: %w", err)
	}
	defer tx.Rollback()
	if err := fn(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// Begin notes that an object is about to be at locations, see replica.Journal.
// It counts as an arrival: the collector leaves what arrived a moment ago.
func (j *Journal) Begin(ctx context.Context, o escrow.StoredObject, from escrow.ObjectOrigin, locations []string) error {
	return j.write(ctx, func(tx *sql.Tx) error {
		if err := j.withinQuota(ctx, tx, o, from); err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, `INSERT INTO stored_object (name, size, tag_key, tags, arrangement, party, arrived_us, used, going, cause)
			VALUES ($1, $2, $3, $4, $5, $6, $7, FALSE, FALSE, '')
			ON CONFLICT (name) DO UPDATE SET arrived_us = excluded.arrived_us, going = FALSE, cause = '' WHERE stored_object.going = FALSE
				OR NOT EXISTS (SELECT 1 FROM object_copy AS c WHERE c.name = stored_object.name)`,
			o.Name, o.Size, blob(o.Key), blob(o.Tags), from.Arrangement, from.Party, micros(j.now()))
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, escrow.Errorf(escrow.Unavailable, "object %s is being removed at this moment", o.Name).WithHint("send it again in a minute"))
		}
		// The tags of a row that had none.
		if _, err := tx.ExecContext(ctx, `UPDATE stored_object SET tag_key = $2, tags = $3 WHERE name = $1 AND length(tags) = 0`, o.Name, blob(o.Key), blob(o.Tags)); err != nil {
			return err
		}
		return j.due(ctx, tx, o.Name, locations)
	})
}

// due adds rows for copies that are not there yet. They are not to be made by
// anybody else for a while: whoever begins is about to.
func (j *Journal) due(ctx context.Context, tx *sql.Tx, name string, locations []string) error {
	if len(locations) == 0 {
		return nil
	}
	now := j.now()
	args := []any{name, micros(now), micros(now.Add(claimFor))}
	var values strings.Builder
	for i, l := range locations {
		if i > 0 {
			values.WriteByte(',')
		}
		args = append(args, l)
		fmt.Fprintf(&values, "($1, $%d, 'due', $2, 0, $3, '')", len(args))
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO object_copy (name, location, state, since_us, attempts, next_us, reason) VALUES `+values.String()+`
		ON CONFLICT DO NOTHING`, args...)
	return err
}

func (j *Journal) withinQuota(ctx context.Context, tx *sql.Tx, o escrow.StoredObject, from escrow.ObjectOrigin) error {
	if j.quota <= 0 || from.Party == "" {
		return nil
	}
	var used int64
	err := tx.QueryRowContext(ctx, `SELECT COALESCE(SUM(size), 0) FROM stored_object WHERE party = $1 AND arrangement = $2 AND used = FALSE AND name <> $3`,
		from.Party, from.Arrangement, o.Name).Scan(&used)
	if err != nil {
		return err
	}
	if used+o.Size > j.quota {
		return escrow.Errorf(escrow.Full, "%s has uploaded %d bytes that no deposit uses; with object %s of %d bytes that is more than the %d that are kept", from.Party, used, o.Name, o.Size, j.quota).
			WithHint("submit the deposit that they belong to, or wait until unused uploads are removed")
	}
	return nil
}

// Settle notes what became of copies. A copy that nobody began is left alone:
// its object was removed.
func (j *Journal) Settle(ctx context.Context, name string, results []escrow.CopyResult) error {
	return j.write(ctx, func(tx *sql.Tx) error {
		now := j.now()
		for _, r := range results {
			failed := 0
			if r.State != escrow.CopyHeld && r.Reason != "" {
				failed = 1
			}
			_, err := tx.ExecContext(ctx, `UPDATE object_copy SET
				since_us = CASE WHEN state = $3 THEN since_us ELSE $4 END, attempts = CASE WHEN $3 = 'held' THEN 0 ELSE attempts + $5 END,
				state = $3, next_us = $6, reason = $7 WHERE name = $1 AND location = $2`,
				name, r.Location, string(r.State), micros(now), failed, micros(now.Add(r.Retry)), r.Reason)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Object returns an object and its copies; one that is not known, or is being
// removed, has no name.
func (j *Journal) Object(ctx context.Context, name string) (o escrow.StoredObject, copies []escrow.Copy, err error) {
	rows, err := j.db.reader.QueryContext(ctx, `SELECT o.size, o.tag_key, o.tags, COALESCE(c.location, ''), COALESCE(c.state, '')
		FROM stored_object AS o LEFT JOIN object_copy AS c ON c.name = o.name WHERE o.name = $1 AND o.going = FALSE`, name)
	if err != nil {
		return o, nil, explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var c escrow.Copy
		if err := rows.Scan(&o.Size, &o.Key, &o.Tags, &c.Location, &c.State); err != nil {
			return o, nil, explain(err)
		}
		o.Name = name
		if c.Location != "" {
			copies = append(copies, c)
		}
	}
	return o, copies, explain(rows.Err())
}

// Adopt notes an object that was found at a location. Where it should be as
// well is then due.
func (j *Journal) Adopt(ctx context.Context, o escrow.StoredObject, location string) error {
	return j.write(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `INSERT INTO stored_object (name, size, tag_key, tags, arrangement, party, arrived_us, used, going, cause)
			VALUES ($1, $2, $3, $4, COALESCE((SELECT MIN(arrangement) FROM deposit_object WHERE name = $1), ''), '', $5, FALSE, FALSE, '')
			ON CONFLICT (name) DO UPDATE SET tag_key = excluded.tag_key, tags = excluded.tags
			WHERE stored_object.going = FALSE AND length(stored_object.tags) = 0`, o.Name, o.Size, blob(o.Key), blob(o.Tags), micros(j.now()))
		if err != nil {
			return err
		}
		if _, err := result.RowsAffected(); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO object_copy (name, location, state, since_us, attempts, next_us, reason)
			SELECT name, CAST($2 AS TEXT), 'held', CAST($3 AS BIGINT), 0, 0, '' FROM stored_object WHERE name = $1 AND going = FALSE
			ON CONFLICT (name, location) DO UPDATE SET state = 'held', attempts = 0, reason = '' WHERE object_copy.state <> 'held'`, o.Name, location, micros(j.now()))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, oweTo+` AND o.name = $2`, micros(j.now()), o.Name)
		return err
	})
}

// oweTo adds what active locations should have and nobody noted yet. $1 is the
// time.
const oweTo = `INSERT INTO object_copy (name, location, state, since_us, attempts, next_us, reason)
	SELECT o.name, l.id, 'due', CAST($1 AS BIGINT), 0, 0, '' ` + owed

// owed is what active locations should have and nobody noted yet.
//
// A location of one arrangement has what was stored for it, and what it refers
// to although it was stored for another one first: the same file of a restic
// repository may be in both.
const owed = `FROM stored_object AS o CROSS JOIN location AS l
	WHERE o.going = FALSE AND l.state = 'active' AND (l.arrangement = '' OR l.arrangement = o.arrangement
			OR EXISTS (SELECT 1 FROM deposit_object AS d WHERE d.name = o.name AND d.arrangement = l.arrangement)
			OR EXISTS (SELECT 1 FROM restic_file AS f WHERE f.object = o.name AND f.arrangement = l.arrangement)
			OR EXISTS (SELECT 1 FROM source_state AS s WHERE s.arrangement = l.arrangement AND s.state = o.name))
		AND NOT EXISTS (SELECT 1 FROM object_copy AS c WHERE c.name = o.name AND c.location = l.id)`

// Owe notes for every known object the active locations that should have it.
// It is for a location that is new, and from time to time for what was stored
// by a process that did not know of it yet.
func (j *Journal) Owe(ctx context.Context) error {
	// Looked for without the writer first: mostly there is nothing.
	var any bool
	err := j.db.reader.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 `+owed+`)`).Scan(&any)
	if err != nil || !any {
		return explain(err)
	}
	return j.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, oweTo, micros(j.now()))
		return err
	})
}

// Claim returns copies that are to be made at a location.
func (j *Journal) Claim(ctx context.Context, location string, most int) ([]escrow.CopyTask, error) {
	// Looked for without the writer first: mostly there is nothing.
	var any bool
	now := j.now()
	err := j.db.reader.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM object_copy WHERE location = $1 AND state <> 'held' AND (next_us <= $2 OR next_us > $3))`,
		location, micros(now), micros(now.Add(longestWait))).Scan(&any)
	if err != nil || !any {
		return nil, explain(err)
	}
	var list []escrow.CopyTask
	err = j.write(ctx, func(tx *sql.Tx) error {
		list = nil
		rows, err := tx.QueryContext(ctx, `UPDATE object_copy SET next_us = $3 WHERE location = $1 AND name IN (
				SELECT c.name FROM object_copy AS c JOIN stored_object AS o ON o.name = c.name
				WHERE c.location = $1 AND c.state <> 'held' AND (c.next_us <= $2 OR c.next_us > $5) AND o.going = FALSE ORDER BY c.next_us, c.name LIMIT $4)
			AND (next_us <= $2 OR next_us > $5) RETURNING name, state, attempts`, location, micros(now), micros(now.Add(claimFor)), most, micros(now.Add(longestWait)))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			t := escrow.CopyTask{Location: location}
			if err := rows.Scan(&t.Name, &t.State, &t.Attempts); err != nil {
				return err
			}
			list = append(list, t)
		}
		return rows.Err()
	})
	slices.SortFunc(list, func(a, b escrow.CopyTask) int { return strings.Compare(a.Name, b.Name) })
	return list, err
}

// longestWait is more than any copy waits for its next try. One that seems to
// wait longer was put off by a clock that was wrong.
const longestWait = 6 * time.Hour

// Removed notes that an object is gone from a location. When that was the
// last one its row stays for a while and says so: whoever looked at the object
// a moment before must not make a deposit of it. An upload brings it back.
func (j *Journal) Removed(ctx context.Context, name, location string) error {
	return j.write(ctx, func(tx *sql.Tx) error {
		// The row first: an upload that begins meanwhile waits for it.
		if _, err := tx.ExecContext(ctx, `UPDATE stored_object SET used = FALSE WHERE name = $1`, name); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM object_copy WHERE name = $1 AND location = $2`, name, location); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE stored_object SET going = TRUE, arrived_us = $2 WHERE name = $1
			AND NOT EXISTS (SELECT 1 FROM object_copy AS c WHERE c.name = stored_object.name)`, name, micros(j.now()))
		return err
	})
}

// Forget removes the rows of objects that have been gone since before a time.
func (j *Journal) Forget(ctx context.Context, before time.Time) error {
	return j.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM stored_object WHERE going = TRUE AND arrived_us < $1
			AND NOT EXISTS (SELECT 1 FROM object_copy AS c WHERE c.name = stored_object.name)`, micros(before))
		return err
	})
}
