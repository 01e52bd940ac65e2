// Package replica makes one object store of several locations: what it
// acknowledges is durable at a quorum of them, and what it reads was checked,
// wherever it came from.
//
// It imports blob, escrow and golang.org/x/time. Which copies exist is kept in
// a [Journal] that the server supplies.
//
// How an object gets here: its bytes go to every local location while they
// arrive, in parallel, and are hashed once. When they are all there, its name
// is written down with the locations that should have it; then the locations
// give it its name, then what they did is written down. An answer is given when
// a quorum has it. A location that is away, full or too slow to wait for stays
// written down as owing the object; [Store.CatchUp] brings it there.
package replica

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"holdfast/internal/blob"
	"holdfast/internal/escrow"
)

// Options are what a store is made of. Zero durations mean the defaults.
type Options struct {
	Journal Journal
	// Spool takes the bytes of an object until its name is known when no
	// location can.
	Spool blob.Streamer
	// Quorum is how many locations must have an object before it is
	// acknowledged; 0 for two, or one where there is only one.
	Quorum int
	Now    func() time.Time
	Rand   io.Reader
	Log    *slog.Logger

	Stall    time.Duration // how long a location may hold an upload up; default 10 s
	Patience time.Duration // what the others get when a quorum has it; default 3 s
	Every    time.Duration // how often owed copies are looked for; default 5 s
	Backoff  time.Duration // after which a location that failed is tried again, longer each time; default 2 s
	Hedge    time.Duration // after which a read is tried elsewhere as well; default 400 ms
	// Found is told of copies that turned out damaged or missing while they
	// were used.
	Found func(ctx context.Context, f Finding)
}

// Finding is a copy that is not what the journal says.
type Finding struct {
	Object   string
	Location string
	State    escrow.CopyState // Damaged or Missing
	Reason   string
	Healed   bool // replaced by a good copy at once
}

// Store is a [blob.Store] over locations. It is safe for concurrent use.
type Store struct {
	o    Options
	mu   sync.RWMutex
	list []*location
	kick chan struct{}
	// chunks go round among all uploads: one that fills and drops its own
	// would make as much garbage as it stores.
	chunks *sync.Pool
}

var (
	_ blob.Store   = (*Store)(nil)
	_ blob.Deleter = (*Store)(nil)
	_ blob.Store   = View{}
)

// New returns a store over the given locations.
func New(o Options, list []Location) *Store {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&o.Stall, 10*time.Second)
	set(&o.Patience, 3*time.Second)
	set(&o.Every, 5*time.Second)
	set(&o.Backoff, 2*time.Second)
	set(&o.Hedge, 400*time.Millisecond)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Found == nil {
		o.Found = func(context.Context, Finding) {}
	}
	s := &Store{o: o, kick: make(chan struct{}, 1), chunks: new(sync.Pool)}
	s.chunks.New = func() any { return &chunk{data: make([]byte, 0, chunkSize), pool: s.chunks} }
	s.Set(list)
	return s
}

// Set changes the locations while the store is used. One that is not in the
// list any more is not used any more.
func (s *Store) Set(list []Location) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.list
	s.list = make([]*location, len(list))
	for i, l := range list {
		s.list[i] = newLocation(l, s.o.Backoff)
		if at := slices.IndexFunc(before, func(b *location) bool { return b.ID == l.ID && b.Driver == l.Driver }); at >= 0 {
			old := before[at]
			old.mu.Lock()
			s.list[i].failures, s.list[i].err, s.list[i].since, s.list[i].retry, s.list[i].latency = old.failures, old.err, old.since, old.retry, old.latency
			old.mu.Unlock()
		}
	}
	s.wake()
}

// Locations returns what the store uses.
func (s *Store) Locations() []Location {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]Location, len(s.list))
	for i, l := range s.list {
		out[i] = l.Location
	}
	return out
}

// Health tells how every location did lately.
func (s *Store) Health() []Health {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]Health, len(s.list))
	for i, l := range s.list {
		out[i] = l.health()
	}
	return out
}

func (s *Store) location(id string) *location {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if i := slices.IndexFunc(s.list, func(l *location) bool { return l.ID == id }); i >= 0 {
		return s.list[i]
	}
	return nil
}

// all returns the locations in the given states that keep an arrangement's
// objects.
func (s *Store) all(arrangement string, states ...escrow.LocationState) []*location {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []*location
	for _, l := range s.list {
		if slices.Contains(states, l.State) && l.serves(arrangement) {
			out = append(out, l)
		}
	}
	return out
}

// quorum is how many of the locations must have an object.
func (s *Store) quorum(list []*location) int {
	if s.o.Quorum > 0 {
		return s.o.Quorum
	}
	return max(1, min(2, counting(list)))
}

func counting(list []*location) (n int) {
	for _, l := range list {
		if l.Counts {
			n++
		}
	}
	return n
}

// wake has CatchUp look at once.
func (s *Store) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// For returns the store as it is for objects of one origin: they go to the
// locations of its arrangement as well and count against its party's quota.
func (s *Store) For(from Origin) View { return View{s, from} }

// Create implements [blob.Store] for objects of nobody in particular.
func (s *Store) Create(ctx context.Context) (blob.Writer, error) { return s.For(Origin{}).Create(ctx) }

// Open implements [blob.Store].
func (s *Store) Open(ctx context.Context, name string) (blob.Reader, error) {
	return s.For(Origin{}).Open(ctx, name)
}

// Stat implements [blob.Store].
func (s *Store) Stat(ctx context.Context, name string) (int64, error) {
	return s.For(Origin{}).Stat(ctx, name)
}

// View is the store for one origin.
type View struct {
	s    *Store
	from Origin
}

