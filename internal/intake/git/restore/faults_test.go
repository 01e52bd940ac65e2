package restore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/restore"
)

// refuse expects Rebuild to fail with code, to say something, and to leave
// nothing behind.
func refuse(t *testing.T, opts restore.Options, code escrow.Code, says string) {
	t.Helper()
	parent := t.TempDir()
	if opts.Dir == "" {
		opts.Dir = filepath.Join(parent, "copy")
	}
	report, err := restore.Rebuild(t.Context(), opts)
	if report != nil || escrow.CodeOf(err) != code || !strings.Contains(err.Error(), says) {
		t.Errorf("got %v, %v (%s); want %s that says %q", report, err, escrow.CodeOf(err), code, says)
	}
	if e, ok := errors.AsType[*escrow.Error](err); ok && code != escrow.Damaged && e.Hint == "" {
		t.Errorf("%v has no hint", err)
	}
	if entries, _ := os.ReadDir(parent); len(entries) > 0 {
		t.Errorf("left behind: %v", entries)
	}
}

func threeDeposits(t *testing.T) *depositor {
	t.Helper()
	d := newDepositor(t, object.SHA1)
	text := ""
	for i := range 3 {
		text += strings.Repeat(fmt.Sprintf("line %d\n", i), 200)
		d.commit("file", text)
		d.deposit(false)
	}
	return d
}

func TestChainFaults(t *testing.T) {
	t.Parallel()
	d := threeDeposits(t)
	all := d.deposits(3)
	swapped := d.deposits(3)
	swapped[1].Open, swapped[2].Open = swapped[2].Open, swapped[1].Open
	other := newDepositor(t, object.SHA1)
	other.commit("x", "x\n")
	other.deposit(true)
	other.commit("y", "y\n")
	other.deposit(false)
	foreign := d.deposits(3)
	foreign[1].Open = other.deposits(2)[1].Open
	mislabelled := d.deposits(1)
	mislabelled[0].Open = all[1].Open

	for _, c := range []struct {
		name string
		list []restore.Deposit
		code escrow.Code
		says string
	}{
		{"none", nil, escrow.Missing, "no deposit"},
		{"no full one", all[1:], escrow.Missing, "deposits 2 to 3 are all INCREMENTAL"},
		{"gap", []restore.Deposit{all[0], all[2]}, escrow.Missing, "deposit 2 is not here"},
		{"twice", []restore.Deposit{all[0], all[1], all[1]}, escrow.Invalid, "deposit 2 comes after deposit 2"},
		{"swapped", swapped, escrow.Missing, "deposit 2: inventory does not follow"},
		{"of another repository", foreign, escrow.Missing, "deposit 2"},
		{"kind differs", mislabelled, escrow.Damaged, "FULL by its manifest and INCREMENTAL inside"},
	} {
		t.Run(c.name, func(t *testing.T) { refuse(t, restore.Options{Deposits: c.list}, c.code, c.says) })
	}
}

// TestEveryCutAndFlip cuts a deposit at many places and alters many bytes of
// its bundle: whatever is not exactly what was deposited is refused, and
// nothing is left behind. (The seal around it finds such changes first; what
// is tested here is that a second line stands behind it.)
func TestEveryCutAndFlip(t *testing.T) {
	t.Parallel()
	d := threeDeposits(t)
	plain := d.plain[2]
	try := func(name string, content []byte) {
		t.Helper()
		list := d.deposits(3)
		list[2].Open = opener(content)
		parent := t.TempDir()
		_, err := restore.Rebuild(t.Context(), restore.Options{Dir: filepath.Join(parent, "copy"), Deposits: list})
		if code := escrow.CodeOf(err); code != escrow.Damaged && code != escrow.Missing {
			t.Errorf("%s: %v (%s)", name, err, code)
		}
		if entries, _ := os.ReadDir(parent); len(entries) > 0 {
			t.Errorf("%s left %v", name, entries)
		}
	}
	step := max(1, len(plain)/15)
	for at := 0; at < len(plain); at += step {
		try(fmt.Sprintf("cut at %d", at), plain[:at])
		if at > bytes.IndexByte(plain, '\n') {
			altered := bytes.Clone(plain)
			altered[at] ^= 0x10
			try(fmt.Sprintf("byte %d altered", at), altered)
		}
	}
	try("cut by one", plain[:len(plain)-1])
	for _, extra := range []int{1, 20, 5000, 100_000} {
		try(fmt.Sprintf("%d bytes more", extra), append(bytes.Clone(plain), make([]byte, extra)...))
	}
}

