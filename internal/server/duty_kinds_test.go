package server

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast/evidence"
	"holdfast/internal/duty"
	"holdfast/internal/escrow"
	"holdfast/internal/store"
)

// kindsText has a module of every kind that is deposited, each due every day
// with a day of grace.
var kindsText = strings.Replace(dutyText, "keys:\n", `  - repository: {id: pushed, url: "https://git.example/pushed.git", mode: push, compartment: materials, due: {every: 24h, grace: 24h}, missed_after: 1, cure: 30h}
  - repository: {id: group, organisation: "https://git.example/acme", every: 24h, compartment: materials, due: {every: 24h, grace: 24h}, missed_after: 1, cure: 30h, content: {mandatory: [app, docs]}}
  - images: {id: images, compartment: materials, due: {every: 24h, grace: 24h}, missed_after: 1, cure: 30h}
  - data: {id: files, via: files, compartment: materials, due: {every: 24h, grace: 24h}, missed_after: 1, cure: 30h}
  - data: {id: backup, via: restic, compartment: materials, due: {every: 24h, grace: 24h}, missed_after: 1, cure: 30h}
keys:
`, 1)

// happens is what can happen with a module's source between two looks.
type happens string

const (
	isNew     happens = "new"
	unchanged happens = "unchanged"
	failed    happens = "failed"
	silent    happens = "silent"
)

func newKindsRoom(t *testing.T) *dutyRoom {
	module := func(id string, kind escrow.ModuleKind, mode escrow.SourceMode) escrow.Module {
		return escrow.Module{ID: id, Kind: kind, Compartment: "materials", Source: escrow.Source{Mode: mode, URL: "https://git.example/" + id}}
	}
	r := newDutyRoomOf(t, kindsText, module("code", escrow.Repository, escrow.Pull), module("pushed", escrow.Repository, escrow.Push), module("group", escrow.Repository, escrow.Organisation),
		module("group/app", escrow.Repository, escrow.Pull), module("images", escrow.Images, escrow.Pull), module("files", escrow.Data, escrow.Push), module("backup", escrow.Data, escrow.Restic))
	r.watch = duty.New(database[duty.Tx]{r.db}, steady{}, terms{}, func() time.Time { return r.now })
	r.write(t, func(ctx context.Context, tx *store.Tx) error {
		return tx.PutForgeRepository(ctx, escrow.ForgeRepository{Arrangement: "orchard", Organisation: "group", Origin: "https://git.example", Remote: "1", Module: "group/app", Name: "app",
			URL: "https://git.example/acme/app.git", State: escrow.ForgePresent, ChangedAt: r.now})
	})
	return r
}

// steady is the pulse of a platform that is never off, so that time can pass in
// few steps.
type steady struct{}

func (steady) Pulse(_ context.Context, now time.Time) (time.Time, error) { return now, nil }

// wait lets time go by.
func (r *dutyRoom) wait(t *testing.T, d time.Duration) {
	t.Helper()
	r.now = r.now.Add(d)
	r.tick(t)
}

func (r *dutyRoom) write(t *testing.T, f func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()
	if _, err := r.db.Update(t.Context(), func(tx *store.Tx) ([]escrow.Act, error) {
		return []escrow.Act{{Kind: "test", Actor: "test"}}, f(t.Context(), tx)
	}); err != nil {
		t.Fatal(err)
	}
}

// deposited puts deposit n of a module.
func (r *dutyRoom) deposited(t *testing.T, module string, n int) {
	t.Helper()
	digest := func(n int) string {
		if n == 0 {
			return ""
		}
		return evidence.Digest(fmt.Appendf(nil, "%s %d", module, n))
	}
	r.write(t, func(ctx context.Context, tx *store.Tx) error {
		return tx.PutDeposit(ctx, escrow.Deposit{Arrangement: "orchard", Module: module, Number: n, Kind: escrow.FullDeposit, Predecessor: digest(n - 1), Digest: digest(n),
			Manifest: []byte("m"), Signature: []byte("s"), Compartment: "materials", Epoch: 1, Completeness: escrow.Complete, AcceptedAt: r.now,
			Objects: []escrow.Object{{Name: evidence.Digest(fmt.Appendf(nil, "object %s %d", module, n)), Size: 10}}})
	})
}

// synced says that the server tried to read a source.
func (r *dutyRoom) synced(t *testing.T, module string, ok bool) {
	t.Helper()
	r.write(t, func(ctx context.Context, tx *store.Tx) error {
		s, err := tx.SyncStatus(ctx, "orchard", module)
		if err != nil && escrow.CodeOf(err) != escrow.NotFound {
			return err
		}
		s.Arrangement, s.Module, s.AttemptedAt = "orchard", module, r.now
		if ok {
			s.SucceededAt = r.now
		} else {
			s.Failures, s.Error, s.Code = s.Failures+1, "it does not answer", escrow.Unavailable
		}
		return tx.PutSyncStatus(ctx, s)
	})
}

