package retention

import (
	"context"
	"time"

	"holdfast/internal/escrow"
)

// PlaceHold stops all deletion of what it covers, from this moment on: also
// what was asked for and not approved yet.
func (k *Keeper) PlaceHold(ctx context.Context, actor escrow.Actor, h escrow.Hold) (escrow.Hold, error) {
	if err := told("ground", h.Ground, maxReason); err != nil {
		return h, err
	}
	now := k.now()
	switch {
	case actor.Person == "":
		return h, escrow.Errorf(escrow.Forbidden, "a hold names who placed it, and this token names no person").WithHint("use a token issued with --person")
	case h.From < 0 || h.To < 0 || h.To > 0 && h.To < h.From, h.Module == "" && (h.From > 0 || h.To > 0):
		return h, escrow.Errorf(escrow.Invalid, "deposits %d to %d of module %q are no range", h.From, h.To, h.Module)
	case !h.Until.IsZero() && !h.Until.After(now):
		return h, escrow.Errorf(escrow.Invalid, "the hold would have ended on %s already", h.Until.UTC().Format(time.RFC3339))
	}
	id, err := k.id()
	if err != nil {
		return h, err
	}
	h.ID, h.Party, h.Person, h.PlacedAt = "h"+id, actor.Party, actor.Person, now
	_, err = k.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		if _, err := tx.Arrangement(ctx, h.Arrangement); err != nil {
			return nil, err
		}
		if h.Module != "" {
			if _, err := tx.Module(ctx, h.Arrangement, h.Module); err != nil {
				return nil, err
			}
		}
		if err := tx.PutHold(ctx, h); err != nil {
			return nil, err
		}
		return []escrow.Act{{Kind: "hold.placed", At: now, Actor: actor.String(), Arrangement: h.Arrangement, Subject: h.ID,
			Data: map[string]any{"module": h.Module, "from": h.From, "to": h.To, "ground": h.Ground, "until": when(h.Until)}}}, nil
	})
	return h, err
}

// LiftHold ends a hold. Only the party that placed it can: it knows whether
// the ground is still there.
func (k *Keeper) LiftHold(ctx context.Context, actor escrow.Actor, arrangement, id, reason string) (escrow.Hold, error) {
	if err := told("reason", reason, maxReason); err != nil {
		return escrow.Hold{}, err
	}
	var h escrow.Hold
	_, err := k.db.Update(ctx, func(tx Tx) (_ []escrow.Act, err error) {
		if h, err = tx.Hold(ctx, arrangement, id); err != nil {
			return nil, err
		}
		if h.Party != actor.Party {
			return nil, escrow.Errorf(escrow.Forbidden, "hold %s was placed by %s, so %s cannot lift it", id, h.Party, actor)
		}
		if !h.LiftedAt.IsZero() {
			return nil, escrow.Errorf(escrow.Conflict, "hold %s was lifted on %s", id, h.LiftedAt.UTC().Format(time.RFC3339))
		}
		h.LiftedAt, h.LiftedBy, h.LiftReason = k.now(), actor.String(), reason
		if err := tx.PutHold(ctx, h); err != nil {
			return nil, err
		}
		return []escrow.Act{{Kind: "hold.lifted", At: h.LiftedAt, Actor: actor.String(), Arrangement: arrangement, Subject: id,
			Data: map[string]any{"module": h.Module, "reason": reason}}}, nil
	})
	return h, err
}

// Holds returns the legal holds of an arrangement, the newest first.
func (k *Keeper) Holds(ctx context.Context, arrangement string) ([]escrow.Hold, error) {
	var list []escrow.Hold
	err := k.db.View(ctx, func(tx Tx) (err error) {
		if _, err := tx.Arrangement(ctx, arrangement); err != nil {
			return err
		}
		list, err = tx.Holds(ctx, arrangement)
		return err
	})
	return list, err
}

// when writes a time for an act, "" for none.
func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
