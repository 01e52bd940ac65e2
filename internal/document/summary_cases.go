package document

import (
	"slices"
	"strings"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/phrase"
)

// worst walks through the three worst cases.
func (s *summary) worst() {
	if len(s.a.Release.Events) == 0 && len(s.a.HostUndertakings) == 0 {
		return
	}
	s.title(1, "De drie ergste gevallen", "The three worst cases")
	s.title(2, "1. De leverancier gaat failliet", "1. The supplier goes bankrupt")
	s.walk(s.about(s.a.WithRole(escrow.Supplier), "insolvency"),
		"Voor dit geval staat hier geen grond die u aangaat", "There is no event for this case here that concerns you")
	if s.role == escrow.Supplier {
		s.p("Vanaf die dag treedt de curator voor u op, met dezelfde rechten om te betwisten", "From that day the insolvency practitioner acts for you, with the same rights to contest")
	}
	s.undertaking()
	s.title(2, "2. De dienst ligt stil en de leverancier zwijgt", "2. The service is down and the supplier is silent")
	s.walk(s.standstill(), "Voor dit geval staat hier geen grond: stilstand alleen leidt niet tot een vrijgave. Wel kunnen partijen overleggen en kan een rechter worden gevraagd",
		"There is no event for this case here: standstill alone leads to no release. The parties can still talk, and a court can be asked")
	s.title(2, "3. De escrow-agent valt weg", "3. The escrow agent falls away")
	agents := s.a.WithRole(escrow.Agent)
	events := s.about(agents, "insolvency")
	if len(events) > 0 {
		s.walk(events, "", "")
	}
	s.p("De sleutels zijn verdeeld: het systeem en de escrow-agent kunnen verdwijnen zonder dat er iets verloren gaat. Wat is ingebracht, is met algemeen verkrijgbare programma's te openen zodra genoeg sleutelbewaarders meewerken.%s",
		"The keys are divided: the system and the escrow agent can disappear without anything being lost. What was deposited can be opened with generally available programs once enough key holders co-operate.%s", s.without(agents))
	if c := s.a.ChangeOfParty; c != nil && c.Replaced != nil && c.Replaced.Notice != "" {
		s.p("De escrow-agent kan ook worden vervangen, met een termijn van %s", "The escrow agent can also be replaced, on notice of %s", s.Period(c.Replaced.Notice))
	}
}

// without says whether what is held can be opened without the agent.
func (s *summary) without(agents []string) string {
	var stuck []string
	for _, k := range s.a.Keys {
		if k.Quorum == nil {
			continue
		}
		left := 0
		for _, id := range k.Quorum.From {
			if !slices.Contains(agents, id) {
				left++
			}
		}
		if left < k.Quorum.Of {
			stuck = append(stuck, s.compartment(k.Compartment))
		}
	}
	if len(stuck) == 0 {
		return ""
	}
	return s.F(" Let op: zonder de escrow-agent kan %s niet worden geopend", " Mind: without the escrow agent %s cannot be opened", s.And(stuck))
}

// about returns the events whose condition reads a fact about one of the
// parties.
func (s *summary) about(ids []string, fact string) []agreement.Event {
	var out []agreement.Event
	for _, e := range s.a.Release.Events {
		for _, id := range ids {
			if strings.Contains(e.When, fact+`("`+id+`")`) {
				out = append(out, e)
				break
			}
		}
	}
	return out
}

// standstill returns the events that rest on what is measured.
func (s *summary) standstill() []agreement.Event {
	var out []agreement.Event
	first := s.about(s.a.WithRole(escrow.Supplier), "insolvency")
	for _, e := range s.a.Release.Events {
		if slices.ContainsFunc(first, func(o agreement.Event) bool { return o.ID == e.ID }) {
			continue // told in the first case
		}
		for _, fact := range []string{"sla.down(", "sla.disrupted(", "heartbeat.age(", "unknown_for(", "contact_attempts(", "outside_tolerance("} {
			if strings.Contains(e.When, fact) {
				out = append(out, e)
				break
			}
		}
	}
	return out
}

func (s *summary) walk(events []agreement.Event, noneNL, noneEN string) {
	if len(events) == 0 {
		s.p(noneNL, noneEN)
		return
	}
	for _, e := range events {
		s.bulletText(s.happens(e))
	}
}

// undertaking says what the host has promised, to those who may read it.
func (s *summary) undertaking() {
	for _, u := range s.a.HostUndertakings {
		if u.Continues == "" {
			continue
		}
		who := s.Party(u.By)
		if s.is(u.By) {
			s.p("U hebt toegezegd dan nog %s door te gaan", "You have promised to go on for %s then", s.Period(u.Continues))
		} else {
			s.p("%s heeft toegezegd dan nog %s door te gaan", "%s has promised to go on for %s then", who, s.Period(u.Continues))
		}
	}
}

