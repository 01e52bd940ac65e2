package wire_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/gittest"
	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/wire"
)

const canary = "tok-CANARY-7f/+ü"

// everything lists and fetches all, and returns the first error.
func everything(ctx context.Context, e wire.Endpoint, cfg wire.Config) error {
	c, err := wire.Open(ctx, e, cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	l, err := c.List()
	if err != nil {
		return err
	}
	p, err := c.Fetch(oids(l.Refs), nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, p)
	return err
}

// check asserts an error's code and what its text and hint say, and that no
// secret is in it, however it is printed.
func check(t *testing.T, err error, code escrow.Code, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if got := escrow.CodeOf(err); got != code {
		t.Errorf("code is %s, want %s: %v", got, code, err)
	}
	e, _ := errors.AsType[*escrow.Error](err)
	if e == nil || e.Hint == "" {
		t.Errorf("no hint says what to do: %v", err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
	noSecret(t, err)
}

func noSecret(t *testing.T, err error) {
	t.Helper()
	for err := err; err != nil; err = errors.Unwrap(err) {
		if e, ok := err.(*escrow.Error); ok {
			if s := fmt.Sprintf("%+v %#v %s", err, e.Message, e.Hint); strings.Contains(s, "CANARY") {
				t.Errorf("the secret is in %s", s)
			}
		}
	}
	if strings.Contains(err.Error(), "CANARY") {
		t.Errorf("the secret is in %v", err)
	}
}

// faulty serves a repository through the middlewares, with a token.
func faulty(t *testing.T, r *gittest.Repo, between ...gittest.Middleware) wire.Endpoint {
	t.Helper()
	s := gittest.ServeHTTP(t, r.Root(), gittest.HTTPOptions{Version: gittest.V2, Token: canary}, between...)
	return wire.Endpoint{URL: s.URL + "/" + r.Name(), Token: canary}
}

func sample(t *testing.T) *gittest.Repo {
	r := gittest.NewRepo(t, "sha1")
	r.Commit(t, "refs/heads/main", map[string]string{"a": strings.Repeat("some text\n", 1000), "b": "2"})
	return r
}

func TestFaults(t *testing.T) {
	r := sample(t)
	big := config()
	small := config()
	small.Limits = wire.Limits{Refs: 1000, Advertisement: 1 << 20, Pack: 1 << 20, Chatter: 1 << 16, Idle: 200 * time.Millisecond}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("a request reached the other host: %s %s", r.Method, r.URL)
	}))
	defer elsewhere.Close()
	for _, c := range []struct {
		name    string
		cfg     wire.Config
		between []gittest.Middleware
		code    escrow.Code
		words   []string
	}{
		{"unauthorised", big, []gittest.Middleware{gittest.Status(401, "who are you", nil)}, escrow.Unauthenticated, []string{"401", "token", "who are you"}},
		{"forbidden", big, []gittest.Middleware{gittest.Status(403, "no", nil)}, escrow.Forbidden, []string{"403"}},
		{"echo", big, []gittest.Middleware{gittest.EchoSecrets}, escrow.Forbidden, []string{"403", "no access for [secret] (Basic [secret])"}},
		{"echo that is cut off", big, []gittest.Middleware{gittest.Status(403, strings.Repeat("no ", 96)+canary, nil)}, escrow.Forbidden, []string{"403", "no no [secret]"}},
		{"not found", big, []gittest.Middleware{gittest.Status(404, "Repository not found.", nil)}, escrow.NotFound, []string{"404", "Repository not found."}},
		{"busy", big, []gittest.Middleware{gittest.Status(503, "later", nil)}, escrow.Unavailable, []string{"503"}},
		{"busy at fetch", big, []gittest.Middleware{gittest.Status(503, "later", gittest.Fetches)}, escrow.Unavailable, []string{"503", "fetching"}},
		{"teapot", big, []gittest.Middleware{gittest.Status(418, "", nil)}, escrow.Invalid, []string{"418"}},
		{"redirect", big, []gittest.Middleware{gittest.Redirect(elsewhere.URL, nil)}, escrow.Invalid, []string{"another address", elsewhere.URL, "not followed"}},
		{"redirect at fetch", big, []gittest.Middleware{gittest.Redirect(elsewhere.URL, gittest.Fetches)}, escrow.Invalid, []string{"301"}},
		{"redirect to the same host at fetch", big, []gittest.Middleware{gittest.Redirect("", gittest.Fetches)}, escrow.Invalid, []string{"301"}},
		{"redirect loop", big, []gittest.Middleware{gittest.Redirect("", nil)}, escrow.Invalid, []string{"redirects"}},
		{"cut at once", big, []gittest.Middleware{gittest.Cut(1)}, escrow.Unavailable, []string{"EOF"}},
		{"cut in the pack", big, []gittest.Middleware{gittest.Cut(100)}, escrow.Unavailable, []string{"EOF", "receiving the pack"}},
		{"cut before the last byte", big, []gittest.Middleware{gittest.RewritePack(func(p []byte) ([]byte, error) { return p[:len(p)-1], nil })}, escrow.Damaged, []string{"checksum"}},
		{"corrupted head", big, []gittest.Middleware{gittest.Corrupt(0, false, object.SHA1)}, escrow.Damaged, []string{"begins with"}},
		{"corrupted version", big, []gittest.Middleware{gittest.Corrupt(7, false, object.SHA1)}, escrow.Damaged, []string{"version 2 pack"}},
		{"corrupted byte", big, []gittest.Middleware{gittest.Corrupt(60, false, object.SHA1)}, escrow.Damaged, []string{"checksum"}},
		{"corrupted trailer", big, []gittest.Middleware{gittest.Corrupt(-1, false, object.SHA1)}, escrow.Damaged, []string{"checksum"}},
		{"no pack", big, []gittest.Middleware{gittest.RewritePack(func([]byte) ([]byte, error) { return nil, nil })}, escrow.Damaged, []string{"ends before"}},
		{"error in the pack", big, []gittest.Middleware{gittest.RewritePack(func([]byte) ([]byte, error) {
			return nil, errors.New("aborting due to possible repository corruption on the remote side")
		})}, escrow.Unavailable, []string{"the server said", "corruption"}},
		{"endless refs", small, []gittest.Middleware{gittest.EndlessRefs}, escrow.Invalid, []string{"more than 1000 refs"}},
		{"endless pack", small, []gittest.Middleware{gittest.EndlessPack(false)}, escrow.Invalid, []string{"pack is longer than 1048576 bytes"}},
		{"endless progress", small, []gittest.Middleware{gittest.EndlessPack(true)}, escrow.Invalid, []string{"more than 65536 bytes of progress"}},
		{"stall at once", small, []gittest.Middleware{gittest.Stall(0)}, escrow.Unavailable, []string{"nothing for 200ms"}},
		{"stall in the pack", small, []gittest.Middleware{gittest.Stall(100)}, escrow.Unavailable, []string{"nothing for 200ms"}},
		{"not git", big, []gittest.Middleware{page("text/html", "<html>welcome")}, escrow.Invalid, []string{"Content-Type", "text/html"}},
		{"dumb http", big, []gittest.Middleware{page("text/plain", "1234\trefs/heads/main\n")}, escrow.Invalid, []string{"Content-Type"}},
		{"nonsense", big, []gittest.Middleware{page("application/x-git-upload-pack-advertisement", "zzzz")}, escrow.Invalid, []string{"malformed packet"}},
		{"silence", big, []gittest.Middleware{page("application/x-git-upload-pack-advertisement", "")}, escrow.Unavailable, []string{"EOF"}},
		{"error packet", big, []gittest.Middleware{page("application/x-git-upload-pack-advertisement", "001e# service=git-upload-pack\n0000"+string(wire.AppendPacket(nil, "ERR no \x1b[31m"+canary+"\n here")))}, escrow.Unavailable, []string{"the server said: no [31m[secret] here"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := everything(t.Context(), faulty(t, r, c.between...), c.cfg)
			check(t, err, c.code, append(c.words, "source http://127.0.0.1:", "/repo.git")...)
		})
	}
}

