package replica

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"holdfast/internal/blob"
	"holdfast/internal/escrow"
)

var (
	errSpent   = errors.New("the writer was committed or aborted already")
	errStalled = escrow.Errorf(escrow.Unavailable, "it does not take bytes as fast as they come")
	errLate    = escrow.Errorf(escrow.Unavailable, "it was too slow; a quorum had the object already")
)

// writer is one object on its way to the locations.
type writer struct {
	s      *Store
	from   Origin
	ctx    context.Context // of the streams; ended by Commit and Abort
	cancel context.CancelCauseFunc
	places []*location // that should have the object
	sinks  []*sink
	failed map[*location]error
	key    []byte
	tags   *tagger
	hash   hash.Hash
	want   string // the name that the bytes must have, "" if any will do
	size   int64
	err    error
	spent  bool
}

// Create begins an object at every local location that works.
func (v View) Create(ctx context.Context) (blob.Writer, error) { return v.create(ctx, "") }

// Receive is Create for bytes whose name is known already: Commit refuses
// others with code Invalid, and nothing of them is kept anywhere. So they are
// hashed once, however many locations they go to.
func (v View) Receive(ctx context.Context, name string) (blob.Writer, error) {
	if err := blob.CheckName(name); err != nil {
		return nil, err
	}
	return v.create(ctx, name)
}

func (v View) create(ctx context.Context, name string) (blob.Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := v.s
	w := &writer{s: s, from: v.from, places: s.all(v.from.Arrangement, Active), failed: make(map[*location]error), hash: sha256.New(), want: name, key: make([]byte, keySize)}
	if _, err := io.ReadFull(s.o.Rand, w.key); err != nil {
		return nil, fmt.Errorf("key of an object: %w", err)
	}
	var err error
	if w.tags, err = newTagger(w.key); err != nil {
		return nil, err
	}
	w.ctx, w.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	want := s.quorum(w.places)
	now := s.o.Now()
	// Those that are away are left out, unless it takes them.
	up := 0
	for _, l := range w.places {
		if l.Counts && !l.away(now) {
			up++
		}
	}
	for _, l := range w.places {
		local, ok := l.Driver.(blob.Streamer)
		if !ok || l.away(now) && up >= want {
			continue
		}
		stream, err := local.Stream(ctx)
		l.report(ctx, now, err)
		if err != nil {
			if ctx.Err() != nil {
				_ = w.Abort()
				return nil, ctx.Err()
			}
			w.failed[l] = err
			continue
		}
		w.sinks = append(w.sinks, newSink(w.ctx, l, stream))
	}
	if err := w.possible(); err != nil {
		_ = w.Abort()
		return nil, err
	}
	if len(w.sinks) == 0 {
		if s.o.Spool == nil {
			_ = w.Abort()
			return nil, escrow.Errorf(escrow.Unavailable, "no location on this machine and nowhere to spool")
		}
		stream, err := s.o.Spool.Stream(ctx)
		if err != nil {
			_ = w.Abort()
			return nil, err
		}
		w.sinks = append(w.sinks, newSink(w.ctx, nil, stream))
	}
	return w, nil
}

// possible refuses to go on when too many locations have failed.
func (w *writer) possible() error {
	left := 0
	for _, l := range w.places {
		if l.Counts && w.failed[l] == nil {
			left++
		}
	}
	if want := w.s.quorum(w.places); left < want {
		return below(left, want, w.failed)
	}
	return nil
}

// Write implements [blob.Writer].
func (w *writer) Write(p []byte) (int, error) {
	if w.spent {
		return 0, errSpent
	}
	n := 0
	for len(p) > 0 && w.err == nil {
		take := min(len(p), chunkSize)
		c := w.s.chunks.Get().(*chunk)
		c.data = append(c.data[:0], p[:take]...)
		w.err = w.send(c)
		if w.err == nil {
			n += take
		}
		p = p[take:]
	}
	return n, w.err
}

// ReadFrom implements [io.ReaderFrom]: the bytes are read into what the
// locations are handed, without a copy between.
func (w *writer) ReadFrom(r io.Reader) (int64, error) {
	if w.spent {
		return 0, errSpent
	}
	n := int64(0)
	for w.err == nil {
		c := w.s.chunks.Get().(*chunk)
		var err error // io.ReadFull would not tell an end from one that came too early
		for c.data = c.data[:0]; err == nil && len(c.data) < chunkSize; {
			var more int
			more, err = r.Read(c.data[len(c.data):chunkSize])
			c.data = c.data[:len(c.data)+more]
		}
		got := int64(len(c.data)) // send gives the chunk away
		if w.err = w.send(c); w.err == nil {
			n += got
		}
		switch {
		case w.err != nil:
		case err == io.EOF:
			return n, nil
		case err != nil:
			return n, err
		}
	}
	return n, w.err
}

