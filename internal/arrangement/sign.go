package arrangement

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/signing"
)

// MaxCopy bounds a signed copy in bytes.
const MaxCopy = 16 << 20

// GivenStatement is a statement about a part as it arrives: the canonical
// document, the signature over it and, for a signature on paper, the copy.
type GivenStatement struct {
	Document, Signature, Copy []byte
}

// Sign takes in a person's signatures under parts of an offered version: all
// of them or none. A second signature of the same party under the same part is
// answered like the first and changes nothing. When the last one that was
// missing is in, the version comes into force in the same transaction.
func (r *Registry) Sign(ctx context.Context, actor escrow.Actor, arrangement string, version int, given []GivenStatement) (signing.Progress, error) {
	if len(given) == 0 {
		return signing.Progress{}, escrow.Errorf(escrow.Invalid, "no signature came")
	}
	statements := make([]*evidence.PartStatement, len(given))
	for i, g := range given {
		s, err := r.stated(actor, g.Document, evidence.PartSigned)
		if err != nil {
			return signing.Progress{}, err
		}
		if err := checkCopy(s, g.Copy); err != nil {
			return signing.Progress{}, err
		}
		if slices.ContainsFunc(statements[:i], func(o *evidence.PartStatement) bool { return o.Part == s.Part }) {
			return signing.Progress{}, escrow.Errorf(escrow.Invalid, "part %s is signed twice in one request", s.Part)
		}
		statements[i] = s
	}
	now := r.now()
	var out signing.Progress
	_, err := r.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		v, parsed, parts, err := r.pending(ctx, tx, arrangement, version)
		if err != nil {
			return nil, err
		}
		before, words, err := signatures(ctx, tx, v)
		if err != nil {
			return nil, err
		}
		var acts []escrow.Act
		for i, s := range statements {
			if again(before, words, v, s) {
				continue
			}
			sig, sealed, err := r.signature(ctx, tx, actor, v, parsed, parts, s, given[i], now)
			if err != nil {
				return nil, err
			}
			if sealed != nil {
				if err := tx.PutSignedCopy(ctx, *sealed); err != nil {
					return nil, err
				}
			}
			if err := tx.PutPartSignature(ctx, sig); err != nil {
				return nil, err
			}
			before = append(before, sig)
			acts = append(acts, partAct("agreement.signed", actor, now, s, map[string]any{"authority": sig.Authority, "call_back": sig.CallBack, "copy": s.Copy, "deputy_for": s.DeputyFor}))
		}
		if len(acts) > 0 {
			if acts, err = r.complete(ctx, tx, actor, &v, parsed, parts, before, words, acts, now); err != nil {
				return nil, err
			}
		}
		out = signing.Follow(v, parts, before, words)
		return acts, nil
	})
	return out, err
}

// stated reads a statement that the actor makes.
func (r *Registry) stated(actor escrow.Actor, document []byte, states ...string) (*evidence.PartStatement, error) {
	s, err := evidence.ParsePartStatement(document)
	switch {
	case err != nil:
		return nil, escrow.Errorf(escrow.Invalid, "%w", err)
	case actor.Person == "":
		return nil, escrow.Errorf(escrow.Forbidden, "a token that names no person signs for nobody").WithHint("use a token issued with --person")
	case s.Party != actor.Party || s.Person != actor.Person:
		return nil, escrow.Errorf(escrow.Forbidden, "%s may not state this for %s/%s", actor, s.Party, s.Person)
	case !slices.Contains(states, s.States):
		return nil, escrow.Errorf(escrow.Invalid, "the statement about part %s says %q, want one of %v", s.Part, s.States, states)
	}
	return s, nil
}

// checkCopy holds the copy against the statement that names it.
func checkCopy(s *evidence.PartStatement, data []byte) error {
	switch {
	case s.Copy == "" && len(data) == 0:
		return nil
	case len(data) == 0:
		return escrow.Errorf(escrow.Invalid, "the statement about part %s names a signed copy that did not come with it", s.Part)
	case len(data) > MaxCopy:
		return escrow.Errorf(escrow.Invalid, "the signed copy of part %s has %d bytes, at most %d are taken", s.Part, len(data), MaxCopy).WithHint("scan it in grey at 200 dots per inch")
	case evidence.Digest(data) != s.Copy:
		return escrow.Errorf(escrow.Invalid, "the signed copy of part %s is not the one that the statement names", s.Part)
	}
	for _, magic := range []string{"%PDF-", "\x89PNG\r\n\x1a\n", "\xff\xd8\xff", "II*\x00", "MM\x00*"} {
		if bytes.HasPrefix(data, []byte(magic)) {
			return nil
		}
	}
	return escrow.Errorf(escrow.Invalid, "the signed copy of part %s is neither a PDF nor a PNG, JPEG or TIFF image", s.Part)
}

