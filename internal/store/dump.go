package store

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/ledger"
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
	return table != "job_lease" && table != "retired" && !strings.HasPrefix(table, "river_") && !strings.HasPrefix(table, "goose_") &&
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
func (db *DB) Dump(ctx context.Context, w io.Writer) (evidence.Checkpoint, error) {
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

// Load fills a new, empty database with a dump and holds all of it against the
// ledger in it before it counts: the entries against the tree, the tree
// against want and against pins, every row against the act that recorded it.
// It is one transaction, so that on any error the database stays empty. A
// database that is in use is refused with code Conflict.
func Load(ctx context.Context, c Config, r io.Reader, want evidence.Checkpoint, o ledger.VerifyOptions) (_ *ledger.Report, err error) {
	db, err := Open(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := db.Close(); err == nil {
			err = cerr
		}
	}()
	tx, err := db.writer.BeginTx(ctx, nil)
	if err != nil {
		return nil, explain(fmt.Errorf("database: begin: %w", err))
	}
	defer tx.Rollback()
	if err := db.lockWrites(ctx, tx); err != nil {
		return nil, explain(err)
	}
	t := &Tx{db: db, tx: tx}
	if err := t.load(ctx, r); err != nil {
		return nil, explain(err)
	}
	audit := NewRowAudit()
	report, err := ledger.Verify(ctx, tx, o, audit.Add)
	if err == nil {
		err = audit.Compare(ctx, tx)
	}
	if err == nil && (report.Size != want.Size || report.Root != want.Root) {
		err = escrow.Errorf(escrow.Damaged, "the dump has a ledger of %d entries with root %s, it should have %d with root %s",
			report.Size, report.Root, want.Size, want.Root)
	}
	if err != nil {
		return nil, explain(err)
	}
	if err := tx.Commit(); err != nil {
		return nil, explain(fmt.Errorf("database: commit: %w", err))
	}
	return report, nil
}

func (t *Tx) load(ctx context.Context, r io.Reader) error {
	if t.db.engine == SQLite {
		if _, err := t.tx.ExecContext(ctx, `PRAGMA defer_foreign_keys = ON`); err != nil {
			return err
		}
	}
	names, columns, err := t.layout(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		var used int64
		query := `SELECT COUNT(*) FROM ` + name
		if name == "ledger_head" {
			query = `SELECT size FROM ledger_head`
		}
		if err := t.tx.QueryRowContext(ctx, query).Scan(&used); err != nil {
			return err
		}
		if used > 0 {
			return escrow.Errorf(escrow.Conflict, "the database is not empty: %s has rows", name).WithHint("name a new, empty database")
		}
	}
	l := &loader{tx: t, columns: columns, seen: map[string]bool{}, in: bufio.NewReaderSize(r, 1<<20)}
	return l.run(ctx)
}

type loader struct {
	tx      *Tx
	columns map[string][]tableColumn
	seen    map[string]bool
	in      *bufio.Reader
	lines   int64
	rows    int64

	table string
	order []tableColumn // of the table's columns in the dump
	batch [][]any
}

// line returns the next line; io.EOF at the end, and an error for a last line
// that is cut off.
func (l *loader) line() ([]byte, error) {
	var line []byte
	for {
		part, err := l.in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			l.lines++
			return line, nil
		case err == io.EOF && len(line) == 0:
			return nil, io.EOF
		case err != bufio.ErrBufferFull:
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		case len(line) > maxDumpLine:
			return nil, escrow.Errorf(escrow.Invalid, "dump line %d is longer than %d bytes", l.lines+1, maxDumpLine)
		}
	}
}

