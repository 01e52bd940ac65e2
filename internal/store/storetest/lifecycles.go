package storetest

import (
	"context"
	"fmt"
	"testing"

	"holdfast/internal/escrow"
	"holdfast/internal/store"
)

func putEpoch(e escrow.Epoch) write {
	return func(ctx context.Context, tx *store.Tx) error { return tx.PutEpoch(ctx, e) }
}

func testEpochs(t *testing.T, d *Database) {
	get := func(number int) func(ctx context.Context, tx *store.Tx) (escrow.Epoch, error) {
		return func(ctx context.Context, tx *store.Tx) (escrow.Epoch, error) {
			return tx.Epoch(ctx, Acme, "materials", number)
		}
	}
	active := func(ctx context.Context, tx *store.Tx) (escrow.Epoch, error) {
		return tx.ActiveEpoch(ctx, Acme, "materials")
	}

	d.refuses(t, "second first", escrow.Conflict, putEpoch(epoch(2)))
	ended := epoch(1)
	ended.State = escrow.EpochEnded
	d.refuses(t, "born ended", escrow.Conflict, putEpoch(ended))
	d.Update(t, "epoch.dealt", putEpoch(epoch(1)))
	same(t, d, "dealt", epoch(1), get(1))
	absent(t, d, "none active", active)

	first := epoch(1)
	first.State, first.ActivatedAt = escrow.EpochActive, at(4)
	d.Update(t, "epoch.active", putEpoch(first))
	same(t, d, "active", first, active)
	for name, change := range map[string]func(*escrow.Epoch){
		"another recipient": func(e *escrow.Epoch) { e.Recipient = "age1pqmine" },
		"another manifest":  func(e *escrow.Epoch) { e.Manifest = []byte("x") },
		"another signature": func(e *escrow.Epoch) { e.Signature = []byte("x") },
		"another set":       func(e *escrow.Epoch) { e.Set = "x" },
		"fewer required":    func(e *escrow.Epoch) { e.Required = 1 },
		"another day":       func(e *escrow.Epoch) { e.DealtAt = at(99) },
		"back to dealt":     func(e *escrow.Epoch) { e.State = escrow.EpochDealt },
		"abandoned":         func(e *escrow.Epoch) { e.State = escrow.EpochAbandoned },
	} {
		changed := first
		change(&changed)
		d.refuses(t, name, escrow.Conflict, putEpoch(changed))
	}
	same(t, d, "unchanged", first, get(1))

	d.Update(t, "epoch.dealt", putEpoch(epoch(2)))
	second := epoch(2)
	second.State, second.ActivatedAt = escrow.EpochActive, at(8)
	d.refuses(t, "two active", escrow.Conflict, putEpoch(second))
	first.State, first.EndedAt, first.EndReason = escrow.EpochEnded, at(8), "rotated"
	d.Update(t, "epoch.active", func(ctx context.Context, tx *store.Tx) error {
		if err := tx.PutEpoch(ctx, first); err != nil {
			return err
		}
		return tx.PutEpoch(ctx, second)
	})
	same(t, d, "active now", second, active)
	again := first
	again.State = escrow.EpochActive
	d.refuses(t, "ended comes back", escrow.Conflict, putEpoch(again))

	d.Update(t, "epoch.dealt", putEpoch(epoch(3)))
	third := epoch(3)
	third.State, third.EndedAt = escrow.EpochAbandoned, at(9)
	d.Update(t, "epoch.abandoned", putEpoch(third))
	third.State = escrow.EpochActive
	d.refuses(t, "abandoned comes back", escrow.Conflict, putEpoch(third))

	direct := epoch(4)
	direct.State = escrow.EpochActive
	d.refuses(t, "born active beside another", escrow.Conflict, putEpoch(direct))
	direct.Compartment, direct.Number = "data/gem-a", 1
	direct.Recipient, direct.Required = "", 0 // sealed to its party itself: nobody accepts
	d.Update(t, "epoch.dealt", putEpoch(direct))
	third.State = escrow.EpochAbandoned
	same(t, d, "of one", []escrow.Epoch{first, second, third}, func(ctx context.Context, tx *store.Tx) ([]escrow.Epoch, error) {
		return tx.Epochs(ctx, Acme, "materials")
	})
	d.mustVerify(t)
}

