package server

import (
	"slices"
	"strings"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/quantity"
	"holdfast/internal/keyring"
	"holdfast/internal/release"
)

// terms answers the engines' questions about an agreement from its text.
type terms struct{}

func expand(source []byte) (*agreement.Expanded, error) {
	parsed, problems := agreement.Parse("agreement", source)
	if parsed == nil {
		return nil, agreement.Refusal(problems)
	}
	return parsed.Expand(), nil
}

// Compartment implements keyring.Terms.
func (terms) Compartment(source []byte, id string) (keyring.Compartment, error) {
	e, err := expand(source)
	if err != nil {
		return keyring.Compartment{}, err
	}
	c := e.Compartment(id)
	if c == nil {
		return keyring.Compartment{}, escrow.Errorf(escrow.NotFound, "the agreement has no compartment %q", id)
	}
	out := keyring.Compartment{ID: c.ID, Recipients: c.Recipients}
	if c.OnDemand {
		out.Holder = c.Holder
		return out, nil
	}
	out.Of, out.From, out.AtLeast, out.Members, out.People = c.Quorum.Of, c.Quorum.From, c.Quorum.AtLeast, c.Quorum.Classes, c.Quorum.PeopleEach
	return out, nil
}

// Stage implements release.Terms. The stage is the instance for the claimant
// where it is written for each of them.
func (terms) Stage(source []byte, event, stage string, claimant escrow.Actor) (release.Stage, error) {
	e, err := expand(source)
	if err != nil {
		return release.Stage{}, err
	}
	ev := e.Event(event)
	if ev == nil {
		ev = e.Event(event + "/" + claimant.Party)
	}
	if ev == nil {
		return release.Stage{}, escrow.Errorf(escrow.NotFound, "the agreement has no event %q; it has %s", event, eventNames(e))
	}
	if ev.Warning {
		return release.Stage{}, escrow.Errorf(escrow.Invalid, "event %q only warns; it opens nothing", event)
	}
	id := stage
	if !slices.Contains(ev.Stages, id) {
		id = stage + "/" + claimant.Party
	}
	if !slices.Contains(ev.Stages, id) {
		return release.Stage{}, escrow.Errorf(escrow.Invalid, "event %q leads to the stages %s, not to %q", event, strings.Join(ev.Stages, ", "), stage)
	}
	s := e.Stage(id)
	out := release.Stage{Opens: s.Opens, Recipients: s.To}
	if s.ToClaimant && !slices.Contains(out.Recipients, claimant.Party) {
		out.Recipients = append(slices.Clone(out.Recipients), claimant.Party)
	}
	contest := s.Contest
	if contest == "" {
		contest = ev.Contest
	}
	out.Contest = atMost(contest)
	return out, nil
}

func eventNames(e *agreement.Expanded) string {
	var names []string
	for _, ev := range e.Events {
		names = append(names, ev.ID)
	}
	return strings.Join(names, ", ")
}

// atMost is a length of time that a period never exceeds. Until business-day
// calendars are computed, a contest period in business days, months or years
// ends late rather than early: nobody loses time to object by our arithmetic.
func atMost(p quantity.Period) time.Duration {
	if p == "" {
		return 0
	}
	if d, ok := p.Fixed(); ok {
		return d
	}
	n, unit, err := p.Split()
	if err != nil {
		return 0 // the parser refused it long before
	}
	const day = 24 * time.Hour
	switch unit {
	case quantity.BusinessDay:
		return time.Duration(2*n+4) * day // weekends, and four holidays
	case quantity.Month:
		return time.Duration(n) * 31 * day
	default:
		return time.Duration(n) * 366 * day
	}
}
