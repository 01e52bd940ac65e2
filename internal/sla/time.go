package sla

import (
	"cmp"
	"slices"
)

// overTime computes a figure of time, in the order that docs/sla.md gives:
// merged outages, the minimum length on whole outages, the cut by the period,
// exclusions, the share.
func (r *Record) overTime(f *Figure, accept func(*Contest) bool) {
	p, v := r.policy, r.policy.Level.Availability
	down, known, decided := r.asDecided(accept)
	open := func(s Span) spans { return p.service.within(s) }
	agreed := open(f.Period.Span)
	gaps := agreed.without(known)
	if v.Gaps == "count_as_down" {
		reach := f.Period.Span
		for _, s := range known {
			reach = Span{min(reach.From, s.From), max(reach.To, s.To)}
		}
		down = union(down, spans{reach}.without(known))
	}
	leftOut := v.Gaps == "" || v.Gaps == "left_out"

	whole := p.outages(down)
	var all spans // what would count without exclusions, in any period
	reach := p.limitReach(f.Period.Span)
	for _, o := range whole {
		if !o.short && o.counts.To > o.counts.From && reach.overlaps(o.counts) {
			all = append(all, o.counts)
		}
	}
	all = union(all)
	if leftOut {
		all = all.without(reachGaps(reach, known))
	}
	if !p.service.always {
		var hours []Span
		for _, s := range reach {
			hours = append(hours, open(s)...)
		}
		all = all.and(union(hours))
	} else {
		all = all.and(reach)
	}

	taken := p.exclude(r.seen.Exclusions, f.Period.Span, all, open)
	var byDecision []Span
	for _, d := range decided {
		byDecision = append(byDecision, d.overlap(f.Period.Span))
	}
	gone := union(taken.spans, byDecision)

	here := all.and(agreed)
	counted := here.without(gone)
	removed := spans{}
	if leftOut {
		removed = gaps
	}
	if v.Denominator == "without_exclusions" {
		removed = union(removed, gone.and(agreed))
	}
	f.counted = counted
	f.Agreed, f.Unmeasured, f.Removed = agreed.length(), gaps.length(), removed.length()
	f.Denominator = f.Agreed - f.Removed
	f.Counted = counted.length()
	f.Down = down.and(agreed).length()
	f.Coverage = share(f.Agreed-f.Unmeasured, f.Agreed)
	if f.Unmeasured < f.Agreed || !leftOut && len(r.line.ids) > 0 {
		f.Uptime = share(f.Denominator-f.Counted, f.Denominator)
	}
	f.Gaps, f.Rulings = gaps, taken.rulings
	f.Outages = r.working(f.Period.Span, whole, agreed, known, leftOut, counted, append(taken.by, decided...), decided)
}

// asDecided is what was measured as the accepted contests correct it, and the
// time they take out.
func (r *Record) asDecided(accept func(*Contest) bool) (down, known spans, out []named) {
	down, known = r.line.down, r.line.known
	for i := range r.seen.Contests {
		c := &r.seen.Contests[i]
		if !accept(c) {
			continue
		}
		at := spans{c.Span}
		switch c.Claim {
		case ClaimUp:
			down, known = down.without(at), union(known, at)
		case ClaimDown:
			down, known = union(down, at), union(known, at)
		case ClaimExcluded:
			out = append(out, named{c.Span, c.ID})
		}
	}
	return down, known, out
}

// reachGaps is the unmeasured time within a reach.
func reachGaps(reach, known spans) spans { return reach.without(known) }

// limitReach is the time that has to be looked at for a period: the period,
// and the longer times over which limits are counted.
func (p *Policy) limitReach(period Span) spans {
	out := []Span{period}
	for i := range p.excluded {
		if r := &p.excluded[i]; r.limited || r.Times > 0 {
			out = append(out, p.limitSpan(r, period.From, period), p.limitSpan(r, period.To-1, period))
		}
	}
	return union(out)
}

// outage is an uninterrupted stretch down with the part of it that can count.
type outage struct {
	whole  Span
	counts Span
	short  bool
}

// outages applies the minimum length and the rule for begun minutes to whole
// outages, before any period cuts them. A begun minute that counts is made
// whole, but never over the outage that follows.
func (p *Policy) outages(down spans) []outage {
	v := p.Level.Availability
	out := make([]outage, len(down))
	const minute = 60_000
	for i, s := range down {
		o := outage{whole: s, counts: s, short: s.Length() < p.minOutage}
		if over := s.Length() % minute; over != 0 {
			switch v.PartMinutes {
			case "drop":
				o.counts.To -= Instant(over)
			case "count":
				o.counts.To += Instant(minute - over)
				if i+1 < len(down) {
					o.counts.To = min(o.counts.To, down[i+1].From)
				}
			}
		}
		out[i] = o
	}
	return out
}

// working cuts every outage of the period where something happens to it.
func (r *Record) working(period Span, whole []outage, agreed, known spans, leftOut bool, counted spans, gone, decided []named) []Outage {
	first, _ := slices.BinarySearchFunc(whole, period.From, func(o outage, at Instant) int {
		if max(o.whole.To, o.counts.To) <= at {
			return -1
		}
		return 1
	})
	var out []Outage
	slices.SortStableFunc(gone, func(a, b named) int { return cmp.Compare(a.From, b.From) })
	isDecided := func(id string) bool {
		return slices.ContainsFunc(decided, func(d named) bool { return d.id == id })
	}
	for _, o := range whole[first:] {
		if o.whole.From >= period.To {
			break
		}
		full := Span{o.whole.From, max(o.whole.To, o.counts.To)}
		x := Outage{Span: o.whole}
		x.Locations, x.Evidence = r.line.witnesses(o.whole)
		rest := spans{full}
		add := func(why Why, id string, part spans) {
			for _, s := range rest.and(part) {
				x.Pieces = append(x.Pieces, Piece{Span: s, Why: why, Exclusion: id})
			}
			rest = rest.without(part)
		}
		add(WhyOtherPeriod, "", rest.without(spans{period}))
		add(WhyOutsideHours, "", rest.without(agreed))
		if o.short {
			add(WhyTooShort, "", rest)
		}
		add(WhyPartMinute, "", rest.without(spans{o.counts}))
		if leftOut {
			add(WhyNotMeasured, "", rest.without(known))
		}
		for _, g := range gone {
			why := WhyExcluded
			if isDecided(g.id) {
				why = WhyDecided
			}
			if g.From < full.To && g.To > full.From {
				add(why, g.id, spans{g.Span})
			}
		}
		x.Counted = rest.and(counted).length()
		add(WhyCounted, "", rest)
		slices.SortFunc(x.Pieces, func(a, b Piece) int { return cmp.Compare(a.From, b.From) })
		out = append(out, x)
	}
	return out
}
