package pack_test

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/pack"
)

// versions returns n versions of a text that differ a little from one to the
// next.
func versions(n, lines int) [][]byte {
	rng := rand.New(rand.NewPCG(uint64(n), 11))
	text := make([]string, lines)
	for i := range text {
		text[i] = fmt.Sprintf("line %d %x\n", i, rng.Uint64())
	}
	out := make([][]byte, n)
	for v := range out {
		text[rng.IntN(lines)] = fmt.Sprintf("version %d %x\n", v, rng.Uint64())
		out[v] = []byte(strings.Join(text, ""))
	}
	return out
}

func idsOf(f object.Format, contents [][]byte) pack.IDs {
	ids := make([]object.OID, len(contents))
	for i, c := range contents {
		ids[i] = idOf(f, blobKind, c)
	}
	return pack.NewIDs(f, ids)
}

func TestCheckChains(t *testing.T) {
	f := object.SHA1
	const deep = 5000
	text := versions(deep, 80)
	filler := make([][]byte, 7)
	for i := range filler {
		filler[i] = []byte(strings.Repeat(fmt.Sprintf("filler %d\n", i), 60_000))
	}
	for name, build := range map[string]func(w *writer){
		"by offset": func(w *writer) {
			at := w.object(blobKind, text[0])
			for i := 1; i < deep; i++ {
				at = w.ofs(at, delta(text[i-1], text[i]))
			}
		},
		"by id": func(w *writer) {
			w.object(blobKind, text[0])
			for i := 1; i < deep; i++ {
				w.ref(idOf(f, blobKind, text[i-1]), delta(text[i-1], text[i]))
			}
		},
		"by id, bases last": func(w *writer) {
			for i := deep - 1; i > 0; i-- {
				w.ref(idOf(f, blobKind, text[i-1]), delta(text[i-1], text[i]))
			}
			w.object(blobKind, text[0])
		},
		"star": func(w *writer) {
			at := w.object(blobKind, text[0])
			for i := 1; i < deep; i++ {
				w.ofs(at, delta(text[0], text[i]))
			}
		},
		"caterpillar, the deep one first": func(w *writer) {
			at := w.object(blobKind, text[0])
			for i := 1; i+1 < deep; i += 2 {
				next := w.ofs(at, delta(text[i-1], text[i]))
				w.ofs(at, delta(text[i-1], text[i+1]))
				at = w.ofs(next, delta(text[i], text[i+1]))
			}
		},
		"mixed": func(w *writer) {
			at := w.object(blobKind, text[0])
			for i := 1; i < deep; i++ {
				if i%3 == 0 {
					at = w.ref(idOf(f, blobKind, text[i-1]), delta(text[i-1], text[i]))
				} else {
					at = w.ofs(at, delta(text[i-1], text[i]))
				}
			}
		},
		// Each delta is far from its base: the ring holds none of them, and
		// making each again from the start would take 5,000 times 5,000 steps.
		"far apart": func(w *writer) {
			const chains = 50
			at := make([]int64, chains)
			for i := range deep / 4 {
				c := i % chains
				if i < chains {
					at[c] = w.object(blobKind, text[i])
					continue
				}
				at[c] = w.ofs(at[c], delta(text[i-chains], text[i]))
				w.object(blobKind, filler[i%len(filler)])
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWriter(t, f)
			build(w)
			data := w.pack()
			r := &countingReader{ReaderAt: bytes.NewReader(data)}
			rep, err := pack.Check(t.Context(), r, 0, int64(len(data)), pack.Options{Format: f, MemoryBudget: 1}) // the smallest caches
			if err != nil {
				t.Fatal(err)
			}
			texts := text
			switch name {
			case "far apart":
				texts = append(text[:deep/4:deep/4], filler...)
			case "caterpillar, the deep one first": // goes by twos
				texts = text[:deep-1]
			}
			if want := idsOf(f, texts); !bytes.Equal(rep.IDs.Raw(), want.Raw()) {
				t.Errorf("%d ids, want %d", rep.IDs.Len(), want.Len())
			}
			// Every entry may be read once more, from a block of its own.
			if most := 2*int64(len(data)) + int64(w.count+w.count/4+2000)*65536; r.bytes.Load() > most {
				t.Errorf("read %d bytes of a pack of %d with %d entries", r.bytes.Load(), len(data), w.count)
			}
		})
	}
}

func TestCheckHugeBlobInLittleMemory(t *testing.T) {
	f := object.SHA1
	const size = 200 << 20
	// A stored block of 64 KiB - 1 incompressible bytes, over and over.
	block := make([]byte, 65535)
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range block {
		block[i] = byte(rng.Uint32())
	}
	var w bytes.Buffer
	z, _ := zlib.NewWriterLevel(&w, zlib.NoCompression)
	sum := f.New()
	fmt.Fprintf(sum, "blob %d\x00", size)
	for n := 0; n < size; n += len(block) {
		part := block[:min(len(block), size-n)]
		z.Write(part)   //nolint:errcheck
		sum.Write(part) //nolint:errcheck
	}
	z.Close()
	id, _ := object.FromBytes(f, sum.Sum(nil))
	p := newWriter(t, f)
	p.count++
	p.header(blobKind, size)
	p.buf.Write(w.Bytes())
	p.object(blobKind, []byte("after it\n"))
	data := p.pack()
	w.Reset()

	peak := watchHeap(t, func() {
		rep, err := check(t, data, pack.Options{Format: f, Tips: []object.OID{id}})
		if err != nil || rep.Blobs != 2 {
			t.Errorf("%+v, %v", rep, err)
		}
	})
	if limit := uint64(120 << 20); peak > limit {
		t.Errorf("checking a blob of 200 MiB took %d MiB of heap", peak>>20)
	}
}

