package file_test

import (
	"strings"
	"syscall"
	"testing"

	"holdfast/internal/blob/blobtest"
	"holdfast/internal/blob/file"
	"holdfast/internal/escrow"
)

// A real file system that is really full, where the machine lets us have one.
func TestFullDisk(t *testing.T) {
	dir := tmpfs(t, "size=256k")
	s := open(t, dir)
	small := blobtest.Put(t, s, []byte("fits"))
	err := store(t, s, make([]byte, 1<<20))
	if escrow.CodeOf(err) != escrow.Full || !strings.Contains(err.Error(), dir) {
		t.Fatalf("write to a full disk: %v", err)
	}
	if left := temps(t, dir); len(left) != 0 {
		t.Errorf("temporary files left: %v", left)
	}
	if _, err := s.Stat(t.Context(), small); err != nil {
		t.Error(err)
	}
	blobtest.Put(t, s, []byte("fits again"))
}

func TestReadOnlyDisk(t *testing.T) {
	dir := tmpfs(t, "size=256k")
	s := open(t, dir)
	name := blobtest.Put(t, s, []byte("object"))
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("cannot remount: %v", err)
	}
	err := store(t, s, []byte("more"))
	if escrow.CodeOf(err) != escrow.Unavailable || !strings.Contains(err.Error(), dir+": it is not writable") {
		t.Errorf("write to a read-only disk: %v", err)
	}
	if _, err := file.Open(dir); escrow.CodeOf(err) != escrow.Unavailable || !strings.Contains(err.Error(), dir) {
		t.Errorf("open on a read-only disk: %v", err)
	}
	r, err := s.Open(t.Context(), name)
	if err != nil {
		t.Fatalf("a read-only disk must still be readable: %v", err)
	}
	r.Close()
}

func tmpfs(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("cannot mount a small file system here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}