func signatures(ctx context.Context, tx Tx, v escrow.AgreementVersion) ([]escrow.PartSignature, []escrow.PartWord, error) {
	list, err := tx.PartSignatures(ctx, v.Arrangement, v.Digest)
	if err != nil {
		return nil, nil, err
	}
	words, err := tx.PartWords(ctx, v.Arrangement, v.Digest)
	return signing.InOffer(v, list), words, err
}

// again reports whether the party has signed the part already, so that there
// is nothing to do. Another copy beside one that is not attested is new.
func again(before []escrow.PartSignature, words []escrow.PartWord, v escrow.AgreementVersion, s *evidence.PartStatement) bool {
	return s.Agreement == v.Digest && slices.ContainsFunc(before, func(b escrow.PartSignature) bool {
		return b.Part == s.Part && b.Party == s.Party && b.Digest == s.Digest && (b.Copy == s.Copy || signing.Missing(b, words) == "")
	})
}

// signature checks one statement and makes it a signature, with the copy.
func (r *Registry) signature(ctx context.Context, tx Tx, actor escrow.Actor, v escrow.AgreementVersion, parsed *agreement.Agreement, parts []signing.Part, s *evidence.PartStatement, g GivenStatement, now time.Time) (escrow.PartSignature, *escrow.SignedCopy, error) {
	var none escrow.PartSignature
	p, err := signing.Check(s, v, parts, now)
	if err != nil {
		return none, nil, err
	}
	if err := signing.MayBeSigned(v, now); err != nil {
		return none, nil, err
	}
	switch {
	case !slices.Contains(p.Sign, s.Party):
		return none, nil, escrow.Errorf(escrow.Forbidden, "%s is not asked to sign part %s", s.Party, s.Part)
	case !p.Due:
		return none, nil, escrow.Errorf(escrow.Conflict, "part %s is in force as it stands and is not signed again", s.Part)
	}
	if err := p.Allows(s.Copy != ""); err != nil {
		return none, nil, err
	}
	key, err := signedStatement(ctx, tx, actor, v.Arrangement, g.Document, g.Signature)
	if err != nil {
		return none, nil, err
	}
	list, situation, err := r.acting(ctx, tx, v, parsed, s.Party, now)
	if err != nil {
		return none, nil, err
	}
	basis, err := signing.MaySign(list, situation, s.Party, s.Person, s.DeputyFor, now)
	if err != nil {
		return none, nil, err
	}
	sig := escrow.PartSignature{Arrangement: v.Arrangement, Agreement: v.Digest, OfferedAt: v.OfferedAt, Part: s.Part, Digest: p.Digest, Party: s.Party, Person: s.Person,
		Copy: s.Copy, DeputyFor: s.DeputyFor, Authority: basis.Proof, CallBack: basis.CallBack, Document: g.Document, Signature: g.Signature, Key: key, SignedAt: now}
	if s.Copy == "" {
		return sig, nil, nil
	}
	sealed, err := r.sealer.Seal(g.Copy)
	if err != nil {
		return none, nil, err
	}
	return sig, &escrow.SignedCopy{Arrangement: v.Arrangement, Part: s.Part, Digest: s.Copy, Size: int64(len(g.Copy)), Sealed: sealed, AddedAt: now}, nil
}

// signedStatement checks the signature of an actor over a statement by the key
// on its contact card, and returns the key.
func signedStatement(ctx context.Context, tx Tx, actor escrow.Actor, arrangement string, document, signature []byte) (string, error) {
	c, err := tx.Contact(ctx, arrangement, actor.Party, actor.Person)
	if escrow.CodeOf(err) == escrow.NotFound {
		return "", escrow.Errorf(escrow.Forbidden, "%s has no contact card here, so its signature cannot be checked", actor).
			WithHint("bring the card that 'holdfast key new' wrote: 'holdfast contact add'")
	}
	if err != nil {
		return "", err
	}
	if err := evidence.Verify(c.SigningKey, evidence.NamespaceAgreement, document, signature); err != nil {
		return "", escrow.Errorf(escrow.Invalid, "statement about a part, signed by %s: %w", actor, err)
	}
	return c.SigningKey, nil
}

