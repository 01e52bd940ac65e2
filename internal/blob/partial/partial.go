// Package partial keeps the beginnings of uploads that broke off, so that
// they can go on where they stopped. What it holds was never acknowledged and
// may be thrown away at any time: an upload then starts again. It imports
// blob, blob/file, evidence, escrow and the standard library.
package partial

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"holdfast/evidence"
	"holdfast/internal/blob"
	"holdfast/internal/blob/file"
	"holdfast/internal/escrow"
)

// Limits: a beginning is kept for a week, and so many for one module.
const (
	keepFor   = 7 * 24 * time.Hour
	perModule = 64
)

// Store keeps beginnings as files of one directory, in a folder per module.
type Store struct {
	dir string
	now func() time.Time
}

// Open prepares dir and throws away what is older than a week.
func Open(dir string, now func() time.Time) (*Store, error) {
	s := &Store{dir, now}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, escrow.Wrap(err, escrow.Unavailable, "directory of uploads %s", dir)
	}
	folders, err := os.ReadDir(dir)
	if err != nil {
		return nil, escrow.Wrap(err, escrow.Unavailable, "directory of uploads %s", dir)
	}
	for _, f := range folders {
		if _, err := s.sweep(filepath.Join(dir, f.Name())); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// sweep removes old files of a folder and returns the others, oldest first.
func (s *Store) sweep(folder string) ([]fs.FileInfo, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, escrow.Wrap(err, escrow.Unavailable, "uploads in %s", folder)
	}
	var left []fs.FileInfo
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue // removed since
		}
		if s.now().Sub(info.ModTime()) > keepFor {
			_ = os.Remove(filepath.Join(folder, e.Name())) // tried again next time
			continue
		}
		left = append(left, info)
	}
	slices.SortFunc(left, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	return left, nil
}

func (s *Store) folder(arrangement, module string) string {
	return filepath.Join(s.dir, evidence.Digest([]byte(arrangement + "\n" + module))[:32])
}

// Offset tells how much of an object has arrived.
func (s *Store) Offset(arrangement, module, name string) (int64, error) {
	if err := blob.CheckName(name); err != nil {
		return 0, err
	}
	info, err := os.Stat(filepath.Join(s.folder(arrangement, module), name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, escrow.Wrap(err, escrow.Unavailable, "upload of %s", name)
	}
	return info.Size(), nil
}

// Take gives the beginning of an object to one caller, with nothing in it if
// there is none. While it is taken, others get an error with code Conflict.
func (s *Store) Take(arrangement, module, name string) (*Upload, error) {
	if err := blob.CheckName(name); err != nil {
		return nil, err
	}
	folder := s.folder(arrangement, module)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, escrow.Wrap(err, escrow.Unavailable, "upload of %s", name)
	}
	path := filepath.Join(folder, name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		others, err := s.sweep(folder)
		if err != nil {
			return nil, err
		}
		for len(others) >= perModule {
			_ = os.Remove(filepath.Join(folder, others[0].Name())) // whoever uploads it starts again
			others = others[1:]
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, escrow.Wrap(err, escrow.Unavailable, "upload of %s", name)
	}
	locked, err := file.TryLock(f)
	if err != nil || !locked {
		_ = f.Close() // nothing was written
		if err != nil {
			return nil, escrow.Wrap(err, escrow.Unavailable, "upload of %s", name)
		}
		return nil, escrow.Errorf(escrow.Conflict, "object %s is being uploaded already", name).WithHint("wait for the other upload, then ask for its offset")
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(escrow.Wrap(err, escrow.Unavailable, "upload of %s", name), f.Close())
	}
	return &Upload{f, info.Size()}, nil
}

// Upload is the beginning of one object, taken by one caller.
type Upload struct {
	file *os.File
	size int64
}

// Size is how much has arrived.
func (u *Upload) Size() int64 { return u.size }

// Append adds what r gives; what was written counts also after an error.
func (u *Upload) Append(r io.Reader) (int64, error) {
	n, err := io.Copy(io.NewOffsetWriter(u.file, u.size), r)
	u.size += n
	return n, err
}

// Cut takes off what comes after size.
func (u *Upload) Cut(size int64) error {
	if err := u.file.Truncate(size); err != nil {
		return escrow.Wrap(err, escrow.Unavailable, "cut an upload")
	}
	u.size = size
	return nil
}

// Content reads it from its beginning.
func (u *Upload) Content() io.Reader { return io.NewSectionReader(u.file, 0, u.size) }

// Drop throws it away. The lock holds until Close.
func (u *Upload) Drop() error {
	if err := os.Remove(u.file.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return escrow.Wrap(err, escrow.Unavailable, "drop an upload")
	}
	return nil
}

// Close gives it free.
func (u *Upload) Close() error { return u.file.Close() }
