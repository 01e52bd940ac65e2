package probe

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/theory/jsonpath"
	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/idna"

	"holdfast/internal/escrow"
)

// Kind is how a target is checked.
type Kind string

// The kinds.
const (
	HTTP Kind = "http"
	TCP  Kind = "tcp"
	TLS  Kind = "tls"
	DNS  Kind = "dns"
	ICMP Kind = "icmp"
	Push Kind = "push" // the target reports; it is late when it does not
)

// Bounds of a target.
const (
	MaxTargetBytes = 64 << 10
	MinEvery       = 5 * time.Second
	MaxEvery       = 24 * time.Hour
	DefaultEvery   = time.Minute
	DefaultTimeout = 10 * time.Second
	MaxBody        = 8 << 20 // bytes of a body that can be asked for, inflated
	defaultBody    = 1 << 20
	maxRedirects   = 10
	maxAssertions  = 50
)

// Duration is a length of time that is written as 30s or 5m.
type Duration time.Duration

// MarshalText writes it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads it.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// Target says what is checked and what must come back. It may hold secrets: in
// the query of its URL, in headers and in its body. [Target.Shown] has none.
type Target struct {
	Kind    Kind     `json:"kind"`
	URL     string   `json:"url,omitempty"`     // of http
	Address string   `json:"address,omitempty"` // host:port of tcp and tls, a host of icmp, a name of dns
	Every   Duration `json:"every,omitempty"`   // default 1m
	Timeout Duration `json:"timeout,omitempty"` // of the whole check, every hop and the body included; default 10s
	Family  string   `json:"family,omitempty"`  // 4 or 6: only that one; default both
	CA      string   `json:"ca,omitempty"`      // PEM of authorities to trust in place of the machine's

	// Of http.
	Method    string            `json:"method,omitempty"` // default GET
	Headers   map[string]string `json:"headers,omitempty"`
	Body      string            `json:"body,omitempty"`
	Redirects string            `json:"redirects,omitempty"` // followed (default) or failed
	Reuse     bool              `json:"reuse,omitempty"`     // keep the connection for the next check; default a new one each time
	MaxBody   int               `json:"max_body,omitempty"`  // bytes of the inflated body that are read; default 1 MiB

	// Of dns.
	Type   string `json:"type,omitempty"`   // A (default), AAAA, CNAME, MX, NS, TXT
	Server string `json:"server,omitempty"` // host:port that is asked, over TCP; default the machine's resolver

	// Of push.
	Schedule string   `json:"schedule,omitempty"` // cron, five fields; or say every
	Zone     string   `json:"zone,omitempty"`     // of schedule; default UTC
	Grace    Duration `json:"grace,omitempty"`    // how late a report may be; default 5m

	Expect Expect `json:"expect,omitzero"`
}

// Expect is what must hold of an answer. Everything must.
type Expect struct {
	Status   []string     `json:"status,omitempty"`    // such as 200 or 200-299, which is the default
	Headers  []HeaderRule `json:"headers,omitempty"`   // of the last hop
	Body     []TextRule   `json:"body,omitempty"`      // of the last hop
	JSON     []JSONRule   `json:"json,omitempty"`      // of the last hop
	CertDays int          `json:"cert_days,omitempty"` // fewer days left on a certificate is a failure
	Answers  []string     `json:"answers,omitempty"`   // of dns: each must be among the answers
}

// TextRule is about a text: exactly one of the fields is set.
type TextRule struct {
	Contains string `json:"contains,omitempty"`
	Lacks    string `json:"lacks,omitempty"`
	Matches  string `json:"matches,omitempty"` // RE2
}

// HeaderRule is about a header; without a rule it must be there.
type HeaderRule struct {
	Name string `json:"name"`
	TextRule
}

// JSONRule is about what an RFC 9535 path finds; without equals something must
// be found.
type JSONRule struct {
	Path   string          `json:"path"`
	Equals json.RawMessage `json:"equals,omitempty"`
}

