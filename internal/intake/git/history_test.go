package git_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/git"
	"holdfast/internal/intake/git/gittest"
	"holdfast/internal/intake/git/wire"
)

func localChain(t *testing.T) *chain {
	r := gittest.NewRepo(t, "sha1")
	return newChain(t, r, git.Source{Endpoint: wire.Endpoint{URL: r.Dir}})
}

// The source renames its default branch: the deposit follows, and says so.
func TestDefaultBranchRenamed(t *testing.T) {
	c := localChain(t)
	tip := c.repo.Commit(t, "refs/heads/master", map[string]string{"a": "1"})
	c.repo.Git(t, "symbolic-ref", "HEAD", "refs/heads/master")
	if r := c.deposit(escrow.FullDeposit); r.Summary.Head != "refs/heads/master" {
		t.Errorf("HEAD is %q", r.Summary.Head)
	}
	c.repo.Git(t, "branch", "-m", "master", "main")
	r := c.deposit(escrow.IncrementalDeposit)
	want := []evidence.RefChange{
		{Ref: "refs/heads/master", Kind: evidence.RefDeleted, Old: tip},
		{Ref: "HEAD", Kind: evidence.RefHeadMoved, Old: "refs/heads/master", New: "refs/heads/main"},
	}
	if d := cmp.Diff(want, r.Summary.Changes); d != "" || r.Summary.Head != "refs/heads/main" || r.Summary.New != 1 {
		t.Errorf("changes (-want +got):\n%s%+v", d, r.Summary)
	}
	if got := c.git("rev-parse", "--abbrev-ref", "HEAD"); got != "main" {
		t.Errorf("the restored HEAD is %s", got)
	}
}

// A supplier replaces its history by an orphan and deletes the tags: what was
// deposited stays, and the change is there to be seen.
func TestHistoryRewritten(t *testing.T) {
	c := localChain(t)
	old := ""
	for i := range 3 {
		old = c.repo.Commit(t, "refs/heads/main", map[string]string{"a": fmt.Sprint(i)})
		c.repo.Tag(t, fmt.Sprint("v", i), old)
	}
	c.deposit(escrow.FullDeposit)
	kept := c.restored
	fresh := c.repo.CommitOn(t, "refs/heads/main", nil, map[string]string{"README": "closed source now"})
	for i := range 3 {
		c.repo.Git(t, "tag", "-d", fmt.Sprint("v", i))
	}
	r := c.deposit(escrow.IncrementalDeposit)
	var kinds []string
	for _, change := range r.Summary.Changes {
		kinds = append(kinds, change.Kind)
	}
	if want := []string{evidence.RefRewritten, evidence.RefDeleted, evidence.RefDeleted, evidence.RefDeleted}; !slices.Equal(kinds, want) {
		t.Fatalf("changes %v, want %v", kinds, want)
	}
	if ch := r.Summary.Changes[0]; ch.Ref != "refs/heads/main" || ch.Old != old || ch.New != fresh {
		t.Errorf("the rewriting is told as %+v", ch)
	}
	if n := (&gittest.Repo{Dir: kept}).Git(t, "rev-list", "--count", old); n != "3" {
		t.Errorf("the first deposit has %s commits of the old history", n)
	}
}

func TestChangesAreCounted(t *testing.T) {
	c := localChain(t)
	first := c.repo.Commit(t, "refs/heads/main", map[string]string{"a": "1"})
	tip := c.repo.Commit(t, "refs/heads/main", map[string]string{"a": "2"})
	c.repo.SetRef(t, "refs/heads/back", tip)
	c.repo.SetRef(t, "refs/heads/on", first)
	c.repo.Tag(t, "v1", first)
	if r := c.deposit(escrow.FullDeposit); r.Summary.New != 4 || len(r.Summary.Changes) != 0 {
		t.Errorf("the first deposit: %+v", r.Summary)
	}
	c.repo.SetRef(t, "refs/heads/back", first)
	c.repo.SetRef(t, "refs/heads/on", tip)
	c.repo.SetRef(t, "refs/heads/born", tip)
	c.repo.Tag(t, "v1", tip)
	c.opts.Full = true // a new chain still tells what changed
	r := c.deposit(escrow.FullDeposit)
	got := fmt.Sprintf("new %d, forward %d", r.Summary.New, r.Summary.FastForward)
	for _, ch := range r.Summary.Changes {
		got += ", " + ch.Ref + " " + ch.Kind
	}
	if want := "new 1, forward 1, refs/heads/back rewound, refs/tags/v1 tag_moved"; got != want {
		t.Errorf("changes are %s, want %s", got, want)
	}
}

