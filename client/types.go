package client

import "time"

// Signed is a canonical document with the SSH signature over its bytes, both
// as text, so that the exact signed bytes travel through JSON unchanged.
type Signed struct {
	Document  string `json:"document" maxLength:"16777216" doc:"canonical JSON, exactly as signed"`
	Signature string `json:"signature" maxLength:"16384" doc:"armored SSH signature over the document"`
}

// Arrangement is an agreement as registered.
type Arrangement struct {
	ID        string    `json:"id"`
	Version   int       `json:"version"`
	Digest    string    `json:"digest" doc:"SHA-256 of the canonical agreement"`
	Source    string    `json:"source,omitempty" doc:"the text as its authors wrote it; left out where it has parts that are not for the caller"`
	Canonical string    `json:"canonical,omitempty" doc:"the canonical JSON that is hashed and signed"`
	CreatedAt time.Time `json:"created_at"`
	Parties   []Party   `json:"parties,omitempty"`
}

// Party is one party of an arrangement.
type Party struct {
	ID   string `json:"id"`
	Role string `json:"role"`
	Name string `json:"name"`
}

// Module is one component held in escrow and where it stands.
type Module struct {
	ID          string     `json:"id"`
	Kind        string     `json:"kind"`
	Instance    string     `json:"instance,omitempty"`
	Compartment string     `json:"compartment"`
	Mode        string     `json:"mode" enum:"pull,push,restic,organisation"`
	URL         string     `json:"url,omitempty"`
	LFS         bool       `json:"lfs,omitempty"`
	Exclude     []string   `json:"exclude,omitempty"`
	HostKey     string     `json:"host_key,omitempty"`
	Every       string     `json:"every,omitempty" doc:"pull schedule as a Go duration"`
	Rebase      int        `json:"rebase,omitempty" doc:"increments after which a fresh full chain starts"`
	Latest      int        `json:"latest" doc:"number of the latest deposit, 0 for none"`
	LastTry     *time.Time `json:"last_try,omitempty"`
	LastError   string     `json:"last_error,omitempty"`
	ErrorCode   string     `json:"last_error_code,omitempty" doc:"see docs/errors.md"`
	ErrorHint   string     `json:"last_error_hint,omitempty" doc:"what to do about it"`
}

// ModuleSource sets where a module's material comes from.
type ModuleSource struct {
	Mode    string   `json:"mode" enum:"pull,push,restic,organisation"`
	URL     string   `json:"url,omitempty" maxLength:"2048" doc:"without user information: credentials are set apart"`
	LFS     bool     `json:"lfs,omitempty"`
	Exclude []string `json:"exclude,omitempty" maxItems:"64"`
	HostKey string   `json:"host_key,omitempty" maxLength:"4096" doc:"pinned SSH host key in authorized_keys form"`
	Every   string   `json:"every,omitempty" maxLength:"32"`
	Rebase  int      `json:"rebase,omitempty" minimum:"0" maximum:"10000"`
}

// Credential sets a source secret. It can be written and never read.
type Credential struct {
	Kind   string `json:"kind" enum:"token,deploy_key,webhook_secret"`
	Secret string `json:"secret" maxLength:"32768"`
}

// Contact is the public card of a person or machine acting for a party.
type Contact struct {
	Party     string `json:"party,omitempty"`
	Person    string `json:"person,omitempty"`
	Recipient string `json:"recipient,omitempty"`
	Signing   string `json:"signing_key,omitempty"`
	Document  string `json:"document" maxLength:"16384" doc:"the self-signed contact card"`
}

// Epoch is a generation of a compartment's release identity.
type Epoch struct {
	Compartment string     `json:"compartment"`
	Number      int        `json:"number"`
	Set         string     `json:"set"`
	Recipient   string     `json:"recipient" doc:"age recipient that deposits are sealed to"`
	Manifest    Signed     `json:"manifest"`
	State       string     `json:"state"`
	Required    int        `json:"required"`
	Accepted    []string   `json:"accepted,omitempty" doc:"trustees that have accepted"`
	ActivatedAt *time.Time `json:"activated_at,omitempty"`
	EndedAt     *time.Time `json:"ended_at,omitempty"`
	EndReason   string     `json:"end_reason,omitempty"`
}

// NewEpoch publishes what a dealer made on their own machine.
type NewEpoch struct {
	Manifest Signed         `json:"manifest"`
	Packages []SharePackage `json:"packages" maxItems:"1000"`
}

// SharePackage is one person's sealed share.
type SharePackage struct {
	Trustee string `json:"trustee"`
	Person  string `json:"person"`
	Sealed  string `json:"sealed" maxLength:"65536" doc:"armored age file to that person"`
}

// Deposit is an acknowledged deposit.
type Deposit struct {
	Module       string    `json:"module"`
	Number       int       `json:"number"`
	Kind         string    `json:"kind"`
	Digest       string    `json:"digest"`
	Manifest     Signed    `json:"manifest"`
	Completeness string    `json:"completeness"`
	StoredBytes  int64     `json:"stored_bytes"`
	AcceptedAt   time.Time `json:"accepted_at"`
	Destruction  string    `json:"destruction,omitempty" doc:"id of the destruction that gave up its objects; its number, manifest and receipt stay"`
	Suspect      []string  `json:"suspect,omitempty" doc:"why it is kept aside until two people release it"`
}

