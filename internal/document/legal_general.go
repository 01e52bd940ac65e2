package document

import (
	"maps"
	"slices"
	"strings"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/phrase"
)

// partyBlock lists who signs, with what the readers may know of them.
func (b *builder) partyBlock(ids []string) {
	b.title(1, "Partijen", "Parties")
	for i, id := range ids {
		b.letter = i
		p := b.a.Party(id)
		text := b.Party(id)
		if p != nil {
			text += b.registers(*p)
			text += ", " + b.Pick("hierna als ", "acting as ") + b.Role(roleOf(p)) + b.Pick(" aangeduid", "")
		}
		end := ";"
		switch {
		case i == len(ids)-1:
			end = "."
		case i == len(ids)-2:
			end = "; " + b.and()
		}
		b.item(text + end)
	}
	b.letter = 0
}

// involved lists who has a part in the arrangement without signing this part:
// who is watched, paid, asked or told must be known by more than a name.
func (b *builder) involved(signing []string) {
	var rows [][]string
	for _, p := range b.a.Parties {
		if slices.Contains(signing, p.ID) || p.Name == "" {
			continue
		}
		rows = append(rows, []string{p.Name, phrase.Capital(b.Role(roleOf(&p))), strings.TrimPrefix(b.registers(p), ", ")})
	}
	if len(rows) == 0 {
		return
	}
	b.title(1, "Overige betrokkenen", "Others involved")
	b.p("De volgende personen en organisaties hebben een taak of belang in de regeling zonder dit deel te ondertekenen:", "The following have a task or an interest in the arrangement without signing this part:")
	b.table([]string{b.Pick("Naam", "Name"), b.Pick("Rol", "Role"), b.Pick("Register", "Register")}, []int{42, 26, 32}, rows)
}

func (b *builder) registers(p agreement.Party) string {
	var out string
	for _, kind := range slices.Sorted(maps.Keys(p.Register)) {
		name, ok := b.Word("register", kind)
		if !ok {
			name = strings.ToUpper(strings.ReplaceAll(kind, "_", " "))
		}
		out += ", " + name + "\u00a0" + p.Register[kind]
	}
	return out
}

// definitions explains the words the text uses with a capital.
func (b *builder) definitions() {
	b.heading("Begrippen", "Definitions")
	b.c("In deze overeenkomst wordt verstaan onder:", "In this agreement:")
	d := func(nlTerm, enTerm, nl, en string, args ...any) {
		b.add(Block{Kind: Definition, Term: b.Pick(nlTerm, enTerm), Text: b.F(nl, en, args...)})
	}
	d("Toepassing", "Application", "%s, zoals omschreven in deze overeenkomst;", "%s, as described in this agreement;", b.a.Application.Name)
	if len(b.a.Modules) > 0 {
		d("Depot", "Deposit", "een verzegelde, genummerde en ondertekende inbreng van materiaal in bewaring;", "a sealed, numbered and signed intake of material into safe-keeping;")
	}
	if len(b.a.Keys) > 0 {
		d("Compartiment", "Compartment", "hetgeen in bewaring uitsluitend gezamenlijk wordt geopend, met een eigen sleutel;", "what is held in safe-keeping and opened only together, with a key of its own;")
		d("Sleutelbewaarder", "Key holder", "een partij die een aandeel in de sleutel van een Compartiment houdt. Met een enkel aandeel kan niets worden geopend;", "a party that holds a share of the key of a Compartment. A single share opens nothing;")
	}
	if len(b.a.Release.Events) > 0 {
		d("Grond", "Event", "een omstandigheid waarin een Vrijgave mogelijk is;", "circumstances in which a Release is possible;")
		d("Fase", "Stage", "een stap van een Vrijgave, met een eigen gevolg en een eigen besluit;", "a step of a Release, with an effect and a decision of its own;")
		d("Vrijgave", "Release", "het geheel van kennisgeving, betaling, toegang en afgifte dat op een Grond volgt;", "the notices, payments, access and handing over that follow an Event;")
	}
	d("Werkdag", "Business day", "elke dag die geen zaterdag, zondag of erkende feestdag is volgens de kalender %s; termijnen in dagen zijn kalenderdagen, en de tijd is die van %s.",
		"any day other than a Saturday, a Sunday or a public holiday under the calendar %s; periods in days are calendar days, and times are those of %s.", b.Quote(string(b.a.Calendar)), b.a.TimeZone)
}

