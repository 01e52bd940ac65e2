package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"unicode/utf8"

	"holdfast/evidence"
)

// table describes a table whose rows the ledger records.
//
// What an act records is the state of a ledger row: the group of database
// rows that have the same key. Most groups are one row; the objects of a
// deposit are one group, since an act could not list each of a hundred
// thousand. The digest of a group is the SHA-256 of its rows in order, each as
// one line of canonical JSON: an object of all columns, integers and booleans
// as such, text as it is, and bytes as the hexadecimal SHA-256 of themselves.
type table struct {
	name    string
	key     []string // columns that name the group
	order   []string // columns that complete the primary key; none if a group is one row
	columns []column // all, the key first
	list    string   // of columns, for SELECT and RETURNING
}

type column struct {
	name string
	kind columnKind
}

type columnKind byte

const (
	text    columnKind = 't'
	integer columnKind = 'i'
	boolean columnKind = 'b'
	bytes   columnKind = 'x'
)

// tables lists every table of state. A table that is missing here cannot be
// written to, and the suite compares the list with the databases.
func tables() map[string]*table {
	list := []*table{
		newTable("arrangement", "arrangement version:i", "", "digest canonical:x source:x created_us:i"),
		newTable("contact", "arrangement party person", "", "recipient signing_key document:x added_us:i"),
		newTable("module", "arrangement id", "",
			"kind instance compartment source_mode source_url lfs:b exclude host_key every_us:i rebase:i"),
		newTable("module_sync", "arrangement module", "", "attempted_us:i succeeded_us:i failures:i error error_code error_hint next_due_us:i"),
		newTable("credential", "arrangement module kind", "", "sealed:x updated_us:i"),
		newTable("epoch", "arrangement compartment number:i", "",
			"set_id recipient manifest:x signature:x required:i state dealt_us:i activated_us:i ended_us:i end_reason"),
		newTable("share_package", "arrangement compartment epoch:i trustee person", "", "digest sealed:x"),
		newTable("acceptance", "arrangement compartment epoch:i trustee person", "", "document:x signature:x accepted_us:i"),
		newTable("deposit", "arrangement module number:i", "",
			"kind predecessor digest manifest:x signature:x compartment epoch:i completeness stored_bytes:i accepted_us:i"),
		newTable("deposit_object", "arrangement module deposit:i", "seq:i", "name size:i"),
		newTable("source_state", "arrangement module", "", "deposit:i state segments chain:i"),
		newTable("release_case", "arrangement id", "", "event stage claimant reason compartment epoch:i recipients "+
			"state statement:x opened_us:i noticed_us:i contest_us:i in_force_us:i ended_us:i"),
		newTable("approval", "arrangement case_id trustee person", "", "document:x signature:x received_us:i"),
		newTable("token", "id", "", "hash:x person party role arrangement module created_us:i expires_us:i revoked_us:i"),
		newTable("webhook", "source id", "", "arrangement module received_us:i"),
		newTable("setting", "name", "", "value"),
		newTable("location", "id", "", "kind place arrangement counts:b state added_us:i changed_us:i"),
	}
	list = append(list, custodyTables()...)
	list = append(list, accordTables()...)
	list = append(list, accessionTables()...)
	list = append(list, forgeTables()...)
	list = append(list, noticeTables()...)
	list = append(list, termTables()...)
	list = append(list, watchTables()...)
	list = append(list, bulletinTables()...)
	byName := make(map[string]*table, len(list))
	for _, t := range list {
		byName[t.name] = t
	}
	return byName
}

// newTable reads columns written as "name" for text or "name:kind".
func newTable(name, key, order, rest string) *table {
	t := &table{name: name}
	names := func(part string) []string {
		var out []string
		for word := range strings.FieldsSeq(part) {
			column := column{name: word, kind: text}
			if at := len(word) - 2; at > 0 && word[at] == ':' {
				column.name, column.kind = word[:at], columnKind(word[at+1])
			}
			t.columns = append(t.columns, column)
			out = append(out, column.name)
		}
		return out
	}
	t.key, t.order = names(key), names(order)
	names(rest)
	all := make([]string, len(t.columns))
	for i, c := range t.columns {
		all[i] = c.name
	}
	t.list = strings.Join(all, ", ")
	return t
}

// record is one database row on its way into a digest.
type record struct {
	table  *table
	cells  []cell
	dest   []any
	fields map[string]any
}

func newRecord(t *table) *record {
	r := &record{table: t, cells: make([]cell, len(t.columns)), dest: make([]any, len(t.columns)), fields: make(map[string]any, len(t.columns))}
	for i, c := range t.columns {
		r.cells[i].kind = c.kind
		r.dest[i] = &r.cells[i]
	}
	return r
}

