package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"holdfast/internal/sla"
)

// Network opens connections. An egress.Guard is one; it looks at the address
// really connected to.
type Network interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
	// Permitted looks a host up and returns the addresses that may be gone to.
	Permitted(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Options set up a [Prober].
type Options struct {
	Network Network
	// Resolver answers dns targets that name no server; nil: the system's.
	Resolver Resolver
	Now      func() time.Time // nil: time.Now
	RootCAs  *x509.CertPool   // nil: the machine's
	// References are targets that are known to be there, such as the sites of
	// several large providers. When a check fails and none of them can be
	// reached either, the prober itself is cut off: the target is unknown.
	References []Target
	Agent      string // what the prober calls itself; "" for holdfast-probe
}

// Prober checks targets. It is safe for use by several goroutines.
type Prober struct {
	network    Network
	resolver   Resolver
	now        func() time.Time
	roots      *x509.CertPool
	agent      string
	references []Target
	transport  *http.Transport // for targets with a new connection each time

	mu       sync.Mutex
	kept     map[string]*http.Transport // by target, for those that keep connections
	refAt    time.Time
	refUp    bool
	refReady chan struct{} // closed when the look at the references that runs has ended
}

// New makes a prober. References must be checked targets.
func New(o Options) *Prober {
	p := &Prober{network: o.Network, resolver: o.Resolver, now: o.Now, roots: o.RootCAs, references: o.References, agent: o.Agent, kept: map[string]*http.Transport{}}
	if p.now == nil {
		p.now = time.Now
	}
	if p.resolver == nil {
		p.resolver = net.DefaultResolver
	}
	if p.agent == "" {
		p.agent = "holdfast-probe/1"
	}
	p.transport = p.newTransport(p.roots, false)
	return p
}

// referenceFor is how long a look at the references counts.
const referenceFor = 10 * time.Second

// Check does one check of a target that [Target.Checked] returned. It ends
// within the target's timeout. A push target is not checked: see [Heard].
func (p *Prober) Check(ctx context.Context, t Target) Result {
	r := p.once(ctx, t)
	if r.State != sla.Down || len(p.references) == 0 || !outward(r.Reason) {
		return r
	}
	if !p.online(ctx) {
		r.State, r.Notes = sla.Unknown, append(r.Notes, string(r.Reason)+": "+r.Error)
		r.Reason, r.Error = Offline, "no reference target can be reached either: the prober itself is cut off"
	}
	return r
}

// outward reports whether a failure could come from the prober's own network:
// an answer with a wrong status is an answer.
func outward(r Reason) bool {
	switch r {
	case TimedOut, NoName, Refused, Unreachable, BadTLS, BadProtocol:
		return true
	}
	return false
}

// online reports whether any reference target is up. One look serves all that
// ask within a short time.
func (p *Prober) online(ctx context.Context) bool {
	p.mu.Lock()
	if p.now().Sub(p.refAt) < referenceFor && p.refReady == nil {
		defer p.mu.Unlock()
		return p.refUp
	}
	if ready := p.refReady; ready != nil {
		p.mu.Unlock()
		select {
		case <-ready:
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.refUp
		case <-ctx.Done():
			return false
		}
	}
	ready := make(chan struct{})
	p.refReady = ready
	p.mu.Unlock()

	// Not ctx: others wait for this look too.
	look, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	up := make(chan bool, len(p.references))
	for _, t := range p.references {
		go func() { up <- p.once(look, t).State == sla.Up }()
	}
	any := false
	for range p.references {
		if any = <-up; any {
			break
		}
	}
	p.mu.Lock()
	p.refUp, p.refAt, p.refReady = any, p.now(), nil
	p.mu.Unlock()
	close(ready)
	return any
}

func (p *Prober) once(ctx context.Context, t Target) Result {
	r := Result{At: p.now().UTC(), State: sla.Up}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(t.Timeout))
	defer cancel()
	switch t.Kind {
	case HTTP:
		p.checkHTTP(ctx, t, &r)
	case TCP, TLS:
		p.checkStream(ctx, t, &r)
	case DNS:
		p.checkDNS(ctx, t, &r)
	case ICMP:
		p.checkICMP(ctx, t, &r)
	default:
		r.fail(Broken, "a target of kind "+string(t.Kind)+" is not checked from here")
	}
	r.TookMS = ms(time.Since(began))
	return r
}

// fail says why a target is not up. The first reason stays.
func (r *Result) fail(why Reason, text string) {
	if r.State != sla.Up {
		return
	}
	r.State, r.Reason, r.Error = sla.Down, why, clean(text)
	switch why {
	case Forbidden, NotPermitted, Offline, Broken:
		r.State = sla.Unknown
	}
}

func (p *Prober) tlsConfig(roots *x509.CertPool, name string) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, Time: p.now, ServerName: name}
}

// rootsOf returns the authorities that a target trusts.
func (p *Prober) rootsOf(t Target) *x509.CertPool {
	if t.CA == "" {
		return p.roots
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(t.CA))
	return pool
}

// checkStream connects, and for tls shakes hands.
func (p *Prober) checkStream(ctx context.Context, t Target, r *Result) {
	hop := Hop{}
	began := time.Now()
	seen := &dialing{}
	conn, err := p.dial(ctx, t.Address, t.Family, seen)
	hop.ConnectMS = ms(time.Since(began))
	hop.Address, r.Address = seen.address, seen.address
	defer func() { r.Notes, r.Hops = append(r.Notes, seen.finish()...), append(r.Hops, hop) }()
	if err != nil {
		r.fail(classify(ctx, err))
		return
	}
	defer conn.Close()
	if t.Kind == TCP {
		return
	}
	host, _, _ := net.SplitHostPort(t.Address)
	began = time.Now()
	c := tls.Client(conn, p.tlsConfig(p.rootsOf(t), host))
	err = c.HandshakeContext(ctx)
	hop.TLSMS = ms(time.Since(began))
	if err != nil {
		hop.Cert = refusedCert(err, p.now())
		r.Cert = hop.Cert
		r.fail(classify(ctx, err))
		return
	}
	state := c.ConnectionState()
	hop.TLS = tls.VersionName(state.Version)
	hop.Cert = lowest(state.VerifiedChains, p.now())
	r.take(hop.Cert)
	r.days(t)
}

// take keeps the certificate that ends first.
func (r *Result) take(c *Cert) {
	if c != nil && (r.Cert == nil || c.Ends.Before(r.Cert.Ends)) {
		r.Cert = c
	}
}

// days fails a target whose certificate ends too soon.
func (r *Result) days(t Target) {
	if c := r.Cert; c != nil && c.Days < t.Expect.CertDays {
		r.fail(BadCert, "the certificate of "+c.Subject+" ends in "+plural(c.Days, "day")+", fewer than "+plural(t.Expect.CertDays, "day"))
	}
}
