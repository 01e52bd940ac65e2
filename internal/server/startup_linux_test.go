package server_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"holdfast/client"
	"holdfast/internal/config"
	"holdfast/internal/escrow"
	"holdfast/internal/server"
)

// asNobody runs f as a user who may write nothing of ours, also when the test
// runs as root. The whole process is that user for so long, since locations are
// tried side by side, on other threads: a test that uses it is not parallel.
func asNobody(t testing.TB, f func()) {
	t.Helper()
	if os.Getuid() != 0 {
		f()
		return
	}
	if err := syscall.Setreuid(-1, 65534); err != nil {
		t.Skipf("cannot become somebody else: %v", err)
	}
	defer func() {
		if err := syscall.Setreuid(-1, 0); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

// TestUnwritable: an installation whose files may not be written, or read, is
// refused at the start with the path.
func TestUnwritable(t *testing.T) {
	in := install(t, nil)
	in.stop()
	open, err := os.MkdirTemp("", "holdfast-unwritable-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(open) })
	mode := func(path string, m os.FileMode) {
		t.Helper()
		if err := os.Chmod(path, m); err != nil {
			t.Fatal(err)
		}
	}
	mode(open, 0o555)
	for _, c := range []struct {
		name string
		data func(t *testing.T) string // the data directory
		path string                    // within it, that the error names
	}{
		{"parent of the data directory", func(*testing.T) string { return filepath.Join(open, "data") }, ""},
		{"data directory", func(*testing.T) string { return open }, ""},
		{"keys that may not be read", func(t *testing.T) string { return in.reachable(t, "") }, "keys"},
		{"database file", func(t *testing.T) string { return in.reachable(t, "holdfast.db") }, "holdfast.db"},
		{"objects", func(t *testing.T) string { return in.reachable(t, "objects") }, "objects"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conf := config.Default()
			conf.Data, conf.Listen = c.data(t), "127.0.0.1:0"
			var err error
			asNobody(t, func() { err = opens(t, conf) })
			refused(t, c.name, err, escrow.Unavailable, filepath.Join(conf.Data, c.path))
		})
	}
}

// reachable copies the installation to where anybody may do anything, but for
// one path in it, or for the keys when that is "".
func (in *installation) reachable(t testing.TB, closed string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "holdfast-reachable-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data := filepath.Join(dir, "data")
	if err := os.CopyFS(data, os.DirFS(in.dir)); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(data, path)
		switch {
		case closed == "" && strings.HasPrefix(rel, "keys"+string(filepath.Separator)):
			return os.Chmod(path, 0o000)
		case closed != "" && strings.HasPrefix(rel, closed):
			if e.IsDir() {
				return os.Chmod(path, 0o555)
			}
			return os.Chmod(path, 0o444)
		case e.IsDir():
			return os.Chmod(path, 0o777)
		}
		return os.Chmod(path, 0o666)
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestFullDisk: whatever the disk fills up with, a deposit that does not fit
// is not acknowledged, what was acknowledged stays, and with room again
// everything goes on.
func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("SKIPPED: cannot mount a small file system here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	in := install(t, func(c *config.Config) { c.Data = filepath.Join(disk, "data") })
	in.ceremony(1)
	pulled, pushed := newSource(t, "sha1"), newSource(t, "sha1")
	in.source("r1", client.ModuleSource{URL: pulled.Dir})
	d := in.depositor(t, "r2", pushed)
	in.mustSync("r1", 1)
	if _, err := d.deposit(t.Context()); err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(disk, "ballast")
	number, failures := map[string]int{"r1": 1, "r2": 1}, map[string]int{}
	for i, free := range []int64{0, 4 << 10, 24 << 10, 60 << 10, 120 << 10, 400 << 10, 8 << 10, 16 << 10, 28 << 10, 40 << 10, 64 << 10, 96 << 10, 2 << 20} {
		if i < 6 { // it is the objects that do not fit
			churn(t, pulled)
			churn(t, pushed)
		} else { // it is the database: its log begins small after a start
			in.stop()
			in.start()
			d.client = in.as("supplier")
			commit(t, pulled, 20+i)
			commit(t, pushed, 20+i)
		}
		fill(t, disk, ballast, free)
		tried := map[string]error{
			"r1": in.server.SyncNow(context.WithoutCancel(t.Context()), arrangementID, "r1"),
		}
		_, tried["r2"] = d.deposit(t.Context())
		for module, err := range tried {
			switch {
			case err == nil:
				number[module]++
			case code(err) != escrow.Full:
				t.Errorf("%s with %d bytes of room: %v (%s)", module, free, err, code(err))
			default:
				where := "objects"
				if strings.Contains(err.Error(), "database") {
					where = "database"
				}
				failures[where]++
			}
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		for module, n := range number {
			list, _ := in.deposits(module)
			if module == "r1" && len(list) == n+1 && tried[module] != nil {
				number[module]++ // it was accepted, and then there was no room to note how the sync went
			} else if len(list) != n {
				t.Fatalf("%s with %d bytes of room: %d deposits, %d acknowledged; %v", module, free, len(list), n, tried[module])
			}
		}
	}
	if failures["objects"] == 0 || failures["database"] == 0 {
		t.Errorf("a full disk was met by %v", failures)
	}
	// Room again: the next ones work, and nothing of the others lies about.
	churn(t, pulled)
	churn(t, pushed)
	if text := in.sync("r1"); text != "" {
		t.Errorf("with room again: %s", text)
	}
	if _, err := d.deposit(t.Context()); err != nil {
		t.Errorf("with room again: %v", err)
	}
	in.restored("r1", number["r1"]+1, look(t, pulled))
	in.restored("r2", number["r2"]+1, look(t, pushed))
	if left, err := os.ReadDir(filepath.Join(in.config.ObjectsDir(), "tmp")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
	in.stop()
	if _, err := server.Verify(t.Context(), in.config, server.Options{}, nil, nil); err != nil {
		t.Error(err)
	}
	t.Logf("a full disk was met by %v", failures)

	// No room for a start: nothing half-made stays behind.
	fresh := config.Default()
	fresh.Data, fresh.Listen = filepath.Join(disk, "fresh"), "127.0.0.1:0"
	for _, free := range []int64{0, 4 << 10, 12 << 10, 20 << 10, 28 << 10, 60 << 10, 100 << 10} {
		fill(t, disk, ballast, free)
		if err := opens(t, fresh); err != nil && escrow.CodeOf(err) != escrow.Full {
			t.Errorf("a first start with %d bytes of room: %v (%s)", free, err, escrow.CodeOf(err))
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	}
	if err := opens(t, fresh); err != nil {
		t.Errorf("a first start with room again: %v", err)
	}
}

// fill leaves so many bytes of room on a disk.
func fill(t testing.TB, disk, ballast string, free int64) {
	t.Helper()
	var fs syscall.Statfs_t
	if err := syscall.Statfs(disk, &fs); err != nil {
		t.Fatal(err)
	}
	size := int64(fs.Bavail)*fs.Bsize - free
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 64<<10)
	for size > 0 && err == nil {
		var n int
		n, err = f.Write(block[:min(size, int64(len(block)))])
		size -= int64(n)
	}
	if err := errors.Join(err, f.Close()); err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}
