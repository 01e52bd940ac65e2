package sla

import (
	"cmp"
	"slices"
)

// timeline is what all locations together saw.
type timeline struct {
	down  spans
	known spans // up or down
	all   [][]Interval
	ids   []string
}

// edge is a change of what one location sees.
type edge struct {
	at       Instant
	down, up int
}

// merge puts the locations together. It is down where at least the quorum of
// locations say so, up where it is certain that fewer do whatever the silent
// ones would have said, and unknown otherwise.
func (p *Policy) merge(locations []Location) (timeline, error) {
	var t timeline
	var edges []edge
	for _, l := range locations {
		if len(p.locations) > 0 && !slices.Contains(p.locations, l.ID) {
			continue
		}
		if slices.Contains(t.ids, l.ID) {
			return t, invalid("the location %s is there twice", l.ID)
		}
		list, err := l.Tidy()
		if err != nil {
			return t, invalid("%v", err)
		}
		t.ids, t.all = append(t.ids, l.ID), append(t.all, list)
		for _, x := range list {
			down, up := 0, 1
			if x.State == Down {
				down, up = 1, 0
			}
			edges = append(edges, edge{x.From, down, up}, edge{x.To, -down, -up})
		}
	}
	n := max(len(p.locations), len(t.ids))
	if len(p.locations) == 0 {
		n = len(t.ids)
	}
	k := p.quorum(n)
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Compare(a.at, b.at) })
	down, up := 0, 0
	var known []Span
	for i := 0; i < len(edges); {
		at := edges[i].at
		for i < len(edges) && edges[i].at == at {
			down += edges[i].down
			up += edges[i].up
			i++
		}
		if i == len(edges) {
			break
		}
		s := Span{at, edges[i].at}
		switch {
		case down >= k:
			t.down = append(t.down, s)
			known = append(known, s)
		case n-up < k:
			known = append(known, s)
		}
	}
	t.down, t.known = union(t.down), union(known)
	return t, nil
}

// quorum is how many of n locations must say that it is down.
func (p *Policy) quorum(n int) int {
	k := n/2 + 1
	if probe := p.Level.Probe; probe != nil {
		switch {
		case probe.Agree > 0:
			k = probe.Agree
		case probe.Quorum == "any":
			k = 1
		case probe.Quorum == "all":
			k = n
		}
	}
	return max(k, 1)
}

// witnesses lists the locations that saw a span down, and their evidence.
func (t *timeline) witnesses(s Span) (ids, evidence []string) {
	for i, list := range t.all {
		at, _ := slices.BinarySearchFunc(list, s.From, func(x Interval, at Instant) int {
			if x.To <= at {
				return -1
			}
			return 1
		})
		seen := false
		for ; at < len(list) && list[at].From < s.To; at++ {
			if list[at].State == Down {
				seen = true
				evidence = merge(evidence, list[at].Evidence)
			}
		}
		if seen {
			ids = append(ids, t.ids[i])
		}
	}
	return ids, evidence
}
