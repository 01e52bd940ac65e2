package yamltext_test

import (
	"testing"
	"time"

	"holdfast/internal/escrow/agreement/problem"
	"holdfast/internal/escrow/agreement/yamltext"
)

// FuzzRead: any bytes give a tree or located problems, in bounded time; the
// tree is within the limits and has no key twice.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		"", "a: b\n", "a: {b: [c, 'd', \"e\\u0041\"]}\n- x\n", "a:\n  - b: |\n      c\n    d: >-\n      e\n", "? a\n: b\n",
		"a: &x b\nc: *x\n", "%YAML 1.1\n---\na: !!str b\n...\n", "<<: {a: b}\n", "a: 'b\n  c'\n", "a: b # c\n#d\n", "{\"a\":\"b\",\"c\":[{\"d\":1}]}",
		"a: [b, {c: d}, ]\n", "- - - a\n", "a: b: c\n", "a: \"\\x41\\\n b\"\n", "a:\r\n  b\r\n", "a: 0x1F\nb: .inf\nc: ~\n", ": a\n", "a: @b\n", "a: `b\n", "[a: b]: c\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		n, problems := yamltext.Read("fuzz.yaml", data)
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %s for %d bytes", took, len(data))
		}
		if (n == nil) != problems.Any(problem.Error) {
			t.Fatalf("tree: %t, problems:\n%s", n != nil, problems)
		}
		if n != nil {
			inspect(t, n, 1)
		}
	})
}

func inspect(t *testing.T, n *yamltext.Node, depth int) {
	t.Helper()
	if depth > yamltext.MaxDepth {
		t.Fatalf("depth %d", depth)
	}
	if n.Pos.Line < 1 || n.Pos.Column < 1 {
		t.Fatalf("%q is at %v", n.Text, n.Pos)
	}
	if at := n.Locate(1, 1); at.Line < n.Pos.Line {
		t.Fatalf("%q at %v begins at %v", n.Text, n.Pos, at)
	}
	seen := map[string]bool{}
	for _, f := range n.Fields {
		if seen[f.Key] || f.Pos.Line < 1 {
			t.Fatalf("key %q twice or at %v", f.Key, f.Pos)
		}
		seen[f.Key] = true
		inspect(t, f.Value, depth+1)
	}
	for _, item := range n.Items {
		inspect(t, item, depth+1)
	}
}
