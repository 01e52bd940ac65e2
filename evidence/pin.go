package evidence

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Why a pin does not move.
var (
	ErrRollback = errors.New("the ledger went back")
	ErrFork     = errors.New("the ledger forked")
)

// Pin is what a client remembers of a ledger: the last state it believed.
// Every later state must contain that one. A pin of size 0 has seen nothing
// yet, and believes the first signed checkpoint.
type Pin struct {
	Origin string
	Size   int64
	Hash   tlog.Hash
}

// NewPin pins a ledger at c.
func NewPin(c Checkpoint) Pin { return Pin{Origin: c.Origin, Size: c.Size, Hash: c.Root} }

// String returns the text in which a pin is kept: that of the checkpoint it
// was made from.
func (p Pin) String() string {
	return Checkpoint{Origin: p.Origin, Size: p.Size, Root: p.Hash}.String()
}

// ParsePin reads what [Pin.String] wrote.
func ParsePin(text string) (Pin, error) {
	c, err := ParseCheckpoint(text)
	if err != nil {
		return Pin{}, fmt.Errorf("pin: %w", err)
	}
	return NewPin(c), nil
}

// Advance returns the pin at c, whose signatures the caller has checked, or
// says why c cannot follow: ErrRollback when c is smaller than what was seen,
// ErrFork when it does not contain what was seen or the proof does not show
// that it does. p stays as it is.
func (p Pin) Advance(c Checkpoint, proof tlog.TreeProof) (Pin, error) {
	switch {
	case p.Origin == "" || p.Size < 0:
		return Pin{}, errors.New("pin: it names no ledger")
	case c.Origin != p.Origin:
		return Pin{}, fmt.Errorf("pin: the checkpoint is of %s, the pin of %s: %w", c.Origin, p.Origin, ErrUnknownKey)
	case c.Size < p.Size:
		return Pin{}, fmt.Errorf("%w: %s shows size %d after size %d was seen", ErrRollback, p.Origin, c.Size, p.Size)
	case p.Size == 0 || c.Size == p.Size:
		if p.Size > 0 && c.Root != p.Hash {
			return Pin{}, fmt.Errorf("%w: %s shows two different ledgers of size %d, with roots %s and %s", ErrFork, p.Origin, p.Size, p.Hash, c.Root)
		}
		if len(proof) != 0 {
			return Pin{}, fmt.Errorf("pin: from size %d to size %d there is nothing to prove, and %d hashes were given: %w", p.Size, c.Size, len(proof), ErrProof)
		}
		return NewPin(c), nil
	}
	if err := tlog.CheckTree(proof, c.Size, c.Root, p.Size, p.Hash); err != nil {
		return Pin{}, fmt.Errorf("%w: %s does not show that its ledger of size %d contains the one of size %d that was seen", ErrFork, p.Origin, c.Size, p.Size)
	}
	return NewPin(c), nil
}

// Grow checks the signatures on g's checkpoint and advances p to it.
func (p Pin) Grow(policy Policy, g Growth) (Pin, error) {
	c, err := policy.Open(g.Checkpoint)
	if err != nil {
		return Pin{}, err
	}
	if g.Old != p.Size && c.Size >= p.Size {
		return Pin{}, fmt.Errorf("the proof is from size %d, the pin is at size %d: %w", g.Old, p.Size, ErrProof)
	}
	return p.Advance(c, g.Hashes)
}
