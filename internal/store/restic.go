package store

import (
	"context"

	"holdfast/internal/escrow"
)

const resticColumns = `arrangement, module, kind, name, object, size, received_us`

func scanResticFile(s scanner) (f escrow.ResticFile, err error) {
	var received int64
	err = s.Scan(&f.Arrangement, &f.Module, &f.Kind, &f.Name, &f.Object, &f.Size, &received)
	f.ReceivedAt = instant(received)
	return f, err
}

// The tables of restic are not recorded in the ledger, see the migration.
func (t *Tx) unrecorded(ctx context.Context, query string, args ...any) (int64, error) {
	if err := t.writable(); err != nil {
		return 0, err
	}
	if err := t.check(args); err != nil {
		return 0, err
	}
	r, err := t.tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// PutResticFile lists a file that is durable; fresh is false when it is listed
// already. The module's usage grows with it, and must stay within quota bytes
// unless that is 0: code Full. The same bytes in another place of the
// repository are a Conflict.
func (t *Tx) PutResticFile(ctx context.Context, f escrow.ResticFile, quota int64) (fresh bool, err error) {
	n, err := t.unrecorded(ctx, `INSERT INTO restic_file (`+resticColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
		f.Arrangement, f.Module, string(f.Kind), f.Name, f.Object, f.Size, micros(f.ReceivedAt))
	if err != nil {
		return false, err
	}
	if n == 0 {
		old, err := t.ResticFile(ctx, f.Arrangement, f.Module, f.Kind, f.Name)
		if escrow.CodeOf(err) == escrow.NotFound || err == nil && old.Object != f.Object {
			return false, escrow.Errorf(escrow.Conflict, "the bytes of %s/%s are in the repository already, or something else is under that name", f.Kind, f.Name)
		}
		return false, err
	}
	used, err := t.growRestic(ctx, f.Arrangement, f.Module, 1, f.Size)
	if err == nil && quota > 0 && used > quota {
		err = escrow.Errorf(escrow.Full, "module %s would hold %d bytes, its quota is %d", f.Module, used, quota).
			WithHint("the administrator raises it with 'holdfast module restic --quota'")
	}
	return err == nil, err
}

func (t *Tx) growRestic(ctx context.Context, arrangement, module string, files, size int64) (used int64, err error) {
	if _, err := t.unrecorded(ctx, `INSERT INTO restic_usage (arrangement, module, files, bytes) VALUES ($1, $2, 0, 0) ON CONFLICT DO NOTHING`, arrangement, module); err != nil {
		return 0, err
	}
	err = t.tx.QueryRowContext(ctx, `UPDATE restic_usage SET files = files + $3, bytes = bytes + $4 WHERE arrangement = $1 AND module = $2 RETURNING bytes`,
		arrangement, module, files, size).Scan(&used)
	return used, err
}

// DropResticKeys takes back the keys of a repository that never came to be:
// one without a config. It is for the run of "restic init" that was broken off.
func (t *Tx) DropResticKeys(ctx context.Context, arrangement, module string) error {
	list, err := many(ctx, t, scanResticFile, `SELECT `+resticColumns+` FROM restic_file WHERE arrangement = $1 AND module = $2 AND kind = 'keys'
		AND NOT EXISTS (SELECT 1 FROM restic_file WHERE arrangement = $1 AND module = $2 AND kind = 'config')`, arrangement, module)
	if err != nil {
		return err
	}
	for _, f := range list {
		if _, err := t.unrecorded(ctx, `DELETE FROM restic_file WHERE arrangement = $1 AND module = $2 AND kind = 'keys' AND name = $3`, arrangement, module, f.Name); err != nil {
			return err
		}
		if _, err := t.growRestic(ctx, arrangement, module, -1, -f.Size); err != nil {
			return err
		}
	}
	return nil
}

// destroyResticFiles takes the files that no deposit of the module holds any
// more out of its repository. While they were listed there, nothing would
// delete them, and a new chain of deposits would be made of them.
func (t *Tx) destroyResticFiles(ctx context.Context, d escrow.Destroyed) error {
	sizes, err := many(ctx, t, func(s scanner) (size int64, err error) { return size, s.Scan(&size) },
		`DELETE FROM restic_file WHERE arrangement = $1 AND module = $2
			AND object IN (SELECT name FROM destroyed_object WHERE arrangement = $1 AND module = $2 AND deposit = $3)
			AND NOT EXISTS (SELECT 1 FROM deposit_object AS o WHERE o.arrangement = $1 AND o.module = $2 AND o.name = restic_file.object)
			RETURNING size`, d.Arrangement, d.Module, d.Deposit)
	if err != nil || len(sizes) == 0 {
		return err
	}
	var total int64
	for _, size := range sizes {
		total += size
	}
	_, err = t.growRestic(ctx, d.Arrangement, d.Module, -int64(len(sizes)), -total)
	return err
}

// ResticFile returns one file of a repository.
func (t *Tx) ResticFile(ctx context.Context, arrangement, module string, kind escrow.ResticKind, name string) (escrow.ResticFile, error) {
	return one(ctx, t, scanResticFile, escrow.Errorf(escrow.NotFound, "module %q has no %s/%s", module, kind, name),
		`SELECT `+resticColumns+` FROM restic_file WHERE arrangement = $1 AND module = $2 AND kind = $3 AND name = $4`, arrangement, module, string(kind), name)
}

// ResticFiles returns at most limit files of a kind with a name after after,
// in the order of their names.
func (t *Tx) ResticFiles(ctx context.Context, arrangement, module string, kind escrow.ResticKind, after string, limit int) ([]escrow.ResticFile, error) {
	return many(ctx, t, scanResticFile, `SELECT `+resticColumns+` FROM restic_file
		WHERE arrangement = $1 AND module = $2 AND kind = $3 AND name > $4 ORDER BY name LIMIT $5`, arrangement, module, string(kind), after, limit)
}

// ResticWaiting returns at most limit files that no deposit from number chain
// on holds, what others rest on first.
func (t *Tx) ResticWaiting(ctx context.Context, arrangement, module string, chain, limit int) ([]escrow.ResticFile, error) {
	return many(ctx, t, scanResticFile, `SELECT `+resticColumns+` FROM restic_file AS f WHERE arrangement = $1 AND module = $2`+notHeld+`
		ORDER BY CASE kind WHEN 'config' THEN 0 WHEN 'keys' THEN 1 WHEN 'data' THEN 2 WHEN 'index' THEN 3 ELSE 4 END, received_us, name LIMIT $4`,
		arrangement, module, chain, limit)
}

const notHeld = ` AND NOT EXISTS (SELECT 1 FROM deposit_object AS o
	WHERE o.arrangement = f.arrangement AND o.module = f.module AND o.name = f.object AND o.deposit >= CAST($3 AS BIGINT))`

// ResticSnapshotsWaiting counts the snapshots that no deposit from number
// chain on holds.
func (t *Tx) ResticSnapshotsWaiting(ctx context.Context, arrangement, module string, chain int) (n int, err error) {
	err = t.tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM restic_file AS f WHERE arrangement = $1 AND module = $2 AND kind = 'snapshots'`+notHeld,
		arrangement, module, chain).Scan(&n)
	return n, err
}

// ResticUsage returns how much a module's repository holds.
func (t *Tx) ResticUsage(ctx context.Context, arrangement, module string) (escrow.ResticUsage, error) {
	scan := func(s scanner) (u escrow.ResticUsage, err error) { return u, s.Scan(&u.Files, &u.Bytes) }
	u, err := one(ctx, t, scan, escrow.Errorf(escrow.NotFound, "nothing has arrived"),
		`SELECT files, bytes FROM restic_usage WHERE arrangement = $1 AND module = $2`, arrangement, module)
	if escrow.CodeOf(err) == escrow.NotFound {
		return u, nil
	}
	return u, err
}

// LastFull returns number and epoch of a module's latest FULL deposit, zeros
// if there is none.
func (t *Tx) LastFull(ctx context.Context, arrangement, module string) (number, epoch int, err error) {
	type pair struct{ number, epoch int }
	list, err := many(ctx, t, func(s scanner) (p pair, err error) { return p, s.Scan(&p.number, &p.epoch) },
		`SELECT number, epoch FROM deposit WHERE arrangement = $1 AND module = $2 AND kind = 'FULL' ORDER BY number DESC LIMIT 1`, arrangement, module)
	if err != nil || len(list) == 0 {
		return 0, 0, err
	}
	return list[0].number, list[0].epoch, nil
}

// PutResticLock keeps a lock; a module has at most limit of them: code Full.
func (t *Tx) PutResticLock(ctx context.Context, arrangement, module string, l escrow.ResticLock, limit int) error {
	if _, err := t.unrecorded(ctx, `INSERT INTO restic_lock (arrangement, module, name, content, received_us) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
		arrangement, module, l.Name, blob(l.Content), micros(l.ReceivedAt)); err != nil {
		return err
	}
	var n int
	err := t.tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM restic_lock WHERE arrangement = $1 AND module = $2`, arrangement, module).Scan(&n)
	if err == nil && n > limit {
		err = escrow.Errorf(escrow.Full, "module %s has %d locks already", module, limit).WithHint("restic unlock removes those of runs that died")
	}
	return err
}

// ResticLocks returns the locks of a module's repository by name.
func (t *Tx) ResticLocks(ctx context.Context, arrangement, module string) ([]escrow.ResticLock, error) {
	scan := func(s scanner) (l escrow.ResticLock, err error) {
		var received int64
		err = s.Scan(&l.Name, &l.Content, &received)
		l.ReceivedAt = instant(received)
		return l, err
	}
	return many(ctx, t, scan, `SELECT name, content, received_us FROM restic_lock WHERE arrangement = $1 AND module = $2 ORDER BY name`, arrangement, module)
}

// DeleteResticLock removes a lock; one that is not there is no error.
func (t *Tx) DeleteResticLock(ctx context.Context, arrangement, module, name string) error {
	_, err := t.unrecorded(ctx, `DELETE FROM restic_lock WHERE arrangement = $1 AND module = $2 AND name = $3`, arrangement, module, name)
	return err
}
