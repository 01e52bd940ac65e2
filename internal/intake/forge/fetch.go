package forge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"holdfast/internal/escrow"
)

// lister is one listing at work.
type lister struct {
	address   address
	api       *url.URL // scheme and host of the interface, and the path before its version's
	kind      dialect
	token     string
	limits    Limits
	transport http.RoundTripper
	pages     int
}

// question is a first page and how to read it.
type question struct {
	url   *url.URL
	parse func(page []byte, a address) (list []Repository, next string, err error)
}

// answer is one page.
type answer struct {
	status int
	body   []byte
	header http.Header
}

// pagesOf reads a list to its end.
func (l *lister) pagesOf(ctx context.Context, q question) ([]Repository, error) {
	var out []Repository
	seen := map[string]bool{}
	for page, at := 1, q.url; ; page++ {
		if page > l.limits.Pages {
			return nil, escrow.Errorf(escrow.Unavailable, "%s does not come to an end after %d pages", l.api.Host, l.limits.Pages)
		}
		if seen[at.String()] {
			return nil, escrow.Errorf(escrow.Unavailable, "page %d of %s leads back to one before it", page-1, l.api.Host)
		}
		seen[at.String()] = true
		a, err := l.get(ctx, at, true)
		if err != nil {
			return nil, fmt.Errorf("page %d: %w", page, err)
		}
		if err := l.refused(a); err != nil {
			return nil, err
		}
		list, next, err := q.parse(a.body, l.address)
		if err != nil {
			return nil, located(err, page, l.api.Host)
		}
		l.pages++
		if out = append(out, list...); len(out) > l.limits.Repositories {
			return nil, escrow.Errorf(escrow.Full, "%s lists more than %d repositories", l.address.owner, l.limits.Repositories).
				WithHint("name a subgroup, or several organisations as modules of their own")
		}
		if next == "" {
			next = nextLink(a.header)
		}
		if next == "" {
			return out, nil
		}
		if at, err = l.follow(at, next); err != nil {
			return nil, err
		}
	}
}

// located says where in an answer something was wrong.
func located(err error, page int, host string) error {
	if e, ok := errors.AsType[*escrow.Error](err); ok {
		out := escrow.Errorf(e.Code, "answer of %s, page %d: %s", host, page, e.Message)
		if e.Hint != "" {
			out = out.WithHint("%s", e.Hint)
		}
		return out
	}
	return escrow.Errorf(escrow.Damaged, "answer of %s, page %d: %w", host, page, err).WithHint("this is not what the forge documents; check the address")
}

// follow accepts a link to a further page on the same host only: it is asked
// for with the token.
func (l *lister) follow(at *url.URL, link string) (*url.URL, error) {
	next, err := at.Parse(link)
	if err != nil || next.Scheme != l.api.Scheme || !strings.EqualFold(next.Host, l.api.Host) || next.User != nil {
		host := "something that is no address"
		if err == nil {
			host = fmt.Sprintf("%.100q", next.Host)
		}
		return nil, escrow.Errorf(escrow.Forbidden, "%s leads to another host for the next page, %s", l.api.Host, host).
			WithHint("a forge behind a proxy must know its own public address")
	}
	next.Fragment = ""
	return next, nil
}

// get asks for one page. The token goes along unless plain is asked.
func (l *lister) get(ctx context.Context, at *url.URL, authorised bool) (answer, error) {
	var a answer
	if l.transport == nil {
		return a, errors.New("forge: no transport")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return a, fmt.Errorf("forge: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "holdfast")
	if authorised {
		for name, value := range l.kind.headers(l.token) {
			req.Header.Set(name, value)
		}
	}
	client := http.Client{Transport: l.transport, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		first := via[0].URL
		if next.URL.Scheme != first.Scheme || !strings.EqualFold(next.URL.Host, first.Host) || next.URL.User != nil {
			return escrow.Errorf(escrow.Forbidden, "%s redirects to another host, %.100q", first.Hostname(), next.URL.Host).WithHint("if the organisation has moved there, configure the new address")
		}
		if len(via) > maxRedirects {
			return escrow.Errorf(escrow.Unavailable, "%s redirects more than %d times", first.Hostname(), maxRedirects)
		}
		return nil
	}}
	resp, err := client.Do(req)
	if err != nil {
		return a, l.failed(ctx, err)
	}
	defer resp.Body.Close()
	a.status, a.header = resp.StatusCode, resp.Header
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, l.limits.Page+1))
	if err != nil {
		return a, l.failed(ctx, err)
	}
	if int64(len(a.body)) > l.limits.Page {
		return a, escrow.Errorf(escrow.Unavailable, "an answer of %s is larger than %d bytes", at.Hostname(), l.limits.Page)
	}
	return a, nil
}

// maxRedirects bounds a chain of redirects on the one host.
const maxRedirects = 5

// failed turns what the connection ran into into words without the request's
// address.
func (l *lister) failed(ctx context.Context, err error) error {
	if e, ok := errors.AsType[*escrow.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*escrow.Error](context.Cause(ctx)); ok {
		return e
	}
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return escrow.Wrap(err, escrow.Unavailable, "%s does not answer", l.address.base.Host).WithHint("check the address, and that the forge is up")
}

// refused turns a status other than success into an error. What the forge says
// is not repeated: it is for people who hold an account there.
func (l *lister) refused(a answer) error {
	host := l.api.Host
	limited := a.header.Get("X-Ratelimit-Remaining") == "0" || a.header.Get("Retry-After") != ""
	switch {
	case a.status == http.StatusOK:
		return nil
	case a.status == http.StatusNotFound:
		return l.unknown()
	case a.status == http.StatusTooManyRequests, a.status == http.StatusForbidden && limited:
		return escrow.Errorf(escrow.Unavailable, "%s has had too many requests (%d)", host, a.status).WithHint("it is tried again later; with a token the forge allows more")
	case a.status == http.StatusUnauthorized && l.token == "":
		return escrow.Errorf(escrow.Forbidden, "%s asks for a token (401)", host).WithHint("set one that may read the repositories with 'holdfast module secret'")
	case a.status == http.StatusUnauthorized:
		return escrow.Errorf(escrow.Forbidden, "%s does not take the token (401)", host).WithHint("it may have expired; set a new one with 'holdfast module secret'")
	case a.status == http.StatusForbidden:
		return escrow.Errorf(escrow.Forbidden, "%s does not let the token list %q (403)", host, l.address.owner).WithHint("the token must be allowed to read the organisation's repositories")
	case a.status >= 500:
		return escrow.Errorf(escrow.Unavailable, "%s fails (%d)", host, a.status)
	}
	return escrow.Errorf(escrow.Unavailable, "%s answers with status %d", host, a.status).WithHint("check the address")
}

// nextLink finds the next page in a Link header, RFC 8288 as the forges write
// it: <URL>; rel="next".
func nextLink(h http.Header) string {
	for _, line := range h.Values("Link") {
		for line != "" {
			_, rest, ok := strings.Cut(line, "<")
			if !ok {
				break
			}
			target, params, ok := strings.Cut(rest, ">")
			if !ok {
				break
			}
			// Parameters end at the comma before the next link.
			end := strings.Index(params, "<")
			if end < 0 {
				end = len(params)
			}
			for p := range strings.SplitSeq(strings.Trim(params[:end], " ,"), ";") {
				name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
				if strings.EqualFold(name, "rel") && strings.EqualFold(strings.Trim(value, `" `), "next") {
					return target
				}
			}
			line = params[end:]
		}
	}
	return ""
}
