package evidence

import (
	"encoding/json"
	"fmt"
	"iter"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// Audit re-reads a ledger from its first entry and finds the first that does
// not hold. Its memory does not grow with the ledger, only with the number of
// closed entries. The zero Audit is ready.
type Audit struct {
	frontier Frontier
	open     int64
	erased   int64
	closed   map[int64]struct{} // closed entries whose erasure was not seen yet
}

// Add checks the next entry and returns its act, nil when it is closed. Its
// error is a [*Fault].
func (a *Audit) Add(e Entry) (*Act, error) {
	if e.Index != a.frontier.Size() {
		return nil, &Fault{Index: a.frontier.Size(), What: fmt.Sprintf("in its place stands entry %d", e.Index)}
	}
	act, err := e.checkedAct()
	if err != nil {
		return nil, err
	}
	switch {
	case act == nil:
		if a.closed == nil {
			a.closed = make(map[int64]struct{})
		}
		a.closed[e.Index] = struct{}{}
	case act.Kind == ActErased:
		if err := a.explain(act); err != nil {
			return nil, err
		}
		a.open++
	default:
		a.open++
	}
	a.frontier.Push(tlog.RecordHash(e.Commitment[:]))
	return act, nil
}

// explain takes note of an erasure.
func (a *Audit) explain(act *Act) error {
	var erasure Erasure
	if err := json.Unmarshal(act.Data, &erasure); err != nil || erasure.Index < 0 || erasure.Index >= act.Index {
		return &Fault{Index: act.Index, What: "it records the erasure of no earlier entry"}
	}
	if _, ok := a.closed[erasure.Index]; !ok {
		return &Fault{Index: erasure.Index, What: fmt.Sprintf("entry %d records its erasure, and the content is there", act.Index)}
	}
	delete(a.closed, erasure.Index)
	a.erased++
	return nil
}

// Size is the number of entries that hold.
func (a *Audit) Size() int64 { return a.frontier.Size() }

// Root is the hash of the tree of the entries so far.
func (a *Audit) Root() tlog.Hash { return a.frontier.Root() }

// Frontier is the edge of that tree, to be read, not pushed to.
func (a *Audit) Frontier() *Frontier { return &a.frontier }

// Erased is the number of entries whose content is gone and whose erasure is
// recorded.
func (a *Audit) Erased() int64 { return a.erased }

// Unexplained returns, in order, the entries whose content is not there
// without an erasure being recorded. In a ledger itself there are none; in an
// export they were withheld from its reader.
func (a *Audit) Unexplained() []int64 {
	out := make([]int64, 0, len(a.closed))
	for i := range a.closed {
		out = append(out, i)
	}
	slices.Sort(out)
	return out
}

// ExportReport says what an export turned out to hold.
type ExportReport struct {
	Checkpoint Checkpoint
	Open       int64 // entries whose content is there
	Erased     int64 // entries whose content was erased, as a later entry records
	Withheld   int64 // entries whose content was kept from the reader of this export
}

// VerifyExport checks offline that entries are exactly the ledger of the
// signed checkpoint, and that it contains what every pin saw. A [*Fault] in
// the error's chain names the first entry that does not hold.
func VerifyExport(entries iter.Seq2[Entry, error], signed []byte, policy Policy, pins ...Pin) (*ExportReport, error) {
	c, err := policy.Open(signed)
	if err != nil {
		return nil, err
	}
	want := []Pin{NewPin(c)}
	for _, p := range pins {
		if p.Origin != c.Origin {
			return nil, fmt.Errorf("pin: the checkpoint is of %s, the pin of %s: %w", c.Origin, p.Origin, ErrUnknownKey)
		}
		if p.Size > c.Size {
			return nil, fmt.Errorf("%w: %s shows size %d after size %d was seen", ErrRollback, c.Origin, c.Size, p.Size)
		}
		want = append(want, p)
	}
	var a Audit
	if err := a.match(want); err != nil {
		return nil, err
	}
	for e, err := range entries {
		if err != nil {
			return nil, err
		}
		if a.Size() == c.Size {
			return nil, &Fault{Index: c.Size, What: fmt.Sprintf("it follows the last entry of the ledger of size %d that was signed", c.Size)}
		}
		if _, err := a.Add(e); err != nil {
			return nil, err
		}
		if err := a.match(want); err != nil {
			return nil, err
		}
	}
	if a.Size() < c.Size {
		return nil, &Fault{Index: a.Size(), What: fmt.Sprintf("it is not there; the ledger that was signed has %d entries", c.Size)}
	}
	return &ExportReport{Checkpoint: c, Open: a.open, Erased: a.erased, Withheld: int64(len(a.closed))}, nil
}

// match compares the root with every pin of the size that is reached.
func (a *Audit) match(pins []Pin) error {
	for _, p := range pins {
		if p.Size == a.Size() {
			if err := a.Match(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// Match reports whether the entries so far are the ones p saw; p.Size must be
// [Audit.Size]. A pin of size 0 saw nothing and matches.
func (a *Audit) Match(p Pin) error {
	if p.Size == 0 || a.Root() == p.Hash {
		return nil
	}
	return &Fault{Index: -1, What: fmt.Sprintf("the first %d entries are each whole, but together they are not the ones that were signed: root %s, want %s", p.Size, a.Root(), p.Hash)}
}
