package egress

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"holdfast/internal/escrow"
)

// ErrTooLarge is wrapped when an answer is longer than its reader allows.
var ErrTooLarge = errors.New("answer is too large")

// maxRedirects bounds a chain of redirects.
const maxRedirects = 5

// ClientOptions set up an HTTP client.
type ClientOptions struct {
	// AnyHost follows redirects to other hosts, for requests that carry no
	// secret. Otherwise a redirect must stay on the host, and may at most
	// turn http into https.
	AnyHost bool
	// Timeout bounds a whole exchange, body included; 0 sets no bound, for
	// streams, whose silence the guard's Idle ends.
	Timeout time.Duration
	// RootCAs replaces the system's certificate authorities when not nil.
	RootCAs *x509.CertPool
}

// Client returns an HTTP client whose every connection the guard makes: first
// requests, redirects and retries alike. It uses no proxy, since behind one
// the address could not be checked, keeps no cookies and does not inflate
// compressed bodies unseen.
func (g *Guard) Client(o ClientOptions) *http.Client {
	return &http.Client{
		Timeout: o.Timeout,
		Transport: &http.Transport{
			Proxy:                  nil,
			DialContext:            g.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs},
			TLSHandshakeTimeout:    20 * time.Second,
			ResponseHeaderTimeout:  g.idle,
			MaxResponseHeaderBytes: 256 << 10,
			DisableCompression:     true,
			ForceAttemptHTTP2:      true,
			IdleConnTimeout:        30 * time.Second,
			MaxIdleConnsPerHost:    4,
		},
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			return checkRedirect(next.URL, via[0].URL, len(via), o.AnyHost)
		},
	}
}

func checkRedirect(next, first *url.URL, hops int, anyHost bool) error {
	from, to := strings.ToLower(first.Scheme), strings.ToLower(next.Scheme)
	switch {
	case hops > maxRedirects:
		return escrow.Errorf(escrow.Unavailable, "%s redirects more than %d times", first.Hostname(), maxRedirects).
			WithHint("give the address it ends at")
	case to != "http" && to != "https", from == "https" && to != "https":
		return escrow.Errorf(escrow.Forbidden, "%s redirects to a %.10s address", first.Hostname(), to).
			WithHint("give the address it should be")
	case anyHost:
		return nil
	case canonicalHost(next.Hostname()) != canonicalHost(first.Hostname()),
		from == to && port(next) != port(first),
		from != to && (port(first) != "80" || port(next) != "443"):
		return escrow.Errorf(escrow.Forbidden, "%s redirects to another host, %.100q", first.Hostname(), next.Host).
			WithHint("if the repository has moved there, configure the new address")
	}
	return nil
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case strings.EqualFold(u.Scheme, "https"):
		return "443"
	}
	return "80"
}

// WithoutURL takes the request's URL out of an error of http.Client.Do. It
// may hold a secret, and what went wrong is in the error behind it.
func WithoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// ReadAll reads a body of at most limit bytes. A longer one gives an error
// that wraps [ErrTooLarge].
func ReadAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
	}
	return data, nil
}

// Limit passes on at most limit bytes of r. One byte more makes a Read fail
// with an error that wraps [ErrTooLarge], so that a cut never looks like an
// end.
func Limit(r io.Reader, limit int64) io.Reader {
	return &limited{r: r, left: limit, limit: limit}
}

type limited struct {
	r           io.Reader
	left, limit int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, l.limit)
	}
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return n - 1, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, l.limit)
	}
	return n, err
}
