package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"holdfast/internal/escrow"
)

// custodyTables are the tables of what is kept, stopped from going, gone, and
// owed.
func custodyTables() []*table {
	return append(append(dutyTables(), unchangedTables()...),
		newTable("legal_hold", "arrangement id", "",
			"module from_deposit:i to_deposit:i ground party person placed_us:i until_us:i lifted_us:i lifted_by lift_reason"),
		newTable("destruction", "arrangement id", "", "module document:x state party person signing_key signature:x requested_us:i expires_us:i "+
			"approver_party approver_person approver_key approver_signature:x approved_us:i end_reason certificate:x certificate_sig:x certified_us:i"),
		newTable("destroyed_object", "arrangement module deposit:i", "seq:i", "name size:i kept:b destruction destroyed_us:i"),
		newTable("deposit_mark", "arrangement module deposit:i", "",
			"reasons marked_us:i first_party first_person first_reason first_us:i party person reason released_us:i"),
		newTable("deposit_verified", "arrangement module deposit:i level:i", "", "party person note verified_us:i"),
		newTable("running", "arrangement module party", "", "person deposit:i version stated_us:i"),
	)
}

const holdColumns = `arrangement, id, module, from_deposit, to_deposit, ground, party, person, placed_us, until_us, lifted_us, lifted_by, lift_reason`

func scanHold(s scanner) (h escrow.Hold, err error) {
	var placed, until, lifted int64
	err = s.Scan(&h.Arrangement, &h.ID, &h.Module, &h.From, &h.To, &h.Ground, &h.Party, &h.Person, &placed, &until, &lifted, &h.LiftedBy, &h.LiftReason)
	h.PlacedAt, h.Until, h.LiftedAt = instant(placed), instant(until), instant(lifted)
	return h, err
}

