package sla

import (
	"fmt"
	"math/big"
	"slices"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
)

func invalid(format string, args ...any) error {
	return escrow.Errorf(escrow.Invalid, format, args...).WithHint("mend the observations and compute again")
}

// Why says what became of a piece of time.
type Why string

// Why a piece of an outage counts or does not, and why an exclusion was
// accepted or not.
const (
	WhyCounted       Why = "counted"
	WhyTooShort      Why = "too_short"      // the whole outage is shorter than min_outage
	WhyPartMinute    Why = "partial_minute" // a begun minute that does not count, or is made whole
	WhyOutsideHours  Why = "outside_hours"
	WhyOtherPeriod   Why = "other_period"
	WhyExcluded      Why = "excluded"
	WhyDecided       Why = "decided" // a contest was accepted
	WhyNotMeasured   Why = "not_measured"
	WhyUnknownKind   Why = "kind_not_agreed"
	WhyRefused       Why = "refused"
	WhyExcepted      Why = "party_excepted" // caused by a party whose failures count
	WhyOutsideWindow Why = "outside_windows"
	WhyNoNotice      Why = "too_little_notice"
	WhyNoEvidence    Why = "no_evidence"
	WhyNotApproved   Why = "not_approved"
	WhyLimitUsed     Why = "limit_used"
	WhyTimesUsed     Why = "times_used"
)

// Piece is a part of an outage and what became of it.
type Piece struct {
	Span
	Why       Why    `json:"why"`
	Exclusion string `json:"exclusion,omitempty"` // the exclusion, or contest, that took it
}

// Outage is one uninterrupted stretch of time down, with what became of each
// part of it.
type Outage struct {
	Span
	Counted   int64    `json:"counted_ms"`
	Pieces    []Piece  `json:"pieces"`
	Locations []string `json:"locations,omitempty"` // that saw it
	Evidence  []string `json:"evidence,omitempty"`
}

// Figure is the availability in one period, with its working.
type Figure struct {
	Period      Period   `json:"period"`
	Measure     string   `json:"measure"`
	Agreed      int64    `json:"agreed_ms"`           // the period, or its service hours
	Unmeasured  int64    `json:"unmeasured_ms"`       // of it that nobody measured
	Removed     int64    `json:"removed_ms"`          // of it that is not in the denominator
	Denominator int64    `json:"denominator_ms"`      // what the uptime is a share of
	Down        int64    `json:"down_ms"`             // down within the agreed time, before exclusions
	Counted     int64    `json:"counted_downtime_ms"` // down that counts
	Coverage    Fraction `json:"coverage"`            // percent of the agreed time that was measured
	Uptime      Fraction `json:"uptime"`              // percent; absent when there is nothing to say
	Judged      Fraction `json:"judged"`              // the same as it is compared with the promise: rounded, where the contract says so
	Promise     Fraction `json:"promise"`
	Met         *bool    `json:"met"` // nil when there is no figure

	Outages    []Outage   `json:"outages,omitempty"`
	Gaps       []Span     `json:"gaps,omitempty"`
	Rulings    []Ruling   `json:"exclusions,omitempty"`
	Contests   []Contest  `json:"contests,omitempty"`
	Late       []string   `json:"contests_too_late,omitempty"`
	Counts     *CountSums `json:"counts,omitempty"` // for measures of requests and executions
	Disputable Instant    `json:"disputable_until,omitempty"`

	counted spans
}

// Fraction is an exact number of percents; nil inside means that there is none.
type Fraction struct{ *big.Rat }

// MarshalText writes the fraction, such as 3595/36; none is the empty text.
func (f Fraction) MarshalText() ([]byte, error) {
	if f.Rat == nil {
		return nil, nil
	}
	return []byte(f.Rat.String()), nil
}

// Decimal writes the number with n decimals, rounded down so that 99.895 never
// reads 99.90; none is n/a.
func (f Fraction) Decimal(n int) string {
	if f.Rat == nil {
		return "n/a"
	}
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
	num := new(big.Int).Mul(f.Num(), scale)
	whole := new(big.Int).Quo(num, f.Denom()) // towards zero; percents are not negative
	digits := fmt.Sprintf("%0*d", n+1, whole)
	if n == 0 {
		return digits
	}
	return digits[:len(digits)-n] + "." + digits[len(digits)-n:]
}

// Exact writes nine decimals, and … when there are more.
func (f Fraction) Exact() string {
	if f.Rat == nil {
		return "n/a"
	}
	s := f.Decimal(9)
	back, _ := new(big.Rat).SetString(s)
	if back.Cmp(f.Rat) != 0 {
		s += "…"
	}
	return s
}

// Record is the observations of one component, ready for any period.
type Record struct {
	policy *Policy
	seen   *Observations
	line   timeline
	counts []Count
}

// NewRecord checks observations and prepares them for a policy.
func NewRecord(p *Policy, seen *Observations) (*Record, error) {
	r := &Record{policy: p, seen: seen}
	if err := r.check(); err != nil {
		return nil, err
	}
	if p.Level.Availability == nil {
		return r, nil
	}
	var err error
	switch p.Level.Availability.Measure {
	case "error_rate", "executions":
		r.counts, err = tidyCounts(seen.Counts)
	case "error_minutes":
		var l Location
		if l, r.counts, err = p.errorMinutes(seen.Counts); err == nil {
			r.line, err = (&Policy{Level: &agreement.SLA{}}).merge([]Location{l})
		}
	default:
		r.line, err = p.merge(seen.Locations)
	}
	return r, err
}

