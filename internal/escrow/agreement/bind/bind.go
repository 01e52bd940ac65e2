package bind

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"holdfast/internal/escrow/agreement/problem"
	"holdfast/internal/escrow/agreement/yamltext"
)

// Leaf is one text that names something: it declares an id or refers to one.
type Leaf struct {
	Path string
	Pos  problem.Pos
	Text string
	ID   string   // the kind of thing it declares, or ""
	Ref  []string // the kinds of thing and the words it may be, or nil
}

// Place is where a path is in the text. The key of a list item is the item.
type Place struct {
	Key, Value problem.Pos
}

// Later is a key that is present but not acted on yet.
type Later struct {
	Path string
	Pos  problem.Pos
	Key  string
	By   string // what will act on it
}

// Bound is what reading a text into types found, besides the values.
type Bound struct {
	File     string
	Problems problem.List
	Places   map[string]Place
	Texts    map[string]*yamltext.Node // the expressions, by path
	Leaves   []Leaf
	Later    []Later
	Scopes   map[string]string // what for_each says, by the path of the entry that has it

	types map[reflect.Type][]field
}

// maxProblems ends the search for more: nobody mends a thousand at once, and
// each one costs a search for what was meant.
const maxProblems = 100

// Bind reads node into the struct that into points at. Problems are
// collected, not returned one at a time: the values of keys that are wrong
// stay zero.
func Bind(file string, node *yamltext.Node, into any) *Bound {
	b := &Bound{File: file, Places: map[string]Place{}, Texts: map[string]*yamltext.Node{},
		Scopes: map[string]string{}, types: map[reflect.Type][]field{}}
	b.Places[""] = Place{Key: node.Pos, Value: node.Pos}
	b.value(reflect.ValueOf(into).Elem(), node, "", field{})
	return b
}

// Pos returns the place of path, or of the nearest part of it that is in the
// text.
func (b *Bound) Pos(path string) problem.Pos {
	for {
		if p, ok := b.Places[path]; ok {
			return p.Value
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return b.Places[""].Value
		}
		path = path[:i]
	}
}

// KeyPos is like Pos but returns the place of the key, not of its value.
func (b *Bound) KeyPos(path string) problem.Pos {
	if p, ok := b.Places[path]; ok {
		return p.Key
	}
	return b.Pos(path)
}

// Has reports whether the text has the path.
func (b *Bound) Has(path string) bool {
	_, ok := b.Places[path]
	return ok
}

