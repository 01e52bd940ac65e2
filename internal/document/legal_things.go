package document

import (
	"slices"
	"strings"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/phrase"
)

// modules says what is held.
func (b *builder) modules() {
	if len(b.a.Modules) == 0 {
		return
	}
	b.heading("Het Depot", "The Deposit")
	b.c("De leverancier brengt het volgende in en houdt het actueel:", "The supplier deposits the following and keeps it up to date:")
	var rows [][]string
	for i := range b.a.Modules {
		m := &b.a.Modules[i]
		base, kind := m.Base()
		where := b.Pick("niet in bewaring", "not held")
		if base.Compartment != "" && base.Compartment != "none" {
			where = b.compartment(base.Compartment)
		}
		name := base.Title
		if name == "" {
			name = base.ID
		}
		if base.ForEach != "" {
			name += b.Pick(", per ", ", per ") + b.member(base.ForEach)
		}
		rows = append(rows, []string{name, phrase.Capital(b.W("module", string(kind))), b.moduleText(m), where})
	}
	b.table([]string{b.Pick("Aanduiding", "Module"), b.Pick("Soort", "Kind"), b.Pick("Wat en hoe vaak", "What and how often"), b.Pick("Compartiment", "Compartment")}, []int{17, 20, 41, 22}, rows)
	b.moduleTerms()
	if d := b.a.DepositTerms; d != nil {
		b.clauseText(sentences(b.period(d.Major, "Binnen %s na een nieuwe hoofdversie wordt gedeponeerd", "A Deposit is made within %s after a major version"),
			b.period(d.Minor, "Na een kleinere nieuwe versie geschiedt dat binnen %s", "After a minor version it is made within %s"),
			b.listed(d.Formats, "licence_formats", "Licenties worden aanvaard in de volgende vormen: %s", "Licences are accepted in these formats: %s", b.Or)))
		if d.Statement == "signed" {
			b.c("Bij elk Depot hoort een ondertekende opgave van wat is gedeponeerd.", "A signed statement of what was deposited belongs to every Deposit.")
		}
	}
	for _, v := range b.a.Verification {
		b.verification(v)
	}
	if x := b.a.ExportControl; x != nil {
		screen := ""
		if x.ScreenRecipient {
			screen = b.Pick("Een ontvanger wordt vóór een Vrijgave gescreend", "A recipient is screened before a Release")
		}
		b.clauseText(sentences(b.F("Op het materiaal is exportclassificatie %s van toepassing", "The material has export classification %s", x.Classification), screen))
	}
}

func (b *builder) listed(words []string, kind, nl, en string, join func([]string) string) string {
	if len(words) == 0 {
		return ""
	}
	return b.F(nl, en, join(b.Words(kind, words)))
}

func (b *builder) member(s agreement.Set) string {
	if s == agreement.Licences {
		return b.Pick("licentie", "licence")
	}
	return b.Pick("begunstigde", "beneficiary")
}

func (b *builder) verification(v agreement.Verification) {
	what := b.Pick("Elk onderdeel van het Depot", "Every module of the Deposit")
	if v.Module != "all" {
		what = b.F("Het onderdeel %s", "The module %s", b.Module(v.Module))
	}
	text := []string{b.F("%s wordt %s getoetst op niveau %d: %s", "%s is verified %s at level %d: %s", what, b.Every(v.Every), v.Level, b.W("level", string(rune('0'+v.Level))))}
	if v.PaidBy != "" {
		text = append(text, b.F("De kosten zijn voor %s", "The cost is borne by %s", b.Party(v.PaidBy)))
	}
	if len(v.Attend) > 0 {
		text = append(text, b.F("Bij de toets mag aanwezig zijn: %s", "The verification may be attended by %s", b.parties(v.Attend)))
	}
	if len(v.ReportTo) > 0 {
		text = append(text, b.F("Het verslag gaat naar %s", "The report goes to %s", b.parties(v.ReportTo)))
	}
	b.clauseText(sentences(text...))
}

