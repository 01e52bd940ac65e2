package forge_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/forge"
)

const token = "CANARY-forge-token"

// The stubs serve answers of the form that the forges document, with fields
// that are not read; they stand on one server, under every path that is asked.
type stub struct {
	*httptest.Server
	seen []string // requests, as "path?query header"
}

func serve(t *testing.T, routes map[string]http.HandlerFunc) *stub {
	t.Helper()
	s := &stub{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.seen = append(s.seen, r.URL.EscapedPath()+"?"+r.URL.RawQuery+" "+r.Header.Get("Authorization")+r.Header.Get("Private-Token"))
		if strings.Contains(r.URL.String(), token) {
			t.Errorf("the token is in %s", r.URL)
		}
		h := routes[r.URL.EscapedPath()]
		if h == nil {
			http.NotFound(w, r)
			return
		}
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, strings.ReplaceAll(text, "HOST", "http://"+r.Host))
	}
}

// pages serves one page after another, joined by Link headers.
func pages(list ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n := 1
		fmt.Sscan(r.URL.Query().Get("page"), &n)
		if n < len(list) {
			w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?page=1>; rel="first", <http://%s%s?page=%d>; rel="next"`, r.Host, r.URL.Path, r.Host, r.URL.EscapedPath(), n+1))
		}
		says(list[n-1])(w, r)
	}
}

func rest(id int, name string, archived, private bool) string {
	return fmt.Sprintf(`{"id":%d,"node_id":"R_x","name":"x","full_name":"acme/%s","owner":{"login":"acme","id":1},"private":%v,"html_url":"HOST/acme/%s","fork":false,
		"clone_url":"HOST/acme/%s.git","ssh_url":"git@host:acme/%s.git","archived":%v,"disabled":false,"permissions":{"pull":true},"default_branch":"main"}`, id, name, private, name, name, name, archived)
}

func list(t *testing.T, s *stub, owner, secret string) (*forge.Listing, error) {
	t.Helper()
	return forge.List(t.Context(), forge.Source{Address: s.URL + owner, Token: secret, Transport: http.DefaultTransport})
}

func TestForges(t *testing.T) {
	project := func(id int, path, visibility string, archived bool) string {
		return fmt.Sprintf(`{"id":%d,"description":null,"path":"x","path_with_namespace":"%s","http_url_to_repo":"HOST/%s.git","archived":%v,"visibility":"%s","empty_repo":false}`, id, path, path, archived, visibility)
	}
	want := func(origin string, paths ...string) []forge.Repository {
		return []forge.Repository{{Remote: "2", Name: paths[0], URL: origin + "/" + paths[1] + ".git"}, {Remote: "11", Name: paths[2], URL: origin + "/" + paths[3] + ".git", Archived: true, Private: true}}
	}
	for _, c := range []struct {
		name, owner, header string
		kind                forge.Kind
		routes              map[string]http.HandlerFunc
		names               []string
	}{
		{"GitHub Enterprise Server", "/acme", "Bearer " + token, forge.GitHub, map[string]http.HandlerFunc{
			"/api/v3/meta": says(`{"verifiable_password_authentication":true,"installed_version":"3.17.1"}`), "/api/v3/user": says(`{"login":"someone","id":9}`),
			"/api/v3/orgs/acme/repos": pages("["+rest(11, "web.site", true, true)+"]", "["+rest(2, "app", false, false)+"]")},
			[]string{"app", "acme/app", "web.site", "acme/web.site"}},
		{"own account at GitHub", "/Acme", "Bearer " + token, forge.GitHub, map[string]http.HandlerFunc{
			"/api/v3/meta": says(`{"installed_version":"3.17.1"}`), "/api/v3/user": says(`{"login":"acme","id":9}`),
			"/api/v3/user/repos": pages("[" + rest(11, "web.site", true, true) + "," + rest(2, "app", false, false) + "]")},
			[]string{"app", "acme/app", "web.site", "acme/web.site"}},
		{"GitLab with subgroups", "/acme/apps", token, forge.GitLab, map[string]http.HandlerFunc{
			"/api/v4/version": func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(401)
				fmt.Fprint(w, `{"message":"401 Unauthorized"}`)
			},
			"/api/v4/groups/acme%2Fapps/projects": pages("["+project(2, "acme/apps/app", "public", false)+"]", "["+project(11, "acme/apps/deep/er", "internal", true)+"]")},
			[]string{"app", "acme/apps/app", "deep/er", "acme/apps/deep/er"}},
		{"account at Forgejo", "/acme", "token " + token, forge.Gitea, map[string]http.HandlerFunc{
			"/api/v1/version": says(`{"version":"13.0.2+gitea-1.22.0"}`), "/api/v1/users/acme/repos": pages("["+rest(2, "app", false, false)+"]", "["+rest(11, "web.site", true, true)+"]")},
			[]string{"app", "acme/app", "web.site", "acme/web.site"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, c.routes)
			got, err := list(t, s, c.owner, token)
			if err != nil {
				t.Fatalf("%v\n%s", err, strings.Join(s.seen, "\n"))
			}
			if diff := cmp.Diff(want(s.URL, c.names...), got.Repositories); diff != "" || got.Kind != c.kind || got.Origin != s.URL {
				t.Errorf("%s at %s (-want +got):\n%s", got.Kind, got.Origin, diff)
			}
			probes := 0
			for _, r := range s.seen {
				switch {
				case strings.HasSuffix(r, c.header):
				case strings.Contains(r, "/version? ") || strings.Contains(r, "/meta? "):
					probes++ // which are asked without
				default:
					t.Errorf("without the token: %s", r)
				}
			}
			if probes == 0 {
				t.Error("nobody asked what it is")
			}
		})
	}
}

