package document

import (
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/phrase"
)

// rights is the register of legal grounds.
func (b *builder) rights() {
	if len(b.a.Rights) == 0 {
		return
	}
	b.heading("Rechten", "Rights")
	b.c("Een wachtwoord is geen recht. Toegang en gebruik steunen op de volgende rechten:", "A password is not a right. Access and use rest on the following rights:")
	var rows [][]string
	for _, r := range b.a.Rights {
		kind := phrase.Capital(b.W("right", r.Kind))
		if r.From != "" {
			kind += b.F(", van %s", ", from %s", b.Party(r.From))
		}
		if r.Undertaking != "" {
			kind += b.F(", bestaande uit de toezegging %s", ", consisting of the undertaking %s", b.Quote(r.Undertaking))
		}
		fate := phrase.Capital(b.W("on_insolvency", r.OnInsolvency))
		rows = append(rows, []string{r.ID, kind, b.parties(r.Holder), fate})
	}
	b.table([]string{b.Pick("Aanduiding", "Right"), b.Pick("Grondslag", "Ground"), b.Pick("Houder", "Holder"), b.Pick("Bij insolventie", "On insolvency")}, []int{18, 34, 30, 18}, rows)
	for _, r := range b.a.Rights {
		var text []string
		if r.StartsOn != "" {
			text = append(text, b.F("Het ontstaat %s", "It begins %s", b.moment(r.StartsOn)))
		}
		if r.EndsOn != "" {
			text = append(text, b.F("Het eindigt %s", "It ends %s", b.moment(r.EndsOn)))
		}
		if len(r.SecuredBy) > 0 {
			text = append(text, b.F("Het wordt versterkt door %s", "It is strengthened by %s", b.And(b.Words("secured_by", r.SecuredBy))))
		}
		if r.Counsel != "" {
			text = append(text, b.F("Advies: %s", "Advice: %s", r.Counsel))
		}
		if r.Reviewed != "" {
			text = append(text, b.F("Laatst herbeoordeeld op %s", "Last reviewed on %s", b.Date(r.Reviewed)))
		}
		if r.Review != "" {
			text = append(text, b.F("Dit wordt %s opnieuw beoordeeld", "This is reviewed %s", b.Every(r.Review)))
		}
		for _, e := range r.Encumbrances {
			text = append(text, b.encumbrance(e))
		}
		if r.Document != nil {
			text = append(text, b.F("Het staat in %s", "It is set out in %s", b.paper(r.Document)))
		}
		if len(text) > 0 {
			b.clauseText(b.F("Voor het recht %s geldt het volgende. ", "For the right %s the following applies. ", b.Quote(r.ID)) + sentences(text...))
		}
	}
}

func (b *builder) encumbrance(e agreement.Encumbrance) string {
	text := b.F("Erop rust %s", "On it lies %s", b.W("encumbrance", e.Kind))
	if e.Of != "" {
		text += b.F(" van %s", " of %s", b.Party(e.Of))
	}
	if e.What != "" {
		text += " (" + e.What + ")"
	}
	if e.Consent {
		text += b.Pick("; de rechthebbende daarvan heeft schriftelijk ingestemd", "; its holder has agreed in writing")
	}
	if e.Document != nil {
		text += b.F("; zie %s", "; see %s", b.paper(e.Document))
	}
	return text
}

// paper names a document by its name and digest.
func (b *builder) paper(d *agreement.Document) string {
	if d.Digest == "" {
		return b.Quote(d.Name)
	}
	return b.F("%s (SHA-256 %s)", "%s (SHA-256 %s)", b.Quote(d.Name), d.Digest)
}

