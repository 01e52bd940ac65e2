package file_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"holdfast/evidence"
	"holdfast/internal/blob"
	"holdfast/internal/blob/file"
	"holdfast/internal/escrow"
)

// Every call that can fail does so, once with a full disk and once with a
// refusal. Nothing may be acknowledged, nothing may be left over, and the
// error must name the directory.
func TestFaults(t *testing.T) {
	data := []byte(strings.Repeat("object ", 1000))
	name := evidence.Digest(data)
	errno := map[escrow.Code]error{escrow.Full: syscall.ENOSPC, escrow.Unavailable: syscall.EACCES}
	for _, tt := range []struct {
		call string
		set  func(f *file.Faults, dir string, err error)
		held bool // the object may stand, whole but not acknowledged
	}{
		{"create", func(f *file.Faults, _ string, err error) { f.CreateTemp = func() error { return err } }, false},
		{"write", func(f *file.Faults, _ string, err error) { f.Write = func(int64) error { return err } }, false},
		{"write late", func(f *file.Faults, _ string, err error) {
			f.Write = func(n int64) error {
				if n > 3000 {
					return err
				}
				return nil
			}
		}, false},
		{"sync", func(f *file.Faults, _ string, err error) { f.Sync = func() error { return err } }, false},
		{"mkdir", func(f *file.Faults, _ string, err error) { f.Mkdir = func(string) error { return err } }, false},
		{"sync parent", func(f *file.Faults, dir string, err error) {
			f.SyncDir = func(path string) error {
				if path == dir {
					return err
				}
				return nil
			}
		}, false},
		{"link", func(f *file.Faults, _ string, err error) { f.Link = func(_, _ string) error { return err } }, false},
		{"sync shard", func(f *file.Faults, dir string, err error) {
			f.SyncDir = func(path string) error {
				if path != dir {
					return err
				}
				return nil
			}
		}, true},
	} {
		for code, cause := range errno {
			t.Run(tt.call+" "+string(code), func(t *testing.T) {
				dir := t.TempDir()
				faults := new(file.Faults)
				s, err := file.OpenWith(dir, faults)
				if err != nil {
					t.Fatal(err)
				}
				tt.set(faults, dir, cause)
				err = store(t, s, data)
				if escrow.CodeOf(err) != code || !errors.Is(err, cause) || !strings.Contains(err.Error(), dir) {
					t.Fatalf("error %v, want code %s, cause %v and the directory named", err, code, cause)
				}
				if _, err := s.Stat(t.Context(), name); !tt.held && escrow.CodeOf(err) != escrow.Missing {
					t.Errorf("stat after the fault: %v", err)
				}
				if left := temps(t, dir); len(left) != 0 {
					t.Errorf("temporary files left: %v", left)
				}
				// When the fault is gone the same bytes go in.
				*faults = file.Faults{}
				if err := store(t, s, data); err != nil {
					t.Errorf("after the fault: %v", err)
				}
			})
		}
	}
}

func TestFaultsAtStart(t *testing.T) {
	for _, cause := range []error{syscall.EACCES, syscall.EROFS, syscall.ENOSPC} {
		dir := t.TempDir()
		for _, f := range []*file.Faults{
			{CreateTemp: func() error { return cause }},
			{Mkdir: func(string) error { return cause }},
			{SyncDir: func(string) error { return cause }},
		} {
			path := filepath.Join(dir, "new")
			os.RemoveAll(path)
			_, err := file.OpenWith(path, f)
			var e *escrow.Error
			if !errors.As(err, &e) || !strings.Contains(e.Message, path) || e.Hint == "" {
				t.Errorf("%v: %v", cause, err)
			}
		}
	}
}

func TestUnwritableDirectory(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write everywhere; TestReadOnlyDisk and TestFaults cover this")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	_, err := file.Open(dir)
	if escrow.CodeOf(err) != escrow.Unavailable || !strings.Contains(err.Error(), dir) {
		t.Errorf("open: %v", err)
	}
}

func store(t *testing.T, s blob.Store, data []byte) error {
	w, err := s.Create(t.Context())
	if err != nil {
		return err
	}
	defer w.Abort()
	for len(data) > 0 {
		n := min(len(data), 1000)
		if _, err := w.Write(data[:n]); err != nil {
			// A caller that overlooks the failed write must not get a name.
			if _, _, err := w.Commit(t.Context()); err == nil {
				t.Error("commit after a failed write succeeded")
			}
			return err
		}
		data = data[n:]
	}
	_, _, err = w.Commit(t.Context())
	return err
}
