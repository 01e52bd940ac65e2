package document

import (
	"slices"
	"strings"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/part"
	"holdfast/internal/escrow/agreement/phrase"
)

// Summary says in plain language what the agreement means for one party: what
// is held, what happens when, who decides, what it costs, what it does not
// cover, and how the three worst cases go. who is the id of a party, or a
// role that one party alone has.
func Summary(a *agreement.Agreement, who string, l phrase.Lang) (*Document, error) {
	v, role := part.Whole(a), escrow.Role("")
	if who != "" {
		var err error
		if who, err = reader(a, who); err != nil {
			return nil, err
		}
		if v, err = part.For(a, who); err != nil {
			return nil, err
		}
		role = roleOf(a.Party(who))
	}
	b := newBuilder(v, l)
	s := &summary{builder: b, me: who, role: role}
	s.opening()
	s.held()
	s.openers()
	s.when()
	s.worst()
	s.cost()
	s.duties()
	s.not()
	d := b.document(b.Pick("Wat de regeling inhoudt", "What the arrangement comes to"))
	d.Subtitle = title(a)
	d.Running = title(a) + " · " + b.Pick("samenvatting", "summary")
	var err error
	if d.Digest, err = v.ContentDigest(); err != nil {
		return nil, err
	}
	if who != "" {
		s.where(a)
		d.Title = b.Pick("Wat de regeling voor u betekent", "What the arrangement means for you")
		d.Subtitle += " · " + b.Party(who)
		d.Running += b.Pick(" voor ", " for ") + b.Party(who)
		d.Meta = []Pair{{b.Pick("Voor", "For"), b.Party(who) + " (" + b.Role(s.role) + ")"}}
	}
	d.Meta = append(d.Meta, []Pair{{b.Pick("Versie van de regeling", "Version of the arrangement"), b.Digits(int64(a.Version))}}...)
	return d, b.finish(d)
}

// reader finds the party that is meant by its id or by a role that it alone
// has.
func reader(a *agreement.Agreement, who string) (string, error) {
	if a.Party(who) != nil {
		return who, nil
	}
	ids := a.WithRole(escrow.Role(who))
	if len(ids) == 1 {
		return ids[0], nil
	}
	if len(ids) > 1 {
		return "", escrow.Errorf(escrow.Invalid, "the role %s has %d parties", who, len(ids)).WithHint("name one of them: %s", strings.Join(ids, ", "))
	}
	all := make([]string, len(a.Parties))
	for i, p := range a.Parties {
		all[i] = p.ID
	}
	return "", escrow.Errorf(escrow.NotFound, "the agreement has no party or role %q", who).WithHint("its parties are %s", strings.Join(all, ", "))
}

type summary struct {
	*builder
	me   string
	role escrow.Role
}

// you names the reader as you and everybody else by name.
func (s *summary) you(ids []string) string {
	var names []string
	mine := false
	for _, id := range ids {
		switch {
		case id == s.me, id == "self" && s.v.Self == s.me, id == "beneficiaries" && s.role == escrow.Beneficiary, id == "operator" && s.role == escrow.Operator:
			mine = true
			if id == "beneficiaries" {
				names = append(names, s.Pick("de andere begunstigden (ieder afzonderlijk)", "the other beneficiaries (each by itself)"))
			}
		default:
			names = append(names, s.Party(id))
		}
	}
	if mine {
		names = append([]string{s.Pick("u", "you")}, names...)
	}
	return s.And(names)
}

func (s *summary) is(id string) bool { return id == s.me }

func (s *summary) opening() {
	s.callout("Dit is een samenvatting in gewone taal. Zij vervangt de ondertekende tekst niet: bij verschil geldt de ondertekende tekst",
		"This is a summary in plain language. It does not replace the signed text: where they differ, the signed text decides")
	s.title(1, "Waar het om gaat", "What it is about")
	s.p("%s %s. Valt de leverancier weg, dan zorgt deze regeling ervoor dat de mensen die ervan afhankelijk zijn, verder kunnen.",
		"%s %s. If the supplier falls away, this arrangement sees to it that the people who depend on it can go on.", s.a.Application.Name,
		s.F("wordt geleverd %s", "is delivered %s", s.W("delivery", s.a.Application.Delivery)))
	if s.me == "" {
		return
	}
	s.title(1, "Uw rol", "Your role")
	s.p("%s", "%s", s.roleText())
	if shares := s.shares(); len(shares) > 0 {
		s.p("U houdt een aandeel in de sleutel van %s. Met uw aandeel alleen kan niets worden geopend.", "You hold a share of the key of %s. Your share alone opens nothing.", s.And(shares))
	}
}

