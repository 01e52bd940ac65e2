package store

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/ledger"
)

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
