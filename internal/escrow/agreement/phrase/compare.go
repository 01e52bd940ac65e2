package phrase

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"holdfast/internal/escrow/agreement/quantity"
)

// opposite is the comparison that holds when op does not.
func opposite(op string) string {
	switch op {
	case operators.Less:
		return operators.GreaterEquals
	case operators.LessEquals:
		return operators.Greater
	case operators.Greater:
		return operators.LessEquals
	case operators.GreaterEquals:
		return operators.Less
	case operators.Equals:
		return operators.NotEquals
	}
	return operators.Equals
}

// mirrored is the comparison with its sides exchanged.
func mirrored(op string) string {
	switch op {
	case operators.Less:
		return operators.Greater
	case operators.LessEquals:
		return operators.GreaterEquals
	case operators.Greater:
		return operators.Less
	case operators.GreaterEquals:
		return operators.LessEquals
	}
	return op
}

// compare says a comparison. A literal on the left is put on the right.
func (t *teller) compare(e ast.Expr, op string, negated bool) string {
	left, right := e.AsCall().Args()[0], e.AsCall().Args()[1]
	if negated {
		op = opposite(op)
	}
	if _, ok := t.value(left); ok {
		left, right, op = right, left, mirrored(op)
	}
	f, isFact := factOf(left)
	if w, ok := literalOf[types.String](right); ok && isFact && f.name == "register.insolvency" {
		return t.proceedings(t.names.Party(f.arg(0)), []string{string(w)}, op == operators.NotEquals)
	}
	if left.Kind() == ast.IdentKind && left.AsIdent() == "self" {
		if w, ok := literalOf[types.String](right); ok {
			who := t.names.Party(string(w))
			if op == operators.NotEquals {
				return t.F("het betreft een ander dan %s", "it concerns somebody else than %s", who)
			}
			return t.F("het betreft %s", "it concerns %s", who)
		}
	}
	if isFact {
		if n, ok := literalOf[types.Int](right); ok {
			if text, ok := t.counted(f, op, int64(n)); ok {
				return text
			}
		}
		if v, ok := t.length(right); ok {
			if text, ok := t.timed(f, t.quantifier(op)+" "+v); ok {
				return text
			}
		}
	}
	a, okA := t.noun(left)
	b, okB := t.value(right)
	if !okB {
		b, okB = t.noun(right)
	}
	if !okA || !okB {
		return t.fail(e, "comparison").Text
	}
	return a + " " + t.relation(op) + " " + b
}

// quantifier goes before an amount of time.
func (t *teller) quantifier(op string) string {
	switch op {
	case operators.Less:
		return t.Pick("minder dan", "less than")
	case operators.LessEquals:
		return t.Pick("ten hoogste", "at most")
	case operators.Greater:
		return t.Pick("meer dan", "more than")
	case operators.GreaterEquals:
		return t.Pick("ten minste", "at least")
	case operators.NotEquals:
		return t.Pick("niet precies", "other than exactly")
	}
	return t.Pick("precies", "exactly")
}

// relation stands between two nouns.
func (t *teller) relation(op string) string {
	switch op {
	case operators.Less:
		return t.Pick("is minder dan", "is less than")
	case operators.LessEquals:
		return t.Pick("is niet meer dan", "is not more than")
	case operators.Greater:
		return t.Pick("is meer dan", "is more than")
	case operators.GreaterEquals:
		return t.Pick("is niet minder dan", "is not less than")
	case operators.NotEquals:
		return t.Pick("is niet gelijk aan", "differs from")
	}
	return t.Pick("is gelijk aan", "equals")
}

// timed says a fact that is a length of time; q is the quantifier with the
// length.
func (t *teller) timed(f call, q string) (string, bool) {
	switch f.name {
	case "heartbeat.age":
		return t.F("het laatste levensteken van %s is %s geleden", "the last sign of life of %s was %s ago", t.names.Party(f.arg(0)), q), true
	case "sla.down":
		return t.F("%s is %s aaneengesloten onbeschikbaar", "%s has been unavailable without interruption for %s", t.names.Component(f.arg(0)), q), true
	case "licence.grace_left":
		return t.F("de programmatuur onder licentie %s werkt zonder bevestiging nog %s", "the software under licence %s will go on running without confirmation for %s", t.names.Licence(f.arg(0)), q), true
	case "release.age":
		return t.F("de laatst uitgebrachte versie van %s is %s oud", "the latest release of %s is %s old", t.names.Module(f.arg(0)), q), true
	case "unknown_for":
		return t.F("over %s is %s niets bekend", "nothing has been known about %s for %s", t.source(f.arg(0)), q), true
	case "statement.age":
		return t.F("de schriftelijke verklaring van %s %s is %s oud", "the written statement of %s %s is %s old", t.names.Party(f.arg(0)), t.free("statement", f.arg(1)), q), true
	case "age":
		return t.F("%s is %s geleden", "%s was %s ago", t.W("moment", f.arg(0)), q), true
	}
	if id, ok := strings.CutPrefix(f.name, "fact."); ok {
		return t.F("%s%s: %s", "%s%s: %s", t.Quote(strings.TrimSuffix(t.names.Fact(id), ".")), t.aboutFact(f), q), true
	}
	return "", false
}

