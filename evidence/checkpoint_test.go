package evidence_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"holdfast/evidence"
)

func TestCheckpointTextIsStrict(t *testing.T) {
	l := newTestLedger(t, 5)
	good := l.checkpointAt(5).String()
	c, err := evidence.ParseCheckpoint(good)
	if err != nil || c.String() != good {
		t.Fatalf("%v, %q", err, c)
	}
	root := strings.Split(good, "\n")[2]
	loose := root[:42] + string(root[42]+1) + "=" // other bits that decode to the same bytes
	for name, text := range map[string]string{
		"empty":             "",
		"no newline":        strings.TrimSuffix(good, "\n"),
		"extension line":    good + "extra\n",
		"empty line":        good + "\n",
		"no origin":         "\n5\n" + root + "\n",
		"origin with space": "a b\n5\n" + root + "\n",
		"origin with plus":  "a+b\n5\n" + root + "\n",
		"leading zero":      testOrigin + "\n05\n" + root + "\n",
		"plus sign":         testOrigin + "\n+5\n" + root + "\n",
		"negative":          testOrigin + "\n-5\n" + root + "\n",
		"too large":         testOrigin + "\n9223372036854775808\n" + root + "\n",
		"hexadecimal":       testOrigin + "\n0x5\n" + root + "\n",
		"short root":        testOrigin + "\n5\nAAAA\n",
		"loose base64":      testOrigin + "\n5\n" + loose + "\n",
		"url base64":        testOrigin + "\n5\n" + strings.Repeat("_", 43) + "=\n",
		"carriage return":   testOrigin + "\n5\n" + root + "\r\n",
		"huge":              testOrigin + "\n5\n" + root + "\n" + strings.Repeat("x", evidence.MaxCheckpoint),
	} {
		if c, err := evidence.ParseCheckpoint(text); err == nil {
			t.Errorf("%s: accepted as %+v", name, c)
		}
	}
}

