package restore_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/files"
	"holdfast/internal/intake/files/restore"
)

// vault keeps objects as they are written: sealing is tested elsewhere.
type vault struct {
	mu      sync.Mutex
	objects map[string][]byte
}

func newVault() *vault { return &vault{objects: map[string][]byte{}} }

type envelope struct {
	bytes.Buffer
	v    *vault
	role string
}

func (v *vault) Create(_ context.Context, role string) (files.Envelope, error) {
	return &envelope{v: v, role: role}, nil
}
func (e *envelope) Finish() error { return nil }
func (e *envelope) Abort()        {}
func (e *envelope) Commit(context.Context) (evidence.ObjectEntry, error) {
	sum := sha256.Sum256(e.Bytes())
	name := hex.EncodeToString(sum[:])
	e.v.mu.Lock()
	defer e.v.mu.Unlock()
	e.v.objects[name] = bytes.Clone(e.Bytes())
	return evidence.ObjectEntry{Name: name, Size: int64(e.Len()), Role: e.role, Plain: int64(e.Len())}, nil
}

type closer struct{ *bytes.Reader }

func (closer) Close() error { return nil }

func (v *vault) deposit(number int, r *files.Result) restore.Deposit {
	d := restore.Deposit{Number: number, Kind: r.Kind, Files: r.Summary.Files, Bytes: r.Summary.Bytes}
	for _, o := range r.Objects {
		data := v.objects[o.Name]
		switch o.Role {
		case files.ListRole:
			d.List = func(context.Context) (io.ReadCloser, error) { return closer{bytes.NewReader(data)}, nil }
		case files.PackRole:
			d.Packs = append(d.Packs, restore.Object{Name: o.Name, Open: func(context.Context) (restore.Pack, error) { return closer{bytes.NewReader(data)}, nil }})
		}
	}
	return d
}

// later is a clock that is ahead of every file, so that stamps are trusted.
func later() time.Time { return time.Now().Add(time.Hour) }

func sync1(t *testing.T, v *vault, o files.Options) *files.Result {
	t.Helper()
	o.Vault = v
	if o.Now == nil {
		o.Now = later
	}
	r, err := files.Sync(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// snapshot describes everything below dir.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		what := fmt.Sprintf("%s %d", info.Mode(), info.ModTime().UnixNano())
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what += fmt.Sprintf(" %x", sha256.Sum256(data))
		case info.Mode().Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			what += " -> " + target
		}
		rel, err := filepath.Rel(dir, path)
		out[rel] = what
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func rebuilt(t *testing.T, deposits []restore.Deposit) map[string]string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out")
	if _, err := restore.Rebuild(t.Context(), restore.Options{Dir: dir, Deposits: deposits}); err != nil {
		t.Fatal(err)
	}
	return snapshot(t, dir)
}

// forest makes and edits random trees.
type forest struct {
	t   *testing.T
	rnd *rand.Rand
	dir string
	n   int
}

func (f *forest) bytes(n int) []byte {
	b := make([]byte, n)
	if f.rnd.IntN(2) == 0 { // what compresses
		for i := range b {
			b[i] = "holdfast keeps "[i%15]
		}
		for range n/64 + 1 {
			if n > 0 {
				b[f.rnd.IntN(n)] = byte(f.rnd.Uint32())
			}
		}
		return b
	}
	var seed [32]byte
	seed[0], seed[1] = byte(f.rnd.Uint32()), byte(f.rnd.Uint32())
	_, _ = rand.NewChaCha8(seed).Read(b) // never fails
	return b
}

func (f *forest) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *forest) name() string {
	f.n++
	odd := []string{"plain", "with space", "ünï", "\xff\xfe", "new\nline", "a'b\"c", ".hidden", strings.Repeat("long", 40), "-dash", "x.tar"}
	return fmt.Sprintf("%s%d", odd[f.rnd.IntN(len(odd))], f.n)
}

func (f *forest) all(keep func(fs.DirEntry) bool) []string {
	var out []string
	f.must(filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && keep(d) {
			out = append(out, path)
		}
		return err
	}))
	return out
}

func (f *forest) some(list []string) string { return list[f.rnd.IntN(len(list))] }

