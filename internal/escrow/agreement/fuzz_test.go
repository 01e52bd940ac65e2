package agreement_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/problem"
)

// FuzzParse: any bytes give an agreement or a located refusal, never a panic,
// in bounded time; and what passes has a canonical form that reads back as
// itself and expands.
func FuzzParse(f *testing.F) {
	for _, file := range exampleFiles() {
		f.Add(readExample(f, file))
	}
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		a, problems := agreement.Parse("fuzz.yaml", data)
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %s for %d bytes", took, len(data))
		}
		if (a == nil) != problems.Any(problem.Error) {
			t.Fatalf("agreement: %t, problems:\n%s", a != nil, problems)
		}
		for _, p := range problems {
			if p.Severity == problem.Error && p.Hint == "" {
				t.Errorf("nothing says what to do: %s", p)
			}
		}
		if a == nil {
			return
		}
		a.Expand()
		canonical, err := a.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		again, problems := agreement.Parse("canonical.json", canonical)
		if again == nil {
			t.Fatalf("the canonical form does not pass:\n%s\n%s", canonical, problems)
		}
		twice, err := again.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(canonical, twice) {
			t.Fatalf("two canonical forms:\n%s\n%s", canonical, twice)
		}
	})
}
