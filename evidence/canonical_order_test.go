package evidence_test

import (
	"slices"
	"testing"
	"unicode/utf16"

	"holdfast/evidence"
)

// Keys sort by their UTF-16 code units, whatever they share and wherever
// they differ.
func TestCanonicalKeyOrder(t *testing.T) {
	var keys []string
	runes := []rune{'a', 'b', 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xfffd, 0xffff, 0x10000, 0x10fff, 0x1f600, 0x10ffff}
	for _, a := range runes {
		keys = append(keys, string(a))
		for _, b := range runes {
			keys = append(keys, string([]rune{a, b}))
		}
	}
	for _, a := range keys {
		for _, b := range keys {
			if a == b {
				continue
			}
			got, err := evidence.Canonical(map[string]int{a: 1, b: 2})
			if err != nil {
				t.Fatal(err)
			}
			first := a
			if slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b))) > 0 {
				first = b
			}
			if want := `{"` + first; string(got[:len(want)]) != want || got[len(want)] != '"' {
				t.Errorf("%q and %q: %s", a, b, got)
			}
		}
	}
}
