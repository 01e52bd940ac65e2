package pack

import (
	"hash"
	"strconv"

	"github.com/pjbgf/sha1cd"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/object"
)

// hasher computes object ids: the hash of type, size and content. SHA-1 is
// computed with Stevens' collision detection, as stock Git does: an object
// made to collide would be refused when the deposit is restored, so it is
// refused before it is accepted (ADR 7).
type hasher struct {
	h   hash.Hash
	cd  sha1cd.CollisionResistantHash // h when it is SHA-1, else nil
	buf [64]byte
	out [32]byte
}

func newHasher(f object.Format) *hasher {
	if f != object.SHA1 {
		return &hasher{h: f.New()}
	}
	// New's documentation does not promise the second interface; the test of
	// the hasher fails if a version of the library drops it.
	cd, _ := sha1cd.New().(sha1cd.CollisionResistantHash)
	return &hasher{h: cd, cd: cd}
}

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

// id returns the object's raw id, valid until the next begin. Content that was
// made to collide with other content gives an error.
func (h *hasher) id() ([]byte, error) {
	if h.cd == nil {
		return h.h.Sum(h.out[:0]), nil
	}
	id, collides := h.cd.CollisionResistantSum(h.out[:0])
	if collides {
		return nil, escrow.Errorf(escrow.Damaged, "object %x was made to collide with another under SHA-1", id).
			WithHint("Git refuses such an object too; find out who put it into the repository and take it out")
	}
	return id, nil
}

// of returns the raw id of an object in memory, valid until the next begin.
func (h *hasher) of(k kind, content []byte) ([]byte, error) {
	h.begin(k, int64(len(content)))
	h.write(content)
	return h.id()
}
