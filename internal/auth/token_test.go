package auth_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"holdfast/internal/auth"
	"holdfast/internal/escrow"
)

type table map[string]escrow.Token

func (t table) Token(_ context.Context, id string) (escrow.Token, error) {
	if rec, ok := t[id]; ok {
		return rec, nil
	}
	return escrow.Token{}, escrow.Errorf(escrow.NotFound, "no token")
}

type broken struct{}

func (broken) Token(context.Context, string) (escrow.Token, error) {
	return escrow.Token{}, errors.New("database is away")
}

func TestAuthenticate(t *testing.T) {
	now := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	issue := func(spec escrow.Token) (string, escrow.Token) {
		t.Helper()
		plain, rec, err := auth.Issue(rand.Reader, now, spec)
		if err != nil {
			t.Fatal(err)
		}
		return plain, rec
	}
	spec := escrow.Token{Person: "j-jansen", Party: "gem-a", Role: escrow.Beneficiary, Arrangement: "portaal", ExpiresAt: now.Add(time.Hour)}
	good, rec := issue(spec)
	other, otherRec := issue(spec)
	revoked, revokedRec := issue(spec)
	revokedRec.RevokedAt = now
	records := table{rec.ID: rec, otherRec.ID: otherRec, revokedRec.ID: revokedRec}

	actor, _, err := auth.Authenticate(t.Context(), records, "Bearer "+good, now)
	want := escrow.Actor{Token: rec.ID, Person: "j-jansen", Party: "gem-a", Role: escrow.Beneficiary, Arrangement: "portaal"}
	if err != nil || actor != want {
		t.Fatalf("%+v, %v", actor, err)
	}
	mixed := good[:len("hf_")+16] + other[len("hf_")+16:] // one token's id with another's secret
	var first string
	for name, header := range map[string]string{
		"nothing":       "",
		"other scheme":  "Basic " + good,
		"no prefix":     "Bearer " + strings.TrimPrefix(good, "hf_"),
		"one byte off":  "Bearer " + good[:len(good)-1] + "~",
		"mixed":         "Bearer " + mixed,
		"revoked":       "Bearer " + revoked,
		"unknown id":    "Bearer hf_0123456789abcdef_" + strings.Repeat("A", 43),
		"huge":          "Bearer hf_" + strings.Repeat("a", 1<<16),
		"trailing text": "Bearer " + good + " x",
	} {
		_, _, err := auth.Authenticate(t.Context(), records, header, now)
		if escrow.CodeOf(err) != escrow.Unauthenticated {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if first == "" {
			first = err.Error()
		}
		if err.Error() != first {
			t.Errorf("%s: refusals differ: %q and %q", name, err, first)
		}
	}
	if _, _, err := auth.Authenticate(t.Context(), records, "Bearer "+good, spec.ExpiresAt); escrow.CodeOf(err) != escrow.Unauthenticated {
		t.Errorf("at its expiry: %v", err)
	}
	// A database that is away is not "wrong token".
	if _, _, err := auth.Authenticate(t.Context(), broken{}, "Bearer "+good, now); escrow.CodeOf(err) != escrow.Internal {
		t.Errorf("broken store: %v", err)
	}
}

func TestIssueRefuses(t *testing.T) {
	now := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, spec := range map[string]escrow.Token{
		"expired":        {Role: escrow.Administrator, ExpiresAt: now},
		"for ever":       {Role: escrow.Administrator, ExpiresAt: now.Add(auth.MaxLifetime + time.Second)},
		"no role":        {ExpiresAt: now.Add(time.Hour)},
		"no arrangement": {Role: escrow.Agent, Party: "agent", ExpiresAt: now.Add(time.Hour)},
	} {
		if plain, _, err := auth.Issue(rand.Reader, now, spec); escrow.CodeOf(err) != escrow.Invalid || plain != "" {
			t.Errorf("%s: %q, %v", name, plain, err)
		}
	}
}
