package ledger_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/ledger"
)

func TestPublishKeepsTheLastAndTheCosigned(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *engine) {
		ctx := t.Context()
		w1, w2 := newCosigner(t, "witness.example/w1"), newCosigner(t, "witness.example/w2")
		policy := e.policy(t, w1, w2)

		if signed, err := e.log.Publish(ctx, e.write); err != nil || !strings.Contains(string(signed), "\n0\n") {
			t.Fatalf("publishing an empty ledger: %q, %v", signed, err)
		}
		e.fill(t, 300, 100)
		first, err := e.log.Publish(ctx, e.write)
		if err != nil {
			t.Fatal(err)
		}
		if n := e.cosign(t, policy, w1, evidence.Pin{Origin: origin}); n != 1 {
			t.Fatalf("%d cosignatures, want 1", n)
		}
		e.fillFrom(t, 300, 10, 10)
		if _, err := e.log.Publish(ctx, e.write); err != nil {
			t.Fatal(err)
		}
		e.fillFrom(t, 310, 10, 10)
		last, err := e.log.Publish(ctx, e.write)
		if err != nil {
			t.Fatal(err)
		}
		again, err := e.log.Publish(ctx, e.write)
		if err != nil || string(again) != string(last) {
			t.Errorf("publishing twice at one size gave another checkpoint: %v", err)
		}
		if got := e.sizes(t); got != "300/1 320/0 " {
			t.Errorf("stored are %s, want the cosigned 300 and the last 320", got)
		}
		published, err := e.log.Published(ctx)
		if err != nil || string(published) != string(last) {
			t.Errorf("published is %q, %v", published, err)
		}
		if string(first) == string(last) {
			t.Error("the checkpoint did not move")
		}

		// Proofs for readers who require a witness lead to the cosigned one.
		strict := policy
		strict.Required = 1
		entry, p, err := e.log.ProveWitnessed(ctx, 42, 1)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := p.Verify(strict, entry.Commitment); err != nil || c.Size != 300 {
			t.Errorf("witnessed proof leads to %d, %v", c.Size, err)
		}
		if _, _, err := e.log.ProveWitnessed(ctx, 305, 1); escrow.CodeOf(err) != escrow.Unavailable {
			t.Errorf("a proof no witness has cosigned: %v", err)
		}
		if _, _, err := e.log.ProveWitnessed(ctx, 42, 2); escrow.CodeOf(err) != escrow.Unavailable {
			t.Errorf("a proof two witnesses have not cosigned: %v", err)
		}

		// A second witness adds its line and the first stays.
		if n := e.cosign(t, policy, w1, evidence.Pin{Origin: origin}); n != 1 {
			t.Errorf("%d cosignatures, want 1", n)
		}
		if n := e.cosign(t, policy, w2, evidence.Pin{Origin: origin}); n != 2 {
			t.Errorf("%d cosignatures, want 2", n)
		}
		if _, err := e.verify(t); err != nil {
			t.Error(err)
		}
	})
}

// cosign lets w cosign the published checkpoint and stores that.
func (e *engine) cosign(t testing.TB, policy evidence.Policy, w note.Signer, pin evidence.Pin) int {
	t.Helper()
	g, err := e.log.Grow(t.Context(), pin.Size)
	if err != nil {
		t.Fatal(err)
	}
	cosigned, _, err := evidence.Witness{Log: policy.Log, Signer: w}.Cosign(pin, g)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	e.update(t, func(ctx context.Context, tx *sql.Tx) (err error) {
		n, err = e.log.Cosign(ctx, tx, policy, cosigned)
		return err
	})
	return n
}

