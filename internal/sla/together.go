package sla

import "holdfast/internal/escrow/agreement"

// Sight is when something was down, and when it can be said at all whether it
// was, both in order and without overlaps.
type Sight struct{ Down, Known []Span }

// Together puts what several places saw of one target together by the rule of
// a service level: which places count and how many must agree. A level that
// says nothing about measuring wants a majority.
func Together(level *agreement.SLA, locations []Location) (Sight, error) {
	p := &Policy{Level: level}
	if level.Probe != nil {
		p.locations = level.Probe.From
	}
	t, err := p.merge(locations)
	return Sight{t.down, t.known}, err
}

// Worst is how something is that consists of several: down when one of them
// is, up when all are known to be, and otherwise unknown.
func Worst(list []Sight) Sight {
	if len(list) == 0 {
		return Sight{}
	}
	var down spans
	known := spans(list[0].Known)
	for i, s := range list {
		down = union(down, s.Down)
		if i > 0 {
			known = known.and(s.Known)
		}
	}
	return Sight{down, union(known, down)}
}
