package restore_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/restore"
)

// TestEdgeCases walks one repository through every state that a source has
// been seen in, deposits each, and restores every one of them: each deposit
// is a restore point, in both object formats, with self-contained and with
// thin packs.
func TestEdgeCases(t *testing.T) {
	for _, c := range []struct {
		format object.Format
		thin   bool
	}{{object.SHA1, false}, {object.SHA1, true}, {object.SHA256, false}} {
		t.Run(fmt.Sprintf("%s thin=%v", c.format, c.thin), func(t *testing.T) {
			t.Parallel()
			d := newDepositor(t, c.format)
			d.thin = c.thin
			long := strings.Repeat("a line that repeats\n", 200)

			d.deposit(true) // an empty repository, HEAD unborn
			first := d.commit("README", long)
			d.deposit(false)
			d.deposit(false) // nothing changed
			d.commit("README", long+"more\n")
			d.git("tag", "-am", "one", "v1")
			d.git("tag", "-am", "nested", "v1-nested", "v1")
			d.git("tag", "blob", "HEAD:README")
			d.git("tag", "-am", "of a tree", "tree", "HEAD^{tree}")
			d.git("update-ref", "refs/pull/1/head", first)
			d.deposit(false)
			d.git("checkout", "-q", "-b", "Feature/x")
			a := d.commit("a", "A\n")
			d.git("checkout", "-q", "main")
			b := d.commit("b", "B\n")
			writeRef(t, d, "refs/heads/feature/x", b)
			writeRef(t, d, "refs/tags/V1", a)
			d.deposit(false)
			// Names that are legal and awkward.
			writeRef(t, d, "refs/heads/\xff\xfe", a)
			writeRef(t, d, `refs/heads/it's-"$(x)";&`, a)
			writeRef(t, d, "refs/heads/-rf", a)
			writeRef(t, d, "refs/heads/\u202ename", b)
			d.deposit(false)
			d.git("checkout", "-q", "--detach", first)
			d.deposit(false)
			d.git("checkout", "-q", "main")
			d.git("reset", "-q", "--hard", first) // moved back
			d.deposit(false)
			d.git("checkout", "-q", "--orphan", "rewritten")
			orphan := d.commit("README", "we are closed source now\n")
			d.git("branch", "-q", "-f", "main", orphan) // force-push
			d.git("tag", "-d", "v1", "v1-nested", "blob", "tree", "V1")
			d.deposit(false)
			for _, name := range []string{"refs/heads/Feature/x", "refs/heads/feature/x", "refs/heads/\xff\xfe", `refs/heads/it's-"$(x)";&`, "refs/heads/-rf", "refs/heads/\u202ename", "refs/pull/1/head"} {
				d.git("update-ref", "-d", name)
			}
			d.deposit(false)
			d.git("reflog", "expire", "--expire=now", "--all")
			d.git("gc", "-q", "--prune=now") // the source forgets the old history
			d.commit("README", long+"again\n")
			d.deposit(false)
			d.git("symbolic-ref", "HEAD", "refs/heads/main")
			d.git("branch", "-q", "-m", "rewritten", "trunk")
			d.deposit(false) // HEAD moved, a branch renamed
			d.git("symbolic-ref", "HEAD", "refs/heads/trunk")
			d.deposit(true) // a fresh chain
			submodule(t, d)
			d.deposit(false)
			d.git("update-ref", "-d", "refs/heads/main")
			d.git("symbolic-ref", "HEAD", "refs/heads/nowhere") // unborn beside a branch
			d.deposit(false)
			d.git("update-ref", "-d", "refs/heads/trunk")
			d.deposit(false) // no refs left

			for n := 1; n <= len(d.plain); n++ {
				report, _ := d.rebuilt(n, false)
				from := 1
				if n >= 13 {
					from = 13
				}
				if report.Number != n || report.Deposits[0] != from || len(report.Deposits) != n-from+1 {
					t.Errorf("deposit %d built from %v", n, report.Deposits)
				}
			}
			d.rebuilt(6, true)
		})
	}
}

// writeRef puts a ref into packed-refs, where any name has a place.
func writeRef(t *testing.T, d *depositor, name, id string) {
	t.Helper()
	gitIn(t, d.dir, strings.NewReader(fmt.Sprintf("create %s %s\n", name, id)), "update-ref", "--stdin")
}

func submodule(t *testing.T, d *depositor) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, ".gitmodules"), []byte("[submodule \"lib\"]\n\tpath = lib\n\turl = https://example.test/lib.git\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	d.git("add", ".gitmodules")
	d.git("update-index", "--add", "--cacheinfo", "160000,"+d.git("rev-parse", "HEAD")+",lib")
	d.git("commit", "-qm", "submodule")
}

// TestChainOf50 restores a long chain at its end and in its middle.
func TestChainOf50(t *testing.T) {
	t.Parallel()
	d := newDepositor(t, object.SHA1)
	text := strings.Repeat("0123456789\n", 500)
	for i := range 51 {
		text += fmt.Sprintf("line %d\n", i)
		d.commit("file", text)
		if i%7 == 0 {
			d.git("tag", fmt.Sprintf("v%d", i))
		}
		d.deposit(false)
	}
	for _, n := range []int{1, 26, 51} {
		report, dir := d.rebuilt(n, false)
		if len(report.Findings) > 0 || len(report.Notes) > 0 {
			t.Errorf("deposit %d: %v %v", n, report.Findings, report.Notes)
		}
		// It serves: a clone by somebody else works and is on main.
		clone := filepath.Join(t.TempDir(), "clone")
		gitIn(t, "", nil, "clone", "-q", dir, clone)
		if got := strings.TrimSpace(gitIn(t, clone, nil, "rev-list", "--count", "main")); got != fmt.Sprint(n) {
			t.Errorf("deposit %d: clone has %s commits", n, got)
		}
	}
}

