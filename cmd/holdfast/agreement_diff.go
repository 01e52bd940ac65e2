package main

import (
	"fmt"
	"io"
	"strings"

	"holdfast/internal/document/compare"
	"holdfast/internal/document/text"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/phrase"
)

// agreementDiffCmd compares two versions. Like diff, it ends with 0 when they
// say the same and with 1 when they do not.
type agreementDiffCmd struct {
	Old  string `arg:"" help:"The former version; - reads standard input."`
	New  string `arg:"" help:"The new version."`
	Lang string `help:"Language: nl or en. Default: the agreement's." enum:",nl,en" default:""`
	Text bool   `help:"Also show the clauses that read differently."`
}

func (c agreementDiffCmd) Run(s *streams) error {
	former, err := loadAgreement(s, c.Old)
	if err != nil {
		return err
	}
	now, err := loadAgreement(s, c.New)
	if err != nil {
		return err
	}
	l := languageOf(now, c.Lang)
	r, err := compare.Compare(former, now, l)
	if err != nil {
		return err
	}
	if s.json {
		err = writeIndented(s.out, r)
	} else {
		printComparison(s.out, r, now, l, textWidth(s), c.Text)
	}
	if err != nil || r.Unchanged {
		return err
	}
	return errFindings
}

func printComparison(w io.Writer, r *compare.Report, now *agreement.Agreement, l phrase.Lang, width int, wording bool) {
	out := func(first, body string) {
		hang := strings.Repeat(" ", len([]rune(first)))
		for i, line := range text.Wrap(body, width-len([]rune(first))) {
			if i > 0 {
				first = hang
			}
			fmt.Fprintln(w, strings.TrimRight(first+line, " "))
		}
	}
	head := func(nl, en string) { fmt.Fprintf(w, "\n%s\n\n", l.Pick(nl, en)) }
	fmt.Fprintln(w, l.F("%s: versie %d en versie %d", "%s: version %d and version %d", r.Arrangement, r.From, r.To))
	switch {
	case r.Unchanged:
		fmt.Fprintln(w, l.Pick("Er is niets gewijzigd.", "Nothing has changed."))
		return
	case r.TestsOnly:
		fmt.Fprintln(w, l.Pick("Alleen het versienummer of de proefgevallen zijn gewijzigd. Niemand hoeft opnieuw te tekenen.", "Only the version number or the test cases have changed. Nobody needs to sign again."))
		return
	}
	if len(r.Changes) > 0 {
		head("Wat er verandert", "What changes")
		for _, ch := range r.Changes {
			mark := "  - "
			if ch.Grave {
				mark = "  ! "
			}
			out(mark, ch.What)
			if ch.Means != "" {
				out("    ", l.Pick("Dat betekent: ", "This means: ")+ch.Means)
			}
		}
	}
	if wording || len(r.Changes) == 0 {
		for _, rw := range r.Wording {
			head("Hoe de tekst luidt: "+strings.Join(rw.Parts, ", "), "How the text reads: "+strings.Join(rw.Parts, ", "))
			for _, cl := range rw.Clauses {
				out("  ", cl.Number)
				if cl.Was != "" {
					out("    - ", cl.Was)
				}
				if cl.Now != "" {
					out("    + ", cl.Now)
				}
			}
		}
	}
	printSigning(out, head, r, now, l)
}

func printSigning(out func(first, body string), head func(nl, en string), r *compare.Report, now *agreement.Agreement, l phrase.Lang) {
	head("Wie opnieuw tekent", "Who signs again")
	var same []string
	for _, p := range r.Parts {
		names := make([]string, len(p.Sign))
		for i, id := range p.Sign {
			names[i] = id
			if x := now.Party(id); x != nil {
				names[i] = x.Name
			}
		}
		who := l.And(names)
		switch p.Why {
		case compare.Same:
			same = append(same, p.ID)
		case compare.New:
			out("  "+p.ID+": ", l.F("%s (een nieuw deel)", "%s (a new part)", who))
		case compare.Changed:
			out("  "+p.ID+": ", l.F("%s (het deel zelf is gewijzigd)", "%s (the part itself has changed)", who))
		case compare.RestsOn:
			out("  "+p.ID+": ", l.F("%s (het steunt op %s, dat is gewijzigd)", "%s (it rests on %s, which has changed)", who, l.And(p.On)))
		case compare.Ended:
			out("  "+p.ID+": ", l.Pick("eindigt; niemand tekent", "ends; nobody signs"))
		}
	}
	if len(same) > 0 {
		head("Ongewijzigd, dus niet opnieuw te tekenen", "Unchanged, so not to be signed again")
		out("  ", strings.Join(same, ", "))
	}
}
