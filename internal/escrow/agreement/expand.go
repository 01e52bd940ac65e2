package agreement

import (
	"slices"
	"strings"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement/quantity"
)

// Expanded is the agreement with every for_each written out: what the engines
// act by. Instances are named template/instance, such as db/gem-a. It shares
// no memory that matters with the agreement and may be kept.
type Expanded struct {
	Arrangement   string
	Parties       []escrow.Party
	Modules       []escrow.Module
	Compartments  []Compartment
	Stages        []StageInstance
	Events        []EventInstance
	Parts         []PartInstance
	ServiceLevels []SLAInstance

	compartments map[string]int // by id
}

// Compartment is what is opened together.
type Compartment struct {
	ID         string     `json:"id"`
	Instance   string     `json:"instance,omitempty"`  // the beneficiary or licence it belongs to, or ""
	OnDemand   bool       `json:"on_demand,omitempty"` // sealed to Holder alone; Quorum is empty
	Holder     string     `json:"holder,omitempty"`    // party
	Quorum     QuorumRule `json:"quorum,omitzero"`
	Recipients []string   `json:"recipients,omitempty"` // every party some stage may open it for, sorted: pinned in its key manifest
}

// QuorumRule is who opens a compartment together: Of of From, among them at
// least AtLeast[class] of Classes[class].
type QuorumRule struct {
	Of         int                 `json:"of,omitempty"`
	From       []string            `json:"from,omitempty"`        // party ids, in the order of the agreement
	PeopleEach int                 `json:"people_each,omitempty"` // named people per party, at least 1
	AtLeast    map[string]int      `json:"at_least,omitempty"`
	Classes    map[string][]string `json:"classes,omitempty"` // members of From that are in the class, in its order
}

// StageInstance is one step of a release for one member of a set, or for all.
type StageInstance struct {
	ID         string          `json:"id"`
	Stage      string          `json:"stage,omitempty"`
	Instance   string          `json:"instance,omitempty"`
	Opens      []string        `json:"opens,omitempty"` // compartment ids
	To         []string        `json:"to,omitempty"`    // party ids it opens for; empty with ToClaimant until there is a claimant
	ToClaimant bool            `json:"to_claimant,omitempty"`
	Pays       []string        `json:"pays,omitempty"`
	By         string          `json:"by,omitempty"`
	Approvals  int             `json:"approvals,omitempty"` // approvals needed: the largest quorum of what it opens unless the agreement asks for more
	Audience   []string        `json:"audience,omitempty"`
	Reversible bool            `json:"reversible,omitempty"`
	Longest    quantity.Period `json:"longest,omitempty"`
	Decide     Decide          `json:"decide,omitempty"`
	Requires   []string        `json:"requires,omitempty"`
	Cure       quantity.Period `json:"cure,omitempty"`    // "" means the event's
	Contest    quantity.Period `json:"contest,omitempty"` // "" means the event's
}

// EventInstance is one release condition for one member of a set, or for all.
type EventInstance struct {
	ID       string          `json:"id"`
	Event    string          `json:"event,omitempty"`
	Instance string          `json:"instance,omitempty"` // also set by an event that concerns one beneficiary or licence
	When     string          `json:"when,omitempty"`
	Evidence []Evidence      `json:"evidence,omitempty"`
	Decide   Decide          `json:"decide,omitempty"`
	Cure     quantity.Period `json:"cure,omitempty"`
	Contest  quantity.Period `json:"contest,omitempty"`
	Within   quantity.Period `json:"within,omitempty"`
	Warning  bool            `json:"warning,omitempty"`
	Stages   []string        `json:"stages,omitempty"` // ids of stage instances, in order
}

// PartInstance is one part of the agreement as it is signed.
type PartInstance struct {
	ID        string   `json:"id"`
	Part      string   `json:"part,omitempty"`
	Kind      string   `json:"kind,omitempty"`
	Instance  string   `json:"instance,omitempty"`
	Parties   []string `json:"parties,omitempty"`
	Readers   []string `json:"readers,omitempty"` // besides the parties
	Holds     []string `json:"holds,omitempty"`
	RestsOn   []string `json:"rests_on,omitempty"` // ids of part instances
	InForceOn Moment   `json:"in_force_on,omitempty"`
	Form      string   `json:"form,omitempty"`
	With      []string `json:"with,omitempty"`
}

