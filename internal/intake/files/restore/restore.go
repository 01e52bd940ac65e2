// Package restore rebuilds the directories of a chain of files deposits. It
// checks the lists whole before it writes, writes into a new directory only,
// and makes links last, so that nothing is ever written through one.
//
// It depends on evidence, escrow and files.
package restore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/files"
)

// Pack is one decrypted object, readable at any offset.
type Pack interface {
	io.ReaderAt
	io.Closer
}

// Deposit is one deposit of the chain, already verified to be what the
// manifest names.
type Deposit struct {
	Number int
	Kind   escrow.DepositKind
	Files  int   // of the whole tree, as the signed manifest says
	Bytes  int64 // of the whole tree
	// List opens the plaintext of the sealed list.
	List func(ctx context.Context) (io.ReadCloser, error)
	// Packs are the objects with the stream, in order.
	Packs []Object
}

// Object is a sealed pack.
type Object struct {
	Name string
	Open func(ctx context.Context) (Pack, error)
}

// Links says what happens with symbolic links that lead out of the tree.
type Links string

// The ways to treat links that lead out.
const (
	RefuseLinks Links = "refuse" // the default: nothing is restored
	SkipLinks   Links = "skip"   // they are left out and told
	KeepLinks   Links = "keep"   // they are made as they are
)

// Options say what is restored, and where to.
type Options struct {
	Dir      string    // must not exist; a directory beside which nothing is touched
	Deposits []Deposit // of the module, in order; the last FULL one and what follows are used
	Links    Links
	Progress func(done, total int64) // bytes of files written; not concurrently
}

// Result is what was restored.
type Result struct {
	Number   int
	Deposits []int
	Files    int
	Bytes    int64
	Tree     string // digest of everything in it
	Skipped  []string
	Clashes  []string // names that a file system without regard for case would take for one
}

// Rebuild restores the state at the last of the deposits.
func Rebuild(ctx context.Context, o Options) (*Result, error) {
	if o.Links == "" {
		o.Links = RefuseLinks
	}
	chain, err := chainOf(o.Deposits)
	if err != nil {
		return nil, err
	}
	r := &restorer{o: o, chain: chain, result: &Result{}}
	for _, step := range []func(context.Context) error{r.lists, r.inspect, r.prepare, r.content, r.names} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return r.result, nil
}

// chainOf picks the deposits that the last one builds on.
func chainOf(list []Deposit) ([]Deposit, error) {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Kind == escrow.FullDeposit {
			return list[i:], nil
		}
		if i > 0 && list[i-1].Number != list[i].Number-1 {
			break
		}
	}
	return nil, escrow.Errorf(escrow.Missing, "the full deposit that the last one builds on is not here")
}

type restorer struct {
	o      Options
	chain  []Deposit
	result *Result
	tree   []*files.Entry
	heads  []*files.Header
	done   atomic.Int64
	mu     sync.Mutex // of Progress
}

// lists reads the sealed lists of the chain and folds them together.
func (r *restorer) lists(ctx context.Context) error {
	var fold files.Fold
	for _, d := range r.chain {
		if err := r.list(ctx, &fold, d); err != nil {
			return fmt.Errorf("list of deposit %d: %w", d.Number, err)
		}
		r.result.Deposits = append(r.result.Deposits, d.Number)
	}
	last := r.heads[len(r.heads)-1]
	var err error
	r.tree, err = fold.Tree(last.Tree)
	r.result.Number, r.result.Tree = last.Deposit, last.Tree
	return err
}

func (r *restorer) list(ctx context.Context, fold *files.Fold, d Deposit) error {
	sealed, err := d.List(ctx)
	if err != nil {
		return err
	}
	defer sealed.Close()
	plain, err := files.Decompress(sealed)
	if err != nil {
		return err
	}
	defer plain.Close()
	h, err := fold.Apply(plain, func(h *files.Header) error {
		switch {
		case h.Deposit != d.Number || h.Kind != string(d.Kind):
			return escrow.Errorf(escrow.Damaged, "it is the list of %s deposit %d", h.Kind, h.Deposit)
		case !slices.EqualFunc(h.Packs, d.Packs, func(p files.Pack, o Object) bool { return p.Name == o.Name }):
			return escrow.Errorf(escrow.Damaged, "it names other packs than the manifest")
		}
		return nil
	})
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, sealed); err != nil { // so that the object is compared to its end
		return err
	}
	r.heads = append(r.heads, h)
	return nil
}

