package notice

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"holdfast/internal/escrow"
)

// deliver sends what is due, within the time of one look.
func (o *Outbox) deliver(ctx context.Context) error {
	began := time.Now()
	var list []escrow.Delivery
	err := o.DB.View(ctx, func(tx Tx) (err error) {
		list, err = tx.DueDeliveries(ctx, o.Now(), atOnce)
		return err
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, d := range list {
		if ctx.Err() != nil || time.Since(began) > budget {
			break // the next look goes on here
		}
		if err := o.deliverOne(ctx, d); err != nil {
			errs = append(errs, fmt.Errorf("message %d of notice %s of %s: %w", d.Number, d.Notice, d.Arrangement, err))
		}
	}
	return errors.Join(errs...)
}

func (o *Outbox) deliverOne(ctx context.Context, d escrow.Delivery) error {
	var m Message
	gone := "" // why it is not sent any more
	err := o.DB.View(ctx, func(tx Tx) (err error) {
		m, gone, err = o.message(ctx, tx, d)
		return err
	})
	if err != nil {
		return err
	}
	var reference string
	var failed error
	if gone == "" {
		sender := o.Senders[d.Channel]
		if sender == nil {
			gone = "this installation sends no " + string(d.Channel)
		} else {
			try, cancel := context.WithTimeout(ctx, sendWithin)
			reference, failed = sender.Send(try, m)
			cancel()
		}
	}
	if ctx.Err() != nil && failed != nil {
		return ctx.Err() // the process stops: that says nothing about the other side
	}
	_, err = o.DB.Update(context.WithoutCancel(ctx), func(tx Tx) ([]escrow.Act, error) {
		return o.settle(ctx, tx, d, reference, gone, failed)
	})
	return err
}

// settle records what came of a try.
func (o *Outbox) settle(ctx context.Context, tx Tx, d escrow.Delivery, reference, gone string, failed error) ([]escrow.Act, error) {
	now := o.Now()
	d.Tries++
	data := map[string]any{"party": d.Party, "person": d.Person, "channel": string(d.Channel), "message": d.Number, "reason": d.Reason, "try": d.Tries}
	act := escrow.Act{At: now, Actor: "server", Arrangement: d.Arrangement, Subject: d.Notice, Data: data}
	switch waits := retries(); {
	case gone != "":
		d.State, d.Error = escrow.DeliveryFailed, gone
		act.Kind, data["error"] = "notice.failed", gone
	case failed == nil:
		reach, err := o.reach(ctx, tx, d.Arrangement)
		if err != nil {
			return nil, err
		}
		d.State, d.Error, d.SentAt, d.Reference, d.By = escrow.DeliverySent, "", now, reference, "server"
		d.PresumedAt = reach.Presumed(d.Channel, now)
		act.Kind, data["reference"] = "notice.sent", reference
	case escrow.CodeOf(failed) == escrow.Unavailable && d.Tries <= len(waits):
		d.DueAt, d.Error = now.Add(waits[d.Tries-1]), shown(failed)
		act.Kind, data["error"] = "notice.delayed", d.Error
	default:
		d.State, d.Error = escrow.DeliveryFailed, shown(failed)
		act.Kind, data["error"] = "notice.failed", d.Error
	}
	return []escrow.Act{act}, tx.PutDelivery(ctx, d)
}

// shown is what may be kept of an error: its own message, cut to a line. The
// cause may hold what the other side said, and that anything.
func shown(err error) string {
	text := "internal error; see the server's log"
	if e, ok := errors.AsType[*escrow.Error](err); ok && e.Code != escrow.Internal {
		text = e.Message
	}
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	if escrow.OneLine("", text, 300) != nil {
		text = "the other side refused it"
	}
	return text
}

// message writes a message as it stands now. gone says why it is not sent any
// more: the notice was read, or the address was taken back.
func (o *Outbox) message(ctx context.Context, tx Tx, d escrow.Delivery) (m Message, gone string, err error) {
	n, err := tx.Notice(ctx, d.Arrangement, d.Notice)
	if err != nil {
		return m, "", err
	}
	if d.Reason != "first" {
		reads, err := tx.NoticeReads(ctx, d.Arrangement, d.Notice)
		if err != nil {
			return m, "", err
		}
		if len(reads) > 0 {
			return m, "it was read meanwhile", nil
		}
	}
	reach, err := o.reach(ctx, tx, d.Arrangement)
	if err != nil {
		return m, "", err
	}
	book, err := o.book(ctx, tx, d.Arrangement, d.Party, reach)
	if err != nil {
		return m, "", err
	}
	for _, e := range book {
		if e.Person == d.Person && e.Channel == d.Channel && e.Address == d.Address {
			return o.write(n, d, e, reach)
		}
	}
	return m, "the address was taken back or changed", nil
}

// event is the body of a webhook.
type event struct {
	ID          string     `json:"id"`
	Arrangement string     `json:"arrangement"`
	Notice      string     `json:"notice"`
	Party       string     `json:"party"`
	Kind        string     `json:"kind"`
	Reason      string     `json:"reason"`
	Module      string     `json:"module,omitempty"`
	Subject     string     `json:"subject"`
	Due         *time.Time `json:"due,omitempty"`
	MadeAt      time.Time  `json:"made_at"`
}

func (o *Outbox) write(n escrow.Notice, d escrow.Delivery, e entry, reach Reach) (m Message, gone string, err error) {
	lang := e.Language
	if lang == "" {
		lang = reach.Language
	}
	m = Message{ID: fmt.Sprintf("%s.%d.%s", n.ID, d.Number, hashOf(n.Arrangement + "/" + n.Audience)[:12]), To: d.Address, Name: e.Name, Language: lang}
	if d.Channel == escrow.Webhook {
		body := event{ID: m.ID, Arrangement: n.Arrangement, Notice: n.ID, Party: n.Audience, Kind: n.Kind, Reason: d.Reason, Module: n.Module, Subject: n.Subject, MadeAt: n.MadeAt.UTC()}
		if !n.DueAt.IsZero() {
			due := n.DueAt.UTC()
			body.Due = &due
		}
		if m.Body, err = json.Marshal(body); err != nil {
			return m, "", err
		}
		m.Secret, err = o.Secrets.Open(e.Sealed)
		return m, "", err
	}
	link := ""
	if o.URL != "" {
		link = strings.TrimSuffix(o.URL, "/") + "/n/" + o.token(d)
	}
	err = letterOf(n, d, e.Name, reach, lang, link).into(&m)
	return m, "", err
}
