// Package yamltext reads the part of YAML that has one meaning everywhere:
// block and flow mappings and sequences, plain, quoted and block scalars,
// comments. Every scalar stays text. What YAML versions or readers understand
// differently, and what can make a small text large, is refused with its
// place: anchors, aliases, tags, merge keys, directives, complex keys,
// duplicate keys, several documents, control characters.
//
// It does no I/O. Reading takes time and memory in proportion to the limits,
// whatever the text.
package yamltext

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"holdfast/internal/escrow/agreement/problem"
)

// The limits of a text. The YAML library takes quadratic time in the keys of
// one mapping, so their number bounds the time: 10,000 keys take 0.7 s.
const (
	MaxBytes  = 1 << 20
	MaxDepth  = 32
	MaxKeys   = 10_000
	maxTokens = 60_000
	maxIndent = 256
)

// Kind is the kind of a [Node].
type Kind int

// The kinds.
const (
	Scalar Kind = iota
	Mapping
	Sequence
)

// String names the kind for messages.
func (k Kind) String() string {
	switch k {
	case Mapping:
		return "a mapping"
	case Sequence:
		return "a list"
	}
	return "a single value"
}

// Node is a value of the text.
type Node struct {
	Kind   Kind
	Pos    problem.Pos
	Text   string  // of a scalar, exactly as written once quotes and escapes are resolved
	Plain  bool    // the scalar was written without quotes
	Fields []Field // of a mapping, in the order of the text
	Items  []*Node // of a sequence

	spans []span // where the characters of Text stand, if they can be told
}

// Field is one key of a mapping with its value.
type Field struct {
	Key   string
	Pos   problem.Pos
	Value *Node
}

// IsNull reports whether the node is a key without a value or says null.
func (n *Node) IsNull() bool {
	return n.Kind == Scalar && n.Plain && (n.Text == "" || n.Text == "~" || n.Text == "null" || n.Text == "Null" || n.Text == "NULL")
}

// Read reads the one document of data. name is only for the problems. The
// node is nil when there is any problem.
func Read(name string, data []byte) (node *Node, problems problem.List) {
	r := &reader{name: name}
	// The YAML library is not ours to prove free of panics: one that escapes
	// it must be a refusal of the text, not the end of the process.
	defer func() {
		if v := recover(); v != nil {
			r.fail(problem.Pos{}, "yaml-syntax", "write it more plainly", "the YAML reader gave up on this text (%v)", v)
			node, problems = nil, r.problems.Sort()
		}
	}()
	node = r.read(data)
	if len(r.problems) > 0 {
		return nil, r.problems.Sort()
	}
	return node, nil
}

type reader struct {
	name     string
	problems problem.List
}

func (r *reader) fail(pos problem.Pos, rule, hint, format string, args ...any) {
	r.problems = append(r.problems, problem.Problem{
		File: r.name, Pos: pos, Severity: problem.Error, Rule: rule,
		Message: fmt.Sprintf(format, args...), Hint: hint,
	})
}

func (r *reader) read(data []byte) *Node {
	if !r.characters(data) {
		return nil
	}
	tokens := r.tokens(string(data))
	if len(r.problems) > 0 {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.syntax(err)
		return nil
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		r.fail(problem.Pos{}, "yaml-empty", "write at least one key", "the text says nothing")
		return nil
	}
	return r.convert(file.Docs[0].Body, 1)
}

func (r *reader) syntax(err error) {
	if y, ok := errors.AsType[yaml.Error](err); ok && y.GetToken() != nil {
		r.fail(place(y.GetToken()), "yaml-syntax", "check the indentation, brackets and quotes here", "%s", y.GetMessage())
		return
	}
	r.fail(problem.Pos{}, "yaml-syntax", "check the indentation, brackets and quotes", "%v", err)
}

func place(t *token.Token) problem.Pos {
	if t == nil || t.Position == nil {
		return problem.Pos{}
	}
	return problem.Pos{Line: t.Position.Line, Column: max(t.Position.Column, 1)}
}

func (r *reader) convert(n ast.Node, depth int) *Node {
	if depth > MaxDepth {
		r.fail(place(n.GetToken()), "yaml-depth", "flatten it", "nested deeper than %d", MaxDepth)
		return nil
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return r.mapping(place(n.Start), n.Values, n.IsFlowStyle, depth)
	case *ast.MappingValueNode:
		return r.mapping(place(n.GetToken()), []*ast.MappingValueNode{n}, n.IsFlowStyle, depth)
	case *ast.SequenceNode:
		out := &Node{Kind: Sequence, Pos: place(n.Start)}
		for _, v := range n.Values {
			if item := r.convert(v, depth+1); item != nil {
				out.Items = append(out.Items, item)
			}
		}
		return out
	case *ast.LiteralNode:
		out := &Node{Pos: place(n.Start), Text: n.Value.Value}
		out.locateBlock(n.Value.GetToken().Origin, n.Start.Type == token.FoldedType)
		return out // its characters were checked in the source
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		t := n.GetToken()
		out := &Node{Pos: place(t), Text: t.Value, Plain: t.Type != token.SingleQuoteType && t.Type != token.DoubleQuoteType}
		out.locate(t.Origin)
		r.decoded(out.Pos, out.Text)
		return out
	case *ast.NullNode:
		out := &Node{Pos: place(n.Token), Text: n.Token.Value, Plain: true}
		if n.Token.Type == token.ImplicitNullType {
			out.Text = ""
		}
		return out
	}
	r.fail(place(n.GetToken()), "yaml-syntax", "write it as text, a list or a mapping", "a YAML %s is not part of this language", n.Type())
	return nil
}

// decoded refuses what an escape may not stand for: the characters that are
// refused in the source.
func (r *reader) decoded(pos problem.Pos, text string) {
	for _, c := range text {
		what := hidden(c)
		if c == '\t' {
			what = "a tab"
		}
		if what != "" || c == '\uFFFD' {
			r.fail(pos, "text-character", "remove it", "an escape stands for %s (U+%04X)", cmp.Or(what, "no character"), c)
			return
		}
	}
}

func (r *reader) mapping(start problem.Pos, values []*ast.MappingValueNode, flow bool, depth int) *Node {
	out := &Node{Kind: Mapping, Pos: start}
	seen := make(map[string]problem.Pos, len(values))
	for _, v := range values {
		t := v.Key.GetToken()
		pos := place(t)
		if v.Key.Type() != ast.StringType {
			r.fail(pos, "yaml-key", "write the key as a plain word", "the key %q is read differently by YAML versions or is not text", t.Value)
			continue
		}
		plain := t.Type != token.SingleQuoteType && t.Type != token.DoubleQuoteType
		if what := Ambiguous(t.Value); plain && what != "" {
			r.fail(pos, "yaml-key", fmt.Sprintf("quote this: %q", t.Value), "the key %s can be read as %s", t.Value, what)
			continue
		}
		if first, dup := seen[t.Value]; dup {
			r.fail(pos, "yaml-duplicate", "keep one of the two", "the key %q is already there at %d:%d", t.Value, first.Line, first.Column)
			continue
		}
		seen[t.Value] = pos
		r.decoded(pos, t.Value)
		if value := r.convert(v.Value, depth+1); value != nil {
			out.Fields = append(out.Fields, Field{Key: t.Value, Pos: pos, Value: value})
		}
	}
	if !flow && len(values) > 0 {
		// The library places a block mapping at its first colon.
		out.Pos = place(values[0].Key.GetToken())
	}
	return out
}
