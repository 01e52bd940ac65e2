// Package duty says whether the deposits of a module come as agreed: when the
// next one is due, how many were missed, and how far up the ladder that has
// led. It is pure: everything follows from stored times and the time that is
// given, so that the answer is the same whenever and wherever it is asked.
package duty

import (
	"slices"
	"time"
)

// Until is the end of a period that begins at a time, by an agreement's
// calendar.
type Until func(from time.Time) time.Time

// Terms are what was agreed about the deposits of one module.
type Terms struct {
	Every        Until // at the latest so long after the one before; nil: no schedule
	AfterRelease Until // at the latest so long after a release was announced; nil: not due by releases
	Grace        Until // how long after that it is not yet missed
	MissedAfter  int   // after so many missed ones the beneficiaries are told
	Cure         Until // how long after that it may be made good before the event is there
	Level        int   // what the agent has to find before a deposit is accepted; below 2 nobody has to look
	Decide       Until // how long the agent has for that
	Mandatory    []string
	Optional     []string
}

// Asks reports whether any deposit is ever due.
func (t Terms) Asks() bool { return t.Every != nil || t.AfterRelease != nil }

// Step is how far up the ladder an absent deposit has led.
type Step string

// The steps, in order.
const (
	OnTime   Step = "on_time"  // nothing is due
	Reminder Step = "reminder" // it is due: the depositor is reminded
	Second   Step = "second"   // it is missed: the depositor is contacted again and the agent knows
	Told     Step = "told"     // so many were missed: the beneficiaries are told
	Event    Step = "event"    // it was not made good: the event of the agreement is there
)

// Steps lists the steps of the ladder in order. It returns a fresh slice.
func Steps() []Step { return []Step{Reminder, Second, Told, Event} }

// Gap is a time in which the platform itself was off or its clock could not be
// trusted. It is counted against nobody.
type Gap struct{ From, To time.Time }

// Deposit is what counts of one deposit.
type Deposit struct {
	Number  int
	At      time.Time // when it was taken in
	Refused bool      // the agent found defects: it does not count as made
	Settled bool      // the agent has decided about it
}

// Facts are what the answer follows from.
type Facts struct {
	Since    time.Time // when the duty began
	Deposits []Deposit // in the order of their numbers
	// Looked is when the source was last read whole, whether it held anything
	// new or not: who changed nothing owes nothing. The server reads what it
	// fetches; of what is pushed the depositor says so, signed. Zero for never.
	Looked time.Time
	// ByLook says that a look is what is owed and makes no deposit: the list of
	// an organisation's repositories is read, and each is deposited by itself.
	ByLook   bool
	Releases []time.Time // announced, in order
	Gaps     []Gap       // in order, none overlapping another
}

// State is whether a module's deposits come as agreed.
type State struct {
	Last    int       // number of the newest deposit that counts, 0 for none
	LastAt  time.Time // when it came; when the duty began for none
	Due     time.Time // when the next is due; zero when none is
	Missed  time.Time // when it is missed if it has not come; zero when none is due
	Count   int       // how many in a row are missed
	Step    Step
	Entered map[Step]time.Time // when each step that was reached began, and the next one will
	// Undecided is the newest deposit that waits for the agent's word, 0 for
	// none, and DecideBy until when; Late when that has passed.
	Undecided int
	Waiting   int // the oldest that waits: the agent's clock runs from it
	DecideBy  time.Time
	HalfTime  time.Time // when the agent is reminded
	Late      bool
}

// Current reports whether a step that was entered at a time belongs to the
// ladder that stands now, and not to one before it that a deposit or a look has
// ended since.
func (s State) Current(entered time.Time) bool { return !s.Due.IsZero() && !entered.Before(s.Due) }

