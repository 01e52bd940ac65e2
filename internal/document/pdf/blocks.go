package pdf

import (
	"strings"

	"holdfast/internal/document"
)

// document lays out the head and the blocks.
func (l *layout) document(d *document.Document) {
	l.para(para{text: d.Title, family: sansBold, size: 20, leading: 25, keepNext: true, bookmark: true})
	if d.Subtitle != "" {
		l.para(para{text: d.Subtitle, family: serif, size: 13, leading: 18, before: 2, grey: 70, keepNext: true})
	}
	l.meta(d.Meta)
	for _, b := range d.Blocks {
		l.block(b)
	}
}

// meta lays out the labelled lines below the title, between two rules.
func (l *layout) meta(pairs []document.Pair) {
	if len(pairs) == 0 {
		return
	}
	gap := func(h, width float64, grey int) box {
		return box{before: 4, keepNext: true, lines: []line{{h: h, draw: func(p *page, y float64) { p.rule(left, pageWidth-right, y+h/2, width, grey) }}}}
	}
	l.boxes = append(l.boxes, gap(10, 1.2, 30))
	for _, m := range pairs {
		var b box
		size := 9.5
		if len(m.Value) == 64 {
			size = 8 // a digest stands on one line
		}
		for i, text := range l.wrap(serif, size, measure-120, m.Value) {
			b.lines = append(b.lines, line{h: 13, draw: func(p *page, y float64) {
				if i == 0 {
					p.text(sans, 8.5, left, y+9, 90, m.Label)
				}
				p.text(serif, size, left+120, y+9, 0, text)
			}})
		}
		b.keepNext = true
		l.boxes = append(l.boxes, b)
	}
	end := gap(10, 0.4, 150)
	end.keepNext = false
	l.boxes = append(l.boxes, end)
}

func (l *layout) block(b document.Block) {
	switch b.Kind {
	case document.Heading:
		p := para{label: b.Number, text: b.Text, family: sansBold, size: 11.5, leading: 15, before: 20, indent: 34, keepNext: true, bookmark: true, mark: b.Mark, level: 0}
		if b.Number == "" {
			p.indent = 0
		}
		if b.Level > 1 {
			p.size, p.leading, p.before, p.level = 10, 13.5, 13, 1
		}
		l.para(p)
	case document.Clause:
		at := [...]float64{0, 0, 34, 56}[min(b.Level, 3)]
		indent := [...]float64{0, 34, 56, 80}[min(b.Level, 3)]
		before := [...]float64{0, 6, 2.5, 2}[min(b.Level, 3)]
		l.para(para{label: b.Number, text: b.Text, labelAt: at, indent: indent, before: before, mark: b.Mark, keepNext: strings.HasSuffix(b.Text, ":")})
	case document.Bullet:
		l.para(para{label: "–", text: b.Text, labelAt: 4, indent: 18, before: 3, mark: b.Mark})
	case document.Definition:
		l.definition(b)
	case document.Grid:
		l.table(b.Table)
	case document.Sign:
		l.sign(b.Sign)
	case document.Code:
		for i, text := range strings.Split(b.Text, "\n") {
			before := 0.0
			if i == 0 {
				before = 3
			}
			l.para(para{text: text, family: mono, size: 8, leading: 11, indent: 34, before: before, mark: b.Mark})
		}
	case document.Callout:
		l.callout(b)
	default:
		l.para(para{text: b.Text, before: 6, mark: b.Mark, keepNext: strings.HasSuffix(b.Text, ":")})
	}
}

func (l *layout) definition(b document.Block) {
	const at, in = 142.0, 34.0
	terms := l.wrap(serifBold, bodySize, at-in-8, b.Term)
	texts := l.wrap(serif, bodySize, measure-at, b.Text)
	out := box{before: 4, whole: true}
	for i := range max(len(terms), len(texts)) {
		out.lines = append(out.lines, line{h: leading, draw: func(p *page, y float64) {
			base := y + bodySize*0.95
			if i < len(terms) {
				p.text(serifBold, bodySize, left+in, base, 0, terms[i])
			}
			if i < len(texts) {
				p.text(serif, bodySize, left+at, base, 0, texts[i])
			}
			if b.Mark != document.Same {
				p.bar(y, leading)
			}
		}})
	}
	// Read column by column, as it is written elsewhere: a term of several
	// lines comes before its meaning.
	if len(terms) > 1 {
		out.lines = []line{merged(out.lines, func(p *page, y float64) {
			for i, t := range terms {
				p.text(serifBold, bodySize, left+in, y+float64(i)*leading+bodySize*0.95, 0, t)
			}
			for i, t := range texts {
				p.text(serif, bodySize, left+at, y+float64(i)*leading+bodySize*0.95, 0, t)
			}
			if b.Mark != document.Same {
				p.bar(y, float64(max(len(terms), len(texts)))*leading)
			}
		})}
	}
	l.boxes = append(l.boxes, out)
}