// Parse reads a target as JSON and checks it. Unknown fields are refused.
func Parse(data []byte) (Target, error) {
	var t Target
	if len(data) > MaxTargetBytes {
		return t, escrow.Errorf(escrow.Invalid, "target: %d bytes, more than %d", len(data), MaxTargetBytes)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&t); err != nil {
		return t, escrow.Errorf(escrow.Invalid, "target: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return t, escrow.Errorf(escrow.Invalid, "target: something follows it")
	}
	return t.Checked()
}

// Checked returns the target with defaults filled in and names in their ASCII
// form, or what is wrong with it and where.
func (t Target) Checked() (Target, error) {
	fail := func(field, format string, args ...any) (Target, error) {
		return Target{}, escrow.Errorf(escrow.Invalid, "target: %s: "+format, append([]any{field}, args...)...).WithHint("see docs/watch.md for what a target may say")
	}
	if t.Every == 0 && t.Schedule == "" {
		t.Every = Duration(DefaultEvery)
	}
	if t.Timeout == 0 {
		t.Timeout = Duration(min(DefaultTimeout, max(time.Duration(t.Every), MinEvery)))
	}
	if e := time.Duration(t.Every); t.Schedule == "" && (e < MinEvery || e > MaxEvery) {
		return fail("every", "%s is not between %s and %s", e, MinEvery, MaxEvery)
	}
	if d := time.Duration(t.Timeout); d < 100*time.Millisecond || t.Kind != Push && d > time.Duration(t.Every) {
		return fail("timeout", "%s is not between 100ms and the time between checks, %s", d, time.Duration(t.Every))
	}
	if t.Family != "" && t.Family != "4" && t.Family != "6" {
		return fail("family", "%.20q is neither 4 nor 6", t.Family)
	}
	if t.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(t.CA)) {
		return fail("ca", "it holds no certificate in PEM")
	}
	if t.Kind != HTTP && (t.URL != "" || t.Method != "" || len(t.Headers) > 0 || t.Body != "" || t.Redirects != "" || t.Reuse || t.MaxBody != 0 || len(t.Expect.Status)+len(t.Expect.Headers)+len(t.Expect.Body)+len(t.Expect.JSON) > 0) {
		return fail("kind", "%.20q has no request; url, method, headers, body, redirects, reuse and assertions on an answer belong to http", t.Kind)
	}
	if t.Kind != DNS && (t.Type != "" || t.Server != "" || len(t.Expect.Answers) > 0) {
		return fail("kind", "type, server and answers belong to dns")
	}
	if t.Kind != Push && (t.Schedule != "" || t.Zone != "" || t.Grace != 0) {
		return fail("kind", "schedule, zone and grace belong to push")
	}
	if t.Expect.CertDays < 0 || t.Expect.CertDays > 0 && t.Kind != TLS && t.Kind != HTTP {
		return fail("expect.cert_days", "it is a number of days of a certificate, of http or tls")
	}
	var err error
	switch t.Kind {
	case HTTP:
		return t.checkedHTTP(fail)
	case TCP, TLS:
		if t.Address, err = address(t.Address); err != nil {
			return fail("address", "%v", err)
		}
	case ICMP:
		if t.Address, err = asciiHost(t.Address); err != nil {
			return fail("address", "%v", err)
		}
	case DNS:
		if t.Address, err = asciiHost(strings.TrimSuffix(t.Address, ".")); err != nil {
			return fail("address", "%v", err)
		}
		if t.Type == "" {
			t.Type = "A"
		}
		if !slices.Contains([]string{"A", "AAAA", "CNAME", "MX", "NS", "TXT"}, t.Type) {
			return fail("type", "%.20q is not one of A, AAAA, CNAME, MX, NS, TXT", t.Type)
		}
		if t.Server != "" {
			if t.Server, err = address(t.Server); err != nil {
				return fail("server", "%v", err)
			}
		}
	case Push:
		if t.Address != "" || t.CA != "" || t.Family != "" {
			return fail("kind", "push has no address: it reports by itself")
		}
		if t.Grace == 0 {
			t.Grace = Duration(5 * time.Minute)
		}
		if _, err := newBeats(t); err != nil {
			return fail("schedule", "%v", err)
		}
	default:
		return fail("kind", "%.20q is not one of http, tcp, tls, dns, icmp, push", t.Kind)
	}
	return t, nil
}

