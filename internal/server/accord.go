package server

import (
	"bytes"
	"context"
	"io"

	"filippo.io/age"

	"holdfast/client"
	"holdfast/internal/arrangement"
	"holdfast/internal/document"
	"holdfast/internal/document/text"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/phrase"
	"holdfast/internal/escrow/signing"
)

// accord is the registry as the API signs by it: with the parts in words, and
// the signed copies opened for those who read the part.
type accord struct {
	*arrangement.Registry
	identity *age.HybridIdentity
}

func statement(g client.GivenStatement) arrangement.GivenStatement {
	return arrangement.GivenStatement{Document: []byte(g.Document), Signature: []byte(g.Signature), Copy: g.Copy}
}

func (a accord) Sign(ctx context.Context, actor escrow.Actor, arr string, version int, list []client.GivenStatement) (signing.Progress, error) {
	in := make([]arrangement.GivenStatement, len(list))
	for i, g := range list {
		in[i] = statement(g)
	}
	return a.Registry.Sign(ctx, actor, arr, version, in)
}

func (a accord) Attest(ctx context.Context, actor escrow.Actor, arr string, version int, g client.GivenStatement) (signing.Progress, error) {
	return a.Registry.Attest(ctx, actor, arr, version, statement(g))
}

func (a accord) Review(ctx context.Context, actor escrow.Actor, arr string, version int, g client.GivenStatement) (escrow.PartReview, error) {
	return a.Registry.Review(ctx, actor, arr, version, statement(g))
}

// Copy opens a signed copy.
func (a accord) Copy(ctx context.Context, arr, part, digest string) ([]byte, error) {
	c, err := a.Registry.Copy(ctx, arr, part, digest)
	if err != nil {
		return nil, err
	}
	r, err := age.Decrypt(bytes.NewReader(c.Sealed), a.identity)
	if err != nil {
		return nil, escrow.Wrap(err, escrow.WrongKey, "signed copy %.12s of part %s is not sealed to this server's key", digest, part)
	}
	data, err := io.ReadAll(io.LimitReader(r, arrangement.MaxCopy+1))
	if err != nil {
		return nil, escrow.Wrap(err, escrow.Damaged, "signed copy %.12s of part %s", digest, part)
	}
	return data, nil
}

// Text renders a part in words.
func (a accord) Text(source []byte, part, lang string) (string, error) {
	parsed, problems := agreement.Parse("agreement", source)
	if parsed == nil {
		return "", agreement.Refusal(problems)
	}
	l := phrase.Lang(lang)
	if lang == "" {
		l = phrase.Lang(parsed.Language)
	}
	d, err := document.Part(parsed, part, l)
	if err != nil {
		return "", err
	}
	return string(text.Render(d, 80)), nil
}
