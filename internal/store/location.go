package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/internal/escrow"
)

const locationColumns = `id, kind, place, arrangement, counts, state, added_us, changed_us`

func scanLocation(s scanner) (l escrow.Location, err error) {
	var added, changed int64
	err = s.Scan(&l.ID, &l.Kind, &l.Place, &l.Arrangement, &l.Counts, &l.State, &added, &changed)
	l.AddedAt, l.ChangedAt = instant(added), instant(changed)
	return l, err
}

// PutLocation adds a location or changes what is known of it. What it is for,
// its kind and arrangement, never changes: that is a Conflict, and so is a
// retired one that would come back.
func (t *Tx) PutLocation(ctx context.Context, l escrow.Location) error {
	n, err := t.write(ctx, "location", `INSERT INTO location (`+locationColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (id) DO UPDATE SET place = excluded.place, counts = excluded.counts, state = excluded.state, changed_us = excluded.changed_us
		WHERE location.kind = excluded.kind AND location.arrangement = excluded.arrangement AND (location.state <> 'retired' OR excluded.state = 'retired')`,
		l.ID, l.Kind, l.Place, l.Arrangement, l.Counts, string(l.State), micros(l.AddedAt), micros(l.ChangedAt))
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.Conflict, "location %q was something else, or is retired", l.ID).WithHint("give the new location a name of its own")
	}
	return err
}

// Locations returns all locations there ever were, by id.
func (t *Tx) Locations(ctx context.Context) ([]escrow.Location, error) {
	return many(ctx, t, scanLocation, `SELECT `+locationColumns+` FROM location ORDER BY id`)
}

// Location returns one location.
func (t *Tx) Location(ctx context.Context, id string) (escrow.Location, error) {
	return one(ctx, t, scanLocation, escrow.Errorf(escrow.NotFound, "no location %q", id), `SELECT `+locationColumns+` FROM location WHERE id = $1`, id)
}

// LocationUse counts what is known to be at a location.
func (t *Tx) LocationUse(ctx context.Context, id string) (escrow.LocationUse, error) {
	var u escrow.LocationUse
	type row struct {
		state    string
		n, bytes int64
		since    int64
	}
	scan := func(s scanner) (r row, err error) { return r, s.Scan(&r.state, &r.n, &r.bytes, &r.since) }
	rows, err := many(ctx, t, scan, `SELECT c.state, COUNT(*), CAST(COALESCE(SUM(o.size), 0) AS BIGINT), MIN(c.since_us)
		FROM object_copy AS c JOIN stored_object AS o ON o.name = c.name WHERE c.location = $1 AND o.going = FALSE GROUP BY c.state`, id)
	if err != nil {
		return u, err
	}
	for _, r := range rows {
		switch escrow.CopyState(r.state) {
		case escrow.CopyHeld:
			u.Held, u.HeldBytes = r.n, r.bytes
		case escrow.CopyDue:
			u.Due, u.DueBytes, u.DueSince = r.n, r.bytes, instant(r.since)
		case escrow.CopyDamaged:
			u.Damaged = r.n
		case escrow.CopyMissing:
			u.Missing = r.n
		}
	}
	u.Alone, err = t.Alone(ctx, id)
	return u, err
}

// Alone counts the objects at a location of which no active location but this
// one is known to have a good copy. While there are any, it cannot be retired.
func (t *Tx) Alone(ctx context.Context, id string) (int64, error) {
	scan := func(s scanner) (n int64, err error) { return n, s.Scan(&n) }
	return one(ctx, t, scan, nil, `SELECT COUNT(*) FROM object_copy AS c JOIN stored_object AS o ON o.name = c.name
		WHERE c.location = $1 AND c.state = 'held' AND o.going = FALSE AND NOT EXISTS (
			SELECT 1 FROM object_copy AS x JOIN location AS l ON l.id = x.location
			WHERE x.name = c.name AND x.state = 'held' AND l.state = 'active' AND l.counts = TRUE AND x.location <> $1)`, id)
}

// ForgetCopies forgets what was at a location that is retired.
func (t *Tx) ForgetCopies(ctx context.Context, location string) error {
	if err := t.writable(); err != nil {
		return err
	}
	_, err := t.tx.ExecContext(ctx, `DELETE FROM object_copy WHERE location = $1`, location)
	return err
}

// useObjects marks objects as part of a deposit or state. One that is being
// removed at this moment is as good as not there.
func (t *Tx) useObjects(ctx context.Context, arrangement string, names []string) error {
	for chunk := range slices.Chunk(names, objectsAtOnce) {
		in, args := inList(chunk)
		scan := func(s scanner) (name string, err error) { return name, s.Scan(&name) }
		gone, err := many(ctx, t, scan, `SELECT name FROM stored_object WHERE going = TRUE AND name IN (`+in+`) LIMIT 1`, args...)
		if err != nil {
			return err
		}
		if len(gone) > 0 {
			return escrow.Errorf(escrow.Conflict, "object %s was not uploaded", gone[0]).WithHint("upload it, then submit the deposit again")
		}
		// Where it came from is known at the latest now.
		args = append(args, arrangement)
		if _, err := t.tx.ExecContext(ctx, fmt.Sprintf(`UPDATE stored_object SET used = TRUE, arrangement = CASE WHEN arrangement = '' THEN $%d ELSE arrangement END
			WHERE used = FALSE AND name IN (%s)`, len(args), in), args...); err != nil {
			return err
		}
	}
	return nil
}

// LostObjects returns which objects of a module's deposits, from a number on,
// have no good copy anywhere, as far as anybody has looked, at most so many.
func (t *Tx) LostObjects(ctx context.Context, arrangement, module string, from, most int) ([]string, error) {
	scan := func(s scanner) (name string, err error) { return name, s.Scan(&name) }
	return many(ctx, t, scan, `SELECT DISTINCT d.name FROM object_copy AS b JOIN deposit_object AS d ON d.name = b.name
		WHERE b.state <> 'held' AND d.arrangement = $1 AND d.module = $2 AND d.deposit >= $3
			AND NOT EXISTS (SELECT 1 FROM object_copy AS c WHERE c.name = d.name AND c.state = 'held')
		ORDER BY 1 LIMIT $4`, arrangement, module, from, most)
}

// nothingRefers is the condition under which an object may go. What refers to
// objects is listed here and in [Tx.EachObject].
const nothingRefers = `NOT EXISTS (SELECT 1 FROM deposit_object AS d WHERE d.name = o.name)
	AND NOT EXISTS (SELECT 1 FROM restic_file AS r WHERE r.object = o.name)
	AND NOT EXISTS (SELECT 1 FROM source_state AS s WHERE s.state = o.name OR s.segments LIKE '%"' || o.name || '"%')`

// Collectables looks for objects that nothing refers to and that have not
// arrived again since the given time.
func (t *Tx) Collectables(ctx context.Context, before time.Time, most int) ([]string, error) {
	scan := func(s scanner) (name string, err error) { return name, s.Scan(&name) }
	return many(ctx, t, scan, `SELECT o.name FROM stored_object AS o WHERE o.going = FALSE AND o.arrived_us < $1 AND `+nothingRefers+`
		ORDER BY o.name LIMIT $2`, micros(before), most)
}

// DestroyedLeft looks for objects of destroyed deposits that are still kept
// although nothing refers to them.
func (t *Tx) DestroyedLeft(ctx context.Context, most int) ([]string, error) {
	scan := func(s scanner) (name string, err error) { return name, s.Scan(&name) }
	return many(ctx, t, scan, `SELECT o.name FROM destroyed_object AS x JOIN stored_object AS o ON o.name = x.name
		WHERE o.going = FALSE AND `+nothingRefers+` ORDER BY o.name LIMIT $1`, most)
}

// CollectObjects marks those of the named objects as going that nothing refers
// to now, either: since [Tx.Collectables] looked, one may have arrived again or
// become part of a deposit. From then on no deposit can be made of them; an
// upload of the same bytes waits until they are gone. The caller records which.
func (t *Tx) CollectObjects(ctx context.Context, before time.Time, names []string) ([]escrow.GoingObject, error) {
	if err := t.writable(); err != nil {
		return nil, err
	}
	scan := func(s scanner) (c escrow.GoingObject, err error) { return c, s.Scan(&c.Name, &c.Size, &c.Cause) }
	var list []escrow.GoingObject
	for chunk := range slices.Chunk(names, objectsAtOnce) {
		in, args := inList(chunk)
		args = append(args, micros(before))
		const destroyed = `EXISTS (SELECT 1 FROM destroyed_object AS x WHERE x.name = o.name)`
		found, err := many(ctx, t, scan, fmt.Sprintf(`UPDATE stored_object AS o SET going = TRUE,
				cause = CASE WHEN %s THEN '%s' ELSE '%s' END
			WHERE o.name IN (%s) AND o.going = FALSE AND (o.arrived_us < $%d OR %s) AND %s RETURNING name, size, cause`,
			destroyed, escrow.CauseDestroyed, escrow.CauseUnused, in, len(args), destroyed, nothingRefers), args...)
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	slices.SortFunc(list, func(a, b escrow.GoingObject) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Going returns objects that are being removed, from a name on.
func (t *Tx) Going(ctx context.Context, after string, most int) ([]string, error) {
	scan := func(s scanner) (name string, err error) { return name, s.Scan(&name) }
	return many(ctx, t, scan, `SELECT o.name FROM stored_object AS o WHERE o.going = TRUE AND o.name > $1
		AND EXISTS (SELECT 1 FROM object_copy AS c WHERE c.name = o.name) ORDER BY o.name LIMIT $2`, after, most)
}

// ObjectsLeft counts which of the named objects are still kept anywhere. It is
// for the certificate that they are not.
func (t *Tx) ObjectsLeft(ctx context.Context, names []string) (int, error) {
	left := 0
	for chunk := range slices.Chunk(names, objectsAtOnce) {
		in, args := inList(chunk)
		scan := func(s scanner) (n int, err error) { return n, s.Scan(&n) }
		n, err := one(ctx, t, scan, nil, `SELECT COUNT(*) FROM stored_object AS o WHERE o.name IN (`+in+`)
			AND (o.going = FALSE OR EXISTS (SELECT 1 FROM object_copy AS c WHERE c.name = o.name))`, args...)
		if err != nil {
			return 0, err
		}
		left += n
	}
	return left, nil
}

// ObjectHits returns what refers to an object: deposits, and the state of
// modules.
func (t *Tx) ObjectHits(ctx context.Context, name string) ([]escrow.ObjectHit, error) {
	scan := func(s scanner) (h escrow.ObjectHit, err error) {
		return h, s.Scan(&h.Arrangement, &h.Module, &h.Deposit, &h.What)
	}
	return many(ctx, t, scan, `SELECT arrangement, module, deposit, '' FROM deposit_object WHERE name = $1
		UNION SELECT arrangement, module, 0, 'state' FROM source_state WHERE state = $1 OR segments LIKE '%"' || $1 || '"%'
		UNION SELECT arrangement, module, 0, 'repository' FROM restic_file WHERE object = $1
		ORDER BY 1, 2, 3`, name)
}

// ScrubPass returns how far the scrubber is at a location.
func (t *Tx) ScrubPass(ctx context.Context, location string) (escrow.ScrubPass, error) {
	list, err := many(ctx, t, scanPass, `SELECT `+passColumns+` FROM scrub WHERE location = $1`, location)
	if err != nil || len(list) == 0 {
		return escrow.ScrubPass{Location: location}, err
	}
	return list[0], nil
}