// Join appends a key to a path.
func Join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// At appends an index to a path.
func At(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// Full reports whether enough problems have been found.
func (b *Bound) Full() bool { return len(b.Problems) >= maxProblems }

func (b *Bound) fieldsOf(t reflect.Type) []field {
	fs, ok := b.types[t]
	if !ok {
		fs = fields(t)
		b.types[t] = fs
	}
	return fs
}

func (b *Bound) fail(path string, pos problem.Pos, rule, hint, format string, args ...any) {
	b.Problems = append(b.Problems, problem.Problem{
		File: b.File, Pos: pos, Path: path, Severity: problem.Error, Rule: rule,
		Message: fmt.Sprintf(format, args...), Hint: hint,
	})
}

func (b *Bound) value(v reflect.Value, n *yamltext.Node, path string, f field) {
	if b.Full() {
		return
	}
	if n.IsNull() {
		b.fail(path, n.Pos, "no-value", "give it a value or remove the key", "%s has no value", orDocument(path))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		v.Set(p)
		b.value(p.Elem(), n, path, f)
	case reflect.Slice:
		b.list(v, n, path, f)
	case reflect.Map:
		b.table(v, n, path, f)
	case reflect.Struct:
		b.object(v, n, path)
	case reflect.String, reflect.Int, reflect.Bool:
		if n.Kind != yamltext.Scalar {
			b.fail(path, n.Pos, "wrong-kind", "write one value here", "%s takes a single value, not %s", orDocument(path), n.Kind)
			return
		}
		b.scalar(v, n, path, f)
	default:
		panic("bind: cannot read into " + v.Type().String())
	}
}

func orDocument(path string) string {
	if path == "" {
		return "the document"
	}
	return path
}

func (b *Bound) object(v reflect.Value, n *yamltext.Node, path string) {
	if n.Kind != yamltext.Mapping {
		b.fail(path, n.Pos, "wrong-kind", "write keys and values here", "%s takes a mapping, not %s", orDocument(path), n.Kind)
		return
	}
	fs := b.fieldsOf(v.Type())
	seen := map[string]bool{}
	for _, nf := range n.Fields {
		i := slices.IndexFunc(fs, func(f field) bool { return f.key == nf.Key })
		if i < 0 && b.Full() {
			return
		}
		if i < 0 {
			b.fail(Join(path, nf.Key), nf.Pos, "unknown-key", problem.DidYouMean(nf.Key, keysOf(fs)), "unknown key %q in %s", nf.Key, orDocument(path))
			continue
		}
		f, sub := fs[i], Join(path, nf.Key)
		seen[f.key] = true
		b.Places[sub] = Place{Key: nf.Pos, Value: nf.Value.Pos}
		if f.later != "" {
			b.Later = append(b.Later, Later{Path: sub, Pos: nf.Pos, Key: f.key, By: f.later})
		}
		b.value(v.FieldByIndex(f.index), nf.Value, sub, f)
	}
	if what, ok := choice(v.Type()); ok {
		if len(n.Fields) != 1 {
			b.fail(path, n.Pos, "one-of", "possible: "+strings.Join(keysOf(fs), ", "), "%s takes exactly one key: %s", orDocument(path), what)
		}
		return
	}
	for _, f := range fs {
		if f.required && !seen[f.key] {
			b.fail(Join(path, f.key), n.Pos, "missing-key", "add it: "+firstSentence(f.doc), "the key %q is missing in %s", f.key, orDocument(path))
		}
	}
}

func firstSentence(doc string) string {
	text, _, _ := strings.Cut(doc, ". ")
	return strings.TrimSuffix(text, ".")
}

func (b *Bound) list(v reflect.Value, n *yamltext.Node, path string, f field) {
	if n.Kind != yamltext.Sequence {
		if !f.list {
			b.fail(path, n.Pos, "wrong-kind", "write a list: [a, b], or one entry a line after a dash", "%s takes a list, not %s", path, n.Kind)
			return
		}
		n = &yamltext.Node{Kind: yamltext.Sequence, Pos: n.Pos, Items: []*yamltext.Node{n}}
	}
	if len(n.Items) == 0 && f.required {
		b.fail(path, n.Pos, "empty-list", "add an entry", "%s needs at least one entry", path)
	}
	out := reflect.MakeSlice(v.Type(), len(n.Items), len(n.Items))
	seen := map[string]bool{}
	for i, item := range n.Items {
		sub := At(path, i)
		b.Places[sub] = Place{Key: item.Pos, Value: item.Pos}
		if item.Kind == yamltext.Scalar && v.Type().Elem().Kind() == reflect.String {
			if seen[item.Text] {
				b.fail(sub, item.Pos, "repeated", "remove one", "%q is in the list twice", item.Text)
			}
			seen[item.Text] = true
		}
		b.value(out.Index(i), item, sub, f)
	}
	v.Set(out)
}

func (b *Bound) table(v reflect.Value, n *yamltext.Node, path string, f field) {
	if n.Kind != yamltext.Mapping {
		b.fail(path, n.Pos, "wrong-kind", "write keys and values here", "%s takes a mapping, not %s", path, n.Kind)
		return
	}
	out := reflect.MakeMapWithSize(v.Type(), len(n.Fields))
	for _, nf := range n.Fields {
		sub := Join(path, nf.Key)
		b.Places[sub] = Place{Key: nf.Pos, Value: nf.Value.Pos}
		if len(f.keys) > 0 && !slices.Contains(f.keys, nf.Key) {
			b.fail(sub, nf.Pos, "unknown-key", problem.DidYouMean(nf.Key, f.keys), "unknown key %q in %s", nf.Key, path)
			continue
		}
		item := reflect.New(v.Type().Elem()).Elem()
		b.value(item, nf.Value, sub, field{list: true, enum: f.enum, is: f.is, ref: f.ref})
		out.SetMapIndex(reflect.ValueOf(nf.Key), item)
	}
	v.Set(out)
}

func (b *Bound) scalar(v reflect.Value, n *yamltext.Node, path string, f field) {
	switch v.Kind() {
	case reflect.Bool:
		if !n.Plain || n.Text != "true" && n.Text != "false" {
			b.fail(path, n.Pos, "wrong-value", "write true or false, without quotes", "%q is neither true nor false", n.Text)
			return
		}
		v.SetBool(n.Text == "true")
	case reflect.Int:
		b.number(v, n, path, f)
	case reflect.String:
		b.text(v, n, path, f)
	}
}

// number reads a whole number from the digits as they are written: no sign,
// no leading zero, no separator, no other base.
func (b *Bound) number(v reflect.Value, n *yamltext.Node, path string, f field) {
	const most = 1_000_000_000
	if n.Text == "" || strings.Trim(n.Text, "0123456789") != "" || len(n.Text) > 1 && n.Text[0] == '0' || !n.Plain {
		b.fail(path, n.Pos, "wrong-value", "write plain digits without quotes, sign, separators or leading zeros", "%q is not a whole number", n.Text)
		return
	}
	i, err := strconv.Atoi(n.Text)
	if err != nil || i > most || i < f.min {
		b.fail(path, n.Pos, "wrong-value", fmt.Sprintf("write a number from %d to %d", f.min, most), "%s is out of range", n.Text)
		return
	}
	v.SetInt(int64(i))
}

func (b *Bound) text(v reflect.Value, n *yamltext.Node, path string, f field) {
	q, isQuantity := v.Interface().(Quantity)
	truth := slices.Contains(f.enum, n.Text) && (n.Text == "true" || n.Text == "false")
	// A quantity has a grammar of its own, which decides; where any text is
	// possible, one that YAML readers take for something else must be quoted.
	if what := Reading(n); what != "" && !truth && !isQuantity {
		b.fail(path, n.Pos, "ambiguous", fmt.Sprintf("quote this: %q", n.Text), "readers of YAML take %s for %s", n.Text, what)
		return
	}
	text := strings.TrimRight(n.Text, "\n")
	if len(f.enum) > 0 {
		if !slices.Contains(f.enum, text) {
			b.fail(path, n.Pos, "unknown-word", problem.DidYouMean(text, f.enum), "%q is not a possible value of %s", text, path)
			return
		}
	} else if isQuantity {
		if err := set(v, text).Valid(); err != nil {
			v.SetString("")
			b.fail(path, n.Pos, "wrong-value", "for example "+q.Grammar().Example, "%v", err)
			return
		}
	} else if what, hint := form(text, f); what != "" {
		b.fail(path, n.Pos, "wrong-value", hint, "%s", what)
		return
	}
	v.SetString(text)
	if f.is == "expression" {
		b.Texts[path] = n
	}
	if f.key == "for_each" {
		b.Scopes[strings.TrimSuffix(strings.TrimSuffix(path, "for_each"), ".")] = text
	}
	if f.id != "" || len(f.ref) > 0 {
		b.Leaves = append(b.Leaves, Leaf{Path: path, Pos: n.Pos, Text: text, ID: f.id, Ref: f.ref})
	}
}

// Reading names what some reader of YAML takes a scalar for other than text.
func Reading(n *yamltext.Node) string {
	if !n.Plain {
		return ""
	}
	return yamltext.Ambiguous(n.Text)
}

func set(v reflect.Value, text string) Quantity {
	v.SetString(text)
	return v.Interface().(Quantity)
}

const (
	maxLine = 500
	maxText = 20_000
)

// form checks a text that has no type of its own. It returns what is wrong
// and what to do, or "".
func form(s string, f field) (what, hint string) {
	is := f.is
	if is == "" && len(f.ref) > 0 {
		is = "path"
	}
	limit := maxLine
	if is == "text" || is == "expression" {
		limit = maxText
	}
	switch {
	case s == "":
		return "the text is empty", "write something or remove the key"
	case utf8.RuneCountInString(s) > limit:
		return fmt.Sprintf("the text is longer than %d characters", limit), "shorten it"
	case strings.TrimSpace(s) != s:
		return fmt.Sprintf("%q begins or ends with a space", s), "remove it"
	}
	switch is {
	case "text", "expression":
		return "", ""
	case "id":
		if !IsName(s) {
			return fmt.Sprintf("%q is not an id", s), "use lower-case letters, digits, - and _, beginning with a letter or digit, at most 40"
		}
	case "path":
		for _, part := range strings.Split(s, "/") {
			if !IsName(part) {
				return fmt.Sprintf("%q is not an id", s), "use lower-case letters, digits, - and _, beginning with a letter or digit; / separates parts"
			}
		}
		if strings.Count(s, "/") > 1 {
			return fmt.Sprintf("%q has more than two parts", s), "write name or name/instance"
		}
	case "digest":
		if len(s) != 64 || strings.Trim(s, "0123456789abcdef") != "" {
			return fmt.Sprintf("%q is not a digest", s), "write the SHA-256 as 64 lower-case hexadecimal digits"
		}
	case "url":
		if what := badURL(s); what != "" {
			return what, "write scheme://host/path without user name and password"
		}
	default:
		if strings.ContainsRune(s, '\n') {
			return "the text has more than one line", "write it on one line"
		}
	}
	return "", ""
}

// IsName reports whether s can be the id of a thing in an agreement: one part
// of what the evidence formats call an id, short enough that two of them fit.
func IsName(s string) bool {
	if s == "" || len(s) > 40 || s[0] == '-' || s[0] == '_' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// badURL says what is wrong with a URL of a source: it must name a host and
// carry no secret. scp-like git addresses (git@host:path) are URLs too.
func badURL(s string) string {
	for _, c := range s {
		if c <= ' ' || c > '~' || strings.ContainsRune("\"<>\\^`{|}", c) {
			return fmt.Sprintf("the URL holds the character %q", c)
		}
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		user, path, scp := strings.Cut(s, ":")
		if scp && path != "" && !strings.Contains(user, "/") && strings.Contains(user, "@") {
			return ""
		}
		return fmt.Sprintf("%q is not a URL", s)
	}
	if !slices.Contains([]string{"https", "http", "ssh", "git", "file"}, scheme) {
		return fmt.Sprintf("the scheme %q is not known; https, ssh, git, http and file are", scheme)
	}
	host, _, _ := strings.Cut(rest, "/")
	user, name, hasUser := strings.Cut(host, "@")
	switch {
	case host == "" && scheme != "file", hasUser && name == "":
		return "the URL names no host"
	case hasUser && (strings.Contains(user, ":") || scheme != "ssh"):
		return "the URL holds a user name or password"
	case strings.ContainsAny(rest, "?#"):
		return "the URL holds a query or fragment"
	}
	return ""
}
