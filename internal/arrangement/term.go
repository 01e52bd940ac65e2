package arrangement

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/term"
)

// Dated is the state that promises with a date are worked out from and told
// by.
type Dated interface {
	TermFacts(ctx context.Context, arrangement string) ([]escrow.TermFact, error)
	PutTermFact(ctx context.Context, f escrow.TermFact) error
	Notice(ctx context.Context, arrangement, id string) (escrow.Notice, error)
	PutNotice(ctx context.Context, n escrow.Notice) error
}

// Terms returns every promise with a date that a party may see, "" for all.
func (r *Registry) Terms(ctx context.Context, arrangement, party string) ([]term.Item, error) {
	var list []term.Item
	err := r.db.View(ctx, func(tx Tx) (err error) {
		_, list, err = r.dated(ctx, tx, arrangement, party)
		return err
	})
	if err == nil && party != "" {
		list = term.For(list, party)
	}
	return list, err
}

// dated works the promises out; readers are those whose view of them is asked
// for.
func (r *Registry) dated(ctx context.Context, tx Tx, arrangement string, readers ...string) (*agreement.Agreement, []term.Item, error) {
	a, err := tx.Arrangement(ctx, arrangement)
	if err != nil {
		return nil, nil, err
	}
	parsed, err := r.texts.read(arrangement, a.Source)
	if err != nil {
		return nil, nil, err
	}
	facts, err := tx.TermFacts(ctx, arrangement)
	if err != nil {
		return nil, nil, err
	}
	return parsed, term.Of(parsed, facts, r.now(), readers...), nil
}

// RecordTerm puts a fact about a promise on record. Who may say what:
// the agent whatever it has proof of; the owner of an insurance its
// certificate; a beneficiary that it paid in the payer's place, where that was
// agreed; a party of a part that it gives notice, by somebody who may sign.
func (r *Registry) RecordTerm(ctx context.Context, actor escrow.Actor, f escrow.TermFact) (escrow.TermFact, error) {
	if f.Party == "" {
		f.Party = actor.Party
	}
	f.RecordedBy, f.RecordedAt = actor.String(), r.now()
	if err := checkTermFact(f); err != nil {
		return f, err
	}
	if f.Party != actor.Party && actor.Role != escrow.Agent {
		return f, escrow.Errorf(escrow.Forbidden, "%s does not speak for %s", actor, f.Party).WithHint("the agent may record it, with the document")
	}
	f.ID = "t" + evidence.Digest([]byte(strings.Join([]string{f.Arrangement, string(f.Kind), f.About, f.Until, f.Digest, f.Party, evidence.FormatTime(f.RecordedAt)}, "\x00")))[:16]
	_, err := r.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		text, list, err := r.dated(ctx, tx, f.Arrangement, actor.Party)
		if err != nil {
			return nil, err
		}
		if text.Party(f.Party) == nil {
			return nil, escrow.Errorf(escrow.NotFound, "arrangement %q has no party %q", f.Arrangement, f.Party)
		}
		if err := mayRecordTerm(actor, text, list, f); err != nil {
			return nil, err
		}
		if f.Kind == escrow.NoticeGiven && actor.Role != escrow.Agent {
			warrants, situation, err := actingBy(ctx, tx, f.Arrangement, text, f.Party, r.now())
			if err != nil {
				return nil, err
			}
			if err := warrants.Allow(f.Party, actor.Person, escrow.PowerSign, r.now(), situation, false); err != nil {
				return nil, err
			}
		}
		if err := tx.PutTermFact(ctx, f); err != nil {
			return nil, err
		}
		if f.Kind == escrow.NoticeGiven {
			if err := r.tellOfNotice(ctx, tx, text, f); err != nil {
				return nil, err
			}
		}
		return []escrow.Act{{Kind: "term." + string(f.Kind), At: f.RecordedAt, Actor: actor.String(), Arrangement: f.Arrangement, Subject: f.About,
			Data: map[string]any{"party": f.Party, "until": f.Until, "document": f.Document, "digest": f.Digest}}}, nil
	})
	return f, err
}

func checkTermFact(f escrow.TermFact) error {
	if !slices.Contains(escrow.TermFactKinds(), f.Kind) {
		return escrow.Errorf(escrow.Invalid, "%q is no fact about a term", f.Kind)
	}
	for _, line := range []struct{ what, text string }{{"what it is about", f.About}, {"the document", f.Document}, {"the party", f.Party}} {
		if err := escrow.OneLine(line.what, line.text, 300); err != nil {
			return err
		}
	}
	if name, ok := strings.CutPrefix(f.About, "certificate/"); ok && (f.Kind != escrow.CoverFiled || !evidence.IsID(name)) {
		return escrow.Errorf(escrow.Invalid, "%q does not name a certificate", f.About).WithHint("write it like certificate/iso27001")
	}
	if _, err := time.Parse(time.DateOnly, f.Until); f.Kind.NeedsDay() != (f.Until != "") || f.Until != "" && err != nil {
		return escrow.Errorf(escrow.Invalid, "the last day %q does not go with %s", f.Until, f.Kind).WithHint("paid, cured, certificate and renewed have one, such as 2027-12-31; the others have none")
	}
	if f.Digest != "" && !evidence.IsDigest(f.Digest) {
		return escrow.Errorf(escrow.Invalid, "the digest of the document is not a digest")
	}
	if f.Kind.NeedsDocument() && (f.Digest == "" || f.Document == "") {
		return escrow.Errorf(escrow.Invalid, "%s rests on a document, and none is named", f.Kind).WithHint("give the file: its name and digest are recorded, not its content")
	}
	return nil
}

