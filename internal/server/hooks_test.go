package server_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/intake/git/gittest"
)

// forge makes notices the way one forge does.
type forge struct {
	name   string
	secret string
	push   string // name of its push event
	ping   string // and of its trial, "" where it has none of its own
	body   func(repository, salt string) string
	sign   func(h http.Header, event, secret, body string)
}

func mac(secret, text string) string {
	h := hmac.New(sha256.New, []byte(secret))
	io.WriteString(h, text)
	return hex.EncodeToString(h.Sum(nil))
}

const hookSecret = "a secret shared with the forge"

func forges() []forge {
	cloneURL := func(url, salt string) string {
		return fmt.Sprintf(`{"after":%q,"repository":{"clone_url":%q}}`, salt, url)
	}
	project := func(url, salt string) string {
		return fmt.Sprintf(`{"after":%q,"project":{"git_http_url":%q}}`, salt, url)
	}
	signing := "whsec_" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	return []forge{
		{"GitHub", hookSecret, "push", "ping", cloneURL, func(h http.Header, event, secret, body string) {
			h.Set("X-GitHub-Event", event)
			h.Set("X-Hub-Signature-256", "sha256="+mac(secret, body))
		}},
		{"GitLab with a token", hookSecret, "Push Hook", "", project, func(h http.Header, event, secret, body string) {
			h.Set("X-Gitlab-Event", event)
			h.Set("X-Gitlab-Token", secret)
		}},
		{"GitLab with a signature", signing, "Tag Push Hook", "", project, func(h http.Header, event, secret, body string) {
			key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
			stamp := fmt.Sprint(time.Now().Unix())
			sum := hmac.New(sha256.New, key)
			fmt.Fprintf(sum, "id.%s.%s", stamp, body)
			h.Set("X-Gitlab-Event", event)
			h.Set("Webhook-Id", "id")
			h.Set("Webhook-Timestamp", stamp)
			h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(sum.Sum(nil)))
		}},
		{"Bitbucket Cloud", hookSecret, "repo:push", "diagnostics:ping", func(url, salt string) string {
			return fmt.Sprintf(`{"x":%q,"repository":{"links":{"html":{"href":%q}}}}`, salt, url)
		}, func(h http.Header, event, secret, body string) {
			h.Set("X-Event-Key", event)
			h.Set("X-Hub-Signature", "sha256="+mac(secret, body))
		}},
		{"Bitbucket Data Center", hookSecret, "repo:refs_changed", "diagnostics:ping", func(url, salt string) string {
			return fmt.Sprintf(`{"x":%q,"repository":{"links":{"clone":[{"href":%q,"name":"http"}]}}}`, salt, url)
		}, func(h http.Header, event, secret, body string) {
			h.Set("X-Event-Key", event)
			h.Set("X-Hub-Signature", "sha256="+mac(secret, body))
		}},
		{"Gitea", hookSecret, "push", "", cloneURL, func(h http.Header, event, secret, body string) {
			h.Set("X-Gitea-Event", event)
			h.Set("X-Gitea-Signature", mac(secret, body))
		}},
		{"Forgejo", hookSecret, "create", "", cloneURL, func(h http.Header, event, secret, body string) {
			h.Set("X-Forgejo-Event", event)
			h.Set("X-Forgejo-Signature", mac(secret, body))
		}},
	}
}

// answer is all that whoever sends a notice gets to see.
type answer struct {
	status int
	text   string
}

// post sends a notice. The answer is without what differs between any two.
func (in *installation) post(arrangement, module, body string, header http.Header) answer {
	in.t.Helper()
	req, err := http.NewRequestWithContext(in.t.Context(), http.MethodPost, in.url+"/hooks/"+arrangement+"/"+module, strings.NewReader(body))
	if err != nil {
		in.t.Fatal(err)
	}
	req.Header = header.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		in.t.Fatal(err)
	}
	defer resp.Body.Close()
	var all bytes.Buffer
	resp.Header.Del("X-Request-Id")
	resp.Header.Del("Date")
	resp.Header.Write(&all)
	if _, err := io.Copy(&all, resp.Body); err != nil {
		in.t.Fatal(err)
	}
	return answer{resp.StatusCode, all.String()}
}

