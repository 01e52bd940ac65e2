// Package server is the only place that builds everything: it reads keys,
// opens the state, connects the engines, and starts and stops in order.
//
// It may import every package of the module; nothing but the command line and
// benchmarks imports it.
package server

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/arrangement"
	"holdfast/internal/blob/file"
	"holdfast/internal/blob/partial"
	"holdfast/internal/blob/replica"
	"holdfast/internal/config"
	"holdfast/internal/duty"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/restic"
	"holdfast/internal/keyring"
	"holdfast/internal/ledger"
	"holdfast/internal/notice"
	"holdfast/internal/release"
	"holdfast/internal/retention"
	"holdfast/internal/store"
	"holdfast/internal/trace"
	"holdfast/internal/vault"
	"holdfast/internal/web"
	"holdfast/internal/web/api"
	"holdfast/internal/web/confirm"
)

// Options are the effects a server needs. The zero value means the real ones.
type Options struct {
	Now    func() time.Time
	Random io.Reader
	Log    *slog.Logger
	// NewAdminToken issues a fresh administrator's token at this start and
	// revokes the ones before it.
	NewAdminToken bool
	// Lease is how long a process on the same PostgreSQL may be silent before
	// its syncs are taken for dead; 0 for the default of package job.
	Lease time.Duration
	// Reload reads the configuration again for new locations; nil where there
	// is no file to read.
	Reload func() (config.Config, error)
	// ResticFiles bounds the files of one deposit of a restic repository; 0
	// for the default.
	ResticFiles int
	// WebhookCAs replaces the system's certificate authorities for the
	// webhooks of notices; nil for the system's.
	WebhookCAs *x509.CertPool
}

func (o Options) orDefault() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Log = slog.New(trace.Handler(o.Log.Handler()))
	return o
}

// Server is an installation at work.
type Server struct {
	config   config.Config
	options  Options
	keys     *Keys
	policy   evidence.Policy // the ledger's own key, and the witnesses whose cosignatures are taken
	lock     *file.DirLock
	db       *store.DB
	places   *locations
	blobs    *replica.Store // of places
	uploads  *partial.Store
	tokens   *tokens
	registry *arrangement.Registry
	keeper   *retention.Keeper
	duty     *duty.Watch
	outbox   *notice.Outbox
	watching *watching
	board    bulletins
	pages    *confirm.Pages
	syncs    *syncs
	health   *health
	metrics  *metrics
	web      *listener // nil where the role serves no requests
	watched  *listener // metrics and health; nil where no address is configured
}

// Open opens an installation, making it first when the data directory is new.
// A second server on the same directory is refused with code Conflict. It
// listens already when Open returns, and serves after [Server.Run].
func Open(ctx context.Context, c config.Config, o Options) (_ *Server, err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &Server{config: c, options: o.orDefault()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := s.openState(ctx); err != nil {
		return nil, err
	}
	s.health = &health{server: s}
	s.metrics = newMetrics(c.Role, s.vitals, s.options.Log)
	if err := s.buildOutbox(); err != nil {
		return nil, err
	}
	if err := s.buildSyncs(); err != nil {
		return nil, err
	}
	if s.watching, err = s.buildWatching(); err != nil {
		return nil, err
	}
	if s.board, err = s.buildBoard(); err != nil {
		return nil, err
	}
	handler := s.buildHTTP()
	if c.Role.Serves() {
		if err := s.adminToken(ctx); err != nil {
			return nil, err
		}
	}
	return s, s.listen(handler)
}

// openState takes the data directory and opens keys, database and objects.
func (s *Server) openState(ctx context.Context) error {
	c := s.config
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return diskError(err, "data directory %s cannot be made", c.Data)
	}
	var err error
	if s.lock, err = file.Lock(c.Data); err != nil {
		return err
	}
	if err := refuseLost(ctx, c); err != nil {
		return err
	}
	var fresh bool
	if s.keys, fresh, err = loadKeys(c.KeysDir(), c.Origin, s.options.Random, !c.Role.Shares()); err != nil {
		return err
	}
	if s.policy, err = evidence.NewPolicy(s.keys.LedgerKey, c.Witnesses, 0); err != nil {
		return escrow.Errorf(escrow.Invalid, "configuration: witnesses: %w", err)
	}
	if s.db, err = openStore(ctx, c, s.keys, s.options); err != nil {
		return err
	}
	if err := s.sameLedger(ctx); err != nil {
		if fresh { // made for nothing; they must not be taken for the right ones
			err = errors.Join(err, os.RemoveAll(c.KeysDir()))
		}
		return err
	}
	if s.uploads, err = partial.Open(filepath.Join(c.Data, "uploads"), s.options.Now); err != nil {
		return err
	}
	if s.places, err = openLocations(ctx, c, s.db, s.options); err != nil {
		return err
	}
	s.blobs = s.places.blobs
	return nil
}

