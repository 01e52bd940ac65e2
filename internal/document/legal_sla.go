package document

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/phrase"
	"holdfast/internal/escrow/agreement/quantity"
)

// serviceLevels writes the articles of every service level that is read.
func (b *builder) serviceLevels() {
	for _, s := range b.a.SLA {
		b.serviceLevel(s)
	}
	if s := b.a.StatusPage; s != nil {
		b.heading("Statuspagina", "Status page")
		var text []string
		if s.URL != "" {
			text = append(text, b.F("De actuele stand is openbaar te lezen op %s", "The current state is published at %s", s.URL))
		}
		if len(s.Languages) > 0 {
			langs := make([]string, len(s.Languages))
			for i, l := range s.Languages {
				langs[i] = map[agreement.Language]string{"nl": b.Pick("Nederlands", "Dutch"), "en": b.Pick("Engels", "English")}[l]
			}
			text = append(text, b.F("De pagina is in het %s gesteld", "The page is in %s", b.And(langs)))
		}
		if len(s.Components) > 0 {
			text = append(text, b.F("Zij toont %s", "It shows %s", b.And(s.Components)))
		}
		if s.ExportTo != "" {
			text = append(text, b.F("Een afschrift staat bij een andere host, op %s", "A copy is kept at another host, at %s", s.ExportTo))
		}
		b.clauseText(sentences(text...))
	}
}

func (b *builder) serviceLevel(s agreement.SLA) {
	b.heading("Dienstenniveau "+b.Quote(s.ID), "Service level "+b.Quote(s.ID))
	about := b.Pick("de Toepassing", "the Application")
	if s.Component != "" {
		about = b.Component(s.Component)
	}
	if s.ForEach != "" && b.v.Self == "" {
		b.c("Dit dienstenniveau geldt voor elke %s afzonderlijk.", "This service level applies to each %s separately.", b.member(s.ForEach))
	} else if s.ForEach != "" {
		b.c("Dit dienstenniveau geldt tegenover %s.", "This service level is owed to %s.", b.self())
	}
	if a := s.Availability; a != nil {
		b.availability(*a, about, s)
	}
	if p := s.Probe; p != nil {
		b.probe(*p)
	}
	if r := s.ResponseTime; r != nil {
		var text []string
		for _, x := range []struct {
			share string
			p     string
		}{{"50", string(r.P50)}, {"95", string(r.P95)}, {"99", string(r.P99)}} {
			if x.p != "" {
				text = append(text, b.F("%s van de 100 verzoeken binnen %s", "%s of 100 requests within %s", x.share, b.Period(period(x.p))))
			}
		}
		b.c("De Toepassing beantwoordt %s.", "The Application answers %s.", b.And(text))
	}
	b.supportClause(s.Support)
	if c := s.Credits; c != nil {
		b.credits(*c, s.Availability)
	}
	if t := s.Terminate; t != nil {
		b.c("Wordt het toegezegde niveau binnen %s %s maal niet gehaald, dan mag de afnemer de overeenkomst met de leverancier zonder vergoeding ontbinden.",
			"If the promised level is missed %[2]s times within %[1]s, the customer may terminate its contract with the supplier without compensation.", b.Period(t.In), b.Number(int64(t.Misses)))
	}
	if len(s.Remedies) > 0 {
		b.c("Daarnaast heeft de afnemer recht op:", "The customer is further entitled to:")
		var items []string
		for _, r := range s.Remedies {
			items = append(items, b.remedy(r))
		}
		b.items(items, b.and())
	}
	b.holidays(s)
}

// remedy says what follows besides money, and when.
func (b *builder) remedy(r agreement.Remedy) string {
	text := b.W("sla_remedy", r.Kind)
	if r.Length != "" {
		text += b.F(" (%s)", " (%s)", b.Period(r.Length))
	}
	if r.What != "" {
		text += ": " + clean(r.What)
	}
	misses := max(r.Misses, 1)
	switch {
	case r.In != "":
		text += b.F(", wanneer het niveau binnen %s %s maal niet is gehaald", ", when the level was missed %[2]s times within %[1]s", b.Period(r.In), b.Number(int64(misses)))
	case misses > 1:
		text += b.F(", wanneer het niveau %s maal niet is gehaald", ", when the level was missed %s times", b.Number(int64(misses)))
	default:
		text += b.Pick(", wanneer het niveau niet is gehaald", ", when the level was missed")
	}
	if r.Below != "" {
		text += b.F(" met een beschikbaarheid lager dan %s", " with an availability below %s", b.Percent(r.Below))
	}
	return text
}

