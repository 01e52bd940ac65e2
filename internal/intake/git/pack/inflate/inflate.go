// Package inflate decodes a zlib stream that lies in memory into a buffer of
// known size. A pack is hundreds of thousands of such streams, most of them
// below a kilobyte, and each declares its size beforehand; decoders made for
// streaming spend most of their time on setting up and on asking for more.
// It depends on the standard library only and does no I/O.
package inflate

import (
	"encoding/binary"
	"errors"
	"hash/adler32"
	"math/bits"
)

// What [Decoder.Decode] can find wrong. ErrShort also comes when src is
// simply cut too early: the caller may try again with more of the stream.
var (
	ErrShort    = errors.New("zlib stream goes on after the end of the data")
	ErrHeader   = errors.New("not a zlib stream")
	ErrCorrupt  = errors.New("zlib stream is damaged")
	ErrSize     = errors.New("zlib stream does not inflate to the declared size")
	ErrChecksum = errors.New("zlib stream's checksum does not match")
)

// Decoder holds the tables of one decoder; it is 16 kB and may be used again
// and again, by one goroutine at a time. The zero Decoder is ready.
type Decoder struct {
	lit  table[[litSize]uint32]
	dist table[[distSize]uint32]
	pre  table[[preSize]uint32]

	lens   [maxLit + maxDist]uint8
	sorted [maxLit]uint16

	fixed bool // lit and dist hold the fixed codes
}

// table is a decoding table: the first 1<<bits entries are indexed by the
// next bits of the stream, longer codes continue in a subtable behind them.
type table[A any] struct {
	entries A
	bits    uint
}

const (
	maxLit  = 288
	maxDist = 32
	maxPre  = 19
	maxCode = 15

	litBits  = 10
	distBits = 8
	preBits  = 7

	// Upper bounds of table sizes for complete codes of at most 15 bits, as
	// computed by zlib's "enough" for these primary sizes, rounded up.
	litSize  = 1 << 12
	distSize = 1 << 10
	preSize  = 1 << preBits
)

// An entry says what a code means:
//
//	bits 0-7   bits to take from the stream: the code and, for a length or distance, its extra bits
//	bits 8-11  bits of the code alone, in its table
//	bits 12-15 kind
//	bits 16-31 literal byte, base of a length or distance, or start of a subtable
const (
	kindLiteral = 1 << 12
	kindEnd     = 1 << 13
	kindSub     = 1 << 14 // bits 0-7: primary bits to drop, bits 8-11: index bits of the subtable
	kindBad     = 1 << 15
)

// Decode inflates the zlib stream at the beginning of src to fill dst exactly,
// and returns how many bytes of src the stream takes. It never reads beyond
// src nor writes beyond dst.
func (d *Decoder) Decode(dst, src []byte) (int, error) {
	if len(src) < 2 {
		return 0, ErrShort
	}
	head := binary.BigEndian.Uint16(src)
	if head%31 != 0 || src[0]&0x0f != 8 || src[0]>>4 > 7 || src[1]&0x20 != 0 {
		return 0, ErrHeader
	}
	r := reader{src: src, at: 2}
	out := 0
	for {
		if !r.need(3) {
			return 0, ErrShort
		}
		final := r.take(1) == 1
		var err error
		switch r.take(2) {
		case 0:
			out, err = r.stored(dst, out)
		case 1:
			d.useFixed()
			out, err = d.block(&r, dst, out)
		case 2:
			if err = d.readCodes(&r); err == nil {
				out, err = d.block(&r, dst, out)
			}
		default:
			err = ErrCorrupt
		}
		if err != nil {
			return 0, err
		}
		if final {
			break
		}
	}
	if out != len(dst) {
		return 0, ErrSize
	}
	end := r.end()
	if end+4 > len(src) {
		return 0, ErrShort
	}
	if binary.BigEndian.Uint32(src[end:]) != adler32.Checksum(dst) {
		return 0, ErrChecksum
	}
	return end + 4, nil
}

// reader hands out the bits of src. Bits beyond its end read as zero and are
// counted, so that running over is seen once a symbol is complete.
type reader struct {
	src  []byte
	at   int    // next byte of src to load
	acc  uint64 // loaded bits
	have uint   // how many
	over uint   // bits that were loaded beyond the end
}

