package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// Tx is one transaction. It must not be used after the function it was given
// to has returned, nor by two goroutines at once.
type Tx struct {
	db      *DB
	tx      *sql.Tx
	written map[rowID]string // digest of what the row is now; nil when reading only
	queued  bool
	erased  bool // content of the ledger was erased
}

// rowID names a ledger row.
type rowID struct{ table, key string }

// unread marks a group whose digest is computed when the transaction ends.
const unread = "?"

// Queue puts jobs into the queue inside a transaction.
type Queue interface {
	EnqueueSync(ctx context.Context, tx *sql.Tx, arrangement, module, reason string) error
}

// EnqueueSync queues a sync of a module. It is there only if the transaction
// commits, together with the act that says why.
func (t *Tx) EnqueueSync(ctx context.Context, q Queue, arrangement, module, reason string) error {
	if err := t.writable(); err != nil {
		return err
	}
	t.queued = true
	if err := q.EnqueueSync(ctx, t.tx, arrangement, module, reason); err != nil {
		return fmt.Errorf("queue a sync of module %s of %s: %w", module, arrangement, err)
	}
	return nil
}

func (t *Tx) writable() error {
	if t.written == nil {
		return errors.New("a read transaction cannot write")
	}
	return nil
}

// write runs a statement on a table whose groups are single rows, notes the
// state of every row it wrote, and returns their number. RETURNING is added.
func (t *Tx) write(ctx context.Context, table, query string, args ...any) (int, error) {
	if err := t.check(args); err != nil {
		return 0, err
	}
	tb := t.db.tables[table]
	rows, err := t.tx.QueryContext(ctx, query+" RETURNING "+tb.list, args...)
	if err != nil {
		return 0, fmt.Errorf("write %s: %w", table, err)
	}
	defer rows.Close()
	n := 0
	for row := newRecord(tb); rows.Next(); n++ {
		if err := row.read(rows); err != nil {
			return 0, err
		}
		line, err := row.line()
		if err != nil {
			return 0, err
		}
		sum := sha256.Sum256(line)
		t.written[rowID{table, row.key()}] = hex.EncodeToString(sum[:])
	}
	if err := rows.Err(); err != nil {
		return 0, fmt.Errorf("write %s: %w", table, err)
	}
	return n, nil
}

// remove runs a DELETE on a table whose groups are single rows and notes that
// the rows are gone.
func (t *Tx) remove(ctx context.Context, table, query string, args ...any) (int, error) {
	if err := t.check(args); err != nil {
		return 0, err
	}
	tb := t.db.tables[table]
	rows, err := t.tx.QueryContext(ctx, query+" RETURNING "+tb.list, args...)
	if err != nil {
		return 0, fmt.Errorf("delete from %s: %w", table, err)
	}
	defer rows.Close()
	n := 0
	for row := newRecord(tb); rows.Next(); n++ {
		if err := row.read(rows); err != nil {
			return 0, err
		}
		t.written[rowID{table, row.key()}] = ""
	}
	if err := rows.Err(); err != nil {
		return 0, fmt.Errorf("delete from %s: %w", table, err)
	}
	return n, nil
}

// maxArguments bounds one statement. To SQLite $N is a name that it looks up in
// a list, so the time for a statement grows with the square of its arguments.
const maxArguments = 300

// insertGroup writes all rows of a group, many with one statement. Each row
// holds the values of the columns after the key, the order column first.
func (t *Tx) insertGroup(ctx context.Context, table string, key []any, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	tb := t.db.tables[table]
	perRow := len(rows[0])
	for batch := range slices.Chunk(rows, (maxArguments-len(key))/perRow) {
		var q strings.Builder
		fmt.Fprintf(&q, "INSERT INTO %s (%s) VALUES ", tb.name, tb.list)
		args := slices.Clone(key)
		for i, row := range batch {
			if i > 0 {
				q.WriteByte(',')
			}
			q.WriteByte('(')
			for k := range key {
				fmt.Fprintf(&q, "$%d,", k+1)
			}
			for c, v := range row {
				if c > 0 {
					q.WriteByte(',')
				}
				args = append(args, v)
				fmt.Fprintf(&q, "$%d", len(args))
			}
			q.WriteByte(')')
		}
		if err := t.check(args); err != nil {
			return err
		}
		if _, err := t.tx.ExecContext(ctx, q.String(), args...); err != nil {
			return fmt.Errorf("write %s: %w", table, err)
		}
	}
	t.written[rowID{table, rowKey(key...)}] = unread
	return nil
}

// check refuses text that only one of the engines would take.
func (t *Tx) check(args []any) error {
	if err := t.writable(); err != nil {
		return err
	}
	for _, a := range args {
		if s, ok := a.(string); ok && (!utf8.ValidString(s) || strings.ContainsRune(s, 0)) {
			return escrow.Errorf(escrow.Invalid, "text %.40q is not valid UTF-8 or holds a zero byte", s)
		}
	}
	return nil
}

// rows returns what was written, for the act that records it.
func (t *Tx) rows(ctx context.Context) ([]evidence.Row, error) {
	list := make([]evidence.Row, 0, len(t.written))
	for id, digest := range t.written {
		if digest == unread {
			var err error
			if digest, err = t.digest(ctx, id); err != nil {
				return nil, err
			}
		}
		list = append(list, evidence.Row{Table: id.table, Key: id.key, Digest: digest})
	}
	slices.SortFunc(list, func(a, b evidence.Row) int {
		return strings.Compare(a.Table+"\x00"+a.Key, b.Table+"\x00"+b.Key)
	})
	return list, nil
}

// digest computes the digest of one group as it is now, "" if it is not there.
func (t *Tx) digest(ctx context.Context, id rowID) (string, error) {
	tb, ok := t.db.tables[id.table]
	if !ok {
		return "", fmt.Errorf("no table %q", id.table)
	}
	key, err := tb.parseKey(id.key)
	if err != nil {
		return "", err
	}
	digest := ""
	err = tb.groups(ctx, t.tx, key, func(_, d string) error {
		digest = d
		return nil
	})
	return digest, err
}

// scanner is a row of a result.
type scanner interface{ Scan(dest ...any) error }

// one reads a single row; missing is the error if there is none.
func one[T any](ctx context.Context, t *Tx, scan func(scanner) (T, error), missing error, query string, args ...any) (T, error) {
	v, err := scan(t.tx.QueryRowContext(ctx, query, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return v, missing
	}
	return v, err
}

// many reads all rows of a result.
func many[T any](ctx context.Context, t *Tx, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := t.tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// micros renders a time for the database; 0 is no time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// instant is the inverse of micros.
func instant(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// blob makes no bytes an empty value, since nothing in the database is NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// joinNames renders names for a text column.
func joinNames(names []string) (string, error) {
	if len(names) == 0 {
		return "[]", nil
	}
	b, err := evidence.Canonical(names)
	return string(b), err
}

// splitNames is the inverse of joinNames.
func splitNames(text string) ([]string, error) {
	var out []string
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return nil, fmt.Errorf("list of names %.80q: %w", text, err)
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}
