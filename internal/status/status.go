// Package status says publicly how an application is: what works, what
// happened, what is planned, and how that is measured. It makes a page, a feed,
// a badge and data of one model, as files that any host can serve: a status
// page has to outlive the supplier it tells of.
//
// It is pure and may import escrow, escrow/agreement/phrase and quantity.
package status

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement/phrase"
)

// Format names the data of [Page.Data].
const Format = "holdfast-status/v1"

// Days is how far the history goes back.
const Days = 90

// State is how a service is.
type State string

// The states, from good to bad. Unknown is said when nobody can tell: the
// place that measures may be cut off itself.
const (
	Up          State = "up"
	Maintenance State = "maintenance"
	Unknown     State = "unknown"
	Down        State = "down"
)

// Stage is how far an incident is.
type Stage string

// The stages of an incident.
const (
	Investigating Stage = "investigating"
	Identified    Stage = "identified"
	Monitoring    Stage = "monitoring"
	Resolved      Stage = "resolved"
)

// Page is everything that is said publicly about one application. What is not
// here cannot appear: no address of a probe, no name of a person, no evidence.
type Page struct {
	ID        string         // of the application, part of addresses
	Name      string         // of the application
	Publisher string         // who answers for the page
	Contact   string         // where it can be asked, an address of mail or the web; or ""
	Lang      phrase.Lang    // of the first page
	Zone      *time.Location // of all times shown
	At        time.Time      // when this was so
	Stale     time.Duration  // after which the page says that it may be out of date
	Base      string         // where the page lives, for the feed; or "", then links are relative

	Services  []Service
	Incidents []Incident
	Planned   []Work
}

// Service is one thing that is measured.
type Service struct {
	ID    string
	Name  string
	State State
	Since time.Time // of the state, zero when not known
	Days  []Day     // oldest first, at most [Days]
	// Measured says how, in the words of the agreement.
	Measured map[phrase.Lang]string
	// Figures are what was promised and what was measured, such as the
	// availability of the last month, exact and cut, never rounded up.
	Figures []Figure
}

// Day is one day of the history, in the page's zone.
type Day struct {
	Date    string // YYYY-MM-DD
	Down    time.Duration
	Unknown time.Duration
	Planned time.Duration // announced maintenance, not counted in Down
}

// Figure is a number with its name.
type Figure struct {
	Name  map[phrase.Lang]string
	Value string // with a decimal point, as in 99.987 %
	Note  map[phrase.Lang]string
}

// Incident is something that went wrong, as it is told.
type Incident struct {
	ID       string
	Title    map[phrase.Lang]string
	Services []string
	Begun    time.Time
	Ended    time.Time // zero while it lasts
	NextBy   time.Time // when more will be said at the latest; zero when nothing was promised
	Updates  []Update  // oldest first
}

// Update is what was said at one moment.
type Update struct {
	At    time.Time
	Stage Stage
	Text  map[phrase.Lang]string
}

// Work is planned maintenance.
type Work struct {
	ID        string
	Title     map[phrase.Lang]string
	Services  []string
	From, To  time.Time
	Announced time.Time
}

// Limits of what a page takes.
const (
	maxServices  = 200
	maxIncidents = 500
	maxUpdates   = 200
	maxTitle     = 200
	maxText      = 5000
)

// Check refuses what cannot be shown, and says where it stands.
func (p *Page) Check() error {
	bad := func(where, format string, args ...any) error {
		return escrow.Errorf(escrow.Invalid, where+": "+format, args...)
	}
	if !id(p.ID) {
		return bad("id", "%.80q is not one: lower-case letters, digits, - and _, at most 80", p.ID)
	}
	if p.Zone == nil || p.At.IsZero() || !slices.Contains(phrase.Langs(), p.Lang) {
		return bad("page", "it needs a time zone, a moment and a language")
	}
	for where, s := range map[string]string{"name": p.Name, "publisher": p.Publisher} {
		if err := line(s); err != "" {
			return bad(where, "%s", err)
		}
	}
	if p.Contact != "" && !strings.HasPrefix(p.Contact, "https://") && !strings.HasPrefix(p.Contact, "mailto:") || strings.ContainsFunc(p.Contact, unsafe) {
		return bad("contact", "%.80q is neither https: nor mailto:", p.Contact)
	}
	if p.Base != "" && !strings.HasPrefix(p.Base, "https://") && !strings.HasPrefix(p.Base, "http://") || strings.ContainsFunc(p.Base, unsafe) {
		return bad("base", "%.80q is not an address of the web", p.Base)
	}
	if len(p.Services) == 0 || len(p.Services) > maxServices || len(p.Incidents) > maxIncidents || len(p.Planned) > maxIncidents {
		return bad("page", "1 to %d services, at most %d incidents and as many maintenances", maxServices, maxIncidents)
	}
	known := map[string]bool{}
	for _, s := range p.Services {
		where := "service " + s.ID
		if !id(s.ID) || known[s.ID] {
			return bad(where, "its id is none, or is there twice")
		}
		known[s.ID] = true
		if err := line(s.Name); err != "" {
			return bad(where, "%s", err)
		}
		if !slices.Contains([]State{Up, Maintenance, Unknown, Down}, s.State) {
			return bad(where, "%.40q is no state", s.State)
		}
		if err := checkDays(s.Days); err != "" {
			return bad(where, "%s", err)
		}
	}
	told := map[string]bool{}
	for _, i := range p.Incidents {
		where := "incident " + i.ID
		if !id(i.ID) || told[i.ID] {
			return bad(where, "its id is none, or is there twice")
		}
		told[i.ID] = true
		if i.Begun.IsZero() || !i.Ended.IsZero() && i.Ended.Before(i.Begun) {
			return bad(where, "it must begin, and not end before that")
		}
		if err := texts(i.Title, maxTitle, true); err != "" {
			return bad(where, "title: %s", err)
		}
		if len(i.Updates) > maxUpdates {
			return bad(where, "more than %d updates", maxUpdates)
		}
		for n, u := range i.Updates {
			if !slices.Contains([]Stage{Investigating, Identified, Monitoring, Resolved}, u.Stage) || u.At.IsZero() || n > 0 && u.At.Before(i.Updates[n-1].At) {
				return bad(where, "update %d: its stage or time cannot be", n+1)
			}
			if err := texts(u.Text, maxText, false); err != "" {
				return bad(where, "update %d: %s", n+1, err)
			}
		}
		if missing := unknownOf(i.Services, known); missing != "" {
			return bad(where, "there is no service %.80q", missing)
		}
	}
	for _, w := range p.Planned {
		where := "maintenance " + w.ID
		if !id(w.ID) || told[w.ID] {
			return bad(where, "its id is none, or is there twice")
		}
		told[w.ID] = true
		if w.From.IsZero() || !w.To.After(w.From) {
			return bad(where, "it must end after it begins")
		}
		if err := texts(w.Title, maxTitle, true); err != "" {
			return bad(where, "title: %s", err)
		}
		if missing := unknownOf(w.Services, known); missing != "" {
			return bad(where, "there is no service %.80q", missing)
		}
	}
	return nil
}

