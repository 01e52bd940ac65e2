package sla

import (
	"holdfast/internal/escrow/agreement/quantity"
)

// ObservationsFormat names the file of what was observed: see docs/sla.md.
const ObservationsFormat = "sla-observations/v1"

// Observations is everything a figure is computed from, besides the policy.
type Observations struct {
	Component  string      `json:"component,omitempty"`
	Locations  []Location  `json:"locations,omitempty"`
	Counts     []Count     `json:"counts,omitempty"`
	Latency    []Latency   `json:"latency,omitempty"`
	Exclusions []Exclusion `json:"exclusions,omitempty"`
	Contests   []Contest   `json:"contests,omitempty"`
	Impacts    []Impact    `json:"impacts,omitempty"`
	Fees       []FeeLine   `json:"fees,omitempty"`
	Credited   []Credited  `json:"credited,omitempty"`
	Calendars  []Version   `json:"calendars,omitempty"`
	Tickets    []Ticket    `json:"tickets,omitempty"`
}

// Count is requests, or executions, and how many of them failed.
type Count struct {
	Span
	Requests int64    `json:"requests"`
	Failed   int64    `json:"failed"`
	Evidence []string `json:"evidence,omitempty"`
}

// Latency is the response times of the answers in a stretch of time, as a
// DDSketch.
type Latency struct {
	Span
	Sketch   []byte   `json:"sketch"` // protocol buffer of github.com/DataDog/sketches-go, in milliseconds
	Evidence []string `json:"evidence,omitempty"`
}

// Exclusion is time that somebody wants not to be counted as down.
type Exclusion struct {
	ID string `json:"id"`
	Span
	Kind        string   `json:"kind"`                   // as in the policy: planned_maintenance, force_majeure …
	AnnouncedAt Instant  `json:"announced_at,omitempty"` // when the customer was told; zero: never
	RequestedBy string   `json:"requested_by,omitempty"`
	ApprovedBy  string   `json:"approved_by,omitempty"`
	ApprovedAt  Instant  `json:"approved_at,omitempty"`
	RefusedBy   string   `json:"refused_by,omitempty"`
	CausedBy    string   `json:"caused_by,omitempty"` // the party whose failure it was
	Evidence    []string `json:"evidence,omitempty"`
}

// Claim is what a party holds against what was measured.
type Claim string

// The claims.
const (
	ClaimUp       Claim = "up"       // it was up
	ClaimDown     Claim = "down"     // it was down
	ClaimExcluded Claim = "excluded" // it was down, but that does not count
)

// Contest is an interval about which a party holds something else than what
// was measured. Until it is decided both figures are shown.
type Contest struct {
	ID string `json:"id"`
	Span
	Claim     Claim    `json:"claim"`
	By        string   `json:"by"`
	RaisedAt  Instant  `json:"raised_at"`
	Decided   string   `json:"decided,omitempty"` // accepted or refused; empty: not yet
	DecidedBy string   `json:"decided_by,omitempty"`
	DecidedAt Instant  `json:"decided_at,omitempty"`
	Evidence  []string `json:"evidence,omitempty"`
}

// Impact says which share of the users an outage affected. It matters to
// formulas that weigh by it; without one an outage affected everybody.
type Impact struct {
	Span
	Affected quantity.Percent `json:"affected"`
	Evidence []string         `json:"evidence,omitempty"`
}

// FeeLine is what was invoiced for the period to one beneficiary.
type FeeLine struct {
	Beneficiary string         `json:"beneficiary,omitempty"`
	Component   string         `json:"component,omitempty"` // "" is everything that names no component
	Amount      quantity.Money `json:"amount"`
	OneOff      bool           `json:"one_off,omitempty"`
	Period      string         `json:"period,omitempty"` // the label of the period, such as 2026-09; "" is the one computed
}

// Credited is a credit for an earlier period, which a ceiling counts.
type Credited struct {
	Beneficiary string         `json:"beneficiary,omitempty"`
	PeriodEnd   Instant        `json:"period_end"`
	Amount      quantity.Money `json:"amount"`
}

// Version is a calendar as it was from a day on. Tickets keep the version
// they were opened under: a holiday added later moves no old deadline.
type Version struct {
	ID     string          `json:"id"`
	From   Instant         `json:"from"`
	Closed []quantity.Date `json:"closed,omitempty"`
	Open   []quantity.Date `json:"open,omitempty"`
}

// Ticket is a request for support.
type Ticket struct {
	ID              string    `json:"id"`
	Severity        string    `json:"severity"` // p1 … p5
	Impact          string    `json:"impact,omitempty"`
	Urgency         string    `json:"urgency,omitempty"`
	ReportedAt      Instant   `json:"reported_at"`
	AcknowledgedAt  Instant   `json:"acknowledged_at,omitempty"`
	WorkaroundAt    Instant   `json:"workaround_at,omitempty"`
	ResolvedAt      Instant   `json:"resolved_at,omitempty"`
	Updates         []Instant `json:"updates,omitempty"`
	Reopened        []Instant `json:"reopened,omitempty"`
	Resolved        []Instant `json:"resolved,omitempty"` // every time it was resolved, when it was reopened
	Pauses          []Pause   `json:"pauses,omitempty"`
	Changes         []Change  `json:"severity_changes,omitempty"`
	NoIncidentAt    Instant   `json:"no_incident_at,omitempty"`
	CalendarVersion string    `json:"calendar_version,omitempty"`
	FixedDue        Instant   `json:"fixed_due,omitempty"` // a date for the resolution that was agreed for this ticket; pauses do not move it
	Evidence        []string  `json:"evidence,omitempty"`
}

// Pause is time during which the clocks of a ticket stand still.
type Pause struct {
	Span
	Reason     string  `json:"reason"`
	Who        string  `json:"who"`
	InformedAt Instant `json:"customer_informed_at,omitempty"`
}

// Change is a change of severity: the new target applies and the clock goes on.
type Change struct {
	At       Instant `json:"at"`
	Severity string  `json:"severity"`
}