// application describes what the agreement is about.
func (b *builder) application() {
	app := b.a.Application
	b.heading("De Toepassing", "The Application")
	where := ""
	if app.URL != "" {
		where = b.F(" en is bereikbaar op %s", " and is reached at %s", app.URL)
	}
	b.c("De Toepassing %s wordt geleverd %s%s.", "The Application %s is delivered %s%s.", app.Name, b.W("delivery", app.Delivery), where)
	if app.VersionURL != "" {
		b.c("De versie die in gebruik is, is te lezen op %s.", "The version in use can be read at %s.", app.VersionURL)
	}
	if app.Service != nil {
		if len(app.Service.Functions) > 0 {
			b.c("De Toepassing omvat de volgende functies: %s.", "The Application comprises the following functions: %s.", b.And(app.Service.Functions))
		}
		b.supportClause(app.Service.Support)
	}
	if app.RTO != "" {
		b.c("De Toepassing mag na een onderbreking ten hoogste %s buiten gebruik zijn (hersteltijd, RTO).", "After an interruption the Application may be out of use for at most %s (recovery time objective).", b.Period(app.RTO))
	}
	if app.RPO != "" {
		b.c("Bij een onderbreking mag ten hoogste het werk van de laatste %s verloren gaan (herstelpunt, RPO).", "In an interruption the work of at most the last %s may be lost (recovery point objective).", b.Period(app.RPO))
	}
	if len(app.Components) > 0 {
		b.c("De Toepassing bestaat uit de volgende onderdelen:", "The Application consists of the following components:")
		var rows [][]string
		for _, c := range app.Components {
			in := b.Pick("ja", "yes")
			if c.InEscrow != nil && !*c.InEscrow {
				in = b.Pick("nee", "no") + ": " + c.Reason
			}
			name := c.Name
			if name == "" {
				name = c.ID
			}
			rows = append(rows, []string{name, b.W("criticality", c.Criticality), in})
		}
		b.table([]string{b.Pick("Onderdeel", "Component"), b.Pick("Belang", "Criticality"), b.Pick("Onder de regeling", "Covered")}, []int{34, 22, 44}, rows)
	}
	if len(app.Dates) > 0 {
		var out []string
		for _, d := range app.Dates {
			text := b.F("%s: %s", "%s: %s", d.What, b.MonthDay(d.From))
			if d.To != "" {
				text = b.F("%s: van %s tot en met %s", "%s: %s to %s", d.What, b.MonthDay(d.From), b.MonthDay(d.To))
			}
			out = append(out, text)
		}
		b.c("In de volgende perioden van het jaar mag de Toepassing in het bijzonder niet uitvallen:", "At the following times of the year in particular the Application must not fail:")
		b.items(out, b.and())
	}
	if len(app.Connections) > 0 {
		b.c("Na een overname moeten de volgende koppelingen opnieuw tot stand worden gebracht:", "After a take-over the following connections must be re-established:")
		var rows [][]string
		for _, c := range app.Connections {
			var notes []string
			if c.CertificateOf != "" {
				notes = append(notes, b.F("certificaat van %s", "certificate of %s", b.Party(c.CertificateOf)))
			}
			if c.OnTakeover != "" {
				notes = append(notes, b.W("takeover_of_connection", c.OnTakeover))
			}
			rows = append(rows, []string{c.ID, b.parties(c.HeldBy), b.Period(c.LeadTime), b.And(notes)})
		}
		b.table([]string{b.Pick("Koppeling", "Connection"), b.Pick("Contract van", "Contract of"), b.Pick("Doorlooptijd", "Lead time"), b.Pick("Bijzonderheden", "Particulars")}, []int{18, 28, 20, 34}, rows)
	}
	for _, s := range app.Services {
		owner := ""
		if s.Owner != "" {
			owner = b.F("; verantwoordelijk is %s", "; the owner is %s", s.Owner)
		}
		b.c("De bedrijfsdienst %s steunt op de Toepassing. De aanvaardbare onderbreking daarvan is: %s%s.", "The business service %s rests on the Application. Its impact tolerance is: %s%s.", b.Quote(s.ID), s.Tolerance, owner)
	}
}

