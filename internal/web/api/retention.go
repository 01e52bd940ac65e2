package api

import (
	"context"
	"net/http"
	"time"

	"holdfast/client"
	"holdfast/internal/escrow"
)

// Retention decides over what was deposited.
type Retention interface {
	PlaceHold(ctx context.Context, actor escrow.Actor, h escrow.Hold) (escrow.Hold, error)
	LiftHold(ctx context.Context, actor escrow.Actor, arrangement, id, reason string) (escrow.Hold, error)
	Holds(ctx context.Context, arrangement string) ([]escrow.Hold, error)
	Standing(ctx context.Context, arrangement, module string) ([]client.Standing, error)
	Request(ctx context.Context, actor escrow.Actor, arrangement, module string, document, signature []byte) (escrow.Destruction, error)
	Requests(ctx context.Context, arrangement string) ([]escrow.Destruction, error)
	Requested(ctx context.Context, arrangement, id string) (escrow.Destruction, error)
	Approve(ctx context.Context, actor escrow.Actor, arrangement, id string, signature []byte) (escrow.Destruction, error)
	Cancel(ctx context.Context, actor escrow.Actor, arrangement, id, reason string) (escrow.Destruction, error)
	ReleaseMark(ctx context.Context, actor escrow.Actor, arrangement, module string, number int, reason string) (escrow.Mark, error)
	Verify(ctx context.Context, actor escrow.Actor, v escrow.Verified) error
	StateRunning(ctx context.Context, actor escrow.Actor, r escrow.Running) error
	Running(ctx context.Context, arrangement, module string) ([]escrow.Running, error)
}

// HoldPath is the path of everything about one legal hold.
type HoldPath struct {
	ArrangementPath
	Hold string `path:"hold" maxLength:"64"`
}

// DestructionPath is the path of everything about one request for destruction.
type DestructionPath struct {
	ArrangementPath
	Destruction string `path:"destruction" maxLength:"64"`
}

// refusal records what an engine refused an actor, as the middleware does with
// what escrow.Allow refuses: that somebody tried to delete what a hold or the
// need for two people protects has to be seen.
func (a *api) refusal(ctx context.Context, actor escrow.Actor, action escrow.Action, err error) error {
	if code := escrow.CodeOf(err); code == escrow.Forbidden || code == escrow.Conflict {
		return a.recordRefusal(ctx, actor, action, err)
	}
	return err
}

// ownBusiness refuses a beneficiary that acts on what it does not see, in the
// words for what is not there.
func (a *api) ownBusiness(ctx context.Context, actor escrow.Actor, arrangement, module string) error {
	return a.seen(ctx, actor, arrangement, func(v escrow.View) bool { return v.All || module != "" && v.Module(module) })
}

func (a *api) retention() {
	a.holds()
	a.destructions()
	a.versions()
}

func (a *api) holds() {
	type placeInput struct {
		ArrangementPath
		Body client.NewHold
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/holds", id: "place-hold", summary: "Stop the deletion of deposits, on a ground that is named",
		action: escrow.PlaceHold, status: http.StatusCreated},
		func(ctx context.Context, actor escrow.Actor, in *placeInput) (*reply[client.Hold], error) {
			h := escrow.Hold{Arrangement: in.Arrangement, Module: in.Body.Module, From: in.Body.From, To: in.Body.To, Ground: in.Body.Ground}
			if in.Body.Until != "" {
				var err error
				if h.Until, err = time.Parse(time.RFC3339, in.Body.Until); err != nil {
					return nil, escrow.Errorf(escrow.Invalid, "until %q is not an RFC 3339 time", in.Body.Until)
				}
			}
			if h.Module != "" { // one over everything hurts nobody: it only keeps
				if err := a.ownBusiness(ctx, actor, in.Arrangement, h.Module); err != nil {
					return nil, err
				}
			}
			h, err := a.Retention.PlaceHold(ctx, actor, h)
			return a.holdReply(h, err)
		})
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/holds", id: "list-holds", summary: "The legal holds of an arrangement, the newest first", action: escrow.ReadDeposits},
		func(ctx context.Context, actor escrow.Actor, in *ArrangementPath) (*reply[[]client.Hold], error) {
			v, err := a.Views.View(ctx, actor, in.Arrangement)
			if err != nil {
				return nil, err
			}
			list, err := a.Retention.Holds(ctx, in.Arrangement)
			if err != nil {
				return nil, err
			}
			out := []client.Hold{}
			for _, h := range list {
				if v.Party(h.Party) && (h.Module == "" || v.Module(h.Module)) && v.Says(h.Ground) && v.Says(h.LiftReason) && v.Says(h.LiftedBy) {
					out = append(out, a.hold(h))
				}
			}
			return answer(out), nil
		})
	type liftInput struct {
		HoldPath
		Body client.Word
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/holds/{hold}/lift", id: "lift-hold", summary: "Lift a hold that the caller's party placed", action: escrow.LiftHold},
		func(ctx context.Context, actor escrow.Actor, in *liftInput) (*reply[client.Hold], error) {
			h, err := a.Retention.LiftHold(ctx, actor, in.Arrangement, in.Hold, in.Body.Reason)
			if err != nil {
				return nil, a.refusal(ctx, actor, escrow.LiftHold, err)
			}
			return a.holdReply(h, nil)
		})
}

