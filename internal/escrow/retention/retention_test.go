package retention_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/escrow/retention"
)

const aDay = 24 * time.Hour

func days(n int) retention.Until {
	return func(from time.Time) time.Time { return from.AddDate(0, 0, n) }
}

// now is the moment of every decision; deposits are so many days old.
func now() time.Time { return time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC) }

// history reads "F9 i8 !i7 xi6 F1/2 F1@gem-a F1#hold": FULL or incremental,
// days old, ! suspect, x destroyed, /level, @who runs it, #hold.
func history(text string) []retention.Deposit {
	var out []retention.Deposit
	for i, word := range strings.Fields(text) {
		d := retention.Deposit{Number: i + 1, Level: 1}
		if rest, ok := strings.CutPrefix(word, "!"); ok {
			d.Suspect, word = true, rest
		}
		if rest, ok := strings.CutPrefix(word, "x"); ok {
			d.Destroyed, word = true, rest
		}
		if rest, hold, ok := strings.Cut(word, "#"); ok {
			d.Holds, word = []string{hold}, rest
		}
		if rest, who, ok := strings.Cut(word, "@"); ok {
			d.Running, word = []string{who}, rest
		}
		if rest, level, ok := strings.Cut(word, "/"); ok {
			d.Level, word = int(level[0]-'0'), rest
		}
		d.Full = word[0] == 'F'
		age := 0
		for _, c := range word[1:] {
			age = 10*age + int(c-'0')
		}
		d.At = now().Add(-time.Duration(age) * aDay)
		out = append(out, d)
	}
	return out
}

func TestDecide(t *testing.T) {
	three := retention.Policy{Versions: 3}
	personal := retention.Policy{Versions: 2, MaxAge: days(30)}
	for _, tt := range []struct {
		name    string
		policy  retention.Policy
		history string
		want    string // what stays, with the first reason; goes: number-; due: number!; due and in the way: number?
	}{
		{"nothing agreed", retention.Policy{}, "F900 i800 F700", "1:no_policy 2:no_policy 3:no_policy"},
		{"the newest three", three, "F9 F8 F7 F6 F5", "1- 2- 3:versions 4:versions 5:last_good"},
		{"an increment keeps its chain", three, "F9 i8 i7 i6 i5", "1:needed 2:needed 3:versions 4:versions 5:last_good"},
		{"an old chain goes whole", retention.Policy{Versions: 1}, "F9 i8 F7 i6", "1- 2- 3:needed 4:last_good"},
		{"by age", retention.Policy{For: days(10)}, "F30 F20 F9 F1", "1- 2- 3:age 4:last_good"},
		{"age protects beside count", retention.Policy{Versions: 1, For: days(10)}, "F30 F9 F8 F7", "1- 2:age 3:age 4:last_good"},
		{"the last verified stays", retention.Policy{Versions: 1, Level: 3}, "F90/3 F80/1 F70/1", "1:last_verified 2- 3:last_good"},
		{"only the newest verified", retention.Policy{Versions: 1, Level: 3}, "F90/3 F80/3 F70/1", "1- 2:last_verified 3:last_good"},
		{"a hold stops it", three, "F90#h1 F8 F7 F6 F5", "1:legal_hold 2- 3:versions 4:versions 5:last_good"},
		{"a hold on an increment keeps its chain", retention.Policy{Versions: 1}, "F90 i89 i88#h1 i87 F5", "1:needed 2:needed 3:legal_hold 4- 5:last_good"},
		{"a customer still runs it", retention.Policy{Versions: 1}, "F90 F80@gem-a F70 F5", "1- 2:running 3- 4:last_good"},
		{"suspicion keeps the good", retention.Policy{Versions: 1}, "F90 F80 !F70 F60 F50", "1- 2:last_good 3:suspect 4:suspect 5:suspect"},
		{"suspicion within a chain", retention.Policy{Versions: 1}, "F90 F80 i79 !i78 i77", "1- 2:needed 3:last_good 4:suspect 5:suspect"},
		{"destroyed stays destroyed", retention.Policy{Versions: 1}, "xF90 F80 F70", "1x 2- 3:last_good"},
		{"what a withdrawn one carried cannot be opened", retention.Policy{Versions: 5}, "F90 xi80 i70 F60", "1:versions 2x 3- 4:last_good"},
		{"personal data is due", personal, "F40 F35 F20 F1", "1! 2! 3:versions 4:last_good"},
		{"the last verified only until then", personal, "F40 F35", "1! 2!"},
		{"the chain waits for a fresh one", personal, "F40 i20", "1? 2:last_good"},
		{"and goes when there is one", personal, "F40 i20 F5", "1! 2! 3:last_good"},
		{"a suspect fresh one is none", personal, "F40 i20 !F5", "1? 2:last_good 3:suspect"},
		{"running does not stretch the term", personal, "F40@gem-a F1", "1! 2:last_good"},
		{"a hold does", personal, "F40#court F1", "1? 2:last_good"},
		{"all of a chain is over", personal, "F50 i45 i40", "1! 2! 3!"},
		{"the contract has ended", retention.Policy{Versions: 9, EndsAt: now().Add(-aDay)}, "F9 i8", "1! 2!"},
		{"the contract has not", retention.Policy{Versions: 9, EndsAt: now().Add(aDay)}, "F9 i8", "1:versions 2:last_good"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			deposits := history(tt.history)
			if got := told(retention.Decide(deposits, tt.policy, now())); got != tt.want {
				t.Errorf("decided\n  %s, want\n  %s", got, tt.want)
			}
		})
	}
}

