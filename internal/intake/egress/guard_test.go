package egress_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/egress"
)

// names is a DNS that gives the next answer of a name's list at each look-up,
// the last one from then on: what a rebinding attacker runs.
type names struct {
	mu      sync.Mutex
	answers map[string][][]string
	asked   []string
}

func (n *names) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, host)
	list := n.answers[host]
	if len(list) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	if len(list) > 1 {
		n.answers[host] = list[1:]
	}
	var addrs []netip.Addr
	for _, text := range list[0] {
		if a := netip.MustParseAddr(text); network == "ip" || (network == "ip4") == a.Is4() {
			addrs = append(addrs, a)
		}
	}
	return addrs, nil
}

// inside is a server on the loopback that counts the connections it gets.
func inside(t *testing.T) (port string, connections *atomic.Int64) {
	t.Helper()
	connections = new(atomic.Int64)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "SECRET OF THE INSIDE")
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	_, port, _ = net.SplitHostPort(srv.Listener.Addr().String())
	return port, connections
}

func get(t *testing.T, c *http.Client, url string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	data, err := egress.ReadAll(resp.Body, 1<<20)
	return string(data), err
}

// Every way to write or to reach the loopback and the metadata service: none
// of them makes a connection, and the answer says why without the address.
func TestNothingReachesTheInside(t *testing.T) {
	t.Parallel()
	port, connections := inside(t)
	dns := &names{answers: map[string][][]string{
		"plain.example":     {{"127.0.0.1"}},
		"mapped.example":    {{"::ffff:127.0.0.1"}},
		"six.example":       {{"::1"}},
		"zero.example":      {{"0.0.0.0"}},
		"nat64.example":     {{"64:ff9b::7f00:1"}},
		"metadata.example":  {{"169.254.169.254"}},
		"mixed.example":     {{"10.0.0.1", "127.0.0.1", "::1"}},
		"localhost":         {{"127.0.0.1"}},
		"2130706433":        {{"127.0.0.1"}}, // what the C library answers
		"0177.0.0.1":        {{"127.0.0.1"}},
		"0x7f.1":            {{"127.0.0.1"}},
		"0x7f000001":        {{"127.0.0.1"}},
		"127.1":             {{"127.0.0.1"}},
		"127.0.0.1.nip.dev": {{"127.0.0.1"}},
	}}
	client := egress.New(egress.Options{Resolver: dns}).Client(egress.ClientOptions{Timeout: 10 * time.Second})
	for host, code := range map[string]escrow.Code{
		"plain.example": escrow.Forbidden, "mapped.example": escrow.Forbidden, "six.example": escrow.Forbidden, "zero.example": escrow.Forbidden,
		"nat64.example": escrow.Forbidden, "metadata.example": escrow.Forbidden, "mixed.example": escrow.Forbidden,
		"localhost": escrow.Forbidden, "LOCALHOST.": escrow.Forbidden, "127.0.0.1.nip.dev": escrow.Forbidden,
		"127.0.0.1": escrow.Forbidden, "[::1]": escrow.Forbidden, "[::ffff:127.0.0.1]": escrow.Forbidden, "[::ffff:7f00:1]": escrow.Forbidden,
		"0.0.0.0": escrow.Forbidden, "[::]": escrow.Forbidden, "169.254.169.254": escrow.Forbidden, "[64:ff9b::7f00:1]": escrow.Forbidden,
		"2130706433": escrow.Invalid, "0177.0.0.1": escrow.Invalid, "0x7f.1": escrow.Invalid, "0x7f000001": escrow.Invalid, "127.1": escrow.Invalid,
		"no.such.example": escrow.Unavailable,
	} {
		body, err := get(t, client, "http://"+host+":"+port+"/?token=CANARY")
		if escrow.CodeOf(err) != code || body != "" {
			t.Errorf("%s: %q, %v (%s), want %s", host, body, err, escrow.CodeOf(err), code)
			continue
		}
		e, _ := errors.AsType[*escrow.Error](err)
		if code == escrow.Forbidden && !strings.Contains(e.Message, "address not allowed") {
			t.Errorf("%s: %s", host, e.Message)
		}
		if strings.HasSuffix(host, ".example") && strings.Contains(e.Message, "127.0") {
			t.Errorf("%s: the message tells what the name leads to: %s", host, e.Message)
		}
		if bare := egress.WithoutURL(err); strings.Contains(bare.Error(), "CANARY") {
			t.Errorf("%s: the secret is in %v", host, bare)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("the inside saw %d connections", n)
	}
}

// TestRebinding: the name is public at the first look-up and inside at the
// second. Whoever looks up once to check and once to connect is led inside;
// the guard connects to what it checked.
func TestRebinding(t *testing.T) {
	t.Parallel()
	port, connections := inside(t)
	allowed, err := egress.ParseAllow([]string{"127.0.0.2"})
	if err != nil {
		t.Fatal(err)
	}
	// 127.0.0.2 plays the public address, so that the first try connects.
	ln, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Skipf("SKIPPED: no second loopback address here: %v", err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	dns := &names{answers: map[string][][]string{"rebind.example": {{"127.0.0.2"}, {"127.0.0.1"}}}}
	g := egress.New(egress.Options{Resolver: dns, Allow: allowed})
	conn, err := g.DialContext(t.Context(), "tcp", "rebind.example:"+port)
	if err != nil {
		t.Fatal(err)
	}
	if got := conn.RemoteAddr().String(); got != "127.0.0.2:"+port {
		t.Errorf("connected to %s", got)
	}
	conn.Close()
	if len(dns.asked) != 1 {
		t.Errorf("looked up %d times for one connection", len(dns.asked))
	}
	for range 3 { // retries
		if _, err := g.DialContext(t.Context(), "tcp", "rebind.example:"+port); escrow.CodeOf(err) != escrow.Forbidden {
			t.Errorf("second answer: %v", err)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("the inside saw %d connections", n)
	}
}

// outside is a server that the allow list opens, at 127.0.0.1.
func outside(t *testing.T, h http.HandlerFunc) (*httptest.Server, egress.Allow) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	allow, err := egress.ParseAllow([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	return srv, allow
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	elsewhere, _ := outside(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "elsewhere ", r.Header.Get("Authorization"))
	})
	srv, allow := outside(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/end":
			fmt.Fprint(w, "arrived")
			return
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
			return
		}
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
	})
	dns := &names{answers: map[string][][]string{"inside.example": {{"169.254.169.254"}}, "outside.example": {{"127.0.0.1"}}}}
	g := egress.New(egress.Options{Allow: allow, Resolver: dns})
	same, any := g.Client(egress.ClientOptions{}), g.Client(egress.ClientOptions{AnyHost: true})
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())

	for _, c := range []struct {
		name   string
		client *http.Client
		to     string
		code   escrow.Code
		body   string
	}{
		{"same host", same, "/end", "", "arrived"},
		{"same host, absolute", same, srv.URL + "/end", "", "arrived"},
		{"other port", same, elsewhere.URL, escrow.Forbidden, ""},
		{"other name of the same address", same, "http://outside.example:" + port + "/end", escrow.Forbidden, ""},
		{"metadata", same, "http://169.254.169.254/latest/meta-data/", escrow.Forbidden, ""},
		{"metadata, any host", any, "http://169.254.169.254/latest/meta-data/", escrow.Forbidden, ""},
		{"metadata by name, any host", any, "http://inside.example/", escrow.Forbidden, ""},
		{"loopback by IPv6, any host", any, "http://[::1]:" + port + "/end", escrow.Forbidden, ""},
		{"any host", any, elsewhere.URL, "", "elsewhere "},
		{"file", any, "file:///etc/passwd", escrow.Forbidden, ""},
		{"gopher", any, "gopher://127.0.0.1:6379/_x", escrow.Forbidden, ""},
		{"loop", same, "/loop", escrow.Unavailable, ""},
	} {
		body, err := get(t, c.client, srv.URL+"/?to="+c.to)
		if escrow.CodeOf(err) != c.code || body != c.body {
			t.Errorf("%s: %q, %v (%s)", c.name, body, err, escrow.CodeOf(err))
		}
	}
}