// moduleText says in the cell of a table what a module is and how often.
func (b *builder) moduleText(m *agreement.Module) string {
	switch {
	case m.Repository != nil:
		r := m.Repository
		var text []string
		switch {
		case r.Organisation != "":
			all := b.Pick("alle repositories", "all repositories")
			if len(r.Include) > 0 && !slices.Equal(r.Include, []string{"*"}) {
				all = b.F("de repositories %s", "the repositories %s", b.And(r.Include))
			}
			text = append(text, b.F("%s van %s", "%s of %s", all, r.Organisation))
		case r.URL != "":
			text = append(text, b.F("de repository %s met alle versies", "the repository %s with its whole history", r.URL))
		}
		if len(r.Exclude) > 0 {
			text = append(text, b.F("zonder %s", "without %s", b.And(r.Exclude)))
		}
		if r.LFS {
			text = append(text, b.Pick("met de grote bestanden (Git LFS)", "with its large files (Git LFS)"))
		}
		if r.Mode == "push" {
			text = append(text, b.Pick("verzegeld op de machine van de leverancier", "sealed on the supplier's own machine"))
		}
		if r.Every != "" {
			text = append(text, b.Every(r.Every))
		}
		if len(r.Trigger) > 0 {
			text = append(text, b.F("bij %s", "upon %s", b.Or(b.Words("trigger", r.Trigger))))
		}
		if r.Credential != "" {
			text = append(text, b.F("met het inloggegeven %s", "with the credential %s", b.Quote(r.Credential)))
		}
		if r.HostKey != "" {
			text = append(text, b.Pick("met een vastgelegde SSH-sleutel van de bron", "with a pinned SSH host key"))
		}
		return strings.Join(text, "; ")
	case m.Data != nil:
		d := m.Data
		text := []string{b.W("via", d.Via)}
		if d.ExpectEvery != "" {
			text = append(text, b.Every(d.ExpectEvery))
		}
		if d.Recipient != "" {
			text = append(text, b.F("bestemd voor %s", "meant for %s", b.Party(d.Recipient)))
		}
		if d.Holder != "" {
			text = append(text, b.F("gehouden door %s zelf", "held by %s itself", b.Party(d.Holder)))
		}
		if d.Encrypted != "" {
			text = append(text, b.F("versleuteld met de sleutel %s van de houder", "encrypted with the holder's key %s", b.Quote(d.Encrypted)))
		}
		if d.Format != nil && d.Format.Dump != "" {
			text = append(text, b.F("in de vorm %s", "in the form %s", d.Format.Dump))
		}
		if d.Format != nil && d.Format.Dictionary != "" {
			text = append(text, b.W("dictionary", d.Format.Dictionary))
		}
		return strings.Join(text, "; ")
	case m.Dossier != nil:
		d := m.Dossier
		text := []string{b.Pick("toegangen, procedures en contacten die nodig zijn om de Toepassing in bedrijf te houden", "the accesses, procedures and contacts needed to keep the Application running")}
		if d.ReviewEvery != "" {
			text = append(text, b.F("doorgenomen: %s", "reviewed %s", b.Every(d.ReviewEvery)))
		}
		if d.AgentMayTest {
			text = append(text, b.Pick("de escrow-agent mag de toegangen beproeven", "the escrow agent may test the accesses"))
		}
		return strings.Join(text, "; ")
	case m.Licence != nil:
		x := m.Licence
		text := []string{b.And(b.Words("licence_holds", x.Holds))}
		if x.Valid != nil {
			text = append(text, b.F("geldig gedurende %s, %s", "valid for %s, beginning %s", b.Period(x.Valid.Lasts), b.moment(x.Valid.StartsOn)))
		}
		if x.SeatsAsOf != "" {
			text = append(text, b.F("voor het aantal gebruikers volgens %s", "for the number of users in %s", b.W("seats_as_of", x.SeatsAsOf)))
		}
		if x.Features != "" {
			text = append(text, b.F("met %s", "with %s", b.W("features", x.Features)))
		}
		return strings.Join(text, "; ")
	case m.Images != nil:
		x := m.Images
		versions := b.W("versions", "all")
		if len(x.Versions) > 0 {
			versions = b.And(b.Words("versions", x.Versions))
		}
		text := []string{versions}
		if x.Every != "" {
			text = append(text, b.Every(x.Every))
		}
		return strings.Join(text, "; ")
	case m.CloudAccount != nil:
		x := m.CloudAccount
		text := b.F("account bij %s, met de identiteit %s", "account at %s, with the identity %s", x.Provider, x.Takeover)
		if x.Probe != "" {
			text += b.F("; de identiteit %s toont dagelijks aan dat de toegang werkt en kan verder niets", "; the identity %s proves daily that the access works, and can do nothing else", x.Probe)
		}
		return text
	case m.HostingPayment != nil:
		x := m.HostingPayment
		text := b.F("de rekening van %s", "the bill of %s", b.Party(x.Payee))
		if x.Amount != "" {
			text += ", " + b.Rate(x.Amount)
		}
		if x.Reference != "" {
			text += b.F(", kenmerk %s", ", reference %s", x.Reference)
		}
		return text
	case m.Standby != nil:
		x := m.Standby
		var text []string
		if x.Location != "" {
			text = append(text, b.F("in %s", "in %s", x.Location))
		}
		if x.Refresh != "" {
			text = append(text, b.F("bijgewerkt: %s", "refreshed %s", b.Every(x.Refresh)))
		}
		if x.Infrastructure != "" {
			text = append(text, b.F("opgebouwd uit %s", "built from %s", b.Module(x.Infrastructure)))
		}
		if x.RebuildEvery != "" {
			text = append(text, b.F("van de grond af opgebouwd: %s", "rebuilt from nothing %s", b.Every(x.RebuildEvery)))
		}
		if len(x.CutOver) > 0 {
			text = append(text, b.F("om te schakelen: %s", "to be switched over: %s", b.And(b.Words("cut_over", x.CutOver))))
		}
		return strings.Join(text, "; ")
	case m.Physical != nil:
		x := m.Physical
		text := b.F("%s, bij %s", "%s, at %s", b.And(x.Items), b.Party(x.At))
		if x.CountEvery != "" {
			text += b.F("; geteld: %s", "; counted %s", b.Every(x.CountEvery))
		}
		return text
	}
	return ""
}

