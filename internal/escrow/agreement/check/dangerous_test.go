package check_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/internal/escrow/agreement/check"
	"holdfast/internal/escrow/agreement/problem"
)

var update = flag.Bool("update", false, "write the golden findings")

// danger is one file of testdata/dangerous: a base agreement that passes
// without a warning, a small change to it, and the one finding that must
// follow, set down when the file was written. "says" and "zegt" hold every
// word of it in both languages.
//
//	base: municipality
//	want: error right-missing
//	--- instead of
//	text of the base; a line \ at its end means without the last line break
//	--- write
//	text in its place
//	--- says
//	--- zegt
type danger struct {
	base, severity, rule string
	text                 string // the changed agreement
	head                 string // everything before says
	says, zegt           string
}

func readDanger(t *testing.T, file string) danger {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := danger{}
	head, rest, ok := strings.Cut(string(data), "--- says\n")
	if !ok {
		t.Fatalf("%s has no says", file)
	}
	d.head = head
	d.says, d.zegt, _ = strings.Cut(rest, "--- zegt\n")
	changes := strings.Split(head, "--- instead of\n")
	if _, err := fmt.Sscanf(changes[0], "base: %s\nwant: %s %s", &d.base, &d.severity, &d.rule); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	base, err := os.ReadFile("testdata/base-" + d.base + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	d.text = string(base)
	for _, change := range changes[1:] {
		old, new, ok := strings.Cut(change, "--- write\n")
		old, new = strings.TrimSuffix(old, "\n\\\n"), strings.TrimSuffix(new, "\n\\\n")
		i := strings.Index(d.text, old)
		if !ok || i < 0 {
			t.Fatalf("%s changes what is not in its base: %q", file, old)
		}
		d.text = d.text[:i] + new + d.text[i+len(old):]
	}
	return d
}

func findings(texts *check.Texts, name, text, l string) problem.List {
	_, problems := check.Check(name, []byte(text), check.Options{At: today(), Language: language(l), Texts: texts})
	return problems
}

// grave are the findings that are not notes, and the notes of one kind.
func grave(list problem.List, note string) problem.List {
	var out problem.List
	for _, p := range list {
		if p.Severity != problem.Note || p.Rule == note {
			out = append(out, p)
		}
	}
	return out
}

// TestDangerousAgreements: each small change of a good agreement gives exactly
// the finding it must give, at a place in the text, in both languages.
func TestDangerousAgreements(t *testing.T) {
	files, err := filepath.Glob("testdata/dangerous/*.txt")
	if err != nil || len(files) < 80 {
		t.Fatalf("%d dangerous agreements (%v), want at least 80", len(files), err)
	}
	texts := check.Load()
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := readDanger(t, file)
			note := ""
			if d.severity == string(problem.Note) {
				note = d.rule
			}
			english, dutch := grave(findings(texts, name, d.text, "en"), note), grave(findings(texts, name, d.text, "nl"), note)
			if len(english) != 1 || english[0].Rule != d.rule || string(english[0].Severity) != d.severity {
				t.Fatalf("want exactly one %s of kind %s, got:\n%s", d.severity, d.rule, kinds(english))
			}
			p := english[0]
			if p.Pos.IsZero() || p.Hint == "" || p.Message == "" {
				t.Errorf("the finding has no place, message or mend: %+v", p)
			}
			if len(dutch) != 1 || dutch[0].Rule != p.Rule || dutch[0].Pos != p.Pos || dutch[0].Message == p.Message || dutch[0].Hint == p.Hint {
				t.Errorf("in Dutch it says:\n%s", kinds(dutch))
			}
			for _, l := range []problem.List{english, dutch} {
				if strings.Contains(l.String(), "{1}") || strings.Contains(l.String(), "{2}") {
					t.Errorf("a particular is missing: %s", l)
				}
			}
			if *update {
				out := d.head + "--- says\n" + english.String() + "--- zegt\n" + dutch.String()
				if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if english.String() != d.says || dutch.String() != d.zegt {
				t.Errorf("run with -update and read the change:\n%s%s", english, dutch)
			}
		})
	}
}

// TestBasesAreGood: what the dangerous agreements start from passes without a
// warning, so that the finding is the change's.
func TestBasesAreGood(t *testing.T) {
	texts := check.Load()
	for _, base := range []string{"municipality", "bank", "on-premise"} {
		data, err := os.ReadFile("testdata/base-" + base + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if list := grave(findings(texts, base, string(data), "en"), ""); len(list) > 0 {
			t.Errorf("%s:\n%s", base, kinds(list))
		}
	}
}

// TestEveryFindingIsTested: every kind of finding that is an error or a
// warning comes up among the dangerous agreements, or is listed here with
// the test that has it.
func TestEveryFindingIsTested(t *testing.T) {
	elsewhere := map[string]string{
		"version-skipped": "TestVersions", "version-other-base": "TestVersions", "version-other-arrangement": "TestVersions", "two-versions": "TestVersions",
		"framework-other-text": "TestFrameworks", "framework-exceeded": "TestFrameworks",
		"no-source": "TestWhatIsNotHeld", "no-data": "TestWhatIsNotHeld", "undertaking-unsigned": "TestFrameworks", "module-ground": "TestWhatIsNotHeld",
	}
	files, err := filepath.Glob("testdata/dangerous/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		seen[readDanger(t, file).rule] = true
	}
	for code, f := range check.Load().Findings {
		if f.Severity != problem.Note && !seen[code] && elsewhere[code] == "" {
			t.Errorf("no dangerous agreement has the finding %s", code)
		}
	}
}

func kinds(list problem.List) string {
	var b strings.Builder
	for _, p := range list {
		fmt.Fprintf(&b, "%s (%s)\n", p, p.Rule)
	}
	return b.String()
}
