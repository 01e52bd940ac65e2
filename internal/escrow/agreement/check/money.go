package check

import (
	"slices"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/bind"
)

// money checks fees and funds: the arrangement must not stop just when its
// payer does.
func (c *checker) money() {
	supplier := func(id string) bool { return c.a.Sides(id)&agreement.SideOf("supplier") != 0 }
	for i, f := range c.a.Fees {
		at := bind.At("fees", i)
		pays := slices.ContainsFunc(f.Payer, supplier)
		switch {
		case pays && f.Arrears != nil && f.Arrears.MaySuspend:
			c.find("suspended-on-arrears", bind.Join(at, "arrears.may_suspend"), f.What, list(f.Payer))
		case pays && (f.Arrears == nil || !f.Arrears.MayCure):
			c.find("nobody-may-cure", bind.Join(at, "payer"), f.What, list(f.Payer))
		}
	}
	for i, f := range c.a.Funds {
		at := bind.At("funds", i)
		if supplier(f.Holder) {
			c.find("fund-with-supplier", bind.Join(at, "holder"), f.Holder)
		}
		for _, s := range c.a.Release.Stages {
			if f.Covers != "" && s.Reversible && len(c.opens(&s)) > 0 && s.Longest != "" && roughly(f.Covers) < roughly(s.Longest) {
				c.find("fund-short", bind.Join(at, "covers"), f.Holder, f.Covers, s.ID, s.Longest)
				break
			}
		}
		if len(f.Contributions) > 0 && !slices.ContainsFunc(f.Contributions, func(x agreement.Contribution) bool {
			return slices.ContainsFunc(x.From, func(id string) bool { return !supplier(id) })
		}) {
			c.find("fund-from-supplier", bind.Join(at, "contributions"), f.Holder)
		}
	}
	paying := slices.IndexFunc(c.a.Release.Stages, func(s agreement.Stage) bool { return len(s.Pays) > 0 })
	if paying >= 0 && len(c.a.Funds) == 0 {
		s := c.a.Release.Stages[paying]
		c.find("no-fund", bind.Join(bind.At("release.stages", paying), "pays"), s.ID, list(s.Pays))
	}
}

// terms checks dates and what happens when parties change.
func (c *checker) terms() {
	a := c.a
	if t := a.Term; t != nil {
		if c.past(t.End) {
			c.find("term-over", "term.end", t.End)
		}
		if t.FirstDeposit != "" && t.End != "" && t.End.Before(t.FirstDeposit) {
			c.find("deposit-after-end", "term.first_deposit_before", t.FirstDeposit, t.End)
		}
		if t.Lasts != "" && t.Notice != "" && roughly(t.Notice) >= roughly(t.Lasts) {
			c.find("notice-too-long", "term.notice", t.Notice, t.Lasts)
		}
		if (t.Lasts != "" || t.End != "") && t.Renews == "" {
			c.find("term-just-ends", "term")
		}
	}
	for i, l := range a.Licences {
		if l.Term != nil && c.past(l.Term.End) && l.Term.Renews == "" {
			c.find("licence-over", bind.Join(bind.At("licences", i), "term.end"), l.ID, l.Term.End)
		}
	}
	for i, u := range a.UseTerms {
		at := bind.At("use_terms", i)
		if u.Ends != nil && has(u.Ends.On, "licence_ends") {
			for _, s := range a.Release.Stages {
				if s.ID == u.Stage && len(s.Rights) > 0 && slices.ContainsFunc(s.Rights, func(id string) bool {
					r := c.right(id)
					return r != nil && r.Kind == "licence_from_ip_holder" && r.OnInsolvency != "survives"
				}) {
					c.find("use-ends-with-licence", bind.Join(at, "ends.when"), u.ID, s.ID)
				}
			}
		}
		if u.Ends != nil && c.past(u.Ends.Date) {
			c.find("use-over", bind.Join(at, "ends.date"), u.ID, u.Ends.Date)
		}
		if u.Pays != nil && u.Pays.To == "supplier" && u.Pays.Else == "" {
			c.find("use-pays-nobody", bind.Join(at, "pays.to"), u.ID)
		}
	}
	if l := a.Liability; l != nil {
		for i, in := range l.Insurance {
			if c.past(in.Expires) {
				c.find("insurance-over", bind.Join(bind.At("liability.insurance", i), "expires"), in.Kind, in.Expires)
			}
		}
	}
	if ch := a.ChangeOfParty; ch != nil {
		if ch.Merger == "terminates" {
			c.find("merger-ends", "change_of_party.merger")
		}
		if ch.Replaced != nil && ch.Replaced.OrEvent == "" {
			c.find("agent-insolvent", "change_of_party.agent_replaced")
		}
		if ch.Sold != nil && ch.Sold.ElseEvent == "" {
			c.find("sold-without-event", "change_of_party.supplier_sold")
		}
	} else if len(c.with(escrow.Beneficiary)) > 1 {
		c.find("no-change-of-party", "")
	}
	for i, p := range a.ExitPlans {
		if p.Kind == "stressed" && p.TestEvery == "" {
			c.find("exit-untested", bind.Join(bind.At("exit_plans", i), "kind"))
		}
	}
	for i, r := range a.AccessRights {
		if r.StressNotice != "" && r.Notice != "" && roughly(r.StressNotice) > roughly(r.Notice) {
			c.find("slower-in-stress", bind.Join(bind.At("access_rights", i), "notice_in_stress"), r.StressNotice, r.Notice)
		}
	}
}
