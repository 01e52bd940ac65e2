// Package lfs fetches the objects of Git Large File Storage that a
// repository's pointers name, through the batch API, and hands each to the
// vault while its size and hash are checked.
//
// It depends on evidence and escrow and on what the caller injects: the HTTP
// client, the vault, and for ssh sources the way to run a command there.
package lfs

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

// MaxPointer is the length in bytes that a pointer stays below, by the
// specification of the format.
const MaxPointer = 1024

// MinPointer is the length of the shortest pointer: version, oid and size.
const MinPointer = len("version http://git-media.io/v/2\noid sha256:\nsize 0\n") + 2*sha256.Size

// ErrNotPointer is returned for content that is not an LFS pointer.
var ErrNotPointer = errors.New("not an LFS pointer")

// Pointer is what a repository holds in place of a large file.
type Pointer struct {
	OID  string // SHA-256 of the content, lower-case hex
	Size int64  // bytes
}

// ParsePointer reads the content of a blob. Anything but a pointer gives an
// error that wraps [ErrNotPointer]; most blobs do. As git-lfs does, it takes
// the two older names of version 1, extension lines, blank lines, CRLF and a missing
// last line feed: a file that git-lfs would replace by its content counts.
func ParsePointer(data []byte) (Pointer, error) {
	if len(data) >= MaxPointer {
		return Pointer{}, fmt.Errorf("%w: %d bytes", ErrNotPointer, len(data))
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
