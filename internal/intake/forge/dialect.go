package forge

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"holdfast/internal/escrow"
)

// dialect is how one kind of forge is asked.
type dialect struct {
	kind Kind
	api  func(a address) *url.URL
	// headers prove who asks.
	headers func(token string) map[string]string
	// questions are tried in order while the forge answers that there is no
	// such thing: an organisation first, then a person's account.
	questions func(ctx context.Context, l *lister) ([]question, error)
}

func dialects() []dialect { return []dialect{github(), gitlab(), gitea(), bitbucket()} }

// wellKnown are the forges that everybody uses, which need no asking.
func wellKnown(host string) Kind {
	switch host {
	case "github.com":
		return GitHub
	case "gitlab.com":
		return GitLab
	case "bitbucket.org":
		return Bitbucket
	case "codeberg.org", "gitea.com":
		return Gitea
	}
	return ""
}

// forge finds out what kind of forge it is. One that is not well known is asked
// for the version of its interface, without the token.
func (l *lister) forge(ctx context.Context) (dialect, error) {
	kind := wellKnown(l.address.base.Host)
	for _, probe := range []struct {
		kind Kind
		path string
		fits func(answer) bool
	}{
		{Gitea, "/api/v1/version", func(a answer) bool { return a.status == http.StatusOK && says(a.body, "version") }},
		{GitHub, "/api/v3/meta", func(a answer) bool { return a.status == http.StatusOK && says(a.body, "installed_version") }},
		// GitLab tells its version to members only; the refusal has its form.
		{GitLab, "/api/v4/version", func(a answer) bool {
			return a.status == http.StatusOK && says(a.body, "version") || a.status == http.StatusUnauthorized && says(a.body, "message")
		}},
	} {
		if kind != "" {
			break
		}
		a, err := l.get(ctx, l.address.base.JoinPath(probe.path), false)
		if err != nil {
			return dialect{}, err
		}
		if probe.fits(a) {
			kind = probe.kind
		}
	}
	for _, d := range dialects() {
		if d.kind == kind {
			return d, nil
		}
	}
	return dialect{}, escrow.Errorf(escrow.NotFound, "%s answers like none of the forges that are known: GitHub, GitLab, Gitea, Forgejo, Bitbucket Cloud", l.address.base.Host).
		WithHint("check the address; otherwise name each repository as a module with its url")
}

// says reports whether the answer is an object with a text of that name.
func says(body []byte, name string) bool {
	var o map[string]json.RawMessage
	var text string
	return json.Unmarshal(body, &o) == nil && json.Unmarshal(o[name], &text) == nil && text != ""
}

// at builds the address of a page of the interface. Words are escaped: a group
// with a slash in it is one word.
func (l *lister) at(query url.Values, words ...string) *url.URL {
	u := *l.api
	raw := strings.TrimSuffix(u.Path, "/")
	u.Path = raw
	for _, w := range words {
		u.Path += "/" + w
		raw += "/" + url.PathEscape(w)
	}
	u.RawPath, u.RawQuery = raw, query.Encode()
	return &u
}

func below(path string) func(a address) *url.URL {
	return func(a address) *url.URL { return a.base.JoinPath(path) }
}