func (s *summary) roleText() string {
	switch s.role {
	case escrow.Supplier:
		return s.Pick("U levert de toepassing. U brengt het materiaal in, houdt het actueel en hoort als eerste wanneer er iets aan de hand is. U kunt een onterechte vrijgave betwisten",
			"You supply the application. You make the deposits, keep them up to date and hear first when something is the matter. You can contest a release that is not justified")
	case escrow.Beneficiary:
		return s.Pick("U gebruikt de toepassing. Deze regeling beschermt u wanneer de leverancier niet verder kan of wil. U leert niets over andere begunstigden, en zij niets over u",
			"You use the application. This arrangement protects you when the supplier cannot or will not go on. You learn nothing about other beneficiaries, nor they about you")
	case escrow.Foundation:
		return s.Pick("U houdt de rechten en het geld waarmee de dienst in de lucht blijft, en handelt voor de begunstigden samen", "You hold the rights and the money that keep the service running, and act for the beneficiaries together")
	case escrow.Agent:
		return s.Pick("U voert de regeling uit: u bewaakt de inbreng, behandelt zaken en houdt de vastlegging bij. U kunt zelf niets openen", "You run the arrangement: you watch the deposits, handle cases and keep the record. You cannot open anything yourself")
	case escrow.Trustee:
		return s.Pick("U bewaart een aandeel in een sleutel en beslist mee of er iets wordt geopend. U kijkt niet in het materiaal", "You keep a share of a key and help decide whether something is opened. You do not look into the material")
	case escrow.Host:
		return s.Pick("U host de toepassing. Van u wordt gevraagd door te gaan wanneer de leverancier wegvalt", "You host the application. What is asked of you is to go on when the supplier falls away")
	case escrow.Operator:
		return s.Pick("U houdt na een vrijgave de bestaande dienst in de lucht", "After a release you keep the existing service running")
	case escrow.IPHolder:
		return s.Pick("U bezit de rechten op de programmatuur. De regeling legt vast wat er na een vrijgave mee mag gebeuren", "You own the rights in the software. The arrangement lays down what may be done with it after a release")
	case escrow.Regulator, escrow.Auditor:
		return s.Pick("U houdt toezicht. De regeling legt vast wat u mag inzien en wanneer", "You supervise. The arrangement lays down what you may inspect and when")
	}
	return s.F("U bent %s in deze regeling", "You are the %s in this arrangement", s.Role(s.role))
}

// shares names the compartments the reader holds a share of.
func (s *summary) shares() []string {
	var out []string
	for _, k := range s.a.Keys {
		if k.Quorum != nil && slices.Contains(s.a.PartyIDs(k.Quorum.From, s.v.Self), s.me) {
			out = append(out, s.compartment(k.Compartment))
		}
	}
	return out
}

func (s *summary) held() {
	if len(s.a.Modules) == 0 {
		return
	}
	s.title(1, "Wat er ligt", "What is held")
	for i := range s.a.Modules {
		m := &s.a.Modules[i]
		base, kind := m.Base()
		if m.Repository != nil {
			m.Repository.Credential, m.Repository.HostKey = "", "" // of no use to a reader of a summary
		}
		text := s.moduleText(m)
		name := phrase.Capital(s.W("module", string(kind)))
		if base.Title != "" {
			name = base.Title
		}
		if base.ForEach == agreement.Beneficiaries && s.v.Self != "" {
			name += s.Pick(" van u alleen", " of yours alone")
		}
		s.bulletText(name + ": " + text)
	}
	for _, v := range s.a.Verification {
		what := s.Pick("Alles", "Everything")
		if v.Module != "all" {
			what = s.Module(v.Module)
		}
		text := s.F("%s wordt %s gecontroleerd: %s", "%s is checked %s: %s", what, s.Every(v.Every), s.W("level", string(rune('0'+v.Level))))
		if len(v.ReportTo) > 0 {
			text += s.F(". Het verslag gaat naar %s", ". The report goes to %s", s.you(v.ReportTo))
		}
		if slices.Contains(v.Attend, s.me) {
			text += s.Pick(". U mag erbij zijn", ". You may attend")
		}
		s.bulletText(text)
	}
	for _, c := range s.a.Application.Components {
		if c.InEscrow != nil && !*c.InEscrow {
			name := c.Name
			if name == "" {
				name = c.ID
			}
			s.bullet("Niet in de regeling: %s (%s)", "Not in the arrangement: %s (%s)", name, c.Reason)
		}
	}
}

