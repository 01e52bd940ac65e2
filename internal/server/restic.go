package server

import (
	"context"
	"net/http"

	"holdfast/evidence"
	"holdfast/internal/auth"
	"holdfast/internal/blob"
	"holdfast/internal/deposit"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/restic"
	"holdfast/internal/store"
	"holdfast/internal/vault"
	"holdfast/internal/web/api"
)

// resticRepositories builds what stock restic writes into.
func (s *Server) resticRepositories() *restic.Repositories {
	return restic.New(restic.Config{DB: database[restic.Tx]{s.db}, Now: s.options.Now,
		Objects: func(m escrow.Module, by escrow.Actor) blob.Store {
			return s.places.forArrangement(m.Arrangement, by.Party)
		},
		Quota: s.config.ResticQuota, MaxFile: s.config.MaxObject,
		Arrived: func(ctx context.Context, tx restic.Tx, m escrow.Module, by escrow.Actor, snapshot string) (escrow.Act, error) {
			// The file and the job that makes the deposit are there together
			// or not at all.
			reason := "restic snapshot " + snapshot
			err := tx.(*store.Tx).EnqueueSync(ctx, s.syncs.queue, m.Arrangement, m.ID, reason)
			return escrow.Act{Kind: "sync.requested", At: s.options.Now(), Actor: by.String(), Arrangement: m.Arrangement, Subject: m.ID,
				Data: map[string]string{"reason": reason}}, err
		}})
}

// resticHandler lets restic in.
func (s *Server) resticHandler(r *restic.Repositories) http.Handler {
	limit := api.NewRefusals(s.options.Now)
	return &restic.Handler{Repositories: r, Log: s.options.Log,
		Authorise: s.resticModule,
		Refused: func(ctx context.Context, by escrow.Actor, m escrow.Module, what string, refusal error) error {
			return limit.Record(ctx, recorder{s.db}, s.options.Log, by, what, map[string]any{"module": m.ID, "error": publicText(refusal)})
		}}
}

// resticModule lets a token of the module in, which restic shows as the
// password of whatever user. A token for more than one module is refused: it
// lies in a file or an environment on the machine that is backed up.
func (s *Server) resticModule(ctx context.Context, _, password, arrangement, module string) (escrow.Module, escrow.Actor, error) {
	actor, token, err := auth.Authenticate(ctx, s.tokens, "Bearer "+password, s.options.Now())
	if err != nil {
		return escrow.Module{}, actor, err
	}
	if token.Arrangement != arrangement || token.Module != module {
		return escrow.Module{}, actor, escrow.Errorf(escrow.Forbidden, "this token is not for restic in module %s", module).
			WithHint("ask the agent for one: holdfast token issue --party %s --module %s --out FILE", actor.Party, module)
	}
	if err := escrow.Allow(actor, escrow.MakeDeposit, arrangement); err != nil {
		return escrow.Module{}, actor, err
	}
	m, err := s.syncs.module(ctx, arrangement, module)
	if err != nil {
		return m, actor, err
	}
	if m.Source.Mode != escrow.Restic {
		return m, actor, escrow.Errorf(escrow.Forbidden, "restic does not write to module %s", module).WithHint("set it so with 'holdfast module set %s --mode restic'", module)
	}
	return m, actor, escrow.MayDeposit(actor, m)
}

// resticFilesAtOnce bounds the files of one deposit. More of them become
// several deposits, the snapshots in the last.
const resticFilesAtOnce = 20_000

