package wire_test

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"holdfast/internal/intake/git/gittest"
	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/wire"
)

// fill gives the repository one of everything a ref can be.
func fill(t *testing.T, r *gittest.Repo) (first string) {
	first = r.Commit(t, "refs/heads/main", map[string]string{"a": "1", "dir/b": "2"})
	r.Commit(t, "refs/heads/main", map[string]string{"a": "3"})
	r.Commit(t, "refs/heads/Feature/x", map[string]string{"x": "upper"})
	r.Commit(t, "refs/heads/feature/x", map[string]string{"x": "lower"})
	r.SetRef(t, "refs/heads/caf\xe9", first)
	r.Tag(t, "v1", "refs/heads/main")
	r.Tag(t, "nested", "refs/tags/v1")
	r.Tag(t, "blob", "refs/heads/main:a")
	r.Tag(t, "tree", "refs/heads/main^{tree}")
	r.SetRef(t, "refs/tags/V1", first)
	r.SetRef(t, "refs/pull/7/head", first)
	r.SetRef(t, "refs/notes/x", "refs/heads/feature/x")
	return first
}

func TestList(t *testing.T) {
	eachServer(t, func(t *testing.T, s server, r *gittest.Repo) {
		fill(t, r)
		l := list(t, open(t, s.open(t, r), config()))
		var got strings.Builder
		for _, ref := range l.Refs {
			fmt.Fprintf(&got, "%s %s %s\n", ref.OID, ref.Name, ref.Peeled)
		}
		want := r.Git(t, "for-each-ref", "--format=%(objectname) %(refname) %(*objectname)")
		// for-each-ref peels one level only, the protocol all of them.
		nested, once, all := "refs/tags/nested", r.Git(t, "rev-parse", "refs/tags/v1"), r.Git(t, "rev-parse", "refs/tags/v1^{}")
		want = strings.ReplaceAll(want+"\n", nested+" "+once, nested+" "+all)
		if got.String() != want {
			t.Errorf("refs:\n%swant:\n%s", got.String(), want)
		}
		if l.Head != "refs/heads/main" || l.HeadOID.String() != r.Git(t, "rev-parse", "HEAD") {
			t.Errorf("HEAD is %q at %s", l.Head, l.HeadOID)
		}
		if l.Format.String() != r.Format || l.Version != s.version || len(l.Refused) != 0 {
			t.Errorf("format %v, protocol v%d, refused %v", l.Format, l.Version, l.Refused)
		}
	})
}

func TestListHead(t *testing.T) {
	eachServer(t, func(t *testing.T, s server, r *gittest.Repo) {
		t.Run("empty", func(t *testing.T) {
			l := list(t, open(t, s.open(t, r), config()))
			// Protocol v0 says nothing at all of an empty repository.
			want, format := "", "sha1"
			if s.version == 2 {
				want, format = "refs/heads/main", r.Format
			}
			if l.Head != want || !l.HeadOID.IsZero() || len(l.Refs) != 0 || l.Format.String() != format {
				t.Errorf("an empty repository lists %+v", l)
			}
		})
		first := fill(t, r)
		r.Git(t, "update-ref", "--no-deref", "HEAD", first)
		t.Run("detached", func(t *testing.T) {
			l := list(t, open(t, s.open(t, r), config()))
			if l.Head != "" || l.HeadOID.String() != first {
				t.Errorf("a detached HEAD is %q at %s, want %s", l.Head, l.HeadOID, first)
			}
		})
		r.Git(t, "symbolic-ref", "HEAD", "refs/heads/none")
		t.Run("unborn", func(t *testing.T) {
			l := list(t, open(t, s.open(t, r), config()))
			want := ""
			if s.version == 2 {
				want = "refs/heads/none"
			}
			if l.Head != want || !l.HeadOID.IsZero() {
				t.Errorf("an unborn HEAD is %q at %s, want %q", l.Head, l.HeadOID, want)
			}
		})
	})
}

// fetch returns the whole pack.
func fetch(t *testing.T, c *wire.Conn, wants, haves []object.OID) ([]byte, *wire.Pack) {
	t.Helper()
	p, err := c.Fetch(wants, haves)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(p)
	if err != nil {
		t.Fatal(err)
	}
	return data, p
}

