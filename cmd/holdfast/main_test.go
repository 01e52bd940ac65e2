package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"holdfast": main})
}

// TestScripts runs every CLI behaviour, failures included: one .txtar per
// verb and per kind of bad input under testdata/script. Servers, repositories
// and keys in them are real; see installation_test.go for the common set-up
// and commands_test.go for the commands that scripts have besides the stock
// ones.
func TestScripts(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	ready := newTemplates(filepath.Join(root, "examples", "agreements", "demo.yaml"), t.TempDir())
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Values[installationKey{}] = &installation{}
			env.Values[liarKey{}] = &holder{}
			env.Setenv("EVIDENCE", filepath.Join(root, "evidence")) // published vectors and combine.py
			env.Setenv("REAL_HOME", os.Getenv("HOME"))              // for what builds programs
			env.Setenv("EXAMPLES", filepath.Join(root, "examples", "agreements"))
			env.Vars = append(env.Vars, gitIdentity()...)
			return nil
		},
		Condition: func(condition string) (bool, error) {
			// [root]: no file permission stops this user.
			return condition == "root" && os.Geteuid() == 0, nil
		},
		Cmds:                commands(ready),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}
