package git_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/intake/git"
	"holdfast/internal/intake/git/object"
)

func id(t testing.TB, f object.Format, n int) object.OID {
	t.Helper()
	o, err := object.ParseOID(f, fmt.Sprintf("%0*x", f.HexSize(), n))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func fullState(t testing.TB, f object.Format) *git.State {
	return &git.State{
		Format: f, Deposit: 9, Increments: 3, Head: "refs/heads/main", HeadOID: id(t, f, 1),
		Refs: []object.Ref{
			{Name: "refs/heads/caf\xe9", OID: id(t, f, 7)},
			{Name: "refs/heads/main", OID: id(t, f, 1)},
			{Name: "refs/heads/main2", OID: id(t, f, 2)},
			{Name: "refs/tags/v1", OID: id(t, f, 3), Peeled: id(t, f, 1)},
		},
		Refused: []string{"", "refs/heads/../x"},
		LFS: []git.LFSObject{
			{OID: strings.Repeat("a", 64), Size: 5, Path: "big.bin", Held: true},
			{OID: strings.Repeat("b", 64), Size: 1 << 40},
		},
		Submodules: []git.Submodule{{Path: "sub", URL: "https://example.org/a", Commit: id(t, f, 4)}, {Path: "sub", URL: "https://example.org/b", Commit: id(t, f, 5)}},
	}
}

func TestState(t *testing.T) {
	for _, f := range []object.Format{object.SHA1, object.SHA256} {
		for _, s := range []*git.State{fullState(t, f), {Format: f, Deposit: 1}} {
			data, err := s.Encode()
			if err != nil {
				t.Fatal(err)
			}
			back, err := git.ParseState(data)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(s, back, cmp.AllowUnexported(object.OID{}), cmp.Comparer(func(a, b []object.Ref) bool { return slices.Equal(a, b) }), cmp.Comparer(func(a, b []string) bool { return slices.Equal(a, b) }), cmp.Comparer(func(a, b []git.LFSObject) bool { return slices.Equal(a, b) }), cmp.Comparer(func(a, b []git.Submodule) bool { return slices.Equal(a, b) })); d != "" {
				t.Errorf("state (-want +got):\n%s", d)
			}
			for n := range len(data) {
				if _, err := git.ParseState(data[:n]); err == nil {
					t.Errorf("the first %d of %d bytes pass for a state", n, len(data))
				}
			}
			if _, err := git.ParseState(append(data, 0)); err == nil {
				t.Error("a byte behind the end passes")
			}
		}
	}
}

func TestStateIsSmall(t *testing.T) {
	s := &git.State{Format: object.SHA1, Deposit: 1}
	for i := range 100_000 {
		s.Refs = append(s.Refs, object.Ref{Name: fmt.Sprintf("refs/pull/%06d/head", i), OID: id(t, object.SHA1, i+1)})
	}
	data, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > 3_500_000 {
		t.Errorf("100,000 refs take %d bytes", len(data))
	}
}

func TestStateRefuses(t *testing.T) {
	f := object.SHA1
	for name, change := range map[string]func(*git.State){
		"no format":        func(s *git.State) { s.Format = 0 },
		"no deposit":       func(s *git.State) { s.Deposit = 0 },
		"increments":       func(s *git.State) { s.Increments = 9 },
		"bad ref":          func(s *git.State) { s.Refs[0].Name = "refs/heads/../x" },
		"twice":            func(s *git.State) { s.Refs[0].Name = s.Refs[1].Name },
		"order":            func(s *git.State) { s.Refs[0], s.Refs[1] = s.Refs[1], s.Refs[0] },
		"no id":            func(s *git.State) { s.Refs[0].OID = object.OID{} },
		"foreign id":       func(s *git.State) { s.Refs[0].OID = id(t, object.SHA256, 1) },
		"foreign peeled":   func(s *git.State) { s.Refs[3].Peeled = id(t, object.SHA256, 1) },
		"head":             func(s *git.State) { s.Head = "main" },
		"foreign head":     func(s *git.State) { s.HeadOID = id(t, object.SHA256, 1) },
		"LFS id":           func(s *git.State) { s.LFS[0].OID = "x" },
		"LFS size":         func(s *git.State) { s.LFS[0].Size = -1 },
		"LFS order":        func(s *git.State) { s.LFS[1].OID = s.LFS[0].OID },
		"refused twice":    func(s *git.State) { s.Refused[0] = s.Refused[1] },
		"submodule order":  func(s *git.State) { s.Submodules[1] = s.Submodules[0] },
		"submodule commit": func(s *git.State) { s.Submodules[0].Commit = object.OID{} },
	} {
		s := fullState(t, f)
		change(s)
		if _, err := s.Encode(); err == nil {
			t.Errorf("%s: is written", name)
		}
	}
}

func FuzzState(f *testing.F) {
	for _, format := range []object.Format{object.SHA1, object.SHA256} {
		for _, s := range []*git.State{fullState(f, format), {Format: format, Deposit: 1}} {
			data, err := s.Encode()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add([]byte("holdfast-git-state/v1\n\x01\x01\x00\x00\x00\xff\xff\xff\xff\x07"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := git.ParseState(data)
		if err != nil {
			return
		}
		again, err := s.Encode()
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("read %x, written %x, %v", data, again, err)
		}
	})
}
