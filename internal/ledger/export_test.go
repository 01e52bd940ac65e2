package ledger_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"holdfast/evidence"
	"holdfast/internal/ledger"
)

func TestExportVerifiesOffline(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *engine) {
		e.fill(t, 600, 100)
		e.erase(t, 5)
		var whole bytes.Buffer
		signed, err := e.log.Export(t.Context(), &whole, nil)
		if err != nil {
			t.Fatal(err)
		}
		report, err := verifyExport(whole.Bytes(), signed, e.policy(t))
		if err != nil {
			t.Fatal(err)
		}
		if report.Open != 600 || report.Erased != 1 || report.Withheld != 0 || report.Checkpoint.Size != 601 {
			t.Errorf("report %+v", report)
		}

		// What one party may not read is withheld, and the proof still holds.
		var part bytes.Buffer
		signed, err = e.log.Export(t.Context(), &part, func(entry ledger.Entry) bool {
			a, err := entry.Act()
			return err == nil && a.Arrangement != "zaak-1"
		})
		if err != nil {
			t.Fatal(err)
		}
		report, err = verifyExport(part.Bytes(), signed, e.policy(t))
		if err != nil {
			t.Fatal(err)
		}
		if report.Withheld != 200 || report.Erased != 1 {
			t.Errorf("report %+v, want 200 withheld", report)
		}
		if strings.Contains(part.String(), `zaak-1`) {
			t.Error("the export shows what was withheld")
		}
	})
}

func verifyExport(data, signed []byte, policy evidence.Policy) (*evidence.ExportReport, error) {
	_, entries, err := evidence.ReadExport(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return evidence.VerifyExport(entries, signed, policy)
}

func TestExportSaysWhenTheDiskIsFull(t *testing.T) {
	e := openSQLite(t)
	e.fill(t, 50, 50)
	full := errors.New("no space left")
	if _, err := e.log.Export(t.Context(), &shortWriter{room: 5000, err: full}, nil); !errors.Is(err, full) {
		t.Errorf("error is %v", err)
	}
}

type shortWriter struct {
	room int
	err  error
}

func (w *shortWriter) Write(p []byte) (int, error) {
	if w.room -= len(p); w.room < 0 {
		return 0, w.err
	}
	return len(p), nil
}
