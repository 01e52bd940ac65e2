package main

import (
	"context"
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
