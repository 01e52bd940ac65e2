package accession

import (
	"time"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/quantity"
)

// maxRenewals ends the count of a term that renews by very little.
const maxRenewals = 10_000

// Earliest is the first moment at which a beneficiary that gives notice now is
// free: the notice has run, and a term of a certain length is over. It goes by
// the term of the accession, or by that of the whole where the accession has
// none. Without a term a beneficiary is bound to no notice.
func Earliest(a *agreement.Agreement, now time.Time) time.Time {
	t := Term(a)
	if t == nil {
		return now
	}
	free := now
	if t.Notice != "" {
		free = a.Deadline(now, t.Notice)
	}
	end := ends(a, t)
	if end.IsZero() {
		return free
	}
	for i := 0; end.Before(free); i++ {
		if t.Renews == "" || i == maxRenewals {
			return free // the term is over, and nothing prolongs it
		}
		next := a.Deadline(end, t.Renews)
		if !next.After(end) {
			return free
		}
		end = next
	}
	return end
}

// ends is the moment after the last day of a term before any renewal, zero
// when the text does not say.
func ends(a *agreement.Agreement, t *agreement.Term) time.Time {
	zone, err := time.LoadLocation(a.TimeZone)
	if err != nil {
		zone = time.UTC // the parser refused the zone long before
	}
	day := func(d quantity.Date) time.Time {
		at, err := time.ParseInLocation(time.DateOnly, string(d), zone)
		if err != nil {
			return time.Time{}
		}
		return at
	}
	switch {
	case t.End != "":
		if at := day(t.End); !at.IsZero() {
			return at.AddDate(0, 0, 1)
		}
	case t.Start != "" && t.Lasts != "":
		if at := day(t.Start); !at.IsZero() {
			return a.Deadline(at, t.Lasts)
		}
	}
	return time.Time{}
}
