package restore_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/restore"
)

var update = flag.Bool("update", false, "write the golden files")

// blocks returns what a reader of the recipe would paste into a shell.
func blocks(text string) string {
	var code strings.Builder
	for i, part := range strings.Split(text, "```") {
		if i%2 == 1 {
			code.WriteString(strings.TrimPrefix(part, "sh\n"))
		}
	}
	return code.String()
}

func TestRecipeGolden(t *testing.T) {
	digest := func(s string) string { return evidence.Digest([]byte(s)) }
	deposits := []restore.RecipeDeposit{
		{Number: 4, Kind: escrow.FullDeposit, Git: restore.RecipeFile{Path: "objects/old", SHA256: digest("old")}, LFS: []restore.RecipeFile{{Path: "objects/film", SHA256: digest("film")}}},
		{Number: 5, Kind: escrow.FullDeposit, Git: restore.RecipeFile{Path: "objects/a", SHA256: digest("a")}},
		{Number: 6, Kind: escrow.IncrementalDeposit, Git: restore.RecipeFile{Path: "objects/it's b", SHA256: digest("b")}, LFS: []restore.RecipeFile{{Path: "objects/film", SHA256: digest("film")}}},
	}
	var code []string
	for _, language := range []string{"en", "nl"} {
		got, err := restore.Recipe(language, "zaaksysteem / code", deposits)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", "recipe_"+language+".golden.md")
		if *update {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s (-want +got):\n%s", path, d)
		}
		code = append(code, blocks(got))
	}
	if code[0] != code[1] {
		t.Error("the commands differ between the languages")
	}
	for _, bad := range [][]restore.RecipeDeposit{nil, deposits[2:], {{Number: 1, Kind: escrow.FullDeposit, Git: restore.RecipeFile{Path: "x\nrm -rf /", SHA256: digest("a")}}}} {
		if _, err := restore.Recipe("en", "x", bad); err == nil {
			t.Errorf("%v accepted", bad)
		}
	}
	if _, err := restore.Recipe("fr", "x", deposits); escrow.CodeOf(err) != escrow.Invalid {
		t.Errorf("language fr: %v", err)
	}
}

// TestRecipeWorks seals real deposits with the age command and does what the
// page says, with sh and stock tools only, for a chain with every change that
// refs can go through.
func TestRecipeWorks(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"age", "age-keygen", "python3", "sha256sum", "sh"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED: the recipe needs %s", tool)
		}
	}
	for _, f := range []object.Format{object.SHA1, object.SHA256} {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			d := newDepositor(t, f)
			d.deposit(true)
			first := d.commit("README", strings.Repeat("text\n", 100))
			d.git("branch", "a")
			d.deposit(false)
			d.git("branch", "-D", "a")
			d.git("branch", "a/b")
			d.git("tag", "-am", "one", "v1")
			writeRef(t, d, "refs/heads/\xff\xfe", first)
			writeRef(t, d, `refs/heads/it's-"$(x)";&é`, first)
			d.deposit(false)
			d.commit("film.bin", pointer("film"))
			d.git("checkout", "-q", "--detach")
			d.git("branch", "-m", "main", "trunk")
			d.deposit(false)
			d.commit("only", "at HEAD\n")
			d.deposit(false)
			d.git("checkout", "-q", "trunk")
			d.git("update-ref", "-d", "refs/heads/\xff\xfe")
			d.deposit(false)
			for _, n := range []int{1, 3, 5, len(d.plain)} {
				checkRecipe(t, d, n)
			}
		})
	}
}

func checkRecipe(t *testing.T, d *depositor, n int) {
	t.Helper()
	dir := t.TempDir()
	run := func(name string, stdin []byte, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Stdin = dir, bytes.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		return string(out)
	}
	run("age-keygen", nil, "-o", "release.key")
	recipient := strings.TrimSpace(run("age-keygen", nil, "-y", "release.key"))
	sealed := func(name string, plain []byte) restore.RecipeFile {
		path := "objects/" + name
		run("age", plain, "-r", recipient, "-o", path)
		data, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		return restore.RecipeFile{Path: path, SHA256: evidence.Digest(data)}
	}
	if err := os.Mkdir(filepath.Join(dir, "objects"), 0o755); err != nil {
		t.Fatal(err)
	}
	var list []restore.RecipeDeposit
	for i := range n {
		r := restore.RecipeDeposit{Number: i + 1, Kind: d.kinds[i], Git: sealed(fmt.Sprintf("git %d", i), d.plain[i])}
		if i == 3 {
			r.LFS = []restore.RecipeFile{sealed("film", []byte("film"))}
		}
		list = append(list, r)
	}
	text, err := restore.Recipe("nl", "test", list)
	if err != nil {
		t.Fatal(err)
	}
	run("sh", []byte(blocks(text)))
	copied := &depositor{t: t, dir: filepath.Join(dir, "repository.git"), format: d.format}
	if got := copied.state(); got != d.states[n-1] {
		t.Errorf("deposit %d by the recipe:\n%v\nwant\n%v", n, got, d.states[n-1])
	}
	film := evidence.Digest([]byte("film"))
	if data, err := os.ReadFile(filepath.Join(copied.dir, "lfs", "objects", film[:2], film[2:4], film)); n > 3 && (err != nil || string(data) != "film") {
		t.Errorf("large file: %q, %v", data, err)
	}
	if n < len(d.plain) {
		return
	}
	// A changed byte stops the recipe at its first step.
	if err := os.RemoveAll(copied.dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, list[1].Git.Path)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh")
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(blocks(text))
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), list[1].Git.Path) {
		t.Errorf("a changed byte: %v\n%s", err, out)
	}
	if _, err := os.Stat(copied.dir); err == nil {
		t.Error("the recipe went on after a changed byte")
	}
}
