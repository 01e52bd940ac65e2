package seal_test

import (
	"crypto/rand"
	"testing"

	"holdfast/internal/seal"
)

func BenchmarkDeal3of5(b *testing.B) {
	s := newScene(b, 3, 5, 2)
	for b.Loop() {
		if _, err := seal.Deal(rand.Reader, s.c, s.dealer.signer); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckShare(b *testing.B) {
	s := newScene(b, 3, 5, 2).deal(b)
	share := s.share(b, "t5")
	for b.Loop() {
		if _, err := seal.CheckShare(s.dealt.Manifest, share.Text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkApprove(b *testing.B) {
	s := newScene(b, 3, 5, 2).deal(b)
	r := s.request(b, s.people["t5"][0], s.statement(b, nil))
	for b.Loop() {
		if _, _, err := seal.Approve(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCombine3of5(b *testing.B) {
	s := newScene(b, 3, 5, 2).deal(b)
	offered := s.offered(b, "t1", "t2", "t5")
	for b.Loop() {
		if _, err := seal.Combine(offered, s.dealt.Manifest); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSealObject(b *testing.B) {
	id := hybrid(b)
	chunk := make([]byte, 1<<20)
	b.SetBytes(int64(len(chunk)))
	w, err := seal.NewWriter(discard{}, id.Recipient())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := w.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
