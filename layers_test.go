// Package holdfast_test holds the checks over the whole tree that belong to no
// package: the direction of dependencies, the size of files, state that must
// not exist.
package holdfast_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

type goPackage struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

// rule says what the packages under a path may import from this module, and,
// where outside is set, which modules they may import at all.
type rule struct {
	module  []string // prefixes under holdfast/; a package may always import its own subtree
	outside []string // prefixes of third-party import paths; nil: no limit
	pure    bool     // no file, network, process or clock
}

// layers is the architecture. A package without a rule fails the test, so
// that a new one has to be placed.
func layers() map[string]rule {
	none := []string{}
	return map[string]rule{
		"evidence":                  {module: none, outside: []string{"golang.org/x/mod/sumdb", "golang.org/x/crypto", "github.com/hiddeco/sshsig"}, pure: true},
		"client":                    {module: []string{"evidence"}, outside: []string{"golang.org/x/mod/sumdb"}},
		"internal/escrow":           {module: []string{"evidence"}, outside: none, pure: true},
		"internal/escrow/agreement": {module: []string{"evidence", "internal/escrow"}, pure: true},
		"internal/sla":              {module: []string{"evidence", "internal/escrow"}, outside: []string{"github.com/DataDog/sketches-go"}, pure: true},
		"internal/seal":             {module: []string{"evidence", "internal/escrow"}, pure: true},
		"internal/status":           {module: []string{"internal/escrow"}, pure: true},
		"internal/document":         {module: []string{"internal/escrow"}, pure: true},
		"internal/config":           {module: []string{"internal/escrow"}},
		"internal/trace":            {module: none, outside: none},
		"internal/blob":             {module: []string{"evidence", "internal/escrow"}},
		"internal/ledger":           {module: []string{"evidence", "internal/escrow"}},
		"internal/store":            {module: []string{"evidence", "internal/escrow", "internal/ledger"}},
		"internal/backup":           {module: []string{"evidence", "internal/escrow"}},
		"internal/job":              {module: []string{"internal/escrow", "internal/trace"}},
		"internal/arrangement":      {module: []string{"evidence", "internal/escrow"}},
		"internal/keyring":          {module: []string{"evidence", "internal/escrow", "internal/seal"}},
		"internal/scrub":            {module: []string{"evidence", "internal/escrow"}},
		"internal/vault":            {module: []string{"evidence", "internal/escrow", "internal/blob", "internal/seal"}},
		"internal/notice":           {module: []string{"evidence", "internal/escrow"}},
		"internal/notice/letter":    {module: []string{"evidence", "internal/escrow", "internal/document", "internal/notice"}, pure: true},
		"internal/notice/mail":      {module: []string{"internal/escrow", "internal/notice"}},
		"internal/notice/hook":      {module: []string{"internal/escrow", "internal/notice"}},
		"internal/duty":             {module: []string{"evidence", "internal/escrow"}},
		"internal/retention":        {module: []string{"evidence", "internal/escrow"}},
		"internal/intake/egress":    {module: []string{"internal/escrow"}},
		"internal/intake/webhook":   {module: []string{"internal/escrow"}},
		"internal/intake/images":    {module: []string{"evidence", "internal/escrow"}},
		"internal/intake/restic":    {module: []string{"evidence", "internal/escrow", "internal/blob"}},
		"internal/intake/files":     {module: []string{"evidence", "internal/escrow"}},
		"internal/intake/forge":     {module: []string{"evidence", "internal/escrow"}, outside: none},
		"internal/intake/git":       {module: []string{"evidence", "internal/escrow"}},
		"internal/release":          {module: []string{"evidence", "internal/escrow", "internal/seal"}},
		"internal/deposit":          {module: []string{"evidence", "internal/escrow", "internal/blob", "internal/seal", "internal/vault", "internal/intake/git", "internal/intake/files", "internal/intake/images"}},
		"internal/export":           {module: []string{"evidence", "client", "internal/escrow", "internal/seal", "internal/intake/git/restore", "internal/intake/files", "internal/intake/images"}},
		"internal/probe":            {module: []string{"internal/escrow", "internal/sla"}},
		"internal/watch":            {module: []string{"evidence", "internal/escrow", "internal/sla", "internal/probe"}},
		"internal/bulletin":         {module: []string{"internal/escrow", "internal/sla", "internal/status"}},
		"internal/auth":             {module: []string{"internal/escrow"}},
		"internal/web":              {module: []string{"evidence", "client", "internal/escrow", "internal/trace"}},
		"internal/server":           {module: []string{"evidence", "client", "internal"}},
		"internal/demo":             {module: []string{"examples/agreements", "internal/escrow", "internal/server", "internal/config"}},
		"examples/agreements":       {module: none, outside: none, pure: true},
		"cmd/holdfast":              {module: []string{"evidence", "client", "internal"}},
		"bench":                     {module: []string{"evidence", "client", "internal"}},
	}
}