// inspect refuses what must not be restored before anything is written.
func (r *restorer) inspect(ctx context.Context) error {
	out := []string{}
	folded := make(map[string]string, len(r.tree))
	kept := r.tree[:0:0]
	for _, e := range r.tree {
		key := strings.ToLower(e.Path)
		if other, ok := folded[key]; ok {
			r.result.Clashes = append(r.result.Clashes, fmt.Sprintf("%q and %q", other, e.Path))
		}
		folded[key] = e.Path
		switch {
		case e.Kind == files.File:
			r.result.Files++
			if r.result.Bytes += e.Size; r.result.Bytes < 0 {
				return escrow.Errorf(escrow.Invalid, "the list names more bytes than there can be")
			}
		case e.Kind == files.Symlink && files.LeadsOut(e.Path, e.Target) && r.o.Links != KeepLinks:
			out = append(out, fmt.Sprintf("%q → %q", e.Path, e.Target))
			continue
		}
		kept = append(kept, e)
	}
	r.tree = kept
	last := r.chain[len(r.chain)-1]
	if r.result.Files != last.Files || r.result.Bytes != last.Bytes {
		return escrow.Errorf(escrow.Invalid, "the list names %d files with %d bytes, the signed manifest %d with %d", r.result.Files, r.result.Bytes, last.Files, last.Bytes).
			WithHint("nothing was written; ask whoever made the deposit")
	}
	if len(out) > 0 && r.o.Links == RefuseLinks {
		return escrow.Errorf(escrow.Invalid, "%d symbolic links lead out of what was deposited, the first is %s", len(out), out[0]).
			WithHint("nothing was written; choose with --outside-links: skip leaves them out, keep makes them as they are")
	}
	r.result.Skipped = out
	return r.room(last.Bytes)
}

// room refuses what the disk cannot hold, before it is full.
func (r *restorer) room(need int64) error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(r.o.Dir), &st); err != nil {
		return nil // writing will tell
	}
	if free := int64(st.Bavail) * st.Bsize; free < need {
		return escrow.Errorf(escrow.Full, "the deposit has %d bytes, and %s has room for %d", need, filepath.Dir(r.o.Dir), free).
			WithHint("nothing was written; name a directory on another disk")
	}
	return nil
}

// prepare makes the directories.
func (r *restorer) prepare(ctx context.Context) error {
	if err := os.Mkdir(r.o.Dir, 0o700); err != nil {
		return r.cannot(err, "")
	}
	if len(r.result.Clashes) > 0 {
		probe := filepath.Join(r.o.Dir, "Case")
		if err := os.Mkdir(probe, 0o700); err != nil {
			return r.cannot(err, "Case")
		}
		_, err := os.Lstat(filepath.Join(r.o.Dir, "cASE"))
		if rerr := os.Remove(probe); rerr != nil {
			return r.cannot(rerr, "Case")
		}
		if err == nil {
			return escrow.Errorf(escrow.Conflict, "%s takes %d pairs of names for one each, the first is %s", r.o.Dir, len(r.result.Clashes), r.result.Clashes[0]).
				WithHint("open it on a file system that tells upper and lower case apart")
		}
	}
	for _, e := range r.tree {
		var err error
		switch {
		case e.Kind == files.Dir:
			err = os.Mkdir(r.path(e.Path), 0o700)
		case e.Kind == files.File && e.Size == 0:
			var f *os.File
			if f, err = os.OpenFile(r.path(e.Path), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err == nil {
				err = r.finished(f, e)
			}
		}
		if err != nil {
			return r.cannot(err, e.Path)
		}
	}
	return ctx.Err()
}

func (r *restorer) path(p string) string { return filepath.Join(r.o.Dir, p) }

func (r *restorer) cannot(err error, p string) error {
	if _, ok := errors.AsType[*escrow.Error](err); ok {
		return err
	}
	code := escrow.Invalid
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		code = escrow.Full
	case errors.Is(err, fs.ErrExist):
		code = escrow.Conflict
	}
	return escrow.Wrap(err, code, "%.300q cannot be restored", p)
}

// part is a chunk and the place it belongs to.
type part struct {
	entry *files.Entry
	chunk files.Chunk
	off   int64 // in the file
	whole bool  // it is all there is of the file
}