func page(kind, body string) gittest.Middleware {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			io.WriteString(w, body)
		})
	}
}

func TestWrongToken(t *testing.T) {
	r := sample(t)
	e := faulty(t, r)
	if err := everything(t.Context(), e, config()); err != nil {
		t.Fatal(err)
	}
	e.Token = "other-CANARY"
	check(t, everything(t.Context(), e, config()), escrow.Unauthenticated, "401", "does not take the token")
	e.Token = ""
	check(t, everything(t.Context(), e, config()), escrow.Unauthenticated, "401", "asks for credentials")
}

// A repository that moved on its own host is followed, with its token.
func TestRedirectOnTheSameHost(t *testing.T) {
	r := sample(t)
	s := gittest.ServeHTTP(t, r.Root(), gittest.HTTPOptions{Version: gittest.V2, Token: canary}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if rest, ok := strings.CutPrefix(r.URL.Path, "/old"); ok {
				http.Redirect(w, r, rest+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	if err := everything(t.Context(), wire.Endpoint{URL: s.URL + "/old/" + r.Name(), Token: canary}, config()); err != nil {
		t.Error(err)
	}
}

func TestVanishedWant(t *testing.T) {
	for _, v := range []gittest.Version{gittest.V2, gittest.V0} {
		r := sample(t)
		r.Commit(t, "refs/heads/side", map[string]string{"s": "1"})
		s := gittest.ServeHTTP(t, r.Root(), gittest.HTTPOptions{Version: v}, gittest.OnFetch(func(int) {
			r.Git(t, "update-ref", "-d", "refs/heads/side")
			r.Prune(t)
		}))
		err := everything(t.Context(), wire.Endpoint{URL: s.URL + "/" + r.Name()}, config())
		check(t, err, escrow.Unavailable, "not our ref")
		if !errors.Is(err, wire.ErrNotOurRef) {
			t.Errorf("v%d: %v is not ErrNotOurRef", v, err)
		}
	}
}

func TestShallowSource(t *testing.T) {
	someServers(t, func(t *testing.T, s server, r *gittest.Repo) {
		full := gittest.NewRepo(t, r.Format)
		full.Commit(t, "refs/heads/main", map[string]string{"a": "1"})
		full.Commit(t, "refs/heads/main", map[string]string{"a": "2"})
		r.Git(t, "fetch", "-q", "--depth=1", "file://"+full.Dir, "main:main")
		err := everything(t.Context(), s.open(t, r), config())
		if !errors.Is(err, wire.ErrShallow) {
			t.Fatalf("a shallow source: %v", err)
		}
		check(t, err, escrow.Invalid, "shallow")
	})
}

// An object that the source itself lacks: the server breaks off and says so.
func TestObjectMissingAtSource(t *testing.T) {
	someServers(t, func(t *testing.T, s server, r *gittest.Repo) {
		r.Commit(t, "refs/heads/main", map[string]string{"a": "1", "b": "2"})
		blob := r.Git(t, "rev-parse", "main:b")
		if err := os.Remove(filepath.Join(r.Dir, "objects", blob[:2], blob[2:])); err != nil {
			t.Fatal(err)
		}
		check(t, everything(t.Context(), s.open(t, r), config()), escrow.Unavailable, "the server said", "corruption on the remote side")
	})
}

func TestSSHFaults(t *testing.T) {
	r := sample(t)
	s := gittest.ServeSSH(t, r.Root(), gittest.SSHOptions{Version: gittest.V2, RSA: true})
	good := wire.Endpoint{URL: s.URL("/" + r.Name()), Key: wire.Secret(s.ClientKey), HostKeys: s.HostKeys[1]}
	if err := everything(t.Context(), good, config()); err != nil {
		t.Fatalf("pinned RSA key of a server that prefers another: %v", err)
	}
	stranger, strangerLine, _ := gittest.NewKey(t)
	wrongPin := good
	wrongPin.HostKeys = strangerLine
	check(t, everything(t.Context(), wrongPin, config()), escrow.Unauthenticated, "another key than the pinned one", "SHA256:")
	both := good
	both.HostKeys = strangerLine + "\n" + s.HostKeys[0] + "\n"
	if err := everything(t.Context(), both, config()); err != nil {
		t.Errorf("one of two pinned keys: %v", err)
	}
	wrongKey := good
	wrongKey.Key = wire.Secret(stranger)
	check(t, everything(t.Context(), wrongKey, config()), escrow.Unauthenticated, "does not take the deploy key")
	missing := good
	missing.URL = s.URL("/none.git")
	check(t, everything(t.Context(), missing, config()), escrow.NotFound, "does not appear to be a git repository")
	quote := good
	quote.URL = s.URL("/no'ne.git")
	check(t, everything(t.Context(), quote, config()), escrow.NotFound, "/no'ne.git")
	forge := gittest.ServeSSH(t, r.Root(), gittest.SSHOptions{Message: "ERROR: Repository not found."})
	check(t, everything(t.Context(), wire.Endpoint{URL: forge.URL("/x.git"), Key: wire.Secret(forge.ClientKey), HostKeys: forge.HostKeys[0]}, config()),
		escrow.NotFound, "the server said: ERROR: Repository not found.")
	noType := good
	noType.URL = forge.URL("/" + r.Name())
	check(t, everything(t.Context(), noType, config()), escrow.Unauthenticated, "no key of the pinned type")
}

func TestSilentServers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := config()
	cfg.Limits = wire.Limits{Idle: 100 * time.Millisecond, Dial: 100 * time.Millisecond}
	key, line, _ := gittest.NewKey(t)
	for _, e := range []wire.Endpoint{
		{URL: "http://" + l.Addr().String() + "/x.git"},
		{URL: "https://" + l.Addr().String() + "/x.git", Token: canary},
		{URL: "git://" + l.Addr().String() + "/x.git"},
		{URL: "ssh://" + l.Addr().String() + "/x.git", Key: wire.Secret(key), HostKeys: line},
	} {
		start := time.Now()
		check(t, everything(t.Context(), e, cfg), escrow.Unavailable)
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%s: gave up after %v", e, d)
		}
	}
}

func TestUnreachable(t *testing.T) {
	key, line, _ := gittest.NewKey(t)
	for _, e := range []wire.Endpoint{
		{URL: "http://127.0.0.1:1/x.git", Token: canary},
		{URL: "https://127.0.0.1:1/x.git", Token: canary},
		{URL: "git://127.0.0.1:1/x.git"},
		{URL: "ssh://127.0.0.1:1/x.git", Key: wire.Secret(key), HostKeys: line},
	} {
		check(t, everything(t.Context(), e, config()), escrow.Unavailable, "refused", "127.0.0.1:1/x.git")
	}
	check(t, everything(t.Context(), wire.Endpoint{URL: "/nowhere/x.git"}, config()), escrow.NotFound, "no such file")
	check(t, everything(t.Context(), wire.Endpoint{URL: t.TempDir()}, config()), escrow.NotFound, "does not appear to be a git repository")
	check(t, everything(t.Context(), wire.Endpoint{URL: t.TempDir()}, wire.Config{Dial: dial}), escrow.Invalid, "may not be read")
	base := gittest.ServeDaemon(t, t.TempDir(), gittest.V2)
	check(t, everything(t.Context(), wire.Endpoint{URL: base + "/none.git"}, config()), escrow.NotFound, "not exported")
	refuse := config()
	refuse.Dial = func(context.Context, string, string) (net.Conn, error) {
		return nil, escrow.Errorf(escrow.Forbidden, "10.0.0.1 is a private address").WithHint("allow it")
	}
	check(t, everything(t.Context(), wire.Endpoint{URL: "https://example.org/x.git", Token: canary}, refuse), escrow.Forbidden, "private address")
}

// Cancelling ends every kind of connection at once, at any point.
func TestCancel(t *testing.T) {
	r := sample(t)
	for _, s := range servers() {
		if !strings.HasSuffix(s.name, "v2") && s.name != "local" {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c, err := wire.Open(ctx, s.open(t, r), config())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			l := list(t, c)
			cancel()
			p, err := c.Fetch(oids(l.Refs), nil)
			if err == nil {
				_, err = io.Copy(io.Discard, p)
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("after cancelling: %v", err)
			}
		})
	}
}

