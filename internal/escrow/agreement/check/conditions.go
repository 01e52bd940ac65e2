package check

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/bind"
	"holdfast/internal/escrow/agreement/cond"
)

// conditions finds events that come true by themselves, by one side's word,
// by an insolvency alone, or never. It does not read the expressions: it
// tries them on cases.
func (c *checker) conditions() {
	compiled, err := c.a.Conditions()
	if err != nil {
		return // an agreement that was parsed compiles
	}
	before := c.a.BusinessDaysBefore() // it reads the zone
	for i := range c.a.Release.Events {
		e := &c.a.Release.Events[i]
		if condition := compiled.Event(e.ID); condition != nil {
			c.condition(bind.At("release.events", i), e, &trial{c: c, e: e, condition: condition, before: before})
		}
	}
}

// outcome is the gravest thing an event leads to.
func (c *checker) outcome(e *agreement.Event) (opens, forGood bool, stages []*agreement.Stage) {
	for _, id := range e.Stages {
		s, _ := c.stage(id)
		if s == nil || len(c.opens(s)) == 0 {
			continue
		}
		opens = true
		forGood = forGood || !s.Reversible
		stages = append(stages, s)
	}
	return opens, forGood, stages
}

func (c *checker) condition(at string, e *agreement.Event, t *trial) {
	when := bind.Join(at, "when")
	opens, forGood, stages := c.outcome(e)
	c.evidence(at, e, t.condition)
	switch {
	case t.holds(nothing):
		c.find("condition-always", when, e.ID)
		return
	case t.never():
		c.find("condition-never", when, e.ID)
		return
	}
	if opens {
		c.insolvencyAlone(when, e, t, forGood, stages)
		c.wordAlone(when, e, t, stages)
		for _, id := range c.with(escrow.Beneficiary) {
			if t.holds(insolvencyOf(func(p string) bool { return p == id }, "bankruptcy")) || t.holds(insolvencyOf(func(p string) bool { return p == id }, "compulsory_liquidation")) {
				c.find("customer-insolvent", when, e.ID, id)
				break
			}
		}
	}
	c.measured(when, e)
}

// insolvencyAlone looks for events that an insolvency by itself makes true.
// Whether a release may rest on that is for counsel to say, right by right.
func (c *checker) insolvencyAlone(when string, e *agreement.Event, t *trial, forGood bool, stages []*agreement.Stage) {
	theirs := func(id string) bool { return c.a.Sides(id)&agreement.SideOf("supplier") != 0 }
	which := ""
	for _, p := range cond.Proceedings() {
		if p != "none" && t.holds(insolvencyOf(theirs, p)) {
			which = p
			break
		}
	}
	if which == "" {
		return
	}
	for _, s := range stages {
		stands := slices.ContainsFunc(s.Rights, func(id string) bool {
			r := c.right(id)
			return r != nil && r.Counsel != "" && ColourOf(r) != Red
		})
		switch {
		case stands:
		case !s.Reversible && forGood:
			c.find("insolvency-hands-over", when, e.ID, which, s.ID)
			return
		case len(s.Rights) > 0:
			c.find("insolvency-alone", when, e.ID, which, s.ID)
			return
		}
	}
}

// wordAlone looks for events that the word of those who gain by it makes
// true.
func (c *checker) wordAlone(when string, e *agreement.Event, t *trial, stages []*agreement.Stage) {
	gain := func(id string) bool {
		return c.a.Sides(id)&(agreement.SideOf("beneficiary")|agreement.SideOf("agent")) != 0
	}
	if !t.holds(t.wordOf(gain)) {
		return
	}
	for _, s := range stages {
		contest := s.Contest
		if contest == "" {
			contest = e.Contest
		}
		open := contest == "" || contest.IsZero()
		switch {
		case open:
			c.find("claimants-word", when, e.ID, s.ID)
			return
		case !s.Reversible:
			c.find("claimants-word-for-good", when, e.ID, s.ID, contest)
			return
		}
	}
}

