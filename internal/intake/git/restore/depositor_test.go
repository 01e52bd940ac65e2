package restore_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/inventory"
	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/restore"
)

// depositor makes deposits of a repository with stock git and the inventory
// package only: it shares no code with the restore or with the intake.
type depositor struct {
	t        testing.TB
	dir      string // the source, not bare
	format   object.Format
	thin     bool
	plain    [][]byte
	kinds    []escrow.DepositKind
	previous []object.Ref
	states   []state
	clock    int
}

// state is what the source looked like at one deposit.
type state struct {
	refs    string // for-each-ref
	head    string // symbolic-ref, "" when detached
	headOID string // rev-parse, "" when unborn
}

func newDepositor(t testing.TB, format object.Format) *depositor {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Fatal("these tests need git")
	}
	d := &depositor{t: t, dir: filepath.Join(t.TempDir(), "source"), format: format}
	gitIn(t, "", nil, "init", "-q", "-b", "main", "--object-format="+format.String(), d.dir)
	return d
}

// gitIn runs stock git and returns its output.
func gitIn(t testing.TB, dir string, stdin io.Reader, args ...string) string {
	t.Helper()
	out, err := tryGit(dir, stdin, nil, args...)
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func tryGit(dir string, stdin io.Reader, env []string, args ...string) ([]byte, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Stdin = dir, stdin
	cmd.Env = append(append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.test", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.test"), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return stderr.Bytes(), err
	}
	return out, nil
}

func (d *depositor) git(args ...string) string {
	d.t.Helper()
	return strings.TrimSpace(gitIn(d.t, d.dir, nil, args...))
}

// commit writes name with content and commits it.
func (d *depositor) commit(name, content string) string {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		d.t.Fatal(err)
	}
	d.git("add", "-f", name)
	d.clock++
	date := fmt.Sprintf("%d +0000", 1_700_000_000+d.clock)
	if out, err := tryGit(d.dir, nil, []string{"GIT_AUTHOR_DATE=" + date, "GIT_COMMITTER_DATE=" + date}, "commit", "-qm", "change "+name); err != nil {
		d.t.Fatalf("commit: %s", out)
	}
	return d.git("rev-parse", "HEAD")
}

func (d *depositor) state() state {
	d.t.Helper()
	s := state{refs: d.git("for-each-ref", "--format=%(objectname) %(refname)")}
	if out, err := tryGit(d.dir, nil, nil, "symbolic-ref", "-q", "HEAD"); err == nil {
		s.head = strings.TrimSpace(string(out))
	}
	if out, err := tryGit(d.dir, nil, nil, "rev-parse", "-q", "--verify", "HEAD"); err == nil {
		s.headOID = strings.TrimSpace(string(out))
	}
	return s
}

func parseRefs(t testing.TB, f object.Format, text string) []object.Ref {
	t.Helper()
	var refs []object.Ref
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" {
			continue
		}
		id, name, _ := strings.Cut(line, " ")
		oid, err := object.ParseOID(f, id)
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, object.Ref{Name: name, OID: oid})
	}
	return inventory.Sorted(refs)
}

// deposit takes the source's present state, as an increment unless it is the
// first or full.
func (d *depositor) deposit(full bool) {
	d.t.Helper()
	full = full || len(d.plain) == 0
	s := d.state()
	refs := parseRefs(d.t, d.format, s.refs)
	var headOID object.OID
	if s.headOID != "" {
		headOID = parseRefs(d.t, d.format, s.headOID+" HEAD")[0].OID
	}
	var inv *inventory.Inventory
	var err error
	kind := escrow.IncrementalDeposit
	if full {
		kind = escrow.FullDeposit
		inv, err = inventory.NewFull(d.format, s.head, headOID, refs)
	} else {
		inv, err = inventory.NewIncremental(d.format, s.head, headOID, d.previous, refs)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	line, err := inv.Line()
	if err != nil {
		d.t.Fatal(err)
	}
	var plain, want bytes.Buffer
	plain.Write(line)
	plain.WriteString("\n")
	for _, r := range refs {
		fmt.Fprintln(&want, r.OID)
	}
	if s.headOID != "" {
		fmt.Fprintln(&want, s.headOID)
	}
	plain.WriteString(d.header(full))
	if !full {
		for _, r := range d.previous {
			if d.has(r.OID.String()) {
				fmt.Fprintln(&want, "^"+r.OID.String())
			}
		}
	}
	for _, r := range inv.Refs {
		fmt.Fprintf(&plain, "%s %s\n", r.OID, r.Name)
	}
	plain.WriteString("\n")
	args := []string{"pack-objects", "--revs", "--stdout", "-q", "--delta-base-offset"}
	if d.thin && !full {
		args = append(args, "--thin")
	}
	plain.WriteString(gitIn(d.t, d.dir, &want, args...))
	d.plain, d.kinds, d.states, d.previous = append(d.plain, plain.Bytes()), append(d.kinds, kind), append(d.states, s), refs
}

func (d *depositor) header(full bool) string {
	text := "# v2 git bundle\n"
	if d.format == object.SHA256 {
		text = "# v3 git bundle\n@object-format=sha256\n"
	}
	if full {
		return text
	}
	for _, r := range d.previous {
		if strings.HasPrefix(r.Name, "refs/heads/") && d.has(r.OID.String()) && d.git("cat-file", "-t", r.OID.String()) == "commit" {
			text += "-" + r.OID.String() + "\n"
		}
	}
	return text
}

func (d *depositor) has(id string) bool {
	_, err := tryGit(d.dir, nil, nil, "cat-file", "-e", id)
	return err == nil
}

// deposits returns what Rebuild takes, up to deposit n.
func (d *depositor) deposits(n int) []restore.Deposit {
	var list []restore.Deposit
	for i, plain := range d.plain[:n] {
		list = append(list, restore.Deposit{Number: i + 1, Kind: d.kinds[i], Open: opener(plain)})
	}
	return list
}

func opener(plain []byte) func(context.Context) (io.ReadCloser, error) {
	return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(plain)), nil }
}

// rebuilt restores deposit n and compares the copy with the source's state at
// that time, by stock git without any of the restore's settings.
func (d *depositor) rebuilt(n int, workTree bool) (*restore.Report, string) {
	d.t.Helper()
	dir := filepath.Join(d.t.TempDir(), "copy")
	report, err := restore.Rebuild(d.t.Context(), restore.Options{Dir: dir, Deposits: d.deposits(n), WorkTree: workTree})
	if err != nil {
		d.t.Fatalf("restore of deposit %d: %v", n, err)
	}
	want := d.states[n-1]
	copied := &depositor{t: d.t, dir: dir, format: d.format}
	got := copied.state()
	if got != want {
		d.t.Errorf("deposit %d restored as\n%v\nwant\n%v", n, got, want)
	}
	if out, err := tryGit(dir, nil, nil, "fsck", "--full"); err != nil {
		d.t.Errorf("deposit %d: fsck: %s", n, out)
	}
	if out, err := tryGit(dir, nil, nil, "rev-list", "--objects", "--quiet", "--all"); err != nil {
		d.t.Errorf("deposit %d is not whole: %s", n, out)
	}
	entries, err := os.ReadDir(filepath.Dir(dir))
	if err != nil || len(entries) != 1 {
		d.t.Errorf("beside the copy: %v, %v", entries, err)
	}
	return report, dir
}
