// Package blobtest is the suite that every object store must pass. It imports
// blob, escrow and the standard library.
package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"holdfast/internal/blob"
	"holdfast/internal/escrow"
)

// Run puts a store through the suite. open gives an empty store each time.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	tests := []struct {
		name string
		run  func(*testing.T, blob.Store)
	}{
		{"round trip", testRoundTrip},
		{"read while writing", testReadWhileWriting},
		{"random access", testRandomAccess},
		{"same bytes twice", testSameBytesTwice},
		{"one object from many writers", testConcurrentSame},
		{"many objects at once", testConcurrentDifferent},
		{"abort leaves nothing", testAbort},
		{"invisible before commit", testInvisibleBeforeCommit},
		{"cancelled", testCancelled},
		{"spent writer", testSpentWriter},
		{"bad names", testBadNames},
		{"missing", testMissing},
		{"list", testList},
		{"delete", testDelete},
		{"check", testCheck},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, open(t)) })
	}
}

// Put stores data and fails the test if that does not work.
func Put(t testing.TB, s blob.Store, data []byte) string {
	t.Helper()
	name, err := put(t.Context(), s, data)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func put(ctx context.Context, s blob.Store, data []byte) (string, error) {
	w, err := s.Create(ctx)
	if err != nil {
		return "", err
	}
	defer w.Abort()
	for rest := data; len(rest) > 0; {
		n := min(len(rest), 10_000)
		if _, err := w.Write(rest[:n]); err != nil {
			return "", err
		}
		rest = rest[n:]
	}
	name, size, err := w.Commit(ctx)
	if err != nil {
		return "", err
	}
	if want := digest(data); name != want || size != int64(len(data)) {
		return "", fmt.Errorf("commit gave %s with %d bytes, want %s with %d", name, size, want, len(data))
	}
	return name, nil
}

func get(t testing.TB, s blob.Store, name string) []byte {
	t.Helper()
	r, err := s.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func testRoundTrip(t *testing.T, s blob.Store) {
	for _, size := range []int{0, 1, 31, 4096, 1<<20 + 7} {
		data := random(size)
		name := Put(t, s, data)
		if got, err := s.Stat(t.Context(), name); err != nil || got != int64(size) {
			t.Errorf("stat of %d bytes: %d, %v", size, got, err)
		}
		if !bytes.Equal(get(t, s, name), data) {
			t.Errorf("%d bytes read back differ", size)
		}
	}
}

func testReadWhileWriting(t *testing.T, s blob.Store) {
	w := create(t, s)
	defer w.Abort()
	data := random(300_000)
	for off := 0; off < len(data); off += 100_000 {
		if _, err := w.Write(data[off : off+100_000]); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, off+100_000)
		if n, err := w.ReadAt(got, 0); n != len(got) || (err != nil && err != io.EOF) {
			t.Fatalf("read of what is written: %d, %v", n, err)
		}
		if !bytes.Equal(got, data[:len(got)]) {
			t.Fatal("what was written reads back otherwise")
		}
	}
	if n, err := w.ReadAt(make([]byte, 10), int64(len(data))-4); n != 4 || err != io.EOF {
		t.Errorf("read past the end: %d, %v, want 4, EOF", n, err)
	}
}

func testRandomAccess(t *testing.T, s blob.Store) {
	data := random(200_000)
	r, err := s.Open(t.Context(), Put(t, s, data))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Size() != int64(len(data)) {
		t.Fatalf("size %d, want %d", r.Size(), len(data))
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(i)))
			for range 50 {
				off := rng.IntN(len(data) - 1000)
				got := make([]byte, 1000)
				if _, err := r.ReadAt(got, int64(off)); err != nil || !bytes.Equal(got, data[off:off+1000]) {
					t.Errorf("read at %d: %v", off, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func testSameBytesTwice(t *testing.T, s blob.Store) {
	data := random(5000)
	if a, b := Put(t, s, data), Put(t, s, data); a != b {
		t.Errorf("same bytes, names %s and %s", a, b)
	}
}

func testConcurrentSame(t *testing.T, s blob.Store) {
	for round := range 20 {
		data := random(20_000 + round)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := put(t.Context(), s, data); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if !bytes.Equal(get(t, s, digest(data)), data) {
			t.Fatal("bytes differ after a race")
		}
	}
}

func testConcurrentDifferent(t *testing.T, s blob.Store) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 20 {
				if _, err := put(t.Context(), s, random(1000*i+j)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i := range 8 {
		for j := range 20 {
			if data := random(1000*i + j); !bytes.Equal(get(t, s, digest(data)), data) {
				t.Errorf("object %d/%d differs", i, j)
			}
		}
	}
}

func testAbort(t *testing.T, s blob.Store) {
	data := random(5000)
	w := create(t, s)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Abort(); err != nil {
			t.Fatal(err)
		}
	}
	wantAbsent(t, s, digest(data))
}

func testInvisibleBeforeCommit(t *testing.T, s blob.Store) {
	data := random(5000)
	w := create(t, s)
	defer w.Abort()
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	wantAbsent(t, s, digest(data))
	if _, _, err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stat(t.Context(), digest(data)); err != nil {
		t.Error(err)
	}
}

func testCancelled(t *testing.T, s blob.Store) {
	data := random(5000)
	w := create(t, s)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := w.Commit(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("commit of a cancelled caller: %v", err)
	}
	if err := w.Abort(); err != nil {
		t.Error(err)
	}
	wantAbsent(t, s, digest(data))
	if _, err := s.Create(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("create for a cancelled caller: %v", err)
	}
}

func testSpentWriter(t *testing.T, s blob.Store) {
	w := create(t, s)
	if _, err := w.Write([]byte("once")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Abort(); err != nil {
		t.Errorf("abort after commit: %v", err)
	}
	if _, err := s.Stat(t.Context(), digest([]byte("once"))); err != nil {
		t.Errorf("abort after commit took the object away: %v", err)
	}
	if _, err := w.Write([]byte("more")); err == nil {
		t.Error("a committed writer takes more bytes")
	}
	if _, _, err := w.Commit(t.Context()); err == nil {
		t.Error("a writer commits twice")
	}
}

func testBadNames(t *testing.T, s blob.Store) {
	good := digest([]byte("x"))
	for _, name := range []string{"", "../etc/passwd", "tmp", strings.ToUpper(good), good[:63], good + "0",
		"..%2f" + good, good[:62] + "/x", "g" + good[1:]} {
		if _, err := s.Open(t.Context(), name); escrow.CodeOf(err) != escrow.Invalid {
			t.Errorf("open %q: %v", name, err)
		}
		if _, err := s.Stat(t.Context(), name); escrow.CodeOf(err) != escrow.Invalid {
			t.Errorf("stat %q: %v", name, err)
		}
		if d, ok := s.(blob.Deleter); ok {
			if err := d.Delete(t.Context(), name); escrow.CodeOf(err) != escrow.Invalid {
				t.Errorf("delete %q: %v", name, err)
			}
		}
	}
}

func testMissing(t *testing.T, s blob.Store) {
	name := digest([]byte("never stored"))
	_, err := s.Open(t.Context(), name)
	if escrow.CodeOf(err) != escrow.Missing || !strings.Contains(err.Error(), name) {
		t.Errorf("open: %v", err)
	}
	wantAbsent(t, s, name)
}

func testList(t *testing.T, s blob.Store) {
	l, ok := s.(blob.Lister)
	if !ok {
		t.Skip("not a lister")
	}
	want := make(map[string]int64)
	for i := range 50 {
		want[Put(t, s, random(100+i))] = int64(100 + i)
	}
	open := create(t, s) // must not be listed
	defer open.Abort()
	var names []string
	err := l.List(t.Context(), func(name string, size int64) error {
		if want[name] != size {
			t.Errorf("%s listed with %d bytes, want %d", name, size, want[name])
		}
		names = append(names, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(names) != len(want) || !slices.IsSorted(names) {
		t.Errorf("%d names, sorted %v; want %d", len(names), slices.IsSorted(names), len(want))
	}
	stop := errors.New("stop")
	calls := 0
	if err := l.List(t.Context(), func(string, int64) error { calls++; return stop }); err != stop || calls != 1 {
		t.Errorf("stopped walk: %v after %d calls", err, calls)
	}
}

func testDelete(t *testing.T, s blob.Store) {
	d, ok := s.(blob.Deleter)
	if !ok {
		t.Skip("not a deleter")
	}
	keep, name := Put(t, s, []byte("keep")), Put(t, s, []byte("gone"))
	for range 2 {
		if err := d.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	wantAbsent(t, s, name)
	if _, err := s.Stat(t.Context(), keep); err != nil {
		t.Error(err)
	}
	if Put(t, s, []byte("gone")) != name {
		t.Error("a deleted object cannot be stored again")
	}
}

func testCheck(t *testing.T, s blob.Store) {
	name := Put(t, s, random(100_000))
	r, err := s.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := blob.Check(t.Context(), r, name); err != nil {
		t.Error(err)
	}
	other := digest([]byte("other"))
	if err := blob.Check(t.Context(), r, other); escrow.CodeOf(err) != escrow.Damaged || !strings.Contains(err.Error(), other) {
		t.Errorf("check against another name: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := blob.Check(ctx, r, name); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled check: %v", err)
	}
}

func create(t testing.TB, s blob.Store) blob.Writer {
	t.Helper()
	w, err := s.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func wantAbsent(t testing.TB, s blob.Store, name string) {
	t.Helper()
	if _, err := s.Stat(t.Context(), name); escrow.CodeOf(err) != escrow.Missing {
		t.Errorf("stat of %s: %v, want it missing", name, err)
	}
}

// random gives the same bytes for the same size.
func random(size int) []byte {
	var seed [32]byte
	copy(seed[:], fmt.Sprint(size))
	data := make([]byte, size)
	rand.NewChaCha8(seed).Read(data)
	return data
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
