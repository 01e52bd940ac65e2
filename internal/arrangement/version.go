package arrangement

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/signing"
)

// Accord is the state of agreements on their way into force.
type Accord interface {
	AgreementVersions(ctx context.Context, arrangement string) ([]escrow.AgreementVersion, error)
	PutAgreementVersion(ctx context.Context, v escrow.AgreementVersion) error
	PartSignatures(ctx context.Context, arrangement, agreement string) ([]escrow.PartSignature, error)
	PutPartSignature(ctx context.Context, s escrow.PartSignature) error
	PartWords(ctx context.Context, arrangement, agreement string) ([]escrow.PartWord, error)
	PutPartWord(ctx context.Context, w escrow.PartWord) error
	SignedCopy(ctx context.Context, arrangement, part, digest string) (escrow.SignedCopy, error)
	PutSignedCopy(ctx context.Context, c escrow.SignedCopy) error
	PartReviews(ctx context.Context, arrangement, agreement string) ([]escrow.PartReview, error)
	PutPartReview(ctx context.Context, r escrow.PartReview) error
	PartComments(ctx context.Context, arrangement, agreement string) ([]escrow.PartComment, error)
	PutPartComment(ctx context.Context, c escrow.PartComment) error
	Mandates(ctx context.Context, arrangement string) ([]escrow.Mandate, error)
	PutMandate(ctx context.Context, m escrow.Mandate) error
	ActingFacts(ctx context.Context, arrangement string) ([]escrow.ActingFact, error)
	PutActingFact(ctx context.Context, f escrow.ActingFact) error
	Contact(ctx context.Context, arrangement, party, person string) (escrow.Contact, error)
}

const (
	maxReason = 1000
	// maxOffer is how long an offer can stay open.
	maxOffer = 366 * 24 * time.Hour
)

// Draft takes in the text of a version that is not in force: it can be read,
// commented on and reviewed by the parties of its parts. A draft of the same
// version takes the place of the one before.
func (r *Registry) Draft(ctx context.Context, actor escrow.Actor, arrangement string, source []byte) (escrow.AgreementVersion, error) {
	parsed, canonical, err := read(source)
	if err != nil {
		return escrow.AgreementVersion{}, err
	}
	if parsed.ID != arrangement {
		return escrow.AgreementVersion{}, escrow.Errorf(escrow.Invalid, "the text is about arrangement %q, not %q", parsed.ID, arrangement)
	}
	now := r.now()
	v := escrow.AgreementVersion{Arrangement: parsed.ID, Digest: evidence.Digest(canonical), Version: parsed.Version, Canonical: canonical, Source: source,
		State: escrow.VersionDraft, DraftedBy: actor.String(), DraftedAt: now}
	_, err = r.db.Update(ctx, func(tx Tx) (acts []escrow.Act, err error) {
		v, acts, err = r.draft(ctx, tx, actor, v, parsed, now)
		return acts, err
	})
	return v, err
}

// draft takes in a draft within a transaction.
func (r *Registry) draft(ctx context.Context, tx Tx, actor escrow.Actor, v escrow.AgreementVersion, parsed *agreement.Agreement, now time.Time) (escrow.AgreementVersion, []escrow.Act, error) {
	if _, err := follows(ctx, tx, parsed, v.Digest); err != nil {
		return v, nil, err
	}
	list, err := tx.AgreementVersions(ctx, v.Arrangement)
	if err != nil {
		return v, nil, err
	}
	for _, old := range list {
		switch {
		case old.Digest == v.Digest && old.State == escrow.VersionDraft: // the answer was lost on the way
			return old, nil, nil
		case old.Digest == v.Digest && old.At(now) == escrow.VersionOffered, old.Digest == v.Digest && old.State == escrow.VersionActive:
			return v, nil, escrow.Errorf(escrow.Conflict, "this text is %s already", old.State)
		case old.Digest == v.Digest:
			v.DraftedBy, v.DraftedAt = old.DraftedBy, old.DraftedAt // it is there, and comes back
		case old.At(now) == escrow.VersionOffered:
			return v, nil, escrow.Errorf(escrow.Conflict, "version %d of %q is offered and being signed; two texts are not open at once", old.Version, old.Arrangement).
				WithHint("withdraw it first with 'holdfast agreement withdraw', or let it be signed")
		case old.State == escrow.VersionDraft || old.At(now) == escrow.VersionExpired:
			old.State, old.EndedBy, old.EndedAt, old.EndReason = escrow.VersionReplaced, actor.String(), now, "another draft took its place"
			if err := tx.PutAgreementVersion(ctx, old); err != nil {
				return v, nil, err
			}
		}
	}
	if err := tx.PutAgreementVersion(ctx, v); err != nil {
		return v, nil, err
	}
	return v, []escrow.Act{versionAct("agreement.drafted", v, actor, now, nil)}, nil
}

func read(source []byte) (*agreement.Agreement, []byte, error) {
	parsed, problems := agreement.Parse("agreement", source)
	if parsed == nil {
		return nil, nil, agreement.Refusal(problems)
	}
	canonical, err := parsed.Canonical()
	return parsed, canonical, err
}

