package agreement

import (
	"slices"
	"strings"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement/bind"
	"holdfast/internal/escrow/agreement/problem"
	"holdfast/internal/escrow/agreement/quantity"
	"holdfast/internal/escrow/calendar"
)

// head checks what stands before everything else.
func (c *checker) head() {
	a := c.a
	switch {
	case a.Version > 1 && a.Replaces == "":
		c.fail("version", "replaces", "add replaces with the digest of version "+itoa(a.Version-1), "version %d does not say which text it replaces", a.Version)
	case a.Version == 1 && a.Replaces != "":
		c.fail("replaces", "replaces", "remove it, or give this text the next version", "version 1 replaces nothing")
	}
	if _, err := time.LoadLocation(a.TimeZone); err != nil || a.TimeZone == "Local" {
		c.fail("time_zone", "time-zone", "write an IANA name such as Europe/Amsterdam", "there is no time zone %q", a.TimeZone)
	}
	if _, ok := calendar.ForName(string(a.Calendar)); !ok {
		c.note("calendar", "calendar", "known: "+strings.Join(calendar.Names(), ", "), "the public holidays of %q are not known to this version, so bd() is unknown in tests", a.Calendar)
	}
	c.term("term", a.Term)
	for i, comp := range a.Application.Components {
		at := bind.At("application.components", i)
		if comp.InEscrow != nil && !*comp.InEscrow && comp.Reason == "" {
			c.fail(bind.Join(at, "in_escrow"), "left-out", "add reason", "the component %q is left out without a reason", comp.ID)
		}
	}
	for _, l := range c.b.Leaves {
		if l.ID == "fact" && strings.Contains(l.Text, "-") {
			c.fail(l.Path, "fact-id", "use _ instead", "a condition cannot read a fact with - in its id")
		}
	}
	c.moments()
}

func (c *checker) term(path string, t *Term) {
	if t == nil {
		return
	}
	switch {
	case t.End != "" && t.Lasts != "":
		c.fail(bind.Join(path, "lasts"), "term", "keep one of the two", "the term has both an end and a length")
	case t.Lasts != "" && t.Start == "":
		c.fail(bind.Join(path, "lasts"), "term", "add start", "a length needs a first day")
	case t.Start != "" && t.End != "" && !t.Start.Before(t.End):
		c.fail(bind.Join(path, "end"), "term", "check the two days", "the term ends on %s, before it has begun on %s", t.End, t.Start)
	}
}

// moments checks every event/ID and stage/ID.
func (c *checker) moments() {
	check := func(path string, m Moment) {
		kind, id, ok := strings.Cut(string(m), "/")
		if !ok {
			return
		}
		if _, known := c.ids[kind][id]; !known {
			c.fail(path, "unknown-reference", problem.DidYouMean(id, sortedKeys(c.ids[kind])), "there is no %s %q", kind, id)
		}
	}
	for i, m := range c.a.Authority {
		check(bind.Join(bind.At("authority", i), "ends_on"), m.EndsOn)
	}
	for i, p := range c.a.Parts {
		check(bind.Join(bind.At("parts", i), "in_force_on"), p.InForceOn)
	}
	for i, r := range c.a.Rights {
		check(bind.Join(bind.At("rights", i), "starts_on"), r.StartsOn)
		check(bind.Join(bind.At("rights", i), "ends_on"), r.EndsOn)
	}
	for i, m := range c.a.Modules {
		if m.Licence != nil && m.Licence.Valid != nil {
			check(bind.Join(bind.At("modules", i), "licence.valid.starts_on"), m.Licence.Valid.StartsOn)
		}
	}
}