// SLAInstance is one service level for one member of a set, or for all.
type SLAInstance struct {
	ID       string `json:"id"`
	SLA      string `json:"sla,omitempty"`
	Instance string `json:"instance,omitempty"`
}

// Expand writes every for_each out. An agreement that [Parse] returned
// always expands.
func (a *Agreement) Expand() *Expanded {
	e := &Expanded{Arrangement: a.ID, compartments: map[string]int{}}
	for _, p := range a.Parties {
		e.Parties = append(e.Parties, escrow.Party{ID: p.ID, Role: escrow.Role(p.Role), Name: p.Name})
	}
	for _, k := range a.Keys {
		a.each(k.ForEach, func(instance string) {
			c := a.compartment(k, instance)
			e.compartments[c.ID] = len(e.Compartments)
			e.Compartments = append(e.Compartments, c)
		})
	}
	for i := range a.Modules {
		base, _ := a.Modules[i].Base()
		a.each(base.ForEach, func(instance string) { e.Modules = append(e.Modules, a.module(&a.Modules[i], instance)) })
	}
	instances := map[string][]int{} // of a stage, as indices into e.Stages
	for _, s := range a.Release.Stages {
		a.each(s.ForEach, func(instance string) {
			instances[s.ID] = append(instances[s.ID], len(e.Stages))
			e.Stages = append(e.Stages, a.stage(s, instance, e))
		})
	}
	for _, s := range e.Stages {
		for _, id := range s.Opens {
			if c := e.Compartment(id); c != nil {
				to := s.To
				if s.ToClaimant {
					to = append(slices.Clone(to), a.claimants()...)
				}
				c.Recipients = append(c.Recipients, to...)
			}
		}
	}
	for i := range e.Compartments {
		c := &e.Compartments[i]
		slices.Sort(c.Recipients)
		c.Recipients = slices.Compact(c.Recipients)
	}
	for _, ev := range a.Release.Events {
		a.each(ev.ForEach, func(instance string) { e.Events = append(e.Events, a.event(ev, instance, e, instances)) })
	}
	for _, p := range a.parts() {
		a.each(p.ForEach, func(instance string) { e.Parts = append(e.Parts, a.part(p, instance)) })
	}
	for _, s := range a.SLA {
		a.each(s.ForEach, func(instance string) {
			e.ServiceLevels = append(e.ServiceLevels, SLAInstance{ID: instanceID(s.ID, instance), SLA: s.ID, Instance: instance})
		})
	}
	return e
}

// Compartment returns the compartment with the id, or nil.
func (e *Expanded) Compartment(id string) *Compartment {
	i, ok := e.compartments[id]
	if !ok {
		return nil
	}
	return &e.Compartments[i]
}

// Module returns the module with the id, or nil.
func (e *Expanded) Module(id string) *escrow.Module {
	for i := range e.Modules {
		if e.Modules[i].ID == id {
			return &e.Modules[i]
		}
	}
	return nil
}

// Stage returns the stage instance with the id, or nil.
func (e *Expanded) Stage(id string) *StageInstance {
	for i := range e.Stages {
		if e.Stages[i].ID == id {
			return &e.Stages[i]
		}
	}
	return nil
}

// Event returns the event instance with the id, or nil.
func (e *Expanded) Event(id string) *EventInstance {
	for i := range e.Events {
		if e.Events[i].ID == id {
			return &e.Events[i]
		}
	}
	return nil
}

// members returns the ids a for_each runs over, in the order of the text.
func (a *Agreement) members(set Set) []string {
	switch set {
	case Beneficiaries:
		return a.WithRole(escrow.Beneficiary)
	case Licences:
		out := make([]string, len(a.Licences))
		for i, l := range a.Licences {
			out[i] = l.ID
		}
		return out
	}
	return nil
}

