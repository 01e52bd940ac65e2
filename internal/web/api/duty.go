package api

import (
	"context"
	"net/http"

	"holdfast/client"
	"holdfast/internal/escrow"
)

// Duty sees to it that deposits come as agreed.
type Duty interface {
	// Standing returns how the modules that pick names stand.
	Standing(ctx context.Context, arrangement string, pick func(module string) bool) ([]client.Duty, error)
	Decide(ctx context.Context, actor escrow.Actor, d escrow.Decision) (escrow.Decision, error)
	Announce(ctx context.Context, actor escrow.Actor, r escrow.SoftwareRelease) error
}

func (a *api) duty() {
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/duty", id: "duty", summary: "Of every module, whether its deposits come as agreed", action: escrow.ReadDeposits},
		func(ctx context.Context, actor escrow.Actor, in *ArrangementPath) (*reply[[]client.Duty], error) {
			v, err := a.Views.View(ctx, actor, in.Arrangement)
			if err != nil {
				return nil, err
			}
			list, err := a.Duty.Standing(ctx, in.Arrangement, v.Module)
			if err != nil {
				return nil, err
			}
			return answer(list), nil
		})
	type decideInput struct {
		DepositPath
		Body client.NewDecision
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/modules/{module}/deposits/{number}/decision", id: "decide-deposit",
		summary: "Accept a deposit as what was agreed, or refuse it with what is wrong and where", action: escrow.DecideDeposit, status: http.StatusNoContent},
		func(ctx context.Context, actor escrow.Actor, in *decideInput) (*struct{}, error) {
			_, err := a.Duty.Decide(ctx, actor, escrow.Decision{Arrangement: in.Arrangement, Module: in.Module, Deposit: in.Number,
				Refused: in.Body.Refused, Level: in.Body.Level, Defects: in.Body.Defects, Note: in.Body.Note})
			return nil, err
		})
	type announceInput struct {
		ModulePath
		Body client.Announcement
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/modules/{module}/releases", id: "announce-release",
		summary: "Say that a new version of a module's software is there", action: escrow.AnnounceRelease, status: http.StatusNoContent},
		func(ctx context.Context, actor escrow.Actor, in *announceInput) (*struct{}, error) {
			if err := a.seesModule(ctx, actor, in.ModulePath); err != nil {
				return nil, err
			}
			return nil, a.Duty.Announce(ctx, actor, escrow.SoftwareRelease{Arrangement: in.Arrangement, Module: in.Module, Version: in.Body.Version})
		})
}
