package git

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"holdfast/evidence"
	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/wire"
)

// LackingFormat names the format of a completeness list.
const LackingFormat = "holdfast-completeness/v1"

// Lacking is the completeness list of a deposit: everything that the source
// names beyond its Git objects, and whether it is held. It names files, so it
// is stored sealed (role "report"): with a FULL deposit when it has an entry,
// with an increment when it differs from the last one. The latest list of the
// chain is the one that holds.
type Lacking struct {
	LFS        []LFSEntry
	Submodules []Submodule    // never held: each is a repository of its own
	Refused    []wire.Refused // refs with names that no repository may hold
}

// LFSEntry is one large file of the completeness list.
type LFSEntry struct {
	LFSObject
	Reason string // why it is not held
}

// lackingDocument is the sealed form.
type lackingDocument struct {
	Format     string             `json:"format"`
	LFS        []lackingLFS       `json:"lfs,omitempty"`
	Submodules []lackingSubmodule `json:"submodules,omitempty"`
	Refused    []lackingRef       `json:"refused,omitempty"`
}

type lackingLFS struct {
	OID    string `json:"oid"`
	Size   int64  `json:"size"`
	Path   string `json:"path,omitempty"` // quoted as ref names are
	Held   bool   `json:"held"`
	Reason string `json:"reason,omitempty"`
}

type lackingSubmodule struct {
	Path   string `json:"path"`
	URL    string `json:"url,omitempty"`
	Commit string `json:"commit"`
}

type lackingRef struct {
	Ref    string `json:"ref"`
	Reason string `json:"reason"`
}

func (l *Lacking) empty() bool {
	return len(l.LFS) == 0 && len(l.Submodules) == 0 && len(l.Refused) == 0
}

// Document returns the list as canonical JSON. Paths and names that are not
// UTF-8 are quoted by [object.QuoteRef].
func (l *Lacking) Document() ([]byte, error) {
	d := lackingDocument{Format: LackingFormat}
	for _, o := range l.LFS {
		d.LFS = append(d.LFS, lackingLFS{OID: o.OID, Size: o.Size, Path: object.QuoteRef(o.Path), Held: o.Held, Reason: o.Reason})
	}
	for _, m := range l.Submodules {
		d.Submodules = append(d.Submodules, lackingSubmodule{Path: object.QuoteRef(m.Path), URL: object.QuoteRef(m.URL), Commit: m.Commit.String()})
	}
	for _, r := range l.Refused {
		d.Refused = append(d.Refused, lackingRef{Ref: object.QuoteRef(r.Name), Reason: r.Reason})
	}
	return evidence.Canonical(d)
}

// maxLines bounds how many things of one kind the public lines name.
const maxLines = 100

// lines returns the public form: what is missing, without names of files.
func (l *Lacking) lines() []string {
	var lines []string
	missing, more := 0, 0
	for _, o := range l.LFS {
		switch {
		case o.Held:
		case missing < maxLines:
			missing++
			lines = append(lines, fmt.Sprintf("lfs object %s: %s", o.OID, cmp.Or(o.Reason, "not held")))
		default:
			more++
		}
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("lfs objects: %d more", more))
	}
	if n := len(l.Submodules); n > 0 {
		lines = append(lines, fmt.Sprintf("submodules: %d, whose repositories are not part of this deposit", n))
	}
	for i, r := range l.Refused {
		if i == maxLines {
			lines = append(lines, fmt.Sprintf("refs refused: %d more", len(l.Refused)-maxLines))
			break
		}
		lines = append(lines, fmt.Sprintf("ref %s refused: its name %s", shorten(object.QuoteRef(r.Name)), r.Reason))
	}
	return lines
}

// shorten bounds a hostile name in a public line.
func shorten(text string) string {
	const longest = 200
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + "..."
}

// mergeLFS adds the pointers of new commits to what the chain named before.
// Both are sorted by id, and so is the result.
func mergeLFS(before, found []LFSObject) []LFSObject {
	all := slices.Clone(before)
	for _, o := range found {
		i, ok := slices.BinarySearchFunc(before, o, func(a, b LFSObject) int { return strings.Compare(a.OID, b.OID) })
		if !ok {
			all = append(all, o)
		} else if all[i].Path == "" {
			all[i].Path = o.Path
		}
	}
	slices.SortFunc(all, func(a, b LFSObject) int { return strings.Compare(a.OID, b.OID) })
	return slices.CompactFunc(all, func(a, b LFSObject) bool { return a.OID == b.OID })
}

// mergeSubmodules adds the submodules of new commits. A path without an
// address gives way to the same path with one.
func mergeSubmodules(before, found []Submodule) []Submodule {
	all := append(slices.Clone(before), found...)
	slices.SortStableFunc(all, compareSubmodules)
	named := make(map[string]bool)
	for _, m := range all {
		if m.URL != "" {
			named[m.Path] = true
		}
	}
	all = slices.DeleteFunc(all, func(m Submodule) bool { return m.URL == "" && named[m.Path] })
	return slices.CompactFunc(all, func(a, b Submodule) bool { return compareSubmodules(a, b) == 0 })
}