// holidays says what public holidays do to service and support hours.
func (b *builder) holidays(s agreement.SLA) {
	days := func(list []quantity.Date) string {
		out := make([]string, len(list))
		for i, d := range list {
			out[i] = b.Date(d)
		}
		return b.And(out)
	}
	var text []string
	if s.Holidays != "" {
		text = append(text, b.F("Algemeen erkende feestdagen %s de uren die hierboven met dagen van de week zijn aangeduid", "Public holidays %s the hours given above by days of the week", b.W("sla_holidays", s.Holidays)))
	}
	if len(s.AlsoClosed) > 0 {
		text = append(text, b.F("Daarbuiten vallen ook %s", "Also outside them are %s", days(s.AlsoClosed)))
	}
	if len(s.AlsoOpen) > 0 {
		text = append(text, b.F("Daarbinnen vallen ook %s", "Also inside them are %s", days(s.AlsoOpen)))
	}
	if len(text) > 0 {
		b.clauseText(sentences(text...))
	}
}

func (b *builder) availability(a agreement.Availability, about string, s agreement.SLA) {
	hours := b.Pick("gemeten over alle uren van de dag", "measured over all hours of the day")
	if a.Hours != "" {
		hours = b.F("gemeten over de diensturen: %s", "measured over the service hours: %s", b.Hours(a.Hours))
	}
	b.c("De leverancier zegt toe dat %s per %s ten minste %s van de tijd beschikbaar is, %s.", "The supplier promises that %s is available for at least %[3]s of the time in each %[2]s, %[4]s.",
		about, b.uptimePeriod(a), b.Percent(a.Uptime), hours)
	if allowed := b.allowedDowntime(a); allowed != "" {
		b.c("%s", "%s", allowed)
	}
	var text []string
	say := func(nl, en string, args ...any) { text = append(text, b.F(nl, en, args...)) }
	if a.Starts != "" {
		say("Een meetperiode begint op %s", "A period begins on %s", b.MonthDay(a.Starts))
	}
	if a.TimeZone != "" {
		say("De meetperiode wordt gerekend in de tijdzone %s", "The period is counted in the time zone %s", a.TimeZone)
	}
	say("Gemeten wordt %s", "What is measured is %s", b.W("measure", a.Measure))
	if a.Interval != "" {
		say("Een meetinterval duurt %s", "A measuring interval lasts %s", b.Period(a.Interval))
	}
	if a.Threshold != "" {
		say("Een minuut telt als onbeschikbaar bij een foutpercentage van meer dan %s", "A minute counts as down at an error rate above %s", b.Percent(a.Threshold))
	}
	if a.MinRequests > 0 {
		say("Een interval met minder dan %s verzoeken telt niet mee", "An interval with fewer than %s requests does not count", b.Digits(int64(a.MinRequests)))
	}
	if a.Empty != "" {
		say("Een interval zonder verzoeken %s", "An interval without requests %s", b.W("empty_interval", a.Empty))
	}
	if a.MinOutage != "" {
		say("Een onderbreking korter dan %s telt niet mee; beslissend is de duur van de hele onderbreking", "An outage shorter than %s does not count; what decides is the length of the whole outage", b.Period(a.MinOutage))
	}
	if a.PartMinutes != "" {
		say("Begonnen minuten %s", "Begun minutes %s", b.W("partial_minutes", a.PartMinutes))
	}
	gaps := a.Gaps
	if gaps == "" {
		gaps = "left_out"
	}
	say("Tijd waarin niemand heeft gemeten, %s", "Time that nobody measured %s", b.W("gaps", gaps))
	if a.Denominator != "" {
		say("De beschikbaarheid is een aandeel van %s", "The availability is a share of %s", b.W("denominator", a.Denominator))
	}
	rounding := a.Rounding
	if rounding == "" {
		rounding = "none"
	}
	say("De uitkomst wordt vóór de toetsing %s", "Before it is tested, the figure is %s", b.W("rounding", rounding))
	if a.Disputable != "" {
		say("Een cijfer kan gedurende %s worden betwist", "A figure can be disputed for %s", b.Period(a.Disputable))
	}
	b.clauseText(sentences(text...))
	if len(a.Exclusions) == 0 {
		b.c("Er is geen tijd uitgezonderd: ook onderhoud telt mee.", "No time is excluded: maintenance counts as well.")
		return
	}
	b.c("Niet als onbeschikbaar telt tijd die het gevolg is van:", "Time does not count as down when it is due to:")
	var items []string
	for _, x := range a.Exclusions {
		items = append(items, b.exclusion(x))
	}
	b.items(items, b.or())
}

