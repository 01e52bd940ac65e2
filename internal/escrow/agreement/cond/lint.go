package cond

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"holdfast/internal/escrow/agreement/problem"
	"holdfast/internal/escrow/agreement/quantity"
)

// translate says in our words what CEL says in its own.
func (l *Language) translate(issues *cel.Issues, text string) []Fault {
	var out []Fault
	for _, e := range issues.Errors() {
		f := Fault{Line: e.Location.Line(), Column: e.Location.Column() + 1, Severity: "error", Rule: "condition",
			Hint: `a condition is facts, &&, ||, !, ==, <, in, duration("72h") and bd(5)`}
		if f.Line < 1 || f.Column < 1 {
			f.Line, f.Column = 0, 0 // CEL gave up without a place
		}
		f.Message, _, _ = strings.Cut(e.Message, " expecting ")
		f.Message, _, _ = strings.Cut(f.Message, "\n")
		quoted, _, _ := strings.Cut(after(e.Message, "'"), "'")
		switch {
		case strings.HasPrefix(e.Message, "undeclared reference to '"):
			l.undeclared(&f, text, quoted)
		case strings.HasPrefix(e.Message, "found no matching overload for '"):
			f.Rule, f.Hint = "condition-type", l.usage(quoted)
			f.Message = fmt.Sprintf("%s cannot be applied to these values", readable(quoted))
			f.Column = nameStart(text, f.Line, f.Column)
		case strings.HasPrefix(e.Message, "expected type 'bool'"):
			f.Rule, f.Message = "condition-type", "this is neither true nor false"
			f.Hint = `compare it with something, or ask insolvency("party").has("bankruptcy")`
			f.Column = nameStart(text, f.Line, f.Column)
		case strings.Contains(f.Message, "'<EOF>'"):
			f.Message = "the condition ends in the middle"
		case strings.HasPrefix(e.Message, "invalid duration argument"):
			f.Rule, f.Message, f.Hint = "condition-argument", "duration does not take this", `write hours, minutes and seconds: duration("72h")`
		}
		if !slices.ContainsFunc(out, func(o Fault) bool { return o.Line == f.Line && o.Message == f.Message }) {
			out = append(out, f)
		}
		if len(out) == 5 {
			break
		}
	}
	if len(out) == 0 {
		out = append(out, Fault{Severity: "error", Rule: "condition", Message: issues.Err().Error(), Hint: "say it more simply"})
	}
	return out
}

// undeclared fills in f for a name CEL does not know.
func (l *Language) undeclared(f *Fault, text, name string) {
	f.Rule = "condition-unknown-fact"
	if strings.Trim(name, "_?:[]+-*/%.") == "" {
		f.Rule, f.Message = "condition", fmt.Sprintf("%s is not part of conditions", strings.ReplaceAll(name, "_", ""))
		return
	}
	f.Column = nameStart(text, f.Line, f.Column)
	name = qualified(text, f.Line, f.Column, name)
	f.Message, f.Hint = fmt.Sprintf("there is no fact or function %q", name), l.suggest(name)
	if name == "self" {
		f.Rule, f.Message, f.Hint = "self", "self means nothing here: the event has neither for_each nor for", "add for_each, or name the party"
	}
}

func after(s, sep string) string {
	_, rest, _ := strings.Cut(s, sep)
	return rest
}

// suggest is what to write in place of a name nobody declared.
func (l *Language) suggest(name string) string {
	for _, m := range Moments() {
		if name == m || strings.HasPrefix(name, m+".") {
			return fmt.Sprintf("quote it: age(%q)", m)
		}
	}
	if _, ok := strings.CutPrefix(name, "fact."); ok {
		return "declare it under release.facts"
	}
	return problem.DidYouMean(name, append(names(l.functions), "duration", "bd"))
}

// usage is how a function is called.
func (l *Language) usage(name string) string {
	for _, f := range l.functions {
		if f.Name == name {
			return "write " + f.Signature()
		}
	}
	switch name {
	case "bd":
		return "write bd(5): a whole number of business days"
	case "duration":
		return `write duration("72h")`
	case "has":
		return `write insolvency("party").has("bankruptcy")`
	}
	return "compare periods with duration(\"72h\") or bd(5), numbers with numbers, words with words in quotes"
}

// Signature is how the function is called and what it gives.
func (f Function) Signature() string {
	args := make([]string, len(f.Args))
	for i, a := range f.Args {
		args[i] = `"` + a + `"`
	}
	return fmt.Sprintf("%s(%s), which gives %s", f.Name, strings.Join(args, ", "), f.Kind.article())
}

func (k Kind) article() string {
	switch k {
	case Truth:
		return "true or false"
	case Number:
		return "a whole number"
	case Period:
		return "a period"
	case Words:
		return "a set of words"
	}
	return "a word"
}

func readable(operator string) string {
	if shown, ok := operators.FindReverse(operator); ok && shown != "" {
		return shown
	}
	return operator
}

