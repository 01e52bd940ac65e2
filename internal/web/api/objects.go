package api

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"holdfast/internal/escrow"
)

// Objects moves sealed objects in and out. What it moves is ciphertext.
type Objects interface {
	// Put stores the body under name, which must be its SHA-256. Bytes that
	// hash to another name are refused whole. A part with a Total goes on
	// with an upload and must begin where that stands.
	Put(ctx context.Context, actor escrow.Actor, arrangement, module, name string, part Part, body io.Reader) (Uploaded, error)
	// Upload tells how far an upload has come.
	Upload(ctx context.Context, actor escrow.Actor, arrangement, module, name string) (Uploaded, error)
	// Stat returns the size of an object, for whoever may upload it.
	Stat(ctx context.Context, actor escrow.Actor, arrangement, module, name string) (int64, error)
	// Fetch opens an object that the actor may have: one of a deposit handed
	// over to its party, or of a compartment that is its own.
	Fetch(ctx context.Context, actor escrow.Actor, arrangement, name string) (Content, error)
	// State opens the sealed sync state of a pushed module.
	State(ctx context.Context, actor escrow.Actor, arrangement, module string) (Content, error)
}

// Part is a range of an object's bytes, both ends included. The zero Part is
// the whole of an object.
type Part struct{ From, To, Total int64 }

// ParsePart reads a Content-Range header such as "bytes 0-8388607/16777216".
func ParsePart(header string) (Part, error) {
	if header == "" {
		return Part{}, nil
	}
	var p Part
	bounds, ok := strings.CutPrefix(header, "bytes ")
	span, total, ok2 := strings.Cut(bounds, "/")
	from, to, ok3 := strings.Cut(span, "-")
	for _, n := range []struct {
		text string
		into *int64
	}{{from, &p.From}, {to, &p.To}, {total, &p.Total}} {
		v, err := strconv.ParseUint(n.text, 10, 63)
		if err != nil {
			ok = false
		}
		*n.into = int64(v)
	}
	if !ok || !ok2 || !ok3 || p.From > p.To || p.To >= p.Total {
		return Part{}, escrow.Errorf(escrow.Invalid, "Content-Range %.100q cannot be read", header).
			WithHint("write it as: bytes FIRST-LAST/LENGTH, such as bytes 8388608-16777215/16777216")
	}
	return p, nil
}

// Uploaded says how an upload stands.
type Uploaded struct {
	Size   int64 `json:"size,omitempty" doc:"of the object, once it is stored"`
	Offset int64 `json:"offset" doc:"bytes that have arrived: where to go on"`
	Done   bool  `json:"done" doc:"whether the object is stored"`
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
		Name  string `path:"name" minLength:"64" maxLength:"64" doc:"lower-case hex SHA-256 of the object"`
		Range string `header:"Content-Range" doc:"which part of the object the body is, as in bytes 8388608-16777215/16777216; without it, the whole"`
		StreamBody
	}
	type namePath struct {
		ModulePath
		Name string `path:"name" minLength:"64" maxLength:"64"`
	}
	type progressReply struct {
		Status int
		Body   Uploaded
	}
	type stored struct {
		Size int64 `json:"size"`
	}
	route(a, op{method: http.MethodPut, path: "/arrangements/{arrangement}/modules/{module}/objects/{name}", id: "put-object",
		summary: "Upload a sealed object, or go on with an upload; repeating it is safe", action: escrow.MakeDeposit, status: http.StatusCreated},
		func(ctx context.Context, actor escrow.Actor, in *putInput) (*progressReply, error) {
			part, err := ParsePart(in.Range)
			if err != nil {
				return nil, err
			}
			up, err := a.Objects.Put(ctx, actor, in.Arrangement, in.Module, in.Name, part, in.reader)
			if err != nil {
				return nil, wrongBody{err}
			}
			status := http.StatusCreated
			if !up.Done {
				status = http.StatusAccepted
			}
			return &progressReply{Status: status, Body: up}, nil
		})
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/modules/{module}/objects/{name}/upload", id: "get-upload",
		summary: "How much of an object has arrived: where an upload goes on", action: escrow.MakeDeposit},
		func(ctx context.Context, actor escrow.Actor, in *namePath) (*reply[Uploaded], error) {
			if err := a.seesModule(ctx, actor, in.ModulePath); err != nil {
				return nil, err
			}
			up, err := a.Objects.Upload(ctx, actor, in.Arrangement, in.Module, in.Name)
			if err != nil {
				return nil, err
			}
			return answer(up), nil
		})
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/modules/{module}/objects/{name}/size", id: "stat-object",
		summary: "Whether an object is here already, and how long it is", action: escrow.MakeDeposit},
		func(ctx context.Context, actor escrow.Actor, in *namePath) (*reply[stored], error) {
			if err := a.seesModule(ctx, actor, in.ModulePath); err != nil {
				return nil, err
			}
			size, err := a.Objects.Stat(ctx, actor, in.Arrangement, in.Module, in.Name)
			if err != nil {
				return nil, err
			}
			return answer(stored{size}), nil
		})
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/modules/{module}/state", id: "get-state",
		summary: "The depositor's own sealed sync state", action: escrow.MakeDeposit},
		func(ctx context.Context, actor escrow.Actor, in *ModulePath) (*huma.StreamResponse, error) {
			if err := a.seesModule(ctx, actor, *in); err != nil {
				return nil, err
			}
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