func (f *forest) grow(n int) {
	for range n {
		dir := f.some(f.all(fs.DirEntry.IsDir))
		path := filepath.Join(dir, f.name())
		switch f.rnd.IntN(10) {
		case 0, 1:
			f.must(os.Mkdir(path, 0o755))
		case 2:
			f.must(os.Symlink(f.some([]string{"no where", ".", "x/y"}), path))
		case 3:
			if all := f.all(func(d fs.DirEntry) bool { return d.Type().IsRegular() }); len(all) > 0 {
				f.must(os.Link(f.some(all), path))
			}
		case 4:
			f.must(os.WriteFile(path, nil, 0o600))
		case 5:
			f.must(os.WriteFile(path, f.bytes(f.rnd.IntN(5<<20)), 0o644))
		default:
			f.must(os.WriteFile(path, f.bytes(f.rnd.IntN(40<<10)), fs.FileMode(0o400+f.rnd.IntN(0o400))&0o777|0o400))
		}
	}
}

func (f *forest) edit(n int) {
	for range n {
		all := f.all(func(d fs.DirEntry) bool { return d.Type().IsRegular() })
		if len(all) == 0 {
			return
		}
		path := f.some(all)
		f.must(os.Chmod(path, 0o600))
		data, err := os.ReadFile(path)
		f.must(err)
		at := f.rnd.IntN(len(data) + 1)
		switch f.rnd.IntN(6) {
		case 0:
			f.must(os.Remove(path))
			continue
		case 1:
			f.must(os.Rename(path, filepath.Join(f.dir, f.name())))
			continue
		case 2:
			data = append(data[:at:at], append(f.bytes(1+f.rnd.IntN(5000)), data[at:]...)...)
		case 3:
			data = data[:at]
		case 4:
			data = append(data, f.bytes(1+f.rnd.IntN(1<<20))...)
		case 5:
			stamp := time.Unix(int64(f.rnd.IntN(2e9)), int64(f.rnd.IntN(1e9)))
			f.must(os.Chtimes(path, stamp, stamp))
			continue
		}
		f.must(os.WriteFile(path, data, 0o600))
	}
}

// TestAnyTreeComesBack deposits random trees after random edits and restores
// every one of them.
func TestAnyTreeComesBack(t *testing.T) {
	seeds := 3
	if os.Getenv("HOLDFAST_LONG") != "" {
		seeds = 60
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			f := &forest{t: t, rnd: rand.New(rand.NewPCG(uint64(seed), 7)), dir: filepath.Join(t.TempDir(), "tree")}
			f.must(os.Mkdir(f.dir, 0o755))
			f.grow(30)
			v := newVault()
			var deposits []restore.Deposit
			var state *files.State
			for number := 1; number <= 5; number++ {
				r := sync1(t, v, files.Options{Roots: []string{f.dir}, Number: number, Previous: state, Rehash: seed%2 == 0, Rebase: 3})
				if r.Unchanged {
					t.Fatalf("deposit %d: unchanged", number)
				}
				if want := escrow.IncrementalDeposit; (number == 1 || number == 5) == (r.Kind == want) {
					t.Errorf("deposit %d is %s", number, r.Kind)
				}
				// What is remembered goes through its format.
				var b bytes.Buffer
				f.must(r.State.Encode(&b))
				var err error
				state, err = files.ParseState(&b)
				f.must(err)
				deposits = append(deposits, v.deposit(number, r))
				if diff := cmp.Diff(snapshot(t, filepath.Dir(f.dir)), rebuilt(t, deposits)); diff != "" {
					t.Fatalf("deposit %d restores to something else:\n%s", number, diff)
				}
				f.edit(4)
				f.grow(3)
			}
		})
	}
}

// TestUnchangedCostsNothing: what the disk says is unchanged is not read, and
// what is read and found the same is not deposited.
func TestUnchangedCostsNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	must(t, os.MkdirAll(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "a"), []byte("content"), 0o644))
	v := newVault()
	first := sync1(t, v, files.Options{Roots: []string{dir}, Number: 1})
	var total int64 = -1
	count := func(_, n int64) { total = n }
	if r := sync1(t, v, files.Options{Roots: []string{dir}, Number: 2, Previous: first.State, Progress: count}); !r.Unchanged || total != 0 {
		t.Errorf("unchanged %v, %d bytes read", r.Unchanged, total)
	}
	if r := sync1(t, v, files.Options{Roots: []string{dir}, Number: 2, Previous: first.State, Progress: count, Rehash: true}); !r.Unchanged || total != 7 {
		t.Errorf("rehash: unchanged %v, %d bytes read", r.Unchanged, total)
	}
	// The same size and time, by a program that puts the time back: the inode's
	// own time tells.
	info, err := os.Stat(filepath.Join(dir, "a"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "a"), []byte("CONTENT"), 0o644))
	must(t, os.Chtimes(filepath.Join(dir, "a"), info.ModTime(), info.ModTime()))
	if r := sync1(t, v, files.Options{Roots: []string{dir}, Number: 2, Previous: first.State}); r.Unchanged || r.Summary.Changed != 1 {
		t.Errorf("changed with its old time: unchanged %v, %+v", r.Unchanged, r.Summary)
	}
	// Changed a moment before it was read: the clock of the file system may not
	// tell the next change from it, so it is read again.
	fresh := sync1(t, v, files.Options{Roots: []string{dir}, Number: 1, Now: time.Now})
	if r := sync1(t, v, files.Options{Roots: []string{dir}, Number: 2, Previous: fresh.State, Progress: count}); !r.Unchanged || total != 7 {
		t.Errorf("fresh file: unchanged %v, %d bytes read", r.Unchanged, total)
	}
}

