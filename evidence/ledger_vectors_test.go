package evidence_test

import (
	"testing"

	"holdfast/evidence"
)

// The files in testdata/ledger are published for other implementations: a
// ledger of 12 entries of which 3 is erased and 5 withheld, its keys, and one
// document of each format.
func TestLedgerVectors(t *testing.T) {
	l := testErasedLedger(t)
	w, witnessKey := testCosigner(t, "witness.example/w1", 11)
	cosigned, _, err := evidence.Witness{Log: l.policy().Log, Signer: w}.Cosign(evidence.Pin{Origin: testOrigin}, l.grow(0, 12))
	if err != nil {
		t.Fatal(err)
	}
	// The receipt was handed out before entry 3 was erased, and stays good.
	before := newTestLedger(t, 4).entries[3]
	r, err := evidence.NewReceipt(testAct(3).Subject, before, l.prove(3, 12))
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := evidence.Canonical(r)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "ledger.vkey", []byte(l.vkey+"\n"))
	golden(t, "witness.vkey", []byte(witnessKey+"\n"))
	golden(t, "checkpoint.txt", cosigned)
	golden(t, "older-checkpoint.txt", l.signedAt(4))
	golden(t, "pin.txt", []byte(evidence.NewPin(l.checkpointAt(5)).String()))
	golden(t, "growth.txt", []byte(l.grow(5, 12).String()))
	golden(t, "proof.txt", []byte(l.prove(3, 12).String()))
	golden(t, "export.jsonl", l.export(12))
	golden(t, "receipt.json", receipt)
	if l.vkey != ledgerKey {
		t.Errorf("the examples use another key than %s", l.vkey)
	}
}
