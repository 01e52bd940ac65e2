package evidence

import "fmt"

// The formats of the documents of a resharing.
const (
	PlanFormat     = "holdfast-reshare/v1"
	DealingFormat  = "holdfast-dealing/v1"
	SubShareFormat = "holdfast-subshare/v1"
)

const (
	maxPlan     = 4 << 20
	maxDealing  = 8 << 20
	maxSubShare = 16 << 10
)

// ResharePlan says how the release identity of one set passes to other
// trustees without ever being put together. Old trustees agree to it by
// signing a dealing that names its digest.
type ResharePlan struct {
	Format        string         `json:"format"`
	Manifest      string         `json:"manifest"` // digest of the old key manifest
	Previous      string         `json:"previous"` // the old set
	Arrangement   string         `json:"arrangement"`
	Agreement     string         `json:"agreement"`
	Compartment   string         `json:"compartment"`
	Epoch         int            `json:"epoch"` // the new one
	IdentityEpoch int            `json:"identity_epoch"`
	Recipient     string         `json:"recipient"` // stays the same
	Contributors  []string       `json:"contributors"`
	Parts         []PlanPart     `json:"parts"`
	Trustees      []TrusteeEntry `json:"trustees"` // the new ones, without shares and packages
	Recipients    []KeyRecipient `json:"recipients"`
	Required      int            `json:"required"`
	Dealer        Signatory      `json:"dealer"` // who coordinates and signs the new key manifest
	Created       Time           `json:"created"`
}

// PlanPart is the shape of a part in the new sharing.
type PlanPart struct {
	Name      string `json:"name"`
	Threshold int    `json:"threshold"`
	Holders   int    `json:"holders"`
}

// ParseResharePlan reads a plan strictly.
func ParseResharePlan(data []byte) (*ResharePlan, error) {
	return parseDocument[ResharePlan]("resharing plan", data, maxPlan)
}

// Bytes returns the canonical bytes, whose digest dealings name.
func (p ResharePlan) Bytes() ([]byte, error) {
	p.Format = PlanFormat
	return renderDocument("resharing plan", &p)
}

func (p *ResharePlan) validate() error {
	switch {
	case p.Format != PlanFormat:
		return fmt.Errorf("format is %.40q, want %q", p.Format, PlanFormat)
	case !IsDigest(p.Manifest) || !IsDigest(p.Previous) || !IsDigest(p.Agreement):
		return fmt.Errorf("manifest, previous or agreement is not a digest")
	case !IsID(p.Arrangement) || !IsID(p.Compartment):
		return fmt.Errorf("arrangement %.80q or compartment %.80q is not an identifier", p.Arrangement, p.Compartment)
	case p.IdentityEpoch < 1 || p.Epoch <= p.IdentityEpoch:
		return fmt.Errorf("epoch %d cannot follow a resharing of an identity made in epoch %d", p.Epoch, p.IdentityEpoch)
	case !IsRecipient(p.Recipient):
		return fmt.Errorf("recipient is not a post-quantum age recipient (%s…)", recipientPrefix)
	case !IsName(p.Dealer.Party) || !IsName(p.Dealer.Person):
		return fmt.Errorf("dealer %.80q/%.80q is not a party and a person", p.Dealer.Party, p.Dealer.Person)
	case len(p.Contributors) == 0 || len(p.Contributors) > MaxTrustees:
		return fmt.Errorf("%d contributors, want 1 to %d", len(p.Contributors), MaxTrustees)
	}
	if err := checkPublicKey(p.Dealer.Key); err != nil {
		return fmt.Errorf("dealer: %w", err)
	}
	seen := make(map[string]bool, len(p.Contributors))
	for i, c := range p.Contributors {
		if !IsName(c) || seen[c] {
			return fmt.Errorf("contributors[%d]: %.80q is not a name or is listed twice", i, c)
		}
		seen[c] = true
	}
	if err := checkRecipients(p.Recipients); err != nil {
		return err
	}
	parts := p.parts()
	if err := checkParts(parts, len(p.Trustees), false); err != nil {
		return err
	}
	if err := checkTrustees(parts, p.Trustees); err != nil {
		return err
	}
	highest := 0
	for _, q := range parts {
		highest = max(highest, q.Threshold)
	}
	if p.Required < highest || p.Required > len(p.Trustees) {
		return fmt.Errorf("required is %d, want %d (the highest threshold) to %d (all trustees)", p.Required, highest, len(p.Trustees))
	}
	for i, t := range p.Trustees {
		if t.Share != "" {
			return fmt.Errorf("trustees[%d] %s: a plan knows no share yet", i, t.Party)
		}
		for _, h := range t.People {
			if h.Package != "" {
				return fmt.Errorf("trustees[%d] %s/%s: a plan knows no package yet", i, t.Party, h.Person)
			}
		}
	}
	return nil
}

