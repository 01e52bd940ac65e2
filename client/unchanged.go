package client

import (
	"context"
	"net/http"
	"time"
)

// UnchangedReport is a depositor's word that its source holds nothing that is
// not deposited: an evidence.Unchanged and its signature.
type UnchangedReport struct {
	Report Signed `json:"report"`
}

// Unchanged is such a word as it was taken.
type Unchanged struct {
	Module     string    `json:"module"`
	Number     int       `json:"number" doc:"the deposit that is up to date"`
	At         time.Time `json:"at" doc:"when the source was read, by the depositor's clock"`
	ReceivedAt time.Time `json:"received_at"`
	NotCounted string    `json:"not_counted,omitempty" doc:"why it does not count as being on time; left out when it does"`
}

// ReportUnchanged says that nothing changed since the newest deposit.
func (c *Client) ReportUnchanged(ctx context.Context, arrangement, module string, r UnchangedReport) (out Unchanged, err error) {
	return out, c.call(ctx, http.MethodPost, path("arrangements", arrangement, "modules", module, "unchanged"), r, &out)
}
