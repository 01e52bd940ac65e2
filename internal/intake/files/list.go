package files

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// The formats of a sealed list and of what a depositor remembers, both lines
// of JSON: the header, then entries in ascending order of path.
const (
	ListFormat  = "holdfast-files/v1"
	StateFormat = "holdfast-files-state/v1"
)

// The roles of a deposit's objects.
const (
	PackRole = "files"
	ListRole = "files-list"
)

// Header begins a list.
type Header struct {
	Format  string `json:"format"`
	Deposit int    `json:"deposit"`
	Kind    string `json:"kind"` // FULL or INCREMENTAL
	Entries int    `json:"entries"`
	Tree    string `json:"tree"` // digest of everything the tree restores to, once this list is applied
	Packs   []Pack `json:"packs"`

	Key []byte `json:"key,omitempty"` // where chunks are cut; only in what the depositor remembers
}

// Pack is one sealed object with frames of a deposit's stream.
type Pack struct {
	Deposit int     `json:"deposit,omitempty"` // only in what the depositor remembers
	Name    string  `json:"sha256"`
	Size    int64   `json:"size"`
	Frames  []Frame `json:"frames"`
}

// Frame is a part of the stream that was compressed alone.
type Frame struct {
	Plain  int64 // bytes of the stream
	Stored int64 // bytes of the zstd frame
}

// MarshalJSON writes a frame as a pair.
func (f Frame) MarshalJSON() ([]byte, error) { return json.Marshal([2]int64{f.Plain, f.Stored}) }

// UnmarshalJSON reads a pair.
func (f *Frame) UnmarshalJSON(data []byte) error {
	var pair []int64
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	if len(pair) != 2 || pair[0] < 1 || pair[0] > MaxFrame || pair[1] < 1 || pair[1] > 2*MaxFrame {
		return fmt.Errorf("%v cannot be a frame", pair)
	}
	f.Plain, f.Stored = pair[0], pair[1]
	return nil
}

// line is an entry as it is written. Names that are not UTF-8 are in base64.
type line struct {
	Path      string     `json:"path,omitempty"`
	RawPath   []byte     `json:"path_base64,omitempty"`
	Kind      Kind       `json:"kind"`
	Mode      uint32     `json:"mode,omitempty"`
	Size      int64      `json:"size,omitempty"`
	Time      int64      `json:"mtime_ns,omitempty"`
	Target    string     `json:"target,omitempty"`
	RawTarget []byte     `json:"target_base64,omitempty"`
	Chunks    []pieceRef `json:"chunks,omitempty"`
	Device    uint64     `json:"device,omitempty"`
	Inode     uint64     `json:"inode,omitempty"`
	Change    int64      `json:"ctime_ns,omitempty"`
}

// pieceRef is a chunk as it is written: [deposit, offset, size, "sha256"].
type pieceRef Chunk

// MarshalJSON implements json.Marshaler.
func (p pieceRef) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, 112)
	b = fmt.Appendf(b, "[%d,%d,%d,\"", p.Deposit, p.At, p.Size)
	b = hex.AppendEncode(b, p.Sum[:])
	return append(b, "\"]"...), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *pieceRef) UnmarshalJSON(data []byte) error {
	var sum string
	in := []any{&p.Deposit, &p.At, &p.Size, &sum}
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	if len(in) != 4 || !evidence.IsDigest(sum) {
		return fmt.Errorf("%.100q cannot be a chunk", data)
	}
	_, err := hex.Decode(p.Sum[:], []byte(sum))
	return err
}

func toLine(e *Entry, private bool) line {
	l := line{Kind: e.Kind, Mode: e.Mode, Size: e.Size, Time: e.Time}
	if utf8.ValidString(e.Path) {
		l.Path = e.Path
	} else {
		l.RawPath = []byte(e.Path)
	}
	if utf8.ValidString(e.Target) {
		l.Target = e.Target
	} else {
		l.RawTarget = []byte(e.Target)
	}
	if len(e.Chunks) > 0 {
		l.Chunks = make([]pieceRef, len(e.Chunks))
		for i, c := range e.Chunks {
			l.Chunks[i] = pieceRef(c)
		}
	}
	if private {
		l.Device, l.Inode, l.Change = e.Stamp.Device, e.Stamp.Inode, e.Stamp.Change
	}
	return l
}

