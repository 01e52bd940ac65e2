// Package pdf renders a document as a PDF file on A4 pages: embedded fonts,
// kerning, hanging numbers, tables whose head is repeated, signature blocks
// that stay together, bars beside what changed, bookmarks, and on every page
// its number, the number of pages and the digest of what it was made from.
//
// The layout is this package's; fpdf writes the file. It imports document
// only and does no I/O; the same document gives the same bytes.
package pdf

import (
	"bytes"
	"fmt"
	"time"

	"codeberg.org/go-pdf/fpdf"

	"holdfast/internal/document"
)

// The page, in points.
const (
	pageWidth  = 595.28
	pageHeight = 841.89
	left       = 82.0
	right      = 76.0
	top        = 72.0
	bottom     = 76.0
	measure    = pageWidth - left - right
	bodySize   = 10.5
	leading    = 14.2
)

// Render returns the file. made is the date the file says it was made on: it
// is the only thing in it that does not come from the document, and a zero
// time leaves it out.
func Render(d *document.Document, made time.Time) ([]byte, error) {
	fonts, err := faces()
	if err != nil {
		return nil, err
	}
	l := &layout{fonts: fonts, lang: d.Lang}
	l.document(d)
	pages := l.paginate()
	f := fpdf.NewCustom(&fpdf.InitType{UnitStr: "pt", SizeStr: "A4"})
	f.SetAutoPageBreak(false, 0)
	f.SetMargins(0, 0, 0)
	f.SetCatalogSort(true)
	stamp := made.UTC()
	if made.IsZero() {
		stamp = time.Unix(0, 0).UTC() // fpdf would take the time of the day
	}
	f.SetCreationDate(stamp)
	f.SetModificationDate(stamp)
	f.SetTitle(d.Title, true)
	f.SetSubject(d.Subtitle, true)
	f.SetKeywords("sha256:"+d.Digest, true)
	f.SetCreator("Holdfast", true)
	f.SetProducer("Holdfast", true)
	f.SetLang(string(d.Lang))
	f.SetDisplayMode("fullwidth", "continuous")
	for _, family := range []string{serif, serifBold, sans, sansBold, mono} {
		f.AddUTF8FontFromBytes(family, "", fonts[family].data)
	}
	p := &page{f: f, fonts: fonts}
	for i, lines := range pages {
		f.AddPage()
		for _, placed := range lines {
			placed.draw(p, placed.y)
		}
		p.foot(d, i+1, len(pages))
	}
	var out bytes.Buffer
	if err := f.Output(&out); err != nil {
		return nil, fmt.Errorf("pdf: %w", err)
	}
	file := out.Bytes()
	if made.IsZero() {
		undate(file)
	}
	return file, nil
}

// undate takes the dates out of the file. Spaces in their place keep every
// offset in it right.
func undate(file []byte) {
	for _, key := range []string{"/CreationDate (D:", "/ModDate (D:"} {
		if at := bytes.LastIndex(file, []byte(key)); at >= 0 {
			if n := bytes.IndexByte(file[at:], ')'); n > 0 && n < 60 {
				copy(file[at:], bytes.Repeat([]byte(" "), n+1))
			}
		}
	}
}

// page draws on the current page.
type page struct {
	f     *fpdf.Fpdf
	fonts map[string]*face
}

// text draws a text with its baseline at y.
func (p *page) text(family string, size, x, y float64, grey int, s string) {
	p.f.SetFont(family, "", size)
	p.f.SetTextColor(grey, grey, grey)
	for _, r := range p.fonts[family].runs(s) {
		p.f.Text(x+r.at*size, y, r.text)
	}
}

func (p *page) rule(x1, x2, y, width float64, grey int) {
	p.f.SetDrawColor(grey, grey, grey)
	p.f.SetLineWidth(width)
	p.f.Line(x1, y, x2, y)
}

// bar is the change mark in the margin.
func (p *page) bar(y, h float64) {
	p.f.SetFillColor(164, 68, 31)
	p.f.Rect(left-16, y, 2, h, "F")
}

func (p *page) foot(d *document.Document, n, of int) {
	y := pageHeight - 52
	p.rule(left, pageWidth-right, y, 0.4, 150)
	p.text(sans, 7.5, left, y+13, 90, d.Running)
	number := d.Lang.F("pagina %d van %d", "page %d of %d", n, of)
	w := p.fonts[sans].width(number) * 7.5
	p.text(sans, 7.5, pageWidth-right-w, y+13, 90, number)
	if d.Digest != "" {
		p.text(sans, 6.5, left, y+24, 120, "SHA-256 "+d.Digest)
	}
}
