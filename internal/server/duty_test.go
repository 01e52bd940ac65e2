package server

import (
	"crypto/rand"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"holdfast/internal/duty"
	"holdfast/internal/escrow"
	"holdfast/internal/store"
)

// dutyText asks for a deposit a day, with a day of grace, tells the
// beneficiaries after one miss, and gives 30 hours to make it good.
const dutyText = `holdfast: agreement/v1
id: orchard
version: 1
language: nl
law: NL
time_zone: Europe/Amsterdam
calendar: nl
application: {name: Orchard, delivery: saas_shared, components: [{id: web, criticality: critical}]}
parties:
  - {id: supplier, role: supplier, name: Orchard Software B.V., register: {nl_kvk: "99098123"}}
  - {id: acme, role: beneficiary, name: Acme N.V.}
  - {id: zorg, role: beneficiary, name: Zorg B.V.}
  - {id: agent, role: agent, name: Example Escrow B.V.}
  - {id: foundation, role: foundation, name: Stichting Orchard}
  - {id: notary, role: trustee, name: Notary De Vries}
  - {id: accountant, role: trustee, name: Example Accountants B.V.}
  - {id: expert, role: trustee, name: Example Experts B.V.}
modules:
  - repository: {id: code, url: https://git.example/orchard.git, every: 24h, compartment: materials, due: {every: 24h, grace: 24h}, missed_after: 1, cure: 30h}
keys:
  - {compartment: materials, quorum: {of: 3, from: [agent, foundation, notary, accountant, expert], at_least: {independent: 1}}}
release:
  stages: [{id: inform, reversible: true}, {id: materials, for_each: beneficiaries, opens: materials, to: self}]
  events:
    - {id: bankruptcy, when: 'insolvency("supplier").has("bankruptcy")', evidence: public_register, contest: 0d, stages: [inform, materials]}
  tests:
    - {event: bankruptcy, facts: {}, expect: unknown}
`

// dutyRoom is a watch over a database, with a clock that is set by hand.
type dutyRoom struct {
	db    *store.DB
	watch *duty.Watch
	now   time.Time
}

func newDutyRoom(t *testing.T) *dutyRoom {
	t.Helper()
	return newDutyRoomOf(t, dutyText, escrow.Module{ID: "code", Kind: escrow.Repository, Compartment: "materials", Source: escrow.Source{Mode: escrow.Push}})
}

func newDutyRoomOf(t *testing.T, text string, modules ...escrow.Module) *dutyRoom {
	t.Helper()
	r := &dutyRoom{now: time.Date(2027, 2, 1, 12, 0, 0, 0, time.UTC)}
	key, _, err := note.GenerateKey(rand.Reader, "test.example/ledger")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return r.now }
	r.db, err = store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "duty.db"), Signer: signer, Now: clock, Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.db.Close() })
	if problem := expandable(text); problem != nil {
		t.Fatal(problem)
	}
	_, err = r.db.Update(t.Context(), func(tx *store.Tx) ([]escrow.Act, error) {
		a := escrow.Arrangement{ID: "orchard", Version: 1, Digest: strings.Repeat("a", 64), Canonical: []byte("{}"), Source: []byte(text), CreatedAt: r.now}
		if err := tx.PutArrangement(t.Context(), a); err != nil {
			return nil, err
		}
		for _, m := range modules {
			m.Arrangement = "orchard"
			if err := tx.PutModule(t.Context(), m); err != nil {
				return nil, err
			}
		}
		return []escrow.Act{{Kind: "test", Actor: "test"}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.watch = duty.New(database[duty.Tx]{r.db}, r.db, terms{}, clock)
	return r
}

func expandable(text string) error { _, err := expand([]byte(text)); return err }

// pass lets time go by with the platform at work.
func (r *dutyRoom) pass(t *testing.T, d time.Duration) {
	t.Helper()
	for end := r.now.Add(d); r.now.Before(end); {
		r.now = r.now.Add(min(9*time.Minute, end.Sub(r.now)))
		r.tick(t)
	}
}

func (r *dutyRoom) tick(t *testing.T) {
	t.Helper()
	if err := r.watch.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// told lists the notices, the oldest first, as "kind audience".
func (r *dutyRoom) told(t *testing.T) string {
	t.Helper()
	list, err := r.watch.Notices(t.Context(), "orchard", "")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for i := len(list) - 1; i >= 0; i-- {
		out = append(out, strings.TrimPrefix(list[i].Kind, "duty.")+" "+list[i].Audience)
	}
	return strings.Join(out, ", ")
}

func (r *dutyRoom) step(t *testing.T) string {
	t.Helper()
	list, err := r.watch.List(t.Context(), "orchard")
	if err != nil || len(list) != 1 {
		t.Fatalf("%d modules: %v", len(list), err)
	}
	return fmt.Sprintf("%s %d", list[0].State.Step, list[0].State.Count)
}

func (r *dutyRoom) want(t *testing.T, when, step string, notices int) {
	t.Helper()
	if got := r.step(t); got != step {
		t.Errorf("%s: %s, want %s", when, got, step)
	}
	if got := r.told(t); strings.Count(got, ",")+min(len(got), 1) != notices {
		t.Errorf("%s: told %q, want %d notices", when, got, notices)
	}
}

// TestPlatformOffMakesNobodyLate is the fault of many a dead man's switch: a
// platform that was off for 45 days starts again.
func TestPlatformOffMakesNobodyLate(t *testing.T) {
	r := newDutyRoom(t)
	r.pass(t, 23*time.Hour)
	r.want(t, "before it is due", "on_time 0", 0)
	r.now = r.now.Add(45 * 24 * time.Hour) // off
	r.tick(t)
	r.want(t, "started again", "on_time 0", 0)
	r.pass(t, 2*time.Hour)
	r.want(t, "what was left of the day has run", "reminder 0", 1)
	r.pass(t, 24*time.Hour)
	// Missed after one: the second contact to two, and five are told.
	r.want(t, "the full grace has run", "told 1", 8)
	r.tick(t)
	r.want(t, "looked at again", "told 1", 8)
	r.now = r.now.Add(20 * 24 * time.Hour) // off within the cure
	r.tick(t)
	r.want(t, "off within the cure", "told 1", 8)
	r.pass(t, 27*time.Hour)
	if got := r.step(t); !strings.HasPrefix(got, "told ") {
		t.Errorf("most of the cure has run: %s", got)
	}
	r.pass(t, 5*time.Hour)
	if got := r.step(t); !strings.HasPrefix(got, "event ") {
		t.Errorf("the cure has run: %s", got)
	}
}

// TestClockJump: a clock that jumps ahead by 60 days and is set right again
// neither makes anybody late nor gives anybody 60 days.
func TestClockJump(t *testing.T) {
	r := newDutyRoom(t)
	r.pass(t, 2*time.Hour)
	right := r.now
	r.now = right.Add(60 * 24 * time.Hour)
	r.tick(t)
	r.want(t, "jumped ahead", "on_time 0", 0)
	r.now = right.Add(time.Minute)
	r.tick(t)
	r.want(t, "set right", "on_time 0", 0)
	r.pass(t, 21*time.Hour)
	r.want(t, "a day less an hour", "on_time 0", 0)
	r.pass(t, 2*time.Hour)
	r.want(t, "the day is over", "reminder 0", 1)
}
