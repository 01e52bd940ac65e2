package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"holdfast/internal/escrow"
)

const depositColumns = `arrangement, module, number, kind, predecessor, digest, manifest, signature, compartment, epoch, ` +
	`completeness, stored_bytes, accepted_us`

func scanDeposit(s scanner) (d escrow.Deposit, err error) {
	var accepted int64
	err = s.Scan(&d.Arrangement, &d.Module, &d.Number, &d.Kind, &d.Predecessor, &d.Digest, &d.Manifest, &d.Signature, &d.Compartment, &d.Epoch,
		&d.Completeness, &d.StoredBytes, &accepted)
	d.AcceptedAt = instant(accepted)
	return d, err
}

// PutDeposit adds the next deposit of a module with its objects. Its number
// must be one more than the latest and its predecessor the latest's digest, or
// the module has moved on since the deposit was made: a Conflict. Deposits
// never change and are never overwritten.
func (t *Tx) PutDeposit(ctx context.Context, d escrow.Deposit) error {
	n, err := t.write(ctx, "deposit", `INSERT INTO deposit (`+depositColumns+`)
		SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS BIGINT), CAST($4 AS TEXT), CAST($5 AS TEXT), CAST($6 AS TEXT), $7, $8,
			CAST($9 AS TEXT), CAST($10 AS BIGINT), CAST($11 AS TEXT), CAST($12 AS BIGINT), CAST($13 AS BIGINT)
		WHERE CAST($3 AS BIGINT) = 1 + COALESCE((SELECT MAX(number) FROM deposit WHERE arrangement = $1 AND module = $2), 0)
			AND CAST($5 AS TEXT) = COALESCE((SELECT digest FROM deposit
				WHERE arrangement = $1 AND module = $2 AND number = CAST($3 AS BIGINT) - 1), '')
		ON CONFLICT DO NOTHING`,
		d.Arrangement, d.Module, d.Number, string(d.Kind), d.Predecessor, d.Digest, blob(d.Manifest), blob(d.Signature),
		d.Compartment, d.Epoch, string(d.Completeness), d.StoredBytes, micros(d.AcceptedAt))
	if err != nil {
		return err
	}
	if n == 0 {
		return escrow.Errorf(escrow.Conflict, "deposit %d of module %q does not follow the latest one", d.Number, d.Module).
			WithHint("another deposit came first; deposit again")
	}
	rows, names := make([][]any, len(d.Objects)), make([]string, len(d.Objects))
	for i, o := range d.Objects {
		rows[i], names[i] = []any{i, o.Name, o.Size}, o.Name
	}
	if err := t.useObjects(ctx, d.Arrangement, names); err != nil {
		return err
	}
	return t.insertGroup(ctx, "deposit_object", []any{d.Arrangement, d.Module, d.Number}, rows)
}

func noDeposit(module string, number int) error {
	return escrow.Errorf(escrow.NotFound, "module %q has no deposit %d", module, number)
}

// Deposit returns one deposit with its objects.
func (t *Tx) Deposit(ctx context.Context, arrangement, module string, number int) (escrow.Deposit, error) {
	d, err := one(ctx, t, scanDeposit, noDeposit(module, number),
		`SELECT `+depositColumns+` FROM deposit WHERE arrangement = $1 AND module = $2 AND number = $3`, arrangement, module, number)
	return t.withObjects(ctx, d, err)
}

// LatestDeposit returns the last deposit of a module with its objects;
// NotFound if there is none.
func (t *Tx) LatestDeposit(ctx context.Context, arrangement, module string) (escrow.Deposit, error) {
	d, err := one(ctx, t, scanDeposit, escrow.Errorf(escrow.NotFound, "module %q has no deposit", module),
		`SELECT `+depositColumns+` FROM deposit WHERE arrangement = $1 AND module = $2 ORDER BY number DESC LIMIT 1`, arrangement, module)
	return t.withObjects(ctx, d, err)
}

