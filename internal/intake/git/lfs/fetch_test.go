package lfs_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/lfs"
	"holdfast/internal/intake/git/lfs/pointer"
)

// vault keeps what was committed and counts what is open.
type vault struct {
	mu      sync.Mutex
	stored  map[string]string // by hash of the content
	open    int
	aborted int
	full    bool // Write fails
	create  error
}

func newVault() *vault { return &vault{stored: map[string]string{}} }

type envelope struct {
	v        *vault
	buf      bytes.Buffer
	finished bool
	closed   bool
}

func (v *vault) Create(context.Context) (lfs.Envelope, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.create != nil {
		return nil, v.create
	}
	v.open++
	return &envelope{v: v}, nil
}

func (e *envelope) Write(p []byte) (int, error) {
	if e.v.full {
		return 0, escrow.Errorf(escrow.Full, "no room").WithHint("make room")
	}
	return e.buf.Write(p)
}

func (e *envelope) Finish() error { e.finished = true; return nil }

func (e *envelope) Commit(context.Context) (evidence.ObjectEntry, error) {
	if !e.finished || e.closed {
		return evidence.ObjectEntry{}, errors.New("committed out of turn")
	}
	e.v.mu.Lock()
	defer e.v.mu.Unlock()
	e.closed = true
	e.v.open--
	name := evidence.Digest(e.buf.Bytes())
	e.v.stored[name] = e.buf.String()
	return evidence.ObjectEntry{Name: evidence.Digest([]byte("sealed" + name)), Size: int64(e.buf.Len()) + 1, Role: "lfs", Plain: int64(e.buf.Len())}, nil
}

func (e *envelope) Abort() {
	e.v.mu.Lock()
	defer e.v.mu.Unlock()
	if !e.closed {
		e.closed = true
		e.v.open--
		e.v.aborted++
	}
}

func want(contents ...string) []pointer.Pointer {
	var list []pointer.Pointer
	for _, c := range contents {
		list = append(list, pointer.Pointer{OID: evidence.Digest([]byte(c)), Size: int64(len(c))})
	}
	return list
}

