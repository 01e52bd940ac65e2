package wire

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"

	"holdfast/internal/escrow"
)

const (
	service         = "git-upload-pack"
	advertisement   = "application/x-" + service + "-advertisement"
	requestType     = "application/x-" + service + "-request"
	resultType      = "application/x-" + service + "-result"
	refsSuffix      = "/info/refs"
	maxRedirects    = 5
	gzipAbove       = 1024 // bytes of request; what git itself does
	maxErrorMessage = 4096
)

// httpTransport is the smart HTTP transport: every request stands alone.
type httpTransport struct {
	ctx      context.Context
	client   *http.Client
	base     *url.URL
	endpoint Endpoint
	agent    string
	dog      *watchdog
	body     io.Closer // of the answer being read
}

func newHTTP(ctx context.Context, t *target, e Endpoint, cfg Config, dog *watchdog) *httpTransport {
	return &httpTransport{
		ctx: ctx, base: t.base, endpoint: e, agent: cfg.agent(), dog: dog,
		client: &http.Client{
			Transport:     cfg.HTTPTransport(),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// HTTPTransport returns a transport that reaches the network only through
// c.Dial and takes no proxy from the environment.
func (c Config) HTTPTransport() *http.Transport {
	c.Limits = c.Limits.withDefaults()
	return &http.Transport{
		DialContext:           func(ctx context.Context, _, addr string) (net.Conn, error) { return c.dial(ctx, addr) },
		TLSClientConfig:       c.tls(),
		TLSHandshakeTimeout:   c.Limits.Dial,
		ResponseHeaderTimeout: c.Limits.Idle,
		ForceAttemptHTTP2:     true,
		DisableCompression:    true, // packs and large files are compressed; nothing else is large
		IdleConnTimeout:       c.Limits.Idle,
	}
}

func (h *httpTransport) greeting() (io.Reader, error) {
	for range maxRedirects {
		u := *h.base
		u.Path += refsSuffix
		if u.RawPath != "" {
			u.RawPath += refsSuffix
		}
		u.RawQuery = "service=" + service
		req, err := http.NewRequestWithContext(h.ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return nil, err
		}
		resp, err := h.do(req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode >= 300 && resp.StatusCode < 400 {
			resp.Body.Close()
			if err := h.follow(resp); err != nil {
				return nil, err
			}
			continue
		}
		body, err := h.accept(resp, advertisement)
		if err != nil {
			return nil, err
		}
		return h.skipService(body)
	}
	return nil, fmt.Errorf("%w: more than %d redirects", errProtocol, maxRedirects)
}

// follow moves the base to where the server says the repository is, if that
// is on the same host, port and scheme. Everything else is refused: the token
// belongs to the host that was configured, and only a person can say that it
// goes to another.
func (h *httpTransport) follow(resp *http.Response) error {
	to, err := resp.Location()
	if err != nil {
		return fmt.Errorf("%w: redirect (status %d) without a place to go", errProtocol, resp.StatusCode)
	}
	if to.Scheme != h.base.Scheme || !strings.EqualFold(to.Host, h.base.Host) {
		return invalid("the server sends us to another address, %s://%s, which is not followed", printable(to.Scheme), printable(to.Host)).
			WithHint("credentials go to the configured host only; if the repository has moved, change the source's URL")
	}
	path, ok := strings.CutSuffix(to.EscapedPath(), refsSuffix)
	if !ok || path == "" || to.User != nil {
		return fmt.Errorf("%w: redirect to something that is not a repository", errProtocol)
	}
	plain, err := url.PathUnescape(path)
	if err != nil || strings.ContainsFunc(plain, isControl) {
		return fmt.Errorf("%w: redirect to a path that is not one", errProtocol)
	}
	h.base = &url.URL{Scheme: h.base.Scheme, Host: h.base.Host, Path: plain, RawPath: path}
	return nil
}

// skipService takes the line "# service=git-upload-pack" off, which servers
// send over HTTP only, and some not with protocol v2.
func (h *httpTransport) skipService(body io.Reader) (io.Reader, error) {
	head := make([]byte, 4, 64)
	if _, err := io.ReadFull(body, head); err != nil {
		return nil, err
	}
	const first = "001e# service=" + service + "\n"
	if string(head) != first[:4] {
		return io.MultiReader(bytes.NewReader(head), body), nil
	}
	rest := make([]byte, len(first)-4)
	if _, err := io.ReadFull(body, rest); err != nil {
		return nil, err
	}
	if string(rest) != first[4:] {
		return io.MultiReader(bytes.NewReader(head), bytes.NewReader(rest), body), nil
	}
	if _, err := io.ReadFull(body, head); err != nil {
		return nil, err
	}
	if string(head) != "0000" {
		return nil, fmt.Errorf("%w: no flush after the service line", errProtocol)
	}
	return body, nil
}

func (h *httpTransport) request(write func(io.Writer) error) (io.Reader, error) {
	var plain, packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	small := &overflow{buf: &plain, limit: gzipAbove, next: zip}
	if err := write(small); err != nil {
		return nil, err
	}
	body := plain.Bytes()
	if small.spilled {
		if err := zip.Close(); err != nil {
			return nil, err
		}
		body = packed.Bytes()
	}
	u := *h.base
	u.Path += "/" + service
	if u.RawPath != "" {
		u.RawPath += "/" + service
	}
	req, err := http.NewRequestWithContext(h.ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", requestType)
	req.Header.Set("Accept", resultType)
	if small.spilled {
		req.Header.Set("Content-Encoding", "gzip")
	}
	resp, err := h.do(req)
	if err != nil {
		return nil, err
	}
	return h.accept(resp, resultType)
}

// overflow keeps a small request as it is and hands a larger one to next.
type overflow struct {
	buf     *bytes.Buffer
	limit   int
	next    io.Writer
	spilled bool
}

func (o *overflow) Write(p []byte) (int, error) {
	if !o.spilled && o.buf.Len()+len(p) <= o.limit {
		return o.buf.Write(p)
	}
	if !o.spilled {
		o.spilled = true
		if _, err := o.buf.WriteTo(o.next); err != nil {
			return 0, err
		}
	}
	return o.next.Write(p)
}

func (h *httpTransport) do(req *http.Request) (resp *http.Response, err error) {
	if h.body != nil {
		h.body.Close()
		h.body = nil
	}
	req.Header.Set("User-Agent", h.agent)
	req.Header.Set("Git-Protocol", "version=2")
	if h.endpoint.Token != "" {
		req.SetBasicAuth(h.endpoint.userName(), string(h.endpoint.Token))
	}
	h.dog.guard(func() { resp, err = h.client.Do(req) })
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // its text repeats the URL
	}
	return resp, err
}

// accept turns an answer into its body, or into the error it stands for.
func (h *httpTransport) accept(resp *http.Response, want string) (io.Reader, error) {
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, h.refused(resp)
	}
	got, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || got != want {
		resp.Body.Close()
		return nil, fmt.Errorf("%w: the answer has Content-Type %.80q, want %s", errProtocol, printable(resp.Header.Get("Content-Type")), want)
	}
	h.body = resp.Body
	return h.dog.watch(resp.Body), nil
}

func (h *httpTransport) refused(resp *http.Response) error {
	said := ""
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "text/plain" {
		text, _ := io.ReadAll(io.LimitReader(h.dog.watch(resp.Body), maxErrorMessage))
		if said = printable(string(text)); said != "" {
			said = " (the server said: " + said + ")"
		}
	}
	status := fmt.Sprintf("HTTP status %d", resp.StatusCode)
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized && h.endpoint.Token == "":
		return escrow.Errorf(escrow.Unauthenticated, "%s: the server asks for credentials%s", status, said).WithHint("give the source a token that may read the repository")
	case code == http.StatusUnauthorized:
		return escrow.Errorf(escrow.Unauthenticated, "%s: the server does not take the token%s", status, said).WithHint("the token is wrong, expired or revoked; give the source a new one")
	case code == http.StatusForbidden:
		return escrow.Errorf(escrow.Forbidden, "%s: the server does not allow reading the repository%s", status, said).WithHint("give the token the right to read the repository")
	case code == http.StatusNotFound, code == http.StatusGone:
		return escrow.Errorf(escrow.NotFound, "%s: no such repository%s", status, said).WithHint("check the URL; servers also answer so when the token may not see the repository")
	case code == http.StatusTooManyRequests, code >= 500:
		return escrow.Errorf(escrow.Unavailable, "%s: the server cannot answer now%s", status, said).WithHint("try again later")
	}
	return fmt.Errorf("%w: %s%s", errProtocol, status, said)
}

func (h *httpTransport) maxLines(hexSize int) int { return maxLines(hexSize) }
func (h *httpTransport) explain(err error) error  { return err }

func (h *httpTransport) close() {
	if h.body != nil {
		h.body.Close()
	}
	h.client.CloseIdleConnections()
}

// tls returns the configured settings with a floor below them.
func (c Config) tls() *tls.Config {
	if c.TLS == nil {
		return &tls.Config{MinVersion: tls.VersionTLS12}
	}
	t := c.TLS.Clone()
	t.MinVersion = max(t.MinVersion, tls.VersionTLS12)
	return t
}
