package api

import (
	"context"
	"net/http"

	"holdfast/client"
	"holdfast/internal/escrow"
)

// Bulletin says publicly how an application is.
type Bulletin interface {
	Publish(ctx context.Context, actor escrow.Actor, arrangement string, n client.NewStatusPage) error
	Withdraw(ctx context.Context, actor escrow.Actor, arrangement string) error
	Open(ctx context.Context, actor escrow.Actor, arrangement string, n client.NewIncident) (client.Incident, error)
	Tell(ctx context.Context, actor escrow.Actor, arrangement, id string, w client.IncidentWord) (client.Incident, error)
}

func (a *api) bulletin() {
	type pageInput struct {
		ArrangementPath
		Body client.NewStatusPage
	}
	route(a, op{method: http.MethodPut, path: "/arrangements/{arrangement}/status-page", id: "publish-status-page",
		summary: "Make the status page public below /status/, or change who answers for it", action: escrow.PublishStatus, status: http.StatusNoContent},
		func(ctx context.Context, actor escrow.Actor, in *pageInput) (*struct{}, error) {
			return nil, a.Bulletin.Publish(ctx, actor, in.Arrangement, in.Body)
		})
	route(a, op{method: http.MethodDelete, path: "/arrangements/{arrangement}/status-page", id: "withdraw-status-page",
		summary: "Take the status page from the public; what was said is kept", action: escrow.PublishStatus, status: http.StatusNoContent},
		func(ctx context.Context, actor escrow.Actor, in *ArrangementPath) (*struct{}, error) {
			return nil, a.Bulletin.Withdraw(ctx, actor, in.Arrangement)
		})
	type incidentInput struct {
		ArrangementPath
		Body client.NewIncident
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/incidents", id: "open-incident",
		summary: "Tell of an incident on the status page", action: escrow.TellIncident, status: http.StatusCreated},
		func(ctx context.Context, actor escrow.Actor, in *incidentInput) (*reply[client.Incident], error) {
			i, err := a.Bulletin.Open(ctx, actor, in.Arrangement, in.Body)
			if err != nil {
				return nil, err
			}
			return answer(i), nil
		})
	type wordInput struct {
		ArrangementPath
		Incident string `path:"incident" maxLength:"80"`
		Body     client.IncidentWord
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/incidents/{incident}/updates", id: "tell-incident",
		summary: "Say more about an incident, or that it is over", action: escrow.TellIncident, status: http.StatusCreated},
		func(ctx context.Context, actor escrow.Actor, in *wordInput) (*reply[client.Incident], error) {
			i, err := a.Bulletin.Tell(ctx, actor, in.Arrangement, in.Incident, in.Body)
			if err != nil {
				return nil, err
			}
			return answer(i), nil
		})
}
