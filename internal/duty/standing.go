package duty

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/internal/escrow"
	rules "holdfast/internal/escrow/duty"
)

// standing works out how a module stands, from stored times alone.
func (w *Watch) standing(ctx context.Context, tx Tx, a escrow.Arrangement, m escrow.Module, agreed func(module string) (rules.Terms, bool)) (s Standing, named bool, err error) {
	s.Module = m
	if s.Terms, named = agreed(m.ID); !named {
		return s, false, nil
	}
	heads, err := tx.DepositHeads(ctx, a.ID, m.ID)
	if err != nil {
		return s, true, err
	}
	if s.Decisions, err = tx.Decisions(ctx, a.ID, m.ID); err != nil {
		return s, true, err
	}
	releases, err := tx.Releases(ctx, a.ID, m.ID)
	if err != nil {
		return s, true, err
	}
	gaps, err := tx.Gaps(ctx)
	if err != nil {
		return s, true, err
	}
	f := rules.Facts{Since: a.CreatedAt, ByLook: m.Source.Mode == escrow.Organisation}
	if f.Looked, err = looked(ctx, tx, m, heads); err != nil {
		return s, true, err
	}
	if fetched, since, err := atForge(ctx, tx, m); err != nil || !fetched {
		return s, false, err // it is kept, and nothing new of it can come
	} else if len(heads) == 0 && since.After(f.Since) {
		f.Since = since
	}
	for _, d := range heads {
		x := rules.Deposit{Number: d.Number, At: d.AcceptedAt}
		for _, word := range s.Decisions {
			if word.Deposit == d.Number {
				x.Settled, x.Refused = true, word.Refused
			}
		}
		f.Deposits = append(f.Deposits, x)
	}
	for _, r := range releases {
		f.Releases = append(f.Releases, r.AnnouncedAt)
	}
	for _, g := range gaps {
		f.Gaps = append(f.Gaps, rules.Gap{From: g.From, To: g.To})
	}
	s.State = rules.At(s.Terms, f, w.now())
	if s.Found, err = found(ctx, tx, m, s); err != nil {
		return s, true, err
	}
	s.Steps, err = tx.DutySteps(ctx, a.ID, m.ID)
	return s, true, err
}

// looked is when the source of a module was last read whole. Of what the
// server fetches itself nobody else's word counts, and what restic writes into
// cannot be looked at: a sync of it reads only what the depositor sent.
func looked(ctx context.Context, tx Tx, m escrow.Module, heads []escrow.Deposit) (time.Time, error) {
	switch m.Source.Mode {
	case escrow.Pull, escrow.Organisation:
		status, err := tx.SyncStatus(ctx, m.Arrangement, m.ID)
		if escrow.CodeOf(err) == escrow.NotFound {
			err = nil
		}
		return status.SucceededAt, err
	case escrow.Push:
	default:
		return time.Time{}, nil
	}
	u, err := tx.Unchanged(ctx, m.Arrangement, m.ID)
	if escrow.CodeOf(err) == escrow.NotFound {
		return time.Time{}, nil
	}
	if err != nil || len(heads) == 0 || heads[len(heads)-1].Number != u.Deposit {
		return time.Time{}, err
	}
	// That nothing changed since a deposit that looks wrong is no good news:
	// it counts when two people have said that the deposit is right.
	marks, err := tx.Marks(ctx, m.Arrangement, m.ID)
	for _, mark := range marks {
		if mark.Deposit == u.Deposit && !mark.Released() {
			return time.Time{}, err
		}
	}
	return u.LookedAt(), err
}

// atForge reports whether a module's repository is still fetched, and since
// when it is known to be there. Of a module that is not of an organisation
// nothing is asked.
func atForge(ctx context.Context, tx Tx, m escrow.Module) (fetched bool, since time.Time, err error) {
	organisation := escrow.OrganisationOf(m.ID)
	if organisation == "" || m.Source.Mode != escrow.Pull {
		return true, since, nil
	}
	list, err := tx.ForgeRepositories(ctx, m.Arrangement, organisation)
	for _, r := range list {
		if r.Module == m.ID {
			return r.Fetched(), r.ChangedAt, err
		}
	}
	return true, since, err
}

// found lists what is missing and nobody has decided about.
func found(ctx context.Context, tx Tx, m escrow.Module, s Standing) ([]escrow.FoundDefects, error) {
	if m.Source.Mode == escrow.Organisation {
		return missingRepositories(ctx, tx, m, s.Terms.Mandatory)
	}
	list, err := tx.Defects(ctx, m.Arrangement, m.ID)
	return slices.DeleteFunc(list, func(d escrow.FoundDefects) bool {
		return slices.ContainsFunc(s.Decisions, func(word escrow.Decision) bool { return word.Deposit == d.Deposit && word.Party != escrow.ByIntake })
	}), err
}

// missingRepositories says which repositories the agreement names and the
// organisation does not have.
func missingRepositories(ctx context.Context, tx Tx, m escrow.Module, agreed []string) ([]escrow.FoundDefects, error) {
	list, err := tx.ForgeRepositories(ctx, m.Arrangement, m.ID)
	if err != nil {
		return nil, err
	}
	d := escrow.FoundDefects{Arrangement: m.Arrangement, Module: m.ID}
	for _, r := range list {
		named := slices.ContainsFunc(agreed, func(name string) bool { return strings.EqualFold(name, r.Name) })
		switch {
		case r.State == escrow.ForgeMissing:
			d.Defects = append(d.Defects, fmt.Sprintf("%s: the agreement names this repository, and %s does not list it", r.Name, r.Origin))
		case r.State == escrow.ForgeGone && named:
			d.Defects = append(d.Defects, fmt.Sprintf("%s: it was there, and %s does not list it any more; what was deposited is kept", r.Name, r.Origin))
		default:
			continue
		}
		if r.ChangedAt.After(d.FoundAt) {
			d.FoundAt = r.ChangedAt
		}
	}
	if len(d.Defects) == 0 {
		return nil, nil
	}
	return []escrow.FoundDefects{d}, nil
}
