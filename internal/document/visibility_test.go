package document_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/internal/document"
	"holdfast/internal/document/compare"
	htmldoc "holdfast/internal/document/html"
	"holdfast/internal/document/pdf"
	"holdfast/internal/document/text"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/part"
	"holdfast/internal/escrow/agreement/phrase"
)

// canary is a text that stands in one field of the agreement, with the parties
// that may read it.
type canary struct {
	field string
	texts map[phrase.Lang]string
	may   []string
}

func both(s string) map[phrase.Lang]string {
	return map[phrase.Lang]string{phrase.NL: s, phrase.EN: s}
}

// planted is the municipalities example with a canary in the fields of every
// customer and of every part, and the one table of who may read each.
func planted(t *testing.T) (*agreement.Agreement, []canary) {
	t.Helper()
	data, err := os.ReadFile("../../examples/agreements/municipalities.yaml")
	if err != nil {
		t.Fatal(err)
	}
	y := string(data)
	replace := func(old, new string) {
		t.Helper()
		if !strings.Contains(y, old) {
			t.Fatalf("the example no longer has %q", old)
		}
		y = strings.Replace(y, old, new, 1)
	}
	inAll := []string{"leverancier", "stichting", "agent"} // sign every accession
	frame := []string{"leverancier", "ip", "stichting", "agent", "notaris"}
	var table []canary
	fees, authority, events := "", "", ""
	customers := []struct{ id, name, old string }{
		{"gem-a", "Gemeente Appelcanary", "Gemeente A"}, {"gem-b", "Gemeente Berkcanary", "Gemeente B"}, {"gem-c", "Gemeente Cedercanary", "Gemeente C"},
		{"gem-d", "Gemeente Dencanary", "Gemeente D"}, {"sv-e", "Samenwerkingsverband Eikcanary", "Samenwerkingsverband E"},
	}
	for i, c := range customers {
		n := string(rune('1' + i))
		may := append(slices.Clone(inAll), c.id)
		if c.id == "gem-a" {
			replace("    name: Gemeente A\n    people:\n      - {id: j-jansen, name: J. Jansen}", "    name: "+c.name+"\n    register: {nl_kvk: \"9909900"+n+"\"}\n    people:\n      - {id: j-jansen, name: J. Jansencanary, email: p"+n+"@canary.example}")
			table = append(table, canary{"person of " + c.id, both("J. Jansencanary"), may})
		} else {
			replace("name: "+c.old+"}", "name: "+c.name+", register: {nl_kvk: \"9909900"+n+"\"}, people: [{id: p"+n+", name: Mens Canary"+n+", email: p"+n+"@canary.example}]}")
			authority += "  - {party: " + c.id + ", person: p" + n + ", may: [vote], proof: besluit-canary-" + n + "}\n"
			table = append(table, canary{"person of " + c.id, both("Mens Canary" + n), may}, canary{"proof of " + c.id, both("besluit-canary-" + n), may})
		}
		fees += "  - {what: extra-" + n + ", payer: " + c.id + ", amount: EUR 777" + n + "/y}\n"
		events += "    - {id: only-canary-" + n + ", for: " + c.id + ", when: 'heartbeat.age(\"" + c.id + "\") > duration(\"72h\")', evidence: measured, stages: [data]}\n"
		table = append(table,
			canary{"name of " + c.id, both(c.name), may},
			canary{"register number of " + c.id, both("9909900" + n), may},
			canary{"mail address of " + c.id, both("p" + n + "@canary.example"), may},
			canary{"fee of " + c.id, map[phrase.Lang]string{phrase.NL: "7.77" + n, phrase.EN: "7,77" + n}, may},
			canary{"event of " + c.id, both("only-canary-" + n), may})
	}
	replace("authority:\n", "authority:\n"+authority)
	replace("fees:\n", "fees:\n"+fees)
	replace("  events:\n", "  events:\n"+events)
	replace("EUR 6200/mo", "EUR 6543/mo")
	replace("EUR 3800/y", "EUR 3877/y")
	replace("EUR 145/h", "EUR 1459/h")
	replace("EUR 4100/mo", "EUR 4123/mo")
	replace("mr. X, 2026-10-01", "mr. Canary, 2026-10-01")
	everyCustomer := []string{"gem-a", "gem-b", "gem-c", "gem-d", "sv-e"}
	table = append(table,
		canary{"price of the host", map[phrase.Lang]string{phrase.NL: "6.543", phrase.EN: "6,543"}, []string{"host", "beheer", "stichting"}},
		canary{"fee of the supplier", map[phrase.Lang]string{phrase.NL: "3.877", phrase.EN: "3,877"}, frame},
		canary{"rate of the operator", map[phrase.Lang]string{phrase.NL: "1.459", phrase.EN: "1,459"}, append(slices.Clone(frame), "standby")},
		canary{"fee under the service level", map[phrase.Lang]string{phrase.NL: "4.123", phrase.EN: "4,123"}, append([]string{"leverancier", "agent"}, everyCustomer...)},
		canary{"counsel", both("mr. Canary"), frame},
		canary{"register number of the owner of the rights", both("99098124"), frame},
	)
	return parse(t, "planted.yaml", []byte(y)), table
}