// moduleTerms says when deposits are due, what they must pass and how long
// they stay.
func (b *builder) moduleTerms() {
	for i := range b.a.Modules {
		m := &b.a.Modules[i]
		base, _ := m.Base()
		var text []string
		say := func(nl, en string, args ...any) { text = append(text, b.F(nl, en, args...)) }
		if d := base.Due; d != nil {
			if d.Every != "" {
				say("Een inbreng geschiedt uiterlijk %s na de vorige", "A Deposit is due at the latest %s after the one before", b.Period(d.Every))
			}
			if d.AfterRelease != "" {
				say("Na de aankondiging van een nieuwe versie geschiedt een inbreng binnen %s", "After the announcement of a new version a Deposit is due within %s", b.Period(d.AfterRelease))
			}
			if d.Grace != "" {
				say("Een inbreng geldt pas %s daarna als gemist", "It counts as missed only %s after that", b.Period(d.Grace))
			}
		}
		if base.MissedAfter > 0 {
			say("Na %s gemiste inbrengen op rij is de leverancier te laat", "After %s missed Deposits in a row the supplier is late", b.Number(int64(base.MissedAfter)))
		}
		if base.Cure != "" {
			say("Een verzuim kan binnen %s worden hersteld", "A default can be cured within %s", b.Period(base.Cure))
		}
		if base.Accept != nil {
			accept := b.F("Een inbreng geldt wanneer zij toetsing op niveau %d heeft doorstaan", "A Deposit counts once it has passed verification level %d", base.Accept.Level)
			if base.Accept.Within != "" {
				accept += b.F(", binnen %s na de inbreng", ", within %s after it was made", b.Period(base.Accept.Within))
			}
			text = append(text, accept)
		}
		if c := base.Content; c != nil {
			say("Elke inbreng bevat: %s", "Every Deposit holds: %s", b.And(c.Mandatory))
			if len(c.Optional) > 0 {
				say("Zij mag daarnaast bevatten: %s", "It may also hold: %s", b.And(c.Optional))
			}
		}
		if r := base.Retention; r != nil {
			if r.Versions > 0 {
				say("De laatste %s goede inbrengen blijven bewaard", "The last %s good Deposits are kept", b.Number(int64(r.Versions)))
			}
			if r.For != "" {
				say("Elke inbreng blijft ten minste %s bewaard", "Every Deposit is kept for at least %s", b.Period(r.For))
			}
			if r.Level > 0 {
				say("De laatste inbreng die op niveau %d is getoetst, blijft hoe dan ook bewaard", "The last Deposit verified at level %d is kept in any case", r.Level)
			}
		}
		if r := m.Repository; r != nil && r.RebaseAfter > 0 {
			say("Na %s aanvullende inbrengen volgt een volledige", "After %s incremental Deposits a full one follows", b.Number(int64(r.RebaseAfter)))
		}
		if d := m.Data; d != nil {
			if d.MaxAge != "" {
				say("Persoonsgegevens daarin worden niet langer dan %s bewaard", "Personal data in it is kept for no longer than %s", b.Period(d.MaxAge))
			}
			if e := d.AtEnd; e != nil {
				within := ""
				if e.Within != "" {
					within = b.F(" binnen %s", " within %s", b.Period(e.Within))
				}
				if e.Rule == "destroy" {
					say("Bij het einde van de overeenkomst worden de gegevens%s vernietigd, tegen een bewijs van vernietiging", "When the agreement ends the data is destroyed%s, against a certificate of destruction", within)
				} else {
					say("Bij het einde van de overeenkomst blijven de gegevens bewaard zolang hun bewaartermijn loopt%s", "When the agreement ends the data stays for as long as its storage period runs%s", within)
				}
			}
		}
		if len(base.Components) > 0 {
			say("Het onderdeel dekt %s", "The module covers %s", b.And(base.Components))
		}
		if len(base.Rights) > 0 {
			say("Het gebruik ervan steunt op %s", "Its use rests on %s", b.rightNames(base.Rights))
		}
		if len(text) > 0 {
			b.clauseText(b.F("Voor %s geldt het volgende. ", "For %s the following applies. ", b.Module(base.ID)) + sentences(text...))
		}
	}
}

