package files

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// Options say what is deposited and how.
type Options struct {
	Roots   []string // directories; each is deposited under its own last name
	Include []string // patterns of files; none means all
	Exclude []string // patterns of files and directories
	Rehash  bool     // read every file, also those that the disk says are unchanged
	Full    bool     // stand alone, whatever is held already

	Number   int // of the deposit
	Previous *State
	// Rebase is how many increments may follow a FULL deposit; 0 means
	// [escrow.DefaultRebase].
	Rebase int
	// Held tells whether a pack of an earlier deposit is still there. What
	// lay in one that is not is deposited again. nil trusts that all are.
	Held func(ctx context.Context, name string, size int64) (bool, error)

	Vault    Vault
	Now      func() time.Time
	Progress func(done, total int64) // bytes of files that are read; not concurrently
}

// Result is what a run made.
type Result struct {
	Unchanged bool
	Kind      escrow.DepositKind
	Objects   []evidence.ObjectEntry
	Summary   evidence.FilesSummary
	State     *State
	Missing   []string // what the deposit lacks, in words without names
	LeftOut   []string // the same with names: for the depositor's eyes only
	Outside   int      // symbolic links that lead out of the tree
	Lost      int      // packs that the server does not have any more
}

// HowChecked says how a deposit's content was checked.
const HowChecked = "every file read and hashed as it was sealed"

// compressors is how many frames are compressed at once, and readersAtOnce how
// many files are read. Compression is most of the work: the fastest level takes
// half the time of the default one for a few per cent more bytes (ADR 10).
const (
	compressors   = 2
	readersAtOnce = 2
	level         = zstd.SpeedFastest
)

// Sync deposits what changed in a tree since the previous deposit. Nothing
// that it returns names a file, except LeftOut.
func Sync(ctx context.Context, o Options) (*Result, error) {
	s := &syncer{o: o, known: make(map[[sha256.Size]byte]Chunk)}
	if err := s.plan(ctx); err != nil {
		return nil, err
	}
	if s.o.Progress != nil {
		s.o.Progress(0, s.total)
	}
	if err := s.seal(ctx); err != nil {
		return nil, err
	}
	return s.finish(ctx)
}

type syncer struct {
	o       Options
	kind    escrow.DepositKind
	key     []byte
	scan    *scan
	before  map[string]*Entry
	known   map[[sha256.Size]byte]Chunk // where a chunk lies already
	lost    []span
	nLost   int
	jobs    []*job
	total   int64 // bytes to be read
	done    int64
	changed int // files that changed while they were read
	vanish  int // files that were gone when they were to be read
	list    []*Entry
	keep    []*Entry // everything the tree has, for the next deposit
	stream  *stream
	packs   []Pack // of the chain, this deposit's last
}

// plan finds what is there and what of it has to be read.
func (s *syncer) plan(ctx context.Context) error {
	previous := s.o.Previous
	s.kind = escrow.IncrementalDeposit
	rebase := s.o.Rebase
	if rebase <= 0 {
		rebase = escrow.DefaultRebase
	}
	if s.o.Full || previous == nil || len(previous.Packs) == 0 || s.o.Number-previous.Packs[0].Deposit > rebase || wasteful(previous) {
		s.kind = escrow.FullDeposit
	}
	if previous != nil {
		s.key = previous.Key
	} else {
		s.key = make([]byte, keySize)
		rand.Read(s.key) // never fails
	}
	if err := s.recall(ctx); err != nil {
		return err
	}
	var err error
	if s.scan, err = walk(ctx, &s.o); err != nil {
		return err
	}
	batch, size := &job{}, int64(0)
	add := func(j *job) {
		if len(j.files) > 0 {
			j.out = make(chan *slab, slabsAhead)
			s.jobs = append(s.jobs, j)
		}
	}
	for _, f := range s.scan.found {
		if f.entry.Kind != File || f.entry.Size == 0 {
			continue
		}
		if old := s.before[f.entry.Path]; s.untouched(f, old) {
			f.entry.Chunks = old.Chunks
			continue
		}
		f.read = true
		s.total += f.entry.Size
		if f.entry.Size > smallFile {
			add(batch)
			add(&job{files: []*scanned{f}})
			batch, size = &job{}, 0
			continue
		}
		if size+f.entry.Size > batchSize || len(batch.files) == batchLen {
			add(batch)
			batch, size = &job{}, 0
		}
		batch.files, size = append(batch.files, f), size+f.entry.Size
	}
	add(batch)
	return nil
}

