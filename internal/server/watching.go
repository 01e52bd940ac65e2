package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"filippo.io/age"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/intake/egress"
	"holdfast/internal/probe"
	"holdfast/internal/probe/schedule"
	"holdfast/internal/sla"
	"holdfast/internal/store"
	engine "holdfast/internal/watch"
)

var _ engine.Tx = (*store.Tx)(nil)

// ownPlace is what this installation calls itself as a place that looks.
const ownPlace = "server"

// How the watching of this process goes on.
const (
	watchFlush  = 5 * time.Second  // how often what was seen is written
	watchLook   = 15 * time.Second // how often it is looked for new targets
	watchLease  = time.Minute      // how long the others wait for a process that died
	watchedRoll = time.Hour        // how often old hours are put together
)

// watching checks the targets of all arrangements from this process.
type watching struct {
	*engine.Watch
	server  *Server
	prober  *probe.Prober
	journal *store.Journal
	process string

	mu      sync.Mutex
	targets map[string]engine.Target // by arrangement and id
}

func (s *Server) buildWatching() (*watching, error) {
	allowed, err := egress.ParseAllow(s.config.EgressAllow)
	if err != nil {
		return nil, err
	}
	w := &watching{server: s, journal: s.db.Journal(s.options.Now, 0), process: strconv.FormatUint(rand.Uint64(), 36), targets: map[string]engine.Target{}}
	var references []probe.Target
	for _, address := range s.config.ProbeReferences {
		t, err := probe.Target{Kind: probe.TCP, Address: address, Timeout: probe.Duration(5 * time.Second)}.Checked()
		if err != nil {
			return nil, escrow.Wrap(err, escrow.Invalid, "configuration: probe_references")
		}
		references = append(references, t)
	}
	w.prober = probe.New(probe.Options{Network: egress.New(egress.Options{Allow: allowed, Timeout: 2 * time.Minute}), Now: s.options.Now, RootCAs: s.options.WebhookCAs, References: references})
	w.Watch = engine.New(engine.Options{DB: database[engine.Tx]{s.db}, Journal: w.journal, Secrets: targetSecrets{s.keys.Identity}, Terms: terms{}, Now: s.options.Now})
	return w, nil
}

// targetSecrets seals targets to the server.
type targetSecrets struct{ identity *age.HybridIdentity }

func (t targetSecrets) Seal(plain []byte) ([]byte, error) { return secrets(t).Seal(plain) }

func (t targetSecrets) Open(sealed []byte) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), t.identity)
	if err != nil {
		return nil, escrow.Errorf(escrow.WrongKey, "it is not sealed to this server's key").WithHint("set the target again")
	}
	return io.ReadAll(io.LimitReader(r, 2*probe.MaxTargetBytes))
}

// Watched implements watch.Terms.
func (terms) Watched(source []byte, component, party string) (engine.Measuring, error) {
	var m engine.Measuring
	a, problems := agreement.Parse("agreement", source)
	if a == nil {
		return m, agreement.Refusal(problems)
	}
	if party != "" && a.Party(party) == nil {
		return m, escrow.Errorf(escrow.NotFound, "the agreement has no party %q", party).WithHint("see 'holdfast agreement explain'")
	}
	if component == "" {
		return m, nil
	}
	known := slices.ContainsFunc(a.Application.Components, func(c agreement.Component) bool { return c.ID == component })
	for _, level := range a.SLA {
		if level.Component != component || level.Probe == nil {
			continue
		}
		known = true
		p := level.Probe
		if d, ok := p.Every.Fixed(); ok && (m.Every == 0 || d < m.Every) { // of several levels the strictest
			m.Every = d
		}
		if d, ok := p.Timeout.Fixed(); ok && d > 0 {
			m.Timeout = d
		}
		if p.Redirects != "" {
			m.Redirects = p.Redirects
		}
	}
	if !known {
		return m, escrow.Errorf(escrow.NotFound, "the agreement has no component %q", component).WithHint("see 'holdfast agreement explain'")
	}
	return m, nil
}

