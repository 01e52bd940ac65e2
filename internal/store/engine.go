package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	_ "modernc.org/sqlite" // the "sqlite" driver

	"holdfast/internal/escrow"
)

// busyTimeout is how long SQLite waits for another's lock, in milliseconds.
const busyTimeout = "5000"

// openSQLite opens one handle that writes, with a single connection, and one
// that cannot write.
//
// Why these pragmas: synchronous=FULL, since an act that was acknowledged must
// survive the loss of power, and a published checkpoint whose entries vanish
// would be a fork; WAL, so that readers do not wait for the writer;
// txlock=immediate, so that a transaction is the writer from its first
// statement and no rule is checked against a state that changes before it
// writes; dqs=0, so that a misspelt column is an error and not a string;
// secure_delete, so that what was erased is overwritten in the file and not only
// unlinked from it.
func (db *DB) openSQLite(ctx context.Context, c Config) error {
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return escrow.Wrap(err, escrow.Invalid, "database file %s", c.Path)
	}
	if c.readOnly {
		if _, err := os.Stat(path); err != nil {
			return fileError(err, path)
		}
		return db.openSQLiteReader(c, path)
	}
	// Made here for its mode; SQLite gives its other files the same.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fileError(err, path)
	}
	if err := f.Close(); err != nil {
		return fileError(err, path)
	}
	db.writer, err = sql.Open("sqlite", sqliteName(path)+"&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=secure_delete(1)&_txlock=immediate")
	if err != nil {
		return fileError(err, path)
	}
	db.writer.SetMaxOpenConns(1)
	if err := db.writer.PingContext(ctx); err != nil {
		return fmt.Errorf("database file %s: %w", path, err)
	}
	// What a process left that died after an erasure. Somebody who reads, as
	// with a tool for looking into databases, is no reason not to start.
	db.erased.Store(truncateLog(ctx, db.writer) != nil)
	return db.openSQLiteReader(c, path, "&mode=ro")
}

// openSQLiteReader opens the handle that does not write. Without mode=ro it
// can make the index of the write-ahead log that a stopped server has removed.
func (db *DB) openSQLiteReader(c Config, path string, options ...string) (err error) {
	db.reader, err = sql.Open("sqlite", sqliteName(path)+strings.Join(options, "")+"&_pragma=query_only(1)")
	if err != nil {
		return fileError(err, path)
	}
	db.reader.SetMaxOpenConns(c.Connections)
	db.reader.SetMaxIdleConns(c.Connections)
	return nil
}

// sqliteName is the driver's name for a file with what all handles have in
// common. A plain path would drop the options without a word.
func sqliteName(path string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=busy_timeout(" + busyTimeout + ")&_pragma=foreign_keys(1)&_dqs=0"
}

func fileError(err error, path string) error {
	e := escrow.Wrap(err, escrow.Unavailable, "cannot open the database file %s", path)
	if os.IsPermission(err) {
		return e.WithHint("give the account that runs holdfast read and write access to it and its directory")
	}
	if os.IsNotExist(err) {
		return e.WithHint("make the directory %s first", filepath.Dir(path))
	}
	return e.WithHint("check the disk and the mount of %s", filepath.Dir(path))
}

// openPostgres opens the pool and the one connection on which River listens.
func (db *DB) openPostgres(ctx context.Context, c Config) error {
	config, err := pgx.ParseConfig(c.URL)
	if err != nil {
		// The error of the parser may quote the URL, and with it the password.
		return escrow.Errorf(escrow.Invalid, "the database URL cannot be read").
			WithHint("write it like postgres://user@host:5432/name?sslmode=require")
	}
	config.RuntimeParams["application_name"] = cmp.Or(c.Name, "holdfast")
	pool := stdlib.OpenDB(*config)
	pool.SetMaxOpenConns(max(c.Connections, 3)) // migrating takes two at once
	pool.SetMaxIdleConns(c.Connections)
	db.reader, db.writer = pool, pool
	if err := pool.PingContext(ctx); err != nil {
		return escrow.Wrap(err, escrow.Unavailable, "database %s on %s does not answer", config.Database, config.Host).
			WithHint("check that PostgreSQL runs and that address, name and password are right")
	}
	listen, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return escrow.Errorf(escrow.Invalid, "the database URL cannot be read")
	}
	listen.ConnConfig.RuntimeParams["application_name"] = "holdfast-listen"
	listen.MaxConns, listen.MinConns = 1, 0
	db.listener, err = pgxpool.NewWithConfig(ctx, listen)
	if err != nil {
		return fmt.Errorf("database: connection for the job queue: %w", err)
	}
	return nil
}

func (db *DB) riverDriver() riverdriver.Driver[*sql.Tx] {
	if db.engine == Postgres {
		return riverdatabasesql.NewWithPgxListener(db.writer, db.listener)
	}
	return riversqlite.New(db.writer)
}
