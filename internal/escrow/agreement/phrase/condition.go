package phrase

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"holdfast/internal/escrow/agreement/quantity"
)

// Names says what the ids in a condition stand for, in the reader's words.
type Names interface {
	Party(id string) string
	Component(id string) string
	Licence(id string) string
	Module(id string) string
	Service(id string) string
	Fact(id string) string // what the fact means, as a sentence without its full stop
}

// Join is how the parts of a condition hang together.
type Join int

// The joins.
const (
	Single Join = iota // Text holds
	All                // all of Parts
	Any                // at least one of Parts
)

// Condition is a condition in words: a main clause, or several under all or
// any. Negations are worked into the clauses, so a reader never has to turn
// one around.
type Condition struct {
	Join  Join
	Text  string // a main clause without a capital or full stop
	Parts []Condition
}

// Condition puts a condition of an agreement into words. The text must be one
// that package cond accepts.
func (l Lang) Condition(text string, names Names) (c Condition, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("condition %q: %v", text, v)
		}
	}()
	env, err := cel.NewCustomEnv(cel.ClearMacros())
	if err != nil {
		return c, fmt.Errorf("conditions: %w", err)
	}
	tree, issues := env.Parse(text)
	if issues.Err() != nil {
		return c, fmt.Errorf("condition %q: %w", text, issues.Err())
	}
	t := &teller{Lang: l, names: names}
	c = t.tell(tree.NativeRep().Expr(), false)
	return c, t.err
}

// Clauses lists the main clauses from first to last.
func (c Condition) Clauses() []string {
	if c.Join == Single {
		return []string{c.Text}
	}
	var out []string
	for _, p := range c.Parts {
		out = append(out, p.Clauses()...)
	}
	return out
}

// Inline writes the condition as one clause: parts are joined by semicolons
// where they have parts of their own.
func (c Condition) Inline(l Lang) string {
	if c.Join == Single {
		return c.Text
	}
	nested := false
	items := make([]string, len(c.Parts))
	for i, p := range c.Parts {
		items[i] = p.Inline(l)
		nested = nested || p.Join != Single
		if p.Join != Single {
			items[i] = p.intro(l) + " " + items[i]
		}
	}
	word := l.Pick("en", "and")
	if c.Join == Any {
		word = l.Pick("of", "or")
	}
	if len(items) == 2 && !nested {
		return items[0] + l.Pick(" ", ", ") + word + " " + items[1]
	}
	last := len(items) - 1
	return strings.Join(items[:last], "; ") + "; " + word + " " + items[last]
}

func (c Condition) intro(l Lang) string {
	if c.Join == Any {
		return l.Pick("een van beide:", "either")
	}
	return l.Pick("samen:", "both")
}

// teller turns an expression into words.
type teller struct {
	Lang
	names Names
	err   error
}

func (t *teller) fail(e ast.Expr, what string) Condition {
	if t.err == nil {
		t.err = fmt.Errorf("no words for %s (%v)", what, e.Kind())
	}
	return Condition{Text: what}
}

// tell puts e into words; negated says that its opposite is meant.
func (t *teller) tell(e ast.Expr, negated bool) Condition {
	if b, ok := literalOf[types.Bool](e); ok {
		if bool(b) != negated {
			return Condition{Text: t.Pick("dit is altijd zo", "this is always so")}
		}
		return Condition{Text: t.Pick("dit is nooit zo", "this is never so")}
	}
	if e.Kind() != ast.CallKind {
		return t.fail(e, "expression")
	}
	c := e.AsCall()
	switch name := c.FunctionName(); name {
	case operators.LogicalNot:
		return t.tell(c.Args()[0], !negated)
	case operators.LogicalAnd, operators.LogicalOr:
		join := All
		if (name == operators.LogicalOr) != negated {
			join = Any
		}
		out := Condition{Join: join}
		for _, a := range c.Args() {
			part := t.tell(a, negated)
			if part.Join == join {
				out.Parts = append(out.Parts, part.Parts...)
			} else {
				out.Parts = append(out.Parts, part)
			}
		}
		return out
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		return Condition{Text: t.compare(e, name, negated)}
	case operators.In:
		return Condition{Text: t.in(c.Args()[0], c.Args()[1], negated)}
	case "has":
		return Condition{Text: t.has(c.Target(), c.Args()[0], negated)}
	}
	f, ok := factOf(e)
	if !ok {
		return t.fail(e, c.FunctionName())
	}
	text, ok := t.truth(f, negated)
	if !ok {
		return t.fail(e, f.name)
	}
	return Condition{Text: text}
}

