package server

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/retention"
	"holdfast/internal/store"
)

// bin is where objects go; it can be away.
type bin struct {
	away    bool
	deleted []string
}

func (b *bin) Delete(_ context.Context, name string) error {
	if b.away {
		return escrow.Errorf(escrow.Unavailable, "location away")
	}
	b.deleted = append(b.deleted, name)
	return nil
}

// custodyRoom has a module with two FULL deposits, and two people with cards.
type custodyRoom struct {
	*dutyRoom
	keeper  *retention.Keeper
	bin     *bin
	signers map[string]ssh.Signer
	server  ssh.Signer
}

func newSigner(t *testing.T) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newCustodyRoom(t *testing.T) *custodyRoom {
	t.Helper()
	r := newCustodyRoomOf(t, dutyText, escrow.Module{ID: "code", Kind: escrow.Repository, Compartment: "materials", Source: escrow.Source{Mode: escrow.Push}})
	before := ""
	for n := 1; n <= 2; n++ {
		d := escrow.Deposit{Arrangement: "orchard", Module: "code", Number: n, Kind: escrow.FullDeposit, Predecessor: before, Digest: evidence.Digest([]byte{byte(n)}),
			Manifest: []byte("m"), Signature: []byte("s"), Compartment: "materials", Epoch: 1, Completeness: escrow.Complete, AcceptedAt: r.now,
			Objects: []escrow.Object{{Name: evidence.Digest([]byte{byte(n), 1}), Size: 10}, {Name: evidence.Digest([]byte("shared")), Size: 5}}}
		r.write(t, func(ctx context.Context, tx *store.Tx) error { return tx.PutDeposit(ctx, d) })
		before = d.Digest
	}
	return r
}

// newCustodyRoomOf is a room with other modules and no deposits.
func newCustodyRoomOf(t *testing.T, text string, modules ...escrow.Module) *custodyRoom {
	t.Helper()
	r := &custodyRoom{dutyRoom: newDutyRoomOf(t, text, modules...), bin: &bin{}, signers: map[string]ssh.Signer{}, server: newSigner(t)}
	for _, party := range []string{"supplier", "agent", "acme"} {
		r.signers[party] = newSigner(t)
		c := escrow.Contact{Arrangement: "orchard", Party: party, Person: party + "-p", Recipient: "age1", SigningKey: evidence.FormatPublicKey(r.signers[party].PublicKey()),
			Document: []byte("card"), AddedAt: r.now}
		r.write(t, func(ctx context.Context, tx *store.Tx) error { return tx.PutContact(ctx, c) })
	}
	r.keeper = retention.New(database[retention.Tx]{r.db}, terms{}, r.bin, r.server, func() time.Time { return r.now }, rand.Reader)
	return r
}

func (r *custodyRoom) actor(party string, role escrow.Role) escrow.Actor {
	return escrow.Actor{Party: party, Person: party + "-p", Role: role, Arrangement: "orchard"}
}

func (r *custodyRoom) request(t *testing.T, ground string, change func(*evidence.Destruction)) (document, signature []byte) {
	t.Helper()
	d := evidence.Destruction{Arrangement: "orchard", Module: "code", Ground: ground, Reason: "for the test", Method: evidence.MethodObjects,
		Deposits: []evidence.NamedDeposit{{Number: 1, Digest: evidence.Digest([]byte{1})}}, Party: "supplier", Person: "supplier-p",
		At: evidence.At(r.now), Expires: evidence.At(r.now.Add(48 * time.Hour)), Nonce: evidence.Digest([]byte(t.Name()))}
	if change != nil {
		change(&d)
	}
	document, err := d.Bytes()
	if err == nil {
		signature, err = evidence.Sign(r.signers["supplier"], evidence.NamespaceDestruction, document)
	}
	if err != nil {
		t.Fatal(err)
	}
	return document, signature
}

