package agreement

import (
	"fmt"
	"strings"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement/bind"
	"holdfast/internal/escrow/agreement/quantity"
)

// Format names the language.
const Format = "agreement/v1"

// Agreement is the text of one arrangement: what the parties promised, as
// they wrote it, with every value typed and every reference resolved. It
// comes from [Parse] only.
type Agreement struct {
	Format           string            `key:"holdfast,required" enum:"agreement/v1" doc:"The format of this text."`
	ID               string            `key:"id,required" is:"id" doc:"Id of the arrangement."`
	Version          int               `key:"version,required" min:"1" doc:"Version of this text, from 1. A signed version never changes; a change is a new version."`
	Replaces         string            `key:"replaces" is:"digest" doc:"Digest of the version before this one. Required from version 2 on."`
	Title            string            `key:"title" doc:"What people call the arrangement."`
	Language         Language          `key:"language,required" doc:"Language of the texts in it and of what is rendered from it."`
	Law              string            `key:"law,required" doc:"The law that applies: a country code or a jurisdiction by name."`
	TimeZone         string            `key:"time_zone,required" doc:"IANA name of the zone in which days, months and opening hours are counted."`
	Calendar         Calendar          `key:"calendar,required" doc:"The calendar of business days and public holidays: a country code, or country-region."`
	Term             *Term             `key:"term" doc:"How long the arrangement lasts." later:"terms and reminders"`
	Legal            *LegalTerms       `key:"legal_terms" doc:"General conditions and which text prevails."`
	Regimes          []Regime          `key:"regimes" doc:"Regulation the arrangement has to satisfy."`
	Application      Application       `key:"application,required" doc:"The application everything is about."`
	Parties          []Party           `key:"parties,required" doc:"The organisations and persons with a role. One of them is the supplier, at least one a beneficiary."`
	Authority        []Authority       `key:"authority" doc:"Who may do what for a party, from when until when, on what proof."`
	Parts            []Part            `key:"parts" doc:"The parts the text consists of: each has its own parties, readers, term and signatures. A party signs and sees only its parts."`
	Rights           []Right           `key:"rights" doc:"The legal grounds on which somebody may use an access or a material. A password is not a right."`
	HostUndertakings []HostUndertaking `key:"host_undertakings" doc:"What a host has promised for the time after a release." later:"the yearly re-confirmation"`
	Hosting          *Hosting          `key:"hosting" doc:"The account structure that stands in for the undertakings of a host that signs nothing, and where things are." later:"access probes"`
	Licences         []LicenceGrant    `key:"licences" doc:"The licences that were granted: for_each: licences runs over them." later:"licence continuity"`
	Environments     []Environment     `key:"environments" doc:"What runs at whom: versions and platforms that a release must serve." later:"licence continuity"`
	Modules          []Module          `key:"modules,required" doc:"What is held, watched or kept ready."`
	Verification     []Verification    `key:"verification" doc:"How deep, how often and at whose cost deposits are verified." later:"verification levels"`
	Keys             []Key             `key:"keys,required" doc:"The compartments: what is opened together, and by whom."`
	SLA              []SLA             `key:"sla" doc:"Service levels: availability, response times, support, credits." later:"SLA measuring"`
	StatusPage       *StatusPage       `key:"status_page" doc:"The public status page." later:"the status page"`
	Funds            []Fund            `key:"funds" doc:"Money set aside to keep the service running." later:"continuity payments"`
	Fees             []Fee             `key:"fees" doc:"What the arrangement costs, and what follows when it is not paid." later:"terms and reminders"`
	UseTerms         []UseTerms        `key:"use_terms" doc:"What a recipient may do with a material or licence after a release." later:"the full release procedure"`
	Usage            *Usage            `key:"usage" doc:"How the use of licences is counted." later:"licence continuity"`
	DepositTerms     *DepositTerms     `key:"deposit_terms" doc:"How soon after a new version of the software a deposit is due." later:"deposit deadlines"`
	AccessRights     []AccessRight     `key:"access_rights" doc:"Who may inspect records, reports and premises: regulators and auditors." later:"the regulator's view"`
	ExitPlans        []ExitPlan        `key:"exit_plans" doc:"The plans to leave, stressed and not." later:"governance"`
	Release          Release           `key:"release,required" doc:"What happens when the supplier falls away: events, stages, claims, notices, disputes."`
	ChangeOfParty    *ChangeOfParty    `key:"change_of_party" doc:"What happens when a party merges, leaves, is sold or is replaced." later:"changes of party"`
	ExportControl    *ExportControl    `key:"export_control" doc:"Export classification of the material." later:"the screening of recipients"`
	Liability        *Liability        `key:"liability" doc:"Caps and insurance." later:"terms and reminders"`
	Clauses          []Clause          `key:"clauses" doc:"Clauses in words, for what has no key of its own."`

	parties, licences map[string]int // by id; see index
}