// size is how many acts the ledger has: whatever happens, happens there.
func (in *installation) size() int64 {
	in.t.Helper()
	c, err := in.admin.Consistency(in.t.Context(), 0)
	if err != nil {
		in.t.Fatal(err)
	}
	checkpoint, err := evidence.PeekCheckpoint([]byte(c.Checkpoint))
	if err != nil {
		in.t.Fatal(err)
	}
	return checkpoint.Size
}

// TestWebhooks: an authentic notice of a push starts one sync, and nothing
// else starts any or tells a stranger anything.
func TestWebhooks(t *testing.T) { eachEngine(t, checkWebhooks) }

func checkWebhooks(t *testing.T, in *installation) {
	in.ceremony(1)
	r := newSource(t, "sha1")
	s := gittest.ServeHTTP(t, r.Root(), gittest.HTTPOptions{Version: gittest.V2})
	url := s.URL + "/" + r.Name()
	in.source("r1", client.ModuleSource{URL: url})
	stranger := in.post("demo", "no-such-module", "{}", nil)
	if stranger.status != http.StatusUnauthorized {
		t.Errorf("a stranger is answered %+v", stranger)
	}
	deposits := 0
	for i, f := range forges() {
		in.secret("r1", "webhook_secret", f.secret)
		signed := func(event, secret, body string) http.Header {
			h := http.Header{}
			f.sign(h, event, secret, body)
			return h
		}
		// A push, delivered several times at once and once more.
		commit(t, r, 10+i)
		body := f.body(url, f.name)
		header, requested := signed(f.push, f.secret, body), len(in.acts(in.admin, "sync.requested"))
		answers := make(chan answer, 5)
		for range cap(answers) {
			go func() { answers <- in.post("demo", "r1", body, header) }()
		}
		for range cap(answers) {
			if a := <-answers; a.status != http.StatusAccepted {
				t.Errorf("%s: a push is answered %+v", f.name, a)
			}
		}
		deposits++
		waitFor(t, f.name+": the deposit", func() bool { return in.module("r1").Latest == deposits })
		if a := in.post("demo", "r1", body, header); a.status != http.StatusAccepted {
			t.Errorf("%s: a replay is answered %+v", f.name, a)
		}
		if n := len(in.acts(in.admin, "sync.requested")) - requested; n != 1 {
			t.Errorf("%s: one push asked for %d syncs", f.name, n)
		}
		waitFor(t, f.name+": the report", func() bool {
			return len(in.acts(in.admin, "sync.deposited")) == deposits
		})
		before := in.size()

		// Authentic, and nothing to do.
		quiet := map[string]answer{
			"another event":      in.post("demo", "r1", body+" ", signed("Something Else", f.secret, body+" ")),
			"another repository": in.post("demo", "r1", f.body(url+"2", "x"), signed(f.push, f.secret, f.body(url+"2", "x"))),
		}
		if f.ping != "" {
			quiet["ping"] = in.post("demo", "r1", body+" ", signed(f.ping, f.secret, body+" "))
		}
		for name, a := range quiet {
			if a.status != http.StatusAccepted {
				t.Errorf("%s: %s is answered %+v", f.name, name, a)
			}
		}
		if a := in.post("demo", "r1", "no JSON", signed(f.push, f.secret, "no JSON")); a.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: an authentic body that is no JSON is answered %+v", f.name, a)
		}

		// Not authentic: as if there were no such module.
		fresh := f.body(url, "fresh")
		wrong := f.secret[:len(f.secret)-4] + "AAA="
		for name, a := range map[string]answer{
			"another secret":        in.post("demo", "r1", fresh, signed(f.push, wrong, fresh)),
			"no signature":          in.post("demo", "r1", fresh, nil),
			"event and no proof":    in.post("demo", "r1", fresh, http.Header{"X-Github-Event": {"push"}}),
			"unknown module":        in.post("demo", "no-such-module", fresh, signed(f.push, f.secret, fresh)),
			"unknown arrangement":   in.post("nowhere", "r1", fresh, signed(f.push, f.secret, fresh)),
			"module with no secret": in.post("demo", "r2", fresh, signed(f.push, f.secret, fresh)),
			"SHA-1":                 in.post("demo", "r1", fresh, http.Header{"X-Github-Event": {"push"}, "X-Hub-Signature": {"sha1=" + sha1MAC(f.secret, fresh)}}),
		} {
			if a != stranger {
				t.Errorf("%s: %s is answered %+v, a stranger %+v", f.name, name, a, stranger)
			}
		}
		if f.name != "GitLab with a token" { // whose proof does not cover the body
			if a := in.post("demo", "r1", fresh+" ", signed(f.push, f.secret, fresh)); a != stranger {
				t.Errorf("%s: another body is answered %+v", f.name, a)
			}
		}
		if n := in.size() - before; n != 0 {
			t.Errorf("%s: %d acts from notices that must do nothing", f.name, n)
		}
	}
	in.restored("r1", deposits, look(t, r))

	// Too long: refused before anything is looked at.
	before := in.size()
	long := strings.Repeat(" ", 1<<20+1)
	known, unknown := in.post("demo", "r1", long, nil), in.post("demo", "no-such-module", long, nil)
	if known != unknown || known.status/100 != 4 {
		t.Errorf("a long body is answered %+v, of an unknown module %+v", known, unknown)
	}
	if n := in.size() - before; n != 0 {
		t.Errorf("%d acts from notices that are too long", n)
	}
	// A secret that can prove nothing is a fault of ours, which is no
	// stranger's business.
	in.secret("r1", "webhook_secret", "whsec_not base64")
	before = in.size()
	if a := in.post("demo", "r1", "{}", http.Header{"X-Gitlab-Token": {"whsec_not base64"}, "X-Gitlab-Event": {"Push Hook"}}); a != stranger {
		t.Errorf("with an unusable secret: %+v", a)
	}
	if n := in.size() - before; n != 0 {
		t.Errorf("%d acts with an unusable secret", n)
	}
	// Two modules with one source are told the same, and both listen.
	f := forges()[0]
	for _, module := range []string{"r1", "r2"} {
		in.source(module, client.ModuleSource{URL: url})
		in.secret(module, "webhook_secret", f.secret)
	}
	requested := len(in.acts(in.admin, "sync.requested"))
	for _, module := range []string{"r1", "r2"} {
		body := f.body(url, "both")
		h := http.Header{}
		f.sign(h, f.push, f.secret, body)
		in.post("demo", module, body, h)
	}
	if n := len(in.acts(in.admin, "sync.requested")) - requested; n != 2 {
		t.Errorf("two modules with one source: %d syncs", n)
	}
	waitFor(t, "their syncs", func() bool {
		return len(in.acts(in.admin, "sync.deposited"))+len(in.acts(in.admin, "sync.unchanged")) == deposits+2
	})
	// A module that its depositor pushes has nothing to be fetched.
	in.push("r1")
	in.secret("r1", "webhook_secret", hookSecret)
	before = in.size()
	body := f.body("https://anywhere.example/x", "last")
	h := http.Header{}
	f.sign(h, f.push, hookSecret, body)
	if a := in.post("demo", "r1", body, h); a.status != http.StatusAccepted || in.size() != before {
		t.Errorf("a push of a pushed module: %+v, %d acts", a, in.size()-before)
	}
}

func sha1MAC(secret, text string) string {
	h := hmac.New(sha1.New, []byte(secret))
	io.WriteString(h, text)
	return hex.EncodeToString(h.Sum(nil))
}
