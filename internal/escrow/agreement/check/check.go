// Package check looks for agreements that are well written and dangerous:
// clauses that clash, rights that end when they are needed, conditions that
// come true by themselves or never, exclusions that swallow a promise. It
// goes on where package agreement ends, which checks form, references,
// quorums and tests. Every finding has a stable code, a place, what is wrong,
// why it matters and the mend, in Dutch and English; the words are data.
//
// It may depend on package agreement, its sub-packages and escrow. It does
// no I/O; the day is an argument.
package check

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/bind"
	"holdfast/internal/escrow/agreement/problem"
	"holdfast/internal/escrow/agreement/quantity"
)

// Options says how to check.
type Options struct {
	// At is the moment for which what expires is judged. Zero leaves
	// everything that depends on the day out.
	At time.Time
	// Language is the language of the findings: nl or en, "" means en.
	Language agreement.Language
	// Frameworks are the texts of hosts' frameworks that are at hand, by
	// their digest: undertakings that are given under them are compared.
	Frameworks map[string]*agreement.Framework
	// Texts are what the findings say. nil means those of the program, which
	// are read anew for each check.
	Texts *Texts
}

// Check reads the text of an agreement and looks for everything that this
// program knows to be wrong or dangerous. The agreement is nil when the text
// cannot be used at all; it may be returned beside errors of this package,
// which are about what it means.
func Check(name string, data []byte, o Options) (*agreement.Agreement, problem.List) {
	texts := o.Texts
	if texts == nil {
		texts = Load()
	}
	a, b, problems := agreement.ParseLocated(name, data)
	problems = texts.Translate(problems, o.Language)
	if a == nil {
		return nil, problems
	}
	c := &checker{a: a, b: b, texts: texts, o: o, expanded: a.Expand()}
	c.rights()
	c.hosts()
	c.authority()
	c.parts()
	c.compartments()
	c.stages()
	c.conditions()
	c.procedure()
	c.modules()
	c.services()
	c.money()
	c.terms()
	return a, append(problems, c.out...).Sort()
}

// CheckPolicy is [Check] for service levels on their own: see
// [agreement.ParsePolicy].
func CheckPolicy(name string, data []byte, o Options) (*agreement.Agreement, problem.List) {
	texts := o.Texts
	if texts == nil {
		texts = Load()
	}
	a, b, problems := agreement.ParsePolicy(name, data)
	problems = texts.Translate(problems, o.Language)
	if a == nil {
		return nil, problems
	}
	c := &checker{a: a, b: b, texts: texts, o: o}
	c.services()
	return a, append(problems, c.out...).Sort()
}

// checker collects the findings about one agreement.
type checker struct {
	a        *agreement.Agreement
	b        *bind.Bound
	texts    *Texts
	o        Options
	expanded *agreement.Expanded
	out      problem.List
}

// find reports the finding with the code about the value at path. The
// arguments fill the places {1}, {2} of its words.
func (c *checker) find(code, path string, args ...any) {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = fmt.Sprint(a)
	}
	c.out = append(c.out, c.texts.problem(code, c.o.Language, c.b.File, path, c.b.Pos(path), words))
}

// day is the day of the check in the agreement's zone, "" when none was given.
func (c *checker) day() quantity.Date {
	if c.o.At.IsZero() {
		return ""
	}
	zone, err := time.LoadLocation(c.a.TimeZone)
	if err != nil {
		zone = time.UTC // the parser refused the zone long before
	}
	return quantity.Date(c.o.At.In(zone).Format(time.DateOnly))
}

// past reports whether the date has gone by. Without a day nothing has.
func (c *checker) past(d quantity.Date) bool {
	today := c.day()
	return d != "" && today != "" && d.Before(today)
}

// due reports whether something that was done on a day and is to be done
// again after a period is overdue.
func (c *checker) due(done quantity.Date, every quantity.Period) bool {
	if done == "" || every == "" || c.o.At.IsZero() {
		return false
	}
	from, err := time.Parse(time.DateOnly, string(done))
	if err != nil {
		return false
	}
	return c.past(quantity.Date(c.a.Deadline(from, every).Format(time.DateOnly)))
}

// roughly is the length of a period for comparisons in which a day more or
// less does not matter: a month has 30 days, five business days a week.
func roughly(p quantity.Period) time.Duration {
	if d, ok := p.Fixed(); ok {
		return d
	}
	const day = 24 * time.Hour
	n, unit, err := p.Split()
	if err != nil {
		return 0
	}
	switch unit {
	case quantity.Month:
		return time.Duration(n) * 30 * day
	case quantity.Year:
		return time.Duration(n) * 365 * day
	case quantity.BusinessDay:
		return time.Duration(n) * 7 * day / 5
	}
	return 0
}

func (c *checker) role(id string) escrow.Role {
	if p := c.a.Party(id); p != nil {
		return escrow.Role(p.Role)
	}
	return ""
}

// with returns the ids of the parties in any of the roles.
func (c *checker) with(roles ...escrow.Role) []string {
	var out []string
	for _, r := range roles {
		out = append(out, c.a.WithRole(r)...)
	}
	return out
}

// each resolves beneficiaries and operator among the names; the other words
// stay as they are.
func (c *checker) each(names []string) []string {
	var out []string
	for _, n := range names {
		switch n {
		case "beneficiaries":
			out = append(out, c.a.WithRole(escrow.Beneficiary)...)
		case "operator":
			out = append(out, c.a.WithRole(escrow.Operator)...)
		default:
			out = append(out, n)
		}
	}
	return out
}

func (c *checker) isSaaS() bool { return strings.HasPrefix(c.a.Application.Delivery, "saas") }

// opened returns the key of a compartment that a quorum opens, or nil.
func (c *checker) key(compartment string) *agreement.Key {
	name, _, _ := strings.Cut(compartment, "/")
	for i := range c.a.Keys {
		if first, _, _ := strings.Cut(c.a.Keys[i].Compartment, "/"); first == name {
			return &c.a.Keys[i]
		}
	}
	return nil
}

// opens lists the compartments a stage opens by a quorum: those that are on
// demand are their holder's anyhow.
func (c *checker) opens(s *agreement.Stage) []string {
	var out []string
	for _, id := range s.Opens {
		if k := c.key(id); k != nil && k.Quorum != nil {
			out = append(out, id)
		}
	}
	return out
}

// stage returns the stage with the id and its path.
func (c *checker) stage(id string) (*agreement.Stage, string) {
	for i := range c.a.Release.Stages {
		if c.a.Release.Stages[i].ID == id {
			return &c.a.Release.Stages[i], bind.At("release.stages", i)
		}
	}
	return nil, ""
}

// openers returns the stages that open a compartment, by template.
func (c *checker) openers(compartment string) []*agreement.Stage {
	name, _, _ := strings.Cut(compartment, "/")
	var out []*agreement.Stage
	for i := range c.a.Release.Stages {
		s := &c.a.Release.Stages[i]
		if slices.ContainsFunc(s.Opens, func(id string) bool { first, _, _ := strings.Cut(id, "/"); return first == name }) {
			out = append(out, s)
		}
	}
	return out
}

func list(ids []string) string { return strings.Join(ids, ", ") }

func has(ids []string, id string) bool { return slices.Contains(ids, id) }
