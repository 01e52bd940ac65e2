package pack

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"

	"holdfast/internal/intake/git/object"
)

// The parsers below refuse what stock Git cannot read and pass what it can,
// however odd: old repositories hold trees with padded modes and tags without
// a tagger, and a deposit must hold them as they are. What git fsck would
// complain of goes to warn.

// errUnreadable marks objects Git itself cannot read.
var errUnreadable = errors.New("git cannot read it")

func unreadable(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errUnreadable, fmt.Sprintf(format, args...))
}

// parseCommit gives the ids a commit names: its tree, then its parents.
func parseCommit(f object.Format, data []byte, treeID func(raw []byte) error, parent func(raw []byte) error, warn func(string)) error {
	var raw [32]byte
	n := f.HexSize()
	rest, ok := header(data, "tree ", n, raw[:])
	if !ok {
		return unreadable("it does not begin with a tree line")
	}
	if err := treeID(raw[:f.Size()]); err != nil {
		return err
	}
	for bytes.HasPrefix(rest, []byte("parent ")) && len(rest) > len("parent ")+n {
		if rest, ok = header(rest, "parent ", n, raw[:]); !ok {
			return unreadable("it has a broken parent line")
		}
		if err := parent(raw[:f.Size()]); err != nil {
			return err
		}
	}
	for _, want := range []string{"author ", "committer "} {
		if !bytes.HasPrefix(rest, []byte(want)) {
			warn("commit has no " + want + "line where it belongs")
			return nil
		}
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			warn("commit ends in its " + want + "line")
			return nil
		}
		rest = rest[end+1:]
	}
	return nil
}

// header reads "<name><id in hex>\n" at the beginning of data.
func header(data []byte, name string, digits int, raw []byte) (rest []byte, ok bool) {
	if len(data) <= len(name)+digits || string(data[:len(name)]) != name || data[len(name)+digits] != '\n' {
		return nil, false
	}
	if _, err := hex.Decode(raw, data[len(name):len(name)+digits]); err != nil {
		return nil, false
	}
	return data[len(name)+digits+1:], true
}

// parseTag gives the object a tag names and what the tag takes it for.
func parseTag(f object.Format, data []byte, target func(raw []byte, k kind) error, warn func(string)) error {
	var raw [32]byte
	rest, ok := header(data, "object ", f.HexSize(), raw[:])
	if !ok {
		return unreadable("it does not begin with an object line")
	}
	line, rest, ok := bytes.Cut(rest, []byte("\n"))
	if !ok || !bytes.HasPrefix(line, []byte("type ")) {
		return unreadable("it has no type line")
	}
	var k kind
	switch string(line[len("type "):]) {
	case "commit":
		k = commit
	case "tree":
		k = tree
	case "blob":
		k = blob
	case "tag":
		k = tag
	default:
		return unreadable("it names an object of unknown type %.20q", line[len("type "):])
	}
	line, rest, ok = bytes.Cut(rest, []byte("\n"))
	if !ok || !bytes.HasPrefix(line, []byte("tag ")) {
		return unreadable("it has no tag line")
	}
	if !bytes.HasPrefix(rest, []byte("tagger ")) {
		warn("tag has no tagger line")
	}
	return target(raw[:f.Size()], k)
}

// Modes of tree entries, as Git takes them apart.
const (
	modeType    = 0o170000
	modeTree    = 0o040000
	modeRegular = 0o100000
	modeLink    = 0o120000
	modeGitlink = 0o160000
)

// parseTree gives the entries of a tree. k is 0 for a gitlink, the commit of
// another repository. name and raw are parts of data.
func parseTree(f object.Format, data []byte, entry func(k kind, name, raw []byte) error, warn func(string)) error {
	size := f.Size()
	var before []byte
	beforeTree := false
	for len(data) > 0 {
		// Git wants room for a mode digit, a space, a name byte and a NUL.
		if len(data) < size+3 {
			return unreadable("tree is cut short")
		}
		var mode uint32
		i := 0
		for {
			if i == len(data) {
				return unreadable("tree is cut in a mode")
			}
			c := data[i]
			i++
			if c == ' ' {
				break
			}
			if c < '0' || c > '7' {
				return unreadable("tree has a malformed mode")
			}
			mode = mode<<3 | uint32(c-'0')
		}
		if i == 1 {
			return unreadable("tree has an empty mode")
		}
		padded := data[0] == '0'
		n, slash := nul(data[i:])
		if n == 0 {
			return unreadable("tree has an entry without a name")
		}
		if n < 0 || len(data) < i+n+1+size {
			return unreadable("tree is cut short")
		}
		name := data[i : i+n]
		raw := data[i+n+1 : i+n+1+size]
		data = data[i+n+1+size:]

		var k kind
		switch mode & modeType {
		case modeTree:
			k = tree
		case modeRegular, modeLink:
			k = blob
		}
		if before != nil && !ordered(before, beforeTree, name, k == tree) {
			warn("tree is not sorted or has a name twice")
		}
		before, beforeTree = name, k == tree
		if padded || name[0] == '.' || !usual(mode) || slash {
			oddEntry(mode, padded, name, warn)
		}
		if err := entry(k, name, raw); err != nil {
			return err
		}
	}
	return nil
}

// nul returns where data holds its first NUL, -1 if nowhere, and whether a
// slash comes before. Names are short and there are many, so eight bytes are
// looked at at a time.
func nul(data []byte) (n int, slash bool) {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(data); i += 8 {
		w := binary.LittleEndian.Uint64(data[i:])
		s := w ^ ones*'/'
		zeros, slashes := (w-ones)&^w&highs, (s-ones)&^s&highs // the lowest bit set is right
		if zeros != 0 {
			return i + bits.TrailingZeros64(zeros)>>3, slash || slashes&-slashes-1 < zeros&-zeros-1
		}
		slash = slash || slashes != 0
	}
	for ; i < len(data); i++ {
		switch data[i] {
		case 0:
			return i, slash
		case '/':
			slash = true
		}
	}
	return -1, slash
}

func usual(mode uint32) bool {
	switch mode {
	case 0o100644, 0o100755, 0o120000, 0o040000, 0o160000:
		return true
	}
	return false
}

func oddEntry(mode uint32, padded bool, name []byte, warn func(string)) {
	if padded {
		warn("tree has a mode with leading zeros")
	}
	if !usual(mode) && mode != 0o100664 {
		warn("tree has an entry of unusual mode")
	}
	switch {
	case bytes.IndexByte(name, '/') >= 0:
		warn("tree has a name with a slash")
	case string(name) == ".", string(name) == "..", bytes.EqualFold(name, []byte(".git")):
		warn(fmt.Sprintf("tree has an entry named %q", name))
	}
}

// ordered reports whether a tree entry may come right before another. Git
// sorts a directory as if its name ended in a slash.
func ordered(a []byte, aTree bool, b []byte, bTree bool) bool {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return after(a, n, aTree) < after(b, n, bTree)
}

func after(name []byte, n int, isTree bool) byte {
	switch {
	case len(name) > n:
		return name[n]
	case isTree:
		return '/'
	}
	return 0
}