func ruleFor(rel string) (string, rule, bool) {
	table := layers()
	for at := rel; ; {
		if r, ok := table[at]; ok {
			return at, r, true
		}
		i := strings.LastIndexByte(at, '/')
		if i < 0 {
			return "", rule{}, false
		}
		at = at[:i]
	}
}

func within(path string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") })
}

func TestLayers(t *testing.T) {
	impure := []string{"os", "net", "database/sql", "syscall", "log"}
	for _, p := range packages(t) {
		rel, ok := strings.CutPrefix(p.ImportPath, "holdfast/")
		if !ok {
			continue // the root has tests only
		}
		at, r, ok := ruleFor(rel)
		if !ok {
			t.Errorf("%s has no place in the layers: add a rule", rel)
			continue
		}
		for _, imp := range p.Imports {
			first, _, _ := strings.Cut(imp, "/")
			switch own, isOwn := strings.CutPrefix(imp, "holdfast/"); {
			case isOwn:
				if !within(own, append(r.module, at)) {
					t.Errorf("%s imports %s; packages under %s may import only %v", rel, own, at, r.module)
				}
				if own == "internal/store" && at != "internal/server" && at != "internal/store" && at != "cmd/holdfast" && at != "bench" {
					t.Errorf("%s imports the store; only the server may", rel)
				}
			case strings.Contains(first, "."):
				if r.outside != nil && !within(imp, r.outside) {
					t.Errorf("%s imports %s; packages under %s may import only %v from outside", rel, imp, at, r.outside)
				}
			case r.pure && within(imp, impure):
				t.Errorf("%s imports %s, but %s does no I/O", rel, imp, at)
			}
		}
	}
}

// TestNoMutableGlobals refuses package-level variables other than sentinel
// errors, embedded files and interface assertions, and every init function.
func TestNoMutableGlobals(t *testing.T) {
	fset := token.NewFileSet()
	for _, p := range packages(t) {
		for _, name := range p.GoFiles {
			path := filepath.Join(p.Dir, name)
			file, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, decl := range file.Decls {
				switch d := decl.(type) {
				case *ast.FuncDecl:
					if d.Recv == nil && d.Name.Name == "init" {
						t.Errorf("%s: init function", fset.Position(d.Pos()))
					}
				case *ast.GenDecl:
					if d.Tok != token.VAR {
						continue
					}
					for _, spec := range d.Specs {
						if v := spec.(*ast.ValueSpec); !harmless(v, d) {
							t.Errorf("%s: package-level variable %s", fset.Position(v.Pos()), v.Names[0].Name)
						}
					}
				}
			}
		}
	}
}

func harmless(v *ast.ValueSpec, d *ast.GenDecl) bool {
	if v.Names[0].Name == "_" || strings.HasPrefix(v.Names[0].Name, "Err") || strings.HasPrefix(v.Names[0].Name, "err") {
		return true
	}
	for _, doc := range []*ast.CommentGroup{d.Doc, v.Doc} {
		if doc == nil {
			continue
		}
		for _, c := range doc.List {
			if strings.HasPrefix(c.Text, "//go:embed") {
				return true
			}
		}
	}
	return false
}

// TestFileSize keeps every file readable in one sitting.
func TestFileSize(t *testing.T) {
	const limit = 600
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		data, err := os.ReadFile(path)
		if lines := strings.Count(string(data), "\n"); lines > limit {
			t.Errorf("%s has %d lines; split it or give the reason here", path, lines)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
