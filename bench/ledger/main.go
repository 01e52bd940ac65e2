// Command ledger measures the ledger on SQLite and PostgreSQL: transactions
// with one act against the same transactions without a ledger, then proofs,
// verification and export at a given size. It prints a Markdown table.
//
// It depends on internal/ledger, evidence and the two SQL drivers.
package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"golang.org/x/mod/sumdb/note"
	_ "modernc.org/sqlite"

	"holdfast/evidence"
	"holdfast/internal/ledger"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench/ledger:", err)
		os.Exit(1)
	}
}

type settings struct {
	leaves   int
	proofs   int
	time     time.Duration
	dir      string
	postgres string
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	var s settings
	flags := flag.NewFlagSet("ledger", flag.ContinueOnError)
	flags.SetOutput(progress)
	flags.IntVar(&s.leaves, "leaves", 1_000_000, "entries at which proofs are measured")
	flags.IntVar(&s.proofs, "proofs", 2000, "proofs of each kind")
	flags.DurationVar(&s.time, "time", 5*time.Second, "length of each transaction measurement")
	flags.StringVar(&s.dir, "dir", "", "directory for the SQLite file (default: a temporary one)")
	flags.StringVar(&s.postgres, "postgres", os.Getenv("HOLDFAST_TEST_POSTGRES"), "PostgreSQL URL; a database is made there and dropped")
	if err := flags.Parse(args); err != nil {
		return err
	}
	fmt.Fprintf(out, "Measured %s on %d CPUs (%s/%s, %s); load average before: %s.\n\n",
		time.Now().UTC().Format("2006-01-02 15:04 UTC"), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), load())

	var results []*result
	for _, open := range []func(context.Context, settings) (*engine, error){openSQLite, openPostgres} {
		e, err := open(ctx, s)
		if errors.Is(err, errNotConfigured) {
			fmt.Fprintln(progress, "PostgreSQL is SKIPPED: set HOLDFAST_TEST_POSTGRES")
			continue
		}
		if err != nil {
			return err
		}
		r, err := measure(ctx, e, s, progress)
		if err := errors.Join(err, e.close()); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		results = append(results, r)
	}
	table(out, results, s)
	return nil
}

var errNotConfigured = errors.New("not configured")

// engine is one database with the ledger's tables and two of a peer that has
// the same state and the same acts in a plain table.
type engine struct {
	name   string
	writer *sql.DB
	reader *sql.DB
	log    *ledger.Log
	policy evidence.Policy
	bytes  func() (int64, error) // on disk
	close  func() error
}

func openSQLite(_ context.Context, s settings) (*engine, error) {
	dir, err := os.MkdirTemp(s.dir, "holdfast-bench-ledger-")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "ledger.db")
	const pragmas = "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_dqs=0"
	writer, err := sql.Open("sqlite", "file:"+path+pragmas+"&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	writer.SetMaxOpenConns(1)
	reader, err := sql.Open("sqlite", "file:"+path+pragmas+"&mode=ro")
	if err != nil {
		return nil, err
	}
	e := &engine{name: "SQLite", writer: writer, reader: reader}
	e.bytes = func() (int64, error) {
		if _, err := writer.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
			return 0, err
		}
		info, err := os.Stat(path)
		if err != nil {
			return 0, err
		}
		return info.Size(), nil
	}
	e.close = func() error { return errors.Join(reader.Close(), writer.Close(), os.RemoveAll(dir)) }
	return e, e.prepare(ledger.SQLite)
}

func openPostgres(ctx context.Context, s settings) (*engine, error) {
	if s.postgres == "" {
		return nil, errNotConfigured
	}
	admin, err := sql.Open("pgx", s.postgres)
	if err != nil {
		return nil, err
	}
	suffix := make([]byte, 8)
	if _, err := rand.Read(suffix); err != nil {
		return nil, err
	}
	name := "ledger_bench_" + hex.EncodeToString(suffix)
	if _, err := admin.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		return nil, err
	}
	u, err := url.Parse(s.postgres)
	if err != nil {
		return nil, err
	}
	u.Path = "/" + name
	writer, err := sql.Open("pgx", u.String())
	if err != nil {
		return nil, err
	}
	reader, err := sql.Open("pgx", u.String())
	if err != nil {
		return nil, err
	}
	e := &engine{name: "PostgreSQL", writer: writer, reader: reader}
	e.bytes = func() (n int64, err error) {
		return n, writer.QueryRow("SELECT pg_total_relation_size('ledger_leaf') + pg_total_relation_size('ledger_tile')").Scan(&n)
	}
	e.close = func() error {
		err := errors.Join(reader.Close(), writer.Close())
		_, drop := admin.Exec("DROP DATABASE " + name + " WITH (FORCE)")
		return errors.Join(err, drop, admin.Close())
	}
	return e, e.prepare(ledger.Postgres)
}

func (e *engine) prepare(d ledger.Dialect) error {
	schema, err := ledger.Schema(d)
	if err != nil {
		return err
	}
	blob := map[ledger.Dialect]string{ledger.SQLite: "BLOB", ledger.Postgres: "BYTEA"}[d]
	for _, stmt := range append(schema,
		"CREATE TABLE state (id TEXT PRIMARY KEY, n BIGINT NOT NULL)",
		"CREATE TABLE plain (id TEXT PRIMARY KEY, kind TEXT NOT NULL, arrangement TEXT NOT NULL, at_us BIGINT NOT NULL, payload "+blob+" NOT NULL)") {
		if _, err := e.writer.Exec(stmt); err != nil {
			return fmt.Errorf("%w in %s", err, stmt)
		}
	}
	skey, vkey, err := note.GenerateKey(rand.Reader, "bench.example/ledger")
	if err != nil {
		return err
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		return err
	}
	if e.policy, err = evidence.NewPolicy(vkey, nil, 0); err != nil {
		return err
	}
	e.log, err = ledger.New(ledger.Options{Reader: e.reader, Signer: signer, Now: time.Now, Rand: rand.Reader})
	return err
}

func load() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(data))[:3], " ")
}
