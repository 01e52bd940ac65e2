package client

import (
	"context"
	"net/http"
	"time"
)

// Term is one promise with a date.
type Term struct {
	ID         string     `json:"id" doc:"part/frame, fee/yearly/supplier, insurance/cyber/agent, certificate/iso27001, right/ID, undertaking/ID, authority/PARTY/PERSON"`
	State      string     `json:"state" enum:"not_begun,running,closing,ending,ended,ok,due,overdue,arrears,cured,missing"`
	Date       *time.Time `json:"date,omitempty" doc:"first moment after the last day"`
	Notice     *time.Time `json:"notice_before,omitempty" doc:"of a term that renews: from then on it goes on"`
	Owners     []string   `json:"owners,omitempty"`
	Digest     string     `json:"digest,omitempty"`
	MayCure    bool       `json:"beneficiary_may_cure,omitempty"`
	MaySuspend bool       `json:"agent_may_suspend,omitempty"`
	Bad        bool       `json:"bad,omitempty" doc:"somebody has to do something now"`
}

// NewTermFact is something that happened to a promise with a date.
type NewTermFact struct {
	Kind     string `json:"kind" enum:"fee_paid,arrears,cured,certificate,renewed,notice_given,reviewed"`
	About    string `json:"about" minLength:"1" maxLength:"300"`
	Until    string `json:"until,omitempty" maxLength:"10" doc:"last day, where the kind has one"`
	Document string `json:"document,omitempty" maxLength:"300"`
	Digest   string `json:"digest,omitempty" maxLength:"64" doc:"SHA-256 of the document"`
	Party    string `json:"party,omitempty" maxLength:"128" doc:"who did it, when the agent records it"`
}

// Terms lists the promises with a date that the caller may see.
func (c *Client) Terms(ctx context.Context, arrangement string) (list []Term, err error) {
	return list, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "terms"), nil, &list)
}

// RecordTerm puts a fact about such a promise on record.
func (c *Client) RecordTerm(ctx context.Context, arrangement string, f NewTermFact) error {
	return c.call(ctx, http.MethodPost, path("arrangements", arrangement, "terms"), f, nil)
}
