package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash"

	"holdfast/internal/intake/git/object"
)

// errPackDamaged is wrapped by every complaint about the frame of a pack.
var errPackDamaged = errors.New("the pack is damaged")

const packHead = 12 // "PACK", version, number of objects

// packCheck looks at a pack as it passes: its head, and the checksum over
// everything that stands at its end. What is inside is checked elsewhere.
type packCheck struct {
	sum     hash.Hash
	head    []byte // the first bytes, until there are packHead
	tail    []byte // the last bytes, which may be the checksum
	size    int
	objects uint32
}

func newPackCheck(f object.Format) *packCheck {
	return &packCheck{sum: f.New(), size: f.Size(), tail: make([]byte, 0, 2*f.Size())}
}

func (c *packCheck) write(p []byte) error {
	if len(c.head) < packHead {
		c.head = append(c.head, p[:min(len(p), packHead-len(c.head))]...)
		if len(c.head) == packHead {
			if string(c.head[:4]) != "PACK" || binary.BigEndian.Uint32(c.head[4:]) != 2 {
				return fmt.Errorf("%w: it begins with %q, not with the head of a version 2 pack", errPackDamaged, c.head[:8])
			}
			c.objects = binary.BigEndian.Uint32(c.head[8:])
		}
	}
	if len(p) >= c.size {
		c.sum.Write(c.tail)
		c.sum.Write(p[:len(p)-c.size])
		c.tail = append(c.tail[:0], p[len(p)-c.size:]...)
		return nil
	}
	c.tail = append(c.tail, p...)
	if over := len(c.tail) - c.size; over > 0 {
		c.sum.Write(c.tail[:over])
		c.tail = append(c.tail[:0], c.tail[over:]...)
	}
	return nil
}

func (c *packCheck) finish() error {
	if len(c.head) < packHead || len(c.tail) < c.size {
		return fmt.Errorf("%w: it ends before its head does", errPackDamaged)
	}
	if sum := c.sum.Sum(nil); string(sum) != string(c.tail) {
		return fmt.Errorf("%w: its checksum is %x, its content gives %x", errPackDamaged, c.tail, sum)
	}
	return nil
}
