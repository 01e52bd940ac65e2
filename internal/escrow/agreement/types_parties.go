package agreement

import "holdfast/internal/escrow/agreement/quantity"

// Application is what everything is about.
type Application struct {
	Name        string            `key:"name,required" doc:"Name of the application."`
	URL         string            `key:"url" is:"url" doc:"Where it is used."`
	VersionURL  string            `key:"version_url" is:"url" doc:"Where the running version can be read." later:"watching"`
	Service     *Service          `key:"service" doc:"What the service consists of for its users." later:"the documents"`
	Delivery    string            `key:"delivery,required" enum:"saas_shared saas_single_tenant on_premise hybrid" doc:"How it reaches its users."`
	RTO         quantity.Period   `key:"rto" doc:"Recovery time objective: how long it may be gone." later:"drills"`
	RPO         quantity.Period   `key:"rpo" doc:"Recovery point objective: how much work may be lost." later:"drills"`
	Dates       []CriticalDate    `key:"critical_dates" doc:"Times of the year when it must not fail." later:"governance"`
	Components  []Component       `key:"components" doc:"The parts of the application, with how much depends on each."`
	Connections []Connection      `key:"connections" doc:"Connections that must be re-established after a take-over." later:"the dossier"`
	Services    []BusinessService `key:"important_business_services" doc:"Business services that rest on the application." later:"watching"`
}

// Service is what users get.
type Service struct {
	Functions []string `key:"functions" doc:"What it does, in the words of its users."`
	Support   *Support `key:"support" doc:"How help is given."`
}

// CriticalDate is a time of the year that matters.
type CriticalDate struct {
	What string            `key:"what,required" doc:"What happens then."`
	From quantity.MonthDay `key:"from,required" doc:"First day of it."`
	To   quantity.MonthDay `key:"to" doc:"Last day of it."`
}

// Component is a part of the application.
type Component struct {
	ID          string `key:"id,required" is:"id" id:"component" doc:"Id of the component; SLAs and conditions name it."`
	Name        string `key:"name" doc:"What people call it."`
	Criticality string `key:"criticality,required" enum:"critical important minor" doc:"How much depends on it."`
	InEscrow    *bool  `key:"in_escrow" doc:"Whether it is covered. Default true; false needs a reason."`
	Reason      string `key:"reason" doc:"Why it is left out."`
}

// Connection is a link to another system.
type Connection struct {
	ID            string          `key:"id,required" is:"id" id:"connection" doc:"Id of the connection."`
	HeldBy        []string        `key:"held_by,required,list" ref:"party =beneficiaries" doc:"Whose contract it is."`
	CertificateOf string          `key:"certificate_of" ref:"party" doc:"Whose certificate secures it."`
	LeadTime      quantity.Period `key:"lead_time" doc:"How long it takes to re-establish."`
	OnTakeover    string          `key:"on_takeover" enum:"keep transfer recontract" doc:"What becomes of it when another takes over."`
}

// BusinessService is a service of a beneficiary that must not be interrupted
// for long.
type BusinessService struct {
	ID        string `key:"id,required" is:"id" id:"service" doc:"Id of the service; outside_tolerance names it."`
	Tolerance string `key:"impact_tolerance,required" doc:"How much interruption is tolerable."`
	Owner     string `key:"owner" doc:"Who answers for it."`
}

// Party is an organisation or person with a role.
type Party struct {
	ID          string            `key:"id,required" is:"id" id:"party" doc:"Id of the party."`
	Role        Role              `key:"role,required" doc:"What the party does in the arrangement."`
	Name        string            `key:"name,required" doc:"Its full legal name."`
	Register    map[string]string `key:"register" doc:"Its numbers in public registers, such as nl_kvk, gb_ch, de_hrb: what is watched. Always quoted." later:"register watching"`
	People      []Person          `key:"people" doc:"The people who act for it."`
	Signs       *bool             `key:"signs" doc:"Whether it signs at all. Default true; false for a host or regulator that signs nothing."`
	Independent *bool             `key:"independent" doc:"Whether it counts as independent for at_least. Default true for trustees and arbiters, false for all others; an auditor or regulator may be declared independent, no other role can."`
	Group       []string          `key:"group" doc:"Legal entities of its group that share its rights."`
	Pledge      *Pledge           `key:"pledge" doc:"What is pledged to it."`
	Controlled  string            `key:"controlled_by" ref:"party" doc:"The party that controls it, by shares or seats: it then counts on that party's side and cannot count as independent."`
	Mandate     *Mandate          `key:"mandate" doc:"On what terms it acts after a release."`
}

// Person acts for a party.
type Person struct {
	ID       string `key:"id,required" is:"id" id:"person" doc:"Id of the person, unique in the agreement."`
	Name     string `key:"name,required" doc:"Name."`
	Function string `key:"function" doc:"What the person is in the organisation."`
	Email    string `key:"email" doc:"Where notices reach the person."`
	Deputy   string `key:"deputy_of" ref:"person" doc:"Whom the person stands in for."`
	Same     string `key:"same_as" ref:"person" doc:"The entry of another party that is the same human being. Equal email addresses say the same."`
}

