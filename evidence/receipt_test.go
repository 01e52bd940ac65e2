package evidence_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/evidence"
)

func TestReceiptHolds(t *testing.T) {
	l := newTestLedger(t, 9)
	for index := range int64(9) {
		data, err := evidence.Canonical(l.receipt(index, 9))
		if err != nil {
			t.Fatal(err)
		}
		r, err := evidence.ParseReceipt(data)
		if err != nil {
			t.Fatal(err)
		}
		c, err := evidence.VerifyReceipt(r, l.policy(), testAct(index).Subject)
		if err != nil || c != l.checkpointAt(9) {
			t.Errorf("entry %d: %+v, %v", index, c, err)
		}
		a, err := r.Act()
		if err != nil {
			t.Fatal(err)
		}
		want := testAct(index)
		if diff := cmp.Diff(&want, a); diff != "" {
			t.Errorf("entry %d: act differs (-want +got):\n%s", index, diff)
		}
	}
}

// A receipt never verifies for something else than it was given for, whoever
// made it and whatever is changed.
func TestReceiptRefuses(t *testing.T) {
	l := newTestLedger(t, 9)
	refused := testAct(9)
	refused.Kind = "deposit.refused"
	l.append(refused, nil)
	about := testAct(10)
	about.Subject, about.Data = "zaaksysteem", json.RawMessage(`{"manifest":"`+testAct(3).Subject+`"}`)
	l.append(about, nil)

	good := testAct(3).Subject
	if _, err := evidence.VerifyReceipt(l.receipt(3, 9), l.policy(), testAct(4).Subject); !errors.Is(err, evidence.ErrSubject) {
		t.Errorf("for another manifest: %v", err)
	}
	if _, err := evidence.VerifyReceipt(l.receipt(3, 9), l.policy(), ""); !errors.Is(err, evidence.ErrSubject) {
		t.Errorf("for no manifest: %v", err)
	}
	if _, err := evidence.VerifyReceipt(l.receipt(9, 10), l.policy(), refused.Subject); !errors.Is(err, evidence.ErrSubject) {
		t.Errorf("an act of refusal serves as a receipt: %v", err)
	}
	if _, err := evidence.NewReceipt(good, l.entries[10], l.prove(10, 11)); err != nil {
		t.Fatal(err)
	} else if r, _ := evidence.NewReceipt(good, l.entries[10], l.prove(10, 11)); r != nil {
		if _, err := evidence.VerifyReceipt(r, l.policy(), good); !errors.Is(err, evidence.ErrSubject) {
			t.Errorf("an act about something else serves as a receipt: %v", err)
		}
	}
	if _, err := evidence.NewReceipt(good, l.entries[3], l.prove(4, 9)); err == nil {
		t.Error("a receipt was made from a foreign proof")
	}
	foreign, _ := testNoteKey(t, testOrigin, 77)
	p := l.prove(3, 9)
	p.Checkpoint = resign(t, l.checkpointAt(9), foreign)
	if r, err := evidence.NewReceipt(good, l.entries[3], p); err != nil {
		t.Fatal(err)
	} else if _, err := evidence.VerifyReceipt(r, l.policy(), good); !errors.Is(err, evidence.ErrUnknownKey) {
		t.Errorf("signed by another key: %v", err)
	}
	p = l.prove(3, 9)
	p.Hashes[1][5] ^= 1
	if r, err := evidence.NewReceipt(good, l.entries[3], p); err != nil {
		t.Fatal(err)
	} else if _, err := evidence.VerifyReceipt(r, l.policy(), good); !errors.Is(err, evidence.ErrProof) {
		t.Errorf("with a broken proof: %v", err)
	}
	p = l.prove(3, 9)
	p.Checkpoint = l.signedAt(3)
	if r, err := evidence.NewReceipt(good, l.entries[3], p); err != nil {
		t.Fatal(err)
	} else if _, err := evidence.VerifyReceipt(r, l.policy(), good); !errors.Is(err, evidence.ErrProof) {
		t.Errorf("with a checkpoint from before the entry: %v", err)
	}

	data, err := evidence.Canonical(l.receipt(3, 9))
	if err != nil {
		t.Fatal(err)
	}
	for at := range data {
		changed := bytes.Clone(data)
		changed[at] ^= 1
		r, err := evidence.ParseReceipt(changed)
		if err != nil {
			continue
		}
		if _, err := evidence.VerifyReceipt(r, l.policy(), good); err == nil {
			t.Errorf("byte %d: %q became %q unseen", at, data[at], changed[at])
		}
	}
}

func TestReceiptsAreStrict(t *testing.T) {
	l := newTestLedger(t, 3)
	good := *l.receipt(1, 3)
	for name, change := range map[string]func(*evidence.Receipt){
		"format":             func(r *evidence.Receipt) { r.Format = "holdfast-receipt/v2" },
		"subject":            func(r *evidence.Receipt) { r.Subject = "x" },
		"salt upper case":    func(r *evidence.Receipt) { r.Salt = strings.ToUpper(r.Salt) },
		"salt short":         func(r *evidence.Receipt) { r.Salt = r.Salt[2:] },
		"payload of another": func(r *evidence.Receipt) { r.Payload = string(l.entries[2].Payload) },
		"payload spaced":     func(r *evidence.Receipt) { r.Payload = " " + r.Payload },
		"no proof":           func(r *evidence.Receipt) { r.Proof = "" },
		"proof header":       func(r *evidence.Receipt) { r.Proof = "x" + r.Proof },
		"proof tail":         func(r *evidence.Receipt) { r.Proof += "x" },
		"proof extra data":   func(r *evidence.Receipt) { r.Proof = strings.Replace(r.Proof, "\n", "\nextra AAAA\n", 1) },
		"proof index":        func(r *evidence.Receipt) { r.Proof = strings.Replace(r.Proof, "index 1", "index 01", 1) },
		"too many hashes": func(r *evidence.Receipt) {
			h := strings.Repeat(strings.Repeat("A", 43)+"=\n", 65)
			r.Proof = strings.Replace(r.Proof, "index 1\n", "index 1\n"+h, 1)
		},
	} {
		r := good
		change(&r)
		data, err := evidence.Canonical(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := evidence.ParseReceipt(data); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestActsAreStrict(t *testing.T) {
	payload, err := testAct(7).Payload()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"spaced":         strings.Replace(string(payload), ":", ": ", 1),
		"unknown field":  strings.Replace(string(payload), `{"actor"`, `{"aaa":1,"actor"`, 1),
		"twice":          strings.Replace(string(payload), `{"actor"`, `{"actor":"a","actor"`, 1),
		"negative index": strings.Replace(string(payload), `"index":7`, `"index":-7`, 1),
		"index as text":  strings.Replace(string(payload), `"index":7`, `"index":"7"`, 1),
		"no data":        strings.Replace(string(payload), `"data":{"module":"repository/portaal","number":8},`, ``, 1),
		"data null":      strings.Replace(string(payload), `{"module":"repository/portaal","number":8}`, `null`, 1),
		"data fraction":  strings.Replace(string(payload), `"number":8`, `"number":8.5`, 1),
		"local time":     strings.Replace(string(payload), `678901Z`, `678901+01:00`, 1),
		"no micros":      strings.Replace(string(payload), `.678901Z`, `Z`, 1),
		"trailing":       string(payload) + " ",
		"array":          "[" + string(payload) + "]",
	} {
		if text == string(payload) {
			t.Errorf("%s: the test changes nothing", name)
		}
		if _, err := evidence.ParseAct([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
