// Package web holds what every HTTP answer of a Holdfast server passes through:
// request ids, the access log, limits and security headers. The JSON interface
// is in api.
//
// It may import evidence, client, escrow and trace.
package web

import (
	"cmp"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/trace"
	"holdfast/internal/web/confirm"
)

// Pace says how slowly the other side of a connection may go before it is cut
// off. A body has no length limit here and takes as long as it takes, but
// nobody holds a connection by trickling.
type Pace struct {
	Grace   time.Duration // before a body has to be on its way
	Pause   time.Duration // longest wait for the next bytes, either way
	Slowest int64         // bytes a second that a body comes with on average after the grace
}

// DefaultPace is that of a server.
func DefaultPace() Pace { return Pace{Grace: 30 * time.Second, Pause: time.Minute, Slowest: 8 << 10} }

// Wrap gives every request an id, logs it without query or headers (both can
// hold secrets), turns a panic into a 500, keeps the pace of the connection,
// and sets headers that are right for an API and for pages alike. The log adds
// the id by itself, see [trace.Handler]. served is told of every request that
// was answered.
func Wrap(next http.Handler, log *slog.Logger, now func() time.Time, pace Pace, served ...func(Served)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := rand.Text()
		ctx := trace.WithRequest(r.Context(), id)
		inner := r.WithContext(ctx)
		start := now()
		rec := &recorder{ResponseWriter: w, control: http.NewResponseController(w), pause: pace.Pause}
		if r.Body != nil && r.Body != http.NoBody {
			inner.Body = newPacedBody(r.Body, rec.control, pace)
		}
		h := w.Header()
		h.Set("X-Request-Id", id)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cache-Control", "no-store")
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				log.ErrorContext(ctx, "panic", "panic", escrow.PanicText(p), "stack", string(debug.Stack()))
				if rec.status == 0 {
					http.Error(rec, "internal error, request "+id, http.StatusInternalServerError)
				}
			}
			took := now().Sub(start)
			log.InfoContext(ctx, "request", "method", r.Method, "path", confirm.Logged(r.URL.Path), "status", rec.status, "bytes", rec.bytes, "ms", took.Milliseconds())
			for _, f := range served {
				f(Served{Method: r.Method, Route: inner.Pattern, Status: cmp.Or(rec.status, http.StatusOK), Took: took})
			}
		}()
		next.ServeHTTP(rec, inner)
	})
}

// Served is a request that was answered. Route is the pattern it matched, ""
// for none: of those there are few, and no path that somebody made up.
type Served struct {
	Method string
	Route  string
	Status int
	Took   time.Duration
}

type recorder struct {
	http.ResponseWriter
	control *http.ResponseController
	pause   time.Duration
	status  int
	bytes   int64
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.hurry()
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	r.hurry()
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// hurry gives the other side until the end of the pause to take what comes.
// Deadlines of connections are in real time, whatever clock the program has.
func (r *recorder) hurry() {
	_ = r.control.SetWriteDeadline(time.Now().Add(r.pause)) // a recorder in a test has no connection
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// pacedBody is a request body that has to keep coming.
type pacedBody struct {
	io.ReadCloser
	control *http.ResponseController
	pace    Pace
	start   time.Time
	n       int64
}

func newPacedBody(body io.ReadCloser, control *http.ResponseController, pace Pace) *pacedBody {
	b := &pacedBody{ReadCloser: body, control: control, pace: pace, start: time.Now()}
	b.hurry() // also for a body that nobody reads and the server throws away
	return b
}

func (b *pacedBody) hurry() {
	deadline := b.start.Add(b.pace.Grace + time.Duration(b.n/b.pace.Slowest)*time.Second)
	if pause := time.Now().Add(b.pace.Pause); pause.Before(deadline) {
		deadline = pause
	}
	_ = b.control.SetReadDeadline(deadline)
}

// Read reads on. At the end the deadline goes: the handler may take its time,
// and a deadline that passes would look like a client that went away.
func (b *pacedBody) Read(p []byte) (int, error) {
	b.hurry()
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	if err == io.EOF {
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}
