// Package pointer reads the small text that a repository holds in place of a
// large file of Git LFS. It depends on evidence only and does no I/O.
package pointer

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"holdfast/evidence"
)

// Max is the length in bytes that a pointer stays below, by the
// specification of the format.
const Max = 1024

// Min is the length of the shortest pointer: version, oid and size.
const Min = len("version http://git-media.io/v/2\noid sha256:\nsize 0\n") + 2*sha256.Size

// ErrNotPointer is returned for content that is not an LFS pointer.
var ErrNotPointer = errors.New("not an LFS pointer")

// Pointer is what a repository holds in place of a large file.
type Pointer struct {
	OID  string // SHA-256 of the content, lower-case hex
	Size int64  // bytes
}

// Parse reads the content of a blob. Anything but a pointer gives an error
// that wraps [ErrNotPointer]; most blobs do. As git-lfs does, it takes the two
// older names of version 1, extension lines, blank lines, CRLF and a missing
// last line feed: a file that git-lfs would replace by its content counts.
func Parse(data []byte) (Pointer, error) {
	if len(data) >= Max {
		return Pointer{}, fmt.Errorf("%w: %d bytes", ErrNotPointer, len(data))
	}
	if !bytes.Contains(data, []byte("version ")) { // most blobs, without taking them apart
		return Pointer{}, ErrNotPointer
	}
	versions := []string{"https://git-lfs.github.com/spec/v1", "https://hawser.github.com/spec/v1", "http://git-media.io/v/2"}
	var p Pointer
	want := []string{"version", "oid", "size"}
	for text := range strings.SplitSeq(string(bytes.TrimSpace(data)), "\n") {
		if text = strings.TrimSuffix(text, "\r"); text == "" {
			continue
		}
		key, value, ok := strings.Cut(text, " ")
		if !ok || len(want) == 0 {
			return Pointer{}, fmt.Errorf("%w: line %.40q", ErrNotPointer, text)
		}
		if key != want[0] {
			if strings.HasPrefix(key, "ext-") {
				continue
			}
			return Pointer{}, fmt.Errorf("%w: %.40q in place of %s", ErrNotPointer, key, want[0])
		}
		want = want[1:]
		switch key {
		case "version":
			if !slices.Contains(versions, value) {
				return Pointer{}, fmt.Errorf("%w: version %.80q", ErrNotPointer, value)
			}
		case "oid":
			if p.OID, ok = strings.CutPrefix(value, "sha256:"); !ok || !evidence.IsDigest(p.OID) {
				return Pointer{}, fmt.Errorf("%w: bad oid", ErrNotPointer)
			}
		case "size":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || n < 0 {
				return Pointer{}, fmt.Errorf("%w: bad size", ErrNotPointer)
			}
			p.Size = n
		}
	}
	if len(want) > 0 {
		return Pointer{}, fmt.Errorf("%w: no %s", ErrNotPointer, want[0])
	}
	return p, nil
}