func merged(lines []line, draw func(p *page, y float64)) line {
	return line{h: height(lines), draw: draw}
}

func (l *layout) callout(b document.Block) {
	texts := l.wrap(serif, bodySize, measure-34, b.Text)
	h := float64(len(texts))*leading + 16
	l.boxes = append(l.boxes, box{before: 8, whole: true, lines: []line{{h: h, draw: func(p *page, y float64) {
		p.f.SetFillColor(246, 243, 236)
		p.f.Rect(left, y, measure, h, "F")
		p.f.SetFillColor(30, 30, 30)
		p.f.Rect(left, y, 3, h, "F")
		for i, t := range texts {
			p.text(serif, bodySize, left+18, y+8+float64(i)*leading+bodySize*0.95, 0, t)
		}
		if b.Mark != document.Same {
			p.bar(y, h)
		}
	}}}})
}

const (
	cellSize    = 9.2
	cellLeading = 12.0
	cellGap     = 9.0
)

// table lays out rows that are not broken, under a head that every page
// repeats. Cells are drawn one after the other, so that the text of the file
// reads row by row.
func (l *layout) table(t *document.Table) {
	l.heads++
	total := 0
	for _, w := range t.Widths {
		total += w
	}
	x, widths := make([]float64, len(t.Head)), make([]float64, len(t.Head))
	at := left
	for i := range t.Head {
		widths[i] = measure * float64(t.Widths[i]) / float64(max(total, 1))
		x[i] = at
		at += widths[i]
	}
	row := func(cells []string, family string, size float64, under float64, grey int, mark document.Mark) line {
		var wrapped [][]string
		h := 0.0
		for i, c := range cells {
			lines := l.wrap(family, size, widths[i]-cellGap, c)
			wrapped = append(wrapped, lines)
			h = max(h, float64(len(lines))*cellLeading)
		}
		h += 7
		return line{h: h, draw: func(p *page, y float64) {
			ink := 0
			if mark == document.Deleted {
				ink = 110
			}
			for i, lines := range wrapped {
				for j, text := range lines {
					base := y + 3 + float64(j)*cellLeading + size*0.95
					p.text(family, size, x[i], base, ink, text)
					if mark == document.Deleted && text != "" {
						p.rule(x[i], x[i]+p.fonts[family].width(text)*size, base-size*0.28, 0.5, ink)
					}
				}
			}
			p.rule(left, pageWidth-right, y+h-0.5, under, grey)
			if mark != document.Same {
				p.bar(y, h)
			}
		}}
	}
	head := []line{row(t.Head, sansBold, 8.2, 0.9, 30, document.Same)}
	for i, r := range t.Rows {
		b := box{lines: []line{row(r.Cells, serif, cellSize, 0.3, 170, r.Mark)}, whole: true, head: head, headOf: l.heads}
		if i == 0 {
			b.before = 8
		}
		l.boxes = append(l.boxes, b)
	}
	l.boxes = append(l.boxes, box{lines: []line{{h: 6, draw: func(*page, float64) {}}}})
}

// sign lays out the block in which a party signs, which is never broken.
func (l *layout) sign(s *document.Signature) {
	const rowHeight = 34.0
	rows := (len(s.Fields) + 1) / 2
	names := l.wrap(serifBold, bodySize, measure, s.Party)
	h := float64(len(names)+1)*leading + float64(rows)*rowHeight + 14
	l.boxes = append(l.boxes, box{before: 16, whole: true, lines: []line{{h: h, draw: func(p *page, y float64) {
		p.rule(left, pageWidth-right, y, 0.3, 170)
		at := y + 6
		for _, n := range names {
			p.text(serifBold, bodySize, left, at+bodySize*0.95, 0, n)
			at += leading
		}
		p.text(serif, bodySize, left, at+bodySize*0.95, 70, s.As)
		at += leading
		for i, f := range s.Fields {
			x := left + float64(i%2)*(measure/2+6)
			base := at + float64(i/2+1)*rowHeight
			p.rule(x, x+measure/2-12, base-9, 0.5, 60)
			p.text(sans, 7.5, x, base, 90, f)
		}
	}}}})
}
