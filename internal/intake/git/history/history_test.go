package history_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/evidence"
	"holdfast/internal/intake/git/history"
	"holdfast/internal/intake/git/object"
)

func oid(t *testing.T, n int) object.OID {
	t.Helper()
	id, err := object.ParseOID(object.SHA1, fmt.Sprintf("%040x", n))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// graph is commits by number with their parents.
type graph map[object.OID][]object.OID

func (g graph) IsAncestor(_ context.Context, old, new object.OID) (bool, error) {
	if old == new {
		return true, nil
	}
	for _, p := range g[new] {
		if ok, _ := g.IsAncestor(context.Background(), old, p); ok {
			return true, nil
		}
	}
	return false, nil
}

func TestClassify(t *testing.T) {
	id := func(n int) object.OID { return oid(t, n) }
	// 1 ← 2 ← 3, and 9 alone.
	g := graph{id(2): {id(1)}, id(3): {id(2)}}
	ref := func(name string, n int) object.Ref { return object.Ref{Name: name, OID: id(n)} }
	before := history.Snapshot{Head: "refs/heads/master", HeadOID: id(2), Refs: []object.Ref{
		ref("refs/heads/Feature/x", 1), ref("refs/heads/back", 3), ref("refs/heads/gone", 1), ref("refs/heads/master", 2),
		ref("refs/heads/same", 1), ref("refs/heads/turned", 3), ref("refs/tags/v1", 1), ref("refs/tags/v2", 1)}}
	after := history.Snapshot{Head: "refs/heads/main", HeadOID: id(3), Refs: []object.Ref{
		ref("refs/heads/Feature/x", 1), ref("refs/heads/back", 1), ref("refs/heads/feature/x", 2), ref("refs/heads/master", 3),
		ref("refs/heads/same", 1), ref("refs/heads/turned", 9), ref("refs/tags/v1", 2)}}
	got, err := history.Classify(t.Context(), g, before, after)
	if err != nil {
		t.Fatal(err)
	}
	s := func(n int) string { return id(n).String() }
	want := []evidence.RefChange{
		{Ref: "refs/heads/back", Kind: evidence.RefRewound, Old: s(3), New: s(1)},
		{Ref: "refs/heads/feature/x", Kind: evidence.RefNew, New: s(2)},
		{Ref: "refs/heads/gone", Kind: evidence.RefDeleted, Old: s(1)},
		{Ref: "refs/heads/master", Kind: evidence.RefFastForward, Old: s(2), New: s(3)},
		{Ref: "refs/heads/turned", Kind: evidence.RefRewritten, Old: s(3), New: s(9)},
		{Ref: "refs/tags/v1", Kind: evidence.RefTagMoved, Old: s(1), New: s(2)},
		{Ref: "refs/tags/v2", Kind: evidence.RefDeleted, Old: s(1)},
		{Ref: "HEAD", Kind: evidence.RefHeadMoved, Old: "refs/heads/master", New: "refs/heads/main"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	again, err := history.Classify(t.Context(), g, after, after)
	if err != nil || len(again) != 0 {
		t.Errorf("nothing changed: %v, %v", again, err)
	}
}

// TestTagThatABranchNames is about branches at annotated tags: what counts is
// the commit behind them.
func TestTagThatABranchNames(t *testing.T) {
	id := func(n int) object.OID { return oid(t, n) }
	g := graph{id(2): {id(1)}}
	before := history.Snapshot{Refs: []object.Ref{{Name: "refs/heads/r", OID: id(11), Peeled: id(1)}}}
	after := history.Snapshot{Refs: []object.Ref{{Name: "refs/heads/r", OID: id(12), Peeled: id(2)}}}
	got, err := history.Classify(t.Context(), g, before, after)
	if err != nil || len(got) != 1 || got[0].Kind != evidence.RefFastForward {
		t.Errorf("%v, %v", got, err)
	}
}

func TestSilentHeadIsNoMove(t *testing.T) {
	a := history.Snapshot{Head: "refs/heads/main", HeadOID: oid(t, 1)}
	for _, b := range []history.Snapshot{{}, {Head: "refs/heads/main", HeadOID: oid(t, 2)}} {
		got, err := history.Classify(t.Context(), graph{}, a, b)
		if err != nil || len(got) != 0 {
			t.Errorf("%+v: %v, %v", b, got, err)
		}
	}
}

type unable struct{}

func (unable) IsAncestor(context.Context, object.OID, object.OID) (bool, error) {
	return false, errors.New("a segment is gone")
}

// TestNoAnswerIsNoClassification: what cannot be known is an error, not
// "rewritten".
func TestNoAnswerIsNoClassification(t *testing.T) {
	before := history.Snapshot{Refs: []object.Ref{{Name: "refs/heads/a", OID: oid(t, 1)}}}
	after := history.Snapshot{Refs: []object.Ref{{Name: "refs/heads/a", OID: oid(t, 2)}}}
	if got, err := history.Classify(t.Context(), unable{}, before, after); err == nil {
		t.Errorf("classified as %v", got)
	}
}
