package escrow_test

import (
	"strings"
	"testing"
	"time"

	"holdfast/internal/escrow"
)

func day(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

// TestAuthorityAllows states for every reason an act can be refused, and for
// the edges of each, what is decided and what is said.
func TestAuthorityAllows(t *testing.T) {
	jan := escrow.Warrant{Party: "gem-a", Person: "jan", May: []escrow.Power{escrow.PowerClaim, escrow.PowerSign}, From: day("2027-01-01"), Until: day("2028-01-01"), Proof: "besluit"}
	with := func(change func(a *escrow.Warrant)) escrow.Warrant { a := jan; change(&a); return a }
	deputy := with(func(a *escrow.Warrant) { a.Person, a.DeputyFor = "piet", "jan" })
	careful := with(func(a *escrow.Warrant) { a.CallBack = true })
	until := with(func(a *escrow.Warrant) { a.EndsOn, a.PassesTo = "event/sold", "acquirer" })
	none := escrow.Situation{}
	for _, c := range []struct {
		name      string
		authority escrow.Warrant
		power     escrow.Power
		at        string
		situation escrow.Situation
		want      string // "" means allowed, else a part of the refusal
	}{
		{"within its powers and term", jan, escrow.PowerClaim, "2027-06-01", none, ""},
		{"a power it lacks", jan, escrow.PowerApprove, "2027-06-01", none, `may not do "approve"`},
		{"the day before", jan, escrow.PowerClaim, "2026-12-31", none, "begins on 2027-01-01"},
		{"the first moment", jan, escrow.PowerClaim, "2027-01-01", none, ""},
		{"the first moment after", jan, escrow.PowerClaim, "2028-01-01", none, "ended on 2027-12-31"},
		{"without a term", with(func(a *escrow.Warrant) { a.From, a.Until = time.Time{}, time.Time{} }), escrow.PowerClaim, "2099-01-01", none, ""},
		{"insolvent, though nothing says so", jan, escrow.PowerClaim, "2027-06-01", escrow.Situation{Insolvent: true}, "is insolvent"},
		{"insolvent, and called back", careful, escrow.PowerSign, "2027-06-01", escrow.Situation{Insolvent: true, CalledBack: true}, "is insolvent"},
		{"what ends it has not happened", until, escrow.PowerClaim, "2027-06-01", escrow.Situation{Happened: []string{"event/other"}}, ""},
		{"what ends it has happened", until, escrow.PowerClaim, "2027-06-01", escrow.Situation{Happened: []string{"event/sold"}}, "ended with event/sold"},
		{"a deputy while the other can act", deputy, escrow.PowerClaim, "2027-06-01", none, "stands in for jan, who can act"},
		{"a deputy while the other cannot", deputy, escrow.PowerClaim, "2027-06-01", escrow.Situation{Away: []string{"jan"}}, ""},
		{"somebody who is away", jan, escrow.PowerClaim, "2027-06-01", escrow.Situation{Away: []string{"jan"}}, "unable to act"},
		{"a deputy who is away too", deputy, escrow.PowerClaim, "2027-06-01", escrow.Situation{Away: []string{"jan", "piet"}}, "unable to act"},
		{"a grave act without call back", careful, escrow.PowerSign, "2027-06-01", none, "only after a call back"},
		{"a grave act with call back", careful, escrow.PowerSign, "2027-06-01", escrow.Situation{CalledBack: true}, ""},
		{"another act without call back", careful, escrow.PowerClaim, "2027-06-01", none, ""},
		{"nobody named", with(func(a *escrow.Warrant) { a.Person = "" }), escrow.PowerClaim, "2027-06-01", none, "nobody is named"},
	} {
		err := c.authority.Allows(c.power, day(c.at), c.situation)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v, want yes", c.name, err)
		case c.want != "" && (escrow.CodeOf(err) != escrow.Forbidden || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestAuthorities: several entries of one person, parties that name nobody,
// and the receiver.
func TestAuthorities(t *testing.T) {
	list := escrow.Warrants{
		{Party: "gem-a", Person: "jan", May: []escrow.Power{escrow.PowerSign}, Until: day("2027-01-01")},
		{Party: "gem-a", Person: "jan", May: []escrow.Power{escrow.PowerClaim}},
		{Party: "supplier", EndsOn: "insolvency", PassesTo: "curator"},
	}
	now, insolvent := day("2027-06-01"), escrow.Situation{Insolvent: true}
	for _, c := range []struct {
		name, party, person string
		power               escrow.Power
		situation           escrow.Situation
		receiver            bool
		want                string
	}{
		{"by the second entry", "gem-a", "jan", escrow.PowerClaim, escrow.Situation{}, false, ""},
		{"the reason of the entry that has the power", "gem-a", "jan", escrow.PowerSign, escrow.Situation{}, false, "ended on 2026-12-31"},
		{"a stranger", "gem-a", "kees", escrow.PowerClaim, escrow.Situation{}, false, "kees is not named"},
		{"a party that names nobody", "supplier", "ceo", escrow.PowerContest, escrow.Situation{}, false, ""},
		{"the same, insolvent", "supplier", "ceo", escrow.PowerContest, insolvent, false, "is insolvent"},
		{"its receiver contests", "supplier", "mr. Y", escrow.PowerContest, insolvent, true, ""},
		{"its receiver approves", "supplier", "mr. Y", escrow.PowerApprove, insolvent, true, "procedural rights"},
		{"its receiver pays", "supplier", "mr. Y", escrow.PowerPay, insolvent, true, "procedural rights"},
		{"a receiver of a solvent party", "supplier", "mr. Y", escrow.PowerContest, escrow.Situation{}, true, "is not insolvent"},
	} {
		err := list.Allow(c.party, c.person, c.power, now, c.situation, c.receiver)
		if c.want == "" && err != nil || c.want != "" && (escrow.CodeOf(err) != escrow.Forbidden || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestInsolvencyTakesEveryPower: no authority of whatever kind lets anybody
// of an insolvent party do anything, and its receiver opens and pays nothing.
func TestInsolvencyTakesEveryPower(t *testing.T) {
	insolvent := escrow.Situation{Insolvent: true, CalledBack: true, Away: []string{"other"}}
	for _, power := range escrow.Powers() {
		a := escrow.Warrant{Party: "p", Person: "x", May: escrow.Powers(), DeputyFor: "other"}
		if err := a.Allows(power, day("2027-06-01"), insolvent); err == nil {
			t.Errorf("%s is allowed", power)
		}
		if power == escrow.PowerApprove || power == escrow.PowerPay || power == escrow.PowerDeposit {
			if power.OfReceiver() {
				t.Errorf("a receiver has the power %s", power)
			}
		}
	}
}