// evidence finds events whose evidence cannot prove what they ask.
func (c *checker) evidence(at string, e *agreement.Event, condition *cond.Condition) {
	proves := map[agreement.Evidence][]string{
		agreement.PublicRegister:     {"insolvency", "register.insolvency"},
		agreement.PublicNotice:       {"insolvency", "register.insolvency", "gazette.notice"},
		agreement.JudgementCopy:      {"insolvency", "register.insolvency"},
		agreement.Measured:           {"heartbeat.age", "sla.down", "sla.disrupted", "outside_tolerance", "licence.grace_left", "release.age", "tickets.unanswered", "unknown_for", "age", "contact_attempts"},
		agreement.WrittenStatement:   {"statement", "statement.age", "contact_attempts", "tickets.unanswered"},
		agreement.RegulatorDirection: {"statement", "statement.age"},
	}
	own := map[string][]agreement.Evidence{}
	for _, f := range c.a.Release.Facts {
		own["fact."+f.ID] = f.Evidence
	}
	for i, v := range e.Evidence {
		if v == agreement.Judgement {
			continue // a court can find anything
		}
		fits := slices.ContainsFunc(condition.Uses(), func(f string) bool {
			return slices.Contains(proves[v], f) || slices.Contains(own[f], v) || strings.HasPrefix(f, "fact.")
		})
		if !fits {
			c.find("evidence-cannot-prove", bind.At(bind.Join(at, "evidence"), i), e.ID, v, list(condition.Uses()))
		}
	}
}

// measured finds conditions that rest on figures nobody takes.
func (c *checker) measured(when string, e *agreement.Event) {
	asked := regexp.MustCompile(`sla\.(?:down|disrupted)\(\s*["']([a-z0-9_-]+)["']`)
	for _, m := range asked.FindAllStringSubmatch(e.When, -1) {
		taken := slices.ContainsFunc(c.a.SLA, func(s agreement.SLA) bool { return s.Component == m[1] && s.Probe != nil })
		if !taken {
			c.find("condition-unmeasured", when, e.ID, m[1])
			return
		}
	}
}

// trial tries a condition on cases.
type trial struct {
	c         *checker
	e         *agreement.Event
	condition *cond.Condition
	before    func(at time.Time, n int) time.Time
}

// at is the moment cases are tried at: a Monday far from any holiday.
func at() time.Time { return time.Date(2027, 9, 13, 12, 0, 0, 0, time.UTC) }

// holds reports whether the condition is true when only these facts are
// known.
func (t *trial) holds(facts cond.Facts) bool {
	self := t.e.For
	if t.e.ForEach == agreement.Licences && len(t.c.a.Licences) > 0 {
		self = t.c.a.Licences[0].ID
	} else if t.e.ForEach == agreement.Beneficiaries {
		self = t.c.with(escrow.Beneficiary)[0]
	}
	r, err := t.condition.Eval(cond.Case{Facts: facts, Self: self, At: at(), BusinessDaysBefore: t.before})
	return err == nil && r.Value == string(agreement.True)
}

func nothing(string) ([]string, bool) { return nil, false }

// insolvencyOf is the case in which all that is known is that some parties
// are in a proceeding.
func insolvencyOf(which func(party string) bool, proceeding string) cond.Facts {
	return func(key string) ([]string, bool) {
		if party, ok := strings.CutPrefix(key, "insolvency."); ok && which(party) {
			return []string{proceeding}, true
		}
		return nil, false
	}
}

// wordOf is the case in which some parties state whatever the condition asks
// for, and have done so for long.
func (t *trial) wordOf(which func(party string) bool) cond.Facts {
	words := t.words()
	return func(key string) ([]string, bool) {
		rest, ok := strings.CutPrefix(key, "statement.age.")
		if party, _, _ := strings.Cut(rest, "."); ok && which(party) {
			return []string{"87600h"}, true
		}
		if party, ok := strings.CutPrefix(key, "statement."); ok && which(party) {
			return words, true
		}
		if strings.HasPrefix(key, "contact_attempts.") {
			return []string{"1000"}, true // made by those who claim
		}
		return nil, false
	}
}

