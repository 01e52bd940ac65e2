package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"holdfast/internal/escrow"
)

// Resolver turns a name into addresses. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Options set up a [Guard].
type Options struct {
	Allow    Allow
	Resolver Resolver // nil: the system's
	// Timeout bounds making one connection, look-up included; 0 means 30 s.
	Timeout time.Duration
	// Idle ends a connection on which no byte moved for so long; 0 means
	// 5 min. A Git server may be silent for a while before it sends a pack.
	Idle time.Duration
}

// Guard opens connections to public addresses and to those the operator
// allowed. It is safe for use by several goroutines.
type Guard struct {
	allow    Allow
	resolver Resolver
	timeout  time.Duration
	idle     time.Duration
}

// New makes a guard.
func New(o Options) *Guard {
	g := &Guard{allow: o.Allow, resolver: o.Resolver, timeout: o.Timeout, idle: o.Idle}
	if g.resolver == nil {
		g.resolver = net.DefaultResolver
	}
	if g.timeout == 0 {
		g.timeout = 30 * time.Second
	}
	if g.idle == 0 {
		g.idle = 5 * time.Minute
	}
	return g
}

// DialContext connects to host:port over TCP. It looks the name up once and
// connects to those of the answers that are allowed, one after the other; the
// address of the socket is checked again as it connects. A refusal is an
// [escrow.Error] with code Forbidden that names the host and the kind of
// address, and not the address.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	switch network {
	case "tcp", "tcp4", "tcp6":
	default:
		return nil, escrow.Errorf(escrow.Forbidden, "connection over %.20q", network).WithHint("only TCP goes out")
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "address %.200q is not host:port", address).WithHint("example: git.example.org:443")
	}
	ctx, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	host = canonicalHost(host)
	addrs, err := g.lookUp(ctx, network, host)
	if err != nil {
		return nil, err
	}
	var refused class
	var failed error
	for i, addr := range addrs {
		if c := g.allow.permits(addr, host, port); c != public {
			refused = c
			continue
		}
		conn, err := g.dialOne(ctx, network, addr.Unmap(), host, port, len(addrs)-i)
		if err == nil {
			return &idleConn{Conn: conn, idle: g.idle}, nil
		}
		failed = errors.Join(failed, err)
	}
	if failed != nil {
		if e, ok := errors.AsType[*escrow.Error](failed); ok {
			return nil, e
		}
		if err := context.Cause(ctx); errors.Is(err, context.Canceled) {
			return nil, fmt.Errorf("connect to %s: %w", host, err)
		}
		return nil, escrow.Wrap(failed, escrow.Unavailable, "%s does not take connections on port %s", host, port).
			WithHint("check the address, and that the server runs")
	}
	if refused == "" {
		return nil, escrow.Errorf(escrow.Unavailable, "%s has no address", host).WithHint("check the name")
	}
	return nil, notAllowed(host, refused)
}

func notAllowed(host string, c class) *escrow.Error {
	return escrow.Errorf(escrow.Forbidden, "address not allowed: %s leads to a %s address", host, c).
		WithHint("use a public address; whoever operates this server can allow others in its egress list")
}

func (g *Guard) lookUp(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	if err := checkHostName(host); err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "%v", err).WithHint("give a host name, or an address in its usual form")
	}
	family := "ip" + network[len("tcp"):]
	addrs, err := g.resolver.LookupNetIP(ctx, family, host)
	if err != nil {
		if ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled) {
			return nil, fmt.Errorf("look up %s: %w", host, context.Canceled)
		}
		return nil, escrow.Wrap(err, escrow.Unavailable, "the name %s cannot be looked up", host).WithHint("check the name")
	}
	return addrs, nil
}

// dialOne connects to one address. left is how many addresses share the time
// that is left, this one included, so that one which swallows packets does
// not take it all.
func (g *Guard) dialOne(ctx context.Context, network string, addr netip.Addr, host, port string, left int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, max(time.Until(deadline)/time.Duration(left), 2*time.Second))
		defer cancel()
	}
	d := net.Dialer{
		// The last look, at what the kernel is about to connect to.
		Control: func(_, address string, _ syscall.RawConn) error {
			actual, err := netip.ParseAddrPort(address)
			if err != nil {
				return notAllowed(host, unspecified)
			}
			if c := g.allow.permits(actual.Addr(), host, port); c != public {
				return notAllowed(host, c)
			}
			return nil
		},
	}
	return d.DialContext(ctx, network, net.JoinHostPort(addr.String(), port))
}

// idleConn gives every read and write a deadline, so that neither a silent
// peer nor one that takes nothing holds a job for ever.
type idleConn struct {
	net.Conn
	idle time.Duration
}

func (c *idleConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.idle)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *idleConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.idle)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
