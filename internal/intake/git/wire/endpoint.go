package wire

import (
	"cmp"
	"encoding/base64"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"

	"holdfast/internal/escrow"
)

// Secret is a text that must not be printed: every way of formatting,
// logging or marshalling it gives "[secret]".
type Secret string

const hidden = "[secret]"

// String returns "[secret]", or "" where there is none.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString returns what String returns.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// LogValue returns what String returns.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText returns what String returns.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Endpoint says where a repository is and how to prove that we may read it.
type Endpoint struct {
	// URL is https://host/path, http://host/path, ssh://[user@]host[:port]/path,
	// [user@]host:path, git://host/path, file:///path or an absolute path. It
	// holds no password or token: those have fields of their own.
	URL string

	// Token is sent as the password of HTTP Basic authentication, to the host
	// of URL only; User is the name that goes with it, "x-access-token" when
	// empty.
	User  string
	Token Secret

	// PlainToken allows Token over http:// to a host that is not this machine.
	PlainToken bool

	// Key is the deploy key of an ssh source: an unencrypted private key in
	// PEM or OpenSSH form.
	Key Secret

	// HostKeys pins the keys an ssh source may show, one "type base64" a line
	// as in an authorized_keys file. Without one nothing is sent.
	HostKeys string
}

// String names the repository without any secret.
func (e Endpoint) String() string {
	t, err := e.target()
	if err != nil {
		return "(invalid source URL)"
	}
	return t.display
}

// GoString returns what String returns.
func (e Endpoint) GoString() string { return e.String() }

// LogValue returns what String returns.
func (e Endpoint) LogValue() slog.Value { return slog.StringValue(e.String()) }

// Check says what is wrong with the endpoint, without connecting: an error of
// code invalid, or nil.
func (e Endpoint) Check() error {
	_, err := e.target()
	return err
}

// Place returns how the source is reached ("http", "https", "ssh", "git" or
// "file") and its path there.
func (e Endpoint) Place() (scheme, path string, err error) {
	t, err := e.target()
	if err != nil {
		return "", "", err
	}
	if t.base != nil {
		return t.scheme, t.base.Path, nil
	}
	return t.scheme, t.path, nil
}

// The ways to reach a repository.
const (
	schemeHTTP  = "http"
	schemeHTTPS = "https"
	schemeSSH   = "ssh"
	schemeGit   = "git"
	schemeFile  = "file"
)

// target is an endpoint taken apart and found to be sound.
type target struct {
	scheme   string
	user     string // ssh: login name
	addr     string // host:port, "" for file
	base     *url.URL
	path     string // ssh, git, file
	display  string
	signer   ssh.Signer
	hostKeys []ssh.PublicKey
}

func invalid(format string, args ...any) *escrow.Error {
	return escrow.Errorf(escrow.Invalid, format, args...)
}

func (e Endpoint) target() (*target, error) {
	t, err := parseURL(e.URL)
	if err != nil {
		return nil, err
	}
	overHTTP := t.scheme == schemeHTTP || t.scheme == schemeHTTPS
	switch {
	case e.Token != "" && !overHTTP:
		return nil, invalid("source %s: a token goes with an http or https source only", t.display).
			WithHint("an ssh source takes a deploy key, git:// and a local path take nothing")
	case strings.ContainsFunc(string(e.Token)+e.User, isControl):
		return nil, invalid("source %s: the token or its user name holds a control character", t.display).
			WithHint("enter the token again, without a line feed at its end")
	case strings.Contains(e.User, ":"):
		return nil, invalid("source %s: the token's user name holds a colon", t.display).
			WithHint("give the user name alone")
	case e.Token != "" && t.scheme == schemeHTTP && !e.PlainToken && !isLoopback(t.base.Hostname()):
		return nil, invalid("source %s: a token would cross the network in clear", t.display).
			WithHint("use https, or allow the token in clear for this source")
	case t.scheme == schemeSSH:
		return t, e.sshKeys(t)
	}
	return t, nil
}

func (e Endpoint) sshKeys(t *target) error {
	if e.Key == "" {
		return invalid("source %s: no deploy key", t.display).WithHint("give the source a private key that may read the repository")
	}
	signer, err := ssh.ParsePrivateKey([]byte(e.Key))
	if err != nil { // the cause may quote the key
		return invalid("source %s: the deploy key cannot be read", t.display).
			WithHint("it must be an unencrypted private key in PEM or OpenSSH form")
	}
	t.signer = signer
	rest := []byte(strings.TrimSpace(e.HostKeys))
	for len(rest) > 0 {
		key, _, _, more, err := ssh.ParseAuthorizedKey(rest)
		if err != nil {
			return invalid("source %s: a pinned host key cannot be read", t.display).WithHint(pinHint)
		}
		t.hostKeys, rest = append(t.hostKeys, key), more
	}
	if len(t.hostKeys) == 0 {
		return invalid("source %s: no host key is pinned", t.display).WithHint(pinHint)
	}
	return nil
}

const pinHint = `pin the server's key as "type base64", for example the output of ssh-keyscan without the host name, compared with what the host publishes`

// maxURL bounds a URL's length in bytes.
const maxURL = 4096

