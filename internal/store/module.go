package store

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"holdfast/internal/escrow"
)

const moduleColumns = `arrangement, id, kind, instance, compartment, source_mode, source_url, lfs, exclude, host_key, every_us, rebase`

func scanModule(s scanner) (m escrow.Module, err error) {
	var exclude string
	var every int64
	err = s.Scan(&m.Arrangement, &m.ID, &m.Kind, &m.Instance, &m.Compartment, &m.Source.Mode, &m.Source.URL, &m.Source.LFS,
		&exclude, &m.Source.HostKey, &every, &m.Rebase)
	if err != nil {
		return m, err
	}
	m.Every = time.Duration(every) * time.Microsecond
	m.Source.Exclude, err = splitNames(exclude)
	return m, err
}

// PutModule adds a module or changes its configuration.
func (t *Tx) PutModule(ctx context.Context, m escrow.Module) error {
	exclude, err := joinNames(m.Source.Exclude)
	if err != nil {
		return err
	}
	_, err = t.write(ctx, "module", `INSERT INTO module (`+moduleColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		ON CONFLICT (arrangement, id) DO UPDATE SET kind = excluded.kind, instance = excluded.instance, compartment = excluded.compartment,
			source_mode = excluded.source_mode, source_url = excluded.source_url, lfs = excluded.lfs, exclude = excluded.exclude,
			host_key = excluded.host_key, every_us = excluded.every_us, rebase = excluded.rebase`,
		m.Arrangement, m.ID, string(m.Kind), m.Instance, m.Compartment, string(m.Source.Mode), m.Source.URL, m.Source.LFS,
		exclude, m.Source.HostKey, m.Every.Microseconds(), m.Rebase)
	return err
}

func noModule(arrangement, id string) error {
	return escrow.Errorf(escrow.NotFound, "no module %q in arrangement %q", id, arrangement)
}

// Module returns one module.
func (t *Tx) Module(ctx context.Context, arrangement, id string) (escrow.Module, error) {
	return one(ctx, t, scanModule, noModule(arrangement, id),
		`SELECT `+moduleColumns+` FROM module WHERE arrangement = $1 AND id = $2`, arrangement, id)
}

// Modules returns the modules of an arrangement in the order of their ids.
func (t *Tx) Modules(ctx context.Context, arrangement string) ([]escrow.Module, error) {
	return many(ctx, t, scanModule, `SELECT `+moduleColumns+` FROM module WHERE arrangement = $1 ORDER BY id`, arrangement)
}

// DueModules returns at most limit modules that the server fetches on a
// schedule and whose time has come, the longest waiting first.
func (t *Tx) DueModules(ctx context.Context, now time.Time, limit int) ([]escrow.Module, error) {
	return many(ctx, t, scanModule, `SELECT `+qualified("m", moduleColumns)+` FROM module AS m
		LEFT JOIN module_sync AS s ON s.arrangement = m.arrangement AND s.module = m.id
		WHERE m.source_mode IN ($1, $5) AND m.every_us > 0 AND (COALESCE(s.next_due_us, 0) <= $2 OR s.attempted_us > $4)
		ORDER BY COALESCE(s.next_due_us, 0), m.arrangement, m.id LIMIT $3`, string(escrow.Pull), micros(now), limit, micros(now.Add(clockSlack)), string(escrow.Organisation))
}

// clockSlack is how far ahead of the clock a recorded attempt may lie. One
// that lies further ahead was made under a clock that was wrong, and puts
// nothing off.
const clockSlack = 7 * time.Hour // longer than a sync takes

func qualified(table, columns string) string {
	return table + "." + strings.ReplaceAll(columns, ", ", ", "+table+".")
}

// maxErrorText bounds what is kept of an error, in bytes.
const maxErrorText = 2000

// PutSyncStatus records an attempt. One that began before the recorded one is
// a Conflict: a run that was thought dead must not overwrite what its
// successor found.
func (t *Tx) PutSyncStatus(ctx context.Context, s escrow.SyncStatus) error {
	n, err := t.write(ctx, "module_sync", `INSERT INTO module_sync (`+syncColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (arrangement, module) DO UPDATE SET attempted_us = excluded.attempted_us, succeeded_us = excluded.succeeded_us,
			failures = excluded.failures, error = excluded.error, error_code = excluded.error_code, error_hint = excluded.error_hint,
			next_due_us = excluded.next_due_us
		WHERE module_sync.attempted_us <= excluded.attempted_us OR module_sync.attempted_us > $10`,
		s.Arrangement, s.Module, micros(s.AttemptedAt), micros(s.SucceededAt), s.Failures, storable(s.Error), string(s.Code), storable(s.Hint), micros(s.NextDue),
		micros(s.AttemptedAt.Add(clockSlack)))
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.Conflict, "a later sync of module %q has reported already", s.Module)
	}
	return err
}

// storable makes any text fit for a column: whole, and not too long.
func storable(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
	for len(text) > maxErrorText {
		_, last := utf8.DecodeLastRuneInString(text)
		text = text[:max(len(text)-last, 0)]
	}
	return text
}

const syncColumns = `arrangement, module, attempted_us, succeeded_us, failures, error, error_code, error_hint, next_due_us`

func scanSyncStatus(r scanner) (s escrow.SyncStatus, err error) {
	var attempted, succeeded, due int64
	err = r.Scan(&s.Arrangement, &s.Module, &attempted, &succeeded, &s.Failures, &s.Error, &s.Code, &s.Hint, &due)
	s.AttemptedAt, s.SucceededAt, s.NextDue = instant(attempted), instant(succeeded), instant(due)
	return s, err
}