func told(list []retention.Verdict) string {
	var out []string
	for _, v := range list {
		word := string(rune('0' + v.Number))
		switch {
		case v.Has(retention.Gone):
			word += "x"
		case v.Due && v.Keep:
			word += "?"
		case v.Due:
			word += "!"
		case !v.Keep:
			word += "-"
		default:
			word += ":" + string(v.Reasons[0].Why)
		}
		out = append(out, word)
	}
	return strings.Join(out, " ")
}

// random makes a history as it could have come about.
func random(r *rand.Rand) ([]retention.Deposit, retention.Policy) {
	n := 1 + r.IntN(14)
	list := make([]retention.Deposit, n)
	age := n * 8
	for i := range list {
		age -= r.IntN(8)
		d := retention.Deposit{Number: i + 1, Full: i == 0 || r.IntN(4) == 0, At: now().Add(-time.Duration(age) * aDay), Level: 1 + r.IntN(4),
			Suspect: r.IntN(12) == 0, Destroyed: r.IntN(12) == 0}
		if r.IntN(8) == 0 {
			d.Running = []string{"gem-a"}
		}
		if r.IntN(8) == 0 {
			d.Holds = []string{"h1"}
		}
		list[i] = d
	}
	p := retention.Policy{Versions: r.IntN(4), Level: r.IntN(5)}
	if r.IntN(2) == 0 {
		p.For = days(r.IntN(60))
	}
	if r.IntN(3) == 0 {
		p.MaxAge = days(r.IntN(80))
	}
	if r.IntN(8) == 0 {
		p.EndsAt = now().Add(time.Duration(r.IntN(60)-30) * aDay)
	}
	return list, p
}

