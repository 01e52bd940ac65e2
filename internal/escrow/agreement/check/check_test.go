package check_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"holdfast/internal/escrow/agreement/check"
	"holdfast/internal/escrow/agreement/problem"
)

// today is the day the tests are judged at.
func today() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

// TestExamplesPass: the examples say everything the checks ask for: no error
// and no warning.
func TestExamplesPass(t *testing.T) {
	files, err := filepath.Glob("../../../../examples/agreements/*.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d examples (%v)", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range []string{"en", "nl"} {
			a, problems := check.Check(filepath.Base(file), data, check.Options{At: today(), Language: language(l)})
			if a == nil {
				t.Errorf("%s cannot be used", file)
			}
			for _, p := range problems {
				if p.Severity != problem.Note {
					t.Errorf("%s (%s)", p, p.Rule)
				}
			}
		}
	}
}
