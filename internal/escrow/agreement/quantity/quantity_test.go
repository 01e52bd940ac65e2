package quantity_test

import (
	"regexp"
	"testing"
	"time"

	"holdfast/internal/escrow/agreement/quantity"
)

type checked interface {
	Valid() error
	Grammar() quantity.Grammar
}

// TestGrammars: a text is valid exactly when the published pattern matches,
// except where the comment says that only a calendar can tell.
func TestGrammars(t *testing.T) {
	for _, c := range []struct {
		of   func(string) checked
		good []string
		bad  []string
		also []string // matches the pattern, but is refused
	}{
		{
			of:   func(s string) checked { return quantity.Period(s) },
			good: []string{"0d", "1ms", "60s", "15m", "24h", "400d", "2w", "6mo", "1y", "10bd", "999999999s"},
			bad:  []string{"", "d", "1", "01d", "-1d", "+1d", "1.5h", "1 d", "1D", "1h30m", "1min", "1_0d", "1e3s", "9999999999s", "١d", "1d ", "1mo1"},
			also: []string{"2001y", "999999999bd", "5000mo"},
		},
		{
			of:   func(s string) checked { return quantity.Percent(s) },
			good: []string{"0%", "5%", "10%", "99.9%", "99.95%", "100%", "100.000000%", "0.000001%"},
			bad:  []string{"", "%", "10", "010%", "101%", "100.1%", "-1%", "1.%", ".5%", "1,5%", "99.1234567%", "10 %", "1e1%", "1000%"},
		},
		{
			of:   func(s string) checked { return quantity.Money(s) },
			good: []string{"EUR 0", "EUR 3800", "GBP 1250.50", "JPY 999999999", "EUR 0.0001", "EUR 0.50"},
			bad:  []string{"", "EUR", "3800", "EUR3800", "eur 1", "EUR 1.900", "EUR 1,50", "EUR 01", "EUR -1", "EUR 1.", "EURO 1", "EUR 1m", "EUR  1", "EUR 1/h", "€ 1", "EUR 1.12345", "EUR 1.5"},
			also: nil,
		},
		{
			of:   func(s string) checked { return quantity.Rate(s) },
			good: []string{"EUR 145/h", "EUR 6200/mo", "GBP 85000/mo", "EUR 1200/y", "USD 0.05/d", "EUR 1/w", "EUR 1/q"},
			bad:  []string{"", "EUR 145", "EUR 145/hour", "EUR/h", "145/h", "EUR 145 /h", "EUR 145/m"},
		},
		{
			of:   func(s string) checked { return quantity.Date(s) },
			good: []string{"2027-01-01", "2028-02-29", "0001-01-01", "9999-12-31"},
			bad:  []string{"", "2027-1-1", "27-01-01", "2027-13-01", "2027-00-10", "2027-01-32", "2027/01/01", "01-01-2027", "2027-01-01T00:00:00Z", " 2027-01-01"},
			also: []string{"2027-02-29", "2027-04-31"},
		},
		{
			of:   func(s string) checked { return quantity.MonthDay(s) },
			good: []string{"01-01", "02-29", "12-31"},
			bad:  []string{"", "1-1", "13-01", "00-01", "01-32", "01-00", "2027-01-01"},
			also: []string{"02-30", "04-31"},
		},
		{
			of:   func(s string) checked { return quantity.Instant(s) },
			good: []string{"2027-03-01T09:00:00Z", "2027-03-01T09:00:00+01:00"},
			bad:  []string{"", "2027-03-01", "2027-03-01 09:00:00Z", "2027-03-01T09:00:00", "2027-03-01T09:00:00.5Z", "2027-03-01T9:00:00Z"},
			also: []string{"2027-02-30T09:00:00Z", "2027-03-01T25:00:00Z"},
		},
		{
			of:   func(s string) checked { return quantity.Hours(s) },
			good: []string{"24x7", "mon-fri 08:00-18:00", "sat 09:00-12:00", "mon-fri 08:00-18:00, sat 09:00-12:00", "sun-tue 00:00-24:00", "fri-mon 22:00-23:59"},
			bad:  []string{"", "24/7", "ma-vr 08:00-18:00", "mon-fri", "mon-fri 8:00-18:00", "mon-fri 08:00-25:00", "mon-fri 08:00-24:01", "mon-fri 08:00 - 18:00", "Mon 08:00-09:00", "mon 08:00-09:00,tue 08:00-09:00"},
			also: []string{"mon 18:00-08:00", "mon 08:00-08:00"},
		},
	} {
		pattern := regexp.MustCompile(c.of("").Grammar().Pattern)
		for _, s := range c.good {
			if err := c.of(s).Valid(); err != nil || !pattern.MatchString(s) {
				t.Errorf("%q: valid %v, matches %t", s, err, pattern.MatchString(s))
			}
		}
		for _, s := range c.bad {
			if err := c.of(s).Valid(); err == nil || pattern.MatchString(s) {
				t.Errorf("%q passes: valid %v, matches %t", s, err, pattern.MatchString(s))
			}
		}
		for _, s := range c.also {
			if err := c.of(s).Valid(); err == nil || !pattern.MatchString(s) {
				t.Errorf("%q: valid %v, matches %t", s, err, pattern.MatchString(s))
			}
		}
	}
}

