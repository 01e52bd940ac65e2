package pack

import (
	"fmt"
	"strings"

	"holdfast/internal/intake/git/object"
)

// MissingError lists objects that are needed and neither in the pack nor
// known. errors.As finds it in what [Check] returns.
type MissingError struct {
	Objects []MissingObject // at most 100
	Total   int
}

// MissingObject is one object that is not there.
type MissingObject struct {
	ID   object.OID
	Type string // what whoever names it takes it for: "commit", "tree", "blob", "tag", or "" for a tip
	By   object.OID
	Path string // of a tree or blob, "" when no path is known
}

// String says which object is missing and who needs it.
func (m MissingObject) String() string {
	kind := m.Type
	if kind == "" {
		kind = "object"
	}
	text := kind + " " + m.ID.String()
	switch {
	case m.Path != "":
		text += fmt.Sprintf(" (%q, named by tree %s)", m.Path, m.By)
	case !m.By.IsZero():
		text += fmt.Sprintf(" (named by %s)", m.By)
	default:
		text += " (a ref points at it)"
	}
	return text
}

func (e *MissingError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d objects are neither in the pack nor in an earlier deposit: ", e.Total)
	for i, m := range e.Objects {
		if i == 3 {
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(m.String())
	}
	if e.Total > 3 {
		b.WriteString(", ...")
	}
	return b.String()
}
