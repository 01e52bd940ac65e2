package watch_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/probe"
	"holdfast/internal/sla"
	"holdfast/internal/watch"
)

// state is a database in memory for the arithmetic; what SQL does is the
// store's own suite.
type state struct {
	targets   []escrow.WatchTarget
	stretches []escrow.WatchStretch
	changes   []escrow.WatchChange
	nows      map[string]escrow.WatchNow
	beats     map[string]escrow.WatchBeat
	acts      []escrow.Act
	fail      error
}

func (s *state) View(ctx context.Context, fn func(watch.Tx) error) error { return fn(s) }
func (s *state) Update(ctx context.Context, fn func(watch.Tx) ([]escrow.Act, error)) ([]evidence.Entry, error) {
	if s.fail != nil {
		return nil, s.fail
	}
	acts, err := fn(s)
	if err == nil {
		s.acts = append(s.acts, acts...)
	}
	return nil, err
}
func (s *state) WatchTargets(context.Context, string) ([]escrow.WatchTarget, error) {
	return s.targets, nil
}
func (s *state) WatchTarget(_ context.Context, _, id string) (escrow.WatchTarget, error) {
	for _, t := range s.targets {
		if t.ID == id {
			return t, nil
		}
	}
	return escrow.WatchTarget{}, escrow.Errorf(escrow.NotFound, "no %s", id)
}
func (s *state) PutWatchTarget(_ context.Context, w escrow.WatchTarget) error {
	s.targets = slices.DeleteFunc(s.targets, func(t escrow.WatchTarget) bool { return t.ID == w.ID })
	s.targets = append(s.targets, w)
	return nil
}
func (s *state) AddWatchStretches(_ context.Context, list []escrow.WatchStretch) error {
	s.stretches = append(s.stretches, list...)
	return nil
}
func (s *state) DropWatchStretches(_ context.Context, _, place string, from, to time.Time) error {
	s.stretches = slices.DeleteFunc(s.stretches, func(w escrow.WatchStretch) bool {
		return w.Place == place && w.From.Equal(from) && w.To.Equal(to)
	})
	return nil
}
func (s *state) WatchStretches(_ context.Context, _, target string, from, to time.Time) (out []escrow.WatchStretch, err error) {
	for _, w := range s.stretches {
		if (target == "" || w.Target == target) && w.From.Before(to) && w.To.After(from) {
			out = append(out, w)
		}
	}
	slices.SortStableFunc(out, func(a, b escrow.WatchStretch) int {
		return cmpString(a.Target+a.Place+a.From.Format(time.RFC3339), b.Target+b.Place+b.From.Format(time.RFC3339))
	})
	return out, nil
}
func cmpString(a, b string) int {
	if a < b {
		return -1
	} else if a > b {
		return 1
	}
	return 0
}
func (s *state) WatchHoursBefore(_ context.Context, before time.Time, limit int) (out []escrow.WatchStretch, err error) {
	for _, w := range s.stretches {
		if !w.To.After(before) && w.To.Sub(w.From) <= time.Hour && len(out) < limit {
			out = append(out, w)
		}
	}
	return out, nil
}
func (s *state) PutWatchChange(_ context.Context, w escrow.WatchChange) (bool, error) {
	s.changes = append(s.changes, w)
	return true, nil
}
func (s *state) WatchChanges(context.Context, string, string, time.Time, time.Time, int) ([]escrow.WatchChange, error) {
	return s.changes, nil
}
func (s *state) WatchNows(context.Context, string) (out []escrow.WatchNow, err error) {
	for _, n := range s.nows {
		out = append(out, n)
	}
	return out, nil
}
func (s *state) WatchBeat(_ context.Context, _, target string) (escrow.WatchBeat, error) {
	return s.beats[target], nil
}
func (s *state) Arrangement(context.Context, string) (escrow.Arrangement, error) {
	return escrow.Arrangement{}, nil
}
func (s *state) PutWatchNow(_ context.Context, list []escrow.WatchNow) error {
	for _, n := range list {
		s.nows[n.Target+n.Place] = n
	}
	return nil
}
func (s *state) DropWatchNow(_ context.Context, _, target, place string) error {
	delete(s.nows, target+place)
	return nil
}
func (s *state) PutWatchBeat(_ context.Context, b escrow.WatchBeat) error {
	s.beats[b.Target] = b
	return nil
}

