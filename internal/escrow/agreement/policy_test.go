package agreement_test

import (
	"math/big"
	"strings"
	"testing"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/problem"
)

// policyText is a policy that passes; the tests change a word of it.
const policyText = `holdfast: sla-policy/v1
id: p
time_zone: Europe/Amsterdam
calendar: nl
parties:
  - {id: host, role: host, name: Host B.V.}
sla:
  - id: up
    component: c
    availability:
      uptime: 99.9%
      period: calendar_month
      measure: time
      exclusions:
        - {kind: planned_maintenance, notice: 72h, at_most: 8h, at_most_in: calendar_month}
        - {kind: third_party, except: host}
    probe: {every: 60s, from: [AMS, FRA, LON], agree: 2}
    credits:
      tiers: [{below: 99.9%, credit: 10%}, {below: 99%, credit: 25%}]
      base: {fee: EUR 100/mo}
      cap: 100%
      claim_within: 30d
`

// TestPolicies: every fault of a policy is refused, at its place, and what is
// possible passes.
func TestPolicies(t *testing.T) {
	tiers := "[{below: 99.9%, credit: 10%}, {below: 99%, credit: 25%}]"
	for _, c := range []struct{ name, old, new, want, path string }{
		{"as it is", "", "", "", ""},
		{"two-sided steps that touch", tiers, "[{below: 99.9%, from: 99%, credit: 10%}, {below: 99%, credit: 25%}]", "", ""},
		{"a bound that belongs to neither step", tiers, "[{up_to: 99.9%, above: 99%, credit: 10%}, {below: 99%, credit: 25%}]", "hole", "sla[0].credits.tiers[1].below"},
		{"a bound that belongs to both steps", tiers, "[{below: 99.9%, from: 99%, credit: 10%}, {up_to: 99%, credit: 25%}]", "overlaps", "sla[0].credits.tiers[1].up_to"},
		{"bands with a hole", tiers, "[{below: 99.9%, from: 98.50%, credit: 10%}, {up_to: 98.49%, credit: 25%}]", "hole", "sla[0].credits.tiers[1].up_to"},
		{"the same bands under a rounding that closes it", "measure: time", "measure: time\n      rounding: truncate_2", "", ""},
		{"a step nothing falls into", tiers, "[{below: 99.9%, from: 99.9%, credit: 10%}]", "no uptime", "sla[0].credits.tiers[0]"},
		{"the last step has an end", tiers, "[{below: 99.9%, from: 90%, credit: 10%}]", "below the last step", "sla[0].credits.tiers[0]"},
		{"a credit for a promise kept", tiers, "[{below: 99.95%, credit: 10%}]", "promise that was kept", "sla[0].credits.tiers[0].below"},
		{"nothing owed below the promise", tiers, "[{below: 99.8%, credit: 10%}]", "between them nothing", "sla[0].credits.tiers[0].below"},
		{"a credit that does not rise", "credit: 25%", "credit: 10%", "credited no more", "sla[0].credits.tiers[1].credit"},
		{"a credit above the cap", "cap: 100%", "cap: 20%", "above the cap", "sla[0].credits.tiers[1].credit"},
		{"both bounds", tiers, "[{below: 99.9%, up_to: 99.9%, credit: 10%}]", "below an uptime or at it", "sla[0].credits.tiers[0]"},
		{"neither tiers nor a formula", "tiers: " + tiers, "minimum: EUR 1", "tiers or by a formula", "sla[0].credits"},
		{"a formula", "tiers: " + tiers, "formula: {multiple: 10}", "", ""},
		{"a formula for each unit", "tiers: " + tiers, "formula: {each: 30m, credit: 5%, begun: true, beyond_promise: true}", "", ""},
		{"a formula that says two things", "tiers: " + tiers, "formula: {multiple: 10, each: 30m, credit: 5%}", "multiple of the fee", "sla[0].credits.formula"},
		{"a formula without its credit", "tiers: " + tiers, "formula: {each: 30m}", "multiple of the fee", "sla[0].credits.formula"},
		{"a unit of no length", "tiers: " + tiers, "formula: {each: 0m, credit: 5%}", "too often", "sla[0].credits.formula.each"},
		{"no claim", "      claim_within: 30d\n", "", "claim_within", "sla[0].credits.claim_within"},
		{"a rolling period without a window", "period: calendar_month", "period: rolling", "window", "sla[0].availability.period"},
		{"a window of no length", "period: calendar_month", "period: rolling\n      window: 0d", "no length", "sla[0].availability.window"},
		{"a window of minus a day", "period: calendar_month", "period: rolling\n      window: -1d", "is not a period", "sla[0].availability.window"},
		{"a zone that is none", "period: calendar_month", "period: calendar_month\n      time_zone: Europe/Rotterdam", "no time zone", "sla[0].availability.time_zone"},
		{"more locations than there are", "agree: 2", "agree: 4", "only 3 locations", "sla[0].probe.agree"},
		{"a quorum said twice", "agree: 2", "agree: 2, quorum: any", "said twice", "sla[0].probe.agree"},
		{"an exclusion said twice", "kind: third_party, except: host", "kind: planned_maintenance", "excluded twice", "sla[0].availability.exclusions[1].kind"},
		{"a standing window without hours", "kind: third_party, except: host", "kind: beta, standing: true", "when it is", "sla[0].availability.exclusions[1].standing"},
		{"a window that ends before it begins", "kind: third_party, except: host", "kind: beta, windows: mon 04:00-02:00", "ends before", "sla[0].availability.exclusions[1].windows"},
		{"a party nobody knows", "except: host", "except: hoster", "no party", "sla[0].availability.exclusions[1].except[0]"},
		{"a zone of the policy that is none", "time_zone: Europe/Amsterdam", "time_zone: Local", "no time zone", "time_zone"},
		{"a calendar nobody knows", "calendar: nl", "calendar: dk", "not known", "calendar"},
		{"open and closed", "    component: c\n", "    component: c\n    closed_on: 2026-12-24\n    open_on: 2026-12-24\n", "both open and closed", "sla[0].open_on[0]"},
		{"a remedy for a promise kept", "    component: c\n", "    component: c\n    remedies: [{kind: extension, below: 99.95%}]\n", "promise is kept", "sla[0].remedies[0].below"},
		{"an unknown key", "measure: time", "measure: time\n      mesure: time", "unknown key", "sla[0].availability.mesure"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := policyText
			if c.name == "the same bands under a rounding that closes it" {
				text = strings.Replace(text, tiers, "[{below: 99.9%, from: 98.50%, credit: 10%}, {up_to: 98.49%, credit: 25%}]", 1)
			}
			if c.old != "" && !strings.Contains(text, c.old) {
				t.Fatalf("nothing to change: %q", c.old)
			}
			text = strings.Replace(text, c.old, c.new, 1)
			a, b, problems := agreement.ParsePolicy("p.yaml", []byte(text))
			if c.want == "" {
				if a == nil || b == nil || problems.Any(problem.Error) {
					t.Fatalf("refused:\n%s", problems)
				}
				return
			}
			if a != nil {
				t.Fatal("passes")
			}
			for _, p := range problems {
				if p.Severity == problem.Error && p.Path == c.path && strings.Contains(p.Message, c.want) && !p.Pos.IsZero() {
					return
				}
			}
			t.Errorf("want %q at %s, got:\n%s", c.want, c.path, problems)
		})
	}
}

