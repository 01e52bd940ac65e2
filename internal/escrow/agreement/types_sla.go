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
	Remedies     []Remedy        `key:"remedies" doc:"What else follows when it is missed: other than money."`
	Holidays     string          `key:"holidays" enum:"closed open" doc:"Whether public holidays are outside service and support hours. Default closed; 24x7 has none."`
	AlsoClosed   []quantity.Date `key:"closed_on,list" doc:"Days that are outside those hours besides the calendar's."`
	AlsoOpen     []quantity.Date `key:"open_on,list" doc:"Public holidays on which those hours go on all the same."`
}

// Availability is how much of the time something must be available.
type Availability struct {
	Uptime      quantity.Percent  `key:"uptime,required" doc:"The promise."`
	Period      string            `key:"period,required" enum:"calendar_month calendar_quarter billing_cycle rolling_30d rolling service_year" doc:"Over what it is counted."`
	Starts      quantity.MonthDay `key:"period_starts" doc:"Day on which a quarter, billing cycle or service year begins; of a billing cycle only its day counts. Default 01-01."`
	Window      quantity.Period   `key:"window" doc:"Length of a rolling period."`
	TimeZone    string            `key:"time_zone" doc:"IANA name of the zone in which the period is counted. Default that of the agreement."`
	Hours       quantity.Hours    `key:"service_hours" doc:"When it must be available. Default 24x7."`
	Measure     string            `key:"measure,required" enum:"time error_rate error_minutes executions" doc:"What is counted: seconds down, the mean error rate per interval, minutes above an error rate, or failed executions."`
	Interval    quantity.Period   `key:"interval" doc:"Length of an interval of error_rate or error_minutes. Default of error_minutes 1m."`
	Threshold   quantity.Percent  `key:"error_threshold" doc:"Error rate above which a minute counts as down; exactly this much does not."`
	MinRequests int               `key:"min_requests" min:"1" doc:"Fewer requests in an interval do not count."`
	Empty       string            `key:"empty_interval" enum:"counts_as_up left_out" doc:"What an interval without requests is."`
	MinOutage   quantity.Period   `key:"min_outage" doc:"Shorter outages do not count; tested on the whole outage, before a month cuts it."`
	PartMinutes string            `key:"partial_minutes" enum:"count drop" doc:"Whether a begun minute counts."`
	Gaps        string            `key:"gaps" enum:"left_out count_as_up count_as_down" doc:"What time is that nobody measured. Default left_out."`
	Denominator string            `key:"denominator" enum:"whole_period without_exclusions" doc:"What the uptime is a share of. Default whole_period; service hours narrow either."`
	Rounding    string            `key:"rounding" enum:"none half_up_0 half_up_1 half_up_2 half_up_3 half_up_4 truncate_0 truncate_1 truncate_2 truncate_3 truncate_4" doc:"How the figure is rounded before a tier is chosen. Default none."`
	Exclusions  []Exclusion       `key:"exclusions" doc:"Time that does not count as down."`
	Disputable  quantity.Period   `key:"disputable_within" doc:"How long a figure can be disputed."`
}

// Exclusion is time that does not count as down.
type Exclusion struct {
	Kind     string          `key:"kind,required" enum:"planned_maintenance emergency_maintenance force_majeure customer_fault third_party beta misuse single_host" doc:"Why."`
	Notice   quantity.Period `key:"notice" doc:"How long before it must be announced."`
	Most     quantity.Period `key:"at_most" doc:"How much of it may be excluded in a period: time down, or, where the denominator is without_exclusions, time announced."`
	MostIn   string          `key:"at_most_in" enum:"period calendar_month calendar_quarter calendar_year" doc:"Over what at_most and at_most_times are counted. Default period."`
	Times    int             `key:"at_most_times" min:"1" doc:"How many of them may be excluded in that time."`
	Standing bool            `key:"standing" doc:"The windows are agreed for good: none of them is announced. Default false."`
	Windows  quantity.Hours  `key:"windows" doc:"When it may be."`
	Evidence string          `key:"evidence" doc:"What must prove it."`
	Approver string          `key:"approver" ref:"party" doc:"Who accepts it."`
	Except   []string        `key:"except,list" ref:"party" doc:"Parties whose failures count all the same, such as the host."`
}

// Probe is how availability is measured.
type Probe struct {
	Every     quantity.Period `key:"every,required" doc:"How often."`
	From      []string        `key:"from,list" doc:"From which locations."`
	By        string          `key:"by" ref:"party" doc:"Who measures."`
	Truth     []string        `key:"truth,list" ref:"party" doc:"Whose figures decide."`
	Quorum    string          `key:"quorum" enum:"any majority all" doc:"How many locations must agree that it is down. Default majority."`
	Agree     int             `key:"agree" min:"1" doc:"The same as a number, in place of quorum."`
	Timeout   quantity.Period `key:"timeout" doc:"After how long without an answer a check has failed."`
	Redirects string          `key:"redirects" enum:"followed failed" doc:"Whether an answer that points elsewhere is followed, or is itself a failure. Default followed."`
}

