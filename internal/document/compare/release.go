package compare

import (
	"reflect"
	"slices"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/phrase"
	"holdfast/internal/escrow/agreement/quantity"
)

func (c *comparison) events() {
	pair(c.former.Release.Events, c.now.Release.Events, func(e *agreement.Event) string { return e.ID }, func(old, cur *agreement.Event) {
		switch {
		case old == nil:
			c.grave(c.F("Er komt een grond %s: %s", "There is a new event %s: %s", c.Quote(cur.ID), c.is.Condition(cur.When)), c.is.Event(*cur))
		case cur == nil:
			c.say(c.F("De grond %s vervalt: %s", "The event %s is dropped: %s", c.Quote(old.ID), c.was.Condition(old.When)), c.Pick("In dat geval is geen vrijgave meer mogelijk", "In that case no release is possible any more"))
		default:
			c.event(old, cur)
		}
	})
}

func (c *comparison) event(old, cur *agreement.Event) {
	name := c.F("grond %s", "event %s", c.Quote(cur.ID))
	n := len(c.changes)
	if was, is := c.was.Condition(old.When), c.is.Condition(cur.When); was != is {
		c.grave(c.F("De voorwaarde van %s is anders. Was: %s. Wordt: %s", "The condition of %s is different. Was: %s. Becomes: %s", name, was, is), "")
	}
	added, dropped := difference(old.Stages, cur.Stages)
	for _, id := range added {
		c.grave(c.F("%s leidt voortaan ook tot fase %s", "%s leads to stage %s as well from now on", phrase.Capital(name), c.Quote(id)), c.stageMeans(id))
	}
	for _, id := range dropped {
		c.say(c.F("%s leidt niet langer tot fase %s", "%s no longer leads to stage %s", phrase.Capital(name), c.Quote(id)), "")
	}
	c.time(name, old.Contest, cur.Contest, "te betwisten", "contest")
	c.time(name, old.Cure, cur.Cure, "te herstellen", "cure")
	if old.Decide != cur.Decide && (cur.Decide == agreement.Automatically || old.Decide == agreement.Automatically) {
		if cur.Decide == agreement.Automatically {
			c.grave(c.F("%s werkt voortaan zonder besluit van mensen", "%s works without a decision of people from now on", phrase.Capital(name)), "")
		} else {
			c.say(c.F("Over %s beslissen voortaan mensen", "People decide on %s from now on", name), "")
		}
	}
	if n == len(c.changes) && !reflect.DeepEqual(old, cur) {
		if was, is := c.was.Event(*old), c.is.Event(*cur); was != is {
			c.say(c.F("De regels van %s luiden anders. Was: %s Wordt: %s", "The rules of %s read differently. Was: %s Becomes: %s", name, was, is), "")
		}
	}
}

// stageMeans says what a stage of the new version does.
func (c *comparison) stageMeans(id string) string {
	for _, s := range c.now.Release.Stages {
		if s.ID == id {
			return c.is.Stage(s)
		}
	}
	return ""
}

// time says that somebody has more or less time.
func (c *comparison) time(name string, old, cur quantity.Period, nl, en string) {
	if old == cur || old.IsZero() && cur.IsZero() {
		return
	}
	text := func(p quantity.Period) string {
		if p.IsZero() {
			return c.Pick("geen", "none")
		}
		return c.Period(p)
	}
	what := c.F("Tijd om %s %s: %s in plaats van %s", "Time to %[2]s %[1]s: %[3]s instead of %[4]s", name, c.Pick(nl, en), text(cur), text(old))
	before, okBefore := old.Fixed()
	after, okAfter := cur.Fixed()
	shorter := cur.IsZero() || okBefore && okAfter && after < before || sameUnit(old, cur) && less(cur, old)
	if shorter {
		c.grave(what, c.Pick("De leverancier heeft minder tijd om een vrijgave tegen te houden", "The supplier has less time to stop a release"))
		return
	}
	c.say(what, "")
}

