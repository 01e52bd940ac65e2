package ledger

import "fmt"

// Dialect names the SQL engine.
type Dialect string

// The engines the ledger is tested on.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// Schema returns the statements that make the ledger's tables in an empty
// database, in order, one statement each. Triggers refuse to delete an entry
// or a tile, to change one in any way but erasure, and to let the ledger
// shrink. They guard against mistakes; who can drop them is caught by
// [Verify] and by the pins of clients.
//
// ledger_head has one row, the lock every append takes: the size, and the
// right edge of the tree (see evidence.Frontier). ledger_leaf has a row per
// entry; hash is the tlog record hash of the commitment. What erasure
// removes may be NULL: payload, salt and the columns drawn from the payload.
// ledger_tile has the complete tlog tiles of height 8 and the root of each.
// ledger_checkpoint has the last published checkpoint and every cosigned one.
func Schema(d Dialect) ([]string, error) {
	switch d {
	case SQLite:
		return sqliteSchema(), nil
	case Postgres:
		return postgresSchema(), nil
	}
	return nil, fmt.Errorf("ledger: no schema for SQL dialect %q", d)
}

func sqliteSchema() []string {
	return []string{
		// INTEGER PRIMARY KEY is the row's own address in SQLite.
		`CREATE TABLE ledger_head (
	id   INTEGER PRIMARY KEY CHECK (id = 1),
	size BIGINT NOT NULL CHECK (size >= 0),
	edge BLOB NOT NULL CHECK (length(edge) % 32 = 0)
)`,
		`CREATE TABLE ledger_leaf (
	seq         INTEGER PRIMARY KEY CHECK (seq >= 0),
	kind        TEXT,
	arrangement TEXT,
	at_us       BIGINT,
	payload     BLOB,
	salt        BLOB CHECK (length(salt) = 16),
	commitment  BLOB NOT NULL CHECK (length(commitment) = 32),
	hash        BLOB NOT NULL CHECK (length(hash) = 32),
	CHECK ((payload IS NULL) = (salt IS NULL) AND (payload IS NULL) = (kind IS NULL)
		AND (payload IS NULL) = (arrangement IS NULL) AND (payload IS NULL) = (at_us IS NULL))
)`,
		`CREATE INDEX ledger_leaf_arrangement ON ledger_leaf (arrangement, seq)`,
		`CREATE TABLE ledger_tile (
	level  INTEGER NOT NULL CHECK (level >= 0),
	n      BIGINT NOT NULL CHECK (n >= 0),
	root   BLOB NOT NULL CHECK (length(root) = 32),
	hashes BLOB NOT NULL CHECK (length(hashes) = 8192),
	PRIMARY KEY (level, n)
)`,
		`CREATE TABLE ledger_checkpoint (
	size      BIGINT PRIMARY KEY CHECK (size >= 0),
	note      BLOB NOT NULL,
	witnesses BIGINT NOT NULL CHECK (witnesses >= 0)
)`,
		`INSERT INTO ledger_head (id, size, edge) VALUES (1, 0, x'')`,

		`CREATE TRIGGER ledger_head_grows BEFORE UPDATE OF id, size ON ledger_head
WHEN NEW.id <> 1 OR NEW.size < OLD.size
BEGIN SELECT RAISE(ABORT, 'ledger: the log cannot shrink'); END`,
		`CREATE TRIGGER ledger_head_stays BEFORE DELETE ON ledger_head
BEGIN SELECT RAISE(ABORT, 'ledger: the head cannot be deleted'); END`,
		// REPLACE deletes without firing delete triggers, so inserts are
		// watched too.
		`CREATE TRIGGER ledger_head_once BEFORE INSERT ON ledger_head
WHEN EXISTS (SELECT 1 FROM ledger_head)
BEGIN SELECT RAISE(ABORT, 'ledger: there is one head'); END`,
		`CREATE TRIGGER ledger_leaf_order BEFORE INSERT ON ledger_leaf
WHEN NEW.seq <= (SELECT max(seq) FROM ledger_leaf)
BEGIN SELECT RAISE(ABORT, 'ledger: entries are only appended'); END`,
		`CREATE TRIGGER ledger_leaf_erase BEFORE UPDATE ON ledger_leaf
WHEN NOT (OLD.payload IS NOT NULL AND NEW.payload IS NULL AND NEW.salt IS NULL
	AND NEW.kind IS NULL AND NEW.arrangement IS NULL AND NEW.at_us IS NULL
	AND NEW.seq = OLD.seq AND NEW.commitment = OLD.commitment AND NEW.hash = OLD.hash)
BEGIN SELECT RAISE(ABORT, 'ledger: an entry can only be erased, not changed'); END`,
		`CREATE TRIGGER ledger_leaf_stays BEFORE DELETE ON ledger_leaf
BEGIN SELECT RAISE(ABORT, 'ledger: an entry cannot be deleted'); END`,
		`CREATE TRIGGER ledger_tile_once BEFORE INSERT ON ledger_tile
WHEN EXISTS (SELECT 1 FROM ledger_tile WHERE level = NEW.level AND n = NEW.n)
BEGIN SELECT RAISE(ABORT, 'ledger: a tile is written once'); END`,
		`CREATE TRIGGER ledger_tile_fixed BEFORE UPDATE ON ledger_tile
BEGIN SELECT RAISE(ABORT, 'ledger: a tile cannot be changed'); END`,
		`CREATE TRIGGER ledger_tile_stays BEFORE DELETE ON ledger_tile
BEGIN SELECT RAISE(ABORT, 'ledger: a tile cannot be deleted'); END`,
	}
}

