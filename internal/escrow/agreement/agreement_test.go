package agreement_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/cond"
	"holdfast/internal/escrow/agreement/problem"
	"holdfast/internal/escrow/agreement/quantity"
	"holdfast/internal/escrow/agreement/yamltext"
)

const examples = "../../../examples/agreements"

func exampleFiles() []string {
	return []string{"municipalities.yaml", "licences.yaml", "bank.yaml", "demo.yaml"}
}

func readExample(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(examples, file))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parseExample(t testing.TB, file string) *agreement.Agreement {
	t.Helper()
	a, problems := agreement.Parse(file, readExample(t, file))
	if a == nil {
		t.Fatalf("%s does not pass:\n%s", file, problems)
	}
	return a
}

// TestExamples pins everything that check says about the examples.
func TestExamples(t *testing.T) {
	for _, file := range exampleFiles() {
		t.Run(file, func(t *testing.T) {
			a, problems := agreement.Parse(file, readExample(t, file))
			if a == nil || problems.Any(problem.Error) {
				t.Fatalf("%s does not pass:\n%s", file, problems)
			}
			golden(t, filepath.Join("testdata/examples", strings.TrimSuffix(file, ".yaml")+".golden"), problems.String())
		})
	}
}

// TestCanonicalReadsBack: the canonical form is a text of the language that
// says the same, so that whoever has only the signed bytes has the agreement.
func TestCanonicalReadsBack(t *testing.T) {
	for _, file := range exampleFiles() {
		a := parseExample(t, file)
		canonical, err := a.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		var tree map[string]any
		if err := evidence.ParseCanonical(canonical, &tree); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		again, problems := agreement.Parse("canonical.json", canonical)
		if again == nil {
			t.Fatalf("%s: the canonical form does not pass:\n%s", file, problems)
		}
		got, err := again.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, canonical) {
			t.Errorf("%s: the canonical form of the canonical form differs", file)
		}
		if diff := cmp.Diff(a.Expand(), again.Expand(), cmpopts.IgnoreUnexported(agreement.Expanded{})); diff != "" {
			t.Errorf("%s: the canonical form expands to something else:\n%s", file, diff)
		}
	}
}

