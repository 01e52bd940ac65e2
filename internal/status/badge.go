package status

import (
	"fmt"
	"html"
	"unicode/utf8"

	"holdfast/internal/escrow/agreement/phrase"
)

// Badge is a small picture with the name of the application and its state, for
// other people's pages.
func (p *Page) Badge(l phrase.Lang) []byte {
	left, right := p.Name, stateWord(l, p.Overall())
	// Without a font at hand a letter is reckoned at seven units; textLength
	// makes the text fit whatever font is used.
	lw, rw := 7*utf8.RuneCountInString(left), 7*utf8.RuneCountInString(right)
	w := lw + rw + 40
	colour := map[State]string{Up: "#1a7f4b", Maintenance: "#1f5f99", Unknown: "#6b6760", Down: "#b3261e"}[p.Overall()]
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="22" role="img" aria-label="%s: %s" xml:lang="%s">
<title>%[2]s: %[3]s</title>
<rect width="%[1]d" height="22" rx="4" fill="#2b2a28"/>
<path d="M%[5]d 0h%[6]da4 4 0 0 1 4 4v14a4 4 0 0 1-4 4h-%[6]dz" fill="%[7]s"/>
<g fill="#fff" font-family="'Source Sans 3','Liberation Sans',Arial,sans-serif" font-size="12">
<text x="10" y="15" textLength="%[8]d">%[2]s</text>
<text x="%[9]d" y="15" textLength="%[10]d">%[3]s</text>
</g>
</svg>
`, w, html.EscapeString(left), html.EscapeString(right), string(l), lw+20, rw+16, colour, lw, lw+30, rw)
}
