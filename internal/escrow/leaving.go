package escrow

import (
	"slices"
	"time"
)

// LeavingState is where a beneficiary's leaving stands.
type LeavingState string

// The states. Noticed: it gave notice, and takes part until the notice has run.
// Withdrawn: it took the notice back. Ended: it is no longer a party, its keys
// have ended and its tokens are revoked; what was deposited for it is still
// there. Certified: nothing of it is held any more.
const (
	LeavingNoticed   LeavingState = "noticed"
	LeavingWithdrawn LeavingState = "withdrawn"
	LeavingEnded     LeavingState = "ended"
	LeavingCertified LeavingState = "certified"
)

// Leaving is a beneficiary that gave notice, and what became of that. A party
// that has left does not come back under the same id.
type Leaving struct {
	Arrangement string
	Party       string
	State       LeavingState
	Person      string // who gave notice
	Authority   string // the proof that the person may sign for the party
	Document    []byte // canonical [evidence.LeaveNotice]
	Signature   []byte
	Key         string // SSH public key of the person
	NoticedAt   time.Time
	EndsAt      time.Time // from then on it takes part no longer
	Readers     []string  // parties of the parts that end: they may know
	Blocked     string    // why it could not end although the notice has run, "" if nothing is in the way

	Withdrawn    string // why the notice was taken back
	WithdrawnAt  time.Time
	Version      int    // the version without it
	Agreement    string // digest of that
	EndedAt      time.Time
	Modules      []string // what was held for it
	Compartments []string // whose keys ended

	Certificate    []byte // canonical [evidence.LeavingCertificate]
	CertificateSig []byte // by the server
	CertifiedAt    time.Time
}

// Left reports whether the party takes part no longer.
func (l Leaving) Left() bool { return l.State == LeavingEnded || l.State == LeavingCertified }

// Known reports whether an actor may know of it: the party itself, those whose
// parts end with it, and the administrator. The other beneficiaries need not
// learn of it.
func (l Leaving) Known(actor Actor) bool {
	return actor.Role == Administrator || actor.Party == l.Party || slices.Contains(l.Readers, actor.Party)
}
