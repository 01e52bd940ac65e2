package check

import (
	"slices"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/bind"
)

// stages checks the steps of a release.
func (c *checker) stages() {
	a := c.a
	termsFor := map[string]bool{}
	for _, u := range a.UseTerms {
		termsFor[u.Stage] = true
	}
	for i := range a.Release.Stages {
		s := &a.Release.Stages[i]
		at := bind.At("release.stages", i)
		opened := c.opens(s)
		if has(s.Requires, "use_terms") && !termsFor[s.ID] && len(a.Licences) == 0 {
			c.find("use-terms-missing", bind.Join(at, "requires"), s.ID)
		}
		if has(s.Requires, "processing_terms") && !slices.ContainsFunc(a.Parts, func(p agreement.Part) bool { return p.Kind == "processing" }) {
			c.find("processing-terms-missing", bind.Join(at, "requires"), s.ID)
		}
		if len(opened) > 0 && !s.Reversible && !has(s.Requires, "use_terms") && !termsFor[s.ID] && len(a.UseTerms) == 0 {
			c.find("no-use-terms", bind.Join(at, "id"), s.ID)
		}
		if len(opened) > 0 && s.Reversible && s.Longest == "" && s.WayBack == "" {
			c.find("no-end", bind.Join(at, "id"), s.ID)
		}
		if x := s.Extend; x != nil {
			for j, id := range x.Decide.Of {
				if c.a.Sides(id)&agreement.SideOf("supplier") != 0 {
					c.find("supplier-extends", bind.At(bind.Join(at, "extend.decide.of"), j), s.ID, id)
				}
			}
		}
		for j, id := range s.To {
			if c.role(id) == escrow.Supplier || c.role(id) == escrow.Curator {
				c.find("opens-to-supplier", bind.At(bind.Join(at, "to"), j), s.ID, id)
			}
			if c.role(id) == escrow.Operator && c.a.Party(id).Mandate == nil {
				c.find("operator-without-terms", bind.At(bind.Join(at, "to"), j), s.ID, id)
			}
		}
		if s.By != "" && c.a.Sides(s.By)&agreement.SideOf("supplier") != 0 {
			c.find("supplier-pays-itself", bind.Join(at, "by"), s.ID, s.By)
		}
		if s.Decide == agreement.Automatically && len(opened) > 0 {
			c.find("automatic-opening", bind.Join(at, "decide"), s.ID)
		}
	}
	if e := a.ExportControl; e != nil && e.ScreenRecipient {
		for i := range a.Release.Stages {
			s := &a.Release.Stages[i]
			if len(c.opens(s)) > 0 && !s.Reversible && !has(s.Requires, "recipient_screened") {
				c.find("recipient-unscreened", bind.Join(bind.At("release.stages", i), "id"), s.ID)
			}
		}
	}
}

// procedure checks claims, notices, disputes and the way back.
func (c *checker) procedure() {
	r := &c.a.Release
	if cl := r.Claims; cl != nil {
		for i, id := range cl.By {
			if c.a.Sides(id)&agreement.SideOf("supplier") != 0 {
				c.find("supplier-claims", bind.At("release.claims.by", i), id)
			}
		}
		if d := cl.Decide; d != nil {
			voters := len(c.each(d.Of))
			if voters > 1 && (d.Majority == "unanimous" || d.Votes == voters) {
				c.find("one-blocks", "release.claims.decide", voters)
			}
			for i, id := range d.Of {
				if c.a.Sides(id)&agreement.SideOf("supplier") != 0 {
					c.find("supplier-votes", bind.At("release.claims.decide.of", i), id)
				}
			}
		}
	}
	irreversible := slices.ContainsFunc(r.Stages, func(s agreement.Stage) bool { return len(c.opens(&s)) > 0 && !s.Reversible })
	if d := r.Dispute; d == nil {
		c.find("no-forum", "release")
	} else {
		if d.OnSilence == "release" && irreversible {
			c.find("silence-releases", "release.dispute.on_silence")
		}
		for i, id := range d.HoldBy {
			if c.a.Sides(id)&agreement.SideOf("supplier") != 0 {
				c.find("supplier-holds", bind.At("release.dispute.hold_by", i), id)
			}
		}
		if d.Urgent == "" && slices.ContainsFunc(r.Events, func(e agreement.Event) bool { return e.Rapid }) {
			c.find("no-urgent-forum", "release.dispute.forum")
		}
	}
	if n := r.Notices; n != nil {
		if len(n.Channels) == 1 && (n.Channels[0] == "email" || n.Channels[0] == "portal") {
			c.find("one-channel", "release.notices.channels", n.Channels[0])
		}
		if n.Presumed == "" && len(n.ByChannel) == 0 {
			c.find("no-presumed-receipt", "release.notices")
		}
	}
	if r.Returns == nil && slices.ContainsFunc(r.Stages, func(s agreement.Stage) bool { return len(c.opens(&s)) > 0 && s.Reversible }) {
		c.find("no-returns", "release")
	}
	for i := range r.Events {
		c.eventTerms(bind.At("release.events", i), &r.Events[i])
	}
}

// eventTerms checks the clock of an event against what it is for.
func (c *checker) eventTerms(at string, e *agreement.Event) {
	opens, single := false, ""
	for _, id := range e.Stages {
		s, _ := c.stage(id)
		if s == nil {
			continue
		}
		for _, comp := range c.opens(s) {
			opens = opens || s.Reversible
			if k := c.key(comp); k.Quorum.PeopleEach < 2 {
				single = k.Compartment
			}
		}
	}
	rto := c.a.Application.RTO
	if e.Rapid && opens {
		if e.Contest != "" && rto != "" && roughly(e.Contest) > roughly(rto) {
			c.find("too-slow", bind.Join(at, "contest"), e.ID, e.Contest, rto)
		}
		if e.Cure != "" && rto != "" && roughly(e.Cure) > roughly(rto) {
			c.find("cure-too-slow", bind.Join(at, "cure"), e.ID, e.Cure, rto)
		}
		if e.Within == "" {
			c.find("rapid-no-deadline", bind.Join(at, "rapid"), e.ID)
		}
		if single != "" {
			c.find("rapid-single", bind.Join(at, "rapid"), e.ID, single)
		}
	}
	if e.Warning && e.Decide == agreement.Automatically && !slices.Contains(e.Evidence, agreement.PublicRegister) {
		c.find("false-alarm", bind.Join(at, "decide"), e.ID)
	}
}