// term says how long it lasts.
func (b *builder) term(t *agreement.Term) {
	if t == nil {
		return
	}
	b.heading("Looptijd en opzegging", "Term and notice")
	b.termClauses(*t)
}

func (b *builder) termClauses(t agreement.Term) {
	switch {
	case t.Start != "" && t.Lasts != "":
		b.c("Deze overeenkomst gaat in op %s en wordt aangegaan voor de duur van %s.", "This agreement begins on %s and is made for %s.", b.Date(t.Start), b.Period(t.Lasts))
	case t.Start != "" && t.End != "":
		b.c("Deze overeenkomst gaat in op %s en eindigt op %s.", "This agreement begins on %s and ends on %s.", b.Date(t.Start), b.Date(t.End))
	case t.Start != "":
		b.c("Deze overeenkomst gaat in op %s.", "This agreement begins on %s.", b.Date(t.Start))
	case t.End != "":
		b.c("Deze overeenkomst eindigt op %s.", "This agreement ends on %s.", b.Date(t.End))
	case t.Lasts != "":
		b.c("Deze overeenkomst wordt aangegaan voor de duur van %s.", "This agreement is made for %s.", b.Period(t.Lasts))
	}
	if t.Renews != "" {
		b.c("Na afloop wordt zij telkens stilzwijgend met %s verlengd, tenzij zij is opgezegd.", "After that it is renewed each time for %s, unless notice has been given.", b.Period(t.Renews))
	}
	if t.Notice != "" {
		b.c("Opzegging geschiedt schriftelijk tegen het einde van de looptijd, met inachtneming van een opzegtermijn van %s.", "Notice is given in writing to take effect at the end of the term, at least %s in advance.", b.Period(t.Notice))
	}
	if t.FirstDeposit != "" {
		b.c("Vóór %s is van elk onderdeel van het Depot de eerste inbreng gedaan.", "Before %s the first Deposit of every module has been made.", b.Date(t.FirstDeposit))
	}
	if t.PaidUntil != "" {
		b.c("Betaald is tot en met %s.", "It has been paid for up to and including %s.", b.Date(t.PaidUntil))
	}
}

// legal says which other terms apply and in what order.
func (b *builder) legal() {
	l := b.a.Legal
	b.heading("Toepasselijk recht, voorwaarden en taal", "Governing law, conditions and language")
	b.c("Op deze overeenkomst is het recht van %s van toepassing.", "This agreement is governed by the law of %s.", b.law(b.a.Law))
	prevailing := phrase.Lang(b.a.Language)
	if l != nil {
		if l.Conditions != "" {
			b.c("De algemene voorwaarden %s zijn van toepassing.", "The general conditions %s apply.", l.Conditions)
		}
		if len(l.RanksBefore) > 0 {
			b.c("Bij tegenstrijdigheid gaat deze overeenkomst vóór op: %s.", "Where they conflict, this agreement takes precedence over: %s.", b.And(l.RanksBefore))
		}
		if l.Prevailing != "" {
			prevailing = phrase.Lang(l.Prevailing)
		}
	}
	name := map[phrase.Lang]string{phrase.NL: b.Pick("de Nederlandse", "the Dutch"), phrase.EN: b.Pick("de Engelse", "the English")}[prevailing]
	b.c("Deze overeenkomst bestaat in het Nederlands en in het Engels. Bij verschil is %s tekst beslissend.", "This agreement exists in Dutch and in English. Where they differ, %s text decides.", name)
}

