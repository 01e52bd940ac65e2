package ledger_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/ledger"
)

// unguarded runs attack with the triggers off, as somebody who owns the
// database could, returns what Verify then says, and undoes it all.
func (e *engine) unguarded(t testing.TB, o ledger.VerifyOptions, attack func(tx *sql.Tx) error) error {
	t.Helper()
	tx, err := e.writer.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	for _, stmt := range e.disarm(t, tx) {
		if _, err := tx.Exec(stmt); err != nil {
			t.Fatal(err)
		}
	}
	if err := attack(tx); err != nil {
		t.Fatalf("the attack itself failed: %v", err)
	}
	_, err = ledger.Verify(t.Context(), tx, o, nil)
	return err
}

// disarm returns the statements that switch the ledger's triggers and its
// CHECK constraints off.
func (e *engine) disarm(t testing.TB, tx *sql.Tx) []string {
	t.Helper()
	query := `SELECT 'DROP TRIGGER ' || name FROM sqlite_master WHERE type = 'trigger'`
	if e.dialect == ledger.Postgres {
		query = `SELECT 'ALTER TABLE ' || relname || ' DISABLE TRIGGER USER' FROM pg_class WHERE relname LIKE 'ledger_%' AND relkind = 'r'
			UNION ALL SELECT 'ALTER TABLE ' || conrelid::regclass || ' DROP CONSTRAINT ' || quote_ident(conname) FROM pg_constraint
				WHERE contype = 'c' AND conrelid::regclass::text LIKE 'ledger_%'`
	}
	rows, err := tx.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var stmt string
		if err := rows.Scan(&stmt); err != nil {
			t.Fatal(err)
		}
		out = append(out, stmt)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if len(out) < 5 {
		t.Fatalf("only %d guards found", len(out))
	}
	return out
}

// wantFault fails unless err is Damaged, names index and says what.
func wantFault(t testing.TB, err error, index int64, what string) {
	t.Helper()
	fault, ok := errors.AsType[*evidence.Fault](err)
	if !ok || escrow.CodeOf(err) != escrow.Damaged {
		t.Errorf("not found: %v", err)
		return
	}
	if fault.Index != index || !strings.Contains(fault.What, what) {
		t.Errorf("found as index %d, %q; want index %d, %q", fault.Index, fault.What, index, what)
	}
	if hint := hintOf(err); hint == "" {
		t.Error("the error does not say what to do")
	}
}

func hintOf(err error) string {
	if e, ok := errors.AsType[*escrow.Error](err); ok {
		return e.Hint
	}
	return ""
}

