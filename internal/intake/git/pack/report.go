package pack

import (
	"bytes"
	"context"
	"iter"
	"sort"

	"holdfast/internal/intake/git/object"
)

// Known answers for the objects that earlier deposits of the same chain hold.
type Known interface {
	// Missing returns those of ids that are not held, in the same order. ids
	// are sorted and distinct. It must never leave out an id it is not sure of.
	Missing(ctx context.Context, ids []object.OID) ([]object.OID, error)
}

// Options says what a pack is checked against.
type Options struct {
	Format object.Format
	Known  Known        // nil when the pack must stand alone
	Tips   []object.OID // ids that must be held after this pack: the targets of all refs and HEAD
	Limits Limits

	// MemoryBudget is the memory to plan with, in bytes; 0 means
	// [DefaultMemoryBudget]. The tables (about 60 bytes an object) are taken
	// first, caches get the rest, at least 16 MiB. A delta whose base and
	// result together are larger than the rest is still resolved, with the
	// memory that takes; such deltas wait for each other.
	MemoryBudget int64

	Workers int // goroutines that hash objects; 0 means one per processor, at most 4
}

// DefaultMemoryBudget keeps a process that does nothing else well under
// 200 MiB for repositories of up to a million objects.
const DefaultMemoryBudget = 96 << 20

// Limits bound what a hostile pack can make the check do. A zero field means
// its default.
type Limits struct {
	Objects int64 // objects in the pack; default 50 million
	Object  int64 // bytes of one object; default 16 GiB
	Delta   int64 // bytes of an object that is a delta or has deltas on it; default 512 MiB, beyond which Git makes no deltas
	Parsed  int64 // bytes of a commit, tree or tag; default 128 MiB
	Total   int64 // bytes of all objects together; default 64 GiB and a thousand times the pack
	Outside int64 // ids that are named and not in the pack; default 4 million
}

func (l Limits) orDefault(packSize int64) Limits {
	for _, f := range []struct {
		value *int64
		def   int64
	}{
		{&l.Objects, 50_000_000}, {&l.Object, 16 << 30}, {&l.Delta, 512 << 20}, {&l.Parsed, 128 << 20},
		{&l.Total, 64<<30 + 1000*packSize}, {&l.Outside, 4_000_000},
	} {
		if *f.value <= 0 {
			*f.value = f.def
		}
	}
	return l
}

// Report says what a pack that passed the check contains.
type Report struct {
	Format     object.Format
	Objects    int // entries of the pack, as its header says
	Duplicates int // entries whose object is in the pack more than once
	Commits    int
	Trees      int
	Blobs      int
	Tags       int
	Bytes      int64 // size of all objects, inflated and with deltas resolved

	IDs   IDs   // the pack's distinct objects
	Graph Graph // the pack's commits and their parents

	// Submodules and LFS are what the objects of this pack name but a Git
	// pack never holds. Of submodules at most [MaxListed] are listed, by
	// path; SubmoduleCount counts all, those that are not listed by occurrence. LFS lists every content once, by OID.
	Submodules     []Submodule
	SubmoduleCount int
	LFS            []LFSPointer

	// Warnings are oddities that stock Git reads but git fsck complains of;
	// at most [MaxListed], WarningCount counts all.
	Warnings     []Warning
	WarningCount int
}

// MaxListed is how many submodules or warnings a report lists.
const MaxListed = 10_000

// Submodule is a commit of another repository that a tree names.
type Submodule struct {
	Path   string     // where it is mounted, from the root of one of the commits that have it
	Commit object.OID // one of the commits it was pinned to
	URL    string     // as a .gitmodules file of this pack says, "" when none does
}

// LFSPointer is a file whose content is kept outside Git.
type LFSPointer struct {
	OID  string // lower-case hex SHA-256 of the content
	Size int64
	Path string     // of one place where it is used, "" when no tree of this pack says
	Blob object.OID // the blob that holds the pointer
}

