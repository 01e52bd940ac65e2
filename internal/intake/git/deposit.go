package git

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/bundle"
	"holdfast/internal/intake/git/inventory"
	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/pack"
)

// emptyPack reads as the pack without objects. A deposit in which only refs
// changed has one, so that every deposit can be opened the same way.
func emptyPack(f object.Format) io.Reader {
	head := binary.BigEndian.AppendUint32([]byte("PACK"), 2)
	head = binary.BigEndian.AppendUint32(head, 0)
	sum := f.New()
	sum.Write(head)
	return bytes.NewReader(sum.Sum(head))
}

// writeHead writes what stands before the pack: the inventory line and the
// bundle's header. It returns their length.
func (s *syncer) writeHead(ctx context.Context, w io.Writer, common []object.OID) (int64, error) {
	p := s.plan
	header := &bundle.Header{Format: p.format, Refs: p.changed}
	// The lists are in order and compared already. The constructors of the
	// package would copy and compare them again, which at 100,000 refs is half
	// of the memory of a sync.
	inv := &inventory.Inventory{
		ObjectFormat: p.format, Kind: s.result.Kind, Head: p.head, HeadOID: p.headOID,
		Refs: p.changed, Deleted: p.deleted, Count: len(p.refs), RefsDigest: inventory.RefsDigest(p.refs),
	}
	if s.result.Kind == escrow.FullDeposit {
		if !p.headOID.IsZero() { // makes a plain git clone check out the right branch
			header.Refs = append(slices.Clip(p.changed), object.Ref{Name: "HEAD", OID: p.headOID})
		}
	} else {
		inv.Previous = inventory.RefsDigest(p.before)
		header.Prerequisites = p.prerequisites(common)
		if len(header.Prerequisites) == 0 {
			// Only a tag is left of what the source had: the bundle must not
			// pass for a whole one, and only a commit can say so.
			commits := s.opts.Known.With(&pack.Report{Format: p.format})
			for _, o := range common {
				ok, err := commits.IsCommit(ctx, o)
				if err != nil {
					return 0, err
				}
				if ok {
					header.Prerequisites = []object.OID{o}
					break
				}
			}
		}
	}
	line, err := inv.Line()
	if err != nil {
		return 0, err
	}
	n, err := w.Write(append(line, '\n'))
	if err != nil {
		return 0, err
	}
	m, err := header.WriteTo(w)
	return int64(n) + m, err
}

// check reads the sealed object back and proves it whole.
func (s *syncer) check(ctx context.Context, sealed Envelope, off, size int64) error {
	plain, length, err := sealed.Plaintext()
	if err != nil {
		return err
	}
	if length != off+size {
		return escrow.Errorf(escrow.Damaged, "source %s: %d bytes were sealed and %d can be read back", s.opts.Source.Endpoint, off+size, length).
			WithHint("the storage behind the vault is at fault; nothing was kept")
	}
	var known pack.Known
	if s.result.Kind == escrow.IncrementalDeposit {
		known = s.opts.Known
	}
	report, err := pack.Check(ctx, plain, off, size, pack.Options{
		Format: s.plan.format, Known: known, Tips: s.plan.tips,
		Limits: s.opts.Limits, MemoryBudget: s.opts.Memory, Workers: s.opts.Workers,
	})
	if err != nil {
		if e, ok := errors.AsType[*escrow.Error](err); ok { // it does not know the source's name
			named := *e
			named.Message = fmt.Sprintf("source %s: %s", s.opts.Source.Endpoint, e.Message)
			return &named
		}
		return err
	}
	s.result.Report = report
	if size > largePack {
		// The check's tables are dead now. The collector, which lets garbage
		// grow to the size of what was live last, would take them for live
		// until long after.
		runtime.GC()
	}
	return nil
}

// largePack is the size of a pack, in bytes, whose check takes memory worth
// giving back at once.
const largePack = 1 << 20

// describe fills in what the result says of the deposit.
func (s *syncer) describe(ctx context.Context) error {
	p, r := s.plan, &s.result
	commits := s.opts.Known.With(r.Report)
	if err := s.checkBranches(ctx, commits); err != nil {
		return err
	}
	r.Summary = evidence.GitSummary{
		ObjectFormat: p.format.String(), Head: object.QuoteRef(p.head), Refs: len(p.refs),
		Objects: r.Report.Objects, PackBytes: r.Stats.Pack,
	}
	changes, err := s.changes(ctx, commits)
	if err != nil {
		return err
	}
	for _, c := range changes {
		switch c.Kind {
		case evidence.RefNew:
			r.Summary.New++
		case evidence.RefFastForward:
			r.Summary.FastForward++
		default:
			r.Summary.Changes = append(r.Summary.Changes, c)
		}
	}
	next := &State{Format: p.format, Deposit: 1, Head: p.head, HeadOID: p.headOID, Refs: p.refs, Refused: refusedNames(p.refused)}
	var base State
	if s.opts.Previous != nil {
		next.Deposit = s.opts.Previous.Deposit + 1
		if r.Kind == escrow.IncrementalDeposit {
			base = *s.opts.Previous
			next.Increments = base.Increments + 1
		}
	}
	var found []LFSObject
	for _, o := range r.Report.LFS {
		found = append(found, LFSObject{OID: o.OID, Size: o.Size, Path: o.Path})
	}
	next.LFS = mergeLFS(base.LFS, found)
	var links []Submodule
	for _, m := range r.Report.Submodules {
		links = append(links, Submodule{Path: m.Path, URL: m.URL, Commit: m.Commit})
	}
	next.Submodules = mergeSubmodules(base.Submodules, links)
	if err := s.fetchLarge(ctx, next.LFS); err != nil {
		return err
	}
	for _, o := range next.LFS {
		r.Lacking.LFS = append(r.Lacking.LFS, LFSEntry{LFSObject: o, Reason: s.large.reasons[o.OID]})
		if o.Held {
			r.Summary.LFSHeld++
		} else {
			r.Summary.LFSMissing++
		}
	}
	r.State = next
	r.Lacking.Submodules = next.Submodules
	r.Lacking.Refused = p.refused
	r.Missing = r.Lacking.lines()
	r.Summary.Submodules = len(next.Submodules)
	for _, name := range next.Refused[:min(len(next.Refused), maxLines)] {
		r.Summary.Refused = append(r.Summary.Refused, shorten(object.QuoteRef(name)))
	}
	// The list of an earlier deposit of the chain still holds when nothing on
	// it has changed. It would take more room than many an increment.
	if r.Kind == escrow.IncrementalDeposit && slices.Equal(next.LFS, base.LFS) && slices.Equal(next.Submodules, base.Submodules) && slices.Equal(next.Refused, base.Refused) {
		return nil
	}
	return s.writeReport(ctx)
}

// writeReport seals the completeness list, when there is something on it.
func (s *syncer) writeReport(ctx context.Context) error {
	if s.result.Kind == escrow.FullDeposit && s.result.Lacking.empty() {
		return nil
	}
	text, err := s.result.Lacking.Document()
	if err != nil {
		return err
	}
	e, err := s.create(ctx, RoleReport)
	if err != nil {
		return err
	}
	if _, err := e.Write(text); err != nil {
		return err
	}
	return e.Finish()
}
