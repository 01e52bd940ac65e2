package store

import (
	"context"
	"errors"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"holdfast/internal/escrow"
)

// IsConflict reports whether err says that the state is another than the
// writer assumed: a rule of this package, or a constraint of the database.
func IsConflict(err error) bool {
	if escrow.CodeOf(err) == escrow.Conflict {
		return true
	}
	class := classify(err)
	return class == unique || class == foreignKey
}

type errorClass int

const (
	unknown errorClass = iota
	unique
	foreignKey
	constraint
	busy // the engine gave the transaction up; it may be tried again
	full
	readOnly
	damaged
	unavailable
)

// classify finds what an error of either driver is about.
func classify(err error) errorClass {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return classifySQLite(e.Code())
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return classifyPostgres(e.Code)
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return unavailable
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return unavailable
	}
	return unknown
}

func classifySQLite(code int) errorClass {
	switch code {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return unique
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return foreignKey
	case sqlite3.SQLITE_IOERR_SHMSIZE: // the index of the WAL cannot grow
		return full
	}
	switch code & 0xff { // the primary code of an extended one
	case sqlite3.SQLITE_CONSTRAINT:
		return constraint
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return busy
	case sqlite3.SQLITE_FULL:
		return full
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return readOnly
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return damaged
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN:
		return unavailable
	}
	return unknown
}

// classifyPostgres reads an SQLSTATE.
func classifyPostgres(code string) errorClass {
	switch code {
	case "23505":
		return unique
	case "23503":
		return foreignKey
	case "40001", "40P01": // serialization failure, deadlock
		return busy
	case "53100", "53200":
		return full
	case "25006":
		return readOnly
	case "XX001", "XX002": // data or index corrupted
		return damaged
	}
	if len(code) < 2 {
		return unknown
	}
	switch code[:2] {
	case "23":
		return constraint
	case "08", "53", "57", "28": // connection, resources, shutdown, authorisation
		return unavailable
	}
	return unknown
}

func retryable(err error) bool { return classify(err) == busy }

// explain gives an error of the database a code and a message for people. An
// error that has a code, and a cancelled caller's, pass unchanged.
func explain(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if _, ok := errors.AsType[*escrow.Error](err); ok {
		return err
	}
	switch classify(err) {
	case unique, foreignKey:
		return escrow.Wrap(err, escrow.Conflict, "the database holds something else than this change assumes").
			WithHint("read the current state and try again")
	case busy:
		return escrow.Wrap(err, escrow.Unavailable, "the database is busy").WithHint("try again")
	case full:
		return escrow.Wrap(err, escrow.Full, "no room left for the database").
			WithHint("free space on the disk that holds the database, then try again; nothing was written")
	case readOnly:
		return escrow.Wrap(err, escrow.Unavailable, "the database cannot be written").
			WithHint("give the account that runs holdfast write access to the database and its directory")
	case damaged:
		return escrow.Wrap(err, escrow.Damaged, "the database is damaged").
			WithHint("stop the server, keep a copy of the files, and restore the latest backup")
	case unavailable:
		return escrow.Wrap(err, escrow.Unavailable, "the database does not answer").
			WithHint("check that it runs and that address, name and password are right")
	}
	return err
}
