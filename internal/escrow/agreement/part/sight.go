package part

import (
	"cmp"
	"slices"
	"strings"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
)

// Sight is what a party may learn of what happens under an agreement, as
// opposed to what the agreement says, which is [For]. A party that the
// agreement does not have learns of nothing.
type Sight struct {
	Whole        bool                    // it reads every part
	Parts        map[string]bool         // part instances it signs or reads
	Known        map[string]bool         // parties that it may learn of
	People       map[string]bool         // parties whose people and keys it may know
	Modules      map[string]bool         // module instances
	Compartments map[string]Relationship // that it may know to be there, with what it is to them
}

// Relationship is what a party has to do with a compartment.
type Relationship struct {
	Holds    bool // a share of its key
	Receives bool // some stage opens it for the party
	Deals    bool // makes and passes on its keys, or runs the arrangement
}

// Sees returns what a party may learn. It holds to the text what [For] holds
// the documents to, so that a page, a list or an act tells nobody more than
// its documents do.
func Sees(a *agreement.Agreement, party string) (Sight, error) {
	e := a.Expand()
	out := Sight{Parts: map[string]bool{}, Known: map[string]bool{}, People: map[string]bool{}, Modules: map[string]bool{}, Compartments: map[string]Relationship{}}
	p := a.Party(party)
	if p == nil {
		return out, nil
	}
	v, err := For(a, party)
	if err != nil {
		return out, err
	}
	out.Whole = true
	for _, x := range e.Parts {
		reads := slices.Contains(readersOf(x), party)
		out.Whole = out.Whole && reads
		if !reads {
			continue
		}
		out.Parts[x.ID] = true
		for _, with := range x.Parties {
			out.People[with] = true
		}
	}
	s := newScope(a, e, nil)
	for _, other := range a.Parties {
		// Where there are no parts, everybody but the customers is in it together.
		out.Known[other.ID] = s.knows(party, other.ID) || len(e.Parts) == 0 && p.Role != agreement.Role(escrow.Beneficiary)
		if len(e.Parts) == 0 {
			out.People[other.ID] = out.Known[other.ID]
		}
	}
	out.People[party] = true
	named := func(template string, list int, id func(int) string) bool {
		if len(e.Parts) == 0 {
			return true
		}
		for i := range list {
			if id(i) == template {
				return true
			}
		}
		return false
	}
	mine := func(instance string) bool {
		owner := cmp.Or(a.Self(instance), instance)
		return owner == "" || owner == party || p.Role != agreement.Role(escrow.Beneficiary) && out.Known[owner]
	}
	for _, m := range e.Modules {
		template := strings.TrimSuffix(m.ID, "/"+m.Instance)
		out.Modules[m.ID] = mine(m.Instance) && named(template, len(v.Agreement.Modules), func(i int) string {
			base, _ := v.Agreement.Modules[i].Base()
			return base.ID
		})
	}
	for _, c := range e.Compartments {
		r := Relationship{Holds: slices.Contains(c.Quorum.From, party), Receives: slices.Contains(c.Recipients, party),
			Deals: p.Role == agreement.Role(escrow.Supplier) || p.Role == agreement.Role(escrow.Agent)}
		template := c.ID
		if c.Instance != "" {
			template = strings.TrimSuffix(c.ID, "/"+c.Instance) + "/self"
		}
		seen := r.Holds || mine(c.Instance) && (r.Receives || named(template, len(v.Agreement.Keys), func(i int) string { return v.Agreement.Keys[i].Compartment }))
		if !seen {
			continue
		}
		out.Compartments[c.ID] = r
		if r.Holds || r.Receives || r.Deals {
			// The key manifest names them to it.
			for _, id := range slices.Concat(c.Quorum.From, c.Recipients) {
				out.People[id] = out.People[id] || out.Known[id]
			}
		}
	}
	return out, nil
}

// Customers lists the names by which each customer of the agreement, or a
// licence of it, can be told: ids, names, register numbers, people.
func Customers(a *agreement.Agreement) map[string][]string {
	out := map[string][]string{}
	for _, p := range a.Parties {
		if p.Role != agreement.Role(escrow.Beneficiary) {
			continue
		}
		words := append([]string{p.ID, p.Name}, p.Group...)
		for _, number := range p.Register {
			words = append(words, number)
		}
		for _, person := range p.People {
			words = append(words, person.Name, person.Email)
		}
		for _, l := range a.Licences {
			if l.Licensee == p.ID {
				words = append(words, l.ID)
			}
		}
		out[p.ID] = slices.DeleteFunc(words, func(w string) bool { return w == "" })
	}
	return out
}
