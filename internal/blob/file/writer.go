package file

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io/fs"
	"os"
	"path/filepath"

	"holdfast/internal/blob"
	"holdfast/internal/escrow"
)

var errSpent = errors.New("the writer was committed or aborted already")

// writer is one temporary file on its way to becoming an object.
type writer struct {
	store *Store
	file  temporary
	hash  hash.Hash // nil where the caller hashes
	want  string    // the name that the bytes must have, "" if any will do
	size  int64
	begun int64 // bytes whose way to the disk has begun
	err   error // the first failed write; nothing can be committed after it
	spent bool
	moved bool // the temporary name is not its own any more
}

func newWriter(s *Store, f temporary) *writer {
	return &writer{store: s, file: f, hash: sha256.New()}
}

func (w *writer) Write(p []byte) (int, error) {
	if w.spent {
		return 0, errSpent
	}
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.file.Write(p)
	if w.hash != nil {
		w.hash.Write(p[:n])
	}
	w.size += int64(n)
	if err != nil {
		w.err = w.store.explain(err, "write to")
		return n, w.err
	}
	// The disk works while bytes come, and not only when all are there: then
	// the sync has little left to wait for.
	if w.size-w.begun >= writeBehind {
		startWriting(w.file.Fd(), w.begun, w.size-w.begun)
		w.begun = w.size
	}
	return n, nil
}

// writeBehind is how many bytes are gathered before the disk is told to begin.
const writeBehind = 1 << 20

func (w *writer) ReadAt(p []byte, off int64) (int, error) {
	return w.file.ReadAt(p, off)
}

func (w *writer) Commit(ctx context.Context) (string, int64, error) {
	if w.spent {
		return "", 0, errSpent
	}
	defer w.Abort() // removes the temporary name, also after success
	if w.err != nil {
		return "", 0, w.err
	}
	if err := ctx.Err(); err != nil {
		return "", 0, err
	}
	// A failed sync is final. The kernel may have dropped the pages and call
	// the next sync of the same file a success.
	if err := w.file.Sync(); err != nil {
		return "", 0, w.store.explain(err, "sync a file in")
	}
	name := hex.EncodeToString(w.hash.Sum(nil))
	if w.want != "" && name != w.want {
		return "", 0, escrow.Errorf(escrow.Damaged, "the bytes given for object %s have the digest %s", w.want, name)
	}
	switch held, err := w.link(name); {
	case err != nil:
		return "", 0, err
	case held:
		if err := w.compareExisting(ctx, name); err != nil {
			return "", 0, err
		}
	}
	if err := w.syncShard(name); err != nil {
		return "", 0, err
	}
	return name, w.size, nil
}

// link gives the synced file its final name. held says that something has the
// name already.
func (w *writer) link(name string) (held bool, err error) {
	if err := w.store.ensureShard(name[:2]); err != nil {
		return false, w.store.explain(err, "make a shard in")
	}
	switch err := w.store.ops.link(w.file.Name(), w.store.path(name)); {
	case errors.Is(err, fs.ErrExist):
		return true, nil
	case err != nil:
		return false, w.store.explain(err, "link an object in")
	}
	return false, nil
}

// syncShard makes the name durable. Also when the object was there: whoever
// linked it may not have synced the directory yet, and this caller is about to
// be told it is durable.
func (w *writer) syncShard(name string) error {
	if err := w.store.ops.syncDir(filepath.Dir(w.store.path(name))); err != nil {
		return w.store.explain(err, "sync")
	}
	return nil
}

// compareExisting makes sure that the object which has the name already has
// the bytes too. One that decayed on disk must not be acknowledged again; it
// is not replaced either, since that is the scrubber's decision.
func (w *writer) compareExisting(ctx context.Context, name string) error {
	r, err := w.store.Open(ctx, name)
	if err != nil {
		return err
	}
	defer r.Close()
	if r.Size() != w.size {
		return escrow.Errorf(escrow.Damaged, "object %s is held with %d bytes, its name belongs to %d bytes", name, r.Size(), w.size).
			WithHint("heal the object from another location, then deposit again")
	}
	return blob.Check(ctx, r, name)
}

func (w *writer) Abort() error {
	if w.spent {
		return nil
	}
	w.spent = true
	// The name goes first: while the file is open it is locked, so a cleaner
	// in another process cannot meet it half removed.
	var err error
	if !w.moved {
		err = os.Remove(w.file.Name())
	}
	return errors.Join(err, w.file.Close())
}
