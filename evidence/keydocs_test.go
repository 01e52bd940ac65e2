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
