package escrow

import (
	"slices"
	"time"
)

// Power is something a person may be allowed to do for a party.
type Power string

// The powers, as agreements name them.
const (
	PowerClaim   Power = "claim"
	PowerContest Power = "contest"
	PowerApprove Power = "approve"
	PowerSign    Power = "sign"
	PowerVote    Power = "vote"
	PowerDeposit Power = "deposit"
	PowerPay     Power = "pay"
	PowerReceive Power = "receive"
)

// Powers lists every power. It returns a fresh slice.
func Powers() []Power {
	return []Power{PowerClaim, PowerContest, PowerApprove, PowerSign, PowerVote, PowerDeposit, PowerPay, PowerReceive}
}

// Grave reports whether an act under the power binds the party for good or
// opens something: where the authority says so, it counts only after a call
// back to a number that was known before.
func (p Power) Grave() bool { return p == PowerSign || p == PowerApprove || p == PowerPay }

// OfReceiver reports whether the receiver of an insolvent party has the
// power: the procedural rights of the party, and no more. Shares of keys are
// personal, and the party's money and deposits are the estate's own affair.
func (p Power) OfReceiver() bool {
	switch p {
	case PowerClaim, PowerContest, PowerVote, PowerReceive, PowerSign:
		return true
	}
	return false
}

// Warrant is a person's authority: who may do what for a party, from when
// until when, on what proof. Without a Person it says how the party's own
// standing ends.
type Warrant struct {
	Party  string
	Person string // of the party; "" for the party as such
	May    []Power
	From   time.Time // first moment; zero means always so far
	Until  time.Time // first moment at which it is over; zero means without end
	Proof  string    // the document it rests on

	EndsOn    string // what ends it early: insolvency, event/ID or stage/ID
	PassesTo  string // to whom it passes then: curator, acquirer or a party
	DeputyFor string // person: only while that one cannot act
	CallBack  bool   // grave acts count only after a call back
}

// Situation is what is known at the moment of an act.
type Situation struct {
	Insolvent  bool     // the party is in an insolvency that takes its power to act
	Happened   []string // moments that have come, such as event/sold and stage/access
	Away       []string // people who are on record as unable to act
	CalledBack bool     // this act was confirmed by a call back
}

// Allows decides whether the authority covers an act at a moment. nil means
// yes; a refusal is an [Error] with code Forbidden that says what is missing.
// It decides nothing about whether the party may do such a thing at all: that
// is [Allow].
func (a Warrant) Allows(power Power, at time.Time, s Situation) error {
	who := a.Person
	if who == "" {
		who = a.Party
	}
	switch {
	case a.Person == "":
		return Errorf(Forbidden, "nobody is named who may do %q for %s", power, a.Party).
			WithHint("name the person in the agreement, with the proof")
	case !slices.Contains(a.May, power):
		return Errorf(Forbidden, "%s may not do %q for %s", who, power, a.Party).
			WithHint("let somebody do it who may: the agreement lists them under authority")
	case !a.From.IsZero() && at.Before(a.From):
		return Errorf(Forbidden, "the authority of %s for %s begins on %s", who, a.Party, a.From.Format(time.DateOnly)).
			WithHint("let somebody do it who may today")
	case !a.Until.IsZero() && !at.Before(a.Until):
		return Errorf(Forbidden, "the authority of %s for %s ended on %s", who, a.Party, a.Until.Add(-1).Format(time.DateOnly)).
			WithHint("renew it in the agreement, with the proof")
	case s.Insolvent:
		// Whatever the text says: from that day its people cannot bind it.
		return Errorf(Forbidden, "%s is insolvent: from that day its people cannot act for it", a.Party).
			WithHint("ask the receiver, who has its procedural rights")
	case a.EndsOn != "" && slices.Contains(s.Happened, a.EndsOn):
		return Errorf(Forbidden, "the authority of %s for %s ended with %s", who, a.Party, a.EndsOn).
			WithHint("it passed to %s", orNobody(a.PassesTo))
	case a.DeputyFor != "" && !slices.Contains(s.Away, a.DeputyFor):
		return Errorf(Forbidden, "%s stands in for %s, who can act", who, a.DeputyFor).
			WithHint("put on record that %s cannot act, or let %s do it", a.DeputyFor, a.DeputyFor)
	case slices.Contains(s.Away, a.Person):
		return Errorf(Forbidden, "%s is on record as unable to act", who).
			WithHint("let the deputy do it, or put on record that %s is back", who)
	case a.CallBack && power.Grave() && !s.CalledBack:
		return Errorf(Forbidden, "%q for %s counts only after a call back to %s", power, a.Party, who).
			WithHint("call the number that was known before, and put the answer on record")
	}
	return nil
}

func orNobody(s string) string {
	if s == "" {
		return "nobody"
	}
	return s
}

// Warrants is everything that is on record about who may act.
type Warrants []Warrant

// Allow decides whether a person may do something for a party at a moment.
// One authority that covers it is enough. Of several refusals it returns the
// one that is nearest to a yes: the last that the checks came to.
//
// A party for which no person is named may act through anybody who can
// identify as the party: agreements need not list their people. receiver says
// that the person is the receiver of the insolvent party.
func (list Warrants) Allow(party, person string, power Power, at time.Time, s Situation, receiver bool) error {
	if receiver {
		switch {
		case !s.Insolvent:
			return Errorf(Forbidden, "%s is not insolvent, so nobody acts as its receiver", party).WithHint("ask one of its own people")
		case !power.OfReceiver():
			return Errorf(Forbidden, "a receiver has the procedural rights of %s, and %q is not one of them", party, power).WithHint("nobody can do this for an insolvent party")
		}
		return nil
	}
	var refusal error
	named := false
	for _, a := range list {
		if a.Party != party || a.Person == "" {
			continue
		}
		named = true
		if a.Person != person {
			continue
		}
		err := a.Allows(power, at, s)
		if err == nil {
			return nil
		}
		if refusal == nil || slices.Contains(a.May, power) {
			refusal = err
		}
	}
	switch {
	case refusal != nil:
		return refusal
	case named:
		return Errorf(Forbidden, "%s is not named among those who may act for %s", person, party).WithHint("name the person in the agreement, with the proof")
	case s.Insolvent:
		return Errorf(Forbidden, "%s is insolvent: from that day its people cannot act for it", party).WithHint("ask the receiver, who has its procedural rights")
	}
	return nil
}
