package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/ledger"
	"holdfast/internal/store"
)

func (d *Database) size(t testing.TB) int64 {
	t.Helper()
	var size int64
	if err := d.Raw.QueryRow(`SELECT size FROM ledger_head`).Scan(&size); err != nil {
		t.Fatal(err)
	}
	return size
}

func (d *Database) wantSize(t testing.TB, want int64) {
	t.Helper()
	if got := d.size(t); got != want {
		t.Errorf("the ledger has %d acts, want %d", got, want)
	}
}

func (d *Database) mustVerify(t testing.TB) {
	t.Helper()
	if _, err := d.Verify(t.Context(), ledger.VerifyOptions{Policy: d.Policy}); err != nil {
		t.Errorf("verify: %v", err)
	}
}

func (d *Database) setting(t testing.TB, name string) string {
	t.Helper()
	var value string
	err := d.View(t.Context(), func(tx *store.Tx) (err error) {
		value, err = tx.Setting(t.Context(), name)
		return err
	})
	if escrow.CodeOf(err) == escrow.NotFound {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func testActWithoutRows(t *testing.T, d *Database) {
	entries, err := d.DB.Update(t.Context(), func(*store.Tx) ([]escrow.Act, error) {
		return []escrow.Act{Act("attempt.refused", "a"), Act("attempt.refused", "b")}, nil
	})
	if err != nil || len(entries) != 2 || entries[0].Index != 0 || entries[1].Index != 1 {
		t.Fatalf("%v, %v", entries, err)
	}
	act, err := entries[0].Act()
	if err != nil || len(act.Rows) != 0 || act.At != evidence.FormatTime(Now()) {
		t.Errorf("%+v, %v", act, err)
	}
	nothing, err := d.DB.Update(t.Context(), func(*store.Tx) ([]escrow.Act, error) { return nil, nil })
	if err != nil || nothing != nil {
		t.Errorf("a transaction that did nothing: %v, %v", nothing, err)
	}
	d.wantSize(t, 2)
	d.mustVerify(t)
}

func testRowsWithoutAct(t *testing.T, d *Database) {
	d.Fill(t)
	before := d.size(t)
	for what, fn := range map[string]write{
		"row":    func(ctx context.Context, tx *store.Tx) error { return tx.PutSetting(ctx, "secretly", "1") },
		"group":  func(ctx context.Context, tx *store.Tx) error { return tx.PutDeposit(ctx, Deposit("code", 2)) },
		"delete": func(ctx context.Context, tx *store.Tx) error { return tx.DeleteContact(ctx, Acme, "notaris", "anna") },
	} {
		_, err := d.DB.Update(t.Context(), func(tx *store.Tx) ([]escrow.Act, error) { return nil, fn(t.Context(), tx) })
		if escrow.CodeOf(err) != escrow.Internal || !strings.Contains(err.Error(), "without an act") {
			t.Errorf("%s: %v", what, err)
		}
	}
	// An act that the ledger refuses takes the rows along.
	_, err := d.DB.Update(t.Context(), func(tx *store.Tx) ([]escrow.Act, error) {
		return []escrow.Act{{Kind: "Not A Kind"}}, tx.PutSetting(t.Context(), "secretly", "1")
	})
	if err == nil {
		t.Error("an act without an actor was taken")
	}
	if d.setting(t, "secretly") != "" {
		t.Error("state was written without an act")
	}
	d.wantSize(t, before)
	d.mustVerify(t)
}

type nullQueue struct{ err error }

func (q nullQueue) EnqueueSync(context.Context, *sql.Tx, string, string, string) error { return q.err }

func testJobWithoutAct(t *testing.T, d *Database) {
	queue := func(err error, acts ...escrow.Act) error {
		_, uerr := d.DB.Update(t.Context(), func(tx *store.Tx) ([]escrow.Act, error) {
			return acts, tx.EnqueueSync(t.Context(), nullQueue{err}, Acme, "code", "webhook")
		})
		return uerr
	}
	if err := queue(nil); escrow.CodeOf(err) != escrow.Internal {
		t.Errorf("a job without an act: %v", err)
	}
	broken := errors.New("queue is gone")
	if err := queue(broken, Act("webhook.received", "")); !errors.Is(err, broken) {
		t.Errorf("a broken queue: %v", err)
	}
	d.wantSize(t, 0)
	if err := queue(nil, Act("webhook.received", "")); err != nil {
		t.Error(err)
	}
	d.wantSize(t, 1)
}

func testRollback(t *testing.T, d *Database) {
	boom := errors.New("boom")
	for what, fn := range map[string]func(tx *store.Tx) ([]escrow.Act, error){
		"error": func(tx *store.Tx) ([]escrow.Act, error) {
			return []escrow.Act{Act("x", "")}, errors.Join(tx.PutSetting(t.Context(), "a", "1"), boom)
		},
		"error after a conflict": func(tx *store.Tx) ([]escrow.Act, error) {
			err := tx.PutDeposit(t.Context(), Deposit("code", 9))
			if !store.IsConflict(err) {
				t.Errorf("%v", err)
			}
			// The transaction is alive: a refused write is no broken statement.
			return []escrow.Act{Act("x", "")}, errors.Join(tx.PutSetting(t.Context(), "a", "1"), boom)
		},
	} {
		if _, err := d.DB.Update(t.Context(), fn); !errors.Is(err, boom) {
			t.Errorf("%s: %v", what, err)
		}
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		d.DB.Update(t.Context(), func(tx *store.Tx) ([]escrow.Act, error) {
			if err := tx.PutSetting(t.Context(), "a", "1"); err != nil {
				t.Error(err)
			}
			panic("boom")
		})
	}()
	if v := d.setting(t, "a"); v != "" {
		t.Errorf("a rolled-back setting is %q", v)
	}
	d.wantSize(t, 0)
	d.Update(t, "x", func(ctx context.Context, tx *store.Tx) error { return tx.PutSetting(ctx, "a", "2") })
	d.mustVerify(t)
}

func testReadOnlyView(t *testing.T, d *Database) {
	err := d.View(t.Context(), func(tx *store.Tx) error { return tx.PutSetting(t.Context(), "a", "1") })
	if err == nil {
		t.Error("a read transaction wrote")
	}
	if d.setting(t, "a") != "" {
		t.Error("a read transaction wrote")
	}
	// Past the store's own rule, the engine refuses too.
	reader, _ := d.Jobs()
	if d.Engine() == store.Postgres {
		tx, err := reader.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		if _, err := tx.Exec(`INSERT INTO setting (name, value) VALUES ('a', '1')`); err == nil {
			t.Error("PostgreSQL wrote in a read transaction")
		}
	}
}

func testViewIsOneMoment(t *testing.T, d *Database) {
	put := func(v string) {
		d.Update(t, "x", func(ctx context.Context, tx *store.Tx) error { return tx.PutSetting(ctx, "a", v) })
	}
	put("1")
	d.Read(t, func(ctx context.Context, tx *store.Tx) error {
		first, err := tx.Setting(ctx, "a")
		if err != nil {
			return err
		}
		put("2")
		second, err := tx.Setting(ctx, "a")
		if first != "1" || second != "1" {
			t.Errorf("one read transaction saw %q, then %q", first, second)
		}
		return err
	})
	if v := d.setting(t, "a"); v != "2" {
		t.Errorf("afterwards %q", v)
	}
}

func testRowsOfAnAct(t *testing.T, d *Database) {
	rows := func(entries []evidence.Entry) map[string]string {
		t.Helper()
		act, err := entries[0].Act()
		if err != nil {
			t.Fatal(err)
		}
		out := make(map[string]string)
		for _, r := range act.Rows {
			out[r.Table+" "+r.Key] = r.Digest
		}
		return out
	}
	first := rows(d.Update(t, "x", func(ctx context.Context, tx *store.Tx) error {
		return errors.Join(tx.PutSetting(ctx, "a b", "1"), tx.PutSetting(ctx, "a b", "2"), tx.PutContact(ctx, contact("anna")))
	}))
	if len(first) != 2 || first["contact acme notaris anna"] == "" {
		t.Errorf("rows %v", first)
	}
	// The published definition of a row's digest, spelt out.
	line := `{"name":"a b","value":"2"}` + "\n"
	if got, want := first["setting a%20b"], evidence.Digest([]byte(line)); got != want {
		t.Errorf("digest of the setting is %s, want %s", got, want)
	}
	line = `{"added_us":1798859105678901,"arrangement":"acme","document":"` + evidence.Digest([]byte("card of anna")) +
		`","party":"notaris","person":"anna","recipient":"age1pqanna","signing_key":"ssh-ed25519 AAAA anna"}` + "\n"
	if got, want := first["contact acme notaris anna"], evidence.Digest([]byte(line)); got != want {
		t.Errorf("digest of the contact is %s, want %s", got, want)
	}
	second := rows(d.Update(t, "x", func(ctx context.Context, tx *store.Tx) error {
		return errors.Join(tx.DeleteContact(ctx, Acme, "notaris", "anna"), tx.PutContact(ctx, contact("bob")), tx.DeleteContact(ctx, Acme, "notaris", "bob"))
	}))
	if len(second) != 2 || second["contact acme notaris anna"] != "" || second["contact acme notaris bob"] != "" {
		t.Errorf("rows %v", second)
	}
	d.mustVerify(t)
}

// Eight writers at once: every acknowledged act is there, once.
func testConcurrentWriters(t *testing.T, d *Database) {
	const writers, each = 8, 25
	var mu sync.Mutex
	seen := make(map[int64]string)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				subject := fmt.Sprintf("%d/%d", w, i)
				entries, err := d.DB.Update(t.Context(), func(tx *store.Tx) ([]escrow.Act, error) {
					if err := tx.PutSetting(t.Context(), fmt.Sprintf("s%d", i%5), subject); err != nil {
						return nil, err
					}
					return []escrow.Act{Act("x", subject)}, nil
				})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if other, ok := seen[entries[0].Index]; ok {
					t.Errorf("entry %d was given to %s and %s", entries[0].Index, other, subject)
				}
				seen[entries[0].Index] = subject
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	d.wantSize(t, writers*each)
	for index, subject := range seen {
		e, err := d.Ledger().Entry(t.Context(), index)
		if err != nil {
			t.Fatal(err)
		}
		if act, err := e.Act(); err != nil || act.Subject != subject {
			t.Errorf("entry %d is about %q, want %q", index, act.Subject, subject)
		}
	}
	d.mustVerify(t)
}

// Two transactions that each check a rule over rows they do not write: the
// second must see what the first did.
func testNoWriteSkew(t *testing.T, d *Database) {
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			_, err := d.DB.Update(t.Context(), func(tx *store.Tx) ([]escrow.Act, error) {
				tokens, err := tx.Tokens(t.Context(), Acme)
				if err != nil || len(tokens) > 0 {
					return nil, err
				}
				if err := tx.PutToken(t.Context(), token(fmt.Sprintf("t%d", i))); err != nil {
					return nil, err
				}
				return []escrow.Act{Act("token.issued", "")}, nil
			})
			if err != nil {
				t.Error(err)
			}
			won.Add(1)
		})
	}
	wg.Wait()
	d.wantSize(t, 1)
	d.mustVerify(t)
}

