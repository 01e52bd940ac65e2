// Package bulletin keeps what is said publicly about an application: its
// status page, incidents, and what is added to them while they last.
//
// Who tells of an incident and what was seen from outside are two things: an
// incident says in words what is known, the page's states and history are what
// was measured, and neither changes the other.
//
// It may import escrow, sla and status, and runs in escrow.Database[Tx].
package bulletin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement/phrase"
	"holdfast/internal/sla"
	"holdfast/internal/status"
)

// Tx is what telling reads and writes.
type Tx interface {
	Arrangement(ctx context.Context, id string) (escrow.Arrangement, error)
	StatusPage(ctx context.Context, arrangement string) (escrow.StatusPage, error)
	StatusPageAt(ctx context.Context, slug string) (escrow.StatusPage, error)
	PutStatusPage(ctx context.Context, p escrow.StatusPage) error
	Incident(ctx context.Context, arrangement, id string) (escrow.Incident, error)
	Incidents(ctx context.Context, arrangement string, after time.Time, limit int) ([]escrow.Incident, error)
	PutIncident(ctx context.Context, i escrow.Incident) error
	IncidentUpdates(ctx context.Context, arrangement, incident string) ([]escrow.IncidentUpdate, error)
	AddIncidentUpdate(ctx context.Context, u escrow.IncidentUpdate) error
}

// Application is what an agreement says of its application, as far as that is
// told publicly.
type Application struct {
	Name       string
	Lang       phrase.Lang
	Zone       *time.Location
	Components []Component
}

// Component is one thing on the page.
type Component struct {
	ID       string
	Name     string
	Measured map[phrase.Lang]string // how, in words; nil when the agreement does not say
	// Together puts what several places saw of one target together as the
	// agreement says.
	Together func([]sla.Location) (sla.Sight, error)
}

// Terms reads an agreement's text.
type Terms interface {
	Told(source []byte) (Application, error)
}

// Watching tells what was measured: for each component, what each of its
// targets looked like from each place. A customer's own targets are not among
// them.
type Watching interface {
	Seen(ctx context.Context, arrangement string, from, to time.Time) (map[string][][]sla.Location, error)
}

// Options set up a [Board].
type Options struct {
	DB       escrow.Database[Tx]
	Terms    Terms
	Watching Watching
	Now      func() time.Time
}

// Board is the engine.
type Board struct{ o Options }

// New returns the engine.
func New(o Options) *Board { return &Board{o} }

// silence is after how long without a check a state is not known any more.
const silence = 10 * time.Minute

// maxShown is how many incidents a page has at most.
const maxShown = 200

// Publish makes an arrangement's page public under an address of its own, or
// changes who answers for it.
func (b *Board) Publish(ctx context.Context, actor escrow.Actor, p escrow.StatusPage) (escrow.StatusPage, error) {
	now := b.o.Now()
	p.By, p.PublishedAt, p.WithdrawnAt = actor.String(), now, time.Time{}
	_, err := b.o.DB.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		app, err := b.told(ctx, tx, p.Arrangement)
		if err != nil {
			return nil, err
		}
		if other, err := tx.StatusPageAt(ctx, p.Slug); err == nil && other.Arrangement != p.Arrangement {
			return nil, escrow.Errorf(escrow.Conflict, "the address %q is taken", p.Slug).WithHint("choose another one with --at")
		} else if err != nil && escrow.CodeOf(err) != escrow.NotFound {
			return nil, err
		}
		// What could not be shown is refused now, not when somebody looks.
		if err := b.blank(p, app, now).Check(); err != nil {
			return nil, err
		}
		if err := tx.PutStatusPage(ctx, p); err != nil {
			return nil, err
		}
		return []escrow.Act{{Kind: "status.published", At: now, Actor: p.By, Arrangement: p.Arrangement, Subject: p.Slug, Data: map[string]any{"publisher": p.Publisher, "contact": p.Contact}}}, nil
	})
	return p, err
}

// Withdraw takes a page from the public. What was said is kept.
func (b *Board) Withdraw(ctx context.Context, actor escrow.Actor, arrangement string) error {
	now := b.o.Now()
	_, err := b.o.DB.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		p, err := tx.StatusPage(ctx, arrangement)
		if err != nil || !p.WithdrawnAt.IsZero() {
			return nil, err
		}
		p.WithdrawnAt = now
		if err := tx.PutStatusPage(ctx, p); err != nil {
			return nil, err
		}
		return []escrow.Act{{Kind: "status.withdrawn", At: now, Actor: actor.String(), Arrangement: arrangement, Subject: p.Slug, Data: map[string]any{}}}, nil
	})
	return err
}

// Word is something that is said about an incident.
type Word struct {
	Stage  status.Stage
	NL, EN string
	NextBy time.Time // when more will be said at the latest; zero: nothing is promised
	Ended  time.Time // with Resolved: when it was over; zero: now
}

// Open tells of an incident.
func (b *Board) Open(ctx context.Context, actor escrow.Actor, i escrow.Incident, w Word) (escrow.Incident, error) {
	now := b.o.Now()
	i.By, i.EndedAt = actor.String(), time.Time{}
	if i.BegunAt.IsZero() {
		i.BegunAt = now
	}
	if i.BegunAt.After(now) {
		return i, escrow.Errorf(escrow.Invalid, "it would begin on %s, which is not yet", i.BegunAt.UTC().Format(time.RFC3339)).WithHint("what is planned is announced as maintenance")
	}
	_, err := b.o.DB.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		app, err := b.told(ctx, tx, i.Arrangement)
		if err != nil {
			return nil, err
		}
		for _, id := range i.Components {
			if !slices.ContainsFunc(app.Components, func(c Component) bool { return c.ID == id }) {
				return nil, escrow.Errorf(escrow.Invalid, "the agreement has no component %q", id)
			}
		}
		i.ID, err = b.nextID(ctx, tx, i, app.Zone)
		if err != nil {
			return nil, err
		}
		acts, err := b.say(ctx, tx, actor, app, &i, nil, w, now)
		if err != nil {
			return nil, err
		}
		return append([]escrow.Act{{Kind: "incident.opened", At: now, Actor: i.By, Arrangement: i.Arrangement, Subject: i.ID,
			Data: map[string]any{"title_nl": i.TitleNL, "title_en": i.TitleEN, "components": i.Components, "begun": i.BegunAt.UTC().Format(time.RFC3339)}}}, acts...), nil
	})
	return i, err
}

