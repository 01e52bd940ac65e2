package api

import (
	"context"
	"net/http"
	"time"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// Cases runs the release procedure.
type Cases interface {
	Open(ctx context.Context, actor escrow.Actor, arrangement string, claim escrow.Claim) (escrow.Case, error)
	Case(ctx context.Context, arrangement, id string) (escrow.CaseStatus, error)
	List(ctx context.Context, arrangement string) ([]escrow.Case, error)
	Notice(ctx context.Context, actor escrow.Actor, arrangement, id, to, channel, text string) (escrow.Case, error)
	Step(ctx context.Context, actor escrow.Actor, arrangement, id string, event escrow.CaseEvent, reason string) (escrow.Case, error)
	RequestApprovals(ctx context.Context, actor escrow.Actor, arrangement, id, purpose string, expires time.Time) (escrow.Case, error)
	Approve(ctx context.Context, actor escrow.Actor, arrangement, id string, document, signature []byte) (escrow.CaseStatus, error)
	HandOver(ctx context.Context, actor escrow.Actor, arrangement, id string) (escrow.HandOver, error)
}

// CasePath is the path of everything about one case.
type CasePath struct {
	ArrangementPath
	Case string `path:"case" maxLength:"128"`
}

func (a *api) cases() {
	type openInput struct {
		ArrangementPath
		Body client.OpenCase
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/cases", id: "open-case", summary: "Say that a release event has happened",
		action: escrow.OpenCase, status: http.StatusCreated},
		func(ctx context.Context, actor escrow.Actor, in *openInput) (*reply[client.Case], error) {
			b := in.Body
			c, err := a.Cases.Open(ctx, actor, in.Arrangement, escrow.Claim{Event: b.Event, Stage: b.Stage, Compartment: b.Compartment, Epoch: b.Epoch, Reason: b.Reason})
			return caseReply(c, err)
		})
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/cases", id: "list-cases", summary: "The cases of an arrangement", action: escrow.ReadCase},
		func(ctx context.Context, actor escrow.Actor, in *ArrangementPath) (*reply[[]client.Case], error) {
			v, err := a.Views.View(ctx, actor, in.Arrangement)
			if err != nil {
				return nil, err
			}
			list, err := a.Cases.List(ctx, in.Arrangement)
			if err != nil {
				return nil, err
			}
			out := []client.Case{}
			for _, c := range list {
				if v.Case(c) {
					out = append(out, releaseCase(v.Shown(c)))
				}
			}
			return answer(out), nil
		})
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/cases/{case}", id: "get-case", summary: "Where a case stands", action: escrow.ReadCase},
		func(ctx context.Context, actor escrow.Actor, in *CasePath) (*reply[client.Case], error) {
			v, err := a.Views.View(ctx, actor, in.Arrangement)
			if err != nil {
				return nil, err
			}
			status, err := a.Cases.Case(ctx, in.Arrangement, in.Case)
			if err == nil && !v.Case(status.Case) {
				err = notSeen(in.Arrangement)
			}
			status.Case = v.Shown(status.Case)
			return statusReply(status, err)
		})
	type noticeInput struct {
		CasePath
		Body client.Notice
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/cases/{case}/notices", id: "record-notice", summary: "Record that a party was told", action: escrow.RecordNotice},
		func(ctx context.Context, actor escrow.Actor, in *noticeInput) (*reply[client.Case], error) {
			return caseReply(a.Cases.Notice(ctx, actor, in.Arrangement, in.Case, in.Body.To, in.Body.Channel, in.Body.Text))
		})
	type stepInput struct {
		CasePath
		Body client.CaseStep
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/cases/{case}/steps", id: "move-case", summary: "Move a case on", action: escrow.CloseCase},
		func(ctx context.Context, actor escrow.Actor, in *stepInput) (*reply[client.Case], error) {
			return caseReply(a.Cases.Step(ctx, actor, in.Arrangement, in.Case, escrow.CaseEvent(in.Body.Step), in.Body.Reason))
		})
	type requestInput struct {
		CasePath
		Body client.ApprovalRequest
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/cases/{case}/statement", id: "request-approvals",
		summary: "Fix the statement that trustees approve", action: escrow.RequestApprovals},
		func(ctx context.Context, actor escrow.Actor, in *requestInput) (*reply[client.Case], error) {
			var expires time.Time
			if in.Body.Expires != "" {
				var err error
				if expires, err = time.Parse(time.RFC3339, in.Body.Expires); err != nil {
					return nil, escrow.Errorf(escrow.Invalid, "expires %q is not an RFC 3339 time", in.Body.Expires)
				}
			}
			return caseReply(a.Cases.RequestApprovals(ctx, actor, in.Arrangement, in.Case, in.Body.Purpose, expires))
		})
	type approveInput struct {
		CasePath
		Body client.Signed
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/cases/{case}/approvals", id: "approve",
		summary: "Hand in a trustee's approval: the share re-encrypted to the statement's recipients", action: escrow.Approve},
		func(ctx context.Context, actor escrow.Actor, in *approveInput) (*reply[client.Case], error) {
			return statusReply(a.Cases.Approve(ctx, actor, in.Arrangement, in.Case, []byte(in.Body.Document), []byte(in.Body.Signature)))
		})
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/cases/{case}/hand-over", id: "fetch-hand-over",
		summary: "What a recipient needs to open what was released; fetching it is recorded", action: escrow.FetchHandOver},
		func(ctx context.Context, actor escrow.Actor, in *CasePath) (*reply[client.HandOver], error) {
			if err := a.seesCase(ctx, actor, in); err != nil {
				return nil, err
			}
			h, err := a.Cases.HandOver(ctx, actor, in.Arrangement, in.Case)
			if err != nil {
				return nil, err
			}
			v, err := a.Views.View(ctx, actor, in.Arrangement)
			if err != nil {
				return nil, err
			}
			out := client.HandOver{Case: releaseCase(v.Shown(h.Case)), Epoch: epoch(h.Epoch, nil)}
			for _, g := range h.Approvals {
				out.Approvals = append(out.Approvals, client.Signed{Document: string(g.Document), Signature: string(g.Signature)})
			}
			return answer(out), nil
		})
}

