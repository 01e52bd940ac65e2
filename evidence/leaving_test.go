package evidence_test

import (
	"errors"
	"testing"
	"time"

	"holdfast/evidence"
)

func testLeaveNotice() evidence.LeaveNotice {
	digest := func(s string) string { return evidence.Digest([]byte(s)) }
	return evidence.LeaveNotice{Format: evidence.LeaveNoticeFormat, Arrangement: "portal", Agreement: digest("text"), Version: 3, Party: "gem-b", Person: "bea",
		Parts: []evidence.NamedPart{{Part: "dpa/gem-b", Digest: digest("dpa")}, {Part: "toetreding/gem-b", Digest: digest("part")}},
		Ends:  evidence.At(testTime().AddDate(0, 6, 0)), Reason: "goes on with another supplier", At: testTime()}
}

func testLeavingCertificate(t testing.TB, change func(*evidence.LeavingCertificate)) (document, signature []byte) {
	t.Helper()
	notice, err := testLeaveNotice().Bytes()
	if err != nil {
		t.Fatal(err)
	}
	signed, err := evidence.Sign(testSigner(t, 2), evidence.NamespaceAgreement, notice)
	if err != nil {
		t.Fatal(err)
	}
	ended := testTime().AddDate(0, 6, 0)
	c := evidence.LeavingCertificate{Format: evidence.LeavingCertificateFormat, Notice: string(notice), Key: testKey(t, 2), Signature: string(signed),
		ReceivedAt: evidence.At(testTime().Add(time.Second)), Agreement: evidence.Digest([]byte("next")), Version: 4, EndedAt: evidence.At(ended.Add(time.Minute)),
		Epochs:  []evidence.EndedEpoch{{Compartment: "data/gem-b", Number: 1}, {Compartment: "data/gem-b", Number: 2}},
		Modules: []evidence.LeftModule{{Module: "db/gem-b", Deposits: 3, Certificates: []string{evidence.Digest([]byte("cert"))}}, {Module: "docs/gem-b", Certificates: []string{}}},
		DoneAt:  evidence.At(ended.Add(time.Hour))}
	if change != nil {
		change(&c)
	}
	if document, err = evidence.Canonical(c); err != nil {
		t.Fatal(err)
	}
	if signature, err = evidence.Sign(testSigner(t, 9), evidence.NamespaceCertificate, document); err != nil {
		t.Fatal(err)
	}
	return document, signature
}

func TestVerifyLeavingCertificate(t *testing.T) {
	document, signature := testLeavingCertificate(t, nil)
	c, err := evidence.VerifyLeavingCertificate(testKey(t, 9), document, signature)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := c.Left(); err != nil || n.Party != "gem-b" || c.Version != 4 {
		t.Errorf("left %+v, version %d, %v", n, c.Version, err)
	}
	if _, err := evidence.VerifyLeavingCertificate(testKey(t, 8), document, signature); !errors.Is(err, evidence.ErrSignature) {
		t.Errorf("another server: %v, want ErrSignature", err)
	}
	for i := 0; i < len(document); i += 7 { // a changed byte anywhere
		changed := append([]byte{}, document...)
		changed[i] ^= 1
		if _, err := evidence.VerifyLeavingCertificate(testKey(t, 9), changed, signature); err == nil {
			t.Fatalf("byte %d changed and nobody noticed", i)
		}
	}
}

// A certificate that the server signed over a notice which the party did not
// give, or that does not say what it must, is none.
func TestLeavingCertificateRefused(t *testing.T) {
	digest := evidence.Digest([]byte("x"))
	for name, change := range map[string]func(*evidence.LeavingCertificate){
		"another's notice":         func(c *evidence.LeavingCertificate) { c.Key = testKey(t, 3) },
		"no signature":             func(c *evidence.LeavingCertificate) { c.Signature = "" },
		"the same version":         func(c *evidence.LeavingCertificate) { c.Version = 3 },
		"the same text":            func(c *evidence.LeavingCertificate) { c.Agreement = evidence.Digest([]byte("text")) },
		"before the notice ran":    func(c *evidence.LeavingCertificate) { c.EndedAt = evidence.At(testTime().Add(time.Hour)) },
		"done before it ended":     func(c *evidence.LeavingCertificate) { c.DoneAt = c.ReceivedAt },
		"deposits without proof":   func(c *evidence.LeavingCertificate) { c.Modules[0].Certificates = []string{} },
		"proof without deposits":   func(c *evidence.LeavingCertificate) { c.Modules[1].Certificates = []string{digest} },
		"a module twice":           func(c *evidence.LeavingCertificate) { c.Modules[1].Module = "db/gem-b" },
		"an epoch twice":           func(c *evidence.LeavingCertificate) { c.Epochs[1].Number = 1 },
		"certificate not a digest": func(c *evidence.LeavingCertificate) { c.Modules[0].Certificates = []string{"yes"} },
		"another format":           func(c *evidence.LeavingCertificate) { c.Format = evidence.CertificateFormat },
	} {
		document, signature := testLeavingCertificate(t, change)
		if _, err := evidence.VerifyLeavingCertificate(testKey(t, 9), document, signature); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestLeaveNoticeRefused(t *testing.T) {
	for name, change := range map[string]func(*evidence.LeaveNotice){
		"no arrangement":   func(n *evidence.LeaveNotice) { n.Arrangement = "" },
		"no party":         func(n *evidence.LeaveNotice) { n.Party = "" },
		"ended before":     func(n *evidence.LeaveNotice) { n.Ends = evidence.At(n.At.Add(-time.Second)) },
		"no end":           func(n *evidence.LeaveNotice) { n.Ends = evidence.Time{} },
		"no reason":        func(n *evidence.LeaveNotice) { n.Reason = "" },
		"hidden character": func(n *evidence.LeaveNotice) { n.Reason = "a\u202eb" },
		"part twice":       func(n *evidence.LeaveNotice) { n.Parts[1].Part = n.Parts[0].Part },
		"part undigested":  func(n *evidence.LeaveNotice) { n.Parts[1].Digest = "1" },
		"version 0":        func(n *evidence.LeaveNotice) { n.Version = 0 },
	} {
		n := testLeaveNotice()
		n.Parts = append([]evidence.NamedPart{}, n.Parts...)
		change(&n)
		if _, err := n.Bytes(); err == nil {
			t.Errorf("%s: rendered", name)
		}
		raw, err := evidence.Canonical(n)
		if err != nil {
			continue
		}
		if _, err := evidence.ParseLeaveNotice(raw); err == nil {
			t.Errorf("%s: parsed", name)
		}
	}
}
