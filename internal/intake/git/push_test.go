package git_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git"
	"holdfast/internal/intake/git/gittest"
	"holdfast/internal/intake/git/known"
	"holdfast/internal/intake/git/wire"
)

// A depositor's working copy, inside a hook of another repository: what git
// set in the environment there must not lead elsewhere, and what is not
// committed is not deposited.
func TestPush(t *testing.T) {
	r := gittest.NewRepo(t, "sha1")
	r.Commit(t, "refs/heads/main", map[string]string{"a": "1"})
	work := filepath.Join(t.TempDir(), "work")
	clone := exec.Command("git", "clone", "-q", r.Dir, work)
	clone.Env = gittest.Env()
	if out, err := clone.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	other := gittest.NewRepo(t, "sha1")
	other.Commit(t, "refs/heads/other", map[string]string{"secret": "of another repository"})
	t.Setenv("GIT_DIR", other.Dir)
	t.Setenv("GIT_OBJECT_DIRECTORY", filepath.Join(other.Dir, "objects"))
	t.Setenv("GIT_CONFIG_PARAMETERS", "'uploadpack.hiderefs=refs'")
	t.Setenv("GIT_NAMESPACE", "elsewhere")
	if err := os.WriteFile(filepath.Join(work, "uncommitted"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := newChain(t, &gittest.Repo{Dir: filepath.Join(work, ".git")}, git.Source{Endpoint: wire.Endpoint{URL: work}})
	for i := range 3 {
		local, err := known.OpenLocal(t.Context(), work)
		if err != nil {
			t.Fatal(err)
		}
		c.opts.Known = local
		kind := escrow.IncrementalDeposit
		if i == 0 {
			kind = escrow.FullDeposit
		}
		if res := c.deposit(kind); res.Summary.Head != "refs/heads/main" {
			t.Errorf("HEAD is %q", res.Summary.Head)
		}
		if err := local.Close(); err != nil {
			t.Error(err)
		}
		c.repo.Commit(t, "refs/heads/main", map[string]string{"a": fmt.Sprint("more ", i)})
	}
}
