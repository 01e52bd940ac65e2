package replica

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"holdfast/internal/blob"
	"holdfast/internal/escrow"
)

// Reads go by runs of whole blocks, so that each can be checked. A run grows
// while it is read in order and falls back to one block when it is not.
const (
	longestRun = 16      // blocks, 1 MiB
	cacheBytes = 4 << 20 // of one reader
)

// Open opens an object wherever a good copy is. What is read from it was
// checked; a location that is away, slow or gives other bytes is replaced by
// the next one in the middle of a read. ctx bounds the reads, too.
func (v View) Open(ctx context.Context, name string) (blob.Reader, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := blob.CheckName(name); err != nil {
		return nil, err
	}
	o, copies, err := v.s.o.Journal.Object(ctx, name)
	if err != nil {
		return nil, err
	}
	r := &reader{s: v.s, ctx: ctx, object: o, copies: copies, sources: v.s.sources(copies), opened: make(map[*location]blob.Reader)}
	r.object.Name = name
	if len(o.Tags) == 0 && (o.Name == "" || o.Size > 0) {
		if err := r.adopt(); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	}
	if r.check, err = newChecker(r.object); err != nil {
		return nil, escrow.Wrap(err, escrow.Damaged, "what is remembered of object %s is damaged", name)
	}
	// An object that is nowhere must be known now, not at the first read.
	var failed error
	for _, l := range slices.Clone(r.sources) {
		_, err := r.source(ctx, l)
		if err == nil {
			return r, nil
		}
		failed = worse(failed, err)
	}
	if failed == nil {
		failed = missing(name)
	}
	return nil, errors.Join(failed, r.Close())
}

// worse keeps the error that says most: an object is only missing if it is
// missing everywhere.
func worse(a, b error) error {
	if a == nil || escrow.CodeOf(a) == escrow.Missing {
		return b
	}
	return a
}

// reader reads one object from several locations.
type reader struct {
	s      *Store
	ctx    context.Context
	object Object
	copies []Copy
	check  *checker

	mu      sync.Mutex
	sources []*location // the best first; bad ones are taken out
	opened  map[*location]blob.Reader
	closed  bool
	busy    sync.WaitGroup
	runs    []run // the latest last
	cached  int   // bytes of runs
	next    int64 // block after the latest run
	length  int64 // of the latest run
}

// run is consecutive blocks that were checked.
type run struct {
	first int64
	data  []byte
}

// Size implements [blob.Reader].
func (r *reader) Size() int64 { return r.object.Size }

// Close implements [blob.Reader].
func (r *reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	opened := r.opened
	go func() { // a read that was given up may still be running
		r.busy.Wait()
		for _, b := range opened {
			_ = b.Close() // nothing was written
		}
	}()
	return nil
}

// ReadAt implements [io.ReaderAt].
func (r *reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, escrow.Errorf(escrow.Invalid, "object %s: read at %d", r.object.Name, off)
	}
	n := 0
	for n < len(p) {
		at := off + int64(n)
		if at >= r.object.Size {
			return n, io.EOF
		}
		got, err := r.run(at/blockSize, (off+int64(len(p))-1)/blockSize)
		if err != nil {
			return n, err
		}
		n += copy(p[n:], got.data[at-got.first*blockSize:])
	}
	return n, nil
}

// run returns checked blocks that begin with or contain block. The caller
// wants those up to last.
func (r *reader) run(block, last int64) (run, error) {
	r.mu.Lock()
	for i := len(r.runs) - 1; i >= 0; i-- {
		if c := r.runs[i]; block >= c.first && block < c.first+int64((len(c.data)+blockSize-1)/blockSize) {
			r.mu.Unlock()
			return c, nil
		}
	}
	length := int64(1)
	if block == r.next && block > 0 { // in order: read ahead
		length = min(longestRun, r.length*2)
	}
	length = min(longestRun, max(length, last-block+1))
	r.next, r.length = block+length, length
	r.mu.Unlock()

	blocks := (r.object.Size + blockSize - 1) / blockSize
	end := min(block+length, blocks) - 1
	data, err := r.fetch(block, end)
	if err != nil {
		return run{}, err
	}
	got := run{block, data}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs = append(r.runs, got)
	r.cached += len(data)
	for r.cached > cacheBytes {
		r.cached -= len(r.runs[0].data)
		r.runs = slices.Delete(r.runs, 0, 1)
	}
	return got, nil
}

// fetch reads blocks from the best location, from the next one when it fails
// or gives other bytes, and from both when it is slow.
func (r *reader) fetch(first, last int64) ([]byte, error) {
	type answer struct {
		l    *location
		data []byte
		err  error
	}
	r.mu.Lock()
	todo := slices.Clone(r.sources)
	r.mu.Unlock()
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	answers := make(chan answer, len(todo))
	running := 0
	begin := func() bool {
		if len(todo) == 0 {
			return false
		}
		l := todo[0]
		todo = todo[1:]
		running++
		r.busy.Add(1)
		go func() {
			defer r.busy.Done()
			data, err := r.blocks(ctx, l, first, last)
			answers <- answer{l, data, err}
		}()
		return true
	}
	if !begin() {
		return nil, escrow.Errorf(escrow.Damaged, "no good copy of object %s is left", r.object.Name).
			WithHint("heal it with 'holdfast scrub', or bring the object back from another copy")
	}
	var failed error
	timer := time.NewTimer(r.s.o.Hedge)
	defer timer.Stop()
	for running > 0 {
		select {
		case a := <-answers:
			running--
			if a.err == nil {
				return a.data, nil
			}
			if err := r.ctx.Err(); err != nil {
				return nil, err
			}
			r.bad(a.l, a.err)
			failed = worse(failed, a.err)
			begin()
		case <-timer.C:
			if begin() {
				timer.Reset(r.s.o.Hedge)
			}
		}
	}
	return nil, failed
}

