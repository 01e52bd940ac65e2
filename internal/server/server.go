// Package server is the only place that builds everything: it reads keys,
// opens the state, connects the engines, and starts and stops in order.
//
// It may import every package of the module; nothing but the command line and
// benchmarks imports it.
package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/arrangement"
	"holdfast/internal/blob/file"
	"holdfast/internal/config"
	"holdfast/internal/escrow"
	"holdfast/internal/keyring"
	"holdfast/internal/ledger"
	"holdfast/internal/release"
	"holdfast/internal/store"
	"holdfast/internal/vault"
	"holdfast/internal/web"
	"holdfast/internal/web/api"
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
	blobs    *file.Store
	tokens   *tokens
	registry *arrangement.Registry
	syncs    *syncs
	http     *http.Server
	listener net.Listener
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
	if err := s.buildSyncs(); err != nil {
		return nil, err
	}
	s.buildHTTP()
	if err := s.adminToken(ctx); err != nil {
		return nil, err
	}
	if s.listener, err = net.Listen("tcp", c.Listen); err != nil {
		return nil, escrow.Wrap(err, escrow.Conflict, "listen on %s", c.Listen).WithHint("choose another address with 'listen'")
	}
	return s, nil
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
	if s.keys, fresh, err = loadKeys(c.KeysDir(), c.Origin, s.options.Random); err != nil {
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
	s.blobs, err = file.Open(c.ObjectsDir())
	return err
}

func openStore(ctx context.Context, c config.Config, k *Keys, o Options) (*store.DB, error) {
	sc := store.Config{Signer: k.Ledger, Now: o.Now, Rand: o.Random}
	if c.Database == "" {
		sc.Path = c.SQLitePath()
	} else {
		url, err := c.DatabaseURL()
		if err != nil {
			return nil, err
		}
		sc.URL = url
	}
	return store.Open(ctx, sc)
}

func (s *Server) buildHTTP() {
	o := s.options
	s.registry = arrangement.New(database[arrangement.Tx]{s.db}, secrets{s.keys.Identity}, o.Now, s.config.LocalSources)
	s.tokens = &tokens{db: s.db, now: o.Now, random: o.Random, roles: s.registry.Role}
	v := vault.New(database[vault.Tx]{s.db}, s.blobs, o.Now, s.keys.SigningLine)
	s.syncs.vault = v
	releases := release.New(database[release.Tx]{s.db}, terms{}, o.Now, o.Random)
	mux := http.NewServeMux()
	api.Register(mux, api.Services{
		Authenticate: s.tokens.authenticate,
		Recorder:     recorder{s.db},
		Views:        views{s.db},
		Tokens:       s.tokens,
		Arrangements: s.registry,
		Keys:         keyring.New(database[keyring.Tx]{s.db}, terms{}, o.Now),
		Deposits:     &deposits{Vault: v, db: s.db, queue: s.syncs.queue},
		Objects:      &objects{blobs: s.blobs, db: s.db, releases: releases, limit: s.config.MaxObject},
		Cases:        releases,
		Ledger:       &proofs{db: s.db, log: s.db.Ledger(), policy: s.policy, keys: client.ServerKeys{Ledger: s.keys.LedgerKey, Signing: s.keys.SigningLine}},
		Now:          o.Now,
		Log:          o.Log,
		MaxObject:    s.config.MaxObject,
	})
	mux.Handle("/ledger/", http.StripPrefix("/ledger", ledger.Handler(s.db.Ledger(), func(r *http.Request, err error) {
		o.Log.ErrorContext(r.Context(), "ledger", "path", r.URL.Path, "error", err)
	})))
	mux.Handle("POST /hooks/{arrangement}/{module}", &hooks{syncs: s.syncs, db: s.db, now: o.Now, log: o.Log})
	mux.HandleFunc("GET /healthz", s.healthz)
	s.http = &http.Server{
		Handler:           web.Wrap(mux, o.Log, o.Now, web.DefaultPace()),
		ReadHeaderTimeout: 10 * time.Second,
		// Bodies and answers have no fixed deadline: an object takes as long as
		// it takes. web.Pace cuts off who only holds the connection.
		IdleTimeout:    2 * time.Minute,
		MaxHeaderBytes: 64 << 10,
		ErrorLog:       slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
	}
}

// healthz says whether this process can do its work, and nothing else.
func (s *Server) healthz(w http.ResponseWriter, r *http.Request) {
	if err := s.db.View(r.Context(), func(tx *store.Tx) error { _, err := tx.Settings(r.Context()); return err }); err != nil {
		s.options.Log.ErrorContext(r.Context(), "healthz", "error", err)
		http.Error(w, "the database does not answer", http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ok\n") // the caller went away
}

// Addr is the address the server listens on.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// AdminTokenFile is where the first start left the administrator's token.
func (s *Server) AdminTokenFile() string { return filepath.Join(s.config.Data, adminTokenFile) }

// LedgerKey is the verifier key of this installation's ledger.
func (s *Server) LedgerKey() string { return s.keys.LedgerKey }

// Run serves until ctx ends, then stops in order: no new requests, running
// ones finish, running deposits stop at a safe point.
func (s *Server) Run(ctx context.Context) error {
	if err := s.syncs.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // stopped before it served
		}
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(s.listener) }()
	publishing, endPublishing := context.WithCancel(ctx)
	published := make(chan struct{})
	go func() { defer close(published); s.publish(publishing) }()
	s.options.Log.InfoContext(ctx, "serving", "address", s.Addr(), "ledger_key", s.keys.LedgerKey)
	if a, ok := s.listener.Addr().(*net.TCPAddr); ok && !a.IP.IsLoopback() {
		s.options.Log.WarnContext(ctx, "listening beyond this machine without TLS; put a TLS proxy in front and listen on a loopback address")
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	if serr := s.http.Shutdown(stop); serr != nil {
		// Whoever is still at it loses the connection, not the database below.
		err = errors.Join(err, fmt.Errorf("stop serving: %w", serr), s.http.Close())
	}
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	endPublishing()
	<-published
	return errors.Join(err, s.syncs.stop(stop))
}

// stopGrace is how long running requests and deposits get to end.
const stopGrace = 20 * time.Second

// Close releases everything. It may be called after a failed Open.
func (s *Server) Close() error {
	var errs []error
	if s.listener != nil {
		if err := s.listener.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
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
