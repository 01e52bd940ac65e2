package git

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/history"
	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/pack"
	"holdfast/internal/intake/git/wire"
)

// Source is a repository to deposit and how.
type Source struct {
	wire.Endpoint

	// Exclude leaves refs out: "refs/pull/*" by their beginning, "refs/pull"
	// with all below it. Without it every ref that the server shows is taken.
	Exclude []string

	// LFS has large files fetched too.
	LFS bool

	// Rebase makes the next deposit FULL after so many INCREMENTAL ones, which
	// keeps restores short; 0 means [DefaultRebase], less never.
	Rebase int
}

// DefaultRebase is the number of increments after which a new chain begins.
const DefaultRebase = 100

func (s Source) rebase() int {
	if s.Rebase == 0 {
		return DefaultRebase
	}
	return s.Rebase
}

// Envelope is one sealed object on its way into the vault. What is written is
// sealed at once. After Finish, Plaintext reads the sealed bytes back with the
// key that is still in memory; Commit makes the object durable and forgets the
// key, Abort throws both away and does nothing after Commit.
type Envelope interface {
	io.Writer
	Finish() error
	Plaintext() (io.ReaderAt, int64, error)
	Commit(ctx context.Context) (evidence.ObjectEntry, error)
	Abort()
}

// Vault begins sealed objects; role is what the object is to the deposit.
type Vault interface {
	Create(ctx context.Context, role string) (Envelope, error)
}

// The roles of the objects of a Git deposit.
const (
	RoleGit    = "git"    // inventory line and bundle, one in every deposit
	RoleLFS    = "lfs"    // one large file
	RoleReport = "report" // what the source names and the deposit does not hold
)

// Known answers for what the deposits of a chain hold.
type Known interface {
	pack.Known
	// With returns the commits of the chain together with those of a pack
	// that was just checked.
	With(added *pack.Report) History
}

// History answers about commits.
type History interface {
	history.Ancestry
	IsCommit(ctx context.Context, id object.OID) (bool, error)
}

// Options is what one [Sync] works with.
type Options struct {
	Source   Source
	Wire     wire.Config
	Previous *State // nil for the first deposit
	Full     bool   // makes a FULL deposit although an increment would do, for a new key, for example
	Vault    Vault
	Known    Known             // what the chain of Previous holds; not asked for a FULL deposit
	Limits   pack.Limits       // of the check
	Memory   int64             // bytes the check plans with; 0 for its default
	Workers  int               // goroutines of the check; 0 for its default
	Now      func() time.Time  // for durations
	Progress func(bytes int64) // told how much of the pack has arrived; may be nil
}

// Stats says what a sync cost.
type Stats struct {
	Protocol int           // version spoken
	Received int64         // bytes of all answers of the source
	Pack     int64         // bytes of the pack
	Stream   time.Duration // from the first word to the end of the pack
	Check    time.Duration // of every object and connection
	Excluded int           // refs left out by the source's rules
}

// Result is what a sync made. Its objects are durable; they become a deposit
// when the caller has recorded them together with State and the segment made
// from Report.
type Result struct {
	Unchanged bool // the source offers what the last deposit holds; nothing was made

	Kind    escrow.DepositKind
	Why     string // of a FULL deposit: why it is not an increment
	Objects []evidence.ObjectEntry
	Summary evidence.GitSummary
	Missing []string // what the source names and the deposit lacks, one public line each
	Lacking Lacking  // the same in full, for those who may read content

	State  *State       // for the next sync
	Report *pack.Report // ids and commits of this deposit's pack: its segment of known objects
	Stats  Stats
}

// Completeness says whether everything that the source names is held.
func (r *Result) Completeness() escrow.Completeness {
	if len(r.Missing) > 0 {
		return escrow.Incomplete
	}
	return escrow.Complete
}

// HowChecked is what a deposit manifest says of the check.
const HowChecked = "every object hashed and connected"

// tries is how often a sync begins anew when the source changes under it.
const tries = 4

// Sync makes the next deposit of a source. It stores nothing unless the
// source delivered everything it had promised, every object of it hashes to
// its name, and everything any of them names is in this deposit or in the
// chain before it. Errors are [escrow.Error], or the context's; after one,
// nothing of this sync remains and the next one can start from the same state.
func Sync(ctx context.Context, opts Options) (*Result, error) {
	full := opts.Full
	why := "asked for"
	for try := 1; ; try++ {
		s := &syncer{opts: opts}
		result, err := s.run(ctx, full, why)
		if err == nil {
			return result, nil
		}
		s.abort()
		switch {
		case ctx.Err() != nil:
			return nil, escrow.Errorf(escrow.Unavailable, "source %s: the sync was stopped: %w", opts.Source.Endpoint, context.Cause(ctx)).
				WithHint("nothing of it was kept; the next one starts from the same state")
		case errors.Is(err, wire.ErrNotOurRef) && try < tries:
			// A ref moved between the listing and the fetch: list again.
		case isGap(err) && !full && opts.Previous != nil:
			// The increment builds on something the chain does not have. A
			// deposit that stands alone needs nothing from the chain; when
			// the source leaves objects out of that too, it fails for good.
			full, why = true, "the increment had gaps"
		default:
			return nil, err
		}
	}
}