func (t Target) checkedHTTP(fail func(string, string, ...any) (Target, error)) (Target, error) {
	u, err := url.Parse(t.URL)
	switch {
	case len(t.URL) > 4096:
		return fail("url", "it is longer than 4096 characters")
	case err != nil || u.Host == "" || u.Opaque != "":
		return fail("url", "it is not an address such as https://www.example.org/health")
	case u.Scheme != "http" && u.Scheme != "https":
		return fail("url", "its scheme is %.20q, not http or https", u.Scheme)
	case u.User != nil:
		return fail("url", "it holds a name or password; put it into headers, which are kept sealed")
	case t.Address != "":
		return fail("address", "http has a url instead")
	}
	host, err := asciiHost(u.Hostname())
	if err != nil {
		return fail("url", "%v", err)
	}
	if p := u.Port(); p != "" {
		if err := goodPort(p); err != nil {
			return fail("url", "%v", err)
		}
		u.Host = net.JoinHostPort(host, p)
	} else if u.Host = host; strings.Contains(host, ":") {
		u.Host = "[" + host + "]"
	}
	u.Fragment = ""
	t.URL = u.String()
	if t.Method == "" {
		t.Method = "GET"
	}
	if !slices.Contains([]string{"GET", "HEAD", "OPTIONS", "POST", "PUT"}, t.Method) {
		return fail("method", "%.20q is not one of GET, HEAD, OPTIONS, POST, PUT", t.Method)
	}
	if t.Redirects != "" && t.Redirects != "followed" && t.Redirects != "failed" {
		return fail("redirects", "%.20q is neither followed nor failed", t.Redirects)
	}
	for name, value := range t.Headers {
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			return fail("headers", "%.80q is no name of a header", name)
		case !httpguts.ValidHeaderFieldValue(value):
			return fail("headers", "the value of %s has characters that a header cannot have", name)
		case slices.Contains([]string{"connection", "content-length", "transfer-encoding", "accept-encoding", "upgrade", "te", "trailer"}, strings.ToLower(name)):
			return fail("headers", "%s is set by the prober itself", name)
		case strings.EqualFold(name, "host") && (value == "" || strings.ContainsAny(value, "/@ ?#")):
			return fail("headers", "the value of Host is no host")
		}
	}
	if t.MaxBody == 0 {
		t.MaxBody = defaultBody
	}
	if t.MaxBody < 1 || t.MaxBody > MaxBody {
		return fail("max_body", "%d is not between 1 and %d", t.MaxBody, MaxBody)
	}
	e := t.Expect
	if n := len(e.Status) + len(e.Headers) + len(e.Body) + len(e.JSON); n > maxAssertions {
		return fail("expect", "%d assertions, more than %d", n, maxAssertions)
	}
	for i, s := range e.Status {
		if _, _, err := statusRange(s); err != nil {
			return fail(fmt.Sprintf("expect.status[%d]", i), "%v", err)
		}
	}
	for i, r := range e.Headers {
		if !httpguts.ValidHeaderFieldName(r.Name) {
			return fail(fmt.Sprintf("expect.headers[%d].name", i), "%.80q is no name of a header", r.Name)
		}
		if err := r.valid(true); err != nil {
			return fail(fmt.Sprintf("expect.headers[%d]", i), "%v", err)
		}
	}
	for i, r := range e.Body {
		if err := r.valid(false); err != nil {
			return fail(fmt.Sprintf("expect.body[%d]", i), "%v", err)
		}
	}
	for i, r := range e.JSON {
		if _, err := jsonpath.Parse(r.Path); err != nil {
			return fail(fmt.Sprintf("expect.json[%d].path", i), "%v", err)
		}
		// Each of them can multiply the work by the size of the body.
		if strings.Count(r.Path, "..") > 1 || strings.Count(r.Path, "?") > 1 || len(r.Path) > 500 {
			return fail(fmt.Sprintf("expect.json[%d].path", i), "at most one .. and one filter, and 500 characters")
		}
		if len(r.Equals) > 0 && !json.Valid(r.Equals) {
			return fail(fmt.Sprintf("expect.json[%d].equals", i), "it is not JSON")
		}
	}
	return t, nil
}