// hosting says what the host has promised, or what stands in for that.
func (b *builder) hosting() {
	for _, u := range b.a.HostUndertakings {
		b.heading("Toezegging van "+b.Party(u.By), "Undertaking of "+b.Party(u.By))
		if u.Signed != "" {
			b.c("Deze toezegging is gedaan op %s.", "This undertaking was given on %s.", b.Date(u.Signed))
		}
		if u.Continues != "" {
			b.c("%s zet de dienstverlening na het wegvallen van de leverancier ten minste %s voort.", "%s continues its services for at least %s after the supplier has failed.", b.Party(u.By), b.Period(u.Continues))
		}
		if u.WarnsBefore != "" {
			whom := b.Pick("de partijen", "the parties")
			if len(u.Warns) > 0 {
				whom = b.parties(u.Warns)
			}
			b.c("Voordat zij haar diensten opschort, waarschuwt zij ten minste %s van tevoren %s.", "Before it suspends its services it warns %[2]s at least %[1]s in advance.", b.Period(u.WarnsBefore), whom)
		}
		if u.ThirdParty {
			b.c("Zij aanvaardt betaling door een ander dan haar opdrachtgever.", "It accepts payment from somebody other than its customer.")
		}
		if u.KeepsNoDataBack {
			b.c("Zij oefent geen retentierecht uit op gegevens.", "It exercises no lien over data.")
		}
		if u.ArrearsFirst != nil {
			if *u.ArrearsFirst {
				b.c("Zij zet haar diensten pas voort nadat achterstallige vergoedingen zijn voldaan.", "It continues only after arrears have been paid.")
			} else {
				b.c("Zij stelt voldoening van achterstallige vergoedingen niet als voorwaarde.", "It does not make the payment of arrears a condition.")
			}
		}
		if u.LetsOperatorIn {
			b.c("Zij verleent de uitvoerder toegang.", "It gives the operator access.")
		}
		if u.Price != "" {
			b.c("De vergoeding bedraagt %s.", "The price is %s.", b.Rate(u.Price))
		}
		if u.Reconfirm != "" {
			b.c("Zij bevestigt deze toezegging %s opnieuw.", "It confirms this undertaking again %s.", b.Every(u.Reconfirm))
		}
		if u.Confirmed != "" {
			b.c("De toezegging is laatstelijk bevestigd op %s.", "The undertaking was last confirmed on %s.", b.Date(u.Confirmed))
		}
		if u.Framework != nil {
			b.c("De toezegging wordt gedaan onder de raamtekst %s.", "The undertaking is given under the framework %s.", b.paper(u.Framework))
		}
		if u.Document != nil {
			b.c("De toezegging staat in %s.", "The undertaking is set out in %s.", b.paper(u.Document))
		}
	}
	h := b.a.Hosting
	if h == nil {
		return
	}
	b.heading("Hosting", "Hosting")
	if x := h.Account; x != nil {
		text := []string{b.F("De Toepassing draait in account %s bij %s, op naam van %s", "The Application runs in account %s at %s, in the name of %s", x.ID, x.Provider, b.Party(x.Owner))}
		if x.Dedicated {
			text = append(text, b.Pick("In dit account draait niets anders", "Nothing else runs in that account"))
		}
		if len(x.Takeover) > 0 {
			text = append(text, b.F("Het kan worden overgenomen door middel van %s", "It can be taken over by means of %s", b.Or(b.Words("account_takeover", x.Takeover))))
		}
		if x.Mailbox != "" {
			text = append(text, b.F("Het postvak van de hoofdgebruiker wordt beheerd door %s", "The root mailbox is in the domain of %s", b.Party(x.Mailbox)))
		}
		b.clauseText(sentences(text...))
	}
	if x := h.Location; x != nil {
		b.clauseText(sentences(b.listed(x.Data, "", "De gegevens staan in %s", "The data is kept in %s", b.And),
			b.listed(x.Keys, "", "De sleutels staan in %s", "The keys are kept in %s", b.And), b.listed(x.Deposits, "", "De Depots staan in %s", "The Deposits are kept in %s", b.And)))
	}
}

