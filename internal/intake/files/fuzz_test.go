package files_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/evidence"
	"holdfast/internal/intake/files"

	"context"
)

// memory keeps what it is given.
type memory struct{ last []byte }

type envelope struct {
	bytes.Buffer
	m *memory
}

func (m *memory) Create(context.Context, string) (files.Envelope, error) {
	return &envelope{m: m}, nil
}
func (e *envelope) Finish() error { return nil }
func (e *envelope) Abort()        {}
func (e *envelope) Commit(context.Context) (evidence.ObjectEntry, error) {
	e.m.last = bytes.Clone(e.Bytes())
	return evidence.ObjectEntry{Name: evidence.Digest(e.m.last), Size: int64(e.Len())}, nil
}

// seeds are a real list and a real state, in clear.
func seeds(t testing.TB) (list, state []byte) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(dir, "sub"), 0o755), os.WriteFile(filepath.Join(dir, "a\xff"), []byte("content"), 0o600),
		os.WriteFile(filepath.Join(dir, "empty"), nil, 0o644), os.Symlink("a", filepath.Join(dir, "link")), os.Link(filepath.Join(dir, "empty"), filepath.Join(dir, "sub", "hard")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	m := &memory{}
	r, err := files.Sync(t.Context(), files.Options{Roots: []string{dir}, Number: 1, Vault: m, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := files.Decompress(bytes.NewReader(m.last))
	if err != nil {
		t.Fatal(err)
	}
	if list, err = io.ReadAll(plain); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := r.State.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return list, b.Bytes()
}

// FuzzList: whatever the plaintext of a list is, what is taken from it names
// only places inside the tree, once and in order.
func FuzzList(f *testing.F) {
	list, _ := seeds(f)
	f.Add(list)
	f.Add([]byte(strings.Replace(string(list), "tree/", "../", 1)))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		last := ""
		_, _ = files.ReadList(bytes.NewReader(data), func(e *files.Entry) error {
			if files.CheckPath(e.Path) != nil || e.Path <= last || !filepath.IsLocal(e.Path) {
				t.Errorf("%q after %q was taken", e.Path, last)
			}
			var sum int64
			for _, c := range e.Chunks {
				if c.Size < 1 || c.At < 0 || c.Deposit < 1 {
					t.Errorf("%q: chunk %+v", e.Path, c)
				}
				sum += c.Size
			}
			if sum != e.Size || e.Mode&^0o777 != 0 {
				t.Errorf("%q: %d of %d bytes, mode %o", e.Path, sum, e.Size, e.Mode)
			}
			last = e.Path
			return nil
		})
	})
}

// FuzzState: what is read as a state is written as it was read.
func FuzzState(f *testing.F) {
	_, state := seeds(f)
	f.Add(state)
	f.Add(bytes.Replace(state, []byte(`"inode"`), []byte(`"device"`), 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := files.ParseState(bytes.NewReader(data))
		if err != nil {
			return
		}
		var once, twice bytes.Buffer
		if err := s.Encode(&once); err != nil {
			t.Fatal(err)
		}
		again, err := files.ParseState(bytes.NewReader(once.Bytes()))
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, once.Bytes())
		}
		if err := again.Encode(&twice); err != nil || !bytes.Equal(once.Bytes(), twice.Bytes()) {
			t.Errorf("written twice, it differs: %v", err)
		}
	})
}

// FuzzDecompress: no frame makes the reading of a list fall over.
func FuzzDecompress(f *testing.F) {
	list, _ := seeds(f)
	var b bytes.Buffer
	if err := files.Compress(&b, func(w io.Writer) error { _, err := w.Write(list); return err }); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := files.Decompress(bytes.NewReader(data))
		if err != nil {
			return
		}
		defer r.Close()
		_, _ = files.ReadList(io.LimitReader(r, 1<<22), func(*files.Entry) error { return nil })
	})
}

func TestPatterns(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	for _, name := range []string{"a.log", "sub/b.log", "sub/c.txt", "node_modules/x", "sub/node_modules/y", "logs", "deep/er/logs/z", "deep/keep.go"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		include, exclude []string
		want             string
	}{
		{nil, []string{"*.log"}, "deep/er/logs/z deep/keep.go logs node_modules/x sub/c.txt sub/node_modules/y"},
		{nil, []string{"node_modules/", "logs/"}, "a.log deep/keep.go logs sub/b.log sub/c.txt"},
		{nil, []string{"/logs", "sub/*.txt", "deep/**"}, "a.log node_modules/x sub/b.log sub/node_modules/y"},
		{[]string{"*.txt", "*.log"}, []string{"sub/**/b.log"}, "a.log sub/c.txt"},
		{[]string{"**/logs/z"}, nil, "deep/er/logs/z"},
	} {
		r, err := files.Sync(t.Context(), files.Options{Roots: []string{dir}, Include: tc.include, Exclude: tc.exclude, Number: 1, Vault: &memory{}, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range r.State.Entries {
			if e.Kind == files.File {
				got = append(got, strings.TrimPrefix(e.Path, "tree/"))
			}
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("include %q, exclude %q: %q", tc.include, tc.exclude, got)
		}
	}
}

// TestUnreadable: what cannot be read is told, and the rest is deposited.
func TestUnreadable(t *testing.T) {
	if os.Getuid() == 0 { // root reads everything, so somebody else runs this test
		asNobody(t)
		return
	}
	dir := filepath.Join(t.TempDir(), "tree")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "CANARY"), []byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	r, err := files.Sync(t.Context(), files.Options{Roots: []string{dir}, Number: 1, Vault: &memory{}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Missing) != 1 || strings.Contains(r.Missing[0], "CANARY") || len(r.LeftOut) != 1 || r.Summary.LeftOut != 1 || r.Summary.Files != 1 {
		t.Errorf("%+v, %q, %q", r.Summary, r.Missing, r.LeftOut)
	}
}
