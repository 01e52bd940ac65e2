package agreement

import (
	"strings"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement/bind"
	"holdfast/internal/escrow/agreement/problem"
	"holdfast/internal/escrow/agreement/yamltext"
	"holdfast/internal/escrow/calendar"
)

// PolicyFormat names a text that has service levels and nothing else.
const PolicyFormat = "sla-policy/v1"

// Policy is service levels on their own, for who measures a contract that is
// no agreement of this language: the sla of an agreement, word for word, and
// what it needs of the rest.
type Policy struct {
	Format   string   `key:"holdfast,required" enum:"sla-policy/v1" doc:"The format of this text."`
	ID       string   `key:"id,required" is:"id" doc:"Id of the policy."`
	Title    string   `key:"title" doc:"What people call it."`
	Language Language `key:"language" doc:"Language of reports made of it. Default en."`
	TimeZone string   `key:"time_zone,required" doc:"IANA name of the zone in which days, months and hours are counted."`
	Calendar Calendar `key:"calendar,required" doc:"The calendar of public holidays."`
	Parties  []Party  `key:"parties" doc:"Who supplies, who is supplied, and whom else the promises name."`
	SLA      []SLA    `key:"sla,required" doc:"The service levels."`
}

// IsPolicy reports whether the text says that it is a policy.
func IsPolicy(data []byte) bool {
	root, _ := yamltext.Read("", data)
	if root == nil || root.Kind != yamltext.Mapping {
		return false
	}
	for _, f := range root.Fields {
		if f.Key == "holdfast" {
			return f.Value.Text == PolicyFormat
		}
	}
	return false
}

// ParsePolicy reads a policy as [ParseLocated] reads an agreement. What comes
// back is an agreement that has nothing but its service levels, its parties,
// its zone and its calendar.
func ParsePolicy(name string, data []byte) (*Agreement, *bind.Bound, Problems) {
	root, problems := yamltext.Read(name, data)
	if root == nil {
		return nil, nil, problems
	}
	p := &Policy{}
	b := bind.Bind(name, root, p)
	a := &Agreement{Format: p.Format, ID: p.ID, Version: 1, Title: p.Title, Language: p.Language, TimeZone: p.TimeZone,
		Calendar: p.Calendar, Parties: p.Parties, SLA: p.SLA}
	if a.Language == "" {
		a.Language = "en"
	}
	a.index()
	c := &checker{a: a, b: b, problems: b.Problems}
	if !c.problems.Any(problem.Error) {
		c.policy()
	}
	if c.problems.Any(problem.Error) {
		return nil, nil, c.problems.Sort()
	}
	return a, b, c.problems.Sort()
}

func (c *checker) policy() {
	if _, err := time.LoadLocation(c.a.TimeZone); err != nil || c.a.TimeZone == "Local" {
		c.fail("time_zone", "time-zone", "write an IANA name such as Europe/Amsterdam", "there is no time zone %q", c.a.TimeZone)
	}
	if _, ok := calendar.ForName(string(c.a.Calendar)); !ok {
		c.fail("calendar", "calendar", "known: "+strings.Join(calendar.Names(), ", "), "the public holidays of %q are not known to this version", c.a.Calendar)
	}
	seen := map[string]bool{}
	for i, s := range c.a.SLA {
		if seen[s.ID] {
			c.fail(bind.Join(bind.At("sla", i), "id"), "duplicate-id", "give one of them another id", "there are two service levels %q", s.ID)
		}
		seen[s.ID] = true
	}
	parties := map[string]bool{}
	for i, p := range c.a.Parties {
		if parties[p.ID] {
			c.fail(bind.Join(bind.At("parties", i), "id"), "duplicate-id", "give one of them another id", "there are two parties %q", p.ID)
		}
		parties[p.ID] = true
	}
	for _, l := range c.b.Leaves {
		for _, kind := range l.Ref {
			if kind == "party" && l.Text != "self" && !parties[l.Text] && strings.HasPrefix(l.Path, "sla") {
				c.add(problem.Error, l.Path, l.Pos, "reference", "add it under parties: an id, a role and a name", "there is no party %q", l.Text)
			}
		}
	}
	c.serviceLevels()
}

// ServiceLevel returns the service level with the id, or an error that names
// those there are. An empty id is the only one there is.
func (a *Agreement) ServiceLevel(id string) (*SLA, error) {
	var ids []string
	for i := range a.SLA {
		if a.SLA[i].ID == id || id == "" && len(a.SLA) == 1 {
			return &a.SLA[i], nil
		}
		ids = append(ids, a.SLA[i].ID)
	}
	switch {
	case len(ids) == 0:
		return nil, escrow.Errorf(escrow.NotFound, "%s has no service levels", a.ID).WithHint("add sla to it")
	case id == "":
		return nil, escrow.Errorf(escrow.Invalid, "%s has %d service levels", a.ID, len(ids)).WithHint("say which: %s", strings.Join(ids, ", "))
	}
	return nil, escrow.Errorf(escrow.NotFound, "%s has no service level %q", a.ID, id).WithHint("it has %s", strings.Join(ids, ", "))
}
