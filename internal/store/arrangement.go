package store

import (
	"context"

	"holdfast/internal/escrow"
)

const arrangementColumns = `arrangement, version, digest, canonical, source, created_us`

func scanArrangement(s scanner) (a escrow.Arrangement, err error) {
	var created int64
	err = s.Scan(&a.ID, &a.Version, &a.Digest, &a.Canonical, &a.Source, &created)
	a.CreatedAt = instant(created)
	return a, err
}

// PutArrangement adds a version of an agreement. It must be the one after the
// latest, or 1 for a new arrangement; anything else is a Conflict.
func (t *Tx) PutArrangement(ctx context.Context, a escrow.Arrangement) error {
	n, err := t.write(ctx, "arrangement", `INSERT INTO arrangement (`+arrangementColumns+`)
		SELECT CAST($1 AS TEXT), CAST($2 AS BIGINT), CAST($3 AS TEXT), $4, $5, CAST($6 AS BIGINT)
		WHERE CAST($2 AS BIGINT) = 1 + COALESCE((SELECT MAX(version) FROM arrangement WHERE arrangement = $1), 0)`,
		a.ID, a.Version, a.Digest, blob(a.Canonical), blob(a.Source), micros(a.CreatedAt))
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.Conflict, "version %d of agreement %q does not follow the latest one", a.Version, a.ID).
			WithHint("somebody registered a version in between; read it and register yours after it")
	}
	return err
}

// Arrangement returns the arrangement with the agreement in force.
func (t *Tx) Arrangement(ctx context.Context, id string) (escrow.Arrangement, error) {
	return one(ctx, t, scanArrangement, escrow.Errorf(escrow.NotFound, "no arrangement %q", id),
		`SELECT `+arrangementColumns+` FROM arrangement WHERE arrangement = $1 ORDER BY version DESC LIMIT 1`, id)
}

// ArrangementVersion returns one version of an agreement that came into force.
func (t *Tx) ArrangementVersion(ctx context.Context, id string, version int) (escrow.Arrangement, error) {
	return one(ctx, t, scanArrangement, escrow.Errorf(escrow.NotFound, "no version %d of arrangement %q", version, id),
		`SELECT `+arrangementColumns+` FROM arrangement WHERE arrangement = $1 AND version = $2`, id, version)
}

// Arrangements returns all arrangements in the order of their ids, each with
// the agreement in force.
func (t *Tx) Arrangements(ctx context.Context) ([]escrow.Arrangement, error) {
	return many(ctx, t, scanArrangement, `SELECT `+arrangementColumns+` FROM arrangement AS a
		WHERE version = (SELECT MAX(version) FROM arrangement AS b WHERE b.arrangement = a.arrangement) ORDER BY arrangement`)
}

const contactColumns = `arrangement, party, person, recipient, signing_key, document, added_us`

func scanContact(s scanner) (c escrow.Contact, err error) {
	var added int64
	err = s.Scan(&c.Arrangement, &c.Party, &c.Person, &c.Recipient, &c.SigningKey, &c.Document, &added)
	c.AddedAt = instant(added)
	return c, err
}

// PutContact adds the card of a person. A card that is there is never
// replaced: what is sealed to a person must not be redirected unseen.
func (t *Tx) PutContact(ctx context.Context, c escrow.Contact) error {
	n, err := t.write(ctx, "contact", `INSERT INTO contact (`+contactColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
		c.Arrangement, c.Party, c.Person, c.Recipient, c.SigningKey, blob(c.Document), micros(c.AddedAt))
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.Conflict, "the card of %s/%s is there already", c.Party, c.Person).
			WithHint("a person with new keys gets a new person id")
	}
	return err
}

// DeleteContact removes a card, so that the personal data in it can be erased.
func (t *Tx) DeleteContact(ctx context.Context, arrangement, party, person string) error {
	n, err := t.remove(ctx, "contact", `DELETE FROM contact WHERE arrangement = $1 AND party = $2 AND person = $3`, arrangement, party, person)
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.NotFound, "no card of %s/%s", party, person)
	}
	return err
}

// Contact returns the card of a person.
func (t *Tx) Contact(ctx context.Context, arrangement, party, person string) (escrow.Contact, error) {
	return one(ctx, t, scanContact, escrow.Errorf(escrow.NotFound, "no card of %s/%s in arrangement %q", party, person, arrangement),
		`SELECT `+contactColumns+` FROM contact WHERE arrangement = $1 AND party = $2 AND person = $3`, arrangement, party, person)
}

// Contacts returns the cards of an arrangement by party and person.
func (t *Tx) Contacts(ctx context.Context, arrangement string) ([]escrow.Contact, error) {
	return many(ctx, t, scanContact, `SELECT `+contactColumns+` FROM contact WHERE arrangement = $1 ORDER BY party, person`, arrangement)
}
