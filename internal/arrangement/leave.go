package arrangement

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/accession"
	"holdfast/internal/escrow/agreement/part"
	"holdfast/internal/escrow/signing"
)

// Accession is the state that a beneficiary joins and leaves by, besides that
// of agreements.
type Accession interface {
	Contacts(ctx context.Context, arrangement string) ([]escrow.Contact, error)
	Cases(ctx context.Context, arrangement string) ([]escrow.Case, error)
	Epochs(ctx context.Context, arrangement, compartment string) ([]escrow.Epoch, error)
	PutEpoch(ctx context.Context, e escrow.Epoch) error
	Holds(ctx context.Context, arrangement string) ([]escrow.Hold, error)
	DepositHeads(ctx context.Context, arrangement, module string) ([]escrow.Deposit, error)
	Destroyed(ctx context.Context, arrangement, module string) ([]escrow.Destroyed, error)
	Destruction(ctx context.Context, arrangement, id string) (escrow.Destruction, error)
	Leaving(ctx context.Context, arrangement, party string) (escrow.Leaving, error)
	Leavings(ctx context.Context, arrangement string) ([]escrow.Leaving, error)
	LeavingsIn(ctx context.Context, state escrow.LeavingState) ([]escrow.Leaving, error)
	PutLeaving(ctx context.Context, l escrow.Leaving) error
	// ForgetUnfinished removes what is kept of a module beside its deposits.
	ForgetUnfinished(ctx context.Context, arrangement, module string) error
}

const (
	// leaveAhead is how far in the future a notice may end.
	leaveAhead = 20 * 366 * 24 * time.Hour
	// leaveSkew is how far the clock of who gives notice may be off.
	leaveSkew = 10 * time.Minute
)

// Departure is what it takes a beneficiary to leave, before it gives notice.
type Departure struct {
	Arrangement string
	Party       string
	Agreement   string // digest of the text in force
	Version     int
	TimeZone    string
	Parts       []evidence.NamedPart // the parts that end
	Earliest    time.Time            // the first moment it can be free
	Modules     []string             // whose deposits are destroyed
	Epochs      []escrow.Epoch       // whose keys end
	DeleteData  string               // within which period the agreement wants its data gone, "" if it does not say
	Refused     error                // why it cannot leave as things stand, nil if it can
	Holds       []string             // legal holds that keep its deposits for now
}

// Departing tells what it takes a beneficiary to leave.
func (r *Registry) Departing(ctx context.Context, arrangement, party string) (Departure, error) {
	var d Departure
	err := r.db.View(ctx, func(tx Tx) (err error) {
		d, _, err = r.departing(ctx, tx, arrangement, party, r.now())
		return err
	})
	return d, err
}

