package evidence_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"holdfast/evidence"
)

func verifyExport(data, signed []byte, policy evidence.Policy, pins ...evidence.Pin) (*evidence.ExportReport, error) {
	_, entries, err := evidence.ReadExport(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return evidence.VerifyExport(entries, signed, policy, pins...)
}

// testErasedLedger has 12 entries: 3 is erased, which 9 records, and 5 is
// withheld from the reader.
func testErasedLedger(t testing.TB) *testLedger {
	l := newTestLedger(t, 0)
	closed := func(e *evidence.Entry) { e.Payload, e.Salt = nil, nil }
	for i := range int64(12) {
		a := testAct(i)
		if i == 9 {
			a.Kind, a.Subject, a.Data = evidence.ActErased, "ledger/3", []byte(`{"index":3,"reason":"request"}`)
		}
		if i == 3 || i == 5 {
			l.append(a, closed)
		} else {
			l.append(a, nil)
		}
	}
	return l
}

func TestExportHolds(t *testing.T) {
	l := testErasedLedger(t)
	pins := []evidence.Pin{{Origin: testOrigin}, evidence.NewPin(l.checkpointAt(4)), evidence.NewPin(l.checkpointAt(12))}
	report, err := verifyExport(l.export(12), l.signedAt(12), l.policy(), pins...)
	if err != nil {
		t.Fatal(err)
	}
	if report.Open != 10 || report.Erased != 1 || report.Withheld != 1 || report.Checkpoint != l.checkpointAt(12) {
		t.Errorf("report %+v", report)
	}
	empty := newTestLedger(t, 0)
	if _, err := verifyExport(empty.export(0), empty.signedAt(0), empty.policy()); err != nil {
		t.Errorf("an empty ledger: %v", err)
	}
}

func TestExportNamesTheFirstEntryThatDoesNotHold(t *testing.T) {
	l := testErasedLedger(t)
	lines := strings.SplitAfter(string(l.export(12)), "\n")
	lines = lines[:13] // header and 12 entries
	edit := func(change func([]string) []string) []byte {
		return []byte(strings.Join(change(append([]string(nil), lines...)), ""))
	}
	replace := func(index int, from, to string) []byte {
		return edit(func(l []string) []string {
			if !strings.Contains(l[index+1], from) {
				t.Fatalf("line of entry %d has no %q", index, from)
			}
			l[index+1] = strings.Replace(l[index+1], from, to, 1)
			return l
		})
	}
	forked := evidence.Pin{Origin: testOrigin, Size: 6, Hash: l.checkpointAt(7).Root}
	commitment := func(i int) string { return fmt.Sprintf("%x", l.entries[i].Commitment) }
	for name, test := range map[string]struct {
		data  []byte
		pins  []evidence.Pin
		index int64
		what  string
	}{
		"payload":          {replace(6, "jan", "jon"), nil, 6, "do not match the commitment"},
		"salt":             {replace(6, fmt.Sprintf("%x", l.entries[6].Salt), strings.Repeat("0", 32)), nil, 6, "do not match the commitment"},
		"commitment":       {replace(6, commitment(6), commitment(7)), nil, 6, "do not match the commitment"},
		"closed, changed":  {replace(5, commitment(5), commitment(7)), nil, -1, "the first 12 entries are each whole"},
		"index":            {replace(6, `"index":6`, `"index":7`), nil, 6, "in its place stands entry 7"},
		"swapped":          {edit(func(l []string) []string { l[7], l[8] = l[8], l[7]; return l }), nil, 6, "in its place stands entry 7"},
		"swapped, renamed": {edit(func(l []string) []string { l[7], l[8] = renumber(l[8], 7, 6), renumber(l[7], 6, 7); return l }), nil, 6, "belongs to entry 7"},
		"pin differs":      {l.export(12), []evidence.Pin{forked}, -1, "the first 6 entries are each whole"},
	} {
		_, err := verifyExport(test.data, l.signedAt(12), l.policy(), test.pins...)
		fault, ok := errors.AsType[*evidence.Fault](err)
		if !ok || fault.Index != test.index || !strings.Contains(fault.What, test.what) {
			t.Errorf("%s: error is %v, want index %d, %q", name, err, test.index, test.what)
		}
	}
	// The export and the checkpoint must be of one size.
	for _, size := range []int64{11, 13} {
		longer := newTestLedger(t, 13)
		_, err := verifyExport(longer.export(12), longer.signedAt(size), longer.policy())
		if fault, ok := errors.AsType[*evidence.Fault](err); !ok || fault.Index != min(size, 12) {
			t.Errorf("12 entries with a checkpoint of size %d: %v", size, err)
		}
	}
	// An erasure that is recorded and was not done.
	undone := newTestLedger(t, 4)
	a := testAct(4)
	a.Kind, a.Data = evidence.ActErased, []byte(`{"index":2,"reason":"request"}`)
	undone.append(a, nil)
	_, err := verifyExport(undone.export(5), undone.signedAt(5), undone.policy())
	if fault, ok := errors.AsType[*evidence.Fault](err); !ok || fault.Index != 2 {
		t.Errorf("an erasure that was not done: %v", err)
	}
	if _, err := verifyExport(l.export(12), l.signedAt(12), l.policy(), evidence.Pin{Origin: testOrigin, Size: 13}); !errors.Is(err, evidence.ErrRollback) {
		t.Errorf("shorter than the pin: %v", err)
	}
	if _, err := verifyExport(l.export(12), l.signedAt(12), l.policy(), evidence.Pin{Origin: "other.example", Size: 3}); !errors.Is(err, evidence.ErrUnknownKey) {
		t.Errorf("pin of another ledger: %v", err)
	}
}

func renumber(line string, from, to int) string {
	return strings.Replace(line, fmt.Sprintf(`"index":%d,"payload"`, from), fmt.Sprintf(`"index":%d,"payload"`, to), 1)
}

func TestExportsAreStrict(t *testing.T) {
	l := testErasedLedger(t)
	good := string(l.export(12))
	header, rest, _ := strings.Cut(good, "\n")
	first, _, _ := strings.Cut(rest, "\n")
	for name, test := range map[string]struct{ text, line string }{
		"empty":            {"", "line 1"},
		"no last newline":  {strings.TrimSuffix(good, "\n"), "line 13"},
		"carriage returns": {strings.ReplaceAll(good, "\n", "\r\n"), "line 1"},
		"another format":   {strings.Replace(good, "ledger/v1", "ledger/v2", 1), "line 1"},
		"negative size":    {strings.Replace(good, `"size":12`, `"size":-12`, 1), "line 1"},
		"size too great":   {strings.Replace(good, `"size":12`, `"size":13`, 1), "line 14"},
		"size too small":   {strings.Replace(good, `"size":12`, `"size":11`, 1), "line 13"},
		"empty line":       {good + "\n", "line 14"},
		"cut":              {good[:len(header)+len(first)/2], "line 2"},
		"spaced":           {header + "\n " + rest, "line 2"},
		"half closed":      {header + "\n" + strings.Replace(rest, fmt.Sprintf(`"salt":"%x"`, l.entries[0].Salt), `"salt":null`, 1), "line 2"},
		"commitment short": {header + "\n" + strings.Replace(rest, `"commitment":"`, `"commitment":"0`, 1), "line 2"},
		"long line":        {header + "\n" + strings.Repeat("x", 7<<20) + "\n", "line 2"},
	} {
		_, err := verifyExport([]byte(test.text), l.signedAt(12), l.policy())
		if err == nil || !strings.Contains(err.Error(), "export: "+test.line+":") {
			t.Errorf("%s: error is %v, want one in %s", name, err, test.line)
		}
	}
}