// call is one reading of a fact: its dotted name and its literal arguments.
type call struct {
	name string
	args []string
}

func (c call) arg(i int) string {
	if i < len(c.args) {
		return c.args[i]
	}
	return ""
}

// factOf reads sla.down("x"), which the parser takes for a method of sla.
func factOf(e ast.Expr) (call, bool) {
	if e.Kind() != ast.CallKind {
		return call{}, false
	}
	c := e.AsCall()
	out := call{name: c.FunctionName()}
	if c.IsMemberFunction() {
		prefix, ok := dotted(c.Target())
		if !ok {
			return call{}, false
		}
		out.name = prefix + "." + out.name
	}
	for _, a := range c.Args() {
		switch {
		case a.Kind() == ast.IdentKind:
			out.args = append(out.args, a.AsIdent())
		default:
			text, ok := literalOf[types.String](a)
			if !ok {
				return call{}, false
			}
			out.args = append(out.args, string(text))
		}
	}
	return out, true
}

func dotted(e ast.Expr) (string, bool) {
	switch e.Kind() {
	case ast.IdentKind:
		return e.AsIdent(), true
	case ast.SelectKind:
		s := e.AsSelect()
		prefix, ok := dotted(s.Operand())
		return prefix + "." + s.FieldName(), ok
	}
	return "", false
}

func literalOf[T any](e ast.Expr) (T, bool) {
	var zero T
	if e.Kind() != ast.LiteralKind {
		return zero, false
	}
	v, ok := e.AsLiteral().(T)
	return v, ok
}

// truth says a fact that is true or false.
func (t *teller) truth(f call, negated bool) (string, bool) {
	say := func(nl, notNL, en, notEN string, args ...any) (string, bool) {
		if negated {
			return t.F(notNL, notEN, args...), true
		}
		return t.F(nl, en, args...), true
	}
	switch f.name {
	case "gazette.notice":
		return say("over %s is %s bekendgemaakt", "over %s is geen bekendmaking gedaan van %s",
			"notice of %[2]s has been published about %[1]s", "no notice of %[2]s has been published about %[1]s", t.names.Party(f.arg(0)), t.free("notice", f.arg(1)))
	case "sla.disrupted":
		p := t.Period(quantity.Period(f.arg(1)))
		return say("%s is in de laatste 24 uur in totaal ten minste %s onbeschikbaar geweest", "%s is in de laatste 24 uur in totaal minder dan %s onbeschikbaar geweest",
			"%s has been unavailable for at least %s in all in the last 24 hours", "%s has been unavailable for less than %s in all in the last 24 hours", t.names.Component(f.arg(0)), p)
	case "outside_tolerance":
		return say("de onderbreking van %s duurt langer dan aanvaardbaar is", "de onderbreking van %s duurt niet langer dan aanvaardbaar is",
			"the interruption of %s exceeds its impact tolerance", "the interruption of %s is within its impact tolerance", t.names.Service(f.arg(0)))
	case "statement":
		return say("%s heeft schriftelijk verklaard %s", "%s heeft niet schriftelijk verklaard %s",
			"%s has stated in writing %s", "%s has not stated in writing %s", t.names.Party(f.arg(0)), t.free("statement", f.arg(1)))
	}
	if id, ok := strings.CutPrefix(f.name, "fact."); ok {
		about := t.aboutFact(f)
		means := t.Quote(strings.TrimSuffix(t.names.Fact(id), "."))
		return say("vastgesteld is%[1]s: %[2]s", "niet vastgesteld is%[1]s: %[2]s", "it has been established%[1]s: %[2]s", "it has not been established%[1]s: %[2]s", about, means)
	}
	return "", false
}

// aboutFact says what a fact of the agreement's own is about.
func (t *teller) aboutFact(f call) string {
	if len(f.args) == 0 {
		return ""
	}
	return t.F(" ten aanzien van %s", " in respect of %s", t.subject(f.arg(0)))
}

// subject names a party or a component.
func (t *teller) subject(id string) string {
	if name := t.names.Party(id); name != id {
		return name
	}
	return t.names.Component(id)
}

// free says a word that parties may choose themselves.
func (t *teller) free(kind, word string) string {
	if text, ok := t.Word(kind, word); ok {
		return text
	}
	return t.Quote(strings.ReplaceAll(word, "_", " "))
}