// TestSmallChangeCostsLittle: one per cent of a large file, in one place and
// with another length, costs about that.
func TestSmallChangeCostsLittle(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dump")
	must(t, os.MkdirAll(dir, 0o755))
	rnd := rand.NewChaCha8([32]byte{3})
	data := make([]byte, 48<<20)
	rnd.Read(data)
	must(t, os.WriteFile(filepath.Join(dir, "db"), data, 0o644))
	v := newVault()
	first := sync1(t, v, files.Options{Roots: []string{dir}, Number: 1})
	change := make([]byte, len(data)/100)
	rnd.Read(change)
	data = append(data[:20<<20:20<<20], append(change, data[21<<20:]...)...)
	must(t, os.WriteFile(filepath.Join(dir, "db"), data, 0o644))
	second := sync1(t, v, files.Options{Roots: []string{dir}, Number: 2, Previous: first.State})
	if share := float64(stored(second)) / float64(stored(first)); share > 0.05 {
		t.Errorf("1 %% change costs %.2f %%", 100*share)
	}
	got := rebuilt(t, []restore.Deposit{v.deposit(1, first), v.deposit(2, second)})
	if diff := cmp.Diff(snapshot(t, filepath.Dir(dir)), got); diff != "" {
		t.Error(diff)
	}
	// A pack of the first deposit is lost at the server: what was in it, and
	// only that, goes into the next deposit, which restores without it.
	lost := first.Objects[0].Name
	third := sync1(t, v, files.Options{Roots: []string{dir}, Number: 3, Previous: second.State,
		Held: func(_ context.Context, name string, _ int64) (bool, error) { return name != lost, nil }})
	// Random bytes do not compress: the pack's size is what lay in it. A chunk
	// may have reached into it from a neighbour.
	size := first.Objects[0].Size
	if third.Lost != 1 || third.Summary.NewBytes > size+size/4 || third.Summary.NewBytes < size-size/4 {
		t.Errorf("lost %d, deposited again %d bytes of %d", third.Lost, third.Summary.NewBytes, size)
	}
	v.objects[lost] = []byte("gone")
	got = rebuilt(t, []restore.Deposit{v.deposit(1, first), v.deposit(2, second), v.deposit(3, third)})
	if diff := cmp.Diff(snapshot(t, filepath.Dir(dir)), got); diff != "" {
		t.Error(diff)
	}
}

