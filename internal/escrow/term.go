package escrow

import "time"

// TermFact is something that happened to a promise with a date: a fee was
// paid, an insurance certificate was filed. What it comes to is worked out by
// escrow/term from the agreement and all of them.
type TermFact struct {
	Arrangement string
	ID          string
	Kind        TermFactKind
	About       string // what it is about, as escrow/term names it: part/frame, fee/yearly/supplier
	Until       string // day, where the kind has one: paid until, expires on, goes on until
	Document    string // what it rests on
	Digest      string // SHA-256 of that document
	Party       string // who says so, or did so
	RecordedBy  string
	RecordedAt  time.Time
}

// TermFactKind is what happened.
type TermFactKind string

// The kinds of fact.
const (
	FeePaid       TermFactKind = "fee_paid"
	FeeArrears    TermFactKind = "arrears"
	FeeCured      TermFactKind = "cured" // by a beneficiary, in the payer's place
	CoverFiled    TermFactKind = "certificate"
	TermRenewed   TermFactKind = "renewed"
	NoticeGiven   TermFactKind = "notice_given" // of termination
	RightReviewed TermFactKind = "reviewed"
)

// TermFactKinds lists every kind. It returns a fresh slice.
func TermFactKinds() []TermFactKind {
	return []TermFactKind{FeePaid, FeeArrears, FeeCured, CoverFiled, TermRenewed, NoticeGiven, RightReviewed}
}

// NeedsDay reports whether the kind has a day.
func (k TermFactKind) NeedsDay() bool {
	return k == FeePaid || k == FeeCured || k == CoverFiled || k == TermRenewed
}

// NeedsDocument reports whether the kind rests on a document whose digest is
// recorded.
func (k TermFactKind) NeedsDocument() bool {
	return k == CoverFiled || k == NoticeGiven || k == TermRenewed
}
