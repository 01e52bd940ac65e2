package store

import (
	"context"
	"strings"
	"time"

	"holdfast/internal/escrow"
)

// bulletinTables are the tables of what is said publicly.
func bulletinTables() []*table {
	return []*table{
		newTable("status_page", "arrangement", "", "slug publisher contact set_by published_us:i withdrawn_us:i"),
		newTable("incident", "arrangement id", "", "title_nl title_en components begun_us:i ended_us:i next_us:i opened_by"),
		newTable("incident_update", "arrangement incident number:i", "", "stage text_nl text_en said_by said_us:i"),
	}
}

const statusPageColumns = `arrangement, slug, publisher, contact, set_by, published_us, withdrawn_us`

func scanStatusPage(s scanner) (p escrow.StatusPage, err error) {
	var published, withdrawn int64
	err = s.Scan(&p.Arrangement, &p.Slug, &p.Publisher, &p.Contact, &p.By, &published, &withdrawn)
	p.PublishedAt, p.WithdrawnAt = instant(published), instant(withdrawn)
	return p, err
}

// PutStatusPage publishes the page of an arrangement, changes it or withdraws
// it. An address that another arrangement's page has is a Conflict.
func (t *Tx) PutStatusPage(ctx context.Context, p escrow.StatusPage) error {
	_, err := t.write(ctx, "status_page", `INSERT INTO status_page (`+statusPageColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (arrangement) DO UPDATE SET slug = excluded.slug, publisher = excluded.publisher, contact = excluded.contact, set_by = excluded.set_by,
			published_us = excluded.published_us, withdrawn_us = excluded.withdrawn_us`,
		p.Arrangement, p.Slug, p.Publisher, p.Contact, p.By, micros(p.PublishedAt), micros(p.WithdrawnAt))
	return err
}

// StatusPage returns the page of an arrangement.
func (t *Tx) StatusPage(ctx context.Context, arrangement string) (escrow.StatusPage, error) {
	return one(ctx, t, scanStatusPage, escrow.Errorf(escrow.NotFound, "%q has no status page", arrangement), `SELECT `+statusPageColumns+` FROM status_page WHERE arrangement = $1`, arrangement)
}

// StatusPageAt returns the page with an address.
func (t *Tx) StatusPageAt(ctx context.Context, slug string) (escrow.StatusPage, error) {
	return one(ctx, t, scanStatusPage, escrow.Errorf(escrow.NotFound, "there is no status page %q", slug), `SELECT `+statusPageColumns+` FROM status_page WHERE slug = $1`, slug)
}

const incidentColumns = `arrangement, id, title_nl, title_en, components, begun_us, ended_us, next_us, opened_by`

func scanIncident(s scanner) (i escrow.Incident, err error) {
	var components string
	var begun, ended, next int64
	err = s.Scan(&i.Arrangement, &i.ID, &i.TitleNL, &i.TitleEN, &components, &begun, &ended, &next, &i.By)
	if components != "" {
		i.Components = strings.Fields(components)
	}
	i.BegunAt, i.EndedAt, i.NextBy = instant(begun), instant(ended), instant(next)
	return i, err
}

// PutIncident opens an incident, or says how far it is.
func (t *Tx) PutIncident(ctx context.Context, i escrow.Incident) error {
	_, err := t.write(ctx, "incident", `INSERT INTO incident (`+incidentColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (arrangement, id) DO UPDATE SET title_nl = excluded.title_nl, title_en = excluded.title_en, components = excluded.components,
			begun_us = excluded.begun_us, ended_us = excluded.ended_us, next_us = excluded.next_us, opened_by = excluded.opened_by`,
		i.Arrangement, i.ID, i.TitleNL, i.TitleEN, strings.Join(i.Components, " "), micros(i.BegunAt), micros(i.EndedAt), micros(i.NextBy), i.By)
	return err
}

// Incident returns one incident.
func (t *Tx) Incident(ctx context.Context, arrangement, id string) (escrow.Incident, error) {
	return one(ctx, t, scanIncident, escrow.Errorf(escrow.NotFound, "there is no incident %q", id), `SELECT `+incidentColumns+` FROM incident WHERE arrangement = $1 AND id = $2`, arrangement, id)
}

// Incidents returns the incidents that last or ended after a moment, the
// newest first, at most limit.
func (t *Tx) Incidents(ctx context.Context, arrangement string, after time.Time, limit int) ([]escrow.Incident, error) {
	return many(ctx, t, scanIncident, `SELECT `+incidentColumns+` FROM incident WHERE arrangement = $1 AND (ended_us = 0 OR ended_us > $2) ORDER BY begun_us DESC, id LIMIT $3`, arrangement, micros(after), limit)
}

const incidentUpdateColumns = `arrangement, incident, number, stage, text_nl, text_en, said_by, said_us`

// AddIncidentUpdate adds what was said. The same number twice is a Conflict.
func (t *Tx) AddIncidentUpdate(ctx context.Context, u escrow.IncidentUpdate) error {
	n, err := t.write(ctx, "incident_update", `INSERT INTO incident_update (`+incidentUpdateColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		u.Arrangement, u.Incident, u.Number, u.Stage, u.TextNL, u.TextEN, u.By, micros(u.At))
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.Conflict, "something else was said about %s at the same time", u.Incident).WithHint("read it, and say yours again")
	}
	return err
}

// IncidentUpdates returns what was said about an incident, the oldest first.
func (t *Tx) IncidentUpdates(ctx context.Context, arrangement, incident string) ([]escrow.IncidentUpdate, error) {
	return many(ctx, t, func(s scanner) (u escrow.IncidentUpdate, err error) {
		var at int64
		err = s.Scan(&u.Arrangement, &u.Incident, &u.Number, &u.Stage, &u.TextNL, &u.TextEN, &u.By, &at)
		u.At = instant(at)
		return u, err
	}, `SELECT `+incidentUpdateColumns+` FROM incident_update WHERE arrangement = $1 AND incident = $2 ORDER BY number`, arrangement, incident)
}
