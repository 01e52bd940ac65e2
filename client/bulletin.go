package client

import (
	"context"
	"net/http"
	"time"
)

// NewStatusPage makes the status page of an arrangement public.
type NewStatusPage struct {
	At        string `json:"at" maxLength:"80" doc:"its address below /status/"`
	Publisher string `json:"publisher" maxLength:"200" doc:"name of who answers for it"`
	Contact   string `json:"contact,omitempty" maxLength:"500" doc:"where to ask: mailto: or https:"`
}

// IncidentWord is something that is said about an incident.
type IncidentWord struct {
	Stage  string `json:"stage" enum:"investigating,identified,monitoring,resolved"`
	NL     string `json:"nl,omitempty" maxLength:"5000" doc:"in Dutch; one language at least"`
	EN     string `json:"en,omitempty" maxLength:"5000" doc:"in English"`
	NextBy string `json:"next_by,omitempty" maxLength:"40" doc:"when more is said at the latest, RFC 3339"`
	Ended  string `json:"ended,omitempty" maxLength:"40" doc:"with resolved: when it was over, RFC 3339; left out: now"`
}

// NewIncident tells of an incident.
type NewIncident struct {
	IncidentWord
	TitleNL    string   `json:"title_nl,omitempty" maxLength:"200"`
	TitleEN    string   `json:"title_en,omitempty" maxLength:"200"`
	Components []string `json:"components,omitempty" maxItems:"50" doc:"of the agreement"`
	Begun      string   `json:"begun,omitempty" maxLength:"40" doc:"RFC 3339; left out: now"`
}

// Incident is how far an incident is.
type Incident struct {
	ID     string     `json:"id"`
	Begun  time.Time  `json:"begun"`
	Ended  *time.Time `json:"ended,omitempty"`
	NextBy *time.Time `json:"next_by,omitempty"`
}

// PublishStatus makes the status page of an arrangement public, or changes who
// answers for it.
func (c *Client) PublishStatus(ctx context.Context, arrangement string, n NewStatusPage) error {
	return c.call(ctx, http.MethodPut, path("arrangements", arrangement, "status-page"), n, nil)
}

// WithdrawStatus takes the status page from the public.
func (c *Client) WithdrawStatus(ctx context.Context, arrangement string) error {
	return c.call(ctx, http.MethodDelete, path("arrangements", arrangement, "status-page"), nil, nil)
}

// OpenIncident tells of an incident on the status page.
func (c *Client) OpenIncident(ctx context.Context, arrangement string, n NewIncident) (out Incident, err error) {
	return out, c.call(ctx, http.MethodPost, path("arrangements", arrangement, "incidents"), n, &out)
}

// TellIncident adds to an incident; the stage resolved ends it.
func (c *Client) TellIncident(ctx context.Context, arrangement, id string, w IncidentWord) (out Incident, err error) {
	return out, c.call(ctx, http.MethodPost, path("arrangements", arrangement, "incidents", id, "updates"), w, &out)
}
