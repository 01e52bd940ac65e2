package evidence

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// This file holds the small terms that the key documents share: names,
// recipients, fingerprints, points, times and texts, each with one spelling.

// IsName reports whether s can name a party, a person or a class in the key
// documents: an identifier as in [IsID] without '/', of at most 64 bytes, so
// that it can be a file name.
func IsName(s string) bool {
	return len(s) <= 64 && !strings.Contains(s, "/") && IsID(s)
}

const (
	recipientPrefix = "age1pq1"
	recipientLength = 1959
)

// IsRecipient reports whether s has the form of a post-quantum age recipient
// ("age1pq1…", ML-KEM-768 with X25519), the only kind that Holdfast seals to.
// Whether it holds a valid public key only age can say.
func IsRecipient(s string) bool {
	if len(s) != recipientLength || !strings.HasPrefix(s, recipientPrefix) {
		return false
	}
	for i := len(recipientPrefix); i < len(s); i++ {
		if !strings.Contains("023456789acdefghjklmnpqrstuvwxyz", s[i:i+1]) {
			return false
		}
	}
	return true
}

// Fingerprint is the SHA-256 of the recipient string, the way recipients are
// named where the whole string would be in the way.
func Fingerprint(recipient string) string { return Digest([]byte(recipient)) }

// Bytes32 is a scalar or point of ristretto255 in its canonical 32-byte
// encoding; as text it is unpadded standard base64.
type Bytes32 [32]byte

// ParseBytes32 reads what [Bytes32.String] writes and nothing else.
func ParseBytes32(s string) (Bytes32, error) {
	var b Bytes32
	raw, err := base64.RawStdEncoding.Strict().DecodeString(s)
	if err != nil || len(raw) != len(b) || strings.ContainsAny(s, "\r\n") {
		return b, fmt.Errorf("not 32 bytes in unpadded base64")
	}
	copy(b[:], raw)
	return b, nil
}

func (b Bytes32) String() string { return base64.RawStdEncoding.EncodeToString(b[:]) }

// MarshalText implements [encoding.TextMarshaler].
func (b Bytes32) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (b *Bytes32) UnmarshalText(text []byte) error {
	v, err := ParseBytes32(string(text))
	if err != nil {
		return err
	}
	*b = v
	return nil
}

// Time is an instant in a signed document, to the second.
type Time struct{ time.Time }

// timeForm is RFC 3339 in UTC without fractions: one spelling per second.
const timeForm = "2006-01-02T15:04:05Z"

// At returns t in UTC, cut to the second, as documents carry it.
func At(t time.Time) Time { return Time{t.UTC().Truncate(time.Second)} }

func (t Time) String() string { return t.UTC().Format(timeForm) }

// MarshalText implements [encoding.TextMarshaler].
func (t Time) MarshalText() ([]byte, error) {
	if y := t.UTC().Year(); y < 2000 || y > 9999 {
		return nil, fmt.Errorf("year %d is out of range", y)
	}
	return []byte(t.String()), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler]; it accepts only what
// MarshalText writes.
func (t *Time) UnmarshalText(text []byte) error {
	v, err := time.Parse(timeForm, string(text))
	if err != nil || v.Format(timeForm) != string(text) || v.Year() < 2000 {
		return fmt.Errorf("time %.40q is not written as %s", text, timeForm)
	}
	t.Time = v
	return nil
}

// MarshalJSON keeps time.Time's own method from being used.
func (t Time) MarshalJSON() ([]byte, error) {
	text, err := t.MarshalText()
	if err != nil {
		return nil, err
	}
	return []byte(`"` + string(text) + `"`), nil
}

// UnmarshalJSON keeps time.Time's own method from being used.
func (t *Time) UnmarshalJSON(data []byte) error {
	if len(data) < 2 || data[0] != '"' || data[len(data)-1] != '"' {
		return fmt.Errorf("time is not a string")
	}
	return t.UnmarshalText(data[1 : len(data)-1])
}

// checkText accepts one line of 1 to limit bytes for people to read.
func checkText(what, s string, limit int) error {
	switch {
	case len(s) == 0 || len(s) > limit:
		return fmt.Errorf("%s is %d bytes long, want 1 to %d", what, len(s), limit)
	case !utf8.ValidString(s):
		return fmt.Errorf("%s is not UTF-8", what)
	case strings.TrimSpace(s) != s:
		return fmt.Errorf("%s begins or ends with white space", what)
	}
	for _, r := range s {
		// Only graphic characters and the plain blank: no control, bidirectional
		// or zero-width character can make a person read something else.
		if !unicode.IsPrint(r) {
			return fmt.Errorf("%s holds the character %U, which cannot be printed", what, r)
		}
	}
	return nil
}

// Groups writes a digest in hexadecimal groups of four, for eyes.
func Groups(digest string) string {
	var b strings.Builder
	for i := 0; i < len(digest); i += 4 {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(digest[i:min(i+4, len(digest))])
	}
	return b.String()
}

// Digits writes a digest as eight groups of four decimal digits, to be read
// aloud in any language and compared over the telephone: group i is the
// remainder by 10000 of the i-th 32-bit big-endian word. About 106 bits of
// the digest are in it, too many for anybody to make a second key with the
// same digits. It returns "" for what is not a digest.
func Digits(digest string) string {
	raw, err := hex.DecodeString(digest)
	if err != nil || !IsDigest(digest) {
		return ""
	}
	groups := make([]string, 0, len(raw)/4)
	for w := range slices.Chunk(raw, 4) {
		groups = append(groups, fmt.Sprintf("%04d", binary.BigEndian.Uint32(w)%10000))
	}
	return strings.Join(groups, " ")
}
