package probe

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptrace"
	"net/url"
	"strings"
	"time"

	"crypto/tls"
)

// dialKey carries the dialing of one request to the transport.
type dialKey struct{}

type request struct {
	family string
	seen   *dialing
}

// newTransport speaks HTTP/1.1, so that a connection belongs to one check.
func (p *Prober) newTransport(roots *x509.CertPool, keep bool) *http.Transport {
	return &http.Transport{
		Proxy: nil, // behind one the address could not be checked
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			q, ok := ctx.Value(dialKey{}).(request)
			if !ok {
				return nil, errors.New("a request that nobody made")
			}
			return p.dial(ctx, address, q.family, q.seen)
		},
		TLSClientConfig:        p.tlsConfig(roots, ""),
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{},
		DisableKeepAlives:      !keep,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
		IdleConnTimeout:        5 * time.Minute,
		MaxIdleConnsPerHost:    1,
		WriteBufferSize:        2 << 10,
	}
}

// maxKept bounds the targets that keep a connection.
const maxKept = 1000

func (p *Prober) transportOf(t Target) *http.Transport {
	if t.CA == "" && !t.Reuse {
		return p.transport
	}
	if !t.Reuse {
		return p.newTransport(p.rootsOf(t), false)
	}
	sum := sha256.Sum256([]byte(t.URL + "\x00" + t.CA + "\x00" + t.Family))
	key := string(sum[:])
	p.mu.Lock()
	defer p.mu.Unlock()
	tr, ok := p.kept[key]
	if !ok {
		if len(p.kept) >= maxKept {
			for old, gone := range p.kept {
				gone.CloseIdleConnections()
				delete(p.kept, old)
				break
			}
		}
		tr = p.newTransport(p.rootsOf(t), true)
		p.kept[key] = tr
	}
	return tr
}

// checkHTTP makes the request and follows redirects, each with a record of its
// own.
func (p *Prober) checkHTTP(ctx context.Context, t Target, r *Result) {
	u, err := url.Parse(t.URL)
	if err != nil {
		r.fail(Broken, "the url cannot be read")
		return
	}
	first := u
	tr := p.transportOf(t)
	method, body := t.Method, t.Body
	var jar http.CookieJar
	for hops := 0; ; hops++ {
		req, err := http.NewRequestWithContext(ctx, method, u.String(), strings.NewReader(body))
		if err != nil {
			r.fail(Broken, "no request can be made of it")
			return
		}
		if body == "" {
			req.Body, req.ContentLength = http.NoBody, 0
		}
		req.Header.Set("User-Agent", p.agent)
		req.Header.Set("Accept-Encoding", "gzip")
		if u.Scheme == first.Scheme && u.Host == first.Host { // never to another origin: they may hold secrets
			for name, value := range t.Headers {
				if strings.EqualFold(name, "host") {
					req.Host = value
					continue
				}
				req.Header.Set(name, value)
			}
		}
		if jar != nil {
			for _, c := range jar.Cookies(u) {
				req.AddCookie(c)
			}
		}
		resp, text, cut, ok := p.hop(ctx, tr, req, t, r)
		if !ok {
			if r.Reason == Forbidden && hops > 0 {
				// Where a target sends its visitors is the target's doing.
				r.State, r.Reason, r.Error = "up", "", ""
				r.fail(BadRedirect, "it redirects to an address that may not be gone to")
			}
			return
		}
		location := resp.Header.Get("Location")
		redirect := location != "" && (resp.StatusCode == 301 || resp.StatusCode == 302 || resp.StatusCode == 303 || resp.StatusCode == 307 || resp.StatusCode == 308)
		if !redirect || wants(t.Expect.Status, resp.StatusCode) && len(t.Expect.Status) > 0 {
			r.days(t)
			p.assess(t, resp, text, cut, r)
			return
		}
		if t.Redirects == "failed" {
			r.fail(BadRedirect, fmt.Sprintf("status %d points elsewhere", resp.StatusCode))
			return
		}
		if hops == maxRedirects {
			r.fail(BadRedirect, fmt.Sprintf("more than %d redirects", maxRedirects))
			return
		}
		next, err := u.Parse(location)
		if err != nil || next.Scheme != "http" && next.Scheme != "https" || next.Hostname() == "" || next.User != nil {
			r.fail(BadRedirect, "it redirects to what is no address of the web")
			return
		}
		host, err := asciiHost(next.Hostname())
		if err != nil {
			r.fail(BadRedirect, "it redirects to what is no host")
			return
		}
		if port := next.Port(); port != "" {
			next.Host = net.JoinHostPort(host, port)
		} else if next.Host = host; strings.Contains(host, ":") {
			next.Host = "[" + host + "]"
		}
		next.Fragment = ""
		if u.Scheme == "https" && next.Scheme == "http" {
			r.Notes = append(r.Notes, fmt.Sprintf("hop %d leads from https to http", hops+1))
		}
		if cookies := resp.Cookies(); len(cookies) > 0 {
			if jar == nil {
				jar, _ = cookiejar.New(nil)
			}
			jar.SetCookies(u, cookies)
		}
		if resp.StatusCode <= 303 && method != http.MethodHead && method != http.MethodGet {
			method, body = http.MethodGet, ""
		}
		u = next
	}
}

