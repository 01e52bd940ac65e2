package server_test

import (
	"encoding/json"
	"strings"
	"testing"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// TestCustomersDoNotLearnOfOneAnother: whatever a beneficiary asks, nothing
// that comes back names another one.
func TestCustomersDoNotLearnOfOneAnother(t *testing.T) {
	in := install(t, nil)
	ctx := t.Context()
	const rival = "rival-b" // another customer of the same supplier
	text := strings.NewReplacer("version: 1", "version: 2\nreplaces: "+in.digest,
		"  - {id: agent, role: agent,", "  - {id: "+rival+", role: beneficiary, name: Rival B.V.}\n  - {id: agent, role: agent,",
		"{id: materials, opens: materials, to: customer}", "{id: materials, opens: materials, to: claimant}").Replace(string(agreementText(t)))
	text = strings.Replace(text, "modules:\n", `parts:
  - {id: frame, kind: frame, parties: [supplier, agent, foundation]}
  - {id: accession, kind: accession, for_each: beneficiaries, parties: [supplier, self]}
modules:
`, 1)
	a, err := in.admin.RegisterAgreement(ctx, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	in.digest = a.Digest
	// The whole text is for those who read every part of it, whatever their role.
	for party, whole := range map[string]bool{"supplier": true, "agent": false, "foundation": false, "notary": false, "customer": false} {
		got, err := in.as(party).Arrangement(ctx, arrangementID)
		if err != nil {
			t.Fatal(err)
		}
		if (got.Source != "") != whole || (got.Canonical != "") != whole {
			t.Errorf("%s gets the whole text: %v, want %v", party, got.Source != "", whole)
		}
	}
	in.people[rival] = newPerson(t, rival, "r-1")
	if _, err := in.as("agent").AddContact(ctx, arrangementID, in.people[rival].card); err != nil {
		t.Fatal(err)
	}
	in.ceremony(1)
	supplier := in.as("supplier")
	if _, err := supplier.MakeDeposit(ctx, arrangementID, "code", in.pushed(supplier, "one", nil)); err != nil {
		t.Fatal(err)
	}
	theirs, err := in.as(rival).OpenCase(ctx, arrangementID, client.OpenCase{Event: "bankruptcy", Stage: "materials", Reason: "x"})
	if err != nil {
		t.Fatal(err)
	}
	mine, err := in.as("customer").OpenCase(ctx, arrangementID, client.OpenCase{Event: "bankruptcy", Stage: "materials", Reason: "x"})
	if err != nil {
		t.Fatal(err)
	}

	customer := in.as("customer")
	answers := map[string]any{}
	ask := func(name string, v any, err error) {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		answers[name] = v
	}
	agreement, err := customer.Arrangement(ctx, arrangementID)
	ask("agreement", agreement, err)
	modules, err := customer.Modules(ctx, arrangementID)
	ask("modules", modules, err)
	contacts, err := customer.Contacts(ctx, arrangementID)
	ask("contacts", contacts, err)
	cases, err := customer.Cases(ctx, arrangementID)
	ask("cases", cases, err)
	entries, err := customer.LedgerEntries(ctx, arrangementID, 0, 1000)
	ask("ledger", entries, err)
	for name, v := range answers {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(strings.ToLower(string(data)), "rival") {
			t.Errorf("%s names the other customer: %.400s", name, data[max(0, strings.Index(strings.ToLower(string(data)), "rival")-100):])
		}
	}
	for name, err := range map[string]error{
		"its deposits": second(customer.Deposits(ctx, arrangementID, "data/"+rival)),
		"its epochs":   second(customer.Epochs(ctx, arrangementID, "data/"+rival)),
		"its case":     second(customer.Case(ctx, arrangementID, theirs.ID)),
		"its hand-over": second(customer.HandOver(ctx, arrangementID,
			theirs.ID)),
	} {
		if code(err) != escrow.NotFound || strings.Contains(strings.ToLower(strings.ReplaceAll(err.Error(), "data/"+rival, "")), "rival") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What is everybody's is there, and its own.
	if len(cases) != 1 || cases[0].ID != mine.ID {
		t.Errorf("%d cases", len(cases))
	}
	if list, err := customer.Deposits(ctx, arrangementID, "code"); err != nil || len(list) != 1 {
		t.Errorf("deposits of code: %d, %v", len(list), err)
	}
	kinds := map[string]int{}
	for _, e := range entries {
		if e.Payload == "" {
			continue
		}
		act, err := evidence.ParseAct([]byte(e.Payload))
		if err != nil {
			t.Fatal(err)
		}
		kinds[act.Kind]++
	}
	for _, kind := range []string{"deposit.accepted", "epoch.activated", "case.opened", "contact.added"} {
		if kinds[kind] == 0 {
			t.Errorf("no %s in the ledger that is shown: %v", kind, kinds)
		}
	}
	// The supplier sees all of it.
	if list, err := supplier.Cases(ctx, arrangementID); err != nil || len(list) != 2 {
		t.Errorf("the supplier sees %d cases, %v", len(list), err)
	}
}

func second[T any](_ T, err error) error { return err }