func (s *summary) openers() {
	if len(s.a.Keys) == 0 {
		return
	}
	s.title(1, "Wie iets kan openen", "Who can open what")
	for _, k := range s.a.Keys {
		if k.Open != "" {
			holder := k.Holder
			if holder == "" {
				holder = "self"
			}
			if s.v.Self == s.me && holder == "self" {
				s.bullet("%s: alleen u, wanneer u wilt, zonder anderen", "%s: you alone, whenever you like, without others", phrase.Capital(s.Quote(strings.TrimSuffix(k.Compartment, "/self"))))
			} else {
				s.bullet("%s: alleen %s zelf", "%s: only %s itself", phrase.Capital(s.compartment(k.Compartment)), s.Party(holder))
			}
			continue
		}
		text := s.F("%s: ten minste %s van de %s sleutelbewaarders samen (%s)", "%s: at least %s of the %s key holders together (%s)",
			phrase.Capital(s.compartment(k.Compartment)), s.Number(int64(k.Quorum.Of)), s.Number(int64(len(k.Quorum.From))), s.you(k.Quorum.From))
		if k.Quorum.AtLeast != nil {
			text += s.F("; onder hen ten minste %s die onafhankelijk is", "; at least %s of them independent", s.Number(int64(k.Quorum.AtLeast.Independent)))
			if k.Quorum.AtLeast.Independent > 1 && s.Lang == phrase.NL {
				text = strings.TrimSuffix(text, "die onafhankelijk is") + "die onafhankelijk zijn"
			}
		}
		s.bulletText(text)
	}
	s.bullet("Niemand die het systeem beheert, kan alleen iets openen", "Nobody who administers the system can open anything alone")
}

func (s *summary) when() {
	if len(s.a.Release.Events) == 0 {
		return
	}
	s.title(1, "Wat er gebeurt, en wanneer", "What happens, and when")
	s.p("Staat een van de volgende zaken vast, dan gebeurt wat erachter staat:", "Once one of the following is established, what stands after it happens:")
	for _, e := range s.a.Release.Events {
		s.bulletText(s.happens(e))
	}
	if c := s.a.Release.Claims; c != nil {
		text := s.F("Een vrijgave kan worden ingeroepen door %s", "A release can be claimed by %s", s.you(c.By))
		if c.Decide != nil {
			text += s.F("; over een gezamenlijk beroep beslissen %s", "; a joint claim is decided on by %s", s.decision(*c.Decide))
		}
		s.bulletText(text)
	}
	if d := s.a.Release.Dispute; d != nil {
		s.bullet("Is men het niet eens, dan beslist %s. Zolang niemand beslist: %s", "If there is a dispute, %s decides. As long as nobody does, %s", d.Forum, s.W("on_silence", d.OnSilence))
	}
	if x := s.a.Release.Returns; x != nil && x.CureWithin != "" {
		s.bullet("Was het loos alarm of komt het goed, dan gaat alles binnen %s terug", "If it was a false alarm or is put right, everything goes back within %s", s.Period(x.CureWithin))
	}
	s.bullet("Wat niemand heeft waargenomen, telt nooit als gebeurd", "What nobody has observed never counts as having happened")
}

// happens says what an event is and what it leads to.
func (s *summary) happens(e agreement.Event) string {
	return phrase.Sentence(s.occasion(e)) + " " + s.Pick("Dan ", "Then ") + s.steps(e)
}

// occasion says when an event occurs.
func (s *summary) occasion(e agreement.Event) string {
	c := s.condition(e.When)
	text := phrase.Capital(c.Inline(s.Lang))
	if e.For != "" && s.a.Party(e.For) != nil && !s.is(e.For) {
		text += s.F(" (betreft %s)", " (concerns %s)", s.Party(e.For))
	}
	return text
}

// steps says what an event leads to, who decides and what time there is.
func (s *summary) steps(e agreement.Event) string {
	var steps []string
	for _, id := range e.Stages {
		for _, st := range s.a.Release.Stages {
			if st.ID == id {
				steps = append(steps, s.step(st))
			}
		}
	}
	text := []string{strings.Join(steps, s.Pick("; daarna ", "; then "))}
	switch {
	case e.Warning:
		text = append(text, s.Pick("Het blijft bij een waarschuwing", "It stops at a warning"))
	case e.Decide == agreement.Automatically:
		text = append(text, s.Pick("Dit gaat vanzelf, en kan worden teruggedraaid", "This goes by itself, and can be undone"))
	default:
		text = append(text, s.Pick("Mensen beslissen of het doorgaat", "People decide whether it goes ahead"))
	}
	if !e.Cure.IsZero() {
		text = append(text, s.F("De leverancier krijgt %s om het te herstellen", "The supplier has %s to put it right", s.Period(e.Cure)))
	}
	if !e.Contest.IsZero() {
		text = append(text, s.F("Bezwaar kan gedurende %s", "It can be contested for %s", s.Period(e.Contest)))
	}
	for i := range text[1:] {
		text[i+1] = phrase.Sentence(text[i+1])
	}
	return strings.Join(append([]string{strings.TrimSuffix(text[0], ".") + "."}, text[1:]...), " ")
}

