package store

import (
	"context"

	"holdfast/internal/escrow"
)

// forgeTables are the tables of what organisations hold.
func forgeTables() []*table {
	return []*table{newTable("forge_repository", "arrangement organisation origin remote", "", "module name url private:b state changed_us:i")}
}

const forgeColumns = `arrangement, organisation, origin, remote, module, name, url, private, state, changed_us`

func scanForge(s scanner) (r escrow.ForgeRepository, err error) {
	var changed int64
	err = s.Scan(&r.Arrangement, &r.Organisation, &r.Origin, &r.Remote, &r.Module, &r.Name, &r.URL, &r.Private, &r.State, &changed)
	r.ChangedAt = instant(changed)
	return r, err
}

// PutForgeRepository adds a repository of an organisation or changes how it
// stands. The module it is deposited in, once there is one, stays: anything
// else is a Conflict.
func (t *Tx) PutForgeRepository(ctx context.Context, r escrow.ForgeRepository) error {
	n, err := t.write(ctx, "forge_repository", `INSERT INTO forge_repository (`+forgeColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (arrangement, organisation, origin, remote) DO UPDATE SET module = excluded.module, name = excluded.name, url = excluded.url,
			private = excluded.private, state = excluded.state, changed_us = excluded.changed_us
		WHERE forge_repository.module = '' OR forge_repository.module = excluded.module`,
		r.Arrangement, r.Organisation, r.Origin, r.Remote, r.Module, r.Name, r.URL, r.Private, string(r.State), micros(r.ChangedAt))
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.Conflict, "repository %s of %s is deposited in another module than %s", r.Remote, r.Organisation, r.Module)
	}
	return err
}

// DropMissingRepository forgets that an agreed repository is missing.
func (t *Tx) DropMissingRepository(ctx context.Context, r escrow.ForgeRepository) error {
	n, err := t.remove(ctx, "forge_repository", `DELETE FROM forge_repository
		WHERE arrangement = $1 AND organisation = $2 AND origin = $3 AND remote = $4 AND state = 'missing'`,
		r.Arrangement, r.Organisation, r.Origin, r.Remote)
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.NotFound, "repository %s of %s is not missing", r.Name, r.Organisation)
	}
	return err
}

// ForgeRepositories returns what is known of an organisation, by name.
func (t *Tx) ForgeRepositories(ctx context.Context, arrangement, organisation string) ([]escrow.ForgeRepository, error) {
	return many(ctx, t, scanForge, `SELECT `+forgeColumns+` FROM forge_repository WHERE arrangement = $1 AND organisation = $2
		ORDER BY name, origin, remote`, arrangement, organisation)
}
