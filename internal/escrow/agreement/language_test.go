package agreement_test

import (
	"reflect"
	"strings"
	"testing"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/bind"
	"holdfast/internal/escrow/agreement/yamltext"
)

// TestTags walks every type of the language: every key is plain, explained
// and bound to a type that says what it takes.
func TestTags(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var walk func(typ reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
			typ = typ.Elem()
		}
		if typ.Kind() == reflect.Interface {
			t.Errorf("%s is untyped", typ)
		}
		if typ.Kind() == reflect.Float32 || typ.Kind() == reflect.Float64 {
			t.Errorf("%s is a floating-point number", typ)
		}
		if typ.Kind() != reflect.Struct || seen[typ] {
			return
		}
		seen[typ] = true
		keys := map[string]bool{}
		for i := range typ.NumField() {
			f := typ.Field(i)
			tag, ok := f.Tag.Lookup("key")
			if !ok {
				if f.IsExported() {
					t.Errorf("%s.%s has no key", typ.Name(), f.Name)
				}
				continue
			}
			name, options, _ := strings.Cut(tag, ",")
			if !strings.Contains(options, "inline") {
				doc := f.Tag.Get("doc")
				switch {
				case keys[name]:
					t.Errorf("%s has the key %q twice", typ.Name(), name)
				case name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" || yamltext.Ambiguous(name) != "":
					t.Errorf("%s.%s has the key %q", typ.Name(), f.Name, name)
				case !strings.HasSuffix(doc, ".") || len(doc) < 4:
					t.Errorf("%s.%s is explained as %q", typ.Name(), name, doc)
				}
				keys[name] = true
			}
			words := strings.Fields(f.Tag.Get("enum"))
			for i, w := range words {
				for _, x := range words[:i] {
					if x == w {
						t.Errorf("%s.%s takes %q twice", typ.Name(), name, w)
					}
				}
				if yamltext.Ambiguous(w) != "" {
					t.Errorf("%s.%s takes %q, which would have to be quoted", typ.Name(), name, w)
				}
			}
			walk(f.Type)
		}
	}
	walk(reflect.TypeOf(agreement.Agreement{}))
	if len(seen) < 50 {
		t.Errorf("only %d types", len(seen))
	}
}

// TestExamplesUseEveryKind: the examples show the language: every kind of
// module but one, all three ways of for_each, every kind of evidence but one.
func TestExamplesShowTheLanguage(t *testing.T) {
	all := ""
	for _, file := range exampleFiles() {
		all += string(readExample(t, file))
	}
	for _, word := range []string{
		"repository:", "data:", "dossier:", "licence:", "images:", "cloud_account:", "standby:", "physical:",
		"for_each: beneficiaries", "for_each: licences", "for: zorg", "open: on_demand", "at_least:", "people_each:",
		"warning_only: true", "reversible: true", "passes_to: curator", "host_undertakings:", "hosting:", "signs: false",
		"lasts: 730d", "majority: simple", "votes: 3", "pays: host", "audience: beneficiaries", "in_force_on:", "decide: people",
	} {
		if !strings.Contains(all, word) {
			t.Errorf("no example has %q", word)
		}
	}
}

// TestBindPaths: places are found by path, and by the nearest part of it that
// is in the text.
func TestBindPaths(t *testing.T) {
	n, problems := yamltext.Read("x", []byte("a:\n  - b: c\n"))
	if n == nil {
		t.Fatal(problems)
	}
	type entry struct {
		B string `key:"b" doc:"B."`
	}
	var into struct {
		A []entry `key:"a" doc:"A."`
	}
	b := bind.Bind("x", n, &into)
	for path, want := range map[string][2]int{"": {1, 1}, "a": {2, 3}, "a[0].b": {2, 8}, "a[0].zz": {2, 5}, "a[7].b": {2, 3}, "zz": {1, 1}} {
		if got := b.Pos(path); got.Line != want[0] || got.Column != want[1] {
			t.Errorf("%q is at %v, want %v", path, got, want)
		}
	}
	if got := b.KeyPos("a[0].b"); got.Column != 5 {
		t.Errorf("key at %v", got)
	}
	if into.A[0].B != "c" || len(b.Problems) > 0 {
		t.Errorf("%+v, %s", into, b.Problems)
	}
}
