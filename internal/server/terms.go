package server

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
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

// Stage implements release.Terms.
func (terms) Stage(source []byte, claim escrow.Claim, claimant escrow.Actor, now time.Time) (release.Stage, error) {
	parsed, problems := agreement.Parse("agreement", source)
	if parsed == nil {
		return release.Stage{}, agreement.Refusal(problems)
	}
	e := parsed.Expand()
	ev := e.Event(claim.Event)
	if ev == nil {
		ev = e.Event(claim.Event + "/" + claimant.Party)
	}
	if ev == nil {
		return release.Stage{}, escrow.Errorf(escrow.NotFound, "the agreement has no event %q; it has %s", claim.Event, eventNames(e))
	}
	if ev.Warning {
		return release.Stage{}, escrow.Errorf(escrow.Invalid, "event %q only warns; it opens nothing", claim.Event)
	}
	// In the words for what is not there: who else there is, is not this
	// beneficiary's business.
	notTheirs := escrow.Errorf(escrow.NotFound, "the agreement has no event %q with stage %q for %s", claim.Event, claim.Stage, claimant.Party)
	others := func(instance string) bool {
		return claimant.Role == escrow.Beneficiary && instance != "" && ownerOf(parsed, instance) != claimant.Party
	}
	if others(ev.Instance) {
		return release.Stage{}, notTheirs
	}
	s, err := stageFor(e, ev, claim.Stage, claimant.Party)
	if err != nil {
		return release.Stage{}, err
	}
	if others(s.Instance) {
		return release.Stage{}, notTheirs
	}
	out := release.Stage{Opens: s.Opens, Recipients: s.To}
	if s.ToClaimant && !slices.Contains(out.Recipients, claimant.Party) {
		out.Recipients = append(slices.Clone(out.Recipients), claimant.Party)
	}
	contest := s.Contest
	if contest == "" {
		contest = ev.Contest
	}
	if !contest.IsZero() {
		out.ContestEnds = parsed.Deadline(now, contest)
	}
	return out, nil
}

// Parties implements release.Terms.
func (terms) Parties(source []byte) ([]escrow.Party, error) {
	e, err := expand(source)
	if err != nil {
		return nil, err
	}
	return e.Parties, nil
}

// ownerOf is the party an instance belongs to: a beneficiary, or the holder of
// a licence.
func ownerOf(a *agreement.Agreement, instance string) string {
	if l := a.Licence(instance); l != nil {
		return l.Licensee
	}
	return instance
}

// stageFor finds the stage the event leads to. Where it is written for each
// beneficiary or licence, it is the instance that opens for the claimant.
func stageFor(e *agreement.Expanded, ev *agreement.EventInstance, stage, claimant string) (*agreement.StageInstance, error) {
	var own []*agreement.StageInstance
	for _, id := range ev.Stages {
		s := e.Stage(id)
		if id == stage {
			return s, nil
		}
		if s.Stage == stage && (s.Instance == claimant || slices.Contains(s.To, claimant)) {
			own = append(own, s)
		}
	}
	switch len(own) {
	case 0:
		return nil, escrow.Errorf(escrow.Invalid, "event %q leads to the stages %s, not to %q", ev.ID, stageNames(e, ev.Stages), stage)
	case 1:
		return own[0], nil
	}
	return nil, escrow.Errorf(escrow.Invalid, "stage %q opens for %s in %d ways; name one of %s", stage, claimant, len(own), strings.Join(ev.Stages, ", "))
}

// eventNames and stageNames list what an agreement has, each once and not per
// instance: one beneficiary does not learn of another.
func eventNames(e *agreement.Expanded) string {
	var names []string
	for _, ev := range e.Events {
		names = append(names, cmp.Or(ev.Event, ev.ID))
	}
	return strings.Join(slices.Compact(names), ", ")
}

func stageNames(e *agreement.Expanded, ids []string) string {
	var names []string
	for _, id := range ids {
		names = append(names, cmp.Or(e.Stage(id).Stage, id))
	}
	return strings.Join(slices.Compact(names), ", ")
}
