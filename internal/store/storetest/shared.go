package storetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/store"
)

// testShared: an object that two arrangements are made of reaches the own
// location of each, and is collected when neither needs it.
func testShared(t *testing.T, d *Database) {
	const other = "other"
	ctx := t.Context()
	own := func(id, arrangement string) write {
		return func(ctx context.Context, tx *store.Tx) error {
			l := location(id)
			l.Arrangement, l.Counts = arrangement, false
			return tx.PutLocation(ctx, l)
		}
	}
	d.Update(t, "location.added", func(ctx context.Context, tx *store.Tx) error { return tx.PutLocation(ctx, location("everybodys")) })
	d.Update(t, "location.added", own("acmes", Acme))
	d.Update(t, "location.added", own("others", other))
	now := at(1)
	j := d.DB.Journal(func() time.Time { return now }, 0)
	shared, alone := digest("shared"), digest("alone")
	for _, name := range []string{shared, alone} {
		if err := j.Begin(ctx, escrow.StoredObject{Name: name, Size: 10}, escrow.ObjectOrigin{Arrangement: Acme, Party: "bob"}, []string{"everybodys", "acmes"}); err != nil {
			t.Fatal(err)
		}
	}
	claimed := func(location string) (names []string) {
		t.Helper()
		now = now.Add(time.Hour)
		if err := j.Owe(ctx); err != nil {
			t.Fatal(err)
		}
		list, err := j.Claim(ctx, location, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			names = append(names, c.Name)
		}
		return names
	}
	if got := claimed("others"); len(got) != 0 {
		t.Errorf("what is another arrangement's alone goes to %v", got)
	}
	for _, arrangement := range []string{Acme, other} {
		dep := Deposit("code", 1)
		dep.Arrangement, dep.Digest = arrangement, digest("manifest of "+arrangement)
		dep.Objects = []escrow.Object{{Name: shared, Size: 10}}
		d.Update(t, "deposit.accepted", putDeposit(dep))
	}
	if got := claimed("others"); !slices.Equal(got, []string{shared}) {
		t.Errorf("the other arrangement's location gets %v", got)
	}
	if got := claimed("acmes"); len(got) != 2 {
		t.Errorf("the first one's location gets %v", got)
	}
	collectable := func() (names []string) {
		t.Helper()
		d.Read(t, func(ctx context.Context, tx *store.Tx) (err error) {
			names, err = tx.Collectables(ctx, now.Add(time.Hour), 10)
			return err
		})
		return names
	}
	if got := collectable(); !slices.Equal(got, []string{alone}) {
		t.Errorf("to be collected: %v", got)
	}
	d.Update(t, "destruction.requested", func(ctx context.Context, tx *store.Tx) error { return tx.PutDestruction(ctx, destruction("d1")) })
	d.Update(t, "destruction.approved", func(ctx context.Context, tx *store.Tx) error {
		return tx.DestroyDeposit(ctx, escrow.Destroyed{Arrangement: Acme, Module: "code", Deposit: 1, Destruction: "d1", At: at(5), Objects: []escrow.GoneObject{{Name: shared, Size: 10, Kept: true}}})
	})
	if got := collectable(); slices.Contains(got, shared) {
		t.Error("what the other arrangement is made of would be collected")
	}
}