// send hands a chunk to every location.
func (w *writer) send(c *chunk) error {
	p := c.data
	c.users.Store(int32(len(w.sinks)) + 1)
	defer c.release()
	var gone []*sink
	for i, k := range w.sinks {
		took, err := k.offer(w.ctx, c, w.s.o.Stall)
		if !took {
			c.release()
		}
		if err != nil {
			for range w.sinks[i+1:] {
				c.release()
			}
			return err
		}
		if !took { // too slow; what it has in its queue is thrown away
			k.fail(errStalled)
		}
		if k.failed() != nil {
			gone = append(gone, k)
		}
	}
	w.hash.Write(p)
	_, _ = w.tags.Write(p) // never fails
	w.size += int64(len(p))
	for _, k := range gone {
		if err := w.drop(k); err != nil {
			return err
		}
	}
	return nil
}

// drop goes on without a location that failed.
func (w *writer) drop(k *sink) error {
	err := k.failed()
	w.sinks = slices.DeleteFunc(w.sinks, func(x *sink) bool { return x == k })
	go func() { // it may hang in a write
		k.end()
		_ = k.stream.Abort()
	}()
	if k.at == nil {
		return err
	}
	w.s.o.Log.WarnContext(w.ctx, "location dropped from an upload", "location", k.at.ID, "error", err)
	k.at.report(w.ctx, w.s.o.Now(), err)
	w.failed[k.at] = err
	if err := w.possible(); err != nil {
		return err
	}
	if len(w.sinks) == 0 {
		// What remains gets the object only from a copy that is whole.
		return below(0, w.s.quorum(w.places), w.failed)
	}
	return nil
}

// ReadAt implements [blob.Writer].
func (w *writer) ReadAt(p []byte, off int64) (int, error) {
	err := errSpent
	for _, k := range w.sinks {
		n, e := k.readAt(p, off, w.size)
		if e == nil || errors.Is(e, io.EOF) {
			return n, e
		}
		err = e
	}
	return 0, err
}

// Abort implements [blob.Writer].
func (w *writer) Abort() error {
	if w.spent {
		return nil
	}
	w.spent = true
	w.cancel(errSpent)
	var errs []error
	for _, k := range w.sinks {
		if k.failed() != nil { // it may hang
			go func() { k.end(); _ = k.stream.Abort() }()
			continue
		}
		k.end()
		errs = append(errs, k.stream.Abort())
	}
	w.sinks = nil
	return errors.Join(errs...)
}

// Commit implements [blob.Writer].
func (w *writer) Commit(ctx context.Context) (string, int64, error) {
	if w.spent {
		return "", 0, errSpent
	}
	defer w.Abort() //nolint:errcheck // what is settled stays
	if w.err != nil {
		return "", 0, w.err
	}
	if err := ctx.Err(); err != nil {
		return "", 0, err
	}
	o := Object{Name: hex.EncodeToString(w.hash.Sum(nil)), Size: w.size, Key: w.key, Tags: w.tags.finish()}
	if w.want != "" && o.Name != w.want {
		return "", 0, escrow.Errorf(escrow.Invalid, "the bytes sent for object %s hash to %s", w.want, o.Name).WithHint("send it again; nothing was stored")
	}
	ids := make([]string, len(w.places))
	for i, l := range w.places {
		ids[i] = l.ID
	}
	if err := w.s.o.Journal.Begin(ctx, o, w.from, ids); err != nil {
		return "", 0, err
	}
	held := w.settle(ctx, o)
	results := make([]Result, 0, len(w.places))
	have, owed := 0, false
	for _, l := range w.places {
		r := Result{Location: l.ID, State: Held}
		switch {
		case !held[l]:
			owed = true
			r.State, r.Retry = Due, w.s.o.Backoff
			if err := w.failed[l]; err != nil {
				r.Reason = Reason(err)
			}
		case l.Counts:
			have++
		}
		results = append(results, r)
	}
	// Also when this caller has gone: what is there should be known.
	if err := w.s.o.Journal.Settle(context.WithoutCancel(ctx), o.Name, results); err != nil {
		return "", 0, err
	}
	if owed {
		w.s.wake()
	}
	if want := w.s.quorum(w.places); have < want {
		if err := ctx.Err(); err != nil {
			return "", 0, err
		}
		return "", 0, below(have, want, w.failed)
	}
	return o.Name, o.Size, nil
}

