package replica_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"holdfast/evidence"
	"holdfast/internal/blob"
	"holdfast/internal/blob/blobtest"
	"holdfast/internal/blob/replica"
	"holdfast/internal/escrow"
)

func unavailable() error { return escrow.Errorf(escrow.Unavailable, "the disk is away") }

func full() error { return escrow.Errorf(escrow.Full, "no room left") }

func put(ctx context.Context, s blob.Store, data []byte) (string, error) {
	w, err := s.Create(ctx)
	if err != nil {
		return "", err
	}
	defer w.Abort()
	for len(data) > 0 {
		n := min(len(data), 50_000)
		if _, err := w.Write(data[:n]); err != nil {
			return "", err
		}
		data = data[n:]
	}
	name, _, err := w.Commit(ctx)
	return name, err
}

// What is acknowledged is at a quorum; the location that was away gets it
// later.
func TestOneAwayOneOwed(t *testing.T) {
	b := build(t, replica.Options{}, 3)
	b.faults[1].set(func(f *faulty) { f.down = unavailable })
	data := bytes.Repeat([]byte("data"), 100_000)
	name, err := put(t.Context(), b.Store, data)
	if err != nil {
		t.Fatal(err)
	}
	if b.owed(t) != 1 {
		t.Errorf("%d copies are owed, want 1", b.owed(t))
	}
	b.faults[1].set(func(f *faulty) { f.down = nil })
	b.settled(t)
	if _, err := b.files[1].Stat(t.Context(), name); err != nil {
		t.Errorf("the location that was away: %v", err)
	}
}

func TestBelowQuorumNothingIsAcknowledged(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault func() error
		code  escrow.Code
		want  string
	}{{"away", unavailable, escrow.Unavailable, "location b: the disk is away"}, {"full", full, escrow.Full, "location b: no room left"}} {
		t.Run(tt.name, func(t *testing.T) {
			b := build(t, replica.Options{}, 2)
			b.faults[1].set(func(f *faulty) { f.write = tt.fault })
			_, err := put(t.Context(), b.Store, bytes.Repeat([]byte("x"), 1<<20))
			if escrow.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "1 of the 2") {
				t.Errorf("a store without its quorum: %v", err)
			}
			e, _ := errors.AsType[*escrow.Error](err)
			if e == nil || e.Hint == "" {
				t.Errorf("no hint: %v", err)
			}
		})
	}
}

// A location that is found not to settle leaves nothing acknowledged either.
func TestCommitBelowQuorum(t *testing.T) {
	b := build(t, replica.Options{}, 2)
	b.faults[0].set(func(f *faulty) { f.after = func(context.Context) error { return full() } })
	if _, err := put(t.Context(), b.Store, []byte("late")); escrow.CodeOf(err) != escrow.Full {
		t.Errorf("commit: %v", err)
	}
	b.faults[0].set(func(f *faulty) { f.after = nil })
	if _, err := put(t.Context(), b.Store, []byte("late")); err != nil {
		t.Errorf("again: %v", err)
	}
}

// A location that hangs holds nobody up for long when the others suffice.
func TestSlowLocationIsLeftBehind(t *testing.T) {
	b := build(t, replica.Options{Stall: 50 * time.Millisecond, Patience: 50 * time.Millisecond}, 3)
	release := make(chan struct{})
	b.faults[2].set(func(f *faulty) { f.write = func() error { <-release; return nil } })
	data := make([]byte, 8<<20)
	if _, err := rand.Read(data); err != nil {
		t.Fatal(err)
	}
	name, err := put(t.Context(), b.Store, data)
	if err != nil {
		t.Fatal(err)
	}
	b.faults[2].set(func(f *faulty) { f.write = nil })
	close(release)
	b.settled(t)
	if _, err := b.files[2].Stat(t.Context(), name); err != nil {
		t.Error(err)
	}
}

