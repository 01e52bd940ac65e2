package server_test

import (
	"database/sql"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"holdfast/internal/config"
	"holdfast/internal/escrow"
	"holdfast/internal/server"
)

// opens starts a server on a configuration and stops it again.
func opens(t testing.TB, c config.Config) error {
	t.Helper()
	srv, err := server.Open(t.Context(), c, server.Options{})
	if err != nil {
		return err
	}
	return srv.Close()
}

// refused checks that an error has a code, says the words, and what to do.
func refused(t testing.TB, what string, err error, want escrow.Code, words ...string) {
	t.Helper()
	if escrow.CodeOf(err) != want {
		t.Errorf("%s: %v (%s), want %s", what, err, escrow.CodeOf(err), want)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: %v, want %q in it", what, err, w)
		}
	}
	if e, ok := errors.AsType[*escrow.Error](err); ok && e.Hint == "" {
		t.Errorf("%s: %v has no hint", what, err)
	}
}

// raw opens the database of a stopped installation past the program.
func (in *installation) raw(t testing.TB) *sql.DB {
	t.Helper()
	driver, name := "sqlite", "file:"+in.config.SQLitePath()+"?_pragma=busy_timeout(5000)"
	if in.config.Database != "" {
		driver, name = "pgx", in.config.Database
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func (in *installation) exec(t testing.TB, statement string, args ...any) {
	t.Helper()
	db := in.raw(t)
	result, err := db.Exec(statement, args...)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	if n, err := result.RowsAffected(); err == nil && n == 0 && strings.HasPrefix(statement, "UPDATE") {
		t.Fatalf("%s: no row", statement)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// moved takes a file or directory away until the test ends or it is put back.
func moved(t testing.TB, path string) (back func()) {
	t.Helper()
	away := path + ".away"
	if err := os.Rename(path, away); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := errors.Join(os.RemoveAll(path), os.Rename(away, path)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStartsThatMustFail: what is wrong at the start is said then, with what
// to do, and nothing is changed: put right, the installation is whole.
func TestStartsThatMustFail(t *testing.T) { eachEngine(t, checkStartsThatMustFail) }

func checkStartsThatMustFail(t *testing.T, in *installation) {
	in.ceremony(1)
	d := in.depositor(t, "r1", newSource(t, "sha1"))
	if _, err := d.deposit(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, _ := in.deposits("r1")
	refused(t, "second server", opens(t, in.config), escrow.Conflict, in.dir, "in use", "process")
	_, err := server.Verify(t.Context(), in.config, server.Options{}, nil, nil)
	refused(t, "verify beside a server", err, escrow.Conflict, in.dir, "in use")
	in.stop()

	c := in.config
	c.Origin = "another.example/log"
	refused(t, "another origin", opens(t, c), escrow.Conflict, "another.example/log", in.config.Origin)

	keys := in.config.KeysDir()
	for _, name := range []string{"ledger.key", "ledger.pub", "server.key", "server.sign"} {
		back := moved(t, filepath.Join(keys, name))
		refused(t, "without "+name, opens(t, in.config), escrow.Missing, name)
		back()
	}
	back := moved(t, keys)
	refused(t, "without its keys", opens(t, in.config), escrow.Missing, "key")
	if _, err := os.Stat(keys); err == nil {
		t.Error("keys that were made for nothing lie about")
	}
	back()

	// The keys of another installation, under the same name.
	other := in.config
	other.Data, other.Database = filepath.Join(t.TempDir(), "other"), ""
	if err := opens(t, other); err != nil {
		t.Fatal(err)
	}
	back = moved(t, keys)
	if err := os.CopyFS(keys, os.DirFS(other.KeysDir())); err != nil {
		t.Fatal(err)
	}
	refused(t, "another's keys", opens(t, in.config), escrow.Missing, "ledger with key")
	_, err = server.Verify(t.Context(), in.config, server.Options{}, nil, nil)
	refused(t, "verify with another's keys", err, escrow.Missing, "ledger with key")
	back()
	back = moved(t, filepath.Join(keys, "ledger.pub"))
	if err := os.Link(filepath.Join(other.KeysDir(), "ledger.pub"), filepath.Join(keys, "ledger.pub")); err != nil {
		t.Fatal(err)
	}
	refused(t, "another's ledger.pub", opens(t, in.config), escrow.Damaged, "ledger.pub")
	back()

	// The database is gone, or is an empty one.
	if in.config.Database == "" {
		back := moved(t, in.config.SQLitePath())
		refused(t, "without its database", opens(t, in.config), escrow.Missing, "database", in.dir)
		_, err = server.Verify(t.Context(), in.config, server.Options{}, nil, nil)
		refused(t, "verify without a database", err, escrow.Missing, in.config.SQLitePath())
		if _, err := os.Stat(in.config.SQLitePath()); err == nil {
			t.Error("a database was made in place of the lost one")
		}
		if err := os.WriteFile(in.config.SQLitePath(), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, "with an empty database", opens(t, in.config), escrow.Missing, "database", in.dir)
		_, err = server.Verify(t.Context(), in.config, server.Options{}, nil, nil)
		refused(t, "verify of an empty database", err, escrow.Missing, "database")
		back()
		back = moved(t, in.config.SQLitePath())
		if err := os.WriteFile(in.config.SQLitePath(), []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, "with something else for a database", opens(t, in.config), escrow.Damaged, "database")
		back()
	} else {
		c := in.config
		c.Database = newDatabase(t)
		refused(t, "with an empty database", opens(t, c), escrow.Missing, "database", in.dir)
		c.Database = strings.Replace(in.config.Database, ":54329/", ":1/", 1)
		if c.Database != in.config.Database {
			refused(t, "with a database that does not answer", opens(t, c), escrow.Unavailable, "does not answer")
		}
	}
	_, err = server.Verify(t.Context(), config.Config{Data: filepath.Join(t.TempDir(), "typo")}, server.Options{}, nil, nil)
	refused(t, "verify of nothing", err, escrow.Missing, "typo")

	// A database of a newer program.
	in.exec(t, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, $1)`, true)
	refused(t, "newer database", opens(t, in.config), escrow.Conflict, "version 99")
	in.exec(t, `DELETE FROM goose_db_version WHERE version_id = 99`)

	// Paths and addresses.
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c = in.config
	c.Data = filepath.Join(file, "data")
	refused(t, "data below a file", opens(t, c), escrow.Unavailable, c.Data)
	c.Data = file
	refused(t, "data is a file", opens(t, c), escrow.Unavailable, file)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c = in.config
	c.Listen = l.Addr().String()
	refused(t, "address in use", opens(t, c), escrow.Conflict, c.Listen)

	if _, err := server.Verify(t.Context(), in.config, server.Options{}, nil, nil); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	in.start()
	if after, _ := in.deposits("r1"); len(after) != len(before) || after[0].Digest != before[0].Digest {
		t.Errorf("afterwards: %+v", after)
	}
}

// TestFirstStartThatDied: a start that was killed at any point before the
// installation was finished does not stand in the way of the next.
func TestFirstStartThatDied(t *testing.T) { eachEngine(t, checkFirstStartThatDied) }

func checkFirstStartThatDied(t *testing.T, in *installation) {
	in.stop()
	in.config.Data = filepath.Join(t.TempDir(), "fresh")
	if in.config.Database != "" {
		in.config.Database = newDatabase(t)
	}
	keys := in.config.KeysDir()
	// While the keys were written.
	if err := errors.Join(os.MkdirAll(keys+".new", 0o700), os.WriteFile(filepath.Join(keys+".new", "server.key"), []byte("half"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := opens(t, in.config); err != nil {
		t.Fatalf("after a death while keys were made: %v", err)
	}
	if left, err := filepath.Glob(keys + "*"); err != nil || len(left) != 1 {
		t.Errorf("left over: %v, %v", left, err)
	}
	// After the token was written, before it was recorded.
	in.exec(t, `DELETE FROM token`)
	token := filepath.Join(in.config.Data, "admin.token")
	before, err := os.ReadFile(token)
	if err != nil {
		t.Fatal(err)
	}
	if err := opens(t, in.config); err != nil {
		t.Fatalf("after a death before the token was recorded: %v", err)
	}
	after, err := os.ReadFile(token)
	if err != nil || string(after) == string(before) {
		t.Errorf("the token that nobody was told of is still there: %v", err)
	}
	// Afterwards it is issued no more.
	if err := errors.Join(opens(t, in.config), os.Remove(token), opens(t, in.config)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(token); err == nil {
		t.Error("a second start issues another token")
	}
}