// nameStart returns the column at which the dotted name begins that ends just
// before column or contains it: CEL places a call at its bracket.
func nameStart(text string, line, column int) int {
	runes := lineOf(text, line)
	at := min(max(column-1, 0), len(runes))
	for at > 0 && nameRune(runes[at-1]) {
		at--
	}
	return at + 1
}

// qualified reads the dotted name that begins at a place of the text, since
// CEL names only its first part.
func qualified(text string, line, column int, fallback string) string {
	runes := lineOf(text, line)
	at := min(max(column-1, 0), len(runes))
	end := at
	for end < len(runes) && nameRune(runes[end]) {
		end++
	}
	if name := strings.Trim(string(runes[at:end]), "."); name != "" {
		return name
	}
	return fallback
}

func lineOf(text string, line int) []rune {
	lines := strings.Split(text, "\n")
	if line < 1 || line > len(lines) {
		return nil
	}
	return []rune(lines[line-1])
}

func nameRune(r rune) bool {
	return r == '_' || r == '.' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// linter walks a checked expression.
type linter struct {
	language *Language
	text     string
	tree     *ast.AST
	uses     []string
	faults   []Fault
}

func (t *linter) add(e ast.Expr, severity, rule, hint, format string, args ...any) {
	f := Fault{Severity: severity, Rule: rule, Message: fmt.Sprintf(format, args...), Hint: hint}
	if e != nil {
		at := t.tree.SourceInfo().GetStartLocation(e.ID())
		f.Line, f.Column = at.Line(), at.Column()+1
		if e.Kind() == ast.CallKind && !e.AsCall().IsMemberFunction() {
			f.Column = nameStart(t.text, f.Line, f.Column)
		}
	}
	t.faults = append(t.faults, f)
}

// walk visits e below parent. negated is true below an odd number of !.
func (t *linter) walk(e, parent ast.Expr, negated bool) {
	switch e.Kind() {
	case ast.CallKind:
		c := e.AsCall()
		if f, ok := t.function(c.FunctionName()); ok {
			t.call(e, parent, f, negated)
			return
		}
		switch c.FunctionName() {
		case operators.LogicalNot:
			negated = !negated
		case "bd":
			t.bd(c.Args()[0])
			return
		case "has":
			t.proceedings(c.Target(), c.Args()[0])
		case "duration":
			t.duration(c.Args()[0])
			return
		case operators.Equals, operators.NotEquals, operators.In:
			if t.tree.GetType(c.Args()[0].ID()).IsExactType(types.BoolType) {
				t.add(e, "error", "condition-truth", "write the fact itself, or ! before it", "a truth value is not compared")
			}
			t.proceedings(c.Args()[0], c.Args()[1])
			t.proceedings(c.Args()[1], c.Args()[0])
		}
		if c.IsMemberFunction() {
			t.walk(c.Target(), e, negated)
		}
		for _, a := range c.Args() {
			t.walk(a, e, negated)
		}
	case ast.ListKind:
		for _, x := range e.AsList().Elements() {
			t.walk(x, e, negated)
		}
	case ast.MapKind, ast.StructKind, ast.ComprehensionKind, ast.SelectKind:
		t.add(e, "error", "condition", "use facts, && and ||", "this form of CEL is not part of conditions")
	}
}

func (t *linter) function(name string) (Function, bool) {
	for _, f := range t.language.functions {
		if f.Name == name {
			return f, true
		}
	}
	return Function{}, false
}

// call checks one reading of a fact.
func (t *linter) call(e, parent ast.Expr, f Function, negated bool) {
	if !slices.Contains(t.uses, f.Name) {
		t.uses = append(t.uses, f.Name)
	}
	for i, a := range e.AsCall().Args() {
		t.argument(a, f.args[i])
	}
	if f.Own && (f.Kind == Period || f.Kind == Number) && !onlyGrows(e, parent) {
		t.add(e, "error", "condition-own-record", fmt.Sprintf("write %s(…) > …, never < or ==", f.Name),
			"%s is zero until it has happened, so this would be true although nothing happened", f.Name)
	}
	if f.Own && f.Kind == Truth && negated {
		t.add(e, "note", "condition-absence", "make sure that people are asked before the stages begin", "!%s(…) is true as long as nobody has put such a statement on record", f.Name)
	}
}

// onlyGrows reports whether e stands on the greater side of a comparison that
// is false as long as e is zero.
func onlyGrows(e, parent ast.Expr) bool {
	if parent == nil || parent.Kind() != ast.CallKind {
		return false
	}
	args := parent.AsCall().Args()
	greater, other := 0, 1
	switch parent.AsCall().FunctionName() {
	case operators.Less, operators.LessEquals:
		greater, other = 1, 0
	case operators.Greater, operators.GreaterEquals:
	default:
		return false
	}
	if args[greater].ID() != e.ID() {
		return false
	}
	sign, known := signOf(args[other])
	switch parent.AsCall().FunctionName() {
	case operators.Greater, operators.Less:
		return !known || sign >= 0
	}
	return known && sign > 0
}

// signOf returns the sign of a literal number, duration or bd.
func signOf(e ast.Expr) (sign int, known bool) {
	if n, ok := literal[types.Int](e); ok {
		return cmp.Compare(n, 0), true
	}
	if e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 1 {
		return 0, false
	}
	arg := e.AsCall().Args()[0]
	switch e.AsCall().FunctionName() {
	case "bd":
		return signOf(arg)
	case "duration":
		if text, ok := literal[types.String](arg); ok {
			if d, err := time.ParseDuration(string(text)); err == nil {
				return cmp.Compare(d, 0), true
			}
		}
	}
	return 0, false
}

func (t *linter) duration(a ast.Expr) {
	text, ok := literal[types.String](a)
	d, err := time.ParseDuration(string(text))
	if !ok || err != nil || d < 0 {
		t.add(a, "error", "condition-argument", `write hours, minutes and seconds: duration("72h")`, "duration does not take this")
	}
}

func (t *linter) bd(a ast.Expr) {
	n, ok := literal[types.Int](a)
	if !ok || n < 0 || n > 1000 {
		t.add(a, "error", "condition-argument", "write bd(5)", "bd takes a whole number of business days from 0 to 1000")
	}
}

func literal[T any](e ast.Expr) (T, bool) {
	var zero T
	if e.Kind() != ast.LiteralKind {
		return zero, false
	}
	v, ok := e.AsLiteral().(T)
	return v, ok
}

// argument checks that an argument names something the agreement has.
func (t *linter) argument(a ast.Expr, kind argument) {
	if a.Kind() == ast.IdentKind && a.AsIdent() == "self" && (kind == party || kind == licence) {
		return
	}
	text, ok := literal[types.String](a)
	if !ok {
		t.add(a, "error", "condition-argument", "write its name in quotes", "a condition names its %s itself", kind)
		return
	}
	t.name(a, string(text), kind)
}

func (t *linter) name(a ast.Expr, text string, kind argument) {
	var candidates []string
	s := t.language.scope
	switch kind {
	case party:
		candidates = append(slices.Clone(s.Parties), "curator", "acquirer")
	case component:
		candidates = s.Components
	case module:
		candidates = s.Modules
	case service:
		candidates = s.Services
	case licence:
		for id := range s.Licences {
			candidates = append(candidates, id)
		}
		slices.Sort(candidates)
	case moment:
		candidates = Moments()
	case priority:
		candidates = []string{"p1", "p2", "p3", "p4", "p5"}
		text = strings.ToLower(text)
	case source:
		t.silentSource(a, text)
		return
	case period:
		if err := quantity.Period(text).Valid(); err != nil || quantity.Period(text).IsZero() {
			t.add(a, "error", "condition-argument", `for example "72h" or "10bd"`, "%q is not a period", text)
		}
		return
	case word:
		if text == "" || strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			t.add(a, "error", "condition-argument", "use lower-case letters, digits and _", "%q is not a word that can be put on record", text)
		}
		return
	}
	if !slices.Contains(candidates, text) {
		t.add(a, "error", "condition-unknown-name", problem.DidYouMean(text, candidates), "there is no %s %q", kind, text)
	}
}

