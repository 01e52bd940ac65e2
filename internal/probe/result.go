package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"syscall"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/sla"
)

// Reason is why a check did not find its target up.
type Reason string

// The reasons. The last four say something about the prober, not the target.
const (
	TimedOut     Reason = "timeout"
	NoName       Reason = "name"        // the name leads to no address
	Refused      Reason = "refused"     // nothing listens
	Unreachable  Reason = "unreachable" // no way to the address
	BadTLS       Reason = "tls"         // no secure connection came about
	BadCert      Reason = "certificate" // it is not valid for the name, or not any more
	BadProtocol  Reason = "protocol"    // what came is no such answer
	BadStatus    Reason = "status"
	BadHeader    Reason = "header"
	BadBody      Reason = "body"
	BadRedirect  Reason = "redirect"
	BadAnswer    Reason = "answer" // of DNS
	Late         Reason = "late"   // a report did not come
	SaidFailed   Reason = "reported"
	Forbidden    Reason = "forbidden"     // the operator's policy does not let the prober go there
	NotPermitted Reason = "not_permitted" // the machine does not let the prober do this kind of check
	Offline      Reason = "offline"       // the prober itself is cut off
	Broken       Reason = "prober"        // the target cannot be understood
)

// Result is one check.
type Result struct {
	At      time.Time `json:"at"`
	TookMS  float64   `json:"took_ms"` // everything, to the last byte of the body
	State   sla.State `json:"state"`
	Reason  Reason    `json:"reason,omitempty"`
	Error   string    `json:"error,omitempty"`
	Address string    `json:"address,omitempty"` // that was connected to last
	Notes   []string  `json:"notes,omitempty"`
	Hops    []Hop     `json:"hops,omitempty"`
	Cert    *Cert     `json:"certificate,omitempty"` // of all hops, the one that ends first
	Answers []string  `json:"answers,omitempty"`     // of DNS
}

// Hop is one request of a chain of redirects, or one connection.
type Hop struct {
	URL       string              `json:"url,omitempty"` // without query
	Address   string              `json:"address,omitempty"`
	Status    int                 `json:"status,omitempty"`
	Headers   map[string][]string `json:"headers,omitempty"` // without those that may carry secrets
	TLS       string              `json:"tls,omitempty"`     // its version
	Cert      *Cert               `json:"certificate,omitempty"`
	ConnectMS float64             `json:"connect_ms,omitempty"` // look-up included
	TLSMS     float64             `json:"tls_ms,omitempty"`
	FirstMS   float64             `json:"first_byte_ms,omitempty"` // from the beginning of the hop
	BodyBytes int64               `json:"body_bytes,omitempty"`    // that were read, inflated
	BodySHA   string              `json:"body_sha256,omitempty"`   // of what was read
}

// Cert is the certificate of a verified path that ends first.
type Cert struct {
	Subject string    `json:"subject"`
	Issuer  string    `json:"issuer"`
	Ends    time.Time `json:"ends"`
	Days    int       `json:"days"` // whole days left, negative when it has ended
}

// lowest returns the certificate that ends first on the verified path. A
// certificate that a server sends but that is on no path does not count; of
// several paths the one that holds longest is the one a client can take.
func lowest(chains [][]*x509.Certificate, now time.Time) *Cert {
	var best *x509.Certificate
	for _, chain := range chains {
		var first *x509.Certificate
		for _, c := range chain {
			if first == nil || c.NotAfter.Before(first.NotAfter) {
				first = c
			}
		}
		if first != nil && (best == nil || first.NotAfter.After(best.NotAfter)) {
			best = first
		}
	}
	if best == nil {
		return nil
	}
	return certOf(best, now)
}

func certOf(c *x509.Certificate, now time.Time) *Cert {
	left := c.NotAfter.Sub(now)
	days := int(left / (24 * time.Hour))
	if left < 0 {
		days--
	}
	return &Cert{Subject: short(c.Subject.String(), 200), Issuer: short(c.Issuer.String(), 200), Ends: c.NotAfter.UTC(), Days: days}
}

// classify says why something failed, in one word and one line. The line holds
// no URL, which may carry a secret.
func classify(ctx context.Context, err error) (Reason, string) {
	if e, ok := errors.AsType[*escrow.Error](err); ok && e.Code == escrow.Forbidden {
		return Forbidden, clean(e.Error())
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		text := e.Err.Error()
		if len(e.UnverifiedCertificates) > 0 {
			text = "the certificate of " + e.UnverifiedCertificates[0].Subject.String() + ": " + text
		}
		return BadCert, clean(text)
	}
	if errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
		return TimedOut, "no complete answer in time"
	}
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return TimedOut, "no answer in time"
	}
	if de, ok := errors.AsType[*net.DNSError](err); ok {
		return NoName, clean("the name cannot be looked up: " + de.Err)
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused, "connection refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
		return Unreachable, "no way to the address"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return BadProtocol, "the connection was cut"
	}
	if _, ok := errors.AsType[*net.AddrError](err); ok {
		return NoName, "the name has no such address"
	}
	var alert tls.AlertError
	var record tls.RecordHeaderError
	if errors.As(err, &alert) || errors.As(err, &record) || strings.Contains(err.Error(), "tls: ") {
		return BadTLS, clean(err.Error())
	}
	if e, ok := errors.AsType[*escrow.Error](err); ok && e.Code == escrow.Unavailable {
		return Unreachable, clean(e.Error())
	}
	return BadProtocol, clean(err.Error())
}

// clean makes one bounded line without control characters of a text that a
// stranger may have chosen.
func clean(s string) string {
	return short(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x2028 || r == 0x2029 || r == 0x85 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")), 300)
}

// short bounds a text to n bytes.
func short(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
