// Package regime maps the requirements of a regulation to the places of an
// agreement that answer them: covered by which part, shown by which evidence,
// or missing. Regulations are data files; those of the program are embedded
// and others can be read beside them. The maps say where to look. Whether a
// requirement is met is for a lawyer to say.
//
// It may depend on package agreement, its sub-packages and escrow. It does
// no I/O.
package regime

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/bind"
	"holdfast/internal/escrow/agreement/problem"
	"holdfast/internal/escrow/agreement/yamltext"
)

//go:embed data/*.yaml
var files embed.FS

// Format names the language of the data files.
const Format = "regime/v1"

// Text is a text in both languages.
type Text struct {
	Nl string `yaml:"nl"`
	En string `yaml:"en"`
}

// In returns the text in a language; anything but nl is English.
func (t Text) In(l agreement.Language) string {
	if l == "nl" {
		return t.Nl
	}
	return t.En
}

// Regime is a regulation, as far as an agreement can answer it.
type Regime struct {
	Format       string        `yaml:"holdfast"`
	Name         string        `yaml:"name"`
	Title        Text          `yaml:"title"`
	Source       string        `yaml:"source"` // where the regulation itself is
	Note         Text          `yaml:"note"`
	Requirements []Requirement `yaml:"requirements"`
}

// Requirement is one thing a regulation asks of a contract.
type Requirement struct {
	Ref      string   `yaml:"ref"`      // article and paragraph
	Asks     Text     `yaml:"asks"`     // in our own words
	All      []string `yaml:"all"`      // places that must all be there
	Any      []string `yaml:"any"`      // places of which one must be there
	Evidence Text     `yaml:"evidence"` // what to show
	Gap      Text     `yaml:"gap"`      // what to do when it is missing
}

// Names lists the regulations that are part of the program.
func Names() []string {
	entries, err := fs.ReadDir(files, "data")
	if err != nil {
		panic(err) // embedded
	}
	var out []string
	for _, e := range entries {
		out = append(out, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return out
}

// Get returns a regulation that is part of the program.
func Get(name string) (*Regime, error) {
	if !slices.Contains(Names(), name) {
		return nil, escrow.Errorf(escrow.NotFound, "there is no regime %q", name).
			WithHint("possible: %s; or the path of a file of your own", strings.Join(Names(), ", "))
	}
	data, err := files.ReadFile("data/" + name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("regime %s: %w", name, err)
	}
	return Parse(name, data)
}

// The limits of a data file.
const (
	maxBytes        = 256 << 10
	maxRequirements = 500
	maxPlaces       = 20
)

// Parse reads a data file. name is only used to say what is wrong.
func Parse(name string, data []byte) (*Regime, error) {
	if len(data) > maxBytes {
		return nil, escrow.Errorf(escrow.Invalid, "%s is larger than %d bytes", name, maxBytes)
	}
	// The strict reader refuses what YAML readers disagree on and what can
	// blow up, and says where.
	if root, problems := yamltext.Read(name, data); root == nil {
		return nil, escrow.Errorf(escrow.Invalid, "%s", strings.TrimSpace(problems.String())).WithHint("docs/agreement.md describes the form of a regime file")
	}
	r := &Regime{}
	if err := yaml.UnmarshalWithOptions(data, r, yaml.Strict()); err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "%s: %v", name, err).WithHint("docs/agreement.md describes the form of a regime file")
	}
	bad := func(format string, args ...any) error {
		return escrow.Errorf(escrow.Invalid, "%s: %s", name, fmt.Sprintf(format, args...)).WithHint("docs/agreement.md describes the form of a regime file")
	}
	switch {
	case r.Format != Format:
		return nil, bad("this is not a regime: it does not begin with holdfast: %s", Format)
	case r.Name == "":
		return nil, bad("it has no name")
	case len(r.Requirements) == 0 || len(r.Requirements) > maxRequirements:
		return nil, bad("it has %d requirements, from 1 to %d are possible", len(r.Requirements), maxRequirements)
	}
	seen := map[string]bool{}
	for i, q := range r.Requirements {
		switch {
		case q.Ref == "" || seen[q.Ref]:
			return nil, bad("requirement %d has the reference %q, which is empty or given twice", i+1, q.Ref)
		case q.Asks.Nl == "" || q.Asks.En == "":
			return nil, bad("%s does not say in both languages what is asked", q.Ref)
		case len(q.All)+len(q.Any) > maxPlaces:
			return nil, bad("%s names more than %d places", q.Ref, maxPlaces)
		}
		seen[q.Ref] = true
		for _, p := range slices.Concat(q.All, q.Any) {
			if _, err := parsePlace(p); err != nil {
				return nil, bad("%s: %v", q.Ref, err)
			}
		}
	}
	return r, nil
}

