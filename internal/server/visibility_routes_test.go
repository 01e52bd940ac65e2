package server_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// getRoute is a route that somebody can read from.
type getRoute struct {
	path    string
	channel string
	unpack  func(t testing.TB, status int, body string, look func(what, content string))
}

// getRoutes are all routes to read from, those of the API and the others. A
// route that is not here fails [TestEveryRouteIsLookedAt]: put it in, and see
// who reads what by it.
func getRoutes() []getRoute {
	const a = "/api/v1/arrangements/{arrangement}"
	const m = a + "/modules/{module}"
	out := []getRoute{
		{path: a + "/notices", channel: "notice"},
		{path: a + "/notices/{notice}/letter", channel: "notice"},
		{path: a + "/ledger", channel: "ledger"},
		{path: "/ledger/checkpoint", channel: "ledger"},
		{path: "/ledger/tile/0/000.p/1", channel: "ledger"},
		{path: "/ledger/tile/entries/000.p/1", channel: "ledger"},
		{path: a + "/parts/{part}/copies/{digest}", channel: "api", unpack: unpackCopy},
	}
	for _, path := range []string{
		"/api/v1/arrangements", "/api/v1/locations", "/api/v1/ledger/key", "/api/v1/ledger/consistency",
		a, a + "/authority", a + "/cases", a + "/channels", a + "/departure", a + "/leavings", a + "/cases/{case}", a + "/compartments/{compartment}/epochs", a + "/compartments/{compartment}/epochs/{epoch}/package",
		a + "/contacts", a + "/destructions", a + "/destructions/{destruction}", a + "/duty", a + "/holds", a + "/modules",
		m + "/base", m + "/deposits", m + "/deposits/{number}", m + "/deposits/{number}/receipt", m + "/objects/{name}/size", m + "/objects/{name}/upload", m + "/repositories",
		m + "/restic", m + "/retention", m + "/state", a + "/objects/{name}", a + "/running", a + "/terms",
		a + "/watch", a + "/watch/{target}/history",
		a + "/versions", a + "/versions/{version}", a + "/versions/{version}/parts/{part}", a + "/versions/{version}/remarks",
	} {
		out = append(out, getRoute{path: path, channel: "api"})
	}
	return out
}

// TestEveryRouteIsLookedAt holds the table of routes against what the server
// has: what the API says of itself, and what is registered beside it.
func TestEveryRouteIsLookedAt(t *testing.T) {
	in := bare(t)
	resp, err := http.Get(in.url + "/api/v1/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var api struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&api); err != nil {
		t.Fatal(err)
	}
	if len(api.Paths) < 20 {
		t.Fatalf("the API names %d paths", len(api.Paths))
	}
	known := map[string]bool{}
	for _, r := range getRoutes() {
		known[r.path] = true
	}
	for path, methods := range api.Paths {
		if _, get := methods["get"]; get && !known[path] {
			t.Errorf("GET %s is not in the table of who reads what: add it to getRoutes", path)
		}
	}
	// Beside the API: what serves something, and why it is looked at or need
	// not be.
	want := []string{
		`"/ledger/"`,                                                                      // in the table: tiles and checkpoints, which have no payloads
		`"GET /healthz"`,                                                                  // no arrangement
		`"GET /metrics"`,                                                                  // no arrangement, and on an address of its own
		`"GET /readyz"`,                                                                   // no arrangement
		`"GET /status/{page}"`, `"GET /status/{page}/{$}"`, `"GET /status/{page}/{file}"`, // made for the public; what a page shows, its agreement says
		`"POST /hooks/{arrangement}/{module}"`, // tells nothing
		// What agent or foundation made public: see TestStatusPage.
		`"GET /status/{page}"`, `"GET /status/{page}/{$}"`, `"GET /status/{page}/{file}"`,
		`restic.Prefix`, // the depositor's own repository, by its own token
	}
	var got []string
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	register := regexp.MustCompile(`mux\.Handle(?:Func)?\(([^,]+),`)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range register.FindAllStringSubmatch(string(data), -1) {
			got = append(got, m[1])
		}
	}
	for _, pattern := range got {
		if !slices.Contains(want, pattern) {
			t.Errorf("the server registers %s, which the table does not have: say who reads what by it", pattern)
		}
	}
	if len(got) < 5 {
		t.Errorf("only %v were found in the source", got)
	}
}
