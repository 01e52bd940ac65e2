package agreement

import (
	"slices"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement/bind"
	"holdfast/internal/escrow/agreement/quantity"
	"holdfast/internal/escrow/duty"
	"holdfast/internal/escrow/retention"
)

// custody checks what a module says about keeping its deposits and about when
// they are due.
func (c *checker) custody(at string, m *Module, base *ModuleBase) {
	if r := base.Retention; r != nil {
		path := bind.Join(at, "retention")
		if r.Versions == 0 && r.For == "" {
			c.fail(path, "retention", "say versions, for, or both", "this says nothing about how long deposits are kept")
		}
		if r.Level > 4 {
			c.fail(bind.Join(path, "level"), "level", "write 1, 2, 3 or 4", "there is no verification level %d", r.Level)
		}
	}
	if k := base.Content; k != nil {
		for i, what := range k.Optional {
			if slices.Contains(k.Mandatory, what) {
				c.fail(bind.At(bind.Join(at, "content.optional"), i), "content", "remove one of the two", "%q is mandatory and optional", what)
			}
		}
	}
	if d := base.Due; d != nil && d.Every == "" && d.AfterRelease == "" {
		c.fail(bind.Join(at, "due"), "due", "say every, after_release, or both", "this does not say when a deposit is due")
	}
	if m.Data == nil {
		return
	}
	if e := m.Data.AtEnd; e != nil && e.Rule == "destroy" && c.a.endsOn().IsZero() {
		c.warn(bind.Join(at, "at_end"), "at-end", "add term with end, or with start and lasts", "the text does not say when the contract ends, so nothing is destroyed by this rule")
	}
	age, ok := m.Data.MaxAge.Fixed()
	every, known := m.Data.ExpectEvery.Fixed()
	if ok && known && age < 2*every {
		c.fail(bind.Join(at, "max_age"), "max-age", "keep it at least twice as long as it takes to the next one", "a deposit would be gone %s after it came, before there is another to be sure of", m.Data.MaxAge)
	}
}

// ModuleOf returns the module that an instance such as db/gem-a is written as,
// or the one of the organisation that a repository such as code/app belongs to;
// nil if there is none.
func (a *Agreement) ModuleOf(id string) *Module {
	for i := range a.Modules {
		m := &a.Modules[i]
		base, _ := m.Base()
		if base == nil {
			continue
		}
		found := false
		a.each(base.ForEach, func(instance string) {
			own := instanceID(base.ID, instance)
			found = found || own == id || m.Repository != nil && m.Repository.Organisation != "" && escrow.OrganisationOf(id) == own
		})
		if found {
			return m
		}
	}
	return nil
}

// Retention returns how long the deposits of a module are kept. A module that
// the text does not name any more keeps everything.
func (a *Agreement) Retention(module string) retention.Policy {
	m := a.ModuleOf(module)
	if m == nil {
		return retention.Policy{}
	}
	base, _ := m.Base()
	var p retention.Policy
	if r := base.Retention; r != nil {
		p.Versions, p.Level = r.Versions, r.Level
		p.For = a.after(r.For)
	}
	if d := m.Data; d != nil {
		p.MaxAge = a.after(d.MaxAge)
		if end := a.endsOn(); d.AtEnd != nil && d.AtEnd.Rule == "destroy" && !end.IsZero() {
			p.EndsAt = a.Deadline(end, orElse(d.AtEnd.Within, "30d"))
		}
	}
	return p
}

// Repositories returns what was agreed about the repositories of an
// organisation.
func (a *Agreement) Repositories(module string) escrow.AgreedRepositories {
	m := a.ModuleOf(module)
	if m == nil || m.Repository == nil {
		return escrow.AgreedRepositories{}
	}
	out := escrow.AgreedRepositories{Include: slices.Clone(m.Repository.Include)}
	if c := m.Repository.Content; c != nil {
		out.Mandatory, out.Optional = slices.Clone(c.Mandatory), slices.Clone(c.Optional)
	}
	return out
}

func (a *Agreement) after(p quantity.Period) retention.Until {
	if p == "" {
		return nil
	}
	return func(from time.Time) time.Time { return a.Deadline(from, p) }
}

func orElse(p, standard quantity.Period) quantity.Period {
	if p == "" {
		return standard
	}
	return p
}

// endsOn is the moment after the last day of the term, zero when the text does
// not say or the term renews by itself.
func (a *Agreement) endsOn() time.Time {
	t := a.Term
	if t == nil || t.Renews != "" {
		return time.Time{}
	}
	zone, err := time.LoadLocation(a.TimeZone)
	if err != nil {
		zone = time.UTC // the parser refused the zone long before
	}
	if t.End != "" {
		if end, err := time.ParseInLocation(time.DateOnly, string(t.End), zone); err == nil {
			return end.AddDate(0, 0, 1)
		}
	}
	if start, err := time.ParseInLocation(time.DateOnly, string(t.Start), zone); err == nil && t.Lasts != "" {
		return a.Deadline(start, t.Lasts)
	}
	return time.Time{}
}

// Duty returns what was agreed about the deposits of a module, and whether the
// text names it. The repositories of an organisation are due as its module
// says, each by itself. A module that is fetched is due as often as it is fetched, and
// data as often as it is expected, unless the text says otherwise.
func (a *Agreement) Duty(module string) (duty.Terms, bool) {
	m := a.ModuleOf(module)
	if m == nil {
		return duty.Terms{}, false
	}
	base, _ := m.Base()
	t := duty.Terms{MissedAfter: max(base.MissedAfter, 1), Cure: duty.Until(a.after(orElse(base.Cure, "5bd"))), Grace: duty.Until(a.after("1d")), Decide: duty.Until(a.after("24h"))}
	if base.Accept != nil {
		t.Level, t.Decide = base.Accept.Level, duty.Until(a.after(orElse(base.Accept.Within, "24h")))
	}
	if base.Content != nil {
		t.Mandatory, t.Optional = slices.Clone(base.Content.Mandatory), slices.Clone(base.Content.Optional)
	}
	every := quantity.Period("")
	switch {
	case m.Data != nil:
		every = m.Data.ExpectEvery
	case m.Repository != nil:
		every = m.Repository.Every
	case m.Images != nil:
		every = m.Images.Every
	}
	if d := base.Due; d != nil {
		every = d.Every
		t.AfterRelease = duty.Until(a.after(d.AfterRelease))
		t.Grace = duty.Until(a.after(orElse(d.Grace, "1d")))
	}
	t.Every = duty.Until(a.after(every))
	if m.Repository != nil && m.Repository.Organisation != "" {
		t.Mandatory, t.Optional = nil, nil // what it must hold is repositories, not what is in each
		if a.isOrganisation(base, module) {
			// That its list is read on time is the duty. Nobody judges a list,
			// and a version that is announced is one of a repository.
			t.Mandatory, t.Level, t.AfterRelease = a.Repositories(module).Named(), 0, nil
		}
	}
	return t, true
}

// isOrganisation reports whether a module names the organisation itself, and
// is not one of its repositories.
func (a *Agreement) isOrganisation(base *ModuleBase, module string) bool {
	found := false
	a.each(base.ForEach, func(instance string) { found = found || instanceID(base.ID, instance) == module })
	return found
}

// OwnerOf returns the party that an instance of a for_each belongs to: a
// beneficiary, or the holder of a licence; "" for what is everybody's.
func (a *Agreement) OwnerOf(instance string) string {
	if instance == "" {
		return ""
	}
	return a.self(instance)
}
