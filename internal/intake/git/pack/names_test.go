package pack_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/pack"
)

// pointer is a Git LFS pointer file.
func pointer(oid string, size int) string {
	return fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", oid, size)
}

func TestReportNamesWhatAPackDoesNotHold(t *testing.T) {
	both(t, func(t *testing.T, f object.Format) {
		r := newRepository(t, f)
		one, two, three := strings.Repeat("a1", 32), strings.Repeat("b2", 32), strings.Repeat("c3", 32)
		r.write("assets/film.bin", pointer(one, 12345))
		r.write("top.bin", pointer(two, 1))
		r.write("copy of top.bin", pointer(two, 1))
		r.write("not a pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:zz\nsize 1\n")
		r.commit("With LFS")
		r.write("assets/film.bin", pointer(three, 54321)) // the first version is history only
		r.write(".gitmodules", `[submodule "lib"]
	path = vendor/lib
	url = https://user:CANARY@example.org/lib.git
[submodule "gone"]
	path = gone
	url = ../gone.git
`)
		commit := strings.Repeat("5", f.HexSize())
		r.git("add", "-A")
		r.git("update-index", "--add", "--cacheinfo", "160000,"+commit+",vendor/lib")
		r.git("update-index", "--add", "--cacheinfo", "160000,"+commit+",unlisted")
		r.git("commit", "-q", "-m", "With submodules")

		data := []byte(r.gitIn("", "pack-objects", "--all", "--stdout", "-q", "--delta-base-offset"))
		rep, err := check(t, data, pack.Options{Format: f, Tips: r.tips()})
		if err != nil {
			t.Fatal(err)
		}
		type lfs struct {
			OID  string
			Size int64
			Path string
		}
		var got []lfs
		for _, p := range rep.LFS {
			path := p.Path
			if path == "copy of top.bin" { // either is right
				path = "top.bin"
			}
			got = append(got, lfs{p.OID, p.Size, path})
			if id := idOf(f, blobKind, []byte(pointer(p.OID, int(p.Size)))); p.Blob != id {
				t.Errorf("blob %s, want %s", p.Blob, id)
			}
		}
		if diff := cmp.Diff([]lfs{{one, 12345, "assets/film.bin"}, {two, 1, "top.bin"}, {three, 54321, "assets/film.bin"}}, got); diff != "" {
			t.Errorf("LFS (-want +got):\n%s", diff)
		}
		var subs []string
		for _, s := range rep.Submodules {
			subs = append(subs, s.Path+" "+s.Commit.String()[:4]+" "+s.URL)
		}
		if diff := cmp.Diff([]string{"unlisted 5555 ", "vendor/lib 5555 https://example.org/lib.git"}, subs); diff != "" {
			t.Errorf("submodules (-want +got):\n%s", diff)
		}
		if rep.SubmoduleCount != 2 || rep.WarningCount != 0 {
			t.Errorf("%d submodules, warnings: %v", rep.SubmoduleCount, rep.Warnings)
		}
	})
}

// TestHostileNamesTakeLittleMemory has a tree nested deep under names that are
// long and compress to nothing.
func TestHostileNamesTakeLittleMemory(t *testing.T) {
	f := object.SHA1
	w := newWriter(t, f)
	lfs := []byte(pointer(strings.Repeat("ab", 32), 1))
	w.object(blobKind, lfs)
	id, mode := idOf(f, blobKind, lfs), "100644"
	for i := range 300 {
		name := strings.Repeat("n", 50_000)
		link := treeEntry{"160000", strings.Repeat("s", 100_000), idOf(f, commitKind, []byte(fmt.Sprint(i)))}
		tree := treeOf(treeEntry{mode, name, id}, link)
		w.object(treeKind, tree)
		id, mode = idOf(f, treeKind, tree), "40000"
	}
	rep, err := check(t, w.pack(), pack.Options{Format: f})
	if err != nil {
		t.Fatal(err)
	}
	if len(rep.LFS) != 1 || len(rep.LFS[0].Path) > 5000 {
		t.Errorf("%d pointers, path of %d bytes", len(rep.LFS), len(rep.LFS[0].Path))
	}
	if len(rep.Submodules) != 0 || rep.SubmoduleCount != 300 {
		t.Errorf("%d of %d submodules listed by names that no file system takes", len(rep.Submodules), rep.SubmoduleCount)
	}
}

