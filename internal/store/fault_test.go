package store_test

import (
	"context"
	"fmt"
	"testing"

	"holdfast/internal/escrow"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// PostgreSQL ends the connection in the middle of a transaction.
func TestConnectionLost(t *testing.T) {
	d := storetest.Postgres(t)
	_, err := d.TryUpdate(t.Context(), "setting.changed", func(ctx context.Context, tx *store.Tx) error {
		if err := tx.PutSetting(ctx, "a", "1"); err != nil {
			return err
		}
		d.Exec(t, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND state = 'idle in transaction' AND pid <> pg_backend_pid()`)
		return tx.PutSetting(ctx, "b", "2")
	})
	if escrow.CodeOf(err) != escrow.Unavailable {
		t.Errorf("a lost connection: %v", err)
	}
	d.Update(t, "setting.changed", func(ctx context.Context, tx *store.Tx) error { return tx.PutSetting(ctx, "c", "3") })
	d.Read(t, func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.Settings(ctx)
		if len(all) != 1 {
			t.Errorf("settings %v", all)
		}
		return err
	})
}

// One act with one row, as most are.
func BenchmarkUpdate(b *testing.B) {
	for _, engine := range []struct {
		name string
		open func(testing.TB) *storetest.Database
	}{{"sqlite", storetest.SQLite}, {"postgres", storetest.Postgres}} {
		b.Run(engine.name, func(b *testing.B) {
			d := engine.open(b)
			for i := 0; b.Loop(); i++ {
				d.Update(b, "setting.changed", func(ctx context.Context, tx *store.Tx) error {
					return tx.PutSetting(ctx, fmt.Sprint(i%100), fmt.Sprint(i))
				})
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "acts/s")
		})
		b.Run(engine.name+" 8 writers", func(b *testing.B) {
			d := engine.open(b)
			b.SetParallelism(4) // of two processors
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					d.Update(b, "setting.changed", func(ctx context.Context, tx *store.Tx) error {
						return tx.PutSetting(ctx, fmt.Sprint(i%100), fmt.Sprint(i))
					})
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "acts/s")
		})
	}
}
