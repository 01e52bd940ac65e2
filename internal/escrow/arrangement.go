package escrow

import "time"

// Role is what a party does in an arrangement.
type Role string

// The roles an agreement can give a party, and Administrator, who runs the
// installation and has no part in any arrangement.
const (
	Supplier      Role = "supplier"
	IPHolder      Role = "ip_holder"
	Beneficiary   Role = "beneficiary"
	Host          Role = "host"
	ServerManager Role = "server_manager"
	Operator      Role = "operator"
	Foundation    Role = "foundation"
	Agent         Role = "agent"
	Trustee       Role = "trustee"
	Arbiter       Role = "arbiter"
	Distributor   Role = "distributor"
	Guarantor     Role = "guarantor"
	Pledgee       Role = "pledgee"
	Auditor       Role = "auditor"
	Regulator     Role = "regulator"
	Curator       Role = "curator"
	Acquirer      Role = "acquirer"
	Administrator Role = "administrator"
)

// Roles lists the roles an agreement may use, in the order of the
// documentation. It returns a fresh slice.
func Roles() []Role {
	return []Role{Supplier, IPHolder, Beneficiary, Host, ServerManager, Operator, Foundation, Agent,
		Trustee, Arbiter, Distributor, Guarantor, Pledgee, Auditor, Regulator, Curator, Acquirer}
}

// Party is an organisation or person with a role in one arrangement.
type Party struct {
	ID   string
	Role Role
	Name string
}

// Arrangement is one application of one supplier with everything agreed
// around it.
type Arrangement struct {
	ID        string
	Version   int    // of the agreement in force, from 1
	Digest    string // of Canonical
	Canonical []byte // the agreement as canonical JSON: what is hashed and signed
	Source    []byte // the text as its authors wrote it
	CreatedAt time.Time
}

// ModuleKind names a standard component of an arrangement.
type ModuleKind string

// The kinds of module an agreement can hold.
const (
	Repository     ModuleKind = "repository"
	Data           ModuleKind = "data"
	Dossier        ModuleKind = "dossier"
	Licence        ModuleKind = "licence"
	Images         ModuleKind = "images"
	CloudAccount   ModuleKind = "cloud_account"
	HostingPayment ModuleKind = "hosting_payment"
	Standby        ModuleKind = "standby"
	Physical       ModuleKind = "physical"
)

// ModuleKinds lists the kinds in the order of the documentation. It returns
// a fresh slice.
func ModuleKinds() []ModuleKind {
	return []ModuleKind{Repository, Data, Dossier, Licence, Images, CloudAccount, HostingPayment, Standby, Physical}
}

// Module is one component that is held in escrow, after for_each has been
// expanded: Instance names the beneficiary or licence it belongs to, or is
// empty.
type Module struct {
	Arrangement string
	ID          string // unique in the arrangement; "db/gem-a" for an instance
	Kind        ModuleKind
	Instance    string
	Compartment string
	Source      Source
	Every       time.Duration // pull schedule; 0 means on demand only
	Rebase      int           // increments after which a fresh full chain starts; 0 means the default
}

// ModuleSettings is what can be set about a module after its agreement is
// registered, by those who may.
type ModuleSettings struct {
	Source Source
	Every  time.Duration
	Rebase int
}

// ModuleStatus is a module and where it stands.
type ModuleStatus struct {
	Module
	Latest    int       // number of the latest deposit, 0 for none
	LastTry   time.Time // of the schedule or a request, zero for never
	LastError string    // what the last try ran into, "" when it went well
	ErrorCode Code      // of LastError
	ErrorHint string    // what to do about it
}

// SyncStatus says how the fetching of a module goes.
type SyncStatus struct {
	Arrangement string
	Module      string
	AttemptedAt time.Time // start of the last attempt
	SucceededAt time.Time // end of the last successful one, zero if there is none
	Failures    int       // in a row since then
	Error       string    // of the last attempt, "" if it succeeded
	Code        Code      // of the error
	Hint        string    // what to do about it
	NextDue     time.Time
}

// DefaultRebase is the number of increments after which a repository module
// starts a fresh full chain when its agreement does not say.
const DefaultRebase = 100

// SourceMode says who fetches.
type SourceMode string

// Pull: the server fetches, and plaintext passes through its memory while it
// is sealed. Push: the depositor's machine seals, and the server sees
// ciphertext only. Restic: the depositor's restic writes its repository here,
// encrypted by a password that is sealed to the compartment.
const (
	Pull   SourceMode = "pull"
	Push   SourceMode = "push"
	Restic SourceMode = "restic"
)

// Source is where the material of a module comes from. It holds no secret:
// credentials are kept apart, sealed, and can be written but not read.
type Source struct {
	Mode    SourceMode
	URL     string   // without user information
	LFS     bool     // fetch and deposit Git LFS objects
	Exclude []string // ref name patterns that are not deposited, such as refs/pull/*
	HostKey string   // pinned SSH host key in authorized_keys form, for ssh sources
}

// Credential is a sealed source secret: an access token, a deploy key or a
// webhook secret. Sealed is an age file to the server's own identity.
type Credential struct {
	Arrangement string
	Module      string
	Kind        CredentialKind
	Sealed      []byte
	UpdatedAt   time.Time
}

// CredentialKind says what a credential is for.
type CredentialKind string

// The kinds of credential.
const (
	SourceToken   CredentialKind = "token"
	DeployKey     CredentialKind = "deploy_key"
	WebhookSecret CredentialKind = "webhook_secret"
)

// Contact is the public card of one person or machine acting for a party:
// where things are sealed to and whose signatures count. It holds no secret.
type Contact struct {
	Arrangement string
	Party       string
	Person      string
	Recipient   string // age hybrid recipient
	SigningKey  string // SSH public key in authorized_keys form
	Document    []byte // the self-signed card, see evidence.Contact
	AddedAt     time.Time
}
