package agreement

import "holdfast/internal/escrow/agreement/quantity"

// SLA is one set of service levels.
type SLA struct {
	ID           string          `key:"id,required" is:"id" id:"sla" doc:"Id of the service level."`
	ForEach      Set             `key:"for_each" doc:"One for each member of the set."`
	Component    string          `key:"component" ref:"component" doc:"The component it is about. Required for everything but support."`
	Availability *Availability   `key:"availability" doc:"How much of the time it must be available."`
	Probe        *Probe          `key:"probe" doc:"How that is measured."`
	ResponseTime *Latency        `key:"response_time" doc:"How fast it must answer."`
	Support      *Support        `key:"support" doc:"How help is given, and how soon."`
	Credits      *Credits        `key:"credits" doc:"What is owed when it is missed."`
	Terminate    *TerminateAfter `key:"terminate_after" doc:"After how many misses the customer may leave."`
}

// Availability is how much of the time something must be available.
type Availability struct {
	Uptime      quantity.Percent `key:"uptime,required" doc:"The promise."`
	Period      string           `key:"period,required" enum:"calendar_month calendar_quarter billing_cycle rolling_30d service_year" doc:"Over what it is counted."`
	Hours       quantity.Hours   `key:"service_hours" doc:"When it must be available. Default 24x7."`
	Measure     string           `key:"measure,required" enum:"time error_rate error_minutes executions" doc:"What is counted: seconds down, the mean error rate per interval, minutes above an error rate, or failed executions."`
	Interval    quantity.Period  `key:"interval" doc:"Length of an interval of error_rate."`
	Threshold   quantity.Percent `key:"error_threshold" doc:"Error rate above which a minute counts as down; exactly this much does not."`
	MinRequests int              `key:"min_requests" min:"1" doc:"Fewer requests in an interval do not count."`
	Empty       string           `key:"empty_interval" enum:"counts_as_up left_out" doc:"What an interval without requests is."`
	MinOutage   quantity.Period  `key:"min_outage" doc:"Shorter outages do not count; tested on the whole outage, before a month cuts it."`
	PartMinutes string           `key:"partial_minutes" enum:"count drop" doc:"Whether a begun minute counts."`
	Gaps        string           `key:"gaps" enum:"left_out count_as_up count_as_down" doc:"What time is that nobody measured. Default left_out."`
	Denominator string           `key:"denominator" enum:"whole_period without_exclusions" doc:"What the uptime is a share of. Default whole_period; service hours narrow either."`
	Rounding    string           `key:"rounding" enum:"none half_up_2 truncate_2" doc:"How the figure is rounded before a tier is chosen. Default none."`
	Exclusions  []Exclusion      `key:"exclusions" doc:"Time that does not count as down."`
	Disputable  quantity.Period  `key:"disputable_within" doc:"How long a figure can be disputed."`
}

// Exclusion is time that does not count as down.
type Exclusion struct {
	Kind     string          `key:"kind,required" enum:"planned_maintenance emergency_maintenance force_majeure customer_fault third_party beta misuse" doc:"Why."`
	Notice   quantity.Period `key:"notice" doc:"How long before it must be announced."`
	Most     quantity.Period `key:"at_most" doc:"How much of it may be excluded in a period."`
	Windows  quantity.Hours  `key:"windows" doc:"When it may be."`
	Evidence string          `key:"evidence" doc:"What must prove it."`
	Approver string          `key:"approver" ref:"party" doc:"Who accepts it."`
	Except   []string        `key:"except,list" ref:"party" doc:"Parties whose failures count all the same, such as the host."`
}

// Probe is how availability is measured.
type Probe struct {
	Every  quantity.Period `key:"every,required" doc:"How often."`
	From   []string        `key:"from,list" doc:"From which locations."`
	By     string          `key:"by" ref:"party" doc:"Who measures."`
	Truth  []string        `key:"truth,list" ref:"party" doc:"Whose figures decide."`
	Quorum string          `key:"quorum" enum:"any majority all" doc:"How many locations must agree that it is down. Default majority."`
}

// Latency is how fast something must be.
type Latency struct {
	P50 quantity.Period `key:"p50" doc:"Half of the answers."`
	P95 quantity.Period `key:"p95" doc:"95 of 100."`
	P99 quantity.Period `key:"p99" doc:"99 of 100."`
}

// Credits is what is owed when a level is missed.
type Credits struct {
	Tiers       []Tier           `key:"tiers,required" doc:"The credit by how far the promise was missed, from the promise down."`
	Base        *CreditBase      `key:"base,required" doc:"What the credit is a share of."`
	Cap         quantity.Percent `key:"cap,required" doc:"The most that is credited, as a share of the base."`
	ClaimWithin quantity.Period  `key:"claim_within,required" doc:"How long it can be claimed."`
	Remedy      string           `key:"remedy" enum:"credit refund credit_or_refund" doc:"In what form. Default credit."`
	Minimum     quantity.Money   `key:"minimum" doc:"Less than this is not paid."`
}

