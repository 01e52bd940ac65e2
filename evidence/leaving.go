package evidence

import "fmt"

// The formats of the two documents with which a beneficiary leaves an
// arrangement.
const (
	LeaveNoticeFormat        = "holdfast-leave-notice/v1"
	LeavingCertificateFormat = "holdfast-leaving-certificate/v1"
)

const (
	maxLeaveNotice        = 64 << 10
	maxLeavingCertificate = 4 << 20
	maxLeaveReason        = 1000
	maxLeft               = 10_000 // entries of one list
)

// LeaveNotice is a beneficiary's notice that it ends its accession. A person
// who may sign for it signs the canonical bytes in [NamespaceAgreement]. It
// names the parts that end by digest, and so cannot be turned against others.
type LeaveNotice struct {
	Format      string      `json:"format"`
	Arrangement string      `json:"arrangement"`
	Agreement   string      `json:"agreement"` // digest of the text in force
	Version     int         `json:"version"`   // of that text
	Party       string      `json:"party"`     // who leaves
	Person      string      `json:"person"`    // who says so
	DeputyFor   string      `json:"deputy_for,omitempty"`
	Parts       []NamedPart `json:"parts"` // the parts that end, in the order of their ids
	Ends        Time        `json:"ends"`  // from this moment it takes part no longer
	Reason      string      `json:"reason"`
	At          Time        `json:"at"`
}

// ParseLeaveNotice reads a notice strictly. It does not check signatures.
func ParseLeaveNotice(data []byte) (*LeaveNotice, error) {
	return parseDocument[LeaveNotice]("notice of leaving", data, maxLeaveNotice)
}

// Bytes returns the canonical bytes that the person signs.
func (n LeaveNotice) Bytes() ([]byte, error) {
	n.Format = LeaveNoticeFormat
	if n.Parts == nil {
		n.Parts = []NamedPart{}
	}
	return renderDocument("notice of leaving", &n)
}

func (n *LeaveNotice) validate() error {
	switch {
	case n.Format != LeaveNoticeFormat:
		return fmt.Errorf("format is %.40q, want %q", n.Format, LeaveNoticeFormat)
	case !IsID(n.Arrangement):
		return fmt.Errorf("arrangement %.80q is not an identifier", n.Arrangement)
	case !IsDigest(n.Agreement):
		return fmt.Errorf("agreement is not a digest")
	case n.Version < 1:
		return fmt.Errorf("version %d, want 1 or more", n.Version)
	case !IsName(n.Party) || !IsName(n.Person):
		return fmt.Errorf("%.80q/%.80q is not a person of a party", n.Party, n.Person)
	case n.DeputyFor != "" && !IsName(n.DeputyFor):
		return fmt.Errorf("deputy_for %.80q is not a name", n.DeputyFor)
	case n.At.IsZero() || n.Ends.IsZero() || n.Ends.Before(n.At.Time):
		return fmt.Errorf("it ends before the notice was given, or a time is missing")
	case len(n.Parts) > MaxRestsOn:
		return fmt.Errorf("%d parts, at most %d are allowed", len(n.Parts), MaxRestsOn)
	}
	last := ""
	for i, p := range n.Parts {
		if !IsID(p.Part) || !IsDigest(p.Digest) || p.Part <= last {
			return fmt.Errorf("parts[%d]: out of order, named twice or without a digest", i)
		}
		last = p.Part
	}
	return checkText("reason", n.Reason, maxLeaveReason)
}

// LeavingCertificate is the server's signed word that a beneficiary has left:
// by its own notice, from when, in which version it is no longer a party, which
// keys ended, and that nothing of it is held any more. It is signed in
// [NamespaceCertificate] and can be checked by anybody, offline.
type LeavingCertificate struct {
	Format     string       `json:"format"`
	Notice     string       `json:"notice"` // canonical [LeaveNotice], byte for byte as it was signed
	Key        string       `json:"key"`    // SSH public key of the person who gave it, as the contact card has it
	Signature  string       `json:"signature"`
	ReceivedAt Time         `json:"received_at"` // when the server took the notice in
	Agreement  string       `json:"agreement"`   // digest of the version without the party
	Version    int          `json:"version"`
	EndedAt    Time         `json:"ended_at"` // since then that version is in force
	Epochs     []EndedEpoch `json:"epochs"`   // the keys that ended with it, by compartment and number
	Modules    []LeftModule `json:"modules"`  // what was held for it, by id
	DoneAt     Time         `json:"done_at"`  // since then nothing of it is held
}