func sameUnit(a, b quantity.Period) bool {
	_, u, err := a.Split()
	_, w, err2 := b.Split()
	return err == nil && err2 == nil && u == w
}

func less(a, b quantity.Period) bool {
	n, _, _ := a.Split()
	m, _, _ := b.Split()
	return n < m
}

func (c *comparison) release() {
	a, b := c.former.Release, c.now.Release
	if !reflect.DeepEqual(a.Claims, b.Claims) && b.Claims != nil {
		c.say(c.F("Een vrijgave kan voortaan worden ingeroepen door %s", "A release can now be claimed by %s", c.is.Parties(b.Claims.By)), c.votes(a.Claims, b.Claims))
	}
	if a.Notices != nil && b.Notices != nil {
		c.period(c.Pick("een kennisgeving", "a notice"), a.Notices.Presumed, b.Notices.Presumed, "geldt als ontvangen na %s in plaats van %s", "counts as received after %s instead of %s", "")
	}
	if a.Dispute != nil && b.Dispute != nil {
		if a.Dispute.Forum != b.Dispute.Forum {
			c.say(c.F("Geschillen gaan naar %s in plaats van %s", "Disputes go to %s instead of %s", b.Dispute.Forum, a.Dispute.Forum), "")
		}
		if a.Dispute.OnSilence != b.Dispute.OnSilence {
			c.grave(c.F("Zolang niemand beslist, geldt voortaan: %s", "As long as nobody decides, the following now holds: %s", c.W("on_silence", b.Dispute.OnSilence)), "")
		}
	}
	if (a.Dispute == nil) != (b.Dispute == nil) {
		c.say(c.Pick("De regeling van geschillen is nieuw of vervallen", "The rules on disputes are new or dropped"), "")
	}
}

func (c *comparison) votes(old, cur *agreement.Claims) string {
	if old == nil || old.Decide == nil || cur.Decide == nil || old.Decide.Votes == cur.Decide.Votes {
		return ""
	}
	return c.F("Er zijn %s stemmen nodig in plaats van %s", "It takes %s votes instead of %s", c.Number(int64(cur.Decide.Votes)), c.Number(int64(old.Decide.Votes)))
}

func (c *comparison) services() {
	pair(c.former.SLA, c.now.SLA, func(s *agreement.SLA) string { return s.ID }, func(old, cur *agreement.SLA) {
		switch {
		case old == nil:
			c.say(c.F("Er komt een dienstenniveau %s", "There is a new service level %s", c.Quote(cur.ID)), "")
		case cur == nil:
			c.say(c.F("Het dienstenniveau %s vervalt", "The service level %s is dropped", c.Quote(old.ID)), "")
		case old.Availability != nil && cur.Availability != nil && old.Availability.Uptime != cur.Availability.Uptime:
			means := c.Pick("De leverancier belooft meer", "The supplier promises more")
			if a, errA := old.Availability.Uptime.Millionths(); errA == nil {
				if b, errB := cur.Availability.Uptime.Millionths(); errB == nil && b < a {
					means = c.Pick("De leverancier belooft minder", "The supplier promises less")
				}
			}
			c.say(c.F("Dienstenniveau %s: beschikbaarheid %s in plaats van %s", "Service level %s: availability %s instead of %s", c.Quote(cur.ID), c.Percent(cur.Availability.Uptime), c.Percent(old.Availability.Uptime)), means)
		case !reflect.DeepEqual(old, cur):
			c.say(c.F("Dienstenniveau %s is gewijzigd", "Service level %s has changed", c.Quote(cur.ID)), "")
		}
	})
}

