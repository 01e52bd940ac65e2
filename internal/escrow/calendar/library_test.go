package calendar_test

import (
	"testing"
	"time"

	"github.com/rickar/cal/v2"
	"github.com/rickar/cal/v2/be"
	"github.com/rickar/cal/v2/de"
	"github.com/rickar/cal/v2/gb"
	"github.com/rickar/cal/v2/nl"

	"holdfast/internal/escrow/calendar"
)

// TestAgainstLibrary compares every weekday of 2020-2030 with the lists of
// github.com/rickar/cal, which were written by others.
func TestAgainstLibrary(t *testing.T) {
	for name, list := range map[string][]*cal.Holiday{
		"be": be.Holidays, "de-by": de.HolidaysBY, "de-bw": de.HolidaysBW, "de-nw": de.HolidaysNW, "de-he": de.HolidaysHE, "de-rp": de.HolidaysRP, "de-sl": de.HolidaysSL,
		"gb-eng": gb.Holidays, "nl": nl.Holidays,
	} {
		ours, ok := calendar.ForName(name)
		if !ok {
			t.Fatalf("no calendar %s", name)
		}
		theirs := cal.NewBusinessCalendar()
		theirs.AddHoliday(list...)
		for d := time.Date(2020, 1, 1, 12, 0, 0, 0, time.UTC); d.Year() <= 2030; d = d.AddDate(0, 0, 1) {
			if name == "gb-eng" && d.Format(time.DateOnly) == "2022-09-19" {
				continue // the State Funeral was a bank holiday; the library does not have it
			}
			if got, want := ours.IsBusinessDay(d), theirs.IsWorkday(d); got != want {
				t.Errorf("%s %s (%s): business day %t, the library says %t", name, d.Format(time.DateOnly), d.Weekday(), got, want)
			}
		}
	}
}
