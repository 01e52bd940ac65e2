package evidence

import "fmt"

// PartStatementFormat is the format of what a person states about one part of
// an agreement.
const PartStatementFormat = "holdfast-part-statement/v1"

const (
	maxPartStatement = 64 << 10
	maxPartNote      = 4000
	// MaxRestsOn bounds the parts that one part rests on.
	MaxRestsOn = 64
)

// What a person can state about a part.
const (
	PartSigned      = "signed"       // signs the part for Party; with Copy: signed it on paper or as a PDF, and here is the copy
	PartCopyAttests = "copy_attests" // compared the signed copy with the part and knows the signature for Signer's
	PartCalledBack  = "called_back"  // called the signatory back at a number that was known before
	PartReviewed    = "reviewed"     // read the part with this digest
)

// PartStatement is what a person states about one part of an agreement as it
// was read: a signature, the word for a signature, or a review. The person
// signs the canonical bytes in [NamespaceAgreement]. It names the offer it
// belongs to, so that it counts for no other version, part or offer.
type PartStatement struct {
	Format      string      `json:"format"`
	Arrangement string      `json:"arrangement"`
	Agreement   string      `json:"agreement"`                 // digest of the whole text the part belongs to
	Version     int         `json:"version"`                   // of that text
	Offered     *Time       `json:"offered,omitempty"`         // when it was offered; only a review may leave it out
	Part        string      `json:"part"`                      // such as accession/gem-a
	Digest      string      `json:"digest"`                    // of the part: its content and the digests of RestsOn
	RestsOn     []NamedPart `json:"rests_on"`                  // in the order of their ids
	States      string      `json:"states"`                    // see [PartSigned]
	Party       string      `json:"party"`                     // who states it
	Person      string      `json:"person"`                    //
	DeputyFor   string      `json:"deputy_for,omitempty"`      // signs because this person cannot
	SignerParty string      `json:"signatory_party,omitempty"` // whose signature is spoken for
	Signer      string      `json:"signatory,omitempty"`       // by whom
	Copy        string      `json:"copy,omitempty"`            // SHA-256 of the signed copy
	Verdict     string      `json:"verdict,omitempty"`         // of a review: approved or objections
	Note        string      `json:"note,omitempty"`
	At          Time        `json:"at"`
}

// NamedPart is a part by its id and digest.
type NamedPart struct {
	Part   string `json:"part"`
	Digest string `json:"digest"`
}

// The verdicts of a review.
const (
	PartApproved   = "approved"
	PartObjections = "objections"
)

// ParsePartStatement reads a statement strictly. It does not check signatures.
func ParsePartStatement(data []byte) (*PartStatement, error) {
	return parseDocument[PartStatement]("statement about a part", data, maxPartStatement)
}

// Bytes returns the canonical bytes that the person signs.
func (s PartStatement) Bytes() ([]byte, error) {
	s.Format = PartStatementFormat
	if s.RestsOn == nil {
		s.RestsOn = []NamedPart{}
	}
	return renderDocument("statement about a part", &s)
}

func (s *PartStatement) validate() error {
	switch {
	case s.Format != PartStatementFormat:
		return fmt.Errorf("format is %.40q, want %q", s.Format, PartStatementFormat)
	case !IsID(s.Arrangement):
		return fmt.Errorf("arrangement %.80q is not an identifier", s.Arrangement)
	case !IsDigest(s.Agreement):
		return fmt.Errorf("agreement is not a digest")
	case s.Version < 1:
		return fmt.Errorf("version %d, want 1 or more", s.Version)
	case !IsID(s.Part):
		return fmt.Errorf("part %.80q is not an identifier", s.Part)
	case !IsDigest(s.Digest):
		return fmt.Errorf("digest of part %s is not a digest", s.Part)
	case !isOneOf(s.States, PartSigned, PartCopyAttests, PartCalledBack, PartReviewed):
		return fmt.Errorf("states %.40q, which is none of signed, copy_attests, called_back and reviewed", s.States)
	case !IsName(s.Party) || !IsName(s.Person):
		return fmt.Errorf("%.80q/%.80q is not a person of a party", s.Party, s.Person)
	case s.DeputyFor != "" && (s.States != PartSigned || !IsName(s.DeputyFor)):
		return fmt.Errorf("deputy_for %.80q", s.DeputyFor)
	case s.Copy != "" && !IsDigest(s.Copy):
		return fmt.Errorf("copy is not a digest")
	case s.States == PartCopyAttests && s.Copy == "":
		return fmt.Errorf("attests a copy and names none")
	case s.speaksForAnother() != (s.SignerParty != "") || s.speaksForAnother() != (s.Signer != ""):
		return fmt.Errorf("a word for a signature names the signatory, and nothing else does")
	case s.SignerParty != "" && (!IsName(s.SignerParty) || !IsName(s.Signer)):
		return fmt.Errorf("signatory %.80q/%.80q is not a person of a party", s.SignerParty, s.Signer)
	case (s.States == PartReviewed) != (s.Verdict != "") || s.Verdict != "" && !isOneOf(s.Verdict, PartApproved, PartObjections):
		return fmt.Errorf("verdict %.40q; a review has approved or objections, and nothing else has one", s.Verdict)
	case s.Offered == nil && s.States != PartReviewed, s.Offered != nil && s.Offered.IsZero():
		return fmt.Errorf("does not say which offer it belongs to")
	case s.At.IsZero():
		return fmt.Errorf("no time")
	case len(s.RestsOn) > MaxRestsOn:
		return fmt.Errorf("rests on %d parts, at most %d are allowed", len(s.RestsOn), MaxRestsOn)
	}
	last := ""
	for i, r := range s.RestsOn {
		if !IsID(r.Part) || !IsDigest(r.Digest) || r.Part <= last {
			return fmt.Errorf("rests_on[%d]: out of order, named twice or without a digest", i)
		}
		last = r.Part
	}
	if s.Note == "" {
		return nil
	}
	return checkText("note", s.Note, maxPartNote)
}

// speaksForAnother reports whether the statement is about somebody's signature.
func (s *PartStatement) speaksForAnother() bool {
	return s.States == PartCopyAttests || s.States == PartCalledBack
}