func parseURL(raw string) (*target, error) {
	switch {
	case raw == "":
		return nil, invalid("the source has no URL").WithHint(urlHint)
	case len(raw) > maxURL:
		return nil, invalid("the source's URL is longer than %d bytes", maxURL).WithHint(urlHint)
	case strings.ContainsFunc(raw, isControl):
		return nil, invalid("the source's URL holds a control character").WithHint(urlHint)
	case filepath.IsAbs(raw):
		return &target{scheme: schemeFile, path: filepath.Clean(raw), display: filepath.Clean(raw)}, nil
	case !strings.Contains(raw, "://"):
		return parseSCP(raw)
	}
	u, err := url.Parse(raw)
	if err != nil { // the cause quotes the URL, which may hold a password
		return nil, invalid("the source's URL cannot be read").WithHint(urlHint)
	}
	scheme := strings.ToLower(u.Scheme)
	if scheme == "git+ssh" || scheme == "ssh+git" {
		scheme = schemeSSH
	}
	t := &target{scheme: scheme, display: scheme + "://" + u.Host + u.EscapedPath(), path: u.Path}
	_, hasPassword := u.User.Password()
	switch {
	case scheme != schemeHTTP && scheme != schemeHTTPS && scheme != schemeSSH && scheme != schemeGit && scheme != schemeFile:
		return nil, invalid("a source cannot be reached over %.20q", scheme).WithHint(urlHint)
	case hasPassword, u.User != nil && scheme != schemeSSH:
		return nil, invalid("source %s: the URL holds a user name or password", t.display).
			WithHint("give the token as the source's secret and take it out of the URL; one that stood in a URL should be replaced")
	case u.RawQuery != "", u.Fragment != "", u.ForceQuery:
		return nil, invalid("source %s: the URL holds a query or a fragment", t.display).WithHint(urlHint)
	case strings.ContainsFunc(u.Path, isControl), u.Opaque != "":
		return nil, invalid("source %s: the path holds a control character or is not a path", t.display).WithHint(urlHint)
	case strings.Trim(u.Path, "/") == "":
		return nil, invalid("source %s: the URL names no repository", t.display).WithHint(urlHint)
	}
	if scheme == schemeFile {
		if u.Host != "" && u.Host != "localhost" {
			return nil, invalid("source %s: a file URL names this machine only", t.display).WithHint(urlHint)
		}
		t.path = filepath.Clean(filepath.FromSlash(u.Path))
		return t, nil
	}
	if u.Hostname() == "" {
		return nil, invalid("source %s: the URL names no host", t.display).WithHint(urlHint)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{schemeHTTP: "80", schemeHTTPS: "443", schemeSSH: "22", schemeGit: "9418"}[scheme]
	}
	t.addr = net.JoinHostPort(u.Hostname(), port)
	switch scheme {
	case schemeSSH:
		t.user = cmp.Or(u.User.Username(), defaultLogin)
		if strings.HasPrefix(t.path, "/~") { // ssh://host/~user/path
			t.path = t.path[1:]
		}
	case schemeHTTP, schemeHTTPS:
		t.base = &url.URL{Scheme: scheme, Host: u.Host, Path: strings.TrimRight(u.Path, "/"), RawPath: strings.TrimRight(u.RawPath, "/")}
	}
	return t, nil
}

const urlHint = "a source is https://host/path, http://host/path, ssh://user@host/path, user@host:path, git://host/path or an absolute path"

// parseSCP reads the form [user@]host:path.
func parseSCP(raw string) (*target, error) {
	login, path, ok := strings.Cut(raw, ":")
	if !ok || strings.Contains(login, "/") || path == "" || strings.HasPrefix(raw, ":") {
		return nil, invalid("the source's URL cannot be read").WithHint(urlHint)
	}
	user, host, ok := strings.Cut(login, "@")
	if !ok {
		user, host = "", login
	}
	// A second @ is more likely a password in the wrong place than a path.
	if host == "" || strings.ContainsAny(host, "[] ") || strings.ContainsAny(path, "@") || path[0] == '-' {
		return nil, invalid("the source's URL cannot be read").WithHint(urlHint)
	}
	return &target{
		scheme: schemeSSH, user: cmp.Or(user, defaultLogin), addr: net.JoinHostPort(host, "22"),
		path: path, display: "ssh://" + host + "/" + strings.TrimPrefix(path, "/"),
	}, nil
}

const defaultLogin = "git"

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// scrubber takes the endpoint's secrets out of text that others see. A server
// can send back what it was told.
func (e Endpoint) scrubber() scrubber {
	if e.Token == "" {
		return nil
	}
	list := scrubber{
		base64.StdEncoding.EncodeToString([]byte(e.userName() + ":" + string(e.Token))),
		url.QueryEscape(string(e.Token)), url.PathEscape(string(e.Token)), string(e.Token),
	}
	slices.SortFunc(list, func(a, b string) int { return cmp.Compare(len(b), len(a)) }) // the longest match first
	return list
}

// scrubber is the forms a secret can have in a text.
type scrubber []string

// cutSecret is how much of a secret is one, in bytes: a text that is cut off
// can end in the middle.
const cutSecret = 6

// Replace puts "[secret]" in place of every secret, and of every beginning of
// one, however long the rest is.
func (s scrubber) Replace(text string) string {
	for _, secret := range s {
		text = strings.ReplaceAll(text, secret, hidden)
	}
	for _, secret := range s {
		begin := secret[:min(len(secret), cutSecret)]
		var out strings.Builder
		for {
			at := strings.Index(text, begin)
			if at < 0 {
				break
			}
			end := at + len(begin)
			for i := len(begin); i < len(secret) && end < len(text) && text[end] == secret[i]; i++ {
				end++
			}
			out.WriteString(text[:at] + hidden)
			text = text[end:]
		}
		text = out.String() + text
	}
	return text
}

func (e Endpoint) userName() string { return cmp.Or(e.User, "x-access-token") }
