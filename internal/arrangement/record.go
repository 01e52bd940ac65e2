package arrangement

import (
	"context"
	"slices"
	"strings"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/signing"
)

func cut(about string) (party, person string, ok bool) { return strings.Cut(about, "/") }

// Review takes in a named person's sign-off over a part as it was read.
func (r *Registry) Review(ctx context.Context, actor escrow.Actor, arrangement string, version int, g GivenStatement) (escrow.PartReview, error) {
	s, err := r.stated(actor, g.Document, evidence.PartReviewed)
	if err != nil {
		return escrow.PartReview{}, err
	}
	now := r.now()
	out := escrow.PartReview{Arrangement: arrangement, Agreement: s.Agreement, Part: s.Part, Digest: s.Digest, Party: s.Party, Person: s.Person, Verdict: s.Verdict, Note: s.Note,
		Document: g.Document, Signature: g.Signature, ReviewedAt: s.At.Time}
	_, err = r.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		v, parts, err := r.readable(ctx, tx, actor, arrangement, version, s.Part)
		if err != nil {
			return nil, err
		}
		if _, err := signing.Check(s, v, parts, now); err != nil {
			return nil, err
		}
		if out.Key, err = signedStatement(ctx, tx, actor, arrangement, g.Document, g.Signature); err != nil {
			return nil, err
		}
		list, err := tx.PartReviews(ctx, arrangement, v.Digest)
		if err != nil {
			return nil, err
		}
		for _, old := range list {
			if slices.Equal(old.Document, g.Document) { // the answer was lost on the way
				out = old
				return nil, nil
			}
		}
		if err := tx.PutPartReview(ctx, out); err != nil {
			return nil, err
		}
		return []escrow.Act{partAct("agreement.reviewed", actor, now, s, map[string]any{"verdict": s.Verdict})}, nil
	})
	return out, err
}

// readable returns an open version and its parts, to somebody who reads the
// part.
func (r *Registry) readable(ctx context.Context, tx Tx, actor escrow.Actor, arrangement string, version int, part string) (escrow.AgreementVersion, []signing.Part, error) {
	v, _, parts, err := r.pending(ctx, tx, arrangement, version)
	if err != nil {
		return v, nil, err
	}
	i := slices.IndexFunc(parts, func(p signing.Part) bool { return p.ID == part })
	if i < 0 || !parts[i].Reads(actor.Party) {
		return v, nil, noPart(arrangement, version, part)
	}
	if now := r.now(); !v.Open(now) {
		return v, nil, escrow.Errorf(escrow.Conflict, "version %d of %q is %s", v.Version, arrangement, v.At(now)).WithHint("what comes next is said about the next version")
	}
	return v, parts, nil
}

// Comment adds a remark or a proposal on a clause of a part that is not signed
// by everybody yet.
func (r *Registry) Comment(ctx context.Context, actor escrow.Actor, version int, c escrow.PartComment) (escrow.PartComment, error) {
	if strings.TrimSpace(c.Text) == "" || len(c.Text) > 4000 || len(c.Proposal) > 8000 || len(c.Clause) > 40 {
		return c, escrow.Errorf(escrow.Invalid, "a comment has 1 to 4000 bytes, a proposal at most 8000, the number of a clause at most 40")
	}
	if actor.Person == "" {
		return c, escrow.Errorf(escrow.Forbidden, "a token that names no person comments for nobody").WithHint("use a token issued with --person")
	}
	now := r.now()
	c.Party, c.Person, c.MadeAt = actor.Party, actor.Person, now
	_, err := r.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		v, parts, err := r.readable(ctx, tx, actor, c.Arrangement, version, c.Part)
		if err != nil {
			return nil, err
		}
		c.Agreement = v.Digest
		c.ID = "c" + evidence.Digest([]byte(strings.Join([]string{v.Digest, c.Part, c.Clause, c.Party, c.Person, c.Text, c.Proposal}, "\x00")))[:16]
		list, err := tx.PartComments(ctx, c.Arrangement, v.Digest)
		if err != nil {
			return nil, err
		}
		for _, old := range list {
			if old.ID == c.ID { // said already
				c = old
				return nil, nil
			}
		}
		if err := tx.PutPartComment(ctx, c); err != nil {
			return nil, err
		}
		i := slices.IndexFunc(parts, func(p signing.Part) bool { return p.ID == c.Part })
		return []escrow.Act{{Kind: "agreement.commented", At: now, Actor: actor.String(), Arrangement: c.Arrangement, Subject: parts[i].Digest,
			Data: map[string]any{"part": c.Part, "agreement": v.Digest, "version": v.Version, "id": c.ID, "clause": c.Clause}}}, nil
	})
	return c, err
}

