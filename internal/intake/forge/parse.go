package forge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"holdfast/internal/escrow"
)

// Of an answer only the named fields are read. They must be there and of their
// type; everything else is passed over, since forges add fields as they please.

// decode reads one JSON value and nothing behind it.
func decode(page []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(page))
	if err := d.Decode(into); err != nil {
		if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return fmt.Errorf("%s is a %s at byte %d", field(e.Field), e.Value, e.Offset)
		}
		if e, ok := errors.AsType[*json.SyntaxError](err); ok {
			return fmt.Errorf("no JSON at byte %d: %w", e.Offset, err)
		}
		return fmt.Errorf("no JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("something follows the JSON at byte %d", d.InputOffset())
	}
	return nil
}

func field(name string) string {
	if name == "" {
		return "the answer"
	}
	return name
}

// each reads the entries of a list and says which of them was wrong.
func each[T any](list []T, read func(T) (Repository, bool, error)) ([]Repository, error) {
	out := make([]Repository, 0, len(list))
	for i, entry := range list {
		r, ours, err := read(entry)
		if err != nil {
			if e, ok := errors.AsType[*escrow.Error](err); ok {
				located := *e
				located.Message = fmt.Sprintf("repository %d: %s", i+1, e.Message)
				return nil, &located
			}
			return nil, fmt.Errorf("repository %d: %w", i+1, err)
		}
		if ours {
			out = append(out, r)
		}
	}
	return out, nil
}

// list refuses what is no array: null is not an empty list.
func list[T any](page []byte) ([]T, error) {
	var entries *[]T
	if err := decode(page, &entries); err != nil {
		return nil, err
	}
	if entries == nil {
		return nil, errors.New("the answer is null, not a list")
	}
	return *entries, nil
}

// rest is what GitHub and Gitea call a repository.
type rest struct {
	ID       *int64  `json:"id"`
	FullName *string `json:"full_name"`
	CloneURL *string `json:"clone_url"`
	Archived *bool   `json:"archived"`
	Private  *bool   `json:"private"`
}

func parseREST(page []byte, a address) ([]Repository, string, error) {
	entries, err := list[rest](page)
	if err != nil {
		return nil, "", err
	}
	out, err := each(entries, func(r rest) (Repository, bool, error) {
		switch {
		case r.ID == nil:
			return lacks("id")
		case r.FullName == nil:
			return lacks("full_name")
		case r.CloneURL == nil:
			return lacks("clone_url")
		case r.Archived == nil:
			return lacks("archived")
		case r.Private == nil:
			return lacks("private")
		}
		return repository(a, number(*r.ID), *r.FullName, *r.CloneURL, *r.Archived, *r.Private)
	})
	return out, "", err
}

func parseGitHub(page []byte, a address) ([]Repository, string, error) { return parseREST(page, a) }

func parseGitea(page []byte, a address) ([]Repository, string, error) { return parseREST(page, a) }

func parseGitLab(page []byte, a address) ([]Repository, string, error) {
	type project struct {
		ID         *int64  `json:"id"`
		Path       *string `json:"path_with_namespace"`
		CloneURL   *string `json:"http_url_to_repo"`
		Archived   *bool   `json:"archived"`
		Visibility *string `json:"visibility"`
	}
	entries, err := list[project](page)
	if err != nil {
		return nil, "", err
	}
	out, err := each(entries, func(p project) (Repository, bool, error) {
		switch {
		case p.ID == nil:
			return lacks("id")
		case p.Path == nil:
			return lacks("path_with_namespace")
		case p.CloneURL == nil:
			return lacks("http_url_to_repo")
		}
		// GitLab shows these two only to whoever is signed in, and then both.
		archived := p.Archived != nil && *p.Archived
		private := p.Visibility != nil && *p.Visibility != "public"
		return repository(a, number(*p.ID), *p.Path, *p.CloneURL, archived, private)
	})
	return out, "", err
}

