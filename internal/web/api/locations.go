package api

import (
	"context"
	"net/http"
	"time"

	"holdfast/client"
	"holdfast/internal/escrow"
)

// Locations are the places where sealed objects are kept.
type Locations interface {
	List(ctx context.Context) ([]escrow.LocationStatus, error)
	SetState(ctx context.Context, actor escrow.Actor, id string, state escrow.LocationState) error
	// Reload takes new locations from the server's configuration.
	Reload(ctx context.Context) error
	// Scrub has every object read again now; passes that begin after the
	// returned time are the ones that were asked for.
	Scrub(ctx context.Context, actor escrow.Actor) (time.Time, error)
}

func (a *api) locations() {
	type empty struct{}
	route(a, op{method: http.MethodGet, path: "/locations", id: "list-locations", summary: "Where objects are kept, how the locations do, and what they lack",
		action: escrow.ReadInstallation},
		func(ctx context.Context, _ escrow.Actor, _ *empty) (*reply[[]client.Location], error) {
			return a.listLocations(ctx)
		})
	type stateInput struct {
		ID   string `path:"location" maxLength:"40"`
		Body client.LocationState
	}
	route(a, op{method: http.MethodPut, path: "/locations/{location}/state", id: "set-location-state",
		summary: "Drain a location, use it again, or retire it when nothing needs it", action: escrow.ManageInstallation},
		func(ctx context.Context, actor escrow.Actor, in *stateInput) (*reply[[]client.Location], error) {
			if err := a.Locations.SetState(ctx, actor, in.ID, escrow.LocationState(in.Body.State)); err != nil {
				return nil, err
			}
			return a.listLocations(ctx)
		})
	route(a, op{method: http.MethodPost, path: "/locations/reload", id: "reload-locations", summary: "Take new locations from the server's configuration", action: escrow.ManageInstallation},
		func(ctx context.Context, _ escrow.Actor, _ *empty) (*reply[[]client.Location], error) {
			if err := a.Locations.Reload(ctx); err != nil {
				return nil, err
			}
			return a.listLocations(ctx)
		})
	route(a, op{method: http.MethodPost, path: "/scrub", id: "scrub", summary: "Read every object at every location now and heal what is bad", action: escrow.ManageInstallation,
		status: http.StatusAccepted},
		func(ctx context.Context, actor escrow.Actor, _ *empty) (*reply[client.ScrubRequest], error) {
			asked, err := a.Locations.Scrub(ctx, actor)
			if err != nil {
				return nil, err
			}
			return answer(client.ScrubRequest{AskedAt: asked.UTC()}), nil
		})
}

func (a *api) listLocations(ctx context.Context) (*reply[[]client.Location], error) {
	list, err := a.Locations.List(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]client.Location, len(list))
	for i, l := range list {
		out[i] = client.Location{ID: l.ID, Kind: l.Kind, Place: l.Place, Arrangement: l.Arrangement, Quorum: l.Counts, State: string(l.State), AddedAt: l.AddedAt,
			Away: l.Away, Error: l.Error, Since: timePtr(l.Since), LatencyMS: l.Latency.Milliseconds(),
			Objects: l.Use.Held, Bytes: l.Use.HeldBytes, Due: l.Use.Due, DueBytes: l.Use.DueBytes, DueSince: timePtr(l.Use.DueSince),
			Damaged: l.Use.Damaged, Missing: l.Use.Missing, Alone: l.Use.Alone,
			Scrub: client.ScrubPass{StartedAt: timePtr(l.Scrub.StartedAt), FinishedAt: timePtr(l.Scrub.FinishedAt), Objects: l.Scrub.Objects, Bytes: l.Scrub.Bytes,
				Total: l.Scrub.Total, TotalBytes: l.Scrub.TotalBytes, Damaged: l.Scrub.Damaged, Missing: l.Scrub.Missing, Healed: l.Scrub.Healed}}
	}
	return answer(out), nil
}