// TestBands: every uptime is in exactly one band of a table without holes,
// down to the bounds themselves.
func TestBands(t *testing.T) {
	c := agreement.Credits{Tiers: []agreement.Tier{{Below: "99.9%", Credit: "10%"}, {UpTo: "99%", Credit: "25%"}, {Below: "95%", Credit: "100%"}}}
	bands, err := c.Bands()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		uptime int64
		in     int // from 1; 0: none
	}{{100_000_000, 0}, {99_900_000, 0}, {99_899_999, 1}, {99_000_001, 1}, {99_000_000, 2}, {95_000_000, 2}, {94_999_999, 3}, {0, 3}} {
		got := 0
		for i, b := range bands {
			if b.Has(big.NewRat(x.uptime, 1)) {
				if got != 0 {
					t.Errorf("%d is in the bands %d and %d", x.uptime, got, i+1)
				}
				got = i + 1
			}
		}
		if got != x.in {
			t.Errorf("%d is in band %d, want %d", x.uptime, got, x.in)
		}
	}
}

func TestServiceLevel(t *testing.T) {
	a, _, problems := agreement.ParsePolicy("p.yaml", []byte(policyText))
	if a == nil {
		t.Fatal(problems)
	}
	for id, ok := range map[string]bool{"": true, "up": true, "down": false} {
		if s, err := a.ServiceLevel(id); (err == nil) != ok || ok && s.ID != "up" {
			t.Errorf("%q: %v", id, err)
		}
	}
	if !agreement.IsPolicy([]byte(policyText)) || agreement.IsPolicy([]byte("holdfast: agreement/v1\n")) || agreement.IsPolicy([]byte("{")) {
		t.Error("IsPolicy")
	}
}

// FuzzPolicy: no text makes the reading panic, and nothing comes back beside
// an error.
func FuzzPolicy(f *testing.F) {
	f.Add([]byte(policyText))
	f.Add([]byte("holdfast: sla-policy/v1\nid: p\ntime_zone: UTC\ncalendar: nl\nsla: [{id: x, component: c, availability: {uptime: 99%, period: rolling, window: 1y, measure: time}, credits: {formula: {each: 1m, credit: 1%}, base: {fee: EUR 1/h}, cap: 1%, claim_within: 1bd}}]\n"))
	f.Add([]byte("sla: [{credits: {tiers: [{}]}}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, _, problems := agreement.ParsePolicy("p", data)
		if (a == nil) != problems.Any(problem.Error) {
			t.Errorf("a policy: %t, although there are errors: %t", a != nil, problems.Any(problem.Error))
		}
	})
}
