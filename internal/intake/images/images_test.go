package images_test

import (
	"bytes"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/images"
)

// vault keeps what is sealed as it is: sealing itself is tested where it lives.
type vault struct{ objects map[string][]byte }

type envelope struct {
	v    *vault
	role string
	buf  bytes.Buffer
}

func (v *vault) Create(_ context.Context, role string) (images.Envelope, error) {
	return &envelope{v: v, role: role}, nil
}

func (e *envelope) Write(p []byte) (int, error) { return e.buf.Write(p) }
func (e *envelope) Finish() error               { return nil }
func (e *envelope) Abort()                      {}
func (e *envelope) Commit(context.Context) (evidence.ObjectEntry, error) {
	data := append([]byte("sealed "), e.buf.Bytes()...)
	n := evidence.Digest(data)
	e.v.objects[n] = data
	return evidence.ObjectEntry{Name: n, Size: int64(len(data)), Role: e.role, Plain: int64(e.buf.Len())}, nil
}

func (v *vault) open(_ context.Context, name string) (io.ReadCloser, error) {
	data, ok := v.objects[name]
	if !ok {
		return nil, escrow.Errorf(escrow.Missing, "object %s is not held", name)
	}
	return io.NopCloser(bytes.NewReader(data[len("sealed "):])), nil
}

// chain makes deposits one after the other from one source.
type chain struct {
	t        *testing.T
	vault    *vault
	state    *images.State
	deposits []images.Deposit
	exclude  []string
}

func newChain(t *testing.T) *chain { return &chain{t: t, vault: &vault{objects: map[string][]byte{}}} }

func (c *chain) try(source images.Source) (*images.Result, error) {
	return images.Sync(context.Background(), images.Options{Source: source, Vault: c.vault, Previous: c.state, Exclude: c.exclude, MaxBlob: 64 << 20, MaxBytes: 256 << 20})
}

func (c *chain) sync(source images.Source) *images.Result {
	c.t.Helper()
	r, err := c.try(source)
	if err != nil {
		c.t.Fatal(err)
	}
	if r.Unchanged {
		return r
	}
	data, err := r.State.Encode()
	if err != nil {
		c.t.Fatal(err)
	}
	if c.state, err = images.ParseState(data); err != nil {
		c.t.Fatal(err)
	}
	set := r.Objects[0]
	if set.Role != images.RoleSet {
		c.t.Errorf("the first object is %+v", set)
	}
	c.deposits = append(c.deposits, images.Deposit{Number: len(c.deposits) + 1,
		Set:    func(ctx context.Context) (io.ReadCloser, error) { return c.vault.open(ctx, set.Name) },
		Object: c.vault.open})
	return r
}

