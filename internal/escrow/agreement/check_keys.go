package agreement

import (
	"strings"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement/bind"
	"holdfast/internal/escrow/agreement/coalition"
)

// maxHolders bounds the parties of a quorum.
const maxHolders = 32

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
	arithmetic := c.a.Coalition(q)
	c.coalitions(at, k, arithmetic)
	c.losses(at, k, arithmetic)
}

// class checks the class rule and returns the number of members, −1 when it
// cannot be met.
func (c *checker) class(at string, q *Quorum) int {
	if q.AtLeast == nil {
		return 0
	}
	want := q.AtLeast.Independent
	var members []string
	for _, id := range q.From {
		if p := c.a.Party(id); p != nil && p.IsIndependent() {
			members = append(members, id)
		}
	}
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

// coalitions finds sides that could open alone, or block.
func (c *checker) coalitions(at string, k Key, q *coalition.Quorum) {
	irreversible := c.openedForGood(k.Compartment)
	join := func(ids []string) string { return strings.Join(ids, ", ") }
	const claimants, withAgent, suppliers = coalition.Claimant, coalition.Claimant | coalition.Agent, coalition.Supplier
	switch {
	case irreversible && q.CanOpen(claimants):
		c.fail(at, "coalition", "raise of, or add at_least: {independent: 1}", "the claimant's side alone (%s) could open %q, and that cannot be undone", join(q.Reach(claimants)), k.Compartment)
	case irreversible && q.CanOpen(withAgent):
		c.fail(at, "coalition", "raise of, or add at_least: {independent: 1}", "the claimant's side with the agent (%s) could open %q, and that cannot be undone", join(q.Reach(withAgent)), k.Compartment)
	case q.CanOpen(claimants):
		c.warn(at, "coalition", "raise of, or add at_least: {independent: 1}", "the claimant's side alone (%s) could open %q", join(q.Reach(claimants)), k.Compartment)
	}
	switch {
	case q.CanOpen(suppliers):
		c.fail(at, "coalition", "raise of, or let fewer of them hold a share", "the supplier's side alone (%s) could open %q", join(q.Reach(suppliers)), k.Compartment)
	case q.CanBlock(suppliers):
		var theirs []string
		left := q.Without(suppliers)
		for _, h := range q.Holders {
			if !has(left, h.ID) {
				theirs = append(theirs, h.ID)
			}
		}
		c.fail(at, "coalition", "lower of, or add parties that do not stand or fall with the supplier", "the supplier's side (%s) could block %q: without it only %s are left", join(theirs), k.Compartment, join(left))
	}
	if n, who := q.FewestPeople(); n > 0 && n < q.Of {
		say := c.warn
		if n == 1 {
			say = c.fail
		}
		say(at, "shared-people", "name other people for one of the organisations", "it takes %d organisations to open %q, but %s could do it: %s acts for several of them", q.Of, k.Compartment, people(n), join(who))
	}
}

func people(n int) string {
	if n == 1 {
		return "1 person"
	}
	return itoa(n) + " people"
}

// losses finds keys that are lost when somebody falls away.
func (c *checker) losses(at string, k Key, q *coalition.Quorum) {
	if id := q.LostWith(); id != "" {
		c.fail(at, "loss", "add a party to from, or lower of", "when %s falls away, nobody can open %q any more", id, k.Compartment)
		return
	}
	spare, lost := len(q.Holders)-q.Of, q.LostPeople()
	if spare < 2 {
		if k.Quorum.Reason != "" {
			c.note(at, "spare", "", "only %d share of %q can be spared: %s", spare, k.Compartment, k.Quorum.Reason)
		} else {
			c.warn(at, "spare", "add a party to from, lower of, or say why under reason; people_each: 2 keeps a person at each", "only %d share of %q can be spared, at least 2 are advised", spare, k.Compartment)
			if len(lost) == 2 {
				return // said already
			}
		}
	}
	switch len(lost) {
	case 1:
		c.fail(at, "loss", "name other people for one of the organisations, or let each share be sealed to more", "when one person (%s, at %s) falls away, nobody can open %q any more", lost[0].Name, lost[0].At, k.Compartment)
	case 2:
		c.warn(at, "loss", "let each share be sealed to two people: people_each: 2", "when one person at %s and one at %s fall away, nobody can open %q any more", lost[0].At, lost[1].At, k.Compartment)
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