// each calls f for every member of the set, or once with "" without a set.
func (a *Agreement) each(set Set, f func(instance string)) {
	if set == "" {
		f("")
		return
	}
	for _, m := range a.members(set) {
		f(m)
	}
}

// self is the party an instance stands for: the beneficiary itself, or the
// licensee of the licence.
func (a *Agreement) self(instance string) string {
	if l := a.Licence(instance); l != nil {
		return l.Licensee
	}
	return instance
}

func instanceID(id, instance string) string {
	if instance == "" {
		return id
	}
	return id + "/" + instance
}

// name resolves /self in the id of a compartment.
func resolve(id, instance string) string {
	if name, ok := strings.CutSuffix(id, "/self"); ok {
		return instanceID(name, instance)
	}
	return id
}

// parties resolves the words among names to party ids, without repetition,
// in order. claimant resolves to nobody: there is none yet.
func (a *Agreement) partyIDs(names []string, instance string) []string {
	var out []string
	seen := map[string]bool{}
	add := func(ids ...string) {
		for _, id := range ids {
			if !seen[id] {
				seen[id] = true
				out = append(out, id)
			}
		}
	}
	for _, n := range names {
		switch n {
		case "self":
			add(a.self(instance))
		case "claimant":
		case "operator":
			add(a.WithRole(escrow.Operator)...)
		case "beneficiaries":
			add(a.WithRole(escrow.Beneficiary)...)
		default:
			add(n)
		}
	}
	return out
}

// claimants returns who may claim: the beneficiaries unless the agreement
// says otherwise.
func (a *Agreement) claimants() []string {
	if c := a.Release.Claims; c != nil {
		return a.partyIDs(c.By, "")
	}
	return a.WithRole(escrow.Beneficiary)
}

func (a *Agreement) compartment(k Key, instance string) Compartment {
	c := Compartment{ID: resolve(k.Compartment, instance), Instance: instance}
	if k.Open != "" {
		holder := k.Holder
		if holder == "" {
			holder = "self"
		}
		c.OnDemand = true
		c.Holder = a.partyIDs([]string{holder}, instance)[0]
		c.Recipients = []string{c.Holder}
		return c
	}
	q := k.Quorum
	c.Quorum = QuorumRule{Of: q.Of, From: a.partyIDs(q.From, instance), PeopleEach: max(q.PeopleEach, 1)}
	if q.AtLeast != nil {
		c.Quorum.AtLeast = map[string]int{"independent": q.AtLeast.Independent}
		var members []string
		for _, id := range c.Quorum.From {
			if p := a.Party(id); p != nil && p.IsIndependent() {
				members = append(members, id)
			}
		}
		c.Quorum.Classes = map[string][]string{"independent": members}
	}
	return c
}

func (a *Agreement) module(m *Module, instance string) escrow.Module {
	base, kind := m.Base()
	out := escrow.Module{Arrangement: a.ID, ID: instanceID(base.ID, instance), Kind: kind, Instance: instance}
	if base.Compartment != "none" {
		out.Compartment = resolve(base.Compartment, instance)
	}
	switch {
	case m.Repository != nil:
		r := m.Repository
		out.Source = escrow.Source{Mode: escrow.Pull, URL: r.URL, LFS: r.LFS, Exclude: slices.Clone(r.Exclude), HostKey: r.HostKey}
		if r.Organisation != "" {
			out.Source.Mode, out.Source.URL = escrow.Organisation, r.Organisation
		}
		if r.Mode == "push" {
			out.Source.Mode = escrow.Push
		}
		out.Every = fixed(r.Every)
		out.Rebase = r.RebaseAfter
	case m.Data != nil:
		out.Source.Mode = escrow.Push
		if m.Data.Via == "restic" {
			out.Source.Mode = escrow.Restic
		}
		out.Every = fixed(m.Data.ExpectEvery)
	case m.Images != nil:
		out.Source.Mode = escrow.Push
		out.Every = fixed(m.Images.Every)
	default:
		out.Source.Mode = escrow.Push
	}
	return out
}

