package server

import (
	"bytes"
	"context"

	"golang.org/x/mod/sumdb/tlog"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/ledger"
	"holdfast/internal/store"
)

// proofs shows the ledger to the API.
type proofs struct {
	db     *store.DB
	log    *ledger.Log
	policy evidence.Policy
	keys   client.ServerKeys
}

// Keys implements api.Ledger.
func (p *proofs) Keys() client.ServerKeys { return p.keys }

// Consistency implements api.Ledger.
func (p *proofs) Consistency(ctx context.Context, from int64) ([]byte, []string, error) {
	g, err := p.log.Grow(ctx, from)
	if err != nil {
		return nil, nil, err
	}
	return g.Checkpoint, hashTexts(g.Hashes), nil
}

// Between implements api.Ledger.
func (p *proofs) Between(ctx context.Context, from, to int64) ([]string, error) {
	proof, err := p.log.Between(ctx, from, to)
	return hashTexts(proof), err
}

func hashTexts(hashes []tlog.Hash) []string {
	out := make([]string, len(hashes))
	for i, h := range hashes {
		out[i] = h.String()
	}
	return out
}

// Cosign implements api.Ledger. Anybody may send one: only a signature of a
// witness that the configuration names counts, and without one nothing is
// written and no writer waits.
func (p *proofs) Cosign(ctx context.Context, signed []byte) (int, error) {
	needs := p.policy
	needs.Required = 1
	if _, err := needs.Open(signed); err != nil {
		return 0, escrow.Errorf(escrow.Invalid, "%w", err).WithHint("cosign what /ledger/checkpoint shows, with a key that this installation is configured to know")
	}
	have, err := p.log.Published(ctx)
	if err != nil {
		return 0, err
	}
	// Cosignatures are public, so they can be sent again and again.
	if merged, n, err := evidence.MergeCosignatures(p.policy, have, signed); err == nil && bytes.Equal(merged, have) {
		return n, nil
	}
	return p.db.Cosign(ctx, p.policy, signed)
}

// Erase implements api.Ledger. What others rely on stays: without the acts of
// deposits, keys, agreements and releases there is nothing left to prove.
func (p *proofs) Erase(ctx context.Context, actor escrow.Actor, arrangement string, index int64, reason string) error {
	e, err := p.log.Entry(ctx, index)
	if err != nil {
		return err
	}
	if e.Open() {
		act, err := e.Act()
		if err != nil {
			return escrow.Wrap(err, escrow.Damaged, "ledger entry %d", index)
		}
		if act.Arrangement != arrangement {
			return escrow.Errorf(escrow.NotFound, "entry %d is not about arrangement %s", index, arrangement)
		}
		if !escrow.Erasable(act.Kind) {
			return escrow.Errorf(escrow.Forbidden, "entry %d records %q, which others rely on: it cannot be erased", index, act.Kind)
		}
	}
	_, err = p.db.Update(ctx, func(tx *store.Tx) ([]escrow.Act, error) {
		act, err := tx.Erase(ctx, index, actor.String(), reason)
		return []escrow.Act{act}, err
	})
	return err
}

// Entries implements api.Ledger: acts of other arrangements stay closed, so
// that nobody learns of them; the commitments are enough to rebuild the tree.
func (p *proofs) Entries(ctx context.Context, view escrow.View, arrangement string, after int64, limit int) ([]evidence.Entry, error) {
	list, err := p.log.Entries(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if !list[i].Open() {
			continue
		}
		act, err := list[i].Act()
		if err != nil {
			return nil, escrow.Wrap(err, escrow.Damaged, "ledger entry %d", list[i].Index)
		}
		if act.Arrangement != arrangement || !view.Act(act) {
			list[i].Payload, list[i].Salt = nil, nil
		}
	}
	return list, nil
}

// recorder puts acts that change no state into the ledger.
type recorder struct{ db *store.DB }

// Record implements api.Recorder.
func (r recorder) Record(ctx context.Context, act escrow.Act) error {
	_, err := r.db.Update(ctx, func(*store.Tx) ([]escrow.Act, error) { return []escrow.Act{act}, nil })
	return err
}