func parseBitbucket(page []byte, a address) ([]Repository, string, error) {
	type link struct {
		Name string `json:"name"`
		Href string `json:"href"`
	}
	type repo struct {
		UUID     *string `json:"uuid"`
		FullName *string `json:"full_name"`
		Private  *bool   `json:"is_private"`
		SCM      string  `json:"scm"`
		Links    struct {
			Clone []link `json:"clone"`
		} `json:"links"`
	}
	var answer struct {
		Values *[]repo `json:"values"`
		Next   string  `json:"next"`
	}
	if err := decode(page, &answer); err != nil {
		return nil, "", err
	}
	if answer.Values == nil {
		return nil, "", errors.New("the answer lacks values")
	}
	out, err := each(*answer.Values, func(r repo) (Repository, bool, error) {
		switch {
		case r.UUID == nil || *r.UUID == "" || len(*r.UUID) > 64 || strings.ContainsFunc(*r.UUID, func(c rune) bool { return !unicode.Is(unicode.ASCII_Hex_Digit, c) && c != '-' && c != '{' && c != '}' }):
			return lacks("uuid")
		case r.FullName == nil:
			return lacks("full_name")
		case r.Private == nil:
			return lacks("is_private")
		case r.SCM != "" && r.SCM != "git":
			return Repository{}, false, nil
		}
		for _, l := range r.Links.Clone {
			if l.Name == "https" {
				return repository(a, *r.UUID, *r.FullName, l.Href, false, *r.Private)
			}
		}
		return lacks("links.clone for https")
	})
	return out, answer.Next, err
}

func lacks(what string) (Repository, bool, error) {
	return Repository{}, false, fmt.Errorf("it lacks %s", what)
}

func number(id int64) string { return strconv.FormatInt(id, 10) }

// repository checks what an entry says.
func repository(a address, remote, fullName, clone string, archived, private bool) (Repository, bool, error) {
	if n, err := strconv.ParseInt(remote, 10, 64); err == nil && n <= 0 {
		return Repository{}, false, fmt.Errorf("its number is %d", n)
	}
	if err := checkName(fullName); err != nil {
		return Repository{}, false, fmt.Errorf("its name %v", err)
	}
	name := fullName
	if n := len(a.owner); len(fullName) > n+1 && strings.EqualFold(fullName[:n], a.owner) && fullName[n] == '/' {
		name = fullName[n+1:]
	}
	address, err := cloneURL(a, clone)
	return Repository{Remote: remote, Name: name, URL: address, Archived: archived, Private: private}, true, err
}

// cloneURL accepts an address to clone from on the configured host only: the
// token goes there.
func cloneURL(a address, text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || len(text) > maxAddress {
		return "", errors.New("its address to clone from is none")
	}
	if u.Scheme != a.base.Scheme || !strings.EqualFold(u.Host, a.base.Host) {
		return "", escrow.Errorf(escrow.Forbidden, "it is to be cloned from another host, %.100q", u.Scheme+"://"+u.Host).
			WithHint("a forge behind a proxy must know its own public address; it is the one the organisation's address must have")
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", errors.New("its address to clone from has a query or a fragment")
	}
	if err := checkName(strings.Trim(u.Path, "/")); err != nil {
		return "", fmt.Errorf("the path of its address to clone from %v", err)
	}
	u.User = nil // Bitbucket names whoever asks
	return u.String(), nil
}

// maxName bounds the path of a repository, in bytes.
const maxName = 1024

// checkName refuses what is no path of names.
func checkName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("has %d bytes", len(name))
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." {
			return fmt.Errorf("%.100q has the part %q", name, part)
		}
	}
	if i := strings.IndexFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || r == '\\' || r == unicode.ReplacementChar }); i >= 0 {
		return fmt.Errorf("%.100q has a character at byte %d that no name has", name, i)
	}
	return nil
}