// SyncStatus returns how the fetching of a module goes; NotFound if it was
// never tried.
func (t *Tx) SyncStatus(ctx context.Context, arrangement, module string) (escrow.SyncStatus, error) {
	return one(ctx, t, scanSyncStatus, escrow.Errorf(escrow.NotFound, "module %q was never synced", module),
		`SELECT `+syncColumns+` FROM module_sync WHERE arrangement = $1 AND module = $2`, arrangement, module)
}

// SyncStatuses returns the status of every module of an arrangement that was
// tried, by module.
func (t *Tx) SyncStatuses(ctx context.Context, arrangement string) ([]escrow.SyncStatus, error) {
	return many(ctx, t, scanSyncStatus, `SELECT `+syncColumns+` FROM module_sync WHERE arrangement = $1 ORDER BY module`, arrangement)
}

func scanCredential(s scanner) (c escrow.Credential, err error) {
	var updated int64
	err = s.Scan(&c.Arrangement, &c.Module, &c.Kind, &c.Sealed, &updated)
	c.UpdatedAt = instant(updated)
	return c, err
}

// PutCredential sets or replaces a sealed source secret.
func (t *Tx) PutCredential(ctx context.Context, c escrow.Credential) error {
	_, err := t.write(ctx, "credential", `INSERT INTO credential (arrangement, module, kind, sealed, updated_us) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (arrangement, module, kind) DO UPDATE SET sealed = excluded.sealed, updated_us = excluded.updated_us`,
		c.Arrangement, c.Module, string(c.Kind), blob(c.Sealed), micros(c.UpdatedAt))
	return err
}

// DeleteCredential removes a source secret.
func (t *Tx) DeleteCredential(ctx context.Context, arrangement, module string, kind escrow.CredentialKind) error {
	n, err := t.remove(ctx, "credential", `DELETE FROM credential WHERE arrangement = $1 AND module = $2 AND kind = $3`,
		arrangement, module, string(kind))
	if err == nil && n == 0 {
		return noCredential(module, kind)
	}
	return err
}

func noCredential(module string, kind escrow.CredentialKind) error {
	return escrow.Errorf(escrow.NotFound, "module %q has no credential %q", module, kind)
}

// Credential returns a source secret as it is stored: sealed.
func (t *Tx) Credential(ctx context.Context, arrangement, module string, kind escrow.CredentialKind) (escrow.Credential, error) {
	return one(ctx, t, scanCredential, noCredential(module, kind),
		`SELECT arrangement, module, kind, sealed, updated_us FROM credential WHERE arrangement = $1 AND module = $2 AND kind = $3`,
		arrangement, module, string(kind))
}

// Credentials returns all source secrets of a module, sealed, by kind.
func (t *Tx) Credentials(ctx context.Context, arrangement, module string) ([]escrow.Credential, error) {
	return many(ctx, t, scanCredential,
		`SELECT arrangement, module, kind, sealed, updated_us FROM credential WHERE arrangement = $1 AND module = $2 ORDER BY kind`,
		arrangement, module)
}

// Webhook is a delivery that was taken in.
type Webhook struct {
	Source      string // who sends, such as "github"
	ID          string // the sender's id of the delivery
	Arrangement string
	Module      string
	ReceivedAt  time.Time
}

// PutWebhook remembers a delivery. It reports false if it was there already:
// senders repeat deliveries, and a repeated one must have no effect.
func (t *Tx) PutWebhook(ctx context.Context, w Webhook) (fresh bool, err error) {
	n, err := t.write(ctx, "webhook", `INSERT INTO webhook (source, id, arrangement, module, received_us) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT DO NOTHING`, w.Source, w.ID, w.Arrangement, w.Module, micros(w.ReceivedAt))
	return n == 1, err
}

// DeleteWebhooks forgets at most limit deliveries received before a time, the
// oldest first, and returns how many it forgot.
func (t *Tx) DeleteWebhooks(ctx context.Context, before time.Time, limit int) (int, error) {
	return t.remove(ctx, "webhook", `DELETE FROM webhook WHERE (source, id) IN
		(SELECT source, id FROM webhook WHERE received_us < $1 ORDER BY received_us, source, id LIMIT $2)`, micros(before), limit)
}

// PutSetting sets a setting of the installation. Settings hold no secrets.
func (t *Tx) PutSetting(ctx context.Context, name, value string) error {
	_, err := t.write(ctx, "setting", `INSERT INTO setting (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	return err
}

// Setting returns a setting; NotFound if it was never set.
func (t *Tx) Setting(ctx context.Context, name string) (string, error) {
	scan := func(s scanner) (v string, err error) { return v, s.Scan(&v) }
	return one(ctx, t, scan, escrow.Errorf(escrow.NotFound, "no setting %q", name), `SELECT value FROM setting WHERE name = $1`, name)
}

// Settings returns all settings.
func (t *Tx) Settings(ctx context.Context) (map[string]string, error) {
	type pair struct{ name, value string }
	scan := func(s scanner) (p pair, err error) { return p, s.Scan(&p.name, &p.value) }
	pairs, err := many(ctx, t, scan, `SELECT name, value FROM setting`)
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(pairs))
	for _, p := range pairs {
		out[p.name] = p.value
	}
	return out, nil
}
