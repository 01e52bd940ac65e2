// Package bundle writes and reads the header of a Git bundle: what stands
// before the pack in a deposit, so that stock git can open it without us. It
// depends on object only.
package bundle

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"holdfast/internal/intake/git/object"
)

// Header says what a bundle holds and what it builds on.
type Header struct {
	Format object.Format

	// Prerequisites are commits that must be there before. Anything but a
	// commit makes stock git refuse the bundle, though the object be there.
	Prerequisites []object.OID

	Refs []object.Ref // Peeled is not kept; the name HEAD is allowed
}

// MaxHeader bounds a header that is read, in bytes.
const MaxHeader = 128 << 20

const (
	signatureV2 = "# v2 git bundle\n"
	signatureV3 = "# v3 git bundle\n"
	formatKey   = "@object-format="
	headName    = "HEAD"
)

// WriteTo writes the header with the empty line that ends it; the pack comes
// next. SHA-1 repositories get version 2, which every git reads, others
// version 3.
func (h *Header) WriteTo(w io.Writer) (int64, error) {
	if err := h.check(); err != nil {
		return 0, err
	}
	buf := bufio.NewWriterSize(w, 32<<10)
	total := int64(0)
	var scratch []byte
	put := func(line []byte) error {
		n, err := buf.Write(line)
		total += int64(n)
		return err
	}
	first := signatureV2
	if h.Format != object.SHA1 {
		first = signatureV3 + formatKey + h.Format.String() + "\n"
	}
	err := put([]byte(first))
	for _, p := range h.Prerequisites {
		scratch = append(p.AppendHex(append(scratch[:0], '-')), '\n')
		err = errors.Join(err, put(scratch))
	}
	for _, r := range h.Refs {
		scratch = append(r.OID.AppendHex(scratch[:0]), ' ')
		scratch = append(append(scratch, r.Name...), '\n')
		err = errors.Join(err, put(scratch))
	}
	return total + 1, errors.Join(err, buf.WriteByte('\n'), buf.Flush())
}

func (h *Header) check() error {
	if h.Format.Size() == 0 {
		return errors.New("bundle: no object format")
	}
	for _, p := range h.Prerequisites {
		if p.Format() != h.Format {
			return fmt.Errorf("bundle: prerequisite %q is not a %s id", p, h.Format)
		}
	}
	for _, r := range h.Refs {
		if err := checkName(r.Name); err != nil {
			return err
		}
		if r.OID.Format() != h.Format {
			return fmt.Errorf("bundle: %s is at %q, not at a %s id", object.QuoteRef(r.Name), r.OID, h.Format)
		}
	}
	return nil
}

func checkName(name string) error {
	if name == headName {
		return nil
	}
	if err := object.CheckRefName(name); err != nil {
		return fmt.Errorf("bundle: ref %.200s %v", object.QuoteRef(name), err)
	}
	return nil
}

// Read reads a header and leaves r at the pack. It takes the comments that
// stock git writes behind prerequisites and does not keep them. A bundle that
// asks for anything but an object format, such as a filter, is refused: it is
// not whole.
func Read(r *bufio.Reader) (*Header, error) {
	in := &reader{r: r}
	h := &Header{Format: object.SHA1}
	signature, err := in.line()
	if err != nil {
		return nil, err
	}
	if signature != signatureV2[:len(signatureV2)-1] && signature != signatureV3[:len(signatureV3)-1] {
		return nil, fmt.Errorf("bundle: it begins with %.40q, not as a bundle of version 2 or 3 does", signature)
	}
	capabilities := signature == signatureV3[:len(signatureV3)-1]
	for {
		line, err := in.line()
		if err != nil || line == "" {
			return h, err
		}
		if capabilities && line[0] == '@' {
			name, ok := strings.CutPrefix(line, formatKey)
			if !ok || in.lines != 2 {
				return nil, fmt.Errorf("bundle: it asks for %.80q", line)
			}
			if h.Format, err = object.ParseFormat(name); err != nil {
				return nil, fmt.Errorf("bundle: %v", err)
			}
			continue
		}
		capabilities = false
		text, prerequisite := strings.CutPrefix(line, "-")
		id, rest, named := strings.Cut(text, " ")
		oid, err := object.ParseOID(h.Format, id)
		if err != nil {
			return nil, fmt.Errorf("bundle: line %d: %v", in.lines, err)
		}
		if prerequisite {
			if len(h.Refs) > 0 {
				return nil, fmt.Errorf("bundle: line %d: a prerequisite behind a ref", in.lines)
			}
			h.Prerequisites = append(h.Prerequisites, oid)
			continue
		}
		if !named {
			return nil, fmt.Errorf("bundle: line %d: a ref without a name", in.lines)
		}
		if err := checkName(rest); err != nil {
			return nil, err
		}
		h.Refs = append(h.Refs, object.Ref{Name: rest, OID: oid})
	}
}

type reader struct {
	r     *bufio.Reader
	bytes int
	lines int
}

func (in *reader) line() (string, error) {
	in.lines++
	var long []byte
	for {
		part, err := in.r.ReadSlice('\n')
		in.bytes += len(part)
		switch {
		case in.bytes > MaxHeader:
			return "", fmt.Errorf("bundle: its header is longer than %d bytes", MaxHeader)
		case err == nil:
			part = part[:len(part)-1]
			if long != nil {
				part = append(long, part...)
			}
			return string(part), nil
		case errors.Is(err, io.EOF):
			return "", fmt.Errorf("bundle: its header is cut off in line %d: %w", in.lines, io.ErrUnexpectedEOF)
		case !errors.Is(err, bufio.ErrBufferFull):
			return "", fmt.Errorf("bundle: %w", err)
		}
		long = append(long, part...)
	}
}
