package status

import (
	"fmt"
	"html/template"
	"strings"

	"holdfast/internal/escrow/agreement/phrase"
)

// Sizes of the strip in its own units; the page stretches it.
const (
	barPitch  = 8
	barWidth  = 6
	barHeight = 36
)

// dayClass tells days apart. The strip shows each by form as well as by colour:
// filled from below where something failed, broken for maintenance, hollow where
// nothing was measured.
func dayClass(d Day) string {
	switch {
	case d.Down > 0:
		return "down"
	case d.Unknown >= 12*60*60*1e9:
		return "unknown"
	case d.Planned > 0:
		return "planned"
	}
	return "up"
}

func bar(b *strings.Builder, x, y, height int) {
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d"/>`, x, y, barWidth, height)
}

// strip draws the history. Days without a measurement at its beginning are
// left blank: the strip always spans [Days].
func strip(l phrase.Lang, days []Day) template.HTML {
	if len(days) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="strip" viewBox="0 0 %d %d" preserveAspectRatio="none" role="img" aria-label="%s">`,
		Days*barPitch-(barPitch-barWidth), barHeight, template.HTMLEscapeString(history(l, days)))
	for i, d := range days {
		x := (Days - len(days) + i) * barPitch
		class := dayClass(d)
		fmt.Fprintf(&b, `<g class="%s"><title>%s</title>`, class, template.HTMLEscapeString(dayWords(l, d)))
		if class == "planned" {
			bar(&b, x, 0, barHeight/3)
			bar(&b, x, barHeight-barHeight/3, barHeight/3)
		} else {
			bar(&b, x, 0, barHeight)
		}
		if class == "down" {
			// At least a third is seen, and all of it from a quarter of a day on.
			h := min(barHeight, max(barHeight/3, int(int64(barHeight)*int64(d.Down)/(6*60*60*1e9))))
			fmt.Fprintf(&b, `<rect class="lost" x="%d" y="%d" width="%d" height="%d"/>`, x, barHeight-h, barWidth, h)
		}
		b.WriteString("</g>")
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) //nolint:gosec // all text in it is escaped above
}
