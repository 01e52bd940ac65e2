package evidence_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"holdfast/evidence"
)

var update = flag.Bool("update", false, "write the golden files of the ledger anew")

const testOrigin = "ledger.example/holdfast"

// testLedger is a ledger in memory, made with x/mod's stored hashes.
type testLedger struct {
	t       testing.TB
	signer  note.Signer
	vkey    string
	entries []evidence.Entry
	stored  []tlog.Hash
}

func newTestLedger(t testing.TB, acts int) *testLedger {
	t.Helper()
	l := &testLedger{t: t}
	l.signer, l.vkey = testNoteKey(t, testOrigin, 1)
	for i := range acts {
		l.append(testAct(int64(i)), nil)
	}
	return l
}

// testNoteKey returns the same key for the same name and seed, for ever.
func testNoteKey(t testing.TB, name string, seed byte) (note.Signer, string) {
	t.Helper()
	skey, vkey := testNoteKeyText(name, seed)
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return signer, vkey
}

func testNoteKeyText(name string, seed byte) (skey, vkey string) {
	private := ed25519.NewKeyFromSeed(append(make([]byte, 31), seed))
	public := append([]byte{1}, private.Public().(ed25519.PublicKey)...)
	sum := sha256.Sum256(append([]byte(name+"\n"), public...))
	head := fmt.Sprintf("%s+%08x+", name, binary.BigEndian.Uint32(sum[:]))
	return "PRIVATE+KEY+" + head + base64.StdEncoding.EncodeToString(append([]byte{1}, private.Seed()...)),
		head + base64.StdEncoding.EncodeToString(public)
}

func testNow() time.Time { return time.Date(2027, 1, 2, 3, 4, 5, 678_901_000, time.UTC) }

func testCosigner(t testing.TB, name string, seed byte) (note.Signer, string) {
	t.Helper()
	skey, _ := testNoteKeyText(name, seed)
	signer, err := evidence.NewCosigner(skey, testNow)
	if err != nil {
		t.Fatal(err)
	}
	vkey, err := evidence.WitnessKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	return signer, vkey
}

func testAct(i int64) evidence.Act {
	return evidence.Act{
		Index:       i,
		Kind:        evidence.ActDepositAccepted,
		At:          evidence.FormatTime(testNow().Add(time.Duration(i) * time.Minute)),
		Actor:       "leverancier/jan",
		Arrangement: "zaaksysteem",
		Subject:     evidence.Digest(fmt.Appendf(nil, "manifest %d", i)),
		Data:        fmt.Appendf(nil, `{"module":"repository/portaal","number":%d}`, i+1),
		Rows:        []evidence.Row{{Table: "deposit", Key: "zaaksysteem/repository/portaal/1", Digest: evidence.Digest([]byte("row"))}},
	}
}

// append adds an act with a salt drawn from its index. show may close it.
func (l *testLedger) append(a evidence.Act, show func(*evidence.Entry)) {
	l.t.Helper()
	payload, err := a.Payload()
	if err != nil {
		l.t.Fatal(err)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "salt %d", a.Index))
	e := evidence.Entry{Index: a.Index, Payload: payload, Salt: sum[:evidence.SaltSize]}
	e.Commitment = evidence.Commit(e.Salt, e.Payload)
	if show != nil {
		show(&e)
	}
	hashes, err := tlog.StoredHashes(e.Index, e.Commitment[:], l)
	if err != nil {
		l.t.Fatal(err)
	}
	l.entries, l.stored = append(l.entries, e), append(l.stored, hashes...)
}

// ReadHashes makes l a tlog.HashReader.
func (l *testLedger) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = l.stored[x]
	}
	return out, nil
}

func (l *testLedger) checkpointAt(size int64) evidence.Checkpoint {
	l.t.Helper()
	root, err := tlog.TreeHash(size, l)
	if err != nil {
		l.t.Fatal(err)
	}
	return evidence.Checkpoint{Origin: testOrigin, Size: size, Root: root}
}

func (l *testLedger) signedAt(size int64) []byte {
	l.t.Helper()
	signed, err := evidence.SignCheckpoint(l.checkpointAt(size), l.signer)
	if err != nil {
		l.t.Fatal(err)
	}
	return signed
}

func (l *testLedger) prove(index, size int64) evidence.Proof {
	l.t.Helper()
	hashes, err := tlog.ProveRecord(size, index, l)
	if err != nil {
		l.t.Fatal(err)
	}
	return evidence.Proof{Index: index, Hashes: hashes, Checkpoint: l.signedAt(size)}
}

func (l *testLedger) grow(old, size int64) evidence.Growth {
	l.t.Helper()
	g := evidence.Growth{Old: old, Checkpoint: l.signedAt(size)}
	if old > 0 && old < size {
		hashes, err := tlog.ProveTree(size, old, l)
		if err != nil {
			l.t.Fatal(err)
		}
		g.Hashes = hashes
	}
	return g
}

func (l *testLedger) policy(witnessKeys ...string) evidence.Policy {
	l.t.Helper()
	p, err := evidence.NewPolicy(l.vkey, witnessKeys, 0)
	if err != nil {
		l.t.Fatal(err)
	}
	return p
}

func (l *testLedger) receipt(index, size int64) *evidence.Receipt {
	l.t.Helper()
	a, err := l.entries[index].Act()
	if err != nil {
		l.t.Fatal(err)
	}
	r, err := evidence.NewReceipt(a.Subject, l.entries[index], l.prove(index, size))
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

// export renders the first size entries.
func (l *testLedger) export(size int64) []byte {
	l.t.Helper()
	out, err := evidence.ExportHeader{Format: evidence.LedgerFormat, Origin: testOrigin, Size: size}.Line()
	if err != nil {
		l.t.Fatal(err)
	}
	for _, e := range l.entries[:size] {
		line, err := e.Line()
		if err != nil {
			l.t.Fatal(err)
		}
		out = append(out, line...)
	}
	return out
}

// golden compares got with a published file, or writes it with -update.
func golden(t testing.TB, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "ledger", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != string(got) {
		t.Errorf("%s differs from what was published:\n got %q\nwant %q", name, got, want)
	}
}
