package sha1dc_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math/bits"
	"math/rand/v2"
	"os"
	"testing"

	"holdfast/internal/intake/git/pack/sha1dc"
)

// shattered is the beginning of shattered-1.pdf, the first half of the first
// published collision: 192 bytes that both files share and the two blocks that
// collide. Git tests its own detection with the same file.
func shattered(t testing.TB) []byte {
	data, err := os.ReadFile("testdata/shattered.bin")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func sum(parts ...[]byte) ([]byte, bool) {
	h := sha1dc.New()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func TestFindsTheKnownAttack(t *testing.T) {
	data := shattered(t)
	if got, attack := sum(data); !attack {
		t.Fatalf("%x: no attack found", got)
	}
	// Wherever it stands and whatever follows, as long as the state it was
	// made for is reached.
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		tail := make([]byte, rng.IntN(300))
		cut := rng.IntN(len(data))
		got, attack := sum(data[:cut], data[cut:], tail)
		want := sha1.Sum(append(bytes.Clone(data), tail...))
		if !attack || !bytes.Equal(got, want[:]) {
			t.Errorf("cut at %d, %d bytes more: %x, %v", cut, len(tail), got, attack)
		}
	}
	// From another state it is no attack, so an object of Git that merely
	// contains the file is fine: Git puts its type and size before it.
	if _, attack := sum([]byte(fmt.Sprintf("blob %d\x00", len(data))), data); attack {
		t.Error("the file inside an object counts as an attack")
	}
	// One bit less and it is none, wherever the bit was.
	for bit := range 8 * len(data) {
		changed := bytes.Clone(data)
		changed[bit/8] ^= 1 << (bit % 8)
		if _, attack := sum(changed); attack {
			t.Errorf("bit %d changed: still an attack", bit)
		}
	}
}

func TestReset(t *testing.T) {
	h := sha1dc.New()
	h.Write(shattered(t))
	h.Sum(nil)
	h.Reset()
	h.Write([]byte("abc"))
	if got, attack := h.Sum(nil); attack || fmt.Sprintf("%x", got) != "a9993e364706816aba3e25717850c26c9cd0d89d" {
		t.Errorf("%x, %v", got, attack)
	}
}

func TestAgreesWithTheStandardLibrary(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	data := make([]byte, 5000)
	h := sha1dc.New()
	for round := range 3000 {
		n := rng.IntN(len(data))
		if round < 300 {
			n = round
		}
		for i := range n {
			data[i] = byte(rng.Uint32())
		}
		h.Reset()
		for rest := data[:n]; len(rest) > 0; {
			k := 1 + rng.IntN(len(rest))
			h.Write(rest[:k])
			rest = rest[k:]
		}
		got, attack := h.Sum(nil)
		if want := sha1.Sum(data[:n]); attack || !bytes.Equal(got, want[:]) {
			t.Fatalf("%d bytes: %x, %v; want %x", n, got, attack, want)
		}
	}
}

// TestWriteLike writes versions of a message, each like the one before, some
// with an attack in them: what is left out must never be what matters.
func TestWriteLike(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	attackAt := shattered(t) // its own beginning is needed to reach the state
	h := sha1dc.New()
	for range 200 {
		var like []byte
		var likeMarks sha1dc.Marks
		head := 64 * rng.IntN(3)
		text := append(bytes.Clone(attackAt[:192]), make([]byte, 3000)...)
		for i := range text[192:] {
			text[192+i] = byte(rng.Uint32())
		}
		for range 20 {
			switch rng.IntN(4) {
			case 0:
				text[rng.IntN(len(text))] ^= 1
			case 1:
				copy(text, attackAt)
			case 2:
				at := 320 + rng.IntN(len(text)-320)
				text = append(text[:at], append([]byte{byte(rng.Uint32())}, text[at:]...)...)
			case 3: // the colliding blocks where they do no harm
				copy(text[320+64*rng.IntN(20):], attackAt[192:])
			}
			marks := make(sha1dc.Marks, sha1dc.MarksSize(len(text)-head))
			h.Reset()
			h.Write(text[:head])
			if like != nil {
				h.WriteLike(text[head:], like[head:], likeMarks, marks)
			} else {
				h.WriteLike(text[head:], nil, nil, marks)
			}
			got, attack := h.Sum(nil)
			want, wantAttack := sum(text)
			if !bytes.Equal(got, want) || attack != wantAttack {
				t.Fatalf("%x, %v; want %x, %v", got, attack, want, wantAttack)
			}
			like, likeMarks = bytes.Clone(text), marks
		}
	}
}

func expand(block *[64]byte) (w [80]uint32) {
	for i := range 16 {
		w[i] = binary.BigEndian.Uint32(block[4*i:])
	}
	for i := 16; i < 80; i++ {
		w[i] = bits.RotateLeft32(w[i-3]^w[i-8]^w[i-14]^w[i-16], 1)
	}
	return w
}

// TestWrittenOutConditionsAreThoseOfTheTable compares the fast path with the
// table on blocks that fulfil many conditions.
func TestWrittenOutConditionsAreThoseOfTheTable(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	found := 0
	for range 200_000 {
		var block [64]byte
		for i := range block {
			block[i] = byte(rng.Uint32())
		}
		w := expand(&block)
		want := sha1dc.Conditions(&w)
		got, suspected := sha1dc.Alive(&block)
		if got != want || want&^suspected != 0 {
			t.Fatalf("%x: %#x of suspected %#x, want %#x", block, got, suspected, want)
		}
		if want != 0 {
			found++
		}
	}
	if found < 5000 {
		t.Errorf("only %d blocks fulfilled all conditions of a vector", found)
	}
}

// TestTableIsUnchanged holds the table and what is computed from it to the
// digests of sha1collisiondetection's own: masks of a hundred thousand blocks
// and the 32 message differences.
func TestTableIsUnchanged(t *testing.T) {
	masks, differences := sha256.New(), sha256.New()
	rng := rand.New(rand.NewPCG(7, 8))
	for range 100_000 {
		var block [64]byte
		for i := range block {
			block[i] = byte(rng.Uint32())
		}
		w := expand(&block)
		write(masks, sha1dc.Conditions(&w))
	}
	for _, d := range sha1dc.Differences() {
		for _, word := range d {
			write(differences, word)
		}
	}
	if got := fmt.Sprintf("%x", masks.Sum(nil)); got != masksDigest {
		t.Errorf("masks: %s", got)
	}
	if got := fmt.Sprintf("%x", differences.Sum(nil)); got != differencesDigest {
		t.Errorf("differences: %s", got)
	}
}

const (
	masksDigest       = "08348affb1d8eb46dac6b22c4447f23da65d7eca484dd77a997877dcd0d3b76e"
	differencesDigest = "0c9ab8736a839581a5716b66bace5048fdde4984d63006f71affeac30f99e199"
)

func write(h hash.Hash, word uint32) {
	h.Write(binary.BigEndian.AppendUint32(nil, word))
}

func BenchmarkHash(b *testing.B) {
	data := make([]byte, 20_000)
	rng := rand.New(rand.NewPCG(9, 9))
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	b.Run("with detection", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		h := sha1dc.New()
		for b.Loop() {
			h.Reset()
			h.Write(data)
			h.Sum(nil)
		}
	})
	b.Run("without", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		h := sha1.New()
		for b.Loop() {
			h.Reset()
			h.Write(data)
			h.Sum(nil)
		}
	})
}
