package part

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
)

// view narrows the agreement to what the scope reads.
func (s *scope) view() *View {
	v := &View{}
	narrowed := s.a.Narrowed(func(a *agreement.Agreement) {
		s.general(a)
		s.things(a)
		s.money(a)
		s.release(a)
		if s.reader != "" {
			s.role(a)
		}
		s.renameAll(reflect.ValueOf(a), false)
		s.parties(a)
	})
	v.Agreement = narrowed
	v.hidden = s.hidden(narrowed)
	// The content that is signed is what the part says, not the number of
	// the version in which it is said: a part that did not change need not be
	// signed again.
	signed := narrowed.Narrowed(func(a *agreement.Agreement) { a.Version, a.Replaces, a.Release.Tests = 0, "", nil })
	v.content = signed.Tree()
	return v
}

// general narrows what is neither a thing nor money nor release.
func (s *scope) general(a *agreement.Agreement) {
	clear := func(key string, f func()) {
		if !s.may(key, "") {
			f()
		}
	}
	a.Parts = nil
	clear("application", func() {
		a.Application = agreement.Application{Name: a.Application.Name, Delivery: a.Application.Delivery}
	})
	clear("term", func() { a.Term = nil })
	clear("legal_terms", func() { a.Legal = nil })
	clear("regimes", func() { a.Regimes = nil })
	clear("hosting", func() { a.Hosting = nil })
	clear("status_page", func() { a.StatusPage = nil })
	clear("deposit_terms", func() { a.DepositTerms = nil })
	clear("usage", func() { a.Usage = nil })
	clear("access_rights", func() { a.AccessRights = nil })
	clear("exit_plans", func() { a.ExitPlans = nil })
	clear("change_of_party", func() { a.ChangeOfParty = nil })
	clear("export_control", func() { a.ExportControl = nil })
	clear("liability", func() { a.Liability = nil })
	a.Authority = slices.DeleteFunc(a.Authority, func(x agreement.Authority) bool {
		// Who may act for a party is read where that party signs.
		return !s.may("authority", "", x.Party) || !s.signsHere(x.Party)
	})
	a.HostUndertakings = slices.DeleteFunc(a.HostUndertakings, func(x agreement.HostUndertaking) bool { return !s.may("host_undertakings", x.By) })
	a.Rights = slices.DeleteFunc(a.Rights, func(x agreement.Right) bool { return !s.may("rights", x.ID, x.Holder...) })
	if !s.wholeFrame() {
		for i := range a.Rights {
			if r := &a.Rights[i]; !s.ownRight(r.Holder) {
				r.Counsel, r.Document = "", nil // advice to others
			}
		}
	}
	a.Clauses = slices.DeleteFunc(a.Clauses, func(x agreement.Clause) bool { return !s.may("clauses", x.ID) })
	a.SLA = slices.DeleteFunc(a.SLA, func(x agreement.SLA) bool { return !s.may("sla", x.ID) })
}

// ownRight reports whether a right is that of the reader, or of the customer
// a part is about.
func (s *scope) ownRight(holders []string) bool {
	if s.reader != "" && slices.Contains(holders, s.reader) {
		return true
	}
	return slices.ContainsFunc(s.parts, func(p agreement.PartInstance) bool {
		self := selfOf(s.a, p)
		return self != "" && (slices.Contains(holders, "self") || slices.Contains(holders, self))
	})
}

// wholeFrame reports whether the frame itself is read.
func (s *scope) wholeFrame() bool {
	return slices.ContainsFunc(s.parts, func(p agreement.PartInstance) bool { return p.Kind == "frame" })
}

// things narrows modules, compartments, licences and environments.
func (s *scope) things(a *agreement.Agreement) {
	a.Modules = slices.DeleteFunc(a.Modules, func(x agreement.Module) bool {
		base, _ := x.Base()
		return !s.may("modules", base.ID)
	})
	if !s.may("keys", "") {
		a.Keys = nil
	}
	if !s.may("verification", "") {
		a.Verification = nil
	}
	a.Licences = slices.DeleteFunc(a.Licences, func(x agreement.LicenceGrant) bool { return !s.mayLicence("licences", x.ID) })
	a.Environments = slices.DeleteFunc(a.Environments, func(x agreement.Environment) bool { return !s.may("environments", "", x.Beneficiary) })
	a.UseTerms = slices.DeleteFunc(a.UseTerms, func(x agreement.UseTerms) bool {
		return !s.may("use_terms", x.ID, s.licensee(x.Licence)...) || x.Licence != "" && !s.mayInstance(x.Licence)
	})
}

