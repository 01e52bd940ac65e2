package pack

import (
	"bytes"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/object"
)

// kind is what an object is. The values are those of the pack format.
type kind uint8

const (
	commit   kind = 1
	tree     kind = 2
	blob     kind = 3
	tag      kind = 4
	ofsDelta kind = 6
	refDelta kind = 7
)

func (k kind) String() string {
	switch k {
	case commit:
		return "commit"
	case tree:
		return "tree"
	case blob:
		return "blob"
	case tag:
		return "tag"
	case ofsDelta:
		return "delta on an offset"
	case refDelta:
		return "delta on an id"
	}
	return "object"
}

// Flags of an id: which kinds others take it for, and which it is.
const (
	typeShift        = 4          // kind<<typeShift: it is in the pack
	typeMask  uint8  = 7 << 4     //
	takenMask uint8  = 1<<4 - 1   // takenAs(kind): somebody takes it for that kind
	tipFlag   uint8  = 1 << 7     // a ref points at it
	none      uint32 = ^uint32(0) // no number
)

func takenAs(k kind) uint8 { return 1 << (k - 1) }

const (
	shardBits = 6
	shards    = 1 << shardBits
	localMask = 1<<(32-shardBits) - 1
)

// idTable is the set of all ids met: of objects in the pack and of those they
// name. An id is known by its number, which stays the same. The table holds no
// pointers and takes about 45 bytes an id.
type idTable struct {
	size    int // bytes of an id
	seed    maphash.Seed
	outside int64        // how many ids may be named beyond the objects in the pack
	room    atomic.Int64 // how many ids may still be added
	names   names
	shards  [shards]idShard
}

type idShard struct {
	mu    sync.Mutex
	slots []uint32 // place in the arrays below + 1; 0 is free
	raw   []byte
	flags []uint8
	from  []uint32 // who named it first
	name  []uint32 // under which name, see names
	_     [56]byte // keeps neighbours' locks out of one cache line
}

// newIDTable makes room for n ids. The hash is seeded at random because a
// hostile pack chooses the ids it names.
func newIDTable(f object.Format, n int, outside int64) *idTable {
	t := &idTable{size: f.Size(), seed: maphash.MakeSeed(), outside: outside}
	t.room.Store(int64(n) + outside)
	each := n/shards + n/shards/16 + 32
	slots := 64
	for slots*3/4 < each {
		slots *= 2
	}
	for i := range t.shards {
		s := &t.shards[i]
		s.slots = make([]uint32, slots)
		s.raw = make([]byte, 0, each*t.size)
		s.flags = make([]uint8, 0, each)
		s.from = make([]uint32, 0, each)
		s.name = make([]uint32, 0, each)
	}
	return t
}

// tableBytes is what newIDTable allocates for n ids.
func tableBytes(f object.Format, n int) int64 {
	each := n/shards + n/shards/16 + 32
	slots := 64
	for slots*3/4 < each {
		slots *= 2
	}
	return shards * int64(4*slots+each*(f.Size()+9))
}

// place finds or adds raw. The shard is locked.
func (t *idTable) place(s *idShard, hash uint64, raw []byte) (uint32, error) {
	mask := uint32(len(s.slots) - 1)
	for i := uint32(hash) & mask; ; i = (i + 1) & mask {
		n := s.slots[i]
		if n == 0 {
			break
		}
		at := int(n-1) * t.size
		if bytes.Equal(s.raw[at:at+t.size], raw) {
			return n - 1, nil
		}
	}
	if t.room.Add(-1) < 0 {
		return 0, escrow.Errorf(escrow.Invalid, "the pack's trees and commits name more than %d objects it does not hold", t.outside).
			WithHint("no repository of a sane size does this; if this one does, raise the limit of named objects")
	}
	local := uint32(len(s.flags))
	s.raw = append(s.raw, raw...)
	s.flags = append(s.flags, 0)
	s.from = append(s.from, none)
	s.name = append(s.name, none)
	if (len(s.flags)+1)*4 > len(s.slots)*3 {
		t.grow(s)
	}
	mask = uint32(len(s.slots) - 1)
	i := uint32(hash) & mask
	for s.slots[i] != 0 {
		i = (i + 1) & mask
	}
	s.slots[i] = local + 1
	return local, nil
}

func (t *idTable) grow(s *idShard) {
	old := s.slots
	s.slots = make([]uint32, 2*len(old))
	mask := uint32(len(s.slots) - 1)
	for _, n := range old {
		if n == 0 {
			continue
		}
		at := int(n-1) * t.size
		i := uint32(maphash.Bytes(t.seed, s.raw[at:at+t.size])) & mask
		for s.slots[i] != 0 {
			i = (i + 1) & mask
		}
		s.slots[i] = n
	}
}

// hold records an object of the pack and reports whether it was there before.
func (t *idTable) hold(raw []byte, k kind) (id uint32, again bool, err error) {
	h := maphash.Bytes(t.seed, raw)
	n := uint32(h >> (64 - shardBits))
	s := &t.shards[n]
	s.mu.Lock()
	defer s.mu.Unlock()
	local, err := t.place(s, h, raw)
	if err != nil {
		return 0, false, err
	}
	again = s.flags[local]&typeMask != 0
	s.flags[local] |= uint8(k) << typeShift
	return n<<(32-shardBits) | local, again, nil
}

