package storetest

import (
	"context"
	"testing"

	"holdfast/internal/escrow"
	"holdfast/internal/store"
)

func leaving(party string) escrow.Leaving {
	return escrow.Leaving{Arrangement: Acme, Party: party, State: escrow.LeavingNoticed, Person: "bea", Authority: "besluit 9", Document: []byte("notice of " + party),
		Signature: []byte("sig"), Key: "ssh-ed25519 AAAA bea", NoticedAt: at(40), EndsAt: at(60), Readers: []string{"agent", party}}
}

// accessionSteps fill the table of who leaves.
func accessionSteps() []step {
	return []step{{"leaving", func(ctx context.Context, tx *store.Tx) error { return tx.PutLeaving(ctx, leaving("gem-b")) }}}
}

func testAccession(t *testing.T, d *Database) {
	put := func(l escrow.Leaving) write {
		return func(ctx context.Context, tx *store.Tx) error { return tx.PutLeaving(ctx, l) }
	}
	get := func(ctx context.Context, tx *store.Tx) (escrow.Leaving, error) { return tx.Leaving(ctx, Acme, "gem-b") }
	absent(t, d, "no notice", get)

	noticed := leaving("gem-b")
	d.Update(t, "agreement.leave_noticed", put(noticed))
	same(t, d, "noticed", noticed, get)
	changed := noticed
	changed.Document, changed.Person = []byte("another"), "mallory"
	d.refuses(t, "another notice in its place", escrow.Conflict, put(changed))
	certified := noticed
	certified.State = escrow.LeavingCertified
	d.refuses(t, "certified before it ended", escrow.Conflict, put(certified))

	withdrawn := noticed
	withdrawn.State, withdrawn.Withdrawn, withdrawn.WithdrawnAt = escrow.LeavingWithdrawn, "we stay", at(41)
	d.Update(t, "agreement.leave_withdrawn", put(withdrawn))
	same(t, d, "withdrawn", withdrawn, get)
	ended := noticed
	ended.State, ended.Version, ended.Agreement, ended.EndedAt = escrow.LeavingEnded, 3, digest("third"), at(61)
	ended.Modules, ended.Compartments = []string{"db/gem-b", "docs/gem-b"}, []string{"data/gem-b"}
	d.refuses(t, "ended after it was taken back", escrow.Conflict, put(ended))

	again := leaving("gem-b")
	again.Document, again.NoticedAt = []byte("the second notice"), at(42)
	d.Update(t, "agreement.leave_noticed", put(again))
	blocked := again
	blocked.Blocked = "a case is open"
	d.Update(t, "agreement.leave_blocked", put(blocked))
	same(t, d, "blocked", blocked, get)
	d.Update(t, "agreement.leave_noticed", put(leaving("gem-c")))
	d.refuses(t, "ended by the notice that was taken back", escrow.Conflict, put(ended))
	ended.Document, ended.NoticedAt = again.Document, again.NoticedAt
	d.Update(t, "agreement.left", put(ended))
	same(t, d, "ended", ended, get)
	d.refuses(t, "taken back after it ended", escrow.Conflict, put(withdrawn))
	d.refuses(t, "noticed after it ended", escrow.Conflict, put(again))

	done := ended
	done.State, done.Certificate, done.CertificateSig, done.CertifiedAt = escrow.LeavingCertified, []byte("cert"), []byte("sig"), at(62)
	d.Update(t, "agreement.leave_certified", put(done))
	d.refuses(t, "ended after it was certified", escrow.Conflict, put(ended))
	d.refuses(t, "another certificate", escrow.Conflict, put(done))
	same(t, d, "all", []escrow.Leaving{leaving("gem-c"), done}, func(ctx context.Context, tx *store.Tx) ([]escrow.Leaving, error) { return tx.Leavings(ctx, Acme) })
	same(t, d, "those to come", []escrow.Leaving{leaving("gem-c")}, func(ctx context.Context, tx *store.Tx) ([]escrow.Leaving, error) {
		return tx.LeavingsIn(ctx, escrow.LeavingNoticed)
	})
	same(t, d, "another arrangement", nil, func(ctx context.Context, tx *store.Tx) ([]escrow.Leaving, error) {
		return tx.Leavings(ctx, "elsewhere")
	})
}

// What is kept of a module beside its deposits goes; its deposits, and what is
// kept of others, stay.
func testForgetUnfinished(t *testing.T, d *Database) {
	d.Fill(t)
	for _, module := range []string{"code", "db"} {
		err := d.arrives(t, func(ctx context.Context, tx *store.Tx) error {
			f := resticFile(escrow.ResticData, "unfinished in "+module, 50)
			f.Module = module
			_, err := tx.PutResticFile(ctx, f, 0)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	state := func(ctx context.Context, tx *store.Tx) (escrow.SourceState, error) {
		return tx.SourceState(ctx, Acme, "code")
	}
	same(t, d, "before", sourceState(1), state)
	for range 2 { // again changes nothing
		d.Update(t, "agreement.leave_certified", func(ctx context.Context, tx *store.Tx) error {
			if err := tx.PutSetting(ctx, "touched", "yes"); err != nil {
				return err
			}
			return tx.ForgetUnfinished(ctx, Acme, "code")
		})
	}
	absent(t, d, "after", state)
	d.Read(t, func(ctx context.Context, tx *store.Tx) error {
		for module, want := range map[string]int64{"code": 0, "db": 1} {
			used, err := tx.ResticUsage(ctx, Acme, module)
			if err != nil {
				return err
			}
			if used.Files != want {
				t.Errorf("%s: %d files, want %d", module, used.Files, want)
			}
		}
		list, err := tx.DepositHeads(ctx, Acme, "code")
		if len(list) == 0 {
			t.Error("the deposits are gone")
		}
		return err
	})
	d.mustVerify(t)
}