// fill loads at least 56 bits.
func (r *reader) fill() {
	if r.at+8 <= len(r.src) {
		r.acc |= binary.LittleEndian.Uint64(r.src[r.at:]) << (r.have & 63)
		r.at += int((63 - r.have) >> 3)
		r.have |= 56
		return
	}
	for r.have < 56 {
		if r.at < len(r.src) {
			r.acc |= uint64(r.src[r.at]) << (r.have & 63)
			r.at++
		} else {
			r.over += 8
		}
		r.have += 8
	}
}

// need makes n bits available and reports whether src has them.
func (r *reader) need(n uint) bool {
	if r.have < n {
		r.fill()
	}
	return r.have-r.over >= n && r.have >= r.over
}

func (r *reader) take(n uint) uint64 {
	v := r.acc & (1<<n - 1)
	r.acc >>= n & 63
	r.have -= n
	return v
}

// end returns where in src the first byte begins that no bit was taken of.
func (r *reader) end() int {
	return r.at - int((r.have-min(r.over, r.have))>>3)
}

// ran reports whether bits were taken that src does not have.
func (r *reader) ran() bool { return r.have < r.over }

func (r *reader) stored(dst []byte, out int) (int, error) {
	r.take(r.have & 7) // to the next byte; loaded bits always end at one
	if r.ran() {
		return 0, ErrShort
	}
	at := r.end()
	if at+4 > len(r.src) {
		return 0, ErrShort
	}
	n := int(binary.LittleEndian.Uint16(r.src[at:]))
	if n^0xffff != int(binary.LittleEndian.Uint16(r.src[at+2:])) {
		return 0, ErrCorrupt
	}
	at += 4
	if n > len(dst)-out {
		return 0, ErrSize
	}
	if at+n > len(r.src) {
		return 0, ErrShort
	}
	copy(dst[out:], r.src[at:at+n])
	r.at, r.acc, r.have, r.over = at+n, 0, 0, 0
	return out + n, nil
}

// block decodes the symbols of one block with the tables in d.
func (d *Decoder) block(r *reader, dst []byte, out int) (int, error) {
	lit, dist := &d.lit.entries, &d.dist.entries
	litMask, distMask := uint64(1)<<d.lit.bits-1, uint64(1)<<d.dist.bits-1
	src, at, acc, have := r.src, r.at, r.acc, r.have

	for {
		if at+8 <= len(src) {
			acc |= binary.LittleEndian.Uint64(src[at:]) << (have & 63)
			at += int((63 - have) >> 3)
			have |= 56
		} else {
			r.at, r.acc, r.have = at, acc, have
			r.fill()
			at, acc, have = r.at, r.acc, r.have
		}

		// 56 bits hold three literals of at most 15 bits, or two and then a
		// load, or one length (15+5) with its distance (15+13).
		e := lit[acc&litMask&(litSize-1)]
		if e&kindLiteral != 0 {
			if out >= len(dst) {
				return 0, d.overflow(r, have-uint(uint8(e)))
			}
			dst[out] = byte(e >> 16)
			out++
			acc >>= e & 63
			have -= uint(uint8(e))
			e = lit[acc&litMask&(litSize-1)]
			if e&kindLiteral != 0 {
				if out >= len(dst) {
					return 0, d.overflow(r, have-uint(uint8(e)))
				}
				dst[out] = byte(e >> 16)
				out++
				acc >>= e & 63
				have -= uint(uint8(e))
				if have < r.over {
					return 0, ErrShort
				}
				continue
			}
			if have < 48 {
				if at+8 <= len(src) {
					acc |= binary.LittleEndian.Uint64(src[at:]) << (have & 63)
					at += int((63 - have) >> 3)
					have |= 56
				} else {
					r.at, r.acc, r.have = at, acc, have
					r.fill()
					at, acc, have = r.at, r.acc, r.have
				}
			}
		}
		if e&(kindSub|kindEnd|kindBad) != 0 {
			if e&kindSub != 0 {
				acc >>= e & 63
				have -= uint(uint8(e))
				e = lit[(uint64(e>>16)+acc&(1<<(e>>8&15)-1))&(litSize-1)]
			}
			if e&kindLiteral != 0 {
				acc >>= e & 63
				have -= uint(uint8(e))
				if have < r.over {
					return 0, ErrShort
				}
				if out >= len(dst) {
					return 0, ErrSize
				}
				dst[out] = byte(e >> 16)
				out++
				continue
			}
			if e&kindEnd != 0 {
				acc >>= e & 63
				have -= uint(uint8(e))
				if have < r.over {
					return 0, ErrShort
				}
				r.at, r.acc, r.have = at, acc, have
				return out, nil
			}
			if e&kindBad != 0 {
				if have < r.over+maxCode {
					return 0, ErrShort
				}
				return 0, ErrCorrupt
			}
		}
		length := int(e>>16) + int(acc&(1<<(e&63)-1)>>(e>>8&15))
		acc >>= e & 63
		have -= uint(uint8(e))

		e = dist[acc&distMask&(distSize-1)]
		if e&(kindSub|kindBad) != 0 {
			if e&kindSub != 0 {
				acc >>= e & 63
				have -= uint(uint8(e))
				e = dist[(uint64(e>>16)+acc&(1<<(e>>8&15)-1))&(distSize-1)]
			}
			if e&kindBad != 0 {
				if have < r.over+maxCode {
					return 0, ErrShort
				}
				return 0, ErrCorrupt
			}
		}
		far := int(e>>16) + int(acc&(1<<(e&63)-1)>>(e>>8&15))
		acc >>= e & 63
		have -= uint(uint8(e))
		if have < r.over {
			return 0, ErrShort
		}
		if far > out {
			return 0, ErrCorrupt
		}
		if length > len(dst)-out {
			return 0, ErrSize
		}
		from := out - far
		switch {
		case far >= length:
			if length <= 16 && from+16 <= out && out+16 <= len(dst) {
				a, b := binary.LittleEndian.Uint64(dst[from:]), binary.LittleEndian.Uint64(dst[from+8:])
				binary.LittleEndian.PutUint64(dst[out:], a)
				binary.LittleEndian.PutUint64(dst[out+8:], b)
			} else {
				copy(dst[out:out+length], dst[from:from+length])
			}
			out += length
		case far == 1:
			b := dst[from]
			run := dst[out : out+length]
			for i := range run {
				run[i] = b
			}
			out += length
		default: // the copied bytes repeat; each round doubles what there is
			end := out + length
			for out < end {
				out += copy(dst[out:end], dst[from:out])
			}
		}
	}
}

