package git_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/git"
	"holdfast/internal/intake/git/gittest"
	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/wire"
)

const canary = "tok-CANARY"

// faultyChain is a chain over http whose server can be told to fail.
func faultyChain(t *testing.T) (*chain, *gittest.Switch) {
	r := gittest.NewRepo(t, "sha1")
	r.Commit(t, "refs/heads/main", map[string]string{"a": strings.Repeat("text\n", 2000), "b": "2", "dir/c": "3"})
	r.Tag(t, "v1", "refs/heads/main")
	sw := new(gittest.Switch)
	s := gittest.ServeHTTP(t, r.Root(), gittest.HTTPOptions{Version: gittest.V2, Token: canary}, sw.Middleware)
	return newChain(t, r, git.Source{Endpoint: wire.Endpoint{URL: s.URL + "/" + r.Name(), Token: canary}}), sw
}

// fails runs a sync that must fail and leave nothing behind.
func (c *chain) fails(code escrow.Code, words ...string) error {
	c.t.Helper()
	before := c.vault.files(c.t)
	_, err := c.sync()
	if err == nil {
		c.t.Fatal("the sync passes")
	}
	if got := escrow.CodeOf(err); got != code {
		c.t.Errorf("code %s, want %s: %v", got, code, err)
	}
	if e, _ := errors.AsType[*escrow.Error](err); e == nil || e.Hint == "" {
		c.t.Errorf("no hint says what to do: %v", err)
	}
	for _, w := range append(words, "source http://") {
		if !strings.Contains(err.Error(), w) {
			c.t.Errorf("%q does not say %q", err, w)
		}
	}
	if strings.Contains(err.Error(), "CANARY") {
		c.t.Errorf("the token is in %v", err)
	}
	if after := c.vault.files(c.t); after != before {
		c.t.Errorf("the vault has %d files after a failed sync, %d before: %v", after, before, err)
	}
	return err
}

// TestFaults lets the first deposit and then an increment meet each fault.
// After it the next sync, from the same state, must succeed and restore.
func TestFaults(t *testing.T) {
	c, sw := faultyChain(t)
	for _, first := range []bool{true, false} {
		for _, f := range []struct {
			name  string
			fault gittest.Middleware
			code  escrow.Code
			words []string
		}{
			{"cut", gittest.Cut(150), escrow.Unavailable, []string{"EOF"}},
			{"cut at once", gittest.Cut(0), escrow.Unavailable, []string{"EOF"}},
			{"byte changed", gittest.Corrupt(50, false, object.SHA1), escrow.Damaged, []string{"checksum"}},
			{"byte changed, resealed", gittest.Corrupt(50, true, object.SHA1), escrow.Damaged, nil},
			{"bytes behind the pack", gittest.RewritePack(func(p []byte) ([]byte, error) {
				return gittest.Reseal(append(p[:len(p)-20], "more"...), object.SHA1.New()), nil
			}), escrow.Damaged, nil},
			{"empty pack", gittest.RewritePack(func([]byte) ([]byte, error) { return gittest.EmptyPack(object.SHA1), nil }), escrow.Missing, []string{"neither in the pack nor"}},
			{"unauthorised", gittest.Status(401, "", nil), escrow.Unauthenticated, []string{"401"}},
			{"forbidden", gittest.EchoSecrets, escrow.Forbidden, []string{"403", "[secret]"}},
			{"not found", gittest.Status(404, "", nil), escrow.NotFound, []string{"404"}},
			{"unavailable at fetch", gittest.Status(503, "", gittest.Fetches), escrow.Unavailable, []string{"503"}},
			{"redirect", gittest.Redirect("http://127.0.0.1:1", nil), escrow.Invalid, []string{"another address"}},
		} {
			t.Run(fmt.Sprintf("first %v %s", first, f.name), func(t *testing.T) {
				c.t = t
				sw.Set(f.fault)
				c.fails(f.code, f.words...)
			})
		}
		c.t = t
		sw.Set()
		if first {
			c.deposit(escrow.FullDeposit)
			c.repo.Commit(t, "refs/heads/main", map[string]string{"a": strings.Repeat("other text\n", 2000)})
		} else {
			c.deposit(escrow.IncrementalDeposit)
		}
	}
}

// A source that leaves an object out once: the increment cannot be kept, a
// deposit that stands alone can. One that always does gets nothing accepted.
func TestLyingPack(t *testing.T) {
	c, sw := faultyChain(t)
	blob := c.repo.Git(t, "rev-parse", "main:b")
	sw.Set(gittest.Omit(c.repo.Dir, blob))
	c.fails(escrow.Missing, blob)
	sw.Set()
	c.deposit(escrow.FullDeposit)

	c.repo.Commit(t, "refs/heads/main", map[string]string{"dir/c": "new"})
	blob = c.repo.Git(t, "rev-parse", "main:dir/c")
	sw.Set(gittest.Omit(c.repo.Dir, blob))
	c.fails(escrow.Missing, blob)

	sw.Set(onceOnly(gittest.Omit(c.repo.Dir, blob)))
	r := c.deposit(escrow.FullDeposit)
	if r.Why != "the increment had gaps" {
		t.Errorf("the deposit is FULL because %q", r.Why)
	}
}

