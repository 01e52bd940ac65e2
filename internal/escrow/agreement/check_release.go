package agreement

import (
	"slices"
	"strings"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement/bind"
	"holdfast/internal/escrow/agreement/problem"
)

func (c *checker) release() {
	for i := range c.a.Release.Stages {
		c.stage(bind.At("release.stages", i), &c.a.Release.Stages[i])
	}
	reached := map[string]bool{}
	for i := range c.a.Release.Events {
		e := &c.a.Release.Events[i]
		c.event(bind.At("release.events", i), e)
		for _, id := range e.Stages {
			reached[id] = true
		}
	}
	for i, s := range c.a.Release.Stages {
		if !reached[s.ID] && !c.onlyOnDemand(s) {
			c.warn(bind.Join(bind.At("release.stages", i), "id"), "unreachable", "name it in the stages of an event, or remove it", "no event leads to the stage %q", s.ID)
		}
	}
	c.neverOpened()
	if cl := c.a.Release.Claims; cl != nil && cl.Decide != nil {
		c.decision("release.claims.decide", cl.Decide)
	}
}

// decision checks that a vote can be won.
func (c *checker) decision(at string, d *Decision) {
	voters := len(c.a.partyIDs(d.Of, ""))
	switch {
	case (d.Votes == 0) == (d.Majority == ""):
		c.fail(at, "decision", "say votes, or majority", "a decision takes a number of votes or a majority")
	case d.Votes > voters:
		c.fail(bind.Join(at, "votes"), "decision", "lower it", "it takes %d votes, but only %d can vote", d.Votes, voters)
	}
}

// neverOpened warns of compartments no stage opens: what is in them can
// never be released.
func (c *checker) neverOpened() {
	opened := map[string]bool{}
	for _, s := range c.a.Release.Stages {
		for _, id := range s.Opens {
			opened[firstPart(id)] = true
		}
	}
	for i, k := range c.a.Keys {
		if k.Quorum != nil && !opened[firstPart(k.Compartment)] {
			c.warn(bind.Join(bind.At("keys", i), "compartment"), "unreachable", "let a stage open it, or remove it", "no stage opens the compartment %q", k.Compartment)
		}
	}
}

// key returns the key of the compartment a stage names, or nil.
func (c *checker) key(id string) *Key {
	for i := range c.a.Keys {
		if firstPart(c.a.Keys[i].Compartment) == firstPart(id) {
			return &c.a.Keys[i]
		}
	}
	return nil
}

func (c *checker) onlyOnDemand(s Stage) bool {
	for _, id := range s.Opens {
		if k := c.key(id); k == nil || k.Open == "" {
			return false
		}
	}
	return len(s.Opens) > 0
}

func (c *checker) stage(at string, s *Stage) {
	need := 0
	for j, id := range s.Opens {
		path := bind.At(bind.Join(at, "opens"), j)
		k := c.key(id)
		if k == nil {
			continue
		}
		if k.Open != "" {
			c.opensOnDemand(path, at, s, k)
			continue
		}
		if k.Quorum != nil {
			need = max(need, k.Quorum.Of)
		}
	}
	switch {
	case len(s.Opens) > 0 && len(s.To) == 0:
		c.fail(bind.Join(at, "opens"), "stage-to", "add to: a party, self, claimant or operator", "the stage %q opens something for nobody", s.ID)
	case len(s.Opens) == 0 && len(s.To) > 0:
		c.fail(bind.Join(at, "to"), "stage-to", "add opens, or say audience for those who are told", "the stage %q opens nothing, so it opens nothing for anybody", s.ID)
	}
	switch {
	case len(s.Opens) > 0 && len(s.Pays) > 0:
		c.fail(bind.Join(at, "pays"), "stage-pays", "make it two stages", "a stage opens or pays, not both")
	case len(s.Pays) > 0 && s.By == "":
		c.fail(bind.Join(at, "pays"), "approvals", "add by and approvals", "nobody is said to approve the payment")
	}
	if s.Approvals != nil {
		c.approvals(at, s, need)
	} else if len(s.Opens) == 0 && s.By != "" {
		c.fail(bind.Join(at, "by"), "approvals", "add approvals", "nothing says how many people of %q must approve", s.By)
	}
	if s.By != "" && len(s.Opens) > 0 {
		c.fail(bind.Join(at, "by"), "approvals", "remove it", "who approves the opening is in the quorum of the compartment")
	}
	if s.Decide == Automatically && !s.Reversible {
		c.fail(bind.Join(at, "decide"), "automatic", "say decide: people, or reversible: true when it is", "the stage %q cannot be undone, so people decide it", s.ID)
	}
	c.extension(at, s)
	c.grounds(at, s)
	if s.ForEach == Licences && len(c.a.Licences) == 0 {
		c.warn(bind.Join(at, "for_each"), "empty-set", "declare licences, or remove for_each", "there are no licences, so there is no such stage")
	}
	for j, id := range s.Pays {
		if _, isParty := c.ids["party"][id]; isParty {
			continue
		}
		if !slices.ContainsFunc(c.a.Modules, func(m Module) bool { return m.HostingPayment != nil && m.HostingPayment.ID == id }) {
			c.fail(bind.At(bind.Join(at, "pays"), j), "stage-pays", "name a party or a hosting_payment module", "%q cannot be paid", id)
		}
	}
}

