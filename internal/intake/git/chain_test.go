package git_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"holdfast/internal/blob/file"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/git"
	"holdfast/internal/intake/git/gittest"
	"holdfast/internal/intake/git/inventory"
	"holdfast/internal/intake/git/known"
	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/pack"
	"holdfast/internal/intake/git/wire"
	"holdfast/internal/vault"
)

func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, addr)
}

// sealing is the real vault: age to a post-quantum identity, objects in files.
type sealing struct {
	*vault.Sealer
	store    *file.Store
	dir      string
	identity *age.HybridIdentity
}

func newSealing(t testing.TB) *sealing {
	t.Helper()
	v := &sealing{dir: t.TempDir()}
	var err error
	if v.store, err = file.Open(v.dir); err != nil {
		t.Fatal(err)
	}
	if v.identity, err = age.GenerateHybridIdentity(); err != nil {
		t.Fatal(err)
	}
	if v.Sealer, err = vault.NewSealer(v.store, []string{v.identity.Recipient().String()}); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v *sealing) Create(ctx context.Context, role string) (git.Envelope, error) {
	return v.Sealer.Create(ctx, role)
}

// plaintext decrypts an object as its receiver does.
func (v *sealing) plaintext(t testing.TB, name string) []byte {
	t.Helper()
	r, err := v.store.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	plain, err := age.Decrypt(io.NewSectionReader(r, 0, r.Size()), v.identity)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(plain)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// files counts what lies in the vault, unfinished objects included.
func (v *sealing) files(t testing.TB) int {
	t.Helper()
	n := 0
	err := filepath.WalkDir(v.dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// chain is a source, the deposits made of it, and a repository that somebody
// with nothing but age and git rebuilds from them.
type chain struct {
	t        *testing.T
	repo     *gittest.Repo
	vault    *sealing
	opts     git.Options
	segments []*known.Segment
	state    *git.State
	refs     []object.Ref // as the stock restore knows them
	restored string
	fetches  bool // the increments by git fetch, as a person would
	n        int
}

func newChain(t *testing.T, repo *gittest.Repo, source git.Source) *chain {
	t.Helper()
	c := &chain{t: t, repo: repo, vault: newSealing(t)}
	c.opts = git.Options{
		Source: source, Wire: wire.Config{Dial: dial, AllowLocal: true}, Vault: c.vault, Now: time.Now,
	}
	return c
}

// known answers for what the chain holds.
func (c *chain) known() git.Known {
	c.t.Helper()
	set, err := known.NewSet(c.segments...)
	if err != nil {
		c.t.Fatal(err)
	}
	return set
}

// remember keeps what a deposit added, in the form that is stored.
func (c *chain) remember(r *pack.Report) {
	c.t.Helper()
	var buf bytes.Buffer
	if err := known.Write(&buf, r.IDs, r.Graph); err != nil {
		c.t.Fatal(err)
	}
	segment, err := known.Open(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
	if err != nil {
		c.t.Fatal(err)
	}
	c.segments = append(c.segments, segment)
}

// sync makes one deposit, or finds that none is needed.
func (c *chain) sync() (*git.Result, error) {
	c.t.Helper()
	opts := c.opts
	opts.Previous = c.state
	if opts.Known == nil {
		opts.Known = c.known()
	}
	r, err := git.Sync(c.t.Context(), opts)
	if err != nil {
		return nil, err
	}
	if r.Unchanged {
		return r, nil
	}
	if r.Kind == escrow.FullDeposit {
		c.segments = nil
	}
	c.remember(r.Report)
	// The state goes through its stored form each time.
	data, err := r.State.Encode()
	if err != nil {
		c.t.Fatal(err)
	}
	if c.state, err = git.ParseState(data); err != nil {
		c.t.Fatal(err)
	}
	c.n++
	return r, nil
}

// deposit syncs, restores with stock tools, and compares with the source.
func (c *chain) deposit(kind escrow.DepositKind) *git.Result {
	c.t.Helper()
	r, err := c.sync()
	if err != nil {
		c.t.Fatalf("deposit %d: %v", c.n+1, err)
	}
	if r.Unchanged || r.Kind != kind {
		c.t.Fatalf("deposit %d: %q (unchanged: %v, %s), want %s", c.n, r.Kind, r.Unchanged, r.Why, kind)
	}
	if c.state.Deposit != c.n {
		c.t.Errorf("the state counts %d deposits, want %d", c.state.Deposit, c.n)
	}
	c.restore(r)
	c.compare()
	return r
}

// restore does by hand what docs and recipe say: decrypt, cut off the first
// line, clone or fetch the bundle, set the refs.
func (c *chain) restore(r *git.Result) {
	t := c.t
	t.Helper()
	if len(r.Objects) == 0 || r.Objects[0].Role != git.RoleGit {
		t.Fatalf("deposit %d has objects %+v", c.n, r.Objects)
	}
	plain := c.vault.plaintext(t, r.Objects[0].Name)
	if int64(len(plain)) != r.Objects[0].Plain {
		t.Errorf("deposit %d: plaintext of %d bytes, the entry says %d", c.n, len(plain), r.Objects[0].Plain)
	}
	in := bufio.NewReader(bytes.NewReader(plain))
	inv, err := inventory.Read(in)
	if err != nil {
		t.Fatalf("deposit %d: %v", c.n, err)
	}
	data, _ := io.ReadAll(in)
	bundle := filepath.Join(t.TempDir(), fmt.Sprintf("%03d.bundle", c.n))
	if err := os.WriteFile(bundle, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if r.Kind == escrow.FullDeposit {
		c.restored = filepath.Join(t.TempDir(), "restored.git")
		c.refs = nil
		if _, err := gittest.Run(t.TempDir(), nil, "clone", "-q", "--mirror", bundle, c.restored); err != nil {
			t.Fatalf("deposit %d: %v", c.n, err)
		}
		c.git("config", "gc.auto", "0")
	} else {
		verified := c.git("bundle", "verify", bundle)
		if strings.Contains(verified, "complete history") && (len(inv.Refs) > 0 || len(c.refs) > 0) {
			t.Errorf("deposit %d: an increment passes for a whole one: %s", c.n, verified)
		}
		if c.fetches {
			c.git("fetch", "-q", "--no-write-fetch-head", bundle, "+refs/*:refs/*")
		} else { // a fetch cannot make a ref where a deleted one still has a directory
			c.git("bundle", "unbundle", bundle)
		}
	}
	after, err := inv.Apply(c.refs)
	if err != nil {
		t.Fatalf("deposit %d: %v", c.n, err)
	}
	c.setRefs(after)
	switch {
	case inv.Head != "":
		c.git("symbolic-ref", "HEAD", inv.Head)
	case !inv.HeadOID.IsZero():
		c.git("update-ref", "--no-deref", "HEAD", inv.HeadOID.String())
	}
	c.refs = after
	c.git("fsck", "--full", "--no-dangling", "--no-progress")
}

func (c *chain) git(args ...string) string {
	c.t.Helper()
	out, err := gittest.Run(c.restored, nil, args...)
	if err != nil {
		c.t.Fatalf("deposit %d: %v", c.n, err)
	}
	return strings.TrimSpace(string(out))
}

// setRefs gives the restored repository exactly refs.
func (c *chain) setRefs(refs []object.Ref) {
	c.t.Helper()
	want := make(map[string]string)
	for _, r := range refs {
		want[r.Name] = r.OID.String()
	}
	var del, set bytes.Buffer
	for line := range strings.Lines(c.git("for-each-ref", "--format=%(refname)")) {
		if name := strings.TrimSuffix(line, "\n"); want[name] == "" {
			fmt.Fprintf(&del, "delete %s\x00\x00", name)
		}
	}
	for name, oid := range want {
		fmt.Fprintf(&set, "update %s\x00%s\x00\x00", name, oid)
	}
	for _, in := range [][]byte{del.Bytes(), set.Bytes()} {
		if _, err := gittest.Run(c.restored, in, "update-ref", "--no-deref", "-z", "--stdin"); err != nil {
			c.t.Fatalf("deposit %d: %v", c.n, err)
		}
	}
}

// compare holds the restored repository against the source.
func (c *chain) compare() {
	t := c.t
	t.Helper()
	if got, want := c.git("for-each-ref", "--format=%(objectname) %(refname)"), c.repo.Refs(t); got != want {
		t.Errorf("deposit %d restores refs\n%s\nwant\n%s", c.n, got, want)
	}
	head := (&gittest.Repo{Dir: c.restored}).Head(t)
	if want := c.repo.Head(t); head != want && c.opts.Source.URL != "" && !c.headUnknown() {
		t.Errorf("deposit %d restores HEAD %s, want %s", c.n, head, want)
	}
}

// headUnknown reports whether the protocol has no way to say what HEAD names.
func (c *chain) headUnknown() bool { return c.state.Head == "" && c.state.HeadOID.IsZero() }
