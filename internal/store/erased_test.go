package store_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/internal/escrow"
	"holdfast/internal/ledger"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// What was erased is in none of SQLite's files any more, also not in the pages
// that the erasure set free nor in the write-ahead log.
func TestErasedFromTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "holdfast.db")
	d := storetest.SQLiteAt(t, path)
	secret := strings.Repeat("CANARY-of-a-person ", 500) // over several pages
	d.Update(t, "setting.changed", func(ctx context.Context, tx *store.Tx) error { return tx.PutSetting(ctx, "a", "1") })
	_, err := d.DB.Update(t.Context(), func(*store.Tx) ([]escrow.Act, error) {
		act := storetest.Act("attempt.refused", "x")
		act.Data = map[string]string{"name": secret}
		return []escrow.Act{act}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found(t, path) == "" {
		t.Fatal("the text is in no file before it is erased; the test proves nothing")
	}
	erase := func() {
		t.Helper()
		_, err := d.DB.Update(t.Context(), func(tx *store.Tx) ([]escrow.Act, error) {
			act, err := tx.Erase(t.Context(), 1, "agent", "request of the person")
			return []escrow.Act{act}, err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	// A reader that still sees the moment before holds the log open; when it is
	// gone, the next act clears it.
	err = d.View(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.Settings(t.Context()); err != nil {
			return err
		}
		erase()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	d.Update(t, "setting.changed", func(ctx context.Context, tx *store.Tx) error { return tx.PutSetting(ctx, "a", "2") })
	if where := found(t, path); where != "" {
		t.Errorf("erased, and still in %s", where)
	}
	if _, err := d.Verify(t.Context(), ledger.VerifyOptions{Policy: d.Policy}); err != nil {
		t.Error(err)
	}
}

// found names the file of the database that holds the text.
func found(t *testing.T, path string) string {
	t.Helper()
	files, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte("CANARY-of-a-person")) {
			return name
		}
	}
	return ""
}
