package check

import (
	"slices"
	"strings"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/bind"
)

// authority checks who may act for a party.
func (c *checker) authority() {
	a := c.a
	type key struct{ party, power string }
	valid := map[key]int{}
	for i, m := range a.Authority {
		at := bind.At("authority", i)
		expired := c.past(m.Until)
		if expired {
			c.find("authority-expired", bind.Join(at, "until"), who(m), m.Party, m.Until)
		}
		if m.Person != "" && m.Proof == "" {
			c.find("authority-no-proof", bind.Join(at, "person"), who(m), m.Party)
		}
		if m.DeputyFor != "" {
			c.deputy(at, m)
		}
		if a.Sides(m.Party)&agreement.SideOf("supplier") != 0 && m.Person != "" && m.EndsOn != "insolvency" &&
			!slices.ContainsFunc(a.Authority, func(o agreement.Authority) bool {
				return o.Party == m.Party && o.Person == "" && o.EndsOn == "insolvency"
			}) {
			c.find("authority-outlives", at, who(m), m.Party)
		}
		if m.EndsOn == "insolvency" && m.PassesTo != "" && m.PassesTo != "curator" && c.role(m.PassesTo) != escrow.Curator {
			c.find("authority-passes-by", bind.Join(at, "passes_to"), m.Party, m.PassesTo)
		}
		if has(m.May, "approve") && has(m.May, "pay") && !m.CallBack {
			c.find("authority-one-hand", bind.Join(at, "may"), who(m), m.Party)
		}
		if !expired && m.DeputyFor == "" {
			for _, power := range m.May {
				valid[key{m.Party, power}]++
			}
		}
	}
	// Where a party names who may act for it, somebody must be left who may
	// do what the agreement expects of it.
	expect := func(party, power, path string) {
		named := slices.ContainsFunc(a.Authority, func(m agreement.Authority) bool { return m.Party == party && len(m.May) > 0 })
		if named && valid[key{party, power}] == 0 {
			c.find("authority-nobody", path, party, power)
		}
	}
	if cl := a.Release.Claims; cl != nil {
		for _, id := range c.each(cl.By) {
			expect(id, "claim", "release.claims.by")
		}
	}
	for i, k := range a.Keys {
		if k.Quorum != nil {
			for j, id := range k.Quorum.From {
				expect(id, "approve", bind.At(bind.Join(bind.At("keys", i), "quorum.from"), j))
			}
		}
	}
}

func who(m agreement.Authority) string {
	if m.Person != "" {
		return m.Person
	}
	return m.Party
}

// deputy refuses a deputy who stands in for himself, directly or in a circle,
// and one for somebody of another party.
func (c *checker) deputy(at string, m agreement.Authority) {
	stands := map[string]string{}
	for _, o := range c.a.Authority {
		if o.Person != "" && o.DeputyFor != "" {
			stands[o.Person] = o.DeputyFor
		}
	}
	seen := map[string]bool{}
	for p := m.DeputyFor; p != ""; p = stands[p] {
		if p == m.Person || seen[p] {
			c.find("deputy-circle", bind.Join(at, "deputy_for"), who(m))
			return
		}
		seen[p] = true
	}
	party := c.a.Party(m.Party)
	if party != nil && !slices.ContainsFunc(party.People, func(p agreement.Person) bool { return p.ID == m.DeputyFor }) {
		c.find("deputy-elsewhere", bind.Join(at, "deputy_for"), who(m), m.DeputyFor, m.Party)
	}
}

// parts checks who signs and reads what.
func (c *checker) parts() {
	a := c.a
	if len(a.Parts) == 0 {
		return
	}
	signs := map[string]bool{}
	for i, p := range a.Parts {
		at := bind.At("parts", i)
		for _, id := range p.Parties {
			if id == "self" {
				for _, in := range c.expanded.Parts {
					if in.Part == p.ID {
						for _, x := range in.Parties {
							signs[x] = true
						}
					}
				}
			}
			signs[id] = true
		}
		if p.ForEach != "" {
			for _, key := range []struct {
				name string
				ids  []string
			}{{"parties", p.Parties}, {"readers", p.Readers}} {
				for j, id := range key.ids {
					if c.role(id) == escrow.Beneficiary {
						c.find("part-shows-others", bind.At(bind.Join(at, key.name), j), p.ID, id)
					}
				}
			}
			if !has(p.Parties, "self") {
				c.find("part-without-self", bind.Join(at, "parties"), p.ID)
			}
		}
		if p.Term != nil && c.past(p.Term.End) {
			c.find("part-over", bind.Join(bind.Join(at, "term"), "end"), p.ID, p.Term.End)
		}
		if p.Signature != nil && p.Signature.Form == "notarial" && slices.ContainsFunc(p.Signature.With, func(w string) bool { return w == "passkey" || w == "ssh" || w == "advanced" }) {
			c.find("part-form", bind.Join(at, "signature"), p.ID, p.Signature.Form, list(p.Signature.With))
		}
		if len(p.Parties) == 1 && p.ForEach == "" {
			c.find("part-one-signs", bind.Join(at, "parties"), p.ID, p.Parties[0])
		}
	}
	for i, p := range a.Parties {
		at := bind.Join(bind.At("parties", i), "id")
		if signs[p.ID] || !p.SignsAnything() {
			continue
		}
		switch escrow.Role(p.Role) {
		case escrow.Supplier, escrow.IPHolder, escrow.Agent, escrow.Beneficiary:
			c.find("party-unsigned", at, p.ID, p.Role)
		}
	}
	c.personalData()
}

// personalData asks for processing terms where an operator gets at the
// customers' data.
func (c *checker) personalData() {
	if slices.ContainsFunc(c.a.Parts, func(p agreement.Part) bool { return p.Kind == "processing" }) || !c.isSaaS() {
		return
	}
	for i, m := range c.a.Modules {
		if m.Data == nil {
			continue
		}
		k := c.key(m.Data.Compartment)
		if k == nil || k.Quorum == nil {
			continue
		}
		for _, s := range c.openers(m.Data.Compartment) {
			if slices.ContainsFunc(s.To, func(id string) bool { return id == "operator" || c.role(id) == escrow.Operator }) && !has(s.Requires, "processing_terms") {
				c.find("processing-missing", bind.Join(bind.At("modules", i), "data.compartment"), m.Data.ID, s.ID, strings.Join(s.To, ", "))
				return
			}
		}
	}
}
