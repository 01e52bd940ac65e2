// Package notice is the engine that brings notices to people: it makes a
// message for each person and channel, sends those a machine can send, tries
// again, reminds, turns to the second contact, and keeps what a person did by
// hand. What a notice has come to is worked out by escrow.ReceiptOf.
//
// It may import evidence and escrow. Its sub-packages send mail and webhooks
// and set letters. State is reached through the interface it declares; the
// server supplies it.
package notice

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// Tx is the state that the outbox reads and writes.
type Tx interface {
	Arrangement(ctx context.Context, id string) (escrow.Arrangement, error)
	Notice(ctx context.Context, arrangement, id string) (escrow.Notice, error)
	Notices(ctx context.Context, arrangement, audience string, limit int) ([]escrow.Notice, error)
	PutNotice(ctx context.Context, n escrow.Notice) error
	UnplannedNotices(ctx context.Context, limit int) ([]escrow.Notice, error)
	UnreadNotices(ctx context.Context, since time.Time, limit int) ([]escrow.Notice, error)
	NoticeAddresses(ctx context.Context, arrangement, party string) ([]escrow.NoticeAddress, error)
	PutNoticeAddress(ctx context.Context, a escrow.NoticeAddress) error
	Deliveries(ctx context.Context, arrangement, notice string) ([]escrow.Delivery, error)
	DueDeliveries(ctx context.Context, now time.Time, limit int) ([]escrow.Delivery, error)
	DeliveryByToken(ctx context.Context, hash string) (escrow.Delivery, error)
	PutDelivery(ctx context.Context, d escrow.Delivery) error
	NoticeReads(ctx context.Context, arrangement, notice string) ([]escrow.NoticeRead, error)
	PutNoticeRead(ctx context.Context, r escrow.NoticeRead) (fresh bool, err error)
}

// Reach is how the parties of an agreement are told.
type Reach struct {
	Title    string // what the arrangement is called
	Language string
	Zone     *time.Location
	Names    map[string]string // of the parties
	Roles    map[string]escrow.Role
	People   map[string][]Contact // by party, in the order of the text
	Channels []string             // that were agreed; empty where the text says nothing
	Domains  []string             // the supplier's own
	// Presumed is when what was sent over a channel counts as received, zero
	// where nothing was agreed.
	Presumed func(c escrow.Channel, sent time.Time) time.Time
}

// Contact is somebody the text names for a party.
type Contact struct {
	Person string
	Name   string
	Email  string
	Second bool // stands in for somebody, so is told second
}

// Agreed reports whether a channel makes a notice count.
func (r Reach) Agreed(c escrow.Channel) bool {
	if c == escrow.Webhook {
		return false
	}
	return len(r.Channels) == 0 || slices.Contains(r.Channels, string(c))
}

// Terms answers from the text of an agreement.
type Terms interface {
	Reach(source []byte) (Reach, error)
}

// Secrets seals the secrets of webhooks and opens them to sign with.
type Secrets interface {
	Seal(secret []byte) ([]byte, error)
	Open(sealed []byte) ([]byte, error)
}

// Message is what a sender sends. Nothing in it is more than a line, but for
// the bodies.
type Message struct {
	ID       string // the same at every try, and of no other message
	To       string // address
	Name     string // of the person
	Language string
	Subject  string
	Text     string
	HTML     string
	Body     []byte // JSON, for machines
	Secret   []byte // signs Body
}

// Sender sends over one channel. An error with code Unavailable is tried
// again; any other ends the message. The reference is kept as proof.
type Sender interface {
	Send(ctx context.Context, m Message) (reference string, err error)
}

// Options are what an outbox is made of.
type Options struct {
	DB      escrow.Database[Tx]
	Terms   Terms
	Secrets Secrets
	Now     func() time.Time
	// Senders are the channels this installation can send over by itself.
	Senders map[escrow.Channel]Sender
	// URL is where people reach this installation, such as
	// https://escrow.example; "" for nowhere, and no message has a link then.
	URL string
	// Token returns the secret part of a link: the same for the same label,
	// and not to be guessed without the server's key.
	Token func(label string) string
}

// Outbox is the engine.
type Outbox struct{ Options }

// New returns an outbox.
func New(o Options) *Outbox { return &Outbox{o} }

