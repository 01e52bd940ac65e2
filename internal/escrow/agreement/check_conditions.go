package agreement

import (
	"fmt"
	"strings"
	"time"

	"holdfast/internal/escrow/agreement/bind"
	"holdfast/internal/escrow/agreement/cond"
	"holdfast/internal/escrow/agreement/problem"
	"holdfast/internal/escrow/calendar"
)

// Conditions is the compiled release conditions of an agreement, by event.
type Conditions struct {
	language *cond.Language
	events   map[string]*cond.Condition
	scope    cond.Scope
}

// Event returns the condition of the event with the id as the agreement
// declares it, or nil.
func (s *Conditions) Event(id string) *cond.Condition { return s.events[id] }

// Conditions compiles the release conditions. It returns an error only for an
// agreement that did not come from [Parse].
func (a *Agreement) Conditions() (*Conditions, error) {
	out := &Conditions{scope: a.scope(), events: map[string]*cond.Condition{}}
	var err error
	if out.language, err = cond.New(out.scope); err != nil {
		return nil, err
	}
	for _, e := range a.Release.Events {
		compiled, faults := out.language.Compile(e.When, e.ForEach != "" || e.For != "")
		if compiled == nil {
			return nil, fmt.Errorf("event %s: %s", e.ID, faults[0].Message)
		}
		out.events[e.ID] = compiled
	}
	return out, nil
}

// BusinessDaysBefore returns the function that counts business days back in
// the agreement's calendar and zone, or nil when its calendar is not known.
func (a *Agreement) BusinessDaysBefore() func(at time.Time, n int) time.Time {
	cal, known := calendar.ForName(string(a.Calendar))
	zone, err := time.LoadLocation(a.TimeZone)
	if !known || err != nil {
		return nil
	}
	return func(at time.Time, n int) time.Time { return cal.Before(at.In(zone), n) }
}

// scope is what conditions can name.
func (a *Agreement) scope() cond.Scope {
	s := cond.Scope{Licences: map[string]string{}}
	for _, p := range a.Parties {
		s.Parties = append(s.Parties, p.ID)
	}
	for _, comp := range a.Application.Components {
		s.Components = append(s.Components, comp.ID)
	}
	for _, svc := range a.Application.Services {
		s.Services = append(s.Services, svc.ID)
	}
	for i := range a.Modules {
		if base, _ := a.Modules[i].Base(); base != nil {
			s.Modules = append(s.Modules, base.ID)
		}
	}
	for _, l := range a.Licences {
		s.Licences[l.ID] = l.Licensee
	}
	for _, f := range a.Release.Facts {
		s.Facts = append(s.Facts, cond.Custom{ID: f.ID, About: f.About, Kind: cond.Kind(f.Kind)})
	}
	return s
}

// conditions checks every condition and runs the agreement's tests.
func (c *checker) conditions() {
	s := &Conditions{scope: c.a.scope(), events: map[string]*cond.Condition{}}
	var err error
	if s.language, err = cond.New(s.scope); err != nil {
		c.fail("release.facts", "condition", "rename the fact", "the facts cannot be declared: %v", err)
		return
	}
	for i, e := range c.a.Release.Events {
		path := bind.Join(bind.At("release.events", i), "when")
		compiled, faults := s.language.Compile(e.When, e.ForEach != "" || e.For != "")
		for _, f := range faults {
			at := c.b.Pos(path)
			if n := c.b.Texts[path]; n != nil && f.Line > 0 {
				at = n.Locate(f.Line, f.Column)
			}
			c.add(problem.Severity(f.Severity), path, at, f.Rule, f.Hint, "%s", f.Message)
		}
		if compiled != nil {
			s.events[e.ID] = compiled
		}
	}
	tested := map[string]bool{}
	for i := range c.a.Release.Tests {
		t := &c.a.Release.Tests[i]
		tested[t.Event] = true
		c.test(bind.At("release.tests", i), t, s)
	}
	for i, e := range c.a.Release.Events {
		if !tested[e.ID] {
			c.note(bind.Join(bind.At("release.events", i), "id"), "untested", "add a case under release.tests", "no test tries the condition of %q", e.ID)
		}
	}
}

// test runs one of the agreement's own tests.
func (c *checker) test(at string, t *Test, s *Conditions) {
	ok := true
	for _, key := range sortedKeys(t.Facts) {
		values := make([]string, len(t.Facts[key]))
		for i, v := range t.Facts[key] {
			values[i] = string(v)
		}
		if message, hint := s.language.CheckFact(key, values); message != "" {
			c.add(problem.Error, bind.Join(at, "facts"), c.factPos(at, key), "test-fact", hint, "%s", message)
			ok = false
		}
	}
	event := c.eventByID(t.Event)
	compiled := s.events[t.Event]
	if event == nil || compiled == nil || !ok {
		return
	}
	self, ok := c.testSelf(at, t, event)
	if !ok {
		return
	}
	k := cond.Case{Self: self, BusinessDaysBefore: c.a.BusinessDaysBefore(), Facts: func(key string) ([]string, bool) {
		values, known := t.Facts[key]
		out := make([]string, len(values))
		for i, v := range values {
			out[i] = string(v)
		}
		return out, known
	}}
	if t.At != "" {
		k.At, _ = t.At.Time()
	}
	got, err := compiled.Eval(k)
	if err != nil {
		c.fail(at, "test-failed", "check the facts", "the test cannot be run: %v", err)
		return
	}
	if Truth(got.Value) == t.Expect {
		return
	}
	why := ""
	if len(got.Missing) > 0 {
		why = " (not known: " + strings.Join(got.Missing, ", ") + ")"
	}
	c.fail(bind.Join(at, "expect"), "test-failed", "mend the condition or the test", "%s comes to %s%s, but the test expects %s", t.Event, got.Value, why, t.Expect)
}

// testSelf returns the member of the set a test is about.
func (c *checker) testSelf(at string, t *Test, e *Event) (string, bool) {
	if e.ForEach == "" {
		if t.For != "" && t.For != e.For {
			c.fail(bind.Join(at, "for"), "event-for", "remove it", "the event %q has no for_each", e.ID)
			return "", false
		}
		return e.For, true
	}
	if members := c.a.members(e.ForEach); !has(members, t.For) {
		c.fail(bind.Join(at, "event"), "event-for", "add for: "+strings.Join(members, " or "), "the test does not say about which of the %s it is", e.ForEach)
		return "", false
	}
	return t.For, true
}

func (c *checker) eventByID(id string) *Event {
	for i := range c.a.Release.Events {
		if c.a.Release.Events[i].ID == id {
			return &c.a.Release.Events[i]
		}
	}
	return nil
}

// factPos is the place of a fact's key. Keys of facts hold dots, so their
// paths are looked up whole.
func (c *checker) factPos(at, key string) problem.Pos {
	return c.b.KeyPos(bind.Join(bind.Join(at, "facts"), key))
}
