package ledger

import (
	"context"

	"golang.org/x/mod/sumdb/tlog"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// proveRecord returns the proof that e is in the tree of a size and root. No
// proof leaves the ledger that does not verify, so the tiles it is made from
// need not be trusted.
func (s *snapshot) proveRecord(ctx context.Context, size int64, root tlog.Hash, e Entry) (tlog.RecordProof, error) {
	if size > s.size {
		return nil, damaged(nil, "a checkpoint of size %d is stored and the ledger has %d", size, s.size)
	}
	p, err := tlog.ProveRecord(size, e.Index, s.hashReader(ctx))
	if err != nil {
		return nil, err
	}
	if err := tlog.CheckRecord(p, size, root, e.Index, tlog.RecordHash(e.Commitment[:])); err != nil {
		return nil, damaged(err, "entry %d cannot be proved at size %d", e.Index, size)
	}
	return p, nil
}

// proveTree returns the proof that the tree of a size contains the one of an
// older size.
func (s *snapshot) proveTree(ctx context.Context, size, old int64) (tlog.TreeProof, error) {
	if old < 0 || old > size {
		return nil, escrow.Errorf(escrow.Conflict, "ledger: it has %d entries, so nothing can be proved from size %d", size, old).
			WithHint("whoever saw size %d should keep that checkpoint: this ledger went back", old)
	}
	if old == 0 || old == size {
		return nil, nil
	}
	root, err := s.rootAt(ctx, size)
	if err != nil {
		return nil, err
	}
	p, _, err := s.growth(ctx, size, root, old)
	return p, err
}

// rootAt returns the root the ledger had at a size.
func (s *snapshot) rootAt(ctx context.Context, size int64) (tlog.Hash, error) {
	if size == s.size {
		return s.root, nil
	}
	if size == 0 {
		return new(evidence.Frontier).Root(), nil
	}
	_, root, err := s.growth(ctx, s.size, s.root, size)
	return root, err
}

// growth proves an older size from a size and its root, and returns the older
// root too. Both come from the tiles, and hold because the proof verifies.
func (s *snapshot) growth(ctx context.Context, size int64, root tlog.Hash, old int64) (tlog.TreeProof, tlog.Hash, error) {
	reader := s.hashReader(ctx)
	p, err := tlog.ProveTree(size, old, reader)
	if err != nil {
		return nil, tlog.Hash{}, err
	}
	oldRoot, err := tlog.TreeHash(old, reader)
	if err != nil {
		return nil, tlog.Hash{}, err
	}
	if err := tlog.CheckTree(p, size, root, old, oldRoot); err != nil {
		return nil, tlog.Hash{}, damaged(err, "size %d cannot be proved from size %d", size, old)
	}
	return p, oldRoot, nil
}

// hashReader serves the hashes proofs are made of, from the head where it has
// them and else from as few tiles as there are on the way. It reads each tile
// once and lives for one call, hence the context. What it returns is what is
// stored, not what is true.
type hashReader struct {
	ctx   context.Context
	tx    Tx
	edge  *evidence.Frontier
	tiles map[tileRange][]byte
}

// tileRange is the part of a tile that a subtree of the edge covers.
type tileRange struct {
	level int
	start int64 // number of the first hash at the level
	width int
}

func (s *snapshot) hashReader(ctx context.Context) *hashReader {
	return &hashReader{ctx: ctx, tx: s.tx, edge: s.edge, tiles: make(map[tileRange][]byte)}
}

// ReadHashes implements tlog.HashReader.
func (r *hashReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		var err error
		if out[i], err = r.hash(tlog.SplitStoredHashIndex(x)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// hash returns the root of the n'th subtree of a height.
func (r *hashReader) hash(height int, n int64) (tlog.Hash, error) {
	_, whole, root, ok := r.edge.Subtree(n << height)
	if !ok || height > whole {
		return tlog.Hash{}, damaged(nil, "the head counts %d entries and is asked beyond", r.edge.Size())
	}
	if height == whole {
		return root, nil
	}
	level := height / evidence.TileHeight
	below := height - level*evidence.TileHeight // height within the tile
	t := tileRange{level: level, width: 1 << min(whole-level*evidence.TileHeight, evidence.TileHeight)}
	first := n << below
	t.start = first &^ int64(t.width-1)
	data, err := r.tile(t)
	if err != nil {
		return tlog.Hash{}, err
	}
	data = data[(first-t.start)*tlog.HashSize:]
	return subtreeRoot(data[:tlog.HashSize<<below]), nil
}

func (r *hashReader) tile(t tileRange) ([]byte, error) {
	if data, ok := r.tiles[t]; ok {
		return data, nil
	}
	var data []byte
	var err error
	if t.width == evidence.TileWidth {
		data, err = readTile(r.ctx, r.tx, tlog.Tile{H: evidence.TileHeight, L: t.level, N: t.start >> evidence.TileHeight, W: t.width})
	} else {
		data, err = readHashes(r.ctx, r.tx, t.level, t.start, t.width)
	}
	if err != nil {
		return nil, err
	}
	if len(data) != t.width*tlog.HashSize {
		return nil, damaged(nil, "the hashes from %d at level %d have %d bytes", t.start, t.level, len(data))
	}
	r.tiles[t] = data
	return data, nil
}

// subtreeRoot folds a power of two of hashes.
func subtreeRoot(data []byte) tlog.Hash {
	if len(data) == tlog.HashSize {
		return tlog.Hash(data)
	}
	half := len(data) / 2
	return tlog.NodeHash(subtreeRoot(data[:half]), subtreeRoot(data[half:]))
}