// TestOldAndOddObjectsPass has objects that git fsck complains of and git
// reads: they are part of real repositories and must be held as they are.
func TestOldAndOddObjectsPass(t *testing.T) {
	f := object.SHA1
	w := newWriter(t, f)
	blob := []byte("x")
	w.object(blobKind, blob)
	id := idOf(f, blobKind, blob)
	empty := idOf(f, treeKind, nil)
	w.object(treeKind, nil)
	var trees []object.OID
	for _, entries := range [][]treeEntry{
		{{"040000", "padded", empty}},
		{{"100664", "group-writable", id}},
		{{"100600", "odd", id}},
		{{"100644", "b", id}, {"100644", "a", id}},
		{{"100644", "same", id}, {"100644", "same", id}},
		{{"100644", ".git", id}},
		{{"100644", "..", id}},
		{{"100644", "with/slash", id}},
		{{"0", "no mode at all", idOf(f, blobKind, []byte("not here"))}}, // git takes it for a gitlink
	} {
		data := treeOf(entries...)
		w.object(treeKind, data)
		trees = append(trees, idOf(f, treeKind, data))
	}
	for _, tree := range trees {
		w.object(commitKind, []byte(fmt.Sprintf("tree %s\n\nno author at all\n", tree)))
	}
	w.object(commitKind, []byte(fmt.Sprintf("tree %s\nauthor A", strings.ToUpper(empty.String()))))
	w.object(tagKind, []byte(fmt.Sprintf("object %s\ntype tree\ntag old\n\nno tagger\n", empty)))
	rep, err := check(t, w.pack(), pack.Options{Format: f})
	if err != nil {
		t.Fatal(err)
	}
	texts := make(map[string]int)
	for _, warning := range rep.Warnings {
		texts[warning.Text]++
	}
	want := map[string]int{
		"tree has a mode with leading zeros":         2,
		"tree has an entry of unusual mode":          2,
		"tree is not sorted or has a name twice":     2,
		`tree has an entry named ".git"`:             1,
		`tree has an entry named ".."`:               1,
		"tree has a name with a slash":               1,
		"commit has no author line where it belongs": 9,
		"commit ends in its author line":             1,
		"tag has no tagger line":                     1,
	}
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if rep.WarningCount != len(rep.Warnings) {
		t.Errorf("%d warnings, count %d", len(rep.Warnings), rep.WarningCount)
	}
}

