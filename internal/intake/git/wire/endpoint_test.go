package wire_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/gittest"
	"holdfast/internal/intake/git/wire"
)

func TestEndpointURLs(t *testing.T) {
	key, line, _ := gittest.NewKey(t)
	for url, want := range map[string]string{
		"https://git.example.org/a/b.git":      "https://git.example.org/a/b.git",
		"https://git.example.org:8443/a%20b":   "https://git.example.org:8443/a%20b",
		"HTTPS://git.example.org/a":            "https://git.example.org/a",
		"http://[::1]:80/a":                    "http://[::1]:80/a",
		"ssh://git@git.example.org:2222/a.git": "ssh://git.example.org:2222/a.git",
		"ssh://git.example.org/~me/a.git":      "ssh://git.example.org/~me/a.git",
		"git@git.example.org:team/a.git":       "ssh://git.example.org/team/a.git",
		"git://git.example.org/a.git":          "git://git.example.org/a.git",
		"file:///srv/git/a.git":                "file:///srv/git/a.git",
		"/srv/git/../git/a.git":                "/srv/git/a.git",
	} {
		e := wire.Endpoint{URL: url}
		if strings.HasPrefix(want, "ssh") {
			e.Key, e.HostKeys = wire.Secret(key), line
		}
		if err := e.Check(); err != nil {
			t.Errorf("%s: %v", url, err)
		}
		if got := e.String(); got != want {
			t.Errorf("%s is called %s, want %s", url, got, want)
		}
	}
}

// None of these may show what stood where the secret is.
func TestEndpointRefuses(t *testing.T) {
	key, line, _ := gittest.NewKey(t)
	for _, e := range []wire.Endpoint{
		{},
		{URL: "https://u:tok-CANARY@127.0.0.1:1/x.git"},
		{URL: "https://tok-CANARY@127.0.0.1:1/x.git"},
		{URL: "git://u:tok-CANARY@127.0.0.1:1/x.git"},
		{URL: "ssh://u:tok-CANARY@127.0.0.1:1/x.git"},
		{URL: "https://u:tok-CANARY@127.0.0.1:port/x.git"},
		{URL: "https://u:tok-%zzCANARY@127.0.0.1/x.git"},
		{URL: "https:/u:tok-CANARY@127.0.0.1/x.git"},
		{URL: "u:tok-CANARY@127.0.0.1:x.git"},
		{URL: "https://127.0.0.1/x.git?access_token=tok-CANARY"},
		{URL: "https://127.0.0.1/x.git#tok-CANARY"},
		{URL: "https://127.0.0.1/x\n.git"},
		{URL: "git://127.0.0.1/x%0a.git"},
		{URL: "git://127.0.0.1/x%00host=evil"},
		{URL: "https://127.0.0.1"}, {URL: "https://127.0.0.1/"}, {URL: "https:///x.git"},
		{URL: "ftp://127.0.0.1/x.git"}, {URL: "ext::sh -c true"}, {URL: "relative/path"}, {URL: "-oProxyCommand=x:y"},
		{URL: "host:-x"},
		{URL: "file://elsewhere/x.git"},
		{URL: "https://127.0.0.1/" + strings.Repeat("x", 5000)},
		{URL: "https://127.0.0.1/x.git", Token: "tok-CANARY\n"},
		{URL: "https://127.0.0.1/x.git", Token: "tok-CANARY", User: "a:b"},
		{URL: "http://git.example.org/x.git", Token: "tok-CANARY"},
		{URL: "git://127.0.0.1/x.git", Token: "tok-CANARY"},
		{URL: "ssh://127.0.0.1/x.git", HostKeys: line},
		{URL: "ssh://127.0.0.1/x.git", Key: "CANARY", HostKeys: line},
		{URL: "ssh://127.0.0.1/x.git", Key: wire.Secret(key)},
		{URL: "ssh://127.0.0.1/x.git", Key: wire.Secret(key), HostKeys: "SHA256:abc"},
	} {
		err := e.Check()
		if escrow.CodeOf(err) != escrow.Invalid {
			t.Errorf("%q: code %q, want invalid: %v", e.URL, escrow.CodeOf(err), err)
			continue
		}
		check(t, err, escrow.Invalid)
		if _, err := wire.Open(t.Context(), e, config()); err == nil {
			t.Errorf("%q opens", e.URL)
		}
	}
	if err := (wire.Endpoint{URL: "http://git.example.org/x.git", Token: "t", PlainToken: true}).Check(); err != nil {
		t.Errorf("a token in clear where it is allowed: %v", err)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	e := wire.Endpoint{URL: "https://u:p-CANARY@h/x", User: "me", Token: "tok-CANARY", Key: "key-CANARY"}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%v %+v %#v %s %q %x", e, e, e, e, e.Token, e.Token)
	fmt.Fprintf(&out, "%+v %#v", []any{e, &e, e.Token}, struct{ T wire.Secret }{e.Token})
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "endpoint", e, "token", e.Token)
	data, err := json.Marshal(struct{ A, B wire.Secret }{e.Token, e.Key})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(data)
	if strings.Contains(out.String(), "CANARY") || strings.Contains(out.String(), fmt.Sprintf("%x", "CANARY")) {
		t.Errorf("a secret is in %s", out.String())
	}
}