// blocks reads and checks blocks at one location.
func (r *reader) blocks(ctx context.Context, l *location, first, last int64) ([]byte, error) {
	start := time.Now()
	b, err := r.source(ctx, l)
	if err != nil {
		return nil, err
	}
	off, length := r.check.span(first, last)
	if err := l.wait(ctx, int(length)); err != nil {
		return nil, err
	}
	data := make([]byte, length)
	n, err := b.ReadAt(data, off)
	if int64(n) == length {
		err = nil
	}
	if errors.Is(err, io.EOF) || err == nil && b.Size() != r.object.Size {
		err = escrow.Errorf(escrow.Damaged, "object %s has %d bytes instead of %d", r.object.Name, b.Size(), r.object.Size)
	}
	if err == nil {
		err = r.check.check(first, data)
	}
	l.report(ctx, r.s.o.Now(), err)
	if err != nil {
		return nil, l.at(err)
	}
	l.took(time.Since(start))
	return data, nil
}

// source opens the object at a location, once.
func (r *reader) source(ctx context.Context, l *location) (blob.Reader, error) {
	r.mu.Lock()
	b, closed := r.opened[l], r.closed
	r.mu.Unlock()
	if closed {
		return nil, escrow.Errorf(escrow.Invalid, "object %s: read after close", r.object.Name)
	}
	if b != nil {
		return b, nil
	}
	if err := l.request(ctx); err != nil {
		return nil, err
	}
	b, err := l.Driver.Open(r.ctx, r.object.Name)
	l.report(r.ctx, r.s.o.Now(), err)
	if err != nil {
		if escrow.CodeOf(err) == escrow.Missing {
			r.s.lost(r.ctx, r.object.Name, l, r.copies)
		}
		return nil, l.at(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if other := r.opened[l]; other != nil || r.closed {
		_ = b.Close()
		if r.closed {
			return nil, escrow.Errorf(escrow.Invalid, "object %s: read after close", r.object.Name)
		}
		return other, nil
	}
	r.opened[l] = b
	return b, nil
}

// bad takes a location out of a read that failed there. One whose bytes are
// wrong is written down; one that only did not answer is tried last.
func (r *reader) bad(l *location, err error) {
	r.mu.Lock()
	r.sources = slices.DeleteFunc(r.sources, func(x *location) bool { return x == l })
	switch escrow.CodeOf(err) {
	case escrow.Damaged:
	case escrow.Missing:
	default:
		r.sources = append(r.sources, l)
	}
	r.mu.Unlock()
	if escrow.CodeOf(err) == escrow.Damaged && slices.Contains(r.copies, Copy{Location: l.ID, State: Held}) { // news
		r.s.found(r.ctx, Finding{Object: r.object.Name, Location: l.ID, State: Damaged, Reason: Reason(err)})
	}
}

// adopt reads the whole object once, compares it with its name and keeps its
// tags, where they are not known: the object is of an older version.
func (r *reader) adopt() error {
	var failed error
	for _, l := range slices.Clone(r.sources) {
		b, err := r.source(r.ctx, l)
		if err == nil {
			var o Object
			if o, err = r.s.Inspect(r.ctx, l.ID, b, r.object.Name); err == nil {
				if err := r.s.o.Journal.Adopt(r.ctx, o, l.ID); err != nil {
					return err
				}
				r.object = o
				return nil
			}
		}
		if err := r.ctx.Err(); err != nil {
			return err
		}
		r.bad(l, err)
		failed = worse(failed, err)
	}
	if failed == nil {
		failed = missing(r.object.Name)
	}
	return failed
}

// Inspect reads an object that was opened at a location to its end at the
// location's bandwidth, compares it with its name and returns it with fresh
// tags. It gives code Damaged when the bytes are others.
func (s *Store) Inspect(ctx context.Context, id string, b blob.Reader, name string) (Object, error) {
	o := Object{Name: name, Size: b.Size(), Key: make([]byte, keySize)}
	if _, err := io.ReadFull(s.o.Rand, o.Key); err != nil {
		return o, err
	}
	t, err := newTagger(o.Key)
	if err != nil {
		return o, err
	}
	var r io.Reader = io.NewSectionReader(b, 0, o.Size)
	if l := s.location(id); l != nil {
		r = limited{ctx, l, r}
	}
	sum := sha256.New()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(sum, t)}, struct{ io.Reader }{contextReader{ctx, r}}, make([]byte, 256<<10))
	if ctx.Err() != nil {
		return o, ctx.Err()
	}
	if err != nil && escrow.CodeOf(err) != escrow.Internal {
		return o, err
	}
	if err != nil {
		return o, escrow.Wrap(err, escrow.Damaged, "object %s cannot be read past byte %d", name, n)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != name {
		return o, escrow.Errorf(escrow.Damaged, "object %s is damaged: its bytes have the digest %s", name, got)
	}
	o.Tags = t.finish()
	return o, nil
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
