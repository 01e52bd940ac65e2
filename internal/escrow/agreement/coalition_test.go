package agreement_test

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/problem"
)

// TestCoalitionsByBruteForce compares what the check says about random
// quorums with what trying every subset of the holders shows.
func TestCoalitionsByBruteForce(t *testing.T) {
	roles := []string{"ip_holder", "host", "beneficiary", "foundation", "operator", "agent", "trustee", "trustee", "arbiter", "auditor"}
	sides := map[string]string{"ip_holder": "supplier", "host": "supplier", "beneficiary": "claimant", "foundation": "claimant", "operator": "claimant", "agent": "agent"}
	random := rand.New(rand.NewPCG(1, 2))
	seen := map[string]int{}
	for range 400 {
		n := 2 + random.IntN(6)
		holders := make([]string, n)
		for i := range holders {
			holders[i] = roles[random.IntN(len(roles))]
		}
		k := 2 + random.IntN(n-1)
		least, reversible := random.IntN(3), random.IntN(2) == 0
		people := 1 + random.IntN(2)

		independent, on := 0, map[string]int{}
		for i, r := range holders {
			if r == "trustee" || r == "arbiter" {
				independent |= 1 << i
			}
			on[sides[r]] |= 1 << i
		}
		all := 1<<n - 1
		// opens reports whether some subset of the holders in set opens it.
		opens := func(set int) bool {
			for s := range all + 1 {
				if s&^set == 0 && bits.OnesCount(uint(s)) >= k && bits.OnesCount(uint(s&independent)) >= least {
					return true
				}
			}
			return false
		}
		want := map[string]bool{}
		switch members := bits.OnesCount(uint(independent)); {
		case least > 0 && (least > k || members < least+1):
			want["error quorum"] = true
		default:
			if opens(on["supplier"]) || !opens(all&^on["supplier"]) {
				want["error coalition"] = true
			}
			switch {
			case !reversible && opens(on["claimant"]|on["agent"]):
				want["error coalition"] = true
			case reversible && opens(on["claimant"]):
				want["warning coalition"] = true
			}
			one, two := false, false
			for i := range n {
				one = one || !opens(all&^(1<<i))
				for j := range i {
					two = two || !opens(all&^(1<<i)&^(1<<j))
				}
			}
			switch {
			case one:
				want["error loss"] = true
			case n-k < 2:
				want["warning spare"] = true
			case two && people == 1:
				want["warning loss"] = true
			}
		}

		_, problems := agreement.Parse("x.yaml", []byte(quorumText(holders, k, least, people, reversible)))
		got := map[string]bool{}
		for _, p := range problems {
			switch p.Rule {
			case "quorum", "coalition", "loss", "spare":
				got[string(p.Severity)+" "+p.Rule] = true
			default:
				if p.Severity == problem.Error {
					t.Fatalf("unexpected: %s", p)
				}
			}
		}
		if g, w := sorted(got), sorted(want); !slices.Equal(g, w) {
			t.Errorf("%d of %v, at least %d independent, %d people each, reversible %t: said %v, true is %v\n%s", k, holders, least, people, reversible, g, w, problems)
		}
		for w := range want {
			seen[w]++
		}
		if len(want) == 0 {
			seen["nothing"]++
		}
	}
	for _, w := range []string{"error quorum", "error coalition", "warning coalition", "error loss", "warning spare", "warning loss", "nothing"} {
		if seen[w] == 0 {
			t.Errorf("no random quorum led to %s: %v", w, seen)
		}
	}
}

func sorted(m map[string]bool) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func quorumText(holders []string, k, least, people int, reversible bool) string {
	var b strings.Builder
	b.WriteString(head)
	b.WriteString("  - {id: acme, role: beneficiary, name: Acme}\n")
	var from []string
	for i, r := range holders {
		from = append(from, fmt.Sprintf("h%d", i))
		fmt.Fprintf(&b, "  - {id: h%d, role: %s, name: Holder}\n", i, r)
	}
	class := ""
	if least > 0 {
		class = fmt.Sprintf(", at_least: {independent: %d}", least)
	}
	fmt.Fprintf(&b, `modules:
  - repository: {id: code, url: https://git.example/x.git, compartment: materials}
keys:
  - {compartment: materials, quorum: {of: %d, from: [%s], people_each: %d%s}}
release:
  stages:
    - {id: materials, opens: materials, to: acme, reversible: %t}
  events:
    - {id: bankruptcy, when: 'insolvency("supplier").has("bankruptcy")', evidence: public_register, contest: 0d, stages: materials}
`, k, strings.Join(from, ", "), people, class, reversible)
	return b.String()
}
