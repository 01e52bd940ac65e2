// Package retention decides which deposits of a module may go and says of each
// that stays why it does. It is pure: it imports the standard library only,
// and is given deposits, policy, holds and the time.
package retention

import (
	"fmt"
	"slices"
	"time"
)

// Until is the end of a period that begins at a time, such as 10 years by an
// agreement's calendar.
type Until func(from time.Time) time.Time

// Policy is how long the deposits of a module are kept. The zero policy keeps
// everything for ever.
type Policy struct {
	// Versions is how many of the newest good deposits stay; 0 does not
	// protect by count.
	Versions int
	// For is how long a deposit stays at least; nil does not protect by age.
	For Until
	// Level is what a deposit must have been verified to for the newest such
	// to stay whatever its age; 0 means 1.
	Level int
	// MaxAge is how long personal data may be kept at most; nil for material
	// that may be kept for ever. After it nothing but a legal hold protects.
	MaxAge Until
	// EndsAt is when everything of the module must be gone, zero for never: the
	// end of the contract and the time it gives for that.
	EndsAt time.Time
}

// Keeps reports whether the policy keeps everything for ever.
func (p Policy) Keeps() bool { return p.Versions == 0 && p.For == nil }

// Deposit is what the decision looks at.
type Deposit struct {
	Number    int
	Full      bool
	At        time.Time // when it was accepted
	Level     int       // highest verification it passed
	Suspect   bool      // marked and not released
	Destroyed bool
	Running   []string // beneficiaries that run it
	Holds     []string // active legal holds that cover it, in words
}

// Why names a reason.
type Why string

// Why a deposit stays.
const (
	Held         Why = "legal_hold"    // a legal hold covers it
	NoPolicy     Why = "no_policy"     // nothing says that it may ever go
	Recent       Why = "versions"      // it is among the newest good ones
	Young        Why = "age"           // it has not been kept as long as agreed
	LastVerified Why = "last_verified" // it is the newest good one that passed verification
	LastGood     Why = "last_good"     // it is the newest good one
	Runs         Why = "running"       // a beneficiary runs it
	Aside        Why = "suspect"       // it, or one before it, looks wrong and nobody has said otherwise
	Needed       Why = "needed"        // a deposit that stays builds on it
)

// Why a deposit goes.
const (
	Gone      Why = "destroyed"       // it has gone already
	Expired   Why = "retention"       // nothing protects it any more
	OverTerm  Why = "personal_data"   // personal data may not be kept longer
	OfOver    Why = "built_on_over"   // it builds on one that is over its term
	AfterEnd  Why = "end_of_contract" // the contract has ended
	Unopening Why = "unrestorable"    // what it builds on is gone: nobody can open it
)

// Reason is why a deposit stays or goes, with what a person wants to know.
type Reason struct {
	Why  Why
	Text string
}

// Verdict is the decision about one deposit.
type Verdict struct {
	Number int
	// Keep says that it may not be destroyed. The deposit that stays only
	// because of a term can have Due set as well.
	Keep bool
	// Due says that it must be destroyed: a lawful term or the contract's end
	// has passed. With Keep it is overdue, and the reasons say what stands in
	// the way.
	Due bool
	// Restorable says that everything it builds on is there.
	Restorable bool
	Reasons    []Reason
}

// Has reports whether the verdict gives the reason.
func (v Verdict) Has(w Why) bool {
	return slices.ContainsFunc(v.Reasons, func(r Reason) bool { return r.Why == w })
}

// Decide returns the verdict on each deposit of one module, which are given in
// the order of their numbers, the first being FULL.
//
// A chain is a FULL deposit with the INCREMENTAL ones up to the next FULL: to
// open one of them takes all before it in the chain. So what stays keeps
// those before it.
func Decide(deposits []Deposit, p Policy, now time.Time) []Verdict {
	d := &decision{deposits: deposits, policy: p, now: now, verdicts: make([]Verdict, len(deposits)), chain: chains(deposits)}
	d.terms()
	d.protect()
	d.needed()
	d.rest()
	return d.verdicts
}

type decision struct {
	deposits []Deposit
	policy   Policy
	now      time.Time
	verdicts []Verdict
	chain    []int // index of the FULL one of each deposit's chain
}

// chains gives each deposit the index of the FULL one it builds on.
func chains(deposits []Deposit) []int {
	out := make([]int, len(deposits))
	at := 0
	for i, d := range deposits {
		if d.Full {
			at = i
		}
		out[i] = at
	}
	return out
}

// terms finds what is over a lawful term, and what can be opened.
func (d *decision) terms() {
	broken := false
	for i, x := range d.deposits {
		v := &d.verdicts[i]
		v.Number = x.Number
		if x.Full {
			broken = false
		}
		broken = broken || x.Destroyed
		v.Restorable = !broken
		if x.Destroyed {
			v.Reasons = append(v.Reasons, Reason{Gone, "its objects were destroyed"})
			continue
		}
		switch end, over := d.over(x); {
		case over && end.Equal(d.policy.EndsAt):
			v.Due = true
			v.Reasons = append(v.Reasons, Reason{AfterEnd, "the contract asks that it be gone since " + day(end)})
		case over:
			v.Due = true
			v.Reasons = append(v.Reasons, Reason{OverTerm, "personal data may not be kept beyond " + day(end)})
		}
	}
	// Where a newer chain has begun, what builds on material that is over its
	// term goes with it: the newer chain holds what is to be held.
	for i := range d.deposits {
		root := d.chain[i]
		if v := &d.verdicts[i]; !v.Due && !d.deposits[i].Destroyed && d.verdicts[root].Due && d.superseded(root) {
			v.Due = true
			v.Reasons = append(v.Reasons, Reason{OfOver, fmt.Sprintf("it builds on deposit %d, which is over its term", d.deposits[root].Number)})
		}
	}
}

