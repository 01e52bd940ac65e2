// Package forge lists the repositories of an organisation, group, workspace or
// account at a Git forge, by the interface that the forge documents: GitHub
// (also Enterprise Server), GitLab, Gitea and Forgejo, Bitbucket Cloud. It also
// works out what changed since the listing before.
//
// It may import evidence, escrow and the standard library. Connections are made
// by the transport it is given. An answer is never believed beyond the host
// that was configured: neither its redirects, nor its links to further pages,
// nor the addresses it says to clone from.
package forge

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"holdfast/internal/escrow"
)

// Kind is a forge's interface.
type Kind string

// The interfaces.
const (
	GitHub    Kind = "github"    // REST version 2022-11-28
	GitLab    Kind = "gitlab"    // REST version 4
	Gitea     Kind = "gitea"     // version 1, which Forgejo has too
	Bitbucket Kind = "bitbucket" // Bitbucket Cloud, version 2.0
)

// Repository is one repository as the forge lists it.
type Repository struct {
	Remote   string // the forge's number for it, whatever it is called
	Name     string // within the organisation: app, or tools/app in a subgroup
	URL      string // to clone from, without user information
	Archived bool
	Private  bool
}

// Listing is what an organisation holds.
type Listing struct {
	Kind         Kind
	Origin       string // scheme and host that the numbers belong to
	Repositories []Repository
	Pages        int
}

// Limits bound a listing. Zero values mean the defaults.
type Limits struct {
	Page         int64         // bytes of one answer; default 16 MiB
	Pages        int           // default 500
	Repositories int           // default 2,000
	Time         time.Duration // of the whole listing; default 5 min
}

func (l Limits) orDefault() Limits {
	if l.Page <= 0 {
		l.Page = 16 << 20
	}
	if l.Pages <= 0 {
		l.Pages = 500
	}
	if l.Repositories <= 0 {
		l.Repositories = 2000
	}
	if l.Time <= 0 {
		l.Time = 5 * time.Minute
	}
	return l
}

// Source says what to list.
type Source struct {
	// Address is that of the organisation's page: https://HOST/ORGANISATION, or
	// https://HOST/GROUP/SUBGROUP.
	Address string
	// Token proves that we may see what is not public. It goes into a header,
	// over https or to this machine only.
	Token string
	// Transport makes the connections; nil means none can be made.
	Transport http.RoundTripper
	Limits    Limits
}

// address is a checked Source.Address.
type address struct {
	base  *url.URL // scheme and host
	owner string   // the path without slashes at its ends
}

// Check refuses an address that cannot name an organisation.
func Check(text string) error {
	_, err := parseAddress(text)
	return err
}

// maxAddress bounds an address, in bytes.
const maxAddress = 2048

func parseAddress(text string) (address, error) {
	bad := func(format string, args ...any) (address, error) {
		return address{}, escrow.Errorf(escrow.Invalid, "organisation: "+format, args...).WithHint("give the address of its page, such as https://github.com/acme or https://gitlab.example/acme/apps")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil, len(text) > maxAddress: // the error quotes the address, which may hold a secret
		return bad("this is not an address")
	case u.Scheme != "https" && u.Scheme != "http":
		return bad("the address begins with neither https nor http")
	case u.User != nil:
		return bad("the address holds a credential")
	case u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return bad("the address holds a query or a fragment")
	case u.Hostname() == "":
		return bad("the address has no host")
	}
	owner := strings.Trim(u.Path, "/")
	if err := checkName(owner); err != nil {
		return bad("the path %v", err)
	}
	return address{base: &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host)}, owner: owner}, nil
}

// SameOrigin reports whether two addresses have the same scheme and host.
func SameOrigin(a, b string) bool {
	x, err := url.Parse(a)
	if err != nil {
		return false
	}
	y, err := url.Parse(b)
	return err == nil && x.Host != "" && x.Scheme == y.Scheme && strings.EqualFold(x.Host, y.Host)
}

// GitUser is the name that goes with a token when a repository is fetched; ""
// where any will do. Bitbucket Cloud insists on one for its access tokens.
func GitUser(address string) string {
	if SameOrigin(address, "https://bitbucket.org") {
		return "x-token-auth"
	}
	return ""
}

// local reports whether the host is this machine, where a token may go in
// clear.
func (a address) local() bool {
	host := a.base.Hostname()
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// List returns every repository that the forge shows to the holder of the
// token. It returns all of them or an error: a listing that breaks off is none.
func List(ctx context.Context, s Source) (*Listing, error) {
	a, err := parseAddress(s.Address)
	if err != nil {
		return nil, err
	}
	if s.Token != "" && a.base.Scheme != "https" && !a.local() {
		return nil, escrow.Errorf(escrow.Invalid, "a token does not go to %s in clear", a.base.Host).WithHint("use https")
	}
	if strings.ContainsFunc(s.Token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return nil, escrow.Errorf(escrow.Invalid, "the token holds a character that no token has").WithHint("set it again with 'holdfast module secret'")
	}
	l := &lister{address: a, token: s.Token, limits: s.Limits.orDefault(), transport: s.Transport}
	ctx, cancel := context.WithTimeoutCause(ctx, l.limits.Time, escrow.Errorf(escrow.Unavailable, "listing %s took longer than %s", a.base.Host, l.limits.Time))
	defer cancel()
	f, err := l.forge(ctx)
	if err != nil {
		return nil, err
	}
	l.api, l.kind = f.api(a), f
	list, err := l.all(ctx)
	if err != nil {
		return nil, err
	}
	return &Listing{Kind: f.kind, Origin: a.base.String(), Repositories: list, Pages: l.pages}, nil
}

// all reads the pages of the first question that the forge has an answer to.
func (l *lister) all(ctx context.Context) ([]Repository, error) {
	questions, err := l.kind.questions(ctx, l)
	if err != nil {
		return nil, err
	}
	for i, q := range questions {
		list, err := l.pagesOf(ctx, q)
		if escrow.CodeOf(err) == escrow.NotFound && i < len(questions)-1 {
			continue // not an organisation; perhaps a person's account
		}
		if err != nil {
			return nil, err
		}
		return tidy(list)
	}
	return nil, l.unknown()
}

func (l *lister) unknown() error {
	return escrow.Errorf(escrow.NotFound, "%s has no organisation, group or account %q, or does not show it", l.address.base.Host, l.address.owner).
		WithHint("check the address; for one that is not public set a token with 'holdfast module secret'")
}

// tidy puts the repositories in the order of their numbers. A list that moved
// while its pages were read shows one of them twice; one number for two
// repositories is refused.
func tidy(list []Repository) ([]Repository, error) {
	slices.SortStableFunc(list, func(a, b Repository) int { return compareRemote(a.Remote, b.Remote) })
	out := list[:0]
	for _, r := range list {
		if n := len(out); n > 0 && out[n-1].Remote == r.Remote {
			if out[n-1] != r {
				return nil, escrow.Errorf(escrow.Unavailable, "the forge lists %q and %q under one number; the list changed while it was read", out[n-1].Name, r.Name).
					WithHint("it is read again at the next sync")
			}
			continue
		}
		out = append(out, r)
	}
	return out, nil
}

// compareRemote orders numbers by size and everything else by its text.
func compareRemote(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}
