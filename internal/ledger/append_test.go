package ledger_test

import (
	"bytes"
	"context"
	"database/sql"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"holdfast/evidence"
	"holdfast/internal/ledger"
)

func TestAppendNumbersAndCommits(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *engine) {
		entries := e.fill(t, 600, 7)
		salts := make(map[string]bool)
		for i, entry := range entries {
			if entry.Index != int64(i) {
				t.Fatalf("entry %d has index %d", i, entry.Index)
			}
			if err := entry.Check(); err != nil {
				t.Fatal(err)
			}
			if salts[string(entry.Salt)] {
				t.Fatalf("entry %d repeats a salt", i)
			}
			salts[string(entry.Salt)] = true
		}
		a, err := entries[5].Act()
		if err != nil {
			t.Fatal(err)
		}
		if a.At != "2027-01-02T03:04:05.678901Z" || a.Kind != evidence.ActDepositAccepted || a.Index != 5 {
			t.Errorf("act 5 is %+v", a)
		}
		var size int64
		var edge []byte
		if err := e.reader.QueryRow(`SELECT size, edge FROM ledger_head`).Scan(&size, &edge); err != nil {
			t.Fatal(err)
		}
		f, err := evidence.ParseFrontier(size, edge)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := f.Root(), referenceRoot(t, entries); got != want {
			t.Errorf("root is %s, x/mod says %s", got, want)
		}
	})
}

// referenceRoot computes the root with x/mod's stored hashes, which share no
// code with the frontier.
func referenceRoot(t testing.TB, entries []ledger.Entry) tlog.Hash {
	t.Helper()
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = stored[x]
		}
		return out, nil
	})
	for _, e := range entries {
		hashes, err := tlog.StoredHashes(e.Index, e.Commitment[:], read)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
	}
	root, err := tlog.TreeHash(int64(len(entries)), read)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func TestAppendIsPartOfTheTransaction(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *engine) {
		e.fill(t, 3, 3)
		before := e.dump(t)
		tx, err := e.writer.Begin()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.log.Append(t.Context(), tx, act(3)); err != nil {
			t.Fatal(err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		if after := e.dump(t); !bytes.Equal(before, after) {
			t.Errorf("a rolled-back act left something:\n%s\n%s", before, after)
		}
		e.fill(t, 1, 1)
	})
}

func TestAppendRefuses(t *testing.T) {
	e := openSQLite(t)
	good := act(0)
	for name, change := range map[string]func(*ledger.Act){
		"no kind":           func(a *ledger.Act) { a.Kind = "" },
		"kind with capital": func(a *ledger.Act) { a.Kind = "Deposit" },
		"no actor":          func(a *ledger.Act) { a.Actor = "" },
		"bad arrangement":   func(a *ledger.Act) { a.Arrangement = "../x" },
		"subject newline":   func(a *ledger.Act) { a.Subject = "a\nb" },
		"data not object":   func(a *ledger.Act) { a.Data = []int{1} },
		"data fraction":     func(a *ledger.Act) { a.Data = map[string]any{"x": 1.5} },
		"row without key":   func(a *ledger.Act) { a.Rows = []evidence.Row{{Table: "t"}} },
		"row bad digest":    func(a *ledger.Act) { a.Rows = []evidence.Row{{Table: "t", Key: "k", Digest: "x"}} },
		"too large":         func(a *ledger.Act) { a.Data = map[string]any{"x": string(make([]byte, evidence.MaxActPayload))} },
	} {
		a := good
		change(&a)
		err := e.tryUpdate(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
			_, err := e.log.Append(ctx, tx, good, a)
			return err
		})
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	err := e.tryUpdate(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		_, err := e.log.Append(ctx, tx)
		return err
	})
	if err == nil {
		t.Error("a transaction without an act was accepted")
	}
}