// Remarks returns what was said about the parts of a version.
func (r *Registry) Remarks(ctx context.Context, arrangement string, version int) (comments []escrow.PartComment, reviews []escrow.PartReview, err error) {
	err = r.db.View(ctx, func(tx Tx) error {
		v, _, _, err := r.pending(ctx, tx, arrangement, version)
		if err != nil {
			return err
		}
		if comments, err = tx.PartComments(ctx, arrangement, v.Digest); err != nil {
			return err
		}
		reviews, err = tx.PartReviews(ctx, arrangement, v.Digest)
		return err
	})
	return comments, reviews, err
}

// RecordMandate puts on record who may act for a party, on what proof. Nobody
// does it for his own party: but the administrator, who knows nobody's proof
// better, does it before there is anybody else.
func (r *Registry) RecordMandate(ctx context.Context, actor escrow.Actor, m escrow.Mandate) (escrow.Mandate, error) {
	now := r.now()
	switch {
	case !evidence.IsName(m.Party) || !evidence.IsName(m.Person) || m.DeputyFor != "" && !evidence.IsName(m.DeputyFor):
		return m, escrow.Errorf(escrow.Invalid, "%.80q/%.80q is not a person of a party", m.Party, m.Person)
	case len(m.May) == 0:
		return m, escrow.Errorf(escrow.Invalid, "the authority of %s covers nothing", m.Person)
	case strings.TrimSpace(m.Proof) == "" || len(m.Proof) > maxReason:
		return m, escrow.Errorf(escrow.Invalid, "the proof has 1 to %d bytes", maxReason).WithHint("name the decision, the extract or the power of attorney it rests on")
	case m.ProofDigest != "" && !evidence.IsDigest(m.ProofDigest):
		return m, escrow.Errorf(escrow.Invalid, "the digest of the proof is not a digest")
	case m.Until.IsZero() || !m.Until.After(m.From) || !m.Until.After(now):
		return m, escrow.Errorf(escrow.Invalid, "the authority of %s ends before it begins, or has ended", m.Person).WithHint("say until when it lasts")
	}
	for _, p := range m.May {
		if !slices.Contains(escrow.Powers(), p) {
			return m, escrow.Errorf(escrow.Invalid, "%q is none of %v", p, escrow.Powers())
		}
	}
	if err := mayRecord(actor, m.Party); err != nil {
		return m, err
	}
	if err := r.known(ctx, m.Arrangement, m.Party); err != nil {
		return m, err
	}
	m.From, m.Until = m.From.Truncate(time.Second), m.Until.Truncate(time.Second)
	m.RecordedBy, m.RecordedAt = actor.String(), now
	identity, err := evidence.Canonical(map[string]any{"party": m.Party, "person": m.Person, "from": evidence.FormatTime(m.From), "until": evidence.FormatTime(m.Until), "proof": m.Proof,
		"digest": m.ProofDigest, "deputy_for": m.DeputyFor, "call_back": m.CallBack, "may": m.May})
	if err != nil {
		return m, err
	}
	m.ID = "m" + evidence.Digest(identity)[:16]
	_, err = r.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		list, err := tx.Mandates(ctx, m.Arrangement)
		if err != nil {
			return nil, err
		}
		for _, old := range list {
			if old.ID == m.ID {
				m = old
				return nil, nil
			}
		}
		if err := tx.PutMandate(ctx, m); err != nil {
			return nil, err
		}
		return []escrow.Act{{Kind: "authority.recorded", At: now, Actor: actor.String(), Arrangement: m.Arrangement, Subject: m.Party + "/" + m.Person,
			Data: map[string]any{"id": m.ID, "may": m.May, "from": evidence.FormatTime(m.From), "until": evidence.FormatTime(m.Until), "proof_digest": m.ProofDigest, "call_back": m.CallBack}}}, nil
	})
	return m, err
}