func (b *builder) law(code string) string {
	known := map[string][2]string{"NL": {"Nederland", "the Netherlands"}, "BE": {"België", "Belgium"}, "DE": {"Duitsland", "Germany"}, "FR": {"Frankrijk", "France"},
		"England and Wales": {"Engeland en Wales", "England and Wales"}, "IE": {"Ierland", "Ireland"}, "LU": {"Luxemburg", "Luxembourg"}}
	if names, ok := known[code]; ok {
		return b.Pick(names[0], names[1])
	}
	return code
}

// regimes names the regulation the arrangement has to satisfy.
func (b *builder) regimes() {
	if len(b.a.Regimes) == 0 {
		return
	}
	b.heading("Toezichtregels", "Regulation")
	for _, r := range b.a.Regimes {
		var extra []string
		if r.Entity != "" {
			extra = append(extra, b.F("De regels gelden voor %s", "It binds %s", r.Entity))
		}
		if r.Material {
			extra = append(extra, b.Pick("De uitbesteding is van wezenlijk belang", "The outsourcing is material"))
		}
		if r.Notified != "" {
			extra = append(extra, b.F("De toezichthouder is op %s in kennis gesteld", "The regulator was notified on %s", b.Date(r.Notified)))
		}
		if len(r.Rows) > 0 {
			extra = append(extra, b.F("In het informatieregister staat de regeling in de tabellen %s", "In the register of information it appears in %s", b.And(r.Rows)))
		}
		b.clauseText(sentences(append([]string{b.F("Deze overeenkomst strekt mede tot naleving van %s", "This agreement also serves compliance with %s", r.Name)}, extra...)...))
	}
}

// authority says who acts for the parties that sign here.
func (b *builder) authority() {
	people := false
	for _, p := range b.a.Parties {
		people = people || len(p.People) > 0
	}
	if len(b.a.Authority) == 0 && !people {
		return
	}
	b.heading("Bevoegdheid", "Authority")
	for _, p := range b.a.Parties {
		if len(p.People) == 0 {
			continue
		}
		var rows [][]string
		for _, x := range p.People {
			contact := x.Email
			if x.Deputy != "" {
				contact = strings.TrimPrefix(contact+"; "+b.F("vervangt %s", "deputy of %s", b.person(x.Deputy)), "; ")
			}
			if x.Same != "" {
				contact = strings.TrimPrefix(contact+"; "+b.F("is dezelfde persoon als %s", "is the same person as %s", b.person(x.Same)), "; ")
			}
			rows = append(rows, []string{x.Name, x.Function, contact})
		}
		b.c("Voor %s treden op:", "The following people act for %s:", b.Party(p.ID))
		b.table([]string{b.Pick("Naam", "Name"), b.Pick("Functie", "Function"), b.Pick("Bereikbaar via", "Contact")}, []int{32, 30, 38}, rows)
	}
	for _, x := range b.a.Authority {
		var text []string
		if x.Person != "" {
			who := b.F("%s mag namens %s %s", "%s may on behalf of %s %s", b.person(x.Person), b.Party(x.Party), b.And(b.Words("may", x.May)))
			if x.From != "" {
				who += b.F(", vanaf %s", ", from %s", b.Date(x.From))
			}
			if x.Until != "" {
				who += b.F(", tot en met %s", ", up to and including %s", b.Date(x.Until))
			}
			text = append(text, who)
		} else if len(x.May) > 0 || x.From != "" || x.Until != "" {
			who := b.F("Voor %s geldt het volgende", "The following applies to %s", b.Party(x.Party))
			if len(x.May) > 0 {
				who = b.F("%s mag %s", "%s may %s", b.Party(x.Party), b.And(b.Words("may", x.May)))
			}
			if x.From != "" {
				who += b.F(", vanaf %s", ", from %s", b.Date(x.From))
			}
			if x.Until != "" {
				who += b.F(", tot en met %s", ", up to and including %s", b.Date(x.Until))
			}
			text = append(text, who)
		}
		if x.DeputyFor != "" {
			text = append(text, b.F("Dit geldt alleen zolang %s verhinderd is", "This holds only while %s is unable to act", b.person(x.DeputyFor)))
		}
		if x.Proof != "" {
			text = append(text, b.F("De bevoegdheid berust op %s", "The authority rests on %s", x.Proof))
		}
		if x.CallBack {
			text = append(text, b.Pick("Ondertekenen, goedkeuren en betalen gelden pas na terugbellen op een vooraf bekend nummer", "Signing, approving and paying count only after a call back to a number known beforehand"))
		}
		if x.EndsOn != "" {
			end := b.F("De bevoegdheid om voor %s op te treden eindigt %s", "The authority to act for %s ends %s", b.Party(x.Party), b.moment(x.EndsOn))
			if x.PassesTo != "" {
				end += b.F(" en gaat dan over op %s", " and then passes to %s", b.Party(x.PassesTo))
			}
			text = append(text, end)
		}
		if len(text) > 0 {
			b.clauseText(sentences(text...))
		}
	}
}

