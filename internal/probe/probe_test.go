package probe_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"holdfast/internal/intake/egress"
	"holdfast/internal/probe"
	"holdfast/internal/sla"
)

// names resolves what a test says and nothing else.
type names map[string][]string

func (n names) LookupNetIP(_ context.Context, network, host string) (out []netip.Addr, err error) {
	for _, s := range n[strings.TrimSuffix(host, ".")] {
		a := netip.MustParseAddr(s)
		if network == "ip" || (network == "ip4") == a.Is4() {
			out = append(out, a)
		}
	}
	if len(out) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return out, nil
}

func guard(t testing.TB, n names, allow ...string) *egress.Guard {
	t.Helper()
	a, err := egress.ParseAllow(append([]string{"127.0.0.1", "::1"}, allow...))
	if err != nil {
		t.Fatal(err)
	}
	return egress.New(egress.Options{Allow: a, Resolver: n})
}

func checked(t testing.TB, target probe.Target) probe.Target {
	t.Helper()
	out, err := target.Checked()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func check(t testing.TB, o probe.Options, target probe.Target) probe.Result {
	t.Helper()
	if o.Network == nil {
		o.Network = guard(t, nil)
	}
	return probe.New(o).Check(t.Context(), checked(t, target))
}

func must(t testing.TB, r probe.Result, state sla.State, reason probe.Reason) {
	t.Helper()
	if r.State != state || r.Reason != reason {
		t.Errorf("%s (%s: %s), want %s (%s)", r.State, r.Reason, r.Error, state, reason)
	}
}

func serve(t testing.TB, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestAssertions(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Version", "4.2")
		w.Header().Set("Set-Cookie", "session=CANARY")
		w.Header().Set("X-Auth-Token", "CANARY")
		fmt.Fprint(w, `{"status":"ok","db":{"up":true,"lag":3},"parts":[{"n":"a"},{"n":"b"}]}`)
	})
	for _, tt := range []struct {
		name   string
		expect probe.Expect
		reason probe.Reason
	}{
		{"nothing", probe.Expect{}, ""},
		{"status", probe.Expect{Status: []string{"200-204"}}, ""},
		{"other status", probe.Expect{Status: []string{"201", "300-399"}}, probe.BadStatus},
		{"header", probe.Expect{Headers: []probe.HeaderRule{{Name: "x-version"}}}, ""},
		{"header holds", probe.Expect{Headers: []probe.HeaderRule{{Name: "x-version", TextRule: probe.TextRule{Matches: `^4\.`}}}}, ""},
		{"header differs", probe.Expect{Headers: []probe.HeaderRule{{Name: "x-version", TextRule: probe.TextRule{Contains: "5"}}}}, probe.BadHeader},
		{"no header", probe.Expect{Headers: []probe.HeaderRule{{Name: "x-none"}}}, probe.BadHeader},
		{"body", probe.Expect{Body: []probe.TextRule{{Contains: `"ok"`}, {Lacks: "error"}, {Matches: `lag":\d`}}}, ""},
		{"body lacks", probe.Expect{Body: []probe.TextRule{{Lacks: "ok"}}}, probe.BadBody},
		{"json", probe.Expect{JSON: []probe.JSONRule{{Path: "$.db.up", Equals: json.RawMessage("true")}, {Path: "$.parts[?@.n=='b']"}, {Path: "$.db.lag", Equals: json.RawMessage("3")}}}, ""},
		{"json differs", probe.Expect{JSON: []probe.JSONRule{{Path: "$.status", Equals: json.RawMessage(`"down"`)}}}, probe.BadBody},
		{"json not there", probe.Expect{JSON: []probe.JSONRule{{Path: "$.nothing"}}}, probe.BadBody},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := check(t, probe.Options{}, probe.Target{Kind: probe.HTTP, URL: url + "/health?token=CANARY", Expect: tt.expect})
			if tt.reason == "" {
				must(t, r, sla.Up, "")
			} else {
				must(t, r, sla.Down, tt.reason)
			}
			out, _ := json.Marshal(r)
			if strings.Contains(string(out), "CANARY") {
				t.Errorf("a secret is in the evidence: %s", out)
			}
			if len(r.Hops) != 1 || r.Hops[0].Status != 200 || !strings.HasPrefix(r.Address, "127.0.0.1:") || r.TookMS <= 0 || r.Hops[0].BodySHA == "" {
				t.Errorf("the record is not whole: %+v", r)
			}
		})
	}
}

