package pack_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/pack"
)

func TestCheckLimits(t *testing.T) {
	f := object.SHA1
	text := make([]byte, 1<<20)
	w := newWriter(t, f)
	at := w.object(blobKind, text)
	double := appendCopy(append([]byte{0x80, 0x80, 0x40}, 0x80, 0x80, 0x80, 0x01), 0, 1<<20) // 1 MiB -> 2 MiB
	double = appendCopy(double, 0, 1<<20)
	w.ofs(at, double)
	tree := treeOf(treeEntry{"100644", "a", idOf(f, blobKind, text)}, treeEntry{"100644", "b", idOf(f, blobKind, make([]byte, 2<<20))})
	w.object(treeKind, tree)
	data := w.pack()
	if _, err := check(t, data, pack.Options{Format: f}); err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]pack.Limits{
		"objects": {Objects: 2},
		"object":  {Object: 1<<20 - 1},
		"parsed":  {Parsed: int64(len(tree)) - 1},
		"total":   {Total: 3 << 20},
	} {
		_, err := check(t, data, pack.Options{Format: f, Limits: l})
		if e, ok := errors.AsType[*escrow.Error](err); !ok || e.Code != escrow.Invalid || e.Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
	}

	// Deltas that double: 40 of them would be a tebibyte.
	w = newWriter(t, f)
	size := 1 << 20
	at = w.object(blobKind, make([]byte, size))
	for range 20 {
		d := appendUvarints(nil, uint64(size), uint64(2*size))
		d = appendCopy(appendCopy(d, 0, size), 0, size)
		at = w.ofs(at, d)
		size *= 2
	}
	if _, err := check(t, w.pack(), pack.Options{Format: f, Limits: pack.Limits{Delta: 20 << 20}}); escrow.CodeOf(err) != escrow.Invalid || !strings.Contains(err.Error(), "allowed") {
		t.Errorf("doubling deltas: %v", err)
	}

	// A tree that names millions of objects that compress to nothing.
	w = newWriter(t, f)
	var big []byte
	for i := range 20_000 {
		id := make([]byte, 20)
		id[0], id[1], id[2] = byte(i), byte(i>>8), 1
		big = append(append(big, fmt.Sprintf("100644 f%06d\x00", i)...), id...)
	}
	w.object(treeKind, big)
	if _, err := check(t, w.pack(), pack.Options{Format: f, Limits: pack.Limits{Outside: 1000}}); escrow.CodeOf(err) != escrow.Invalid {
		t.Errorf("tree of 20,000 unknown ids: %v", err)
	}
}

func TestCheckZlibBomb(t *testing.T) {
	f := object.SHA1
	// Declares 100 bytes, inflates to 1 GiB.
	w := newWriter(t, f)
	w.count++
	w.header(blobKind, 100)
	w.deflate(make([]byte, 64<<20))
	if _, err := check(t, w.pack(), pack.Options{Format: f}); escrow.CodeOf(err) != escrow.Damaged || !strings.Contains(err.Error(), "declared size") {
		t.Errorf("bomb that lies: %v", err)
	}
	// Declares more than allowed.
	w = newWriter(t, f)
	w.count++
	w.header(blobKind, 1<<40)
	w.deflate(make([]byte, 1<<20))
	if _, err := check(t, w.pack(), pack.Options{Format: f}); escrow.CodeOf(err) != escrow.Invalid {
		t.Errorf("bomb that tells: %v", err)
	}
	// A delta of that size.
	w = newWriter(t, f)
	at := w.object(blobKind, nil)
	w.count++
	w.header(ofsKind, 1<<33)
	w.distance(int64(w.buf.Len()) - 5 - at + 5)
	w.deflate(nil)
	if _, err := check(t, w.pack(), pack.Options{Format: f}); err == nil {
		t.Error("delta of 8 GiB passes")
	}
	// Empty stored blocks without end, for an object of 1 byte.
	w = newWriter(t, f)
	w.count++
	w.header(blobKind, 1)
	w.buf.WriteString("\x78\x01")
	w.buf.Write(bytes.Repeat([]byte("\x00\x00\x00\xff\xff"), (pack.WindowSize+4<<20)/5))
	if _, err := check(t, w.pack(), pack.Options{Format: f}); escrow.CodeOf(err) != escrow.Damaged {
		t.Errorf("endless empty blocks: %v", err)
	}
	// The same, ended: larger than the window, yet a valid pack.
	w = newWriter(t, f)
	w.count++
	w.header(blobKind, 1)
	w.buf.WriteString("\x78\x01")
	w.buf.Write(bytes.Repeat([]byte("\x00\x00\x00\xff\xff"), (pack.WindowSize+4<<20)/5))
	w.buf.WriteString("\x01\x01\x00\xfe\xffa\x00\x62\x00\x62")
	w.object(blobKind, []byte("b"))
	rep, err := check(t, w.pack(), pack.Options{Format: f})
	if err != nil || rep.IDs.Len() != 2 {
		t.Errorf("many empty blocks: %v", err)
	}
}

func appendUvarints(b []byte, values ...uint64) []byte {
	for _, v := range values {
		for v >= 0x80 {
			b = append(b, byte(v)|0x80)
			v >>= 7
		}
		b = append(b, byte(v))
	}
	return b
}
