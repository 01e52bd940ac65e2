package retention

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// maxOpen is how long a request may wait for its approval.
const maxOpen = 30 * 24 * time.Hour

// Request takes in one person's request that deposits be destroyed. Nothing
// happens to them before a second person has approved it; see [Keeper.Approve].
//
// A request to withdraw deposits makes the next deposit of the module stand
// alone: what builds on a withdrawn one can never be opened again.
func (k *Keeper) Request(ctx context.Context, actor escrow.Actor, arrangement, module string, document, signature []byte) (escrow.Destruction, error) {
	d, err := evidence.ParseDestruction(document)
	if err != nil {
		return escrow.Destruction{}, escrow.Errorf(escrow.Invalid, "%w", err)
	}
	now := k.now()
	switch {
	case d.Arrangement != arrangement || d.Module != module:
		return escrow.Destruction{}, escrow.Errorf(escrow.Invalid, "the request is about %s/%s, not %s/%s", d.Arrangement, d.Module, arrangement, module)
	case actor.Person == "":
		return escrow.Destruction{}, escrow.TwoPeople(actor, actor)
	case d.Party != actor.Party || d.Person != actor.Person:
		return escrow.Destruction{}, escrow.Errorf(escrow.Forbidden, "%s may not ask for %s/%s", actor, d.Party, d.Person)
	case !now.Before(d.Expires.Time), d.Expires.Sub(now) > maxOpen:
		return escrow.Destruction{}, escrow.Errorf(escrow.Invalid, "the request expires on %s; give it 1 to %d days", d.Expires, int(maxOpen.Hours()/24))
	}
	out := escrow.Destruction{Arrangement: arrangement, ID: "d" + evidence.Digest(document)[:16], Module: module, Document: document, State: escrow.DestructionRequested,
		Party: d.Party, Person: d.Person, Signature: signature, RequestedAt: now, ExpiresAt: d.Expires.Time}
	_, err = k.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		old, err := tx.Destruction(ctx, arrangement, out.ID)
		if err == nil { // the answer was lost on the way: it is given again
			out = old
			return nil, nil
		} else if escrow.CodeOf(err) != escrow.NotFound {
			return nil, err
		}
		if out.Key, err = signedBy(ctx, tx, actor, arrangement, document, signature); err != nil {
			return nil, err
		}
		list, err := k.mayGo(ctx, tx, d)
		if err != nil {
			return nil, err
		}
		if err := k.noOther(ctx, tx, d, now); err != nil {
			return nil, err
		}
		if err := tx.PutDestruction(ctx, out); err != nil {
			return nil, err
		}
		return []escrow.Act{{Kind: "destruction.requested", At: now, Actor: actor.String(), Arrangement: arrangement, Subject: evidence.Digest(document),
			Data: map[string]any{"id": out.ID, "module": module, "ground": d.Ground, "reason": d.Reason, "method": d.Method,
				"deposits": numbers(d), "lost_with_them": lostWith(list, d), "expires": d.Expires.String()}}}, nil
	})
	return out, err
}

// signedBy checks the signature of an actor over a request by the key on its
// contact card, and returns the key.
func signedBy(ctx context.Context, tx Reader, actor escrow.Actor, arrangement string, document, signature []byte) (string, error) {
	c, err := tx.Contact(ctx, arrangement, actor.Party, actor.Person)
	if escrow.CodeOf(err) == escrow.NotFound {
		return "", escrow.Errorf(escrow.Forbidden, "%s has no contact card here, so its signature cannot be checked", actor).
			WithHint("let the agent or the supplier bring the card that 'holdfast key new' wrote")
	}
	if err != nil {
		return "", err
	}
	if err := evidence.Verify(c.SigningKey, evidence.NamespaceDestruction, document, signature); err != nil {
		return "", escrow.Errorf(escrow.Invalid, "request for destruction, signed by %s: %w", actor, err)
	}
	return c.SigningKey, nil
}

// noOther refuses a second open request about the same deposit: two people
// must know which of them they decide on.
func (k *Keeper) noOther(ctx context.Context, tx Reader, d *evidence.Destruction, now time.Time) error {
	list, err := tx.Destructions(ctx, d.Arrangement)
	if err != nil {
		return err
	}
	for _, other := range list {
		if other.Module != d.Module || other.At(now) != escrow.DestructionRequested {
			continue
		}
		o, err := evidence.ParseDestruction(other.Document)
		if err != nil {
			return fmt.Errorf("stored request %s: %w", other.ID, err)
		}
		for _, n := range o.Deposits {
			if slices.Contains(numbers(d), n.Number) {
				return escrow.Errorf(escrow.Conflict, "request %s asks for deposit %d of %s already", other.ID, n.Number, d.Module).
					WithHint("approve that one, or cancel it first")
			}
		}
	}
	return nil
}

