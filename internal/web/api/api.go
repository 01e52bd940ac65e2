// Package api is the JSON interface of a Holdfast server: /api/v1 with OpenAPI
// 3.1 and RFC 9457 problem documents.
//
// Every operation names exactly one escrow.Action; one middleware turns the
// bearer token into an actor, asks escrow.Allow, and records refusals. The
// package may import evidence, client (the wire types) and escrow; what it
// serves from is declared as interfaces.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"holdfast/internal/escrow"
)

// Services is what the API serves from.
type Services struct {
	Authenticate func(ctx context.Context, authorization string) (escrow.Actor, escrow.Token, error)
	Recorder     Recorder
	Views        Views
	Tokens       Tokens
	Arrangements Arrangements
	Accord       Accord
	Accession    Accession
	Keys         Keys
	Deposits     Deposits
	Objects      Objects
	Locations    Locations
	Restic       Restic
	Forge        Organisations
	Cases        Cases
	Retention    Retention
	Duty         Duty
	Notices      Notices
	Terms        Terms
	Watching     Watching
	Bulletin     Bulletin
	Ledger       Ledger
	Now          func() time.Time
	Log          *slog.Logger
	MaxObject    int64 // bytes of one uploaded object
}

// Recorder puts an act that changes no state into the ledger.
type Recorder interface {
	Record(ctx context.Context, act escrow.Act) error
}

// Views tells how much of an arrangement an actor sees of what its role lets
// it read.
type Views interface {
	View(ctx context.Context, actor escrow.Actor, arrangement string) (escrow.View, error)
}

// seen calls pick with the actor's view and turns a no into the words for what
// is not there.
func (a *api) seen(ctx context.Context, actor escrow.Actor, arrangement string, pick func(escrow.View) bool) error {
	v, err := a.Views.View(ctx, actor, arrangement)
	if err == nil && !pick(v) {
		err = notSeen(arrangement)
	}
	return err
}

func notSeen(arrangement string) error {
	return escrow.Errorf(escrow.NotFound, "no such thing in arrangement %q", arrangement)
}

// seesModule refuses a module that the actor does not see.
func (a *api) seesModule(ctx context.Context, actor escrow.Actor, in ModulePath) error {
	return a.seen(ctx, actor, in.Arrangement, func(v escrow.View) bool { return v.Module(in.Module) })
}

// seesCase refuses a case that the actor does not see.
func (a *api) seesCase(ctx context.Context, actor escrow.Actor, in *CasePath) error {
	return a.seen(ctx, actor, in.Arrangement, func(v escrow.View) bool {
		c, known := v.Cases[in.Case]
		return v.All || known && v.Case(c)
	})
}

// api holds the services and the generated OpenAPI document.
type api struct {
	Services
	huma     huma.API
	refusals *Refusals
}

// bodyLimit bounds every JSON body that has no limit of its own.
const bodyLimit = 2 << 20

// Register adds the API's routes to mux and returns the OpenAPI document.
func Register(mux *http.ServeMux, s Services) *huma.OpenAPI {
	config := huma.DefaultConfig("Holdfast", "1")
	config.Info.Description = "Software escrow and SaaS continuity. Every operation needs a bearer token unless it says otherwise."
	config.OpenAPIPath = "/api/v1/openapi"
	config.DocsPath = "" // the documentation page of the library loads scripts from elsewhere
	config.SchemasPath = "/api/v1/schemas"
	config.CreateHooks = nil // no $schema links in answers
	config.Transformers = []huma.Transformer{problemOf}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"bearer": {Type: "http", Scheme: "bearer"}}
	a := &api{Services: s, huma: humago.New(mux, config), refusals: NewRefusals(s.Now)}
	a.huma.UseMiddleware(a.authorise)
	a.arrangements()
	a.accord()
	a.accession()
	a.keys()
	a.deposits()
	a.unchanged()
	a.objects()
	a.locations()
	a.restic()
	a.organisations()
	a.cases()
	a.retention()
	a.duty()
	a.notices()
	a.terms()
	a.watch()
	a.bulletin()
	a.tokens()
	a.ledger()
	return a.huma.OpenAPI()
}

// op describes one operation.
type op struct {
	method, path, id, summary string
	action                    escrow.Action // "" only for public reads
	status                    int           // of success, 200 if 0
	body                      int64         // bytes of a request body, bodyLimit if 0
}

// route registers an operation whose handler gets the authorised actor.
func route[I, O any](a *api, o op, handler func(ctx context.Context, actor escrow.Actor, in *I) (*O, error)) {
	operation := huma.Operation{
		OperationID:   o.id,
		Method:        o.method,
		Path:          "/api/v1" + o.path,
		Summary:       o.summary,
		DefaultStatus: o.status,
		MaxBodyBytes:  max(o.body, bodyLimit),
		// web.Pace sets the deadline. One of the library's own would pass
		// while a handler works and cancel its context.
		BodyReadTimeout: -1,
		Metadata:        map[string]any{"action": o.action},
		Errors:          []int{400, 401, 403, 404, 409, 422, 500, 503},
	}
	if o.action != "" {
		operation.Security = []map[string][]string{{"bearer": {}}}
		operation.Description = "Action: " + string(o.action)
	}
	huma.Register(a.huma, operation, func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, actorFrom(ctx), in)
		if err != nil {
			return nil, a.problem(ctx, err)
		}
		return out, nil
	})
}

type actorKey struct{}

func actorFrom(ctx context.Context) escrow.Actor {
	actor, _ := ctx.Value(actorKey{}).(escrow.Actor)
	return actor
}

// authorise is the only door: it authenticates, asks escrow.Allow about the
// operation's action, and records what it refuses.
func (a *api) authorise(ctx huma.Context, next func(huma.Context)) {
	action, _ := ctx.Operation().Metadata["action"].(escrow.Action)
	if action == "" {
		next(ctx)
		return
	}
	actor, token, err := a.Authenticate(ctx.Context(), ctx.Header("Authorization"))
	if err != nil {
		a.write(ctx, err)
		return
	}
	arrangement := ctx.Param("arrangement")
	if err := allow(actor, token, action, arrangement, ctx.Param("module")); err != nil {
		a.write(ctx, a.recordRefusal(ctx.Context(), actor, action, err))
		return
	}
	next(huma.WithValue(ctx, actorKey{}, actor))
}

// allow is escrow.Allow with the token's own narrower scope on top.
func allow(actor escrow.Actor, token escrow.Token, action escrow.Action, arrangement, module string) error {
	if token.Module != "" {
		if action != escrow.MakeDeposit && action != escrow.ReportUnchanged && action != escrow.ReadDeposits {
			return escrow.Errorf(escrow.Forbidden, "this token may only make deposits of module %q", token.Module)
		}
		if module != token.Module {
			return escrow.Errorf(escrow.Forbidden, "this token is for module %q", token.Module)
		}
	}
	return escrow.Allow(actor, action, arrangement)
}

// reply is an answer with a JSON body.
type reply[T any] struct{ Body T }

func answer[T any](body T) *reply[T] { return &reply[T]{Body: body} }

// timePtr leaves zero times out of answers.
func timePtr(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