// opensOnDemand checks a stage that names a compartment without quorum.
func (c *checker) opensOnDemand(path, at string, s *Stage, k *Key) {
	holder := k.Holder
	if holder == "" {
		holder = "self"
	}
	if len(s.To) != 1 || s.To[0] != holder {
		c.fail(path, "on-demand", "say to: "+holder, "%q is sealed to its holder alone, so no stage can open it for anybody else", k.Compartment)
		return
	}
	c.note(path, "on-demand", "", "the holder of %q opens it at any time; the stage %q only tells so", k.Compartment, s.ID)
}

func (c *checker) approvals(at string, s *Stage, need int) {
	path, n := bind.Join(at, "approvals"), *s.Approvals
	switch {
	case len(s.Opens) > 0 && n < need:
		c.fail(path, "approvals", "write "+itoa(need)+", or lower the quorum of the compartment", "%d approvals cannot open what takes a quorum of %d", n, need)
	case len(s.Opens) > 0 && n > need && need > 0:
		c.warn(path, "approvals", "raise the quorum of the compartment to "+itoa(n), "%d approvals are asked for, but the key is made for %d: %d trustees can open it without the server", n, need, need)
	case len(s.Opens) == 0 && n > 0 && s.By == "":
		c.fail(path, "approvals", "add by: the party whose people approve", "nobody is said to give these %d approvals", n)
	case len(s.Opens) == 0 && n == 0 && s.By != "":
		c.fail(path, "approvals", "write at least 1, or remove by", "%q approves, but 0 approvals are needed", s.By)
	}
	if len(s.Pays) > 0 && s.By != "" && n == 1 {
		c.warn(path, "approvals", "ask for 2", "one person alone could pay")
	}
}

func (c *checker) extension(at string, s *Stage) {
	if s.Extend != nil {
		c.decision(bind.Join(at, "extend.decide"), &s.Extend.Decide)
		if s.Longest == "" {
			c.fail(bind.Join(at, "extend"), "longest", "add longest", "a stage without a longest duration needs no extension")
		}
	}
	if len(s.Opens) > 0 && s.Reversible && s.Longest == "" && s.WayBack == "" {
		c.note(bind.Join(at, "id"), "longest", "add longest", "the stage %q can be undone, but nothing says when it ends", s.ID)
	}
}

// grounds refuses stages whose rights do not outlast an insolvency.
func (c *checker) grounds(at string, s *Stage) {
	if len(s.Rights) == 0 {
		return
	}
	for _, id := range s.Rights {
		for _, r := range c.a.Rights {
			if r.ID == id && r.Kind != "mandate" && r.OnInsolvency != "ends" && r.EndsOn != "insolvency" {
				return
			}
		}
	}
	c.fail(bind.Join(at, "rights"), "mandate-only", "add a right that survives: a contract of one's own, an undertaking of the host, a transfer", "every right the stage %q rests on ends with the insolvency it is meant for", s.ID)
}

