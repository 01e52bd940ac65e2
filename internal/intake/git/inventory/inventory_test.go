package inventory_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/inventory"
	"holdfast/internal/intake/git/object"
)

func oid(t testing.TB, n int) object.OID {
	t.Helper()
	id, err := object.ParseOID(object.SHA1, fmt.Sprintf("%040x", n))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func ref(t testing.TB, name string, n int) object.Ref {
	return object.Ref{Name: name, OID: oid(t, n)}
}

func compare(t *testing.T, got, want []object.Ref) {
	t.Helper()
	if d := cmp.Diff(want, got, cmp.AllowUnexported(object.OID{})); d != "" {
		t.Errorf("refs (-want +got):\n%s", d)
	}
}

func TestChain(t *testing.T) {
	lists := [][]object.Ref{
		{ref(t, "refs/tags/v1", 9), ref(t, "refs/heads/main", 1), ref(t, "refs/heads/Main", 2), ref(t, "refs/heads/\xff\xfe", 3), ref(t, "refs/heads/\"refs_digest\"", 7), ref(t, "refs/heads/é", 4)},
		{ref(t, "refs/heads/main", 5), ref(t, "refs/heads/é", 4), ref(t, "refs/heads/a", 6)},
		{},
		{ref(t, "refs/heads/main", 5)},
		{ref(t, "refs/heads/main", 5)},
	}
	var state []object.Ref
	for i, refs := range lists {
		var inv *inventory.Inventory
		var err error
		if i == 0 {
			inv, err = inventory.NewFull(object.SHA1, "refs/heads/main", oid(t, 1), refs)
		} else {
			inv, err = inventory.NewIncremental(object.SHA1, "refs/heads/other", object.OID{}, lists[i-1], refs)
		}
		if err != nil {
			t.Fatal(err)
		}
		line, err := inv.Line()
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(line), strings.NewReader("\n# v2 git bundle\n")), 16)
		back, err := inventory.Read(r)
		if err != nil {
			t.Fatalf("read %s: %v", line, err)
		}
		if rest, _ := io.ReadAll(r); string(rest) != "# v2 git bundle\n" {
			t.Errorf("left %q after the inventory", rest)
		}
		if state, err = back.Apply(state); err != nil {
			t.Fatal(err)
		}
		want := inventory.Sorted(refs)
		compare(t, state, want)
		if i == 1 && (len(inv.Refs) != 2 || len(inv.Deleted) != 4) {
			t.Errorf("%s lists more than the change", line)
		}
		if i == 4 && (len(inv.Refs) != 0 || len(inv.Deleted) != 0) {
			t.Errorf("%s lists an unchanged ref", line)
		}
	}
}

// A restore that takes a deposit out of order must not get a plausible list.
func TestApplyRefusesAnotherPredecessor(t *testing.T) {
	a, b := []object.Ref{ref(t, "refs/heads/a", 1)}, []object.Ref{ref(t, "refs/heads/a", 2)}
	inv, err := inventory.NewIncremental(object.SHA1, "", object.OID{}, a, b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := inv.Apply(b); !errors.Is(err, inventory.ErrChain) {
		t.Errorf("applied to another list: %v", err)
	}
	inv.RefsDigest = strings.Repeat("0", 64)
	if _, err := inv.Apply(a); err == nil {
		t.Error("the list after applying was not compared")
	}
}

func TestParseRefuses(t *testing.T) {
	inv, err := inventory.NewFull(object.SHA1, "refs/heads/a", oid(t, 1), []object.Ref{ref(t, "refs/heads/a", 1), ref(t, "refs/heads/b", 2)})
	if err != nil {
		t.Fatal(err)
	}
	good, err := inv.Line()
	if err != nil {
		t.Fatal(err)
	}
	one := fmt.Sprintf("%040x", 1)
	for _, c := range []struct{ name, old, new, says string }{
		{"other format", "holdfast-git/v1", "holdfast-git/v2", "format"},
		{"object format", `"sha1"`, `"md5"`, "sha1"},
		{"kind", `"FULL"`, `"full"`, "kind"},
		{"ref outside refs", "refs/heads/b", "heads/b", "begin"},
		{"ref that climbs", "refs/heads/b", "refs/heads/../b", `..`},
		{"ref twice", "refs/heads/b", "refs/heads/a", "twice"},
		{"order", "refs/heads/b", "refs/heads/0", "order"},
		{"null id", one + " refs/heads/a", strings.Repeat("0", 40) + " refs/heads/a", "zeros"},
		{"sha256 id in a sha1 list", one + " refs/heads/a", strings.Repeat("1", 64) + " refs/heads/a", "characters"},
		{"count", `"count":2`, `"count":3`, "stands for"},
		{"negative count", `"count":2`, `"count":-2`, "counts"},
		{"digest", inv.RefsDigest, strings.Repeat("a", 64), "stands for"},
		{"head elsewhere", `"head_oid":"` + one, `"head_oid":"` + fmt.Sprintf("%040x", 7), "HEAD"},
		{"head name", `"head":"refs/heads/a"`, `"head":"HEAD"`, "head"},
		{"unknown field", `"count":2`, `"count":2,"x":1`, "canonical"},
		{"white space", `"count":2`, `"count": 2`, "canonical"},
		{"quoting that was not needed", "refs/heads/b", `refs/heads/\\x62`, "quoted"},
		{"previous of a full one", `"object_format"`, `"previous":"x","object_format"`, ""},
	} {
		bad := strings.Replace(string(good), c.old, c.new, 1)
		if bad == string(good) {
			t.Fatalf("%s: nothing replaced in %s", c.name, good)
		}
		if _, err := inventory.Parse([]byte(bad)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want it to say %q", c.name, err, c.says)
		}
	}
	for _, cut := range []string{"", "{", string(good)} {
		if _, err := inventory.Read(bufio.NewReader(strings.NewReader(cut))); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("line %q without its end: %v", cut, err)
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestReadStopsAtTheLimit(t *testing.T) {
	if _, err := inventory.Read(bufio.NewReader(endless{})); err == nil || !strings.Contains(err.Error(), "longer") {
		t.Errorf("endless line: %v", err)
	}
}

// FuzzInventory: what parses is written again as the same bytes, and a full
// one can be applied.
func FuzzInventory(f *testing.F) {
	refs := []object.Ref{ref(f, "refs/heads/main", 1), ref(f, "refs/heads/\xff", 2)}
	full, err := inventory.NewFull(object.SHA1, "refs/heads/main", oid(f, 1), refs)
	if err != nil {
		f.Fatal(err)
	}
	increment, err := inventory.NewIncremental(object.SHA1, "", oid(f, 3), refs, refs[:1])
	if err != nil {
		f.Fatal(err)
	}
	for _, inv := range []*inventory.Inventory{full, increment} {
		line, err := inv.Line()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(line)
	}
	f.Add([]byte(`{"count":0,"format":"holdfast-git/v1"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		inv, err := inventory.Parse(data)
		if err != nil {
			return
		}
		again, err := inv.Line()
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("parsed %q, wrote %q, %v", data, again, err)
		}
		if inv.Kind == escrow.FullDeposit {
			if _, err := inv.Apply(nil); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func BenchmarkLine100k(b *testing.B) {
	refs := make([]object.Ref, 100_000)
	for i := range refs {
		refs[i] = ref(b, fmt.Sprintf("refs/pull/%d/head", i), i+1)
	}
	inv, err := inventory.NewFull(object.SHA1, "", object.OID{}, refs)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := inv.Line(); err != nil {
			b.Fatal(err)
		}
	}
}
