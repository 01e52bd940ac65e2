package pack_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/pack"
)

// writer makes packs byte by byte, so that they can be wrong in every way.
type writer struct {
	t       testing.TB
	f       object.Format
	buf     bytes.Buffer
	count   int
	level   int
	z       *zlib.Writer
	claimed int // count the header announces, -1 for the true one
	version uint32
}

func newWriter(t testing.TB, f object.Format) *writer {
	w := &writer{t: t, f: f, level: zlib.BestSpeed, claimed: -1, version: 2}
	w.buf.Write(make([]byte, 12))
	return w
}

const (
	commitKind = 1
	treeKind   = 2
	blobKind   = 3
	tagKind    = 4
	ofsKind    = 6
	refKind    = 7
)

// header appends kind and size in the pack's way.
func (w *writer) header(kind byte, size int64) {
	b := kind<<4 | byte(size&15)
	for size >>= 4; size > 0; size >>= 7 {
		w.buf.WriteByte(b | 0x80)
		b = byte(size & 0x7f)
	}
	w.buf.WriteByte(b)
}

func (w *writer) deflate(data []byte) {
	if w.z == nil { // one for all entries: making it costs more than using it
		var err error
		if w.z, err = zlib.NewWriterLevel(&w.buf, w.level); err != nil {
			w.t.Fatal(err)
		}
	}
	w.z.Reset(&w.buf)
	w.z.Write(data) //nolint:errcheck
	if err := w.z.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// object appends an object and returns where it begins.
func (w *writer) object(kind byte, data []byte) int64 {
	at := int64(w.buf.Len())
	w.count++
	w.header(kind, int64(len(data)))
	w.deflate(data)
	return at
}

// ofs appends a delta on the entry that begins at base.
func (w *writer) ofs(base int64, delta []byte) int64 {
	at := int64(w.buf.Len())
	w.count++
	w.header(ofsKind, int64(len(delta)))
	w.distance(at - base)
	w.deflate(delta)
	return at
}

func (w *writer) distance(n int64) {
	var tmp [16]byte
	i := len(tmp) - 1
	tmp[i] = byte(n & 0x7f)
	for n >>= 7; n > 0; n >>= 7 {
		n--
		i--
		tmp[i] = 0x80 | byte(n&0x7f)
	}
	w.buf.Write(tmp[i:])
}

// ref appends a delta on the object with the given id.
func (w *writer) ref(base object.OID, delta []byte) int64 {
	at := int64(w.buf.Len())
	w.count++
	w.header(refKind, int64(len(delta)))
	w.buf.Write(base.Bytes())
	w.deflate(delta)
	return at
}

// pack returns the finished pack.
func (w *writer) pack() []byte {
	data := bytes.Clone(w.buf.Bytes())
	copy(data, "PACK")
	binary.BigEndian.PutUint32(data[4:], w.version)
	n := w.count
	if w.claimed >= 0 {
		n = w.claimed
	}
	binary.BigEndian.PutUint32(data[8:], uint32(n))
	return seal(w.f, data)
}

// seal appends the trailer.
func seal(f object.Format, body []byte) []byte {
	h := f.New()
	h.Write(body) //nolint:errcheck
	return h.Sum(body)
}

// reseal makes the trailer right again after bytes were altered.
func reseal(f object.Format, data []byte) []byte {
	return seal(f, data[:len(data)-f.Size():len(data)-f.Size()])
}

// idOf returns an object's id.
func idOf(f object.Format, kind byte, data []byte) object.OID {
	h := f.New()
	fmt.Fprintf(h, "%s %d\x00", [...]string{"", "commit", "tree", "blob", "tag"}[kind], len(data))
	h.Write(data) //nolint:errcheck
	id, err := object.FromBytes(f, h.Sum(nil))
	if err != nil {
		panic(err)
	}
	return id
}

// delta makes a delta that turns base into result: what both begin and end
// with is copied.
func delta(base, result []byte) []byte {
	pre := 0
	for pre < len(base) && pre < len(result) && base[pre] == result[pre] {
		pre++
	}
	post := 0
	for post < len(base)-pre && post < len(result)-pre && base[len(base)-1-post] == result[len(result)-1-post] {
		post++
	}
	d := binary.AppendUvarint(nil, uint64(len(base)))
	d = binary.AppendUvarint(d, uint64(len(result)))
	d = appendCopy(d, 0, pre)
	for rest := result[pre : len(result)-post]; len(rest) > 0; {
		n := min(len(rest), 127)
		d = append(append(d, byte(n)), rest[:n]...)
		rest = rest[n:]
	}
	return appendCopy(d, len(base)-post, post)
}

func appendCopy(d []byte, at, n int) []byte {
	for n > 0 {
		size := min(n, 0xffffff)
		op, args := byte(0x80), []byte(nil)
		for i := range 4 {
			if b := byte(at >> (8 * i)); b != 0 {
				op |= 1 << i
				args = append(args, b)
			}
		}
		for i := range 3 {
			if b := byte(size >> (8 * i)); b != 0 {
				op |= 0x10 << i
				args = append(args, b)
			}
		}
		d = append(append(d, op), args...)
		at, n = at+size, n-size
	}
	return d
}

// treeOf makes a tree; each entry is "mode name" with an id.
type treeEntry struct {
	mode, name string
	id         object.OID
}

func treeOf(entries ...treeEntry) []byte {
	var b []byte
	for _, e := range entries {
		b = append(b, e.mode+" "+e.name+"\x00"...)
		b = append(b, e.id.Bytes()...)
	}
	return b
}

func commitOf(tree object.OID, message string, parents ...object.OID) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "tree %s\n", tree)
	for _, p := range parents {
		fmt.Fprintf(&b, "parent %s\n", p)
	}
	fmt.Fprintf(&b, "author A <a@example.org> 1700000000 +0000\ncommitter A <a@example.org> 1700000000 +0000\n\n%s\n", message)
	return []byte(b.String())
}