// over returns the end of the term that has passed first.
func (d *decision) over(x Deposit) (time.Time, bool) {
	var end time.Time
	if d.policy.MaxAge != nil {
		end = d.policy.MaxAge(x.At)
	}
	if e := d.policy.EndsAt; !e.IsZero() && (end.IsZero() || e.Before(end)) {
		end = e
	}
	return end, !end.IsZero() && !d.now.Before(end)
}

// superseded reports whether a good FULL deposit came after a chain's.
func (d *decision) superseded(root int) bool {
	for i := root + 1; i < len(d.deposits); i++ {
		if x := d.deposits[i]; x.Full && !x.Destroyed && d.good(i) && !d.verdicts[i].Due {
			return true
		}
	}
	return false
}

// good reports whether a deposit counts as a version: neither it nor any
// before it is under suspicion, since what comes after a bad change holds the
// bad change; and it can be opened.
func (d *decision) good(i int) bool {
	if d.deposits[i].Destroyed || !d.verdicts[i].Restorable {
		return false
	}
	return !slices.ContainsFunc(d.deposits[:i+1], func(x Deposit) bool { return x.Suspect })
}

// protect finds what stays for a reason of its own.
func (d *decision) protect() {
	level := max(d.policy.Level, 1)
	versions, lastGood, lastVerified := 0, true, true
	suspect := d.firstSuspect()
	for i := len(d.deposits) - 1; i >= 0; i-- {
		x, v := d.deposits[i], &d.verdicts[i]
		if x.Destroyed {
			continue
		}
		for _, h := range x.Holds {
			d.keep(i, Held, "legal hold "+h)
		}
		good := d.good(i)
		if !v.Due {
			d.protectByPolicy(i, good, suspect, versions, lastGood, lastVerified && x.Level >= level)
		}
		if good {
			versions++
			lastGood = false
			lastVerified = lastVerified && x.Level < level
		}
	}
}

func (d *decision) protectByPolicy(i int, good bool, suspect, newer int, lastGood, lastVerified bool) {
	x, v := d.deposits[i], d.verdicts[i]
	if d.policy.Keeps() {
		d.keep(i, NoPolicy, "nothing agreed says that it may go")
	}
	if !v.Restorable {
		return // protected by nothing but a hold or the lack of any rule: it can never be opened
	}
	for _, who := range x.Running {
		d.keep(i, Runs, who+" runs it")
	}
	if suspect > 0 && x.Number >= suspect {
		d.keep(i, Aside, fmt.Sprintf("kept aside with deposit %d until two people have looked", suspect))
		return
	}
	if !good {
		return
	}
	if lastGood {
		d.keep(i, LastGood, "it is the newest good one")
	}
	if lastVerified {
		d.keep(i, LastVerified, fmt.Sprintf("it is the newest one verified to level %d", x.Level))
	}
	if newer < d.policy.Versions {
		d.keep(i, Recent, fmt.Sprintf("it is among the newest %d good ones", d.policy.Versions))
	}
	if d.policy.For != nil {
		if end := d.policy.For(x.At); d.now.Before(end) {
			d.keep(i, Young, "it is kept until "+day(end))
		}
	}
}

// firstSuspect is the number of the first deposit under suspicion, 0 for none.
// That it is gone itself does not clear what came after it.
func (d *decision) firstSuspect() int {
	for _, x := range d.deposits {
		if x.Suspect {
			return x.Number
		}
	}
	return 0
}

func (d *decision) keep(i int, why Why, text string) {
	v := &d.verdicts[i]
	v.Keep = true
	v.Reasons = append(v.Reasons, Reason{why, text})
}

// needed keeps what a deposit that stays builds on.
func (d *decision) needed() {
	need, from := -1, 0 // root of the chain that is needed, and by which deposit
	for i := len(d.deposits) - 1; i >= 0; i-- {
		if d.deposits[i].Destroyed {
			continue
		}
		if need == d.chain[i] {
			d.keep(i, Needed, fmt.Sprintf("deposit %d builds on it", from))
		}
		if d.verdicts[i].Keep && d.verdicts[i].Restorable && need != d.chain[i] {
			need, from = d.chain[i], d.deposits[i].Number
		}
	}
}

// rest says why the others may go.
func (d *decision) rest() {
	for i := range d.verdicts {
		v := &d.verdicts[i]
		switch {
		case v.Keep || v.Due || d.deposits[i].Destroyed:
		case !v.Restorable:
			v.Reasons = append(v.Reasons, Reason{Unopening, "what it builds on is gone"})
		default:
			v.Reasons = append(v.Reasons, Reason{Expired, "it has been kept as long as agreed"})
		}
	}
}

// FullNeeded reports whether the next deposit has to be FULL: a lawful term
// will pass or has passed for what the newest chain is built on, so that only
// a fresh chain lets the old one go. ahead is how long before the end of the
// term a fresh chain is begun.
func FullNeeded(deposits []Deposit, p Policy, now time.Time, ahead time.Duration) bool {
	if p.MaxAge == nil || len(deposits) == 0 {
		return false
	}
	list := chains(deposits)
	root := deposits[list[len(list)-1]]
	return !now.Before(p.MaxAge(root.At).Add(-ahead))
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02") }
