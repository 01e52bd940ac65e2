package regime_test

import (
	"os"
	"strings"
	"testing"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/regime"
)

func rows(t *testing.T, name, file string) map[string]regime.Row {
	t.Helper()
	r, err := regime.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("../../../../examples/agreements/" + file)
	if err != nil {
		t.Fatal(err)
	}
	a, b, problems := agreement.ParseLocated(file, data)
	if a == nil {
		t.Fatal(problems)
	}
	out := map[string]regime.Row{}
	for _, row := range regime.Map(r, a, b, "en") {
		out[row.Ref] = row
	}
	return out
}

// TestBank: what the bank's agreement covers of both regimes, where, and what
// it does not.
func TestBank(t *testing.T) {
	dora := rows(t, "dora", "bank.yaml")
	if len(dora) != 16 {
		t.Errorf("%d requirements of article 30", len(dora))
	}
	for ref, want := range map[string]regime.State{"30(2)(b)": regime.Covered, "30(2)(c)": regime.Gap, "30(2)(d)": regime.Covered, "30(3)(e)": regime.Covered, "30(3)(f)": regime.Covered, "30(2)(a)": regime.Partly} {
		if got := dora[ref]; got.State != want {
			t.Errorf("%s is %s, want %s: %+v", ref, got.State, want, got)
		}
	}
	if row := dora["30(3)(f)"]; len(row.Places) != 2 || row.Places[0].Path != "exit_plans[0]" || row.Places[0].Pos.Line == 0 || row.Parts[0] != "frame" {
		t.Errorf("exit: %+v", row)
	}
	if row := dora["30(2)(c)"]; row.Do == "" || len(row.Missing) != 2 {
		t.Errorf("a gap says nothing: %+v", row)
	}
	pra := rows(t, "pra-ss2-21", "bank.yaml")
	for ref, row := range pra {
		if row.State != regime.Covered && ref != "10.4" {
			t.Errorf("the bank's agreement was written for SS2/21, but %s is %s: %v", ref, row.State, row.Missing)
		}
	}
}

// TestPartsAreNamed: what a part of its own holds is found in that part.
func TestPartsAreNamed(t *testing.T) {
	row := rows(t, "dora", "municipalities.yaml")["30(2)(e)"]
	if row.State != regime.Covered || len(row.Parts) != 1 || row.Parts[0] != "sla" {
		t.Errorf("%+v", row)
	}
}

// TestEveryRegimeIsBilingual and its places can be in an agreement: each is
// found in some example or template text.
func TestEveryRegime(t *testing.T) {
	for _, name := range regime.Names() {
		r, err := regime.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range r.Requirements {
			for _, x := range []regime.Text{q.Asks, q.Evidence, q.Gap} {
				if x.Nl == "" || x.En == "" || x.Nl == x.En {
					t.Errorf("%s %s: %q, %q", name, q.Ref, x.Nl, x.En)
				}
			}
			if len(q.All)+len(q.Any) == 0 {
				t.Errorf("%s %s looks nowhere", name, q.Ref)
			}
			schema, err := agreement.Schema()
			if err != nil {
				t.Fatal(err)
			}
			for _, place := range append(q.All, q.Any...) {
				for _, step := range strings.Split(place, ".") {
					key, _, _ := strings.Cut(step, "[")
					if !strings.Contains(string(schema), `"`+key+`": {`) {
						t.Errorf("%s %s: the language has no key %q", name, q.Ref, key)
					}
				}
			}
		}
	}
}

// TestBadFiles: a data file of somebody's own is refused with what is wrong.
func TestBadFiles(t *testing.T) {
	const head = "holdfast: regime/v1\nname: X\nrequirements:\n"
	for text, want := range map[string]string{
		"a: [":               "",
		"holdfast: other/v1": "this is not a regime",
		head + "  - {ref: a, asks: {nl: x, en: y}, all: ['a[b']}\n":                       "open bracket",
		head + "  - {ref: a, asks: {nl: x, en: y}, all: ['a[b]']}\n":                      "write key=word",
		head + "  - {ref: a, asks: {nl: x, en: y}, any: ['A.b']}\n":                       "has the key",
		head + "  - {ref: a, asks: {en: y}}\n":                                            "both languages",
		head + "  - {ref: a, asks: {nl: x, en: y}}\n  - {ref: a, asks: {nl: x, en: y}}\n": "given twice",
		head + "  - {ref: a, asks: {nl: x, en: y}, secret: z}\n":                          "",
		"holdfast: regime/v1\nname: X\nrequirements: []\n":                                "0 requirements",
		"# " + strings.Repeat("x", 300<<10):                                               "larger than",
	} {
		_, err := regime.Parse("x.yaml", []byte(text))
		if escrow.CodeOf(err) != escrow.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
	if _, err := regime.Get("nis2"); escrow.CodeOf(err) != escrow.NotFound {
		t.Errorf("an unknown regime: %v", err)
	}
}

// FuzzParse: any bytes are read or refused.
func FuzzParse(f *testing.F) {
	f.Add([]byte("holdfast: regime/v1\nname: X\nrequirements:\n  - {ref: a, asks: {nl: x, en: y}, all: ['a[b=c].d']}\n"))
	f.Add([]byte("holdfast: [regime/v1"))
	data, err := os.ReadFile("data/dora.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := regime.Parse("x", data); err == nil && len(r.Requirements) == 0 {
			t.Error("accepted without requirements")
		}
	})
}