// prepared fills e with 600 entries, of which 7 and 590 are erased, and a
// published checkpoint of all of them that one witness has cosigned. It
// returns the options that verify it.
func (e *engine) prepared(t testing.TB) ledger.VerifyOptions {
	t.Helper()
	e.fill(t, 598, 100)
	for _, index := range []int64{7, 590} {
		e.erase(t, index)
	}
	signed, err := e.log.Publish(t.Context(), e.write)
	if err != nil {
		t.Fatal(err)
	}
	cosigner := newCosigner(t, "witness.example/w1")
	policy := e.policy(t, cosigner)
	g, err := e.log.Grow(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	cosigned, _, err := evidence.Witness{Log: policy.Log, Signer: cosigner}.Cosign(evidence.Pin{Origin: origin}, g)
	if err != nil {
		t.Fatal(err)
	}
	e.update(t, func(ctx context.Context, tx *sql.Tx) error {
		_, err := e.log.Cosign(ctx, tx, policy, cosigned)
		return err
	})
	c, err := policy.Open(signed)
	if err != nil {
		t.Fatal(err)
	}
	return ledger.VerifyOptions{Policy: policy, Pins: []evidence.Pin{evidence.NewPin(c)}}
}

func (e *engine) erase(t testing.TB, index int64) {
	t.Helper()
	e.update(t, func(ctx context.Context, tx *sql.Tx) error {
		a, err := e.log.Erase(ctx, tx, index, "agent/piet", "request of the person concerned")
		if err != nil {
			return err
		}
		_, err = e.log.Append(ctx, tx, ledger.Act{Act: a})
		return err
	})
}

func newCosigner(t testing.TB, name string) note.Signer {
	t.Helper()
	skey, _, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := evidence.NewCosigner(skey, clock)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVerifyFindsEveryChange(t *testing.T) {
	set := func(table, change, where string) func(*sql.Tx) error {
		return func(tx *sql.Tx) error {
			// A blob is an argument, since its literals differ per engine.
			change, args := change, []any(nil)
			if before, blob, ok := strings.Cut(change, "blob:"); ok {
				data, err := hex.DecodeString(blob)
				if err != nil {
					return err
				}
				change, args = before+"$1", []any{data}
			}
			result, err := tx.Exec("UPDATE "+table+" SET "+change+" WHERE "+where, args...)
			if err != nil {
				return err
			}
			if n, err := result.RowsAffected(); err != nil || n != 1 {
				return fmt.Errorf("%d rows changed, want 1: %v", n, err)
			}
			return nil
		}
	}
	all := func(attacks ...func(*sql.Tx) error) func(*sql.Tx) error {
		return func(tx *sql.Tx) error {
			for _, a := range attacks {
				if err := a(tx); err != nil {
					return err
				}
			}
			return nil
		}
	}
	run := func(stmt string) func(*sql.Tx) error {
		return func(tx *sql.Tx) error { _, err := tx.Exec(stmt); return err }
	}
	const leaf, tile, head, checkpoint = "ledger_leaf", "ledger_tile", "ledger_head", "ledger_checkpoint"
	zeros := func(n int) string { return "blob:" + strings.Repeat("00", n) }
	tests := []struct {
		name   string
		attack func(*sql.Tx) error
		index  int64
		what   string
	}{
		{"payload", set(leaf, "payload = "+zeros(9), "seq = 5"), 5, "do not match the commitment"},
		{"payload of the tail", set(leaf, "payload = "+zeros(9), "seq = 599"), 599, "do not match the commitment"},
		{"payload emptied", set(leaf, "payload = "+zeros(0), "seq = 5"), 5, ""},
		{"payload gone", set(leaf, "payload = NULL", "seq = 5"), 5, "its salt is not"},
		{"salt", set(leaf, "salt = "+zeros(16), "seq = 5"), 5, "do not match the commitment"},
		{"salt short", set(leaf, "salt = "+zeros(15), "seq = 5"), 5, "15 bytes"},
		{"salt gone", set(leaf, "salt = NULL", "seq = 5"), 5, "0 bytes"},
		{"salt of an erased entry", set(leaf, "salt = "+zeros(16), "seq = 7"), 7, "its salt is not"},
		{"commitment", set(leaf, "commitment = "+zeros(32), "seq = 300"), 300, "hash does not match"},
		{"commitment short", set(leaf, "commitment = "+zeros(31), "seq = 300"), 300, "31 bytes"},
		{"commitment of an erased entry", set(leaf, "commitment = "+zeros(32), "seq = 590"), 590, "hash does not match"},
		{"hash", set(leaf, "hash = "+zeros(32), "seq = 255"), 255, "hash does not match"},
		{"hash of an erased entry", set(leaf, "hash = "+zeros(32), "seq = 590"), 590, "hash does not match"},
		{"kind", set(leaf, "kind = 'deposit.refused'", "seq = 5"), 5, "kind column"},
		{"kind gone", set(leaf, "kind = NULL", "seq = 5"), 5, "kind column"},
		{"kind of an erased entry", set(leaf, "kind = 'x'", "seq = 7"), 7, "erased"},
		{"arrangement", set(leaf, "arrangement = 'zaak-9'", "seq = 5"), 5, "arrangement column"},
		{"arrangement gone", set(leaf, "arrangement = NULL", "seq = 5"), 5, "arrangement column"},
		{"arrangement of an erased entry", set(leaf, "arrangement = ''", "seq = 7"), 7, "erased"},
		{"time", set(leaf, "at_us = at_us + 1", "seq = 5"), 5, "time column"},
		{"time gone", set(leaf, "at_us = NULL", "seq = 5"), 5, "time column"},
		{"time of an erased entry", set(leaf, "at_us = 0", "seq = 7"), 7, "erased"},
		{"moved away", set(leaf, "seq = 10000", "seq = 5"), 5, "the next entry in the database is 6"},
		{"the last moved away", set(leaf, "seq = 10000", "seq = 599"), 599, "the next entry in the database is 10000"},
		{"moved below zero", set(leaf, "seq = -1", "seq = 0"), 0, "the next entry in the database is 1"},
		{"removed in the middle", run("DELETE FROM ledger_leaf WHERE seq = 300"), 300, "the next entry in the database is 301"},
		{"removed at the end", run("DELETE FROM ledger_leaf WHERE seq = 599"), 599, "the head counts 600"},
		{"all removed", run("DELETE FROM ledger_leaf"), 0, "the head counts 600"},
		{"swapped", all(set(leaf, "seq = 10000", "seq = 3"), set(leaf, "seq = 3", "seq = 9"), set(leaf, "seq = 9", "seq = 10000")), 3, "belongs to entry 9"},
		{"swapped in the tail", all(set(leaf, "seq = 10000", "seq = 595"), set(leaf, "seq = 595", "seq = 597"), set(leaf, "seq = 597", "seq = 10000")), 595, "belongs to entry 597"},
		{"erased without an act", set(leaf, "payload = NULL, salt = NULL, kind = NULL, arrangement = NULL, at_us = NULL", "seq = 20"), 20, "no entry records its erasure"},
		{"record of an erasure erased", set(leaf, "payload = NULL, salt = NULL, kind = NULL, arrangement = NULL, at_us = NULL", "seq = 598"), 7, "no entry records its erasure"},
		{"an entry too many", run(`INSERT INTO ledger_leaf (seq, kind, arrangement, at_us, payload, salt, commitment, hash)
			SELECT 600, kind, arrangement, at_us, payload, salt, commitment, hash FROM ledger_leaf WHERE seq = 599`), 600, "belongs to entry 599"},
		{"head size up", set(head, "size = 601", "id = 1"), 600, "it is not there"},
		{"head size down", set(head, "size = 599", "id = 1"), 599, "it follows the last entry"},
		{"head edge", set(head, "edge = "+zeros(32*4), "id = 1"), -1, "entries 0 to 511"},
		{"head edge short", set(head, "edge = "+zeros(32), "id = 1"), -1, "32 bytes"},
		{"head gone", run("DELETE FROM ledger_head"), -1, "the head is not there"},
		{"tile hashes", set(tile, "hashes = "+zeros(8192), "level = 0 AND n = 1"), 256, "tile/0/001 has another hash for it"},
		{"tile hashes short", set(tile, "hashes = "+zeros(32), "level = 0 AND n = 0"), 0, "tile/0/000"},
		{"tile root", set(tile, "root = "+zeros(32), "level = 0 AND n = 1"), 256, "another root"},
		{"tile level", set(tile, "level = 1", "level = 0 AND n = 1"), 256, "tile/0/001, which begins with it, is not there"},
		{"tile number", set(tile, "n = 2", "level = 0 AND n = 1"), 256, "tile/0/001, which begins with it, is not there"},
		{"tile gone", run("DELETE FROM ledger_tile WHERE n = 0"), 0, "tile/0/000, which begins with it, is not there"},
		{"tile too many", run("INSERT INTO ledger_tile (level, n, root, hashes) SELECT level, 2, root, hashes FROM ledger_tile WHERE n = 1"), -1, "level 0 has 3 tiles"},
		{"checkpoint size up", set(checkpoint, "size = 601", "size = 600"), -1, "it states size 600"},
		{"checkpoint size down", set(checkpoint, "size = 599", "size = 600"), -1, "it states size 600"},
		{"checkpoint note", set(checkpoint, "note = "+zeros(20), "size = 600"), -1, "stored checkpoint of size 600"},
		{"checkpoint witnesses", set(checkpoint, "witnesses = 2", "size = 600"), -1, "1 cosignatures, recorded are 2"},
	}
	onEachEngine(t, func(t *testing.T, e *engine) {
		options := e.prepared(t)
		if err := e.unguarded(t, options, func(*sql.Tx) error { return nil }); err != nil {
			t.Fatalf("before any change: %v", err)
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				err := e.unguarded(t, options, func(tx *sql.Tx) error {
					if e.dialect == ledger.SQLite {
						if _, err := tx.Exec("PRAGMA ignore_check_constraints = ON"); err != nil {
							return err
						}
					}
					return test.attack(tx)
				})
				wantFault(t, err, test.index, test.what)
			})
		}
	})
}