// options are those of a source at the server, with its token.
func (s *server) options(t testing.TB, v *vault) lfs.Options {
	t.Helper()
	return lfs.Options{
		Endpoint: func(context.Context) (lfs.Endpoint, error) {
			return lfs.FromHTTP(s.api.URL+"/group/repo", "", "", s.token)
		},
		Client: &http.Client{Transport: &http.Transport{DisableCompression: true}},
		Create: v.Create,
		Wait:   func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
}

func fetch(t *testing.T, opts lfs.Options, wanted []pointer.Pointer) *lfs.Result {
	t.Helper()
	r, err := lfs.Fetch(t.Context(), opts, wanted)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// reason returns why the object with this content is missing.
func reason(r *lfs.Result, content string) string {
	for _, m := range r.Missing {
		if m.OID == evidence.Digest([]byte(content)) {
			return m.Reason
		}
	}
	return ""
}

func TestFetch(t *testing.T) {
	t.Parallel()
	s, v := newServer(t), newVault()
	var contents []string
	for i := range 250 {
		c := fmt.Sprintf("object %d %s", i, strings.Repeat("x", i*40))
		contents = append(contents, c)
		s.put(c)
	}
	s.put("wrong size")
	s.errors[s.put("gone")] = 410
	s.errors[s.put("refused")] = 422
	wanted := append(want(contents...), want("gone", "refused", "never", contents[0])...)
	wanted = append(wanted, pointer.Pointer{OID: evidence.Digest([]byte("wrong size")), Size: 3}, pointer.Pointer{OID: "../../etc/passwd", Size: 1})
	opts := s.options(t, v)
	done := 0
	opts.Progress = func(n, of int) {
		if done++; n != done || of != 255 {
			t.Errorf("progress %d of %d after %d", n, of, done)
		}
	}
	r := fetch(t, opts, wanted)
	if len(r.Held) != 250 || len(v.stored) != 250 || v.open != 0 || done != 255 {
		t.Errorf("held %d, stored %d, open %d, told %d", len(r.Held), len(v.stored), v.open, done)
	}
	for _, h := range r.Held {
		if got := v.stored[h.OID]; int64(len(got)) != h.Size || evidence.Digest([]byte(got)) != h.OID || h.Entry.Role != "lfs" || h.Entry.Plain != h.Size {
			t.Fatalf("%+v holds %.40q", h, got)
		}
	}
	for content, says := range map[string]string{"gone": "410", "refused": "422", "never": "404", "wrong size": "10 bytes"} {
		if got := reason(r, content); !strings.Contains(got, says) {
			t.Errorf("%s: %q", content, got)
		}
	}
	if len(r.Missing) != 5 {
		t.Errorf("missing: %+v", r.Missing)
	}
	if len(s.batches) != 3 || s.batches[0] != 100 || s.batches[1] != 100 {
		t.Errorf("batches of %v", s.batches)
	}
	for _, m := range r.Missing {
		if strings.Contains(m.Reason, "CANARY") || strings.Contains(m.Reason, "127.0.0.1") {
			t.Errorf("reason %q", m.Reason)
		}
	}
	// The source's token went to the API, and to no other host.
	storage := s.storage.Listener.Addr().String()
	for _, req := range s.requests {
		if req.Host == storage && (req.Header.Get("Authorization") != "" || strings.Contains(fmt.Sprint(req.Header), "tok-CANARY")) {
			t.Fatalf("the storage host got %v", req.Header)
		}
	}
}

// TestAltered: what does not hash to its id is listed, and nothing of it is
// stored; neither is what comes too short, too long or compressed.
func TestAltered(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		serve func(w http.ResponseWriter)
		says  string
	}{
		"other bytes":           {func(w http.ResponseWriter) { _, _ = io.WriteString(w, "0bject") }, "another hash"},
		"too long, length said": {func(w http.ResponseWriter) { _, _ = io.WriteString(w, "object and more") }, "15 bytes under this id, not 6"},
		"too long, in chunks": {func(w http.ResponseWriter) {
			for range 10 {
				_, _ = io.WriteString(w, "object")
				w.(http.Flusher).Flush()
			}
		}, "more than 6 bytes"},
		"too short, in chunks": {func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, "obj")
			w.(http.Flusher).Flush()
		}, "breaks off"},
		"cut": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "6")
			_, _ = io.WriteString(w, "obj")
			panic(http.ErrAbortHandler)
		}, "breaks off"},
		"404":           {func(w http.ResponseWriter) { w.WriteHeader(404) }, "404"},
		"500":           {func(w http.ResponseWriter) { w.WriteHeader(500) }, "500"},
		"403":           {func(w http.ResponseWriter) { w.WriteHeader(403) }, "403"},
		"no content":    {func(w http.ResponseWriter) { w.WriteHeader(204) }, "204"},
		"partial":       {func(w http.ResponseWriter) { w.WriteHeader(206); _, _ = io.WriteString(w, "object") }, "206"},
		"an error page": {func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<html>") }, "another hash"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, v := newServer(t), newVault()
			s.put("object")
			s.put("sound")
			bad := evidence.Digest([]byte("object"))
			s.intercept = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, bad) {
					return false
				}
				c.serve(w)
				return true
			}
			r := fetch(t, s.options(t, v), want("object", "sound"))
			if got := reason(r, "object"); !strings.Contains(got, c.says) {
				t.Errorf("reason %q, want %q", got, c.says)
			}
			if len(r.Held) != 1 || len(v.stored) != 1 || v.stored[evidence.Digest([]byte("sound"))] != "sound" || v.open != 0 {
				t.Errorf("held %v, stored %v, open %d", r.Held, v.stored, v.open)
			}
		})
	}
}

// TestTriesAgain: a connection that breaks and an address that has expired
// are asked for anew.
func TestTriesAgain(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]func(w http.ResponseWriter){
		"cut":     func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"expired": func(w http.ResponseWriter) { w.WriteHeader(403) },
		"busy":    func(w http.ResponseWriter) { w.WriteHeader(429) },
	} {
		s, v := newServer(t), newVault()
		s.put("object")
		var n atomic.Int64
		s.intercept = func(w http.ResponseWriter, _ *http.Request) bool {
			if n.Add(1) == 1 {
				first(w)
				return true
			}
			return false
		}
		r := fetch(t, s.options(t, v), want("object"))
		if len(r.Held) != 1 || len(s.batches) != 2 || v.open != 0 {
			t.Errorf("%s: %+v after %d batches", name, r, len(s.batches))
		}
	}
}

