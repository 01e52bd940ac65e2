package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestEveryVerbExplainsItself asks every verb for its help: it must print,
// name every flag with a sentence about it, and do nothing else.
func TestEveryVerbExplainsItself(t *testing.T) {
	parser, err := kong.New(&cli{})
	if err != nil {
		t.Fatal(err)
	}
	verbs := 0
	err = kong.Visit(parser.Model, func(node kong.Visitable, next kong.Next) error {
		n, ok := node.(*kong.Node)
		if !ok || n.Type != kong.CommandNode {
			return next(nil)
		}
		verbs++
		var args []string
		for at := n; at != nil && at.Type == kong.CommandNode; at = at.Parent {
			args = append([]string{at.Name}, args...)
		}
		verb := strings.Join(args, " ")
		var out, errs strings.Builder
		if code := run(context.Background(), append(args, "--help"), strings.NewReader(""), &out, &errs); code != exitOK || errs.Len() > 0 {
			t.Errorf("%s --help: exit %d, %q", verb, code, errs.String())
		}
		if !strings.HasPrefix(out.String(), "Usage: holdfast "+verb) || n.Help == "" || !strings.Contains(unwrapped(out.String()), unwrapped(n.Help)) {
			t.Errorf("%s --help prints %q", verb, out.String())
		}
		for _, f := range n.Flags {
			if f.Hidden { // of a script, not of people
				continue
			}
			if f.Help == "" || !strings.Contains(out.String(), "--"+f.Name) && !strings.Contains(out.String(), "]"+f.Name) {
				t.Errorf("%s --help says nothing about --%s", verb, f.Name)
			}
		}
		for _, p := range n.Positional {
			if p.Help == "" {
				t.Errorf("%s --help says nothing about <%s>", verb, p.Name)
			}
		}
		return next(nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	if verbs < 40 {
		t.Errorf("%d verbs were asked", verbs)
	}
}

// unwrapped undoes the line breaks of a help text.
func unwrapped(text string) string { return strings.Join(strings.Fields(text), " ") }

// TestDocumentedCommandsExist looks up every command line in the README and
// the documentation: its verb and its flags must be there.
func TestDocumentedCommandsExist(t *testing.T) {
	parser, err := kong.New(&cli{})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := 0
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if !strings.HasPrefix(line, "    ") { // code blocks only; prose is for people
				continue
			}
			for command := range strings.SplitSeq(strings.SplitN(line, "#", 2)[0], ";") {
				words := strings.Fields(command)
				if len(words) < 2 || strings.TrimPrefix(words[0], "./") != "holdfast" {
					continue
				}
				commands++
				if problem := unknown(parser.Model.Node, words[1:]); problem != "" {
					t.Errorf("%s: %q: %s", filepath.Base(page), strings.TrimSpace(command), problem)
				}
			}
		}
	}
	if commands < 15 {
		t.Errorf("%d commands were looked up", commands)
	}
}

// unknown says which word of a command line the program does not know.
func unknown(node *kong.Node, words []string) string {
	flags := map[string]bool{"--json": true, "--help": true}
	for _, w := range words {
		switch {
		case w == "…": // and so on
			return ""
		case strings.HasPrefix(w, "--"):
			if name, _, _ := strings.Cut(w, "="); !flags[name] {
				return "no flag " + name
			}
		case len(node.Children) > 0:
			at := slices.IndexFunc(node.Children, func(n *kong.Node) bool { return n.Name == w })
			if at < 0 {
				return "no verb " + w
			}
			node = node.Children[at]
			for _, f := range node.Flags {
				flags["--"+f.Name] = true
			}
		}
	}
	if len(node.Children) > 0 {
		return "not a whole verb"
	}
	return ""
}
