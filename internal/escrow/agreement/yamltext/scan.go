package yamltext

import (
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/scanner"
	"github.com/goccy/go-yaml/token"

	"holdfast/internal/escrow/agreement/problem"
)

// characters checks the bytes before any YAML is read: size, encoding,
// characters that an eye cannot see or that YAML versions treat differently.
func (r *reader) characters(data []byte) bool {
	switch {
	case len(data) > MaxBytes:
		r.fail(problem.Pos{}, "text-size", "split the agreement or move documents out of it", "the text has %d bytes, at most %d are read", len(data), MaxBytes)
		return false
	case len(data) >= 2 && (data[0] == 0xFE && data[1] == 0xFF || data[0] == 0xFF && data[1] == 0xFE):
		r.fail(problem.Pos{}, "text-encoding", "save the file as UTF-8", "the text is UTF-16")
		return false
	case strings.HasPrefix(string(data), "\uFEFF"):
		r.fail(problem.Pos{Line: 1, Column: 1}, "text-encoding", "save the file as UTF-8 without a byte order mark", "the text begins with a byte order mark")
		return false
	}
	line, column, indent := 1, 0, true
	for i := 0; i < len(data); {
		c, size := utf8.DecodeRune(data[i:])
		column++
		if c == utf8.RuneError && size == 1 {
			r.fail(problem.Pos{Line: line, Column: column}, "text-encoding", "save the file as UTF-8", "byte 0x%02X is not UTF-8", data[i])
			return false
		}
		if c == '\r' && i+1 < len(data) && data[i+1] == '\n' {
			i++
			continue
		}
		if what := hidden(c); what != "" {
			r.fail(problem.Pos{Line: line, Column: column}, "text-character", "remove it", "%s (U+%04X)", what, c)
			return false
		}
		if c == '\t' {
			r.fail(problem.Pos{Line: line, Column: column}, "text-character", "use spaces", "a tab; readers of YAML disagree about what it means")
			return false
		}
		if indent = indent && c == ' '; indent && column > maxIndent {
			r.fail(problem.Pos{Line: line, Column: column}, "yaml-depth", "flatten it", "indented by more than %d spaces", maxIndent)
			return false
		}
		i += size
		if c == '\n' {
			line, column, indent = line+1, 0, true
		}
	}
	return true
}

// hidden names a character that must not be in a text people sign, because
// they cannot see it or it changes what they see.
func hidden(c rune) string {
	switch {
	case c == 0:
		return "a NUL byte"
	case c == '\r':
		return "a carriage return without a line feed"
	case c < 0x20 && c != '\n' && c != '\t', c == 0x7F, c >= 0x80 && c < 0xA0:
		return "a control character"
	case c == 0x2028 || c == 0x2029:
		return "a separator that some readers take for the end of a line"
	case c >= 0x202A && c <= 0x202E, c >= 0x2066 && c <= 0x2069, c == 0x200E, c == 0x200F, c == 0x061C:
		return "a character that changes the direction in which text is shown"
	case c == 0x200B, c == 0x2060, c == 0xFEFF, c == 0x00AD, c == 0x180E:
		return "a character that cannot be seen"
	case c >= 0xFFFE && c&0xFFFE == 0xFFFE, c >= 0xFDD0 && c <= 0xFDEF:
		return "a code that is not a character"
	}
	return ""
}

// tokens scans the text and stops at the first thing that is not part of the
// language or exceeds a limit, before the parser recurses into it.
func (r *reader) tokens(text string) token.Tokens {
	var (
		s          scanner.Scanner
		out        token.Tokens
		content    int // tokens that are not comments
		keys, flow int
		dashLine   int // line of the block sequence entries being counted
		dashes     int
	)
	s.Init(text)
	for {
		batch, err := s.Scan()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			r.invalid(batch, err)
			return nil
		}
		for _, t := range batch {
			at := place(t)
			switch t.Type {
			case token.MappingStartType, token.SequenceStartType:
				flow++
			case token.MappingEndType, token.SequenceEndType:
				flow--
			case token.MappingValueType:
				keys++
			case token.SequenceEntryType:
				if at.Line != dashLine {
					dashLine, dashes = at.Line, 0
				}
				dashes++
			default:
				if !r.allowed(t, at, content == 0) {
					return nil
				}
			}
			switch {
			case flow > MaxDepth || dashes > MaxDepth:
				r.fail(at, "yaml-depth", "flatten it", "nested deeper than %d", MaxDepth)
				return nil
			case keys > MaxKeys:
				r.fail(at, "text-size", "split the agreement or move documents out of it", "more than %d keys", MaxKeys)
				return nil
			case len(out) >= maxTokens:
				r.fail(at, "text-size", "split the agreement or move documents out of it", "more than %d values, keys and marks", maxTokens)
				return nil
			}
			if t.Type != token.CommentType {
				content++
			}
			out.Add(t)
		}
	}
}

// invalid reports a text the scanner cannot cut into tokens.
func (r *reader) invalid(batch token.Tokens, err error) {
	for _, t := range batch {
		if t.Type == token.InvalidType {
			r.fail(place(t), "yaml-syntax", "check the indentation, brackets and quotes here", "%s", t.Error)
			return
		}
	}
	r.fail(problem.Pos{}, "yaml-syntax", "check the indentation, brackets and quotes", "%v", err)
}

// allowed refuses the marks of YAML that are not part of the language.
func (r *reader) allowed(t *token.Token, at problem.Pos, first bool) bool {
	switch t.Type {
	case token.AnchorType:
		r.fail(at, "yaml-anchor", "write the value out where it is used; quote it if & is meant as a character", "an anchor (&)")
	case token.AliasType:
		r.fail(at, "yaml-alias", "write the value out; quote it if * is meant as a character", "an alias (*)")
	case token.TagType:
		r.fail(at, "yaml-tag", "remove it; quote the value if ! is meant as a character", "a tag (%s)", t.Value)
	case token.MergeKeyType:
		r.fail(at, "yaml-merge", "write the keys out", "a merge key (<<)")
	case token.MappingKeyType:
		r.fail(at, "yaml-key", "write the key as a plain word", "a complex key (?)")
	case token.DirectiveType:
		r.fail(at, "yaml-directive", "remove it", "a YAML directive (%%)")
	case token.SingleQuoteType, token.DoubleQuoteType:
		// Nearly always a quote that was never closed; and line ends inside
		// quotes follow rules few people know.
		if !strings.Contains(strings.TrimSpace(t.Origin), "\n") {
			return true
		}
		r.fail(at, "yaml-quote", "close the quote on its line; write longer text below | or >-", "a quoted text goes over several lines")
	case token.DocumentEndType:
		r.fail(at, "yaml-documents", "remove it", "an end of document (...)")
	case token.DocumentHeaderType:
		if first {
			return true
		}
		r.fail(at, "yaml-documents", "put each agreement in a file of its own", "a second document (---)")
	default:
		return true
	}
	return false
}