// isGap reports whether a pack was sound but built on objects not held.
func isGap(err error) bool {
	_, missing := errors.AsType[*pack.MissingError](err)
	_, thin := errors.AsType[*pack.ThinError](err)
	return missing || thin
}

// syncer is one try.
type syncer struct {
	opts   Options
	plan   *plan
	result Result
	open   []Envelope // begun and not committed
	large  largeFiles
}

func (s *syncer) abort() {
	for _, e := range s.open {
		e.Abort()
	}
	s.open = nil
}

func (s *syncer) create(ctx context.Context, role string) (Envelope, error) {
	e, err := s.opts.Vault.Create(ctx, role)
	if err != nil {
		return nil, err
	}
	s.open = append(s.open, e)
	return e, nil
}

// commit makes every open object durable. The object with the repository is
// the first of the deposit, then come the large files, which were committed
// one by one, since there may be more of them than can be open at a time.
func (s *syncer) commit(ctx context.Context) error {
	for i := 0; len(s.open) > 0; i++ {
		entry, err := s.open[0].Commit(ctx)
		if err != nil {
			return err
		}
		s.open = s.open[1:]
		s.result.Objects = append(s.result.Objects, entry)
		if i == 0 {
			s.result.Objects = append(s.result.Objects, s.large.entries...)
		}
	}
	return nil
}

func (s *syncer) run(ctx context.Context, full bool, why string) (*Result, error) {
	start := s.opts.Now()
	conn, err := wire.Open(ctx, s.opts.Source.Endpoint, s.opts.Wire)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	listing, err := conn.List()
	if err != nil {
		return nil, err
	}
	s.plan = newPlan(listing, s.opts.Source.Exclude)
	s.result.Stats.Protocol, s.result.Stats.Excluded = listing.Version, s.plan.left
	previous := s.opts.Previous
	if previous != nil && !full && s.plan.sameAs(previous) {
		// A large file that was missing may have come since.
		if s.opts.Source.LFS {
			if err := s.fetchLarge(ctx, slices.Clone(previous.LFS)); err != nil {
				return nil, err
			}
		}
		if len(s.large.entries) == 0 {
			s.result.Unchanged, s.result.State = true, previous
			s.result.Stats.Received = conn.Received()
			s.result.Stats.Stream = s.opts.Now().Sub(start)
			return &s.result, nil
		}
	}
	s.result.Kind = escrow.FullDeposit
	switch {
	case previous == nil:
		s.result.Why = "first deposit"
	case full:
		s.result.Why = why
	case previous.Format != s.plan.format:
		s.result.Why = "the source changed its object format"
	case s.opts.Source.rebase() >= 0 && previous.Increments >= s.opts.Source.rebase():
		s.result.Why = "regular new start of the chain"
	default:
		s.result.Kind = escrow.IncrementalDeposit
	}
	if s.result.Kind == escrow.FullDeposit {
		s.plan.full()
	} else {
		s.plan.increment(previous)
	}

	sealed, err := s.create(ctx, RoleGit)
	if err != nil {
		return nil, err
	}
	off, size, err := s.stream(ctx, conn, sealed)
	if err != nil {
		return nil, err
	}
	s.result.Stats.Received = conn.Received()
	conn.Close()
	if err := sealed.Finish(); err != nil {
		return nil, err
	}
	streamed := s.opts.Now()
	s.result.Stats.Stream = streamed.Sub(start)
	if err := s.check(ctx, sealed, off, size); err != nil {
		return nil, err
	}
	s.result.Stats.Check = s.opts.Now().Sub(streamed)
	if err := s.describe(ctx); err != nil {
		return nil, err
	}
	return &s.result, s.commit(ctx)
}

// stream writes inventory, bundle header and pack, and returns where the pack
// stands in the plaintext.
func (s *syncer) stream(ctx context.Context, conn *wire.Conn, w io.Writer) (off, size int64, err error) {
	var in io.Reader
	var common []object.OID
	if len(s.plan.wants) > 0 {
		p, err := conn.Fetch(s.plan.wants, s.plan.haves)
		if err != nil {
			return 0, 0, err
		}
		in, common = p, p.Common
		if s.result.Kind == escrow.IncrementalDeposit && s.plan.standsAlone(common) {
			s.result.Kind, s.result.Why = escrow.FullDeposit, "the source has nothing left of the last deposit"
			if len(s.plan.haves) == 0 {
				s.result.Why = "the last deposit held nothing"
			}
			s.plan.full()
		}
	} else {
		in = emptyPack(s.plan.format)
	}
	if off, err = s.writeHead(ctx, w, common); err != nil {
		return 0, 0, err
	}
	if s.opts.Progress != nil {
		in = &told{r: in, tell: s.opts.Progress}
	}
	size, err = io.CopyBuffer(onlyWriter{w}, in, make([]byte, 64<<10))
	s.result.Stats.Pack = size
	return off, size, err
}

// onlyWriter hides a ReadFrom that would choose a buffer of its own.
type onlyWriter struct{ io.Writer }

// told reports how far a reader has come.
type told struct {
	r    io.Reader
	n    int64
	tell func(int64)
}

func (t *told) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.n += int64(n)
	t.tell(t.n)
	return n, err
}
