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
	return t.issue(ctx, actor.String(), spec)
}

func (t *tokens) issue(ctx context.Context, by string, spec escrow.Token) (string, escrow.Token, error) {
	plain, rec, err := auth.Issue(t.random, t.now(), spec)
	if err != nil {
		return "", escrow.Token{}, err
	}
	_, err = t.db.Update(ctx, func(tx *store.Tx) ([]escrow.Act, error) {
		if err := tx.PutToken(ctx, rec); err != nil {
			return nil, err
		}
		return []escrow.Act{{Kind: "token.issued", At: rec.CreatedAt, Actor: by, Arrangement: rec.Arrangement, Subject: rec.ID,
			Data: map[string]string{"party": rec.Party, "person": rec.Person, "role": string(rec.Role), "module": rec.Module,
				"expires": rec.ExpiresAt.UTC().Format(time.RFC3339)}}}, nil
	})
	if err != nil {
		return "", escrow.Token{}, err
	}
	return plain, rec, nil
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
