package server

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"

	"holdfast/internal/blob"
	"holdfast/internal/store"
)

// health answers whether this process lives and whether it can do its work.
// The answers are for anybody: they say what is not ready and never why, which
// is in the log.
type health struct {
	server *Server

	mu       sync.Mutex
	asked    time.Time
	last     readiness
	stopping bool
}

// readiness is the body of /readyz.
type readiness struct {
	Ready  bool              `json:"ready"`
	Checks map[string]string `json:"checks"` // "ok", or what is the matter
}

// Bounds of the checks. An answer is kept for a moment, so that asking often
// costs nothing.
const (
	checkPatience = 5 * time.Second
	checkKept     = time.Second
)

// alive is /healthz: this process runs. A load balancer asks /readyz.
func (h *health) alive(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "ok\n") // the caller went away
}

// ready is /readyz.
func (h *health) ready(w http.ResponseWriter, r *http.Request) {
	state := h.look(r.Context())
	w.Header().Set("Content-Type", "application/json")
	if !state.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(state) // the caller went away
}

// stop makes the process not ready, so that no new work is sent to it.
func (h *health) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopping = true
}

func (h *health) look(ctx context.Context) readiness {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopping {
		return readiness{Checks: map[string]string{"process": "is stopping"}}
	}
	if time.Since(h.asked) < checkKept {
		return h.last
	}
	// Not the caller's context alone: the answer is for those after it, too.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkPatience)
	defer cancel()
	h.last = h.check(ctx)
	h.asked = time.Now()
	return h.last
}

func (h *health) check(ctx context.Context) readiness {
	s := h.server
	state := readiness{Ready: true, Checks: map[string]string{}}
	note := func(name, trouble string, err error) {
		state.Checks[name] = "ok"
		if err != nil {
			state.Ready, state.Checks[name] = false, trouble
			s.options.Log.ErrorContext(ctx, "not ready", "check", name, "error", err)
		}
	}
	vitals, err := s.db.Vitals(ctx, s.options.Now())
	note("database", "does not answer", err)
	if err == nil {
		note("migrations", "the schema is of another release", s.db.CheckSchema(ctx))
		state.Checks["queue"] = "ok"
		if !vitals.Worker {
			// Requests are served meanwhile, and what they queue is kept.
			state.Checks["queue"] = "no process is taking work"
			state.Ready = state.Ready && !s.config.Role.Works()
		}
	}
	note("locations", "objects cannot be stored", canStore(ctx, s.blobs))
	return state
}

// canStore begins an object and throws it away.
func canStore(ctx context.Context, blobs blob.Store) error {
	w, err := blobs.Create(ctx)
	if err != nil {
		return err
	}
	return w.Abort()
}

// register adds the questions of monitoring to a listener's paths.
func (h *health) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", h.alive)
	mux.HandleFunc("GET /readyz", h.ready)
}

// vitals are what the metrics show of the database.
func (s *Server) vitals(ctx context.Context) (store.Vitals, error) {
	return s.db.Vitals(ctx, s.options.Now().Add(-overdueAfter))
}

// overdueAfter is how late a scheduled sync may be before it counts as overdue.
const overdueAfter = 10 * time.Minute
