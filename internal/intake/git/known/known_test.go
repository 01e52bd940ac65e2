package known_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git"
	"holdfast/internal/intake/git/known"
	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/pack"
)

func randomOID(r *rand.Rand, f object.Format) object.OID {
	raw := make([]byte, f.Size())
	for i := 0; i+8 <= len(raw)+7; i += 8 {
		var word [8]byte
		binary.BigEndian.PutUint64(word[:], r.Uint64())
		copy(raw[i:], word[:])
	}
	if r.IntN(4) == 0 {
		raw[0] = byte(r.IntN(3)) // crowd a few buckets
	}
	id, err := object.FromBytes(f, raw)
	if err != nil {
		panic(err)
	}
	return id
}

func segment(t testing.TB, ids pack.IDs, g pack.Graph) *known.Segment {
	t.Helper()
	var buf bytes.Buffer
	if err := known.Write(&buf, ids, g); err != nil {
		t.Fatal(err)
	}
	s, err := known.Open(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// history is a random history cut into deposits.
type history struct {
	format  object.Format
	commits []object.OID // oldest first
	parents map[object.OID][]object.OID
	reports []*pack.Report
}

func randomHistory(r *rand.Rand, f object.Format, deposits int) *history {
	h := &history{format: f, parents: map[object.OID][]object.OID{}}
	for range deposits {
		var ids []object.OID
		added := map[object.OID][]object.OID{}
		for range r.IntN(8) {
			c := randomOID(r, f)
			var ps []object.OID
			for range r.IntN(3) {
				if len(h.commits) > 0 {
					// mostly recent ones, sometimes any
					at := len(h.commits) - 1 - min(r.IntN(1+r.IntN(len(h.commits))), len(h.commits)-1)
					if p := h.commits[at]; !slices.Contains(ps, p) {
						ps = append(ps, p)
					}
				}
			}
			h.commits = append(h.commits, c)
			h.parents[c], added[c] = ps, ps
			ids = append(ids, c)
		}
		for range r.IntN(20) {
			ids = append(ids, randomOID(r, f)) // trees and blobs
		}
		for range r.IntN(4) { // sent again, as sources sometimes do
			if len(h.commits) > 0 {
				c := h.commits[r.IntN(len(h.commits))]
				added[c] = h.parents[c]
				ids = append(ids, c)
			}
		}
		list := pack.NewIDs(f, ids)
		h.reports = append(h.reports, &pack.Report{Format: f, IDs: list, Graph: pack.NewGraph(list, added)})
	}
	return h
}

func (h *history) isAncestor(old, new object.OID) bool {
	if old == new {
		return true
	}
	return slices.ContainsFunc(h.parents[new], func(p object.OID) bool { return h.isAncestor(old, p) })
}

// TestAgainstNaiveModel deposits random histories, merging segments by the
// rule, and compares every answer with a map.
func TestAgainstNaiveModel(t *testing.T) {
	for _, f := range []object.Format{object.SHA1, object.SHA256} {
		for seed := range uint64(40) {
			r := rand.New(rand.NewPCG(seed, uint64(f)))
			h := randomHistory(r, f, 1+r.IntN(30))
			var segments []*known.Segment
			held := map[object.OID]bool{}
			for _, report := range h.reports {
				set, err := known.NewSet(segments...)
				if err != nil {
					t.Fatal(err)
				}
				checkMissing(t, r, set, held, f)
				for _, id := range report.IDs.All() {
					held[id] = true
				}
				checkAncestors(t, r, set.With(report), h, held)
				segments = grow(t, segments, report)
			}
			if len(segments) > 8 {
				t.Errorf("seed %d: %d segments after %d deposits", seed, len(segments), len(h.reports))
			}
		}
	}
}

func grow(t *testing.T, segments []*known.Segment, report *pack.Report) []*known.Segment {
	t.Helper()
	var sizes []int
	for _, s := range segments {
		sizes = append(sizes, s.Len())
	}
	keep := known.Keep(sizes, report.IDs.Len())
	ids, g, err := known.Merge(segments[keep:], report.IDs, report.Graph)
	if err != nil {
		t.Fatal(err)
	}
	return append(slices.Clone(segments[:keep]), segment(t, ids, g))
}

func checkMissing(t *testing.T, r *rand.Rand, set *known.Set, held map[object.OID]bool, f object.Format) {
	t.Helper()
	var ask, want []object.OID
	for id := range held {
		if r.IntN(2) == 0 {
			ask = append(ask, id)
		}
	}
	for range r.IntN(10) {
		ask = append(ask, randomOID(r, f))
	}
	slices.SortFunc(ask, object.OID.Compare)
	for _, id := range ask {
		if !held[id] {
			want = append(want, id)
		}
	}
	got, err := set.Missing(t.Context(), ask)
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("Missing: %d of %d, %v; want %d", len(got), len(ask), err, len(want))
	}
}

func checkAncestors(t *testing.T, r *rand.Rand, commits git.History, h *history, held map[object.OID]bool) {
	t.Helper()
	var there []object.OID
	for _, c := range h.commits {
		if held[c] {
			there = append(there, c)
		}
	}
	for range min(20, len(there)*2) {
		a, b := there[r.IntN(len(there))], there[r.IntN(len(there))]
		got, err := commits.IsAncestor(t.Context(), a, b)
		if want := h.isAncestor(a, b); err != nil || got != want {
			t.Fatalf("IsAncestor: %v, %v; want %v", got, err, want)
		}
	}
	stranger := randomOID(r, h.format)
	for id, want := range map[object.OID]bool{stranger: false} {
		if got, err := commits.IsCommit(t.Context(), id); err != nil || got != want {
			t.Fatalf("IsCommit of a stranger: %v, %v", got, err)
		}
	}
	for _, c := range there {
		if ok, err := commits.IsCommit(t.Context(), c); err != nil || !ok {
			t.Fatalf("IsCommit: %v, %v", ok, err)
		}
	}
}

// TestKeepStaysSmall: a hundred thousand single commits on a large first
// deposit leave few segments, and each id is rewritten few times.
func TestKeepStaysSmall(t *testing.T) {
	sizes := []int{850_000}
	written := 0
	for range 100_000 {
		added := 5
		keep := known.Keep(sizes, added)
		for _, n := range sizes[keep:] {
			added += n
		}
		sizes = append(sizes[:keep], added)
		written += added
		if len(sizes) > 16 {
			t.Fatalf("%d segments", len(sizes))
		}
	}
	if perID := written / 500_000; perID > 60 {
		t.Errorf("each id was written %d times", perID)
	}
}

// TestDamageIsFound flips every byte of the head and random ones behind it:
// nothing panics, and what is answered in spite of it is an error or the
// truth about ids that were not touched.
func TestDamageIsFound(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	h := randomHistory(r, object.SHA1, 12)
	ids, g, err := known.Merge(nil, h.reports[0].IDs, h.reports[0].Graph)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if err := known.Write(&buf, ids, g); err != nil {
		t.Fatal(err)
	}
	whole := buf.Bytes()
	for _, cut := range []int{0, 5, 30, len(whole) / 2, len(whole) - 1} {
		if _, err := known.Open(bytes.NewReader(whole[:cut]), int64(cut)); escrow.CodeOf(err) != escrow.Damaged {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
	if _, err := known.Open(bytes.NewReader(append(slices.Clone(whole), 0)), int64(len(whole)+1)); escrow.CodeOf(err) != escrow.Damaged {
		t.Errorf("one byte more: %v", err)
	}
	for at := range whole {
		bad := slices.Clone(whole)
		bad[at] ^= 0x80
		s, err := known.Open(bytes.NewReader(bad), int64(len(bad)))
		if err != nil {
			continue
		}
		if _, _, err := known.Merge([]*known.Segment{s}, pack.NewIDs(object.SHA1, nil), pack.Graph{}); err != nil && escrow.CodeOf(err) != escrow.Damaged {
			t.Errorf("byte %d: %v", at, err)
		}
	}
}

func FuzzSegment(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, format := range []object.Format{object.SHA1, object.SHA256} {
		h := randomHistory(r, format, 3)
		var buf bytes.Buffer
		if err := known.Write(&buf, h.reports[2].IDs, h.reports[2].Graph); err != nil {
			f.Fatal(err)
		}
		f.Add(buf.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := known.Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		ids, g, err := known.Merge([]*known.Segment{s}, pack.NewIDs(s.Format(), nil), pack.Graph{})
		if err != nil {
			return
		}
		set, err := known.NewSet(s)
		if err != nil {
			t.Fatal(err)
		}
		var all []object.OID
		for _, id := range ids.All() {
			all = append(all, id)
		}
		if missing, err := set.Missing(t.Context(), all); err != nil || len(missing) > 0 {
			t.Fatalf("%d ids of the segment are missing from it, %v", len(missing), err)
		}
		if err := known.Write(io.Discard, ids, g); err != nil {
			t.Fatal(err)
		}
	})
}

// TestAgainstGit compares ancestry and presence with stock git on a real
// random repository.
func TestAgainstGit(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	dir := filepath.Join(t.TempDir(), "r.git")
	run := func(stdin string, args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
		cmd.Env = append(cmd.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@x", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@x", "GIT_CONFIG_GLOBAL=/dev/null")
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if out, err := exec.Command("git", "init", "-q", "--bare", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	tree := run("", "hash-object", "-t", "tree", "-w", "/dev/null")
	parse := func(text string) object.OID {
		id, err := object.ParseOID(object.SHA1, text)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	var commits []object.OID
	parents := map[object.OID][]object.OID{}
	for i := range 40 {
		args := []string{"commit-tree", tree, "-m", fmt.Sprint(i)}
		var ps []object.OID
		for range r.IntN(3) {
			if len(commits) > 0 {
				if p := commits[r.IntN(len(commits))]; !slices.Contains(ps, p) {
					ps = append(ps, p)
					args = append(args, "-p", p.String())
				}
			}
		}
		c := parse(run("", args...))
		commits = append(commits, c)
		parents[c] = ps
	}
	half := commits[:20]
	sub := func(list []object.OID) map[object.OID][]object.OID {
		m := map[object.OID][]object.OID{}
		for _, c := range list {
			m[c] = parents[c]
		}
		return m
	}
	oldIDs, newIDs := pack.NewIDs(object.SHA1, append(slices.Clone(half), parse(tree))), pack.NewIDs(object.SHA1, commits[20:])
	set, err := known.NewSet(segment(t, oldIDs, pack.NewGraph(oldIDs, sub(half))))
	if err != nil {
		t.Fatal(err)
	}
	ours := set.With(&pack.Report{Format: object.SHA1, IDs: newIDs, Graph: pack.NewGraph(newIDs, sub(commits[20:]))})
	local, err := known.OpenLocal(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	for range 60 {
		a, b := commits[r.IntN(40)], commits[r.IntN(40)]
		x, err1 := ours.IsAncestor(t.Context(), a, b)
		y, err2 := local.IsAncestor(t.Context(), a, b)
		if err1 != nil || err2 != nil || x != y {
			t.Fatalf("%s of %s: %v, %v; git says %v, %v", a, b, x, err1, y, err2)
		}
	}
	stranger := randomOID(r, object.SHA1)
	missing, err := local.Missing(t.Context(), []object.OID{commits[0], stranger})
	if err != nil || len(missing) != 1 || missing[0] != stranger {
		t.Errorf("%v, %v", missing, err)
	}
	for id, want := range map[object.OID]bool{commits[3]: true, parse(tree): false, stranger: false} {
		if got, err := local.IsCommit(t.Context(), id); err != nil || got != want {
			t.Errorf("IsCommit(%s) = %v, %v", id, got, err)
		}
		if got, err := ours.IsCommit(t.Context(), id); err != nil || got != want {
			t.Errorf("segments: IsCommit(%s) = %v, %v", id, got, err)
		}
	}
}
