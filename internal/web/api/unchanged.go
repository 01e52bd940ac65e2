package api

import (
	"context"
	"net/http"

	"holdfast/client"
	"holdfast/internal/escrow"
)

func (a *api) unchanged() {
	type input struct {
		ModulePath
		Body client.UnchangedReport
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/modules/{module}/unchanged", id: "report-unchanged",
		summary: "Say, signed, that the source was read and holds nothing that is not deposited; repeating it is safe", action: escrow.ReportUnchanged},
		func(ctx context.Context, actor escrow.Actor, in *input) (*reply[client.Unchanged], error) {
			u, err := a.Deposits.Unchanged(ctx, actor, in.Arrangement, in.Module, in.Body.Report)
			if err != nil {
				return nil, err
			}
			return answer(u), nil
		})
}