func stored(r *files.Result) (n int64) {
	for _, o := range r.Objects {
		n += o.Size
	}
	return n
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestStockToolsReadAFullDeposit: zstd and tar alone give the tree.
func TestStockToolsReadAFullDeposit(t *testing.T) {
	for _, tool := range []string{"zstd", "tar"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED: no %s", tool)
		}
	}
	f := &forest{t: t, rnd: rand.New(rand.NewPCG(1, 1)), dir: filepath.Join(t.TempDir(), "tree")}
	must(t, os.Mkdir(f.dir, 0o755))
	f.grow(60)
	// tar has whole seconds.
	var all []string
	must(t, filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
		all = append(all, path)
		return err
	}))
	second := time.Unix(1_700_000_000, 0)
	for i := len(all) - 1; i >= 0; i-- {
		if info, err := os.Lstat(all[i]); err == nil && info.Mode().Type() != fs.ModeSymlink {
			must(t, os.Chtimes(all[i], second, second))
		}
	}
	v := newVault()
	r := sync1(t, v, files.Options{Roots: []string{f.dir}, Number: 1})
	var stream bytes.Buffer
	for _, o := range r.Objects {
		if o.Role == files.PackRole {
			stream.Write(v.objects[o.Name])
		}
	}
	out := t.TempDir()
	cmd := exec.Command("sh", "-c", "zstd -dc | tar -x -C "+out)
	cmd.Stdin = &stream
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	want, got := snapshot(t, filepath.Dir(f.dir)), snapshot(t, out)
	for name, what := range want { // links have the time of their making
		if strings.HasPrefix(what, "L") {
			delete(want, name)
			delete(got, name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestHostileLists: nothing of a list that cannot be is restored.
func TestHostileLists(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	must(t, os.MkdirAll(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "a"), []byte("content"), 0o644))
	v := newVault()
	good := sync1(t, v, files.Options{Roots: []string{dir}, Number: 1})
	plain := func(name string) string {
		r, err := files.Decompress(bytes.NewReader(v.objects[name]))
		must(t, err)
		data, err := io.ReadAll(r)
		must(t, err)
		return string(data)
	}
	list := plain(good.Objects[len(good.Objects)-1].Name)
	file := `{"path":"tree/a","kind":"file"`
	if !strings.Contains(list, file) {
		t.Fatalf("list is\n%s", list)
	}
	with := func(lines ...string) string {
		n := strings.Count(list, "\n") - 1 + len(lines)
		return strings.Replace(list, `"entries":2`, fmt.Sprintf(`"entries":%d`, n), 1) + strings.Join(lines, "\n") + "\n"
	}
	for name, tc := range map[string]struct {
		list string
		code escrow.Code
	}{
		"parent":             {strings.Replace(list, `"tree/a"`, `"tree/../../x"`, 1), escrow.Invalid},
		"absolute":           {strings.Replace(list, `"tree/a"`, `"/etc/x"`, 1), escrow.Invalid},
		"drive":              {strings.Replace(list, `"tree/a"`, `"C:/x"`, 1), escrow.Invalid},
		"backslash":          {strings.Replace(list, `"tree/a"`, `"\\\\host\\x"`, 1), escrow.Invalid},
		"backslash parent":   {strings.Replace(list, `"tree/a"`, `"tree/..\\x"`, 1), escrow.Invalid},
		"twice":              {with(`{"path":"tree/a","kind":"dir","mode":493}`), escrow.Invalid},
		"out of order":       {with(`{"path":"a","kind":"dir","mode":493}`), escrow.Invalid},
		"device":             {with(`{"path":"tree/dev","kind":"device","mode":420}`), escrow.Invalid},
		"setuid":             {with(`{"path":"tree/s","kind":"dir","mode":2541}`), escrow.Invalid},
		"link out":           {with(`{"path":"tree/l","kind":"symlink","mode":511,"target":"/etc"}`), escrow.Damaged},
		"through a link":     {with(`{"path":"tree/l","kind":"symlink","mode":511,"target":"a"}`, `{"path":"tree/l/x","kind":"dir","mode":493}`), escrow.Invalid},
		"hard link out":      {with(`{"path":"tree/l","kind":"hardlink","mode":420,"target":"../x"}`), escrow.Invalid},
		"hard link to a dir": {with(`{"path":"tree/l","kind":"hardlink","mode":420,"target":"tree"}`), escrow.Invalid},
		"without its dir":    {with(`{"path":"zzz/x","kind":"dir","mode":493}`), escrow.Invalid},
		"size of a bomb":     {strings.Replace(list, `"size":7,"mtime`, `"size":9007199254740991,"mtime`, 1), escrow.Invalid},
		"later deposit":      {strings.Replace(list, `"chunks":[[1,`, `"chunks":[[2,`, 1), escrow.Invalid},
		"negative offset":    {strings.Replace(list, `"chunks":[[1,`, `"chunks":[[1,-`, 1), escrow.Invalid},
		"another tree":       {strings.Replace(list, `"mode":493`, `"mode":492`, 1), escrow.Damaged},
		"cut off":            {list[:len(list)-10], escrow.Invalid},
		"goes on":            {list + "{}\n", escrow.Invalid},
		"unknown field":      {strings.Replace(list, `"kind":"file"`, `"kind":"file","owner":0`, 1), escrow.Invalid},
		"frames of a bomb":   {strings.Replace(list, `"frames":[[`, `"frames":[[99999999999,1],[`, 1), escrow.Invalid},
		"empty":              {"", escrow.Invalid},
		"not a list":         {"PK\x03\x04", escrow.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.list == list {
				t.Fatal("the test changes nothing")
			}
			d := v.deposit(1, good)
			d.List = func(context.Context) (io.ReadCloser, error) {
				var b bytes.Buffer
				err := files.Compress(&b, func(w io.Writer) error { _, err := io.WriteString(w, tc.list); return err })
				return closer{bytes.NewReader(b.Bytes())}, err
			}
			out := filepath.Join(t.TempDir(), "in", "out")
			must(t, os.Mkdir(filepath.Dir(out), 0o700))
			_, err := restore.Rebuild(t.Context(), restore.Options{Dir: out, Deposits: []restore.Deposit{d}})
			if escrow.CodeOf(err) != tc.code {
				t.Errorf("got %v (%s), want code %s", err, escrow.CodeOf(err), tc.code)
			}
			if _, err := os.Lstat(out); !errors.Is(err, fs.ErrNotExist) {
				t.Error("something was written")
			}
		})
	}
}

func TestLinksThatLeadOut(t *testing.T) {
	for target, out := range map[string]bool{
		"/etc/passwd": true, "../../x": true, "../x": false, "x": false, "a/../../x": true, "./../x": false, `C:\x`: true, "C:x": true,
		"..": false, "../..": true, "a/../b": true, "": true,
	} {
		if got := files.LeadsOut("tree/link", target); got != out {
			t.Errorf("tree/link -> %q: leads out %v, want %v", target, got, out)
		}
	}
	dir := filepath.Join(t.TempDir(), "tree")
	must(t, os.MkdirAll(dir, 0o755))
	must(t, os.Symlink("/etc", filepath.Join(dir, "etc")))
	v := newVault()
	r := sync1(t, v, files.Options{Roots: []string{dir}, Number: 1})
	if r.Outside != 1 {
		t.Errorf("the depositor is told of %d links", r.Outside)
	}
	for links, want := range map[restore.Links]int{restore.SkipLinks: 1, restore.KeepLinks: 2} {
		out := filepath.Join(t.TempDir(), "out")
		if _, err := restore.Rebuild(t.Context(), restore.Options{Dir: out, Deposits: []restore.Deposit{v.deposit(1, r)}, Links: links}); err != nil {
			t.Errorf("%s: %v", links, err)
		}
		if got := len(snapshot(t, out)); got != want {
			t.Errorf("%s: %d entries, want %d", links, got, want)
		}
	}
	out := filepath.Join(t.TempDir(), "out")
	_, err := restore.Rebuild(t.Context(), restore.Options{Dir: out, Deposits: []restore.Deposit{v.deposit(1, r)}})
	if _, serr := os.Lstat(out); escrow.CodeOf(err) != escrow.Invalid || !errors.Is(serr, fs.ErrNotExist) {
		t.Errorf("refused: %v, %v", err, serr)
	}
}

// TestDamagedPacks: whatever bytes of a pack change or are missing, nothing
// false is restored.
func TestDamagedPacks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	must(t, os.MkdirAll(dir, 0o755))
	data := make([]byte, 3<<20)
	rand.NewChaCha8([32]byte{9}).Read(data)
	must(t, os.WriteFile(filepath.Join(dir, "a"), data, 0o644))
	v := newVault()
	r := sync1(t, v, files.Options{Roots: []string{dir}, Number: 1})
	name := r.Objects[0].Name
	good := v.objects[name]
	rnd := rand.New(rand.NewPCG(5, 5))
	for i := range 60 {
		bad := bytes.Clone(good)
		if i%3 == 0 {
			bad = bad[:rnd.IntN(len(bad))]
		} else {
			bad[rnd.IntN(len(bad))] ^= byte(1 << rnd.IntN(8))
		}
		v.objects[name] = bad
		out := filepath.Join(t.TempDir(), "out")
		_, err := restore.Rebuild(t.Context(), restore.Options{Dir: out, Deposits: []restore.Deposit{v.deposit(1, r)}})
		if err == nil {
			// A bit that zstd does not look at, or the tar's own, may differ.
			if got, rerr := os.ReadFile(filepath.Join(out, "tree", "a")); rerr != nil || !bytes.Equal(got, data) {
				t.Fatalf("damage %d went unseen: %v", i, rerr)
			}
		} else if escrow.CodeOf(err) != escrow.Damaged {
			t.Errorf("damage %d: %v", i, err)
		}
	}
}
