package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/check"
	"holdfast/internal/escrow/agreement/problem"
	"holdfast/internal/escrow/agreement/template"
	"holdfast/internal/escrow/agreement/yamltext"
)

// agreementNewCmd writes an agreement from a template.
type agreementNewCmd struct {
	Template    string   `help:"The template: municipality, hospital, bank, small-saas, on-premise or host-framework. Without it they are listed." short:"t"`
	Lang        string   `help:"Language of the agreement and of the questions: nl or en. Default: the usual one of the template." enum:"nl,en," default:""`
	Answers     string   `help:"File with the answers, a key and a value or list on each line; - reads standard input." placeholder:"FILE"`
	Set         []string `help:"One answer as key=value; a list is separated by semicolons. May be repeated." sep:"none" placeholder:"KEY=VALUE"`
	Questions   bool     `help:"Print what the template asks, as a file of answers to fill in."`
	Interactive bool     `help:"Ask what is not answered, also when standard input is no terminal."`
	Output      string   `help:"The file to write; - for standard output. Default: the id of the agreement with .yaml." short:"o"`
}

func (c agreementNewCmd) Run(s *streams) error {
	if c.Template == "" {
		return c.list(s)
	}
	t, err := template.Get(c.Template)
	if err != nil {
		return err
	}
	if c.Lang == "" {
		c.Lang = t.Language
	}
	if c.Questions {
		return c.questions(s, t)
	}
	answers, err := c.given(s)
	if err != nil {
		return err
	}
	if c.asks(s) {
		if err := c.ask(s, t, answers); err != nil {
			return err
		}
	}
	full, err := t.Fill(answers, c.Lang)
	if err != nil {
		return err
	}
	text, err := t.Write(full, c.Lang)
	if err != nil {
		return err
	}
	return c.write(s, t, text)
}

