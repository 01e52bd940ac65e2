package sla

import (
	"time"
	_ "time/tzdata" // the same zones on every machine

	"holdfast/internal/escrow/agreement/quantity"
	"holdfast/internal/escrow/calendar"
)

// Opening is when something is open: hours on the clock of a zone, on days
// that are no holidays. The zero value is always open.
type Opening struct {
	zone   *time.Location
	weekly [7][]clockSpan // from Monday
	closed func(time.Time) bool
	always bool
}

// clockSpan is a stretch of a day in minutes on the clock.
type clockSpan struct{ from, to int }

// Days says which days are holidays: those of a calendar, with days added and
// taken away. The zero value has none.
type Days struct {
	Calendar *calendar.Calendar
	Closed   []quantity.Date // besides the calendar's
	Open     []quantity.Date // although the calendar says otherwise
}

// closedOn reports whether hours that name the day's weekday do not apply on
// it: it is a holiday.
func (d Days) closedOn(t time.Time) bool {
	day := quantity.Date(t.Format(time.DateOnly))
	for _, o := range d.Open {
		if o == day {
			return false
		}
	}
	for _, c := range d.Closed {
		if c == day {
			return true
		}
	}
	return d.Calendar != nil && d.Calendar.IsHoliday(t)
}

// NewOpening returns the hours in a zone. Holidays close whole days; hours
// that say 24x7 have none.
func NewOpening(hours quantity.Hours, zone *time.Location, days Days) (Opening, error) {
	if hours == "" || hours == "24x7" {
		return Opening{zone: zone, always: true}, nil
	}
	list, err := hours.Spans()
	if err != nil {
		return Opening{}, err
	}
	o := Opening{zone: zone, closed: days.closedOn}
	for _, s := range list {
		for _, d := range s.Days {
			o.weekly[d] = append(o.weekly[d], clockSpan{s.From, s.To})
		}
	}
	return o, nil
}

// within lists the open time within a span. It is open whenever the clock
// shows a time in the hours: an hour the clock skips is not open, an hour it
// repeats is open twice.
func (o Opening) within(w Span) spans {
	if w.To <= w.From {
		return nil
	}
	if o.always || o.zone == nil {
		return spans{w}
	}
	var out []Span
	y, m, d := w.From.Time().In(o.zone).Date()
	for day := 0; ; day++ {
		noon := time.Date(y, m, d+day, 12, 0, 0, 0, time.UTC)
		from := startOfDay(noon.Year(), noon.Month(), noon.Day(), o.zone)
		if from >= w.To {
			break
		}
		list := o.weekly[(int(noon.Weekday())+6)%7]
		if len(list) == 0 || o.closed(noon) {
			continue
		}
		next := noon.AddDate(0, 0, 1)
		to := startOfDay(next.Year(), next.Month(), next.Day(), o.zone)
		out = append(out, onClock(Span{from, to}, noon, list, o.zone)...)
	}
	return union(out).clip(w)
}

// onClock lists when, within the one local day, the clock shows a time in any
// of the stretches. The day is cut where the offset changes; within each
// piece the clock runs evenly.
func onClock(day Span, noon time.Time, list []clockSpan, zone *time.Location) []Span {
	var out []Span
	for at := day.From; at < day.To; {
		t := at.Time().In(zone)
		_, offset := t.Zone()
		end := day.To
		if _, change := t.ZoneBounds(); !change.IsZero() && InstantOf(change) < end {
			end = InstantOf(change)
		}
		midnight := InstantOf(time.Date(noon.Year(), noon.Month(), noon.Day(), 0, 0, 0, 0, time.UTC)) - Instant(offset)*1000
		for _, c := range list {
			s := Span{midnight + Instant(c.from)*60_000, midnight + Instant(c.to)*60_000}.overlap(Span{at, end})
			if s.To > s.From {
				out = append(out, s)
			}
		}
		at = end
	}
	return out
}

// deadline returns the end of a period that begins at from: see
// [agreement.Agreement.Deadline], whose rules these are.
func (z rules) deadline(from Instant, p quantity.Period) Instant {
	return InstantOf(z.text.Deadline(from.Time(), p))
}
