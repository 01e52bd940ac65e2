package evidence_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"holdfast/evidence"
)

func testDestruction() evidence.Destruction {
	digest := func(s string) string { return evidence.Digest([]byte(s)) }
	return evidence.Destruction{
		Format: evidence.DestructionFormat, Arrangement: "portal", Module: "db/gem-a", Ground: evidence.GroundWithdrawal,
		Reason: "holds a file that is not ours", Method: evidence.MethodObjects,
		Deposits: []evidence.NamedDeposit{{Number: 2, Digest: digest("two")}, {Number: 4, Digest: digest("four")}},
		Party:    "leverancier", Person: "bob", At: testTime(), Expires: evidence.At(testTime().Add(14 * 24 * time.Hour)), Nonce: digest("nonce"),
	}
}

// testCertificate is complete, with its server's signature beside it.
func testCertificate(t testing.TB, change func(*evidence.Certificate)) (document, signature []byte) {
	t.Helper()
	must := func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	request := must(testDestruction().Bytes())
	decider := func(party, person string, signer ssh.Signer, after time.Duration) evidence.Decider {
		return evidence.Decider{Party: party, Person: person, Key: evidence.FormatPublicKey(signer.PublicKey()),
			Signature: string(must(evidence.Sign(signer, evidence.NamespaceDestruction, request))), At: evidence.At(testTime().Add(after))}
	}
	c := evidence.Certificate{
		Format: evidence.CertificateFormat, Request: string(request),
		Requester: decider("leverancier", "bob", testSigner(t, 1), time.Minute), Approver: decider("gem-a", "anna", testSigner(t, 2), time.Hour),
		Objects:   []evidence.GoneObject{{Deposit: 2, Name: evidence.Digest([]byte("a")), Size: 10}, {Deposit: 4, Name: evidence.Digest([]byte("b")), Size: 20}},
		Kept:      []evidence.GoneObject{{Deposit: 2, Name: evidence.Digest([]byte("c")), Size: 30}},
		DecidedAt: evidence.At(testTime().Add(time.Hour)), DoneAt: evidence.At(testTime().Add(2 * time.Hour)),
	}
	if change != nil {
		change(&c)
	}
	document = must(evidence.Canonical(c))
	return document, must(evidence.Sign(testSigner(t, 9), evidence.NamespaceCertificate, document))
}

func TestVerifyCertificate(t *testing.T) {
	document, signature := testCertificate(t, nil)
	c, err := evidence.VerifyCertificate(testKey(t, 9), document, signature)
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Destruction()
	if err != nil || d.Module != "db/gem-a" || len(c.Objects) != 2 {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := evidence.VerifyCertificate(testKey(t, 8), document, signature); !errors.Is(err, evidence.ErrSignature) {
		t.Errorf("another server: %v", err)
	}
	for name, change := range map[string]func(*evidence.Certificate){
		"one person twice": func(c *evidence.Certificate) { c.Approver = c.Requester },
		"one key for two people": func(c *evidence.Certificate) {
			c.Approver.Key, c.Approver.Signature = c.Requester.Key, c.Requester.Signature
		},
		"one party twice":           func(c *evidence.Certificate) { c.Approver.Party = c.Requester.Party },
		"another requester":         func(c *evidence.Certificate) { c.Requester.Person = "carl" },
		"the approver did not sign": func(c *evidence.Certificate) { c.Approver.Signature = c.Requester.Signature },
		"no signature":              func(c *evidence.Certificate) { c.Approver.Signature = "" },
		"approved too late":         func(c *evidence.Certificate) { c.Approver.At = evidence.At(testTime().Add(15 * 24 * time.Hour)) },
		"done before it was decided": func(c *evidence.Certificate) {
			c.DoneAt = evidence.At(c.DecidedAt.Add(-time.Second))
		},
		"an object of another deposit": func(c *evidence.Certificate) { c.Objects[1].Deposit = 3 },
		"an object twice":              func(c *evidence.Certificate) { c.Objects[1] = c.Objects[0] },
		"nothing":                      func(c *evidence.Certificate) { c.Objects, c.Kept = nil, nil },
		"another request":              func(c *evidence.Certificate) { c.Request = strings.Replace(c.Request, `"number":2`, `"number":1`, 1) },
		"no request":                   func(c *evidence.Certificate) { c.Request = "" },
	} {
		t.Run(name, func(t *testing.T) {
			document, signature := testCertificate(t, change)
			if _, err := evidence.VerifyCertificate(testKey(t, 9), document, signature); err == nil {
				t.Error("it holds")
			}
		})
	}
}

func TestDestructionRefuses(t *testing.T) {
	for name, change := range map[string]func(*evidence.Destruction){
		"no such ground":         func(d *evidence.Destruction) { d.Ground = "tidying" },
		"no reason":              func(d *evidence.Destruction) { d.Reason = "" },
		"an epoch by objects":    func(d *evidence.Destruction) { d.Epoch = 1 },
		"no epoch":               func(d *evidence.Destruction) { d.Method = evidence.MethodEpoch },
		"no deposit":             func(d *evidence.Destruction) { d.Deposits = nil },
		"a deposit twice":        func(d *evidence.Destruction) { d.Deposits[1] = d.Deposits[0] },
		"no digest":              func(d *evidence.Destruction) { d.Deposits[0].Digest = "" },
		"expired from the start": func(d *evidence.Destruction) { d.Expires = d.At },
		"a reason that misleads": func(d *evidence.Destruction) { d.Reason = "old\u202edata" },
	} {
		d := testDestruction()
		change(&d)
		if _, err := d.Bytes(); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
