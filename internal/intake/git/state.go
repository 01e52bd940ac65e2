package git

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"holdfast/internal/intake/git/object"
)

// State is what the next sync of a source needs to know of the last deposit.
// It holds no objects and no secrets, but the names of refs and files; the
// caller seals and stores it.
type State struct {
	Format     object.Format
	Deposit    int // number of the deposit after which this holds, from 1
	Increments int // INCREMENTAL deposits since the last FULL one
	Head       string
	HeadOID    object.OID
	Refs       []object.Ref // by name
	Refused    []string     // names that were refused, by name
	LFS        []LFSObject  // every LFS object the chain's commits name, by id
	Submodules []Submodule  // every submodule the chain's commits name, by path
}

// LFSObject is one large file that Git holds only a pointer to.
type LFSObject struct {
	OID  string // lower-case hex SHA-256 of the content
	Size int64
	Path string // of one place where it is used, "" when not known
	Held bool   // a deposit of the chain holds it
}

// Submodule is a repository that the source names and does not contain.
type Submodule struct {
	Path   string
	URL    string     // "" when the source does not say
	Commit object.OID // one that it was pinned to
}

// stateMagic begins every state and names its format.
const stateMagic = "holdfast-git-state/v1\n"

// maxState bounds a state that is read, in bytes.
const maxState = 256 << 20

// Encode returns the state in its one binary form: numbers as unsigned
// varints, texts with their length, refs in the order of their names with
// what a name shares with the one before left out.
func (s *State) Encode() ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	size := s.Format.Size()
	buf := make([]byte, 0, len(stateMagic)+64+len(s.Refs)*(size+16)+len(s.LFS)*64)
	buf = append(buf, stateMagic...)
	buf = append(buf, byte(s.Format))
	buf = binary.AppendUvarint(buf, uint64(s.Deposit))
	buf = binary.AppendUvarint(buf, uint64(s.Increments))
	buf = appendText(buf, s.Head)
	buf = appendOptional(buf, s.HeadOID)
	buf = binary.AppendUvarint(buf, uint64(len(s.Refs)))
	last := ""
	for _, r := range s.Refs {
		shared := sharedPrefix(last, r.Name)
		buf = binary.AppendUvarint(buf, uint64(shared))
		buf = appendText(buf, r.Name[shared:])
		buf = r.OID.Append(buf)
		buf = appendOptional(buf, r.Peeled)
		last = r.Name
	}
	buf = binary.AppendUvarint(buf, uint64(len(s.Refused)))
	for _, name := range s.Refused {
		buf = appendText(buf, name)
	}
	buf = binary.AppendUvarint(buf, uint64(len(s.LFS)))
	for _, o := range s.LFS {
		id, err := object.ParseOID(object.SHA256, o.OID)
		if err != nil {
			return nil, fmt.Errorf("state: LFS %v", err)
		}
		buf = id.Append(buf)
		buf = binary.AppendUvarint(buf, uint64(o.Size))
		buf = appendBool(buf, o.Held)
		buf = appendText(buf, o.Path)
	}
	buf = binary.AppendUvarint(buf, uint64(len(s.Submodules)))
	for _, m := range s.Submodules {
		buf = appendText(buf, m.Path)
		buf = appendText(buf, m.URL)
		buf = m.Commit.Append(buf)
	}
	return buf, nil
}

// ParseState reads what [State.Encode] wrote and nothing else.
func ParseState(data []byte) (*State, error) {
	if len(data) > maxState {
		return nil, fmt.Errorf("state: longer than %d bytes", maxState)
	}
	rest, ok := bytes.CutPrefix(data, []byte(stateMagic))
	if !ok {
		return nil, fmt.Errorf("state: does not begin with %q", stateMagic)
	}
	d := &decoder{rest: rest}
	s := &State{Format: object.Format(d.byte())}
	d.format = s.Format
	if s.Format.Size() == 0 {
		d.fail("object format %d", s.Format)
	}
	s.Deposit, s.Increments = d.number(), d.number()
	s.Head = d.text()
	s.HeadOID = d.optional()
	last := ""
	s.Refs = make([]object.Ref, d.count(s.Format.Size()+3))
	for i := range s.Refs {
		shared := d.number()
		if shared > len(last) {
			d.fail("ref %d shares %d bytes with a name of %d", i, shared, len(last))
			break
		}
		name := last[:shared] + d.text()
		if sharedPrefix(last, name) != shared {
			d.fail("ref %d shares more than %d bytes", i, shared)
		}
		s.Refs[i] = object.Ref{Name: name, OID: d.oid(s.Format), Peeled: d.optional()}
		last = name
	}
	s.Refused = make([]string, d.count(1))
	for i := range s.Refused {
		s.Refused[i] = d.text()
	}
	s.LFS = make([]LFSObject, d.count(35))
	for i := range s.LFS {
		s.LFS[i] = LFSObject{OID: d.oid(object.SHA256).String(), Size: d.int64(), Held: d.bool(), Path: d.text()}
	}
	s.Submodules = make([]Submodule, d.count(s.Format.Size()+2))
	for i := range s.Submodules {
		s.Submodules[i] = Submodule{Path: d.text(), URL: d.text(), Commit: d.oid(s.Format)}
	}
	if len(d.rest) > 0 {
		d.fail("%d bytes behind the end", len(d.rest))
	}
	if d.err != nil {
		return nil, d.err
	}
	return s, s.check()
}

