package template_test

import (
	"strings"
	"testing"
	"time"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/check"
	"holdfast/internal/escrow/agreement/problem"
	"holdfast/internal/escrow/agreement/template"
)

// answers answers every question of a template that has no default.
func answers(t *template.Template, customers ...string) template.Answers {
	out := template.Answers{}
	for _, q := range t.Questions {
		switch {
		case q.Key == "beneficiaries":
			out[q.Key] = customers
		case q.Kind == "list":
			out[q.Key] = []string{"Notaris De Vries", "Voorbeeld Accountants B.V.", "Voorbeeld Experts B.V."}
		case q.Kind == "url":
			out[q.Key] = []string{"https://portaal.example/x"}
		case q.Kind == "kvk":
			out[q.Key] = []string{"01012345"} // octal to a careless reader
		case q.Default.En == "":
			out[q.Key] = []string{"Voorbeeld \"" + q.Key + "\" & Co. \\ : #1 @ é"}
		}
	}
	return out
}

// TestEveryTemplatePasses: what a template writes passes the check without
// an error or a warning, in both languages, for one customer and for several,
// whatever the names look like.
func TestEveryTemplatePasses(t *testing.T) {
	if len(template.Names()) < 6 {
		t.Fatalf("only %v", template.Names())
	}
	for _, name := range template.Names() {
		for _, language := range []string{"nl", "en"} {
			for _, customers := range [][]string{{"Gemeente A"}, {"Gemeente 's-Hertogenbosch", "no", "Gemeente 's Hertogenbosch", "agent", "Súdwest-Fryslân", "0123"}} {
				tm, err := template.Get(name)
				if err != nil {
					t.Fatal(err)
				}
				a := answers(tm, customers...)
				if _, asked := a["beneficiaries"]; !asked && len(customers) > 1 {
					continue
				}
				full, err := tm.Fill(a, language)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				text, err := tm.Write(full, language)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if name == "host-framework" {
					if f, problems := agreement.ParseFramework(name, text); f == nil || len(problems) > 0 {
						t.Errorf("%s:\n%s\n%s", name, problems, text)
					}
					continue
				}
				got, problems := check.Check(name+"-"+language+".yaml", text, check.Options{At: time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)})
				for _, p := range problems {
					if p.Severity != problem.Note {
						t.Errorf("%d customers: %s (%s)", len(customers), p, p.Rule)
					}
				}
				if got == nil {
					t.Fatalf("%s cannot be used", name)
				}
				if got.Language != agreement.Language(language) {
					t.Errorf("%s is in %q", name, got.Language)
				}
			}
		}
	}
}

// TestWrongAnswers: what does not fit is named, all of it at once.
func TestWrongAnswers(t *testing.T) {
	tm, err := template.Get("municipality")
	if err != nil {
		t.Fatal(err)
	}
	a := answers(tm, "Gemeente A")
	delete(a, "agent")
	a["supplier_kvk"] = []string{"1234567"}
	a["trustees"] = []string{"one", "two"}
	a["url"] = []string{"https://user:secret@portaal.example"}
	a["host"] = []string{"Host\u202e B.V."}
	a["nobody"] = []string{"asked"}
	_, err = tm.Fill(a, "en")
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"agent is not answered", `"1234567" is not a number`, "trustees takes at least 3", "is not an https URL", "cannot be seen", "nobody is not asked"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing says %q:\n%v", want, err)
		}
	}
	if _, err := template.Get("../../etc/passwd"); err == nil {
		t.Error("a template that does not exist is found")
	}
}

// TestClausesAreInBothLanguages: every clause, question and title has both,
// and every subject an SLA needs has a clause.
func TestClausesAreInBothLanguages(t *testing.T) {
	clauses, err := template.Clauses()
	if err != nil {
		t.Fatal(err)
	}
	both := func(what string, x template.Text) {
		if len(x.Nl) < 3 || len(x.En) < 3 || x.Nl == x.En {
			t.Errorf("%s: %q, %q", what, x.Nl, x.En)
		}
	}
	about := map[string]bool{}
	for _, c := range clauses {
		both(c.ID, c.Text)
		if c.Title.Nl == "" || c.Title.En == "" {
			t.Errorf("%s has no heading", c.ID)
		}
		about[c.About] = true
	}
	for _, subject := range []string{"scope", "targets", "measuring", "support", "remedies", "security", "data_protection", "exclusions"} {
		if !about[subject] {
			t.Errorf("no clause is about %s", subject)
		}
	}
	for _, name := range template.Names() {
		tm, err := template.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		both(name, tm.About)
		for _, q := range tm.Questions {
			both(name+" "+q.Key, q.Ask)
		}
	}
}

func TestSlug(t *testing.T) {
	for name, want := range map[string]string{
		"Gemeente 's-Hertogenbosch": "gemeente-s-hertogenbosch", "Súdwest-Fryslân": "sudwest-fryslan", "!!!": "x", "": "x",
		"Ministerie van Infrastructuur en Waterstaat, Den Haag": "ministerie-van-infrastructuur-en-watersta",
	} {
		if got := template.Slug(name); got != want && !(len(want) > 40 && got == want[:40]) {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
