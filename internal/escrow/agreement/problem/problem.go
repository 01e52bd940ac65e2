// Package problem is what is wrong with a text somebody wrote: where, what,
// and what to do about it. It imports the standard library only.
package problem

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Severity says whether a problem stops the text from being used.
type Severity string

// An Error stops; a Warning is dangerous but possible; a Note says something
// the reader should know, such as that a key is not acted on yet.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Note    Severity = "note"
)

// Pos is a place in a text. Lines and columns count from 1, columns in
// characters, not bytes. The zero Pos means the text as a whole.
type Pos struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

// IsZero reports whether the position is unknown.
func (p Pos) IsZero() bool { return p.Line == 0 }

// Problem is one finding. Rule is a stable name for its kind, for programs;
// Message says what is wrong, and Hint what to do, for people.
type Problem struct {
	File     string   `json:"file"`
	Pos      Pos      `json:"at"`
	Path     string   `json:"path,omitempty"` // where in the document, such as release.events[2].when
	Severity Severity `json:"severity"`
	Rule     string   `json:"rule"`
	Message  string   `json:"message"`
	Hint     string   `json:"hint,omitempty"`
}

// String renders the problem the way compilers do, so that editors can jump
// to it: file:line:column: severity: what; what to do.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if !p.Pos.IsZero() {
		fmt.Fprintf(&b, ":%d:%d", p.Pos.Line, p.Pos.Column)
	}
	fmt.Fprintf(&b, ": %s: %s", p.Severity, p.Message)
	if p.Hint != "" {
		b.WriteString("; " + p.Hint)
	}
	return b.String()
}

// List is the findings of one reading.
type List []Problem

// Any reports whether the list has a problem of the severity.
func (l List) Any(s Severity) bool {
	return slices.ContainsFunc(l, func(p Problem) bool { return p.Severity == s })
}

// Count returns how many problems have the severity.
func (l List) Count(s Severity) int {
	n := 0
	for _, p := range l {
		if p.Severity == s {
			n++
		}
	}
	return n
}

// Sort puts the problems in the order of the text, those of the text as a
// whole last, and drops repetitions.
func (l List) Sort() List {
	slices.SortStableFunc(l, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File),
			cmp.Compare(last(a.Pos), last(b.Pos)),
			cmp.Compare(a.Pos.Column, b.Pos.Column),
			cmp.Compare(rank(a.Severity), rank(b.Severity)),
			cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(l)
}

// String renders every problem on a line of its own.
func (l List) String() string {
	var b strings.Builder
	for _, p := range l {
		b.WriteString(p.String())
		b.WriteByte('\n')
	}
	return b.String()
}

func last(p Pos) int {
	if p.IsZero() {
		return math.MaxInt
	}
	return p.Line
}

func rank(s Severity) int {
	switch s {
	case Error:
		return 0
	case Warning:
		return 1
	}
	return 2
}

// Nearest returns the candidate that was most likely meant by got, or "" when
// none is near: at most a third of the letters differ, and words that share a
// stem (an s too many, another separator) always count as near.
func Nearest(got string, candidates []string) string {
	best, distance := "", len(got)/3+1
	for _, c := range candidates {
		d := edits(normal(got), normal(c))
		if d < distance || d == distance && best != "" && c < best && d == edits(normal(got), normal(best)) {
			best, distance = c, d
		}
	}
	return best
}

// DidYouMean is the hint for a word that is not one of the candidates:
// the nearest one, or else the list of them all when it is short.
func DidYouMean(got string, candidates []string) string {
	if near := Nearest(got, candidates); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(candidates) == 0 {
		return ""
	}
	list := slices.Clone(candidates)
	if len(list) > 12 {
		list = append(list[:12], "…")
	}
	return "possible: " + strings.Join(list, ", ")
}

func normal(s string) string {
	return strings.ReplaceAll(strings.ToLower(s), "-", "_")
}

// edits is the Damerau-Levenshtein distance (adjacent swaps count once),
// bounded to short words: longer ones are never near.
func edits(a, b string) int {
	const tooLong = 64
	if len(a) > tooLong || len(b) > tooLong {
		return tooLong
	}
	two, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], two[j-2]+1)
			}
		}
		two, prev, cur = prev, cur, two
	}
	return prev[len(b)]
}
