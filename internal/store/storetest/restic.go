package storetest

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/escrow"
	"holdfast/internal/store"
)

func resticFile(kind escrow.ResticKind, content string, minute int) escrow.ResticFile {
	f := escrow.ResticFile{Arrangement: Acme, Module: "db", Kind: kind, Name: digest(content), Object: digest(content), Size: int64(len(content)), ReceivedAt: at(minute)}
	if kind == escrow.ResticConfig {
		f.Name = "config"
	}
	return f
}

// write of something that is not recorded: no act, and none is asked for.
func (d *Database) arrives(t *testing.T, fn func(ctx context.Context, tx *store.Tx) error) error {
	t.Helper()
	_, err := d.DB.Update(t.Context(), func(tx *store.Tx) ([]escrow.Act, error) { return nil, fn(t.Context(), tx) })
	return err
}

func testRestic(t *testing.T, d *Database) {
	put := func(f escrow.ResticFile, quota int64) (fresh bool, err error) {
		err = d.arrives(t, func(ctx context.Context, tx *store.Tx) (err error) {
			fresh, err = tx.PutResticFile(ctx, f, quota)
			return err
		})
		return fresh, err
	}
	mustPut := func(f escrow.ResticFile) {
		t.Helper()
		if fresh, err := put(f, 0); err != nil || !fresh {
			t.Fatalf("%s/%s: %v, %v", f.Kind, f.Name, fresh, err)
		}
	}
	drop := func() {
		t.Helper()
		if err := d.arrives(t, func(ctx context.Context, tx *store.Tx) error { return tx.DropResticKeys(ctx, Acme, "db") }); err != nil {
			t.Fatal(err)
		}
	}
	usage := func(files, size int64) {
		t.Helper()
		d.Read(t, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.ResticUsage(ctx, Acme, "db")
			if want := (escrow.ResticUsage{Files: files, Bytes: size}); got != want {
				t.Errorf("usage %+v, want %+v", got, want)
			}
			return err
		})
	}
	waiting := func(chain, limit int, want ...escrow.ResticFile) {
		t.Helper()
		d.Read(t, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.ResticWaiting(ctx, Acme, "db", chain, limit)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("waiting (-want +got):\n%s", diff)
			}
			n, serr := tx.ResticSnapshotsWaiting(ctx, Acme, "db", chain)
			snapshots := 0
			for _, f := range want {
				if f.Kind == escrow.ResticSnapshots {
					snapshots++
				}
			}
			if len(want) < limit && n != snapshots {
				t.Errorf("%d snapshots wait, want %d", n, snapshots)
			}
			if err == nil {
				err = serr
			}
			return err
		})
	}
	usage(0, 0)
	// The first init was broken off before its config.
	stale, key, config := resticFile(escrow.ResticKeys, "stale key", 1), resticFile(escrow.ResticKeys, "key", 2), resticFile(escrow.ResticConfig, "config", 3)
	mustPut(stale)
	drop()
	usage(0, 0)
	mustPut(key)
	mustPut(config)
	drop() // does nothing once there is a config
	usage(2, int64(len("key"+"config")))

	snapshot, index, pack := resticFile(escrow.ResticSnapshots, "snapshot", 4), resticFile(escrow.ResticIndex, "index", 5), resticFile(escrow.ResticData, "pack", 6)
	mustPut(snapshot)
	mustPut(index)
	if fresh, err := put(pack, 24); escrow.CodeOf(err) != escrow.Full || fresh {
		t.Errorf("over the quota: %v, %v", fresh, err)
	}
	usage(4, 22)
	mustPut(pack)
	if fresh, err := put(pack, 0); err != nil || fresh {
		t.Errorf("the same again: %v, %v", fresh, err)
	}
	elsewhere := pack
	elsewhere.Kind = escrow.ResticIndex
	if _, err := put(elsewhere, 0); escrow.CodeOf(err) != escrow.Conflict {
		t.Errorf("the same bytes in another place: %v", err)
	}
	other := config
	other.Object = digest("another config")
	if _, err := put(other, 0); escrow.CodeOf(err) != escrow.Conflict {
		t.Errorf("another config: %v", err)
	}
	usage(5, 26)
	d.Read(t, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.ResticFile(ctx, Acme, "db", escrow.ResticData, pack.Name)
		if got != pack || err != nil {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := tx.ResticFile(ctx, Acme, "other", escrow.ResticData, pack.Name); escrow.CodeOf(err) != escrow.NotFound {
			t.Errorf("of another module: %v", err)
		}
		list, err := tx.ResticFiles(ctx, Acme, "db", escrow.ResticData, "", 10)
		if len(list) != 1 || list[0] != pack || err != nil {
			t.Errorf("%v, %v", list, err)
		}
		if list, err = tx.ResticFiles(ctx, Acme, "db", escrow.ResticData, pack.Name, 10); len(list) != 0 || err != nil {
			t.Errorf("after the last: %v, %v", list, err)
		}
		names := map[string]bool{}
		if err := tx.EachObject(ctx, func(name string, _ int64) error { names[name] = true; return nil }); err != nil {
			return err
		}
		if !names[pack.Object] || names[stale.Object] {
			t.Error("the collector is told wrong")
		}
		return nil
	})

	waiting(1, 10, config, key, pack, index, snapshot)
	waiting(1, 2, config, key)
	full := Deposit("db", 1)
	d.Update(t, "deposit.accepted", putDeposit(full))
	increment := Deposit("db", 2)
	increment.Objects = []escrow.Object{{Name: config.Object, Size: config.Size}, {Name: key.Object, Size: key.Size}, {Name: snapshot.Object, Size: snapshot.Size}}
	d.Update(t, "deposit.accepted", putDeposit(increment))
	waiting(1, 10, pack, index)
	waiting(3, 10, config, key, pack, index, snapshot) // a new chain needs all of it again
	d.Read(t, func(ctx context.Context, tx *store.Tx) error {
		number, epoch, err := tx.LastFull(ctx, Acme, "db")
		if number != 1 || epoch != full.Epoch || err != nil {
			t.Errorf("last full %d, epoch %d, %v", number, epoch, err)
		}
		if number, epoch, err = tx.LastFull(ctx, Acme, "none"); number != 0 || epoch != 0 || err != nil {
			t.Errorf("of nothing: %d, %d, %v", number, epoch, err)
		}
		return nil
	})

	// Destroyed files leave the repository, those that another deposit holds
	// do not.
	again := Deposit("db", 3)
	again.Objects = []escrow.Object{{Name: config.Object, Size: config.Size}, {Name: key.Object, Size: key.Size}}
	d.Update(t, "deposit.accepted", putDeposit(again))
	d.Update(t, "destruction.requested", func(ctx context.Context, tx *store.Tx) error { return tx.PutDestruction(ctx, destruction("d1")) })
	lost := escrow.Destroyed{Arrangement: Acme, Module: "db", Deposit: 2, Destruction: "d1", At: at(30), Objects: []escrow.GoneObject{
		{Name: config.Object, Size: config.Size, Kept: true}, {Name: key.Object, Size: key.Size, Kept: true}, {Name: snapshot.Object, Size: snapshot.Size}}}
	d.Update(t, "destruction.approved", func(ctx context.Context, tx *store.Tx) error {
		if err := tx.PutDestruction(ctx, approvedDestruction("d1")); err != nil {
			return err
		}
		return tx.DestroyDeposit(ctx, lost)
	})
	usage(4, 26-snapshot.Size)
	waiting(4, 10, config, key, pack, index)

	lock := func(content string) error {
		return d.arrives(t, func(ctx context.Context, tx *store.Tx) error {
			return tx.PutResticLock(ctx, Acme, "db", escrow.ResticLock{Name: digest(content), Content: []byte(content), ReceivedAt: at(9)}, 2)
		})
	}
	for _, content := range []string{"a", "b", "b"} {
		if err := lock(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := lock("c"); escrow.CodeOf(err) != escrow.Full {
		t.Errorf("a third lock: %v", err)
	}
	if err := d.arrives(t, func(ctx context.Context, tx *store.Tx) error {
		return tx.DeleteResticLock(ctx, Acme, "db", digest("a"))
	}); err != nil {
		t.Fatal(err)
	}
	d.Read(t, func(ctx context.Context, tx *store.Tx) error {
		list, err := tx.ResticLocks(ctx, Acme, "db")
		if diff := cmp.Diff([]escrow.ResticLock{{Name: digest("b"), Content: []byte("b"), ReceivedAt: at(9)}}, list); diff != "" {
			t.Errorf("locks (-want +got):\n%s", diff)
		}
		return err
	})
	if err := d.View(t.Context(), func(tx *store.Tx) error { return tx.DeleteResticLock(t.Context(), Acme, "db", digest("b")) }); err == nil {
		t.Error("a read transaction deleted a lock")
	}
	d.mustVerify(t)
}
