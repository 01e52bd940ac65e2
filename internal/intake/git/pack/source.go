package pack

import (
	"bytes"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/pack/inflate"
)

// blockSize is what is read at a time at a random place. It is the size of an
// age chunk, and reads begin at its multiples in the plaintext, so no chunk is
// decrypted for two blocks.
const blockSize = 64 << 10

// section is the pack inside its reader.
type section struct {
	r    io.ReaderAt
	off  int64 // where the pack begins in r
	size int64 // of the pack, trailer included
}

// readAt fills p from offset at of r itself, not of the pack.
func (s section) readAt(p []byte, at int64) error {
	n, err := s.r.ReadAt(p, at)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return escrow.Wrap(io.ErrUnexpectedEOF, escrow.Damaged, "the pack ends at byte %d of %d", max(at+int64(n)-s.off, 0), s.size).
			WithHint("the deposit was cut while it was written or received; deposit again")
	}
	// The reader's own error says whether bytes were altered or a disk failed.
	if code := escrow.CodeOf(err); code != escrow.Internal {
		return escrow.Wrap(err, code, "read the pack at byte %d", max(at-s.off, 0))
	}
	return escrow.Wrap(err, escrow.Damaged, "read the pack at byte %d", max(at-s.off, 0)).
		WithHint("what was stored cannot be read back; look for disk errors and deposit again")
}

// blocks sends the bytes of the pack from start to end but for its trailer,
// while another goroutine already works on what came before, and checks the
// trailer. Blocks that come back through free are used again. out is closed
// only when all went well: its end must not look like the end of the pack.
func (s section) blocks(ctx context.Context, readAhead, trailer int, sum interface {
	io.Writer
	Sum([]byte) []byte
}, out chan<- []byte, free <-chan []byte) error {
	at, end := s.off, s.off+s.size-int64(trailer)
	for at < end {
		n := min(int64(readAhead)-at%blockSize, end-at)
		var buf []byte
		select {
		case buf = <-free:
		case <-ctx.Done():
			return ctx.Err()
		}
		buf = buf[:n]
		if err := s.readAt(buf, at); err != nil {
			return err
		}
		sum.Write(buf) //nolint:errcheck // a hash never fails
		select {
		case out <- buf:
		case <-ctx.Done():
			return ctx.Err()
		}
		at += n
	}
	want := make([]byte, trailer)
	if err := s.readAt(want, end); err != nil {
		return err
	}
	if got := sum.Sum(nil); !bytes.Equal(got, want) {
		return damaged("the pack's bytes hash to %x, its trailer says %x", got, want)
	}
	close(out)
	return nil
}

// window is the part of the stream of blocks that is being decoded: one
// contiguous piece, so that most entries inflate in one go.
type window struct {
	ctx  context.Context
	in   <-chan []byte
	free chan<- []byte

	size, readAhead int
	buf             []byte
	lo, hi          int
	pos             int64 // of buf[lo] in the pack
	eof             bool
}

// rest returns the bytes at hand.
func (w *window) rest() []byte { return w.buf[w.lo:w.hi] }

// skip moves on by n bytes.
func (w *window) skip(n int) {
	w.lo += n
	w.pos += int64(n)
}

// want makes at least n bytes available, fewer only at the end of the stream
// or when the window is full. It reports whether it could add any.
func (w *window) want(n int) (bool, error) {
	added := false
	for w.hi-w.lo < n && !w.eof {
		if w.lo > 0 && w.hi+w.readAhead > len(w.buf) {
			w.hi = copy(w.buf, w.buf[w.lo:w.hi])
			w.lo = 0
		}
		if w.hi+w.readAhead > len(w.buf) {
			return added, nil
		}
		select {
		case block, ok := <-w.in:
			if !ok {
				w.eof = true
				return added, nil
			}
			w.hi += copy(w.buf[w.hi:], block)
			added = true
			w.free <- block[:0] // has room for every block there is
		case <-w.ctx.Done():
			return added, w.ctx.Err()
		}
	}
	return added, nil
}

// ReadByte and Read let a streaming decoder read the window; it takes no byte
// too many because it asks for single bytes.
func (w *window) ReadByte() (byte, error) {
	if w.lo == w.hi {
		if _, err := w.want(1); err != nil {
			return 0, err
		}
		if w.lo == w.hi {
			return 0, io.EOF
		}
	}
	b := w.buf[w.lo]
	w.skip(1)
	return b, nil
}

func (w *window) Read(p []byte) (int, error) {
	if w.lo == w.hi {
		if _, err := w.want(1); err != nil {
			return 0, err
		}
		if w.lo == w.hi {
			return 0, io.EOF
		}
	}
	n := copy(p, w.rest())
	w.skip(n)
	return n, nil
}

