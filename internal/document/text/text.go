// Package text renders a document as plain text for a terminal or a mail,
// wrapped at a width.
//
// It imports document only.
package text

import (
	"strings"
	"unicode/utf8"

	"holdfast/internal/document"
)

// Render returns the text with lines of at most width characters, except for
// words that are longer. A width of 0 does not wrap.
func Render(d *document.Document, width int) []byte {
	w := &writer{width: width}
	w.line(d.Title)
	w.line(strings.Repeat("=", w.fit(d.Title)))
	if d.Subtitle != "" {
		w.para("", d.Subtitle, "")
	}
	w.line("")
	label := 0
	for _, m := range d.Meta {
		label = max(label, utf8.RuneCountInString(m.Label))
	}
	for _, m := range d.Meta {
		w.para(pad(m.Label, label+2), m.Value, "")
	}
	w.line("")
	for i, b := range d.Blocks {
		next := i + 1
		w.block(b, next == len(d.Blocks) || d.Blocks[next].Kind != b.Kind)
	}
	return []byte(w.String())
}

type writer struct {
	strings.Builder
	width int
}

func (w *writer) line(s string) {
	w.WriteString(strings.ReplaceAll(strings.TrimRight(s, " "), "\u00a0", " ") + "\n")
}

func (w *writer) fit(s string) int {
	n := utf8.RuneCountInString(s)
	if w.width > 0 {
		n = min(n, w.width)
	}
	return n
}

func pad(s string, n int) string {
	return s + strings.Repeat(" ", max(n-utf8.RuneCountInString(s), 1))
}

// para writes a paragraph that hangs from what its first line begins with.
func (w *writer) para(first, body, margin string) {
	hang := strings.Repeat(" ", utf8.RuneCountInString(first))
	if margin != "" {
		first, hang = margin+first[min(len(margin), len(first)):], margin+hang[min(len(margin), len(hang)):]
	}
	for i, l := range Wrap(body, w.width-utf8.RuneCountInString(hang)) {
		if i == 0 {
			w.line(first + l)
		} else {
			w.line(hang + l)
		}
	}
}

// Wrap breaks a text into lines of at most width characters. Non-breaking
// spaces hold and are written as spaces.
func Wrap(s string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '\n' || r == '\t' }) {
		switch {
		case line == "":
			line = word
		case width > 0 && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	lines = append(lines, line)
	for i := range lines {
		lines[i] = strings.ReplaceAll(lines[i], "\u00a0", " ")
	}
	return lines
}

func marks(m document.Mark) string {
	switch m {
	case document.Added:
		return "| "
	case document.Deleted:
		return "- "
	}
	return ""
}

func (w *writer) block(b document.Block, last bool) {
	margin := marks(b.Mark)
	switch b.Kind {
	case document.Heading:
		w.line("")
		head := b.Text
		if b.Number != "" {
			head = b.Number + "  " + b.Text
		}
		w.line(margin + head)
		if b.Level == 1 {
			w.line(strings.Repeat("-", w.fit(head)))
		}
		w.line("")
	case document.Clause:
		indent := [...]string{"", "  ", "        ", "            "}[min(b.Level, 3)]
		width := [...]int{0, 6, 4, 6}[min(b.Level, 3)]
		w.para(indent+pad(b.Number, width), b.Text, margin)
		if b.Level == 1 || last {
			w.line("")
		}
	case document.Bullet:
		w.para("  - ", b.Text, margin)
		if last {
			w.line("")
		}
	case document.Definition:
		w.para("  ", b.Term+": "+b.Text, margin)
		if last {
			w.line("")
		}
	case document.Code:
		for _, l := range strings.Split(b.Text, "\n") {
			w.line(margin + "    " + l)
		}
		w.line("")
	case document.Callout:
		w.para("  ! ", b.Text, margin)
		w.line("")
	case document.Grid:
		w.table(b.Table)
	case document.Sign:
		w.line(margin + "  " + b.Sign.Party)
		if b.Sign.As != "" {
			w.line(margin + "  " + b.Sign.As)
		}
		for _, f := range b.Sign.Fields {
			w.line("    " + pad(f+":", 22) + "____________________")
		}
		w.line("")
	default:
		w.para("  ", b.Text, margin)
		w.line("")
	}
}

// table writes each row as a small list: columns do not survive a narrow
// terminal.
func (w *writer) table(t *document.Table) {
	for _, r := range t.Rows {
		margin := marks(r.Mark)
		for i, c := range r.Cells {
			switch {
			case i == 0:
				w.para("  * ", t.Head[0]+": "+c, margin)
			case c != "":
				w.para("      ", t.Head[i]+": "+c, margin)
			}
		}
	}
	w.line("")
}