func TestRedirectScheme(t *testing.T) {
	t.Parallel()
	var plain *httptest.Server
	tls := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, plain.URL, http.StatusFound)
	}))
	defer tls.Close()
	plain, allow := outside(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "in clear") })
	pool := x509.NewCertPool()
	pool.AddCert(tls.Certificate())
	g := egress.New(egress.Options{Allow: allow})
	if body, err := get(t, g.Client(egress.ClientOptions{AnyHost: true, RootCAs: pool}), tls.URL); escrow.CodeOf(err) != escrow.Forbidden {
		t.Errorf("from https to http: %q, %v", body, err)
	}
	if body, err := get(t, g.Client(egress.ClientOptions{AnyHost: true}), tls.URL); err == nil {
		t.Errorf("a certificate of nobody was taken: %q", body)
	}
}

// TestNoProxy: a proxy from the environment would make the connection in the
// guard's place.
func TestNoProxy(t *testing.T) {
	proxyPort, connections := inside(t)
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"} {
		t.Setenv(name, "http://127.0.0.1:"+proxyPort)
	}
	srv, allow := outside(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "direct") })
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	dns := &names{answers: map[string][][]string{"site.example": {{"127.0.0.1"}}}}
	body, err := get(t, egress.New(egress.Options{Allow: allow, Resolver: dns}).Client(egress.ClientOptions{}), "http://site.example:"+port)
	if err != nil || body != "direct" || connections.Load() != 0 {
		t.Errorf("%q, %v, proxy saw %d connections", body, err, connections.Load())
	}
}

