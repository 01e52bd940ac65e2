package yamltext

import (
	"strings"
	"unicode/utf8"

	"holdfast/internal/escrow/agreement/problem"
)

// span says that the characters of a text from offset on stand at pos and
// after it on the same line.
type span struct {
	offset int // in characters
	pos    problem.Pos
}

// Locate returns the place in the file of a character of the node's text,
// given by its line and column within the text, both from 1. Where that
// cannot be told, as in quotes with escapes, it returns the node's place.
func (n *Node) Locate(line, column int) problem.Pos {
	lines := strings.Split(n.Text, "\n")
	if line < 1 || column < 1 || line > len(lines) || len(n.spans) == 0 {
		return n.Pos
	}
	offset := column - 1
	for _, l := range lines[:line-1] {
		offset += utf8.RuneCountInString(l) + 1
	}
	at := n.spans[0]
	for _, s := range n.spans {
		if s.offset <= offset {
			at = s
		}
	}
	return problem.Pos{Line: at.pos.Line, Column: at.pos.Column + offset - at.offset}
}

// locate finds the characters of a plain or quoted scalar in its source. The
// first line of the source begins at the node's place.
func (n *Node) locate(origin string) {
	origin = strings.TrimSpace(origin)
	column := n.Pos.Column
	if !n.Plain && len(origin) >= 2 {
		origin = origin[1 : len(origin)-1]
		column++
	}
	lines := strings.Split(origin, "\n")
	n.fit(lines, n.Pos.Line, func(i int) int {
		if i == 0 {
			return column
		}
		return 1 + indent(lines[i])
	}, " ")
}

// locateBlock finds the characters of a literal or folded block, whose lines
// begin below the node's place.
func (n *Node) locateBlock(origin string, folded bool) {
	lines := strings.Split(strings.TrimRight(origin, "\n "), "\n")
	if len(lines) == 0 {
		return
	}
	margin, join := indent(lines[0]), "\n"
	if folded {
		join = " "
	}
	n.fit(lines, n.Pos.Line+1, func(int) int { return 1 + margin }, join)
}

// fit records the spans if the lines, without their margins and joined, are
// the node's text.
func (n *Node) fit(lines []string, first int, column func(i int) int, join string) {
	var (
		spans  []span
		text   strings.Builder
		offset int
	)
	for i, l := range lines {
		if i > 0 {
			text.WriteString(join)
			offset++
		}
		c := column(i)
		if i > 0 || join == "\n" || c == 1+indent(l) {
			l = strings.TrimRight(l[min(indent(l), max(c-1, 0)):], "\r ")
		}
		spans = append(spans, span{offset, problem.Pos{Line: first + i, Column: c}})
		text.WriteString(l)
		offset += utf8.RuneCountInString(l)
	}
	if text.String() == strings.TrimRight(n.Text, "\n") {
		n.spans = spans
	}
}

func indent(l string) int { return len(l) - len(strings.TrimLeft(l, " ")) }