func (r *Registry) departing(ctx context.Context, tx Tx, arrangement, party string, now time.Time) (Departure, *agreement.Agreement, error) {
	d := Departure{Arrangement: arrangement, Party: party}
	a, err := tx.Arrangement(ctx, arrangement)
	if err != nil {
		return d, nil, err
	}
	parsed, problems := agreement.Parse(arrangement, a.Source)
	if parsed == nil {
		return d, nil, agreement.Refusal(problems)
	}
	if p := parsed.Party(party); p == nil || p.Role != agreement.Role(escrow.Beneficiary) {
		return d, nil, escrow.Errorf(escrow.Forbidden, "%s is no beneficiary of %q; only a beneficiary leaves in this way", party, arrangement).
			WithHint("what another party does is for others to take over: bring in a version that says so")
	}
	d.Agreement, d.Version, d.TimeZone = a.Digest, a.Version, parsed.TimeZone
	d.Earliest = accession.Earliest(parsed, now)
	if x := parsed.ChangeOfParty; x != nil && x.Leaves != nil {
		d.DeleteData = string(x.Leaves.DeleteData)
	}
	e := parsed.Expand()
	for _, p := range e.Parts {
		if p.Instance == "" || parsed.OwnerOf(p.Instance) != party {
			continue
		}
		v, err := part.Of(parsed, p.ID)
		if err != nil {
			return d, nil, err
		}
		d.Parts = append(d.Parts, evidence.NamedPart{Part: p.ID, Digest: v.Digest()})
	}
	slices.SortFunc(d.Parts, func(a, b evidence.NamedPart) int { return strings.Compare(a.Part, b.Part) })
	if len(d.Parts) == 0 {
		d.Refused = escrow.Errorf(escrow.Conflict, "%s has no part of its own in version %d", party, a.Version).
			WithHint("the text binds all at once; who leaves it needs a version that all sign")
		return d, parsed, nil
	}
	if d.Modules, err = modulesOf(ctx, tx, parsed, party); err != nil {
		return d, nil, err
	}
	for _, c := range e.Compartments {
		if c.Instance == "" || parsed.OwnerOf(c.Instance) != party {
			continue
		}
		list, err := tx.Epochs(ctx, arrangement, c.ID)
		if err != nil {
			return d, nil, err
		}
		for _, x := range list {
			if x.State == escrow.EpochDealt || x.State == escrow.EpochActive {
				d.Epochs = append(d.Epochs, x)
			}
		}
	}
	if d.Holds, err = holding(ctx, tx, arrangement, d.Modules, now); err != nil {
		return d, nil, err
	}
	if _, d.Refused = accession.Leave(a.Source, party); d.Refused == nil {
		d.Refused = inCase(ctx, tx, arrangement, party)
	}
	return d, parsed, nil
}

// modulesOf lists what is held for a beneficiary alone, also what was found at
// its organisation.
func modulesOf(ctx context.Context, tx Tx, parsed *agreement.Agreement, party string) ([]string, error) {
	list, err := tx.Modules(ctx, parsed.ID)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, m := range list {
		if m.Instance != "" && parsed.OwnerOf(m.Instance) == party {
			out = append(out, m.ID)
		}
	}
	for _, m := range list {
		if slices.Contains(out, escrow.OrganisationOf(m.ID)) && !slices.Contains(out, m.ID) {
			out = append(out, m.ID)
		}
	}
	slices.Sort(out)
	return out, nil
}

// holding lists the legal holds that keep deposits of the modules.
func holding(ctx context.Context, tx Tx, arrangement string, modules []string, now time.Time) ([]string, error) {
	list, err := tx.Holds(ctx, arrangement)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, h := range list {
		if h.Active(now) && (h.Module == "" && len(modules) > 0 || slices.Contains(modules, h.Module)) {
			out = append(out, h.ID)
		}
	}
	return out, nil
}

// inCase refuses a beneficiary in whose favour a release is on its way: it is
// finished first.
func inCase(ctx context.Context, tx Tx, arrangement, party string) error {
	list, err := tx.Cases(ctx, arrangement)
	if err != nil {
		return err
	}
	for _, c := range list {
		if !c.State.Ended() && (c.Claimant == party || slices.Contains(c.Recipients, party)) {
			return escrow.Errorf(escrow.Conflict, "case %s, in which %s takes part, is %s", c.ID, party, c.State).WithHint("finish or close it first: 'holdfast case'")
		}
	}
	return nil
}