// licences says what was licensed, what runs where and what may be done after
// a release.
func (b *builder) licences() {
	if len(b.a.Licences) > 0 {
		b.heading("Licenties", "Licences")
	}
	for _, x := range b.a.Licences {
		b.licence(x)
	}
	if len(b.a.Environments) > 0 {
		b.heading("Omgevingen", "Environments")
		for _, e := range b.a.Environments {
			var with []string
			for _, s := range []string{e.OS, e.Database} {
				if s != "" {
					with = append(with, s)
				}
			}
			if e.Identity != "" {
				with = append(with, b.F("aanmelding via %s", "sign-in through %s", e.Identity))
			}
			text := []string{b.F("Bij %s draait versie %s", "%s runs version %s", b.Party(e.Beneficiary), e.Version)}
			if len(with) > 0 {
				text[0] += b.F(", met %s", ", with %s", b.And(with))
			}
			if e.ReportEvery != "" {
				text = append(text, b.F("Zij doet daarvan %s opgave", "It reports this %s", b.Every(e.ReportEvery)))
			}
			b.clauseText(sentences(text...))
		}
	}
	if u := b.a.Usage; u != nil {
		b.heading("Opgave van gebruik", "Usage statements")
		text := []string{b.F("%s doet %s opgave van het gebruik van de licenties", "%s states the use of the licences %s", phrase.Capital(b.parties(u.By)), b.Every(u.SnapshotEvery))}
		if u.Signed {
			text = append(text, b.Pick("De opgave wordt ondertekend", "The statement is signed"))
		}
		if u.TrueUp != "" {
			text = append(text, b.F("Meergebruik wordt binnen %s verrekend", "Use beyond the licence is paid for within %s", b.Period(u.TrueUp)))
		}
		b.clauseText(sentences(text...))
	}
}

func (b *builder) licence(x agreement.LicenceGrant) {
	text := []string{b.F("Licentie %s: %s verkrijgt een licentie op %s (%s)", "Licence %s: %s is granted a licence of %s (%s)", b.Quote(x.ID), b.Party(x.Licensee), x.Product, b.W("licence_type", x.Type))}
	if x.VersionRange != "" {
		text = append(text, b.F("Zij geldt voor de versies %s", "It covers versions %s", b.Quote(x.VersionRange)))
	}
	if x.Seats > 0 {
		metric := ""
		if x.Metric != "" {
			metric = " " + b.W("metric", x.Metric)
		}
		text = append(text, b.F("De omvang bedraagt %s%s", "Its size is %s%s", b.Digits(int64(x.Seats)), metric))
	} else if x.Metric != "" {
		text = append(text, b.F("Geteld worden %s", "What is counted is %s", b.W("metric", x.Metric)))
	}
	b.clauseText(sentences(text...))
	if a := x.Activation; a != nil {
		text := []string{b.F("Licentie %s wordt geactiveerd %s", "Licence %s is activated %s", b.Quote(x.ID), b.W("activation", a.Kind))}
		if a.Server != "" {
			text[0] += b.F(", bij %s", ", at %s", a.Server)
		}
		if len(a.Fingerprint) > 0 {
			text = append(text, b.F("Zij is gebonden aan %s", "It is bound to %s", b.And(b.Words("fingerprint", a.Fingerprint))))
		}
		if a.Match != "" {
			text = append(text, b.F("Voldoende is dat %s overeenkomen", "It is enough that %s match", b.W("match", a.Match)))
		}
		if a.Transfer != "" {
			text = append(text, b.F("Bij overgang naar een andere machine %s", "When it moves to another machine %s", b.W("activation_transfer", a.Transfer)))
		}
		if a.Max > 0 {
			text = append(text, b.F("Ten hoogste %s activeringen zijn tegelijk mogelijk", "At most %s activations are possible at once", b.Number(int64(a.Max))))
		}
		if a.Heartbeat != "" {
			text = append(text, b.F("De activering wordt %s bevestigd", "The activation is confirmed %s", b.Every(a.Heartbeat)))
		}
		if a.Grace != "" {
			text = append(text, b.F("Zonder bevestiging blijft de programmatuur %s werken", "Without confirmation the software goes on for %s", b.Period(a.Grace)))
		}
		b.clauseText(sentences(text...))
	}
	if m := x.Maintenance; m != nil {
		text := []string{}
		if m.Until != "" {
			text = append(text, b.F("Het onderhoud van licentie %s loopt tot en met %s", "The maintenance of licence %s runs up to and including %s", b.Quote(x.ID), b.Date(m.Until)))
		} else {
			text = append(text, b.F("Voor licentie %s geldt een onderhoudsovereenkomst", "A maintenance contract applies to licence %s", b.Quote(x.ID)))
		}
		if m.Renews != "" {
			text = append(text, b.F("Het wordt telkens met %s verlengd", "It is renewed each time for %s", b.Period(m.Renews)))
		}
		if len(m.Entitles) > 0 {
			text = append(text, b.F("Het geeft recht op %s", "It entitles to %s", b.And(b.Words("entitles", m.Entitles))))
		}
		b.clauseText(sentences(text...))
	}
	if x.Term != nil {
		b.licenceTerm(x.ID, *x.Term)
	}
}

