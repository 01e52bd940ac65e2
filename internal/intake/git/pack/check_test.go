package pack_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/pack"
)

// history fills a repository with what a pack can hold: files that change a
// little often (deltas), directories, branches, merges, and tags of every
// kind of object.
func history(r *repository, commits int) {
	rng := rand.New(rand.NewPCG(uint64(commits), 7))
	files := make([][]string, 6)
	for i := range files {
		for range 60 + 40*i {
			files[i] = append(files[i], fmt.Sprintf("line %d of a file\n", rng.IntN(1e6)))
		}
	}
	for n := range commits {
		for range 1 + rng.IntN(3) {
			i := rng.IntN(len(files))
			files[i][rng.IntN(len(files[i]))] = fmt.Sprintf("changed in commit %d: %d\n", n, rng.IntN(1e9))
			dir := [...]string{"", "src/", "src/deep/er/", "doc/"}[i%4]
			r.write(fmt.Sprintf("%sfile%d.txt", dir, i), strings.Join(files[i], ""))
		}
		r.commit(fmt.Sprintf("Commit %d", n))
		switch n % 10 {
		case 3:
			r.git("branch", "-f", fmt.Sprintf("topic%d", n/10))
		case 7:
			r.git("checkout", "-q", fmt.Sprintf("topic%d", n/10))
			r.write(fmt.Sprintf("topic%d", n), fmt.Sprint(rng.IntN(1e9)))
			r.commit("Topic")
			r.git("checkout", "-q", "main")
			r.git("merge", "-q", "-m", "Merge", fmt.Sprintf("topic%d", n/10))
		case 9:
			r.git("tag", "-m", "A tag", fmt.Sprintf("v%d", n))
		}
	}
	r.git("tag", "blobtag", "main:src/file1.txt")
	r.git("tag", "-m", "of a tree", "treetag", "main^{tree}")
	r.git("tag", "-m", "of a tag", "nested", "treetag")
	r.git("tag", "-m", "of a blob", "annotated-blob", "main:src/file1.txt")
}

func TestCheckAgreesWithGit(t *testing.T) {
	both(t, func(t *testing.T, f object.Format) {
		r := newRepository(t, f)
		history(r, 60)
		want := r.objects()
		for name, args := range map[string][]string{
			"offset deltas":   {"--delta-base-offset"},
			"id deltas":       {"--no-delta-base-offset"},
			"deep chains":     {"--delta-base-offset", "--depth=4000", "--window=200", "--no-reuse-delta"},
			"no deltas":       {"--depth=0", "--no-reuse-delta"},
			"deep, by id":     {"--depth=4000", "--window=200", "--no-reuse-delta"},
			"stored, no zlib": {"--delta-base-offset", "--compression=0"},
		} {
			t.Run(name, func(t *testing.T) {
				data := []byte(r.gitIn("", append([]string{"pack-objects", "--all", "--stdout", "-q"}, args...)...))
				for _, workers := range []int{1, 3} {
					rep, err := check(t, data, pack.Options{Format: f, Tips: r.tips(), Workers: workers})
					if err != nil {
						t.Fatal(err)
					}
					sameAsGit(t, r, rep, want)
				}
			})
		}
	})
}

// sameAsGit compares a report with what git says of all refs.
func sameAsGit(t *testing.T, r *repository, rep *pack.Report, want pack.IDs) {
	t.Helper()
	if !bytes.Equal(rep.IDs.Raw(), want.Raw()) {
		t.Errorf("%d ids, git has %d", rep.IDs.Len(), want.Len())
	}
	types := strings.Fields(r.git("cat-file", "--batch-all-objects", "--batch-check=%(objecttype)"))
	count := func(k string) (n int) {
		for _, typ := range types {
			if typ == k {
				n++
			}
		}
		return n
	}
	if rep.Commits != count("commit") || rep.Trees != count("tree") || rep.Blobs != count("blob") || rep.Tags != count("tag") {
		t.Errorf("%d commits, %d trees, %d blobs, %d tags; git: %v", rep.Commits, rep.Trees, rep.Blobs, rep.Tags,
			[]int{count("commit"), count("tree"), count("blob"), count("tag")})
	}
	if got, want := graphText(rep.IDs, rep.Graph), strings.Split(strings.TrimSpace(r.git("rev-list", "--parents", "--all")), "\n"); true {
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("commit graph (-git +pack):\n%s", diff)
		}
	}
}

