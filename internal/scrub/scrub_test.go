package scrub_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/evidence"
	"holdfast/internal/blob/blobtest"
	"holdfast/internal/blob/file"
	"holdfast/internal/blob/replica"
	"holdfast/internal/escrow"
	"holdfast/internal/scrub"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// database shows the store as the engine wants to see it.
type database struct{ *storetest.Database }

func (d database) View(ctx context.Context, fn func(scrub.Tx) error) error {
	return d.DB.View(ctx, func(tx *store.Tx) error { return fn(tx) })
}

func (d database) Update(ctx context.Context, fn func(scrub.Tx) ([]escrow.Act, error)) ([]evidence.Entry, error) {
	return d.DB.Update(ctx, func(tx *store.Tx) ([]escrow.Act, error) { return fn(tx) })
}

type bench struct {
	db      *storetest.Database
	journal *store.Journal
	blobs   *replica.Store
	engine  *scrub.Engine
	dir     string
	clock   *clock
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) get() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Microsecond)
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func build(t *testing.T, db *storetest.Database, quota int64) *bench {
	t.Helper()
	b := &bench{db: db, dir: t.TempDir(), clock: &clock{now: storetest.Now()}}
	b.journal = db.Journal(b.clock.get, quota)
	var list []replica.Location
	for _, id := range []string{"a", "b"} {
		s, err := file.Open(filepath.Join(b.dir, id))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, replica.Location{ID: id, State: replica.Active, Counts: true, Driver: s})
		db.Update(t, "location.added", func(ctx context.Context, tx *store.Tx) error {
			return tx.PutLocation(ctx, escrow.Location{ID: id, Kind: "file", Place: id, Counts: true, State: escrow.LocationActive, AddedAt: storetest.Now(), ChangedAt: storetest.Now()})
		})
	}
	b.blobs = replica.New(replica.Options{Journal: b.journal, Now: b.clock.get, Found: func(ctx context.Context, f replica.Finding) {
		b.engine.Found(ctx, f.Object, f.Location, f.State, f.Reason, f.Healed)
	}}, list)
	b.engine = scrub.New(scrub.Config{DB: database{db}, Journal: b.journal, Copies: b.blobs, Now: b.clock.get, Log: slog.New(slog.DiscardHandler), Period: 24 * time.Hour, Grace: time.Hour})
	return b
}

func (b *bench) path(location, name string) string {
	return filepath.Join(b.dir, location, name[:2], name)
}

