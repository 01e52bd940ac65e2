package agreement

import (
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement/quantity"
)

// Module is one standard component: exactly one of its fields is set.
type Module struct {
	_              struct{}              `choice:"the kind of module"`
	Repository     *RepositoryModule     `key:"repository" doc:"Git repositories."`
	Data           *DataModule           `key:"data" doc:"Data of the application or of one beneficiary."`
	Dossier        *DossierModule        `key:"dossier" doc:"What people must know to run the application: accesses, procedures, contacts." later:"the dossier"`
	Licence        *LicenceModule        `key:"licence" doc:"Licence keys, issuing keys and continuity licences." later:"licence continuity"`
	Images         *ImagesModule         `key:"images" doc:"Installers and container images."`
	CloudAccount   *CloudAccountModule   `key:"cloud_account" doc:"Access to a cloud account." later:"access probes"`
	HostingPayment *HostingPaymentModule `key:"hosting_payment" doc:"The hosting bill that must go on being paid." later:"continuity payments"`
	Standby        *StandbyModule        `key:"standby" doc:"An environment kept ready elsewhere." later:"drills"`
	Physical       *PhysicalModule       `key:"physical" doc:"Things in a safe." later:"governance"`
}

// ModuleBase is what every module has.
type ModuleBase struct {
	ID          string          `key:"id,required" is:"id" id:"module" doc:"Id of the module; an instance is called ID/self."`
	ForEach     Set             `key:"for_each" doc:"One module for each member of the set."`
	Title       string          `key:"title" doc:"What people call it."`
	Compartment string          `key:"compartment" ref:"compartment =none" doc:"What it is sealed to; none when nothing is deposited here. Required for everything that is deposited; standby, physical and hosting_payment may leave it out."`
	Components  []string        `key:"components,list" ref:"component" doc:"The components it covers."`
	Rights      []string        `key:"rights,list" ref:"right" doc:"The rights its use rests on."`
	Retention   *Retention      `key:"retention" doc:"How long its deposits are kept. Without it every one is kept for ever."`
	Content     *Content        `key:"content" doc:"What a deposit must and may hold."`
	Due         *Due            `key:"due" doc:"When a deposit is due. Without it, of a fetched module as often as it is fetched and of data as often as it is expected."`
	MissedAfter int             `key:"missed_after" min:"1" doc:"After how many missed deposits in a row the beneficiaries are told. Default 1."`
	Cure        quantity.Period `key:"cure" doc:"How long after the beneficiaries were told it may be made good before the event is there. Default 5bd."`
	Accept      *Acceptance     `key:"accept" doc:"What a deposit must pass to count." later:"verification levels"`
}

// Retention is how long deposits are kept: a deposit stays while any of the
// statements protects it. The newest good one, the newest verified one, what a
// beneficiary runs and what others build on stay in any case.
type Retention struct {
	Versions int             `key:"versions" min:"1" doc:"How many of the newest good deposits stay."`
	For      quantity.Period `key:"for" doc:"How long every deposit stays at least."`
	Level    int             `key:"level" min:"1" doc:"Verification level of the newest deposit that stays whatever its age. Default 1."`
}

// Content is what a deposit must and may hold.
type Content struct {
	Mandatory []string `key:"mandatory,required,list" doc:"What must be in every deposit. A name without a space is looked for when it comes: a path, a ref as refs/..., a tag of an image, a repository of an organisation; * stands for any text. Anything else is for people to judge."`
	Optional  []string `key:"optional,list" doc:"What may be in it."`
}

// Due is when deposits are due.
type Due struct {
	Every        quantity.Period `key:"every" doc:"At the latest so long after the one before."`
	AfterRelease quantity.Period `key:"after_release" doc:"At the latest so long after a new version of the software was announced."`
	Grace        quantity.Period `key:"grace" doc:"How long after that it is not yet missed. Default 1d."`
}

// AtEnd is what happens to data when the contract ends.
type AtEnd struct {
	Rule   string          `key:"rule,required" enum:"destroy keep" doc:"destroy: everything goes, with a certificate. keep: it stays as long as max_age lets it."`
	Within quantity.Period `key:"within" doc:"How soon after the last day of the term. Default 30d."`
}

// Acceptance is what a deposit must pass.
type Acceptance struct {
	Level  int             `key:"level,required" min:"1" doc:"Verification level: 1 integrity, 2 content, 3 build or restore, 4 operate."`
	Within quantity.Period `key:"within" doc:"How soon after the deposit."`
}