func (t *Tx) withObjects(ctx context.Context, d escrow.Deposit, err error) (escrow.Deposit, error) {
	if err == nil {
		d.Objects, err = t.DepositObjects(ctx, d.Arrangement, d.Module, d.Number)
	}
	return d, err
}

// DepositObjects returns the objects of a deposit in the manifest's order.
func (t *Tx) DepositObjects(ctx context.Context, arrangement, module string, number int) ([]escrow.Object, error) {
	scan := func(s scanner) (o escrow.Object, err error) { return o, s.Scan(&o.Name, &o.Size) }
	return many(ctx, t, scan, `SELECT name, size FROM deposit_object
		WHERE arrangement = $1 AND module = $2 AND deposit = $3 ORDER BY seq`, arrangement, module, number)
}

// Deposits returns all deposits of a module from the first on, without their
// objects.
func (t *Tx) Deposits(ctx context.Context, arrangement, module string) ([]escrow.Deposit, error) {
	return many(ctx, t, scanDeposit, `SELECT `+depositColumns+` FROM deposit WHERE arrangement = $1 AND module = $2 ORDER BY number`,
		arrangement, module)
}

// DepositsAfter returns the deposits of a module with a number above after, the
// oldest first and without their objects: at most limit, and no more than
// have size bytes together, but one where there is one.
func (t *Tx) DepositsAfter(ctx context.Context, arrangement, module string, after, limit int, size int64) ([]escrow.Deposit, error) {
	type length struct {
		number int
		bytes  int64
	}
	scan := func(s scanner) (l length, err error) { return l, s.Scan(&l.number, &l.bytes) }
	lengths, err := many(ctx, t, scan, `SELECT number, length(manifest) + length(signature) FROM deposit
		WHERE arrangement = $1 AND module = $2 AND number > $3 ORDER BY number LIMIT $4`, arrangement, module, after, limit)
	if err != nil || len(lengths) == 0 {
		return nil, err
	}
	last := lengths[0].number
	for _, l := range lengths {
		if size -= l.bytes; size < 0 {
			break
		}
		last = l.number
	}
	return many(ctx, t, scanDeposit, `SELECT `+depositColumns+` FROM deposit
		WHERE arrangement = $1 AND module = $2 AND number > $3 AND number <= $4 ORDER BY number`, arrangement, module, after, last)
}

// DepositSpans tells which deposits of a compartment's modules were sealed to
// which epoch, by module and epoch.
func (t *Tx) DepositSpans(ctx context.Context, arrangement, compartment string) ([]escrow.DepositSpan, error) {
	scan := func(s scanner) (d escrow.DepositSpan, err error) {
		return d, s.Scan(&d.Module, &d.Epoch, &d.From, &d.To)
	}
	return many(ctx, t, scan, `SELECT module, epoch, MIN(number), MAX(number) FROM deposit
		WHERE arrangement = $1 AND compartment = $2 GROUP BY module, epoch ORDER BY module, epoch`, arrangement, compartment)
}

// DepositsWithObject returns the deposits of an arrangement that hold an
// object, by module and number and without their objects; none means that the
// object is not the arrangement's business.
func (t *Tx) DepositsWithObject(ctx context.Context, arrangement, object string) ([]escrow.Deposit, error) {
	return many(ctx, t, scanDeposit, `SELECT `+qualified("d", depositColumns)+` FROM deposit_object AS o
		JOIN deposit AS d ON d.arrangement = o.arrangement AND d.module = o.module AND d.number = o.deposit
		WHERE o.name = $2 AND o.arrangement = $1 ORDER BY d.module, d.number`, arrangement, object)
}

// objectsAtOnce bounds the parameters of one statement.
const objectsAtOnce = 500

