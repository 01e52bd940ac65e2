package agreement_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/problem"
)

var update = flag.Bool("update", false, "write the golden files")

// TestBrokenFiles checks what is said about agreements that each have one
// fault. The first line of a file says where the fault is and of which kind,
// set down when the file was written; the golden file has every word of what
// is said, notes of a passing text left out.
func TestBrokenFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d broken files (%v), want at least 60", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(data), "\n")
			var (
				severity, rule string
				line, column   int
			)
			if _, err := fmt.Sscanf(first, "# want %s %d:%d %s", &severity, &line, &column, &rule); err != nil {
				t.Fatalf("first line %q: %v", first, err)
			}
			a, problems := agreement.Parse(name+".yaml", data)
			if (a == nil) != problems.Any(problem.Error) {
				t.Errorf("an agreement is returned: %t, although there are errors: %t", a != nil, problems.Any(problem.Error))
			}
			var grave []problem.Problem
			for _, p := range problems {
				if p.Severity != problem.Note || severity == string(problem.Note) && p.Rule == rule || p.Rule == "form-first" {
					grave = append(grave, p)
				}
			}
			if n := problems.Count(problem.Error); severity == string(problem.Error) && n != 1 {
				t.Errorf("%d errors, want one:\n%s", n, problems)
			}
			i := slices.IndexFunc(grave, func(p problem.Problem) bool { return string(p.Severity) == severity })
			if i < 0 || grave[i].Pos != (problem.Pos{Line: line, Column: column}) || grave[i].Rule != rule {
				t.Errorf("want %s of kind %s at %d:%d, got:\n%s", severity, rule, line, column, kinds(grave))
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", problem.List(grave).String())
			for _, p := range grave {
				if p.Hint == "" && p.Severity == problem.Error {
					t.Errorf("nothing says what to do: %s", p)
				}
			}
		})
	}
}

func kinds(list []problem.Problem) string {
	var b strings.Builder
	for _, p := range list {
		fmt.Fprintf(&b, "%s (%s)\n", p, p.Rule)
	}
	return b.String()
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := 0; ; i++ {
		if i >= len(g) || i >= len(w) || g[i] != w[i] {
			t.Errorf("%s differs at line %d; run with -update and read the change\n got: %s\nwant: %s",
				file, i+1, strings.Join(g[min(i, len(g)):min(i+3, len(g))], "\n      "), strings.Join(w[min(i, len(w)):min(i+3, len(w))], "\n      "))
			return
		}
	}
}
