package pack

import (
	"hash"
	"strconv"

	"holdfast/internal/intake/git/object"
)

// hasher computes object ids: the hash of type, size and content.
type hasher struct {
	h   hash.Hash
	buf [64]byte
	out [32]byte
}

func newHasher(f object.Format) *hasher { return &hasher{h: f.New()} }

// begin starts an object; its content is written to h.
func (h *hasher) begin(k kind, size int64) {
	h.h.Reset()
	head := append(h.buf[:0], k.String()...)
	head = append(head, ' ')
	head = strconv.AppendInt(head, size, 10)
	h.write(append(head, 0))
}

func (h *hasher) write(p []byte) {
	h.h.Write(p) //nolint:errcheck // a hash never fails
}

// id returns the object's raw id, valid until the next begin.
func (h *hasher) id() []byte { return h.h.Sum(h.out[:0]) }

// of returns the raw id of an object in memory, valid until the next begin.
func (h *hasher) of(k kind, content []byte) []byte {
	h.begin(k, int64(len(content)))
	h.write(content)
	return h.id()
}