// ObjectElsewhere returns the first of names that a deposit or the state of
// another module refers to, "" if there is none.
func (t *Tx) ObjectElsewhere(ctx context.Context, arrangement, module string, names []string) (string, error) {
	scan := func(s scanner) (name string, err error) { return name, s.Scan(&name) }
	for chunk := range slices.Chunk(names, objectsAtOnce) {
		args := []any{arrangement, module}
		var list strings.Builder
		for i, name := range chunk {
			fmt.Fprintf(&list, ",$%d", i+3)
			args = append(args, name)
		}
		in := list.String()[1:]
		found, err := many(ctx, t, scan, `SELECT name FROM deposit_object WHERE name IN (`+in+`) AND NOT (arrangement = $1 AND module = $2)
			UNION ALL SELECT state FROM source_state WHERE state IN (`+in+`) AND NOT (arrangement = $1 AND module = $2) LIMIT 1`, args...)
		if err != nil || len(found) > 0 {
			return append(found, "")[0], err
		}
	}
	return "", nil
}

// EachObject calls fn with the name of every object that a deposit, the
// state of a source or a restic repository refers to, in no order, some names more than once. size is
// −1 where it is not recorded.
func (t *Tx) EachObject(ctx context.Context, fn func(name string, size int64) error) error {
	rows, err := t.tx.QueryContext(ctx, `SELECT name, size FROM deposit_object UNION ALL SELECT object, size FROM restic_file`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var size int64
		if err := rows.Scan(&name, &size); err != nil {
			return err
		}
		if err := fn(name, size); err != nil {
			return err
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	states, err := many(ctx, t, scanSourceState, `SELECT `+sourceStateColumns+` FROM source_state`)
	if err != nil {
		return err
	}
	for _, s := range states {
		for _, name := range append([]string{s.State}, s.Segments...) {
			if err := fn(name, -1); err != nil {
				return err
			}
		}
	}
	return nil
}

const sourceStateColumns = `arrangement, module, deposit, state, segments, chain`

func scanSourceState(r scanner) (s escrow.SourceState, err error) {
	var segments string
	if err := r.Scan(&s.Arrangement, &s.Module, &s.Deposit, &s.State, &segments, &s.Chain); err != nil {
		return s, err
	}
	s.Segments, err = splitNames(segments)
	return s, err
}

// PutSourceState records what the next increment builds on. It must belong to
// the latest deposit and never goes back: anything else is a Conflict.
func (t *Tx) PutSourceState(ctx context.Context, s escrow.SourceState) error {
	segments, err := joinNames(s.Segments)
	if err != nil {
		return err
	}
	if err := t.useObjects(ctx, s.Arrangement, append([]string{s.State}, s.Segments...)); err != nil {
		return err
	}
	n, err := t.write(ctx, "source_state", `INSERT INTO source_state (`+sourceStateColumns+`)
		SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS BIGINT), CAST($4 AS TEXT), CAST($5 AS TEXT), CAST($6 AS BIGINT)
		WHERE CAST($3 AS BIGINT) = (SELECT MAX(number) FROM deposit WHERE arrangement = $1 AND module = $2)
		ON CONFLICT (arrangement, module) DO UPDATE SET deposit = excluded.deposit, state = excluded.state,
			segments = excluded.segments, chain = excluded.chain
		WHERE source_state.deposit <= excluded.deposit`,
		s.Arrangement, s.Module, s.Deposit, s.State, segments, s.Chain)
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.Conflict, "deposit %d of module %q is not the latest, so its state is of no use", s.Deposit, s.Module)
	}
	return err
}

// SourceState returns what the next increment of a module builds on.
func (t *Tx) SourceState(ctx context.Context, arrangement, module string) (escrow.SourceState, error) {
	return one(ctx, t, scanSourceState, escrow.Errorf(escrow.NotFound, "module %q has no state of its source", module),
		`SELECT `+sourceStateColumns+` FROM source_state WHERE arrangement = $1 AND module = $2`, arrangement, module)
}