// PutHold adds a legal hold, or lifts it: of one that is there nothing else
// can change, and a lifted one stays lifted. Anything else is a Conflict.
func (t *Tx) PutHold(ctx context.Context, h escrow.Hold) error {
	n, err := t.write(ctx, "legal_hold", `INSERT INTO legal_hold (`+holdColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		ON CONFLICT (arrangement, id) DO UPDATE SET lifted_us = excluded.lifted_us, lifted_by = excluded.lifted_by, lift_reason = excluded.lift_reason
		WHERE legal_hold.lifted_us = 0 AND excluded.lifted_us > 0 AND legal_hold.module = excluded.module
			AND legal_hold.from_deposit = excluded.from_deposit AND legal_hold.to_deposit = excluded.to_deposit
			AND legal_hold.ground = excluded.ground AND legal_hold.party = excluded.party AND legal_hold.person = excluded.person
			AND legal_hold.placed_us = excluded.placed_us AND legal_hold.until_us = excluded.until_us`,
		h.Arrangement, h.ID, h.Module, h.From, h.To, h.Ground, h.Party, h.Person, micros(h.PlacedAt), micros(h.Until), micros(h.LiftedAt), h.LiftedBy, h.LiftReason)
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.Conflict, "hold %q is there already and can only be lifted, once", h.ID)
	}
	return err
}

// Hold returns one legal hold.
func (t *Tx) Hold(ctx context.Context, arrangement, id string) (escrow.Hold, error) {
	return one(ctx, t, scanHold, escrow.Errorf(escrow.NotFound, "no hold %q in arrangement %q", id, arrangement),
		`SELECT `+holdColumns+` FROM legal_hold WHERE arrangement = $1 AND id = $2`, arrangement, id)
}

// Holds returns the legal holds of an arrangement, the newest first.
func (t *Tx) Holds(ctx context.Context, arrangement string) ([]escrow.Hold, error) {
	return many(ctx, t, scanHold, `SELECT `+holdColumns+` FROM legal_hold WHERE arrangement = $1 ORDER BY placed_us DESC, id`, arrangement)
}

const destructionColumns = `arrangement, id, module, document, state, party, person, signing_key, signature, requested_us, expires_us, ` +
	`approver_party, approver_person, approver_key, approver_signature, approved_us, end_reason, certificate, certificate_sig, certified_us`

func scanDestruction(s scanner) (d escrow.Destruction, err error) {
	var requested, expires, approved, certified int64
	err = s.Scan(&d.Arrangement, &d.ID, &d.Module, &d.Document, &d.State, &d.Party, &d.Person, &d.Key, &d.Signature, &requested, &expires,
		&d.ApproverParty, &d.ApproverPerson, &d.ApproverKey, &d.ApproverSignature, &approved, &d.EndReason, &d.Certificate, &d.CertificateSig, &certified)
	d.RequestedAt, d.ExpiresAt, d.ApprovedAt, d.CertifiedAt = instant(requested), instant(expires), instant(approved), instant(certified)
	for _, b := range []*[]byte{&d.ApproverSignature, &d.Certificate, &d.CertificateSig} {
		if len(*b) == 0 {
			*b = nil
		}
	}
	return d, err
}

// PutDestruction adds a request for destruction, or moves it on: from
// requested to cancelled or approved, from approved to certified. What was
// asked, by whom, and what was approved never changes. Anything else is a
// Conflict.
func (t *Tx) PutDestruction(ctx context.Context, d escrow.Destruction) error {
	n, err := t.write(ctx, "destruction", `INSERT INTO destruction (`+destructionColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
		ON CONFLICT (arrangement, id) DO UPDATE SET state = excluded.state, approver_party = excluded.approver_party,
			approver_person = excluded.approver_person, approver_key = excluded.approver_key, approver_signature = excluded.approver_signature,
			approved_us = excluded.approved_us, end_reason = excluded.end_reason, certificate = excluded.certificate,
			certificate_sig = excluded.certificate_sig, certified_us = excluded.certified_us
		WHERE destruction.document = excluded.document AND destruction.module = excluded.module AND destruction.party = excluded.party
			AND destruction.person = excluded.person AND destruction.signing_key = excluded.signing_key AND destruction.signature = excluded.signature
			AND destruction.requested_us = excluded.requested_us AND destruction.expires_us = excluded.expires_us
			AND (destruction.state = 'requested' AND excluded.state IN ('cancelled', 'approved')
				OR destruction.state = 'approved' AND excluded.state = 'certified' AND destruction.approved_us = excluded.approved_us
					AND destruction.approver_party = excluded.approver_party AND destruction.approver_person = excluded.approver_person
					AND destruction.approver_key = excluded.approver_key AND destruction.approver_signature = excluded.approver_signature)`,
		d.Arrangement, d.ID, d.Module, blob(d.Document), string(d.State), d.Party, d.Person, d.Key, blob(d.Signature), micros(d.RequestedAt), micros(d.ExpiresAt),
		d.ApproverParty, d.ApproverPerson, d.ApproverKey, blob(d.ApproverSignature), micros(d.ApprovedAt), d.EndReason, blob(d.Certificate), blob(d.CertificateSig),
		micros(d.CertifiedAt))
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.Conflict, "destruction %q cannot change like this", d.ID).
			WithHint("read it again: it was approved, cancelled or certified meanwhile")
	}
	return err
}

// Destruction returns one request for destruction.
func (t *Tx) Destruction(ctx context.Context, arrangement, id string) (escrow.Destruction, error) {
	return one(ctx, t, scanDestruction, escrow.Errorf(escrow.NotFound, "no destruction %q in arrangement %q", id, arrangement),
		`SELECT `+destructionColumns+` FROM destruction WHERE arrangement = $1 AND id = $2`, arrangement, id)
}

// Destructions returns the requests of an arrangement, the newest first.
func (t *Tx) Destructions(ctx context.Context, arrangement string) ([]escrow.Destruction, error) {
	return many(ctx, t, scanDestruction, `SELECT `+destructionColumns+` FROM destruction WHERE arrangement = $1 ORDER BY requested_us DESC, id`, arrangement)
}