// uptimePeriod names the period, a rolling one with its length.
func (b *builder) uptimePeriod(a agreement.Availability) string {
	name := b.W("uptime_period", a.Period)
	if a.Window != "" {
		name += b.F(" van %s", " of %s", b.Period(a.Window))
	}
	return name
}

func (b *builder) exclusion(x agreement.Exclusion) string {
	text := b.W("exclusion", x.Kind)
	var with []string
	if x.Notice != "" {
		with = append(with, b.F("ten minste %s van tevoren aangekondigd", "announced at least %s beforehand", b.Period(x.Notice)))
	}
	if x.Windows != "" {
		with = append(with, b.F("binnen %s", "within %s", b.Hours(x.Windows)))
	}
	if x.Most != "" {
		with = append(with, b.F("ten hoogste %s per %s", "at most %s in a %s", b.Period(x.Most), b.mostIn(x)))
	}
	if x.Times > 0 {
		with = append(with, b.F("ten hoogste %s maal per %s", "at most %s times in a %s", b.Number(int64(x.Times)), b.mostIn(x)))
	}
	if x.Standing {
		with = append(with, b.Pick("zonder afzonderlijke aankondiging", "without a separate announcement"))
	}
	if x.Evidence != "" {
		with = append(with, b.F("te bewijzen met %s", "to be shown by %s", x.Evidence))
	}
	if x.Approver != "" {
		with = append(with, b.F("goed te keuren door %s", "to be accepted by %s", b.Party(x.Approver)))
	}
	if len(x.Except) > 0 {
		with = append(with, b.F("behalve van %s, wier storingen wel meetellen", "other than %s, whose failures count all the same", b.parties(x.Except)))
	}
	if len(with) > 0 {
		text += ", " + strings.Join(with, ", ")
	}
	return text
}

// mostIn is the time over which a limit of an exclusion is counted.
func (b *builder) mostIn(x agreement.Exclusion) string {
	if x.MostIn == "" {
		return b.W("at_most_in", "period")
	}
	return b.W("at_most_in", x.MostIn)
}

func (b *builder) probe(p agreement.Probe) {
	text := []string{b.F("De beschikbaarheid wordt %s gemeten", "Availability is measured %s", b.Every(p.Every))}
	if p.By != "" {
		text[0] += b.F(" door %s", " by %s", b.Party(p.By))
	}
	if len(p.From) > 0 {
		text[0] += b.F(", vanuit %s", ", from %s", b.And(p.From))
	}
	quorum := p.Quorum
	if quorum == "" {
		quorum = "majority"
	}
	text = append(text, b.F("De Toepassing geldt als onbeschikbaar wanneer %s dat vaststelt", "The Application counts as down when %s finds it so", b.W("probe_quorum", quorum)))
	if b.Lang == phrase.EN && quorum != "any" {
		text[1] = "The Application counts as down when " + b.W("probe_quorum", quorum) + " find it so"
	}
	if p.Agree > 0 {
		text[1] = b.F("De Toepassing geldt als onbeschikbaar wanneer ten minste %s meetpunten dat vaststellen", "The Application counts as down when at least %s locations find it so", b.Number(int64(p.Agree)))
	}
	if p.Timeout != "" {
		text = append(text, b.F("Een meting zonder antwoord binnen %s is mislukt", "A check without an answer within %s has failed", b.Period(p.Timeout)))
	}
	if p.Redirects != "" {
		text = append(text, b.F("Een antwoord dat naar een ander adres verwijst, %s", "An answer that points to another address %s", b.W("redirects", p.Redirects)))
	}
	if len(p.Truth) > 0 {
		text = append(text, b.F("Beslissend zijn de cijfers van %s", "The figures of %s decide", b.parties(p.Truth)))
	}
	b.clauseText(sentences(text...))
}

