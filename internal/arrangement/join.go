package arrangement

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/accession"
	"holdfast/internal/escrow/agreement/check"
	"holdfast/internal/escrow/agreement/problem"
	"holdfast/internal/escrow/signing"
)

// Joining is a beneficiary on its way into a running arrangement, and what it
// takes.
type Joining struct {
	Party        string
	Version      escrow.AgreementVersion
	Parts        []signing.Part // the parts that are signed: its own, and no other
	Unchanged    []string       // the parts that stay signed as they are
	NoCard       []string       // parties that sign and have no contact card here
	Modules      []escrow.Module
	Compartments []agreement.Compartment // its own, whose keys are dealt
	Others       []string                // compartments that will open for it too: the next epoch pins its keys
	Warnings     []string                // what the checker says about the new text beside what it said before
}

// Join offers a version with one beneficiary more. Its other parts are
// unchanged by digest, so that they stay signed: only the joiner and those whom
// its own parts name sign. source is the text in force with the joiner in it,
// or empty: then it is written from that and from who joins. With dry nothing
// is kept.
func (r *Registry) Join(ctx context.Context, actor escrow.Actor, arrangement string, joiner accession.Joiner, source []byte, until time.Time, dry bool) (Joining, error) {
	now := r.now()
	if !until.After(now) || until.Sub(now) > maxOffer {
		return Joining{}, escrow.Errorf(escrow.Invalid, "the offer ends on %s", evidence.At(until)).WithHint("let it end within a year from now")
	}
	var out Joining
	join := func(tx Tx) ([]escrow.Act, error) {
		former, err := tx.Arrangement(ctx, arrangement)
		if err != nil {
			return nil, err
		}
		if err := nothingOpen(ctx, tx, arrangement, now); err != nil {
			return nil, err
		}
		text := source
		if len(text) == 0 {
			if text, err = accession.Join(former.Source, joiner); err != nil {
				return nil, err
			}
		}
		parsed, canonical, err := read(text)
		if err != nil {
			return nil, err
		}
		if parsed.ID != arrangement {
			return nil, escrow.Errorf(escrow.Invalid, "the text is about arrangement %q, not %q", parsed.ID, arrangement)
		}
		before, problems := agreement.Parse(arrangement, former.Source)
		if before == nil {
			return nil, agreement.Refusal(problems)
		}
		parts, err := signing.Parts(before, parsed)
		if err != nil {
			return nil, err
		}
		if out, err = joining(before, parsed, parts); err != nil {
			return nil, err
		}
		if out.Warnings, err = dangers(former.Source, text, now); err != nil {
			return nil, err
		}
		if out.NoCard, err = withoutCard(ctx, tx, arrangement, out.Parts); err != nil {
			return nil, err
		}
		v := escrow.AgreementVersion{Arrangement: arrangement, Digest: evidence.Digest(canonical), Version: parsed.Version, Canonical: canonical, Source: text,
			State: escrow.VersionDraft, DraftedBy: actor.String(), DraftedAt: now}
		v, acts, err := r.draft(ctx, tx, actor, v, parsed, now)
		if err != nil {
			return nil, err
		}
		v, offered, err := offer(ctx, tx, actor, v, parsed, parts, now, until)
		out.Version = v
		return append(acts, offered...), err
	}
	var err error
	if dry {
		err = r.rehearse(ctx, join)
	} else {
		_, err = r.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) { return join(tx) })
	}
	return out, err
}

// errRehearsed ends a transaction of which nothing is kept.
type errRehearsed struct{}

func (errRehearsed) Error() string { return "rehearsed" }

// rehearse does something in a transaction that is taken back.
func (r *Registry) rehearse(ctx context.Context, f func(Tx) ([]escrow.Act, error)) error {
	_, err := r.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		if _, err := f(tx); err != nil {
			return nil, err
		}
		return nil, errRehearsed{}
	})
	if _, ok := errors.AsType[errRehearsed](err); ok {
		return nil
	}
	return err
}

// nothingOpen refuses to begin something while a text is on its way: two texts
// are not open at once, and nobody's draft is thrown away by the way.
func nothingOpen(ctx context.Context, tx Tx, arrangement string, now time.Time) error {
	list, err := tx.AgreementVersions(ctx, arrangement)
	if err != nil {
		return err
	}
	for _, v := range list {
		if v.Open(now) {
			return escrow.Errorf(escrow.Conflict, "version %d of %q is %s; two texts are not open at once", v.Version, arrangement, v.State).
				WithHint("let it be signed, or withdraw it with 'holdfast agreement withdraw'")
		}
	}
	return nil
}

