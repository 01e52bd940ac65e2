package notice

import (
	"context"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// CheckAddress refuses what is no address of the channel.
func CheckAddress(c escrow.Channel, address string) error {
	if c == escrow.Letter || c == escrow.RegisteredLetter {
		lines := strings.Split(address, "\n")
		if len(lines) < 2 || len(lines) > 8 {
			return escrow.Errorf(escrow.Invalid, "a postal address has 2 to 8 lines, not %d", len(lines))
		}
		for _, l := range lines {
			if err := escrow.OneLine("a line of the address", l, 100); err != nil {
				return err
			}
		}
		return nil
	}
	if err := escrow.OneLine("the address", address, 320); err != nil {
		return err
	}
	switch c {
	case escrow.Email:
		a, err := mail.ParseAddress(address)
		if err != nil || a.Address != address {
			return escrow.Errorf(escrow.Invalid, "%q is not a mail address", address).WithHint("write it like jan@example.nl, without a name")
		}
	case escrow.Webhook:
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
			return escrow.Errorf(escrow.Invalid, "that is not the address of a webhook").WithHint("it begins with https:// and holds no password")
		}
	case escrow.Phone:
		if !regexp.MustCompile(`^\+?[0-9][0-9 ()-]{4,30}$`).MatchString(address) {
			return escrow.Errorf(escrow.Invalid, "%q is not a telephone number", address).WithHint("write it like +31 20 123 4567")
		}
	default:
		return escrow.Errorf(escrow.Invalid, "nobody is told over %q by an address", c).WithHint("it is one of email, webhook, letter, registered_letter, phone")
	}
	return nil
}

// own says whose party an actor speaks for about notices: its own, or any for
// the agent.
func own(actor escrow.Actor, party string) error {
	if actor.Role == escrow.Agent || actor.Party == party {
		return nil
	}
	return escrow.Errorf(escrow.NotFound, "no such party to speak for: %q", party)
}

// SetChannel sets where a person is told. Who is told at the person's other
// addresses, and at those of the party's other people, hears of it: an address
// that was changed behind somebody's back is how notices get lost.
func (o *Outbox) SetChannel(ctx context.Context, actor escrow.Actor, a escrow.NoticeAddress, secret []byte) error {
	if err := own(actor, a.Party); err != nil {
		return err
	}
	if err := checkChannel(a); err != nil {
		return err
	}
	if a.Channel == escrow.Webhook {
		var err error
		if a.Sealed, err = o.Secrets.Seal(secret); err != nil {
			return err
		}
	}
	a.SetBy, a.SetAt = actor.String(), o.Now()
	_, err := o.DB.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		reach, err := o.reach(ctx, tx, a.Arrangement)
		if err != nil {
			return nil, err
		}
		if _, known := reach.Names[a.Party]; !known {
			return nil, escrow.Errorf(escrow.NotFound, "arrangement %q has no party %q", a.Arrangement, a.Party)
		}
		if a.QuietFrom != "" && a.Zone == "" {
			a.Zone = reach.Zone.String()
		}
		if err := tx.PutNoticeAddress(ctx, a); err != nil {
			return nil, err
		}
		return o.changed(ctx, tx, reach, a, "notice.channel_set")
	})
	return err
}

func checkChannel(a escrow.NoticeAddress) error {
	if !evidence.IsID(a.Person) {
		return escrow.Errorf(escrow.Invalid, "%q is not the id of a person", a.Person)
	}
	if err := CheckAddress(a.Channel, a.Address); err != nil {
		return err
	}
	if !slices.Contains([]string{"", "nl", "en"}, a.Language) {
		return escrow.Errorf(escrow.Invalid, "language %q is not nl or en", a.Language)
	}
	if a.QuietFrom == "" && a.QuietTo == "" && a.Zone == "" {
		return nil
	}
	for _, s := range []string{a.QuietFrom, a.QuietTo} {
		if _, err := time.Parse("15:04", s); err != nil {
			return escrow.Errorf(escrow.Invalid, "quiet hours %s-%s are not two times of the day", a.QuietFrom, a.QuietTo).WithHint("write them like 22:00-07:00")
		}
	}
	if _, err := time.LoadLocation(a.Zone); err != nil || a.Zone == "Local" {
		return escrow.Errorf(escrow.Invalid, "time zone %q is not known", a.Zone).WithHint("write it like Europe/Amsterdam")
	}
	return nil
}

