package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// Erase removes the content of an entry in tx and returns the act that
// records the erasure, which the caller must append in the same transaction:
// an entry that is empty without one counts as damaged. The commitment and
// the hash stay, so every proof and tile goes on to hold, and without the
// salt nobody can find the content by trying.
//
// Reason says why, without repeating what is erased: it stays for ever. The
// record of an erasure cannot itself be erased.
func (l *Log) Erase(ctx context.Context, tx Tx, index int64, actor, reason string) (escrow.Act, error) {
	var kind, arrangement sql.NullString
	err := tx.QueryRowContext(ctx, `SELECT kind, arrangement FROM ledger_leaf WHERE seq = $1`, index).Scan(&kind, &arrangement)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return escrow.Act{}, escrow.Errorf(escrow.NotFound, "ledger: no entry %d", index)
	case err != nil:
		return escrow.Act{}, fmt.Errorf("ledger: read entry %d: %w", index, err)
	case kind.String == evidence.ActErased:
		return escrow.Act{}, escrow.Errorf(escrow.Conflict, "ledger: entry %d records an erasure and stays", index)
	case reason == "":
		return escrow.Act{}, escrow.Errorf(escrow.Invalid, "ledger: entry %d cannot be erased without a reason", index)
	}
	// Of two erasures at once, the condition lets one win.
	result, err := tx.ExecContext(ctx, `UPDATE ledger_leaf SET payload = NULL, salt = NULL, kind = NULL, arrangement = NULL, at_us = NULL
		WHERE seq = $1 AND payload IS NOT NULL`, index)
	if err != nil {
		return escrow.Act{}, fmt.Errorf("ledger: erase entry %d: %w", index, err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return escrow.Act{}, fmt.Errorf("ledger: erase entry %d: %w", index, err)
	}
	if n == 0 {
		return escrow.Act{}, escrow.Errorf(escrow.Conflict, "ledger: entry %d was erased before", index)
	}
	return escrow.Act{
		Kind:        evidence.ActErased,
		Actor:       actor,
		Arrangement: arrangement.String,
		Subject:     fmt.Sprintf("ledger/%d", index),
		Data:        evidence.Erasure{Index: index, Reason: reason},
	}, nil
}