// At works out the state at now. Times at which the platform was off are added
// to every deadline that runs across them, so its own outage makes nobody
// late; it takes nothing away either.
func At(t Terms, f Facts, now time.Time) State {
	s := State{LastAt: f.Since, Step: OnTime, Entered: map[Step]time.Time{}}
	for _, d := range f.Deposits {
		if !d.Refused {
			s.Last, s.LastAt = d.Number, later(d.At, f.Since)
		}
	}
	s.decide(t, f, now)
	base, due := nextDue(t, f, s.LastAt, f.current(s, now))
	if due.IsZero() {
		return s
	}
	s.Due = stretch(base, due, f.Gaps)
	s.Missed = stretch(s.Due, t.Grace(s.Due), f.Gaps)
	s.Entered[Reminder], s.Entered[Second] = s.Due, s.Missed
	s.climb(t, f, now)
	return s
}

// maxMissed bounds how far missed deposits are counted.
const maxMissed = 1000

// climb counts the missed deposits and finds the step.
func (s *State) climb(t Terms, f Facts, now time.Time) {
	after := max(t.MissedAfter, 1)
	due, missed := s.Due, s.Missed
	for n := 1; n <= maxMissed; n++ {
		if n == after {
			s.Entered[Told] = missed
			s.Entered[Event] = stretch(missed, t.Cure(missed), f.Gaps)
		}
		if now.Before(missed) {
			break
		}
		s.Count = n
		if t.Every == nil {
			if n == 1 && after > 1 { // a single deposit is waited for: it cannot be missed twice
				s.Entered[Told] = missed
				s.Entered[Event] = stretch(missed, t.Cure(missed), f.Gaps)
			}
			break
		}
		due = stretch(due, t.Every(due), f.Gaps)
		missed = stretch(due, t.Grace(due), f.Gaps)
	}
	for _, step := range Steps() {
		if at, ok := s.Entered[step]; ok && !now.Before(at) {
			s.Step = step
		}
	}
}

// decide finds the deposit that waits for the agent. A word about a later one
// settles those before it.
func (s *State) decide(t Terms, f Facts, now time.Time) {
	if t.Level < 2 {
		return
	}
	var first time.Time
	for _, d := range slices.Backward(f.Deposits) {
		if d.Settled {
			break
		}
		if s.Undecided == 0 {
			s.Undecided = d.Number
		}
		s.Waiting, first = d.Number, d.At
	}
	if s.Undecided == 0 {
		return
	}
	first = later(first, f.Since)
	end := t.Decide(first)
	s.HalfTime = stretch(first, first.Add(end.Sub(first)/2), f.Gaps)
	s.DecideBy = stretch(first, end, f.Gaps)
	s.Late = !now.Before(s.DecideBy)
}

// nextDue is the earlier of what the schedule and an announced release ask,
// and from when it counts.
func nextDue(t Terms, f Facts, last, current time.Time) (base, due time.Time) {
	if t.Every != nil {
		base, due = current, t.Every(current)
	}
	if t.AfterRelease != nil {
		for _, at := range f.Releases {
			if !at.After(last) {
				continue
			}
			if d := t.AfterRelease(at); due.IsZero() || d.Before(due) {
				base, due = at, d
			}
			break
		}
	}
	return base, due
}

// current is until when what is held is known to be what the source has: the
// newest deposit's time, or when the source was found to hold nothing newer.
// A look says nothing about a deposit that the agent refused or that is not
// there, nor does one from the future, by a clock that stood wrong.
func (f Facts) current(s State, now time.Time) time.Time {
	n := len(f.Deposits)
	if f.Looked.After(now) || !f.ByLook && (n == 0 || f.Deposits[n-1].Refused) {
		return s.LastAt
	}
	return later(f.Looked, s.LastAt)
}

// stretch moves a deadline that runs from base by the time the platform was
// off while it ran.
func stretch(base, deadline time.Time, gaps []Gap) time.Time {
	for _, g := range gaps {
		from := later(g.From, base)
		if !from.Before(deadline) {
			continue
		}
		if off := g.To.Sub(from); off > 0 {
			deadline = deadline.Add(off)
		}
	}
	return deadline
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
