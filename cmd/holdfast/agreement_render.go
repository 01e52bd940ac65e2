package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"holdfast/internal/document"
	"holdfast/internal/document/html"
	"holdfast/internal/document/pdf"
	"holdfast/internal/document/text"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/part"
)

// agreementRenderCmd writes one document of an agreement.
type agreementRenderCmd struct {
	File    string `arg:"" help:"The agreement; - reads standard input."`
	Part    string `help:"The legal text of this part, such as frame or accession/acme." placeholder:"PART" xor:"what"`
	Summary string `help:"The plain-language summary for this party or role." placeholder:"PARTY" xor:"what"`
	SLA     string `name:"sla" help:"The service level agreement of this beneficiary." placeholder:"BENEFICIARY" xor:"what"`
	Lang    string `help:"Language: nl or en. Default: the agreement's." enum:",nl,en" default:""`
	Format  string `help:"html, pdf or text. Default: by the name of the output, else text." enum:",html,pdf,text" default:""`
	Against string `help:"A former version: what changed is marked in the margin." placeholder:"OLD"`
	Date    string `help:"Date a PDF says it was made on, as 2027-01-31. Default: none, so that the same agreement gives the same bytes." placeholder:"DATE"`
	Out     string `short:"o" help:"File to write. Default: standard output." placeholder:"OUT"`
}

func (c agreementRenderCmd) Run(s *streams) error {
	a, err := loadAgreement(s, c.File)
	if err != nil {
		return err
	}
	made, err := c.made()
	if err != nil {
		return err
	}
	d, err := c.document(a, c.language(a))
	if err != nil {
		return err
	}
	if c.Against != "" {
		old, err := loadAgreement(s, c.Against)
		if err != nil {
			return err
		}
		former, err := c.former(a, old)
		if err != nil {
			return err
		}
		d = document.Against(d, former)
	}
	var data []byte
	switch c.format() {
	case "html":
		data = html.Render(d)
	case "pdf":
		if data, err = pdf.Render(d, made); err != nil {
			return err
		}
	default:
		data = text.Render(d, textWidth(s))
	}
	if c.Out == "" {
		_, err := s.out.Write(data)
		return err
	}
	if err := os.WriteFile(c.Out, data, 0o644); err != nil {
		return escrow.Wrap(err, escrow.Unavailable, "cannot write %s", c.Out).WithHint("check that the directory exists and may be written")
	}
	if s.json {
		return writeIndented(s.out, map[string]any{"file": c.Out, "title": d.Title, "subtitle": d.Subtitle, "digest": d.Digest})
	}
	fmt.Fprintf(s.err, "%s: %s, %s\n", c.Out, d.Title, d.Subtitle)
	return nil
}

// document builds the one that was asked for.
func (c agreementRenderCmd) document(a *agreement.Agreement, lang string) (*document.Document, error) {
	l := languageOf(a, lang)
	switch {
	case c.Part != "":
		return document.Part(a, c.Part, l)
	case c.Summary != "":
		return document.Summary(a, c.Summary, l)
	case c.SLA != "":
		return document.SLA(a, c.SLA, l)
	}
	return nil, escrow.Errorf(escrow.Invalid, "nothing was chosen to render").
		WithHint("add --part PART, --summary PARTY or --sla BENEFICIARY; the parts are %s", strings.Join(part.IDs(a), ", "))
}

// former builds the same document of the former version. Who reads the part
// now but did not read it then gets no former text to see.
func (c agreementRenderCmd) former(now, old *agreement.Agreement) (*document.Document, error) {
	if c.Part != "" {
		then, err := part.Of(old, c.Part)
		if err != nil {
			return nil, err
		}
		today, err := part.Of(now, c.Part)
		if err != nil {
			return nil, err
		}
		if r := today.NewReader(then); r != "" {
			return nil, escrow.Errorf(escrow.Forbidden, "%s reads the part %s now and did not before", r, c.Part).
				WithHint("a document with change marks would show it the former text; render it without --against")
		}
	}
	return c.document(old, c.language(now))
}

// language is the one asked for, or the agreement's; both versions are
// written in it.
func (c agreementRenderCmd) language(a *agreement.Agreement) string {
	return string(languageOf(a, c.Lang))
}

func (c agreementRenderCmd) made() (time.Time, error) {
	if c.Date == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, c.Date)
	if err != nil {
		return t, escrow.Errorf(escrow.Invalid, "%q is not a date", c.Date).WithHint("write it as 2027-01-31")
	}
	return t, nil
}

func (c agreementRenderCmd) format() string {
	if c.Format != "" {
		return c.Format
	}
	switch strings.ToLower(filepath.Ext(c.Out)) {
	case ".html", ".htm":
		return "html"
	case ".pdf":
		return "pdf"
	}
	return "text"
}
