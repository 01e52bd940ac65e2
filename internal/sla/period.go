package sla

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/quantity"
)

// Period is a stretch of time over which a promise is counted.
type Period struct {
	Span
	Label string `json:"label"` // 2026-09, 2026-Q3, 2026-09-15, …
}

// periods finds the periods of a promise in its zone.
type periods struct {
	kind   string
	zone   *time.Location
	month  time.Month // where a quarter or year begins
	day    int        // where a billing cycle or year begins
	window quantity.Period
	text   *agreement.Agreement // counts months, days and business days
}

func newPeriods(v *agreement.Availability, a *agreement.Agreement, zone *time.Location) (periods, error) {
	p := periods{kind: "calendar_month", zone: zone, month: time.January, day: 1, text: &agreement.Agreement{TimeZone: zone.String(), Calendar: a.Calendar}}
	if v == nil {
		return p, nil
	}
	p.kind, p.window = v.Period, v.Window
	if p.kind == "rolling_30d" {
		p.window = "30d"
	}
	if v.Starts != "" {
		if err := v.Starts.Valid(); err != nil {
			return p, err
		}
		m, _ := strconv.Atoi(string(v.Starts[:2]))
		p.month = time.Month(m)
		p.day, _ = strconv.Atoi(string(v.Starts[3:]))
	}
	return p, nil
}

// at returns the period a moment is in. A rolling period ends at the end of
// the moment's day.
func (p periods) at(i Instant) Period {
	t := i.Time().In(p.zone)
	y, m, d := t.Date()
	switch p.kind {
	case "calendar_quarter":
		back := (int(m) - int(p.month) + 12) % 12 % 3
		out := p.months(y, int(m)-back, 3, p.day)
		if i < out.From {
			out = p.months(y, int(m)-back-3, 3, p.day)
		} else if i >= out.To {
			out = p.months(y, int(m)-back+3, 3, p.day)
		}
		return out
	case "billing_cycle":
		if d < onDay(y, m, p.day) {
			m--
		}
		return p.months(y, int(m), 1, p.day)
	case "service_year":
		if m < p.month || m == p.month && d < onDay(y, m, p.day) {
			y--
		}
		return p.months(y, int(p.month), 12, p.day)
	case "rolling_30d", "rolling":
		return p.rolling(y, m, d)
	}
	return p.months(y, int(m), 1, 1)
}

// onDay is the day of a month on which something of a later day happens: the
// last one where the month is shorter.
func onDay(y int, m time.Month, day int) int {
	return min(day, time.Date(y, m+1, 0, 0, 0, 0, 0, time.UTC).Day())
}

// months is n months from the day of a month on.
func (p periods) months(y, m, n, day int) Period {
	first := time.Date(y, time.Month(m), 1, 0, 0, 0, 0, time.UTC)
	last := first.AddDate(0, n, 0)
	begin := onDay(first.Year(), first.Month(), day)
	out := Period{Span: Span{
		startOfDay(first.Year(), first.Month(), begin, p.zone),
		startOfDay(last.Year(), last.Month(), onDay(last.Year(), last.Month(), day), p.zone),
	}}
	switch {
	case n == 3 && p.month%3 == 1 && day == 1:
		out.Label = fmt.Sprintf("%d-Q%d", first.Year(), (int(first.Month())+2)/3)
	case n == 1 && begin == 1:
		out.Label = first.Format("2006-01")
	case n == 12 && p.month == 1 && begin == 1:
		out.Label = first.Format("2006")
	default:
		out.Label = fmt.Sprintf("%s-%02d", first.Format("2006-01"), begin)
	}
	return out
}

// rolling is the window that ends with a day.
func (p periods) rolling(y int, m time.Month, d int) Period {
	next := time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
	to := startOfDay(next.Year(), next.Month(), next.Day(), p.zone)
	n, unit, _ := p.window.Split()
	var from Instant
	switch back := int(n); unit {
	case quantity.Month, quantity.Year:
		if unit == quantity.Year {
			back *= 12
		}
		first := time.Date(next.Year(), next.Month()-time.Month(back), 1, 0, 0, 0, 0, time.UTC)
		from = startOfDay(first.Year(), first.Month(), onDay(first.Year(), first.Month(), next.Day()), p.zone)
	case quantity.Day, quantity.Week:
		if unit == quantity.Week {
			back *= 7
		}
		first := next.AddDate(0, 0, -back)
		from = startOfDay(first.Year(), first.Month(), first.Day(), p.zone)
	default:
		length, _ := p.window.Fixed()
		from = to.Add(-length)
	}
	return Period{Span: Span{from, to}, Label: fmt.Sprintf("%04d-%02d-%02d", y, int(m), d)}
}

// Named returns the period with a label: 2026-09 for a month, 2026-Q3 for a
// quarter of the calendar, 2026 for a year, and for every kind a day that is
// in it; of a rolling period the day is its last.
func (p periods) named(label string) (Period, error) {
	day := label
	switch {
	case len(label) == 4:
		day += "-01-01"
		if p.kind == "service_year" {
			day = fmt.Sprintf("%s-%02d-%02d", label, int(p.month), p.day)
		}
	case len(label) == 7 && label[5] == 'Q':
		q, err := strconv.Atoi(label[6:])
		if err != nil || q < 1 || q > 4 {
			return Period{}, badPeriod(label)
		}
		day = fmt.Sprintf("%s-%02d-01", label[:4], q*3-2)
	case len(label) == 7:
		day = fmt.Sprintf("%s-%02d", label, p.day)
		if t, err := time.Parse("2006-01", label); err == nil {
			day = fmt.Sprintf("%s-%02d", label, onDay(t.Year(), t.Month(), p.day))
		}
	}
	if quantity.Date(day).Valid() != nil {
		return Period{}, badPeriod(label)
	}
	t, err := time.Parse(time.DateOnly, day)
	if err != nil || !year(t) {
		return Period{}, badPeriod(label)
	}
	out := p.at(startOfDay(t.Year(), t.Month(), t.Day(), p.zone))
	if shape := len(label); shape < len(time.DateOnly) && p.kind != "rolling" && p.kind != "rolling_30d" && len(out.Label) == shape && !strings.EqualFold(out.Label, label) {
		return Period{}, badPeriod(label)
	}
	return out, nil
}

func badPeriod(label string) error {
	return escrow.Errorf(escrow.Invalid, "%q is not a period", label).WithHint("write it as 2026-09, 2026-Q3, 2026, or as a day that is in it, such as 2026-09-15")
}