func (s *summary) step(st agreement.Stage) string {
	var text string
	switch {
	case len(st.Opens) > 0:
		what := make([]string, len(st.Opens))
		for i, id := range st.Opens {
			what[i] = s.Quote(strings.TrimSuffix(id, "/self"))
			if list := s.inside(id); len(list) > 0 {
				what[i] += " (" + s.And(list) + ")"
			}
		}
		text = s.F("wordt %s geopend voor %s", "%s is opened for %s", s.And(what), s.you(st.To))
		if n := s.approvals(st); n > 0 {
			text += s.F(", met %s goedkeuringen", ", by %s approvals", s.Number(int64(n)))
		}
		if st.Longest != "" {
			text += s.F(", voor ten hoogste %s", ", for at most %s", s.Period(st.Longest))
		}
	case len(st.Pays) > 0:
		by := ""
		if st.By != "" {
			by = s.F(" door %s", " by %s", s.you([]string{st.By}))
		}
		text = s.F("wordt %s betaald%s", "%s is paid%s", s.payees(st.Pays), by)
	default:
		who := st.Audience
		if len(who) == 0 {
			who = slices.Concat(s.a.WithRole(escrow.Supplier), s.a.WithRole(escrow.Agent))
		}
		text = s.told(who)
	}
	if len(st.Requires) > 0 {
		text += s.F(", mits %s", ", provided that %s", s.And(s.Words("requires", st.Requires)))
	}
	return text
}

// told says that somebody is told.
func (s *summary) told(who []string) string {
	list := s.you(who)
	if s.Lang == phrase.NL {
		if len(who) == 1 && (list == "u" || who[0] != "beneficiaries" || s.role != escrow.Beneficiary) {
			return "krijgt " + list + " bericht"
		}
		return "krijgen " + list + " bericht"
	}
	if list != "you" && len(who) == 1 && (who[0] != "beneficiaries" || s.role != escrow.Beneficiary) {
		return list + " is told"
	}
	return list + " are told"
}

// inside names what a compartment holds.
func (s *summary) inside(compartment string) []string {
	var out []string
	for i := range s.a.Modules {
		base, kind := s.a.Modules[i].Base()
		if base.Compartment == compartment {
			if w := s.W("module", string(kind)); !slices.Contains(out, w) {
				out = append(out, w)
			}
		}
	}
	return out
}

func (s *summary) not() {
	s.title(1, "Wat dit niet is", "What this is not")
	s.bullet("Geen back-up: bewaar zelf wat u nodig hebt", "No back-up: keep what you need yourself")
	s.bullet("Geen uitwijk en geen garantie dat de dienst altijd beschikbaar is", "No redundancy, and no guarantee that the service is always up")
	s.bullet("Geen bescherming tegen sleutelbewaarders die samen met een ontvanger oneerlijk zijn: kies hen met zorg", "No protection against key holders who are dishonest together with a recipient: choose them with care")
	s.bullet("Geen vrijgave bij ontevredenheid: alleen de genoemde gronden tellen", "No release out of dissatisfaction: only the events named count")
}

func (s *summary) where(a *agreement.Agreement) {
	var signs, reads []string
	for _, p := range a.Expand().Parts {
		name := s.W("part_kind", p.Kind) + " (" + p.ID + ")"
		switch {
		case slices.Contains(p.Parties, s.me):
			signs = append(signs, name)
		case slices.Contains(p.Readers, s.me):
			reads = append(reads, name)
		}
	}
	s.title(1, "Waar het staat", "Where it is written")
	if len(signs) > 0 {
		s.p("U ondertekent: %s", "You sign: %s", s.And(signs))
	}
	if len(reads) > 0 {
		s.p("U leest, zonder te ondertekenen: %s", "You read, without signing: %s", s.And(reads))
	}
	if len(signs)+len(reads) == 0 {
		s.p("U ondertekent en leest geen deel van de overeenkomst. Deze samenvatting zegt alleen wat u voor uw taak moet weten", "You sign and read no part of the agreement. This summary says only what you must know for your task")
	}
}
