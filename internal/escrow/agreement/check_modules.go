package agreement

import (
	"strconv"
	"strings"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement/bind"
)

func itoa(n int) string { return strconv.Itoa(n) }

func (c *checker) modules() {
	used := map[string]bool{}
	for i := range c.a.Modules {
		m := &c.a.Modules[i]
		base, kind := m.Base()
		at := bind.Join(bind.At("modules", i), string(kind))
		used[firstPart(base.Compartment)] = true
		c.compartmentOf(at, base, kind)
		c.custody(at, m, base)
		if base.Accept != nil && base.Accept.Level > 4 {
			c.fail(bind.Join(at, "accept.level"), "level", "write 1, 2, 3 or 4", "there is no verification level %d", base.Accept.Level)
		}
		for j, id := range base.Components {
			for _, comp := range c.a.Application.Components {
				if comp.ID == id && comp.InEscrow != nil && !*comp.InEscrow {
					c.warn(bind.At(bind.Join(at, "components"), j), "left-out", "remove one of the two statements", "the module covers the component %q, which is said to be left out", id)
				}
			}
		}
		switch {
		case m.Repository != nil:
			c.repository(at, m.Repository)
		case m.Data != nil:
			c.fixedPeriod(bind.Join(at, "expect_every"), m.Data.ExpectEvery, time.Minute)
			if (base.Compartment == "none") != (m.Data.Holder != "") {
				c.fail(bind.Join(at, "compartment"), "holder", "say compartment: none and holder, or a compartment", "data is held here in a compartment, or elsewhere by a holder")
			}
		case m.Images != nil:
			c.fixedPeriod(bind.Join(at, "every"), m.Images.Every, time.Minute)
		case m.Standby != nil && m.Standby.Infrastructure != "":
			if !c.isRepository(m.Standby.Infrastructure) {
				c.fail(bind.Join(at, "infrastructure"), "unknown-reference", "name a repository module", "%q is not a repository", m.Standby.Infrastructure)
			}
		}
	}
	for i, k := range c.a.Keys {
		if !used[firstPart(k.Compartment)] {
			c.warn(bind.Join(bind.At("keys", i), "compartment"), "unused", "seal a module to it, or remove it", "nothing is sealed to the compartment %q", k.Compartment)
		}
	}
	for i, v := range c.a.Verification {
		if v.Level > 4 {
			c.fail(bind.Join(bind.At("verification", i), "level"), "level", "write 1, 2, 3 or 4", "there is no verification level %d", v.Level)
		}
	}
}

// compartmentOf checks what a module is sealed to.
func (c *checker) compartmentOf(at string, base *ModuleBase, kind escrow.ModuleKind) {
	path := bind.Join(at, "compartment")
	switch kind {
	case escrow.Standby, escrow.Physical, escrow.HostingPayment:
		return
	}
	own := strings.Contains(base.Compartment, "/")
	switch {
	case base.Compartment == "":
		c.fail(path, "missing-key", "say what it is sealed to", "the key \"compartment\" is missing in %s", at)
	case base.Compartment == "none" && kind != escrow.Data:
		c.fail(path, "compartment", "name a compartment", "a %s is deposited, so it needs a compartment", kind)
	case base.ForEach != "" && !own && base.Compartment != "none" && (kind == escrow.Data || kind == escrow.Licence):
		c.warn(path, "shared-compartment", "give it a compartment of its own: ID/self with for_each", "what belongs to one of the %s is sealed to a compartment that opens for all of them at once", base.ForEach)
	}
}

func (c *checker) isRepository(id string) bool {
	for _, m := range c.a.Modules {
		if m.Repository != nil && m.Repository.ID == id {
			return true
		}
	}
	return false
}

func (c *checker) repository(at string, r *RepositoryModule) {
	if (r.URL == "") == (r.Organisation == "") {
		c.fail(at, "source", "say url, or organisation", "a repository has one source: a url or an organisation")
	}
	if r.Organisation == "" && len(r.Include) > 0 {
		c.fail(bind.Join(at, "include"), "source", "remove it, or say organisation", "include chooses among the repositories of an organisation")
	}
	if r.Mode == "push" {
		for _, key := range []string{"every", "trigger", "credential", "host_key"} {
			if c.b.Has(bind.Join(at, key)) {
				c.fail(bind.Join(at, key), "source", "remove it, or say mode: pull", "the server fetches nothing when the depositor pushes, so %s means nothing", key)
			}
		}
	}
	c.fixedPeriod(bind.Join(at, "every"), r.Every, time.Minute)
	ssh := strings.HasPrefix(r.URL, "ssh://") || r.URL != "" && !strings.Contains(r.URL, "://")
	if ssh && r.Mode != "push" && r.HostKey == "" {
		c.fail(bind.Join(at, "url"), "source", "add host_key; ssh-keyscan shows it, compare it out of band", "an ssh source needs a pinned host key")
	}
	if !ssh && r.HostKey != "" {
		c.fail(bind.Join(at, "host_key"), "source", "remove it", "host_key is for ssh sources")
	}
	if r.HostKey != "" && len(strings.Fields(r.HostKey)) < 2 {
		c.fail(bind.Join(at, "host_key"), "source", "write the type and the key, such as ssh-ed25519 AAAA…", "this is not a host key in authorized_keys form")
	}
	if strings.HasPrefix(r.URL, "http://") || strings.HasPrefix(r.URL, "git://") {
		c.warn(bind.Join(at, "url"), "source", "use https or ssh", "anybody on the way can change what is fetched from this source")
	}
}

