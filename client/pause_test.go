package client

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// TestBodyThatStops: an answer that stops coming ends, as the server's silence
// and not as the caller's.
func TestBodyThatStops(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	_, cancel := context.WithCancel(t.Context())
	b := newComingBody(near, 50*time.Millisecond, func() { cancel(); near.Close() })
	defer b.Close()
	go far.Write([]byte("x"))
	_, err := io.ReadAll(b)
	if !errors.Is(err, ErrUnreachable) || errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