// licensee returns whose licence it is, as a list to count owners from.
func (s *scope) licensee(licence string) []string {
	if l := s.a.Licence(licence); l != nil {
		return []string{l.Licensee}
	}
	return nil
}

func (s *scope) mayLicence(key, id string) bool {
	return s.may(key, id, s.licensee(id)...) && s.mayInstance(id)
}

// mayInstance keeps one licence of a customer out of the part of another
// licence of the same customer.
func (s *scope) mayInstance(licence string) bool {
	for _, p := range s.parts {
		if s.a.Licence(p.Instance) == nil || p.Instance == licence {
			return true
		}
	}
	return len(s.parts) == 0
}

// money narrows funds and fees.
func (s *scope) money(a *agreement.Agreement) {
	fund := s.may("funds", "")
	a.Funds = slices.DeleteFunc(a.Funds, func(agreement.Fund) bool { return !fund })
	for i := range a.Funds {
		a.Funds[i].Contributions = slices.DeleteFunc(a.Funds[i].Contributions, func(c agreement.Contribution) bool {
			return !s.may("funds", "", c.From...) || !s.wholeFrame() && !s.pays(c.From)
		})
	}
	a.Fees = slices.DeleteFunc(a.Fees, func(f agreement.Fee) bool {
		return !s.may("fees", f.What, f.Payer...) || !s.wholeFrame() && !s.pays(f.Payer)
	})
}

// pays reports whether a customer that the scope is about, or the reader, is
// among those who pay: what others pay is theirs to know.
func (s *scope) pays(payers []string) bool {
	for _, id := range s.a.PartyIDs(payers, "") {
		if id == s.reader {
			return true
		}
		if slices.ContainsFunc(s.parts, func(p agreement.PartInstance) bool { return selfOf(s.a, p) == id }) {
			return true
		}
	}
	return false
}

// release narrows events to those that concern the readers.
func (s *scope) release(a *agreement.Agreement) {
	if !s.may("release", "") {
		a.Release = agreement.Release{}
		return
	}
	a.Release.Events = slices.DeleteFunc(a.Release.Events, func(ev agreement.Event) bool {
		var owners []string
		if ev.For != "" {
			owners = append(owners, s.a.Self(ev.For))
		}
		owners = append(owners, s.mentioned(ev.When)...)
		return !s.may("release", ev.ID, owners...)
	})
	for i := range a.Release.Events {
		ev := &a.Release.Events[i]
		for _, id := range s.mentioned(ev.When) {
			if to := s.rename(id); to != id {
				ev.When = strings.NewReplacer(`"`+id+`"`, `"`+to+`"`, "."+id+`"`, "."+to+`"`).Replace(ev.When)
			}
		}
	}
	a.Release.Tests = nil
}

// mentioned lists the customers a condition names, themselves or by a licence
// of theirs.
func (s *scope) mentioned(when string) []string {
	var out []string
	names := func(id string) bool {
		return strings.Contains(when, `"`+id+`"`) || strings.Contains(when, `.`+id+`"`) || strings.Contains(when, `.`+id+`.`)
	}
	for _, id := range s.a.WithRole(escrow.Beneficiary) {
		if names(id) {
			out = append(out, id)
		}
	}
	for _, l := range s.a.Licences {
		if names(l.ID) && !slices.Contains(out, l.Licensee) {
			out = append(out, l.Licensee)
		}
	}
	return out
}

