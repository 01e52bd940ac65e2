package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/store"
)

// listener is one address this process answers on.
type listener struct {
	http *http.Server
	net  net.Listener
}

func listenOn(address, setting string, handler http.Handler, log *slog.Logger) (*listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, escrow.Wrap(err, escrow.Conflict, "listen on %s", address).WithHint("choose another address with '%s'", setting)
	}
	return &listener{net: l, http: &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		// Bodies and answers have no fixed deadline: an object takes as long as
		// it takes. web.Pace cuts off who only holds the connection.
		IdleTimeout:    2 * time.Minute,
		MaxHeaderBytes: 64 << 10,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}}, nil
}

func (l *listener) close() error {
	if err := l.net.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// listen takes the addresses of the role.
func (s *Server) listen(handler http.Handler) (err error) {
	if s.config.Role.Serves() {
		if s.web, err = listenOn(s.config.Listen, "listen", handler, s.options.Log); err != nil {
			return err
		}
	}
	if s.config.MetricsListen != "" {
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", s.metrics.handler(s.options.Log))
		s.health.register(mux)
		s.watched, err = listenOn(s.config.MetricsListen, "metrics_listen", mux, s.options.Log)
	}
	return err
}

// Addr is the address that requests are answered on, "" for a worker.
func (s *Server) Addr() string { return s.web.addr() }

// MetricsAddr is the address of metrics and health, "" where there is none.
func (s *Server) MetricsAddr() string { return s.watched.addr() }

func (l *listener) addr() string {
	if l == nil {
		return ""
	}
	return l.net.Addr().String()
}

// Run works and serves until ctx ends, then stops in order: no new requests,
// running ones finish, running deposits stop at a safe point.
func (s *Server) Run(ctx context.Context) error {
	if err := s.syncs.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // stopped before it served
		}
		return err
	}
	failed := make(chan error, 2)
	for _, l := range []*listener{s.web, s.watched} {
		if l != nil {
			go func() { failed <- l.http.Serve(l.net) }()
		}
	}
	publishing, endPublishing := context.WithCancel(ctx)
	published := make(chan struct{})
	go func() { defer close(published); s.publish(publishing) }()
	finished := make(chan struct{})
	go func() { defer close(finished); s.finish(publishing) }()
	watched := make(chan struct{})
	go func() { defer close(watched); s.watchDuty(publishing) }()
	placed := make(chan struct{})
	go func() {
		defer close(placed)
		var wg sync.WaitGroup
		if s.config.Role.Works() {
			if s.db.Engine() == store.SQLite {
				if err := s.places.journal.FreeScrubs(publishing); err != nil {
					s.options.Log.WarnContext(publishing, "scrub", "error", err)
				}
			}
			wg.Go(func() { s.places.run(publishing) })
		}
		wg.Go(func() { s.places.watch(publishing) })
		if s.config.Role.Probes() {
			wg.Go(func() { s.watching.run(publishing) })
		}
		wg.Wait()
	}()
	s.options.Log.InfoContext(ctx, "serving", "role", s.config.Role, "address", s.Addr(), "metrics_address", s.MetricsAddr(), "ledger_key", s.keys.LedgerKey)
	if s.web != nil {
		if a, ok := s.web.net.Addr().(*net.TCPAddr); ok && !a.IP.IsLoopback() {
			s.options.Log.WarnContext(ctx, "listening beyond this machine without TLS; put a TLS proxy in front and listen on a loopback address")
		}
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.health.stop()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	for _, l := range []*listener{s.web, s.watched} {
		if l == nil {
			continue
		}
		if serr := l.http.Shutdown(stop); serr != nil {
			// Whoever is still at it loses the connection, not the database below.
			err = errors.Join(err, fmt.Errorf("stop serving: %w", serr), l.http.Close())
		}
	}
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	endPublishing()
	<-published
	<-finished
	<-watched
	<-placed
	return errors.Join(err, s.syncs.stop(stop))
}

// stopGrace is how long running requests and deposits get to end.
const stopGrace = 20 * time.Second
