package sla

import (
	"fmt"
	"math/big"
	"strings"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/quantity"
)

// Amount is an exact amount of money before it is rounded, and what is paid.
type Amount struct{ *big.Rat }

// MarshalText writes the exact amount as a fraction.
func (a Amount) MarshalText() ([]byte, error) { return Fraction(a).MarshalText() }

// Why no amount could be computed.
const (
	NoFigure = "no_figure" // nothing was measured
	NoBand   = "no_band"   // the uptime is in no tier: a person has to decide
)

// Credit is what is owed for a period, with its working.
type Credit struct {
	Flag         string         `json:"flag,omitempty"` // no_figure, no_band
	Missed       bool           `json:"missed"`
	Percent      Fraction       `json:"credit_percent"` // of the base
	Tier         int            `json:"tier,omitempty"` // which, from 1; 0: the promise was kept, or a formula decides
	Currency     string         `json:"currency,omitempty"`
	Base         Amount         `json:"base"`
	BaseFrom     string         `json:"base_from,omitempty"` // fee or invoice
	BeforeCap    Amount         `json:"before_cap"`
	Cap          Amount         `json:"cap"`
	Capped       bool           `json:"capped"`
	CeilingLeft  Amount         `json:"ceiling_left"`
	AtCeiling    bool           `json:"at_ceiling,omitempty"`
	BelowMinimum bool           `json:"below_minimum,omitempty"`
	Amount       quantity.Money `json:"amount,omitempty"` // what is owed, rounded half up to the cent once
	Weighted     int64          `json:"weighted_ms,omitempty"`
	To           string         `json:"to,omitempty"`   // who receives it
	From         string         `json:"from,omitempty"` // who owes it
	Form         string         `json:"form,omitempty"` // credit, refund, credit_or_refund
	ClaimBy      Instant        `json:"claim_by,omitempty"`
	ClaimTo      string         `json:"claim_to,omitempty"`
	ClaimNeeds   []string       `json:"claim_needs,omitempty"`
}

// Credit computes what is owed for a figure. It is nil when the policy has no
// credits.
func (r *Record) Credit(f *Figure) (*Credit, error) {
	p, cr := r.policy, r.policy.Level.Credits
	if cr == nil {
		return nil, nil
	}
	c := &Credit{Form: cr.Remedy, ClaimTo: cr.ClaimTo, ClaimNeeds: cr.ClaimNeeds}
	if c.Form == "" {
		c.Form = "credit"
	}
	if f.Met == nil {
		c.Flag = NoFigure
		return c, nil
	}
	if err := r.base(c, f); err != nil {
		return nil, err
	}
	c.Missed = !*f.Met
	percent := new(big.Rat)
	switch {
	case cr.Formula != nil:
		percent = r.formula(c, f)
	default:
		millionths := new(big.Rat).Mul(f.Judged.Rat, big.NewRat(1_000_000, 1))
		found := false
		for i, b := range p.bands {
			if b.Has(millionths) {
				percent, c.Tier, found = big.NewRat(b.Credit, 1_000_000), i+1, true
				break
			}
		}
		if !found && c.Missed {
			c.Flag = NoBand
			return c, nil
		}
	}
	c.Percent = Fraction{percent}
	amount := new(big.Rat).Mul(c.Base.Rat, hundredth(percent))
	c.BeforeCap = Amount{amount}
	amount = r.limit(c, f, amount)
	if amount.Sign() > 0 {
		c.ClaimBy = p.claimBy(f)
	}
	digits := minorDigits(c.Currency)
	if cr.Minimum != "" {
		if cr.Minimum.Currency() != c.Currency {
			return nil, invalid("the minimum is in %s, the fee in %s", cr.Minimum.Currency(), c.Currency)
		}
		least, err := amountOf(string(cr.Minimum))
		if err != nil {
			return nil, err
		}
		if amount.Sign() > 0 && amount.Cmp(least) < 0 {
			c.BelowMinimum, amount = true, new(big.Rat)
		}
	}
	c.Amount = quantity.Money(c.Currency + " " + halfUp(amount, digits))
	return c, nil
}

func hundredth(percent *big.Rat) *big.Rat { return new(big.Rat).Mul(percent, big.NewRat(1, 100)) }

