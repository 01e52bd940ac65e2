package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"holdfast/client"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/gittest"
)

// forgeServer is a forge with Gitea's documented interface over repositories
// that stock git serves, both behind one token.
type forgeServer struct {
	*httptest.Server
	mu      sync.Mutex
	list    []map[string]any
	broken  int // status of the listing, when not 0
	repos   map[string]*gittest.Repo
	refused int
}

const forgeToken = "CANARY-organisation-token"

func newForge(t *testing.T, names ...string) *forgeServer {
	t.Helper()
	f := &forgeServer{repos: map[string]*gittest.Repo{}}
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "acme"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		r := newSource(t, "sha1")
		f.repos[name] = r
		if err := os.Symlink(r.Dir, filepath.Join(root, "acme", name+".git")); err != nil {
			t.Fatal(err)
		}
	}
	backend, err := gittest.HTTPHandler(root, gittest.HTTPOptions{Version: gittest.V2, Token: forgeToken})
	if err != nil {
		t.Fatal(err)
	}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.String(), forgeToken) {
			t.Errorf("the token is in %s", r.URL)
		}
		switch r.URL.Path {
		case "/api/v1/version":
			fmt.Fprint(w, `{"version":"1.25.2"}`)
		case "/api/v1/orgs/acme/repos":
			f.mu.Lock()
			defer f.mu.Unlock()
			switch {
			case r.Header.Get("Authorization") != "token "+forgeToken:
				f.refused++
				w.WriteHeader(http.StatusUnauthorized)
			case f.broken != 0:
				w.WriteHeader(f.broken)
			default:
				_ = json.NewEncoder(w).Encode(f.list)
			}
		default:
			backend.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(f.Close)
	return f
}

// lists sets what the forge shows: "number:name", with an a in front for an
// archived one. path is where it is cloned from, when not by its name.
func (f *forgeServer) lists(status int, entries ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken, f.list = status, []map[string]any{}
	for _, e := range entries {
		number, name, _ := strings.Cut(e, ":")
		name, from, moved := strings.Cut(name, "@")
		if !moved {
			from = name
		}
		id := json.Number(strings.TrimPrefix(number, "a"))
		f.list = append(f.list, map[string]any{"id": id, "full_name": "acme/" + name, "clone_url": f.URL + "/acme/" + from + ".git", "archived": number[0] == 'a', "private": true, "owner": map[string]string{"login": "acme"}})
	}
}

func (in *installation) organisation(module string) (states string) {
	in.t.Helper()
	list, err := in.admin.Repositories(in.t.Context(), arrangementID, module)
	if err != nil {
		in.t.Fatal(err)
	}
	words := []string{}
	for _, r := range list {
		words = append(words, fmt.Sprintf("%s %s %s %d", r.Name, r.State, strings.TrimPrefix(r.Module, module+"/"), r.Latest))
	}
	return strings.Join(words, "; ")
}

func (in *installation) findings() []string {
	in.t.Helper()
	out := []string{}
	for _, a := range in.acts(in.as("customer"), "finding.repositories") {
		var d struct{ Change, Name string }
		if err := json.Unmarshal(a.Data, &d); err != nil {
			in.t.Fatal(err)
		}
		out = append(out, d.Change+" "+d.Name)
	}
	return out
}

// TestOrganisation lives through the life of an organisation at a forge: the
// interface is Gitea's, the repositories are served by stock git.
func TestOrganisation(t *testing.T) { eachEngine(t, checkOrganisation) }

