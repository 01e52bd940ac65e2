// Package blob is the contract of the object stores: immutable bytes, named
// by their SHA-256. It imports the standard library, evidence and escrow;
// drivers live in sub-packages and pass the suite in blobtest.
package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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
