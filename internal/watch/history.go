package watch

import (
	"context"
	"slices"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/sla"
)

func digest(b []byte) string { return evidence.Digest(b) }

// History is what was seen of a target in a time.
type History struct {
	Locations []sla.Location // by place
	Latency   []sla.Latency
	Checks    int64
	Failed    int64
	Changes   []escrow.WatchChange // the newest first, at most maxChanges
}

// maxChanges bounds the changes of one answer.
const maxChanges = 1000

// History reads what was seen of a target from one moment to another, the hour
// that is not over included. Intervals are cut to that time; sketches are not.
func (w *Watch) History(ctx context.Context, arrangement, target string, from, to time.Time) (History, error) {
	var h History
	var list []escrow.WatchStretch
	err := w.o.DB.View(ctx, func(tx Tx) (err error) {
		if _, err = tx.WatchTarget(ctx, arrangement, target); err != nil {
			return err
		}
		if list, err = tx.WatchStretches(ctx, arrangement, target, from, to); err != nil {
			return err
		}
		nows, err := tx.WatchNows(ctx, arrangement)
		if err != nil {
			return err
		}
		for _, n := range nows {
			s := n.WatchStretch
			s.To = n.Last.Add(time.Millisecond)
			written := slices.ContainsFunc(list, func(l escrow.WatchStretch) bool { return l.Place == s.Place && l.From.Equal(s.From) })
			if s.Target == target && s.From.Before(to) && s.To.After(from) && !written {
				list = append(list, s)
			}
		}
		h.Changes, err = tx.WatchChanges(ctx, arrangement, target, from, to, maxChanges)
		return err
	})
	if err != nil {
		return h, err
	}
	places := map[string]*sla.Location{}
	var order []string
	for _, s := range list {
		l, ok := places[s.Place]
		if !ok {
			l = &sla.Location{ID: s.Place}
			places[s.Place] = l
			order = append(order, s.Place)
		}
		states, err := intervals(s)
		if err != nil {
			return h, err
		}
		for _, i := range states {
			i.From, i.To = max(i.From, sla.InstantOf(from)), min(i.To, sla.InstantOf(to))
			if i.From < i.To {
				l.Intervals = append(l.Intervals, i)
			}
		}
		h.Checks, h.Failed = h.Checks+s.Checks, h.Failed+s.Failed
		if len(s.Sketch) > 0 {
			h.Latency = append(h.Latency, sla.Latency{Span: sla.Span{From: sla.InstantOf(s.From), To: sla.InstantOf(s.To)}, Sketch: s.Sketch})
		}
	}
	slices.Sort(order)
	for _, id := range order {
		l := places[id]
		if l.Intervals, err = l.Tidy(); err != nil {
			return h, err
		}
		h.Locations = append(h.Locations, *l)
	}
	return h, nil
}

// Roll puts the hours of days that are long over together, as many as it can
// in one step, and reports whether there is more to do. States are kept to the
// millisecond and response times with the same error; only the hours are gone.
func (w *Watch) Roll(ctx context.Context) (more bool, err error) {
	before := w.o.Now().Add(-w.o.KeepHours).UTC().Truncate(24 * time.Hour)
	var groups []escrow.WatchStretch
	err = w.o.DB.View(ctx, func(tx Tx) (err error) {
		groups, err = tx.WatchHoursBefore(ctx, before, 24)
		return err
	})
	if err != nil || len(groups) == 0 {
		return false, err
	}
	first := groups[0]
	day := first.From.Truncate(24 * time.Hour)
	end := day.Add(24 * time.Hour)
	_, err = w.o.DB.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		list, err := tx.WatchStretches(ctx, first.Arrangement, "", day, end)
		if err != nil {
			return nil, err
		}
		list = slices.DeleteFunc(list, func(s escrow.WatchStretch) bool {
			return s.Place != first.Place || s.To.Sub(s.From) > time.Hour || s.From.Before(day) || s.To.After(end)
		})
		days, err := together(list, day, end)
		if err != nil {
			return nil, err
		}
		dropped := map[time.Time]bool{}
		for _, s := range list {
			if !dropped[s.From] {
				dropped[s.From] = true
				if err := tx.DropWatchStretches(ctx, s.Arrangement, s.Place, s.From, s.To); err != nil {
					return nil, err
				}
			}
		}
		if err := tx.AddWatchStretches(ctx, days); err != nil {
			return nil, err
		}
		return []escrow.Act{{Kind: "watch.rolled", At: w.o.Now(), Actor: "server", Arrangement: first.Arrangement, Subject: first.Place,
			Data: map[string]any{"from": day.Format(time.RFC3339), "to": end.Format(time.RFC3339), "hours": len(dropped), "targets": len(days)}}}, nil
	})
	return err == nil, err
}

// together makes one stretch for each target of those of a day.
func together(list []escrow.WatchStretch, from, to time.Time) ([]escrow.WatchStretch, error) {
	var out []escrow.WatchStretch
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].Target == list[0].Target {
			n++
		}
		t := &track{key: key{list[0].Arrangement, list[0].Target, list[0].Place}, hour: from}
		for _, s := range list[:n] {
			states, err := intervals(s)
			if err != nil {
				return nil, err
			}
			t.states = append(t.states, states...)
			t.checks, t.failed = t.checks+s.Checks, t.failed+s.Failed
			if len(s.Sketch) == 0 {
				continue
			}
			if t.sketch == nil {
				if t.sketch, err = sla.NewSketch(); err != nil {
					return nil, err
				}
			}
			part, err := sla.ReadSketch(s.Sketch)
			if err != nil {
				return nil, err
			}
			if err := t.sketch.MergeWith(part); err != nil {
				return nil, err
			}
		}
		var err error
		if t.states, err = (sla.Location{ID: t.place, Intervals: t.states}).Tidy(); err != nil {
			return nil, err
		}
		s, _ := t.stretch()
		s.To = to
		out = append(out, s)
		list = list[n:]
	}
	return out, nil
}
