// Package sha1dc computes SHA-1 and finds blocks that are part of a known kind
// of collision attack, as stock Git does: Git refuses to read such an object,
// so a deposit that holds one could not be restored with it. The hash itself
// is the standard library's; what is added is the counter-cryptanalysis of
// Marc Stevens ("Counter-cryptanalysis", 2013) with the unavoidable bit
// conditions of Stevens and Shumow ("Speeding up detection of SHA-1 collision
// attacks using unavoidable attack conditions", 2017). It depends on the
// standard library only and does no I/O.
package sha1dc

import (
	"crypto/sha1"
	"encoding"
	"encoding/binary"
	"hash"
	"math/bits"
)

// Hash computes a SHA-1. It is used by one goroutine at a time; the zero Hash
// is not ready, see [New].
type Hash struct {
	inner  hash.Hash
	length uint64
	buf    [64]byte // what does not fill a block yet
	n      int
	attack bool
	w      [80]uint32
	export []byte
	deltas [32]*[80]uint32 // message differences of the vectors, as they come up
}

// New returns a Hash ready for the first message.
func New() *Hash { return &Hash{inner: sha1.New()} }

// Reset begins a new message.
func (h *Hash) Reset() {
	h.inner.Reset()
	h.length, h.n, h.attack = 0, 0, false
}

// Write adds to the message. It never fails.
func (h *Hash) Write(p []byte) (int, error) {
	size := len(p)
	h.length += uint64(size)
	if h.n > 0 {
		n := copy(h.buf[h.n:], p)
		h.n += n
		p = p[n:]
		if h.n < len(h.buf) {
			return size, nil
		}
		h.blocks(h.buf[:])
		h.n = 0
	}
	whole := len(p) &^ 63
	h.blocks(p[:whole])
	h.n = copy(h.buf[:], p[whole:])
	return size, nil
}

// Marks says of the blocks of a message which of them fulfil the conditions of
// a vector, one bit each. They have to be looked at again wherever they occur;
// the others never.
type Marks []byte

// MarksSize returns how many bytes of marks n bytes of a message need.
func MarksSize(n int) int { return n/512 + 1 }

func (m Marks) marked(i int) bool { return m[i/8]>>(i%8)&1 != 0 }
func (m Marks) mark(i int)        { m[i/8] |= 1 << (i % 8) }

// WriteLike adds p, which must begin with a block, and sets the marks of its
// whole blocks. like and its marks are from the same place of a message that
// was written before: a block that is the same there and was not marked is not
// looked at again. Versions of a file mostly begin alike.
func (h *Hash) WriteLike(p, like []byte, likeMarks, marks Marks) {
	if h.n != 0 {
		panic("sha1dc: WriteLike in the middle of a block")
	}
	clear(marks)
	h.length += uint64(len(p))
	done, at := 0, 0
	for ; at+64 <= len(p); at += 64 {
		block := (*[64]byte)(p[at:])
		if at+64 <= len(like) && *block == *(*[64]byte)(like[at:]) && !likeMarks.marked(at/64) {
			continue
		}
		alive := h.alive(block)
		if alive == 0 {
			continue
		}
		marks.mark(at / 64)
		h.inner.Write(p[done:at]) //nolint:errcheck
		done = at
		if _, attack := h.attacked(alive, block, h.chaining()); attack {
			h.attack = true
		}
	}
	h.inner.Write(p[done:at]) //nolint:errcheck
	h.n = copy(h.buf[:], p[at:])
}

