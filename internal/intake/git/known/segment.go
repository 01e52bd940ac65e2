// Package known remembers which Git objects earlier deposits of a chain hold
// and how their commits hang together, without the objects: sorted ids and a
// graph, about 20 bytes an object and 35 a commit for SHA-1. It is what lets
// a server that keeps no mirror check an increment and classify what became
// of a ref. [Local] answers the same questions from a repository at hand.
//
// It depends on escrow, object, pack and history. It reads through io.ReaderAt
// and runs git only in [Local]; whoever stores segments seals them.
package known

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/pack"
)

// A segment holds what one or more deposits brought, big-endian:
//
//	magic      "holdfast-known/v1\n"
//	format     1 byte: 1 SHA-1, 2 SHA-256
//	counts     4 × uint32: ids, commits, parents, outside parents
//	fan-out    256 × uint32: how many ids begin with a byte up to this one
//	ids        sorted, distinct
//	commits    uint32 each: places of the commits among the ids, ascending
//	starts     uint32 each, and one more: where a commit's parents begin
//	parents    uint32 each: a place among the ids, or ids + a place among the
//	           outside parents
//	outside    sorted ids of parents that are not in this segment
const (
	magic     = "holdfast-known/v1\n"
	fanEnd    = headEnd + 4*256
	headEnd   = len(magic) + 1 + 4*4
	maxCount  = 1 << 31
	blockSize = 256 << 10 // read at once when a segment is swept
	gap       = 64 << 10  // bytes between two buckets that are read along with them
)

// Write writes a segment with the ids and commits of a report.
func Write(w io.Writer, ids pack.IDs, g pack.Graph) error {
	b := bufio.NewWriterSize(w, 64<<10)
	b.WriteString(magic)
	b.WriteByte(formatByte(ids.Format()))
	u32 := func(n int) { _ = binary.Write(b, binary.BigEndian, uint32(n)) } // bufio keeps the first error
	for _, n := range []int{ids.Len(), len(g.Commits), len(g.Parents), g.Outside.Len()} {
		if n >= maxCount {
			return fmt.Errorf("known: %d entries are more than a segment holds", n)
		}
		u32(n)
	}
	var fan [256]uint32
	size := ids.Format().Size()
	raw := ids.Raw()
	for i := 0; i < len(raw); i += size {
		fan[raw[i]]++
	}
	sum := uint32(0)
	for _, n := range fan {
		sum += n
		u32(int(sum))
	}
	b.Write(raw)
	var word [4]byte
	for _, list := range [][]uint32{g.Commits, starts(g), g.Parents} {
		for _, v := range list {
			binary.BigEndian.PutUint32(word[:], v)
			b.Write(word[:])
		}
	}
	b.Write(g.Outside.Raw())
	return b.Flush()
}

// starts gives an empty graph the one start that every graph has.
func starts(g pack.Graph) []uint32 {
	if len(g.Starts) == 0 {
		return []uint32{0}
	}
	return g.Starts
}

func formatByte(f object.Format) byte {
	if f == object.SHA256 {
		return 2
	}
	return 1
}

// Segment is a written segment, open for reading.
type Segment struct {
	r       io.ReaderAt
	format  object.Format
	ids     int
	commits int
	parents int
	outside int
	fan     [256]uint32
}

// Open opens a segment of size bytes. It checks the head and that the length
// is the one the head says; the rest is checked as it is read.
func Open(r io.ReaderAt, size int64) (*Segment, error) {
	head := make([]byte, fanEnd)
	if n, err := r.ReadAt(head, 0); n < len(head) {
		return nil, damaged("its head cannot be read: %w", notNil(err))
	}
	if !bytes.HasPrefix(head, []byte(magic)) {
		return nil, damaged("it does not begin as one")
	}
	s := &Segment{r: r}
	switch head[len(magic)] {
	case 1:
		s.format = object.SHA1
	case 2:
		s.format = object.SHA256
	default:
		return nil, damaged("object format %d is unknown", head[len(magic)])
	}
	at := len(magic) + 1
	for _, n := range []*int{&s.ids, &s.commits, &s.parents, &s.outside} {
		v := binary.BigEndian.Uint32(head[at:])
		if v >= maxCount {
			return nil, damaged("a count of %d is too large", v)
		}
		*n, at = int(v), at+4
	}
	last := uint32(0)
	for i := range s.fan {
		s.fan[i] = binary.BigEndian.Uint32(head[at+4*i:])
		if s.fan[i] < last {
			return nil, damaged("its fan-out goes back at %d", i)
		}
		last = s.fan[i]
	}
	if int(last) != s.ids || s.commits > s.ids || s.outside > s.parents {
		return nil, damaged("its counts contradict each other")
	}
	if want := s.length(); size != want {
		return nil, damaged("it has %d bytes, its head says %d", size, want)
	}
	return s, nil
}

func notNil(err error) error {
	if err == nil {
		return io.ErrUnexpectedEOF
	}
	return err
}

func damaged(format string, args ...any) error {
	return escrow.Errorf(escrow.Damaged, "a segment of known objects is damaged: %w", fmt.Errorf(format, args...)).
		WithHint("the next deposit can be made in full; nothing that was deposited is touched")
}

func (s *Segment) idSize() int { return s.format.Size() }

func (s *Segment) graphAt() int64 { return int64(fanEnd) + int64(s.ids)*int64(s.idSize()) }

func (s *Segment) graphLength() int64 {
	return 4*int64(s.commits+s.commits+1+s.parents) + int64(s.outside)*int64(s.idSize())
}

