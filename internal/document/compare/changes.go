package compare

import (
	"maps"
	"reflect"
	"slices"

	"holdfast/internal/document"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/phrase"
	"holdfast/internal/escrow/agreement/quantity"
)

// comparison collects what is different.
type comparison struct {
	phrase.Lang
	former, now *agreement.Agreement
	was, is     *document.Words
	changes     []Change
}

func (c *comparison) say(what, means string) {
	c.changes = append(c.changes, Change{What: phrase.Sentence(what), Means: phrase.Sentence(means)})
}

// grave is a change that makes it easier to open something or harder to stop.
func (c *comparison) grave(what, means string) {
	c.say(what, means)
	c.changes[len(c.changes)-1].Grave = true
}

// pair matches the entries of two lists by a key, in the order of the new
// list, dropped ones last.
func pair[T any](former, now []T, key func(*T) string, f func(old, cur *T)) {
	find := func(list []T, id string) *T {
		for i := range list {
			if key(&list[i]) == id {
				return &list[i]
			}
		}
		return nil
	}
	for i := range now {
		f(find(former, key(&now[i])), &now[i])
	}
	for i := range former {
		if find(now, key(&former[i])) == nil {
			f(&former[i], nil)
		}
	}
}

func (c *comparison) parties() {
	pair(c.former.Parties, c.now.Parties, func(p *agreement.Party) string { return p.ID }, func(old, cur *agreement.Party) {
		switch {
		case old == nil && cur.Role == agreement.Role(escrow.Beneficiary):
			c.say(c.F("%s treedt toe als begunstigde", "%s joins as a beneficiary", cur.Name),
				c.Pick("Zij krijgt haar eigen delen en compartimenten; de andere begunstigden hoeven daarvoor niets te tekenen", "It gets parts and compartments of its own; the other beneficiaries need sign nothing for that"))
		case old == nil:
			c.say(c.F("%s wordt partij, als %s", "%s becomes a party, as %s", cur.Name, c.Role(escrow.Role(cur.Role))), "")
		case cur == nil && old.Role == agreement.Role(escrow.Beneficiary):
			means := c.Pick("Haar delen eindigen", "Its parts end")
			if x := c.now.ChangeOfParty; x != nil && x.Leaves != nil && x.Leaves.DeleteData != "" {
				means += c.F(" en haar gegevens worden binnen %s vernietigd, tegen een bewijs van vernietiging", " and its data is destroyed within %s, against a certificate of destruction", c.Period(x.Leaves.DeleteData))
			}
			c.say(c.F("%s is niet langer begunstigde", "%s is no longer a beneficiary", old.Name), means)
		case cur == nil:
			c.say(c.F("%s (%s) is niet langer partij", "%s (%s) is no longer a party", old.Name, c.Role(escrow.Role(old.Role))), "")
		default:
			if old.Name != cur.Name {
				c.say(c.F("De partij %s heet voortaan %s", "The party %s is now called %s", old.Name, cur.Name), c.Pick("Ga na of het dezelfde rechtspersoon is", "Check that it is the same legal person"))
			}
			if old.Role != cur.Role {
				c.say(c.F("%s wordt %s in plaats van %s", "%s becomes %s instead of %s", cur.Name, c.Role(escrow.Role(cur.Role)), c.Role(escrow.Role(old.Role))), "")
			}
			if !maps.Equal(old.Register, cur.Register) {
				c.say(c.F("De registernummers van %s zijn gewijzigd", "The register numbers of %s have changed", cur.Name), c.Pick("Voortaan wordt een andere inschrijving in de registers gevolgd", "Another entry in the registers is watched from now on"))
			}
		}
	})
}

func (c *comparison) keys() {
	pair(c.former.Keys, c.now.Keys, func(k *agreement.Key) string { return k.Compartment }, func(old, cur *agreement.Key) {
		switch {
		case old == nil:
			c.say(c.F("Er komt een compartiment %s", "There is a new compartment %s", c.is.Compartment(cur.Compartment)), c.opened(cur, c.is))
		case cur == nil:
			c.say(c.F("Het compartiment %s vervalt", "The compartment %s is dropped", c.was.Compartment(old.Compartment)), "")
		default:
			c.quorum(old, cur)
		}
	})
}

// opened says who opens a compartment.
func (c *comparison) opened(k *agreement.Key, w *document.Words) string {
	if k.Quorum == nil {
		holder := k.Holder
		if holder == "" {
			holder = "self"
		}
		return c.F("Alleen %s kan het openen", "Only %s can open it", w.Parties([]string{holder}))
	}
	return c.F("Ten minste %s van de %s sleutelbewaarders openen het samen", "At least %s of the %s key holders open it together", c.Number(int64(k.Quorum.Of)), c.Number(int64(len(k.Quorum.From))))
}

