package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"holdfast/client"
	"holdfast/internal/escrow"
)

// Restic tells how the restic repository of a module stands and bounds it.
type Restic interface {
	Restic(ctx context.Context, arrangement, module string) (ResticState, error)
	SetResticQuota(ctx context.Context, actor escrow.Actor, arrangement, module string, bytes int64) error
}

// ResticState is how a restic repository stands.
type ResticState struct {
	Usage        escrow.ResticUsage
	Ready        error // why nothing is taken now; nil when it is
	Snapshots    int
	Waiting      int       // snapshots that are not in a deposit yet
	LastSnapshot time.Time // when it arrived
}

func (a *api) restic() {
	state := func(ctx context.Context, in *ModulePath) (*reply[client.ResticRepository], error) {
		s, err := a.Restic.Restic(ctx, in.Arrangement, in.Module)
		if err != nil {
			return nil, err
		}
		out := client.ResticRepository{Files: s.Usage.Files, Bytes: s.Usage.Bytes, Quota: s.Usage.Quota, Snapshots: s.Snapshots, Waiting: s.Waiting, LastSnapshot: timePtr(s.LastSnapshot)}
		if s.Ready != nil {
			out.Refuses = s.Ready.Error()
			if e, ok := errors.AsType[*escrow.Error](s.Ready); ok {
				out.Refuses, out.RefusesHint = e.Message, e.Hint
			}
		}
		return answer(out), nil
	}
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/modules/{module}/restic", id: "get-restic",
		summary: "How the restic repository of a module stands", action: escrow.ReadDeposits},
		func(ctx context.Context, actor escrow.Actor, in *ModulePath) (*reply[client.ResticRepository], error) {
			if err := a.seesModule(ctx, actor, *in); err != nil {
				return nil, err
			}
			return state(ctx, in)
		})
	type quotaInput struct {
		ModulePath
		Body client.ResticQuota
	}
	route(a, op{method: http.MethodPut, path: "/arrangements/{arrangement}/modules/{module}/restic/quota", id: "set-restic-quota",
		summary: "Bound what restic may store in a module", action: escrow.ManageInstallation},
		func(ctx context.Context, actor escrow.Actor, in *quotaInput) (*reply[client.ResticRepository], error) {
			if err := a.Restic.SetResticQuota(ctx, actor, in.Arrangement, in.Module, in.Body.Bytes); err != nil {
				return nil, err
			}
			return state(ctx, &in.ModulePath)
		})
}
