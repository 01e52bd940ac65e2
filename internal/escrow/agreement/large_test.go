package agreement_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"holdfast/internal/escrow/agreement"
)

// head is an agreement without parties after the fifth, modules, keys and
// release.
const head = `holdfast: agreement/v1
id: large
version: 1
language: en
law: NL
time_zone: Europe/Amsterdam
calendar: nl
application: {name: Large, delivery: saas_shared, components: [{id: web, criticality: critical}]}
parties:
  - {id: supplier, role: supplier, name: Supplier}
  - {id: agent, role: agent, name: Agent}
  - {id: n1, role: trustee, name: One}
  - {id: n2, role: trustee, name: Two}
  - {id: n3, role: trustee, name: Three}
  - {id: n4, role: trustee, name: Four}
`

const tail = `modules:
  - repository: {id: code, url: https://git.example/large.git, compartment: materials}
  - data: {id: data, for_each: beneficiaries, via: restic, compartment: data/self}
keys:
  - {compartment: materials, quorum: {of: 3, from: [agent, n1, n2, n3, n4]}}
  - {compartment: data/self, for_each: beneficiaries, open: on_demand}
release:
  stages:
    - {id: inform, audience: beneficiaries, reversible: true}
    - {id: materials, for_each: beneficiaries, opens: materials, to: self, audience: [self, supplier]}
  events:
    - {id: bankruptcy, when: 'insolvency("supplier").has("bankruptcy")', evidence: public_register, contest: 0d, stages: [inform, materials]}
`

// TestManyBeneficiaries: an arrangement of a large supplier parses and
// expands in reasonable time.
func TestManyBeneficiaries(t *testing.T) {
	var b strings.Builder
	b.WriteString(head)
	const n = 2000
	for i := range n {
		fmt.Fprintf(&b, "  - {id: b%d, role: beneficiary, name: Beneficiary %d}\n", i, i)
	}
	b.WriteString(tail)
	start := time.Now()
	a, problems := agreement.Parse("large.yaml", []byte(b.String()))
	if a == nil {
		t.Fatalf("does not pass:\n%s", problems)
	}
	e := a.Expand()
	if len(e.Stages) != n+1 || len(e.Compartments) != n+1 || len(e.Event("bankruptcy").Stages) != n+1 || len(e.Compartment("materials").Recipients) != n {
		t.Errorf("%d stages, %d compartments", len(e.Stages), len(e.Compartments))
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("%d beneficiaries take %s", n, took)
	} else {
		t.Logf("%d beneficiaries take %s", n, took)
	}
}

// TestExplosion: texts made to cost time are refused, or checked, quickly.
func TestExplosion(t *testing.T) {
	repeat := func(n int, line string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.ReplaceAll(line, "#", strconv.Itoa(i)))
		}
		return b.String()
	}
	one := "  - {id: acme, role: beneficiary, name: Acme}\n"
	many := repeat(1500, "  - {id: b#, role: beneficiary, name: B#}\n")
	in := func(old, new string) string { return strings.Replace(tail, old, new, 1) }
	or := strings.TrimSuffix(strings.Repeat(`insolvency("supplier").has("bankruptcy") || `, 40), " || ")
	deep := strings.Repeat("(", 900) + "true" + strings.Repeat(")", 900)
	event := "    - {id: e#, when: 'WHEN', evidence: measured, contest: 0d, stages: [inform]}\n"
	for name, text := range map[string]string{
		"stages times members": head + many + in("  stages:\n", "  stages:\n"+repeat(150, "    - {id: s#, for_each: beneficiaries, audience: beneficiaries, reversible: true}\n")),
		"events times members": head + many + in("  events:\n", "  events:\n"+repeat(150, "    - {id: e#, for_each: beneficiaries, when: 'statement(self, \"x\")', evidence: measured, contest: 0d, stages: [inform, materials]}\n")),
		"a quorum of all":      head + many + in("n3, n4]", "n3, n4"+repeat(1500, ", b#")+"]"),
		"long conditions":      head + one + in("  events:\n", "  events:\n"+repeat(190, strings.Replace(event, "WHEN", or, 1))),
		"deep conditions":      head + one + in("  events:\n", "  events:\n"+repeat(190, strings.Replace(event, "WHEN", deep, 1))),
		"unknown names":        head + in("n3, n4]", "n3, n4"+repeat(9000, ", unknown-party-#")+"]"),
		"unknown keys":         head + repeat(9000, "unknown_key_that_is_long_#: x\n") + tail,
		"parts upon parts":     head + one + "parts:\n" + repeat(120, "  - {id: p#, kind: annex, parties: agent, rests_on: ["+strings.TrimSuffix(strings.Join(partNames(120), ", "), ", ")+"]}\n") + tail,
	} {
		start := time.Now()
		a, problems := agreement.Parse("x.yaml", []byte(text))
		if a != nil {
			a.Expand()
		}
		took := time.Since(start)
		t.Logf("%s: %s, %d problems, passes: %t, first: %.200s", name, took, len(problems), a != nil, problems.String())
		if took > 10*time.Second {
			t.Errorf("%s: took %s", name, took)
		}
	}
}

func partNames(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("p%d", i)
	}
	return out
}