// lookup reads entries anywhere in the pack. It keeps the blocks it read last
// and is used by one goroutine.
type lookup struct {
	section
	end     int64 // of the last entry, in the pack
	decoder *inflate.Decoder
	blocks  map[int64]*heldBlock
	oldest  *heldBlock // ring in order of reading
	most    int
	scratch []byte
}

type heldBlock struct {
	at   int64
	data []byte
	next *heldBlock
}

func newLookup(s section, end int64, memory int) *lookup {
	most := max(memory/blockSize, 4)
	return &lookup{section: s, end: end, decoder: new(inflate.Decoder), most: most, blocks: make(map[int64]*heldBlock, most)}
}

// block returns the block that begins at the given offset of r.
func (l *lookup) block(at int64) ([]byte, error) {
	if b := l.blocks[at]; b != nil {
		return b.data, nil
	}
	var b *heldBlock
	if len(l.blocks) < l.most {
		b = &heldBlock{data: make([]byte, 0, blockSize)}
		if l.oldest == nil {
			b.next = b
		} else {
			b.next = l.oldest.next
			l.oldest.next = b
		}
	} else {
		b = l.oldest.next
		delete(l.blocks, b.at)
	}
	b.at = at
	l.oldest = b // the ring's newest: the one after it is replaced next
	data := b.data[:min(blockSize, l.off+l.size-at)]
	if err := l.readAt(data, at); err != nil {
		b.at = -1
		return nil, err
	}
	b.data = data
	l.blocks[at] = b
	return data, nil
}

// bytes returns the pack's bytes from..to, valid until the next call.
func (l *lookup) bytes(from, to int64) ([]byte, error) {
	at, end := l.off+from, l.off+to
	first := at - at%blockSize
	if end <= first+blockSize {
		b, err := l.block(first)
		if err != nil {
			return nil, err
		}
		return b[at-first : end-first], nil
	}
	if int64(cap(l.scratch)) < to-from {
		l.scratch = make([]byte, to-from)
	}
	out := l.scratch[:to-from]
	for n := 0; n < len(out); {
		b, err := l.block(first)
		if err != nil {
			return nil, err
		}
		n += copy(out[n:], b[at-first:])
		first += blockSize
		at = first
	}
	return out, nil
}

// inflate fills dst with the zlib stream in the pack's bytes from..to.
func (l *lookup) inflate(dst []byte, from, to int64) error {
	if to-from <= maxWindow {
		src, err := l.bytes(from, to)
		if err != nil {
			return err
		}
		_, err = l.decoder.Decode(dst, src)
		return err
	}
	z, err := zlib.NewReader(l.stream(from, to))
	if err != nil {
		return inflate.ErrHeader
	}
	return readExactly(z, dst)
}

// stream reads the pack's bytes from..to once, in large pieces.
func (l *lookup) stream(from, to int64) io.Reader {
	return &sequential{section: l.section, at: l.off + from, end: l.off + to, buf: make([]byte, 4*blockSize)}
}

// sequential reads a part of the pack in aligned pieces.
type sequential struct {
	section
	at, end int64
	buf     []byte
	unread  []byte
}

func (s *sequential) fill() error {
	if s.at == s.end {
		return io.EOF
	}
	n := min(int64(len(s.buf))-s.at%blockSize, s.end-s.at)
	if err := s.readAt(s.buf[:n], s.at); err != nil {
		return err
	}
	s.at += n
	s.unread = s.buf[:n]
	return nil
}

func (s *sequential) Read(p []byte) (int, error) {
	if len(s.unread) == 0 {
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.unread)
	s.unread = s.unread[n:]
	return n, nil
}

func (s *sequential) ReadByte() (byte, error) {
	if len(s.unread) == 0 {
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	b := s.unread[0]
	s.unread = s.unread[1:]
	return b, nil
}

// readExactly fills dst from z, which must then be at its end.
func readExactly(z io.Reader, dst []byte) error {
	if _, err := io.ReadFull(z, dst); err != nil {
		return streamError(err)
	}
	return atEnd(z)
}

func atEnd(z io.Reader) error {
	var one [1]byte
	for {
		switch n, err := z.Read(one[:]); {
		case n > 0:
			return inflate.ErrSize
		case err == io.EOF:
			return nil
		case err != nil:
			return streamError(err)
		}
	}
}

// streamError gives what compress/zlib finds the names package inflate uses.
// An error of the reader below stays what it is.
func streamError(err error) error {
	switch {
	case errors.Is(err, zlib.ErrChecksum):
		return inflate.ErrChecksum
	case errors.Is(err, zlib.ErrHeader), errors.Is(err, zlib.ErrDictionary):
		return inflate.ErrHeader
	case err == io.EOF:
		return inflate.ErrSize
	case err == io.ErrUnexpectedEOF:
		return inflate.ErrShort
	}
	if e, ok := errors.AsType[*escrow.Error](err); ok {
		return e
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %v", inflate.ErrCorrupt, err)
}
