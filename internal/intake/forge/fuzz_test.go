package forge

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// FuzzPages: whatever a forge answers, a repository that is taken from it has a
// number, a name without tricks, and an address on the forge's own host.
func FuzzPages(f *testing.F) {
	for _, s := range []string{
		`[{"id":1,"full_name":"acme/app","clone_url":"https://f.example/acme/app.git","archived":false,"private":true}]`,
		`[{"id":1,"path_with_namespace":"acme/sub/app","http_url_to_repo":"https://f.example/acme/sub/app.git","archived":true,"visibility":"internal"}]`,
		`{"values":[{"uuid":"{a-1}","full_name":"acme/app","is_private":true,"scm":"git","links":{"clone":[{"name":"https","href":"https://me@f.example/acme/app.git"}]}}],"next":"https://x/"}`,
		`[]`, `null`, `{"values":null}`, `[{"id":1e99}]`, `[{"full_name":"../.."}]`, "\xff",
	} {
		f.Add([]byte(s))
	}
	a := address{base: &url.URL{Scheme: "https", Host: "f.example"}, owner: "acme"}
	f.Fuzz(func(t *testing.T, page []byte) {
		for _, parse := range []func([]byte, address) ([]Repository, string, error){parseGitHub, parseGitea, parseGitLab, parseBitbucket} {
			list, _, err := parse(page, a)
			if err != nil && list != nil {
				t.Fatal("a list and an error")
			}
			for _, r := range list {
				u, err := url.Parse(r.URL)
				if err != nil || u.Scheme != "https" || !strings.EqualFold(u.Host, "f.example") || u.User != nil || r.Remote == "" || checkName(r.Name) != nil || checkName(strings.Trim(u.Path, "/")) != nil {
					t.Errorf("%+v", r)
				}
			}
		}
	})
}

// FuzzLink: a link is what stands between the brackets, or nothing.
func FuzzLink(f *testing.F) {
	f.Add(`<https://f.example/?page=2>; rel="next", <https://f.example/?page=9>; rel="last"`)
	f.Add(`<a>; rel="prev"; x=",<b>; rel=next`)
	f.Add(`<<>;;;rel=next`)
	f.Fuzz(func(t *testing.T, line string) {
		link := nextLink(http.Header{"Link": {line}})
		if !strings.Contains(line, "<"+link+">") && link != "" {
			t.Errorf("%q gives %q", line, link)
		}
	})
}

func TestNextLink(t *testing.T) {
	for line, want := range map[string]string{
		`<https://f/?page=1>; rel="prev", <https://f/?page=3>; rel="next", <https://f/?page=9>; rel="last"`: "https://f/?page=3",
		`<https://f/?a=1,2>; title="x"; rel=next`:                                                           "https://f/?a=1,2",
		`<https://f/>; rel="last"`:                                                                          "",
		``:                                                                                                  "",
		`https://f/; rel="next"`:                                                                            "",
	} {
		if got := nextLink(http.Header{"Link": {line}}); got != want {
			t.Errorf("%q gives %q, want %q", line, got, want)
		}
	}
}
