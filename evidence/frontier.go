package evidence

import (
	"crypto/sha256"
	"fmt"
	"math/bits"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// Frontier is the right edge of a Merkle tree as RFC 6962 defines it: the
// roots of the complete subtrees that make it up, largest first. It is all
// that is needed to append to the tree and to know its root, and has at most
// one hash per bit of the size. The zero Frontier is the empty tree.
type Frontier struct {
	size  int64
	edge  []tlog.Hash
	level []tlog.Hash // see Completed
}

// ParseFrontier reads the form [Frontier.Bytes] returns, for a tree of the
// given size.
func ParseFrontier(size int64, data []byte) (*Frontier, error) {
	if size < 0 || len(data) != bits.OnesCount64(uint64(size))*tlog.HashSize {
		return nil, fmt.Errorf("the edge of a tree of size %d cannot have %d bytes", size, len(data))
	}
	f := &Frontier{size: size}
	for h := range slices.Chunk(data, tlog.HashSize) {
		f.edge = append(f.edge, tlog.Hash(h))
	}
	return f, nil
}

// Bytes returns the hashes of the edge, concatenated.
func (f *Frontier) Bytes() []byte {
	out := make([]byte, 0, len(f.edge)*tlog.HashSize)
	for _, h := range f.edge {
		out = append(out, h[:]...)
	}
	return out
}

// Size is the number of leaves pushed.
func (f *Frontier) Size() int64 { return f.size }

// Push appends a leaf by its record hash.
func (f *Frontier) Push(leaf tlog.Hash) {
	f.level = append(f.level[:0], leaf)
	h := leaf
	for m := f.size; m&1 == 1; m >>= 1 {
		last := len(f.edge) - 1
		h = tlog.NodeHash(f.edge[last], h)
		f.edge = f.edge[:last]
		f.level = append(f.level, h)
	}
	f.edge = append(f.edge, h)
	f.size++
}

// Completed returns the root of the subtree of 2^level leaves that the last
// Push completed, and whether it completed one.
func (f *Frontier) Completed(level int) (tlog.Hash, bool) {
	if level >= len(f.level) {
		return tlog.Hash{}, false
	}
	return f.level[level], true
}

// Root is the hash of the tree as it stands.
func (f *Frontier) Root() tlog.Hash {
	if len(f.edge) == 0 {
		return sha256.Sum256(nil)
	}
	h := f.edge[len(f.edge)-1]
	for _, left := range slices.Backward(f.edge[:len(f.edge)-1]) {
		h = tlog.NodeHash(left, h)
	}
	return h
}

// Subtree returns the subtree of the edge that holds a leaf: the number of
// its first leaf, its height and its root. It reports whether there is such a
// leaf.
func (f *Frontier) Subtree(leaf int64) (first int64, height int, root tlog.Hash, ok bool) {
	if leaf < 0 || leaf >= f.size {
		return 0, 0, tlog.Hash{}, false
	}
	for _, root := range f.edge {
		height = bits.Len64(uint64(f.size-first)) - 1
		if leaf < first+1<<height {
			return first, height, root, true
		}
		first += 1 << height
	}
	panic("evidence: a frontier whose edge is shorter than its size says")
}