// A chain of fifty increments, restored by git fetch of each bundle.
func TestLongChain(t *testing.T) {
	r := gittest.NewRepo(t, "sha1")
	s := gittest.ServeHTTP(t, r.Root(), gittest.HTTPOptions{Version: gittest.V2})
	c := newChain(t, r, git.Source{Endpoint: wire.Endpoint{URL: s.URL + "/" + r.Name()}})
	c.fetches = true
	r.Commit(t, "refs/heads/main", map[string]string{"a": strings.Repeat("line\n", 1000)})
	c.deposit(escrow.FullDeposit)
	for i := range 50 {
		tip := r.Commit(t, "refs/heads/main", map[string]string{fmt.Sprintf("d%d/f%d", i%7, i): fmt.Sprint(i), "a": strings.Repeat("line\n", 1000+i)})
		switch i % 5 {
		case 1:
			r.Tag(t, fmt.Sprint("v", i), tip)
		case 2:
			r.SetRef(t, fmt.Sprintf("refs/heads/side%d", i), r.CommitOn(t, "refs/heads/tmp", []string{tip}, map[string]string{"side": fmt.Sprint(i)}))
			r.Git(t, "update-ref", "-d", "refs/heads/tmp")
		case 3:
			r.Git(t, "update-ref", "-d", fmt.Sprintf("refs/heads/side%d", i-1))
		case 4:
			r.CommitOn(t, "refs/heads/forced", nil, map[string]string{"f": fmt.Sprint(i)})
		}
		res := c.deposit(escrow.IncrementalDeposit)
		if stored := res.Objects[0].Size; stored > res.Stats.Pack+4<<10 {
			t.Errorf("increment %d: %d bytes stored for a pack of %d", i, stored, res.Stats.Pack)
		}
	}
	if c.state.Increments != 50 || c.state.Deposit != 51 {
		t.Errorf("the state counts %d increments, %d deposits", c.state.Increments, c.state.Deposit)
	}
}

func TestRebase(t *testing.T) {
	c := localChain(t)
	c.opts.Source.Rebase = 3
	for i := range 9 {
		c.repo.Commit(t, "refs/heads/main", map[string]string{"a": fmt.Sprint(i)})
		kind := escrow.IncrementalDeposit
		if i%4 == 0 {
			kind = escrow.FullDeposit
		}
		c.deposit(kind)
	}
	if again, err := c.sync(); err != nil || !again.Unchanged {
		t.Errorf("without a change: %+v, %v", again, err)
	}
}

func TestExcludedRefs(t *testing.T) {
	c := localChain(t)
	tip := c.repo.Commit(t, "refs/heads/main", map[string]string{"a": "1"})
	for _, name := range []string{"refs/pull/1/head", "refs/pull/2/head", "refs/pullers", "refs/heads/tmp-x", "refs/heads/tmp"} {
		c.repo.SetRef(t, name, tip)
	}
	c.opts.Source.Exclude = []string{"refs/pull", "refs/heads/tmp-*"}
	r, err := c.sync()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, ref := range r.State.Refs {
		names = append(names, ref.Name)
	}
	if want := []string{"refs/heads/main", "refs/heads/tmp", "refs/pullers"}; !slices.Equal(names, want) || r.Stats.Excluded != 3 {
		t.Errorf("refs %q (%d left out), want %q", names, r.Stats.Excluded, want)
	}
}

