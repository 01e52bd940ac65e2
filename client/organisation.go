package client

import (
	"context"
	"net/http"
	"time"
)

// Repository is one repository of an organisation and how it stands.
type Repository struct {
	Name      string     `json:"name" doc:"within the organisation"`
	Number    string     `json:"number,omitempty" doc:"what the forge knows it by, whatever it is called"`
	Origin    string     `json:"origin" doc:"scheme and host of the forge"`
	URL       string     `json:"url,omitempty" doc:"it is fetched from here"`
	Private   bool       `json:"private,omitempty"`
	State     string     `json:"state" enum:"present,archived,left_out,gone,missing" doc:"missing: agreed on and never listed; gone: listed once; left_out: not included by the agreement"`
	Since     time.Time  `json:"since" doc:"when something about it last changed"`
	Module    string     `json:"module,omitempty" doc:"the module that it is deposited in"`
	Latest    int        `json:"latest" doc:"number of its latest deposit, 0 for none"`
	LastTry   *time.Time `json:"last_try,omitempty"`
	LastError string     `json:"last_error,omitempty"`
}

// Repositories returns the repositories of an organisation's module, by name.
func (c *Client) Repositories(ctx context.Context, arrangement, module string) (list []Repository, err error) {
	return list, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "modules", module, "repositories"), nil, &list)
}
