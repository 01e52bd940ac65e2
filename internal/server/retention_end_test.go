package server

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/store"
)

// endText has personal data of each beneficiary, kept for 400 days at most, and
// a contract that ends.
var endText = strings.NewReplacer("calendar: nl\n", "calendar: nl\nterm: {start: 2027-01-01, end: 2028-12-31}\n",
	"keys:\n", `  - data: {id: db, for_each: beneficiaries, via: files, expect_every: 30d, compartment: data/self, retention: {versions: 2, level: 2}, max_age: 400d, at_end: {rule: destroy, within: 30d}}
keys:
  - {compartment: data/self, for_each: beneficiaries, open: on_demand, holder: self}
`).Replace(dutyText)

// TestPersonalDataAtTheEnd follows the data of one beneficiary to its end: it
// is kept while a term lasts, goes when it is over with the key that it was
// sealed to, and only a hold with its ground stops that.
func TestPersonalDataAtTheEnd(t *testing.T) {
	r := newCustodyRoomOf(t, endText, escrow.Module{ID: "db/acme", Kind: escrow.Data, Instance: "acme", Compartment: "data/acme", Source: escrow.Source{Mode: escrow.Push}})
	epoch := escrow.Epoch{Arrangement: "orchard", Compartment: "data/acme", Number: 1, Set: evidence.Digest([]byte("set")), Recipient: "age1", Manifest: []byte("m"), Signature: []byte("s"),
		State: escrow.EpochDealt, DealtAt: r.now}
	put := func(state escrow.EpochState) {
		r.write(t, func(ctx context.Context, tx *store.Tx) error {
			epoch.State = state
			return tx.PutEpoch(ctx, epoch)
		})
	}
	put(escrow.EpochDealt)
	epoch.ActivatedAt = r.now
	put(escrow.EpochActive)
	start := r.now
	digests := []string{""}
	deposit := func() {
		n := len(digests)
		d := escrow.Deposit{Arrangement: "orchard", Module: "db/acme", Number: n, Kind: escrow.FullDeposit, Predecessor: digests[n-1], Digest: evidence.Digest(fmt.Appendf(nil, "db %d", n)),
			Manifest: []byte("m"), Signature: []byte("s"), Compartment: "data/acme", Epoch: 1, Completeness: escrow.Complete, AcceptedAt: r.now,
			Objects: []escrow.Object{{Name: evidence.Digest(fmt.Appendf(nil, "dump %d", n)), Size: 10}}}
		digests = append(digests, d.Digest)
		r.write(t, func(ctx context.Context, tx *store.Tx) error { return tx.PutDeposit(ctx, d) })
	}
	supplier, acme := r.actor("supplier", escrow.Supplier), r.actor("acme", escrow.Beneficiary)
	ask := func(ground, method string, numbers ...int) ([]byte, escrow.Destruction, error) {
		document, signature := r.request(t, ground, func(d *evidence.Destruction) {
			d.Module, d.Method, d.Deposits, d.Nonce = "db/acme", method, nil, evidence.Digest(fmt.Append(nil, r.now, ground, numbers))
			if method == evidence.MethodEpoch {
				d.Epoch = 1
			}
			for _, n := range numbers {
				d.Deposits = append(d.Deposits, evidence.NamedDeposit{Number: n, Digest: digests[n]})
			}
		})
		asked, err := r.keeper.Request(t.Context(), supplier, "orchard", "db/acme", document, signature)
		return document, asked, err
	}
	deposit()
	r.write(t, func(ctx context.Context, tx *store.Tx) error {
		return tx.PutVerified(ctx, escrow.Verified{Arrangement: "orchard", Module: "db/acme", Deposit: 1, Level: 2, Party: "agent", Person: "agent-p", Note: "restored", At: r.now})
	})
	for range 3 {
		r.now = r.now.Add(30 * 24 * time.Hour)
		deposit()
	}
	status := func(number int) string {
		t.Helper()
		list, err := r.keeper.Status(t.Context(), "orchard", "db/acme")
		if err != nil {
			t.Fatal(err)
		}
		v := list[number-1].Verdict
		why := []string{fmt.Sprintf("keep %t due %t", v.Keep, v.Due)}
		for _, reason := range v.Reasons {
			why = append(why, string(reason.Why))
		}
		return strings.Join(why, " ")
	}
	// The newest that was verified is protected, until its term is over.
	if got := status(1); !strings.HasPrefix(got, "keep true due false") || !strings.Contains(got, "last_verified") {
		t.Errorf("the newest verified one: %s", got)
	}
	_, _, err := ask(evidence.GroundPersonalData, evidence.MethodObjects, 1)
	wantCode(t, "before the term is over", err, escrow.Conflict)
	r.now = start.Add(400*24*time.Hour + time.Hour)
	if got := status(1); !strings.HasPrefix(got, "keep false due true") {
		t.Errorf("after 400 days: %s", got)
	}
	if got := status(4); !strings.HasPrefix(got, "keep true due false") {
		t.Errorf("the newest after 400 days: %s", got)
	}

	// The contract ends: nothing but a hold protects from thirty days after it.
	r.now = time.Date(2029, 1, 15, 12, 0, 0, 0, time.UTC)
	_, _, err = ask(evidence.GroundEndOfContract, evidence.MethodObjects, 1, 2, 3, 4)
	if err != nil { // all are older than 400 days by then
		t.Errorf("personal data that is over its term: %v", err)
	}
	r.now = time.Date(2029, 2, 2, 12, 0, 0, 0, time.UTC)
	for n := 1; n <= 4; n++ {
		if got := status(n); !strings.HasPrefix(got, "keep false due true") {
			t.Errorf("deposit %d after the end: %s", n, got)
		}
	}
	hold, err := r.keeper.PlaceHold(t.Context(), acme, escrow.Hold{Arrangement: "orchard", Module: "db/acme", Ground: "claim 2029/17 before the court of Utrecht"})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = ask(evidence.GroundEndOfContract, evidence.MethodObjects, 1, 2, 3, 4)
	if escrow.CodeOf(err) != escrow.Conflict || !strings.Contains(err.Error(), "claim 2029/17 before the court of Utrecht") {
		t.Errorf("a hold stops it and names its ground: %v", err)
	}
	if _, err := r.keeper.LiftHold(t.Context(), acme, "orchard", hold.ID, "settled"); err != nil {
		t.Fatal(err)
	}

	// With the key: it has to have ended, and everything sealed to it is named.
	_, _, err = ask(evidence.GroundEndOfContract, evidence.MethodEpoch, 1, 2, 3, 4)
	wantCode(t, "while the key is active", err, escrow.Conflict)
	epoch.EndedAt, epoch.EndReason = r.now, "the contract is over"
	put(escrow.EpochEnded)
	_, _, err = ask(evidence.GroundEndOfContract, evidence.MethodEpoch, 1, 2, 3)
	wantCode(t, "one of them left out", err, escrow.Invalid)
	document, asked, err := ask(evidence.GroundEndOfContract, evidence.MethodEpoch, 1, 2, 3, 4)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.keeper.Approve(t.Context(), supplier, "orchard", asked.ID, r.sign(t, "supplier", document))
	wantCode(t, "by one person", err, escrow.Forbidden)
	if _, err := r.keeper.Approve(t.Context(), acme, "orchard", asked.ID, r.sign(t, "acme", document)); err != nil {
		t.Fatal(err)
	}
	if err := r.keeper.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(r.bin.deleted) != 4 {
		t.Errorf("%d objects were deleted, want 4", len(r.bin.deleted))
	}
	d, err := r.keeper.Requested(t.Context(), "orchard", asked.ID)
	if err != nil || d.State != escrow.DestructionCertified {
		t.Fatalf("%s, %v", d.State, err)
	}
	// Offline, with the server's public key alone.
	c, err := evidence.VerifyCertificate(evidence.FormatPublicKey(r.server.PublicKey()), d.Certificate, d.CertificateSig)
	if err != nil || len(c.Objects) != 4 {
		t.Errorf("the certificate: %d objects, %v", len(c.Objects), err)
	}
	if _, err := evidence.VerifyCertificate(evidence.FormatPublicKey(r.signers["acme"].PublicKey()), d.Certificate, d.CertificateSig); err == nil {
		t.Error("a certificate of another server holds")
	}
}