// keys says who opens what together.
func (b *builder) keys() {
	if len(b.a.Keys) == 0 {
		return
	}
	b.heading("Sleutels", "Keys")
	b.c("Elk Compartiment is versleuteld met een eigen sleutel, waarvan de aandelen over de sleutelbewaarders zijn verdeeld. Noch de escrow-agent, noch de beheerder van het systeem kan alleen een Compartiment openen.",
		"Each Compartment is encrypted with a key of its own, the shares of which are divided among the key holders. Neither the escrow agent nor the administrator of the system can open a Compartment alone.")
	for _, k := range b.a.Keys {
		name := b.compartment(k.Compartment)
		if k.Open != "" {
			holder := k.Holder
			if holder == "" {
				holder = "self"
			}
			text := append([]string{b.F("Het Compartiment %s is uitsluitend voor %s verzegeld, die het op elk moment zelf kan openen, zonder medewerking van anderen",
				"The Compartment %s is sealed to %s alone, which can open it itself at any time without the help of others", name, b.Party(holder))}, b.keyCare(k)...)
			b.clauseText(sentences(text...))
			continue
		}
		q := k.Quorum
		var text []string
		text = append(text, b.F("Het Compartiment %s wordt geopend door ten minste %s van de volgende sleutelbewaarders samen: %s", "The Compartment %s is opened by at least %s of the following key holders together: %s",
			name, b.Number(int64(q.Of)), b.parties(q.From)))
		if q.AtLeast != nil {
			text = append(text, b.F("Ten minste %s van hen %s onafhankelijk; zonder hen is openen wiskundig onmogelijk", "At least %s of them must be independent; without that, opening is mathematically impossible",
				b.Number(int64(q.AtLeast.Independent)), b.isAre(q.AtLeast.Independent)))
		}
		if q.PeopleEach > 1 {
			text = append(text, b.F("Elke sleutelbewaarder wijst %s personen aan, van wie ieder het aandeel kan gebruiken; zij tellen samen als één", "Each key holder names %s people, any one of whom can use its share; together they count as one", b.Number(int64(q.PeopleEach))))
		}
		text = append(text, b.keyCare(k)...)
		if q.Reason != "" {
			text = append(text, b.F("Toelichting: %s", "Reason: %s", clean(q.Reason)))
		}
		b.clauseText(sentences(text...))
	}
}

