package server

import (
	"context"
	"slices"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/intake/egress"
	"holdfast/internal/intake/forge"
	"holdfast/internal/job"
	"holdfast/internal/store"
)

// organisation lists the repositories of an organisation and makes each a
// module of its own, which is deposited as any other repository. A listing that
// fails changes nothing.
func (y *syncs) organisation(ctx context.Context, m escrow.Module, reason string) error {
	if m.Kind != escrow.Repository {
		return escrow.Errorf(escrow.Conflict, "module %s is not of repositories", m.ID)
	}
	token, err := y.registryCredential(ctx, m)
	if err != nil {
		return err
	}
	listing, err := forge.List(ctx, forge.Source{Address: m.Source.URL, Token: token, Transport: y.guard.Client(egress.ClientOptions{}).Transport})
	if err != nil {
		return err
	}
	if err := forge.Empty(listing, m.Source.URL); err != nil {
		return err
	}
	var after forge.After
	_, err = y.db.Update(ctx, func(tx *store.Tx) ([]escrow.Act, error) {
		now, err := tx.Module(ctx, m.Arrangement, m.ID)
		if err != nil {
			return nil, err
		}
		if now.Source.URL != m.Source.URL || now.Source.Mode != m.Source.Mode {
			return nil, escrow.Errorf(escrow.Conflict, "the source of module %s was changed just now", m.ID).WithHint("ask for the sync again")
		}
		after, err = y.compare(ctx, tx, now, listing)
		if err != nil {
			return nil, err
		}
		written, queued, err := y.follow(ctx, tx, now, after, reason)
		if err != nil {
			return nil, err
		}
		return append(repositoryActs(now, listing, after, written, y), queued...), nil
	})
	if err == nil {
		y.log.InfoContext(ctx, "organisation listed", "arrangement", m.Arrangement, "module", m.ID, "forge", listing.Kind, "pages", listing.Pages,
			"repositories", len(listing.Repositories), "changes", len(after.Changes))
	}
	return err
}

func (y *syncs) compare(ctx context.Context, tx *store.Tx, m escrow.Module, l *forge.Listing) (forge.After, error) {
	a, err := tx.Arrangement(ctx, m.Arrangement)
	if err != nil {
		return forge.After{}, err
	}
	parsed, problems := agreement.Parse(m.Arrangement, a.Source)
	if parsed == nil {
		return forge.After{}, agreement.Refusal(problems)
	}
	known, err := tx.ForgeRepositories(ctx, m.Arrangement, m.ID)
	if err != nil {
		return forge.After{}, err
	}
	modules, err := tx.Modules(ctx, m.Arrangement)
	if err != nil {
		return forge.After{}, err
	}
	b := forge.Before{Arrangement: m.Arrangement, Organisation: m.ID, Known: known, Agreed: parsed.Repositories(m.ID), Now: y.now()}
	for _, other := range modules {
		b.Taken = append(b.Taken, other.ID)
	}
	return forge.Compare(b, l), nil
}

// follow writes what a listing leads to, and queues a sync of what is new. Of
// the others too when the listing was asked for, or when they have no schedule
// of their own. It reports whether anything was written, and the acts of what was queued.
func (y *syncs) follow(ctx context.Context, tx *store.Tx, m escrow.Module, after forge.After, reason string) (written bool, queued []escrow.Act, err error) {
	for _, r := range after.Drop {
		if err := tx.DropMissingRepository(ctx, r); err != nil {
			return written, nil, err
		}
		written = true
	}
	for _, r := range after.Put {
		if err := tx.PutForgeRepository(ctx, r); err != nil {
			return written, nil, err
		}
		written = true
	}
	for _, r := range after.All {
		if r.Module == "" {
			continue
		}
		want := repositoryModule(m, r)
		have, err := tx.Module(ctx, m.Arrangement, r.Module)
		fresh := escrow.CodeOf(err) == escrow.NotFound
		if err != nil && !fresh {
			return written, nil, err
		}
		if fresh || !sameModule(have, want) {
			if err := tx.PutModule(ctx, want); err != nil {
				return written, nil, err
			}
			written = true
		}
		if r.Fetched() && (fresh || m.Every == 0 || reason != job.Scheduled) {
			why := "listed by module " + m.ID
			if err := tx.EnqueueSync(ctx, y.queue, m.Arrangement, r.Module, why); err != nil {
				return written, nil, err
			}
			queued = append(queued, escrow.Act{Kind: "sync.requested", At: y.now(), Actor: "server", Arrangement: m.Arrangement, Subject: r.Module, Data: map[string]string{"reason": why}})
		}
	}
	return written, queued, nil
}

