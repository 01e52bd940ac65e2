package bind

import (
	"fmt"
	"reflect"
	"strings"
)

// Manual returns the reference of the struct type of v as Markdown: one table
// for the document and one for every kind of entry in it, in the order in
// which they first appear.
func Manual(v any) string {
	m := &manual{}
	m.add(reflect.TypeOf(v))
	var b strings.Builder
	for i := 0; i < len(m.types); i++ {
		m.table(&b, m.types[i], i == 0)
	}
	return b.String()
}

type manual struct {
	types []reflect.Type
}

func (m *manual) add(t reflect.Type) {
	for _, known := range m.types {
		if known == t {
			return
		}
	}
	m.types = append(m.types, t)
}

func (m *manual) table(b *strings.Builder, t reflect.Type, root bool) {
	if root {
		b.WriteString("### The document\n\n")
	} else {
		fmt.Fprintf(b, "### %s\n\n", title(t))
	}
	if what, ok := choice(t); ok {
		fmt.Fprintf(b, "Exactly one of these keys: %s.\n\n", what)
	}
	b.WriteString("| key | value | meaning |\n|---|---|---|\n")
	for _, f := range fields(t) {
		key := "`" + f.key + "`"
		if f.required {
			key += " \\*"
		}
		doc := f.doc
		if f.later != "" {
			doc += " *Not acted on yet: it waits for " + f.later + ".*"
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", key, cell(m.kind(f)), cell(doc))
	}
	b.WriteByte('\n')
}

func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }

// title splits the name of a type into words.
func title(t reflect.Type) string {
	var b strings.Builder
	name := t.Name()
	for i, r := range name {
		upper := r >= 'A' && r <= 'Z'
		before := i > 0 && name[i-1] >= 'a' && name[i-1] <= 'z'
		if upper && before {
			b.WriteByte(' ')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// kind says what a key takes.
func (m *manual) kind(f field) string {
	t, list := f.typ, ""
	for {
		switch t.Kind() {
		case reflect.Pointer:
			t = t.Elem()
			continue
		case reflect.Slice:
			list = "list of "
			if f.list {
				list = "one or a list of "
			}
			t = t.Elem()
			continue
		case reflect.Map:
			list = "keys with "
			if len(f.keys) > 0 {
				list = "keys " + code(f.keys) + " with "
			}
			t = t.Elem()
			continue
		}
		break
	}
	return list + m.one(t, f)
}

func (m *manual) one(t reflect.Type, f field) string {
	switch t.Kind() {
	case reflect.Struct:
		m.add(t)
		anchor := strings.ReplaceAll(strings.ToLower(title(t)), " ", "-")
		return fmt.Sprintf("[%s](#%s)", strings.ToLower(title(t)), anchor)
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "number"
	}
	switch {
	case len(f.enum) > 0:
		return code(f.enum)
	case len(f.ref) > 0:
		return refersTo(f)
	}
	if q, ok := zero(t).(Quantity); ok {
		return fmt.Sprintf("%s, e.g. `%s`", strings.ToLower(title(t)), q.Grammar().Example)
	}
	switch f.is {
	case "":
		return "text"
	case "text":
		return "text, several lines"
	}
	return f.is
}

func code(words []string) string { return "`" + strings.Join(words, "` `") + "`" }
