package document

import (
	"strconv"
	"strings"
	"time"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/phrase"
	"holdfast/internal/escrow/agreement/quantity"
)

func period(s string) quantity.Period { return quantity.Period(s) }

// allowedDowntime works an example: how long the Application may be down in
// the first calendar month of the agreement, exact to the second and rounded
// down. It is "" where the promise is not about time in a calendar month.
func (b *builder) allowedDowntime(a agreement.Availability) string {
	if a.Period != "calendar_month" || a.Measure != "time" {
		return ""
	}
	miss, err := a.Uptime.Millionths()
	if err != nil {
		return ""
	}
	miss = 100_000_000 - miss
	year, month := 2027, 1
	if b.a.Term != nil && b.a.Term.Start.Valid() == nil && b.a.Term.Start != "" {
		year, _ = strconv.Atoi(string(b.a.Term.Start[:4]))
		month, _ = strconv.Atoi(string(b.a.Term.Start[5:7]))
	}
	zone, err := time.LoadLocation(b.a.TimeZone)
	if err != nil {
		return ""
	}
	from := time.Date(year, time.Month(month), 1, 0, 0, 0, 0, zone)
	to := time.Date(year, time.Month(month)+1, 1, 0, 0, 0, 0, zone)
	total := int64(to.Sub(from) / time.Second)
	if a.Hours != "" && a.Hours != "24x7" {
		spans, err := a.Hours.Spans()
		if err != nil {
			return ""
		}
		total = 0
		for day := from; day.Before(to); day = day.AddDate(0, 0, 1) {
			for _, s := range spans {
				for _, d := range s.Days {
					if (d+1)%7 == int(day.Weekday()) {
						total += int64(s.To-s.From) * 60
					}
				}
			}
		}
	}
	allowed := total * miss / 100_000_000
	return b.F("Voorbeeld: %s telt %s; daarvan mag de Toepassing ten hoogste %s onbeschikbaar zijn.", "Example: %s counts %s; of that the Application may be down for at most %s.",
		b.MonthName(year, month), b.Duration(time.Duration(total/3600)*time.Hour), b.Duration(time.Duration(allowed)*time.Second))
}

// money says what it costs and what is set aside.
func (b *builder) money() {
	if len(b.a.Fees) == 0 && len(b.a.Funds) == 0 {
		return
	}
	b.heading("Vergoedingen en continuïteitsfonds", "Fees and continuity fund")
	for _, f := range b.a.Fees {
		b.clauseText(sentences(b.feeText(f)...))
	}
	for _, f := range b.a.Funds {
		text := []string{b.F("%s houdt een continuïteitsfonds aan", "%s holds a continuity fund", b.Party(f.Holder))}
		if f.Covers != "" {
			text[0] += b.F(" waaruit de dienst %s in de lucht kan worden gehouden", " from which the service can be kept running for %s", b.Period(f.Covers))
		}
		for _, c := range f.Contributions {
			text = append(text, b.F("%s draagt %s bij", "%s contributes %s", phrase.Capital(b.parties(c.From)), b.Rate(c.Amount)))
		}
		if f.FeesDuring != "" {
			text = append(text, b.F("Zolang de dienst in stand wordt gehouden, gaan de gebruiksvergoedingen %s", "While the service is kept running, the users' fees go %s", b.W("fees_during", f.FeesDuring)))
		}
		b.clauseText(sentences(text...))
	}
}

func (b *builder) feeText(f agreement.Fee) []string {
	text := []string{b.F("%s betaalt %s (%s)", "%s pays %s (%s)", phrase.Capital(b.parties(f.Payer)), b.Rate(f.Amount), b.fee(f.What))}
	if x := f.Arrears; x != nil {
		if x.MaySuspend {
			text = append(text, b.Pick("Blijft betaling uit, dan mag de escrow-agent zijn werkzaamheden opschorten", "If it is not paid, the escrow agent may suspend its work"))
		} else {
			text = append(text, b.Pick("Blijft betaling uit, dan mag de escrow-agent zijn werkzaamheden niet opschorten", "If it is not paid, the escrow agent may not suspend its work"))
		}
		if x.MayCure {
			text = append(text, b.Pick("Een begunstigde mag in plaats van de schuldenaar betalen", "A beneficiary may pay in the debtor's place"))
		}
	}
	return text
}

// fee says what a fee is for.
func (b *builder) fee(what string) string {
	known := map[string][2]string{"yearly": {"jaarlijkse vergoeding voor de regeling", "yearly fee for the arrangement"}, "setup": {"eenmalige vergoeding bij aanvang", "one-off fee at the start"},
		"verification": {"vergoeding voor toetsing", "fee for verification"}, "release": {"vergoeding bij een Vrijgave", "fee upon a Release"}}
	if k, ok := known[what]; ok {
		return b.Pick(k[0], k[1])
	}
	return b.F("voor %s", "for %s", strings.ReplaceAll(what, "-", " "))
}