func (l *line) entry(private bool) (*Entry, error) {
	if !private && (l.Device != 0 || l.Inode != 0 || l.Change != 0) {
		return nil, errors.New("a list says nothing of disks")
	}
	e := &Entry{Path: l.Path, Kind: l.Kind, Mode: l.Mode, Size: l.Size, Time: l.Time, Target: l.Target, Stamp: Stamp{l.Device, l.Inode, l.Change}}
	if l.RawPath != nil {
		e.Path = string(l.RawPath)
	}
	if l.RawTarget != nil {
		e.Target = string(l.RawTarget)
	}
	if l.Path != "" && l.RawPath != nil || l.Target != "" && l.RawTarget != nil {
		return nil, errors.New("a name is there twice")
	}
	if len(l.Chunks) > 0 {
		e.Chunks = make([]Chunk, len(l.Chunks))
		for i, c := range l.Chunks {
			e.Chunks[i] = Chunk(c)
		}
	}
	return e, e.validate()
}

// write writes a list, or with private set what the depositor remembers.
func write(w io.Writer, h Header, entries []*Entry, private bool) error {
	out := bufio.NewWriterSize(w, 256<<10)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	h.Entries = len(entries)
	if err := enc.Encode(h); err != nil {
		return err
	}
	for _, e := range entries {
		if err := enc.Encode(toLine(e, private)); err != nil {
			return err
		}
	}
	return out.Flush()
}

// maxLine bounds one line: a file of many gigabytes has many chunks.
const maxLine = 256 << 20

// maxEntries bounds the entries of one list.
const maxEntries = 50_000_000

// ReadList reads the sealed list of a deposit from its plaintext and calls fn
// for every entry. Everything in it is checked; the first thing that cannot be
// is an error with code Invalid.
func ReadList(r io.Reader, fn func(*Entry) error) (*Header, error) { return read(r, false, fn) }

func read(r io.Reader, private bool, fn func(*Entry) error) (*Header, error) {
	lines := bufio.NewReaderSize(r, 64<<10)
	n := 0
	next := func(into any) error {
		data, err := readLine(lines)
		if err != nil {
			return err
		}
		n++
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.DisallowUnknownFields()
		if err := dec.Decode(into); err != nil {
			return escrow.Errorf(escrow.Invalid, "line %d of the list: %w", n, err)
		}
		if dec.More() {
			return escrow.Errorf(escrow.Invalid, "line %d of the list has more than one value", n)
		}
		return nil
	}
	var h Header
	if err := next(&h); err != nil {
		if err == io.EOF {
			err = escrow.Errorf(escrow.Invalid, "the list is empty")
		}
		return nil, err
	}
	if err := h.validate(private); err != nil {
		return nil, err
	}
	last := ""
	for range h.Entries {
		var l line
		if err := next(&l); err == io.EOF {
			return nil, escrow.Errorf(escrow.Invalid, "the list ends after %d of %d entries", n-1, h.Entries)
		} else if err != nil {
			return nil, err
		}
		e, err := l.entry(private)
		if err != nil {
			return nil, escrow.Errorf(escrow.Invalid, "line %d of the list: %w", n, err)
		}
		switch {
		case e.Path <= last:
			return nil, escrow.Errorf(escrow.Invalid, "line %d of the list: %.200q does not come after %.200q: a name is there twice or out of order", n, e.Path, last)
		case e.Kind == Gone && (private || h.Kind == string(escrow.FullDeposit)):
			return nil, escrow.Errorf(escrow.Invalid, "line %d of the list: nothing can be gone here", n)
		}
		for _, c := range e.Chunks {
			if c.Deposit > h.Deposit || h.Kind == string(escrow.FullDeposit) && !private && c.Deposit != h.Deposit {
				return nil, escrow.Errorf(escrow.Invalid, "line %d of the list names deposit %d, which it cannot build on", n, c.Deposit)
			}
		}
		last = e.Path
		if err := fn(e); err != nil {
			return nil, err
		}
	}
	if _, err := lines.ReadByte(); err != io.EOF {
		if err == nil {
			err = escrow.Errorf(escrow.Invalid, "the list goes on after its %d entries", h.Entries)
		}
		return nil, err
	}
	return &h, nil
}

func readLine(r *bufio.Reader) ([]byte, error) {
	var long []byte
	for {
		part, err := r.ReadSlice('\n')
		switch {
		case err == nil && long == nil:
			return part, nil
		case err == nil:
			return append(long, part...), nil
		case err == bufio.ErrBufferFull && len(long) < maxLine:
			long = append(long, part...)
		case err == io.EOF && len(part)+len(long) > 0:
			return nil, escrow.Errorf(escrow.Invalid, "the list ends within a line")
		case err == bufio.ErrBufferFull:
			return nil, escrow.Errorf(escrow.Invalid, "the list has a line of more than %d bytes", maxLine)
		default:
			return nil, err
		}
	}
}