// TestFallsBack: an address that does not answer does not keep the name from
// being reached, and a refused address does not keep the allowed one.
func TestFallsBack(t *testing.T) {
	t.Parallel()
	srv, allow := outside(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	allow2, err := egress.ParseAllow([]string{"127.0.0.1", "127.0.0.9"})
	if err != nil {
		t.Fatal(err)
	}
	dns := &names{answers: map[string][][]string{
		"dual.example":  {{"127.0.0.9", "127.0.0.1"}}, // nothing listens on the first
		"split.example": {{"10.0.0.1", "127.0.0.1"}},
		"dead.example":  {{"127.0.0.9"}},
	}}
	for _, c := range []struct {
		host  string
		allow egress.Allow
		code  escrow.Code
	}{{"dual.example", allow2, ""}, {"split.example", allow, ""}, {"dead.example", allow2, escrow.Unavailable}} {
		body, err := get(t, egress.New(egress.Options{Allow: c.allow, Resolver: dns}).Client(egress.ClientOptions{}), "http://"+c.host+":"+port)
		if escrow.CodeOf(err) != c.code || c.code == "" && body != "ok" {
			t.Errorf("%s: %q, %v", c.host, body, err)
		}
	}
}

// TestSilence: a peer that takes the connection and says nothing does not
// hold the caller longer than Idle.
func TestSilence(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, allow := outside(t, nil)
	g := egress.New(egress.Options{Allow: allow, Idle: 50 * time.Millisecond})
	start := time.Now()
	_, err = get(t, g.Client(egress.ClientOptions{}), "http://"+ln.Addr().String())
	if err == nil || time.Since(start) > 10*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	conn, err := g.DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err) {
		t.Errorf("read from a silent peer: %v", err)
	}
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

func TestDialRefusesOtherNetworks(t *testing.T) {
	t.Parallel()
	g := egress.New(egress.Options{})
	for _, network := range []string{"udp", "unix", "ip4:icmp", ""} {
		if _, err := g.DialContext(t.Context(), network, "8.8.8.8:53"); escrow.CodeOf(err) != escrow.Forbidden {
			t.Errorf("%s: %v", network, err)
		}
	}
	if _, err := g.DialContext(t.Context(), "tcp", "no-port"); escrow.CodeOf(err) != escrow.Invalid {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, allow := outside(t, nil)
	if _, err := egress.New(egress.Options{Allow: allow}).DialContext(ctx, "tcp", "127.0.0.1:1"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	srv, allow := outside(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 100 {
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<20)) // endless, for this test
		}
	})
	resp, err := egress.New(egress.Options{Allow: allow}).Client(egress.ClientOptions{}).Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := egress.ReadAll(resp.Body, 1000); !errors.Is(err, egress.ErrTooLarge) {
		t.Errorf("ReadAll: %v", err)
	}
	for n, want := range map[int64]error{9: egress.ErrTooLarge, 10: nil, 11: nil, 0: egress.ErrTooLarge} {
		data, err := io.ReadAll(egress.Limit(strings.NewReader("0123456789"), n))
		if !errors.Is(err, want) || int64(len(data)) != min(n, 10) {
			t.Errorf("limit %d: %q, %v", n, data, err)
		}
		if data, err := egress.ReadAll(strings.NewReader("0123456789"), n); !errors.Is(err, want) || (want == nil) != (len(data) == 10) {
			t.Errorf("ReadAll %d: %q, %v", n, data, err)
		}
	}
}
