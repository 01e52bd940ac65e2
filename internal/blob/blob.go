// Package blob is the contract of the object stores: immutable bytes, named
// by their SHA-256. It imports the standard library, evidence and escrow;
// drivers live in sub-packages and pass the suite in blobtest.
package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// Store keeps objects. Implementations are safe for concurrent use.
//
// An object is either wholly there under its name or not there at all, at
// every moment and after every crash; what Commit has acknowledged survives
// the loss of power; an object is never changed or overwritten. A name that
// is not a lower-case hexadecimal SHA-256 is refused with code Invalid; an
// object that is not held gives code Missing.
type Store interface {
	// Create begins an object whose name is not known yet. The caller must
	// end it with Commit or Abort.
	Create(ctx context.Context) (Writer, error)
	// Open gives random access to an object. The bytes are not compared with
	// the name; see [Check].
	Open(ctx context.Context, name string) (Reader, error)
	// Stat returns the object's size in bytes.
	Stat(ctx context.Context, name string) (int64, error)
}

// Writer takes the bytes of one object. It is not safe for concurrent writes,
// but ReadAt may run beside Write and sees the bytes of every Write that has
// returned.
type Writer interface {
	io.Writer
	io.ReaderAt
	// Commit makes the object durable and returns its name and its size in
	// bytes. An object with the same bytes that is held already is success.
	// After an error nothing is acknowledged and the writer is spent.
	Commit(ctx context.Context) (name string, size int64, err error)
	// Abort throws the bytes away. It does nothing after Commit or a former
	// Abort, so that it can be deferred.
	Abort() error
}

// Reader gives random access to one object.
type Reader interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Lister walks a store. It is for the scrubber and the collector.
type Lister interface {
	// List calls fn for every object in ascending order of names and stops at
	// the first error, which it returns. Objects that are committed while it
	// runs may be left out.
	List(ctx context.Context, fn func(name string, size int64) error) error
}

// Deleter removes objects. It is for the collector, which knows what may go.
type Deleter interface {
	// Delete removes an object for good; one that is not there is no error.
	Delete(ctx context.Context, name string) error
}

// Receiver takes objects whose names are known before their bytes. Locations
// are receivers: whoever copies an object from one to another knows its name.
type Receiver interface {
	// Put stores the size bytes of r under name and makes them durable. Bytes
	// that are fewer, more or others than the name says give code Damaged, and
	// nothing is stored. An object that is there already is compared with its
	// name: a good one is success, another one gives code Damaged.
	Put(ctx context.Context, name string, size int64, r io.Reader) error
	// Replace puts good bytes where an object is missing or damaged, in one
	// step: at every moment there is the old object or the new one. A good
	// object is left as it is. What was damaged is kept aside for those who
	// want to know why.
	Replace(ctx context.Context, name string, size int64, r io.Reader) error
}

// Streamer takes bytes before their name is known, from a caller that hashes
// them itself: who writes to several locations hashes once.
type Streamer interface {
	Stream(ctx context.Context) (Stream, error)
}

// Stream is the bytes of one object on their way, like [Writer].
type Stream interface {
	io.Writer
	io.ReaderAt
	// Settle makes the object durable under the name that the caller computed
	// from the bytes it wrote. If a damaged object has the name already it is
	// replaced, as by [Receiver], and mended is true.
	Settle(ctx context.Context, name string) (mended bool, err error)
	// Abort is that of [Writer].
	Abort() error
}

// CheckName refuses what cannot be the name of an object, and so keeps paths
// and URLs out of the drivers.
func CheckName(name string) error {
	if !evidence.IsDigest(name) {
		return escrow.Errorf(escrow.Invalid, "%.80q is not an object name", name).
			WithHint("an object is named by the SHA-256 of its bytes, 64 lower-case hexadecimal digits")
	}
	return nil
}

// Check reads the whole object and compares it with its name. Bytes that
// differ give an error with code Damaged that names the object.
func Check(ctx context.Context, r Reader, name string) error {
	h := sha256.New()
	n, err := io.Copy(h, contextReader{ctx, io.NewSectionReader(r, 0, r.Size())})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return escrow.Wrap(err, escrow.Damaged, "object %s cannot be read past byte %d", name, n)
	}
	if n != r.Size() {
		return escrow.Errorf(escrow.Damaged, "object %s ends at byte %d of %d", name, n, r.Size())
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != name {
		return escrow.Errorf(escrow.Damaged, "object %s is damaged: its bytes have the digest %s", name, got)
	}
	return nil
}

// Exactly reads size bytes of r that must hash to name. The last Read gives an
// error with code Damaged instead of io.EOF when they do not.
func Exactly(ctx context.Context, r io.Reader, name string, size int64) io.Reader {
	return &exactReader{r: contextReader{ctx, r}, name: name, left: size, hash: sha256.New()}
}

type exactReader struct {
	r    io.Reader
	name string
	left int64
	hash hash.Hash
	err  error
}

func (e *exactReader) Read(p []byte) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	// One more than is left, so that bytes too many are seen.
	if int64(len(p)) > e.left+1 {
		p = p[:e.left+1]
	}
	n, err := e.r.Read(p)
	e.hash.Write(p[:n])
	e.left -= int64(n)
	switch {
	case e.left < 0:
		e.err = escrow.Errorf(escrow.Damaged, "object %s has more bytes than it should", e.name)
		return 0, e.err
	case errors.Is(err, io.EOF):
		e.err = e.end()
		return n, e.err
	}
	e.err = err
	return n, err
}

func (e *exactReader) end() error {
	if e.left > 0 {
		return escrow.Errorf(escrow.Damaged, "object %s ends %d bytes early", e.name, e.left)
	}
	if got := hex.EncodeToString(e.hash.Sum(nil)); got != e.name {
		return escrow.Errorf(escrow.Damaged, "object %s is damaged: its bytes have the digest %s", e.name, got)
	}
	return io.EOF
}

// contextReader lets a cancelled caller out of a long read.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
