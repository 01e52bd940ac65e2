package cond_test

import (
	"fmt"
	"testing"

	"holdfast/internal/escrow/agreement/cond"
)

func scope() cond.Scope {
	return cond.Scope{
		Parties: []string{"leverancier", "ip", "acme"}, Components: []string{"portaal", "api"}, Modules: []string{"code"},
		Services: []string{"margin-calls"}, Licences: map[string]string{"acme-perp": "acme"},
		Facts: []cond.Custom{{ID: "change_of_control", About: "party", Kind: cond.Truth}, {ID: "sanctions", About: "arrangement", Kind: cond.Truth}},
	}
}

func TestProbe(t *testing.T) {
	l, err := cond.New(scope())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		`insolvency("leverancier").has("bankruptcy") || insolvency("ip").has("bankrupty")`,
		`sla.dwon("portaal") > duration("48h")`,
		`age(case.in_force) > duration("1440h")`,
		`sla.down("portaal") > 48`,
		`sla.down("portal") > duration("48h")`,
		`statment("curator", "x")`,
		`fact.nothing("ip")`, `fact.sanctions()`, `fact.change_of_control("ip")`,
		`age("case.in_force") < duration("1h")`, `true`, `1`, `sla.down("api")`, `[1,2].exists(x, x == 1)`,
		`sla.down("api") > duration("48 hours")`, `unknown_for("heartbeat.leverancier") > duration("168h")`,
		`insolvency("ip") && true`, `"a" == "a" &&`, `statement(self, "x")`, `tickets.unanswered("P1", "10bd") > 0`,
		`foo.bar`, `insolvency("ip").has("x") ? true : false`, `insolvency("ip")[0] == "x"`, `sla.down("api") + sla.down("api") > duration("1h")`,
		`contact_attempts("ip", "72h") >= 3 && bd(1) < age("case.opened")`, "insolvency(\n \"ipx\")",
		`timestamp("2020-01-01T00:00:00Z") < timestamp("2020-01-01T00:00:00Z")`, `{"a": 1}.a == 1`, `statement("ip", "x") in [true]`, "'a' == \"\\u00e9\" || sla.disrupted(\"ap\", \"4h\")",
	} {
		c, faults := l.Compile(text, false)
		fmt.Println(text, c != nil)
		for _, f := range faults {
			fmt.Printf("     %d:%d %s %s %s; %s\n", f.Line, f.Column, f.Severity, f.Rule, f.Message, f.Hint)
		}
	}
}
