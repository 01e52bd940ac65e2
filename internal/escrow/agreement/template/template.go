// Package template writes new agreements from templates: whole agreements
// for common situations with a few questions each, made of standard modules
// and of clauses in Dutch and English. Templates, modules and clauses are
// data files that are part of the program.
//
// It may depend on escrow and, for the form of ids, on agreement's bind and
// yamltext. It does no I/O.
package template

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"text/template"
	"unicode"

	"github.com/goccy/go-yaml"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement/bind"
	"holdfast/internal/escrow/agreement/yamltext"
)

//go:embed data
var files embed.FS

// Text is a text in both languages.
type Text struct {
	Nl string `yaml:"nl"`
	En string `yaml:"en"`
}

// In returns the text in a language; anything but nl is English.
func (t Text) In(language string) string {
	if language == "nl" {
		return t.Nl
	}
	return t.En
}

// Question is something a template must know.
type Question struct {
	Key     string `yaml:"key"`
	Ask     Text   `yaml:"ask"`
	Default Text   `yaml:"default"` // "" means it must be answered
	Kind    string `yaml:"kind"`    // text (the default), list, url, kvk, id
	Least   int    `yaml:"least"`   // of a list
}

// Template is one kind of agreement.
type Template struct {
	Name      string     `yaml:"-"`
	Title     Text       `yaml:"title"`
	About     Text       `yaml:"about"`
	Language  string     `yaml:"language"` // the usual one
	Questions []Question `yaml:"questions"`
}

// Clause is a standard clause.
type Clause struct {
	ID    string `yaml:"id"`
	About string `yaml:"about"`
	Title Text   `yaml:"title"`
	Text  Text   `yaml:"text"`
}

// Answers is what was answered, by the key of the question.
type Answers map[string][]string

// Names lists the templates.
func Names() []string {
	entries, err := fs.ReadDir(files, "data/agreements")
	if err != nil {
		panic(err) // embedded
	}
	var out []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".yaml"); ok {
			out = append(out, name)
		}
	}
	return out
}

// Get returns the template with the name.
func Get(name string) (*Template, error) {
	t := &Template{Name: name}
	if !slices.Contains(Names(), name) {
		return nil, escrow.Errorf(escrow.NotFound, "there is no template %q", name).WithHint("possible: %s", strings.Join(Names(), ", "))
	}
	if err := read("agreements/"+name+".yaml", t); err != nil {
		return nil, err
	}
	return t, nil
}

// Clauses lists the standard clauses.
func Clauses() ([]Clause, error) {
	var out []Clause
	return out, read("clauses.yaml", &out)
}

func read(name string, into any) error {
	data, err := files.ReadFile("data/" + name)
	if err == nil {
		err = yaml.UnmarshalWithOptions(data, into, yaml.Strict())
	}
	if err != nil {
		return fmt.Errorf("template data %s: %w", name, err)
	}
	return nil
}

// Check says what is wrong with an answer, or "".
func (q *Question) Check(values []string) string {
	if q.Kind != "list" && len(values) != 1 {
		return fmt.Sprintf("%s takes one answer", q.Key)
	}
	if len(values) < max(q.Least, 1) {
		return fmt.Sprintf("%s takes at least %d answers, separated by ;", q.Key, max(q.Least, 1))
	}
	if len(values) > 100 {
		return fmt.Sprintf("%s takes at most 100 answers", q.Key)
	}
	for i, v := range values {
		switch {
		case v == "":
			return fmt.Sprintf("%s needs an answer", q.Key)
		case len(v) > 200:
			return fmt.Sprintf("%s: the answer is longer than 200 characters", q.Key)
		case strings.ContainsFunc(v, func(r rune) bool {
			return r == unicode.ReplacementChar || unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp)
		}):
			return fmt.Sprintf("%s: the answer holds a character that cannot be seen", q.Key)
		case slices.Contains(values[:i], v):
			return fmt.Sprintf("%s: %q is given twice", q.Key, v)
		}
		switch q.Kind {
		case "kvk":
			if len(v) != 8 || strings.Trim(v, "0123456789") != "" {
				return fmt.Sprintf("%s: %q is not a number of the Dutch trade register, which has 8 digits", q.Key, v)
			}
		case "id":
			if !bind.IsName(v) {
				return fmt.Sprintf("%s: %q is not an id: lower-case letters, digits, - and _", q.Key, v)
			}
		case "url":
			if !strings.HasPrefix(v, "https://") || strings.ContainsAny(v, " @?#\"'\\<>") || len(v) < len("https://a.b") {
				return fmt.Sprintf("%s: %q is not an https URL without user name and query", q.Key, v)
			}
		}
	}
	return ""
}

// Fill fills in the defaults of what was not answered. It returns an error
// that names every answer that is missing, wrong or not asked for.
func (t *Template) Fill(given Answers, language string) (Answers, error) {
	out := Answers{}
	var wrong []string
	for _, q := range t.Questions {
		values, ok := given[q.Key]
		if d := q.Default.In(language); !ok && d != "" {
			values, ok = []string{d}, true
			if q.Kind == "list" {
				values = Split(d)
			}
		}
		if !ok {
			wrong = append(wrong, fmt.Sprintf("%s is not answered: %s", q.Key, q.Ask.In(language)))
			continue
		}
		if what := q.Check(values); what != "" {
			wrong = append(wrong, what)
		}
		out[q.Key] = values
	}
	for key := range given {
		if !slices.ContainsFunc(t.Questions, func(q Question) bool { return q.Key == key }) {
			wrong = append(wrong, fmt.Sprintf("%s is not asked by this template", key))
		}
	}
	if len(wrong) > 0 {
		slices.Sort(wrong)
		return nil, escrow.Errorf(escrow.Invalid, "the answers do not fit the template %s:\n  %s", t.Name, strings.Join(wrong, "\n  ")).
			WithHint("holdfast agreement new --questions --template %s lists what is asked", t.Name)
	}
	return out, nil
}

