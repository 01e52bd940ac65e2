package escrow

import "time"

// StatusPage is the public page of an arrangement: where it is found and who
// answers for it.
type StatusPage struct {
	Arrangement string
	Slug        string // part of its address
	Publisher   string // name of who answers for it
	Contact     string // mailto: or https: address, or ""
	By          string
	PublishedAt time.Time
	WithdrawnAt time.Time // zero while it is public
}

// Incident is something that is told publicly to have gone wrong.
type Incident struct {
	Arrangement string
	ID          string
	TitleNL     string
	TitleEN     string
	Components  []string
	BegunAt     time.Time
	EndedAt     time.Time // zero while it lasts
	NextBy      time.Time // when more is said at the latest; zero when nothing is promised
	By          string
}

// IncidentUpdate is what was said about an incident at one moment.
type IncidentUpdate struct {
	Arrangement string
	Incident    string
	Number      int // from 1
	Stage       string
	TextNL      string
	TextEN      string
	By          string
	At          time.Time
}
