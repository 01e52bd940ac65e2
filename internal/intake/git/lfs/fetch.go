// Package lfs fetches the objects of Git Large File Storage that a
// repository's pointers name, through the batch API or from the directory
// that git-lfs keeps beside a local repository, and hands each to the vault
// while its size and hash are checked.
//
// It depends on evidence, escrow and pointer, and on what the caller injects:
// the HTTP client, which must refuse what must not be reached, the vault, and
// for ssh sources the way to run a command there.
package lfs

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/lfs/pointer"
)

// Envelope is one sealed object on its way into the vault. Commit makes it
// durable; Abort throws it away and does nothing after Commit.
type Envelope interface {
	io.Writer
	Finish() error
	Commit(ctx context.Context) (evidence.ObjectEntry, error)
	Abort()
}

// Options is what one [Fetch] works with. Local or Endpoint must be set.
type Options struct {
	// Local is a directory in which git-lfs keeps objects, .git/lfs of a
	// repository on this machine. Nothing is fetched over the network then.
	Local string
	// Endpoint says where the API is. It is called again when a credential
	// has ceased to be accepted.
	Endpoint func(ctx context.Context) (Endpoint, error)
	// Client makes the requests. Its redirect policy is not used; its
	// transport decides which addresses may be reached.
	Client *http.Client
	// Create begins a sealed object of role "lfs". Calls do not overlap.
	Create func(ctx context.Context) (Envelope, error)
	// Limit is the number of objects to take at most; 0 means as many as one
	// deposit may have. MaxSize bounds one object; 0 means 64 GiB.
	Limit   int
	MaxSize int64
	// Parallel is the number of downloads at a time; 0 means 4.
	Parallel int
	// Wait pauses between tries; nil means a timer.
	Wait func(ctx context.Context, d time.Duration) error
	// Progress, when set, is told after each object how many are done. Calls
	// do not overlap.
	Progress func(done, of int)
}

const (
	defaultMaxSize  = 64 << 30
	defaultParallel = 4
	tries           = 3
	pause           = 2 * time.Second // after the first try, twice as long after the second
	patience        = 10              // downloads that fail one after the other
	// reserve leaves room in a deposit for its other objects.
	reserve = 16
)

// Held is an object that is in the vault now.
type Held struct {
	pointer.Pointer
	Entry evidence.ObjectEntry
}

// Missing is an object that is not. The reason may be published: it names no
// file and no address.
type Missing struct {
	pointer.Pointer
	Reason string
}

// Result lists every object that was asked for in one of two lists, each
// ordered by id.
type Result struct {
	Held    []Held
	Missing []Missing
}

