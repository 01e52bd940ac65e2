package escrow_test

import (
	"encoding/json"
	"testing"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// TestCustomersDoNotLearnOfOneAnother: gem-a sees what is everybody's and its
// own, and no act that could name gem-b.
func TestCustomersDoNotLearnOfOneAnother(t *testing.T) {
	v := escrow.View{
		Self:    "gem-a",
		Parties: map[string]bool{"gem-a": true, "supplier": true, "agent": true, "notary": true, "foundation": true, "operator": true},
		People:  map[string]bool{"gem-a": true, "supplier": true, "agent": true},
		Modules: map[string]bool{"code": true, "org": true, "db/gem-a": true, "db/gem-b": false},
		Keys:    map[string]escrow.KeyView{"materials": {Receives: true}, "data/gem-a": {Receives: true}},
		Parts:   map[string]bool{"accession/gem-a": true},
		Cases: map[string]escrow.Case{
			"mine":     {ID: "mine", Claimant: "gem-a", Compartment: "materials", Recipients: []string{"gem-a"}},
			"theirs":   {ID: "theirs", Claimant: "gem-b", Compartment: "materials", Recipients: []string{"gem-b"}},
			"for-them": {ID: "for-them", Claimant: "foundation", Compartment: "materials", Recipients: []string{"gem-b"}},
			"common":   {ID: "common", Claimant: "foundation", Compartment: "materials", Recipients: []string{"operator"}},
		},
		Hidden: []string{"gem-b", "Gemeente B", "lic-b"},
	}
	for _, c := range []struct {
		kind, actor, subject, data string
		want                       bool
	}{
		{"deposit.accepted", "server", "x", `{"module":"code"}`, true},
		{"deposit.accepted", "supplier/ci", "x", `{"module":"db/gem-a"}`, true},
		{"deposit.accepted", "supplier/ci", "x", `{"module":"db/gem-b"}`, false},
		{"deposit.accepted", "gem-b/jan", "x", `{"module":"code"}`, false},
		{"deposit.accepted", "server", "x", `{"module":"unknown"}`, false},
		{"finding.history", "server", "x", `{"module":"db/gem-b"}`, false},
		{"sync.failed", "server", "code", `{}`, true},
		{"sync.failed", "server", "db/gem-b", `{}`, false},
		{"epoch.dealt", "supplier/jan", "materials#1", `{}`, true},
		{"epoch.dealt", "supplier/jan", "data/gem-b#1", `{}`, false},
		{"share.fetched", "notary/n", "materials#1", `{}`, true},
		{"case.opened", "gem-a/piet", "mine", `{}`, true},
		{"case.noticed", "agent/a", "theirs", `{}`, false},
		{"case.in_force", "server", "for-them", `{}`, false},
		{"case.opened", "foundation/f", "common", `{}`, true},
		{"case.opened", "agent/a", "unknown", `{}`, false},
		{"hand_over.fetched", "gem-b/jan", "theirs", `{}`, false},
		{"contact.added", "agent/a", "supplier/ci", `{}`, true},
		{"contact.added", "agent/a", "notary/n", `{}`, false}, // signs nothing together with gem-a
		{"sync.failed", "server", "org/repo", `{}`, true},
		{"case.opened", "foundation/f", "common", `{"reason":"at the request of gemeente b"}`, false},
		{"case.opened", "foundation/f", "common", `{"reason":"gem-bx and agem-b are nobody"}`, true},
		{"deposit.accepted", "server", "x", `{"module":"code","licence":"lic-b"}`, false},
		{"agreement.signed", "agent/a", "x", `{"part":"accession/gem-a"}`, true},
		{"agreement.signed", "agent/a", "x", `{"part":"frame"}`, false},
		{"agreement.offered", "agent/a", "x", `{"version":2}`, true},
		{"agreement.refused", "gem-b/jan", "x", `{"version":2}`, false},
		{"authority.recorded", "agent/a", "gem-a/jan", `{}`, true},
		{"authority.recorded", "agent/a", "notary/n", `{}`, false},
		{"notice.read", "agent/a", "n1", `{"party":"gem-a"}`, true},
		{"notice.read", "agent/a", "n1", `{"party":"supplier"}`, false},
		{"attempt.refused", "gem-a/piet", "", `{}`, true},
		{"of.no_kind", "server", "", `{}`, false},
		{"contact.added", "agent/a", "gem-b/jan", `{}`, false},
		{"token.issued", "agent/a", "0011", `{"party":"gem-b"}`, false},
		{"attempt.refused", "gem-b/jan", "", `{}`, false},
		{"ledger.erased", "agent/a", "ledger/3", `{}`, false},
	} {
		a := &evidence.Act{Kind: c.kind, Actor: c.actor, Subject: c.subject, Data: json.RawMessage(c.data)}
		if got := v.Act(a); got != c.want {
			t.Errorf("%s by %s about %s %s: seen %v", c.kind, c.actor, c.subject, c.data, got)
		}
		if all := (escrow.View{All: true}); !all.Act(a) {
			t.Errorf("%s is hidden from somebody who sees all", c.kind)
		}
	}
	rows := &evidence.Act{Kind: "agreement.registered", Actor: "administrator", Subject: "x", Data: json.RawMessage(`{}`), Rows: []evidence.Row{{Table: "module", Key: "demo code"}}}
	if !v.Act(rows) {
		t.Error("a registration of modules that are seen is hidden")
	}
	if rows.Rows = append(rows.Rows, evidence.Row{Table: "module", Key: "demo other"}); v.Act(rows) {
		t.Error("a registration names a module that is not seen")
	}
	runs := v
	if runs.Runs = true; !runs.Act(&evidence.Act{Kind: "token.issued", Actor: "agent/a", Data: json.RawMessage(`{"party":"notary"}`)}) {
		t.Error("who runs the arrangement does not see a token issued")
	}
	if runs.Act(&evidence.Act{Kind: "token.issued", Actor: "agent/a", Data: json.RawMessage(`{"party":"gem-b"}`)}) {
		t.Error("who runs the arrangement sees somebody it may not learn of")
	}
	for party, want := range map[string]bool{"gem-a": true, "gem-b": false, "supplier": true} {
		if v.Party(party) != want {
			t.Errorf("party %s: seen %v", party, !want)
		}
	}
}

// TestManifestsAndCasesOfOthers: a key manifest that names somebody who is not
// seen is for those who need it; a case of such is for those who open it.
func TestManifestsAndCasesOfOthers(t *testing.T) {
	theirs := escrow.Case{ID: "c", Claimant: "gem-b", Reason: "of gem-b", Compartment: "materials", Recipients: []string{"gem-b"}}
	mine := escrow.Case{ID: "d", Compartment: "materials", Recipients: []string{"gem-a"}, State: escrow.CaseInForce}
	plain, names := []byte(`{"recipients":["gem-a"]}`), []byte(`{"recipients":["gem-a","gem-b"]}`)
	for name, c := range map[string]struct {
		key         escrow.KeyView
		cases       map[string]escrow.Case
		plain, with bool
		theirs      bool
	}{
		"nothing to do with it":            {},
		"receives":                         {key: escrow.KeyView{Receives: true}, plain: true},
		"receives, and it has been opened": {key: escrow.KeyView{Receives: true}, cases: map[string]escrow.Case{"d": mine}, plain: true, with: true},
		"holds a share":                    {key: escrow.KeyView{Holds: true}, plain: true, with: true, theirs: true},
		"deals":                            {key: escrow.KeyView{Deals: true}, plain: true, with: true},
	} {
		v := escrow.View{Self: "gem-a", Parties: map[string]bool{"gem-a": true}, Keys: map[string]escrow.KeyView{"materials": c.key}, Cases: c.cases, Hidden: []string{"gem-b"}}
		if v.Manifest("materials", plain) != c.plain || v.Manifest("materials", names) != c.with {
			t.Errorf("%s: manifest %v, with another's name %v", name, v.Manifest("materials", plain), v.Manifest("materials", names))
		}
		if v.Case(theirs) != c.theirs {
			t.Errorf("%s: sees the case of another: %v", name, v.Case(theirs))
		}
		if s := v.Shown(theirs); s.Claimant != "" || s.Reason != "" {
			t.Errorf("%s: reads who claims: %+v", name, s)
		}
		if s := v.Shown(mine); s.ID != mine.ID || s.State != mine.State {
			t.Errorf("%s: the case is %+v", name, s)
		}
	}
}
