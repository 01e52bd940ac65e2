package document

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/phrase"
)

// stages says what the steps of a release are.
func (b *builder) stages() {
	if len(b.a.Release.Stages) == 0 {
		return
	}
	b.heading("Fasen van een Vrijgave", "Stages of a Release")
	b.c("Een Vrijgave verloopt in fasen. De dienst in de lucht houden komt eerst; afgifte van materiaal is het laatste middel.",
		"A Release proceeds in stages. Keeping the service running comes first; handing over material is the last resort.")
	for _, s := range b.a.Release.Stages {
		b.clauseText(b.F("Fase %s. ", "Stage %s. ", b.Quote(s.ID)) + sentences(b.stageText(s)...))
	}
}

func (b *builder) stageText(s agreement.Stage) []string {
	var text []string
	say := func(nl, en string, args ...any) { text = append(text, b.F(nl, en, args...)) }
	if s.ForEach != "" && b.v.Self == "" {
		say("Deze fase geldt voor elke %s afzonderlijk", "This stage applies to each %s separately", b.member(s.ForEach))
	}
	switch {
	case len(s.Opens) > 0:
		what := b.F("het Compartiment %s", "the Compartment %s", b.compartments(s.Opens))
		if len(s.Opens) > 1 {
			what = b.F("de Compartimenten %s", "the Compartments %s", b.compartments(s.Opens))
		}
		say("In deze fase wordt %s geopend voor %s", "In this stage %s is opened for %s", what, b.parties(s.To))
		if len(s.Opens) > 1 {
			text[len(text)-1] = b.F("In deze fase worden %s geopend voor %s", "In this stage %s are opened for %s", what, b.parties(s.To))
		}
	case len(s.Pays) > 0:
		say("In deze fase wordt betaald: %s", "In this stage payment is made to %s", b.payees(s.Pays))
	default:
		say("In deze fase wordt alleen kennis gegeven; er wordt niets geopend of betaald", "This stage only gives notice; nothing is opened or paid")
	}
	if len(s.Opens) > 0 && len(s.Pays) > 0 {
		say("Ook wordt betaald: %s", "Payment is also made to %s", b.payees(s.Pays))
	}
	if n := b.approvals(s); n > 0 {
		by := ""
		if s.By != "" {
			by = b.F(" van %s", " of %s", b.Party(s.By))
		}
		people := b.Pick("goedkeuringen", "approvals")
		if n == 1 {
			people = b.Pick("goedkeuring", "approval")
		}
		say("Nodig %[3]s %[1]s %[4]s%[2]s", "It takes %[1]s %[4]s%[2]s", b.Number(int64(n)), by, b.isAre(n), people)
	} else if s.By != "" {
		say("De fase wordt uitgevoerd door %s", "The stage is carried out by %s", b.Party(s.By))
	}
	say("Kennisgeving gaat naar %s", "Notice goes to %s", b.audience(s))
	if s.Decide == agreement.Automatically {
		say("De fase begint zonder nader besluit zodra aan de voorwaarden is voldaan", "The stage begins without a further decision once its conditions are met")
	}
	if len(s.Requires) > 0 {
		say("Vooraf is vereist dat %s", "It is required beforehand that %s", b.And(b.Words("requires", s.Requires)))
	}
	if s.Cure != "" {
		say("In afwijking van de Grond geldt een hersteltermijn van %s", "Instead of the cure period of the Event, one of %s applies", b.Period(s.Cure))
	}
	if s.Contest != "" {
		say("In afwijking van de Grond kan de fase gedurende %s worden betwist", "Instead of the contest period of the Event, this stage can be contested for %s", b.Period(s.Contest))
	}
	if s.Reversible {
		say("De fase kan worden teruggedraaid", "The stage can be undone")
	} else if len(s.Opens) > 0 {
		say("De fase kan niet worden teruggedraaid", "The stage cannot be undone")
	}
	if s.WayBack != "" {
		say("De weg terug: %s", "The way back: %s", clean(s.WayBack))
	}
	if s.Longest != "" {
		say("De fase duurt ten hoogste %s", "The stage lasts at most %s", b.Period(s.Longest))
	}
	if x := s.Extend; x != nil {
		by := ""
		if x.By != "" {
			by = b.F(" telkens met %s", " by %s at a time", b.Period(x.By))
		}
		say("Zij kan%s worden verlengd; daarover beslissen %s", "It can be extended%s, as decided by %s", by, b.decision(x.Decide))
	}
	if len(s.Rights) > 0 {
		say("De fase steunt op het recht %s", "The stage rests on the right %s", b.rightNames(s.Rights))
	}
	if s.Note != "" {
		say("%s", "%s", clean(s.Note))
	}
	return text
}

