package phrase_test

import (
	"strings"
	"testing"

	"holdfast/internal/escrow/agreement/cond"
	"holdfast/internal/escrow/agreement/phrase"
)

// plainNames gives every id back in angle brackets, so that a test sees which
// ids reached the text.
type plainNames struct{}

func (plainNames) Party(id string) string     { return "<" + id + ">" }
func (plainNames) Component(id string) string { return "<" + id + ">" }
func (plainNames) Licence(id string) string   { return "<" + id + ">" }
func (plainNames) Module(id string) string    { return "<" + id + ">" }
func (plainNames) Service(id string) string   { return "<" + id + ">" }
func (plainNames) Fact(id string) string      { return "meaning of " + id }

func scope() cond.Scope {
	return cond.Scope{
		Parties: []string{"p", "q"}, Components: []string{"c"}, Modules: []string{"m"}, Services: []string{"s"},
		Licences: map[string]string{"l": "p"},
		Facts: []cond.Custom{{ID: "sold", About: "party", Kind: cond.Truth}, {ID: "size", About: "component", Kind: cond.Number},
			{ID: "wait", About: "arrangement", Kind: cond.Period}, {ID: "colour", About: "arrangement", Kind: cond.Text}},
	}
}

func argument(kind string) string {
	return map[string]string{"party": "p", "component": "c", "licence": "l", "module": "m", "service": "s", "period": "10bd",
		"word": "assumes", "moment": "case.in_force", "source": "heartbeat.p", "priority": "P1"}[kind]
}

func reading(name string, args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = `"` + argument(a) + `"`
	}
	return name + "(" + strings.Join(quoted, ", ") + ")"
}

// TestEveryFunctionHasWords goes through the catalogue of functions, every
// operator each can stand with, negated and not, in both languages: nothing
// falls back to code, and the opposite is never said with the same words.
func TestEveryFunctionHasWords(t *testing.T) {
	language, err := cond.New(scope())
	if err != nil {
		t.Fatal(err)
	}
	type use struct{ kind, text string }
	var uses []use
	for _, f := range cond.Functions() {
		uses = append(uses, use{string(f.Kind), reading(f.Name, f.Args)})
	}
	uses = append(uses, use{"truth", `fact.sold("p")`}, use{"number", `fact.size("c")`}, use{"period", `fact.wait()`}, use{"text", `fact.colour()`})
	checked := 0
	for _, u := range uses {
		var conditions []string
		switch u.kind {
		case "truth":
			conditions = []string{u.text}
		case "words":
			for _, p := range cond.Proceedings() {
				conditions = append(conditions, u.text+`.has("`+p+`")`)
			}
		case "text":
			conditions = []string{u.text + ` == "bankruptcy"`, u.text + ` != "bankruptcy"`, u.text + ` in ["red", "blue"]`, `"bankruptcy" == ` + u.text, u.text + ` == fact.colour()`}
			if u.text == `register.insolvency("p")` {
				conditions[2] = u.text + ` in ["bankruptcy", "chapter_11"]`
			}
		case "number":
			for _, op := range []string{"<", "<=", ">", ">=", "==", "!="} {
				conditions = append(conditions, u.text+" "+op+" 3", u.text+" "+op+` fact.size("c")`)
			}
		case "period":
			for _, op := range []string{"<", "<=", ">", ">=", "==", "!="} {
				conditions = append(conditions, u.text+" "+op+` duration("36h30m")`, u.text+" "+op+" bd(5)", `duration("72h") `+op+" "+u.text, u.text+" "+op+` heartbeat.age("q")`)
			}
		}
		for _, c := range conditions {
			if _, faults := language.Compile(c, false); onlyGrammar(faults) != "" {
				t.Fatalf("%s: %s", c, onlyGrammar(faults))
			}
			for _, l := range phrase.Langs() {
				said, err := l.Condition(c, plainNames{})
				if err != nil {
					t.Fatalf("%s: %s: %v", l, c, err)
				}
				opposite, err := l.Condition("!("+c+")", plainNames{})
				if err != nil {
					t.Fatalf("%s: !(%s): %v", l, c, err)
				}
				if said.Text == opposite.Text {
					t.Errorf("%s: %s and its opposite are both %q", l, c, said.Text)
				}
				for _, text := range []string{said.Text, opposite.Text} {
					if strings.ContainsAny(text, "_\"()!=%") && !strings.Contains(text, "(WHOA)") && !strings.Contains(text, "(company") && !strings.Contains(text, "(surseance") && !strings.Contains(text, "liquidation)") {
						t.Errorf("%s: %s still reads like code: %q", l, c, text)
					}
				}
				checked++
			}
		}
	}
	if checked < 200 {
		t.Errorf("only %d conditions were tried", checked)
	}
}