func TestSecretsStayAtTheOrigin(t *testing.T) {
	var other string
	got := make(chan http.Header, 4)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got <- r.Header.Clone()
		w.Header().Set("Set-Cookie", "seen=yes; Path=/")
		switch r.URL.Path {
		case "/":
			http.Redirect(w, r, "/same?ticket=CANARY", http.StatusFound)
		case "/same":
			if c, err := r.Cookie("seen"); err != nil || c.Value != "yes" {
				t.Error("the cookie of the hop before is not sent")
			}
			http.Redirect(w, r, other, http.StatusMovedPermanently)
		}
	})
	other = serve(t, func(w http.ResponseWriter, r *http.Request) { got <- r.Header.Clone() })
	target := probe.Target{Kind: probe.HTTP, URL: url, Headers: map[string]string{"Authorization": "Bearer CANARY"}}
	r := check(t, probe.Options{}, target)
	must(t, r, sla.Up, "")
	if a, b, c := <-got, <-got, <-got; a.Get("Authorization") == "" || b.Get("Authorization") == "" || c.Get("Authorization") != "" {
		t.Errorf("headers: %v, %v, %v", a, b, c)
	}
	if len(r.Hops) != 3 || r.Hops[0].Status != 302 || r.Hops[1].Status != 301 || r.Hops[2].Status != 200 {
		t.Errorf("hops: %+v", r.Hops)
	}
	if out, _ := json.Marshal(r); strings.Contains(string(out), "CANARY") {
		t.Errorf("a secret is in the evidence: %s", out)
	}
	if out, _ := json.Marshal(checked(t, target).Shown()); strings.Contains(string(out), "CANARY") {
		t.Errorf("a secret is shown: %s", out)
	}
	target.Redirects = "failed"
	must(t, check(t, probe.Options{}, target), sla.Down, probe.BadRedirect)
}

func TestRedirects(t *testing.T) {
	to := func(where string) string {
		return serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", where)
			w.WriteHeader(http.StatusFound)
		})
	}
	for name, where := range map[string]string{
		"loop": "/again", "private network": "http://10.1.2.3/", "metadata": "http://169.254.169.254/latest", "file": "file:///etc/passwd", "name in it": "http://a:b@127.0.0.1/",
		"number": "http://2130706433/", "nothing": "http:///x",
	} {
		t.Run(name, func(t *testing.T) {
			r := check(t, probe.Options{}, probe.Target{Kind: probe.HTTP, URL: to(where), Timeout: probe.Duration(3 * time.Second)})
			if r.State != sla.Down || r.Reason != probe.BadRedirect && r.Reason != probe.BadProtocol && r.Reason != probe.Unreachable {
				t.Errorf("%s (%s: %s)", r.State, r.Reason, r.Error)
			}
			if strings.Contains(r.Error, "10.1.2.3") || strings.Contains(r.Error, "169.254") {
				t.Errorf("the address is told: %s", r.Error)
			}
		})
	}
	// The address itself is not the target's doing but the operator's rule.
	must(t, check(t, probe.Options{}, probe.Target{Kind: probe.HTTP, URL: "http://10.1.2.3/"}), sla.Unknown, probe.Forbidden)
	must(t, check(t, probe.Options{Network: guard(t, names{"evil.example": {"10.0.0.1"}})}, probe.Target{Kind: probe.TCP, Address: "evil.example:80"}), sla.Unknown, probe.Forbidden)
}