// read takes the current row, which must have the table's columns in order.
func (r *record) read(rows *sql.Rows) error {
	if err := rows.Scan(r.dest...); err != nil {
		return fmt.Errorf("%s: %w", r.table.name, err)
	}
	return nil
}

// key names the group of the row: its key columns with a space between them.
func (r *record) key() string {
	words := make([]any, len(r.table.key))
	for i := range words {
		words[i] = r.cells[i].value
	}
	return rowKey(words...)
}

// line renders the row for the digest.
func (r *record) line() ([]byte, error) {
	for i, c := range r.table.columns {
		r.fields[c.name] = r.cells[i].value
	}
	line, err := evidence.Canonical(r.fields)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.table.name, r.key(), err)
	}
	return append(line, '\n'), nil
}

// cell is one value of a row as it goes into the digest.
type cell struct {
	kind  columnKind
	value any // string, int64 or bool
}

// Scan implements [sql.Scanner]. SQLite keeps whatever somebody puts into a
// column, so a value of the wrong kind is no error here: it becomes a text
// that no right value has, and the row counts as changed.
func (c *cell) Scan(src any) error {
	switch v := src.(type) {
	case string:
		if c.kind == text && utf8.ValidString(v) {
			c.value = v
			return nil
		}
	case int64:
		if c.kind == integer || c.kind == boolean && (v == 0 || v == 1) {
			c.value = v
			if c.kind == boolean {
				c.value = v == 1
			}
			return nil
		}
	case bool:
		if c.kind == boolean {
			c.value = v
			return nil
		}
	case []byte:
		if c.kind == bytes {
			c.value = evidence.Digest(v)
			return nil
		}
	case nil:
		if c.kind == bytes { // SQLite's driver does not tell empty from NULL
			c.value = evidence.Digest(nil)
			return nil
		}
	}
	c.value = fmt.Sprintf("\uFFFD%T %.200q", src, fmt.Sprint(src))
	return nil
}

// rowKey joins the parts of a key. A space or percent sign inside a part is
// escaped, so that two keys never look alike.
func rowKey(parts ...any) string {
	var b strings.Builder
	for i, p := range parts {
		if i > 0 {
			b.WriteByte(' ')
		}
		switch p := p.(type) {
		case string:
			b.WriteString(strings.ReplaceAll(strings.ReplaceAll(p, "%", "%25"), " ", "%20"))
		case int64:
			b.WriteString(strconv.FormatInt(p, 10))
		case int:
			b.WriteString(strconv.Itoa(p))
		}
	}
	return b.String()
}

// parseKey is the inverse of rowKey for the table's key columns.
func (t *table) parseKey(key string) ([]any, error) {
	parts := strings.Split(key, " ")
	if len(parts) != len(t.key) {
		return nil, fmt.Errorf("%s: key %q has %d parts, want %d", t.name, key, len(parts), len(t.key))
	}
	values := make([]any, len(parts))
	for i, p := range parts {
		if t.columns[i].kind != integer {
			values[i] = strings.ReplaceAll(strings.ReplaceAll(p, "%20", " "), "%25", "%")
			continue
		}
		n, err := strconv.ParseInt(p, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: key %q: %w", t.name, key, err)
		}
		values[i] = n
	}
	return values, nil
}

// Querier is what reading needs of a transaction.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// groups calls fn with the key and the digest of every group of the table, or
// of the one group whose key columns have the given values.
func (t *table) groups(ctx context.Context, q Querier, key []any, fn func(key, digest string) error) error {
	var query strings.Builder
	fmt.Fprintf(&query, "SELECT %s FROM %s", t.list, t.name)
	for i := range key {
		word := " AND "
		if i == 0 {
			word = " WHERE "
		}
		fmt.Fprintf(&query, "%s%s = $%d", word, t.key[i], i+1)
	}
	if len(t.order) > 0 {
		query.WriteString(" ORDER BY " + strings.Join(append(t.key[:len(t.key):len(t.key)], t.order...), ", "))
	}
	rows, err := q.QueryContext(ctx, query.String(), key...)
	if err != nil {
		return fmt.Errorf("read %s: %w", t.name, err)
	}
	defer rows.Close()

	row := newRecord(t)
	var current string
	var sum hash.Hash
	flush := func() error {
		if sum == nil {
			return nil
		}
		return fn(current, hex.EncodeToString(sum.Sum(nil)))
	}
	for rows.Next() {
		if err := row.read(rows); err != nil {
			return err
		}
		line, err := row.line()
		if err != nil {
			return err
		}
		if k := row.key(); sum == nil || k != current {
			if err := flush(); err != nil {
				return err
			}
			current, sum = k, sha256.New()
		}
		sum.Write(line)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read %s: %w", t.name, err)
	}
	return flush()
}
