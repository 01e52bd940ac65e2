package object

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
)

// Format is the hash a repository names its objects by.
type Format uint8

// The two formats Git has. The zero Format is none of them.
const (
	SHA1   Format = 1
	SHA256 Format = 2
)

// ParseFormat reads a format's name as Git writes it: "sha1" or "sha256".
func ParseFormat(name string) (Format, error) {
	switch name {
	case "sha1":
		return SHA1, nil
	case "sha256":
		return SHA256, nil
	}
	return 0, fmt.Errorf("object format %.32q is neither sha1 nor sha256", name)
}

// String returns the name that [ParseFormat] reads.
func (f Format) String() string {
	switch f {
	case SHA1:
		return "sha1"
	case SHA256:
		return "sha256"
	}
	return "unknown"
}

// Size returns the length of an id in bytes, 0 for the zero Format.
func (f Format) Size() int {
	switch f {
	case SHA1:
		return sha1.Size
	case SHA256:
		return sha256.Size
	}
	return 0
}

// HexSize returns the length of an id as text.
func (f Format) HexSize() int { return 2 * f.Size() }

// New returns the hash that names objects, nil for the zero Format.
func (f Format) New() hash.Hash {
	switch f {
	case SHA1:
		return sha1.New()
	case SHA256:
		return sha256.New()
	}
	return nil
}

// OID is the id of one object. It is comparable and holds no pointer, so a
// map or slice of many costs the garbage collector nothing. The zero OID
// stands for "none".
type OID struct {
	raw [sha256.Size]byte
	n   uint8 // bytes used: 0, 20 or 32
}

// ParseOID reads an id of format f in lower-case hexadecimal, as Git writes
// it everywhere. The all-zero id is refused: Git uses it for "no object".
func ParseOID(f Format, text string) (OID, error) {
	if f.Size() == 0 {
		return OID{}, fmt.Errorf("object id %.80q: no object format", text)
	}
	if len(text) != f.HexSize() {
		return OID{}, fmt.Errorf("object id %.80q has %d characters, want %d for %s", text, len(text), f.HexSize(), f)
	}
	var o OID
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return OID{}, fmt.Errorf("object id %.80q is not lower-case hexadecimal", text)
		}
	}
	if _, err := hex.Decode(o.raw[:], []byte(text)); err != nil {
		return OID{}, fmt.Errorf("object id %.80q: %v", text, err)
	}
	o.n = uint8(f.Size())
	if o.raw == (OID{}).raw {
		return OID{}, fmt.Errorf("object id is all zeros")
	}
	return o, nil
}

// FromBytes returns the id whose raw bytes are raw, which must have exactly
// the format's size. Unlike [ParseOID] it takes any value: trees and packs
// are checked where they are read.
func FromBytes(f Format, raw []byte) (OID, error) {
	if f.Size() == 0 || len(raw) != f.Size() {
		return OID{}, fmt.Errorf("object id of %d bytes, want %d for %s", len(raw), f.Size(), f)
	}
	var o OID
	copy(o.raw[:], raw)
	o.n = uint8(len(raw))
	return o, nil
}

// Format returns the format of the id, the zero Format for the zero OID.
func (o OID) Format() Format {
	switch o.n {
	case sha1.Size:
		return SHA1
	case sha256.Size:
		return SHA256
	}
	return 0
}

// IsZero reports whether o is the zero OID.
func (o OID) IsZero() bool { return o.n == 0 }

// String returns the id in lower-case hexadecimal, "" for the zero OID.
func (o OID) String() string { return hex.EncodeToString(o.raw[:o.n]) }

// Bytes returns a copy of the raw id.
func (o OID) Bytes() []byte { return append([]byte(nil), o.raw[:o.n]...) }

// Append appends the raw id to dst.
func (o OID) Append(dst []byte) []byte { return append(dst, o.raw[:o.n]...) }

// AppendHex appends the id in lower-case hexadecimal to dst.
func (o OID) AppendHex(dst []byte) []byte { return hex.AppendEncode(dst, o.raw[:o.n]) }

// Compare orders ids by their bytes, the zero OID first.
func (o OID) Compare(p OID) int { return bytes.Compare(o.raw[:o.n], p.raw[:p.n]) }
