package sla

// Result is everything there is to say about one service level in one period.
type Result struct {
	Policy       string         `json:"policy"`        // id of the agreement or policy
	Level        string         `json:"service_level"` // id of the service level
	Beneficiary  string         `json:"beneficiary,omitempty"`
	Component    string         `json:"component,omitempty"`
	Zone         string         `json:"time_zone"`
	Period       Period         `json:"period"`
	Figure       *Figure        `json:"figure,omitempty"`
	Credit       *Credit        `json:"credit,omitempty"`
	Alternatives []Opposed      `json:"alternatives,omitempty"`
	Responses    *Responses     `json:"response_times,omitempty"`
	Support      *SupportFigure `json:"support,omitempty"`
	Consequences []Consequence  `json:"remedies,omitempty"`
	Strip        []DayState     `json:"strip,omitempty"`
}

// Opposed is the figure and the credit if a party were right in what it
// contests.
type Opposed struct {
	Alternative
	Credit *Credit `json:"credit,omitempty"`
}

// DayState is one day of the strip of the last ninety days.
type DayState struct {
	Span
	Day        string   `json:"day"`
	Uptime     Fraction `json:"uptime"` // percent of the measured agreed time, without what was excluded; absent when nothing was agreed or measured
	Down       int64    `json:"down_ms"`
	Excluded   int64    `json:"excluded_ms"`
	Unmeasured int64    `json:"unmeasured_ms"`
	Agreed     int64    `json:"agreed_ms"`
}

// StripDays is how many days a strip shows.
const StripDays = 90

// Result computes everything about a period, as it stood at a moment. Earlier
// periods are computed as far as remedies that count misses look back.
func (r *Record) Result(period Period, now Instant) (*Result, error) {
	p := r.policy
	out := &Result{Policy: p.Agreement.ID, Level: p.Level.ID, Beneficiary: p.Beneficiary, Component: p.Level.Component, Zone: p.zone.String(), Period: period}
	var err error
	if p.Level.Availability != nil {
		if out.Figure, err = r.Figure(period); err != nil {
			return nil, err
		}
		if out.Credit, err = r.Credit(out.Figure); err != nil {
			return nil, err
		}
		list, err := r.Alternatives(period)
		if err != nil {
			return nil, err
		}
		for _, a := range list {
			c, err := r.Credit(a.Figure)
			if err != nil {
				return nil, err
			}
			out.Alternatives = append(out.Alternatives, Opposed{a, c})
		}
		if out.Consequences, err = r.consequences(period, out.Figure); err != nil {
			return nil, err
		}
		out.Strip = r.strip(period)
	}
	if out.Responses, err = r.Responses(period, out.Figure); err != nil {
		return nil, err
	}
	if out.Support, err = r.Support(period, now); err != nil {
		return nil, err
	}
	return out, nil
}

// maxPast bounds the periods that remedies look back at.
const maxPast = 60

// consequences computes the earlier periods that remedies count.
func (r *Record) consequences(period Period, f *Figure) ([]Consequence, error) {
	p := r.policy
	if p.Level.Terminate == nil && len(p.Level.Remedies) == 0 {
		return nil, nil
	}
	figures := []*Figure{f}
	begin := r.begin()
	within := func(q Period) bool {
		if t := p.Level.Terminate; t != nil && p.rules.deadline(q.From, t.In) >= period.To {
			return true
		}
		for _, x := range p.Level.Remedies {
			if x.In != "" && p.rules.deadline(q.From, x.In) >= period.To {
				return true
			}
		}
		return false
	}
	for q := p.periods.at(period.From - 1); len(figures) < maxPast && q.To > begin && within(q); q = p.periods.at(q.From - 1) {
		g, err := r.Figure(q)
		if err != nil {
			return nil, err
		}
		figures = append([]*Figure{g}, figures...)
	}
	return p.Consequences(figures), nil
}

// begin is the first moment anything is known of.
func (r *Record) begin() Instant {
	first := Instant(1 << 62)
	if len(r.line.known) > 0 {
		first = r.line.known[0].From
	}
	if len(r.counts) > 0 {
		first = min(first, r.counts[0].From)
	}
	return first
}

// strip computes the ninety days that end with the period, day by day, from
// time alone: what was down, excluded or not measured on each.
func (r *Record) strip(period Period) []DayState {
	p := r.policy
	if p.Level.Availability.Measure == "error_rate" || p.Level.Availability.Measure == "executions" {
		return nil
	}
	end := p.day(period.To - 1)
	days := make([]DayState, StripDays)
	for i := range days {
		days[StripDays-1-i] = DayState{Span: end, Day: end.From.Time().In(p.zone).Format("2006-01-02")}
		end = p.day(end.From - 1)
	}
	whole := Span{days[0].From, days[len(days)-1].To}
	agreed := p.service.within(whole)
	down, known, decided := r.asDecided(func(c *Contest) bool { return c.Decided == "accepted" })
	var asked spans
	for _, w := range p.limitReach(whole) {
		asked = append(asked, down.clip(w).and(p.service.within(w))...)
	}
	gone := p.exclude(r.seen.Exclusions, whole, asked, p.service.within).spans
	for _, d := range decided {
		gone = union(gone, []Span{d.Span})
	}
	for i := range days {
		d := &days[i]
		open := agreed.clip(d.Span)
		d.Agreed = open.length()
		d.Unmeasured = open.without(known.clip(d.Span)).length()
		lost := down.clip(d.Span).and(open)
		d.Excluded = lost.and(gone).length()
		d.Down = lost.length() - d.Excluded
		d.Uptime = share(d.Agreed-d.Unmeasured-d.Down, d.Agreed-d.Unmeasured)
	}
	return days
}