func (b *builder) payees(ids []string) string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = b.Party(id)
		if b.a.Party(id) == nil {
			out[i] = b.F("de rekening onder %s", "the bill under %s", b.Module(id))
		}
	}
	return b.And(out)
}

// approvals is how many approvals a stage takes.
func (b *builder) approvals(s agreement.Stage) int {
	n := 0
	for _, id := range s.Opens {
		for _, k := range b.a.Keys {
			if k.Compartment == id && k.Quorum != nil {
				n = max(n, k.Quorum.Of)
			}
		}
	}
	if s.Approvals != nil {
		n = max(n, *s.Approvals)
	}
	return n
}

func (b *builder) audience(s agreement.Stage) string {
	who := s.Audience
	if len(who) == 0 {
		who = slices.Concat(b.a.WithRole(escrow.Supplier), b.a.WithRole(escrow.Agent), s.To)
	}
	return b.parties(slices.Compact(slices.Clone(who)))
}

// events says when a release is possible.
func (b *builder) events() {
	r := b.a.Release
	if len(r.Events) == 0 {
		return
	}
	b.heading("Gronden voor Vrijgave", "Release Events")
	b.c("Een Vrijgave is uitsluitend mogelijk op een van de volgende Gronden. Wat niet bekend is, geldt nooit als vastgesteld.",
		"A Release is possible only upon one of the following Events. What is not known never counts as established.")
	for _, e := range r.Events {
		b.event(e)
	}
	for _, f := range r.Facts {
		b.c("Het feit %s betekent: %s Het moet blijken uit %s.", "The fact %s means: %s It must be shown by %s.", b.Quote(strings.ReplaceAll(f.ID, "_", " ")), phrase.Sentence(clean(f.Doc)), b.And(b.evidence(f.Evidence)))
	}
}

func (b *builder) evidence(list []agreement.Evidence) []string {
	out := make([]string, len(list))
	for i, e := range list {
		out[i] = b.W("evidence", string(e))
	}
	return out
}

func (b *builder) event(e agreement.Event) {
	b.expressions = append(b.expressions, expression{about: e.ID, text: clean(e.When)})
	c := b.condition(e.When)
	scope := ""
	switch {
	case e.For != "" && b.a.Licence(e.For) != nil:
		scope = b.F(" (alleen voor licentie %s)", " (for licence %s only)", b.Licence(e.For))
	case e.For != "":
		scope = b.F(" (alleen voor %s)", " (for %s only)", b.Party(e.For))
	case e.ForEach != "" && b.v.Self == "":
		scope = b.F(" (voor elke %s afzonderlijk)", " (for each %s separately)", b.member(e.ForEach))
	}
	b.clause++
	b.letter = 0
	head := b.F("Grond %s%s", "Event %s%s", b.Quote(e.ID), scope)
	switch c.Join {
	case phrase.Single:
		b.add(Block{Kind: Clause, Level: 1, Number: b.clauseNumber(), Text: head + ": " + phrase.Sentence(c.Text)})
	case phrase.All:
		b.add(Block{Kind: Clause, Level: 1, Number: b.clauseNumber(), Text: head + b.Pick(": alle volgende omstandigheden doen zich voor:", ": all of the following are the case:")})
		b.conditionItems(c)
	default:
		b.add(Block{Kind: Clause, Level: 1, Number: b.clauseNumber(), Text: head + b.Pick(": ten minste één van de volgende omstandigheden doet zich voor:", ": at least one of the following is the case:")})
		b.conditionItems(c)
	}
	b.clauseText(b.F("Voor Grond %s geldt het volgende. ", "For Event %s the following applies. ", b.Quote(e.ID)) + sentences(b.eventText(e)...))
}