// hop makes one request and reads its answer. It reports whether there is one.
func (p *Prober) hop(ctx context.Context, tr *http.Transport, req *http.Request, t Target, r *Result) (resp *http.Response, text []byte, cut, ok bool) {
	seen := &dialing{}
	began := time.Now()
	h := Hop{URL: short(shownURL(req.URL.String()), 500)}
	var tlsBegan time.Time
	trace := &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) {
			h.Address = i.Conn.RemoteAddr().String()
			if !i.Reused && tlsBegan.IsZero() {
				h.ConnectMS = ms(time.Since(began))
			}
		},
		TLSHandshakeStart:    func() { tlsBegan = time.Now(); h.ConnectMS = ms(tlsBegan.Sub(began)) },
		TLSHandshakeDone:     func(tls.ConnectionState, error) { h.TLSMS = ms(time.Since(tlsBegan)) },
		GotFirstResponseByte: func() { h.FirstMS = ms(time.Since(began)) },
	}
	defer func() {
		r.Notes = append(r.Notes, seen.finish()...)
		if h.Address == "" {
			h.Address = seen.address
		}
		if h.Address != "" {
			r.Address = h.Address
		}
		r.Hops = append(r.Hops, h)
	}()
	inner := context.WithValue(httptrace.WithClientTrace(ctx, trace), dialKey{}, request{t.Family, seen})
	resp, err := tr.RoundTrip(req.WithContext(inner))
	if err != nil {
		h.Cert = refusedCert(err, p.now())
		r.take(h.Cert)
		r.fail(classify(ctx, err))
		return nil, nil, false, false
	}
	defer resp.Body.Close()
	h.Status = resp.StatusCode
	h.Headers = kept(resp.Header)
	if resp.TLS != nil {
		h.TLS = tls.VersionName(resp.TLS.Version)
		h.Cert = lowest(resp.TLS.VerifiedChains, p.now())
		r.take(h.Cert)
	}
	text, cut, err = readBody(resp, t.MaxBody)
	sum := sha256.Sum256(text)
	h.BodyBytes, h.BodySHA = int64(len(text)), hex.EncodeToString(sum[:])
	if err != nil {
		why, what := classify(ctx, err)
		r.fail(why, "after the headers: "+what)
		return nil, nil, false, false
	}
	if cut {
		r.Notes = append(r.Notes, fmt.Sprintf("only the first %d bytes of the body were read", t.MaxBody))
	}
	return resp, text, cut, true
}

// readBody reads at most limit bytes, inflated, whatever is sent.
func readBody(resp *http.Response, limit int) (text []byte, cut bool, err error) {
	// What comes over the wire is bounded as well: packed bytes can be many
	// while they inflate to nothing.
	raw := &io.LimitedReader{R: resp.Body, N: int64(limit) + 1<<16}
	var from io.Reader = raw
	switch encoding := resp.Header.Get("Content-Encoding"); strings.ToLower(encoding) {
	case "", "identity":
	case "gzip", "x-gzip":
		if resp.Request.Method == http.MethodHead || resp.ContentLength == 0 {
			return nil, false, nil
		}
		z, err := gzip.NewReader(raw)
		if err == io.EOF {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, fmt.Errorf("the body is said to be gzip and is not: %w", err)
		}
		from = z
	default:
		return nil, false, fmt.Errorf("the body is packed as %.40q, which was not asked for", encoding)
	}
	text, err = io.ReadAll(io.LimitReader(from, int64(limit)+1))
	if len(text) > limit {
		return text[:limit], true, nil
	}
	if raw.N <= 0 {
		return text, true, nil
	}
	return text, false, err
}

// keptHeaders bounds what is kept of the headers of an answer.
const keptHeaders = 40

// kept returns the headers without those that may carry secrets.
func kept(h http.Header) map[string][]string {
	out := make(map[string][]string, min(len(h), keptHeaders))
	for name, values := range h {
		if len(out) == keptHeaders || secretive(name) {
			continue
		}
		name = clean(name)
		for _, v := range values[:min(len(values), 3)] {
			if name == "Location" || name == "Content-Location" || name == "Refresh" || name == "Link" {
				v = shownURL(v)
			}
			out[name] = append(out[name], clean(v))
		}
	}
	return out
}

// secretive reports whether a header may carry a secret.
func secretive(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"cookie", "auth", "token", "secret", "key", "session", "csrf", "xsrf", "signature", "credential", "passw", "jwt"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
