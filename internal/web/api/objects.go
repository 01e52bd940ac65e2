package api

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"holdfast/internal/escrow"
)

// Objects moves sealed objects in and out. What it moves is ciphertext.
type Objects interface {
	// Put stores the body under name, which must be its SHA-256, and returns
	// the stored size. Bytes that hash to another name are refused whole.
	Put(ctx context.Context, actor escrow.Actor, arrangement, module, name string, body io.Reader) (int64, error)
	// Stat returns the size of an object, for whoever may upload it.
	Stat(ctx context.Context, actor escrow.Actor, arrangement, module, name string) (int64, error)
	// Fetch opens an object that the actor may have: one of a deposit handed
	// over to its party, or of a compartment that is its own.
	Fetch(ctx context.Context, actor escrow.Actor, arrangement, name string) (Content, error)
	// State opens the sealed sync state of a pushed module.
	State(ctx context.Context, actor escrow.Actor, arrangement, module string) (Content, error)
}

// Content is the bytes of one object.
type Content interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// StreamBody gives a handler the request body as it arrives, unbuffered.
type StreamBody struct{ reader io.Reader }

// Resolve implements huma.Resolver.
func (b *StreamBody) Resolve(ctx huma.Context) []error {
	b.reader = ctx.BodyReader()
	return nil
}

func (a *api) objects() {
	type putInput struct {
		ModulePath
		Name string `path:"name" minLength:"64" maxLength:"64" doc:"lower-case hex SHA-256 of the body"`
		StreamBody
	}
	type stored struct {
		Size int64 `json:"size"`
	}
	route(a, op{method: http.MethodPut, path: "/arrangements/{arrangement}/modules/{module}/objects/{name}", id: "put-object",
		summary: "Upload a sealed object; repeating it is safe", action: escrow.MakeDeposit, status: http.StatusCreated},
		func(ctx context.Context, actor escrow.Actor, in *putInput) (*reply[stored], error) {
			size, err := a.Objects.Put(ctx, actor, in.Arrangement, in.Module, in.Name, in.reader)
			if err != nil {
				return nil, err
			}
			return answer(stored{size}), nil
		})
	type namePath struct {
		ModulePath
		Name string `path:"name" minLength:"64" maxLength:"64"`
	}
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/modules/{module}/objects/{name}/size", id: "stat-object",
		summary: "Whether an object is here already, and how long it is", action: escrow.MakeDeposit},
		func(ctx context.Context, actor escrow.Actor, in *namePath) (*reply[stored], error) {
			size, err := a.Objects.Stat(ctx, actor, in.Arrangement, in.Module, in.Name)
			if err != nil {
				return nil, err
			}
			return answer(stored{size}), nil
		})
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/modules/{module}/state", id: "get-state",
		summary: "The depositor's own sealed sync state", action: escrow.MakeDeposit},
		func(ctx context.Context, actor escrow.Actor, in *ModulePath) (*huma.StreamResponse, error) {
			c, err := a.Objects.State(ctx, actor, in.Arrangement, in.Module)
			if err != nil {
				return nil, err
			}
			return serve(c), nil
		})
	type fetchPath struct {
		ArrangementPath
		Name string `path:"name" minLength:"64" maxLength:"64"`
	}
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/objects/{name}", id: "get-object",
		summary: "A sealed object that was handed over; byte ranges are served", action: escrow.FetchObject},
		func(ctx context.Context, actor escrow.Actor, in *fetchPath) (*huma.StreamResponse, error) {
			c, err := a.Objects.Fetch(ctx, actor, in.Arrangement, in.Name)
			if err != nil {
				return nil, err
			}
			return serve(c), nil
		})
}

func serve(c Content) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		defer c.Close()
		r, w := humago.Unwrap(ctx)
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(c, 0, c.Size()))
	}}
}
