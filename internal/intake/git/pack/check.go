package pack

import (
	"context"
	"encoding/binary"
	"io"
	"runtime"

	"golang.org/x/sync/errgroup"

	"holdfast/internal/escrow"
)

// Check reads the pack of size bytes that begins at off in r and proves it
// whole: all bytes hash to the pack's trailer, every entry inflates to the
// size it declares, every delta resolves inside the pack, every commit, tree
// and tag can be read, and every id they name, like every tip, is in the pack
// or known.
//
// An error is an [escrow.Error]: Damaged when bytes are not what a pack is
// made of, Missing when objects are left out (a [*MissingError] says which),
// Invalid when a limit is passed or the format is none; or it is what ctx or
// Known gave. r must take reads from several goroutines.
func Check(ctx context.Context, r io.ReaderAt, off, size int64, opts Options) (*Report, error) {
	c, err := newChecker(r, off, size, opts)
	if err != nil {
		return nil, err
	}
	deferred, err := c.firstPass(ctx)
	if err != nil {
		return nil, err
	}
	c.collect()
	if deferred > 0 {
		if err := c.resolveDeferred(ctx); err != nil {
			return nil, err
		}
		c.collect()
	}
	return c.report(ctx)
}

// collect gives back what the pass before needed. Left to itself the collector
// would let its garbage stay until there is as much again, and a check of a
// large pack would take twice the memory it was given.
func (c *checker) collect() {
	if c.size >= largePack {
		runtime.GC()
	}
}

// largePack is the size of a pack whose check takes memory worth collecting.
const largePack = 8 << 20

// checker is one run of [Check].
//
// The pack is read once from start to end. One goroutine reads and hashes the
// whole, one inflates, one applies deltas whose base it holds or can get at
// little cost, and several hash what comes out and look at what it names.
// Packs are written so that a delta is near its base, which leaves few for the
// second pass. That one walks the trees of deltas from their roots, which
// costs no more than inflating every entry once more, whatever the order.
type checker struct {
	section
	opts    Options
	limits  Limits
	workers int
	n       int   // entries
	end     int64 // of the last entry, in the pack

	// What is known of each entry, without pointers. The first pass writes
	// offsets, kinds and bases ahead of everybody who reads them.
	offsets []int64 // and one more for the end
	kinds   []kind  // of the object, or still ofsDelta or refDelta when not resolved
	bases   []int32 // entry a delta builds on, -1 for none; for a refDelta its place in baseIDs
	ids     []uint32
	baseIDs []byte // ids refDeltas build on

	table      *idTable
	plan       plan
	inspectors []*inspector
	bytes      total
}

const (
	headerSize = 12
	minEntry   = 9 // one header byte and the zlib stream of nothing

	// entryBytes is what a checker's own lists take for each entry.
	entryBytes = 8 + 1 + 4 + 4 + 4
)

func newChecker(r io.ReaderAt, off, size int64, opts Options) (*checker, error) {
	c := &checker{section: section{r, off, size}, opts: opts, limits: opts.Limits.orDefault(size)}
	hashSize := opts.Format.Size()
	if hashSize == 0 {
		return nil, escrow.Errorf(escrow.Invalid, "check a pack: no object format given")
	}
	for _, tip := range opts.Tips {
		if tip.Format() != opts.Format {
			return nil, escrow.Errorf(escrow.Invalid, "tip %q is not a %s id", tip, opts.Format)
		}
	}
	if off < 0 || size < headerSize+int64(hashSize) {
		return nil, damaged("%d bytes are too few for a pack", size)
	}
	var head [headerSize]byte
	if err := c.readAt(head[:], off); err != nil {
		return nil, err
	}
	if string(head[:4]) != "PACK" {
		return nil, damaged("not a pack: it begins with %q", head[:4])
	}
	if v := binary.BigEndian.Uint32(head[4:]); v != 2 && v != 3 {
		return nil, damaged("pack version %d is neither 2 nor 3", v)
	}
	c.end = size - int64(hashSize)
	n := int64(binary.BigEndian.Uint32(head[8:]))
	if n > (c.end-headerSize)/minEntry {
		return nil, damaged("the pack's header announces %d objects, for which its %d bytes have no room", n, size)
	}
	if n > c.limits.Objects {
		return nil, escrow.Errorf(escrow.Invalid, "the pack has %d objects, more than the %d allowed", n, c.limits.Objects).
			WithHint("if the repository is meant to be this large, raise the limit of objects")
	}
	c.n = int(n)
	c.workers = opts.Workers
	if c.workers <= 0 {
		c.workers = min(runtime.GOMAXPROCS(0), 4)
	}

	c.offsets = make([]int64, n+1)
	c.kinds = make([]kind, n)
	c.bases = make([]int32, n)
	c.ids = make([]uint32, n)
	for i := range c.ids {
		c.ids[i] = none
	}
	c.table = newIDTable(opts.Format, c.n, c.limits.Outside)
	budget := opts.MemoryBudget
	if budget <= 0 {
		budget = DefaultMemoryBudget
	}
	c.plan = newPlan(size, c.n, max(budget-tableBytes(opts.Format, c.n)-entryBytes*n-fixedBytes, leastCache))
	c.offsets[0] = headerSize
	return c, nil
}

// firstPass reads the pack from start to end and returns how many entries it
// could not resolve.
func (c *checker) firstPass(ctx context.Context) (deferred int, err error) {
	group, ctx := errgroup.WithContext(ctx)
	raw := make(chan []byte, blocksAhead)
	rawFree := make(chan []byte, blocksAhead)
	for range blocksAhead {
		rawFree <- make([]byte, 0, c.plan.readAhead)
	}
	entries := make(chan *entryBatch, batches)
	entriesFree := make(chan *entryBatch, batches)
	for range batches {
		entriesFree <- newEntryBatch(c.plan)
	}
	objects := make(chan []content, c.workers)
	objectsFree := make(chan []content, 2*c.workers+2)
	freed := make(chan struct{}, 1)

	group.Go(func() error {
		return c.section.blocks(ctx, c.plan.readAhead, c.opts.Format.Size(), c.opts.Format.New(), raw, rawFree)
	})
	s := newScanner(ctx, c, raw, rawFree, entries, entriesFree)
	group.Go(func() error {
		defer close(entries)
		return s.run()
	})
	a := newApplier(ctx, c, objects, objectsFree, freed)
	group.Go(func() error {
		defer close(objects)
		return a.run(entries, entriesFree)
	})
	for range c.workers {
		in := newInspector(c)
		c.inspectors = append(c.inspectors, in)
		group.Go(func() error {
			for batch := range objects {
				for _, o := range batch {
					if err := in.object(o.entry, o.data); err != nil {
						return err
					}
					if o.item != nil {
						o.item.busy.Store(0)
					}
				}
				select {
				case freed <- struct{}{}:
				default:
				}
				select {
				case objectsFree <- batch:
				default:
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	return a.deferred, nil
}
