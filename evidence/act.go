package evidence

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of an act. What is larger belongs in the vault, with its digest in
// the act.
const (
	MaxActPayload = 1 << 20 // bytes of a rendered act
	SaltSize      = 16      // bytes of the salt of an entry
	maxActName    = 512     // bytes of an actor, a subject, a table or a row's key
)

// The kinds of act that the ledger's own rules speak about. Every other kind
// belongs to the package that makes it.
const (
	ActDepositAccepted = "deposit.accepted" // its subject is the digest of the deposit manifest
	// ActDepositUnchanged carries an [Unchanged] and its signature; its subject is
	// the digest of the manifest of the deposit that is up to date.
	ActDepositUnchanged = "deposit.unchanged"
	ActErased           = "ledger.erased" // its data is an [Erasure]

	// Of the locations of objects; the subject is an object or a location.
	ActFindingDamaged  = "finding.damaged"  // a copy is not the object
	ActFindingMissing  = "finding.missing"  // a copy is not there
	ActFindingUnhealed = "finding.unhealed" // and no good one was found to replace it
	ActObjectHealed    = "object.healed"
	ActObjectDiscarded = "object.discarded" // nothing refers to the objects; they go from every location
	ActScrubRequested  = "scrub.requested"
	ActScrubFinished   = "scrub.finished"

	// ActFindingContent says what a deposit lacks of what must be in it; its
	// subject is the digest of the manifest.
	ActFindingContent = "finding.content"

	// Of the repositories of an organisation; the subject is the module that
	// names the organisation.
	ActRepositories        = "module.repositories"  // a listing differs from the one before
	ActFindingRepositories = "finding.repositories" // one difference that people should look at

	// ActDestructionApproved drops what deposits are made of; its subject is the
	// digest of the request. ActDestructionCertified carries the digest of the
	// certificate as its subject.
	ActDestructionApproved  = "destruction.approved"
	ActDestructionCertified = "destruction.certified"
)

// Act is what one entry of the ledger says: who did what to what, when. Its
// canonical JSON is the payload of the entry. It never holds a secret.
type Act struct {
	Index       int64           `json:"index"`                 // the place of the entry in the ledger, so that it cannot be moved
	Kind        string          `json:"kind"`                  // such as "deposit.accepted"
	At          string          `json:"at"`                    // see [FormatTime]
	Actor       string          `json:"actor"`                 // who, as the program names actors
	Arrangement string          `json:"arrangement,omitempty"` // "" for acts about the installation
	Subject     string          `json:"subject,omitempty"`     // what it is about: an id, or the digest of a document
	Data        json.RawMessage `json:"data"`                  // a JSON object
	Rows        []Row           `json:"rows,omitempty"`        // the state the same transaction wrote
}

// Row is the state of one database row after an act. Digest is "" when the
// act removed the row.
type Row struct {
	Table  string `json:"table"`
	Key    string `json:"key"`
	Digest string `json:"digest"`
}

// Erasure is the data of an act of kind [ActErased].
type Erasure struct {
	Index  int64  `json:"index"` // the entry whose content was removed
	Reason string `json:"reason"`
}

// FormatTime renders a time the way acts do: RFC 3339 in UTC with
// microseconds.
func FormatTime(t time.Time) string { return t.UTC().Format(actTime) }

const actTime = "2006-01-02T15:04:05.000000Z"

// Payload validates a and returns its canonical bytes.
func (a Act) Payload() ([]byte, error) {
	if len(a.Data) == 0 {
		a.Data = json.RawMessage("{}")
	}
	payload, err := Canonical(a)
	if err != nil {
		return nil, fmt.Errorf("act %q: %w", a.Kind, err)
	}
	if err := a.validate(); err != nil {
		return nil, fmt.Errorf("act %q: %w", a.Kind, err)
	}
	if len(payload) > MaxActPayload {
		return nil, fmt.Errorf("act %q: %d bytes, at most %d are allowed", a.Kind, len(payload), MaxActPayload)
	}
	return payload, nil
}

// ParseAct reads the payload of an entry strictly: exactly the bytes that
// [Act.Payload] writes.
func ParseAct(payload []byte) (*Act, error) {
	if len(payload) > MaxActPayload {
		return nil, fmt.Errorf("act: %d bytes, at most %d are allowed", len(payload), MaxActPayload)
	}
	var a Act
	if err := ParseCanonical(payload, &a); err != nil {
		return nil, fmt.Errorf("act: %w", err)
	}
	if err := a.validate(); err != nil {
		return nil, fmt.Errorf("act: %w", err)
	}
	return &a, nil
}

