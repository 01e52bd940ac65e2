package check

import (
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/bind"
)

// services checks promises of service that take themselves back.
func (c *checker) services() {
	for i := range c.a.SLA {
		s := &c.a.SLA[i]
		at := bind.At("sla", i)
		if v := s.Availability; v != nil {
			for j := range v.Exclusions {
				c.exclusion(bind.At(bind.Join(at, "availability.exclusions"), j), s, &v.Exclusions[j])
			}
			switch {
			case s.Probe == nil:
				c.find("sla-unmeasured", bind.Join(at, "availability"), s.ID)
			default:
				c.probe(bind.Join(at, "probe"), s)
			}
			if v.Gaps == "count_as_up" {
				c.find("gaps-up", bind.Join(at, "availability.gaps"), s.ID)
			}
			if s.Credits == nil && s.Terminate == nil {
				c.find("sla-toothless", bind.Join(at, "availability.uptime"), s.ID)
			}
			if c.a.Application.RTO != "" && v.MinOutage != "" && roughly(v.MinOutage) >= roughly(c.a.Application.RTO) {
				c.find("outage-too-long", bind.Join(at, "availability.min_outage"), s.ID, v.MinOutage, c.a.Application.RTO)
			}
		}
		if cr := s.Credits; cr != nil {
			if roughly(cr.ClaimWithin) < 7*24*3600*1e9 {
				c.find("claim-too-short", bind.Join(at, "credits.claim_within"), s.ID, cr.ClaimWithin)
			}
		}
	}
}

func (c *checker) probe(at string, s *agreement.SLA) {
	p := s.Probe
	bySupplier := func(id string) bool { return c.a.Sides(id)&agreement.SideOf("supplier") != 0 }
	ours := len(p.Truth) > 0
	for _, id := range p.Truth {
		ours = ours && bySupplier(id)
	}
	if ours || len(p.Truth) == 0 && p.By != "" && bySupplier(p.By) {
		key := "truth"
		if len(p.Truth) == 0 {
			key = "by"
		}
		c.find("supplier-measures", bind.Join(at, key), s.ID)
	}
	if p.Quorum == "all" && len(p.From) > 1 {
		c.find("probe-all", bind.Join(at, "quorum"), s.ID)
	}
	if v := s.Availability; v != nil && v.MinOutage != "" && roughly(p.Every) > roughly(v.MinOutage) && roughly(v.MinOutage) > 0 {
		c.find("probe-too-slow", bind.Join(at, "every"), s.ID, p.Every, v.MinOutage)
	}
}

// exclusion finds exclusions that swallow what is promised.
func (c *checker) exclusion(at string, s *agreement.SLA, x *agreement.Exclusion) {
	path := bind.Join(at, "kind")
	switch x.Kind {
	case "third_party", "force_majeure":
		declared := append(c.with(escrow.Host, escrow.ServerManager), c.suppliersOfConnections()...)
		var swallowed []string
		for _, id := range declared {
			if !has(x.Except, id) && !has(swallowed, id) {
				swallowed = append(swallowed, id)
			}
		}
		if x.Kind == "third_party" && len(swallowed) > 0 {
			c.find("exclusion-swallows", path, s.ID, list(swallowed))
		}
		if x.Kind == "force_majeure" && x.Evidence == "" {
			c.find("exclusion-no-evidence", path, s.ID, x.Kind)
		}
	case "planned_maintenance":
		if x.Most == "" {
			c.find("exclusion-unbounded", path, s.ID, x.Kind)
		}
		if x.Notice == "" {
			c.find("maintenance-unannounced", path, s.ID)
		}
	case "emergency_maintenance":
		if x.Most == "" {
			c.find("exclusion-unbounded", path, s.ID, x.Kind)
		}
	case "beta":
		c.find("exclusion-beta", path, s.ID)
	}
	if x.Approver != "" && c.a.Sides(x.Approver)&agreement.SideOf("supplier") != 0 {
		c.find("exclusion-own-judge", bind.Join(at, "approver"), s.ID, x.Kind, x.Approver)
	}
}

// suppliersOfConnections lists the supplier's own side where it holds a
// connection the service depends on.
func (c *checker) suppliersOfConnections() []string {
	var out []string
	for _, conn := range c.a.Application.Connections {
		for _, id := range conn.HeldBy {
			if c.role(id) == escrow.Distributor || c.role(id) == escrow.ServerManager {
				out = append(out, id)
			}
		}
	}
	return out
}