// Latency is how fast something must be.
type Latency struct {
	P50 quantity.Period `key:"p50" doc:"Half of the answers."`
	P95 quantity.Period `key:"p95" doc:"95 of 100."`
	P99 quantity.Period `key:"p99" doc:"99 of 100."`
}

// Credits is what is owed when a level is missed: by tiers or by a formula.
type Credits struct {
	Tiers       []Tier           `key:"tiers" doc:"The credit by how far the promise was missed, from the promise down; or say formula."`
	Formula     *CreditFormula   `key:"formula" doc:"The credit computed from the time it was down; or say tiers."`
	Base        *CreditBase      `key:"base,required" doc:"What the credit is a share of."`
	Cap         quantity.Percent `key:"cap,required" doc:"The most that is credited, as a share of the base."`
	CapOf       string           `key:"cap_of" enum:"base invoice" doc:"What the cap is a share of. Default base."`
	Ceiling     *CreditCeiling   `key:"ceiling" doc:"The most that is credited over a longer time."`
	ClaimWithin quantity.Period  `key:"claim_within,required" doc:"How long it can be claimed."`
	ClaimFrom   string           `key:"claim_from" enum:"period_end incident_end" doc:"From when that counts: the end of the period, or of the first outage that counted. Default period_end."`
	ClaimTo     string           `key:"claim_to" doc:"Where it is claimed."`
	ClaimNeeds  []string         `key:"claim_needs,list" doc:"What a claim must contain."`
	Answer      quantity.Period  `key:"answer_within" doc:"How soon a claim must be answered."`
	Remedy      string           `key:"remedy" enum:"credit refund credit_or_refund" doc:"In what form. Default credit."`
	Minimum     quantity.Money   `key:"minimum" doc:"Less than this is not paid."`
}

// Tier is one step of the credits: a range of uptimes with its credit. Each
// side says whether it includes its bound. A tier without a lower side goes
// down to the next tier's, the last one to 0%.
type Tier struct {
	Below  quantity.Percent `key:"below" doc:"Uptime below this, unrounded; or say up_to."`
	UpTo   quantity.Percent `key:"up_to" doc:"Uptime of this or less; or say below."`
	From   quantity.Percent `key:"from" doc:"Uptime of this or more. Default down to the next step."`
	Above  quantity.Percent `key:"above" doc:"Uptime above this; instead of from."`
	Credit quantity.Percent `key:"credit,required" doc:"What is credited."`
}

// CreditFormula computes a credit from the time that counted as down: a
// multiple of the fee for that time, or a share of the base for each unit.
type CreditFormula struct {
	Multiple int              `key:"multiple" min:"1" doc:"So many times the fee for the time it was down; or say each and credit."`
	Each     quantity.Period  `key:"each" doc:"A unit of time down."`
	Credit   quantity.Percent `key:"credit" doc:"What is credited for each such unit."`
	Begun    bool             `key:"begun" doc:"A begun unit counts as a whole one. Default false."`
	Beyond   bool             `key:"beyond_promise" doc:"Only time down beyond what the promise allows counts. Default false."`
	Affected bool             `key:"weigh_affected" doc:"Time down counts by the share of users it affected. Default false."`
}

// CreditCeiling limits credits over several periods.
type CreditCeiling struct {
	Months int             `key:"months,required" min:"1" doc:"So many months' fees at most."`
	In     quantity.Period `key:"in,required" doc:"Within this time."`
}

// CreditBase is what credits are a share of.
type CreditBase struct {
	Fee   quantity.Rate `key:"fee,required" doc:"The fee, without one-off fees."`
	Share string        `key:"share" enum:"affected_service affected_component whole_fee" doc:"Which part of it. Default affected_service."`
	Payer string        `key:"payer" ref:"party =self" doc:"Who pays the fee and receives the credit. Default the customer."`
	For   []FeeOf       `key:"for" doc:"Customers that pay another fee."`
}

// FeeOf is the fee of one customer.
type FeeOf struct {
	Of    string        `key:"of,required" ref:"party" doc:"The customer."`
	Fee   quantity.Rate `key:"fee,required" doc:"What is paid for it."`
	Payer string        `key:"payer" ref:"party" doc:"Who pays it and receives the credit. Default the customer."`
}

// Remedy is what follows a miss besides money.
type Remedy struct {
	Kind   string           `key:"kind,required" enum:"refund extension upgrade extra_support improvement_plan termination" doc:"What."`
	Misses int              `key:"misses" min:"1" doc:"After how many missed periods. Default 1."`
	In     quantity.Period  `key:"in" doc:"Within how long. Default in that period alone."`
	Below  quantity.Percent `key:"below" doc:"Only when uptime was below this. Default the promise."`
	Length quantity.Period  `key:"length" doc:"How much longer, or how much support."`
	What   string           `key:"what" doc:"In words."`
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
