package observed

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"holdfast/internal/escrow/agreement/problem"
	"holdfast/internal/sla"
)

// maxDepth bounds the nesting of a file; the format has six levels. maxKeys
// bounds the keys of one object, and maxValues all values: a year of minutes
// has less than three million.
const (
	maxDepth  = 12
	maxKeys   = 64
	maxValues = 4_000_000
)

// node is a JSON value with its place.
type node struct {
	at     int  // offset of its first byte
	kind   byte // { [ " 0 t n
	text   string
	keys   []string
	places []int
	items  []node
}

// readJSON reads a file into nodes; a key that is there twice is refused.
func readJSON(data []byte) (node, int, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	left := maxValues
	n, err := value(d, data, 0, &left)
	if errors.Is(err, io.EOF) {
		err = errors.New("the document ends too early")
	}
	if err != nil {
		return n, at(d, data, err), err
	}
	end := int(d.InputOffset())
	if rest := bytes.TrimSpace(data[end:]); len(rest) > 0 {
		return n, end, errors.New("something follows the end of the document")
	}
	return n, 0, nil
}

// repeated is a key that is there twice, at an offset.
type repeated struct {
	key string
	at  int
}

func (r repeated) Error() string { return fmt.Sprintf("the key %q is there twice", r.key) }

// at is where an error of the decoder is.
func at(d *json.Decoder, data []byte, err error) int {
	var syntax *json.SyntaxError
	var twice repeated
	switch {
	case errors.As(err, &twice):
		return twice.at
	case errors.As(err, &syntax):
		return max(int(syntax.Offset)-1, 0)
	}
	return min(int(d.InputOffset()), len(data))
}

func value(d *json.Decoder, data []byte, depth int, left *int) (node, error) {
	if depth > maxDepth {
		return node{}, fmt.Errorf("nested more than %d levels deep", maxDepth)
	}
	if *left--; *left < 0 {
		return node{}, fmt.Errorf("more than %d values; split the file", maxValues)
	}
	start := skip(data, int(d.InputOffset()))
	t, err := d.Token()
	if err != nil {
		return node{}, err
	}
	n := node{at: start}
	switch x := t.(type) {
	case json.Delim:
		n.kind = byte(x)
		for d.More() {
			if x == '{' {
				place := skip(data, int(d.InputOffset()))
				k, err := d.Token()
				if err != nil {
					return n, err
				}
				key, _ := k.(string)
				if slices.Contains(n.keys, key) {
					return n, repeated{key, place}
				}
				if len(n.keys) == maxKeys {
					return n, fmt.Errorf("an object with more than %d keys", maxKeys)
				}
				n.keys, n.places = append(n.keys, key), append(n.places, place)
			}
			item, err := value(d, data, depth+1, left)
			if err != nil {
				return n, err
			}
			n.items = append(n.items, item)
		}
		_, err := d.Token()
		return n, err
	case string:
		n.kind, n.text = '"', x
	case json.Number:
		n.kind, n.text = '0', x.String()
	case bool:
		n.kind, n.text = 't', strconv.FormatBool(x)
	default:
		n.kind = 'n'
	}
	return n, nil
}

// skip is the offset of the value after white space, a comma or a colon.
func skip(data []byte, i int) int {
	for i < len(data) && strings.IndexByte(" \t\r\n,:", data[i]) >= 0 {
		i++
	}
	return i
}

// binder reads nodes into values, collecting what is wrong.
type binder struct {
	file     string
	data     []byte
	zone     *time.Location
	problems problem.List
}

// maxProblems ends the search for more.
const maxProblems = 50

func (b *binder) fail(n node, path, hint, format string, args ...any) {
	if len(b.problems) < maxProblems {
		b.problems = append(b.problems, problem.Problem{File: b.file, Pos: position(b.data, n.at), Path: path, Severity: problem.Error, Rule: "observations", Message: fmt.Sprintf(format, args...), Hint: hint})
	}
}

// conflicts looks for rows of the document that cannot both be true.
func (b *binder) conflicts(root node, out *sla.Observations) {
	look := func(rows []placed) {
		conflicts(rows, func(row, other placed) {
			b.fail(node{at: row.mark}, row.path, "remove what is wrong", "%s", conflict(row, other, position(b.data, other.mark)))
		})
	}
	for i, key := range root.keys {
		switch key {
		case "locations":
			for l, at := range root.items[i].items {
				list := at.items[slices.Index(at.keys, "intervals")].items
				rows := make([]placed, len(list))
				for j, x := range out.Locations[l].Intervals {
					rows[j] = placed{x.Span, x.State, list[j].at, fmt.Sprintf("locations[%d].intervals[%d]", l, j)}
				}
				look(rows)
			}
		case "counts":
			list := root.items[i].items
			rows := make([]placed, len(list))
			for j, x := range out.Counts {
				rows[j] = placed{x.Span, "", list[j].at, fmt.Sprintf("counts[%d]", j)}
				if x.Failed > x.Requests {
					b.fail(list[j], rows[j].path, "", "%d failed, but there were only %d", x.Failed, x.Requests)
				}
			}
			look(rows)
		}
	}
}