// Split reads a list of answers: separated by semicolons.
func Split(s string) []string {
	var out []string
	for _, v := range strings.Split(s, ";") {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, v)
		}
	}
	return out
}

// Named is a name with the id that stands for it in the text.
type Named struct {
	ID, Name string
}

// Write writes the agreement in a language, nl or en. Answers must come from
// [Template.Fill].
func (t *Template) Write(a Answers, language string) ([]byte, error) {
	ids := taken()
	lists := map[string][]Named{}
	for _, q := range t.Questions {
		for _, name := range a[q.Key] {
			lists[q.Key] = append(lists[q.Key], Named{ID: ids.make(name), Name: name})
		}
	}
	tree := template.New(t.Name).Option("missingkey=error").Funcs(template.FuncMap{
		"q": quote,
		"t": func(nl, en string) string { return quote(Text{nl, en}.In(language)) },
		"a": func(key string) (string, error) {
			if len(a[key]) != 1 {
				return "", fmt.Errorf("no single answer %q", key)
			}
			return quote(a[key][0]), nil
		},
		"id":      func(key string) string { return Slug(strings.Join(a[key], "-")) },
		"list":    func(key string) []Named { return lists[key] },
		"lang":    func() string { return language },
		"nl":      func() bool { return language == "nl" },
		"ids":     func(key string) string { return joinIDs(lists[key]) },
		"clauses": func(names ...string) (string, error) { return clauses(language, names) },
	})
	for _, dir := range []string{"data/modules", "data/agreements"} {
		entries, err := fs.ReadDir(files, dir)
		if err != nil {
			return nil, fmt.Errorf("template data: %w", err)
		}
		for _, e := range entries {
			if dir == "data/agreements" && e.Name() != t.Name+".tmpl" || !strings.HasSuffix(e.Name(), ".tmpl") {
				continue
			}
			text, err := files.ReadFile(path.Join(dir, e.Name()))
			if err != nil {
				return nil, fmt.Errorf("template data: %w", err)
			}
			if _, err := tree.New(e.Name()).Parse(string(text)); err != nil {
				return nil, fmt.Errorf("template data: %w", err)
			}
		}
	}
	var buf bytes.Buffer
	if err := tree.ExecuteTemplate(&buf, t.Name+".tmpl", nil); err != nil {
		return nil, fmt.Errorf("template %s: %w", t.Name, err)
	}
	return buf.Bytes(), nil
}

func joinIDs(list []Named) string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = n.ID
	}
	return strings.Join(out, ", ")
}

// clauses writes standard clauses as entries of the agreement's list.
func clauses(language string, names []string) (string, error) {
	all, err := Clauses()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, name := range names {
		i := slices.IndexFunc(all, func(c Clause) bool { return c.ID == name })
		if i < 0 {
			return "", fmt.Errorf("no clause %q", name)
		}
		c := all[i]
		fmt.Fprintf(&b, "  - id: %s\n    about: %s\n    title: %s\n    text: %s\n", c.ID, c.About, quote(c.Title.In(language)), quote(c.Text.In(language)))
	}
	return strings.TrimRight(b.String(), "\n"), nil
}

// quote writes a text as a quoted scalar on one line.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// idMaker makes ids that are not used yet.
type idMaker map[string]bool

// taken are the ids templates use themselves, and the words that have a
// meaning of their own.
func taken() idMaker {
	out := idMaker{}
	for _, w := range []string{"self", "claimant", "operator", "curator", "acquirer", "beneficiaries", "licences", "all", "none", "court", "independent",
		"supplier", "owner", "host", "agent", "foundation", "standby"} {
		out[w] = true
	}
	return out
}

func (m idMaker) make(name string) string {
	base := Slug(name)
	id := base
	for n := 2; m[id]; n++ {
		suffix := fmt.Sprintf("-%d", n)
		id = base[:min(len(base), 40-len(suffix))] + suffix
	}
	m[id] = true
	return id
}

// Slug makes an id of a name: Gemeente 's-Hertogenbosch becomes
// gemeente-s-hertogenbosch.
func Slug(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case strings.ContainsRune("àáâãäå", r):
			b.WriteByte('a')
		case strings.ContainsRune("èéêë", r):
			b.WriteByte('e')
		case strings.ContainsRune("ìíîï", r):
			b.WriteByte('i')
		case strings.ContainsRune("òóôõöø", r):
			b.WriteByte('o')
		case strings.ContainsRune("ùúûü", r):
			b.WriteByte('u')
		case r == 'ç':
			b.WriteByte('c')
		case r == 'ñ':
			b.WriteByte('n')
		case !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	id := strings.Trim(b.String(), "-")
	id = strings.TrimRight(id[:min(len(id), 40)], "-")
	if id == "" || yamltext.Ambiguous(id) != "" {
		id = strings.TrimSuffix("x-"+id, "-") // readers of YAML take no for false
	}
	return id
}