// TestAPIFails: whatever the API does, the result lists every object with a
// reason, and there is no error.
func TestAPIFails(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the other host was asked") }))
	defer other.Close()
	answer := func(text string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool { _, _ = io.WriteString(w, text); return true }
	}
	status := func(code int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(code); return true }
	}
	for name, c := range map[string]struct {
		hook func(http.ResponseWriter, *http.Request) bool
		says string
	}{
		"401":            {status(401), "credential (401)"},
		"403":            {status(403), "credential (403)"},
		"404":            {status(404), "no LFS server"},
		"500":            {status(500), "fails (500)"},
		"html":           {answer("<html>login</html>"), "not JSON"},
		"empty":          {answer(""), "not JSON"},
		"nothing":        {answer("{}"), "says nothing"},
		"other transfer": {answer(`{"transfer":"tus","objects":[]}`), "transfer"},
		"other hash":     {answer(`{"hash_algo":"sha512","objects":[]}`), "hash"},
		"no action":      {answer(`{"objects":[{"oid":"` + evidence.Digest([]byte("object")) + `"}]}`), "no download"},
		"too long":       {answer(`{"x":"` + strings.Repeat("x", 5<<20) + `"}`), "too long"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
			return true
		}, "redirects the request"},
		"redirect to get": {func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
			return true
		}, "redirects the request"},
		"redirect loop": {func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
			return true
		}, "more than 5 times"},
		"cut": {func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }, "cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			s, v := newServer(t), newVault()
			s.put("object")
			var calls atomic.Int64
			s.batchHook = func(w http.ResponseWriter, r *http.Request) bool { calls.Add(1); return c.hook(w, r) }
			r := fetch(t, s.options(t, v), append(want("object"), manyPointers(300)...))
			if got := reason(r, "object"); !strings.Contains(got, c.says) || strings.Contains(got, "127.0.0.1") {
				t.Errorf("reason %q, want %q", got, c.says)
			}
			if len(r.Held) != 0 || len(r.Missing) != 301 || len(v.stored) != 0 {
				t.Errorf("%d held, %d missing", len(r.Held), len(r.Missing))
			}
			if n := calls.Load(); n > 10 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

func manyPointers(n int) []pointer.Pointer {
	var contents []string
	for i := range n {
		contents = append(contents, fmt.Sprint("many ", i))
	}
	return want(contents...)
}

// TestStorageDown: a storage host that is away does not make a long list wait
// object by object.
func TestStorageDown(t *testing.T) {
	t.Parallel()
	s, v := newServer(t), newVault()
	for i := range 300 {
		s.put(fmt.Sprint("many ", i))
	}
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := dead.Addr().String()
	dead.Close()
	s.actionHref = func(oid, _ string) string { return "http://" + address + "/" + oid }
	waits := 0
	var mu sync.Mutex
	opts := s.options(t, v)
	opts.Wait = func(context.Context, time.Duration) error { mu.Lock(); waits++; mu.Unlock(); return nil }
	r := fetch(t, opts, manyPointers(300))
	if len(r.Missing) != 300 || waits > 60 {
		t.Errorf("%d missing after %d waits", len(r.Missing), waits)
	}
}

// TestCredentials: who gets the source's token.
func TestCredentials(t *testing.T) {
	t.Parallel()
	// A download from the API's own host, without a header of its own, needs it.
	s, v := newServer(t), newVault()
	s.sameHost, s.noHeader = true, true
	s.put("object")
	if r := fetch(t, s.options(t, v), want("object")); len(r.Held) != 1 {
		t.Errorf("same host: %+v", r)
	}
	// Another host gets neither the token, nor after a redirect the header
	// that was meant for the first.
	third := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(fmt.Sprint(r.Header), "CANARY") {
			t.Errorf("the host of a redirect got %v", r.Header)
		}
		_, _ = io.WriteString(w, "object")
	}))
	defer third.Close()
	s, v = newServer(t), newVault()
	s.put("object")
	s.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("X-Storage") != "key-CANARY" || r.Header.Get("Authorization") != "" {
			t.Errorf("the storage host got %v", r.Header)
		}
		http.Redirect(w, r, third.URL+"/x", http.StatusFound)
		return true
	}
	if r := fetch(t, s.options(t, v), want("object")); len(r.Held) != 1 {
		t.Errorf("redirect: %+v", r)
	}
	// The API's host redirecting elsewhere does not carry the token along.
	s, v = newServer(t), newVault()
	s.put("object")
	s.actionHref = func(string, string) string { return s.api.URL + "/redirect" }
	s.noHeader = true
	s.batchHook = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/redirect" {
			return false
		}
		if _, token, _ := r.BasicAuth(); token != s.token {
			t.Errorf("the API's own host got %v", r.Header)
		}
		http.Redirect(w, r, third.URL+"/x", http.StatusTemporaryRedirect)
		return true
	}
	if r := fetch(t, s.options(t, v), want("object")); len(r.Held) != 1 {
		t.Errorf("redirect of the API's host: %+v", r)
	}
	// Hostile addresses.
	for _, href := range []string{"", "file:///etc/passwd", "/relative", "ftp://x/y", "http://user:pw@" + s.api.Listener.Addr().String() + "/", "http://", "://"} {
		s, v = newServer(t), newVault()
		s.put("object")
		s.actionHref = func(string, string) string { return href }
		if r := fetch(t, s.options(t, v), want("object")); !strings.Contains(reason(r, "object"), "no usable address") {
			t.Errorf("%q: %+v", href, r)
		}
	}
}

