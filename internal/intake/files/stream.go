package files

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"holdfast/evidence"
)

// Sizes of what a stream is cut into. A frame is compressed alone, so that
// processors share the work and a part can be read without the rest; a pack
// is one object, so that an upload goes on where it stopped.
const (
	frameSize = 1 << 20
	packSize  = 5 << 20
)

// packsUnderWay is how many packs are made durable while the next is filled:
// while the server waits for its disk with one, another comes in.
const packsUnderWay = 3

// Vault is where sealed objects go.
type Vault interface {
	// Create begins an object that plays role in the deposit.
	Create(ctx context.Context, role string) (Envelope, error)
}

// Envelope is one object on its way into the vault.
type Envelope interface {
	io.Writer
	// Finish ends the plaintext.
	Finish() error
	// Commit makes the object durable.
	Commit(ctx context.Context) (evidence.ObjectEntry, error)
	// Abort throws it away; it does nothing after Commit.
	Abort()
}

// stream is the stream of one deposit as it is written: plain bytes in, packs
// out. Frames are compressed in parallel and keep their order.
type stream struct {
	ctx     context.Context
	workers *errgroup.Group
	frames  chan *frame // to be compressed
	order   chan *frame // to be stored
	pool    chan *frame
	cur     *frame
	at      int64 // bytes of the stream so far

	packs []Pack
}

type frame struct {
	plain  []byte
	stored []byte
	done   chan struct{}
}

// newStream starts workers that compress and one that stores.
func newStream(ctx context.Context, workers *errgroup.Group, vault Vault, compressors int, level zstd.EncoderLevel) (*stream, error) {
	s := &stream{ctx: ctx, workers: workers, frames: make(chan *frame, 1), order: make(chan *frame, compressors+1), pool: make(chan *frame, compressors+4)}
	for range compressors {
		enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(level), zstd.WithWindowSize(maxFrameWindow), zstd.WithEncoderCRC(false))
		if err != nil {
			return nil, fmt.Errorf("compressor: %w", err)
		}
		workers.Go(func() error {
			for f := range s.frames {
				f.stored = enc.EncodeAll(f.plain, f.stored[:0])
				close(f.done)
			}
			return enc.Close()
		})
	}
	workers.Go(func() error { return s.store(vault) })
	return s, nil
}

// maxFrameWindow is as far as a compressor looks back: a frame is hardly
// longer, and its tables would cost memory.
const maxFrameWindow = 1 << 20

// Write implements io.Writer: p lies whole in one frame.
func (s *stream) Write(p []byte) (int, error) {
	if s.cur != nil && len(s.cur.plain)+len(p) > frameSize+maxChunk {
		if err := s.flush(); err != nil {
			return 0, err
		}
	}
	if s.cur == nil {
		select {
		case s.cur = <-s.pool:
			s.cur.plain, s.cur.done = s.cur.plain[:0], make(chan struct{})
		default:
			s.cur = &frame{plain: make([]byte, 0, frameSize+maxChunk), done: make(chan struct{})}
		}
	}
	s.cur.plain = append(s.cur.plain, p...)
	s.at += int64(len(p))
	if len(s.cur.plain) >= frameSize {
		return len(p), s.flush()
	}
	return len(p), nil
}

func (s *stream) flush() error {
	f := s.cur
	if f == nil {
		return nil
	}
	s.cur = nil
	for _, to := range []chan *frame{s.order, s.frames} {
		select {
		case to <- f:
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
	}
	return nil
}

// end says that nothing more comes.
func (s *stream) end() error {
	err := s.flush()
	close(s.frames)
	close(s.order)
	return err
}

// store seals compressed frames into packs. While one pack is made durable,
// the next is filled.
func (s *stream) store(vault Vault) error {
	var open Envelope
	var frames []Frame
	var size int64
	commits, ctx := errgroup.WithContext(s.ctx)
	commits.SetLimit(packsUnderWay)
	finish := func() error {
		if open == nil {
			return nil
		}
		e := open
		open = nil
		if err := e.Finish(); err != nil {
			e.Abort()
			return err
		}
		at := len(s.packs)
		s.packs = append(s.packs, Pack{Frames: frames})
		frames, size = nil, 0
		commits.Go(func() error {
			defer e.Abort()
			entry, err := e.Commit(ctx)
			s.packs[at].Name, s.packs[at].Size = entry.Name, entry.Size
			return err
		})
		return nil
	}
	err := func() error {
		for f := range s.order {
			select {
			case <-f.done:
			case <-s.ctx.Done():
				return s.ctx.Err()
			}
			if open == nil {
				e, err := vault.Create(s.ctx, PackRole)
				if err != nil {
					return err
				}
				open = e
			}
			if _, err := open.Write(f.stored); err != nil {
				return err
			}
			frames = append(frames, Frame{int64(len(f.plain)), int64(len(f.stored))})
			size += int64(len(f.stored))
			select {
			case s.pool <- f:
			default:
			}
			if size >= packSize {
				if err := finish(); err != nil {
					return err
				}
			}
		}
		return finish()
	}()
	if open != nil {
		open.Abort()
	}
	if werr := commits.Wait(); err == nil {
		err = werr
	}
	return err
}

// archive writes tar headers and content into a stream.
type archive struct {
	to *stream
	w  *tar.Writer
}

func newArchive(to *stream) *archive { return &archive{to, tar.NewWriter(to)} }

// header writes an entry's header. Times are whole seconds there: parts of
// one would double the size of every header. The list has them.
func (a *archive) header(e *Entry) error {
	h := &tar.Header{Name: e.Path, Mode: int64(e.Mode), Size: e.Size, ModTime: time.Unix(0, e.Time).Truncate(time.Second)}
	switch e.Kind {
	case Dir:
		h.Typeflag, h.Name = tar.TypeDir, e.Path+"/"
	case File:
		h.Typeflag = tar.TypeReg
	case Symlink:
		h.Typeflag, h.Linkname = tar.TypeSymlink, e.Target
	case Hardlink:
		h.Typeflag, h.Linkname = tar.TypeLink, e.Target
	}
	if err := a.w.WriteHeader(h); err != nil {
		return fmt.Errorf("%.200q in an archive: %w", e.Path, err)
	}
	return nil
}
