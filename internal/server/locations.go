package server

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"holdfast/internal/blob"
	"holdfast/internal/blob/file"
	"holdfast/internal/blob/replica"
	"holdfast/internal/config"
	"holdfast/internal/escrow"
	"holdfast/internal/scrub"
	"holdfast/internal/store"
)

// locations are the places of this installation's objects, at work.
type locations struct {
	config  config.Config
	db      *store.DB
	journal *store.Journal
	blobs   *replica.Store
	scrub   *scrub.Engine
	now     func() time.Time
	log     *slog.Logger
	reload  func() (config.Config, error) // nil where the configuration cannot be read again

	mu      sync.Mutex
	drivers map[config.Location]replica.Driver
	spool   *file.Store
}

// openLocations registers what is configured and opens it. Locations that do
// not work are used when they do; if so few work that nothing could be stored
// the first start fails, since a mistake is likelier than bad luck.
func openLocations(ctx context.Context, c config.Config, db *store.DB, o Options) (*locations, error) {
	y, err := newLocations(c, db, o)
	if err != nil {
		return nil, err
	}
	if err := y.register(ctx, c); err != nil {
		return nil, err
	}
	if err := y.refresh(ctx); err != nil {
		return nil, err
	}
	return y, y.enoughWork(ctx)
}

// readLocations opens the locations that are registered, for who only reads.
func readLocations(ctx context.Context, c config.Config, db *store.DB, o Options) (*replica.Store, error) {
	y, err := newLocations(c, db, o.orDefault())
	if err != nil {
		return nil, err
	}
	return y.blobs, y.refresh(ctx)
}

func newLocations(c config.Config, db *store.DB, o Options) (*locations, error) {
	y := &locations{config: c, db: db, now: o.Now, log: o.Log, reload: o.Reload, journal: db.Journal(o.Now, c.UploadQuota), drivers: make(map[config.Location]replica.Driver)}
	if slices.ContainsFunc(c.AllLocations(), func(l config.Location) bool { return l.Kind == config.S3Location }) {
		var err error
		if y.spool, err = file.Open(filepath.Join(c.Data, "spool")); err != nil {
			return nil, err
		}
	}
	ro := replica.Options{Journal: y.journal, Quorum: c.WriteQuorum, Now: o.Now, Rand: o.Random, Log: o.Log,
		Found: func(ctx context.Context, f replica.Finding) {
			y.scrub.Found(ctx, f.Object, f.Location, f.State, f.Reason, f.Healed)
		}}
	if y.spool != nil {
		ro.Spool = y.spool
	}
	y.blobs = replica.New(ro, nil)
	y.scrub = scrub.New(scrub.Config{DB: database[scrub.Tx]{db}, Journal: y.journal, Copies: y.blobs, Now: o.Now, Log: o.Log,
		Period: time.Duration(c.ScrubPeriod), Grace: time.Duration(c.CollectAfter)})
	return y, nil
}

// register records locations that are new or were changed in the
// configuration. One that is known and not configured any more is refused: its
// objects would be out of reach without a word.
func (y *locations) register(ctx context.Context, c config.Config) error {
	list := c.AllLocations()
	_, err := y.db.Update(ctx, func(tx *store.Tx) ([]escrow.Act, error) {
		known, err := tx.Locations(ctx)
		if err != nil {
			return nil, err
		}
		for _, k := range known {
			if k.State != escrow.LocationRetired && !slices.ContainsFunc(list, func(l config.Location) bool { return l.ID == k.ID }) {
				return nil, escrow.Errorf(escrow.Conflict, "location %s (%s) holds objects and is not in the configuration", k.ID, k.Place).
					WithHint("keep it in 'locations'; to give it up run 'holdfast location drain %s', then 'holdfast location retire %s'", k.ID, k.ID)
			}
		}
		if len(known) == 0 && len(c.Locations) > 0 {
			if err := defaultLeft(c); err != nil {
				return nil, err
			}
		}
		var acts []escrow.Act
		for _, l := range list {
			now := y.now().UTC().Truncate(time.Microsecond)
			want := escrow.Location{ID: l.ID, Kind: l.Kind, Place: l.Place(), Arrangement: l.Arrangement, Counts: l.Counts(), State: escrow.LocationActive, AddedAt: now, ChangedAt: now}
			at := slices.IndexFunc(known, func(k escrow.Location) bool { return k.ID == l.ID })
			kind := "location.added"
			if at >= 0 {
				old := known[at]
				if old.State == escrow.LocationRetired || old.Place == want.Place && old.Counts == want.Counts && old.Kind == want.Kind && old.Arrangement == want.Arrangement {
					continue
				}
				kind, want.State, want.AddedAt = "location.changed", old.State, old.AddedAt
			}
			if err := tx.PutLocation(ctx, want); err != nil {
				return nil, err
			}
			acts = append(acts, escrow.Act{Kind: kind, At: now, Actor: "server", Arrangement: l.Arrangement, Subject: l.ID,
				Data: map[string]any{"kind": want.Kind, "place": want.Place, "counts": want.Counts}})
		}
		return acts, nil
	})
	if err != nil {
		return err
	}
	y.mu.Lock()
	y.config.Locations = c.Locations
	y.mu.Unlock()
	return y.journal.Owe(ctx)
}