// Warning is something git fsck complains of that does not keep Git from
// reading the object.
type Warning struct {
	Object object.OID
	Text   string
}

// IDs is a sorted list of distinct object ids in one piece of memory.
type IDs struct {
	format object.Format
	raw    []byte
}

// NewIDs returns the list of the given ids, which must all be of format f.
func NewIDs(f object.Format, ids []object.OID) IDs {
	sorted := append([]object.OID(nil), ids...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].Compare(sorted[j]) < 0 })
	l := IDs{format: f, raw: make([]byte, 0, len(ids)*f.Size())}
	for i, id := range sorted {
		if i == 0 || id != sorted[i-1] {
			l.raw = id.Append(l.raw)
		}
	}
	return l
}

// Format returns the ids' format.
func (l IDs) Format() object.Format { return l.format }

// Len returns the number of ids.
func (l IDs) Len() int {
	if l.format.Size() == 0 {
		return 0
	}
	return len(l.raw) / l.format.Size()
}

// Raw returns the ids' bytes one after the other. It must not be changed.
func (l IDs) Raw() []byte { return l.raw }

// At returns id i, counted from 0.
func (l IDs) At(i int) object.OID {
	n := l.format.Size()
	return mustOID(l.format, l.raw[i*n:(i+1)*n])
}

// Find returns the place of id and whether it is there.
func (l IDs) Find(id object.OID) (int, bool) {
	var buf [32]byte
	raw := id.Append(buf[:0])
	n := l.format.Size()
	if len(raw) != n {
		return 0, false
	}
	i := sort.Search(l.Len(), func(i int) bool { return bytes.Compare(l.raw[i*n:(i+1)*n], raw) >= 0 })
	return i, i < l.Len() && bytes.Equal(l.raw[i*n:(i+1)*n], raw)
}

// All yields the ids in order.
func (l IDs) All() iter.Seq2[int, object.OID] {
	return func(yield func(int, object.OID) bool) {
		for i := range l.Len() {
			if !yield(i, l.At(i)) {
				return
			}
		}
	}
}

// Graph holds commits and their parents without pointers.
type Graph struct {
	Commits []uint32 // places in IDs, ascending
	Starts  []uint32 // for each commit where its parents begin in Parents, and one more for the end
	Parents []uint32 // places in IDs, or len(IDs) + place in Outside
	Outside IDs      // parents that are not in the pack
}

// NewGraph returns the graph of parents over ids. Each commit must be in ids.
func NewGraph(ids IDs, parents map[object.OID][]object.OID) Graph {
	var commits []object.OID
	var outside []object.OID
	for c, ps := range parents {
		commits = append(commits, c)
		for _, p := range ps {
			if _, ok := ids.Find(p); !ok {
				outside = append(outside, p)
			}
		}
	}
	sort.Slice(commits, func(i, j int) bool { return commits[i].Compare(commits[j]) < 0 })
	g := Graph{Outside: NewIDs(ids.Format(), outside)}
	for _, c := range commits {
		at, ok := ids.Find(c)
		if !ok {
			continue
		}
		g.Commits = append(g.Commits, uint32(at))
		g.Starts = append(g.Starts, uint32(len(g.Parents)))
		for _, p := range parents[c] {
			at, ok := ids.Find(p)
			if !ok {
				at, _ = g.Outside.Find(p)
				at += ids.Len()
			}
			g.Parents = append(g.Parents, uint32(at))
		}
	}
	g.Starts = append(g.Starts, uint32(len(g.Parents)))
	return g
}

// ParentsOf returns the places of the parents of commit i, counted from 0 in
// Commits.
func (g Graph) ParentsOf(i int) []uint32 { return g.Parents[g.Starts[i]:g.Starts[i+1]] }

func mustOID(f object.Format, raw []byte) object.OID {
	id, err := object.FromBytes(f, raw)
	if err != nil {
		panic(err) // the caller cut raw to the format's size
	}
	return id
}
