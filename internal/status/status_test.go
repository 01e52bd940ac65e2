package status_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement/phrase"
	"holdfast/internal/status"
)

func both(nl, en string) map[phrase.Lang]string {
	return map[phrase.Lang]string{phrase.NL: nl, phrase.EN: en}
}

func at(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return v.UTC()
}

// example is a page with one of everything.
func example(t *testing.T) *status.Page {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		t.Fatal(err)
	}
	p := &status.Page{ID: "zaaksysteem", Name: "Zaaksysteem Noord", Publisher: "Stichting Continuïteit Zaaksysteem", Contact: "mailto:status@continuiteit.example",
		Lang: phrase.NL, Zone: zone, At: at(t, "2026-11-25T10:30:00Z"), Stale: 10 * time.Minute}
	days := func(wrong map[int]status.Day) []status.Day {
		var out []status.Day
		for i := range status.Days {
			d := wrong[i]
			d.Date = p.At.In(zone).AddDate(0, 0, i+1-status.Days).Format(time.DateOnly)
			out = append(out, d)
		}
		return out
	}
	p.Services = []status.Service{
		{ID: "web", Name: "Website voor burgers", State: status.Down, Since: at(t, "2026-11-25T09:52:10Z"),
			Days:     days(map[int]status.Day{12: {Down: 44 * time.Minute}, 40: {Planned: 2 * time.Hour}, 41: {Unknown: 20 * time.Hour}, 89: {Down: 38 * time.Minute}}),
			Measured: both("Elke minuut vanaf drie plaatsen in Nederland; niet bereikbaar is een antwoord dat langer dan 10 seconden uitblijft of een fout meldt, op twee van de drie plaatsen.", "Every minute from three places in the Netherlands; not reachable is an answer that takes more than 10 seconds or says an error, at two of the three places."),
			Figures: []status.Figure{{Name: both("Oktober 2026", "October 2026"), Value: "99.98 %", Note: both("beloofd 99,9 %; 100 % gemeten", "promised 99.9 %; 100 % measured")},
				{Name: both("November tot nu", "November until now"), Value: "99.76 %", Note: both("97,6 % gemeten", "97.6 % measured")}}},
		{ID: "desk", Name: "Behandelaars", State: status.Up, Days: days(nil), Figures: []status.Figure{{Name: both("Oktober 2026", "October 2026"), Value: "100 %"}}},
		{ID: "links", Name: "Koppelingen", State: status.Maintenance, Since: at(t, "2026-11-25T10:00:00Z"), Days: days(map[int]status.Day{89: {Planned: 30 * time.Minute}})[60:]},
		{ID: "mail", Name: "Berichten", State: status.Unknown},
	}
	p.Incidents = []status.Incident{
		{ID: "2026-11-25-1", Title: both("Website niet bereikbaar", "Website not reachable"), Services: []string{"web"}, Begun: at(t, "2026-11-25T09:52:10Z"), NextBy: at(t, "2026-11-25T10:50:00Z"),
			Updates: []status.Update{{at(t, "2026-11-25T10:00:00Z"), status.Investigating, both("Wij zien sinds 10.52 uur geen antwoord.\nDe hoster is gebeld.", "There has been no answer since 10:52.\nThe host was called.")},
				{at(t, "2026-11-25T10:20:00Z"), status.Identified, map[phrase.Lang]string{phrase.NL: "Een schijf is vol. Er wordt ruimte gemaakt."}}}},
		{ID: "2026-09-09-1", Title: both("Traag door een zoekindex", "Slow because of a search index"), Services: []string{"web", "desk"}, Begun: at(t, "2026-09-09T07:00:00Z"), Ended: at(t, "2026-09-09T07:44:00Z"),
			Updates: []status.Update{{at(t, "2026-09-09T07:50:00Z"), status.Resolved, both("De index is opnieuw gemaakt.", "The index was rebuilt.")}}},
		{ID: "old", Title: both("Te oud", "Too old"), Begun: at(t, "2026-01-01T07:00:00Z"), Ended: at(t, "2026-01-01T08:00:00Z")},
	}
	p.Planned = []status.Work{
		{ID: "m-2", Title: both("Nieuwe databankversie", "New version of the database"), Services: []string{"web", "desk"}, From: at(t, "2026-12-05T21:00:00Z"), To: at(t, "2026-12-06T01:00:00Z"), Announced: at(t, "2026-11-20T09:00:00Z")},
		{ID: "m-1", Title: both("Koppelingen vernieuwd", "Connections renewed"), Services: []string{"links"}, From: at(t, "2026-11-25T10:00:00Z"), To: at(t, "2026-11-25T11:00:00Z"), Announced: at(t, "2026-11-18T09:00:00Z")},
		{ID: "m-0", Title: both("Voorbij", "Over"), Services: []string{"links"}, From: at(t, "2026-11-20T10:00:00Z"), To: at(t, "2026-11-20T11:00:00Z")},
	}
	return p
}