func (p *ResharePlan) parts() []Part {
	parts := make([]Part, len(p.Parts))
	for i, q := range p.Parts {
		parts[i] = Part{Name: q.Name, Threshold: q.Threshold, Holders: q.Holders}
	}
	return parts
}

// Dealing is what one old trustee deals in a resharing: its share of each
// part, shared anew among the new trustees. Everything but the sealed
// sub-shares is public and can be checked against the old commitments. It is
// signed in [NamespaceReshare].
type Dealing struct {
	Format   string          `json:"format"`
	Plan     string          `json:"plan"` // digest
	Previous string          `json:"previous"`
	Trustee  string          `json:"trustee"`
	Person   string          `json:"person"`
	Parts    []DealingPart   `json:"parts"`
	Packages []SealedPackage `json:"packages"` // one per person of each new trustee, in the order of the plan
	At       Time            `json:"at"`
}

// DealingPart commits to the polynomial that shares one old share anew.
type DealingPart struct {
	Name        string    `json:"name"`
	Index       int       `json:"index"` // the old trustee's
	Commitments []Bytes32 `json:"commitments"`
}

// SealedPackage is an armored age file for one person.
type SealedPackage struct {
	Trustee string `json:"trustee"`
	Person  string `json:"person"`
	Package string `json:"package"`
}

// ParseDealing reads a dealing strictly. It does not check the signature.
func ParseDealing(data []byte) (*Dealing, error) {
	return parseDocument[Dealing]("dealing", data, maxDealing)
}

// Bytes returns the canonical bytes that are signed.
func (d Dealing) Bytes() ([]byte, error) {
	d.Format = DealingFormat
	return renderDocument("dealing", &d)
}

func (d *Dealing) validate() error {
	switch {
	case d.Format != DealingFormat:
		return fmt.Errorf("format is %.40q, want %q", d.Format, DealingFormat)
	case !IsDigest(d.Plan) || !IsDigest(d.Previous):
		return fmt.Errorf("plan or previous is not a digest")
	case !IsName(d.Trustee) || !IsName(d.Person):
		return fmt.Errorf("%.80q/%.80q is not a trustee and a person", d.Trustee, d.Person)
	case len(d.Parts) == 0 || len(d.Parts) > MaxParts:
		return fmt.Errorf("%d parts, want 1 to %d", len(d.Parts), MaxParts)
	case len(d.Packages) == 0 || len(d.Packages) > MaxTrustees*MaxPeople:
		return fmt.Errorf("%d packages, want 1 to %d", len(d.Packages), MaxTrustees*MaxPeople)
	}
	for i, p := range d.Parts {
		if !IsName(p.Name) || p.Index < 1 || p.Index > MaxTrustees || len(p.Commitments) == 0 || len(p.Commitments) > MaxTrustees {
			return fmt.Errorf("parts[%d]: bad name, index or number of commitments", i)
		}
	}
	for i, p := range d.Packages {
		if !IsName(p.Trustee) || !IsName(p.Person) || p.Package == "" {
			return fmt.Errorf("packages[%d]: bad trustee or person, or no package", i)
		}
	}
	return nil
}

// SubShare is the content of one sealed package of a dealing: an old
// trustee's contribution to one new trustee's share.
type SubShare struct {
	Format string         `json:"format"`
	Plan   string         `json:"plan"`
	From   string         `json:"from"`
	To     string         `json:"to"`
	Parts  []SubSharePart `json:"parts"`
}

// SubSharePart is the contribution to one part.
type SubSharePart struct {
	Name  string  `json:"name"`
	Index int     `json:"index"` // the new trustee's
	Share Bytes32 `json:"share"`
	Blind Bytes32 `json:"blind"`
}

// ParseSubShare reads a sub-share strictly.
func ParseSubShare(data []byte) (*SubShare, error) {
	return parseDocument[SubShare]("sub-share", data, maxSubShare)
}

// Bytes returns the canonical bytes that are sealed.
func (s SubShare) Bytes() ([]byte, error) {
	s.Format = SubShareFormat
	return renderDocument("sub-share", &s)
}

func (s *SubShare) validate() error {
	switch {
	case s.Format != SubShareFormat:
		return fmt.Errorf("format is %.40q, want %q", s.Format, SubShareFormat)
	case !IsDigest(s.Plan):
		return fmt.Errorf("plan is not a digest")
	case !IsName(s.From) || !IsName(s.To):
		return fmt.Errorf("%.80q or %.80q is not a trustee", s.From, s.To)
	case len(s.Parts) > MaxParts:
		return fmt.Errorf("%d parts, at most %d", len(s.Parts), MaxParts)
	}
	for i, p := range s.Parts {
		if !IsName(p.Name) || p.Index < 1 || p.Index > MaxTrustees {
			return fmt.Errorf("parts[%d]: bad name or index", i)
		}
	}
	return nil
}