// keyCare says how a key is kept and who else can read.
func (b *builder) keyCare(k agreement.Key) []string {
	var text []string
	if k.AroundTheClock {
		text = append(text, b.Pick("Openen moet dag en nacht mogelijk zijn", "It must be possible to open it day and night"))
	}
	if len(k.InHSM) > 0 {
		text = append(text, b.F("In een hardwarebeveiligingsmodule (HSM) bewaart zijn sleutel: %s", "Its key is kept in a hardware security module by %s", b.parties(k.InHSM)))
	}
	if k.Verifier {
		text = append(text, b.Pick("De afzonderlijke toetser kan de inhoud lezen om die te controleren", "The separate verifier can read the content in order to check it"))
	}
	return text
}

func (b *builder) isAre(n int) string {
	if n == 1 {
		return b.Pick("is", "is")
	}
	return b.Pick("zijn", "are")
}

func (b *builder) rightNames(ids []string) string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = b.Quote(id)
		for _, r := range b.a.Rights {
			if r.ID == id {
				out[i] = b.F("%s (%s van %s)", "%s (%s of %s)", b.Quote(id), b.W("right", r.Kind), b.parties(r.Holder))
			}
		}
	}
	return b.And(out)
}

// operators says on what terms somebody acts after a release, and what is
// pledged to whom.
func (b *builder) operators() {
	var texts []string
	for _, p := range b.a.Parties {
		if m := p.Mandate; m != nil {
			t := b.F("%s treedt na een Vrijgave op als %s", "%s acts as %s after a Release", b.Party(p.ID), b.Role(escrow.Role(p.Role)))
			if m.Rate != "" {
				t += b.F(", tegen %s", ", at %s", b.Rate(m.Rate))
			}
			if m.Reaction != "" {
				t += b.F(", en begint binnen %s", ", and begins within %s", b.Period(m.Reaction))
			}
			texts = append(texts, t)
		}
		if x := p.Pledge; x != nil {
			t := b.F("Aan %s zijn verpand: %s", "The following are pledged to %s: %s", b.Party(p.ID), b.And(b.Words("pledge", x.Over)))
			if len(x.GivenBy) > 0 {
				t += b.F(", door %s", ", by %s", b.parties(x.GivenBy))
			}
			texts = append(texts, t)
		}
		if len(p.Group) > 0 {
			texts = append(texts, b.F("De rechten van %s komen mede toe aan: %s", "The rights of %s also belong to %s", b.Party(p.ID), b.And(p.Group)))
		}
		if p.Controlled != "" {
			texts = append(texts, b.F("%s heeft zeggenschap over %s; laatstgenoemde telt aan de zijde van eerstgenoemde en geldt niet als onafhankelijk", "%s controls %s; the latter counts on the side of the former and not as independent", b.Party(p.Controlled), b.Party(p.ID)))
		}
		if p.Signs != nil && !*p.Signs {
			texts = append(texts, b.F("%s (%s) ondertekent deze overeenkomst niet", "%s (%s) does not sign this agreement", b.Party(p.ID), b.Role(escrow.Role(p.Role))))
		}
		if p.Independent != nil && p.Name != "" {
			if *p.Independent {
				texts = append(texts, b.F("%s geldt als onafhankelijk", "%s counts as independent", b.Party(p.ID)))
			} else {
				texts = append(texts, b.F("%s geldt niet als onafhankelijk", "%s does not count as independent", b.Party(p.ID)))
			}
		}
	}
	if len(texts) == 0 {
		return
	}
	b.heading("Bijzondere verhoudingen", "Particular relations")
	for _, t := range texts {
		b.clauseText(t)
	}
}