const (
	atOnce     = 50                  // messages and notices in one look
	budget     = 15 * time.Second    // after which a look begins nothing new
	sendWithin = 10 * time.Second    // one try
	oldest     = 7 * 24 * time.Hour  // a notice found later than this is listed, not sent
	remindAge  = 3 * 24 * time.Hour  // unread this long: a reminder
	secondAge  = 5 * 24 * time.Hour  // unread this long: the second contact
	forgetAge  = 30 * 24 * time.Hour // unread this long: nobody is troubled again
)

// retries are the waits between tries; after the last the message has failed.
func retries() []time.Duration {
	return []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour}
}

// Tick makes messages of new notices, reminds and escalates, and sends what is
// due. Two at once would send twice: the job queue runs one. After an
// interruption a message may be sent again, with the same id, by which mail
// and webhook receivers know it.
func (o *Outbox) Tick(ctx context.Context) error {
	return errors.Join(o.plan(ctx), o.chase(ctx), o.deliver(ctx))
}

// plan makes the messages of notices that have none.
func (o *Outbox) plan(ctx context.Context) error {
	var list []escrow.Notice
	err := o.DB.View(ctx, func(tx Tx) (err error) {
		list, err = tx.UnplannedNotices(ctx, atOnce)
		return err
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, n := range list {
		_, err := o.DB.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
			there, err := tx.Deliveries(ctx, n.Arrangement, n.ID)
			if err != nil || len(there) > 0 {
				return nil, err
			}
			return o.planOne(ctx, tx, n)
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("plan notice %s of %s: %w", n.ID, n.Arrangement, err))
		}
	}
	return errors.Join(errs...)
}

func (o *Outbox) planOne(ctx context.Context, tx Tx, n escrow.Notice) ([]escrow.Act, error) {
	now := o.Now()
	reach, err := o.reach(ctx, tx, n.Arrangement)
	if err != nil {
		return nil, err
	}
	portal := escrow.Delivery{Channel: escrow.Portal, Reason: "first", State: escrow.DeliverySent, DueAt: n.MadeAt, SentAt: now, By: "server",
		Independent: o.URL == "" || !escrow.DependsOn(o.URL, reach.Domains), PresumedAt: reach.Presumed(escrow.Portal, now)}
	list := []escrow.Delivery{portal}
	if now.Sub(n.MadeAt) < oldest {
		book, err := o.book(ctx, tx, n.Arrangement, n.Audience, reach)
		if err != nil {
			return nil, err
		}
		list = append(list, o.messages(n, reach, book, false, "first")...)
	}
	if err := o.fold(ctx, tx, n); err != nil {
		return nil, err
	}
	return o.put(ctx, tx, n, 0, "notice.planned", list)
}

// put adds messages behind those that are there, and tells of it in one act.
// Addresses are not in it: acts last, and people move.
func (o *Outbox) put(ctx context.Context, tx Tx, n escrow.Notice, after int, kind string, list []escrow.Delivery) ([]escrow.Act, error) {
	channels := []string{}
	for i := range list {
		list[i].Arrangement, list[i].Notice, list[i].Number, list[i].Party = n.Arrangement, n.ID, after+i+1, n.Audience
		if list[i].State == escrow.DeliveryWaiting && list[i].Channel == escrow.Email {
			list[i].TokenHash = hashOf(o.token(list[i]))
		}
		if err := tx.PutDelivery(ctx, list[i]); err != nil {
			return nil, err
		}
		who := list[i].Person
		if who != "" {
			who += ":"
		}
		channels = append(channels, who+string(list[i].Channel))
	}
	return []escrow.Act{{Kind: kind, At: o.Now(), Actor: "server", Arrangement: n.Arrangement, Subject: n.ID,
		Data: map[string]any{"party": n.Audience, "about": n.Kind, "messages": channels}}}, nil
}

func (o *Outbox) token(d escrow.Delivery) string {
	return o.Token(fmt.Sprintf("notice/%s/%s/%d", d.Arrangement, d.Notice, d.Number))
}

func hashOf(token string) string { return evidence.Digest([]byte(token)) }