func (c *comparison) quorum(old, cur *agreement.Key) {
	name := c.is.Compartment(cur.Compartment)
	if (old.Quorum == nil) != (cur.Quorum == nil) {
		c.grave(c.F("Het compartiment %s wordt op een andere manier geopend", "The compartment %s is opened in another way", name), c.opened(cur, c.is))
		return
	}
	if cur.Quorum == nil {
		if old.Holder != cur.Holder {
			c.grave(c.F("Het compartiment %s krijgt een andere houder", "The compartment %s gets another holder", name), c.opened(cur, c.is))
		}
		return
	}
	p, q := old.Quorum, cur.Quorum
	if p.Of != q.Of {
		what := c.F("Voor %s zijn voortaan %s sleutelbewaarders nodig in plaats van %s", "%s now takes %s key holders instead of %s", name, c.Number(int64(q.Of)), c.Number(int64(p.Of)))
		if q.Of < p.Of {
			c.grave(what, c.F("%s in plaats van %s sleutelbewaarders kunnen het nu openen: openen wordt gemakkelijker", "%s instead of %s key holders can now open it: opening becomes easier", phrase.Capital(c.Number(int64(q.Of))), c.Number(int64(p.Of))))
		} else {
			c.say(what, c.F("Openen wordt moeilijker: er mogen er nog %s uitvallen", "Opening becomes harder: %s of them can be spared", c.Number(int64(len(q.From)-q.Of))))
		}
	}
	added, dropped := difference(p.From, q.From)
	if len(added) > 0 {
		c.grave(c.F("Voor %s krijgt een aandeel: %s", "A share of %s goes to %s", name, c.is.Parties(added)), c.Pick("De aandelen worden opnieuw verdeeld in een nieuwe ceremonie", "The shares are dealt again in a new ceremony"))
	}
	if len(dropped) > 0 {
		c.say(c.F("Voor %s houdt geen aandeel meer: %s", "No longer a share of %s: %s", name, c.was.Parties(dropped)), c.Pick("Hun aandeel opent wat eerder is gedeponeerd nog wel, totdat de aandelen opnieuw zijn verdeeld", "Their share still helps open what was deposited before, until the shares have been dealt again"))
	}
	before, after := independent(p), independent(q)
	switch {
	case before > after:
		c.grave(c.F("Voor %s moeten voortaan %s onafhankelijken meedoen in plaats van %s", "%s now takes %s independent key holders instead of %s", name, c.Number(int64(after)), c.Number(int64(before))),
			c.Pick("Partijen met een eigen belang kunnen het gemakkelijker samen openen", "Parties with an interest of their own can open it together more easily"))
	case before < after:
		c.say(c.F("Voor %s moeten voortaan %s onafhankelijken meedoen in plaats van %s", "%s now takes %s independent key holders instead of %s", name, c.Number(int64(after)), c.Number(int64(before))), "")
	}
	if max(p.PeopleEach, 1) != max(q.PeopleEach, 1) {
		c.say(c.F("Voor %s wijst elke sleutelbewaarder %s personen aan in plaats van %s", "For %s each key holder names %s people instead of %s", name, c.Number(int64(max(q.PeopleEach, 1))), c.Number(int64(max(p.PeopleEach, 1)))), "")
	}
}

func independent(q *agreement.Quorum) int {
	if q.AtLeast == nil {
		return 0
	}
	return q.AtLeast.Independent
}

func difference(old, cur []string) (added, dropped []string) {
	for _, x := range cur {
		if !slices.Contains(old, x) {
			added = append(added, x)
		}
	}
	for _, x := range old {
		if !slices.Contains(cur, x) {
			dropped = append(dropped, x)
		}
	}
	return added, dropped
}

func (c *comparison) modules() {
	id := func(m *agreement.Module) string { base, _ := m.Base(); return base.ID }
	pair(c.former.Modules, c.now.Modules, id, func(old, cur *agreement.Module) {
		switch {
		case old == nil:
			c.say(c.F("Voortaan wordt ook gedeponeerd: %s (%s)", "Also deposited from now on: %s (%s)", c.Quote(id(cur)), c.is.Module(cur)), "")
		case cur == nil:
			c.say(c.F("Niet langer gedeponeerd wordt: %s (%s)", "No longer deposited: %s (%s)", c.Quote(id(old)), c.was.Module(old)), c.Pick("Na een vrijgave ontbreekt dit, behalve wat al in bewaring is", "After a release this will be missing, apart from what is already held"))
		default:
			b1, _ := old.Base()
			b2, _ := cur.Base()
			if b1.Compartment != b2.Compartment {
				c.grave(c.F("%s gaat naar een ander compartiment: van %s naar %s", "%s moves to another compartment: from %s to %s", c.Quote(b2.ID), c.was.Compartment(b1.Compartment), c.is.Compartment(b2.Compartment)),
					c.Pick("Andere sleutelbewaarders kunnen het openen, in andere fasen", "Other key holders can open it, in other stages"))
			}
			if was, is := c.was.Module(old), c.is.Module(cur); was != is {
				c.say(c.F("%s: was %s; wordt %s", "%s: was %s; becomes %s", c.Quote(b2.ID), was, is), "")
			}
		}
	})
}