func postgresSchema() []string {
	return []string{
		`CREATE TABLE ledger_head (
	id   BIGINT PRIMARY KEY CHECK (id = 1),
	size BIGINT NOT NULL CHECK (size >= 0),
	edge BYTEA NOT NULL CHECK (length(edge) % 32 = 0)
)`,
		`CREATE TABLE ledger_leaf (
	seq         BIGINT PRIMARY KEY CHECK (seq >= 0),
	kind        TEXT,
	arrangement TEXT COLLATE "C",
	at_us       BIGINT,
	payload     BYTEA,
	salt        BYTEA CHECK (length(salt) = 16),
	commitment  BYTEA NOT NULL CHECK (length(commitment) = 32),
	hash        BYTEA NOT NULL CHECK (length(hash) = 32),
	CHECK ((payload IS NULL) = (salt IS NULL) AND (payload IS NULL) = (kind IS NULL)
		AND (payload IS NULL) = (arrangement IS NULL) AND (payload IS NULL) = (at_us IS NULL))
)`,
		`CREATE INDEX ledger_leaf_arrangement ON ledger_leaf (arrangement, seq)`,
		`CREATE TABLE ledger_tile (
	level  BIGINT NOT NULL CHECK (level >= 0),
	n      BIGINT NOT NULL CHECK (n >= 0),
	root   BYTEA NOT NULL CHECK (length(root) = 32),
	hashes BYTEA NOT NULL CHECK (length(hashes) = 8192),
	PRIMARY KEY (level, n)
)`,
		`CREATE TABLE ledger_checkpoint (
	size      BIGINT PRIMARY KEY CHECK (size >= 0),
	note      BYTEA NOT NULL,
	witnesses BIGINT NOT NULL CHECK (witnesses >= 0)
)`,
		`INSERT INTO ledger_head (id, size, edge) VALUES (1, 0, ''::bytea)`,

		`CREATE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'ledger: % on % is refused: %', TG_OP, TG_TABLE_NAME, TG_ARGV[0];
END $$`,
		`CREATE TRIGGER ledger_head_grows BEFORE UPDATE OF id, size ON ledger_head FOR EACH ROW
WHEN (NEW.id <> 1 OR NEW.size < OLD.size)
EXECUTE FUNCTION ledger_refuse('the log cannot shrink')`,
		`CREATE TRIGGER ledger_head_stays BEFORE DELETE ON ledger_head FOR EACH ROW
EXECUTE FUNCTION ledger_refuse('the head cannot be deleted')`,
		`CREATE TRIGGER ledger_leaf_erase BEFORE UPDATE ON ledger_leaf FOR EACH ROW
WHEN (NOT (OLD.payload IS NOT NULL AND NEW.payload IS NULL AND NEW.salt IS NULL
	AND NEW.kind IS NULL AND NEW.arrangement IS NULL AND NEW.at_us IS NULL
	AND NEW.seq = OLD.seq AND NEW.commitment = OLD.commitment AND NEW.hash = OLD.hash))
EXECUTE FUNCTION ledger_refuse('an entry can only be erased')`,
		`CREATE TRIGGER ledger_leaf_stays BEFORE DELETE ON ledger_leaf FOR EACH ROW
EXECUTE FUNCTION ledger_refuse('an entry cannot be deleted')`,
		`CREATE TRIGGER ledger_tile_fixed BEFORE UPDATE OR DELETE ON ledger_tile FOR EACH ROW
EXECUTE FUNCTION ledger_refuse('a tile is written once')`,
		`CREATE TRIGGER ledger_head_kept BEFORE TRUNCATE ON ledger_head
EXECUTE FUNCTION ledger_refuse('the head cannot be deleted')`,
		`CREATE TRIGGER ledger_leaf_kept BEFORE TRUNCATE ON ledger_leaf
EXECUTE FUNCTION ledger_refuse('an entry cannot be deleted')`,
		`CREATE TRIGGER ledger_tile_kept BEFORE TRUNCATE ON ledger_tile
EXECUTE FUNCTION ledger_refuse('a tile is written once')`,
	}
}
