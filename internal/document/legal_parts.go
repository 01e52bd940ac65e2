package document

import (
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement/phrase"
)

// accession is what a beneficiary signs to join.
func (b *builder) accession() {
	b.definitions()
	b.heading("Toetreding", "Accession")
	b.c("%s treedt toe tot de regeling voor de Toepassing en aanvaardt de rechten en verplichtingen die daarin aan een begunstigde toekomen.", "%s joins the arrangement for the Application and accepts the rights and obligations it gives to a beneficiary.", b.self())
	b.c("De overige partijen aanvaarden deze toetreding. Voor toetreding en beëindiging is geen medewerking van andere begunstigden nodig.", "The other parties accept this accession. Joining and leaving take no act of other beneficiaries.")
	if len(b.v.Part.RestsOn) > 0 {
		b.c("Deze overeenkomst steunt op %s. De bepalingen daarvan die een begunstigde aangaan, zijn hierna herhaald; bij verschil kan zij zich beroepen op de tekst van deze overeenkomst.",
			"This agreement rests on %s. The provisions of it that concern a beneficiary are repeated below; where they differ, the beneficiary may rely on the text of this agreement.", b.And(quoteAll(b.Lang, b.v.Part.RestsOn)))
	}
	b.c("De gegevens van %s worden afzonderlijk gehouden en verzegeld. Een Vrijgave aan een ander verandert niets voor haar, en omgekeerd.", "The data of %s is kept and sealed separately. A Release to somebody else changes nothing for it, nor the other way round.", b.self())
}

func quoteAll(l phrase.Lang, list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = l.Quote(s)
	}
	return out
}

// processing is the agreement between a customer as controller and whoever
// keeps the service running as processor (article 28 GDPR).
func (b *builder) processing() {
	processor := ""
	for _, id := range b.v.Part.Parties {
		if id != b.v.Self {
			processor = b.Party(id)
		}
	}
	controller := b.self()
	b.heading("Onderwerp en duur", "Subject matter and duration")
	b.c("%s verwerkt in het kader van deze regeling persoonsgegevens ten behoeve van %s. %s is verwerkingsverantwoordelijke, %[1]s is verwerker in de zin van artikel 28 van de Algemene verordening gegevensbescherming (AVG).",
		"Under this arrangement %s processes personal data on behalf of %s. %[2]s is the controller and %[1]s the processor within the meaning of article 28 of the General Data Protection Regulation (GDPR).", processor, controller, phrase.Capital(controller))
	b.c("De verwerking bestaat uit het in stand houden van de Toepassing %s. Zij betreft de persoonsgegevens die %s in de Toepassing vastlegt, van de personen op wie haar gebruik van de Toepassing ziet.",
		"The processing consists of keeping the Application %s running. It concerns the personal data that %s records in the Application, of the people its use of the Application relates to.", b.a.Application.Name, controller)
	b.c("De verwerking begint %s en duurt zolang de verwerker toegang tot de gegevens heeft.", "The processing begins %s and lasts for as long as the processor has access to the data.", b.moment(b.v.Part.InForceOn))
	b.heading("Verplichtingen van de verwerker", "Obligations of the processor")
	b.c("De verwerker:", "The processor:")
	b.items([]string{
		b.Pick("verwerkt de gegevens uitsluitend op schriftelijke instructie van de verwerkingsverantwoordelijke, ook wat doorgifte naar derde landen betreft", "processes the data only on documented instructions of the controller, also as regards transfers to third countries"),
		b.Pick("waarborgt dat wie de gegevens verwerkt, tot geheimhouding is gehouden", "ensures that those who process the data are bound to confidentiality"),
		b.Pick("neemt de maatregelen die artikel 32 AVG vereist", "takes the measures required by article 32 GDPR"),
		b.Pick("schakelt geen andere verwerker in zonder voorafgaande schriftelijke toestemming en legt die dezelfde verplichtingen op", "engages no other processor without prior written authorisation, and imposes the same obligations on it"),
		b.Pick("verleent bijstand bij verzoeken van betrokkenen en bij de verplichtingen van de artikelen 32 tot en met 36 AVG", "assists with requests of data subjects and with the obligations under articles 32 to 36 GDPR"),
		b.Pick("meldt een inbreuk in verband met persoonsgegevens zonder onredelijke vertraging nadat zij daarvan kennis heeft gekregen", "notifies a personal data breach without undue delay after becoming aware of it"),
		b.Pick("wist na afloop alle gegevens of geeft deze terug, naar keuze van de verwerkingsverantwoordelijke, tegen een bewijs van vernietiging", "at the choice of the controller deletes or returns all the data at the end, against a certificate of destruction"),
		b.Pick("stelt alle informatie ter beschikking die nodig is om de nakoming aan te tonen, en werkt mee aan audits", "makes available all information needed to demonstrate compliance, and contributes to audits"),
	}, b.and())
	b.c("Is een instructie naar het oordeel van de verwerker in strijd met de AVG, dan laat zij dat onmiddellijk weten.", "If the processor considers that an instruction infringes the GDPR, it says so immediately.")
}

