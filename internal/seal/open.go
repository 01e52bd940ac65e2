package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"filippo.io/age"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// OpenOptions says what is known about a sealed object from its manifest.
// age headers are anonymous: without SealedTo, a damaged header and a wrong
// key look the same.
type OpenOptions struct {
	Name     string   // how errors call the object, such as its SHA-256
	Size     int64    // recorded size of the sealed bytes; 0 when unknown
	SealedTo []string // recipients it was sealed to; nil when unknown
}

// Open decrypts a sealed object as a stream. It tells apart, already here or
// from a later Read:
//
//   - a wrong key: [escrow.WrongKey], naming the fingerprint the object is
//     sealed to and the one offered;
//   - changed bytes: [escrow.Damaged], naming the byte offset in the object;
//   - an object that ends early: [escrow.Missing], naming where.
//
// Every byte that a Read returns has been authenticated, but only io.EOF says
// that the object was whole.
func Open(src io.Reader, opts OpenOptions, identities ...*age.HybridIdentity) (io.Reader, error) {
	counter := &countingReader{r: src}
	var head bytes.Buffer
	header, err := age.ExtractHeader(io.TeeReader(counter, &head))
	if err != nil {
		return nil, opts.headerError(err, counter.n, counter.ended)
	}
	plain, err := age.Decrypt(io.MultiReader(&head, counter), identityList(identities)...)
	if err != nil {
		if e := opts.keyError(err, int64(len(header)), identities); e != nil {
			return nil, e
		}
		return nil, opts.payloadError(err, int64(len(header)), 0, counter)
	}
	return &openReader{plain: plain, src: counter, opts: opts, header: int64(len(header))}, nil
}

// OpenAt is [Open] for an object that can be read at any offset. Size must be
// the object's size. The reader may be used concurrently.
func OpenAt(src io.ReaderAt, opts OpenOptions, identities ...*age.HybridIdentity) (io.ReaderAt, int64, error) {
	r, n, err := openAt(src, opts, identityList(identities)...)
	if e, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		return nil, 0, opts.keyError(e, 0, identities)
	}
	return r, n, err
}

func openAt(src io.ReaderAt, opts OpenOptions, identities ...age.Identity) (io.ReaderAt, int64, error) {
	marked := markedReaderAt{src}
	header, err := age.ExtractHeader(io.NewSectionReader(marked, 0, opts.Size))
	if err != nil {
		return nil, 0, opts.headerError(err, opts.Size, true)
	}
	plain, n, err := age.DecryptReaderAt(marked, opts.Size, identities...)
	if err != nil {
		if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
			return nil, 0, err
		}
		if e, ok := errors.AsType[sourceError](err); ok {
			return nil, 0, opts.readError(e.error, 0)
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, 0, opts.short()
		}
		// The last chunk is authenticated first: it proves the length.
		return nil, 0, opts.damaged(err, "in its header or its last chunk, or it is cut off")
	}
	return &openReaderAt{plain, opts, int64(len(header)), n}, n, nil
}

func identityList(identities []*age.HybridIdentity) []age.Identity {
	list := make([]age.Identity, len(identities))
	for i, id := range identities {
		list[i] = id
	}
	return list
}

func (o OpenOptions) headerError(err error, read int64, ended bool) error {
	if e, ok := errors.AsType[sourceError](err); ok {
		return o.readError(e.error, 0)
	}
	if ended && o.Size > 0 && read < o.Size {
		return o.truncated(read)
	}
	if read == 0 {
		return escrow.Errorf(escrow.Missing, "%s is empty", o.Name).WithHint("fetch it again, or from another location")
	}
	return o.damaged(err, "in its header")
}

// keyError tells a wrong key from a damaged header, or returns nil when err is
// neither.
func (o OpenOptions) keyError(err error, header int64, identities []*age.HybridIdentity) error {
	if _, ok := errors.AsType[*age.NoIdentityMatchError](err); !ok {
		// A file key came out, so the key is right and something else is not.
		if strings.Contains(err.Error(), "header MAC") {
			return o.damaged(err, "in its header, bytes 0 to %d", header)
		}
		return nil
	}
	var offered []string
	for _, id := range identities {
		print := fingerprint(id)
		if slices.ContainsFunc(o.SealedTo, func(r string) bool { return evidence.Fingerprint(r) == print }) {
			return o.damaged(err, "in its header: it is sealed to your key %s, but does not open with it", short(print))
		}
		offered = append(offered, short(print))
	}
	sealed := "another key"
	if len(o.SealedTo) > 0 {
		prints := make([]string, len(o.SealedTo))
		for i, r := range o.SealedTo {
			prints[i] = short(evidence.Fingerprint(r))
		}
		sealed = "key " + strings.Join(prints, ", ")
	}
	return escrow.Errorf(escrow.WrongKey, "%s is encrypted to %s, you offered %s", o.Name, sealed, strings.Join(offered, ", ")).
		WithHint("use the key of the compartment and epoch that the deposit names; the object itself is intact as far as can be seen")
}

