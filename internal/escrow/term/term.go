// Package term works out what the dates of an agreement come to on a day: the
// term of each part, fees and arrears, insurance and certificates, reviews of
// rights, authorities that end. It is pure: an agreement, the facts on record
// and a moment give the states, and nothing is stored that could disagree.
//
// It may import escrow and the agreement language.
package term

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/part"
	"holdfast/internal/escrow/agreement/quantity"
	"holdfast/internal/escrow/calendar"
)

// State is how a promise stands.
type State string

// The states.
const (
	NotBegun State = "not_begun"
	Running  State = "running"
	Closing  State = "closing" // a term: the last day for notice of termination is near
	Ending   State = "ending"  // a term: it ends on its date and does not go on
	Ended    State = "ended"
	OK       State = "ok"
	Due      State = "due"     // something is to be done by the date, soon
	Overdue  State = "overdue" // the date has passed and nothing is on record
	Arrears  State = "arrears"
	Cured    State = "cured" // somebody paid in the payer's place
	Missing  State = "missing"
)

// Bad reports whether somebody has to do something now.
func (s State) Bad() bool { return s == Overdue || s == Arrears || s == Missing }

// Item is one promise with a date.
type Item struct {
	ID     string // part/frame, fee/yearly/supplier, insurance/cyber/agent, right/ID, undertaking/ID, authority/PARTY/PERSON
	Kind   string // its first word
	Part   string // part whose term it is
	Owners []string
	Seen   []string // everybody who may see it, the owners included
	State  State
	Date   time.Time // the next date that matters, first moment after the last day; zero for none
	Notice time.Time // a term that renews: after this it is too late to give notice
	Digest string    // of the document on record

	MayCure    bool // arrears: a beneficiary may pay
	MaySuspend bool // arrears: the agent may stop
}

// The lead times of reminders, in days before a date. The first is also when a
// promise is due and a term is closing.
func leads() []int { return []int{60, 14, 0} }

// Of works out every promise of an agreement at a moment. Who may see one is
// known of its owners, the agent and the readers of a part; of the parties that
// are named as readers it is worked out for everything, which takes a while.
func Of(a *agreement.Agreement, facts []escrow.TermFact, now time.Time, readers ...string) []Item {
	w := work{a: a, facts: facts, now: now, zone: time.UTC}
	if zone, err := time.LoadLocation(a.TimeZone); err == nil {
		w.zone = zone
	}
	items := w.items()
	seen := map[string][]string{}
	for _, p := range a.Parties {
		if slices.Contains(readers, p.ID) {
			if v, err := part.For(a, p.ID); err == nil {
				reader := w
				reader.a = v.Agreement
				for _, i := range reader.items() {
					if i.Kind != "part" {
						seen[i.ID] = append(seen[i.ID], p.ID)
					}
				}
			}
		}
		if p.Role == agreement.Role(escrow.Agent) {
			for _, i := range items {
				seen[i.ID] = append(seen[i.ID], p.ID) // who runs the arrangement watches its dates
			}
		}
	}
	customers := a.WithRole(escrow.Beneficiary)
	for i := range items {
		if items[i].State == Arrears && items[i].MayCure && !slices.ContainsFunc(items[i].Owners, func(p string) bool { return slices.Contains(customers, p) }) {
			// A right to pay is worth nothing to who does not know. What
			// another customer owes stays between it and the agent.
			items[i].Seen = append(slices.Clone(items[i].Seen), customers...)
		}
		list := append(slices.Concat(items[i].Seen, items[i].Owners), seen[items[i].ID]...)
		slices.Sort(list)
		items[i].Seen = slices.Compact(list)
	}
	slices.SortStableFunc(items, func(x, y Item) int { return cmp.Compare(x.ID, y.ID) })
	return items
}

// For returns what one party may see of a list.
func For(list []Item, party string) []Item {
	var out []Item
	for _, i := range list {
		if slices.Contains(i.Seen, party) {
			out = append(out, i)
		}
	}
	return out
}

type work struct {
	a     *agreement.Agreement
	facts []escrow.TermFact
	now   time.Time
	zone  *time.Location
}

func (w work) items() []Item {
	return slices.Concat(w.parts(), w.fees(), w.insurance(), w.certificates(), w.rights(), w.undertakings(), w.authorities())
}

// day is the first moment of a day.
func (w work) day(d string) (time.Time, bool) {
	t, err := time.ParseInLocation(time.DateOnly, d, w.zone)
	return t, err == nil
}

// after is the first moment after a day.
func (w work) after(d string) (time.Time, bool) {
	t, ok := w.day(d)
	return t.AddDate(0, 0, 1), ok
}

// of lists the facts about something of some kinds, the oldest first.
func (w work) of(about string, kinds ...escrow.TermFactKind) []escrow.TermFact {
	var out []escrow.TermFact
	for _, f := range w.facts {
		if f.About == about && slices.Contains(kinds, f.Kind) {
			out = append(out, f)
		}
	}
	return out
}

