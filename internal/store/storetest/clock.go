package storetest

import (
	"context"
	"testing"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/store"
)

// What was written while the clock was days ahead puts nothing off when it is
// right again.
func testClockJump(t *testing.T, d *Database) {
	now := Now()
	clock := now.Add(240 * time.Hour)
	m := Module("code")
	d.Update(t, "module.configured", putModule(m))
	report := func() error {
		_, err := d.TryUpdate(t.Context(), "sync.unchanged", func(ctx context.Context, tx *store.Tx) error {
			return tx.PutSyncStatus(ctx, escrow.SyncStatus{Arrangement: Acme, Module: "code", AttemptedAt: clock, SucceededAt: clock, NextDue: clock.Add(m.Every)})
		})
		return err
	}
	if err := report(); err != nil {
		t.Fatal(err)
	}
	journal := d.Journal(func() time.Time { return clock }, 0)
	if _, free, err := journal.TakeScrub(t.Context(), "a", clock.Add(2*time.Minute)); err != nil || !free {
		t.Fatalf("%t, %v", free, err)
	}
	clock = now
	d.Read(t, func(ctx context.Context, tx *store.Tx) error {
		due, err := tx.DueModules(ctx, clock, 10)
		if len(due) != 1 {
			t.Errorf("%d modules are due after the clock went back, want 1", len(due))
		}
		return err
	})
	if err := report(); err != nil {
		t.Errorf("a sync reports after the clock went back: %v", err)
	}
	d.Read(t, func(ctx context.Context, tx *store.Tx) error {
		due, err := tx.DueModules(ctx, clock, 10)
		if len(due) != 0 {
			t.Error("a module is due that was synced just now")
		}
		return err
	})
	if _, free, err := journal.TakeScrub(t.Context(), "a", clock.Add(2*time.Minute)); err != nil || !free {
		t.Errorf("a pass that was taken under the other clock: free %t, %v", free, err)
	}
	// One of a living process is still its own.
	clock = now.Add(-time.Second)
	if _, free, err := journal.TakeScrub(t.Context(), "a", clock.Add(2*time.Minute)); err != nil || free {
		t.Errorf("a pass that somebody has: free %t, %v", free, err)
	}
	d.mustVerify(t)
}
