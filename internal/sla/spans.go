package sla

import (
	"cmp"
	"slices"
)

// spans is time as a set: in order, without overlaps, neighbours joined.
type spans []Span

// union makes a set of any spans; empty and reversed ones are dropped.
func union(lists ...[]Span) spans {
	var all []Span
	for _, l := range lists {
		for _, s := range l {
			if s.To > s.From {
				all = append(all, s)
			}
		}
	}
	slices.SortFunc(all, func(a, b Span) int { return cmp.Compare(a.From, b.From) })
	var out spans
	for _, s := range all {
		if n := len(out); n > 0 && s.From <= out[n-1].To {
			out[n-1].To = max(out[n-1].To, s.To)
			continue
		}
		out = append(out, s)
	}
	return out
}

// and is the time that is in both.
func (a spans) and(b spans) spans {
	var out spans
	for i, j := 0, 0; i < len(a) && j < len(b); {
		if o := a[i].overlap(b[j]); o.To > o.From {
			out = append(out, o)
		}
		if a[i].To < b[j].To {
			i++
		} else {
			j++
		}
	}
	return out
}

// without is the time of a that is not in b.
func (a spans) without(b spans) spans {
	var out spans
	j := 0
	for _, s := range a {
		at := s.From
		for j < len(b) && b[j].To <= at {
			j++
		}
		for k := j; k < len(b) && b[k].From < s.To; k++ {
			if b[k].From > at {
				out = append(out, Span{at, b[k].From})
			}
			at = max(at, b[k].To)
		}
		if at < s.To {
			out = append(out, Span{at, s.To})
		}
	}
	return out
}

// length is the sum in milliseconds.
func (a spans) length() int64 {
	n := int64(0)
	for _, s := range a {
		n += s.Length()
	}
	return n
}

// clip is the time within one span.
func (a spans) clip(to Span) spans {
	first, _ := slices.BinarySearchFunc(a, to.From, func(x Span, at Instant) int {
		if x.To <= at {
			return -1
		}
		return 1
	})
	last := first
	for last < len(a) && a[last].From < to.To {
		last++
	}
	return a[first:last].and(spans{to})
}

// overlaps reports whether any time of s is in the set.
func (a spans) overlaps(s Span) bool {
	i, _ := slices.BinarySearchFunc(a, s.From, func(x Span, at Instant) int {
		if x.To <= at {
			return -1
		}
		return 1
	})
	return i < len(a) && a[i].From < s.To
}

// covers reports whether all of s is in the set.
func (a spans) covers(s Span) bool {
	i, _ := slices.BinarySearchFunc(a, s.From, func(x Span, at Instant) int {
		if x.To <= at {
			return -1
		}
		return 1
	})
	return i < len(a) && a[i].From <= s.From && s.To <= a[i].To
}
