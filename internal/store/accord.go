package store

import (
	"context"
	"time"

	"holdfast/internal/escrow"
)

// accordTables are the tables of how an agreement is signed.
func accordTables() []*table {
	return []*table{
		newTable("agreement_version", "arrangement digest", "", "version:i canonical:x source:x state drafted_by drafted_us:i offered_by offered_us:i expires_us:i "+
			"ended_by ended_us:i end_reason"),
		newTable("part_signature", "arrangement agreement offered_us:i part party copy", "", "digest person deputy_for authority call_back:b document:x signature:x "+
			"signing_key signed_us:i"),
		newTable("part_word", "arrangement agreement offered_us:i part party copy states by_party", "", "by_person document:x signature:x signing_key given_us:i"),
		newTable("signed_copy", "arrangement part digest", "", "size:i sealed:x added_us:i"),
		newTable("part_review", "arrangement agreement part party person reviewed_us:i", "", "digest verdict note document:x signature:x signing_key"),
		newTable("part_comment", "arrangement id", "", "agreement part clause party person body proposal made_us:i"),
		newTable("mandate", "arrangement id", "", "party person may from_us:i until_us:i proof proof_digest deputy_for call_back:b recorded_by recorded_us:i"),
		newTable("acting_fact", "arrangement kind about from_us:i", "", "until_us:i proof recorded_by recorded_us:i"),
	}
}

const versionColumns = `arrangement, digest, version, canonical, source, state, drafted_by, drafted_us, offered_by, offered_us, expires_us, ended_by, ended_us, end_reason`

func scanVersion(s scanner) (v escrow.AgreementVersion, err error) {
	var drafted, offered, expires, ended int64
	err = s.Scan(&v.Arrangement, &v.Digest, &v.Version, &v.Canonical, &v.Source, &v.State, &v.DraftedBy, &drafted, &v.OfferedBy, &offered, &expires, &v.EndedBy, &ended, &v.EndReason)
	v.DraftedAt, v.OfferedAt, v.ExpiresAt, v.EndedAt = instant(drafted), instant(offered), instant(expires), instant(ended)
	return v, err
}

// PutAgreementVersion adds a text of an agreement or moves it on. One that is
// active stays as it is, and no text changes.
func (t *Tx) PutAgreementVersion(ctx context.Context, v escrow.AgreementVersion) error {
	n, err := t.write(ctx, "agreement_version", `INSERT INTO agreement_version (`+versionColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
		ON CONFLICT (arrangement, digest) DO UPDATE SET state = excluded.state, offered_by = excluded.offered_by, offered_us = excluded.offered_us,
			expires_us = excluded.expires_us, ended_by = excluded.ended_by, ended_us = excluded.ended_us, end_reason = excluded.end_reason
		WHERE agreement_version.state <> 'active'`,
		v.Arrangement, v.Digest, v.Version, blob(v.Canonical), blob(v.Source), string(v.State), v.DraftedBy, micros(v.DraftedAt), v.OfferedBy, micros(v.OfferedAt),
		micros(v.ExpiresAt), v.EndedBy, micros(v.EndedAt), v.EndReason)
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.Conflict, "version %d of %q is in force and stays as it is", v.Version, v.Arrangement)
	}
	return err
}

// AgreementVersions returns the texts of an agreement, the highest version
// first and of one version the latest draft first.
func (t *Tx) AgreementVersions(ctx context.Context, arrangement string) ([]escrow.AgreementVersion, error) {
	return many(ctx, t, scanVersion, `SELECT `+versionColumns+` FROM agreement_version WHERE arrangement = $1 ORDER BY version DESC, drafted_us DESC, digest`, arrangement)
}

const partSignatureColumns = `arrangement, agreement, offered_us, part, party, copy, digest, person, deputy_for, authority, call_back, document, signature, signing_key, signed_us`

// PutPartSignature adds a signature. One that is there is never replaced:
// what is signed stays signed.
func (t *Tx) PutPartSignature(ctx context.Context, s escrow.PartSignature) error {
	n, err := t.write(ctx, "part_signature", `INSERT INTO part_signature (`+partSignatureColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT DO NOTHING`,
		s.Arrangement, s.Agreement, micros(s.OfferedAt), s.Part, s.Party, s.Copy, s.Digest, s.Person, s.DeputyFor, s.Authority, s.CallBack,
		blob(s.Document), blob(s.Signature), s.Key, micros(s.SignedAt))
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.Conflict, "%s has signed part %s already", s.Party, s.Part)
	}
	return err
}