func caseReply(c escrow.Case, err error) (*reply[client.Case], error) {
	if err != nil {
		return nil, err
	}
	return answer(releaseCase(c)), nil
}

func statusReply(s escrow.CaseStatus, err error) (*reply[client.Case], error) {
	if err != nil {
		return nil, err
	}
	out := releaseCase(s.Case)
	out.Approved, out.Needed = s.Approved, s.Needed
	return answer(out), nil
}

func releaseCase(c escrow.Case) client.Case {
	return client.Case{ID: c.ID, Event: c.Event, Stage: c.Stage, Claimant: c.Claimant, Reason: c.Reason, Compartment: c.Compartment, Epoch: c.Epoch,
		Recipients: c.Recipients, State: string(c.State), Statement: string(c.Statement), OpenedAt: c.OpenedAt.UTC(),
		ContestEnds: timePtr(c.ContestEnds), InForceAt: timePtr(c.InForceAt)}
}

// Tokens issues and revokes bearer tokens.
type Tokens interface {
	Issue(ctx context.Context, actor escrow.Actor, arrangement string, t escrow.Token) (plain string, record escrow.Token, err error)
	Revoke(ctx context.Context, actor escrow.Actor, arrangement, id string) error
}

const defaultTokenLife = 720 * time.Hour

func (a *api) tokens() {
	type issueInput struct {
		ArrangementPath
		Body client.NewToken
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/tokens", id: "issue-token", summary: "Issue a bearer token; it is shown once",
		action: escrow.IssueToken, status: http.StatusCreated},
		func(ctx context.Context, actor escrow.Actor, in *issueInput) (*reply[client.IssuedToken], error) {
			life := defaultTokenLife
			if in.Body.ExpiresIn != "" {
				var err error
				if life, err = time.ParseDuration(in.Body.ExpiresIn); err != nil {
					return nil, escrow.Errorf(escrow.Invalid, "expires_in %q is not a duration like 720h", in.Body.ExpiresIn)
				}
			}
			plain, t, err := a.Tokens.Issue(ctx, actor, in.Arrangement, escrow.Token{Person: in.Body.Person, Party: in.Body.Party,
				Module: in.Body.Module, ExpiresAt: a.Now().Add(life)})
			if err != nil {
				return nil, err
			}
			return answer(client.IssuedToken{ID: t.ID, Token: plain, ExpiresAt: t.ExpiresAt.UTC()}), nil
		})
	type revokePath struct {
		ArrangementPath
		Token string `path:"token" maxLength:"64"`
	}
	route(a, op{method: http.MethodDelete, path: "/arrangements/{arrangement}/tokens/{token}", id: "revoke-token", summary: "Revoke a token by its id",
		action: escrow.RevokeToken, status: http.StatusNoContent},
		func(ctx context.Context, actor escrow.Actor, in *revokePath) (*struct{}, error) {
			return nil, a.Tokens.Revoke(ctx, actor, in.Arrangement, in.Token)
		})
}