// reported puts a depositor's word, as the vault has checked it.
func (r *dutyRoom) reported(t *testing.T, module string, n int) {
	t.Helper()
	r.write(t, func(ctx context.Context, tx *store.Tx) error {
		return tx.PutUnchanged(ctx, escrow.Unchanged{Arrangement: "orchard", Module: module, Deposit: n, Document: []byte("d"), Signature: []byte("s"),
			Party: "supplier", Person: "supplier-p", At: r.now, ReceivedAt: r.now.Add(time.Second)})
	})
}

func (r *dutyRoom) standing(t *testing.T, module string) duty.Standing {
	t.Helper()
	list, err := r.watch.List(t.Context(), "orchard")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if s.Module.ID == module {
			return s
		}
	}
	t.Fatalf("no standing of %s", module)
	return duty.Standing{}
}

// TestLadderOfEveryKind: over every way in which material comes, what happens
// with the source decides whether the next deposit is owed.
func TestLadderOfEveryKind(t *testing.T) {
	const due, fine = "reminder", "on_time"
	for _, tt := range []struct {
		module string
		want   map[happens]string
	}{
		{"code", map[happens]string{isNew: fine, unchanged: fine, failed: due, silent: due}},
		{"pushed", map[happens]string{isNew: fine, unchanged: fine, silent: due}},
		{"files", map[happens]string{isNew: fine, unchanged: fine, silent: due}},
		{"images", map[happens]string{isNew: fine, unchanged: fine, failed: due, silent: due}},
		// A sync of what restic wrote reads only what came: it tells nothing of
		// the depositor's source.
		{"backup", map[happens]string{isNew: fine, unchanged: due, failed: due, silent: due}},
		{"group/app", map[happens]string{isNew: fine, unchanged: fine, failed: due, silent: due}},
		// Of an organisation the list is read; it makes no deposit.
		{"group", map[happens]string{unchanged: fine, failed: due, silent: due}},
	} {
		for what, want := range tt.want {
			t.Run(tt.module+" "+string(what), func(t *testing.T) {
				r := newKindsRoom(t)
				list := tt.module == "group"
				pushed := tt.module == "pushed" || tt.module == "files"
				r.now = r.now.Add(time.Hour)
				if list {
					r.synced(t, "group", true)
				} else {
					r.deposited(t, tt.module, 1)
				}
				r.wait(t, 19*time.Hour)
				switch what {
				case isNew:
					r.deposited(t, tt.module, 2)
				case unchanged:
					if pushed {
						r.reported(t, tt.module, 1)
					} else {
						r.synced(t, tt.module, true)
					}
				case failed:
					r.synced(t, tt.module, false)
				}
				r.wait(t, 20*time.Hour)
				if got := r.standing(t, tt.module).State.Step; string(got) != want {
					t.Errorf("%s, want %s", got, want)
				}
			})
		}
	}
}

