package ledger

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// Tile returns the bytes of a tile of the committed ledger as tlog-tiles has
// them: hashes, or at level −1 the commitments of entries, each after its
// length. A tile that is wider than the ledger reaches is NotFound.
func (l *Log) Tile(ctx context.Context, t tlog.Tile) ([]byte, error) {
	var data []byte
	err := l.read(ctx, func(s *snapshot) (err error) {
		level := max(t.L, 0)
		have := s.size >> (level * evidence.TileHeight) // hashes at the level
		if t.H != evidence.TileHeight || t.W < 1 || t.W > evidence.TileWidth || t.N < 0 || t.N > have>>evidence.TileHeight ||
			t.N<<evidence.TileHeight+int64(t.W) > have {
			return escrow.Errorf(escrow.NotFound, "ledger: no %s at size %d", evidence.TilePath(t), s.size)
		}
		if t.L == evidence.EntriesLevel {
			data, err = readCommitments(ctx, s.tx, t.N<<evidence.TileHeight, t.W)
		} else {
			data, err = readTile(ctx, s.tx, t)
		}
		return err
	})
	return data, err
}

// readTile returns the hashes of a tile: the stored ones when it is full,
// those of the level below when it is not, however long ago it was the last.
func readTile(ctx context.Context, tx Tx, t tlog.Tile) ([]byte, error) {
	if t.W < evidence.TileWidth {
		return readHashes(ctx, tx, t.L, t.N<<evidence.TileHeight, t.W)
	}
	var hashes []byte
	err := tx.QueryRowContext(ctx, `SELECT hashes FROM ledger_tile WHERE level = $1 AND n = $2`, t.L, t.N).Scan(&hashes)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, damaged(nil, "%s is not there", evidence.TilePath(t))
	}
	if err != nil {
		return nil, fmt.Errorf("ledger: read %s: %w", evidence.TilePath(t), err)
	}
	return hashes, nil
}

// readHashes returns count consecutive hashes of a tile level, concatenated:
// those of leaves, or the roots of the tiles below.
func readHashes(ctx context.Context, tx Tx, level int, start int64, count int) ([]byte, error) {
	if level == 0 {
		return readColumn(ctx, tx, count, start, nil,
			`SELECT seq, hash FROM ledger_leaf WHERE seq >= $1 AND seq < $2 ORDER BY seq`, start, start+int64(count))
	}
	return readColumn(ctx, tx, count, start, nil,
		`SELECT n, root FROM ledger_tile WHERE level = $3 AND n >= $1 AND n < $2 ORDER BY n`, start, start+int64(count), level-1)
}

func readCommitments(ctx context.Context, tx Tx, start int64, count int) ([]byte, error) {
	return readColumn(ctx, tx, count, start, binary.BigEndian.AppendUint16(nil, tlog.HashSize),
		`SELECT seq, commitment FROM ledger_leaf WHERE seq >= $1 AND seq < $2 ORDER BY seq`, start, start+int64(count))
}

// readColumn concatenates count hashes that query returns with their numbers,
// which must follow each other from start, each after prefix.
func readColumn(ctx context.Context, tx Tx, count int, start int64, prefix []byte, query string, args ...any) ([]byte, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("ledger: read hashes: %w", err)
	}
	defer rows.Close()
	out := make([]byte, 0, count*(len(prefix)+tlog.HashSize))
	next := start
	for rows.Next() {
		var n int64
		var hash sql.RawBytes
		if err := rows.Scan(&n, &hash); err != nil {
			return nil, fmt.Errorf("ledger: read hashes: %w", err)
		}
		if n != next || len(hash) != tlog.HashSize {
			break
		}
		out = append(append(out, prefix...), hash...)
		next++
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("ledger: read hashes: %w", err)
	}
	if next != start+int64(count) {
		return nil, damaged(nil, "of the hashes %d to %d that make up a tile, number %d is not there", start, start+int64(count)-1, next)
	}
	return out, nil
}
