package evidence

import "fmt"

// AcceptanceFormat names the format of an [Acceptance].
const AcceptanceFormat = "holdfast-acceptance/v1"

const maxAcceptance = 4 << 10

// Acceptance is the word of one person of a trustee that the trustee's share
// was opened, fits the published commitments and names what the person
// expects. It is signed in [NamespaceAcceptance].
type Acceptance struct {
	Format      string `json:"format"`
	Arrangement string `json:"arrangement"`
	Compartment string `json:"compartment"`
	Epoch       int    `json:"epoch"`
	Set         string `json:"set"`
	Manifest    string `json:"manifest"` // digest of the key manifest
	Trustee     string `json:"trustee"`
	Person      string `json:"person"`
	Share       string `json:"share"` // digest of the share text
	At          Time   `json:"at"`
}

// ParseAcceptance reads an acceptance strictly. It does not check the
// signature, which needs the key manifest.
func ParseAcceptance(data []byte) (*Acceptance, error) {
	return parseDocument[Acceptance]("acceptance", data, maxAcceptance)
}

// Bytes returns the canonical bytes that are signed.
func (a Acceptance) Bytes() ([]byte, error) {
	a.Format = AcceptanceFormat
	return renderDocument("acceptance", &a)
}

func (a *Acceptance) validate() error {
	switch {
	case a.Format != AcceptanceFormat:
		return fmt.Errorf("format is %.40q, want %q", a.Format, AcceptanceFormat)
	case !IsID(a.Arrangement):
		return fmt.Errorf("arrangement %.80q is not an identifier", a.Arrangement)
	case !IsID(a.Compartment):
		return fmt.Errorf("compartment %.80q is not an identifier", a.Compartment)
	case a.Epoch < 1:
		return fmt.Errorf("epoch %d counts from 1", a.Epoch)
	case !IsDigest(a.Set):
		return fmt.Errorf("set %.80q is not a set id", a.Set)
	case !IsDigest(a.Manifest):
		return fmt.Errorf("manifest %.80q is not a digest", a.Manifest)
	case !IsName(a.Trustee):
		return fmt.Errorf("trustee %.80q is not a name", a.Trustee)
	case !IsName(a.Person):
		return fmt.Errorf("person %.80q is not a name", a.Person)
	case !IsDigest(a.Share):
		return fmt.Errorf("share %.80q is not a digest", a.Share)
	}
	return nil
}