func (a *Act) validate() error {
	at, err := time.Parse(actTime, a.At)
	switch {
	case a.Index < 0:
		return fmt.Errorf("index %d is negative", a.Index)
	case !isActKind(a.Kind):
		return fmt.Errorf("kind %q is not lower-case words joined by dots", a.Kind)
	case err != nil || FormatTime(at) != a.At:
		return fmt.Errorf("time %q is not RFC 3339 in UTC with microseconds", a.At)
	case a.Actor == "" || !isActName(a.Actor):
		return fmt.Errorf("actor %q is empty, too long or holds control characters", a.Actor)
	case a.Arrangement != "" && !IsID(a.Arrangement):
		return fmt.Errorf("arrangement %q is not an identifier", a.Arrangement)
	case !isActName(a.Subject):
		return fmt.Errorf("subject %q is too long or holds control characters", a.Subject)
	case len(a.Data) == 0 || a.Data[0] != '{':
		return fmt.Errorf("data is not a JSON object")
	}
	for i, r := range a.Rows {
		if r.Table == "" || r.Key == "" || !isActName(r.Table) || !isActName(r.Key) {
			return fmt.Errorf("rows[%d]: table %q and key %q must be named", i, r.Table, r.Key)
		}
		if r.Digest != "" && !IsDigest(r.Digest) {
			return fmt.Errorf("rows[%d]: %q is not a digest", i, r.Digest)
		}
	}
	return nil
}

func isActKind(s string) bool {
	if len(s) > 64 {
		return false
	}
	for part := range strings.SplitSeq(s, ".") {
		if part == "" {
			return false
		}
		for i := range len(part) {
			if c := part[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
				return false
			}
		}
	}
	return true
}

func isActName(s string) bool {
	return len(s) <= maxActName && utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}

// Entry is one entry of the ledger. The tree commits to Commitment, which
// commits to the salt and the payload; so the content can be erased, or kept
// from a reader, while every proof goes on to hold.
type Entry struct {
	Index      int64
	Payload    []byte // canonical JSON of the act; nil when erased or withheld
	Salt       []byte // SaltSize bytes; nil when Payload is
	Commitment [sha256.Size]byte
}

// Open reports whether the content of e is there.
func (e Entry) Open() bool { return e.Payload != nil }

// Act parses the content of e. It does not check the commitment; see
// [Entry.Check].
func (e Entry) Act() (*Act, error) {
	if !e.Open() {
		return nil, fmt.Errorf("entry %d is closed: its content was erased or withheld", e.Index)
	}
	return ParseAct(e.Payload)
}

// Check reports what about e does not hold by itself: a payload that is not
// an act, belongs to another place in the ledger, or does not match the
// commitment.
func (e Entry) Check() error {
	_, err := e.checkedAct()
	return err
}

// checkedAct is Check and Act in one reading; a closed entry has no act.
func (e Entry) checkedAct() (*Act, error) {
	if !e.Open() {
		if e.Salt != nil {
			return nil, &Fault{Index: e.Index, What: "the payload is gone but its salt is not"}
		}
		return nil, nil
	}
	if len(e.Salt) != SaltSize {
		return nil, &Fault{Index: e.Index, What: fmt.Sprintf("the salt has %d bytes, want %d", len(e.Salt), SaltSize)}
	}
	if Commit(e.Salt, e.Payload) != e.Commitment {
		return nil, &Fault{Index: e.Index, What: "the payload and salt do not match the commitment"}
	}
	a, err := ParseAct(e.Payload)
	if err != nil {
		return nil, &Fault{Index: e.Index, What: err.Error()}
	}
	if a.Index != e.Index {
		return nil, &Fault{Index: e.Index, What: fmt.Sprintf("the payload belongs to entry %d", a.Index)}
	}
	return a, nil
}

// Commit returns the commitment of an entry: SHA-256 over the salt followed
// by the payload. It is the record the tree of the ledger is made of.
func Commit(salt, payload []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write(salt)
	h.Write(payload)
	return [sha256.Size]byte(h.Sum(nil))
}

// Fault is the first thing of a ledger that does not hold.
type Fault struct {
	Index int64  // the first entry concerned, or −1 when it is not about one entry
	What  string // what differs
}

func (f *Fault) Error() string {
	if f.Index < 0 {
		return "ledger: " + f.What
	}
	return fmt.Sprintf("ledger entry %d: %s", f.Index, f.What)
}