func (c *checker) parties() {
	a := c.a
	suppliers := a.WithRole(escrow.Supplier)
	if len(suppliers) == 0 {
		c.fail("parties", "roles", "add it as a party with role: supplier", "there is no supplier")
	}
	if len(a.WithRole(escrow.Beneficiary)) == 0 {
		c.fail("parties", "roles", "add the customer as a party with role: beneficiary", "nobody is a beneficiary")
	}
	for i := range a.Parties {
		p, at := &a.Parties[i], bind.At("parties", i)
		if p.Role == Role(escrow.Supplier) && p.ID != suppliers[0] {
			c.fail(bind.Join(at, "role"), "roles", "make it a host, a distributor or a guarantor, or write an agreement of its own", "there is a second supplier; an arrangement is about one application of one supplier")
		}
		c.independence(p, at)
		for _, scheme := range sortedKeys(p.Register) {
			c.register(bind.Join(bind.Join(at, "register"), scheme), scheme, p.Register[scheme])
		}
		if p.Pledge != nil && p.Role != Role(escrow.Pledgee) {
			c.fail(bind.Join(at, "pledge"), "roles", "give it role: pledgee", "only a pledgee has a pledge; %q has the role %s", p.ID, p.Role)
		}
	}
	for i, m := range a.Authority {
		at := bind.At("authority", i)
		if m.Person != "" {
			if p := a.Party(m.Party); p != nil && !slices.ContainsFunc(p.People, func(x Person) bool { return x.ID == m.Person }) {
				c.fail(bind.Join(at, "person"), "authority", "declare the person under people of "+m.Party, "%q is not one of the people of %q", m.Person, m.Party)
			}
		}
		if m.From != "" && m.Until != "" && !m.From.Before(m.Until) {
			c.fail(bind.Join(at, "until"), "term", "check the two days", "the authority ends on %s, before it has begun on %s", m.Until, m.From)
		}
		if m.PassesTo != "" && m.EndsOn == "" {
			c.fail(bind.Join(at, "passes_to"), "authority", "add ends_on", "the authority passes to %s but nothing says when", m.PassesTo)
		}
	}
	for i, inst := range a.Environments {
		if p := a.Party(inst.Beneficiary); p != nil && p.Role != Role(escrow.Beneficiary) {
			c.fail(bind.Join(bind.At("environments", i), "beneficiary"), "roles", "name a beneficiary", "%q has the role %s", p.ID, p.Role)
		}
	}
	for i, h := range a.HostUndertakings {
		if p := a.Party(h.By); p != nil && p.Role != Role(escrow.Host) && p.Role != Role(escrow.ServerManager) {
			c.fail(bind.Join(bind.At("host_undertakings", i), "by"), "roles", "name a host or server manager", "%q has the role %s", p.ID, p.Role)
		}
	}
}

func (c *checker) independence(p *Party, at string) {
	if p.Controlled != "" {
		c.control(p, at)
	}
	if p.Independent == nil || !*p.Independent {
		return
	}
	switch escrow.Role(p.Role) {
	case escrow.Trustee, escrow.Arbiter, escrow.Auditor, escrow.Regulator:
	default:
		c.fail(bind.Join(at, "independent"), "independence", "only a trustee, arbiter, auditor or regulator can be", "%q has the role %s and cannot count as independent", p.ID, p.Role)
	}
}

// control refuses independence that is only on paper.
func (c *checker) control(p *Party, at string) {
	switch {
	case p.Controlled == p.ID:
		c.fail(bind.Join(at, "controlled_by"), "control", "name the party that controls it, or remove the key", "%q cannot be said to control itself", p.ID)
	case p.IsIndependent() && c.a.Sides(p.Controlled) != 0:
		c.fail(bind.Join(at, "controlled_by"), "control", "say independent: false, or let somebody else hold the share", "%q counts as independent, but %q controls it", p.ID, p.Controlled)
	}
}

// register checks a number of a public register: watching the wrong company
// is worse than watching none.
func (c *checker) register(path, scheme, number string) {
	country, name, ok := strings.Cut(scheme, "_")
	if !ok || !lower(country, 2, 2) || name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
		c.fail(path, "register", "write country_register, such as nl_kvk", "%q does not name a register", scheme)
		return
	}
	digits := func(n int) bool { return len(number) == n && strings.Trim(number, "0123456789") == "" }
	want := ""
	switch scheme {
	case "nl_kvk":
		if !digits(8) {
			want = "8 digits"
		}
	case "nl_rsin":
		if !digits(9) {
			want = "9 digits"
		}
	case "be_kbo":
		if !digits(10) {
			want = "10 digits"
		}
	case "gb_ch":
		letters := strings.TrimRight(number, "0123456789")
		if len(number) != 8 || len(letters) != 0 && (len(letters) != 2 || strings.ToUpper(letters) != letters) {
			want = "8 digits, or 2 capitals and 6 digits"
		}
	case "de_hrb", "de_hra":
		if !strings.HasPrefix(number, strings.ToUpper(country2(scheme))+" ") {
			want = strings.ToUpper(country2(scheme)) + ", a space and the number"
		}
	default:
		c.note(path, "register", "known: nl_kvk, nl_rsin, be_kbo, gb_ch, de_hrb, de_hra", "the register %q is not known to this version; its numbers are not checked", scheme)
	}
	if want != "" {
		c.fail(path, "register", "check the number", "%q is not a number of %s, which has %s", number, scheme, want)
	}
}

func country2(scheme string) string { return scheme[3:] }