func TestModules(t *testing.T) {
	got := pack.Modules([]byte("# comment\n[submodule \"a\"]\n\tpath = \"dir with space\"\n\turl = git@example.org:a.git\n[submodule \"b\"]\n  URL=ssh://git:CANARY@example.org:22/b.git\n  path=b/\n[core]\n\tbare = true\n"))
	want := map[string]string{"dir with space": "git@example.org:a.git", "b": "ssh://example.org:22/b.git"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzHead(f *testing.F) {
	f.Add([]byte("\x95\x0a"), 20)
	f.Add([]byte("\xe5\x0a\x81\x00xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), 32)
	f.Add([]byte("\x75\x0axxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), 20)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		if size != 20 && size != 32 {
			return
		}
		h, err := pack.ParseHead(data, size)
		if err != nil {
			return
		}
		format := object.SHA1
		if size == 32 {
			format = object.SHA256
		}
		w := newWriter(t, format)
		w.buf.Reset()
		w.header(h.Kind, h.Size)
		switch h.Kind {
		case ofsKind:
			w.distance(h.Distance)
		case refKind:
			w.buf.Write(h.Base)
		}
		// Git takes sizes with needless zero bytes at the end, too; the
		// distance has one form only.
		got, err := pack.ParseHead(w.buf.Bytes(), size)
		if h.Length = got.Length; err != nil || !cmp.Equal(h, got) {
			t.Errorf("%x reads as %+v, written again as %+v, %v", data, h, got, err)
		}
	})
}

func FuzzDelta(f *testing.F) {
	base := []byte(strings.Repeat("a base to copy from, ", 20))
	f.Add(base, delta(base, base[3:]))
	f.Add(base, delta(base, append([]byte("new "), base...)))
	f.Add([]byte{}, delta(nil, []byte("all new")))
	f.Add(base, []byte{0xff, 0xff, 0xff, 0x7f, 1, 0x80})
	f.Add(bytes.Repeat([]byte("x"), 70000), []byte{0xf0, 0xa2, 4, 0x80, 0x80, 4, 0x80})
	f.Fuzz(func(t *testing.T, base, d []byte) {
		_, size, code, err := pack.DeltaSizes(d)
		if err != nil || size > 1<<20 {
			return
		}
		result := make([]byte, size)
		err = pack.ApplyDelta(result, base, code)
		streamed, streamErr := pack.StreamDelta(size, base, code)
		if (err == nil) != (streamErr == nil) {
			t.Fatalf("in memory %v, streamed %v", err, streamErr)
		}
		want, ok := applyByHand(base, code)
		if (err == nil) != (ok && int64(len(want)) == size) {
			t.Fatalf("%v; by hand %d bytes, %v, of %d", err, len(want), ok, size)
		}
		if err == nil && (!bytes.Equal(result, want) || !bytes.Equal(streamed, want)) {
			t.Fatalf("results differ")
		}
	})
}

// applyByHand follows gitformat-pack word by word.
func applyByHand(base, code []byte) (out []byte, ok bool) {
	next := func() (b byte, ok bool) {
		if len(code) == 0 {
			return 0, false
		}
		b, code = code[0], code[1:]
		return b, true
	}
	for len(code) > 0 && len(out) <= 1<<21 {
		op, _ := next()
		if op == 0 {
			return nil, false
		}
		if op < 0x80 {
			for range op {
				b, ok := next()
				if !ok {
					return nil, false
				}
				out = append(out, b)
			}
			continue
		}
		var arg [7]byte
		for i := range arg {
			if op&(1<<i) != 0 {
				if arg[i], ok = next(); !ok {
					return nil, false
				}
			}
		}
		at := int(arg[0]) | int(arg[1])<<8 | int(arg[2])<<16 | int(arg[3])<<24
		n := int(arg[4]) | int(arg[5])<<8 | int(arg[6])<<16
		if n == 0 {
			n = 65536
		}
		if at+n > len(base) {
			return nil, false
		}
		out = append(out, base[at:at+n]...)
	}
	return out, len(code) == 0
}

func FuzzParseObject(f *testing.F) {
	id := idOf(object.SHA1, blobKind, nil)
	f.Add(byte(1), false, commitOf(id, "message", id, id))
	f.Add(byte(2), false, treeOf(treeEntry{"100644", "a", id}, treeEntry{"40000", "b", id}, treeEntry{"160000", "c", id}))
	f.Add(byte(4), false, []byte("object "+id.String()+"\ntype commit\ntag v1\ntagger A <a@b> 1 +0000\n\nx"))
	id = idOf(object.SHA256, blobKind, nil)
	f.Add(byte(1), true, commitOf(id, "message", id, id))
	f.Add(byte(2), true, treeOf(treeEntry{"100644", "a", id}, treeEntry{"40000", "b", id}))
	f.Fuzz(func(t *testing.T, kind byte, sha256 bool, data []byte) {
		format := object.SHA1
		if sha256 {
			format = object.SHA256
		}
		named, warnings, err := pack.ParseObject(format, kind, data)
		if err != nil || kind != 2 || len(warnings) > 0 {
			return
		}
		// A tree without oddities is its entries and nothing else.
		var again []byte
		rest := data
		for _, n := range named {
			mode, _, _ := bytes.Cut(rest, []byte(" "))
			e := append([]byte(string(mode)+" "+n.Name+"\x00"), n.Raw...)
			again = append(again, e...)
			if len(e) > len(rest) {
				t.Fatal("entries are longer than the tree")
			}
			rest = rest[len(e):]
		}
		if !bytes.Equal(again, data) {
			t.Errorf("%q reads as %q", data, again)
		}
	})
}

func FuzzNul(f *testing.F) {
	f.Add([]byte("name\x00more"))
	f.Add([]byte("a/longer/name\x00more"))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, slash := pack.Nul(data)
		want := bytes.IndexByte(data, 0)
		if n != want || n >= 0 && slash != (bytes.IndexByte(data[:n], '/') >= 0) {
			t.Errorf("Nul(%q) = %d, %v", data, n, slash)
		}
	})
}

// FuzzCheck damages packs in ways a flipped bit does not.
func FuzzCheck(f *testing.F) {
	for _, format := range []object.Format{object.SHA1, object.SHA256} {
		data, _ := small(f, format)
		f.Add(data[:len(data)-format.Size()], format == object.SHA256)
		f.Add(newWriter(f, format).pack()[:12], format == object.SHA256)
	}
	f.Fuzz(func(t *testing.T, body []byte, sha256 bool) {
		format := object.SHA1
		if sha256 {
			format = object.SHA256
		}
		data := seal(format, bytes.Clone(body))
		opts := pack.Options{Format: format, Workers: 1, Limits: pack.Limits{Object: 1 << 22, Delta: 1 << 22, Parsed: 1 << 20, Total: 1 << 24}}
		rep, err := check(t, data, opts)
		if err != nil {
			return
		}
		if rep.IDs.Len()+rep.Duplicates != rep.Objects || rep.Commits+rep.Trees+rep.Blobs+rep.Tags != rep.IDs.Len() {
			t.Errorf("counts do not agree: %+v", rep)
		}
	})
}
