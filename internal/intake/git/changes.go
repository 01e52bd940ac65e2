package git

import (
	"context"
	"slices"
	"strings"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/history"
	"holdfast/internal/intake/git/object"
)

// changes classifies what became of every ref and of HEAD since the last
// deposit, whether or not the chain goes on.
func (s *syncer) changes(ctx context.Context, commits History) ([]evidence.RefChange, error) {
	p := s.opts.Previous
	if p == nil { // everything is new
		s.result.Summary.New = len(s.plan.refs)
		return nil, nil
	}
	before := history.Snapshot{Refs: p.Refs, Head: p.Head, HeadOID: p.HeadOID}
	return history.Classify(ctx, commits, before, history.Snapshot{Refs: s.plan.refs, Head: s.plan.head, HeadOID: s.plan.headOID})
}

// checkBranches refuses a branch, or a HEAD, that is not at a commit. Git
// never makes one and cannot restore one; a server can say that there is one.
func (s *syncer) checkBranches(ctx context.Context, commits History) error {
	check := func(name string, oid object.OID) error {
		ok, err := commits.IsCommit(ctx, oid)
		if err != nil || ok {
			return err
		}
		return escrow.Errorf(escrow.Invalid, "source %s: %s is at %s, which is not a commit", s.opts.Source.Endpoint, object.QuoteRef(name), oid).
			WithHint("git cannot restore such a branch; repair it at the source, or leave it out by the source's rules")
	}
	last := object.OID{} // many refs of one commit lie beside each other more often than not
	for _, r := range s.plan.changed {
		if !strings.HasPrefix(r.Name, branches) || r.OID == last {
			continue
		}
		if err := check(r.Name, r.OID); err != nil {
			return err
		}
		last = r.OID
	}
	if slices.Contains(s.plan.tips, s.plan.headOID) {
		return check("HEAD", s.plan.headOID)
	}
	return nil
}