// comesAndGoes refuses a text that drops a beneficiary who signed, since who
// has signed leaves by its own notice alone, and one that brings back an id
// which somebody left with: what is kept about the one would count for the
// other.
func comesAndGoes(ctx context.Context, tx Tx, old escrow.Arrangement, parsed *agreement.Agreement) error {
	former, problems := agreement.Parse(old.ID, old.Source)
	if former == nil {
		return agreement.Refusal(problems)
	}
	left, err := tx.Leavings(ctx, old.ID)
	if err != nil {
		return err
	}
	for _, l := range left {
		if l.Left() && parsed.Party(l.Party) != nil {
			return escrow.Errorf(escrow.Conflict, "the id %s is that of a beneficiary who left on %s", l.Party, evidence.At(l.EndedAt)).WithHint("give the party another id, such as %s-2", l.Party)
		}
	}
	list, err := tx.AgreementVersions(ctx, old.ID)
	if err != nil || !slices.ContainsFunc(list, func(v escrow.AgreementVersion) bool { return v.State == escrow.VersionActive }) {
		return err
	}
	for _, id := range former.WithRole(escrow.Beneficiary) {
		if p := parsed.Party(id); p == nil || p.Role != agreement.Role(escrow.Beneficiary) {
			return escrow.Errorf(escrow.Conflict, "%s signed, and is no beneficiary in this text", id).
				WithHint("a beneficiary leaves by its own notice: 'holdfast agreement leave'")
		}
	}
	return nil
}

// joining checks that a text is the one in force with one beneficiary more and
// nothing else, and says what that takes.
func joining(before, now *agreement.Agreement, parts []signing.Part) (Joining, error) {
	var out Joining
	no := func(format string, args ...any) (Joining, error) {
		return out, escrow.Errorf(escrow.Conflict, format, args...).WithHint("bring other changes in as a version of their own: 'holdfast agreement draft'")
	}
	for _, p := range now.Parties {
		switch {
		case before.Party(p.ID) != nil:
		case p.Role != agreement.Role(escrow.Beneficiary):
			return no("%s becomes a party as %s; only a beneficiary joins in this way", p.ID, p.Role)
		case out.Party != "":
			return no("%s and %s both join; one joins at a time", out.Party, p.ID)
		default:
			out.Party = p.ID
		}
	}
	if out.Party == "" {
		return no("nobody joins by this text")
	}
	if err := accession.OtherSide(now, out.Party); err != nil {
		return out, err
	}
	e, was := now.Expand(), map[string]bool{}
	for _, p := range before.Expand().Parts {
		was[p.ID] = true
	}
	for _, p := range parts {
		i := slices.IndexFunc(e.Parts, func(x agreement.PartInstance) bool { return x.ID == p.ID })
		mine := e.Parts[i].Instance != "" && now.OwnerOf(e.Parts[i].Instance) == out.Party
		switch {
		case mine && p.Due:
			for _, id := range p.Sign {
				if x := now.Party(id); id != out.Party && x != nil && x.Role == agreement.Role(escrow.Beneficiary) {
					return no("part %s asks for a signature of %s, which is another beneficiary", p.ID, id)
				}
			}
			out.Parts = append(out.Parts, p)
		case p.Due:
			return no("part %s changes as well", p.ID)
		default:
			out.Unchanged = append(out.Unchanged, p.ID)
		}
		delete(was, p.ID)
	}
	for id := range was {
		return no("part %s ends by this text", id)
	}
	if !slices.ContainsFunc(out.Parts, func(p signing.Part) bool { return slices.Contains(p.Sign, out.Party) }) {
		return no("%s signs nothing in this text: it has no part with for_each: beneficiaries", out.Party)
	}
	for _, m := range e.Modules {
		if now.OwnerOf(m.Instance) == out.Party && m.Compartment != "" {
			out.Modules = append(out.Modules, m)
		}
	}
	for _, c := range e.Compartments {
		switch {
		case now.OwnerOf(c.Instance) == out.Party:
			out.Compartments = append(out.Compartments, c)
		case slices.Contains(c.Recipients, out.Party):
			out.Others = append(out.Others, c.ID)
		}
	}
	return out, nil
}

// dangers returns what the checker says about a text beside what it says about
// the one before. What it calls an error is refused.
func dangers(before, now []byte, at time.Time) ([]string, error) {
	known := map[string]bool{}
	_, old := check.Check("agreement", before, check.Options{At: at})
	for _, p := range old {
		known[p.Rule+"\x00"+p.Message] = true
	}
	_, list := check.Check("agreement", now, check.Options{At: at})
	var errs, warns []string
	for _, p := range list {
		switch {
		case known[p.Rule+"\x00"+p.Message]:
		case p.Severity == problem.Error:
			errs = append(errs, p.Message)
		case p.Severity == problem.Warning:
			warns = append(warns, p.Message)
		}
	}
	if len(errs) > 0 {
		return nil, escrow.Errorf(escrow.Conflict, "the new text is dangerous where the one in force is not: %s", strings.Join(errs[:min(3, len(errs))], "; ")).
			WithHint("'holdfast agreement check' explains it and says how to mend it")
	}
	return warns, nil
}

// withoutCard lists the parties that have to sign and of which no person's
// card is here, so that no signature of theirs could be checked.
func withoutCard(ctx context.Context, tx Tx, arrangement string, parts []signing.Part) ([]string, error) {
	cards, err := tx.Contacts(ctx, arrangement)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, p := range parts {
		for _, id := range p.Sign {
			if !slices.Contains(out, id) && !slices.ContainsFunc(cards, func(c escrow.Contact) bool { return c.Party == id }) {
				out = append(out, id)
			}
		}
	}
	return out, nil
}