func TestHostileBodies(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	zeros := make([]byte, 1<<20)
	for range 64 {
		z.Write(zeros)
	}
	z.Close()
	packed := func(text string) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		io.WriteString(z, text)
		z.Close()
		return b.Bytes()
	}
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/endless":
			for {
				if _, err := w.Write(zeros); err != nil {
					return
				}
			}
		case "/drip":
			for r.Context().Err() == nil {
				fmt.Fprint(w, "x")
				w.(http.Flusher).Flush()
				time.Sleep(20 * time.Millisecond)
			}
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(bomb.Bytes())
		case "/good":
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(packed("all is well"))
		case "/short":
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(packed("all is well")[:20])
		case "/lie":
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, "not packed")
		case "/other":
			w.Header().Set("Content-Encoding", "br")
			io.WriteString(w, "packed")
		case "/cut":
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "only this")
		}
	})
	well := []probe.TextRule{{Contains: "all is well"}}
	for _, tt := range []struct {
		path   string
		body   []probe.TextRule
		state  sla.State
		reason probe.Reason
	}{
		{"/endless", nil, sla.Up, ""},
		{"/endless", well, sla.Down, probe.BadBody},
		{"/endless", []probe.TextRule{{Lacks: "error"}}, sla.Down, probe.BadBody}, // nobody saw all of it
		{"/drip", nil, sla.Down, probe.TimedOut},
		{"/bomb", well, sla.Down, probe.BadBody},
		{"/good", well, sla.Up, ""},
		{"/short", nil, sla.Down, probe.BadProtocol},
		{"/lie", nil, sla.Down, probe.BadProtocol},
		{"/other", nil, sla.Down, probe.BadProtocol},
		{"/cut", nil, sla.Down, probe.BadProtocol},
	} {
		r := check(t, probe.Options{}, probe.Target{Kind: probe.HTTP, URL: url + tt.path, Timeout: probe.Duration(time.Second), Expect: probe.Expect{Body: tt.body}})
		if r.State != tt.state || r.Reason != tt.reason {
			t.Errorf("%s %v: %s (%s: %s), want %s (%s)", tt.path, tt.body, r.State, r.Reason, r.Error, tt.state, tt.reason)
		}
		if n := r.Hops[0].BodyBytes; n > 1<<20 {
			t.Errorf("%s: %d bytes were kept", tt.path, n)
		}
	}
}

func TestSilentServers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := c.Read(make([]byte, 1024)); err != nil { // an answer before there is a question is another fault
					return
				}
				io.WriteString(c, "HTTP/1.1 200 OK\r\n")
				for i := 0; ; i++ { // headers that never end
					if _, err := fmt.Fprintf(c, "X-%d: slow\r\n", i); err != nil {
						return
					}
					time.Sleep(20 * time.Millisecond)
				}
			}()
		}
	}()
	slow := probe.Target{Kind: probe.HTTP, URL: "http://" + l.Addr().String(), Timeout: probe.Duration(300 * time.Millisecond)}
	must(t, check(t, probe.Options{}, slow), sla.Down, probe.TimedOut)
	must(t, check(t, probe.Options{}, probe.Target{Kind: probe.TCP, Address: l.Addr().String()}), sla.Up, "")
	must(t, check(t, probe.Options{}, probe.Target{Kind: probe.TLS, Address: l.Addr().String(), Timeout: probe.Duration(time.Second)}), sla.Down, probe.BadTLS)
	must(t, check(t, probe.Options{}, probe.Target{Kind: probe.TCP, Address: closedPort(t)}), sla.Down, probe.Refused)
	must(t, check(t, probe.Options{}, probe.Target{Kind: probe.HTTP, URL: "http://no.example/"}), sla.Down, probe.NoName)
}

