package check

import (
	"slices"
	"strings"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/bind"
)

// Colour is how a right or what rests on rights stands.
type Colour string

// Green stands, amber is doubtful, red does not hold when it is needed.
const (
	Green Colour = "green"
	Amber Colour = "amber"
	Red   Colour = "red"
)

// together returns the colour of several grounds. One that does not hold is
// no loss beside another that does; but each of the others is there for a
// purpose of its own, so the doubtful one decides. Without any ground it is
// red.
func together(colours []Colour) Colour {
	switch {
	case slices.Contains(colours, Amber):
		return Amber
	case slices.Contains(colours, Green):
		return Green
	}
	return Red
}

// ColourOf says how a right stands by itself: a mandate ends with its
// principal's insolvency whatever the text says.
func ColourOf(r *agreement.Right) Colour {
	switch {
	case r.Kind == "mandate" || r.OnInsolvency == "ends" || r.EndsOn == "insolvency":
		return Red
	case r.OnInsolvency == "doubtful" || r.Counsel == "":
		return Amber
	}
	return Green
}

// Ground is what a stage or a module rests on.
type Ground struct {
	Kind   string   `json:"kind"` // stage or module
	ID     string   `json:"id"`
	Rights []string `json:"rights"`
	Colour Colour   `json:"colour"`
}

// Register returns how every stage that opens or pays, and every module that
// is an access or a material, stands: the register of rights at a glance. A
// module rests on its own rights and on those of the stages that open it.
func Register(a *agreement.Agreement) []Ground {
	c := &checker{a: a}
	var out []Ground
	for i := range a.Release.Stages {
		s := &a.Release.Stages[i]
		if len(c.opens(s)) > 0 || len(s.Rights) > 0 {
			out = append(out, c.ground("stage", s.ID, s.Rights))
		}
	}
	for i := range a.Modules {
		base, kind := a.Modules[i].Base()
		if c.needsGround(base, kind) || len(base.Rights) > 0 {
			out = append(out, c.ground("module", base.ID, c.moduleRights(base)))
		}
	}
	return out
}

func (c *checker) ground(kind, id string, rights []string) Ground {
	var colours []Colour
	for _, r := range rights {
		if right := c.right(r); right != nil {
			colours = append(colours, ColourOf(right))
		}
	}
	return Ground{Kind: kind, ID: id, Rights: rights, Colour: together(colours)}
}

func (c *checker) right(id string) *agreement.Right {
	for i := range c.a.Rights {
		if c.a.Rights[i].ID == id {
			return &c.a.Rights[i]
		}
	}
	return nil
}

// needsGround reports whether a module is an access or a material that
// somebody needs a right to use. What belongs to its holder needs none.
func (c *checker) needsGround(base *agreement.ModuleBase, kind escrow.ModuleKind) bool {
	switch kind {
	case escrow.Standby, escrow.Physical, escrow.HostingPayment:
		return false
	}
	k := c.key(base.Compartment)
	return k != nil && k.Quorum != nil
}

func (c *checker) moduleRights(base *agreement.ModuleBase) []string {
	out := slices.Clone(base.Rights)
	for _, s := range c.openers(base.Compartment) {
		for _, r := range s.Rights {
			if !has(out, r) {
				out = append(out, r)
			}
		}
	}
	return out
}

func (c *checker) rights() {
	used := map[string]bool{}
	for i := range c.a.Release.Stages {
		s := &c.a.Release.Stages[i]
		at := bind.At("release.stages", i)
		if opened := c.opens(s); len(opened) > 0 && len(s.Rights) == 0 {
			c.find("right-missing", bind.Join(at, "opens"), s.ID, list(opened))
		}
		for j, id := range s.Rights {
			used[id] = true
			c.rightOfStage(bind.At(bind.Join(at, "rights"), j), s, c.right(id))
		}
	}
	for i := range c.a.Modules {
		base, kind := c.a.Modules[i].Base()
		for _, id := range base.Rights {
			used[id] = true
		}
		if len(base.Rights) == 0 || !c.needsGround(base, kind) {
			continue
		}
		if g := c.ground("module", base.ID, c.moduleRights(base)); g.Colour == Red {
			c.find("module-ground", bind.Join(bind.Join(bind.At("modules", i), string(kind)), "rights"), base.ID)
		}
	}
	for i := range c.a.Rights {
		r := &c.a.Rights[i]
		at := bind.At("rights", i)
		c.oneRight(at, r)
		if !used[r.ID] {
			c.find("right-unused", bind.Join(at, "id"), r.ID)
		}
	}
}