// payloadError maps an error of the payload after plain bytes came out well.
func (o OpenOptions) payloadError(err error, header, plain int64, src *countingReader) error {
	if e, ok := errors.AsType[sourceError](err); ok {
		return o.readError(e.error, src.n)
	}
	if src.ended && (o.Size > 0 && src.n < o.Size || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)) {
		return o.truncated(src.n)
	}
	if strings.Contains(err.Error(), "trailing data") {
		return o.damaged(err, "there are bytes after its end")
	}
	return o.damaged(err, "in the chunk that begins at byte %d", chunkStart(header, plain))
}

func (o OpenOptions) truncated(at int64) error {
	e := escrow.Errorf(escrow.Missing, "%s ends at byte %d", o.Name, at)
	if o.Size > 0 {
		e = escrow.Errorf(escrow.Missing, "%s ends at byte %d of %d", o.Name, at, o.Size)
	}
	return e.WithHint("fetch the object again, or from another location")
}

func (o OpenOptions) short() error {
	return escrow.Errorf(escrow.Missing, "%s is shorter than its recorded %d bytes", o.Name, o.Size).
		WithHint("fetch the object again, or from another location")
}

func (o OpenOptions) damaged(err error, format string, args ...any) error {
	return escrow.Wrap(quiet{err}, escrow.Damaged, "%s is damaged %s", o.Name, fmt.Sprintf(format, args...)).
		WithHint("fetch the object again, or from another location; what came out before this point was authentic")
}

func (o OpenOptions) readError(err error, at int64) error {
	return fmt.Errorf("read %s at byte %d: %w", o.Name, at, err)
}

// quiet keeps a cause for errors.Is without repeating its text: age's texts
// speak of files and identities in words that would confuse here.
type quiet struct{ error }

func (quiet) Error() string   { return "" }
func (q quiet) Unwrap() error { return q.error }

// chunkStart is the offset in the sealed object of the chunk that holds the
// plaintext byte at plain.
func chunkStart(header, plain int64) int64 {
	return header + nonceSize + plain/chunkSize*(chunkSize+chunkOverhead)
}

type openReader struct {
	plain  io.Reader
	src    *countingReader
	opts   OpenOptions
	header int64
	n      int64
	err    error
}

func (r *openReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.plain.Read(p)
	r.n += int64(n)
	if err == nil || err == io.EOF {
		return n, err
	}
	r.err = r.opts.payloadError(err, r.header, r.n, r.src)
	return n, r.err
}

type openReaderAt struct {
	plain  io.ReaderAt
	opts   OpenOptions
	header int64
	size   int64
}

func (r *openReaderAt) ReadAt(p []byte, off int64) (int, error) {
	switch {
	case off < 0:
		return 0, fmt.Errorf("read %s: offset %d is negative", r.opts.Name, off)
	case off >= r.size:
		return 0, io.EOF
	}
	n, err := r.plain.ReadAt(p, off)
	if err == nil || err == io.EOF {
		return n, err
	}
	if e, ok := errors.AsType[sourceError](err); ok {
		return n, r.opts.readError(e.error, chunkStart(r.header, off+int64(n)))
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return n, r.opts.short()
	}
	return n, r.opts.damaged(err, "in the chunk that begins at byte %d", chunkStart(r.header, off+int64(n)))
}

// sourceError marks an error of the place the object is read from, so that a
// broken disk is not called damaged data.
type sourceError struct{ error }

func (e sourceError) Unwrap() error { return e.error }

type countingReader struct {
	r     io.Reader
	n     int64
	ended bool
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	switch {
	case err == io.EOF:
		c.ended = true
	case err != nil:
		err = sourceError{err}
	}
	return n, err
}

type markedReaderAt struct{ r io.ReaderAt }

func (m markedReaderAt) ReadAt(p []byte, off int64) (int, error) {
	n, err := m.r.ReadAt(p, off)
	if err != nil && err != io.EOF {
		err = sourceError{err}
	}
	return n, err
}
