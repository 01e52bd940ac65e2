package evidence_test

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"holdfast/evidence"
)

// testSigner makes a fixed Ed25519 key per seed byte.
func testSigner(t testing.TB, seed byte) ssh.Signer {
	t.Helper()
	raw := make([]byte, ed25519.SeedSize)
	raw[0] = seed
	signer, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(raw))
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func testKey(t testing.TB, seed byte) string {
	return evidence.FormatPublicKey(testSigner(t, seed).PublicKey())
}

// testRecipient has the form of a recipient, which is all that evidence
// checks.
func testRecipient(seed byte) string {
	const alphabet = "023456789acdefghjklmnpqrstuvwxyz"
	return "age1pq1" + strings.Repeat(alphabet[seed%32:seed%32+1], 1951) + alphabet[seed/32:seed/32+1]
}

func testTime() evidence.Time {
	return evidence.At(time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC))
}

func testPoint(seed byte) evidence.Bytes32 { return evidence.Bytes32{seed, 1, 2, 3} }

// testManifest is 2 of 3 with one of two independents.
func testManifest(t testing.TB) evidence.KeyManifest {
	t.Helper()
	digest := func(s string) string { return evidence.Digest([]byte(s)) }
	m := evidence.KeyManifest{
		Format: evidence.KeysFormat, Kind: evidence.QuorumKind,
		Arrangement: "portal", Agreement: digest("agreement"), Compartment: "materials",
		Epoch: 1, IdentityEpoch: 1,
		Recipient: testRecipient(0), H: evidence.PedersenH,
		Parts: []evidence.Part{
			{Name: "all", Threshold: 2, Holders: 3, Commitments: []evidence.Bytes32{testPoint(1), testPoint(2)}},
			{Name: "independent", Threshold: 1, Holders: 2, Commitments: []evidence.Bytes32{testPoint(3)}},
		},
		Recipients: []evidence.KeyRecipient{
			{Party: "gem-a", Person: "anna", Recipient: testRecipient(20)},
			{Party: "standby", Person: "sam", Recipient: testRecipient(21)},
		},
		Required: 3,
		Dealer:   evidence.Signatory{Party: "supplier", Person: "dora", Key: testKey(t, 99)},
		Created:  testTime(),
	}
	for i, party := range []string{"agent", "notary", "foundation"} {
		b := byte(i)
		e := evidence.TrusteeEntry{
			Party:   party,
			Indexes: []evidence.PartIndex{{Part: "all", Index: i + 1}},
			Share:   digest("share" + party),
			People: []evidence.Holder{
				{Person: "p" + party, Recipient: testRecipient(1 + 2*b), Key: testKey(t, 1+2*b), Package: digest("p1" + party)},
				{Person: "q" + party, Recipient: testRecipient(2 + 2*b), Key: testKey(t, 2+2*b), Package: digest("p2" + party)},
			},
		}
		if i > 0 {
			e.Indexes = append(e.Indexes, evidence.PartIndex{Part: "independent", Index: i})
		}
		m.Trustees = append(m.Trustees, e)
	}
	set, err := m.SetID()
	if err != nil {
		t.Fatal(err)
	}
	m.Set = set
	return m
}

func testShare(t testing.TB) *evidence.ShareText {
	m := testManifest(t)
	s := &evidence.ShareText{
		Arrangement: m.Arrangement, Compartment: m.Compartment, Epoch: 1, IdentityEpoch: 1,
		Set: m.Set, Trustee: "notary", Release: evidence.Fingerprint(m.Recipient),
	}
	for _, r := range m.Recipients {
		s.Recipients = append(s.Recipients, evidence.ShareRecipient{Party: r.Party, Fingerprint: evidence.Fingerprint(r.Recipient)})
	}
	s.Parts = []evidence.SharePart{
		{Part: m.Parts[0], Index: 2, Share: testPoint(7), Blind: testPoint(8)},
		{Part: m.Parts[1], Index: 1, Share: testPoint(9), Blind: testPoint(10)},
	}
	return s
}

func testStatement(t testing.TB) evidence.ApprovalStatement {
	m := testManifest(t)
	return evidence.ApprovalStatement{
		Format: evidence.StatementFormat, Arrangement: m.Arrangement, Agreement: m.Agreement,
		Compartment: m.Compartment, Epoch: m.Epoch, Set: m.Set, Case: "case-1", Stage: "materials",
		Recipients: []evidence.StatementRecipient{{Party: "standby", Person: "sam", Fingerprint: evidence.Fingerprint(testRecipient(21))}},
		Deposits:   []evidence.DepositRange{{Module: "code", From: 1, To: 7}},
		Purpose:    "Keep the portal running.", Expires: testTime(), Nonce: evidence.Digest([]byte("nonce")),
	}
}

func testApproval(t testing.TB) evidence.Approval {
	statement, err := testStatement(t).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	const sealed = "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----\n"
	return evidence.Approval{
		Format: evidence.ApprovalFormat, Statement: evidence.Digest(statement), Set: testManifest(t).Set,
		Trustee: "notary", Person: "pnotary", Share: evidence.Digest([]byte("share")),
		Package: sealed, PackageDigest: evidence.Digest([]byte(sealed)), At: testTime(),
	}
}

func testAcceptance(t testing.TB) evidence.Acceptance {
	m := testManifest(t)
	return evidence.Acceptance{
		Format: evidence.AcceptanceFormat, Arrangement: m.Arrangement, Compartment: m.Compartment, Epoch: 1,
		Set: m.Set, Manifest: evidence.Digest([]byte("m")), Trustee: "notary", Person: "pnotary",
		Share: evidence.Digest([]byte("share")), At: testTime(),
	}
}

func testPlan(t testing.TB) evidence.ResharePlan {
	m := testManifest(t)
	p := evidence.ResharePlan{
		Format: evidence.PlanFormat, Manifest: evidence.Digest([]byte("m")), Previous: m.Set, Arrangement: m.Arrangement, Agreement: m.Agreement,
		Compartment: m.Compartment, Epoch: 2, IdentityEpoch: 1, Recipient: m.Recipient, Contributors: []string{"agent", "notary"},
		Trustees: m.Trustees, Recipients: m.Recipients, Required: 3, Dealer: m.Dealer, Created: testTime(),
	}
	for _, part := range m.Parts {
		p.Parts = append(p.Parts, evidence.PlanPart{Name: part.Name, Threshold: part.Threshold, Holders: part.Holders})
	}
	for i := range p.Trustees {
		p.Trustees[i].Share = ""
		for j := range p.Trustees[i].People {
			p.Trustees[i].People[j].Package = ""
		}
	}
	return p
}

func testDealing(t testing.TB) evidence.Dealing {
	return evidence.Dealing{
		Format: evidence.DealingFormat, Plan: evidence.Digest([]byte("plan")), Previous: testManifest(t).Set, Trustee: "agent", Person: "pagent",
		Parts:    []evidence.DealingPart{{Name: "all", Index: 1, Commitments: []evidence.Bytes32{testPoint(1), testPoint(2)}}},
		Packages: []evidence.SealedPackage{{Trustee: "notary", Person: "pnotary", Package: "x"}}, At: testTime(),
	}
}

func testSubShare() evidence.SubShare {
	return evidence.SubShare{
		Format: evidence.SubShareFormat, Plan: evidence.Digest([]byte("plan")), From: "agent", To: "notary",
		Parts: []evidence.SubSharePart{{Name: "all", Index: 2, Share: testPoint(1), Blind: testPoint(2)}},
	}
}
