package replica

import (
	"context"
	"io"
	"sync"
	"time"

	"holdfast/internal/escrow"
)

const (
	tasksAtOnce = 16
	turn        = 5 * time.Second // of one location before all are looked at again
)

// CatchUp brings objects to the locations that owe them and replaces bad
// copies that readers came across, until ctx ends. Several processes may do
// so. Each location is served by itself, so that a slow one holds up no other.
func (s *Store) CatchUp(ctx context.Context) {
	tick := time.NewTicker(s.o.Every)
	defer tick.Stop()
	for {
		var wg sync.WaitGroup
		for _, l := range s.everywhere() {
			wg.Go(func() { s.catchUpAt(ctx, l) })
		}
		wg.Wait()
		select {
		case <-ctx.Done():
			return
		case <-s.kick:
		case <-tick.C:
		}
	}
}

// everywhere returns the locations that are written.
func (s *Store) everywhere() []*location {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []*location
	for _, l := range s.list {
		if l.State == Active {
			out = append(out, l)
		}
	}
	return out
}

// catchUpAt does what is due at one location, for a while at most, so that
// others that are done are looked at again.
func (s *Store) catchUpAt(ctx context.Context, l *location) {
	end := time.Now().Add(turn)
	for ctx.Err() == nil && time.Now().Before(end) {
		if l.away(s.o.Now()) {
			return
		}
		if h := l.health(); h.Away { // is it back?
			err := l.Driver.Probe(ctx)
			l.report(ctx, s.o.Now(), err)
			if err != nil {
				return
			}
		}
		tasks, err := s.o.Journal.Claim(ctx, l.ID, tasksAtOnce)
		if err != nil {
			if ctx.Err() == nil {
				s.o.Log.ErrorContext(ctx, "copies that are due", "location", l.ID, "error", err)
			}
			return
		}
		for i, t := range tasks {
			err := s.fulfil(ctx, l, t)
			if err != nil && l.away(s.o.Now()) {
				s.giveBack(ctx, l, tasks[i+1:])
				return
			}
			if ctx.Err() != nil {
				s.giveBack(ctx, l, tasks[i:])
				return
			}
		}
		if len(tasks) < tasksAtOnce {
			return
		}
	}
}

// giveBack puts tasks that were claimed and not tried in their place again.
func (s *Store) giveBack(ctx context.Context, l *location, tasks []Task) {
	for _, t := range tasks {
		_ = s.o.Journal.Settle(context.WithoutCancel(ctx), t.Name, []Result{{Location: l.ID, State: t.State, Retry: s.o.Backoff}}) // the claim runs out by itself
	}
}

// fulfil makes one copy and writes down how that went.
func (s *Store) fulfil(ctx context.Context, l *location, t Task) error {
	err := s.copyTo(ctx, l, t.Name, t.State != Due)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r := Result{Location: l.ID, State: Held}
	if err != nil {
		r = Result{Location: l.ID, State: t.State, Reason: Reason(err), Retry: s.o.Backoff << min(t.Attempts, 11)} // an hour at most
	}
	if serr := s.o.Journal.Settle(ctx, t.Name, []Result{r}); serr != nil {
		s.o.Log.ErrorContext(ctx, "write down a copy", "object", t.Name, "location", l.ID, "error", serr)
		return serr
	}
	if err == nil && t.State != Due {
		s.found(ctx, Finding{Object: t.Name, Location: l.ID, State: t.State, Reason: "replaced by a good copy", Healed: true})
	}
	if err != nil {
		s.o.Log.WarnContext(ctx, "a copy could not be made", "object", t.Name, "location", l.ID, "attempts", t.Attempts+1, "error", err)
	}
	return err
}

// copyTo brings an object to a location from a good copy.
func (s *Store) copyTo(ctx context.Context, l *location, name string, replace bool) error {
	from, err := s.Open(ctx, name)
	if err != nil {
		return err
	}
	defer from.Close()
	o := Object{Name: name, Size: from.Size()}
	r := io.NewSectionReader(from, 0, o.Size)
	if !replace {
		return s.place(ctx, l, o, r)
	}
	return l.put(ctx, s.o.Now, o, r, true)
}

// Heal replaces what a location has of an object by a good copy of another
// location, at once. It gives code Damaged or Missing when there is none. A
// location that turns out to have a good one keeps it.
func (s *Store) Heal(ctx context.Context, name, id string) error {
	l := s.location(id)
	if l == nil || l.State == Retired {
		return escrow.Errorf(escrow.NotFound, "no location %q", id)
	}
	_, copies, err := s.o.Journal.Object(ctx, name)
	if err != nil {
		return err
	}
	state := Missing
	for _, c := range copies {
		if c.Location == id {
			state = c.State
		}
	}
	return s.fulfil(ctx, l, Task{StoredObject: Object{Name: name}, Location: id, State: state})
}