// content decrypts and decompresses the frames that are needed, in parallel,
// and writes every chunk, whose digest the signed list names, to its place.
func (r *restorer) content(ctx context.Context) error {
	parts := make(map[int][]part, len(r.chain))
	for _, e := range r.tree {
		off := int64(0)
		for _, c := range e.Chunks {
			parts[c.Deposit] = append(parts[c.Deposit], part{e, c, off, len(e.Chunks) == 1})
			off += c.Size
		}
	}
	workers, ctx := errgroup.WithContext(ctx)
	work := make(chan *frameJob)
	large := &openFiles{dir: r.o.Dir, files: make(map[*files.Entry]*openFile)}
	for range readersAtOnce {
		workers.Go(func() error { return r.worker(ctx, work, large) })
	}
	workers.Go(func() error {
		defer close(work)
		for i, d := range r.chain {
			if err := r.split(ctx, d, r.heads[i], parts[d.Number], work); err != nil {
				return err
			}
			delete(parts, d.Number)
		}
		for number, left := range parts {
			return escrow.Errorf(escrow.Invalid, "%.200q lies in deposit %d, which is no part of the chain", left[0].entry.Path, number)
		}
		return nil
	})
	err := workers.Wait()
	return errors.Join(err, large.close())
}

const readersAtOnce = 2

// frameJob is one frame and what is needed of it.
type frameJob struct {
	deposit int
	pack    *sharedPack
	at      int64 // in the pack
	frame   files.Frame
	start   int64 // in the stream
	parts   []part
}

// split finds the frames of a deposit that are needed.
func (r *restorer) split(ctx context.Context, d Deposit, h *files.Header, parts []part, work chan<- *frameJob) error {
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(a.chunk.At, b.chunk.At) })
	start := int64(0)
	for i, p := range h.Packs {
		var pack *sharedPack
		at := int64(0)
		for _, f := range p.Frames {
			end := start + f.Plain
			n := 0
			for n < len(parts) && parts[n].chunk.At < end {
				if parts[n].chunk.At < start || parts[n].chunk.At+parts[n].chunk.Size > end {
					return escrow.Errorf(escrow.Invalid, "a chunk of %.200q does not lie in one frame", parts[n].entry.Path)
				}
				n++
			}
			if n > 0 {
				if pack == nil {
					opened, err := d.Packs[i].Open(ctx)
					if err != nil {
						return fmt.Errorf("deposit %d: %w", d.Number, err)
					}
					pack = &sharedPack{Pack: opened, users: 1}
				}
				pack.use()
				select {
				case work <- &frameJob{d.Number, pack, at, f, start, parts[:n]}:
				case <-ctx.Done():
					return errors.Join(ctx.Err(), pack.release(), pack.release())
				}
				parts = parts[n:]
			}
			start, at = end, at+f.Stored
		}
		if pack != nil {
			if err := pack.release(); err != nil {
				return err
			}
		}
	}
	if len(parts) > 0 {
		return escrow.Errorf(escrow.Invalid, "a chunk of %.200q lies behind the end of deposit %d", parts[0].entry.Path, d.Number)
	}
	return nil
}

// sharedPack is closed by the last who uses it.
type sharedPack struct {
	Pack
	mu    sync.Mutex
	users int
}

func (p *sharedPack) use() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users++
}

func (p *sharedPack) release() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users--; p.users == 0 {
		return p.Close()
	}
	return nil
}