// counted says a fact that is a number; more than two is said as at least
// three.
func (t *teller) counted(f call, op string, n int64) (string, bool) {
	switch op {
	case operators.Greater:
		op, n = operators.GreaterEquals, n+1
	case operators.Less:
		op, n = operators.LessEquals, n-1
	}
	q := t.quantifier(op) + " " + t.Number(n)
	one := n == 1
	plural := func(single, many string) string {
		if one {
			return single
		}
		return many
	}
	switch f.name {
	case "tickets.unanswered":
		priority := strings.ToUpper(f.arg(0))
		period := t.Period(quantity.Period(f.arg(1)))
		return t.F("%s %s ten minste %s zonder antwoord gebleven", "%[1]s %[2]s gone without an answer for at least %[3]s", q,
			plural(t.F("melding met prioriteit %s is", "ticket of priority %s has", priority), t.F("meldingen met prioriteit %s zijn", "tickets of priority %s have", priority)), period), true
	case "contact_attempts":
		return t.F("in de laatste %[3]s %[2]s %[1]s om %[4]s te bereiken zonder antwoord gebleven", "in the last %[3]s %[1]s to reach %[4]s %[2]s gone without an answer",
			q+" "+plural(t.Pick("poging", "attempt"), t.Pick("pogingen", "attempts")), plural(t.Pick("is", "has"), t.Pick("zijn", "have")),
			t.Period(quantity.Period(f.arg(1))), t.names.Party(f.arg(0))), true
	}
	if id, ok := strings.CutPrefix(f.name, "fact."); ok {
		return t.F("%s%s: %s", "%s%s: %s", t.Quote(strings.TrimSuffix(t.names.Fact(id), ".")), t.aboutFact(f), q), true
	}
	return "", false
}

// source names what can fall silent.
func (t *teller) source(text string) string {
	kind, id, _ := strings.Cut(text, ".")
	name := id
	switch kind {
	case "heartbeat", "insolvency", "gazette":
		name = t.names.Party(id)
	case "sla":
		name = t.names.Component(id)
	case "licence":
		name = t.names.Licence(id)
	case "release":
		name = t.names.Module(id)
	case "service":
		name = t.names.Service(id)
	case "fact":
		fact, about, has := strings.Cut(id, ".")
		name = t.Quote(strings.TrimSuffix(t.names.Fact(fact), "."))
		if has {
			name += t.F(" (%s)", " (%s)", t.subject(about))
		}
	}
	return fmt.Sprintf(t.W("source", kind), name)
}

// noun names a fact that two sides of a comparison are measured by.
func (t *teller) noun(e ast.Expr) (string, bool) {
	f, ok := factOf(e)
	if !ok {
		return "", false
	}
	switch f.name {
	case "register.insolvency":
		return t.F("de laatst ingeschreven insolventieprocedure van %s", "the latest registered insolvency proceedings of %s", t.names.Party(f.arg(0))), true
	case "heartbeat.age":
		return t.F("de tijd sinds het laatste levensteken van %s", "the time since the last sign of life of %s", t.names.Party(f.arg(0))), true
	case "sla.down":
		return t.F("de tijd dat %s aaneengesloten onbeschikbaar is", "the time for which %s has been unavailable without interruption", t.names.Component(f.arg(0))), true
	case "licence.grace_left":
		return t.F("de tijd dat de programmatuur onder licentie %s zonder bevestiging blijft werken", "the time for which the software under licence %s goes on running without confirmation", t.names.Licence(f.arg(0))), true
	case "release.age":
		return t.F("de ouderdom van de laatst uitgebrachte versie van %s", "the age of the latest release of %s", t.names.Module(f.arg(0))), true
	case "tickets.unanswered":
		return t.F("het aantal meldingen met prioriteit %s dat ten minste %s zonder antwoord is", "the number of tickets of priority %s without an answer for at least %s", strings.ToUpper(f.arg(0)), t.Period(quantity.Period(f.arg(1)))), true
	case "unknown_for":
		return t.F("de tijd dat over %s niets bekend is", "the time for which nothing has been known about %s", t.source(f.arg(0))), true
	case "statement.age":
		return t.F("de ouderdom van de schriftelijke verklaring van %s %s", "the age of the written statement of %s %s", t.names.Party(f.arg(0)), t.free("statement", f.arg(1))), true
	case "contact_attempts":
		return t.F("het aantal pogingen zonder antwoord om %s in de laatste %s te bereiken", "the number of attempts without an answer to reach %s in the last %s", t.names.Party(f.arg(0)), t.Period(quantity.Period(f.arg(1)))), true
	case "age":
		return t.F("de tijd sinds %s", "the time since %s", t.W("moment", f.arg(0))), true
	}
	if id, ok := strings.CutPrefix(f.name, "fact."); ok {
		return t.Quote(strings.TrimSuffix(t.names.Fact(id), ".")) + t.aboutFact(f), true
	}
	return "", false
}
