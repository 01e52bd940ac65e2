package sla

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// State is what was observed.
type State string

// The states. Time that is excluded is no state of a service: it is decided
// when a figure is made.
const (
	Up      State = "up"
	Down    State = "down"
	Unknown State = "unknown" // nobody looked, or the looker was itself cut off
)

// Valid reports whether s is one of the three.
func (s State) Valid() bool { return s == Up || s == Down || s == Unknown }

// Interval is time during which one location saw one state. What no interval
// of a location covers is unknown.
type Interval struct {
	Span
	State    State    `json:"state"`
	Evidence []string `json:"evidence,omitempty"` // ids of the raw evidence it rests on, such as the checks that began and ended it
}

// Location is what one place saw, in any order; intervals may touch but not
// overlap with another state.
type Location struct {
	ID        string     `json:"id"`
	Intervals []Interval `json:"intervals"`
}

// Tidy returns the intervals in order with neighbours of the same state
// joined, without unknown ones. Two that overlap with different states are
// refused: one place cannot have seen both. Evidence of joined intervals is
// kept in order, without repetitions.
func (l Location) Tidy() ([]Interval, error) {
	list := slices.Clone(l.Intervals)
	slices.SortStableFunc(list, func(a, b Interval) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
	var out []Interval
	var told map[string]bool // evidence of the last one; a scan for each of many would take the square of their number
	for _, x := range list {
		if err := x.Valid(); err != nil {
			return nil, fmt.Errorf("location %s: interval: %w", l.ID, err)
		}
		if !x.State.Valid() {
			return nil, fmt.Errorf("location %s: interval at %s: %q is no state: up, down or unknown", l.ID, x.From, x.State)
		}
		if n := len(out); n > 0 && x.From <= out[n-1].To && x.State == out[n-1].State {
			last := &out[n-1]
			last.To = max(last.To, x.To)
			if told == nil {
				told = map[string]bool{}
				for _, e := range last.Evidence {
					told[e] = true
				}
			}
			for _, e := range x.Evidence {
				if !told[e] {
					told[e] = true
					last.Evidence = append(last.Evidence, e)
				}
			}
			continue
		} else if n > 0 && x.From < out[n-1].To {
			return nil, fmt.Errorf("location %s: %s from %s overlaps %s until %s", l.ID, x.State, x.From, out[n-1].State, out[n-1].To)
		}
		x.Evidence, told = slices.Clip(x.Evidence), nil
		out = append(out, x)
	}
	return slices.DeleteFunc(out, func(x Interval) bool { return x.State == Unknown }), nil
}

// merge adds the texts of b that are not in a.
func merge(a, b []string) []string {
	there := make(map[string]bool, len(a)+len(b))
	for _, s := range a {
		there[s] = true
	}
	for _, s := range b {
		if !there[s] {
			there[s] = true
			a = append(a, s)
		}
	}
	return a
}

// Reading is one check: what was seen at a moment.
type Reading struct {
	At       Instant
	State    State
	Evidence string // id of the raw evidence, or ""
}

// Fold makes intervals of the checks of one location, which are in the order
// of time. A state lasts from the check that first saw it until the check
// that first saw another: an outage is from the first failing to the first
// good check. When more than silence passes between two checks, what was seen
// lasts for silence after the last one and is unknown from there. The last
// state lasts until its check; what follows is not known yet. Evidence is
// that of the first check of a state, and of the check that ended it.
func Fold(checks []Reading, silence time.Duration) []Interval {
	var out []Interval
	limit := Instant(silence / time.Millisecond)
	var open *Interval
	last := Instant(0)
	shut := func(at Instant) {
		if open != nil && at > open.From {
			open.To = at
			out = append(out, *open)
		}
		open = nil
	}
	for _, c := range checks {
		if open != nil && c.At-last > limit {
			shut(last + limit)
		}
		if open != nil && open.State != c.State {
			if c.Evidence != "" {
				open.Evidence = append(open.Evidence, c.Evidence)
			}
			shut(c.At)
		}
		if open == nil && c.State != Unknown {
			open = &Interval{Span: Span{From: c.At}, State: c.State}
			if c.Evidence != "" {
				open.Evidence = []string{c.Evidence}
			}
		}
		last = c.At
	}
	shut(last)
	return out
}