func testShares(t *testing.T, d *Database) {
	share := func(person string) write {
		return func(ctx context.Context, tx *store.Tx) error { return tx.PutSharePackage(ctx, sharePackage(person)) }
	}
	accept := func(person string) write {
		return func(ctx context.Context, tx *store.Tx) error { return tx.PutAcceptance(ctx, acceptance(person)) }
	}
	d.refuses(t, "share of no epoch", escrow.Conflict, share("anna"))
	d.refuses(t, "acceptance of no epoch", escrow.Conflict, accept("anna"))
	d.Update(t, "epoch.dealt", putEpoch(epoch(1)))
	for _, person := range []string{"bob", "anna"} {
		d.Update(t, "share.dealt", share(person))
		d.Update(t, "share.accepted", accept(person))
	}
	d.refuses(t, "another share", escrow.Conflict, share("anna"))
	d.refuses(t, "accepted twice", escrow.Conflict, accept("anna"))
	same(t, d, "one", sharePackage("bob"), func(ctx context.Context, tx *store.Tx) (escrow.SharePackage, error) {
		return tx.SharePackage(ctx, Acme, "materials", 1, "notaris", "bob")
	})
	absent(t, d, "none", func(ctx context.Context, tx *store.Tx) (escrow.SharePackage, error) {
		return tx.SharePackage(ctx, Acme, "materials", 1, "notaris", "carl")
	})
	same(t, d, "packages", []escrow.SharePackage{sharePackage("anna"), sharePackage("bob")},
		func(ctx context.Context, tx *store.Tx) ([]escrow.SharePackage, error) {
			return tx.SharePackages(ctx, Acme, "materials", 1)
		})
	same(t, d, "acceptances", []escrow.Acceptance{acceptance("anna"), acceptance("bob")},
		func(ctx context.Context, tx *store.Tx) ([]escrow.Acceptance, error) {
			return tx.Acceptances(ctx, Acme, "materials", 1)
		})
	d.mustVerify(t)
}

func putDeposit(dep escrow.Deposit) write {
	return func(ctx context.Context, tx *store.Tx) error { return tx.PutDeposit(ctx, dep) }
}

func bare(d escrow.Deposit) escrow.Deposit {
	d.Objects = nil
	return d
}

func testDeposits(t *testing.T, d *Database) {
	latest := func(ctx context.Context, tx *store.Tx) (escrow.Deposit, error) {
		return tx.LatestDeposit(ctx, Acme, "code")
	}
	absent(t, d, "none yet", latest)
	var all []escrow.Deposit
	for n := 1; n <= 13; n++ {
		d.Update(t, "deposit.accepted", putDeposit(Deposit("code", n)))
		all = append(all, bare(Deposit("code", n)))
	}
	d.Update(t, "deposit.accepted", putDeposit(Deposit("docs", 1)))
	same(t, d, "latest", Deposit("code", 13), latest)
	same(t, d, "one", Deposit("code", 7), func(ctx context.Context, tx *store.Tx) (escrow.Deposit, error) {
		return tx.Deposit(ctx, Acme, "code", 7)
	})
	absent(t, d, "none", func(ctx context.Context, tx *store.Tx) (escrow.Deposit, error) {
		return tx.Deposit(ctx, Acme, "code", 14)
	})
	same(t, d, "all", all, func(ctx context.Context, tx *store.Tx) ([]escrow.Deposit, error) {
		return tx.Deposits(ctx, Acme, "code")
	})

	same(t, d, "with object", []escrow.Deposit{bare(Deposit("code", 3))}, func(ctx context.Context, tx *store.Tx) ([]escrow.Deposit, error) {
		return tx.DepositsWithObject(ctx, Acme, Deposit("code", 3).Objects[1].Name)
	})
	same(t, d, "object of another arrangement", nil, func(ctx context.Context, tx *store.Tx) ([]escrow.Deposit, error) {
		return tx.DepositsWithObject(ctx, "other", Deposit("code", 3).Objects[1].Name)
	})
	d.Read(t, func(ctx context.Context, tx *store.Tx) error {
		sizes := make(map[string]int64)
		err := tx.EachObject(ctx, func(name string, size int64) error { sizes[name] = size; return nil })
		if len(sizes) != 28 || sizes[Deposit("docs", 1).Objects[1].Name] != 200 {
			t.Errorf("%d objects", len(sizes))
		}
		return err
	})
	d.mustVerify(t)
}