func (r *custodyRoom) sign(t *testing.T, party string, document []byte) []byte {
	t.Helper()
	signature, err := evidence.Sign(r.signers[party], evidence.NamespaceDestruction, document)
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// objects counts what deposit 1 is made of.
func (r *custodyRoom) objects(t *testing.T) (n int) {
	t.Helper()
	err := r.db.View(t.Context(), func(tx *store.Tx) error {
		list, err := tx.DepositObjects(t.Context(), "orchard", "code", 1)
		n = len(list)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func wantCode(t *testing.T, what string, err error, code escrow.Code) {
	t.Helper()
	if escrow.CodeOf(err) != code {
		t.Errorf("%s: %v, want code %s", what, err, code)
	}
}

// TestNothingGoesByOne: a request changes nothing, expires, and is approved by
// another person of another party in time or not at all.
func TestNothingGoesByOne(t *testing.T) {
	r := newCustodyRoom(t)
	supplier, agent := r.actor("supplier", escrow.Supplier), r.actor("agent", escrow.Agent)
	document, signature := r.request(t, evidence.GroundRetention, nil)
	_, err := r.keeper.Request(t.Context(), supplier, "orchard", "code", document, signature)
	wantCode(t, "no policy says that it may go", err, escrow.Conflict)
	document, signature = r.request(t, evidence.GroundWithdrawal, func(d *evidence.Destruction) { d.Expires = evidence.At(r.now.Add(60 * 24 * time.Hour)) })
	_, err = r.keeper.Request(t.Context(), supplier, "orchard", "code", document, signature)
	wantCode(t, "open for 60 days", err, escrow.Invalid)
	document, signature = r.request(t, evidence.GroundWithdrawal, func(d *evidence.Destruction) { d.Deposits[0].Digest = evidence.Digest([]byte("other")) })
	_, err = r.keeper.Request(t.Context(), supplier, "orchard", "code", document, signature)
	wantCode(t, "another manifest", err, escrow.Invalid)
	document, _ = r.request(t, evidence.GroundWithdrawal, nil)
	_, err = r.keeper.Request(t.Context(), agent, "orchard", "code", document, r.sign(t, "agent", document))
	wantCode(t, "somebody else's request", err, escrow.Forbidden)
	_, err = r.keeper.Request(t.Context(), supplier, "orchard", "code", document, r.sign(t, "agent", document))
	wantCode(t, "somebody else's signature", err, escrow.Invalid)

	asked, err := r.keeper.Request(t.Context(), supplier, "orchard", "code", document, r.sign(t, "supplier", document))
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.keeper.Request(t.Context(), supplier, "orchard", "code", document, r.sign(t, "supplier", document))
	if err != nil || again.ID != asked.ID {
		t.Errorf("asked again: %+v, %v", again, err)
	}
	if err := r.keeper.Finish(t.Context()); err != nil || r.objects(t) != 2 || len(r.bin.deleted) > 0 {
		t.Errorf("something happened before two had decided: %v", err)
	}
	r.now = r.now.Add(48 * time.Hour)
	_, err = r.keeper.Approve(t.Context(), agent, "orchard", asked.ID, r.sign(t, "agent", document))
	wantCode(t, "approved when it had expired", err, escrow.Conflict)
	if r.objects(t) != 2 {
		t.Error("an expired request took objects")
	}
}

// TestDestroyedAndCertified follows one to its certificate, with a location
// that is away at first, and shows what stays.
func TestDestroyedAndCertified(t *testing.T) {
	r := newCustodyRoom(t)
	supplier, agent := r.actor("supplier", escrow.Supplier), r.actor("agent", escrow.Agent)
	document, signature := r.request(t, evidence.GroundWithdrawal, nil)
	asked, err := r.keeper.Request(t.Context(), supplier, "orchard", "code", document, signature)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.keeper.Approve(t.Context(), agent, "orchard", asked.ID, r.sign(t, "agent", document))
	wantCode(t, "what is withdrawn is in another deposit as well", err, escrow.Conflict)
	if !strings.Contains(err.Error(), "shares object") || r.objects(t) != 2 {
		t.Errorf("%v", err)
	}
	if _, err := r.keeper.Cancel(t.Context(), supplier, "orchard", asked.ID, "both have to go"); err != nil {
		t.Fatal(err)
	}
	// Both, once a third has come that stands alone.
	_, err = r.db.Update(t.Context(), func(tx *store.Tx) ([]escrow.Act, error) {
		d := escrow.Deposit{Arrangement: "orchard", Module: "code", Number: 3, Kind: escrow.FullDeposit, Predecessor: evidence.Digest([]byte{2}), Digest: evidence.Digest([]byte{3}),
			Manifest: []byte("m"), Signature: []byte("s"), Compartment: "materials", Epoch: 1, Completeness: escrow.Complete, AcceptedAt: r.now,
			Objects: []escrow.Object{{Name: evidence.Digest([]byte{3, 1}), Size: 10}}}
		return []escrow.Act{{Kind: "test", Actor: "test"}}, tx.PutDeposit(t.Context(), d)
	})
	if err != nil {
		t.Fatal(err)
	}
	document, signature = r.request(t, evidence.GroundWithdrawal, func(d *evidence.Destruction) {
		d.Deposits = append(d.Deposits, evidence.NamedDeposit{Number: 2, Digest: evidence.Digest([]byte{2})})
	})
	if asked, err = r.keeper.Request(t.Context(), supplier, "orchard", "code", document, signature); err != nil {
		t.Fatal(err)
	}
	_, err = r.keeper.Approve(t.Context(), supplier, "orchard", asked.ID, signature)
	wantCode(t, "the same person", err, escrow.Forbidden)
	if _, err = r.keeper.Approve(t.Context(), agent, "orchard", asked.ID, r.sign(t, "agent", document)); err != nil {
		t.Fatal(err)
	}
	if _, err = r.keeper.Approve(t.Context(), agent, "orchard", asked.ID, r.sign(t, "agent", document)); err != nil {
		t.Errorf("approved again, since the answer was lost: %v", err)
	}
	r.bin.away = true
	if r.keeper.Finish(t.Context()) == nil {
		t.Error("a location is away, and it is done")
	}
	if d, _ := r.keeper.Requested(t.Context(), "orchard", asked.ID); d.State != escrow.DestructionApproved || d.Certificate != nil {
		t.Errorf("certified while a location was away: %s", d.State)
	}
	r.bin.away = false
	for range 2 { // the second time there is nothing left to do
		if err := r.keeper.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	d, err := r.keeper.Requested(t.Context(), "orchard", asked.ID)
	if err != nil || d.State != escrow.DestructionCertified {
		t.Fatalf("%s, %v", d.State, err)
	}
	c, err := evidence.VerifyCertificate(evidence.FormatPublicKey(r.server.PublicKey()), d.Certificate, d.CertificateSig)
	if err != nil || len(c.Objects) != 4 || len(c.Kept) != 0 {
		t.Errorf("%d objects, %d kept: %v", len(c.Objects), len(c.Kept), err)
	}
	list, err := r.keeper.Status(t.Context(), "orchard", "code")
	if err != nil || len(list) != 3 || list[0].Destroyed == nil || list[1].Verdict.Restorable || !list[2].Verdict.Keep {
		t.Errorf("%+v, %v", list, err)
	}
	if err := certificatesHold(t.Context(), r.db, evidence.FormatPublicKey(r.server.PublicKey())); err != nil {
		t.Error(err)
	}
	err = certificatesHold(t.Context(), r.db, evidence.FormatPublicKey(r.signers["agent"].PublicKey()))
	wantCode(t, "a certificate of another server", err, escrow.Damaged)
	// What was destroyed cannot be taken up again.
	err = r.db.View(t.Context(), func(tx *store.Tx) error {
		name, err := tx.DestroyedObject(t.Context(), []string{evidence.Digest([]byte("shared"))})
		if name == "" {
			t.Error("a destroyed object is not remembered")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
