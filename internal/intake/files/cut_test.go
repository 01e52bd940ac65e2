package files

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// chunksOf reads one file as a deposit does.
func chunksOf(t *testing.T, key, data []byte) (sizes []int, content []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := walk(t.Context(), &Options{Roots: []string{filepath.Dir(path)}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	g, ctx := errgroup.WithContext(t.Context())
	r, err := newReaders(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	j := &job{files: []*scanned{s.found[1]}, out: make(chan *slab, slabsAhead)}
	g.Go(func() error { defer close(j.out); return r.do(j) })
	for slab := range j.out {
		for _, p := range slab.pieces {
			if p.failed != nil {
				t.Fatal(p.failed)
			}
			sizes = append(sizes, p.to-p.from)
			content = append(content, slab.buf[p.from:p.to]...)
		}
		r.release(slab)
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	return sizes, content
}

// TestCutsAreTheContents: a file is cut where cutting all of it at once in
// memory would cut it, wherever the buffers happen to end, and nothing is lost
// or turned around.
func TestCutsAreTheContents(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	key := bytes.Repeat([]byte{7}, keySize)
	for _, size := range []int{smallFile + 1, maxChunk - 1, maxChunk, maxChunk + 1, slabSize - 1, slabSize, slabSize + 1, 5<<20 + 12345} {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(rnd.Uint32())
		}
		clear(data[:size/3]) // where nothing is found, the longest chunks are cut
		sizes, content := chunksOf(t, key, data)
		if !bytes.Equal(content, data) {
			t.Errorf("%d bytes: content differs", size)
		}
		r, err := newReaders(context.Background(), key)
		if err != nil {
			t.Fatal(err)
		}
		at := 0
		for i, n := range sizes {
			if want := r.first(data[at:]); n != want {
				t.Errorf("%d bytes: chunk %d at %d has %d bytes, want %d", size, i, at, n, want)
				break
			}
			at += n
		}
	}
}

// TestCutsNeedTheKey: who does not know the key cannot say where a known file
// is cut.
func TestCutsNeedTheKey(t *testing.T) {
	data := make([]byte, 4<<20)
	rand.NewChaCha8([32]byte{9}).Read(data)
	a, _ := chunksOf(t, bytes.Repeat([]byte{1}, keySize), data)
	b, _ := chunksOf(t, bytes.Repeat([]byte{2}, keySize), data)
	same := map[int]bool{}
	for at, i := 0, 0; i < len(a); i++ {
		at += a[i]
		same[at] = true
	}
	hits := 0
	for at, i := 0, 0; i < len(b)-1; i++ {
		at += b[i]
		if same[at] {
			hits++
		}
	}
	if hits > len(b)/4 {
		t.Errorf("%d of %d cuts are the same under another key", hits, len(b))
	}
}

// TestReaderStops: a reader whose consumer has gone ends.
func TestReaderStops(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, make([]byte, 20<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := walk(t.Context(), &Options{Roots: []string{filepath.Dir(path)}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, err := newReaders(ctx, make([]byte, keySize))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- r.do(&job{files: []*scanned{s.found[1]}, out: make(chan *slab)}) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}
