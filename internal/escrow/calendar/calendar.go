// Package calendar says which days are business days. It imports the standard
// library only and computes every year from rules; of the holidays a
// government declares once it knows those of the United Kingdom since 2020.
package calendar

import "time"

// Calendar is the business days of one country or region.
type Calendar struct {
	holidays func(year int) []time.Time
}

// ForName returns the calendar with the name, and whether it is known: nl is
// the Dutch General Extension of Time Limits Act (Algemene termijnenwet, art.
// 3), be the ten Belgian public holidays (act of 4 January 1974), de what is a
// holiday in every German state, with de-bw, de-by, de-he, de-nw, de-rp, de-sl
// where Corpus Christi is one too (and All Saints' Day but for de-he), and
// gb-eng, gb-sct and gb-nir the bank holidays of England and Wales, Scotland
// and Northern Ireland with their substitutes; gb is gb-eng.
func ForName(name string) (Calendar, bool) {
	switch name {
	case "nl":
		return Calendar{dutch}, true
	case "be":
		return Calendar{belgian}, true
	case "de":
		return Calendar{german}, true
	case "de-bw", "de-by":
		return Calendar{catholic(true, time.January, 6)}, true
	case "de-he":
		return Calendar{catholic(false, 0, 0)}, true
	case "de-nw", "de-rp":
		return Calendar{catholic(true, 0, 0)}, true
	case "de-sl":
		return Calendar{catholic(true, time.August, 15)}, true
	case "gb", "gb-eng":
		return Calendar{english}, true
	case "gb-sct":
		return Calendar{scottish}, true
	case "gb-nir":
		return Calendar{northernIrish}, true
	}
	return Calendar{}, false
}

// Names lists the calendars that are known.
func Names() []string {
	return []string{"nl", "be", "de", "de-bw", "de-by", "de-he", "de-nw", "de-rp", "de-sl", "gb", "gb-eng", "gb-sct", "gb-nir"}
}

// IsHoliday reports whether the day of t, in t's own zone, is a public
// holiday, on whatever day of the week.
func (c Calendar) IsHoliday(t time.Time) bool {
	y, m, d := t.Date()
	for _, h := range c.holidays(y) {
		if _, hm, hd := h.Date(); hm == m && hd == d {
			return true
		}
	}
	return false
}

// IsBusinessDay reports whether the day of t, in t's own zone, is neither a
// Saturday, a Sunday nor a public holiday.
func (c Calendar) IsBusinessDay(t time.Time) bool {
	if d := t.Weekday(); d == time.Saturday || d == time.Sunday {
		return false
	}
	return !c.IsHoliday(t)
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

func belgian(y int) []time.Time {
	e := easter(y)
	return []time.Time{
		date(y, time.January, 1), e.AddDate(0, 0, 1), date(y, time.May, 1), e.AddDate(0, 0, 39), e.AddDate(0, 0, 50),
		date(y, time.July, 21), date(y, time.August, 15), date(y, time.November, 1), date(y, time.November, 11), date(y, time.December, 25),
	}
}

func german(y int) []time.Time {
	e := easter(y)
	return []time.Time{
		date(y, time.January, 1), e.AddDate(0, 0, -2), e.AddDate(0, 0, 1), date(y, time.May, 1), e.AddDate(0, 0, 39), e.AddDate(0, 0, 50),
		date(y, time.October, 3), date(y, time.December, 25), date(y, time.December, 26),
	}
}

// catholic is the German holidays with Corpus Christi, where saints with All
// Saints' Day, and one more fixed day; a day of 0 is none. What is a holiday
// in a part of a state only, such as Assumption in Bavaria, is not in it.
func catholic(saints bool, month time.Month, day int) func(int) []time.Time {
	return func(y int) []time.Time {
		out := append(german(y), easter(y).AddDate(0, 0, 60))
		if saints {
			out = append(out, date(y, time.November, 1))
		}
		if day > 0 {
			out = append(out, date(y, month, day))
		}
		return out
	}
}

func english(y int) []time.Time {
	e := easter(y)
	return append(british(y),
		weekday(date(y, time.January, 1)), e.AddDate(0, 0, -2), e.AddDate(0, 0, 1), monday(date(y, time.August, 25)),
		christmas(y), boxingDay(y))
}

// scottish: 2 January with its substitute, the first Monday of August, St
// Andrew's Day; no Easter Monday.
func scottish(y int) []time.Time {
	e := easter(y)
	second := date(y, time.January, 2)
	switch date(y, time.January, 1).Weekday() {
	case time.Friday, time.Saturday: // the 2nd on a weekend, behind the 1st's substitute
		second = monday(second)
		if date(y, time.January, 1).Weekday() == time.Saturday {
			second = second.AddDate(0, 0, 1)
		}
	case time.Sunday:
		second = date(y, time.January, 3)
	}
	return append(british(y),
		weekday(date(y, time.January, 1)), second, e.AddDate(0, 0, -2), monday(date(y, time.August, 1)),
		weekday(date(y, time.November, 30)), christmas(y), boxingDay(y))
}

// northernIrish: England's with St Patrick's Day and the Battle of the Boyne.
func northernIrish(y int) []time.Time {
	return append(english(y), weekday(date(y, time.March, 17)), weekday(date(y, time.July, 12)))
}

// british are the May holidays and those that were proclaimed once.
func british(y int) []time.Time {
	early, spring := monday(date(y, time.May, 1)), monday(date(y, time.May, 25))
	switch y {
	case 2020: // VE Day
		early = date(y, time.May, 8)
	case 2022: // the Platinum Jubilee, the State Funeral
		return []time.Time{early, date(y, time.June, 2), date(y, time.June, 3), date(y, time.September, 19)}
	case 2023: // the Coronation
		return []time.Time{early, spring, date(y, time.May, 8)}
	}
	return []time.Time{early, spring}
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