func (b *builder) person(id string) string {
	for _, p := range b.a.Parties {
		for _, x := range p.People {
			if x.ID == id {
				return x.Name
			}
		}
	}
	return id
}

// clauses adds the clauses the parties wrote themselves.
func (b *builder) clauses(about func(string) bool) {
	for _, c := range b.a.Clauses {
		if about(c.About) {
			b.heading(c.Title, c.Title)
			b.clauseText(clean(c.Text))
		}
	}
}

// signatures adds a block for each party.
func (b *builder) signatures(p agreement.PartInstance) {
	b.title(1, "Ondertekening", "Signatures")
	how := b.F("Dit deel wordt ondertekend als %s", "This part is signed as a %s", b.W("form", p.Form))
	if p.Form == "plain" {
		how = b.Pick("Dit deel wordt onderhands ondertekend", "This part is signed under hand")
	}
	if len(p.With) > 0 {
		how += b.F(", met %s", ", with %s", b.Or(b.Words("with", p.With)))
	}
	b.add(Block{Kind: Para, Text: phrase.Sentence(how) + " " + b.Pick("De handtekening geldt de tekst met de controlesom onder aan de bladzijde.", "The signature is for the text whose digest stands at the foot of the page.")})
	if p.InForceOn != "" && p.InForceOn != "signature" {
		b.p("Dit deel treedt in werking %s.", "This part comes into force %s.", b.moment(p.InForceOn))
	}
	for _, id := range p.Parties {
		role := ""
		if x := b.a.Party(id); x != nil {
			role = phrase.Capital(b.Role(roleOf(x)))
		}
		b.add(Block{Kind: Sign, Sign: &Signature{Party: phrase.Capital(b.Party(id)), As: role, Fields: []string{
			b.Pick("Naam", "Name"), b.Pick("Functie", "Capacity"), b.Pick("Plaats en datum", "Place and date"), b.Pick("Handtekening", "Signature")}}})
	}
}

// annex gives the exact expressions of the conditions.
func (b *builder) annex() {
	if len(b.expressions) == 0 {
		return
	}
	b.title(1, "Aanhangsel: de gronden in exacte vorm", "Annex: the events in exact form")
	b.p("De tekst hierboven zegt in woorden wat de volgende voorwaarden inhouden. Het programma beoordeelt de voorwaarden in deze vorm; een feit dat niet bekend is, geldt nooit als waar.",
		"The text above says in words what the following conditions mean. The program evaluates them in this form; a fact that is not known never counts as true.")
	for _, e := range b.expressions {
		b.add(Block{Kind: Heading, Level: 2, Text: e.about}, Block{Kind: Code, Text: e.text})
	}
}
