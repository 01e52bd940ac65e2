package store_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/internal/escrow"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// The suite reads the flag to write its golden file.
var _ = flag.Bool("update", false, "write the golden files")

func TestStore(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, open func(testing.TB) *storetest.Database) {
		t.Parallel()
		storetest.Run(t, open)
	})
}

func TestOpenRefuses(t *testing.T) {
	c := storetest.SQLite(t).Config
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("this is not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	const password = "CANARY-hunter2"
	for _, tt := range []struct {
		name, path, url string
		code            escrow.Code
		says            string
	}{
		{"neither", "", "", escrow.Invalid, "either"},
		{"both", "x.db", "postgres://x", escrow.Invalid, "either"},
		{"no directory", filepath.Join(dir, "none", "x.db"), "", escrow.Unavailable, dir},
		{"a directory", dir, "", escrow.Unavailable, dir},
		{"not a database", garbage, "", escrow.Damaged, "damaged"},
		{"bad URL", "", "postgres://user:" + password + "@host:port:1/x", escrow.Invalid, "URL"},
		{"nobody there", "", "postgres://user:" + password + "@127.0.0.1:1/x", escrow.Unavailable, "127.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := c
			c.Path, c.URL = tt.path, tt.url
			db, err := store.Open(t.Context(), c)
			if err == nil {
				db.Close()
			}
			if escrow.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want code %s and %q", err, tt.code, tt.says)
			}
			if err != nil && strings.Contains(err.Error(), password) {
				t.Error("the password is in the error")
			}
		})
	}
}

func TestFileModes(t *testing.T) {
	d := storetest.SQLite(t)
	d.Fill(t)
	files, err := filepath.Glob(d.Config.Path + "*")
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", f, info.Mode())
		}
	}
}

func TestOddPath(t *testing.T) {
	c := storetest.SQLite(t).Config
	c.Path = filepath.Join(t.TempDir(), "a b?mode=memory#x%20.db")
	db, err := store.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := os.Stat(c.Path); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(c.Path)
	if err != nil || info.Size() == 0 {
		t.Errorf("the database went elsewhere: %v, %v", info, err)
	}
}
