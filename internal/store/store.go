// Package store keeps the state of an installation in SQL, on SQLite or
// PostgreSQL, and lets nobody change it without an act in the ledger.
//
// It imports evidence, escrow, ledger, the two drivers and the libraries that
// migrate. Only the server imports it; engines see escrow.Database over the
// methods of [Tx] they name themselves.
//
// Both engines run one writer at a time: SQLite by its nature, PostgreSQL by a
// lock that every Update takes first. A rule that was checked in a
// transaction therefore still holds when it commits, on both.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"golang.org/x/mod/sumdb/note"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/ledger"
)

// Engine names the SQL engine.
type Engine = ledger.Dialect

// The engines.
const (
	SQLite   = ledger.SQLite
	Postgres = ledger.Postgres
)

// Config says where the state is and how its ledger signs.
type Config struct {
	// Path is the database file of SQLite. Exactly one of Path and URL is set.
	Path string
	// URL is the connection string of PostgreSQL, password included. It is
	// never part of an error.
	URL string
	// Connections bounds the connections for requests; 0 means 8.
	Connections int

	Signer note.Signer      // signs checkpoints; its name is the ledger's origin
	Now    func() time.Time // for acts without a time
	Rand   io.Reader        // for the salts of ledger entries

	// Name is shown of this process's connections to PostgreSQL; "" for
	// "holdfast". It begins with that word.
	Name string

	readOnly bool // see [OpenReader]
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	engine   Engine
	writer   *sql.DB // SQLite: one connection; PostgreSQL: the same as reader
	reader   *sql.DB
	listener *pgxpool.Pool // PostgreSQL only: one connection that waits for jobs
	log      *ledger.Log
	tables   map[string]*table
	turn     chan struct{} // holds a token while an Update of this process runs
	erased   atomic.Bool   // SQLite: the write-ahead log may still hold what was erased
}

// Open connects, brings the schema up to date and opens the ledger. A database
// that a newer Holdfast has migrated is refused with code Conflict, one that
// does not answer with Unavailable.
func Open(ctx context.Context, c Config) (*DB, error) {
	db, err := connect(ctx, c)
	if err == nil {
		err = db.migrate(ctx)
	}
	if err == nil {
		err = db.refuseRetired(ctx)
	}
	if err == nil {
		err = db.openLedger(c)
	}
	if err != nil {
		if db != nil {
			db.Close()
		}
		return nil, explain(err)
	}
	return db, nil
}

// connect opens the handles of the engine. What it returns with an error is to
// be closed, unless it is nil.
func connect(ctx context.Context, c Config) (*DB, error) {
	if (c.Path == "") == (c.URL == "") {
		return nil, escrow.Errorf(escrow.Invalid, "database: either a path or a URL must be given")
	}
	if c.Connections <= 0 {
		c.Connections = 8
	}
	db := &DB{engine: SQLite, tables: tables(), turn: make(chan struct{}, 1)}
	open := db.openSQLite
	if c.URL != "" {
		db.engine, open = Postgres, db.openPostgres
	}
	err := open(ctx, c)
	if err == nil {
		err = checkPlaceholders(ctx, db.reader)
	}
	return db, err
}

func (db *DB) openLedger(c Config) (err error) {
	db.log, err = ledger.New(ledger.Options{Reader: db.reader, Signer: c.Signer, Now: c.Now, Rand: c.Rand})
	return err
}

// checkPlaceholders refuses a driver that numbers $2 by its first appearance,
// as two of the three SQLite drivers do: every argument would silently change
// places.
func checkPlaceholders(ctx context.Context, q Querier) error {
	var a, b int64
	if err := q.QueryRowContext(ctx, `SELECT CAST($2 AS BIGINT), CAST($1 AS BIGINT)`, int64(1), int64(2)).Scan(&a, &b); err != nil {
		return fmt.Errorf("database self test: %w", err)
	}
	if a != 2 || b != 1 {
		return errors.New("database self test: the driver swaps arguments")
	}
	return nil
}

// Close ends all connections. Running transactions are rolled back.
func (db *DB) Close() error {
	var errs []error
	for _, h := range []*sql.DB{db.reader, db.writer} {
		if h != nil {
			errs = append(errs, h.Close())
		}
	}
	if db.listener != nil {
		db.listener.Close()
	}
	return errors.Join(errs...)
}

// Engine returns the engine behind db.
func (db *DB) Engine() Engine { return db.engine }

// Ledger returns the ledger for reading and proving. Acts are appended by
// [DB.Update] only.
func (db *DB) Ledger() *ledger.Log { return db.log }

// Jobs returns what the job queue works on: the handle that writes and
// River's driver over it. State is not to be written through it.
func (db *DB) Jobs() (*sql.DB, riverdriver.Driver[*sql.Tx]) { return db.writer, db.riverDriver() }

// View runs fn in one read transaction: all it reads is of one moment.
func (db *DB) View(ctx context.Context, fn func(*Tx) error) error {
	tx, err := db.reader.BeginTx(ctx, &sql.TxOptions{Isolation: db.snapshotIsolation(), ReadOnly: true})
	if err != nil {
		return explain(fmt.Errorf("database: begin: %w", err))
	}
	defer tx.Rollback()
	return explain(fn(&Tx{db: db, tx: tx}))
}

