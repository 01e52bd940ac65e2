package file

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"

	"holdfast/internal/blob"
	"holdfast/internal/escrow"
)

// Probe proves that the directory can be written.
func (s *Store) Probe(ctx context.Context) error {
	w, err := s.Create(ctx)
	if err != nil {
		return err
	}
	return w.Abort()
}

// Put implements [blob.Receiver].
func (s *Store) Put(ctx context.Context, name string, size int64, r io.Reader) error {
	w, err := s.receive(ctx, name, size, r)
	if err != nil {
		return err
	}
	defer w.Abort()
	_, _, err = w.Commit(ctx)
	return err
}

// Replace implements [blob.Receiver].
func (s *Store) Replace(ctx context.Context, name string, size int64, r io.Reader) error {
	w, err := s.receive(ctx, name, size, r)
	if err != nil {
		return err
	}
	defer w.Abort()
	_, err = w.Settle(ctx, name)
	return err
}

// receive writes the bytes of an object, and checks them, to a temporary file.
func (s *Store) receive(ctx context.Context, name string, size int64, r io.Reader) (*writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := blob.CheckName(name); err != nil {
		return nil, err
	}
	f, err := s.createTemp()
	if err != nil {
		return nil, s.explain(err, "create a file in")
	}
	w := newWriter(s, f)
	w.want = name
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(r, size+1), make([]byte, 256<<10)); err != nil {
		w.Abort()
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		w.Abort()
		return nil, err
	}
	if w.size != size {
		w.Abort()
		return nil, escrow.Errorf(escrow.Damaged, "%d bytes were given for object %s, which has %d", w.size, name, size)
	}
	return w, nil
}

// Stream implements [blob.Streamer].
func (s *Store) Stream(ctx context.Context) (blob.Stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := s.createTemp()
	if err != nil {
		return nil, s.explain(err, "create a file in")
	}
	return &writer{store: s, file: f}, nil
}

// Settle implements [blob.Stream].
func (w *writer) Settle(ctx context.Context, name string) (mended bool, err error) {
	if w.spent {
		return false, errSpent
	}
	defer w.Abort()
	if w.err != nil {
		return false, w.err
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if err := blob.CheckName(name); err != nil {
		return false, err
	}
	if w.hash != nil {
		if got := hex.EncodeToString(w.hash.Sum(nil)); got != name {
			return false, escrow.Errorf(escrow.Damaged, "the bytes given for object %s have the digest %s", name, got)
		}
	}
	if err := w.file.Sync(); err != nil {
		return false, w.store.explain(err, "sync a file in")
	}
	held, err := w.link(name)
	if err != nil {
		return false, err
	}
	if held {
		if mended, err = w.replaceDamaged(ctx, name); err != nil {
			return false, err
		}
	}
	return mended, w.syncShard(name)
}

// replaceDamaged puts the synced file in the place of what has the name,
// unless that is good.
func (w *writer) replaceDamaged(ctx context.Context, name string) (bool, error) {
	switch err := w.compareExisting(ctx, name); escrow.CodeOf(err) {
	case "", escrow.Missing: // good, or gone again
		if err == nil {
			return false, nil
		}
	case escrow.Damaged:
	default:
		return false, err
	}
	if err := w.store.aside(name); err != nil {
		return false, w.store.explain(err, "keep a damaged object aside in")
	}
	// The name never leads to nothing: rename is atomic.
	if err := w.store.ops.rename(w.file.Name(), w.store.path(name)); err != nil {
		return false, w.store.explain(err, "replace a damaged object in")
	}
	w.moved = true
	return true, nil
}

// aside gives what has the name of an object a second name, under which it
// stays when the first is given to a good copy.
func (s *Store) aside(name string) error {
	dir := filepath.Join(s.dir, asideDir)
	if err := makeDirs(s.ops, dir); err != nil {
		return err
	}
	for n := 1; n <= maxAside; n++ {
		err := s.ops.link(s.path(name), filepath.Join(dir, name+"."+strconv.Itoa(n)))
		switch {
		case err == nil:
			return s.ops.syncDir(dir)
		case errors.Is(err, fs.ErrNotExist):
			return nil // went missing since it was found damaged
		case !errors.Is(err, fs.ErrExist):
			return err
		}
	}
	return nil // enough of them are kept
}

// maxAside is how many damaged versions of one object are kept.
const maxAside = 8