// Sum ends the message, appends its SHA-1 to dst and reports whether some
// block of it is part of a collision attack.
func (h *Hash) Sum(dst []byte) (sum []byte, attack bool) {
	var pad [128]byte
	n := copy(pad[:], h.buf[:h.n])
	pad[n] = 0x80
	end := 64
	if n+9 > end {
		end = 128
	}
	binary.BigEndian.PutUint64(pad[end-8:end], h.length<<3)
	chain, have := chaining{}, false
	for at := 0; at < end; at += 64 {
		block := (*[64]byte)(pad[at:])
		alive := h.alive(block)
		if alive == 0 && at+64 == end {
			break
		}
		if !have {
			chain, have = h.chaining(), true
		}
		next, attack := h.attacked(alive, block, chain)
		h.attack = h.attack || attack
		chain = next
	}
	h.inner.Write(h.buf[:h.n]) //nolint:errcheck // a hash never fails
	return h.inner.Sum(dst), h.attack
}

// blocks adds whole blocks.
func (h *Hash) blocks(p []byte) {
	done := 0
	for at := 0; at < len(p); at += 64 {
		block := (*[64]byte)(p[at:])
		alive := h.alive(block)
		if alive == 0 {
			continue
		}
		h.inner.Write(p[done:at]) //nolint:errcheck
		done = at
		if _, attack := h.attacked(alive, block, h.chaining()); attack {
			h.attack = true
		}
	}
	h.inner.Write(p[done:]) //nolint:errcheck
}

// alive returns the vectors all of whose conditions hold for a block: one in
// twenty has any.
func (h *Hash) alive(block *[64]byte) uint32 {
	maybe := suspects(block, &h.w)
	if maybe == 0 {
		return 0
	}
	w := &h.w
	for i := 52; i < 65; i++ {
		w[i] = bits.RotateLeft32(w[i-3]^w[i-8]^w[i-14]^w[i-16], 1)
	}
	for rest := maybe; rest != 0; rest &= rest - 1 {
		v := bits.TrailingZeros32(rest)
		for _, c := range vectors[v].conditions {
			if uint8(w[c.a%80]>>(c.i&31)^w[c.b%80]>>(c.j&31))&1 != c.differ {
				maybe &^= 1 << v
				break
			}
		}
	}
	return maybe
}

// chaining is the state of SHA-1 between two blocks.
type chaining [5]uint32

// chaining returns the state after the whole blocks so far.
func (h *Hash) chaining() (c chaining) {
	// "sha\x01", then the five words. The form is part of what crypto/sha1
	// promises to read back, so it does not change.
	var err error
	if h.export, err = h.inner.(encoding.BinaryAppender).AppendBinary(h.export[:0]); err != nil {
		panic("sha1dc: " + err.Error())
	}
	for i := range c {
		c[i] = binary.BigEndian.Uint32(h.export[4+4*i:])
	}
	return c
}

// attacked reports whether a block, hashed from the given state, completes a
// collision by one of the vectors, and returns the state after it. If it does,
// there is another block that differs from it by the vector's message
// difference, shares the state in the middle of the hash, and ends in the same
// state: going back and forth from the middle shows whether it does. By
// accident that happens once in 2^160 blocks.
func (h *Hash) attacked(alive uint32, block *[64]byte, begin chaining) (end chaining, attack bool) {
	var w [80]uint32
	for i := range 16 {
		w[i] = binary.BigEndian.Uint32(block[4*i:])
	}
	for i := 16; i < 80; i++ {
		w[i] = bits.RotateLeft32(w[i-3]^w[i-8]^w[i-14]^w[i-16], 1)
	}
	at58 := forward(begin, &w, 0, 58)
	at65 := forward(at58, &w, 58, 65)
	end = add(begin, forward(at65, &w, 65, 80))
	for ; alive != 0; alive &= alive - 1 {
		n := bits.TrailingZeros32(alive)
		v := &vectors[n]
		if h.deltas[n] == nil {
			h.deltas[n] = difference(v)
		}
		other := *h.deltas[n]
		for t := range other {
			other[t] ^= w[t]
		}
		middle := at58
		if v.from == 65 {
			middle = at65
		}
		if add(backward(middle, &other, int(v.from)), forward(middle, &other, int(v.from), 80)) == end {
			attack = true
		}
	}
	return end, attack
}

