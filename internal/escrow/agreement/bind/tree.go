package bind

import "reflect"

// Tree renders what v points at for hashing: nested maps, lists, texts, whole
// numbers and truth values by their keys, without what is absent. Two texts
// that say the same have the same tree, whatever their order, comments and
// style; a single value where a list is possible is a list of one.
func Tree(v any) any {
	out, _ := tree(reflect.ValueOf(v))
	return out
}

func tree(v reflect.Value) (any, bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil, false
		}
		// What was written is kept even when it is zero: that is why the
		// field is a pointer.
		switch e := v.Elem(); e.Kind() {
		case reflect.Bool:
			return e.Bool(), true
		case reflect.Int:
			return e.Int(), true
		default:
			return tree(e)
		}
	case reflect.Struct:
		out := map[string]any{}
		for _, f := range fields(v.Type()) {
			// A required key is kept even when it is empty: the tree must
			// read as the same text again.
			if sub, ok := tree(v.FieldByIndex(f.index)); ok || f.required && sub != nil {
				out[f.key] = sub
			}
		}
		return out, len(out) > 0
	case reflect.Slice:
		out := make([]any, 0, v.Len())
		for i := range v.Len() {
			sub, ok := tree(v.Index(i))
			if !ok {
				sub = map[string]any{}
			}
			out = append(out, sub)
		}
		return out, len(out) > 0
	case reflect.Map:
		out := make(map[string]any, v.Len())
		for it := v.MapRange(); it.Next(); {
			sub, ok := tree(it.Value())
			if !ok {
				sub = []any{}
			}
			out[it.Key().String()] = sub
		}
		return out, len(out) > 0
	case reflect.Bool:
		return v.Bool(), v.Bool()
	case reflect.Int:
		return v.Int(), v.Int() != 0
	case reflect.String:
		return v.String(), v.String() != ""
	}
	return nil, false
}