func (c *comparison) stages() {
	pair(c.former.Release.Stages, c.now.Release.Stages, func(s *agreement.Stage) string { return s.ID }, func(old, cur *agreement.Stage) {
		switch {
		case old == nil:
			c.say(c.F("Er komt een fase %s", "There is a new stage %s", c.Quote(cur.ID)), c.is.Stage(*cur))
		case cur == nil:
			c.say(c.F("De fase %s vervalt", "The stage %s is dropped", c.Quote(old.ID)), "")
		default:
			c.stage(old, cur)
		}
	})
}

func (c *comparison) stage(old, cur *agreement.Stage) {
	name := c.F("fase %s", "stage %s", c.Quote(cur.ID))
	n := len(c.changes)
	if added, dropped := difference(old.Opens, cur.Opens); len(added)+len(dropped) > 0 {
		for _, x := range added {
			c.grave(c.F("In %s wordt voortaan ook %s geopend", "In %s %s is opened as well from now on", name, c.is.Compartment(x)), "")
		}
		for _, x := range dropped {
			c.say(c.F("In %s wordt %s niet langer geopend", "In %s %s is no longer opened", name, c.was.Compartment(x)), "")
		}
	}
	if added, dropped := difference(old.To, cur.To); len(added)+len(dropped) > 0 {
		if len(added) > 0 {
			c.grave(c.F("In %s wordt voortaan ook geopend voor %s", "In %s it is opened for %s as well", name, c.is.Parties(added)), c.Pick("Zij krijgt te zien wat erin zit; haar sleutel moet vooraf bekend zijn", "It gets to see what is inside; its key must be known beforehand"))
		}
		if len(dropped) > 0 {
			c.say(c.F("In %s wordt niet langer geopend voor %s", "In %s it is no longer opened for %s", name, c.was.Parties(dropped)), "")
		}
	}
	if a, b := c.was.Approvals(*old), c.is.Approvals(*cur); a != b {
		what := c.F("Voor %s zijn %s goedkeuringen nodig in plaats van %s", "%[1]s takes %[2]s approvals instead of %[3]s", name, c.Number(int64(b)), c.Number(int64(a)))
		if b < a {
			c.grave(what, c.Pick("De fase gaat gemakkelijker door", "The stage goes ahead more easily"))
		} else {
			c.say(what, c.Pick("De fase gaat moeilijker door", "The stage goes ahead less easily"))
		}
	}
	if old.Reversible && !cur.Reversible {
		c.grave(c.F("%s kan niet meer worden teruggedraaid", "%s can no longer be undone", phrase.Capital(name)), "")
	}
	if !old.Reversible && cur.Reversible {
		c.say(c.F("%s kan voortaan worden teruggedraaid", "%s can be undone from now on", phrase.Capital(name)), "")
	}
	c.period(name, old.Longest, cur.Longest, "duurt ten hoogste %s in plaats van %s", "lasts at most %s instead of %s", "")
	if old.Decide != cur.Decide && cur.Decide == agreement.Automatically {
		c.grave(c.F("%s begint voortaan zonder besluit van mensen", "%s begins without a decision of people from now on", phrase.Capital(name)), "")
	}
	if n == len(c.changes) && !reflect.DeepEqual(old, cur) {
		if was, is := c.was.Stage(*old), c.is.Stage(*cur); was != is {
			c.say(c.F("%s luidt anders. Was: %s Wordt: %s", "%s reads differently. Was: %s Becomes: %s", phrase.Capital(name), was, is), "")
		}
	}
}

// period says that a period became another one.
func (c *comparison) period(name string, old, cur quantity.Period, nl, en, means string) {
	if old == cur {
		return
	}
	text := func(p quantity.Period) string {
		if p == "" {
			return c.Pick("onbepaald", "no limit")
		}
		return c.Period(p)
	}
	c.say(phrase.Capital(name)+" "+c.F(nl, en, text(cur), text(old)), means)
}
