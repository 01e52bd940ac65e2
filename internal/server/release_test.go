package server_test

import (
	"strings"
	"testing"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/seal"
)

// TestReleaseTakesTheQuorum walks a release and tries, at every step, what
// must not work.
func TestReleaseTakesTheQuorum(t *testing.T) { eachEngine(t, checkReleaseTakesTheQuorum) }

func checkReleaseTakesTheQuorum(t *testing.T, in *installation) {
	ctx := t.Context()
	supplier, customer := in.as("supplier"), in.as("customer")

	if _, err := supplier.DepositBase(ctx, arrangementID, "code"); code(err) != escrow.Conflict || !strings.Contains(err.Error(), "no active key") {
		t.Errorf("base before the ceremony: %v", err)
	}
	in.ceremony(1)
	d, err := supplier.MakeDeposit(ctx, arrangementID, "code", in.pushed(supplier, "the source", nil))
	if err != nil {
		t.Fatal(err)
	}
	object := firstObject(t, d)
	if _, err := customer.Object(ctx, arrangementID, object); code(err) != escrow.NotFound {
		t.Errorf("object before the release: %v", err)
	}

	c := in.release()
	if _, err := customer.HandOver(ctx, arrangementID, c.ID); code(err) != escrow.BelowQuorum {
		t.Errorf("hand-over without approvals: %v", err)
	}
	// Three of the five would do, but not without an independent one, and
	// two never do.
	for _, party := range []string{"agent", "foundation"} {
		if c, err = in.approve(party, c.ID); err != nil || c.State != "approving" {
			t.Fatalf("%s: %v, %v", party, c.State, err)
		}
	}
	if !strings.Contains(c.Needed, "2 of 3") || !strings.Contains(c.Needed, "no independent share") {
		t.Errorf("needed: %q", c.Needed)
	}
	if _, err := in.approve("agent", c.ID); code(err) != escrow.Conflict {
		t.Errorf("a second approval of the same trustee: %v", err)
	}
	if _, err := in.admin.HandOver(ctx, arrangementID, c.ID); code(err) != escrow.Forbidden {
		t.Errorf("administrator: %v", err)
	}
	if _, err := supplier.HandOver(ctx, arrangementID, c.ID); code(err) != escrow.Forbidden {
		t.Errorf("supplier: %v", err)
	}
	if _, err := in.as("foundation").HandOver(ctx, arrangementID, c.ID); code(err) != escrow.Forbidden {
		t.Errorf("somebody it does not open for: %v", err)
	}
	if c, err = in.approve("notary", c.ID); err != nil || c.State != "in_force" {
		t.Fatalf("third approval: %+v, %v", c, err)
	}
	h, err := customer.HandOver(ctx, arrangementID, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Approvals) != 3 {
		t.Fatalf("%d approvals", len(h.Approvals))
	}
	if got := in.combine(t, h); got != h.Epoch.Recipient {
		t.Errorf("combined to %.20s…, published %.20s…", got, h.Epoch.Recipient)
	}
	body, err := customer.Object(ctx, arrangementID, object)
	if err != nil {
		t.Fatal(err)
	}
	body.Close()

	// The epoch ended with the release: nothing more is sealed to it.
	if _, err := supplier.DepositBase(ctx, arrangementID, "code"); code(err) != escrow.Conflict {
		t.Errorf("base after the release: %v", err)
	}
	in.ceremony(2)
	if base, err := supplier.DepositBase(ctx, arrangementID, "code"); err != nil || base.Epoch.Number != 2 {
		t.Errorf("base after a fresh ceremony: %+v, %v", base.Epoch.Number, err)
	}
}

func firstObject(t *testing.T, d client.Deposit) string {
	t.Helper()
	m, err := evidence.ParseDepositManifest([]byte(d.Manifest.Document))
	if err != nil {
		t.Fatal(err)
	}
	return m.Objects[0].Name
}

