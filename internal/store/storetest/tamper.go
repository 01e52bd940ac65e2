package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/ledger"
	"holdfast/internal/store"
)

func testVerify(t *testing.T, d *Database) {
	d.Fill(t)
	report, err := d.Verify(t.Context(), ledger.VerifyOptions{Policy: d.Policy})
	if err != nil {
		t.Fatal(err)
	}
	if report.Size != d.size(t) {
		t.Errorf("verified %d of %d", report.Size, d.size(t))
	}
}

// Every table of the database is either recorded in the ledger or named here
// with the reason why not.
func testEveryTableIsRecorded(t *testing.T, d *Database) {
	d.Fill(t)
	recorded := make(map[string]bool)
	for _, table := range d.tables(t) {
		var n int
		if err := d.Raw.QueryRow(`SELECT count(*) FROM ` + table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			t.Errorf("the fixture writes no row into %s; add one, so that tampering is tested", table)
		}
		recorded[table] = true
	}
	entries, err := d.Ledger().Entries(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		act, err := e.Act()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range act.Rows {
			delete(recorded, r.Table)
		}
	}
	for table := range recorded {
		t.Errorf("no act records the rows of %s", table)
	}
}

// tables lists the tables of state from the database's own catalogue.
func (d *Database) tables(t testing.TB) []string {
	t.Helper()
	query := `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'`
	if d.Engine() == store.Postgres {
		query = `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'`
	}
	var out []string
	for _, name := range d.strings(t, query) {
		switch {
		case strings.HasPrefix(name, "ledger_"): // the ledger itself, verified by its own means
		case strings.HasPrefix(name, "river_"): // jobs say what is to be done, not what is so
		case name == "goose_db_version": // which migrations ran
		case name == "act_subject": // drawn from the ledger, checked when it is used
		case name == "job_lease", name == "platform_pulse": // which process is at work just now, and that one was
		case name == "retired": // says that this is the state no more
		case name == "watch_now", name == "watch_beat", name == "watch_turn": // how far it has come; what follows from it is recorded
		case name == "stored_object", name == "object_copy", name == "scrub": // follows from the locations
		case strings.HasPrefix(name, "restic_"): // what has arrived; deposits are what is recorded
		default:
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func (d *Database) strings(t testing.TB, query string, args ...any) []string {
	t.Helper()
	rows, err := d.Raw.Query(query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// unguard takes away the checks and references that would stand in the way of
// someone who owns the database.
func (d *Database) unguard(t testing.TB) {
	t.Helper()
	if d.Engine() != store.Postgres {
		return // the raw handle ignores them
	}
	for _, statement := range d.strings(t, `SELECT format('ALTER TABLE %I DROP CONSTRAINT %I', conrelid::regclass, conname)
		FROM pg_constraint WHERE contype IN ('c', 'f') AND connamespace = 'public'::regnamespace AND conrelid::regclass::text NOT LIKE 'river%'`) {
		d.Exec(t, statement)
	}
}

// testTampering changes every column of every table behind the store's back,
// one at a time, takes rows away and adds some.
func testTampering(t *testing.T, d *Database) {
	d.Fill(t)
	d.unguard(t)
	for _, table := range d.tables(t) {
		entry := d.recordedAt(t, table)
		columns := d.columns(t, table)
		for _, column := range columns {
			row := d.row(t, table, columns)
			at := slices.Index(columns, column)
			values := []any{tampered(t, row[at])}
			if d.Engine() == store.SQLite { // which keeps a value of any kind
				values = append(values, []byte("\xff"), 1.5)
			}
			for _, v := range values {
				changed := slices.Clone(row)
				changed[at] = v
				d.replace(t, table, columns, row, changed)
				// A changed key looks like one row gone and a strange one
				// there; the one that was recorded is named.
				d.wantFault(t, fmt.Sprintf("%s.%s changed to %v", table, column, v), table, entry)
				d.replace(t, table, columns, changed, row)
			}
		}
		row := d.row(t, table, columns)
		d.delete(t, table, columns, row)
		d.wantFault(t, table+" row deleted", table, entry)
		d.insert(t, table, columns, row)
		d.mustVerify(t)

		added := slices.Clone(row)
		for i := range added { // a row with values that were never there
			added[i] = tampered(t, row[i])
		}
		d.insert(t, table, columns, added)
		d.wantFault(t, table+" row added", table, -1)
		d.delete(t, table, columns, added)
		d.mustVerify(t)
	}
}

// recordedAt returns the entry that recorded the fixture's rows of a table:
// the last one to name the table.
func (d *Database) recordedAt(t testing.TB, table string) int64 {
	t.Helper()
	entries, err := d.Ledger().Entries(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	at := int64(-2)
	for _, e := range entries {
		act, err := e.Act()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range act.Rows {
			if r.Table == table {
				at = e.Index
			}
		}
	}
	return at
}

func (d *Database) wantFault(t testing.TB, what, table string, index int64) {
	t.Helper()
	_, err := d.Verify(t.Context(), ledger.VerifyOptions{Policy: d.Policy})
	fault, ok := errors.AsType[*store.RowFault](err)
	if !ok || escrow.CodeOf(err) != escrow.Damaged {
		t.Errorf("%s: verify says %v", what, err)
		return
	}
	if fault.Table != table || fault.Key == "" || fault.Index != index {
		t.Errorf("%s: verify names %s %q, entry %d; want entry %d", what, fault.Table, fault.Key, fault.Index, index)
	}
}

func (d *Database) columns(t testing.TB, table string) []string {
	t.Helper()
	rows, err := d.Raw.Query(`SELECT * FROM ` + table + ` LIMIT 0`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	return columns
}

func (d *Database) row(t testing.TB, table string, columns []string) []any {
	t.Helper()
	row := make([]any, len(columns))
	dest := make([]any, len(columns))
	for i := range row {
		dest[i] = &row[i]
	}
	if err := d.Raw.QueryRow(`SELECT * FROM ` + table + ` ORDER BY 1, 2 LIMIT 1`).Scan(dest...); err != nil {
		t.Fatalf("%s: %v", table, err)
	}
	for i, v := range row {
		// SQLite's driver reads no bytes as nil, which it would write as NULL:
		// no column of state holds that.
		if b, ok := v.([]byte); ok && b == nil {
			row[i] = []byte{}
		}
	}
	return row
}

func tampered(t testing.TB, v any) any {
	t.Helper()
	switch v := v.(type) {
	case string:
		return v + "x"
	case int64:
		return v + 1000
	case bool:
		return !v
	case []byte:
		return append(slices.Clone(v), 'x')
	}
	t.Fatalf("a column holds a %T", v)
	return nil
}

// where matches exactly one row by all its columns.
func where(columns []string, row []any, from int) string {
	var parts []string
	for i, c := range columns {
		parts = append(parts, fmt.Sprintf("%s = $%d", c, from+i))
	}
	return strings.Join(parts, " AND ")
}

func (d *Database) mustChangeOne(t testing.TB, query string, args ...any) {
	t.Helper()
	var result sql.Result
	result, err := d.Raw.Exec(query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		t.Fatalf("%s: %d rows, %v", query, n, err)
	}
}

func (d *Database) replace(t testing.TB, table string, columns []string, from, to []any) {
	t.Helper()
	var set []string
	for i, c := range columns {
		set = append(set, fmt.Sprintf("%s = $%d", c, i+1))
	}
	d.mustChangeOne(t, `UPDATE `+table+` SET `+strings.Join(set, ", ")+` WHERE `+where(columns, from, len(to)+1), append(slices.Clone(to), from...)...)
}

func (d *Database) delete(t testing.TB, table string, columns []string, row []any) {
	t.Helper()
	d.mustChangeOne(t, `DELETE FROM `+table+` WHERE `+where(columns, row, 1), row...)
}

func (d *Database) insert(t testing.TB, table string, columns []string, row []any) {
	t.Helper()
	var places []string
	for i := range row {
		places = append(places, fmt.Sprintf("$%d", i+1))
	}
	d.mustChangeOne(t, `INSERT INTO `+table+` (`+strings.Join(columns, ", ")+`) VALUES (`+strings.Join(places, ", ")+`)`, row...)
}

// A changed entry of the ledger is found before any row is held against it.
func testTamperedLedger(t *testing.T, d *Database) {
	d.Fill(t)
	d.unguard(t)
	trigger := `DROP TRIGGER ledger_leaf_erase`
	if d.Engine() == store.Postgres {
		trigger += ` ON ledger_leaf`
	}
	d.Exec(t, trigger)
	payload := d.strings(t, `SELECT payload FROM ledger_leaf WHERE seq = 5`)[0]
	d.Exec(t, `UPDATE ledger_leaf SET payload = $1 WHERE seq = 5`, []byte(strings.Replace(payload, "tester", "nobody", 1)))
	_, err := d.Verify(t.Context(), ledger.VerifyOptions{Policy: d.Policy})
	if fault, ok := errors.AsType[*evidence.Fault](err); !ok || fault.Index != 5 {
		t.Errorf("verify says %v, want entry 5 named", err)
	}
}

func (d *Database) erase(ctx context.Context, index int64, then write) ([]evidence.Entry, error) {
	return d.DB.Update(ctx, func(tx *store.Tx) ([]escrow.Act, error) {
		act, err := tx.Erase(ctx, index, "agent/maria", "request of the person")
		if err != nil {
			return nil, err
		}
		if then != nil {
			err = then(ctx, tx)
		}
		return []escrow.Act{act}, err
	})
}

func testErasure(t *testing.T, d *Database) {
	d.Fill(t)
	d.Update(t, "setting", func(ctx context.Context, tx *store.Tx) error { return tx.PutSetting(ctx, "name", "changed") })
	size := d.size(t)
	// Each entry in turn, whatever it recorded: rows, groups, rows that were
	// recorded again later.
	for index := range size {
		if _, err := d.erase(t.Context(), index, nil); err != nil {
			t.Fatalf("entry %d: %v", index, err)
		}
		d.mustVerify(t)
	}
	if _, err := d.erase(t.Context(), 0, nil); escrow.CodeOf(err) != escrow.Conflict {
		t.Errorf("erased twice: %v", err)
	}
	if _, err := d.erase(t.Context(), 1000, nil); escrow.CodeOf(err) != escrow.NotFound {
		t.Errorf("no such entry: %v", err)
	}
	// What was erased is found nowhere in the database any more.
	d.unguard(t)
	d.wantAllTamperingFound(t)
}

func (d *Database) wantAllTamperingFound(t *testing.T) {
	t.Helper()
	for _, table := range d.tables(t) {
		columns := d.columns(t, table)
		row := d.row(t, table, columns)
		d.delete(t, table, columns, row)
		d.wantFault(t, table+" after erasure", table, d.recordedAtOrAfterErasure(t, table))
		d.insert(t, table, columns, row)
	}
	d.mustVerify(t)
}

func (d *Database) recordedAtOrAfterErasure(t testing.TB, table string) int64 {
	t.Helper()
	entries, err := d.Ledger().Entries(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	at := int64(-2)
	for _, e := range entries {
		if !e.Open() {
			continue
		}
		act, err := e.Act()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range act.Rows {
			if r.Table == table {
				at = e.Index
			}
		}
	}
	return at
}

func testErasureHidesNothing(t *testing.T, d *Database) {
	d.Update(t, "contact.added", func(ctx context.Context, tx *store.Tx) error { return tx.PutContact(ctx, contact("anna")) })
	d.Update(t, "contact.added", func(ctx context.Context, tx *store.Tx) error { return tx.PutContact(ctx, contact("bob")) })

	// A person leaves: the row goes in the transaction that erases the entry.
	if _, err := d.erase(t.Context(), 0, func(ctx context.Context, tx *store.Tx) error {
		return tx.DeleteContact(ctx, Acme, "notaris", "anna")
	}); err != nil {
		t.Fatal(err)
	}
	d.mustVerify(t)
	// The deletion's record survives the erasure of the entry that made it.
	d.Update(t, "contact.removed", func(ctx context.Context, tx *store.Tx) error { return tx.DeleteContact(ctx, Acme, "notaris", "bob") })
	if _, err := d.erase(t.Context(), 3, nil); err != nil {
		t.Fatal(err)
	}
	d.mustVerify(t)

	// A changed row is not made good by erasing the entry that tells.
	d.Update(t, "setting.changed", func(ctx context.Context, tx *store.Tx) error { return tx.PutSetting(ctx, "a", "1") })
	at := d.size(t) - 1
	d.Exec(t, `UPDATE setting SET value = '2' WHERE name = 'a'`)
	_, err := d.erase(t.Context(), at, nil)
	if fault, ok := errors.AsType[*store.RowFault](err); !ok || fault.Key != "a" || fault.Index != at {
		t.Errorf("erasing over a changed row: %v", err)
	}
	d.wantFault(t, "still found", "setting", at)
}
