package agreement

import (
	"fmt"
	"math/big"
	"strings"

	"holdfast/internal/escrow/agreement/bind"
	"holdfast/internal/escrow/agreement/quantity"
)

// Band is a range of uptimes and the credit for it, in millionths of a
// percent. Each side says whether its bound belongs to it.
type Band struct {
	Lower, Upper     int64
	LowerIn, UpperIn bool
	Credit           int64
}

// Has reports whether an uptime, in millionths of a percent, is in the band.
func (b Band) Has(uptime *big.Rat) bool {
	lower, upper := uptime.Cmp(big.NewRat(b.Lower, 1)), uptime.Cmp(big.NewRat(b.Upper, 1))
	return (lower > 0 || lower == 0 && b.LowerIn) && (upper < 0 || upper == 0 && b.UpperIn)
}

// empty reports whether no uptime is in it.
func (b Band) empty() bool {
	return b.Lower > b.Upper || b.Lower == b.Upper && !(b.LowerIn && b.UpperIn)
}

// Bands returns the tiers as ranges. A tier that does not say where it ends
// goes down to the next one, the last to zero.
func (c *Credits) Bands() ([]Band, error) {
	out := make([]Band, len(c.Tiers))
	for i, t := range c.Tiers {
		b := Band{UpperIn: t.UpTo != "", LowerIn: true}
		upper := t.Below
		if b.UpperIn {
			upper = t.UpTo
		}
		var err error
		if b.Upper, err = upper.Millionths(); err != nil {
			return nil, fmt.Errorf("tier %d: %w", i+1, err)
		}
		if b.Credit, err = t.Credit.Millionths(); err != nil {
			return nil, fmt.Errorf("tier %d: %w", i+1, err)
		}
		out[i] = b
	}
	for i, t := range c.Tiers {
		b := &out[i]
		switch {
		case t.From != "":
			b.Lower, _ = t.From.Millionths()
		case t.Above != "":
			b.Lower, _ = t.Above.Millionths()
			b.LowerIn = false
		case i+1 < len(out):
			b.Lower, b.LowerIn = out[i+1].Upper, !out[i+1].UpperIn
		}
	}
	return out, nil
}

// RoundTo returns the decimals of a rounding, such as 2 for half_up_2, and
// whether it rounds half up; otherwise it cuts. ok is false for none.
func RoundTo(rounding string) (places int, halfUp, ok bool) {
	for _, kind := range []string{"half_up_", "truncate_"} {
		if n, found := strings.CutPrefix(rounding, kind); found && len(n) == 1 && n[0] >= '0' && n[0] <= '6' {
			return int(n[0] - '0'), kind == "half_up_", true
		}
	}
	return 0, false, false
}

// credits finds tables that cannot be applied: a hole, an overlap, a step
// that never comes, a cap below a step.
func (c *checker) credits(at string, s *SLA) {
	cr, tiers := s.Credits, bind.Join(at, "tiers")
	if (len(cr.Tiers) == 0) == (cr.Formula == nil) {
		c.fail(at, "credits", "say tiers, or formula", "credits are given by tiers or by a formula")
		return
	}
	if f := cr.Formula; f != nil {
		path := bind.Join(at, "formula")
		if (f.Multiple > 0) == (f.Each != "") || (f.Each == "") != (f.Credit == "") {
			c.fail(path, "credits", "say multiple, or each with credit", "the formula takes a multiple of the fee, or a credit for each unit of time")
		}
		c.fixedPeriod(bind.Join(path, "each"), f.Each, 1)
		return
	}
	for i, t := range cr.Tiers {
		path := bind.At(tiers, i)
		switch {
		case (t.Below == "") == (t.UpTo == ""):
			c.fail(path, "credits", "say below or up_to", "a step begins below an uptime or at it")
			return
		case t.From != "" && t.Above != "":
			c.fail(path, "credits", "say from or above", "a step ends at an uptime or above it")
			return
		}
	}
	bands, err := cr.Bands()
	if err != nil {
		return // the form was found wrong before
	}
	limit, _ := cr.Cap.Millionths()
	promise, _ := s.Availability.Uptime.Millionths()
	for i, b := range bands {
		path := bind.At(tiers, i)
		t := cr.Tiers[i]
		upper := bind.Join(path, "below")
		if b.UpperIn {
			upper = bind.Join(path, "up_to")
		}
		switch {
		case i == 0 && b.Upper > promise:
			c.fail(upper, "credits", "write "+string(s.Availability.Uptime), "the first step begins at %s%s, but only %s is promised: a credit would be owed for a promise that was kept", t.Below, t.UpTo, s.Availability.Uptime)
		case i == 0 && hole(Band{Upper: promise, UpperIn: false}, b, s.Availability.Rounding):
			c.fail(upper, "credits", "write "+string(s.Availability.Uptime), "the first step begins below %s%s, but %s is promised: between them nothing is owed", t.Below, t.UpTo, s.Availability.Uptime)
		case i > 0 && b.Upper >= bands[i-1].Upper:
			c.fail(upper, "credits", "order the steps from the promise down", "this step is not below the one before it")
		case b.empty() && (t.From != "" || t.Above != "" || i == len(bands)-1):
			c.fail(path, "credits", "lower its end or remove the step", "no uptime can ever be in this step")
		case i > 0 && (b.Upper > bands[i-1].Lower || b.Upper == bands[i-1].Lower && b.UpperIn && bands[i-1].LowerIn):
			c.fail(upper, "credits", "let it begin where the one before it ends", "this step overlaps the one before it: two credits would be owed")
		case i > 0 && hole(Band{Upper: bands[i-1].Lower, UpperIn: !bands[i-1].LowerIn}, b, s.Availability.Rounding):
			c.fail(upper, "credits", "let it begin where the one before it ends, or declare a rounding under which no uptime falls between them", "between this step and the one before it is a hole: no credit is said for it")
		case i > 0 && b.Credit <= bands[i-1].Credit:
			c.fail(bind.Join(path, "credit"), "credits", "let the credit rise", "a worse month is credited no more than a better one")
		case b.Credit > limit && cr.CapOf != "invoice":
			c.fail(bind.Join(path, "credit"), "credits", "raise the cap or lower the credit", "the credit is above the cap of %s", cr.Cap)
		case i == len(bands)-1 && (b.Lower > 0 || !b.LowerIn):
			c.fail(path, "credits", "remove the end of the last step", "below the last step nothing is owed")
		}
	}
}

