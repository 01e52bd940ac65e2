package restore

import (
	"errors"
	"hash"
	"io"

	"holdfast/internal/intake/git/object"
)

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
