package store

import (
	"context"
	"fmt"
	"time"

	"holdfast/internal/escrow"
)

// dutyTables are the tables of whether deposits come as agreed.
func dutyTables() []*table {
	return []*table{
		newTable("deposit_decision", "arrangement module deposit:i", "", "refused:b level:i defects party person note decided_us:i"),
		newTable("software_release", "arrangement module version", "", "party person announced_us:i"),
		newTable("duty_step", "arrangement module after_deposit:i step", "", "entered_us:i taken_us:i"),
		newTable("notice", "arrangement id", "", "audience kind module subject due_us:i made_us:i"),
		newTable("platform_gap", "from_us:i", "", "to_us:i reason"),
	}
}

// PutDecision records what the agent says about a deposit; a later word
// replaces an earlier one.
func (t *Tx) PutDecision(ctx context.Context, d escrow.Decision) error {
	defects, err := joinNames(d.Defects)
	if err != nil {
		return err
	}
	_, err = t.write(ctx, "deposit_decision", `INSERT INTO deposit_decision (arrangement, module, deposit, refused, level, defects, party, person, note, decided_us)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (arrangement, module, deposit) DO UPDATE SET refused = excluded.refused, level = excluded.level, defects = excluded.defects,
			party = excluded.party, person = excluded.person, note = excluded.note, decided_us = excluded.decided_us`,
		d.Arrangement, d.Module, d.Deposit, d.Refused, d.Level, defects, d.Party, d.Person, d.Note, micros(d.DecidedAt))
	return err
}

// Decisions returns what agents said about a module's deposits, by deposit.
func (t *Tx) Decisions(ctx context.Context, arrangement, module string) ([]escrow.Decision, error) {
	scan := func(s scanner) (d escrow.Decision, err error) {
		var defects string
		var at int64
		if err := s.Scan(&d.Arrangement, &d.Module, &d.Deposit, &d.Refused, &d.Level, &defects, &d.Party, &d.Person, &d.Note, &at); err != nil {
			return d, err
		}
		d.DecidedAt = instant(at)
		d.Defects, err = splitNames(defects)
		return d, err
	}
	return many(ctx, t, scan, `SELECT arrangement, module, deposit, refused, level, defects, party, person, note, decided_us FROM deposit_decision
		WHERE arrangement = $1 AND module = $2 ORDER BY deposit`, arrangement, module)
}

// PutRelease records that a version of the software was announced; once.
func (t *Tx) PutRelease(ctx context.Context, r escrow.SoftwareRelease) error {
	n, err := t.write(ctx, "software_release", `INSERT INTO software_release (arrangement, module, version, party, person, announced_us)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`, r.Arrangement, r.Module, r.Version, r.Party, r.Person, micros(r.AnnouncedAt))
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.Conflict, "version %q of module %q was announced already", r.Version, r.Module)
	}
	return err
}

// Releases returns the announced versions of a module's software, the oldest
// first.
func (t *Tx) Releases(ctx context.Context, arrangement, module string) ([]escrow.SoftwareRelease, error) {
	scan := func(s scanner) (r escrow.SoftwareRelease, err error) {
		var at int64
		err = s.Scan(&r.Arrangement, &r.Module, &r.Version, &r.Party, &r.Person, &at)
		r.AnnouncedAt = instant(at)
		return r, err
	}
	return many(ctx, t, scan, `SELECT arrangement, module, version, party, person, announced_us FROM software_release
		WHERE arrangement = $1 AND module = $2 ORDER BY announced_us, version`, arrangement, module)
}

// PutDutyStep records that a step was taken. It reports false if it was taken
// before: what takes it has nothing more to do then. A step of a later ladder
// after the same deposit is taken anew.
func (t *Tx) PutDutyStep(ctx context.Context, s escrow.DutyStep) (fresh bool, err error) {
	n, err := t.write(ctx, "duty_step", `INSERT INTO duty_step (arrangement, module, after_deposit, step, entered_us, taken_us)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (arrangement, module, after_deposit, step) DO UPDATE SET entered_us = excluded.entered_us, taken_us = excluded.taken_us
		WHERE duty_step.entered_us < excluded.entered_us`, s.Arrangement, s.Module, s.After, s.Step, micros(s.EnteredAt), micros(s.TakenAt))
	return n == 1, err
}