// words lists the texts in quotes of the condition.
func (t *trial) words() []string {
	var out []string
	for _, m := range regexp.MustCompile(`"([^"\\]*)"|'([^'\\]*)'`).FindAllStringSubmatch(t.e.When, -1) {
		if w := m[1] + m[2]; !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}

// maxTrials bounds the cases of one condition.
const maxTrials = 3000

// never reports whether no case makes the condition true. The values that
// are tried of every fact lie on both sides of everything it is compared
// with, so a condition that can be true is true for some of them; with too
// many combinations nothing is claimed.
func (t *trial) never() bool {
	keys := t.keys()
	values := make([][][]string, len(keys))
	total := 1
	for i, key := range keys {
		values[i] = t.values(key)
		if total *= max(len(values[i]), 1); total > maxTrials {
			return false
		}
	}
	choice := make([]int, len(keys))
	for {
		facts := func(key string) ([]string, bool) {
			i := slices.Index(keys, key)
			if i < 0 || len(values[i]) == 0 {
				return nil, false
			}
			return values[i][choice[i]], true
		}
		if t.holds(facts) {
			return false
		}
		i := 0
		for ; i < len(choice); i++ {
			if choice[i]++; choice[i] < len(values[i]) {
				break
			}
			choice[i] = 0
		}
		if i == len(choice) {
			return true
		}
	}
}

// keys lists the facts the condition asks for.
func (t *trial) keys() []string {
	var out []string
	t.holds(func(key string) ([]string, bool) {
		if !slices.Contains(out, key) {
			out = append(out, key)
		}
		return []string{"unknown"}, true
	})
	return out
}

// values lists the values of a fact that are worth trying.
func (t *trial) values(key string) [][]string {
	name := ""
	kind := cond.Words
	for _, f := range cond.Functions() {
		if (key == f.Name || strings.HasPrefix(key, f.Name+".")) && len(f.Name) > len(name) && f.Name != "register.insolvency" {
			name, kind = f.Name, f.Kind
		}
	}
	for _, f := range t.c.a.Release.Facts {
		if key == "fact."+f.ID || strings.HasPrefix(key, "fact."+f.ID+".") {
			name, kind = "fact", cond.Kind(f.Kind)
		}
	}
	words := t.words()
	switch {
	case name == "insolvency" || name == "gazette.notice" || name == "statement":
		if name == "insolvency" {
			words = slices.DeleteFunc(slices.Clone(words), func(w string) bool { return !slices.Contains(cond.Proceedings(), w) })
		}
		out := [][]string{{}, {"dissolved"}}
		for _, w := range words {
			out = append(out, []string{w})
		}
		return append(out, words)
	case kind == cond.Truth:
		return [][]string{{"true"}, {"false"}}
	case kind == cond.Number:
		out := [][]string{{"0"}, {"100000"}}
		for _, m := range regexp.MustCompile(`[0-9]+`).FindAllString(t.e.When, -1) {
			if n, err := strconv.Atoi(m); err == nil && n < 1_000_000 {
				out = append(out, []string{strconv.Itoa(max(n-1, 0))}, []string{m}, []string{strconv.Itoa(n + 1)})
			}
		}
		return out
	case kind == cond.Period:
		out := [][]string{{"0s"}, {"1000000h"}}
		add := func(d time.Duration) {
			for _, x := range []time.Duration{d - time.Second, d, d + time.Second} {
				if x >= 0 {
					out = append(out, []string{strconv.FormatInt(int64(x/time.Second), 10) + "s"})
				}
			}
		}
		for _, w := range words {
			if d, err := time.ParseDuration(w); err == nil {
				add(d)
			}
		}
		if before := t.before; before != nil {
			for _, m := range regexp.MustCompile(`\bbd\(\s*([0-9]+)\s*\)`).FindAllStringSubmatch(t.e.When, -1) {
				if n, err := strconv.Atoi(m[1]); err == nil && n <= 1000 {
					add(at().Sub(before(at(), n)))
				}
			}
		}
		return out
	}
	out := [][]string{{"none"}}
	for _, w := range words {
		out = append(out, []string{w})
	}
	return out
}