// Whatever else is wrong, a deposit has its place and keeps it.
func testDepositGuards(t *testing.T, d *Database) {
	d.refuses(t, "second first", escrow.Conflict, putDeposit(Deposit("code", 2)))
	d.Update(t, "deposit.accepted", putDeposit(Deposit("code", 1)))
	d.Update(t, "deposit.accepted", putDeposit(Deposit("code", 2)))
	for name, change := range map[string]func(*escrow.Deposit){
		"the same again":       func(d *escrow.Deposit) { *d = Deposit("code", 2) },
		"a number left out":    func(d *escrow.Deposit) { d.Number = 4 },
		"an old number":        func(d *escrow.Deposit) { d.Number = 1; d.Predecessor = "" },
		"another predecessor":  func(d *escrow.Deposit) { d.Predecessor = digest("fork") },
		"no predecessor":       func(d *escrow.Deposit) { d.Predecessor = "" },
		"an older predecessor": func(d *escrow.Deposit) { d.Predecessor = Deposit("code", 1).Digest },
		"a manifest twice":     func(d *escrow.Deposit) { d.Digest = Deposit("code", 1).Digest },
	} {
		dep := Deposit("code", 3)
		change(&dep)
		d.refuses(t, name, escrow.Conflict, putDeposit(dep))
	}
	twice := Deposit("code", 3)
	twice.Objects[1] = twice.Objects[0]
	d.refuses(t, "an object twice", escrow.Conflict, putDeposit(twice))
	same(t, d, "untouched", Deposit("code", 2), func(ctx context.Context, tx *store.Tx) (escrow.Deposit, error) {
		return tx.LatestDeposit(ctx, Acme, "code")
	})
	d.Update(t, "deposit.accepted", putDeposit(Deposit("code", 3)))
	d.mustVerify(t)
}

// Many objects are one row of the act.
func testLargeDeposit(t *testing.T, d *Database) {
	dep := Deposit("code", 1)
	dep.Objects = nil
	for i := range 12_345 {
		dep.Objects = append(dep.Objects, escrow.Object{Name: digest(fmt.Sprint(i)), Size: int64(i + 1)})
	}
	entries := d.Update(t, "deposit.accepted", putDeposit(dep))
	act, err := entries[0].Act()
	if err != nil {
		t.Fatal(err)
	}
	if len(act.Rows) != 2 {
		t.Errorf("the act records %d rows, want the deposit and its objects", len(act.Rows))
	}
	same(t, d, "objects", dep, func(ctx context.Context, tx *store.Tx) (escrow.Deposit, error) {
		return tx.Deposit(ctx, Acme, "code", 1)
	})
	d.mustVerify(t)
}

func testSourceState(t *testing.T, d *Database) {
	put := func(s escrow.SourceState) write {
		return func(ctx context.Context, tx *store.Tx) error { return tx.PutSourceState(ctx, s) }
	}
	get := func(ctx context.Context, tx *store.Tx) (escrow.SourceState, error) {
		return tx.SourceState(ctx, Acme, "code")
	}
	d.refuses(t, "state of no deposit", escrow.Conflict, put(sourceState(1)))
	absent(t, d, "none", get)
	d.Update(t, "deposit.accepted", putDeposit(Deposit("code", 1)))
	d.Update(t, "deposit.accepted", putDeposit(Deposit("code", 2)))
	d.refuses(t, "state of an older deposit", escrow.Conflict, put(sourceState(1)))
	d.refuses(t, "state of a deposit to come", escrow.Conflict, put(sourceState(3)))
	d.Update(t, "state", put(sourceState(2)))
	same(t, d, "two", sourceState(2), get)
	merged := sourceState(2)
	merged.Segments = nil
	d.Update(t, "state", put(merged))
	same(t, d, "merged", merged, get)
	d.Update(t, "deposit.accepted", putDeposit(Deposit("code", 3)))
	d.refuses(t, "going back", escrow.Conflict, put(sourceState(2)))
	d.Update(t, "state", put(sourceState(3)))
	d.Read(t, func(ctx context.Context, tx *store.Tx) error {
		names := make(map[string]bool)
		err := tx.EachObject(ctx, func(name string, _ int64) error { names[name] = true; return nil })
		for _, want := range []string{sourceState(3).State, digest("segment 1"), digest("segment 2")} {
			if !names[want] {
				t.Errorf("the collector is not told of %s", want)
			}
		}
		return err
	})
	d.mustVerify(t)
}

func putCase(c escrow.Case) write {
	return func(ctx context.Context, tx *store.Tx) error { return tx.PutCase(ctx, c) }
}