// list shows the templates there are.
func (c agreementNewCmd) list(s *streams) error {
	w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	type entry struct {
		Name  string        `json:"name"`
		Title template.Text `json:"title"`
		About template.Text `json:"about"`
	}
	var entries []entry
	for _, name := range template.Names() {
		t, err := template.Get(name)
		if err != nil {
			return err
		}
		entries = append(entries, entry{name, t.Title, t.About})
		fmt.Fprintf(w, "%s\t%s\n", name, t.About.In(c.Lang))
	}
	if s.json {
		return writeIndented(s.out, entries)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(s.out, "\nholdfast agreement new --template NAME asks a few questions and writes the agreement.")
	return nil
}

// questions prints a file of answers to fill in.
func (c agreementNewCmd) questions(s *streams, t *template.Template) error {
	if s.json {
		return writeIndented(s.out, t.Questions)
	}
	for _, q := range t.Questions {
		fmt.Fprintf(s.out, "# %s\n", q.Ask.In(c.Lang))
		d := q.Default.In(c.Lang)
		if d == "" && q.Kind == "list" {
			d = "[]"
		} else {
			d = fmt.Sprintf("%q", d)
		}
		fmt.Fprintf(s.out, "%s: %s\n", q.Key, d)
	}
	return nil
}

// given reads the answers of the file and of the flags.
func (c agreementNewCmd) given(s *streams) (template.Answers, error) {
	out := template.Answers{}
	if c.Answers != "" {
		data, err := readText(s, c.Answers)
		if err != nil {
			return nil, err
		}
		root, problems := yamltext.Read(c.Answers, data)
		if root == nil {
			return nil, escrow.Errorf(escrow.Invalid, "%s", strings.TrimSpace(problems.String())).WithHint("write a key and its value on each line, in quotes")
		}
		if out, err = answersOf(c.Answers, root); err != nil {
			return nil, err
		}
	}
	for _, kv := range c.Set {
		key, value, ok := strings.Cut(kv, "=")
		if !ok || key == "" {
			return nil, escrow.Errorf(escrow.Invalid, "%q is not an answer", kv).WithHint("write --set key=value")
		}
		out[key] = []string{strings.TrimSpace(value)}
		if values := template.Split(value); len(values) > 1 {
			out[key] = values
		}
	}
	return out, nil
}

// answersOf reads a mapping of keys to a text or a list of texts. An empty
// value is no answer: files of answers are printed with empty ones.
func answersOf(file string, root *yamltext.Node) (template.Answers, error) {
	bad := func(n *yamltext.Node, what string) error {
		return escrow.Errorf(escrow.Invalid, "%s:%d:%d: %s", file, n.Pos.Line, n.Pos.Column, what).WithHint("write a key and its value or list on each line")
	}
	if root.Kind != yamltext.Mapping {
		return nil, bad(root, "these are not answers")
	}
	out := template.Answers{}
	for _, f := range root.Fields {
		switch f.Value.Kind {
		case yamltext.Scalar:
			if f.Value.Text != "" {
				out[f.Key] = []string{f.Value.Text}
			}
		case yamltext.Sequence:
			for _, item := range f.Value.Items {
				if item.Kind != yamltext.Scalar {
					return nil, bad(item, fmt.Sprintf("%s holds something that is not a text", f.Key))
				}
				out[f.Key] = append(out[f.Key], item.Text)
			}
		default:
			return nil, bad(f.Value, fmt.Sprintf("%s is neither a text nor a list", f.Key))
		}
	}
	return out, nil
}

// asks reports whether somebody can be asked.
func (c agreementNewCmd) asks(s *streams) bool {
	if c.Interactive {
		return true
	}
	f, ok := s.in.(*os.File)
	return ok && c.Answers == "" && !s.json && term.IsTerminal(int(f.Fd()))
}

// ask asks what is not answered yet, again until an answer fits.
func (c agreementNewCmd) ask(s *streams, t *template.Template, answers template.Answers) error {
	in := bufio.NewScanner(io.LimitReader(s.in, 1<<20))
	for _, q := range t.Questions {
		if _, done := answers[q.Key]; done {
			continue
		}
		d := q.Default.In(c.Lang)
		for {
			fmt.Fprint(s.err, q.Ask.In(c.Lang))
			if d != "" {
				fmt.Fprintf(s.err, " [%s]", d)
			}
			fmt.Fprint(s.err, " ")
			if !in.Scan() {
				fmt.Fprintln(s.err)
				if err := in.Err(); err != nil {
					return fmt.Errorf("answers: %w", err)
				}
				return escrow.Errorf(escrow.Invalid, "the answers ended at %s", q.Key).WithHint("answer every question, or give the answers with --answers or --set")
			}
			text := strings.TrimSpace(in.Text())
			if text == "" {
				text = d
			}
			values := []string{text}
			if q.Kind == "list" {
				values = template.Split(text)
			}
			if what := q.Check(values); what != "" {
				fmt.Fprintln(s.err, "  "+what)
				continue
			}
			answers[q.Key] = values
			break
		}
	}
	return nil
}

// write checks what was made and writes it to a file that is not there yet.
func (c agreementNewCmd) write(s *streams, t *template.Template, text []byte) error {
	var id string
	var problems problem.List
	if t.Name == "host-framework" {
		f, found := agreement.ParseFramework(t.Name, text)
		if problems = found; f != nil {
			id = f.ID
		}
	} else {
		a, found := check.Check(t.Name, text, check.Options{At: time.Now(), Language: agreement.Language(c.Lang)})
		if problems = found; a != nil {
			id = a.ID
		}
	}
	if problems.Any(problem.Error) {
		first := problems[slices.IndexFunc(problems, func(p problem.Problem) bool { return p.Severity == problem.Error })]
		return escrow.Errorf(escrow.Invalid, "with these answers the agreement would not pass: %s: %s", first.Path, first.Message).
			WithHint("%s; change the answer", first.Hint)
	}
	if c.Output == "-" {
		_, err := s.out.Write(text)
		return err
	}
	if c.Output == "" {
		c.Output = id + ".yaml"
	}
	f, err := os.OpenFile(c.Output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return escrow.Errorf(escrow.Conflict, "%s is already there", c.Output).WithHint("give another name with --output")
	}
	if err != nil {
		return escrow.Wrap(err, escrow.Invalid, "cannot write %s", c.Output).WithHint("check the path")
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", c.Output, err)
	}
	if s.json {
		return writeIndented(s.out, map[string]any{"file": c.Output, "id": id, "template": t.Name, "language": c.Lang})
	}
	fmt.Fprintf(s.out, "%s: written from the template %s\n", c.Output, t.Name)
	if t.Name != "host-framework" {
		fmt.Fprintf(s.out, "next: read it, have a lawyer read it, and run holdfast agreement check %s\n", c.Output)
	}
	return nil
}

// agreementFrameworkCmd checks a host's framework.
type agreementFrameworkCmd struct {
	File string `arg:"" help:"The framework; - reads standard input."`
}

func (c agreementFrameworkCmd) Run(s *streams) error {
	f, err := loadFramework(s, c.File)
	if err != nil {
		return err
	}
	digest, err := f.Digest()
	if err != nil {
		return err
	}
	if s.json {
		return writeIndented(s.out, map[string]any{"id": f.ID, "version": f.Version, "host": f.Host.Name, "digest": digest})
	}
	fmt.Fprintf(s.out, "%s: framework of %s, version %d, digest %s\n", c.File, f.Host.Name, f.Version, digest)
	return nil
}

func loadFramework(s *streams, file string) (*agreement.Framework, error) {
	data, err := readText(s, file)
	if err != nil {
		return nil, err
	}
	f, problems := agreement.ParseFramework(file, data)
	if f == nil {
		return nil, escrow.Errorf(escrow.Invalid, "the framework cannot be used:\n%s", strings.TrimSpace(problems.String())).
			WithHint("holdfast agreement new --template host-framework writes one")
	}
	return f, nil
}