// RepositoryModule is one Git repository, or all of an organisation.
type RepositoryModule struct {
	ModuleBase   `key:",inline"`
	URL          string          `key:"url" is:"url" doc:"The repository: https, ssh, git or file."`
	Organisation string          `key:"organisation" is:"url" doc:"The address of an organisation, group or account at a forge, whose repositories are all held, each in a module of its own; instead of url."`
	Include      []string        `key:"include,list" doc:"Names of repositories of the organisation; * stands for any text. Default all."`
	Exclude      []string        `key:"exclude,list" doc:"Patterns of ref names that are not deposited, such as refs/pull/*."`
	LFS          bool            `key:"lfs" doc:"Fetch and deposit Git LFS objects."`
	Mode         string          `key:"mode" enum:"pull push" doc:"pull: the server fetches. push: the depositor seals on its own machine. Default pull."`
	Every        quantity.Period `key:"every" doc:"How often it is fetched; without it on demand only."`
	Trigger      []string        `key:"trigger,list" enum:"webhook new_version" doc:"What starts a fetch besides the clock."`
	Credential   string          `key:"credential" is:"id" doc:"Name of the credential to fetch with. The credential itself is set apart, sealed and write-only."`
	HostKey      string          `key:"host_key" doc:"Pinned SSH host key in authorized_keys form, for ssh sources."`
	RebaseAfter  int             `key:"rebase_after" min:"1" doc:"Increments after which a fresh full chain starts. Default 100."`
}

// DataModule is data of the application or of one beneficiary.
type DataModule struct {
	ModuleBase  `key:",inline"`
	Via         string          `key:"via,required" enum:"restic upload snapshot_share files" doc:"How it arrives."`
	ExpectEvery quantity.Period `key:"expect_every" doc:"How often a deposit is expected."`
	MaxAge      quantity.Period `key:"max_age" doc:"How long personal data in it may be kept. After that only a legal hold keeps a deposit, and it has to be destroyed."`
	AtEnd       *AtEnd          `key:"at_end" doc:"What happens to it when the contract ends."`
	Format      *DataFormat     `key:"format" doc:"The form of the data."`
	Recipient   string          `key:"recipient" ref:"party =self =operator" doc:"For whom it is meant."`
	Holder      string          `key:"holder" ref:"party =self" doc:"Who holds it already, when nothing is deposited here."`
	Encrypted   string          `key:"encrypted_with" is:"id" doc:"Name of the key at the holder that a shared snapshot is encrypted with."`
}

// DataFormat is the form of data.
type DataFormat struct {
	Dump       string `key:"dump" doc:"The dump format or database."`
	Dictionary string `key:"data_dictionary" enum:"required optional" doc:"Whether a description of the fields belongs to it."`
}

// DossierModule is what people must know.
type DossierModule struct {
	ModuleBase   `key:",inline"`
	ReviewEvery  quantity.Period `key:"review_every" doc:"How often it is gone through."`
	AgentMayTest bool            `key:"agent_may_test" doc:"The agent may try the accesses."`
}

// LicenceModule is licences and what issues them.
type LicenceModule struct {
	ModuleBase `key:",inline"`
	Holds      []string      `key:"holds,required,list" enum:"issuing_key licence_server_image activation_rules customer_register presigned_continuity_licence" doc:"What is in it."`
	Valid      *LicenceValid `key:"valid" doc:"How long a continuity licence is valid: a release that ends."`
	SeatsAsOf  string        `key:"seats_as_of" enum:"last_usage_snapshot licence" doc:"How many seats a continuity licence has."`
	Features   string        `key:"features" enum:"as_entitled all" doc:"Which features it has."`
}

// LicenceValid is when a continuity licence begins and how long it lasts.
type LicenceValid struct {
	StartsOn Moment          `key:"starts_on,required" doc:"When it begins."`
	Lasts    quantity.Period `key:"lasts,required" doc:"How long it lasts."`
}

// ImagesModule is installers and container images.
type ImagesModule struct {
	ModuleBase `key:",inline"`
	Versions   []string        `key:"versions,list" enum:"latest deployed_by_any_beneficiary supported all" doc:"Which versions are held."`
	Every      quantity.Period `key:"every" doc:"How often it is looked for new ones."`
}