// elsewhere sends what goes to one host to the stub, and refuses the rest.
type elsewhere struct{ hosts map[string]string }

func (e elsewhere) RoundTrip(r *http.Request) (*http.Response, error) {
	to, ok := e.hosts[r.URL.Scheme+"://"+r.URL.Host]
	if !ok {
		return nil, fmt.Errorf("a connection to %s", r.URL.Host)
	}
	u, _ := url.Parse(to)
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = u.Scheme, u.Host
	return http.DefaultTransport.RoundTrip(r)
}

// The well known ones are asked at the hosts that their documentation names.
func TestWellKnown(t *testing.T) {
	github := serve(t, map[string]http.HandlerFunc{"/user": says(`{"login":"x"}`),
		"/orgs/acme/repos": says("[" + strings.ReplaceAll(rest(2, "app", false, false), "HOST", "https://github.com") + "]")})
	bitbucket := serve(t, map[string]http.HandlerFunc{"/2.0/repositories/acme": func(w http.ResponseWriter, r *http.Request) {
		entry := `{"type":"repository","uuid":"{%s}","full_name":"acme/%s","is_private":true,"scm":"%s","links":{"clone":[{"name":"ssh","href":"git@bitbucket.org:acme/x.git"},{"name":"https","href":"https://somebody@bitbucket.org/acme/%s.git"}]}}`
		if r.URL.Query().Get("page") == "2" {
			fmt.Fprintf(w, `{"size":3,"page":2,"pagelen":2,"values":[`+entry+`]}`, "aa-2", "web", "git", "web")
			return
		}
		fmt.Fprintf(w, `{"size":3,"page":1,"pagelen":2,"next":"https://api.bitbucket.org/2.0/repositories/acme?page=2","values":[`+entry+`,`+entry+`]}`, "aa-1", "app", "git", "app", "aa-3", "old", "hg", "old")
	}})
	transport := elsewhere{map[string]string{"https://api.github.com": github.URL, "https://api.bitbucket.org": bitbucket.URL}}
	for address, want := range map[string][]forge.Repository{
		"https://github.com/acme":    {{Remote: "2", Name: "app", URL: "https://github.com/acme/app.git"}},
		"https://bitbucket.org/acme": {{Remote: "{aa-1}", Name: "app", URL: "https://bitbucket.org/acme/app.git", Private: true}, {Remote: "{aa-2}", Name: "web", URL: "https://bitbucket.org/acme/web.git", Private: true}},
	} {
		got, err := forge.List(t.Context(), forge.Source{Address: address, Token: token, Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Repositories); diff != "" {
			t.Errorf("%s (-want +got):\n%s", address, diff)
		}
	}
}

// What no forge should say, and what is made of it.
func TestHostile(t *testing.T) {
	var stranger []string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { stranger = append(stranger, r.URL.String()) }))
	defer other.Close()
	one := func(edit ...string) http.HandlerFunc {
		return says("[" + rest(1, "first", false, false) + "," + strings.NewReplacer(edit...).Replace(rest(2, "app", false, false)) + "]")
	}
	n := 0
	for _, c := range []struct {
		name string
		h    http.HandlerFunc
		code escrow.Code
		says string
	}{
		{"redirect to another host", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL+"/orgs", http.StatusFound) }, escrow.Forbidden, "redirects to another host"},
		{"redirects without end", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.String(), http.StatusFound) }, escrow.Unavailable, "redirects more than"},
		{"next page on another host", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "<"+other.URL+`/p2>; rel="next"`)
			fmt.Fprint(w, "[]")
		}, escrow.Forbidden, "leads to another host"},
		{"next page with somebody's name", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "<http://me:pw@"+r.Host+`/p2>; rel=next`)
			fmt.Fprint(w, "[]")
		}, escrow.Forbidden, "leads to another host"},
		{"the same page again", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "<"+r.URL.String()+`>; rel="next"`)
			fmt.Fprint(w, "[]")
		}, escrow.Unavailable, "leads back"},
		{"pages without end", func(w http.ResponseWriter, r *http.Request) {
			n++
			w.Header().Set("Link", fmt.Sprintf(`<?page=%d>; rel="next"`, n))
			fmt.Fprint(w, "[]")
		}, escrow.Unavailable, "does not come to an end after 20 pages"},
		{"too many repositories", says("[" + strings.Repeat(rest(1, "a", false, false)+",", 50) + rest(1, "a", false, false) + "]"), escrow.Full, "more than 50 repositories"},
		{"a huge body", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat(" ", 1<<20)) }, escrow.Unavailable, "larger than"},
		{"clone from another host", one("HOST/acme/app.git", "https://evil.example/app.git"), escrow.Forbidden, `page 1: repository 2: it is to be cloned from another host, "https://evil.example"`},
		{"clone by ssh", one("HOST/acme/app.git", "ssh://git@host/app.git"), escrow.Forbidden, "another host"},
		{"clone with a query", one("app.git", "app.git?x=1"), escrow.Damaged, "query"},
		{"clone from above", one("HOST/acme/app.git", "HOST/acme/../x.git"), escrow.Damaged, `repository 2: the path of its address`},
		{"name above", one(`"acme/app"`, `"acme/../../etc"`), escrow.Damaged, `repository 2: its name "acme/../../etc" has the part ".."`},
		{"name with a line", one(`"acme/app"`, `"acme/a\nb"`), escrow.Damaged, "no name has"},
		{"name of no bytes", one(`"acme/app"`, `""`), escrow.Damaged, "0 bytes"},
		{"number as text", one(`"id":2`, `"id":"2"`), escrow.Damaged, "id is a string"},
		{"no number", one(`"id":2,`, ``), escrow.Damaged, "repository 2: it lacks id"},
		{"number below one", one(`"id":2`, `"id":-2`), escrow.Damaged, "its number is -2"},
		{"archived is no word", one(`"archived":false`, `"archived":"no"`), escrow.Damaged, "archived is a string"},
		{"archived is not said", one(`"archived":false,`, ``), escrow.Damaged, "it lacks archived"},
		{"one number for two", says("[" + rest(1, "a", false, false) + "," + rest(1, "b", false, false) + "]"), escrow.Unavailable, "under one number"},
		{"null", says("null"), escrow.Damaged, "null"},
		{"an object", says("{}"), escrow.Damaged, "object"},
		{"half a list", says("[" + rest(1, "a", false, false)), escrow.Damaged, "no JSON"},
		{"two lists", says("[] []"), escrow.Damaged, "something follows"},
		{"a web page", says("<html>"), escrow.Damaged, "no JSON"},
		{"no entry", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, escrow.Forbidden, "does not take the token"},
		{"not allowed", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, escrow.Forbidden, "does not let the token"},
		{"too often", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-RateLimit-Remaining", "0")
			w.WriteHeader(403)
		}, escrow.Unavailable, "too many requests"},
		{"it fails", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }, escrow.Unavailable, "fails (502)"},
		{"no such thing", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, escrow.NotFound, `no organisation, group or account "acme"`},
		{"it hangs", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, escrow.Unavailable, "took longer than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, map[string]http.HandlerFunc{"/api/v1/version": says(`{"version":"1.25"}`), "/api/v1/orgs/acme/repos": c.h})
			limits := forge.Limits{Page: 256 << 10, Pages: 20, Repositories: 50}
			if c.name == "it hangs" {
				limits.Time = 300 * time.Millisecond
			}
			l, err := forge.List(t.Context(), forge.Source{Address: s.URL + "/acme", Token: token, Transport: http.DefaultTransport, Limits: limits})
			if l != nil || escrow.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%+v, %s: %v", l, escrow.CodeOf(err), err)
			}
			if strings.Contains(fmt.Sprint(err), token) {
				t.Errorf("the token is in the error: %v", err)
			}
		})
	}
	if len(stranger) > 0 {
		t.Errorf("the other host was asked for %v", stranger)
	}
}

