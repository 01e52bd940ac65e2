package seal

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"filippo.io/age/armor"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// Signed is a document with its armored SSH signature, and when it was
// received by the clock of whoever counts.
type Signed struct {
	Document   []byte
	Signature  []byte
	ReceivedAt time.Time
}

// PartStatus says how far one part of a sharing is.
type PartStatus struct {
	Name      string `json:"part"`
	Threshold int    `json:"threshold"`
	Have      int    `json:"have"`
}

// Reached reports whether the part has enough.
func (p PartStatus) Reached() bool { return p.Have >= p.Threshold }

// String says it in the words people see: "2 of 3 - 1 more needed", "no
// independent share".
func (p PartStatus) String() string {
	class := ""
	if p.Name != evidence.AllPart {
		if p.Have == 0 && p.Threshold == 1 {
			return "no " + p.Name + " share"
		}
		class = " " + p.Name
	}
	s := fmt.Sprintf("%d of %d%s", p.Have, p.Threshold, class)
	if !p.Reached() {
		s += fmt.Sprintf(" - %d more needed", p.Threshold-p.Have)
	}
	return s
}

// describe lists the parts; reached tells whether all are.
func describe(parts []PartStatus) (text string, reached bool) {
	words := make([]string, len(parts))
	reached = len(parts) > 0
	for i, p := range parts {
		words[i] = p.String()
		reached = reached && p.Reached()
	}
	return strings.Join(words, "; "), reached
}

// Status is the outcome of counting.
type Status struct {
	Reached  bool         `json:"reached"`
	Parts    []PartStatus `json:"parts"`
	Counted  []Counted    `json:"counted"`
	Rejected []Rejected   `json:"rejected,omitempty"`
}

// String says how far it is.
func (s Status) String() string {
	text, _ := describe(s.Parts)
	return text
}

// Counted is an organisation that counts, and the person who acted first.
type Counted struct {
	Trustee string `json:"trustee"`
	Person  string `json:"person"`
	Entry   int    `json:"entry"` // place in the list that was counted, from 0
}

// Rejected is an entry that does not count.
type Rejected struct {
	Entry   int    `json:"entry"`
	Trustee string `json:"trustee,omitempty"`
	Person  string `json:"person,omitempty"`
	Reason  string `json:"reason"`
}

// CheckStatement checks that a statement is about this key manifest and opens
// for nobody the manifest does not pin, and returns the pinned recipients.
func CheckStatement(m *evidence.KeyManifest, s *evidence.ApprovalStatement) ([]evidence.KeyRecipient, error) {
	other := func(what string, got, want any) error {
		return escrow.Errorf(escrow.Conflict, "the statement of case %s is about %s %v, the key manifest about %v", s.Case, what, got, want).
			WithHint("do not approve; ask for the statement and the key manifest that belong together")
	}
	switch {
	case m.Kind != evidence.QuorumKind:
		return nil, escrow.Errorf(escrow.Conflict, "compartment %s is opened on demand: nobody has to approve", m.Compartment)
	case s.Arrangement != m.Arrangement:
		return nil, other("arrangement", s.Arrangement, m.Arrangement)
	case s.Compartment != m.Compartment:
		return nil, other("compartment", s.Compartment, m.Compartment)
	case s.Epoch != m.Epoch:
		return nil, other("epoch", s.Epoch, m.Epoch)
	case s.Set != m.Set:
		return nil, other("set", short(s.Set), short(m.Set))
	}
	pinned := make([]evidence.KeyRecipient, len(s.Recipients))
	for i, r := range s.Recipients {
		p := m.Pinned(r.Fingerprint)
		if p == nil || p.Party != r.Party || p.Person != r.Person {
			return nil, escrow.Errorf(escrow.Forbidden, "the statement of case %s opens for %s/%s with key %s, which the key manifest does not pin", s.Case, r.Party, r.Person, short(r.Fingerprint)).
				WithHint("do not approve: a recipient that was not agreed when the key was dealt needs a new epoch or a resharing")
		}
		pinned[i] = *p
	}
	return pinned, nil
}

// CheckApproval checks one approval as far as anybody can without a key:
// form, statement, set, the person and their signature, the share's digest,
// that the package is sealed to as many post-quantum recipients as the
// statement names, and that it came in time. Whether the package holds the
// share only its recipients can see.
func CheckApproval(m *evidence.KeyManifest, s *evidence.ApprovalStatement, a Signed) (*evidence.Approval, error) {
	statement, err := s.Bytes()
	if err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "%w", err)
	}
	doc, err := evidence.ParseApproval(a.Document)
	if err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "%w", err).WithHint("make the approval with 'holdfast approve'")
	}
	h := Holder{doc.Trustee, doc.Person}
	t, p, err := h.entry(m)
	if err != nil {
		return doc, err
	}
	if err := evidence.Verify(p.Key, evidence.NamespaceApproval, a.Document, a.Signature); err != nil {
		return doc, escrow.Errorf(escrow.Invalid, "approval of %s: %w", h, err).WithHint("sign with the key the key manifest has for %s", h)
	}
	switch {
	case doc.Statement != evidence.Digest(statement):
		return doc, escrow.Errorf(escrow.Conflict, "approval of %s is for statement %s, not %s", h, short(doc.Statement), short(evidence.Digest(statement))).
			WithHint("an edited request is a new request: approve the statement as it stands now")
	case doc.Set != m.Set:
		return doc, escrow.Errorf(escrow.Conflict, "approval of %s is for set %s, not %s", h, short(doc.Set), short(m.Set))
	case t.Share != "" && doc.Share != t.Share:
		return doc, escrow.Errorf(escrow.Invalid, "approval of %s names another share than the key manifest", h)
	case !a.ReceivedAt.Before(s.Expires.Time):
		return doc, escrow.Errorf(escrow.Conflict, "approval of %s came at %s, after the statement expired at %s", h, evidence.At(a.ReceivedAt), s.Expires).
			WithHint("ask for a new statement")
	}
	if err := inspectPackage(doc.Package, len(s.Recipients)); err != nil {
		return doc, escrow.Errorf(escrow.Invalid, "package in the approval of %s: %w", h, err)
	}
	return doc, nil
}

