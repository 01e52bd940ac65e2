package webhook

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"holdfast/internal/escrow"
)

// maxHeader bounds what is kept of a header.
const maxHeader = 200

// read fills in what the notice says. The headers it reads are not signed;
// they decide about nothing.
func (e *Event) read(h http.Header, body []byte) error {
	switch e.Kind {
	case GitHub:
		e.Name, e.Delivery = h.Get("X-GitHub-Event"), h.Get("X-GitHub-Delivery")
	case Gitea:
		e.Name, e.Delivery = h.Get("X-Gitea-Event"), h.Get("X-Gitea-Delivery")
	case Forgejo:
		e.Name, e.Delivery = first(h, "X-Forgejo-Event", "X-Gitea-Event"), first(h, "X-Forgejo-Delivery", "X-Gitea-Delivery")
	case GitLab:
		e.Name, e.Delivery = h.Get("X-Gitlab-Event"), first(h, "Webhook-Id", "Idempotency-Key", "X-Gitlab-Event-Uuid")
	case Bitbucket:
		e.Name, e.Delivery = h.Get("X-Event-Key"), first(h, "X-Request-Uuid", "X-Request-Id")
	}
	e.Name, e.Delivery = short(e.Name), short(e.Delivery)
	body, err := document(h, body)
	if err != nil {
		return err
	}
	var p payload
	if len(body) > 0 || e.Kind != Bitbucket { // the test of Bitbucket Data Center may have no body
		if err := json.Unmarshal(body, &p); err != nil {
			return escrow.Errorf(escrow.Invalid, "notice %s is authentic, but its body is not the JSON expected of %s", e.Delivery, e.Kind).
				WithHint("set the webhook's content type to application/json and its template to the default")
		}
	}
	if e.Kind == GitLab && e.Name == "System Hook" && p.EventName != "" {
		e.Name = short(p.EventName)
	}
	e.Type = typeOf(e.Name)
	e.Repositories = p.repositories(e.Kind)
	return nil
}

// document returns the JSON of a body, also where GitHub wraps it in a form.
func document(h http.Header, body []byte) ([]byte, error) {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return body, nil
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || len(form["payload"]) != 1 {
		return nil, escrow.Errorf(escrow.Invalid, "notice is authentic, but its form has not one field named payload").
			WithHint("set the webhook's content type to application/json")
	}
	return []byte(form.Get("payload")), nil
}

func first(h http.Header, names ...string) string {
	for _, n := range names {
		if v := h.Get(n); v != "" {
			return v
		}
	}
	return ""
}

// short makes an unsigned header fit for a log and a table.
func short(s string) string {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r >= 0x7f }) {
		return ""
	}
	return s[:min(len(s), maxHeader)]
}

func typeOf(name string) Type {
	switch name {
	case "push", "create", "delete", "repository", // GitHub, Gitea, Forgejo; the last: a new default branch
		"Push Hook", "Tag Push Hook", "tag_push", "repository_update", // GitLab
		"repo:push", "repo:refs_changed", "mirror:repo_synchronized": // Bitbucket
		return Push
	case "ping", "diagnostics:ping":
		return Ping
	}
	return Other
}

// payload is what the forges say about the repository, all in one: each fills
// in its own fields. Everything else in the body is passed over.
type payload struct {
	EventName  string `json:"event_name"`
	Repository struct {
		CloneURL   string `json:"clone_url"`    // GitHub, Gitea
		SSHURL     string `json:"ssh_url"`      // GitHub, Gitea
		GitURL     string `json:"git_url"`      // GitHub
		HTMLURL    string `json:"html_url"`     // GitHub, Gitea
		GitHTTPURL string `json:"git_http_url"` // GitLab
		GitSSHURL  string `json:"git_ssh_url"`  // GitLab
		Links      struct {
			HTML  link   `json:"html"`  // Bitbucket Cloud
			Clone []link `json:"clone"` // Bitbucket Data Center
		} `json:"links"`
	} `json:"repository"`
	Project struct {
		GitHTTPURL string `json:"git_http_url"` // GitLab
		GitSSHURL  string `json:"git_ssh_url"`
		WebURL     string `json:"web_url"`
	} `json:"project"`
}

type link struct {
	Href string `json:"href"`
}

// maxAddresses bounds the addresses kept of one notice.
const maxAddresses = 16

func (p *payload) repositories(kind Kind) []string {
	r := &p.Repository
	var all []string
	switch kind {
	case GitHub, Gitea, Forgejo:
		all = []string{r.CloneURL, r.SSHURL, r.GitURL, r.HTMLURL}
	case GitLab:
		all = []string{p.Project.GitHTTPURL, p.Project.GitSSHURL, p.Project.WebURL, r.GitHTTPURL, r.GitSSHURL}
	case Bitbucket:
		all = []string{r.Links.HTML.Href}
		for _, l := range r.Links.Clone {
			all = append(all, l.Href)
		}
	}
	var list []string
	for _, a := range all {
		if _, _, ok := split(a); ok && !slices.Contains(list, a) && len(list) < maxAddresses {
			list = append(list, a)
		}
	}
	return list
}

// About reports whether the event is about the repository at source, an
// address as it was configured. Scheme, user, port, letter case, ".git" and
// the prefix that Bitbucket Data Center puts before paths make no difference:
// the secret has decided already who speaks, and this only keeps a notice of
// a neighbouring repository, under a secret shared by many, from starting a
// sync for nothing. A notice that names no repository is about any.
func (e Event) About(source string) bool {
	host, path, ok := split(source)
	if !ok || len(e.Repositories) == 0 {
		return len(e.Repositories) == 0
	}
	return slices.ContainsFunc(e.Repositories, func(a string) bool {
		h, p, _ := split(a)
		return h == host && p == path
	})
}

// split takes an address apart into the host and path that name a repository.
func split(address string) (host, path string, ok bool) {
	if len(address) > 2000 || strings.ContainsFunc(address, func(r rune) bool { return r <= 0x20 || r == 0x7f }) {
		return "", "", false
	}
	if before, after, found := strings.Cut(address, ":"); found && !strings.HasPrefix(after, "//") {
		// user@host:path, as ssh takes it
		_, at, hasUser := strings.Cut(before, "@")
		if !hasUser {
			at = before
		}
		host, path = at, after
	} else {
		u, err := url.Parse(address)
		if err != nil {
			return "", "", false
		}
		switch u.Scheme {
		case "http", "https", "ssh", "git":
		default:
			return "", "", false
		}
		host, path = u.Hostname(), u.Path
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	path = strings.ToLower(strings.TrimSuffix(strings.Trim(path, "/"), ".git"))
	path = strings.TrimPrefix(path, "scm/") // Bitbucket Data Center over http
	return host, path, host != "" && path != "" && !strings.ContainsAny(host, "/@")
}
