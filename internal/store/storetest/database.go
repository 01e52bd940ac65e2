// Package storetest opens throw-away databases on both engines and holds the
// suite that both must pass. It imports store and what store imports.
package storetest

import (
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the "pgx" driver
	"golang.org/x/mod/sumdb/note"

	"holdfast/evidence"
	"holdfast/internal/store"
)

// Origin names the ledger of every database of the tests.
const Origin = "ledger.example/holdfast"

// Database is an open store of its own for one test, and the ways around it.
type Database struct {
	*store.DB
	Config store.Config // to open it again
	Raw    *sql.DB      // as someone who owns the database, past all rules of the store
	Policy evidence.Policy
}

// Now is the time at which all acts without a time happen.
func Now() time.Time { return time.Date(2027, 1, 2, 3, 4, 5, 678901000, time.UTC) }

// Engines runs a test on each engine. PostgreSQL is skipped when
// HOLDFAST_TEST_POSTGRES is not set, and the test fails instead when
// HOLDFAST_TEST_POSTGRES_REQUIRED is 1.
func Engines(t *testing.T, test func(t *testing.T, open func(testing.TB) *Database)) {
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite) })
	t.Run("postgres", func(t *testing.T) {
		// Migrated once and copied for each test, which is much faster.
		migrated, name := createDatabase(t, `template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'`)
		if err := openConfig(t, store.Config{URL: migrated}).Close(); err != nil {
			t.Fatal(err)
		}
		test(t, func(t testing.TB) *Database {
			t.Helper()
			copied, _ := createDatabase(t, name)
			return openPostgres(t, copied)
		})
	})
}

// SQLite opens a new database in a directory of its own.
func SQLite(t testing.TB) *Database {
	t.Helper()
	return SQLiteAt(t, filepath.Join(t.TempDir(), "holdfast.db"))
}

// SQLiteAt opens a database in a file of the test's choice.
func SQLiteAt(t testing.TB, path string) *Database {
	t.Helper()
	d := openConfig(t, store.Config{Path: path})
	d.Raw = handle(t, "sqlite", "file:"+path+"?_pragma=busy_timeout(5000)&_pragma=ignore_check_constraints(1)")
	return d
}

// PostgresURL returns the server that the tests use. It skips or fails the
// test when there is none.
func PostgresURL(t testing.TB) string {
	t.Helper()
	base := os.Getenv("HOLDFAST_TEST_POSTGRES")
	if base == "" {
		if os.Getenv("HOLDFAST_TEST_POSTGRES_REQUIRED") == "1" {
			t.Fatal("HOLDFAST_TEST_POSTGRES is not set and HOLDFAST_TEST_POSTGRES_REQUIRED is 1")
		}
		t.Skip("SKIPPED: set HOLDFAST_TEST_POSTGRES to a server's URL to run on PostgreSQL")
	}
	return base
}

// Postgres makes a new database on the test server and drops it at the end.
// Its locale puts "B" after "a", so that a query whose order depends on the
// database is found out.
func Postgres(t testing.TB) *Database {
	t.Helper()
	address, _ := createDatabase(t, `template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'`)
	return openPostgres(t, address)
}

// EmptyPostgres makes a new database without tables and returns its URL.
func EmptyPostgres(t testing.TB) string {
	t.Helper()
	address, _ := createDatabase(t, `template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'`)
	return address
}

func openPostgres(t testing.TB, address string) *Database {
	t.Helper()
	d := openConfig(t, store.Config{URL: address})
	d.Raw = handle(t, "pgx", address)
	return d
}

func createDatabase(t testing.TB, template string) (address, name string) {
	t.Helper()
	base := PostgresURL(t)
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	admin := handle(t, "pgx", base)
	suffix := make([]byte, 8)
	if _, err := rand.Read(suffix); err != nil {
		t.Fatal(err)
	}
	name = "holdfast_test_" + hex.EncodeToString(suffix)
	if _, err := admin.Exec(`CREATE DATABASE ` + name + ` TEMPLATE ` + template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec(`DROP DATABASE ` + name + ` WITH (FORCE)`); err != nil {
			t.Error(err)
		}
	})
	u.Path = "/" + name
	return u.String(), name
}

func handle(t testing.TB, driver, name string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func openConfig(t testing.TB, c store.Config) *Database {
	t.Helper()
	private, public, err := note.GenerateKey(rand.Reader, Origin)
	if err != nil {
		t.Fatal(err)
	}
	if c.Signer, err = note.NewSigner(private); err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	c.Now, c.Rand = Now, rand.Reader
	d := &Database{Config: c, Policy: evidence.Policy{Log: verifier}}
	d.DB = d.Reopen(t)
	return d
}

// Reopen opens the same database once more, as another process would.
func (d *Database) Reopen(t testing.TB) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), d.Config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// Exec runs a statement past the store.
func (d *Database) Exec(t testing.TB, query string, args ...any) {
	t.Helper()
	if _, err := d.Raw.Exec(query, args...); err != nil {
		t.Fatalf("%.80s: %v", strings.TrimSpace(query), err)
	}
}
