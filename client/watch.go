package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// WatchTarget is something whose working is measured.
type WatchTarget struct {
	ID        string          `json:"id"`
	Component string          `json:"component,omitempty"`
	Party     string          `json:"party,omitempty" doc:"the customer whose own it is; left out: everybody's"`
	Kind      string          `json:"kind"`
	Every     string          `json:"every"`
	State     string          `json:"state" enum:"up,down,unknown" doc:"down when a place sees it down"`
	Since     *time.Time      `json:"since,omitempty"`
	Places    []WatchPlace    `json:"places,omitempty"`
	Target    json.RawMessage `json:"target,omitempty" doc:"what is checked, without secrets; for those who run the arrangement and its supplier"`
}

// WatchPlace is how one place sees a target.
type WatchPlace struct {
	Place  string    `json:"place"`
	State  string    `json:"state"`
	Since  time.Time `json:"since"`
	Last   time.Time `json:"last" doc:"newest check"`
	Reason string    `json:"reason,omitempty"`
	Note   string    `json:"note,omitempty"`
}

// NewWatchTarget is what is to be measured.
type NewWatchTarget struct {
	Component string          `json:"component,omitempty" maxLength:"64"`
	Party     string          `json:"party,omitempty" maxLength:"64"`
	Target    json.RawMessage `json:"target" doc:"see docs/watch.md; it may hold secrets, which are kept sealed and never shown again"`
}

// WatchHistory is what was seen of a target in a time.
type WatchHistory struct {
	From      time.Time       `json:"from"`
	To        time.Time       `json:"to"`
	Checks    int64           `json:"checks"`
	Failed    int64           `json:"failed"`
	Locations json.RawMessage `json:"locations" doc:"intervals by place, as in docs/sla.md"`
	Places    []WatchSum      `json:"places"`
	Latency   json.RawMessage `json:"latency" doc:"sketches of response times, as in docs/sla.md"`
	Response  *WatchResponse  `json:"response,omitempty"`
	Changes   []WatchChange   `json:"changes,omitempty" doc:"the newest first"`
}

// WatchSum adds up what one place saw. Times that nobody observed are in
// neither of the first two.
type WatchSum struct {
	Place     string `json:"place"`
	UpMS      int64  `json:"up_ms"`
	DownMS    int64  `json:"down_ms"`
	UnknownMS int64  `json:"unknown_ms"`
}

// WatchResponse is how fast it answered, in milliseconds, each within 1 %.
type WatchResponse struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

// WatchChange is a state that began.
type WatchChange struct {
	At       time.Time       `json:"at"`
	Place    string          `json:"place"`
	Was      string          `json:"was,omitempty"`
	Is       string          `json:"is"`
	Reason   string          `json:"reason,omitempty"`
	Digest   string          `json:"digest" doc:"SHA-256 of the raw evidence, as in the ledger"`
	Evidence json.RawMessage `json:"evidence,omitempty" doc:"for those who run the arrangement and its supplier"`
}

// NewBeat is a report of a target that reports by itself.
type NewBeat struct {
	Failed bool   `json:"failed,omitempty"`
	Note   string `json:"note,omitempty" maxLength:"200"`
}

// Watched lists what is measured in an arrangement, and how it stands.
func (c *Client) Watched(ctx context.Context, arrangement string) (list []WatchTarget, err error) {
	return list, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "watch"), nil, &list)
}

// SetWatchTarget adds a target or changes it.
func (c *Client) SetWatchTarget(ctx context.Context, arrangement, id string, n NewWatchTarget) (out WatchTarget, err error) {
	return out, c.call(ctx, http.MethodPut, path("arrangements", arrangement, "watch", id), n, &out)
}

// RemoveWatchTarget ends the watching of a target.
func (c *Client) RemoveWatchTarget(ctx context.Context, arrangement, id string) error {
	return c.call(ctx, http.MethodDelete, path("arrangements", arrangement, "watch", id), nil, nil)
}

// WatchHistory returns what was seen of a target. Zero times mean the last 24
// hours.
func (c *Client) WatchHistory(ctx context.Context, arrangement, id string, from, to time.Time) (out WatchHistory, err error) {
	q := url.Values{}
	for name, t := range map[string]time.Time{"from": from, "to": to} {
		if !t.IsZero() {
			q.Set(name, t.UTC().Format(time.RFC3339))
		}
	}
	return out, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "watch", id, "history")+"?"+q.Encode(), nil, &out)
}

// Beat reports for a target that reports by itself.
func (c *Client) Beat(ctx context.Context, arrangement, id string, b NewBeat) error {
	return c.call(ctx, http.MethodPost, path("arrangements", arrangement, "watch", id, "beats"), b, nil)
}
