package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"holdfast/client"
	"holdfast/internal/escrow"
)

// Arrangements registers agreements and configures their modules.
type Arrangements interface {
	Register(ctx context.Context, actor escrow.Actor, source []byte) (escrow.Arrangement, error)
	Arrangement(ctx context.Context, id string) (escrow.Arrangement, []escrow.Party, error)
	List(ctx context.Context) ([]escrow.Arrangement, error)
	Modules(ctx context.Context, arrangement string) ([]escrow.ModuleStatus, error)
	Configure(ctx context.Context, actor escrow.Actor, arrangement, module string, s escrow.ModuleSettings) (escrow.ModuleStatus, error)
	SetCredential(ctx context.Context, actor escrow.Actor, arrangement, module string, kind escrow.CredentialKind, secret []byte) error
}

// ArrangementPath is the path of everything about one arrangement. The path
// types are exported because only then does the API library fill them in when
// they are embedded.
type ArrangementPath struct {
	Arrangement string `path:"arrangement" maxLength:"128"`
}

// ModulePath is the path of everything about one module.
type ModulePath struct {
	ArrangementPath
	Module string `path:"module" maxLength:"128" doc:"a '/' in the id is written %2F"`
}

func (a *api) arrangements() {
	type registerInput struct {
		Body struct {
			Agreement string `json:"agreement" maxLength:"1048576" doc:"the agreement's YAML text"`
		}
	}
	route(a, op{method: http.MethodPost, path: "/arrangements", id: "register-agreement", summary: "Register an agreement, or a new version of one",
		action: escrow.RegisterAgreement, status: http.StatusCreated},
		func(ctx context.Context, actor escrow.Actor, in *registerInput) (*reply[client.Arrangement], error) {
			arr, err := a.Arrangements.Register(ctx, actor, []byte(in.Body.Agreement))
			if err != nil {
				return nil, err
			}
			return answer(arrangement(arr, nil, false)), nil
		})
	route(a, op{method: http.MethodGet, path: "/arrangements", id: "list-arrangements", summary: "List the arrangements of this installation", action: escrow.ReadInstallation},
		func(ctx context.Context, _ escrow.Actor, _ *struct{}) (*reply[[]client.Arrangement], error) {
			list, err := a.Arrangements.List(ctx)
			if err != nil {
				return nil, err
			}
			out := make([]client.Arrangement, len(list))
			for i, arr := range list {
				out[i] = arrangement(arr, nil, false)
			}
			return answer(out), nil
		})
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}", id: "get-arrangement", summary: "The agreement in force", action: escrow.ReadArrangement},
		func(ctx context.Context, actor escrow.Actor, in *ArrangementPath) (*reply[client.Arrangement], error) {
			v, err := a.Views.View(ctx, actor, in.Arrangement)
			if err != nil {
				return nil, err
			}
			arr, parties, err := a.Arrangements.Arrangement(ctx, in.Arrangement)
			if err != nil {
				return nil, err
			}
			parties = slices.DeleteFunc(parties, func(p escrow.Party) bool { return !v.Party(p.ID) })
			return answer(arrangement(arr, parties, v.Text)), nil
		})
	a.modules()
}

func (a *api) modules() {
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/modules", id: "list-modules", summary: "What is held, and where each module stands", action: escrow.ReadDeposits},
		func(ctx context.Context, actor escrow.Actor, in *ArrangementPath) (*reply[[]client.Module], error) {
			v, err := a.Views.View(ctx, actor, in.Arrangement)
			if err != nil {
				return nil, err
			}
			list, err := a.Arrangements.Modules(ctx, in.Arrangement)
			if err != nil {
				return nil, err
			}
			out := []client.Module{}
			for _, m := range list {
				if v.Module(m.ID) {
					out = append(out, module(m))
				}
			}
			return answer(out), nil
		})
	type sourceInput struct {
		ModulePath
		Body client.ModuleSource
	}
	route(a, op{method: http.MethodPut, path: "/arrangements/{arrangement}/modules/{module}/source", id: "configure-module", summary: "Set where a module's material comes from", action: escrow.ConfigureModule},
		func(ctx context.Context, actor escrow.Actor, in *sourceInput) (*reply[client.Module], error) {
			s := escrow.ModuleSettings{Rebase: in.Body.Rebase, Source: escrow.Source{Mode: escrow.SourceMode(in.Body.Mode), URL: in.Body.URL,
				LFS: in.Body.LFS, Exclude: in.Body.Exclude, HostKey: in.Body.HostKey}}
			if in.Body.Every != "" {
				every, err := time.ParseDuration(in.Body.Every)
				if err != nil || every < 0 {
					return nil, escrow.Errorf(escrow.Invalid, "every %q is not a duration like 1h or 15m", in.Body.Every)
				}
				s.Every = every
			}
			m, err := a.Arrangements.Configure(ctx, actor, in.Arrangement, in.Module, s)
			if err != nil {
				return nil, err
			}
			return answer(module(m)), nil
		})
	type credentialInput struct {
		ModulePath
		Body client.Credential
	}
	route(a, op{method: http.MethodPut, path: "/arrangements/{arrangement}/modules/{module}/credential", id: "set-credential",
		summary: "Set a source secret; it is sealed at once and can never be read back", action: escrow.SetCredential, status: http.StatusNoContent},
		func(ctx context.Context, actor escrow.Actor, in *credentialInput) (*struct{}, error) {
			return nil, a.Arrangements.SetCredential(ctx, actor, in.Arrangement, in.Module, escrow.CredentialKind(in.Body.Kind), []byte(in.Body.Secret))
		})
}

func arrangement(a escrow.Arrangement, parties []escrow.Party, whole bool) client.Arrangement {
	out := client.Arrangement{ID: a.ID, Version: a.Version, Digest: a.Digest, CreatedAt: a.CreatedAt.UTC()}
	if whole {
		out.Source, out.Canonical = string(a.Source), string(a.Canonical)
	}
	for _, p := range parties {
		out.Parties = append(out.Parties, client.Party{ID: p.ID, Role: string(p.Role), Name: p.Name})
	}
	return out
}

func module(m escrow.ModuleStatus) client.Module {
	out := client.Module{ID: m.ID, Kind: string(m.Kind), Instance: m.Instance, Compartment: m.Compartment, Mode: string(m.Source.Mode),
		URL: m.Source.URL, LFS: m.Source.LFS, Exclude: m.Source.Exclude, HostKey: m.Source.HostKey, Rebase: m.Rebase,
		Latest: m.Latest, LastTry: timePtr(m.LastTry), LastError: m.LastError, ErrorCode: string(m.ErrorCode), ErrorHint: m.ErrorHint}
	if m.Every > 0 {
		out.Every = m.Every.String()
	}
	return out
}