// TestWorkTree: the files are there and the copy is clean in git's eyes.
func TestWorkTree(t *testing.T) {
	t.Parallel()
	d := newDepositor(t, object.SHA1)
	d.commit("src/main.go", "package main\n")
	if err := os.Symlink("src/main.go", filepath.Join(d.dir, "link")); err != nil {
		t.Fatal(err)
	}
	d.git("add", "link")
	d.git("commit", "-qm", "link")
	d.deposit(true)
	_, dir := d.rebuilt(1, true)
	if data, err := os.ReadFile(filepath.Join(dir, "link")); err != nil || string(data) != "package main\n" {
		t.Errorf("%q, %v", data, err)
	}
	if out := gitIn(t, dir, nil, "status", "--porcelain"); out != "" {
		t.Errorf("status of a fresh copy: %s", out)
	}
	if out := gitIn(t, dir, nil, "config", "--local", "--list"); strings.Contains(out, "bare=true") || strings.Contains(out, "hookspath") {
		t.Errorf("configuration: %s", out)
	}
}

// TestCaseAndDirectoryNotes: refs that other places cannot hold are all here
// and are named.
func TestCaseAndDirectoryNotes(t *testing.T) {
	t.Parallel()
	d := newDepositor(t, object.SHA1)
	a := d.commit("a", "a\n")
	b := d.commit("a", "b\n")
	writeRef(t, d, "refs/heads/Feature/x", a)
	writeRef(t, d, "refs/heads/feature/x", b)
	d.git("pack-refs", "--all")
	// git itself would refuse to make this one; a server that is not git may have it.
	packed := filepath.Join(d.dir, ".git", "packed-refs")
	data, err := os.ReadFile(packed)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(packed, append(data, []byte(a+" refs/heads/main/nested\n")...), 0o644); err != nil {
		t.Fatal(err)
	}
	d.deposit(true)
	report, _ := d.rebuilt(1, false)
	notes := strings.Join(report.Notes, "\n")
	if !strings.Contains(notes, "refs/heads/Feature/x and refs/heads/feature/x") || !strings.Contains(notes, "refs/heads/main and refs/heads/main/nested") {
		t.Errorf("notes: %s", notes)
	}
}

// TestOldObjects: what git's rules dislike is restored as it was deposited
// and reported beside.
func TestOldObjects(t *testing.T) {
	t.Parallel()
	d := newDepositor(t, object.SHA1)
	c := d.commit("a", "a\n")
	tag := strings.TrimSpace(gitIn(t, d.dir, strings.NewReader(fmt.Sprintf("object %s\ntype commit\ntag v0.99\n\nold\n", c)), "hash-object", "-t", "tag", "-w", "--literally", "--stdin"))
	d.git("update-ref", "refs/tags/v0.99", tag)
	mode := "100644 a\x00" + string(parseRefs(t, object.SHA1, d.git("rev-parse", "HEAD:a")+" x")[0].OID.Bytes())
	tree := strings.TrimSpace(gitIn(t, d.dir, strings.NewReader(strings.Replace(mode, "100644 a", "40000 .git", 1)[:0]+"0"+mode), "hash-object", "-t", "tree", "-w", "--literally", "--stdin"))
	bad := d.git("commit-tree", "-m", "zero padded mode", tree)
	d.git("update-ref", "refs/heads/old", bad)
	d.deposit(true)
	dir := filepath.Join(t.TempDir(), "copy")
	report, err := restore.Rebuild(t.Context(), restore.Options{Dir: dir, Deposits: d.deposits(1)})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range report.Findings {
		all = append(all, f.String())
	}
	text := strings.Join(all, "\n")
	if !strings.Contains(text, tag+": missingTaggerEntry") || !strings.Contains(text, tree+": zeroPaddedFilemode") || report.FindingCount != 2 {
		t.Errorf("findings: %s", text)
	}
}

// TestProgress: a person sees each deposit and each step, in order.
func TestProgress(t *testing.T) {
	t.Parallel()
	d := newDepositor(t, object.SHA1)
	for i := range 3 {
		d.commit("a", fmt.Sprint(i))
		d.deposit(false)
	}
	var steps []string
	_, err := restore.Rebuild(t.Context(), restore.Options{Dir: filepath.Join(t.TempDir(), "copy"), Deposits: d.deposits(3), WorkTree: true,
		Progress: func(p restore.Progress) { steps = append(steps, fmt.Sprintf("%s %d/%d", p.Step, p.Done, p.Of)) }})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"deposit 0/3", "deposit 1/3", "deposit 2/3", "refs 0/0", "check 0/0", "work tree 0/0"}
	if !slices.Equal(steps, want) {
		t.Errorf("steps %v, want %v", steps, want)
	}
}