// Pledge is what is pledged to a party.
type Pledge struct {
	Over    []string `key:"over,required,list" enum:"ip_rights receivables shares equipment bank_accounts" doc:"What is pledged."`
	GivenBy []string `key:"given_by,list" ref:"party" doc:"Who gave the pledge."`
}

// Mandate is on what terms a party acts.
type Mandate struct {
	Rate     quantity.Rate   `key:"rate" doc:"What it costs."`
	Reaction quantity.Period `key:"reaction" doc:"How soon it begins."`
}

// Authority says who may do what for a party.
type Authority struct {
	Party     string        `key:"party,required" ref:"party" doc:"For whom."`
	Person    string        `key:"person" ref:"person" doc:"Who."`
	May       []string      `key:"may,list" enum:"claim contest approve sign vote deposit pay receive" doc:"What the person may do."`
	From      quantity.Date `key:"from" doc:"First day."`
	Until     quantity.Date `key:"until" doc:"Last day."`
	Proof     string        `key:"proof" doc:"The document it rests on."`
	EndsOn    Moment        `key:"ends_on" doc:"What ends it early."`
	PassesTo  string        `key:"passes_to" ref:"party =curator =acquirer" doc:"To whom it passes then."`
	DeputyFor string        `key:"deputy_for" ref:"person" doc:"Only while this person cannot act."`
	CallBack  bool          `key:"call_back" doc:"Grave acts (sign, approve, pay) count only after a call back to a number that was known before."`
}

// Part is a part of the agreement with its own parties and signatures.
type Part struct {
	ID        string     `key:"id,required" is:"id" id:"part" doc:"Id of the part; an instance is called ID/self."`
	Kind      string     `key:"kind,required" enum:"frame host accession sla processing annex supplement" doc:"What kind of part it is. Exactly one is the frame: it holds what no other part holds."`
	ForEach   Set        `key:"for_each" doc:"One instance for each member of the set."`
	Parties   []string   `key:"parties,required,list" ref:"party =self" doc:"Who signs it."`
	Readers   []string   `key:"readers,list" ref:"party =self" doc:"Who may read it besides those who sign."`
	Holds     []string   `key:"holds,list" is:"path" doc:"What the part contains: a top-level key, or key/id for one entry of it."`
	RestsOn   []string   `key:"rests_on,list" ref:"part" doc:"Parts it refers to by digest."`
	InForceOn Moment     `key:"in_force_on" doc:"When it begins to bind. Default signature."`
	Term      *Term      `key:"term" doc:"Its own term, when it differs."`
	Signature *Signature `key:"signature" doc:"The form the signatures must have."`
	Document  *Document  `key:"document" doc:"The signed document, when the part is on paper."`
	Note      string     `key:"note" is:"text" doc:"Remark."`
}

// Signature is the form signatures must have.
type Signature struct {
	Form string   `key:"form" enum:"plain deed notarial" doc:"The legal form. Default plain."`
	With []string `key:"with,list" enum:"passkey ssh advanced qualified ink" doc:"How it may be signed; any one of them."`
}

// Document is a document outside this text.
type Document struct {
	Name   string `key:"name,required" doc:"What it is called."`
	Digest string `key:"digest" is:"digest" doc:"SHA-256 of its bytes."`
}

// Right is a legal ground.
type Right struct {
	ID           string          `key:"id,required" is:"id" id:"right" doc:"Id of the right; stages and modules name it."`
	Kind         string          `key:"kind,required" enum:"own_contract host_undertaking licence_from_ip_holder conditional_transfer statute consent_of_receiver mandate" doc:"What kind of ground it is."`
	Holder       []string        `key:"holder,required,list" ref:"party =self" doc:"Who has the right."`
	From         string          `key:"from" ref:"party" doc:"Who granted it."`
	StartsOn     Moment          `key:"starts_on" doc:"When it begins. Default signature."`
	EndsOn       Moment          `key:"ends_on" doc:"What ends it early, such as insolvency (of its grantor)."`
	OnInsolvency string          `key:"on_insolvency,required" enum:"survives doubtful ends" doc:"What becomes of it when its grantor is insolvent."`
	Counsel      string          `key:"counsel" doc:"Who advised that, and when."`
	Reviewed     quantity.Date   `key:"reviewed" doc:"Day on which counsel last looked at it."`
	Review       quantity.Period `key:"review_every" doc:"How often that is looked at again."`
	Undertaking  string          `key:"undertaking" ref:"undertaking" doc:"The host's undertaking it consists of, for kind: host_undertaking."`
	Encumbrances []Encumbrance   `key:"encumbrances" doc:"Pledges, third-party licences and other claims that lie on what it is about."`
	SecuredBy    []string        `key:"secured_by,list" enum:"conditional_transfer pledge usufruct third_party_clause guarantee" doc:"What makes it stronger."`
	Document     *Document       `key:"document" doc:"The document it rests on."`
}

