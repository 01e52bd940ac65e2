package storetest

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/escrow"
	"holdfast/internal/store"
)

func hold() escrow.Hold {
	return escrow.Hold{Arrangement: Acme, ID: "h1", Module: "code", From: 1, To: 4, Ground: "claim 12/345", Party: "gem-a", Person: "anna",
		PlacedAt: at(20), Until: at(900)}
}

func destruction(id string) escrow.Destruction {
	return escrow.Destruction{Arrangement: Acme, ID: id, Module: "docs", Document: []byte("request " + id), State: escrow.DestructionRequested,
		Party: "leverancier", Person: "bob", Key: "ssh-ed25519 AAAA bob", Signature: []byte("sig"), RequestedAt: at(21), ExpiresAt: at(400)}
}

func approvedDestruction(id string) escrow.Destruction {
	d := destruction(id)
	d.State, d.ApproverParty, d.ApproverPerson, d.ApproverKey = escrow.DestructionApproved, "gem-a", "anna", "ssh-ed25519 AAAA anna"
	d.ApproverSignature, d.ApprovedAt = []byte("sig"), at(22)
	return d
}

// destroyed gives up the deposit of that number; its second object stays, for
// others are made of it.
func destroyed(module string, number int, by string) escrow.Destroyed {
	out := escrow.Destroyed{Arrangement: Acme, Module: module, Deposit: number, Destruction: by, At: at(22)}
	for i, o := range Deposit(module, number).Objects {
		out.Objects = append(out.Objects, escrow.GoneObject{Name: o.Name, Size: o.Size, Kept: i == 1})
	}
	return out
}

func mark(deposit int) escrow.Mark {
	return escrow.Mark{Arrangement: Acme, Module: "code", Deposit: deposit, Reasons: []string{"rewritten refs/heads/main", "shrunk from 100 to 3 bytes"}, MarkedAt: at(23)}
}

func verified(level int) escrow.Verified {
	return escrow.Verified{Arrangement: Acme, Module: "code", Deposit: 1, Level: level, Party: "agent", Person: "eva", Note: "built", At: at(24)}
}

func running(party string) escrow.Running {
	return escrow.Running{Arrangement: Acme, Module: "code", Party: party, Person: "anna", Deposit: 1, Version: "4.2", StatedAt: at(25)}
}

func certifiedDestruction(id string) escrow.Destruction {
	d := approvedDestruction(id)
	d.State, d.Certificate, d.CertificateSig, d.CertifiedAt = escrow.DestructionCertified, []byte("certificate"), []byte("sig"), at(23)
	return d
}

// destroyedSteps destroy a deposit of a module of their own. They come first,
// so that what else is written into those tables is written after them.
func destroyedSteps() []step {
	return []step{
		{"deposit", func(ctx context.Context, tx *store.Tx) error { return tx.PutDeposit(ctx, Deposit("docs", 1)) }},
		{"destruction", func(ctx context.Context, tx *store.Tx) error {
			return tx.PutDestruction(ctx, certifiedDestruction("d1"))
		}},
		{"destroyed_object", func(ctx context.Context, tx *store.Tx) error {
			return tx.DestroyDeposit(ctx, destroyed("docs", 1, "d1"))
		}},
	}
}

// custodySteps fill the other tables of what is kept and what goes.
func custodySteps() []step {
	return []step{
		{"legal_hold", func(ctx context.Context, tx *store.Tx) error { return tx.PutHold(ctx, hold()) }},
		{"deposit_mark", func(ctx context.Context, tx *store.Tx) error { return tx.PutMark(ctx, mark(1)) }},
		{"deposit_verified", func(ctx context.Context, tx *store.Tx) error { return tx.PutVerified(ctx, verified(3)) }},
		{"running", func(ctx context.Context, tx *store.Tx) error { return tx.PutRunning(ctx, running("gem-a")) }},
	}
}

