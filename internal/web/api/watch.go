package api

import (
	"context"
	"net/http"
	"time"

	"holdfast/client"
	"holdfast/internal/escrow"
)

// Watching measures services.
type Watching interface {
	// Watched lists the targets that pick takes; those of whole with what is
	// checked.
	Watched(ctx context.Context, arrangement string, pick func(party string) bool, whole bool) ([]client.WatchTarget, error)
	// PartyOf returns whose own a target is, "" for everybody's.
	PartyOf(ctx context.Context, arrangement, id string) (string, error)
	SetTarget(ctx context.Context, actor escrow.Actor, arrangement, id string, n client.NewWatchTarget) (client.WatchTarget, error)
	RemoveTarget(ctx context.Context, actor escrow.Actor, arrangement, id string) error
	History(ctx context.Context, arrangement, id string, from, to time.Time, whole bool) (client.WatchHistory, error)
	Beat(ctx context.Context, arrangement, id string, failed bool, note string) error
}

// WatchPath is the path of everything about one target.
type WatchPath struct {
	ArrangementPath
	Target string `path:"target" maxLength:"64"`
}

// runsService reports whether somebody has to do with the running of what is
// measured: such see what is checked and the raw evidence, which name
// addresses inside.
func runsService(actor escrow.Actor) bool {
	switch actor.Role {
	case escrow.Administrator, escrow.Agent, escrow.Supplier:
		return true
	}
	return false
}

// seesTarget refuses a target that is another customer's own, in the words for
// one that does not exist.
func (a *api) seesTarget(ctx context.Context, actor escrow.Actor, in WatchPath) error {
	party, err := a.Watching.PartyOf(ctx, in.Arrangement, in.Target)
	if err == nil && !ownTarget(actor)(party) {
		err = escrow.Errorf(escrow.NotFound, "nothing called %q is watched", in.Target)
	}
	return err
}

func ownTarget(actor escrow.Actor) func(party string) bool {
	return func(party string) bool { return party == "" || runsService(actor) || party == actor.Party }
}

// maxHistory bounds the time that one answer covers.
const maxHistory = 400 * 24 * time.Hour

func (a *api) watch() {
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/watch", id: "watched",
		summary: "What is measured and how it stands: what is everybody's and the caller's own", action: escrow.ReadWatch},
		func(ctx context.Context, actor escrow.Actor, in *ArrangementPath) (*reply[[]client.WatchTarget], error) {
			list, err := a.Watching.Watched(ctx, in.Arrangement, ownTarget(actor), runsService(actor))
			if err != nil {
				return nil, err
			}
			return answer(list), nil
		})
	type setInput struct {
		WatchPath
		Body client.NewWatchTarget
	}
	route(a, op{method: http.MethodPut, path: "/arrangements/{arrangement}/watch/{target}", id: "set-watch-target",
		summary: "Begin to measure something, or change how", action: escrow.SetWatch},
		func(ctx context.Context, actor escrow.Actor, in *setInput) (*reply[client.WatchTarget], error) {
			t, err := a.Watching.SetTarget(ctx, actor, in.Arrangement, in.Target, in.Body)
			if err != nil {
				return nil, err
			}
			return answer(t), nil
		})
	route(a, op{method: http.MethodDelete, path: "/arrangements/{arrangement}/watch/{target}", id: "remove-watch-target",
		summary: "Measure something no more; what was seen stays", action: escrow.SetWatch, status: http.StatusNoContent},
		func(ctx context.Context, actor escrow.Actor, in *WatchPath) (*struct{}, error) {
			return nil, a.Watching.RemoveTarget(ctx, actor, in.Arrangement, in.Target)
		})
	type historyInput struct {
		WatchPath
		From string `query:"from" maxLength:"40" doc:"RFC 3339; left out: 24 hours before to"`
		To   string `query:"to" maxLength:"40" doc:"RFC 3339; left out: now"`
	}
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/watch/{target}/history", id: "watch-history",
		summary: "What was seen of a target: states as time by place, response times, changes with their evidence", action: escrow.ReadWatch},
		func(ctx context.Context, actor escrow.Actor, in *historyInput) (*reply[client.WatchHistory], error) {
			if err := a.seesTarget(ctx, actor, in.WatchPath); err != nil {
				return nil, err
			}
			to := a.Now()
			var err error
			if in.To != "" {
				if to, err = instant("to", in.To); err != nil {
					return nil, err
				}
			}
			from := to.Add(-24 * time.Hour)
			if in.From != "" {
				if from, err = instant("from", in.From); err != nil {
					return nil, err
				}
			}
			if !from.Before(to) || to.Sub(from) > maxHistory {
				return nil, escrow.Errorf(escrow.Invalid, "from %s to %s is no time of at most 400 days", from.Format(time.RFC3339), to.Format(time.RFC3339))
			}
			h, err := a.Watching.History(ctx, in.Arrangement, in.Target, from, to, runsService(actor))
			if err != nil {
				return nil, err
			}
			return answer(h), nil
		})
	type beatInput struct {
		WatchPath
		Body client.NewBeat
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/watch/{target}/beats", id: "watch-beat",
		summary: "Report that a job ran, or that it failed", action: escrow.ReportBeat, status: http.StatusNoContent},
		func(ctx context.Context, actor escrow.Actor, in *beatInput) (*struct{}, error) {
			if err := a.seesTarget(ctx, actor, in.WatchPath); err != nil {
				return nil, err
			}
			return nil, a.Watching.Beat(ctx, in.Arrangement, in.Target, in.Body.Failed, in.Body.Note)
		})
}
