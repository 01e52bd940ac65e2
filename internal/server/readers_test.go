package server_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/client"
	"holdfast/evidence"
)

// TestReadersBesideWriters: while deposits are made, every receipt verifies
// offline by itself, and every client sees one ledger that only grows (see
// failure 15).
func TestReadersBesideWriters(t *testing.T) { eachEngine(t, checkReadersBesideWriters) }

func checkReadersBesideWriters(t *testing.T, in *installation) {
	const readers, answers = 20, 120
	in.ceremony(1)
	pulled := newSource(t, "sha1")
	in.source("r1", client.ModuleSource{URL: pulled.Dir})
	in.mustSync("r1", 1)
	pushers := []*depositor{in.depositor(t, "r2", newSource(t, "sha1")), in.depositor(t, "r3", newSource(t, "sha1"))}
	for _, d := range pushers {
		if _, err := d.deposit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := in.admin.ServerKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	policy, err := evidence.NewPolicy(keys.Ledger, nil, 0)
	if err != nil {
		t.Fatal(err)
	}

	ctx, stop := context.WithTimeout(t.Context(), 2*patience)
	defer stop()
	var work sync.WaitGroup
	var made atomic.Int64
	write := func(once func() error) {
		work.Go(func() {
			for ctx.Err() == nil {
				if err := once(); err != nil && ctx.Err() == nil {
					t.Errorf("write: %v", err)
					return
				}
				made.Add(1)
			}
		})
	}
	for _, d := range pushers {
		write(func() error {
			commit(t, d.repo, rand.IntN(1000))
			_, err := d.deposit(ctx)
			return err
		})
	}
	write(func() error {
		commit(t, pulled, rand.IntN(1000))
		return in.server.SyncNow(ctx, arrangementID, "r1")
	})
	write(func() error { // acts that belong to no deposit
		_, err := in.admin.IssueToken(ctx, arrangementID, client.NewToken{Party: "agent"})
		return err
	})

	var receipts, grown atomic.Int64
	reading := time.Now()
	var read sync.WaitGroup
	for range readers {
		reader := in.as("customer")
		read.Go(func() {
			var memory client.Memory
			var size int64
			for receipts.Load() < answers && ctx.Err() == nil {
				module := []string{"r1", "r2", "r3"}[rand.IntN(3)]
				list, err := reader.Deposits(ctx, arrangementID, module)
				if err != nil {
					t.Errorf("deposits: %v", err)
					return
				}
				d := list[len(list)-1-rand.IntN(min(len(list), 3))]
				data, err := reader.Receipt(ctx, arrangementID, module, d.Number)
				if err != nil {
					t.Errorf("receipt: %v", err)
					return
				}
				r, err := evidence.ParseReceipt(data)
				var point evidence.Checkpoint
				if err == nil {
					point, err = evidence.VerifyReceipt(r, policy, d.Digest)
				}
				if err != nil {
					t.Errorf("receipt of deposit %d of %s: %v\n%s", d.Number, module, err, data)
					return
				}
				receipts.Add(1)
				if memory, point, err = reader.CheckLedger(ctx, memory); err != nil {
					t.Errorf("ledger: %v", err)
					return
				}
				if point.Size < size {
					t.Errorf("the ledger had %d entries and has %d", size, point.Size)
				}
				if point.Size > size {
					grown.Add(1)
				}
				size = point.Size
			}
		})
	}
	read.Wait()
	took := time.Since(reading)
	stop()
	work.Wait()
	if n := receipts.Load(); n < answers {
		t.Errorf("only %d receipts were read", n)
	}
	if made.Load() < 5 || grown.Load() < answers/10 {
		t.Errorf("%d writes, the ledger was seen to grow %d times: nothing ran beside the readers", made.Load(), grown.Load())
	}
	t.Logf("%d receipts verified by %d readers in %s beside %d writes; the ledger was seen to grow %d times, no proof failed",
		receipts.Load(), readers, took.Round(time.Millisecond), made.Load(), grown.Load())
}
