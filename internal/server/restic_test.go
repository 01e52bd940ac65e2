package server_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/blob/file"
	"holdfast/internal/config"
	"holdfast/internal/deposit"
	"holdfast/internal/escrow"
	"holdfast/internal/server"
)

const resticModule = "backup"

// resticClient is a depositor's machine with stock restic on it.
type resticClient struct {
	t        testing.TB
	in       *installation
	binary   string
	token    string
	password string
	home     string
}

// eachRestic runs a test with Debian's restic and with the newest one.
func eachRestic(t *testing.T, test func(t *testing.T, binary string)) {
	for _, which := range []string{"Debian", "newest"} {
		t.Run(which, func(t *testing.T) { test(t, resticBinary(t, which)) })
	}
}

func resticBinary(t testing.TB, which string) string {
	t.Helper()
	if which == "newest" {
		path := os.Getenv("HOLDFAST_TEST_RESTIC")
		if path == "" {
			if os.Getenv("HOLDFAST_TEST_TOOLS_REQUIRED") == "1" {
				t.Fatal("HOLDFAST_TEST_RESTIC is not set, but the tools are required")
			}
			t.Skip("HOLDFAST_TEST_RESTIC is not set; scripts/testtools builds it")
		}
		return path
	}
	path, err := exec.LookPath("restic")
	if err != nil {
		if os.Getenv("HOLDFAST_TEST_TOOLS_REQUIRED") == "1" {
			t.Fatal(err)
		}
		t.Skip("restic is not installed")
	}
	return path
}

// restic lets a depositor's machine write to the module. Its password is
// sealed to the active epoch.
func (in *installation) restic(t testing.TB, binary string) *resticClient {
	t.Helper()
	c := &resticClient{t: t, in: in, binary: binary, password: "correct horse battery staple", home: t.TempDir()}
	c.token = in.moduleToken(t, resticModule, "")
	in.sealResticPassword(t, c.password)
	return c
}

func (in *installation) moduleToken(t testing.TB, module, expires string) string {
	t.Helper()
	issued, err := in.admin.IssueToken(context.Background(), arrangementID, client.NewToken{Party: "supplier", Person: "supplier-1", Module: module, ExpiresIn: expires})
	if err != nil {
		t.Fatal(err)
	}
	return issued.Token
}

// sealResticPassword makes the deposit that a restic chain begins with.
func (in *installation) sealResticPassword(t testing.TB, password string) client.Deposit {
	t.Helper()
	d, err := in.trySealResticPassword(t, password)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (in *installation) trySealResticPassword(t testing.TB, password string) (client.Deposit, error) {
	t.Helper()
	outbox, err := file.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	who := in.people["supplier"]
	d := &depositor{who: who, client: in.as("supplier"), outbox: outbox, module: resticModule}
	base, err := d.base(t.Context())
	if err != nil {
		return client.Deposit{}, err
	}
	maker := deposit.Maker{Objects: outbox, Identity: who.identity, Signer: who.signer, By: who.party + "/" + who.name, Checked: evidence.CheckedByDepositor, Now: time.Now}
	made, err := maker.ResticPassword(t.Context(), base, []byte(password), true)
	if err != nil {
		return client.Deposit{}, err
	}
	for _, o := range made.Manifest.Objects {
		if err := d.upload(t.Context(), o.Name); err != nil {
			return client.Deposit{}, err
		}
	}
	return d.client.MakeDeposit(t.Context(), arrangementID, resticModule, client.NewDeposit{
		Manifest: client.Signed{Document: string(made.Submission.Manifest), Signature: string(made.Submission.Signature)}})
}

func (c *resticClient) url(token string) string {
	return "rest:" + strings.Replace(c.in.url, "http://", "http://restic:"+token+"@", 1) + "/restic/" + arrangementID + "/" + resticModule + "/"
}

// try runs restic and returns what it printed.
func (c *resticClient) try(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, c.binary, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.home, "RESTIC_PASSWORD=" + c.password, "RESTIC_REPOSITORY=" + c.url(c.token), "GOMAXPROCS=2"}
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c *resticClient) run(args ...string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	out, err := c.try(ctx, args...)
	if err != nil {
		c.t.Fatalf("restic %v: %v\n%s\nserver:\n%s", args, err, out, c.in.log)
	}
	return out
}

