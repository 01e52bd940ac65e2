package pack

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"holdfast/internal/escrow"
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

// ThinError says that deltas of a pack build on objects it does not hold.
// errors.As finds it in what [Check] returns.
type ThinError struct {
	Base   object.OID // the first such object
	Deltas int        // how many deltas were left
}

func (e *ThinError) Error() string { return "object " + e.Base.String() + " is not in the pack" }

const (
	hintDamaged = "the pack was damaged on its way or at its source; deposit again, and run git fsck at the source if it happens again"
	hintMissing = "the source left objects out; run git fsck --connectivity-only there"
)

// damaged makes the error for bytes that are not what a pack is made of.
func damaged(format string, args ...any) *escrow.Error {
	return escrow.Errorf(escrow.Damaged, format, args...).WithHint(hintDamaged)
}

// place names an entry of the pack.
func (c *checker) place(i int) string {
	return fmt.Sprintf("object %d of %d at byte %d of the pack", i+1, c.n, c.offsets[i])
}

// broken gives err the place of the entry it was found in. Errors that have a
// code already, and those of a cancelled context, say all there is to say.
func (c *checker) broken(i int, err error) error {
	if _, ok := errors.AsType[*escrow.Error](err); ok || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return damaged("%s (%s): %w", c.place(i), c.kinds[i], err)
}

// tooLarge says which limit an entry passes.
func (c *checker) tooLarge(i int, what string, size, limit int64) error {
	return escrow.Errorf(escrow.Invalid, "%s: %s of %d bytes, more than the %d allowed", c.place(i), what, size, limit).
		WithHint("if the repository is meant to hold objects of this size, raise the limit")
}