// A ledger that was shortened with everything made to agree is found by what
// was seen before, and by nothing else.
func TestVerifyFindsARemovedLastEntry(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *engine) {
		entries := e.fill(t, 300, 50)
		signed, err := e.log.Sign(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c, err := e.policy(t).Open(signed)
		if err != nil {
			t.Fatal(err)
		}
		var shorter evidence.Frontier
		for _, entry := range entries[:299] {
			shorter.Push(tlog.RecordHash(entry.Commitment[:]))
		}
		shorten := func(tx *sql.Tx) error {
			if _, err := tx.Exec("DELETE FROM ledger_leaf WHERE seq = 299"); err != nil {
				return err
			}
			_, err := tx.Exec("UPDATE ledger_head SET size = 299, edge = $1", shorter.Bytes())
			return err
		}
		options := ledger.VerifyOptions{Policy: e.policy(t)}
		if err := e.unguarded(t, options, shorten); err != nil {
			t.Fatalf("the shortened ledger is not consistent, so the test shows nothing: %v", err)
		}
		pinned := options
		pinned.Pins = []evidence.Pin{evidence.NewPin(c)}
		wantFault(t, e.unguarded(t, pinned, shorten), 299, "the pin of size 300 has 300 entries")
		wantFault(t, e.unguarded(t, options, func(tx *sql.Tx) error {
			if _, err := tx.Exec("INSERT INTO ledger_checkpoint (size, note, witnesses) VALUES (300, $1, 0)", signed); err != nil {
				return err
			}
			return shorten(tx)
		}), 299, "the stored checkpoint of size 300 has 300 entries")
	})
}