// rightOfStage checks that a right fits the stage that rests on it.
func (c *checker) rightOfStage(path string, s *agreement.Stage, r *agreement.Right) {
	if r == nil || len(c.opens(s)) == 0 {
		return
	}
	if kind, id, ok := strings.Cut(string(r.StartsOn), "/"); ok && ColourOf(r) != Red {
		for _, e := range c.a.Release.Events {
			if kind == "event" && e.ID != id && has(e.Stages, s.ID) && !c.otherGround(s, r) {
				c.find("right-not-yet", path, r.ID, id, s.ID, e.ID)
				break
			}
		}
	}
	// An operator acts for whoever has the right; any other recipient must
	// have it itself.
	for _, to := range s.To {
		if to == "self" || to == "claimant" {
			to = "beneficiaries"
		}
		ok := has(r.Holder, to) || has(r.Holder, "self")
		for _, holder := range r.Holder {
			ok = ok || to == "beneficiaries" && c.role(holder) == escrow.Beneficiary || c.role(holder) == escrow.Foundation
		}
		if to == "operator" || c.role(to) == escrow.Operator || c.role(to) == escrow.Agent {
			continue
		}
		if !ok && !c.otherHolder(s, to) {
			c.find("right-of-another", path, r.ID, list(r.Holder), s.ID, to)
		}
	}
}

// otherGround reports whether the stage has another right that stands from
// the beginning.
func (c *checker) otherGround(s *agreement.Stage, not *agreement.Right) bool {
	return slices.ContainsFunc(s.Rights, func(id string) bool {
		r := c.right(id)
		return r != nil && r != not && ColourOf(r) != Red && !strings.HasPrefix(string(r.StartsOn), "event/")
	})
}

// otherHolder reports whether any right of the stage is the recipient's.
func (c *checker) otherHolder(s *agreement.Stage, to string) bool {
	return slices.ContainsFunc(s.Rights, func(id string) bool { r := c.right(id); return r != nil && has(r.Holder, to) })
}

func (c *checker) oneRight(at string, r *agreement.Right) {
	switch {
	case r.OnInsolvency == "survives" && r.Kind == "mandate":
		c.find("mandate-survives", bind.Join(at, "on_insolvency"), r.ID)
	case r.OnInsolvency == "survives" && r.EndsOn == "insolvency":
		c.find("right-contradiction", bind.Join(at, "ends_on"), r.ID)
	case r.OnInsolvency == "survives" && r.Counsel == "":
		c.find("right-no-counsel", bind.Join(at, "on_insolvency"), r.ID)
	case r.OnInsolvency == "doubtful" && len(r.SecuredBy) == 0:
		c.find("right-unsecured", bind.Join(at, "on_insolvency"), r.ID)
	}
	if c.due(r.Reviewed, r.Review) {
		c.find("right-review-overdue", bind.Join(at, "reviewed"), r.ID, r.Reviewed, r.Review)
	}
	if r.Document == nil || r.Document.Digest == "" {
		c.find("right-no-document", bind.Join(at, "id"), r.ID)
	}
	for j, id := range r.Holder {
		switch c.role(id) {
		case escrow.Supplier, escrow.IPHolder, escrow.Host, escrow.ServerManager:
			c.find("right-of-supplier", bind.At(bind.Join(at, "holder"), j), r.ID, id)
		}
	}
	c.grantor(at, r)
	for j, e := range r.Encumbrances {
		if !e.Consent {
			what := e.Of
			if what == "" {
				what = e.What
			}
			if what == "" {
				what = string(e.Kind)
			}
			c.find("encumbrance", bind.At(bind.Join(at, "encumbrances"), j), r.ID, what)
		}
	}
}

// grantor checks who granted a right over what is protected.
func (c *checker) grantor(at string, r *agreement.Right) {
	if r.Kind == "host_undertaking" {
		if r.Undertaking == "" && len(c.a.HostUndertakings) == 0 {
			c.find("right-no-undertaking", bind.Join(at, "kind"), r.ID)
		}
		return
	}
	if r.Kind != "licence_from_ip_holder" && r.Kind != "conditional_transfer" {
		return
	}
	owners := c.with(escrow.IPHolder)
	if len(owners) == 0 {
		owners = c.with(escrow.Supplier)
	}
	switch {
	case r.From == "":
		c.find("right-no-grantor", bind.Join(at, "kind"), r.ID, list(owners))
	case !has(owners, r.From):
		c.find("right-wrong-grantor", bind.Join(at, "from"), r.ID, r.From, list(owners))
	}
	// A pledge over the rights goes with them: whoever enforces it is not
	// bound by a licence it did not agree to.
	for _, p := range c.a.Parties {
		if p.Pledge == nil || !has(p.Pledge.Over, "ip_rights") || len(p.Pledge.GivenBy) > 0 && !has(p.Pledge.GivenBy, r.From) {
			continue
		}
		if !slices.ContainsFunc(r.Encumbrances, func(e agreement.Encumbrance) bool { return e.Of == p.ID }) {
			c.find("pledge-unanswered", bind.Join(at, "id"), r.ID, p.ID)
		}
	}
}
