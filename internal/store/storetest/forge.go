package storetest

import (
	"context"
	"testing"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/store"
)

func forgeRepository(remote, module, name string) escrow.ForgeRepository {
	return escrow.ForgeRepository{Arrangement: Acme, Organisation: "code", Origin: "https://forge.example", Remote: remote, Module: module, Name: name,
		URL: "https://forge.example/acme/" + name + ".git", Private: true, State: escrow.ForgePresent, ChangedAt: at(30)}
}

func forgeSteps() []step {
	return []step{{"forge_repository", func(ctx context.Context, tx *store.Tx) error {
		return tx.PutForgeRepository(ctx, forgeRepository("7", "code/app", "app"))
	}}}
}

func testForge(t *testing.T, d *Database) {
	d.Update(t, "module.configured", putModule(Module("code")))
	put := func(r escrow.ForgeRepository) write {
		return func(ctx context.Context, tx *store.Tx) error { return tx.PutForgeRepository(ctx, r) }
	}
	list := func(ctx context.Context, tx *store.Tx) ([]escrow.ForgeRepository, error) {
		return tx.ForgeRepositories(ctx, Acme, "code")
	}
	seven, eight := forgeRepository("7", "code/app", "app"), forgeRepository("8", "", "attic")
	eight.State = escrow.ForgeLeftOut
	missing := escrow.ForgeRepository{Arrangement: Acme, Organisation: "code", Origin: "https://forge.example", Remote: "=docs", Name: "docs", State: escrow.ForgeMissing, ChangedAt: at(31)}
	d.Update(t, "module.repositories", func(ctx context.Context, tx *store.Tx) error {
		for _, r := range []escrow.ForgeRepository{missing, eight, seven} {
			if err := tx.PutForgeRepository(ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
	same(t, d, "by name", []escrow.ForgeRepository{seven, eight, missing}, list)

	seven.Name, seven.State, seven.ChangedAt = "zap", escrow.ForgeArchived, at(32) // renamed: the same one
	eight.Module, eight.State = "code/attic", escrow.ForgePresent
	d.Update(t, "module.repositories", put(seven))
	d.Update(t, "module.repositories", put(eight))
	moved := seven
	moved.Module = "code/zap"
	d.refuses(t, "into another module", escrow.Conflict, put(moved))
	drop := func(r escrow.ForgeRepository) write {
		return func(ctx context.Context, tx *store.Tx) error { return tx.DropMissingRepository(ctx, r) }
	}
	d.refuses(t, "one that is there is not dropped", escrow.NotFound, drop(seven))
	d.Update(t, "module.repositories", drop(missing))
	same(t, d, "after it", []escrow.ForgeRepository{eight, seven}, list)

	// An organisation is due as a repository is.
	d.Update(t, "module.configured", func(ctx context.Context, tx *store.Tx) error {
		m, err := tx.Module(ctx, Acme, "code")
		if err != nil {
			return err
		}
		m.Source.Mode, m.Every = escrow.Organisation, time.Hour
		return tx.PutModule(ctx, m)
	})
	d.Read(t, func(ctx context.Context, tx *store.Tx) error {
		due, err := tx.DueModules(ctx, at(100), 100)
		for _, m := range due {
			if m.ID == "code" {
				return err
			}
		}
		t.Errorf("an organisation is not due: %v", due)
		return err
	})
	d.mustVerify(t)
}