// follows refuses a text that is not the one after what is in force, and
// returns what is; nil for a first version.
func follows(ctx context.Context, tx Tx, parsed *agreement.Agreement, digest string) (*escrow.Arrangement, error) {
	old, err := tx.Arrangement(ctx, parsed.ID)
	switch {
	case escrow.CodeOf(err) == escrow.NotFound && parsed.Version != 1:
		return nil, escrow.Errorf(escrow.Conflict, "no version of %q is in force; this text is version %d", parsed.ID, parsed.Version).WithHint("write version: 1")
	case escrow.CodeOf(err) == escrow.NotFound:
		return nil, nil
	case err != nil:
		return nil, err
	case old.Digest == digest:
		return nil, escrow.Errorf(escrow.Conflict, "version %d of %q says the same already", old.Version, parsed.ID)
	case parsed.Version != old.Version+1 || parsed.Replaces != old.Digest:
		return nil, escrow.Errorf(escrow.Conflict, "version %d of %q is in force, with digest %s; this text is version %d and replaces %q", old.Version, parsed.ID, old.Digest, parsed.Version, parsed.Replaces).
			WithHint("write version: %d and replaces: %s", old.Version+1, old.Digest)
	}
	return &old, comesAndGoes(ctx, tx, old, parsed)
}

// versionAct names nobody but who did it: parties and parts are for those who
// read them.
func versionAct(kind string, v escrow.AgreementVersion, actor escrow.Actor, at time.Time, more map[string]any) escrow.Act {
	data := map[string]any{"version": v.Version}
	for k, x := range more {
		data[k] = x
	}
	return escrow.Act{Kind: kind, At: at, Actor: actor.String(), Arrangement: v.Arrangement, Subject: v.Digest, Data: data}
}

// Offer lets the parties sign a draft, or a text whose offer ended, until the
// given moment. Signatures of an earlier offer do not count for it.
func (r *Registry) Offer(ctx context.Context, actor escrow.Actor, arrangement string, version int, until time.Time) (escrow.AgreementVersion, error) {
	now := r.now()
	if !until.After(now) || until.Sub(now) > maxOffer {
		return escrow.AgreementVersion{}, escrow.Errorf(escrow.Invalid, "the offer ends on %s", evidence.At(until)).WithHint("let it end within a year from now")
	}
	var out escrow.AgreementVersion
	_, err := r.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		v, parsed, parts, err := r.pending(ctx, tx, arrangement, version)
		if err != nil {
			return nil, err
		}
		var acts []escrow.Act
		out, acts, err = offer(ctx, tx, actor, v, parsed, parts, now, until)
		return acts, err
	})
	return out, err
}

// offer lets the parties sign a draft, within a transaction.
func offer(ctx context.Context, tx Tx, actor escrow.Actor, v escrow.AgreementVersion, parsed *agreement.Agreement, parts []signing.Part, now, until time.Time) (escrow.AgreementVersion, []escrow.Act, error) {
	if _, err := follows(ctx, tx, parsed, v.Digest); err != nil {
		return v, nil, err
	}
	switch v.At(now) {
	case escrow.VersionDraft, escrow.VersionExpired, escrow.VersionRefused, escrow.VersionWithdrawn:
	default:
		return v, nil, escrow.Errorf(escrow.Conflict, "version %d of %q is %s", v.Version, v.Arrangement, v.State)
	}
	due := 0
	for _, p := range parts {
		if p.Due && len(p.Sign) > 0 {
			due++
		}
	}
	if due == 0 {
		return v, nil, escrow.Errorf(escrow.Conflict, "no part of version %d needs a signature", v.Version).WithHint("register it: 'holdfast register'")
	}
	v.State, v.OfferedBy, v.OfferedAt, v.ExpiresAt = escrow.VersionOffered, actor.String(), evidence.At(now).Time, evidence.At(until).Time
	v.EndedBy, v.EndedAt, v.EndReason = "", time.Time{}, ""
	if err := tx.PutAgreementVersion(ctx, v); err != nil {
		return v, nil, err
	}
	return v, []escrow.Act{versionAct("agreement.offered", v, actor, now, map[string]any{"expires": evidence.FormatTime(v.ExpiresAt), "parts": due})}, nil
}

// Withdraw takes an offer or a draft back.
func (r *Registry) Withdraw(ctx context.Context, actor escrow.Actor, arrangement string, version int, reason string) (escrow.AgreementVersion, error) {
	return r.end(ctx, actor, arrangement, version, escrow.VersionWithdrawn, "agreement.withdrawn", reason, nil)
}

