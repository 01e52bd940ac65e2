package client

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// Hold is a legal hold: nothing it covers is deleted while it is active.
type Hold struct {
	ID         string     `json:"id"`
	Module     string     `json:"module,omitempty" doc:"left out: every module"`
	From       int        `json:"from,omitempty" doc:"first deposit; left out: all"`
	To         int        `json:"to,omitempty" doc:"last deposit; left out: all"`
	Ground     string     `json:"ground"`
	Party      string     `json:"party" doc:"who placed it, and who alone can lift it"`
	Person     string     `json:"person"`
	PlacedAt   time.Time  `json:"placed_at"`
	Until      *time.Time `json:"until,omitempty" doc:"left out: until it is lifted"`
	Active     bool       `json:"active"`
	LiftedAt   *time.Time `json:"lifted_at,omitempty"`
	LiftedBy   string     `json:"lifted_by,omitempty"`
	LiftReason string     `json:"lift_reason,omitempty"`
}

// NewHold asks for a legal hold.
type NewHold struct {
	Module string `json:"module,omitempty" maxLength:"128" doc:"left out: every module"`
	From   int    `json:"from,omitempty" minimum:"0"`
	To     int    `json:"to,omitempty" minimum:"0"`
	Ground string `json:"ground" minLength:"1" maxLength:"1000" doc:"why: the claim, the proceedings, the order"`
	Until  string `json:"until,omitempty" maxLength:"40" doc:"RFC 3339; left out: until it is lifted"`
}

// Word is why somebody does something; it stays in the ledger.
type Word struct {
	Reason string `json:"reason" minLength:"1" maxLength:"1000"`
}

// Standing is one deposit and what becomes of it.
type Standing struct {
	Number      int       `json:"number"`
	Kind        string    `json:"kind"`
	Digest      string    `json:"digest"`
	AcceptedAt  time.Time `json:"accepted_at"`
	StoredBytes int64     `json:"stored_bytes"`
	Epoch       int       `json:"epoch"`
	Keep        bool      `json:"keep" doc:"it may not be destroyed"`
	Due         bool      `json:"due,omitempty" doc:"a term has passed: it has to be destroyed, with keep as soon as what stands in the way is gone"`
	Restorable  bool      `json:"restorable" doc:"everything it builds on is held"`
	Reasons     []Reason  `json:"reasons"`
	Level       int       `json:"level,omitempty" doc:"highest verification level it passed"`
	Running     []string  `json:"running,omitempty" doc:"parties that run it"`
	Suspect     []string  `json:"suspect,omitempty" doc:"why it is kept aside"`
	ReleasedBy  []string  `json:"released_by,omitempty" doc:"who said that it is right; with two it is released"`
	Destruction string    `json:"destruction,omitempty"`
}

// Reason is why a deposit stays or goes.
type Reason struct {
	Why  string `json:"why" doc:"legal_hold, no_policy, versions, age, last_verified, last_good, running, suspect, needed; destroyed, retention, personal_data, built_on_over, end_of_contract, unrestorable"`
	Text string `json:"text"`
}

// Destruction is a request that deposits be destroyed, and what became of it.
type Destruction struct {
	ID          string     `json:"id"`
	Module      string     `json:"module"`
	State       string     `json:"state" enum:"requested,expired,cancelled,approved,certified"`
	Request     Signed     `json:"request" doc:"canonical holdfast-destruction/v1, as both people sign it"`
	RequestedBy string     `json:"requested_by"`
	RequestedAt time.Time  `json:"requested_at"`
	ExpiresAt   time.Time  `json:"expires_at"`
	ApprovedBy  string     `json:"approved_by,omitempty"`
	ApprovedAt  *time.Time `json:"approved_at,omitempty"`
	EndReason   string     `json:"end_reason,omitempty"`
	Certificate *Signed    `json:"certificate,omitempty" doc:"canonical holdfast-destruction-certificate/v1, signed by the server"`
	CertifiedAt *time.Time `json:"certified_at,omitempty"`
}

// Signature is a signature over a document that both sides hold.
type Signature struct {
	Signature string `json:"signature" maxLength:"16384" doc:"armored SSH signature"`
}