func testHolds(t *testing.T, d *Database) {
	put := func(h escrow.Hold) write {
		return func(ctx context.Context, tx *store.Tx) error { return tx.PutHold(ctx, h) }
	}
	get := func(ctx context.Context, tx *store.Tx) (escrow.Hold, error) { return tx.Hold(ctx, Acme, "h1") }
	absent(t, d, "none yet", get)
	d.Update(t, "hold.placed", put(hold()))
	same(t, d, "placed", hold(), get)
	d.refuses(t, "placed twice", escrow.Conflict, put(hold()))
	longer := hold()
	longer.Until, longer.LiftedAt = at(9000), at(30)
	d.refuses(t, "lifted with another end", escrow.Conflict, put(longer))
	lifted := hold()
	lifted.LiftedAt, lifted.LiftedBy, lifted.LiftReason = at(30), "gem-a/anna", "settled"
	d.Update(t, "hold.lifted", put(lifted))
	d.refuses(t, "lifted twice", escrow.Conflict, put(lifted))
	d.refuses(t, "placed again", escrow.Conflict, put(hold()))
	all := hold()
	all.ID, all.Module, all.From, all.To, all.PlacedAt = "h2", "", 0, 0, at(40)
	d.Update(t, "hold.placed", put(all))
	same(t, d, "all", []escrow.Hold{all, lifted}, func(ctx context.Context, tx *store.Tx) ([]escrow.Hold, error) { return tx.Holds(ctx, Acme) })
	d.mustVerify(t)
}

func testDestructions(t *testing.T, d *Database) {
	for n := 1; n <= 3; n++ {
		d.Update(t, "deposit.accepted", putDeposit(Deposit("docs", n)))
	}
	put := func(x escrow.Destruction) write {
		return func(ctx context.Context, tx *store.Tx) error { return tx.PutDestruction(ctx, x) }
	}
	get := func(ctx context.Context, tx *store.Tx) (escrow.Destruction, error) {
		return tx.Destruction(ctx, Acme, "d1")
	}
	absent(t, d, "none yet", get)
	d.refuses(t, "objects of no destruction", escrow.Conflict, func(ctx context.Context, tx *store.Tx) error {
		return tx.DestroyDeposit(ctx, destroyed("docs", 2, "d1"))
	})
	d.Update(t, "destruction.requested", put(destruction("d1")))
	same(t, d, "requested", destruction("d1"), get)
	d.refuses(t, "requested twice", escrow.Conflict, put(destruction("d1")))
	certified := certifiedDestruction("d1")
	d.refuses(t, "certified before it was approved", escrow.Conflict, put(certified))
	other := approvedDestruction("d1")
	other.Document = []byte("another request")
	d.refuses(t, "approved as something else", escrow.Conflict, put(other))

	few := destroyed("docs", 2, "d1")
	few.Objects = few.Objects[:1]
	d.refuses(t, "not all objects", escrow.Conflict, func(ctx context.Context, tx *store.Tx) error { return tx.DestroyDeposit(ctx, few) })
	d.Update(t, "destruction.approved", func(ctx context.Context, tx *store.Tx) error {
		if err := tx.PutDestruction(ctx, approvedDestruction("d1")); err != nil {
			return err
		}
		return tx.DestroyDeposit(ctx, destroyed("docs", 2, "d1"))
	})
	d.refuses(t, "destroyed twice", escrow.Conflict, func(ctx context.Context, tx *store.Tx) error {
		return tx.DestroyDeposit(ctx, destroyed("docs", 2, "d1"))
	})
	cancelled := approvedDestruction("d1")
	cancelled.State = escrow.DestructionCancelled
	d.refuses(t, "cancelled when it was approved", escrow.Conflict, put(cancelled))
	changed := certified
	changed.ApproverPerson = "carl"
	d.refuses(t, "certified with another approver", escrow.Conflict, put(changed))

	same(t, d, "by the destruction", []escrow.Destroyed{destroyed("docs", 2, "d1")}, func(ctx context.Context, tx *store.Tx) ([]escrow.Destroyed, error) {
		return tx.DestroyedBy(ctx, Acme, "d1")
	})
	bareDestroyed := destroyed("docs", 2, "d1")
	bareDestroyed.Objects = nil
	same(t, d, "of the module", []escrow.Destroyed{bareDestroyed}, func(ctx context.Context, tx *store.Tx) ([]escrow.Destroyed, error) {
		return tx.Destroyed(ctx, Acme, "docs")
	})
	gone := Deposit("docs", 2)
	gone.Objects = nil
	same(t, d, "the deposit stays", gone, func(ctx context.Context, tx *store.Tx) (escrow.Deposit, error) {
		return tx.Deposit(ctx, Acme, "docs", 2)
	})

	names := []string{Deposit("docs", 1).Objects[0].Name, Deposit("docs", 2).Objects[1].Name, Deposit("docs", 2).Objects[0].Name}
	same(t, d, "destroyed object", names[2], func(ctx context.Context, tx *store.Tx) (string, error) { return tx.DestroyedObject(ctx, names) })
	same(t, d, "no destroyed object", "", func(ctx context.Context, tx *store.Tx) (string, error) { return tx.DestroyedObject(ctx, names[:2]) })
	same(t, d, "held objects", map[string]int{names[0]: 1}, func(ctx context.Context, tx *store.Tx) (map[string]int, error) {
		return tx.HeldObjects(ctx, names)
	})
	d.Read(t, func(ctx context.Context, tx *store.Tx) error {
		return tx.EachObject(ctx, func(name string, _ int64) error {
			if name == names[2] {
				t.Error("a destroyed object is still referred to")
			}
			return nil
		})
	})

	d.Update(t, "destruction.certified", put(certified))
	same(t, d, "certified", certified, get)
	d.refuses(t, "certified twice", escrow.Conflict, put(certified))
	second := destruction("d2")
	second.RequestedAt = at(50)
	d.Update(t, "destruction.requested", put(second))
	same(t, d, "all", []escrow.Destruction{second, certified}, func(ctx context.Context, tx *store.Tx) ([]escrow.Destruction, error) {
		return tx.Destructions(ctx, Acme)
	})
	same(t, d, "in a state", []escrow.Destruction{second}, func(ctx context.Context, tx *store.Tx) ([]escrow.Destruction, error) {
		return tx.DestructionsIn(ctx, escrow.DestructionRequested)
	})
	d.mustVerify(t)
}

