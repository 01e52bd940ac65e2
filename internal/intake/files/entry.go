package files

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"path"
	"slices"
	"strings"

	"holdfast/internal/escrow"
)

// Kind says what an entry is.
type Kind string

// The kinds of entry. Gone takes an entry of an earlier list away.
const (
	Dir      Kind = "dir"
	File     Kind = "file"
	Symlink  Kind = "symlink"
	Hardlink Kind = "hardlink" // another name of the file Target
	Gone     Kind = "gone"
)

// Entry is one thing in a tree. Names are bytes, as file systems have them.
type Entry struct {
	Path   string // relative, with '/' between elements
	Kind   Kind
	Mode   uint32 // permission bits
	Size   int64  // of a file
	Time   int64  // of the last change, in nanoseconds since 1970
	Target string // of a link
	Chunks []Chunk

	// What the depositor remembers of the file on its machine; not in lists.
	Stamp Stamp
}

// Stamp says which file on which disk was read, and in what state. The zero
// stamp fits nothing, so that the file is read again.
type Stamp struct {
	Device uint64
	Inode  uint64
	Change int64 // of the inode, in nanoseconds since 1970
}

// Chunk is a piece of a file that lies whole in the stream of one deposit.
type Chunk struct {
	Deposit int   // number of the deposit whose stream has it
	At      int64 // where in that stream
	Size    int64
	Sum     [sha256.Size]byte
}

// Limits of what is taken from a list. MaxFrame bounds the memory it takes to
// read any part of a deposit.
const (
	MaxPath  = 4096
	MaxFrame = 8 << 20
	maxName  = 1024
)

// CheckPath refuses what could name a place outside the tree, on any system
// that a deposit may be opened on.
func CheckPath(p string) error {
	switch {
	case p == "" || len(p) > MaxPath:
		return refusedPath(p, "is empty or too long")
	case p[0] == '/' || p[0] == '\\':
		return refusedPath(p, "is absolute")
	case len(p) >= 2 && p[1] == ':' && (p[0]|0x20) >= 'a' && (p[0]|0x20) <= 'z':
		return refusedPath(p, "begins with a drive")
	case strings.IndexByte(p, 0) >= 0:
		return refusedPath(p, "has a NUL")
	}
	for element := range strings.SplitSeq(p, "/") {
		switch {
		case element == "" || element == ".":
			return refusedPath(p, "is not a plain path")
		case element == "..", strings.Contains(element, `..\`), strings.Contains(element, `\..`):
			return refusedPath(p, "leads out of the tree")
		case len(element) > maxName:
			return refusedPath(p, "has an element that is too long")
		}
	}
	return nil
}

func refusedPath(p, why string) error {
	return escrow.Errorf(escrow.Invalid, "the name %.200q %s", p, why).WithHint("nothing was written; ask whoever made the deposit")
}

// LeadsOut reports whether a symbolic link at p with the given target leads
// out of the tree.
func LeadsOut(p, target string) bool {
	if target == "" || target[0] == '/' || strings.Contains(target, `\`) || len(target) >= 2 && target[1] == ':' {
		return true
	}
	// What follows another link cannot be seen in the words, so ".." may only
	// come first, where it stands for directories that are none.
	down := false
	for element := range strings.SplitSeq(target, "/") {
		if element == ".." && down {
			return true
		}
		down = down || element != ".." && element != "." && element != ""
	}
	clean := path.Join(path.Dir(p), target)
	return clean == ".." || strings.HasPrefix(clean, "../")
}

func (e *Entry) validate() error {
	if err := CheckPath(e.Path); err != nil {
		return err
	}
	bad := func(format string, args ...any) error {
		return escrow.Errorf(escrow.Invalid, "%.200q: %s", e.Path, fmt.Sprintf(format, args...))
	}
	if e.Mode&^0o777 != 0 {
		return bad("mode %o is more than permissions", e.Mode)
	}
	switch e.Kind {
	case File:
		total := int64(0)
		for _, c := range e.Chunks {
			if c.Deposit < 1 || c.At < 0 || c.Size < 1 || c.Size > MaxFrame || total > e.Size {
				return bad("a chunk cannot be")
			}
			total += c.Size
		}
		if e.Size != total {
			return bad("the chunks have %d bytes, the file %d", total, e.Size)
		}
	case Hardlink:
		if err := CheckPath(e.Target); err != nil {
			return err
		}
	case Symlink:
		if e.Target == "" || len(e.Target) > MaxPath || strings.IndexByte(e.Target, 0) >= 0 {
			return bad("its target cannot be one")
		}
	case Dir, Gone:
	default:
		return bad("%.20q is no kind of entry", e.Kind)
	}
	switch {
	case e.Kind != File && (e.Size != 0 || len(e.Chunks) != 0):
		return bad("a %s has no content", e.Kind)
	case e.Kind != Symlink && e.Kind != Hardlink && e.Target != "":
		return bad("a %s has no target", e.Kind)
	case e.Kind == Gone && (e.Mode != 0 || e.Time != 0):
		return bad("what is gone has neither mode nor time")
	}
	return nil
}

// same reports whether two entries restore to the same thing.
func (e *Entry) same(o *Entry) bool {
	return e.Path == o.Path && e.Kind == o.Kind && e.Mode == o.Mode && e.Time == o.Time && e.Target == o.Target && e.Size == o.Size &&
		slices.EqualFunc(e.Chunks, o.Chunks, func(a, b Chunk) bool { return a.Sum == b.Sum && a.Size == b.Size })
}

// treeHash digests everything that a tree restores to, entry by entry in
// order. Where the content lies is no part of it.
type treeHash struct{ h hash.Hash }

func newTreeHash() treeHash { return treeHash{sha256.New()} }

func (t treeHash) add(e *Entry) {
	line := make([]byte, 0, 256)
	for _, s := range []string{e.Path, string(e.Kind), e.Target} {
		line = append(binary.AppendUvarint(line, uint64(len(s))), s...)
	}
	line = binary.BigEndian.AppendUint32(line, e.Mode)
	line = binary.BigEndian.AppendUint64(line, uint64(e.Time))
	line = binary.BigEndian.AppendUint64(line, uint64(e.Size))
	line = binary.AppendUvarint(line, uint64(len(e.Chunks)))
	for i := range e.Chunks {
		line = append(binary.BigEndian.AppendUint64(line, uint64(e.Chunks[i].Size)), e.Chunks[i].Sum[:]...)
	}
	t.h.Write(line)
}

func (t treeHash) String() string { return hex.EncodeToString(t.h.Sum(nil)) }