// Fetch gets the wanted objects. What the source cannot or will not deliver
// is in the result, with the reason, and is no error: a deposit without one
// large file is worth more than none. An error is a fault on this side, such
// as a full disk, or the end of the context; the result then holds what had
// been stored until then.
func Fetch(ctx context.Context, opts Options, wanted []pointer.Pointer) (*Result, error) {
	f := &fetcher{opts: opts, of: len(wanted)}
	if opts.Client != nil {
		client := *opts.Client
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		f.client = &client
	}
	if f.opts.Wait == nil {
		f.opts.Wait = wait
	}
	f.opts.MaxSize = cmp.Or(opts.MaxSize, defaultMaxSize)
	err := f.run(ctx, wanted)
	slices.SortFunc(f.result.Held, func(a, b Held) int { return strings.Compare(a.OID, b.OID) })
	slices.SortFunc(f.result.Missing, func(a, b Missing) int { return strings.Compare(a.OID, b.OID) })
	return &f.result, err
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

type fetcher struct {
	opts   Options
	client *http.Client

	mu       sync.Mutex // guards what follows, and calls into Options
	result   Result
	done, of int
	inARow   int // downloads that failed in spite of all tries, since the last that did not
	endpoint *Endpoint
	failed   error // the first fault on this side
}

func (f *fetcher) run(ctx context.Context, wanted []pointer.Pointer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	limit := cmp.Or(f.opts.Limit, evidence.MaxObjects-reserve)
	seen := make(map[string]bool, len(wanted))
	var list []pointer.Pointer
	for _, p := range wanted {
		switch {
		case seen[p.OID]:
			f.of--
		case !evidence.IsDigest(p.OID) || p.Size < 0:
			f.missing(p, "its pointer is malformed")
		case p.Size > f.opts.MaxSize:
			f.missing(p, fmt.Sprintf("it is larger than %d bytes", f.opts.MaxSize))
		case len(list) == limit:
			f.missing(p, "the deposit is full; the next one takes it")
		default:
			list = append(list, p)
		}
		seen[p.OID] = true
	}
	work := make(chan job)
	var workers sync.WaitGroup
	for range cmp.Or(f.opts.Parallel, defaultParallel) {
		workers.Go(func() {
			for j := range work {
				if err := f.take(ctx, j); err != nil {
					f.fail(err)
					cancel()
				}
			}
		})
	}
	if f.opts.Local != "" {
		for _, p := range list {
			work <- job{p: p}
		}
	} else if err := f.batches(ctx, list, work); err != nil {
		f.fail(err)
	}
	close(work)
	workers.Wait()
	return f.failed
}

// job is one object, with where it is when the batch has said so.
type job struct {
	p pointer.Pointer
	a *action
}

func (f *fetcher) batches(ctx context.Context, list []pointer.Pointer, work chan<- job) error {
	for len(list) > 0 {
		group := list[:min(len(list), batchSize)]
		actions, reasons, err := f.ask(ctx, group)
		if n, ok := errors.AsType[*noAnswer](err); ok {
			for _, p := range list { // those after this group would wait for the same
				f.missing(p, n.reason)
			}
			return nil
		} else if err != nil {
			return err
		}
		for _, p := range group {
			if a, ok := actions[p.OID]; ok {
				work <- job{p, &a}
				continue
			}
			f.missing(p, reasons[p.OID])
		}
		list = list[len(group):]
	}
	return nil
}

// ask sends one batch request, again where that may help, with a fresh
// credential when the old one is refused. What the source's side does wrong
// becomes the reason of every object of the group.
func (f *fetcher) ask(ctx context.Context, group []pointer.Pointer) (map[string]action, map[string]string, error) {
	var last error
	for try := range tries {
		if try > 0 && !isRefused(last) {
			if err := f.opts.Wait(ctx, time.Duration(try)*pause); err != nil {
				return nil, nil, fmt.Errorf("lfs: %w", err)
			}
		}
		e, err := f.currentEndpoint(ctx, last)
		if err == nil {
			var actions map[string]action
			var reasons map[string]string
			if actions, reasons, err = f.batch(ctx, *e, group); err == nil {
				return actions, reasons, nil
			}
		}
		if ctx.Err() != nil {
			return nil, nil, fmt.Errorf("lfs: %w", context.Cause(ctx))
		}
		again := temporary(err) || isRefused(err) && !isRefused(last)
		if last = err; !again {
			break
		}
	}
	return nil, nil, &noAnswer{reasonOf(last)}
}

// noAnswer says that the API as a whole gave no answer to a request.
type noAnswer struct{ reason string }

func (n *noAnswer) Error() string { return n.reason }

func isRefused(err error) bool {
	r, ok := errors.AsType[*refusal](err)
	return ok && (r.status == http.StatusUnauthorized || r.status == http.StatusForbidden)
}

// currentEndpoint returns the endpoint, a new one after a refusal.
func (f *fetcher) currentEndpoint(ctx context.Context, last error) (*Endpoint, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.endpoint != nil && !isRefused(last) {
		return f.endpoint, nil
	}
	e, err := f.opts.Endpoint(ctx)
	if err != nil {
		return nil, err
	}
	f.endpoint = &e
	return f.endpoint, nil
}

// reasonOf makes a reason that may be published of an error of the source's
// side.
func reasonOf(err error) string {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.reason
	}
	switch escrow.CodeOf(err) {
	case escrow.Forbidden:
		return "the LFS server's address is not allowed"
	case escrow.Unauthenticated:
		return "the LFS server does not accept the source's credential"
	case escrow.Invalid:
		return "the source has no LFS endpoint"
	}
	return "the LFS server cannot be reached, or breaks off"
}

// take gets one object into the vault or into the list of missing ones.
func (f *fetcher) take(ctx context.Context, j job) error {
	for try := range tries {
		if ctx.Err() != nil {
			return fmt.Errorf("lfs: %w", context.Cause(ctx))
		}
		if f.brokenDown() {
			f.missing(j.p, "too many downloads before it failed")
			return nil
		}
		if try > 0 && f.opts.Local == "" {
			if err := f.opts.Wait(ctx, time.Duration(try)*pause); err != nil {
				return fmt.Errorf("lfs: %w", err)
			}
			// An address may have expired; ask for a new one.
			actions, reasons, err := f.ask(ctx, []pointer.Pointer{j.p})
			if n, ok := errors.AsType[*noAnswer](err); ok {
				f.missing(j.p, n.reason)
				return nil
			} else if err != nil {
				return err
			}
			a, ok := actions[j.p.OID]
			if !ok {
				f.missing(j.p, reasons[j.p.OID])
				return nil
			}
			j.a = &a
		}
		entry, err := f.store(ctx, j)
		if err == nil {
			f.held(j.p, entry)
			return nil
		}
		if our, ok := errors.AsType[*ownFault](err); ok {
			return our.err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("lfs: %w", context.Cause(ctx))
		}
		expired := isRefused(err) && try == 0
		if try == tries-1 || f.opts.Local != "" || !temporary(err) && !expired {
			f.missing(j.p, reasonOf(err))
			f.mu.Lock()
			if temporary(err) {
				f.inARow++
			}
			f.mu.Unlock()
			return nil
		}
	}
	return nil
}