// TestObjectLeftOut: a pack that is whole as a file but lacks an object that
// the history needs is found by following the references, not by hashes.
func TestObjectLeftOut(t *testing.T) {
	t.Parallel()
	d := threeDeposits(t)
	blob := d.git("rev-parse", "HEAD:file")
	plain := d.plain[0]
	start := bytes.Index(plain, []byte("\n\n")) + 2
	var ids bytes.Buffer
	for id := range strings.FieldsSeq(d.git("rev-list", "--objects", "--no-object-names", d.states[0].headOID)) {
		if id != d.git("rev-parse", d.states[0].headOID+":file") {
			fmt.Fprintln(&ids, id)
		}
	}
	pack := gitIn(t, d.dir, &ids, "pack-objects", "--stdout", "-q")
	list := d.deposits(1)
	list[0].Open = opener(append(bytes.Clone(plain[:start]), pack...))
	for _, quick := range []bool{false, true} {
		refuse(t, restore.Options{Deposits: list, Quick: quick}, escrow.Missing, "blob "+d.git("rev-parse", d.states[0].headOID+":file"))
	}

	// A tip that is in no deposit is named with its ref.
	tip := d.states[2].headOID
	list = d.deposits(3)
	at := bytes.Index(d.plain[2], []byte("\n\n")) + 2
	ids.Reset()
	fmt.Fprintln(&ids, blob)
	list[2].Open = opener(append(bytes.Clone(d.plain[2][:at]), gitIn(t, d.dir, &ids, "pack-objects", "--stdout", "-q")...))
	refuse(t, restore.Options{Deposits: list}, escrow.Missing, tip+" of refs/heads/main")
}

// TestThinPackWithoutItsBase: missing, not damaged.
func TestThinPackWithoutItsBase(t *testing.T) {
	t.Parallel()
	d := newDepositor(t, object.SHA1)
	d.thin = true
	d.commit("file", strings.Repeat("0123456789", 1000))
	d.deposit(true)
	d.commit("file", strings.Repeat("0123456789", 1000)+"x")
	d.deposit(false)
	// The same increment behind a first deposit that lacks the base.
	plain := d.plain[0]
	start := bytes.Index(plain, []byte("\n\n")) + 2
	ids := strings.NewReader(d.git("rev-parse", d.states[0].headOID) + "\n")
	list := d.deposits(2)
	list[0].Open = opener(append(bytes.Clone(plain[:start]), gitIn(t, d.dir, ids, "pack-objects", "--stdout", "-q")...))
	refuse(t, restore.Options{Deposits: list}, escrow.Missing, "deposit 2: its pack builds on objects")
}

func TestSourceErrorsKeepTheirCode(t *testing.T) {
	t.Parallel()
	d := threeDeposits(t)
	broken := func(after int, err error) func(context.Context) (io.ReadCloser, error) {
		return func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(bytes.NewReader(d.plain[1][:after]), errReader{err})), nil
		}
	}
	for name, c := range map[string]struct {
		open func(context.Context) (io.ReadCloser, error)
		code escrow.Code
		says string
	}{
		"wrong key":             {failing(escrow.Errorf(escrow.WrongKey, "sealed to 1f3a, you offered 9c07").WithHint("x")), escrow.WrongKey, "deposit 2: sealed to 1f3a"},
		"no file":               {failing(fs.ErrNotExist), escrow.Missing, "deposit 2 is not there"},
		"damage in the pack":    {broken(len(d.plain[1])-30, errors.New("age: bad chunk")), escrow.Damaged, "deposit 2 cannot be read to its end"},
		"damage in the line":    {broken(20, errors.New("age: bad chunk")), escrow.Damaged, "deposit 2 cannot be read to its end"},
		"damage in the header":  {broken(bytes.IndexByte(d.plain[1], '\n')+5, errors.New("age: bad chunk")), escrow.Damaged, "deposit 2 cannot be read to its end"},
		"network away midway":   {broken(len(d.plain[1])-30, escrow.Errorf(escrow.Unavailable, "server gone").WithHint("x")), escrow.Unavailable, "server gone"},
		"error after the whole": {broken(len(d.plain[1]), errors.New("last chunk is not authentic")), escrow.Damaged, "deposit 2"},
	} {
		t.Run(name, func(t *testing.T) {
			list := d.deposits(3)
			list[1].Open = c.open
			opts := restore.Options{Deposits: list}
			if c.code == escrow.Missing {
				_, err := restore.Rebuild(t.Context(), restore.Options{Dir: filepath.Join(t.TempDir(), "copy"), Deposits: list})
				if escrow.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%v", err)
				}
				return
			}
			refuse(t, opts, c.code, c.says)
		})
	}
}