// partAct names the part, so that only those who read it are shown the act.
func partAct(kind string, actor escrow.Actor, at time.Time, s *evidence.PartStatement, more map[string]any) escrow.Act {
	data := map[string]any{"part": s.Part, "agreement": s.Agreement, "version": s.Version}
	for k, v := range more {
		if v != "" && v != false {
			data[k] = v
		}
	}
	return escrow.Act{Kind: kind, At: at, Actor: actor.String(), Arrangement: s.Arrangement, Subject: s.Digest, Data: data}
}

// complete brings a version into force when nothing is missing any more.
func (r *Registry) complete(ctx context.Context, tx Tx, actor escrow.Actor, v *escrow.AgreementVersion, parsed *agreement.Agreement, parts []signing.Part, given []escrow.PartSignature, words []escrow.PartWord, acts []escrow.Act, now time.Time) ([]escrow.Act, error) {
	if len(signing.Outstanding(parts, given, words)) > 0 {
		return acts, nil
	}
	if _, err := follows(ctx, tx, parsed, v.Digest); err != nil {
		return nil, err
	}
	v.State, v.EndedBy, v.EndedAt, v.EndReason = escrow.VersionActive, actor.String(), now, ""
	if err := tx.PutAgreementVersion(ctx, *v); err != nil {
		return nil, err
	}
	act, err := bringIntoForce(ctx, tx, actor, escrow.Arrangement{ID: v.Arrangement, Version: v.Version, Digest: v.Digest, Canonical: v.Canonical, Source: v.Source, CreatedAt: now},
		parsed.Expand(), map[string]any{"signed": true})
	if err != nil {
		return nil, err
	}
	return append(acts, act), nil
}

// Attest takes in a person's word for a signature: that its copy is right, or
// that the signatory was called back.
func (r *Registry) Attest(ctx context.Context, actor escrow.Actor, arrangement string, version int, g GivenStatement) (signing.Progress, error) {
	s, err := r.stated(actor, g.Document, evidence.PartCopyAttests, evidence.PartCalledBack)
	if err != nil {
		return signing.Progress{}, err
	}
	now := r.now()
	var out signing.Progress
	_, err = r.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		v, parsed, parts, err := r.pending(ctx, tx, arrangement, version)
		if err != nil {
			return nil, err
		}
		given, words, err := signatures(ctx, tx, v)
		if err != nil {
			return nil, err
		}
		p, err := signing.Check(s, v, parts, now)
		if err != nil {
			return nil, err
		}
		if !p.Reads(actor.Party) && actor.Role != escrow.Agent {
			return nil, noPart(arrangement, version, s.Part)
		}
		i := slices.IndexFunc(given, func(x escrow.PartSignature) bool {
			return x.Part == s.Part && x.Party == s.SignerParty && x.Person == s.Signer && x.Copy == s.Copy
		})
		if i < 0 {
			return nil, escrow.Errorf(escrow.NotFound, "part %s bears no such signature of %s/%s", s.Part, s.SignerParty, s.Signer).WithHint("'holdfast agreement signatures' lists them")
		}
		if slices.ContainsFunc(words, func(w escrow.PartWord) bool {
			return w.OfferedAt.Equal(v.OfferedAt) && w.Part == s.Part && w.Party == s.SignerParty && w.Copy == s.Copy && w.States == s.States && w.ByParty == s.Party && w.ByPerson == s.Person
		}) {
			out = signing.Follow(v, parts, given, words)
			return nil, nil // said already
		}
		switch {
		case s.Person == s.Signer:
			return nil, escrow.Errorf(escrow.Forbidden, "nobody speaks for his own signature").WithHint("ask somebody else who reads the part")
		case s.States == evidence.PartCalledBack && (!given[i].CallBack || s.Party == s.SignerParty):
			return nil, escrow.Errorf(escrow.Forbidden, "a call back is made by another party, to a signatory whose authority asks for one")
		}
		if err := signing.MayBeSigned(v, now); err != nil {
			return nil, err
		}
		key, err := signedStatement(ctx, tx, actor, arrangement, g.Document, g.Signature)
		if err != nil {
			return nil, err
		}
		w := escrow.PartWord{Arrangement: arrangement, Agreement: v.Digest, OfferedAt: v.OfferedAt, Part: s.Part, Party: s.SignerParty, Copy: s.Copy, States: s.States,
			ByParty: s.Party, ByPerson: s.Person, Document: g.Document, Signature: g.Signature, Key: key, GivenAt: now}
		if err := tx.PutPartWord(ctx, w); err != nil {
			return nil, err
		}
		words = append(words, w)
		acts := []escrow.Act{partAct("agreement.attested", actor, now, s, map[string]any{"states": s.States, "signatory": s.SignerParty + "/" + s.Signer, "copy": s.Copy})}
		if acts, err = r.complete(ctx, tx, actor, &v, parsed, parts, given, words, acts, now); err != nil {
			return nil, err
		}
		out = signing.Follow(v, parts, given, words)
		return acts, nil
	})
	return out, err
}