// restic deposits what restic has uploaded to a module since its last
// deposit, as soon as there is a snapshot in it. A module that moves on while
// its deposit is made is no failure: the next round sees it as it is then.
func (y *syncs) restic(ctx context.Context, arrangement, module string) (*escrow.Deposit, error) {
	var last *escrow.Deposit
	for {
		var chain, snapshots int
		var files []escrow.ResticFile
		err := y.db.View(ctx, func(tx *store.Tx) (err error) {
			if chain, _, err = tx.LastFull(ctx, arrangement, module); err != nil {
				return err
			}
			if snapshots, err = tx.ResticSnapshotsWaiting(ctx, arrangement, module, chain); err != nil || snapshots == 0 {
				return err
			}
			files, err = tx.ResticWaiting(ctx, arrangement, module, chain, y.resticFiles+1)
			return err
		})
		if err != nil || snapshots == 0 {
			return last, err
		}
		more := len(files) > y.resticFiles
		if more {
			files = files[:y.resticFiles]
		}
		if last, err = y.resticDeposit(ctx, arrangement, module, chain, files, more); err != nil {
			return nil, err
		}
	}
}

func (y *syncs) resticDeposit(ctx context.Context, arrangement, module string, chain int, files []escrow.ResticFile, more bool) (*escrow.Deposit, error) {
	base, err := depositBase(ctx, y.db, y.now(), arrangement, module)
	if err != nil {
		return nil, err
	}
	if chain == 0 || base.Latest.Epoch != base.Epoch.Number {
		return nil, escrow.Errorf(escrow.Conflict, "a snapshot of module %s waits for the repository's password to be sealed to epoch %d of %s", module, base.Epoch.Number, base.Epoch.Compartment).
			WithHint("run 'holdfast deposit restic init' with the password file")
	}
	base.State.Chain = chain
	maker := deposit.Maker{Objects: y.places.forArrangement(arrangement, ""), Identity: y.keys.Identity, Signer: y.keys.Signer, By: vault.ServerName, Checked: evidence.CheckedByServer, Now: y.now}
	made, err := maker.Restic(base, files, more)
	if err != nil {
		return nil, err
	}
	d, err := y.vault.Accept(ctx, serverActor(), arrangement, module, made.Submission)
	if err != nil {
		return nil, err
	}
	y.log.InfoContext(ctx, "deposit accepted", "arrangement", arrangement, "module", module, "number", d.Number, "kind", d.Kind,
		"stored_bytes", d.StoredBytes, "restic_files", len(files), "restic_snapshots", len(made.Manifest.Restic.Snapshots))
	return &d, nil
}

// Restic implements api.Restic.
func (r resticStatus) Restic(ctx context.Context, arrangement, module string) (api.ResticState, error) {
	var s api.ResticState
	m, err := r.module(ctx, arrangement, module)
	if err != nil {
		return s, err
	}
	if s.Usage, err = r.Usage(ctx, m); err != nil {
		return s, err
	}
	s.Ready = r.Ready(ctx, m)
	var newest []escrow.ResticFile
	err = r.syncs.db.View(ctx, func(tx *store.Tx) error {
		chain, _, err := tx.LastFull(ctx, arrangement, module)
		if err != nil {
			return err
		}
		if s.Waiting, err = tx.ResticSnapshotsWaiting(ctx, arrangement, module, chain); err != nil {
			return err
		}
		newest, err = tx.ResticFiles(ctx, arrangement, module, escrow.ResticSnapshots, "", 1<<20)
		return err
	})
	s.Snapshots = len(newest)
	for _, f := range newest {
		if f.ReceivedAt.After(s.LastSnapshot) {
			s.LastSnapshot = f.ReceivedAt
		}
	}
	return s, err
}

// SetResticQuota implements api.Restic.
func (r resticStatus) SetResticQuota(ctx context.Context, actor escrow.Actor, arrangement, module string, bytes int64) error {
	m, err := r.module(ctx, arrangement, module)
	if err != nil {
		return err
	}
	return r.SetQuota(ctx, actor, m, bytes)
}

// resticStatus shows repositories to the API.
type resticStatus struct {
	*restic.Repositories
	syncs *syncs
}

func (r resticStatus) module(ctx context.Context, arrangement, module string) (escrow.Module, error) {
	m, err := r.syncs.module(ctx, arrangement, module)
	if err == nil && m.Source.Mode != escrow.Restic {
		err = escrow.Errorf(escrow.Conflict, "restic does not write to module %s", module).WithHint("set it so with 'holdfast module set %s --mode restic'", module)
	}
	return m, err
}
