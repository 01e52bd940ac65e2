package sla

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Ruling is what became of an exclusion that was asked for.
type Ruling struct {
	ID       string   `json:"id"`
	Kind     string   `json:"kind"`
	Asked    Span     `json:"asked"`
	Accepted bool     `json:"accepted"`
	Why      Why      `json:"why"`
	Spent    int64    `json:"spent_ms"` // what it took of the limit, or, without one, of the time down
	Excluded []Span   `json:"excluded,omitempty"`
	Evidence []string `json:"evidence,omitempty"`
	Asker    string   `json:"requested_by,omitempty"`
	Approver string   `json:"approved_by,omitempty"`
}

// allowed is the time exclusions take away.
type allowed struct {
	spans   spans
	by      []named // which ruling took which time
	rulings []Ruling
}

type named struct {
	Span
	id string
}

// candidate is an exclusion that meets the terms, before limits.
type candidate struct {
	ruling  int
	spans   spans
	from    Instant
	rule    *exclusionRule
	stating bool // a standing window, for which nobody asked
}

// exclude decides which exclusions count in a period, in the order of time,
// until a limit is used. counted is all time that would count as down without
// them; whole says that announced time leaves the denominator too, so that a
// limit is one on announced time.
func (p *Policy) exclude(asked []Exclusion, period Span, counted spans, open func(Span) spans) allowed {
	var out allowed
	whole := p.Level.Availability.Denominator == "without_exclusions"
	reach := spans{period}
	for _, r := range p.excluded {
		if r.limited || r.Times > 0 {
			reach = union(reach, []Span{p.limitSpan(&r, period.From, period), p.limitSpan(&r, period.To-1, period)})
		}
	}
	asked = slices.Clone(asked)
	slices.SortStableFunc(asked, func(a, b Exclusion) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.ID, b.ID)) })
	var list []candidate
	for _, x := range asked {
		if !reach.overlaps(x.Span) {
			continue
		}
		r := Ruling{ID: x.ID, Kind: x.Kind, Asked: x.Span, Evidence: x.Evidence, Asker: x.RequestedBy, Approver: x.ApprovedBy}
		rule, within, why := p.judge(&x)
		r.Why = why
		if rule != nil {
			list = append(list, candidate{len(out.rulings), within, x.From, rule, false})
		}
		out.rulings = append(out.rulings, r)
	}
	for i := range p.excluded {
		if r := &p.excluded[i]; r.Standing {
			for _, w := range reach {
				for _, s := range r.windows.within(w) {
					list = append(list, candidate{-1, spans{s}, s.From, r, true})
				}
			}
		}
	}
	slices.SortStableFunc(list, func(a, b candidate) int { return cmp.Compare(a.from, b.from) })
	spent, times := map[string]int64{}, map[string]int{}
	var taken spans
	for _, c := range list {
		got := p.take(&out, c, whole, counted, open, taken, period, spent, times)
		if len(got) > 0 {
			taken = union(taken, got)
		}
	}
	out.spans = taken.clip(period)
	return out
}

// take applies the limits to one candidate and returns what it excludes.
func (p *Policy) take(out *allowed, c candidate, whole bool, counted spans, open func(Span) spans, taken spans, period Span, spent map[string]int64, times map[string]int) spans {
	id := "standing/" + c.rule.Kind
	why := WhyExcluded
	var got spans
	used := int64(0)
	if c.rule.Times > 0 {
		key := fmt.Sprint("times/", c.rule.Kind, p.limitSpan(c.rule, c.from, period).From)
		if times[key] >= c.rule.Times {
			why = WhyTimesUsed
		}
		times[key]++
	}
	if why == WhyExcluded {
		for _, s := range c.spans.without(taken) {
			pieces := spans{s}
			if c.rule.limited {
				pieces = counted.clip(s)
				if whole {
					pieces = open(s)
				}
			}
			for _, piece := range pieces {
				for piece.From < piece.To {
					w := p.limitSpan(c.rule, piece.From, period)
					part := piece.overlap(w)
					if part.To <= part.From {
						break // before or after a rolling period
					}
					piece.From = part.To
					if c.rule.limited {
						key := fmt.Sprint(c.rule.Kind, w.From)
						left := c.rule.most - spent[key]
						if left <= 0 {
							why = WhyLimitUsed
							continue
						}
						if part.Length() > left {
							part.To = part.From + Instant(left)
							why = WhyLimitUsed
						}
						spent[key] += part.Length()
					}
					got = append(got, part)
					used += part.Length()
				}
			}
		}
	}
	got = union(got)
	inside := got.clip(period)
	if !c.rule.limited {
		used = counted.and(inside).length()
	}
	if c.stating {
		if len(inside) == 0 || counted.and(inside).length() == 0 && !whole {
			return got
		}
		out.rulings = append(out.rulings, Ruling{ID: id, Kind: c.rule.Kind, Asked: c.spans[0], Accepted: true, Why: why, Spent: used, Excluded: inside})
	} else {
		r := &out.rulings[c.ruling]
		id = r.ID
		r.Accepted, r.Why, r.Spent, r.Excluded = len(got) > 0 || why == WhyExcluded, why, used, inside
	}
	for _, s := range inside {
		out.by = append(out.by, named{s, id})
	}
	return got
}

// limitSpan is the time over which a limit of a rule is counted around a
// moment.
func (p *Policy) limitSpan(r *exclusionRule, at Instant, period Span) Span {
	like := p.periods
	switch r.MostIn {
	case "calendar_month":
		like.kind = "calendar_month"
	case "calendar_quarter":
		like.kind, like.month, like.day = "calendar_quarter", time.January, 1
	case "calendar_year":
		like.kind, like.month, like.day = "service_year", time.January, 1
	default:
		if like.kind == "rolling" || like.kind == "rolling_30d" {
			// Rolling periods overlap; a limit is counted in the one that is
			// computed.
			return period
		}
	}
	return like.at(at).Span
}

// judge decides whether an exclusion meets the terms of the policy, and to
// which part of its time they apply.
func (p *Policy) judge(x *Exclusion) (*exclusionRule, spans, Why) {
	why := WhyUnknownKind
	for i := range p.excluded {
		r := &p.excluded[i]
		if r.Kind != x.Kind {
			continue
		}
		within := spans{x.Span}
		if r.Windows != "" {
			within = r.windows.within(x.Span)
		}
		switch {
		case x.RefusedBy != "":
			return nil, nil, WhyRefused
		case x.CausedBy != "" && slices.ContainsFunc(r.Except, func(id string) bool { return p.party(id) == x.CausedBy }):
			return nil, nil, WhyExcepted
		case len(within) == 0:
			why = WhyOutsideWindow
			continue
		case r.Notice != "" && !r.Notice.IsZero() && (x.AnnouncedAt == 0 || p.rules.deadline(x.AnnouncedAt, r.Notice) > x.From):
			return nil, nil, WhyNoNotice
		case r.Evidence != "" && len(x.Evidence) == 0:
			return nil, nil, WhyNoEvidence
		case r.Approver != "" && (x.ApprovedBy != p.party(r.Approver) || x.ApprovedAt == 0):
			return nil, nil, WhyNotApproved
		}
		return r, within, WhyExcluded
	}
	return nil, nil, why
}
