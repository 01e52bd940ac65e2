package store

import (
	"context"

	"holdfast/internal/escrow"
)

const epochColumns = `arrangement, compartment, number, set_id, recipient, manifest, signature, required, state, ` +
	`dealt_us, activated_us, ended_us, end_reason`

func scanEpoch(s scanner) (e escrow.Epoch, err error) {
	var dealt, activated, ended int64
	err = s.Scan(&e.Arrangement, &e.Compartment, &e.Number, &e.Set, &e.Recipient, &e.Manifest, &e.Signature, &e.Required, &e.State,
		&dealt, &activated, &ended, &e.EndReason)
	e.DealtAt, e.ActivatedAt, e.EndedAt = instant(dealt), instant(activated), instant(ended)
	return e, err
}

// PutEpoch adds the next epoch of a compartment, or moves one on in its life.
// What was dealt never changes, an epoch that has ended or was abandoned stays
// so, and a compartment has one active epoch at most; anything else is a
// Conflict.
func (t *Tx) PutEpoch(ctx context.Context, e escrow.Epoch) error {
	n, err := t.write(ctx, "epoch", `UPDATE epoch SET state = $9, activated_us = $11, ended_us = $12, end_reason = $13
		WHERE arrangement = $1 AND compartment = $2 AND number = $3
			AND set_id = $4 AND recipient = $5 AND manifest = $6 AND signature = $7 AND required = $8 AND dealt_us = $10
			AND (state = CAST($9 AS TEXT) AND state IN ('dealt', 'active')
				OR state = 'dealt' AND CAST($9 AS TEXT) IN ('active', 'abandoned')
				OR state = 'active' AND CAST($9 AS TEXT) = 'ended')
			AND (CAST($9 AS TEXT) <> 'active' OR NOT EXISTS (SELECT 1 FROM epoch AS other
				WHERE other.arrangement = $1 AND other.compartment = $2 AND other.number <> $3 AND other.state = 'active'))`,
		epochArguments(e)...)
	if err != nil || n == 1 {
		return err
	}
	n, err = t.write(ctx, "epoch", `INSERT INTO epoch (`+epochColumns+`)
		SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS BIGINT), CAST($4 AS TEXT), CAST($5 AS TEXT), $6, $7, CAST($8 AS BIGINT),
			CAST($9 AS TEXT), CAST($10 AS BIGINT), CAST($11 AS BIGINT), CAST($12 AS BIGINT), CAST($13 AS TEXT)
		WHERE CAST($3 AS BIGINT) = 1 + COALESCE((SELECT MAX(number) FROM epoch WHERE arrangement = $1 AND compartment = $2), 0)
			AND CAST($9 AS TEXT) IN ('dealt', 'active')
		ON CONFLICT DO NOTHING`, epochArguments(e)...)
	if err != nil || n == 1 {
		return err
	}
	return escrow.Errorf(escrow.Conflict, "epoch %d of compartment %q cannot become %s as things stand", e.Number, e.Compartment, e.State).
		WithHint("read the epochs of the compartment again: another ceremony or an acceptance came in between")
}

func epochArguments(e escrow.Epoch) []any {
	return []any{e.Arrangement, e.Compartment, e.Number, e.Set, e.Recipient, blob(e.Manifest), blob(e.Signature), e.Required, string(e.State),
		micros(e.DealtAt), micros(e.ActivatedAt), micros(e.EndedAt), e.EndReason}
}

// Epoch returns one epoch of a compartment.
func (t *Tx) Epoch(ctx context.Context, arrangement, compartment string, number int) (escrow.Epoch, error) {
	return one(ctx, t, scanEpoch, escrow.Errorf(escrow.NotFound, "compartment %q has no epoch %d", compartment, number),
		`SELECT `+epochColumns+` FROM epoch WHERE arrangement = $1 AND compartment = $2 AND number = $3`, arrangement, compartment, number)
}

