package agreement

import (
	"strings"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement/coalition"
)

// SideOf puts a role on a side. Whoever stands or falls with the supplier is
// on its side; whoever the release is for is on the claimant's.
func SideOf(r Role) coalition.Sides {
	switch escrow.Role(r) {
	case escrow.Supplier, escrow.IPHolder, escrow.Host, escrow.ServerManager, escrow.Distributor, escrow.Guarantor, escrow.Curator:
		return coalition.Supplier
	case escrow.Beneficiary, escrow.Foundation, escrow.Operator, escrow.Acquirer:
		return coalition.Claimant
	case escrow.Agent:
		return coalition.Agent
	}
	return 0
}

// Sides returns the sides a party counts on: its role's, and those of
// whoever controls it, over several steps. self, where it is meant as a
// party, is a beneficiary.
func (a *Agreement) Sides(id string) coalition.Sides {
	if id == "self" {
		return coalition.Claimant
	}
	var sides coalition.Sides
	seen := map[string]bool{}
	for p := a.Party(id); p != nil && !seen[p.ID]; p = a.Party(p.Controlled) {
		seen[p.ID] = true
		sides |= SideOf(p.Role)
	}
	return sides
}

// Humans returns, for the id of every person, the one id that stands for the
// human being: two entries are the same one when one says same_as or when
// they have the same email address.
func (a *Agreement) Humans() map[string]string {
	one, byMail := map[string]string{}, map[string]string{}
	find := func(id string) string {
		for one[id] != "" && one[id] != id {
			id = one[id]
		}
		return id
	}
	join := func(x, y string) {
		if x, y = find(x), find(y); x != y {
			one[max(x, y)] = min(x, y)
		}
	}
	for _, p := range a.Parties {
		for _, x := range p.People {
			if x.Same != "" {
				join(x.ID, x.Same)
			}
			mail := strings.ToLower(x.Email)
			if first, known := byMail[mail]; known && mail != "" {
				join(x.ID, first)
			} else {
				byMail[mail] = x.ID
			}
		}
	}
	out := map[string]string{}
	for _, p := range a.Parties {
		for _, x := range p.People {
			out[x.ID] = find(x.ID)
		}
	}
	return out
}

// Coalition returns the arithmetic of a quorum: its organisations and the
// people named for them, with the sides they stand for.
func (a *Agreement) Coalition(q *Quorum) *coalition.Quorum {
	out := &coalition.Quorum{Of: q.Of, Belongs: map[string]coalition.Sides{}}
	if q.AtLeast != nil {
		out.Independent = q.AtLeast.Independent
	}
	humans := a.Humans()
	for _, p := range a.Parties {
		for _, x := range p.People {
			out.Belongs[humans[x.ID]] |= a.Sides(p.ID)
		}
	}
	for _, id := range q.From {
		h := coalition.Holder{ID: id, Sides: a.Sides(id), Each: max(q.PeopleEach, 1)}
		if p := a.Party(id); p != nil {
			h.Independent = p.IsIndependent()
			for _, x := range p.People {
				if human := humans[x.ID]; !has(h.People, human) {
					h.People = append(h.People, human)
				}
			}
		}
		out.Holders = append(out.Holders, h)
	}
	return out
}
