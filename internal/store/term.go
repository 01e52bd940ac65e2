package store

import (
	"context"

	"holdfast/internal/escrow"
)

// termTables are the tables of promises with a date.
func termTables() []*table {
	return []*table{newTable("term_fact", "arrangement id", "", "kind about until_day document digest party recorded_by recorded_us:i")}
}

// PutTermFact records a fact; what is recorded stays.
func (t *Tx) PutTermFact(ctx context.Context, f escrow.TermFact) error {
	n, err := t.write(ctx, "term_fact", `INSERT INTO term_fact (arrangement, id, kind, about, until_day, document, digest, party, recorded_by, recorded_us)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING`,
		f.Arrangement, f.ID, string(f.Kind), f.About, f.Until, f.Document, f.Digest, f.Party, f.RecordedBy, micros(f.RecordedAt))
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.Conflict, "that fact about %s is on record already", f.About)
	}
	return err
}

// TermFacts returns the facts of an arrangement, the oldest first.
func (t *Tx) TermFacts(ctx context.Context, arrangement string) ([]escrow.TermFact, error) {
	scan := func(s scanner) (f escrow.TermFact, err error) {
		var at int64
		err = s.Scan(&f.Arrangement, &f.ID, &f.Kind, &f.About, &f.Until, &f.Document, &f.Digest, &f.Party, &f.RecordedBy, &at)
		f.RecordedAt = instant(at)
		return f, err
	}
	return many(ctx, t, scan, `SELECT arrangement, id, kind, about, until_day, document, digest, party, recorded_by, recorded_us FROM term_fact
		WHERE arrangement = $1 ORDER BY recorded_us, id`, arrangement)
}
