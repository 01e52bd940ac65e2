package yamltext_test

import (
	"strings"
	"testing"

	"holdfast/internal/escrow/agreement/problem"
	"holdfast/internal/escrow/agreement/yamltext"
)

func read(t *testing.T, text string) *yamltext.Node {
	t.Helper()
	n, problems := yamltext.Read("x.yaml", []byte(text))
	if n == nil {
		t.Fatalf("%q: %s", text, problems)
	}
	return n
}

// TestLocate looks for the letter X of a scalar in the file.
func TestLocate(t *testing.T) {
	for _, text := range []string{
		"a: hello X\n",
		"a: é X\n",
		"a: 'hello X'\n",
		"a: \"é hello X\"\n",
		"k: {b: 1, a: hello X}\n",
		"a: hello\n  world\n  X there\n",
		"a: >-\n  hello\n  world X\n  end\n",
		"a: |\n    hello\n      world X\n",
		"b:\n  a: >\n    hello X\n    world\n",
		"a: 'say \"X\"'\n",
	} {
		n := read(t, text)
		for n.Kind == yamltext.Mapping {
			n = n.Fields[len(n.Fields)-1].Value
		}
		line, column := position(n.Text, "X")
		wantLine, wantColumn := position(text, "X")
		if got, want := n.Locate(line, column), (problem.Pos{Line: wantLine, Column: wantColumn}); got != want {
			t.Errorf("%q: X at %v, want %v", text, got, want)
		}
	}
	// With escapes the place of the scalar has to do.
	n := read(t, "a: \"h\\u00e9llo X\"\n").Fields[0].Value
	if got := n.Locate(1, 7); got != n.Pos {
		t.Errorf("escaped text: located at %v, want %v", got, n.Pos)
	}
}

func position(text, what string) (line, column int) {
	i := strings.Index(text, what)
	before := text[:i]
	line = 1 + strings.Count(before, "\n")
	return line, 1 + len([]rune(before[strings.LastIndexByte(before, '\n')+1:]))
}

func TestScalarsStayText(t *testing.T) {
	for text, want := range map[string]string{
		"a: 01012345\n":           "01012345",
		"a: 1.10\n":               "1.10",
		"a: 1_000\n":              "1_000",
		"a: 12:30:00\n":           "12:30:00",
		"a: 0x1F\n":               "0x1F",
		"a: 1e400\n":              "1e400",
		"a: 99999999999999999999": "99999999999999999999",
		"a: yes\n":                "yes",
		"a: .inf\n":               ".inf",
		"a: -0\n":                 "-0",
		"a: +7\n":                 "+7",
		"a: 2027-01-01\n":         "2027-01-01",
		"a: 'it''s'\n":            "it's",
		"a: \"\\u00e9\\n\"\n":     "é\n",
	} {
		if got := read(t, text).Fields[0].Value.Text; got != want {
			t.Errorf("%q is read as %q, want %q", text, got, want)
		}
	}
}

func TestAmbiguous(t *testing.T) {
	for _, s := range []string{
		"", "~", "null", "NULL", "y", "N", "yes", "No", "ON", "off", "true", "False", "=", "<<",
		"0", "7", "-7", "+7", "0123", "-0123", "01012345", "1_000", "0x1F", "0o17", "0b101", "12:30", "190:20:30", "1:2.5",
		"1.10", "1.", ".5", "-.5", "1e3", "1.5E-3", "1_0.5", ".inf", "-.INF", ".NaN", "nan", "inf", "Infinity",
		"2027-01-01", "2027-1-1", "2027-01-01T10:00:00Z", "2027-01-01 10:00:00",
	} {
		if yamltext.Ambiguous(s) == "" {
			t.Errorf("%q passes for text", s)
		}
	}
	for _, s := range []string{
		"a", "yess", "none", "10.4.2", "11.x", "24h", "6mo", "99.9%", "02-01", "EUR 145/h", "GIBIT-2023", "1a", "-", "--1", "+",
		"mon-fri 08:00-18:00", "5D992", "e3", "0xZZ", "1.2.3", "B_02.02", "2027-01", "é", "12:30h", "nobody",
	} {
		if what := yamltext.Ambiguous(s); what != "" {
			t.Errorf("%q is taken for %s", s, what)
		}
	}
}
