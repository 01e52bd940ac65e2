package probe

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/netresearch/go-cron"

	"holdfast/internal/sla"
)

// Beat is a report of a push target.
type Beat struct {
	At     time.Time
	Failed bool
	Note   string
}

type beats struct {
	next  func(time.Time) time.Time
	grace time.Duration
}

func newBeats(t Target) (beats, error) {
	b := beats{grace: time.Duration(t.Grace)}
	if b.grace < 0 || b.grace > MaxEvery {
		return b, fmt.Errorf("grace %s is not between 0 and %s", b.grace, MaxEvery)
	}
	if t.Schedule == "" {
		if t.Zone != "" {
			return b, errors.New("a zone belongs to a schedule")
		}
		b.next = func(at time.Time) time.Time { return at.Add(time.Duration(t.Every)) }
		return b, nil
	}
	if t.Every != 0 {
		return b, errors.New("say schedule or every, not both")
	}
	if len(t.Schedule) > 200 || strings.ContainsAny(t.Schedule, "=\n\r@") {
		return b, fmt.Errorf("%.80q is not a schedule of five fields, such as 30 2 * * 1-5; its zone is said apart", t.Schedule)
	}
	zone := t.Zone
	if zone == "" {
		zone = "UTC"
	}
	loc, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		return b, fmt.Errorf("%.80q is no zone such as Europe/Amsterdam", zone)
	}
	s, err := cron.ParseStandard(t.Schedule)
	if err != nil {
		return b, fmt.Errorf("%.80q: %v", t.Schedule, err)
	}
	b.next = func(at time.Time) time.Time { return s.Next(at.In(loc)) }
	if b.next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return b, fmt.Errorf("%.80q never comes", t.Schedule)
	}
	return b, nil
}

// Heard says how a push target stands at now, and since when. watched is when
// watching it began; last is its newest report, with a zero time for none.
// Times of a schedule are those of its zone, so that a job at 02:30 is awaited
// at 02:30 whatever the clock was put to.
func Heard(t Target, watched time.Time, last Beat, now time.Time) (sla.State, time.Time, error) {
	b, err := newBeats(t)
	if err != nil {
		return sla.Unknown, now, err
	}
	from := last.At
	if from.IsZero() {
		from = watched
	}
	due := b.next(from).Add(b.grace)
	switch {
	case !now.Before(due):
		return sla.Down, due.UTC(), nil
	case last.At.IsZero():
		return sla.Unknown, watched, nil
	case last.Failed:
		return sla.Down, last.At, nil
	}
	return sla.Up, last.At, nil
}
