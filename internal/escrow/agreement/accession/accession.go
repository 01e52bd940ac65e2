// Package accession writes the text of an agreement anew with one beneficiary
// more or one less, so that nobody edits it by hand: everything else stays as
// its authors wrote it, and says the same. It also tells from when a
// beneficiary may leave.
//
// It may depend on package agreement, its sub-packages, escrow and evidence.
// It does no I/O and keeps no state.
package accession

import (
	"encoding/json"
	"slices"
	"strings"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/coalition"
	"holdfast/internal/escrow/agreement/problem"
)

// Joiner is the beneficiary that joins.
type Joiner struct {
	ID         string
	Name       string
	Register   map[string]string // its numbers in public registers
	People     []agreement.Person
	Authority  []agreement.Authority // of its people; Party is filled in
	Controlled string                // the party that controls it, "" for none
}

// Join writes the version after a text: the same, with one beneficiary more.
// It refuses a beneficiary that stands on the supplier's side, an id that is
// taken and a text that would not pass the checks.
func Join(source []byte, j Joiner) ([]byte, error) {
	former, err := read(source)
	if err != nil {
		return nil, err
	}
	if p := former.Party(j.ID); p != nil {
		return nil, escrow.Errorf(escrow.Conflict, "%s is a party already, as %s", j.ID, p.Role).WithHint("a new beneficiary needs an id that no other party has")
	}
	if err := fresh(former, j.ID); err != nil {
		return nil, err
	}
	party := agreement.Party{ID: j.ID, Role: agreement.Role(escrow.Beneficiary), Name: j.Name, Register: j.Register, People: j.People, Controlled: j.Controlled}
	for i := range j.Authority {
		j.Authority[i].Party = j.ID
	}
	digest, err := former.Digest()
	if err != nil {
		return nil, err
	}
	want := former.Narrowed(func(a *agreement.Agreement) {
		a.Version, a.Replaces = former.Version+1, digest
		a.Parties = append(a.Parties, party)
		a.Authority = append(a.Authority, j.Authority...)
	})
	if err := OtherSide(want, j.ID); err != nil {
		return nil, err
	}
	return write(source, want, func(t *lines) bool {
		return t.version(want.Version, digest) && t.add("parties", partyLines(party)) && t.add("authority", authorityLines(j.Authority))
	})
}

// fresh refuses an id that already means something else in the text: things
// that are made for a beneficiary are called after it.
func fresh(a *agreement.Agreement, id string) error {
	e := a.Expand()
	used := a.Licence(id) != nil
	for _, p := range a.Parts {
		used = used || p.ID == id
	}
	for _, p := range a.Parties {
		for _, x := range p.People {
			used = used || x.ID == id
		}
	}
	tail := "/" + id
	for _, m := range e.Modules {
		used = used || strings.HasSuffix(m.ID, tail)
	}
	for _, c := range e.Compartments {
		used = used || strings.HasSuffix(c.ID, tail)
	}
	if !used {
		return nil
	}
	return escrow.Errorf(escrow.Conflict, "the id %q names something else in the agreement", id).WithHint("choose another id, such as %s-2", id)
}

// OtherSide refuses a beneficiary that stands or falls with the supplier: it
// would claim and vote on the side of those who need the release.
func OtherSide(a *agreement.Agreement, id string) error {
	p := a.Party(id)
	if p == nil {
		return escrow.Errorf(escrow.NotFound, "the agreement has no party %q", id)
	}
	refuse := func(other *agreement.Party, why string) error {
		return escrow.Errorf(escrow.Conflict, "%s cannot join as a beneficiary: %s %s (%s)", id, why, other.ID, other.Role).
			WithHint("beneficiaries claim and vote against the supplier's side; let it take part as a distributor or guarantor, in a version that all sign")
	}
	for seen, c := map[string]bool{}, a.Party(p.Controlled); c != nil && !seen[c.ID]; c = a.Party(c.Controlled) {
		seen[c.ID] = true
		if supplierSide(c) {
			return refuse(c, "it is controlled by")
		}
	}
	humans := a.Humans()
	for i := range a.Parties {
		other := &a.Parties[i]
		if other.ID == id {
			continue
		}
		for scheme, number := range p.Register {
			if other.Register[scheme] != number {
				continue
			}
			if supplierSide(other) {
				return refuse(other, scheme+" "+number+" is")
			}
			if other.Role == p.Role {
				return escrow.Errorf(escrow.Conflict, "a party with %s %s is a beneficiary already", scheme, number).WithHint("one organisation joins once")
			}
		}
		if !supplierSide(other) {
			continue
		}
		for _, x := range p.People {
			for _, y := range other.People {
				if humans[x.ID] == humans[y.ID] {
					return refuse(other, x.ID+" acts for")
				}
			}
		}
	}
	return nil
}

func supplierSide(p *agreement.Party) bool { return agreement.SideOf(p.Role)&coalition.Supplier != 0 }

