package api

import (
	"context"
	"net/http"

	"holdfast/client"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/term"
)

// Terms works promises with a date out.
type Terms interface {
	// Terms returns those that a party may see, "" for all.
	Terms(ctx context.Context, arrangement, party string) ([]term.Item, error)
	RecordTerm(ctx context.Context, actor escrow.Actor, f escrow.TermFact) (escrow.TermFact, error)
}

func (a *api) terms() {
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/terms", id: "list-terms",
		summary: "The promises with a date that the caller may see, and how each stands", action: escrow.ReadTerms},
		func(ctx context.Context, actor escrow.Actor, in *ArrangementPath) (*reply[[]client.Term], error) {
			list, err := a.Terms.Terms(ctx, in.Arrangement, audience(actor))
			if err != nil {
				return nil, err
			}
			out := make([]client.Term, len(list))
			for i, t := range list {
				out[i] = client.Term{ID: t.ID, State: string(t.State), Date: timePtr(t.Date), Notice: timePtr(t.Notice), Digest: t.Digest, MayCure: t.MayCure, MaySuspend: t.MaySuspend, Bad: t.State.Bad()}
				if t.Kind != "part" || audience(actor) == "" { // a part's own text says whose it is
					out[i].Owners = t.Owners
				}
			}
			return answer(out), nil
		})
	type factInput struct {
		ArrangementPath
		Body client.NewTermFact
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/terms", id: "record-term",
		summary: "Put on record what happened to a promise with a date", action: escrow.RecordTerm, status: http.StatusNoContent},
		func(ctx context.Context, actor escrow.Actor, in *factInput) (*struct{}, error) {
			b := in.Body
			_, err := a.Terms.RecordTerm(ctx, actor, escrow.TermFact{Arrangement: in.Arrangement, Kind: escrow.TermFactKind(b.Kind), About: b.About, Until: b.Until, Document: b.Document, Digest: b.Digest, Party: b.Party})
			if err != nil {
				err = a.refusal(ctx, actor, escrow.RecordTerm, err)
			}
			return nil, err
		})
}