// onceOnly lets a fault happen to the first request for a pack only.
func onceOnly(fault gittest.Middleware) gittest.Middleware {
	var done atomic.Bool
	return func(next http.Handler) http.Handler {
		faulty := fault(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if gittest.Fetches(r) && done.CompareAndSwap(false, true) {
				faulty.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// A tag that is said to stand for a commit which was never delivered: the
// next increment would be cut from it and have a hole.
func TestLyingPeeledTag(t *testing.T) {
	c, sw := faultyChain(t)
	hidden := c.repo.Commit(t, "refs/heads/hidden", map[string]string{"h": "1"})
	sw.Set(gittest.RewriteRefs(func(lines []string) []string {
		var out []string
		for _, l := range lines {
			if strings.Contains(l, "refs/tags/v1 ") {
				l = l[:strings.Index(l, " peeled:")] + " peeled:" + hidden
			}
			if !strings.Contains(l, "refs/heads/hidden") {
				out = append(out, l)
			}
		}
		return out
	}))
	if _, err := c.sync(); err != nil {
		t.Fatal(err)
	}
	c.repo.Commit(t, "refs/heads/hidden", map[string]string{"h": "2"})
	sw.Set()
	r := c.deposit(escrow.FullDeposit)
	if r.Why != "the increment had gaps" {
		t.Errorf("the deposit is FULL because %q", r.Why)
	}
}

// A ref that moves and is forgotten between the listing and the fetch.
func TestVanishedWant(t *testing.T) {
	c, sw := faultyChain(t)
	for i := range 2 {
		kind := escrow.FullDeposit
		if i > 0 {
			kind = escrow.IncrementalDeposit
		}
		c.repo.CommitOn(t, "refs/heads/side", nil, map[string]string{"s": fmt.Sprint(i)})
		moved := false
		sw.Set(gittest.OnFetch(func(int) {
			if !moved {
				moved = true
				c.repo.CommitOn(t, "refs/heads/side", nil, map[string]string{"s": fmt.Sprint("other ", i)})
				c.repo.Prune(t)
			}
		}))
		c.deposit(kind)
		if !moved {
			t.Error("nothing moved")
		}
	}
	// One that never stands still is given up.
	n := 0
	c.repo.CommitOn(t, "refs/heads/side", nil, map[string]string{"s": "start"})
	sw.Set(gittest.OnFetch(func(int) {
		n++
		c.repo.CommitOn(t, "refs/heads/side", nil, map[string]string{"s": fmt.Sprint("again ", n)})
		c.repo.Prune(t)
	}))
	if err := c.fails(escrow.Unavailable, "not our ref"); !errors.Is(err, wire.ErrNotOurRef) {
		t.Errorf("%v", err)
	}
}

func TestRefusedRefs(t *testing.T) {
	c, sw := faultyChain(t)
	tip := c.repo.Git(t, "rev-parse", "main")
	sw.Set(gittest.RewriteRefs(func(lines []string) []string {
		return append(lines, tip+" refs/heads/../../config", tip+" refs/heads/x.lock", tip+" refs/heads/main/below", tip+" refs/heads/\x1b[31mred")
	}))
	r := c.deposit(escrow.FullDeposit)
	if len(r.Summary.Refused) != 4 || r.Completeness() != escrow.Incomplete || len(r.Missing) != 4 {
		t.Errorf("refused %q, missing %q", r.Summary.Refused, r.Missing)
	}
	for _, line := range append(r.Missing, r.Summary.Refused...) {
		if strings.ContainsRune(line, 0x1b) {
			t.Errorf("a control character is in %q", line)
		}
	}
	if again, err := c.sync(); err != nil || !again.Unchanged {
		t.Errorf("the same refused refs again: %+v, %v", again, err)
	}
	sw.Set()
	if r = c.deposit(escrow.IncrementalDeposit); len(r.Missing) != 0 {
		t.Errorf("without them: %q", r.Missing)
	}
}

// Branches that no git can restore.
func TestBranchAtNoCommit(t *testing.T) {
	c, sw := faultyChain(t)
	blob := c.repo.Git(t, "rev-parse", "main:a")
	tag := c.repo.Git(t, "rev-parse", "refs/tags/v1")
	for _, id := range []string{blob, tag} {
		sw.Set(gittest.RewriteRefs(func(lines []string) []string { return append(lines, id+" refs/heads/odd") }))
		c.fails(escrow.Invalid, "refs/heads/odd", "not a commit")
	}
	sw.Set()
	c.deposit(escrow.FullDeposit)
	// The same with an object that is held already.
	sw.Set(gittest.RewriteRefs(func(lines []string) []string { return append(lines, blob+" refs/heads/odd") }))
	c.fails(escrow.Invalid, "refs/heads/odd", "not a commit")
}

// failingVault fails at the nth thing it is asked to do.
type failingVault struct {
	git.Vault
	left int
	err  error
}

func (v *failingVault) step() error {
	if v.left--; v.left < 0 {
		return v.err
	}
	return nil
}

func (v *failingVault) Create(ctx context.Context, role string) (git.Envelope, error) {
	if err := v.step(); err != nil {
		return nil, err
	}
	e, err := v.Vault.Create(ctx, role)
	return &failingEnvelope{e, v}, err
}

type failingEnvelope struct {
	git.Envelope
	vault *failingVault
}

func (e *failingEnvelope) Write(p []byte) (int, error) {
	if err := e.vault.step(); err != nil {
		return 0, err
	}
	return e.Envelope.Write(p)
}

func (e *failingEnvelope) Finish() error {
	if err := e.vault.step(); err != nil {
		return err
	}
	return e.Envelope.Finish()
}

func (e *failingEnvelope) Plaintext() (io.ReaderAt, int64, error) {
	if err := e.vault.step(); err != nil {
		return nil, 0, err
	}
	return e.Envelope.Plaintext()
}

func (e *failingEnvelope) Commit(ctx context.Context) (evidence.ObjectEntry, error) {
	if err := e.vault.step(); err != nil {
		return evidence.ObjectEntry{}, err
	}
	return e.Envelope.Commit(ctx)
}

// Whatever the vault fails at, the error says so and nothing stays open.
func TestFailingVault(t *testing.T) {
	c, _ := faultyChain(t)
	c.repo.Commit(t, "refs/heads/main", map[string]string{"sub": "gitlink " + strings.Repeat("1", 40)}) // so that there is a report
	real := c.opts.Vault
	full := escrow.Errorf(escrow.Full, "no room in the vault").WithHint("make room")
	for n := 0; ; n++ {
		c.opts.Vault = &failingVault{Vault: real, left: n, err: full}
		before := c.vault.files(t)
		_, err := c.sync()
		if err == nil {
			if n < 10 {
				t.Errorf("a sync takes %d steps", n)
			}
			break
		}
		if escrow.CodeOf(err) != escrow.Full || !errors.Is(err, full) {
			t.Errorf("failing at step %d: %v", n, err)
		}
		// The one object that may stay is whole and named by its hash.
		if after := c.vault.files(t); after > before+1 {
			t.Errorf("failing at step %d leaves %d files", n, after-before)
		}
	}
	c.opts.Vault = real
	c.repo.Commit(t, "refs/heads/main", map[string]string{"a": "on"})
	if _, err := c.sync(); err != nil {
		t.Error(err)
	}
}

// Cancelling at any moment stops the sync and leaves nothing behind.
func TestCancel(t *testing.T) {
	c, sw := faultyChain(t)
	for name, fault := range map[string]gittest.Middleware{
		"listing": func(http.Handler) http.Handler {
			return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		},
		"fetching": gittest.Stall(0), "streaming": gittest.Stall(200),
	} {
		sw.Set(fault)
		ctx, cancel := context.WithCancel(t.Context())
		opts := c.opts
		opts.Known = c.known()
		time.AfterFunc(100*time.Millisecond, cancel)
		_, err := git.Sync(ctx, opts)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled while %s: %v", name, err)
		}
		if n := c.vault.files(t); n != 0 {
			t.Errorf("cancelled while %s: %d files stay", name, n)
		}
	}
}

// The source's token is in nothing that a sync makes or says.
func TestTokenGoesNowhere(t *testing.T) {
	c, _ := faultyChain(t)
	c.repo.Commit(t, "refs/heads/main", map[string]string{"sub": "gitlink " + strings.Repeat("1", 40)})
	r := c.deposit(escrow.FullDeposit)
	state, err := r.State.Encode()
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprintf("%+v %#v %s %+v", r, r.Summary, state, c.opts)
	for _, o := range r.Objects {
		all += string(c.vault.plaintext(t, o.Name))
	}
	c.opts.Source.Token = canary + "-wrong"
	_, err = c.sync()
	all += fmt.Sprintf("%v %+v %#v", err, err, err)
	c.opts.Source.URL = strings.Replace(c.opts.Source.URL, "http://", "http://u:"+canary+"@", 1)
	_, err = c.sync()
	all += fmt.Sprintf("%v %+v %#v", err, err, err)
	if i := strings.Index(all, "CANARY"); i >= 0 {
		t.Errorf("the token is in %q", all[max(0, i-200):i+20])
	}
}
