package status

import (
	"strings"
	"time"

	"holdfast/internal/escrow/agreement/phrase"
	"holdfast/internal/escrow/agreement/quantity"
)

func stateWord(l phrase.Lang, s State) string {
	switch s {
	case Up:
		return l.Pick("werkt", "working")
	case Maintenance:
		return l.Pick("in onderhoud", "under maintenance")
	case Down:
		return l.Pick("werkt niet", "not working")
	}
	return l.Pick("onbekend", "unknown")
}

// overallWord answers the question people come with, in one sentence.
func overallWord(l phrase.Lang, p *Page) string {
	bad, state := 0, p.Overall()
	for _, s := range p.Services {
		if s.State == state {
			bad++
		}
	}
	all := bad == len(p.Services)
	switch state {
	case Up:
		return l.Pick("Alles werkt", "Everything works")
	case Maintenance:
		return l.Pick("Gepland onderhoud is bezig", "Planned maintenance is under way")
	case Down:
		if all {
			return l.Pick("Het werkt niet", "It does not work")
		}
		of := phrase.Capital(l.Of(bad, len(p.Services)))
		if bad == 1 {
			return l.F("%s onderdelen werkt niet", "%s services does not work", of)
		}
		return l.F("%s onderdelen werken niet", "%s services do not work", of)
	}
	if all {
		return l.Pick("Of het werkt is nu niet bekend", "Whether it works is not known at the moment")
	}
	return l.Pick("Van een deel is nu niet bekend of het werkt", "Of some services it is not known at the moment whether they work")
}

func stageWord(l phrase.Lang, s Stage) string {
	switch s {
	case Investigating:
		return l.Pick("wordt onderzocht", "investigating")
	case Identified:
		return l.Pick("oorzaak gevonden", "cause found")
	case Monitoring:
		return l.Pick("verholpen, wordt gevolgd", "mended, being watched")
	}
	return l.Pick("opgelost", "resolved")
}

func day(l phrase.Lang, t time.Time) string {
	return l.Date(quantity.Date(t.Format(time.DateOnly)))
}

// moment says a time with its zone, since readers sit in others.
func (p *Page) moment(l phrase.Lang, t time.Time) string {
	t = t.In(p.Zone)
	return l.F("%s, %s uur (%s)", "%s, %s (%s)", day(l, t), t.Format("15:04"), t.Format("MST"))
}

// span says from when until when, the day once if it is one.
func (p *Page) span(l phrase.Lang, from, to time.Time) string {
	from, to = from.In(p.Zone), to.In(p.Zone)
	if from.Format(time.DateOnly) == to.Format(time.DateOnly) {
		return l.F("%s, %s tot %s uur (%s)", "%s, %s to %s (%s)", day(l, from), from.Format("15:04"), to.Format("15:04"), to.Format("MST"))
	}
	return l.F("%s tot %s", "%s to %s", p.moment(l, from), p.moment(l, to))
}

// rough is a length as people say it: to the minute, and to the second below
// one.
func rough(l phrase.Lang, d time.Duration) string {
	if d >= time.Minute {
		d = d.Truncate(time.Minute)
	}
	if d >= 48*time.Hour {
		d = d.Truncate(24 * time.Hour)
	}
	return l.Duration(d)
}

// dayWords says what a day of the history was like.
func dayWords(l phrase.Lang, d Day) string {
	date := l.Date(quantity.Date(d.Date))
	var parts []string
	if d.Down > 0 {
		parts = append(parts, l.F("%s niet beschikbaar", "not available for %s", rough(l, d.Down)))
	}
	if d.Planned > 0 {
		parts = append(parts, l.F("%s gepland onderhoud", "%s of planned maintenance", rough(l, d.Planned)))
	}
	if d.Unknown > 0 {
		parts = append(parts, l.F("%s niet gemeten", "not measured for %s", rough(l, d.Unknown)))
	}
	if len(parts) == 0 {
		parts = append(parts, l.Pick("geen storing", "no outage"))
	}
	return date + ": " + l.And(parts)
}

// decimal writes a figure the way the language does.
func decimal(l phrase.Lang, s string) string {
	if l == phrase.NL {
		return strings.Replace(s, ".", ",", 1)
	}
	return s
}

// history says in a sentence what the strip shows, for who cannot see it.
func history(l phrase.Lang, days []Day) string {
	var down, unknown time.Duration
	bad := 0
	for _, d := range days {
		if d.Down > 0 {
			bad++
		}
		down += d.Down
		unknown += d.Unknown
	}
	if len(days) == 0 {
		return l.Pick("Er is nog niets gemeten.", "Nothing has been measured yet.")
	}
	text := l.F("In %[1]d dagen geen storing.", "No outage in %[1]d days.", len(days))
	if bad > 0 {
		text = l.F("In %[1]d dagen op %[2]d dagen een storing, samen %[3]s.", "Outages on %[2]d of %[1]d days, %[3]s in all.", len(days), bad, rough(l, down))
		if bad == 1 {
			text = l.F("In %[1]d dagen op 1 dag een storing, %[2]s.", "An outage on 1 of %[1]d days, %[2]s.", len(days), rough(l, down))
		}
	}
	if unknown > 0 {
		text += " " + l.F("Niet gemeten: %s.", "Not measured: %s.", rough(l, unknown))
	}
	return text
}
