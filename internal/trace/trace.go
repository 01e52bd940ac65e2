// Package trace carries what caused a piece of work, a request or a job, in
// its context and puts it on every line of the log that the work writes.
//
// It imports the standard library only.
package trace

import (
	"context"
	"log/slog"
)

type requestKey struct{}

type jobKey struct{}

// WithRequest says that ctx belongs to a request, also after the request has
// been answered: a job that it queued goes on under its id.
func WithRequest(ctx context.Context, id string) context.Context {
	if id == "" {
		return ctx
	}
	return context.WithValue(ctx, requestKey{}, id)
}

// Request returns the id of the request that ctx belongs to, or "".
func Request(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

// WithJob says that ctx belongs to a job.
func WithJob(ctx context.Context, id int64) context.Context {
	return context.WithValue(ctx, jobKey{}, id)
}

// Job returns the id of the job that ctx belongs to, or 0.
func Job(ctx context.Context) int64 {
	id, _ := ctx.Value(jobKey{}).(int64)
	return id
}

// Handler passes records on to next with the ids of their context as
// request_id and job_id. Whoever logs need not think of them.
func Handler(next slog.Handler) slog.Handler {
	if h, ok := next.(handler); ok {
		return h // the ids once, however often it is asked for
	}
	return handler{next}
}

type handler struct{ slog.Handler }

// Handle implements [slog.Handler].
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	request, job := Request(ctx), Job(ctx)
	if request != "" || job != 0 {
		r = r.Clone() // others may hold the record
	}
	if request != "" {
		r.AddAttrs(slog.String("request_id", request))
	}
	if job != 0 {
		r.AddAttrs(slog.Int64("job_id", job))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements [slog.Handler].
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }
