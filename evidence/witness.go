package evidence

import (
	"fmt"

	"golang.org/x/mod/sumdb/note"
)

// Witness is the rule by which somebody vouches that a ledger has shown
// everybody the same history: it cosigns only what follows from what it
// cosigned before. It keeps nothing; its holder stores the pin that
// [Witness.Cosign] returns, durably, before letting the cosignature out.
type Witness struct {
	Log    note.Verifier // the ledger that is watched
	Signer note.Signer   // see [NewCosigner]
}

// Cosign checks that g follows from pin and returns g's checkpoint with the
// witness's cosignature added, and the pin to store. A checkpoint that goes
// back or forks is refused with the errors of [Pin.Advance], and nothing is
// signed. The first pin of a witness is Pin{Origin: w.Log.Name()}.
func (w Witness) Cosign(pin Pin, g Growth) ([]byte, Pin, error) {
	next, err := pin.Grow(Policy{Log: w.Log}, g)
	if err != nil {
		return nil, Pin{}, fmt.Errorf("witness %s: %w", w.Signer.Name(), err)
	}
	n, err := openNote(g.Checkpoint, []note.Verifier{w.Log})
	if err != nil {
		return nil, Pin{}, fmt.Errorf("witness %s: %w", w.Signer.Name(), err)
	}
	// Lines of others that were not verified here are not passed on.
	cosigned, err := note.Sign(&note.Note{Text: n.Text, Sigs: n.Sigs}, w.Signer)
	if err != nil {
		return nil, Pin{}, fmt.Errorf("witness %s: %w", w.Signer.Name(), err)
	}
	return cosigned, next, nil
}

// MergeCosignatures returns have with the cosignatures of more added that
// policy's witnesses made and that verify, and how many witnesses' lines the
// result holds. Both must be checkpoints with the same text, signed by the
// policy's ledger. The result depends on the signatures only, not on the
// order they came in.
func MergeCosignatures(policy Policy, have, more []byte) ([]byte, int, error) {
	policy.Required = 0
	both := make(map[uint64]note.Signature)
	text := ""
	for _, signed := range [][]byte{have, more} {
		if _, err := policy.Open(signed); err != nil {
			return nil, 0, err
		}
		n, err := openNote(signed, append([]note.Verifier{policy.Log}, policy.Witnesses...))
		if err != nil {
			return nil, 0, err
		}
		if text != "" && n.Text != text {
			return nil, 0, fmt.Errorf("cosignatures are for another checkpoint: %w", ErrProof)
		}
		text = n.Text
		for _, s := range n.Sigs {
			both[signerID(policy, s)] = s
		}
	}
	merged := &note.Note{Text: text}
	for id := range uint64(len(policy.Witnesses) + 1) {
		if s, ok := both[id]; ok {
			merged.Sigs = append(merged.Sigs, s)
		}
	}
	signed, err := note.Sign(merged)
	if err != nil {
		return nil, 0, fmt.Errorf("cosignatures: %w", err)
	}
	return signed, len(merged.Sigs) - 1, nil
}

// signerID is 0 for the ledger and 1 + the place in the policy for a witness.
func signerID(policy Policy, s note.Signature) uint64 {
	for i, w := range policy.Witnesses {
		if w.Name() == s.Name && w.KeyHash() == s.Hash {
			return uint64(i) + 1
		}
	}
	return 0
}