// combine puts the release identity together as the customer would and
// returns its recipient.
func (in *installation) combine(t *testing.T, h client.HandOver) string {
	t.Helper()
	m, err := evidence.ParseKeyManifest([]byte(h.Epoch.Manifest.Document))
	if err != nil {
		t.Fatal(err)
	}
	var offered []seal.Offered
	for _, s := range h.Approvals {
		a, err := evidence.ParseApproval([]byte(s.Document))
		if err != nil {
			t.Fatal(err)
		}
		text, err := seal.OpenApproval(a, []string{m.Recipients[0].Recipient}, in.people["customer"].identity)
		if err != nil {
			t.Fatal(err)
		}
		offered = append(offered, seal.Offered{Name: a.Trustee, Text: text})
	}
	if _, err := seal.Combine(offered[:2], m); escrow.CodeOf(err) != escrow.BelowQuorum {
		t.Errorf("two shares: %v", err)
	}
	combined, err := seal.Combine(offered, m)
	if err != nil {
		t.Fatal(err)
	}
	return combined.Identity.Recipient().String()
}

// TestDepositsThatMustNotBeAcknowledged: each is refused with its code, and
// the module stays as it was.
func TestDepositsThatMustNotBeAcknowledged(t *testing.T) {
	eachEngine(t, checkDepositsThatMustNotBeAcknowledged)
}

