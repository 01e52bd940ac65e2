package gittest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// Env is the environment every git of a test runs in: nobody's configuration,
// one name, one time.
func Env(extra ...string) []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull,
		"GIT_AUTHOR_NAME=A U Thor", "GIT_AUTHOR_EMAIL=author@example.org", "GIT_AUTHOR_DATE=1700000000 +0000",
		"GIT_COMMITTER_NAME=A U Thor", "GIT_COMMITTER_EMAIL=author@example.org", "GIT_COMMITTER_DATE=1700000000 +0000",
	}, extra...)
}

// Run runs git with input and returns its standard output. The error holds
// what git wrote to its standard error.
func Run(dir string, input []byte, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(context.Background(), "git", append([]string{"-c", "safe.directory=*"}, args...)...)
	cmd.Dir, cmd.Env, cmd.Stdin = dir, Env(), bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return out, nil
}

// Need skips the test when a program it needs is not installed.
func Need(tb testing.TB, programs ...string) {
	tb.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			tb.Skipf("%s is not installed", p)
		}
	}
}

// Repo is a bare repository with the branch main as its HEAD.
type Repo struct {
	Dir    string // ends in .git
	Format string // sha1 or sha256
	clock  atomic.Int64
}

// NewRepo makes an empty repository, which lies alone in a directory that can
// be the root of a server.
func NewRepo(tb testing.TB, format string) *Repo {
	tb.Helper()
	Need(tb, "git")
	r := &Repo{Dir: filepath.Join(tb.TempDir(), "repo.git"), Format: format}
	if _, err := Run(filepath.Dir(r.Dir), nil, "init", "-q", "--bare", "--object-format="+format, "--initial-branch=main", r.Dir); err != nil {
		tb.Fatal(err)
	}
	return r
}

// Root is the directory that holds the repository and nothing else.
func (r *Repo) Root() string { return filepath.Dir(r.Dir) }

// Name is the repository's path below Root.
func (r *Repo) Name() string { return filepath.Base(r.Dir) }

// Git runs git in the repository and returns what it printed, without the
// white space around it.
func (r *Repo) Git(tb testing.TB, args ...string) string {
	tb.Helper()
	return r.Feed(tb, "", args...)
}

// Feed is Git with standard input.
func (r *Repo) Feed(tb testing.TB, input string, args ...string) string {
	tb.Helper()
	out, err := Run(r.Dir, []byte(input), args...)
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// Commit adds a commit with the given files on top of ref, or a root commit
// when ref does not exist, moves ref to it and returns its id. Files that the
// parent has stay; a content of "" removes one. Every commit differs from
// every other by its time.
func (r *Repo) Commit(tb testing.TB, ref string, files map[string]string) string {
	tb.Helper()
	var parents []string
	if out, err := Run(r.Dir, nil, "rev-parse", "--verify", "-q", ref+"^{commit}"); err == nil {
		parents = []string{strings.TrimSpace(string(out))}
	}
	return r.CommitOn(tb, ref, parents, files)
}

// CommitOn is Commit with the parents said; none makes an orphan.
func (r *Repo) CommitOn(tb testing.TB, ref string, parents []string, files map[string]string) string {
	tb.Helper()
	when := 1_700_000_000 + r.clock.Add(1)
	var in bytes.Buffer
	const scratch = "refs/gittest/commit"
	message := fmt.Sprintf("commit %d", when)
	fmt.Fprintf(&in, "commit %s\ncommitter A U Thor <author@example.org> %d +0000\ndata %d\n%s\n", scratch, when, len(message), message)
	for i, p := range parents {
		word := "merge"
		if i == 0 {
			word = "from"
		}
		fmt.Fprintf(&in, "%s %s\n", word, p)
	}
	names := make([]string, 0, len(files))
	for n := range files {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		switch content := files[n]; {
		case content == "":
			fmt.Fprintf(&in, "D %s\n", n)
		case strings.HasPrefix(content, "gitlink "):
			fmt.Fprintf(&in, "M 160000 %s %s\n", strings.TrimPrefix(content, "gitlink "), n)
		default:
			fmt.Fprintf(&in, "M 100644 inline %s\ndata %d\n%s\n", n, len(content), content)
		}
	}
	fmt.Fprintf(&in, "\nreset %s\nfrom %s\n\n", ref, scratch)
	r.Feed(tb, in.String(), "fast-import", "--quiet", "--force", "--date-format=raw")
	r.Git(tb, "update-ref", "-d", scratch)
	return r.Git(tb, "rev-parse", ref)
}

// Tag makes an annotated tag on any object and returns the tag's id.
func (r *Repo) Tag(tb testing.TB, name, target string) string {
	tb.Helper()
	r.Git(tb, "tag", "-f", "-a", "-m", "tag "+name, name, target)
	return r.Git(tb, "rev-parse", "refs/tags/"+name)
}

// SetRef makes a ref point at an object, whatever it pointed at before.
func (r *Repo) SetRef(tb testing.TB, name, target string) {
	tb.Helper()
	r.Git(tb, "update-ref", name, target)
}

// Prune forgets everything that no ref reaches.
func (r *Repo) Prune(tb testing.TB) {
	tb.Helper()
	r.Git(tb, "reflog", "expire", "--expire=now", "--all")
	r.Git(tb, "gc", "-q", "--prune=now")
}

// Refs returns the repository's refs as "oid name" lines in Git's order, the
// form a restore is compared by.
func (r *Repo) Refs(tb testing.TB) string {
	tb.Helper()
	return r.Git(tb, "for-each-ref", "--format=%(objectname) %(refname)")
}

// Head returns what HEAD names, or the id where it is detached.
func (r *Repo) Head(tb testing.TB) string {
	tb.Helper()
	if out, err := Run(r.Dir, nil, "symbolic-ref", "-q", "HEAD"); err == nil {
		return strings.TrimSpace(string(out))
	}
	return r.Git(tb, "rev-parse", "HEAD")
}
