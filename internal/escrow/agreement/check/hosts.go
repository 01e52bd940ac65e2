package check

import (
	"cmp"
	"slices"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/bind"
)

// hosts checks what keeps the servers running once the supplier does not.
func (c *checker) hosts() {
	a := c.a
	if a.Application.Delivery != "on_premise" {
		for i, p := range a.Parties {
			if p.Role == agreement.Role(escrow.Host) {
				c.host(bind.Join(bind.At("parties", i), "id"), &p)
			}
		}
	}
	for i := range a.HostUndertakings {
		c.undertaking(bind.At("host_undertakings", i), &a.HostUndertakings[i])
	}
	if a.Hosting != nil && a.Hosting.Account != nil {
		c.account("hosting.account", a.Hosting.Account)
	}
}

// Host is what there is for the time after the supplier has failed from one
// host: its undertakings, contracts of its own with it, and the account
// structure. Where it has nothing, the host may stop.
type Host struct {
	Party        string   `json:"party"`
	Signs        bool     `json:"signs"`
	Undertakings []string `json:"undertakings,omitempty"` // the undertaking's id, or the day it was given
	Contracts    []string `json:"contracts,omitempty"`    // rights
	Account      *Account `json:"account,omitempty"`
}

// Account is the structure that stands in for what a host does not sign.
type Account struct {
	Provider  string   `json:"provider"`
	ID        string   `json:"id"`
	Owner     string   `json:"owner"`
	Dedicated bool     `json:"dedicated"`
	Takeover  []string `json:"takeover,omitempty"`
	Mailbox   string   `json:"root_mailbox_at,omitempty"`
}

// Nothing reports whether nothing keeps the host going.
func (h Host) Nothing() bool {
	return len(h.Undertakings) == 0 && len(h.Contracts) == 0 && h.Account == nil
}

// Hosts returns what there is from every host, in the order of the parties;
// none for software that runs at its users.
func Hosts(a *agreement.Agreement) []Host {
	out := []Host{}
	for i := range a.Parties {
		if p := &a.Parties[i]; a.Application.Delivery != "on_premise" && p.Role == agreement.Role(escrow.Host) {
			out = append(out, hostOf(a, p))
		}
	}
	return out
}

func hostOf(a *agreement.Agreement, p *agreement.Party) Host {
	h := Host{Party: p.ID, Signs: p.SignsAnything()}
	for _, u := range a.HostUndertakings {
		if u.By == p.ID {
			h.Undertakings = append(h.Undertakings, cmp.Or(u.ID, string(u.Signed), "undated"))
		}
	}
	for _, r := range a.Rights {
		if r.Kind == "own_contract" && r.From == p.ID {
			h.Contracts = append(h.Contracts, r.ID)
		}
	}
	if a.Hosting != nil && a.Hosting.Account != nil {
		x := a.Hosting.Account
		h.Account = &Account{Provider: x.Provider, ID: x.ID, Owner: x.Owner, Dedicated: x.Dedicated, Takeover: x.Takeover, Mailbox: x.Mailbox}
	}
	return h
}

func (c *checker) host(at string, p *agreement.Party) {
	h := hostOf(c.a, p)
	promised, contract, account := len(h.Undertakings) > 0, len(h.Contracts) > 0, h.Account != nil
	switch {
	case promised && !p.SignsAnything():
		c.find("undertaking-unsigned", at, p.ID)
	case !promised && !contract && !account && p.SignsAnything():
		c.find("host-no-undertaking", at, p.ID)
	case !promised && !contract && !account:
		c.find("host-no-account", at, p.ID)
	}
}

func (c *checker) undertaking(at string, h *agreement.HostUndertaking) {
	in := func(key string) string { return bind.Join(at, key) }
	if h.Continues == "" || h.Continues.IsZero() {
		c.find("undertaking-no-length", in("by"), h.By)
	}
	for _, s := range c.a.Release.Stages {
		if s.Reversible && len(c.opens(&s)) > 0 && h.Continues != "" && s.Longest != "" && roughly(h.Continues) < roughly(s.Longest) {
			c.find("undertaking-short", in("continues_for"), h.By, h.Continues, s.ID, s.Longest)
			break
		}
	}
	switch {
	case h.WarnsBefore == "" || h.WarnsBefore.IsZero():
		c.find("undertaking-no-warning", in("by"), h.By)
	case !slices.ContainsFunc(h.Warns, func(id string) bool { return id != h.By && c.a.Sides(id)&agreement.SideOf("supplier") == 0 }):
		c.find("undertaking-warns-supplier", in("warns_before_suspension"), h.By)
	}
	if !h.ThirdParty {
		paying := slices.IndexFunc(c.a.Release.Stages, func(s agreement.Stage) bool { return has(s.Pays, h.By) })
		if paying >= 0 {
			c.find("undertaking-refuses-payment", in("accepts_third_party_payment"), h.By, c.a.Release.Stages[paying].ID)
		} else {
			c.find("undertaking-only-customer-pays", in("accepts_third_party_payment"), h.By)
		}
	}
	switch {
	case h.ArrearsFirst == nil:
		c.find("undertaking-arrears-unsaid", in("by"), h.By)
	case *h.ArrearsFirst:
		c.find("undertaking-arrears", in("demands_arrears_first"), h.By)
	}
	if !h.KeepsNoDataBack {
		c.find("undertaking-keeps-data", in("keeps_no_data_back"), h.By)
	}
	if !h.LetsOperatorIn && len(c.with(escrow.Operator)) > 0 {
		c.find("undertaking-operator", in("lets_operator_in"), h.By, list(c.with(escrow.Operator)))
	}
	if h.Price == "" {
		c.find("undertaking-no-price", in("by"), h.By)
	}
	switch {
	case h.Reconfirm == "":
		c.find("undertaking-never-confirmed", in("by"), h.By)
	case c.due(max(h.Signed, h.Confirmed), h.Reconfirm):
		c.find("undertaking-stale", in("reconfirm_every"), h.By, max(h.Signed, h.Confirmed), h.Reconfirm)
	}
	c.framework(at, h)
}

// account checks the account structure that stands in for the undertaking of
// a host that signs nothing.
func (c *checker) account(at string, h *agreement.HostingAccount) {
	ofSupplier := func(id string) bool { return c.a.Sides(id)&agreement.SideOf("supplier") != 0 }
	if !h.Dedicated {
		c.find("account-shared", bind.Join(at, "provider"), h.ID)
	}
	if !ofSupplier(h.Owner) {
		return // whoever needs it has it already
	}
	if len(h.Takeover) == 0 {
		c.find("account-no-takeover", bind.Join(at, "owner"), h.Owner)
		return
	}
	if has(h.Takeover, "root_mailbox") && len(h.Takeover) == 1 && (h.Mailbox == "" || ofSupplier(h.Mailbox)) {
		c.find("account-mailbox", bind.Join(at, "takeover"), h.Owner)
	} else if h.Mailbox != "" && ofSupplier(h.Mailbox) {
		c.find("account-root", bind.Join(at, "root_mailbox_at"), h.Mailbox)
	}
	if !slices.ContainsFunc(c.a.Modules, func(m agreement.Module) bool { return m.CloudAccount != nil }) {
		c.find("account-no-module", bind.Join(at, "id"), h.ID)
	}
}
