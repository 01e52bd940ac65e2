package file

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"holdfast/internal/escrow"
)

// operations are the calls to the file system that must not fail unseen.
// Tests replace them to fill disks and break syncs.
type operations struct {
	createTemp func(dir, pattern string) (temporary, error)
	mkdir      func(path string, mode fs.FileMode) error
	link       func(from, to string) error
	rename     func(from, to string) error
	syncDir    func(path string) error
}

// temporary is what a writer needs of its file.
type temporary interface {
	io.Writer
	io.ReaderAt
	io.Closer
	Sync() error
	Name() string
	Fd() uintptr
	Stat() (fs.FileInfo, error)
}

func osOperations() operations {
	return operations{
		createTemp: func(dir, pattern string) (temporary, error) { return os.CreateTemp(dir, pattern) },
		mkdir:      os.Mkdir,
		link:       os.Link,
		rename:     os.Rename,
		syncDir:    syncDir,
	}
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeDirs makes path and its missing parents, and syncs the parent of every
// directory it made: a directory whose own name is lost takes its files along.
func makeDirs(ops operations, path string) error {
	info, err := os.Stat(path)
	if err == nil {
		if !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: path, Err: errors.New("exists and is not a directory")}
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(path)
	if err := makeDirs(ops, parent); err != nil {
		return err
	}
	if err := ops.mkdir(path, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return ops.syncDir(parent)
}

// createTemp makes a temporary file and locks it. Between the two a starting
// process may take it for stale and remove it; then another one is made.
func (s *Store) createTemp() (temporary, error) {
	for {
		f, err := s.ops.createTemp(filepath.Join(s.dir, tempDir), tempName)
		if err != nil {
			return nil, err
		}
		locked, err := tryLock(f.Fd())
		if err == nil && locked && samePath(f) {
			return f, nil
		}
		f.Close()
		if err != nil {
			os.Remove(f.Name())
			return nil, err
		}
	}
}

func samePath(f temporary) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(f.Name())
	return err == nil && os.SameFile(open, named)
}

// removeStale removes the temporary files that nobody has locked: their
// writers are gone, since a lock ends with its process.
func (s *Store) removeStale() error {
	dir := filepath.Join(s.dir, tempDir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if ours, err := filepath.Match(tempName, e.Name()); err != nil || !ours || !e.Type().IsRegular() {
			continue
		}
		if err := removeIfUnlocked(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func removeIfUnlocked(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	locked, err := tryLock(f.Fd())
	if err != nil || !locked {
		return err
	}
	return os.Remove(name)
}

// explain turns an error of the file system into one that a person can act
// on: it names the directory and says what to do.
func explain(err error, verb, what, dir string) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return escrow.Wrap(err, escrow.Full, "no room left in the %s", what).
			WithHint("free space on its file system or raise the quota, then try again; nothing was stored")
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return escrow.Wrap(err, escrow.Unavailable, "cannot %s the %s: it is not writable", verb, what).
			WithHint("give the account that runs holdfast read and write access to %s", dir)
	}
	return escrow.Wrap(err, escrow.Unavailable, "cannot %s the %s", verb, what).
		WithHint("check the disk and the mount of %s", dir)
}
