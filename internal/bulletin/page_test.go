package bulletin

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/sla"
	"holdfast/internal/status"
)

func zone(t *testing.T) *time.Location {
	t.Helper()
	z, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func at(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.ParseInLocation("2006-01-02 15:04", s, zone(t))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func seen(t *testing.T, s sla.State, from, to string) sla.Interval {
	return sla.Interval{Span: sla.Span{From: sla.InstantOf(at(t, from)), To: sla.InstantOf(at(t, to))}, State: s}
}

func component() Component {
	return Component{ID: "web", Name: "Web", Together: func(l []sla.Location) (sla.Sight, error) { return sla.Together(&agreement.SLA{}, l) }}
}

// TestDaysOfTheHistory: a day is what the calendar of the zone says, 23 and 25
// hours included, and there are always as many.
func TestDaysOfTheHistory(t *testing.T) {
	days := lastDays(at(t, "2026-11-25 10:00"))
	if len(days) != status.Days+1 || !days[status.Days-1].Equal(at(t, "2026-11-25 00:00")) {
		t.Fatalf("%d days, the last from %s", len(days)-1, days[len(days)-2])
	}
	for i := range len(days) - 1 {
		want := 24 * time.Hour
		if days[i].Format(time.DateOnly) == "2026-10-25" {
			want = 25 * time.Hour
		}
		if got := days[i+1].Sub(days[i]); got != want {
			t.Errorf("%s has %s", days[i].Format(time.DateOnly), got)
		}
	}
}

// TestFill: an outage over midnight is shared by the days it was on, a gap is
// unknown and never up, and what nobody looked at yet is not shown.
func TestFill(t *testing.T) {
	now := at(t, "2026-11-25 10:00")
	place := func(id string, list ...sla.Interval) sla.Location { return sla.Location{ID: id, Intervals: list} }
	for name, c := range map[string]struct {
		targets [][]sla.Location
		want    status.Service
	}{
		"nothing": {nil, status.Service{State: status.Unknown}},
		"up": {[][]sla.Location{{place("a", seen(t, sla.Up, "2026-11-24 12:00", "2026-11-25 09:59"))}},
			status.Service{State: status.Up, Since: at(t, "2026-11-24 12:00"), Days: []status.Day{{Date: "2026-11-24", Unknown: 12 * time.Hour}, {Date: "2026-11-25"}}}},
		"over midnight and on": {[][]sla.Location{{place("a", seen(t, sla.Up, "2026-11-24 00:00", "2026-11-24 23:30"), seen(t, sla.Down, "2026-11-24 23:30", "2026-11-25 00:10"), seen(t, sla.Up, "2026-11-25 00:10", "2026-11-25 09:55"))}},
			status.Service{State: status.Up, Since: at(t, "2026-11-25 00:10"), Days: []status.Day{{Date: "2026-11-24", Down: 30 * time.Minute}, {Date: "2026-11-25", Down: 10 * time.Minute}}}},
		"down": {[][]sla.Location{{place("a", seen(t, sla.Up, "2026-11-25 00:00", "2026-11-25 09:00"), seen(t, sla.Down, "2026-11-25 09:00", "2026-11-25 10:00"))}},
			status.Service{State: status.Down, Since: at(t, "2026-11-25 09:00"), Days: []status.Day{{Date: "2026-11-25", Down: time.Hour}}}},
		"not looked at for long": {[][]sla.Location{{place("a", seen(t, sla.Up, "2026-11-25 00:00", "2026-11-25 08:00"))}},
			status.Service{State: status.Unknown, Days: []status.Day{{Date: "2026-11-25", Unknown: 2*time.Hour - silence}}}},
		"one of two targets is down": {[][]sla.Location{{place("a", seen(t, sla.Up, "2026-11-25 00:00", "2026-11-25 10:00"))}, {place("a", seen(t, sla.Down, "2026-11-25 09:00", "2026-11-25 10:00"))}},
			status.Service{State: status.Down, Since: at(t, "2026-11-25 09:00"), Days: []status.Day{{Date: "2026-11-25", Down: time.Hour}}}},
		"one of three places sees it down": {[][]sla.Location{{place("a", seen(t, sla.Up, "2026-11-25 00:00", "2026-11-25 10:00")), place("b", seen(t, sla.Up, "2026-11-25 00:00", "2026-11-25 10:00")), place("c", seen(t, sla.Down, "2026-11-25 00:00", "2026-11-25 10:00"))}},
			status.Service{State: status.Up, Since: at(t, "2026-11-25 00:00"), Days: []status.Day{{Date: "2026-11-25"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := status.Service{State: status.Unknown}
			if err := fill(&got, component(), c.targets, lastDays(now), now); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