func checkDepositsThatMustNotBeAcknowledged(t *testing.T, in *installation) {
	in.ceremony(1)
	ctx := t.Context()
	supplier := in.as("supplier")
	good := in.pushed(supplier, "one", nil)
	first, err := supplier.MakeDeposit(ctx, arrangementID, "code", good)
	if err != nil {
		t.Fatal(err)
	}
	again, err := supplier.MakeDeposit(ctx, arrangementID, "code", good)
	if err != nil || again.Digest != first.Digest || !again.AcceptedAt.Equal(first.AcceptedAt) {
		t.Errorf("repeating the latest deposit: %+v, %v", again, err)
	}
	for _, c := range []struct {
		name string
		edit func(*evidence.DepositManifest)
		want escrow.Code
	}{
		{"object that was not uploaded", func(m *evidence.DepositManifest) { m.Objects[0].Name = evidence.Digest([]byte("nothing")) }, escrow.Conflict},
		{"object of another size", func(m *evidence.DepositManifest) { m.Objects[0].Size++ }, escrow.Invalid},
		{"number that skips one", func(m *evidence.DepositManifest) { m.Number, m.Chain = 3, 3 }, escrow.Conflict},
		{"number that exists", func(m *evidence.DepositManifest) { m.Number, m.Chain, m.Predecessor = 1, 1, "" }, escrow.Conflict},
		{"another predecessor", func(m *evidence.DepositManifest) { m.Predecessor = evidence.Digest([]byte("x")) }, escrow.Conflict},
		{"another set", func(m *evidence.DepositManifest) { m.Set = evidence.Digest([]byte("x")) }, escrow.Conflict},
		{"another epoch", func(m *evidence.DepositManifest) { m.Epoch = 2 }, escrow.Conflict},
		{"another agreement", func(m *evidence.DepositManifest) { m.Agreement = evidence.Digest([]byte("x")) }, escrow.Conflict},
		{"another compartment", func(m *evidence.DepositManifest) { m.Compartment = "access" }, escrow.Conflict},
		{"another module", func(m *evidence.DepositManifest) { m.Module = "dossier" }, escrow.Invalid},
		{"another arrangement", func(m *evidence.DepositManifest) { m.Arrangement = "other" }, escrow.Invalid},
		{"made by somebody else", func(m *evidence.DepositManifest) { m.By = "server" }, escrow.Invalid},
		{"checked by the server, it says", func(m *evidence.DepositManifest) { m.Checked.By = "server" }, escrow.Invalid},
		{"state that was not uploaded", func(m *evidence.DepositManifest) { m.State = evidence.Digest([]byte("nothing")) }, escrow.Conflict},
		{"no time", func(m *evidence.DepositManifest) { m.Made = "yesterday" }, escrow.Invalid},
		{"increment of a chain that is not its predecessor's", func(m *evidence.DepositManifest) {
			m.Kind, m.Chain = "INCREMENTAL", 1
			m.Chain = 1
			m.Number = 2
			m.Epoch = 1
			m.Predecessor = evidence.Digest([]byte("y"))
		}, escrow.Conflict},
	} {
		in2 := in.pushed(supplier, "two", c.edit)
		if _, err := supplier.MakeDeposit(ctx, arrangementID, "code", in2); code(err) != c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	unsigned := in.pushed(supplier, "two", nil)
	unsigned.Manifest.Signature = good.Manifest.Signature
	if _, err := supplier.MakeDeposit(ctx, arrangementID, "code", unsigned); code(err) != escrow.Invalid {
		t.Errorf("a signature of another manifest: %v", err)
	}
	spaced := in.pushed(supplier, "two", nil)
	spaced.Manifest.Document = " " + spaced.Manifest.Document
	if _, err := supplier.MakeDeposit(ctx, arrangementID, "code", spaced); code(err) != escrow.Invalid {
		t.Errorf("another rendering: %v", err)
	}
	if _, err := in.as("customer").MakeDeposit(ctx, arrangementID, "code", in.pushed(supplier, "two", nil)); code(err) != escrow.Forbidden {
		t.Errorf("handed in by another party: %v", err)
	}
	list, err := supplier.Deposits(ctx, arrangementID, "code")
	if err != nil || len(list) != 1 {
		t.Errorf("%d deposits, %v", len(list), err)
	}
}

// TestPlaintextObjectIsRefused: what is not sealed to exactly one post-quantum
// recipient does not become a deposit.
func TestPlaintextObjectIsRefused(t *testing.T) { eachEngine(t, checkPlaintextObjectIsRefused) }

func checkPlaintextObjectIsRefused(t *testing.T, in *installation) {
	in.ceremony(1)
	ctx := t.Context()
	supplier := in.as("supplier")
	in.push("code")
	plain := "CANARY in clear"
	name := evidence.Digest([]byte(plain))
	if err := supplier.PutObject(ctx, arrangementID, "code", name, strings.NewReader(plain), int64(len(plain))); err != nil {
		t.Fatal(err)
	}
	d := in.pushed(supplier, "x", func(m *evidence.DepositManifest) {
		m.Objects[0] = evidence.ObjectEntry{Name: name, Size: int64(len(plain)), Role: "git"}
	})
	if _, err := supplier.MakeDeposit(ctx, arrangementID, "code", d); err == nil {
		t.Error("an unsealed object was acknowledged")
	}
}

// TestUploadsThatLie: bytes that hash to another name are refused whole, and
// what is there is never replaced.
func TestUploadsThatLie(t *testing.T) { eachEngine(t, checkUploadsThatLie) }

func checkUploadsThatLie(t *testing.T, in *installation) {
	ctx := t.Context()
	supplier := in.as("supplier")
	in.push("code")
	name := evidence.Digest([]byte("foo"))
	put := func(name, body string) error {
		return supplier.PutObject(ctx, arrangementID, "code", name, strings.NewReader(body), int64(len(body)))
	}
	if err := put(name, "bar"); code(err) != escrow.Invalid {
		t.Errorf("wrong bytes: %v", err)
	}
	if held, err := supplier.HasObject(ctx, arrangementID, "code", name, 3); held || err != nil {
		t.Errorf("after the refusal: held %v, %v", held, err)
	}
	if err := put("../../etc/passwd", "x"); err == nil {
		t.Error("a path was taken as a name")
	}
	if err := put(name, "foo"); err != nil {
		t.Fatal(err)
	}
	if err := put(name, "bar"); code(err) != escrow.Invalid {
		t.Errorf("other bytes under a held name: %v", err)
	}
	if err := put(name, "foo"); err != nil {
		t.Errorf("the same bytes again: %v", err)
	}
	if held, err := supplier.HasObject(ctx, arrangementID, "code", name, 3); !held || err != nil {
		t.Errorf("after everything: held %v, %v", held, err)
	}
}
