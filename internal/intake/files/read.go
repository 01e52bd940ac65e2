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
	"github.com/PlakarKorp/go-cdc-chunkers/chunkers/jc"
)

// Where files are cut. A change costs the chunks it touches, so chunks are
// small; the list has some fifty bytes for each. A file up to smallFile is one
// chunk; the batch is what one reader takes of small files at once. A slab holds
// some of the longest chunks: the beginning of one that reaches beyond it is
// copied to the next.
const (
	minChunk  = 32 << 10
	avgChunk  = 128 << 10
	maxChunk  = 512 << 10
	smallFile = 256 << 10
	slabSize  = 1 << 20
	batchSize = slabSize
	batchLen  = 256
	// slabsAhead is how far a reader gets with its file while the one before is
	// still being read: both work then, and the order is kept.
	slabsAhead = 4
	keySize    = 32
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
	cut  *jc.JC
	opts *chunkers.ChunkerOpts
}

// newReaders makes readers that cut where key and content say so. Jump-based
// chunking (Jin et al., IEEE TPDS 2023) looks at half the bytes that FastCDC
// looks at; the cutting works on the slab itself, so that nothing is copied for
// it, which the library's own reader would do.
func newReaders(ctx context.Context, key []byte) (*readers, error) {
	r := &readers{ctx: ctx, pool: make(chan *slab, 16), cut: &jc.JC{},
		opts: &chunkers.ChunkerOpts{MinSize: minChunk, NormalSize: avgChunk, MaxSize: maxChunk, Key: key}}
	if err := errors.Join(r.cut.Validate(r.opts), r.cut.Setup(r.opts)); err != nil {
		return nil, fmt.Errorf("cutting of files: %w", err)
	}
	return r, nil
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
	for j := range jobs {
		err := r.do(j)
		close(j.out)
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *readers) do(j *job) error {
	s, used := r.slab(), 0
	for _, f := range j.files {
		if f.entry.Size > smallFile {
			r.release(s)
			return r.large(j, f)
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
	file, err := os.Open(f.file())
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

// first is the length of the chunk that data begins with. Where that is all of
// it, the chunk may go on in what follows.
func (r *readers) first(data []byte) int {
	n := min(len(data), maxChunk)
	return r.cut.Algorithm(r.opts, data[:n], n)
}

// large cuts a file where its content says so, whatever lies in one slab with
// what: the end of a chunk is looked for in maxChunk bytes, or to the file's end.
func (r *readers) large(j *job, f *scanned) error {
	file, err := os.Open(f.file())
	if err != nil {
		s := r.slab()
		s.pieces = append(s.pieces, piece{file: f, first: true, last: true}.without(err))
		return r.send(j, s)
	}
	defer file.Close()
	source := &exactly{r: file, left: f.entry.Size}
	s, from, to := r.slab(), 0, 0 // s.buf[from:to] is read and not cut yet
	for first := true; ; first = false {
		n := r.first(s.buf[from:to])
		if n == to-from && n < maxChunk && source.left > 0 { // where it ends is further on
			if len(s.buf)-from < maxChunk {
				next := r.slab()
				to = copy(next.buf, s.buf[from:to])
				from = 0
				if err := r.send(j, s); err != nil {
					return err
				}
				s = next
			}
			more, err := io.ReadAtLeast(source, s.buf[to:], int(min(int64(maxChunk-n), source.left)))
			to += more
			if err != nil {
				s.pieces = append(s.pieces, piece{file: f, last: true, first: first, failed: err})
				return r.send(j, s)
			}
			n = r.first(s.buf[from:to])
		}
		p := piece{file: f, from: from, to: from + n, first: first, sum: sha256.Sum256(s.buf[from : from+n])}
		from += n
		if p.last = from == to && source.left == 0; p.last {
			p.ended(file, 0)
			p.padded = source.padded
		}
		s.pieces = append(s.pieces, p)
		if p.last {
			return r.send(j, s)
		}
	}
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
