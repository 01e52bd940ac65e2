package agreement_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/bind"
	"holdfast/internal/escrow/agreement/cond"
)

// TestSchemaIsCurrent keeps the published schema and the types together.
func TestSchemaIsCurrent(t *testing.T) {
	got, err := agreement.Schema()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/agreement.schema.json", string(got))
}

// TestManualIsCurrent keeps the generated tables of docs/agreement.md and the
// types together.
func TestManualIsCurrent(t *testing.T) {
	const file = "../../../docs/agreement.md"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := between(t, string(data), "<!-- reference: generated from the types -->\n", "<!-- end of reference -->\n", "\n"+bind.Manual(agreement.Agreement{}))
	text = between(t, text, "<!-- facts: generated -->\n", "<!-- end of facts -->\n", factTable())
	golden(t, file, text)
}

func between(t *testing.T, text, begin, end, content string) string {
	t.Helper()
	before, rest, ok := strings.Cut(text, begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("the manual has nothing between %q and %q", begin, end)
	}
	return before + begin + content + end + after
}

func factTable() string {
	var b strings.Builder
	for _, f := range cond.Functions() {
		call, gives, _ := strings.Cut(f.Signature(), ", which gives ")
		own := ""
		if f.Own {
			own = "yes"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", call, gives, own, f.Doc)
	}
	return b.String()
}

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	data, err := agreement.Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource(agreement.SchemaID, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(agreement.SchemaID)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestExamplesMatchSchema validates the examples as an editor sees them, read
// by an ordinary YAML decoder, and as they are signed, in canonical JSON.
func TestExamplesMatchSchema(t *testing.T) {
	s := compiledSchema(t)
	for _, file := range exampleFiles() {
		var plain any
		if err := yaml.Unmarshal(readExample(t, file), &plain); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(plain); err != nil {
			t.Errorf("%s as YAML: %v", file, err)
		}
		canonical, err := parseExample(t, file).Canonical()
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(canonical))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(doc); err != nil {
			t.Errorf("%s in canonical form: %v", file, err)
		}
	}
}

// TestSchemaIsNeverStricter: what passes the check validates. Broken files
// whose fault the schema can express must not validate.
func TestSchemaFindsFaults(t *testing.T) {
	s := compiledSchema(t)
	visible := map[string]bool{"unknown-key": true, "missing-key": true, "one-of": true, "wrong-kind": true, "unknown-word": true, "empty-list": true, "repeated": true}
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var plain any
		if yaml.Unmarshal(data, &plain) != nil {
			continue
		}
		first, _, _ := strings.Cut(string(data), "\n")
		rule := first[strings.LastIndexByte(first, ' ')+1:]
		err = s.Validate(plain)
		if a, _ := agreement.Parse(file, data); a != nil && err != nil {
			t.Errorf("%s passes the check, but not the schema: %v", file, err)
		}
		if visible[rule] && filepath.Base(file) != "module-without-compartment.yaml" {
			if err == nil {
				t.Errorf("%s (%s) validates", file, rule)
			}
			found++
		}
	}
	if found < 14 {
		t.Errorf("only %d broken files have a fault the schema can express", found)
	}
}
