package evidence_test

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"holdfast/evidence"
)

func TestPinAdvances(t *testing.T) {
	l := newTestLedger(t, 20)
	policy := l.policy()
	pin := evidence.Pin{Origin: testOrigin}
	for _, size := range []int64{0, 1, 1, 2, 7, 8, 20, 20} {
		next, err := pin.Grow(policy, l.grow(pin.Size, size))
		if err != nil {
			t.Fatalf("%d to %d: %v", pin.Size, size, err)
		}
		if next != evidence.NewPin(l.checkpointAt(size)) {
			t.Fatalf("%d to %d: pinned %+v", pin.Size, size, next)
		}
		pin = next
		if again, err := evidence.ParsePin(pin.String()); err != nil || again != pin {
			t.Fatalf("kept and read: %+v, %v", again, err)
		}
	}
}

func TestPinRefuses(t *testing.T) {
	l := newTestLedger(t, 20)
	forked := newTestLedger(t, 10)
	for i := range int64(10) {
		a := testAct(10 + i)
		a.Actor = "somebody/else"
		forked.append(a, nil)
	}
	pin := evidence.NewPin(l.checkpointAt(12))
	broken := l.grow(12, 20)
	broken.Hashes = append([]tlog.Hash(nil), broken.Hashes...)
	broken.Hashes[0][0] ^= 1
	other := l.grow(12, 20)
	other.Checkpoint = resign(t, evidence.Checkpoint{Origin: "other.example", Size: 20}, otherSigner(t))
	for name, test := range map[string]struct {
		pin    evidence.Pin
		growth evidence.Growth
		want   error
		says   []string
	}{
		"went back":                 {pin, l.grow(5, 11), evidence.ErrRollback, []string{"11", "12"}},
		"went back to nothing":      {pin, l.grow(0, 0), evidence.ErrRollback, []string{"0", "12"}},
		"forked at the same size":   {pin, forked.grow(12, 12), evidence.ErrFork, []string{"12"}},
		"forked and grew":           {pin, forked.grow(12, 20), evidence.ErrFork, []string{"12", "20"}},
		"no proof":                  {pin, evidence.Growth{Old: 12, Checkpoint: l.signedAt(20)}, evidence.ErrFork, []string{"12", "20"}},
		"broken proof":              {pin, broken, evidence.ErrFork, []string{"12", "20"}},
		"proof from another size":   {pin, l.grow(11, 20), evidence.ErrProof, []string{"11", "12"}},
		"proof where none is due":   {pin, evidence.Growth{Old: 12, Hashes: make([]tlog.Hash, 1), Checkpoint: l.signedAt(12)}, evidence.ErrProof, nil},
		"proof for the first sight": {evidence.Pin{Origin: testOrigin}, evidence.Growth{Hashes: make([]tlog.Hash, 1), Checkpoint: l.signedAt(12)}, evidence.ErrProof, nil},
		"another ledger":            {pin, other, evidence.ErrUnknownKey, nil},
		"pin of another ledger":     {evidence.Pin{Origin: "other.example", Size: 12}, l.grow(12, 20), evidence.ErrUnknownKey, nil},
		"pin of nothing":            {evidence.Pin{}, l.grow(0, 20), errAny, nil},
	} {
		before := test.pin
		next, err := test.pin.Grow(l.policy(), test.growth)
		if err == nil || test.want != errAny && !errors.Is(err, test.want) {
			t.Errorf("%s: error is %v, want %v", name, err, test.want)
			continue
		}
		if next != (evidence.Pin{}) || test.pin != before {
			t.Errorf("%s: the pin moved", name)
		}
		for _, s := range test.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %q does not name size %s", name, err, s)
			}
		}
	}
	if errors.Is(evidence.ErrFork, evidence.ErrRollback) {
		t.Error("a fork and a rollback are the same error")
	}
}

func otherSigner(t testing.TB) note.Signer {
	t.Helper()
	signer, _ := testNoteKey(t, "other.example", 5)
	return signer
}

func TestWitnessCosignsOnlyWhatFollows(t *testing.T) {
	l := newTestLedger(t, 20)
	forked := newTestLedger(t, 3)
	a := testAct(3)
	a.Actor = "somebody/else"
	forked.append(a, nil)

	signer, key := testCosigner(t, "witness.example/w1", 11)
	w := evidence.Witness{Log: l.policy().Log, Signer: signer}
	strict, err := evidence.NewPolicy(l.vkey, []string{key}, 1)
	if err != nil {
		t.Fatal(err)
	}
	pin := evidence.Pin{Origin: testOrigin}
	for _, size := range []int64{4, 4, 20} {
		cosigned, next, err := w.Cosign(pin, l.grow(pin.Size, size))
		if err != nil {
			t.Fatal(err)
		}
		if c, err := strict.Open(cosigned); err != nil || c.Size != size || next.Size != size {
			t.Fatalf("cosigned %+v, pinned %d, %v", c, next.Size, err)
		}
		pin = next
	}
	pin = evidence.NewPin(l.checkpointAt(4))
	for name, test := range map[string]struct {
		growth evidence.Growth
		want   error
	}{
		"went back": {l.grow(2, 3), evidence.ErrRollback},
		"forked":    {forked.grow(4, 4), evidence.ErrFork},
		"unproved":  {evidence.Growth{Old: 4, Checkpoint: l.signedAt(9)}, evidence.ErrFork},
		"unsigned":  {evidence.Growth{Old: 4, Hashes: l.grow(4, 9).Hashes, Checkpoint: []byte(l.checkpointAt(9).String() + "\n")}, errAny},
	} {
		cosigned, _, err := w.Cosign(pin, test.growth)
		if err == nil || test.want != errAny && !errors.Is(err, test.want) || cosigned != nil {
			t.Errorf("%s: %q, %v, want %v", name, cosigned, err, test.want)
		}
	}
}

func TestMergeCosignatures(t *testing.T) {
	l := newTestLedger(t, 5)
	w1, k1 := testCosigner(t, "witness.example/w1", 11)
	w2, k2 := testCosigner(t, "witness.example/w2", 12)
	w3, _ := testCosigner(t, "witness.example/w3", 13)
	policy := l.policy(k1, k2)
	cosign := func(size int64, w note.Signer) []byte {
		out, _, err := evidence.Witness{Log: policy.Log, Signer: w}.Cosign(evidence.Pin{Origin: testOrigin}, l.grow(0, size))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	one, n, err := evidence.MergeCosignatures(policy, l.signedAt(5), cosign(5, w1))
	if err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	both, n, err := evidence.MergeCosignatures(policy, one, cosign(5, w2))
	if err != nil || n != 2 {
		t.Fatalf("%d, %v", n, err)
	}
	turned, n, err := evidence.MergeCosignatures(policy, cosign(5, w2), cosign(5, w1))
	if err != nil || n != 2 || string(turned) != string(both) {
		t.Errorf("the order matters: %d, %v\n%s\n%s", n, err, both, turned)
	}
	if got, n, err := evidence.MergeCosignatures(policy, one, cosign(5, w3)); err != nil || n != 1 || string(got) != string(one) {
		t.Errorf("a stranger's cosignature: %d, %v\n%s", n, err, got)
	}
	if _, _, err := evidence.MergeCosignatures(policy, one, cosign(4, w2)); err == nil {
		t.Error("the cosignature of another checkpoint was merged")
	}
}
