package server

import (
	"context"

	"holdfast/internal/escrow"
	"holdfast/internal/store"
)

// SyncNow makes one sync as the queue would, without the queue and its lease:
// what must hold even when two of them run at once.
func (s *Server) SyncNow(ctx context.Context, arrangement, module string) error {
	return s.syncs.Sync(ctx, arrangement, module, "test")
}

// SourceState is what the server remembers of a module's source.
func (s *Server) SourceState(ctx context.Context, arrangement, module string) (state escrow.SourceState, err error) {
	err = s.db.View(ctx, func(tx *store.Tx) error {
		state, err = tx.SourceState(ctx, arrangement, module)
		return err
	})
	return state, err
}

// PutNotice tells a party something.
func (s *Server) PutNotice(ctx context.Context, n escrow.Notice) error {
	_, err := s.db.Update(ctx, func(tx *store.Tx) ([]escrow.Act, error) {
		return []escrow.Act{{Kind: "duty.reminder", Actor: "server", Arrangement: n.Arrangement}}, tx.PutNotice(ctx, n)
	})
	return err
}
