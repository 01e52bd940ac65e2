package watch

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/probe"
	"holdfast/internal/sla"
)

// Tx is what watching reads and writes.
type Tx interface {
	WatchTargets(ctx context.Context, arrangement string) ([]escrow.WatchTarget, error)
	WatchTarget(ctx context.Context, arrangement, id string) (escrow.WatchTarget, error)
	PutWatchTarget(ctx context.Context, w escrow.WatchTarget) error
	AddWatchStretches(ctx context.Context, list []escrow.WatchStretch) error
	DropWatchStretches(ctx context.Context, arrangement, place string, from, to time.Time) error
	WatchStretches(ctx context.Context, arrangement, target string, from, to time.Time) ([]escrow.WatchStretch, error)
	WatchHoursBefore(ctx context.Context, before time.Time, limit int) ([]escrow.WatchStretch, error)
	PutWatchChange(ctx context.Context, w escrow.WatchChange) (bool, error)
	WatchChanges(ctx context.Context, arrangement, target string, from, to time.Time, limit int) ([]escrow.WatchChange, error)
	WatchNows(ctx context.Context, arrangement string) ([]escrow.WatchNow, error)
	WatchBeat(ctx context.Context, arrangement, target string) (escrow.WatchBeat, error)
	Arrangement(ctx context.Context, id string) (escrow.Arrangement, error)
}

// Journal keeps what the ledger does not record: how far watching has come.
type Journal interface {
	PutWatchNow(ctx context.Context, list []escrow.WatchNow) error
	DropWatchNow(ctx context.Context, arrangement, target, place string) error
	PutWatchBeat(ctx context.Context, b escrow.WatchBeat) error
}

// Secrets seals targets, whose requests may hold secrets, to the server.
type Secrets interface {
	Seal(plain []byte) ([]byte, error)
	Open(sealed []byte) ([]byte, error)
}

// Terms reads an agreement's text.
type Terms interface {
	// Watched returns how the agreement says a component is measured. A
	// component or a party that it does not have is NotFound; "" is none.
	Watched(source []byte, component, party string) (Measuring, error)
}

// Measuring is how an agreement says that something is measured. Zero values
// say nothing.
type Measuring struct {
	Every, Timeout time.Duration
	Redirects      string
}

// Options set up a [Watch].
type Options struct {
	DB      escrow.Database[Tx]
	Journal Journal
	Secrets Secrets
	Terms   Terms
	Now     func() time.Time
	// KeepHours is how long hours are kept before they are put together to
	// days; 0 means 45 days.
	KeepHours time.Duration
}

// Watch is the engine. It is safe for use by several goroutines.
type Watch struct {
	o Options

	mu      sync.Mutex
	tracks  map[key]*track
	changes []escrow.WatchChange
	closed  []escrow.WatchStretch

	opened   map[string]opened // by arrangement and id; opening one costs a decryption
	flushing sync.Mutex        // one flush at a time
}

// opened is a target that was opened, and what it was opened from.
type opened struct {
	sealed []byte
	target probe.Target
}

// New makes the engine.
func New(o Options) *Watch {
	if o.KeepHours == 0 {
		o.KeepHours = 45 * 24 * time.Hour
	}
	return &Watch{o: o, tracks: map[key]*track{}, opened: map[string]opened{}}
}

// Silence is after how long without a check it is unknown how a target stands:
// a check may be late, and one may be lost.
func Silence(every, timeout time.Duration) time.Duration {
	return 2*every + timeout + 5*time.Second
}

// Target is a target that is watched, opened.
type Target struct {
	escrow.WatchTarget
	Probe probe.Target
}