func testMarks(t *testing.T, d *Database) {
	put := func(m escrow.Mark) write {
		return func(ctx context.Context, tx *store.Tx) error { return tx.PutMark(ctx, m) }
	}
	d.refuses(t, "mark of no deposit", escrow.Conflict, put(mark(1)))
	d.Update(t, "deposit.accepted", putDeposit(Deposit("code", 1)))
	d.Update(t, "finding.suspect", put(mark(1)))
	d.refuses(t, "marked twice", escrow.Conflict, put(mark(1)))
	alone := mark(1)
	alone.Party, alone.Person, alone.Reason, alone.ReleasedAt = "agent", "eva", "fine", at(31)
	d.refuses(t, "released by nobody first", escrow.Conflict, put(alone))
	first := mark(1)
	first.FirstParty, first.FirstPerson, first.FirstReason, first.FirstAt = "leverancier", "bob", "moved to a new repository", at(30)
	d.Update(t, "deposit.release_began", put(first))
	again := first
	again.FirstPerson = "carl"
	d.refuses(t, "begun by another", escrow.Conflict, put(again))
	both := again
	both.Party, both.Person, both.Reason, both.ReleasedAt = "agent", "eva", "seen", at(31)
	d.refuses(t, "released with another first", escrow.Conflict, put(both))
	both.FirstPerson = "bob"
	d.Update(t, "deposit.released", put(both))
	d.refuses(t, "released twice", escrow.Conflict, put(both))
	same(t, d, "all", []escrow.Mark{both}, func(ctx context.Context, tx *store.Tx) ([]escrow.Mark, error) { return tx.Marks(ctx, Acme, "code") })
	d.mustVerify(t)
}