func failing(err error) func(context.Context) (io.ReadCloser, error) {
	return func(context.Context) (io.ReadCloser, error) { return nil, err }
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

func TestCancel(t *testing.T) {
	t.Parallel()
	d := threeDeposits(t)
	for _, at := range []restore.Step{restore.StepDeposit, restore.StepRefs, restore.StepCheck} {
		ctx, cancel := context.WithCancel(t.Context())
		parent := t.TempDir()
		_, err := restore.Rebuild(ctx, restore.Options{Dir: filepath.Join(parent, "copy"), Deposits: d.deposits(3), Progress: func(p restore.Progress) {
			if p.Step == at {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled at %s: %v", at, err)
		}
		if entries, _ := os.ReadDir(parent); len(entries) > 0 {
			t.Errorf("cancelled at %s: left %v", at, entries)
		}
	}
}

// TestTarget: nothing that exists is touched.
func TestTarget(t *testing.T) {
	t.Parallel()
	d := threeDeposits(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	dangling := filepath.Join(dir, "dangling")
	if err := os.Symlink(filepath.Join(dir, "nowhere"), dangling); err != nil {
		t.Fatal(err)
	}
	for _, existing := range []string{dir, file, dangling} {
		refuse(t, restore.Options{Dir: existing, Deposits: d.deposits(3)}, escrow.Conflict, existing)
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "mine" {
		t.Errorf("%q, %v", data, err)
	}
	refuse(t, restore.Options{Dir: filepath.Join(dir, "no", "such", "parent"), Deposits: d.deposits(3)}, escrow.NotFound, "no/such")
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
}

// script writes an executable that stands for git.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "git")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestGitItself(t *testing.T) {
	t.Parallel()
	d := threeDeposits(t)
	refuse(t, restore.Options{Git: "/no/such/git", Deposits: d.deposits(3)}, escrow.Unavailable, "git was not found")
	refuse(t, restore.Options{Git: script(t, "echo git version 2.20.1\n"), Deposits: d.deposits(3)}, escrow.Unavailable, "2.20.1")
	refuse(t, restore.Options{Git: script(t, "echo hello\n"), Deposits: d.deposits(3)}, escrow.Unavailable, "too old")
	refuse(t, restore.Options{Git: script(t, "exit 3\n"), Deposits: d.deposits(3)}, escrow.Unavailable, "could not be started")
	// A disk that fills up while git writes.
	refuse(t, restore.Options{Git: script(t, `case " $* " in *" index-pack "*) cat >/dev/null; echo "fatal: write error: No space left on device" >&2; exit 128;; esac; exec git "$@"`+"\n"),
		Deposits: d.deposits(3)}, escrow.Full, "no room")
	// A place that lost one of two refs: both are named, none stands for the other.
	a := d.states[0].headOID
	writeRef(t, d, "refs/heads/Feature/x", a)
	writeRef(t, d, "refs/heads/feature/x", d.states[1].headOID)
	d.deposit(false)
	refuse(t, restore.Options{Git: script(t, `case " $* " in *" for-each-ref "*) git "$@" | grep -v refs/heads/feature/x; exit 0;; esac; exec git "$@"`+"\n"),
		Deposits: d.deposits(4)}, escrow.Conflict, "refs/heads/feature/x")
}

// TestHostileSurroundings: the configuration, hooks, templates and variables
// of whoever runs the restore have no part in it.
func TestHostileSurroundings(t *testing.T) {
	d := threeDeposits(t)
	// A replacement that hides the last commit behind the first.
	d.git("replace", d.states[2].headOID, d.states[0].headOID)
	d.deposit(false)
	list := d.deposits(4)
	want := d.states[3]

	home := t.TempDir()
	mark := filepath.Join(home, "mark")
	hooks := filepath.Join(home, "hooks")
	if err := os.Mkdir(hooks, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, hook := range []string{"reference-transaction", "post-checkout", "post-index-change", "pre-auto-gc"} {
		if err := os.WriteFile(filepath.Join(hooks, hook), []byte("#!/bin/sh\ntouch "+mark+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	config := fmt.Sprintf("[core]\n\thooksPath = %s\n\tfsmonitor = touch %s\n[init]\n\ttemplateDir = %s\n\tdefaultObjectFormat = sha256\n[gc]\n\tauto = 1\n[fsck]\n\tskipList = /no/such\n[filter \"lfs\"]\n\tsmudge = touch %s\n", hooks, mark, home, mark)
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", home)
	t.Setenv("GIT_CONFIG_GLOBAL", filepath.Join(home, ".gitconfig"))
	t.Setenv("GIT_DIR", filepath.Join(home, "elsewhere"))
	t.Setenv("GIT_WORK_TREE", home)
	t.Setenv("GIT_INDEX_FILE", filepath.Join(home, "index"))
	t.Setenv("GIT_OBJECT_DIRECTORY", filepath.Join(home, "objects"))
	t.Setenv("GIT_CONFIG_COUNT", "1")
	t.Setenv("GIT_CONFIG_KEY_0", "core.hooksPath")
	t.Setenv("GIT_CONFIG_VALUE_0", hooks)
	t.Setenv("GIT_TRACE", filepath.Join(home, "trace"))

	dir := filepath.Join(t.TempDir(), "copy")
	if _, err := restore.Rebuild(t.Context(), restore.Options{Dir: dir, Deposits: list, WorkTree: true}); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(home)
	if err != nil || len(entries) != 2 {
		t.Errorf("in the home directory: %v, %v", entries, err)
	}
	for _, name := range []string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_CONFIG_COUNT", "GIT_TRACE"} {
		os.Unsetenv(name)
	}
	copied := &depositor{t: t, dir: dir, format: object.SHA1}
	if got := copied.state(); got != want {
		t.Errorf("restored as %v, want %v", got, want)
	}
}

// TestHostileDeposits: a depositor's bytes cannot name anything outside the
// target, and bundles that ask for more than a bundle may are refused.
func TestHostileDeposits(t *testing.T) {
	t.Parallel()
	d := threeDeposits(t)
	plain := string(d.plain[0])
	tip := d.states[0].headOID
	blob := d.git("rev-parse", tip+":file")
	for _, c := range []struct{ name, old, new, says string }{
		{"other ref in the bundle", " refs/heads/main\n\n", " refs/heads/other\n\n", "refs/heads/other"},
		{"ref outside", " refs/heads/main\n\n", " ../../config\n\n", "does not begin with"},
		{"other id in the bundle", tip + " refs/heads/main\n\n", blob + " refs/heads/main\n\n", "in its bundle and"},
		{"wrong HEAD in the bundle", "\n\n", "\n" + blob + " HEAD\n\n", `"HEAD" is`},
		{"full with a prerequisite", "git bundle\n", "git bundle\n-" + tip + "\n", "needs " + tip},
		{"filter", "# v2 git bundle\n", "# v3 git bundle\n@filter=blob:none\n", "@filter"},
		{"other format in the bundle", "# v2 git bundle\n", "# v3 git bundle\n@object-format=sha256\n", "characters"},
		{"v4", "# v2 git", "# v4 git", "not as a bundle"},
	} {
		bad := strings.Replace(plain, c.old, c.new, 1)
		if bad == plain {
			t.Fatalf("%s: nothing replaced", c.name)
		}
		list := d.deposits(1)
		list[0].Open = opener([]byte(bad))
		t.Run(c.name, func(t *testing.T) { refuse(t, restore.Options{Deposits: list}, escrow.Damaged, c.says) })
	}
	if entries, err := os.ReadDir(filepath.Dir(d.dir)); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

// TestHostileTree: a commit that would write into .git is restored as it was
// deposited, reported, and not checked out.
func TestHostileTree(t *testing.T) {
	t.Parallel()
	d := newDepositor(t, object.SHA1)
	d.commit("a", "a\n")
	blob := parseRefs(t, object.SHA1, d.git("rev-parse", "HEAD:a")+" x")[0].OID.Bytes()
	object := func(kind, content string) string {
		return strings.TrimSpace(gitIn(t, d.dir, strings.NewReader(content), "hash-object", "-t", kind, "-w", "--literally", "--stdin"))
	}
	hooks := object("tree", "100755 post-checkout\x00"+string(blob))
	raw := parseRefs(t, d.format, hooks+" x")[0].OID.Bytes()
	git := object("tree", "40000 hooks\x00"+string(raw))
	raw = parseRefs(t, d.format, git+" x")[0].OID.Bytes()
	root := object("tree", "40000 .git\x00"+string(raw))
	d.git("update-ref", "refs/heads/main", d.git("commit-tree", "-m", "hostile", root))
	d.deposit(true)
	refuse(t, restore.Options{Deposits: d.deposits(1), WorkTree: true}, escrow.Damaged, "HEAD cannot be checked out")
	report, _ := d.rebuilt(1, false)
	if len(report.Findings) != 1 || !strings.Contains(report.Findings[0].Text, "hasDotgit") {
		t.Errorf("findings: %v", report.Findings)
	}
}
