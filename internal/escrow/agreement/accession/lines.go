package accession

import (
	"slices"
	"strconv"
	"strings"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/yamltext"
)

// lines is a text that is edited by whole lines. Every edit is noted against
// the lines of the original, so that places in it stay true.
type lines struct {
	line  []string
	root  *yamltext.Node
	out   map[int]bool     // lines that go, from 0
	after map[int][]string // lines that come after a line, from 0
	as    map[int]string   // lines that read differently
}

// fieldOf returns the scalar of a key of one entry, "" when it has none.
type fieldOf func(key string) string

func newLines(source []byte) *lines {
	root, _ := yamltext.Read("agreement", source)
	if root == nil || root.Kind != yamltext.Mapping {
		return nil
	}
	return &lines{line: strings.Split(string(source), "\n"), root: root, out: map[int]bool{}, after: map[int][]string{}, as: map[int]string{}}
}

func (t *lines) text() []byte {
	var out []string
	for i, l := range t.line {
		if as, changed := t.as[i]; changed {
			l = as
		}
		if !t.out[i] {
			out = append(out, l)
		}
		out = append(out, t.after[i]...)
	}
	return []byte(strings.Join(out, "\n"))
}

func (t *lines) field(key string) *yamltext.Field {
	for i := range t.root.Fields {
		if t.root.Fields[i].Key == key {
			return &t.root.Fields[i]
		}
	}
	return nil
}

// version sets the number of the version and the digest of the one before.
func (t *lines) version(n int, digest string) bool {
	v := t.field("version")
	if v == nil || !t.scalar(v.Value, strconv.Itoa(n)) {
		return false
	}
	if r := t.field("replaces"); r != nil {
		return t.scalar(r.Value, digest)
	}
	at := v.Value.Pos.Line - 1
	if strings.TrimSpace(t.line[at][:v.Pos.Column-1]) != "" {
		return false
	}
	t.after[at] = append(t.after[at], "replaces: "+digest)
	return true
}

// scalar writes another plain value in the place of one.
func (t *lines) scalar(n *yamltext.Node, value string) bool {
	i, from := n.Pos.Line-1, n.Pos.Column-1
	if i < 0 || i >= len(t.line) || n.Kind != yamltext.Scalar || !n.Plain {
		return false
	}
	runes := []rune(t.line[i])
	if from > len(runes) || !strings.HasPrefix(string(runes[from:]), n.Text) {
		return false
	}
	t.as[i] = string(runes[:from]) + value + strings.TrimPrefix(string(runes[from:]), n.Text)
	return true
}

// last is the last line, from 0, of what begins on line first and goes on until
// line next: comments and empty lines before next belong to what follows.
func (t *lines) last(first, next int) int {
	i := next - 1
	for ; i > first; i-- {
		if l := strings.TrimSpace(t.line[i]); l != "" && !strings.HasPrefix(l, "#") {
			break
		}
	}
	return i
}

// section is a list of the text, written one entry below the other: the first
// line of each entry, and the first line after the list.
func (t *lines) section(key string) (list *yamltext.Node, starts []int, next int, ok bool) {
	f := t.field(key)
	if f == nil || f.Value.Kind != yamltext.Sequence || len(f.Value.Items) == 0 {
		return nil, nil, 0, false
	}
	next = len(t.line)
	for _, other := range t.root.Fields {
		if l := other.Pos.Line - 1; l > f.Pos.Line-1 {
			next = min(next, l)
		}
	}
	for _, item := range f.Value.Items {
		i := item.Pos.Line - 1
		if i < 0 || i >= len(t.line) || !strings.HasPrefix(strings.TrimSpace(t.line[i]), "- ") || slices.Contains(starts, i) {
			return nil, nil, 0, false
		}
		starts = append(starts, i)
	}
	return f.Value, starts, next, true
}

// add puts an entry at the end of a list, or begins the list after the parties.
// Entries come as lines without their margin.
func (t *lines) add(key string, entries [][]string) bool {
	if len(entries) == 0 {
		return true
	}
	margin, at := "  ", 0
	var added []string
	_, starts, next, ok := t.section(key)
	if !ok {
		if t.field(key) != nil {
			return false
		}
		_, before, end, ok := t.section("parties")
		if !ok {
			return false
		}
		at = t.last(before[len(before)-1], end)
		added = append(added, "", key+":")
	} else {
		first := t.line[starts[0]]
		margin = first[:len(first)-len(strings.TrimLeft(first, " "))]
		at = t.last(starts[len(starts)-1], next)
	}
	for _, e := range entries {
		for i, l := range e {
			if i == 0 {
				added = append(added, margin+"- "+l)
			} else {
				added = append(added, margin+"  "+l)
			}
		}
	}
	t.after[at] = append(t.after[at], added...)
	return true
}

// drop takes the entries of a list out that which says yes to; with the last
// one the list goes.
func (t *lines) drop(key string, which func(fieldOf) bool) bool {
	f := t.field(key)
	if f == nil {
		return true
	}
	list, starts, next, ok := t.section(key)
	if !ok {
		return false
	}
	gone := 0
	for i, item := range list.Items {
		if !which(scalars(item)) {
			continue
		}
		end := next
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		for l := starts[i]; l <= t.last(starts[i], end); l++ {
			t.out[l] = true
		}
		gone++
	}
	if gone == len(list.Items) {
		t.out[f.Pos.Line-1] = true
	}
	return true
}

func scalars(item *yamltext.Node) fieldOf {
	return func(key string) string {
		for _, f := range item.Fields {
			if f.Key == key && f.Value.Kind == yamltext.Scalar {
				return f.Value.Text
			}
		}
		return ""
	}
}

// partyLines writes a party: on one line when it is short.
func partyLines(p agreement.Party) [][]string {
	head := []string{"id: " + p.ID, "role: " + string(p.Role), "name: " + quote(p.Name)}
	if len(p.Register) > 0 {
		var numbers []string
		for scheme, number := range p.Register {
			numbers = append(numbers, scheme+": "+quote(number))
		}
		slices.Sort(numbers)
		head = append(head, "register: {"+strings.Join(numbers, ", ")+"}")
	}
	if p.Controlled != "" {
		head = append(head, "controlled_by: "+p.Controlled)
	}
	if len(p.People) == 0 {
		return [][]string{{"{" + strings.Join(head, ", ") + "}"}}
	}
	out := append(head, "people:")
	for _, x := range p.People {
		words := []string{"id: " + x.ID, "name: " + quote(x.Name)}
		if x.Function != "" {
			words = append(words, "function: "+quote(x.Function))
		}
		if x.Email != "" {
			words = append(words, "email: "+quote(x.Email))
		}
		out = append(out, "  - {"+strings.Join(words, ", ")+"}")
	}
	return [][]string{out}
}

func authorityLines(list []agreement.Authority) [][]string {
	var out [][]string
	for _, a := range list {
		words := []string{"party: " + a.Party, "person: " + a.Person, "may: [" + strings.Join(a.May, ", ") + "]"}
		if a.From != "" {
			words = append(words, "from: "+string(a.From))
		}
		if a.Until != "" {
			words = append(words, "until: "+string(a.Until))
		}
		if a.Proof != "" {
			words = append(words, "proof: "+quote(a.Proof))
		}
		if a.CallBack {
			words = append(words, "call_back: true")
		}
		out = append(out, []string{"{" + strings.Join(words, ", ") + "}"})
	}
	return out
}

// quote writes a text as a quoted scalar on one line; what no text of an
// agreement may hold is refused when the result is read again.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(s) + `"`
}
