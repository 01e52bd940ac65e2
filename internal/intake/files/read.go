package files

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	chunkers "github.com/PlakarKorp/go-cdc-chunkers"
	_ "github.com/PlakarKorp/go-cdc-chunkers/chunkers/fastcdc" // registers fastcdc-v1.0.0
)

// Where files are cut. A change costs the chunks it touches, so chunks are
// small; the list has some fifty bytes for each. A file up to smallFile is one
// chunk; the batch is what one reader takes of small files at once.
const (
	minChunk  = 32 << 10
	avgChunk  = 128 << 10
	maxChunk  = 1 << 20
	smallFile = 256 << 10
	slabSize  = 2 << 20
	batchSize = slabSize
	batchLen  = 256
	keySize   = 32
)

// slab is a buffer with pieces of files, on its way from a reader to the
// sealing. Slabs go round, so that memory does not grow with the tree.
type slab struct {
	buf    []byte
	pieces []piece
}

// piece is a chunk of a file that was read. The last of a file says how the
// reading ended.
type piece struct {
	file     *scanned
	from, to int
	sum      [sha256.Size]byte
	first    bool
	last     bool
	gone     bool  // there is no such file any more
	failed   error // it could not be opened or read
	changed  bool  // it changed while it was read
	padded   int64 // how much it lacked of the size it had: zeros stand for it
}

// job is what one reader does at a time: some small files or a large one.
type job struct {
	files []*scanned
	out   chan *slab
}

// readers read files in parallel and hand their content on in order.
type readers struct {
	ctx  context.Context
	pool chan *slab
	opts *chunkers.ChunkerOpts
}

// slabs in flight: every reader may hold two, the consumer one.
func newReaders(ctx context.Context, key []byte) *readers {
	return &readers{ctx: ctx, pool: make(chan *slab, 16),
		opts: &chunkers.ChunkerOpts{MinSize: minChunk, NormalSize: avgChunk, MaxSize: maxChunk, Key: key}}
}

func (r *readers) slab() *slab {
	select {
	case s := <-r.pool:
		s.pieces = s.pieces[:0]
		return s
	default:
		return &slab{buf: make([]byte, slabSize)}
	}
}

func (r *readers) release(s *slab) {
	select {
	case r.pool <- s:
	default:
	}
}

func (r *readers) send(j *job, s *slab) error {
	select {
	case j.out <- s:
		return nil
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

// run does jobs until there are none.
func (r *readers) run(jobs <-chan *job) error {
	buf := make([]byte, 2*maxChunk)
	chunker, err := chunkers.NewChunkerBuffer("fastcdc-v1.0.0", nothing{}, r.opts, buf)
	if err != nil {
		return fmt.Errorf("chunker: %w", err)
	}
	for j := range jobs {
		err := r.do(j, chunker)
		close(j.out)
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *readers) do(j *job, chunker *chunkers.Chunker) error {
	s, used := r.slab(), 0
	for _, f := range j.files {
		if f.entry.Size > smallFile {
			r.release(s)
			return r.large(j, f, chunker)
		}
		p := r.small(f, s.buf[used:used+int(f.entry.Size)])
		p.from, p.to = used, used+int(f.entry.Size)
		used = p.to
		s.pieces = append(s.pieces, p)
	}
	return r.send(j, s)
}

// small reads a whole file into buf, which has the length it had when it was
// found.
func (r *readers) small(f *scanned, buf []byte) (p piece) {
	p = piece{file: f, first: true, last: true}
	file, err := os.Open(f.file)
	if err != nil {
		return p.without(err)
	}
	defer file.Close()
	n, err := io.ReadFull(file, buf)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return p.without(err)
	}
	p.ended(file, n)
	if n < len(buf) {
		p.padded = int64(len(buf) - n)
		clear(buf[n:])
	}
	p.sum = sha256.Sum256(buf)
	return p
}

func (p piece) without(err error) piece {
	p.gone, p.failed = errors.Is(err, fs.ErrNotExist), err
	return p
}

// ended compares the file with what it was when it was found.
func (p *piece) ended(file *os.File, n int) {
	info, err := file.Stat()
	if err != nil {
		p.changed = true
		return
	}
	stamp, _ := stampOf(info)
	e := p.file.entry
	p.changed = stamp != e.Stamp || info.Size() != e.Size || info.ModTime().UnixNano() != e.Time
}

// large cuts a file where its content says so.
func (r *readers) large(j *job, f *scanned, chunker *chunkers.Chunker) error {
	file, err := os.Open(f.file)
	if err != nil {
		s := r.slab()
		s.pieces = append(s.pieces, piece{file: f, first: true, last: true}.without(err))
		return r.send(j, s)
	}
	defer file.Close()
	source := &exactly{r: file, left: f.entry.Size}
	chunker.Reset(source)
	s, used, first := r.slab(), 0, true
	for done := int64(0); done < f.entry.Size; {
		chunk, err := chunker.Next()
		if err != nil && err != io.EOF || len(chunk) == 0 {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			s.pieces = append(s.pieces, piece{file: f, last: true, first: first, failed: err})
			return r.send(j, s)
		}
		if used+len(chunk) > len(s.buf) {
			if err := r.send(j, s); err != nil {
				return err
			}
			s, used = r.slab(), 0
		}
		p := piece{file: f, from: used, to: used + len(chunk), first: first}
		copy(s.buf[used:], chunk)
		used += len(chunk)
		p.sum = sha256.Sum256(s.buf[p.from:p.to])
		done += int64(len(chunk))
		if p.last = done == f.entry.Size; p.last {
			p.ended(file, 0)
			p.padded = source.padded
		}
		first = false
		s.pieces = append(s.pieces, p)
	}
	return r.send(j, s)
}

// exactly gives the size that was promised: a file that grew is cut there,
// and zeros stand for what one that shrank has lost, as tar does it.
type exactly struct {
	r      io.Reader
	left   int64
	ended  bool
	padded int64
}

func (e *exactly) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), e.left)]
	if !e.ended {
		n, err := e.r.Read(p)
		e.left -= int64(n)
		if err == io.EOF {
			e.ended, err = true, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	clear(p)
	e.left -= int64(len(p))
	e.padded += int64(len(p))
	return len(p), nil
}

type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, io.EOF }
