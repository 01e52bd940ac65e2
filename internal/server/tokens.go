package server

import (
	"context"
	"io"
	"time"

	"holdfast/internal/auth"
	"holdfast/internal/escrow"
	"holdfast/internal/store"
)

// tokens issues, finds and revokes bearer tokens.
type tokens struct {
	db     *store.DB
	now    func() time.Time
	random io.Reader
	roles  func(ctx context.Context, arrangement, party string) (escrow.Role, error)
}

// Token implements auth.Tokens.
func (t *tokens) Token(ctx context.Context, id string) (escrow.Token, error) {
	var rec escrow.Token
	err := t.db.View(ctx, func(tx *store.Tx) error {
		var err error
		rec, err = tx.Token(ctx, id)
		return err
	})
	return rec, err
}

func (t *tokens) authenticate(ctx context.Context, header string) (escrow.Actor, escrow.Token, error) {
	return auth.Authenticate(ctx, t, header, t.now())
}

// Issue makes a token for a party of the arrangement, whose role the
// agreement says.
func (t *tokens) Issue(ctx context.Context, actor escrow.Actor, arrangement string, spec escrow.Token) (string, escrow.Token, error) {
	role, err := t.roles(ctx, arrangement, spec.Party)
	if err != nil {
		return "", escrow.Token{}, err
	}
	spec.Arrangement, spec.Role = arrangement, role
	plain, rec, err := auth.Issue(t.random, t.now(), spec)
	if err != nil {
		return "", escrow.Token{}, err
	}
	_, err = t.db.Update(ctx, func(tx *store.Tx) ([]escrow.Act, error) {
		if rec.Module != "" {
			if _, err := tx.Module(ctx, arrangement, rec.Module); err != nil {
				return nil, err
			}
		}
		if err := tx.PutToken(ctx, rec); err != nil {
			return nil, err
		}
		return []escrow.Act{tokenIssued(rec, actor.String())}, nil
	})
	if err != nil {
		return "", escrow.Token{}, err
	}
	return plain, rec, nil
}

func tokenIssued(t escrow.Token, by string) escrow.Act {
	return escrow.Act{Kind: "token.issued", At: t.CreatedAt, Actor: by, Arrangement: t.Arrangement, Subject: t.ID,
		Data: map[string]string{"party": t.Party, "person": t.Person, "role": string(t.Role), "module": t.Module, "expires": t.ExpiresAt.UTC().Format(time.RFC3339)}}
}

// Revoke ends a token of the arrangement at once.
func (t *tokens) Revoke(ctx context.Context, actor escrow.Actor, arrangement, id string) error {
	_, err := t.db.Update(ctx, func(tx *store.Tx) ([]escrow.Act, error) {
		rec, err := tx.Token(ctx, id)
		if err != nil {
			return nil, err
		}
		if rec.Arrangement != arrangement {
			return nil, escrow.Errorf(escrow.NotFound, "no token %q in arrangement %q", id, arrangement)
		}
		rec.RevokedAt = t.now()
		if err := tx.PutToken(ctx, rec); err != nil {
			return nil, err
		}
		return []escrow.Act{{Kind: "token.revoked", At: rec.RevokedAt, Actor: actor.String(), Arrangement: arrangement, Subject: id}}, nil
	})
	return err
}