// PartSignatures returns the signatures under one text, by part, party and
// time.
func (t *Tx) PartSignatures(ctx context.Context, arrangement, agreement string) ([]escrow.PartSignature, error) {
	scan := func(s scanner) (p escrow.PartSignature, err error) {
		var offered, signed int64
		err = s.Scan(&p.Arrangement, &p.Agreement, &offered, &p.Part, &p.Party, &p.Copy, &p.Digest, &p.Person, &p.DeputyFor, &p.Authority, &p.CallBack,
			&p.Document, &p.Signature, &p.Key, &signed)
		p.OfferedAt, p.SignedAt = instant(offered), instant(signed)
		return p, err
	}
	return many(ctx, t, scan, `SELECT `+partSignatureColumns+` FROM part_signature WHERE arrangement = $1 AND agreement = $2
		ORDER BY part, party, offered_us, signed_us, copy`, arrangement, agreement)
}

const partWordColumns = `arrangement, agreement, offered_us, part, party, copy, states, by_party, by_person, document, signature, signing_key, given_us`

// PutPartWord adds somebody's word for a signature; a party speaks once.
func (t *Tx) PutPartWord(ctx context.Context, w escrow.PartWord) error {
	n, err := t.write(ctx, "part_word", `INSERT INTO part_word (`+partWordColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING`,
		w.Arrangement, w.Agreement, micros(w.OfferedAt), w.Part, w.Party, w.Copy, w.States, w.ByParty, w.ByPerson, blob(w.Document), blob(w.Signature), w.Key, micros(w.GivenAt))
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.Conflict, "somebody of %s has spoken for the signature of %s under %s already", w.ByParty, w.Party, w.Part).
			WithHint("it takes a person of another party")
	}
	return err
}

// PartWords returns the words for the signatures under one text, by part,
// party and time.
func (t *Tx) PartWords(ctx context.Context, arrangement, agreement string) ([]escrow.PartWord, error) {
	scan := func(s scanner) (w escrow.PartWord, err error) {
		var offered, given int64
		err = s.Scan(&w.Arrangement, &w.Agreement, &offered, &w.Part, &w.Party, &w.Copy, &w.States, &w.ByParty, &w.ByPerson, &w.Document, &w.Signature, &w.Key, &given)
		w.OfferedAt, w.GivenAt = instant(offered), instant(given)
		return w, err
	}
	return many(ctx, t, scan, `SELECT `+partWordColumns+` FROM part_word WHERE arrangement = $1 AND agreement = $2
		ORDER BY part, party, given_us, by_party, states`, arrangement, agreement)
}

// PutSignedCopy keeps a signed copy; the same bytes again change nothing.
func (t *Tx) PutSignedCopy(ctx context.Context, c escrow.SignedCopy) error {
	_, err := t.write(ctx, "signed_copy", `INSERT INTO signed_copy (arrangement, part, digest, size, sealed, added_us) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
		c.Arrangement, c.Part, c.Digest, c.Size, blob(c.Sealed), micros(c.AddedAt))
	return err
}

// SignedCopy returns a signed copy by the digest of its plain bytes.
func (t *Tx) SignedCopy(ctx context.Context, arrangement, part, digest string) (escrow.SignedCopy, error) {
	scan := func(s scanner) (c escrow.SignedCopy, err error) {
		var added int64
		err = s.Scan(&c.Arrangement, &c.Part, &c.Digest, &c.Size, &c.Sealed, &added)
		c.AddedAt = instant(added)
		return c, err
	}
	return one(ctx, t, scan, escrow.Errorf(escrow.NotFound, "no signed copy %.12s of part %s", digest, part),
		`SELECT arrangement, part, digest, size, sealed, added_us FROM signed_copy WHERE arrangement = $1 AND part = $2 AND digest = $3`, arrangement, part, digest)
}

const partReviewColumns = `arrangement, agreement, part, party, person, reviewed_us, digest, verdict, note, document, signature, signing_key`

// PutPartReview adds a sign-off; an earlier one of the same person stays.
func (t *Tx) PutPartReview(ctx context.Context, r escrow.PartReview) error {
	_, err := t.write(ctx, "part_review", `INSERT INTO part_review (`+partReviewColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING`,
		r.Arrangement, r.Agreement, r.Part, r.Party, r.Person, micros(r.ReviewedAt), r.Digest, r.Verdict, r.Note, blob(r.Document), blob(r.Signature), r.Key)
	return err
}

// PartReviews returns the sign-offs over the parts of one text, the oldest
// first.
func (t *Tx) PartReviews(ctx context.Context, arrangement, agreement string) ([]escrow.PartReview, error) {
	scan := func(s scanner) (r escrow.PartReview, err error) {
		var at int64
		err = s.Scan(&r.Arrangement, &r.Agreement, &r.Part, &r.Party, &r.Person, &at, &r.Digest, &r.Verdict, &r.Note, &r.Document, &r.Signature, &r.Key)
		r.ReviewedAt = instant(at)
		return r, err
	}
	return many(ctx, t, scan, `SELECT `+partReviewColumns+` FROM part_review WHERE arrangement = $1 AND agreement = $2 ORDER BY reviewed_us, part, party, person`, arrangement, agreement)
}

const partCommentColumns = `arrangement, id, agreement, part, clause, party, person, body, proposal, made_us`

// PutPartComment adds a remark on a draft.
func (t *Tx) PutPartComment(ctx context.Context, c escrow.PartComment) error {
	n, err := t.write(ctx, "part_comment", `INSERT INTO part_comment (`+partCommentColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING`,
		c.Arrangement, c.ID, c.Agreement, c.Part, c.Clause, c.Party, c.Person, c.Text, c.Proposal, micros(c.MadeAt))
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.Conflict, "comment %q is there already", c.ID)
	}
	return err
}

