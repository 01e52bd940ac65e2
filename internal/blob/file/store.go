// Package file keeps objects as files of one directory. It imports blob,
// escrow, the standard library and golang.org/x/sys, and runs on Unix.
//
// Layout, all of it below the directory given to [Open]:
//
//	tmp/put-123     being written; locked by its writer
//	ab/abcd…        an object, in the shard of its first two digits
//	aside/abcd….1   what was found under the name of an object and was not it
//
// Why an object is never partial under its name, and never lost once
// acknowledged: the bytes are written to a temporary file of the same file
// system and hashed on the way; the file is synced, so the bytes are on the
// disk before any name leads to them; it is then linked to its final name,
// which is atomic and fails if the name exists, where rename would replace;
// the directory is synced, so the name is on the disk before anybody is told.
// A crash before the link leaves a temporary file, one before the last sync
// leaves a whole object or none.
package file

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"holdfast/internal/blob"
	"holdfast/internal/escrow"
)

const (
	dirMode  = 0o700
	tempDir  = "tmp"
	asideDir = "aside"
	tempName = "put-*"
)

// Store is a [blob.Store] in a directory. Several processes may use the same
// directory; whoever must be alone on it takes [Lock] as well.
type Store struct {
	dir string
	ops operations

	mu     sync.Mutex
	shards map[string]bool // known to be durable in dir
}

var (
	_ blob.Store    = (*Store)(nil)
	_ blob.Lister   = (*Store)(nil)
	_ blob.Deleter  = (*Store)(nil)
	_ blob.Receiver = (*Store)(nil)
	_ blob.Streamer = (*Store)(nil)
)

// Open prepares dir, making it if need be, proves that it can be written, and
// removes temporary files whose writers are dead. Those of living writers, in
// this process or another, are left alone.
func Open(dir string) (*Store, error) {
	return open(dir, osOperations())
}

func open(dir string, ops operations) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, escrow.Wrap(err, escrow.Invalid, "object directory %s", dir)
	}
	s := &Store{dir: dir, ops: ops, shards: make(map[string]bool)}
	if err := makeDirs(ops, filepath.Join(dir, tempDir)); err != nil {
		return nil, s.explain(err, "prepare")
	}
	if err := s.removeStale(); err != nil {
		return nil, s.explain(err, "clean")
	}
	// A directory that cannot be written must be known at start, not at the
	// first deposit.
	w, err := s.Create(context.Background())
	if err != nil {
		return nil, err
	}
	return s, w.Abort()
}

// Create begins an object. The temporary file is in the store's directory, so
// that it can be linked, and has no reader but this process.
func (s *Store) Create(ctx context.Context) (blob.Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := s.createTemp()
	if err != nil {
		return nil, s.explain(err, "create a file in")
	}
	return newWriter(s, f), nil
}

// Open opens an object for reading.
func (s *Store) Open(ctx context.Context, name string) (blob.Reader, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := blob.CheckName(name); err != nil {
		return nil, err
	}
	f, err := os.Open(s.path(name))
	if err != nil {
		return nil, s.readError(err, name)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		f.Close()
		return nil, s.readError(err, name)
	}
	return reader{f, info.Size()}, nil
}

// Stat returns an object's size.
func (s *Store) Stat(ctx context.Context, name string) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := blob.CheckName(name); err != nil {
		return 0, err
	}
	info, err := os.Lstat(s.path(name))
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		return 0, s.readError(err, name)
	}
	return info.Size(), nil
}

// List walks the objects in ascending order of names. Files that are not
// objects are passed over.
func (s *Store) List(ctx context.Context, fn func(name string, size int64) error) error {
	shards, err := os.ReadDir(s.dir)
	if err != nil {
		return s.explain(err, "list")
	}
	for _, shard := range shards {
		if !shard.IsDir() || len(shard.Name()) != 2 {
			continue
		}
		entries, err := os.ReadDir(filepath.Join(s.dir, shard.Name()))
		if err != nil {
			return s.explain(err, "list")
		}
		for _, e := range entries {
			if err := ctx.Err(); err != nil {
				return err
			}
			if blob.CheckName(e.Name()) != nil || !strings.HasPrefix(e.Name(), shard.Name()) {
				continue
			}
			info, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // deleted since the directory was read
			}
			if err != nil {
				return s.explain(err, "list")
			}
			if err := fn(e.Name(), info.Size()); err != nil {
				return err
			}
		}
	}
	return nil
}

// Delete removes an object and makes its absence durable.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := blob.CheckName(name); err != nil {
		return err
	}
	path := s.path(name)
	if err := os.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return s.explain(err, "delete from")
	}
	if err := s.ops.syncDir(filepath.Dir(path)); err != nil {
		return s.explain(err, "sync")
	}
	return nil
}

func (s *Store) path(name string) string {
	return filepath.Join(s.dir, name[:2], name)
}

// ensureShard makes the shard's directory durable. Once per process and shard
// the parent is synced even if the shard was there already: another process
// may have made it a moment ago and not synced it yet.
func (s *Store) ensureShard(shard string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shards[shard] {
		return nil
	}
	if err := s.ops.mkdir(filepath.Join(s.dir, shard), dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := s.ops.syncDir(s.dir); err != nil {
		return err
	}
	s.shards[shard] = true
	return nil
}

func (s *Store) explain(err error, verb string) error {
	return explain(err, verb, "object directory "+s.dir, s.dir)
}

func (s *Store) readError(err error, name string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return escrow.Wrap(err, escrow.Missing, "object %s is not held", name)
	}
	return escrow.Wrap(err, escrow.Unavailable, "object %s cannot be read in %s", name, s.dir).
		WithHint("check the disk and the access rights of %s", s.dir)
}

type reader struct {
	*os.File
	size int64
}

func (r reader) Size() int64 { return r.size }