// DestructionsIn returns the requests of all arrangements that are stored in a
// state, the oldest first.
func (t *Tx) DestructionsIn(ctx context.Context, state escrow.DestructionState) ([]escrow.Destruction, error) {
	return many(ctx, t, scanDestruction, `SELECT `+destructionColumns+` FROM destruction WHERE state = $1 ORDER BY requested_us, arrangement, id`, string(state))
}

// DepositHeads returns all deposits of a module from the first on, without
// manifests, signatures and objects.
func (t *Tx) DepositHeads(ctx context.Context, arrangement, module string) ([]escrow.Deposit, error) {
	scan := func(s scanner) (d escrow.Deposit, err error) {
		var accepted int64
		err = s.Scan(&d.Number, &d.Kind, &d.Predecessor, &d.Digest, &d.Compartment, &d.Epoch, &d.Completeness, &d.StoredBytes, &accepted)
		d.Arrangement, d.Module, d.AcceptedAt = arrangement, module, instant(accepted)
		return d, err
	}
	return many(ctx, t, scan, `SELECT number, kind, predecessor, digest, compartment, epoch, completeness, stored_bytes, accepted_us FROM deposit
		WHERE arrangement = $1 AND module = $2 ORDER BY number`, arrangement, module)
}

// DestroyDeposit gives up what a deposit is made of: nothing refers to its
// objects any more, and the collector may delete those that no other deposit
// has. Its row stays, and with it number, manifest and digest. A deposit that
// has no objects left is a Conflict.
func (t *Tx) DestroyDeposit(ctx context.Context, d escrow.Destroyed) error {
	if err := t.writable(); err != nil {
		return err
	}
	res, err := t.tx.ExecContext(ctx, `DELETE FROM deposit_object WHERE arrangement = $1 AND module = $2 AND deposit = $3`, d.Arrangement, d.Module, d.Deposit)
	if err != nil {
		return fmt.Errorf("delete from deposit_object: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || int(n) != len(d.Objects) {
		return escrow.Errorf(escrow.Conflict, "deposit %d of module %q has %d objects, not %d", d.Deposit, d.Module, n, len(d.Objects)).
			WithHint("read it again; it may have been destroyed meanwhile")
	}
	t.written[rowID{"deposit_object", rowKey(d.Arrangement, d.Module, d.Deposit)}] = ""
	rows := make([][]any, len(d.Objects))
	for i, o := range d.Objects {
		rows[i] = []any{i, o.Name, o.Size, o.Kept, d.Destruction, micros(d.At)}
	}
	if err := t.insertGroup(ctx, "destroyed_object", []any{d.Arrangement, d.Module, d.Deposit}, rows); err != nil {
		return err
	}
	return t.destroyResticFiles(ctx, d)
}

// Destroyed returns the destroyed deposits of a module by number, without
// their objects.
func (t *Tx) Destroyed(ctx context.Context, arrangement, module string) ([]escrow.Destroyed, error) {
	scan := func(s scanner) (d escrow.Destroyed, err error) {
		var at int64
		err = s.Scan(&d.Arrangement, &d.Module, &d.Deposit, &d.Destruction, &at)
		d.At = instant(at)
		return d, err
	}
	return many(ctx, t, scan, `SELECT arrangement, module, deposit, destruction, destroyed_us FROM destroyed_object
		WHERE arrangement = $1 AND module = $2 AND seq = 0 ORDER BY deposit`, arrangement, module)
}

// DestroyedBy returns the deposits that a destruction gave up, by number, with
// their objects.
func (t *Tx) DestroyedBy(ctx context.Context, arrangement, destruction string) ([]escrow.Destroyed, error) {
	type row struct {
		module  string
		deposit int
		at      int64
		object  escrow.GoneObject
	}
	scan := func(s scanner) (r row, err error) {
		return r, s.Scan(&r.module, &r.deposit, &r.at, &r.object.Name, &r.object.Size, &r.object.Kept)
	}
	rows, err := many(ctx, t, scan, `SELECT module, deposit, destroyed_us, name, size, kept FROM destroyed_object
		WHERE arrangement = $1 AND destruction = $2 ORDER BY module, deposit, seq`, arrangement, destruction)
	if err != nil {
		return nil, err
	}
	var out []escrow.Destroyed
	for _, r := range rows {
		if n := len(out); n == 0 || out[n-1].Module != r.module || out[n-1].Deposit != r.deposit {
			out = append(out, escrow.Destroyed{Arrangement: arrangement, Module: r.module, Deposit: r.deposit, Destruction: destruction, At: instant(r.at)})
		}
		out[len(out)-1].Objects = append(out[len(out)-1].Objects, r.object)
	}
	return out, nil
}

// DestroyedObject returns the first of names that was destroyed for good, ""
// if there is none.
func (t *Tx) DestroyedObject(ctx context.Context, names []string) (string, error) {
	scan := func(s scanner) (name string, err error) { return name, s.Scan(&name) }
	for chunk := range slices.Chunk(names, objectsAtOnce) {
		in, args := inList(chunk)
		found, err := many(ctx, t, scan, `SELECT name FROM destroyed_object WHERE name IN (`+in+`) AND NOT kept LIMIT 1`, args...)
		if err != nil || len(found) > 0 {
			return append(found, "")[0], err
		}
	}
	return "", nil
}

// HeldObjects returns which of names deposits or the states of sources are
// made of, with how many deposits each.
func (t *Tx) HeldObjects(ctx context.Context, names []string) (map[string]int, error) {
	type held struct {
		name string
		n    int
	}
	scan := func(s scanner) (h held, err error) { return h, s.Scan(&h.name, &h.n) }
	out := map[string]int{}
	for chunk := range slices.Chunk(names, objectsAtOnce) {
		in, args := inList(chunk)
		found, err := many(ctx, t, scan, `SELECT name, COUNT(*) FROM deposit_object WHERE name IN (`+in+`) GROUP BY name`, args...)
		if err != nil {
			return nil, err
		}
		for _, h := range found {
			out[h.name] += h.n
		}
		if found, err = many(ctx, t, scan, `SELECT state, COUNT(*) FROM source_state WHERE state IN (`+in+`) GROUP BY state`, args...); err != nil {
			return nil, err
		}
		for _, h := range found {
			out[h.name] += h.n
		}
	}
	return out, nil
}

// inList writes a list of parameters for IN.
func inList(names []string) (string, []any) {
	var b strings.Builder
	args := make([]any, len(names))
	for i, name := range names {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "$%d", i+1)
		args[i] = name
	}
	return b.String(), args
}

