package escrow

import "time"

// WatchTarget is something whose working is measured from outside.
type WatchTarget struct {
	Arrangement string
	ID          string
	Component   string // of the agreement, whose service levels it is measured for
	Party       string // the customer whose own it is; "" for all
	Kind        string // as package probe names them
	Every       time.Duration
	Shown       []byte // what may be shown of the target: JSON of package probe without secrets
	Sealed      []byte // the whole of it, sealed to the server; empty once removed
	SetBy       string
	SetAt       time.Time
	RemovedAt   time.Time // zero while it is watched
}

// WatchStretch is what one place saw of one target within an hour, or within a
// day once hours are put together.
type WatchStretch struct {
	Arrangement string
	Place       string
	From, To    time.Time
	Target      string
	States      []byte // JSON array of intervals of package sla
	Checks      int64
	Failed      int64
	Sketch      []byte // of response times; empty when nothing answered
}

// WatchChange is a state that began: with the raw evidence of the check that
// saw it.
type WatchChange struct {
	Arrangement string
	Target      string
	Place       string
	At          time.Time
	Was, Is     string
	Reason      string
	Evidence    []byte
}

// WatchNow is how far watching a target from a place has come. It is kept from
// time to time so that a new process goes on where the old one was; the ledger
// records the stretches made of it.
type WatchNow struct {
	WatchStretch        // of the hour that is not over, To is zero
	State        string // the newest check saw
	Since        time.Time
	Last         time.Time // the newest check
	Reason       string
	Note         string
}

// WatchBeat is the newest report of a target that reports by itself.
type WatchBeat struct {
	Arrangement string
	Target      string
	At          time.Time
	Failed      bool
	Note        string
}
