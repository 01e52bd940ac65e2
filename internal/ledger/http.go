package ledger

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// View is the committed ledger as the public reads it; *Log satisfies it.
type View interface {
	// Published returns a signed checkpoint; every tile below its size can
	// be had from then on.
	Published(ctx context.Context) ([]byte, error)
	// Tile returns a tile's bytes, or a NotFound error when the ledger does
	// not reach it. What was returned once for a tile never changes.
	Tile(ctx context.Context, t tlog.Tile) ([]byte, error)
}

// Handler serves v as C2SP tlog-tiles: /checkpoint, /tile/<L>/<N>[.p/<W>] and
// /tile/entries/<N>[.p/<W>]. Entries are commitments, so it shows nobody what
// the acts say and needs no authorisation. report is told of errors that are
// not the caller's; the caller sees only a status.
func Handler(v View, report func(*http.Request, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		path := strings.TrimPrefix(r.URL.Path, "/")
		if path == "checkpoint" {
			signed, err := v.Published(r.Context())
			answer(w, r, signed, err, "text/plain; charset=utf-8", "no-cache", report)
			return
		}
		t, err := evidence.ParseTilePath(path)
		if err != nil {
			http.Error(w, "no such path", http.StatusNotFound)
			return
		}
		data, err := v.Tile(r.Context(), t)
		// A tile's content is fixed by its path, also that of a partial one.
		answer(w, r, data, err, "application/octet-stream", "public, max-age=31536000, immutable", report)
	})
}

func answer(w http.ResponseWriter, r *http.Request, body []byte, err error, contentType, cache string, report func(*http.Request, error)) {
	switch {
	case escrow.CodeOf(err) == escrow.NotFound:
		// The ledger may reach it a moment later.
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "not in the ledger", http.StatusNotFound)
	case err != nil:
		if !errors.Is(err, context.Canceled) {
			report(r, err)
		}
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "the ledger cannot be read", http.StatusInternalServerError)
	default:
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Cache-Control", cache)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Length", strconv.Itoa(len(body)))
		if r.Method != http.MethodHead {
			_, _ = w.Write(body) // the client went away
		}
	}
}
