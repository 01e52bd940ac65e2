package main

import (
	"fmt"
	"io"
	"slices"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/check"
	"holdfast/internal/escrow/agreement/problem"
)

type agreementCheckCmd struct {
	Files     []string `arg:"" name:"file" help:"Agreements to check; - reads standard input."`
	Quiet     bool     `help:"Leave the notes out." short:"q"`
	Lang      string   `help:"Language of the findings: nl or en." enum:"nl,en" default:"en"`
	Explain   bool     `help:"Say of every kind of finding why it matters."`
	At        string   `help:"The day for which what expires is judged (YYYY-MM-DD). Default today." placeholder:"DAY"`
	Previous  string   `help:"The version before: check that the file follows on it." placeholder:"FILE"`
	Framework []string `help:"A host's framework, to compare undertakings with. May be repeated." sep:"none" placeholder:"FILE"`
}

// checkReport is the machine-readable result of agreement check.
type checkReport struct {
	File     string             `json:"file"`
	ID       string             `json:"id,omitempty"`
	Version  int                `json:"version,omitempty"`
	Digest   string             `json:"digest,omitempty"`
	OK       bool               `json:"ok"`
	Problems agreement.Problems `json:"problems"`
	Why      map[string]string  `json:"why,omitempty"` // of each rule, with --explain
}

func (c agreementCheckCmd) Run(s *streams) error {
	o, err := c.options(s)
	if err != nil {
		return err
	}
	var (
		failed  = false
		reports = []checkReport{}
		texts   []check.Text
	)
	for _, file := range c.Files {
		data, err := readText(s, file)
		if err != nil {
			return err
		}
		a, problems := check.Check(file, data, o)
		if a != nil {
			texts = append(texts, check.Text{File: file, Agreement: a})
			for _, p := range check.Together(texts, o.Language) {
				if p.File == file {
					problems = append(problems, p)
				}
			}
			if c.Previous != "" {
				before, err := loadAgreement(s, c.Previous)
				if err != nil {
					return err
				}
				problems = append(problems, check.Follows(file, a, before, o.Language)...)
			}
		}
		r, err := c.report(file, a, problems)
		if err != nil {
			return err
		}
		failed = failed || !r.OK
		reports = append(reports, r)
		if !s.json {
			r.print(s.out, problems, o.Language)
		}
	}
	if s.json {
		if err := writeIndented(s.out, reports); err != nil {
			return err
		}
	}
	if failed {
		return errFindings
	}
	return nil
}

func (c agreementCheckCmd) options(s *streams) (check.Options, error) {
	o := check.Options{At: time.Now(), Language: agreement.Language(c.Lang), Frameworks: map[string]*agreement.Framework{}}
	if c.At != "" {
		at, err := time.Parse(time.DateOnly, c.At)
		if err != nil {
			return o, escrow.Errorf(escrow.Invalid, "%q is not a day", c.At).WithHint("write it as 2027-01-31")
		}
		o.At = at.Add(12 * time.Hour) // the same day in every zone of Europe
	}
	for _, file := range c.Framework {
		f, err := loadFramework(s, file)
		if err != nil {
			return o, err
		}
		digest, err := f.Digest()
		if err != nil {
			return o, err
		}
		o.Frameworks[digest] = f
	}
	return o, nil
}

func (c agreementCheckCmd) report(file string, a *agreement.Agreement, problems problem.List) (checkReport, error) {
	r := checkReport{File: file, OK: !problems.Any(problem.Error), Problems: agreement.Problems{}}
	for _, p := range problems {
		if !c.Quiet || p.Severity != problem.Note {
			r.Problems = append(r.Problems, p)
		}
	}
	if c.Explain {
		r.Why = map[string]string{}
		texts := check.Load()
		for _, p := range r.Problems {
			if why := texts.Why(p.Rule, agreement.Language(c.Lang)); why != "" {
				r.Why[p.Rule] = why
			}
		}
	}
	if a == nil {
		return r, nil
	}
	r.ID, r.Version = a.ID, a.Version
	var err error
	r.Digest, err = a.Digest()
	return r, err
}

// say is a word of the report in a language.
func say(l agreement.Language, en, nl string) string {
	if l == "nl" {
		return nl
	}
	return en
}

// inDutch puts the word for the gravity of a finding into Dutch, for people;
// machines read the English one.
func inDutch(s problem.Severity) problem.Severity {
	switch s {
	case problem.Error:
		return "fout"
	case problem.Warning:
		return "waarschuwing"
	}
	return "opmerking"
}

func (r checkReport) print(w io.Writer, all agreement.Problems, l agreement.Language) {
	shown := slices.Clone(r.Problems)
	if l == "nl" {
		for i := range shown {
			shown[i].Severity = inDutch(shown[i].Severity)
		}
	}
	fmt.Fprint(w, shown)
	if len(r.Why) > 0 {
		fmt.Fprintln(w, say(l, "\nwhy it matters:", "\nwaarom het ertoe doet:"))
		said := map[string]bool{}
		for _, p := range r.Problems {
			if why := r.Why[p.Rule]; why != "" && !said[p.Rule] {
				said[p.Rule] = true
				fmt.Fprintf(w, "  %s: %s\n", p.Rule, why)
			}
		}
		fmt.Fprintln(w)
	}
	verdict := say(l, "passes", "voldoet")
	if !r.OK {
		verdict = say(l, "does not pass", "voldoet niet")
	}
	errors, warnings, notes := all.Count(problem.Error), all.Count(problem.Warning), all.Count(problem.Note)
	if l == "nl" {
		fmt.Fprintf(w, "%s: %s: %s, %s, %s\n", r.File, verdict, telling(errors, "fout", "fouten"), telling(warnings, "waarschuwing", "waarschuwingen"), telling(notes, "opmerking", "opmerkingen"))
	} else {
		fmt.Fprintf(w, "%s: %s: %s, %s, %s\n", r.File, verdict, count(errors, "error"), count(warnings, "warning"), count(notes, "note"))
	}
	if r.ID != "" {
		fmt.Fprintf(w, say(l, "%s: %s version %d, digest %s\n", "%s: %s versie %d, digest %s\n"), r.File, r.ID, r.Version, r.Digest)
	}
}

func telling(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
