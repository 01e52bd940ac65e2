package client

import (
	"context"
	"net/http"
	"time"
)

// ResticRepository is how the restic repository of a module stands.
type ResticRepository struct {
	Files        int64      `json:"files"`
	Bytes        int64      `json:"bytes"`
	Quota        int64      `json:"quota,omitempty" doc:"bytes; 0 for none"`
	Snapshots    int        `json:"snapshots"`
	Waiting      int        `json:"waiting" doc:"snapshots that are not in a deposit yet"`
	LastSnapshot *time.Time `json:"last_snapshot,omitempty" doc:"when it arrived, by the server's clock"`
	Refuses      string     `json:"refuses,omitempty" doc:"why nothing is taken in now"`
	RefusesHint  string     `json:"refuses_hint,omitempty" doc:"what to do about it"`
}

// ResticQuota bounds a repository.
type ResticQuota struct {
	Bytes int64 `json:"bytes" minimum:"0" doc:"0 lifts the bound"`
}

// Restic returns how the restic repository of a module stands.
func (c *Client) Restic(ctx context.Context, arrangement, module string) (r ResticRepository, err error) {
	return r, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "modules", module, "restic"), nil, &r)
}

// SetResticQuota bounds what restic may store in a module.
func (c *Client) SetResticQuota(ctx context.Context, arrangement, module string, bytes int64) (r ResticRepository, err error) {
	return r, c.call(ctx, http.MethodPut, path("arrangements", arrangement, "modules", module, "restic", "quota"), ResticQuota{bytes}, &r)
}
