package store

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"github.com/riverqueue/river/rivermigrate"

	"holdfast/internal/escrow"
	"holdfast/internal/ledger"
)

//go:embed migrations/00002_state.sql
var stateSchema string

//go:embed migrations/00003_locations.sql
var locationsSchema string

//go:embed migrations/00004_restic.sql
var resticSchema string

//go:embed migrations/00006_retention.sql
var retentionSchema string

//go:embed migrations/00007_processes.sql
var processesSchema string

//go:embed migrations/00008_agreement.sql
var agreementSchema string

//go:embed migrations/00009_forge.sql
var forgeSchema string

//go:embed migrations/00010_accession.sql
var accessionSchema string

//go:embed migrations/00012_notice.sql
var noticeSchema string

//go:embed migrations/00013_term.sql
var termSchema string

//go:embed migrations/00015_unchanged.sql
var unchangedSchema string

//go:embed migrations/00016_watch.sql
var watchSchema string

//go:embed migrations/00018_bulletin.sql
var bulletinSchema string

// riverVersion is the version of River's own tables that this release is
// tested with. It is raised by hand with the library, after reading its
// changelog.
const riverVersion = 8

// migrations lists the steps from an empty database to this release's schema.
// A step that was released is never changed; each runs in a transaction of its
// own that also records its version.
func (db *DB) migrations() ([]*goose.Migration, error) {
	log, err := ledger.Schema(db.engine)
	if err != nil {
		return nil, err
	}
	return []*goose.Migration{
		goose.NewGoMigration(1, statements(log), nil),
		goose.NewGoMigration(2, statements(db.dialect(stateSchema)), nil),
		goose.NewGoMigration(3, statements(db.dialect(locationsSchema)), nil),
		goose.NewGoMigration(4, statements(db.dialect(resticSchema)), nil),
		goose.NewGoMigration(6, statements(db.dialect(retentionSchema)), nil),
		goose.NewGoMigration(7, statements(db.dialect(processesSchema)), nil),
		goose.NewGoMigration(8, statements(db.dialect(agreementSchema)), nil),
		goose.NewGoMigration(9, statements(db.dialect(forgeSchema)), nil),
		goose.NewGoMigration(10, statements(db.dialect(accessionSchema)), nil),
		goose.NewGoMigration(12, statements(db.dialect(noticeSchema)), nil),
		goose.NewGoMigration(13, statements(db.dialect(termSchema)), nil),
		goose.NewGoMigration(15, statements(db.dialect(unchangedSchema)), nil),
		goose.NewGoMigration(16, statements(db.dialect(watchSchema)), nil),
		goose.NewGoMigration(18, statements(db.dialect(bulletinSchema)), nil),
	}, nil
}

func statements(list []string) *goose.GoFunc {
	return &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		for _, s := range list {
			if _, err := tx.ExecContext(ctx, s); err != nil {
				return fmt.Errorf("%.60q: %w", s, err)
			}
		}
		return nil
	}}
}

// dialect turns a migration that is written for both engines into the
// statements of one. Text compares by bytes everywhere, whatever the locale of
// the PostgreSQL database, so that pages and ledger keys have one order.
func (db *DB) dialect(migration string) []string {
	if db.engine == Postgres {
		migration = strings.ReplaceAll(migration, " TEXT ", ` TEXT COLLATE "C" `)
	} else {
		migration = strings.ReplaceAll(migration, " BYTEA ", " BLOB ")
	}
	var out []string
	for s := range strings.SplitSeq(migration, ";\n") {
		if strings.TrimSpace(s) != "" {
			out = append(out, s)
		}
	}
	return out
}

// migrate brings the schema up to date: the ledger's tables, the state's, and
// River's. Processes that start together on one PostgreSQL database take
// turns; SQLite has one process.
func (db *DB) migrate(ctx context.Context) (err error) {
	unlock, err := db.lockSchema(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()

	list, err := db.migrations()
	if err != nil {
		return err
	}
	dialect := goose.DialectSQLite3
	if db.engine == Postgres {
		dialect = goose.DialectPostgres
	}
	provider, err := goose.NewProvider(dialect, db.writer, nil, goose.WithGoMigrations(list...), goose.WithDisableGlobalRegistry(true),
		goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return fmt.Errorf("database schema: %w", err)
	}
	have, err := provider.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("database schema: read version: %w", err)
	}
	if newest := list[len(list)-1].Version; have > newest {
		return escrow.Errorf(escrow.Conflict, "the database has schema version %d, this holdfast knows %d at most", have, newest).
			WithHint("run the newer holdfast that made it, or restore a backup")
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("database schema: %w", err)
	}
	migrator, err := rivermigrate.New(db.riverDriver(), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("database schema of the job queue: %w", err)
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{TargetVersion: riverVersion}); err != nil {
		return fmt.Errorf("database schema of the job queue: %w", err)
	}
	return nil
}

// lockSchema keeps other processes from migrating until the returned function
// is called. The lock belongs to a connection of its own and so covers goose
// and River alike.
func (db *DB) lockSchema(ctx context.Context) (unlock func() error, err error) {
	if db.engine != Postgres {
		return func() error { return nil }, nil
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 120)) // each second, for two minutes
	if err != nil {
		return nil, fmt.Errorf("database schema: %w", err)
	}
	conn, err := db.writer.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("database schema: %w", err)
	}
	if err := locker.SessionLock(ctx, conn); err != nil {
		return nil, errors.Join(fmt.Errorf("database schema: another process is migrating: %w", err), conn.Close())
	}
	return func() error {
		return errors.Join(locker.SessionUnlock(context.WithoutCancel(ctx), conn), conn.Close())
	}, nil
}