type open struct{}

func (open) Seal(b []byte) ([]byte, error) { return b, nil }
func (open) Open(b []byte) ([]byte, error) { return b, nil }
func (open) Watched(_ []byte, component, _ string) (watch.Measuring, error) {
	if component != "" && component != "portal" {
		return watch.Measuring{}, escrow.Errorf(escrow.NotFound, "no component %s", component)
	}
	return watch.Measuring{Every: 20 * time.Second, Timeout: 5 * time.Second, Redirects: "failed"}, nil
}

type rig struct {
	*watch.Watch
	*state
	now time.Time
}

func begin() time.Time { return time.Date(2026, 10, 24, 22, 10, 0, 0, time.UTC) }

func newRig(t *testing.T, targets ...string) *rig {
	r := &rig{state: &state{nows: map[string]escrow.WatchNow{}, beats: map[string]escrow.WatchBeat{}}, now: begin()}
	r.restart(t)
	for _, id := range targets {
		if _, err := r.SetTarget(t.Context(), escrow.Actor{Role: escrow.Agent}, "acme", watch.NewTarget{ID: id, Probe: []byte(`{"kind":"tcp","address":"a.example:1","every":"30s","timeout":"5s"}`)}); err != nil {
			t.Fatal(err)
		}
	}
	r.load(t)
	return r
}

// restart is another process.
func (r *rig) restart(t *testing.T) {
	r.Watch = watch.New(watch.Options{DB: r.state, Journal: r.state, Secrets: open{}, Terms: open{}, Now: func() time.Time { return r.now }})
}

func (r *rig) load(t *testing.T) {
	t.Helper()
	if _, err := r.Load(t.Context(), "server"); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) see(t *testing.T, target string, state sla.State) {
	t.Helper()
	res := probe.Result{At: r.now, State: state, TookMS: 12}
	if state != sla.Up {
		res.Reason = probe.Refused
	}
	if err := r.Observe("acme", target, "server", res); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) flush(t *testing.T) {
	t.Helper()
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) history(t *testing.T, target string) []sla.Interval {
	t.Helper()
	h, err := r.History(t.Context(), "acme", target, begin().Add(-time.Hour), begin().AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Locations) == 0 {
		return nil
	}
	return h.Locations[0].Intervals
}

// TestAsFold is the property everything rests on: whatever is seen, however
// often it is flushed and the process dies and starts anew, and after hours
// have become days, what is kept is what folding the checks gives.
func TestAsFold(t *testing.T) {
	silence := watch.Silence(30*time.Second, 5*time.Second)
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 4))
		r := newRig(t, "site")
		var readings []sla.Reading
		state := sla.Up
		for range 400 {
			r.now = r.now.Add(time.Duration(random.IntN(60000)) * time.Millisecond)
			switch random.IntN(40) {
			case 0, 1:
				state = sla.Down
			case 2, 3, 4:
				state = sla.Up
			case 5:
				state = sla.Unknown
			case 6:
				r.now = r.now.Add(time.Duration(random.IntN(300)) * time.Minute) // nobody looks
			case 7, 8:
				r.flush(t)
			case 9:
				r.flush(t)
				r.restart(t)
				r.load(t)
			}
			r.now = r.now.Add(time.Millisecond)
			readings = append(readings, sla.Reading{At: sla.InstantOf(r.now), State: state})
			r.see(t, "site", state)
		}
		r.flush(t)
		want, err := sla.Location{ID: "x", Intervals: sla.Fold(readings, silence)}.Tidy()
		if err != nil {
			t.Fatal(err)
		}
		compare := func(when string) {
			t.Helper()
			if diff := cmp.Diff(want, r.history(t, "site"), cmpopts.IgnoreFields(sla.Interval{}, "Evidence")); diff != "" {
				t.Fatalf("seed %d, %s (-want +got):\n%s", seed, when, diff)
			}
		}
		compare("as it was written")
		r.now = r.now.AddDate(0, 3, 0)
		for more := true; more; {
			if more, err = r.Roll(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		compare("as days")
		hours := 0
		for _, s := range r.stretches {
			if s.To.Sub(s.From) <= time.Hour {
				hours++
			}
		}
		if hours > 0 {
			t.Fatalf("seed %d: %d hours are left", seed, hours)
		}
	}
}