// Over TLS, with HTTP/2: the certificate decides, and only the roots given.
func TestTLS(t *testing.T) {
	r := sample(t)
	h, err := gittest.HTTPHandler(r.Root(), gittest.HTTPOptions{Version: gittest.V2, Token: canary})
	if err != nil {
		t.Fatal(err)
	}
	var protocol string
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocol = r.Proto
		h.ServeHTTP(w, r)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	e := wire.Endpoint{URL: s.URL + "/" + r.Name(), Token: canary}
	check(t, everything(t.Context(), e, config()), escrow.Unauthenticated, "certificate")
	cfg := config()
	cfg.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
	cfg.TLS.RootCAs.AddCert(s.Certificate())
	if err := everything(t.Context(), e, cfg); err != nil {
		t.Error(err)
	}
	if protocol != "HTTP/2.0" {
		t.Errorf("spoken over %s", protocol)
	}
}

func TestRunSSH(t *testing.T) {
	s := gittest.ServeSSH(t, t.TempDir(), gittest.SSHOptions{Commands: map[string]string{"hello 'you'": "hi"}})
	e := wire.Endpoint{URL: s.URL("/x.git"), Key: wire.Secret(s.ClientKey), HostKeys: s.HostKeys[0]}
	out, err := wire.RunSSH(t.Context(), e, config(), "hello 'you'")
	if err != nil || string(out) != "hi" {
		t.Errorf("%q, %v", out, err)
	}
	_, err = wire.RunSSH(t.Context(), e, config(), "other")
	check(t, err, escrow.NotFound, "not found")
	_, strange, _ := gittest.NewKey(t)
	e.HostKeys = strange
	_, err = wire.RunSSH(t.Context(), e, config(), "hello 'you'")
	check(t, err, escrow.Unauthenticated, "another key")
	_, err = wire.RunSSH(t.Context(), wire.Endpoint{URL: "https://h/x"}, config(), "x")
	check(t, err, escrow.Invalid)
}
