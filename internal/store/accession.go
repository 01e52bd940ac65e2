package store

import (
	"context"

	"holdfast/internal/escrow"
)

// accessionTables are the tables of who leaves.
func accessionTables() []*table {
	return []*table{
		newTable("leaving", "arrangement party", "", "state person authority document:x signature:x signing_key noticed_us:i ends_us:i readers blocked withdrawn withdrawn_us:i "+
			"version:i agreement ended_us:i modules compartments certificate:x certificate_sig:x certified_us:i"),
	}
}

const leavingColumns = `arrangement, party, state, person, authority, document, signature, signing_key, noticed_us, ends_us, readers, blocked, withdrawn, withdrawn_us,
	version, agreement, ended_us, modules, compartments, certificate, certificate_sig, certified_us`

func scanLeaving(s scanner) (l escrow.Leaving, err error) {
	var noticed, ends, withdrawn, ended, certified int64
	var readers, modules, compartments string
	if err := s.Scan(&l.Arrangement, &l.Party, &l.State, &l.Person, &l.Authority, &l.Document, &l.Signature, &l.Key, &noticed, &ends, &readers, &l.Blocked, &l.Withdrawn, &withdrawn,
		&l.Version, &l.Agreement, &ended, &modules, &compartments, &l.Certificate, &l.CertificateSig, &certified); err != nil {
		return l, err
	}
	if len(l.Certificate) == 0 { // PostgreSQL tells empty from NULL, SQLite does not
		l.Certificate, l.CertificateSig = nil, nil
	}
	l.NoticedAt, l.EndsAt, l.WithdrawnAt, l.EndedAt, l.CertifiedAt = instant(noticed), instant(ends), instant(withdrawn), instant(ended), instant(certified)
	for _, list := range []struct {
		text string
		to   *[]string
	}{{readers, &l.Readers}, {modules, &l.Modules}, {compartments, &l.Compartments}} {
		if *list.to, err = splitNames(list.text); err != nil {
			return l, err
		}
	}
	return l, nil
}

// PutLeaving records a notice of leaving or what became of it. A notice is
// taken back or comes to its end, an end is certified, and nothing goes back;
// who took a notice back may give another.
func (t *Tx) PutLeaving(ctx context.Context, l escrow.Leaving) error {
	var lists [3]string
	for i, names := range [][]string{l.Readers, l.Modules, l.Compartments} {
		var err error
		if lists[i], err = joinNames(names); err != nil {
			return err
		}
	}
	n, err := t.write(ctx, "leaving", `INSERT INTO leaving (`+leavingColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
		ON CONFLICT (arrangement, party) DO UPDATE SET state = excluded.state, person = excluded.person, authority = excluded.authority, document = excluded.document,
			signature = excluded.signature, signing_key = excluded.signing_key, noticed_us = excluded.noticed_us, ends_us = excluded.ends_us, readers = excluded.readers,
			blocked = excluded.blocked, withdrawn = excluded.withdrawn, withdrawn_us = excluded.withdrawn_us, version = excluded.version, agreement = excluded.agreement,
			ended_us = excluded.ended_us, modules = excluded.modules, compartments = excluded.compartments, certificate = excluded.certificate,
			certificate_sig = excluded.certificate_sig, certified_us = excluded.certified_us
		WHERE leaving.state = 'withdrawn' AND excluded.state = 'noticed'
			OR leaving.state = 'noticed' AND excluded.state IN ('noticed', 'withdrawn', 'ended') AND excluded.document = leaving.document
			OR leaving.state = 'ended' AND excluded.state = 'certified' AND excluded.document = leaving.document`,
		l.Arrangement, l.Party, string(l.State), l.Person, l.Authority, blob(l.Document), blob(l.Signature), l.Key, micros(l.NoticedAt), micros(l.EndsAt), lists[0], l.Blocked,
		l.Withdrawn, micros(l.WithdrawnAt), l.Version, l.Agreement, micros(l.EndedAt), lists[1], lists[2], blob(l.Certificate), blob(l.CertificateSig), micros(l.CertifiedAt))
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.Conflict, "the leaving of %s from %q stands otherwise by now", l.Party, l.Arrangement)
	}
	return err
}

// Leaving returns the notice of one party, or an error with code NotFound.
func (t *Tx) Leaving(ctx context.Context, arrangement, party string) (escrow.Leaving, error) {
	return one(ctx, t, scanLeaving, escrow.Errorf(escrow.NotFound, "%s has given no notice", party),
		`SELECT `+leavingColumns+` FROM leaving WHERE arrangement = $1 AND party = $2`, arrangement, party)
}

// Leavings returns the notices of an arrangement, the oldest first.
func (t *Tx) Leavings(ctx context.Context, arrangement string) ([]escrow.Leaving, error) {
	return many(ctx, t, scanLeaving, `SELECT `+leavingColumns+` FROM leaving WHERE arrangement = $1 ORDER BY noticed_us, party`, arrangement)
}

// LeavingsIn returns the notices in a state, of every arrangement, in the order
// in which they end.
func (t *Tx) LeavingsIn(ctx context.Context, state escrow.LeavingState) ([]escrow.Leaving, error) {
	return many(ctx, t, scanLeaving, `SELECT `+leavingColumns+` FROM leaving WHERE state = $1 ORDER BY ends_us, arrangement, party`, string(state))
}

// ForgetUnfinished removes what is kept of a module beside its deposits: the
// state of its source, and what was uploaded to its repository and never became
// part of a deposit, with the locks there. The objects that nothing refers to
// any more are collected like others.
func (t *Tx) ForgetUnfinished(ctx context.Context, arrangement, module string) error {
	if _, err := t.remove(ctx, "source_state", `DELETE FROM source_state WHERE arrangement = $1 AND module = $2`, arrangement, module); err != nil {
		return err
	}
	if _, err := t.unrecorded(ctx, `DELETE FROM restic_lock WHERE arrangement = $1 AND module = $2`, arrangement, module); err != nil {
		return err
	}
	sizes, err := many(ctx, t, func(s scanner) (size int64, err error) { return size, s.Scan(&size) },
		`DELETE FROM restic_file WHERE arrangement = $1 AND module = $2
			AND NOT EXISTS (SELECT 1 FROM deposit_object AS o WHERE o.arrangement = $1 AND o.module = $2 AND o.name = restic_file.object)
			RETURNING size`, arrangement, module)
	if err != nil || len(sizes) == 0 {
		return err
	}
	var total int64
	for _, size := range sizes {
		total += size
	}
	_, err = t.growRestic(ctx, arrangement, module, -int64(len(sizes)), -total)
	return err
}