func TestEvidenceOfChanges(t *testing.T) {
	r := newRig(t, "site")
	for i, s := range []sla.State{sla.Up, sla.Up, sla.Down, sla.Down, sla.Up} {
		r.now = begin().Add(time.Duration(i) * 30 * time.Second)
		r.see(t, "site", s)
	}
	r.flush(t)
	if len(r.changes) != 3 {
		t.Fatalf("%d changes", len(r.changes))
	}
	list := r.history(t, "site")
	if len(list) != 2 || list[1].State != sla.Down || list[1].Length() != 60000 {
		t.Fatalf("history %+v", list)
	}
	// The outage rests on the check that began it and on the one that ended it.
	var want []string
	for _, c := range r.changes[1:] {
		want = append(want, evidence.Digest(c.Evidence))
		var res probe.Result
		if err := json.Unmarshal(c.Evidence, &res); err != nil || res.At.IsZero() {
			t.Errorf("evidence %s: %v", c.Evidence, err)
		}
	}
	if diff := cmp.Diff(want, list[1].Evidence); diff != "" {
		t.Error(diff)
	}
	acts := 0
	for _, a := range r.acts {
		if a.Kind == "watch.changed" {
			acts++
		}
	}
	if acts != 1 {
		t.Errorf("%d acts for one flush", acts)
	}
}

// TestOwnDeath is a prober that stops for five hours: nobody saw them.
func TestOwnDeath(t *testing.T) {
	r := newRig(t, "site")
	for range 120 {
		r.now = r.now.Add(30 * time.Second)
		r.see(t, "site", sla.Up)
	}
	r.flush(t)
	died := r.now
	r.now = r.now.Add(5 * time.Hour)
	r.restart(t)
	r.load(t)
	for range 120 {
		r.now = r.now.Add(30 * time.Second)
		r.see(t, "site", sla.Up)
	}
	r.flush(t)
	list := r.history(t, "site")
	silence := watch.Silence(30*time.Second, 5*time.Second)
	if len(list) != 2 || list[0].To != sla.InstantOf(died.Add(silence)) || list[1].From != sla.InstantOf(died.Add(5*time.Hour+30*time.Second)) {
		t.Errorf("history %+v", list)
	}
}

// TestDatabaseAway is a database that does not answer: nothing is lost, and
// nothing is written twice.
func TestDatabaseAway(t *testing.T) {
	r := newRig(t, "site")
	for i := range 300 {
		r.now = r.now.Add(30 * time.Second)
		s := sla.Up
		if i%100 > 90 {
			s = sla.Down
		}
		r.see(t, "site", s)
		r.fail = nil
		if i%3 > 0 {
			r.fail = fmt.Errorf("no database")
			if err := r.Flush(t.Context()); err == nil && (len(r.changes) == 0) {
				t.Fatal("nothing failed")
			}
			continue
		}
		r.flush(t)
	}
	r.fail = nil
	r.flush(t)
	list := r.history(t, "site")
	down := int64(0)
	for _, i := range list {
		if i.State == sla.Down {
			down += i.Length()
		}
	}
	if len(r.changes) != 6 || down != 2*9*30000+8*30000 {
		t.Errorf("%d changes, %d ms down", len(r.changes), down)
	}
	seen := map[string]int{}
	for _, s := range r.stretches {
		seen[s.Target+s.From.String()]++
	}
	for hour, n := range seen {
		if n > 1 {
			t.Errorf("%s was written %d times", hour, n)
		}
	}
}

