package evidence

import (
	"fmt"
	"strings"
	"unicode"
)

// ContentCheck says which of the names that the agreement demands in every
// deposit are in this one. It is the word of whoever checked the deposit, see
// [Check], and names nothing that the agreement does not name.
type ContentCheck struct {
	Held    []string `json:"held,omitempty"`
	Missing []string `json:"missing,omitempty"`
}

const (
	maxContent     = 1000
	maxContentName = 1000
)

func (c *ContentCheck) validate() error {
	if c == nil {
		return nil
	}
	if n := len(c.Held) + len(c.Missing); n == 0 || n > maxContent {
		return fmt.Errorf("content: %d names, want 1 to %d", n, maxContent)
	}
	seen := map[string]bool{}
	for _, list := range [][]string{c.Held, c.Missing} {
		for _, name := range list {
			bad := func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }
			if name == "" || len(name) > maxContentName || strings.ContainsFunc(name, bad) {
				return fmt.Errorf("content: %.80q is not a name", name)
			}
			if seen[name] {
				return fmt.Errorf("content: %.80q is named twice", name)
			}
			seen[name] = true
		}
	}
	return nil
}