// Ledger proves.
type Ledger interface {
	// Keys are what the server signs with, for clients to pin.
	Keys() client.ServerKeys
	// Consistency proves that the tree of size from is a prefix of the one in
	// the returned signed checkpoint; both belong to one reading.
	Consistency(ctx context.Context, from int64) (checkpoint []byte, proof []string, err error)
	// Between proves that the tree of size from is a prefix of that of size to.
	Between(ctx context.Context, from, to int64) (proof []string, err error)
	// Cosign takes the cosignatures of witnesses on a published checkpoint
	// and returns how many it has.
	Cosign(ctx context.Context, checkpoint []byte) (witnesses int, err error)
	// Erase removes the content of an entry about the arrangement for good.
	Erase(ctx context.Context, actor escrow.Actor, arrangement string, index int64, reason string) error
	// Entries lists the ledger from index after on, opened where it is about
	// the arrangement and the view shows it, closed elsewhere.
	Entries(ctx context.Context, view escrow.View, arrangement string, after int64, limit int) ([]evidence.Entry, error)
}

func (a *api) ledger() {
	route(a, op{method: http.MethodGet, path: "/ledger/key", id: "ledger-key", summary: "The verifier key of the ledger (public)"},
		func(context.Context, escrow.Actor, *struct{}) (*reply[client.ServerKeys], error) {
			return answer(a.Ledger.Keys()), nil
		})
	type fromQuery struct {
		From int64 `query:"from" minimum:"0"`
		To   int64 `query:"to" minimum:"0" doc:"a size whose checkpoint the caller holds; left out: the current one, whose checkpoint comes with the answer"`
	}
	route(a, op{method: http.MethodGet, path: "/ledger/consistency", id: "ledger-consistency", summary: "Proof that an older tree is a prefix of the current one (public)"},
		func(ctx context.Context, _ escrow.Actor, in *fromQuery) (*reply[client.Consistency], error) {
			if in.To > 0 {
				proof, err := a.Ledger.Between(ctx, in.From, in.To)
				if err != nil {
					return nil, err
				}
				return answer(client.Consistency{Proof: proof}), nil
			}
			checkpoint, proof, err := a.Ledger.Consistency(ctx, in.From)
			if err != nil {
				return nil, err
			}
			return answer(client.Consistency{Checkpoint: string(checkpoint), Proof: proof}), nil
		})
	type cosignInput struct {
		Body client.Cosignature
	}
	route(a, op{method: http.MethodPost, path: "/ledger/cosignatures", id: "cosign", summary: "Hand in a witness's cosignature on the published checkpoint (public; it proves itself)"},
		func(ctx context.Context, _ escrow.Actor, in *cosignInput) (*reply[client.Witnessed], error) {
			n, err := a.Ledger.Cosign(ctx, []byte(in.Body.Checkpoint))
			if err != nil {
				return nil, err
			}
			return answer(client.Witnessed{Witnesses: n}), nil
		})
	type eraseInput struct {
		ArrangementPath
		Index int64 `path:"index" minimum:"0"`
		Body  client.Erasure
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/ledger/{index}/erase", id: "erase-entry",
		summary: "Erase the content of an entry for good; the tree and every proof go on to hold", action: escrow.ErasePayload, status: http.StatusNoContent},
		func(ctx context.Context, actor escrow.Actor, in *eraseInput) (*struct{}, error) {
			return nil, a.Ledger.Erase(ctx, actor, in.Arrangement, in.Index, in.Body.Reason)
		})
	type entriesInput struct {
		ArrangementPath
		After int64 `query:"after" minimum:"0"`
		Limit int   `query:"limit" minimum:"1" maximum:"1000" default:"500"`
	}
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/ledger", id: "ledger-entries",
		summary: "Entries of the ledger: opened for this arrangement, closed for others", action: escrow.ReadLedger},
		func(ctx context.Context, actor escrow.Actor, in *entriesInput) (*reply[[]client.LedgerEntry], error) {
			v, err := a.Views.View(ctx, actor, in.Arrangement)
			if err != nil {
				return nil, err
			}
			list, err := a.Ledger.Entries(ctx, v, in.Arrangement, in.After, in.Limit)
			if err != nil {
				return nil, err
			}
			out := make([]client.LedgerEntry, len(list))
			for i, e := range list {
				out[i] = client.LedgerEntry{Index: e.Index, Commitment: e.Commitment[:]}
				if e.Open() {
					out[i].Payload, out[i].Salt = string(e.Payload), e.Salt
				}
			}
			return answer(out), nil
		})
}
