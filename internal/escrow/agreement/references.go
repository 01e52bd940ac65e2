package agreement

import (
	"strings"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement/bind"
	"holdfast/internal/escrow/agreement/problem"
)

// reserved are the words that stand for a party or set where a party is
// named. A party may be called operator, curator or acquirer only when that
// is its role.
func reserved() []string {
	return []string{"self", "claimant", "operator", "curator", "acquirer", "beneficiaries", "licences", "all", "none", "court", "independent"}
}

// names collects what the agreement declares and refuses a name given twice.
func (c *checker) names() {
	c.ids, c.templates = map[string]map[string]problem.Pos{}, map[string]Set{}
	for _, k := range c.a.Keys {
		if name, own := strings.CutSuffix(k.Compartment, "/self"); own {
			c.templates[name] = k.ForEach
		}
	}
	for _, l := range c.b.Leaves {
		if l.ID == "" {
			continue
		}
		if c.ids[l.ID] == nil {
			c.ids[l.ID] = map[string]problem.Pos{}
		}
		id := l.Text
		if l.ID == "compartment" {
			id = strings.TrimSuffix(id, "/self")
			if strings.Contains(id, "/") {
				c.fail(l.Path, "compartment-id", "write "+firstPart(id)+" or "+firstPart(id)+"/self", "a compartment is declared by one name, with /self when there is one for each")
				continue
			}
			if id == "none" {
				c.fail(l.Path, "reserved", "choose another", "none means no compartment; it cannot be the id of one")
			}
		}
		if first, dup := c.ids[l.ID][id]; dup {
			c.fail(l.Path, "duplicate-id", "give one of them another id", "the %s %q is already declared at %d:%d", word(l.ID), id, first.Line, first.Column)
			continue
		}
		c.ids[l.ID][id] = l.Pos
	}
	for i, p := range c.a.Parties {
		for _, w := range reserved() {
			if p.ID == w && string(p.Role) != w {
				c.fail(bind.Join(bind.At("parties", i), "id"), "reserved", "choose another id", "%q has a meaning of its own and cannot be the id of a party with the role %s", w, p.Role)
			}
		}
	}
	for i, l := range c.a.Licences {
		if at, ok := c.ids["party"][l.ID]; ok {
			c.fail(bind.Join(bind.At("licences", i), "id"), "duplicate-id", "give the licence another id", "%q is already a party, at %d:%d", l.ID, at.Line, at.Column)
		}
	}
}

// references resolves every name.
func (c *checker) references() {
	for _, l := range c.b.Leaves {
		if len(l.Ref) > 0 {
			c.reference(l)
		}
		if c.full() {
			return
		}
	}
}

func (c *checker) reference(l bind.Leaf) {
	var kinds, words []string
	for _, r := range l.Ref {
		if w, ok := strings.CutPrefix(r, "="); ok {
			words = append(words, w)
		} else {
			kinds = append(kinds, r)
		}
	}
	for _, w := range words {
		if l.Text != w {
			continue
		}
		switch w {
		case "self":
			if _, ok := c.scope(l.Path); !ok {
				c.fail(l.Path, "self", "add for_each, or name the party", "self means nothing here: nothing around it has for_each")
			}
		case "operator":
			if len(c.a.WithRole(escrow.Operator)) == 0 {
				c.fail(l.Path, "unknown-reference", "add a party with role: operator, or name another party", "no party is an operator")
			}
		}
		return
	}
	for _, kind := range kinds {
		if _, ok := c.ids[kind][l.Text]; ok {
			if kind == "compartment" && c.template(l.Text) != "" {
				c.fail(l.Path, "instance", "write "+l.Text+"/self under for_each, or "+l.Text+"/ID for one of them", "there is one compartment %q for each of the %s", l.Text, c.template(l.Text))
			}
			return
		}
		if kind == "compartment" && strings.Contains(l.Text, "/") {
			c.compartmentInstance(l)
			return
		}
	}
	var candidates []string
	for _, kind := range kinds {
		candidates = append(candidates, sortedKeys(c.ids[kind])...)
	}
	what := make([]string, len(kinds))
	for i, k := range kinds {
		what[i] = word(k)
	}
	c.fail(l.Path, "unknown-reference", problem.DidYouMean(l.Text, append(candidates, words...)), "there is no %s %q", strings.Join(what, " or "), l.Text)
}

// compartmentInstance resolves ID/self and ID/instance.
func (c *checker) compartmentInstance(l bind.Leaf) {
	name, instance, _ := strings.Cut(l.Text, "/")
	if _, ok := c.ids["compartment"][name]; !ok {
		c.fail(l.Path, "unknown-reference", problem.DidYouMean(name, sortedKeys(c.ids["compartment"])), "there is no compartment %q", name)
		return
	}
	set := c.template(name)
	if set == "" {
		c.fail(l.Path, "instance", "write "+name, "the compartment %q is one for all", name)
		return
	}
	if instance != "self" {
		if members := c.a.members(set); !has(members, instance) {
			c.fail(l.Path, "unknown-reference", problem.DidYouMean(instance, members), "%q is not one of the %s", instance, set)
		}
		return
	}
	switch scope, ok := c.scope(l.Path); {
	case !ok:
		c.fail(l.Path, "self", "add for_each: "+string(set), "self means nothing here: nothing around it has for_each")
	case scope != set:
		c.fail(l.Path, "self", "use a compartment of the "+string(scope), "self is one of the %s here, but the compartment %q is for each of the %s", scope, name, set)
	}
}

// template returns the set a compartment is declared for each of, or "".
func (c *checker) template(name string) Set { return c.templates[name] }

// scope returns the set that self ranges over at path.
func (c *checker) scope(path string) (Set, bool) {
	for path != "" {
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			i = 0
		}
		path = path[:i]
		if set, ok := c.b.Scopes[path]; ok {
			return Set(set), true
		}
	}
	return "", false
}

func firstPart(id string) string {
	name, _, _ := strings.Cut(id, "/")
	return name
}

func word(kind string) string { return strings.ReplaceAll(kind, "_", " ") }

func has(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}