// Load reads the targets that are watched, and of those that are new to this
// process how far another one had come. What it returns is to be checked from
// place. A target that cannot be read is left out and named in the error,
// which comes with the others.
func (w *Watch) Load(ctx context.Context, place string) ([]Target, error) {
	var list []escrow.WatchTarget
	var nows []escrow.WatchNow
	err := w.o.DB.View(ctx, func(tx Tx) (err error) {
		if list, err = tx.WatchTargets(ctx, ""); err != nil {
			return err
		}
		nows, err = tx.WatchNows(ctx, "")
		return err
	})
	if err != nil {
		return nil, err
	}
	var out []Target
	var errs []error
	w.mu.Lock()
	known := w.opened
	w.mu.Unlock()
	now := make(map[string]opened, len(list))
	for _, t := range list {
		if !t.RemovedAt.IsZero() {
			continue
		}
		id := t.Arrangement + "/" + t.ID
		o, ok := known[id]
		if !ok || !bytes.Equal(o.sealed, t.Sealed) {
			p, err := w.open(t)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			o = opened{t.Sealed, p}
		}
		now[id] = o
		out = append(out, Target{t, o.target})
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.opened = now
	for _, t := range w.tracks {
		t.watching = false
	}
	for _, t := range out {
		k := key{t.Arrangement, t.ID, place}
		tr, ok := w.tracks[k]
		if !ok {
			tr = &track{key: k}
			if i := slices.IndexFunc(nows, func(n escrow.WatchNow) bool {
				return n.Arrangement == k.arrangement && n.Target == k.target && n.Place == k.place
			}); i >= 0 {
				if err := tr.resume(nows[i]); err != nil {
					errs = append(errs, err)
					tr = &track{key: k}
				}
			}
			w.tracks[k] = tr
		}
		tr.watching = true
		tr.silence = Silence(t.Every, time.Duration(t.Probe.Timeout))
		tr.patience = tr.silence + time.Minute
	}
	return out, errors.Join(errs...)
}

func (w *Watch) open(t escrow.WatchTarget) (probe.Target, error) {
	plain, err := w.o.Secrets.Open(t.Sealed)
	if err != nil {
		return probe.Target{}, escrow.Wrap(err, escrow.WrongKey, "target %s of %s cannot be opened", t.ID, t.Arrangement)
	}
	p, err := probe.Parse(plain)
	if err != nil {
		return p, escrow.Wrap(err, escrow.Damaged, "target %s of %s cannot be read", t.ID, t.Arrangement)
	}
	return p, nil
}

// Observe takes one check. Of a target that is not watched from there, or one
// that is not after the last, nothing is kept.
func (w *Watch) Observe(arrangement, target, place string, r probe.Result) error {
	if !r.State.Valid() {
		return escrow.Errorf(escrow.Invalid, "%.20q is no state", r.State)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	t, ok := w.tracks[key{arrangement, target, place}]
	if !ok || !t.watching {
		return escrow.Errorf(escrow.NotFound, "nothing called %q is watched from %s", target, place)
	}
	change, is, err := t.observe(r, func(s escrow.WatchStretch) { w.closed = append(w.closed, s) })
	if is && err == nil {
		w.changes = append(w.changes, change)
	}
	return err
}

// Heard looks whether a target that reports by itself did so in time.
func (w *Watch) Heard(ctx context.Context, t Target) (probe.Result, error) {
	var beat escrow.WatchBeat
	err := w.o.DB.View(ctx, func(tx Tx) (err error) {
		beat, err = tx.WatchBeat(ctx, t.Arrangement, t.ID)
		return err
	})
	if err != nil {
		return probe.Result{}, err
	}
	now := w.o.Now()
	state, since, err := probe.Heard(t.Probe, t.SetAt, probe.Beat{At: beat.At, Failed: beat.Failed}, now)
	if err != nil {
		return probe.Result{}, err
	}
	r := probe.Result{At: now, State: state}
	if state == sla.Down {
		r.Reason, r.Error = probe.Late, "no report came until "+since.Format(time.RFC3339)
		if beat.Failed && since.Equal(beat.At) {
			r.Reason, r.Error = probe.SaidFailed, "it reported that it failed"
		}
		if beat.Note != "" && beat.Failed {
			r.Notes = []string{beat.Note}
		}
	}
	// A change happened when it fell due or was reported, not when it was
	// looked at, unless a later look was taken already.
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, tr := range w.tracks {
		if tr.arrangement == t.Arrangement && tr.target == t.ID && tr.state != state && since.After(tr.last) && !since.After(now) {
			r.At = since
		}
	}
	return r, nil
}

// maxActChanges bounds the changes of one act.
const maxActChanges = 200

type changed struct {
	Target   string `json:"target"`
	Place    string `json:"place"`
	At       string `json:"at"`
	Was      string `json:"was"`
	Is       string `json:"is"`
	Reason   string `json:"reason,omitempty"`
	Evidence string `json:"evidence"`
}

// Flush writes what was seen since the last one: changes, hours that are over,
// and how far the others have come.
func (w *Watch) Flush(ctx context.Context) error {
	w.flushing.Lock()
	defer w.flushing.Unlock()
	now := w.o.Now()
	w.mu.Lock()
	var nows []escrow.WatchNow
	var gone []key
	for k, t := range w.tracks {
		// Nothing comes any more for what nobody has looked at for so long.
		if !t.hour.IsZero() && now.Sub(t.last) > t.patience && now.Sub(t.hour) >= time.Hour {
			t.advance(now, func(s escrow.WatchStretch) { w.closed = append(w.closed, s) })
		}
		if !t.watching {
			if s, ok := t.rest(); ok {
				w.closed = append(w.closed, s)
			}
			gone = append(gone, k)
			delete(w.tracks, k)
			continue
		}
		if t.changed && !t.last.IsZero() {
			nows = append(nows, t.now())
			t.changed = false
		}
	}
	changes, closed := w.changes, w.closed
	w.changes, w.closed = nil, nil
	w.mu.Unlock()

	// Should writing fail, it is tried again with the next flush.
	var errs []error
	if left, err := w.writeChanges(ctx, changes); err != nil {
		errs = append(errs, err)
		w.mu.Lock()
		w.changes = append(left, w.changes...)
		w.mu.Unlock()
	}
	if left, err := w.writeHours(ctx, closed); err != nil {
		errs = append(errs, err)
		w.mu.Lock()
		w.closed = append(left, w.closed...)
		for _, n := range nows { // not before their hours are
			if t, ok := w.tracks[key{n.Arrangement, n.Target, n.Place}]; ok {
				t.changed = true
			}
		}
		w.mu.Unlock()
		return errors.Join(errs...)
	}
	slices.SortFunc(nows, func(a, b escrow.WatchNow) int {
		return cmp.Or(cmp.Compare(a.Arrangement, b.Arrangement), cmp.Compare(a.Target, b.Target), cmp.Compare(a.Place, b.Place))
	})
	errs = append(errs, w.o.Journal.PutWatchNow(ctx, nows))
	for _, k := range gone {
		errs = append(errs, w.o.Journal.DropWatchNow(ctx, k.arrangement, k.target, k.place))
	}
	return errors.Join(errs...)
}

// rest is the hour of a target that is watched no more, up to its newest check.
func (t *track) rest() (escrow.WatchStretch, bool) {
	if t.hour.IsZero() {
		return escrow.WatchStretch{}, false
	}
	t.shut(t.last)
	s, ok := t.stretch()
	s.To = t.hour.Add(time.Hour)
	return s, ok
}

// writeChanges records changes, one act for an arrangement.
func (w *Watch) writeChanges(ctx context.Context, list []escrow.WatchChange) (left []escrow.WatchChange, err error) {
	slices.SortStableFunc(list, func(a, b escrow.WatchChange) int {
		return cmp.Or(cmp.Compare(a.Arrangement, b.Arrangement), a.At.Compare(b.At), cmp.Compare(a.Target, b.Target))
	})
	for len(list) > 0 {
		n := 1
		for n < len(list) && n < maxActChanges && list[n].Arrangement == list[0].Arrangement {
			n++
		}
		batch := list[:n]
		_, err := w.o.DB.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
			var told []changed
			for _, c := range batch {
				fresh, err := tx.PutWatchChange(ctx, c)
				if err != nil {
					return nil, err
				}
				if fresh {
					told = append(told, changed{c.Target, c.Place, sla.InstantOf(c.At).String(), c.Was, c.Is, c.Reason, digest(c.Evidence)})
				}
			}
			if len(told) == 0 {
				return nil, nil
			}
			return []escrow.Act{{Kind: "watch.changed", At: w.o.Now(), Actor: "server", Arrangement: batch[0].Arrangement, Data: map[string]any{"changes": told}}}, nil
		})
		if err != nil {
			return list, err
		}
		list = list[n:]
	}
	return nil, nil
}