// onlyGrammar returns what the language refuses for another reason than what
// a fact of Holdfast's own records may be compared with.
func onlyGrammar(faults []cond.Fault) string {
	for _, f := range faults {
		if f.Severity == "error" && f.Rule != "condition-own-record" {
			return f.Rule + ": " + f.Message
		}
	}
	return ""
}

// TestMomentsAndSources: every moment and every source has words.
func TestMomentsAndSources(t *testing.T) {
	for _, l := range phrase.Langs() {
		for _, m := range cond.Moments() {
			if _, ok := l.Word("moment", m); !ok {
				t.Errorf("%s: moment %s has no words", l, m)
			}
		}
		for _, s := range []string{"heartbeat.p", "insolvency.p", "gazette.p", "sla.c", "licence.l", "release.m", "service.s", "fact.sold.p", "fact.wait"} {
			c, err := l.Condition(`unknown_for("`+s+`") > duration("168h")`, plainNames{})
			if err != nil || strings.Contains(c.Text, s) {
				t.Errorf("%s: source %s: %q, %v", l, s, c.Text, err)
			}
		}
	}
}

// TestConditionsRead has whole conditions as a reader gets them.
func TestConditionsRead(t *testing.T) {
	for _, tt := range []struct{ text, nl, en string }{
		{`insolvency("p").has("bankruptcy") || insolvency("q").has("bankruptcy")`,
			"<p> is in staat van faillissement verklaard of <q> is in staat van faillissement verklaard",
			"<p> has been declared bankrupt, or <q> has been declared bankrupt"},
		{`!(sla.down("c") <= duration("48h") || !statement("p", "assumes"))`,
			"<c> is meer dan twee\u00a0dagen aaneengesloten onbeschikbaar en <p> heeft schriftelijk verklaard de overeenkomst over te nemen",
			"<c> has been unavailable without interruption for more than two\u00a0days, and <p> has stated in writing that it assumes the agreement"},
		{`tickets.unanswered("P1", "10bd") > 0`,
			"ten minste één melding met prioriteit P1 is ten minste tien\u00a0werkdagen zonder antwoord gebleven",
			"at least one ticket of priority P1 has gone without an answer for at least ten\u00a0business days"},
		{`contact_attempts("p", "72h") >= 3`,
			"in de laatste 72\u00a0uur zijn ten minste drie pogingen om <p> te bereiken zonder antwoord gebleven",
			"in the last 72\u00a0hours at least three attempts to reach <p> have gone without an answer"},
		{`insolvency("p").has("suspension_of_payments")`,
			"<p> verkeert volgens de openbare registers in surseance van betaling",
			"<p> is in suspension of payments (surseance van betaling) according to the public registers"},
		{`unknown_for("heartbeat.p") > duration("168h")`,
			"over de levenstekens van <p> is meer dan zeven\u00a0dagen niets bekend",
			"nothing has been known about the signs of life of <p> for more than seven\u00a0days"},
		{`insolvency("p").has("bankruptcy") && (statement("curator", "will_not_perform") || age("case.in_force") > duration("1440h"))`,
			"<p> is in staat van faillissement verklaard; en een van beide: <curator> heeft schriftelijk verklaard de overeenkomst niet te zullen nakomen of de inwerkingtreding van de vrijgave is meer dan 60\u00a0dagen geleden",
			"<p> has been declared bankrupt; and either <curator> has stated in writing that it will not perform the agreement, or the entry into force of the release was more than 60\u00a0days ago"},
	} {
		for l, want := range map[phrase.Lang]string{phrase.NL: tt.nl, phrase.EN: tt.en} {
			c, err := l.Condition(tt.text, plainNames{})
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Inline(l); got != want {
				t.Errorf("%s: %s\n got %s\nwant %s", l, tt.text, got, want)
			}
		}
	}
}

// TestConditionRefuses: what is no condition gives an error, not half a text.
func TestConditionRefuses(t *testing.T) {
	for _, text := range []string{"", "a +", "nonsense(\"p\")", "1 + 2", "[1]", `x.y.z`, `insolvency("p")`} {
		if c, err := phrase.EN.Condition(text, plainNames{}); err == nil {
			t.Errorf("%q was told as %+v", text, c)
		}
	}
}
