package bulletin

import (
	"context"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/sla"
	"holdfast/internal/status"
)

// Page makes the page with an address as it is now. One that was withdrawn is
// not found.
func (b *Board) Page(ctx context.Context, slug string) (*status.Page, error) {
	now := b.o.Now()
	var p escrow.StatusPage
	var app Application
	var incidents []status.Incident
	err := b.o.DB.View(ctx, func(tx Tx) (err error) {
		if p, err = tx.StatusPageAt(ctx, slug); err != nil {
			return err
		}
		if !p.WithdrawnAt.IsZero() {
			return escrow.Errorf(escrow.NotFound, "there is no status page %q", slug)
		}
		if app, err = b.told(ctx, tx, p.Arrangement); err != nil {
			return err
		}
		list, err := tx.Incidents(ctx, p.Arrangement, now.AddDate(0, 0, -status.Days), maxShown)
		if err != nil {
			return err
		}
		for _, i := range list {
			updates, err := tx.IncidentUpdates(ctx, p.Arrangement, i.ID)
			if err != nil {
				return err
			}
			incidents = append(incidents, incident(i, updates))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := b.blank(p, app, now)
	out.Incidents = incidents
	days := lastDays(now.In(app.Zone))
	seen, err := b.o.Watching.Seen(ctx, p.Arrangement, days[0], now)
	if err != nil {
		return nil, err
	}
	for i, c := range app.Components {
		if err := fill(&out.Services[i], c, seen[c.ID], days, now); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// lastDays are the beginnings of the days of the history, and the end of the
// last. A day begins when its date does, whatever the clocks do.
func lastDays(now time.Time) []time.Time {
	y, m, d := now.Date()
	out := make([]time.Time, 0, status.Days+1)
	for i := 1 - status.Days; i <= 1; i++ {
		out = append(out, time.Date(y, m, d+i, 0, 0, 0, 0, now.Location()))
	}
	return out
}

// fill says what was measured of a component.
func fill(s *status.Service, c Component, targets [][]sla.Location, days []time.Time, now time.Time) error {
	var sights []sla.Sight
	for _, t := range targets {
		one, err := c.Together(t)
		if err != nil {
			return err
		}
		sights = append(sights, one)
	}
	all := sla.Worst(sinceWatched(sights))
	down, known := all.Down, all.Known
	if len(known) == 0 {
		return nil
	}
	first := known[0].From.Time()
	for i := range len(days) - 1 {
		from, to := days[i], days[i+1]
		if to.After(now) {
			to = now
		}
		if !to.After(first) || !to.After(from) {
			continue // not looked at yet
		}
		day := sla.Span{From: sla.InstantOf(from), To: sla.InstantOf(to)}
		lost := within(down, day)
		// What nobody looked at is unknown; the newest check is never older than
		// silence on a page that is not itself out of date.
		unknown := time.Duration(day.Length())*time.Millisecond - within(known, day)
		if i == len(days)-2 {
			unknown = max(0, unknown-silence)
		}
		s.Days = append(s.Days, status.Day{Date: from.Format(time.DateOnly), Down: lost, Unknown: unknown})
	}
	last := known[len(known)-1]
	if now.Sub(last.To.Time()) > silence {
		return nil // unknown
	}
	s.State, s.Since = status.Up, last.From.Time()
	if n := len(down); n > 0 && down[n-1].To >= last.To {
		s.State, s.Since = status.Down, down[n-1].From.Time()
	} else if n > 0 {
		s.Since = down[n-1].To.Time()
	}
	return nil
}

// sinceWatched lets a target say nothing about the time before it was watched,
// when others already were: there is no gap in that.
func sinceWatched(list []sla.Sight) []sla.Sight {
	var first sla.Instant
	for _, s := range list {
		if n := len(s.Known); n > 0 && (first == 0 || s.Known[0].From < first) {
			first = s.Known[0].From
		}
	}
	for i, s := range list {
		if n := len(s.Known); n > 0 && s.Known[0].From > first {
			list[i].Known = append([]sla.Span{{From: first, To: s.Known[0].From}}, s.Known...)
		}
	}
	return list
}

// within is how much of a day the spans take.
func within(list []sla.Span, day sla.Span) time.Duration {
	n := int64(0)
	for _, s := range list {
		if from, to := max(s.From, day.From), min(s.To, day.To); from < to {
			n += int64(to - from)
		}
	}
	return time.Duration(n) * time.Millisecond
}
