package agreement_test

import (
	"os"
	"path/filepath"
	"testing"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/problem"
)

const examples = "../../../examples/agreements"

func exampleFiles() []string {
	return []string{"municipalities.yaml", "licences.yaml", "bank.yaml", "demo.yaml"}
}

func parseExample(t *testing.T, file string) *agreement.Agreement {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(examples, file))
	if err != nil {
		t.Fatal(err)
	}
	a, problems := agreement.Parse(file, data)
	if a == nil || problems.Any(problem.Error) {
		t.Fatalf("%s does not pass:\n%s", file, problems)
	}
	return a
}

func TestExamplesPass(t *testing.T) {
	for _, file := range exampleFiles() {
		t.Run(file, func(t *testing.T) {
			a := parseExample(t, file)
			t.Log(a.Digest())
		})
	}
}
