package escrow

import (
	"encoding/json"
	"strings"

	"holdfast/evidence"
)

// View is how much of an arrangement somebody sees of what its role lets it
// read. Customers of one supplier need not learn of one another: a
// beneficiary sees what is everybody's and what is its own.
type View struct {
	All  bool // nothing is hidden; the rest is not looked at
	Text bool // the agreement's text

	Others       map[string]bool   // parties that are hidden
	Modules      map[string]string // id → the party it belongs to, "" for everybody's
	Compartments map[string]string // likewise
	Cases        map[string]Case   // by id
	Parts        map[string]bool   // parts of the agreement that are read
}

// Party reports whether the party is seen.
func (v View) Party(id string) bool { return v.All || !v.Others[id] }

// Module reports whether the module and its deposits are seen.
func (v View) Module(id string) bool { return v.All || v.own(v.Modules, id) }

// Compartment reports whether the compartment and its epochs are seen.
func (v View) Compartment(id string) bool { return v.All || v.own(v.Compartments, id) }

func (v View) own(list map[string]string, id string) bool {
	owner, known := list[id]
	return known && !v.Others[owner]
}

// Case reports whether the case is seen: one that another beneficiary claimed
// or that opens only for others is not.
func (v View) Case(c Case) bool {
	if v.All {
		return true
	}
	if v.Others[c.Claimant] || !v.Compartment(c.Compartment) {
		return false
	}
	for _, r := range c.Recipients {
		if !v.Others[r] {
			return true
		}
	}
	return len(c.Recipients) == 0
}

// Act reports whether the content of a ledger entry about the arrangement is
// shown. What an act says cannot be shown in part, for it is hashed whole; so
// one that could name another beneficiary stays closed.
func (v View) Act(a *evidence.Act) bool {
	if v.All {
		return true
	}
	party, _, _ := strings.Cut(a.Actor, "/")
	if v.Others[party] {
		return false
	}
	area, _, _ := strings.Cut(a.Kind, ".")
	switch area {
	case "deposit", "finding", "destruction", "hold", "running", "duty", "release":
		var data struct {
			Module string `json:"module"`
		}
		return json.Unmarshal(a.Data, &data) == nil && v.Module(data.Module)
	case "sync", "module", "credential":
		return v.Module(a.Subject)
	case "epoch", "share":
		compartment, _, _ := strings.Cut(a.Subject, "#")
		return v.Compartment(compartment)
	case "case", "hand_over":
		c, known := v.Cases[a.Subject]
		return known && v.Case(c)
	case "agreement":
		var data struct {
			Part string `json:"part"`
		}
		return json.Unmarshal(a.Data, &data) == nil && v.Parts[data.Part]
	case "contact", "authority":
		party, _, _ := strings.Cut(a.Subject, "/")
		return v.Party(party)
	}
	return false
}
