package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"holdfast/internal/blob"
	"holdfast/internal/escrow"
)

// Driver is what a location must be able to do; blob/file and blob/s3 are
// drivers. One that is a [blob.Streamer] too gets the bytes while they arrive,
// others get them when the name is known.
type Driver interface {
	blob.Receiver
	blob.Lister
	blob.Deleter
	Open(ctx context.Context, name string) (blob.Reader, error)
	Stat(ctx context.Context, name string) (int64, error)
	// Probe tells whether the location can be written at all.
	Probe(ctx context.Context) error
}

// Location is one place where objects are kept.
type Location struct {
	ID          string
	State       escrow.LocationState
	Arrangement string // "" for all; otherwise it gets the objects of this one only
	Counts      bool   // whether a copy here counts towards the quorum
	Driver      Driver
	Bandwidth   int64   // bytes a second, in both directions together; 0 for no limit
	Requests    float64 // requests a second; 0 for no limit
}

// Health is how a location did lately, as this process has seen it.
type Health struct {
	ID      string
	State   escrow.LocationState
	Away    bool          // it failed, and is tried again at times
	Error   string        // of the last failure, if it is away
	Since   time.Time     // when it went away
	Latency time.Duration // of a read, as an average that forgets
}

// location is a Location at work.
type location struct {
	Location
	backoff  time.Duration
	bytes    *rate.Limiter
	requests *rate.Limiter

	mu       sync.Mutex
	failures int
	err      error
	since    time.Time
	retry    time.Time
	latency  time.Duration
}

// burst bounds what is let through at once under a bandwidth limit.
const burst = 1 << 20

func newLocation(l Location, backoff time.Duration) *location {
	w := &location{Location: l, backoff: backoff, bytes: rate.NewLimiter(rate.Inf, burst), requests: rate.NewLimiter(rate.Inf, 1)}
	if l.Bandwidth > 0 {
		w.bytes = rate.NewLimiter(rate.Limit(l.Bandwidth), int(min(burst, max(l.Bandwidth, 4096))))
	}
	if l.Requests > 0 {
		w.requests = rate.NewLimiter(rate.Limit(l.Requests), max(1, int(l.Requests)))
	}
	return w
}

// serves reports whether objects of an arrangement belong here.
func (l *location) serves(arrangement string) bool {
	return l.Arrangement == "" || l.Arrangement == arrangement
}

// lastRetry bounds the back-off of a location that failed.
const lastRetry = time.Minute

// away reports whether the location failed and is not to be bothered yet.
func (l *location) away(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failures > 0 && now.Before(l.retry)
}

// report takes the end of a request. What is the caller's or one object's
// fault says nothing of the location.
func (l *location) report(ctx context.Context, now time.Time, err error) {
	if err != nil && (ctx.Err() != nil || !faulty(err)) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.failures, l.err = 0, nil
		return
	}
	if l.failures == 0 {
		l.since = now
	}
	l.failures++
	l.err = err
	l.retry = now.Add(min(lastRetry, l.backoff<<min(l.failures-1, 6)))
}

// faulty reports whether an error is a location's and not an object's.
func faulty(err error) bool {
	switch escrow.CodeOf(err) {
	case "", escrow.Missing, escrow.Damaged, escrow.Invalid, escrow.NotFound:
		return false
	}
	return !errors.Is(err, context.Canceled)
}

func (l *location) took(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.latency == 0 {
		l.latency = d
	}
	l.latency += (d - l.latency) / 8
}

func (l *location) health() Health {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := Health{ID: l.ID, State: l.State, Away: l.failures > 0, Latency: l.latency}
	if h.Away {
		h.Error, h.Since = Reason(l.err), l.since
	}
	return h
}

// Reason is what may be kept and shown of an error: what it tells people,
// without its cause.
func Reason(err error) string {
	var text string
	if e, ok := errors.AsType[*escrow.Error](err); ok && e.Code != escrow.Internal {
		text = e.Message
	} else if errors.Is(err, context.DeadlineExceeded) {
		text = "no answer in time"
	} else {
		text = "internal error; see the server's log"
	}
	if len(text) > 500 {
		text = text[:500] + "…"
	}
	return text
}

// at names the location in an error.
func (l *location) at(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if e, ok := errors.AsType[*escrow.Error](err); ok {
		return &escrow.Error{Code: e.Code, Message: fmt.Sprintf("location %s: %s", l.ID, e.Message), Hint: e.Hint, Err: e.Err}
	}
	return escrow.Wrap(err, escrow.Unavailable, "location %s does not work", l.ID)
}

// request waits for the location's rate of requests.
func (l *location) request(ctx context.Context) error { return l.requests.Wait(ctx) }

// wait lets n bytes pass at the location's bandwidth.
func (l *location) wait(ctx context.Context, n int) error {
	if l.Bandwidth == 0 {
		return nil
	}
	for n > 0 {
		take := min(n, l.bytes.Burst())
		if err := l.bytes.WaitN(ctx, take); err != nil {
			return err
		}
		n -= take
	}
	return nil
}

// limited reads no faster than the location takes it.
type limited struct {
	ctx context.Context
	l   *location
	r   io.Reader
}

func (r limited) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if werr := r.l.wait(r.ctx, n); werr != nil {
		return n, werr
	}
	return n, err
}

// put stores an object here and reports how that went.
func (l *location) put(ctx context.Context, now func() time.Time, o Object, r io.Reader, replace bool) error {
	if err := l.request(ctx); err != nil {
		return err
	}
	store := l.Driver.Put
	if replace {
		store = l.Driver.Replace
	}
	err := store(ctx, o.Name, o.Size, limited{ctx, l, r})
	l.report(ctx, now(), err)
	return l.at(err)
}