func (s *State) check() error {
	size := s.Format.Size()
	switch {
	case size == 0:
		return errors.New("state: no object format")
	case s.Deposit < 1 || s.Increments < 0 || s.Increments >= s.Deposit:
		return fmt.Errorf("state: deposit %d cannot be %d increments after a FULL one", s.Deposit, s.Increments)
	case !s.HeadOID.IsZero() && s.HeadOID.Format() != s.Format:
		return errors.New("state: HEAD is at an id of another format")
	}
	if s.Head != "" {
		if err := object.CheckRefName(s.Head); err != nil {
			return fmt.Errorf("state: HEAD names %.200q, which %v", s.Head, err)
		}
	}
	for i, r := range s.Refs {
		if err := object.CheckRefName(r.Name); err != nil {
			return fmt.Errorf("state: ref %.200q %v", r.Name, err)
		}
		if r.OID.Format() != s.Format || !r.Peeled.IsZero() && r.Peeled.Format() != s.Format {
			return fmt.Errorf("state: ref %.200q is at an id of another format", r.Name)
		}
		if i > 0 && s.Refs[i-1].Name >= r.Name {
			return fmt.Errorf("state: ref %.200q is out of order", r.Name)
		}
	}
	if i, ok := ascending(s.Refused, strings.Compare); !ok {
		return fmt.Errorf("state: refused ref %d is out of order", i)
	}
	if i, ok := ascending(s.LFS, func(a, b LFSObject) int { return strings.Compare(a.OID, b.OID) }); !ok {
		return fmt.Errorf("state: LFS object %d is out of order", i)
	}
	for _, o := range s.LFS {
		if _, err := object.ParseOID(object.SHA256, o.OID); err != nil || o.Size < 0 {
			return fmt.Errorf("state: LFS object %.80q of %d bytes cannot be", o.OID, o.Size)
		}
	}
	if i, ok := ascending(s.Submodules, compareSubmodules); !ok {
		return fmt.Errorf("state: submodule %d is out of order", i)
	}
	for _, m := range s.Submodules {
		if m.Commit.Format() != s.Format {
			return fmt.Errorf("state: submodule %.200q is at an id of another format", m.Path)
		}
	}
	return nil
}

// compareSubmodules orders by path, and by address where a path was used for
// more than one.
func compareSubmodules(a, b Submodule) int {
	return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.URL, b.URL))
}

// ascending reports the first element that does not come after the one before.
func ascending[T any](list []T, compare func(a, b T) int) (int, bool) {
	for i := 1; i < len(list); i++ {
		if compare(list[i-1], list[i]) >= 0 {
			return i, false
		}
	}
	return 0, true
}

func sharedPrefix(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// appendOptional writes 0 for the zero id, else 1 and the id.
func appendOptional(dst []byte, o object.OID) []byte {
	return o.Append(appendBool(dst, !o.IsZero()))
}

// decoder reads a state. After the first error every call returns nothing.
type decoder struct {
	rest   []byte
	format object.Format
	err    error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("state: "+format, args...)
	}
	d.rest = nil
}

func (d *decoder) take(n int) []byte {
	if n > len(d.rest) {
		d.fail("cut off")
		return nil
	}
	part := d.rest[:n]
	d.rest = d.rest[n:]
	return part
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) bool() bool {
	b := d.byte()
	if b > 1 {
		d.fail("%d is neither 0 nor 1", b)
	}
	return b == 1
}

func (d *decoder) int64() int64 {
	v, n := binary.Uvarint(d.rest)
	// A number in more bytes than it needs would have a second form.
	if n <= 0 || v > 1<<62 || n > 1 && d.rest[n-1] == 0 {
		d.fail("bad number")
		return 0
	}
	d.rest = d.rest[n:]
	return int64(v)
}

func (d *decoder) number() int {
	v := d.int64()
	if v > 1<<31-1 {
		d.fail("number %d is too large", v)
		return 0
	}
	return int(v)
}

// count reads the length of a list whose elements take at least size bytes,
// so that a few bytes cannot claim a large list.
func (d *decoder) count(size int) int {
	n := d.number()
	if n > len(d.rest)/max(size, 1) {
		d.fail("a list of %d in %d bytes", n, len(d.rest))
		return 0
	}
	return n
}

func (d *decoder) text() string { return string(d.take(d.number())) }

func (d *decoder) oid(f object.Format) object.OID {
	raw := d.take(f.Size())
	if d.err != nil || len(raw) == 0 {
		return object.OID{}
	}
	o, err := object.FromBytes(f, raw)
	if err != nil {
		d.fail("%v", err)
	}
	return o
}

func (d *decoder) optional() object.OID {
	if !d.bool() {
		return object.OID{}
	}
	return d.oid(d.format)
}
