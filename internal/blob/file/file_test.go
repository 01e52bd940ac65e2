package file_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/evidence"
	"holdfast/internal/blob"
	"holdfast/internal/blob/blobtest"
	"holdfast/internal/blob/file"
	"holdfast/internal/escrow"
)

func TestSuite(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, t.TempDir()) })
}

func open(t testing.TB, dir string) *file.Store {
	t.Helper()
	s, err := file.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestModesAndLayout(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "objects")
	name := blobtest.Put(t, open(t, dir), []byte("object"))
	for path, want := range map[string]os.FileMode{
		filepath.Join(dir, name[:2], name): 0o600,
		filepath.Join(dir, name[:2]):       0o700 | os.ModeDir,
		filepath.Join(dir, "tmp"):          0o700 | os.ModeDir,
		dir:                                0o700 | os.ModeDir,
		filepath.Dir(dir):                  0o700 | os.ModeDir,
	} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), want)
		}
	}
	if left := temps(t, dir); len(left) != 0 {
		t.Errorf("temporary files left: %v", left)
	}
}

func TestGoodVersionIsNeverOverwritten(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	name := blobtest.Put(t, s, []byte("object"))
	path := filepath.Join(dir, name[:2], name)
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	blobtest.Put(t, s, []byte("object"))
	after, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
		t.Error("a second deposit of the same bytes replaced the file")
	}
}

func TestDecayedObjectIsNotAcknowledgedAgain(t *testing.T) {
	for _, tt := range []struct{ name, decay string }{{"same size", "0bject"}, {"cut", "obj"}, {"grown", "object and more"}} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			name := blobtest.Put(t, s, []byte("object"))
			path := filepath.Join(dir, name[:2], name)
			if err := os.WriteFile(path, []byte(tt.decay), 0o600); err != nil {
				t.Fatal(err)
			}
			w, err := s.Create(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			w.Write([]byte("object"))
			_, _, err = w.Commit(t.Context())
			if escrow.CodeOf(err) != escrow.Damaged || !strings.Contains(err.Error(), name) {
				t.Errorf("commit over a decayed object: %v", err)
			}
			if left := temps(t, dir); len(left) != 0 {
				t.Errorf("temporary files left: %v", left)
			}
		})
	}
}

func TestStaleTemporariesAreRemovedLivingOnesKept(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	living, err := s.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer living.Abort()
	if _, err := living.Write([]byte("still ")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"put-1", "put-2", "notes.txt"} {
		if err := os.WriteFile(filepath.Join(dir, "tmp", name), []byte("left over"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	open(t, dir)
	if left := temps(t, dir); len(left) != 2 {
		t.Errorf("after a restart: %v, want the living one and the foreign file", left)
	}
	if _, err := living.Write([]byte("written")); err != nil {
		t.Fatal(err)
	}
	name, _, err := living.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if name != evidence.Digest([]byte("still written")) {
		t.Error("the living object lost bytes")
	}
}

func TestNotAnObject(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	name := evidence.Digest([]byte("dir"))
	if err := os.MkdirAll(filepath.Join(dir, name[:2], name), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(t.Context(), name); escrow.CodeOf(err) != escrow.Unavailable {
		t.Errorf("a directory opens as an object: %v", err)
	}
	if _, err := s.Stat(t.Context(), name); escrow.CodeOf(err) != escrow.Unavailable {
		t.Errorf("a directory has a size: %v", err)
	}
}

func TestFileWhereTheDirectoryShouldBe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "objects")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := file.Open(path)
	if escrow.CodeOf(err) != escrow.Unavailable || !strings.Contains(err.Error(), path) {
		t.Errorf("open: %v", err)
	}
}

func TestDirectoryNameWithPatternCharacters(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a[b]*c?")
	blobtest.Put(t, open(t, dir), []byte("object"))
	if err := os.WriteFile(filepath.Join(dir, "tmp", "put-9"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if left := temps(t, dir); len(left) != 0 {
		t.Errorf("temporary files left: %v", left)
	}
}

func temps(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "tmp"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func BenchmarkPut4KiB(b *testing.B) {
	s := open(b, b.TempDir())
	data := bytes.Repeat([]byte{'x'}, 4096)
	for i := 0; b.Loop(); i++ {
		data[0], data[1], data[2], data[3] = byte(i), byte(i>>8), byte(i>>16), byte(i>>24)
		blobtest.Put(b, s, data)
	}
}

func BenchmarkStream(b *testing.B) {
	s := open(b, b.TempDir())
	block := bytes.Repeat([]byte{'x'}, 64<<10)
	w, err := s.Create(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer w.Abort()
	b.SetBytes(int64(len(block)))
	for b.Loop() {
		if _, err := w.Write(block); err != nil {
			b.Fatal(err)
		}
	}
	if _, _, err := w.Commit(b.Context()); err != nil {
		b.Fatal(err)
	}
}
