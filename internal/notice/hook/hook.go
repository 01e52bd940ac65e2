// Package hook sends notices to machines: a POST of JSON, signed with a secret
// that the receiver shares, the same idempotency key at every try.
//
// It imports escrow and the outbox's message; every connection is made by the
// client it is given, whose dialer refuses private networks.
package hook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/notice"
)

// The headers of a delivery.
const (
	// HeaderSignature is "t=SECONDS,v1=HEX": the HMAC-SHA256, keyed with the
	// secret, of SECONDS, a dot, and the body.
	HeaderSignature = "Holdfast-Signature"
	// HeaderKey is the same at every try of one message.
	HeaderKey = "Idempotency-Key"
)

// Sender posts webhooks.
type Sender struct {
	client *http.Client
	now    func() time.Time
}

// New returns a sender over a client, which follows no redirect: what was
// signed for one address is not carried to another.
func New(client *http.Client, now func() time.Time) *Sender {
	c := *client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Sender{&c, now}
}

// Signature signs a body at a moment.
func Signature(secret, body []byte, at time.Time) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// Send implements notice.Sender.
func (s *Sender) Send(ctx context.Context, m notice.Message) (string, error) {
	if len(m.Secret) == 0 {
		return "", escrow.Errorf(escrow.Invalid, "the webhook has no secret to sign with")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.To, bytes.NewReader(m.Body))
	if err != nil {
		return "", escrow.Wrap(err, escrow.Invalid, "the address of the webhook cannot be used")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Holdfast")
	req.Header.Set(HeaderKey, m.ID)
	req.Header.Set(HeaderSignature, Signature(m.Secret, m.Body, s.now()))
	resp, err := s.client.Do(req)
	if err != nil {
		if escrow.CodeOf(err) == escrow.Forbidden {
			return "", escrow.Wrap(err, escrow.Forbidden, "the webhook lies in a network that this installation does not call")
		}
		return "", escrow.Wrap(err, escrow.Unavailable, "the webhook does not answer")
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // what it says is not our business; the connection is kept
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
		return fmt.Sprintf("%s %d", m.ID, resp.StatusCode), nil
	case resp.StatusCode == http.StatusGone:
		return "", escrow.Errorf(escrow.Invalid, "the webhook is gone (410)")
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusRequestTimeout || resp.StatusCode >= 500:
		return "", escrow.Errorf(escrow.Unavailable, "the webhook answered %d", resp.StatusCode)
	}
	return "", escrow.Errorf(escrow.Unavailable, "the webhook refused the message (%d)", resp.StatusCode)
}
