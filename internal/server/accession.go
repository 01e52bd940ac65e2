package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/arrangement"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/accession"
	"holdfast/internal/escrow/agreement/quantity"
	"holdfast/internal/store"
)

// accessions shows the registry to the API as beneficiaries join and leave by
// it.
type accessions struct{ *arrangement.Registry }

// Join implements api.Accession.
func (a accessions) Join(ctx context.Context, actor escrow.Actor, arr string, j client.NewJoin) (client.Joining, error) {
	until, err := time.Parse(time.RFC3339, j.Until)
	if err != nil {
		return client.Joining{}, escrow.Errorf(escrow.Invalid, "until %.40q is not an RFC 3339 time", j.Until)
	}
	if (j.Joiner == nil) == (j.Agreement == "") {
		return client.Joining{}, escrow.Errorf(escrow.Invalid, "say who joins, or bring the text with the one who joins in it: one of the two")
	}
	var joiner accession.Joiner
	if p := j.Joiner; p != nil {
		joiner = accession.Joiner{ID: p.ID, Name: p.Name, Register: p.Register, Controlled: p.Controlled}
		for _, x := range p.People {
			joiner.People = append(joiner.People, agreement.Person{ID: x.ID, Name: x.Name, Function: x.Function, Email: x.Email})
			if len(x.May) > 0 {
				joiner.Authority = append(joiner.Authority, agreement.Authority{Person: x.ID, May: x.May, Until: quantity.Date(x.Until), Proof: x.Proof})
			}
		}
	}
	got, err := a.Registry.Join(ctx, actor, arr, joiner, []byte(j.Agreement), until, j.Dry)
	if err != nil {
		return client.Joining{}, err
	}
	v := got.Version
	out := client.Joining{Party: got.Party, Agreement: string(v.Source), Unchanged: namesOf(got.Unchanged), NoCard: namesOf(got.NoCard), Others: namesOf(got.Others), Warnings: namesOf(got.Warnings),
		Version: client.AgreementVersion{Version: v.Version, Digest: v.Digest, State: string(v.State), DraftedAt: v.DraftedAt.UTC(), OfferedAt: given(v.OfferedAt), ExpiresAt: given(v.ExpiresAt)},
		Parts:   []client.JoinedPart{}, Modules: []client.JoinedModule{}, Compartments: []client.JoinedCompartment{}}
	for _, p := range got.Parts {
		out.Parts = append(out.Parts, client.JoinedPart{ID: p.ID, Digest: p.Digest, Sign: p.Sign, Form: p.Form, With: p.With})
	}
	for _, m := range got.Modules {
		out.Modules = append(out.Modules, client.JoinedModule{ID: m.ID, Kind: string(m.Kind), Mode: string(m.Source.Mode), Compartment: m.Compartment})
	}
	for _, c := range got.Compartments {
		out.Compartments = append(out.Compartments, client.JoinedCompartment{ID: c.ID, Holder: c.Holder, Of: c.Quorum.Of, From: c.Quorum.From})
	}
	return out, nil
}

// namesOf is never null in JSON.
func namesOf(names []string) []string { return append([]string{}, names...) }

// Departing implements api.Accession.
func (a accessions) Departing(ctx context.Context, arr, party string) (client.Departure, error) {
	d, err := a.Registry.Departing(ctx, arr, party)
	if err != nil {
		return client.Departure{}, err
	}
	out := client.Departure{Party: d.Party, Agreement: d.Agreement, Version: d.Version, TimeZone: d.TimeZone, Parts: []client.PartDigest{}, Earliest: d.Earliest.UTC(),
		Modules: namesOf(d.Modules), Epochs: []string{}, DeleteData: d.DeleteData, Holds: namesOf(d.Holds)}
	for _, p := range d.Parts {
		out.Parts = append(out.Parts, client.PartDigest{Part: p.Part, Digest: p.Digest})
	}
	for _, e := range d.Epochs {
		out.Epochs = append(out.Epochs, fmt.Sprintf("%s#%d", e.Compartment, e.Number))
	}
	if d.Refused != nil {
		out.Refused = d.Refused.Error()
		if e, ok := errors.AsType[*escrow.Error](d.Refused); ok {
			out.Hint = e.Hint
		}
	}
	return out, nil
}

