package evidence

import "fmt"

// The formats of the two documents of an approval.
const (
	StatementFormat = "holdfast-approval-statement/v1"
	ApprovalFormat  = "holdfast-approval/v1"
)

const (
	maxStatement = 256 << 10
	maxApproval  = 1 << 20
	// MaxStatementRecipients bounds for how many people one release opens.
	MaxStatementRecipients = 64
	maxStatementDeposits   = 1024
	maxPurpose             = 500
)

// ApprovalStatement says exactly what a trustee approves. Its digest binds
// every word: an edited request is a new request, and the approvals given
// for the old one do not count for it.
type ApprovalStatement struct {
	Format      string               `json:"format"`
	Arrangement string               `json:"arrangement"`
	Agreement   string               `json:"agreement"` // digest of the agreement in force
	Compartment string               `json:"compartment"`
	Epoch       int                  `json:"epoch"`
	Set         string               `json:"set"`
	Case        string               `json:"case"`
	Stage       string               `json:"stage"`
	Recipients  []StatementRecipient `json:"recipients"` // for whom it opens, in the order of party and person
	Deposits    []DepositRange       `json:"deposits"`   // what is handed over, in the order of the modules
	Purpose     string               `json:"purpose"`
	Expires     Time                 `json:"expires"`
	Nonce       string               `json:"nonce"` // 32 random bytes of the server in lower-case hex
}

// StatementRecipient is one person for whom a release opens.
type StatementRecipient struct {
	Party       string `json:"party"`
	Person      string `json:"person"`
	Fingerprint string `json:"fingerprint"` // of the person's age recipient
}

// DepositRange names deposits of one module, both ends included.
type DepositRange struct {
	Module string `json:"module"`
	From   int    `json:"from"`
	To     int    `json:"to"`
}

// ParseStatement reads an approval statement strictly.
func ParseStatement(data []byte) (*ApprovalStatement, error) {
	return parseDocument[ApprovalStatement]("approval statement", data, maxStatement)
}

// Bytes returns the canonical bytes; their [Digest] is what approvals name.
func (s ApprovalStatement) Bytes() ([]byte, error) {
	s.Format = StatementFormat
	return renderDocument("approval statement", &s)
}

func (s *ApprovalStatement) validate() error {
	switch {
	case s.Format != StatementFormat:
		return fmt.Errorf("format is %.40q, want %q", s.Format, StatementFormat)
	case !IsID(s.Arrangement):
		return fmt.Errorf("arrangement %.80q is not an identifier", s.Arrangement)
	case !IsDigest(s.Agreement):
		return fmt.Errorf("agreement %.80q is not a digest", s.Agreement)
	case !IsID(s.Compartment):
		return fmt.Errorf("compartment %.80q is not an identifier", s.Compartment)
	case s.Epoch < 1:
		return fmt.Errorf("epoch %d counts from 1", s.Epoch)
	case !IsDigest(s.Set):
		return fmt.Errorf("set %.80q is not a set id", s.Set)
	case !IsID(s.Case):
		return fmt.Errorf("case %.80q is not an identifier", s.Case)
	case !IsID(s.Stage):
		return fmt.Errorf("stage %.80q is not an identifier", s.Stage)
	case !IsDigest(s.Nonce):
		return fmt.Errorf("nonce is not 32 bytes in lower-case hex")
	case len(s.Recipients) == 0 || len(s.Recipients) > MaxStatementRecipients:
		return fmt.Errorf("%d recipients, want 1 to %d", len(s.Recipients), MaxStatementRecipients)
	case len(s.Deposits) == 0 || len(s.Deposits) > maxStatementDeposits:
		return fmt.Errorf("%d deposit ranges, want 1 to %d", len(s.Deposits), maxStatementDeposits)
	case s.Expires.IsZero():
		return fmt.Errorf("expires is missing")
	}
	if err := checkText("purpose", s.Purpose, maxPurpose); err != nil {
		return err
	}
	prints := make(map[string]bool, len(s.Recipients))
	for i, r := range s.Recipients {
		switch {
		case !IsName(r.Party) || !IsName(r.Person):
			return fmt.Errorf("recipients[%d]: %.80q/%.80q is not a party and a person", i, r.Party, r.Person)
		case !IsDigest(r.Fingerprint):
			return fmt.Errorf("recipients[%d]: fingerprint %.80q is not a digest", i, r.Fingerprint)
		case prints[r.Fingerprint]:
			return fmt.Errorf("recipients[%d]: fingerprint %s is listed twice", i, r.Fingerprint)
		case i > 0 && !before(s.Recipients[i-1].Party, s.Recipients[i-1].Person, r.Party, r.Person):
			return fmt.Errorf("recipients[%d]: %s/%s is out of order or listed twice", i, r.Party, r.Person)
		}
		prints[r.Fingerprint] = true
	}
	for i, d := range s.Deposits {
		switch {
		case !IsID(d.Module):
			return fmt.Errorf("deposits[%d]: module %.80q is not an identifier", i, d.Module)
		case d.From < 1 || d.To < d.From:
			return fmt.Errorf("deposits[%d]: %d to %d is not a range", i, d.From, d.To)
		case i > 0 && s.Deposits[i-1].Module >= d.Module:
			return fmt.Errorf("deposits[%d]: module %s is out of order or listed twice", i, d.Module)
		}
	}
	return nil
}

// before orders people by party, then by name; equal is not before.
func before(party1, person1, party2, person2 string) bool {
	return party1 < party2 || party1 == party2 && person1 < person2
}

// Approval is one trustee's approval of one statement: the trustee's share
// text, sealed anew to the statement's recipients, by a named person. It is
// signed in [NamespaceApproval].
type Approval struct {
	Format        string `json:"format"`
	Statement     string `json:"statement"` // digest of the approval statement
	Set           string `json:"set"`
	Trustee       string `json:"trustee"`
	Person        string `json:"person"`
	Share         string `json:"share"`   // digest of the share text inside the package
	Package       string `json:"package"` // armored age file to all recipients of the statement
	PackageDigest string `json:"package_digest"`
	At            Time   `json:"at"`
}

// ParseApproval reads an approval strictly. It does not check the signature,
// which needs the key manifest.
func ParseApproval(data []byte) (*Approval, error) {
	return parseDocument[Approval]("approval", data, maxApproval)
}

// Bytes returns the canonical bytes that are signed.
func (a Approval) Bytes() ([]byte, error) {
	a.Format = ApprovalFormat
	return renderDocument("approval", &a)
}

func (a *Approval) validate() error {
	switch {
	case a.Format != ApprovalFormat:
		return fmt.Errorf("format is %.40q, want %q", a.Format, ApprovalFormat)
	case !IsDigest(a.Statement):
		return fmt.Errorf("statement %.80q is not a digest", a.Statement)
	case !IsDigest(a.Set):
		return fmt.Errorf("set %.80q is not a set id", a.Set)
	case !IsName(a.Trustee):
		return fmt.Errorf("trustee %.80q is not a name", a.Trustee)
	case !IsName(a.Person):
		return fmt.Errorf("person %.80q is not a name", a.Person)
	case !IsDigest(a.Share):
		return fmt.Errorf("share %.80q is not a digest", a.Share)
	case a.Package == "":
		return fmt.Errorf("package is missing")
	case Digest([]byte(a.Package)) != a.PackageDigest:
		return fmt.Errorf("package_digest is not the digest of the package")
	}
	return nil
}
