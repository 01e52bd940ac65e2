package sla

import (
	"fmt"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/quantity"
	"holdfast/internal/escrow/calendar"
)

// Policy is one service level towards one beneficiary, ready to compute with.
type Policy struct {
	Agreement   *agreement.Agreement
	Level       *agreement.SLA
	Beneficiary string // the customer it is owed to; "" when the level is for all

	zone    *time.Location // of hours and deadlines
	periods periods
	days    Days
	service Opening
	rules   rules

	locations []string // those that count, by the policy; empty: all there are
	interval  int64    // length of a counted interval in ms
	threshold int64    // error threshold in millionths of a percent
	minOutage int64    // ms
	promise   int64    // millionths of a percent
	bands     []agreement.Band
	excluded  []exclusionRule
}

// rules counts deadlines as the agreement does.
type rules struct{ text *agreement.Agreement }

// exclusionRule is an exclusion of the policy, ready to compute with.
type exclusionRule struct {
	*agreement.Exclusion
	windows Opening
	most    int64 // ms, 0: no limit
	limited bool
}

// Compile prepares a service level of an agreement. beneficiary is the
// customer it is computed for and may be empty where there is one for all.
func Compile(a *agreement.Agreement, s *agreement.SLA, beneficiary string) (*Policy, error) {
	fail := func(what string, err error) (*Policy, error) {
		return nil, escrow.Errorf(escrow.Invalid, "service level %s: %s: %w", s.ID, what, err).WithHint("run holdfast sla check on the policy")
	}
	zone, err := loadZone(a.TimeZone)
	if err != nil {
		return fail("time_zone", err)
	}
	p := &Policy{Agreement: a, Level: s, Beneficiary: beneficiary, zone: zone, rules: rules{a}}
	p.days = Days{Closed: s.AlsoClosed, Open: s.AlsoOpen}
	if s.Holidays != "open" {
		if c, ok := calendar.ForName(string(a.Calendar)); ok {
			p.days.Calendar = &c
		}
	}
	if s.Probe != nil {
		p.locations = s.Probe.From
	}
	v := s.Availability
	periodZone := zone
	if v != nil && v.TimeZone != "" {
		if periodZone, err = loadZone(v.TimeZone); err != nil {
			return fail("availability.time_zone", err)
		}
	}
	if p.periods, err = newPeriods(v, a, periodZone); err != nil {
		return fail("availability.period_starts", err)
	}
	if v == nil {
		return p, nil
	}
	if p.service, err = NewOpening(v.Hours, zone, p.days); err != nil {
		return fail("availability.service_hours", err)
	}
	if p.promise, err = v.Uptime.Millionths(); err != nil {
		return fail("availability.uptime", err)
	}
	if p.interval, err = millis(v.Interval, time.Minute); err != nil {
		return fail("availability.interval", err)
	}
	if p.minOutage, err = millis(v.MinOutage, 0); err != nil {
		return fail("availability.min_outage", err)
	}
	if v.Threshold != "" {
		if p.threshold, err = v.Threshold.Millionths(); err != nil {
			return fail("availability.error_threshold", err)
		}
	}
	if s.Credits != nil {
		if p.bands, err = s.Credits.Bands(); err != nil {
			return fail("credits.tiers", err)
		}
	}
	for i := range v.Exclusions {
		x := exclusionRule{Exclusion: &v.Exclusions[i], limited: v.Exclusions[i].Most != ""}
		if x.windows, err = NewOpening(x.Windows, zone, Days{}); err != nil {
			return fail("availability.exclusions: windows", err)
		}
		if x.most, err = millis(x.Most, 0); err != nil {
			return fail("availability.exclusions: at_most", err)
		}
		p.excluded = append(p.excluded, x)
	}
	return p, nil
}

// Zone returns the zone of the contract, in which everything is shown.
func (p *Policy) Zone() *time.Location { return p.zone }

// PeriodNamed returns the period with a label: 2026-09, 2026-Q3, 2026, or any
// day that is in it.
func (p *Policy) PeriodNamed(label string) (Period, error) { return p.periods.named(label) }

// PeriodAt returns the period a moment is in.
func (p *Policy) PeriodAt(at Instant) Period { return p.periods.at(at) }

// party resolves self to the beneficiary.
func (p *Policy) party(id string) string {
	if id == "self" && p.Beneficiary != "" {
		return p.Beneficiary
	}
	return id
}

func loadZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("there is no time zone %q", name)
	}
	return time.LoadLocation(name)
}

// millis is a period of fixed length in milliseconds; absent is otherwise.
func millis(p quantity.Period, otherwise time.Duration) (int64, error) {
	if p == "" {
		return otherwise.Milliseconds(), nil
	}
	d, ok := p.Fixed()
	if !ok {
		return 0, fmt.Errorf("%q has no fixed length", p)
	}
	return d.Milliseconds(), nil
}
