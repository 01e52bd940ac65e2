package client

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// Duty is whether the deposits of a module come as agreed.
type Duty struct {
	Module    string     `json:"module"`
	Last      int        `json:"last" doc:"newest deposit that counts, 0 for none"`
	LastAt    *time.Time `json:"last_at,omitempty"`
	Due       *time.Time `json:"due,omitempty" doc:"when the next is due; left out where nothing is ever due"`
	Missed    *time.Time `json:"missed,omitempty" doc:"when it is missed if it has not come"`
	Count     int        `json:"missed_count" doc:"how many in a row are missed"`
	Step      string     `json:"step" enum:"on_time,reminder,second,told,event"`
	Next      *time.Time `json:"next_step_at,omitempty"`
	Level     int        `json:"level,omitempty" doc:"verification level at which a deposit is accepted"`
	Undecided int        `json:"undecided,omitempty" doc:"deposit that waits for the agent's word"`
	DecideBy  *time.Time `json:"decide_by,omitempty"`
	Late      bool       `json:"late,omitempty" doc:"the agent did not decide in time"`
	Mandatory []string   `json:"mandatory,omitempty" doc:"what must be in every deposit"`
	Optional  []string   `json:"optional,omitempty"`
	Refused   []Refused  `json:"refused,omitempty"`
	Found     []Refused  `json:"found,omitempty" doc:"deposits that lack something agreed, as the check at intake found, and nobody has decided about; of an organisation which agreed repositories are missing, as deposit 0"`
	Taken     []DutyStep `json:"taken,omitempty" doc:"steps taken since the last deposit that counts"`
}

// Refused is a deposit that does not count, and why.
type Refused struct {
	Deposit int      `json:"deposit"`
	Defects []string `json:"defects"`
}

// DutyStep is a step of the ladder that was taken.
type DutyStep struct {
	Step    string    `json:"step"`
	Since   time.Time `json:"since"`
	TakenAt time.Time `json:"taken_at"`
}

// NewDecision is the agent's word about a deposit.
type NewDecision struct {
	Refused bool     `json:"refused,omitempty"`
	Level   int      `json:"level,omitempty" minimum:"0" maximum:"4" doc:"verification level it was found to have"`
	Defects []string `json:"defects,omitempty" maxItems:"100" doc:"where and what: 'README.md: it does not say how to build'"`
	Note    string   `json:"note,omitempty" maxLength:"1000"`
}

// Announcement says that a new version of a module's software is there.
type Announcement struct {
	Version string `json:"version" minLength:"1" maxLength:"100"`
}

// PartyNotice is something a party is told.
type PartyNotice struct {
	ID       string     `json:"id"`
	Audience string     `json:"audience"`
	Kind     string     `json:"kind"`
	Module   string     `json:"module,omitempty"`
	Subject  string     `json:"subject"`
	Due      *time.Time `json:"due,omitempty"`
	MadeAt   time.Time  `json:"made_at"`

	ReadAt     *time.Time      `json:"read_at,omitempty"`
	ReceivedAt *time.Time      `json:"received_at,omitempty" doc:"when it was or will be received: read, or presumed as agreed"`
	Counts     bool            `json:"counts" doc:"it went over an agreed channel that does not depend on the supplier's own domain, or was read"`
	Messages   []NoticeMessage `json:"messages,omitempty"`
}

// Duty tells of every module whether its deposits come as agreed.
func (c *Client) Duty(ctx context.Context, arrangement string) (list []Duty, err error) {
	return list, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "duty"), nil, &list)
}

// DecideDeposit is the agent's word about a deposit.
func (c *Client) DecideDeposit(ctx context.Context, arrangement, module string, number int, d NewDecision) error {
	return c.call(ctx, http.MethodPost, path("arrangements", arrangement, "modules", module, "deposits", strconv.Itoa(number), "decision"), d, nil)
}

// AnnounceRelease says that a new version of a module's software is there.
func (c *Client) AnnounceRelease(ctx context.Context, arrangement, module, version string) error {
	return c.call(ctx, http.MethodPost, path("arrangements", arrangement, "modules", module, "releases"), Announcement{version}, nil)
}

// Notices lists what the caller's party was told, the newest first; the agent
// sees what everybody was told.
func (c *Client) Notices(ctx context.Context, arrangement string) (list []PartyNotice, err error) {
	return list, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "notices"), nil, &list)
}