// The source comes back as another repository, with the other object format.
func TestObjectFormatChanges(t *testing.T) {
	c := localChain(t)
	c.repo.Commit(t, "refs/heads/main", map[string]string{"a": "1"})
	c.deposit(escrow.FullDeposit)
	c.repo = gittest.NewRepo(t, "sha256")
	c.opts.Source.URL = c.repo.Dir
	c.repo.Commit(t, "refs/heads/main", map[string]string{"a": "1"})
	if r := c.deposit(escrow.FullDeposit); r.Why != "the source changed its object format" {
		t.Errorf("FULL because %q", r.Why)
	}
}

// A shallow source would give deposits that look whole and are not.
func TestShallowSource(t *testing.T) {
	c := localChain(t)
	full := gittest.NewRepo(t, "sha1")
	full.Commit(t, "refs/heads/main", map[string]string{"a": "1"})
	full.Commit(t, "refs/heads/main", map[string]string{"a": "2"})
	c.repo.Git(t, "fetch", "-q", "--depth=1", "file://"+full.Dir, "main:main")
	if _, err := c.sync(); !errors.Is(err, wire.ErrShallow) {
		t.Errorf("a shallow source: %v", err)
	}
	if n := c.vault.files(t); n != 0 {
		t.Errorf("%d files stay", n)
	}
}

func lfsChain(t *testing.T) (*chain, *gittest.LFS) {
	r := gittest.NewRepo(t, "sha1")
	large := new(gittest.LFS)
	s := gittest.ServeHTTP(t, r.Root(), gittest.HTTPOptions{Version: gittest.V2}, large.Middleware)
	return newChain(t, r, git.Source{Endpoint: wire.Endpoint{URL: s.URL + "/" + r.Name()}, LFS: true}), large
}

// completeness reads the sealed list back.
func (c *chain) completeness(r *git.Result) map[string]any {
	c.t.Helper()
	last := r.Objects[len(r.Objects)-1]
	if last.Role != git.RoleReport {
		c.t.Fatalf("the last object has role %s", last.Role)
	}
	var list map[string]any
	if err := json.Unmarshal(c.vault.plaintext(c.t, last.Name), &list); err != nil {
		c.t.Fatal(err)
	}
	return list
}

// Large files are taken with each deposit; one that is missing makes it
// incomplete and is asked for again.
func TestLFS(t *testing.T) {
	c, large := lfsChain(t)
	p1, o1 := large.Add("version one of a large file")
	c.repo.Commit(t, "refs/heads/main", map[string]string{"big.bin": p1})
	r := c.deposit(escrow.FullDeposit)
	if r.Completeness() != escrow.Complete || r.Summary.LFSHeld != 1 || len(r.Objects) != 3 || r.Objects[1].Role != git.RoleLFS {
		t.Errorf("missing %q, %+v, %+v", r.Missing, r.Summary, r.Objects)
	}
	if got := string(c.vault.plaintext(t, r.Objects[1].Name)); got != "version one of a large file" {
		t.Errorf("held: %q", got)
	}
	large.Asked()

	p2, o2 := large.Add("version two of a large file")
	p3, o3 := large.Add("a large file that is lost")
	large.Remove(o3)
	c.repo.Commit(t, "refs/heads/main", map[string]string{"big.bin": p2, "dir/lost.bin": p3})
	r = c.deposit(escrow.IncrementalDeposit)
	if got := large.Asked(); !slices.Equal(got, []string{o2}) {
		t.Errorf("downloaded %v, want only the new one", got)
	}
	if r.Completeness() != escrow.Incomplete || r.Summary.LFSHeld != 2 || r.Summary.LFSMissing != 1 || len(r.Missing) != 1 || !strings.Contains(r.Missing[0], o3) || strings.Contains(r.Missing[0], "lost.bin") {
		t.Errorf("missing %q, %+v", r.Missing, r.Summary)
	}
	held := map[string]string{}
	for _, o := range c.completeness(r)["lfs"].([]any) {
		o := o.(map[string]any)
		held[o["oid"].(string)] = fmt.Sprint(o["path"], " ", o["held"])
	}
	if want := map[string]string{o1: "big.bin true", o2: "big.bin true", o3: "dir/lost.bin false"}; !cmp.Equal(held, want) {
		t.Errorf("the list is %v, want %v", held, want)
	}

	if again, err := c.sync(); err != nil || !again.Unchanged {
		t.Fatalf("still missing: %+v, %v", again, err)
	}
	large.Add("a large file that is lost")
	r = c.deposit(escrow.IncrementalDeposit)
	if r.Completeness() != escrow.Complete || r.Summary.LFSHeld != 3 || r.Summary.Objects != 0 {
		t.Errorf("after it came back: missing %q, %+v", r.Missing, r.Summary)
	}
	large.Asked()
	c.opts.Full = true
	r = c.deposit(escrow.FullDeposit)
	if got := large.Asked(); len(got) != 3 || r.Summary.LFSHeld != 3 {
		t.Errorf("a deposit that stands alone has %d large files, %v were downloaded", r.Summary.LFSHeld, got)
	}
}

