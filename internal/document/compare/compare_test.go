package compare_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"holdfast/internal/document/compare"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/phrase"
)

// TestWhatAChangeMeans changes the municipalities example in one place and
// looks at what is said about it and who signs again.
func TestWhatAChangeMeans(t *testing.T) {
	data, err := os.ReadFile("../../../examples/agreements/municipalities.yaml")
	if err != nil {
		t.Fatal(err)
	}
	former := parse(t, data)
	for _, tt := range []struct {
		name     string
		old, new string
		nl, en   string
		grave    bool
		changed  []string // part instances that changed themselves
	}{
		{"shorter contest", "contest: 5bd", "contest: 2bd",
			"Tijd om grond ‘no-successor’ te betwisten: twee werkdagen in plaats van vijf werkdagen", "Time to contest event ‘no-successor’: two business days instead of five business days", true,
			[]string{"mantel", "toetreding/gem-a"}},
		{"longer contest", "contest: 5bd", "contest: 9bd", "negen werkdagen in plaats van vijf", "nine business days instead of five", false, []string{"mantel", "toetreding/gem-b"}},
		{"host's price", "price: EUR 6200/mo", "price: EUR 6300/mo", "De hosting kost na een vrijgave € 6.300 per maand in plaats van € 6.200", "The hosting costs €6,300 per month instead of €6,200", false, []string{"host"}},
		{"a fee of the supplier", "amount: EUR 3800/y", "amount: EUR 3900/y", "€ 3.900 per jaar; was: Voorbeeld Software B.V., € 3.800", "€3,900 per year; was: Voorbeeld Software B.V., €3,800", false, []string{"mantel"}},
		{"another event", "  events:\n", "  events:\n    - {id: quit, when: 'statement(\"leverancier\", \"end_of_maintenance\")', evidence: written_statement, contest: 10bd, stages: [inform]}\n",
			"Er komt een grond ‘quit’: Voorbeeld Software B.V. heeft schriftelijk verklaard het onderhoud van de programmatuur te beëindigen", "There is a new event ‘quit’: Voorbeeld Software B.V. has stated in writing that it ends the maintenance", true, []string{"mantel", "toetreding/sv-e"}},
		{"one number more per key holder", "people_each: 3", "people_each: 4", "vier personen aan in plaats van drie", "names four people instead of three", false, []string{"mantel", "toetreding/gem-c"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(string(data), tt.old) {
				t.Fatalf("the example no longer has %q", tt.old)
			}
			now := parse(t, []byte(strings.Replace(string(data), tt.old, tt.new, 1)))
			for l, want := range map[phrase.Lang]string{phrase.NL: tt.nl, phrase.EN: tt.en} {
				r, err := compare.Compare(former, now, l)
				if err != nil {
					t.Fatal(err)
				}
				i := slices.IndexFunc(r.Changes, func(c compare.Change) bool { return strings.Contains(strings.ReplaceAll(c.What, "\u00a0", " "), want) })
				if i < 0 {
					t.Fatalf("%s: nothing says %q: %+v", l, want, r.Changes)
				}
				if r.Changes[i].Grave != tt.grave {
					t.Errorf("%s: grave is %v: %+v", l, r.Changes[i].Grave, r.Changes[i])
				}
				for _, id := range tt.changed {
					if !slices.ContainsFunc(r.Parts, func(p compare.Part) bool { return p.ID == id && p.Why == compare.Changed && len(p.Sign) > 1 }) {
						t.Errorf("%s: %s is not to be signed again: %+v", l, id, r.Parts)
					}
				}
				if r.Unchanged || r.TestsOnly || len(r.Wording) == 0 {
					t.Errorf("%s: unchanged %v, tests only %v, %d rewordings", l, r.Unchanged, r.TestsOnly, len(r.Wording))
				}
			}
		})
	}
	r, err := compare.Compare(former, former, phrase.EN)
	if err != nil || !r.Unchanged || len(r.Changes) > 0 || len(r.Wording) > 0 {
		t.Errorf("a text compared with itself: %+v, %v", r, err)
	}
}

// TestOnlyTheHostSigns: what the host promised is in the host's part; the
// customers do not sign when its price changes.
func TestOnlyTheHostSigns(t *testing.T) {
	data, err := os.ReadFile("../../../examples/agreements/municipalities.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r, err := compare.Compare(parse(t, data), parse(t, []byte(strings.Replace(string(data), "EUR 6200/mo", "EUR 6300/mo", 1))), phrase.EN)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Parts {
		if want := map[bool]compare.Why{true: compare.Changed, false: compare.Same}[p.ID == "host"]; p.Why != want {
			t.Errorf("%s is %s, want %s", p.ID, p.Why, want)
		}
	}
}

func TestTwoArrangements(t *testing.T) {
	a, err := os.ReadFile("../../../examples/agreements/bank.yaml")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile("../../../examples/agreements/licences.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := compare.Compare(parse(t, a), parse(t, b), phrase.NL); escrow.CodeOf(err) != escrow.Invalid {
		t.Errorf("two arrangements were compared: %v", err)
	}
}

func parse(t *testing.T, data []byte) *agreement.Agreement {
	t.Helper()
	a, problems := agreement.Parse("example.yaml", data)
	if a == nil {
		t.Fatal(problems)
	}
	return a
}