// EndedEpoch is a generation of a key that ended.
type EndedEpoch struct {
	Compartment string `json:"compartment"`
	Number      int    `json:"number"`
}

// LeftModule is what became of one module of the party.
type LeftModule struct {
	Module       string   `json:"module"`
	Deposits     int      `json:"deposits"`     // all that were ever made; every one of them is destroyed
	Certificates []string `json:"certificates"` // digests of the certificates of destruction, in their order
}

// ParseLeavingCertificate reads a certificate strictly; see
// [VerifyLeavingCertificate].
func ParseLeavingCertificate(data []byte) (*LeavingCertificate, error) {
	return parseDocument[LeavingCertificate]("certificate of leaving", data, maxLeavingCertificate)
}

// Bytes returns the canonical bytes that the server signs.
func (c LeavingCertificate) Bytes() ([]byte, error) {
	c.Format = LeavingCertificateFormat
	if c.Epochs == nil {
		c.Epochs = []EndedEpoch{}
	}
	if c.Modules == nil {
		c.Modules = []LeftModule{}
	}
	for i := range c.Modules {
		if c.Modules[i].Certificates == nil {
			c.Modules[i].Certificates = []string{}
		}
	}
	return renderDocument("certificate of leaving", &c)
}

// Left returns the notice that the certificate answers.
func (c *LeavingCertificate) Left() (*LeaveNotice, error) { return ParseLeaveNotice([]byte(c.Notice)) }

func (c *LeavingCertificate) validate() error {
	if c.Format != LeavingCertificateFormat {
		return fmt.Errorf("format is %.40q, want %q", c.Format, LeavingCertificateFormat)
	}
	n, err := c.Left()
	if err != nil {
		return err
	}
	switch {
	case c.Key == "" || c.Signature == "":
		return fmt.Errorf("the key or the signature of the notice is missing")
	case !IsDigest(c.Agreement) || c.Agreement == n.Agreement:
		return fmt.Errorf("agreement is not the digest of another text")
	case c.Version <= n.Version:
		return fmt.Errorf("version %d does not come after version %d, in which notice was given", c.Version, n.Version)
	case c.ReceivedAt.IsZero() || c.EndedAt.IsZero() || c.DoneAt.IsZero() || c.EndedAt.Before(n.Ends.Time) || c.EndedAt.Before(c.ReceivedAt.Time) || c.DoneAt.Before(c.EndedAt.Time):
		return fmt.Errorf("the times are not in order")
	case len(c.Epochs) > maxLeft || len(c.Modules) > maxLeft:
		return fmt.Errorf("%d epochs and %d modules, at most %d of each", len(c.Epochs), len(c.Modules), maxLeft)
	}
	for i, e := range c.Epochs {
		if !IsID(e.Compartment) || e.Number < 1 || i > 0 && (c.Epochs[i-1].Compartment > e.Compartment || c.Epochs[i-1].Compartment == e.Compartment && c.Epochs[i-1].Number >= e.Number) {
			return fmt.Errorf("epochs[%d]: no epoch, out of order or listed twice", i)
		}
	}
	for i, m := range c.Modules {
		switch {
		case !IsID(m.Module) || i > 0 && c.Modules[i-1].Module >= m.Module:
			return fmt.Errorf("modules[%d]: no module, out of order or listed twice", i)
		case m.Deposits < 0 || (m.Deposits == 0) != (len(m.Certificates) == 0) || len(m.Certificates) > m.Deposits:
			return fmt.Errorf("modules[%d]: %d deposits destroyed by %d certificates", i, m.Deposits, len(m.Certificates))
		}
		for _, d := range m.Certificates {
			if !IsDigest(d) {
				return fmt.Errorf("modules[%d]: a certificate is not named by its digest", i)
			}
		}
	}
	return nil
}

// VerifyLeavingCertificate checks a certificate offline: the server's signature
// by its published key, and that the party itself gave the notice. Whether the
// key is that person's is for the reader to compare with the contact card; the
// certificates of destruction that it names are checked by
// [VerifyCertificate].
func VerifyLeavingCertificate(serverKey string, document, signature []byte) (*LeavingCertificate, error) {
	c, err := ParseLeavingCertificate(document)
	if err != nil {
		return nil, err
	}
	if err := Verify(serverKey, NamespaceCertificate, document, signature); err != nil {
		return nil, fmt.Errorf("certificate of leaving: %w", err)
	}
	if err := Verify(c.Key, NamespaceAgreement, []byte(c.Notice), []byte(c.Signature)); err != nil {
		return nil, fmt.Errorf("certificate of leaving: the notice: %w", err)
	}
	return c, nil
}