func fixed(p quantity.Period) time.Duration {
	d, _ := p.Fixed()
	return d
}

func (a *Agreement) stage(s Stage, instance string, e *Expanded) StageInstance {
	out := StageInstance{
		ID: instanceID(s.ID, instance), Stage: s.ID, Instance: instance,
		To: a.partyIDs(s.To, instance), ToClaimant: has(s.To, "claimant"),
		Pays: slices.Clone(s.Pays), By: s.By, Reversible: s.Reversible, Longest: s.Longest,
		Decide: s.Decide, Requires: slices.Clone(s.Requires), Cure: s.Cure, Contest: s.Contest,
	}
	if out.Decide == "" {
		out.Decide = ByPeople
	}
	for _, id := range s.Opens {
		id = resolve(id, instance)
		out.Opens = append(out.Opens, id)
		if c := e.Compartment(id); c != nil {
			out.Approvals = max(out.Approvals, c.Quorum.Of)
		}
	}
	if s.Approvals != nil {
		out.Approvals = max(out.Approvals, *s.Approvals)
	}
	audience := s.Audience
	if len(audience) == 0 {
		audience = slices.Concat(a.WithRole(escrow.Supplier), a.WithRole(escrow.Agent), s.To)
	}
	out.Audience = a.partyIDs(audience, instance)
	return out
}

func (a *Agreement) event(ev Event, instance string, e *Expanded, instances map[string][]int) EventInstance {
	out := EventInstance{
		ID: instanceID(ev.ID, instance), Event: ev.ID, Instance: instance, When: ev.When,
		Evidence: slices.Clone(ev.Evidence), Decide: ev.Decide, Cure: ev.Cure, Contest: ev.Contest,
		Within: ev.Within, Warning: ev.Warning,
	}
	if out.Decide == "" {
		out.Decide = ByPeople
	}
	if ev.For != "" {
		out.Instance = ev.For
	}
	for _, id := range ev.Stages {
		for _, i := range instances[id] {
			if s := &e.Stages[i]; a.concerns(out.Instance, s.Instance) {
				out.Stages = append(out.Stages, s.ID)
			}
		}
	}
	return out
}

// concerns reports whether an event of one instance runs a stage of another:
// of the same one, or of a licence of the same party. An event for all runs
// every instance, a stage for all belongs to every event.
func (a *Agreement) concerns(event, stage string) bool {
	if event == "" || stage == "" || event == stage {
		return true
	}
	if a.Licence(event) != nil && a.Licence(stage) != nil {
		return false
	}
	return a.self(event) == a.self(stage)
}

// parts returns the parts, or the one part an agreement without parts is.
func (a *Agreement) parts() []Part {
	if len(a.Parts) > 0 {
		return a.Parts
	}
	whole := Part{ID: "frame", Kind: "frame"}
	for _, p := range a.Parties {
		if p.SignsAnything() {
			whole.Parties = append(whole.Parties, p.ID)
		} else {
			whole.Readers = append(whole.Readers, p.ID)
		}
	}
	return []Part{whole}
}

func (a *Agreement) part(p Part, instance string) PartInstance {
	out := PartInstance{
		ID: instanceID(p.ID, instance), Part: p.ID, Kind: p.Kind, Instance: instance,
		Parties: a.partyIDs(p.Parties, instance), Holds: slices.Clone(p.Holds),
		InForceOn: p.InForceOn, Form: "plain",
	}
	for _, r := range a.partyIDs(p.Readers, instance) {
		if !has(out.Parties, r) {
			out.Readers = append(out.Readers, r)
		}
	}
	for _, id := range p.RestsOn {
		for _, other := range a.parts() {
			if other.ID == id && other.ForEach != "" && other.ForEach == p.ForEach {
				id = instanceID(id, instance)
				break
			}
		}
		out.RestsOn = append(out.RestsOn, id)
	}
	if out.InForceOn == "" {
		out.InForceOn = "signature"
	}
	if p.Signature != nil {
		if p.Signature.Form != "" {
			out.Form = p.Signature.Form
		}
		out.With = slices.Clone(p.Signature.With)
	}
	return out
}
