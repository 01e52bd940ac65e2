package regime

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A place names values of an agreement by their keys: sla[].availability is
// the availability of every service level, exit_plans[kind=stressed] every
// plan whose kind is stressed, access_rights[to=premises] every right whose
// list to has premises.
type step struct {
	key         string
	each        bool
	field, word string // a filter on the items, when each
}

func parsePlace(s string) ([]step, error) {
	var out []step
	for _, part := range strings.Split(s, ".") {
		key, rest, has := strings.Cut(part, "[")
		st := step{key: key, each: has}
		if has {
			inner, ok := strings.CutSuffix(rest, "]")
			if !ok {
				return nil, fmt.Errorf("the place %q has an open bracket", s)
			}
			if inner != "" {
				field, word, ok := strings.Cut(inner, "=")
				if !ok || field == "" || word == "" {
					return nil, fmt.Errorf("the place %q has the filter %q; write key=word", s, inner)
				}
				st.field, st.word = field, word
			}
		}
		if key == "" || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			return nil, fmt.Errorf("the place %q has the key %q", s, key)
		}
		out = append(out, st)
	}
	if len(out) > 10 {
		return nil, fmt.Errorf("the place %q is too deep", s)
	}
	return out, nil
}

// find returns the paths of the values at a place, as package bind writes
// them.
func find(tree any, place string) []string {
	steps, err := parsePlace(place)
	if err != nil {
		return nil // refused when the file was read
	}
	return walk(tree, "", steps)
}

func walk(v any, path string, steps []step) []string {
	if len(steps) == 0 {
		return []string{path}
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	s := steps[0]
	inner, ok := m[s.key]
	if !ok {
		return nil
	}
	if path != "" {
		path += "."
	}
	path += s.key
	if !s.each {
		return walk(inner, path, steps[1:])
	}
	items, ok := inner.([]any)
	if !ok {
		return nil
	}
	var out []string
	for i, item := range items {
		if s.field == "" || matches(item, s.field, s.word) {
			out = append(out, walk(item, path+"["+strconv.Itoa(i)+"]", steps[1:])...)
		}
	}
	return out
}

// matches reports whether the item's field is the word, or a list with it.
func matches(item any, field, word string) bool {
	m, ok := item.(map[string]any)
	if !ok {
		return false
	}
	switch v := m[field].(type) {
	case string:
		return v == word
	case bool:
		return strconv.FormatBool(v) == word
	case []any:
		return slices.ContainsFunc(v, func(x any) bool { return x == word })
	}
	return false
}
