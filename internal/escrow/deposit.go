package escrow

import "time"

// DepositKind says whether a deposit stands alone.
type DepositKind string

// FullDeposit stands alone; IncrementalDeposit needs its predecessors back to the last Full.
const (
	FullDeposit        DepositKind = "FULL"
	IncrementalDeposit DepositKind = "INCREMENTAL"
)

// Completeness says whether a deposit holds everything its source names.
type Completeness string

// Incomplete means the source names things that are not held, such as an LFS
// object it could not deliver; the manifest lists them.
const (
	Complete   Completeness = "complete"
	Incomplete Completeness = "incomplete"
)

// Deposit is one sealed, numbered, signed intake of one module.
type Deposit struct {
	Arrangement  string
	Module       string
	Number       int // from 1, without gaps, per module
	Kind         DepositKind
	Predecessor  string // manifest digest of deposit Number−1, "" for the first
	Digest       string // SHA-256 of Manifest
	Manifest     []byte // canonical JSON, see evidence.DepositManifest
	Signature    []byte // armored SSH signature over Manifest
	Compartment  string
	Epoch        int
	Completeness Completeness
	Objects      []Object
	StoredBytes  int64 // sum of the objects' sizes, the manifest and its signature
	AcceptedAt   time.Time

	// What became of it since, where whoever reads it asked for that.
	Destruction string   // id of the destruction that gave its objects up, "" while they are held
	Suspect     []string // why it is kept aside, nil when nothing is wrong with it or two people said so
}

// Submission is a deposit handed in, its objects being in the vault already.
type Submission struct {
	Manifest  []byte
	Signature []byte
	Segments  []string // objects with the sealed sets of known object ids, for pulls
}

// Unchanged is the newest word of a module's depositor that its source holds
// nothing that is not deposited.
type Unchanged struct {
	Arrangement string
	Module      string
	Deposit     int    // the newest one when it was given
	Document    []byte // canonical JSON, see evidence.Unchanged
	Signature   []byte // armored SSH signature over Document
	Party       string
	Person      string
	At          time.Time // when the source was read, by the depositor's clock
	ReceivedAt  time.Time
}

// LookedAt is until when the word holds: never longer than it is here.
func (u Unchanged) LookedAt() time.Time {
	if u.At.Before(u.ReceivedAt) {
		return u.At
	}
	return u.ReceivedAt
}

// Object is one sealed object in the vault: ciphertext named by its SHA-256.
type Object struct {
	Name string // lower-case hex SHA-256 of the stored bytes
	Size int64
}

// SourceState is what the next incremental deposit of a module needs to know
// about the last one. Its objects are sealed to whoever makes the deposits:
// the server for pulls, the depositor for pushes.
type SourceState struct {
	Arrangement string
	Module      string
	Deposit     int      // the deposit after which this state holds
	State       string   // object name of the sealed state
	Segments    []string // object names of the sealed sets of known object ids, oldest first
	Chain       int      // number of the FULL deposit the chain starts with
}

// EpochState is where a generation of a compartment's release identity is in
// its life.
type EpochState string

// Dealt: published, not yet accepted by enough trustees. Active: deposits are
// sealed to it. Ended: rotated, released or reshared; old deposits stay
// openable with it. Abandoned: dealt, never activated.
const (
	EpochDealt     EpochState = "dealt"
	EpochActive    EpochState = "active"
	EpochEnded     EpochState = "ended"
	EpochAbandoned EpochState = "abandoned"
)

// Epoch is a generation of a compartment's release identity.
type Epoch struct {
	Arrangement string
	Compartment string
	Number      int // from 1
	Set         string
	Recipient   string // the age recipient deposits are sealed to
	Manifest    []byte // canonical JSON, see evidence.KeyManifest
	Signature   []byte // the dealer's armored SSH signature over Manifest
	Required    int    // acceptances needed before the epoch becomes active
	State       EpochState
	DealtAt     time.Time
	ActivatedAt time.Time
	EndedAt     time.Time
	EndReason   string
}

// SharePackage is one person's sealed share of one epoch.
type SharePackage struct {
	Arrangement string
	Compartment string
	Epoch       int
	Trustee     string
	Person      string
	Digest      string // SHA-256 of Sealed
	Sealed      []byte // armored age file to that person
}

// Acceptance is a trustee's signed word that its share of an epoch is good.
type Acceptance struct {
	Arrangement string
	Compartment string
	Epoch       int
	Trustee     string
	Person      string
	Document    []byte // canonical JSON, see evidence.Acceptance
	Signature   []byte
	AcceptedAt  time.Time
}

// DepositRef names a deposit.
type DepositRef struct {
	Arrangement string
	Module      string
	Number      int
}

// DepositSpan is the range of one module's deposits under one epoch.
type DepositSpan struct {
	Module   string
	Epoch    int
	From, To int
}

// DepositBase is what the next deposit of a module builds on, read at one
// moment.
type DepositBase struct {
	Agreement string // digest of the agreement in force
	Module    ModuleStatus
	Epoch     Epoch       // active
	Latest    Deposit     // zero when there is none
	State     SourceState // zero when there is none
	Mandatory []string    // what must be in it and can be looked for, see [Findable]
	Full      bool        // it has to stand alone: its chain lost a deposit, or is to go soon
}