func pages(t *testing.T) *status.Pages {
	t.Helper()
	h, err := status.New()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func files(t *testing.T, p *status.Page) map[string]string {
	t.Helper()
	list, err := pages(t).Files(p)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range list {
		out[f.Name] = string(f.Data)
	}
	return out
}

func TestFiles(t *testing.T) {
	got := files(t, example(t))
	if dir := os.Getenv("HOLDFAST_TEST_STATUS_OUT"); dir != "" { // to look at
		for name, data := range got {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, want := range map[string][]string{
		"index.html": {`<html lang="nl">`, "Website voor burgers", "werkt niet", "Één van de vier onderdelen werkt niet", "Uiterlijk op 25\u00a0november\u00a02026, 11:50 uur (CET) wordt hier meer gezegd", "99,98 %",
			"11:00 tot 12:00 uur (CET)", "5\u00a0december\u00a02026, 22:00 uur (CET) tot 6\u00a0december\u00a02026, 02:00 uur (CET)", "De hoster is gebeld.", "Stichting Continuïteit"},
		"en.html":     {`<html lang="en">`, "not working", "More will be said here by", "99.98 %", `<span lang="nl">Een schijf is vol.`},
		"status.json": {`"format": "holdfast-status/v1"`, `"down_seconds": 2640`, `"state": "down"`},
	} {
		for _, s := range want {
			if !strings.Contains(got[name], s) {
				t.Errorf("%s lacks %q", name, s)
			}
		}
	}
	for name, data := range got {
		if strings.Contains(data, "Te oud") && name != "feed-nl.atom" || strings.Contains(data, "Voorbij") && name == "index.html" {
			t.Errorf("%s shows what is past", name)
		}
		if strings.HasSuffix(name, ".atom") || strings.HasSuffix(name, ".svg") {
			wellFormed(t, name, data)
		}
		for _, word := range []string{"<script", "http://", "style=", "onload"} {
			if strings.Contains(strings.ReplaceAll(data, "http://www.w3.org/", ""), word) {
				t.Errorf("%s contains %s", name, word)
			}
		}
	}
	if again := files(t, example(t)); !cmp.Equal(got, again) {
		t.Error("the same page gives other bytes")
	}
}

func wellFormed(t *testing.T, name, data string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(data))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
	}
}

// TestStyleIsTheOneAllowed: a browser that keeps to the policy shows the page
// as it was made.
func TestStyleIsTheOneAllowed(t *testing.T) {
	page := files(t, example(t))["index.html"]
	_, rest, _ := strings.Cut(page, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	if want := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(pages(t).CSP(), want) {
		t.Errorf("the policy %s does not allow the page's style %s", pages(t).CSP(), want)
	}
}

// TestNothingEscapes: text that would be markup anywhere is text everywhere.
func TestNothingEscapes(t *testing.T) {
	p := example(t)
	evil := `"><script>alert(1)</script><!--'&`
	p.Name, p.Publisher = evil, evil
	p.Services[0].Name, p.Services[0].Measured = evil, both(evil, evil)
	p.Services[0].Figures[0] = status.Figure{Name: both(evil, evil), Value: evil, Note: both(evil, evil)}
	p.Incidents[0].Title = both(evil, evil)
	p.Incidents[0].Updates[0].Text = both(evil, evil)
	p.Planned[0].Title = both(evil, evil)
	for name, data := range files(t, p) {
		if name == status.DataFile {
			if strings.Contains(data, "<script") {
				t.Errorf("%s could be taken for a page", name)
			}
			continue
		}
		if strings.Contains(data, "<script") || strings.Contains(data, "<!--") {
			t.Errorf("%s: markup got through", name)
		}
		if !strings.HasSuffix(name, ".html") {
			wellFormed(t, name, data)
		}
	}
}

func TestDataComesBack(t *testing.T) {
	p := example(t)
	data, err := p.Data()
	if err != nil {
		t.Fatal(err)
	}
	back, err := status.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	again, err := back.Data()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, again) {
		t.Error(cmp.Diff(string(data), string(again)))
	}
	// What another host makes of the data is what is served here, but for what
	// is older than the history: that is in the feed only.
	p.Incidents = p.Incidents[:2]
	p.Planned = p.Planned[:2]
	if diff := cmp.Diff(files(t, p)["index.html"], files(t, back)["index.html"]); diff != "" {
		t.Error(diff)
	}
}

// TestRefused: what cannot be is refused, and the message says where.
func TestRefused(t *testing.T) {
	for want, spoil := range map[string]func(p *status.Page){
		"id:":                               func(p *status.Page) { p.ID = "../x" },
		"name: it is empty":                 func(p *status.Page) { p.Name = " " },
		"name: it has characters":           func(p *status.Page) { p.Name = "a\r\nSet-Cookie: x" },
		"publisher: it has characters":      func(p *status.Page) { p.Publisher = "a\u202eb" },
		"contact:":                          func(p *status.Page) { p.Contact = "javascript:alert(1)" },
		"base:":                             func(p *status.Page) { p.Base = "file:///etc" },
		"page: 1 to":                        func(p *status.Page) { p.Services = nil },
		"page: it needs":                    func(p *status.Page) { p.Zone = nil },
		"service desk: its id":              func(p *status.Page) { p.Services[0].ID = "desk" },
		"service web: \"fine\"":             func(p *status.Page) { p.Services[0].State = "fine" },
		"service web: days must":            func(p *status.Page) { p.Services[0].Days[1].Date = p.Services[0].Days[0].Date },
		"service web: more of":              func(p *status.Page) { p.Services[0].Days[1].Down = 26 * time.Hour },
		"incident 2026-11-25-1: it must":    func(p *status.Page) { p.Incidents[0].Ended = p.Incidents[0].Begun.Add(-1) },
		"incident 2026-11-25-1: title":      func(p *status.Page) { p.Incidents[0].Title = nil },
		"incident 2026-11-25-1: update 2":   func(p *status.Page) { p.Incidents[0].Updates[1].At = at(t, "2026-11-25T09:00:00Z") },
		"incident 2026-11-25-1: there is":   func(p *status.Page) { p.Incidents[0].Services = []string{"nothing"} },
		"maintenance m-2: it must end":      func(p *status.Page) { p.Planned[0].To = p.Planned[0].From },
		"maintenance m-2: title: there is":  func(p *status.Page) { p.Planned[0].Title = map[phrase.Lang]string{"fr": "x"} },
		"maintenance 2026-11-25-1: its id ": func(p *status.Page) { p.Planned[0].ID = "2026-11-25-1" },
	} {
		p := example(t)
		spoil(p)
		_, err := pages(t).Files(p)
		if escrow.CodeOf(err) != escrow.Invalid || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestParseRefuses: data that is not exactly a page's is refused.
func TestParseRefuses(t *testing.T) {
	good, err := example(t).Data()
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{
		"nothing":         "",
		"two":             string(good) + "{}",
		"unknown field":   strings.Replace(string(good), `"format"`, `"secret": "x", "format"`, 1),
		"other format":    strings.Replace(string(good), "holdfast-status/v1", "holdfast-status/v2", 1),
		"a zone of disks": strings.Replace(string(good), "Europe/Amsterdam", "../../etc/passwd", 1),
		"its own zone":    strings.Replace(string(good), "Europe/Amsterdam", "Local", 1),
		"better state":    strings.Replace(string(good), `"state": "down"`, `"state": "up"`, 1),
		"negative":        strings.Replace(string(good), `"down_seconds": 2640`, `"down_seconds": -1`, 1),
		"too large":       strings.Repeat(" ", status.MaxData+1),
	} {
		if _, err := status.Parse([]byte(data)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// TestOverall: the page's headline is never better than its worst service.
func TestOverall(t *testing.T) {
	p := example(t)
	for _, c := range []struct {
		states string
		want   status.State
		nl, en string
	}{
		{"up up up up", status.Up, "Alles werkt", "Everything works"},
		{"up maintenance up up", status.Maintenance, "Gepland onderhoud is bezig", "Planned maintenance is under way"},
		{"unknown maintenance up up", status.Unknown, "Van een deel is nu niet bekend", "Of some services it is not known"},
		{"unknown unknown unknown unknown", status.Unknown, "Of het werkt is nu niet bekend", "Whether it works is not known"},
		{"down unknown up up", status.Down, "Één van de vier onderdelen werkt niet", "One of the four services does not work"},
		{"down down up up", status.Down, "Twee van de vier onderdelen werken niet", "Two of the four services do not work"},
		{"down down down down", status.Down, "Het werkt niet", "It does not work"},
	} {
		for i, s := range strings.Fields(c.states) {
			p.Services[i].State = status.State(s)
		}
		if got := p.Overall(); got != c.want {
			t.Errorf("%s: %s", c.states, got)
		}
		f := files(t, p)
		if !strings.Contains(f["index.html"], "<h1>"+c.nl) || !strings.Contains(f["en.html"], "<h1>"+c.en) {
			t.Errorf("%s: headline is another", c.states)
		}
	}
}

func FuzzParse(f *testing.F) {
	good, err := example(&testing.T{}).Data()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"format":"holdfast-status/v1"}`))
	h, err := status.New()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := status.Parse(data)
		if err != nil {
			return
		}
		out, err := h.Files(p) // what is taken can be shown
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range out {
			if strings.HasSuffix(file.Name, ".atom") || strings.HasSuffix(file.Name, ".svg") {
				wellFormed(t, file.Name, string(file.Data))
			}
		}
	})
}