// github follows docs.github.com/rest, "List organization repositories",
// "List repositories for a user", "List repositories for the authenticated
// user" and "Get the authenticated user".
func github() dialect {
	return dialect{kind: GitHub,
		api: func(a address) *url.URL {
			if a.base.Host == "github.com" {
				return &url.URL{Scheme: a.base.Scheme, Host: "api.github.com"}
			}
			return a.base.JoinPath("/api/v3")
		},
		headers: func(token string) map[string]string {
			h := map[string]string{"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
			if token != "" {
				h["Authorization"] = "Bearer " + token
			}
			return h
		},
		questions: func(ctx context.Context, l *lister) ([]question, error) {
			if err := l.oneWord(); err != nil {
				return nil, err
			}
			list := []question{{l.at(url.Values{"type": {"all"}, "sort": {"created"}, "direction": {"asc"}, "per_page": {"100"}}, "orgs", l.address.owner, "repos"), parseGitHub}}
			if l.token != "" {
				// Of the token's own account also what is private is listed.
				a, err := l.get(ctx, l.at(nil, "user"), true)
				if err != nil {
					return nil, err
				}
				var me struct {
					Login string `json:"login"`
				}
				if a.status == http.StatusOK && json.Unmarshal(a.body, &me) == nil && strings.EqualFold(me.Login, l.address.owner) {
					list = append(list, question{l.at(url.Values{"affiliation": {"owner"}, "per_page": {"100"}}, "user", "repos"), parseGitHub})
					return list, nil
				}
			}
			return append(list, question{l.at(url.Values{"type": {"owner"}, "per_page": {"100"}}, "users", l.address.owner, "repos"), parseGitHub}), nil
		}}
}

// gitlab follows docs.gitlab.com/api, "List a group's projects" and "List a
// user's projects". Projects that others share with the group are theirs.
func gitlab() dialect {
	return dialect{kind: GitLab, api: below("/api/v4"),
		headers: func(token string) map[string]string {
			if token == "" {
				return nil
			}
			return map[string]string{"PRIVATE-TOKEN": token}
		},
		questions: func(_ context.Context, l *lister) ([]question, error) {
			order := url.Values{"order_by": {"id"}, "sort": {"asc"}, "per_page": {"100"}}
			group := url.Values{"include_subgroups": {"true"}, "with_shared": {"false"}}
			for name, v := range order {
				group[name] = v
			}
			list := []question{{l.at(group, "groups", l.address.owner, "projects"), parseGitLab}}
			if !strings.Contains(l.address.owner, "/") {
				list = append(list, question{l.at(order, "users", l.address.owner, "projects"), parseGitLab})
			}
			return list, nil
		}}
}

// gitea follows the interface description that each Gitea and Forgejo serves
// at /api/swagger: orgListRepos and userListRepos.
func gitea() dialect {
	return dialect{kind: Gitea, api: below("/api/v1"),
		headers: func(token string) map[string]string {
			if token == "" {
				return nil
			}
			return map[string]string{"Authorization": "token " + token}
		},
		questions: func(_ context.Context, l *lister) ([]question, error) {
			if err := l.oneWord(); err != nil {
				return nil, err
			}
			page := url.Values{"page": {"1"}, "limit": {"50"}}
			return []question{{l.at(page, "orgs", l.address.owner, "repos"), parseGitea}, {l.at(page, "users", l.address.owner, "repos"), parseGitea}}, nil
		}}
}

// bitbucket follows developer.atlassian.com/cloud/bitbucket/rest, "List
// repositories in a workspace".
func bitbucket() dialect {
	return dialect{kind: Bitbucket,
		api: func(a address) *url.URL {
			return &url.URL{Scheme: a.base.Scheme, Host: "api.bitbucket.org", Path: "/2.0"}
		},
		headers: func(token string) map[string]string {
			if token == "" {
				return nil
			}
			return map[string]string{"Authorization": "Bearer " + token}
		},
		questions: func(_ context.Context, l *lister) ([]question, error) {
			if err := l.oneWord(); err != nil {
				return nil, err
			}
			return []question{{l.at(url.Values{"sort": {"created_on"}, "pagelen": {"100"}}, "repositories", l.address.owner), parseBitbucket}}, nil
		}}
}

// oneWord refuses a path where this kind of forge has no groups in groups.
func (l *lister) oneWord() error {
	if strings.Contains(l.address.owner, "/") {
		return escrow.Errorf(escrow.Invalid, "%s has no organisation %q: a name there has no '/'", l.address.base.Host, l.address.owner).
			WithHint("for one repository write url instead of organisation")
	}
	return nil
}