func (c *checker) partsOfText() {
	a := c.a
	if len(a.Parts) == 0 {
		c.note("", "parts", "add parts so that every party signs and sees only its own", "there are no parts: every party that signs reads the whole text")
		return
	}
	frames := 0
	held := map[string]string{}
	for i, p := range a.Parts {
		at := bind.At("parts", i)
		if p.Kind == "frame" {
			if frames++; frames > 1 {
				c.fail(bind.Join(at, "kind"), "parts", "make it a supplement", "there is a second frame")
			}
			if p.ForEach != "" {
				c.fail(bind.Join(at, "for_each"), "parts", "remove it", "the frame is one for all")
			}
		}
		for j, id := range p.Parties {
			if q := a.Party(id); q != nil && !q.SignsAnything() {
				c.fail(bind.At(bind.Join(at, "parties"), j), "parts", "make it a reader, or remove signs: false", "%q signs nothing", id)
			}
		}
		for j, h := range p.Holds {
			path := bind.At(bind.Join(at, "holds"), j)
			if first, dup := held[h]; dup {
				c.fail(path, "parts", "leave it in one of them", "%q is already held by the part %q", h, first)
				continue
			}
			held[h] = p.ID
			c.holding(path, h)
		}
		c.term(bind.Join(at, "term"), p.Term)
		c.cycle(i)
	}
	c.unsigned()
	if frames == 0 {
		c.fail("parts", "parts", "add a part with kind: frame; it holds what no other part holds", "there is no frame")
	}
}

// unsigned notes parties that hold a share and sign no part: nothing binds
// them.
func (c *checker) unsigned() {
	signs := map[string]bool{}
	for _, p := range c.a.Parts {
		for _, id := range p.Parties {
			signs[id] = true
			if id == "self" {
				for _, m := range c.a.members(p.ForEach) {
					signs[c.a.self(m)] = true
				}
			}
		}
	}
	for i, k := range c.a.Keys {
		if k.Quorum == nil {
			continue
		}
		for j, id := range k.Quorum.From {
			if id != "self" && !signs[id] {
				c.note(bind.At(bind.Join(bind.At("keys", i), "quorum.from"), j), "unsigned", "add it to the parties of a part", "%q holds a share and signs no part", id)
			}
		}
	}
}

// holding checks that a part holds something that is there.
func (c *checker) holding(path, h string) {
	section, id, one := strings.Cut(h, "/")
	switch section {
	case "holdfast", "id", "version", "replaces", "parts":
		c.fail(path, "parts", "remove it", "%q belongs to every part", section)
		return
	}
	if !c.b.Has(section) {
		c.fail(path, "unknown-reference", problem.DidYouMean(section, c.sections()), "the text has no key %q", section)
		return
	}
	if !one {
		return
	}
	kind := map[string]string{"parties": "party", "rights": "right", "modules": "module", "sla": "sla", "licences": "licence", "keys": "compartment", "use_terms": "use_terms", "clauses": "clause", "host_undertakings": "undertaking"}[section]
	if kind == "" {
		c.fail(path, "parts", "write "+section, "the entries of %q have no ids", section)
		return
	}
	if _, ok := c.ids[kind][id]; !ok {
		c.fail(path, "unknown-reference", problem.DidYouMean(id, sortedKeys(c.ids[kind])), "there is no %s %q", word(kind), id)
	}
}

// sections lists the top-level keys of the text.
func (c *checker) sections() []string {
	var out []string
	for path := range c.b.Places {
		if path != "" && !strings.ContainsAny(path, ".[") {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out
}

// cycle refuses parts that rest on one another in a circle: none could be
// signed first.
func (c *checker) cycle(i int) {
	start := c.a.Parts[i].ID
	seen := map[string]bool{}
	var reaches func(id string) bool
	reaches = func(id string) bool {
		for _, p := range c.a.Parts {
			if p.ID != id || seen[id] {
				continue
			}
			seen[id] = true
			for _, next := range p.RestsOn {
				if next == start || reaches(next) {
					return true
				}
			}
		}
		return false
	}
	if reaches(start) {
		c.fail(bind.Join(bind.At("parts", i), "rests_on"), "parts", "let only one of them refer to the other", "the part %q rests on itself, over others", start)
	}
}

// later says once for every key that is read but not acted on yet.
func (c *checker) later() {
	count := map[string]int{}
	for _, l := range c.b.Later {
		count[l.Key+l.By]++
	}
	said := map[string]bool{}
	for _, l := range c.b.Later {
		if said[l.Key+l.By] {
			continue
		}
		said[l.Key+l.By] = true
		more := ""
		if n := count[l.Key+l.By]; n > 1 {
			more = " (in " + itoa(n) + " places)"
		}
		c.add(problem.Note, l.Path, l.Pos, "not-acted-on", "", "%s is read and signed but not acted on yet%s; it waits for %s", l.Key, more, l.By)
	}
}

// fixedPeriod demands a period a clock can run by.
func (c *checker) fixedPeriod(path string, p quantity.Period, least time.Duration) {
	if p == "" {
		return
	}
	d, ok := p.Fixed()
	if !ok {
		c.fail(path, "period", "write it in s, m, h, d or w", "%q has no fixed length, and a schedule needs one", string(p))
	} else if d < least {
		c.fail(path, "period", "write at least "+strings.TrimSuffix(least.String(), "0s"), "%q is too often", string(p))
	}
}
