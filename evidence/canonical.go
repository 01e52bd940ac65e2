package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// ErrNotCanonical is wrapped by every refusal of a document whose bytes are
// not the one canonical rendering of what they say.
var ErrNotCanonical = errors.New("not canonical JSON")

// maxDepth bounds the nesting of any document read from outside.
const maxDepth = 64

// Canonical renders v as canonical JSON: the JSON Canonicalization Scheme
// (RFC 8785) narrowed to what Holdfast signs. Object keys are sorted by their
// UTF-16 code units, there is no white space, and every number is an integer
// within ±(2^53−1); a document that holds a fraction or an exponent is
// refused, so that no reader can round it differently.
func Canonical(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("canonical: %w", err)
	}
	tree, err := decodeTree(buf.Bytes())
	if err != nil {
		return nil, err
	}
	return appendCanonical(nil, tree, 0)
}

// ParseCanonical reads data into v and refuses unknown fields, duplicate
// keys, trailing bytes and any rendering other than the canonical one. What
// parses therefore has exactly one byte form, and its digest means something.
func ParseCanonical(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%w: %v", ErrNotCanonical, err)
	}
	again, err := Canonical(v)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, data) {
		return fmt.Errorf("%w: differs from its canonical form at byte %d", ErrNotCanonical, firstDifference(again, data))
	}
	return nil
}

// Digest is the lower-case hexadecimal SHA-256 of data, the way every digest
// in Holdfast's formats is written.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// IsDigest reports whether s has the form that [Digest] returns.
func IsDigest(s string) bool {
	if len(s) != 2*sha256.Size {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func firstDifference[T []byte | string](a, b T) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func decodeTree(data []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return nil, fmt.Errorf("canonical: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: bytes after the document", ErrNotCanonical)
	}
	return tree, nil
}

func appendCanonical(dst []byte, v any, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%w: nested deeper than %d", ErrNotCanonical, maxDepth)
	}
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case string:
		return appendString(dst, v)
	case json.Number:
		return appendInteger(dst, v)
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = appendCanonical(dst, e, depth+1); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.SortFunc(keys, compareUTF16)
		dst = append(dst, '{')
		for i, k := range keys {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = appendString(dst, k); err != nil {
				return nil, err
			}
			dst = append(dst, ':')
			if dst, err = appendCanonical(dst, v[k], depth+1); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	}
	return nil, fmt.Errorf("%w: unexpected value %T", ErrNotCanonical, v)
}

func appendInteger(dst []byte, n json.Number) ([]byte, error) {
	const limit = 1<<53 - 1
	i, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil || i > limit || i < -limit || n.String() == "-0" {
		return nil, fmt.Errorf("%w: number %s is not an integer within ±(2^53−1); write it as a string", ErrNotCanonical, n)
	}
	return strconv.AppendInt(dst, i, 10), nil
}

func appendString(dst []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("%w: string is not valid UTF-8", ErrNotCanonical)
	}
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\b':
			dst = append(dst, `\b`...)
		case r == '\f':
			dst = append(dst, `\f`...)
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r < 0x20:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"'), nil
}

// compareUTF16 orders strings by their UTF-16 code units. That is the order of
// the bytes, unless a character needs two units: those sort below U+E000.
func compareUTF16(a, b string) int {
	i := firstDifference(a, b)
	if i == len(a) || i == len(b) || a[i] < 0xEE && b[i] < 0xEE {
		return strings.Compare(a, b)
	}
	return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
}
