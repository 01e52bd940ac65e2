package restore

import (
	"bufio"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"holdfast/internal/intake/git/object"
)

type bundleHeader struct {
	format        object.Format
	prerequisites []object.OID
	refs          []object.Ref
}

const maxHeader = 64 << 20

// readBundleHeader reads a bundle's header and leaves r at the pack.
func readBundleHeader(r *bufio.Reader) (*bundleHeader, error) {
	h := &bundleHeader{format: object.SHA1}
	total := 0
	next := func() (string, error) {
		line, err := r.ReadSlice('\n')
		total += len(line)
		switch {
		case errors.Is(err, io.EOF):
			return "", errors.New("the bundle's header is cut off")
		case errors.Is(err, bufio.ErrBufferFull) || total > maxHeader:
			return "", errors.New("the bundle's header is too long")
		case err != nil:
			return "", err
		}
		return string(line[:len(line)-1]), nil
	}
	signature, err := next()
	if err != nil {
		return nil, err
	}
	if signature != "# v2 git bundle" && signature != "# v3 git bundle" {
		return nil, errors.New("no bundle after the inventory")
	}
	capabilities := signature == "# v3 git bundle"
	for {
		line, err := next()
		switch {
		case err != nil:
			return nil, err
		case line == "":
			return h, nil
		case capabilities && line[0] == '@':
			key, value, _ := strings.Cut(line[1:], "=")
			if key != "object-format" {
				return nil, fmt.Errorf("the bundle asks for %.80q", line)
			}
			if h.format, err = object.ParseFormat(value); err != nil {
				return nil, err
			}
			continue
		}
		capabilities = false
		prerequisite := line[0] == '-'
		hexID, rest, named := strings.Cut(strings.TrimPrefix(line, "-"), " ")
		id, err := object.ParseOID(h.format, hexID)
		if err != nil {
			return nil, fmt.Errorf("the bundle's header: %v", err)
		}
		if prerequisite {
			h.prerequisites = append(h.prerequisites, id)
			continue
		}
		if !named || rest != "HEAD" && object.CheckRefName(rest) != nil {
			return nil, fmt.Errorf("the bundle's header: bad ref name %.200q", rest)
		}
		h.refs = append(h.refs, object.Ref{Name: rest, OID: id})
	}
}

// trailerCheck passes a pack on and fails where its last bytes are not the
// hash of all before, so that neither a cut nor bytes after the pack, which
// git index-pack ignores, go unseen.
type trailerCheck struct {
	r     io.Reader
	sum   hash.Hash
	tail  []byte // the last bytes read, at most the hash's size
	err   error
	whole bool
}

func newTrailerCheck(r io.Reader, f object.Format) *trailerCheck {
	return &trailerCheck{r: r, sum: f.New()}
}

func (t *trailerCheck) Read(p []byte) (int, error) {
	if t.err != nil {
		return 0, t.err
	}
	n, err := t.r.Read(p)
	t.take(p[:n])
	if errors.Is(err, io.EOF) {
		if t.whole = string(t.sum.Sum(nil)) == string(t.tail); !t.whole {
			t.err = errors.New("the pack is cut off, altered, or followed by other bytes")
			return n, t.err
		}
		return n, io.EOF
	}
	t.err = err
	return n, err
}

func (t *trailerCheck) take(p []byte) {
	size := t.sum.Size()
	if len(p) >= size {
		t.sum.Write(t.tail)
		t.sum.Write(p[:len(p)-size])
		t.tail = append(t.tail[:0], p[len(p)-size:]...)
		return
	}
	t.tail = append(t.tail, p...)
	if over := len(t.tail) - size; over > 0 {
		t.sum.Write(t.tail[:over])
		t.tail = append(t.tail[:0], t.tail[over:]...)
	}
}