// TestNobodyReadsMore goes through every part and every party, in both
// languages and every form, and looks for what its readers may not know. A
// canary that nobody finds would prove nothing: each must be in some document.
func TestNobodyReadsMore(t *testing.T) {
	a, table := planted(t)
	found := map[string]bool{}
	for _, l := range phrase.Langs() {
		check := func(what string, d *document.Document, readers []string) {
			pages := map[string]string{"words": strings.Join(d.Words(), "\n"), "page": string(htmldoc.Render(d)), "text": string(text.Render(d, 0))}
			for form, content := range pages {
				content = strings.ReplaceAll(content, "\u00a0", " ")
				for _, c := range table {
					if !strings.Contains(content, c.texts[l]) {
						continue
					}
					found[c.field] = true
					for _, r := range readers {
						if !slices.Contains(c.may, r) {
							t.Errorf("%s %s (%s): %s reads the %s", l, what, form, r, c.field)
						}
					}
				}
				for _, p := range a.Parties {
					if p.Role != agreement.Role(escrow.Beneficiary) || form != "words" {
						continue
					}
					mayKnow := !slices.ContainsFunc(readers, func(r string) bool {
						return r != p.ID && !slices.Contains([]string{"leverancier", "stichting", "agent"}, r)
					})
					if strings.Contains(content, `"`+p.ID+`"`) && !mayKnow {
						t.Errorf("%s %s: the id %s is in a condition", l, what, p.ID)
					}
				}
			}
		}
		for _, inst := range a.Expand().Parts {
			d, err := document.Part(a, inst.ID, l)
			if err != nil {
				t.Fatal(err)
			}
			check("part "+inst.ID, d, append(slices.Clone(inst.Parties), inst.Readers...))
		}
		for _, p := range a.Parties {
			d, err := document.Summary(a, p.ID, l)
			if err != nil {
				t.Fatal(err)
			}
			check("summary "+p.ID, d, []string{p.ID})
			if p.Role == agreement.Role(escrow.Beneficiary) {
				d, err := document.SLA(a, p.ID, l)
				if err != nil {
					t.Fatal(err)
				}
				check("sla "+p.ID, d, []string{p.ID})
			}
		}
	}
	for _, c := range table {
		if !found[c.field] {
			t.Errorf("nobody reads the %s", c.field)
		}
	}
}

// TestPDFHidesTheSame: the file of a part has nothing the page does not have,
// also not among its metadata.
func TestPDFHidesTheSame(t *testing.T) {
	poppler(t)
	a, table := planted(t)
	d, err := document.Part(a, "toetreding/gem-a", phrase.NL)
	if err != nil {
		t.Fatal(err)
	}
	file, err := pdf.Render(d, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	extracted, err := extract(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range table {
		if !slices.Contains(c.may, "gem-a") && (strings.Contains(extracted, c.texts[phrase.NL]) || strings.Contains(string(file), c.texts[phrase.NL])) {
			t.Errorf("the PDF has the %s", c.field)
		}
	}
}

// TestFreeTextCannotLeak: a remark that names a customer its readers may not
// know stops the document, and says what to change.
func TestFreeTextCannotLeak(t *testing.T) {
	data, err := os.ReadFile("../../examples/agreements/municipalities.yaml")
	if err != nil {
		t.Fatal(err)
	}
	y := strings.Replace(string(data), "  - {id: mantel, kind: frame,", "  - {id: mantel, kind: frame, note: \"ook namens Gemeente B\",", 1)
	a := parse(t, "leak.yaml", []byte(y))
	_, err = document.Part(a, "mantel", phrase.NL)
	if escrow.CodeOf(err) != escrow.Invalid || !strings.Contains(err.Error(), "Gemeente B") {
		t.Errorf("the frame names Gemeente B: %v", err)
	}
	if _, err := document.Part(a, "toetreding/gem-b", phrase.NL); err != nil {
		t.Errorf("the accession of Gemeente B may: %v", err)
	}
}

// TestJoiningTouchesNobody: a customer that joins changes no digest of the
// frame, of the host's part or of another customer's parts; one that leaves
// neither.
func TestJoiningTouchesNobody(t *testing.T) {
	data, err := os.ReadFile("../../examples/agreements/municipalities.yaml")
	if err != nil {
		t.Fatal(err)
	}
	five := parse(t, "five.yaml", data)
	six := parse(t, "six.yaml", []byte(strings.Replace(string(data), "name: Samenwerkingsverband E}\n", "name: Samenwerkingsverband E}\n  - {id: gem-f, role: beneficiary, name: Gemeente F}\n", 1)))
	for _, id := range part.IDs(five) {
		before, err := part.Of(five, id)
		if err != nil {
			t.Fatal(err)
		}
		after, err := part.Of(six, id)
		if err != nil {
			t.Fatal(err)
		}
		if before.Digest() != after.Digest() {
			t.Errorf("%s changes when a sixth customer joins", id)
		}
	}
	for _, way := range []struct {
		name        string
		former, now *agreement.Agreement
		why         compare.Why
	}{{"joins", five, six, compare.New}, {"leaves", six, five, compare.Ended}} {
		r, err := compare.Compare(way.former, way.now, phrase.EN)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range r.Parts {
			want := compare.Same
			if strings.HasSuffix(p.ID, "gem-f") {
				want = way.why
			}
			if p.Why != want {
				t.Errorf("gem-f %s: %s is %s, want %s", way.name, p.ID, p.Why, want)
			}
		}
	}
}
