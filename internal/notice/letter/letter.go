// Package letter sets a notice as a letter on A4, as a PDF that a person
// prints and posts. It imports the outbox and the document renderer and does
// no I/O: the same notice gives the same bytes, so that its digest proves what
// was posted.
package letter

import (
	"strings"
	"time"

	"holdfast/evidence"
	"holdfast/internal/document"
	"holdfast/internal/document/pdf"
	"holdfast/internal/escrow/agreement/phrase"
	"holdfast/internal/notice"
)

// PDF renders a letter.
func PDF(s notice.Sheet) ([]byte, error) {
	to, date, reference := "To", "Date", "Reference"
	lang := phrase.Lang("en")
	if s.Lang == "nl" {
		to, date, reference, lang = "Aan", "Datum", "Kenmerk", "nl"
	}
	d := &document.Document{Lang: lang, Title: s.Subject, Running: s.Reference,
		Meta: []document.Pair{{Label: to, Value: strings.Join(s.To, ", ")}, {Label: date, Value: s.Date}, {Label: reference, Value: s.Reference}}}
	for _, p := range s.Body {
		if p != "" {
			d.Blocks = append(d.Blocks, document.Block{Kind: document.Para, Text: p})
		}
	}
	d.Digest = evidence.Digest([]byte(strings.Join(d.Words(), "\n")))
	return pdf.Render(d, time.Time{})
}
