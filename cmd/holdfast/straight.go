package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"

	"holdfast/internal/blob"
)

// straight is an outbox whose small objects go to the server without lying on
// a disk first. Larger ones, and everything when the depositor named an
// outbox, wait in it.
type straight struct {
	*outbox
	d *depositing

	mu   sync.Mutex
	free [][]byte
}

// maxStraight is the size from which an object goes through a file: a pack of
// a files deposit fits.
const maxStraight = 7 << 20

// Create implements blob.Store.
func (s *straight) Create(ctx context.Context) (blob.Writer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &straightWriter{ctx: ctx, to: s}
	if n := len(s.free); n > 0 {
		w.buf, s.free = s.free[n-1][:0], s.free[:n-1]
	}
	return w, nil
}

// straightWriter keeps an object in memory until it is known whole.
type straightWriter struct {
	ctx   context.Context
	to    *straight
	mu    sync.Mutex
	buf   []byte
	file  blob.Writer // once it became too large
	spent bool
}

func (w *straightWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil && len(w.buf)+len(p) > maxStraight {
		file, err := w.to.outbox.Create(w.ctx)
		if err != nil {
			return 0, err
		}
		w.file = file
		if _, err := file.Write(w.buf); err != nil {
			return 0, err
		}
		w.release()
	}
	if w.file != nil {
		return w.file.Write(p)
	}
	if w.buf == nil {
		w.buf = make([]byte, 0, maxStraight)
	}
	w.buf = append(w.buf, p...)
	return len(p), nil
}

func (w *straightWriter) ReadAt(p []byte, off int64) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file != nil {
		return w.file.ReadAt(p, off)
	}
	return bytes.NewReader(w.buf).ReadAt(p, off)
}

func (w *straightWriter) Commit(ctx context.Context) (string, int64, error) {
	if w.spent {
		return "", 0, errors.New("the object was sent or dropped already")
	}
	if w.file != nil {
		w.spent = true
		return w.file.Commit(ctx)
	}
	defer w.Abort()
	sum := sha256.Sum256(w.buf)
	name, size := hex.EncodeToString(sum[:]), int64(len(w.buf))
	if err := w.to.d.send(ctx, name, bytes.NewReader(w.buf), size, nil); err != nil {
		return "", 0, err
	}
	return name, size, nil
}

func (w *straightWriter) Abort() error {
	if w.spent {
		return nil
	}
	w.spent = true
	if w.file != nil {
		return w.file.Abort()
	}
	w.release()
	return nil
}

// release gives the buffer back for the next object.
func (w *straightWriter) release() {
	if cap(w.buf) > 0 {
		w.to.mu.Lock()
		w.to.free = append(w.to.free, w.buf)
		w.to.mu.Unlock()
	}
	w.buf = nil
}
