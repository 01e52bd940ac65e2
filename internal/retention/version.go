package retention

import (
	"context"
	"slices"

	"holdfast/internal/escrow"
)

// StateRunning records which deposit of a module the actor's party runs, so
// that it stays; number 0 takes the statement back.
func (k *Keeper) StateRunning(ctx context.Context, actor escrow.Actor, r escrow.Running) error {
	if len(r.Version) > 100 {
		return escrow.Errorf(escrow.Invalid, "the version is longer than 100 bytes")
	}
	r.Party, r.Person, r.StatedAt = actor.Party, actor.Person, k.now()
	_, err := k.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		if r.Deposit == 0 {
			if err := tx.DeleteRunning(ctx, r.Arrangement, r.Module, r.Party); err != nil {
				return nil, err
			}
		} else {
			list, _, err := k.standing(ctx, tx, r.Arrangement, r.Module)
			if err != nil {
				return nil, err
			}
			if r.Deposit < 1 || r.Deposit > len(list) {
				return nil, noDeposit(r.Module, r.Deposit)
			}
			if s := list[r.Deposit-1]; !s.Verdict.Restorable {
				return nil, escrow.Errorf(escrow.Conflict, "deposit %d of module %s cannot be opened any more", r.Deposit, r.Module).
					WithHint("name one that can: 'holdfast retention show %s' lists them", r.Module)
			}
			if err := tx.PutRunning(ctx, r); err != nil {
				return nil, err
			}
		}
		return []escrow.Act{{Kind: "running.stated", At: r.StatedAt, Actor: actor.String(), Arrangement: r.Arrangement, Subject: r.Module,
			Data: map[string]any{"module": r.Module, "deposit": r.Deposit, "version": r.Version, "party": r.Party}}}, nil
	})
	return err
}

// Running returns what beneficiaries run, of one module or of all for "".
func (k *Keeper) Running(ctx context.Context, arrangement, module string) ([]escrow.Running, error) {
	var list []escrow.Running
	err := k.db.View(ctx, func(tx Tx) (err error) {
		if _, err := tx.Arrangement(ctx, arrangement); err != nil {
			return err
		}
		list, err = tx.Running(ctx, arrangement, module)
		return err
	})
	return list, err
}

// Verify records that a deposit passed a verification level.
func (k *Keeper) Verify(ctx context.Context, actor escrow.Actor, v escrow.Verified) error {
	if err := told("note", v.Note, maxReason); err != nil {
		return err
	}
	if v.Level < 1 || v.Level > 4 {
		return escrow.Errorf(escrow.Invalid, "there is no verification level %d", v.Level).WithHint("1 integrity, 2 content, 3 build or restore, 4 operate")
	}
	v.Party, v.Person, v.At = actor.Party, actor.Person, k.now()
	_, err := k.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		heads, err := tx.DepositHeads(ctx, v.Arrangement, v.Module)
		if err != nil {
			return nil, err
		}
		if v.Deposit < 1 || v.Deposit > len(heads) {
			return nil, noDeposit(v.Module, v.Deposit)
		}
		gone, err := tx.Destroyed(ctx, v.Arrangement, v.Module)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(gone, func(d escrow.Destroyed) bool { return d.Deposit == v.Deposit }) {
			return nil, escrow.Errorf(escrow.Conflict, "deposit %d of module %s was destroyed", v.Deposit, v.Module)
		}
		if err := tx.PutVerified(ctx, v); err != nil {
			return nil, err
		}
		return []escrow.Act{{Kind: "deposit.verified", At: v.At, Actor: actor.String(), Arrangement: v.Arrangement, Subject: heads[v.Deposit-1].Digest,
			Data: map[string]any{"module": v.Module, "number": v.Deposit, "level": v.Level, "note": v.Note}}}, nil
	})
	return err
}

func noDeposit(module string, number int) error {
	return escrow.Errorf(escrow.NotFound, "module %q has no deposit %d", module, number)
}

// ReleaseMark is one person's word that a deposit which looks wrong is right.
// With the word of a second, of another party, it counts as a good version
// again, and so does what came after it.
func (k *Keeper) ReleaseMark(ctx context.Context, actor escrow.Actor, arrangement, module string, number int, reason string) (escrow.Mark, error) {
	if err := told("reason", reason, maxReason); err != nil {
		return escrow.Mark{}, err
	}
	if actor.Person == "" {
		return escrow.Mark{}, escrow.TwoPeople(actor, actor)
	}
	var m escrow.Mark
	_, err := k.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		marks, err := tx.Marks(ctx, arrangement, module)
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(marks, func(m escrow.Mark) bool { return m.Deposit == number })
		if at < 0 {
			return nil, escrow.Errorf(escrow.NotFound, "deposit %d of module %s is not kept aside", number, module)
		}
		m = marks[at]
		now := k.now()
		data := map[string]any{"module": module, "number": number, "reason": reason, "reasons": m.Reasons}
		act := escrow.Act{Kind: "deposit.release_began", At: now, Actor: actor.String(), Arrangement: arrangement, Subject: module, Data: data}
		switch {
		case m.Released():
			return nil, escrow.Errorf(escrow.Conflict, "deposit %d of module %s was released by %s/%s and %s/%s", number, module, m.FirstParty, m.FirstPerson, m.Party, m.Person)
		case m.FirstAt.IsZero():
			m.FirstParty, m.FirstPerson, m.FirstReason, m.FirstAt = actor.Party, actor.Person, reason, now
		default:
			first, err := k.actor(ctx, tx, arrangement, m.FirstParty, m.FirstPerson)
			if err != nil {
				return nil, err
			}
			if err := escrow.TwoPeople(first, actor); err != nil {
				return nil, err
			}
			m.Party, m.Person, m.Reason, m.ReleasedAt = actor.Party, actor.Person, reason, now
			act.Kind, data["first"], data["first_reason"] = "deposit.released", first.String(), m.FirstReason
		}
		if err := tx.PutMark(ctx, m); err != nil {
			return nil, err
		}
		return []escrow.Act{act}, nil
	})
	return m, err
}

// actor is a person of a party in the role the agreement in force gives it.
func (k *Keeper) actor(ctx context.Context, tx Reader, arrangement, party, person string) (escrow.Actor, error) {
	a, err := tx.Arrangement(ctx, arrangement)
	if err != nil {
		return escrow.Actor{}, err
	}
	parties, err := k.terms.Parties(a.Source)
	if err != nil {
		return escrow.Actor{}, err
	}
	out := escrow.Actor{Party: party, Person: person, Arrangement: arrangement}
	for _, p := range parties {
		if p.ID == party {
			out.Role = p.Role
		}
	}
	return out, nil
}
