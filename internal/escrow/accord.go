package escrow

import (
	"strings"
	"time"
)

// VersionState is where a version of an agreement stands on its way into
// force.
type VersionState string

// The states. Draft: it is commented on and reviewed. Offered: its parties may
// sign. Active: every part that needed it is signed, and it came into force.
// Refused and Withdrawn: the offer ended; the text may be offered again, and
// what was signed counts for the offer that ended only. Replaced: another
// draft took its place.
const (
	VersionDraft     VersionState = "draft"
	VersionOffered   VersionState = "offered"
	VersionActive    VersionState = "active"
	VersionRefused   VersionState = "refused"
	VersionWithdrawn VersionState = "withdrawn"
	VersionReplaced  VersionState = "replaced"
	VersionExpired   VersionState = "expired" // never stored; see At
)

// AgreementVersion is one text of an agreement before and after it came into
// force by signatures.
type AgreementVersion struct {
	Arrangement string
	Digest      string // of Canonical; with the arrangement it names the text
	Version     int
	Canonical   []byte
	Source      []byte
	State       VersionState
	DraftedBy   string
	DraftedAt   time.Time
	OfferedBy   string
	OfferedAt   time.Time // whole seconds: signatures name the offer by it
	ExpiresAt   time.Time // of the offer
	EndedBy     string
	EndedAt     time.Time // when it became active, refused, withdrawn or replaced
	EndReason   string
}

// At returns the state at now: an offer that nobody completed in time has
// expired.
func (v AgreementVersion) At(now time.Time) VersionState {
	if v.State == VersionOffered && !now.Before(v.ExpiresAt) {
		return VersionExpired
	}
	return v.State
}

// Open reports whether the text may still come into force as it stands.
func (v AgreementVersion) Open(now time.Time) bool {
	s := v.At(now)
	return s == VersionDraft || s == VersionOffered
}

// PartSignature is one party's signature under one part. It is never changed
// and never removed.
type PartSignature struct {
	Arrangement string
	Agreement   string // digest of the text
	OfferedAt   time.Time
	Part        string
	Digest      string // of the part
	Party       string
	Person      string
	Copy        string // digest of the signed copy, "" for a signature by SSH key
	DeputyFor   string
	Authority   string // the proof that the person may sign for the party
	CallBack    bool   // it counts only after the signatory was called back
	Document    []byte
	Signature   []byte
	Key         string // SSH public key that made it
	SignedAt    time.Time
}

// PartWord is somebody's signed word for a signature under a part: that the
// copy is right, or that the signatory was called back.
type PartWord struct {
	Arrangement string
	Agreement   string
	OfferedAt   time.Time
	Part        string
	Party       string // whose signature it is
	Copy        string
	States      string // evidence.PartCopyAttests or evidence.PartCalledBack
	ByParty     string
	ByPerson    string
	Document    []byte
	Signature   []byte
	Key         string
	GivenAt     time.Time
}

// PartReview is a named person's sign-off over a part as it was read.
type PartReview struct {
	Arrangement string
	Agreement   string
	Part        string
	Digest      string
	Party       string
	Person      string
	Verdict     string
	Note        string
	Document    []byte
	Signature   []byte
	Key         string
	ReviewedAt  time.Time
}

// PartComment is a remark or proposal on a clause of a draft.
type PartComment struct {
	Arrangement string
	ID          string
	Agreement   string
	Part        string
	Clause      string
	Party       string
	Person      string
	Text        string
	Proposal    string // other words for the clause
	MadeAt      time.Time
}

// Mandate is an authority that was put on record beside what the text of the
// agreement says, with its proof.
type Mandate struct {
	Arrangement string
	ID          string
	Warrant
	ProofDigest string // of the document, "" when it was only named
	RecordedBy  string
	RecordedAt  time.Time
}

// The facts about who can act.
const (
	FactInsolvent = "insolvent" // of a party
	FactAway      = "away"      // of a person, written party/person
)

// ActingFact is something on record that bears on who can act.
type ActingFact struct {
	Arrangement string
	Kind        string // see FactInsolvent
	About       string // a party, or party/person
	From        time.Time
	Until       time.Time // zero means it holds
	Proof       string
	RecordedBy  string
	RecordedAt  time.Time
}

// Holds reports whether the fact holds at a moment.
func (f ActingFact) Holds(at time.Time) bool {
	return !at.Before(f.From) && (f.Until.IsZero() || at.Before(f.Until))
}

// Of is the party that the fact is about.
func (f ActingFact) Of() string {
	party, _, _ := strings.Cut(f.About, "/")
	return party
}

// SignedCopy is a scan or a signed PDF, sealed to the server's own identity.
type SignedCopy struct {
	Arrangement string
	Digest      string // of the plain bytes
	Part        string
	Size        int64
	Sealed      []byte
	AddedAt     time.Time
}