// ActiveEpoch returns the epoch that deposits are sealed to.
func (t *Tx) ActiveEpoch(ctx context.Context, arrangement, compartment string) (escrow.Epoch, error) {
	return one(ctx, t, scanEpoch, escrow.Errorf(escrow.NotFound, "compartment %q has no active epoch", compartment).
		WithHint("hold a key ceremony, and let the trustees accept their shares"),
		`SELECT `+epochColumns+` FROM epoch WHERE arrangement = $1 AND compartment = $2 AND state = 'active'`, arrangement, compartment)
}

// Epochs returns the epochs of a compartment from the first on.
func (t *Tx) Epochs(ctx context.Context, arrangement, compartment string) ([]escrow.Epoch, error) {
	return many(ctx, t, scanEpoch, `SELECT `+epochColumns+` FROM epoch WHERE arrangement = $1 AND compartment = $2 ORDER BY number`,
		arrangement, compartment)
}

const packageColumns = `arrangement, compartment, epoch, trustee, person, digest, sealed`

func scanSharePackage(s scanner) (p escrow.SharePackage, err error) {
	return p, s.Scan(&p.Arrangement, &p.Compartment, &p.Epoch, &p.Trustee, &p.Person, &p.Digest, &p.Sealed)
}

// PutSharePackage adds a sealed share. One that is there is never replaced.
func (t *Tx) PutSharePackage(ctx context.Context, p escrow.SharePackage) error {
	n, err := t.write(ctx, "share_package", `INSERT INTO share_package (`+packageColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT DO NOTHING`, p.Arrangement, p.Compartment, p.Epoch, p.Trustee, p.Person, p.Digest, blob(p.Sealed))
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.Conflict, "%s/%s has a share of epoch %d of %q already", p.Trustee, p.Person, p.Epoch, p.Compartment)
	}
	return err
}

// SharePackage returns one person's sealed share.
func (t *Tx) SharePackage(ctx context.Context, arrangement, compartment string, epoch int, trustee, person string) (escrow.SharePackage, error) {
	return one(ctx, t, scanSharePackage,
		escrow.Errorf(escrow.NotFound, "%s/%s has no share of epoch %d of compartment %q", trustee, person, epoch, compartment),
		`SELECT `+packageColumns+` FROM share_package
		WHERE arrangement = $1 AND compartment = $2 AND epoch = $3 AND trustee = $4 AND person = $5`, arrangement, compartment, epoch, trustee, person)
}

// SharePackages returns all sealed shares of an epoch by trustee and person.
func (t *Tx) SharePackages(ctx context.Context, arrangement, compartment string, epoch int) ([]escrow.SharePackage, error) {
	return many(ctx, t, scanSharePackage, `SELECT `+packageColumns+` FROM share_package
		WHERE arrangement = $1 AND compartment = $2 AND epoch = $3 ORDER BY trustee, person`, arrangement, compartment, epoch)
}

const acceptanceColumns = `arrangement, compartment, epoch, trustee, person, document, signature, accepted_us`

func scanAcceptance(s scanner) (a escrow.Acceptance, err error) {
	var accepted int64
	err = s.Scan(&a.Arrangement, &a.Compartment, &a.Epoch, &a.Trustee, &a.Person, &a.Document, &a.Signature, &accepted)
	a.AcceptedAt = instant(accepted)
	return a, err
}

// PutAcceptance adds a signed acceptance. A person accepts an epoch once.
func (t *Tx) PutAcceptance(ctx context.Context, a escrow.Acceptance) error {
	n, err := t.write(ctx, "acceptance", `INSERT INTO acceptance (`+acceptanceColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT DO NOTHING`, a.Arrangement, a.Compartment, a.Epoch, a.Trustee, a.Person, blob(a.Document), blob(a.Signature), micros(a.AcceptedAt))
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.Conflict, "%s/%s has accepted epoch %d of %q already", a.Trustee, a.Person, a.Epoch, a.Compartment)
	}
	return err
}

// Acceptances returns the acceptances of an epoch by trustee and person.
func (t *Tx) Acceptances(ctx context.Context, arrangement, compartment string, epoch int) ([]escrow.Acceptance, error) {
	return many(ctx, t, scanAcceptance, `SELECT `+acceptanceColumns+` FROM acceptance
		WHERE arrangement = $1 AND compartment = $2 AND epoch = $3 ORDER BY trustee, person`, arrangement, compartment, epoch)
}