// mayGo refuses a request that the rules, a hold or the state of its deposits
// forbid now.
func (k *Keeper) mayGo(ctx context.Context, tx Reader, d *evidence.Destruction) ([]Standing, error) {
	if _, err := tx.Module(ctx, d.Arrangement, d.Module); err != nil {
		return nil, err
	}
	list, _, err := k.standing(ctx, tx, d.Arrangement, d.Module)
	if err != nil {
		return nil, err
	}
	for _, n := range d.Deposits {
		if n.Number > len(list) {
			return nil, noDeposit(d.Module, n.Number)
		}
		s := list[n.Number-1]
		if s.Digest != n.Digest {
			return nil, escrow.Errorf(escrow.Invalid, "deposit %d of %s has digest %s, the request says %s", n.Number, d.Module, s.Digest, n.Digest)
		}
		if s.Destroyed != nil {
			return nil, escrow.Errorf(escrow.Conflict, "deposit %d of %s was destroyed by %s", n.Number, d.Module, s.Destroyed.Destruction)
		}
		if err := allowed(d.Ground, s); err != nil {
			return nil, err
		}
	}
	if d.Method == evidence.MethodEpoch {
		if err := wholeEpoch(ctx, tx, d, list); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// allowed holds one deposit against the ground on which it is to go.
func allowed(ground string, s Standing) error {
	refuse := func(why string, hint string) error {
		return escrow.Errorf(escrow.Conflict, "deposit %d of %s stays: %s", s.Number, s.Module, why).WithHint("%s", hint)
	}
	var why []string
	for _, r := range s.Verdict.Reasons {
		why = append(why, r.Text)
	}
	switch {
	case s.Verdict.Has("legal_hold"):
		return refuse(strings.Join(why, "; "), "only the party that placed the hold can lift it: 'holdfast hold list' shows who")
	case ground == evidence.GroundWithdrawal && len(s.Running) > 0:
		return refuse(strings.Join(s.Running, ", ")+" runs it", "let them move to another version and say so with 'holdfast running'")
	case ground == evidence.GroundWithdrawal:
		return nil
	case s.Verdict.Keep:
		return refuse(strings.Join(why, "; "), "'holdfast retention show' tells what may go")
	case ground != evidence.GroundRetention && !s.Verdict.Due:
		return refuse("no term of it has passed", "'holdfast retention show' tells what is due")
	}
	return nil
}

// wholeEpoch checks what ends with an epoch: the epoch has ended, and the
// request names all that is sealed to it in this module.
func wholeEpoch(ctx context.Context, tx Reader, d *evidence.Destruction, list []Standing) error {
	named := numbers(d)
	compartment := ""
	for _, s := range list {
		in := slices.Contains(named, s.Number)
		if in {
			compartment = s.Compartment
		}
		if in != (s.Epoch == d.Epoch && s.Destroyed == nil) {
			return escrow.Errorf(escrow.Invalid, "deposit %d of %s is sealed to epoch %d; the request has to name exactly what is sealed to epoch %d", s.Number, d.Module, s.Epoch, d.Epoch)
		}
	}
	epochs, err := tx.Epochs(ctx, d.Arrangement, compartment)
	if err != nil {
		return err
	}
	for _, e := range epochs {
		if e.Number == d.Epoch && e.State != escrow.EpochEnded {
			return escrow.Errorf(escrow.Conflict, "epoch %d of %s is %s, not ended", d.Epoch, compartment, e.State).WithHint("deal the next epoch first; its acceptance ends this one")
		}
	}
	return nil
}

func numbers(d *evidence.Destruction) []int {
	out := make([]int, len(d.Deposits))
	for i, n := range d.Deposits {
		out[i] = n.Number
	}
	return out
}

// lostWith lists the deposits that are not named and can never be opened again
// once the named ones are gone.
func lostWith(list []Standing, d *evidence.Destruction) []int {
	named, out, broken := numbers(d), []int{}, false
	for _, s := range list {
		if s.Kind == escrow.FullDeposit {
			broken = false
		}
		in := slices.Contains(named, s.Number)
		broken = broken || in
		if broken && !in && s.Destroyed == nil && s.Verdict.Restorable {
			out = append(out, s.Number)
		}
	}
	return out
}

// Approve is the second person's word: from the moment it is recorded nothing
// refers to the objects any more, and they are deleted. The approver signs the
// very bytes the requester signed; everything is looked at once more, since a
// hold may have come and versions may have gone since.
func (k *Keeper) Approve(ctx context.Context, actor escrow.Actor, arrangement, id string, signature []byte) (escrow.Destruction, error) {
	now := k.now()
	var out escrow.Destruction
	_, err := k.db.Update(ctx, func(tx Tx) (_ []escrow.Act, err error) {
		if out, err = tx.Destruction(ctx, arrangement, id); err != nil {
			return nil, err
		}
		switch state := out.At(now); {
		case (state == escrow.DestructionApproved || state == escrow.DestructionCertified) && out.ApproverParty == actor.Party && out.ApproverPerson == actor.Person:
			return nil, nil // the answer was lost on the way: it is given again
		case state != escrow.DestructionRequested:
			return nil, escrow.Errorf(escrow.Conflict, "request %s is %s", id, state).WithHint("ask for it again if it is still wanted")
		}
		d, err := evidence.ParseDestruction(out.Document)
		if err != nil {
			return nil, fmt.Errorf("stored request %s: %w", id, err)
		}
		if err := k.mayDecide(ctx, tx, actor, out, d); err != nil {
			return nil, err
		}
		out.ApproverKey, err = signedBy(ctx, tx, actor, arrangement, out.Document, signature)
		if err != nil {
			return nil, err
		}
		if out.ApproverKey == out.Key {
			return nil, escrow.Errorf(escrow.Forbidden, "%s signs with the key that %s/%s signed with", actor, out.Party, out.Person)
		}
		list, err := k.mayGo(ctx, tx, d)
		if err != nil {
			return nil, err
		}
		if err := replaced(list, d); err != nil {
			return nil, err
		}
		out.ApproverParty, out.ApproverPerson, out.ApproverSignature, out.ApprovedAt = actor.Party, actor.Person, signature, now
		out.State = escrow.DestructionApproved
		gone, bytes, err := k.giveUp(ctx, tx, out, d)
		if err != nil {
			return nil, err
		}
		if err := tx.PutDestruction(ctx, out); err != nil {
			return nil, err
		}
		return []escrow.Act{{Kind: evidence.ActDestructionApproved, At: now, Actor: actor.String(), Arrangement: arrangement, Subject: evidence.Digest(out.Document),
			Data: map[string]any{"id": id, "module": d.Module, "ground": d.Ground, "method": d.Method, "deposits": numbers(d), "lost_with_them": lostWith(list, d),
				"requested_by": out.Party + "/" + out.Person, "approved_by": actor.String(), "objects": gone, "bytes": bytes}}}, nil
	})
	return out, err
}

// mayDecide checks that the two are the right two. What belongs to one
// beneficiary is withdrawn only with that beneficiary.
func (k *Keeper) mayDecide(ctx context.Context, tx Reader, actor escrow.Actor, r escrow.Destruction, d *evidence.Destruction) error {
	first, err := k.actor(ctx, tx, r.Arrangement, r.Party, r.Person)
	if err != nil {
		return err
	}
	if err := escrow.TwoPeople(first, actor); err != nil {
		return err
	}
	if d.Ground != evidence.GroundWithdrawal {
		return nil // the text that the owner signed says when it goes
	}
	m, err := tx.Module(ctx, r.Arrangement, r.Module)
	if err != nil || m.Instance == "" {
		return err
	}
	a, err := tx.Arrangement(ctx, r.Arrangement)
	if err != nil {
		return err
	}
	owner, err := k.terms.Owner(a.Source, m.Instance)
	if err != nil {
		return err
	}
	if owner != first.Party && owner != actor.Party {
		return escrow.Errorf(escrow.Forbidden, "module %s belongs to %s: one of the two who withdraw from it must act for it", r.Module, owner)
	}
	return nil
}

// replaced refuses to withdraw from the newest chain before there is a fresh
// one: a wrong deposit must not cost those who depend on it the right ones.
func replaced(list []Standing, d *evidence.Destruction) error {
	if d.Ground != evidence.GroundWithdrawal {
		return nil
	}
	last := d.Deposits[len(d.Deposits)-1].Number
	for _, s := range list[last:] {
		if s.Kind == escrow.FullDeposit && s.Destroyed == nil {
			return nil
		}
	}
	return escrow.Errorf(escrow.Conflict, "no FULL deposit of %s came after deposit %d: with it, every later one would be lost", d.Module, last).
		WithHint("clean the source and deposit again ('holdfast sync %s' or 'holdfast deposit'): the next deposit is FULL since this was asked for; then approve", d.Module)
}

// maxObjects keeps a certificate well within what can be read again.
const maxObjects = 200_000

// giveUp moves the objects of the named deposits out of what is held. One that
// other deposits are made of as well stays; nothing that is withdrawn may.
func (k *Keeper) giveUp(ctx context.Context, tx Tx, r escrow.Destruction, d *evidence.Destruction) (objects int, bytes int64, err error) {
	byDeposit := map[int][]escrow.Object{}
	inside := map[string]int{}
	var names []string
	entries := 0
	for _, n := range d.Deposits {
		list, err := tx.DepositObjects(ctx, d.Arrangement, d.Module, n.Number)
		if err != nil {
			return 0, 0, err
		}
		byDeposit[n.Number] = list
		entries += len(list)
		for _, o := range list {
			if inside[o.Name]++; inside[o.Name] == 1 {
				names = append(names, o.Name)
			}
		}
	}
	if entries > maxObjects { // the certificate names each of them
		return 0, 0, escrow.Errorf(escrow.Invalid, "the deposits are made of %d objects; one certificate names %d at most", entries, maxObjects).
			WithHint("cancel this request and ask for fewer deposits at a time")
	}
	held, err := tx.HeldObjects(ctx, names)
	if err != nil {
		return 0, 0, err
	}
	for _, n := range d.Deposits {
		x := escrow.Destroyed{Arrangement: d.Arrangement, Module: d.Module, Deposit: n.Number, Destruction: r.ID, At: r.ApprovedAt}
		for _, o := range byDeposit[n.Number] {
			kept := held[o.Name] > inside[o.Name]
			if kept && d.Ground == evidence.GroundWithdrawal {
				return 0, 0, escrow.Errorf(escrow.Conflict, "deposit %d of %s shares object %s with a deposit that is not withdrawn", n.Number, d.Module, o.Name).
					WithHint("withdraw every deposit that holds it in one request")
			}
			if !kept {
				objects, bytes = objects+1, bytes+o.Size
			}
			x.Objects = append(x.Objects, escrow.GoneObject{Name: o.Name, Size: o.Size, Kept: kept})
		}
		if err := tx.DestroyDeposit(ctx, x); err != nil {
			return 0, 0, err
		}
	}
	return objects, bytes, nil
}

// Cancel takes a request back. Its requester's party can, and whoever could
// have approved it.
func (k *Keeper) Cancel(ctx context.Context, actor escrow.Actor, arrangement, id, reason string) (escrow.Destruction, error) {
	if err := told("reason", reason, maxReason); err != nil {
		return escrow.Destruction{}, err
	}
	now := k.now()
	var out escrow.Destruction
	_, err := k.db.Update(ctx, func(tx Tx) (_ []escrow.Act, err error) {
		if out, err = tx.Destruction(ctx, arrangement, id); err != nil {
			return nil, err
		}
		if state := out.At(now); state != escrow.DestructionRequested {
			return nil, escrow.Errorf(escrow.Conflict, "request %s is %s", id, state)
		}
		out.State, out.EndReason = escrow.DestructionCancelled, reason
		if err := tx.PutDestruction(ctx, out); err != nil {
			return nil, err
		}
		return []escrow.Act{{Kind: "destruction.cancelled", At: now, Actor: actor.String(), Arrangement: arrangement, Subject: evidence.Digest(out.Document),
			Data: map[string]any{"id": id, "module": out.Module, "reason": reason}}}, nil
	})
	return out, err
}

// Requests returns the requests of an arrangement and what became of them, the
// newest first.
func (k *Keeper) Requests(ctx context.Context, arrangement string) ([]escrow.Destruction, error) {
	var list []escrow.Destruction
	err := k.db.View(ctx, func(tx Tx) (err error) {
		if _, err := tx.Arrangement(ctx, arrangement); err != nil {
			return err
		}
		list, err = tx.Destructions(ctx, arrangement)
		return err
	})
	now := k.now()
	for i := range list {
		list[i].State = list[i].At(now)
	}
	return list, err
}

// Requested returns one request.
func (k *Keeper) Requested(ctx context.Context, arrangement, id string) (escrow.Destruction, error) {
	var d escrow.Destruction
	err := k.db.View(ctx, func(tx Tx) (err error) {
		d, err = tx.Destruction(ctx, arrangement, id)
		return err
	})
	d.State = d.At(k.now())
	return d, err
}
