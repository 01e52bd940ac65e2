package store

import (
	"context"

	"holdfast/internal/escrow"
)

// unchangedTables are the tables of what depositors say when they deposit
// nothing, and of what was found missing in what they deposit.
func unchangedTables() []*table {
	return []*table{
		newTable("deposit_unchanged", "arrangement module", "", "deposit:i document:x signature:x party person at_us:i received_us:i"),
		newTable("deposit_defect", "arrangement module deposit:i", "", "defects found_us:i"),
	}
}

// PutUnchanged records a depositor's newest word that nothing changed.
func (t *Tx) PutUnchanged(ctx context.Context, u escrow.Unchanged) error {
	_, err := t.write(ctx, "deposit_unchanged", `INSERT INTO deposit_unchanged (arrangement, module, deposit, document, signature, party, person, at_us, received_us)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (arrangement, module) DO UPDATE SET deposit = excluded.deposit, document = excluded.document, signature = excluded.signature,
			party = excluded.party, person = excluded.person, at_us = excluded.at_us, received_us = excluded.received_us`,
		u.Arrangement, u.Module, u.Deposit, u.Document, u.Signature, u.Party, u.Person, micros(u.At), micros(u.ReceivedAt))
	return err
}

// Unchanged returns the newest word of a module's depositor that nothing
// changed; NotFound when there is none.
func (t *Tx) Unchanged(ctx context.Context, arrangement, module string) (escrow.Unchanged, error) {
	scan := func(s scanner) (u escrow.Unchanged, err error) {
		var at, received int64
		err = s.Scan(&u.Arrangement, &u.Module, &u.Deposit, &u.Document, &u.Signature, &u.Party, &u.Person, &at, &received)
		u.At, u.ReceivedAt = instant(at), instant(received)
		return u, err
	}
	list, err := many(ctx, t, scan, `SELECT arrangement, module, deposit, document, signature, party, person, at_us, received_us FROM deposit_unchanged
		WHERE arrangement = $1 AND module = $2`, arrangement, module)
	if err == nil && len(list) == 0 {
		return escrow.Unchanged{}, escrow.Errorf(escrow.NotFound, "nobody reported that module %q is unchanged", module)
	}
	if err != nil {
		return escrow.Unchanged{}, err
	}
	return list[0], nil
}

// PutDefects records what was found missing in a deposit when it came.
func (t *Tx) PutDefects(ctx context.Context, d escrow.FoundDefects) error {
	defects, err := joinNames(d.Defects)
	if err != nil {
		return err
	}
	_, err = t.write(ctx, "deposit_defect", `INSERT INTO deposit_defect (arrangement, module, deposit, defects, found_us) VALUES ($1, $2, $3, $4, $5)`,
		d.Arrangement, d.Module, d.Deposit, defects, micros(d.FoundAt))
	return err
}

// Defects returns what was found missing in the deposits of a module, by
// deposit.
func (t *Tx) Defects(ctx context.Context, arrangement, module string) ([]escrow.FoundDefects, error) {
	scan := func(s scanner) (d escrow.FoundDefects, err error) {
		var defects string
		var at int64
		if err := s.Scan(&d.Arrangement, &d.Module, &d.Deposit, &defects, &at); err != nil {
			return d, err
		}
		d.FoundAt = instant(at)
		d.Defects, err = splitNames(defects)
		return d, err
	}
	return many(ctx, t, scan, `SELECT arrangement, module, deposit, defects, found_us FROM deposit_defect
		WHERE arrangement = $1 AND module = $2 ORDER BY deposit`, arrangement, module)
}