func (l *loader) run(ctx context.Context) error {
	bad := func(err error) error {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return escrow.Errorf(escrow.Damaged, "the dump ends after line %d, before its end", l.lines)
		}
		return fmt.Errorf("dump line %d: %w", l.lines, err)
	}
	list, err := l.tx.db.migrations()
	if err != nil {
		return err
	}
	line, err := l.line()
	if err != nil {
		return bad(err)
	}
	var head DumpHeader
	if err := json.Unmarshal(line, &head); err != nil || head.Format != DumpFormat {
		return escrow.Errorf(escrow.Invalid, "this is not a dump of a holdfast database")
	}
	if have := list[len(list)-1].Version; head.Schema != have {
		return escrow.Errorf(escrow.Conflict, "the dump has schema version %d, this holdfast has %d", head.Schema, have).
			WithHint("load it with the release that made it, then start the newer one")
	}
	for {
		line, err := l.line()
		if err != nil {
			return bad(err)
		}
		if line[0] == '[' {
			if err := l.row(ctx, line); err != nil {
				return bad(err)
			}
			continue
		}
		var next struct {
			dumpTable
			Rows *int64 `json:"rows"`
		}
		if err := json.Unmarshal(line, &next); err != nil {
			return bad(escrow.Errorf(escrow.Invalid, "not a line of a dump"))
		}
		if err := l.flush(ctx); err != nil {
			return bad(err)
		}
		if next.Rows != nil {
			if *next.Rows != l.rows {
				return escrow.Errorf(escrow.Damaged, "the dump has %d rows and says that it has %d", l.rows, *next.Rows)
			}
			break
		}
		if err := l.begin(next.dumpTable); err != nil {
			return bad(err)
		}
	}
	if _, err := l.line(); err != io.EOF {
		return escrow.Errorf(escrow.Invalid, "the dump goes on after its end")
	}
	for name := range l.columns {
		if !l.seen[name] {
			return escrow.Errorf(escrow.Damaged, "the dump has no table %s", name)
		}
	}
	return nil
}

func (l *loader) begin(head dumpTable) error {
	columns, ok := l.columns[head.Table]
	if !ok || l.seen[head.Table] {
		return escrow.Errorf(escrow.Invalid, "table %.60q is not expected", head.Table)
	}
	l.seen[head.Table], l.table, l.order = true, head.Table, nil
	for _, name := range head.Columns {
		i := slices.IndexFunc(columns, func(c tableColumn) bool { return c.name == name })
		if i < 0 {
			return escrow.Errorf(escrow.Invalid, "table %s has no column %.60q", head.Table, name)
		}
		l.order = append(l.order, columns[i])
	}
	if len(l.order) != len(columns) {
		return escrow.Errorf(escrow.Invalid, "table %s has %d columns in the dump, want %d", head.Table, len(l.order), len(columns))
	}
	return nil
}

func (l *loader) row(ctx context.Context, line []byte) error {
	var raw []json.RawMessage
	if err := json.Unmarshal(line, &raw); err != nil || l.table == "" || len(raw) != len(l.order) {
		return escrow.Errorf(escrow.Invalid, "not a row of table %q", l.table)
	}
	values := make([]any, len(raw))
	for i, c := range l.order {
		var err error
		if values[i], err = c.decode(raw[i]); err != nil {
			return err
		}
	}
	l.rows++
	l.batch = append(l.batch, values)
	if (len(l.batch)+1)*len(l.order) > maxArguments {
		return l.flush(ctx)
	}
	return nil
}

// flush writes the rows that wait.
func (l *loader) flush(ctx context.Context) error {
	if len(l.batch) == 0 {
		return nil
	}
	names := make([]string, len(l.order))
	for i, c := range l.order {
		names[i] = c.name
	}
	var q strings.Builder
	var args []any
	if l.table == "ledger_head" { // its one row is there from the first migration on
		fmt.Fprintf(&q, "UPDATE ledger_head SET ")
		for i, name := range names {
			fmt.Fprintf(&q, "%s = $%d, ", name, i+1)
		}
		query := strings.TrimSuffix(q.String(), ", ") + " WHERE id = 1"
		if len(l.batch) != 1 {
			return escrow.Errorf(escrow.Invalid, "the ledger has one head, not %d", len(l.batch))
		}
		_, err := l.tx.tx.ExecContext(ctx, query, l.batch[0]...)
		l.batch = nil
		return err
	}
	fmt.Fprintf(&q, "INSERT INTO %s (%s) VALUES ", l.table, strings.Join(names, ", "))
	for i, row := range l.batch {
		if i > 0 {
			q.WriteByte(',')
		}
		for k, v := range row {
			q.WriteByte("(,"[min(k, 1)])
			args = append(args, v)
			fmt.Fprintf(&q, "$%d", len(args))
		}
		q.WriteByte(')')
	}
	l.batch = l.batch[:0]
	_, err := l.tx.tx.ExecContext(ctx, q.String(), args...)
	return err
}

// Retire says that the installation goes on elsewhere, so that this database
// is not opened again by mistake; see [Open].
func (db *DB) Retire(ctx context.Context, at time.Time, successor string) error {
	_, err := db.writer.ExecContext(ctx, `INSERT INTO retired (at_us, successor) VALUES ($1, $2)`, micros(at), successor)
	return explain(err)
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