func last(list []escrow.TermFact) (escrow.TermFact, bool) {
	if len(list) == 0 {
		return escrow.TermFact{}, false
	}
	return list[len(list)-1], true
}

// near reports whether a date is so near that people are told.
func (w work) near(date time.Time) bool { return !w.now.Before(date.AddDate(0, 0, -leads()[0])) }

// parts are the terms: of each part its own, or the arrangement's.
func (w work) parts() []Item {
	e := w.a.Expand()
	own := map[string]*agreement.Term{}
	for i := range w.a.Parts {
		own[w.a.Parts[i].ID] = w.a.Parts[i].Term
	}
	var out []Item
	for _, p := range e.Parts {
		t := own[cmp.Or(p.Part, p.ID)]
		if t == nil {
			t = w.a.Term
		}
		if t == nil {
			continue
		}
		i := Item{ID: "part/" + p.ID, Kind: "part", Part: p.ID, Owners: p.Parties, Seen: p.Readers}
		if w.term(t, &i) {
			out = append(out, i)
		}
	}
	if len(e.Parts) == 0 && w.a.Term != nil {
		i := Item{ID: "part/frame", Kind: "part", Part: "frame"}
		for _, p := range w.a.Parties {
			i.Owners = append(i.Owners, p.ID)
		}
		if w.term(w.a.Term, &i) {
			out = append(out, i)
		}
	}
	return out
}

// maxRenewals bounds how often a term goes on: a text says 1ms or begins in
// the year 1 for no reason that matters.
const maxRenewals = 2000

// term works one term out. It reports false where there is no end.
func (w work) term(t *agreement.Term, i *Item) bool {
	start, begins := w.day(string(t.Start))
	end, ends := w.after(string(t.End))
	if !ends && begins && t.Lasts != "" {
		end, ends = w.a.Deadline(start, t.Lasts), true
	}
	if !ends {
		return false
	}
	if f, ok := last(w.of(i.ID, escrow.TermRenewed)); ok {
		if until, ok := w.after(f.Until); ok && until.After(end) {
			end, i.Digest = until, f.Digest
		}
	}
	given, isGiven := escrow.TermFact{}, false
	if list := w.of(i.ID, escrow.NoticeGiven); len(list) > 0 {
		given, isGiven = list[0], true // a second notice changes nothing
		i.Digest = given.Digest
	}
	// It goes on while nobody gave notice in time: at now, or when notice was
	// given.
	goesOn := t.Renews != ""
	for n := 0; goesOn && n < maxRenewals; n++ {
		deadline := w.before(end, t.Notice)
		if isGiven && !given.RecordedAt.After(deadline) {
			goesOn = false
			break
		}
		if w.now.Before(end) && (!isGiven || w.now.Before(deadline)) {
			i.Notice = deadline
			break
		}
		next := w.a.Deadline(end, t.Renews)
		if !next.After(end) {
			goesOn = false
			break
		}
		end = next
	}
	i.Date = end
	switch {
	case begins && w.now.Before(start):
		i.State = NotBegun
	case !w.now.Before(end):
		i.State = Ended
	case !goesOn && (isGiven || w.near(end)):
		i.State = Ending
	case goesOn && !i.Notice.IsZero() && w.now.Before(i.Notice) && w.near(i.Notice):
		i.State = Closing
	default:
		i.State = Running
	}
	return true
}

// before is the moment a period before another.
func (w work) before(t time.Time, p quantity.Period) time.Time {
	n, unit, err := p.Split()
	if err != nil || n == 0 {
		return t
	}
	local := t.In(w.zone)
	switch unit {
	case quantity.Year:
		return back(local, 12*int(n))
	case quantity.Month:
		return back(local, int(n))
	case quantity.Week:
		return local.AddDate(0, 0, -7*int(n))
	case quantity.Day:
		return local.AddDate(0, 0, -int(n))
	case quantity.BusinessDay:
		if cal, known := calendar.ForName(string(w.a.Calendar)); known {
			return cal.Before(local, int(n))
		}
		return local.AddDate(0, 0, -2*int(n)) // too early rather than too late
	}
	d, _ := p.Fixed()
	return t.Add(-d)
}

// back goes months back and stays within the month it comes to.
func back(t time.Time, months int) time.Time {
	y, m, d := t.Date()
	first := time.Date(y, m-time.Month(months), 1, t.Hour(), t.Minute(), t.Second(), 0, t.Location())
	return first.AddDate(0, 0, min(d, first.AddDate(0, 1, -1).Day())-1)
}

