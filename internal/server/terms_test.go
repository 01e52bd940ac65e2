package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"crypto/rand"

	"golang.org/x/mod/sumdb/note"

	"holdfast/internal/arrangement"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/term"
	"holdfast/internal/store"
)

// TestTermsOnRecord walks the facts about the dates of the municipal example:
// who may record what, who is told, and that each is told once.
func TestTermsOnRecord(t *testing.T) {
	source, err := os.ReadFile("../../examples/agreements/municipalities.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if problem := expandable(string(source)); problem != nil {
		t.Fatal(problem)
	}
	now := time.Date(2028, 6, 1, 9, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	key, _, err := note.GenerateKey(rand.Reader, "test.example/ledger")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "terms.db"), Signer: signer, Now: clock, Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	const id = "belastingportaal"
	if _, err := db.Update(t.Context(), func(tx *store.Tx) ([]escrow.Act, error) {
		return []escrow.Act{{Kind: "test", Actor: "test"}}, tx.PutArrangement(t.Context(), escrow.Arrangement{ID: id, Version: 1, Digest: strings.Repeat("a", 64), Canonical: []byte("{}"), Source: source, CreatedAt: now})
	}); err != nil {
		t.Fatal(err)
	}
	r := arrangement.New(database[arrangement.Tx]{db}, nil, clock, false)
	ctx := t.Context()
	as := func(party string, role escrow.Role) escrow.Actor {
		return escrow.Actor{Party: party, Person: "p", Role: role, Arrangement: id}
	}
	agent, customer, supplier := as("agent", escrow.Agent), as("gem-b", escrow.Beneficiary), as("leverancier", escrow.Supplier)
	record := func(actor escrow.Actor, f escrow.TermFact, want escrow.Code) {
		t.Helper()
		f.Arrangement = id
		if _, err := r.RecordTerm(ctx, actor, f); escrow.CodeOf(err) != want {
			t.Errorf("%s records %s of %s: %v, want %q", actor, f.Kind, f.About, err, want)
		}
		now = now.Add(time.Minute)
	}
	state := func(about string) term.State {
		t.Helper()
		list, err := r.Terms(ctx, id, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range list {
			if i.ID == about {
				return i.State
			}
		}
		return "none"
	}
	list, err := r.Terms(ctx, id, "")
	if err != nil {
		t.Fatal(err)
	}
	fee := ""
	for _, i := range list {
		if i.Kind == "fee" && i.MayCure {
			fee = i.ID
		}
	}
	digest := strings.Repeat("d", 64)
	record(customer, escrow.TermFact{Kind: escrow.FeeCured, About: fee, Until: "2028-12-31"}, escrow.NotFound) // nothing to cure, and not its business
	record(agent, escrow.TermFact{Kind: escrow.FeeCured, About: fee, Until: "2028-12-31", Party: "gem-b"}, escrow.Conflict)
	record(supplier, escrow.TermFact{Kind: escrow.FeePaid, About: fee, Until: "2028-12-31"}, escrow.Forbidden)
	record(agent, escrow.TermFact{Kind: escrow.FeeArrears, About: fee}, "")
	if got := state(fee); got != term.Arrears {
		t.Errorf("arrears: %s", got)
	}
	for range 2 {
		if err := r.RemindTerms(ctx); err != nil {
			t.Fatal(err)
		}
	}
	told := map[string]int{}
	if err := db.View(ctx, func(tx *store.Tx) error {
		list, err := tx.Notices(ctx, id, "", 1000)
		for _, n := range list {
			if n.Kind == "term.arrears" {
				told[n.Audience]++
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if told["leverancier"] != 1 || told["agent"] != 1 || told["gem-b"] != 1 || told["stichting"] != 0 {
		t.Errorf("told of the arrears: %v", told)
	}
	record(supplier, escrow.TermFact{Kind: escrow.FeeCured, About: fee, Until: "2028-12-31"}, escrow.Forbidden)
	record(customer, escrow.TermFact{Kind: escrow.FeeCured, About: fee, Until: "2028-12-31"}, "")
	if got := state(fee); got != term.Cured {
		t.Errorf("cured: %s", got)
	}
	// Who is no party of a part cannot end it; who may not sign cannot either.
	record(customer, escrow.TermFact{Kind: escrow.NoticeGiven, About: "part/mantel", Document: "brief", Digest: digest}, escrow.NotFound)
	record(supplier, escrow.TermFact{Kind: escrow.NoticeGiven, About: "part/mantel"}, escrow.Invalid) // no document
	record(as("leverancier", escrow.Supplier), escrow.TermFact{Kind: escrow.NoticeGiven, About: "part/mantel", Document: "brief", Digest: digest, Party: "agent"}, escrow.Forbidden)
	record(agent, escrow.TermFact{Kind: escrow.NoticeGiven, About: "part/mantel", Document: "brief", Digest: digest, Party: "leverancier"}, "")
	if got := state("part/mantel"); got != term.Ending {
		t.Errorf("after notice: %s", got)
	}
	record(agent, escrow.TermFact{Kind: escrow.NoticeGiven, About: "part/mantel", Document: "brief", Digest: digest, Party: "leverancier"}, escrow.Conflict)
	for name, f := range map[string]escrow.TermFact{
		"a day that does not exist": {Kind: escrow.FeePaid, About: fee, Until: "2027-02-29"},
		"another kind":              {Kind: "destroyed", About: fee},
		"no certificate's name":     {Kind: escrow.CoverFiled, About: "certificate/../x", Until: "2028-12-31", Document: "x", Digest: digest},
		"a line break":              {Kind: escrow.FeePaid, About: fee + "\nx", Until: "2028-12-31"},
		"what does not go with it":  {Kind: escrow.FeePaid, About: "part/mantel", Until: "2028-12-31"},
	} {
		f.Arrangement = id
		if _, err := r.RecordTerm(ctx, agent, f); escrow.CodeOf(err) != escrow.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	record(agent, escrow.TermFact{Kind: escrow.CoverFiled, About: "certificate/iso27001", Until: "2028-07-01", Document: "iso.pdf", Digest: digest}, "")
	if got := state("certificate/iso27001"); got != term.Due {
		t.Errorf("a certificate that runs out within the lead time: %s", got)
	}
	now = time.Date(2031, 1, 2, 9, 0, 0, 0, time.UTC)
	if err := r.RemindTerms(ctx); err != nil {
		t.Fatal(err)
	}
	ended := ""
	if err := db.View(ctx, func(tx *store.Tx) error {
		list, err := tx.Notices(ctx, id, "leverancier", 1000)
		for _, n := range list {
			if n.Kind == "term.ended" && strings.Contains(n.Subject, "mantel") {
				ended = n.Subject
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(ended, "geen plicht tot deponeren") {
		t.Errorf("told of the end: %q", ended)
	}
}
