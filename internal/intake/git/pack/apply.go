package pack

import "context"

// content is an object on its way to be hashed and looked at.
type content struct {
	entry int
	data  []byte
	item  *ringItem // holds data, nil when the data is on its own
}

// applier resolves deltas in the order of the pack, as long as it has their
// base or can make it again at little cost.
type applier struct {
	c        *checker
	ctx      context.Context
	ring     *ring
	lookup   *lookup
	out      chan<- []content
	free     <-chan []content // batches to use again
	batch    []content
	bytes    int    // in batch
	raw      []byte // a delta inflated again
	path     []int
	effort   int // entries that may still be inflated again
	deferred int
}

func newApplier(ctx context.Context, c *checker, out chan<- []content, free <-chan []content, freed <-chan struct{}) *applier {
	a := &applier{c: c, ctx: ctx, out: out, free: free, lookup: newLookup(c.section, c.end, c.plan.lookup), effort: c.n/4 + 1024}
	a.ring = newRing(c.n, c.plan.ring, c.plan.ringItems, func() error {
		if err := a.flush(); err != nil { // the reader waited for may be this batch
			return err
		}
		select {
		case <-freed:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	return a
}

func (a *applier) run(in <-chan *entryBatch, back chan<- *entryBatch) error {
	for batch := range in {
		for _, e := range batch.entries {
			if err := a.entry(e); err != nil {
				return err
			}
		}
		back <- batch // has room for every batch there is
	}
	return a.flush()
}

func (a *applier) entry(e entry) error {
	c := a.c
	switch {
	case c.kinds[e.at] == refDelta || e.skipped:
		a.deferred++
		return nil
	case c.kinds[e.at] != ofsDelta && len(e.data) > c.plan.inPass:
		return a.pass(content{e.at, e.data, nil})
	case c.kinds[e.at] != ofsDelta:
		data, item, err := a.ring.add(e.at, len(e.data))
		if err != nil {
			return err
		}
		copy(data, e.data)
		return a.pass(content{e.at, data, item})
	}
	base, ok, err := a.content(int(c.bases[e.at]))
	if err != nil {
		return err
	}
	if !ok {
		a.deferred++
		return nil
	}
	result, item, err := a.apply(e.at, base, e.data)
	if err != nil {
		return err
	}
	if item == nil {
		a.deferred++
		return nil
	}
	if err := c.count(e.at, int64(len(result))); err != nil {
		return err
	}
	c.kinds[e.at] = c.kinds[c.bases[e.at]]
	return a.pass(content{e.at, result, item})
}

// apply makes the content of delta i. The item is nil when the content is too
// large for this pass.
func (a *applier) apply(i int, base, delta []byte) ([]byte, *ringItem, error) {
	baseSize, size, code, err := deltaSizes(delta)
	switch {
	case err != nil:
		return nil, nil, a.c.broken(i, err)
	case baseSize != int64(len(base)):
		return nil, nil, a.c.broken(i, errDeltaBase)
	case size > int64(a.c.plan.inPass):
		return nil, nil, nil
	}
	result, item, err := a.ring.add(i, int(size))
	if err != nil {
		return nil, nil, err
	}
	if err := applyDelta(result, base, code); err != nil {
		return nil, nil, a.c.broken(i, err)
	}
	return result, item, nil
}

// pass hands an object on.
func (a *applier) pass(o content) error {
	if o.item != nil {
		o.item.busy.Store(1)
	}
	a.batch = append(a.batch, o)
	a.bytes += len(o.data)
	if a.bytes >= a.c.plan.batch || len(a.batch) >= batchEntries {
		return a.flush()
	}
	return nil
}

func (a *applier) flush() error {
	if len(a.batch) == 0 {
		return nil
	}
	select {
	case a.out <- a.batch:
	case <-a.ctx.Done():
		return a.ctx.Err()
	}
	select {
	case a.batch = <-a.free:
	default:
		a.batch = make([]content, 0, batchEntries)
	}
	a.batch, a.bytes = a.batch[:0], 0
	return nil
}

// content returns the content of a resolved entry, from the ring or made
// again. ok is false when that must wait for the second pass.
func (a *applier) content(i int) (data []byte, ok bool, err error) {
	c := a.c
	path := a.path[:0]
	for at := i; ; at = int(c.bases[at]) {
		if c.kinds[at] > tag { // deferred itself
			return nil, false, nil
		}
		if data, ok, err = a.ring.get(at); ok || err != nil {
			break
		}
		path = append(path, at)
		if len(path) > a.effort {
			return nil, false, nil
		}
		if c.bases[at] < 0 {
			break
		}
	}
	if err != nil {
		return nil, false, err
	}
	a.path = path
	a.effort -= len(path)
	for n := len(path) - 1; n >= 0; n-- {
		if data, ok, err = a.remake(path[n], data, ok); !ok || err != nil {
			return nil, false, err
		}
	}
	return data, true, nil
}

// remake makes the content of entry i once more, on base if there is one.
func (a *applier) remake(i int, base []byte, isDelta bool) (data []byte, ok bool, err error) {
	c := a.c
	head, from, err := c.readHead(a.lookup, i)
	if err != nil {
		return nil, false, err
	}
	if head.size > int64(c.plan.inPass) {
		return nil, false, nil
	}
	if !isDelta {
		data, _, err = a.ring.add(i, int(head.size))
		if err != nil {
			return nil, false, err
		}
		if err := a.lookup.inflate(data, from, c.offsets[i+1]); err != nil {
			return nil, false, c.broken(i, err)
		}
		return data, true, nil
	}
	if cap(a.raw) < int(head.size) {
		a.raw = make([]byte, head.size)
	}
	raw := a.raw[:head.size]
	if err := a.lookup.inflate(raw, from, c.offsets[i+1]); err != nil {
		return nil, false, c.broken(i, err)
	}
	data, item, err := a.apply(i, base, raw)
	return data, item != nil, err
}

// readHead reads the header of entry i again and returns where its zlib
// stream begins.
func (c *checker) readHead(l *lookup, i int) (head, int64, error) {
	from := c.offsets[i]
	data, err := l.bytes(from, min(from+maxHead, c.offsets[i+1]))
	if err != nil {
		return head{}, 0, err
	}
	h, used, err := parseHead(data, c.opts.Format.Size())
	if err != nil {
		return head{}, 0, c.broken(i, err)
	}
	return h, from + int64(used), nil
}
