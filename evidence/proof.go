package evidence

import (
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	proofHeader  = "c2sp.org/tlog-proof@v1"
	maxProof     = 64 // hashes: about one per level of the largest tree
	maxProofText = MaxCheckpoint + (maxProof+2)*64
)

// Proof shows that an entry is in the tree of a signed checkpoint. Its text
// form is C2SP tlog-proof, without extra data; the record is the commitment
// of the entry.
type Proof struct {
	Index      int64
	Hashes     tlog.RecordProof
	Checkpoint []byte // signed note
}

// String returns the text form of p.
func (p Proof) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nindex %d\n", proofHeader, p.Index)
	for _, h := range p.Hashes {
		fmt.Fprintf(&b, "%s\n", h)
	}
	b.WriteByte('\n')
	b.Write(p.Checkpoint)
	return b.String()
}

// ParseProof reads a proof strictly, and the form of its checkpoint. It
// verifies nothing; see [Proof.Verify].
func ParseProof(text string) (Proof, error) {
	if len(text) > maxProofText {
		return Proof{}, fmt.Errorf("proof: %d bytes, at most %d are allowed", len(text), maxProofText)
	}
	head, checkpoint, ok := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || len(lines) < 2 || lines[0] != proofHeader {
		return Proof{}, fmt.Errorf("proof: want %q, an index line, hashes, an empty line and a checkpoint", proofHeader)
	}
	number, ok := strings.CutPrefix(lines[1], "index ")
	if !ok {
		return Proof{}, fmt.Errorf("proof: line 2 is not an index line")
	}
	index, err := parseCount(number)
	if err != nil {
		return Proof{}, fmt.Errorf("proof: index %w", err)
	}
	hashes, err := parseHashLines(lines[2:])
	if err != nil {
		return Proof{}, fmt.Errorf("proof: %w", err)
	}
	p := Proof{Index: index, Hashes: hashes, Checkpoint: []byte(checkpoint)}
	if _, err := PeekCheckpoint(p.Checkpoint); err != nil {
		return Proof{}, fmt.Errorf("proof: %w", err)
	}
	return p, nil
}

// Verify checks the signatures on the checkpoint and that an entry with this
// commitment is in its tree at Index. It returns the checkpoint, for a client
// to pin.
func (p Proof) Verify(policy Policy, commitment [32]byte) (Checkpoint, error) {
	c, err := policy.Open(p.Checkpoint)
	if err != nil {
		return Checkpoint{}, err
	}
	if p.Index >= c.Size {
		return Checkpoint{}, fmt.Errorf("entry %d in a ledger of size %d: %w", p.Index, c.Size, ErrProof)
	}
	if err := tlog.CheckRecord(p.Hashes, c.Size, c.Root, p.Index, tlog.RecordHash(commitment[:])); err != nil {
		return Checkpoint{}, fmt.Errorf("entry %d in the ledger of size %d with root %s: %w", p.Index, c.Size, c.Root, ErrProof)
	}
	return c, nil
}
