// Package auth knows people and machines by their bearer tokens. It turns a
// token into an escrow.Actor and never keeps the token itself.
//
// It imports the standard library and escrow only; the store is reached
// through the interface it declares.
package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"holdfast/internal/escrow"
)

// A token reads hf_<id>_<secret>: the prefix lets secret scanners find it, the
// id finds its record without searching by secret.
const (
	prefix      = "hf_"
	idBytes     = 8
	secretBytes = 32
	maxToken    = 128
)

// MaxLifetime bounds how long any token can live.
const MaxLifetime = 366 * 24 * time.Hour

// Issue makes a token for the actor described by t, whose ID, Hash and
// CreatedAt it fills in. plain is shown once and not kept.
func Issue(random io.Reader, now time.Time, t escrow.Token) (plain string, record escrow.Token, err error) {
	switch {
	case !t.ExpiresAt.After(now):
		return "", t, escrow.Errorf(escrow.Invalid, "token would have expired at %s already", t.ExpiresAt.UTC().Format(time.RFC3339))
	case t.ExpiresAt.After(now.Add(MaxLifetime)):
		return "", t, escrow.Errorf(escrow.Invalid, "a token lives at most %d days", int(MaxLifetime.Hours()/24))
	case t.Role == "":
		return "", t, escrow.Errorf(escrow.Invalid, "a token needs a role")
	case t.Role != escrow.Administrator && (t.Arrangement == "" || t.Party == ""):
		return "", t, escrow.Errorf(escrow.Invalid, "a token for role %s needs an arrangement and a party", t.Role)
	}
	raw := make([]byte, idBytes+secretBytes)
	if _, err := io.ReadFull(random, raw); err != nil {
		return "", t, fmt.Errorf("random bytes for a token: %w", err)
	}
	t.ID = hex.EncodeToString(raw[:idBytes])
	plain = prefix + t.ID + "_" + base64.RawURLEncoding.EncodeToString(raw[idBytes:])
	sum := sha256.Sum256([]byte(plain))
	t.Hash, t.CreatedAt = sum[:], now
	return plain, t, nil
}

// Tokens finds token records.
type Tokens interface {
	// Token returns the record with this id, or an error with code NotFound.
	Token(ctx context.Context, id string) (escrow.Token, error)
}

// Authenticate turns an Authorization header into an actor. Every refusal
// reads the same, so that nobody learns whether an id exists.
func Authenticate(ctx context.Context, tokens Tokens, header string, now time.Time) (escrow.Actor, escrow.Token, error) {
	refused := escrow.Errorf(escrow.Unauthenticated, "no valid token").
		WithHint("send 'Authorization: Bearer hf_…'; ask the agent of the arrangement for a token")
	scheme, plain, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "bearer") || len(plain) > maxToken {
		return escrow.Actor{}, escrow.Token{}, refused
	}
	rest, ok := strings.CutPrefix(plain, prefix)
	id, _, ok2 := strings.Cut(rest, "_")
	if !ok || !ok2 || len(id) != 2*idBytes {
		return escrow.Actor{}, escrow.Token{}, refused
	}
	t, err := tokens.Token(ctx, id)
	if escrow.CodeOf(err) == escrow.NotFound {
		return escrow.Actor{}, escrow.Token{}, refused
	}
	if err != nil {
		return escrow.Actor{}, escrow.Token{}, fmt.Errorf("token %s: %w", id, err)
	}
	sum := sha256.Sum256([]byte(plain))
	if subtle.ConstantTimeCompare(sum[:], t.Hash) != 1 || !t.Valid(now) {
		return escrow.Actor{}, escrow.Token{}, refused
	}
	return escrow.Actor{Token: t.ID, Person: t.Person, Party: t.Party, Role: t.Role, Arrangement: t.Arrangement}, t, nil
}