// refer records that object by names raw, under a name when it is a tree, and
// takes it for a k.
func (t *idTable) refer(raw []byte, k kind, by uint32, name []byte) (id uint32, err error) {
	h := maphash.Bytes(t.seed, raw)
	n := uint32(h >> (64 - shardBits))
	s := &t.shards[n]
	s.mu.Lock()
	defer s.mu.Unlock()
	local, err := t.place(s, h, raw)
	if err != nil {
		return 0, err
	}
	if by == none {
		s.flags[local] |= tipFlag
	} else {
		s.flags[local] |= takenAs(k)
	}
	if s.from[local] == none && by != none {
		s.from[local] = by
		if name != nil {
			s.name[local] = t.names.number(name)
		}
	}
	return n<<(32-shardBits) | local, nil
}

// find returns the number of raw when an object of the pack has this id.
func (t *idTable) find(raw []byte) (uint32, bool) {
	h := maphash.Bytes(t.seed, raw)
	n := uint32(h >> (64 - shardBits))
	s := &t.shards[n]
	s.mu.Lock()
	defer s.mu.Unlock()
	mask := uint32(len(s.slots) - 1)
	for i := uint32(h) & mask; s.slots[i] != 0; i = (i + 1) & mask {
		local := s.slots[i] - 1
		at := int(local) * t.size
		if bytes.Equal(s.raw[at:at+t.size], raw) {
			return n<<(32-shardBits) | local, s.flags[local]&typeMask != 0
		}
	}
	return 0, false
}

// lockedBytes returns a copy of the id's bytes while others may add ids.
func (t *idTable) lockedBytes(id uint32) []byte {
	s, n := t.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.raw[n*t.size : (n+1)*t.size])
}

// The methods below are for when no goroutine adds ids any more.

func (t *idTable) shard(id uint32) (*idShard, int) {
	return &t.shards[id>>(32-shardBits)], int(id & localMask)
}

// bytes returns the id's bytes.
func (t *idTable) bytes(id uint32) []byte {
	s, n := t.shard(id)
	return s.raw[n*t.size : (n+1)*t.size]
}

// kindOf returns what the object is, 0 when it is not in the pack.
func (t *idTable) kindOf(id uint32) kind {
	s, n := t.shard(id)
	return kind(s.flags[n] & typeMask >> typeShift)
}

// origin returns who named the id first, and under which name.
func (t *idTable) origin(id uint32) (from, name uint32) {
	s, n := t.shard(id)
	return s.from[n], s.name[n]
}

// each calls fn for every id, in no order.
func (t *idTable) each(fn func(id uint32, flags uint8) error) error {
	for i := range t.shards {
		for local, flags := range t.shards[i].flags {
			if err := fn(uint32(i)<<(32-shardBits)|uint32(local), flags); err != nil {
				return err
			}
		}
	}
	return nil
}

// sorted returns the numbers of the ids that pass, in the order of the ids.
func (t *idTable) sorted(pass func(flags uint8) bool) []uint32 {
	if t.count() < 1<<14 {
		return t.sortedFew(pass)
	}
	// One pass counts by the first two bytes, one places, and what is equal
	// in two bytes is few.
	starts := make([]uint32, 1<<16+1)
	total := 0
	for i := range t.shards {
		s := &t.shards[i]
		for n, flags := range s.flags {
			if pass(flags) {
				starts[(int(s.raw[n*t.size])<<8|int(s.raw[n*t.size+1]))+1]++
				total++
			}
		}
	}
	for i := 1; i < len(starts); i++ {
		starts[i] += starts[i-1]
	}
	out := make([]uint32, total)
	fill := slices.Clone(starts)
	for i := range t.shards {
		s := &t.shards[i]
		for n, flags := range s.flags {
			if pass(flags) {
				b := int(s.raw[n*t.size])<<8 | int(s.raw[n*t.size+1])
				out[fill[b]] = uint32(i)<<(32-shardBits) | uint32(n)
				fill[b]++
			}
		}
	}
	for i := range len(starts) - 1 {
		if part := out[starts[i]:starts[i+1]]; len(part) > 1 {
			slices.SortFunc(part, func(a, b uint32) int { return bytes.Compare(t.bytes(a), t.bytes(b)) })
		}
	}
	return out
}

func (t *idTable) count() (n int) {
	for i := range t.shards {
		n += len(t.shards[i].flags)
	}
	return n
}

func (t *idTable) sortedFew(pass func(flags uint8) bool) []uint32 {
	var out []uint32
	for i := range t.shards {
		for n, flags := range t.shards[i].flags {
			if pass(flags) {
				out = append(out, uint32(i)<<(32-shardBits)|uint32(n))
			}
		}
	}
	slices.SortFunc(out, func(a, b uint32) int { return bytes.Compare(t.bytes(a), t.bytes(b)) })
	return out
}

// names keeps the different names of tree entries, as long as they are few:
// they only serve to say where an object belongs.
type names struct {
	mu    sync.Mutex
	at    map[string]uint32
	list  []string
	bytes int
}

const (
	maxNames     = 1 << 17
	maxNameBytes = 4 << 20
)

// number returns the number of name, none when no more are kept.
func (n *names) number(name []byte) uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	if i, ok := n.at[string(name)]; ok {
		return i
	}
	if len(n.list) >= maxNames || n.bytes+len(name) > maxNameBytes {
		return none
	}
	if n.at == nil {
		n.at = make(map[string]uint32)
	}
	i := uint32(len(n.list))
	text := string(name)
	n.at[text] = i
	n.list = append(n.list, text)
	n.bytes += len(name)
	return i
}
