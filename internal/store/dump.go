package store

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// A dump is the whole state at one moment in a form that either engine reads:
// lines of JSON. The first is a [DumpHeader]; then for each table, in an order
// in which rows come after those they refer to, a line with its name and
// columns, and a line for each row, an array of its values with bytes as
// {"b": base64}; the last line counts the rows. What belongs to the running of
// processes and not to the state, the job queue and leases, is left out.

// DumpFormat names the form of a dump.
const DumpFormat = "holdfast/dump/v1"

// DumpHeader is the first line of a dump.
type DumpHeader struct {
	Format string `json:"format"`
	Schema int64  `json:"schema"` // version of the tables; a dump is loaded by a release that has the same
}

type dumpTable struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"`
}

type dumpEnd struct {
	Rows int64 `json:"rows"`
}

// maxDumpLine bounds a row: a deposit's manifest has megabytes.
const maxDumpLine = 256 << 20

// tableColumn is a column as a database describes it.
type tableColumn struct {
	name    string
	kind    columnKind
	notNull bool
}

// kept reports whether a table is state, or drawn from it, and not part of
// what runs the processes.
func kept(table string) bool {
	return table != "job_lease" && table != "watch_turn" && table != "retired" && !strings.HasPrefix(table, "river_") && !strings.HasPrefix(table, "goose_") &&
		!strings.HasPrefix(table, "sqlite_")
}

// layout lists the tables of the database with their columns, in the order in
// which they were made: what a table refers to was there before it.
func (t *Tx) layout(ctx context.Context) ([]string, map[string][]tableColumn, error) {
	query := `SELECT m.name, c.name, c.type, c."notnull" FROM sqlite_master AS m CROSS JOIN pragma_table_info(m.name) AS c
		WHERE m.type = 'table' ORDER BY m.rowid, c.cid`
	if t.db.engine == Postgres {
		query = `SELECT r.relname, a.attname, format_type(a.atttypid, NULL), CASE WHEN a.attnotnull THEN 1 ELSE 0 END
			FROM pg_class AS r JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
			WHERE r.relkind = 'r' AND r.relnamespace = current_schema()::regnamespace ORDER BY r.oid, a.attnum`
	}
	type found struct {
		table, column, kind string
		notNull             int64
	}
	scan := func(s scanner) (f found, err error) { return f, s.Scan(&f.table, &f.column, &f.kind, &f.notNull) }
	list, err := many(ctx, t, scan, query)
	if err != nil {
		return nil, nil, fmt.Errorf("read the schema: %w", err)
	}
	var names []string
	columns := make(map[string][]tableColumn)
	for _, f := range list {
		if !kept(f.table) {
			continue
		}
		if columns[f.table] == nil {
			names = append(names, f.table)
		}
		c := tableColumn{name: f.column, notNull: f.notNull == 1}
		switch strings.ToLower(f.kind) {
		case "text":
			c.kind = text
		case "bigint", "integer":
			c.kind = integer
		case "boolean":
			c.kind = boolean
		case "bytea", "blob":
			c.kind = bytes
		default:
			return nil, nil, escrow.Errorf(escrow.Internal, "column %s of %s is of type %s, which a dump does not know", f.column, f.table, f.kind)
		}
		columns[f.table] = append(columns[f.table], c)
	}
	return names, columns, nil
}

// Dump writes the whole state, as it is at one moment, to w. Writers do not
// wait for it. It returns the size and root that the ledger has in the dump.
// also reads on at the same moment.
func (db *DB) Dump(ctx context.Context, w io.Writer, also ...func(*Tx) error) (evidence.Checkpoint, error) {
	var at evidence.Checkpoint
	list, err := db.migrations()
	if err != nil {
		return at, err
	}
	err = db.View(ctx, func(t *Tx) error {
		out := bufio.NewWriterSize(w, 1<<20)
		d := &dumper{tx: t, enc: json.NewEncoder(out)}
		d.enc.SetEscapeHTML(false)
		if err := d.enc.Encode(DumpHeader{DumpFormat, list[len(list)-1].Version}); err != nil {
			return err
		}
		names, columns, err := t.layout(ctx)
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := d.table(ctx, name, columns[name]); err != nil {
				return fmt.Errorf("dump %s: %w", name, err)
			}
		}
		if err := d.enc.Encode(dumpEnd{d.rows}); err != nil {
			return err
		}
		if at, err = t.head(ctx, db.log.Origin()); err != nil {
			return err
		}
		for _, fn := range also {
			if err := fn(t); err != nil {
				return err
			}
		}
		return out.Flush()
	})
	return at, err
}

