package cond

import "slices"

// What an argument of a function names.
type argument string

const (
	party     argument = "party"
	component argument = "component"
	licence   argument = "licence"
	module    argument = "module"
	service   argument = "service"
	period    argument = "period"
	word      argument = "word"     // an id such as will_not_perform
	moment    argument = "moment"   // such as case.in_force
	source    argument = "source"   // such as heartbeat.leverancier
	priority  argument = "priority" // P1 to P5
)

// Kind is what a fact is.
type Kind string

// The kinds of fact.
const (
	Truth  Kind = "truth"
	Number Kind = "number"
	Period Kind = "period"
	Text   Kind = "text"
	Words  Kind = "words" // a set of words, such as the proceedings a party is in
)

// Function is one fact that conditions can read.
type Function struct {
	Name string
	Args []string // what the arguments name
	Kind Kind     // what the function gives
	Doc  string
	// Own says that the fact comes from Holdfast's own records: what is not
	// recorded has not happened, so it is known to be false or zero. Every
	// other fact is an observation: what nobody observed is unknown.
	Own bool

	args []argument
	// key says under which name the fact is kept; "" means the function's
	// own name. A word function looks for its last argument in the words
	// kept under the others.
	key    string
	inside bool
}

// Functions lists the facts every agreement can use, in the order of the
// manual. It returns fresh values.
func Functions() []Function {
	fs := []Function{
		{Name: "insolvency", args: []argument{party}, Kind: Words, Doc: "The insolvency proceedings the party is in, by its public registers; ask insolvency(p).has(\"bankruptcy\"). An empty list is a party that the registers know to be in none."},
		{Name: "register.insolvency", args: []argument{party}, Kind: Text, key: "insolvency", Doc: "The latest of the same proceedings as one word, or \"none\"."},
		{Name: "gazette.notice", args: []argument{party, word}, Kind: Truth, inside: true, Doc: "A notice of this kind about the party has been published."},
		{Name: "heartbeat.age", args: []argument{party}, Kind: Period, Doc: "How long ago the party last gave a sign of life."},
		{Name: "sla.down", args: []argument{component}, Kind: Period, Doc: "How long the component has been down without interruption; zero when it is up."},
		{Name: "sla.disrupted", args: []argument{component, period}, Kind: Truth, Doc: "The component has been down for at least this long in all within the last 24 hours."},
		{Name: "outside_tolerance", args: []argument{service}, Kind: Truth, Doc: "The business service has been interrupted for longer than its impact tolerance."},
		{Name: "licence.grace_left", args: []argument{licence}, Kind: Period, Doc: "How long the software goes on running before the licence must be confirmed."},
		{Name: "release.age", args: []argument{module}, Kind: Period, Doc: "How long ago the module's software was last released."},
		{Name: "tickets.unanswered", args: []argument{priority, period}, Kind: Number, Doc: "How many tickets of this priority have had no answer for at least this long."},
		{Name: "unknown_for", args: []argument{source}, Kind: Period, Doc: "How long nothing has been known from a source, such as heartbeat.leverancier, sla.portaal or insolvency.leverancier."},
		{Name: "statement", args: []argument{party, word}, Kind: Truth, Own: true, inside: true, Doc: "The party has stated this in writing, and the statement is on record."},
		{Name: "statement.age", args: []argument{party, word}, Kind: Period, Own: true, Doc: "How long ago it stated that; zero when it did not."},
		{Name: "contact_attempts", args: []argument{party, period}, Kind: Number, Own: true, Doc: "How many attempts to reach the party within this time are on record without an answer."},
		{Name: "age", args: []argument{moment}, Kind: Period, Own: true, Doc: "How long ago a moment of the case was: case.opened, case.noticed, case.contested or case.in_force; zero when it has not come."},
	}
	for i := range fs {
		for _, a := range fs[i].args {
			fs[i].Args = append(fs[i].Args, string(a))
		}
	}
	return fs
}

// Moments lists what age can be asked about.
func Moments() []string {
	return []string{"case.opened", "case.noticed", "case.contested", "case.in_force"}
}

// sources lists what can fall silent, with what its name goes on with.
func sources() map[string]argument {
	return map[string]argument{
		"heartbeat": party, "insolvency": party, "gazette": party,
		"sla": component, "licence": licence, "release": module, "service": service,
	}
}

// Proceedings lists the insolvency proceedings that registers are read into.
func Proceedings() []string {
	return []string{
		// Netherlands
		"bankruptcy", "suspension_of_payments", "debt_rescheduling", "private_composition",
		// United Kingdom
		"in_administration", "administration_order", "administrative_receivership", "receivership", "receiver_manager",
		"compulsory_liquidation", "creditors_voluntary_liquidation", "members_voluntary_liquidation",
		"corporate_voluntary_arrangement", "moratorium", "restructuring_plan", "provisional_liquidator",
		// Germany, Belgium, France
		"insolvency_opened", "provisional_insolvency", "judicial_reorganisation", "safeguard", "judicial_liquidation",
		// United States
		"chapter_7", "chapter_11", "chapter_15",
		// anywhere
		"liquidation", "dissolved", "none",
	}
}

func names(fs []Function) []string {
	out := make([]string, len(fs))
	for i, f := range fs {
		out[i] = f.Name
	}
	slices.Sort(out)
	return out
}