// TestGuardDecides: an address that the client's transport refuses is listed,
// with no word about the address.
func TestGuardDecides(t *testing.T) {
	t.Parallel()
	s, v := newServer(t), newVault()
	s.put("object")
	s.actionHref = func(string, string) string { return "http://169.254.169.254/latest/meta-data/" }
	opts := s.options(t, v)
	tries := 0
	opts.Client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasPrefix(address, "169.254") {
			tries++
			return nil, escrow.Errorf(escrow.Forbidden, "address not allowed").WithHint("x")
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}}
	r := fetch(t, opts, want("object"))
	if got := reason(r, "object"); got != "the LFS server's address is not allowed" || tries != 1 {
		t.Errorf("%q after %d tries", got, tries)
	}
}

// TestOwnFaults: a full disk or an ended context is an error, and what was
// stored before is in the result.
func TestOwnFaults(t *testing.T) {
	t.Parallel()
	s, v := newServer(t), newVault()
	list := manyPointers(20)
	for i := range 20 {
		s.put(fmt.Sprint("many ", i))
	}
	v.full = true
	if _, err := lfs.Fetch(t.Context(), s.options(t, v), list); escrow.CodeOf(err) != escrow.Full || v.open != 0 {
		t.Errorf("full disk: %v, %d open", err, v.open)
	}
	v = newVault()
	v.create = errors.New("no directory")
	if _, err := lfs.Fetch(t.Context(), s.options(t, v), list); err == nil || !strings.Contains(err.Error(), "no directory") {
		t.Errorf("create: %v", err)
	}
	v = newVault()
	ctx, cancel := context.WithCancel(t.Context())
	opts := s.options(t, v)
	opts.Parallel = 1
	opts.Progress = func(n, _ int) {
		if n == 5 {
			cancel()
		}
	}
	r, err := lfs.Fetch(ctx, opts, list)
	if !errors.Is(err, context.Canceled) || len(r.Held) != len(v.stored) || len(r.Held) < 5 || len(r.Held) > 7 || v.open != 0 {
		t.Errorf("cancelled: %v, %d held, %d stored, %d open", err, len(r.Held), len(v.stored), v.open)
	}
	// More than a deposit may have waits for the next one.
	v = newVault()
	opts = s.options(t, v)
	opts.Limit, opts.MaxSize = 15, 6
	r = fetch(t, opts, list)
	if len(r.Held) != 10 || len(r.Missing) != 10 { // "many 0" to "many 9" have 6 bytes
		t.Errorf("%d held, %d missing", len(r.Held), len(r.Missing))
	}
}

