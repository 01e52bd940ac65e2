package evidence

import "fmt"

// The formats of the two documents of a destruction.
const (
	DestructionFormat = "holdfast-destruction/v1"
	CertificateFormat = "holdfast-destruction-certificate/v1"
)

const (
	maxDestruction = 1 << 20
	maxCertificate = 32 << 20
	maxGround      = 1000
	// MaxDestroyed bounds the deposits of one destruction.
	MaxDestroyed = 5000
)

// The grounds on which deposits are destroyed.
const (
	GroundRetention     = "retention"       // the agreed time to keep them is over
	GroundPersonalData  = "personal_data"   // the term in which personal data may be kept is over
	GroundEndOfContract = "end_of_contract" // the contract has ended and says so
	GroundWithdrawal    = "withdrawal"      // it should never have been deposited: a secret, somebody's data
)

// Grounds lists the grounds. It returns a fresh slice.
func Grounds() []string {
	return []string{GroundRetention, GroundPersonalData, GroundEndOfContract, GroundWithdrawal}
}

// The ways in which something is destroyed.
const (
	MethodObjects = "objects" // every sealed object is deleted at every location
	MethodEpoch   = "epoch"   // the epoch they are sealed to has ended and its holders destroy the key; objects go where they can
)

// Destruction asks that deposits of one module be destroyed. Two people of
// different parties sign the same bytes, in [NamespaceDestruction]; an edited
// request is a new request.
type Destruction struct {
	Format      string         `json:"format"`
	Arrangement string         `json:"arrangement"`
	Module      string         `json:"module"`
	Ground      string         `json:"ground"` // see [Grounds]
	Reason      string         `json:"reason"` // in words; it stays for ever, so it repeats nothing of what is destroyed
	Method      string         `json:"method"`
	Epoch       int            `json:"epoch,omitempty"` // with [MethodEpoch]: of the module's compartment
	Deposits    []NamedDeposit `json:"deposits"`        // in the order of their numbers
	Party       string         `json:"party"`           // who asks
	Person      string         `json:"person"`
	At          Time           `json:"at"`
	Expires     Time           `json:"expires"` // an approval given later does not count
	Nonce       string         `json:"nonce"`   // 32 random bytes in lower-case hex
}

// NamedDeposit is a deposit by its number and the digest of its manifest.
type NamedDeposit struct {
	Number int    `json:"number"`
	Digest string `json:"digest"`
}

// ParseDestruction reads a request for destruction strictly. It does not check
// signatures.
func ParseDestruction(data []byte) (*Destruction, error) {
	return parseDocument[Destruction]("request for destruction", data, maxDestruction)
}

// Bytes returns the canonical bytes that both people sign.
func (d Destruction) Bytes() ([]byte, error) {
	d.Format = DestructionFormat
	return renderDocument("request for destruction", &d)
}

func (d *Destruction) validate() error {
	switch {
	case d.Format != DestructionFormat:
		return fmt.Errorf("format is %.40q, want %q", d.Format, DestructionFormat)
	case !IsID(d.Arrangement):
		return fmt.Errorf("arrangement %.80q is not an identifier", d.Arrangement)
	case !IsID(d.Module):
		return fmt.Errorf("module %.80q is not an identifier", d.Module)
	case !isOneOf(d.Ground, Grounds()...):
		return fmt.Errorf("ground %.80q is none of %v", d.Ground, Grounds())
	case !isOneOf(d.Method, MethodObjects, MethodEpoch):
		return fmt.Errorf("method %.80q is neither %s nor %s", d.Method, MethodObjects, MethodEpoch)
	case (d.Method == MethodEpoch) != (d.Epoch > 0):
		return fmt.Errorf("method %s with epoch %d", d.Method, d.Epoch)
	case !IsName(d.Party):
		return fmt.Errorf("party %.80q is not a name", d.Party)
	case !IsName(d.Person):
		return fmt.Errorf("person %.80q is not a name", d.Person)
	case d.At.IsZero() || d.Expires.IsZero() || !d.At.Before(d.Expires.Time):
		return fmt.Errorf("expires must come after at")
	case !IsDigest(d.Nonce):
		return fmt.Errorf("nonce is not 32 bytes in lower-case hex")
	case len(d.Deposits) == 0 || len(d.Deposits) > MaxDestroyed:
		return fmt.Errorf("%d deposits, want 1 to %d", len(d.Deposits), MaxDestroyed)
	}
	last := 0
	for i, n := range d.Deposits {
		if n.Number <= last || !IsDigest(n.Digest) {
			return fmt.Errorf("deposits[%d]: out of order, listed twice or without a digest", i)
		}
		last = n.Number
	}
	return checkText("reason", d.Reason, maxGround)
}

func isOneOf(s string, list ...string) bool {
	for _, l := range list {
		if s == l {
			return true
		}
	}
	return false
}