// TestRulesThatAlwaysHold tries histories and policies at random.
func TestRulesThatAlwaysHold(t *testing.T) {
	for seed := range uint64(20_000) {
		r := rand.New(rand.NewPCG(seed, 4))
		deposits, policy := random(r)
		verdicts := retention.Decide(deposits, policy, now())
		fail := func(what string, n int) {
			t.Fatalf("seed %d: %s: deposit %d of %+v by %+v:\n%+v", seed, what, n, deposits, policy, verdicts)
		}
		root, goodKept, goodNotDue, suspect := 0, 0, 0, false
		for i, d := range deposits {
			v := verdicts[i]
			if d.Full {
				root = i
			}
			suspect = suspect || d.Suspect
			good := !suspect && !d.Destroyed && v.Restorable
			switch {
			case len(v.Reasons) == 0:
				fail("no reason", d.Number)
			case d.Destroyed && (v.Keep || v.Due):
				fail("a decision about what is gone", d.Number)
			case !d.Destroyed && len(d.Holds) > 0 && !v.Keep:
				fail("a legal hold does not stop it", d.Number)
			case v.Due && v.Keep && len(d.Holds) == 0 && !v.Has(retention.Needed):
				fail("it outstays its term for no reason that counts", d.Number)
			case policy.Keeps() && !v.Due && !d.Destroyed && !v.Keep:
				fail("it goes though nothing says that it may", d.Number)
			case !v.Due && v.Restorable && len(d.Running) > 0 && !v.Keep:
				fail("somebody runs it", d.Number)
			}
			if v.Keep && v.Restorable {
				for j := root; j < i; j++ {
					if !verdicts[j].Keep {
						fail("its chain goes", d.Number)
					}
				}
			}
			if good && !v.Due {
				goodNotDue++
			}
			if good && !v.Due && v.Keep {
				goodKept++
			}
		}
		if goodNotDue > 0 && goodKept < min(goodNotDue, max(policy.Versions, 1)) {
			fail("too few good ones stay", 0)
		}

		// Once what may go has gone, the same stays and can still be opened.
		after := slices.Clone(deposits)
		for i, v := range verdicts {
			after[i].Destroyed = !v.Keep
		}
		for i, v := range retention.Decide(after, policy, now()) {
			if v.Keep != verdicts[i].Keep || v.Keep && v.Restorable != verdicts[i].Restorable {
				fail("deciding again decides otherwise", v.Number)
			}
		}

		// A bad deposit at the end never lets a good one go.
		bad := append(slices.Clone(deposits), retention.Deposit{Number: len(deposits) + 1, Full: r.IntN(2) == 0, At: now(), Level: 1, Suspect: true})
		for i, v := range retention.Decide(bad, policy, now())[:len(deposits)] {
			if verdicts[i].Keep && !v.Keep {
				fail("a suspicious newer one lets it go", v.Number)
			}
		}
	}
}

func TestFullNeeded(t *testing.T) {
	p := retention.Policy{MaxAge: days(30)}
	for _, tt := range []struct {
		history string
		policy  retention.Policy
		want    bool
	}{
		{"", p, false},
		{"F10 i5", p, false},
		{"F24 i5", p, true},
		{"F40 i5", p, true},
		{"F40 i5 F1", p, false},
		{"F40 i5", retention.Policy{}, false},
	} {
		if got := retention.FullNeeded(history(tt.history), tt.policy, now(), 7*aDay); got != tt.want {
			t.Errorf("%s: %t", tt.history, got)
		}
	}
}

func TestVerdictSaysWhy(t *testing.T) {
	got := retention.Decide(history("F40#h7 i20@gem-a"), retention.Policy{Versions: 1, MaxAge: days(30)}, now())
	want := []retention.Verdict{
		{Number: 1, Keep: true, Due: true, Restorable: true, Reasons: []retention.Reason{
			{Why: retention.OverTerm, Text: "personal data may not be kept beyond 2027-02-19"},
			{Why: retention.Held, Text: "legal hold h7"},
			{Why: retention.Needed, Text: "deposit 2 builds on it"}}},
		{Number: 2, Keep: true, Restorable: true, Reasons: []retention.Reason{
			{Why: retention.Runs, Text: "gem-a runs it"},
			{Why: retention.LastGood, Text: "it is the newest good one"},
			{Why: retention.LastVerified, Text: "it is the newest one verified to level 1"},
			{Why: retention.Recent, Text: "it is among the newest 1 good ones"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