// A slow writer and a crowd behind it keep nobody from reading, and who gives
// up waiting has written nothing.
func testReadersDoNotWait(t *testing.T, d *Database) {
	inside, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := d.TryUpdate(t.Context(), "x", func(ctx context.Context, tx *store.Tx) error {
			close(inside)
			<-release
			return tx.PutSetting(ctx, "slow", "1")
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-inside
	waiting, cancel := context.WithCancel(t.Context())
	var gaveUp atomic.Int32
	for range 20 {
		wg.Go(func() {
			if _, err := d.TryUpdate(waiting, "x", func(ctx context.Context, tx *store.Tx) error { return tx.PutSetting(ctx, "crowd", "1") }); err != nil {
				gaveUp.Add(1)
			}
		})
	}
	for range 50 {
		ctx, done := context.WithTimeout(t.Context(), 10*time.Second)
		err := d.View(ctx, func(tx *store.Tx) error { _, err := tx.Settings(ctx); return err })
		done()
		if err != nil {
			t.Errorf("a reader behind writers: %v", err)
			break
		}
	}
	cancel()
	for gaveUp.Load() < 20 {
		time.Sleep(time.Millisecond)
	}
	close(release)
	wg.Wait()
	d.wantSize(t, 1)
	if d.setting(t, "slow") != "1" || d.setting(t, "crowd") != "" {
		t.Error("the slow writer's setting is not the only one")
	}
}

func testOneDepositWins(t *testing.T, d *Database) {
	var won, lost atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			dep := Deposit("code", 1)
			dep.Manifest = fmt.Append(nil, i)
			dep.Digest = evidence.Digest(dep.Manifest)
			_, err := d.TryUpdate(t.Context(), "deposit.accepted", func(ctx context.Context, tx *store.Tx) error {
				if err := tx.PutDeposit(ctx, dep); err != nil {
					return err
				}
				return tx.PutSourceState(ctx, sourceState(1))
			})
			switch {
			case err == nil:
				won.Add(1)
			case store.IsConflict(err):
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || lost.Load() != 7 {
		t.Errorf("%d won and %d lost, want 1 and 7", won.Load(), lost.Load())
	}
	d.wantSize(t, 1)
	d.mustVerify(t)
}

// Every proof verifies against the checkpoint it came with, however many
// writers append meanwhile.
func testProofAndCheckpoint(t *testing.T, d *Database) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if _, err := d.TryUpdate(t.Context(), "x", func(ctx context.Context, tx *store.Tx) error {
					return tx.PutSetting(ctx, "a", fmt.Sprint(i))
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for d.size(t) == 0 {
	}
	for i := range 200 {
		entry, proof, err := d.Ledger().Prove(t.Context(), int64(i)%d.size(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := proof.Verify(d.Policy, entry.Commitment); err != nil {
			t.Fatalf("proof %d: %v", i, err)
		}
	}
	cancel()
	wg.Wait()
	d.mustVerify(t)
}

func testEntryAbout(t *testing.T, d *Database) {
	_, err := d.DB.Update(t.Context(), func(tx *store.Tx) ([]escrow.Act, error) {
		return []escrow.Act{Act("a.kind", ""), Act("b.kind", "subject"), Act("a.kind", "subject"), Act("a.kind", "subject")}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if index, err := d.EntryAbout(t.Context(), "a.kind", "subject"); err != nil || index != 2 {
		t.Errorf("entry %d, %v; want 2", index, err)
	}
	if _, err := d.EntryAbout(t.Context(), "c.kind", "subject"); escrow.CodeOf(err) != escrow.NotFound {
		t.Errorf("no such kind: %v", err)
	}
	d.Exec(t, `INSERT INTO act_subject (subject, seq) VALUES ('forged', 2)`)
	if _, err := d.EntryAbout(t.Context(), "a.kind", "forged"); escrow.CodeOf(err) != escrow.Damaged {
		t.Errorf("a forged index: %v", err)
	}
}

func testCancelled(t *testing.T, d *Database) {
	ctx, cancel := context.WithCancel(t.Context())
	_, err := d.DB.Update(ctx, func(tx *store.Tx) ([]escrow.Act, error) {
		err := tx.PutSetting(ctx, "a", "1")
		cancel()
		return []escrow.Act{Act("x", "")}, err
	})
	if err == nil {
		t.Error("a cancelled caller's transaction was committed")
	}
	if d.setting(t, "a") != "" {
		t.Error("a cancelled caller's setting is there")
	}
	d.wantSize(t, 0)
}

func testPublish(t *testing.T, d *Database) {
	d.Fill(t)
	signed, err := d.Publish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, err := d.Policy.Open(signed)
	if err != nil || checkpoint.Size != d.size(t) {
		t.Errorf("published %+v, %v", checkpoint, err)
	}
	d.mustVerify(t)
}
