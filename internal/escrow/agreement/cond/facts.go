package cond

import (
	"fmt"
	"slices"
	"strings"

	"holdfast/internal/escrow/agreement/problem"
)

// CheckFact checks the key of a fact, such as heartbeat.age.leverancier, and
// its values. It returns what is wrong and what to do, or "".
func (l *Language) CheckFact(key string, values []string) (message, hint string) {
	f, rest, ok := l.functionOf(key)
	if !ok {
		return fmt.Sprintf("there is no fact %q", key), l.nearestKey(key)
	}
	args := f.args
	if f.inside {
		args = args[:len(args)-1]
	}
	parts := []string{}
	if rest != "" {
		parts = strings.SplitN(rest, ".", max(len(args), 1))
	}
	if len(parts) != len(args) {
		return fmt.Sprintf("the fact %q does not say what it is about", key), "write " + f.keyForm()
	}
	check := &linter{language: l}
	for i, p := range parts {
		check.name(nil, p, args[i])
		if args[i] == priority && p != strings.ToLower(p) {
			return fmt.Sprintf("the fact %q has a priority in capitals", key), "write " + strings.ToLower(p)
		}
	}
	if len(check.faults) > 0 {
		return check.faults[0].Message, check.faults[0].Hint
	}
	if len(values) == 1 && values[0] == "unknown" {
		return "", ""
	}
	if f.inside || f.Kind == Words {
		for _, v := range values {
			if f.Kind == Words && !slices.Contains(Proceedings(), v) {
				return fmt.Sprintf("no register is read into the proceeding %q", v), problem.DidYouMean(v, Proceedings())
			}
		}
		return "", ""
	}
	if _, err := value(f, values, ""); err != nil {
		return fmt.Sprintf("the fact %q: %v", key, err), "write " + f.keyForm()
	}
	return "", ""
}

// functionOf finds the function whose facts are kept under the longest prefix
// of key.
func (l *Language) functionOf(key string) (f Function, rest string, ok bool) {
	for _, g := range l.functions {
		if g.key != "" {
			continue // reads the facts of another function
		}
		after, has := strings.CutPrefix(key, g.Name)
		if !has || after != "" && after[0] != '.' {
			continue
		}
		if len(g.Name) > len(f.Name) {
			f, rest, ok = g, strings.TrimPrefix(after, "."), true
		}
	}
	return f, rest, ok
}

// keyForm shows how facts of the function are written in a test.
func (f Function) keyForm() string {
	parts := []string{f.Name}
	args := f.Args
	if f.inside {
		args = args[:len(args)-1]
	}
	for _, a := range args {
		parts = append(parts, strings.ToUpper(a))
	}
	example := map[Kind]string{Truth: "true", Number: "3", Period: "72h", Text: "word", Words: "[bankruptcy]"}[f.Kind]
	if f.inside {
		example = "[" + f.Args[len(f.Args)-1] + "]"
	}
	return strings.Join(parts, ".") + ": " + example
}

// nearestKey is the key that was most likely meant.
func (l *Language) nearestKey(key string) string {
	for _, f := range l.functions {
		if rest, has := strings.CutPrefix(key, f.Name+"."); has && f.key != "" {
			return fmt.Sprintf("%s reads %s: write %q", f.Name, f.key, f.key+"."+rest)
		}
	}
	parts := strings.Split(key, ".")
	for _, f := range l.functions {
		n := 1 + strings.Count(f.Name, ".")
		if f.key == "" && len(parts) > n && problem.Nearest(strings.Join(parts[:n], "."), []string{f.Name}) != "" {
			return fmt.Sprintf("did you mean %q?", f.Name+"."+strings.Join(parts[n:], "."))
		}
	}
	return problem.DidYouMean(key, l.keyExamples())
}

func (l *Language) keyExamples() []string {
	var out []string
	for _, f := range l.functions {
		if f.key == "" {
			form, _, _ := strings.Cut(f.keyForm(), ":")
			out = append(out, form)
		}
	}
	return out
}