// State is how far a requirement is answered.
type State string

// Covered is answered by the agreement, Partly in part, and a Gap not at all.
const (
	Covered State = "covered"
	Partly  State = "partly"
	Gap     State = "gap"
)

// Row is what an agreement says about one requirement.
type Row struct {
	Ref      string   `json:"ref"`
	Asks     string   `json:"asks"`
	State    State    `json:"state"`
	Parts    []string `json:"parts,omitempty"`  // the parts of the agreement it is in
	Places   []Place  `json:"places,omitempty"` // where in the text
	Missing  []string `json:"missing,omitempty"`
	Evidence string   `json:"evidence,omitempty"`
	Do       string   `json:"do,omitempty"` // what to do about a gap
}

// Place is a place of the text.
type Place struct {
	Path string      `json:"path"`
	Pos  problem.Pos `json:"at"`
}

// Map returns a row for every requirement, in the order of the regulation.
func Map(r *Regime, a *agreement.Agreement, b *bind.Bound, l agreement.Language) []Row {
	tree := bind.Tree(a)
	rows := make([]Row, len(r.Requirements))
	for i, q := range r.Requirements {
		row := Row{Ref: q.Ref, Asks: q.Asks.In(l), State: Covered, Evidence: q.Evidence.In(l)}
		found := 0
		look := func(place string) bool {
			paths := find(tree, place)
			for _, p := range paths {
				row.Places = append(row.Places, Place{Path: p, Pos: b.Pos(p)})
				if part := partOf(a, tree, p); !slices.Contains(row.Parts, part) {
					row.Parts = append(row.Parts, part)
				}
			}
			return len(paths) > 0
		}
		for _, p := range q.All {
			if look(p) {
				found++
			} else {
				row.Missing = append(row.Missing, p)
			}
		}
		some := len(q.Any) == 0
		for _, p := range q.Any {
			if look(p) {
				some = true
				found++
			}
		}
		if !some {
			row.Missing = append(row.Missing, strings.Join(q.Any, " or "))
		}
		switch {
		case found == 0:
			row.State = Gap
		case len(row.Missing) > 0:
			row.State = Partly
		}
		if row.State != Covered {
			row.Do = q.Gap.In(l)
		}
		rows[i] = row
	}
	return rows
}

// partOf names the part of the agreement that holds the place.
func partOf(a *agreement.Agreement, tree any, path string) string {
	section, _, _ := strings.Cut(path, ".")
	name, index, isItem := strings.Cut(section, "[")
	id := ""
	if isItem {
		if top, ok := tree.(map[string]any); ok {
			if items, ok := top[name].([]any); ok {
				if n, err := strconv.Atoi(strings.TrimSuffix(index, "]")); err == nil && n < len(items) {
					id = idOf(items[n])
				}
			}
		}
	}
	frame := ""
	for _, p := range a.Parts {
		if slices.Contains(p.Holds, name) || id != "" && slices.Contains(p.Holds, name+"/"+id) {
			return p.ID
		}
		if p.Kind == "frame" {
			frame = p.ID
		}
	}
	return frame
}

// idOf is the id of an entry; a module has it one level down.
func idOf(v any) string {
	m, ok := v.(map[string]any)
	if !ok {
		return ""
	}
	if id, ok := m["id"].(string); ok {
		return id
	}
	for _, inner := range m {
		if n, ok := inner.(map[string]any); ok && len(m) == 1 {
			if id, ok := n["id"].(string); ok {
				return id
			}
		}
	}
	return ""
}