func checkDays(days []Day) string {
	if len(days) > Days {
		return "more days than are shown"
	}
	for i, d := range days {
		if _, err := time.Parse(time.DateOnly, d.Date); err != nil || i > 0 && d.Date <= days[i-1].Date {
			return "days must be dates in ascending order, " + d.Date + " is not"
		}
		// A day has at most 25 hours, when clocks are put back.
		if d.Down < 0 || d.Unknown < 0 || d.Planned < 0 || d.Down+d.Unknown+d.Planned > 25*time.Hour {
			return "more of " + d.Date + " is accounted for than a day has"
		}
	}
	return ""
}

func unknownOf(services []string, known map[string]bool) string {
	for _, s := range services {
		if !known[s] {
			return s
		}
	}
	return ""
}

func id(s string) bool {
	return s != "" && len(s) <= 80 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// unsafe is what has no business in a line: control characters, and those that
// hide text or turn it around.
func unsafe(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' || r == utf8.RuneError
}

func line(s string) string {
	switch {
	case strings.TrimSpace(s) == "":
		return "it is empty"
	case len(s) > maxTitle:
		return "it is too long"
	case strings.ContainsFunc(s, unsafe):
		return "it has characters that hide or turn text around"
	}
	return ""
}

// texts wants at least one language.
func texts(t map[phrase.Lang]string, limit int, oneLine bool) string {
	some := false
	for lang, s := range t {
		if !slices.Contains(phrase.Langs(), lang) {
			return "there is no language " + string(lang)
		}
		if len(s) > limit {
			return "it is too long"
		}
		bad := unsafe
		if !oneLine {
			bad = func(r rune) bool { return r != '\n' && unsafe(r) }
		}
		if strings.ContainsFunc(s, bad) {
			return "it has characters that hide or turn text around"
		}
		some = some || strings.TrimSpace(s) != ""
	}
	if !some {
		return "it is empty"
	}
	return ""
}

// in returns the text in the language, or in the other one: something said in
// one language is better than nothing, and lang tells a screen reader which.
func in(t map[phrase.Lang]string, l phrase.Lang) (text string, lang phrase.Lang) {
	if s := t[l]; strings.TrimSpace(s) != "" {
		return s, l
	}
	for _, other := range phrase.Langs() {
		if s := t[other]; strings.TrimSpace(s) != "" {
			return s, other
		}
	}
	return "", l
}

// Overall is the state of everything together: the worst there is.
func (p *Page) Overall() State {
	worst := Up
	order := []State{Up, Maintenance, Unknown, Down}
	for _, s := range p.Services {
		if slices.Index(order, s.State) > slices.Index(order, worst) {
			worst = s.State
		}
	}
	return worst
}

// open are the incidents that last, newest first; past those that ended within
// the history, newest first.
func (p *Page) open() (open, past []Incident) {
	first := p.At.AddDate(0, 0, -Days)
	for _, i := range p.Incidents {
		switch {
		case i.Ended.IsZero() || i.Ended.After(p.At):
			open = append(open, i)
		case i.Ended.After(first):
			past = append(past, i)
		}
	}
	newest := func(a, b Incident) int { return b.Begun.Compare(a.Begun) }
	slices.SortStableFunc(open, newest)
	slices.SortStableFunc(past, newest)
	return open, past
}

// coming is the maintenance that is not over, soonest first.
func (p *Page) coming() []Work {
	var out []Work
	for _, w := range p.Planned {
		if w.To.After(p.At) {
			out = append(out, w)
		}
	}
	slices.SortStableFunc(out, func(a, b Work) int { return a.From.Compare(b.From) })
	return out
}

func (p *Page) name(service string) string {
	for _, s := range p.Services {
		if s.ID == service {
			return s.Name
		}
	}
	return service
}
