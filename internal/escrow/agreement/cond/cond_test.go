package cond_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/internal/escrow/agreement/cond"
)

func scope() cond.Scope {
	return cond.Scope{
		Parties: []string{"supplier", "ip", "acme"}, Components: []string{"web", "api"}, Modules: []string{"code"},
		Services: []string{"margin-calls"}, Licences: map[string]string{"acme-perp": "acme"},
		Facts: []cond.Custom{
			{ID: "change_of_control", About: "party", Kind: cond.Truth},
			{ID: "sanctions", About: "arrangement", Kind: cond.Truth},
			{ID: "staff", About: "party", Kind: cond.Number},
			{ID: "colour", About: "component", Kind: cond.Text},
			{ID: "lag", About: "component", Kind: cond.Period},
		},
	}
}

func language(t testing.TB) *cond.Language {
	t.Helper()
	l, err := cond.New(scope())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func compile(t *testing.T, l *cond.Language, text string) *cond.Condition {
	t.Helper()
	c, faults := l.Compile(text, true)
	if c == nil {
		t.Fatalf("%s: %+v", text, faults)
	}
	return c
}

// known makes facts of lines such as "sla.down.web: 3h".
func known(lines ...string) cond.Facts {
	facts := map[string][]string{}
	for _, l := range lines {
		key, values, _ := strings.Cut(l, ": ")
		facts[key] = strings.Fields(values)
	}
	return func(key string) ([]string, bool) {
		v, ok := facts[key]
		return v, ok
	}
}

// TestThreeValues is the truth table, with A and B each true, false or not
// known.
func TestThreeValues(t *testing.T) {
	l := language(t)
	a, b := `fact.sanctions()`, `sla.disrupted("web", "4h")`
	values := []string{"true", "false", "unknown"}
	for expression, table := range map[string]string{
		// rows A, columns B, in the order of values
		a + " && " + b:              "true false unknown false false false unknown false unknown",
		b + " && " + a:              "true false unknown false false false unknown false unknown",
		a + " || " + b:              "true true true true false unknown true unknown unknown",
		b + " || " + a:              "true true true true false unknown true unknown unknown",
		"!" + a + " && " + b:        "false false false true false unknown unknown false unknown",
		"!(" + a + " || " + b + ")": "false false false false true unknown false unknown unknown",
	} {
		c := compile(t, l, expression)
		want := strings.Fields(table)
		for i, va := range values {
			for j, vb := range values {
				facts := known("fact.sanctions: "+va, "sla.disrupted.web.4h: "+vb)
				got, err := c.Eval(cond.Case{Facts: facts})
				if err != nil || got.Value != want[3*i+j] {
					t.Errorf("%s with %s and %s is %s (%v), want %s", expression, va, vb, got.Value, err, want[3*i+j])
				}
				if (got.Value == "unknown") != (len(got.Missing) > 0) {
					t.Errorf("%s with %s and %s is %s, and missing are %v", expression, va, vb, got.Value, got.Missing)
				}
			}
		}
	}
}

func TestFacts(t *testing.T) {
	l := language(t)
	for _, c := range []struct {
		expression string
		facts      []string
		want       string
	}{
		{`insolvency("supplier").has("bankruptcy")`, nil, "unknown"},
		{`insolvency("supplier").has("bankruptcy")`, []string{"insolvency.supplier: "}, "false"},
		{`insolvency("supplier").has("bankruptcy")`, []string{"insolvency.supplier: suspension_of_payments bankruptcy"}, "true"},
		{`insolvency("supplier").has("bankruptcy")`, []string{"insolvency.ip: bankruptcy"}, "unknown"},
		{`register.insolvency("supplier") == "bankruptcy"`, []string{"insolvency.supplier: suspension_of_payments bankruptcy"}, "true"},
		{`register.insolvency("supplier") == "none"`, []string{"insolvency.supplier: "}, "true"},
		{`register.insolvency("supplier") == "none"`, nil, "unknown"},
		{`register.insolvency("supplier") != "bankruptcy"`, nil, "unknown"},
		{`register.insolvency("ip") in ["receivership", "chapter_11"]`, []string{"insolvency.ip: chapter_11"}, "true"},
		{`register.insolvency("ip") in ["receivership", "chapter_11"]`, nil, "unknown"},
		{`gazette.notice("ip", "petition")`, nil, "unknown"},
		{`gazette.notice("ip", "petition")`, []string{"gazette.notice.ip: "}, "false"},
		{`gazette.notice("ip", "petition")`, []string{"gazette.notice.ip: petition"}, "true"},
		{`sla.down("web") > duration("48h")`, []string{"sla.down.web: 2d"}, "false"},
		{`sla.down("web") > duration("48h")`, []string{"sla.down.web: 49h"}, "true"},
		{`sla.down("web") >= duration("48h")`, []string{"sla.down.web: 2d"}, "true"},
		{`heartbeat.age("supplier") < duration("72h")`, nil, "unknown"},
		{`heartbeat.age("supplier") < duration("72h")`, []string{"heartbeat.age.supplier: 1h"}, "true"},
		{`licence.grace_left("acme-perp") < duration("168h")`, []string{"licence.grace_left.acme-perp: 1w"}, "false"},
		{`release.age("code") > duration("4320h")`, []string{"release.age.code: 200d"}, "true"},
		{`tickets.unanswered("P1", "10bd") > 0`, []string{"tickets.unanswered.p1.10bd: 1"}, "true"},
		{`tickets.unanswered("p1", "10bd") > 0`, nil, "unknown"},
		{`outside_tolerance("margin-calls")`, []string{"outside_tolerance.margin-calls: true"}, "true"},
		{`unknown_for("heartbeat.supplier") > duration("168h")`, []string{"unknown_for.heartbeat.supplier: 8d"}, "true"},
		{`unknown_for("sla.web") > duration("168h")`, nil, "unknown"},
		{`fact.change_of_control("ip")`, []string{"fact.change_of_control.ip: true"}, "true"},
		{`fact.staff("ip") < 3`, []string{"fact.staff.ip: 2"}, "true"},
		{`fact.colour("web") == "red"`, []string{"fact.colour.web: red"}, "true"},
		{`fact.lag("web") > duration("1h")`, []string{"fact.lag.web: 90m"}, "true"},
		// Holdfast's own records: not on record is known.
		{`statement("curator", "will_not_perform")`, nil, "false"},
		{`statement("curator", "will_not_perform")`, []string{"statement.curator: will_not_perform"}, "true"},
		{`statement("curator", "will_not_perform")`, []string{"statement.curator: unknown"}, "unknown"},
		{`!statement("acquirer", "assumes")`, nil, "true"},
		{`age("case.in_force") > duration("1440h")`, nil, "false"},
		{`age("case.in_force") > duration("1440h")`, []string{"age.case.in_force: 61d"}, "true"},
		{`contact_attempts("supplier", "72h") >= 3`, nil, "false"},
		{`contact_attempts("supplier", "72h") >= 3`, []string{"contact_attempts.supplier.72h: 3"}, "true"},
		{`statement.age("acme", "asked") > duration("1h")`, []string{"statement.age.acme.asked: 2h"}, "true"},
		// The design's own example: bankruptcy alone is not enough.
		{`insolvency("supplier").has("bankruptcy") && (statement("curator", "will_not_perform") || (age("case.in_force") > duration("1440h") && !statement("acquirer", "assumes")))`,
			[]string{"insolvency.supplier: bankruptcy"}, "false"},
	} {
		got, err := compile(t, l, c.expression).Eval(cond.Case{Facts: known(c.facts...)})
		if err != nil || got.Value != c.want {
			t.Errorf("%s with %q is %s (%v), want %s", c.expression, c.facts, got.Value, err, c.want)
		}
	}
}

// TestSelf: self is the member; where a party is meant, a licence is its
// licensee.
func TestSelf(t *testing.T) {
	l := language(t)
	for self, expression := range map[string]string{
		"acme":      `statement(self, "asked")`,
		"acme-perp": `statement(self, "asked") && licence.grace_left(self) < duration("1h")`,
	} {
		got, err := compile(t, l, expression).Eval(cond.Case{Self: self, Facts: known("statement.acme: asked", "licence.grace_left.acme-perp: 30m")})
		if err != nil || got.Value != "true" {
			t.Errorf("%s of %s is %s (%v)", expression, self, got.Value, err)
		}
	}
}

func TestBusinessDays(t *testing.T) {
	c := compile(t, language(t), `statement.age("acme", "asked") > bd(5)`)
	weekdays := func(at time.Time, n int) time.Time {
		for n > 0 {
			at = at.AddDate(0, 0, -1)
			if d := at.Weekday(); d != time.Saturday && d != time.Sunday {
				n--
			}
		}
		return at
	}
	monday := time.Date(2027, 3, 8, 12, 0, 0, 0, time.UTC)
	for _, k := range []struct {
		age  string
		at   time.Time
		want string
	}{
		{"7d", monday, "false"}, // exactly five business days
		{"169h", monday, "true"},
		{"6d", monday, "false"},
		{"169h", time.Time{}, "unknown"},
	} {
		got, err := c.Eval(cond.Case{Facts: known("statement.age.acme.asked: " + k.age), At: k.at, BusinessDaysBefore: weekdays})
		if err != nil || got.Value != k.want {
			t.Errorf("asked %s ago at %s: %s (%v), want %s", k.age, k.at, got.Value, err, k.want)
		}
	}
	if got, _ := c.Eval(cond.Case{Facts: known("statement.age.acme.asked: 999h"), At: monday}); got.Value != "unknown" {
		t.Errorf("without a calendar: %s", got.Value)
	}
}

// TestOwnRecordsOnlyGrow: a period or number that is zero until something
// happens may only stand where zero makes the comparison false.
func TestOwnRecordsOnlyGrow(t *testing.T) {
	l := language(t)
	age := `age("case.opened")`
	for expression, ok := range map[string]bool{
		age + ` > duration("24h")`:                      true,
		age + ` >= duration("24h")`:                     true,
		`duration("24h") < ` + age:                      true,
		`duration("24h") <= ` + age:                     true,
		age + ` > bd(5)`:                                true,
		age + ` > duration("0s")`:                       true,
		age + ` > sla.down("web")`:                      true,
		`contact_attempts("supplier", "72h") > 0`:       true,
		age + ` < duration("24h")`:                      false,
		age + ` <= duration("24h")`:                     false,
		`duration("24h") > ` + age:                      false,
		age + ` >= duration("0s")`:                      false,
		age + ` >= bd(0)`:                               false,
		age + ` >= sla.down("web")`:                     false,
		age + ` == duration("24h")`:                     false,
		age + ` != duration("24h")`:                     false,
		age + ` in [duration("24h")]`:                   false,
		`sla.down("web") > ` + age:                      false,
		`contact_attempts("supplier", "72h") >= 0`:      false,
		`contact_attempts("supplier", "72h") == 0`:      false,
		`contact_attempts("supplier", "72h") < 3`:       false,
		`contact_attempts("supplier", "72h") in [0, 1]`: false,
		`!(` + age + ` > duration("24h"))`:              true, // said plainly, and tests can show it
		`statement("acme", "x") == false`:               false,
		`statement("acme", "x") in [false]`:             false,
		`age("case.opened") > age("case.noticed")`:      false,
	} {
		c, faults := l.Compile(expression, false)
		if (c != nil) != ok {
			t.Errorf("%s compiles: %t, want %t: %+v", expression, c != nil, ok, faults)
		}
	}
}

// TestNotPartOfConditions: what CEL can do and conditions cannot.
func TestNotPartOfConditions(t *testing.T) {
	l := language(t)
	for _, text := range []string{
		`[1, 2].exists(x, x == 1)`, `insolvency("ip").all(x, x == "a")`, `has(insolvency("ip").a)`, `insolvency("ip").map(x, x)`,
		`timestamp("2027-01-01T00:00:00Z") < timestamp("2028-01-01T00:00:00Z")`, `sla.down("web") + sla.down("api") > duration("1h")`,
		`fact.sanctions() ? fact.sanctions() : fact.sanctions()`, `insolvency("ip")[0] == "a"`, `{"a": true}["a"]`, `{"a": true}.a`,
		`fact.colour("web").matches("a+")`, `fact.colour("web").contains("a")`, `size(insolvency("ip")) > 0`, `string(fact.staff("ip")) == "1"`,
		`dyn(fact.staff("ip")) == 1`, `type(fact.staff("ip")) == int`, `fact.staff("ip") % 2 == 0`, `-fact.staff("ip") < 0`,
		`duration(fact.colour("web")) > duration("1h")`, `bd(fact.staff("ip")) < age("case.opened")`, `sla.down(fact.colour("web")) > duration("1h")`,
		`sla.down("web") > duration("-1h")`, `google.protobuf.Timestamp{seconds: 1} == google.protobuf.Timestamp{}`, `null == null`, `b"a" == b"a"`,
		`"supplier" == "supplier"`, `1 < 2`, `true`, `insolvency("ip") == insolvency("supplier")`[:0], "",
	} {
		if c, _ := l.Compile(text, false); c != nil {
			t.Errorf("%q compiles", text)
		}
	}
}

func TestWrongKindsOfFacts(t *testing.T) {
	l := language(t)
	for expression, fact := range map[string]string{
		`sla.down("web") > duration("1h")`:        "sla.down.web: long",
		`heartbeat.age("ip") > duration("1h")`:    "heartbeat.age.ip: 3bd",
		`fact.staff("ip") > 1`:                    "fact.staff.ip: many",
		`fact.sanctions()`:                        "fact.sanctions: perhaps",
		`sla.down("api") > duration("1h")`:        "sla.down.api: 1h 2h",
		`tickets.unanswered("p1", "10bd") > 0`:    "tickets.unanswered.p1.10bd: -1",
		`outside_tolerance("margin-calls")`:       "outside_tolerance.margin-calls: ",
		`licence.grace_left("acme-perp") > bd(1)`: "licence.grace_left.acme-perp: 0x1",
	} {
		if got, err := compile(t, l, expression).Eval(cond.Case{Facts: known(fact)}); err == nil {
			t.Errorf("%s with %s is %s, want an error", expression, fact, got.Value)
		}
	}
}

func TestCheckFact(t *testing.T) {
	l := language(t)
	for _, good := range []string{
		"insolvency.supplier: bankruptcy", "insolvency.supplier: ", "insolvency.curator: bankruptcy", "statement.acme: a b", "statement.age.acme.asked: 1h",
		"sla.disrupted.api.4h: true", "age.case.in_force: 1h", "unknown_for.heartbeat.ip: 1h", "unknown_for.fact.staff.ip: 1h", "unknown_for.fact.sanctions: 1h",
		"fact.sanctions: false", "fact.colour.web: red", "sla.down.web: unknown", "contact_attempts.ip.72h: 3", "tickets.unanswered.p1.10bd: 2",
	} {
		key, values, _ := strings.Cut(good, ": ")
		if message, _ := l.CheckFact(key, strings.Fields(values)); message != "" {
			t.Errorf("%s: %s", good, message)
		}
	}
	for _, bad := range []string{
		"insolvency: bankruptcy", "insolvency.nobody: bankruptcy", "insolvency.supplier: bankrupt", "register.insolvency.supplier: bankruptcy", "sla.down: 1h",
		"sla.disrupted.api: true", "sla.disrupted.api.4: true", "age.case.started: 1h", "unknown_for.weather: 1h", "unknown_for.fact.sanctions.ip: 1h",
		"fact.sanctions.ip: true", "fact.nothing: true", "fact.staff.ip: true", "tickets.unanswered.P1.10bd: 2", "tickets.unanswered.p9.10bd: 2", "weather: rain", "",
	} {
		key, values, _ := strings.Cut(bad, ": ")
		if message, hint := l.CheckFact(key, strings.Fields(values)); message == "" || hint == "" {
			t.Errorf("%s passes (%q, %q)", bad, message, hint)
		}
	}
}

func TestUses(t *testing.T) {
	c := compile(t, language(t), `sla.down("web") > duration("1h") && (sla.down("api") > duration("1h") || statement("ip", "x"))`)
	if got := c.Uses(); !slices.Equal(got, []string{"sla.down", "statement"}) {
		t.Errorf("uses %v", got)
	}
}

// FuzzCompile: any text is a condition or a fault within it, and no condition
// that compiles comes true with nothing known unless it says so with a
// negation.
func FuzzCompile(f *testing.F) {
	for _, text := range []string{
		`insolvency("supplier").has("bankruptcy")`, `sla.down("web") > duration("48h") && heartbeat.age("supplier") > duration("72h")`,
		`!statement("acquirer", "assumes") || age("case.in_force") > bd(5)`, `register.insolvency("ip") in ["a", 'b']`, `fact.staff(self) >= 3`,
		"((((true))))", `"\u00e9" == r"a\"`, "/* a */ // b", `a.b.c("d").e[0].f{g: 1}`, `'''x''' == """y"""`, "1u + 2.0e3 ? b'a' : null",
	} {
		f.Add(text)
	}
	l := language(f)
	f.Fuzz(func(t *testing.T, text string) {
		c, faults := l.Compile(text, true)
		if c == nil && len(faults) == 0 {
			t.Fatalf("%q: neither a condition nor a fault", text)
		}
		for _, x := range faults {
			if x.Message == "" || x.Line < 0 || x.Column < 0 {
				t.Fatalf("%q: %+v", text, x)
			}
		}
		if c == nil {
			return
		}
		got, err := c.Eval(cond.Case{Self: "acme", Facts: func(string) ([]string, bool) { return nil, false }})
		if err == nil && got.Value == "true" && !strings.ContainsAny(text, "!=<>") {
			t.Errorf("%q is true with nothing known", text)
		}
	})
}
