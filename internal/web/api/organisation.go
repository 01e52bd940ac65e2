package api

import (
	"context"
	"net/http"

	"holdfast/client"
	"holdfast/internal/escrow"
)

// Organisations tells what the organisations of modules hold.
type Organisations interface {
	Repositories(ctx context.Context, arrangement, module string) ([]client.Repository, error)
}

func (a *api) organisations() {
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/modules/{module}/repositories", id: "list-repositories",
		summary: "The repositories of an organisation, and how each stands", action: escrow.ReadDeposits},
		func(ctx context.Context, actor escrow.Actor, in *ModulePath) (*reply[[]client.Repository], error) {
			if err := a.seesModule(ctx, actor, *in); err != nil {
				return nil, err
			}
			list, err := a.Forge.Repositories(ctx, in.Arrangement, in.Module)
			if err != nil {
				return nil, err
			}
			return answer(list), nil
		})
}
