package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"holdfast/internal/escrow"
	"holdfast/internal/trace"
)

// Problem is an RFC 9457 problem document with the program's code and a hint.
type Problem struct {
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      string `json:"code" doc:"see docs/errors.md"`
	Hint      string `json:"hint,omitempty" doc:"what to do next"`
	RequestID string `json:"request_id,omitempty"`
}

func (p *Problem) Error() string { return p.Detail }

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType marks the document as a problem.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// Status is the HTTP status of a code.
func Status(code escrow.Code) int {
	switch code {
	case escrow.Invalid, escrow.WrongKey, escrow.Damaged:
		return http.StatusUnprocessableEntity
	case escrow.Unauthenticated:
		return http.StatusUnauthorized
	case escrow.Forbidden:
		return http.StatusForbidden
	case escrow.NotFound:
		return http.StatusNotFound
	case escrow.Conflict, escrow.BelowQuorum:
		return http.StatusConflict
	case escrow.Missing:
		return http.StatusGone
	case escrow.Full:
		return http.StatusInsufficientStorage
	case escrow.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// problem turns any error into a document that may be shown. What is not an
// escrow.Error is a fault of the program: the log has it, the caller gets the
// request id.
func (a *api) problem(ctx context.Context, err error) *Problem {
	id := trace.Request(ctx)
	code := escrow.CodeOf(err)
	p := &Problem{Status: Status(code), Code: string(code), RequestID: id}
	if _, ok := errors.AsType[wrongBody](err); ok && code == escrow.Invalid {
		p.Status = http.StatusBadRequest
	}
	p.Title = http.StatusText(p.Status)
	e, known := errors.AsType[*escrow.Error](err)
	if !known || code == escrow.Internal {
		a.Log.ErrorContext(ctx, "request failed", "error", err)
		p.Detail = "internal error"
		p.Hint = "give the request id to whoever runs this server"
		return p
	}
	p.Detail, p.Hint = e.Message, e.Hint
	if e.Err != nil {
		a.Log.InfoContext(ctx, "request refused", "code", code, "error", err)
	}
	return p
}

// wrongBody is a refusal of an uploaded object. Where it breaks a rule it is
// answered with 400: the bytes are not what the request says they are, as when
// they have another hash, and nothing of what was meant is at fault.
type wrongBody struct{ error }

func (w wrongBody) Unwrap() error { return w.error }

// problemOf turns what the API library itself refuses, such as a body that
// does not fit its schema, into the same document as every other refusal. The
// library would echo the value at fault, and that can be a secret.
func problemOf(ctx huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	code := escrow.Invalid
	if m.Status >= http.StatusInternalServerError {
		code = escrow.Internal
	}
	p := &Problem{Status: m.Status, Title: http.StatusText(m.Status), Detail: m.Detail, Code: string(code), RequestID: trace.Request(ctx.Context())}
	for _, e := range m.Errors[:min(len(m.Errors), maxShown)] {
		p.Detail += "; " + e.Location + ": " + e.Message
	}
	if code == escrow.Invalid {
		p.Hint = "the OpenAPI document at /api/v1/openapi.json says what is taken"
	}
	return p, nil
}

// maxShown bounds how many faults of one body are listed.
const maxShown = 10

// write sends a problem from a middleware.
func (a *api) write(ctx huma.Context, err error) {
	p := a.problem(ctx.Context(), err)
	ctx.SetStatus(p.Status)
	ctx.SetHeader("Content-Type", "application/problem+json")
	if p.Status == http.StatusUnauthorized {
		ctx.SetHeader("WWW-Authenticate", `Bearer realm="holdfast"`)
	}
	_ = json.NewEncoder(ctx.BodyWriter()).Encode(p) // the connection is gone if this fails
}