// CloudAccountModule is access to a cloud account.
type CloudAccountModule struct {
	ModuleBase `key:",inline"`
	Provider   string `key:"provider,required" doc:"The provider."`
	Takeover   string `key:"takeover_identity,required" doc:"The identity that can act."`
	Probe      string `key:"probe_identity" doc:"The identity that proves daily that the first still works, and can do nothing else."`
}

// HostingPaymentModule is a bill that must go on being paid.
type HostingPaymentModule struct {
	ModuleBase `key:",inline"`
	Payee      string        `key:"payee,required" ref:"party" doc:"Who is paid."`
	Amount     quantity.Rate `key:"amount" doc:"What is expected."`
	Reference  string        `key:"reference" doc:"Customer or contract number at the payee."`
}

// StandbyModule is an environment kept ready.
type StandbyModule struct {
	ModuleBase     `key:",inline"`
	Location       string          `key:"location" doc:"Where it is."`
	Refresh        quantity.Period `key:"refresh_every" doc:"How often it is brought up to date."`
	Infrastructure string          `key:"infrastructure" ref:"module" doc:"The repository module that holds its infrastructure as code."`
	RebuildEvery   quantity.Period `key:"rebuild_every" doc:"How often it is built from nothing."`
	CutOver        []string        `key:"cut_over,list" ref:"connection =dns =certificates =mail =user_rights" doc:"What must be switched to it: connections, or dns, certificates, mail, user_rights."`
}

// PhysicalModule is things in a safe.
type PhysicalModule struct {
	ModuleBase `key:",inline"`
	Items      []string        `key:"items,required,list" doc:"What is in it."`
	At         string          `key:"at,required" ref:"party" doc:"Who keeps it."`
	CountEvery quantity.Period `key:"count_every" doc:"How often it is counted."`
}

// Base returns what the module has in common with all others, and its kind.
// It is nil for a module without a kind.
func (m *Module) Base() (*ModuleBase, escrow.ModuleKind) {
	switch {
	case m.Repository != nil:
		return &m.Repository.ModuleBase, escrow.Repository
	case m.Data != nil:
		return &m.Data.ModuleBase, escrow.Data
	case m.Dossier != nil:
		return &m.Dossier.ModuleBase, escrow.Dossier
	case m.Licence != nil:
		return &m.Licence.ModuleBase, escrow.Licence
	case m.Images != nil:
		return &m.Images.ModuleBase, escrow.Images
	case m.CloudAccount != nil:
		return &m.CloudAccount.ModuleBase, escrow.CloudAccount
	case m.HostingPayment != nil:
		return &m.HostingPayment.ModuleBase, escrow.HostingPayment
	case m.Standby != nil:
		return &m.Standby.ModuleBase, escrow.Standby
	case m.Physical != nil:
		return &m.Physical.ModuleBase, escrow.Physical
	}
	return nil, ""
}

// Key is a compartment: what is opened together, and by whom.
type Key struct {
	Compartment    string   `key:"compartment,required" is:"path" id:"compartment" doc:"Id of the compartment; ID/self with for_each."`
	ForEach        Set      `key:"for_each" doc:"One compartment for each member of the set."`
	Quorum         *Quorum  `key:"quorum" doc:"Who opens it together."`
	Open           string   `key:"open" enum:"on_demand" doc:"on_demand: sealed to its holder alone, without quorum; instead of quorum."`
	Holder         string   `key:"holder" ref:"party =self" doc:"Whose it is, when it is on demand. Default self under for_each: beneficiaries."`
	AroundTheClock bool     `key:"around_the_clock" doc:"It must be possible to open it at night." later:"the full release procedure"`
	Verifier       bool     `key:"verifier" doc:"Deposits are also sealed to the separate verifier, which can then check their content. Default false: nobody can before a release." later:"verification levels"`
	InHSM          []string `key:"in_hsm,list" ref:"party" doc:"Parties that keep their share in a hardware security module." later:"hardware keys"`
}

// Quorum is who opens a compartment together.
type Quorum struct {
	Of         int      `key:"of,required" min:"1" doc:"How many of them it takes."`
	From       []string `key:"from,required,list" ref:"party =self" doc:"The parties that hold a share."`
	PeopleEach int      `key:"people_each" min:"1" doc:"Named people to whom each party's share is sealed; any one of them can act for it. Default 1."`
	AtLeast    *AtLeast `key:"at_least" doc:"How many of them must be of a class, whatever the others do: made in the sharing itself."`
	Reason     string   `key:"reason" doc:"Why fewer than two shares can be spared, where that is so."`
}