func add(a, b chaining) chaining {
	for i := range a {
		a[i] += b[i]
	}
	return a
}

// forward goes through the steps from..to of SHA-1.
func forward(s chaining, w *[80]uint32, from, to int) chaining {
	a, b, c, d, e := s[0], s[1], s[2], s[3], s[4]
	t := from
	for ; t < min(to, 20); t++ {
		a, b, c, d, e = bits.RotateLeft32(a, 5)+(b&c|^b&d)+e+w[t]+0x5a827999, a, bits.RotateLeft32(b, 30), c, d
	}
	for ; t < min(to, 40); t++ {
		a, b, c, d, e = bits.RotateLeft32(a, 5)+(b^c^d)+e+w[t]+0x6ed9eba1, a, bits.RotateLeft32(b, 30), c, d
	}
	for ; t < min(to, 60); t++ {
		a, b, c, d, e = bits.RotateLeft32(a, 5)+((b|c)&d|b&c)+e+w[t]+0x8f1bbcdc, a, bits.RotateLeft32(b, 30), c, d
	}
	for ; t < min(to, 80); t++ {
		a, b, c, d, e = bits.RotateLeft32(a, 5)+(b^c^d)+e+w[t]+0xca62c1d6, a, bits.RotateLeft32(b, 30), c, d
	}
	return chaining{a, b, c, d, e}
}

// backward undoes the steps before from, the last first.
func backward(s chaining, w *[80]uint32, from int) chaining {
	a, b, c, d, e := s[0], s[1], s[2], s[3], s[4]
	t := from - 1
	for ; t >= 60; t-- {
		x := bits.RotateLeft32(c, -30)
		a, b, c, d, e = b, x, d, e, a-bits.RotateLeft32(b, 5)-(x^d^e)-w[t]-0xca62c1d6
	}
	for ; t >= 40; t-- {
		x := bits.RotateLeft32(c, -30)
		a, b, c, d, e = b, x, d, e, a-bits.RotateLeft32(b, 5)-((x|d)&e|x&d)-w[t]-0x8f1bbcdc
	}
	for ; t >= 20; t-- {
		x := bits.RotateLeft32(c, -30)
		a, b, c, d, e = b, x, d, e, a-bits.RotateLeft32(b, 5)-(x^d^e)-w[t]-0x6ed9eba1
	}
	for ; t >= 0; t-- {
		x := bits.RotateLeft32(c, -30)
		a, b, c, d, e = b, x, d, e, a-bits.RotateLeft32(b, 5)-(x&d|^x&e)-w[t]-0x5a827999
	}
	return chaining{a, b, c, d, e}
}

// difference returns how the expanded messages of a pair differ under a
// vector: local collisions begin where the vector, expanded like a message in
// both directions, has ones.
func difference(v *vector) *[80]uint32 {
	const back = 5
	var dv [80 + back]uint32
	k := int(v.step) + back
	dv[k+15] = 1 << v.bit
	if v.kind == 2 {
		dv[k+1] = bits.RotateLeft32(1, int(v.bit)+31)
		dv[k+3] = dv[k+1]
	}
	for t := k + 16; t < len(dv); t++ {
		dv[t] = bits.RotateLeft32(dv[t-3]^dv[t-8]^dv[t-14]^dv[t-16], 1)
	}
	for t := k - 1; t >= 0; t-- {
		dv[t] = bits.RotateLeft32(dv[t+16], -1) ^ dv[t+13] ^ dv[t+8] ^ dv[t+2]
	}
	var dm [80]uint32
	for t := range dm {
		d := dv[t:]
		dm[t] = d[5] ^ bits.RotateLeft32(d[4], 5) ^ d[3] ^ bits.RotateLeft32(d[2], 30) ^ bits.RotateLeft32(d[1], 30) ^ bits.RotateLeft32(d[0], 30)
	}
	return &dm
}
