package agreement

import (
	"time"
	_ "time/tzdata" // the same zones on every machine

	"holdfast/internal/escrow/agreement/quantity"
	"holdfast/internal/escrow/calendar"
)

// Deadline returns the end of a period that begins at from, by the
// agreement's calendar and time zone: business days skip weekends and public
// holidays, months and years keep the day of the month and end on the last
// day of a month that is too short, days keep the time on the clock.
//
// Where the agreement's holidays are not known, four business days are
// counted on top: a deadline ends late rather than early, so that nobody
// loses time to object by our arithmetic.
func (a *Agreement) Deadline(from time.Time, p quantity.Period) time.Time {
	n, unit, err := p.Split()
	if err != nil || n == 0 {
		return from
	}
	zone, err := time.LoadLocation(a.TimeZone)
	if err != nil {
		zone = time.UTC // the parser refused the zone long before
	}
	local := from.In(zone)
	switch unit {
	case quantity.BusinessDay:
		cal, known := calendar.ForName(string(a.Calendar))
		if !known {
			return weekdays(local, int(n)+4)
		}
		return cal.After(local, int(n))
	case quantity.Month:
		return addMonths(local, int(n))
	case quantity.Year:
		return addMonths(local, 12*int(n))
	case quantity.Day:
		return local.AddDate(0, 0, int(n))
	case quantity.Week:
		return local.AddDate(0, 0, 7*int(n))
	}
	d, _ := p.Fixed()
	return from.Add(d)
}

func addMonths(t time.Time, n int) time.Time {
	y, m, day := t.Date()
	first := time.Date(y, m+time.Month(n), 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location())
	if last := first.AddDate(0, 1, -1).Day(); day > last {
		day = last
	}
	return first.AddDate(0, 0, day-1)
}

func weekdays(t time.Time, n int) time.Time {
	for n > 0 {
		t = t.AddDate(0, 0, 1)
		if d := t.Weekday(); d != time.Saturday && d != time.Sunday {
			n--
		}
	}
	return t
}