// defaultLeft refuses a list of locations that leaves out the directory in
// which an older version kept everything.
func defaultLeft(c config.Config) error {
	if !hasShards(c.ObjectsDir()) || slices.ContainsFunc(c.Locations, func(l config.Location) bool { return l.Path == c.ObjectsDir() }) {
		return nil
	}
	return escrow.Errorf(escrow.Conflict, "there are objects in %s, and no configured location has that path", c.ObjectsDir()).
		WithHint("add '{id: %s, kind: file, path: %s}' to 'locations'; drain and retire it afterwards if it shall go", config.DefaultLocation, c.ObjectsDir())
}

// refresh takes the locations' states from the database: another process may
// have changed them.
func (y *locations) refresh(ctx context.Context) error {
	var known []escrow.Location
	if err := y.db.View(ctx, func(tx *store.Tx) (err error) { known, err = tx.Locations(ctx); return err }); err != nil {
		return err
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	var list []replica.Location
	for _, l := range y.config.AllLocations() {
		at := slices.IndexFunc(known, func(k escrow.Location) bool { return k.ID == l.ID })
		if at < 0 || known[at].State == escrow.LocationRetired {
			continue
		}
		key := l
		key.Quorum, key.Bandwidth, key.Requests = nil, 0, 0
		d := y.drivers[key]
		if d == nil {
			d = driverOf(l, y.spoolOrNil(), os.Getenv, y.now, func(ctx context.Context) (bool, error) { return y.journal.Holds(ctx, l.ID) })
			y.drivers[key] = d
		}
		list = append(list, replica.Location{ID: l.ID, State: known[at].State, Arrangement: l.Arrangement, Counts: l.Counts(), Driver: d, Bandwidth: l.Bandwidth, Requests: l.Requests})
	}
	y.blobs.Set(list)
	return nil
}

func (y *locations) spoolOrNil() blob.Streamer {
	if y.spool == nil {
		return nil
	}
	return y.spool
}

// enoughWork refuses to start when so few locations work that nothing could be
// stored.
func (y *locations) enoughWork(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	list := y.blobs.Locations()
	var mu sync.Mutex
	var wg sync.WaitGroup
	work, counting := 0, 0
	var failed error
	for _, l := range list {
		if l.State != escrow.LocationActive || !l.Counts || l.Arrangement != "" {
			continue
		}
		counting++
		wg.Go(func() {
			err := l.Driver.Probe(ctx)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				work++
				return
			}
			failed = err
			y.log.WarnContext(ctx, "location does not work", "location", l.ID, "error", err)
		})
	}
	wg.Wait()
	want := y.config.WriteQuorum
	if want == 0 {
		want = max(1, min(2, counting))
	}
	if work >= want || failed == nil {
		return nil
	}
	if counting == 1 {
		return failed
	}
	e := escrow.Errorf(escrow.CodeOf(failed), "%d of %d locations work, and %d must have an object: %s", work, counting, want, replica.Reason(failed))
	return e.WithHint("%s", hintOf(failed))
}

// run keeps the locations as they should be until ctx ends.
func (y *locations) run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { y.blobs.CatchUp(ctx) })
	wg.Go(func() { y.owe(ctx) })
	wg.Go(func() { y.scrub.Run(ctx) })
	wg.Wait()
}

// owe notes from time to time what locations should have and nobody wrote down
// for them, until ctx ends: objects that were stored by a process that did not
// know of a location yet, or that came to belong to an arrangement with one of
// its own. It looks at every object, so it looks rarely.
func (y *locations) owe(ctx context.Context) {
	tick := time.NewTicker(owePeriods * time.Duration(y.config.ScheduleEvery))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := y.journal.Owe(ctx); err != nil && ctx.Err() == nil {
			y.log.ErrorContext(ctx, "copies that are owed", "error", err)
		}
	}
}

// owePeriods is how many looks at the schedule go by between two looks for
// copies that nobody noted: five minutes, as it is configured at first.
const owePeriods = 10

// watch takes over what other processes change, until ctx ends.
func (y *locations) watch(ctx context.Context) {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := y.refresh(ctx); err != nil && ctx.Err() == nil {
			y.log.ErrorContext(ctx, "states of the locations", "error", err)
		}
	}
}

// refreshEvery is how soon a process acts on what another one changed.
const refreshEvery = 5 * time.Second

