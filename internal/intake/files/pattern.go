package files

import (
	"path"
	"strings"

	"holdfast/internal/escrow"
)

// pattern chooses entries by name. Without a slash it is compared with the
// last element of a path, with one with the whole path below the deposited
// directory; '**' stands for any number of elements, and a slash at the end
// for directories alone.
type pattern struct {
	elements []string
	anywhere bool
	dirOnly  bool
}

func parsePatterns(list []string) ([]pattern, error) {
	var out []pattern
	for _, text := range list {
		p := pattern{}
		rest := text
		if trimmed, ok := strings.CutSuffix(rest, "/"); ok {
			rest, p.dirOnly = trimmed, true
		}
		p.anywhere = !strings.Contains(rest, "/")
		rest = strings.TrimPrefix(rest, "/")
		p.elements = strings.Split(rest, "/")
		for _, e := range p.elements {
			if _, err := path.Match(e, "x"); err != nil || e == "" {
				return nil, escrow.Errorf(escrow.Invalid, "pattern %q cannot be read", text).
					WithHint("use *, ?, [a-z] and, between slashes, ** for any number of directories")
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// match reports whether one of the patterns chooses the entry at p, which is
// the path below the deposited directory.
func match(list []pattern, p string, dir bool) bool {
	for _, one := range list {
		switch {
		case one.dirOnly && !dir:
		case one.anywhere:
			if ok, _ := path.Match(one.elements[0], path.Base(p)); ok || one.elements[0] == "**" {
				return true
			}
		case matchElements(one.elements, strings.Split(p, "/")):
			return true
		}
	}
	return false
}

func matchElements(pattern, elements []string) bool {
	for len(pattern) > 0 {
		if pattern[0] == "**" {
			for i := range len(elements) + 1 {
				if matchElements(pattern[1:], elements[i:]) {
					return true
				}
			}
			return false
		}
		if len(elements) == 0 {
			return false
		}
		if ok, _ := path.Match(pattern[0], elements[0]); !ok {
			return false
		}
		pattern, elements = pattern[1:], elements[1:]
	}
	return len(elements) == 0
}