// TestReportThatDoesNotCount: the word that nothing changed is worth nothing
// about a deposit that is refused, looks wrong or is not the newest, and where
// the server reads the source itself.
func TestReportThatDoesNotCount(t *testing.T) {
	for _, tt := range []struct {
		name   string
		module string
		before func(t *testing.T, r *dutyRoom)
		want   string
	}{
		{"it counts", "pushed", func(*testing.T, *dutyRoom) {}, "on_time"},
		{"refused", "pushed", func(t *testing.T, r *dutyRoom) {
			d := escrow.Decision{Arrangement: "orchard", Module: "pushed", Deposit: 1, Refused: true, Defects: []string{"README: it says nothing"}}
			if _, err := r.watch.Decide(t.Context(), escrow.Actor{Party: "agent", Person: "a"}, d); err != nil {
				t.Fatal(err)
			}
		}, "reminder"},
		{"looks wrong", "pushed", func(t *testing.T, r *dutyRoom) {
			r.write(t, func(ctx context.Context, tx *store.Tx) error {
				return tx.PutMark(ctx, escrow.Mark{Arrangement: "orchard", Module: "pushed", Deposit: 1, Reasons: []string{"rewritten"}, MarkedAt: r.now})
			})
		}, "reminder"},
		{"looked wrong, and two people released it", "pushed", func(t *testing.T, r *dutyRoom) {
			r.write(t, func(ctx context.Context, tx *store.Tx) error {
				return tx.PutMark(ctx, escrow.Mark{Arrangement: "orchard", Module: "pushed", Deposit: 1, Reasons: []string{"rewritten"}, MarkedAt: r.now,
					FirstParty: "agent", FirstPerson: "a", FirstAt: r.now, Party: "acme", Person: "b", ReleasedAt: r.now})
			})
		}, "on_time"},
		{"the server reads it itself", "code", func(*testing.T, *dutyRoom) {}, "reminder"},
		{"a word about restic", "backup", func(*testing.T, *dutyRoom) {}, "reminder"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newKindsRoom(t)
			r.now = r.now.Add(time.Hour)
			r.deposited(t, tt.module, 1)
			r.wait(t, 19*time.Hour)
			tt.before(t, r)
			r.reported(t, tt.module, 1)
			r.wait(t, 20*time.Hour)
			if got := r.standing(t, tt.module).State.Step; string(got) != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// TestLadderIsClimbedAgain: a look ends a ladder, and when nothing comes after
// it, everybody is told again, after the same deposit.
func TestLadderIsClimbedAgain(t *testing.T) {
	r := newKindsRoom(t)
	count := func(want string) (n int) {
		t.Helper()
		list, err := r.watch.Notices(t.Context(), "orchard", "")
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range list {
			if x.Module == "pushed" && x.Kind == "duty."+want {
				n++
			}
		}
		return n
	}
	r.deposited(t, "pushed", 1)
	r.wait(t, 30*time.Hour)
	r.reported(t, "pushed", 1)
	r.tick(t)
	if got := r.standing(t, "pushed").State.Step; got != "on_time" || count("reminder") != 1 {
		t.Fatalf("after the look: %s, %d reminders", got, count("reminder"))
	}
	r.wait(t, 23*time.Hour)
	if count("reminder") != 1 {
		t.Errorf("%d reminders before it is due again", count("reminder"))
	}
	r.wait(t, 26*time.Hour)
	if got := r.standing(t, "pushed").State.Step; got != "told" || count("reminder") != 2 || count("second") != 2 || count("told") != 5 {
		t.Errorf("silent after the look: %s, %d reminders, %d second, %d told", got, count("reminder"), count("second"), count("told"))
	}
	r.tick(t)
	if count("told") != 5 {
		t.Error("told twice of the same")
	}
}

// TestRepositoriesOfAnOrganisation: one that is new is not late for the time
// before it was there, one that is gone owes nothing, and one that the
// agreement names and the forge does not list is a defect with its place.
func TestRepositoriesOfAnOrganisation(t *testing.T) {
	r := newKindsRoom(t)
	r.wait(t, 100*time.Hour)
	r.write(t, func(ctx context.Context, tx *store.Tx) error {
		m := escrow.Module{Arrangement: "orchard", ID: "group/late", Kind: escrow.Repository, Compartment: "materials", Source: escrow.Source{Mode: escrow.Pull, URL: "https://git.example/acme/late.git"}}
		if err := tx.PutModule(ctx, m); err != nil {
			return err
		}
		if err := tx.PutForgeRepository(ctx, escrow.ForgeRepository{Arrangement: "orchard", Organisation: "group", Origin: "https://git.example", Remote: "2", Module: "group/late", Name: "late",
			URL: m.Source.URL, State: escrow.ForgePresent, ChangedAt: r.now}); err != nil {
			return err
		}
		return tx.PutForgeRepository(ctx, escrow.ForgeRepository{Arrangement: "orchard", Organisation: "group", Origin: "https://git.example", Remote: "=docs", Name: "docs",
			State: escrow.ForgeMissing, ChangedAt: r.now})
	})
	if got := r.standing(t, "group/late").State.Step; got != "on_time" {
		t.Errorf("found just now: %s", got)
	}
	if got := r.standing(t, "group/app").State.Step; got != "event" {
		t.Errorf("never deposited for 100 hours: %s", got)
	}
	s := r.standing(t, "group")
	if len(s.Found) != 1 || len(s.Found[0].Defects) != 1 || !strings.HasPrefix(s.Found[0].Defects[0], "docs: ") || s.State.Step != "event" {
		t.Errorf("the list: %+v", s)
	}
	r.write(t, func(ctx context.Context, tx *store.Tx) error {
		return tx.PutForgeRepository(ctx, escrow.ForgeRepository{Arrangement: "orchard", Organisation: "group", Origin: "https://git.example", Remote: "1", Module: "group/app", Name: "app",
			URL: "https://git.example/acme/app.git", State: escrow.ForgeGone, ChangedAt: r.now})
	})
	list, err := r.watch.List(t.Context(), "orchard")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if s.Module.ID == "group/app" {
			t.Errorf("what is gone is still owed: %+v", s.State)
		}
	}
	if s := r.standing(t, "group"); len(s.Found[0].Defects) != 2 {
		t.Errorf("an agreed one that is gone: %+v", s.Found)
	}
}
