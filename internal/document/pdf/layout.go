package pdf

import (
	"strings"

	"holdfast/internal/document"
	"holdfast/internal/escrow/agreement/phrase"
)

// line is something of a height that is not broken over pages.
type line struct {
	h    float64
	draw func(p *page, y float64)
}

// box is lines that belong together.
type box struct {
	lines    []line
	before   float64 // space above, unless it begins a page
	keepNext bool    // stays with the box after it
	whole    bool    // not broken
	head     []line  // repeated at the top of every page the box goes on to
	headOf   int     // boxes with the same number share their head
}

// layout turns blocks into boxes and boxes into pages.
type layout struct {
	fonts map[string]*face
	lang  phrase.Lang
	boxes []box
	heads int
}

// placed is a line at its place on a page.
type placed struct {
	y    float64
	draw func(p *page, y float64)
}

// wrap breaks a text into lines no wider than width points. A word that is
// wider alone is cut where it must be.
func (l *layout) wrap(family string, size, width float64, s string) []string {
	f := l.fonts[family]
	var out []string
	cur := ""
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '\n' || r == '\t' }) {
		try := word
		if cur != "" {
			try = cur + " " + word
		}
		if f.width(try)*size <= width {
			cur = try
			continue
		}
		if cur != "" {
			out = append(out, cur)
		}
		for f.width(word)*size > width {
			n := l.fitting(f, size, width, word)
			out = append(out, word[:n])
			word = word[n:]
		}
		cur = word
	}
	return append(out, cur)
}

// fitting is how many bytes of the word fit in the width; it prefers to end
// after a hyphen, slash or dot.
func (l *layout) fitting(f *face, size, width float64, word string) int {
	best, nice := 0, 0
	for i, r := range word {
		end := i + len(string(r))
		if f.width(word[:end])*size > width {
			break
		}
		best = end
		if strings.ContainsRune("-/.&|=_", r) {
			nice = end
		}
	}
	if nice > best/2 {
		return nice
	}
	return max(best, 1)
}

// para adds a paragraph: a label hanging left of the text, which is indented.
type para struct {
	label, text        string
	labelAt, indent    float64
	family             string
	labelFamily        string
	size, leading      float64
	before             float64
	grey               int
	mark               document.Mark
	keepNext, bookmark bool
	level              int
}

func (l *layout) para(p para) {
	if p.family == "" {
		p.family = serif
	}
	if p.labelFamily == "" {
		p.labelFamily = p.family
	}
	if p.size == 0 {
		p.size, p.leading = bodySize, leading
	}
	b := box{before: p.before, keepNext: p.keepNext}
	grey := p.grey
	if p.mark == document.Deleted {
		grey = 110
	}
	for i, text := range l.wrap(p.family, p.size, measure-p.indent, p.text) {
		b.lines = append(b.lines, line{h: p.leading, draw: func(pg *page, y float64) {
			base := y + p.size*0.95
			if i == 0 {
				if p.label != "" {
					pg.text(p.labelFamily, p.size, left+p.labelAt, base, grey, p.label)
				}
				if p.bookmark {
					pg.f.Bookmark(strings.TrimSpace(p.label+" "+p.text), p.level, y)
				}
			}
			pg.text(p.family, p.size, left+p.indent, base, grey, text)
			if p.mark == document.Deleted {
				pg.rule(left+p.indent, left+p.indent+pg.fonts[p.family].width(text)*p.size, base-p.size*0.28, 0.5, grey)
			}
			if p.mark != document.Same {
				pg.bar(y, p.leading)
			}
		}})
	}
	l.boxes = append(l.boxes, b)
}

// fill is a page's content height.
const fill = pageHeight - top - bottom

// paginate places the boxes. A heading never ends a page, and of a paragraph
// at least two lines stand on either side of a break.
func (l *layout) paginate() [][]placed {
	var pages [][]placed
	var cur []placed
	y := 0.0
	put := func(ln line) {
		cur = append(cur, placed{y: top + y, draw: ln.draw})
		y += ln.h
	}
	flush := func() {
		pages = append(pages, cur)
		cur, y = nil, 0
	}
	head := 0 // the head that stands on this page
	for i := 0; i < len(l.boxes); {
		// A chain of boxes that stay together ends with the start of the
		// first that need not stay with its next.
		last := i
		for last+1 < len(l.boxes) && l.boxes[last].keepNext {
			last++
		}
		need := 0.0
		for j := i; j < last; j++ {
			need += l.boxes[j].before + height(l.boxes[j].lines)
		}
		tail := l.boxes[last]
		need += tail.before + height(tail.first())
		if tail.headOf != 0 && tail.headOf != head {
			need += height(tail.head)
		}
		if y > 0 && y+need > fill && need <= fill {
			flush()
			head = 0
		}
		for ; i <= last; i++ {
			b := l.boxes[i]
			if y > 0 {
				y += b.before
			}
			if b.headOf != 0 && b.headOf != head {
				for _, ln := range b.head {
					put(ln)
				}
				head = b.headOf
			}
			for n, ln := range b.lines {
				rest := len(b.lines) - n
				// The last two lines go to the next page together.
				if y+ln.h > fill || rest == 2 && n >= 2 && !b.whole && y+ln.h+b.lines[n+1].h > fill {
					flush()
					head = 0
					if b.headOf != 0 {
						for _, h := range b.head {
							put(h)
						}
						head = b.headOf
					}
				}
				put(ln)
			}
		}
	}
	if len(cur) > 0 || len(pages) == 0 {
		flush()
	}
	return pages
}

// first is what of the box must fit where it begins.
func (b box) first() []line {
	if b.whole || len(b.lines) <= 3 {
		return b.lines
	}
	return b.lines[:2]
}

func height(lines []line) float64 {
	h := 0.0
	for _, ln := range lines {
		h += ln.h
	}
	return h
}
