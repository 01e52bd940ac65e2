package main

import (
	"os"

	"golang.org/x/term"

	"holdfast/internal/document"
	"holdfast/internal/document/text"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/phrase"
)

// agreementExplainCmd prints the plain-language summary.
type agreementExplainCmd struct {
	File string `arg:"" help:"The agreement; - reads standard input."`
	As   string `help:"The party it is for, by id or by a role that one party has. What it may not read is not said." placeholder:"PARTY"`
	Lang string `help:"Language: nl or en. Default: the agreement's." enum:",nl,en" default:""`
}

func (c agreementExplainCmd) Run(s *streams) error {
	a, err := loadAgreement(s, c.File)
	if err != nil {
		return err
	}
	d, err := document.Summary(a, c.As, languageOf(a, c.Lang))
	if err != nil {
		return err
	}
	if s.json {
		return writeIndented(s.out, documentView(d))
	}
	_, err = s.out.Write(text.Render(d, textWidth(s)))
	return err
}

// languageOf is the language asked for, or the agreement's own.
func languageOf(a *agreement.Agreement, asked string) phrase.Lang {
	if asked != "" {
		return phrase.Lang(asked)
	}
	return phrase.Lang(a.Language)
}

// textWidth is a comfortable measure: the terminal's width up to 88 columns,
// and 80 where there is no terminal.
func textWidth(s *streams) int {
	if f, ok := s.out.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w >= 40 {
			return min(w, 88)
		}
	}
	return 80
}

// documentView is a document for machines.
func documentView(d *document.Document) map[string]any {
	type block struct {
		Section string   `json:"section,omitempty"`
		Text    []string `json:"text"`
	}
	var out []block
	for _, b := range d.Blocks {
		if b.Kind == document.Heading {
			out = append(out, block{Section: b.Text})
			continue
		}
		if len(out) == 0 {
			out = append(out, block{})
		}
		out[len(out)-1].Text = append(out[len(out)-1].Text, b.Words()...)
	}
	return map[string]any{"title": d.Title, "subtitle": d.Subtitle, "language": d.Lang, "digest": d.Digest, "sections": out}
}