// head reads what the ledger is in this transaction.
func (t *Tx) head(ctx context.Context, origin string) (evidence.Checkpoint, error) {
	var size int64
	var edge []byte
	if err := t.tx.QueryRowContext(ctx, `SELECT size, edge FROM ledger_head WHERE id = 1`).Scan(&size, &edge); err != nil {
		return evidence.Checkpoint{}, fmt.Errorf("read the ledger's head: %w", err)
	}
	frontier, err := evidence.ParseFrontier(size, edge)
	if err != nil {
		return evidence.Checkpoint{}, escrow.Wrap(err, escrow.Damaged, "the ledger's head does not hold")
	}
	return evidence.Checkpoint{Origin: origin, Size: size, Root: frontier.Root()}, nil
}

type dumper struct {
	tx   *Tx
	enc  *json.Encoder
	rows int64
}

func (d *dumper) table(ctx context.Context, name string, columns []tableColumn) error {
	head := dumpTable{Table: name}
	for _, c := range columns {
		head.Columns = append(head.Columns, c.name)
	}
	if err := d.enc.Encode(head); err != nil {
		return err
	}
	query := `SELECT ` + strings.Join(head.Columns, ", ") + ` FROM ` + name
	if name == "ledger_leaf" {
		query += ` ORDER BY seq` // entries are only appended, also when they are loaded
	}
	rows, err := d.tx.tx.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	values, dest := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		dest[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		for i, c := range columns {
			if values[i], err = c.encode(values[i]); err != nil {
				return err
			}
		}
		if err := d.enc.Encode(values); err != nil {
			return err
		}
		d.rows++
	}
	return rows.Err()
}

// encode turns a value of a driver into its form in a dump.
func (c tableColumn) encode(v any) (any, error) {
	switch v := v.(type) {
	case nil:
		if c.notNull && c.kind == bytes { // SQLite's driver does not tell empty from NULL
			return map[string]string{"b": ""}, nil
		}
		return nil, nil
	case string:
		if c.kind == text {
			return v, nil
		}
	case int64:
		switch {
		case c.kind == integer:
			return v, nil
		case c.kind == boolean && (v == 0 || v == 1):
			return v == 1, nil
		}
	case bool:
		if c.kind == boolean {
			return v, nil
		}
	case []byte:
		switch c.kind {
		case bytes:
			return map[string]string{"b": base64.StdEncoding.EncodeToString(v)}, nil
		case text:
			return string(v), nil
		}
	}
	return nil, escrow.Errorf(escrow.Damaged, "column %s holds a %T", c.name, v)
}

// decode is the inverse of encode for the column of the database that is
// loaded.
func (c tableColumn) decode(raw json.RawMessage) (any, error) {
	var err error
	bad := func() (any, error) {
		return nil, escrow.Errorf(escrow.Invalid, "column %s does not take %.60s", c.name, raw)
	}
	if string(raw) == "null" {
		if c.notNull {
			return bad()
		}
		return nil, nil
	}
	switch c.kind {
	case text:
		var v string
		if err = json.Unmarshal(raw, &v); err == nil {
			return v, nil
		}
	case integer:
		var v int64
		if err = json.Unmarshal(raw, &v); err == nil {
			return v, nil
		}
	case boolean:
		var v bool
		if err = json.Unmarshal(raw, &v); err == nil {
			return v, nil
		}
	case bytes:
		var v struct{ B *string }
		if err = json.Unmarshal(raw, &v); err == nil && v.B != nil {
			b, err := base64.StdEncoding.DecodeString(*v.B)
			if err == nil {
				return blob(b), nil
			}
		}
	}
	return bad()
}