// check refuses what no figure can be made of.
func (r *Record) check() error {
	ids := map[string]bool{}
	for _, x := range r.seen.Exclusions {
		if err := x.Valid(); err != nil {
			return invalid("exclusion %s: %v", x.ID, err)
		}
		if x.ID == "" || ids[x.ID] {
			return invalid("exclusion %q: an id is needed and given once", x.ID)
		}
		ids[x.ID] = true
	}
	for _, x := range r.seen.Contests {
		switch {
		case x.Valid() != nil:
			return invalid("contest %s: %v", x.ID, x.Valid())
		case x.ID == "" || ids[x.ID]:
			return invalid("contest %q: an id is needed and given once", x.ID)
		case x.Claim != ClaimUp && x.Claim != ClaimDown && x.Claim != ClaimExcluded:
			return invalid("contest %s: %q is no claim: up, down or excluded", x.ID, x.Claim)
		case x.Decided != "" && x.Decided != "accepted" && x.Decided != "refused":
			return invalid("contest %s: %q is no decision: accepted or refused", x.ID, x.Decided)
		case x.By == "":
			return invalid("contest %s: by is missing", x.ID)
		}
		ids[x.ID] = true
	}
	for _, x := range r.seen.Impacts {
		if err := x.Valid(); err != nil {
			return invalid("impact: %v", err)
		}
		if err := x.Affected.Valid(); err != nil {
			return invalid("impact: %v", err)
		}
	}
	return nil
}

// Figure computes the availability in a period as it was measured and
// decided: contests that are not decided yet change nothing.
func (r *Record) Figure(period Period) (*Figure, error) {
	return r.figure(period, func(c *Contest) bool { return c.Decided == "accepted" })
}

// Alternative is the figure if one party were right in everything that is
// not decided yet.
type Alternative struct {
	Party  string   `json:"party"`
	Ids    []string `json:"contests"`
	Figure *Figure  `json:"figure"`
}

// Alternatives computes the figure once for each party with undecided
// contests in the period, as if all of its own were accepted.
func (r *Record) Alternatives(period Period) ([]Alternative, error) {
	var out []Alternative
	late := r.late(period)
	for _, c := range r.seen.Contests {
		if c.Decided != "" || slices.Contains(late, c.ID) || c.overlap(period.Span).Length() <= 0 {
			continue
		}
		i := slices.IndexFunc(out, func(a Alternative) bool { return a.Party == c.By })
		if i < 0 {
			i = len(out)
			out = append(out, Alternative{Party: c.By})
		}
		out[i].Ids = append(out[i].Ids, c.ID)
	}
	for i := range out {
		ids := out[i].Ids
		var err error
		if out[i].Figure, err = r.figure(period, func(c *Contest) bool { return c.Decided == "accepted" || slices.Contains(ids, c.ID) }); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// disputableUntil is until when figures of a period can be contested; zero
// when the policy does not say.
func (p *Policy) disputableUntil(period Period) Instant {
	if v := p.Level.Availability; v != nil && v.Disputable != "" {
		return p.rules.deadline(period.To, v.Disputable)
	}
	return 0
}

// late lists the contests that were raised after the figure stood.
func (r *Record) late(period Period) []string {
	until := r.policy.disputableUntil(period)
	var out []string
	for _, c := range r.seen.Contests {
		if until != 0 && c.RaisedAt > until && c.Decided == "" && c.overlap(period.Span).Length() > 0 {
			out = append(out, c.ID)
		}
	}
	return out
}

func (r *Record) figure(period Period, accept func(*Contest) bool) (*Figure, error) {
	v := r.policy.Level.Availability
	if v == nil {
		return nil, escrow.Errorf(escrow.Invalid, "service level %s promises no availability", r.policy.Level.ID).WithHint("name another service level")
	}
	if err := period.Valid(); err != nil {
		return nil, invalid("the period %s: %v", period.Label, err)
	}
	f := &Figure{Period: period, Measure: v.Measure, Promise: Fraction{big.NewRat(r.policy.promise, 1_000_000)},
		Disputable: r.policy.disputableUntil(period), Late: r.late(period)}
	for _, c := range r.seen.Contests {
		if c.overlap(period.Span).Length() > 0 {
			f.Contests = append(f.Contests, c)
		}
	}
	switch v.Measure {
	case "error_rate":
		if err := r.errorRate(f, accept); err != nil {
			return nil, err
		}
	case "executions":
		r.executions(f, accept)
	default:
		r.overTime(f, accept)
	}
	r.policy.judgeUptime(f)
	return f, nil
}

// judgeUptime compares the uptime with the promise, rounded before only where
// the contract says so.
func (p *Policy) judgeUptime(f *Figure) {
	if f.Uptime.Rat == nil {
		return
	}
	f.Judged = Fraction{round(f.Uptime.Rat, p.Level.Availability.Rounding)}
	met := f.Judged.Cmp(f.Promise.Rat) >= 0
	f.Met = &met
}

// round rounds a percentage as a contract says.
func round(x *big.Rat, how string) *big.Rat {
	places, halfUp, ok := agreement.RoundTo(how)
	if !ok {
		return x
	}
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil)
	scaled := new(big.Rat).Mul(x, new(big.Rat).SetInt(scale))
	if halfUp {
		scaled.Add(scaled, big.NewRat(1, 2))
	}
	whole := new(big.Int).Quo(scaled.Num(), scaled.Denom())
	return new(big.Rat).SetFrac(whole, scale)
}

// share is the percentage that part is of whole.
func share(part, whole int64) Fraction {
	if whole <= 0 {
		return Fraction{}
	}
	return Fraction{new(big.Rat).SetFrac(new(big.Int).Mul(big.NewInt(part), big.NewInt(100)), big.NewInt(whole))}
}
