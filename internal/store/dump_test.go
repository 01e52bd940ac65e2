package store_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/ledger"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// target is a new, empty place for the state of d.
func target(t testing.TB, d *storetest.Database, engine store.Engine) store.Config {
	t.Helper()
	c := d.Config
	c.Path, c.URL = "", ""
	if engine == store.SQLite {
		c.Path = filepath.Join(t.TempDir(), "copy.db")
		return c
	}
	c.URL = storetest.EmptyPostgres(t)
	return c
}

func dump(t testing.TB, db *store.DB) ([]byte, evidence.Checkpoint) {
	t.Helper()
	var out bytes.Buffer
	at, err := db.Dump(t.Context(), &out)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), at
}

// The state goes from each engine to each, and back it is the same, byte for
// byte. What was erased stays erased.
func TestDump(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, open func(testing.TB) *storetest.Database) {
		d := open(t)
		d.Fill(t)
		_, err := d.DB.Update(t.Context(), func(tx *store.Tx) ([]escrow.Act, error) {
			act, err := tx.Erase(t.Context(), 1, "agent", "request of the person")
			return []escrow.Act{act}, err
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 40 { // more than a tile
			_, err := d.DB.Update(t.Context(), func(*store.Tx) ([]escrow.Act, error) {
				return []escrow.Act{storetest.Act("x", "a"), storetest.Act("x", "b"), storetest.Act("x", "c"), storetest.Act("x", "d"),
					storetest.Act("x", "e"), storetest.Act("x", "f"), storetest.Act("x", "g")}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		text, at := dump(t, d.DB)
		for _, engine := range []store.Engine{store.SQLite, store.Postgres} {
			t.Run("to "+string(engine), func(t *testing.T) {
				if engine == store.Postgres {
					storetest.PostgresURL(t)
				}
				c := target(t, d, engine)
				report, err := store.Load(t.Context(), c, bytes.NewReader(text), at, ledger.VerifyOptions{Policy: d.Policy})
				if err != nil {
					t.Fatal(err)
				}
				if report.Size != at.Size || report.Root != at.Root || report.Erased != 1 || report.Tiles == 0 {
					t.Errorf("loaded %+v of %+v", report, at)
				}
				loaded, err := store.Open(t.Context(), c)
				if err != nil {
					t.Fatal(err)
				}
				defer loaded.Close()
				again, _ := dump(t, loaded)
				if !sameLines(text, again) {
					t.Errorf("the copy's dump differs:\n%s", difference(text, again))
				}
				if _, err := loaded.Update(t.Context(), func(tx *store.Tx) ([]escrow.Act, error) {
					return []escrow.Act{storetest.Act("x", "y")}, tx.PutSetting(t.Context(), "after", "1")
				}); err != nil {
					t.Errorf("writing goes on: %v", err)
				}
				if _, err := loaded.Verify(t.Context(), ledger.VerifyOptions{Policy: d.Policy, Pins: []evidence.Pin{evidence.NewPin(at)}}); err != nil {
					t.Error(err)
				}
				_, err = store.Load(t.Context(), c, bytes.NewReader(text), at, ledger.VerifyOptions{Policy: d.Policy})
				if escrow.CodeOf(err) != escrow.Conflict || !strings.Contains(err.Error(), "not empty") {
					t.Errorf("over another state: %v", err)
				}
			})
		}
	})
}

// sameLines compares dumps but for the order of rows, which is the engine's.
func sameLines(a, b []byte) bool { return difference(a, b) == "" }

func difference(a, b []byte) string {
	count := map[string]int{}
	for line := range strings.Lines(string(a)) {
		count[line]++
	}
	var out strings.Builder
	for line := range strings.Lines(string(b)) {
		if count[line]--; count[line] < 0 {
			out.WriteString("+ " + line)
		}
	}
	for line, n := range count {
		if n > 0 {
			out.WriteString("- " + line)
		}
	}
	return out.String()
}

// A dump that is made while others write is of one moment.
func TestDumpUnderLoad(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, open func(testing.TB) *storetest.Database) {
		d := open(t)
		d.Fill(t)
		ctx, stop := context.WithCancel(t.Context())
		var writers sync.WaitGroup
		for w := range 4 {
			writers.Go(func() {
				for ctx.Err() == nil {
					_, err := d.DB.Update(ctx, func(tx *store.Tx) ([]escrow.Act, error) {
						return []escrow.Act{storetest.Act("x", "y")}, tx.PutSetting(ctx, string(rune('a'+w)), "v")
					})
					if err != nil && ctx.Err() == nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for range 8 {
			d.Update(t, "setting.changed", func(ctx context.Context, tx *store.Tx) error { return tx.PutSetting(ctx, "last", "committed") })
			reader, err := store.OpenReader(t.Context(), d.Config)
			if err != nil {
				t.Fatal(err)
			}
			text, at := dump(t, reader)
			if err := reader.Close(); err != nil {
				t.Error(err)
			}
			if !bytes.Contains(text, []byte(`["last","committed"]`)) {
				t.Error("what was committed before the dump is not in it")
			}
			c := target(t, d, store.SQLite)
			if _, err := store.Load(t.Context(), c, bytes.NewReader(text), at, ledger.VerifyOptions{Policy: d.Policy}); err != nil {
				t.Fatal(err)
			}
		}
		stop()
		writers.Wait()
	})
}

// What is not a whole, unchanged dump leaves the database empty.
func TestBadDumps(t *testing.T) {
	d := storetest.SQLite(t)
	d.Fill(t)
	text, at := dump(t, d.DB)
	lines := bytes.SplitAfter(text, []byte("\n"))
	c := target(t, d, store.SQLite)
	try := func(name string, text []byte) {
		t.Helper()
		if _, err := store.Load(t.Context(), c, bytes.NewReader(text), at, ledger.VerifyOptions{Policy: d.Policy}); err == nil {
			t.Fatalf("%s: loaded", name)
		} else if code := escrow.CodeOf(err); code == escrow.Internal {
			t.Errorf("%s: %v", name, err)
		}
	}
	for n := range len(lines) - 1 { // at every line; after the last there is nothing
		try("cut off", bytes.Join(lines[:n], nil))
	}
	try("cut in a line", text[:len(text)/2])
	try("cut in the last line", text[:len(text)-1])
	try("goes on", append(bytes.Clone(text), "[1]\n"...))
	try("not a dump", []byte("hello\n"))
	try("another format", []byte(`{"format":"x","schema":7}`+"\n"))
	schema := string(regexp.MustCompile(`"schema":[0-9]+`).Find(text)) // of this release
	for old, new := range map[string]string{
		schema:                      `"schema":8`,
		`{"table":"setting"`:        `{"table":"sqlite_master"`,
		`{"table":"contact"`:        `{"table":"contact; DROP TABLE setting; --"`,
		`["name","value"]` + "\n":   `["name","other"]` + "\n",
		`["name","value"]}` + "\n":  `["name","worth"]}` + "\n",
		`"notaris","anna"`:          `"notaris","bob"`,
		`{"b":"`:                    `{"c":"`,
		`{"table":"ledger_leaf"`:    `{"table":"ledger_head"`,
		`{"table":"deposit_object"`: `{"table":"deposit"`,
	} {
		changed := bytes.Replace(text, []byte(old), []byte(new), 1)
		if bytes.Equal(changed, text) {
			t.Errorf("the dump has no %s", old)
			continue
		}
		try(old, changed)
	}
	// And the whole one goes in afterwards.
	if _, err := store.Load(t.Context(), c, bytes.NewReader(text), at, ledger.VerifyOptions{Policy: d.Policy}); err != nil {
		t.Error(err)
	}
}

func FuzzLoad(f *testing.F) {
	d := storetest.SQLite(f)
	d.Fill(f)
	text, at := dump(f, d.DB)
	f.Add(text)
	f.Add(text[:len(text)/3])
	f.Add([]byte(`{"format":"holdfast/dump/v1","schema":7}` + "\n" + `{"table":"setting","columns":["name","value"]}` + "\n[[],{}]\n"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		c := d.Config
		c.Path = filepath.Join(dir, "fuzz.db")
		report, err := store.Load(t.Context(), c, bytes.NewReader(data), at, ledger.VerifyOptions{Policy: d.Policy})
		if err == nil {
			if report.Root != at.Root {
				t.Errorf("loaded another ledger: %+v", report)
			}
			for _, suffix := range []string{"", "-wal", "-shm"} {
				_ = os.Remove(c.Path + suffix)
			}
		}
	})
}

func TestRetired(t *testing.T) {
	storetest.Engines(t, func(t *testing.T, open func(testing.TB) *storetest.Database) {
		d := open(t)
		if err := d.Retire(t.Context(), storetest.Now(), "postgres://db/new", 1); escrow.CodeOf(err) != escrow.Conflict {
			t.Errorf("a database that was written to: %v", err)
		}
		if err := d.Retire(t.Context(), storetest.Now(), "postgres://db/new", 0); err != nil {
			t.Fatal(err)
		}
		_, err := store.Open(t.Context(), d.Config)
		if escrow.CodeOf(err) != escrow.Conflict || !strings.Contains(err.Error(), "the installation goes on in postgres://db/new") {
			t.Errorf("%v", err)
		}
	})
}
