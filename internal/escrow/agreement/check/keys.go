package check

import (
	"slices"
	"strings"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/bind"
)

// compartments checks what is opened together. The arithmetic of quorums is
// in package agreement.
func (c *checker) compartments() {
	held := map[string][]escrow.ModuleKind{}
	for i := range c.a.Modules {
		base, kind := c.a.Modules[i].Base()
		name, _, _ := strings.Cut(base.Compartment, "/")
		held[name] = append(held[name], kind)
	}
	source := func(kinds []escrow.ModuleKind) bool {
		return slices.Contains(kinds, escrow.Repository) || slices.Contains(kinds, escrow.Images)
	}
	access := func(kinds []escrow.ModuleKind) bool {
		return slices.Contains(kinds, escrow.Dossier) || slices.Contains(kinds, escrow.CloudAccount)
	}
	for i, k := range c.a.Keys {
		at := bind.At("keys", i)
		name, _, _ := strings.Cut(k.Compartment, "/")
		kinds := held[name]
		if k.Quorum == nil {
			if k.Holder != "" && c.a.Sides(k.Holder)&agreement.SideOf("supplier") != 0 {
				c.find("on-demand-supplier", bind.Join(at, "holder"), k.Compartment, k.Holder)
			} else if source(kinds) {
				c.find("on-demand-source", bind.Join(at, "open"), k.Compartment)
			}
			continue
		}
		if source(kinds) && access(kinds) && c.isSaaS() {
			c.find("one-compartment", bind.Join(at, "compartment"), k.Compartment)
		}
		if k.AroundTheClock && k.Quorum.PeopleEach < 2 {
			c.find("night-single", bind.Join(at, "around_the_clock"), k.Compartment)
		}
		c.receives(bind.Join(at, "quorum"), &k)
	}
	for i, m := range c.a.Modules {
		if m.Data == nil || m.Data.ForEach != "" || len(c.with(escrow.Beneficiary)) < 2 {
			continue
		}
		for _, s := range c.openers(m.Data.Compartment) {
			if to := slices.IndexFunc(s.To, func(id string) bool {
				return id == "self" || id == "claimant" || c.role(id) == escrow.Beneficiary
			}); to >= 0 && c.key(m.Data.Compartment) != nil && c.key(m.Data.Compartment).Quorum != nil {
				c.find("data-of-others", bind.Join(bind.At("modules", i), "data.compartment"), m.Data.ID, s.ID, s.To[to])
				break
			}
		}
	}
}

// receives finds quorums in which those who receive what is opened could
// nearly open it themselves: one more would do.
func (c *checker) receives(at string, k *agreement.Key) {
	for _, s := range c.openers(k.Compartment) {
		for _, to := range c.each(s.To) {
			if to == "self" || to == "claimant" || !has(k.Quorum.From, to) || k.Quorum.Of > 2 || s.Reversible {
				continue
			}
			c.find("receiver-approves", at, to, k.Compartment, s.ID)
			return
		}
	}
}

// modules checks what is held.
func (c *checker) modules() {
	a := c.a
	covered, names := map[string]bool{}, false
	kinds := map[escrow.ModuleKind]bool{}
	deep := map[string]int{}
	for _, v := range a.Verification {
		deep[v.Module] = max(deep[v.Module], v.Level)
	}
	for i := range a.Modules {
		m := &a.Modules[i]
		base, kind := m.Base()
		at := bind.Join(bind.At("modules", i), string(kind))
		kinds[kind] = true
		for _, id := range base.Components {
			covered[id], names = true, true
		}
		deposited := base.Compartment != "" && base.Compartment != "none" && kind != escrow.Dossier && kind != escrow.CloudAccount
		if deposited && base.Accept == nil {
			c.find("acceptance-missing", bind.Join(at, "id"), base.ID)
		}
		if base.Accept != nil && base.Accept.Level == 1 && (kind == escrow.Repository || kind == escrow.Data) && deep[base.ID] < 2 && deep["all"] < 2 {
			c.find("acceptance-shallow", bind.Join(at, "accept"), base.ID)
		}
		if kind == escrow.Repository && deep[base.ID] < 3 && deep["all"] < 3 && (base.Accept == nil || base.Accept.Level < 3) {
			c.find("never-built", bind.Join(at, "id"), base.ID)
		}
		if m.Repository != nil && m.Repository.Every == "" && len(m.Repository.Trigger) == 0 && m.Repository.Mode != "push" {
			c.find("never-fetched", bind.Join(at, "id"), base.ID)
		}
		if m.Data != nil {
			c.data(at, m.Data)
		}
		if m.Licence != nil && m.Licence.Valid != nil && m.Licence.Valid.StartsOn == "signature" {
			c.find("continuity-now", bind.Join(at, "valid.starts_on"), base.ID)
		}
		if m.CloudAccount != nil {
			switch {
			case m.CloudAccount.Probe == "":
				c.find("access-unproved", bind.Join(at, "id"), base.ID)
			case m.CloudAccount.Probe == m.CloudAccount.Takeover:
				c.find("probe-can-act", bind.Join(at, "probe_identity"), base.ID)
			}
		}
		if m.Dossier != nil && m.Dossier.ReviewEvery == "" {
			c.find("dossier-unreviewed", bind.Join(at, "id"), base.ID)
		}
		if m.Physical != nil && c.a.Sides(m.Physical.At)&agreement.SideOf("supplier") != 0 {
			c.find("safe-at-supplier", bind.Join(at, "at"), base.ID, m.Physical.At)
		}
	}
	for i, v := range a.Verification {
		if v.PaidBy == "" {
			c.find("verification-unpaid", bind.Join(bind.At("verification", i), "module"), v.Module)
		}
	}
	for i, comp := range a.Application.Components {
		at := bind.At("application.components", i)
		left := comp.InEscrow != nil && !*comp.InEscrow
		switch {
		case left && comp.Criticality == "critical":
			c.find("critical-left-out", bind.Join(at, "in_escrow"), comp.ID)
		case !left && names && !covered[comp.ID] && comp.Criticality != "minor":
			c.find("component-uncovered", bind.Join(at, "id"), comp.ID)
		}
	}
	switch {
	case !kinds[escrow.Repository]:
		c.find("no-source", "modules")
	case c.isSaaS() && !kinds[escrow.Data]:
		c.find("no-data", "modules")
	case c.isSaaS() && !kinds[escrow.Dossier] && !kinds[escrow.CloudAccount]:
		c.find("no-access", "modules")
	}
}

func (c *checker) data(at string, m *agreement.DataModule) {
	rpo := c.a.Application.RPO
	switch {
	case m.Via != "snapshot_share" && m.ExpectEvery == "":
		c.find("data-no-rhythm", bind.Join(at, "id"), m.ID)
	case rpo != "" && m.ExpectEvery != "" && roughly(m.ExpectEvery) > roughly(rpo):
		c.find("rpo-missed", bind.Join(at, "expect_every"), m.ID, m.ExpectEvery, rpo)
	}
}
