package seal_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/seal"
)

// statement asks for a release to the operator.
func (s *scene) statement(t testing.TB, edit func(*evidence.ApprovalStatement)) []byte {
	t.Helper()
	m := s.dealt.Manifest
	st := evidence.ApprovalStatement{
		Arrangement: m.Arrangement, Agreement: m.Agreement, Compartment: m.Compartment, Epoch: m.Epoch, Set: m.Set,
		Case: "case-1", Stage: "materials",
		Recipients: []evidence.StatementRecipient{{Party: "standby", Person: "sam", Fingerprint: evidence.Fingerprint(s.operator.identity.Recipient().String())}},
		Deposits:   []evidence.DepositRange{{Module: "code", From: 1, To: 7}},
		Purpose:    "Keep the portal running.", Expires: evidence.At(now().Add(time.Hour)), Nonce: evidence.Digest([]byte("nonce")),
	}
	if edit != nil {
		edit(&st)
	}
	raw, err := st.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (s *scene) request(t testing.TB, p person, statement []byte) seal.ApproveRequest {
	return seal.ApproveRequest{Manifest: s.dealt.Manifest, Statement: statement, Share: s.shareOf(t, p), Holder: p.holder(), Signer: p.signer, Now: now()}
}

func (s *scene) approve(t testing.TB, p person, statement []byte) seal.Signed {
	t.Helper()
	doc, sig, err := seal.Approve(s.request(t, p, statement))
	if err != nil {
		t.Fatal(err)
	}
	return seal.Signed{Document: doc, Signature: sig, ReceivedAt: now()}
}

func (s *scene) quorum(t testing.TB, statement []byte, approvals ...seal.Signed) seal.Status {
	t.Helper()
	st, err := evidence.ParseStatement(statement)
	if err != nil {
		t.Fatal(err)
	}
	status, err := seal.Quorum(s.dealt.Manifest, st, approvals)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// TestApprovalsOpenForTheRecipientAndNobodyElse runs the release of a
// compartment from statement to identity.
func TestApprovalsOpenForTheRecipientAndNobodyElse(t *testing.T) {
	s := newScene(t, 3, 5, 2).deal(t)
	statement := s.statement(t, nil)
	var approvals []seal.Signed
	var offered []seal.Offered
	for i, want := range []string{"1 of 3 - 2 more needed; no independent share", "2 of 3 - 1 more needed; no independent share", "3 of 3; no independent share", "4 of 3; 1 of 1 independent"} {
		party := fmt.Sprintf("t%d", i+1)
		approvals = append(approvals, s.approve(t, s.people[party][1], statement))
		status := s.quorum(t, statement, approvals...)
		if status.String() != want || status.Reached != (i == 3) || len(status.Rejected) != 0 {
			t.Fatalf("after %d: %s, reached %v, rejected %+v", i+1, status, status.Reached, status.Rejected)
		}
		doc, err := evidence.ParseApproval(approvals[i].Document)
		if err != nil {
			t.Fatal(err)
		}
		to := []string{s.operator.identity.Recipient().String()}
		text, err := seal.OpenApproval(doc, to, s.operator.identity)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(text, s.share(t, party).Text) {
			t.Error("the share text is not sealed verbatim")
		}
		offered = append(offered, seal.Offered{Name: party, Text: text})
		_, err = seal.OpenApproval(doc, to, s.claimant.identity)
		wantCode(t, err, escrow.WrongKey)
	}
	c, err := seal.Combine(offered, s.dealt.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := age.ParseIdentities(bytes.NewReader(c.KeyFile()))
	if err != nil || len(ids) != 1 {
		t.Fatalf("key file: %d identities, %v", len(ids), err)
	}
	if got := ids[0].(*age.HybridIdentity).Recipient().String(); got != s.dealt.Manifest.Recipient {
		t.Error("another identity came out")
	}
}

func TestApproveForTwoRecipients(t *testing.T) {
	s := newScene(t, 2, 3, 0).deal(t)
	statement := s.statement(t, func(st *evidence.ApprovalStatement) {
		st.Recipients = append([]evidence.StatementRecipient{{Party: "gem-a", Person: "anna", Fingerprint: evidence.Fingerprint(s.claimant.identity.Recipient().String())}}, st.Recipients...)
	})
	a := s.approve(t, s.people["t1"][0], statement)
	doc, err := evidence.ParseApproval(a.Document)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []person{s.operator, s.claimant} {
		if _, err := seal.OpenApproval(doc, nil, p.identity); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
	}
	if status := s.quorum(t, statement, a); len(status.Counted) != 1 {
		t.Errorf("%+v", status)
	}
}

func TestApproveRefuses(t *testing.T) {
	s := newScene(t, 2, 3, 0).deal(t)
	stranger := newPerson(t, "standby", "sam")
	p := s.people["t1"][0]
	fp := func(p person) string { return evidence.Fingerprint(p.identity.Recipient().String()) }
	for _, c := range []struct {
		name string
		edit func(*evidence.ApprovalStatement)
		code escrow.Code
		word string
	}{
		{"another arrangement", func(st *evidence.ApprovalStatement) { st.Arrangement = "other" }, escrow.Conflict, "arrangement"},
		{"another agreement", func(st *evidence.ApprovalStatement) { st.Agreement = evidence.Digest([]byte("v2")) }, escrow.Conflict, "agreement"},
		{"another compartment", func(st *evidence.ApprovalStatement) { st.Compartment = "access" }, escrow.Conflict, "compartment"},
		{"another epoch", func(st *evidence.ApprovalStatement) { st.Epoch = 2 }, escrow.Conflict, "epoch"},
		{"another set", func(st *evidence.ApprovalStatement) { st.Set = evidence.Digest([]byte("set")) }, escrow.Conflict, "set"},
		{"expired", func(st *evidence.ApprovalStatement) { st.Expires = evidence.At(now()) }, escrow.Conflict, "expired"},
		{"recipient not pinned", func(st *evidence.ApprovalStatement) { st.Recipients[0].Fingerprint = fp(stranger) }, escrow.Forbidden, "does not pin"},
		{"recipient of another party", func(st *evidence.ApprovalStatement) { st.Recipients[0].Fingerprint = fp(s.claimant) }, escrow.Forbidden, "does not pin"},
		{"recipient under another name", func(st *evidence.ApprovalStatement) { st.Recipients[0].Person = "eve" }, escrow.Forbidden, "does not pin"},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc, _, err := seal.Approve(s.request(t, p, s.statement(t, c.edit)))
			wantCode(t, err, c.code, c.word)
			if doc != nil {
				t.Error("an approval came out")
			}
		})
	}
	t.Run("text after the statement", func(t *testing.T) {
		_, _, err := seal.Approve(s.request(t, p, append(s.statement(t, nil), '\n')))
		wantCode(t, err, escrow.Invalid)
	})
	t.Run("somebody else's signing key", func(t *testing.T) {
		r := s.request(t, p, s.statement(t, nil))
		r.Signer = s.people["t1"][1].signer
		_, _, err := seal.Approve(r)
		wantCode(t, err, escrow.WrongKey, "signing key")
	})
	t.Run("somebody else's share", func(t *testing.T) {
		r := s.request(t, p, s.statement(t, nil))
		r.Share = s.share(t, "t2")
		_, _, err := seal.Approve(r)
		wantCode(t, err, escrow.Conflict, "t2")
	})
	t.Run("a person not in the manifest", func(t *testing.T) {
		r := s.request(t, p, s.statement(t, nil))
		r.Holder.Person = "eve"
		_, _, err := seal.Approve(r)
		wantCode(t, err, escrow.Forbidden, "eve")
	})
	t.Run("a newer agreement, named", func(t *testing.T) {
		v2 := evidence.Digest([]byte("v2"))
		r := s.request(t, p, s.statement(t, func(st *evidence.ApprovalStatement) { st.Agreement = v2 }))
		r.Agreement = v2
		if _, _, err := seal.Approve(r); err != nil {
			t.Error(err)
		}
	})
	t.Run("a manifest that pins an attacker", func(t *testing.T) {
		// The server relays manifest and statement. It may sign a manifest of
		// its own with the attacker as recipient; the share text does not
		// permit it.
		m := *s.dealt.Manifest
		m.Recipients = append([]evidence.KeyRecipient{}, m.Recipients...)
		m.Recipients[1].Recipient = stranger.identity.Recipient().String()
		r := s.request(t, p, s.statement(t, func(st *evidence.ApprovalStatement) { st.Recipients[0].Fingerprint = fp(stranger) }))
		r.Manifest = &m
		doc, _, err := seal.Approve(r)
		if err == nil || doc != nil {
			t.Fatal("an approval for the attacker came out")
		}
	})
}

func TestQuorumCountsWhatHoldsAndNamesWhatDoesNot(t *testing.T) {
	s := newScene(t, 3, 5, 0).deal(t)
	statement := s.statement(t, nil)
	edited := s.statement(t, func(st *evidence.ApprovalStatement) { st.Purpose = "Something else." })
	good := s.approve(t, s.people["t1"][0], statement)

	resign := func(edit func(*evidence.Approval), p person) seal.Signed {
		doc, err := evidence.ParseApproval(good.Document)
		if err != nil {
			t.Fatal(err)
		}
		edit(doc)
		raw, err := doc.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		sig, err := evidence.Sign(p.signer, evidence.NamespaceApproval, raw)
		if err != nil {
			t.Fatal(err)
		}
		return seal.Signed{Document: raw, Signature: sig, ReceivedAt: now()}
	}
	wrongNamespace := good
	var err error
	if wrongNamespace.Signature, err = evidence.Sign(s.people["t1"][0].signer, evidence.NamespaceDeposit, good.Document); err != nil {
		t.Fatal(err)
	}
	late := good
	late.ReceivedAt = now().Add(time.Hour)
	altered := good
	altered.Document = bytes.Replace(good.Document, []byte(`"t1a"`), []byte(`"t1b"`), 1)
	classic := "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----\n"

	for _, c := range []struct {
		name string
		a    seal.Signed
		word string
	}{
		{"another statement", s.approve(t, s.people["t2"][0], edited), "is for statement"},
		{"late", late, "expired"},
		{"altered", altered, "signature"},
		{"wrong namespace", wrongNamespace, "namespace"},
		{"no signature", seal.Signed{Document: good.Document, ReceivedAt: now()}, "signature"},
		{"another trustee's name", resign(func(a *evidence.Approval) { a.Trustee = "t2"; a.Person = "t2a" }, s.people["t1"][0]), "signature"},
		{"unknown trustee", resign(func(a *evidence.Approval) { a.Trustee = "t9" }, s.people["t1"][0]), "not a trustee"},
		{"unknown person", resign(func(a *evidence.Approval) { a.Person = "eve" }, s.people["t1"][0]), "eve"},
		{"another share", resign(func(a *evidence.Approval) { a.Share = evidence.Digest(nil) }, s.people["t1"][0]), "another share"},
		{"another set", resign(func(a *evidence.Approval) { a.Set = evidence.Digest(nil) }, s.people["t1"][0]), "set"},
		{"no age package", resign(func(a *evidence.Approval) { a.Package = classic; a.PackageDigest = evidence.Digest([]byte(classic)) }, s.people["t1"][0]), "age"},
		{"sealed to another number", resign(func(a *evidence.Approval) {
			sealed := sealedToTwo(t, s)
			a.Package, a.PackageDigest = sealed, evidence.Digest([]byte(sealed))
		}, s.people["t1"][0]), "recipients"},
		{"not JSON", seal.Signed{Document: []byte("yes"), ReceivedAt: now()}, "canonical"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status := s.quorum(t, statement, c.a)
			if len(status.Counted) != 0 || len(status.Rejected) != 1 || !strings.Contains(status.Rejected[0].Reason, c.word) {
				t.Errorf("%+v", status)
			}
		})
	}

	t.Run("two people of one organisation count once", func(t *testing.T) {
		status := s.quorum(t, statement, good, s.approve(t, s.people["t1"][1], statement), good)
		if status.Parts[0].Have != 1 || len(status.Rejected) != 2 || !strings.Contains(status.Rejected[0].Reason, "counts already") {
			t.Errorf("%+v", status)
		}
	})
	t.Run("any mixture is counted right", func(t *testing.T) {
		status := s.quorum(t, statement, late, good, s.approve(t, s.people["t2"][0], edited), s.approve(t, s.people["t3"][1], statement), s.approve(t, s.people["t4"][0], statement))
		if !status.Reached || status.String() != "3 of 3" || len(status.Rejected) != 2 {
			t.Errorf("%s %+v", status, status)
		}
	})
	t.Run("another manifest's statement", func(t *testing.T) {
		other := newScene(t, 3, 5, 0).deal(t)
		st, err := evidence.ParseStatement(other.statement(t, nil))
		if err != nil {
			t.Fatal(err)
		}
		_, err = seal.Quorum(s.dealt.Manifest, st, nil)
		wantCode(t, err, escrow.Conflict, "set")
	})
}