// forArrangement is the store as it is for objects of one arrangement.
func (y *locations) forArrangement(arrangement, party string) replica.View {
	return y.blobs.For(escrow.ObjectOrigin{Arrangement: arrangement, Party: party})
}

// List implements api.Locations.
func (y *locations) List(ctx context.Context) ([]escrow.LocationStatus, error) {
	var out []escrow.LocationStatus
	health := y.blobs.Health()
	err := y.db.View(ctx, func(tx *store.Tx) error {
		list, err := tx.Locations(ctx)
		if err != nil {
			return err
		}
		for _, l := range list {
			s := escrow.LocationStatus{Location: l}
			if s.Use, err = tx.LocationUse(ctx, l.ID); err != nil {
				return err
			}
			if s.Scrub, err = tx.ScrubPass(ctx, l.ID); err != nil {
				return err
			}
			if at := slices.IndexFunc(health, func(h replica.Health) bool { return h.ID == l.ID }); at >= 0 {
				h := health[at]
				s.Away, s.Error, s.Since, s.Latency = h.Away, h.Error, h.Since, h.Latency
			}
			out = append(out, s)
		}
		return nil
	})
	return out, err
}

// SetState implements api.Locations.
func (y *locations) SetState(ctx context.Context, actor escrow.Actor, id string, state escrow.LocationState) error {
	_, err := y.db.Update(ctx, func(tx *store.Tx) ([]escrow.Act, error) {
		l, err := tx.Location(ctx, id)
		if err != nil {
			return nil, err
		}
		if l.State == state {
			return nil, nil
		}
		if err := y.mayChange(ctx, tx, l, state); err != nil {
			return nil, err
		}
		before := l.State
		l.State, l.ChangedAt = state, y.now().UTC().Truncate(time.Microsecond)
		if err := tx.PutLocation(ctx, l); err != nil {
			return nil, err
		}
		if state == escrow.LocationRetired {
			if err := tx.ForgetCopies(ctx, id); err != nil {
				return nil, err
			}
		}
		return []escrow.Act{{Kind: "location." + string(state), At: l.ChangedAt, Actor: actor.String(), Arrangement: l.Arrangement, Subject: id,
			Data: map[string]any{"before": string(before), "place": l.Place}}}, nil
	})
	if err != nil {
		return err
	}
	if err := y.journal.Owe(ctx); err != nil { // what an active location missed while it was draining
		return err
	}
	return y.refresh(ctx)
}

func (y *locations) mayChange(ctx context.Context, tx *store.Tx, l escrow.Location, state escrow.LocationState) error {
	switch {
	case state == escrow.LocationDraining && l.Counts && l.Arrangement == "":
		list, err := tx.Locations(ctx)
		if err != nil {
			return err
		}
		left := 0
		for _, o := range list {
			if o.ID != l.ID && o.State == escrow.LocationActive && o.Counts && o.Arrangement == "" {
				left++
			}
		}
		if left < max(1, y.config.WriteQuorum) {
			return escrow.Errorf(escrow.Conflict, "without location %s only %d are left to store objects in, and %d are needed", l.ID, left, max(1, y.config.WriteQuorum)).
				WithHint("add another location first")
		}
	case state == escrow.LocationRetired && l.State != escrow.LocationDraining:
		return escrow.Errorf(escrow.Conflict, "location %s is %s", l.ID, l.State).WithHint("drain it first: holdfast location drain %s", l.ID)
	case state == escrow.LocationRetired:
		n, err := tx.Alone(ctx, l.ID)
		if err != nil {
			return err
		}
		if n > 0 && l.Arrangement == "" {
			return escrow.Errorf(escrow.Conflict, "%d objects at location %s have no copy elsewhere yet", n, l.ID).
				WithHint("wait until they are copied; 'holdfast location list' shows how many are left")
		}
	}
	return nil
}

// Reload implements api.Locations: it reads the configuration again and takes
// its locations, without a restart.
func (y *locations) Reload(ctx context.Context) error {
	if y.reload == nil {
		return escrow.Errorf(escrow.Conflict, "this process was started without a configuration file").WithHint("restart it with the new locations")
	}
	c, err := y.reload()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(c.AllLocations(), func(l config.Location) bool { return l.Kind == config.S3Location }) {
		y.mu.Lock()
		if y.spool == nil {
			y.spool, err = file.Open(filepath.Join(c.Data, "spool"))
		}
		y.mu.Unlock()
		if err != nil {
			return err
		}
	}
	if err := y.register(ctx, c); err != nil {
		return err
	}
	return y.refresh(ctx)
}

// Scrub implements api.Locations: every object at every location is read now.
func (y *locations) Scrub(ctx context.Context, actor escrow.Actor) (time.Time, error) {
	return y.scrub.Begin(ctx, actor.String())
}