// limit applies the cap and the ceiling.
func (r *Record) limit(c *Credit, f *Figure, amount *big.Rat) *big.Rat {
	cr := r.policy.Level.Credits
	share, _ := cr.Cap.Millionths()
	of := c.Base.Rat
	if cr.CapOf == "invoice" {
		if total := r.invoiced(f, c.Currency, false); total != nil {
			of = total
		}
	}
	limit := new(big.Rat).Mul(of, big.NewRat(share, 100_000_000))
	c.Cap = Amount{limit}
	if amount.Cmp(limit) > 0 {
		amount, c.Capped = limit, true
	}
	if cr.Ceiling != nil {
		month := r.policy.feeOver(r.policy.fee(), Period{Span: f.Period.Span}, 1)
		left := new(big.Rat).Mul(month, big.NewRat(int64(cr.Ceiling.Months), 1))
		for _, x := range r.seen.Credited {
			end := r.policy.rules.deadline(x.PeriodEnd, cr.Ceiling.In)
			if x.Beneficiary != "" && x.Beneficiary != r.policy.Beneficiary || x.PeriodEnd >= f.Period.To || end < f.Period.To || x.Amount.Currency() != c.Currency {
				continue
			}
			if paid, err := amountOf(string(x.Amount)); err == nil {
				left.Sub(left, paid)
			}
		}
		if left.Sign() < 0 {
			left = new(big.Rat)
		}
		c.CeilingLeft = Amount{left}
		if amount.Cmp(left) > 0 {
			amount, c.AtCeiling = left, true
		}
	}
	return amount
}

// formula computes a credit in percent of the base from the time down.
func (r *Record) formula(c *Credit, f *Figure) *big.Rat {
	p, fm := r.policy, r.policy.Level.Credits.Formula
	down := new(big.Rat).SetInt64(f.Counted)
	if f.Counts != nil && f.Measure != "error_minutes" {
		// Of a figure without time down, the share that failed is the time.
		lost := new(big.Rat).Sub(big.NewRat(100, 1), f.Uptime.Rat)
		down = new(big.Rat).Mul(hundredth(lost), big.NewRat(f.Denominator, 1))
	} else if fm.Affected {
		down = r.weighted(f.counted)
	}
	if fm.Beyond {
		free := new(big.Rat).Mul(big.NewRat(f.Denominator, 1), big.NewRat(100_000_000-p.promise, 100_000_000))
		if down.Sub(down, free); down.Sign() < 0 {
			down.SetInt64(0)
		}
	}
	c.Weighted = new(big.Int).Quo(down.Num(), down.Denom()).Int64()
	if f.Denominator == 0 {
		return new(big.Rat)
	}
	if fm.Multiple > 0 {
		part := new(big.Rat).Quo(down, big.NewRat(f.Denominator, 1))
		return part.Mul(part, big.NewRat(int64(fm.Multiple)*100, 1))
	}
	each, err := millis(fm.Each, 0)
	if err != nil || each == 0 {
		return new(big.Rat)
	}
	units := new(big.Rat).Quo(down, big.NewRat(each, 1))
	n, rest := new(big.Int).QuoRem(units.Num(), units.Denom(), new(big.Int))
	if fm.Begun && rest.Sign() > 0 {
		n.Add(n, big.NewInt(1))
	}
	credit, _ := fm.Credit.Millionths()
	return new(big.Rat).Mul(new(big.Rat).SetInt(n), big.NewRat(credit, 1_000_000))
}

// weighted is time down by the share of users it affected. Where impacts
// overlap, the first of them counts; where there is none, everybody was.
func (r *Record) weighted(counted spans) *big.Rat {
	sum := new(big.Rat)
	rest := counted
	for _, i := range r.seen.Impacts {
		at := spans{i.Span}
		share, _ := i.Affected.Millionths()
		part := new(big.Rat).SetInt64(rest.and(at).length())
		sum.Add(sum, part.Mul(part, big.NewRat(share, 100_000_000)))
		rest = rest.without(at)
	}
	return sum.Add(sum, new(big.Rat).SetInt64(rest.length()))
}

// fee is what the beneficiary pays by the agreement.
func (p *Policy) fee() quantity.Rate {
	base := p.Level.Credits.Base
	for _, f := range base.For {
		if f.Of == p.Beneficiary && p.Beneficiary != "" {
			return f.Fee
		}
	}
	return base.Fee
}

// base finds what the credit is a share of: what was invoiced for the period,
// without one-off fees, or else the fee of the agreement over the period.
func (r *Record) base(c *Credit, f *Figure) error {
	p := r.policy
	fee := p.fee()
	amount, unit, ok := strings.Cut(string(fee), "/")
	if !ok || unit == "" {
		return invalid("%q is no fee", fee)
	}
	c.Currency = quantity.Money(amount).Currency()
	c.To, c.From = p.creditor(), p.debtor()
	for _, l := range r.seen.Fees {
		if l.Amount.Valid() != nil {
			return invalid("fees: %q is no amount of money", l.Amount)
		}
		if r.mine(&l, f) && l.Amount.Currency() != c.Currency {
			return invalid("fees: %s was invoiced in %s, the agreement's fee is in %s", l.Amount, l.Amount.Currency(), c.Currency)
		}
	}
	if total := r.invoiced(f, c.Currency, p.Level.Credits.Base.Share != "whole_fee"); total != nil {
		c.Base, c.BaseFrom = Amount{total}, "invoice"
		return nil
	}
	c.Base, c.BaseFrom = Amount{p.feeOver(fee, f.Period, 0)}, "fee"
	return nil
}