// Leave writes the version after a text: the same, without one beneficiary and
// what belongs to it alone. Where the text still needs it, such as for a share
// of a key, that is refused with what has to change first.
func Leave(source []byte, party string) ([]byte, error) {
	former, err := read(source)
	if err != nil {
		return nil, err
	}
	p := former.Party(party)
	switch {
	case p == nil || p.Role != agreement.Role(escrow.Beneficiary):
		return nil, escrow.Errorf(escrow.NotFound, "%s is no beneficiary of %q", party, former.ID)
	case len(former.WithRole(escrow.Beneficiary)) == 1:
		return nil, escrow.Errorf(escrow.Conflict, "%s is the last beneficiary of %q", party, former.ID).WithHint("with it the arrangement itself ends; that takes the signatures of all parties")
	}
	digest, err := former.Digest()
	if err != nil {
		return nil, err
	}
	gone := own(former, party)
	want := former.Narrowed(func(a *agreement.Agreement) {
		a.Version, a.Replaces = former.Version+1, digest
		a.Parties = slices.DeleteFunc(a.Parties, func(x agreement.Party) bool { return x.ID == party })
		a.Authority = slices.DeleteFunc(a.Authority, func(x agreement.Authority) bool { return x.Party == party })
		a.Environments = slices.DeleteFunc(a.Environments, func(x agreement.Environment) bool { return x.Beneficiary == party })
		a.Licences = slices.DeleteFunc(a.Licences, func(x agreement.LicenceGrant) bool { return x.Licensee == party })
		a.UseTerms = slices.DeleteFunc(a.UseTerms, func(x agreement.UseTerms) bool { return gone[x.Licence] })
		a.Release.Events = slices.DeleteFunc(a.Release.Events, func(x agreement.Event) bool { return gone[x.For] })
		a.Release.Tests = slices.DeleteFunc(a.Release.Tests, func(x agreement.Test) bool { return gone[x.For] || gone["event/"+x.Event] })
	})
	if err := needed(former, want, party); err != nil {
		return nil, err
	}
	return write(source, want, func(t *lines) bool {
		mine := func(key string) func(fieldOf) bool { return func(f fieldOf) bool { return f(key) == party } }
		return t.version(want.Version, digest) && t.drop("parties", mine("id")) && t.drop("authority", mine("party")) &&
			t.drop("environments", mine("beneficiary")) && t.drop("licences", mine("licensee")) &&
			t.drop("use_terms", func(f fieldOf) bool { return gone[f("licence")] })
	})
}

// own lists what belongs to one beneficiary: itself and its licences by id,
// and the events that concern only those as event/ID.
func own(a *agreement.Agreement, party string) map[string]bool {
	out := map[string]bool{party: true}
	for _, l := range a.Licences {
		if l.Licensee == party {
			out[l.ID] = true
		}
	}
	for _, ev := range a.Release.Events {
		if out[ev.For] {
			out["event/"+ev.ID] = true
		}
	}
	return out
}

// needed refuses to leave what the rest of the text rests on, in words.
func needed(former, want *agreement.Agreement, party string) error {
	for _, k := range former.Keys {
		if k.Quorum == nil {
			continue
		}
		if slices.Contains(k.Quorum.From, party) {
			return escrow.Errorf(escrow.Conflict, "%s holds a share of the key of %s", party, k.Compartment).
				WithHint("let somebody else hold it first: a version without it under quorum, signed by those whose parts change, and a new ceremony; then it can leave")
		}
	}
	problems := problemsOf(want)
	if len(problems) == 0 {
		return nil
	}
	words := make([]string, 0, 3)
	for _, p := range problems[:min(3, len(problems))] {
		words = append(words, p.Path+": "+p.Message)
	}
	return escrow.Errorf(escrow.Conflict, "without %s the agreement does not hold any more: %s", party, strings.Join(words, "; ")).
		WithHint("change that first, in a version that is signed by those whose parts change; then it can leave")
}

// problemsOf are the errors of a text that was made by taking things out.
func problemsOf(want *agreement.Agreement) agreement.Problems {
	data, err := want.Canonical()
	if err != nil {
		return agreement.Problems{{Message: err.Error(), Severity: problem.Error}}
	}
	_, problems := agreement.Parse("agreement", data)
	return slices.DeleteFunc(problems, func(p agreement.Problem) bool { return p.Severity != problem.Error })
}

func read(source []byte) (*agreement.Agreement, error) {
	a, problems := agreement.Parse("agreement", source)
	if a == nil {
		return nil, agreement.Refusal(problems)
	}
	return a, nil
}

// write edits the text line by line and keeps the result only if it says
// exactly what it has to say; where the lines cannot be edited, as in a text
// on one line, the whole is written anew.
func write(source []byte, want *agreement.Agreement, edit func(*lines) bool) ([]byte, error) {
	canonical, err := want.Canonical()
	if err != nil {
		return nil, err
	}
	says := func(text []byte) bool {
		a, _ := agreement.Parse("agreement", text)
		if a == nil {
			return false
		}
		got, err := a.Canonical()
		return err == nil && string(got) == string(canonical)
	}
	if t := newLines(source); t != nil && edit(t) {
		if text := t.text(); says(text) {
			return text, nil
		}
	}
	text, err := json.MarshalIndent(want.Tree(), "", "  ")
	if err != nil {
		return nil, err
	}
	if text = append(text, '\n'); says(text) {
		return text, nil
	}
	if _, problems := agreement.Parse("agreement", text); agreement.Refusal(problems) != nil {
		return nil, agreement.Refusal(problems)
	}
	return nil, escrow.Errorf(escrow.Invalid, "the text of %s cannot be written anew without a change of meaning", want.ID).WithHint("write the version by hand and bring it with --file")
}

// Term returns the term under which a beneficiary takes part: that of its
// accession, or of the whole where the accession has none of its own.
func Term(a *agreement.Agreement) *agreement.Term {
	for _, p := range a.Parts {
		if p.Kind == "accession" && p.Term != nil && p.ForEach != "" {
			return p.Term
		}
	}
	return a.Term
}