func (b *builder) clauseNumber() string { return fmt.Sprintf("%d.%d", b.article, b.clause) }

// conditionItems lists the parts of a condition; parts of parts hang below.
func (b *builder) conditionItems(c phrase.Condition) {
	word := b.and()
	if c.Join == phrase.Any {
		word = b.or()
	}
	for i, p := range c.Parts {
		end := ";"
		switch {
		case i == len(c.Parts)-1:
			end = "."
		case i == len(c.Parts)-2:
			end = "; " + word
		}
		if p.Join == phrase.Single {
			b.item(p.Text + end)
			continue
		}
		inner := b.and()
		b.item(b.Pick("alle volgende omstandigheden:", "all of the following:"))
		if p.Join == phrase.Any {
			inner = b.or()
			b.blocks[len(b.blocks)-1].Text = b.Pick("ten minste één van de volgende omstandigheden:", "at least one of the following:")
		}
		for j, q := range p.Parts {
			stop := ";"
			switch {
			case j == len(p.Parts)-1:
				stop = end
			case j == len(p.Parts)-2:
				stop = "; " + inner
			}
			b.add(Block{Kind: Clause, Level: 3, Number: "(" + roman(j+1) + ")", Text: q.Inline(b.Lang) + stop})
		}
	}
}

func roman(n int) string {
	out := ""
	for _, r := range []struct {
		v int
		s string
	}{{10, "x"}, {9, "ix"}, {5, "v"}, {4, "iv"}, {1, "i"}} {
		for n >= r.v {
			out += r.s
			n -= r.v
		}
	}
	return out
}

func (b *builder) eventText(e agreement.Event) []string {
	var text []string
	say := func(nl, en string, args ...any) { text = append(text, b.F(nl, en, args...)) }
	say("Bewijs: %s", "Evidence: %s", b.And(b.evidence(e.Evidence)))
	if len(e.AcceptAlso) > 0 {
		say("In plaats daarvan volstaat %s", "%[1]s is accepted in its place", b.Or(b.evidence(e.AcceptAlso)))
		text[len(text)-1] = phrase.Capital(text[len(text)-1])
	}
	stages := make([]string, len(e.Stages))
	for i, s := range e.Stages {
		stages[i] = b.Quote(s)
	}
	switch {
	case e.Warning:
		say("De Grond leidt alleen tot een waarschuwing, in fase %s", "The Event only leads to a warning, in stage %s", b.And(stages))
	case len(stages) == 1:
		say("De Grond leidt tot fase %s", "The Event leads to stage %s", stages[0])
	default:
		say("De Grond leidt achtereenvolgens tot de fasen %s", "The Event leads in turn to the stages %s", b.And(stages))
	}
	if e.Decide == agreement.Automatically {
		say("De fasen beginnen zonder nader besluit", "The stages begin without a further decision")
	} else {
		say("Mensen beslissen of de fasen beginnen, en leggen hun redenen vast", "People decide whether the stages begin, and record their reasons")
	}
	if e.Cure.IsZero() {
		say("Er is geen hersteltermijn", "There is no cure period")
	} else {
		say("De leverancier kan de Grond binnen %s wegnemen", "The supplier can remove the Event within %s", b.Period(e.Cure))
	}
	if e.Contest.IsZero() {
		say("De Grond kan vooraf niet worden betwist", "It cannot be contested beforehand")
	} else {
		say("De Grond kan gedurende %s worden betwist", "It can be contested for %s", b.Period(e.Contest))
	}
	if len(e.Audience) > 0 {
		say("Van de Grond zelf wordt ook kennis gegeven aan %s", "Notice of the Event itself also goes to %s", b.parties(e.Audience))
	}
	if len(e.Requires) > 0 {
		say("Wie de Vrijgave inroept, moet ervoor zorgen dat %s", "Whoever claims the Release must see to it that %s", b.And(b.Words("requires", e.Requires)))
	}
	if e.Longest != "" {
		say("De fasen duren ten hoogste %s", "Its stages last at most %s", b.Period(e.Longest))
	}
	if e.Within != "" {
		say("Over de goedkeuringen wordt binnen %s beslist", "The approvals are decided on within %s", b.Period(e.Within))
	}
	if e.Rapid {
		say("De Grond kan niet op kantooruren wachten", "The Event cannot wait for office hours")
	}
	if e.WhyNot != "" {
		say("Waarom insolventie alleen niet volstaat: %s", "Why insolvency alone is not enough: %s", clean(e.WhyNot))
	}
	if e.Note != "" {
		say("%s", "%s", clean(e.Note))
	}
	return text
}

