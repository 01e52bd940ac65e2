package s3

import (
	"context"
	"errors"
	"io"
	"sync"

	gocloud "gocloud.dev/blob"

	"holdfast/internal/blob"
)

// Open implements [blob.Store]. The reader asks for ranges; when they follow
// each other it keeps one answer open and goes on in it, so that an object read
// from its beginning costs one request. ctx bounds the reads, too.
func (s *Store) Open(ctx context.Context, name string) (blob.Reader, error) {
	size, err := s.Stat(ctx, name)
	if err != nil {
		return nil, err
	}
	return &reader{s: s, ctx: ctx, name: name, size: size}, nil
}

type reader struct {
	s    *Store
	ctx  context.Context
	name string
	size int64

	mu     sync.Mutex
	closed bool
	last   int64           // where the latest read ended
	stream *gocloud.Reader // open from pos on, nil if none is
	pos    int64
	busy   bool
}

func (r *reader) Size() int64 { return r.size }

// ReadAt implements [io.ReaderAt]; several may run at once.
func (r *reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > r.size {
		return 0, io.EOF
	}
	want := int(min(int64(len(p)), r.size-off))
	if want == 0 {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	n, err := r.read(p[:want], off)
	if err != nil {
		if r.ctx.Err() != nil {
			return n, r.ctx.Err()
		}
		return n, r.s.objectError(r.ctx, err, r.name)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (r *reader) read(p []byte, off int64) (int, error) {
	stream, own, err := r.take(off, int64(len(p)))
	if err != nil {
		return 0, err
	}
	n, err := io.ReadFull(stream, p)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = off + int64(n)
	if own {
		return n, errors.Join(err, stream.Close())
	}
	r.busy = false
	r.pos = off + int64(n)
	if err != nil || r.closed || r.pos == r.size {
		r.stream = nil
		_ = stream.Close() // cut off in its middle, perhaps
	}
	return n, err
}

// take returns an answer to read from: the open one if it is at the right
// place, a lasting new one if this read follows the latest, or one of its own.
func (r *reader) take(off, length int64) (stream *gocloud.Reader, own bool, err error) {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil, false, io.ErrClosedPipe
	}
	if r.stream != nil && !r.busy && r.pos == off {
		r.busy = true
		defer r.mu.Unlock()
		return r.stream, false, nil
	}
	lasting := off == r.last && !r.busy && length < r.size-off
	if lasting {
		if r.stream != nil {
			_ = r.stream.Close()
			r.stream = nil
		}
		r.busy = true
	}
	r.mu.Unlock()
	if lasting {
		length = -1
	}
	stream, err = r.s.bucket.NewRangeReader(r.ctx, r.s.key(r.name), off, length, nil)
	if !lasting {
		return stream, true, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.busy = false
		return nil, false, err
	}
	r.stream, r.pos = stream, off
	return stream, false, nil
}

// Close implements [io.Closer].
func (r *reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.stream != nil && !r.busy {
		_ = r.stream.Close()
		r.stream = nil
	}
	return nil
}