func (c *checker) serviceLevels() {
	for i, s := range c.a.SLA {
		at := bind.At("sla", i)
		if s.Availability == nil && s.Support == nil && s.ResponseTime == nil {
			c.fail(at, "sla", "add availability, response_time or support", "the service level %q promises nothing", s.ID)
		}
		if (s.Availability != nil || s.ResponseTime != nil) && s.Component == "" {
			c.fail(at, "sla", "add component", "the service level %q does not say what is to be available", s.ID)
		}
		if v := s.Availability; v != nil {
			c.availability(bind.Join(at, "availability"), v)
		}
		if s.Credits != nil {
			if s.Availability == nil {
				c.fail(bind.Join(at, "credits"), "sla", "add availability", "credits need an availability to be missed")
			} else {
				c.credits(bind.Join(at, "credits"), &s)
			}
		}
		if p := s.Probe; p != nil {
			c.fixedPeriod(bind.Join(at, "probe.every"), p.Every, time.Second)
			c.fixedPeriod(bind.Join(at, "probe.timeout"), p.Timeout, time.Millisecond)
		}
		c.levels(at, &s)
	}
}

func (c *checker) availability(at string, v *Availability) {
	needs := func(key string, has bool) {
		if !has {
			c.fail(bind.Join(at, "measure"), "sla", "add "+key, "measure: %s needs %s", v.Measure, key)
		}
	}
	switch v.Measure {
	case "error_rate":
		needs("interval", v.Interval != "")
	case "error_minutes":
		needs("error_threshold", v.Threshold != "")
	}
	c.fixedPeriod(bind.Join(at, "interval"), v.Interval, time.Second)
	c.fixedPeriod(bind.Join(at, "min_outage"), v.MinOutage, 0)
	if (v.Period == "rolling") != (v.Window != "") {
		c.fail(bind.Join(at, "period"), "sla", "say period: rolling with window", "a window is the length of a rolling period, and a rolling period needs one")
	}
	if !positive(v.Window) {
		c.fail(bind.Join(at, "window"), "sla", "give it a length", "a window of no length has nothing in it")
	}
	if v.TimeZone != "" {
		if _, err := time.LoadLocation(v.TimeZone); err != nil || v.TimeZone == "Local" {
			c.fail(bind.Join(at, "time_zone"), "time-zone", "write an IANA name such as Europe/Amsterdam", "there is no time zone %q", v.TimeZone)
		}
	}
	c.exclusions(bind.Join(at, "exclusions"), v.Exclusions)
}

func (c *checker) licences() {
	for i, l := range c.a.Licences {
		at := bind.At("licences", i)
		if p := c.a.Party(l.Licensee); p != nil && p.Role != Role(escrow.Beneficiary) {
			c.fail(bind.Join(at, "licensee"), "roles", "name a beneficiary", "%q has the role %s", p.ID, p.Role)
		}
		switch {
		case l.Type == "subscription" && l.Term == nil:
			c.fail(bind.Join(at, "type"), "term", "add term", "a subscription has a term")
		case l.Type == "perpetual" && l.Term != nil:
			c.fail(bind.Join(at, "term"), "term", "remove it, or say type: subscription", "a perpetual licence has no term")
		}
		c.term(bind.Join(at, "term"), l.Term)
		if x := l.Activation; x != nil && (x.Kind == "online" || x.Kind == "floating") && x.Grace == "" {
			c.warn(bind.Join(at, "activation"), "licence", "add grace", "nothing says how long the software runs when the activation server is gone")
		}
	}
	for i, u := range c.a.UseTerms {
		at := bind.At("use_terms", i)
		if (u.Licence == "") == (u.Stage == "") {
			c.fail(at, "use-terms", "say licence, or stage", "the terms %q are about one licence or one stage", u.ID)
		}
		if u.Perpetual && u.Ends != nil {
			c.fail(bind.Join(at, "ends"), "use-terms", "remove one of the two", "perpetual terms do not end")
		}
	}
}
