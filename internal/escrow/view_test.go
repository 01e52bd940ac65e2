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
		Others:       map[string]bool{"gem-b": true},
		Modules:      map[string]string{"code": "", "db/gem-a": "gem-a", "db/gem-b": "gem-b"},
		Compartments: map[string]string{"materials": "", "data/gem-a": "gem-a", "data/gem-b": "gem-b"},
		Cases: map[string]escrow.Case{
			"mine":     {ID: "mine", Claimant: "gem-a", Compartment: "materials", Recipients: []string{"gem-a"}},
			"theirs":   {ID: "theirs", Claimant: "gem-b", Compartment: "materials", Recipients: []string{"gem-b"}},
			"for-them": {ID: "for-them", Claimant: "foundation", Compartment: "materials", Recipients: []string{"gem-b"}},
			"common":   {ID: "common", Claimant: "foundation", Compartment: "materials", Recipients: []string{"operator"}},
		},
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
		{"contact.added", "agent/a", "gem-b/jan", `{}`, false},
		{"token.issued", "agent/a", "0011", `{"party":"gem-b"}`, false},
		{"attempt.refused", "gem-b/jan", "", `{}`, false},
		{"agreement.registered", "administrator", "x", `{}`, false}, // its rows name everybody's modules
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
	for party, want := range map[string]bool{"gem-a": true, "gem-b": false, "supplier": true} {
		if v.Party(party) != want {
			t.Errorf("party %s: seen %v", party, !want)
		}
	}
}
