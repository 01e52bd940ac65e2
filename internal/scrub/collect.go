package scrub

import (
	"context"
	"errors"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

const (
	collectEvery  = time.Minute
	collectAtOnce = 200
	// How long it is remembered that an object is gone; no deposit is made of
	// one that was looked at longer ago.
	rememberGone = 30 * 24 * time.Hour
)

// Collected is what one run of the collector did.
type Collected struct {
	Marked  int // objects that nothing refers to
	Removed int
}

// Collect removes what nothing refers to from every location: objects of
// destroyed deposits at once, others after the grace time.
//
// First the objects are marked in the same transaction that finds that nothing
// refers to them, with an act; from then on no deposit can be made of them,
// and an upload of the same bytes is told to wait. Then the bytes go, and the
// mark last. A crash in between leaves the mark, and the next run goes on.
// So an object that a deposit was accepted with is never removed, and one that
// is being removed is never accepted.
func (e *Engine) Collect(ctx context.Context) (Collected, error) {
	var done Collected
	before := e.c.Now().Add(-e.c.Grace)
	for {
		var names []string
		err := e.c.DB.View(ctx, func(tx Tx) (err error) {
			if names, err = tx.DestroyedLeft(ctx, collectAtOnce); err != nil || len(names) > 0 {
				return err
			}
			names, err = tx.Collectables(ctx, before, collectAtOnce)
			return err
		})
		if err != nil || len(names) == 0 {
			return e.removeGoing(ctx, done, err)
		}
		var list []escrow.GoingObject
		_, err = e.c.DB.Update(ctx, func(tx Tx) (acts []escrow.Act, err error) {
			if list, err = tx.CollectObjects(ctx, before, names); err != nil {
				return nil, err
			}
			return discarded(list, e.c.Now()), nil
		})
		if err != nil {
			return done, err
		}
		done.Marked += len(list)
		if len(list) == 0 || len(names) < collectAtOnce {
			return e.removeGoing(ctx, done, nil)
		}
	}
}

// discarded makes one act for each cause.
func discarded(list []escrow.GoingObject, now time.Time) []escrow.Act {
	var acts []escrow.Act
	for _, cause := range []string{escrow.CauseDestroyed, escrow.CauseUnused} {
		objects := []map[string]any{}
		for _, o := range list {
			if o.Cause == cause {
				objects = append(objects, map[string]any{"name": o.Name, "size": o.Size})
			}
		}
		if len(objects) > 0 {
			acts = append(acts, escrow.Act{Kind: evidence.ActObjectDiscarded, At: now, Actor: "server", Data: map[string]any{"cause": cause, "objects": objects}})
		}
	}
	return acts
}

// removeGoing removes the bytes of what is marked.
func (e *Engine) removeGoing(ctx context.Context, done Collected, err error) (Collected, error) {
	if err != nil {
		return done, err
	}
	if err := e.c.Journal.Forget(ctx, e.c.Now().Add(-rememberGone)); err != nil {
		return done, err
	}
	after := ""
	var failed error
	for {
		var names []string
		if err := e.c.DB.View(ctx, func(tx Tx) (err error) { names, err = tx.Going(ctx, after, collectAtOnce); return err }); err != nil || len(names) == 0 {
			return done, errors.Join(failed, err)
		}
		for _, name := range names {
			after = name
			switch err := e.c.Copies.Delete(ctx, name); {
			case err == nil:
				done.Removed++
			case ctx.Err() != nil:
				return done, ctx.Err()
			default: // away, or locked for a while: the next run tries again
				failed = err
			}
		}
	}
}