// Verification says that a deposit passed a verification level.
type Verification struct {
	Level int    `json:"level" minimum:"1" maximum:"4" doc:"1 integrity, 2 content, 3 build or restore, 4 operate"`
	Note  string `json:"note" minLength:"1" maxLength:"1000"`
}

// Running says which deposit of a module a party runs.
type Running struct {
	Module   string    `json:"module"`
	Party    string    `json:"party"`
	Person   string    `json:"person,omitempty"`
	Deposit  int       `json:"deposit"`
	Version  string    `json:"version,omitempty"`
	StatedAt time.Time `json:"stated_at"`
}

// NewRunning states what the caller's party runs; deposit 0 takes it back.
type NewRunning struct {
	Deposit int    `json:"deposit" minimum:"0"`
	Version string `json:"version,omitempty" maxLength:"100"`
}

// PlaceHold places a legal hold.
func (c *Client) PlaceHold(ctx context.Context, arrangement string, h NewHold) (out Hold, err error) {
	return out, c.call(ctx, http.MethodPost, path("arrangements", arrangement, "holds"), h, &out)
}

// Holds lists the legal holds, the newest first.
func (c *Client) Holds(ctx context.Context, arrangement string) (list []Hold, err error) {
	return list, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "holds"), nil, &list)
}

// LiftHold lifts a hold that the caller's party placed.
func (c *Client) LiftHold(ctx context.Context, arrangement, id, reason string) (out Hold, err error) {
	return out, c.call(ctx, http.MethodPost, path("arrangements", arrangement, "holds", id, "lift"), Word{reason}, &out)
}

// Standing tells of every deposit of a module whether it stays and why.
func (c *Client) Standing(ctx context.Context, arrangement, module string) (list []Standing, err error) {
	return list, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "modules", module, "retention"), nil, &list)
}

// RequestDestruction hands in a signed request for destruction.
func (c *Client) RequestDestruction(ctx context.Context, arrangement, module string, s Signed) (out Destruction, err error) {
	return out, c.call(ctx, http.MethodPost, path("arrangements", arrangement, "modules", module, "destructions"), s, &out)
}

// Destructions lists the requests for destruction, the newest first.
func (c *Client) Destructions(ctx context.Context, arrangement string) (list []Destruction, err error) {
	return list, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "destructions"), nil, &list)
}

// Destruction returns one request.
func (c *Client) Destruction(ctx context.Context, arrangement, id string) (out Destruction, err error) {
	return out, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "destructions", id), nil, &out)
}

// ApproveDestruction hands in the second person's signature over the request.
func (c *Client) ApproveDestruction(ctx context.Context, arrangement, id, signature string) (out Destruction, err error) {
	return out, c.call(ctx, http.MethodPost, path("arrangements", arrangement, "destructions", id, "approval"), Signature{signature}, &out)
}

// CancelDestruction takes a request back.
func (c *Client) CancelDestruction(ctx context.Context, arrangement, id, reason string) (out Destruction, err error) {
	return out, c.call(ctx, http.MethodPost, path("arrangements", arrangement, "destructions", id, "cancel"), Word{reason}, &out)
}

// ReleaseSuspect is the caller's word that a deposit which looks wrong is
// right; the second word, of another party, releases it.
func (c *Client) ReleaseSuspect(ctx context.Context, arrangement, module string, number int, reason string) error {
	return c.call(ctx, http.MethodPost, path("arrangements", arrangement, "modules", module, "deposits", strconv.Itoa(number), "release"), Word{reason}, nil)
}

// RecordVerification records that a deposit passed a verification level.
func (c *Client) RecordVerification(ctx context.Context, arrangement, module string, number int, v Verification) error {
	return c.call(ctx, http.MethodPost, path("arrangements", arrangement, "modules", module, "deposits", strconv.Itoa(number), "verified"), v, nil)
}

// StateRunning says which deposit of a module the caller's party runs.
func (c *Client) StateRunning(ctx context.Context, arrangement, module string, r NewRunning) error {
	return c.call(ctx, http.MethodPut, path("arrangements", arrangement, "modules", module, "running"), r, nil)
}

// Running lists what parties said they run.
func (c *Client) Running(ctx context.Context, arrangement string) (list []Running, err error) {
	return list, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "running"), nil, &list)
}
