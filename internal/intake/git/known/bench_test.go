package known_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"filippo.io/age"

	"holdfast/internal/intake/git/known"
	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/pack"
)

// sealedSegment is a segment behind age, as the server keeps it.
func sealedSegment(b *testing.B, ids pack.IDs, g pack.Graph) *known.Segment {
	b.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		b.Fatal(err)
	}
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, identity.Recipient())
	if err != nil {
		b.Fatal(err)
	}
	if err := known.Write(w, ids, g); err != nil {
		b.Fatal(err)
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	plain, size, err := age.DecryptReaderAt(bytes.NewReader(sealed.Bytes()), int64(sealed.Len()), identity)
	if err != nil {
		b.Fatal(err)
	}
	s, err := known.Open(plain, size)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(sealed.Len())/float64(ids.Len()), "bytes/object")
	return s
}

// large is a chain the size of git/git: 850,000 objects, of them 82,000
// commits in two long lines that merge now and then.
func large() (pack.IDs, pack.Graph, []object.OID) {
	rng := rand.New(rand.NewPCG(1, 1))
	all := make([]object.OID, 850_000)
	for i := range all {
		raw := make([]byte, 20)
		for j := 0; j < 20; j += 4 {
			v := rng.Uint32()
			raw[j], raw[j+1], raw[j+2], raw[j+3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
		}
		all[i], _ = object.FromBytes(object.SHA1, raw)
	}
	commits := all[:82_000]
	parents := make(map[object.OID][]object.OID, len(commits))
	for i, c := range commits {
		switch {
		case i < 2:
			parents[c] = nil
		case i%9 == 0:
			parents[c] = []object.OID{commits[i-2], commits[i-1]}
		default:
			parents[c] = []object.OID{commits[i-2]}
		}
	}
	ids := pack.NewIDs(object.SHA1, all)
	return ids, pack.NewGraph(ids, parents), commits
}

func BenchmarkSealedSegment(b *testing.B) {
	ids, g, commits := large()
	rng := rand.New(rand.NewPCG(2, 2))
	s := sealedSegment(b, ids, g)
	set, err := known.NewSet(s)
	if err != nil {
		b.Fatal(err)
	}
	var ask []object.OID
	for range 500 {
		ask = append(ask, ids.At(rng.IntN(ids.Len())))
	}
	slices.SortFunc(ask, object.OID.Compare)
	ask = slices.Compact(ask)
	b.Run("missing of 500", func(b *testing.B) {
		for b.Loop() {
			if missing, err := set.Missing(b.Context(), ask); err != nil || len(missing) != 0 {
				b.Fatal(len(missing), err)
			}
		}
	})
	b.Run("load and one ancestor", func(b *testing.B) {
		for b.Loop() {
			h := set.With(&pack.Report{Format: object.SHA1, IDs: pack.NewIDs(object.SHA1, nil)})
			if ok, err := h.IsAncestor(b.Context(), commits[81_999], commits[81_998]); ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
	b.Run("ancestors, each of 100 rewritten branches", func(b *testing.B) {
		h := set.With(&pack.Report{Format: object.SHA1, IDs: pack.NewIDs(object.SHA1, nil)})
		for b.Loop() {
			for i := range 100 {
				if ok, err := h.IsAncestor(b.Context(), commits[81_998-2*i], commits[81_997-2*i]); err != nil {
					b.Fatal(ok, err)
				}
			}
		}
	})
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			if err := known.Write(io.Discard, ids, g); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("merge with five", func(b *testing.B) {
		few := pack.NewIDs(object.SHA1, ask[:5])
		for b.Loop() {
			if _, _, err := known.Merge([]*known.Segment{s}, few, pack.NewGraph(few, nil)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