// NewDeposit submits a deposit whose objects have been uploaded.
type NewDeposit struct {
	Manifest Signed `json:"manifest"`
}

// DepositBase is what the next deposit of a module builds on.
type DepositBase struct {
	Agreement string   `json:"agreement" doc:"digest of the agreement in force"`
	Module    Module   `json:"module"`
	Epoch     Epoch    `json:"epoch"`
	Latest    *Deposit `json:"latest,omitempty"`
	Mandatory []string `json:"mandatory,omitempty" doc:"names that must be in it, as agreed: whoever deposits looks for them and says which are there"`
	Full      bool     `json:"full,omitempty" doc:"the next deposit has to stand alone"`
}

// SyncRequest says when a sync was asked for, by the server's clock.
type SyncRequest struct {
	RequestedAt time.Time `json:"requested_at" doc:"a try that began at this time or later is its outcome"`
}

// Receipt is the depositor's proof, verifiable offline.
type Receipt struct {
	Receipt string `json:"receipt" doc:"canonical holdfast-receipt/v1"`
}

// OpenCase says that a release event has happened.
type OpenCase struct {
	Event       string `json:"event" maxLength:"128"`
	Stage       string `json:"stage" maxLength:"128"`
	Compartment string `json:"compartment,omitempty" maxLength:"128" doc:"needed when the stage opens more than one"`
	Epoch       int    `json:"epoch,omitempty" minimum:"0" doc:"of the compartment; default the newest under which something was deposited"`
	Reason      string `json:"reason" minLength:"1" maxLength:"4000"`
}

// Case is one run of the release procedure.
type Case struct {
	ID          string     `json:"id"`
	Event       string     `json:"event"`
	Stage       string     `json:"stage"`
	Claimant    string     `json:"claimant"`
	Reason      string     `json:"reason"`
	Compartment string     `json:"compartment"`
	Epoch       int        `json:"epoch"`
	Recipients  []string   `json:"recipients"`
	State       string     `json:"state"`
	Statement   string     `json:"statement,omitempty" doc:"canonical statement that trustees approve"`
	Approved    []string   `json:"approved,omitempty" doc:"trustees whose approvals count"`
	Needed      string     `json:"needed,omitempty" doc:"what is still missing, in words"`
	OpenedAt    time.Time  `json:"opened_at"`
	ContestEnds *time.Time `json:"contest_ends,omitempty"`
	InForceAt   *time.Time `json:"in_force_at,omitempty"`
}

// Notice records that somebody was told of a case.
type Notice struct {
	To      string `json:"to" maxLength:"128" doc:"party that was told"`
	Channel string `json:"channel" maxLength:"64"`
	Text    string `json:"text" maxLength:"4000"`
}

// ApprovalRequest fixes the statement that trustees approve.
type ApprovalRequest struct {
	Purpose string `json:"purpose" minLength:"1" maxLength:"1000"`
	Expires string `json:"expires,omitempty" doc:"RFC 3339; default 14 days"`
}

// CaseStep moves a case on: close, end, reverse or assume.
type CaseStep struct {
	Step   string `json:"step" enum:"start_contest,object,rule_for,rule_against,end,reverse,assume,close"`
	Reason string `json:"reason" minLength:"1" maxLength:"4000"`
}

// HandOver is what the recipient of a case in force gets to open the deposits
// that the case's statement names.
type HandOver struct {
	Case      Case     `json:"case"`
	Epoch     Epoch    `json:"epoch"`
	Approvals []Signed `json:"approvals"`
}

// NewToken describes a bearer token to issue.
type NewToken struct {
	Person    string `json:"person,omitempty" maxLength:"128"`
	Party     string `json:"party" maxLength:"128"`
	Module    string `json:"module,omitempty" maxLength:"128" doc:"limit the token to deposits of this module"`
	ExpiresIn string `json:"expires_in,omitempty" doc:"Go duration; default 720h"`
}

// IssuedToken is shown once.
type IssuedToken struct {
	ID        string    `json:"id"`
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Consistency proves that an older tree is a prefix of the current one.
type Consistency struct {
	Checkpoint string   `json:"checkpoint,omitempty"`
	Proof      []string `json:"proof" doc:"base64 hashes"`
}

// Cosignature is a published checkpoint with the lines that witnesses added.
type Cosignature struct {
	Checkpoint string `json:"checkpoint" maxLength:"65536" doc:"the signed note"`
}

// Witnessed says how many witnesses have cosigned a checkpoint.
type Witnessed struct {
	Witnesses int `json:"witnesses"`
}

// Erasure says why the content of a ledger entry is erased.
type Erasure struct {
	Reason string `json:"reason" minLength:"1" maxLength:"1000" doc:"why, without repeating what is erased: it stays for ever"`
}

// LedgerEntry is one entry of the ledger; payload and salt are left out where
// the content was erased or belongs to another arrangement.
type LedgerEntry struct {
	Index      int64  `json:"index"`
	Commitment []byte `json:"commitment"`
	Payload    string `json:"payload,omitempty"`
	Salt       []byte `json:"salt,omitempty"`
}

// ServerKeys are the public keys a server signs with.
type ServerKeys struct {
	Ledger  string `json:"ledger_key" doc:"note verifier key of the ledger's checkpoints"`
	Signing string `json:"signing_key" doc:"SSH public key that signs the manifests of pulled deposits"`
}