// messages makes one message per person and channel. due moves out of quiet
// hours. A letter is for formal notices, where letters were agreed.
func (o *Outbox) messages(n escrow.Notice, reach Reach, book []entry, second bool, reason string) []escrow.Delivery {
	var out []escrow.Delivery
	now := o.Now()
	lettered := false
	for _, e := range book {
		if e.Second != second || e.Channel == escrow.Phone {
			continue
		}
		d := escrow.Delivery{Person: e.Person, Channel: e.Channel, Address: e.Address, Reason: reason, State: escrow.DeliveryWaiting, DueAt: now,
			Independent: o.independent(e.Channel, e.Address, reach)}
		switch {
		case e.Channel.ByHand():
			if !n.Formal() && reason == "first" {
				continue
			}
			d.State, lettered = escrow.DeliveryToPost, true
		case o.Senders[e.Channel] == nil:
			d.State, d.Error = escrow.DeliveryFailed, "this installation sends no "+string(e.Channel)
		case !n.Urgent() && e.Channel == escrow.Email:
			d.DueAt = e.After(now)
		}
		out = append(out, d)
	}
	if n.Formal() && !lettered && !second && reason == "first" {
		for _, c := range []escrow.Channel{escrow.RegisteredLetter, escrow.Letter} {
			if slices.Contains(reach.Channels, string(c)) {
				out = append(out, escrow.Delivery{Channel: c, Reason: reason, State: escrow.DeliveryToPost, DueAt: now, Independent: true})
				break
			}
		}
	}
	return out
}

// independent reports whether a channel would still work if everything under
// the supplier's own domain were gone.
func (o *Outbox) independent(c escrow.Channel, address string, reach Reach) bool {
	if c.ByHand() {
		return true
	}
	return !escrow.DependsOn(address, reach.Domains)
}

// entry is one address in the book of a party.
type entry struct {
	escrow.NoticeAddress
	Name string
}

// book lists where a party is told: what it set, and for people it set nothing
// for, the mail addresses in the text.
func (o *Outbox) book(ctx context.Context, tx Tx, arrangement, party string, reach Reach) ([]entry, error) {
	set, err := tx.NoticeAddresses(ctx, arrangement, party)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, c := range reach.People[party] {
		names[c.Person] = c.Name
	}
	var out []entry
	mailed := map[string]bool{}
	for _, a := range set {
		mailed[a.Person] = mailed[a.Person] || a.Channel == escrow.Email // also one that was removed: on purpose
		if a.RemovedAt.IsZero() {
			out = append(out, entry{a, names[a.Person]})
		}
	}
	for _, c := range reach.People[party] {
		if c.Email == "" || mailed[c.Person] || CheckAddress(escrow.Email, c.Email) != nil {
			continue
		}
		out = append(out, entry{escrow.NoticeAddress{Arrangement: arrangement, Party: party, Person: c.Person, Channel: escrow.Email, Address: c.Email, Second: c.Second}, c.Name})
	}
	if !slices.ContainsFunc(out, func(e entry) bool { return !e.Second }) {
		for i := range out {
			out[i].Second = false // somebody has to be first
		}
	}
	return out, nil
}

func (o *Outbox) reach(ctx context.Context, tx Tx, arrangement string) (Reach, error) {
	a, err := tx.Arrangement(ctx, arrangement)
	if err != nil {
		return Reach{}, err
	}
	return o.Terms.Reach(a.Source)
}

// fold takes back what waits about the same thing.
func (o *Outbox) fold(ctx context.Context, tx Tx, n escrow.Notice) error {
	topic := n.Topic()
	if topic == "" {
		return nil
	}
	list, err := tx.Notices(ctx, n.Arrangement, n.Audience, 4*atOnce)
	if err != nil {
		return err
	}
	for _, older := range list {
		if older.ID == n.ID || older.Topic() != topic || older.MadeAt.After(n.MadeAt) {
			continue
		}
		sent, err := tx.Deliveries(ctx, older.Arrangement, older.ID)
		if err != nil {
			return err
		}
		for _, d := range sent {
			if d.State != escrow.DeliveryWaiting {
				continue
			}
			d.State, d.Reference = escrow.DeliveryFolded, n.ID
			if err := tx.PutDelivery(ctx, d); err != nil {
				return err
			}
		}
	}
	return nil
}

