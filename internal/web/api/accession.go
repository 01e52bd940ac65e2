package api

import (
	"context"
	"net/http"

	"holdfast/client"
	"holdfast/internal/escrow"
)

// Accession lets one beneficiary join or leave.
type Accession interface {
	Join(ctx context.Context, actor escrow.Actor, arrangement string, j client.NewJoin) (client.Joining, error)
	Departing(ctx context.Context, arrangement, party string) (client.Departure, error)
	GiveNotice(ctx context.Context, actor escrow.Actor, arrangement string, document, signature []byte) (client.Leaving, error)
	TakeBack(ctx context.Context, actor escrow.Actor, arrangement, reason string) (client.Leaving, error)
	// Leavings returns those that the actor may know of.
	Leavings(ctx context.Context, actor escrow.Actor, arrangement string) ([]client.Leaving, error)
}

func (a *api) accession() {
	type joinInput struct {
		ArrangementPath
		Body client.NewJoin
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/joins", id: "join-beneficiary", body: joinBody,
		summary: "Offer a version with one beneficiary more, which no other beneficiary signs", action: escrow.JoinBeneficiary, status: http.StatusCreated},
		func(ctx context.Context, actor escrow.Actor, in *joinInput) (*reply[client.Joining], error) {
			out, err := a.Accession.Join(ctx, actor, in.Arrangement, in.Body)
			if err != nil {
				return nil, err
			}
			return answer(out), nil
		})
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/departure", id: "get-departure",
		summary: "What it takes the caller's party to leave: from when, which parts and keys end, what is destroyed, what stands in the way", action: escrow.LeaveArrangement},
		func(ctx context.Context, actor escrow.Actor, in *ArrangementPath) (*reply[client.Departure], error) {
			out, err := a.Accession.Departing(ctx, in.Arrangement, actor.Party)
			if err != nil {
				return nil, err
			}
			return answer(out), nil
		})
	type noticeInput struct {
		ArrangementPath
		Body client.Signed
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/leavings", id: "give-notice",
		summary: "Hand in the caller's own signed notice of leaving", action: escrow.LeaveArrangement, status: http.StatusCreated},
		func(ctx context.Context, actor escrow.Actor, in *noticeInput) (*reply[client.Leaving], error) {
			out, err := a.Accession.GiveNotice(ctx, actor, in.Arrangement, []byte(in.Body.Document), []byte(in.Body.Signature))
			if err != nil {
				return nil, a.refusal(ctx, actor, escrow.LeaveArrangement, err)
			}
			return answer(out), nil
		})
	type backInput struct {
		ArrangementPath
		Body client.Word
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/departure/take-back", id: "take-notice-back",
		summary: "Take the caller's own notice back, before it has run", action: escrow.LeaveArrangement},
		func(ctx context.Context, actor escrow.Actor, in *backInput) (*reply[client.Leaving], error) {
			out, err := a.Accession.TakeBack(ctx, actor, in.Arrangement, in.Body.Reason)
			if err != nil {
				return nil, a.refusal(ctx, actor, escrow.LeaveArrangement, err)
			}
			return answer(out), nil
		})
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/leavings", id: "list-leavings",
		summary: "Who gave notice and what became of it: the caller's own, and those whose parts it signed or reads", action: escrow.ReadVersions},
		func(ctx context.Context, actor escrow.Actor, in *ArrangementPath) (*reply[[]client.Leaving], error) {
			out, err := a.Accession.Leavings(ctx, actor, in.Arrangement)
			if err != nil {
				return nil, err
			}
			return answer(out), nil
		})
}

// joinBody is the limit for a request with the text of an agreement.
const joinBody = 2 << 20
