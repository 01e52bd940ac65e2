package server

import (
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
	log  *ledger.Log
	keys client.ServerKeys
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

// Entries implements api.Ledger: acts of other arrangements stay closed, so
// that nobody learns of them; the commitments are enough to rebuild the tree.
func (p *proofs) Entries(ctx context.Context, arrangement string, after int64, limit int) ([]evidence.Entry, error) {
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
		if act.Arrangement != arrangement {
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
