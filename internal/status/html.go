package status

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"strings"
	"time"

	"holdfast/internal/escrow/agreement/phrase"
)

//go:embed page.html style.css
var sources embed.FS

// Pages makes pages. It is safe for use by several goroutines.
type Pages struct {
	page  *template.Template
	style template.CSS
	csp   string
}

// New parses the page.
func New() (*Pages, error) {
	style, err := sources.ReadFile("style.css")
	if err != nil {
		return nil, err
	}
	t, err := template.New("page.html").ParseFS(sources, "page.html")
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(style)
	return &Pages{page: t, style: template.CSS(style), csp: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"}, nil
}

// CSP is the content security policy that the pages keep to: no script, no
// foreign source, one style.
func (h *Pages) CSP() string { return h.csp }

type view struct {
	Lang, Other phrase.Lang
	OtherFile   string
	OtherName   string
	Style       template.CSS
	Title, Name string
	State       State
	Overall     string
	At, AtTime  string
	Stale       string
	Open, Past  []incidentView
	Planned     []workView
	Services    []serviceView
	W           map[string]string // fixed words
	Publisher   string
	Contact     template.URL
	Feed, Badge string
	First, Last string
}

type serviceView struct {
	ID, Name, Word, Since string
	State                 State
	Strip                 template.HTML
	History               string
	Bad                   []string // the days on which something was wrong, in words, newest first
	Measured              said
	Figures               []figureView
}

type figureView struct {
	Name  string
	Value string
	Note  string
}

// said is a text and the language it is in, when that is not the page's.
type said struct {
	Text string
	Lang phrase.Lang // "" when it is the page's
}

type incidentView struct {
	ID       string
	Title    said
	When     string
	Services string
	Next     string
	Updates  []updateView
}

type updateView struct {
	At, AtTime string
	Stage      string
	Text       []said // paragraphs
}

type workView struct {
	ID       string
	Title    said
	When     string
	Services string
	Now      bool
}

// HTML is the page in a language.
func (h *Pages) HTML(p *Page, l phrase.Lang) ([]byte, error) {
	other := phrase.NL
	if l == phrase.NL {
		other = phrase.EN
	}
	v := view{
		Lang: l, Other: other, OtherFile: pageFile(other, p.Lang), OtherName: other.Pick("Nederlands", "English"), Style: h.style,
		Title: l.F("Status van %s", "Status of %s", p.Name), Name: p.Name, State: p.Overall(), Overall: overallWord(l, p),
		At: p.moment(l, p.At), AtTime: p.At.UTC().Format(time.RFC3339), Publisher: p.Publisher, Contact: template.URL(p.Contact), //nolint:gosec // Check allows https: and mailto:
		Feed: feedFile(l), Badge: badgeFile(l), W: words(l),
		First: day(l, p.At.In(p.Zone).AddDate(0, 0, 1-Days)), Last: l.Pick("vandaag", "today"),
	}
	if p.Stale > 0 {
		v.Stale = l.F("Is dit meer dan %s geleden, dan is deze pagina zelf niet bijgewerkt en zegt zij niets over nu.", "If that is more than %s ago, this page itself was not brought up to date and says nothing about now.", l.Duration(p.Stale))
	}
	open, past := p.open()
	for _, i := range open {
		v.Open = append(v.Open, p.incident(l, i))
	}
	for _, i := range past {
		v.Past = append(v.Past, p.incident(l, i))
	}
	for _, w := range p.coming() {
		v.Planned = append(v.Planned, workView{ID: w.ID, Title: saying(w.Title, l), When: p.span(l, w.From, w.To), Services: p.names(l, w.Services), Now: !w.From.After(p.At)})
	}
	for _, s := range p.Services {
		x := serviceView{ID: s.ID, Name: s.Name, State: s.State, Word: stateWord(l, s.State), Strip: strip(l, s.Days), History: history(l, s.Days), Measured: saying(s.Measured, l)}
		if !s.Since.IsZero() && s.State != Up {
			x.Since = l.F("sinds %s", "since %s", p.moment(l, s.Since))
		}
		for i := len(s.Days) - 1; i >= 0; i-- {
			if d := s.Days[i]; d.Down > 0 || d.Unknown >= 5*time.Minute || d.Planned > 0 {
				x.Bad = append(x.Bad, dayWords(l, d))
			}
		}
		for _, f := range s.Figures {
			name, _ := in(f.Name, l)
			note, _ := in(f.Note, l)
			x.Figures = append(x.Figures, figureView{name, decimal(l, f.Value), note})
		}
		v.Services = append(v.Services, x)
	}
	var b bytes.Buffer
	if err := h.page.Execute(&b, v); err != nil {
		return nil, fmt.Errorf("status page of %s: %w", p.ID, err)
	}
	return b.Bytes(), nil
}

func saying(t map[phrase.Lang]string, l phrase.Lang) said {
	s, lang := in(t, l)
	if lang == l {
		lang = ""
	}
	return said{s, lang}
}

func (p *Page) names(l phrase.Lang, services []string) string {
	var names []string
	for _, s := range services {
		names = append(names, p.name(s))
	}
	return l.And(names)
}

func (p *Page) incident(l phrase.Lang, i Incident) incidentView {
	v := incidentView{ID: i.ID, Title: saying(i.Title, l), Services: p.names(l, i.Services)}
	if i.Ended.IsZero() || i.Ended.After(p.At) {
		v.When = l.F("Begonnen op %s; duurt nu %s.", "Began on %s; has lasted %s.", p.moment(l, i.Begun), rough(l, max(0, p.At.Sub(i.Begun))))
		switch {
		case i.NextBy.IsZero():
		case i.NextBy.Before(p.At):
			v.Next = l.F("Er zou uiterlijk op %s meer gezegd worden; dat is niet gebeurd.", "More was to be said by %s; that did not happen.", p.moment(l, i.NextBy))
		default:
			v.Next = l.F("Uiterlijk op %s wordt hier meer gezegd.", "More will be said here by %s.", p.moment(l, i.NextBy))
		}
	} else {
		v.When = l.F("%s; duurde %s.", "%s; lasted %s.", p.span(l, i.Begun, i.Ended), rough(l, i.Ended.Sub(i.Begun)))
	}
	for n := len(i.Updates) - 1; n >= 0; n-- {
		u := i.Updates[n]
		x := updateView{At: p.moment(l, u.At), AtTime: u.At.UTC().Format(time.RFC3339), Stage: phrase.Capital(stageWord(l, u.Stage))}
		whole := saying(u.Text, l)
		for _, par := range strings.Split(whole.Text, "\n") {
			if strings.TrimSpace(par) != "" {
				x.Text = append(x.Text, said{par, whole.Lang})
			}
		}
		v.Updates = append(v.Updates, x)
	}
	return v
}

func words(l phrase.Lang) map[string]string {
	return map[string]string{
		"now":       l.Pick("Zo was het op", "This was so on"),
		"open":      l.Pick("Wat er nu aan de hand is", "What is wrong at the moment"),
		"planned":   l.Pick("Gepland onderhoud", "Planned maintenance"),
		"underway":  l.Pick("nu bezig", "under way now"),
		"services":  l.Pick("Onderdelen", "Services"),
		"past":      l.F("Storingen van de laatste %d dagen", "Incidents of the last %d days", Days),
		"none":      l.F("In de laatste %d dagen is geen storing gemeld.", "No incident was reported in the last %d days.", Days),
		"concerns":  l.Pick("Betreft", "Concerns"),
		"days":      l.Pick("Dagen met een bijzonderheid", "Days with something to tell"),
		"measured":  l.Pick("Hoe dit gemeten wordt", "How this is measured"),
		"feed":      l.Pick("Volgen (Atom)", "Follow (Atom)"),
		"data":      l.Pick("Gegevens (JSON)", "Data (JSON)"),
		"badge":     l.Pick("Plaatje voor uw eigen pagina", "Badge for your own page"),
		"publisher": l.Pick("Deze pagina wordt uitgegeven door", "This page is published by"),
		"apart":     l.Pick("Zij staat los van de leverancier van de toepassing en blijft bestaan als die wegvalt.", "It stands apart from the supplier of the application and remains when that falls away."),
		"contact":   l.Pick("Vragen", "Questions"),
		"legend":    l.Pick("Vol: de hele dag gewerkt. Rood van onderen: storing, hoger naarmate zij langer duurde. Onderbroken: onderhoud. Leeg: niet gemeten.", "Solid: worked all day. Red from below: outage, higher the longer it lasted. Broken: maintenance. Hollow: not measured."),
	}
}
