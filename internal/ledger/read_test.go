package ledger_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/ledger"
)

// sizes around every edge of the tiles, and past the second level.
func interestingSizes() []int { return []int{1, 2, 3, 255, 256, 257, 511, 513, 1000} }

func TestEveryProofVerifies(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *engine) {
		policy := e.policy(t)
		total := 0
		for _, size := range interestingSizes() {
			e.fillFrom(t, total, size-total, 97)
			total = size
			step := max(1, size/23)
			for index := 0; index < size; index += step {
				entry, p, err := e.log.Prove(t.Context(), int64(index))
				if err != nil {
					t.Fatal(err)
				}
				c, err := p.Verify(policy, entry.Commitment)
				if err != nil {
					t.Fatal(err)
				}
				if c.Size != int64(size) {
					t.Fatalf("checkpoint of size %d, want %d", c.Size, size)
				}
				if err := crossCheckRecord(p, c, entry); err != nil {
					t.Fatalf("transparency-dev refuses the proof of entry %d at size %d: %v", index, size, err)
				}
			}
		}
	})
}

func crossCheckRecord(p evidence.Proof, c evidence.Checkpoint, e ledger.Entry) error {
	return proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(p.Index), uint64(c.Size),
		rfc6962.DefaultHasher.HashLeaf(e.Commitment[:]), raw(p.Hashes), c.Root[:])
}

func raw(hashes []tlog.Hash) [][]byte {
	var out [][]byte
	for _, h := range hashes {
		out = append(out, h[:])
	}
	return out
}

func TestEveryGrowthVerifies(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *engine) {
		policy := e.policy(t)
		pins := []evidence.Pin{{Origin: origin}}
		total := 0
		for _, size := range interestingSizes() {
			e.fillFrom(t, total, size-total, 97)
			total = size
			for _, pin := range pins {
				g, err := e.log.Grow(t.Context(), pin.Size)
				if err != nil {
					t.Fatal(err)
				}
				next, err := pin.Grow(policy, g)
				if err != nil {
					t.Fatal(err)
				}
				for _, other := range pins {
					if pin.Size == 0 || other.Size < pin.Size {
						continue
					}
					p, err := e.log.Between(t.Context(), pin.Size, other.Size)
					if err != nil {
						t.Fatal(err)
					}
					if got, err := pin.Advance(evidence.Checkpoint{Origin: origin, Size: other.Size, Root: other.Hash}, p); err != nil || got != other {
						t.Fatalf("between %d and %d: %+v, %v", pin.Size, other.Size, got, err)
					}
				}
				if next.Size != int64(size) {
					t.Fatalf("grew to %d, want %d", next.Size, size)
				}
				if pin.Size > 0 {
					err := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(pin.Size), uint64(next.Size), raw(g.Hashes), pin.Hash[:], next.Hash[:])
					if err != nil {
						t.Fatalf("transparency-dev refuses the growth from %d to %d: %v", pin.Size, next.Size, err)
					}
				}
			}
			signed, err := e.log.Sign(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			c, err := policy.Open(signed)
			if err != nil {
				t.Fatal(err)
			}
			pins = append(pins, evidence.NewPin(c))
		}
	})
}

// Whatever the sizes of the transactions, the roots are those of x/mod.
func TestRandomBatchesGiveTheReferenceRoot(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *engine) {
		const seed = 7
		random := rand.New(rand.NewPCG(seed, seed))
		var all []ledger.Entry
		for len(all) < 1500 {
			n := 1 + random.IntN(1<<random.IntN(10))
			all = append(all, e.fillFrom(t, len(all), n, n)...)
			signed, err := e.log.Sign(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			c, err := e.policy(t).Open(signed)
			if err != nil {
				t.Fatal(err)
			}
			if want := referenceRoot(t, all); c.Root != want || c.Size != int64(len(all)) {
				t.Fatalf("seed %d: root of %d entries is %s, x/mod says %s", seed, c.Size, c.Root, want)
			}
		}
		if _, err := e.verify(t); err != nil {
			t.Fatal(err)
		}
	})
}

// A proof and the checkpoint it comes with always belong
// together, whatever is appended meanwhile.
func TestProofsHoldWhileOthersAppend(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *engine) {
		const writers, reads = 50, 1000
		e.fill(t, 1, 1)
		policy := e.policy(t)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var appended atomic.Int64
		appended.Store(1)
		var group sync.WaitGroup
		for range writers {
			group.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					err := e.tryUpdate(ctx, func(ctx context.Context, tx *sql.Tx) error {
						_, err := e.log.Append(ctx, tx, act(i))
						return err
					})
					if err == nil {
						appended.Add(1)
					} else if ctx.Err() == nil {
						t.Error(err)
						return
					}
				}
			})
		}
		pin := evidence.Pin{Origin: origin}
		for i := range reads {
			index := appended.Load() - 1
			if i%2 == 1 {
				index /= 2
			}
			entry, p, err := e.log.Prove(t.Context(), index)
			if err != nil {
				t.Fatal(err)
			}
			c, err := p.Verify(policy, entry.Commitment)
			if err != nil {
				t.Fatalf("read %d: %v", i, err)
			}
			if entry.Index != index || c.Size <= index {
				t.Fatalf("read %d: entry %d of a ledger of %d, asked for %d", i, entry.Index, c.Size, index)
			}
			if i%10 == 0 {
				g, err := e.log.Grow(t.Context(), pin.Size)
				if err != nil {
					t.Fatal(err)
				}
				if pin, err = pin.Grow(policy, g); err != nil {
					t.Fatal(err)
				}
			}
		}
		stop()
		group.Wait()
		report, err := e.verify(t, pin)
		if err != nil {
			t.Fatal(err)
		}
		if report.Size < appended.Load() {
			t.Errorf("%d entries are there, %d were acknowledged", report.Size, appended.Load())
		}
		t.Logf("%d entries were appended during %d reads", report.Size, reads)
	})
}