func TestPolicyOpen(t *testing.T) {
	l := newTestLedger(t, 5)
	signed := l.signedAt(5)
	w1, w1Key := testCosigner(t, "witness.example/w1", 11)
	w2, w2Key := testCosigner(t, "witness.example/w2", 12)
	cosign := func(signed []byte, signers ...note.Signer) []byte {
		n, err := note.Open(signed, note.VerifierList(l.policy().Log))
		if err != nil {
			t.Fatal(err)
		}
		out, err := note.Sign(n, signers...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	require := func(n int, keys ...string) evidence.Policy {
		p, err := evidence.NewPolicy(l.vkey, keys, n)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	stranger, _ := testNoteKey(t, "stranger.example", 9)
	sameName, sameNameKey := testNoteKey(t, testOrigin, 8) // the ledger's name, another key
	_ = sameNameKey
	otherOrigin, err := note.Sign(&note.Note{Text: strings.Replace(l.checkpointAt(5).String(), testOrigin, "other.example", 1)}, l.signer)
	if err != nil {
		t.Fatal(err)
	}
	notCheckpoint, err := note.Sign(&note.Note{Text: "five apples\n"}, l.signer)
	if err != nil {
		t.Fatal(err)
	}
	asLog, err := note.Sign(&note.Note{Text: l.checkpointAt(5).String()}, w1)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		policy evidence.Policy
		signed []byte
		want   error // nil: accepted
	}{
		"plain":                         {l.policy(), signed, nil},
		"with a stranger's line":        {l.policy(), cosign(signed, stranger), nil},
		"one of two witnesses":          {require(1, w1Key, w2Key), cosign(signed, w2), nil},
		"two of two witnesses":          {require(2, w1Key, w2Key), cosign(signed, w1, w2), nil},
		"none of one witness":           {require(1, w1Key), signed, evidence.ErrWitnesses},
		"one of two required":           {require(2, w1Key, w2Key), cosign(signed, w1), evidence.ErrWitnesses},
		"a stranger is no witness":      {require(1, w1Key), cosign(signed, stranger), evidence.ErrWitnesses},
		"witness without the ledger":    {require(1, w1Key), asLog, evidence.ErrUnknownKey},
		"another key of the same name":  {l.policy(), resign(t, l.checkpointAt(5), sameName), evidence.ErrUnknownKey},
		"another origin, the right key": {l.policy(), otherOrigin, evidence.ErrUnknownKey},
		"not a checkpoint":              {l.policy(), notCheckpoint, errAny},
		"text without signatures":       {l.policy(), []byte(l.checkpointAt(5).String()), errAny},
		"no key":                        {evidence.Policy{}, signed, errAny},
	} {
		c, err := test.policy.Open(test.signed)
		switch {
		case test.want == nil && (err != nil || c != l.checkpointAt(5)):
			t.Errorf("%s: %+v, %v", name, c, err)
		case test.want == errAny && err == nil, test.want != nil && test.want != errAny && !errors.Is(err, test.want):
			t.Errorf("%s: error is %v, want %v", name, err, test.want)
		}
	}
	if _, err := evidence.NewPolicy(l.vkey, []string{w1Key, w1Key}, 2); err == nil {
		t.Error("one witness was made to count twice")
	}
	if _, err := evidence.NewPolicy(l.vkey, []string{w1Key}, 2); err == nil {
		t.Error("two of one witness can be required")
	}
	if _, err := evidence.NewPolicy(l.vkey, []string{l.vkey}, 0); err == nil {
		t.Error("a ledger key was taken for a witness")
	}
	if _, err := evidence.NewPolicy(w1Key, nil, 0); err == nil {
		t.Error("a witness key was taken for a ledger")
	}
}

// errAny stands for a refusal without a name of its own.
var errAny = errors.New("any")

func resign(t testing.TB, c evidence.Checkpoint, signer note.Signer) []byte {
	t.Helper()
	signed, err := evidence.SignCheckpoint(c, signer)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// No byte of a cosigned checkpoint can change unseen.
func TestEveryByteOfACheckpointCounts(t *testing.T) {
	l := newTestLedger(t, 5)
	w, key := testCosigner(t, "witness.example/w1", 11)
	policy, err := evidence.NewPolicy(l.vkey, []string{key}, 1)
	if err != nil {
		t.Fatal(err)
	}
	cosigned, _, err := evidence.Witness{Log: policy.Log, Signer: w}.Cosign(evidence.Pin{Origin: testOrigin}, l.grow(0, 5))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := policy.Open(cosigned); err != nil {
		t.Fatal(err)
	}
	for at := range cosigned {
		for bit := range 8 {
			changed := bytes.Clone(cosigned)
			changed[at] ^= 1 << bit
			if _, err := policy.Open(changed); err == nil {
				t.Errorf("byte %d: %q became %q unseen", at, cosigned[at], changed[at])
			}
		}
	}
}

func TestSignCheckpointRefusesAnotherOrigin(t *testing.T) {
	l := newTestLedger(t, 1)
	c := l.checkpointAt(1)
	c.Origin = "other.example"
	if _, err := evidence.SignCheckpoint(c, l.signer); err == nil {
		t.Error("signed for another ledger")
	}
}

// The cosignatures are those of the C2SP tlog-cosignature format.
func TestCosignaturesAgreeWithTransparencyDev(t *testing.T) {
	l := newTestLedger(t, 5)
	skey, vkey := testNoteKeyText("witness.example/w1", 11)
	ours, oursKey := testCosigner(t, "witness.example/w1", 11)
	theirs, err := fnote.NewSignerForCosignatureV1(skey)
	if err != nil {
		t.Fatal(err)
	}
	theirKey, err := fnote.VKeyToCosignatureV1(vkey)
	if err != nil {
		t.Fatal(err)
	}
	if theirs.KeyHash() != ours.KeyHash() || theirKey != oursKey {
		t.Fatalf("key %08x %s, transparency-dev says %08x %s", ours.KeyHash(), oursKey, theirs.KeyHash(), theirKey)
	}
	text := &note.Note{Text: l.checkpointAt(5).String()}
	theirVerifier, err := fnote.NewVerifierForCosignatureV1(oursKey)
	if err != nil {
		t.Fatal(err)
	}
	ourVerifier, err := evidence.NewWitnessVerifier(theirKey)
	if err != nil {
		t.Fatal(err)
	}
	byUs, err := note.Sign(text, l.signer, ours)
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(byUs, note.VerifierList(l.policy().Log, theirVerifier))
	if err != nil || len(n.Sigs) != 2 {
		t.Errorf("transparency-dev refuses our cosignature: %v", err)
	}
	if at, err := fnote.CoSigV1Timestamp(n.Sigs[1]); err != nil || at.Unix() != testNow().Unix() {
		t.Errorf("transparency-dev reads the time %v, %v", at, err)
	}
	byThem, err := note.Sign(text, l.signer, theirs)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := note.Open(byThem, note.VerifierList(l.policy().Log, ourVerifier)); err != nil || len(n.Sigs) != 2 {
		t.Errorf("we refuse transparency-dev's cosignature: %v", err)
	}
}

func TestWitnessKeysAreStrict(t *testing.T) {
	skey, logKey := testNoteKeyText("witness.example/w1", 11)
	_, key := testCosigner(t, "witness.example/w1", 11)
	for name, text := range map[string]string{
		"a ledger's key": logKey,
		"empty":          "",
		"no hash":        strings.Join(strings.Split(key, "+")[:1], "+"),
		"wrong hash":     strings.Replace(key, strings.Split(key, "+")[1], "00000000", 1),
		"another name":   "x" + key,
		"newline":        key + "\n",
		"short":          key[:len(key)-4],
	} {
		if _, err := evidence.NewWitnessVerifier(text); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, text := range map[string]string{
		"empty": "", "verifier key": key, "no hash": "PRIVATE+KEY+w", "short": skey[:len(skey)-8],
	} {
		_, err := evidence.NewCosigner(text, testNow)
		if err == nil {
			t.Errorf("signer key, %s: accepted", name)
		} else if len(text) > 20 && strings.Contains(err.Error(), text[len(text)-20:]) {
			t.Errorf("signer key, %s: the error shows the key", name)
		}
	}
	if _, err := evidence.WitnessKey(newTestLedger(t, 0).signer); err == nil {
		t.Error("a ledger's signer has a witness key")
	}
	cosigner, _ := testCosigner(t, "witness.example/w1", 11)
	if _, err := cosigner.Sign([]byte("not a checkpoint\n")); err == nil {
		t.Error("a witness signed something that is no checkpoint")
	}
}

func TestFrontierAgreesWithStoredHashes(t *testing.T) {
	l := newTestLedger(t, 70)
	var f evidence.Frontier
	for size := range int64(70) {
		if want := l.checkpointAt(size).Root; f.Root() != want || f.Size() != size {
			t.Fatalf("root of size %d is %s, x/mod says %s", f.Size(), f.Root(), want)
		}
		again, err := evidence.ParseFrontier(size, f.Bytes())
		if err != nil || again.Root() != f.Root() {
			t.Fatalf("size %d: %v", size, err)
		}
		f = *again
		for leaf := range size {
			first, height, root, ok := f.Subtree(leaf)
			if !ok || leaf < first || leaf >= first+1<<height || first&(1<<height-1) != 0 || first+1<<height > size {
				t.Fatalf("size %d: leaf %d is in %d of height %d", size, leaf, first, height)
			}
			if want := l.stored[tlog.StoredHashIndex(height, first>>height)]; root != want {
				t.Fatalf("size %d: subtree %d of height %d is %s, x/mod says %s", size, first, height, root, want)
			}
		}
		if _, _, _, ok := f.Subtree(size); ok {
			t.Fatalf("size %d: leaf %d is there", size, size)
		}
		f.Push(tlog.RecordHash(l.entries[size].Commitment[:]))
		for level := range 7 {
			h, done := f.Completed(level)
			if want := (size+1)%(1<<level) == 0; done != want {
				t.Fatalf("size %d, level %d: completed is %v", size+1, level, done)
			}
			if done {
				if want := l.stored[tlog.StoredHashIndex(level, size>>level)]; h != want {
					t.Fatalf("size %d, level %d: %s, x/mod says %s", size+1, level, h, want)
				}
			}
		}
	}
	for size, data := range map[int64][]byte{-1: nil, 1: nil, 2: make([]byte, 64), 3: make([]byte, 65)} {
		if _, err := evidence.ParseFrontier(size, data); err == nil {
			t.Errorf("size %d with %d bytes was accepted", size, len(data))
		}
	}
}

func TestTilePaths(t *testing.T) {
	for _, tile := range []tlog.Tile{
		{H: 8, L: 0, N: 0, W: 256}, {H: 8, L: 0, N: 1234067, W: 256}, {H: 8, L: 3, N: 7, W: 1},
		{H: 8, L: -1, N: 999, W: 255}, {H: 8, L: 7, N: 0, W: 3},
	} {
		path := evidence.TilePath(tile)
		again, err := evidence.ParseTilePath(path)
		if err != nil || again != tile {
			t.Errorf("%s: %+v, %v", path, again, err)
		}
	}
	if got := evidence.TilePath(tlog.Tile{H: 8, L: -1, N: 1234067, W: 9}); got != "tile/entries/x001/x234/067.p/9" {
		t.Errorf("path is %s", got)
	}
}
