package store

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/ledger"
)

// RowFault is a row of the database that is not as the ledger recorded it.
type RowFault struct {
	Table string
	Key   string
	Index int64  // entry that recorded the row last, −1 if none did
	What  string // what differs
}

func (f *RowFault) Error() string {
	if f.Index < 0 {
		return fmt.Sprintf("database row %s %q: %s", f.Table, f.Key, f.What)
	}
	return fmt.Sprintf("database row %s %q: %s since ledger entry %d recorded it", f.Table, f.Key, f.What, f.Index)
}

// recorded is the last word of the ledger on a row.
type recorded struct {
	index  int64
	digest [32]byte
	gone   bool
}

// RowAudit collects what the ledger recorded of rows and compares it with a
// database. It keeps about 150 bytes for every row there ever was.
type RowAudit struct{ last map[rowID]recorded }

// NewRowAudit returns an audit that has seen no entry.
func NewRowAudit() *RowAudit { return &RowAudit{make(map[rowID]recorded)} }

// Add takes the next entry of the ledger, which must have been verified
// itself. One whose content was erased is passed over: the act that erased it
// recorded its rows again, see [Tx.Erase].
func (a *RowAudit) Add(e evidence.Entry) error {
	if !e.Open() {
		return nil
	}
	act, err := e.Act()
	if err != nil {
		return &evidence.Fault{Index: e.Index, What: err.Error()}
	}
	for _, r := range act.Rows {
		rec := recorded{index: e.Index, gone: r.Digest == ""}
		if _, err := hex.Decode(rec.digest[:], []byte(r.Digest)); err != nil {
			return &evidence.Fault{Index: e.Index, What: err.Error()}
		}
		a.last[rowID{r.Table, r.Key}] = rec
	}
	return nil
}

// Compare holds the rows that q sees against the entries added. q must see the
// moment at which the ledger had exactly these. The error is a Damaged one
// with a [*RowFault] in its chain that names the first row that was changed,
// is missing or was never recorded, in the order of the entries that recorded
// them; rows that no entry recorded come last. The audit is spent afterwards.
func (a *RowAudit) Compare(ctx context.Context, q Querier) error {
	var faults []*RowFault
	for _, t := range tables() {
		err := t.groups(ctx, q, nil, func(key, digest string) error {
			id := rowID{t.name, key}
			rec, ok := a.last[id]
			delete(a.last, id)
			switch {
			case !ok:
				faults = append(faults, &RowFault{t.name, key, -1, "no entry of the ledger recorded it"})
			case rec.gone:
				faults = append(faults, &RowFault{t.name, key, rec.index, "came back, though it was deleted"})
			case hex.EncodeToString(rec.digest[:]) != digest:
				faults = append(faults, &RowFault{t.name, key, rec.index, "was changed"})
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for id, rec := range a.last {
		if !rec.gone {
			faults = append(faults, &RowFault{id.table, id.key, rec.index, "is missing"})
		}
	}
	if len(faults) == 0 {
		return nil
	}
	first := slices.MinFunc(faults, func(a, b *RowFault) int {
		// As unsigned numbers the −1 of rows without a record comes last.
		return cmp.Or(cmp.Compare(uint64(a.Index), uint64(b.Index)), cmp.Compare(a.Table, b.Table), cmp.Compare(a.Key, b.Key))
	})
	return escrow.Errorf(escrow.Damaged, "%w", first).
		WithHint("keep this database as it is, compare it with a backup, and look at who could write to it")
}

// VerifyRows compares the rows that q sees with the last state that entries
// recorded of each; see [RowAudit.Compare].
func VerifyRows(ctx context.Context, q Querier, entries iter.Seq2[evidence.Entry, error]) error {
	audit := NewRowAudit()
	for e, err := range entries {
		if err == nil {
			err = audit.Add(e)
		}
		if err != nil {
			return err
		}
	}
	return audit.Compare(ctx, q)
}

// Verify re-reads the whole ledger and then holds every row of the database
// against it, all at one moment; see [ledger.Verify] and [RowAudit.Compare].
func (db *DB) Verify(ctx context.Context, o ledger.VerifyOptions) (*ledger.Report, error) {
	var report *ledger.Report
	err := db.View(ctx, func(tx *Tx) (err error) {
		audit := NewRowAudit()
		if report, err = ledger.Verify(ctx, tx.tx, o, audit.Add); err != nil {
			return err
		}
		return audit.Compare(ctx, tx.tx)
	})
	if err != nil {
		return nil, err
	}
	return report, nil
}

// entries reads the ledger from an index on, as this transaction sees it.
func (t *Tx) entries(ctx context.Context, from int64) iter.Seq2[evidence.Entry, error] {
	return func(yield func(evidence.Entry, error) bool) {
		rows, err := t.tx.QueryContext(ctx, `SELECT seq, payload, salt, commitment FROM ledger_leaf WHERE seq >= $1 ORDER BY seq`, from)
		if err != nil {
			yield(evidence.Entry{}, fmt.Errorf("read the ledger: %w", err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			e, err := scanEntry(rows)
			if err != nil {
				yield(evidence.Entry{}, fmt.Errorf("read the ledger: %w", err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(evidence.Entry{}, fmt.Errorf("read the ledger: %w", err))
		}
	}
}

func scanEntry(s scanner) (e evidence.Entry, err error) {
	var commitment []byte
	if err := s.Scan(&e.Index, &e.Payload, &e.Salt, &commitment); err != nil {
		return e, err
	}
	if len(commitment) != len(e.Commitment) {
		return e, &evidence.Fault{Index: e.Index, What: "the commitment has the wrong length"}
	}
	copy(e.Commitment[:], commitment)
	return e, nil
}