// sealedToTwo takes the package of an approval of a two-recipient statement.
func sealedToTwo(t *testing.T, s *scene) string {
	statement := s.statement(t, func(st *evidence.ApprovalStatement) {
		st.Recipients = append([]evidence.StatementRecipient{{Party: "gem-a", Person: "anna", Fingerprint: evidence.Fingerprint(s.claimant.identity.Recipient().String())}}, st.Recipients...)
	})
	doc, err := evidence.ParseApproval(s.approve(t, s.people["t1"][0], statement).Document)
	if err != nil {
		t.Fatal(err)
	}
	return doc.Package
}

func TestOnePersonCountsForOneOrganisation(t *testing.T) {
	s := newScene(t, 2, 3, 0)
	both := s.people["t1"][0]
	card := both.contact(t)
	card.Party = "t2"
	s.c.Trustees[1].People = append(s.c.Trustees[1].People, card)
	s.deal(t)
	statement := s.statement(t, nil)
	asT2 := person{"t2", both.name, both.identity, both.signer}
	first, second := s.approve(t, both, statement), s.approve(t, asT2, statement)
	second.ReceivedAt = now().Add(time.Second)
	status := s.quorum(t, statement, second, first)
	if len(status.Counted) != 1 || status.Counted[0].Trustee != "t1" || len(status.Rejected) != 1 || !strings.Contains(status.Rejected[0].Reason, "cannot act for t2 too") {
		t.Errorf("%+v", status)
	}
	// The organisation is not lost: another of its people acts.
	status = s.quorum(t, statement, first, s.approve(t, s.people["t2"][0], statement))
	if !status.Reached {
		t.Errorf("%+v", status)
	}
}

