package api

import (
	"context"
	"sync"
	"time"

	"holdfast/internal/escrow"
)

// Refused attempts are recorded, but nobody fills the ledger with them: of one
// token, so many in so long, and then how many more there were.
const (
	refusalsRecorded = 20
	refusalsWindow   = time.Minute
)

type refusals struct {
	now func() time.Time

	mu    sync.Mutex
	token map[string]*refused
}

type refused struct {
	since   time.Time
	count   int // recorded since then
	omitted int // not recorded, and not told yet
}

func newRefusals(now func() time.Time) *refusals {
	return &refusals{now: now, token: map[string]*refused{}}
}

// next reports whether a refusal of the token is to be recorded, and how many
// were left out before it.
func (r *refusals) next(token string) (record bool, omitted int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	t := r.token[token]
	if t == nil {
		t = &refused{since: now}
		r.token[token] = t
	}
	if now.Sub(t.since) >= refusalsWindow {
		t.since, t.count = now, 0
	}
	if t.count >= refusalsRecorded {
		t.omitted++
		return false, 0
	}
	t.count++
	omitted, t.omitted = t.omitted, 0
	return true, omitted
}

// recordRefusal puts a refused attempt into the ledger and returns the error
// to answer with: what cannot be recorded is not answered as if it had been.
func (a *api) recordRefusal(ctx context.Context, actor escrow.Actor, action escrow.Action, refusal error) error {
	record, omitted := a.refusals.next(actor.Token)
	if !record {
		a.Log.WarnContext(ctx, "refusal not recorded, there were many", "token", actor.Token, "actor", actor.String(), "action", string(action))
		return refusal
	}
	data := map[string]any{"action": string(action), "token": actor.Token}
	if omitted > 0 {
		data["refusals_not_recorded_before"] = omitted
	}
	if err := a.Recorder.Record(ctx, escrow.Act{Kind: "attempt.refused", Actor: actor.String(), Arrangement: actor.Arrangement, Data: data}); err != nil {
		return err
	}
	return refusal
}