// GiveNotice implements api.Accession.
func (a accessions) GiveNotice(ctx context.Context, actor escrow.Actor, arr string, document, signature []byte) (client.Leaving, error) {
	return a.shown(ctx)(a.Registry.GiveNotice(ctx, actor, arr, document, signature))
}

// TakeBack implements api.Accession.
func (a accessions) TakeBack(ctx context.Context, actor escrow.Actor, arr, reason string) (client.Leaving, error) {
	return a.shown(ctx)(a.Registry.TakeBack(ctx, actor, arr, reason))
}

// Leavings implements api.Accession.
func (a accessions) Leavings(ctx context.Context, actor escrow.Actor, arr string) ([]client.Leaving, error) {
	all, err := a.Registry.Leavings(ctx, arr)
	if err != nil {
		return nil, err
	}
	out := []client.Leaving{}
	for _, l := range all {
		if !l.Known(actor) {
			continue
		}
		x, err := a.shown(ctx)(l, nil)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

func (a accessions) shown(ctx context.Context) func(escrow.Leaving, error) (client.Leaving, error) {
	return func(l escrow.Leaving, err error) (client.Leaving, error) {
		if err != nil {
			return client.Leaving{}, err
		}
		out := client.Leaving{Party: l.Party, State: string(l.State), Person: l.Person, Authority: l.Authority, NoticedAt: l.NoticedAt.UTC(), EndsAt: l.EndsAt.UTC(), Blocked: l.Blocked,
			Reason: l.Withdrawn, Version: l.Version, Agreement: l.Agreement, EndedAt: given(l.EndedAt), Modules: l.Modules, Compartments: l.Compartments,
			Notice: client.Signed{Document: string(l.Document), Signature: string(l.Signature)}, Key: l.Key, CertifiedAt: given(l.CertifiedAt)}
		if l.State == escrow.LeavingCertified {
			out.Certificate = &client.Signed{Document: string(l.Certificate), Signature: string(l.CertificateSig)}
		}
		if l.State != escrow.LeavingEnded {
			return out, nil
		}
		rest, err := a.Registry.StillHeld(ctx, l)
		for _, r := range rest {
			out.StillHeld = append(out.StillHeld, client.StillHeld{Module: r.Module, Deposits: r.Deposits, Holds: r.Holds})
		}
		return out, err
	}
}

// leaveAgain is after how many rounds those are tried again who could not leave
// although their notice has run.
const leaveAgain = 12

// leaveDue returns what ends the accessions whose notice has run, and certifies
// who has left and of whom nothing is held any more. It is called every
// [finishEvery].
func (s *Server) leaveDue() func(ctx context.Context) {
	round := 0
	return func(ctx context.Context) {
		err := errors.Join(s.registry.EndDue(ctx, round%leaveAgain == 0), s.registry.CertifyLeft(ctx, s.keys.Signer))
		if err != nil && !errors.Is(err, context.Canceled) {
			s.options.Log.ErrorContext(ctx, "end the accession of those who leave", "error", err)
		}
		round++
	}
}

// leavingsHold reads every certificate of leaving again: it must be signed by
// this server, answer the notice that is on record, and name the destructions
// by which the deposits went.
func leavingsHold(ctx context.Context, db *store.DB, serverKey string) error {
	return db.View(ctx, func(tx *store.Tx) error {
		list, err := tx.LeavingsIn(ctx, escrow.LeavingCertified)
		if err != nil {
			return err
		}
		for _, l := range list {
			c, err := evidence.VerifyLeavingCertificate(serverKey, l.Certificate, l.CertificateSig)
			if err != nil {
				return escrow.Errorf(escrow.Damaged, "leaving of %s from %s: %w", l.Party, l.Arrangement, err)
			}
			if c.Notice != string(l.Document) || c.Agreement != l.Agreement {
				return escrow.Errorf(escrow.Damaged, "the certificate of leaving of %s from %s answers another notice", l.Party, l.Arrangement)
			}
			for _, m := range c.Modules {
				gone, err := tx.Destroyed(ctx, l.Arrangement, m.Module)
				if err != nil {
					return err
				}
				if len(gone) != m.Deposits {
					return escrow.Errorf(escrow.Damaged, "%d deposits of %s/%s are destroyed, the certificate of leaving says %d", len(gone), l.Arrangement, m.Module, m.Deposits)
				}
			}
		}
		return nil
	})
}
