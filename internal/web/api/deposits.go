package api

import (
	"context"
	"net/http"
	"time"

	"holdfast/client"
	"holdfast/internal/escrow"
)

// Deposits takes deposits in and shows what is held.
type Deposits interface {
	// Base is for whoever may make deposits of the module.
	Base(ctx context.Context, actor escrow.Actor, arrangement, module string) (escrow.DepositBase, error)
	Accept(ctx context.Context, actor escrow.Actor, arrangement, module string, s escrow.Submission) (escrow.Deposit, error)
	// List returns a page of a module's deposits with a number above after,
	// the oldest first; none when there are no more.
	List(ctx context.Context, arrangement, module string, after int) ([]escrow.Deposit, error)
	Deposit(ctx context.Context, arrangement, module string, number int) (escrow.Deposit, error)
	Receipt(ctx context.Context, arrangement, module string, number int) ([]byte, error)
	RequestSync(ctx context.Context, actor escrow.Actor, arrangement, module string) error
	// Unchanged takes a depositor's word that nothing changed.
	Unchanged(ctx context.Context, actor escrow.Actor, arrangement, module string, report client.Signed) (client.Unchanged, error)
}

// DepositPath is the path of everything about one deposit.
type DepositPath struct {
	ModulePath
	Number int `path:"number" minimum:"1"`
}

func (a *api) deposits() {
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/modules/{module}/base", id: "deposit-base",
		summary: "What the next deposit of a module builds on", action: escrow.MakeDeposit},
		func(ctx context.Context, actor escrow.Actor, in *ModulePath) (*reply[client.DepositBase], error) {
			if err := a.seesModule(ctx, actor, *in); err != nil {
				return nil, err
			}
			b, err := a.Deposits.Base(ctx, actor, in.Arrangement, in.Module)
			if err != nil {
				return nil, err
			}
			out := client.DepositBase{Agreement: b.Agreement, Module: module(b.Module), Epoch: epoch(b.Epoch, nil), Mandatory: b.Mandatory, Full: b.Full}
			if b.Latest.Number > 0 {
				latest := deposit(b.Latest)
				out.Latest = &latest
			}
			return answer(out), nil
		})
	type submitInput struct {
		ModulePath
		Body client.NewDeposit
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/modules/{module}/deposits", id: "make-deposit",
		summary: "Acknowledge a deposit whose objects have been uploaded; repeating it is safe", action: escrow.MakeDeposit, status: http.StatusCreated, body: 20 << 20},
		func(ctx context.Context, actor escrow.Actor, in *submitInput) (*reply[client.Deposit], error) {
			d, err := a.Deposits.Accept(ctx, actor, in.Arrangement, in.Module, escrow.Submission{Manifest: []byte(in.Body.Manifest.Document),
				Signature: []byte(in.Body.Manifest.Signature)})
			if err != nil {
				return nil, err
			}
			return answer(deposit(d)), nil
		})
	type listInput struct {
		ModulePath
		After int `query:"after" minimum:"0" doc:"number of the last deposit of the page before"`
	}
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/modules/{module}/deposits", id: "list-deposits",
		summary: "The acknowledged deposits of a module, oldest first, a page at a time; an empty page is the end", action: escrow.ReadDeposits},
		func(ctx context.Context, actor escrow.Actor, in *listInput) (*reply[[]client.Deposit], error) {
			if err := a.seesModule(ctx, actor, in.ModulePath); err != nil {
				return nil, err
			}
			list, err := a.Deposits.List(ctx, in.Arrangement, in.Module, in.After)
			if err != nil {
				return nil, err
			}
			return answer(deposits(list)), nil
		})
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/modules/{module}/deposits/{number}", id: "get-deposit",
		summary: "One acknowledged deposit", action: escrow.ReadDeposits},
		func(ctx context.Context, actor escrow.Actor, in *DepositPath) (*reply[client.Deposit], error) {
			if err := a.seesModule(ctx, actor, in.ModulePath); err != nil {
				return nil, err
			}
			d, err := a.Deposits.Deposit(ctx, in.Arrangement, in.Module, in.Number)
			if err != nil {
				return nil, err
			}
			return answer(deposit(d)), nil
		})
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/modules/{module}/deposits/{number}/receipt", id: "deposit-receipt",
		summary: "The receipt of a deposit, verifiable offline", action: escrow.ReadDeposits},
		func(ctx context.Context, actor escrow.Actor, in *DepositPath) (*reply[client.Receipt], error) {
			if err := a.seesModule(ctx, actor, in.ModulePath); err != nil {
				return nil, err
			}
			r, err := a.Deposits.Receipt(ctx, in.Arrangement, in.Module, in.Number)
			if err != nil {
				return nil, err
			}
			return answer(client.Receipt{Receipt: string(r)}), nil
		})
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/modules/{module}/sync", id: "request-sync",
		summary: "Ask for a pull deposit now", action: escrow.RequestSync, status: http.StatusAccepted},
		func(ctx context.Context, actor escrow.Actor, in *ModulePath) (*reply[client.SyncRequest], error) {
			at := a.Now().UTC().Truncate(time.Microsecond) // as exact as what is kept of a try
			return answer(client.SyncRequest{RequestedAt: at}), a.Deposits.RequestSync(ctx, actor, in.Arrangement, in.Module)
		})
}

func deposit(d escrow.Deposit) client.Deposit {
	return client.Deposit{Module: d.Module, Number: d.Number, Kind: string(d.Kind), Digest: d.Digest,
		Manifest:     client.Signed{Document: string(d.Manifest), Signature: string(d.Signature)},
		Completeness: string(d.Completeness), StoredBytes: d.StoredBytes, AcceptedAt: d.AcceptedAt.UTC(),
		Destruction: d.Destruction, Suspect: d.Suspect}
}

func deposits(list []escrow.Deposit) []client.Deposit {
	out := make([]client.Deposit, len(list))
	for i, d := range list {
		out[i] = deposit(d)
	}
	return out
}
