package evidence_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"holdfast/evidence"
)

// Every parser of ledger texts accepts only what its formatter writes.

func FuzzCheckpoint(f *testing.F) {
	l := newTestLedger(f, 5)
	for size := range int64(6) {
		f.Add(l.checkpointAt(size).String())
	}
	f.Add("a\n1\n" + strings.Repeat("A", 43) + "=\n")
	f.Add("a+b\n01\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := evidence.ParseCheckpoint(text)
		if err == nil && c.String() != text {
			t.Errorf("%q was read as %q", text, c)
		}
	})
}

func FuzzSignedCheckpoint(f *testing.F) {
	l := newTestLedger(f, 5)
	w, key := testCosigner(f, "witness.example/w1", 11)
	policy := l.policy(key)
	cosigned, _, err := evidence.Witness{Log: policy.Log, Signer: w}.Cosign(evidence.Pin{Origin: testOrigin}, l.grow(0, 5))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(l.signedAt(5))
	f.Add(cosigned)
	f.Add([]byte("a\n0\n\n\n— a AAAAAAA=\n"))
	want := l.checkpointAt(5)
	f.Fuzz(func(t *testing.T, signed []byte) {
		c, err := policy.Open(signed)
		if err != nil {
			return
		}
		// Nobody has the key here, so only what was signed above opens.
		if c != want {
			t.Errorf("opened as %+v", c)
		}
	})
}

func FuzzProof(f *testing.F) {
	l := newTestLedger(f, 9)
	f.Add(l.prove(0, 1).String())
	f.Add(l.prove(3, 9).String())
	f.Add("c2sp.org/tlog-proof@v1\nindex 0\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := evidence.ParseProof(text)
		if err == nil && p.String() != text {
			t.Errorf("%q was read as %q", text, p)
		}
	})
}

func FuzzGrowth(f *testing.F) {
	l := newTestLedger(f, 9)
	f.Add(l.grow(0, 9).String())
	f.Add(l.grow(5, 9).String())
	f.Add("old 0\n\n")
	pin := evidence.NewPin(l.checkpointAt(5))
	policy, seen := l.policy(), []evidence.Pin{pin, evidence.NewPin(l.checkpointAt(9))}
	f.Fuzz(func(t *testing.T, text string) {
		g, err := evidence.ParseGrowth(text)
		if err != nil {
			return
		}
		if g.String() != text {
			t.Errorf("%q was read as %q", text, g)
		}
		if next, err := pin.Grow(policy, g); err == nil && !slices.Contains(seen, next) {
			t.Errorf("the pin went to %+v", next)
		}
	})
}

func FuzzPin(f *testing.F) {
	f.Add(evidence.NewPin(newTestLedger(f, 3).checkpointAt(3)).String())
	f.Fuzz(func(t *testing.T, text string) {
		p, err := evidence.ParsePin(text)
		if err == nil && p.String() != text {
			t.Errorf("%q was read as %q", text, p)
		}
	})
}

func FuzzReceipt(f *testing.F) {
	l := newTestLedger(f, 9)
	for _, size := range []int64{4, 9} {
		data, err := evidence.Canonical(l.receipt(3, size))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	policy := l.policy()
	want := testAct(3).Subject
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := evidence.ParseReceipt(data)
		if err != nil {
			return
		}
		if again, err := evidence.Canonical(r); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%q was read as %q, %v", data, again, err)
		}
		if _, err := evidence.VerifyReceipt(r, policy, want); err == nil && r.Payload != string(l.entries[3].Payload) {
			t.Errorf("%q verifies", data)
		}
	})
}

func FuzzAct(f *testing.F) {
	for i := range int64(2) {
		payload, err := testAct(i).Payload()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(payload)
	}
	f.Add([]byte(`{"actor":"a","at":"2027-01-02T03:04:05.678901Z","data":{},"index":0,"kind":"a.b"}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		a, err := evidence.ParseAct(payload)
		if err != nil {
			return
		}
		if again, err := a.Payload(); err != nil || !bytes.Equal(again, payload) {
			t.Errorf("%q was read as %q, %v", payload, again, err)
		}
	})
}

func FuzzTilePath(f *testing.F) {
	for _, path := range []string{"tile/0/000", "tile/7/x001/234.p/255", "tile/entries/x001/x234/067.p/9", "tile/data/000", "tile/0/0.p/1"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		tile, err := evidence.ParseTilePath(path)
		if err != nil {
			return
		}
		if evidence.TilePath(tile) != path || tile.N < 0 || tile.W < 1 || tile.W > evidence.TileWidth {
			t.Errorf("%q was read as %+v", path, tile)
		}
	})
}

func FuzzExport(f *testing.F) {
	l := testErasedLedger(f)
	f.Add(l.export(12))
	f.Add(l.export(4))
	f.Add([]byte(`{"format":"holdfast-ledger/v1","origin":"a","size":0}` + "\n"))
	signed, policy := l.signedAt(12), l.policy()
	f.Fuzz(func(t *testing.T, data []byte) {
		h, entries, err := evidence.ReadExport(bytes.NewReader(data))
		if err != nil {
			return
		}
		again, err := h.Line()
		if err != nil {
			t.Fatal(err)
		}
		for e, err := range entries {
			if err != nil {
				return
			}
			line, err := e.Line()
			if err != nil {
				t.Fatal(err)
			}
			again = append(again, line...)
		}
		if !bytes.Equal(again, data) {
			t.Errorf("%q was read as %q", data, again)
		}
		// What verifies has the commitments that were signed; what is open of
		// it is what they commit to.
		if _, err := verifyExport(data, signed, policy); err != nil {
			return
		}
		_, entries, _ = evidence.ReadExport(bytes.NewReader(data))
		for e, err := range entries {
			if err != nil || e.Commitment != l.entries[e.Index].Commitment {
				t.Errorf("entry %d verifies with another commitment", e.Index)
			}
		}
	})
}

func FuzzWitnessKey(f *testing.F) {
	_, key := testCosigner(f, "witness.example/w1", 11)
	_, logKey := testNoteKeyText("witness.example/w1", 11)
	f.Add(key)
	f.Add(logKey)
	f.Fuzz(func(t *testing.T, text string) {
		v, err := evidence.NewWitnessVerifier(text)
		if err != nil {
			return
		}
		if again := fmt.Sprintf("%s+%08x+", v.Name(), v.KeyHash()); !strings.HasPrefix(text, again) {
			t.Errorf("%q was read as %q…", text, again)
		}
	})
}