func (a *api) destructions() {
	type requestInput struct {
		ModulePath
		Body client.Signed
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/modules/{module}/destructions", id: "request-destruction",
		summary: "Ask that deposits be destroyed; nothing happens before a second person of another party approves", action: escrow.RequestDestruction, status: http.StatusCreated},
		func(ctx context.Context, actor escrow.Actor, in *requestInput) (*reply[client.Destruction], error) {
			if err := a.ownBusiness(ctx, actor, in.Arrangement, in.Module); err != nil {
				return nil, err
			}
			d, err := a.Retention.Request(ctx, actor, in.Arrangement, in.Module, []byte(in.Body.Document), []byte(in.Body.Signature))
			if err != nil {
				return nil, a.refusal(ctx, actor, escrow.RequestDestruction, err)
			}
			return answer(destruction(d)), nil
		})
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/destructions", id: "list-destructions", summary: "The requests for destruction, the newest first", action: escrow.ReadDeposits},
		func(ctx context.Context, actor escrow.Actor, in *ArrangementPath) (*reply[[]client.Destruction], error) {
			v, err := a.Views.View(ctx, actor, in.Arrangement)
			if err != nil {
				return nil, err
			}
			list, err := a.Retention.Requests(ctx, in.Arrangement)
			if err != nil {
				return nil, err
			}
			out := []client.Destruction{}
			for _, d := range list {
				if v.Module(d.Module) && seesDestruction(v, d) {
					out = append(out, destruction(d))
				}
			}
			return answer(out), nil
		})
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/destructions/{destruction}", id: "get-destruction",
		summary: "One request for destruction, with its certificate when it is done", action: escrow.ReadDeposits},
		func(ctx context.Context, actor escrow.Actor, in *DestructionPath) (*reply[client.Destruction], error) {
			d, err := a.seenDestruction(ctx, actor, in)
			if err != nil {
				return nil, err
			}
			return answer(destruction(d)), nil
		})
	type approveInput struct {
		DestructionPath
		Body client.Signature
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/destructions/{destruction}/approval", id: "approve-destruction",
		summary: "The second person's signature over the request: the objects go", action: escrow.ApproveDestruction},
		func(ctx context.Context, actor escrow.Actor, in *approveInput) (*reply[client.Destruction], error) {
			if _, err := a.seenDestruction(ctx, actor, &in.DestructionPath); err != nil {
				return nil, err
			}
			d, err := a.Retention.Approve(ctx, actor, in.Arrangement, in.Destruction, []byte(in.Body.Signature))
			if err != nil {
				return nil, a.refusal(ctx, actor, escrow.ApproveDestruction, err)
			}
			return answer(destruction(d)), nil
		})
	type cancelInput struct {
		DestructionPath
		Body client.Word
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/destructions/{destruction}/cancel", id: "cancel-destruction",
		summary: "Take a request for destruction back", action: escrow.CancelDestruction},
		func(ctx context.Context, actor escrow.Actor, in *cancelInput) (*reply[client.Destruction], error) {
			if _, err := a.seenDestruction(ctx, actor, &in.DestructionPath); err != nil {
				return nil, err
			}
			d, err := a.Retention.Cancel(ctx, actor, in.Arrangement, in.Destruction, in.Body.Reason)
			if err != nil {
				return nil, err
			}
			return answer(destruction(d)), nil
		})
}

// seenDestruction returns a request that the actor sees.
func (a *api) seenDestruction(ctx context.Context, actor escrow.Actor, in *DestructionPath) (escrow.Destruction, error) {
	d, err := a.Retention.Requested(ctx, in.Arrangement, in.Destruction)
	if err != nil {
		return d, err
	}
	return d, a.seen(ctx, actor, in.Arrangement, func(v escrow.View) bool {
		return v.All || d.Module != "" && v.Module(d.Module) && seesDestruction(v, d)
	})
}

// seesDestruction reports whether those who ask for and approve a destruction
// are seen.
func seesDestruction(v escrow.View, d escrow.Destruction) bool {
	return v.Party(d.Party) && (d.ApproverParty == "" || v.Party(d.ApproverParty)) && v.Says(d.EndReason)
}

