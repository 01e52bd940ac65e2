// Package backup is the archive that holds a whole installation: its state,
// its keys sealed to the operator, its objects or the list of them.
//
// It imports evidence, escrow, age and the standard library; where the state
// comes from and goes to is its caller's.
//
// The archive is a tar file that stock tools list, with these entries in this
// order and no others:
//
//	backup.json     what it is, see [Header]
//	database.zst    the state: a dump of the store, compressed with zstd
//	keys.age        the installation's keys as JSON, name to text, sealed with age; not without keys
//	objects.txt     a line for each object: name, space, size
//	objects/NAME    each object of the list, in its order; not when they are only listed
//	end.json        the SHA-256 of all entries before it that are not objects
package backup

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// Format names the archive's form.
const Format = "holdfast/backup/v1"

// Header says what an archive holds.
type Header struct {
	Format    string `json:"format"`
	Origin    string `json:"origin"`     // of the ledger
	LedgerKey string `json:"ledger_key"` // verifies its checkpoints
	Size      int64  `json:"size"`       // entries of the ledger
	Root      string `json:"root"`
	Made      string `json:"made"`
	Engine    string `json:"engine"` // it was made from; either reads it
	Keys      bool   `json:"keys"`
	Copied    bool   `json:"copied"` // objects are in it, and not only listed
	Objects   int64  `json:"objects"`
	Bytes     int64  `json:"bytes"` // of all objects
}

// Object is a line of the list.
type Object struct {
	Name string
	Size int64
}

// The names of the entries.
const (
	headerEntry   = "backup.json"
	databaseEntry = "database.zst"
	keysEntry     = "keys.age"
	listEntry     = "objects.txt"
	objectsEntry  = "objects/"
	endEntry      = "end.json"
)

// Bounds of entries that are read into memory.
const (
	maxHeader = 1 << 20
	maxKeys   = 1 << 20
	maxList   = 4 << 30
	maxLine   = 64 + 1 + 19 + 1
)

// end is the last entry.
type end struct {
	Digests map[string]string `json:"digests"`
}

// Writer writes an archive. The calls come in the order of the entries.
type Writer struct {
	tar     *tar.Writer
	digests map[string]string
}

// NewWriter begins an archive on w.
func NewWriter(w io.Writer) *Writer {
	return &Writer{tar: tar.NewWriter(w), digests: map[string]string{}}
}

// Header writes what the archive is.
func (w *Writer) Header(h Header) error {
	data, err := json.MarshalIndent(h, "", "  ")
	if err != nil {
		return err
	}
	return w.entry(headerEntry, bytes.NewReader(append(data, '\n')), int64(len(data))+1)
}

// Database writes the state, of which r has size bytes.
func (w *Writer) Database(r io.Reader, size int64) error { return w.entry(databaseEntry, r, size) }

// Keys writes the sealed keys.
func (w *Writer) Keys(sealed []byte) error {
	return w.entry(keysEntry, bytes.NewReader(sealed), int64(len(sealed)))
}

// List writes the list of objects, in ascending order of names.
func (w *Writer) List(objects []Object) error {
	var out bytes.Buffer
	for _, o := range objects {
		fmt.Fprintf(&out, "%s %d\n", o.Name, o.Size)
	}
	return w.entry(listEntry, &out, int64(out.Len()))
}

// Object writes one object; bytes that are not those of its name are an error.
func (w *Writer) Object(o Object, r io.Reader) error {
	if err := w.begin(objectsEntry+o.Name, o.Size); err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(w.tar, sum), io.LimitReader(r, o.Size+1))
	if err != nil && !errors.Is(err, tar.ErrWriteTooLong) {
		return fmt.Errorf("object %s: %w", o.Name, err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); n != o.Size || got != o.Name {
		return escrow.Errorf(escrow.Damaged, "object %s has %d bytes with the digest %s, recorded are %d bytes", o.Name, n, got, o.Size).
			WithHint("run holdfast verify; heal the object, then make the backup again")
	}
	return nil
}

