package escrow

import "time"

// Notice is something a party is to be told. It is a row of its own, so that
// whatever sends it later sends it once and knows when it was made.
type Notice struct {
	Arrangement string
	ID          string
	Audience    string // party
	Kind        string // such as "duty.reminder"
	Module      string // "" when it is about no module
	Subject     string // one line, in the language of the agreement
	DueAt       time.Time
	MadeAt      time.Time
}

// Decision is what an agent said about a deposit that was taken in.
type Decision struct {
	Arrangement string
	Module      string
	Deposit     int
	Refused     bool
	Level       int      // verification level that it was found to have, 0 when refused
	Defects     []string // what is wrong, and where
	Party       string
	Person      string
	Note        string
	DecidedAt   time.Time
}

// SoftwareRelease is a new version of the software that was announced.
type SoftwareRelease struct {
	Arrangement string
	Module      string
	Version     string
	Party       string
	Person      string
	AnnouncedAt time.Time
}

// DutyStep is a step of the ladder that was taken.
type DutyStep struct {
	Arrangement string
	Module      string
	After       int // number of the last deposit that counted when it was taken
	Step        string
	EnteredAt   time.Time // when it fell due
	TakenAt     time.Time
}

// PlatformGap is a time in which the platform was off, or its clock stood
// wrong. No deadline runs in it.
type PlatformGap struct {
	From, To time.Time
	Reason   string
}