func closedPort(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestFamilies is the promise that any address form works: failures.md #19.
func TestFamilies(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {})
	port := url[strings.LastIndexByte(url, ':')+1:]
	n := names{"both.example": {"::1", "127.0.0.1"}, "four.example": {"127.0.0.1"}, "xn--bcher-kva.example": {"127.0.0.1"}}
	o := probe.Options{Network: guard(t, n)}
	r := check(t, o, probe.Target{Kind: probe.HTTP, URL: "http://both.example:" + port})
	must(t, r, sla.Up, "")
	if len(r.Notes) != 1 || !strings.HasPrefix(r.Notes[0], "IPv6 failed: ") || r.Address != "127.0.0.1:"+port {
		t.Errorf("notes %q, address %s", r.Notes, r.Address)
	}
	only := probe.Target{Kind: probe.HTTP, URL: "http://both.example:" + port, Family: "6"}
	if r = check(t, o, only); r.State != sla.Down {
		t.Errorf("IPv6 only: %+v", r)
	}
	only.Family = "4"
	must(t, check(t, o, only), sla.Up, "")
	r = check(t, o, probe.Target{Kind: probe.HTTP, URL: "http://four.example:" + port})
	must(t, r, sla.Up, "")
	if len(r.Notes) != 0 {
		t.Errorf("a name without IPv6 has notes: %q", r.Notes)
	}
	must(t, check(t, o, probe.Target{Kind: probe.HTTP, URL: "http://Bücher.example:" + port}), sla.Up, "")

	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("this machine has no IPv6")
	}
	defer l.Close()
	_, port6, _ := net.SplitHostPort(l.Addr().String())
	n["six.example"] = []string{"::1"}
	for _, address := range []string{"[::1]:" + port6, "six.example:" + port6, "both.example:" + port6} {
		r := check(t, o, probe.Target{Kind: probe.TCP, Address: address})
		must(t, r, sla.Up, "")
		if r.Address != "[::1]:"+port6 {
			t.Errorf("%s: address %s", address, r.Address)
		}
	}
}

func TestOwnOutage(t *testing.T) {
	up := serve(t, func(w http.ResponseWriter, r *http.Request) {})
	reference := func(url string) []probe.Target {
		return []probe.Target{checked(t, probe.Target{Kind: probe.HTTP, URL: url}), checked(t, probe.Target{Kind: probe.TCP, Address: closedPort(t)})}
	}
	gone := probe.Target{Kind: probe.TCP, Address: closedPort(t)}
	must(t, check(t, probe.Options{References: reference(up)}, gone), sla.Down, probe.Refused)
	r := check(t, probe.Options{References: reference("http://" + closedPort(t))}, gone)
	must(t, r, sla.Unknown, probe.Offline)
	if len(r.Notes) == 0 || !strings.Contains(r.Notes[0], "refused") {
		t.Errorf("notes %q do not say what was seen", r.Notes)
	}
	// A wrong answer is an answer: no network is gone.
	wrong := probe.Target{Kind: probe.HTTP, URL: up, Expect: probe.Expect{Status: []string{"500"}}}
	must(t, check(t, probe.Options{References: reference("http://" + closedPort(t))}, wrong), sla.Down, probe.BadStatus)
}

// authority makes certificates.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	der  []byte
	key  *ecdsa.PrivateKey
}

func issue(t testing.TB, by *authority, name string, ends time.Time, ca bool, key *ecdsa.PrivateKey) *authority {
	t.Helper()
	if key == nil {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	c := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: ends.AddDate(-20, 0, 0), NotAfter: ends, IsCA: ca, BasicConstraintsValid: true}
	if ca {
		c.KeyUsage = x509.KeyUsageCertSign
	} else {
		c.IPAddresses, c.DNSNames = []net.IP{net.IPv4(127, 0, 0, 1)}, []string{"good.example"}
		c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	parent, signer := c, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{t, parsed, der, key}
}

func (a *authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.der}))
}

func listenTLS(t testing.TB, leaf *authority, rest ...*authority) string {
	chain := [][]byte{leaf.der}
	for _, a := range rest {
		chain = append(chain, a.der)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: chain, PrivateKey: leaf.key}}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "https://")
}

