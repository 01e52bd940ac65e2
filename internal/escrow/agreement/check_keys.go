package agreement

import (
	"slices"
	"strings"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement/bind"
)

// maxHolders bounds the parties of a quorum.
const maxHolders = 32

// side is whose interest a party stands for when a compartment is opened.
type side int

const (
	neutral side = iota
	supplierSide
	claimantSide
	agentAlone
)

// sideOf puts a role on a side. Whoever stands or falls with the supplier is
// on its side; whoever the release is for is on the claimant's.
func sideOf(r Role) side {
	switch escrow.Role(r) {
	case escrow.Supplier, escrow.IPHolder, escrow.Host, escrow.ServerManager, escrow.Distributor, escrow.Guarantor, escrow.Curator:
		return supplierSide
	case escrow.Beneficiary, escrow.Foundation, escrow.Operator, escrow.Acquirer:
		return claimantSide
	case escrow.Agent:
		return agentAlone
	}
	return neutral
}

func (c *checker) keys() {
	for i, k := range c.a.Keys {
		at := bind.At("keys", i)
		if (k.Quorum == nil) == (k.Open == "") {
			c.fail(at, "quorum", "say quorum, or open: on_demand", "the compartment %q is opened by a quorum, or on demand by its holder", k.Compartment)
			continue
		}
		if k.Open != "" {
			c.onDemand(at, k)
			continue
		}
		if k.Holder != "" {
			c.fail(bind.Join(at, "holder"), "quorum", "remove it, or say open: on_demand", "a compartment with a quorum has no holder")
		}
		c.quorum(bind.Join(at, "quorum"), k)
	}
}

// keyShapes checks that /self and for_each go together, before anything
// refers to the compartments.
func (c *checker) keyShapes() {
	for i, k := range c.a.Keys {
		path := bind.Join(bind.At("keys", i), "compartment")
		switch own := strings.HasSuffix(k.Compartment, "/self"); {
		case own && k.ForEach == "":
			c.fail(path, "self", "add for_each, or remove /self", "self means nothing here: nothing around it has for_each")
		case !own && k.ForEach != "" && !strings.Contains(k.Compartment, "/"):
			c.fail(path, "self", "write "+k.Compartment+"/self", "with for_each there are several compartments, and they cannot all be called %q", k.Compartment)
		}
	}
}

func (c *checker) onDemand(at string, k Key) {
	if k.Holder == "" && k.ForEach != Beneficiaries {
		c.fail(at, "holder", "add holder", "nothing says whose the compartment %q is", k.Compartment)
	}
	for _, key := range []string{"in_hsm", "around_the_clock"} {
		if c.b.Has(bind.Join(at, key)) {
			c.fail(bind.Join(at, key), "quorum", "remove it", "%s is about a quorum, and this compartment has none", key)
		}
	}
}

// quorum checks the arithmetic of a quorum and who could open or block it.
func (c *checker) quorum(at string, k Key) {
	q := k.Quorum
	n := len(q.From)
	for _, id := range k.InHSM {
		if !has(q.From, id) {
			c.fail(bind.Join(strings.TrimSuffix(at, ".quorum"), "in_hsm"), "quorum", "name one of those in from", "%q holds no share of %q", id, k.Compartment)
		}
	}
	if n > maxHolders {
		c.fail(bind.Join(at, "from"), "quorum", "name fewer", "%d parties hold a share, at most %d can", n, maxHolders)
		return
	}
	if q.Of > n {
		c.fail(bind.Join(at, "of"), "quorum", "add parties to from, or lower of", "it takes %d of only %d", q.Of, n)
		return
	}
	if q.Of == 1 {
		c.fail(bind.Join(at, "of"), "quorum", "ask for at least 2, or say open: on_demand with a holder", "one party alone could open %q", k.Compartment)
		return
	}
	if m := c.class(at, q); m < 0 {
		return
	}
	for i, id := range q.From {
		p := c.a.Party(id)
		if p == nil {
			continue
		}
		if !p.SignsAnything() {
			c.fail(bind.At(bind.Join(at, "from"), i), "quorum", "let another party hold the share", "%q signs nothing, so it cannot accept a share", id)
		}
		if p.Role == Role(escrow.Supplier) {
			c.warn(bind.At(bind.Join(at, "from"), i), "coalition", "let another party hold the share", "the supplier holds a share of its own escrow; after its bankruptcy the receiver has it")
		}
		if len(p.People) > 0 && len(p.People) < q.PeopleEach {
			c.fail(bind.Join(at, "people_each"), "quorum", "name more people of "+id+", or lower people_each", "%q names %d of the %d people who are to hold its share", id, len(p.People), q.PeopleEach)
		}
	}
	c.coalitions(at, k)
	c.losses(at, k)
}