// Certificate is the server's signed word that what two people decided was
// done: which bytes are gone, since when, by whose decision, on which ground.
// It is signed in [NamespaceCertificate] and can be checked by anybody,
// offline.
type Certificate struct {
	Format    string       `json:"format"`
	Request   string       `json:"request"` // canonical [Destruction], byte for byte as both signed it
	Requester Decider      `json:"requester"`
	Approver  Decider      `json:"approver"`
	Objects   []GoneObject `json:"objects"`        // what is destroyed, by deposit and name
	Kept      []GoneObject `json:"kept,omitempty"` // what other deposits, which stay, are made of as well
	DecidedAt Time         `json:"decided_at"`     // since then nothing refers to the objects
	DoneAt    Time         `json:"done_at"`        // since then the objects are at no location; with [MethodEpoch] when the certificate was made
}

// Decider is one of the two people and their signature over the request.
type Decider struct {
	Party     string `json:"party"`
	Person    string `json:"person"`
	Key       string `json:"key"` // SSH public key, as the person's contact card has it
	Signature string `json:"signature"`
	At        Time   `json:"at"` // when the server took it in
}

// GoneObject is one sealed object of one deposit.
type GoneObject struct {
	Deposit int    `json:"deposit"`
	Name    string `json:"sha256"`
	Size    int64  `json:"size"`
}

// ParseCertificate reads a certificate strictly; see [VerifyCertificate].
func ParseCertificate(data []byte) (*Certificate, error) {
	return parseDocument[Certificate]("certificate of destruction", data, maxCertificate)
}

// Bytes returns the canonical bytes that the server signs.
func (c Certificate) Bytes() ([]byte, error) {
	c.Format = CertificateFormat
	return renderDocument("certificate of destruction", &c)
}

// Destruction returns the request that the certificate answers.
func (c *Certificate) Destruction() (*Destruction, error) { return ParseDestruction([]byte(c.Request)) }

func (c *Certificate) validate() error {
	if c.Format != CertificateFormat {
		return fmt.Errorf("format is %.40q, want %q", c.Format, CertificateFormat)
	}
	d, err := c.Destruction()
	if err != nil {
		return err
	}
	for _, s := range []struct {
		what string
		Decider
	}{{"requester", c.Requester}, {"approver", c.Approver}} {
		if !IsName(s.Party) || !IsName(s.Person) || s.Key == "" || s.Signature == "" || s.At.IsZero() {
			return fmt.Errorf("%s: a party, a person, a key, a signature and a time are needed", s.what)
		}
	}
	switch {
	case c.Requester.Party != d.Party || c.Requester.Person != d.Person:
		return fmt.Errorf("the requester is %s/%s, the request is of %s/%s", c.Requester.Party, c.Requester.Person, d.Party, d.Person)
	case c.Requester.Party == c.Approver.Party || c.Requester.Person == c.Approver.Person || c.Requester.Key == c.Approver.Key:
		return fmt.Errorf("%s/%s and %s/%s are not two people of two parties", c.Requester.Party, c.Requester.Person, c.Approver.Party, c.Approver.Person)
	case c.DecidedAt.IsZero() || c.DoneAt.IsZero() || c.DoneAt.Before(c.DecidedAt.Time) || c.DecidedAt.Before(c.Requester.At.Time):
		return fmt.Errorf("the times are not in order")
	case !c.Approver.At.Before(d.Expires.Time):
		return fmt.Errorf("the approval came after the request had expired")
	case len(c.Objects)+len(c.Kept) == 0:
		return fmt.Errorf("no object is named")
	}
	named := make(map[int]bool, len(d.Deposits))
	for _, n := range d.Deposits {
		named[n.Number] = true
	}
	for what, list := range map[string][]GoneObject{"objects": c.Objects, "kept": c.Kept} {
		for i, o := range list {
			switch {
			case !named[o.Deposit]:
				return fmt.Errorf("%s[%d]: deposit %d is not in the request", what, i, o.Deposit)
			case !IsDigest(o.Name) || o.Size <= 0:
				return fmt.Errorf("%s[%d]: bad name or size", what, i)
			case i > 0 && (list[i-1].Deposit > o.Deposit || list[i-1].Deposit == o.Deposit && list[i-1].Name >= o.Name):
				return fmt.Errorf("%s[%d]: out of order or listed twice", what, i)
			}
		}
	}
	return nil
}

// VerifyCertificate checks a certificate offline: the server's signature by
// its published key, and that two people of two parties, with two keys, signed
// the very request it answers. Whether the keys are those people's is for the
// reader to compare with their contact cards.
func VerifyCertificate(serverKey string, document, signature []byte) (*Certificate, error) {
	c, err := ParseCertificate(document)
	if err != nil {
		return nil, err
	}
	if err := Verify(serverKey, NamespaceCertificate, document, signature); err != nil {
		return nil, fmt.Errorf("certificate of destruction: %w", err)
	}
	for _, s := range []Decider{c.Requester, c.Approver} {
		if err := Verify(s.Key, NamespaceDestruction, []byte(c.Request), []byte(s.Signature)); err != nil {
			return nil, fmt.Errorf("certificate of destruction: %s/%s: %w", s.Party, s.Person, err)
		}
	}
	return c, nil
}
