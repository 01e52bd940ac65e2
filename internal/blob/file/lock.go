package file

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"holdfast/internal/escrow"
)

const lockName = "holdfast.lock"

// DirLock is the right to be the only process on a data directory.
type DirLock struct{ file *os.File }

// Lock takes dir for this process alone, making the directory if need be. If
// another process has it, the error has code Conflict and names its process
// id. The lock ends with Unlock or with the process, however that dies; the
// lock file stays, since removing it would let two processes lock two files of
// the same name.
func Lock(dir string) (*DirLock, error) {
	if err := makeDirs(osOperations(), dir); err != nil {
		return nil, lockError(err, dir)
	}
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, lockError(err, dir)
	}
	locked, err := tryLock(f.Fd())
	if err != nil {
		f.Close()
		return nil, lockError(err, dir)
	}
	if !locked {
		defer f.Close()
		return nil, escrow.Errorf(escrow.Conflict, "the data directory %s is in use by another process%s", dir, holder(f)).
			WithHint("stop that process, or give this one a data directory of its own")
	}
	// The number is for people only; the lock is what counts.
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	}
	if err != nil {
		f.Close()
		return nil, lockError(err, dir)
	}
	return &DirLock{f}, nil
}

// Unlock gives the directory free.
func (l *DirLock) Unlock() error { return l.file.Close() }

func holder(f *os.File) string {
	text, _ := io.ReadAll(io.LimitReader(f, 20))
	if pid := strings.TrimSpace(string(text)); pid != "" {
		return fmt.Sprintf(" (process %s)", pid)
	}
	return ""
}

func lockError(err error, dir string) error {
	return explain(err, "lock", "data directory "+dir, dir)
}

// TryLock takes an exclusive lock on an open file, which ends with the file,
// or reports that another open file has it.
func TryLock(f *os.File) (bool, error) { return tryLock(f.Fd()) }

// tryLock takes an exclusive lock on an open file, or reports that another
// open file has it.
func tryLock(fd uintptr) (bool, error) {
	for {
		switch err := syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB); {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, syscall.EINTR):
			return false, os.NewSyscallError("flock", err)
		}
	}
}