// Language is a two-letter language code.
type Language string

// Words lists the languages documents can be rendered in.
func (Language) Words() []string { return []string{"nl", "en"} }

// Calendar names a calendar of business days.
type Calendar string

// Grammar describes the type.
func (Calendar) Grammar() quantity.Grammar {
	return quantity.Grammar{What: "a calendar: a country code, or country-region", Example: "nl", Pattern: `^[a-z]{2}(-[a-z]{2,3})?$`}
}

// Role is the role of a party.
type Role string

// Words lists the roles.
func (Role) Words() []string {
	var out []string
	for _, r := range escrow.Roles() {
		out = append(out, string(r))
	}
	return out
}

// Set is what for_each runs over.
type Set string

// The sets.
const (
	Beneficiaries Set = "beneficiaries"
	Licences      Set = "licences"
)

// Words lists the sets.
func (Set) Words() []string { return []string{string(Beneficiaries), string(Licences)} }

// Moment is when something begins or ends: signature, release (a hand-over),
// insolvency (of the party it is about), event/ID or stage/ID.
type Moment string

// Grammar describes the type.
func (Moment) Grammar() quantity.Grammar {
	return quantity.Grammar{What: "a moment: signature, release, insolvency, event/ID or stage/ID", Example: "stage/access", Pattern: `^(signature|release|insolvency|(event|stage)/[a-z0-9][a-z0-9_-]{0,39})$`}
}

// Truth is what a condition comes to when facts may be missing.
type Truth string

// The three truth values.
const (
	True    Truth = "true"
	False   Truth = "false"
	Unknown Truth = "unknown"
)

// Words lists the truth values.
func (Truth) Words() []string { return []string{string(True), string(False), string(Unknown)} }

// Term is how long something lasts.
type Term struct {
	Start        quantity.Date   `key:"start" doc:"First day."`
	End          quantity.Date   `key:"end" doc:"Last day; or say lasts."`
	Lasts        quantity.Period `key:"lasts" doc:"Length from the first day; or say end."`
	Renews       quantity.Period `key:"renews" doc:"By how much it goes on unless somebody gives notice."`
	Notice       quantity.Period `key:"notice" doc:"How long before the end notice must be given."`
	FirstDeposit quantity.Date   `key:"first_deposit_before" doc:"Day before which every module must have its first deposit."`
	PaidUntil    quantity.Date   `key:"paid_until" doc:"Last day that has been paid for."`
}

// LegalTerms is what the text stands among.
type LegalTerms struct {
	Conditions  string   `key:"general_conditions" doc:"General conditions that apply."`
	Prevailing  Language `key:"prevailing_language" doc:"The language that decides when translations differ."`
	RanksBefore []string `key:"ranks_before" doc:"Documents this text takes precedence over."`
}