// chase reminds those who have not read, and turns to the second contact.
func (o *Outbox) chase(ctx context.Context) error {
	var list []escrow.Notice
	now := o.Now()
	err := o.DB.View(ctx, func(tx Tx) (err error) {
		list, err = tx.UnreadNotices(ctx, now.Add(-forgetAge), 10*atOnce)
		return err
	})
	if err != nil {
		return err
	}
	newest := map[string]time.Time{}
	for _, n := range list {
		if t := n.Topic(); t != "" && n.MadeAt.After(newest[n.Arrangement+"/"+t]) {
			newest[n.Arrangement+"/"+t] = n.MadeAt
		}
	}
	var errs []error
	for _, n := range list {
		if strings.HasPrefix(n.Kind, "notice.") || n.Topic() != "" && newest[n.Arrangement+"/"+n.Topic()].After(n.MadeAt) {
			continue
		}
		var open []escrow.Delivery
		err := o.DB.View(ctx, func(tx Tx) (err error) {
			open, err = tx.Deliveries(ctx, n.Arrangement, n.ID)
			return err
		})
		if err == nil && (needsSecond(open, now) || needsReminder(open, now)) {
			_, err = o.DB.Update(ctx, func(tx Tx) ([]escrow.Act, error) { return o.chaseOne(ctx, tx, n) })
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("notice %s of %s: %w", n.ID, n.Arrangement, err))
		}
	}
	return errors.Join(errs...)
}

// needsSecond reports whether the first contact was not reached: every message
// failed, or nobody has read one for long enough.
func needsSecond(list []escrow.Delivery, now time.Time) bool {
	failed, open := 0, 0
	old := false
	for _, d := range list {
		switch {
		case d.Reason == "second":
			return false
		case d.Channel == escrow.Portal || d.State == escrow.DeliveryTried:
		case d.State == escrow.DeliveryFailed:
			failed++
		default:
			open++
			old = old || d.State == escrow.DeliverySent && now.Sub(d.SentAt) >= secondAge
		}
	}
	return old || failed > 0 && open == 0
}

func needsReminder(list []escrow.Delivery, now time.Time) bool {
	due := false
	for _, d := range list {
		if d.Reason == "reminder" {
			return false
		}
		due = due || d.Reason == "first" && d.Channel == escrow.Email && d.State == escrow.DeliverySent && now.Sub(d.SentAt) >= remindAge
	}
	return due
}

func (o *Outbox) chaseOne(ctx context.Context, tx Tx, n escrow.Notice) ([]escrow.Act, error) {
	now := o.Now()
	there, err := tx.Deliveries(ctx, n.Arrangement, n.ID)
	if err != nil {
		return nil, err
	}
	reads, err := tx.NoticeReads(ctx, n.Arrangement, n.ID)
	if err != nil || len(reads) > 0 {
		return nil, err
	}
	reach, err := o.reach(ctx, tx, n.Arrangement)
	if err != nil {
		return nil, err
	}
	book, err := o.book(ctx, tx, n.Arrangement, n.Audience, reach)
	if err != nil {
		return nil, err
	}
	if needsSecond(there, now) {
		list := o.messages(n, reach, book, true, "second")
		told := len(list) > 0
		if !told {
			// The mark that it was tried, so that it is not tried again.
			list = append(list, escrow.Delivery{Channel: escrow.Portal, Reason: "second", State: escrow.DeliveryTried, DueAt: now, Reference: "no second contact"})
		}
		acts, err := o.put(ctx, tx, n, len(there), "notice.escalated", list)
		if err != nil || told {
			return acts, err
		}
		return acts, o.tellAgents(ctx, tx, n, reach)
	}
	if !needsReminder(there, now) {
		return nil, nil
	}
	var list []escrow.Delivery
	for _, d := range o.messages(n, reach, book, false, "reminder") {
		if d.Channel == escrow.Email {
			list = append(list, d)
		}
	}
	if len(list) == 0 {
		return nil, nil
	}
	return o.put(ctx, tx, n, len(there), "notice.reminded", list)
}

// tellAgents says to the agent that a party is not reached and has no second
// contact: somebody has to call or write.
func (o *Outbox) tellAgents(ctx context.Context, tx Tx, n escrow.Notice, reach Reach) error {
	for party, role := range reach.Roles {
		if role != escrow.Agent || party == n.Audience {
			continue
		}
		err := tx.PutNotice(ctx, escrow.Notice{Arrangement: n.Arrangement, ID: noticeID(n.Arrangement, n.ID, "unreached", party), Audience: party, Kind: "notice.unreached",
			Subject: unreached(reach.Language, n.Audience, n.ID), MadeAt: o.Now()})
		if err != nil && escrow.CodeOf(err) != escrow.Conflict {
			return err
		}
	}
	return nil
}

func noticeID(parts ...string) string { return "n" + hashOf(strings.Join(parts, "\x00"))[:16] }