func (b *builder) hostPart() {
	b.heading("Doel", "Purpose")
	b.c("Deze verklaring legt vast wat na het wegvallen van %s van de hostingprovider mag worden verwacht, zodat de Toepassing %s in de lucht kan blijven.",
		"This undertaking records what may be expected of the host after %s has failed, so that the Application %s can be kept running.", b.parties(b.a.WithRole(escrow.Supplier)), b.a.Application.Name)
	b.c("De verklaring schept eigen verplichtingen jegens de partijen bij deze verklaring en blijft gelden bij faillissement of surseance van betaling van de leverancier.",
		"It creates obligations of its own towards the parties to it and continues in the bankruptcy or suspension of payments of the supplier.")
}

func (b *builder) slaPart() { b.slaScope() }

// slaScope begins a service level agreement.
func (b *builder) slaScope() {
	b.heading("Reikwijdte", "Scope")
	b.c("Deze overeenkomst legt vast welk niveau van dienstverlening %s bij het gebruik van %s mag verwachten van %s.", "This agreement lays down the level of service that %s may expect of %[3]s in using %[2]s.",
		b.self(), b.a.Application.Name, b.parties(b.a.WithRole(escrow.Supplier)))
	b.c("Beschikbaarheid wordt uitgedrukt in tijd, niet in aantallen metingen. Perioden en uren worden gerekend in de tijdzone %s.", "Availability is expressed in time, not in numbers of checks. Periods and hours are counted in the time zone %s.", b.a.TimeZone)
}

// slaClosing says what a service level agreement leaves alone.
func (b *builder) slaClosing() {
	b.clauses(func(about string) bool { return about != "continuity" && about != "other" })
	b.heading("Verhouding tot de continuïteitsregeling", "Relation to the continuity arrangement")
	b.c("De cijfers die deze overeenkomst oplevert, zijn dezelfde als die waarop de Gronden voor Vrijgave steunen.", "The figures under this agreement are the same as those the release Events rest on.")
	b.c("De vergoedingen in deze overeenkomst laten het recht op nakoming en, waar de wet dat niet uitsluit, op aanvullende schadevergoeding onverlet.", "The credits under this agreement do not affect the right to performance nor, where the law does not exclude it, to further damages.")
}

func (b *builder) supplement() {
	if len(b.v.Part.RestsOn) > 0 {
		b.heading("Verhouding tot de overeenkomst", "Relation to the agreement")
		b.c("Dit deel steunt op %s en vormt daarmee één geheel.", "This part rests on %s and forms one whole with it.", b.And(quoteAll(b.Lang, b.v.Part.RestsOn)))
		if n := b.v.Note; n != "" {
			b.c("%s", "%s", clean(n))
		}
	}
}
