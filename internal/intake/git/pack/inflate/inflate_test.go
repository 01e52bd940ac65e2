package inflate_test

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"holdfast/internal/intake/git/pack/inflate"
)

func deflate(t testing.TB, level int, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := zlib.NewWriterLevel(&buf, level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// samples are data of different make-up: text, runs, random, few symbols.
func samples() [][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	random := make([]byte, 100_000)
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	few := make([]byte, 70_000)
	for i := range few {
		few[i] = "abcdefgh"[min(rng.IntN(8), rng.IntN(8), rng.IntN(8))]
	}
	skewed := make([]byte, 300_000) // codes longer than the primary table
	for i := range skewed {
		skewed[i] = byte(int(rng.ExpFloat64() * 12))
	}
	text := []byte(strings.Repeat("tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor A <a@example.org> 1 +0000\n", 3000))
	for i := 0; i < len(text); i += 97 {
		text[i] = byte(rng.Uint32())
	}
	return [][]byte{nil, {0}, []byte("a"), []byte("hello, world\n"), bytes.Repeat([]byte{0}, 1<<20), bytes.Repeat([]byte("ab"), 5000), bytes.Repeat([]byte("abcdefg"), 5000), random, random[:300], few, skewed, text}
}

var levels = [...]int{flate.HuffmanOnly, flate.NoCompression, 1, 2, 6, 9}

func TestDecodeAgreesWithTheStandardLibrary(t *testing.T) {
	var d inflate.Decoder
	for i, data := range samples() {
		for _, level := range levels {
			src := deflate(t, level, data)
			for _, tail := range []string{"", "x", strings.Repeat("tail", 20)} {
				dst := bytes.Repeat([]byte{0xaa}, len(data))
				n, err := d.Decode(dst, append(bytes.Clone(src), tail...))
				if err != nil || n != len(src) || !bytes.Equal(dst, data) {
					t.Fatalf("sample %d level %d tail %d: %d, %v; want %d", i, level, len(tail), n, err, len(src))
				}
			}
		}
	}
}

func TestDecodeCutShort(t *testing.T) {
	var d inflate.Decoder
	for i, data := range samples() {
		for _, level := range levels {
			src := deflate(t, level, data)
			step := 1 + len(src)/300
			for n := 0; n < len(src); n += step {
				// Behind the cut there is other data in the same array: it must not be read.
				if _, err := d.Decode(make([]byte, len(data)), src[:n]); !errors.Is(err, inflate.ErrShort) {
					t.Fatalf("sample %d level %d cut at %d of %d: %v", i, level, n, len(src), err)
				}
			}
		}
	}
}

func TestDecodeWrongSize(t *testing.T) {
	var d inflate.Decoder
	for i, data := range samples() {
		for _, level := range levels {
			src := deflate(t, level, data)
			for _, size := range []int{len(data) - 1, len(data) + 1, len(data) / 2, 2*len(data) + 2} {
				if size < 0 || size == len(data) {
					continue
				}
				if _, err := d.Decode(make([]byte, size), src); !errors.Is(err, inflate.ErrSize) {
					t.Fatalf("sample %d level %d into %d of %d bytes: %v", i, level, size, len(data), err)
				}
			}
		}
	}
}

func TestDecodeEveryFlippedBit(t *testing.T) {
	var d inflate.Decoder
	for i, data := range [][]byte{[]byte("hello, world\n"), []byte(strings.Repeat("to be or not to be, ", 40)), samples()[8]} {
		for _, level := range levels {
			src := deflate(t, level, data)
			for bit := range 8 * len(src) {
				bad := bytes.Clone(src)
				bad[bit/8] ^= 1 << (bit % 8)
				dst := make([]byte, len(data))
				n, err := d.Decode(dst, bad)
				if err == nil && (n != len(src) || !bytes.Equal(dst, data)) {
					t.Fatalf("sample %d level %d bit %d: other data passes", i, level, bit)
				}
			}
		}
	}
}

func TestDecodeRefusesWhatZlibRefuses(t *testing.T) {
	var d inflate.Decoder
	for name, src := range map[string]string{
		"gzip":            "\x1f\x8b\x08\x00\x00\x00\x00\x00",
		"dictionary":      "\x78\xbb\x00\x00\x00\x01\x03\x00\x00\x00\x00\x01",
		"header checksum": "\x78\x9d\x03\x00\x00\x00\x00\x01",
		"window of 64 k":  "\x88\x1c\x03\x00\x00\x00\x00\x01",
		"block type 3":    "\x78\x9c\x07\x00\x00\x00\x00\x01",
		"stored length":   "\x78\x9c\x01\x01\x00\x00\x00a\x00\x62\x00\x62",
		"checksum":        "\x78\x9c\x03\x00\x00\x00\x00\x02",
	} {
		if n, err := d.Decode(nil, []byte(src)); err == nil || errors.Is(err, inflate.ErrShort) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, data := range samples() {
		if len(data) < 2000 {
			for _, level := range levels {
				f.Add(deflate(f, level, data), len(data))
			}
		}
	}
	f.Add([]byte("\x78\x9c\x05\xc0\x81\x08\x00\x00\x00\x00\x20\x7f\xeb\x0b\x00\x00\x00\x01"), 0)
	f.Fuzz(func(t *testing.T, src []byte, size int) {
		if size < 0 || size > 1<<20 {
			return
		}
		var d inflate.Decoder
		dst := make([]byte, size)
		n, err := d.Decode(dst, src)
		want, used, wantErr := standard(src, size)
		if err == nil {
			if wantErr != nil || n != used || !bytes.Equal(dst, want) {
				t.Fatalf("accepted %d bytes as %x; standard library: %d bytes, %x, %v", n, dst, used, want, wantErr)
			}
			return
		}
		// zlib itself is stricter than Go's decoder about codes that are not
		// complete; everything an encoder writes is accepted by both.
		if wantErr == nil && len(want) == size && !errors.Is(err, inflate.ErrCorrupt) {
			t.Fatalf("refused with %v what the standard library inflates to %x", err, want)
		}
	})
}

func standard(src []byte, size int) ([]byte, int, error) {
	r := bytes.NewReader(src)
	z, err := zlib.NewReader(r)
	if err != nil {
		return nil, 0, err
	}
	out, err := io.ReadAll(io.LimitReader(z, int64(size)+1))
	return out, len(src) - r.Len(), err
}

func BenchmarkDecode(b *testing.B) {
	small := []byte("tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nparent 165e5ad3169d0fd26637da3383a4514f1a9d1e72\nauthor A U Thor <author@example.org> 1700000000 +0000\ncommitter C O Mitter <committer@example.org> 1700000000 +0000\n\nSubject line of a commit\n\nAnd why it was made, in a few words.\n")
	for name, data := range map[string][]byte{"small": small, "text": samples()[11], "skewed": samples()[10]} {
		src := deflate(b, 6, data)
		dst := make([]byte, len(data))
		b.Run(name, func(b *testing.B) {
			var d inflate.Decoder
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, err := d.Decode(dst, src); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/standard", func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			r := bytes.NewReader(src)
			z, err := zlib.NewReader(r)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				r.Reset(src)
				if err := z.(zlib.Resetter).Reset(r, nil); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(z, dst); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