// changes says what happens when parties change, who may inspect, what the
// exit plans are and what anybody is liable for.
func (b *builder) changes() {
	if c := b.a.ChangeOfParty; c != nil {
		b.heading("Verandering van partijen", "Change of parties")
		if c.Merger != "" {
			b.c("Fuseert een partij, dan %s.", "When a party merges, %s.", b.W("merger", c.Merger))
		}
		if c.Leaves != nil {
			b.c("Een begunstigde kan haar toetreding beëindigen zonder medewerking van de andere begunstigden.%s", "A beneficiary can end its accession without the help of the other beneficiaries.%s",
				b.period(c.Leaves.DeleteData, " Haar gegevens worden dan binnen %s vernietigd, tegen een bewijs van vernietiging", " Its data is then destroyed within %s, against a certificate of destruction"))
		}
		if s := c.Sold; s != nil {
			text := []string{}
			if s.AssumeWithin != "" {
				text = append(text, b.F("Gaat de leverancier of de Toepassing in andere handen over, dan neemt de verkrijger deze overeenkomst binnen %s over", "When the supplier or the Application changes hands, the acquirer assumes this agreement within %s", b.Period(s.AssumeWithin)))
			}
			if s.ElseEvent != "" {
				text = append(text, b.F("Laat de verkrijger dat na, dan geldt dat als Grond %s", "If the acquirer does not, that is the Event %s", b.Quote(s.ElseEvent)))
			}
			b.clauseText(sentences(text...))
		}
		if r := c.Replaced; r != nil {
			text := []string{}
			if r.Notice != "" {
				text = append(text, b.F("De escrow-agent kan worden vervangen met inachtneming van een termijn van %s", "The escrow agent can be replaced on %s' notice", b.Period(r.Notice)))
			} else {
				text = append(text, b.Pick("De escrow-agent kan worden vervangen", "The escrow agent can be replaced"))
			}
			if r.OrEvent != "" {
				text = append(text, b.F("Op Grond %s geschiedt dat onmiddellijk", "Upon the Event %s this happens at once", b.Quote(r.OrEvent)))
			}
			if r.Successor != "" {
				text = append(text, b.F("Opvolger kan zijn: %s", "The successor may be: %s", r.Successor))
			}
			b.clauseText(sentences(text...))
		}
	}
	if len(b.a.AccessRights) > 0 {
		b.heading("Inzage en controle", "Inspection and audit")
		for _, x := range b.a.AccessRights {
			text := []string{b.F("%s mogen inzage nemen in %s", "%s may inspect %s", phrase.Capital(b.parties(x.Who)), b.And(b.Words("inspect", x.To)))}
			if len(x.Who) == 1 {
				text[0] = b.F("%s mag inzage nemen in %s", "%s may inspect %s", phrase.Capital(b.parties(x.Who)), b.And(b.Words("inspect", x.To)))
			}
			if x.Notice != "" {
				text = append(text, b.F("Zij kondigen dat %s van tevoren aan", "They announce this %s beforehand", b.Period(x.Notice)))
			}
			switch {
			case x.StressNotice != "" && x.StressNotice.IsZero():
				text = append(text, b.Pick("Zolang een Vrijgave van kracht is, kan dat zonder aankondiging", "While a Release is in force no announcement is needed"))
			case x.StressNotice != "":
				text = append(text, b.F("Zolang een Vrijgave van kracht is, is die termijn %s", "While a Release is in force that period is %s", b.Period(x.StressNotice)))
			}
			b.clauseText(sentences(text...))
		}
	}
	if len(b.a.ExitPlans) > 0 {
		b.heading("Exitplannen", "Exit plans")
		for _, x := range b.a.ExitPlans {
			b.clauseText(sentences(b.exitPlan(x)...))
		}
	}
	if l := b.a.Liability; l != nil {
		b.heading("Aansprakelijkheid en verzekering", "Liability and insurance")
		if l.Cap != "" {
			b.c("De aansprakelijkheid is beperkt tot %s.", "Liability is limited to %s.", b.Money(l.Cap))
		}
		for _, i := range l.Insurance {
			text := []string{b.F("Een verzekering voor %s wordt in stand gehouden", "Insurance is maintained for %s", b.W("insurance", i.Kind))}
			if i.Holder != "" {
				text[0] += b.F(" door %s", " by %s", b.Party(i.Holder))
			}
			if i.Amount != "" {
				text = append(text, b.F("De dekking bedraagt %s", "The cover is %s", b.Money(i.Amount)))
			}
			if i.Expires != "" {
				text = append(text, b.F("Zij loopt tot en met %s en wordt voordien verlengd", "It runs up to and including %s and is renewed before then", b.Date(i.Expires)))
			}
			b.clauseText(sentences(text...))
		}
	}
}

func (b *builder) exitPlan(x agreement.ExitPlan) []string {
	var text []string
	say := func(nl, en string, args ...any) { text = append(text, b.F(nl, en, args...)) }
	say("Er is een exitplan voor: %s", "There is an exit plan for: %s", b.W("exit_kind", x.Kind))
	ids := func(list []string) string {
		out := make([]string, len(list))
		for i, s := range list {
			out[i] = strings.ReplaceAll(s, "-", " ")
		}
		return b.And(out)
	}
	if len(x.Triggers) > 0 {
		say("Aanleiding is: %s", "It is triggered by: %s", ids(x.Triggers))
	}
	if x.Target != "" {
		say("Doel: %s", "Target: %s", x.Target)
	}
	if len(x.Options) > 0 {
		say("Uitwegen, in volgorde van voorkeur: %s", "Ways out, in order of preference: %s", ids(x.Options))
	}
	if x.Transition != "" {
		say("De overgang duurt ten hoogste %s", "The transition takes at most %s", b.Period(x.Transition))
	}
	if x.Assistance != "" {
		say("Hulp: %s", "Assistance: %s", x.Assistance)
	}
	if x.Cost != "" {
		say("De verwachte kosten bedragen %s", "The expected cost is %s", b.Money(x.Cost))
	}
	if x.Owner != "" {
		say("Verantwoordelijk is %s", "The owner is %s", x.Owner)
	}
	if x.TestEvery != "" {
		say("Het plan wordt %s beproefd", "The plan is tested %s", b.Every(x.TestEvery))
	}
	if x.BoardApproved != "" {
		say("Het bestuur heeft het goedgekeurd op %s", "The board approved it on %s", b.Date(x.BoardApproved))
	}
	return text
}
