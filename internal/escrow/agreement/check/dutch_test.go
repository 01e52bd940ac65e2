package check_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/check"
	"holdfast/internal/escrow/agreement/problem"
)

// TestEveryPhraseHasDutch reads the sources of package agreement: every
// message and every mend that is written out there has its Dutch, so that a
// new one cannot be forgotten.
func TestEveryPhraseHasDutch(t *testing.T) {
	texts := check.Load()
	verb := regexp.MustCompile(`%(?:%|[a-zA-Z+]|0\d?[a-zA-Z])`)
	checked := 0
	for dir, at := range map[string]map[string][2]int{
		"..":          {"fail": {2, 3}, "warn": {2, 3}, "note": {2, 3}, "add": {4, 5}},
		"../bind":     {"fail": {3, 4}},
		"../yamltext": {"fail": {2, 3}},
		"../cond":     {"add": {3, 4}},
	} {
		sources, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(sources) == 0 {
			t.Fatalf("%s: %v", dir, err)
		}
		for _, source := range sources {
			if strings.HasSuffix(source, "_test.go") {
				continue
			}
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, source, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				sel, ok := call.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				where, ok := at[sel.Sel.Name]
				if !ok || len(call.Args) <= where[1] {
					return true
				}
				for _, i := range where {
					text := literal(call.Args[i])
					plain := strings.TrimSpace(verb.ReplaceAllStringFunc(text, func(v string) string {
						if v == "%q" {
							return `"x"`
						}
						return "x"
					}))
					if strings.Trim(plain, "x\" (U+)") == "" {
						continue // nothing of its own
					}
					checked++
					list := texts.Translate(problem.List{{Message: plain}}, "nl")
					if list[0].Message == plain {
						t.Errorf("%s: no Dutch for %q; add it to texts/phrases.yaml", fset.Position(call.Pos()), text)
					}
				}
				return true
			})
		}
	}
	if checked < 300 {
		t.Errorf("only %d phrases were found in the sources", checked)
	}
}

// literal is the text of an expression, with x for what is not written out.
func literal(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil {
			return s
		}
	case *ast.BinaryExpr:
		return literal(e.X) + literal(e.Y)
	}
	return "x"
}

// TestBrokenFilesInDutch: what is said about the broken agreements of package
// agreement is Dutch, apart from what the library of conditions says itself.
func TestBrokenFilesInDutch(t *testing.T) {
	texts := check.Load()
	files, err := filepath.Glob("../testdata/broken/*.yaml")
	if err != nil || len(files) < 100 {
		t.Fatalf("%d files (%v)", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, english := agreement.Parse(filepath.Base(file), data)
		for i, dutch := range texts.Translate(english, "nl") {
			if dutch.Message == english[i].Message || dutch.Hint == english[i].Hint && dutch.Hint != "" {
				t.Errorf("%s: not Dutch: %s", filepath.Base(file), dutch)
			}
		}
	}
}

// TestTextsAreComplete: every finding has everything in both languages, with
// the same particulars, and every rule of package agreement is explained.
func TestTextsAreComplete(t *testing.T) {
	texts := check.Load()
	place := regexp.MustCompile(`\{\d\}`)
	particulars := func(s string) map[string]bool {
		out := map[string]bool{}
		for _, p := range place.FindAllString(s, -1) {
			out[p] = true
		}
		return out
	}
	if len(texts.Findings) < 80 {
		t.Errorf("only %d findings", len(texts.Findings))
	}
	for code, f := range texts.Findings {
		if !regexp.MustCompile(`^[a-z][a-z-]*[a-z]$`).MatchString(code) {
			t.Errorf("%s is no code", code)
		}
		switch f.Severity {
		case problem.Error, problem.Warning, problem.Note:
		default:
			t.Errorf("%s is %q", code, f.Severity)
		}
		for _, w := range [][2]string{{f.En.Message, f.Nl.Message}, {f.En.Mend, f.Nl.Mend}, {f.En.Why, f.Nl.Why}} {
			if len(w[0]) < 8 || len(w[1]) < 8 || w[0] == w[1] {
				t.Errorf("%s: %q, %q", code, w[0], w[1])
			}
			en, nl := particulars(w[0]), particulars(w[1])
			for p := range en {
				if !nl[p] {
					t.Errorf("%s: %s is in the English only: %q", code, p, w[1])
				}
			}
			for p := range nl {
				if !en[p] {
					t.Errorf("%s: %s is in the Dutch only: %q", code, p, w[1])
				}
			}
		}
	}
	for code := range rulesOfAgreement(t) {
		if r := texts.Rules[code]; len(r.En) < 8 || len(r.Nl) < 8 || r.En == r.Nl {
			t.Errorf("the rule %s is not explained in both languages", code)
		}
		if _, both := texts.Findings[code]; both {
			t.Errorf("%s is a rule of package agreement and a finding", code)
		}
	}
}

// rulesOfAgreement collects the rules from the first lines of the broken
// files and from what is said about them.
func rulesOfAgreement(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{"coalition": true, "loss": true, "spare": true, "shared-people": true, "control": true}
	files, err := filepath.Glob("../testdata/broken/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, problems := agreement.Parse("x", data)
		for _, p := range problems {
			out[p.Rule] = true
		}
	}
	return out
}