func TestBadAddresses(t *testing.T) {
	for _, text := range []string{"", "acme", "ssh://git@github.com/acme", "https://github.com", "https://github.com/", "https://me:CANARY@github.com/acme",
		"https://github.com/acme?token=CANARY", "https://github.com/acme#CANARY", "https:///acme", "https://github.com/../acme", "https://github.com/a%2f..%2fb", "https://github.com/a\x00b", "https://h/" + strings.Repeat("a", 3000)} {
		if err := forge.Check(text); escrow.CodeOf(err) != escrow.Invalid || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%q: %v", text, err)
		}
	}
	none := elsewhere{}
	for _, s := range []forge.Source{
		{Address: "http://forge.example/acme", Token: token, Transport: none}, // in clear
		{Address: "https://github.com/acme", Token: "a\r\nHost: x", Transport: none},
		{Address: "https://github.com/acme/app", Token: "", Transport: none},
	} {
		if _, err := forge.List(t.Context(), s); escrow.CodeOf(err) != escrow.Invalid {
			t.Errorf("%s: %v", s.Address, err)
		}
	}
	s := serve(t, nil)
	if _, err := list(t, s, "/acme", token); escrow.CodeOf(err) != escrow.NotFound || !strings.Contains(err.Error(), "none of the forges") {
		t.Errorf("a web server: %v", err)
	}
	for _, r := range s.seen {
		if strings.Contains(r, token) {
			t.Errorf("a stranger was shown the token: %s", r)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := forge.List(ctx, forge.Source{Address: s.URL + "/acme", Transport: http.DefaultTransport}); err == nil {
		t.Error("it goes on after the end")
	}
}

func TestOrigins(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"https://f.example/acme", "https://F.example/acme/app.git", true}, {"https://f.example/acme", "http://f.example/acme", false},
		{"https://f.example/acme", "https://f.example:444/acme", false}, {"https://f.example/acme", "https://f.example.evil/acme", false},
		{"", "", false}, {"https://f.example", "\x00", false},
	} {
		if forge.SameOrigin(c.a, c.b) != c.same {
			t.Errorf("%s and %s: same %v", c.a, c.b, !c.same)
		}
	}
	if forge.GitUser("https://bitbucket.org/acme/app.git") != "x-token-auth" || forge.GitUser("https://github.com/acme/app.git") != "" {
		t.Error("the name that goes with a token")
	}
}
