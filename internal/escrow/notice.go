package escrow

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Notice is something a party is to be told. It is a row of its own, so that
// whatever sends it later sends it once and knows when it was made.
type Notice struct {
	Arrangement string
	ID          string
	Audience    string // party
	Kind        string // such as "duty.reminder"
	Module      string // "" when it is about no module
	Subject     string // one line, in the language of the agreement
	DueAt       time.Time
	MadeAt      time.Time
}

// Decision is what an agent said about a deposit that was taken in.
type Decision struct {
	Arrangement string
	Module      string
	Deposit     int
	Refused     bool
	Level       int      // verification level that it was found to have, 0 when refused
	Defects     []string // what is wrong, and where
	Party       string
	Person      string
	Note        string
	DecidedAt   time.Time
}

// SoftwareRelease is a new version of the software that was announced.
type SoftwareRelease struct {
	Arrangement string
	Module      string
	Version     string
	Party       string
	Person      string
	AnnouncedAt time.Time
}

// DutyStep is a step of the ladder that was taken.
type DutyStep struct {
	Arrangement string
	Module      string
	After       int // number of the last deposit that counted when it was taken
	Step        string
	EnteredAt   time.Time // when it fell due
	TakenAt     time.Time
}

// PlatformGap is a time in which the platform was off, or its clock stood
// wrong. No deadline runs in it.
type PlatformGap struct {
	From, To time.Time
	Reason   string
}

// Channel is a way to tell somebody something.
type Channel string

// The channels. Portal is the program itself: every notice is listed there.
// A webhook tells a machine and never makes a notice count.
const (
	Portal           Channel = "portal"
	Email            Channel = "email"
	Webhook          Channel = "webhook"
	Letter           Channel = "letter"
	RegisteredLetter Channel = "registered_letter"
	Phone            Channel = "phone"
)

// Channels lists every channel. It returns a fresh slice.
func Channels() []Channel {
	return []Channel{Portal, Email, Webhook, Letter, RegisteredLetter, Phone}
}

// ByHand reports whether a person has to do it: the program sends no letters
// and calls nobody.
func (c Channel) ByHand() bool { return c == Letter || c == RegisteredLetter || c == Phone }

// NoticeAddress is where a person of a party is told, and when not.
type NoticeAddress struct {
	Arrangement string
	Party       string
	Person      string
	Channel     Channel
	Address     string // mail address, https URL, postal address on several lines, or telephone number
	Language    string // nl or en; "" for the agreement's
	Second      bool   // the party's second contact: told when the first is not reached
	QuietFrom   string // "22:00"; "" for no quiet hours
	QuietTo     string // "07:00"
	Zone        string // IANA name that the quiet hours are in
	Sealed      []byte // of a webhook: its secret, sealed to the server
	SetBy       string
	SetAt       time.Time
	RemovedAt   time.Time // zero while it is used
}

// DeliveryState is how far one message is.
type DeliveryState string

// The states of a message.
const (
	DeliveryWaiting DeliveryState = "waiting" // until it is due, or for the next try
	DeliverySent    DeliveryState = "sent"    // the other side has taken it, or it was posted
	DeliveryToPost  DeliveryState = "to_post" // a letter that a person has to post
	DeliveryFailed  DeliveryState = "failed"  // given up
	DeliveryFolded  DeliveryState = "folded"  // a newer notice about the same thing says it all
	DeliveryTried   DeliveryState = "tried"   // a call that reached nobody
)

// Delivery is one message of a notice to one person over one channel.
type Delivery struct {
	Arrangement string
	Notice      string
	Number      int // from 1, within the notice
	Party       string
	Person      string
	Channel     Channel
	Address     string
	Reason      string // first, reminder, or second: why it was made
	State       DeliveryState
	Independent bool // it does not depend on the supplier's own domain
	DueAt       time.Time
	Tries       int
	Error       string // of the last try, in words that may be shown
	SentAt      time.Time
	Reference   string    // message id, tracking number, or what came of a call
	Proof       string    // digest of the letter or of a document that proves the delivery
	PresumedAt  time.Time // when it counts as received; zero where nothing was agreed
	By          string    // who did it, for what is done by hand
	TokenHash   string    // of the link in the last message
}

// NoticeRead is that a person has read a notice.
type NoticeRead struct {
	Arrangement string
	Notice      string
	Party       string
	Person      string
	Via         string // portal, link, or who said so
	ReadAt      time.Time
}

