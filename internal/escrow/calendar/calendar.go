// Package calendar says which days are business days. It imports the standard
// library only and computes every year from rules; holidays a government
// declares once are not known to it.
package calendar

import "time"

// Calendar is the business days of one country or region.
type Calendar struct {
	holidays func(year int) []time.Time
}

// ForName returns the calendar with the name, and whether it is known: nl is
// the Dutch General Extension of Time Limits Act (Algemene termijnenwet, art.
// 3), gb-eng the bank holidays of England and Wales with their substitutes.
func ForName(name string) (Calendar, bool) {
	switch name {
	case "nl":
		return Calendar{dutch}, true
	case "gb-eng":
		return Calendar{english}, true
	}
	return Calendar{}, false
}

// Names lists the calendars that are known.
func Names() []string { return []string{"nl", "gb-eng"} }

// IsBusinessDay reports whether the day of t, in t's own zone, is neither a
// Saturday, a Sunday nor a public holiday.
func (c Calendar) IsBusinessDay(t time.Time) bool {
	if d := t.Weekday(); d == time.Saturday || d == time.Sunday {
		return false
	}
	y, m, d := t.Date()
	for _, h := range c.holidays(y) {
		if _, hm, hd := h.Date(); hm == m && hd == d {
			return false
		}
	}
	return true
}

// Before returns the same time of day n business days before t: each step
// goes back to the nearest earlier business day.
func (c Calendar) Before(t time.Time, n int) time.Time {
	return c.walk(t, n, -1)
}

// After returns the same time of day n business days after t.
func (c Calendar) After(t time.Time, n int) time.Time {
	return c.walk(t, n, 1)
}

func (c Calendar) walk(t time.Time, n, step int) time.Time {
	for n > 0 {
		t = t.AddDate(0, 0, step)
		if c.IsBusinessDay(t) {
			n--
		}
	}
	return t
}

func date(y int, m time.Month, d int) time.Time {
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// easter is Easter Sunday of the Gregorian calendar (Meeus, Jones, Butcher).
func easter(y int) time.Time {
	a, b, c := y%19, y/100, y%100
	d, e := b/4, b%4
	f := (b + 8) / 25
	g := (b - f + 1) / 3
	h := (19*a + b - d - g + 15) % 30
	i, k := c/4, c%4
	l := (32 + 2*e + 2*i - h - k) % 7
	m := (a + 11*h + 22*l) / 451
	month := (h + l - 7*m + 114) / 31
	day := (h+l-7*m+114)%31 + 1
	return date(y, time.Month(month), day)
}

func dutch(y int) []time.Time {
	e := easter(y)
	king := date(y, time.April, 27)
	if king.Weekday() == time.Sunday {
		king = date(y, time.April, 26)
	}
	return []time.Time{
		date(y, time.January, 1), e.AddDate(0, 0, -2), e.AddDate(0, 0, 1), king, date(y, time.May, 5),
		e.AddDate(0, 0, 39), e.AddDate(0, 0, 50), date(y, time.December, 25), date(y, time.December, 26),
	}
}

func english(y int) []time.Time {
	e := easter(y)
	return []time.Time{
		weekday(date(y, time.January, 1)), e.AddDate(0, 0, -2), e.AddDate(0, 0, 1),
		monday(date(y, time.May, 1)), monday(date(y, time.May, 25)), monday(date(y, time.August, 25)),
		christmas(y), boxingDay(y),
	}
}

// weekday moves a holiday on a weekend to the Monday after it.
func weekday(t time.Time) time.Time {
	for t.Weekday() == time.Saturday || t.Weekday() == time.Sunday {
		t = t.AddDate(0, 0, 1)
	}
	return t
}

// christmas is Christmas Day or its substitute. On a Sunday that is the
// Tuesday, since the Monday is Boxing Day.
func christmas(y int) time.Time {
	switch t := date(y, time.December, 25); t.Weekday() {
	case time.Saturday, time.Sunday:
		return date(y, time.December, 27)
	default:
		return t
	}
}

// boxingDay is 26 December or its substitute, after the one of Christmas Day.
func boxingDay(y int) time.Time {
	switch t := date(y, time.December, 26); t.Weekday() {
	case time.Saturday, time.Sunday:
		return date(y, time.December, 28)
	default:
		return t
	}
}

// monday is the first Monday on or after t.
func monday(t time.Time) time.Time {
	for t.Weekday() != time.Monday {
		t = t.AddDate(0, 0, 1)
	}
	return t
}
