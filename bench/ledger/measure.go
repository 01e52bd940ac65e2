package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/ledger"
)

// result is what was measured on one engine.
type result struct {
	name             string
	ledger1, ledger8 rate    // with the ledger, by writers
	plain1, plain8   rate    // and without
	fill             float64 // entries per second, 5000 per transaction
	bytesPerEntry    float64
	prove            latencies
	receipt          latencies
	grow             latencies
	verify           time.Duration
	verifyMemory     int64 // bytes the process grew by
	export           time.Duration
	exportBytes      int64
	offline          time.Duration
}

// rate is a number of transactions per second, and the processor time of this
// process for one of them.
type rate struct {
	perSecond float64
	cpu       time.Duration
}

// latencies are wall-clock times of one operation, and the processor time of
// this process per operation: on SQLite all there is, on PostgreSQL the
// client's part.
type latencies struct{ p50, p99, cpu time.Duration }

func measure(ctx context.Context, e *engine, s settings, progress io.Writer) (*result, error) {
	r := &result{name: e.name}
	say := func(format string, args ...any) {
		fmt.Fprintf(progress, "%s %s: %s\n", time.Now().Format("15:04:05"), e.name, fmt.Sprintf(format, args...))
	}
	// Alternating, so that a change of the machine's load hits both.
	for _, m := range []struct {
		rate    *rate
		writers int
		tx      func(context.Context, *sql.Tx, int64) error
	}{
		{&r.plain1, 1, plainTx}, {&r.ledger1, 1, e.ledgerTx}, {&r.plain8, 8, plainTx}, {&r.ledger8, 8, e.ledgerTx},
	} {
		var err error
		if *m.rate, err = e.rate(ctx, m.writers, s.time, m.tx); err != nil {
			return nil, err
		}
		say("%.0f tx/s with %d writers", m.rate.perSecond, m.writers)
	}
	size, err := e.fill(ctx, r, s.leaves)
	if err != nil {
		return nil, err
	}
	say("filled to %d entries at %.0f/s", size, r.fill)
	onDisk, err := e.bytes()
	if err != nil {
		return nil, err
	}
	r.bytesPerEntry = float64(onDisk) / float64(size)
	if err := e.proofs(ctx, r, size, s.proofs); err != nil {
		return nil, err
	}
	say("proofs p50 %v", r.prove.p50)
	return r, e.reread(ctx, r)
}

// rate runs tx in as many transactions as fit in d, from some writers at once.
func (e *engine) rate(ctx context.Context, writers int, d time.Duration, tx func(context.Context, *sql.Tx, int64) error) (rate, error) {
	var done, number atomic.Int64
	number.Store(time.Now().UnixMicro()) // after those of the measurement before
	errs := make(chan error, writers)
	end := time.Now().Add(d)
	var group sync.WaitGroup
	begin, cpu := time.Now(), processorTime()
	for range writers {
		group.Go(func() {
			for time.Now().Before(end) {
				if err := e.update(ctx, func(t *sql.Tx) error { return tx(ctx, t, number.Add(1)) }); err != nil {
					errs <- err
					return
				}
				done.Add(1)
			}
		})
	}
	group.Wait()
	select {
	case err := <-errs:
		return rate{}, err
	default:
		n := done.Load()
		return rate{float64(n) / time.Since(begin).Seconds(), (processorTime() - cpu) / time.Duration(n)}, nil
	}
}