// GiveNotice takes in a beneficiary's own notice that it leaves. Nothing else
// changes before the notice has run: until then it takes part as before. The
// other beneficiaries neither sign nor hear of it.
func (r *Registry) GiveNotice(ctx context.Context, actor escrow.Actor, arrangement string, document, signature []byte) (escrow.Leaving, error) {
	n, err := evidence.ParseLeaveNotice(document)
	now := r.now()
	switch {
	case err != nil:
		return escrow.Leaving{}, escrow.Errorf(escrow.Invalid, "%w", err)
	case n.Arrangement != arrangement:
		return escrow.Leaving{}, escrow.Errorf(escrow.Invalid, "the notice is about arrangement %q, not %q", n.Arrangement, arrangement)
	case actor.Person == "":
		return escrow.Leaving{}, escrow.Errorf(escrow.Forbidden, "a token that names no person signs for nobody").WithHint("use a token issued with --person")
	case n.Party != actor.Party || n.Person != actor.Person:
		return escrow.Leaving{}, escrow.Errorf(escrow.Forbidden, "%s may not give notice for %s/%s", actor, n.Party, n.Person).WithHint("a beneficiary leaves by its own notice alone")
	case n.At.Sub(now).Abs() > leaveSkew:
		return escrow.Leaving{}, escrow.Errorf(escrow.Invalid, "the notice is dated %s, and it is %s", n.At, evidence.At(now)).WithHint("set the clock of the machine that signs")
	case n.Ends.Sub(now) > leaveAhead:
		return escrow.Leaving{}, escrow.Errorf(escrow.Invalid, "the notice would end on %s", n.Ends).WithHint("give notice nearer to the day")
	}
	var out escrow.Leaving
	_, err = r.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		old, err := tx.Leaving(ctx, arrangement, n.Party)
		switch {
		case err == nil && slices.Equal(old.Document, document) && old.State != escrow.LeavingWithdrawn: // the answer was lost on the way
			out = old
			return nil, nil
		case err == nil && old.State != escrow.LeavingWithdrawn:
			return nil, escrow.Errorf(escrow.Conflict, "%s gave notice on %s, for %s", n.Party, evidence.At(old.NoticedAt), evidence.At(old.EndsAt)).
				WithHint("another day takes another notice: take this one back first, with 'holdfast agreement leave --take-back'")
		case err != nil && escrow.CodeOf(err) != escrow.NotFound:
			return nil, err
		}
		d, parsed, err := r.departing(ctx, tx, arrangement, n.Party, n.At.Time)
		if err != nil {
			return nil, err
		}
		if d.Refused != nil {
			return nil, d.Refused
		}
		switch {
		case n.Agreement != d.Agreement || n.Version != d.Version || !slices.Equal(n.Parts, d.Parts):
			return nil, escrow.Errorf(escrow.Conflict, "the notice is about version %d with digest %.12s; version %d with digest %.12s is in force", n.Version, n.Agreement, d.Version, d.Agreement).
				WithHint("give notice again: 'holdfast agreement leave'")
		case n.Ends.Before(d.Earliest.Truncate(time.Second)):
			return nil, escrow.Errorf(escrow.Conflict, "%s cannot leave on %s: notice and term run until %s", n.Party, n.Ends, evidence.At(d.Earliest)).
				WithHint("leave on that day or later")
		}
		out = escrow.Leaving{Arrangement: arrangement, Party: n.Party, State: escrow.LeavingNoticed, Person: n.Person, Document: document, Signature: signature,
			NoticedAt: now, EndsAt: n.Ends.Time, Readers: readersOf(parsed, d.Parts)}
		if out.Key, err = signedStatement(ctx, tx, actor, arrangement, document, signature); err != nil {
			return nil, err
		}
		list, situation, err := actingBy(ctx, tx, arrangement, parsed, n.Party, now)
		if err != nil {
			return nil, err
		}
		basis, err := signing.MaySign(list, situation, n.Party, n.Person, n.DeputyFor, now)
		switch {
		case err != nil:
			return nil, err
		case basis.CallBack:
			return nil, escrow.Errorf(escrow.Forbidden, "what %s signs counts only after a call back, and a notice is not called back", actor).
				WithHint("let somebody give it whose authority asks for none; the agent can put one on record: 'holdfast authority record'")
		}
		out.Authority = basis.Proof
		if err := tx.PutLeaving(ctx, out); err != nil {
			return nil, err
		}
		return []escrow.Act{leaveAct("agreement.leave_noticed", actor.String(), now, out, accessionOf(parsed, d.Parts), map[string]any{"ends": evidence.FormatTime(out.EndsAt), "authority": out.Authority})}, nil
	})
	return out, err
}

