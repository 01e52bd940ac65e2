package escrow

import "time"

// Location is a place where sealed objects are kept: a directory or a bucket.
type Location struct {
	ID          string
	Kind        string // "file" or "s3"
	Place       string // where it is, for people; never a credential
	Arrangement string // "" for all; otherwise it gets the objects of this one only
	Counts      bool   // whether a copy here counts towards the write quorum
	State       LocationState
	AddedAt     time.Time
	ChangedAt   time.Time // of the state or the place
}

// LocationState says what a location is used for.
type LocationState string

// The states of a location.
const (
	LocationActive   LocationState = "active"   // written and read
	LocationDraining LocationState = "draining" // read, and copied from, until nothing needs it
	LocationRetired  LocationState = "retired"  // not used any more
)

// LocationUse counts what is at a location, as far as is known.
type LocationUse struct {
	Held, HeldBytes int64
	Due, DueBytes   int64     // should be there and is not yet
	DueSince        time.Time // of the oldest; zero if nothing is due
	Damaged         int64     // copies that are not the object
	Missing         int64     // copies that were there and are not
	Alone           int64     // objects of which no other active location has a good copy
}

// StoredObject is what is remembered of an object apart from its bytes.
type StoredObject struct {
	Name string
	Size int64
	Key  []byte // of the tags; a location never learns it
	Tags []byte // of its blocks, see blob/replica; empty where they are not known yet
}

// ObjectOrigin says for whom an object is stored.
type ObjectOrigin struct {
	Arrangement string // "" for the installation's own
	Party       string // whose quota an unused upload counts against; "" for the server
}

// Copy is one object at one location, or on its way there.
type Copy struct {
	Location string
	State    CopyState
}

// CopyState says what is known of a copy.
type CopyState string

// The states of a copy.
const (
	CopyDue     CopyState = "due"     // should be there and is not yet
	CopyHeld    CopyState = "held"    // is there, as far as anybody has looked
	CopyDamaged CopyState = "damaged" // is there, and is not the object
	CopyMissing CopyState = "missing" // was there, and is not
)

// CopyTask is a copy that is to be made.
type CopyTask struct {
	StoredObject
	Location string
	State    CopyState // why: due, damaged or missing
	Attempts int       // that failed
}

// CopyResult is what became of a copy.
type CopyResult struct {
	Location string
	State    CopyState
	Reason   string        // why it is not held
	Retry    time.Duration // when to try again; it grows with each failure
}

// LocationStatus is a location with what is there and how it does.
type LocationStatus struct {
	Location
	Use     LocationUse
	Scrub   ScrubPass
	Away    bool          // it does not work at the moment, as one process sees it
	Error   string        // why
	Since   time.Time     // since when
	Latency time.Duration // of reads lately
}

// ScrubPass is one reading of everything at a location.
type ScrubPass struct {
	Location   string
	StartedAt  time.Time
	Position   string // the latest object that was read
	Objects    int64  // read so far
	Bytes      int64
	Damaged    int64 // found so far
	Missing    int64
	Healed     int64
	Total      int64 // to read, as it was at the start
	TotalBytes int64
	Urgent     bool      // somebody waits for it: at full speed
	FinishedAt time.Time // zero while it runs
}

// Unhealed counts what was found and could not be put right.
func (p ScrubPass) Unhealed() int64 { return p.Damaged + p.Missing - p.Healed }

// LocatedCopy is a copy at one location with its object.
type LocatedCopy struct {
	Name  string
	Size  int64
	State CopyState
}

// ObjectHit is what refers to an object.
type ObjectHit struct {
	Arrangement string
	Module      string
	Deposit     int    // 0 for something else
	What        string // what else it is, such as "state"
}

// GoingObject is an object that is being removed from every location.
type GoingObject struct {
	Name  string
	Size  int64
	Cause string
}

// Why an object is removed.
const (
	CauseUnused    = "unused"    // uploaded or made, and nothing refers to it
	CauseDestroyed = "destroyed" // of a deposit that was destroyed
)
