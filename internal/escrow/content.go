package escrow

import (
	"slices"
	"strings"
	"time"
	"unicode"
)

// FoundDefects is what was found missing in a deposit when it came, of what
// the agreement says must be in it.
type FoundDefects struct {
	Arrangement string
	Module      string
	Deposit     int
	Defects     []string // where and what, as a decision has them
	FoundAt     time.Time
}

// ByIntake is who refuses a deposit that lacks something that must be in it,
// where the agreement leaves the decision to the check at intake.
const ByIntake = "server"

// Findable reports whether what must be in a deposit can be looked for: a name
// such as deploy/compose.yaml, refs/tags/v4 or app-web, in which * stands for
// any text. Anything with a space in it is words, and for people to judge.
func Findable(item string) bool {
	return item != "" && len(item) <= maxFindable && !strings.ContainsFunc(item, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) })
}

// maxFindable is how long a name may be that is looked for.
const maxFindable = 1000

// FindableOf picks what can be looked for, each once and in order.
func FindableOf(items []string) []string {
	var out []string
	for _, item := range items {
		if Findable(item) && !slices.Contains(out, item) {
			out = append(out, item)
		}
	}
	return out
}

// Found reports whether a name is what an item asks for. Unlike the
// names of repositories at a forge, those of files, refs and images are
// compared with their case.
func Found(item, name string) bool { return wild(item, name) }
