package term

import (
	"fmt"
	"time"
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
	i := r.Item
	day := r.Date.In(zone).AddDate(0, 0, -1)
	if r.Kind == "term.arrears" {
		day = r.Date.In(zone)
	}
	if lang == "nl" {
		on := day.Format("02-01-2006")
		switch r.Kind {
		case "term.closing":
			return fmt.Sprintf("Deel %s wordt verlengd als niemand uiterlijk %s opzegt", i.Part, on)
		case "term.ending":
			return fmt.Sprintf("Deel %s eindigt op %s en wordt niet verlengd", i.Part, on)
		case "term.ended":
			if i.Kind == "authority" {
				return fmt.Sprintf("Bevoegdheid %s is op %s geëindigd: wie het betreft kan niet meer tekenen of goedkeuren", i.ID, on)
			}
			return fmt.Sprintf("Deel %s is op %s geëindigd: er is geen plicht tot deponeren meer en geen recht op vrijgave; wat er ligt, blijft tot het is vernietigd", i.Part, on)
		case "term.overdue":
			return fmt.Sprintf("%s had uiterlijk %s vernieuwd moeten zijn", i.ID, on)
		case "term.arrears":
			s := fmt.Sprintf("%s is niet betaald (vastgelegd op %s)", i.ID, on)
			if i.MayCure {
				s += "; een begunstigde mag betalen in plaats van de betaler"
			}
			if !i.MaySuspend {
				s += "; er wordt niets opgeschort"
			}
			return s
		}
		return fmt.Sprintf("%s loopt af op %s", i.ID, on)
	}
	on := day.Format("2 January 2006")
	switch r.Kind {
	case "term.closing":
		return fmt.Sprintf("Part %s goes on unless somebody gives notice by %s", i.Part, on)
	case "term.ending":
		return fmt.Sprintf("Part %s ends on %s and does not go on", i.Part, on)
	case "term.ended":
		if i.Kind == "authority" {
			return fmt.Sprintf("Authority %s ended on %s: whom it is about can no longer sign or approve", i.ID, on)
		}
		return fmt.Sprintf("Part %s ended on %s: there is no duty to deposit and no right to a release any more; what is held stays until it is destroyed", i.Part, on)
	case "term.overdue":
		return fmt.Sprintf("%s was to be renewed by %s", i.ID, on)
	case "term.arrears":
		s := fmt.Sprintf("%s was not paid (recorded on %s)", i.ID, on)
		if i.MayCure {
			s += "; a beneficiary may pay in the payer's place"
		}
		if !i.MaySuspend {
			s += "; nothing is suspended"
		}
		return s
	}
	return fmt.Sprintf("%s runs out on %s", i.ID, on)
}
