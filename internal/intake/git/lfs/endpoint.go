package lfs

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"holdfast/internal/escrow"
)

// Endpoint is where a source's LFS API is, and what proves that we may use it.
type Endpoint struct {
	URL    *url.URL
	Header http.Header // secret; sent to the origin of URL only
}

// String names the endpoint without its header, query or user.
func (e Endpoint) String() string {
	if e.URL == nil {
		return "(no LFS endpoint)"
	}
	return e.URL.Scheme + "://" + e.URL.Host + e.URL.EscapedPath()
}

// GoString returns what String returns.
func (e Endpoint) GoString() string { return e.String() }

// FromHTTP derives the endpoint from the http or https URL of a repository,
// as git-lfs does: the path with ".git", then "info/lfs". config is the lfs.url
// of the repository's .lfsconfig, "" when there is none; it is followed only
// where it stays on the repository's own origin, since whoever may write to
// the repository writes that file, and the token would go there. token may be
// empty.
func FromHTTP(repository, config, user, token string) (Endpoint, error) {
	u, err := parseHTTP(repository)
	if err != nil {
		return Endpoint{}, escrow.Errorf(escrow.Invalid, "the source's URL has no LFS endpoint: %v", err).WithHint("LFS objects are fetched from http, https and ssh sources")
	}
	e := Endpoint{URL: u, Header: http.Header{}}
	if c, err := parseHTTP(config); config != "" && err == nil && origin(c) == origin(u) {
		e.URL = c
		e.URL.Path = strings.TrimSuffix(e.URL.Path, "/")
	} else {
		path := strings.TrimSuffix(u.Path, "/")
		if !strings.HasSuffix(path, ".git") {
			path += ".git"
		}
		e.URL.Path = path + "/info/lfs"
	}
	if token != "" {
		if user == "" {
			user = "x-access-token"
		}
		e.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user+":"+token)))
	}
	return e, nil
}

func parseHTTP(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("it cannot be parsed") // the error would repeat it, secrets and all
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("scheme %.20q", u.Scheme)
	case u.Hostname() == "":
		return nil, errors.New("no host")
	case u.User != nil:
		return nil, errors.New("it holds a user or password")
	}
	u.RawQuery, u.Fragment, u.RawPath = "", "", ""
	return u, nil
}

// origin is what a credential is good for.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")) + ":" + port
}

// maxSSHAnswer bounds what git-lfs-authenticate may print.
const maxSSHAnswer = 64 << 10

// FromSSH asks an ssh source for its endpoint, as git-lfs does: by the command
// git-lfs-authenticate, which prints an address and a short-lived header. run
// runs one command at the source, whose host key it has checked, and returns
// what the command printed; path is the repository's.
func FromSSH(ctx context.Context, run func(ctx context.Context, command string) ([]byte, error), path string) (Endpoint, error) {
	quoted := "'" + strings.ReplaceAll(strings.TrimPrefix(path, "/"), "'", `'\''`) + "'"
	if strings.ContainsFunc(path, unicode.IsControl) {
		return Endpoint{}, escrow.Errorf(escrow.Invalid, "the repository's path holds a control character").WithHint("correct the source's URL")
	}
	out, err := run(ctx, "git-lfs-authenticate "+quoted+" download")
	if err != nil {
		return Endpoint{}, fmt.Errorf("git-lfs-authenticate: %w", err)
	}
	return parseAuthenticate(out)
}

func parseAuthenticate(out []byte) (Endpoint, error) {
	bad := func(reason string) (Endpoint, error) {
		return Endpoint{}, escrow.Errorf(escrow.Unavailable, "git-lfs-authenticate: %s", reason).WithHint("the source's ssh server may not support Git LFS")
	}
	if len(out) > maxSSHAnswer {
		return bad("its answer is too long")
	}
	var answer struct {
		Href   string            `json:"href"`
		Header map[string]string `json:"header"`
	}
	if err := json.NewDecoder(bytes.NewReader(out)).Decode(&answer); err != nil {
		return bad("its answer is not JSON")
	}
	u, err := parseHTTP(answer.Href)
	if err != nil {
		return bad("its address: " + err.Error())
	}
	header, err := headerOf(answer.Header)
	if err != nil {
		return bad("its header: " + err.Error())
	}
	if u.Scheme == "http" && len(header) > 0 && u.Hostname() != "127.0.0.1" && u.Hostname() != "localhost" && u.Hostname() != "::1" {
		return bad("its credential would cross the network in clear")
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return Endpoint{URL: u, Header: header}, nil
}

// maxHeaders bounds the header fields that an answer may ask to be sent.
const maxHeaders = 32

// headerOf takes the header fields that a server asks to be sent, without
// those that steer the connection itself.
func headerOf(fields map[string]string) (http.Header, error) {
	if len(fields) > maxHeaders {
		return nil, fmt.Errorf("%d fields, more than %d", len(fields), maxHeaders)
	}
	h := http.Header{}
	for name, value := range fields {
		if !isToken(name) || strings.ContainsFunc(value, func(r rune) bool { return r < 0x20 && r != '\t' || r == 0x7f }) {
			return nil, errors.New("a field has a bad character")
		}
		switch name = http.CanonicalHeaderKey(name); name {
		case "Host", "Connection", "Content-Length", "Transfer-Encoding", "Te", "Trailer", "Upgrade", "Keep-Alive", "Proxy-Authorization", "Accept-Encoding", "Range":
		default:
			h.Set(name, value)
		}
	}
	return h, nil
}

func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// ConfigURL returns the lfs.url of a .lfsconfig file, "" when it has none. It
// knows as much of Git's configuration syntax as such files use; what it
// cannot read it leaves out.
func ConfigURL(content []byte) string {
	section, found := "", ""
	for line := range strings.Lines(string(content[:min(len(content), 64<<10)])) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "["); ok {
			name, after, ok := strings.Cut(rest, "]")
			if !ok {
				return ""
			}
			section, line = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(after)
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || section != "lfs" || strings.ToLower(strings.TrimSpace(key)) != "url" {
			continue
		}
		value = strings.TrimSpace(value)
		if quoted, ok := strings.CutPrefix(value, `"`); ok {
			value, _, _ = strings.Cut(quoted, `"`)
		} else if i := strings.IndexAny(value, "#;"); i >= 0 {
			value = strings.TrimSpace(value[:i])
		}
		found = value
	}
	return found
}