func (c *checker) event(at string, e *Event) {
	if e.For != "" && e.ForEach != "" {
		c.fail(bind.Join(at, "for"), "event-for", "keep one of the two", "the event concerns one member, or each")
	}
	if p := c.a.Party(e.For); p != nil && p.Role != Role(escrow.Beneficiary) {
		c.fail(bind.Join(at, "for"), "event-for", "name a beneficiary or licence", "%q has the role %s", p.ID, p.Role)
	}
	if e.ForEach != "" && len(c.a.members(e.ForEach)) == 0 {
		c.warn(bind.Join(at, "for_each"), "empty-set", "declare "+string(e.ForEach)+", or remove for_each", "there are no %s, so there is no such event", e.ForEach)
	}
	final := ""
	for j, id := range e.Stages {
		i := slices.IndexFunc(c.a.Release.Stages, func(s Stage) bool { return s.ID == id })
		if i < 0 {
			continue
		}
		s, path := &c.a.Release.Stages[i], bind.At(bind.Join(at, "stages"), j)
		if e.Warning && (len(s.Opens) > 0 || len(s.Pays) > 0) {
			c.fail(path, "warning-only", "remove the stage, or warning_only", "an event that only warns cannot lead to %q, which opens or pays", id)
		}
		if e.Decide == Automatically && !s.Reversible {
			c.fail(path, "automatic", "say decide: people, or leave the stage out", "the stage %q cannot be undone, so the event cannot be automatic", id)
		}
		if len(s.Opens) > 0 && !s.Reversible && s.Contest == "" {
			final = id
		}
		if c.noInstance(e, s) {
			c.fail(path, "event-for", "name a stage of "+e.For+", or one for all", "no instance of the stage %q concerns %q", id, e.For)
		}
	}
	if final != "" && e.Contest == "" {
		c.warn(at, "contest", "add contest; contest: 0d says that none is meant", "the event %q leads to %q, which cannot be undone, and nothing says how long it can be contested", e.ID, final)
	}
	if e.Decide == Automatically && !slices.ContainsFunc(e.Evidence, Evidence.mayBeAutomatic) {
		c.fail(bind.Join(at, "decide"), "automatic", "say decide: people", "evidence a machine cannot establish (%s) is judged by people", evidenceList(e.Evidence))
	}
	if e.Decide == Automatically && slices.ContainsFunc(e.Evidence, func(v Evidence) bool { return !v.mayBeAutomatic() }) && slices.ContainsFunc(e.Evidence, Evidence.mayBeAutomatic) {
		c.fail(bind.Join(at, "evidence"), "automatic", "say decide: people", "some of the evidence (%s) must be judged by people", evidenceList(e.Evidence))
	}
}

func evidenceList(list []Evidence) string {
	out := make([]string, len(list))
	for i, e := range list {
		out[i] = string(e)
	}
	return strings.Join(out, ", ")
}

// noInstance reports whether an event for one member names a stage that has
// instances, none of which is the member's.
func (c *checker) noInstance(e *Event, s *Stage) bool {
	if p := c.a.Party(e.For); e.For == "" || s.ForEach == "" || p != nil && p.Role != Role(escrow.Beneficiary) {
		return false
	}
	return !slices.ContainsFunc(c.a.members(s.ForEach), func(m string) bool { return c.a.concerns(e.For, m) })
}

// maxEntries bounds the lists whose checks compare their entries or run
// expressions.
const maxEntries = 200

// size refuses an agreement whose for_each and conditions would take more
// than engines can hold and a check can wait for. It reports whether the
// agreement may go on.
func (c *checker) size() bool {
	const most = 200_000
	a := c.a
	total := 0
	members := func(set Set) int { return max(1, len(a.members(set))) }
	people := func(names ...string) int { return len(a.partyIDs(names, "")) }
	for i := range a.Modules {
		if base, _ := a.Modules[i].Base(); base != nil {
			total += members(base.ForEach)
		}
	}
	for _, k := range a.Keys {
		total += members(k.ForEach)
	}
	instances := map[string]int{}
	for _, s := range a.Release.Stages {
		instances[s.ID] = members(s.ForEach)
		total += instances[s.ID] * (1 + len(s.Opens) + people(s.To...) + people(s.Audience...))
	}
	for _, e := range a.Release.Events {
		for _, id := range e.Stages {
			total += members(e.ForEach) * instances[id]
		}
	}
	for _, p := range a.Parts {
		total += members(p.ForEach) * (1 + len(p.Parties) + len(p.Readers) + len(p.RestsOn))
	}
	for _, s := range a.SLA {
		total += members(s.ForEach)
	}
	for _, l := range []struct {
		path string
		n    int
	}{{"parts", len(a.Parts)}, {"release.stages", len(a.Release.Stages)}, {"release.events", len(a.Release.Events)}, {"release.tests", len(a.Release.Tests)}} {
		if l.n > maxEntries {
			c.fail(l.path, "text-size", "split the arrangement", "%s has %d entries, at most %d are checked", l.path, l.n, maxEntries)
			return false
		}
	}
	if total > most {
		c.add(problem.Error, "", problem.Pos{}, "text-size", "split the arrangement", "for_each writes out more than %d things", most)
		return false
	}
	return true
}