// sizes lists the stored checkpoints as "size/witnesses ".
func (e *engine) sizes(t testing.TB) string {
	t.Helper()
	rows, err := e.reader.Query(`SELECT size, witnesses FROM ledger_checkpoint ORDER BY size`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := ""
	for rows.Next() {
		var size, witnesses string
		if err := rows.Scan(&size, &witnesses); err != nil {
			t.Fatal(err)
		}
		out += size + "/" + witnesses + " "
	}
	return out
}

func TestCosignRefuses(t *testing.T) {
	e := openSQLite(t)
	known, stranger := newCosigner(t, "witness.example/w1"), newCosigner(t, "witness.example/stranger")
	policy := e.policy(t, known)
	e.fill(t, 5, 5)
	if _, err := e.log.Publish(t.Context(), e.write); err != nil {
		t.Fatal(err)
	}
	g, err := e.log.Grow(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	good, _, err := evidence.Witness{Log: policy.Log, Signer: known}.Cosign(evidence.Pin{Origin: origin}, g)
	if err != nil {
		t.Fatal(err)
	}
	e.fillFrom(t, 5, 1, 1)
	unpublished, err := e.log.Sign(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	try := func(signed []byte) (int, error) {
		n := 0
		err := e.tryUpdate(t.Context(), func(ctx context.Context, tx *sql.Tx) (err error) {
			n, err = e.log.Cosign(ctx, tx, policy, signed)
			return err
		})
		return n, err
	}
	if _, err := try(unpublished); escrow.CodeOf(err) != escrow.NotFound {
		t.Errorf("a checkpoint that was not published: %v", err)
	}
	if _, err := try([]byte("nonsense")); escrow.CodeOf(err) != escrow.Invalid {
		t.Errorf("nonsense: %v", err)
	}
	broken := []byte(string(good))
	if broken[len(broken)-20]++; broken[len(broken)-20] == '9'+1 || broken[len(broken)-20] == 'z'+1 || broken[len(broken)-20] == 'Z'+1 {
		broken[len(broken)-20] = 'A'
	}
	if _, err := try(broken); escrow.CodeOf(err) != escrow.Invalid {
		t.Errorf("a broken cosignature: %v", err)
	}
	// A stranger's line is dropped, not stored.
	foreign, _, err := evidence.Witness{Log: policy.Log, Signer: stranger}.Cosign(evidence.Pin{Origin: origin}, g)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := try(foreign); err != nil || n != 0 {
		t.Errorf("a stranger's cosignature counted as %d, %v", n, err)
	}
	if n, err := try(good); err != nil || n != 1 {
		t.Errorf("a good cosignature counted as %d, %v", n, err)
	}
	if n, err := try(good); err != nil || n != 1 {
		t.Errorf("the same cosignature again counted as %d, %v", n, err)
	}
}

// The key or the database of another installation must not continue a ledger.
func TestPublishRefusesToFork(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *engine) {
		ctx := t.Context()
		e.fill(t, 20, 20)
		if _, err := e.log.Publish(ctx, e.write); err != nil {
			t.Fatal(err)
		}
		skey, _, err := note.GenerateKey(rand.Reader, "another.example/ledger")
		if err != nil {
			t.Fatal(err)
		}
		signer, err := note.NewSigner(skey)
		if err != nil {
			t.Fatal(err)
		}
		other, err := ledger.New(ledger.Options{Reader: e.reader, Signer: signer, Now: clock, Rand: rand.Reader})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := other.Publish(ctx, e.write); escrow.CodeOf(err) != escrow.Conflict {
			t.Errorf("another origin published: %v", err)
		}
		// A database put back from a backup, with the checkpoint kept.
		e.fillFrom(t, 20, 1, 1)
		e.force(t, `UPDATE ledger_checkpoint SET size = 30, note = $1`, e.foreignCheckpoint(t, 30))
		if _, err := e.log.Publish(ctx, e.write); escrow.CodeOf(err) != escrow.Damaged {
			t.Errorf("a ledger shorter than what was published: %v", err)
		}
		e.force(t, `UPDATE ledger_checkpoint SET size = 10, note = $1`, e.foreignCheckpoint(t, 10))
		if _, err := e.log.Publish(ctx, e.write); escrow.CodeOf(err) != escrow.Damaged {
			t.Errorf("a ledger that differs from what was published: %v", err)
		}
	})
}

// foreignCheckpoint is a checkpoint of another ledger signed with e's key.
func (e *engine) foreignCheckpoint(t testing.TB, size int64) []byte {
	t.Helper()
	signer, err := note.NewSigner(e.skey)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := evidence.SignCheckpoint(evidence.Checkpoint{Origin: origin, Size: size, Root: [32]byte{1}}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func (e *engine) force(t testing.TB, stmt string, args ...any) {
	t.Helper()
	if _, err := e.writer.Exec(stmt, args...); err != nil {
		t.Fatal(err)
	}
}

func TestErasureKeepsEveryProof(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *engine) {
		e.fill(t, 300, 100)
		receipt, err := e.log.Receipt(t.Context(), 20)
		if err != nil {
			t.Fatal(err)
		}
		before, err := e.log.Entry(t.Context(), 20)
		if err != nil {
			t.Fatal(err)
		}
		e.erase(t, 20)
		entry, p, err := e.log.Prove(t.Context(), 20)
		if err != nil {
			t.Fatal(err)
		}
		if entry.Open() || entry.Salt != nil {
			t.Error("content or salt is still there")
		}
		if entry.Commitment != before.Commitment {
			t.Error("the commitment changed")
		}
		if _, err := p.Verify(e.policy(t), entry.Commitment); err != nil {
			t.Error(err)
		}
		if _, err := e.log.Receipt(t.Context(), 20); escrow.CodeOf(err) != escrow.Missing {
			t.Errorf("a new receipt for an erased entry: %v", err)
		}
		if _, err := evidence.VerifyReceipt(receipt, e.policy(t), receipt.Subject); err != nil {
			t.Errorf("the old receipt: %v", err)
		}
		record, err := e.log.Entry(t.Context(), 300)
		if err != nil {
			t.Fatal(err)
		}
		a, err := record.Act()
		if err != nil {
			t.Fatal(err)
		}
		if a.Kind != evidence.ActErased || a.Arrangement != "zaak-2" || a.Actor != "agent/piet" {
			t.Errorf("the erasure is recorded as %+v", a)
		}
		report, err := e.verify(t)
		if err != nil || report.Erased != 1 {
			t.Errorf("after the erasure: %+v, %v", report, err)
		}
		if strings.Contains(string(e.dump(t)), hex.EncodeToString([]byte(receipt.Subject))) {
			t.Error("the content is still in the database")
		}
		for index, code := range map[int64]escrow.Code{20: escrow.Conflict, 300: escrow.Conflict, 999: escrow.NotFound} {
			err := e.tryUpdate(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
				_, err := e.log.Erase(ctx, tx, index, "agent/piet", "again")
				return err
			})
			if escrow.CodeOf(err) != code {
				t.Errorf("erasing %d: %v, want %s", index, err, code)
			}
		}
		err = e.tryUpdate(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
			_, err := e.log.Erase(ctx, tx, 1, "agent/piet", "")
			return err
		})
		if escrow.CodeOf(err) != escrow.Invalid {
			t.Errorf("erasing without a reason: %v", err)
		}
	})
}

func TestNewRefusesAnIncompleteLog(t *testing.T) {
	if _, err := ledger.New(ledger.Options{}); err == nil {
		t.Error("a log without anything was made")
	}
	if _, err := ledger.Schema("oracle"); err == nil {
		t.Error("a schema for an unknown engine was made")
	}
}