func (b *builder) supportClause(s *agreement.Support) {
	if s == nil {
		return
	}
	var text []string
	if len(s.Channels) > 0 {
		text = append(text, b.F("Ondersteuning is bereikbaar per %s", "Support is reached by %s", b.Or(b.Words("channel", s.Channels))))
	}
	if s.Hours != "" {
		text = append(text, b.F("De ondersteuningsuren zijn %s", "Support hours are %s", b.Hours(s.Hours)))
	}
	if len(s.Levels) > 0 {
		text = append(text, b.F("Ondersteuning wordt geboden op niveau %s", "Support is offered at the level %s", b.And(s.Levels)))
	}
	if len(text) > 0 {
		b.clauseText(sentences(text...))
	}
	if len(s.Priorities) == 0 {
		return
	}
	b.c("Meldingen worden naar prioriteit als volgt behandeld:", "Tickets are handled by priority as follows:")
	var rows [][]string
	for _, p := range slices.Sorted(maps.Keys(s.Priorities)) {
		x := s.Priorities[p]
		clock := x.Clock
		if clock == "" {
			clock = "support_hours"
		}
		rows = append(rows, []string{strings.ToUpper(p), b.Period(x.Response), b.Period(x.Update), b.Period(x.Workaround), b.Period(x.Resolution), b.W("clock", clock)})
	}
	b.table([]string{b.Pick("Prioriteit", "Priority"), b.Pick("Reactie", "Response"), b.Pick("Bericht", "Update"), b.Pick("Omweg", "Workaround"), b.Pick("Oplossing", "Resolution"), b.Pick("De klok loopt", "The clock runs")},
		[]int{13, 15, 14, 14, 15, 29}, rows)
}