// hole reports whether an uptime can fall between the upper end of what is
// above and the band b. gap.UpperIn says whether the end itself is in the gap.
func hole(gap Band, b Band, rounding string) bool {
	from, to := b.Upper, gap.Upper
	if from > to || from == to && (b.UpperIn || !gap.UpperIn) {
		return false
	}
	places, _, rounded := RoundTo(rounding)
	if !rounded {
		return true
	}
	step := int64(1)
	for range 6 - places {
		step *= 10
	}
	first := from // the smallest that can fall into the hole
	if b.UpperIn {
		first++
	}
	last := to
	if !gap.UpperIn {
		last--
	}
	return (first+step-1)/step*step <= last
}

// levels checks the particulars of one service level that do not need the
// rest of the agreement.
func (c *checker) levels(at string, s *SLA) {
	for i, d := range s.AlsoOpen {
		for _, x := range s.AlsoClosed {
			if d == x {
				c.fail(bind.At(bind.Join(at, "open_on"), i), "sla", "remove one of the two", "%s is both open and closed", d)
			}
		}
	}
	if p := s.Probe; p != nil && p.Agree > 0 {
		switch {
		case p.Quorum != "":
			c.fail(bind.Join(at, "probe.agree"), "sla", "remove quorum or agree", "how many locations must agree is said twice")
		case len(p.From) > 0 && p.Agree > len(p.From):
			c.fail(bind.Join(at, "probe.agree"), "sla", "lower it", "there are only %d locations", len(p.From))
		}
	}
	for i, r := range s.Remedies {
		if r.Below != "" && s.Availability != nil {
			below, _ := r.Below.Millionths()
			if promise, _ := s.Availability.Uptime.Millionths(); below > promise {
				c.fail(bind.Join(bind.At(bind.Join(at, "remedies"), i), "below"), "sla", "write "+string(s.Availability.Uptime)+" or less", "this remedy would follow although the promise is kept")
			}
		}
	}
}

// exclusions checks what no announcement could satisfy.
func (c *checker) exclusions(at string, list []Exclusion) {
	for i, x := range list {
		path := bind.At(at, i)
		if x.Standing && x.Windows == "" {
			c.fail(bind.Join(path, "standing"), "sla", "add windows", "an exclusion that stands for good says when it is")
		}
		if x.MostIn != "" && x.Most == "" && x.Times == 0 {
			c.fail(bind.Join(path, "at_most_in"), "sla", "add at_most", "nothing says how much may be excluded in that time")
		}
		c.fixedPeriod(bind.Join(path, "at_most"), x.Most, 0)
		for j := range i {
			if list[j].Kind == x.Kind && (list[j].Windows == x.Windows || list[j].Windows == "" || x.Windows == "") {
				c.fail(bind.Join(path, "kind"), "sla", "write one of them, or give them windows of their own", "%s is excluded twice: nothing says which terms apply", x.Kind)
				break
			}
		}
	}
}

// positive reports whether a period, where there is one, has a length.
func positive(p quantity.Period) bool { return p == "" || !p.IsZero() }