// snapshotIsolation is the level at which all of a read transaction sees one
// moment. SQLite knows no other and its driver takes only the default.
func (db *DB) snapshotIsolation() sql.IsolationLevel {
	if db.engine == Postgres {
		return sql.LevelRepeatableRead
	}
	return sql.LevelDefault
}

// maxTries bounds how often Update runs its function again when the engine
// gave up a transaction for reasons of its own.
const maxTries = 5

// Update runs fn in one write transaction and appends the acts it returns to
// the ledger in that same transaction. The first act records every row that fn
// wrote. A transaction that wrote something, or queued a job, and returns no
// act is refused and rolled back; one that did nothing needs none.
//
// fn may run several times and must have no effects outside the transaction.
// All other writers wait for it, so it neither waits for a network or a disk
// nor calls Update itself.
// When Update returns nil, state and acts are durable. When it returns an
// error, nothing was written, but for one case: a connection lost during the
// commit gives code Unavailable and leaves open which; what guards against
// doing a thing twice is in the rules of the single writes.
func (db *DB) Update(ctx context.Context, fn func(*Tx) ([]escrow.Act, error)) ([]evidence.Entry, error) {
	for try := 1; ; try++ {
		entries, err := db.update(ctx, fn)
		if err == nil && db.erased.Load() {
			db.emptyLog(ctx)
		}
		if err == nil || try == maxTries || !retryable(err) {
			return entries, explain(err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Duration(try) * 20 * time.Millisecond):
		}
	}
}

func (db *DB) update(ctx context.Context, fn func(*Tx) ([]escrow.Act, error)) ([]evidence.Entry, error) {
	// Those that wait for their turn do so without a connection, of which
	// readers would soon find none left.
	select {
	case db.turn <- struct{}{}:
		defer func() { <-db.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	tx, err := db.writer.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("database: begin: %w", err)
	}
	defer tx.Rollback()
	if err := db.lockWrites(ctx, tx); err != nil {
		return nil, err
	}
	t := &Tx{db: db, tx: tx, written: make(map[rowID]string)}
	acts, err := fn(t)
	if err != nil {
		return nil, err
	}
	rows, err := t.rows(ctx)
	if err != nil {
		return nil, err
	}
	if len(acts) == 0 {
		if len(rows) > 0 || t.queued {
			return nil, escrow.Errorf(escrow.Internal, "a transaction wrote state without an act: %d rows, job %t", len(rows), t.queued)
		}
		// What the ledger does not record, such as a file that arrived.
		if err := tx.Commit(); err != nil {
			return nil, fmt.Errorf("database: commit: %w", err)
		}
		return nil, nil
	}
	recorded := make([]ledger.Act, len(acts))
	for i, a := range acts {
		recorded[i].Act = a
	}
	recorded[0].Rows = rows
	entries, err := db.log.Append(ctx, tx, recorded...)
	if err != nil {
		return nil, err
	}
	if err := indexSubjects(ctx, tx, acts, entries); err != nil {
		return nil, err
	}
	if t.erased {
		db.erased.Store(true) // before the commit: a try too many does no harm
	}
	if err := tx.Commit(); err != nil {
		return nil, fmt.Errorf("database: commit: %w", err)
	}
	return entries, nil
}

// emptyLog moves SQLite's write-ahead log into the file and cuts it off, since
// it holds pages as they were before an erasure. A reader of an older moment
// stands in the way; then the next Update tries again, and the next start at
// the latest.
func (db *DB) emptyLog(ctx context.Context) {
	db.erased.Store(false) // before: an erasure that comes in between sets it again
	if db.engine == SQLite && truncateLog(context.WithoutCancel(ctx), db.writer) != nil {
		db.erased.Store(true)
	}
}

// truncateLog does not wait for readers: it has the one connection that writes.
func truncateLog(ctx context.Context, writer *sql.DB) error {
	conn, err := writer.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, `PRAGMA busy_timeout = 0`); err != nil {
		return err
	}
	var busy, frames, moved int
	err = conn.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &frames, &moved)
	if _, rerr := conn.ExecContext(ctx, `PRAGMA busy_timeout = `+busyTimeout); rerr != nil {
		return rerr
	}
	if err == nil && busy != 0 {
		err = errors.New("the write-ahead log is being read")
	}
	return err
}

// writersLock is the key of PostgreSQL's advisory lock that makes writers
// take turns; any number that nobody else in the database uses.
const writersLock = 0x686f6c6466617374 // "holdfast"

// lockWrites waits until this transaction is the only one that writes. Every
// statement after it sees what the transactions before it have committed.
func (db *DB) lockWrites(ctx context.Context, tx *sql.Tx) error {
	if db.engine != Postgres {
		return nil // BEGIN IMMEDIATE has done it
	}
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(writersLock)); err != nil {
		return fmt.Errorf("database: wait for other writers: %w", err)
	}
	return nil
}