func (c *chain) restore(deposits []images.Deposit) (string, *images.Restored) {
	c.t.Helper()
	dir := filepath.Join(c.t.TempDir(), "layout")
	r, err := images.Restore(context.Background(), dir, deposits, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return dir, r
}

// server is a real registry.
type server struct {
	t    *testing.T
	repo name.Repository
	url  string
	http *httptest.Server
}

func newServer(t *testing.T, wrap func(http.Handler) http.Handler) *server {
	t.Helper()
	h := http.Handler(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	if wrap != nil {
		h = wrap(h)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	repo, err := name.NewRepository(strings.TrimPrefix(s.URL, "http://")+"/team/app", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return &server{t, repo, s.URL + "/team/app", s}
}

func (s *server) push(tag string, what remote.Taggable) {
	s.t.Helper()
	var err error
	switch what := what.(type) {
	case v1.ImageIndex:
		err = remote.WriteIndex(s.repo.Tag(tag), what)
	case v1.Image:
		err = remote.Write(s.repo.Tag(tag), what)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) source(suffix, credential string) *images.Registry {
	s.t.Helper()
	r, err := images.NewRegistry(images.RegistryOptions{Address: s.url + suffix, Credential: credential, Transport: http.DefaultTransport})
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func image(t *testing.T, layers int64) v1.Image {
	t.Helper()
	m, err := random.Image(20_000, layers)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func platforms(t *testing.T, names ...string) (v1.ImageIndex, []v1.Image) {
	t.Helper()
	var idx v1.ImageIndex = empty.Index
	var list []v1.Image
	for _, n := range names {
		os, arch, _ := strings.Cut(n, "/")
		m := image(t, 2)
		config, err := m.ConfigFile()
		if err == nil {
			config.OS, config.Architecture = os, arch
			m, err = mutate.ConfigFile(m, config)
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, m)
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{Add: m, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: os, Architecture: arch}}})
	}
	return idx, list
}

func digest(t *testing.T, d interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	h, err := d.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h.String()
}

// load reads a layout with the reference implementation and validates every
// image in it: each blob against its digest, each diff id against its layer.
func load(t *testing.T, dir string) map[string]string {
	t.Helper()
	idx, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(idx); err != nil {
		t.Errorf("the restored layout: %v", err)
	}
	m, err := idx.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, d := range m.Manifests {
		out[d.Annotations["org.opencontainers.image.ref.name"]] = d.Digest.String()
	}
	return out
}

func TestRegistry(t *testing.T) {
	s := newServer(t, nil)
	first, idx := image(t, 3), v1.ImageIndex(nil)
	idx, _ = platforms(t, "linux/amd64", "linux/arm64")
	s.push("1.0", first)
	s.push("multi", idx)
	c := newChain(t)
	r := c.sync(s.source("", ""))
	if r.Kind != escrow.FullDeposit || r.Summary.Images != 2 || r.Summary.New != 2 || len(r.Missing) != 0 || len(r.Objects) != 1+3+4 {
		t.Errorf("first: %s, %+v, %d objects, missing %v", r.Kind, r.Summary, len(r.Objects), r.Missing)
	}
	if r := c.sync(s.source("", "")); !r.Unchanged {
		t.Errorf("unchanged: %+v", r)
	}
	// A tag moves to an image that shares its layers but one: one layer is new.
	layer, err := random.Layer(20_000, "application/vnd.docker.image.rootfs.diff.tar.gzip")
	if err != nil {
		t.Fatal(err)
	}
	second, err := mutate.AppendLayers(first, layer)
	if err != nil {
		t.Fatal(err)
	}
	s.push("1.0", second)
	s.push("1.1", second)
	r = c.sync(s.source("", ""))
	want := []evidence.RefChange{{Ref: "1.0", Kind: evidence.RefTagMoved, Old: digest(t, first), New: digest(t, second)}}
	if r.Kind != escrow.IncrementalDeposit || len(r.Objects) != 2 || !slices.Equal(r.Summary.Changes, want) || r.Summary.New != 1 {
		t.Errorf("second: %s, %d objects, %+v", r.Kind, len(r.Objects), r.Summary)
	}
	if err := remote.Delete(s.repo.Tag("multi")); err != nil {
		t.Fatal(err)
	}
	if r = c.sync(s.source("", "")); len(r.Objects) != 1 || len(r.Summary.Changes) != 1 || r.Summary.Changes[0].Kind != evidence.RefDeleted {
		t.Errorf("third: %d objects, %+v", len(r.Objects), r.Summary)
	}

	dir, restored := c.restore(c.deposits)
	got := load(t, dir)
	if len(got) != 2 || got["1.0"] != digest(t, second) || got["1.1"] != digest(t, second) || len(restored.Missing) != 0 {
		t.Errorf("restored %v, missing %v", got, restored.Missing)
	}
	// What was before stays restorable, platforms and all, byte by byte.
	dir, _ = c.restore(c.deposits[:1])
	got = load(t, dir)
	if got["1.0"] != digest(t, first) || got["multi"] != digest(t, idx) {
		t.Errorf("at the first deposit: %v", got)
	}
	p, err := layout.FromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := p.Bytes(v1.Hash{Algorithm: "sha256", Hex: strings.TrimPrefix(digest(t, idx), "sha256:")})
	if original, rerr := idx.RawManifest(); err != nil || rerr != nil || !bytes.Equal(raw, original) {
		t.Errorf("the index is not byte by byte what it was: %v %v", err, rerr)
	}
	// And the layout is a source itself: a depositor pushes from it.
	l, err := images.OpenLayout(dir)
	if err != nil {
		t.Fatal(err)
	}
	again := newChain(t)
	again.sync(l)
	dir, _ = again.restore(again.deposits)
	if got := load(t, dir); got["multi"] != digest(t, idx) {
		t.Errorf("through a layout: %v", got)
	}
}

func TestOneReference(t *testing.T) {
	s := newServer(t, nil)
	a, b := image(t, 1), image(t, 1)
	s.push("a", a)
	s.push("b", b)
	for suffix, want := range map[string]string{":a": "a", "@" + digest(t, b): ""} {
		c := newChain(t)
		c.sync(s.source(suffix, ""))
		dir, _ := c.restore(c.deposits)
		got := load(t, dir)
		if _, ok := got[want]; len(got) != 1 || !ok {
			t.Errorf("%s: %v", suffix, got)
		}
	}
}

// TestLeftOut: tags and platforms are left out as agreed; the index stays what
// it was, and the restorer says what is not there.
func TestLeftOut(t *testing.T) {
	s := newServer(t, nil)
	idx, list := platforms(t, "linux/amd64", "linux/s390x")
	s.push("1.0", idx)
	s.push("1.0-rc1", image(t, 1))
	c := newChain(t)
	c.exclude = []string{"*-rc*", "platform:linux/s390x"}
	r := c.sync(s.source("", ""))
	if r.Summary.Images != 1 || r.Summary.LeftOut != 1 || len(r.Objects) != 1+2 || len(r.Missing) != 0 {
		t.Errorf("%+v, %d objects", r.Summary, len(r.Objects))
	}
	dir, restored := c.restore(c.deposits)
	if !slices.Equal(restored.Missing, []string{digest(t, list[1])}) {
		t.Errorf("missing %v", restored.Missing)
	}
	root, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	top, _ := idx.Digest()
	h, _ := list[0].Digest()
	inner, err := root.ImageIndex(top)
	if err != nil {
		t.Fatal(err)
	}
	m, err := inner.Image(h)
	if err == nil {
		err = validate.Image(m)
	}
	if err != nil {
		t.Errorf("the platform that is there: %v", err)
	}
	// Taken back in, it comes with the next deposit.
	c.exclude = nil
	if r := c.sync(s.source("", "")); r.Unchanged || len(r.Objects) != 1+2+1 {
		t.Errorf("after the exclusion ended: %+v", r)
	}
	dir, _ = c.restore(c.deposits)
	load(t, dir)
}

// lying changes what a registry answers.
type lying struct {
	next   http.Handler
	change func(r *http.Request, body []byte) ([]byte, int)
}

func (l lying) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := httptest.NewRecorder()
	l.next.ServeHTTP(rec, r)
	body, status := rec.Body.Bytes(), rec.Code
	if r.Method == http.MethodGet && rec.Code == http.StatusOK {
		body, status = l.change(r, body)
	}
	for k, v := range rec.Header() {
		if k != "Content-Length" || len(body) == rec.Body.Len() {
			w.Header()[k] = v
		}
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func TestLyingRegistries(t *testing.T) {
	flip := func(body []byte) []byte { b := bytes.Clone(body); b[len(b)/2] ^= 1; return b }
	for what, c := range map[string]struct {
		change func(r *http.Request, body []byte) ([]byte, int)
		code   escrow.Code
	}{
		"a changed blob": {func(r *http.Request, b []byte) ([]byte, int) {
			if strings.Contains(r.URL.Path, "/blobs/") {
				return flip(b), 200
			}
			return b, 200
		}, ""},
		"a short blob": {func(r *http.Request, b []byte) ([]byte, int) {
			if strings.Contains(r.URL.Path, "/blobs/") {
				return b[:len(b)-1], 200
			}
			return b, 200
		}, ""},
		"a changed manifest": {func(r *http.Request, b []byte) ([]byte, int) {
			if strings.Contains(r.URL.Path, "/manifests/sha256") {
				return bytes.Replace(b, []byte("{"), []byte("{ "), 1), 200
			}
			return b, 200
		}, ""},
		"no manifest at all": {func(r *http.Request, b []byte) ([]byte, int) {
			if strings.Contains(r.URL.Path, "/manifests/") {
				return []byte("<html>"), 200
			}
			return b, 200
		}, ""},
		"a secret in an error": {func(r *http.Request, b []byte) ([]byte, int) {
			return []byte(`{"errors":[{"code":"DENIED","message":"CANARY"}]}`), http.StatusForbidden
		}, escrow.Forbidden},
	} {
		t.Run(what, func(t *testing.T) {
			var on atomic.Bool
			s := newServer(t, func(next http.Handler) http.Handler {
				return lying{next, func(r *http.Request, b []byte) ([]byte, int) {
					if !on.Load() {
						return b, 200
					}
					return c.change(r, b)
				}}
			})
			s.push("1.0", image(t, 1))
			on.Store(true)
			ch := newChain(t)
			_, err := ch.try(s.source(":1.0", "user:CANARY"))
			if err == nil || c.code != "" && escrow.CodeOf(err) != c.code || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("%v", err)
			}
			for name, data := range ch.vault.objects {
				if strings.Contains(string(data), "image-set") {
					t.Errorf("object %s was kept", name)
				}
			}
		})
	}
}

// TestMissingBlob: what the source itself has lost makes the deposit
// incomplete, and is asked for again.
func TestMissingBlob(t *testing.T) {
	var hide atomic.Value
	hide.Store("nothing")
	s := newServer(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, hide.Load().(string)) {
				http.NotFound(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	m := image(t, 2)
	s.push("1.0", m)
	layers, err := m.Layers()
	if err != nil {
		t.Fatal(err)
	}
	lost := digest(t, layers[1])
	hide.Store(lost)
	c := newChain(t)
	if r := c.sync(s.source("", "")); !slices.Equal(r.Missing, []string{"blob " + lost}) {
		t.Errorf("missing %v", r.Missing)
	}
	if _, restored := c.restore(c.deposits); !slices.Equal(restored.Missing, []string{lost}) {
		t.Errorf("restored without %v", restored.Missing)
	}
	hide.Store("nothing")
	if r := c.sync(s.source("", "")); r.Unchanged || len(r.Missing) != 0 || len(r.Objects) != 2 {
		t.Errorf("after it came back: %+v", r)
	}
	dir, _ := c.restore(c.deposits)
	load(t, dir)
}

// TestCredentialStaysHome: a registry that sends us elsewhere for a token does
// not get the password sent there.
func TestCredentialStaysHome(t *testing.T) {
	var stolen atomic.Bool
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); ok {
			stolen.Store(true)
		}
		_, _ = io.WriteString(w, `{"token":"t"}`)
	}))
	t.Cleanup(thief.Close)
	elsewhere := strings.Replace(thief.URL, "127.0.0.1", "localhost", 1)
	s := newServer(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+elsewhere+`/token",service="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		})
	})
	if _, err := newChain(t).try(s.source(":1.0", "user:CANARY")); escrow.CodeOf(err) != escrow.Forbidden {
		t.Errorf("%v", err)
	}
	if stolen.Load() {
		t.Error("the password was sent to another host")
	}
	// To its own host it goes.
	var asked atomic.Bool
	home := newServer(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, password, ok := r.BasicAuth()
			if !ok || user != "user" || password != "CANARY" {
				w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			asked.Store(true)
			next.ServeHTTP(w, r)
		})
	})
	if _, err := newChain(t).try(home.source(":none", "user:CANARY")); escrow.CodeOf(err) != escrow.Missing || !asked.Load() {
		t.Errorf("%v", err)
	}
	if _, err := newChain(t).try(home.source(":none", "user:wrong")); escrow.CodeOf(err) != escrow.Forbidden || strings.Contains(err.Error(), "wrong") {
		t.Errorf("%v", err)
	}
}

func TestAddresses(t *testing.T) {
	for _, bad := range []string{"", "registry.example/app", "ssh://registry.example/app", "https://u:p@registry.example/app", "https://registry.example/app?x=1", "https://registry.example/",
		"https://registry.example/App Name", "https://registry.example/app@sha256:zz", "https:///app"} {
		if _, err := images.NewRegistry(images.RegistryOptions{Address: bad, Transport: http.DefaultTransport}); escrow.CodeOf(err) != escrow.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestDamagedDeposits: what was changed in the vault does not come out.
func TestDamagedDeposits(t *testing.T) {
	s := newServer(t, nil)
	s.push("1.0", image(t, 1))
	c := newChain(t)
	r := c.sync(s.source("", ""))
	for i, o := range r.Objects {
		good := c.vault.objects[o.Name]
		bad := bytes.Clone(good)
		if bad[len(bad)/2] ^= 1; i == 0 {
			bad = good[:len(good)-1] // a set whose seal was broken is not even read; one that is cut off is
		}
		c.vault.objects[o.Name] = bad
		if _, err := images.Restore(t.Context(), filepath.Join(t.TempDir(), "x"), c.deposits, nil); escrow.CodeOf(err) != escrow.Damaged {
			t.Errorf("object %d changed: %v", i, err)
		}
		delete(c.vault.objects, o.Name)
		if _, err := images.Restore(t.Context(), filepath.Join(t.TempDir(), "x"), c.deposits, nil); escrow.CodeOf(err) != escrow.Missing {
			t.Errorf("object %d gone: %v", i, err)
		}
		c.vault.objects[o.Name] = good
	}
}

func FuzzReadSet(f *testing.F) {
	f.Add([]byte(`{"format":"holdfast-images/v1","source":"r/x","images":[{"name":"1.0","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","media_type":"m","size":1}],"blobs":[{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0}]}`))
	f.Add([]byte(`{"format":"holdfast-images/v1","source":"","images":[],"blobs":[]} x`))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := images.ReadSet(bytes.NewReader(data))
		if err != nil {
			return
		}
		dir := filepath.Join(t.TempDir(), "layout")
		d := images.Deposit{Number: 1, Set: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
			Object: func(context.Context, string) (io.ReadCloser, error) {
				return nil, escrow.Errorf(escrow.Missing, "none")
			}}
		_, _ = images.Restore(t.Context(), dir, []images.Deposit{d}, nil)
		entries, _ := os.ReadDir(filepath.Join(dir, "blobs", "sha256"))
		if len(entries) > len(set.Blobs) {
			t.Errorf("%d files of %d blobs", len(entries), len(set.Blobs))
		}
	})
}