// DutySteps returns the steps that were taken about a module, in the order
// they were taken.
func (t *Tx) DutySteps(ctx context.Context, arrangement, module string) ([]escrow.DutyStep, error) {
	scan := func(s scanner) (d escrow.DutyStep, err error) {
		var entered, taken int64
		err = s.Scan(&d.Arrangement, &d.Module, &d.After, &d.Step, &entered, &taken)
		d.EnteredAt, d.TakenAt = instant(entered), instant(taken)
		return d, err
	}
	return many(ctx, t, scan, `SELECT arrangement, module, after_deposit, step, entered_us, taken_us FROM duty_step
		WHERE arrangement = $1 AND module = $2 ORDER BY taken_us, after_deposit, entered_us, step`, arrangement, module)
}

// PutNotice adds something a party is to be told. A notice never changes.
func (t *Tx) PutNotice(ctx context.Context, n escrow.Notice) error {
	rows, err := t.write(ctx, "notice", `INSERT INTO notice (arrangement, id, audience, kind, module, subject, due_us, made_us)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		n.Arrangement, n.ID, n.Audience, n.Kind, n.Module, n.Subject, micros(n.DueAt), micros(n.MadeAt))
	if err == nil && rows == 0 {
		return escrow.Errorf(escrow.Conflict, "notice %q is there already", n.ID)
	}
	return err
}

const noticeColumns = `n.arrangement, n.id, n.audience, n.kind, n.module, n.subject, n.due_us, n.made_us`

func scanNotice(s scanner) (n escrow.Notice, err error) {
	var due, made int64
	err = s.Scan(&n.Arrangement, &n.ID, &n.Audience, &n.Kind, &n.Module, &n.Subject, &due, &made)
	n.DueAt, n.MadeAt = instant(due), instant(made)
	return n, err
}

// Notices returns at most limit notices to a party, or to everybody for "",
// the newest first.
func (t *Tx) Notices(ctx context.Context, arrangement, audience string, limit int) ([]escrow.Notice, error) {
	return many(ctx, t, scanNotice, `SELECT `+noticeColumns+` FROM notice AS n
		WHERE arrangement = $1 AND (audience = $2 OR CAST($2 AS TEXT) = '') ORDER BY made_us DESC, id LIMIT $3`, arrangement, audience, limit)
}

// PutGap records that the platform was off, or that less of such a time was:
// its end can only be moved back.
func (t *Tx) PutGap(ctx context.Context, g escrow.PlatformGap) error {
	n, err := t.write(ctx, "platform_gap", `INSERT INTO platform_gap (from_us, to_us, reason) VALUES ($1, $2, $3)
		ON CONFLICT (from_us) DO UPDATE SET to_us = excluded.to_us, reason = excluded.reason WHERE platform_gap.to_us > excluded.to_us`,
		micros(g.From), micros(g.To), g.Reason)
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.Conflict, "the platform's time off from %s is recorded already", g.From.UTC().Format(time.RFC3339))
	}
	return err
}

// Gaps returns the times the platform was off, the oldest first.
func (t *Tx) Gaps(ctx context.Context) ([]escrow.PlatformGap, error) {
	scan := func(s scanner) (g escrow.PlatformGap, err error) {
		var from, to int64
		err = s.Scan(&from, &to, &g.Reason)
		g.From, g.To = instant(from), instant(to)
		return g, err
	}
	return many(ctx, t, scan, `SELECT from_us, to_us, reason FROM platform_gap ORDER BY from_us`)
}

// Pulse says that a server was at work at now and returns when one was seen
// before, zero for never. Like a lease it is no state of the arrangements and
// leaves no act.
func (db *DB) Pulse(ctx context.Context, now time.Time) (before time.Time, err error) {
	tx, err := db.writer.BeginTx(ctx, nil)
	if err != nil {
		return before, explain(fmt.Errorf("database: begin: %w", err))
	}
	defer tx.Rollback()
	if err := db.lockWrites(ctx, tx); err != nil {
		return before, explain(err)
	}
	var seen int64
	rows, err := tx.QueryContext(ctx, `SELECT seen_us FROM platform_pulse WHERE name = 'server'`)
	if err != nil {
		return before, explain(err)
	}
	for rows.Next() {
		err = rows.Scan(&seen)
	}
	if cerr := rows.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return before, explain(err)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO platform_pulse (name, seen_us) VALUES ('server', $1)
		ON CONFLICT (name) DO UPDATE SET seen_us = excluded.seen_us`, micros(now)); err != nil {
		return before, explain(err)
	}
	if err := tx.Commit(); err != nil {
		return before, explain(fmt.Errorf("database: commit: %w", err))
	}
	return instant(seen), nil
}