// AtLeast is how many of a quorum must be of a class.
type AtLeast struct {
	Independent int `key:"independent,required" min:"1" doc:"Independent parties: trustees and arbiters, and auditors and regulators that say independent: true."`
}

// LicenceGrant is a licence that was granted.
type LicenceGrant struct {
	ID           string              `key:"id,required" is:"id" id:"licence" doc:"Id of the licence."`
	Licensee     string              `key:"licensee,required" ref:"party" doc:"Whose licence it is."`
	Type         string              `key:"type,required" enum:"perpetual subscription" doc:"Whether it ends."`
	Product      string              `key:"product,required" doc:"What is licensed."`
	VersionRange string              `key:"version_range" doc:"Versions it covers. Always quoted."`
	Seats        int                 `key:"seats" min:"1" doc:"How many."`
	Metric       string              `key:"metric" enum:"named_user concurrent_peak device site core" doc:"What is counted."`
	Activation   *Activation         `key:"activation" doc:"How it is activated."`
	Maintenance  *LicenceMaintenance `key:"maintenance" doc:"The maintenance contract."`
	Term         *Term               `key:"term" doc:"The term of a subscription."`
}

// Activation is how a licence is activated.
type Activation struct {
	Kind        string          `key:"kind,required" enum:"none offline online floating" doc:"How."`
	Fingerprint []string        `key:"fingerprint,list" enum:"mac disk cpu board hostname dongle" doc:"What it is bound to."`
	Match       string          `key:"match" enum:"any two most all" doc:"How many of them must agree."`
	Transfer    string          `key:"transfer" enum:"keep reset" doc:"What happens to the expiry when it moves."`
	Max         int             `key:"max_activations" min:"1" doc:"How many at once."`
	Server      string          `key:"server" is:"url" doc:"The activation server."`
	Heartbeat   quantity.Period `key:"heartbeat" doc:"How often it is asked."`
	Grace       quantity.Period `key:"grace" doc:"How long the software goes on without an answer."`
}

// LicenceMaintenance is a maintenance contract.
type LicenceMaintenance struct {
	Until    quantity.Date   `key:"until" doc:"Last day."`
	Renews   quantity.Period `key:"renews" doc:"By how much it goes on."`
	Entitles []string        `key:"entitles,list" enum:"updates support keys_for_new_host" doc:"What it gives."`
}

// Environment is what runs at a beneficiary.
type Environment struct {
	Beneficiary string          `key:"beneficiary,required" ref:"party" doc:"At whom."`
	Version     string          `key:"deployed_version" doc:"The version that runs. Quote it when it looks like a number."`
	OS          string          `key:"os" doc:"Operating system."`
	Database    string          `key:"database" doc:"Database."`
	Identity    string          `key:"identity_provider" doc:"Where users sign in."`
	ReportEvery quantity.Period `key:"report_every" doc:"How often this is reported."`
}

// Usage is how use is counted.
type Usage struct {
	SnapshotEvery quantity.Period `key:"snapshot_every,required" doc:"How often."`
	By            []string        `key:"by,required,list" ref:"party =beneficiaries" doc:"By whom."`
	Signed        bool            `key:"signed" doc:"The snapshot is signed."`
	TrueUp        quantity.Period `key:"true_up_within" doc:"How soon more use is paid for."`
}

// DepositTerms is how soon deposits follow new versions.
type DepositTerms struct {
	Major     quantity.Period `key:"major_within" doc:"After a major version."`
	Minor     quantity.Period `key:"minor_within" doc:"After a minor version."`
	Formats   []string        `key:"licence_formats,list" enum:"keygen_file flexnet own" doc:"Formats of licences that are accepted."`
	Statement string          `key:"statement" enum:"signed none" doc:"Whether a statement of what was deposited belongs to it."`
}

// Verification is how a module is verified.
type Verification struct {
	Module   string          `key:"module,required" ref:"module =all" doc:"Which module, or all."`
	Level    int             `key:"level,required" min:"1" doc:"1 integrity, 2 content, 3 build or restore, 4 operate."`
	Every    quantity.Period `key:"every,required" doc:"How often."`
	PaidBy   string          `key:"paid_by" ref:"party" doc:"Who pays."`
	Attend   []string        `key:"attend,list" ref:"party =beneficiaries" doc:"Who may be there."`
	ReportTo []string        `key:"report_to,list" ref:"party =beneficiaries" doc:"Who gets the report."`
}