func (a *api) versions() {
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/modules/{module}/retention", id: "module-retention",
		summary: "Of every deposit of a module, whether it stays and why", action: escrow.ReadDeposits},
		func(ctx context.Context, actor escrow.Actor, in *ModulePath) (*reply[[]client.Standing], error) {
			if err := a.seesModule(ctx, actor, *in); err != nil {
				return nil, err
			}
			list, err := a.Retention.Standing(ctx, in.Arrangement, in.Module)
			if err != nil {
				return nil, err
			}
			return answer(list), nil
		})
	type releaseInput struct {
		DepositPath
		Body client.Word
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/modules/{module}/deposits/{number}/release", id: "release-suspect",
		summary: "Say that a deposit which is kept aside is right; the second such word, of another party, releases it", action: escrow.ReleaseSuspect, status: http.StatusNoContent},
		func(ctx context.Context, actor escrow.Actor, in *releaseInput) (*struct{}, error) {
			if err := a.seesModule(ctx, actor, in.ModulePath); err != nil {
				return nil, err
			}
			if _, err := a.Retention.ReleaseMark(ctx, actor, in.Arrangement, in.Module, in.Number, in.Body.Reason); err != nil {
				return nil, a.refusal(ctx, actor, escrow.ReleaseSuspect, err)
			}
			return nil, nil
		})
	type verifiedInput struct {
		DepositPath
		Body client.Verification
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/modules/{module}/deposits/{number}/verified", id: "record-verification",
		summary: "Record that a deposit passed a verification level", action: escrow.RecordVerification, status: http.StatusNoContent},
		func(ctx context.Context, actor escrow.Actor, in *verifiedInput) (*struct{}, error) {
			return nil, a.Retention.Verify(ctx, actor, escrow.Verified{Arrangement: in.Arrangement, Module: in.Module, Deposit: in.Number, Level: in.Body.Level, Note: in.Body.Note})
		})
	type runningInput struct {
		ModulePath
		Body client.NewRunning
	}
	route(a, op{method: http.MethodPut, path: "/arrangements/{arrangement}/modules/{module}/running", id: "state-running",
		summary: "Say which deposit of a module the caller's party runs, so that it stays", action: escrow.StateRunning, status: http.StatusNoContent},
		func(ctx context.Context, actor escrow.Actor, in *runningInput) (*struct{}, error) {
			if err := a.seesModule(ctx, actor, in.ModulePath); err != nil {
				return nil, err
			}
			return nil, a.Retention.StateRunning(ctx, actor, escrow.Running{Arrangement: in.Arrangement, Module: in.Module, Deposit: in.Body.Deposit, Version: in.Body.Version})
		})
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/running", id: "list-running", summary: "What parties said they run", action: escrow.ReadDeposits},
		func(ctx context.Context, actor escrow.Actor, in *ArrangementPath) (*reply[[]client.Running], error) {
			v, err := a.Views.View(ctx, actor, in.Arrangement)
			if err != nil {
				return nil, err
			}
			list, err := a.Retention.Running(ctx, in.Arrangement, "")
			if err != nil {
				return nil, err
			}
			out := []client.Running{}
			for _, r := range list {
				if v.Party(r.Party) && v.Module(r.Module) {
					out = append(out, client.Running{Module: r.Module, Party: r.Party, Person: r.Person, Deposit: r.Deposit, Version: r.Version, StatedAt: r.StatedAt.UTC()})
				}
			}
			return answer(out), nil
		})
}

func (a *api) holdReply(h escrow.Hold, err error) (*reply[client.Hold], error) {
	if err != nil {
		return nil, err
	}
	return answer(a.hold(h)), nil
}

func (a *api) hold(h escrow.Hold) client.Hold {
	return client.Hold{ID: h.ID, Module: h.Module, From: h.From, To: h.To, Ground: h.Ground, Party: h.Party, Person: h.Person, PlacedAt: h.PlacedAt.UTC(),
		Until: timePtr(h.Until), Active: h.Active(a.Now()), LiftedAt: timePtr(h.LiftedAt), LiftedBy: h.LiftedBy, LiftReason: h.LiftReason}
}

func destruction(d escrow.Destruction) client.Destruction {
	out := client.Destruction{ID: d.ID, Module: d.Module, State: string(d.State), Request: client.Signed{Document: string(d.Document), Signature: string(d.Signature)},
		RequestedBy: d.Party + "/" + d.Person, RequestedAt: d.RequestedAt.UTC(), ExpiresAt: d.ExpiresAt.UTC(), ApprovedAt: timePtr(d.ApprovedAt),
		EndReason: d.EndReason, CertifiedAt: timePtr(d.CertifiedAt)}
	if d.ApproverParty != "" {
		out.ApprovedBy = d.ApproverParty + "/" + d.ApproverPerson
	}
	if d.Certificate != nil {
		out.Certificate = &client.Signed{Document: string(d.Certificate), Signature: string(d.CertificateSig)}
	}
	return out
}