// has says insolvency(p).has("bankruptcy").
func (t *teller) has(target, word ast.Expr, negated bool) string {
	f, ok := factOf(target)
	w, isText := literalOf[types.String](word)
	if !ok || !isText || f.name != "insolvency" {
		return t.fail(target, "has").Text
	}
	return t.proceedings(t.names.Party(f.arg(0)), []string{string(w)}, negated)
}

// proceedings says that a party is, or is not, in one of the proceedings.
func (t *teller) proceedings(party string, words []string, negated bool) string {
	nouns := make([]string, len(words))
	for i, w := range words {
		nouns[i] = t.W("proceeding", w)
	}
	list := t.Or(nouns)
	switch {
	case len(words) == 1 && words[0] == "bankruptcy" && negated:
		return t.F("%s is niet in staat van faillissement verklaard", "%s has not been declared bankrupt", party)
	case len(words) == 1 && words[0] == "bankruptcy":
		return t.F("%s is in staat van faillissement verklaard", "%s has been declared bankrupt", party)
	case negated:
		return t.F("%s verkeert volgens de openbare registers niet in %s", "%s is not in %s according to the public registers", party, list)
	}
	return t.F("%s verkeert volgens de openbare registers in %s", "%s is in %s according to the public registers", party, list)
}

// in says register.insolvency(p) in [...], or a text among texts.
func (t *teller) in(what, list ast.Expr, negated bool) string {
	f, ok := factOf(what)
	if list.Kind() != ast.ListKind {
		return t.fail(what, "in").Text
	}
	var words []string
	for _, x := range list.AsList().Elements() {
		if w, ok := literalOf[types.String](x); ok {
			words = append(words, string(w))
		} else if v, ok := t.value(x); ok {
			words = append(words, v)
		}
	}
	if ok && f.name == "register.insolvency" {
		return t.proceedings(t.names.Party(f.arg(0)), words, negated)
	}
	noun, ok := t.noun(what)
	if !ok {
		return t.fail(what, "in").Text
	}
	for i := range words {
		words[i] = t.Quote(words[i])
	}
	if negated {
		return t.F("%s is niet een van de volgende: %s", "%s is none of %s", noun, t.Or(words))
	}
	return t.F("%s is %s", "%s is %s", noun, t.Or(words))
}

// value says a literal that something is compared with.
func (t *teller) value(e ast.Expr) (string, bool) {
	if n, ok := literalOf[types.Int](e); ok {
		return t.Number(int64(n)), true
	}
	if s, ok := literalOf[types.String](e); ok {
		return t.Quote(string(s)), true
	}
	if d, ok := t.length(e); ok {
		return d, true
	}
	return "", false
}

// length says duration("72h") or bd(5).
func (t *teller) length(e ast.Expr) (string, bool) {
	if e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 1 {
		return "", false
	}
	arg := e.AsCall().Args()[0]
	switch e.AsCall().FunctionName() {
	case "bd":
		if n, ok := literalOf[types.Int](arg); ok {
			return t.Period(quantity.Period(strconv.FormatInt(int64(n), 10) + "bd")), true
		}
	case "duration":
		if s, ok := literalOf[types.String](arg); ok {
			if d, err := time.ParseDuration(string(s)); err == nil {
				return t.Duration(d), true
			}
		}
	}
	return "", false
}

// Duration writes a fixed length in the units people count in: days from two
// days on, otherwise hours, minutes and seconds, exactly.
func (l Lang) Duration(d time.Duration) string {
	if d >= 48*time.Hour && d%(24*time.Hour) == 0 {
		return l.count(int64(d/(24*time.Hour)), quantity.Day)
	}
	var parts []string
	for _, u := range []struct {
		size time.Duration
		unit quantity.Unit
	}{{time.Hour, quantity.Hour}, {time.Minute, quantity.Minute}, {time.Second, quantity.Second}, {time.Millisecond, quantity.Millisecond}} {
		if n := int64(d / u.size); n > 0 {
			parts = append(parts, l.count(n, u.unit))
			d -= time.Duration(n) * u.size
		}
	}
	if len(parts) == 0 {
		return l.count(0, quantity.Second)
	}
	return l.And(parts)
}

func (l Lang) count(n int64, unit quantity.Unit) string {
	return l.Number(n) + "\u00a0" + l.unit(n, unit)
}
