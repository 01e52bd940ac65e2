package agreement

import (
	"fmt"
	"strings"

	"holdfast/internal/escrow/agreement/quantity"
	"holdfast/internal/escrow/agreement/yamltext"
)

// Release is what happens when the supplier falls away.
type Release struct {
	Claims  *Claims  `key:"claims" doc:"Who may claim, and how claims join." later:"the full release procedure"`
	Notices *Notices `key:"notices" doc:"How notice is given and when it counts as received." later:"the full release procedure"`
	Facts   []Fact   `key:"facts" doc:"Facts of the agreement's own that conditions may use, besides those Holdfast knows."`
	Stages  []Stage  `key:"stages,required" doc:"The steps of a release. Equal names of stages and compartments tie nothing: opens does."`
	Events  []Event  `key:"events,required" doc:"The release conditions."`
	Dispute *Dispute `key:"dispute" doc:"Who decides, and what holds meanwhile." later:"the full release procedure"`
	Returns *Returns `key:"returns" doc:"The way back." later:"the full release procedure"`
	Tests   []Test   `key:"tests" doc:"Cases the conditions are tried on before the agreement can be signed."`
}

// Claims is who may claim.
type Claims struct {
	By     []string  `key:"by,required,list" ref:"party =beneficiaries" doc:"Who may claim."`
	Join   string    `key:"join" enum:"one_case separate_cases" doc:"What a second claim on the same event does. Default one_case."`
	Decide *Decision `key:"decide" doc:"How the claimants decide together."`
}

// Decision is how several decide together.
type Decision struct {
	Of       []string `key:"of,required,list" ref:"party =beneficiaries" doc:"Who votes; one vote each."`
	Votes    int      `key:"votes" min:"1" doc:"How many votes it takes; or say majority."`
	Majority string   `key:"majority" enum:"simple two_thirds unanimous" doc:"How many votes it takes, as a share of those who can vote; or say votes."`
}

// Notices is how notice is given.
type Notices struct {
	Channels     []string                   `key:"channels,required,list" enum:"registered_letter letter email phone portal bailiff" doc:"How."`
	Presumed     quantity.Period            `key:"presumed_receipt" doc:"After how long a notice counts as received."`
	ByChannel    map[string]quantity.Period `key:"presumed_receipt_by" keys:"registered_letter letter email phone portal bailiff" doc:"The same, where it differs by channel."`
	OnInsolvency []string                   `key:"on_insolvency_also,list" ref:"party =curator" doc:"Who else is told when a party is insolvent."`
}

// Fact is a fact of the agreement's own: conditions read it as fact.ID().
type Fact struct {
	ID       string     `key:"id,required" is:"id" id:"fact" doc:"Id of the fact: lower-case letters, digits and _."`
	About    string     `key:"about,required" enum:"party component arrangement" doc:"What it is about: fact.ID(\"party\"), fact.ID(\"component\") or fact.ID()."`
	Kind     string     `key:"kind,required" enum:"truth number period text" doc:"What it is: fact.ID gives a truth value, a whole number, a period or a text."`
	Evidence []Evidence `key:"evidence,required,list" doc:"What proves it."`
	Doc      string     `key:"means,required" is:"text" doc:"What it means, in words."`
}

// Evidence is a class of evidence.
type Evidence string

// The classes of evidence.
const (
	PublicRegister     Evidence = "public_register"
	PublicNotice       Evidence = "public_notice"
	Judgement          Evidence = "judgement"
	JudgementCopy      Evidence = "judgement_copy"
	Measured           Evidence = "measured"
	WrittenStatement   Evidence = "written_statement"
	RegulatorDirection Evidence = "regulator_direction"
)

// Words lists the classes.
func (Evidence) Words() []string {
	return []string{string(PublicRegister), string(PublicNotice), string(Judgement), string(JudgementCopy),
		string(Measured), string(WrittenStatement), string(RegulatorDirection)}
}

// mayBeAutomatic reports whether a machine can establish this evidence.
func (e Evidence) mayBeAutomatic() bool { return e == PublicRegister || e == Measured }

// Decide is who decides that something goes ahead.
type Decide string

// The ways to decide.
const (
	ByPeople      Decide = "people"
	Automatically Decide = "automatic"
)

// Words lists the ways.
func (Decide) Words() []string { return []string{string(ByPeople), string(Automatically)} }

// Stage is one step of a release.
type Stage struct {
	ID         string          `key:"id,required" is:"id" id:"stage" doc:"Id of the stage."`
	ForEach    Set             `key:"for_each" doc:"One stage for each member of the set, with its own case."`
	Opens      []string        `key:"opens,list" ref:"compartment" doc:"Compartments it opens. A stage that opens nothing only tells, or pays."`
	To         []string        `key:"to,list" ref:"party =self =claimant =operator" doc:"For whom they are opened: a party, self, claimant, or operator (every party in that role)."`
	Pays       []string        `key:"pays,list" ref:"party module" doc:"Who is paid, or which hosting payments are taken over." later:"the full release procedure"`
	By         string          `key:"by" ref:"party" doc:"Whose people approve a stage that opens nothing." later:"the full release procedure"`
	Approvals  *int            `key:"approvals" doc:"How many approvals it takes. Default: the quorum of what it opens, else 0."`
	Audience   []string        `key:"audience,list" ref:"party =beneficiaries =self =claimant =operator" doc:"Who is told; beneficiaries means each by itself. Default: those it opens for, the supplier and the agent." later:"the full release procedure"`
	Reversible bool            `key:"reversible" doc:"It can be undone."`
	WayBack    string          `key:"way_back" is:"text" doc:"How it is undone."`
	Longest    quantity.Period `key:"longest" doc:"How long it lasts at most." later:"the full release procedure"`
	Extend     *Extension      `key:"extend" doc:"How it can be made to last longer." later:"the full release procedure"`
	Decide     Decide          `key:"decide" doc:"Who decides that it goes ahead. Default people; automatic only when reversible." later:"the full release procedure"`
	Requires   []string        `key:"requires,list" enum:"use_terms confidentiality processing_terms fees_paid recipient_screened" doc:"What the recipient must have accepted or done first." later:"the full release procedure"`
	Rights     []string        `key:"rights,list" ref:"right" doc:"The rights it rests on."`
	Cure       quantity.Period `key:"cure" doc:"Its own cure period, instead of the event's." later:"the full release procedure"`
	Contest    quantity.Period `key:"contest" doc:"Its own contest period, instead of the event's."`
	Note       string          `key:"note" is:"text" doc:"Remark."`
}

