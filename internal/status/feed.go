package status

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/internal/escrow/agreement/phrase"
)

type atomFeed struct {
	XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	Lang    string      `xml:"xml:lang,attr"`
	ID      string      `xml:"id"`
	Title   string      `xml:"title"`
	Updated string      `xml:"updated"`
	Author  atomAuthor  `xml:"author"`
	Links   []atomLink  `xml:"link"`
	Entries []atomEntry `xml:"entry"`
}

type atomAuthor struct {
	Name string `xml:"name"`
}

type atomLink struct {
	Rel  string `xml:"rel,attr"`
	Href string `xml:"href,attr"`
	Type string `xml:"type,attr,omitempty"`
}

type atomEntry struct {
	ID        string     `xml:"id"`
	Title     string     `xml:"title"`
	Published string     `xml:"published"`
	Updated   string     `xml:"updated"`
	Links     []atomLink `xml:"link"`
	Content   atomText   `xml:"content"`
}

type atomText struct {
	Type string `xml:"type,attr"`
	Text string `xml:",chardata"`
}

// Feed is the incidents and the planned maintenance as an Atom feed (RFC
// 4287), newest change first. An incident is one entry that changes: readers
// show it again when something is added to it.
func (p *Page) Feed(l phrase.Lang) ([]byte, error) {
	f := atomFeed{Lang: string(l), ID: p.urn(), Title: p.Name, Author: atomAuthor{p.Publisher},
		Links: []atomLink{{"alternate", p.link(pageFile(l, p.Lang)), "text/html"}, {"self", p.link(feedFile(l)), "application/atom+xml"}}}
	stamp := func(t time.Time) string { return t.In(p.Zone).Format(time.RFC3339) }
	type dated struct {
		at time.Time
		e  atomEntry
	}
	var list []dated
	for _, i := range p.Incidents {
		title, _ := in(i.Title, l)
		var text []string
		updated := i.Begun
		for n := len(i.Updates) - 1; n >= 0; n-- {
			u := i.Updates[n]
			said, _ := in(u.Text, l)
			text = append(text, fmt.Sprintf("%s — %s\n%s", p.moment(l, u.At), stageWord(l, u.Stage), said))
		}
		if n := len(i.Updates); n > 0 && i.Updates[n-1].At.After(updated) {
			updated = i.Updates[n-1].At
		}
		if !i.Ended.IsZero() {
			title += " (" + stageWord(l, Resolved) + ")"
			if i.Ended.After(updated) {
				updated = i.Ended
			}
		}
		list = append(list, dated{updated, atomEntry{ID: p.urn() + ":incident:" + i.ID, Title: title, Published: stamp(i.Begun), Updated: stamp(updated),
			Links: []atomLink{{"alternate", p.link(pageFile(l, p.Lang)) + "#" + i.ID, "text/html"}}, Content: atomText{"text", strings.Join(text, "\n\n")}}})
	}
	for _, w := range p.Planned {
		title, _ := in(w.Title, l)
		at := w.Announced
		if at.IsZero() {
			at = w.From
		}
		list = append(list, dated{at, atomEntry{ID: p.urn() + ":maintenance:" + w.ID, Title: l.Pick("Gepland onderhoud", "Planned maintenance") + ": " + title, Published: stamp(at), Updated: stamp(at),
			Links: []atomLink{{"alternate", p.link(pageFile(l, p.Lang)) + "#" + w.ID, "text/html"}}, Content: atomText{"text", p.span(l, w.From, w.To)}}})
	}
	slices.SortStableFunc(list, func(a, b dated) int { return b.at.Compare(a.at) })
	// A feed's date is that of its newest entry: a reader that saw no change
	// need not look again.
	updated := p.At
	if len(list) > 0 {
		updated = list[0].at
	}
	f.Updated = stamp(updated)
	for _, d := range list[:min(len(list), 100)] {
		f.Entries = append(f.Entries, d.e)
	}
	out, err := xml.MarshalIndent(f, "", " ")
	if err != nil {
		return nil, fmt.Errorf("feed of %s: %w", p.ID, err)
	}
	return append([]byte(xml.Header), append(out, '\n')...), nil
}

func (p *Page) urn() string { return "urn:holdfast:status:" + p.ID }

func (p *Page) link(file string) string {
	if p.Base == "" {
		return file
	}
	return strings.TrimSuffix(p.Base, "/") + "/" + file
}