func (r TextRule) valid(mayBeEmpty bool) error {
	n := 0
	for _, s := range []string{r.Contains, r.Lacks, r.Matches} {
		if s != "" {
			n++
		}
		if len(s) > 1000 {
			return fmt.Errorf("it is longer than 1000 characters")
		}
	}
	if n > 1 || n == 0 && !mayBeEmpty {
		return fmt.Errorf("say exactly one of contains, lacks, matches")
	}
	if r.Matches != "" {
		if _, err := regexp.Compile(r.Matches); err != nil {
			return err
		}
	}
	return nil
}

func statusRange(s string) (from, to int, err error) {
	a, b, ranged := strings.Cut(s, "-")
	if !ranged {
		b = a
	}
	from, err1 := strconv.Atoi(a)
	to, err2 := strconv.Atoi(b)
	if err1 != nil || err2 != nil || from < 100 || to > 599 || from > to {
		return 0, 0, fmt.Errorf("%.20q is not a status such as 200 or 200-299", s)
	}
	return from, to, nil
}

func address(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", fmt.Errorf("%.200q is not host:port", s)
	}
	if err := goodPort(port); err != nil {
		return "", err
	}
	if host, err = asciiHost(host); err != nil {
		return "", err
	}
	return net.JoinHostPort(host, port), nil
}

func goodPort(p string) error {
	if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%.20q is no port", p)
	}
	return nil
}

// asciiHost returns an address in its usual form, or a name as it is looked
// up: an international one in its xn-- form.
func asciiHost(host string) (string, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" {
			return "", fmt.Errorf("address %.80q has a zone, which means something on one machine only", host)
		}
		return a.String(), nil
	}
	if host == "" || strings.ContainsFunc(host, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
		return "", fmt.Errorf("%.80q is no host", host)
	}
	ascii, err := idna.Lookup.ToASCII(host)
	if err != nil {
		// Names with an underscore are not of hosts, yet exist in DNS.
		ascii, err = idna.New(idna.MapForLookup(), idna.StrictDomainName(false)).ToASCII(host)
	}
	if err != nil || ascii == "" || len(ascii) > 253 {
		return "", fmt.Errorf("%.80q is no host", host)
	}
	for _, c := range []byte(ascii) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return "", fmt.Errorf("%.80q is no host", host)
		}
	}
	return ascii, nil
}

// Shown returns what everybody who may see the target may see of it: no query,
// no values of headers, no body, no text that is looked for.
func (t Target) Shown() Target {
	t.URL = shownURL(t.URL)
	if len(t.Headers) > 0 {
		names := map[string]string{}
		for name := range t.Headers {
			names[name] = "(sealed)"
		}
		t.Headers = names
	}
	if t.Body != "" {
		t.Body = "(sealed)"
	}
	t.CA = ""
	t.Expect.Headers = slices.Clone(t.Expect.Headers)
	for i := range t.Expect.Headers {
		t.Expect.Headers[i].TextRule = TextRule{}
	}
	t.Expect.Body, t.Expect.JSON = nil, nil
	return t
}

// shownURL leaves out what may be secret: user, query and fragment.
func shownURL(s string) string {
	u, err := url.Parse(s)
	if err != nil || s == "" {
		return ""
	}
	u.User, u.Fragment = nil, ""
	if u.RawQuery != "" {
		u.RawQuery = ""
		return u.String() + "?…"
	}
	return u.String()
}
