package ledger

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"holdfast/evidence"
)

// Export writes the committed ledger to w as it is now, in the format
// evidence.ReadExport reads, and returns the signed checkpoint that goes with
// it. Entries for which show is false are written without their content; nil
// shows all.
func (l *Log) Export(ctx context.Context, w io.Writer, show func(Entry) bool) ([]byte, error) {
	out := bufio.NewWriter(w)
	var signed []byte
	err := l.read(ctx, func(s *snapshot) (err error) {
		header, err := evidence.ExportHeader{Format: evidence.LedgerFormat, Origin: l.Origin(), Size: s.size}.Line()
		if err != nil {
			return err
		}
		if _, err := out.Write(header); err != nil {
			return err
		}
		if err := s.export(ctx, out, show); err != nil {
			return err
		}
		signed, err = l.sign(s)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: export: %w", err)
	}
	if err := out.Flush(); err != nil {
		return nil, fmt.Errorf("ledger: export: %w", err)
	}
	return signed, nil
}

func (s *snapshot) export(ctx context.Context, out io.Writer, show func(Entry) bool) error {
	rows, err := s.tx.QueryContext(ctx, `SELECT seq, payload, salt, commitment FROM ledger_leaf WHERE seq < $1 ORDER BY seq`, s.size)
	if err != nil {
		return err
	}
	defer rows.Close()
	next := int64(0)
	for rows.Next() {
		e, err := scanEntry(rows)
		if err != nil {
			return err
		}
		if e.Index != next {
			return damaged(nil, "entry %d is not there", next)
		}
		next++
		if show != nil && !show(e) {
			e.Payload, e.Salt = nil, nil
		}
		line, err := e.Line()
		if err != nil {
			return damaged(err, "entry %d", e.Index)
		}
		if _, err := out.Write(line); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if next != s.size {
		return damaged(nil, "entry %d is not there", next)
	}
	return nil
}