// brokenDown reports whether so many downloads have failed one after the
// other that the rest of a long list is not worth the wait.
func (f *fetcher) brokenDown() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.inARow >= patience
}

// ownFault is an error of the vault or this machine, not of the source.
type ownFault struct{ err error }

func (o *ownFault) Error() string { return o.err.Error() }

// store streams one object into an envelope and commits it if it is what its
// pointer says, byte for byte; otherwise nothing of it remains.
func (f *fetcher) store(ctx context.Context, j job) (evidence.ObjectEntry, error) {
	none := evidence.ObjectEntry{}
	body, length, err := f.open(ctx, j)
	if err != nil {
		return none, err
	}
	defer body.Close()
	if length >= 0 && length != j.p.Size {
		return none, &refusal{0, fmt.Sprintf("the source has %d bytes under this id, not %d", length, j.p.Size)}
	}
	f.mu.Lock()
	e, err := f.opts.Create(ctx)
	f.mu.Unlock()
	if err != nil {
		return none, &ownFault{err}
	}
	defer e.Abort()
	sum := sha256.New()
	in := &noting{r: io.LimitReader(body, j.p.Size+1)}
	n, err := io.CopyBuffer(hashing{e, sum}, in, make([]byte, 64<<10))
	switch {
	case in.err != nil && f.opts.Local != "":
		return none, &refusal{0, "it cannot be read on the depositor's machine"}
	case in.err != nil:
		return none, in.err
	case err != nil:
		return none, &ownFault{err}
	case n > j.p.Size:
		return none, &refusal{0, fmt.Sprintf("the source has more than %d bytes under this id", j.p.Size)}
	case n < j.p.Size:
		return none, io.ErrUnexpectedEOF
	case hex.EncodeToString(sum.Sum(nil)) != j.p.OID:
		return none, &refusal{0, "what the source has under this id has another hash"}
	}
	if err := e.Finish(); err != nil {
		return none, &ownFault{err}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	entry, err := e.Commit(ctx)
	if err != nil {
		return none, &ownFault{err}
	}
	return entry, nil
}

// hashing hashes what the envelope has taken.
type hashing struct {
	e   io.Writer
	sum hash.Hash
}

func (h hashing) Write(p []byte) (int, error) {
	n, err := h.e.Write(p)
	h.sum.Write(p[:n])
	return n, err
}

// noting keeps the reader's error apart from the writer's.
type noting struct {
	r   io.Reader
	err error
}

func (n *noting) Read(p []byte) (int, error) {
	k, err := n.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		n.err = err
	}
	return k, err
}

// open returns the object's content, and its length where that is known, else
// -1.
func (f *fetcher) open(ctx context.Context, j job) (io.ReadCloser, int64, error) {
	if f.opts.Local != "" {
		return f.openLocal(j.p)
	}
	resp, err := f.do(ctx, http.MethodGet, j.a.url, j.a.header, nil)
	if err != nil {
		return nil, 0, err
	}
	if s := resp.StatusCode; s != http.StatusOK {
		resp.Body.Close()
		if s == http.StatusNotFound || s == http.StatusGone {
			return nil, 0, &refusal{s, objectReason(s)}
		}
		return nil, 0, &refusal{s, fmt.Sprintf("its download fails (%d)", s)}
	}
	return resp.Body, resp.ContentLength, nil
}

func (f *fetcher) openLocal(p pointer.Pointer) (io.ReadCloser, int64, error) {
	file, err := os.Open(filepath.Join(f.opts.Local, "objects", p.OID[:2], p.OID[2:4], p.OID))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, &refusal{0, "it is not on the depositor's machine; git lfs fetch --all gets it there"}
	} else if err != nil {
		return nil, 0, &ownFault{fmt.Errorf("lfs: %w", err)}
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		file.Close()
		return nil, 0, &refusal{0, "it is not a file on the depositor's machine"}
	}
	return file, info.Size(), nil
}

func (f *fetcher) held(p pointer.Pointer, entry evidence.ObjectEntry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.result.Held = append(f.result.Held, Held{p, entry})
	f.inARow = 0
	f.tell()
}

func (f *fetcher) missing(p pointer.Pointer, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.result.Missing = append(f.result.Missing, Missing{p, reason})
	f.tell()
}

func (f *fetcher) tell() {
	f.done++
	if f.opts.Progress != nil {
		f.opts.Progress(f.done, f.of)
	}
}

func (f *fetcher) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed == nil {
		f.failed = err
	}
}
