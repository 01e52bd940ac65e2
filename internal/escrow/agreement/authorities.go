package agreement

import (
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement/quantity"
)

// Authorities returns who may act for whom as the domain decides by it. Days
// begin and end at midnight in the agreement's zone; the last day counts.
func (a *Agreement) Authorities() escrow.Warrants {
	zone, err := time.LoadLocation(a.TimeZone)
	if err != nil {
		zone = time.UTC // the parser refused the zone long before
	}
	day := func(d quantity.Date, after int) time.Time {
		t, err := time.ParseInLocation(time.DateOnly, string(d), zone)
		if err != nil {
			return time.Time{} // not given
		}
		return t.AddDate(0, 0, after)
	}
	var out escrow.Warrants
	for _, m := range a.Authority {
		x := escrow.Warrant{Party: m.Party, Person: m.Person, From: day(m.From, 0), Until: day(m.Until, 1), Proof: m.Proof,
			EndsOn: string(m.EndsOn), PassesTo: m.PassesTo, DeputyFor: m.DeputyFor, CallBack: m.CallBack}
		for _, power := range m.May {
			x.May = append(x.May, escrow.Power(power))
		}
		out = append(out, x)
	}
	return out
}