// licenceTerm says the term of a licence in one clause.
func (b *builder) licenceTerm(id string, t agreement.Term) {
	var text []string
	say := func(nl, en string, args ...any) { text = append(text, b.F(nl, en, args...)) }
	if t.Start != "" {
		say("Licentie %s gaat in op %s", "Licence %s begins on %s", b.Quote(id), b.Date(t.Start))
	}
	if t.End != "" {
		say("Licentie %s eindigt op %s", "Licence %s ends on %s", b.Quote(id), b.Date(t.End))
	}
	if t.Lasts != "" {
		say("Licentie %s duurt %s", "Licence %s lasts %s", b.Quote(id), b.Period(t.Lasts))
	}
	if t.Renews != "" {
		say("Zij wordt telkens met %s verlengd, tenzij zij is opgezegd", "It is renewed each time for %s unless notice has been given", b.Period(t.Renews))
	}
	if t.Notice != "" {
		say("De opzegtermijn bedraagt %s", "The notice period is %s", b.Period(t.Notice))
	}
	if t.PaidUntil != "" {
		say("Betaald is tot en met %s", "It has been paid for up to and including %s", b.Date(t.PaidUntil))
	}
	if t.FirstDeposit != "" {
		say("Het eerste Depot geschiedt vóór %s", "The first Deposit is made before %s", b.Date(t.FirstDeposit))
	}
	b.clauseText(sentences(text...))
}

// useTerms says what a recipient may do.
func (b *builder) useTerms() {
	if len(b.a.UseTerms) == 0 {
		return
	}
	b.heading("Gebruik na Vrijgave", "Use after a Release")
	for _, u := range b.a.UseTerms {
		about := b.Pick("het vrijgegeven materiaal", "the released material")
		switch {
		case u.Licence != "":
			about = b.F("de programmatuur onder licentie %s", "the software under licence %s", b.Licence(u.Licence))
		case u.Stage != "":
			about = b.F("hetgeen in fase %s wordt afgegeven", "what is handed over in stage %s", b.Quote(u.Stage))
		}
		text := []string{b.F("De ontvanger mag %s %s", "The recipient may %[2]s %[1]s", about, b.And(b.Words("allows", u.Allows)))}
		if u.OwnUseOnly {
			text = append(text, b.Pick("Dit is beperkt tot gebruik in de eigen organisatie", "This is limited to use in its own organisation"))
		}
		if len(u.MaySubcontract) > 0 {
			text = append(text, b.F("Werk mag worden uitbesteed aan: %s", "Work may be subcontracted to: %s", b.Or(u.MaySubcontract)))
		}
		if u.Perpetual {
			text = append(text, b.Pick("Dit recht is niet in tijd beperkt", "This right does not end"))
		}
		if e := u.Ends; e != nil {
			var when []string
			if e.Date != "" {
				when = append(when, b.F("op %s", "on %s", b.Date(e.Date)))
			}
			for _, w := range e.On {
				when = append(when, b.Pick("zodra ", "as soon as ")+b.W("use_ends", w))
			}
			text = append(text, b.F("Dit recht eindigt %s, al naar gelang wat zich het eerst voordoet", "This right ends %s, whichever comes first", b.Or(when)))
			if len(when) == 1 {
				text[len(text)-1] = b.F("Dit recht eindigt %s", "This right ends %s", when[0])
			}
		}
		if p := u.Pays; p != nil {
			pay := b.F("De ontvanger betaalt %s aan %s", "The recipient pays %s to %s", b.W("pays_amount", p.Amount), b.W("pays_to", p.To))
			if p.Else != "" {
				pay += b.F("; kan die haar niet in ontvangst nemen, dan %s", "; if nobody can accept it, %s", b.W("pays_else", p.Else))
			}
			text = append(text, pay)
		}
		b.clauseText(sentences(text...))
	}
}
