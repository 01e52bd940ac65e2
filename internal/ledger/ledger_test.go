package ledger_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"golang.org/x/mod/sumdb/note"
	_ "modernc.org/sqlite"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/ledger"
)

const origin = "ledger.example/holdfast"

// engine is one database with a ledger in it.
type engine struct {
	dialect ledger.Dialect
	writer  *sql.DB
	reader  *sql.DB
	log     *ledger.Log
	vkey    string
	skey    string
}

// onEachEngine runs test on a fresh SQLite and a fresh PostgreSQL database.
func onEachEngine(t *testing.T, test func(t *testing.T, e *engine)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, openSQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, openPostgres(t)) })
}

func openSQLite(t testing.TB) *engine {
	t.Helper()
	path := "file:" + filepath.Join(t.TempDir(), "ledger.db")
	const pragmas = "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_dqs=0"
	writer := open(t, "sqlite", path+pragmas+"&_txlock=immediate")
	writer.SetMaxOpenConns(1)
	e := newEngine(t, ledger.SQLite, writer, nil)
	e.reader = open(t, "sqlite", path+pragmas+"&mode=ro")
	e.reader.SetMaxOpenConns(4)
	e.log = e.newLog(t)
	return e
}

func openPostgres(t testing.TB) *engine {
	t.Helper()
	base := os.Getenv("HOLDFAST_TEST_POSTGRES")
	if base == "" {
		if os.Getenv("HOLDFAST_TEST_POSTGRES_REQUIRED") == "1" {
			t.Fatal("HOLDFAST_TEST_POSTGRES is not set and HOLDFAST_TEST_POSTGRES_REQUIRED=1")
		}
		t.Skip("SKIPPED: set HOLDFAST_TEST_POSTGRES to run on PostgreSQL")
	}
	admin := open(t, "pgx", base)
	suffix := make([]byte, 8)
	if _, err := rand.Read(suffix); err != nil {
		t.Fatal(err)
	}
	name := "ledger_test_" + hex.EncodeToString(suffix)
	if _, err := admin.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	writer := open(t, "pgx", u.String())
	writer.SetMaxOpenConns(16)
	reader := open(t, "pgx", u.String()) // so that readers do not queue behind writers
	reader.SetMaxOpenConns(4)
	return newEngine(t, ledger.Postgres, writer, reader)
}

func open(t testing.TB, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
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

func newEngine(t testing.TB, d ledger.Dialect, writer, reader *sql.DB) *engine {
	t.Helper()
	schema, err := ledger.Schema(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, stmt := range schema {
		if _, err := writer.Exec(stmt); err != nil {
			t.Fatalf("%v in\n%s", err, stmt)
		}
	}
	e := &engine{dialect: d, writer: writer, reader: reader}
	e.skey, e.vkey, err = note.GenerateKey(rand.Reader, origin)
	if err != nil {
		t.Fatal(err)
	}
	if reader != nil {
		e.log = e.newLog(t)
	}
	return e
}

func (e *engine) newLog(t testing.TB) *ledger.Log {
	t.Helper()
	signer, err := note.NewSigner(e.skey)
	if err != nil {
		t.Fatal(err)
	}
	log, err := ledger.New(ledger.Options{Reader: e.reader, Signer: signer, Now: clock, Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func clock() time.Time { return time.Date(2027, 1, 2, 3, 4, 5, 678_901_234, time.UTC) }

// policy trusts e's key, and the witnesses without requiring any.
func (e *engine) policy(t testing.TB, witnesses ...note.Signer) evidence.Policy {
	t.Helper()
	var keys []string
	for _, w := range witnesses {
		key, err := evidence.WitnessKey(w)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	p, err := evidence.NewPolicy(e.vkey, keys, 0)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// write is a ledger.Writer.
func (e *engine) write(ctx context.Context, fn func(ledger.Tx) error) error {
	return e.tryUpdate(ctx, func(_ context.Context, tx *sql.Tx) error { return fn(tx) })
}

// update runs fn in a transaction of the writer and commits.
func (e *engine) update(t testing.TB, fn func(ctx context.Context, tx *sql.Tx) error) {
	t.Helper()
	if err := e.tryUpdate(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func (e *engine) tryUpdate(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) error {
	tx, err := e.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := fn(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// fill appends n acts to an empty ledger, in transactions of at most batch
// acts, and returns the entries.
func (e *engine) fill(t testing.TB, n, batch int) []ledger.Entry {
	t.Helper()
	return e.fillFrom(t, 0, n, batch)
}

// fillFrom is fill for a ledger that has first entries.
func (e *engine) fillFrom(t testing.TB, first, n, batch int) []ledger.Entry {
	t.Helper()
	var all []ledger.Entry
	for len(all) < n {
		acts := make([]ledger.Act, min(batch, n-len(all)))
		for i := range acts {
			acts[i] = act(first + len(all) + i)
		}
		e.update(t, func(ctx context.Context, tx *sql.Tx) error {
			entries, err := e.log.Append(ctx, tx, acts...)
			all = append(all, entries...)
			return err
		})
	}
	return all
}

// verify runs ledger.Verify over the committed ledger.
func (e *engine) verify(t testing.TB, pins ...evidence.Pin) (*ledger.Report, error) {
	t.Helper()
	tx, err := e.reader.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead})
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	return ledger.Verify(t.Context(), tx, ledger.VerifyOptions{Policy: e.policy(t), Pins: pins}, nil)
}

// act is the i'th act of a test ledger.
func act(i int) ledger.Act {
	return ledger.Act{
		Act: escrow.Act{
			Kind:        evidence.ActDepositAccepted,
			Actor:       "leverancier/jan",
			Arrangement: fmt.Sprintf("zaak-%d", i%3),
			Subject:     evidence.Digest(fmt.Appendf(nil, "manifest %d", i)),
			Data:        map[string]any{"module": "repository/portaal", "number": i + 1},
		},
		Rows: []evidence.Row{{Table: "deposit", Key: fmt.Sprint(i), Digest: evidence.Digest(fmt.Append(nil, i))}},
	}
}

// dump returns everything the ledger's tables hold.
func (e *engine) dump(t testing.TB) []byte {
	t.Helper()
	var out []byte
	for _, q := range []string{
		`SELECT size, edge, 0, 0 FROM ledger_head`,
		`SELECT seq, commitment, payload, hash FROM ledger_leaf ORDER BY seq`,
		`SELECT level, n, root, hashes FROM ledger_tile ORDER BY level, n`,
		`SELECT size, note, 0, 0 FROM ledger_checkpoint ORDER BY size`,
	} {
		rows, err := e.reader.Query(q)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var a, b, c, d any
			if err := rows.Scan(&a, &b, &c, &d); err != nil {
				t.Fatal(err)
			}
			out = fmt.Appendf(out, "%v %x %x %x\n", a, b, c, d)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		rows.Close()
	}
	return out
}