func TestFixed(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"800ms": 800 * time.Millisecond, "60s": time.Minute, "15m": 15 * time.Minute, "24h": 24 * time.Hour, "2d": 48 * time.Hour, "1w": 168 * time.Hour, "0d": 0,
	} {
		if got, ok := quantity.Period(s).Fixed(); !ok || got != want {
			t.Errorf("%s is %s, %t", s, got, ok)
		}
	}
	for _, s := range []string{"1mo", "1y", "1bd", "x", "999999999w"} {
		if got, ok := quantity.Period(s).Fixed(); ok {
			t.Errorf("%s is %s", s, got)
		}
	}
	if !quantity.Period("0bd").IsZero() || quantity.Period("1bd").IsZero() || !quantity.Period("").IsZero() {
		t.Error("IsZero")
	}
}

// TestPercentIsExact: 99.895% must never become 99.9%.
func TestPercentIsExact(t *testing.T) {
	for s, want := range map[string]int64{"99.9%": 99_900_000, "99.895%": 99_895_000, "0.000001%": 1, "100%": 100_000_000, "10%": 10_000_000} {
		if got, err := quantity.Percent(s).Millionths(); err != nil || got != want {
			t.Errorf("%s is %d, %v", s, got, err)
		}
	}
}

func TestSpans(t *testing.T) {
	spans, err := quantity.Hours("fri-mon 22:00-24:00, wed 09:30-12:00").Spans()
	if err != nil || len(spans) != 2 || len(spans[0].Days) != 4 || spans[0].Days[0] != 4 || spans[0].Days[3] != 0 || spans[0].To != 24*60 || spans[1].From != 9*60+30 {
		t.Errorf("%+v, %v", spans, err)
	}
	if spans, err := quantity.Hours("24x7").Spans(); err != nil || len(spans[0].Days) != 7 || spans[0].To-spans[0].From != 24*60 {
		t.Errorf("%+v, %v", spans, err)
	}
}

// FuzzValid: no text makes a quantity panic, and valid ones match their
// pattern.
func FuzzValid(f *testing.F) {
	for _, s := range []string{"10bd", "99.9%", "EUR 145/h", "2027-01-01", "02-29", "mon-fri 08:00-18:00, sat 09:00-12:00", "2027-03-01T09:00:00Z", "24x7", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, q := range []checked{quantity.Period(s), quantity.Percent(s), quantity.Money(s), quantity.Rate(s), quantity.Date(s), quantity.MonthDay(s), quantity.Instant(s), quantity.Hours(s)} {
			if q.Valid() == nil && !regexp.MustCompile(q.Grammar().Pattern).MatchString(s) {
				t.Errorf("%q is %s but does not match %s", s, q.Grammar().What, q.Grammar().Pattern)
			}
		}
		quantity.Period(s).Fixed()
		quantity.Money(s).Currency()
	})
}
