package pack

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"holdfast/internal/escrow"
)

// forest is the second pass: the deltas the first could not resolve, and the
// entries they build on, as trees that are walked from their roots. Every
// entry is made once. Of several deltas on one object the one with most
// deltas below it is made last, when the object itself is not needed any
// more, so that a walk holds few objects however deep the tree is.
type forest struct {
	c        *checker
	need     []bool  // entry is deferred, or a deferred one builds on it
	edges    []edge  // by base, then by what hangs on the child
	roots    []int32 // needed entries that are no delta
	waiting  []int32 // refDeltas, by the id of their base
	mu       sync.Mutex
	claimed  []bool // of waiting
	pool     *buffers
	retained atomic.Int64 // bytes of objects held by walks
	heavy    sync.Mutex   // held by the one walk that uses much memory
}

type edge struct {
	base, child, weight int32
}

// heavyBytes is the size of an object from which on walks take turns.
const heavyBytes = 8 << 20

// resolveDeferred makes the second pass.
func (c *checker) resolveDeferred(ctx context.Context) error {
	f := newForest(c)
	group, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range c.workers {
		in := newInspector(c)
		c.inspectors = append(c.inspectors, in)
		group.Go(func() error {
			w := &walk{f: f, c: c, in: in, lookup: newLookup(c.section, c.end, 2*c.plan.lookup)}
			for {
				i := int(next.Add(1)) - 1
				if i >= len(f.roots) {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := w.tree(ctx, int(f.roots[i])); err != nil {
					return err
				}
			}
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return c.unresolved()
}

func newForest(c *checker) *forest {
	f := &forest{c: c, need: make([]bool, c.n), pool: &buffers{limit: c.plan.ring / 2}}
	for i := range c.n {
		switch c.kinds[i] {
		case refDelta:
			f.need[i] = true
			f.waiting = append(f.waiting, int32(i))
		case ofsDelta:
			f.mark(i)
		}
	}
	slices.SortFunc(f.waiting, func(a, b int32) int {
		return cmp.Or(bytes.Compare(c.baseID(int(a)), c.baseID(int(b))), cmp.Compare(a, b))
	})
	f.claimed = make([]bool, len(f.waiting))
	f.markBases()

	weight := make([]int32, c.n)
	edges := 0
	for i := c.n - 1; i >= 0; i-- {
		if f.need[i] {
			weight[i]++
			if b := c.baseOf(i); b >= 0 {
				weight[b] += weight[i]
				edges++
			} else if c.kinds[i] != refDelta {
				f.roots = append(f.roots, int32(i))
			}
		}
	}
	slices.Reverse(f.roots)
	f.edges = make([]edge, 0, edges)
	for i := range c.n {
		if f.need[i] {
			if b := c.baseOf(i); b >= 0 {
				f.edges = append(f.edges, edge{int32(b), int32(i), weight[i]})
			}
		}
	}
	slices.SortFunc(f.edges, func(a, b edge) int {
		return cmp.Or(cmp.Compare(a.base, b.base), cmp.Compare(a.weight, b.weight), cmp.Compare(a.child, b.child))
	})
	return f
}

// baseOf returns the entry that entry i builds on by offset, -1 when there is
// none or it is only known by its id.
func (c *checker) baseOf(i int) int {
	if c.kinds[i] == refDelta {
		return -1
	}
	return int(c.bases[i])
}

func (c *checker) baseID(i int) []byte {
	size := c.opts.Format.Size()
	at := int(c.bases[i]) * size
	return c.baseIDs[at : at+size]
}

// mark makes entry i, and what it builds on, part of the forest.
func (f *forest) mark(i int) {
	for i >= 0 && !f.need[i] {
		f.need[i] = true
		i = f.c.baseOf(i)
	}
}

// markBases marks the entries refDeltas build on, as far as the first pass
// resolved them.
func (f *forest) markBases() {
	if len(f.waiting) == 0 {
		return
	}
	var bases []uint32
	for _, i := range f.waiting {
		if id, ok := f.c.table.find(f.c.baseID(int(i))); ok {
			bases = append(bases, id)
		}
	}
	slices.Sort(bases)
	for i, id := range f.c.ids {
		if id == none {
			continue
		}
		if _, ok := slices.BinarySearch(bases, id); ok {
			f.mark(i)
		}
	}
}

// claim appends the refDeltas on the object with the given id to kids, unless
// a duplicate of the object got them.
func (f *forest) claim(kids []int32, id []byte) []int32 {
	at := sort.Search(len(f.waiting), func(i int) bool { return bytes.Compare(f.c.baseID(int(f.waiting[i])), id) >= 0 })
	f.mu.Lock()
	defer f.mu.Unlock()
	for ; at < len(f.waiting) && bytes.Equal(f.c.baseID(int(f.waiting[at])), id); at++ {
		if !f.claimed[at] {
			f.claimed[at] = true
			kids = append(kids, f.waiting[at])
		}
	}
	return kids
}

// walk goes through trees of deltas, one after the other.
type walk struct {
	f      *forest
	c      *checker
	in     *inspector
	lookup *lookup
	stack  []step
	kids   []int32 // of all steps on the stack
	heavy  bool
}

// step is an object whose deltas are being made.
type step struct {
	entry int
	buf   *buffer
	first int // of its kids
	next  int
	end   int
}

// tree makes everything that hangs on an entry that is no delta.
func (w *walk) tree(ctx context.Context, root int) error {
	defer w.release()
	buf, err := w.root(root)
	if err != nil {
		return err
	}
	w.push(root, buf)
	for len(w.stack) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		s := &w.stack[len(w.stack)-1]
		if s.next == s.end {
			w.pop()
			continue
		}
		child, parent, base := int(w.kids[s.next]), s.entry, s.buf
		s.next++
		last := s.next == s.end
		if last { // its own memory may go as soon as the last delta on it is made
			base.retain()
			w.pop()
		}
		buf, err := w.delta(child, parent, base)
		if last {
			w.drop(base)
		}
		if err != nil {
			return err
		}
		w.push(child, buf)
	}
	return nil
}

// push begins with the deltas on an object, if there are any.
func (w *walk) push(entry int, buf *buffer) {
	first := len(w.kids)
	f := w.f
	at := sort.Search(len(f.edges), func(i int) bool { return int(f.edges[i].base) >= entry })
	if len(f.waiting) > 0 {
		w.kids = f.claim(w.kids, w.c.table.lockedBytes(w.c.ids[entry]))
	}
	for ; at < len(f.edges) && int(f.edges[at].base) == entry; at++ {
		w.kids = append(w.kids, f.edges[at].child)
	}
	if len(w.kids) == first {
		w.drop(buf)
		return
	}
	w.stack = append(w.stack, step{entry: entry, buf: buf, first: first, next: first, end: len(w.kids)})
}

func (w *walk) pop() {
	s := w.stack[len(w.stack)-1]
	w.stack = w.stack[:len(w.stack)-1]
	w.kids = w.kids[:s.first]
	w.drop(s.buf)
}

// take gets memory for an object.
func (w *walk) take(i int, size int64) (*buffer, error) {
	if size > heavyBytes && !w.heavy {
		w.f.heavy.Lock()
		w.heavy = true
	}
	most := 4 * w.c.limits.Delta
	if w.f.retained.Add(size) > most {
		return nil, escrow.Errorf(escrow.Invalid, "%s: its deltas need more than %d bytes of memory at once", w.c.place(i), most).
			WithHint("repack the repository at its source with git repack -adf, or raise the limit of a delta")
	}
	return w.f.pool.get(int(size)), nil
}

// drop gives memory back that take gave.
func (w *walk) drop(buf *buffer) {
	if buf == nil {
		return
	}
	if buf.refs.Load() == 1 {
		w.f.retained.Add(-int64(len(buf.data)))
	}
	w.f.pool.release(buf)
}

// release ends the walk of one tree.
func (w *walk) release() {
	for len(w.stack) > 0 {
		w.pop()
	}
	if w.heavy {
		w.heavy = false
		w.f.heavy.Unlock()
	}
}

// root inflates an entry that is no delta. Its object was looked at before.
func (w *walk) root(i int) (*buffer, error) {
	h, from, err := w.c.readHead(w.lookup, i)
	if err != nil {
		return nil, err
	}
	if h.size > w.c.limits.Delta {
		return nil, w.c.tooLarge(i, "object with deltas on it", h.size, w.c.limits.Delta)
	}
	buf, err := w.take(i, h.size)
	if err != nil {
		return nil, err
	}
	if err := w.lookup.inflate(buf.data, from, w.c.offsets[i+1]); err != nil {
		return nil, w.c.broken(i, err)
	}
	return buf, nil
}

// delta makes the object of delta i on parent and looks at it, unless the
// first pass did. The result is nil when nothing builds on it and it was too
// large to be kept.
func (w *walk) delta(i, parent int, base *buffer) (*buffer, error) {
	c := w.c
	h, from, err := c.readHead(w.lookup, i)
	if err != nil {
		return nil, err
	}
	raw, err := w.take(i, h.size)
	if err != nil {
		return nil, err
	}
	defer w.drop(raw)
	if err := w.lookup.inflate(raw.data, from, c.offsets[i+1]); err != nil {
		return nil, c.broken(i, err)
	}
	baseSize, size, code, err := deltaSizes(raw.data)
	if err != nil {
		return nil, c.broken(i, err)
	}
	if baseSize != int64(len(base.data)) {
		return nil, c.broken(i, errDeltaBase)
	}
	if size > c.limits.Delta {
		return nil, c.tooLarge(i, "result of a delta", size, c.limits.Delta)
	}
	fresh := c.kinds[i] > tag
	if fresh {
		if err := c.sizeAllowed(i, c.kinds[parent], size); err != nil {
			return nil, err
		}
		if err := c.count(i, size); err != nil {
			return nil, err
		}
		if size > int64(c.plan.inPass) && c.kinds[parent] == blob && w.leaf(i) {
			return nil, w.stream(i, size, base.data, code)
		}
	}
	buf, err := w.take(i, size)
	if err != nil {
		return nil, err
	}
	if err := applyDelta(buf.data, base.data, code); err != nil {
		return nil, c.broken(i, err)
	}
	if fresh {
		c.kinds[i] = c.kinds[parent]
		if err := w.in.object(i, buf.data); err != nil {
			return nil, err
		}
	}
	return buf, nil
}

// leaf reports whether certainly no delta builds on entry i.
func (w *walk) leaf(i int) bool {
	f := w.f
	at := sort.Search(len(f.edges), func(j int) bool { return int(f.edges[j].base) >= i })
	return len(f.waiting) == 0 && (at == len(f.edges) || int(f.edges[at].base) != i)
}

// stream hashes the result of a delta without holding it.
func (w *walk) stream(i int, size int64, base, code []byte) error {
	h := w.in.hash
	h.begin(blob, size)
	if err := streamDelta(size, base, code, h.write); err != nil {
		return w.c.broken(i, err)
	}
	w.c.kinds[i] = blob
	return w.in.streamed(i, h)
}

// unresolved says why deltas are left that nothing resolved.
func (c *checker) unresolved() error {
	first, count := -1, 0
	for i := range c.n {
		if c.kinds[i] == refDelta {
			if first < 0 {
				first = i
			}
			count++
		}
	}
	if first < 0 {
		return nil
	}
	base := mustOID(c.opts.Format, c.baseID(first))
	return escrow.Errorf(escrow.Missing, "the pack is thin: %d deltas build on objects it does not hold, the first of them is %s: %w",
		count, c.place(first), &ThinError{Base: base, Deltas: count}).
		WithHint("a deposit must stand without objects from elsewhere; ask the source for a pack that is not thin (git pack-objects without --thin)")
}