func checkOrganisation(t *testing.T, in *installation) {
	in.ceremony(1)
	f := newForge(t, "app", "web.site", "old", "app2")
	if _, err := in.as("supplier").ConfigureModule(t.Context(), arrangementID, "r1", client.ModuleSource{Mode: "organisation", URL: f.URL + "/acme", Exclude: []string{"refs/pull/*"}}); err != nil {
		t.Fatal(err)
	}
	if got := in.organisation("r1"); got != "" {
		t.Errorf("before the first listing: %s", got)
	}
	f.lists(0, "1:app", "2:web.site", "a3:old")
	if text := in.sync("r1"); !strings.Contains(text, "asks for a token") {
		t.Errorf("without its token: %q", text)
	}
	in.secret("r1", "token", forgeToken)
	ask := func(want string) {
		t.Helper()
		if text := in.sync("r1"); text != "" {
			t.Fatalf("listing failed: %s\n%s", text, in.log)
		}
		waitFor(t, want, func() bool { return in.organisation("r1") == want })
	}
	before := look(t, f.repos["app"])
	ask("app present app 1; old archived old 1; web.site present web-site 1")
	in.restored("r1/app", 1, before)
	if m := in.module("r1/app"); m.Kind != "repository" || m.Compartment != "materials" || m.URL != f.URL+"/acme/app.git" || !slices.Equal(m.Exclude, []string{"refs/pull/*"}) {
		t.Errorf("its module is %+v", m)
	}

	// Renamed: the chain goes on. A new one under the old name is another one.
	commit(t, f.repos["app"], 10)
	f.lists(0, "1:core@app", "2:web.site", "a3:old", "4:app@app2")
	ask("app present app-4 1; core present app 2; old archived old 1; web.site present web-site 1")
	in.restored("r1/app", 2, look(t, f.repos["app"]))
	in.restored("r1/app-4", 1, look(t, f.repos["app2"]))

	// A listing that fails or is empty changes nothing.
	states, modules := in.organisation("r1"), len(in.acts(in.admin, "module.repositories"))
	f.lists(http.StatusBadGateway)
	if text := in.sync("r1"); !strings.Contains(text, "fails (502)") {
		t.Errorf("a broken forge: %q", text)
	}
	f.lists(0)
	if text := in.sync("r1"); !strings.Contains(text, "lists no repositories") {
		t.Errorf("an empty listing: %q", text)
	}
	f.mu.Lock()
	f.list = []map[string]any{{"id": 1, "full_name": "acme/x", "clone_url": "http://evil.example/x.git", "archived": false, "private": false}}
	f.mu.Unlock()
	if text := in.sync("r1"); !strings.Contains(text, "another host") {
		t.Errorf("an answer that leads elsewhere: %q", text)
	}
	if got := in.organisation("r1"); got != states {
		t.Errorf("they changed: %s", got)
	}

	// Vanished: what is deposited stays.
	f.lists(0, "1:core@app", "4:app@app2")
	ask("app present app-4 1; core present app 2; old gone old 1; web.site gone web-site 1")
	in.restored("r1/web-site", 1, look(t, f.repos["web.site"]))
	ask("app present app-4 1; core present app 2; old gone old 1; web.site gone web-site 1")
	if n := len(in.acts(in.admin, "module.repositories")); n != modules+1 {
		t.Errorf("%d listings are recorded as changes, want %d", n, modules+1)
	}
	want := []string{"archived old", "renamed core", "gone web.site", "gone old"}
	got := in.findings()
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("findings %q, want %q", got, want)
	}

	// A repository follows its organisation; what was set stays when the
	// agreement is registered again.
	_, err := in.as("supplier").ConfigureModule(t.Context(), arrangementID, "r1/app", client.ModuleSource{Mode: "pull", URL: "https://evil.example/x.git"})
	if code(err) != escrow.Conflict {
		t.Errorf("set by hand: %v", err)
	}
	if err := in.as("supplier").SetCredential(t.Context(), arrangementID, "r1/app", client.Credential{Kind: "token", Secret: "x"}); code(err) != escrow.Conflict {
		t.Errorf("a token of its own: %v", err)
	}
	// Another host is not shown the token.
	if _, err := in.as("supplier").ConfigureModule(t.Context(), arrangementID, "r1", client.ModuleSource{Mode: "organisation", URL: strings.Replace(f.URL, "127.0.0.1", "localhost", 1) + "/acme"}); err != nil {
		t.Fatal(err)
	}
	// A sync that the last listing queued may have read its source before.
	waitFor(t, "a refusal to fetch from another host", func() bool { return strings.Contains(in.sync("r1/app"), "another host") })
	if strings.Contains(in.log.String(), forgeToken) {
		t.Error("the token is in the log")
	}
	if _, err := in.admin.Repositories(t.Context(), arrangementID, "r2"); code(err) != escrow.NotFound {
		t.Errorf("repositories of a repository: %v", err)
	}
}