// PartComments returns the remarks on one text, the oldest first.
func (t *Tx) PartComments(ctx context.Context, arrangement, agreement string) ([]escrow.PartComment, error) {
	scan := func(s scanner) (c escrow.PartComment, err error) {
		var at int64
		err = s.Scan(&c.Arrangement, &c.ID, &c.Agreement, &c.Part, &c.Clause, &c.Party, &c.Person, &c.Text, &c.Proposal, &at)
		c.MadeAt = instant(at)
		return c, err
	}
	return many(ctx, t, scan, `SELECT `+partCommentColumns+` FROM part_comment WHERE arrangement = $1 AND agreement = $2 ORDER BY made_us, id`, arrangement, agreement)
}

// PutMandate records who may act for a party; what is recorded stays.
func (t *Tx) PutMandate(ctx context.Context, m escrow.Mandate) error {
	words := make([]string, len(m.May))
	for i, p := range m.May {
		words[i] = string(p)
	}
	may, err := joinNames(words)
	if err != nil {
		return err
	}
	n, err := t.write(ctx, "mandate", `INSERT INTO mandate (arrangement, id, party, person, may, from_us, until_us, proof, proof_digest, deputy_for, call_back, recorded_by, recorded_us)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING`,
		m.Arrangement, m.ID, m.Party, m.Person, may, micros(m.From), micros(m.Until), m.Proof, m.ProofDigest, m.DeputyFor, m.CallBack, m.RecordedBy, micros(m.RecordedAt))
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.Conflict, "authority %q is on record already", m.ID)
	}
	return err
}

// Mandates returns who may act for whom beside the text, by party and person.
func (t *Tx) Mandates(ctx context.Context, arrangement string) ([]escrow.Mandate, error) {
	scan := func(s scanner) (m escrow.Mandate, err error) {
		var may string
		var from, until, recorded int64
		if err := s.Scan(&m.Arrangement, &m.ID, &m.Party, &m.Person, &may, &from, &until, &m.Proof, &m.ProofDigest, &m.DeputyFor, &m.CallBack, &m.RecordedBy, &recorded); err != nil {
			return m, err
		}
		m.From, m.Until, m.RecordedAt = instant(from), instant(until), instant(recorded)
		words, err := splitNames(may)
		for _, w := range words {
			m.May = append(m.May, escrow.Power(w))
		}
		return m, err
	}
	return many(ctx, t, scan, `SELECT arrangement, id, party, person, may, from_us, until_us, proof, proof_digest, deputy_for, call_back, recorded_by, recorded_us
		FROM mandate WHERE arrangement = $1 ORDER BY party, person, from_us, id`, arrangement)
}

// PutActingFact records a fact about who can act, or since when it no longer
// holds; its end is set once.
func (t *Tx) PutActingFact(ctx context.Context, f escrow.ActingFact) error {
	n, err := t.write(ctx, "acting_fact", `INSERT INTO acting_fact (arrangement, kind, about, from_us, until_us, proof, recorded_by, recorded_us)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (arrangement, kind, about, from_us) DO UPDATE SET until_us = excluded.until_us, proof = excluded.proof, recorded_by = excluded.recorded_by,
			recorded_us = excluded.recorded_us WHERE acting_fact.until_us = 0 AND excluded.until_us <> 0`,
		f.Arrangement, f.Kind, f.About, micros(f.From), micros(f.Until), f.Proof, f.RecordedBy, micros(f.RecordedAt))
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.Conflict, "that %s is %s from %s is on record already", f.About, f.Kind, f.From.UTC().Format(time.RFC3339))
	}
	return err
}

// ActingFacts returns the facts about who can act, the oldest first.
func (t *Tx) ActingFacts(ctx context.Context, arrangement string) ([]escrow.ActingFact, error) {
	scan := func(s scanner) (f escrow.ActingFact, err error) {
		var from, until, recorded int64
		err = s.Scan(&f.Arrangement, &f.Kind, &f.About, &from, &until, &f.Proof, &f.RecordedBy, &recorded)
		f.From, f.Until, f.RecordedAt = instant(from), instant(until), instant(recorded)
		return f, err
	}
	return many(ctx, t, scan, `SELECT arrangement, kind, about, from_us, until_us, proof, recorded_by, recorded_us FROM acting_fact
		WHERE arrangement = $1 ORDER BY from_us, kind, about`, arrangement)
}
