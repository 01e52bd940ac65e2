package escrow

import "time"

// Hold is a legal hold: while it is active nothing that it covers is deleted,
// whatever retention, a term or two people say.
type Hold struct {
	Arrangement string
	ID          string
	Module      string // "" covers every module
	From, To    int    // deposits, both ends included; 0 and 0 cover all
	Ground      string // why: the claim, the proceedings, the order
	Party       string // who placed it
	Person      string
	PlacedAt    time.Time
	Until       time.Time // zero: until it is lifted
	LiftedAt    time.Time // zero while it was not lifted
	LiftedBy    string
	LiftReason  string
}

// Active reports whether the hold stops deletion at now.
func (h Hold) Active(now time.Time) bool {
	return h.LiftedAt.IsZero() && (h.Until.IsZero() || now.Before(h.Until))
}

// Covers reports whether the hold is about a deposit.
func (h Hold) Covers(module string, number int) bool {
	return (h.Module == "" || h.Module == module) && (h.From == 0 || number >= h.From) && (h.To == 0 || number <= h.To)
}

// DestructionState is where a destruction stands.
type DestructionState string

// The states. Expired is never stored: it follows from the time.
const (
	DestructionRequested DestructionState = "requested" // one person asked; nothing has happened
	DestructionExpired   DestructionState = "expired"   // nobody approved in time; nothing happened and nothing will
	DestructionCancelled DestructionState = "cancelled" // taken back before it was approved
	DestructionApproved  DestructionState = "approved"  // two people decided; nothing refers to the objects any more, they are being deleted
	DestructionCertified DestructionState = "certified" // done, with a certificate
)

// Destruction is a request that deposits be destroyed, and what became of it.
type Destruction struct {
	Arrangement       string
	ID                string
	Module            string
	Document          []byte // canonical [evidence.Destruction], as both people sign it
	State             DestructionState
	Party             string // who asked
	Person            string
	Key               string // SSH public key of who asked
	Signature         []byte
	RequestedAt       time.Time
	ExpiresAt         time.Time
	ApproverParty     string
	ApproverPerson    string
	ApproverKey       string
	ApproverSignature []byte
	ApprovedAt        time.Time
	EndReason         string // of a cancelled one
	Certificate       []byte // canonical [evidence.Certificate]
	CertificateSig    []byte // by the server
	CertifiedAt       time.Time
}

// At returns where the destruction stands at now.
func (d Destruction) At(now time.Time) DestructionState {
	if d.State == DestructionRequested && !now.Before(d.ExpiresAt) {
		return DestructionExpired
	}
	return d.State
}

// Destroyed says that a deposit's objects were given up. Its number, manifest,
// digest and receipt stay for ever.
type Destroyed struct {
	Arrangement string
	Module      string
	Deposit     int
	Destruction string
	At          time.Time
	Objects     []GoneObject // as its manifest lists them
}

// GoneObject is an object of a destroyed deposit.
type GoneObject struct {
	Name string
	Size int64
	Kept bool // other deposits, which stay, are made of it as well
}

// Mark says that a deposit looks wrong beside what was there before. What is
// marked, and what comes after it, does not count as a good version until two
// people say that it is one; nothing good before it ages out meanwhile.
type Mark struct {
	Arrangement string
	Module      string
	Deposit     int
	Reasons     []string // see [Suspicion] and its like, with the figures
	MarkedAt    time.Time
	FirstParty  string // who spoke for it first
	FirstPerson string
	FirstReason string
	FirstAt     time.Time
	Party       string // who spoke for it second, which releases it
	Person      string
	Reason      string
	ReleasedAt  time.Time
}

// Released reports whether two people said that the deposit is good.
func (m Mark) Released() bool { return !m.ReleasedAt.IsZero() }

// Verified says that somebody looked at a deposit and to which level.
type Verified struct {
	Arrangement string
	Module      string
	Deposit     int
	Level       int // 1 integrity, 2 content, 3 build or restore, 4 operate
	Party       string
	Person      string
	Note        string
	At          time.Time
}

// Running says which deposit of a module a beneficiary runs.
type Running struct {
	Arrangement string
	Module      string
	Party       string
	Person      string // who said so
	Deposit     int
	Version     string // as people call it
	StatedAt    time.Time
}

// TwoPeople decides whether second may complete what first began, where one
// person alone may not: they act for different parties under different names,
// and one of them at least stands on the side that the material is held for,
// so that a supplier never does it with one of its own.
func TwoPeople(first, second Actor) error {
	if first.Person == "" || second.Person == "" {
		return Errorf(Forbidden, "it takes two people, and a token that names no person acts for none").
			WithHint("use a token issued with --person")
	}
	if first.Party == second.Party || first.Person == second.Person {
		return Errorf(Forbidden, "%s began this; it takes another person of another party to complete it, not %s", first, second).
			WithHint("ask somebody of the agent, a beneficiary or the foundation")
	}
	for _, a := range []Actor{first, second} {
		if a.Role == Agent || a.Role == Beneficiary || a.Role == Foundation {
			return nil
		}
	}
	return Errorf(Forbidden, "neither %s nor %s stands for those the material is held for", first, second).
		WithHint("one of the two must be of the agent, a beneficiary or the foundation")
}