// mine reports whether an invoice line is the beneficiary's, for the period.
func (r *Record) mine(l *FeeLine, f *Figure) bool {
	return (l.Beneficiary == "" || l.Beneficiary == r.policy.Beneficiary || r.policy.Beneficiary == "") && (l.Period == "" || l.Period == f.Period.Label)
}

// invoiced sums what was invoiced for the period: of the affected component
// alone, or all of it. It is nil when nothing says.
func (r *Record) invoiced(f *Figure, currency string, affected bool) *big.Rat {
	var sum *big.Rat
	for _, l := range r.seen.Fees {
		if !r.mine(&l, f) || l.OneOff || l.Amount.Currency() != currency || affected && l.Component != "" && l.Component != r.policy.Level.Component {
			continue
		}
		n, err := amountOf(string(l.Amount))
		if err != nil {
			continue
		}
		if sum == nil {
			sum = new(big.Rat)
		}
		sum.Add(sum, n)
	}
	return sum
}

// feeOver is a fee over a period. Fees by the month, quarter and year go by
// months where the period is made of months; shorter ones by the time the
// period really has. months, when it is not 0, is the length in place of the
// period's.
func (p *Policy) feeOver(fee quantity.Rate, period Period, months int64) *big.Rat {
	amount, unit, _ := strings.Cut(string(fee), "/")
	n, err := amountOf(amount)
	if err != nil {
		return new(big.Rat)
	}
	if months == 0 {
		months = map[string]int64{"calendar_quarter": 3, "service_year": 12}[p.periods.kind]
		if months == 0 {
			months = 1 // a month, a billing cycle, thirty days
		}
		if w, u, err := p.periods.window.Split(); err == nil && p.periods.kind == "rolling" {
			switch u {
			case quantity.Month:
				months = w
			case quantity.Year:
				months = 12 * w
			}
		}
	}
	switch unit {
	case "mo":
		return n.Mul(n, big.NewRat(months, 1))
	case "q":
		return n.Mul(n, big.NewRat(months, 3))
	case "y":
		return n.Mul(n, big.NewRat(months, 12))
	}
	length := map[string]int64{"h": 3_600_000, "d": 86_400_000, "w": 604_800_000}[unit]
	return n.Mul(n, big.NewRat(period.Length(), length))
}

// creditor is who receives the credit: who pays the fee.
func (p *Policy) creditor() string {
	base := p.Level.Credits.Base
	for _, f := range base.For {
		if f.Of == p.Beneficiary && f.Payer != "" {
			return f.Payer
		}
	}
	if base.Payer != "" {
		return p.party(base.Payer)
	}
	return p.Beneficiary
}

// debtor is the supplier.
func (p *Policy) debtor() string {
	for _, x := range p.Agreement.Parties {
		if x.Role == agreement.Role("supplier") {
			return x.ID
		}
	}
	return ""
}

// claimBy is the moment at which a claim comes too late.
func (p *Policy) claimBy(f *Figure) Instant {
	cr := p.Level.Credits
	from := f.Period.To
	if cr.ClaimFrom == "incident_end" {
		for _, o := range f.Outages {
			if o.Counted > 0 {
				from = o.To
				break
			}
		}
	}
	return p.rules.deadline(from, cr.ClaimWithin)
}

// amountOf reads EUR 1000.00 or 1000.00 as an exact number.
func amountOf(text string) (*big.Rat, error) {
	if _, digits, ok := strings.Cut(text, " "); ok {
		text = digits
	}
	if strings.ContainsAny(text, "eEpPxX/_+-") {
		return nil, fmt.Errorf("%q is no amount", text)
	}
	n, ok := new(big.Rat).SetString(text)
	if !ok {
		return nil, fmt.Errorf("%q is no amount", text)
	}
	return n, nil
}

// minorDigits is how many decimals a currency has (ISO 4217).
func minorDigits(currency string) int {
	switch currency {
	case "JPY", "KRW", "CLP", "ISK", "VND", "XAF", "XOF", "XPF", "UGX", "PYG", "RWF", "KMF", "GNF", "DJF", "BIF", "VUV":
		return 0
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		return 3
	}
	return 2
}

// halfUp writes a number that is not negative with n decimals, rounded half up.
func halfUp(x *big.Rat, n int) string {
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
	scaled := new(big.Rat).Mul(x, new(big.Rat).SetInt(scale))
	scaled.Add(scaled, big.NewRat(1, 2))
	whole := new(big.Int).Quo(scaled.Num(), scaled.Denom())
	return Fraction{new(big.Rat).SetFrac(whole, scale)}.Decimal(n)
}