// TestCertificateDays is failures.md #18: an expired root that is sent but on
// no path does not count, and what ends first is named.
func TestCertificateDays(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	in := func(days int) time.Time { return now.AddDate(0, 0, days).Add(time.Hour) }
	o := probe.Options{Now: func() time.Time { return now }}
	root := issue(t, nil, "root", in(3000), true, nil)
	old := issue(t, nil, "root", in(-635), true, root.key) // the same name and key, expired
	middle := issue(t, root, "intermediate", in(400), true, nil)
	address := listenTLS(t, issue(t, middle, "leaf", in(71), false, nil), middle, old)
	for _, target := range []probe.Target{{Kind: probe.TLS, Address: address, CA: root.pem()}, {Kind: probe.HTTP, URL: "https://" + address, CA: root.pem()}} {
		r := check(t, o, target)
		must(t, r, sla.Up, "")
		if r.Cert == nil || r.Cert.Days != 71 || r.Cert.Subject != "CN=leaf" {
			t.Errorf("%s: %+v", target.Kind, r.Cert)
		}
		target.Expect.CertDays = 72
		must(t, check(t, o, target), sla.Down, probe.BadCert)
	}

	weak := issue(t, root, "weak intermediate", in(3), true, nil)
	r := check(t, o, probe.Target{Kind: probe.TLS, Address: listenTLS(t, issue(t, weak, "leaf", in(71), false, nil), weak), CA: root.pem()})
	must(t, r, sla.Up, "")
	if r.Cert == nil || r.Cert.Days != 3 || r.Cert.Subject != "CN=weak intermediate" {
		t.Errorf("the intermediate: %+v", r.Cert)
	}

	expired := listenTLS(t, issue(t, root, "expired", in(-2), false, nil))
	r = check(t, o, probe.Target{Kind: probe.HTTP, URL: "https://" + expired, CA: root.pem()})
	must(t, r, sla.Down, probe.BadCert)
	if r.Cert == nil || r.Cert.Days != -2 {
		t.Errorf("the expired one: %+v", r.Cert)
	}
	must(t, check(t, o, probe.Target{Kind: probe.HTTP, URL: "https://" + address}), sla.Down, probe.BadCert) // of an authority nobody knows
	n := names{"bad.example": {"127.0.0.1"}}
	_, port, _ := net.SplitHostPort(address)
	o.Network = guard(t, n)
	must(t, check(t, o, probe.Target{Kind: probe.TLS, Address: "bad.example:" + port, CA: root.pem()}), sla.Down, probe.BadCert)

	// Over a redirect, the lowest of every hop.
	short := listenTLS(t, issue(t, root, "short", in(5), false, nil))
	first := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "https://"+short, http.StatusFound) })
	r = check(t, probe.Options{Now: o.Now}, probe.Target{Kind: probe.HTTP, URL: first, CA: root.pem()})
	must(t, r, sla.Up, "")
	if r.Cert == nil || r.Cert.Days != 5 {
		t.Errorf("over hops: %+v", r.Cert)
	}
}

func TestICMP(t *testing.T) {
	r := check(t, probe.Options{}, probe.Target{Kind: probe.ICMP, Address: "127.0.0.1", Timeout: probe.Duration(time.Second)})
	if r.State != sla.Up && (r.State != sla.Unknown || r.Reason != probe.NotPermitted) {
		t.Errorf("%s (%s: %s)", r.State, r.Reason, r.Error)
	}
	must(t, check(t, probe.Options{}, probe.Target{Kind: probe.ICMP, Address: "10.1.2.3"}), sla.Unknown, probe.Forbidden)
}

func TestConnections(t *testing.T) {
	from := map[string]bool{}
	url := serve(t, func(w http.ResponseWriter, r *http.Request) { from[r.RemoteAddr] = true })
	p := probe.New(probe.Options{Network: guard(t, nil)})
	target := checked(t, probe.Target{Kind: probe.HTTP, URL: url})
	for range 3 {
		must(t, p.Check(t.Context(), target), sla.Up, "")
	}
	if len(from) != 3 {
		t.Errorf("%d connections for 3 checks", len(from))
	}
	target.Reuse = true
	clear(from)
	for range 3 {
		must(t, p.Check(t.Context(), target), sla.Up, "")
	}
	if len(from) != 1 {
		t.Errorf("%d connections for 3 checks that keep it", len(from))
	}
}
