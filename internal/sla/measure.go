package sla

import (
	"cmp"
	"math/big"
	"slices"
)

// CountSums is the working of a figure made of requests or executions.
type CountSums struct {
	Requests  int64           `json:"requests"`
	Failed    int64           `json:"failed"`
	Intervals int64           `json:"intervals,omitempty"` // that the mean is over
	Empty     int64           `json:"empty,omitempty"`     // of those without requests
	Unseen    int64           `json:"unseen,omitempty"`    // of which nothing was reported
	Bad       []CountInterval `json:"bad,omitempty"`       // with failures, or left out
}

// CountInterval is one interval that made a difference.
type CountInterval struct {
	Count
	Rate      Fraction `json:"error_rate"`
	Why       Why      `json:"why"`
	Exclusion string   `json:"exclusion,omitempty"`
}

// maxRows bounds the rows of counts: a year of seconds is more than anybody
// reports.
const maxRows = 32_000_000

func tidyCounts(list []Count) ([]Count, error) {
	if len(list) > maxRows {
		return nil, invalid("%d rows of counts, at most %d", len(list), maxRows)
	}
	total := int64(0)
	out := slices.Clone(list)
	slices.SortStableFunc(out, func(a, b Count) int { return cmp.Compare(a.From, b.From) })
	for i, c := range out {
		switch {
		case c.Valid() != nil:
			return nil, invalid("counts at %s: %v", c.From, c.Valid())
		case c.Requests < 0 || c.Failed < 0 || c.Requests > 1e15:
			return nil, invalid("counts at %s: %d of %d failed is no count", c.From, c.Failed, c.Requests)
		case c.Failed > c.Requests:
			return nil, invalid("counts at %s: %d failed, but there were only %d", c.From, c.Failed, c.Requests)
		case i > 0 && c.From < out[i-1].To:
			return nil, invalid("counts at %s overlap those from %s until %s", c.From, out[i-1].From, out[i-1].To)
		}
		if total += c.Requests; total > 1e18 {
			return nil, invalid("counts at %s: more than 10^18 requests in all", c.From)
		}
	}
	return out, nil
}

// grid sums rows into intervals of a length that are counted from an origin.
// A row that reaches over the border of an interval cannot be split.
func grid(rows []Count, length int64, origin Instant) ([]Count, error) {
	var out []Count
	for _, c := range rows {
		n := int64(c.From-origin) / length
		if c.From < origin && int64(c.From-origin)%length != 0 {
			n--
		}
		cell := Span{origin + Instant(n*length), origin + Instant((n+1)*length)}
		if c.To > cell.To {
			return nil, invalid("counts from %s until %s reach over the end of an interval at %s", c.From, c.To, cell.To)
		}
		if last := len(out) - 1; last >= 0 && out[last].From == cell.From {
			out[last].Requests += c.Requests
			out[last].Failed += c.Failed
			out[last].Evidence = merge(out[last].Evidence, c.Evidence)
			continue
		}
		out = append(out, Count{Span: cell, Requests: c.Requests, Failed: c.Failed, Evidence: slices.Clone(c.Evidence)})
	}
	return out, nil
}

// above reports whether the error rate is greater than the threshold, in
// millionths of a percent: exactly as much is not.
func (c Count) above(threshold int64) bool {
	failed := new(big.Int).Mul(big.NewInt(c.Failed), big.NewInt(100_000_000))
	return failed.Cmp(new(big.Int).Mul(big.NewInt(threshold), big.NewInt(c.Requests))) > 0
}

// rate is the error rate in percent; none without requests.
func (c Count) rate() Fraction { return share(c.Failed, c.Requests) }

// errorMinutes makes time of counts: an interval is down when more than the
// threshold of its requests failed and there were enough of them. Intervals
// are counted from the full hour of UTC.
func (p *Policy) errorMinutes(rows []Count) (Location, []Count, error) {
	l := Location{ID: "requests"}
	rows, err := tidyCounts(rows)
	if err != nil {
		return l, nil, err
	}
	cells, err := grid(rows, p.interval, 0)
	if err != nil {
		return l, nil, err
	}
	v := p.Level.Availability
	for _, c := range cells {
		x := Interval{Span: c.Span, State: Up, Evidence: c.Evidence}
		switch {
		case c.Requests == 0 && v.Empty == "left_out":
			x.State = Unknown
		case c.Requests > 0 && c.Requests >= int64(v.MinRequests) && c.above(p.threshold):
			x.State = Down
		}
		l.Intervals = append(l.Intervals, x)
	}
	return l, cells, nil
}