// role adds, for a party that reads neither the frame nor an accession, what
// it must know to play its role: the compartments it holds a share of, the
// stages it takes part in and the events that lead to them.
func (s *scope) role(a *agreement.Agreement) {
	if s.may("release", "") {
		return
	}
	full := s.a.Narrowed(func(*agreement.Agreement) {})
	me := s.reader
	for _, x := range full.AccessRights {
		if slices.Contains(x.Who, me) && len(a.AccessRights) == 0 {
			x.Who = []string{me}
			a.AccessRights = append(a.AccessRights, x)
		}
	}
	opened := map[string]bool{}
	for _, k := range full.Keys {
		if k.Quorum != nil && slices.Contains(s.a.PartyIDs(k.Quorum.From, ""), me) {
			opened[k.Compartment] = true
			a.Keys = append(a.Keys, k)
		}
	}
	kept := map[string]bool{}
	for _, st := range full.Release.Stages {
		takes := slices.Contains(s.a.PartyIDs(slices.Concat(st.To, st.Audience), ""), me) || st.By == me || slices.Contains(st.Pays, me)
		for _, c := range st.Opens {
			takes = takes || opened[c]
		}
		if takes {
			kept[st.ID] = true
			st.Rights = nil
			a.Release.Stages = append(a.Release.Stages, st)
			for _, c := range st.Opens {
				if !opened[c] {
					opened[c] = true
					a.Keys = append(a.Keys, full.Keys[slices.IndexFunc(full.Keys, func(k agreement.Key) bool { return k.Compartment == c })])
				}
			}
		}
	}
	for _, ev := range full.Release.Events {
		if ev.For != "" || len(s.mentioned(ev.When)) > 0 {
			continue // concerns one customer
		}
		ev.Stages = slices.DeleteFunc(ev.Stages, func(id string) bool { return !kept[id] })
		if len(ev.Stages) > 0 {
			a.Release.Events = append(a.Release.Events, ev)
		}
	}
	if len(a.Release.Events) > 0 {
		a.Release.Facts = full.Release.Facts
	}
	for _, m := range full.Modules {
		base, _ := m.Base()
		if opened[base.Compartment] && !slices.ContainsFunc(a.Modules, func(x agreement.Module) bool { b, _ := x.Base(); return b.ID == base.ID }) {
			base.Rights = nil
			a.Modules = append(a.Modules, m)
		}
	}
}

// parties narrows the parties last, when it is known who is referred to.
func (s *scope) parties(a *agreement.Agreement) {
	frame := s.wholeFrame()
	var out []agreement.Party
	for _, p := range a.Parties {
		if to, hidden := s.renamed[p.ID]; hidden {
			out = append(out, agreement.Party{ID: to, Role: p.Role, Independent: p.Independent})
			continue
		}
		if s.isCustomer(p.ID) {
			if !s.signsHere(p.ID) && !s.shown(p.ID) {
				continue
			}
			if !s.signsHere(p.ID) {
				p = agreement.Party{ID: p.ID, Role: p.Role, Name: p.Name}
			}
		} else if !frame && !s.signsHere(p.ID) {
			p = agreement.Party{ID: p.ID, Role: p.Role, Name: p.Name, Independent: p.Independent, Signs: p.Signs}
		}
		if !s.signsHere(p.ID) {
			p.People = nil
		}
		out = append(out, p)
	}
	a.Parties = out
}

// shown reports whether a customer that signs nothing here may be listed: one
// that a part which is read is about, or one that all readers know through the
// frame.
func (s *scope) shown(id string) bool {
	for _, p := range s.parts {
		if selfOf(s.a, p) == id || slices.Contains(p.Readers, id) {
			return true
		}
	}
	return false
}

// hidden lists what the narrowed agreement left out of the parties.
func (s *scope) hidden(narrowed *agreement.Agreement) []string {
	out := map[string]bool{}
	for _, p := range s.a.Parties {
		seen := narrowed.Party(p.ID)
		add := func(text string, shown bool) {
			// A name that is part of the name of somebody else who is shown, such
			// as an auditor's, is not hidden by leaving it out.
			within := func(o agreement.Party) bool { return !s.isCustomer(o.ID) && strings.Contains(o.Name, text) }
			if len([]rune(text)) >= 4 && !shown && !slices.ContainsFunc(narrowed.Parties, within) {
				out[text] = true
			}
		}
		if s.isCustomer(p.ID) {
			add(p.Name, s.named(p.ID))
			for _, g := range p.Group {
				add(g, s.named(p.ID))
			}
		}
		for _, number := range p.Register {
			add(number, seen != nil && len(seen.Register) > 0)
		}
		for _, person := range p.People {
			add(person.Name, seen != nil && len(seen.People) > 0)
			add(person.Email, seen != nil && len(seen.People) > 0)
		}
	}
	return slices.Sorted(maps.Keys(out))
}
