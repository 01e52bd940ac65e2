package store

import (
	"context"

	"holdfast/internal/escrow"
)

const caseColumns = `arrangement, id, event, stage, claimant, reason, compartment, epoch, recipients, state, statement, ` +
	`opened_us, noticed_us, contest_us, in_force_us, ended_us`

func scanCase(s scanner) (c escrow.Case, err error) {
	var recipients string
	var opened, noticed, contest, inForce, ended int64
	err = s.Scan(&c.Arrangement, &c.ID, &c.Event, &c.Stage, &c.Claimant, &c.Reason, &c.Compartment, &c.Epoch, &recipients, &c.State,
		&c.Statement, &opened, &noticed, &contest, &inForce, &ended)
	if err != nil {
		return c, err
	}
	if len(c.Statement) == 0 {
		c.Statement = nil
	}
	c.OpenedAt, c.NoticedAt, c.ContestEnds, c.InForceAt, c.EndedAt =
		instant(opened), instant(noticed), instant(contest), instant(inForce), instant(ended)
	c.Recipients, err = splitNames(recipients)
	return c, err
}

// PutCase adds a case, or stores its new state. Who claims what, since when,
// never changes; a statement, once there, stays as it is, since approvals are
// bound to it; and a case that has ended does not move again. Anything else is
// a Conflict.
func (t *Tx) PutCase(ctx context.Context, c escrow.Case) error {
	recipients, err := joinNames(c.Recipients)
	if err != nil {
		return err
	}
	n, err := t.write(ctx, "release_case", `INSERT INTO release_case (`+caseColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
		ON CONFLICT (arrangement, id) DO UPDATE SET compartment = excluded.compartment, epoch = excluded.epoch,
			recipients = excluded.recipients, state = excluded.state, statement = excluded.statement, noticed_us = excluded.noticed_us,
			contest_us = excluded.contest_us, in_force_us = excluded.in_force_us, ended_us = excluded.ended_us
		WHERE release_case.event = excluded.event AND release_case.stage = excluded.stage AND release_case.claimant = excluded.claimant
			AND release_case.reason = excluded.reason AND release_case.opened_us = excluded.opened_us
			AND (length(release_case.statement) = 0 OR release_case.statement = excluded.statement
				AND release_case.compartment = excluded.compartment AND release_case.epoch = excluded.epoch
				AND release_case.recipients = excluded.recipients)
			AND release_case.state NOT IN ('reversed', 'assumed', 'closed')`,
		c.Arrangement, c.ID, c.Event, c.Stage, c.Claimant, c.Reason, c.Compartment, c.Epoch, recipients, string(c.State), blob(c.Statement),
		micros(c.OpenedAt), micros(c.NoticedAt), micros(c.ContestEnds), micros(c.InForceAt), micros(c.EndedAt))
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.Conflict, "case %q cannot change like this", c.ID).
			WithHint("it has ended, or its claim or its statement would change; read it again, or open a new case")
	}
	return err
}

// Case returns one case.
func (t *Tx) Case(ctx context.Context, arrangement, id string) (escrow.Case, error) {
	return one(ctx, t, scanCase, escrow.Errorf(escrow.NotFound, "no case %q in arrangement %q", id, arrangement),
		`SELECT `+caseColumns+` FROM release_case WHERE arrangement = $1 AND id = $2`, arrangement, id)
}

// Cases returns the cases of an arrangement, the newest first.
func (t *Tx) Cases(ctx context.Context, arrangement string) ([]escrow.Case, error) {
	return many(ctx, t, scanCase, `SELECT `+caseColumns+` FROM release_case WHERE arrangement = $1 ORDER BY opened_us DESC, id`, arrangement)
}

const approvalColumns = `arrangement, case_id, trustee, person, document, signature, received_us`

func scanApproval(s scanner) (a escrow.Approval, err error) {
	var received int64
	err = s.Scan(&a.Arrangement, &a.Case, &a.Trustee, &a.Person, &a.Document, &a.Signature, &received)
	a.ReceivedAt = instant(received)
	return a, err
}

// PutApproval adds an approval to a case that asks for them; a person approves
// a case once. Anything else is a Conflict.
func (t *Tx) PutApproval(ctx context.Context, a escrow.Approval) error {
	n, err := t.write(ctx, "approval", `INSERT INTO approval (`+approvalColumns+`)
		SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT), $5, $6, CAST($7 AS BIGINT)
		WHERE EXISTS (SELECT 1 FROM release_case WHERE arrangement = $1 AND id = $2 AND state IN ('approving', 'in_force'))
		ON CONFLICT DO NOTHING`,
		a.Arrangement, a.Case, a.Trustee, a.Person, blob(a.Document), blob(a.Signature), micros(a.ReceivedAt))
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.Conflict, "case %q does not take an approval of %s/%s", a.Case, a.Trustee, a.Person).
			WithHint("it does not ask for approvals now, or has this one already")
	}
	return err
}

// Approvals returns the approvals of a case in the order they came in.
func (t *Tx) Approvals(ctx context.Context, arrangement, id string) ([]escrow.Approval, error) {
	return many(ctx, t, scanApproval, `SELECT `+approvalColumns+` FROM approval
		WHERE arrangement = $1 AND case_id = $2 ORDER BY received_us, trustee, person`, arrangement, id)
}

const tokenColumns = `id, hash, person, party, role, arrangement, module, created_us, expires_us, revoked_us`

func scanToken(s scanner) (t escrow.Token, err error) {
	var created, expires, revoked int64
	err = s.Scan(&t.ID, &t.Hash, &t.Person, &t.Party, &t.Role, &t.Arrangement, &t.Module, &created, &expires, &revoked)
	t.CreatedAt, t.ExpiresAt, t.RevokedAt = instant(created), instant(expires), instant(revoked)
	return t, err
}

// PutToken adds the record of a new token, or revokes it: of a token that is
// there only the time of revocation can be set, and only once. Anything else
// is a Conflict.
func (t *Tx) PutToken(ctx context.Context, k escrow.Token) error {
	n, err := t.write(ctx, "token", `INSERT INTO token (`+tokenColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (id) DO UPDATE SET revoked_us = excluded.revoked_us
		WHERE token.revoked_us = 0 AND excluded.revoked_us > 0 AND token.hash = excluded.hash AND token.person = excluded.person
			AND token.party = excluded.party AND token.role = excluded.role AND token.arrangement = excluded.arrangement
			AND token.module = excluded.module AND token.created_us = excluded.created_us AND token.expires_us = excluded.expires_us`,
		k.ID, blob(k.Hash), k.Person, k.Party, string(k.Role), k.Arrangement, k.Module, micros(k.CreatedAt), micros(k.ExpiresAt), micros(k.RevokedAt))
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.Conflict, "token %q is there already and can only be revoked, once", k.ID)
	}
	return err
}

// Token returns the record of a token.
func (t *Tx) Token(ctx context.Context, id string) (escrow.Token, error) {
	return one(ctx, t, scanToken, escrow.Errorf(escrow.NotFound, "no token %q", id), `SELECT `+tokenColumns+` FROM token WHERE id = $1`, id)
}

// Tokens returns the records of the tokens of an arrangement, or of the
// installation for "", the newest first.
func (t *Tx) Tokens(ctx context.Context, arrangement string) ([]escrow.Token, error) {
	return many(ctx, t, scanToken, `SELECT `+tokenColumns+` FROM token WHERE arrangement = $1 ORDER BY created_us DESC, id`, arrangement)
}