// overflow tells a stream that is too long for dst from one whose bits beyond
// the end of src only look like more output.
func (d *Decoder) overflow(r *reader, have uint) error {
	if int(have) < int(r.over) {
		return ErrShort
	}
	return ErrSize
}

// readCodes reads the code lengths of a dynamic block and builds its tables.
func (d *Decoder) readCodes(r *reader) error {
	if !r.need(14) {
		return ErrShort
	}
	d.fixed = false
	literals, distances, n := int(r.take(5))+257, int(r.take(5))+1, int(r.take(4))+4
	if literals > 286 || distances > 30 {
		return ErrCorrupt
	}
	var pre [maxPre]uint8
	for i := range n {
		if !r.need(3) {
			return ErrShort
		}
		pre[preOrder[i]] = uint8(r.take(3))
	}
	used, ok := build(d.pre.entries[:], preBits, preBits, pre[:], d.sorted[:], preSymbol)
	if !ok || used == 1 && pre != [maxPre]uint8{} && !pair(pre[:]) {
		return ErrCorrupt
	}
	d.pre.bits = used
	mask := uint64(1)<<used - 1
	total := literals + distances
	lens := d.lens[:total]
	for i := 0; i < total; {
		if r.have < 14 {
			r.fill()
		}
		e := d.pre.entries[r.acc&mask&(preSize-1)]
		if e&kindBad != 0 {
			if r.have < r.over+preBits {
				return ErrShort
			}
			return ErrCorrupt
		}
		r.take(uint(uint8(e)))
		symbol := uint8(e >> 16)
		var value uint8
		repeat := 1
		switch {
		case symbol < 16:
			value = symbol
		case symbol == 16:
			if i == 0 {
				return ErrCorrupt
			}
			value, repeat = lens[i-1], 3+int(r.take(2))
		case symbol == 17:
			repeat = 3 + int(r.take(3))
		default:
			repeat = 11 + int(r.take(7))
		}
		if r.ran() {
			return ErrShort
		}
		if i+repeat > total {
			return ErrCorrupt
		}
		for range repeat {
			lens[i] = value
			i++
		}
	}
	if lens[256] == 0 {
		return ErrCorrupt // the block could not end
	}
	if d.lit.bits, ok = build(d.lit.entries[:], litBits, maxCode, lens[:literals], d.sorted[:], litSymbol); !ok {
		return ErrCorrupt
	}
	if d.dist.bits, ok = build(d.dist.entries[:], distBits, maxCode, lens[literals:], d.sorted[:], distSymbol); !ok {
		return ErrCorrupt
	}
	return nil
}