// TestDigestIsOfWhatIsSaid rewrites an example in every way that says the
// same, and in ways that do not.
func TestDigestIsOfWhatIsSaid(t *testing.T) {
	source := string(readExample(t, "demo.yaml"))
	digest := func(text string) string {
		t.Helper()
		a, problems := agreement.Parse("demo.yaml", []byte(text))
		if a == nil {
			t.Fatalf("does not pass:\n%s", problems)
		}
		d, err := a.Digest()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	want := digest(source)
	replace := func(old, new string) string {
		t.Helper()
		if strings.Count(source, old) != 1 {
			t.Fatalf("%q is in the example %d times", old, strings.Count(source, old))
		}
		return strings.Replace(source, old, new, 1)
	}
	for what, text := range map[string]string{
		"comments":         "# another\n" + replace("delivery: saas_shared", "delivery: saas_shared # as agreed"),
		"quotes":           replace("title: Continuity of Orchard", `"title": "Continuity of Orchard"`),
		"escapes":          replace("title: Continuity of Orchard", `title: "Continuity of \u004frchard"`),
		"block":            replace("title: Continuity of Orchard", "title: >-\n  Continuity\n  of Orchard"),
		"literal":          replace("title: Continuity of Orchard", "title: |\n  Continuity of Orchard"),
		"key order":        replace("language: en\nlaw: NL\n", "law: NL\nlanguage: en\n"),
		"flow to block":    replace("- {id: web, criticality: critical}", "- criticality: critical\n      id: web"),
		"one for a list":   replace("opens: access, to: customer", "opens: [access], to: [customer]"),
		"windows lines":    strings.ReplaceAll(source, "\n", "\r\n"),
		"document marker":  "---\n" + source,
		"empty list":       replace("release:\n", "release:\n  facts: []\n"),
		"no end of line":   strings.TrimRight(source, "\n"),
		"trailing comment": source + "# end",
	} {
		if got := digest(text); got != want {
			t.Errorf("%s change the digest", what)
		}
	}
	for what, text := range map[string]string{
		"a name":          replace("title: Continuity of Orchard", "title: Continuity of orchard"),
		"a quorum":        replace("{of: 3, from: [agent, foundation, notary, accountant, expert], at_least", "{of: 4, from: [agent, foundation, notary, accountant, expert], at_least"),
		"order of a list": replace("from: [agent, foundation, notary, accountant", "from: [foundation, agent, notary, accountant"),
		"a condition":     replace(`duration("72h")`, `duration("73h")`),
		"an explicit no":  replace("opens: materials, to: customer,", "opens: materials, to: customer, approvals: 3,"),
	} {
		if digest(text) == want {
			t.Errorf("%s does not change the digest", what)
		}
	}
}

func TestExpandMunicipalities(t *testing.T) {
	e := parseExample(t, "municipalities.yaml").Expand()
	towns := []string{"gem-a", "gem-b", "gem-c", "gem-d", "sv-e"}
	if got := e.Compartment("materials"); got == nil {
		t.Fatal("no compartment materials")
	} else if diff := cmp.Diff(agreement.Compartment{
		ID: "materials", Recipients: []string{"standby"},
		Quorum: agreement.QuorumRule{Of: 3, From: []string{"notaris", "accountant", "agent", "stichting", "gem-a"}, PeopleEach: 2,
			AtLeast: map[string]int{"independent": 1}, Classes: map[string][]string{"independent": {"notaris", "accountant"}}},
	}, *got); diff != "" {
		t.Errorf("materials:\n%s", diff)
	}
	for _, town := range towns {
		want := agreement.Compartment{ID: "data/" + town, Instance: town, OnDemand: true, Holder: town, Recipients: []string{town}}
		if got := e.Compartment("data/" + town); got == nil || !cmp.Equal(*got, want) {
			t.Errorf("data/%s: %+v", town, got)
		}
		m := e.Module("db/" + town)
		if m == nil || m.Compartment != "data/"+town || m.Instance != town || m.Kind != escrow.Data || m.Every != 24*time.Hour {
			t.Errorf("module db/%s: %+v", town, m)
		}
		if s := e.Stage("data/" + town); s == nil || !cmp.Equal(s.To, []string{town}) || s.Approvals != 0 {
			t.Errorf("stage data/%s: %+v", town, s)
		}
		var part *agreement.PartInstance
		for i := range e.Parts {
			if e.Parts[i].ID == "sla/"+town {
				part = &e.Parts[i]
			}
		}
		if part == nil || !cmp.Equal(part.Parties, []string{"leverancier", town}) || !cmp.Equal(part.Readers, []string{"agent"}) || !cmp.Equal(part.RestsOn, []string{"toetreding/" + town}) {
			t.Errorf("part sla/%s: %+v", town, part)
		}
	}
	if s := e.Stage("access"); !cmp.Equal(s.To, []string{"standby"}) || s.Approvals != 2 || !s.Reversible {
		t.Errorf("stage access: %+v", s)
	}
	if s := e.Stage("inform"); !cmp.Equal(s.Audience, towns) || s.Approvals != 0 || len(s.Opens) != 0 {
		t.Errorf("stage inform: %+v", s)
	}
	if ev := e.Event("bankruptcy"); !cmp.Equal(ev.Stages, []string{"inform", "pay", "access"}) || ev.Decide != agreement.ByPeople {
		t.Errorf("event bankruptcy: %+v", ev)
	}
	if m := e.Module("code"); m.Source.Mode != escrow.Organisation || m.Source.URL != "https://git.example/voorbeeld" || m.Every != time.Hour {
		t.Errorf("module code: %+v", m)
	}
}

// TestRepositoriesOfOrganisation: a repository that the forge lists is kept as
// its organisation is, is due as often as that is read, and is measured against
// the agreed list; what must be there is repositories, and not what is in each.
func TestRepositoriesOfOrganisation(t *testing.T) {
	a := parseExample(t, "municipalities.yaml")
	code := a.ModuleOf("code")
	code.Repository.Retention = &agreement.Retention{Versions: 7}
	code.Repository.Content = &agreement.Content{Mandatory: []string{"portal"}, Optional: []string{"lib-*"}}
	for id, want := range map[string]int{"code": 7, "code/portal": 7, "code/a/b": 0, "codex/a": 0} {
		if got := a.Retention(id).Versions; got != want {
			t.Errorf("%s keeps %d versions, want %d", id, got, want)
		}
	}
	for id, mandatory := range map[string]int{"code": 1, "code/portal": 0} {
		if terms, named := a.Duty(id); !named || terms.Every == nil || len(terms.Mandatory) != mandatory {
			t.Errorf("%s: named %t, %+v", id, named, terms)
		}
	}
	r := a.Repositories("code")
	for name, want := range map[string]bool{"Portal": true, "lib-x": true, "liby": false, "x": false} {
		if r.Lists(name) != want {
			t.Errorf("%s is on the list: %v", name, !want)
		}
	}
}

// TestEventsOfOneLicensee: the event of one customer runs the stages of that
// customer's licences only.
func TestEventsOfOneLicensee(t *testing.T) {
	e := parseExample(t, "licences.yaml").Expand()
	for event, want := range map[string][]string{
		"licence-server-down": {"licence/zorg-sub"},
		"key-refused":         {"licence/acme-perp"},
		"assignment":          {"licence/acme-perp", "licence/zorg-sub"},
		"end-of-life":         {"issuer", "materials/acme", "materials/zorg"},
	} {
		if got := e.Event(event).Stages; !cmp.Equal(got, want) {
			t.Errorf("%s runs %v, want %v", event, got, want)
		}
	}
	if s := e.Stage("licence/acme-perp"); !cmp.Equal(s.To, []string{"acme"}) || !cmp.Equal(s.Opens, []string{"licence/acme-perp"}) {
		t.Errorf("stage licence/acme-perp: %+v", s)
	}
	if c := e.Compartment("licence/zorg-sub"); !cmp.Equal(c.Recipients, []string{"zorg"}) {
		t.Errorf("compartment licence/zorg-sub is for %v", c.Recipients)
	}
	if c := e.Compartment("materials"); !cmp.Equal(c.Recipients, []string{"acme", "zorg"}) {
		t.Errorf("compartment materials is for %v", c.Recipients)
	}
}

func TestBankHasOnePlaceForItsData(t *testing.T) {
	e := parseExample(t, "bank.yaml").Expand()
	if m := e.Module("db"); m == nil || m.Compartment != "" {
		t.Errorf("the bank's data: %+v", m)
	}
	for _, p := range e.Parts {
		if p.ID == "frame" && (p.Form != "deed" || !cmp.Equal(p.With, []string{"qualified", "ink"}) || cmp.Equal(p.Parties, []string{"aws"})) {
			t.Errorf("frame: %+v", p)
		}
	}
}

// TestMissingDataIsNeverTrue evaluates every condition of every example with
// nothing known but Holdfast's own empty records: none may come true.
func TestMissingDataIsNeverTrue(t *testing.T) {
	for _, file := range exampleFiles() {
		a := parseExample(t, file)
		conditions, err := a.Conditions()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range a.Release.Events {
			for _, at := range []time.Time{{}, time.Date(2027, 5, 1, 12, 0, 0, 0, time.UTC)} {
				got, err := conditions.Event(e.ID).Eval(cond.Case{
					Facts: func(string) ([]string, bool) { return nil, false },
					At:    at, BusinessDaysBefore: a.BusinessDaysBefore(), Self: e.For,
				})
				if err != nil || got.Value == "true" {
					t.Errorf("%s: %s comes to %s (%v) with nothing known", file, e.ID, got.Value, err)
				}
			}
		}
	}
}

func TestDeadline(t *testing.T) {
	nl := parseExample(t, "municipalities.yaml")
	bank := parseExample(t, "bank.yaml")
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct {
		a      *agreement.Agreement
		from   string
		period string
		want   string
	}{
		{nl, "2026-11-25T09:00:00Z", "24h", "2026-11-26T09:00:00Z"},
		{nl, "2027-03-27T10:00:00+01:00", "1d", "2027-03-28T10:00:00+02:00"},  // the clocks change: 23 hours
		{nl, "2027-03-27T10:00:00+01:00", "24h", "2027-03-28T11:00:00+02:00"}, // a period in hours does not care
		{nl, "2027-03-25T10:00:00+01:00", "1bd", "2027-03-30T10:00:00+02:00"}, // Good Friday to Easter Monday
		{nl, "2026-12-24T10:00:00+01:00", "5bd", "2027-01-04T10:00:00+01:00"}, // Christmas and New Year
		{nl, "2027-01-31T10:00:00+01:00", "1mo", "2027-02-28T10:00:00+01:00"}, // a month that is too short
		{nl, "2028-02-29T10:00:00+01:00", "1y", "2029-02-28T10:00:00+01:00"},  // a leap day
		{nl, "2026-11-27T23:30:00Z", "1bd", "2026-11-30T00:30:00+01:00"},      // already Saturday in Amsterdam
		{bank, "2026-12-24T10:00:00Z", "1bd", "2026-12-29T10:00:00Z"},         // Boxing Day is moved
		{nl, "2026-11-25T09:00:00Z", "0d", "2026-11-25T09:00:00Z"},
		{nl, "2026-11-25T09:00:00Z", "2w", "2026-12-09T09:00:00Z"},
	} {
		got := c.a.Deadline(at(c.from), quantity.Period(c.period))
		if !got.Equal(at(c.want)) {
			t.Errorf("%s after %s in %s is %s, want %s", c.period, c.from, c.a.TimeZone, got, c.want)
		}
	}
}

// TestHostileBytes: what is refused before any YAML is read.
func TestHostileBytes(t *testing.T) {
	good := string(readExample(t, "demo.yaml"))
	utf16 := []byte{0xFF, 0xFE}
	for _, r := range good[:100] {
		utf16 = append(utf16, byte(r), 0)
	}
	for name, c := range map[string]struct {
		data []byte
		rule string
	}{
		"empty":           {nil, "yaml-empty"},
		"comments only":   {[]byte("# nothing\n"), "yaml-empty"},
		"too large":       {[]byte(good + strings.Repeat("# padding\n", yamltext.MaxBytes/10)), "text-size"},
		"UTF-16":          {utf16, "text-encoding"},
		"UTF-16 big":      {append([]byte{0xFE, 0xFF}, utf16[2:]...), "text-encoding"},
		"byte order mark": {[]byte("\uFEFF" + good), "text-encoding"},
		"Latin-1":         {[]byte("title: Continu\xefteit\n"), "text-encoding"},
		"NUL":             {[]byte("title: a\x00b\n"), "text-character"},
		"escape":          {[]byte("title: \x1b[31mred\n"), "text-character"},
		"lone CR":         {[]byte("title: a\rlaw: NL\n"), "text-character"},
		"NEL":             {[]byte("title: a\u0085law: NL\n"), "text-character"},
		"line separator":  {[]byte("title: a\u2028law: NL\n"), "text-character"},
		"many keys":       {[]byte(manyKeys(yamltext.MaxKeys + 1)), "text-size"},
		"many values":     {[]byte("a: [" + strings.Repeat("x,", 100_000) + "x]\n"), "text-size"},
		"deep flow":       {[]byte("a: " + strings.Repeat("[", 100_000)), "yaml-depth"},
		"deep flow maps":  {[]byte("a: " + strings.Repeat("{b: ", 100_000)), "yaml-depth"},
		"deep dashes":     {[]byte("a:\n  " + strings.Repeat("- ", 100_000) + "b\n"), "yaml-depth"},
		"deep indents":    {[]byte(stairs(1000)), "yaml-depth"},
	} {
		start := time.Now()
		a, problems := agreement.Parse("x.yaml", c.data)
		if a != nil || len(problems) == 0 || problems[0].Rule != c.rule {
			t.Errorf("%s: want %s, got:\n%s", name, c.rule, problems)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s: took %s", name, took)
		}
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("k")
		b.WriteString(strings.Repeat("x", i%7))
		b.WriteString(strings.Repeat("y", i%11))
		b.WriteString(": v\n")
	}
	return b.String()
}

func stairs(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// TestProblemsAsJSON: the machine form has what an editor needs.
func TestProblemsAsJSON(t *testing.T) {
	_, problems := agreement.Parse("x.yaml", []byte("holdfast: agreement/v1\nlawe: NL\n"))
	data, err := json.Marshal(problems)
	if err != nil {
		t.Fatal(err)
	}
	if want := `"at":{"line":2,"column":1},"path":"lawe","severity":"error","rule":"unknown-key","message":"unknown key \"lawe\" in the document","hint":"did you mean \"law\"?"`; !strings.Contains(string(data), want) {
		t.Errorf("%s\nlacks %s", data, want)
	}
}

func TestRefusal(t *testing.T) {
	_, problems := agreement.Parse("x.yaml", []byte("holdfast: agreement/v1\n"))
	err := agreement.Refusal(problems)
	if escrow.CodeOf(err) != escrow.Invalid || !strings.Contains(err.Error(), "x.yaml:1:1: error: the key") {
		t.Errorf("refusal: %v", err)
	}
	if err := agreement.Refusal(nil); err != nil {
		t.Errorf("no problems, but %v", err)
	}
}
