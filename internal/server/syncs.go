package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"

	"holdfast/evidence"
	"holdfast/internal/config"
	"holdfast/internal/deposit"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/egress"
	"holdfast/internal/intake/forge"
	"holdfast/internal/intake/git"
	"holdfast/internal/intake/git/pack"
	"holdfast/internal/intake/git/wire"
	"holdfast/internal/job"
	"holdfast/internal/store"
	"holdfast/internal/vault"
)

// syncs makes the deposits that the server pulls.
type syncs struct {
	config config.Config
	db     *store.DB
	places *locations
	keys   *Keys
	vault  *vault.Vault
	guard  *egress.Guard
	queue  *job.Runner
	now    func() time.Time
	// resticFiles bounds the files of one deposit of a restic repository.
	resticFiles int
	log         *slog.Logger

	metrics *metrics
}

var _ job.Syncer = (*syncs)(nil)

func (s *Server) buildSyncs() error {
	allowed, err := egress.ParseAllow(s.config.EgressAllow)
	if err != nil {
		return err
	}
	y := &syncs{config: s.config, db: s.db, places: s.places, keys: s.keys, guard: egress.New(egress.Options{Allow: allowed}), now: s.options.Now, log: s.options.Log, metrics: s.metrics, resticFiles: cmp.Or(s.options.ResticFiles, resticFilesAtOnce)}
	db, driver := s.db.Jobs()
	y.queue, err = job.New(job.Config{DB: db, Driver: driver, Syncer: y, Tasks: s.tasks(), Now: s.options.Now, Log: s.options.Log,
		Exclusive: s.db.Engine() == store.SQLite, QueueOnly: !s.config.Role.Works(), Workers: s.config.Workers, Every: time.Duration(s.config.ScheduleEvery), Lease: s.options.Lease})
	if err != nil {
		return err
	}
	s.syncs = y
	return nil
}

// dueAtOnce bounds how many modules one look at the schedule finds.
const dueAtOnce = 500

// Due implements job.Syncer.
func (y *syncs) Due(ctx context.Context, now time.Time) ([]job.Module, error) {
	var out []job.Module
	err := y.db.View(ctx, func(tx *store.Tx) error {
		list, err := tx.DueModules(ctx, now, dueAtOnce)
		for _, m := range list {
			out = append(out, job.Module{Arrangement: m.Arrangement, Module: m.ID})
		}
		return err
	})
	return out, err
}

// Sync implements job.Syncer: it makes one deposit, or finds that nothing
// changed, and records how it went.
func (y *syncs) Sync(ctx context.Context, arrangement, module, reason string) error {
	started, clock, result := y.now(), time.Now(), syncFailed
	y.metrics.running.Inc()
	defer func() {
		y.metrics.running.Dec()
		y.metrics.sync(result, time.Since(clock))
	}()
	defer func() {
		if p := recover(); p != nil { // the status must not go on saying that all is well
			failed := fmt.Errorf("panic: %v", p)
			_ = y.report(context.WithoutCancel(ctx), arrangement, module, reason, started, nil, failed)
			panic(p)
		}
	}()
	d, err := y.deposit(ctx, arrangement, module, reason)
	if err != nil && ctx.Err() != nil && escrow.CodeOf(err) == escrow.Internal { // whatever noticed it first
		err = escrow.Errorf(escrow.Unavailable, "the sync was stopped: %w", context.Cause(ctx)).WithHint("nothing of it was kept; the next one starts from the same state")
	}
	if rerr := y.report(context.WithoutCancel(ctx), arrangement, module, reason, started, d, err); err == nil {
		err = rerr
	}
	switch {
	case err != nil:
	case d != nil:
		result = syncDeposited
	default:
		result = syncUnchanged
	}
	return err
}

// server is the actor of what the server does by itself.
func serverActor() escrow.Actor { return escrow.Actor{Party: "server", Role: escrow.Administrator} }

func (y *syncs) deposit(ctx context.Context, arrangement, module, reason string) (*escrow.Deposit, error) {
	m, err := y.module(ctx, arrangement, module)
	switch {
	case err != nil:
		return nil, err
	case m.Source.Mode == escrow.Organisation:
		return nil, y.organisation(ctx, m, reason)
	case m.Source.Mode == escrow.Restic:
		return y.restic(ctx, arrangement, module)
	case m.Kind == escrow.Images && m.Source.Mode == escrow.Pull:
		return y.images(ctx, arrangement, module)
	}
	return y.git(ctx, arrangement, module)
}

func (y *syncs) module(ctx context.Context, arrangement, module string) (escrow.Module, error) {
	var m escrow.Module
	err := y.db.View(ctx, func(tx *store.Tx) (err error) {
		m, err = tx.Module(ctx, arrangement, module)
		return err
	})
	return m, err
}