func (b *builder) credits(c agreement.Credits, a *agreement.Availability) {
	b.c("Wordt het toegezegde niveau niet gehaald, dan heeft de afnemer recht op een vergoeding:", "If the promised level is missed, the customer is entitled to a credit:")
	var rows [][]string
	for _, t := range c.Tiers {
		rows = append(rows, []string{b.tier(t), b.F("%s van de grondslag", "%s of the base", b.Percent(t.Credit))})
	}
	b.table([]string{b.Pick("Beschikbaarheid", "Availability"), b.Pick("Vergoeding", "Credit")}, []int{50, 50}, rows)
	if f := c.Formula; f != nil {
		b.clauseText(sentences(b.formula(*f)...))
	}
	share := "affected_service"
	var text []string
	if c.Base != nil {
		if c.Base.Share != "" {
			share = c.Base.Share
		}
		text = append(text, b.F("De grondslag is %s; de vergoeding voor de dienst bedraagt %s", "The base is %s; the fee for the service is %s", b.W("credit_share", share), b.Rate(c.Base.Fee)))
		if c.Base.Payer != "" {
			text = append(text, b.F("Zij wordt betaald door %[1]s en de vergoeding komt toe aan %[1]s", "It is paid by %[1]s, and the credit is due to %[1]s", b.Party(c.Base.Payer)))
		}
		for _, f := range c.Base.For {
			line := b.F("Voor %s bedraagt zij %s", "For %s it is %s", b.Party(f.Of), b.Rate(f.Fee))
			if f.Payer != "" {
				line += b.F(", te betalen door %s, aan wie dan de vergoeding toekomt", ", paid by %s, to which the credit is then due", b.Party(f.Payer))
			}
			text = append(text, line)
		}
	}
	limit := b.Pick("de grondslag", "the base")
	if c.CapOf != "" {
		limit = b.W("cap_of", c.CapOf)
	}
	text = append(text, b.F("De vergoeding bedraagt ten hoogste %s van %s", "The credit is at most %s of %s", b.Percent(c.Cap), limit))
	if c.Ceiling != nil {
		text = append(text, b.F("Over %s bedragen vergoedingen samen ten hoogste de vergoeding voor de dienst over %s", "Within %s credits together are at most the fee for the service for %s", b.Period(c.Ceiling.In), b.Period(quantity.Period(fmt.Sprintf("%dmo", c.Ceiling.Months)))))
	}
	if c.Minimum != "" {
		text = append(text, b.F("Minder dan %s wordt niet uitgekeerd", "Less than %s is not paid", b.Money(c.Minimum)))
	}
	from := c.ClaimFrom
	if from == "" {
		from = "period_end"
	}
	claim := b.F("Zij wordt binnen %s na %s ingeroepen", "It is claimed within %s after %s", b.Period(c.ClaimWithin), b.W("claim_from", from))
	if c.ClaimTo != "" {
		claim += b.F(" bij %s", " at %s", c.ClaimTo)
	}
	text = append(text, claim)
	if len(c.ClaimNeeds) > 0 {
		text = append(text, b.F("Het verzoek vermeldt %s", "The claim states %s", b.And(c.ClaimNeeds)))
	}
	if c.Answer != "" {
		text = append(text, b.F("Het verzoek wordt binnen %s beantwoord", "The claim is answered within %s", b.Period(c.Answer)))
	}
	remedy := c.Remedy
	if remedy == "" {
		remedy = "credit"
	}
	text = append(text, b.F("Zij wordt voldaan als %s", "It is given as %s", b.W("remedy", remedy)))
	if remedy == "credit_or_refund" {
		text[len(text)-1] = b.Pick("De afnemer kiest tussen een korting op de eerstvolgende factuur en terugbetaling", "The customer chooses between a credit against the next invoice and a refund")
	}
	b.clauseText(sentences(text...))
}

// tier says between which uptimes a step is.
func (b *builder) tier(t agreement.Tier) string {
	text := b.F("lager dan %s", "below %s", b.Percent(t.Below))
	if t.UpTo != "" {
		text = b.F("%s of lager", "%s or less", b.Percent(t.UpTo))
	}
	switch {
	case t.From != "":
		text += b.F(", maar ten minste %s", ", but at least %s", b.Percent(t.From))
	case t.Above != "":
		text += b.F(", maar hoger dan %s", ", but above %s", b.Percent(t.Above))
	}
	return text
}

// formula says how a credit follows from the time that was down.
func (b *builder) formula(f agreement.CreditFormula) []string {
	var text []string
	if f.Multiple > 0 {
		text = append(text, b.F("De vergoeding bedraagt %s maal de grondslag over de tijd waarin de dienst onbeschikbaar was", "The credit is %s times the base for the time during which the service was down", b.Number(int64(f.Multiple))))
	}
	if f.Each != "" {
		unit := b.Period(f.Each)
		if f.Begun {
			unit = b.F("begonnen %s", "begun %s", unit)
		}
		text = append(text, b.F("Voor elke %s onbeschikbaarheid bedraagt de vergoeding %s van de grondslag", "For each %s down the credit is %s of the base", unit, b.Percent(f.Credit)))
	} else if f.Begun {
		text = append(text, b.Pick("Een begonnen eenheid telt als hele", "A begun unit counts as a whole one"))
	}
	if f.Beyond {
		text = append(text, b.Pick("Alleen tijd boven wat het toegezegde niveau toelaat, telt mee", "Only time beyond what the promised level allows counts"))
	}
	if f.Affected {
		text = append(text, b.Pick("Tijd telt naar het aandeel van de gebruikers dat erdoor werd geraakt", "Time counts by the share of users that it affected"))
	}
	return text
}