func TestAcceptances(t *testing.T) {
	s := newScene(t, 2, 4, 2)
	s.c.Required = 3
	s.deal(t)
	m := s.dealt.Manifest
	accept := func(p person) seal.Signed {
		doc, sig, err := seal.Accept(m, s.dealt.Document, s.shareOf(t, p), p.holder(), p.signer, now())
		if err != nil {
			t.Fatal(err)
		}
		return seal.Signed{Document: doc, Signature: sig, ReceivedAt: now()}
	}
	t1, t2, t3 := accept(s.people["t1"][0]), accept(s.people["t2"][1]), accept(s.people["t3"][0])
	again := accept(s.people["t1"][1])
	if st := seal.Accepted(m, s.dealt.Document, []seal.Signed{t1, again, t2}); st.Reached || st.String() != "2 of 3 required - 1 more needed; 2 of 2; no independent share" {
		t.Errorf("%s: %+v", st, st)
	}
	if st := seal.Accepted(m, s.dealt.Document, []seal.Signed{t1, t2, t3}); !st.Reached {
		t.Errorf("%s", st)
	}
	forged := t3
	forged.Document = bytes.Replace(t3.Document, []byte(`"t3a"`), []byte(`"t3b"`), 1)
	for name, bad := range map[string]seal.Signed{"forged": forged, "unsigned": {Document: t3.Document}, "garbage": {Document: []byte("{}")}} {
		if st := seal.Accepted(m, s.dealt.Document, []seal.Signed{t1, t2, bad}); st.Reached || len(st.Rejected) != 1 {
			t.Errorf("%s: %+v", name, st)
		}
	}
	if st := seal.Accepted(m, append(slices.Clone(s.dealt.Document), ' '), []seal.Signed{t1, t2, t3}); st.Reached || len(st.Rejected) != 3 {
		t.Errorf("acceptances of another manifest count: %+v", st)
	}
	// Enough organisations, but none of the class: the key would be dead.
	s4 := newScene(t, 2, 5, 2)
	s4.c.Required = 3
	s4.deal(t)
	s, m = s4, s4.dealt.Manifest
	if st := seal.Accepted(m, s.dealt.Document, []seal.Signed{accept(s.people["t1"][0]), accept(s.people["t2"][0]), accept(s.people["t3"][0])}); st.Reached {
		t.Errorf("active without an independent holder: %s", st)
	}
	p := s.people["t1"][0]
	_, _, err := seal.Accept(m, s.dealt.Document, s.shareOf(t, p), p.holder(), s.dealer.signer, now())
	wantCode(t, err, escrow.WrongKey)
}
