package problem_test

import (
	"testing"

	"holdfast/internal/escrow/agreement/problem"
)

func TestString(t *testing.T) {
	p := problem.Problem{File: "a.yaml", Pos: problem.Pos{Line: 3, Column: 7}, Severity: problem.Error, Message: "there is no party \"x\"", Hint: "did you mean \"y\"?"}
	if got, want := p.String(), `a.yaml:3:7: error: there is no party "x"; did you mean "y"?`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	p.Pos, p.Hint = problem.Pos{}, ""
	if got, want := p.String(), `a.yaml: error: there is no party "x"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSort(t *testing.T) {
	at := func(line, column int, s problem.Severity) problem.Problem {
		return problem.Problem{File: "a", Pos: problem.Pos{Line: line, Column: column}, Severity: s, Message: "m"}
	}
	l := problem.List{at(0, 0, problem.Note), at(2, 1, problem.Note), at(2, 1, problem.Error), at(1, 9, problem.Warning), at(2, 1, problem.Note)}
	want := problem.List{at(1, 9, problem.Warning), at(2, 1, problem.Error), at(2, 1, problem.Note), at(0, 0, problem.Note)}
	got := l.Sort()
	if len(got) != len(want) {
		t.Fatalf("%s", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%d: got %s, want %s", i, got[i], want[i])
		}
	}
	if got.Count(problem.Error) != 1 || !got.Any(problem.Warning) || got.Count(problem.Note) != 2 {
		t.Error("counts")
	}
}

func TestNearest(t *testing.T) {
	words := []string{"time_zone", "compartment", "notary", "people_each", "at_least", "for_each", "no-successor"}
	for got, want := range map[string]string{
		"timezone": "time_zone", "time-zone": "time_zone", "compartement": "compartment", "Notary": "notary", "notray": "notary",
		"atleast": "at_least", "foreach": "for_each", "no_successor": "no-successor", "xyz": "", "": "", "zzzzzzzzzzz": "",
	} {
		if near := problem.Nearest(got, words); near != want {
			t.Errorf("nearest to %q is %q, want %q", got, near, want)
		}
	}
	if got := problem.DidYouMean("xyz", []string{"a", "b"}); got != "possible: a, b" {
		t.Error(got)
	}
	if got := problem.DidYouMean("xyz", nil); got != "" {
		t.Error(got)
	}
}
