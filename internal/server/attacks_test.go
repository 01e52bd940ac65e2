package server_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"filippo.io/age"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// sealedTo seals a text to one recipient.
func sealedTo(t testing.TB, recipient, plain string) []byte {
	t.Helper()
	r, err := age.ParseHybridRecipient(recipient)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, r)
	if err == nil {
		_, err = io.WriteString(w, plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// put uploads bytes as an object of a module.
func (in *installation) put(cl *client.Client, module string, data []byte) (string, error) {
	name := evidence.Digest(data)
	return name, cl.PutObject(in.t.Context(), arrangementID, module, name, bytes.NewReader(data), int64(len(data)))
}

// TestObjectsOfAnotherModule: naming somebody else's object in a deposit or
// as a state must not be a way to read it.
func TestObjectsOfAnotherModule(t *testing.T) { eachEngine(t, checkObjectsOfAnotherModule) }

func checkObjectsOfAnotherModule(t *testing.T, in *installation) {
	ctx := t.Context()
	in.ceremony(1)
	in.push("r1")
	supplier := in.as("supplier")
	own := in.people["supplier"].identity.Recipient().String()
	state, err := in.put(supplier, "code", []byte("no state"))
	if err != nil {
		// "code" is still pulled: nothing may be uploaded for it.
		if code(err) != escrow.Conflict {
			t.Errorf("upload for a pulled module: %v", err)
		}
	}
	in.push("code")
	state, err = in.put(supplier, "code", sealedTo(t, own, "what I have deposited"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := supplier.MakeDeposit(ctx, arrangementID, "code", in.pushed(supplier, "one", func(m *evidence.DepositManifest) { m.State = state }))
	if err != nil {
		t.Fatal(err)
	}
	m, err := evidence.ParseDepositManifest([]byte(d.Manifest.Document))
	if err != nil {
		t.Fatal(err)
	}
	stolen, size := m.Objects[0].Name, m.Objects[0].Size
	fresh, err := in.put(supplier, "r1", sealedTo(t, own, "other"))
	if err != nil {
		t.Fatal(err)
	}
	base, err := supplier.DepositBase(ctx, arrangementID, "r1")
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*evidence.DepositManifest){
		"its object":                  func(m *evidence.DepositManifest) { m.Objects[0].Name, m.Objects[0].Size = stolen, size },
		"its state as an object":      func(m *evidence.DepositManifest) { m.Objects[0].Name = state },
		"its state as a state":        func(m *evidence.DepositManifest) { m.State = state },
		"its object as a state":       func(m *evidence.DepositManifest) { m.State = stolen },
		"a state that is not there":   func(m *evidence.DepositManifest) { m.State = evidence.Digest([]byte("x")) },
		"a state that is not an id":   func(m *evidence.DepositManifest) { m.State = "../../keys/server.key" },
		"a state that is not sealed":  func(m *evidence.DepositManifest) { m.State, _ = in.put(supplier, "r1", []byte("plain")) },
		"an object that is its state": func(m *evidence.DepositManifest) { m.State = m.Objects[0].Name },
	} {
		good := evidence.DepositManifest{Format: evidence.DepositFormat, Arrangement: arrangementID, Agreement: base.Agreement, Module: "r1", Number: 1,
			Kind: "FULL", Chain: 1, Compartment: "materials", Epoch: base.Epoch.Number, Set: base.Epoch.Set, Completeness: "complete",
			Objects: []evidence.ObjectEntry{{Name: fresh, Size: int64(len(sealedTo(t, own, "other"))), Role: "git"}},
			Checked: m.Checked, Made: m.Made, By: m.By}
		edit(&good)
		_, err := supplier.MakeDeposit(ctx, arrangementID, "r1", in.sign(good))
		if c := code(err); c != escrow.Conflict && c != escrow.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, err := supplier.Deposits(ctx, arrangementID, "r1"); err != nil || len(list) != 0 {
		t.Errorf("%d deposits, %v", len(list), err)
	}
}

// TestWhoMayDeposit: a beneficiary brings nothing for the supplier's modules
// and learns nothing of how its deposits are made.
func TestWhoMayDeposit(t *testing.T) {
	in := install(t, nil)
	ctx := t.Context()
	in.ceremony(1)
	in.push("code")
	supplier, customer := in.as("supplier"), in.as("customer")
	name, err := in.put(supplier, "code", sealedTo(t, in.people["supplier"].identity.Recipient().String(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"upload": func() error { _, err := in.put(customer, "code", []byte("rubbish")); return err }(),
		"size":   func() error { _, err := customer.HasObject(ctx, arrangementID, "code", name, 1); return err }(),
		"base":   func() error { _, err := customer.DepositBase(ctx, arrangementID, "code"); return err }(),
		"state":  func() error { _, err := customer.State(ctx, arrangementID, "code"); return err }(),
	} {
		if code(err) != escrow.Forbidden {
			t.Errorf("%s by a beneficiary: %v", what, err)
		}
	}
	if _, err := in.put(customer, "data/customer", []byte("its own data")); err != nil {
		t.Errorf("a beneficiary's own module: %v", err)
	}
	if _, err := supplier.HasObject(ctx, arrangementID, "code", strings.Repeat("0", 64), 1); err != nil {
		t.Errorf("an object that is not there: %v", err)
	}
}

// TestLargeManifests: a depositor can write manifests of megabytes. They are
// taken, said in short in the ledger, and listed a page at a time, so that
// nobody is kept from reading what is there by how much it is.
func TestLargeManifests(t *testing.T) {
	in := install(t, nil)
	ctx := t.Context()
	in.ceremony(1)
	supplier := in.as("supplier")
	for range 2 {
		d := in.pushed(supplier, "x", func(m *evidence.DepositManifest) {
			m.Completeness = "incomplete"
			for range 100 {
				m.Missing = append(m.Missing, strings.Repeat("é", 45_000))
			}
			m.Git = &evidence.GitSummary{ObjectFormat: "sha1"}
			for range 5 {
				m.Git.Changes = append(m.Git.Changes, evidence.RefChange{Ref: "refs/heads/" + strings.Repeat("x", 100_000), Kind: evidence.RefDeleted})
			}
		})
		if _, err := supplier.MakeDeposit(ctx, arrangementID, "code", d); err != nil {
			t.Fatal(err)
		}
	}
	page, err := supplier.DepositsBetween(ctx, arrangementID, "code", 2, 2)
	if err != nil || len(page) != 1 || page[0].Number != 2 {
		t.Errorf("deposit 2: %d, %v", len(page), err)
	}
	list, err := in.as("customer").Deposits(ctx, arrangementID, "code")
	if err != nil || len(list) != 2 || list[1].Number != 2 {
		t.Errorf("all: %d, %v", len(list), err)
	}
	issued, err := in.admin.IssueToken(ctx, arrangementID, client.NewToken{Party: "customer"})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, in.url+"/api/v1/arrangements/demo/modules/code/deposits", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+issued.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n > 12<<20 {
		t.Errorf("one answer has %d bytes, %v", n, err)
	}
}