// procedure says who claims, how notice is given, who decides disputes and
// what the way back is.
func (b *builder) procedure() {
	r := b.a.Release
	if r.Claims != nil || r.Notices != nil {
		b.heading("Beroep op Vrijgave en kennisgeving", "Claims and notices")
	}
	if c := r.Claims; c != nil {
		b.c("Een beroep op Vrijgave kan worden gedaan door %s.", "A Release may be claimed by %s.", b.parties(c.By))
		if c.Join == "separate_cases" {
			b.c("Elk beroep wordt afzonderlijk behandeld.", "Each claim is handled separately.")
		} else {
			b.c("Een tweede beroep op dezelfde Grond wordt met het eerste samengevoegd.", "A second claim on the same Event joins the first.")
		}
		if c.Decide != nil {
			b.c("Over een gezamenlijk beroep beslissen %s.", "A joint claim is decided on by %s.", b.decision(*c.Decide))
		}
	}
	if n := r.Notices; n != nil {
		b.c("Kennisgeving geschiedt per %s.", "Notice is given by %s.", b.And(b.Words("channel", n.Channels)))
		if n.Presumed != "" {
			b.c("Een kennisgeving geldt als ontvangen %s na verzending.", "A notice counts as received %s after it was sent.", b.Period(n.Presumed))
		}
		channels := make([]string, 0, len(n.ByChannel))
		for ch := range n.ByChannel {
			channels = append(channels, ch)
		}
		sort.Strings(channels)
		for _, ch := range channels {
			b.c("Voor kennisgeving per %s is die termijn %s.", "For notice by %s that period is %s.", b.W("channel", ch), b.Period(n.ByChannel[ch]))
		}
		if len(n.OnInsolvency) > 0 {
			b.c("Bij insolventie van een partij gaat de kennisgeving ook naar %s.", "When a party is insolvent, notice also goes to %s.", b.parties(n.OnInsolvency))
		}
	}
	if d := r.Dispute; d != nil {
		b.heading("Geschillen", "Disputes")
		text := []string{b.F("Geschillen worden beslecht door %s", "Disputes are decided by %s", d.Forum)}
		if d.Urgent != "" {
			text = append(text, b.F("In spoedeisende zaken is %s bevoegd", "In urgent cases %s has jurisdiction", d.Urgent))
		}
		b.clauseText(sentences(text...))
		if len(d.HoldBy) > 0 {
			b.c("Een Vrijgave kan worden aangehouden door %s.", "A Release can be held by %s.", b.Or(b.names(d.HoldBy)))
		}
		b.c("Zolang niemand beslist, geldt het volgende: %s.", "As long as nobody decides, the following holds: %s.", b.W("on_silence", d.OnSilence))
	}
	if x := r.Returns; x != nil {
		b.heading("De weg terug", "The way back")
		if x.CureWithin != "" {
			b.c("Is de Grond weggenomen, dan wordt alles binnen %s teruggegeven en worden toegangen ingetrokken.", "Once the Event has been removed, everything is returned and all access revoked within %s.", b.Period(x.CureWithin))
		}
		if x.Certificate {
			b.c("Van de vernietiging van wat niet wordt teruggegeven, wordt een bewijs afgegeven.", "The destruction of what is not returned is certified.")
		}
		if x.Cost != "" {
			b.c("De kosten zijn voor %s.", "The cost is borne by %s.", b.W("return_cost", x.Cost))
		}
	}
}
