package main

import (
	"fmt"
	"io"
	"time"
)

// table prints the results as Markdown, an engine per column.
func table(out io.Writer, results []*result, s settings) {
	line := func(what string, cell func(*result) string) {
		fmt.Fprintf(out, "| %s |", what)
		for _, r := range results {
			fmt.Fprintf(out, " %s |", cell(r))
		}
		fmt.Fprintln(out)
	}
	line("", func(r *result) string { return r.name })
	line("---", func(*result) string { return "---:" })
	with := func(withLedger, plain func(*result) rate) func(*result) string {
		return func(r *result) string {
			l, p := withLedger(r), plain(r)
			return fmt.Sprintf("%.0f, CPU %.2f ms (plain %.0f, %.2f ms; ratio %.2f)",
				l.perSecond, milliseconds(l.cpu), p.perSecond, milliseconds(p.cpu), l.perSecond/p.perSecond)
		}
	}
	line("state change + 1 act, tx/s, 1 writer", with(func(r *result) rate { return r.ledger1 }, func(r *result) rate { return r.plain1 }))
	line("state change + 1 act, tx/s, 8 writers", with(func(r *result) rate { return r.ledger8 }, func(r *result) rate { return r.plain8 }))
	line("fill, acts/s, 5,000 a transaction", func(r *result) string { return fmt.Sprintf("%.0f", r.fill) })
	line("bytes on disk per entry", func(r *result) string { return fmt.Sprintf("%.0f", r.bytesPerEntry) })
	at := fmt.Sprintf(" at %d entries, p50 / p99", s.leaves)
	line("inclusion proof with entry and signed checkpoint"+at, func(r *result) string { return r.prove.String() })
	line("receipt"+at, func(r *result) string { return r.receipt.String() })
	line("consistency proof with signed checkpoint"+at, func(r *result) string { return r.grow.String() })
	line("verify everything in the database", func(r *result) string {
		return fmt.Sprintf("%s, +%d MiB", r.verify.Round(100*time.Millisecond), r.verifyMemory>>20)
	})
	line("export", func(r *result) string {
		return fmt.Sprintf("%s, %d MB", r.export.Round(100*time.Millisecond), r.exportBytes/1_000_000)
	})
	line("verify the export offline", func(r *result) string { return r.offline.Round(100 * time.Millisecond).String() })
}

func (l latencies) String() string {
	return fmt.Sprintf("%.2f / %.2f ms, CPU %.2f ms", milliseconds(l.p50), milliseconds(l.p99), milliseconds(l.cpu))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
