package bind

import (
	"fmt"
	"reflect"
	"strings"
)

// Schema returns the JSON Schema (draft 2020-12) of the struct type of v as
// plain maps: what an editor needs to complete and check a text. The schema
// is never stricter than [Bind]; what only a whole text can show, such as a
// name nobody declared, it leaves to the checks.
func Schema(v any) map[string]any {
	s := &schemer{defs: map[string]any{}}
	out := s.object(reflect.TypeOf(v))
	out["$defs"] = s.defs
	return out
}

type schemer struct {
	defs map[string]any
}

// object is the schema of a struct type.
func (s *schemer) object(t reflect.Type) map[string]any {
	properties, required := map[string]any{}, []string{}
	for _, f := range fields(t) {
		p := s.field(f)
		if text := describe(f); text != "" {
			p["description"] = text
		}
		properties[f.key] = p
		if f.required {
			required = append(required, f.key)
		}
	}
	out := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	if _, ok := choice(t); ok {
		out["minProperties"], out["maxProperties"] = 1, 1
	}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

// describe is the description of a key.
func describe(f field) string {
	text := f.doc
	if names := refersTo(f); names != "" {
		text += " Names " + names + "."
	}
	if f.later != "" {
		text += " Read and signed, not acted on yet: it waits for " + f.later + "."
	}
	return strings.TrimSpace(text)
}

// refersTo says in words what a reference may name.
func refersTo(f field) string {
	var out []string
	for _, r := range f.ref {
		if w, ok := strings.CutPrefix(r, "="); ok {
			out = append(out, w)
		} else {
			out = append(out, "a "+strings.ReplaceAll(r, "_", " "))
		}
	}
	if len(out) > 1 {
		return strings.Join(out[:len(out)-1], ", ") + " or " + out[len(out)-1]
	}
	return strings.Join(out, "")
}

func (s *schemer) field(f field) map[string]any {
	t := f.typ
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Slice:
		item := s.single(t.Elem(), f)
		list := map[string]any{"type": "array", "items": item}
		if f.required {
			list["minItems"] = 1
		}
		if t.Elem().Kind() == reflect.String {
			list["uniqueItems"] = true
		}
		if f.list {
			return map[string]any{"anyOf": []any{item, list}}
		}
		return list
	case reflect.Map:
		of := field{typ: t.Elem(), list: true, enum: f.enum, is: f.is, ref: f.ref}
		out := map[string]any{"type": "object", "additionalProperties": s.field(of)}
		if len(f.keys) > 0 {
			out["propertyNames"] = map[string]any{"enum": f.keys}
		}
		return out
	}
	return s.single(t, f)
}

func (s *schemer) single(t reflect.Type, f field) map[string]any {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Struct:
		if _, done := s.defs[t.Name()]; !done {
			s.defs[t.Name()] = nil // stops a type that holds itself
			s.defs[t.Name()] = s.object(t)
		}
		return map[string]any{"$ref": "#/$defs/" + t.Name()}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int:
		return map[string]any{"type": "integer", "minimum": f.min}
	case reflect.String:
		return text(t, f)
	}
	panic(fmt.Sprintf("bind: no schema for %s", t))
}

// text is the schema of a text. An editor reads plain scalars as YAML 1.2
// does, so that expect: true is a truth value to it.
func text(t reflect.Type, f field) map[string]any {
	if len(f.enum) > 0 {
		var words []any
		for _, w := range f.enum {
			words = append(words, w)
			switch w {
			case "true":
				words = append(words, true)
			case "false":
				words = append(words, false)
			}
		}
		return map[string]any{"enum": words}
	}
	if q, ok := zero(t).(Quantity); ok {
		g := q.Grammar()
		if g.Pattern == "" {
			return map[string]any{"type": []string{"string", "boolean", "integer"}, "examples": []string{g.Example}}
		}
		return map[string]any{"type": "string", "pattern": g.Pattern, "examples": []string{g.Example}}
	}
	const name = `[a-z0-9][a-z0-9_-]{0,39}`
	is := f.is
	if is == "" && len(f.ref) > 0 {
		is = "path"
	}
	out := map[string]any{"type": "string", "minLength": 1}
	switch is {
	case "id":
		out["pattern"] = "^" + name + "$"
	case "path":
		out["pattern"] = "^" + name + "(/" + name + ")?$"
	case "digest":
		out["pattern"] = "^[0-9a-f]{64}$"
	case "text", "expression":
		out["maxLength"] = maxText
	default:
		out["maxLength"] = maxLine
	}
	return out
}
