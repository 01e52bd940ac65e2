package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
)

// Config is what a connection needs from the program around it.
type Config struct {
	Dial       DialFunc    // opens sockets; needed for everything but a local path
	TLS        *tls.Config // for https: own roots, for example; nil for the system's
	AllowLocal bool        // may read repositories of this machine
	Agent      string      // how the program calls itself; default "holdfast"
	Limits     Limits
}

func (c Config) agent() string {
	if c.Agent == "" {
		return "holdfast"
	}
	return c.Agent
}

func (c Config) dial(ctx context.Context, addr string) (net.Conn, error) {
	if c.Dial == nil {
		return nil, errors.New("this connection has no dialer")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.Limits.Dial, fmt.Errorf("%w: no connection to %s in %v", errIdle, addr, c.Limits.Dial))
	defer cancel()
	conn, err := c.Dial(ctx, "tcp", addr)
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errIdle) {
		return nil, cause
	}
	return conn, err
}

// Conn is a conversation with one source. It serves one caller at a time.
type Conn struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	target  *target
	limits  Limits
	agent   string
	scrub   scrubber
	carrier transport
	dog     *watchdog
	caps    capabilities
	reading bool // a pack is being read
}

// Open connects to the source. ctx bounds the whole conversation: when it
// ends, the connection is closed and every call fails. Errors are
// [escrow.Error], name the source and hold no secret.
func Open(ctx context.Context, e Endpoint, cfg Config) (*Conn, error) {
	t, err := e.target()
	if err != nil {
		return nil, err
	}
	cfg.Limits = cfg.Limits.withDefaults()
	c := &Conn{target: t, limits: cfg.Limits, agent: cfg.agent(), scrub: e.scrubber()}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	c.dog = &watchdog{limit: cfg.Limits.Idle, cancel: c.cancel}
	switch t.scheme {
	case schemeHTTP, schemeHTTPS:
		c.carrier = newHTTP(c.ctx, t, e, cfg, c.dog)
	case schemeSSH:
		c.carrier, err = dialSSH(c.ctx, t, cfg, c.dog)
	case schemeGit:
		c.carrier, err = dialDaemon(c.ctx, t, cfg, c.dog)
	case schemeFile:
		c.carrier, err = startLocal(c.ctx, t, cfg, c.dog)
	}
	if err != nil {
		err = c.fail("connecting", err)
		c.cancel(nil)
		return nil, err
	}
	return c, nil
}

// Close ends the conversation. Closing twice is harmless.
func (c *Conn) Close() {
	c.carrier.close()
	c.cancel(errClosed)
}

var errClosed = errors.New("the connection is closed")

// Received is the number of bytes that the source's answers had so far,
// without what HTTP, TLS and SSH put around them.
func (c *Conn) Received() int64 { return c.dog.received.Load() }

// malformed complains about what the server said.
func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errProtocol, fmt.Sprintf(format, args...))
}

func tooMuch(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrLimit, fmt.Sprintf(format, args...))
}