func (s *summary) cost() {
	s.title(1, "Wat het kost", "What it costs")
	n := 0
	for _, f := range s.a.Fees {
		mine := slices.Contains(s.a.PartyIDs(f.Payer, ""), s.me)
		n++
		if mine {
			s.bullet("U betaalt %s (%s)", "You pay %s (%s)", s.Rate(f.Amount), s.fee(f.What))
		} else {
			s.bullet("%s betaalt %s (%s)", "%s pays %s (%s)", phrase.Capital(s.parties(f.Payer)), s.Rate(f.Amount), s.fee(f.What))
		}
	}
	for _, f := range s.a.Funds {
		for _, c := range f.Contributions {
			n++
			if slices.Contains(s.a.PartyIDs(c.From, ""), s.me) {
				s.bullet("U draagt %s bij aan het continuïteitsfonds van %s", "You contribute %s to the continuity fund of %s", s.Rate(c.Amount), s.Party(f.Holder))
			} else {
				s.bullet("%s draagt %s bij aan het continuïteitsfonds", "%s contributes %s to the continuity fund", phrase.Capital(s.parties(c.From)), s.Rate(c.Amount))
			}
		}
		if f.Covers != "" {
			s.bullet("Uit het fonds kan de dienst %s in de lucht worden gehouden", "The fund can keep the service running for %s", s.Period(f.Covers))
		}
	}
	for _, u := range s.a.HostUndertakings {
		if u.Price != "" {
			n++
			s.bullet("De hosting kost %s", "The hosting costs %s", s.Rate(u.Price))
		}
	}
	for _, x := range s.a.SLA {
		if c := x.Credits; c != nil && c.Base != nil {
			s.bullet("Bij te lage beschikbaarheid (dienstenniveau %s) is er een vergoeding van ten hoogste %s van %s, mits binnen %s ingeroepen", "If availability is too low (service level %s) there is a credit of at most %s of %s, if claimed within %s",
				s.Quote(x.ID), s.Percent(c.Cap), s.Rate(c.Base.Fee), s.Period(c.ClaimWithin))
		}
	}
	if p := s.a.Party(s.me); p != nil && p.Mandate != nil && p.Mandate.Rate != "" {
		n++
		s.bullet("Uw werk na een vrijgave wordt vergoed tegen %s", "Your work after a release is paid at %s", s.Rate(p.Mandate.Rate))
	}
	if n == 0 && s.me != "" {
		s.p("In wat u mag lezen, staan geen vergoedingen die u betaalt of ontvangt", "What you may read names no fees that you pay or receive")
	}
}

// duties lists what the reader has to do.
func (s *summary) duties() {
	if s.me == "" {
		return
	}
	s.title(1, "Wat er van u wordt verwacht", "What is expected of you")
	switch s.role {
	case escrow.Supplier:
		s.bullet("Zorg dat elke inbreng op tijd komt en herstel wat is gemist", "See to it that every deposit comes in time, and make good what was missed")
		s.bullet("Lees een kennisgeving meteen: termijnen lopen ook als u haar laat liggen", "Read a notice at once: periods run even if you leave it lying")
	case escrow.Beneficiary:
		s.bullet("Houd uw sleutel en het herstelvel op papier veilig en op twee plaatsen", "Keep your key and its paper recovery sheet safe and in two places")
		s.bullet("Houd de lijst van wie voor u mag optreden bij", "Keep the list of who may act for you up to date")
		s.bullet("Oefen het openen van uw eigen gegevens ten minste eenmaal per jaar", "Practise opening your own data at least once a year")
		for _, e := range s.a.Environments {
			if e.Beneficiary == s.me && e.ReportEvery != "" {
				s.bullet("Geef %s op welke versie bij u draait", "Report %s which version you run", s.Every(e.ReportEvery))
			}
		}
	case escrow.Trustee:
		s.bullet("Bewaar uw aandeel zo dat niemand anders erbij kan, en toon op verzoek aan dat u het nog hebt", "Keep your share where nobody else can reach it, and prove on request that you still have it")
		s.bullet("Vergelijk vóór elke goedkeuring de vingerafdruk van de ontvanger buiten het systeem om", "Before every approval compare the fingerprint of the recipient outside the system")
	case escrow.Host:
		s.bullet("Bevestig uw toezegging opnieuw wanneer daarom wordt gevraagd", "Confirm your undertaking again when asked")
		s.bullet("Waarschuw voordat u opschort", "Warn before you suspend")
	case escrow.Operator:
		s.bullet("Houd mensen beschikbaar die het continuïteitsdossier kennen", "Keep people available who know the continuity dossier")
	case escrow.Foundation:
		s.bullet("Houd het geld en de rechten gereed, en herijk ten minste eenmaal per jaar hoe lang het fonds reikt", "Keep the money and the rights ready, and work out at least once a year how long the fund lasts")
	case escrow.Agent:
		s.bullet("Meld een gemiste inbreng meteen en behandel elke zaak binnen de termijnen", "Report a missed deposit at once and handle every case within its periods")
	default:
		s.bullet("Houd de lijst van wie voor u mag optreden bij", "Keep the list of who may act for you up to date")
	}
	if len(s.shares()) > 0 && s.role != escrow.Trustee {
		s.bullet("Bewaar uw sleutelaandeel veilig en toon op verzoek aan dat u het nog hebt", "Keep your key share safe and prove on request that you still have it")
	}
}