// snapshots lists the ids of the snapshots restic sees, the oldest first.
func (c *resticClient) snapshots() []string {
	c.t.Helper()
	var list []struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(c.run("snapshots", "--json", "--quiet", "--no-lock")), &list); err != nil {
		c.t.Fatal(err)
	}
	var ids []string
	for _, s := range list {
		ids = append(ids, s.ID)
	}
	return ids
}

// deposited waits until every snapshot of the repository is in a deposit and
// returns the manifests.
func (in *installation) deposited(t testing.TB, snapshots ...string) []*evidence.DepositManifest {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		_, manifests := in.deposits(resticModule)
		held := map[string]bool{}
		for _, m := range manifests {
			if m.Restic == nil {
				continue
			}
			for _, s := range m.Restic.Snapshots {
				held[s.ID] = true
			}
		}
		missing := 0
		for _, id := range snapshots {
			if !held[id] {
				missing++
			}
		}
		if missing == 0 {
			return manifests
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d snapshots are in no deposit\n%s", missing, in.log)
		}
	}
}

// tree writes some files of all sizes.
func tree(t testing.TB, dir string, seed byte) {
	t.Helper()
	for i := range 30 {
		path := filepath.Join(dir, fmt.Sprintf("d%d", i%5), fmt.Sprintf("file %c%d", seed, i))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		data := bytes.Repeat([]byte{seed, byte(i), byte(i * 7)}, i*i*40)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func sameTree(t testing.TB, a, b string) {
	t.Helper()
	if out, err := exec.Command("diff", "-r", a, b).CombinedOutput(); err != nil {
		t.Errorf("diff -r: %v\n%.2000s", err, out)
	}
}

// TestStockRestic takes restic as it is through its whole life.
func TestStockRestic(t *testing.T) {
	eachRestic(t, func(t *testing.T, binary string) {
		t.Parallel()
		in := install(t, nil)
		in.ceremony(1)
		c := in.restic(t, binary)
		source := filepath.Join(t.TempDir(), "source")
		tree(t, source, 'a')

		c.run("init")
		c.run("backup", "--quiet", source)
		first := c.snapshots()
		manifests := in.deposited(t, first...)
		if got := in.kinds(resticModule); got != "FULL INCREMENTAL" {
			t.Errorf("deposits %s", got)
		}
		m := manifests[1]
		if m.By != "server" || m.Checked.By != evidence.CheckedByServer || m.Restic.Files != len(m.Objects) || len(m.Restic.Snapshots) != 1 || m.Restic.More {
			t.Errorf("manifest %+v, %+v", m, m.Restic)
		}

		tree(t, filepath.Join(source, "more"), 'b')
		c.run("backup", "--quiet", source)
		second := c.snapshots()
		manifests = in.deposited(t, second...)
		if len(second) != 2 || len(manifests) != 3 || len(manifests[2].Objects) >= len(manifests[1].Objects)+3 {
			t.Errorf("%d snapshots, %d deposits", len(second), len(manifests))
		}
		c.run("check", "--read-data", "--quiet")
		target := t.TempDir()
		c.run("restore", "latest", "--target", target, "--quiet")
		sameTree(t, source, filepath.Join(target, source))

		// A second init does not start another repository under the same keys.
		if out, err := c.try(t.Context(), "init"); err == nil {
			t.Errorf("a second init: %s", out)
		}
		// Nothing is forgotten, and trying does no harm.
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // old ones try again and again
		defer cancel()
		out, err := c.try(ctx, "forget", "--keep-last", "1", "--prune")
		if err == nil && !strings.Contains(out, "403") {
			t.Errorf("forget: %s", out)
		}
		c.run("unlock", "--quiet")
		if got := c.snapshots(); strings.Join(got, " ") != strings.Join(second, " ") {
			t.Errorf("after forget %v, before it %v", got, second)
		}
		c.run("check", "--quiet")
		wrong := *c
		wrong.token = in.moduleToken(t, "code", "")
		if out, err := wrong.try(ctx, "snapshots", "--no-lock"); err == nil {
			t.Errorf("a token of another module: %s", out)
		}
		if log := in.log.String(); strings.Contains(log, c.token) || strings.Contains(log, c.password) {
			t.Error("a secret is in the log")
		}
	})
}

// TestConcurrentRestics: several machines write to one repository at once.
func TestConcurrentRestics(t *testing.T) {
	t.Parallel()
	in := install(t, nil)
	in.ceremony(1)
	c := in.restic(t, resticBinary(t, "Debian"))
	c.run("init")
	var wg sync.WaitGroup
	sources := make([]string, 3)
	for i := range sources {
		sources[i] = filepath.Join(t.TempDir(), "source")
		tree(t, sources[i], byte('k'+i))
		wg.Go(func() {
			own := *c
			own.home = t.TempDir()
			if out, err := own.try(t.Context(), "backup", "--quiet", "--host", fmt.Sprint("host", i), sources[i]); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	wg.Wait()
	ids := c.snapshots()
	if len(ids) != len(sources) {
		t.Fatalf("%d snapshots", len(ids))
	}
	in.deposited(t, ids...)
	c.run("check", "--read-data", "--quiet")
	for i, source := range sources {
		target := t.TempDir()
		c.run("restore", "latest", "--host", fmt.Sprint("host", i), "--target", target, "--quiet")
		sameTree(t, source, filepath.Join(target, source))
	}
}

// flaky is a proxy that cuts connections after so many bytes of uploads.
type flaky struct {
	left atomic.Int64
	to   string
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := &cutBody{ReadCloser: r.Body, left: &f.left}
	out, err := http.NewRequestWithContext(r.Context(), r.Method, f.to+r.URL.RequestURI(), body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	out.Header, out.ContentLength = r.Header, r.ContentLength
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		out.Body = nil
	}
	resp, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	for k, v := range resp.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

type cutBody struct {
	io.ReadCloser
	left *atomic.Int64
}

func (c *cutBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if c.left.Add(int64(-n)) < 0 {
		return 0, errors.New("cut off")
	}
	return n, err
}

// TestInterruptedRestic: an upload that is cut off leaves no deposit; the next
// run goes on and makes one.
func TestInterruptedRestic(t *testing.T) {
	t.Parallel()
	in := install(t, nil)
	in.ceremony(1)
	c := in.restic(t, resticBinary(t, "Debian"))
	c.run("init")
	proxy := &flaky{to: in.url}
	proxy.left.Store(3 << 20)
	addr := serveOn(t, proxy)
	source := filepath.Join(t.TempDir(), "source")
	if err := os.MkdirAll(source, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := os.WriteFile(filepath.Join(source, fmt.Sprint(i)), randomBytes(t, 9<<20), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cut := *c
	cutIn := *in
	cutIn.url = addr
	cut.in = &cutIn
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	if out, err := cut.try(ctx, "backup", "--quiet", source); err == nil {
		t.Fatalf("the backup went through: %s", out)
	}
	if list, _ := in.deposits(resticModule); len(list) != 1 {
		t.Errorf("%d deposits", len(list))
	}
	c.run("unlock", "--remove-all", "--quiet")
	c.run("backup", "--quiet", source)
	in.deposited(t, c.snapshots()...)
	c.run("check", "--read-data", "--quiet")
}

// TestResticRules speaks the protocol by hand, as a hostile depositor could.
func TestResticRules(t *testing.T) {
	var now atomic.Int64
	in := installWith(t, func(c *config.Config) { c.MaxObject = 1 << 20 }, server.Options{Now: func() time.Time { return time.Now().Add(time.Duration(now.Load())) }})
	short := in.moduleToken(t, resticModule, "1h")
	token := in.moduleToken(t, resticModule, "200h")
	at := "/restic/" + arrangementID + "/" + resticModule + "/"
	request := func(method, path, token, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, in.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.SetBasicAuth("x", token)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(data)
	}
	want := func(status int, method, path, body string) string {
		t.Helper()
		got, answer := request(method, path, token, body)
		if got != status {
			t.Errorf("%s %s: %d %s, want %d", method, path, got, answer, status)
		}
		return answer
	}
	name := func(content string) string { return evidence.Digest([]byte(content)) }
	post := func(status int, kind, content string) {
		t.Helper()
		want(status, "POST", at+kind+"/"+name(content), content)
	}

	// Before there is a key, and before the password is sealed to it, nothing
	// is taken: nobody could ever read it.
	post(http.StatusForbidden, "data", "pack")
	in.ceremony(1)
	want(http.StatusForbidden, "POST", at+"?create=true", "")
	post(http.StatusForbidden, "data", "pack")
	in.sealResticPassword(t, "secret")
	want(http.StatusOK, "POST", at+"?create=true", "")

	want(http.StatusNotFound, "HEAD", at+"config", "")
	post(http.StatusOK, "keys", "key of an init that broke off")
	post(http.StatusOK, "keys", "key")
	if got := want(http.StatusOK, "GET", at+"keys/", ""); got != `["`+name("key")+`"]` {
		t.Errorf("keys %s", got)
	}
	want(http.StatusOK, "POST", at+"config", "the config")
	want(http.StatusForbidden, "POST", at+"config", "the config")
	want(http.StatusForbidden, "POST", at+"config", "another config")
	want(http.StatusForbidden, "DELETE", at+"config", "")

	// Hash, overwriting, deleting.
	want(http.StatusBadRequest, "POST", at+"data/"+name("foo"), "bar")
	want(http.StatusNotFound, "GET", at+"data/"+name("foo"), "")
	want(http.StatusBadRequest, "POST", at+"data/"+name(""), "")
	post(http.StatusOK, "data", "foo")
	post(http.StatusOK, "data", "foo") // the answer may have been lost
	want(http.StatusForbidden, "POST", at+"data/"+name("foo"), "bar")
	if got := want(http.StatusOK, "GET", at+"data/"+name("foo"), ""); got != "foo" {
		t.Errorf("foo reads %q", got)
	}
	post(http.StatusForbidden, "index", "foo") // the same bytes in another place
	for _, kind := range []string{"data", "keys", "index", "snapshots"} {
		want(http.StatusForbidden, "DELETE", at+kind+"/"+name("foo"), "")
	}
	want(http.StatusForbidden, "PUT", at+"data/"+name("foo"), "foo")
	want(http.StatusForbidden, "DELETE", at, "")

	// Ranges, lists.
	r, _ := http.NewRequestWithContext(t.Context(), "GET", in.url+at+"data/"+name("foo"), nil)
	r.SetBasicAuth("x", token)
	r.Header.Set("Range", "bytes=1-1")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if data, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusPartialContent || string(data) != "o" {
		t.Errorf("range: %d %q", resp.StatusCode, data)
	}
	resp.Body.Close()
	r, _ = http.NewRequestWithContext(t.Context(), "GET", in.url+at+"data/", nil)
	r.SetBasicAuth("x", token)
	r.Header.Set("Accept", "application/vnd.x.restic.rest.v2")
	if resp, err = http.DefaultClient.Do(r); err != nil {
		t.Fatal(err)
	}
	if data, _ := io.ReadAll(resp.Body); resp.Header.Get("Content-Type") != "application/vnd.x.restic.rest.v2" || string(data) != `[{"name":"`+name("foo")+`","size":3}]` {
		t.Errorf("list: %s %s", resp.Header, data)
	}
	resp.Body.Close()
	if got := want(http.StatusOK, "GET", at+"snapshots/", ""); got != "[]" {
		t.Errorf("an empty list is %s", got)
	}

	// Locks, and only locks, go again.
	post(http.StatusOK, "locks", "lock")
	if got := want(http.StatusOK, "GET", at+"locks/"+name("lock"), ""); got != "lock" {
		t.Errorf("lock reads %q", got)
	}
	want(http.StatusBadRequest, "POST", at+"locks/"+name("lock"), "other")
	want(http.StatusInsufficientStorage, "POST", at+"locks/"+name("x"), strings.Repeat("x", 65<<10))
	want(http.StatusOK, "DELETE", at+"locks/"+name("lock"), "")
	want(http.StatusNotFound, "GET", at+"locks/"+name("lock"), "")

	// Who may not.
	for what, c := range map[string]struct {
		token, path string
		status      int
	}{
		"no token":                {"", at + "keys/", http.StatusUnauthorized},
		"a wrong token":           {"hf_0123456789abcdef_AAAA", at + "keys/", http.StatusUnauthorized},
		"of another module":       {in.moduleToken(t, "code", ""), at + "keys/", http.StatusForbidden},
		"of no module":            {in.moduleToken(t, "", ""), at + "keys/", http.StatusForbidden},
		"an unknown module":       {token, "/restic/" + arrangementID + "/nothing/keys/", http.StatusForbidden},
		"an unknown arrangement":  {token, "/restic/nothing/" + resticModule + "/keys/", http.StatusForbidden},
		"a module without restic": {in.moduleToken(t, "code", ""), "/restic/" + arrangementID + "/code/keys/", http.StatusForbidden},
		"no place":                {token, at + "secrets/", http.StatusNotFound},
		"a short name":            {token, at + "data/abc", http.StatusNotFound},
	} {
		if got, answer := request("GET", c.path, c.token, ""); got != c.status {
			t.Errorf("%s: %d %s, want %d", what, got, answer, c.status)
		}
	}
	now.Store(int64(2 * time.Hour))
	if got, _ := request("GET", at+"keys/", short, ""); got != http.StatusUnauthorized {
		t.Errorf("an expired token: %d", got)
	}

	// Room.
	want(http.StatusInsufficientStorage, "POST", at+"data/"+name("x"), strings.Repeat("x", 2<<20))
	usage, err := in.admin.SetResticQuota(t.Context(), arrangementID, resticModule, 40)
	if err != nil || usage.Files != 3 || usage.Bytes != int64(len("key"+"the config"+"foo")) || usage.Quota != 40 {
		t.Errorf("%+v, %v", usage, err)
	}
	post(http.StatusInsufficientStorage, "data", strings.Repeat("y", 41))
	post(http.StatusOK, "data", strings.Repeat("y", 24))
	post(http.StatusInsufficientStorage, "data", "z")
	if _, err := in.as("supplier").SetResticQuota(t.Context(), arrangementID, resticModule, 0); code(err) != escrow.Forbidden {
		t.Errorf("a depositor sets its own quota: %v", err)
	}
	if _, err := in.admin.SetResticQuota(t.Context(), arrangementID, "code", 0); code(err) != escrow.Conflict {
		t.Errorf("a quota where restic does not write: %v", err)
	}
	if _, err := in.admin.SetResticQuota(t.Context(), arrangementID, resticModule, 0); err != nil {
		t.Error(err)
	}

	// A snapshot makes a deposit, its repetition none.
	post(http.StatusOK, "index", "index")
	post(http.StatusOK, "snapshots", "snapshot")
	manifests := in.deposited(t, name("snapshot"))
	post(http.StatusOK, "snapshots", "snapshot")
	if state, err := in.admin.Restic(t.Context(), arrangementID, resticModule); err != nil || state.Snapshots != 1 || state.Waiting != 0 || state.Refuses != "" || state.LastSnapshot == nil {
		t.Errorf("%+v, %v", state, err)
	}
	if len(manifests) != 2 || len(manifests[1].Objects) != 6 {
		t.Errorf("%d deposits, the last of %d objects", len(manifests), len(manifests[len(manifests)-1].Objects))
	}
	// Both attempts to overwrite are in the ledger, and the refusals name the file.
	refused := 0
	entries, err := in.as("agent").LedgerEntries(t.Context(), arrangementID, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.Contains(e.Payload, `"attempt.refused"`) && strings.Contains(e.Payload, "data/"+name("foo")) {
			refused++
		}
	}
	if refused < 3 {
		t.Errorf("%d refusals about data/foo are in the ledger", refused)
	}
	in.wantVerified(t)
}

// TestResticNewEpoch: a new key takes the whole repository anew, and nothing
// before the password is sealed to it.
func TestResticNewEpoch(t *testing.T) {
	t.Parallel()
	in := installWith(t, nil, server.Options{ResticFiles: 3})
	in.ceremony(1)
	c := in.restic(t, resticBinary(t, "Debian"))
	source := filepath.Join(t.TempDir(), "source")
	tree(t, source, 'e')
	c.run("init")
	c.run("backup", "--quiet", source)
	manifests := in.deposited(t, c.snapshots()...)
	files, more := 0, 0
	for _, m := range manifests[1:] {
		if len(m.Objects) > 3 {
			t.Errorf("deposit %d has %d objects", m.Number, len(m.Objects))
		}
		files += len(m.Objects)
		if m.Restic.More {
			more++
		}
	}
	if more == 0 || manifests[len(manifests)-1].Restic.More {
		t.Errorf("of %d deposits %d are followed by more", len(manifests)-1, more)
	}
	before := len(manifests)
	in.ceremony(2)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	tree(t, filepath.Join(source, "later"), 'f')
	if out, err := c.try(ctx, "backup", "--quiet", source); err == nil {
		t.Errorf("a backup that nobody can open: %s", out)
	}
	if full := in.sealResticPassword(t, c.password); full.Kind != "FULL" || full.Number != before+1 {
		t.Errorf("deposit %d is %s", full.Number, full.Kind)
	}
	c.run("unlock", "--remove-all", "--quiet")
	c.run("backup", "--quiet", source)
	manifests = in.deposited(t, c.snapshots()...)
	again := 0
	for _, m := range manifests[before+1:] {
		if m.Epoch != 2 || m.Chain != before+1 {
			t.Errorf("deposit %d is of epoch %d, chain %d", m.Number, m.Epoch, m.Chain)
		}
		again += len(m.Objects)
	}
	if again <= files {
		t.Errorf("the new chain has %d files, the old one had %d", again, files)
	}
	in.wantVerified(t)
}

// TestResticStopped: the server is ended between the snapshot and its deposit;
// the deposit is made after the start.
func TestResticStopped(t *testing.T) {
	t.Parallel()
	in := install(t, nil)
	in.ceremony(1)
	c := in.restic(t, resticBinary(t, "Debian"))
	source := filepath.Join(t.TempDir(), "source")
	tree(t, source, 's')
	c.run("init")
	c.run("backup", "--quiet", source)
	in.stop()
	in.start()
	in.deposited(t, c.snapshots()...)
}

// wantVerified stops the server and reads everything again.
func (in *installation) wantVerified(t testing.TB) {
	t.Helper()
	in.stop()
	if _, err := server.Verify(context.Background(), in.config, server.Options{}, nil, nil); err != nil {
		t.Error(err)
	}
}

func randomBytes(t testing.TB, n int) []byte {
	t.Helper()
	data := make([]byte, n)
	if _, err := rand.Read(data); err != nil {
		t.Fatal(err)
	}
	return data
}

func serveOn(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}