// pair reports whether a code of one-bit lengths has both its symbols. The
// code of code lengths must be complete, as zlib demands.
func pair(lens []uint8) bool {
	n := 0
	for _, l := range lens {
		if l != 0 {
			n++
		}
	}
	return n == 2
}

// useFixed sets the tables of the codes that need no description.
func (d *Decoder) useFixed() {
	if d.fixed {
		return
	}
	lens := d.lens[:maxLit]
	for i := range lens {
		switch {
		case i < 144:
			lens[i] = 8
		case i < 256:
			lens[i] = 9
		case i < 280:
			lens[i] = 7
		default:
			lens[i] = 8
		}
	}
	d.lit.bits, _ = build(d.lit.entries[:], litBits, maxCode, lens, d.sorted[:], litSymbol)
	lens = d.lens[:maxDist]
	for i := range lens {
		lens[i] = 5
	}
	d.dist.bits, _ = build(d.dist.entries[:], distBits, maxCode, lens, d.sorted[:], distSymbol)
	d.fixed = true
}

// build fills a decoding table for the canonical code with the given lengths
// and returns the index bits of its primary part. A code must be complete,
// but for one with a single symbol of length 1 and, where symbols is that of
// distances, one without any: both are made by encoders that use few matches.
func build(entries []uint32, primary, longest uint, lens []uint8, sorted []uint16, symbols func(int) uint32) (uint, bool) {
	var count [maxCode + 2]int
	for _, n := range lens {
		count[n]++
	}
	top := longest
	for top > 0 && count[top] == 0 {
		top--
	}
	count[0] = 0
	if top == 0 {
		entries[0], entries[1] = kindBad, kindBad
		return 1, true
	}
	var next [maxCode + 2]int // first place in sorted of each length
	space := 0
	for n := uint(1); n <= top; n++ {
		next[n+1] = next[n] + count[n]
		space = space<<1 + count[n]
	}
	full := 1 << top
	if space > full {
		return 0, false
	}
	if space < full && !(top == 1 && count[1] == 1) {
		return 0, false
	}
	fill := next
	for i, n := range lens {
		if n != 0 {
			sorted[fill[n]] = uint16(i)
			fill[n]++
		}
	}
	if top == 1 && count[1] == 1 {
		e := symbols(int(sorted[0]))
		entries[0], entries[1] = e&^0xfff|1<<8|(e&0xff+1), kindBad
		return 1, true
	}

	// Codes in order of length and symbol, bit-reversed because DEFLATE
	// packs them from the low end. Entries are written for the shortest
	// length first; when the length grows the table is doubled by copying,
	// so each entry of the primary part is written about twice in all.
	primary = min(primary, top)
	size := uint(0) // current index bits
	code, at := uint32(0), 0
	for n := uint(1); n <= primary; n++ {
		for ; size < n; size++ {
			copy(entries[1<<size:2<<size], entries[:1<<size])
		}
		for range count[n] {
			e := symbols(int(sorted[at]))
			entries[code] = e&^0xfff | uint32(n)<<8 | (e&0xff + uint32(n))
			at++
			code = advance(code, n)
		}
	}
	if top <= primary {
		return primary, true
	}
	start, sub, prefix := 1<<primary, uint(0), ^uint32(0)
	base := 0
	for n := primary + 1; n <= top; n++ {
		for i := range count[n] {
			if p := code & (1<<primary - 1); p != prefix {
				// A new subtable: as many bits as codes with this prefix need.
				prefix, base = p, start
				sub = n - primary
				left := 1<<sub - (count[n] - i)
				for m := n + 1; left > 0 && m <= top; m++ {
					sub++
					left = left<<1 - count[m]
				}
				start += 1 << sub
				if start > len(entries) {
					return 0, false
				}
				entries[p] = uint32(base)<<16 | kindSub | uint32(sub)<<8 | uint32(primary)
			}
			e := symbols(int(sorted[at]))
			length := uint32(n - primary)
			e = e&^0xfff | length<<8 | (e&0xff + length)
			at++
			for j := code >> primary; j < 1<<sub; j += 1 << length {
				entries[base+int(j)] = e
			}
			code = advance(code, n)
		}
	}
	return primary, true
}

// advance returns the bit-reversed code after code, both of n bits.
func advance(code uint32, n uint) uint32 {
	flip := code ^ (1<<n - 1)
	if flip == 0 {
		return 0
	}
	high := uint32(1) << (31 - bits.LeadingZeros32(flip))
	return code&(high-1) | high
}

// The symbols give an entry without its code: kind, base and, in bits 0-7,
// the number of extra bits.
