package sha1dc

import (
	"encoding/binary"
	"math/bits"
)

// suspects returns, as bits, the vectors that many of their conditions on the
// words up to 51 do not rule out for a block. For two blocks of three that is
// none; for the others the words from 35 are left in w. The conditions are
// some of those in vectors, written out because this runs for every block
// there is: the bits compared are shifted to the sign, which is then spread
// over the word. A test compares the two.
func suspects(block *[64]byte, w *[80]uint32) uint32 {
	w0 := binary.BigEndian.Uint32(block[0:])
	w1 := binary.BigEndian.Uint32(block[4:])
	w2 := binary.BigEndian.Uint32(block[8:])
	w3 := binary.BigEndian.Uint32(block[12:])
	w4 := binary.BigEndian.Uint32(block[16:])
	w5 := binary.BigEndian.Uint32(block[20:])
	w6 := binary.BigEndian.Uint32(block[24:])
	w7 := binary.BigEndian.Uint32(block[28:])
	w8 := binary.BigEndian.Uint32(block[32:])
	w9 := binary.BigEndian.Uint32(block[36:])
	w10 := binary.BigEndian.Uint32(block[40:])
	w11 := binary.BigEndian.Uint32(block[44:])
	w12 := binary.BigEndian.Uint32(block[48:])
	w13 := binary.BigEndian.Uint32(block[52:])
	w14 := binary.BigEndian.Uint32(block[56:])
	w15 := binary.BigEndian.Uint32(block[60:])
	w16 := bits.RotateLeft32(w13^w8^w2^w0, 1)
	w17 := bits.RotateLeft32(w14^w9^w3^w1, 1)
	w18 := bits.RotateLeft32(w15^w10^w4^w2, 1)
	w19 := bits.RotateLeft32(w16^w11^w5^w3, 1)
	w20 := bits.RotateLeft32(w17^w12^w6^w4, 1)
	w21 := bits.RotateLeft32(w18^w13^w7^w5, 1)
	w22 := bits.RotateLeft32(w19^w14^w8^w6, 1)
	w23 := bits.RotateLeft32(w20^w15^w9^w7, 1)
	w24 := bits.RotateLeft32(w21^w16^w10^w8, 1)
	w25 := bits.RotateLeft32(w22^w17^w11^w9, 1)
	w26 := bits.RotateLeft32(w23^w18^w12^w10, 1)
	w27 := bits.RotateLeft32(w24^w19^w13^w11, 1)
	w28 := bits.RotateLeft32(w25^w20^w14^w12, 1)
	w29 := bits.RotateLeft32(w26^w21^w15^w13, 1)
	w30 := bits.RotateLeft32(w27^w22^w16^w14, 1)
	w31 := bits.RotateLeft32(w28^w23^w17^w15, 1)
	w32 := bits.RotateLeft32(w29^w24^w18^w16, 1)
	w33 := bits.RotateLeft32(w30^w25^w19^w17, 1)
	w34 := bits.RotateLeft32(w31^w26^w20^w18, 1)
	w35 := bits.RotateLeft32(w32^w27^w21^w19, 1)
	w36 := bits.RotateLeft32(w33^w28^w22^w20, 1)
	w37 := bits.RotateLeft32(w34^w29^w23^w21, 1)
	w38 := bits.RotateLeft32(w35^w30^w24^w22, 1)
	w39 := bits.RotateLeft32(w36^w31^w25^w23, 1)
	w40 := bits.RotateLeft32(w37^w32^w26^w24, 1)
	w41 := bits.RotateLeft32(w38^w33^w27^w25, 1)
	w42 := bits.RotateLeft32(w39^w34^w28^w26, 1)
	w43 := bits.RotateLeft32(w40^w35^w29^w27, 1)
	w44 := bits.RotateLeft32(w41^w36^w30^w28, 1)
	w45 := bits.RotateLeft32(w42^w37^w31^w29, 1)
	w46 := bits.RotateLeft32(w43^w38^w32^w30, 1)
	w47 := bits.RotateLeft32(w44^w39^w33^w31, 1)
	w48 := bits.RotateLeft32(w45^w40^w34^w32, 1)
	w49 := bits.RotateLeft32(w46^w41^w35^w33, 1)
	w50 := bits.RotateLeft32(w47^w42^w36^w34, 1)
	w51 := bits.RotateLeft32(w48^w43^w37^w35, 1)

	// Vectors ruled out because two bits differ, and those that two equal
	// bits leave.
	var out int32
	in := int32(-1)
	out |= int32((w44^w45)<<2) >> 31 & 0x283a080
	out |= int32((w49^w50)<<2) >> 31 & -0x3d7efff8
	out |= int32((w48^w49)<<2) >> 31 & 0x60a08004
	out |= int32(w47<<27^w50<<2) >> 31 & -0x7dfedde0
	out |= int32((w47^w48)<<2) >> 31 & 0x30302002
	out |= int32(w46<<27^w49<<2) >> 31 & 0x40808888
	out |= int32((w46^w47)<<2) >> 31 & 0x18180801
	out |= int32(w45<<27^w48<<2) >> 31 & 0x20202224
	out |= int32((w45^w46)<<2) >> 31 & 0xa0a8200
	out |= int32(w44<<27^w47<<2) >> 31 & 0x1010088a
	out |= int32(w43<<27^w46<<2) >> 31 & 0x8080225
	out |= int32((w43^w44)<<2) >> 31 & 0xa12820
	out |= int32(w42<<27^w45<<2) >> 31 & 0x202808a
	out |= int32(w41<<27^w44<<2) >> 31 & 0x812025
	out |= int32((w40^w41)<<2) >> 31 & -0x7ff5ff5e
	out |= int32((w50^w51)<<2) >> 31 & -0x75fdffe0
	out |= int32(w48<<27^w51<<2) >> 31 & 0x8028880
	out |= int32((w42^w43)<<2) >> 31 & 0x300a08
	out |= int32((w41^w42)<<2) >> 31 & 0x180284
	out |= int32(w40<<27^w43<<2) >> 31 & -0x7fdff7f6
	out |= int32(w39<<27^w42<<2) >> 31 & 0x40100205
	out |= int32(w38<<27^w41<<2) >> 31 & -0x5ff7ff7e
	out |= int32(w37<<27^w40<<2) >> 31 & 0x50020021
	out |= int32(w36<<27^w40<<2) >> 31 & 0x110208
	out |= int32((w45^w47)<<25) >> 31 & 0x4440
	out |= int32((w44^w46)<<25) >> 31 & 0x1110
	in &= int32(w41<<30^w42<<25)>>31 | -0x4040101
	in &= int32(w40<<30^w41<<25)>>31 | -0x1004041
	in &= int32(w39<<30^w40<<25)>>31 | -0x401011
	in &= int32((w39^w41)<<27)>>31 | -0x40000006
	in &= int32((w38^w40)<<27)>>31 | 0x5ffffffd
	in &= int32((w37^w39)<<27)>>31 | -0x50000002
	in &= int32(w36<<30^w37<<25)>>31 | -0x41041
	out |= int32(w51<<30^w50<<25) >> 31 & 0x41000
	out |= int32((w48^w50)<<25) >> 31 & 0x41000
	out |= int32((w47^w49)<<25) >> 31 & 0x4400
	out |= int32(w48<<30^w47<<25) >> 31 & 0x4000040
	out |= int32((w46^w48)<<25) >> 31 & 0x1100
	out |= int32(w47<<30^w46<<25) >> 31 & 0x1000010
	in &= int32(w44<<30^w45<<25)>>31 | -0x404001
	out |= int32((w43^w45)<<25) >> 31 & 0x440
	out |= int32((w42^w44)<<25) >> 31 & 0x110
	out |= int32(w43<<30^w42<<25) >> 31 & 0x4040000
	out |= int32(w42<<30^w41<<25) >> 31 & 0x1004000
	out |= int32(w41<<30^w40<<25) >> 31 & 0x401000
	in &= int32(w37<<30^w38<<25)>>31 | -0x4101
	in &= int32((w36^w38)<<27)>>31 | -0x28000001
	in &= int32(w35<<30^w36<<25)>>31 | -0x411
	in &= int32((w38^w40)<<30)>>31 | -0x401
	out |= int32(w37<<26^w41<<1) >> 31 & 0x400000
	in &= int32(w36<<31^w41<<1)>>31 | -0x400001
	out |= int32(w38<<26^w42<<1) >> 31 & 0x1000000
	in &= int32(w37<<31^w42<<1)>>31 | -0x1000001
	out |= int32(w39<<26^w43<<1) >> 31 & 0x4000000
	in &= int32(w38<<31^w43<<1)>>31 | -0x4000001
	in &^= out
	if in == 0 {
		return 0
	}
	w[35] = w35
	*(*[16]uint32)(w[36:]) = [16]uint32{w36, w37, w38, w39, w40, w41, w42, w43, w44, w45, w46, w47, w48, w49, w50, w51}
	return uint32(in)
}