func (e *engine) update(ctx context.Context, fn func(*sql.Tx) error) error {
	tx, err := e.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	if err := fn(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// upsert is the state change of both sides.
func upsert(ctx context.Context, tx *sql.Tx, n int64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO state (id, n) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET n = excluded.n`,
		fmt.Sprintf("module-%d", n%100), n)
	return err
}

func (e *engine) ledgerTx(ctx context.Context, tx *sql.Tx, n int64) error {
	if err := upsert(ctx, tx, n); err != nil {
		return err
	}
	_, err := e.log.Append(ctx, tx, act(n))
	return err
}

// plainTx writes the same act as a row of an ordinary table.
func plainTx(ctx context.Context, tx *sql.Tx, n int64) error {
	if err := upsert(ctx, tx, n); err != nil {
		return err
	}
	a := act(n)
	payload, err := evidence.Act{Kind: a.Kind, At: evidence.FormatTime(time.Now()), Actor: a.Actor, Arrangement: a.Arrangement,
		Subject: a.Subject, Data: fmt.Appendf(nil, `{"module":"repository/portaal","number":%d}`, n), Rows: a.Rows}.Payload()
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO plain (id, kind, arrangement, at_us, payload) VALUES ($1, $2, $3, $4, $5)`,
		strconv.FormatInt(n, 10), a.Kind, a.Arrangement, time.Now().UnixMicro(), payload)
	return err
}

func act(n int64) ledger.Act {
	return ledger.Act{
		Act: escrow.Act{
			Kind:        evidence.ActDepositAccepted,
			Actor:       "leverancier/jan",
			Arrangement: fmt.Sprintf("zaak-%d", n%50),
			Subject:     evidence.Digest(strconv.AppendInt(nil, n, 10)),
			Data:        map[string]any{"module": "repository/portaal", "number": n},
		},
		Rows: []evidence.Row{{Table: "deposit", Key: strconv.FormatInt(n, 10), Digest: evidence.Digest([]byte("row"))}},
	}
}

// fill appends until the ledger has the wanted size and returns its size.
func (e *engine) fill(ctx context.Context, r *result, want int) (int64, error) {
	var size int64
	if err := e.reader.QueryRowContext(ctx, "SELECT size FROM ledger_head").Scan(&size); err != nil {
		return 0, err
	}
	begin, first := time.Now(), size
	for size < int64(want) {
		acts := make([]ledger.Act, min(5000, int64(want)-size))
		for i := range acts {
			acts[i] = act(size + int64(i))
		}
		err := e.update(ctx, func(tx *sql.Tx) error {
			_, err := e.log.Append(ctx, tx, acts...)
			return err
		})
		if err != nil {
			return 0, err
		}
		size += int64(len(acts))
	}
	r.fill = float64(size-first) / time.Since(begin).Seconds()
	return size, nil
}

// proofs times proofs of random entries and sizes. Each is verified, outside
// the time that is measured.
func (e *engine) proofs(ctx context.Context, r *result, size int64, count int) error {
	random := rand.New(rand.NewPCG(1, 2))
	signed, err := e.log.Sign(ctx)
	if err != nil {
		return err
	}
	head, err := e.policy.Open(signed)
	if err != nil {
		return err
	}
	r.prove, err = timed(count, func() (func() error, error) {
		entry, p, err := e.log.Prove(ctx, random.Int64N(size))
		return func() error { _, err := p.Verify(e.policy, entry.Commitment); return err }, err
	})
	if err != nil {
		return err
	}
	r.receipt, err = timed(count, func() (func() error, error) {
		receipt, err := e.log.Receipt(ctx, random.Int64N(size))
		return func() error { _, err := evidence.VerifyReceipt(receipt, e.policy, receipt.Subject); return err }, err
	})
	if err != nil {
		return err
	}
	r.grow, err = timed(count, func() (func() error, error) {
		g, err := e.log.Grow(ctx, 1+random.Int64N(size-1))
		return func() error {
			// The older root is not at hand; the form and the signature are.
			c, err := e.policy.Open(g.Checkpoint)
			if err == nil && c != head {
				err = fmt.Errorf("grew to %v, want %v", c, head)
			}
			return err
		}, err
	})
	return err
}

func timed(count int, do func() (check func() error, err error)) (latencies, error) {
	all := make([]time.Duration, count)
	var spent time.Duration
	for i := range all {
		begin, cpu := time.Now(), processorTime()
		check, err := do()
		all[i] = time.Since(begin)
		spent += processorTime() - cpu
		if err != nil {
			return latencies{}, err
		}
		if err := check(); err != nil {
			return latencies{}, err
		}
	}
	slices.Sort(all)
	return latencies{all[count/2], all[count*99/100], spent / time.Duration(count)}, nil
}

// processorTime is what this process has used, in all its threads.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// reread verifies the whole ledger in the database, exports it, and verifies
// the export offline.
func (e *engine) reread(ctx context.Context, r *result) error {
	tx, err := e.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead})
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	before, err := residentPeak(true)
	if err != nil {
		return err
	}
	begin := time.Now()
	if _, err := ledger.Verify(ctx, tx, ledger.VerifyOptions{Policy: e.policy}, nil); err != nil {
		return err
	}
	r.verify = time.Since(begin)
	after, err := residentPeak(false)
	if err != nil {
		return err
	}
	r.verifyMemory = after - before
	if err := tx.Rollback(); err != nil {
		return err
	}

	file, err := os.CreateTemp("", "holdfast-bench-export-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	begin = time.Now()
	signed, err := e.log.Export(ctx, file, nil)
	if err != nil {
		return err
	}
	r.export = time.Since(begin)
	if r.exportBytes, err = file.Seek(0, io.SeekCurrent); err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	begin = time.Now()
	_, entries, err := evidence.ReadExport(file)
	if err != nil {
		return err
	}
	if _, err := evidence.VerifyExport(entries, signed, e.policy); err != nil {
		return err
	}
	r.offline = time.Since(begin)
	return nil
}

// residentPeak returns the greatest resident size of the process in bytes
// since it was last reset.
func residentPeak(reset bool) (int64, error) {
	if reset {
		if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
			return 0, err
		}
	}
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(data) {
		if rest, ok := strings.CutPrefix(string(line), "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/self/status has no VmHWM")
}
