// Package quantity is how an agreement writes amounts: periods, money,
// percentages, dates, hours. Every quantity is kept as the text its author
// wrote and is checked and computed with as text and integers, never through
// a floating-point number. It imports the standard library only.
package quantity

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Grammar describes how a quantity is written: Pattern is an anchored regular
// expression of ECMA-262 as JSON Schema uses it.
type Grammar struct {
	What    string // "a period"
	Example string // "10bd"
	Pattern string
}

// maxDigits bounds every whole number so that arithmetic cannot overflow.
const maxDigits = 9

// maxCounted bounds what has to be counted off on a calendar.
const maxCounted = 2000

// digits splits a plain whole number off the front of s: no sign, no leading
// zero, at most maxDigits digits.
func digits(s string) (n int64, rest string, ok bool) {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	if i == 0 || i > maxDigits || i > 1 && s[0] == '0' {
		return 0, s, false
	}
	n, err := strconv.ParseInt(s[:i], 10, 64)
	return n, s[i:], err == nil
}

// Period is a length of time such as 24h, 10bd or 6mo. Months, years and
// business days have no fixed length: they need a date and a calendar.
type Period string

// Unit is the unit of a [Period].
type Unit string

// The units.
const (
	Millisecond Unit = "ms"
	Second      Unit = "s"
	Minute      Unit = "m"
	Hour        Unit = "h"
	Day         Unit = "d"
	Week        Unit = "w"
	Month       Unit = "mo"
	Year        Unit = "y"
	BusinessDay Unit = "bd"
)

// Grammar describes the type.
func (Period) Grammar() Grammar {
	return Grammar{
		What:    "a period: a whole number and ms, s, m (minutes), h, d, w, mo (months), y or bd (business days)",
		Example: "10bd",
		Pattern: `^(0|[1-9][0-9]{0,8})(ms|s|m|h|d|w|mo|y|bd)$`,
	}
}

// Split returns the number and the unit.
func (p Period) Split() (int64, Unit, error) {
	n, rest, ok := digits(string(p))
	u := Unit(rest)
	if !ok {
		u = ""
	}
	switch u {
	case BusinessDay, Month, Year:
		if n > maxCounted {
			return 0, "", fmt.Errorf("%q is longer than %d%s", string(p), maxCounted, u)
		}
		return n, u, nil
	case Millisecond, Second, Minute, Hour, Day, Week:
		return n, u, nil
	}
	return 0, "", fmt.Errorf("%q is not %s", string(p), p.Grammar().What)
}

// Valid reports what is wrong with the text.
func (p Period) Valid() error {
	_, _, err := p.Split()
	return err
}

// Fixed returns the length of a period whose unit always means the same
// number of seconds; a day counts as 24 hours. ok is false for months, years,
// business days, malformed text, and what does not fit.
func (p Period) Fixed() (d time.Duration, ok bool) {
	n, u, err := p.Split()
	if err != nil {
		return 0, false
	}
	var unit time.Duration
	switch u {
	case Millisecond:
		unit = time.Millisecond
	case Second:
		unit = time.Second
	case Minute:
		unit = time.Minute
	case Hour:
		unit = time.Hour
	case Day:
		unit = 24 * time.Hour
	case Week:
		unit = 7 * 24 * time.Hour
	default:
		return 0, false
	}
	if n > int64((1<<63-1)/unit) {
		return 0, false
	}
	return time.Duration(n) * unit, true
}

// IsZero reports whether the period is absent or of no length.
func (p Period) IsZero() bool {
	n, _, err := p.Split()
	return err != nil || n == 0
}

// decimal splits a plain non-negative decimal number off the front of s.
func decimal(s string, places int) (whole int64, fraction, rest string, ok bool) {
	whole, rest, ok = digits(s)
	if !ok || !strings.HasPrefix(rest, ".") {
		return whole, "", rest, ok
	}
	i := 1
	for i < len(rest) && rest[i] >= '0' && rest[i] <= '9' {
		i++
	}
	if i == 1 || i-1 > places {
		return 0, "", rest, false
	}
	return whole, rest[1:i], rest[i:], true
}

// Percent is a share of a whole such as 99.9%, from 0% to 100%.
type Percent string

// Grammar describes the type.
func (Percent) Grammar() Grammar {
	return Grammar{
		What:    "a percentage from 0% to 100% with at most 6 decimals and a percent sign",
		Example: "99.9%",
		Pattern: `^(100(\.0{1,6})?|(0|[1-9][0-9]?)(\.[0-9]{1,6})?)%$`,
	}
}

