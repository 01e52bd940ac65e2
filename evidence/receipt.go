package evidence

import (
	"encoding/hex"
	"fmt"
)

// ReceiptFormat names the format of a [Receipt].
const ReceiptFormat = "holdfast-receipt/v1"

// maxReceipt leaves room for a payload whose every byte is escaped.
const maxReceipt = 6*MaxActPayload + 2*maxProofText

// Receipt is what a depositor keeps: the entry that records a deposit,
// opened, and the proof that it is in the ledger. It can be checked by
// anybody, offline, for as long as the ledger's key is known.
type Receipt struct {
	Format  string `json:"format"`
	Subject string `json:"subject"` // digest of the deposit manifest
	Payload string `json:"payload"` // the act, byte for byte as it was hashed
	Salt    string `json:"salt"`    // 16 bytes in hexadecimal
	Proof   string `json:"proof"`   // see [Proof]
}

// NewReceipt makes the receipt for the document with the given digest from
// the entry that records it.
func NewReceipt(subject string, e Entry, p Proof) (*Receipt, error) {
	r := &Receipt{
		Format:  ReceiptFormat,
		Subject: subject,
		Payload: string(e.Payload),
		Salt:    hex.EncodeToString(e.Salt),
		Proof:   p.String(),
	}
	if e.Index != p.Index {
		return nil, fmt.Errorf("receipt: the entry is %d and the proof is for %d", e.Index, p.Index)
	}
	if _, _, err := r.open(); err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	return r, nil
}

// ParseReceipt reads a receipt strictly. It verifies nothing; see
// [VerifyReceipt].
func ParseReceipt(data []byte) (*Receipt, error) {
	if len(data) > maxReceipt {
		return nil, fmt.Errorf("receipt: %d bytes, at most %d are allowed", len(data), maxReceipt)
	}
	var r Receipt
	if err := ParseCanonical(data, &r); err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	if _, _, err := r.open(); err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	return &r, nil
}

// Act returns the act the receipt shows, unverified.
func (r *Receipt) Act() (*Act, error) { return ParseAct([]byte(r.Payload)) }

// open checks the form of a receipt and returns its parts.
func (r *Receipt) open() (Entry, Proof, error) {
	var none Entry
	if r.Format != ReceiptFormat {
		return none, Proof{}, fmt.Errorf("format is %q, want %q", r.Format, ReceiptFormat)
	}
	if !IsDigest(r.Subject) {
		return none, Proof{}, fmt.Errorf("subject %q is not a digest", r.Subject)
	}
	salt, err := decodeHex(r.Salt, SaltSize)
	if err != nil {
		return none, Proof{}, fmt.Errorf("salt %w", err)
	}
	p, err := ParseProof(r.Proof)
	if err != nil {
		return none, Proof{}, err
	}
	if p.String() != r.Proof {
		return none, Proof{}, fmt.Errorf("the proof is not in its one form")
	}
	e := Entry{Index: p.Index, Payload: []byte(r.Payload), Salt: salt, Commitment: Commit(salt, []byte(r.Payload))}
	if err := e.Check(); err != nil {
		return none, Proof{}, err
	}
	return e, p, nil
}

// VerifyReceipt checks offline that the ledger which policy names has
// recorded the acceptance of the deposit whose manifest has the given digest.
// It returns the checkpoint the proof leads to, for a client to pin.
func VerifyReceipt(r *Receipt, policy Policy, manifest string) (Checkpoint, error) {
	e, p, err := r.open()
	if err != nil {
		return Checkpoint{}, fmt.Errorf("receipt: %w", err)
	}
	if !IsDigest(manifest) || r.Subject != manifest {
		return Checkpoint{}, fmt.Errorf("receipt: %w: it is for %s, not for %s", ErrSubject, r.Subject, manifest)
	}
	a, err := e.Act()
	if err != nil {
		return Checkpoint{}, fmt.Errorf("receipt: %w", err)
	}
	if a.Kind != ActDepositAccepted || a.Subject != manifest {
		return Checkpoint{}, fmt.Errorf("receipt: %w: entry %d is %q about %q", ErrSubject, a.Index, a.Kind, a.Subject)
	}
	c, err := p.Verify(policy, e.Commitment)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("receipt: %w", err)
	}
	return c, nil
}