// below says that a quorum was not reached, and whose fault that is.
func below(have, want int, failed map[*location]error) error {
	code := escrow.Code("")
	var reasons []string
	hint := ""
	for l, err := range failed {
		err = l.at(err)
		reasons = append(reasons, Reason(err))
		switch c := escrow.CodeOf(err); {
		case code == "":
			code = c
		case code != c:
			code = escrow.Unavailable
		}
		if e := hintOf(err); e != "" {
			hint = e
		}
	}
	if code != escrow.Full { // everything else may pass
		code = escrow.Unavailable
	}
	slices.Sort(reasons)
	text := fmt.Sprintf("the object is at %d of the %d locations that must have it", have, want)
	if len(reasons) > 0 {
		text += ": " + strings.Join(reasons, "; ")
	}
	if hint == "" {
		hint = "see 'holdfast location list'; nothing was acknowledged, so try again when the location is back"
	}
	return escrow.Errorf(code, "%s", text).WithHint("%s", hint)
}

func hintOf(err error) string {
	var e *escrow.Error
	for err != nil {
		if x, ok := err.(*escrow.Error); ok && x.Hint != "" {
			e = x
			break
		}
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			break
		}
		err = u.Unwrap()
	}
	if e == nil {
		return ""
	}
	return e.Hint
}

// Stat returns the size of an object that is held somewhere. One of which no
// good copy is known counts as missing, so that whoever has it sends it again.
func (v View) Stat(ctx context.Context, name string) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := blob.CheckName(name); err != nil {
		return 0, err
	}
	o, copies, err := v.s.o.Journal.Object(ctx, name)
	if err != nil {
		return 0, err
	}
	if o.Name != "" && !slices.ContainsFunc(copies, func(c Copy) bool { return c.State == Held }) {
		return 0, missing(name)
	}
	var failed error
	for _, l := range v.s.sources(copies) {
		if err := l.request(ctx); err != nil {
			return 0, err
		}
		size, err := l.Driver.Stat(ctx, name)
		l.report(ctx, v.s.o.Now(), err)
		switch {
		case err == nil:
			return size, nil
		case ctx.Err() != nil:
			return 0, ctx.Err()
		case escrow.CodeOf(err) == escrow.Missing:
			v.s.lost(ctx, name, l, copies)
		default:
			failed = l.at(err)
		}
	}
	if failed != nil {
		return 0, failed
	}
	return 0, missing(name)
}

func missing(name string) error {
	return escrow.Errorf(escrow.Missing, "object %s is not held", name)
}

// lost notes that a copy which the journal has is not there.
func (s *Store) lost(ctx context.Context, name string, l *location, copies []Copy) {
	if slices.Contains(copies, Copy{Location: l.ID, State: Held}) {
		s.found(ctx, Finding{Object: name, Location: l.ID, State: Missing, Reason: "it is not there any more"})
	}
}

// found writes a finding down and tells of it. It is for copies that a reader
// came across; the scrubber looks at all of them in time.
func (s *Store) found(ctx context.Context, f Finding) {
	ctx = context.WithoutCancel(ctx)
	if !f.Healed {
		if err := s.o.Journal.Settle(ctx, f.Object, []Result{{Location: f.Location, State: f.State, Reason: f.Reason}}); err != nil {
			s.o.Log.ErrorContext(ctx, "write down a bad copy", "object", f.Object, "location", f.Location, "error", err)
		}
	}
	s.o.Log.WarnContext(ctx, "bad copy", "object", f.Object, "location", f.Location, "state", f.State, "reason", f.Reason, "healed", f.Healed)
	s.o.Found(ctx, f)
}

// sources returns the locations to read from, the best first: those that have
// the object before those that may, those that work before those that are
// away, local before remote. Those whose copy was found bad are the last.
func (s *Store) sources(copies []Copy) []*location {
	s.mu.RLock()
	list := slices.Clone(s.list)
	s.mu.RUnlock()
	now := s.o.Now()
	rank := make(map[*location]int, len(list))
	list = slices.DeleteFunc(list, func(l *location) bool {
		r := 0
		at := slices.IndexFunc(copies, func(c Copy) bool { return c.Location == l.ID })
		switch {
		case l.State == Retired:
			return true
		case at < 0:
			r += 8 // of an older version, or not known
		case copies[at].State == Damaged || copies[at].State == Missing:
			r += 16 // it may have been the location's mood; what is read is checked
		case copies[at].State == Due:
			r += 4
		}
		if l.away(now) {
			r += 2
		}
		if _, local := l.Driver.(blob.Streamer); !local {
			r++
		}
		rank[l] = r
		return false
	})
	slices.SortStableFunc(list, func(a, b *location) int { return rank[a] - rank[b] })
	return list
}

// Delete removes an object for good from every location. It is for the
// collector, which knows what may go. Where a location is away, the error says
// so and the rest is done; calling again goes on.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := blob.CheckName(name); err != nil {
		return err
	}
	s.mu.RLock()
	list := slices.Clone(s.list)
	s.mu.RUnlock()
	failed := make(map[*location]error)
	for _, l := range list {
		if l.State == Retired {
			continue
		}
		err := l.request(ctx)
		if err == nil {
			err = l.Driver.Delete(ctx, name)
			l.report(ctx, s.o.Now(), err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			failed[l] = err
		}
	}
	// Only now: when the journal says that nothing is left, an upload of the
	// same bytes may begin, and nothing may be deleted after that.
	for _, l := range list {
		if l.State == Retired || failed[l] != nil {
			continue
		}
		if err := s.o.Journal.Removed(ctx, name, l.ID); err != nil {
			return err
		}
	}
	for l, err := range failed {
		return l.at(err)
	}
	return nil
}