// run checks until ctx ends. Of several processes one does it at a time.
func (w *watching) run(ctx context.Context) {
	var done sync.WaitGroup
	defer done.Wait()
	for ctx.Err() == nil {
		if mine, err := w.take(ctx); err != nil || !mine {
			w.report(ctx, err, "whose turn it is to watch")
			wait(ctx, watchLease/3)
			continue
		}
		w.turn(ctx)
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	w.report(last, w.Flush(last), "write what was seen")
	w.report(last, w.journal.LeaveWatch(last, ownPlace, w.process), "leave watching")
}

func (w *watching) take(ctx context.Context) (bool, error) {
	return w.journal.TakeWatch(ctx, ownPlace, w.process, w.server.options.Now().Add(watchLease))
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (w *watching) report(ctx context.Context, err error, what string) {
	if err != nil && !errors.Is(err, context.Canceled) {
		w.server.options.Log.ErrorContext(ctx, "watch", "what", what, "error", err)
	}
}

// turn checks while it is this process's turn.
func (w *watching) turn(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := schedule.New(schedule.Options{Run: w.check, Now: w.server.options.Now, Missed: func(id string, from, to time.Time, times int) {
		w.server.options.Log.WarnContext(ctx, "checks were missed: this process did not run", "target", id, "from", from, "to", to, "checks", times)
	}})
	var serving sync.WaitGroup
	serving.Go(func() { s.Serve(ctx) })
	defer serving.Wait()
	defer cancel()
	var looked, rolled time.Time
	for renewed := time.Now(); ctx.Err() == nil; wait(ctx, watchFlush) {
		if time.Since(looked) >= watchLook {
			looked = time.Now()
			mine, err := w.take(ctx)
			if err == nil && mine {
				renewed = time.Now()
			}
			w.report(ctx, err, "keep the turn")
			// Whoever cannot renew its turn stops before another may begin.
			if err == nil && !mine || time.Since(renewed) > watchLease*2/3 {
				return
			}
			w.load(ctx, s)
		}
		w.report(ctx, w.Flush(ctx), "write what was seen")
		if time.Since(rolled) >= watchedRoll {
			more, err := w.Roll(ctx)
			w.report(ctx, err, "put old hours together")
			if !more {
				rolled = time.Now()
			}
		}
	}
}

func (w *watching) load(ctx context.Context, s *schedule.Scheduler) {
	list, err := w.Load(ctx, ownPlace)
	w.report(ctx, err, "read what is watched")
	if err != nil && list == nil {
		return
	}
	targets := make(map[string]engine.Target, len(list))
	items := make([]schedule.Item, len(list))
	for i, t := range list {
		id := t.Arrangement + "/" + t.ID
		targets[id], items[i] = t, schedule.Item{ID: id, Every: t.Every}
	}
	w.mu.Lock()
	w.targets = targets
	w.mu.Unlock()
	s.Set(items)
}

// check does one check and hands on what was seen.
func (w *watching) check(ctx context.Context, id string, _ time.Time) {
	w.mu.Lock()
	t, ok := w.targets[id]
	w.mu.Unlock()
	if !ok {
		return
	}
	var r probe.Result
	if t.Probe.Kind == probe.Push {
		var err error
		if r, err = w.Heard(ctx, t); err != nil {
			w.report(ctx, err, "look for a report")
			return
		}
	} else if r = w.prober.Check(ctx, t.Probe); ctx.Err() != nil {
		return // the process stops: what failed was not the target
	}
	if err := w.Observe(t.Arrangement, t.ID, ownPlace, r); err != nil && escrow.CodeOf(err) != escrow.NotFound {
		w.report(ctx, err, "keep what was seen of "+id)
	}
}

// watched shows the engine to the API.
type watched struct{ *engine.Watch }

// Watched implements api.Watching.
func (w watched) Watched(ctx context.Context, arrangement string, pick func(party string) bool, whole bool) ([]client.WatchTarget, error) {
	list, err := w.Standings(ctx, arrangement)
	if err != nil {
		return nil, err
	}
	out := []client.WatchTarget{}
	for _, s := range list {
		if pick(s.Party) {
			out = append(out, shownTarget(s, whole))
		}
	}
	return out, nil
}

func shownTarget(s engine.Standing, whole bool) client.WatchTarget {
	c := client.WatchTarget{ID: s.ID, Component: s.Component, Party: s.Party, Kind: s.Kind, Every: s.Every.String(), State: string(sla.Unknown)}
	if whole {
		c.Target = s.Shown
	}
	for _, p := range s.Places {
		place := client.WatchPlace{Place: p.Place, State: p.State, Since: p.Since.UTC(), Last: p.Last.UTC(), Reason: p.Reason}
		if whole {
			place.Note = p.Note
		}
		c.Places = append(c.Places, place)
		if c.State == string(sla.Unknown) || p.State == string(sla.Down) {
			c.State, c.Since = p.State, given(p.Since)
		}
	}
	return c
}

// PartyOf implements api.Watching.
func (w watched) PartyOf(ctx context.Context, arrangement, id string) (string, error) {
	t, err := w.Target(ctx, arrangement, id)
	return t.Party, err
}

// SetTarget implements api.Watching.
func (w watched) SetTarget(ctx context.Context, actor escrow.Actor, arrangement, id string, n client.NewWatchTarget) (client.WatchTarget, error) {
	t, err := w.Watch.SetTarget(ctx, actor, arrangement, engine.NewTarget{ID: id, Component: n.Component, Party: n.Party, Probe: n.Target})
	if err != nil {
		return client.WatchTarget{}, err
	}
	return shownTarget(engine.Standing{WatchTarget: t}, true), nil
}

// History implements api.Watching.
func (w watched) History(ctx context.Context, arrangement, id string, from, to time.Time, whole bool) (client.WatchHistory, error) {
	h, err := w.Watch.History(ctx, arrangement, id, from, to)
	if err != nil {
		return client.WatchHistory{}, err
	}
	out := client.WatchHistory{From: from.UTC(), To: to.UTC(), Checks: h.Checks, Failed: h.Failed, Places: []client.WatchSum{}}
	for _, l := range h.Locations {
		sum := client.WatchSum{Place: l.ID}
		for _, i := range l.Intervals {
			switch i.State {
			case sla.Up:
				sum.UpMS += i.Length()
			case sla.Down:
				sum.DownMS += i.Length()
			}
		}
		sum.UnknownMS = to.Sub(from).Milliseconds() - sum.UpMS - sum.DownMS
		out.Places = append(out.Places, sum)
	}
	if out.Locations, err = json.Marshal(append([]sla.Location{}, h.Locations...)); err != nil {
		return out, err
	}
	if out.Latency, err = json.Marshal(append([]sla.Latency{}, h.Latency...)); err != nil {
		return out, err
	}
	if out.Response, err = response(h.Latency); err != nil {
		return out, err
	}
	for _, c := range h.Changes {
		change := client.WatchChange{At: c.At.UTC(), Place: c.Place, Was: c.Was, Is: c.Is, Reason: c.Reason, Digest: evidence.Digest(c.Evidence)}
		if whole {
			change.Evidence = c.Evidence
		}
		out.Changes = append(out.Changes, change)
	}
	return out, nil
}

func response(list []sla.Latency) (*client.WatchResponse, error) {
	sum, err := sla.NewSketch()
	if err != nil {
		return nil, err
	}
	for _, l := range list {
		part, err := sla.ReadSketch(l.Sketch)
		if err != nil {
			return nil, err
		}
		if err := sum.MergeWith(part); err != nil {
			return nil, err
		}
	}
	if sum.IsEmpty() {
		return nil, nil
	}
	v, err := sum.GetValuesAtQuantiles([]float64{0.5, 0.95, 0.99})
	if err != nil {
		return nil, err
	}
	return &client.WatchResponse{P50: v[0], P95: v[1], P99: v[2]}, nil
}