func TestLocal(t *testing.T) {
	t.Parallel()
	v := newVault()
	dir := t.TempDir()
	write := func(name, content string) {
		path := filepath.Join(dir, "objects", name[:2], name[2:4], name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(evidence.Digest([]byte("sound")), "sound")
	write(evidence.Digest([]byte("altered")), "alterud")
	write(evidence.Digest([]byte("short")), "shor")
	directory := evidence.Digest([]byte("directory"))
	if err := os.MkdirAll(filepath.Join(dir, "objects", directory[:2], directory[2:4], directory), 0o755); err != nil {
		t.Fatal(err)
	}
	r := fetch(t, lfs.Options{Local: dir, Create: v.Create}, want("sound", "altered", "short", "directory", "never"))
	if len(r.Held) != 1 || r.Held[0].OID != evidence.Digest([]byte("sound")) || len(v.stored) != 1 || v.open != 0 {
		t.Errorf("%+v", r)
	}
	for content, says := range map[string]string{"altered": "another hash", "short": "4 bytes under this id, not 5", "directory": "not a file", "never": "git lfs fetch --all"} {
		if got := reason(r, content); !strings.Contains(got, says) {
			t.Errorf("%s: %q", content, got)
		}
	}
}

// TestGitLFS takes a repository that real git-lfs made and pushed, and finds
// every object of it, first over the API and then in the local directory.
func TestGitLFS(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git-lfs"); err != nil {
		t.Skip("SKIPPED: git-lfs is not installed")
	}
	s := newServer(t)
	dir := filepath.Join(t.TempDir(), "work")
	remote := filepath.Join(t.TempDir(), "remote.git")
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+filepath.Join(filepath.Dir(dir), "config"), "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "HOME="+filepath.Dir(dir),
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.test", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.test")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	git("init", "-q", "-b", "main")
	git("init", "-q", "--bare", remote)
	git("remote", "add", "origin", remote)
	git("lfs", "install", "--local")
	git("lfs", "track", "*.bin")
	git("config", "lfs.url", strings.Replace(s.api.URL, "http://", "http://"+s.user+":"+s.token+"@", 1)+"/group/repo.git/info/lfs")
	git("config", "lfs.locksverify", "false")
	var contents []string
	for i := range 3 {
		contents = append(contents, strings.Repeat(fmt.Sprintf("version %d of a large file\n", i), 5000))
		if err := os.WriteFile(filepath.Join(dir, "film.bin"), []byte(contents[i]), 0o644); err != nil {
			t.Fatal(err)
		}
		git("add", ".")
		git("commit", "-qm", fmt.Sprint("version ", i))
	}
	git("push", "-q", "origin", "main")
	s.mu.Lock()
	pushed := len(s.content)
	s.mu.Unlock()
	if pushed != 3 {
		t.Fatalf("git-lfs pushed %d objects", pushed)
	}
	var wanted []pointer.Pointer
	for i := range contents {
		p, err := pointer.Parse([]byte(git("show", fmt.Sprintf("HEAD~%d:film.bin", i))))
		if err != nil {
			t.Fatal(err)
		}
		wanted = append(wanted, p)
	}
	v := newVault()
	if r := fetch(t, s.options(t, v), wanted); len(r.Held) != 3 || v.stored[evidence.Digest([]byte(contents[2]))] != contents[2] {
		t.Errorf("over the API: %d held, missing %+v", len(r.Held), r.Missing)
	}
	v = newVault()
	if r := fetch(t, lfs.Options{Local: filepath.Join(dir, ".git", "lfs"), Create: v.Create}, wanted); len(r.Held) != 3 {
		t.Errorf("from the directory: %d held, missing %+v", len(r.Held), r.Missing)
	}
}

// TestMemory: a large object streams.
func TestMemory(t *testing.T) {
	s, v := newServer(t), newVault()
	const size = 300 << 20
	sum := sha256.New()
	chunk := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for range size / len(chunk) {
		sum.Write(chunk)
	}
	oid := hex.EncodeToString(sum.Sum(nil))
	s.content[oid] = nil
	s.intercept = func(w http.ResponseWriter, _ *http.Request) bool {
		for range size / len(chunk) {
			if _, err := w.Write(chunk); err != nil {
				return true
			}
		}
		return true
	}
	opts := s.options(t, v)
	opts.Create = func(context.Context) (lfs.Envelope, error) { return &discarding{}, nil }
	before := heap()
	r := fetch(t, opts, []pointer.Pointer{{OID: oid, Size: size}})
	if len(r.Held) != 1 {
		t.Fatalf("%+v", r.Missing)
	}
	if grown := heap() - before; grown > 32<<20 {
		t.Errorf("allocated %d bytes for one object of %d", grown, size)
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

type discarding struct{ n int64 }

func (d *discarding) Write(p []byte) (int, error) { d.n += int64(len(p)); return len(p), nil }
func (d *discarding) Finish() error               { return nil }
func (d *discarding) Abort()                      {}
func (d *discarding) Commit(context.Context) (evidence.ObjectEntry, error) {
	return evidence.ObjectEntry{Plain: d.n}, nil
}
