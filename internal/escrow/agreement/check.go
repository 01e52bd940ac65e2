package agreement

import (
	"fmt"
	"slices"

	"holdfast/internal/escrow/agreement/bind"
	"holdfast/internal/escrow/agreement/problem"
)

// checker checks the meaning of an agreement whose form is right.
type checker struct {
	a        *Agreement
	b        *bind.Bound
	problems Problems
	ids      map[string]map[string]problem.Pos // kind, id, place
	// templates says for each of which set a compartment is declared.
	templates map[string]Set
}

func (c *checker) check() {
	c.names()
	c.keyShapes()
	if c.problems.Any(problem.Error) {
		return // what a name means is open
	}
	c.references()
	if c.problems.Any(problem.Error) {
		return // everything below follows references
	}
	if !c.size() {
		return // everything below takes time in proportion to what is written out
	}
	c.head()
	c.parties()
	c.partsOfText()
	c.modules()
	c.keys()
	c.serviceLevels()
	c.licences()
	c.release()
	c.conditions()
	c.later()
}

func (c *checker) add(s problem.Severity, path string, pos problem.Pos, rule, hint, format string, args ...any) {
	c.problems = append(c.problems, Problem{File: c.b.File, Pos: pos, Path: path, Severity: s, Rule: rule,
		Message: fmt.Sprintf(format, args...), Hint: hint})
}

// full reports whether enough has been found: each problem costs a search
// for what was meant.
func (c *checker) full() bool { return len(c.problems) >= 200 }

// fail, warn and note report something about the value at path.
func (c *checker) fail(path, rule, hint, format string, args ...any) {
	c.add(problem.Error, path, c.b.Pos(path), rule, hint, format, args...)
}

func (c *checker) warn(path, rule, hint, format string, args ...any) {
	c.add(problem.Warning, path, c.b.Pos(path), rule, hint, format, args...)
}

func (c *checker) note(path, rule, hint, format string, args ...any) {
	c.add(problem.Note, path, c.b.Pos(path), rule, hint, format, args...)
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
