package notice

import (
	"cmp"
	"fmt"
	"html/template"
	"strings"
	"time"

	"holdfast/internal/escrow"
)

// words are the fixed texts of messages in one language.
type words struct {
	Reminder, Second string // before the subject
	WhySecond        string
	Until, About     string
	Read, NoLink     string
	Foot, NoContent  string
	Layout           string // of times
}

func wordsIn(lang string) words {
	if lang == "nl" {
		return words{
			Reminder: "Herinnering: ", Second: "Ter attentie: ",
			WhySecond: "U krijgt dit bericht omdat de eerste contactpersoon van %s niet is bereikt of het bericht niet heeft gelezen.",
			Until:     "Termijn: %s", About: "Regeling: %s",
			Read:      "Open het bericht en bevestig dat u het hebt gelezen:",
			NoLink:    "Meld u aan bij Holdfast en lees het bericht daar (holdfast notices).",
			Foot:      "U ontvangt dit bericht als contactpersoon van %s.",
			NoContent: "Dit bericht bevat met opzet geen inhoud van de overeenkomst en vraagt nooit om een wachtwoord of sleutel.",
			Layout:    "02-01-2006 15:04 MST",
		}
	}
	return words{
		Reminder: "Reminder: ", Second: "For your attention: ",
		WhySecond: "You receive this message because the first contact of %s was not reached or has not read it.",
		Until:     "Due: %s", About: "Arrangement: %s",
		Read:      "Open the message and confirm that you have read it:",
		NoLink:    "Sign in to Holdfast and read the message there (holdfast notices).",
		Foot:      "You receive this message as a contact of %s.",
		NoContent: "On purpose this message holds nothing of the agreement's content, and it never asks for a password or a key.",
		Layout:    "2 January 2006 15:04 MST",
	}
}

// page is a message before it is set as text and HTML.
type page struct {
	Lang, Subject, Why, Due, About, Read, Link, Foot, NoContent string
}

// letterOf puts the words of a message together. It holds the one line of the
// notice and no content of any part: mail is read by more eyes than the
// agreement.
func letterOf(n escrow.Notice, d escrow.Delivery, name string, reach Reach, lang, link string) page {
	w := wordsIn(lang)
	party := cmp.Or(reach.Names[n.Audience], n.Audience)
	p := page{Lang: cmp.Or(lang, "en"), Subject: n.Subject, About: fmt.Sprintf(w.About, reach.Title), Read: w.Read, Link: link,
		Foot: fmt.Sprintf(w.Foot, party), NoContent: w.NoContent}
	if link == "" {
		p.Read = w.NoLink
	}
	if !n.DueAt.IsZero() {
		p.Due = fmt.Sprintf(w.Until, n.DueAt.In(cmp.Or(reach.Zone, time.UTC)).Format(w.Layout))
	}
	switch d.Reason {
	case "reminder":
		p.Subject = w.Reminder + p.Subject
	case "second":
		p.Subject, p.Why = w.Second+p.Subject, fmt.Sprintf(w.WhySecond, party)
	}
	return p
}

// maxSubject bounds a subject line.
const maxSubject = 300

// into sets the page as a mail. A name or subject that could begin another
// header is refused, not repaired.
func (p page) into(m *Message) error {
	for _, line := range []struct{ what, text string }{{"the subject", p.Subject}, {"the name of the contact", m.Name}, {"the title of the arrangement", p.About}, {"the name of the party", p.Foot}} {
		if err := escrow.OneLine(line.what, line.text, maxSubject); err != nil {
			return err
		}
	}
	m.Subject = p.Subject
	var text strings.Builder
	for _, paragraph := range []string{p.Subject + ".", p.Why, lines(p.Due, p.About), lines(p.Read, p.Link), "-- \n" + p.Foot + "\n" + p.NoContent} {
		if paragraph != "" {
			text.WriteString(paragraph + "\n\n")
		}
	}
	m.Text = strings.TrimRight(text.String(), "\n") + "\n"
	t, err := template.New("mail").Parse(mailHTML)
	if err != nil {
		return err
	}
	var html strings.Builder
	if err := t.Execute(&html, p); err != nil {
		return err
	}
	m.HTML = html.String()
	return nil
}

func lines(list ...string) string {
	var out []string
	for _, s := range list {
		if s != "" {
			out = append(out, s)
		}
	}
	return strings.Join(out, "\n")
}

// mailHTML loads nothing from anywhere.
const mailHTML = `<!doctype html>
<html lang="{{.Lang}}"><head><meta charset="utf-8"><title>{{.Subject}}</title></head>
<body style="margin:0;padding:24px;background:#f4f4f2;font-family:Georgia,serif;color:#1b1b1b">
<div style="max-width:560px;margin:0 auto;background:#fff;border:1px solid #d8d8d4;padding:28px 32px">
<h1 style="font-size:20px;line-height:1.35;margin:0 0 16px">{{.Subject}}</h1>
{{with .Why}}<p style="margin:0 0 16px;line-height:1.5">{{.}}</p>{{end}}
<p style="margin:0 0 20px;line-height:1.5">{{with .Due}}<strong>{{.}}</strong><br>{{end}}{{.About}}</p>
<p style="margin:0 0 24px;line-height:1.5">{{.Read}}{{if .Link}}<br><a href="{{.Link}}" style="color:#14507a;word-break:break-all">{{.Link}}</a>{{end}}</p>
<p style="margin:0;padding-top:16px;border-top:1px solid #d8d8d4;font-size:13px;line-height:1.5;color:#555">{{.Foot}}<br>{{.NoContent}}</p>
</div></body></html>
`

func unreached(lang, party, notice string) string {
	if lang == "nl" {
		return fmt.Sprintf("%s is niet bereikt met bericht %s en heeft geen tweede contactpersoon: bel of schrijf", party, notice)
	}
	return fmt.Sprintf("%s was not reached with notice %s and has no second contact: call or write", party, notice)
}

func channelChanged(lang, person string, c escrow.Channel) string {
	if lang == "nl" {
		return fmt.Sprintf("Het adres waarop %s berichten krijgt (%s) is gewijzigd", person, c)
	}
	return fmt.Sprintf("The address at which %s is told (%s) was changed", person, c)
}
