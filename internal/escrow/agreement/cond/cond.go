// Package cond is the conditions of an agreement: CEL expressions over facts,
// checked against what the agreement declares, and evaluated with three truth
// values. A fact nobody observed is unknown, and unknown is never true.
//
// It may depend on its siblings problem and quantity and on cel-go. It does
// no I/O; facts and the time are arguments.
package cond

import (
	"fmt"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// The limits of one condition.
const (
	maxLength = 2000
	maxNodes  = 400
	maxDepth  = 60
)

// Scope is what the conditions of one agreement can name.
type Scope struct {
	Parties, Components, Modules, Services []string
	Licences                               map[string]string // licence to licensee
	Facts                                  []Custom
}

// Custom is a fact of the agreement's own, read as fact.ID.
type Custom struct {
	ID    string
	About string // party, component or arrangement
	Kind  Kind
}

// Language is the conditions of one agreement.
type Language struct {
	scope     Scope
	functions []Function
	env       *cel.Env
	self      *cel.Env // the same with the variable self
}

// New makes the language of an agreement's conditions.
func New(scope Scope) (*Language, error) {
	l := &Language{scope: scope, functions: Functions()}
	for _, f := range scope.Facts {
		fn := Function{Name: "fact." + f.ID, Kind: f.Kind}
		if f.About != "arrangement" {
			fn.Args, fn.args = []string{f.About}, []argument{argument(f.About)}
		}
		l.functions = append(l.functions, fn)
	}
	var err error
	if l.env, err = cel.NewCustomEnv(l.options()...); err != nil {
		return nil, fmt.Errorf("conditions: %w", err)
	}
	if l.self, err = l.env.Extend(cel.Variable("self", cel.StringType)); err != nil {
		return nil, fmt.Errorf("conditions: %w", err)
	}
	return l, nil
}

// options declares the language: logic, comparison, in, duration, has, bd and
// the facts. There is no arithmetic, no loop, no conversion and no access to
// the clock: a condition is read by lawyers.
func (l *Language) options() []cel.EnvOption {
	subset := &env.LibrarySubset{DisableMacros: true}
	for _, name := range []string{
		operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Equals, operators.NotEquals,
		operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals, operators.In, "duration",
	} {
		subset.IncludeFunctions = append(subset.IncludeFunctions, env.NewFunction(name))
	}
	opts := []cel.EnvOption{
		cel.StdLib(cel.StdLibSubset(subset)),
		cel.ClearMacros(),
		cel.ParserExpressionSizeLimit(maxLength),
		cel.ParserRecursionLimit(maxDepth),
		cel.ExpressionNodeLimit(maxNodes),
		cel.ExpressionNestingDepthLimit(maxDepth),
		cel.ASTValidators(cel.ValidateDurationLiterals()),
		cel.Function("has", cel.MemberOverload("words_has", []*cel.Type{cel.ListType(cel.StringType), cel.StringType}, cel.BoolType,
			cel.BinaryBinding(func(list, word ref.Val) ref.Val {
				return list.(interface{ Contains(ref.Val) ref.Val }).Contains(word)
			}))),
		cel.Function("bd", cel.Overload("bd", []*cel.Type{cel.IntType}, cel.DurationType, cel.LateFunctionBinding())),
	}
	for _, f := range l.functions {
		args := make([]*cel.Type, len(f.args))
		for i := range args {
			args[i] = cel.StringType
		}
		opts = append(opts, cel.Function(f.Name, cel.Overload("fact_"+strings.ReplaceAll(f.Name, ".", "_"), args, celType(f.Kind), cel.LateFunctionBinding())))
	}
	return opts
}

func celType(k Kind) *cel.Type {
	switch k {
	case Truth:
		return cel.BoolType
	case Number:
		return cel.IntType
	case Period:
		return cel.DurationType
	case Words:
		return cel.ListType(cel.StringType)
	}
	return cel.StringType
}

func typeName(t *cel.Type) string {
	for _, k := range []Kind{Number, Period, Text, Words} {
		if t.IsExactType(celType(k)) {
			return k.article()
		}
	}
	return t.String()
}

// Fault is what is wrong with a condition. Line and Column are within its
// text and count from 1; both are 0 when it is the whole.
type Fault struct {
	Line, Column int
	Severity     string // error, warning or note
	Rule         string
	Message      string
	Hint         string
}

// Condition is a checked expression that comes to true, false or unknown.
type Condition struct {
	language *Language
	program  cel.Program
	uses     []string
}

// Compile checks the text of a condition. self says that the condition is
// about one member of a set, named self. The condition is nil when a fault
// is an error.
func (l *Language) Compile(text string, self bool) (condition *Condition, faults []Fault) {
	// CEL is not ours to prove free of panics: one that escapes it is a
	// refusal of the condition, not the end of the process.
	defer func() {
		if v := recover(); v != nil {
			condition, faults = nil, []Fault{{Severity: "error", Rule: "condition", Message: fmt.Sprintf("the reader of conditions gave up on this one (%v)", v), Hint: "say it more simply"}}
		}
	}()
	if len(text) > maxLength {
		return nil, []Fault{{Severity: "error", Rule: "condition", Message: fmt.Sprintf("the condition is longer than %d characters", maxLength), Hint: "say it more simply, or make several events"}}
	}
	e := l.env
	if self {
		e = l.self
	}
	tree, issues := e.Compile(text)
	if issues.Err() != nil {
		return nil, l.translate(issues, text)
	}
	if !tree.OutputType().IsExactType(cel.BoolType) {
		return nil, []Fault{{Severity: "error", Rule: "condition-type", Message: fmt.Sprintf("the condition gives %s, not true or false", typeName(tree.OutputType())), Hint: "compare it with something"}}
	}
	lint := &linter{language: l, text: text, tree: tree.NativeRep()}
	lint.walk(tree.NativeRep().Expr(), nil, false)
	if len(lint.uses) == 0 {
		lint.add(nil, "error", "condition-no-fact", `for example insolvency("party").has("bankruptcy")`, "the condition rests on no fact")
	}
	for _, f := range lint.faults {
		if f.Severity == "error" {
			return nil, lint.faults
		}
	}
	program, err := e.Program(tree)
	if err != nil {
		return nil, append(lint.faults, Fault{Severity: "error", Rule: "condition", Message: fmt.Sprintf("the condition cannot be planned: %v", err), Hint: "say it more simply"})
	}
	return &Condition{language: l, program: program, uses: lint.uses}, lint.faults
}

// Uses lists the names of the functions the condition reads.
func (c *Condition) Uses() []string { return c.uses }

// Facts gives the values known under a key such as insolvency.leverancier.
// known is false when nobody observed it.
type Facts func(key string) (values []string, known bool)

// Case is one evaluation.
type Case struct {
	Facts Facts
	Self  string // the member of the set
	At    time.Time
	// BusinessDaysBefore counts business days back from a moment. Without it,
	// or with a zero At, bd() is unknown.
	BusinessDaysBefore func(at time.Time, n int) time.Time
}

// Result is what a condition comes to.
type Result struct {
	Value   string   // true, false or unknown
	Missing []string // keys of facts that were asked for and not known
}

// Eval evaluates the condition. It returns an error only when a fact has a
// value of another kind than it must have.
func (c *Condition) Eval(k Case) (Result, error) {
	run := &evaluation{language: c.language, Case: k}
	functions := map[string]cel.LateBoundFunction{
		"bd": func(_ string, args ...ref.Val) ref.Val { return run.businessDays(args[0]) },
	}
	for _, f := range c.language.functions {
		functions[f.Name] = func(_ string, args ...ref.Val) ref.Val { return run.fact(f, args) }
	}
	vars, err := cel.FunctionVars(map[string]any{"self": k.Self}, functions)
	if err != nil {
		return Result{}, fmt.Errorf("condition: %w", err)
	}
	out, _, err := c.program.Eval(vars)
	if run.err != nil {
		return Result{}, run.err
	}
	result := Result{Value: "unknown", Missing: run.missing}
	switch {
	case err != nil:
		return Result{}, fmt.Errorf("condition: %w", err)
	case out == types.True:
		result.Value, result.Missing = "true", nil
	case out == types.False:
		result.Value, result.Missing = "false", nil
	case !types.IsUnknown(out):
		return Result{}, fmt.Errorf("condition: came to %v", out)
	}
	return result, nil
}
