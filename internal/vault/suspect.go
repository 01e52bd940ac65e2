package vault

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// standing refuses what can never be opened or must never come back: objects
// that were destroyed, and an increment on a chain that has lost a deposit.
func standing(ctx context.Context, tx Tx, m *evidence.DepositManifest, segments []string) error {
	names := memory(m, segments)
	for _, o := range m.Objects {
		names = append(names, o.Name)
	}
	gone, err := tx.DestroyedObject(ctx, names)
	if err != nil {
		return err
	}
	if gone != "" {
		return escrow.Errorf(escrow.Conflict, "object %s was destroyed by the decision of two people and cannot be deposited again", gone).
			WithHint("deposit again: what is sealed anew has another name")
	}
	if m.Kind == string(escrow.FullDeposit) {
		return nil
	}
	lost, err := tx.Destroyed(ctx, m.Arrangement, m.Module)
	if err != nil {
		return err
	}
	for _, d := range lost {
		if d.Deposit >= m.Chain && d.Deposit < m.Number {
			return escrow.Errorf(escrow.Conflict, "deposit %d builds on deposit %d of %s, which was destroyed: nobody could open it", m.Number, d.Deposit, m.Module).
				WithHint("deposit again; a fresh chain starts by itself")
		}
	}
	return nil
}

// shrunk says when a FULL deposit is suspiciously small: below half of the
// largest of the chains before it.
const (
	shrunkPart    = 2 // below 1/shrunkPart
	chainsLooked  = 8 // FULL deposits before it that are looked at
	headerAtMost  = 64 << 10
	fewRefsBefore = 4 // so many refs make the loss of most of them suspicious
)

// suspicions compares a deposit with the history of its chain and says what is
// wrong with it, nothing when nothing is. What it finds does not keep the
// deposit from being taken in: it is kept aside, and what was good before does
// not age out until two people have looked.
func suspicions(ctx context.Context, tx Tx, m *evidence.DepositManifest) ([]string, error) {
	var out []string
	if m.Git != nil {
		out = rewritten(m.Git)
	}
	if content(m) == 0 {
		out = append(out, "empty: it holds 0 bytes")
	}
	if m.Number == 1 {
		return out, nil
	}
	before, err := previousFull(ctx, tx, m)
	if err != nil {
		return nil, err
	}
	var largest int64
	at, refs := 0, 0
	for _, b := range before {
		if n := content(b); n > largest {
			largest, at = n, b.Number
		}
		if b.Git != nil {
			refs = max(refs, b.Git.Refs)
		}
	}
	if m.Kind == string(escrow.FullDeposit) && content(m) > 0 && content(m) < largest/shrunkPart {
		out = append(out, fmt.Sprintf("shrunk: it holds %d bytes, deposit %d holds %d", content(m), at, largest))
	}
	if m.Git != nil && m.Git.Refs == 0 && refs > 0 {
		out = append(out, fmt.Sprintf("empty: no ref is left of %d", refs))
	}
	return out, nil
}

// content is the size of what a deposit holds, in bytes: of its plaintext
// where that is known.
func content(m *evidence.DepositManifest) int64 {
	var n int64
	for _, o := range m.Objects {
		switch {
		case o.Plain > 0:
			n += o.Plain
		case o.Size > headerAtMost: // more than the header of an empty sealed object
			n += o.Size
		}
	}
	return n
}

// previousFull returns the manifests of the FULL deposits before m, the newest
// first, at most so many. One that was itself found wrong counts as well: a
// history that shrinks by little steps is compared with its largest.
func previousFull(ctx context.Context, tx Tx, m *evidence.DepositManifest) ([]*evidence.DepositManifest, error) {
	var out []*evidence.DepositManifest
	number := m.Number - 1
	if m.Kind != string(escrow.FullDeposit) {
		number = m.Chain
	}
	for len(out) < chainsLooked && number > 0 {
		d, err := tx.Deposit(ctx, m.Arrangement, m.Module, number)
		if err != nil {
			return nil, err
		}
		p, err := evidence.ParseDepositManifest(d.Manifest)
		if err != nil {
			return nil, fmt.Errorf("stored manifest of deposit %d of %s: %w", number, m.Module, err)
		}
		if p.Kind == string(escrow.FullDeposit) {
			out = append(out, p)
			number--
			continue
		}
		number = p.Chain
	}
	return out, nil
}

// rewritten picks the changes of refs that an honest source seldom makes: a
// default branch or a release branch that lost commits, a tag that moved or
// went, most of the refs gone. Feature branches are rewritten every day; that
// is a finding and not a suspicion.
func rewritten(g *evidence.GitSummary) []string {
	var out []string
	gone := 0
	for _, c := range g.Changes {
		if c.Kind == evidence.RefDeleted {
			gone++
		}
		if !c.TakesAway() || !standsStill(c.Ref, g.Head) {
			continue
		}
		if len(out) < maxListed/10 {
			out = append(out, fmt.Sprintf("%s: %s was %.12s", strings.ReplaceAll(c.Kind, "_", " "), shorten(c.Ref), c.Old))
		}
	}
	if gone >= fewRefsBefore && gone > g.Refs {
		out = append(out, fmt.Sprintf("deleted: %d refs are gone, %d are left", gone, g.Refs))
	}
	return out
}

// standsStill reports whether a ref is one that those who depend on the source
// rely on.
func standsStill(ref, head string) bool {
	if strings.HasPrefix(ref, "refs/tags/") || ref == head {
		return true
	}
	name, ok := strings.CutPrefix(ref, "refs/heads/")
	return ok && (slices.Contains([]string{"main", "master", "trunk", "production", "stable"}, name) || strings.HasPrefix(name, "release"))
}

// marked writes the mark of a suspicious deposit and returns the act that
// shouts about it, nothing for one that looks right.
func marked(ctx context.Context, tx Tx, actor escrow.Actor, m *evidence.DepositManifest, d escrow.Deposit) ([]escrow.Act, error) {
	reasons, err := suspicions(ctx, tx, m)
	if err != nil || len(reasons) == 0 {
		return nil, err
	}
	if err := tx.PutMark(ctx, escrow.Mark{Arrangement: d.Arrangement, Module: d.Module, Deposit: d.Number, Reasons: reasons, MarkedAt: d.AcceptedAt}); err != nil {
		return nil, err
	}
	return []escrow.Act{{Kind: "finding.suspect", At: d.AcceptedAt, Actor: actor.String(), Arrangement: d.Arrangement, Subject: d.Digest,
		Data: map[string]any{"severity": "high", "module": d.Module, "deposit": d.Number, "reasons": reasons,
			"note": "kept aside: it does not count as a good version until two people release it, and nothing good before it ages out"}}}, nil
}