func (h *Header) validate(private bool) error {
	format := ListFormat
	if private {
		format = StateFormat
	}
	switch {
	case h.Format != format:
		return escrow.Errorf(escrow.Invalid, "the format of the list is %.40q, want %q", h.Format, format)
	case h.Deposit < 1 || h.Entries < 0 || h.Entries > maxEntries || !evidence.IsDigest(h.Tree):
		return escrow.Errorf(escrow.Invalid, "the list's header cannot be one")
	case h.Kind != string(escrow.FullDeposit) && h.Kind != string(escrow.IncrementalDeposit):
		return escrow.Errorf(escrow.Invalid, "the list is of a %.20q deposit", h.Kind)
	case private != (len(h.Key) == keySize):
		return escrow.Errorf(escrow.Invalid, "the list's key is not where it belongs")
	}
	for _, p := range h.Packs {
		if !evidence.IsDigest(p.Name) || p.Size < 1 || (p.Deposit != 0) != private || p.Deposit > h.Deposit {
			return escrow.Errorf(escrow.Invalid, "the list names pack %.80q", p.Name)
		}
	}
	return nil
}

// State is what a depositor remembers between deposits, sealed to itself.
type State struct {
	Header
	Entries []*Entry
}

// ParseState reads what [State.Encode] wrote, strictly.
func ParseState(r io.Reader) (*State, error) {
	s := &State{}
	h, err := read(r, true, func(e *Entry) error {
		s.Entries = append(s.Entries, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.Header = *h
	return s, nil
}

// Encode writes the state.
func (s *State) Encode(w io.Writer) error {
	s.Header.Format = StateFormat
	return write(w, s.Header, s.Entries, true)
}

// lostPacks marks the parts of streams that lie in the given packs.
func (s *State) lostPacks(gone map[string]bool) []span {
	var lost []span
	at := map[int]int64{}
	for _, p := range s.Packs {
		from := at[p.Deposit]
		for _, f := range p.Frames {
			at[p.Deposit] += f.Plain
		}
		if gone[p.Name] {
			lost = append(lost, span{p.Deposit, from, at[p.Deposit]})
		}
	}
	return lost
}

// span is a part of a deposit's stream.
type span struct {
	deposit  int
	from, to int64
}

func inSpan(lost []span, c Chunk) bool {
	for _, s := range lost {
		if c.Deposit == s.deposit && c.At >= s.from && c.At < s.to {
			return true
		}
	}
	return false
}

// Fold brings the lists of a chain together, oldest first, into the entries of
// its last deposit, in ascending order of path.
type Fold struct {
	entries map[string]*Entry
}

// Apply adds the next list of the chain and checks that the tree is then what
// the list says.
func (f *Fold) Apply(r io.Reader, want func(*Header) error) (*Header, error) {
	if f.entries == nil {
		f.entries = make(map[string]*Entry)
	}
	h, err := ReadList(r, func(e *Entry) error {
		if e.Kind != Gone {
			f.entries[e.Path] = e
			return nil
		}
		if f.entries[e.Path] == nil {
			return escrow.Errorf(escrow.Invalid, "the list takes %.200q away, which is not there", e.Path)
		}
		delete(f.entries, e.Path)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return h, want(h)
}

// Tree returns the entries and checks that they belong together: every
// directory is there, nothing lies below something that is not one, hard links
// name files, and the whole has the digest that the last list tells.
func (f *Fold) Tree(digest string) ([]*Entry, error) {
	list := make([]*Entry, 0, len(f.entries))
	for _, e := range f.entries {
		list = append(list, e)
	}
	sortEntries(list)
	sum := newTreeHash()
	for _, e := range list {
		if i := strings.LastIndexByte(e.Path, '/'); i >= 0 {
			if parent := f.entries[e.Path[:i]]; parent == nil || parent.Kind != Dir {
				return nil, escrow.Errorf(escrow.Invalid, "%.200q lies in something that is not a directory of the deposit", e.Path)
			}
		}
		if e.Kind == Hardlink {
			if to := f.entries[e.Target]; to == nil || to.Kind != File {
				return nil, escrow.Errorf(escrow.Invalid, "%.200q is a link to %.200q, which is not a file of the deposit", e.Path, e.Target)
			}
		}
		sum.add(e)
	}
	if got := sum.String(); got != digest {
		return nil, escrow.Errorf(escrow.Damaged, "the lists of the deposits give a tree with digest %s, the last one says %s", got, digest).
			WithHint("a deposit of the chain is not the one that the last was built on; fetch all of them again")
	}
	return list, nil
}
