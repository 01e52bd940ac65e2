package bind

import (
	"reflect"
	"strconv"
	"strings"

	"holdfast/internal/escrow/agreement/quantity"
)

// Quantity is a text type with a grammar of its own.
type Quantity interface {
	Valid() error
	Grammar() quantity.Grammar
}

// Worded is a text type with a closed set of words.
type Worded interface {
	Words() []string
}

// field is what the tags of a struct field say.
type field struct {
	index    []int
	typ      reflect.Type
	key      string
	required bool
	list     bool
	doc      string
	enum     []string
	is       string
	id       string
	ref      []string
	min      int
	keys     []string
	later    string
}

// fields lists the keys of a struct type, those of inline structs included.
func fields(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		sf := t.Field(i)
		tag, ok := sf.Tag.Lookup("key")
		if !ok {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		f := field{
			index: []int{i}, typ: sf.Type, key: name,
			doc: sf.Tag.Get("doc"), enum: strings.Fields(sf.Tag.Get("enum")),
			is: sf.Tag.Get("is"), id: sf.Tag.Get("id"), ref: strings.Fields(sf.Tag.Get("ref")),
			keys: strings.Fields(sf.Tag.Get("keys")), later: sf.Tag.Get("later"),
		}
		f.min, _ = strconv.Atoi(sf.Tag.Get("min"))
		inline := false
		for _, o := range strings.Split(options, ",") {
			switch o {
			case "required":
				f.required = true
			case "list":
				f.list = true
			case "inline":
				inline = true
			}
		}
		if inline {
			for _, sub := range fields(sf.Type) {
				sub.index = append([]int{i}, sub.index...)
				out = append(out, sub)
			}
			continue
		}
		if len(f.enum) == 0 {
			if w, ok := zero(base(sf.Type)).(Worded); ok {
				f.enum = w.Words()
			}
		}
		out = append(out, f)
	}
	return out
}

// choice reports whether the struct takes exactly one of its keys, and what
// the choice is about.
func choice(t reflect.Type) (string, bool) {
	for i := range t.NumField() {
		if what, ok := t.Field(i).Tag.Lookup("choice"); ok {
			return what, true
		}
	}
	return "", false
}

// base strips pointers, slices and maps: what a single value of the field is.
func base(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return t
}

func zero(t reflect.Type) any { return reflect.New(t).Elem().Interface() }

func keysOf(fs []field) []string {
	out := make([]string, len(fs))
	for i, f := range fs {
		out[i] = f.key
	}
	return out
}