const markColumns = `arrangement, module, deposit, reasons, marked_us, first_party, first_person, first_reason, first_us, party, person, reason, released_us`

func scanMark(s scanner) (m escrow.Mark, err error) {
	var reasons string
	var marked, first, released int64
	if err := s.Scan(&m.Arrangement, &m.Module, &m.Deposit, &reasons, &marked, &m.FirstParty, &m.FirstPerson, &m.FirstReason, &first,
		&m.Party, &m.Person, &m.Reason, &released); err != nil {
		return m, err
	}
	m.MarkedAt, m.FirstAt, m.ReleasedAt = instant(marked), instant(first), instant(released)
	m.Reasons, err = splitNames(reasons)
	return m, err
}

// PutMark adds the mark of a suspicious deposit, or what people said for it:
// first one, then another. A released mark does not change, and why it was
// marked never does. Anything else is a Conflict.
func (t *Tx) PutMark(ctx context.Context, m escrow.Mark) error {
	reasons, err := joinNames(m.Reasons)
	if err != nil {
		return err
	}
	n, err := t.write(ctx, "deposit_mark", `INSERT INTO deposit_mark (`+markColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		ON CONFLICT (arrangement, module, deposit) DO UPDATE SET first_party = excluded.first_party, first_person = excluded.first_person,
			first_reason = excluded.first_reason, first_us = excluded.first_us, party = excluded.party, person = excluded.person,
			reason = excluded.reason, released_us = excluded.released_us
		WHERE deposit_mark.released_us = 0 AND deposit_mark.reasons = excluded.reasons AND deposit_mark.marked_us = excluded.marked_us
			AND excluded.first_us > 0 AND (deposit_mark.first_us = 0 AND excluded.released_us = 0
				OR deposit_mark.first_us = excluded.first_us AND deposit_mark.first_party = excluded.first_party
					AND deposit_mark.first_person = excluded.first_person AND excluded.released_us > 0)`,
		m.Arrangement, m.Module, m.Deposit, reasons, micros(m.MarkedAt), m.FirstParty, m.FirstPerson, m.FirstReason, micros(m.FirstAt),
		m.Party, m.Person, m.Reason, micros(m.ReleasedAt))
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.Conflict, "the mark of deposit %d of module %q cannot change like this", m.Deposit, m.Module).WithHint("read it again")
	}
	return err
}

// Marks returns the marks of a module's deposits by number.
func (t *Tx) Marks(ctx context.Context, arrangement, module string) ([]escrow.Mark, error) {
	return many(ctx, t, scanMark, `SELECT `+markColumns+` FROM deposit_mark WHERE arrangement = $1 AND module = $2 ORDER BY deposit`, arrangement, module)
}

// PutVerified records that a deposit passed a verification level; once for
// each level, later words replace earlier ones.
func (t *Tx) PutVerified(ctx context.Context, v escrow.Verified) error {
	_, err := t.write(ctx, "deposit_verified", `INSERT INTO deposit_verified (arrangement, module, deposit, level, party, person, note, verified_us)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (arrangement, module, deposit, level) DO UPDATE SET party = excluded.party, person = excluded.person, note = excluded.note,
			verified_us = excluded.verified_us`,
		v.Arrangement, v.Module, v.Deposit, v.Level, v.Party, v.Person, v.Note, micros(v.At))
	return err
}

// Verified returns the verifications of a module's deposits, by deposit and
// level.
func (t *Tx) Verified(ctx context.Context, arrangement, module string) ([]escrow.Verified, error) {
	scan := func(s scanner) (v escrow.Verified, err error) {
		var at int64
		err = s.Scan(&v.Arrangement, &v.Module, &v.Deposit, &v.Level, &v.Party, &v.Person, &v.Note, &at)
		v.At = instant(at)
		return v, err
	}
	return many(ctx, t, scan, `SELECT arrangement, module, deposit, level, party, person, note, verified_us FROM deposit_verified
		WHERE arrangement = $1 AND module = $2 ORDER BY deposit, level`, arrangement, module)
}

// PutRunning records which deposit a beneficiary runs, instead of what it ran
// before.
func (t *Tx) PutRunning(ctx context.Context, r escrow.Running) error {
	_, err := t.write(ctx, "running", `INSERT INTO running (arrangement, module, party, person, deposit, version, stated_us) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (arrangement, module, party) DO UPDATE SET person = excluded.person, deposit = excluded.deposit, version = excluded.version,
			stated_us = excluded.stated_us`,
		r.Arrangement, r.Module, r.Party, r.Person, r.Deposit, r.Version, micros(r.StatedAt))
	return err
}

// DeleteRunning forgets that a beneficiary runs any deposit of a module.
func (t *Tx) DeleteRunning(ctx context.Context, arrangement, module, party string) error {
	n, err := t.remove(ctx, "running", `DELETE FROM running WHERE arrangement = $1 AND module = $2 AND party = $3`, arrangement, module, party)
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.NotFound, "%s has not said that it runs any deposit of module %q", party, module)
	}
	return err
}

// Running returns what beneficiaries run of a module, by party; of every
// module for "".
func (t *Tx) Running(ctx context.Context, arrangement, module string) ([]escrow.Running, error) {
	scan := func(s scanner) (r escrow.Running, err error) {
		var at int64
		err = s.Scan(&r.Arrangement, &r.Module, &r.Party, &r.Person, &r.Deposit, &r.Version, &at)
		r.StatedAt = instant(at)
		return r, err
	}
	return many(ctx, t, scan, `SELECT arrangement, module, party, person, deposit, version, stated_us FROM running
		WHERE arrangement = $1 AND (module = $2 OR CAST($2 AS TEXT) = '') ORDER BY module, party`, arrangement, module)
}
