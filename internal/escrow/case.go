package escrow

import (
	"slices"
	"time"
)

// CaseState is where one stage of a release stands.
type CaseState string

// The states, in the order a case usually passes through them.
const (
	CaseOpened    CaseState = "opened"    // somebody says an event has happened
	CaseNoticed   CaseState = "noticed"   // the supplier and the host have been told
	CaseContest   CaseState = "contest"   // the contest period runs
	CaseContested CaseState = "contested" // objection made; waits for a ruling
	CaseRuled     CaseState = "ruled"     // the arbiter has decided
	CaseApproving CaseState = "approving" // the statement is fixed and trustees approve it
	CaseInForce   CaseState = "in_force"  // the quorum is reached; hand-over is open
	CaseEnding    CaseState = "ending"    // the way back has begun
	CaseReversed  CaseState = "reversed"  // cured: everything went back
	CaseAssumed   CaseState = "assumed"   // an acquirer has taken over the obligations
	CaseClosed    CaseState = "closed"    // ended without any of the above
)

// Case is one run of the release procedure for one stage.
type Case struct {
	Arrangement string
	ID          string
	Event       string
	Stage       string
	Claimant    string // party
	Reason      string
	Compartment string
	Epoch       int
	Recipients  []string // parties it opens for, as pinned in the key manifest
	State       CaseState
	Statement   []byte // canonical JSON, see evidence.ApprovalStatement; nil before approving
	OpenedAt    time.Time
	NoticedAt   time.Time
	ContestEnds time.Time // zero before the notice, and when there is no contest period
	InForceAt   time.Time
	EndedAt     time.Time
}

// Claim says that an event of the agreement has happened and asks for a stage.
type Claim struct {
	Event       string
	Stage       string
	Compartment string // needed when the stage opens more than one
	Epoch       int    // of the compartment; 0: the newest under which something was deposited
	Reason      string
}

// Approval is one trustee's re-encryption of its share to the recipients of
// one statement.
type Approval struct {
	Arrangement string
	Case        string
	Trustee     string
	Person      string
	Document    []byte // canonical JSON, see evidence.Approval
	Signature   []byte
	ReceivedAt  time.Time
}

// CaseEvent is what happens to a case.
type CaseEvent string

// The events a case can meet. Contest and rule are part of the machine from
// the start, although the minimal release skips from noticed to approving
// when the agreement sets no contest period.
const (
	EventNotice         CaseEvent = "notice"
	EventStartContest   CaseEvent = "start_contest"
	EventObject         CaseEvent = "object"
	EventRuleFor        CaseEvent = "rule_for"
	EventRuleAgainst    CaseEvent = "rule_against"
	EventRequestApprove CaseEvent = "request_approvals"
	EventQuorum         CaseEvent = "quorum"
	EventEnd            CaseEvent = "end"
	EventReverse        CaseEvent = "reverse"
	EventAssume         CaseEvent = "assume"
	EventClose          CaseEvent = "close"
)

// ByHand reports whether somebody may report the event as such. The others
// follow from what was done: a notice recorded, a statement fixed, a quorum of
// approvals counted.
func (e CaseEvent) ByHand() bool {
	return e != EventNotice && e != EventRequestApprove && e != EventQuorum
}

// Next returns the state a case in state s is in after event at now, or a
// Conflict error that says which events are possible. contestEnds is the end
// of the contest period, zero when the stage has none: approvals may not be
// asked for before it.
func (s CaseState) Next(event CaseEvent, now, contestEnds time.Time) (CaseState, error) {
	for _, t := range transitions() {
		if t.event != event || !slices.Contains(t.from, s) {
			continue
		}
		if event == EventRequestApprove && s != CaseRuled && now.Before(contestEnds) {
			return s, Errorf(Conflict, "the contest period runs until %s", contestEnds.UTC().Format(time.RFC3339)).
				WithHint("ask for approvals after it has ended")
		}
		return t.to, nil
	}
	return s, Errorf(Conflict, "a case that is %s cannot take %q", s, event).
		WithHint("possible now: %s", possible(s))
}

// CaseStates lists every state. It returns a fresh slice.
func CaseStates() []CaseState {
	return []CaseState{CaseOpened, CaseNoticed, CaseContest, CaseContested, CaseRuled, CaseApproving, CaseInForce, CaseEnding, CaseReversed, CaseAssumed, CaseClosed}
}

// CaseEvents lists every event. It returns a fresh slice.
func CaseEvents() []CaseEvent {
	return []CaseEvent{EventNotice, EventStartContest, EventObject, EventRuleFor, EventRuleAgainst, EventRequestApprove, EventQuorum, EventEnd, EventReverse, EventAssume, EventClose}
}

// Ended reports whether nothing more can happen in this state.
func (s CaseState) Ended() bool {
	return s == CaseReversed || s == CaseAssumed || s == CaseClosed
}

type transition struct {
	event CaseEvent
	from  []CaseState
	to    CaseState
}

func transitions() []transition {
	return []transition{
		{EventNotice, []CaseState{CaseOpened}, CaseNoticed},
		{EventStartContest, []CaseState{CaseNoticed}, CaseContest},
		{EventObject, []CaseState{CaseContest}, CaseContested},
		{EventRuleFor, []CaseState{CaseContested}, CaseRuled},
		{EventRuleAgainst, []CaseState{CaseContested}, CaseClosed},
		{EventRequestApprove, []CaseState{CaseNoticed, CaseContest, CaseRuled}, CaseApproving},
		{EventQuorum, []CaseState{CaseApproving}, CaseInForce},
		{EventEnd, []CaseState{CaseInForce}, CaseEnding},
		{EventReverse, []CaseState{CaseEnding}, CaseReversed},
		{EventAssume, []CaseState{CaseInForce, CaseEnding}, CaseAssumed},
		{EventClose, []CaseState{CaseOpened, CaseNoticed, CaseContest, CaseContested, CaseRuled, CaseApproving, CaseEnding}, CaseClosed},
	}
}

func possible(s CaseState) string {
	list := ""
	for _, t := range transitions() {
		if slices.Contains(t.from, s) {
			if list != "" {
				list += ", "
			}
			list += string(t.event)
		}
	}
	if list == "" {
		return "nothing; the case has ended"
	}
	return list
}

// CaseStatus is a case with what its approvals amount to.
type CaseStatus struct {
	Case
	Approved []string // trustees whose approvals count
	Needed   string   // what is missing, in words; "" when nothing is
}

// HandOver is what a recipient of a case in force gets.
type HandOver struct {
	Case      Case
	Epoch     Epoch
	Approvals []Approval
}