// Extension is how a stage is made to last longer.
type Extension struct {
	Decide Decision        `key:"decide,required" doc:"Who decides on it."`
	By     quantity.Period `key:"by" doc:"By how much at a time. Default: as long as the stage."`
}

// Event is a release condition.
type Event struct {
	ID         string          `key:"id,required" is:"id" id:"event" doc:"Id of the event."`
	ForEach    Set             `key:"for_each" doc:"One event for each member of the set; the condition says self."`
	For        string          `key:"for" ref:"party licence" doc:"The one beneficiary or licence it concerns: only its instances of the stages are run."`
	When       string          `key:"when,required" is:"expression" doc:"The condition: a CEL expression over facts. It opens a case when it is true; unknown is not true." later:"the watching of facts: until then people open the cases"`
	Evidence   []Evidence      `key:"evidence,required,list" doc:"What must prove it; all of it."`
	AcceptAlso []Evidence      `key:"accept_also,list" doc:"What is accepted in its place." later:"the full release procedure"`
	Decide     Decide          `key:"decide" doc:"Who decides that the stages begin. Default people; automatic only with public_register or measured evidence and reversible stages." later:"the full release procedure"`
	Cure       quantity.Period `key:"cure" doc:"How long the supplier has to put it right. Default none." later:"the full release procedure"`
	Contest    quantity.Period `key:"contest" doc:"How long it can be contested. Default none."`
	Audience   []string        `key:"audience,list" ref:"party =beneficiaries =self =claimant =operator" doc:"Who is told of the event itself, besides those its stages tell." later:"the full release procedure"`
	Requires   []string        `key:"requires,list" enum:"use_terms confidentiality processing_terms fees_paid recipient_screened" doc:"What a claimant must have accepted or done, besides what the stages require." later:"the full release procedure"`
	Longest    quantity.Period `key:"longest" doc:"How long its stages last at most, where that is shorter than their own." later:"the full release procedure"`
	Within     quantity.Period `key:"approvals_within" doc:"How soon the approvals must be given." later:"the full release procedure"`
	Rapid      bool            `key:"rapid" doc:"It cannot wait for office hours." later:"the full release procedure"`
	Warning    bool            `key:"warning_only" doc:"It only warns: its stages open and pay nothing."`
	Stages     []string        `key:"stages,required,list" ref:"stage" doc:"The stages it leads to, in order."`
	WhyNot     string          `key:"why_not_insolvency_alone" is:"text" doc:"Why the condition asks for more than insolvency, and on whose advice."`
	Note       string          `key:"note" is:"text" doc:"Remark."`
}

// Dispute is who decides.
type Dispute struct {
	Forum     string   `key:"forum,required" doc:"Who decides."`
	Urgent    string   `key:"urgent_forum" doc:"Who decides when it cannot wait."`
	HoldBy    []string `key:"hold_by,list" ref:"party =court" doc:"Who can hold a release."`
	OnSilence string   `key:"on_silence,required" enum:"keep_running refuse release" doc:"What holds when nobody decides."`
}

// Returns is the way back.
type Returns struct {
	CureWithin  quantity.Period `key:"return_within" doc:"How soon everything goes back after a cure."`
	Certificate bool            `key:"certificate" doc:"Its destruction is certified."`
	Cost        string          `key:"cost" enum:"claimant supplier claimant_if_false_alarm each_its_own" doc:"Who pays for it."`
}

// Test is a case a condition is tried on.
type Test struct {
	Name   string                 `key:"name" doc:"What the case is."`
	Event  string                 `key:"event,required" ref:"event" doc:"The event it is about."`
	For    string                 `key:"for" ref:"party licence" doc:"The instance of an event with for_each."`
	At     quantity.Instant       `key:"at" doc:"The moment at which it is tried; bd() needs it."`
	Facts  map[string][]FactValue `key:"facts,required" doc:"The facts that are known, such as insolvency.leverancier: [bankruptcy]. Facts that are not in it are unknown."`
	Expect Truth                  `key:"expect,required" doc:"What the condition must come to."`
}

// FactValue is one value of a fact in a test: a word, a truth value, a whole
// number, a period, or unknown.
type FactValue string

// Grammar describes the type.
func (FactValue) Grammar() quantity.Grammar {
	return quantity.Grammar{What: "the value of a fact: a word, true, false, a whole number, a period, or unknown", Example: "bankruptcy"}
}

// Valid reports what is wrong with the text. What it means depends on the
// fact and is checked with the conditions.
func (v FactValue) Valid() error {
	text := string(v)
	switch yamltext.Ambiguous(text) {
	case "", "true or false", "a number":
		if text == strings.TrimSpace(text) && text != "" && len(text) <= 200 {
			return nil
		}
	}
	return fmt.Errorf("%q is not %s", text, v.Grammar().What)
}
