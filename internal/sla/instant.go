package sla

import (
	"fmt"
	"strings"
	"time"
)

// Instant is a moment in milliseconds since 1970-01-01T00:00:00Z. Finer
// readings are cut to it, for beginnings and ends alike, so that intervals
// that touch go on touching.
type Instant int64

// InstantOf returns the millisecond that t is in.
func InstantOf(t time.Time) Instant { return Instant(t.UnixMilli()) }

// Time returns the moment in UTC.
func (i Instant) Time() time.Time { return time.UnixMilli(int64(i)).UTC() }

// Add returns the moment d later, or earlier; parts of a millisecond are cut.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d/time.Millisecond) }

// String writes the moment in UTC as RFC 3339 with as many decimals as it has.
func (i Instant) String() string { return i.Time().Format("2006-01-02T15:04:05.999Z07:00") }

// MarshalText writes what String does.
func (i Instant) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText reads a moment with its offset from UTC (RFC 3339, "T" or a
// space between day and time, at most three decimals). A time without an
// offset is refused: nothing says which zone is meant.
func (i *Instant) UnmarshalText(text []byte) error {
	at, err := ParseInstant(string(text), nil)
	*i = at
	return err
}

// ParseInstant reads a moment. With an offset (Z, +02:00) it is that moment;
// without one it is the time on the clock in zone, or refused when zone is
// nil. A day alone is its first moment. A time on the clock that does not
// exist because the clock is put forward, or that exists twice because it is
// put back, is refused: an offset must say what is meant.
func ParseInstant(text string, zone *time.Location) (Instant, error) {
	s := strings.Replace(text, " ", "T", 1)
	if len(s) > len("2006-01-02T15:04:05.000+00:00") {
		return 0, fmt.Errorf("%.40q is not a moment such as 2026-09-10T10:00:00Z, to the millisecond", text)
	}
	if fraction(s) > 3 {
		return 0, fmt.Errorf("%q is finer than a millisecond", text)
	}
	for _, layout := range []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil && year(t) {
			return InstantOf(t), nil
		}
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		t, err := time.Parse(layout, s)
		if err != nil || !year(t) {
			continue
		}
		if zone == nil {
			return 0, fmt.Errorf("%q has no offset from UTC; write it as %sZ or with the offset that is meant", text, t.Format("2006-01-02T15:04:05"))
		}
		if layout == "2006-01-02" {
			return startOfDay(t.Year(), t.Month(), t.Day(), zone), nil
		}
		return local(text, t, zone)
	}
	return 0, fmt.Errorf("%.40q is not a moment such as 2026-09-10T10:00:00Z", text)
}

// year keeps moments where arithmetic in milliseconds and four-digit years
// are safe.
func year(t time.Time) bool { return t.Year() >= 1970 && t.Year() < 2200 }

// fraction returns how many decimals the seconds have.
func fraction(s string) int {
	_, rest, _ := strings.Cut(s, ".")
	n := 0
	for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
		n++
	}
	return n
}

// local finds the moments at which the clock of a zone shows what wall does.
func local(text string, wall time.Time, zone *time.Location) (Instant, error) {
	found := clockShows(wall, zone)
	switch len(found) {
	case 0:
		return 0, fmt.Errorf("%q does not exist in %s: the clock is put forward over it; write the offset from UTC that is meant", text, zone)
	case 1:
		return InstantOf(found[0]), nil
	}
	return 0, fmt.Errorf("%q exists twice in %s: the clock is put back over it; write %s or %s", text, zone,
		found[0].In(zone).Format(time.RFC3339), found[1].In(zone).Format(time.RFC3339))
}

// clockShows lists the moments, in order, at which the clock of the zone
// shows the date and time of wall, whose own zone does not matter. Every
// offset in force within a day and a half is tried.
func clockShows(wall time.Time, zone *time.Location) []time.Time {
	asUTC := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), wall.Nanosecond(), time.UTC)
	var out []time.Time
	seen := map[int]bool{}
	for at := asUTC.Add(-36 * time.Hour); !at.After(asUTC.Add(36 * time.Hour)); at = at.Add(6 * time.Hour) {
		_, offset := at.In(zone).Zone()
		if seen[offset] {
			continue
		}
		seen[offset] = true
		t := asUTC.Add(-time.Duration(offset) * time.Second)
		if _, o := t.In(zone).Zone(); o == offset {
			out = append(out, t)
		}
	}
	if len(out) == 2 && out[1].Before(out[0]) {
		out[0], out[1] = out[1], out[0]
	}
	return out
}

// startOfDay is the first moment of a day: midnight, or the first moment
// after it where the clock is put forward over midnight.
func startOfDay(y int, m time.Month, d int, zone *time.Location) Instant {
	midnight := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	if found := clockShows(midnight, zone); len(found) > 0 {
		return InstantOf(found[0])
	}
	// The clock jumps over midnight: the day begins where the offset changes.
	t := time.Date(y, m, d, 12, 0, 0, 0, zone)
	start, _ := t.ZoneBounds()
	return InstantOf(start)
}

// Span is the time from From up to but not including To.
type Span struct {
	From Instant `json:"from"`
	To   Instant `json:"to"`
}

// Length returns how long it is in milliseconds.
func (s Span) Length() int64 { return int64(s.To - s.From) }

// Contains reports whether the moment is in it.
func (s Span) Contains(i Instant) bool { return s.From <= i && i < s.To }

func (s Span) overlap(o Span) Span {
	return Span{max(s.From, o.From), min(s.To, o.To)}
}

// Valid reports what is wrong with it: no or negative length.
func (s Span) Valid() error {
	switch {
	case s.To < s.From:
		return fmt.Errorf("it ends at %s, before it begins at %s", s.To, s.From)
	case s.To == s.From:
		return fmt.Errorf("it begins and ends at %s: it has no length", s.From)
	}
	return nil
}