// nextID is the day it began on and a number.
func (b *Board) nextID(ctx context.Context, tx Tx, i escrow.Incident, zone *time.Location) (string, error) {
	day := i.BegunAt.In(zone).Format(time.DateOnly)
	for n := 1; ; n++ {
		id := fmt.Sprintf("%s-%d", day, n)
		_, err := tx.Incident(ctx, i.Arrangement, id)
		if escrow.CodeOf(err) == escrow.NotFound {
			return id, nil
		}
		if err != nil {
			return "", err
		}
	}
}

// Tell adds to an incident. With the stage Resolved it is over.
func (b *Board) Tell(ctx context.Context, actor escrow.Actor, arrangement, id string, w Word) (escrow.Incident, error) {
	now := b.o.Now()
	var i escrow.Incident
	_, err := b.o.DB.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		app, err := b.told(ctx, tx, arrangement)
		if err != nil {
			return nil, err
		}
		if i, err = tx.Incident(ctx, arrangement, id); err != nil {
			return nil, err
		}
		before, err := tx.IncidentUpdates(ctx, arrangement, id)
		if err != nil {
			return nil, err
		}
		return b.say(ctx, tx, actor, app, &i, before, w, now)
	})
	return i, err
}

func (b *Board) say(ctx context.Context, tx Tx, actor escrow.Actor, app Application, i *escrow.Incident, before []escrow.IncidentUpdate, w Word, now time.Time) ([]escrow.Act, error) {
	if !i.EndedAt.IsZero() && w.Stage != status.Resolved {
		i.EndedAt = time.Time{} // it was not over after all
	}
	i.NextBy = w.NextBy
	switch {
	case w.Stage == status.Resolved:
		i.NextBy = time.Time{}
		if i.EndedAt = w.Ended; i.EndedAt.IsZero() {
			i.EndedAt = now
		}
		if i.EndedAt.After(now) || i.EndedAt.Before(i.BegunAt) {
			return nil, escrow.Errorf(escrow.Invalid, "it cannot have ended on %s", i.EndedAt.UTC().Format(time.RFC3339))
		}
	case !w.Ended.IsZero():
		return nil, escrow.Errorf(escrow.Invalid, "it has an end only when it is resolved")
	case !w.NextBy.IsZero() && !w.NextBy.After(now):
		return nil, escrow.Errorf(escrow.Invalid, "more cannot be said by %s, which is over", w.NextBy.UTC().Format(time.RFC3339))
	}
	u := escrow.IncidentUpdate{Arrangement: i.Arrangement, Incident: i.ID, Number: len(before) + 1, Stage: string(w.Stage), TextNL: w.NL, TextEN: w.EN, By: actor.String(), At: now}
	page := b.blank(escrow.StatusPage{Slug: "check", Publisher: "check"}, app, now)
	page.Incidents = []status.Incident{incident(*i, append(slices.Clone(before), u))}
	if err := page.Check(); err != nil {
		return nil, err
	}
	if err := tx.PutIncident(ctx, *i); err != nil {
		return nil, err
	}
	if err := tx.AddIncidentUpdate(ctx, u); err != nil {
		return nil, err
	}
	return []escrow.Act{{Kind: "incident.told", At: now, Actor: u.By, Arrangement: i.Arrangement, Subject: i.ID,
		Data: map[string]any{"number": u.Number, "stage": u.Stage, "nl": u.TextNL, "en": u.TextEN}}}, nil
}

func (b *Board) told(ctx context.Context, tx Tx, arrangement string) (Application, error) {
	a, err := tx.Arrangement(ctx, arrangement)
	if err != nil {
		return Application{}, err
	}
	return b.o.Terms.Told(a.Source)
}

// blank is a page on which nothing has happened.
func (b *Board) blank(p escrow.StatusPage, app Application, now time.Time) *status.Page {
	out := &status.Page{ID: p.Slug, Name: app.Name, Publisher: p.Publisher, Contact: p.Contact, Lang: app.Lang, Zone: app.Zone, At: now, Stale: silence}
	for _, c := range app.Components {
		out.Services = append(out.Services, status.Service{ID: c.ID, Name: c.Name, State: status.Unknown, Measured: c.Measured})
	}
	return out
}

func both(nl, en string) map[phrase.Lang]string {
	out := map[phrase.Lang]string{}
	if strings.TrimSpace(nl) != "" {
		out[phrase.NL] = nl
	}
	if strings.TrimSpace(en) != "" {
		out[phrase.EN] = en
	}
	return out
}

func incident(i escrow.Incident, updates []escrow.IncidentUpdate) status.Incident {
	out := status.Incident{ID: i.ID, Title: both(i.TitleNL, i.TitleEN), Services: i.Components, Begun: i.BegunAt, Ended: i.EndedAt, NextBy: i.NextBy}
	for _, u := range updates {
		out.Updates = append(out.Updates, status.Update{At: u.At, Stage: status.Stage(u.Stage), Text: both(u.TextNL, u.TextEN)})
	}
	return out
}
