package seal

import (
	"bytes"
	"io"

	"filippo.io/age"
	"filippo.io/age/armor"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// OpenManifest parses a key manifest, verifies the dealer's signature over it
// and checks what the format alone cannot: that every recipient is a real
// post-quantum key and every commitment a point of the group. Whether the
// dealer's key is the dealer's is for the caller to compare.
func OpenManifest(document, signature []byte) (*evidence.KeyManifest, error) {
	m, err := evidence.ParseKeyManifest(document)
	if err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "%w", err).WithHint("ask the dealer for the file again; nothing was accepted")
	}
	if err := evidence.Verify(m.Dealer.Key, evidence.NamespaceKeys, document, signature); err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "key manifest of %s, epoch %d: signature of %s/%s: %w", m.Compartment, m.Epoch, m.Dealer.Party, m.Dealer.Person, err).
			WithHint("the manifest or its signature was changed on the way; ask the dealer for both again")
	}
	if err := checkKeys(m); err != nil {
		return nil, err
	}
	return m, nil
}

func checkKeys(m *evidence.KeyManifest) error {
	bad := func(format string, args ...any) error {
		return escrow.Errorf(escrow.Invalid, "key manifest of %s, epoch %d: "+format, append([]any{m.Compartment, m.Epoch}, args...)...).
			WithHint("the dealer must make the manifest again from intact contact cards")
	}
	if m.Kind == evidence.QuorumKind {
		if _, err := age.ParseHybridRecipient(m.Recipient); err != nil {
			return bad("the release recipient is not a valid key")
		}
	}
	for _, p := range m.Parts {
		if _, err := parsePoints(p.Commitments); err != nil {
			return bad("part %s: %w", p.Name, err)
		}
	}
	for _, t := range m.Trustees {
		for _, p := range t.People {
			if _, err := age.ParseHybridRecipient(p.Recipient); err != nil {
				return bad("the recipient of %s/%s is not a valid key", t.Party, p.Person)
			}
		}
	}
	for _, r := range m.Recipients {
		if _, err := age.ParseHybridRecipient(r.Recipient); err != nil {
			return bad("the recipient of %s/%s is not a valid key", r.Party, r.Person)
		}
	}
	return nil
}

// maxSealedText bounds a package: a share text, or a list of them, in armor.
const maxSealedText = 1 << 20

// sealText encrypts a small text into one armored age file.
func sealText(text []byte, recipients ...*age.HybridRecipient) ([]byte, error) {
	var buf bytes.Buffer
	a := armor.NewWriter(&buf)
	list := make([]age.Recipient, len(recipients))
	for i, r := range recipients {
		list[i] = r
	}
	w, err := age.Encrypt(a, list...)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if err := a.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// openText decrypts an armored age file. what names it in errors.
func openText(what string, sealed []byte, sealedTo []string, identities ...*age.HybridIdentity) ([]byte, error) {
	if len(sealed) > maxSealedText {
		return nil, escrow.Errorf(escrow.Invalid, "%s: %d bytes, at most %d", what, len(sealed), maxSealedText)
	}
	binary, err := io.ReadAll(armor.NewReader(bytes.NewReader(sealed)))
	if err != nil {
		return nil, escrow.Errorf(escrow.Damaged, "%s is not a whole armored age file", what).
			WithHint("fetch the file again; compare its SHA-256 with the published one")
	}
	r, err := Open(bytes.NewReader(binary), OpenOptions{Name: what, Size: int64(len(binary)), SealedTo: sealedTo}, identities...)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// parseRecipients turns recipient strings into keys.
func parseRecipients(list []string) ([]*age.HybridRecipient, error) {
	out := make([]*age.HybridRecipient, len(list))
	for i, s := range list {
		r, err := age.ParseHybridRecipient(s)
		if err != nil {
			return nil, escrow.Errorf(escrow.Invalid, "recipient %s is not a valid post-quantum age key", short(evidence.Fingerprint(s)))
		}
		out[i] = r
	}
	return out, nil
}

// short is how a fingerprint or digest appears in a message: the first 16
// digits identify it, nobody compares more by eye.
func short(digest string) string {
	if len(digest) > 16 {
		return digest[:16] + "…"
	}
	return digest
}

// fingerprint is the fingerprint of the recipient of an identity.
func fingerprint(id *age.HybridIdentity) string {
	return evidence.Fingerprint(id.Recipient().String())
}