// A history rewritten from some entry on, with everything made to agree, is
// found by a pin of a size after it.
func TestVerifyFindsARewrittenHistory(t *testing.T) {
	e, other := openSQLite(t), openSQLite(t)
	e.fill(t, 40, 7)
	other.fill(t, 40, 7)
	signed, err := e.log.Sign(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := e.policy(t).Open(signed)
	if err != nil {
		t.Fatal(err)
	}
	_, err = other.verify(t, evidence.NewPin(c))
	wantFault(t, err, -1, "the first 40 entries are each whole")
}

// Every byte of every stored blob counts.
func TestVerifyFindsEveryByte(t *testing.T) {
	e := openSQLite(t)
	e.fill(t, 12, 5)
	e.erase(t, 3)
	signed, err := e.log.Publish(t.Context(), e.write)
	if err != nil {
		t.Fatal(err)
	}
	if len(signed) == 0 {
		t.Fatal("nothing was published")
	}
	options := ledger.VerifyOptions{Policy: e.policy(t)}
	step := 7
	if testing.Short() {
		step = 29
	}
	flips := 0
	for _, blob := range []struct{ table, column, key string }{
		{"ledger_leaf", "payload", "seq"}, {"ledger_leaf", "salt", "seq"}, {"ledger_leaf", "commitment", "seq"},
		{"ledger_leaf", "hash", "seq"}, {"ledger_head", "edge", "id"}, {"ledger_checkpoint", "note", "size"},
	} {
		rows, err := e.reader.Query("SELECT " + blob.key + ", " + blob.column + " FROM " + blob.table + " WHERE " + blob.column + " IS NOT NULL")
		if err != nil {
			t.Fatal(err)
		}
		stored := make(map[int64][]byte)
		for rows.Next() {
			var key int64
			var data []byte
			if err := rows.Scan(&key, &data); err != nil {
				t.Fatal(err)
			}
			stored[key] = data
		}
		rows.Close()
		for key, data := range stored {
			every := step
			if blob.table != "ledger_leaf" || key == 5 {
				every = 1
			}
			for at := int(key) % every; at < len(data); at += every {
				changed := append([]byte(nil), data...)
				changed[at] ^= 1
				err := e.unguarded(t, options, func(tx *sql.Tx) error {
					_, err := tx.Exec("UPDATE "+blob.table+" SET "+blob.column+" = $1 WHERE "+blob.key+" = $2", changed, key)
					return err
				})
				index := key
				if blob.table != "ledger_leaf" {
					index = -1
				}
				wantFault(t, err, index, "")
				flips++
			}
		}
	}
	t.Logf("%d single-bit changes, each found", flips)
}

// The triggers refuse what the program never does.
func TestTriggersRefuse(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *engine) {
		e.prepared(t)
		before := e.dump(t)
		statements := []string{
			"DELETE FROM ledger_leaf WHERE seq = 1",
			"UPDATE ledger_leaf SET payload = salt WHERE seq = 1",
			"UPDATE ledger_leaf SET payload = NULL WHERE seq = 1",
			"UPDATE ledger_leaf SET kind = 'x' WHERE seq = 1",
			"UPDATE ledger_leaf SET seq = 1000 WHERE seq = 1",
			"UPDATE ledger_leaf SET payload = NULL, salt = NULL, kind = NULL, arrangement = NULL, at_us = NULL, hash = commitment WHERE seq = 1",
			"UPDATE ledger_leaf SET payload = hash, salt = hash, kind = 'a', arrangement = 'b', at_us = 1 WHERE seq = 7",
			"DELETE FROM ledger_tile",
			"UPDATE ledger_tile SET root = root",
			"DELETE FROM ledger_head",
			"UPDATE ledger_head SET size = size - 1",
			"INSERT INTO ledger_head (id, size, edge) SELECT 2, size, edge FROM ledger_head",
		}
		if e.dialect == ledger.SQLite {
			statements = append(statements,
				"REPLACE INTO ledger_leaf SELECT seq, 'x', arrangement, at_us, payload, salt, commitment, hash FROM ledger_leaf WHERE seq = 1",
				"REPLACE INTO ledger_tile SELECT level, n, hashes, hashes FROM ledger_tile",
				"REPLACE INTO ledger_head SELECT 1, 0, edge FROM ledger_head",
				"INSERT INTO ledger_leaf SELECT -1, kind, arrangement, at_us, payload, salt, commitment, hash FROM ledger_leaf WHERE seq = 1")
		} else {
			statements = append(statements, "TRUNCATE ledger_leaf", "TRUNCATE ledger_tile", "TRUNCATE ledger_head")
		}
		for _, stmt := range statements {
			if _, err := e.writer.Exec(stmt); err == nil {
				t.Errorf("accepted: %s", stmt)
			}
		}
		if after := e.dump(t); string(before) != string(after) {
			t.Error("something changed")
		}
	})
}

func TestVerifyPassesEveryEntryOn(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *engine) {
		options := e.prepared(t)
		tx, err := e.reader.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead})
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		seen := int64(0)
		report, err := ledger.Verify(t.Context(), tx, options, func(entry ledger.Entry) error {
			if entry.Index != seen {
				return fmt.Errorf("entry %d, want %d", entry.Index, seen)
			}
			seen++
			var n int
			return tx.QueryRow("SELECT count(*) FROM ledger_tile").Scan(&n) // the transaction is free
		})
		if err != nil {
			t.Fatal(err)
		}
		if seen != 600 || report.Size != 600 || report.Erased != 2 || report.Tiles != 2 || report.Checkpoints != 1 {
			t.Errorf("%d entries passed on, report %+v", seen, report)
		}
		stop := errors.New("a row of the database is not what the act says")
		if _, err := ledger.Verify(t.Context(), tx, options, func(ledger.Entry) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("the caller's error became %v", err)
		}
	})
}
