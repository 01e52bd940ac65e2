package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/ledger"
)

// CopyTo copies the state, which nobody changes meanwhile, to a new, empty
// database and proves it there; see [Load]. A copy that an earlier call left,
// whole and equal, is as good.
func (db *DB) CopyTo(ctx context.Context, target Config, policy evidence.Policy) (evidence.Checkpoint, error) {
	var at evidence.Checkpoint
	err := db.View(ctx, func(t *Tx) (err error) {
		at, err = t.head(ctx, db.log.Origin())
		return err
	})
	if err != nil {
		return at, err
	}
	o := ledger.VerifyOptions{Policy: policy}
	r, w := io.Pipe()
	dumped := make(chan error, 1)
	go func() {
		_, err := db.Dump(ctx, w)
		dumped <- err
		w.CloseWithError(err)
	}()
	_, err = Load(ctx, target, r, at, o)
	r.CloseWithError(errStopped)
	if derr := <-dumped; derr != nil && !errors.Is(derr, errStopped) {
		return at, derr
	}
	if escrow.CodeOf(err) != escrow.Conflict {
		return at, err
	}
	there, oerr := Open(ctx, target)
	if oerr != nil {
		return at, err
	}
	defer there.Close()
	report, verr := there.Verify(ctx, o)
	if verr != nil || report.Size != at.Size || report.Root != at.Root {
		return at, err // it is not empty, and something else
	}
	return at, nil
}

// errStopped ends a dump that nobody reads any more.
var errStopped = errors.New("the copy was stopped")

// IsRetired reports whether the installation of a SQLite database goes on
// elsewhere.
func IsRetired(path string) (bool, error) {
	db, err := connect(context.Background(), Config{Path: path, readOnly: true})
	if err != nil {
		return false, explain(err)
	}
	defer db.Close()
	var n int
	err = db.reader.QueryRow(`SELECT COUNT(*) FROM retired`).Scan(&n)
	return n > 0, explain(err)
}

// Retire says that the installation goes on elsewhere, where the ledger has
// size entries, so that this database is not opened again by mistake; see
// [Open]. One that was written to since is refused with code Conflict.
func (db *DB) Retire(ctx context.Context, at time.Time, successor string, size int64) error {
	tx, err := db.writer.BeginTx(ctx, nil)
	if err != nil {
		return explain(fmt.Errorf("database: begin: %w", err))
	}
	defer tx.Rollback()
	if err := db.lockWrites(ctx, tx); err != nil {
		return explain(err)
	}
	t := &Tx{db: db, tx: tx}
	now, err := t.head(ctx, db.log.Origin())
	if err != nil {
		return explain(err)
	}
	if now.Size != size {
		return escrow.Errorf(escrow.Conflict, "somebody wrote to the database while it was moved: it has %d entries now, the copy %d", now.Size, size).
			WithHint("stop every process that uses it, empty the new database, and move again")
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO retired (at_us, successor) VALUES ($1, $2)`, micros(at), successor); err != nil {
		return explain(err)
	}
	return explain(tx.Commit())
}

// Others counts the connections of other holdfast processes to a PostgreSQL
// database. Those of this process are known by the name it was opened with.
func (db *DB) Others(ctx context.Context, own string) (int, error) {
	if db.engine != Postgres {
		return 0, nil // the lock of the data directory sees to that
	}
	var n int
	err := db.reader.QueryRowContext(ctx, `SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()
		AND application_name LIKE 'holdfast%' AND application_name <> $1`, own).Scan(&n)
	return n, explain(err)
}

// refuseRetired refuses a database whose installation goes on elsewhere.
func (db *DB) refuseRetired(ctx context.Context) error {
	var at int64
	var successor string
	err := db.writer.QueryRowContext(ctx, `SELECT at_us, successor FROM retired ORDER BY at_us DESC LIMIT 1`).Scan(&at, &successor)
	if err == sql.ErrNoRows {
		return nil
	}
	if err != nil {
		return err
	}
	return escrow.Errorf(escrow.Conflict, "this database was moved on %s; the installation goes on in %s", instant(at).Format(time.DateOnly), successor).
		WithHint("name that database in the configuration; going on in this one would be a second ledger")
}

// OpenReader opens a database that exists for reading only, beside the
// processes that use it. It migrates nothing, and refuses a schema that is not
// this release's.
func OpenReader(ctx context.Context, c Config) (*DB, error) {
	c.readOnly = true
	db, err := connect(ctx, c)
	if err == nil {
		err = db.CheckSchema(ctx)
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