// both runs a test for each object format.
func both(t *testing.T, fn func(t *testing.T, f object.Format)) {
	for _, f := range []object.Format{object.SHA1, object.SHA256} {
		t.Run(f.String(), func(t *testing.T) { fn(t, f) })
	}
}

// check runs Check on a pack in memory.
func check(t testing.TB, data []byte, opts pack.Options) (*pack.Report, error) {
	t.Helper()
	return pack.Check(t.Context(), bytes.NewReader(data), 0, int64(len(data)), opts)
}

// repository is a Git repository on disk, made and judged by stock git.
type repository struct {
	t   testing.TB
	dir string
	f   object.Format
}

func newRepository(t testing.TB, f object.Format) *repository {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	r := &repository{t, filepath.Join(t.TempDir(), "repo"), f}
	if err := os.Mkdir(r.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r.git("init", "-q", "-b", "main", "--object-format="+f.String())
	return r
}

func (r *repository) git(args ...string) string {
	r.t.Helper()
	return r.gitIn("", args...)
}

func (r *repository) gitIn(stdin string, args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "LC_ALL=C",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_AUTHOR_DATE=1700000000 +0000",
		"GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.org", "GIT_COMMITTER_DATE=1700000000 +0000")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

func (r *repository) write(name, content string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *repository) commit(message string) object.OID {
	r.t.Helper()
	r.git("add", "-A")
	r.git("commit", "-q", "--allow-empty", "-m", message)
	return r.id("HEAD")
}

func (r *repository) id(name string) object.OID {
	r.t.Helper()
	id, err := object.ParseOID(r.f, strings.TrimSpace(r.git("rev-parse", name)))
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

// tips returns what all refs point at.
func (r *repository) tips() []object.OID {
	var tips []object.OID
	for line := range strings.Lines(r.git("for-each-ref", "--format=%(objectname)")) {
		id, err := object.ParseOID(r.f, strings.TrimSpace(line))
		if err != nil {
			r.t.Fatal(err)
		}
		tips = append(tips, id)
	}
	return tips
}

// objects returns the ids of all objects that refs reach, as git sees them.
func (r *repository) objects() pack.IDs {
	var ids []object.OID
	for line := range strings.Lines(r.git("rev-list", "--objects", "--all", "--no-object-names")) {
		id, err := object.ParseOID(r.f, strings.TrimSpace(line))
		if err != nil {
			r.t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return pack.NewIDs(r.f, ids)
}