// mayRecordTerm decides whether the fact goes with the promise and the actor.
func mayRecordTerm(actor escrow.Actor, text *agreement.Agreement, list []term.Item, f escrow.TermFact) error {
	agent := actor.Role == escrow.Agent
	if strings.HasPrefix(f.About, "certificate/") {
		if !agent {
			return escrow.Errorf(escrow.Forbidden, "only the agent files its certificates")
		}
		return nil
	}
	at := slices.IndexFunc(list, func(i term.Item) bool { return i.ID == f.About && (agent || slices.Contains(i.Seen, actor.Party)) })
	if at < 0 {
		return escrow.Errorf(escrow.NotFound, "the agreement promises nothing called %q", f.About).WithHint("'holdfast terms' lists them")
	}
	i := list[at]
	kinds := map[string][]escrow.TermFactKind{
		"part": {escrow.TermRenewed, escrow.NoticeGiven}, "fee": {escrow.FeePaid, escrow.FeeArrears, escrow.FeeCured}, "insurance": {escrow.CoverFiled},
		"right": {escrow.RightReviewed}, "undertaking": {escrow.RightReviewed}}
	if !slices.Contains(kinds[i.Kind], f.Kind) {
		return escrow.Errorf(escrow.Invalid, "%s does not go with %s", f.Kind, f.About)
	}
	owner := slices.Contains(i.Owners, f.Party)
	switch f.Kind {
	case escrow.FeeCured:
		p := text.Party(f.Party)
		switch {
		case i.State != term.Arrears:
			return escrow.Errorf(escrow.Conflict, "%s is not in arrears", f.About)
		case !i.MayCure:
			return escrow.Errorf(escrow.Forbidden, "the agreement does not let somebody else pay %s", f.About)
		case p.Role != agreement.Role(escrow.Beneficiary):
			return escrow.Errorf(escrow.Forbidden, "%s is no beneficiary, who may pay in the payer's place", f.Party)
		}
		return nil
	case escrow.NoticeGiven:
		switch {
		case !owner:
			return escrow.Errorf(escrow.Forbidden, "%s is no party of that part, so it cannot give notice", f.Party)
		case i.State == term.Ended || i.State == term.Ending:
			return escrow.Errorf(escrow.Conflict, "%s is ending already, or has ended", f.About)
		}
		return nil
	case escrow.CoverFiled:
		if agent || owner && f.Party == actor.Party {
			return nil
		}
	}
	if !agent {
		return escrow.Errorf(escrow.Forbidden, "%s is recorded by the agent", f.Kind)
	}
	return nil
}

// tellOfNotice tells everybody who may see the part that it ends.
func (r *Registry) tellOfNotice(ctx context.Context, tx Tx, text *agreement.Agreement, f escrow.TermFact) error {
	_, list, err := r.dated(ctx, tx, f.Arrangement) // as it is with the fact
	if err != nil {
		return err
	}
	for _, i := range list {
		if i.ID != f.About {
			continue
		}
		for _, party := range i.Seen {
			n := termNotice(text, f.Arrangement, term.Reminder{Item: i, Kind: "term.notice_given", Key: "term.notice_given/" + f.ID, Date: i.Date}, party, r.now())
			if err := tx.PutNotice(ctx, n); err != nil {
				return err
			}
		}
	}
	return nil
}

func termNotice(text *agreement.Agreement, arrangement string, m term.Reminder, party string, now time.Time) escrow.Notice {
	zone, err := time.LoadLocation(text.TimeZone)
	if err != nil {
		zone = time.UTC
	}
	as := m
	if m.Kind == "term.notice_given" {
		as.Kind = "term.ending"
	}
	return escrow.Notice{Arrangement: arrangement, ID: "n" + evidence.Digest([]byte(arrangement + "\x00" + m.Key + "\x00" + party))[:16], Audience: party, Kind: m.Kind,
		Subject: term.Subject(as, zone, string(text.Language)), DueAt: m.Date, MadeAt: now}
}

// RemindTerms tells those whom it concerns of dates that come near or have
// passed. It may run at any time and any number of times: each reminder is
// told once.
func (r *Registry) RemindTerms(ctx context.Context) error {
	list, err := r.List(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, a := range list {
		if err := r.remind(ctx, a.ID); err != nil {
			errs = append(errs, fmt.Errorf("dates of %s: %w", a.ID, err))
		}
	}
	return errors.Join(errs...)
}

func (r *Registry) remind(ctx context.Context, arrangement string) error {
	var open []escrow.Notice
	look := func(tx Tx) error {
		open = nil
		text, list, err := r.dated(ctx, tx, arrangement)
		if err != nil {
			return err
		}
		for _, m := range term.Reminders(list, r.now()) {
			for _, party := range m.To {
				n := termNotice(text, arrangement, m, party, r.now())
				_, err := tx.Notice(ctx, arrangement, n.ID)
				switch {
				case escrow.CodeOf(err) == escrow.NotFound:
					open = append(open, n)
				case err != nil:
					return err
				}
			}
		}
		return nil
	}
	if err := r.db.View(ctx, look); err != nil || len(open) == 0 {
		return err
	}
	_, err := r.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		if err := look(tx); err != nil {
			return nil, err
		}
		var acts []escrow.Act
		for _, n := range open {
			if err := tx.PutNotice(ctx, n); err != nil {
				return nil, err
			}
			acts = append(acts, escrow.Act{Kind: n.Kind, At: n.MadeAt, Actor: "server", Arrangement: arrangement, Subject: n.ID, Data: map[string]any{"party": n.Audience, "date": evidence.FormatTime(n.DueAt)}})
		}
		return acts, nil
	})
	return err
}