// Millionths returns the percentage in millionths of a percent: 99.9% is
// 99900000.
func (p Percent) Millionths() (int64, error) {
	whole, fraction, rest, ok := decimal(string(p), 6)
	if !ok || rest != "%" {
		return 0, fmt.Errorf("%q is not %s", string(p), p.Grammar().What)
	}
	n, err := strconv.ParseInt((fraction + "000000")[:6], 10, 64)
	if err != nil || whole > 100 || whole == 100 && n > 0 {
		return 0, fmt.Errorf("%q is not between 0%% and 100%%", string(p))
	}
	return whole*1_000_000 + n, nil
}

// Valid reports what is wrong with the text.
func (p Percent) Valid() error {
	_, err := p.Millionths()
	return err
}

// Money is an amount in a currency such as EUR 3800 or GBP 1250.50.
type Money string

// Grammar describes the type.
func (Money) Grammar() Grammar {
	return Grammar{
		What:    "an amount of money: a currency code, a space and plain digits, with 2 or 4 decimals or none",
		Example: "EUR 3800",
		Pattern: `^[A-Z]{3} (0|[1-9][0-9]{0,8})(\.[0-9]{2}([0-9]{2})?)?$`,
	}
}

// Valid reports what is wrong with the text.
func (m Money) Valid() error {
	if rest, ok := money(string(m)); !ok || rest != "" {
		return fmt.Errorf("%q is not %s", string(m), m.Grammar().What)
	}
	return nil
}

// Currency returns the three-letter code.
func (m Money) Currency() string {
	code, _, _ := strings.Cut(string(m), " ")
	return code
}

func money(s string) (rest string, ok bool) {
	code, amount, found := strings.Cut(s, " ")
	if !found || len(code) != 3 {
		return s, false
	}
	for i := range len(code) {
		if code[i] < 'A' || code[i] > 'Z' {
			return s, false
		}
	}
	_, fraction, rest, ok := decimal(amount, 4)
	// Three decimals would be a thousand to half of Europe.
	return rest, ok && len(fraction)%2 == 0
}

// Rate is money per unit of time such as EUR 145/h or GBP 85000/mo.
type Rate string

// Grammar describes the type.
func (Rate) Grammar() Grammar {
	return Grammar{
		What:    "an amount of money per h, d, w, mo, q (quarter) or y",
		Example: "EUR 145/h",
		Pattern: `^[A-Z]{3} (0|[1-9][0-9]{0,8})(\.[0-9]{2}([0-9]{2})?)?/(h|d|w|mo|q|y)$`,
	}
}

// Valid reports what is wrong with the text.
func (r Rate) Valid() error {
	if rest, ok := money(string(r)); ok {
		switch rest {
		case "/h", "/d", "/w", "/mo", "/q", "/y":
			return nil
		}
	}
	return fmt.Errorf("%q is not %s", string(r), r.Grammar().What)
}

// Date is a calendar day such as 2027-01-01.
type Date string

// Grammar describes the type.
func (Date) Grammar() Grammar {
	return Grammar{
		What:    "a date: year, month and day",
		Example: "2027-01-01",
		Pattern: `^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$`,
	}
}

// Valid reports what is wrong with the text; a day that does not exist, such
// as 2027-02-29, is refused.
func (d Date) Valid() error {
	if _, err := time.Parse(time.DateOnly, string(d)); err != nil || len(d) != len(time.DateOnly) {
		return fmt.Errorf("%q is not %s that exists", string(d), d.Grammar().What)
	}
	return nil
}

// Before reports whether d is earlier than other; both must be valid.
func (d Date) Before(other Date) bool { return d < other }

// MonthDay is a day of every year such as 02-01.
type MonthDay string

// Grammar describes the type.
func (MonthDay) Grammar() Grammar {
	return Grammar{
		What:    "a day of the year: month and day",
		Example: "02-01",
		Pattern: `^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$`,
	}
}

// Valid reports what is wrong with the text. 29 February is a day of the
// year.
func (d MonthDay) Valid() error {
	if _, err := time.Parse(time.DateOnly, "2028-"+string(d)); err != nil || len(d) != 5 {
		return fmt.Errorf("%q is not %s that exists", string(d), d.Grammar().What)
	}
	return nil
}

// Instant is a moment with its offset from UTC such as 2027-03-01T09:00:00Z.
type Instant string

// Grammar describes the type.
func (Instant) Grammar() Grammar {
	return Grammar{
		What:    "a moment: date, time and offset (RFC 3339)",
		Example: "2027-03-01T09:00:00Z",
		Pattern: `^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})$`,
	}
}

// Time returns the moment.
func (i Instant) Time() (time.Time, error) {
	t, err := time.Parse(time.RFC3339, string(i))
	if err != nil || len(i) != len("2006-01-02T15:04:05Z") && len(i) != len("2006-01-02T15:04:05+00:00") || i[len("2006-01-02T15")] != ':' {
		return time.Time{}, fmt.Errorf("%q is not %s", string(i), i.Grammar().What)
	}
	return t, nil
}

// Valid reports what is wrong with the text.
func (i Instant) Valid() error {
	_, err := i.Time()
	return err
}
