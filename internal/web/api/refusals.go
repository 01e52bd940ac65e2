package api

import (
	"context"
	"log/slog"
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

// Refusals bounds how many refused attempts of one token are recorded.
type Refusals struct {
	now func() time.Time

	mu    sync.Mutex
	token map[string]*refused
}

type refused struct {
	since   time.Time
	count   int // recorded since then
	omitted int // not recorded, and not told yet
}

// NewRefusals returns an empty one.
func NewRefusals(now func() time.Time) *Refusals {
	return &Refusals{now: now, token: map[string]*refused{}}
}

// next reports whether a refusal of the token is to be recorded, and how many
// were left out before it.
func (r *Refusals) next(token string) (record bool, omitted int) {
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
	if err := a.refusals.Record(ctx, a.Recorder, a.Log, actor, string(action), nil); err != nil {
		return err
	}
	return refusal
}

// Record puts a refused attempt into the ledger, unless there were many. data
// is added to what is recorded of it.
func (r *Refusals) Record(ctx context.Context, recorder Recorder, log *slog.Logger, actor escrow.Actor, action string, data map[string]any) error {
	record, omitted := r.next(actor.Token)
	if !record {
		log.WarnContext(ctx, "refusal not recorded, there were many", "token", actor.Token, "actor", actor.String(), "action", action)
		return nil
	}
	if data == nil {
		data = map[string]any{}
	}
	data["action"], data["token"] = action, actor.Token
	if omitted > 0 {
		data["refusals_not_recorded_before"] = omitted
	}
	return recorder.Record(ctx, escrow.Act{Kind: "attempt.refused", Actor: actor.String(), Arrangement: actor.Arrangement, Data: data})
}