// readersOf lists the parties of the parts that end.
func readersOf(a *agreement.Agreement, parts []evidence.NamedPart) []string {
	var out []string
	for _, p := range a.Expand().Parts {
		if slices.ContainsFunc(parts, func(n evidence.NamedPart) bool { return n.Part == p.ID }) {
			out = append(append(out, p.Parties...), p.Readers...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// leaveAct names the party's own part: it is shown to those who read that, and
// once the part is gone to no other beneficiary.
func leaveAct(kind, actor string, at time.Time, l escrow.Leaving, part string, more map[string]any) escrow.Act {
	data := map[string]any{"party": l.Party, "notice": evidence.Digest(l.Document), "part": part}
	for k, v := range more {
		data[k] = v
	}
	return escrow.Act{Kind: kind, At: at, Actor: actor, Arrangement: l.Arrangement, Subject: evidence.Digest(l.Document), Data: data}
}

// partOf is the part by which the acts about a leaving are shown: the accession
// that ends, or the first of the parts where none is called so. It is read from
// the version in which notice was given.
func partOf(ctx context.Context, tx Tx, l escrow.Leaving) (string, error) {
	n, err := evidence.ParseLeaveNotice(l.Document)
	if err != nil {
		return "", fmt.Errorf("stored notice of %s: %w", l.Party, err)
	}
	a, err := tx.ArrangementVersion(ctx, l.Arrangement, n.Version)
	if err != nil {
		return "", err
	}
	parsed, problems := agreement.Parse(l.Arrangement, a.Source)
	if parsed == nil {
		return "", agreement.Refusal(problems)
	}
	return accessionOf(parsed, n.Parts), nil
}

func accessionOf(a *agreement.Agreement, parts []evidence.NamedPart) string {
	for _, p := range a.Expand().Parts {
		if p.Kind == "accession" && slices.ContainsFunc(parts, func(n evidence.NamedPart) bool { return n.Part == p.ID }) {
			return p.ID
		}
	}
	return parts[0].Part // departing refuses who has none
}

// TakeBack takes a notice back that has not run yet. The beneficiary does it
// itself.
func (r *Registry) TakeBack(ctx context.Context, actor escrow.Actor, arrangement, reason string) (escrow.Leaving, error) {
	if strings.TrimSpace(reason) == "" || len(reason) > maxReason {
		return escrow.Leaving{}, escrow.Errorf(escrow.Invalid, "the reason has 1 to %d bytes", maxReason)
	}
	if actor.Person == "" {
		return escrow.Leaving{}, escrow.Errorf(escrow.Forbidden, "a token that names no person acts for nobody").WithHint("use a token issued with --person")
	}
	now := r.now()
	var out escrow.Leaving
	_, err := r.db.Update(ctx, func(tx Tx) (_ []escrow.Act, err error) {
		if out, err = tx.Leaving(ctx, arrangement, actor.Party); err != nil {
			return nil, err
		}
		if out.State != escrow.LeavingNoticed {
			return nil, escrow.Errorf(escrow.Conflict, "the notice of %s is %s", out.Party, out.State)
		}
		part, err := partOf(ctx, tx, out)
		if err != nil {
			return nil, err
		}
		a, err := tx.Arrangement(ctx, arrangement)
		if err != nil {
			return nil, err
		}
		parsed, problems := agreement.Parse(arrangement, a.Source)
		if parsed == nil {
			return nil, agreement.Refusal(problems)
		}
		list, situation, err := actingBy(ctx, tx, arrangement, parsed, actor.Party, now)
		if err != nil {
			return nil, err
		}
		situation.CalledBack = true // what stays as it was binds nobody anew
		if err := list.Allow(actor.Party, actor.Person, escrow.PowerSign, now, situation, false); err != nil {
			return nil, err
		}
		out.State, out.Withdrawn, out.WithdrawnAt, out.Blocked = escrow.LeavingWithdrawn, reason, now, ""
		if err := tx.PutLeaving(ctx, out); err != nil {
			return nil, err
		}
		return []escrow.Act{leaveAct("agreement.leave_withdrawn", actor.String(), now, out, part, map[string]any{"reason": reason})}, nil
	})
	return out, err
}

// Leavings returns the notices of an arrangement, the oldest first.
func (r *Registry) Leavings(ctx context.Context, arrangement string) ([]escrow.Leaving, error) {
	var out []escrow.Leaving
	err := r.db.View(ctx, func(tx Tx) (err error) {
		out, err = tx.Leavings(ctx, arrangement)
		return err
	})
	return out, err
}

// EndDue ends the accession of everybody whose notice has run. It may be
// stopped at any moment and run again: each ends whole or not at all. One that
// cannot end yet, because of a case or because the text still needs it, says
// so on record and does not keep the others; with again those are tried once
// more, which is not done every few seconds since it takes reading the text.
// All errors come back.
func (r *Registry) EndDue(ctx context.Context, again bool) error {
	var list []escrow.Leaving
	err := r.db.View(ctx, func(tx Tx) (err error) {
		list, err = tx.LeavingsIn(ctx, escrow.LeavingNoticed)
		return err
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, l := range list {
		if now := r.now(); now.Before(l.EndsAt) {
			break // they come in the order in which they end
		}
		if l.Blocked != "" && !again {
			continue
		}
		if err := r.endOne(ctx, l); err != nil {
			errs = append(errs, fmt.Errorf("leaving of %s from %s: %w", l.Party, l.Arrangement, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

func (r *Registry) endOne(ctx context.Context, l escrow.Leaving) error {
	now := r.now()
	_, err := r.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		l, err := tx.Leaving(ctx, l.Arrangement, l.Party)
		if err != nil || l.State != escrow.LeavingNoticed || now.Before(l.EndsAt) {
			return nil, err // another process was first
		}
		part, err := partOf(ctx, tx, l)
		if err != nil {
			return nil, err
		}
		d, parsed, err := r.departing(ctx, tx, l.Arrangement, l.Party, now)
		if err == nil {
			err = d.Refused
		}
		if err != nil {
			return blocked(ctx, tx, l, part, err, now)
		}
		return r.leave(ctx, tx, l, d, parsed, part, now)
	})
	return err
}

// blocked puts on record why somebody cannot leave yet. It is tried again.
func blocked(ctx context.Context, tx Tx, l escrow.Leaving, part string, why error, now time.Time) ([]escrow.Act, error) {
	if code := escrow.CodeOf(why); code != escrow.Conflict && code != escrow.Invalid && code != escrow.Forbidden {
		return nil, why
	}
	text := why.Error()
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "")
	}
	if l.Blocked == text {
		return nil, nil
	}
	l.Blocked = text
	if err := tx.PutLeaving(ctx, l); err != nil {
		return nil, err
	}
	return []escrow.Act{leaveAct("agreement.leave_blocked", "server", now, l, part, map[string]any{"reason": text})}, nil
}

// leave brings the version without the beneficiary into force, ends its keys,
// revokes its tokens and those for its modules, and forgets its secrets, in one
// transaction.
func (r *Registry) leave(ctx context.Context, tx Tx, l escrow.Leaving, d Departure, former *agreement.Agreement, part string, now time.Time) ([]escrow.Act, error) {
	a, err := tx.Arrangement(ctx, l.Arrangement)
	if err != nil {
		return nil, err
	}
	text, err := accession.Leave(a.Source, l.Party)
	if err != nil {
		return nil, err
	}
	parsed, canonical, err := read(text)
	if err != nil {
		return nil, err
	}
	acts, err := overtaken(ctx, tx, l.Arrangement, now)
	if err != nil {
		return nil, err
	}
	v := escrow.AgreementVersion{Arrangement: l.Arrangement, Digest: evidence.Digest(canonical), Version: parsed.Version, Canonical: canonical, Source: text,
		State: escrow.VersionActive, DraftedBy: "server", DraftedAt: now, EndedBy: "server", EndedAt: now}
	if err := tx.PutAgreementVersion(ctx, v); err != nil {
		return nil, err
	}
	registered, err := bringIntoForce(ctx, tx, escrow.Actor{Party: "server"}, escrow.Arrangement{ID: v.Arrangement, Version: v.Version, Digest: v.Digest, Canonical: v.Canonical, Source: v.Source, CreatedAt: now},
		parsed.Expand(), nil)
	if err != nil {
		return nil, err
	}
	acts = append(acts, registered)
	epochs := []string{}
	for _, e := range d.Epochs {
		was := e.State
		e.State, e.EndedAt, e.EndReason = escrow.EpochEnded, now, "its holder left"
		if was == escrow.EpochDealt {
			e.State = escrow.EpochAbandoned
		}
		if err := tx.PutEpoch(ctx, e); err != nil {
			return nil, err
		}
		name := fmt.Sprintf("%s#%d", e.Compartment, e.Number)
		acts = append(acts, escrow.Act{Kind: "epoch.ended", At: now, Actor: "server", Arrangement: l.Arrangement, Subject: name, Data: map[string]string{"reason": e.EndReason}})
		epochs = append(epochs, name)
	}
	revoked, err := closeModules(ctx, tx, l.Arrangement, d.Modules, now)
	if err != nil {
		return nil, err
	}
	l.State, l.Version, l.Agreement, l.EndedAt, l.Modules, l.Blocked = escrow.LeavingEnded, v.Version, v.Digest, now, d.Modules, ""
	for _, c := range former.Expand().Compartments {
		if c.Instance != "" && former.OwnerOf(c.Instance) == l.Party {
			l.Compartments = append(l.Compartments, c.ID)
		}
	}
	slices.Sort(l.Compartments)
	if err := tx.PutLeaving(ctx, l); err != nil {
		return nil, err
	}
	return append(acts, leaveAct("agreement.left", "server", now, l, part, map[string]any{"version": v.Version, "agreement": v.Digest, "modules": l.Modules, "epochs": epochs, "tokens_revoked": revoked})), nil
}

// overtaken ends what is open: it would replace a version that is no longer in
// force. The reason names nobody.
func overtaken(ctx context.Context, tx Tx, arrangement string, now time.Time) ([]escrow.Act, error) {
	list, err := tx.AgreementVersions(ctx, arrangement)
	if err != nil {
		return nil, err
	}
	var acts []escrow.Act
	for _, v := range list {
		if v.State != escrow.VersionDraft && v.State != escrow.VersionOffered {
			continue
		}
		v.State, v.EndedBy, v.EndedAt, v.EndReason = escrow.VersionWithdrawn, "server", now, "another version came into force first; bring it in again as the one after that"
		if err := tx.PutAgreementVersion(ctx, v); err != nil {
			return nil, err
		}
		acts = append(acts, versionAct("agreement.withdrawn", v, escrow.Actor{Party: "server"}, now, map[string]any{"reason": v.EndReason}))
	}
	return acts, nil
}

// closeModules forgets every secret of modules and revokes the tokens that may
// deposit into them, whoever has those.
func closeModules(ctx context.Context, tx Tx, arrangement string, modules []string, now time.Time) ([]string, error) {
	for _, m := range modules {
		list, err := tx.Credentials(ctx, arrangement, m)
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			if err := tx.DeleteCredential(ctx, arrangement, m, c.Kind); err != nil {
				return nil, err
			}
		}
	}
	revoked := []string{}
	tokens, err := tx.Tokens(ctx, arrangement)
	if err != nil {
		return nil, err
	}
	for _, t := range tokens {
		if !t.RevokedAt.IsZero() || !slices.Contains(modules, t.Module) {
			continue
		}
		t.RevokedAt = now
		if err := tx.PutToken(ctx, t); err != nil {
			return nil, err
		}
		revoked = append(revoked, t.ID)
	}
	return revoked, nil
}
