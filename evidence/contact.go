package evidence

import (
	"bytes"
	"encoding/pem"
	"fmt"

	"golang.org/x/crypto/ssh"
)

// ContactFormat names the format of a [Contact].
const ContactFormat = "holdfast-contact/v1"

const maxContact = 16 << 10

// Contact is a person's public card: to which age recipient things for this
// person are sealed, and with which key the person signs. The card signs
// itself, so a recipient cannot be swapped without the signing key being
// swapped too; that both belong to the person is settled by comparing
// fingerprints over another channel.
type Contact struct {
	Format    string `json:"format"`
	Party     string `json:"party"`
	Person    string `json:"person"`
	Recipient string `json:"recipient"`
	Key       string `json:"ssh_key"`
	Created   Time   `json:"created"`
	Signature string `json:"signature,omitempty"` // armored, over the card without this field
}

// SignContact fills in c's format, key and signature and returns the card's
// bytes.
func SignContact(c Contact, signer ssh.Signer) ([]byte, error) {
	c.Format, c.Key, c.Signature = ContactFormat, FormatPublicKey(signer.PublicKey()), ""
	message, err := Canonical(c)
	if err != nil {
		return nil, fmt.Errorf("contact: %w", err)
	}
	sig, err := Sign(signer, NamespaceContact, message)
	if err != nil {
		return nil, fmt.Errorf("contact: %w", err)
	}
	c.Signature = string(sig)
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("contact: %w", err)
	}
	return Canonical(c)
}

// ParseContact reads a card strictly and verifies its own signature. One
// newline after the document is allowed, since people edit and mail cards.
func ParseContact(data []byte) (*Contact, error) {
	if len(data) > maxContact {
		return nil, fmt.Errorf("contact: %d bytes, at most %d", len(data), maxContact)
	}
	var c Contact
	if err := ParseCanonical(bytes.TrimSuffix(data, []byte("\n")), &c); err != nil {
		return nil, fmt.Errorf("contact: %w", err)
	}
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("contact: %w", err)
	}
	unsigned := c
	unsigned.Signature = ""
	message, err := Canonical(unsigned)
	if err != nil {
		return nil, fmt.Errorf("contact: %w", err)
	}
	if err := Verify(c.Key, NamespaceContact, message, []byte(c.Signature)); err != nil {
		return nil, fmt.Errorf("contact of %s/%s: %w", c.Party, c.Person, err)
	}
	return &c, nil
}

func (c *Contact) validate() error {
	switch {
	case c.Format != ContactFormat:
		return fmt.Errorf("format is %.40q, want %q", c.Format, ContactFormat)
	case !IsName(c.Party):
		return fmt.Errorf("party %.80q is not a name", c.Party)
	case !IsName(c.Person):
		return fmt.Errorf("person %.80q is not a name", c.Person)
	case !IsRecipient(c.Recipient):
		return fmt.Errorf("recipient is not a post-quantum age recipient (%s…)", recipientPrefix)
	}
	if err := checkPublicKey(c.Key); err != nil {
		return err
	}
	// The armor is part of the card's bytes, so it may have one form only.
	p, _ := pem.Decode([]byte(c.Signature))
	if p == nil || len(p.Headers) > 0 || string(pem.EncodeToMemory(p)) != c.Signature {
		return fmt.Errorf("signature is not armored in the usual form")
	}
	return nil
}