// Refuse ends an offer because a party does not sign. A party that has signed
// a part of it is bound by that and cannot.
func (r *Registry) Refuse(ctx context.Context, actor escrow.Actor, arrangement string, version int, reason string) (escrow.AgreementVersion, error) {
	return r.end(ctx, actor, arrangement, version, escrow.VersionRefused, "agreement.refused", reason, func(tx Tx, v escrow.AgreementVersion, parts []signing.Part) error {
		if err := signing.MayBeSigned(v, r.now()); err != nil {
			return err
		}
		asked := slices.ContainsFunc(parts, func(p signing.Part) bool { return p.Due && slices.Contains(p.Sign, actor.Party) })
		if !asked {
			return escrow.Errorf(escrow.Forbidden, "%s is not asked to sign version %d", actor.Party, v.Version)
		}
		given, err := tx.PartSignatures(ctx, arrangement, v.Digest)
		if err != nil {
			return err
		}
		for _, s := range given {
			if s.Party == actor.Party && s.OfferedAt.Equal(v.OfferedAt) {
				return escrow.Errorf(escrow.Conflict, "%s signed part %s on %s; what is signed stays signed", s.Party, s.Part, evidence.At(s.SignedAt)).
					WithHint("a change takes a new version")
			}
		}
		return nil
	})
}

func (r *Registry) end(ctx context.Context, actor escrow.Actor, arrangement string, version int, to escrow.VersionState, kind, reason string, may func(Tx, escrow.AgreementVersion, []signing.Part) error) (escrow.AgreementVersion, error) {
	if strings.TrimSpace(reason) == "" || len(reason) > maxReason {
		return escrow.AgreementVersion{}, escrow.Errorf(escrow.Invalid, "the reason has 1 to %d bytes", maxReason)
	}
	now := r.now()
	var out escrow.AgreementVersion
	_, err := r.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		v, _, parts, err := r.pending(ctx, tx, arrangement, version)
		if err != nil {
			return nil, err
		}
		if may != nil {
			if err := may(tx, v, parts); err != nil {
				return nil, err
			}
		}
		if !v.Open(now) {
			return nil, escrow.Errorf(escrow.Conflict, "version %d of %q is %s", v.Version, arrangement, v.At(now))
		}
		v.State, v.EndedBy, v.EndedAt, v.EndReason = to, actor.String(), now, reason
		out = v
		if err := tx.PutAgreementVersion(ctx, v); err != nil {
			return nil, err
		}
		return []escrow.Act{versionAct(kind, v, actor, now, map[string]any{"reason": reason})}, nil
	})
	return out, err
}

// pending returns the latest text of a version that came in to be signed, and
// its parts as they stand beside the version in force.
func (r *Registry) pending(ctx context.Context, tx Tx, arrangement string, version int) (escrow.AgreementVersion, *agreement.Agreement, []signing.Part, error) {
	var v escrow.AgreementVersion
	list, err := tx.AgreementVersions(ctx, arrangement)
	if err != nil {
		return v, nil, nil, err
	}
	rank := func(v escrow.AgreementVersion) int { // what is open or in force, before what ended
		switch v.State {
		case escrow.VersionActive, escrow.VersionOffered, escrow.VersionDraft:
			return 0
		case escrow.VersionReplaced:
			return 2
		}
		return 1
	}
	found := false
	for _, x := range list {
		if (version == 0 || x.Version == version) && (!found || version == x.Version && rank(x) < rank(v) || version == 0 && x.Version == v.Version && rank(x) < rank(v)) {
			v, found = x, true
		}
	}
	if !found {
		return v, nil, nil, escrow.Errorf(escrow.NotFound, "no version %d of %q came in to be signed", version, arrangement).WithHint("'holdfast agreement draft' brings one in")
	}
	former, err := formerSource(ctx, tx, v)
	if err != nil {
		return v, nil, nil, err
	}
	parsed, parts, err := r.texts.parts(arrangement, former, v.Source)
	return v, parsed, parts, err
}

// formerSource is the text of the version in force before v, nil when v is the
// first.
func formerSource(ctx context.Context, tx Tx, v escrow.AgreementVersion) ([]byte, error) {
	if v.Version == 1 {
		return nil, nil
	}
	old, err := tx.ArrangementVersion(ctx, v.Arrangement, v.Version-1)
	if err == nil && len(old.Source) == 0 { // else v would be taken for a first version
		err = fmt.Errorf("version %d of %s is stored without its text", old.Version, v.Arrangement)
	}
	return old.Source, err
}

// parties returns who takes part: in the text that is in force and in one that
// is open, whose people bring their cards and sign. The role in force counts.
func (r *Registry) parties(ctx context.Context, id string) ([]escrow.Party, error) {
	var sources [][]byte
	err := r.db.View(ctx, func(tx Tx) error {
		a, err := tx.Arrangement(ctx, id)
		if err != nil && escrow.CodeOf(err) != escrow.NotFound {
			return err
		}
		if err == nil {
			sources = append(sources, a.Source)
		}
		list, verr := tx.AgreementVersions(ctx, id)
		if verr != nil {
			return verr
		}
		for _, v := range list {
			if v.Open(r.now()) {
				sources = append(sources, v.Source)
			}
		}
		if len(sources) == 0 {
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var out []escrow.Party
	for _, source := range sources {
		parsed, err := r.texts.read(id, source)
		if err != nil {
			return nil, err
		}
		for _, p := range parsed.Expand().Parties {
			if !slices.ContainsFunc(out, func(o escrow.Party) bool { return o.ID == p.ID }) {
				out = append(out, p)
			}
		}
	}
	return out, nil
}
