package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// headStart is how long IPv4 waits for IPv6, as in RFC 8305.
const headStart = 250 * time.Millisecond

// dialing collects what happened while a connection was made.
type dialing struct {
	address string
	mu      sync.Mutex
	notes   []string
	err     error
}

func (d *dialing) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

func (d *dialing) failed() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

func (d *dialing) note(s string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notes = append(d.notes, s)
}

// finish returns the notes so far.
func (d *dialing) finish() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := d.notes
	d.notes = nil
	return out
}

// dial connects to host:port. Of a name with addresses of both families IPv6
// comes first and IPv4 takes over when that fails or is slow; which family
// failed is noted, since users of it are shut out although the target is up.
func (p *Prober) dial(ctx context.Context, address, family string, d *dialing) (net.Conn, error) {
	conn, err := p.dialFamilies(ctx, address, family, d)
	if err == nil {
		d.address = conn.RemoteAddr().String()
	}
	return conn, err
}

func (p *Prober) dialFamilies(ctx context.Context, address, family string, d *dialing) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if family != "" && a.Unmap().Is4() != (family == "4") {
			return nil, &net.AddrError{Err: "the address is not of the family that was asked for", Addr: host}
		}
		return p.network.DialContext(ctx, "tcp", address)
	}
	if family != "" {
		return p.network.DialContext(ctx, "tcp"+family, address)
	}
	type outcome struct {
		family string
		conn   net.Conn
		err    error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan outcome, 2)
	start := func(family string) {
		go func() {
			c, err := p.network.DialContext(ctx, "tcp"+family, address)
			results <- outcome{family, c, err}
		}()
	}
	start("6")
	wait := time.NewTimer(headStart)
	defer wait.Stop()
	four := false
	var failed []outcome
	for pending := 1; pending > 0; {
		select {
		case <-wait.C:
			if !four {
				four = true
				pending++
				start("4")
			}
		case got := <-results:
			pending--
			if got.err == nil {
				for _, f := range failed {
					if !noAddress(f.err) {
						_, why := classify(ctx, f.err)
						d.note("IPv" + f.family + " failed: " + why)
					}
				}
				if pending > 0 { // the other one goes on; it is not waited for
					if got.family == "4" {
						d.note("IPv6 did not answer within " + headStart.String() + " and IPv4 took over")
					}
					go func() {
						if late := <-results; late.conn != nil {
							late.conn.Close()
						}
					}()
				}
				return got.conn, nil
			}
			failed = append(failed, got)
			if !four {
				four = true
				pending++
				start("4")
			}
		}
	}
	// Of two failures the one that says more: a family without an address
	// says nothing.
	for _, f := range failed {
		if !noAddress(f.err) {
			return nil, f.err
		}
	}
	return nil, failed[0].err
}

// noAddress reports whether a name has no address of a family, which is no
// failure of it.
func noAddress(err error) bool {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return e.IsNotFound
	}
	_, ok := errors.AsType[*net.AddrError](err)
	return ok
}

// refusedCert is the certificate that was refused, if one came.
func refusedCert(err error, now time.Time) *Cert {
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok && len(e.UnverifiedCertificates) > 0 {
		return certOf(e.UnverifiedCertificates[0], now)
	}
	return nil
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}