func testCases(t *testing.T, d *Database) {
	get := func(ctx context.Context, tx *store.Tx) (escrow.Case, error) { return tx.Case(ctx, Acme, "c1") }
	absent(t, d, "none", get)
	c := releaseCase()
	d.Update(t, "case.opened", putCase(c))
	same(t, d, "opened", c, get)
	c.State, c.NoticedAt, c.ContestEnds = escrow.CaseNoticed, at(6), at(100)
	d.Update(t, "case.noticed", putCase(c))
	c.State, c.Statement = escrow.CaseApproving, []byte("statement")
	d.Update(t, "case.approving", putCase(c))
	same(t, d, "approving", c, get)
	for name, change := range map[string]func(*escrow.Case){
		"another claimant":    func(c *escrow.Case) { c.Claimant = "gem-b" },
		"another reason":      func(c *escrow.Case) { c.Reason = "x" },
		"another event":       func(c *escrow.Case) { c.Event = "x" },
		"another stage":       func(c *escrow.Case) { c.Stage = "x" },
		"another day":         func(c *escrow.Case) { c.OpenedAt = at(99) },
		"another statement":   func(c *escrow.Case) { c.Statement = []byte("other") },
		"no statement":        func(c *escrow.Case) { c.Statement = nil },
		"another recipient":   func(c *escrow.Case) { c.Recipients = []string{"gem-b"} },
		"another epoch":       func(c *escrow.Case) { c.Epoch = 2 },
		"another compartment": func(c *escrow.Case) { c.Compartment = "access" },
	} {
		changed := c
		change(&changed)
		d.refuses(t, name, escrow.Conflict, putCase(changed))
	}
	c.State, c.InForceAt = escrow.CaseInForce, at(101)
	d.Update(t, "case.in_force", putCase(c))
	c.State, c.EndedAt = escrow.CaseReversed, at(200)
	d.Update(t, "case.reversed", putCase(c))
	same(t, d, "reversed", c, get)
	back := c
	back.State = escrow.CaseInForce
	d.refuses(t, "ended comes back", escrow.Conflict, putCase(back))

	later := releaseCase()
	later.ID, later.OpenedAt, later.Recipients = "c2", at(50), nil
	d.Update(t, "case.opened", putCase(later))
	same(t, d, "all", []escrow.Case{later, c}, func(ctx context.Context, tx *store.Tx) ([]escrow.Case, error) { return tx.Cases(ctx, Acme) })
	d.mustVerify(t)
}

func testApprovals(t *testing.T, d *Database) {
	put := func(person string) write {
		return func(ctx context.Context, tx *store.Tx) error { return tx.PutApproval(ctx, approval(person)) }
	}
	d.refuses(t, "of no case", escrow.Conflict, put("anna"))
	c := releaseCase()
	d.Update(t, "case.opened", putCase(c))
	d.refuses(t, "before they are asked for", escrow.Conflict, put("anna"))
	c.State, c.Statement = escrow.CaseApproving, []byte("statement")
	d.Update(t, "case.approving", putCase(c))
	d.Update(t, "case.approved", put("bob"))
	d.Update(t, "case.approved", put("anna"))
	d.refuses(t, "twice", escrow.Conflict, put("anna"))
	same(t, d, "all", []escrow.Approval{approval("anna"), approval("bob")}, func(ctx context.Context, tx *store.Tx) ([]escrow.Approval, error) {
		return tx.Approvals(ctx, Acme, "c1")
	})
	c.State = escrow.CaseClosed
	d.Update(t, "case.closed", putCase(c))
	d.refuses(t, "after the end", escrow.Conflict, put("carl"))
	d.mustVerify(t)
}

func testTokens(t *testing.T, d *Database) {
	put := func(k escrow.Token) write {
		return func(ctx context.Context, tx *store.Tx) error { return tx.PutToken(ctx, k) }
	}
	get := func(ctx context.Context, tx *store.Tx) (escrow.Token, error) { return tx.Token(ctx, "t1") }
	d.Update(t, "token.issued", put(token("t1")))
	same(t, d, "by id", token("t1"), get)
	d.refuses(t, "again", escrow.Conflict, put(token("t1")))
	same2 := token("t2")
	same2.Hash = token("t1").Hash
	d.refuses(t, "hash twice", escrow.Conflict, put(same2))
	short := token("t3")
	short.Hash = []byte("short")
	if _, err := d.TryUpdate(t.Context(), "token.issued", put(short)); err == nil {
		t.Error("a hash of 5 bytes was taken")
	}
	admin := escrow.Token{ID: "root", Hash: token("root").Hash, Role: escrow.Administrator, CreatedAt: at(0), ExpiresAt: at(1)}
	d.Update(t, "token.issued", put(admin))
	revoked := token("t1")
	revoked.RevokedAt = at(5)
	widened := revoked
	widened.Module = ""
	d.refuses(t, "revoked and widened", escrow.Conflict, put(widened))
	d.Update(t, "token.revoked", put(revoked))
	same(t, d, "revoked", revoked, get)
	revoked.RevokedAt = at(6)
	d.refuses(t, "revoked twice", escrow.Conflict, put(revoked))
	d.refuses(t, "valid again", escrow.Conflict, put(token("t1")))
	same(t, d, "of the installation", []escrow.Token{admin}, func(ctx context.Context, tx *store.Tx) ([]escrow.Token, error) { return tx.Tokens(ctx, "") })
	d.mustVerify(t)
}