// position is the line and column of an offset.
func position(data []byte, at int) problem.Pos {
	before := data[:min(at, len(data))]
	line := bytes.Count(before, []byte("\n")) + 1
	last := bytes.LastIndexByte(before, '\n') + 1
	return problem.Pos{Line: line, Column: utf8.RuneCount(before[last:]) + 1}
}

func (b *binder) bind(v reflect.Value, n node, path string) {
	if len(b.problems) >= maxProblems {
		return
	}
	what := path
	if what == "" {
		what = "the document"
	}
	if v.Type() == reflect.TypeFor[sla.Instant]() {
		if n.kind != '"' {
			b.fail(n, path, "write it as \"2026-09-10T10:00:00Z\"", "%s is not a moment", what)
			return
		}
		i, err := sla.ParseInstant(n.text, b.zone)
		if err != nil {
			b.fail(n, path, "", "%s: %v", what, err)
			return
		}
		v.SetInt(int64(i))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		b.object(v, n, path, what)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			raw, err := base64.StdEncoding.DecodeString(n.text)
			if n.kind != '"' || err != nil {
				b.fail(n, path, "write the bytes in base64", "%s is not base64", what)
				return
			}
			v.SetBytes(raw)
			return
		}
		if n.kind != '[' {
			b.fail(n, path, "write a list", "%s is not a list", what)
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
		for i, item := range n.items {
			b.bind(v.Index(i), item, path+"["+strconv.Itoa(i)+"]")
		}
	case reflect.String:
		if n.kind != '"' {
			b.fail(n, path, "put it in quotes", "%s is not a text", what)
			return
		}
		v.SetString(n.text)
		b.text(v, n, path, what)
	case reflect.Int64:
		x, err := strconv.ParseInt(n.text, 10, 64)
		if n.kind != '0' || err != nil || x < 0 {
			b.fail(n, path, "write plain digits", "%s is not a whole number from 0 on", what)
			return
		}
		v.SetInt(x)
	case reflect.Bool:
		if n.kind != 't' {
			b.fail(n, path, "write true or false", "%s is neither true nor false", what)
			return
		}
		v.SetBool(n.text == "true")
	default:
		panic("observed: cannot read into " + v.Type().String())
	}
}

// text checks a text: its length, that nothing in it hides, and its grammar.
func (b *binder) text(v reflect.Value, n node, path, what string) {
	if err := plain(n.text); err != nil {
		b.fail(n, path, "", "%s: %v", what, err)
		return
	}
	if q, ok := v.Interface().(interface{ Valid() error }); ok && n.text != "" {
		if err := q.Valid(); err != nil {
			b.fail(n, path, "", "%s: %v", what, err)
		}
	}
	if s, ok := v.Interface().(sla.State); ok && !s.Valid() {
		b.fail(n, path, "possible: up, down, unknown", "%s: %.40q is no state", what, n.text)
	}
}

// maxText bounds one text in a file.
const maxText = 1000

// plain refuses texts that could hide something or break a report: control
// characters, line breaks, marks that turn text around.
func plain(s string) error {
	if len(s) > maxText {
		return fmt.Errorf("a text of %d bytes, at most %d", len(s), maxText)
	}
	if !utf8.ValidString(s) {
		return errors.New("not UTF-8")
	}
	for _, r := range s {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2060 && r <= 0x2069 || r == 0xfeff {
			return fmt.Errorf("the character U+%04X is not possible here", r)
		}
	}
	return nil
}

// member is a key of a struct.
type member struct {
	key      string
	index    []int
	required bool
}

func members(t reflect.Type) []member {
	var out []member
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		if f.Anonymous && tag == "" {
			for _, m := range members(f.Type) {
				m.index = append([]int{i}, m.index...)
				out = append(out, m)
			}
			continue
		}
		key, options, _ := strings.Cut(tag, ",")
		out = append(out, member{key, []int{i}, !strings.Contains(options, "omitempty")})
	}
	return out
}

func (b *binder) object(v reflect.Value, n node, path, what string) {
	if n.kind != '{' {
		b.fail(n, path, "write { … }", "%s is not an object", what)
		return
	}
	before := len(b.problems)
	list := members(v.Type())
	seen := map[string]bool{}
	for i, key := range n.keys {
		if path == "" && (key == "format" || key == "time_zone") {
			continue
		}
		sub := key
		if path != "" {
			sub = path + "." + key
		}
		j := slices.IndexFunc(list, func(m member) bool { return m.key == key })
		if j < 0 {
			var names []string
			for _, m := range list {
				names = append(names, m.key)
			}
			b.fail(node{at: n.places[i]}, sub, problem.DidYouMean(key, names), "unknown key %.60q in %s", key, what)
			continue
		}
		seen[key] = true
		b.bind(v.FieldByIndex(list[j].index), n.items[i], sub)
	}
	for _, m := range list {
		if m.required && !seen[m.key] {
			b.fail(n, path, "add it", "the key %q is missing in %s", m.key, what)
		}
	}
	// What has a beginning and an end is checked where it stands.
	if f := v.FieldByName("Span"); f.IsValid() && len(b.problems) == before {
		s, _ := f.Interface().(sla.Span)
		if err := s.Valid(); err != nil {
			b.fail(n, path, "", "%s: %v", what, err)
		}
	}
}
