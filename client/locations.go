package client

import (
	"context"
	"net/http"
	"time"
)

// Location is a place where sealed objects are kept.
type Location struct {
	ID          string     `json:"id"`
	Kind        string     `json:"kind" enum:"file,s3"`
	Place       string     `json:"place"`
	Arrangement string     `json:"arrangement,omitempty" doc:"left out: it gets the objects of all"`
	Quorum      bool       `json:"quorum" doc:"whether a copy here counts towards the write quorum"`
	State       string     `json:"state" enum:"active,draining,retired"`
	AddedAt     time.Time  `json:"added_at"`
	Away        bool       `json:"away" doc:"it does not work at the moment, as the answering process sees it"`
	Error       string     `json:"error,omitempty"`
	Since       *time.Time `json:"away_since,omitempty"`
	LatencyMS   int64      `json:"latency_ms" doc:"of reads lately"`
	Objects     int64      `json:"objects"`
	Bytes       int64      `json:"bytes"`
	Due         int64      `json:"due" doc:"objects that should be there and are not yet"`
	DueBytes    int64      `json:"due_bytes"`
	DueSince    *time.Time `json:"due_since,omitempty"`
	Damaged     int64      `json:"damaged" doc:"copies that are not the object and wait for a good one"`
	Missing     int64      `json:"missing"`
	Alone       int64      `json:"alone" doc:"objects of which no other active location has a good copy"`
	Scrub       ScrubPass  `json:"scrub"`
}

// ScrubPass is the latest reading of everything at a location.
type ScrubPass struct {
	StartedAt  *time.Time `json:"started_at,omitempty"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
	Objects    int64      `json:"objects"`
	Bytes      int64      `json:"bytes"`
	Total      int64      `json:"total"`
	TotalBytes int64      `json:"total_bytes"`
	Damaged    int64      `json:"damaged"`
	Missing    int64      `json:"missing"`
	Healed     int64      `json:"healed"`
}

// LocationState is what a location is to be used for.
type LocationState struct {
	State string `json:"state" enum:"active,draining,retired"`
}

// ScrubRequest says when a scrub was asked for, by the server's clock.
type ScrubRequest struct {
	AskedAt time.Time `json:"asked_at"`
}

// Locations lists where objects are kept.
func (c *Client) Locations(ctx context.Context) (list []Location, err error) {
	return list, c.call(ctx, http.MethodGet, path("locations"), nil, &list)
}

// SetLocationState drains a location, uses it again, or retires it.
func (c *Client) SetLocationState(ctx context.Context, id, state string) (list []Location, err error) {
	return list, c.call(ctx, http.MethodPut, path("locations", id, "state"), LocationState{state}, &list)
}

// ReloadLocations has the server take new locations from its configuration.
func (c *Client) ReloadLocations(ctx context.Context) (list []Location, err error) {
	return list, c.call(ctx, http.MethodPost, path("locations", "reload"), nil, &list)
}

// Scrub has every object at every location read again now.
func (c *Client) Scrub(ctx context.Context) (r ScrubRequest, err error) {
	return r, c.call(ctx, http.MethodPost, path("scrub"), nil, &r)
}