func TestLFSNotAskedFor(t *testing.T) {
	c, large := lfsChain(t)
	c.opts.Source.LFS = false
	p, oid := large.Add("content")
	c.repo.Commit(t, "refs/heads/main", map[string]string{"big.bin": p})
	r := c.deposit(escrow.FullDeposit)
	if len(large.Asked()) != 0 || r.Summary.LFSMissing != 1 || len(r.Missing) != 1 || !strings.Contains(r.Missing[0], oid) {
		t.Errorf("missing %q, %+v", r.Missing, r.Summary)
	}
	if again, err := c.sync(); err != nil || !again.Unchanged {
		t.Errorf("a second sync: %+v, %v", again, err)
	}
	c.opts.Source.LFS = true // the module is changed
	if r = c.deposit(escrow.IncrementalDeposit); r.Summary.LFSHeld != 1 {
		t.Errorf("after the change: %+v, %q", r.Summary, r.Missing)
	}
}

// An ssh source tells where its large files are, and how to ask for them.
func TestLFSOverSSH(t *testing.T) {
	r := gittest.NewRepo(t, "sha1")
	large := new(gittest.LFS)
	api := gittest.ServeHTTP(t, r.Root(), gittest.HTTPOptions{Token: "short-lived"}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if strings.HasSuffix(req.URL.Path, "/batch") && req.Header.Get("Authorization") != "RemoteAuth short-lived" {
				http.Error(w, "no", http.StatusUnauthorized)
				return
			}
			large.Middleware(next).ServeHTTP(w, req)
		})
	})
	s := gittest.ServeSSH(t, r.Root(), gittest.SSHOptions{Version: gittest.V2, Commands: map[string]string{
		"git-lfs-authenticate '" + r.Name() + "' download": `{"href":"` + api.URL + "/" + r.Name() + `/info/lfs","header":{"Authorization":"RemoteAuth short-lived"}}`,
	}})
	p, _ := large.Add("content of a large file")
	r.Commit(t, "refs/heads/main", map[string]string{"big.bin": p})
	c := newChain(t, r, git.Source{Endpoint: wire.Endpoint{URL: s.URL("/" + r.Name()), Key: wire.Secret(s.ClientKey), HostKeys: s.HostKeys[0]}, LFS: true})
	if res := c.deposit(escrow.FullDeposit); res.Summary.LFSHeld != 1 || res.Completeness() != escrow.Complete {
		t.Errorf("%+v, missing %q", res.Summary, res.Missing)
	}
}

// The ways without an API: a repository on this machine has its large files
// beside it, git:// has none to offer.
func TestLFSElsewhere(t *testing.T) {
	r := gittest.NewRepo(t, "sha1")
	p, _ := new(gittest.LFS).Add("content")
	r.Commit(t, "refs/heads/main", map[string]string{"big.bin": p})
	for _, url := range []string{r.Dir, gittest.ServeDaemon(t, r.Root(), gittest.V2) + "/" + r.Name()} {
		c := newChain(t, r, git.Source{Endpoint: wire.Endpoint{URL: url}, LFS: true})
		if res := c.deposit(escrow.FullDeposit); res.Summary.LFSMissing != 1 || res.Completeness() != escrow.Incomplete {
			t.Errorf("%s: %+v, missing %q", url, res.Summary, res.Missing)
		}
	}
}
