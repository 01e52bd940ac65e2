package storetest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/escrow"
	"holdfast/internal/store"
)

func testReopen(t *testing.T, d *Database) {
	d.Fill(t)
	size := d.size(t)
	again := d.Reopen(t)
	err := again.View(t.Context(), func(tx *store.Tx) error {
		got, err := tx.Deposit(t.Context(), Acme, "code", 1)
		if diff := cmp.Diff(Deposit("code", 1), got); diff != "" {
			t.Errorf("after opening again (-want +got):\n%s", diff)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	d.wantSize(t, size)
	d.mustVerify(t)
}

// Processes that start together on an empty database take turns.
func testConcurrentStart(t *testing.T, d *Database) {
	if d.Engine() != store.Postgres {
		t.Skip("a SQLite database has one process; the lock on the data directory sees to that")
	}
	d.Exec(t, `DROP SCHEMA public CASCADE`)
	d.Exec(t, `CREATE SCHEMA public`)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			db, err := store.Open(context.WithoutCancel(t.Context()), d.Config)
			if err != nil {
				t.Error(err)
				return
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	d.Fill(t)
	d.mustVerify(t)
}

func testNewerSchema(t *testing.T, d *Database) {
	d.Exec(t, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, TRUE)`)
	_, err := store.Open(t.Context(), d.Config)
	if escrow.CodeOf(err) != escrow.Conflict || !strings.Contains(err.Error(), "999") {
		t.Errorf("a database from the future: %v", err)
	}
}

// UpdateGolden is the usual flag; the suite runs in several packages' tests.
func update() bool {
	f := flag.Lookup("update")
	return f != nil && f.Value.String() == "true"
}

// testSchema compares the schema that the migrations made with one file, in a
// form that is the same for both engines.
func testSchema(t *testing.T, d *Database) {
	var b strings.Builder
	for _, table := range append(d.tables(t), "act_subject", "job_lease", "platform_pulse", "restic_file", "restic_lock", "restic_usage") {
		fmt.Fprintf(&b, "%s\n", table)
		for _, c := range d.describe(t, table) {
			fmt.Fprintf(&b, "\t%s\n", c)
		}
	}
	path := filepath.Join("testdata", "schema.golden")
	if update() {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(path, []byte(b.String()), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("the schema on %s (-golden +database):\n%s", d.Engine(), diff)
	}
}

// describe lists columns with kind and nullability, then the unique keys.
func (d *Database) describe(t testing.TB, table string) []string {
	t.Helper()
	if d.Engine() == store.Postgres {
		return append(d.strings(t, `SELECT column_name || ' ' || CASE data_type WHEN 'bigint' THEN 'integer' WHEN 'bytea' THEN 'bytes' ELSE data_type END
				|| CASE is_nullable WHEN 'YES' THEN ' null' ELSE '' END || CASE WHEN data_type = 'text' AND collation_name IS DISTINCT FROM 'C' THEN ' locale' ELSE '' END
				FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1 ORDER BY ordinal_position`, table),
			d.strings(t, `SELECT 'unique ' || string_agg(a.attname, ' ' ORDER BY k.at) || CASE WHEN i.indpred IS NULL THEN '' ELSE ' (some)' END
				FROM pg_index AS i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, at)
				JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
				WHERE i.indrelid = $1::regclass AND i.indisunique GROUP BY i.indexrelid, i.indpred ORDER BY (string_agg(a.attname, ' ' ORDER BY k.at)) COLLATE "C"`, table)...)
	}
	return append(d.strings(t, `SELECT name || ' ' || CASE type WHEN 'BIGINT' THEN 'integer' WHEN 'BLOB' THEN 'bytes' ELSE lower(type) END
			|| CASE "notnull" WHEN 1 THEN '' ELSE ' null' END FROM pragma_table_info($1) ORDER BY cid`, table),
		d.strings(t, `SELECT 'unique ' || (SELECT group_concat(name, ' ') FROM (SELECT name FROM pragma_index_info(l.name) ORDER BY seqno))
			|| CASE l.partial WHEN 1 THEN ' (some)' ELSE '' END FROM pragma_index_list($1) AS l WHERE l."unique" = 1 ORDER BY 1`, table)...)
}