// Encumbrance is somebody else's claim on what a right is about.
type Encumbrance struct {
	Kind     string    `key:"kind,required" enum:"pledge third_party_licence joint_ownership attachment" doc:"What lies on it."`
	Of       string    `key:"of" ref:"party" doc:"Whose claim it is, when that is a party."`
	What     string    `key:"what" doc:"What it is about, such as the name of a third-party library."`
	Consent  bool      `key:"consent" doc:"Whoever has the claim has agreed in writing that the right goes before it, or that it passes on."`
	Document *Document `key:"document" doc:"The document that shows so."`
}

// HostUndertaking is what a host has promised.
type HostUndertaking struct {
	ID              string          `key:"id" is:"id" id:"undertaking" doc:"Id of the undertaking; rights name it."`
	By              string          `key:"by,required" ref:"party" doc:"The host."`
	Continues       quantity.Period `key:"continues_for" doc:"How long it goes on after the supplier has failed."`
	WarnsBefore     quantity.Period `key:"warns_before_suspension" doc:"How long before a suspension it warns."`
	Warns           []string        `key:"warns,list" ref:"party" doc:"Whom it warns."`
	ThirdParty      bool            `key:"accepts_third_party_payment" doc:"It takes payment from somebody else than its customer."`
	KeepsNoDataBack bool            `key:"keeps_no_data_back" doc:"It waives retention on data."`
	ArrearsFirst    *bool           `key:"demands_arrears_first" doc:"Old debts must be paid before it goes on."`
	LetsOperatorIn  bool            `key:"lets_operator_in" doc:"It gives the operator access."`
	Price           quantity.Rate   `key:"price" doc:"What it costs."`
	Signed          quantity.Date   `key:"signed" doc:"Day on which it was given."`
	Confirmed       quantity.Date   `key:"confirmed" doc:"Day on which it was last confirmed."`
	Reconfirm       quantity.Period `key:"reconfirm_every" doc:"How often it is confirmed again."`
	Framework       *Document       `key:"framework" doc:"The host's framework it is given under: one text for many arrangements, known by its digest."`
	Document        *Document       `key:"document" doc:"The signed undertaking."`
}

// Hosting is where the application runs and how that place is taken over.
type Hosting struct {
	Account  *HostingAccount  `key:"account" doc:"The cloud account."`
	Location *HostingLocation `key:"location" doc:"Where things may be."`
}

// HostingAccount is a cloud account that can be taken over.
type HostingAccount struct {
	Provider  string   `key:"provider,required" doc:"The provider."`
	ID        string   `key:"id,required" doc:"The account number. Always quoted."`
	Owner     string   `key:"owner,required" ref:"party" doc:"Whose account it is."`
	Dedicated bool     `key:"dedicated" doc:"Nothing else runs in it."`
	Takeover  []string `key:"takeover,list" enum:"break_glass_role organisation_move billing_transfer root_mailbox" doc:"The ways it can be taken over."`
	Mailbox   string   `key:"root_mailbox_at" ref:"party" doc:"In whose mail domain the root mailbox is."`
}

// HostingLocation is where data, keys and deposits may be.
type HostingLocation struct {
	Data     []string `key:"data,list" doc:"Regions of the data."`
	Keys     []string `key:"keys,list" doc:"Regions of the keys."`
	Deposits []string `key:"deposits,list" doc:"Countries or regions of the deposits."`
}

// AccessRight is a right to inspect.
type AccessRight struct {
	Who          []string        `key:"who,required,list" ref:"party" doc:"Who may inspect."`
	To           []string        `key:"to,required,list" enum:"records verification_reports premises systems people" doc:"What may be inspected."`
	Notice       quantity.Period `key:"notice" doc:"How long before it must be announced."`
	StressNotice quantity.Period `key:"notice_in_stress" doc:"The same while a release is in force."`
}

// ExitPlan is a plan to leave.
type ExitPlan struct {
	Kind          string          `key:"kind,required" enum:"stressed non_stressed" doc:"Whether it is for an emergency."`
	Triggers      []string        `key:"triggers,list" is:"id" doc:"What starts it."`
	Target        string          `key:"target" doc:"What it must achieve."`
	Options       []string        `key:"options,list" is:"id" doc:"The ways out, best first."`
	Cost          quantity.Money  `key:"cost" doc:"What it is expected to cost."`
	Owner         string          `key:"owner" doc:"Who answers for it."`
	TestEvery     quantity.Period `key:"test_every" doc:"How often it is tested."`
	BoardApproved quantity.Date   `key:"board_approved" doc:"Day of the board's approval."`
	Transition    quantity.Period `key:"transition" doc:"How long the transition may take."`
	Assistance    string          `key:"assistance" doc:"Who helps, and on what terms."`
}