func TestSignNeverCoversWhatIsNotCommitted(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *engine) {
		e.fill(t, 2, 2)
		before, err := e.log.Sign(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		tx, err := e.writer.Begin()
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		if _, err := e.log.Append(t.Context(), tx, act(2)); err != nil {
			t.Fatal(err)
		}
		during, err := e.log.Sign(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if string(before) != string(during) {
			t.Errorf("an uncommitted entry was signed:\n%s", during)
		}
		if _, _, err := e.log.Prove(t.Context(), 2); escrow.CodeOf(err) != escrow.NotFound {
			t.Errorf("an uncommitted entry was proved: %v", err)
		}
	})
}

func TestReceiptVerifiesOffline(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *engine) {
		e.fill(t, 300, 100)
		r, err := e.log.Receipt(t.Context(), 17)
		if err != nil {
			t.Fatal(err)
		}
		data, err := evidence.Canonical(r)
		if err != nil {
			t.Fatal(err)
		}
		e.fillFrom(t, 300, 50, 50) // the receipt stays good
		again, err := evidence.ParseReceipt(data)
		if err != nil {
			t.Fatal(err)
		}
		manifest := evidence.Digest([]byte("manifest 17"))
		c, err := evidence.VerifyReceipt(again, e.policy(t), manifest)
		if err != nil {
			t.Fatal(err)
		}
		if c.Size != 300 {
			t.Errorf("the receipt leads to size %d, want 300", c.Size)
		}
		if _, err := evidence.VerifyReceipt(again, e.policy(t), evidence.Digest([]byte("manifest 18"))); !errors.Is(err, evidence.ErrSubject) {
			t.Errorf("a receipt for another manifest: %v", err)
		}
	})
}

func TestReads(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *engine) {
		if _, _, err := e.log.Prove(t.Context(), 0); escrow.CodeOf(err) != escrow.NotFound {
			t.Errorf("proof from an empty ledger: %v", err)
		}
		if g, err := e.log.Grow(t.Context(), 0); err != nil {
			t.Errorf("growth of an empty ledger: %v", err)
		} else if _, err := (evidence.Pin{Origin: origin}).Grow(e.policy(t), g); err != nil {
			t.Errorf("growth of an empty ledger: %v", err)
		}
		e.fill(t, 10, 10)
		some, err := e.log.Entries(t.Context(), 4, 3)
		if err != nil {
			t.Fatal(err)
		}
		of, err := e.log.EntriesOf(t.Context(), "zaak-1", 2, 100)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, e := range append(some, of...) {
			if err := e.Check(); err != nil {
				t.Error(err)
			}
			got += fmt.Sprint(e.Index, " ")
		}
		if got != "4 5 6 4 7 " {
			t.Errorf("entries %s, want 4 5 6 and those of zaak-1 from 2: 4 7", got)
		}
		one, err := e.log.Entry(t.Context(), 9)
		if err != nil || one.Index != 9 {
			t.Errorf("entry 9 is %d, %v", one.Index, err)
		}
		for _, index := range []int64{-1, 10} {
			if _, err := e.log.Entry(t.Context(), index); escrow.CodeOf(err) != escrow.NotFound {
				t.Errorf("entry %d: %v", index, err)
			}
		}
		if _, err := e.log.Grow(t.Context(), 11); escrow.CodeOf(err) != escrow.Conflict {
			t.Errorf("growth from a greater size: %v", err)
		}
	})
}

// Whatever is stored, no proof leaves the ledger that does not verify.
func TestDamagedTilesGiveNoProof(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *engine) {
		e.fill(t, 600, 200)
		if _, err := e.log.Publish(t.Context(), e.write); err != nil {
			t.Fatal(err)
		}
		e.fillFrom(t, 600, 100, 100)
		tx, err := e.writer.Begin()
		if err != nil {
			t.Fatal(err)
		}
		for _, stmt := range append(e.disarm(t, tx),
			"UPDATE ledger_tile SET hashes = (SELECT hashes FROM ledger_tile WHERE n = 0) WHERE n = 1",
			"UPDATE ledger_leaf SET hash = commitment WHERE seq = 650") {
			if _, err := tx.Exec(stmt); err != nil {
				t.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		refused := 0
		for index := range int64(700) {
			entry, p, err := e.log.Prove(t.Context(), index)
			if err == nil {
				if _, err := p.Verify(e.policy(t), entry.Commitment); err != nil {
					t.Fatalf("entry %d: a proof that does not verify left the ledger", index)
				}
				continue
			}
			if escrow.CodeOf(err) != escrow.Damaged || hintOf(err) == "" {
				t.Fatalf("entry %d: %v", index, err)
			}
			refused++
		}
		if refused < 256 {
			t.Errorf("%d proofs were refused, a tile is damaged", refused)
		}
		for _, old := range []int64{300, 650, 699} {
			if _, err := e.log.Grow(t.Context(), old); err != nil && escrow.CodeOf(err) != escrow.Damaged {
				t.Errorf("growth from %d: %v", old, err)
			}
		}
		if _, err := e.log.Grow(t.Context(), 300); escrow.CodeOf(err) != escrow.Damaged {
			t.Errorf("growth from within the damaged tile: %v", err)
		}
		// 600 is made of roots the damaged hashes are not needed for.
		if _, err := e.log.Publish(t.Context(), e.write); err != nil && escrow.CodeOf(err) != escrow.Damaged {
			t.Errorf("publishing: %v", err)
		}
	})
}