func mayRecord(actor escrow.Actor, party string) error {
	if actor.Role != escrow.Administrator && actor.Party == party {
		return escrow.Errorf(escrow.Forbidden, "%s may not put its own authority on record", actor).WithHint("let the agent, the foundation or the administrator do it, with the proof in hand")
	}
	return nil
}

// known refuses a party that neither the text in force nor an open one has.
func (r *Registry) known(ctx context.Context, arrangement, party string) error {
	list, err := r.parties(ctx, arrangement)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(list, func(p escrow.Party) bool { return p.ID == party }) {
		return escrow.Errorf(escrow.NotFound, "arrangement %q has no party %q", arrangement, party)
	}
	return nil
}

// RecordFact puts on record that a party is insolvent or a person cannot act,
// or since when that is over.
func (r *Registry) RecordFact(ctx context.Context, actor escrow.Actor, f escrow.ActingFact) (escrow.ActingFact, error) {
	now := r.now()
	party, person, of := cut(f.About)
	switch {
	case f.Kind == escrow.FactInsolvent && (of || !evidence.IsName(party)), f.Kind == escrow.FactAway && (!of || !evidence.IsName(party) || !evidence.IsName(person)):
		return f, escrow.Errorf(escrow.Invalid, "%q cannot be %s", f.About, f.Kind).WithHint("a party is insolvent, PARTY/PERSON is away")
	case f.Kind != escrow.FactInsolvent && f.Kind != escrow.FactAway:
		return f, escrow.Errorf(escrow.Invalid, "%q is neither insolvent nor away", f.Kind)
	case strings.TrimSpace(f.Proof) == "" || len(f.Proof) > maxReason:
		return f, escrow.Errorf(escrow.Invalid, "the proof has 1 to %d bytes", maxReason)
	case f.From.After(now) || !f.Until.IsZero() && !f.Until.After(f.From):
		return f, escrow.Errorf(escrow.Invalid, "a fact begins in the past and ends after it began")
	}
	if f.Kind == escrow.FactInsolvent {
		if err := mayRecord(actor, party); err != nil {
			return f, err
		}
	}
	if err := r.known(ctx, f.Arrangement, party); err != nil {
		return f, err
	}
	f.From, f.Until, f.RecordedBy, f.RecordedAt = f.From.Truncate(time.Second), f.Until.Truncate(time.Second), actor.String(), now
	_, err := r.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		if err := tx.PutActingFact(ctx, f); err != nil {
			return nil, err
		}
		data := map[string]any{"kind": f.Kind, "from": evidence.FormatTime(f.From)}
		if !f.Until.IsZero() {
			data["until"] = evidence.FormatTime(f.Until)
		}
		return []escrow.Act{{Kind: "authority.fact", At: now, Actor: actor.String(), Arrangement: f.Arrangement, Subject: f.About, Data: data}}, nil
	})
	return f, err
}

// Acting lists what is on record about who may act, beside the text.
func (r *Registry) Acting(ctx context.Context, arrangement string) (mandates []escrow.Mandate, facts []escrow.ActingFact, err error) {
	err = r.db.View(ctx, func(tx Tx) error {
		if mandates, err = tx.Mandates(ctx, arrangement); err != nil {
			return err
		}
		facts, err = tx.ActingFacts(ctx, arrangement)
		return err
	})
	return mandates, facts, err
}
