package pack

import (
	"compress/zlib"
	"context"
	"errors"
	"io"
	"sort"
	"sync/atomic"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/pack/inflate"
)

// entry is one inflated entry on its way from the scanner to the applier.
type entry struct {
	at      int
	data    []byte // in the batch's memory, or on its own when larger than the plan's inPass
	skipped bool   // too large a delta to be kept; the second pass reads it again
}

// entryBatch is some entries with the memory they lie in.
type entryBatch struct {
	entries []entry
	mem     []byte
}

// total counts the bytes of all objects against the limit.
type total struct{ n atomic.Int64 }

// count adds an object's size.
func (c *checker) count(i int, size int64) error {
	if sum := c.bytes.n.Add(size); sum > c.limits.Total {
		return escrow.Errorf(escrow.Invalid, "%s: the pack's objects are more than %d bytes in all", c.place(i), c.limits.Total).
			WithHint("a pack that inflates to so much more than its size is hardly honest; if it is, raise the limit of the total")
	}
	return nil
}

// scanner cuts the pack into entries and inflates them. The end of an entry
// is only known when it is inflated, so this is one goroutine's work.
type scanner struct {
	c       *checker
	w       *window
	out     chan<- *entryBatch
	free    <-chan *entryBatch
	batch   *entryBatch
	decoder inflate.Decoder
	stream  io.ReadCloser // zlib reader for what is larger than the window
	hash    *hasher
	own     *inspector // counts what is hashed here
}

func newEntryBatch(p plan) *entryBatch {
	return &entryBatch{entries: make([]entry, 0, batchEntries), mem: make([]byte, 0, p.batch+p.inPass)}
}

func newScanner(ctx context.Context, c *checker, in <-chan []byte, freeIn chan<- []byte, out chan<- *entryBatch, free <-chan *entryBatch) *scanner {
	own := &inspector{c: c}
	c.inspectors = append(c.inspectors, own)
	return &scanner{c: c, out: out, free: free, hash: newHasher(c.opts.Format), own: own,
		w: &window{ctx: ctx, in: in, free: freeIn, size: c.plan.window, readAhead: c.plan.readAhead, buf: make([]byte, c.plan.window+2*c.plan.readAhead)}}
}

func (s *scanner) run() error {
	c, w := s.c, s.w
	if _, err := w.want(headerSize); err != nil {
		return err
	}
	w.skip(headerSize)
	for i := range c.n {
		if err := s.entry(i); err != nil {
			return err
		}
		c.offsets[i+1] = w.pos
	}
	if err := s.flush(); err != nil {
		return err
	}
	if w.pos != c.end {
		return damaged("%d bytes follow the pack's last object", c.end-w.pos)
	}
	return nil
}

func (s *scanner) flush() error {
	if s.batch == nil {
		return nil
	}
	select {
	case s.out <- s.batch:
		s.batch = nil
		return nil
	case <-s.w.ctx.Done():
		return s.w.ctx.Err()
	}
}

// room returns memory for an entry of n bytes, at most the plan's inPass, in a batch
// that is not full.
func (s *scanner) room(n int) ([]byte, error) {
	if b := s.batch; b != nil && (len(b.entries) >= batchEntries || len(b.mem) >= s.c.plan.batch || cap(b.mem)-len(b.mem) < n) {
		if err := s.flush(); err != nil {
			return nil, err
		}
	}
	if s.batch == nil {
		select {
		case s.batch = <-s.free:
			s.batch.entries, s.batch.mem = s.batch.entries[:0], s.batch.mem[:0]
		case <-s.w.ctx.Done():
			return nil, s.w.ctx.Err()
		}
	}
	b := s.batch
	at := len(b.mem)
	b.mem = b.mem[:at+n]
	return b.mem[at : at+n : at+n], nil
}

// add puts an entry into the batch that room was asked of last.
func (s *scanner) add(e entry) { s.batch.entries = append(s.batch.entries, e) }

// maxHead is the longest header of an entry: size, and the id or distance of
// a delta's base.
const maxHead = 10 + 32

func (s *scanner) entry(i int) error {
	c, w := s.c, s.w
	if w.hi-w.lo < blockSize {
		if _, err := w.want(blockSize); err != nil {
			return err
		}
	}
	head, used, err := parseHead(w.rest(), c.opts.Format.Size())
	if err != nil {
		if errors.Is(err, errHeadCut) {
			return damaged("the pack ends inside %s", c.place(i))
		}
		return damaged("%s: %w", c.place(i), err)
	}
	c.kinds[i] = head.kind
	c.bases[i] = -1
	switch head.kind {
	case ofsDelta:
		base, ok := c.entryAt(i, w.pos-head.distance)
		if !ok {
			return damaged("%s: delta builds on byte %d, where no object begins", c.place(i), w.pos-head.distance)
		}
		c.bases[i] = int32(base)
	case refDelta:
		c.bases[i] = int32(len(c.baseIDs) / c.opts.Format.Size())
		c.baseIDs = append(c.baseIDs, head.base...)
	}
	if err := c.sizeAllowed(i, head.kind, head.size); err != nil {
		return err
	}
	w.skip(used)
	if head.size > int64(c.plan.inPass) {
		return s.large(i, head.kind, head.size)
	}
	if err := c.countPlain(i, head); err != nil {
		return err
	}
	data, err := s.room(int(head.size))
	if err != nil {
		return err
	}
	for {
		n, err := s.decoder.Decode(data, w.rest())
		if err == nil {
			w.skip(n)
			break
		}
		if !errors.Is(err, inflate.ErrShort) {
			return c.broken(i, err)
		}
		more, werr := w.want(2 * len(w.rest()))
		if werr != nil {
			return werr
		}
		if !more {
			if w.eof {
				return c.broken(i, errCut)
			}
			if err := s.inflateStream(data); err != nil { // more than a window for a small object
				return c.broken(i, err)
			}
			break
		}
	}
	s.add(entry{at: i, data: data})
	return nil
}

