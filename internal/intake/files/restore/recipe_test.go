package restore_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/files"
)

// blocks are the commands of a page.
func blocks(text string) string {
	var out strings.Builder
	for i, part := range strings.Split(text, "```") {
		if code, ok := strings.CutPrefix(part, "sh\n"); i%2 == 1 && ok {
			out.WriteString(code)
		}
	}
	return out.String()
}

// TestRecipeWorks does what the page says, with stock tools only, for a
// deposit alone and for a chain, and finds a changed byte.
func TestRecipeWorks(t *testing.T) {
	for _, tool := range []string{"age", "age-keygen", "zstd", "tar", "python3", "sha256sum", "sh"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED: the recipe needs %s", tool)
		}
	}
	f := &forest{t: t, rnd: rand.New(rand.NewPCG(4, 4)), dir: filepath.Join(t.TempDir(), "tree")}
	must(t, os.Mkdir(f.dir, 0o755))
	f.grow(30)
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "objects"), 0o755))
	// Debian's age has no post-quantum keys; which kind it is does not matter here.
	identity, err := age.GenerateX25519Identity()
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "release.key"), []byte(identity.String()+"\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "files.py"), []byte(files.RestoreScript()), 0o644))
	v := newVault()
	var state *files.State
	var list []files.RecipeDeposit
	var largest string
	for number := 1; number <= 3; number++ {
		r := sync1(t, v, files.Options{Roots: []string{f.dir}, Number: number, Previous: state, Rehash: true})
		state = r.State
		list = append(list, files.RecipeDeposit{Number: number, Kind: r.Kind})
		var entries []evidence.ObjectEntry
		for _, o := range r.Objects {
			var sealed bytes.Buffer
			w, err := age.Encrypt(&sealed, identity.Recipient())
			must(t, err)
			_, err = io.Copy(w, bytes.NewReader(v.objects[o.Name]))
			must(t, err)
			must(t, w.Close())
			o.Name, o.Size = evidence.Digest(sealed.Bytes()), int64(sealed.Len())
			entries = append(entries, o)
			must(t, os.WriteFile(filepath.Join(dir, "objects", o.Name), sealed.Bytes(), 0o644))
			if number == 1 && o.Role == files.PackRole {
				largest = o.Name
			}
		}
		place := filepath.Join(dir, "deposits", "data", "dumps", fmt.Sprintf("%06d", number))
		must(t, os.MkdirAll(place, 0o755))
		manifest, err := evidence.Canonical(map[string]any{"objects": entries})
		must(t, err)
		must(t, os.WriteFile(filepath.Join(place, "manifest.json"), manifest, 0o644))
		text, err := files.Recipe("en", "data/dumps", list)
		must(t, err)
		if dutch, err := files.Recipe("nl", "data/dumps", list); err != nil || blocks(dutch) != blocks(text) {
			t.Errorf("the commands differ between the languages: %v", err)
		}
		out := filepath.Join(dir, "opened")
		must(t, os.RemoveAll(out))
		sh := exec.Command("sh")
		sh.Dir, sh.Stdin = dir, strings.NewReader(blocks(text))
		if log, err := sh.CombinedOutput(); err != nil {
			t.Fatalf("deposits up to %d: %v\n%s", number, err, log)
		}
		want, got := snapshot(t, filepath.Dir(f.dir)), snapshot(t, filepath.Join(out, "data", "dumps"))
		if number == 1 { // tar: whole seconds, and links of its own time
			for _, m := range []map[string]string{want, got} {
				for name, what := range m {
					m[name] = withoutTime(what)
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("deposits up to %d:\n%s", number, diff)
		}
		f.edit(4)
		f.grow(2)
	}
	path := filepath.Join(dir, "objects", largest)
	data, err := os.ReadFile(path)
	must(t, err)
	data[len(data)/2] ^= 1
	must(t, os.WriteFile(path, data, 0o644))
	must(t, os.RemoveAll(filepath.Join(dir, "opened")))
	text, err := files.Recipe("en", "data/dumps", list)
	must(t, err)
	sh := exec.Command("sh")
	sh.Dir, sh.Stdin = dir, strings.NewReader(blocks(text))
	if out, err := sh.CombinedOutput(); err == nil || !strings.Contains(string(out), largest) {
		t.Errorf("a changed byte: %v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "opened")); err == nil {
		t.Error("the recipe went on after a changed byte")
	}
}

func withoutTime(what string) string {
	fields := strings.Fields(what)
	return strings.Join(append(fields[:1:1], fields[2:]...), " ")
}

// TestScriptRefusesHostileLists: the Python that goes with an export refuses
// what the program refuses.
func TestScriptRefusesHostileLists(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("SKIPPED: no python3")
	}
	dir := t.TempDir()
	script := filepath.Join(dir, "files.py")
	must(t, os.WriteFile(script, []byte(files.RestoreScript()), 0o644))
	for i, line := range []string{
		`{"path":"../x","kind":"dir","mode":493}`, `{"path":"/tmp/x","kind":"dir","mode":493}`, `{"path":"C:/x","kind":"dir","mode":493}`,
		`{"path":"a/../../x","kind":"dir","mode":493}`, `{"path":"dev","kind":"device"}`, `{"path":"no/x","kind":"file"}`,
		`{"path":"l","kind":"hardlink","target":"../x"}`, `{"path":"f","kind":"file","size":3,"chunks":[[1,0,3,"00"]]}`,
	} {
		work := filepath.Join(dir, fmt.Sprint("work", i))
		must(t, os.MkdirAll(work, 0o755))
		head, err := json.Marshal(map[string]any{"format": files.ListFormat, "deposit": 1, "kind": escrow.FullDeposit, "entries": 1, "tree": "", "packs": []int{}})
		must(t, err)
		must(t, os.WriteFile(filepath.Join(work, "000001.list"), []byte(string(head)+"\n"+line+"\n"), 0o644))
		must(t, os.WriteFile(filepath.Join(work, "000001.stream"), []byte("abc"), 0o644))
		out := filepath.Join(dir, fmt.Sprint("out", i))
		log, err := exec.Command("python3", script, work, out).CombinedOutput()
		if err == nil || !strings.Contains(string(log), "files.py: ") {
			t.Errorf("%s: %v\n%s", line, err, log)
		}
		if _, err := os.Lstat(filepath.Join(dir, "x")); err == nil {
			t.Errorf("%s: something was made outside", line)
		}
	}
}