// Lying, unreadable and hanging locations are passed over in the middle of a
// read, and what lied is healed.
func TestReadsGoOnElsewhere(t *testing.T) {
	data := make([]byte, 3<<20+17)
	if _, err := rand.Read(data); err != nil {
		t.Fatal(err)
	}
	hang := make(chan struct{})
	defer close(hang)
	for _, tt := range []struct {
		name string
		read func(p []byte, off int64) error
	}{
		{"lies", func(p []byte, off int64) error {
			if off > 1<<20 && len(p) > 0 {
				p[len(p)/2] ^= 4
			}
			return nil
		}},
		{"fails", func(_ []byte, off int64) error {
			if off > 1<<20 {
				return errors.New("input/output error")
			}
			return nil
		}},
		{"hangs", func([]byte, int64) error { <-hang; return nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := build(t, replica.Options{Hedge: 30 * time.Millisecond}, 2)
			name := blobtest.Put(t, b.Store, data)
			b.faults[0].set(func(f *faulty) { f.read = tt.read })
			got, err := read(t.Context(), b.Store, name)
			if err != nil || !bytes.Equal(got, data) {
				t.Fatalf("read: %v, equal %v", err, bytes.Equal(got, data))
			}
			b.faults[0].set(func(f *faulty) { f.read = nil })
			if tt.name == "lies" {
				if f := <-b.findings; f.State != replica.Damaged || f.Location != "a" || f.Healed {
					t.Errorf("finding %+v", f)
				}
			}
		})
	}
}

