// Package part says what belongs to one part of an agreement and what one
// party may read of it: the agreement narrowed to that, with the customers it
// may not learn of replaced by placeholders, and the digest of a part, which
// is what its parties sign. Documents, pages and notices are made from a
// narrowed agreement, so that they cannot say what their readers may not read.
//
// It may import escrow, evidence and agreement. It does no I/O and keeps no
// state.
package part

import (
	"fmt"
	"slices"
	"strings"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/bind"
)

// View is what somebody may read of an agreement.
type View struct {
	// Agreement has everything that may be read and nothing else. A customer
	// that may not be named is a party without a name.
	Agreement *agreement.Agreement
	// Part is the part instance, or zero in a view of a party.
	Part agreement.PartInstance
	// Reader is the party, or "" in the view of a part.
	Reader string
	// Self is the beneficiary the view is about, or "".
	Self string
	// Note is the remark of the part, and Term its own term.
	Note string
	Term *agreement.Term
	// Instance is the beneficiary or licence the part is an instance for.
	Instance string

	hidden  []string
	digest  string
	own     string
	signed  []byte
	content any
}

// Digest is the SHA-256 of what the parties of the part sign: its content and
// the digests of the parts it rests on. A view of a party has none.
func (v *View) Digest() string { return v.digest }

// Canonical is what [View.Digest] is the digest of: everything the part says,
// who signs and reads it and the digests of the parts it rests on, as canonical
// JSON. A view of a party has none.
func (v *View) Canonical() []byte { return v.signed }

// OwnDigest is the digest without the parts it rests on: it changes only when
// the part's own content, parties, readers or form change.
func (v *View) OwnDigest() string { return v.own }

// ContentDigest is the SHA-256 of what the view says, without who signs it.
func (v *View) ContentDigest() (string, error) { return digest(v.content) }

// Hidden lists names, numbers and addresses that must not be in anything made
// from the view, also not by way of a free text.
func (v *View) Hidden() []string { return v.hidden }

// NewReader returns a party that reads the part and did not read the former
// one, or "".
func (v *View) NewReader(former *View) string {
	for _, r := range readersOf(v.Part) {
		if !slices.Contains(readersOf(former.Part), r) {
			return r
		}
	}
	return ""
}

// IDs lists the part instances of the agreement.
func IDs(a *agreement.Agreement) []string {
	var out []string
	for _, p := range a.Expand().Parts {
		out = append(out, p.ID)
	}
	return out
}

// Of returns the view of one part instance, such as frame or accession/acme.
func Of(a *agreement.Agreement, id string) (*View, error) {
	e := a.Expand()
	return of(a, e, id, map[string]bool{})
}

func of(a *agreement.Agreement, e *agreement.Expanded, id string, above map[string]bool) (*View, error) {
	i := slices.IndexFunc(e.Parts, func(p agreement.PartInstance) bool { return p.ID == id })
	if i < 0 {
		return nil, escrow.Errorf(escrow.NotFound, "the agreement has no part %q", id).
			WithHint("its parts are %s", strings.Join(IDs(a), ", "))
	}
	p := e.Parts[i]
	if above[id] {
		return nil, escrow.Errorf(escrow.Invalid, "part %s rests on itself", id).WithHint("take one rests_on out")
	}
	above[id] = true
	defer delete(above, id)
	s := newScope(a, e, []agreement.PartInstance{p})
	s.readers = readersOf(p)
	v := s.view()
	v.Part, v.Instance, v.Self = p, p.Instance, selfOf(a, p)
	for _, template := range a.Parts {
		if template.ID == p.Part {
			v.Note, v.Term = template.Note, template.Term
		}
	}
	head := map[string]any{
		"format": "holdfast.part/v1", "arrangement": a.ID, "part": p.ID, "kind": p.Kind, "parties": texts(p.Parties),
		"readers": texts(p.Readers), "in_force_on": string(p.InForceOn), "form": p.Form, "with": texts(p.With), "content": v.content, "note": v.Note,
	}
	if v.Term != nil {
		head["term"] = bind.Tree(v.Term)
	}
	var err error
	if v.own, err = digest(head); err != nil {
		return nil, err
	}
	rests := map[string]any{}
	for _, other := range p.RestsOn {
		below, err := of(a, e, other, above)
		if err != nil {
			return nil, err
		}
		rests[other] = below.digest
	}
	head["rests_on"] = rests
	if v.signed, err = evidence.Canonical(head); err != nil {
		return nil, fmt.Errorf("part %s: %w", id, err)
	}
	v.digest = evidence.Digest(v.signed)
	return v, nil
}

func digest(v any) (string, error) {
	data, err := evidence.Canonical(v)
	if err != nil {
		return "", fmt.Errorf("digest of a part: %w", err)
	}
	return evidence.Digest(data), nil
}

func texts(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

func readersOf(p agreement.PartInstance) []string {
	return append(slices.Clone(p.Parties), p.Readers...)
}

// selfOf is the beneficiary a part instance is about.
func selfOf(a *agreement.Agreement, p agreement.PartInstance) string {
	if p.Instance == "" {
		return ""
	}
	return a.Self(p.Instance)
}

// For returns the view of one party: what the parts it signs or reads hold,
// and of the rest what it must know to play its role.
func For(a *agreement.Agreement, party string) (*View, error) {
	if a.Party(party) == nil {
		return nil, escrow.Errorf(escrow.NotFound, "the agreement has no party %q", party).
			WithHint("its parties are %s", strings.Join(partyIDs(a), ", "))
	}
	e := a.Expand()
	var mine []agreement.PartInstance
	for _, p := range e.Parts {
		if slices.Contains(readersOf(p), party) {
			mine = append(mine, p)
		}
	}
	s := newScope(a, e, mine)
	s.reader, s.readers = party, []string{party}
	v := s.view()
	v.Reader = party
	if a.Party(party).Role == agreement.Role(escrow.Beneficiary) {
		v.Self = party
	}
	return v, nil
}

// Whole returns the view of whoever holds the whole text.
func Whole(a *agreement.Agreement) *View {
	v := &View{Agreement: a.Narrowed(func(*agreement.Agreement) {})}
	v.content = v.Agreement.Narrowed(func(a *agreement.Agreement) { a.Version, a.Replaces = 0, "" }).Tree()
	return v
}

func partyIDs(a *agreement.Agreement) []string {
	out := make([]string, len(a.Parties))
	for i, p := range a.Parties {
		out[i] = p.ID
	}
	return out
}
