package evidence_test

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"os"

	"holdfast/evidence"
)

// ledgerKey is the verifier key that the ledger's operator publishes; the
// files are those of testdata/ledger.
const ledgerKey = "ledger.example/holdfast+f3babb65+AUy1q/atefv1q7zK/MJp2FzSZR7UuIW1hp8kGu3wpbop"

func readExample(name string) []byte {
	data, err := os.ReadFile("testdata/ledger/" + name)
	if err != nil {
		log.Fatal(err)
	}
	return data
}

// A depositor checks, offline, that the deposit whose manifest it kept is in
// the ledger.
func ExampleVerifyReceipt() {
	policy, err := evidence.NewPolicy(ledgerKey, nil, 0)
	if err != nil {
		log.Fatal(err)
	}
	receipt, err := evidence.ParseReceipt(readExample("receipt.json"))
	if err != nil {
		log.Fatal(err)
	}
	manifest := evidence.Digest([]byte("manifest 3")) // of the manifest's bytes
	checkpoint, err := evidence.VerifyReceipt(receipt, policy, manifest)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("recorded in", checkpoint.Origin, "before entry", checkpoint.Size)

	_, err = evidence.VerifyReceipt(receipt, policy, evidence.Digest([]byte("manifest 4")))
	fmt.Println("for another deposit:", errors.Is(err, evidence.ErrSubject))
	// Output:
	// recorded in ledger.example/holdfast before entry 12
	// for another deposit: true
}

// A client remembers the last state it saw and refuses a ledger that went
// back.
func ExamplePin_Grow() {
	policy, err := evidence.NewPolicy(ledgerKey, nil, 0)
	if err != nil {
		log.Fatal(err)
	}
	pin, err := evidence.ParsePin(string(readExample("pin.txt")))
	if err != nil {
		log.Fatal(err)
	}
	growth, err := evidence.ParseGrowth(string(readExample("growth.txt")))
	if err != nil {
		log.Fatal(err)
	}
	next, err := pin.Grow(policy, growth)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("from", pin.Size, "to", next.Size)

	older := evidence.Growth{Old: 0, Checkpoint: readExample("older-checkpoint.txt")}
	_, err = next.Grow(policy, older)
	fmt.Println(err)
	// Output:
	// from 5 to 12
	// the ledger went back: ledger.example/holdfast shows size 4 after size 12 was seen
}

// An auditor checks a whole exported ledger against a checkpoint that two
// parties hold, and one witness has cosigned.
func ExampleVerifyExport() {
	witness := string(bytes.TrimSpace(readExample("witness.vkey")))
	policy, err := evidence.NewPolicy(ledgerKey, []string{witness}, 1)
	if err != nil {
		log.Fatal(err)
	}
	_, entries, err := evidence.ReadExport(bytes.NewReader(readExample("export.jsonl")))
	if err != nil {
		log.Fatal(err)
	}
	report, err := evidence.VerifyExport(entries, readExample("checkpoint.txt"), policy)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Open, "open,", report.Erased, "erased,", report.Withheld, "withheld")

	changed := bytes.Replace(readExample("export.jsonl"), []byte("leverancier/jan"), []byte("leverancier/jon"), 1)
	_, entries, err = evidence.ReadExport(bytes.NewReader(changed))
	if err != nil {
		log.Fatal(err)
	}
	_, err = evidence.VerifyExport(entries, readExample("checkpoint.txt"), policy)
	fmt.Println(err)
	// Output:
	// 10 open, 1 erased, 1 withheld
	// ledger entry 0: the payload and salt do not match the commitment
}

// A witness cosigns what follows from what it cosigned before.
func ExampleWitness_Cosign() {
	policy, err := evidence.NewPolicy(ledgerKey, nil, 0)
	if err != nil {
		log.Fatal(err)
	}
	skey, _ := testNoteKeyText("witness.example/w1", 11)
	signer, err := evidence.NewCosigner(skey, testNow)
	if err != nil {
		log.Fatal(err)
	}
	witness := evidence.Witness{Log: policy.Log, Signer: signer}
	pin, err := evidence.ParsePin(string(readExample("pin.txt")))
	if err != nil {
		log.Fatal(err)
	}
	growth, err := evidence.ParseGrowth(string(readExample("growth.txt")))
	if err != nil {
		log.Fatal(err)
	}
	cosigned, next, err := witness.Cosign(pin, growth)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("store pin", next.Size, "first; then hand out", bytes.Count(cosigned, []byte("—")), "signatures")
	// Output:
	// store pin 12 first; then hand out 2 signatures
}