// An object that is damaged everywhere is never given out, counts as missing
// for who could send it again, and is whole after it was sent.
func TestDamagedEverywhere(t *testing.T) {
	b := build(t, replica.Options{}, 2)
	data := bytes.Repeat([]byte("good"), 50_000)
	name := blobtest.Put(t, b.Store, data)
	b.settled(t)
	for i := range 2 {
		flip(t, b.path(i, name), 12_345)
	}
	if got, err := read(t.Context(), b.Store, name); escrow.CodeOf(err) != escrow.Damaged {
		t.Fatalf("read of an object without a good copy: %d bytes, %v", len(got), err)
	}
	if _, err := b.Stat(t.Context(), name); escrow.CodeOf(err) != escrow.Missing {
		t.Errorf("stat: %v", err)
	}
	if err := b.Heal(t.Context(), name, "a"); err == nil {
		t.Error("healed from nothing")
	}
	blobtest.Put(t, b.Store, data)
	b.settled(t)
	for i := range 2 {
		r, err := b.files[i].Open(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if err := blob.Check(t.Context(), r, name); err != nil {
			t.Error(err)
		}
		r.Close()
	}
}

func flip(t testing.TB, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var p [1]byte
	if _, err := f.ReadAt(p[:], at); err != nil {
		t.Fatal(err)
	}
	p[0] ^= 1 << (at % 8)
	if _, err := f.WriteAt(p[:], at); err != nil {
		t.Fatal(err)
	}
}

func TestHealKeepsGoodAndMovesBadAside(t *testing.T) {
	b := build(t, replica.Options{}, 2)
	name := blobtest.Put(t, b.Store, bytes.Repeat([]byte("x"), 100_000))
	b.settled(t)
	before, err := os.Stat(b.path(0, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Heal(t.Context(), name, "a"); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(b.path(0, name)); err != nil || !os.SameFile(before, after) {
		t.Errorf("healing replaced a good copy: %v", err)
	}
	if err := os.Truncate(b.path(0, name), 99); err != nil {
		t.Fatal(err)
	}
	if err := b.Verify(t.Context(), name, "a", 100_000); escrow.CodeOf(err) != escrow.Damaged {
		t.Errorf("verify: %v", err)
	}
	if err := b.Heal(t.Context(), name, "a"); err != nil {
		t.Fatal(err)
	}
	if err := b.Verify(t.Context(), name, "a", 100_000); err != nil {
		t.Error(err)
	}
	kept, err := os.ReadFile(b.dir + "/a/aside/" + name + ".1")
	if err != nil || len(kept) != 99 {
		t.Errorf("aside: %d bytes, %v", len(kept), err)
	}
}

// TestManyFaults runs random writes and reads under random faults, from a seed
// that it prints. What was acknowledged is always read back, whole or not at
// all; at the end, with all locations back, every location has every object.
func TestManyFaults(t *testing.T) {
	steps := 60
	if os.Getenv("HOLDFAST_TEST_LONG") != "" {
		steps = 3000
	}
	for _, seed := range []uint64{1, 2} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { manyFaults(t, seed, steps) })
	}
}

func manyFaults(t *testing.T, seed uint64, steps int) {
	rng := mrand.New(mrand.NewPCG(seed, 7))
	b := build(t, replica.Options{Stall: 20 * time.Millisecond, Patience: 20 * time.Millisecond, Hedge: 20 * time.Millisecond, Found: func(context.Context, replica.Finding) {}}, 3)
	kept := map[string][]byte{}
	var names []string
	damaged := map[string]bool{} // objects with one bad copy at most
	faults, refused := 0, 0
	calm := func() {
		for _, f := range b.faults {
			f.set(func(f *faulty) { f.down, f.write, f.read, f.after = nil, nil, nil, nil })
		}
	}
	for range steps {
		calm()
		f := b.faults[rng.IntN(3)]
		switch rng.IntN(9) {
		case 0:
			f.set(func(f *faulty) { f.down = unavailable })
		case 1:
			f.set(func(f *faulty) { f.write = full })
		case 2:
			n := rng.IntN(4)
			f.set(func(f *faulty) {
				f.write = func() error {
					if n--; n < 0 {
						return errors.New("input/output error")
					}
					return nil
				}
			})
		case 3:
			f.set(func(f *faulty) { f.after = func(context.Context) error { return unavailable() } })
		case 4:
			bit := rng.IntN(8)
			f.set(func(f *faulty) {
				f.read = func(p []byte, _ int64) error {
					if len(p) > 0 {
						p[len(p)/3] ^= 1 << bit
					}
					return nil
				}
			})
		case 5:
			f.set(func(f *faulty) { f.write = func() error { time.Sleep(30 * time.Millisecond); return nil } })
		case 6, 7: // rot at rest
			if len(names) > 0 {
				name := names[rng.IntN(len(names))]
				i := rng.IntN(3)
				if info, err := os.Stat(b.path(i, name)); err == nil && !damaged[name] && info.Size() > 0 {
					damaged[name] = true
					if rng.IntN(2) == 0 {
						flip(t, b.path(i, name), rng.Int64N(info.Size()))
					} else if err := os.Truncate(b.path(i, name), rng.Int64N(info.Size())); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		faults++
		if rng.IntN(2) == 0 || len(names) == 0 {
			data := make([]byte, rng.IntN(700_000))
			for i := range data {
				data[i] = byte(rng.Uint32())
			}
			name, err := put(t.Context(), b.Store, data)
			if err != nil {
				refused++
				continue
			}
			if name != evidence.Digest(data) {
				t.Fatalf("acknowledged as %s", name)
			}
			if kept[name] == nil {
				names = append(names, name)
			}
			kept[name] = data
			continue
		}
		name := names[rng.IntN(len(names))]
		got, err := read(t.Context(), b.Store, name)
		switch {
		case err == nil && !bytes.Equal(got, kept[name]):
			t.Fatalf("object %s was read otherwise than it was written", name)
		case err != nil && escrow.CodeOf(err) == escrow.Internal:
			t.Errorf("an error without a code: %v", err)
		}
	}
	calm()
	for _, name := range names { // what is bad is found by whoever looks, the scrubber above all
		for i := range 3 {
			err := b.Verify(t.Context(), name, string(rune('a'+i)), int64(len(kept[name])))
			if c := escrow.CodeOf(err); c == escrow.Damaged || c == escrow.Missing {
				if err := b.Heal(t.Context(), name, string(rune('a'+i))); err != nil {
					t.Errorf("heal %s: %v", name, err)
				}
			} else if err != nil {
				t.Error(err)
			}
		}
	}
	b.settled(t)
	for _, name := range names {
		got, err := read(t.Context(), b.Store, name)
		if err != nil || !bytes.Equal(got, kept[name]) {
			t.Errorf("acknowledged object %s: %v", name, err)
		}
		for i := range 3 {
			if err := b.Verify(t.Context(), name, string(rune('a'+i)), int64(len(kept[name]))); err != nil {
				t.Errorf("at the end: %v", err)
			}
		}
	}
	t.Logf("seed %d: %d faults, %d objects acknowledged, %d refused", seed, faults, len(names), refused)
}
