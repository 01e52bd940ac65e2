package watch

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/DataDog/sketches-go/ddsketch"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/probe"
	"holdfast/internal/sla"
)

// key names a target as one place sees it.
type key struct{ arrangement, target, place string }

// track is one target as one place sees it: the hour that is not over.
type track struct {
	key
	silence  time.Duration // after so long without a check nobody knows
	patience time.Duration // after so long nothing comes any more for an hour

	hour     time.Time
	states   []sla.Interval // of the hour, closed
	open     sla.State      // from from on; "" for none
	from     time.Time
	ids      []string // evidence of the open state
	checks   int64
	failed   int64
	sketch   *ddsketch.DDSketch
	last     time.Time // the newest check
	state    sla.State // it saw
	since    time.Time
	reason   string
	note     string
	changed  bool // since it was kept
	watching bool // the target is still watched
}

// observe takes one check and returns the change it is, if it is one.
func (t *track) observe(r probe.Result, closed func(escrow.WatchStretch)) (escrow.WatchChange, bool, error) {
	at := r.At.UTC().Truncate(time.Millisecond)
	if !at.After(t.last) {
		return escrow.WatchChange{}, false, escrow.Errorf(escrow.Conflict, "a check of %s from %s at %s is not after the one at %s", t.target, t.place, at.Format(time.RFC3339Nano), t.last.Format(time.RFC3339Nano))
	}
	t.advance(at, closed)
	if t.hour.IsZero() {
		t.hour = at.Truncate(time.Hour)
	}
	change, is := escrow.WatchChange{}, r.State != t.state
	id := ""
	if is {
		raw, err := json.Marshal(r)
		if err != nil {
			return change, false, err
		}
		id = evidence.Digest(raw)
		change = escrow.WatchChange{Arrangement: t.arrangement, Target: t.target, Place: t.place, At: at, Was: string(t.state), Is: string(r.State), Reason: string(r.Reason), Evidence: raw}
		t.state, t.since = r.State, at
	}
	if t.open != "" && t.open != r.State {
		if id != "" {
			t.ids = append(t.ids, id)
		}
		t.shut(at)
	}
	if t.open == "" && r.State != sla.Unknown {
		t.open, t.from, t.ids = r.State, at, nil
		if id != "" {
			t.ids = []string{id}
		}
	}
	t.last, t.reason, t.changed = at, string(r.Reason), true
	t.note = r.Error
	if t.note == "" && len(r.Notes) > 0 {
		t.note = r.Notes[0]
	}
	t.checks++
	if r.State == sla.Down {
		t.failed++
	}
	if r.State == sla.Up && r.TookMS > 0 {
		if t.sketch == nil {
			s, err := sla.NewSketch()
			if err != nil {
				return change, false, err
			}
			t.sketch = s
		}
		if err := t.sketch.Add(r.TookMS); err != nil {
			return change, false, err
		}
	}
	return change, is, nil
}

// shut ends the open state.
func (t *track) shut(at time.Time) {
	if t.open != "" && at.After(t.from) {
		t.states = append(t.states, sla.Interval{Span: sla.Span{From: sla.InstantOf(t.from), To: sla.InstantOf(at)}, State: t.open, Evidence: slices.Clip(t.ids)})
	}
	t.open, t.ids = "", nil
}

// advance brings the track to a moment at which something is known again: the
// open state lasts until then, but no longer than silence after the newest
// check, and hours that are over are closed.
func (t *track) advance(at time.Time, closed func(escrow.WatchStretch)) {
	if t.hour.IsZero() {
		return
	}
	end := at
	gap := t.open != "" && at.Sub(t.last) > t.silence
	if gap {
		end = t.last.Add(t.silence)
	}
	for next := t.hour.Add(time.Hour); !next.After(at); next = t.hour.Add(time.Hour) {
		state, ids := t.open, t.ids
		t.shut(minTime(end, next))
		t.close(next, closed)
		if state != "" && end.After(next) { // it goes on over the hour
			t.open, t.from, t.ids = state, next, ids
		}
		if t.open == "" && len(t.states) == 0 { // nothing until the moment
			t.hour = at.Truncate(time.Hour)
			break
		}
	}
	if gap {
		t.shut(end)
	}
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// close hands the hour on and begins the next one.
func (t *track) close(next time.Time, closed func(escrow.WatchStretch)) {
	if w, ok := t.stretch(); ok {
		w.To = next
		closed(w)
	}
	t.hour, t.states, t.checks, t.failed, t.sketch, t.changed = next, nil, 0, 0, nil, true
}

// stretch is the hour so far, without the open state.
func (t *track) stretch() (escrow.WatchStretch, bool) {
	w := escrow.WatchStretch{Arrangement: t.arrangement, Place: t.place, From: t.hour, Target: t.target, Checks: t.checks, Failed: t.failed}
	if t.sketch != nil {
		w.Sketch = sla.WriteSketch(t.sketch)
	}
	states := t.states
	if states == nil {
		states = []sla.Interval{}
	}
	w.States, _ = json.Marshal(states) // of numbers and texts: it cannot fail
	return w, t.checks > 0 || len(t.states) > 0
}

// now is what is kept of the track: the open state ends with its newest check.
func (t *track) now() escrow.WatchNow {
	c := *t
	c.states = slices.Clone(t.states)
	c.shut(t.last)
	w, _ := c.stretch()
	return escrow.WatchNow{WatchStretch: w, State: string(t.state), Since: t.since, Last: t.last, Reason: t.reason, Note: t.note}
}

// resume makes the track go on where another process was.
func (t *track) resume(n escrow.WatchNow) error {
	if err := json.Unmarshal(n.States, &t.states); err != nil {
		return escrow.Errorf(escrow.Damaged, "what was seen of %s from %s cannot be read: %w", n.Target, n.Place, err)
	}
	if len(n.Sketch) > 0 {
		s, err := sla.ReadSketch(n.Sketch)
		if err != nil {
			return err
		}
		fresh, err := sla.NewSketch()
		if err != nil {
			return err
		}
		if err := fresh.MergeWith(s); err != nil {
			return err
		}
		t.sketch = fresh
	}
	t.hour, t.checks, t.failed, t.last, t.state, t.since, t.reason, t.note = n.From, n.Checks, n.Failed, n.Last, sla.State(n.State), n.Since, n.Reason, n.Note
	// The state that was open is open again, from its newest interval's start.
	if k := len(t.states); k > 0 && t.states[k-1].To == sla.InstantOf(t.last) && t.states[k-1].State == t.state {
		t.open, t.from, t.ids = t.state, t.states[k-1].From.Time(), t.states[k-1].Evidence
		t.states = t.states[:k-1]
	} else if t.state == sla.Up || t.state == sla.Down {
		t.open, t.from = t.state, t.last
	}
	return nil
}
