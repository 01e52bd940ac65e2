package term

import (
	"fmt"
	"time"

	"holdfast/internal/escrow/agreement/phrase"
)

// Reminder is what the owners of a promise are told.
type Reminder struct {
	Item Item
	Kind string    // of the notice
	Key  string    // the same for the same reminder, so that it is told once
	To   []string  // parties
	Date time.Time // what it is about
}

// Reminders lists what somebody is to be told at a moment. Of several lead
// times that have passed only the last counts: who comes late is told once.
func Reminders(list []Item, now time.Time) []Reminder {
	var out []Reminder
	for _, i := range list {
		date, kind := i.Date, "term.due"
		to := i.Owners
		switch i.State {
		case Closing:
			date, kind = i.Notice, "term.closing"
		case Ending:
			kind = "term.ending"
		case Ended:
			kind, to = "term.ended", i.Seen
		case Arrears:
			kind = "term.arrears"
			if i.MayCure {
				to = i.Seen // those who may pay have to know
			}
		case Due:
		case Overdue:
			kind = "term.overdue"
		default:
			continue
		}
		key := fmt.Sprintf("%s/%s/%s", kind, i.ID, date.UTC().Format(time.DateOnly))
		switch kind {
		case "term.due", "term.closing", "term.ending":
			passed := -1
			for _, days := range leads() {
				if !now.Before(date.AddDate(0, 0, -days)) {
					passed = days
				}
			}
			if passed < 0 {
				continue
			}
			key += fmt.Sprintf("/%d", passed)
		case "term.arrears":
			key += date.UTC().Format(time.RFC3339)
		}
		out = append(out, Reminder{Item: i, Kind: kind, Key: key, To: to, Date: date})
	}
	return out
}

// Subject is the one line of a reminder.
func Subject(r Reminder, zone *time.Location, lang string) string {
	l, i := phrase.Lang(lang), r.Item
	day := r.Date.In(zone).AddDate(0, 0, -1)
	if r.Kind == "term.arrears" {
		day = r.Date.In(zone)
	}
	on := day.Format(l.Pick("02-01-2006", "2 January 2006"))
	switch r.Kind {
	case "term.closing":
		return l.F("Deel %s wordt verlengd als niemand uiterlijk %s opzegt", "Part %s goes on unless somebody gives notice by %s", i.Part, on)
	case "term.ending":
		return l.F("Deel %s eindigt op %s en wordt niet verlengd", "Part %s ends on %s and does not go on", i.Part, on)
	case "term.ended":
		if i.Kind == "authority" {
			return l.F("Bevoegdheid %s is op %s geëindigd: wie het betreft kan niet meer tekenen of goedkeuren", "Authority %s ended on %s: whom it is about can no longer sign or approve", i.ID, on)
		}
		return l.F("Deel %s is op %s geëindigd: er is geen plicht tot deponeren meer en geen recht op vrijgave; wat er ligt, blijft tot het is vernietigd",
			"Part %s ended on %s: there is no duty to deposit and no right to a release any more; what is held stays until it is destroyed", i.Part, on)
	case "term.overdue":
		return l.F("%s had uiterlijk %s vernieuwd moeten zijn", "%s was to be renewed by %s", i.ID, on)
	case "term.arrears":
		s := l.F("%s is niet betaald (vastgelegd op %s)", "%s was not paid (recorded on %s)", i.ID, on)
		if i.MayCure {
			s += l.Pick("; een begunstigde mag betalen in plaats van de betaler", "; a beneficiary may pay in the payer's place")
		}
		if !i.MaySuspend {
			s += l.Pick("; er wordt niets opgeschort", "; nothing is suspended")
		}
		return s
	}
	return l.F("%s loopt af op %s", "%s runs out on %s", i.ID, on)
}
