package evidence_test

import (
	"bytes"
	"strings"
	"testing"

	"holdfast/evidence"
)

// fuzzDocument holds that whatever parses formats to the same bytes: a
// document has one form, so its digest and signature mean something.
func fuzzDocument(f *testing.F, name string) {
	for _, d := range keyDocuments() {
		if d.name != name {
			continue
		}
		seed := d.bytes(f)
		f.Add(seed)
		f.Add(bytes.Replace(seed, []byte(`:1,`), []byte(`:1.0,`), 1))
		f.Add(bytes.Replace(seed, []byte(`","`), []byte(`", "`), 1))
		f.Add(append([]byte(" "), seed...))
		f.Add([]byte(`{"format":"holdfast-` + name + `/v1"}`))
		f.Fuzz(func(t *testing.T, data []byte) {
			again, err := d.again(data)
			if err != nil {
				return
			}
			if name == "contact" {
				data = bytes.TrimSuffix(data, []byte("\n"))
			}
			if !bytes.Equal(data, again) {
				t.Fatalf("parses, but formats differently:\n%q\n%q", data, again)
			}
		})
		return
	}
	f.Fatalf("no document %q", name)
}

func FuzzKeyManifest(f *testing.F)   { fuzzDocument(f, "manifest") }
func FuzzStatement(f *testing.F)     { fuzzDocument(f, "statement") }
func FuzzApproval(f *testing.F)      { fuzzDocument(f, "approval") }
func FuzzAcceptance(f *testing.F)    { fuzzDocument(f, "acceptance") }
func FuzzContact(f *testing.F)       { fuzzDocument(f, "contact") }
func FuzzResharePlan(f *testing.F)   { fuzzDocument(f, "plan") }
func FuzzDealing(f *testing.F)       { fuzzDocument(f, "dealing") }
func FuzzSubShare(f *testing.F)      { fuzzDocument(f, "subshare") }
func FuzzDestruction(f *testing.F)   { fuzzDocument(f, "destruction") }
func FuzzPartStatement(f *testing.F) { fuzzDocument(f, "partstatement") }
func FuzzCertificate(f *testing.F)   { fuzzDocument(f, "certificate") }
func FuzzUnchanged(f *testing.F)     { fuzzDocument(f, "unchanged") }
func FuzzLeaveNotice(f *testing.F)   { fuzzDocument(f, "leavenotice") }
func FuzzLeaving(f *testing.F)       { fuzzDocument(f, "leaving") }

// FuzzShareText holds that whatever parses is one canonical text with mail
// damage undone, and that its digest is that of the canonical text.
func FuzzShareText(f *testing.F) {
	text, err := testShare(f).Text()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")))
	f.Add(append([]byte("\uFEFF"), text...))
	f.Add(bytes.Replace(text, []byte("part: "), []byte("part:  "), 1))
	f.Add([]byte("holdfast-share/v1\nchecksum: 0000000000000000\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, digest, err := evidence.ParseShareText(data)
		if err != nil {
			return
		}
		again, err := s.Text()
		if err != nil {
			t.Fatalf("parses, but cannot be written: %v", err)
		}
		if digest != evidence.Digest(again) {
			t.Fatal("the digest is of something else")
		}
		lines := strings.Split(strings.TrimRight(strings.TrimPrefix(string(data), "\uFEFF"), " \t\r\n"), "\n")
		for i := range lines {
			lines[i] = strings.TrimRight(lines[i], " \t\r")
		}
		if strings.Join(lines, "\n")+"\n" != string(again) {
			t.Fatalf("forgives more than mail damage:\n%q\n%q", data, again)
		}
	})
}

func FuzzSSHSignature(f *testing.F) {
	message := []byte("message")
	sig, err := evidence.Sign(testSigner(f, 1), evidence.NamespaceKeys, message)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(testKey(f, 1), message, sig)
	f.Add(testKey(f, 2), message, sig)
	f.Add("ssh-rsa AAAA", message, []byte("-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n"))
	f.Fuzz(func(t *testing.T, key string, m, sig []byte) {
		if evidence.Verify(key, evidence.NamespaceKeys, m, sig) == nil && (key != testKey(t, 1) || !bytes.Equal(m, message)) {
			t.Fatalf("a signature holds for key %q and message %q", key, m)
		}
	})
}