// Close ends the archive. It does not close what it writes to.
func (w *Writer) Close() error {
	data, err := json.Marshal(end{w.digests})
	if err != nil {
		return err
	}
	if err := w.entry(endEntry, bytes.NewReader(append(data, '\n')), int64(len(data))+1); err != nil {
		return err
	}
	return w.tar.Close()
}

func (w *Writer) begin(name string, size int64) error {
	// The same backup is the same bytes: no times, owners or names of this machine.
	return w.tar.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: size, Mode: 0o600, Format: tar.FormatPAX})
}

func (w *Writer) entry(name string, r io.Reader, size int64) error {
	if err := w.begin(name, size); err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(w.tar, sum), r)
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	w.digests[name] = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// Target takes what an archive holds, in its order. Each call must read its
// reader to the end. An error ends the reading and is returned as it is.
type Target struct {
	Header   func(Header) error
	Database func(io.Reader) error
	Keys     func(sealed []byte) error
	Object   func(Object, io.Reader) error // nil: objects are checked and go nowhere
}

// Read reads an archive from its first byte to its last. Anything that is not
// exactly as [Writer] writes it, cut off, changed or added, is an error with
// code Invalid or Damaged; only after Read has returned nil does what the
// target got count. Names are compared with what is expected and never used as
// paths.
func Read(ctx context.Context, in io.Reader, t Target) (*Header, error) {
	r := &reader{ctx: ctx, tar: tar.NewReader(bufio.NewReaderSize(in, 1<<20)), digests: map[string]string{}}
	h, err := r.run(t)
	if err != nil {
		return nil, explain(err)
	}
	return h, nil
}

func explain(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return escrow.Wrap(err, escrow.Damaged, "the backup is cut off").WithHint("fetch it again, or take another one")
	case errors.Is(err, tar.ErrHeader):
		return escrow.Wrap(err, escrow.Invalid, "this is not a backup of holdfast, or it is damaged")
	}
	return err
}

type reader struct {
	ctx     context.Context
	tar     *tar.Reader
	digests map[string]string
}

func (r *reader) run(t Target) (*Header, error) {
	data, err := r.small(headerEntry, maxHeader)
	if err != nil {
		return nil, err
	}
	h := new(Header)
	if err := json.Unmarshal(data, h); err != nil || h.Format != Format {
		return nil, escrow.Errorf(escrow.Invalid, "this is not a backup of holdfast, or of a version that is not known here")
	}
	if h.Size < 0 || h.Objects < 0 || h.Bytes < 0 {
		return nil, escrow.Errorf(escrow.Invalid, "%s: a number is below zero", headerEntry)
	}
	if t.Header != nil {
		if err := t.Header(*h); err != nil {
			return nil, err
		}
	}
	if err := r.stream(databaseEntry, t.Database); err != nil {
		return nil, err
	}
	if h.Keys {
		sealed, err := r.small(keysEntry, maxKeys)
		if err != nil {
			return nil, err
		}
		if t.Keys != nil {
			if err := t.Keys(sealed); err != nil {
				return nil, err
			}
		}
	}
	list, err := r.list(*h)
	if err != nil {
		return nil, err
	}
	if h.Copied {
		for _, o := range list {
			if err := r.object(o, t.Object); err != nil {
				return nil, err
			}
		}
	}
	return h, r.end()
}

// next demands an entry of a name and returns its size.
func (r *reader) next(name string, limit int64) (int64, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	h, err := r.tar.Next()
	if err == io.EOF {
		return 0, escrow.Errorf(escrow.Damaged, "the backup has no %s", name).WithHint("fetch it again, or take another one")
	}
	if err != nil {
		return 0, err
	}
	if h.Name != name || h.Typeflag != tar.TypeReg {
		return 0, escrow.Errorf(escrow.Invalid, "the backup has an entry %.100q where %s belongs", h.Name, name).WithHint("do not use this archive; something else than holdfast backup made or changed it")
	}
	if h.Size > limit {
		return 0, escrow.Errorf(escrow.Invalid, "%s has %d bytes, at most %d are taken", name, h.Size, limit)
	}
	return h.Size, nil
}

