// Package agreement is the language in which parties write down what they
// promised: its types, its strict reading from text, its checks, its
// canonical form, and its expansion into modules, compartments, stages and
// events for every beneficiary and licence.
//
// It may depend on escrow, evidence and its own sub-packages. It does no
// I/O, keeps no state and takes no decision: engines act by what it returns.
package agreement

import (
	"fmt"
	"strings"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement/bind"
	"holdfast/internal/escrow/agreement/problem"
	"holdfast/internal/escrow/agreement/yamltext"
)

// Problem and Problems are what is wrong with a text, located.
type (
	Problem  = problem.Problem
	Problems = problem.List
)

// Parse reads the text of an agreement, checks its form and its meaning, and
// runs its tests. name is only used to say where a problem is. The agreement
// is nil when any problem is an error; warnings and notes come beside a
// usable agreement.
//
// Parse takes any bytes: it never panics, and its time and memory are bounded
// by the limits of package yamltext.
func Parse(name string, data []byte) (*Agreement, Problems) {
	a, _, problems := ParseLocated(name, data)
	return a, problems
}

// ParseLocated is [Parse] for further checks: it also returns where in the
// text everything stands. Both are nil when any problem is an error.
func ParseLocated(name string, data []byte) (*Agreement, *bind.Bound, Problems) {
	root, problems := yamltext.Read(name, data)
	if root == nil {
		return nil, nil, problems
	}
	if problems := wrongFormat(name, root); problems != nil {
		return nil, nil, problems
	}
	a := &Agreement{}
	b := bind.Bind(name, root, a)
	a.index()
	c := &checker{a: a, b: b, problems: b.Problems}
	if c.problems.Any(problem.Error) {
		c.add(problem.Note, "", problem.Pos{}, "form-first", "", "references, quorums, conditions and tests are checked once these are mended")
		return nil, nil, c.problems.Sort()
	}
	c.check()
	if c.problems.Any(problem.Error) {
		return nil, nil, c.problems.Sort()
	}
	return a, b, c.problems.Sort()
}

// wrongFormat refuses a text that is something else altogether before its
// every key is called unknown.
func wrongFormat(name string, root *yamltext.Node) Problems {
	at := root.Pos
	if root.Kind == yamltext.Mapping {
		for _, f := range root.Fields {
			if f.Key == "holdfast" {
				if f.Value.Text == Format {
					return nil
				}
				at = f.Value.Pos
				return Problems{{File: name, Pos: at, Path: "holdfast", Severity: problem.Error, Rule: "format",
					Message: fmt.Sprintf("the format is %q", f.Value.Text), Hint: "this version reads " + Format}}
			}
		}
	}
	return Problems{{File: name, Pos: at, Severity: problem.Error, Rule: "format",
		Message: "this is not an agreement", Hint: "begin it with the line holdfast: " + Format}}
}

// Canonical returns the one rendering of the agreement that is hashed and
// signed: canonical JSON of what it says, whatever the order of its keys, its
// comments and the style of its scalars. It is itself a text that [Parse]
// reads, with the same digest.
func (a *Agreement) Canonical() ([]byte, error) {
	data, err := evidence.Canonical(bind.Tree(a))
	if err != nil {
		return nil, fmt.Errorf("agreement %s: %w", a.ID, err)
	}
	return data, nil
}

// Digest returns the SHA-256 of the canonical form.
func (a *Agreement) Digest() (string, error) {
	data, err := a.Canonical()
	if err != nil {
		return "", err
	}
	return evidence.Digest(data), nil
}

// Refusal turns the errors among the problems into one error that may cross
// the program's boundary: nil when there are none.
func Refusal(problems Problems) error {
	n := problems.Count(problem.Error)
	if n == 0 {
		return nil
	}
	var first []string
	for _, p := range problems {
		if p.Severity == problem.Error && len(first) < 5 {
			first = append(first, p.String())
		}
	}
	return escrow.Errorf(escrow.Invalid, "the agreement has %d errors:\n%s", n, strings.Join(first, "\n")).
		WithHint("run holdfast agreement check on the file; it lists them all")
}

// index prepares the look-up of parties and licences by id. The first of two
// with the same id counts; the checks refuse the second.
func (a *Agreement) index() {
	a.parties, a.licences = map[string]int{}, map[string]int{}
	for i := len(a.Parties) - 1; i >= 0; i-- {
		a.parties[a.Parties[i].ID] = i
	}
	for i := len(a.Licences) - 1; i >= 0; i-- {
		a.licences[a.Licences[i].ID] = i
	}
}

// Party returns the party with the id, or nil.
func (a *Agreement) Party(id string) *Party {
	if i, ok := a.parties[id]; ok {
		return &a.Parties[i]
	}
	return nil
}

// Licence returns the licence with the id, or nil.
func (a *Agreement) Licence(id string) *LicenceGrant {
	if i, ok := a.licences[id]; ok {
		return &a.Licences[i]
	}
	return nil
}

// WithRole returns the ids of the parties in a role, in the order of the text.
func (a *Agreement) WithRole(role escrow.Role) []string {
	var out []string
	for _, p := range a.Parties {
		if p.Role == Role(role) {
			out = append(out, p.ID)
		}
	}
	return out
}

// IsIndependent reports whether the party counts for at_least: independent.
// Trustees and arbiters do unless they say independent: false; auditors and
// regulators do when they say independent: true; nobody else can.
func (p *Party) IsIndependent() bool {
	switch escrow.Role(p.Role) {
	case escrow.Trustee, escrow.Arbiter:
		return p.Independent == nil || *p.Independent
	case escrow.Auditor, escrow.Regulator:
		return p.Independent != nil && *p.Independent
	}
	return false
}

// SignsAnything reports whether the party signs at all.
func (p *Party) SignsAnything() bool { return p.Signs == nil || *p.Signs }