func (y *syncs) git(ctx context.Context, arrangement, module string) (*escrow.Deposit, error) {
	base, err := depositBase(ctx, y.db, y.now(), arrangement, module)
	if err != nil {
		return nil, err
	}
	m := base.Module
	if m.Kind != escrow.Repository || m.Source.Mode != escrow.Pull {
		return nil, escrow.Errorf(escrow.Conflict, "module %s is not a repository that the server pulls", module)
	}
	endpoint, err := y.endpoint(ctx, m.Module)
	if err != nil {
		return nil, err
	}
	maker := deposit.Maker{Objects: y.places.forArrangement(arrangement, ""), Identity: y.keys.Identity, Signer: y.keys.Signer, By: vault.ServerName, Checked: evidence.CheckedByServer, Now: y.now}
	made, err := maker.Git(ctx, base, git.Options{
		Source: git.Source{Endpoint: endpoint, Exclude: m.Source.Exclude, LFS: m.Source.LFS, Rebase: m.Rebase},
		Wire:   wire.Config{Dial: y.guard.DialContext, AllowLocal: y.config.LocalSources, Limits: wire.Limits{Pack: y.config.MaxPack}},
		Limits: pack.Limits{}, Memory: y.config.CheckMemory,
	})
	if err != nil || made == nil {
		return nil, err
	}
	d, err := y.vault.Accept(ctx, serverActor(), arrangement, module, made.Submission)
	if err != nil {
		return nil, err
	}
	y.log.InfoContext(ctx, "deposit accepted", "arrangement", arrangement, "module", module, "number", d.Number, "kind", d.Kind,
		"stored_bytes", d.StoredBytes, "pack_bytes", made.Result.Stats.Pack, "stream_ms", made.Result.Stats.Stream.Milliseconds(), "check_ms", made.Result.Stats.Check.Milliseconds())
	return &d, nil
}

// endpoint opens the source's credentials for the moment they are used. They
// are read together with the address that they are for.
func (y *syncs) endpoint(ctx context.Context, m escrow.Module) (wire.Endpoint, error) {
	e := wire.Endpoint{URL: m.Source.URL, HostKeys: m.Source.HostKey, User: forge.GitUser(m.Source.URL)}
	err := y.db.View(ctx, func(tx *store.Tx) error {
		now, err := tx.Module(ctx, m.Arrangement, m.ID)
		if err != nil {
			return err
		}
		if now.Source.URL != m.Source.URL || now.Source.Mode != m.Source.Mode {
			return escrow.Errorf(escrow.Conflict, "the source of module %s was changed just now", m.ID).WithHint("ask for the sync again")
		}
		owner, err := ownerOfCredentials(ctx, tx, m)
		if err != nil {
			return err
		}
		list, err := tx.Credentials(ctx, m.Arrangement, owner)
		if err != nil {
			return err
		}
		for _, c := range list {
			if c.Kind == escrow.WebhookSecret || c.Kind == escrow.DeployKey != strings.HasPrefix(m.Source.URL, "ssh:") {
				continue // a token is for http, a deploy key for ssh
			}
			secret, err := secrets{y.keys.Identity}.open(c)
			if err != nil {
				return err
			}
			switch c.Kind {
			case escrow.SourceToken:
				e.Token = wire.Secret(secret)
			case escrow.DeployKey:
				e.Key = wire.Secret(secret)
			}
		}
		return nil
	})
	return e, err
}

// report records how a try went: the status is state, so it comes with an act.
func (y *syncs) report(ctx context.Context, arrangement, module, reason string, started time.Time, d *escrow.Deposit, failed error) error {
	_, err := y.db.Update(ctx, func(tx *store.Tx) ([]escrow.Act, error) {
		m, err := tx.Module(ctx, arrangement, module)
		if err != nil {
			return nil, err
		}
		status, err := tx.SyncStatus(ctx, arrangement, module)
		if err != nil && escrow.CodeOf(err) != escrow.NotFound {
			return nil, err
		}
		status.Arrangement, status.Module, status.AttemptedAt = arrangement, module, started
		status.Error, status.Code, status.Hint = "", "", ""
		act := escrow.Act{At: y.now(), Actor: "server", Arrangement: arrangement, Subject: module}
		data := map[string]any{"reason": reason}
		switch {
		case failed != nil:
			status.Failures++
			status.Error, status.Code, status.Hint = publicText(failed), escrow.CodeOf(failed), hintOf(failed)
			act.Kind, data["error"], data["code"] = "sync.failed", status.Error, string(status.Code)
		case d != nil:
			status.Failures, status.SucceededAt = 0, y.now()
			act.Kind, data["deposit"] = "sync.deposited", d.Number
		default:
			status.Failures, status.SucceededAt = 0, y.now()
			act.Kind = "sync.unchanged"
		}
		if m.Every > 0 {
			status.NextDue = started.Add(m.Every)
		}
		if err := tx.PutSyncStatus(ctx, status); err != nil {
			return nil, err
		}
		act.Data = data
		return []escrow.Act{act}, nil
	})
	return err
}

// hintOf is what an error says about what to do.
func hintOf(err error) string {
	if e, ok := errors.AsType[*escrow.Error](err); ok {
		return e.Hint
	}
	return ""
}

// maxShown bounds what is kept of an error: it can hold what a source said.
const maxShown = 1000

// publicText is what may be kept and shown of an error: what it tells people,
// without the cause, which is for the log, and without what could steer a
// terminal.
func publicText(err error) string {
	e, ok := errors.AsType[*escrow.Error](err)
	if !ok || e.Code == escrow.Internal {
		return "internal error; see the server's log"
	}
	text := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, e.Message)
	if len(text) > maxShown {
		text = strings.ToValidUTF8(text[:maxShown], "") + "…"
	}
	return text
}

func (y *syncs) start(ctx context.Context) error { return y.queue.Start(ctx) }

func (y *syncs) stop(ctx context.Context) error { return y.queue.Stop(ctx) }
