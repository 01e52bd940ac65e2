package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	"holdfast/internal/blob"
)

var errSpent = errors.New("the writer was committed or aborted already")

// Create implements [blob.Store]; see the package comment for the spool.
func (s *Store) Create(ctx context.Context) (blob.Writer, error) {
	spool, err := s.o.Spool.Stream(ctx)
	if err != nil {
		return nil, err
	}
	return &writer{s: s, spool: spool, hash: sha256.New()}, nil
}

type writer struct {
	s     *Store
	spool blob.Stream
	hash  hash.Hash
	size  int64
	err   error
	spent bool
}

func (w *writer) Write(p []byte) (int, error) {
	if w.spent {
		return 0, errSpent
	}
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.spool.Write(p)
	w.hash.Write(p[:n])
	w.size += int64(n)
	w.err = err
	return n, err
}

func (w *writer) ReadAt(p []byte, off int64) (int, error) { return w.spool.ReadAt(p, off) }

func (w *writer) Commit(ctx context.Context) (string, int64, error) {
	if w.spent {
		return "", 0, errSpent
	}
	defer w.Abort() //nolint:errcheck // the spool has done its work
	if w.err != nil {
		return "", 0, w.err
	}
	name := hex.EncodeToString(w.hash.Sum(nil))
	if err := w.s.Put(ctx, name, w.size, io.NewSectionReader(w.spool, 0, w.size)); err != nil {
		return "", 0, err
	}
	return name, w.size, nil
}

func (w *writer) Abort() error {
	if w.spent {
		return nil
	}
	w.spent = true
	return w.spool.Abort()
}
