package pdf

import (
	"fmt"

	"codeberg.org/go-fonts/liberation/liberationmonoregular"
	"codeberg.org/go-fonts/liberation/liberationsansbold"
	"codeberg.org/go-fonts/liberation/liberationsansregular"
	"codeberg.org/go-fonts/liberation/liberationserifbold"
	"codeberg.org/go-fonts/liberation/liberationserifregular"
	"golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// The families in the file. Liberation is under the SIL Open Font License,
// which lets a document embed it.
const (
	serif     = "serif"
	serifBold = "serifb"
	sans      = "sans"
	sansBold  = "sansb"
	mono      = "mono"
)

// face measures and kerns the text of one font.
type face struct {
	family string
	data   []byte
	font   *sfnt.Font
	buf    sfnt.Buffer
	units  fixed.Int26_6
	cache  map[rune]glyph
	kerns  map[[2]sfnt.GlyphIndex]float64
}

type glyph struct {
	index   sfnt.GlyphIndex
	advance float64 // in em
}

func faces() (map[string]*face, error) {
	out := map[string]*face{}
	for family, data := range map[string][]byte{
		serif: liberationserifregular.TTF, serifBold: liberationserifbold.TTF,
		sans: liberationsansregular.TTF, sansBold: liberationsansbold.TTF, mono: liberationmonoregular.TTF,
	} {
		f, err := sfnt.Parse(data)
		if err != nil {
			return nil, fmt.Errorf("font %s: %w", family, err)
		}
		out[family] = &face{family: family, data: data, font: f, units: fixed.I(int(f.UnitsPerEm())), cache: map[rune]glyph{}, kerns: map[[2]sfnt.GlyphIndex]float64{}}
	}
	return out, nil
}

func (f *face) glyph(r rune) glyph {
	if g, ok := f.cache[r]; ok {
		return g
	}
	look := r
	if r == '\u00a0' {
		look = ' '
	}
	index, err := f.font.GlyphIndex(&f.buf, look)
	g := glyph{index: index, advance: 0.5}
	if err == nil {
		if a, err := f.font.GlyphAdvance(&f.buf, index, f.units, font.HintingNone); err == nil {
			g.advance = float64(a) / float64(f.units)
		}
	}
	f.cache[r] = g
	return g
}

// kern is how much closer b stands to a, in em; usually negative or zero.
func (f *face) kern(a, b glyph) float64 {
	key := [2]sfnt.GlyphIndex{a.index, b.index}
	if k, ok := f.kerns[key]; ok {
		return k
	}
	k := 0.0
	if v, err := f.font.Kern(&f.buf, a.index, b.index, f.units, font.HintingNone); err == nil {
		k = float64(v) / float64(f.units)
	}
	f.kerns[key] = k
	return k
}

// width is the width of a text in em, kerned.
func (f *face) width(s string) float64 {
	w := 0.0
	for _, r := range f.runs(s) {
		w = r.at + r.width
	}
	return w
}

// run is a stretch of text between two kerned pairs, at its place in em.
type run struct {
	text      string
	at, width float64
}

func (f *face) runs(s string) []run {
	var out []run
	cur := run{}
	var last glyph
	for i, r := range s {
		g := f.glyph(r)
		if i > 0 {
			if k := f.kern(last, g); k != 0 {
				out = append(out, cur)
				cur = run{at: cur.at + cur.width + k}
			}
		}
		cur.text += string(r)
		cur.width += g.advance
		last = g
	}
	return append(out, cur)
}