func openStore(ctx context.Context, c config.Config, k *Keys, o Options) (*store.DB, error) {
	sc, err := storeConfig(c, k, o)
	if err != nil {
		return nil, err
	}
	return store.Open(ctx, sc)
}

func storeConfig(c config.Config, k *Keys, o Options) (store.Config, error) {
	sc := store.Config{Signer: k.Ledger, Now: o.Now, Rand: o.Random}
	if c.Database == "" {
		sc.Path = c.SQLitePath()
		return sc, nil
	}
	url, err := c.DatabaseURL()
	sc.URL = url
	return sc, err
}

// buildHTTP connects the engines and returns what answers requests.
func (s *Server) buildHTTP() http.Handler {
	o := s.options
	s.registry = arrangement.New(database[arrangement.Tx]{s.db}, secrets{s.keys.Identity}, o.Now, s.config.LocalSources)
	s.tokens = &tokens{db: s.db, now: o.Now, random: o.Random, roles: s.registry.Role}
	v := vault.New(database[vault.Tx]{s.db}, s.blobs, terms{}, o.Now, s.keys.SigningLine)
	s.syncs.vault = v
	s.keeper = retention.New(database[retention.Tx]{s.db}, terms{}, s.blobs, s.keys.Signer, o.Now, o.Random)
	s.duty = duty.New(database[duty.Tx]{s.db}, s.db, terms{}, o.Now)
	releases := release.New(database[release.Tx]{s.db}, terms{}, o.Now, o.Random)
	repositories := s.resticRepositories()
	mux := http.NewServeMux()
	api.Register(mux, api.Services{
		Authenticate: s.tokens.authenticate,
		Recorder:     recorder{s.db},
		Views:        newViews(s.db, o.Now),
		Tokens:       s.tokens,
		Arrangements: s.registry,
		Accord:       accord{s.registry, s.keys.Identity},
		Accession:    accessions{s.registry},
		Keys:         keyring.New(database[keyring.Tx]{s.db}, terms{}, o.Now),
		Deposits:     &deposits{Vault: v, db: s.db, queue: s.syncs.queue, now: o.Now, log: o.Log},
		Objects:      &objects{places: s.places, db: s.db, releases: releases, limit: s.config.MaxObject, uploads: s.uploads},
		Locations:    s.places,
		Restic:       resticStatus{repositories, s.syncs},
		Forge:        organisations{s.db},
		Cases:        releases,
		Retention:    keeper{s.keeper},
		Duty:         watch{s.duty},
		Notices:      outbox{s.outbox},
		Terms:        s.registry,
		Watching:     watched{s.watching.Watch},
		Bulletin:     s.board,
		Ledger:       &proofs{db: s.db, log: s.db.Ledger(), policy: s.policy, keys: client.ServerKeys{Ledger: s.keys.LedgerKey, Signing: s.keys.SigningLine}},
		Now:          o.Now,
		Log:          o.Log,
		MaxObject:    s.config.MaxObject,
	})
	mux.Handle("/ledger/", http.StripPrefix("/ledger", ledger.Handler(s.db.Ledger(), func(r *http.Request, err error) {
		o.Log.ErrorContext(r.Context(), "ledger", "path", r.URL.Path, "error", err)
	})))
	mux.Handle(restic.Prefix, s.resticHandler(repositories))
	mux.Handle("POST /hooks/{arrangement}/{module}", &hooks{syncs: s.syncs, db: s.db, now: o.Now, log: o.Log})
	s.pages.Register(mux)
	s.board.public.register(mux)
	s.health.register(mux)
	return web.Wrap(mux, o.Log, o.Now, web.DefaultPace(), s.metrics.served)
}

// AdminTokenFile is where the first start left the administrator's token.
func (s *Server) AdminTokenFile() string { return filepath.Join(s.config.Data, adminTokenFile) }

// LedgerKey is the verifier key of this installation's ledger.
func (s *Server) LedgerKey() string { return s.keys.LedgerKey }

// Close releases everything. It may be called after a failed Open.
func (s *Server) Close() error {
	var errs []error
	for _, l := range []*listener{s.web, s.watched} {
		if l != nil {
			errs = append(errs, l.close())
		}
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Unlock())
	}
	return errors.Join(errs...)
}