// RemoveChannel takes an address back. The mail address that the text gives
// the person is not used then either.
func (o *Outbox) RemoveChannel(ctx context.Context, actor escrow.Actor, arrangement, party, person string, c escrow.Channel) error {
	if err := own(actor, party); err != nil {
		return err
	}
	_, err := o.DB.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		reach, err := o.reach(ctx, tx, arrangement)
		if err != nil {
			return nil, err
		}
		book, err := o.book(ctx, tx, arrangement, party, reach)
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(book, func(e entry) bool { return e.Person == person && e.Channel == c })
		if at < 0 {
			return nil, escrow.Errorf(escrow.NotFound, "%s/%s is not told over %s", party, person, c)
		}
		a := book[at].NoticeAddress
		a.SetBy, a.SetAt, a.RemovedAt, a.Sealed = actor.String(), o.Now(), o.Now(), nil
		if err := tx.PutNoticeAddress(ctx, a); err != nil {
			return nil, err
		}
		return o.changed(ctx, tx, reach, a, "notice.channel_removed")
	})
	return err
}

func (o *Outbox) changed(ctx context.Context, tx Tx, reach Reach, a escrow.NoticeAddress, kind string) ([]escrow.Act, error) {
	now := o.Now()
	err := tx.PutNotice(ctx, escrow.Notice{Arrangement: a.Arrangement, ID: noticeID(a.Arrangement, kind, a.Party, a.Person, string(a.Channel), now.UTC().Format(time.RFC3339Nano)),
		Audience: a.Party, Kind: kind, Subject: channelChanged(reach.Language, a.Person, a.Channel), MadeAt: now})
	return []escrow.Act{{Kind: kind, At: now, Actor: a.SetBy, Arrangement: a.Arrangement, Subject: a.Party + "/" + a.Person,
		Data: map[string]any{"party": a.Party, "person": a.Person, "channel": string(a.Channel), "second": a.Second, "quiet": a.QuietFrom + "-" + a.QuietTo}}}, err
}

// Channels lists where the people of a party are told, "" for everybody's.
func (o *Outbox) Channels(ctx context.Context, arrangement, party string) ([]escrow.NoticeAddress, error) {
	var out []escrow.NoticeAddress
	err := o.DB.View(ctx, func(tx Tx) error {
		reach, err := o.reach(ctx, tx, arrangement)
		if err != nil {
			return err
		}
		parties := []string{party}
		if party == "" {
			parties = nil
			for id := range reach.Names {
				parties = append(parties, id)
			}
			slices.Sort(parties)
		}
		for _, p := range parties {
			book, err := o.book(ctx, tx, arrangement, p, reach)
			if err != nil {
				return err
			}
			for _, e := range book {
				e.Sealed = nil
				out = append(out, e.NoticeAddress)
			}
		}
		return nil
	})
	return out, err
}

// Told is a notice with what came of it.
type Told struct {
	Notice     escrow.Notice
	Deliveries []escrow.Delivery
	Reads      []escrow.NoticeRead
	Receipt    escrow.Receipt
}

// List returns what a party was told, "" for everybody, the newest first.
func (o *Outbox) List(ctx context.Context, arrangement, audience string, limit int) ([]Told, error) {
	var out []Told
	err := o.DB.View(ctx, func(tx Tx) error {
		reach, err := o.reach(ctx, tx, arrangement)
		if err != nil {
			return err
		}
		list, err := tx.Notices(ctx, arrangement, audience, limit)
		if err != nil {
			return err
		}
		for _, n := range list {
			t, err := o.told(ctx, tx, n, reach)
			if err != nil {
				return err
			}
			out = append(out, t)
		}
		return nil
	})
	return out, err
}

func (o *Outbox) told(ctx context.Context, tx Tx, n escrow.Notice, reach Reach) (Told, error) {
	t := Told{Notice: n}
	var err error
	if t.Deliveries, err = tx.Deliveries(ctx, n.Arrangement, n.ID); err != nil {
		return t, err
	}
	if t.Reads, err = tx.NoticeReads(ctx, n.Arrangement, n.ID); err != nil {
		return t, err
	}
	t.Receipt = escrow.ReceiptOf(t.Deliveries, t.Reads, reach.Agreed)
	return t, nil
}