func testVerifiedAndRunning(t *testing.T, d *Database) {
	d.Update(t, "deposit.accepted", putDeposit(Deposit("code", 1)))
	for _, level := range []int{3, 1, 3} {
		d.Update(t, "deposit.verified", func(ctx context.Context, tx *store.Tx) error { return tx.PutVerified(ctx, verified(level)) })
	}
	same(t, d, "verified", []escrow.Verified{verified(1), verified(3)}, func(ctx context.Context, tx *store.Tx) ([]escrow.Verified, error) {
		return tx.Verified(ctx, Acme, "code")
	})
	put := func(r escrow.Running) write {
		return func(ctx context.Context, tx *store.Tx) error { return tx.PutRunning(ctx, r) }
	}
	d.Update(t, "running.stated", put(running("gem-b")))
	d.Update(t, "running.stated", put(running("gem-a")))
	newer := running("gem-a")
	newer.Version, newer.StatedAt = "4.3", at(26)
	d.Update(t, "running.stated", put(newer))
	none := running("gem-a")
	none.Deposit = 9
	d.refuses(t, "runs what is not there", escrow.Conflict, put(none))
	list := func(module string) func(context.Context, *store.Tx) ([]escrow.Running, error) {
		return func(ctx context.Context, tx *store.Tx) ([]escrow.Running, error) {
			return tx.Running(ctx, Acme, module)
		}
	}
	same(t, d, "of the module", []escrow.Running{newer, running("gem-b")}, list("code"))
	same(t, d, "of all", []escrow.Running{newer, running("gem-b")}, list(""))
	same(t, d, "of another", nil, list("docs"))
	forget := func(ctx context.Context, tx *store.Tx) error { return tx.DeleteRunning(ctx, Acme, "code", "gem-b") }
	d.Update(t, "running.stated", forget)
	d.refuses(t, "forgotten twice", escrow.NotFound, forget)
	d.Read(t, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.Running(ctx, Acme, "")
		if diff := cmp.Diff([]escrow.Running{newer}, got); diff != "" {
			t.Error(diff)
		}
		return err
	})
	d.mustVerify(t)
}

func decision(deposit int) escrow.Decision {
	return escrow.Decision{Arrangement: Acme, Module: "code", Deposit: deposit, Refused: true, Defects: []string{"README: it does not say how to build"},
		Party: "agent", Person: "eva", Note: "looked at", DecidedAt: at(41)}
}

func softwareRelease(version string) escrow.SoftwareRelease {
	return escrow.SoftwareRelease{Arrangement: Acme, Module: "code", Version: version, Party: "leverancier", Person: "bob", AnnouncedAt: at(42)}
}

func dutyStep(step string) escrow.DutyStep {
	return escrow.DutyStep{Arrangement: Acme, Module: "code", After: 1, Step: step, EnteredAt: at(43), TakenAt: at(44)}
}

func notice(id, audience string) escrow.Notice {
	return escrow.Notice{Arrangement: Acme, ID: id, Audience: audience, Kind: "duty.reminder", Module: "code", Subject: "deposit of code is due", DueAt: at(45), MadeAt: at(44)}
}

func gap() escrow.PlatformGap { return escrow.PlatformGap{From: at(50), To: at(90), Reason: "off"} }

// dutySteps fill the tables of whether deposits come as agreed.
func dutySteps() []step {
	return []step{
		{"deposit_decision", func(ctx context.Context, tx *store.Tx) error { return tx.PutDecision(ctx, decision(1)) }},
		{"software_release", func(ctx context.Context, tx *store.Tx) error { return tx.PutRelease(ctx, softwareRelease("4.2")) }},
		{"duty_step", func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.PutDutyStep(ctx, dutyStep("reminder"))
			return err
		}},
		{"notice", func(ctx context.Context, tx *store.Tx) error { return tx.PutNotice(ctx, notice("n1", "leverancier")) }},
		{"deposit_unchanged", func(ctx context.Context, tx *store.Tx) error { return tx.PutUnchanged(ctx, unchanged(1)) }},
		{"deposit_defect", func(ctx context.Context, tx *store.Tx) error { return tx.PutDefects(ctx, foundDefects(1)) }},
		{"platform_gap", func(ctx context.Context, tx *store.Tx) error { return tx.PutGap(ctx, gap()) }},
	}
}