// class checks the class rule and returns the number of members, −1 when it
// cannot be met.
func (c *checker) class(at string, q *Quorum) int {
	if q.AtLeast == nil {
		return 0
	}
	want, members := q.AtLeast.Independent, c.independent(q.From)
	path := bind.Join(at, "at_least.independent")
	switch {
	case want > q.Of:
		c.fail(path, "quorum", "lower it, or raise of", "%d independent parties do not fit in a quorum of %d", want, q.Of)
		return -1
	case len(members) < want+1:
		c.fail(path, "quorum", "add trustees to from, or declare an auditor independent", "only %d of those in from are independent, and it takes at least %d so that one can fall away", len(members), want+1)
		return -1
	}
	return len(members)
}

func (c *checker) independent(ids []string) []string {
	var out []string
	for _, id := range ids {
		if p := c.a.Party(id); p != nil && p.IsIndependent() {
			out = append(out, id)
		}
	}
	return out
}

// opens reports whether the parties can open the quorum by themselves.
func (c *checker) opens(q *Quorum, parties []string) bool {
	if len(parties) < q.Of {
		return false
	}
	return q.AtLeast == nil || len(c.independent(parties)) >= q.AtLeast.Independent
}

// on returns the members of the quorum on the given sides. self stands for
// the beneficiary or licensee.
func (c *checker) on(q *Quorum, sides ...side) []string {
	var out []string
	for _, id := range q.From {
		s := claimantSide
		if p := c.a.Party(id); p != nil {
			s = sideOf(p.Role)
		}
		if slices.Contains(sides, s) {
			out = append(out, id)
		}
	}
	return out
}

// coalitions finds sides that could open alone, or block.
func (c *checker) coalitions(at string, k Key) {
	q := k.Quorum
	irreversible := c.openedForGood(k.Compartment)
	join := func(ids []string) string { return strings.Join(ids, ", ") }
	claimants := c.on(q, claimantSide)
	withAgent := c.on(q, claimantSide, agentAlone)
	suppliers := c.on(q, supplierSide)
	switch {
	case irreversible && c.opens(q, claimants):
		c.fail(at, "coalition", "raise of, or add at_least: {independent: 1}", "the claimant's side alone (%s) could open %q, and that cannot be undone", join(claimants), k.Compartment)
	case irreversible && c.opens(q, withAgent):
		c.fail(at, "coalition", "raise of, or add at_least: {independent: 1}", "the claimant's side with the agent (%s) could open %q, and that cannot be undone", join(withAgent), k.Compartment)
	case c.opens(q, claimants):
		c.warn(at, "coalition", "raise of, or add at_least: {independent: 1}", "the claimant's side alone (%s) could open %q", join(claimants), k.Compartment)
	}
	var others []string
	for _, id := range q.From {
		if !has(suppliers, id) {
			others = append(others, id)
		}
	}
	switch {
	case c.opens(q, suppliers):
		c.fail(at, "coalition", "raise of, or let fewer of them hold a share", "the supplier's side alone (%s) could open %q", join(suppliers), k.Compartment)
	case !c.opens(q, others):
		c.fail(at, "coalition", "lower of, or add parties that do not stand or fall with the supplier", "the supplier's side (%s) could block %q: without it only %s are left", join(suppliers), k.Compartment, join(others))
	}
}

// losses finds keys that are lost when somebody falls away.
func (c *checker) losses(at string, k Key) {
	q := k.Quorum
	without := func(drop ...string) []string {
		return slices.DeleteFunc(slices.Clone(q.From), func(id string) bool { return has(drop, id) })
	}
	for _, id := range q.From {
		if !c.opens(q, without(id)) {
			c.fail(at, "loss", "add a party to from, or lower of", "when %s falls away, nobody can open %q any more", id, k.Compartment)
			return
		}
	}
	spare := len(q.From) - q.Of
	if spare < 2 {
		hint := "add a party to from, lower of, or say why under reason; people_each: 2 keeps a person at each"
		if q.Reason != "" {
			c.note(at, "spare", "", "only %d share of %q can be spared: %s", spare, k.Compartment, q.Reason)
		} else {
			c.warn(at, "spare", hint, "only %d share of %q can be spared, at least 2 are advised", spare, k.Compartment)
		}
	}
	if q.PeopleEach > 1 || spare < 2 {
		return // a person is left at each party, or it is said already
	}
	for i, a := range q.From {
		for _, b := range q.From[i+1:] {
			if !c.opens(q, without(a, b)) {
				c.warn(at, "loss", "let each share be sealed to two people: people_each: 2", "when one person at %s and one at %s fall away, nobody can open %q any more", a, b, k.Compartment)
				return
			}
		}
	}
}

// openedForGood reports whether some stage opens the compartment and cannot
// be undone.
func (c *checker) openedForGood(compartment string) bool {
	for _, s := range c.a.Release.Stages {
		for _, id := range s.Opens {
			if firstPart(id) == firstPart(compartment) && !s.Reversible {
				return true
			}
		}
	}
	return false
}
