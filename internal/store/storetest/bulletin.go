package storetest

import (
	"context"
	"testing"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/store"
)

func statusPage() escrow.StatusPage {
	return escrow.StatusPage{Arrangement: Acme, Slug: "acme", Publisher: "Foundation", Contact: "mailto:status@foundation.example", By: "agent/eva", PublishedAt: at(40)}
}

func incident(id string, minute int) escrow.Incident {
	return escrow.Incident{Arrangement: Acme, ID: id, TitleNL: "Niet bereikbaar", TitleEN: "Not reachable", Components: []string{"portal", "api"}, BegunAt: at(minute), NextBy: at(minute + 30), By: "supplier/sam"}
}

func incidentUpdate(id string, n int) escrow.IncidentUpdate {
	return escrow.IncidentUpdate{Arrangement: Acme, Incident: id, Number: n, Stage: "identified", TextNL: "Een schijf is vol.", By: "supplier/sam", At: at(60 + n)}
}

// bulletinSteps fill the tables of what is said publicly.
func bulletinSteps() []step {
	return []step{
		{"status_page", func(ctx context.Context, tx *store.Tx) error { return tx.PutStatusPage(ctx, statusPage()) }},
		{"incident", func(ctx context.Context, tx *store.Tx) error { return tx.PutIncident(ctx, incident("i-1", 50)) }},
		{"incident_update", func(ctx context.Context, tx *store.Tx) error {
			return tx.AddIncidentUpdate(ctx, incidentUpdate("i-1", 1))
		}},
	}
}

func testBulletin(t *testing.T, d *Database) {
	page := statusPage()
	d.Update(t, "status.published", func(ctx context.Context, tx *store.Tx) error { return tx.PutStatusPage(ctx, page) })
	page.WithdrawnAt = at(45)
	d.Update(t, "status.withdrawn", func(ctx context.Context, tx *store.Tx) error { return tx.PutStatusPage(ctx, page) })
	same(t, d, "page", page, func(ctx context.Context, tx *store.Tx) (escrow.StatusPage, error) {
		return tx.StatusPageAt(ctx, "acme")
	})
	same(t, d, "page", page, func(ctx context.Context, tx *store.Tx) (escrow.StatusPage, error) { return tx.StatusPage(ctx, Acme) })

	ended := incident("i-2", 60)
	ended.EndedAt, ended.NextBy, ended.TitleEN, ended.Components = at(70), time.Time{}, "", nil
	for _, i := range []escrow.Incident{incident("i-1", 50), incident("i-2", 60), ended} {
		d.Update(t, "incident.told", func(ctx context.Context, tx *store.Tx) error { return tx.PutIncident(ctx, i) })
	}
	read := func(minute, limit int) func(ctx context.Context, tx *store.Tx) ([]escrow.Incident, error) {
		return func(ctx context.Context, tx *store.Tx) ([]escrow.Incident, error) {
			return tx.Incidents(ctx, Acme, at(minute), limit)
		}
	}
	same(t, d, "all", []escrow.Incident{ended, incident("i-1", 50)}, read(65, 10))
	same(t, d, "those that last", []escrow.Incident{incident("i-1", 50)}, read(71, 10))
	same(t, d, "the newest", []escrow.Incident{ended}, read(65, 1))

	d.Update(t, "incident.told", func(ctx context.Context, tx *store.Tx) error {
		return tx.AddIncidentUpdate(ctx, incidentUpdate("i-1", 1))
	})
	d.Update(t, "incident.told", func(ctx context.Context, tx *store.Tx) error {
		return tx.AddIncidentUpdate(ctx, incidentUpdate("i-1", 2))
	})
	d.refuses(t, "what was said stays said", escrow.Conflict, func(ctx context.Context, tx *store.Tx) error {
		u := incidentUpdate("i-1", 1)
		u.TextNL = "Er was niets."
		return tx.AddIncidentUpdate(ctx, u)
	})
	same(t, d, "updates", []escrow.IncidentUpdate{incidentUpdate("i-1", 1), incidentUpdate("i-1", 2)}, func(ctx context.Context, tx *store.Tx) ([]escrow.IncidentUpdate, error) {
		return tx.IncidentUpdates(ctx, Acme, "i-1")
	})
}