func noPart(arrangement string, version int, part string) error {
	return escrow.Errorf(escrow.NotFound, "version %d of %q has no part %q", version, arrangement, part)
}

// Progress tells how far the signing of a version is; version 0 means the
// latest.
func (r *Registry) Progress(ctx context.Context, arrangement string, version int) (signing.Progress, error) {
	var out signing.Progress
	err := r.db.View(ctx, func(tx Tx) error {
		v, _, parts, err := r.pending(ctx, tx, arrangement, version)
		if err != nil {
			return err
		}
		given, words, err := signatures(ctx, tx, v)
		if err != nil {
			return err
		}
		out = signing.Follow(v, parts, given, words)
		return nil
	})
	return out, err
}

// Versions lists the texts that came in to be signed, the highest version
// first.
func (r *Registry) Versions(ctx context.Context, arrangement string) ([]escrow.AgreementVersion, error) {
	var out []escrow.AgreementVersion
	err := r.db.View(ctx, func(tx Tx) (err error) {
		out, err = tx.AgreementVersions(ctx, arrangement)
		return err
	})
	return out, err
}

// Copy returns a signed copy as it is kept: sealed.
func (r *Registry) Copy(ctx context.Context, arrangement, part, digest string) (escrow.SignedCopy, error) {
	var out escrow.SignedCopy
	err := r.db.View(ctx, func(tx Tx) (err error) {
		out, err = tx.SignedCopy(ctx, arrangement, part, digest)
		return err
	})
	return out, err
}

// acting returns what is on record about who may act for a party: by the text
// in force or, for a party that only the offered text has, by that; beside it
// what was recorded.
func (r *Registry) acting(ctx context.Context, tx Tx, v escrow.AgreementVersion, offered *agreement.Agreement, party string, now time.Time) (escrow.Warrants, escrow.Situation, error) {
	text := offered
	source, err := formerSource(ctx, tx, v)
	if err != nil {
		return nil, escrow.Situation{}, err
	}
	if source != nil {
		former, err := r.texts.read(v.Arrangement, source)
		if err != nil {
			return nil, escrow.Situation{}, err
		}
		if former.Party(party) != nil {
			text = former
		}
	}
	return actingBy(ctx, tx, v.Arrangement, text, party, now)
}

// actingBy is the same by one text and what was recorded beside it.
func actingBy(ctx context.Context, tx Tx, arrangement string, text *agreement.Agreement, party string, now time.Time) (escrow.Warrants, escrow.Situation, error) {
	var s escrow.Situation
	list := text.Authorities()
	mandates, err := tx.Mandates(ctx, arrangement)
	if err != nil {
		return nil, s, err
	}
	for _, m := range mandates {
		list = append(list, m.Warrant)
	}
	facts, err := tx.ActingFacts(ctx, arrangement)
	if err != nil {
		return nil, s, err
	}
	for _, f := range facts {
		if !f.Holds(now) {
			continue
		}
		switch f.Kind {
		case escrow.FactInsolvent:
			s.Insolvent = s.Insolvent || f.About == party
		case escrow.FactAway:
			if p, person, _ := cut(f.About); p == party {
				s.Away = append(s.Away, person)
			}
		default:
			return nil, s, fmt.Errorf("fact of kind %q", f.Kind)
		}
	}
	return list, s, nil
}