// repositoryModule is the module that a repository of an organisation is
// deposited in. It is fetched as the organisation is; of what is not fetched
// any more nothing but the schedule ends.
func repositoryModule(o escrow.Module, r escrow.ForgeRepository) escrow.Module {
	m := escrow.Module{Arrangement: o.Arrangement, ID: r.Module, Kind: escrow.Repository, Instance: o.Instance, Compartment: o.Compartment, Rebase: o.Rebase, Every: o.Every,
		Source: escrow.Source{Mode: escrow.Pull, URL: r.URL, LFS: o.Source.LFS, Exclude: o.Source.Exclude}}
	if !r.Fetched() {
		m.Every = 0
	}
	return m
}

func sameModule(a, b escrow.Module) bool {
	return a.Kind == b.Kind && a.Instance == b.Instance && a.Compartment == b.Compartment && a.Rebase == b.Rebase && a.Every == b.Every &&
		a.Source.Mode == b.Source.Mode && a.Source.URL == b.Source.URL && a.Source.LFS == b.Source.LFS && slices.Equal(a.Source.Exclude, b.Source.Exclude)
}

// repositoryActs says what changed: one act for the whole, and a finding for
// each difference.
func repositoryActs(m escrow.Module, l *forge.Listing, after forge.After, written bool, y *syncs) []escrow.Act {
	if !written {
		return nil
	}
	act := func(kind string, data map[string]any) escrow.Act {
		return escrow.Act{Kind: kind, At: y.now(), Actor: "server", Arrangement: m.Arrangement, Subject: m.ID, Data: data}
	}
	counts := map[string]int{}
	var findings []escrow.Act
	for _, c := range after.Changes {
		counts[string(c.Kind)]++
		if !c.Kind.Difference() {
			continue
		}
		data := map[string]any{"module": m.ID, "change": string(c.Kind), "name": c.Name, "origin": l.Origin}
		for name, v := range map[string]string{"was": c.Was, "deposits": c.Module, "number": c.Remote} {
			if v != "" {
				data[name] = v
			}
		}
		findings = append(findings, act(evidence.ActFindingRepositories, data))
	}
	return append([]escrow.Act{act(evidence.ActRepositories, map[string]any{"origin": l.Origin, "forge": string(l.Kind), "listed": len(l.Repositories), "changes": counts})}, findings...)
}

// ownerOfCredentials returns the module whose credentials a module's source is
// fetched with: of a repository of an organisation that of the organisation, as
// long as both are on one host.
func ownerOfCredentials(ctx context.Context, tx *store.Tx, m escrow.Module) (string, error) {
	id := escrow.OrganisationOf(m.ID)
	if id == "" {
		return m.ID, nil
	}
	o, err := tx.Module(ctx, m.Arrangement, id)
	if escrow.CodeOf(err) == escrow.NotFound {
		return m.ID, nil
	}
	if err != nil || o.Source.Mode != escrow.Organisation {
		return m.ID, err
	}
	if !forge.SameOrigin(o.Source.URL, m.Source.URL) {
		return "", escrow.Errorf(escrow.Conflict, "module %s is on another host than the organisation in module %s is now", m.ID, id).WithHint("sync module %s first", id)
	}
	return id, nil
}

// organisations shows the repositories of organisations to the API.
type organisations struct{ db *store.DB }

// Repositories implements api.Organisations.
func (o organisations) Repositories(ctx context.Context, arrangement, module string) ([]client.Repository, error) {
	out := []client.Repository{}
	err := o.db.View(ctx, func(tx *store.Tx) error {
		m, err := tx.Module(ctx, arrangement, module)
		if err != nil {
			return err
		}
		list, err := tx.ForgeRepositories(ctx, arrangement, module)
		if err != nil {
			return err
		}
		if len(list) == 0 && m.Source.Mode != escrow.Organisation {
			return escrow.Errorf(escrow.NotFound, "module %s is not of an organisation", module)
		}
		for _, r := range list {
			c := client.Repository{Number: r.Remote, Name: r.Name, Module: r.Module, URL: r.URL, Private: r.Private, State: string(r.State), Origin: r.Origin, Since: r.ChangedAt.UTC()}
			if r.State == escrow.ForgeMissing {
				c.Number = ""
			}
			if r.Module != "" {
				latest, err := tx.LatestDeposit(ctx, arrangement, r.Module)
				if err != nil && escrow.CodeOf(err) != escrow.NotFound {
					return err
				}
				c.Latest = latest.Number
				status, err := tx.SyncStatus(ctx, arrangement, r.Module)
				if err != nil && escrow.CodeOf(err) != escrow.NotFound {
					return err
				}
				c.LastTry, c.LastError = given(status.AttemptedAt), status.Error
			}
			out = append(out, c)
		}
		return nil
	})
	return out, err
}
