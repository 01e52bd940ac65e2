package evidence_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/evidence"
)

// keyDocument is one kind of document of the key formats, in its test form.
type keyDocument struct {
	name  string
	bytes func(testing.TB) []byte
	again func([]byte) ([]byte, error) // parse, then format
}

func keyDocuments() []keyDocument {
	must := func(t testing.TB, b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	return []keyDocument{
		{"manifest", func(t testing.TB) []byte { b, err := testManifest(t).Bytes(); return must(t, b, err) },
			func(data []byte) ([]byte, error) {
				m, err := evidence.ParseKeyManifest(data)
				if err != nil {
					return nil, err
				}
				return m.Bytes()
			}},
		{"statement", func(t testing.TB) []byte { b, err := testStatement(t).Bytes(); return must(t, b, err) },
			func(data []byte) ([]byte, error) {
				m, err := evidence.ParseStatement(data)
				if err != nil {
					return nil, err
				}
				return m.Bytes()
			}},
		{"approval", func(t testing.TB) []byte { b, err := testApproval(t).Bytes(); return must(t, b, err) },
			func(data []byte) ([]byte, error) {
				m, err := evidence.ParseApproval(data)
				if err != nil {
					return nil, err
				}
				return m.Bytes()
			}},
		{"acceptance", func(t testing.TB) []byte { b, err := testAcceptance(t).Bytes(); return must(t, b, err) },
			func(data []byte) ([]byte, error) {
				m, err := evidence.ParseAcceptance(data)
				if err != nil {
					return nil, err
				}
				return m.Bytes()
			}},
		{"contact", func(t testing.TB) []byte { return testContact(t) },
			func(data []byte) ([]byte, error) {
				m, err := evidence.ParseContact(data)
				if err != nil {
					return nil, err
				}
				return evidence.Canonical(m)
			}},
		{"partstatement", func(t testing.TB) []byte { b, err := testPartStatement().Bytes(); return must(t, b, err) },
			func(data []byte) ([]byte, error) {
				m, err := evidence.ParsePartStatement(data)
				if err != nil {
					return nil, err
				}
				return m.Bytes()
			}},
		{"destruction", func(t testing.TB) []byte { b, err := testDestruction().Bytes(); return must(t, b, err) },
			func(data []byte) ([]byte, error) {
				m, err := evidence.ParseDestruction(data)
				if err != nil {
					return nil, err
				}
				return m.Bytes()
			}},
		{"unchanged", func(t testing.TB) []byte { b, err := testUnchanged().Bytes(); return must(t, b, err) },
			func(data []byte) ([]byte, error) {
				m, err := evidence.ParseUnchanged(data)
				if err != nil {
					return nil, err
				}
				return m.Bytes()
			}},
		{"leavenotice", func(t testing.TB) []byte { b, err := testLeaveNotice().Bytes(); return must(t, b, err) },
			func(data []byte) ([]byte, error) {
				m, err := evidence.ParseLeaveNotice(data)
				if err != nil {
					return nil, err
				}
				return m.Bytes()
			}},
		{"leaving", func(t testing.TB) []byte { b, _ := testLeavingCertificate(t, nil); return b },
			func(data []byte) ([]byte, error) {
				m, err := evidence.ParseLeavingCertificate(data)
				if err != nil {
					return nil, err
				}
				return m.Bytes()
			}},
		{"certificate", func(t testing.TB) []byte { b, _ := testCertificate(t, nil); return b },
			func(data []byte) ([]byte, error) {
				m, err := evidence.ParseCertificate(data)
				if err != nil {
					return nil, err
				}
				return m.Bytes()
			}},
		{"plan", func(t testing.TB) []byte { b, err := testPlan(t).Bytes(); return must(t, b, err) },
			func(data []byte) ([]byte, error) {
				m, err := evidence.ParseResharePlan(data)
				if err != nil {
					return nil, err
				}
				return m.Bytes()
			}},
		{"dealing", func(t testing.TB) []byte { b, err := testDealing(t).Bytes(); return must(t, b, err) },
			func(data []byte) ([]byte, error) {
				m, err := evidence.ParseDealing(data)
				if err != nil {
					return nil, err
				}
				return m.Bytes()
			}},
		{"subshare", func(t testing.TB) []byte { b, err := testSubShare().Bytes(); return must(t, b, err) },
			func(data []byte) ([]byte, error) {
				m, err := evidence.ParseSubShare(data)
				if err != nil {
					return nil, err
				}
				return m.Bytes()
			}},
		{"share", func(t testing.TB) []byte { b, err := testShare(t).Text(); return must(t, b, err) },
			func(data []byte) ([]byte, error) {
				s, digest, err := evidence.ParseShareText(data)
				if err != nil {
					return nil, err
				}
				text, err := s.Text()
				if err == nil && evidence.Digest(text) != digest {
					panic("digest of something else")
				}
				return text, err
			}},
	}
}

func testContact(t testing.TB) []byte {
	t.Helper()
	b, err := evidence.SignContact(evidence.Contact{Party: "notary", Person: "pnotary", Recipient: testRecipient(3), Created: testTime()}, testSigner(t, 3))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestKeyDocumentsRoundTrip(t *testing.T) {
	for _, d := range keyDocuments() {
		t.Run(d.name, func(t *testing.T) {
			data := d.bytes(t)
			again, err := d.again(data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(data), string(again)); diff != "" {
				t.Errorf("parse and format differ (-first +again):\n%s", diff)
			}
		})
	}
}

func TestShareTextForgivesMailAndEditors(t *testing.T) {
	text, err := testShare(t).Text()
	if err != nil {
		t.Fatal(err)
	}
	_, want, err := evidence.ParseShareText(text)
	if err != nil {
		t.Fatal(err)
	}
	if want != evidence.Digest(text) {
		t.Fatalf("digest %s is not that of the text", want)
	}
	for name, edit := range map[string]func(string) string{
		"crlf":             func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
		"trailing blanks":  func(s string) string { return strings.ReplaceAll(s, "\n", " \t\n") },
		"no final newline": func(s string) string { return strings.TrimSuffix(s, "\n") },
		"more newlines":    func(s string) string { return s + "\n\r\n\n" },
		"byte order mark":  func(s string) string { return "\uFEFF" + s },
	} {
		s, got, err := evidence.ParseShareText([]byte(edit(string(text))))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		again, _ := s.Text()
		if got != want || !bytes.Equal(again, text) {
			t.Errorf("%s: digest or text changed", name)
		}
	}
}

// TestAlteredKeyDocumentsAreRefused edits each document in ways that keep it
// canonical JSON and must not parse.
func TestAlteredKeyDocumentsAreRefused(t *testing.T) {
	long := strings.Repeat("x", 600)
	for name, edits := range map[string][][2]string{
		"manifest": {
			{`"format":"holdfast-keys/v1"`, `"format":"holdfast-keys/v2"`},
			{`"kind":"quorum"`, `"kind":"direct"`},
			{`"kind":"quorum"`, `"kind":"both"`},
			{`"arrangement":"portal"`, `"arrangement":"Portal"`},
			{`"arrangement":"portal"`, `"arrangement":"other"`}, // the set id no longer fits
			{`"epoch":1`, `"epoch":2`},
			{`"epoch":1`, `"epoch":0`},
			{`"identity_epoch":1`, `"identity_epoch":2`},
			{`"required":3`, `"required":1`},
			{`"required":3`, `"required":4`},
			{`"required":3`, `"required":3.0`},
			{`"threshold":2`, `"threshold":1`},
			{`"threshold":2`, `"threshold":3`},
			{`"holders":3`, `"holders":4`},
			{`"index":2,"part":"all"`, `"index":3,"part":"all"`},
			{`"party":"foundation"`, `"party":"notary"`},
			{`"person":"pnotary"`, `"person":"p/notary"`},
			{`"person":"qnotary"`, `"person":"pnotary"`},
			{`"person":"pnotary"`, `"person":"pagent"`},
			{`"party":"gem-a","person":"anna"`, `"party":"zzz","person":"anna"`},
			{`"created":"2027-01-02T03:04:05Z"`, `"created":"2027-01-02T03:04:05+00:00"`},
			{`"created":"2027-01-02T03:04:05Z"`, `"created":"2027-02-30T03:04:05Z"`},
			{`"created":"2027-01-02T03:04:05Z"`, `"created":"2027-01-02T03:04:05.5Z"`},
			{`"created":`, `"admin":true,"created":`},
			{`"set":"`, `"previous":"` + evidence.Digest(nil) + `","set":"`},
			{`ssh-ed25519 `, `ssh-rsa `},
			{`ssh-ed25519 `, `no-pty ssh-ed25519 `},
			{evidence.PedersenH, testPoint(1).String()},
		},
		"statement": {
			{`"nonce":"`, `"nonce":"0`},
			{`"purpose":"Keep the portal running."`, `"purpose":""`},
			{`"purpose":"Keep the portal running."`, `"purpose":"` + long + `"`},
			{`"purpose":"Keep the portal running."`, `"purpose":"a\nb"`},
			{`"purpose":"Keep the portal running."`, "\"purpose\":\"a\u202eb\""},
			{`"purpose":"Keep the portal running."`, `"purpose":" a"`},
			{`"from":1`, `"from":0`},
			{`"from":1,"module":"code","to":7`, `"from":8,"module":"code","to":7`},
			{`"recipients":[`, `"recipients":[],"x":[`},
			{`"case":"case-1"`, `"case":"case 1"`},
			{`"expires":"2027-01-02T03:04:05Z",`, ``},
			{`"deposits":[{"from":1,"module":"code","to":7}]`, `"deposits":[]`},
		},
		"approval": {
			{`YWdl`, `YWdm`}, // the package's digest no longer fits
			{`"person":"pnotary"`, `"person":""`},
			{`"share":"`, `"share":"F`},
		},
		"acceptance": {
			{`"epoch":1`, `"epoch":-1`},
			{`"trustee":"notary"`, `"trustee":"no tary"`},
		},
		"contact": {
			{`"person":"pnotary"`, `"person":"qnotary"`}, // the signature no longer fits
			{`"party":"notary"`, `"party":"agent"`},
			{`age1pq1`, `age1`},
			{`-----BEGIN SSH SIGNATURE-----\n`, `-----BEGIN SSH SIGNATURE-----\nNote: 1\n\n`},
			{`-----END SSH SIGNATURE-----\n`, `-----END SSH SIGNATURE-----`},
		},
		"plan": {
			{`"contributors":["agent","notary"]`, `"contributors":["agent","agent"]`},
			{`"contributors":["agent","notary"]`, `"contributors":[]`},
			{`"epoch":2`, `"epoch":1`},
			{`"required":3`, `"required":1`},
		},
		"dealing": {
			{`"index":1`, `"index":0`},
			{`"commitments":[`, `"commitments":[],"x":[`},
		},
		"subshare": {
			{`"index":2`, `"index":65`},
			{`"from":"agent"`, `"from":"a b"`},
		},
	} {
		for _, d := range keyDocuments() {
			if d.name != name {
				continue
			}
			good := string(d.bytes(t))
			for _, e := range edits {
				bad := strings.Replace(good, e[0], e[1], 1)
				if bad == good {
					t.Errorf("%s: %q is not in the document", name, e[0])
					continue
				}
				if _, err := d.again([]byte(bad)); err == nil {
					t.Errorf("%s: accepted with %q", name, e[1])
				}
			}
			for _, bad := range []string{"", "null", "{}", "[]", good + good, good + " ", "\n" + good, strings.Replace(good, `{"`, `{ "`, 1), good[:len(good)/2]} {
				if _, err := d.again([]byte(bad)); err == nil {
					t.Errorf("%s: accepted %.40q", name, bad)
				}
			}
		}
	}
}

func TestEveryBitOfAContactCounts(t *testing.T) {
	card := testContact(t)
	for at := range card {
		for bit := range 8 {
			bad := bytes.Clone(card)
			bad[at] ^= 1 << bit
			if _, err := evidence.ParseContact(bad); err == nil {
				t.Fatalf("bit %d of byte %d (%q) changed unseen", bit, at, card[at])
			}
		}
	}
	if _, err := evidence.ParseContact(append(card, '\n')); err != nil {
		t.Errorf("a final newline: %v", err)
	}
}

func TestDigits(t *testing.T) {
	if got := evidence.Digits(strings.Repeat("ff", 32)); got != "7295 7295 7295 7295 7295 7295 7295 7295" {
		t.Errorf("digits of all ones: %s", got)
	}
	if got := evidence.Digits("abc"); got != "" {
		t.Errorf("digits of no digest: %q", got)
	}
	if got := evidence.Groups("0123456789"); got != "0123 4567 89" {
		t.Errorf("groups: %q", got)
	}
}