// Read records that the actor has read a notice to its own party.
func (o *Outbox) Read(ctx context.Context, actor escrow.Actor, arrangement, id string) error {
	_, err := o.DB.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		n, err := tx.Notice(ctx, arrangement, id)
		if err == nil && n.Audience != actor.Party {
			err = escrow.Errorf(escrow.NotFound, "no notice %q", id) // whose it is, is not the actor's business
		}
		if err != nil {
			return nil, err
		}
		return o.read(ctx, tx, n, actor.Person, "portal", actor.String())
	})
	return err
}

func (o *Outbox) read(ctx context.Context, tx Tx, n escrow.Notice, person, via, actor string) ([]escrow.Act, error) {
	now := o.Now()
	fresh, err := tx.PutNoticeRead(ctx, escrow.NoticeRead{Arrangement: n.Arrangement, Notice: n.ID, Party: n.Audience, Person: person, Via: via, ReadAt: now})
	if err != nil || !fresh {
		return nil, err
	}
	return []escrow.Act{{Kind: "notice.read", At: now, Actor: actor, Arrangement: n.Arrangement, Subject: n.ID,
		Data: map[string]any{"party": n.Audience, "person": person, "via": via}}}, nil
}

// Linked is what a link in a message leads to.
type Linked struct {
	Notice   escrow.Notice
	Party    string
	Title    string
	Language string
	Zone     *time.Location
	Read     bool
}

// ByLink returns what a link leads to. It changes nothing: machines that look
// at mail follow links as well.
func (o *Outbox) ByLink(ctx context.Context, token string) (Linked, error) {
	var l Linked
	err := o.DB.View(ctx, func(tx Tx) error {
		d, err := tx.DeliveryByToken(ctx, hashOf(token))
		if err != nil {
			return err
		}
		l, err = o.linked(ctx, tx, d)
		return err
	})
	return l, err
}

func (o *Outbox) linked(ctx context.Context, tx Tx, d escrow.Delivery) (l Linked, err error) {
	if l.Notice, err = tx.Notice(ctx, d.Arrangement, d.Notice); err != nil {
		return l, err
	}
	if o.Now().Sub(l.Notice.MadeAt) > linkLife {
		return l, escrow.Errorf(escrow.NotFound, "this link has expired").WithHint("sign in and read the notice there")
	}
	reach, err := o.reach(ctx, tx, d.Arrangement)
	if err != nil {
		return l, err
	}
	reads, err := tx.NoticeReads(ctx, d.Arrangement, d.Notice)
	l.Party, l.Title, l.Language, l.Zone, l.Read = reach.Names[d.Party], reach.Title, reach.Language, reach.Zone, len(reads) > 0
	book, berr := o.book(ctx, tx, d.Arrangement, d.Party, reach)
	for _, e := range book {
		if e.Person == d.Person && e.Language != "" {
			l.Language = e.Language
		}
	}
	if err == nil {
		err = berr
	}
	return l, err
}

// linkLife is how long the link in a message works.
const linkLife = 90 * 24 * time.Hour

// ReadByLink records that whoever has the link has read the notice.
func (o *Outbox) ReadByLink(ctx context.Context, token string) (Linked, error) {
	var l Linked
	_, err := o.DB.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		d, err := tx.DeliveryByToken(ctx, hashOf(token))
		if err != nil {
			return nil, err
		}
		if l, err = o.linked(ctx, tx, d); err != nil {
			return nil, err
		}
		l.Read = true
		return o.read(ctx, tx, l.Notice, d.Person, "link", d.Party+"/"+d.Person)
	})
	return l, err
}

// Posted records that a person has posted a letter.
func (o *Outbox) Posted(ctx context.Context, actor escrow.Actor, d escrow.Delivery) error {
	if !d.Channel.ByHand() || d.Channel == escrow.Phone {
		return escrow.Errorf(escrow.Invalid, "%q is not posted", d.Channel).WithHint("it is letter or registered_letter")
	}
	if d.Channel == escrow.RegisteredLetter && d.Reference == "" {
		return escrow.Errorf(escrow.Invalid, "a registered letter has a tracking number").WithHint("give it with --tracking")
	}
	d.State = escrow.DeliverySent
	return o.byHand(ctx, actor, d, "notice.posted")
}

