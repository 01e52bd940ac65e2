// Package html renders a document as one self-contained HTML page: semantic,
// readable without styles, by a screen reader and on paper.
//
// It imports document only.
package html

import (
	_ "embed"
	"fmt"
	"html"
	"strings"

	"holdfast/internal/document"
	"holdfast/internal/escrow/agreement/phrase"
)

//go:embed style.css
var style string

// Render returns the page. The same document gives the same bytes.
func Render(d *document.Document) []byte {
	w := &writer{lang: d.Lang}
	w.f("<!DOCTYPE html>\n<html lang=%q>\n<head>\n<meta charset=\"utf-8\">\n", string(d.Lang))
	w.f("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>%s</title>\n", esc(d.Title))
	if d.Digest != "" {
		w.f("<meta name=\"digest\" content=\"sha256:%s\">\n", esc(d.Digest))
	}
	w.f("<style>\n%s</style>\n</head>\n<body>\n<main>\n<article>\n<header>\n<h1>%s</h1>\n", style, esc(d.Title))
	if d.Subtitle != "" {
		w.f("<p class=\"subtitle\">%s</p>\n", esc(d.Subtitle))
	}
	if len(d.Meta) > 0 {
		w.f("<dl class=\"meta\">\n")
		for _, m := range d.Meta {
			w.f("<div><dt>%s</dt><dd>%s</dd></div>\n", esc(m.Label), esc(m.Value))
		}
		w.f("</dl>\n")
	}
	w.f("</header>\n")
	for _, b := range d.Blocks {
		w.block(b)
	}
	w.close(0)
	w.f("</article>\n</main>\n")
	if d.Digest != "" {
		w.f("<footer>%s · SHA-256 <span class=\"digest\">%s</span></footer>\n", esc(d.Running), esc(d.Digest))
	}
	w.f("</body>\n</html>\n")
	return []byte(w.String())
}

func esc(s string) string { return html.EscapeString(s) }

type writer struct {
	strings.Builder
	lang     phrase.Lang
	sections int    // open section elements
	list     string // the open list element, or ""
	anchors  int
}

func (w *writer) f(format string, args ...any) { fmt.Fprintf(w, format, args...) }

// close ends the open list and sections down to a level.
func (w *writer) close(level int) {
	w.endList()
	for w.sections > level {
		w.f("</section>\n")
		w.sections--
	}
}

func (w *writer) endList() {
	if w.list != "" {
		w.f("</%s>\n", w.list)
		w.list = ""
	}
}

func (w *writer) inList(element, attributes string) {
	if w.list != element {
		w.endList()
		w.f("<%s%s>\n", element, attributes)
		w.list = element
	}
}

// mark gives the class of a block and the element around its text, so that
// a change is not told by colour alone.
func mark(m document.Mark) (class, open, shut string) {
	switch m {
	case document.Added:
		return " added", "<ins>", "</ins>"
	case document.Deleted:
		return " deleted", "<del>", "</del>"
	}
	return "", "", ""
}

func (w *writer) block(b document.Block) {
	class, open, shut := mark(b.Mark)
	text := open + esc(b.Text) + shut
	switch b.Kind {
	case document.Heading:
		w.close(b.Level - 1)
		w.anchors++
		w.f("<section aria-labelledby=\"s%d\">\n", w.anchors)
		w.sections++
		number := ""
		if b.Number != "" {
			number = "<span class=\"num\">" + esc(b.Number) + "</span> "
		}
		w.f("<h%[1]d id=\"s%[2]d\" class=\"h%[3]s\">%[4]s%[5]s</h%[1]d>\n", b.Level+1, w.anchors, class, number, text)
	case document.Clause:
		w.endList()
		w.f("<div class=\"clause l%d%s\"><span class=\"num\">%s</span> <p>%s</p></div>\n", b.Level, class, esc(b.Number), text)
	case document.Bullet:
		w.inList("ul", "")
		w.f("<li class=\"b%s\">%s</li>\n", class, text)
	case document.Definition:
		w.inList("dl", " class=\"definitions\"")
		w.f("<div class=\"d%s\"><dt>%s%s%s</dt><dd>%s</dd></div>\n", class, open, esc(b.Term), shut, text)
	case document.Code:
		w.endList()
		w.f("<pre class=\"code%s\"><code>%s</code></pre>\n", class, text)
	case document.Callout:
		w.endList()
		w.f("<aside class=\"callout%s\"><p>%s</p></aside>\n", class, text)
	case document.Grid:
		w.endList()
		w.table(b.Table, class)
	case document.Sign:
		w.endList()
		w.sign(b.Sign, class)
	default:
		w.endList()
		w.f("<p class=\"p%s\">%s</p>\n", class, text)
	}
}

func (w *writer) table(t *document.Table, class string) {
	w.f("<div class=\"scroll\" tabindex=\"0\"><table class=\"t%s\">\n<colgroup>", class)
	total := 0
	for _, n := range t.Widths {
		total += n
	}
	for _, n := range t.Widths {
		w.f("<col style=\"width:%d%%\">", n*100/max(total, 1))
	}
	w.f("</colgroup>\n<thead><tr>")
	for _, h := range t.Head {
		w.f("<th scope=\"col\">%s</th>", esc(h))
	}
	w.f("</tr></thead>\n<tbody>\n")
	for _, r := range t.Rows {
		class, open, shut := mark(r.Mark)
		w.f("<tr class=\"r%s\">", class)
		for i, c := range r.Cells {
			if i == 0 {
				w.f("<th scope=\"row\">%s%s%s</th>", open, esc(c), shut)
				continue
			}
			w.f("<td>%s%s%s</td>", open, esc(c), shut)
		}
		w.f("</tr>\n")
	}
	w.f("</tbody>\n</table></div>\n")
}

func (w *writer) sign(s *document.Signature, class string) {
	w.f("<div class=\"sign%s\">\n<p><strong>%s</strong>", class, esc(s.Party))
	if s.As != "" {
		w.f("<br>%s", esc(s.As))
	}
	w.f("</p>\n<dl>\n")
	for _, f := range s.Fields {
		w.f("<div><dt>%s</dt><dd></dd></div>\n", esc(f))
	}
	w.f("</dl>\n</div>\n")
}
