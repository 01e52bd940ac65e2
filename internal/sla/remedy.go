package sla

import (
	"math/big"

	"holdfast/internal/escrow/agreement/quantity"
)

// Consequence is a remedy besides money and whether it is due.
type Consequence struct {
	Kind    string          `json:"kind"`
	Due     bool            `json:"due"`
	Misses  int             `json:"misses"`       // counted
	Needed  int             `json:"needed"`       // for it to be due
	Within  quantity.Period `json:"in,omitempty"` // the time they are counted in
	Periods []string        `json:"periods,omitempty"`
	Length  quantity.Period `json:"length,omitempty"`
	What    string          `json:"what,omitempty"`
}

// Consequences counts the missed periods among the figures, which end with
// the one the answer is for, in the order of time. A period without a figure
// is no miss. Misses count within a time that ends with the last period.
func (p *Policy) Consequences(figures []*Figure) []Consequence {
	if len(figures) == 0 {
		return nil
	}
	var out []Consequence
	last := figures[len(figures)-1]
	count := func(c Consequence, below *big.Rat) {
		for _, f := range figures {
			if f.Met == nil || *f.Met || below != nil && f.Judged.Cmp(below) >= 0 {
				continue
			}
			if c.Within == "" && f != last || c.Within != "" && p.rules.deadline(f.Period.From, c.Within) < last.Period.To {
				continue
			}
			c.Misses++
			c.Periods = append(c.Periods, f.Period.Label)
		}
		c.Due = c.Misses >= c.Needed
		out = append(out, c)
	}
	if t := p.Level.Terminate; t != nil {
		count(Consequence{Kind: "termination", Needed: t.Misses, Within: t.In}, nil)
	}
	for _, r := range p.Level.Remedies {
		var below *big.Rat
		if n, err := r.Below.Millionths(); err == nil {
			below = big.NewRat(n, 1_000_000)
		}
		count(Consequence{Kind: r.Kind, Needed: max(r.Misses, 1), Within: r.In, Length: r.Length, What: r.What}, below)
	}
	return out
}