// outcomes are what comes of a call.
func outcomes() []string {
	return []string{"reached", "no_answer", "voicemail", "refused", "wrong_number"}
}

// Called records a call: only one that reached the person tells it anything.
func (o *Outbox) Called(ctx context.Context, actor escrow.Actor, d escrow.Delivery) error {
	if !slices.Contains(outcomes(), d.Reference) {
		return escrow.Errorf(escrow.Invalid, "outcome %q is not one of %s", d.Reference, strings.Join(outcomes(), ", "))
	}
	if err := CheckAddress(escrow.Phone, d.Address); err != nil {
		return err
	}
	d.Channel, d.State = escrow.Phone, escrow.DeliveryTried
	if d.Reference == "reached" {
		d.State = escrow.DeliverySent
	}
	return o.byHand(ctx, actor, d, "notice.called")
}

func (o *Outbox) byHand(ctx context.Context, actor escrow.Actor, d escrow.Delivery, kind string) error {
	for _, line := range []struct{ what, text string }{{"the person", d.Person}, {"the tracking number", d.Reference}, {"the note", d.Error}} {
		if err := escrow.OneLine(line.what, line.text, 200); err != nil {
			return err
		}
	}
	if d.Proof != "" && !evidence.IsDigest(d.Proof) {
		return escrow.Errorf(escrow.Invalid, "the proof is not a SHA-256 digest")
	}
	now := o.Now()
	if d.SentAt.IsZero() {
		d.SentAt = now
	}
	if d.SentAt.After(now.Add(time.Minute)) {
		return escrow.Errorf(escrow.Invalid, "%s lies in the future: record it when it was done", d.SentAt.UTC().Format(time.RFC3339))
	}
	_, err := o.DB.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		n, err := tx.Notice(ctx, d.Arrangement, d.Notice)
		if err != nil {
			return nil, err
		}
		if d.SentAt.Before(n.MadeAt.Add(-time.Minute)) {
			return nil, escrow.Errorf(escrow.Invalid, "notice %q was made on %s, after that", n.ID, n.MadeAt.UTC().Format(time.RFC3339))
		}
		reach, err := o.reach(ctx, tx, d.Arrangement)
		if err != nil {
			return nil, err
		}
		there, err := tx.Deliveries(ctx, d.Arrangement, d.Notice)
		if err != nil {
			return nil, err
		}
		d.Party, d.Number, d.Reason, d.Independent, d.DueAt, d.By = n.Audience, len(there)+1, "first", true, d.SentAt, actor.String()
		for _, w := range there { // the letter that was waiting for this
			if w.State == escrow.DeliveryToPost && w.Channel == d.Channel && (w.Person == d.Person || d.Person == "" || w.Person == "") {
				d.Number, d.Reason, d.DueAt, d.Person = w.Number, w.Reason, w.DueAt, w.Person
				if d.Address == "" {
					d.Address = w.Address
				}
				break
			}
		}
		if d.State == escrow.DeliverySent {
			d.PresumedAt = reach.Presumed(d.Channel, d.SentAt)
		}
		d.Tries = 1
		return []escrow.Act{{Kind: kind, At: now, Actor: actor.String(), Arrangement: d.Arrangement, Subject: d.Notice,
			Data: map[string]any{"party": d.Party, "person": d.Person, "channel": string(d.Channel), "message": d.Number, "at": d.SentAt.UTC().Format(time.RFC3339),
				"reference": d.Reference, "proof": d.Proof}}}, tx.PutDelivery(ctx, d)
	})
	return err
}

// Sheet is what a letter says.
type Sheet struct {
	Lang      string
	To        []string // lines of the address
	Subject   string
	Reference string // of the notice
	Date      string
	Body      []string
	From      string // name of the agent
}

// Letter writes the letter of a notice to a person, "" for the party.
func (o *Outbox) Letter(ctx context.Context, arrangement, id, person string) (Sheet, error) {
	var s Sheet
	err := o.DB.View(ctx, func(tx Tx) error {
		n, err := tx.Notice(ctx, arrangement, id)
		if err != nil {
			return err
		}
		reach, err := o.reach(ctx, tx, arrangement)
		if err != nil {
			return err
		}
		book, err := o.book(ctx, tx, arrangement, n.Audience, reach)
		if err != nil {
			return err
		}
		s = sheetOf(n, reach, book, person)
		return nil
	})
	return s, err
}