// fees are one item for each payer.
func (w work) fees() []Item {
	var out []Item
	for _, f := range w.a.Fees {
		for _, payer := range w.payers(f.Payer) {
			i := Item{ID: "fee/" + f.What + "/" + payer, Kind: "fee", Owners: []string{payer}, State: Missing}
			if f.Arrears != nil {
				i.MayCure, i.MaySuspend = f.Arrears.MayCure, f.Arrears.MaySuspend
			}
			x, known := last(w.of(i.ID, escrow.FeePaid, escrow.FeeArrears, escrow.FeeCured))
			if known {
				i.Digest = x.Digest
			}
			switch {
			case known && x.Kind == escrow.FeeArrears:
				i.State, i.Date = Arrears, x.RecordedAt
			case known:
				i.Date, _ = w.after(x.Until)
				good := OK
				if x.Kind == escrow.FeeCured {
					good = Cured
				}
				i.State = w.dated(i.Date, good)
			case w.a.Term != nil && w.a.Term.PaidUntil != "":
				i.Date, _ = w.after(string(w.a.Term.PaidUntil))
				i.State = w.dated(i.Date, OK)
			}
			out = append(out, i)
		}
	}
	return out
}

func (w work) payers(names []string) []string {
	var out []string
	for _, n := range names {
		if n == string(agreement.Beneficiaries) {
			out = append(out, w.a.WithRole(escrow.Beneficiary)...)
			continue
		}
		out = append(out, n)
	}
	return out
}

// dated says how something stands that is good until a date.
func (w work) dated(date time.Time, good State) State {
	switch {
	case date.IsZero():
		return Missing
	case !w.now.Before(date):
		return Overdue
	case w.near(date):
		return Due
	}
	return good
}

func (w work) insurance() []Item {
	if w.a.Liability == nil {
		return nil
	}
	var out []Item
	for _, c := range w.a.Liability.Insurance {
		holders := []string{c.Holder}
		if c.Holder == "" {
			holders = w.a.WithRole(escrow.Agent)
		}
		i := Item{ID: "insurance/" + c.Kind + "/" + strings.Join(holders, "+"), Kind: "insurance", Owners: holders}
		i.Date, _ = w.after(string(c.Expires))
		if c.Expires == "" {
			i.Date = time.Time{}
		}
		if f, ok := last(w.of(i.ID, escrow.CoverFiled)); ok {
			if until, ok := w.after(f.Until); ok {
				i.Date, i.Digest = until, f.Digest
			}
		}
		i.State = w.dated(i.Date, OK)
		out = append(out, i)
	}
	return out
}

// certificates are those the agent filed, such as of an audit: certificate/NAME.
func (w work) certificates() []Item {
	var out []Item
	for _, f := range w.facts {
		if f.Kind != escrow.CoverFiled || !strings.HasPrefix(f.About, "certificate/") {
			continue
		}
		i := Item{ID: f.About, Kind: "certificate", Owners: w.a.WithRole(escrow.Agent), Digest: f.Digest}
		i.Date, _ = w.after(f.Until)
		i.State = w.dated(i.Date, OK)
		if at := slices.IndexFunc(out, func(o Item) bool { return o.ID == i.ID }); at >= 0 {
			out[at] = i // the later one
			continue
		}
		out = append(out, i)
	}
	return out
}

func (w work) rights() []Item {
	var out []Item
	for _, r := range w.a.Rights {
		if r.Review == "" {
			continue
		}
		i := Item{ID: "right/" + r.ID, Kind: "right", Owners: slices.Concat(w.a.WithRole(escrow.Agent), named(r.Holder))}
		if reviewed, ok := w.day(string(r.Reviewed)); ok {
			i.Date = w.a.Deadline(reviewed, r.Review)
		}
		if f, ok := last(w.of(i.ID, escrow.RightReviewed)); ok {
			i.Date, i.Digest = w.a.Deadline(f.RecordedAt, r.Review), f.Digest
		}
		i.State = w.dated(i.Date, OK)
		out = append(out, i)
	}
	return out
}

// named leaves out words that stand for a party.
func named(list []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == "self" || s == "claimant" || s == "operator" })
}

func (w work) undertakings() []Item {
	var out []Item
	for _, u := range w.a.HostUndertakings {
		if u.Reconfirm == "" {
			continue
		}
		i := Item{ID: "undertaking/" + cmp.Or(u.ID, u.By), Kind: "undertaking", Owners: slices.Concat([]string{u.By}, w.a.WithRole(escrow.Agent))}
		if since, ok := w.day(string(cmp.Or(u.Confirmed, u.Signed))); ok {
			i.Date = w.a.Deadline(since, u.Reconfirm)
		}
		if f, ok := last(w.of(i.ID, escrow.RightReviewed)); ok {
			i.Date, i.Digest = w.a.Deadline(f.RecordedAt, u.Reconfirm), f.Digest
		}
		i.State = w.dated(i.Date, OK)
		out = append(out, i)
	}
	return out
}

func (w work) authorities() []Item {
	var out []Item
	for _, m := range w.a.Authority {
		until, ok := w.after(string(m.Until))
		if !ok || m.Person == "" {
			continue
		}
		i := Item{ID: "authority/" + m.Party + "/" + m.Person, Kind: "authority", Owners: []string{m.Party}, Date: until, State: w.dated(until, OK)}
		if i.State == Overdue {
			i.State = Ended
		}
		at := slices.IndexFunc(out, func(o Item) bool { return o.ID == i.ID })
		switch {
		case at < 0:
			out = append(out, i)
		case out[at].Date.Before(until):
			out[at] = i
		}
	}
	return out
}