// settle gives the object its name at the locations that have the bytes, and
// brings it to others as far as the quorum needs them.
func (w *writer) settle(ctx context.Context, o Object) map[*location]bool {
	held := make(map[*location]bool)
	want := w.s.quorum(w.places)
	first := w.settleSinks(ctx, o, held, want)
	if countHeld(held) >= want || ctx.Err() != nil {
		return held
	}
	// Not enough: locations that take only objects with a name get it now.
	var rest []*location
	now := w.s.o.Now()
	for _, l := range w.places {
		if _, local := l.Driver.(blob.Streamer); !held[l] && !local && w.failed[l] == nil {
			rest = append(rest, l)
		}
	}
	slices.SortStableFunc(rest, func(a, b *location) int { // those that work come first
		return boolInt(a.away(now)) - boolInt(b.away(now))
	})
	source := func(ctx context.Context) (io.Reader, func(), error) {
		if first == nil {
			return nil, nil, errSpent
		}
		if first.at == nil {
			return first.spooled(o.Size), func() {}, nil
		}
		r, err := first.at.Driver.Open(ctx, o.Name)
		if err != nil {
			return nil, nil, err
		}
		return io.NewSectionReader(r, 0, o.Size), func() { r.Close() }, nil
	}
	w.gather(ctx, held, want, rest, func(ctx context.Context, l *location) error {
		r, end, err := source(ctx)
		if err != nil {
			return err
		}
		defer end()
		return w.s.place(ctx, l, o, r)
	})
	return held
}

// settleSinks ends the streams and names the object. It returns a sink whose
// bytes can be read again.
func (w *writer) settleSinks(ctx context.Context, o Object, held map[*location]bool, want int) *sink {
	var spool *sink
	bySink := make(map[*location]*sink)
	var local []*location
	for _, k := range w.sinks {
		if k.at == nil {
			k.end()
			if k.failed() == nil {
				spool = k
			} else {
				_ = k.stream.Abort()
			}
			continue
		}
		bySink[k.at] = k
		local = append(local, k.at)
	}
	w.gather(ctx, held, want, local, func(ctx context.Context, l *location) error {
		k := bySink[l]
		k.end()
		if err := k.failed(); err != nil {
			_ = k.stream.Abort()
			l.report(ctx, w.s.o.Now(), err)
			return err
		}
		mended, err := k.stream.Settle(ctx, o.Name)
		l.report(ctx, w.s.o.Now(), err)
		if err == nil && mended {
			w.s.found(ctx, Finding{Object: o.Name, Location: l.ID, State: Damaged, Reason: "another object had its name", Healed: true})
		}
		return err
	})
	w.sinks = nil
	if spool != nil { // read until Commit's Abort
		context.AfterFunc(w.ctx, func() { _ = spool.stream.Abort() })
		return spool
	}
	for l := range held {
		return bySink[l]
	}
	return nil
}

// gather runs put for every location at once and notes how each ended. When a
// quorum has the object the others get a little longer, and no more.
func (w *writer) gather(ctx context.Context, held map[*location]bool, want int, list []*location, put func(context.Context, *location) error) {
	type end struct {
		l   *location
		err error
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ends := make(chan end, len(list))
	for _, l := range list {
		go func() { ends <- end{l, put(ctx, l)} }()
	}
	var patience <-chan struct{}
	waiting := len(list)
	for waiting > 0 {
		if patience == nil && countHeld(held) >= want {
			late, stop := context.WithTimeout(ctx, w.s.o.Patience)
			defer stop()
			patience = late.Done()
		}
		select {
		case e := <-ends:
			waiting--
			if e.err != nil {
				w.failed[e.l] = e.err
			} else {
				held[e.l] = true
				delete(w.failed, e.l)
			}
			list = slices.DeleteFunc(slices.Clone(list), func(l *location) bool { return l == e.l })
		case <-patience:
			cancel(errLate)
			for _, l := range list {
				w.failed[l] = errLate
			}
			return
		case <-ctx.Done():
			for _, l := range list {
				w.failed[l] = ctx.Err()
			}
			return
		}
	}
}

// countHeld counts the copies that count.
func countHeld(held map[*location]bool) (n int) {
	for l := range held {
		if l.Counts {
			n++
		}
	}
	return n
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// place stores an object at a location, in the place of a bad copy if there is
// one.
func (s *Store) place(ctx context.Context, l *location, o Object, r io.Reader) error {
	seeker, again := r.(io.Seeker)
	err := l.put(ctx, s.o.Now, o, r, false)
	if escrow.CodeOf(err) != escrow.Damaged || !again {
		return err
	}
	if _, err := seeker.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := l.put(ctx, s.o.Now, o, r, true); err != nil {
		return err
	}
	s.found(ctx, Finding{Object: o.Name, Location: l.ID, State: Damaged, Reason: Reason(err), Healed: true})
	return nil
}