var errCut = errors.New("the pack ends inside its zlib stream")

// countPlain counts an entry that is an object itself; a delta's result is
// counted when it is resolved.
func (c *checker) countPlain(i int, h head) error {
	if h.kind == ofsDelta || h.kind == refDelta {
		return nil
	}
	return c.count(i, h.size)
}

func (c *checker) sizeAllowed(i int, k kind, size int64) error {
	switch {
	case k == blob && size > c.limits.Object:
		return c.tooLarge(i, "blob", size, c.limits.Object)
	case (k == commit || k == tree || k == tag) && size > c.limits.Parsed:
		return c.tooLarge(i, k.String(), size, c.limits.Parsed)
	case (k == ofsDelta || k == refDelta) && size > c.limits.Delta:
		return c.tooLarge(i, k.String(), size, c.limits.Delta)
	}
	return nil
}

// large deals with an entry that is not passed on: a blob is hashed as it is
// inflated, a delta only passed over. Trees, commits and tags are read whole.
func (s *scanner) large(i int, k kind, size int64) error {
	c := s.c
	if k != ofsDelta && k != refDelta {
		if err := c.count(i, size); err != nil {
			return err
		}
	}
	z, err := s.openStream()
	if err != nil {
		return c.broken(i, err)
	}
	switch k {
	case blob:
		s.hash.begin(blob, size)
		if err := copyExactly(writerFunc(s.hash.write), z, size); err != nil {
			return c.broken(i, err)
		}
		if err := s.own.streamed(i, s.hash); err != nil {
			return err
		}
	case ofsDelta, refDelta:
		if err := copyExactly(io.Discard, z, size); err != nil {
			return c.broken(i, err)
		}
		if _, err := s.room(0); err != nil {
			return err
		}
		s.add(entry{at: i, skipped: true})
	default:
		data := make([]byte, size)
		if err := readExactly(z, data); err != nil {
			return c.broken(i, err)
		}
		if _, err := s.room(0); err != nil {
			return err
		}
		s.add(entry{at: i, data: data})
		return s.flush() // so that not many such are on their way
	}
	return nil
}

func (s *scanner) openStream() (io.Reader, error) {
	if s.stream == nil {
		z, err := zlib.NewReader(s.w)
		if err != nil {
			return nil, streamError(err)
		}
		s.stream = z
		return z, nil
	}
	if err := s.stream.(zlib.Resetter).Reset(s.w, nil); err != nil {
		return nil, streamError(err)
	}
	return s.stream, nil
}

func (s *scanner) inflateStream(dst []byte) error {
	z, err := s.openStream()
	if err != nil {
		return err
	}
	return readExactly(z, dst)
}

// copyExactly copies size bytes from z, which must then be at its end.
func copyExactly(w io.Writer, z io.Reader, size int64) error {
	n, err := io.Copy(w, io.LimitReader(z, size))
	if err != nil {
		return streamError(err)
	}
	if n < size {
		return inflate.ErrSize
	}
	return atEnd(z)
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

// entryAt returns the entry before i that begins at the given byte.
func (c *checker) entryAt(i int, at int64) (int, bool) {
	j := sort.Search(i, func(j int) bool { return c.offsets[j] >= at })
	return j, j < i && c.offsets[j] == at
}

// head is what stands before an entry's zlib stream.
type head struct {
	kind     kind
	size     int64  // inflated
	distance int64  // of an ofsDelta, back to its base
	base     []byte // of a refDelta, a part of the data parsed
}

var (
	errHeadCut  = errors.New("header of the object is cut short")
	errHeadKind = errors.New("object is of a type that does not exist")
	errHeadSize = errors.New("object declares a size that no computer holds")
	errHeadBase = errors.New("delta builds on a place before the pack")
)

// parseHead reads the header of an entry and returns its length.
func parseHead(data []byte, hashSize int) (h head, used int, err error) {
	if len(data) == 0 {
		return h, 0, errHeadCut
	}
	c := data[0]
	used = 1
	h.kind = kind(c >> 4 & 7)
	h.size = int64(c & 15)
	for shift := 4; c&0x80 != 0; shift += 7 {
		if used == len(data) {
			return h, 0, errHeadCut
		}
		if shift > 53 {
			return h, 0, errHeadSize
		}
		c = data[used]
		used++
		h.size |= int64(c&0x7f) << shift
	}
	switch h.kind {
	case commit, tree, blob, tag:
	case refDelta:
		if len(data)-used < hashSize {
			return h, 0, errHeadCut
		}
		h.base = data[used : used+hashSize]
		used += hashSize
	case ofsDelta:
		for first := true; ; first = false {
			if used == len(data) {
				return h, 0, errHeadCut
			}
			c := data[used]
			used++
			if !first {
				h.distance++
			}
			if h.distance > 1<<54 {
				return h, 0, errHeadBase
			}
			h.distance = h.distance<<7 | int64(c&0x7f)
			if c&0x80 == 0 {
				break
			}
		}
		if h.distance <= 0 {
			return h, 0, errHeadBase
		}
	default:
		return h, 0, errHeadKind
	}
	return h, used, nil
}
