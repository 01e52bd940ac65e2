package webhook_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/webhook"
)

func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// TestPublishedVectors holds the arithmetic against the examples that the
// forges and the specifications print. Their bodies are no JSON of a forge,
// so what is authentic is refused as Invalid, and what is not, before that,
// as Unauthenticated.
func TestPublishedVectors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, secret, body string
		header             http.Header
		code               escrow.Code
	}{
		{"GitHub, Validating webhook deliveries", "It's a Secret to Everybody", "Hello, World!",
			headers("X-GitHub-Event", "push", "X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"), escrow.Invalid},
		{"Atlassian, Manage webhooks", "It's a Secret to Everybody", "Hello World!",
			headers("X-Event-Key", "repo:push", "X-Hub-Signature", "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"), escrow.Invalid},
		{"RFC 4231 case 2, as Gitea sends it", "Jefe", "what do ya want for nothing?",
			headers("X-Gitea-Signature", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"), escrow.Invalid},
		{"RFC 4231 case 2, as Forgejo sends it", "Jefe", "what do ya want for nothing?",
			headers("X-Forgejo-Signature", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"), escrow.Invalid},
		{"Standard Webhooks", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", `{"test": 2432232314}`,
			headers("Webhook-Id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "Webhook-Timestamp", "1614265330", "Webhook-Signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="), ""},
	} {
		now := time.Unix(1614265330, 0)
		_, err := webhook.Verify(webhook.Request{Header: c.header, Body: []byte(c.body), Secret: c.secret, Now: now})
		if escrow.CodeOf(err) != c.code {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, changed := range []string{c.body + " ", c.body[1:], strings.ToUpper(c.body), ""} {
			if _, err := webhook.Verify(webhook.Request{Header: c.header, Body: []byte(changed), Secret: c.secret, Now: now}); escrow.CodeOf(err) != escrow.Unauthenticated {
				t.Errorf("%s with body %q: %v", c.name, changed, err)
			}
		}
		if _, err := webhook.Verify(webhook.Request{Header: c.header, Body: []byte(c.body), Secret: c.secret + "BBBB", Now: now}); escrow.CodeOf(err) != escrow.Unauthenticated {
			t.Errorf("%s with another secret: %v", c.name, err)
		}
	}
}

const secret = "a secret of the test"

func hexMAC(body string) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(body))
	return hex.EncodeToString(h.Sum(nil))
}

const signing = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

func standardMAC(id, stamp, body string) string {
	h := hmac.New(sha256.New, []byte("0123456789abcdef0123456789abcdef"))
	fmt.Fprintf(h, "%s.%s.%s", id, stamp, body)
	return "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// The shapes of the forges' documented payloads, shortened to what is read
// and a little around it.
const (
	gitHubBody = `{"ref":"refs/heads/main","before":"6113728f27ae82c7b1a177c8d03f9e96e0adf246","after":"0000000000000000000000000000000000000000","repository":{"id":1,"full_name":"Codertocat/Hello-World","private":false,"html_url":"https://github.com/Codertocat/Hello-World","git_url":"git://github.com/Codertocat/Hello-World.git","ssh_url":"git@github.com:Codertocat/Hello-World.git","clone_url":"https://github.com/Codertocat/Hello-World.git","homepage":null},"pusher":{"name":"Codertocat"}}`
	gitLabBody = `{"object_kind":"push","event_name":"push","before":"95790bf891e76fee5e1747ab589903a6a1f80f22","after":"da1560886d4f094c3e6c9ef40349f7d38b5d27d7","ref":"refs/heads/master","project":{"id":15,"name":"Diaspora","web_url":"http://example.com/mike/diaspora","git_ssh_url":"git@example.com:mike/diaspora.git","git_http_url":"http://example.com/mike/diaspora.git","homepage":"http://example.com/mike/diaspora"},"repository":{"name":"Diaspora","url":"git@example.com:mike/diaspora.git","homepage":"http://example.com/mike/diaspora","git_http_url":"http://example.com/mike/diaspora.git","git_ssh_url":"git@example.com:mike/diaspora.git"}}`
	cloudBody  = `{"actor":{"type":"user"},"repository":{"type":"repository","full_name":"team_name/repo_name","links":{"self":{"href":"https://api.bitbucket.org/2.0/repositories/team_name/repo_name"},"html":{"href":"https://bitbucket.org/team_name/repo_name"}}},"push":{"changes":[]}}`
	dcBody     = `{"eventKey":"repo:refs_changed","date":"2017-09-19T09:58:11+1000","repository":{"slug":"repository","id":84,"name":"repository","project":{"key":"PROJ"},"links":{"clone":[{"href":"https://bitbucket.example/scm/proj/repository.git","name":"http"},{"href":"ssh://git@bitbucket.example:7999/proj/repository.git","name":"ssh"}],"self":[{"href":"https://bitbucket.example/projects/PROJ/repos/repository/browse"}]}},"changes":[]}`
	giteaBody  = `{"ref":"refs/heads/develop","before":"28e1879d029cb852e4844d9c718537df08844e03","after":"bffeb74224043ba2feb48d137756c8a9331c449a","compare_url":"http://localhost:3000/gitea/webhooks/compare/x","commits":[],"repository":{"id":140,"name":"webhooks","full_name":"gitea/webhooks","html_url":"http://localhost:3000/gitea/webhooks","ssh_url":"ssh://gitea@localhost:2222/gitea/webhooks.git","clone_url":"http://localhost:3000/gitea/webhooks.git"}}`
)

func TestForges(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	stamp := fmt.Sprint(now.Unix())
	for _, c := range []struct {
		name    string
		header  http.Header
		body    string
		secret  string
		want    webhook.Event // without Repositories and Fingerprint
		address string        // one of the repositories
		about   []string
		not     []string
	}{
		{"GitHub push", headers("X-GitHub-Event", "push", "X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958", "X-Hub-Signature", "sha1=0000", "X-Hub-Signature-256", "sha256="+hexMAC(gitHubBody)), gitHubBody, secret,
			webhook.Event{Kind: webhook.GitHub, Type: webhook.Push, Name: "push", Delivery: "72d3162e-cc78-11e3-81ab-4c9367dc0958"}, "https://github.com/Codertocat/Hello-World.git",
			[]string{"https://github.com/codertocat/hello-world", "git@github.com:Codertocat/Hello-World.git", "ssh://git@github.com:443/Codertocat/Hello-World"},
			[]string{"https://github.com/Codertocat/Hello-World2", "https://github.com.evil.example/Codertocat/Hello-World", "https://evil.example/github.com/Codertocat/Hello-World", "/srv/git/Hello-World", ""}},
		{"GitHub ping, as a form", headers("Content-Type", "application/x-www-form-urlencoded", "X-GitHub-Event", "ping", "X-Hub-Signature-256", "sha256="+hexMAC("payload="+url.QueryEscape(`{"zen":"Keep it logically awesome.","hook_id":1}`))), "payload=" + url.QueryEscape(`{"zen":"Keep it logically awesome.","hook_id":1}`), secret,
			webhook.Event{Kind: webhook.GitHub, Type: webhook.Ping, Name: "ping"}, "", []string{}, nil},
		{"GitHub star", headers("X-GitHub-Event", "star", "X-Hub-Signature-256", "sha256="+hexMAC(gitHubBody)), gitHubBody, secret,
			webhook.Event{Kind: webhook.GitHub, Type: webhook.Other, Name: "star"}, "https://github.com/Codertocat/Hello-World.git", nil, nil},
		{"GitLab token", headers("X-Gitlab-Event", "Push Hook", "X-Gitlab-Token", secret, "Idempotency-Key", "f5e5f430-f57b-4e6e-9fac-d9128cd7232f"), gitLabBody, secret,
			webhook.Event{Kind: webhook.GitLab, Type: webhook.Push, Name: "Push Hook", Delivery: "f5e5f430-f57b-4e6e-9fac-d9128cd7232f"}, "http://example.com/mike/diaspora.git",
			[]string{"https://example.com/mike/diaspora.git", "git@example.com:mike/diaspora"}, []string{"https://example.com/mike/other"}},
		{"GitLab signed", headers("X-Gitlab-Event", "Tag Push Hook", "Webhook-Id", "id-1", "Webhook-Timestamp", stamp, "Webhook-Signature", "v1,AAAA v1a,x "+standardMAC("id-1", stamp, gitLabBody)), gitLabBody, signing,
			webhook.Event{Kind: webhook.GitLab, Type: webhook.Push, Name: "Tag Push Hook", Delivery: "id-1"}, "git@example.com:mike/diaspora.git", nil, nil},
		{"GitLab system hook", headers("X-Gitlab-Event", "System Hook", "X-Gitlab-Token", secret), gitLabBody, secret,
			webhook.Event{Kind: webhook.GitLab, Type: webhook.Push, Name: "push"}, "http://example.com/mike/diaspora.git", nil, nil},
		{"Bitbucket Cloud", headers("X-Event-Key", "repo:push", "X-Request-UUID", "r-1", "X-Hub-Signature", "sha256="+hexMAC(cloudBody)), cloudBody, secret,
			webhook.Event{Kind: webhook.Bitbucket, Type: webhook.Push, Name: "repo:push", Delivery: "r-1"}, "https://bitbucket.org/team_name/repo_name",
			[]string{"https://bitbucket.org/team_name/repo_name.git", "git@bitbucket.org:team_name/repo_name.git"}, []string{"https://bitbucket.org/team_name/repo"}},
		{"Bitbucket Data Center", headers("X-Event-Key", "repo:refs_changed", "X-Request-Id", "r-2", "X-Hub-Signature", "sha256="+hexMAC(dcBody)), dcBody, secret,
			webhook.Event{Kind: webhook.Bitbucket, Type: webhook.Push, Name: "repo:refs_changed", Delivery: "r-2"}, "ssh://git@bitbucket.example:7999/proj/repository.git",
			[]string{"https://bitbucket.example/scm/PROJ/repository.git", "ssh://git@bitbucket.example:7999/proj/repository"}, nil},
		{"Bitbucket Data Center, test", headers("X-Event-Key", "diagnostics:ping", "X-Hub-Signature", "sha256="+hexMAC(`{"test": true}`)), `{"test": true}`, secret,
			webhook.Event{Kind: webhook.Bitbucket, Type: webhook.Ping, Name: "diagnostics:ping"}, "", []string{}, nil},
		{"Gitea, with the headers of GitHub beside", headers("X-Gitea-Event", "push", "X-Gitea-Delivery", "g-1", "X-Gitea-Signature", hexMAC(giteaBody), "X-GitHub-Event", "push", "X-Hub-Signature", "sha1=1", "X-Hub-Signature-256", "sha256="+hexMAC(giteaBody), "X-Gogs-Signature", hexMAC(giteaBody)), giteaBody, secret,
			webhook.Event{Kind: webhook.Gitea, Type: webhook.Push, Name: "push", Delivery: "g-1"}, "http://localhost:3000/gitea/webhooks.git",
			[]string{"ssh://gitea@localhost:2222/gitea/webhooks.git", "http://localhost:3000/gitea/webhooks"}, nil},
		{"Forgejo", headers("X-Forgejo-Event", "push", "X-Forgejo-Delivery", "f-1", "X-Forgejo-Signature", hexMAC(giteaBody), "X-Gitea-Signature", "00", "X-Hub-Signature-256", "sha256=00"), giteaBody, secret,
			webhook.Event{Kind: webhook.Forgejo, Type: webhook.Push, Name: "push", Delivery: "f-1"}, "http://localhost:3000/gitea/webhooks.git", nil, nil},
	} {
		got, err := webhook.Verify(webhook.Request{Header: c.header, Body: []byte(c.body), Secret: c.secret, Now: now})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if c.address != "" && !slices.Contains(got.Repositories, c.address) {
			t.Errorf("%s: repositories %q", c.name, got.Repositories)
		}
		for _, a := range c.about {
			if !got.About(a) {
				t.Errorf("%s is not about %q", c.name, a)
			}
		}
		for _, a := range c.not {
			if got.About(a) {
				t.Errorf("%s is about %q", c.name, a)
			}
		}
		if len(got.Fingerprint) != 64 {
			t.Errorf("%s: fingerprint %q", c.name, got.Fingerprint)
		}
		if c.want.Kind != got.Kind || c.want.Type != got.Type || c.want.Name != got.Name || c.want.Delivery != got.Delivery {
			t.Errorf("%s: %+v", c.name, got)
		}
		// The kind can be fixed; then no other is taken.
		for _, kind := range []webhook.Kind{webhook.GitHub, webhook.GitLab, webhook.Bitbucket, webhook.Gitea, webhook.Forgejo} {
			_, err := webhook.Verify(webhook.Request{Kind: kind, Header: c.header, Body: []byte(c.body), Secret: c.secret, Now: now})
			alsoSigned := c.want.Kind == webhook.Gitea && kind == webhook.GitHub // with a sound signature of its own
			if (err == nil) != (kind == c.want.Kind || alsoSigned) {
				t.Errorf("%s taken as %s: %v", c.name, kind, err)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(d time.Duration) http.Header {
		stamp := fmt.Sprint(now.Add(d).Unix())
		return headers("Webhook-Id", "id", "Webhook-Timestamp", stamp, "Webhook-Signature", standardMAC("id", stamp, "{}"))
	}
	old := hmac.New(sha1.New, []byte(secret))
	old.Write([]byte(gitHubBody))
	sha1sum := hex.EncodeToString(old.Sum(nil))
	both := headers("X-Hub-Signature-256", "sha256="+hexMAC("{}"))
	both.Add("X-Hub-Signature-256", "sha256=00")
	for _, c := range []struct {
		name   string
		kind   webhook.Kind
		header http.Header
		body   string
		secret string
		code   escrow.Code
		says   string
	}{
		{"no headers", "", headers(), "{}", secret, escrow.Unauthenticated, "no signature"},
		{"no secret set", "", headers("X-Hub-Signature-256", "sha256="+hexMAC("{}")), "{}", "", escrow.Unauthenticated, "no secret"},
		{"SHA-1 only", "", headers("X-GitHub-Event", "push", "X-Hub-Signature", "sha1="+sha1sum), gitHubBody, secret, escrow.Unauthenticated, "SHA-1 only"},
		{"SHA-1 in the place of SHA-256", "", headers("X-Hub-Signature-256", "sha1="+sha1sum), gitHubBody, secret, escrow.Unauthenticated, "not with sha256"},
		{"Bitbucket with SHA-1", "", headers("X-Event-Key", "repo:push", "X-Hub-Signature", "sha1="+sha1sum), gitHubBody, secret, escrow.Unauthenticated, "not with sha256"},
		{"not signed", "", headers("X-GitHub-Event", "push"), "{}", secret, escrow.Unauthenticated, "no X-Hub-Signature-256"},
		{"empty signature", "", headers("X-Hub-Signature-256", "sha256="), "{}", secret, escrow.Unauthenticated, "does not match"},
		{"cut signature", "", headers("X-Hub-Signature-256", "sha256="+hexMAC("{}")[:62]), "{}", secret, escrow.Unauthenticated, "does not match"},
		{"longer signature", "", headers("X-Hub-Signature-256", "sha256="+hexMAC("{}")+"00"), "{}", secret, escrow.Unauthenticated, "does not match"},
		{"not hexadecimal", "", headers("X-Gitea-Signature", strings.Repeat("z", 64)), "{}", secret, escrow.Unauthenticated, "does not match"},
		{"two signatures", "", both, "{}", secret, escrow.Unauthenticated, "2 times"},
		{"bad Forgejo signature beside a sound one of Gitea", "", headers("X-Forgejo-Signature", "00", "X-Gitea-Signature", hexMAC("{}")), "{}", secret, escrow.Unauthenticated, "does not match"},
		{"GitLab, wrong token", "", headers("X-Gitlab-Event", "Push Hook", "X-Gitlab-Token", secret+"x"), "{}", secret, escrow.Unauthenticated, "token"},
		{"GitLab, empty token", "", headers("X-Gitlab-Event", "Push Hook", "X-Gitlab-Token", ""), "{}", secret, escrow.Unauthenticated, "token"},
		{"GitLab, no token", "", headers("X-Gitlab-Event", "Push Hook"), "{}", secret, escrow.Unauthenticated, "no X-Gitlab-Token"},
		{"GitLab, the signing secret as a token", "", headers("X-Gitlab-Event", "Push Hook", "X-Gitlab-Token", signing), "{}", signing, escrow.Unauthenticated, "no Webhook-Id"},
		{"signed, too old", "", at(-webhook.Tolerance - time.Second), "{}", signing, escrow.Unauthenticated, "time"},
		{"signed, from the future", "", at(webhook.Tolerance + time.Second), "{}", signing, escrow.Unauthenticated, "time"},
		{"signed, other id", "", headers("Webhook-Id", "other", "Webhook-Timestamp", fmt.Sprint(now.Unix()), "Webhook-Signature", standardMAC("id", fmt.Sprint(now.Unix()), "{}")), "{}", signing, escrow.Unauthenticated, "does not match"},
		{"signed, time altered", "", headers("Webhook-Id", "id", "Webhook-Timestamp", fmt.Sprint(now.Unix()), "Webhook-Signature", standardMAC("id", fmt.Sprint(now.Unix()-9000), "{}")), "{}", signing, escrow.Unauthenticated, "does not match"},
		{"signed, no version", "", headers("Webhook-Id", "id", "Webhook-Timestamp", fmt.Sprint(now.Unix()), "Webhook-Signature", strings.TrimPrefix(standardMAC("id", fmt.Sprint(now.Unix()), "{}"), "v1,")), "{}", signing, escrow.Unauthenticated, "does not match"},
		{"signed, unusable secret", "", at(0), "{}", "whsec_AAAA", escrow.Invalid, "16 bytes"},
		{"unknown kind", "sourceforge", headers("X-Gitea-Signature", hexMAC("{}")), "{}", secret, escrow.Invalid, "sourceforge"},
		{"too long", "", headers("X-Gitea-Signature", "x"), strings.Repeat(" ", webhook.MaxBody+1), secret, escrow.Invalid, "more than"},
		{"authentic, not JSON", "", headers("X-Gitea-Signature", hexMAC("<html>")), "<html>", secret, escrow.Invalid, "not the JSON"},
		{"authentic, form without payload", "", headers("Content-Type", "application/x-www-form-urlencoded", "X-Hub-Signature-256", "sha256="+hexMAC("a=b")), "a=b", secret, escrow.Invalid, "payload"},
		{"authentic, other shape", "", headers("X-Gitea-Signature", hexMAC(`{"repository":"x"}`)), `{"repository":"x"}`, secret, escrow.Invalid, "not the JSON"},
	} {
		e, err := webhook.Verify(webhook.Request{Kind: c.kind, Header: c.header, Body: []byte(c.body), Secret: c.secret, Now: now})
		if escrow.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %+v, %v (%s); want %s that says %q", c.name, e, err, escrow.CodeOf(err), c.code, c.says)
			continue
		}
		for _, s := range []string{c.secret, hexMAC(c.body), sha1sum} {
			if s != "" && strings.Contains(err.Error(), s) {
				t.Errorf("%s: the error tells %q", c.name, s)
			}
		}
	}
	for _, d := range []time.Duration{-webhook.Tolerance, 0, webhook.Tolerance} {
		if _, err := webhook.Verify(webhook.Request{Header: at(d), Body: []byte("{}"), Secret: signing, Now: now}); err != nil {
			t.Errorf("%v off: %v", d, err)
		}
	}
}

// TestFingerprint: the same notice again has the same one, whatever headers
// that nobody signed say.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	verify := func(delivery, body string) webhook.Event {
		e, err := webhook.Verify(webhook.Request{Header: headers("X-GitHub-Event", "push", "X-GitHub-Delivery", delivery, "X-Hub-Signature-256", "sha256="+hexMAC(body)), Body: []byte(body), Secret: secret})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	a, b, c := verify("1", gitHubBody), verify("2", gitHubBody), verify("1", gitHubBody+" ")
	if a.Fingerprint != b.Fingerprint || a.Fingerprint == c.Fingerprint {
		t.Errorf("%s %s %s", a.Fingerprint, b.Fingerprint, c.Fingerprint)
	}
	// What is kept of headers can be written to a log.
	if e := verify("a\x1b[31m\nb", gitHubBody); e.Delivery != "" {
		t.Errorf("delivery %q", e.Delivery)
	}
	if e := verify(strings.Repeat("x", 5000), gitHubBody); len(e.Delivery) > 200 {
		t.Errorf("delivery of %d characters", len(e.Delivery))
	}
}

// FuzzVerify: without the secret nothing is authentic, whatever the headers;
// with it, what is read is bounded and does not panic.
func FuzzVerify(f *testing.F) {
	for _, b := range []string{gitHubBody, gitLabBody, cloudBody, dcBody, giteaBody, "payload=%7B%7D", `{"repository":{"links":{"clone":[{"href":"x"}]}}}`} {
		f.Add(b, "push", "sha256="+hexMAC("x"), "application/json", 0)
		f.Add(b, "System Hook", "v1,"+hexMAC("x"), "application/x-www-form-urlencoded", 3)
	}
	f.Fuzz(func(t *testing.T, body, event, signature, media string, pick int) {
		now := time.Unix(1_800_000_000, 0)
		names := []string{"X-Hub-Signature-256", "X-Hub-Signature", "X-Gitea-Signature", "X-Forgejo-Signature", "X-Gitlab-Token", "Webhook-Signature"}
		name := names[uint(pick)%uint(len(names))]
		h := headers(name, signature, "Content-Type", media, "X-GitHub-Event", event, "X-Gitlab-Event", event, "X-Event-Key", event, "Webhook-Id", "x", "Webhook-Timestamp", "1800000000")
		for _, s := range []string{"a secret that the fuzzer does not know 8f1c", signing} {
			if e, err := webhook.Verify(webhook.Request{Header: h, Body: []byte(body), Secret: s, Now: now}); err == nil {
				t.Fatalf("%+v without the secret", e)
			}
		}
		h = headers("X-Gitea-Event", event, "X-Gitea-Signature", hexMAC(body), "Content-Type", media)
		e, err := webhook.Verify(webhook.Request{Header: h, Body: []byte(body), Secret: secret, Now: now})
		if code := escrow.CodeOf(err); code != "" && code != escrow.Invalid {
			t.Fatalf("%v with the secret", err)
		}
		if err == nil && (len(e.Repositories) > 16 || len(e.Name) > 200 || e.Type == "") {
			t.Fatalf("%+v", e)
		}
		for _, a := range e.Repositories {
			if !e.About(a) || strings.ContainsAny(a, " \n\x1b") {
				t.Fatalf("repository %q", a)
			}
		}
	})
}