// Tier is one step of the credits.
type Tier struct {
	Below  quantity.Percent `key:"below,required" doc:"Uptime below this, unrounded."`
	Credit quantity.Percent `key:"credit,required" doc:"What is credited."`
}

// CreditBase is what credits are a share of.
type CreditBase struct {
	Fee   quantity.Rate `key:"fee,required" doc:"The fee."`
	Share string        `key:"share" enum:"affected_service affected_component whole_fee" doc:"Which part of it. Default affected_service."`
}

// TerminateAfter is when the customer may leave.
type TerminateAfter struct {
	Misses int             `key:"misses,required" min:"1" doc:"How many periods were missed."`
	In     quantity.Period `key:"in,required" doc:"Within how long."`
}

// Support is how help is given.
type Support struct {
	Channels   []string            `key:"channels,list" enum:"phone email portal chat" doc:"How help is asked for."`
	Hours      quantity.Hours      `key:"hours" doc:"When."`
	Levels     []string            `key:"levels,list" doc:"Levels of support that are offered."`
	Priorities map[string]Priority `key:"priorities" keys:"p1 p2 p3 p4 p5" doc:"How soon, by priority."`
}

// Priority is how soon help comes.
type Priority struct {
	Response   quantity.Period `key:"response" doc:"Until somebody answers."`
	Update     quantity.Period `key:"update" doc:"Between two messages."`
	Workaround quantity.Period `key:"workaround" doc:"Until there is a way around it."`
	Resolution quantity.Period `key:"resolution" doc:"Until it is solved."`
	Clock      string          `key:"clock" enum:"support_hours 24x7" doc:"Which hours count. Default support_hours."`
}

// StatusPage is the public status page.
type StatusPage struct {
	URL        string     `key:"url" is:"url" doc:"Where it is."`
	Languages  []Language `key:"languages,list" doc:"In which languages."`
	Components []string   `key:"components,list" ref:"component" doc:"What it shows. Default all."`
	ExportTo   string     `key:"export_to" is:"url" doc:"Another host that carries a static copy."`
}

// Fund is money set aside.
type Fund struct {
	Holder        string          `key:"holder,required" ref:"party" doc:"Who holds it."`
	Covers        quantity.Period `key:"covers" doc:"How long it keeps the service running."`
	Contributions []Contribution  `key:"contributions" doc:"Who pays into it."`
	FeesDuring    string          `key:"fees_during_step_in" enum:"to_foundation_with_curator_consent to_curator to_escrow to_operator" doc:"Where the users' fees go while the service is kept running."`
}

// Contribution is a payment into a fund.
type Contribution struct {
	From   []string      `key:"from,required,list" ref:"party =beneficiaries" doc:"Who pays; beneficiaries means each."`
	Amount quantity.Rate `key:"amount,required" doc:"How much."`
}

// Fee is what the arrangement costs.
type Fee struct {
	What    string        `key:"what,required" is:"id" doc:"What for."`
	Payer   []string      `key:"payer,required,list" ref:"party =beneficiaries" doc:"Who pays; beneficiaries means each."`
	Amount  quantity.Rate `key:"amount,required" doc:"How much."`
	Arrears *Arrears      `key:"arrears" doc:"What follows when it is not paid."`
}

// Arrears is what follows when a fee is not paid.
type Arrears struct {
	MaySuspend bool `key:"may_suspend" doc:"The agent may stop. Default false: never."`
	MayCure    bool `key:"beneficiary_may_cure" doc:"A beneficiary may pay in the payer's place."`
}

// UseTerms is what a recipient may do after a release.
type UseTerms struct {
	ID             string   `key:"id,required" is:"id" id:"use_terms" doc:"Id of the terms."`
	Licence        string   `key:"licence" ref:"licence" doc:"The licence they are about; or say stage."`
	Stage          string   `key:"stage" ref:"stage" doc:"The stage they are about; or say licence."`
	Allows         []string `key:"allows,required,list" enum:"use maintain host move_host modify build" doc:"What may be done."`
	OwnUseOnly     bool     `key:"own_use_only" doc:"Only for the recipient's own business."`
	MaySubcontract []string `key:"may_subcontract,list" doc:"To whom work may be given."`
	Perpetual      bool     `key:"perpetual" doc:"They do not end."`
	Ends           *UseEnds `key:"ends" doc:"When they end."`
	Pays           *UsePays `key:"pays" doc:"What is paid for it."`
}

// UseEnds is when terms of use end: whichever comes first.
type UseEnds struct {
	Date quantity.Date `key:"date" doc:"On this day."`
	On   []string      `key:"when,list" enum:"successor_assumes cured migrated licence_ends" doc:"When this happens."`
}

// UsePays is what is paid for use after a release.
type UsePays struct {
	To     string `key:"to,required" enum:"curator_or_assignee ip_holder supplier" doc:"To whom."`
	Amount string `key:"amount,required" enum:"as_before maintenance_part nothing" doc:"How much."`
	Else   string `key:"otherwise" enum:"into_escrow to_fund nothing" doc:"Where it goes when nobody can take it."`
}
