package object

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Ref is one name a repository gives to an object.
type Ref struct {
	Name   string // any bytes that CheckRefName accepts; not always valid UTF-8
	OID    OID
	Peeled OID // what an annotated tag finally points at; zero for anything else
}

// Tip returns the object behind the ref with tags taken away: Peeled when
// there is one, else OID.
func (r Ref) Tip() OID {
	if r.Peeled.IsZero() {
		return r.OID
	}
	return r.Peeled
}

// MaxRefName is the longest ref name taken, in bytes: the longest path a
// Linux file system takes, beyond which no restore could write the ref.
const MaxRefName = 4095

// CheckRefName says why name may not be a ref, nil when it may. The rules are
// those of git-check-ref-format, and the name must begin with "refs/": what
// passes can be written below a repository's refs directory and touches
// nothing outside it. Names that differ only by case are different names.
func CheckRefName(name string) error {
	rest, ok := strings.CutPrefix(name, "refs/")
	switch {
	case !ok:
		return errors.New(`does not begin with "refs/"`)
	case len(name) > MaxRefName:
		return fmt.Errorf("is %d bytes long, more than %d", len(name), MaxRefName)
	case strings.HasSuffix(name, "."):
		return errors.New("ends with a dot")
	case strings.Contains(name, "@{"):
		return errors.New(`holds "@{"`)
	case strings.Contains(name, ".."):
		return errors.New(`holds ".."`)
	}
	for part := range strings.SplitSeq(rest, "/") {
		switch {
		case part == "":
			return errors.New("has an empty part")
		case part[0] == '.':
			return errors.New("has a part that begins with a dot")
		case strings.HasSuffix(part, ".lock"):
			return errors.New(`has a part that ends with ".lock"`)
		}
	}
	for i := range len(name) {
		if c := name[i]; c < 0x20 || c == 0x7f {
			return fmt.Errorf("holds the control character %#02x", c)
		} else if strings.IndexByte(` ~^:?*[\`, c) >= 0 {
			return fmt.Errorf("holds %q", c)
		}
	}
	return nil
}

// QuoteRef writes a ref name for a text format or a screen. A byte that is
// not part of valid UTF-8, a control character and a character that changes
// the direction or the lines of text become \xNN for each of their bytes, and
// a backslash is doubled. No legal ref holds a backslash, so for legal names
// the result tells every name from every other and [UnquoteRef] reads it back.
func QuoteRef(name string) string {
	if !needsQuoting(name) {
		return name
	}
	dst := make([]byte, 0, len(name)+16)
	for len(name) > 0 {
		r, n := utf8.DecodeRuneInString(name)
		switch {
		case r == '\\':
			dst = append(dst, `\\`...)
		case r == utf8.RuneError && n == 1, hidden(r):
			for i := range n {
				dst = fmt.Appendf(dst, `\x%02x`, name[i])
			}
		default:
			dst = append(dst, name[:n]...)
		}
		name = name[n:]
	}
	return string(dst)
}

// UnquoteRef reads what [QuoteRef] wrote and refuses anything it would have
// written differently.
func UnquoteRef(text string) (string, error) {
	name := text
	if strings.IndexByte(text, '\\') >= 0 {
		dst := make([]byte, 0, len(text))
		for i := 0; i < len(text); i++ {
			switch {
			case text[i] != '\\':
				dst = append(dst, text[i])
			case strings.HasPrefix(text[i:], `\\`):
				dst = append(dst, '\\')
				i++
			case len(text) >= i+4 && text[i+1] == 'x' && digit(text[i+2]) >= 0 && digit(text[i+3]) >= 0:
				dst = append(dst, byte(digit(text[i+2])<<4|digit(text[i+3])))
				i += 3
			default:
				return "", fmt.Errorf("ref name %.200q: bad escape at byte %d", text, i)
			}
		}
		name = string(dst)
	}
	if QuoteRef(name) != text {
		return "", fmt.Errorf("ref name %.200q is not in its one quoted form", text)
	}
	return name, nil
}

func needsQuoting(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '\\' {
			return c < 0x80 || !utf8.ValidString(s) || strings.IndexFunc(s, func(r rune) bool { return r == '\\' || hidden(r) }) >= 0
		}
	}
	return false
}

// hidden names the characters by hand instead of asking the unicode package:
// a format must not change with the version of a table.
func hidden(r rune) bool {
	switch {
	case r < 0x20, r >= 0x7f && r < 0xa0: // control characters
	case r == 0x061c, r == 0x200e, r == 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069: // direction
	case r == 0x2028, r == 0x2029: // lines
	case r == 0x200b, r == 0xfeff: // no width
	default:
		return false
	}
	return true
}

func digit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}