func graphText(ids pack.IDs, g pack.Graph) []string {
	var lines []string
	for i, at := range g.Commits {
		line := ids.At(int(at)).String()
		for _, p := range g.ParentsOf(i) {
			if int(p) < ids.Len() {
				line += " " + ids.At(int(p)).String()
			} else {
				line += " " + g.Outside.At(int(p)-ids.Len()).String()
			}
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// set is a Known over a list.
type set pack.IDs

func (s set) Missing(_ context.Context, ids []object.OID) (missing []object.OID, _ error) {
	if !slices.IsSortedFunc(ids, object.OID.Compare) {
		return nil, errors.New("ids are not sorted")
	}
	for _, id := range ids {
		if _, ok := pack.IDs(s).Find(id); !ok {
			missing = append(missing, id)
		}
	}
	return missing, nil
}

func TestCheckIncrement(t *testing.T) {
	both(t, func(t *testing.T, f object.Format) {
		r := newRepository(t, f)
		history(r, 30)
		old := r.objects()
		tip := r.id("main")
		r.write("src/file1.txt", "new\n")
		r.commit("One more")
		r.write("doc/more.txt", "more\n")
		r.commit("And another")
		revs := fmt.Sprintf("main\n^%s\n", tip)

		data := []byte(r.gitIn(revs, "pack-objects", "--revs", "--stdout", "-q", "--delta-base-offset"))
		rep, err := check(t, data, pack.Options{Format: f, Known: set(old), Tips: r.tips()})
		if err != nil {
			t.Fatal(err)
		}
		if rep.Commits != 2 || len(rep.Graph.Commits) != 2 || rep.Graph.Outside.Len() != 1 || rep.Graph.Outside.At(0) != tip {
			t.Errorf("graph of the increment: %v", graphText(rep.IDs, rep.Graph))
		}

		// Alone it is not complete.
		_, err = check(t, data, pack.Options{Format: f, Tips: r.tips()})
		var missing *pack.MissingError
		if escrow.CodeOf(err) != escrow.Missing || !errors.As(err, &missing) || missing.Total == 0 {
			t.Errorf("increment alone: %v", err)
		}

		// A tip that nobody holds.
		other := idOf(f, blobKind, []byte("nowhere"))
		_, err = check(t, data, pack.Options{Format: f, Known: set(old), Tips: []object.OID{other}})
		if !errors.As(err, &missing) || missing.Total != 1 || missing.Objects[0].ID != other || missing.Objects[0].Path != "" {
			t.Errorf("unknown tip: %v", err)
		}

		// A thin pack is refused and said to be one.
		thin := []byte(r.gitIn(revs, "pack-objects", "--revs", "--stdout", "-q", "--thin", "--delta-base-offset"))
		_, err = check(t, thin, pack.Options{Format: f, Known: set(old), Tips: r.tips()})
		var thinErr *pack.ThinError
		if escrow.CodeOf(err) != escrow.Missing || !errors.As(err, &thinErr) || thinErr.Deltas == 0 || !strings.Contains(err.Error(), thinErr.Base.String()) {
			t.Errorf("thin pack: %v", err)
		}
	})
}

func TestCheckFindsWhatIsLeftOut(t *testing.T) {
	both(t, func(t *testing.T, f object.Format) {
		r := newRepository(t, f)
		history(r, 20)
		type listed struct{ id, kind, path string }
		var all []listed
		for line := range strings.Lines(r.git("rev-list", "--objects", "--all")) {
			id, path, _ := strings.Cut(strings.TrimRight(line, "\n"), " ")
			all = append(all, listed{id, strings.TrimSpace(r.git("cat-file", "-t", id)), path})
		}
		for n, out := range all {
			if n%7 != 0 && n > 20 {
				continue
			}
			var keep strings.Builder
			for _, o := range all {
				if o.id != out.id {
					fmt.Fprintln(&keep, o.id)
				}
			}
			data := []byte(r.gitIn(keep.String(), "pack-objects", "--stdout", "-q", "--delta-base-offset"))
			_, err := check(t, data, pack.Options{Format: f, Tips: r.tips()})
			var missing *pack.MissingError
			if escrow.CodeOf(err) != escrow.Missing || !errors.As(err, &missing) || missing.Total != 1 || missing.Objects[0].ID.String() != out.id {
				t.Fatalf("without %s %s %q: %v", out.kind, out.id, out.path, err)
			}
			if m := missing.Objects[0]; m.Type != "" && m.Type != out.kind {
				t.Errorf("%s %s is said to be a %s", out.kind, out.id, m.Type)
			}
			if out.kind == "blob" && !strings.Contains(err.Error(), "file") && !strings.Contains(err.Error(), "topic") {
				t.Errorf("no path in %v", err)
			}
			if e, ok := errors.AsType[*escrow.Error](err); !ok || e.Hint == "" {
				t.Errorf("no hint in %v", err)
			}
		}
	})
}

// small is a pack with every kind of entry, for tests that damage it.
func small(t testing.TB, f object.Format) (data []byte, tip object.OID) {
	w := newWriter(t, f)
	text := []byte(strings.Repeat("some text that is long enough to be worth a delta\n", 20))
	changed := append(bytes.Clone(text), "one more line\n"...)
	again := append([]byte("first line\n"), changed...)
	sub := treeOf(treeEntry{"100644", "again", idOf(f, blobKind, again)})
	root := treeOf(treeEntry{"100755", "a", idOf(f, blobKind, text)}, treeEntry{"120000", "b", idOf(f, blobKind, changed)}, treeEntry{"40000", "sub", idOf(f, treeKind, sub)})
	c1 := commitOf(idOf(f, treeKind, root), "one")
	c2 := commitOf(idOf(f, treeKind, sub), "two", idOf(f, commitKind, c1))
	tag := []byte(fmt.Sprintf("object %s\ntype commit\ntag v1\ntagger A <a@example.org> 1700000000 +0000\n\nText\n", idOf(f, commitKind, c2)))
	w.object(tagKind, tag)
	w.object(commitKind, c2)
	w.object(commitKind, c1)
	w.object(treeKind, root)
	w.object(treeKind, sub)
	w.ref(idOf(f, blobKind, changed), delta(changed, again)) // before its base
	at := w.object(blobKind, text)
	w.ofs(at, delta(text, changed))
	return w.pack(), idOf(f, tagKind, tag)
}

func TestCheckFindsEveryFlippedBit(t *testing.T) {
	both(t, func(t *testing.T, f object.Format) {
		data, tip := small(t, f)
		opts := pack.Options{Format: f, Tips: []object.OID{tip}, Workers: 1}
		good, err := check(t, data, opts)
		if err != nil {
			t.Fatal(err)
		}
		step := 7 // comes to each of the eight bits
		if testing.Short() {
			step = 41
		}
		for bit := 0; bit < 8*len(data); bit += step {
			bad := bytes.Clone(data)
			bad[bit/8] ^= 1 << (bit % 8)
			if rep, err := check(t, bad, opts); err == nil {
				t.Fatalf("bit %d of byte %d: passes as %+v", bit%8, bit/8, rep)
			}
			// With a trailer that fits the damaged bytes only the objects
			// themselves can tell. Bits that pad a zlib stream say nothing.
			if rep, err := check(t, reseal(f, bad), opts); err == nil && !bytes.Equal(rep.IDs.Raw(), good.IDs.Raw()) {
				t.Fatalf("bit %d of byte %d, resealed: other objects pass", bit%8, bit/8)
			}
		}
	})
}

func TestCheckFindsDamageInARealPack(t *testing.T) {
	both(t, func(t *testing.T, f object.Format) {
		r := newRepository(t, f)
		history(r, 40)
		data := []byte(r.gitIn("", "pack-objects", "--all", "--stdout", "-q", "--delta-base-offset"))
		opts := pack.Options{Format: f, Tips: r.tips()}
		want := r.objects()
		rng := rand.New(rand.NewPCG(3, uint64(f)))
		for range 120 {
			at, bit := rng.IntN(len(data)), byte(1)<<rng.IntN(8)
			bad := bytes.Clone(data)
			bad[at] ^= bit
			if _, err := check(t, bad, opts); err == nil {
				t.Fatalf("bit %#x of byte %d flipped: passes", bit, at)
			}
			if rep, err := check(t, reseal(f, bad), opts); err == nil && !bytes.Equal(rep.IDs.Raw(), want.Raw()) {
				t.Fatalf("bit %#x of byte %d flipped and resealed: passes with other objects", bit, at)
			}
		}
		for range 40 {
			n := rng.IntN(len(data))
			if _, err := check(t, data[:n], opts); escrow.CodeOf(err) != escrow.Damaged {
				t.Fatalf("cut at %d of %d: %v", n, len(data), err)
			}
			if n > 60 {
				if _, err := check(t, seal(f, bytes.Clone(data[:n])), opts); err == nil {
					t.Fatalf("cut at %d of %d and resealed: passes", n, len(data))
				}
			}
		}
	})
}

func TestCheckEmptyPack(t *testing.T) {
	both(t, func(t *testing.T, f object.Format) {
		data := newWriter(t, f).pack()
		rep, err := check(t, data, pack.Options{Format: f})
		if err != nil || rep.Objects != 0 || rep.IDs.Len() != 0 {
			t.Fatalf("%+v, %v", rep, err)
		}
		tip := idOf(f, blobKind, nil)
		if _, err := check(t, data, pack.Options{Format: f, Tips: []object.OID{tip}}); escrow.CodeOf(err) != escrow.Missing {
			t.Errorf("tip that is nowhere: %v", err)
		}
		if _, err := check(t, data, pack.Options{Format: f, Tips: []object.OID{tip}, Known: set(pack.NewIDs(f, []object.OID{tip}))}); err != nil {
			t.Errorf("known tip: %v", err)
		}
	})
}

func TestCheckAtAnOffset(t *testing.T) {
	data, tip := small(t, object.SHA1)
	for _, off := range []int{1, 17, 65535, 65536, 100_000} {
		all := append(append(make([]byte, off), data...), "what follows"...)
		if _, err := pack.Check(t.Context(), bytes.NewReader(all), int64(off), int64(len(data)), pack.Options{Format: object.SHA1, Tips: []object.OID{tip}}); err != nil {
			t.Errorf("offset %d: %v", off, err)
		}
	}
}

func TestCheckRefusesBrokenPacks(t *testing.T) {
	f := object.SHA1
	text := []byte(strings.Repeat("text ", 50))
	for _, c := range []struct {
		name string
		want string // in the message
		make func(w *writer)
	}{
		{"announces more", "the pack ends inside object 3 of 3", func(w *writer) {
			w.object(blobKind, text)
			w.object(blobKind, []byte(strings.Repeat("x", 400)))
			w.claimed = 3
		}},
		{"announces fewer", "bytes follow the pack's last object", func(w *writer) { w.object(blobKind, text); w.object(blobKind, nil); w.claimed = 1 }},
		{"announces millions", "have no room", func(w *writer) { w.object(blobKind, text); w.claimed = 50_000_000 }},
		{"version 4", "version 4", func(w *writer) { w.version = 4 }},
		{"type 0", "type that does not exist", func(w *writer) { w.object(0, text) }},
		{"type 5", "type that does not exist", func(w *writer) { w.object(5, text) }},
		{"offset into an object", "where no object begins", func(w *writer) { at := w.object(blobKind, text); w.ofs(at+1, delta(text, text[1:])) }},
		{"offset of itself", "before the pack", func(w *writer) { w.object(blobKind, text); w.ofs(int64(w.buf.Len()), delta(text, text)) }},
		{"offset before the pack", "where no object begins", func(w *writer) { w.object(blobKind, text); w.ofs(-500, delta(text, text)) }},
		{"delta for another base", "base of another size", func(w *writer) {
			at := w.object(blobKind, text)
			w.ofs(at, delta(text[1:], text))
		}},
		{"delta copies beyond", "outside its base", func(w *writer) {
			at := w.object(blobKind, []byte("0123456789"))
			w.ofs(at, []byte{10, 5, 0x91, 8, 5})
		}},
		{"delta too short", "size it declares", func(w *writer) {
			at := w.object(blobKind, []byte("0123456789"))
			w.ofs(at, []byte{10, 6, 0x90, 5})
		}},
		{"delta too long", "size it declares", func(w *writer) {
			at := w.object(blobKind, []byte("0123456789"))
			w.ofs(at, []byte{10, 4, 0x90, 5})
		}},
		{"delta with code 0", "reserved", func(w *writer) {
			at := w.object(blobKind, []byte("0123456789"))
			w.ofs(at, []byte{10, 1, 0})
		}},
		{"delta is cut", "cut short", func(w *writer) {
			at := w.object(blobKind, []byte("0123456789"))
			w.ofs(at, []byte{10, 5, 5, 'a'})
		}},
		{"delta of nothing", "cut short", func(w *writer) { at := w.object(blobKind, text); w.ofs(at, nil) }},
		{"delta with an endless size", "no computer", func(w *writer) {
			at := w.object(blobKind, text)
			w.ofs(at, bytes.Repeat([]byte{0xff}, 20))
		}},
		{"stream longer than declared", "declared size", func(w *writer) {
			w.count++
			w.header(blobKind, 5)
			w.deflate([]byte("0123456789"))
		}},
		{"stream shorter than declared", "declared size", func(w *writer) {
			w.count++
			w.header(blobKind, 50)
			w.deflate([]byte("0123456789"))
		}},
		{"large stream shorter than declared", "declared size", func(w *writer) {
			w.count++
			w.header(blobKind, 3*pack.InPass)
			w.deflate(make([]byte, 3*pack.InPass-1))
		}},
		{"large stream longer than declared", "declared size", func(w *writer) {
			w.count++
			w.header(blobKind, 3*pack.InPass)
			w.deflate(make([]byte, 3*pack.InPass+1))
		}},
		{"no zlib", "not a zlib stream", func(w *writer) {
			w.count++
			w.header(blobKind, 5)
			w.buf.WriteString("01234567890123456789")
		}},
		{"size without end", "no computer", func(w *writer) {
			w.count++
			w.buf.Write(bytes.Repeat([]byte{0xbf}, 30))
		}},
		{"commit without tree", "does not begin with a tree line", func(w *writer) { w.object(commitKind, []byte("parent x\n")) }},
		{"commit is empty", "tree line", func(w *writer) { w.object(commitKind, nil) }},
		{"commit with a broken parent", "broken parent line", func(w *writer) {
			w.object(commitKind, bytes.Replace(commitOf(idOf(f, treeKind, nil), "x", idOf(f, commitKind, nil)), []byte("\nauthor"), []byte("xauthor"), 1))
		}},
		{"tag without object", "object line", func(w *writer) { w.object(tagKind, []byte("type commit\n")) }},
		{"tag of what type", "unknown type", func(w *writer) {
			w.object(tagKind, []byte("object "+idOf(f, blobKind, nil).String()+"\ntype bolb\ntag x\n"))
		}},
		{"tree is cut", "cut short", func(w *writer) { w.object(treeKind, treeOf(treeEntry{"100644", "a", idOf(f, blobKind, nil)})[:20]) }},
		{"tree with a bad mode", "malformed mode", func(w *writer) { w.object(treeKind, treeOf(treeEntry{"10064x", "a", idOf(f, blobKind, nil)})) }},
		{"tree with an empty name", "without a name", func(w *writer) { w.object(treeKind, treeOf(treeEntry{"100644", "", idOf(f, blobKind, nil)})) }},
		{"blob taken for a tree", "is taken for a tree", func(w *writer) {
			w.object(blobKind, text)
			w.object(treeKind, treeOf(treeEntry{"40000", "a", idOf(f, blobKind, text)}))
		}},
		{"tree taken for a commit", "is taken for a commit", func(w *writer) {
			w.object(treeKind, nil)
			w.object(tagKind, []byte("object "+idOf(f, treeKind, nil).String()+"\ntype commit\ntag x\n"))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWriter(t, f)
			c.make(w)
			_, err := check(t, w.pack(), pack.Options{Format: f})
			if escrow.CodeOf(err) != escrow.Damaged || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v: %v, want %q", escrow.CodeOf(err), err, c.want)
			}
		})
	}
	for name, data := range map[string][]byte{
		"nothing":        nil,
		"not a pack":     []byte("# v2 git bundle\n and some more of it to be long enough"),
		"only a trailer": seal(f, nil),
	} {
		if _, err := check(t, data, pack.Options{Format: f}); escrow.CodeOf(err) != escrow.Damaged {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckDuplicates(t *testing.T) {
	both(t, func(t *testing.T, f object.Format) {
		w := newWriter(t, f)
		text := []byte(strings.Repeat("twice in the pack\n", 9))
		more := append(bytes.Clone(text), 'x')
		w.object(blobKind, text)
		at := w.object(blobKind, text)
		w.ofs(at, delta(text, more))
		w.ref(idOf(f, blobKind, text), delta(text, more))
		w.object(treeKind, treeOf(treeEntry{"100644", "x", idOf(f, blobKind, more)}))
		rep, err := check(t, w.pack(), pack.Options{Format: f})
		if err != nil || rep.Objects != 5 || rep.IDs.Len() != 3 || rep.Duplicates != 2 || rep.Blobs != 2 {
			t.Fatalf("%+v, %v", rep, err)
		}
	})
}

func TestCheckDeltaCycle(t *testing.T) {
	f := object.SHA1
	a, b := []byte(strings.Repeat("a", 100)), []byte(strings.Repeat("b", 100))
	w := newWriter(t, f)
	w.ref(idOf(f, blobKind, b), delta(b, a))
	w.ref(idOf(f, blobKind, a), delta(a, b))
	_, err := check(t, w.pack(), pack.Options{Format: f})
	var thin *pack.ThinError
	if !errors.As(err, &thin) || thin.Deltas != 2 {
		t.Errorf("two deltas on each other: %v", err)
	}
}

// failing gives an error from some offset on.
type failing struct {
	io.ReaderAt
	from int64
	err  error
}

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > f.from {
		return 0, f.err
	}
	return f.ReaderAt.ReadAt(p, off)
}

func TestCheckReaderFails(t *testing.T) {
	data, tip := small(t, object.SHA1)
	opts := pack.Options{Format: object.SHA1, Tips: []object.OID{tip}}
	bad := errors.New("failed to decrypt and authenticate chunk")
	_, err := pack.Check(t.Context(), failing{bytes.NewReader(data), 100, bad}, 0, int64(len(data)), opts)
	if escrow.CodeOf(err) != escrow.Damaged || !errors.Is(err, bad) {
		t.Errorf("%v", err)
	}
	full := &escrow.Error{Code: escrow.Unavailable, Message: "location is gone"}
	_, err = pack.Check(t.Context(), failing{bytes.NewReader(data), 100, full}, 0, int64(len(data)), opts)
	if escrow.CodeOf(err) != escrow.Unavailable {
		t.Errorf("%v", err)
	}
	_, err = pack.Check(t.Context(), bytes.NewReader(data[:len(data)-3]), 0, int64(len(data)), opts)
	if escrow.CodeOf(err) != escrow.Damaged || !strings.Contains(err.Error(), "ends") {
		t.Errorf("shorter than promised: %v", err)
	}
}

func TestCheckCancelled(t *testing.T) {
	data, tip := small(t, object.SHA1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := pack.Check(ctx, bytes.NewReader(data), 0, int64(len(data)), pack.Options{Format: object.SHA1, Tips: []object.OID{tip}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// wrongKnown answers what it was not asked.
type wrongKnown struct {
	ids []object.OID
	err error
}

func (w wrongKnown) Missing(context.Context, []object.OID) ([]object.OID, error) { return w.ids, w.err }

func TestCheckKnownFails(t *testing.T) {
	f := object.SHA1
	w := newWriter(t, f)
	w.object(treeKind, treeOf(treeEntry{"100644", "a", idOf(f, blobKind, nil)}))
	data := w.pack()
	gone := errors.New("segment is gone")
	if _, err := check(t, data, pack.Options{Format: f, Known: wrongKnown{err: gone}}); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
	if _, err := check(t, data, pack.Options{Format: f, Known: wrongKnown{ids: []object.OID{idOf(f, blobKind, []byte("other"))}}}); escrow.CodeOf(err) != escrow.Internal {
		t.Errorf("%v", err)
	}
}

func TestCheckOptions(t *testing.T) {
	data, _ := small(t, object.SHA1)
	if _, err := check(t, data, pack.Options{}); escrow.CodeOf(err) != escrow.Invalid {
		t.Errorf("no format: %v", err)
	}
	if _, err := check(t, data, pack.Options{Format: object.SHA1, Tips: []object.OID{idOf(object.SHA256, blobKind, nil)}}); escrow.CodeOf(err) != escrow.Invalid {
		t.Errorf("tip of the other format: %v", err)
	}
	if _, err := check(t, data, pack.Options{Format: object.SHA256}); err == nil {
		t.Error("sha1 pack passes as sha256")
	}
}
