package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/store"
)

func watchTarget(id string) escrow.WatchTarget {
	return escrow.WatchTarget{Arrangement: Acme, ID: id, Component: "portal", Party: "gem-a", Kind: "http", Every: 30 * time.Second, Shown: []byte(`{"kind":"http"}`), Sealed: []byte("sealed"), SetBy: "agent/eva", SetAt: at(40)}
}

func watchStretch(target string, hour int) escrow.WatchStretch {
	return escrow.WatchStretch{Arrangement: Acme, Place: "server", From: at(60 * hour), To: at(60*hour + 60), Target: target, States: []byte(`[{"state":"up"}]`), Checks: 120, Failed: 1, Sketch: []byte("sketch")}
}

func watchChange(minute int) escrow.WatchChange {
	return escrow.WatchChange{Arrangement: Acme, Target: "site", Place: "server", At: at(minute), Was: "up", Is: "down", Reason: "timeout", Evidence: []byte(`{"state":"down"}`)}
}

// watchSteps fill the tables of what is measured and what was seen.
func watchSteps() []step {
	return []step{
		{"watch_target", func(ctx context.Context, tx *store.Tx) error { return tx.PutWatchTarget(ctx, watchTarget("site")) }},
		{"watch_stretch", func(ctx context.Context, tx *store.Tx) error {
			return tx.AddWatchStretches(ctx, []escrow.WatchStretch{watchStretch("site", 1)})
		}},
		{"watch_change", func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.PutWatchChange(ctx, watchChange(70))
			return err
		}},
	}
}

func testWatch(t *testing.T, d *Database) {
	ctx := t.Context()
	add := func(list ...escrow.WatchStretch) write {
		return func(ctx context.Context, tx *store.Tx) error { return tx.AddWatchStretches(ctx, list) }
	}
	d.refuses(t, "of no target", escrow.Conflict, add(watchStretch("site", 1)))
	for _, id := range []string{"site", "api"} {
		d.Update(t, "watch.target", func(ctx context.Context, tx *store.Tx) error { return tx.PutWatchTarget(ctx, watchTarget(id)) })
	}
	gone := watchTarget("api")
	gone.RemovedAt, gone.Sealed = at(50), nil
	d.Update(t, "watch.target", func(ctx context.Context, tx *store.Tx) error { return tx.PutWatchTarget(ctx, gone) })
	same(t, d, "targets", []escrow.WatchTarget{gone, watchTarget("site")}, func(ctx context.Context, tx *store.Tx) ([]escrow.WatchTarget, error) { return tx.WatchTargets(ctx, "") })

	d.Update(t, "watch.hour", add(watchStretch("api", 1), watchStretch("site", 1)))
	d.Update(t, "watch.hour", add(watchStretch("site", 2)))
	d.refuses(t, "what was seen is not replaced", escrow.Conflict, add(watchStretch("site", 2)))
	within := func(from, to int, target string) func(ctx context.Context, tx *store.Tx) ([]escrow.WatchStretch, error) {
		return func(ctx context.Context, tx *store.Tx) ([]escrow.WatchStretch, error) {
			return tx.WatchStretches(ctx, Acme, target, at(from), at(to))
		}
	}
	same(t, d, "all of a target", []escrow.WatchStretch{watchStretch("site", 1), watchStretch("site", 2)}, within(0, 1000, "site"))
	same(t, d, "a part of an hour", []escrow.WatchStretch{watchStretch("site", 1)}, within(119, 120, "site"))
	same(t, d, "nothing at its end", nil, within(180, 200, "site"))
	d.mustVerify(t)
	d.Update(t, "watch.rolled", func(ctx context.Context, tx *store.Tx) error {
		return tx.DropWatchStretches(ctx, Acme, "server", at(60), at(120))
	})
	same(t, d, "after one is dropped", []escrow.WatchStretch{watchStretch("site", 2)}, within(0, 1000, ""))
	d.refuses(t, "dropped twice", escrow.NotFound, func(ctx context.Context, tx *store.Tx) error {
		return tx.DropWatchStretches(ctx, Acme, "server", at(60), at(120))
	})
	same(t, d, "hours before", []escrow.WatchStretch{{Arrangement: Acme, Place: "server", From: at(120), To: at(180)}}, func(ctx context.Context, tx *store.Tx) ([]escrow.WatchStretch, error) {
		return tx.WatchHoursBefore(ctx, at(180), 10)
	})

	for _, minute := range []int{70, 80} {
		d.Update(t, "watch.changed", func(ctx context.Context, tx *store.Tx) error {
			fresh, err := tx.PutWatchChange(ctx, watchChange(minute))
			if err == nil && !fresh {
				t.Error("a new change is not fresh")
			}
			return err
		})
	}
	d.Update(t, "watch.changed", func(ctx context.Context, tx *store.Tx) error {
		if fresh, err := tx.PutWatchChange(ctx, watchChange(80)); err != nil || fresh {
			t.Errorf("the same change again: fresh %t, %v", fresh, err)
		}
		_, err := tx.PutWatchChange(ctx, watchChange(90))
		return err
	})
	same(t, d, "changes", []escrow.WatchChange{watchChange(90), watchChange(80)}, func(ctx context.Context, tx *store.Tx) ([]escrow.WatchChange, error) {
		return tx.WatchChanges(ctx, Acme, "site", at(75), at(95), 10)
	})

	j := d.Journal(Now, 0)
	var nows []escrow.WatchNow
	for i := range 60 { // more than one statement
		w := escrow.WatchNow{WatchStretch: watchStretch(fmt.Sprintf("t%02d", i), 3), State: "up", Since: at(181), Last: at(200), Note: "note"}
		w.To = time.Time{}
		nows = append(nows, w)
	}
	for range 2 {
		if err := j.PutWatchNow(ctx, nows); err != nil {
			t.Fatal(err)
		}
		nows[3].Last, nows[3].Checks = at(201), 121
	}
	nows[3].Last, nows[3].Checks = at(201), 121
	if err := j.DropWatchNow(ctx, Acme, "t59", "server"); err != nil {
		t.Fatal(err)
	}
	same(t, d, "how far it has come", nows[:59], func(ctx context.Context, tx *store.Tx) ([]escrow.WatchNow, error) { return tx.WatchNows(ctx, Acme) })

	newest := escrow.WatchBeat{Arrangement: Acme, Target: "site", At: at(10), Failed: true, Note: "disk full"}
	old := newest
	old.At, old.Failed = at(9), false
	for _, b := range []escrow.WatchBeat{newest, old} {
		if err := j.PutWatchBeat(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	same(t, d, "newest report", newest, func(ctx context.Context, tx *store.Tx) (escrow.WatchBeat, error) {
		return tx.WatchBeat(ctx, Acme, "site")
	})

	take := func(process string, until time.Time, want bool) {
		t.Helper()
		if mine, err := j.TakeWatch(ctx, "server", process, until); err != nil || mine != want {
			t.Errorf("%s takes it: %t (%v), want %t", process, mine, err, want)
		}
	}
	take("a", Now().Add(time.Minute), true)
	take("b", Now().Add(time.Minute), false)
	take("a", Now().Add(2*time.Minute), true)
	if err := j.LeaveWatch(ctx, "server", "b"); err != nil { // not its own
		t.Fatal(err)
	}
	take("b", Now().Add(time.Minute), false)
	if err := j.LeaveWatch(ctx, "server", "a"); err != nil {
		t.Fatal(err)
	}
	take("b", Now().Add(-time.Second), true)
	take("a", Now().Add(time.Minute), true)
	d.mustVerify(t)
}