func (r *restorer) worker(ctx context.Context, work <-chan *frameJob, large *openFiles) error {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(files.MaxFrame), zstd.WithDecoderMaxWindow(files.MaxFrame))
	if err != nil {
		return fmt.Errorf("decompressor: %w", err)
	}
	defer dec.Close()
	var stored, plain []byte
	for j := range work {
		stored = slices.Grow(stored[:0], int(j.frame.Stored))[:j.frame.Stored]
		n, err := j.pack.ReadAt(stored, j.at)
		if int64(n) == j.frame.Stored {
			err = nil
		} else if err == nil || err == io.EOF {
			err = escrow.Errorf(escrow.Damaged, "a pack of deposit %d ends too early", j.deposit)
		}
		if err = errors.Join(err, j.pack.release()); err != nil {
			return err
		}
		if plain, err = dec.DecodeAll(stored, plain[:0]); err != nil || int64(len(plain)) != j.frame.Plain {
			return escrow.Errorf(escrow.Damaged, "a frame of deposit %d cannot be decompressed to %d bytes: %w", j.deposit, j.frame.Plain, cmp.Or(err, errLength))
		}
		for _, p := range j.parts {
			if err := r.put(p, plain[p.chunk.At-j.start:][:p.chunk.Size], large); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

var errLength = errors.New("it has another length")

// put writes one chunk.
func (r *restorer) put(p part, data []byte, large *openFiles) error {
	if sha256.Sum256(data) != p.chunk.Sum {
		return escrow.Errorf(escrow.Damaged, "content of %.200q is not what the signed list names", p.entry.Path).
			WithHint("fetch the deposit again, or from another location")
	}
	if p.whole {
		f, err := os.OpenFile(r.path(p.entry.Path), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return r.cannot(err, p.entry.Path)
		}
		if _, err := f.Write(data); err != nil {
			return r.cannot(errors.Join(err, f.Close()), p.entry.Path)
		}
		if err := r.finished(f, p.entry); err != nil {
			return r.cannot(err, p.entry.Path)
		}
	} else if err := large.write(p, data, r.finished); err != nil {
		return r.cannot(err, p.entry.Path)
	}
	done := r.done.Add(int64(len(data)))
	if r.o.Progress != nil {
		r.mu.Lock()
		r.o.Progress(done, r.result.Bytes)
		r.mu.Unlock()
	}
	return nil
}

// finished gives a file its mode and time, and closes it.
func (r *restorer) finished(f *os.File, e *files.Entry) error {
	err := f.Chmod(fs.FileMode(e.Mode))
	return errors.Join(err, f.Close(), setTime(f.Name(), e.Time))
}

func setTime(path string, ns int64) error {
	t := time.Unix(0, ns)
	return os.Chtimes(path, t, t)
}

// openFiles are files of several chunks that are being written. Only so many
// stay open.
type openFiles struct {
	dir   string
	mu    sync.Mutex
	files map[*files.Entry]*openFile
}

type openFile struct {
	file *os.File
	left int64
}

// maxOpen bounds the files that are written at once; increments can scatter
// the chunks of many.
const maxOpen = 256

func (o *openFiles) write(p part, data []byte, finished func(*os.File, *files.Entry) error) error {
	o.mu.Lock()
	f := o.files[p.entry]
	if f == nil {
		f = &openFile{left: p.entry.Size}
		o.files[p.entry] = f
	}
	if f.file == nil {
		if err := o.shrink(); err != nil {
			o.mu.Unlock()
			return err
		}
		flags := os.O_WRONLY | os.O_CREATE
		if f.left == p.entry.Size {
			flags |= os.O_EXCL
		}
		file, err := os.OpenFile(filepath.Join(o.dir, p.entry.Path), flags, 0o600)
		if err != nil {
			o.mu.Unlock()
			return err
		}
		f.file = file
	}
	_, err := f.file.WriteAt(data, p.off)
	if f.left -= int64(len(data)); err == nil && f.left > 0 {
		o.mu.Unlock()
		return nil
	}
	delete(o.files, p.entry)
	o.mu.Unlock()
	if err != nil {
		return errors.Join(err, f.file.Close())
	}
	return finished(f.file, p.entry)
}

// shrink closes files when too many are open; they are opened again when
// more of them comes.
func (o *openFiles) shrink() error {
	open := 0
	for _, f := range o.files {
		if f.file != nil {
			open++
		}
	}
	if open < maxOpen {
		return nil
	}
	return o.closeAll()
}

func (o *openFiles) closeAll() error {
	var errs []error
	for _, f := range o.files {
		if f.file != nil {
			errs = append(errs, f.file.Close())
			f.file = nil
		}
	}
	return errors.Join(errs...)
}

func (o *openFiles) close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closeAll()
}

// names makes the links, now that no file is written any more, and gives the
// directories their modes and times, the innermost first.
func (r *restorer) names(ctx context.Context) error {
	for _, e := range r.tree {
		if e.Kind == files.Hardlink {
			if err := os.Link(r.path(e.Target), r.path(e.Path)); err != nil {
				return r.cannot(err, e.Path)
			}
		}
	}
	for _, e := range r.tree {
		if e.Kind == files.Symlink {
			if err := errors.Join(os.Symlink(e.Target, r.path(e.Path)), setLinkTime(r.path(e.Path), e.Time)); err != nil {
				return r.cannot(err, e.Path)
			}
		}
	}
	for i := len(r.tree) - 1; i >= 0; i-- {
		if e := r.tree[i]; e.Kind == files.Dir {
			if err := errors.Join(os.Chmod(r.path(e.Path), fs.FileMode(e.Mode)), setTime(r.path(e.Path), e.Time)); err != nil {
				return r.cannot(err, e.Path)
			}
		}
	}
	return ctx.Err()
}
