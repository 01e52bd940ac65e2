package notice

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"holdfast/internal/escrow"
)

// sheetOf writes a letter: like a mail it carries the one line of the notice
// and where to read on, and no content of any part.
func sheetOf(n escrow.Notice, reach Reach, book []entry, person string) Sheet {
	party := cmp.Or(reach.Names[n.Audience], n.Audience)
	s := Sheet{Lang: reach.Language, To: []string{party}, Subject: n.Subject, Reference: n.ID}
	for _, e := range book {
		if (person == "" || e.Person == person) && (e.Channel == escrow.Letter || e.Channel == escrow.RegisteredLetter) {
			s.To, s.Lang = strings.Split(e.Address, "\n"), cmp.Or(e.Language, s.Lang)
			break
		}
	}
	for id, role := range reach.Roles {
		if role == escrow.Agent && (s.From == "" || reach.Names[id] < s.From) {
			s.From = reach.Names[id]
		}
	}
	zone := cmp.Or(reach.Zone, time.UTC)
	made := n.MadeAt.In(zone)
	if s.Lang == "nl" {
		s.Date = made.Format("02-01-2006")
		s.Body = []string{"Geachte heer, mevrouw,", fmt.Sprintf("In de regeling %s hebben wij u het volgende te melden: %s.", reach.Title, n.Subject)}
		if !n.DueAt.IsZero() {
			s.Body = append(s.Body, fmt.Sprintf("De termijn is %s.", n.DueAt.In(zone).Format("02-01-2006 15:04 MST")))
		}
		s.Body = append(s.Body, "De volledige melding staat voor u klaar in Holdfast. Noem bij contact het kenmerk van deze brief. Deze brief bevat met opzet geen inhoud van de overeenkomst.", "Met vriendelijke groet,", s.From)
		return s
	}
	s.Date = made.Format("2 January 2006")
	s.Body = []string{"Dear Sir or Madam,", fmt.Sprintf("In the arrangement %s we have to tell you the following: %s.", reach.Title, n.Subject)}
	if !n.DueAt.IsZero() {
		s.Body = append(s.Body, fmt.Sprintf("It is due on %s.", n.DueAt.In(zone).Format("2 January 2006 15:04 MST")))
	}
	s.Body = append(s.Body, "The full notice is ready for you in Holdfast. Please quote the reference of this letter. On purpose this letter holds nothing of the agreement's content.", "Yours faithfully,", s.From)
	return s
}
