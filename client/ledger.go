package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"golang.org/x/mod/sumdb/tlog"

	"holdfast/evidence"
)

// Memory is what a client keeps about one server's ledger between runs.
type Memory struct {
	Key    string `json:"ledger_key"`  // verifier key of the ledger
	Signer string `json:"signing_key"` // SSH public key that signs pulled deposits
	Pin    string `json:"pin"`         // the last checkpoint that was believed, see evidence.Pin
}

// CheckLedger asks for the ledger's current state and compares it with what
// is remembered. It returns what to remember from now on. A ledger that went
// back, forked or changed its key is an error that wraps
// evidence.ErrRollback, evidence.ErrFork or evidence.ErrUnknownKey, and
// nothing else this server says should be believed.
//
// An empty memory takes the first key and checkpoint on trust; compare the key
// over another channel.
func (c *Client) CheckLedger(ctx context.Context, m Memory) (Memory, evidence.Checkpoint, error) {
	keys, err := c.ServerKeys(ctx)
	if err != nil {
		return m, evidence.Checkpoint{}, err
	}
	if m.Key != "" && (keys.Ledger != m.Key || keys.Signing != m.Signer) {
		return m, evidence.Checkpoint{}, fmt.Errorf("%w: the server shows ledger key %s and signing key %s, remembered are %s and %s",
			evidence.ErrUnknownKey, keys.Ledger, keys.Signing, m.Key, m.Signer)
	}
	policy, err := evidence.NewPolicy(keys.Ledger, nil, 0)
	if err != nil {
		return m, evidence.Checkpoint{}, err
	}
	var pin evidence.Pin
	if m.Pin != "" {
		if pin, err = evidence.ParsePin(m.Pin); err != nil {
			return m, evidence.Checkpoint{}, err
		}
	}
	answer, err := c.Consistency(ctx, pin.Size)
	if err != nil {
		return m, evidence.Checkpoint{}, unproved(err, "that its ledger contains the %d entries seen before", pin.Size)
	}
	checkpoint, err := policy.Open([]byte(answer.Checkpoint))
	if err != nil {
		return m, evidence.Checkpoint{}, err
	}
	if pin.Origin == "" {
		pin = evidence.Pin{Origin: checkpoint.Origin}
	}
	proof, err := treeProof(answer.Proof)
	if err != nil {
		return m, evidence.Checkpoint{}, err
	}
	next, err := pin.Advance(checkpoint, proof)
	if err != nil {
		return m, evidence.Checkpoint{}, err
	}
	return Memory{Key: keys.Ledger, Signer: keys.Signing, Pin: next.String()}, checkpoint, nil
}

// PublishedGrowth returns the published checkpoint, signed and perhaps
// cosigned, with the proof that it contains the ledger of size from. Nothing
// of it has been checked.
func (c *Client) PublishedGrowth(ctx context.Context, from int64) (evidence.Growth, error) {
	resp, err := c.send(ctx, http.MethodGet, "/ledger/checkpoint", nil, -1, "")
	if err != nil {
		return evidence.Growth{}, err
	}
	defer resp.Body.Close()
	signed, err := io.ReadAll(io.LimitReader(resp.Body, maxCheckpoint))
	if err != nil {
		return evidence.Growth{}, fmt.Errorf("published checkpoint: %w", err)
	}
	checkpoint, err := evidence.PeekCheckpoint(signed)
	if err != nil {
		return evidence.Growth{}, err
	}
	g := evidence.Growth{Old: from, Checkpoint: signed}
	if from == 0 || checkpoint.Size <= from {
		return g, nil // nothing to prove, or nothing that could be
	}
	answer, err := c.consistencyBetween(ctx, from, checkpoint.Size)
	if err != nil {
		return evidence.Growth{}, err
	}
	g.Hashes, err = treeProof(answer.Proof)
	return g, err
}

// maxCheckpoint bounds a signed checkpoint with its cosignatures.
const maxCheckpoint = 64 << 10

// unproved says that the server did not show what it must be able to. Where
// it declines, its ledger is not the one that was seen; where it fails or
// does not answer, nothing is known yet.
func unproved(err error, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	if e, ok := errors.AsType[*Error](err); ok && e.Status < http.StatusInternalServerError &&
		e.Status != http.StatusUnauthorized && e.Status != http.StatusForbidden && e.Status != http.StatusTooManyRequests {
		return fmt.Errorf("%w: the server cannot show %s: %s", evidence.ErrRollback, what, e.Detail)
	}
	return fmt.Errorf("the server does not show %s: %w", what, err)
}

func treeProof(texts []string) (tlog.TreeProof, error) {
	proof := make(tlog.TreeProof, len(texts))
	for i, text := range texts {
		var err error
		if proof[i], err = tlog.ParseHash(text); err != nil {
			return nil, fmt.Errorf("consistency proof, hash %d: %w", i, err)
		}
	}
	return proof, nil
}

// Follow checks that a checkpoint that came another way than [Client.CheckLedger],
// such as with a receipt, is of the ledger that m remembers; the caller has
// checked its signature. It returns what to remember from now on. Errors are
// those of CheckLedger.
func (c *Client) Follow(ctx context.Context, m Memory, checkpoint evidence.Checkpoint) (Memory, error) {
	pin, err := evidence.ParsePin(m.Pin)
	if err != nil {
		return m, err
	}
	older, newer := pin, checkpoint
	if checkpoint.Size < pin.Size {
		older, newer = evidence.NewPin(checkpoint), evidence.Checkpoint{Origin: pin.Origin, Size: pin.Size, Root: pin.Hash}
	}
	answer, err := c.consistencyBetween(ctx, older.Size, newer.Size)
	if err != nil {
		return m, unproved(err, "how its ledger of %d entries became the one of %d", older.Size, newer.Size)
	}
	proof, err := treeProof(answer.Proof)
	if err != nil {
		return m, err
	}
	next, err := older.Advance(newer, proof)
	if err != nil {
		return m, err
	}
	m.Pin = next.String()
	return m, nil
}