// inspectPackage refuses a package that is not one whole armored age file
// sealed to want post-quantum recipients.
func inspectPackage(sealed string, want int) error {
	binary, err := io.ReadAll(armor.NewReader(strings.NewReader(sealed)))
	if err != nil {
		return fmt.Errorf("not a whole armored age file: %w", err)
	}
	_, err = InspectHeader(bytes.NewReader(binary), want)
	return err
}

// Quorum counts approvals of one statement. An organisation counts once,
// whoever of its people acted; a person counts for one organisation only, the
// first. Approvals that do not hold are listed with the reason and change
// nothing. An error means that the statement is not about this manifest.
func Quorum(m *evidence.KeyManifest, s *evidence.ApprovalStatement, approvals []Signed) (Status, error) {
	if _, err := CheckStatement(m, s); err != nil {
		return Status{}, err
	}
	return count(m, approvals, func(a Signed) (Holder, error) {
		doc, err := CheckApproval(m, s, a)
		if doc == nil {
			return Holder{}, err
		}
		return Holder{doc.Trustee, doc.Person}, err
	}), nil
}

// Accepted counts acceptances of a key manifest, whose bytes document is. The
// epoch may become active when Reached: as many organisations as the manifest
// requires, and in every part at least its threshold. The status has a part
// named "required" for the former.
func Accepted(m *evidence.KeyManifest, document []byte, acceptances []Signed) Status {
	digests := make(map[string]string) // trustee → digest of its share
	st := count(m, acceptances, func(a Signed) (Holder, error) {
		doc, err := CheckAcceptance(m, document, a)
		if doc == nil {
			return Holder{}, err
		}
		h := Holder{doc.Trustee, doc.Person}
		if known, ok := digests[doc.Trustee]; err == nil && ok && known != doc.Share {
			err = escrow.Errorf(escrow.Conflict, "%s accepted another share than %s's other people", h, doc.Trustee)
		}
		if err == nil {
			digests[doc.Trustee] = doc.Share
		}
		return h, err
	})
	st.Parts = append([]PartStatus{{"required", m.Required, len(st.Counted)}}, st.Parts...)
	_, st.Reached = describe(st.Parts)
	return st
}

// CheckAcceptance checks one acceptance against the manifest.
func CheckAcceptance(m *evidence.KeyManifest, document []byte, a Signed) (*evidence.Acceptance, error) {
	doc, err := evidence.ParseAcceptance(a.Document)
	if err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "%w", err).WithHint("make the acceptance with 'holdfast share check --accept'")
	}
	h := Holder{doc.Trustee, doc.Person}
	t, p, err := h.entry(m)
	if err != nil {
		return doc, err
	}
	if err := evidence.Verify(p.Key, evidence.NamespaceAcceptance, a.Document, a.Signature); err != nil {
		return doc, escrow.Errorf(escrow.Invalid, "acceptance of %s: %w", h, err).WithHint("sign with the key the key manifest has for %s", h)
	}
	switch {
	case doc.Manifest != evidence.Digest(document) || doc.Set != m.Set || doc.Arrangement != m.Arrangement || doc.Compartment != m.Compartment || doc.Epoch != m.Epoch:
		return doc, escrow.Errorf(escrow.Conflict, "acceptance of %s is of another key manifest (%s)", h, short(doc.Manifest))
	case t.Share != "" && doc.Share != t.Share:
		return doc, escrow.Errorf(escrow.Invalid, "acceptance of %s names another share than the key manifest", h)
	}
	return doc, nil
}

// count applies check to every entry, in the order received, and counts per
// organisation and per person.
func count(m *evidence.KeyManifest, entries []Signed, check func(Signed) (Holder, error)) Status {
	order := make([]int, len(entries))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return entries[a].ReceivedAt.Compare(entries[b].ReceivedAt) })

	var st Status
	acted := make(map[string]string) // person → trustee
	for _, i := range order {
		h, err := check(entries[i])
		if err == nil {
			err = countOnce(&st, acted, h)
		}
		if err != nil {
			st.Rejected = append(st.Rejected, Rejected{i, h.Trustee, h.Person, err.Error()})
			continue
		}
		st.Counted = append(st.Counted, Counted{h.Trustee, h.Person, i})
	}
	for _, p := range m.Parts {
		have := 0
		for _, c := range st.Counted {
			if m.Trustee(c.Trustee).Index(p.Name) > 0 {
				have++
			}
		}
		st.Parts = append(st.Parts, PartStatus{p.Name, p.Threshold, have})
	}
	_, st.Reached = describe(st.Parts)
	return st
}

func countOnce(st *Status, acted map[string]string, h Holder) error {
	for _, c := range st.Counted {
		if c.Trustee == h.Trustee {
			return escrow.Errorf(escrow.Conflict, "%s counts already, through %s", c.Trustee, c.Person)
		}
	}
	// A manifest has one key per name, so the name is the person.
	if other, ok := acted[h.Person]; ok {
		return escrow.Errorf(escrow.Forbidden, "%s acted for %s already and cannot act for %s too", h.Person, other, h.Trustee)
	}
	acted[h.Person] = h.Trustee
	return nil
}