func (c *comparison) money() {
	pair(c.former.Fees, c.now.Fees, func(f *agreement.Fee) string { return f.What }, func(old, cur *agreement.Fee) {
		switch {
		case old == nil:
			c.say(c.F("Er komt een vergoeding: %s betaalt %s", "There is a new fee: %s pays %s", c.is.Parties(cur.Payer), c.Rate(cur.Amount)), "")
		case cur == nil:
			c.say(c.F("Een vergoeding vervalt: %s betaalde %s", "A fee is dropped: %s paid %s", c.was.Parties(old.Payer), c.Rate(old.Amount)), "")
		case old.Amount != cur.Amount || !slices.Equal(old.Payer, cur.Payer):
			c.say(c.F("%s betaalt %s; was: %s, %s", "%s pays %s; was: %s, %s", phrase.Capital(c.is.Parties(cur.Payer)), c.Rate(cur.Amount), c.was.Parties(old.Payer), c.Rate(old.Amount)), "")
		case !reflect.DeepEqual(old.Arrears, cur.Arrears):
			c.say(c.F("De gevolgen van niet-betaling van de vergoeding %s zijn gewijzigd", "What follows when the fee %s is not paid has changed", c.Quote(cur.What)), "")
		}
	})
	pair(c.former.HostUndertakings, c.now.HostUndertakings, func(u *agreement.HostUndertaking) string { return u.By }, func(old, cur *agreement.HostUndertaking) {
		switch {
		case old == nil:
			c.say(c.F("%s doet een toezegging", "%s gives an undertaking", c.is.Parties([]string{cur.By})), "")
		case cur == nil:
			c.grave(c.F("De toezegging van %s vervalt", "The undertaking of %s is dropped", c.was.Parties([]string{old.By})), c.Pick("Na het wegvallen van de leverancier is niet toegezegd dat de hosting doorgaat", "That the hosting goes on after the supplier has failed is no longer promised"))
		default:
			c.period(c.is.Parties([]string{cur.By}), old.Continues, cur.Continues, "gaat na het wegvallen van de leverancier %s door in plaats van %s", "goes on for %s instead of %s after the supplier has failed", "")
			if old.Price != cur.Price {
				c.say(c.F("De hosting kost na een vrijgave %s in plaats van %s", "The hosting costs %s instead of %s after a release", c.Rate(cur.Price), c.Rate(old.Price)), "")
			}
		}
	})
}

func (c *comparison) general() {
	a, b := c.former, c.now
	if a.Law != b.Law {
		c.grave(c.F("Het toepasselijke recht wordt %s in plaats van %s", "The governing law becomes %s instead of %s", b.Law, a.Law), "")
	}
	if a.Calendar != b.Calendar || a.TimeZone != b.TimeZone {
		c.say(c.Pick("De kalender of de tijdzone is gewijzigd", "The calendar or the time zone has changed"), c.Pick("Termijnen in werkdagen kunnen op een andere dag aflopen", "Periods in business days may end on another day"))
	}
	if a.Application.Name != b.Application.Name {
		c.say(c.F("De toepassing heet voortaan %s", "The application is now called %s", b.Application.Name), "")
	}
	if a.Term != nil && b.Term != nil {
		name := c.Pick("de overeenkomst", "the agreement")
		c.period(name, a.Term.Lasts, b.Term.Lasts, "duurt %s in plaats van %s", "lasts %s instead of %s", "")
		c.period(c.Pick("de opzegtermijn", "the notice period"), a.Term.Notice, b.Term.Notice, "wordt %s in plaats van %s", "becomes %s instead of %s", "")
		if a.Term.End != b.Term.End && b.Term.End != "" {
			c.say(c.F("De overeenkomst eindigt op %s", "The agreement ends on %s", c.Date(b.Term.End)), "")
		}
	} else if (a.Term == nil) != (b.Term == nil) {
		c.say(c.Pick("De regeling van de looptijd is nieuw of vervallen", "The rules on the term are new or dropped"), "")
	}
	if a.Liability != nil && b.Liability != nil && a.Liability.Cap != b.Liability.Cap {
		c.say(c.F("De aansprakelijkheid is beperkt tot %s in plaats van %s", "Liability is limited to %s instead of %s", c.Money(b.Liability.Cap), c.Money(a.Liability.Cap)), "")
	}
}