// Topic is what a notice is about, so that a newer one takes the place of an
// older one that was not sent yet. "" for a notice that is always sent.
func (n Notice) Topic() string {
	area, what, _ := strings.Cut(n.Kind, ".")
	switch area {
	case "duty":
		if strings.HasPrefix(what, "decide") {
			return "duty.decide/" + n.Module + "/" + n.Audience
		}
		return "duty/" + n.Module + "/" + n.Audience
	case "watch":
		return "watch/" + n.Module + "/" + n.Audience
	}
	return ""
}

// Urgent reports whether it is sent during quiet hours as well.
func (n Notice) Urgent() bool {
	area, _, _ := strings.Cut(n.Kind, ".")
	return area == "case"
}

// Formal reports whether rights depend on it, so that it also goes by letter
// where letters were agreed.
func (n Notice) Formal() bool {
	area, _, _ := strings.Cut(n.Kind, ".")
	switch area {
	case "case", "procedure":
		return true
	}
	return n.Kind == "duty.event" || n.Kind == "term.notice_given" || n.Kind == "term.ended"
}

// After returns the first moment from t on that is not within the quiet hours
// of the address. Hours that do not make sense are no quiet hours: a message
// is rather sent at night than never.
func (a NoticeAddress) After(t time.Time) time.Time {
	zone, err := time.LoadLocation(a.Zone)
	from, ok1 := clock(a.QuietFrom)
	to, ok2 := clock(a.QuietTo)
	if err != nil || !ok1 || !ok2 || from == to {
		return t
	}
	local := t.In(zone)
	now := local.Hour()*60 + local.Minute()
	end := func(days int) time.Time {
		return time.Date(local.Year(), local.Month(), local.Day()+days, to/60, to%60, 0, 0, zone)
	}
	switch {
	case from < to && now >= from && now < to:
		return end(0)
	case from > to && now >= from:
		return end(1)
	case from > to && now < to:
		return end(0)
	}
	return t
}

// clock reads a time of the day as minutes.
func clock(s string) (int, bool) {
	t, err := time.Parse("15:04", s)
	if err != nil {
		return 0, false
	}
	return t.Hour()*60 + t.Minute(), true
}

// Receipt is what a notice has come to for the party it is for.
type Receipt struct {
	Read       time.Time // when somebody of the party read it; zero if nobody did
	ReceivedAt time.Time // when it was or will be received; zero while that is open
	Counts     bool      // it was sent over a channel that was agreed and does not depend on the supplier's own domain, or it was read
}

// ReceiptOf works out from the messages of a notice whether and when it
// counts: read, or presumed received as agreed. What went only through the
// supplier's own domain proves nothing, since that domain may be what failed.
func ReceiptOf(list []Delivery, reads []NoticeRead, agreed func(Channel) bool) Receipt {
	var r Receipt
	for _, x := range reads {
		if r.Read.IsZero() || x.ReadAt.Before(r.Read) {
			r.Read = x.ReadAt
		}
	}
	for _, d := range list {
		if d.State != DeliverySent || !d.Independent || !agreed(d.Channel) {
			continue
		}
		r.Counts = true
		if !d.PresumedAt.IsZero() && (r.ReceivedAt.IsZero() || d.PresumedAt.Before(r.ReceivedAt)) {
			r.ReceivedAt = d.PresumedAt
		}
	}
	if !r.Read.IsZero() {
		r.Counts = true
		if r.ReceivedAt.IsZero() || r.Read.Before(r.ReceivedAt) {
			r.ReceivedAt = r.Read
		}
	}
	return r
}

// DependsOn reports whether an address lies in one of the domains or below
// one. Where no domain can be read from it, it does.
func DependsOn(address string, domains []string) bool {
	host := address
	if _, after, ok := strings.Cut(address, "://"); ok {
		host, _, _ = strings.Cut(after, "/")
		if i := strings.LastIndexByte(host, '@'); i >= 0 {
			host = host[i+1:]
		}
		host, _, _ = strings.Cut(host, ":")
	} else if i := strings.LastIndexByte(address, '@'); i >= 0 {
		host = address[i+1:]
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "" {
		return true
	}
	for _, d := range domains {
		d = strings.TrimSuffix(strings.ToLower(d), ".")
		if d != "" && (host == d || strings.HasSuffix(host, "."+d)) {
			return true
		}
	}
	return false
}

// OneLine refuses text that could begin another line or header, or steer a
// terminal.
func OneLine(what, s string, most int) error {
	switch {
	case len(s) > most:
		return Errorf(Invalid, "%s is longer than %d bytes", what, most)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
	}):
		return Errorf(Invalid, "%s holds a line break or another control character", what).WithHint("write it on one line")
	}
	return nil
}
