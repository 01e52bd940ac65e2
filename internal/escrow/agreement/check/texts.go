package check

import (
	"embed"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/problem"
)

//go:embed texts/*.yaml
var files embed.FS

// Words is what is said about a finding in one language.
type Words struct {
	Message string `yaml:"message"` // what is wrong, with {1}, {2} for its particulars
	Mend    string `yaml:"mend"`    // what to do
	Why     string `yaml:"why"`     // why it matters
}

// Finding is a kind of finding: its gravity and its words.
type Finding struct {
	Severity problem.Severity `yaml:"severity"`
	En       Words            `yaml:"en"`
	Nl       Words            `yaml:"nl"`
}

// Rule explains a kind of finding of package agreement, whose messages are
// made where they are found.
type Rule struct {
	En string `yaml:"en"`
	Nl string `yaml:"nl"`
}

// Texts is everything the checks can say, in both languages.
type Texts struct {
	Findings map[string]Finding
	Rules    map[string]Rule

	phrases []phrase
}

// Load reads the texts that are part of the program. It panics when they are
// damaged: the tests read every one of them.
func Load() *Texts {
	t := &Texts{}
	read := func(name string, into any) {
		data, err := files.ReadFile("texts/" + name)
		if err == nil {
			err = yaml.UnmarshalWithOptions(data, into, yaml.Strict())
		}
		if err != nil {
			panic(fmt.Sprintf("check: texts/%s: %v", name, err))
		}
	}
	t.Findings = map[string]Finding{}
	for _, name := range []string{"findings_rights.yaml", "findings_release.yaml", "findings_service.yaml"} {
		some := map[string]Finding{}
		read(name, &some)
		for code, f := range some {
			t.Findings[code] = f
		}
	}
	read("rules.yaml", &t.Rules)
	var pairs []struct {
		En string `yaml:"en"`
		Nl string `yaml:"nl"`
	}
	read("phrases.yaml", &pairs)
	for _, p := range pairs {
		t.phrases = append(t.phrases, newPhrase(p.En, p.Nl))
	}
	// The most particular phrase is tried first.
	slices.SortStableFunc(t.phrases, func(a, b phrase) int { return b.letters - a.letters })
	return t
}

func (t *Texts) words(code string, l agreement.Language) (Finding, Words) {
	f, ok := t.Findings[code]
	if !ok {
		panic("check: no words for the finding " + code)
	}
	if l == "nl" {
		return f, f.Nl
	}
	return f, f.En
}

// problem renders a finding.
func (t *Texts) problem(code string, l agreement.Language, file, path string, pos problem.Pos, args []string) problem.Problem {
	f, w := t.words(code, l)
	return problem.Problem{File: file, Pos: pos, Path: path, Severity: f.Severity, Rule: code, Message: fill(w.Message, args), Hint: fill(w.Mend, args)}
}

func fill(text string, args []string) string {
	for i, a := range args {
		text = strings.ReplaceAll(text, fmt.Sprintf("{%d}", i+1), a)
	}
	return text
}

// Why explains in general why a kind of finding matters, or "" when the code
// is not known.
func (t *Texts) Why(code string, l agreement.Language) string {
	if f, ok := t.Findings[code]; ok {
		if l == "nl" {
			return f.Nl.Why
		}
		return f.En.Why
	}
	if l == "nl" {
		return t.Rules[code].Nl
	}
	return t.Rules[code].En
}

// Codes lists the codes of all findings and rules, sorted.
func (t *Texts) Codes() []string {
	var out []string
	for code := range t.Findings {
		out = append(out, code)
	}
	for code := range t.Rules {
		out = append(out, code)
	}
	slices.Sort(out)
	return out
}

// phrase is a sentence of package agreement and what it is in Dutch, with *
// for what differs from case to case: {1}, {2} in the Dutch one.
type phrase struct {
	pattern *regexp.Regexp
	dutch   string
	fixed   string // the English one when nothing in it differs
	letters int
}

func newPhrase(english, dutch string) phrase {
	parts := strings.Split(english, "*")
	letters := 0
	for i, p := range parts {
		letters += len(p)
		parts[i] = regexp.QuoteMeta(p)
	}
	fixed := ""
	if len(parts) == 1 {
		fixed = english
	}
	return phrase{pattern: regexp.MustCompile("(?s)^" + strings.Join(parts, "(.*?)") + "$"), dutch: dutch, fixed: fixed, letters: letters}
}

// Translate puts what package agreement says into the language. What has no
// translation stays English.
func (t *Texts) Translate(list problem.List, l agreement.Language) problem.List {
	if l != "nl" {
		return list
	}
	out := slices.Clone(list)
	for i := range out {
		out[i].Message = t.dutch(out[i].Message)
		out[i].Hint = t.dutch(out[i].Hint)
	}
	return out
}

func (t *Texts) dutch(s string) string {
	if s == "" {
		return ""
	}
	for _, p := range t.phrases {
		m := p.pattern.FindStringSubmatch(s)
		if m == nil {
			continue
		}
		for i := 1; i < len(m); i++ {
			m[i] = t.word(m[i])
		}
		return fill(p.dutch, m[1:])
	}
	return s
}

// word puts a particular into Dutch that is itself one of the phrases, such
// as the kind of thing that is missing.
func (t *Texts) word(s string) string {
	for _, p := range t.phrases {
		if p.fixed == s && s != "" {
			return p.dutch
		}
	}
	return s
}
