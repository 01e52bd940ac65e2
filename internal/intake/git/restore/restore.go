// Package restore rebuilds a Git repository from its deposits, with stock git
// doing every step that touches the repository, and proves that the result
// has exactly the refs and the HEAD that were deposited.
//
// It depends on evidence, escrow and its siblings object, inventory, bundle
// and lfs. It runs git and writes below the target's parent directory only;
// nothing appears under the target's own name before it is whole and checked.
package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/object"
)

// Deposit is one deposit of the chain, decrypted as it is read.
type Deposit struct {
	Number int
	Kind   escrow.DepositKind
	// Open gives the plaintext of the object with role "git": the inventory
	// line and the bundle. An error with a code of [escrow.Error], from Open
	// or from a Read, is passed on as it is.
	Open func(ctx context.Context) (io.ReadCloser, error)
	LFS  []LFSObject
}

// LFSObject is one sealed LFS object. Its plaintext is the large file itself,
// so its id is known once it has been read.
type LFSObject struct {
	Name string // of the sealed object, for messages
	OID  string // the id it must have; "" when the caller does not know
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// Options say what to rebuild and where.
type Options struct {
	// Dir is the repository to make. It must not exist; its parent must.
	Dir string
	// WorkTree makes a repository with a working tree of HEAD beside .git,
	// instead of a bare one.
	WorkTree bool
	// Deposits in the order of their numbers, up to and including the one to
	// restore. What precedes the last FULL deposit is not opened, except for
	// its LFS objects.
	Deposits []Deposit
	// Git is the git command; "" for the one in the PATH.
	Git string
	// Progress, when set, is told what is being done, from one goroutine.
	Progress func(Progress)
	// SkipDamagedLFS lists LFS objects that cannot be read in the report
	// instead of failing, so that damage to a video does not keep the code.
	SkipDamagedLFS bool
	// Quick follows every reference but does not read every object from the
	// disk a second time and does not hold it against git's rules of content.
	// git hashed each object as it came in either way.
	Quick bool
}

// Step is a part of the work.
type Step string

// The steps, in their order.
const (
	StepDeposit  Step = "deposit"   // objects of one deposit go in
	StepRefs     Step = "refs"      // refs and HEAD are set and compared
	StepLFS      Step = "lfs"       // LFS objects go in
	StepCheck    Step = "check"     // every object is read and followed
	StepWorkTree Step = "work tree" // HEAD is checked out
)

// Progress is what is being done now.
type Progress struct {
	Step    Step
	Deposit int   // StepDeposit: its number
	Done    int   // deposits or LFS objects finished
	Of      int   // deposits or LFS objects in all
	Bytes   int64 // plaintext bytes read of the current one
}

// Report says what was rebuilt and what was found on the way. A nil error
// beside it means: refs and HEAD are those of the deposit, every object they
// need is there and hashes to its name.
type Report struct {
	Dir          string
	Number       int   // the deposit restored
	Deposits     []int // the ones it was built from
	ObjectFormat object.Format
	Head         string // the ref HEAD names; "" when detached
	HeadOID      object.OID
	Refs         int
	RefsDigest   string
	Findings     []Finding // objects that git's own rules dislike, exactly as they were deposited
	FindingCount int       // of all, also those beyond the ones listed
	Notes        []string  // what a person should know about this copy
	LFS          LFSReport
	Git          string // version
}

// Rebuild makes the repository of the last deposit given. On any error it
// leaves nothing behind. The error is an [escrow.Error]: Damaged when bytes
// differ from what was deposited, Missing when a deposit or an object is not
// there, Conflict when the target exists, Unavailable when git is not there
// or too old, Full when the disk is; or the context's.
func Rebuild(ctx context.Context, opts Options) (*Report, error) {
	chain, err := chainOf(opts.Deposits)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	if _, err := os.Lstat(dir); err == nil {
		return nil, escrow.Errorf(escrow.Conflict, "%s exists", dir).
			WithHint("give a directory that does not exist yet; nothing was changed")
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, diskError(err, "%s cannot be looked at", dir)
	}
	parent := filepath.Dir(dir)
	temp, err := os.MkdirTemp(parent, "."+filepath.Base(dir)+".partial-")
	if err != nil {
		return nil, diskError(err, "%s cannot take a new directory", parent)
	}
	defer os.RemoveAll(temp)

	b := &builder{opts: opts, repo: filepath.Join(temp, "repo")}
	gitDir, home := b.repo, filepath.Join(temp, "home")
	if opts.WorkTree {
		gitDir = filepath.Join(b.repo, ".git")
	}
	for _, d := range []string{b.repo, home} {
		if err := os.Mkdir(d, 0o777); err != nil {
			return nil, diskError(err, "%s cannot take a new directory", parent)
		}
	}
	b.report = Report{Dir: dir, Number: chain[len(chain)-1].Number}
	if b.git, b.report.Git, err = newGit(ctx, opts.Git, gitDir, home); err != nil {
		return nil, err
	}
	if err := b.build(ctx, chain); err != nil {
		return nil, err
	}
	if err := os.Rename(b.repo, dir); err != nil {
		return nil, diskError(err, "%s cannot be put in place", dir)
	}
	if d, err := os.Open(parent); err == nil { // not every system can sync a directory; the rename stands
		_ = d.Sync()
		_ = d.Close()
	}
	return &b.report, nil
}

// chainOf returns the deposits to open: from the last FULL one on, without a
// gap.
func chainOf(deposits []Deposit) ([]Deposit, error) {
	if len(deposits) == 0 {
		return nil, escrow.Errorf(escrow.Missing, "there is no deposit to restore").
			WithHint("give the deposits from a %s one on", escrow.FullDeposit)
	}
	start := -1
	for i, d := range deposits {
		if d.Kind == escrow.FullDeposit {
			start = i
		}
	}
	first, last := deposits[0], deposits[len(deposits)-1]
	if start < 0 {
		return nil, escrow.Errorf(escrow.Missing, "deposits %d to %d are all %s; the %s one they build on is not here", first.Number, last.Number, escrow.IncrementalDeposit, escrow.FullDeposit).
			WithHint("add the deposits before %d, back to the last %s one", first.Number, escrow.FullDeposit)
	}
	chain := deposits[start:]
	for i, d := range chain {
		switch want := chain[0].Number + i; {
		case i > 0 && d.Kind != escrow.IncrementalDeposit:
			return nil, escrow.Errorf(escrow.Invalid, "deposit %d has kind %.20q", d.Number, d.Kind)
		case d.Number > want:
			return nil, escrow.Errorf(escrow.Missing, "deposit %d is not here, and deposit %d builds on it", want, d.Number).
				WithHint("add deposit %d, or restore up to deposit %d", want, want-1)
		case d.Number < want:
			return nil, escrow.Errorf(escrow.Invalid, "deposit %d comes after deposit %d", d.Number, want-1).
				WithHint("give the deposits once each, in the order of their numbers")
		}
	}
	return chain, nil
}

// builder holds what one Rebuild needs at hand.
type builder struct {
	opts   Options
	repo   string // becomes Dir
	git    *git
	report Report
}

func (b *builder) build(ctx context.Context, chain []Deposit) error {
	last, refs, err := b.takeDeposits(ctx, chain)
	if err != nil {
		return err
	}
	b.progress(Progress{Step: StepRefs})
	if err := b.writeRefs(ctx, refs); err != nil {
		return err
	}
	if err := b.setHead(ctx, last, refs); err != nil {
		return err
	}
	// Compared before the long check, and after git has touched the refs.
	if err := b.compare(ctx, last, refs); err != nil {
		return err
	}
	if err := b.takeLFS(ctx); err != nil {
		return err
	}
	b.progress(Progress{Step: StepCheck})
	if err := b.fsck(ctx); err != nil {
		return err
	}
	if err := b.packRefs(ctx); err != nil {
		return err
	}
	if err := b.compare(ctx, last, refs); err != nil {
		return err
	}
	if b.opts.WorkTree && !b.report.HeadOID.IsZero() {
		b.progress(Progress{Step: StepWorkTree})
		return b.checkOut(ctx)
	}
	return nil
}

func (b *builder) progress(p Progress) {
	if b.opts.Progress != nil {
		b.opts.Progress(p)
	}
}

func (b *builder) note(format string, args ...any) {
	b.report.Notes = append(b.report.Notes, fmt.Sprintf(format, args...))
}

// checkOut fills the working tree. Filters, hooks and submodules are off:
// what is written is what the commit holds, LFS pointers included.
func (b *builder) checkOut(ctx context.Context) error {
	if err := b.git.command(ctx, pipes{}, "--work-tree="+b.repo, "read-tree", "--reset", "-u", "HEAD"); err != nil {
		if full := fullDisk(err); full != nil {
			return full
		}
		return escrow.Wrap(err, escrow.Damaged, "HEAD cannot be checked out").
			WithHint("restore without a working tree, then look with: git ls-tree -r HEAD")
	}
	if b.report.LFS.Held > 0 {
		b.note("large files are pointers in the working tree; with git-lfs installed, run: git lfs install --local && git lfs checkout")
	}
	return nil
}