// wasteful reports whether most of what a chain holds is of no use any more.
func wasteful(p *State) bool {
	var held, live int64
	for _, pack := range p.Packs {
		for _, f := range pack.Frames {
			held += f.Plain
		}
	}
	for _, e := range p.Entries {
		live += e.Size
	}
	return held > 3*live+(64<<20)
}

// recall takes up what the depositor remembers, and asks for what the server
// may have lost.
func (s *syncer) recall(ctx context.Context) error {
	p := s.o.Previous
	if p == nil {
		return nil
	}
	s.before = make(map[string]*Entry, len(p.Entries))
	for _, e := range p.Entries {
		s.before[e.Path] = e
	}
	if s.kind == escrow.FullDeposit {
		return nil
	}
	if s.o.Held != nil {
		gone, err := s.missing(ctx, p.Packs)
		if err != nil {
			return err
		}
		s.lost, s.nLost = p.lostPacks(gone), len(gone)
	}
	for _, e := range p.Entries {
		for _, c := range e.Chunks {
			if len(s.lost) == 0 || !inSpan(s.lost, c) {
				s.known[c.Sum] = c
			}
		}
	}
	s.packs = p.Packs
	return nil
}

// missing asks which packs are not held, several at a time.
func (s *syncer) missing(ctx context.Context, packs []Pack) (map[string]bool, error) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	answers := make([]bool, len(packs))
	for i, p := range packs {
		g.Go(func() error {
			held, err := s.o.Held(ctx, p.Name, p.Size)
			answers[i] = !held
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	gone := map[string]bool{}
	for i, p := range packs {
		if answers[i] {
			gone[p.Name] = true
		}
	}
	return gone, nil
}

// untouched reports whether the disk says that a file is what was deposited
// before, and all of that is still held.
func (s *syncer) untouched(f *scanned, old *Entry) bool {
	e := f.entry
	if s.kind == escrow.FullDeposit || s.o.Rehash || old == nil || old.Kind != File || e.Stamp == (Stamp{}) || e.Stamp != old.Stamp || e.Size != old.Size || e.Time != old.Time {
		return false
	}
	for _, c := range old.Chunks {
		if len(s.lost) > 0 && inSpan(s.lost, c) {
			return false
		}
	}
	return true
}

// seal reads, compares and writes the stream.
func (s *syncer) seal(ctx context.Context) error {
	workers, ctx := errgroup.WithContext(ctx)
	r, err := newReaders(ctx, s.key)
	if err != nil {
		return err
	}
	if s.stream, err = newStream(ctx, workers, s.o.Vault, compressors, level); err != nil {
		return err
	}
	jobs := make(chan *job)
	order := make(chan *job, 2)
	workers.Go(func() error {
		defer close(jobs)
		defer close(order)
		for i, j := range s.jobs {
			s.jobs[i] = nil
			select {
			case order <- j:
			case <-ctx.Done():
				return ctx.Err()
			}
			select {
			case jobs <- j:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range readersAtOnce {
		workers.Go(func() error { return r.run(jobs) })
	}
	workers.Go(func() error {
		in := &pieces{ctx: ctx, order: order, readers: r}
		err := s.write(in)
		if err == nil {
			err = in.drained()
		}
		if eerr := s.stream.end(); err == nil {
			err = eerr
		}
		return err
	})
	return workers.Wait()
}

// pieces hands on what the readers read, in order.
type pieces struct {
	ctx     context.Context
	order   <-chan *job
	readers *readers
	job     *job
	slab    *slab
	next    int
}

// take returns the next piece and its bytes, which hold until the next call.
func (p *pieces) take() (*piece, []byte, error) {
	for {
		if p.slab != nil && p.next < len(p.slab.pieces) {
			one := &p.slab.pieces[p.next]
			p.next++
			return one, p.slab.buf[one.from:one.to], nil
		}
		if p.slab != nil {
			p.readers.release(p.slab)
			p.slab = nil
		}
		if p.job == nil {
			select {
			case j, ok := <-p.order:
				if !ok {
					return nil, nil, io.EOF
				}
				p.job = j
			case <-p.ctx.Done():
				return nil, nil, p.ctx.Err()
			}
		}
		select {
		case slab, ok := <-p.job.out:
			if !ok {
				p.job = nil
				continue
			}
			p.slab, p.next = slab, 0
		case <-p.ctx.Done():
			return nil, nil, p.ctx.Err()
		}
	}
}

func (p *pieces) drained() error {
	if _, _, err := p.take(); err != io.EOF {
		return fmt.Errorf("files were read that nobody asked for: %w", err)
	}
	return nil
}

// write goes through the tree in order: what is new goes into the stream,
// what differs from before into the list.
func (s *syncer) write(in *pieces) error {
	var tar *archive
	if s.kind == escrow.FullDeposit {
		tar = newArchive(s.stream)
	}
	seen := make(map[string]bool)
	for _, f := range s.scan.found {
		there := true
		var err error
		switch {
		case f.read:
			there, err = s.content(in, f, tar)
		case tar != nil:
			if f.entry.Kind == Hardlink && !seen[f.entry.Target] {
				continue // the file itself could not be read, and that is told
			}
			err = tar.header(f.entry)
		}
		if err != nil {
			return err
		}
		if !there {
			continue
		}
		if f.entry.Kind == Hardlink && tar == nil && !seen[f.entry.Target] {
			continue
		}
		if f.many || s.kind == escrow.FullDeposit {
			seen[f.entry.Path] = true
		}
		if f.wary {
			f.entry.Stamp = Stamp{}
		}
		s.keep = append(s.keep, f.entry)
		if old := s.before[f.entry.Path]; s.kind == escrow.FullDeposit || old == nil || !old.same(f.entry) || s.moved(f.entry, old) {
			s.list = append(s.list, f.entry)
		}
	}
	if tar != nil {
		return tar.w.Close()
	}
	return nil
}

// moved reports whether the content lies elsewhere than the lists say, since
// the packs they name were lost.
func (s *syncer) moved(e, old *Entry) bool {
	if len(s.lost) == 0 {
		return false
	}
	for i, c := range e.Chunks {
		if c != old.Chunks[i] {
			return true
		}
	}
	return false
}

// content takes a file's pieces. It reports whether there is such a file.
func (s *syncer) content(in *pieces, f *scanned, tar *archive) (bool, error) {
	e := f.entry
	for {
		p, data, err := in.take()
		if err != nil {
			return false, err
		}
		if p.file != f {
			return false, fmt.Errorf("%s was read in place of %s", p.file.file(), f.file())
		}
		if p.failed != nil {
			if !p.first {
				return false, escrow.Errorf(escrow.Unavailable, "%s cannot be read to its end: %w", f.file(), p.failed).
					WithHint("nothing was deposited; look at the disk, or leave the file out with --exclude")
			}
			if p.gone {
				s.vanish++
			} else {
				s.scan.leftOut = append(s.scan.leftOut, f.file()+": "+reason(p.failed))
				s.scan.unread++
			}
			s.progress(e.Size)
			return false, nil
		}
		if p.first && tar != nil {
			if err := tar.header(e); err != nil {
				return false, err
			}
		}
		if err := s.chunk(e, p, data, tar); err != nil {
			return false, err
		}
		s.progress(int64(len(data)))
		if !p.last {
			continue
		}
		if p.changed || p.padded > 0 {
			s.changed++
			s.scan.leftOut = append(s.scan.leftOut, f.file()+": changed while it was read")
			e.Stamp = Stamp{}
		}
		return true, nil
	}
}

// chunk puts one chunk into the stream, unless it lies in one already. An
// archive has everything: stock tools cannot look elsewhere.
func (s *syncer) chunk(e *Entry, p *piece, data []byte, tar *archive) error {
	c := Chunk{Deposit: s.o.Number, Size: int64(len(data)), Sum: p.sum}
	if tar == nil {
		if old, ok := s.known[p.sum]; ok {
			e.Chunks = append(e.Chunks, old)
			return nil
		}
		c.At = s.stream.at
		if _, err := s.stream.Write(data); err != nil {
			return err
		}
		s.known[p.sum] = c
	} else {
		c.At = s.stream.at
		if _, err := tar.w.Write(data); err != nil {
			return err
		}
	}
	e.Chunks = append(e.Chunks, c)
	return nil
}

func (s *syncer) progress(n int64) {
	s.done += n
	if s.o.Progress != nil {
		s.o.Progress(s.done, s.total)
	}
}

// finish writes the list and what is remembered.
func (s *syncer) finish(ctx context.Context) (*Result, error) {
	r := &Result{Kind: s.kind, LeftOut: s.scan.leftOut, Outside: s.scan.outside, Lost: s.nLost}
	sum := &r.Summary
	tree := newTreeHash()
	for _, e := range s.keep {
		tree.add(e)
		switch e.Kind {
		case Dir:
			sum.Directories++
		case File:
			sum.Files++
			sum.Bytes += e.Size
		default:
			sum.Links++
		}
	}
	s.gone(sum)
	for _, e := range s.list {
		switch old := s.before[e.Path]; {
		case e.Kind == Gone:
		case old == nil:
			sum.Added++
		default:
			sum.Changed++
		}
	}
	if s.kind == escrow.FullDeposit && s.before == nil {
		sum.Added, sum.Changed = 0, 0
	}
	sum.NewBytes = s.stream.at
	if s.kind == escrow.IncrementalDeposit && len(s.list) == 0 {
		r.Unchanged = true
		return r, nil
	}
	for _, p := range s.stream.packs {
		p.Deposit = s.o.Number
		s.packs = append(s.packs[:len(s.packs):len(s.packs)], p)
	}
	if s.kind == escrow.FullDeposit {
		s.packs = s.packs[len(s.packs)-len(s.stream.packs):]
	}
	header := Header{Format: ListFormat, Deposit: s.o.Number, Kind: string(s.kind), Tree: tree.String(), Packs: s.stream.packs}
	sealed, err := s.sealList(ctx, header)
	if err != nil {
		return nil, err
	}
	for _, p := range s.stream.packs {
		r.Objects = append(r.Objects, evidence.ObjectEntry{Name: p.Name, Size: p.Size, Role: PackRole, Plain: stored(p.Frames)})
	}
	r.Objects = append(r.Objects, sealed)
	if s.scan.unread > 0 {
		r.Missing = append(r.Missing, fmt.Sprintf("%d files or directories that could not be read", s.scan.unread))
	}
	if s.changed > 0 {
		r.Missing = append(r.Missing, fmt.Sprintf("%d files changed while they were read: they may be neither what was before nor what was after", s.changed))
	}
	sum.LeftOut = s.scan.unread
	r.State = &State{Header: Header{Format: StateFormat, Deposit: s.o.Number, Kind: string(s.kind), Tree: header.Tree, Packs: s.packs, Key: s.key}, Entries: s.keep}
	return r, nil
}

func stored(frames []Frame) (n int64) {
	for _, f := range frames {
		n += f.Stored
	}
	return n
}

// gone lists what was there before and is not any more.
func (s *syncer) gone(sum *evidence.FilesSummary) {
	if s.o.Previous == nil {
		return
	}
	is := make(map[string]bool, len(s.keep))
	for _, e := range s.keep {
		is[e.Path] = true
	}
	for _, e := range s.o.Previous.Entries {
		if is[e.Path] {
			continue
		}
		sum.Removed++
		if s.kind == escrow.IncrementalDeposit {
			s.list = append(s.list, &Entry{Path: e.Path, Kind: Gone})
		}
	}
	sortEntries(s.list)
}

func (s *syncer) sealList(ctx context.Context, h Header) (evidence.ObjectEntry, error) {
	sealed, err := s.o.Vault.Create(ctx, ListRole)
	if err != nil {
		return evidence.ObjectEntry{}, err
	}
	defer sealed.Abort()
	if err := Compress(sealed, func(w io.Writer) error { return write(w, h, s.list, false) }); err != nil {
		return evidence.ObjectEntry{}, err
	}
	if err := sealed.Finish(); err != nil {
		return evidence.ObjectEntry{}, err
	}
	return sealed.Commit(ctx)
}

// Words says in one line what was deposited.
func Words(s *evidence.FilesSummary) string {
	words := []string{fmt.Sprintf("%d files", s.Files)}
	for _, part := range []struct {
		n    int
		what string
	}{{s.Added, "added"}, {s.Changed, "changed"}, {s.Removed, "removed"}} {
		if part.n > 0 {
			words = append(words, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	return strings.Join(words, ", ")
}