func (r *reader) small(name string, limit int64) ([]byte, error) {
	if _, err := r.next(name, limit); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r.tar, limit))
	if err == nil {
		sum := sha256.Sum256(data)
		r.digests[name] = hex.EncodeToString(sum[:])
	}
	return data, err
}

func (r *reader) stream(name string, take func(io.Reader) error) error {
	if _, err := r.next(name, 1<<62); err != nil {
		return err
	}
	sum := sha256.New()
	in := &summing{r: r.tar, sum: sum}
	if take != nil {
		if err := take(in); err != nil {
			if in.err != nil { // the reason for what the taker saw
				return in.err
			}
			return err
		}
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return err
	}
	r.digests[name] = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// summing hashes what is read through it, and remembers what went wrong.
type summing struct {
	r   io.Reader
	sum hash.Hash
	err error
}

func (s *summing) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.sum.Write(p[:n])
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

func (r *reader) list(h Header) ([]Object, error) {
	var list []Object
	var bytes int64
	err := r.stream(listEntry, func(in io.Reader) error {
		lines := bufio.NewScanner(io.LimitReader(in, maxList))
		lines.Buffer(make([]byte, maxLine), maxLine)
		for lines.Scan() {
			name, text, ok := strings.Cut(lines.Text(), " ")
			size, err := strconv.ParseInt(text, 10, 64)
			if !ok || err != nil || size < 0 || !evidence.IsDigest(name) || len(list) > 0 && name <= list[len(list)-1].Name {
				return escrow.Errorf(escrow.Invalid, "%s: line %d is not an object in its place", listEntry, len(list)+1)
			}
			list = append(list, Object{name, size})
			bytes += size
		}
		return lines.Err()
	})
	if errors.Is(err, bufio.ErrTooLong) {
		err = escrow.Errorf(escrow.Invalid, "%s: line %d is too long", listEntry, len(list)+1)
	}
	if err == nil && (int64(len(list)) != h.Objects || bytes != h.Bytes) {
		err = escrow.Errorf(escrow.Damaged, "the backup lists %d objects of %d bytes and says that it has %d of %d", len(list), bytes, h.Objects, h.Bytes)
	}
	return list, err
}

func (r *reader) object(o Object, take func(Object, io.Reader) error) error {
	size, err := r.next(objectsEntry+o.Name, 1<<62)
	if err != nil {
		return err
	}
	sum := sha256.New()
	in := &summing{r: r.tar, sum: sum}
	if size == o.Size && take != nil {
		if err := take(o, in); err != nil {
			return err
		}
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); size != o.Size || got != o.Name {
		return escrow.Errorf(escrow.Damaged, "object %s in the backup is damaged: its %d bytes have the digest %s", o.Name, size, got).
			WithHint("take another backup")
	}
	return nil
}

func (r *reader) end() error {
	want := r.digests
	r.digests = map[string]string{}
	data, err := r.small(endEntry, maxHeader)
	if err != nil {
		return err
	}
	var e end
	if err := json.Unmarshal(data, &e); err != nil || len(e.Digests) != len(want) {
		return escrow.Errorf(escrow.Damaged, "%s does not list what the backup has", endEntry)
	}
	for name, digest := range want {
		if e.Digests[name] != digest {
			return escrow.Errorf(escrow.Damaged, "%s in the backup is damaged: it has the digest %s, recorded is %.64s", name, digest, e.Digests[name]).
				WithHint("take another backup")
		}
	}
	if h, err := r.tar.Next(); err == nil {
		return escrow.Errorf(escrow.Invalid, "the backup goes on after its end with %.100q", h.Name)
	} else if err != io.EOF {
		return err
	}
	return nil
}