func TestFetch(t *testing.T) {
	eachServer(t, func(t *testing.T, s server, r *gittest.Repo) {
		fill(t, r)
		e := s.open(t, r)
		c := open(t, e, config())
		before := list(t, c)
		data, p := fetch(t, c, oids(before.Refs), nil)
		c.Close()
		if len(p.Common) != 0 {
			t.Errorf("nothing was offered and %v is common", p.Common)
		}
		copied := gittest.NewRepo(t, r.Format)
		copied.Feed(t, string(data), "index-pack", "--stdin", "--strict")
		ids, err := gittest.PackObjects(r.Dir, data)
		if err != nil {
			t.Fatal(err)
		}
		if p.Objects() != len(ids) {
			t.Errorf("the pack says %d objects and holds %d", p.Objects(), len(ids))
		}
		for _, ref := range before.Refs {
			copied.Git(t, "rev-list", "--objects", ref.OID.String())
		}

		// One commit more: a small pack, and nearly all that was offered is common.
		tip := r.Commit(t, "refs/heads/main", map[string]string{"a": "4"})
		gone := parse(t, before.Format, strings.Repeat("1", before.Format.HexSize()))
		var haves []object.OID
		for _, ref := range before.Refs {
			haves = append(haves, ref.Tip())
		}
		slices.SortFunc(haves, object.OID.Compare)
		haves = slices.Compact(haves)
		c = open(t, e, config())
		list(t, c)
		data, p = fetch(t, c, []object.OID{parse(t, before.Format, tip)}, append([]object.OID{gone}, haves...))
		c.Close()
		if !slices.Equal(p.Common, haves) {
			t.Errorf("common is %v, want %v", p.Common, haves)
		}
		if p.Objects() != 3 {
			t.Errorf("one commit with one changed file came as %d objects", p.Objects())
		}
		copied.Feed(t, string(data), "index-pack", "--stdin", "--strict")
		copied.Git(t, "rev-list", "--objects", tip)
	})
}

// Nothing in common: the server answers NAK, and the pack holds everything.
func TestFetchNothingInCommon(t *testing.T) {
	someServers(t, func(t *testing.T, s server, r *gittest.Repo) {
		fill(t, r)
		c := open(t, s.open(t, r), config())
		l := list(t, c)
		var gone []object.OID
		for i := range 300 {
			gone = append(gone, parse(t, l.Format, fmt.Sprintf("%0*x", l.Format.HexSize(), i+1)))
		}
		data, p := fetch(t, c, oids(l.Refs), gone)
		if len(p.Common) != 0 {
			t.Errorf("common is %v", p.Common)
		}
		copied := gittest.NewRepo(t, r.Format)
		copied.Feed(t, string(data), "index-pack", "--stdin", "--strict")
		for _, ref := range l.Refs {
			copied.Git(t, "rev-list", "--objects", ref.OID.String())
		}
	})
}

// An unrelated history beside a common one: v2 needs its second round.
func TestFetchSecondRound(t *testing.T) {
	someServers(t, func(t *testing.T, s server, r *gittest.Repo) {
		fill(t, r)
		e := s.open(t, r)
		before := list(t, open(t, e, config()))
		orphan := r.CommitOn(t, "refs/heads/orphan", nil, map[string]string{"o": "new"})
		c := open(t, e, config())
		list(t, c)
		data, p := fetch(t, c, []object.OID{parse(t, before.Format, orphan)}, oids(before.Refs))
		if p.Objects() != 3 || len(p.Common) == 0 {
			t.Errorf("an orphan of three objects came as %d, with %d in common", p.Objects(), len(p.Common))
		}
		copied := gittest.NewRepo(t, r.Format)
		copied.Feed(t, string(data), "index-pack", "--stdin", "--strict")
	})
}

// Thousands of haves must not make client and server wait for each other.
func TestFetchManyHaves(t *testing.T) {
	const n = 30_000
	var in bytes.Buffer
	for i := range n {
		fmt.Fprintf(&in, "blob\nmark :%d\ndata %d\n%d\n", i+1, len(fmt.Sprint(i)), i)
	}
	in.WriteString("commit refs/heads/main\ncommitter a <a@b> 1 +0000\ndata 0\n")
	for i := range n {
		fmt.Fprintf(&in, "M 100644 :%d %d/%d\n", i+1, i%100, i)
	}
	r := gittest.NewRepo(t, "sha1")
	r.Feed(t, in.String(), "fast-import", "--quiet")
	old := r.Git(t, "rev-parse", "main")
	var haves []object.OID
	for id := range strings.FieldsSeq(r.Git(t, "rev-list", "--objects", "--no-object-names", "main")) {
		haves = append(haves, parse(t, object.SHA1, id))
	}
	tip := r.Commit(t, "refs/heads/main", map[string]string{"0/0": "changed"})
	someServers(t, func(t *testing.T, s server, _ *gittest.Repo) {
		c := open(t, s.open(t, r), config())
		list(t, c)
		_, p := fetch(t, c, []object.OID{parse(t, object.SHA1, tip)}, haves)
		if p.Objects() > 5 {
			t.Errorf("one commit came as %d objects", p.Objects())
		}
		if _, ok := slices.BinarySearchFunc(p.Common, parse(t, object.SHA1, old), object.OID.Compare); !ok || len(p.Common) != len(haves) {
			t.Errorf("%d in common of %d offered", len(p.Common), len(haves))
		}
	})
}
