package evidence

import (
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Growth shows that the ledger of a signed checkpoint contains, unchanged,
// the ledger as it was at an older size. Its text form is the body of the
// C2SP tlog-witness add-checkpoint request, so it can be posted to any witness.
type Growth struct {
	Old        int64 // the older size; 0 needs no proof
	Hashes     tlog.TreeProof
	Checkpoint []byte // signed note
}

// String returns the text form of g.
func (g Growth) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "old %d\n", g.Old)
	for _, h := range g.Hashes {
		fmt.Fprintf(&b, "%s\n", h)
	}
	b.WriteByte('\n')
	b.Write(g.Checkpoint)
	return b.String()
}

// ParseGrowth reads a growth strictly, and the form of its checkpoint. It
// verifies nothing; see [Pin.Grow].
func ParseGrowth(text string) (Growth, error) {
	if len(text) > maxProofText {
		return Growth{}, fmt.Errorf("growth: %d bytes, at most %d are allowed", len(text), maxProofText)
	}
	head, checkpoint, ok := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	number, isOld := strings.CutPrefix(lines[0], "old ")
	if !ok || !isOld {
		return Growth{}, fmt.Errorf("growth: want an old line, hashes, an empty line and a checkpoint")
	}
	old, err := parseCount(number)
	if err != nil {
		return Growth{}, fmt.Errorf("growth: old size %w", err)
	}
	hashes, err := parseHashLines(lines[1:])
	if err != nil {
		return Growth{}, fmt.Errorf("growth: %w", err)
	}
	g := Growth{Old: old, Hashes: hashes, Checkpoint: []byte(checkpoint)}
	if _, err := PeekCheckpoint(g.Checkpoint); err != nil {
		return Growth{}, fmt.Errorf("growth: %w", err)
	}
	return g, nil
}

// parseHashLines reads the hashes of a proof, one a line.
func parseHashLines(lines []string) ([]tlog.Hash, error) {
	if len(lines) > maxProof {
		return nil, fmt.Errorf("%d hashes, at most %d are possible", len(lines), maxProof)
	}
	var hashes []tlog.Hash
	for i, line := range lines {
		h, err := parseTreeHash(line)
		if err != nil {
			return nil, fmt.Errorf("hash %d: %w", i+1, err)
		}
		hashes = append(hashes, h)
	}
	return hashes, nil
}
