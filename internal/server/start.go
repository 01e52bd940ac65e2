package server

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"holdfast/internal/auth"
	"holdfast/internal/config"
	"holdfast/internal/escrow"
	"holdfast/internal/store"
)

// adminTokenFile is where a start leaves the administrator's token.
const adminTokenFile = "admin.token"

// adminTokenLife is how long an administrator's token lives; a start within
// the last part of it leaves a new one, so that nobody is locked out.
const (
	adminTokenLife = 365 * 24 * time.Hour
	adminTokenLeft = 60 * 24 * time.Hour
)

// sameLedger refuses a database that does not belong to the data directory,
// and ties the two together at the first start.
func (s *Server) sameLedger(ctx context.Context) error {
	tied, err := sameInstallation(ctx, s.config, s.keys, s.db)
	if err == nil && tied {
		return s.recordRestored(ctx)
	}
	if err != nil {
		return err
	}
	if s.config.Role.Shares() {
		return escrow.Errorf(escrow.Missing, "the database holds no installation yet").WithHint("begin it once with 'holdfast init'")
	}
	_, err = s.db.Update(ctx, func(tx *store.Tx) ([]escrow.Act, error) {
		if err := tx.PutSetting(ctx, ledgerKeySetting, s.keys.LedgerKey); err != nil {
			return nil, err
		}
		return []escrow.Act{{Kind: "installation.started", At: s.options.Now(), Actor: "server",
			Data: map[string]string{"origin": s.keys.Ledger.Name(), "ledger_key": s.keys.LedgerKey}}}, nil
	})
	return err
}

// Init begins an installation: keys, database and the administrator's token.
// On one that is there it changes nothing and returns what it is, so that it
// can be run from a script that may run twice. It serves nothing.
func Init(ctx context.Context, c config.Config, o Options) (_ *Started, err error) {
	if c.Role.Shares() {
		c.Role = config.RoleAll // which may make an installation
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &Server{config: c, options: o.orDefault()}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.openState(ctx); err != nil {
		return nil, err
	}
	if err := s.adminToken(ctx); err != nil {
		return nil, err
	}
	return &Started{Data: c.Data, Keys: c.KeysDir(), LedgerKey: s.keys.LedgerKey, AdminTokenFile: s.AdminTokenFile()}, nil
}

// Started is an installation that can be served.
type Started struct {
	Data           string `json:"data"`
	Keys           string `json:"keys"`
	LedgerKey      string `json:"ledger_key"`
	AdminTokenFile string `json:"admin_token_file"`
}

// adminToken leaves an administrator's token in a file when there is none
// that lives on for a while, or when a new one is asked for. The file comes
// first: a crash in between leaves a file that the next start replaces, and
// not a token that nobody was told of.
func (s *Server) adminToken(ctx context.Context) error {
	now := s.options.Now()
	var old []escrow.Token
	err := s.db.View(ctx, func(tx *store.Tx) error {
		list, err := tx.Tokens(ctx, "")
		for _, t := range list {
			if t.Role == escrow.Administrator && t.Valid(now) {
				old = append(old, t)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	lasting := false
	for _, t := range old {
		lasting = lasting || t.Valid(now.Add(adminTokenLeft))
	}
	if lasting && !s.options.NewAdminToken {
		return nil
	}
	plain, rec, err := auth.Issue(s.options.Random, now, escrow.Token{Role: escrow.Administrator, ExpiresAt: now.Add(adminTokenLife)})
	if err != nil {
		return err
	}
	if err := replaceFile(s.AdminTokenFile(), []byte(plain+"\n")); err != nil {
		return diskError(err, "%s", s.AdminTokenFile())
	}
	_, err = s.db.Update(ctx, func(tx *store.Tx) ([]escrow.Act, error) {
		if err := tx.PutToken(ctx, rec); err != nil {
			return nil, err
		}
		acts := []escrow.Act{tokenIssued(rec, "server")}
		if !s.options.NewAdminToken {
			return acts, nil
		}
		for _, t := range old {
			t.RevokedAt = now
			if err := tx.PutToken(ctx, t); err != nil {
				return nil, err
			}
			acts = append(acts, escrow.Act{Kind: "token.revoked", At: now, Actor: "server", Subject: t.ID})
		}
		return acts, nil
	})
	return err
}

// replaceFile writes a file of mode 0600 that is there whole or not at all.
func replaceFile(path string, data []byte) error {
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := writeNew(tmp, data); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// publish publishes the ledger's checkpoint from time to time until ctx ends,
// and once more then. A ledger that no longer contains what was published is
// never published again; that is in the log at every try.
func (s *Server) publish(ctx context.Context) {
	tick := time.NewTicker(time.Duration(s.config.PublishEvery))
	defer tick.Stop()
	for {
		if _, err := s.db.Publish(context.WithoutCancel(ctx)); err != nil {
			s.options.Log.ErrorContext(ctx, "publish the ledger's checkpoint", "error", err)
		}
		if ctx.Err() != nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}