// writeHours records hours that are over, one act for those of an arrangement,
// place and hour. The digest of the hour is that of the act's one row.
func (w *Watch) writeHours(ctx context.Context, list []escrow.WatchStretch) (left []escrow.WatchStretch, err error) {
	same := func(a, b escrow.WatchStretch) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Arrangement, b.Arrangement), cmp.Compare(a.Place, b.Place), a.To.Compare(b.To))
	}
	slices.SortStableFunc(list, func(a, b escrow.WatchStretch) int { return cmp.Or(same(a, b), cmp.Compare(a.Target, b.Target)) })
	for len(list) > 0 {
		n := 1
		for n < len(list) && same(list[0], list[n]) == 0 {
			n++
		}
		if err := w.writeHour(ctx, "watch.hour", list[:n]); err != nil {
			return list, err
		}
		list = list[n:]
	}
	return nil, nil
}

func (w *Watch) writeHour(ctx context.Context, kind string, batch []escrow.WatchStretch) error {
	_, err := w.o.DB.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		first := batch[0]
		// A process that died after it wrote an hour has left the hour as not
		// over: what is there stays.
		have, err := tx.WatchStretches(ctx, first.Arrangement, "", first.From, first.To)
		if err != nil {
			return nil, err
		}
		var fresh []escrow.WatchStretch
		var checks, failed int64
		for _, s := range batch {
			if !slices.ContainsFunc(have, func(h escrow.WatchStretch) bool { return h.Target == s.Target && h.Place == s.Place }) {
				fresh = append(fresh, s)
				checks += s.Checks
				failed += s.Failed
			}
		}
		if len(fresh) == 0 {
			return nil, nil
		}
		if err := tx.AddWatchStretches(ctx, fresh); err != nil {
			return nil, err
		}
		return []escrow.Act{{Kind: kind, At: w.o.Now(), Actor: "server", Arrangement: first.Arrangement, Subject: first.Place,
			Data: map[string]any{"from": first.From.UTC().Format(time.RFC3339), "to": first.To.UTC().Format(time.RFC3339), "targets": len(fresh), "checks": checks, "failed": failed}}}, nil
	})
	return err
}

// intervals reads the states of a stretch.
func intervals(s escrow.WatchStretch) ([]sla.Interval, error) {
	var out []sla.Interval
	if err := json.Unmarshal(s.States, &out); err != nil {
		return nil, escrow.Errorf(escrow.Damaged, "what was seen of %s from %s at %s cannot be read: %w", s.Target, s.Place, s.From.Format(time.RFC3339), err)
	}
	return out, nil
}