func (s *Segment) length() int64 { return s.graphAt() + s.graphLength() }

// Len returns the number of ids.
func (s *Segment) Len() int { return s.ids }

// Format returns the format of the ids.
func (s *Segment) Format() object.Format { return s.format }

// missing returns those of the sorted ids that are not in the segment.
func (s *Segment) missing(ctx context.Context, ids []object.OID) ([]object.OID, error) {
	if len(ids) == 0 || s.ids == 0 {
		return ids, nil
	}
	var out []object.OID
	var buf []byte
	for at := 0; at < len(ids); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		// Neighbouring buckets are read together: behind the reader there are
		// sealed chunks, and each read has a price of its own.
		lo, hi := s.bucket(ids[at])
		end := at + 1
		for ; end < len(ids); end++ {
			from, to := s.bucket(ids[end])
			if to > hi && ((to-lo)*s.idSize() > blockSize || (from-hi)*s.idSize() > gap) {
				break
			}
			hi = max(hi, to)
		}
		var err error
		if buf, err = s.read(buf, lo, hi); err != nil {
			return nil, err
		}
		out = append(out, absent(ids[at:end], buf, s.idSize())...)
		at = end
	}
	return out, nil
}

// bucket returns the places of the ids that begin with the same byte as id.
func (s *Segment) bucket(id object.OID) (lo, hi int) {
	var raw [32]byte
	first := id.Append(raw[:0])[0]
	if first > 0 {
		lo = int(s.fan[first-1])
	}
	return lo, int(s.fan[first])
}

// read reads the ids from place lo up to hi.
func (s *Segment) read(buf []byte, lo, hi int) ([]byte, error) {
	size := s.idSize()
	buf = slices.Grow(buf[:0], (hi-lo)*size)[:(hi-lo)*size]
	for off := 0; off < len(buf); off += blockSize {
		part := buf[off:min(off+blockSize, len(buf))]
		if n, err := s.r.ReadAt(part, int64(fanEnd+lo*size+off)); n < len(part) {
			return nil, damaged("ids from place %d cannot be read: %w", lo, notNil(err))
		}
	}
	return buf, nil
}

// absent returns those of the sorted ids that sorted does not hold.
func absent(ids []object.OID, sorted []byte, size int) []object.OID {
	var out []object.OID
	var buf [32]byte
	for _, id := range ids {
		raw := id.Append(buf[:0])
		lo, hi := 0, len(sorted)/size
		for lo < hi {
			mid := int(uint(lo+hi) >> 1)
			if bytes.Compare(sorted[mid*size:(mid+1)*size], raw) < 0 {
				lo = mid + 1
			} else {
				hi = mid
			}
		}
		if lo*size >= len(sorted) || !bytes.Equal(sorted[lo*size:(lo+1)*size], raw) {
			out = append(out, id)
		}
	}
	return out
}

// load reads all of the segment and checks that it hangs together.
func (s *Segment) load() (pack.IDs, pack.Graph, error) {
	var g pack.Graph
	raw, err := s.read(nil, 0, s.ids)
	if err != nil {
		return pack.IDs{}, g, err
	}
	ids, err := pack.ParseIDs(s.format, raw)
	if err != nil {
		return ids, g, damaged("%w", err)
	}
	for i := range ids.Len() { // what look-ups go by must be what the ids say
		first := raw[i*s.idSize()]
		if int(s.fan[first]) <= i || first > 0 && int(s.fan[first-1]) > i {
			return ids, g, damaged("its fan-out does not fit id %d", i)
		}
	}
	buf := make([]byte, s.graphLength())
	if n, err := s.r.ReadAt(buf, s.graphAt()); n < len(buf) && len(buf) > 0 {
		return ids, g, damaged("its commits cannot be read: %w", notNil(err))
	}
	words := func(n int) []uint32 {
		list := make([]uint32, n)
		for i := range list {
			list[i] = binary.BigEndian.Uint32(buf[4*i:])
		}
		buf = buf[4*n:]
		return list
	}
	g.Commits, g.Starts, g.Parents = words(s.commits), words(s.commits+1), words(s.parents)
	if g.Outside, err = pack.ParseIDs(s.format, buf); err != nil {
		return ids, g, damaged("%w", err)
	}
	return ids, g, checkGraph(ids, g)
}

func checkGraph(ids pack.IDs, g pack.Graph) error {
	for i, c := range g.Commits {
		if int(c) >= ids.Len() || i > 0 && g.Commits[i-1] >= c {
			return damaged("commit %d is out of order", i)
		}
		if g.Starts[i] > g.Starts[i+1] {
			return damaged("the parents of commit %d end before they begin", i)
		}
	}
	if g.Starts[0] != 0 || int(g.Starts[len(g.Starts)-1]) != len(g.Parents) {
		return damaged("its parents do not add up")
	}
	for i, p := range g.Parents {
		if int(p) >= ids.Len()+g.Outside.Len() {
			return damaged("parent %d is nowhere", i)
		}
	}
	return nil
}

// errFormat says that two sets speak of different kinds of repository.
var errFormat = errors.New("ids of different object formats")

// Merge joins segments and a report into one set of ids and one graph, the
// older first.
func Merge(segments []*Segment, ids pack.IDs, g pack.Graph) (pack.IDs, pack.Graph, error) {
	all := []part{{ids, g}}
	for _, s := range segments {
		if s.format != ids.Format() {
			return ids, g, damaged("%w", errFormat)
		}
		more, graph, err := s.load()
		if err != nil {
			return ids, g, err
		}
		all = append(all, part{more, graph})
	}
	return join(ids.Format(), all)
}
