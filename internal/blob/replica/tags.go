package replica

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"fmt"

	"holdfast/internal/escrow"
)

// The digest that names an object tells only at its end whether it is whole,
// which is too late for who reads ranges of it or has passed bytes on already.
// So each block has a tag of its own: an AES-GCM authentication tag over the
// block, cut to 8 bytes, with the block's index as nonce, under a random key
// of the object. The key stays in the database, so a location cannot give
// other bytes that match. GCM is three times as fast as SHA-256 here, and the
// name has the last word anyway: scrubbing and opening compare it.
const (
	blockSize = 64 << 10
	tagSize   = 8
	keySize   = 16
)

// tagger computes tags of a stream.
type tagger struct {
	aead  cipher.AEAD
	block []byte
	tags  []byte
	out   []byte
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	if len(key) != keySize {
		return nil, fmt.Errorf("key of tags has %d bytes, want %d", len(key), keySize)
	}
	c, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(c)
}

func newTagger(key []byte) (*tagger, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	return &tagger{aead: aead}, nil
}

func tagOf(aead cipher.AEAD, out []byte, index int64, block []byte) []byte {
	var nonce [12]byte
	binary.BigEndian.PutUint64(nonce[4:], uint64(index))
	return aead.Seal(out[:0], nonce[:], nil, block)[:tagSize]
}

// Write takes the next bytes. It never fails.
func (t *tagger) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if len(t.block) == 0 && len(p) >= blockSize { // no copy where none is needed
			t.add(p[:blockSize])
			p = p[blockSize:]
			continue
		}
		take := min(blockSize-len(t.block), len(p))
		t.block = append(t.block, p[:take]...)
		p = p[take:]
		if len(t.block) == blockSize {
			t.add(t.block)
			t.block = t.block[:0]
		}
	}
	return n, nil
}

func (t *tagger) add(block []byte) {
	t.out = tagOf(t.aead, t.out, int64(len(t.tags)/tagSize), block)[:tagSize]
	t.tags = append(t.tags, t.out...)
}

// finish returns the tags of everything written.
func (t *tagger) finish() []byte {
	if len(t.block) > 0 {
		t.add(t.block)
		t.block = nil
	}
	return t.tags
}

// checker compares blocks of one object with their tags. It may be used by
// several goroutines.
type checker struct {
	aead cipher.AEAD
	tags []byte
	size int64
	name string
}

func newChecker(o Object) (*checker, error) {
	aead, err := newAEAD(o.Key)
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", o.Name, err)
	}
	if blocks := (o.Size + blockSize - 1) / blockSize; int64(len(o.Tags)) != blocks*tagSize {
		return nil, fmt.Errorf("object %s has %d bytes of tags for %d blocks", o.Name, len(o.Tags), blocks)
	}
	return &checker{aead: aead, tags: o.Tags, size: o.Size, name: o.Name}, nil
}

// span returns where the blocks [first, last] lie.
func (c *checker) span(first, last int64) (off, length int64) {
	off = first * blockSize
	return off, min((last+1)*blockSize, c.size) - off
}

// check compares the bytes of the blocks from first on.
func (c *checker) check(first int64, data []byte) error {
	out := make([]byte, 0, 16)
	for i := first; len(data) > 0; i++ {
		n := min(blockSize, len(data))
		if subtle.ConstantTimeCompare(tagOf(c.aead, out, i, data[:n]), c.tags[i*tagSize:(i+1)*tagSize]) != 1 {
			return escrow.Errorf(escrow.Damaged, "object %s is damaged between byte %d and %d", c.name, i*blockSize, i*blockSize+int64(n))
		}
		data = data[n:]
	}
	return nil
}