func testDuty(t *testing.T, d *Database) {
	d.Update(t, "deposit.accepted", putDeposit(Deposit("code", 1)))
	d.refuses(t, "decision about no deposit", escrow.Conflict, func(ctx context.Context, tx *store.Tx) error { return tx.PutDecision(ctx, decision(2)) })
	d.Update(t, "deposit.refused", func(ctx context.Context, tx *store.Tx) error { return tx.PutDecision(ctx, decision(1)) })
	good := decision(1)
	good.Refused, good.Level, good.Defects = false, 2, nil
	d.Update(t, "deposit.agreed", func(ctx context.Context, tx *store.Tx) error { return tx.PutDecision(ctx, good) })
	same(t, d, "decisions", []escrow.Decision{good}, func(ctx context.Context, tx *store.Tx) ([]escrow.Decision, error) {
		return tx.Decisions(ctx, Acme, "code")
	})
	for _, version := range []string{"4.3", "4.2"} {
		d.Update(t, "release.announced", func(ctx context.Context, tx *store.Tx) error { return tx.PutRelease(ctx, softwareRelease(version)) })
	}
	d.refuses(t, "announced twice", escrow.Conflict, func(ctx context.Context, tx *store.Tx) error { return tx.PutRelease(ctx, softwareRelease("4.2")) })
	same(t, d, "releases", []escrow.SoftwareRelease{softwareRelease("4.2"), softwareRelease("4.3")}, func(ctx context.Context, tx *store.Tx) ([]escrow.SoftwareRelease, error) {
		return tx.Releases(ctx, Acme, "code")
	})
	take := func(s escrow.DutyStep, fresh bool) {
		t.Helper()
		_, err := d.DB.Update(t.Context(), func(tx *store.Tx) ([]escrow.Act, error) {
			got, err := tx.PutDutyStep(t.Context(), s)
			if got != fresh {
				t.Errorf("step %s: fresh %t", s.Step, got)
			}
			if err != nil || !got {
				return nil, err
			}
			return []escrow.Act{Act("duty."+s.Step, "code")}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	take(dutyStep("reminder"), true)
	again := dutyStep("reminder")
	again.TakenAt = at(440)
	take(again, false)
	take(dutyStep("second"), true)
	later := dutyStep("second") // of a ladder that was climbed anew
	later.EnteredAt, later.TakenAt = at(430), at(440)
	take(later, true)
	take(dutyStep("second"), false)
	same(t, d, "steps", []escrow.DutyStep{dutyStep("reminder"), later}, func(ctx context.Context, tx *store.Tx) ([]escrow.DutyStep, error) {
		return tx.DutySteps(ctx, Acme, "code")
	})
	newer := notice("n2", "agent")
	newer.MadeAt = at(46)
	for _, n := range []escrow.Notice{notice("n1", "leverancier"), newer} {
		d.Update(t, "notice", func(ctx context.Context, tx *store.Tx) error { return tx.PutNotice(ctx, n) })
	}
	d.refuses(t, "the same notice", escrow.Conflict, func(ctx context.Context, tx *store.Tx) error { return tx.PutNotice(ctx, newer) })
	list := func(audience string, limit int) func(context.Context, *store.Tx) ([]escrow.Notice, error) {
		return func(ctx context.Context, tx *store.Tx) ([]escrow.Notice, error) {
			return tx.Notices(ctx, Acme, audience, limit)
		}
	}
	same(t, d, "all notices", []escrow.Notice{newer, notice("n1", "leverancier")}, list("", 10))
	same(t, d, "the newest notice", []escrow.Notice{newer}, list("", 1))
	same(t, d, "notices of one", []escrow.Notice{notice("n1", "leverancier")}, list("leverancier", 10))

	d.Update(t, "platform.off", func(ctx context.Context, tx *store.Tx) error { return tx.PutGap(ctx, gap()) })
	longer, shorter := gap(), gap()
	longer.To, shorter.To, shorter.Reason = at(900), at(60), "the clock was set back"
	d.refuses(t, "a longer gap", escrow.Conflict, func(ctx context.Context, tx *store.Tx) error { return tx.PutGap(ctx, longer) })
	d.Update(t, "platform.clock", func(ctx context.Context, tx *store.Tx) error { return tx.PutGap(ctx, shorter) })
	same(t, d, "gaps", []escrow.PlatformGap{shorter}, func(ctx context.Context, tx *store.Tx) ([]escrow.PlatformGap, error) { return tx.Gaps(ctx) })

	size := d.size(t)
	for i, want := range []int{0, 100, 107, 90} {
		now := []int{100, 107, 90, 91}[i]
		before, err := d.Pulse(t.Context(), at(now))
		if err != nil || want == 0 && !before.IsZero() || want > 0 && !before.Equal(at(want)) {
			t.Errorf("pulse %d: before it %s (%v)", now, before, err)
		}
	}
	d.wantSize(t, size) // a pulse leaves no act
	d.mustVerify(t)
}
