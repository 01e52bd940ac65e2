package observed

import (
	"cmp"
	"fmt"
	"slices"

	"holdfast/internal/escrow/agreement/problem"
	"holdfast/internal/sla"
)

// placed is time somebody reports something about, and where it is written.
type placed struct {
	sla.Span
	state sla.State // empty for counts, of which no two may overlap
	mark  int       // an offset or a line, as the reader counts
	path  string
}

// conflicts finds pairs of which at most one can be true: one place cannot
// have seen two states at once, and the same requests cannot be counted
// twice. The same state told twice is no conflict. Rows may be in any order;
// found is called with the row that stands later in the file.
func conflicts(rows []placed, found func(row, other placed)) {
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b placed) int { return cmp.Compare(a.From, b.From) })
	far := map[sla.State]placed{} // of each state the row that reaches farthest
	for _, x := range rows {
		for _, state := range []sla.State{"", sla.Up, sla.Down, sla.Unknown} {
			y, ok := far[state]
			if !ok || y.To <= x.From || state == x.state && state != "" {
				continue
			}
			if later, other := x, y; x.mark >= y.mark {
				found(later, other)
			} else {
				found(other, later)
			}
			break
		}
		if y, ok := far[x.state]; !ok || y.To < x.To {
			far[x.state] = x
		}
	}
}

// conflict words a pair.
func conflict(row, other placed, where problem.Pos) string {
	what := "these counts overlap those"
	if row.state != "" {
		what = fmt.Sprintf("this %s overlaps the %s", row.state, other.state)
	}
	return fmt.Sprintf("%s from %s until %s in line %d", what, other.From, other.To, where.Line)
}
