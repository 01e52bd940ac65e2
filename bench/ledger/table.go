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
	rate := func(ledger, plain func(*result) float64) func(*result) string {
		return func(r *result) string {
			return fmt.Sprintf("%.0f (plain %.0f, ratio %.2f)", ledger(r), plain(r), ledger(r)/plain(r))
		}
	}
	line("state change + 1 act, tx/s, 1 writer", rate(func(r *result) float64 { return r.ledger1 }, func(r *result) float64 { return r.plain1 }))
	line("state change + 1 act, tx/s, 8 writers", rate(func(r *result) float64 { return r.ledger8 }, func(r *result) float64 { return r.plain8 }))
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
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return fmt.Sprintf("%.2f / %.2f ms", ms(l.p50), ms(l.p99))
}