// silentSource checks the name of something that can fall silent.
func (t *linter) silentSource(a ast.Expr, text string) {
	name, rest, ok := strings.Cut(text, ".")
	if name == "fact" {
		id, about, _ := strings.Cut(rest, ".")
		for _, f := range t.language.scope.Facts {
			if f.ID != id {
				continue
			}
			if (about == "") != (f.About == "arrangement") {
				break
			}
			if about != "" {
				t.name(a, about, argument(f.About))
			}
			return
		}
	} else if kind, known := sources()[name]; known && ok {
		t.name(a, rest, kind)
		return
	}
	t.add(a, "error", "condition-argument", "for example \"heartbeat.PARTY\", \"sla.COMPONENT\" or \"insolvency.PARTY\"", "%q names nothing that can fall silent", text)
}

// proceedings warns when the proceedings of a party are compared with a word
// no register gives: such a condition never comes true.
func (t *linter) proceedings(call, with ast.Expr) {
	if call == nil || call.Kind() != ast.CallKind {
		return
	}
	if f := call.AsCall().FunctionName(); f != "insolvency" && f != "register.insolvency" {
		return
	}
	words := []ast.Expr{with}
	if with.Kind() == ast.ListKind {
		words = with.AsList().Elements()
	}
	for _, w := range words {
		text, ok := literal[types.String](w)
		if ok && !slices.Contains(Proceedings(), string(text)) {
			t.add(w, "warning", "condition-proceeding", problem.DidYouMean(string(text), Proceedings()), "no register is read into the proceeding %q, so this may never be true", string(text))
		}
	}
}