// Regime is a regulation with what it asks of this arrangement.
type Regime struct {
	Name     string        `key:"name,required" doc:"Name of the regulation."`
	Entity   string        `key:"entity" doc:"The legal entity it binds, when it is one of a group."`
	Material bool          `key:"material" doc:"The outsourcing is material."`
	Notified quantity.Date `key:"notified" doc:"Day on which the regulator was told."`
	Rows     []string      `key:"register_rows" doc:"Rows of the register of information it appears in."`
}

// Liability is caps and insurance.
type Liability struct {
	Cap       quantity.Money `key:"cap" doc:"The most that is owed."`
	Insurance []Insurance    `key:"insurance" doc:"Insurance that is kept up."`
}

// Clause is a clause in words.
type Clause struct {
	ID    string `key:"id,required" is:"id" id:"clause" doc:"Id of the clause."`
	About string `key:"about,required" enum:"scope targets measuring support remedies security data_protection exclusions continuity other" doc:"What it is about."`
	Title string `key:"title,required" doc:"Its heading."`
	Text  string `key:"text,required" is:"text" doc:"Its words, in the language of the agreement. They are signed, but nothing acts on them."`
}

// Insurance is one policy.
type Insurance struct {
	Kind    string         `key:"kind,required" enum:"errors_and_omissions professional_indemnity cyber public_liability" doc:"What is insured."`
	Amount  quantity.Money `key:"amount" doc:"For how much."`
	Expires quantity.Date  `key:"expires" doc:"Last day of the cover."`
	Holder  string         `key:"holder" ref:"party" doc:"Whose insurance it is."`
}

// ExportControl is what export law says about the material.
type ExportControl struct {
	Classification  string `key:"classification,required" doc:"Classification number."`
	ScreenRecipient bool   `key:"screen_recipient" doc:"A recipient is screened before a release."`
}

// ChangeOfParty is what happens when the parties change.
type ChangeOfParty struct {
	Merger   string             `key:"merger" enum:"assumes new_agreement terminates" doc:"What a merged party's successor does."`
	Leaves   *BeneficiaryLeaves `key:"beneficiary_leaves" doc:"A beneficiary ends its accession."`
	Sold     *SupplierSold      `key:"supplier_sold" doc:"The supplier or the application changes hands."`
	Replaced *AgentReplaced     `key:"agent_replaced" doc:"Another agent takes over."`
}

// BeneficiaryLeaves is how a beneficiary leaves.
type BeneficiaryLeaves struct {
	DeleteData quantity.Period `key:"delete_data" doc:"How soon its data is destroyed and that is certified."`
}

// SupplierSold is how a sale is dealt with.
type SupplierSold struct {
	AssumeWithin quantity.Period `key:"assume_within" doc:"How soon the acquirer must assume the agreement."`
	ElseEvent    string          `key:"else_event" ref:"event" doc:"The event that is opened when it does not."`
}

// AgentReplaced is how the agent is replaced.
type AgentReplaced struct {
	Notice    quantity.Period `key:"notice" doc:"Notice to be given."`
	OrEvent   string          `key:"or_event" ref:"event" doc:"The event on which it happens without notice."`
	Successor string          `key:"successor" doc:"Who may follow."`
}

// Valid reports what is wrong with the text.
func (c Calendar) Valid() error {
	country, region, hasRegion := strings.Cut(string(c), "-")
	if lower(country, 2, 2) && (!hasRegion || lower(region, 2, 3)) {
		return nil
	}
	return fmt.Errorf("%q is not %s", string(c), c.Grammar().What)
}

func lower(s string, least, most int) bool {
	return len(s) >= least && len(s) <= most && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") == ""
}

// Valid reports what is wrong with the text.
func (m Moment) Valid() error {
	switch m {
	case "signature", "release", "insolvency":
		return nil
	}
	if kind, id, ok := strings.Cut(string(m), "/"); ok && (kind == "event" || kind == "stage") && bind.IsName(id) {
		return nil
	}
	return fmt.Errorf("%q is not %s", string(m), m.Grammar().What)
}