func (b *bench) acts(t *testing.T, kind string) (n int) {
	t.Helper()
	if err := b.db.Raw.QueryRow(`SELECT COUNT(*) FROM ledger_leaf WHERE kind = '` + kind + `'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (b *bench) pass(t *testing.T, location string) escrow.ScrubPass {
	t.Helper()
	var p escrow.ScrubPass
	b.db.Read(t, func(ctx context.Context, tx *store.Tx) (err error) { p, err = tx.ScrubPass(ctx, location); return err })
	return p
}

// A pass goes on where it stopped, keeps its pace, finds and heals, and raises
// an alarm where nothing is left.
func TestScrub(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, open func(testing.TB) *storetest.Database) {
		b := build(t, open(t), 0)
		ctx := t.Context()
		var names []string
		for i := range 20 {
			names = append(names, blobtest.Put(t, b.blobs, bytes.Repeat([]byte{byte(i)}, 10_000)))
		}
		if err := b.engine.StepAt(ctx, "a", time.Minute); err != nil {
			t.Fatal(err)
		}
		if p := b.pass(t, "a"); p.Total != 20 || p.Objects > 2 {
			t.Errorf("at the start of a period: %+v", p)
		}
		b.clock.pass(12 * time.Hour)
		if err := b.engine.StepAt(ctx, "a", time.Minute); err != nil {
			t.Fatal(err)
		}
		if p := b.pass(t, "a"); p.Objects < 10 || p.Objects > 13 {
			t.Errorf("after half of the period: %d of 20", p.Objects)
		}
		// Another process has the pass: this one leaves it alone.
		if _, free, err := b.journal.TakeScrub(ctx, "a", b.clock.get().Add(time.Minute)); err != nil || !free {
			t.Fatal(free, err)
		}
		before := b.pass(t, "a").Objects
		b.clock.pass(30 * time.Second)
		if err := b.engine.StepAt(ctx, "a", time.Minute); err != nil {
			t.Fatal(err)
		}
		if got := b.pass(t, "a").Objects; got != before {
			t.Error("two processes scrub one location")
		}
		b.clock.pass(24 * time.Hour)
		if err := b.engine.StepAt(ctx, "a", time.Minute); err != nil {
			t.Fatal(err)
		}
		if p := b.pass(t, "a"); p.FinishedAt.IsZero() || p.Objects != 20 || b.acts(t, evidence.ActScrubFinished) != 1 {
			t.Errorf("after the period: %+v", p)
		}

		if err := os.Truncate(b.path("a", names[3]), 5); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(b.path("a", names[4])); err != nil {
			t.Fatal(err)
		}
		for _, l := range []string{"a", "b"} {
			if err := os.WriteFile(b.path(l, names[5]), bytes.Repeat([]byte{99}, 10_000), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		asked, err := b.engine.Begin(ctx, "tester")
		if err != nil {
			t.Fatal(err)
		}
		if err := b.engine.StepAt(ctx, "a", time.Minute); err != nil {
			t.Fatal(err)
		}
		p := b.pass(t, "a")
		if p.FinishedAt.IsZero() || p.StartedAt.Before(asked) || p.Damaged != 2 || p.Missing != 1 || p.Healed != 2 || p.Unhealed() != 1 {
			t.Errorf("the pass that was asked for: %+v", p)
		}
		for kind, want := range map[string]int{evidence.ActFindingDamaged: 2, evidence.ActFindingMissing: 1, evidence.ActObjectHealed: 2, evidence.ActFindingUnhealed: 1} {
			if got := b.acts(t, kind); got < want {
				t.Errorf("%s: %d acts, want %d", kind, got, want)
			}
		}
		for _, i := range []int{3, 4} {
			if err := b.blobs.Verify(ctx, names[i], "a", 10_000); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestSweepAdoptsWhatIsThere(t *testing.T) {
	b := build(t, storetest.SQLite(t), 0)
	s, err := file.Open(filepath.Join(b.dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	name := blobtest.Put(t, s, []byte("of an older version"))
	if _, err := b.engine.Begin(t.Context(), "tester"); err != nil {
		t.Fatal(err)
	}
	if err := b.engine.StepAt(t.Context(), "a", time.Minute); err != nil {
		t.Fatal(err)
	}
	o, copies, err := b.journal.Object(t.Context(), name)
	if err != nil || len(o.Tags) == 0 || len(copies) != 2 {
		t.Errorf("%+v, %+v, %v: want tags, a copy at a and one that b owes", o, copies, err)
	}
}

// Nothing that is referred to goes, nothing that arrived a moment ago goes,
// and what goes is named.
func TestCollect(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, open func(testing.TB) *storetest.Database) {
		b := build(t, open(t), 0)
		ctx := t.Context()
		b.db.Update(t, "module", func(ctx context.Context, tx *store.Tx) error { return tx.PutModule(ctx, storetest.Module("code")) })
		used, unused := blobtest.Put(t, b.blobs, []byte("used")), blobtest.Put(t, b.blobs, []byte("unused"))
		d := storetest.Deposit("code", 1)
		d.Objects = []escrow.Object{{Name: used, Size: 4}}
		b.db.Update(t, "deposit", func(ctx context.Context, tx *store.Tx) error { return tx.PutDeposit(ctx, d) })
		if done, err := b.engine.Collect(ctx); err != nil || done.Removed != 0 {
			t.Errorf("within the grace time: %+v, %v", done, err)
		}
		b.clock.pass(2 * time.Hour)
		young := blobtest.Put(t, b.blobs, []byte("young"))
		done, err := b.engine.Collect(ctx)
		if err != nil || done.Removed != 1 {
			t.Errorf("after it: %+v, %v", done, err)
		}
		for name, there := range map[string]bool{used: true, young: true, unused: false} {
			_, err := b.blobs.Stat(ctx, name)
			if (err == nil) != there {
				t.Errorf("%s: %v", name, err)
			}
			for _, l := range []string{"a", "b"} {
				if _, err := os.Stat(b.path(l, name)); (err == nil) != there {
					t.Errorf("%s at %s: %v", name, l, err)
				}
			}
		}
		if b.acts(t, evidence.ActObjectDiscarded) != 1 {
			t.Error("the removal is not recorded once")
		}
		if blobtest.Put(t, b.blobs, []byte("unused")) != unused {
			t.Error("what was removed cannot come again")
		}
	})
}

// Uploads, accepts and the collector at once: every deposit that was accepted
// has its object.
func TestCollectRacesWithAccept(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, open func(testing.TB) *storetest.Database) {
		b := build(t, open(t), 0)
		ctx := t.Context()
		const n = 15
		modules := make([]string, n)
		b.db.Update(t, "modules", func(ctx context.Context, tx *store.Tx) error {
			for i := range modules {
				modules[i] = fmt.Sprintf("m%02d", i)
				if err := tx.PutModule(ctx, storetest.Module(modules[i])); err != nil {
					return err
				}
			}
			return nil
		})
		stop := make(chan struct{})
		var collector, depositors sync.WaitGroup
		collector.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				b.clock.pass(30 * time.Minute) // everything is soon old
				if _, err := b.engine.Collect(ctx); err != nil {
					t.Error(err)
				}
			}
		})
		var mu sync.Mutex
		accepted := map[string]string{}
		for w := range 3 {
			depositors.Go(func() {
				for i := w; i < n; i += 3 {
					data := []byte("object of " + modules[i])
					d := storetest.Deposit(modules[i], 1)
					d.Digest = evidence.Digest(data)
					for range 200 { // upload and submit until it is taken, as a client does
						name, err := put(ctx, b.blobs, data)
						if err == nil {
							d.Objects = []escrow.Object{{Name: name, Size: int64(len(data))}}
							if _, err = b.blobs.Stat(ctx, name); err == nil {
								_, err = b.db.TryUpdate(ctx, "deposit.accepted", func(ctx context.Context, tx *store.Tx) error { return tx.PutDeposit(ctx, d) })
							}
						}
						if err == nil {
							mu.Lock()
							accepted[modules[i]] = name
							mu.Unlock()
							break
						}
						if c := escrow.CodeOf(err); c != escrow.Conflict && c != escrow.Unavailable && c != escrow.Missing {
							t.Error(err)
							return
						}
					}
				}
			})
		}
		depositors.Wait()
		close(stop)
		collector.Wait()
		if len(accepted) == 0 {
			t.Fatal("nothing was accepted")
		}
		b.clock.pass(48 * time.Hour)
		if _, err := b.engine.Collect(ctx); err != nil {
			t.Error(err)
		}
		for module, name := range accepted {
			if err := b.blobs.Verify(ctx, name, "a", int64(len("object of "+module))); err != nil {
				t.Errorf("the object of an accepted deposit: %v", err)
			}
		}
	})
}

func put(ctx context.Context, s *replica.Store, data []byte) (string, error) {
	w, err := s.Create(ctx)
	if err != nil {
		return "", err
	}
	defer w.Abort()
	if _, err := w.Write(data); err != nil {
		return "", err
	}
	name, _, err := w.Commit(ctx)
	return name, err
}

func TestQuotaOfUnusedUploads(t *testing.T) {
	b := build(t, storetest.SQLite(t), 1000)
	s := b.blobs.For(escrow.ObjectOrigin{Arrangement: storetest.Acme, Party: "supplier"})
	w, err := s.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write(make([]byte, 600)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	w, err = s.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write(make([]byte, 601)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Commit(t.Context()); escrow.CodeOf(err) != escrow.Full || !strings.Contains(err.Error(), "supplier") {
		t.Errorf("beyond the quota: %v", err)
	}
}
