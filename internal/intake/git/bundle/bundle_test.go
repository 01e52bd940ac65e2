package bundle_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/intake/git/bundle"
	"holdfast/internal/intake/git/gittest"
	"holdfast/internal/intake/git/object"
)

func oid(t testing.TB, f object.Format, text string) object.OID {
	t.Helper()
	o, err := object.ParseOID(f, text)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// A bundle that stock git wrote is read, and one that we write stock git reads.
func TestWithStockGit(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			f, _ := object.ParseFormat(format)
			r := gittest.NewRepo(t, format)
			first := r.Commit(t, "refs/heads/main", map[string]string{"a": "1"})
			r.SetRef(t, "refs/heads/caf\xe9", first)
			tip := r.Commit(t, "refs/heads/main", map[string]string{"a": "2"})
			path := filepath.Join(t.TempDir(), "x.bundle")
			r.Git(t, "bundle", "create", "-q", path, "--all", "HEAD", "^"+first)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			in := bufio.NewReader(bytes.NewReader(data))
			h, err := bundle.Read(in)
			if err != nil {
				t.Fatal(err)
			}
			want := &bundle.Header{Format: f, Prerequisites: []object.OID{oid(t, f, first)},
				Refs: []object.Ref{{Name: "refs/heads/main", OID: oid(t, f, tip)}, {Name: "HEAD", OID: oid(t, f, tip)}}}
			if d := cmp.Diff(want, h, cmp.AllowUnexported(object.OID{})); d != "" {
				t.Fatalf("header (-want +got):\n%s", d)
			}
			pack, _ := io.ReadAll(in)

			h.Refs = append(h.Refs, object.Ref{Name: "refs/heads/caf\xe9", OID: oid(t, f, first)})
			var out bytes.Buffer
			n, err := h.WriteTo(&out)
			if err != nil || n != int64(out.Len()) {
				t.Fatalf("wrote %d of %d bytes, %v", n, out.Len(), err)
			}
			out.Write(pack)
			if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			copied := gittest.NewRepo(t, format)
			copied.Git(t, "fetch", "-q", r.Dir, first+":refs/heads/base")
			copied.Git(t, "bundle", "verify", path)
			copied.Git(t, "fetch", "-q", path, "+refs/*:refs/*")
			if got := copied.Git(t, "rev-parse", "refs/heads/main", "refs/heads/caf\xe9"); got != tip+"\n"+first {
				t.Errorf("fetched %s", got)
			}
		})
	}
}

// The bundles for an empty repository and for a deposit that only deletes: no
// refs, no objects. Stock git takes both.
func TestEmptyBundle(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		f, _ := object.ParseFormat(format)
		var out bytes.Buffer
		if _, err := (&bundle.Header{Format: f}).WriteTo(&out); err != nil {
			t.Fatal(err)
		}
		out.Write(gittest.EmptyPack(f))
		dir := t.TempDir()
		path := filepath.Join(dir, "x.bundle")
		if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		r := gittest.NewRepo(t, format)
		r.Git(t, "bundle", "verify", path)
		r.Git(t, "fetch", "-q", path, "+refs/*:refs/*")
		if _, err := gittest.Run(dir, nil, "clone", "-q", "--mirror", path, filepath.Join(dir, "clone.git")); err != nil {
			t.Errorf("%s: %v", format, err)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	const id = "1111111111111111111111111111111111111111"
	for _, text := range []string{
		"", "# v2 git bundle", "# v2 git bundle\n", "# v4 git bundle\n\n", "PACK\n\n",
		"# v2 git bundle\n" + id + " refs/heads/x\n",
		"# v2 git bundle\n@object-format=sha1\n\n",
		"# v3 git bundle\n@filter=blob:none\n\n",
		"# v3 git bundle\n@object-format=md5\n\n",
		"# v3 git bundle\n@object-format=sha1\n@object-format=sha256\n\n",
		"# v3 git bundle\n" + id + " refs/heads/x\n@object-format=sha1\n\n",
		"# v2 git bundle\n" + id + "\n\n",
		"# v2 git bundle\n" + id + " refs/heads/../x\n\n",
		"# v2 git bundle\n" + id + " config\n\n",
		"# v2 git bundle\n" + id + " refs/heads/x\n-" + id + "\n\n",
		"# v2 git bundle\n-" + id[1:] + "\n\n",
		"# v2 git bundle\n" + strings.ToUpper(strings.Repeat("ab", 20)) + " refs/heads/x\n\n",
	} {
		if h, err := bundle.Read(bufio.NewReader(strings.NewReader(text))); err == nil {
			t.Errorf("%q is read as %+v", text, h)
		}
	}
	endless := io.MultiReader(strings.NewReader("# v2 git bundle\n"), letters{})
	if _, err := bundle.Read(bufio.NewReader(endless)); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("an endless header: %v", err)
	}
	failing := io.MultiReader(strings.NewReader("# v2 git bundle\n"), failure{})
	if _, err := bundle.Read(bufio.NewReader(failing)); !errors.Is(err, errRead) {
		t.Errorf("a failing reader: %v", err)
	}
}

var errRead = errors.New("read failed")

type failure struct{}

func (failure) Read([]byte) (int, error) { return 0, errRead }

type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

func TestWriteRefuses(t *testing.T) {
	id := oid(t, object.SHA1, strings.Repeat("1", 40))
	for _, h := range []bundle.Header{
		{},
		{Format: object.SHA256, Prerequisites: []object.OID{id}},
		{Format: object.SHA1, Refs: []object.Ref{{Name: "refs/heads/x"}}},
		{Format: object.SHA1, Refs: []object.Ref{{Name: "refs/heads/x\n-evil", OID: id}}},
		{Format: object.SHA1, Refs: []object.Ref{{Name: "x", OID: id}}},
	} {
		if _, err := h.WriteTo(io.Discard); err == nil {
			t.Errorf("%+v is written", h)
		}
	}
}

// FuzzHeader: what is read is written as the same bytes, but for comments
// and for the version of a SHA-1 bundle.
func FuzzHeader(f *testing.F) {
	const id = "1111111111111111111111111111111111111111"
	f.Add([]byte("# v2 git bundle\n\nPACK"))
	f.Add([]byte("# v2 git bundle\n-" + id + "\n" + id + " refs/heads/x\n" + id + " HEAD\n\nPACK"))
	f.Add([]byte("# v2 git bundle\n-" + id + " subject\n" + id + " refs/heads/\xff\n\nPACK"))
	f.Add([]byte(fmt.Sprintf("# v3 git bundle\n@object-format=sha256\n%s%s refs/heads/x\n\nPACK", id, id[:24])))
	f.Fuzz(func(t *testing.T, data []byte) {
		in := bufio.NewReader(bytes.NewReader(data))
		h, err := bundle.Read(in)
		if err != nil {
			return
		}
		rest, _ := io.ReadAll(in)
		head := data[:len(data)-len(rest)]
		var out bytes.Buffer
		if _, err := h.WriteTo(&out); err != nil {
			t.Fatalf("%q is read and not written: %v", head, err)
		}
		if bytes.HasPrefix(head, []byte("# v3")) && h.Format == object.SHA1 {
			return
		}
		var plain []byte
		for line := range bytes.Lines(head) {
			if i := bytes.IndexByte(line, ' '); line[0] == '-' && i > 0 {
				line = append(append([]byte{}, line[:i]...), '\n')
			}
			plain = append(plain, line...)
		}
		if !bytes.Equal(plain, out.Bytes()) {
			t.Errorf("read %q, written %q", head, out.Bytes())
		}
	})
}