func TestRemoved(t *testing.T) {
	r := newRig(t, "site", "api")
	r.see(t, "site", sla.Up)
	r.see(t, "api", sla.Up)
	r.now = r.now.Add(30 * time.Second)
	r.see(t, "site", sla.Up)
	if err := r.RemoveTarget(t.Context(), escrow.Actor{Role: escrow.Agent}, "acme", "site"); err != nil {
		t.Fatal(err)
	}
	r.load(t)
	if err := r.Observe("acme", "site", "server", probe.Result{At: r.now.Add(time.Second), State: sla.Down}); escrow.CodeOf(err) != escrow.NotFound {
		t.Errorf("a check of what is watched no more: %v", err)
	}
	r.flush(t)
	if list := r.history(t, "site"); len(list) != 1 || list[0].Length() != 30000 {
		t.Errorf("what was seen is gone: %+v", list)
	}
	if s, err := r.Standings(t.Context(), "acme"); err != nil || len(s) != 1 || s[0].ID != "api" {
		t.Errorf("standings %+v (%v)", s, err)
	}
	if len(r.targets[1].Sealed) > 0 && r.targets[1].ID == "site" {
		t.Error("the secrets of a removed target are kept")
	}
	for _, bad := range []probe.Result{{At: r.now, State: "fine"}, {At: begin().AddDate(-1, 0, 0), State: sla.Up}} {
		if err := r.Observe("acme", "api", "server", bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

func TestAgreementFillsIn(t *testing.T) {
	r := newRig(t)
	set := func(component, target string) (escrow.WatchTarget, error) {
		return r.SetTarget(t.Context(), escrow.Actor{Role: escrow.Agent}, "acme", watch.NewTarget{ID: "x", Component: component, Probe: []byte(target)})
	}
	got, err := set("portal", `{"kind":"http","url":"https://a.example/?token=CANARY"}`)
	if err != nil {
		t.Fatal(err)
	}
	var shown probe.Target
	if err := json.Unmarshal(got.Shown, &shown); err != nil || got.Every != 20*time.Second || time.Duration(shown.Timeout) != 5*time.Second || shown.Redirects != "failed" || shown.URL != "https://a.example/?…" {
		t.Errorf("%s, every %s", got.Shown, got.Every)
	}
	if got, err = set("portal", `{"kind":"http","url":"https://a.example","every":"1m","redirects":"followed"}`); err != nil || got.Every != time.Minute {
		t.Errorf("what the target says itself: %s (%v)", got.Every, err)
	}
	if _, err = set("nothing", `{"kind":"http","url":"https://a.example"}`); escrow.CodeOf(err) != escrow.NotFound {
		t.Errorf("another component: %v", err)
	}
}

func TestPush(t *testing.T) {
	r := newRig(t)
	if _, err := r.SetTarget(t.Context(), escrow.Actor{Role: escrow.Agent}, "acme", watch.NewTarget{ID: "job", Probe: []byte(`{"kind":"push","every":"1h","grace":"1m"}`)}); err != nil {
		t.Fatal(err)
	}
	look := func() sla.State {
		t.Helper()
		targets, err := r.Load(t.Context(), "server")
		if err != nil {
			t.Fatal(err)
		}
		res, err := r.Heard(t.Context(), targets[0])
		if err == nil {
			err = r.Observe("acme", "job", "server", res)
		}
		if err != nil {
			t.Fatal(err)
		}
		return res.State
	}
	beat := func(failed bool) {
		t.Helper()
		if err := r.Beat(t.Context(), "acme", "job", failed, "note"); err != nil {
			t.Fatal(err)
		}
	}
	for i, step := range []struct {
		after time.Duration
		beat  string
		want  sla.State
	}{{time.Minute, "", sla.Unknown}, {time.Minute, "ok", sla.Up}, {60 * time.Minute, "", sla.Up}, {2 * time.Minute, "", sla.Down}, {time.Minute, "ok", sla.Up}, {time.Minute, "failed", sla.Down}} {
		r.now = r.now.Add(step.after)
		if step.beat != "" {
			beat(step.beat == "failed")
			r.now = r.now.Add(10 * time.Second)
		}
		if got := look(); got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
	}
	if err := r.Beat(t.Context(), "acme", "job", false, "a\r\nb"); err == nil {
		t.Error("a note of several lines was taken")
	}
}
