package calendar_test

import (
	"testing"
	"time"

	"holdfast/internal/escrow/calendar"
)

func TestHolidays(t *testing.T) {
	// Published dates: rijksoverheid.nl and gov.uk/bank-holidays.
	for name, days := range map[string][]string{
		"nl": {
			"2026-01-01", "2026-04-03", "2026-04-06", "2026-04-27", "2026-05-05", "2026-05-14", "2026-05-25", "2026-12-25",
			"2027-03-26", "2027-03-29", "2027-04-27", "2027-05-05", "2027-05-06", "2027-05-17",
			"2025-04-18", "2025-04-21", "2025-05-29", "2025-06-09", "2025-12-26", // King's Day is Saturday 26 April in 2025
		},
		"gb-eng": {
			"2025-01-01", "2025-04-18", "2025-04-21", "2025-05-05", "2025-05-26", "2025-08-25", "2025-12-25", "2025-12-26",
			"2026-04-03", "2026-04-06", "2026-05-04", "2026-05-25", "2026-08-31", "2026-12-25", "2026-12-28",
			"2027-01-01", "2027-03-26", "2027-03-29", "2027-05-03", "2027-05-31", "2027-08-30", "2027-12-27", "2027-12-28",
			"2028-01-03", "2022-12-26", "2022-12-27", "2022-01-03",
		},
		"gb-sct": {"2023-01-02", "2023-01-03", "2026-01-01", "2026-01-02", "2026-08-03", "2026-11-30", "2027-01-01", "2027-01-04", "2028-01-03", "2028-01-04", "2024-12-02"},
		"gb-nir": {"2026-03-17", "2026-07-13", "2026-08-31", "2027-07-12", "2026-04-06"},
	} {
		c, ok := calendar.ForName(name)
		if !ok {
			t.Fatalf("no calendar %q", name)
		}
		for _, day := range days {
			d, err := time.Parse(time.DateOnly, day)
			if err != nil {
				t.Fatal(err)
			}
			if c.IsBusinessDay(d) {
				t.Errorf("%s: %s (%s) counts as a business day", name, day, d.Weekday())
			}
		}
	}
}

func TestOrdinaryDays(t *testing.T) {
	for name, days := range map[string][]string{
		"nl":     {"2026-04-07", "2026-04-28", "2025-04-28", "2026-05-04", "2026-12-28", "2027-12-27"},
		"gb-sct": {"2026-04-06", "2026-08-31"},
		"gb-eng": {"2026-04-27", "2026-05-05", "2026-12-29", "2027-12-29", "2028-01-04", "2026-12-24"},
	} {
		c, _ := calendar.ForName(name)
		for _, day := range days {
			if d, _ := time.Parse(time.DateOnly, day); !c.IsBusinessDay(d) {
				t.Errorf("%s: %s counts as a holiday", name, day)
			}
		}
	}
}

func TestBeforeAndAfter(t *testing.T) {
	nl, _ := calendar.ForName("nl")
	zone, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		t.Skip("no time zones here")
	}
	// Easter 2027 is 28 March, the night the clocks change.
	at := time.Date(2027, 3, 30, 10, 0, 0, 0, zone)
	if got, want := nl.Before(at, 1), time.Date(2027, 3, 25, 10, 0, 0, 0, zone); !got.Equal(want) {
		t.Errorf("one business day before %s is %s, want %s", at, got, want)
	}
	if got := nl.After(nl.Before(at, 7), 7); !got.Equal(at) {
		t.Errorf("seven back and seven on is %s, want %s", got, at)
	}
	if _, ok := calendar.ForName("xx"); ok {
		t.Error("xx is a calendar")
	}
}