// watchHeap returns how much the heap in use grew at most while fn ran.
func watchHeap(t *testing.T, fn func()) uint64 {
	t.Helper()
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var peak atomic.Uint64
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			if m.HeapAlloc > before.HeapAlloc {
				peak.Store(max(peak.Load(), m.HeapAlloc-before.HeapAlloc))
			}
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	fn()
	close(done)
	<-stopped
	return peak.Load()
}

// TestCheckLargeDeltas has deltas whose bases and results are larger than the
// first pass keeps in memory.
func TestCheckLargeDeltas(t *testing.T) {
	f := object.SHA1
	rng := rand.New(rand.NewPCG(8, 9))
	base := make([]byte, 12<<20)
	for i := range base {
		base[i] = "0123456789abcdef"[rng.IntN(16)]
	}
	second := append(append(bytes.Clone(base[:5<<20]), "changed in the middle"...), base[5<<20:]...)
	third := append(append(bytes.Clone(second), "and at the end"...), second[:3<<20]...)
	small := []byte("a small result of a large base")
	w := newWriter(t, f)
	at := w.object(blobKind, base)
	next := w.ofs(at, delta(base, second))
	w.ofs(next, delta(second, third))
	w.ofs(next, delta(second, small))
	random := make([]byte, 4<<20) // a delta that is itself large: nothing is copied
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	w.ofs(at, delta(base, random))
	w.ref(idOf(f, blobKind, second), delta(second, base[:100]))
	data := w.pack()
	want := idsOf(f, [][]byte{base, second, third, small, random, base[:100]})
	for _, workers := range []int{1, 4} {
		rep, err := check(t, data, pack.Options{Format: f, Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(rep.IDs.Raw(), want.Raw()) {
			t.Errorf("%d ids, want %d", rep.IDs.Len(), want.Len())
		}
	}
	if _, err := check(t, data, pack.Options{Format: f, Limits: pack.Limits{Delta: 11 << 20}}); escrow.CodeOf(err) != escrow.Invalid {
		t.Errorf("above the limit of a delta: %v", err)
	}
}

func TestCheckLargeTree(t *testing.T) {
	both(t, func(t *testing.T, f object.Format) {
		w := newWriter(t, f)
		blob := idOf(f, blobKind, nil)
		var entries []treeEntry
		for i := range 80_000 { // 4 MB: larger than the first pass keeps
			entries = append(entries, treeEntry{"100644", fmt.Sprintf("a-file-with-a-longer-name-%07d", i), blob})
		}
		tree := treeOf(entries...)
		entries[500].name += "x"
		changed := treeOf(entries...)
		w.object(blobKind, nil)
		at := w.object(treeKind, tree)
		w.ofs(at, delta(tree, changed))
		rep, err := check(t, w.pack(), pack.Options{Format: f})
		if err != nil || rep.Trees != 2 || rep.IDs.Len() != 3 {
			t.Fatalf("%+v, %v", rep, err)
		}
	})
}

// countingReader counts the bytes that are read.
type countingReader struct {
	io.ReaderAt
	bytes atomic.Int64
}

func (c *countingReader) ReadAt(p []byte, off int64) (int, error) {
	c.bytes.Add(int64(len(p)))
	return c.ReaderAt.ReadAt(p, off)
}

func TestCheckReadsThePackAboutOnce(t *testing.T) {
	r := newRepository(t, object.SHA1)
	history(r, 40)
	data := []byte(r.gitIn("", "pack-objects", "--all", "--stdout", "-q", "--delta-base-offset"))
	c := &countingReader{ReaderAt: bytes.NewReader(data)}
	if _, err := pack.Check(t.Context(), c, 0, int64(len(data)), pack.Options{Format: object.SHA1, Tips: r.tips()}); err != nil {
		t.Fatal(err)
	}
	if n := c.bytes.Load(); n > 2*int64(len(data))+1<<20 {
		t.Errorf("read %d bytes of a pack of %d", n, len(data))
	}
}

func TestCheckSmallPackTakesLittleMemory(t *testing.T) {
	data, tip := small(t, object.SHA1)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const rounds = 20
	for range rounds {
		if _, err := check(t, data, pack.Options{Format: object.SHA1, Tips: []object.OID{tip}}); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / rounds; each > 6<<20 {
		t.Errorf("a pack of %d bytes takes %d KiB", len(data), each>>10)
	}
}
