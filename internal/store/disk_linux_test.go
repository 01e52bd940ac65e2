package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"holdfast/internal/escrow"
	"holdfast/internal/ledger"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// A disk that fills up while acts are written: the one that does not fit is
// refused as a whole, everything acknowledged before is there, and when there
// is room again writing goes on.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("cannot mount a small file system here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	d := storetest.SQLiteAt(t, filepath.Join(dir, "holdfast.db"))
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 400<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	put := func(i int) error {
		_, err := d.TryUpdate(t.Context(), "setting.changed", func(ctx context.Context, tx *store.Tx) error {
			return tx.PutSetting(ctx, fmt.Sprint(i), strings.Repeat("x", 10_000))
		})
		return err
	}
	var acknowledged int
	for ; acknowledged < 1000; acknowledged++ {
		if err := put(acknowledged); err != nil {
			if escrow.CodeOf(err) != escrow.Full {
				t.Fatalf("after %d acts: %v", acknowledged, err)
			}
			break
		}
	}
	if acknowledged == 0 || acknowledged == 1000 {
		t.Fatalf("%d acts fitted; the test proved nothing", acknowledged)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	report, err := d.Verify(t.Context(), ledger.VerifyOptions{Policy: d.Policy})
	if err != nil || report.Size != int64(acknowledged) {
		t.Errorf("%d acts acknowledged; verify: %+v, %v", acknowledged, report, err)
	}
	if err := put(acknowledged); err != nil {
		t.Errorf("with room again: %v", err)
	}
	d.Read(t, func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.Settings(ctx)
		if len(all) != acknowledged+1 {
			t.Errorf("%d settings, want %d", len(all), acknowledged+1)
		}
		return err
	})
}