// errorRate computes 100 minus the mean of the error rates of all intervals
// of the period.
func (r *Record) errorRate(f *Figure, accept func(*Contest) bool) error {
	p, v := r.policy, r.policy.Level.Availability
	f.Counts = &CountSums{}
	open := func(s Span) spans { return p.service.within(s) }
	agreed := open(f.Period.Span)
	f.Agreed = agreed.length()
	taken := p.exclude(r.seen.Exclusions, f.Period.Span, agreed, open)
	f.Rulings = taken.rulings
	up, down, gone := r.decisions(accept, f.Period.Span)
	away := union(taken.spans, gone)
	rows := within(r.counts, f.Period.Span)
	cells, err := grid(rows, p.interval, f.Period.From)
	if err != nil {
		return err
	}
	at := 0
	var rates []*big.Rat
	var gaps []Span
	for from := f.Period.From; from < f.Period.To; from += Instant(p.interval) {
		cell := Count{Span: Span{from, min(from+Instant(p.interval), f.Period.To)}}
		seen := at < len(cells) && cells[at].From == from
		if seen {
			cell.Requests, cell.Failed, cell.Evidence = cells[at].Requests, cells[at].Failed, cells[at].Evidence
			at++
		}
		if !agreed.overlaps(cell.Span) {
			continue
		}
		why, id, rate := WhyCounted, "", new(big.Rat)
		counts := true
		switch {
		case down.covers(cell.Span):
			rate = big.NewRat(100, 1)
		case up.covers(cell.Span):
		case away.covers(cell.Span):
			why, id = WhyExcluded, taken.who(cell.Span)
			counts = v.Denominator != "without_exclusions"
		case !seen:
			why = WhyNotMeasured
			f.Counts.Unseen++
			gaps = append(gaps, cell.Span)
			switch v.Gaps {
			case "count_as_up":
			case "count_as_down":
				rate = big.NewRat(100, 1)
			default:
				counts = false
			}
		case cell.Requests == 0:
			f.Counts.Empty++
			counts = v.Empty != "left_out"
		case cell.Requests < int64(v.MinRequests):
			why = WhyTooShort
			counts = v.Empty != "left_out"
		default:
			rate = cell.rate().Rat
		}
		f.Counts.Requests += cell.Requests
		f.Counts.Failed += cell.Failed
		if counts {
			f.Counts.Intervals++
			if rate.Sign() > 0 {
				rates = append(rates, rate)
			}
		}
		if why != WhyNotMeasured && (cell.Failed > 0 || rate.Sign() > 0) {
			f.Counts.Bad = append(f.Counts.Bad, CountInterval{Count: cell, Rate: Fraction{rate}, Why: why, Exclusion: id})
		}
	}
	f.Gaps = agreed.and(union(gaps))
	f.Unmeasured = spans(f.Gaps).length()
	f.Coverage = share(f.Agreed-f.Unmeasured, f.Agreed)
	f.Denominator = f.Counts.Intervals * p.interval
	f.Removed = max(f.Agreed-f.Denominator, 0)
	if n := f.Counts.Intervals; n > 0 && (len(cells) > 0 || v.Gaps != "" && v.Gaps != "left_out") {
		mean := new(big.Rat).Quo(sum(rates), big.NewRat(n, 1))
		f.Uptime = Fraction{new(big.Rat).Sub(big.NewRat(100, 1), mean)}
	}
	return nil
}

// sum adds fractions up by halves: one after the other the denominators would
// be long from the start.
func sum(list []*big.Rat) *big.Rat {
	switch n := len(list); n {
	case 0:
		return new(big.Rat)
	case 1:
		return list[0]
	default:
		return new(big.Rat).Add(sum(list[:n/2]), sum(list[n/2:]))
	}
}

// executions computes the share of executions that did not fail.
func (r *Record) executions(f *Figure, accept func(*Contest) bool) {
	p := r.policy
	f.Counts = &CountSums{}
	open := func(s Span) spans { return p.service.within(s) }
	agreed := open(f.Period.Span)
	f.Agreed = agreed.length()
	taken := p.exclude(r.seen.Exclusions, f.Period.Span, agreed, open)
	f.Rulings = taken.rulings
	up, down, gone := r.decisions(accept, f.Period.Span)
	away := union(taken.spans, gone)
	var seen []Span
	requests, failed := int64(0), int64(0)
	for _, c := range within(r.counts, f.Period.Span) {
		seen = append(seen, c.Span)
		if !agreed.covers(c.Span) {
			continue
		}
		why, id := WhyCounted, ""
		bad := c.Failed
		switch {
		case down.covers(c.Span):
			bad = c.Requests
		case up.covers(c.Span):
			bad = 0
		case away.covers(c.Span):
			why, id = WhyExcluded, taken.who(c.Span)
		}
		f.Counts.Requests += c.Requests
		f.Counts.Failed += bad
		if why == WhyCounted {
			requests += c.Requests
			failed += bad
		}
		if c.Failed > 0 || bad > 0 {
			f.Counts.Bad = append(f.Counts.Bad, CountInterval{Count: c, Rate: c.rate(), Why: why, Exclusion: id})
		}
	}
	f.Gaps = agreed.without(union(seen))
	f.Unmeasured = spans(f.Gaps).length()
	f.Coverage = share(f.Agreed-f.Unmeasured, f.Agreed)
	f.Denominator = f.Agreed
	switch {
	case requests > 0:
		f.Uptime = share(requests-failed, requests)
	case len(seen) > 0 && p.Level.Availability.Empty == "counts_as_up":
		f.Uptime = share(1, 1)
	}
}

// decisions collects what accepted contests say about a period.
func (r *Record) decisions(accept func(*Contest) bool, period Span) (up, down, gone spans) {
	for i := range r.seen.Contests {
		c := &r.seen.Contests[i]
		if !accept(c) {
			continue
		}
		at := []Span{c.overlap(period)}
		switch c.Claim {
		case ClaimUp:
			up = union(up, at)
		case ClaimDown:
			down = union(down, at)
		case ClaimExcluded:
			gone = union(gone, at)
		}
	}
	return up, down, gone
}

// who names the exclusion that covers a span.
func (a *allowed) who(s Span) string {
	for _, n := range a.by {
		if n.From < s.To && n.To > s.From {
			return n.id
		}
	}
	return ""
}

// within lists the rows that begin in a span.
func within(rows []Count, s Span) []Count {
	from, _ := slices.BinarySearchFunc(rows, s.From, func(c Count, at Instant) int { return cmp.Compare(c.From, at) })
	to, _ := slices.BinarySearchFunc(rows, s.To, func(c Count, at Instant) int { return cmp.Compare(c.From, at) })
	return rows[from:to]
}
