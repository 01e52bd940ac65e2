// Package history says what became of every ref between two deposits. A
// supplier that rewrites, rewinds or deletes history takes something away from
// those who depend on it; the classification makes that visible to people who
// cannot read the objects.
//
// It is pure: who is whose ancestor is asked through an interface. It imports
// evidence and object only.
package history

import (
	"context"
	"fmt"
	"strings"

	"holdfast/evidence"
	"holdfast/internal/intake/git/object"
)

// Ancestry answers from the commits of all deposits, the newest included.
type Ancestry interface {
	// IsAncestor reports whether old is reachable from new by parents; an id
	// is its own ancestor. An id that is no known commit is nobody's ancestor
	// and has none but itself.
	IsAncestor(ctx context.Context, old, new object.OID) (bool, error)
}

// Snapshot is the refs of a source at one moment.
type Snapshot struct {
	Refs    []object.Ref // by name, each name once
	Head    string       // ref that HEAD names, "" when detached or not told
	HeadOID object.OID   // what HEAD resolves to, zero when unborn
}

// Classify lists every difference between two snapshots, refs in the order of
// their names, HEAD last. Names are quoted as [object.QuoteRef] does.
func Classify(ctx context.Context, a Ancestry, before, after Snapshot) ([]evidence.RefChange, error) {
	var out []evidence.RefChange
	i, j := 0, 0
	for i < len(before.Refs) || j < len(after.Refs) {
		switch {
		case j == len(after.Refs) || i < len(before.Refs) && before.Refs[i].Name < after.Refs[j].Name:
			out = append(out, change(before.Refs[i].Name, evidence.RefDeleted, before.Refs[i].OID, object.OID{}))
			i++
		case i == len(before.Refs) || after.Refs[j].Name < before.Refs[i].Name:
			out = append(out, change(after.Refs[j].Name, evidence.RefNew, object.OID{}, after.Refs[j].OID))
			j++
		default:
			if before.Refs[i].OID != after.Refs[j].OID {
				kind, err := moved(ctx, a, before.Refs[i], after.Refs[j])
				if err != nil {
					return nil, fmt.Errorf("ref %s: %w", object.QuoteRef(after.Refs[j].Name), err)
				}
				out = append(out, change(after.Refs[j].Name, kind, before.Refs[i].OID, after.Refs[j].OID))
			}
			i, j = i+1, j+1
		}
	}
	if c, ok := head(before, after); ok {
		out = append(out, c)
	}
	return out, nil
}

func change(name, kind string, before, after object.OID) evidence.RefChange {
	c := evidence.RefChange{Ref: object.QuoteRef(name), Kind: kind}
	if !before.IsZero() {
		c.Old = before.String()
	}
	if !after.IsZero() {
		c.New = after.String()
	}
	return c
}

// moved classifies a ref that names something else than before.
func moved(ctx context.Context, a Ancestry, before, after object.Ref) (string, error) {
	if strings.HasPrefix(after.Name, "refs/tags/") {
		return evidence.RefTagMoved, nil
	}
	old, new := commit(before), commit(after)
	forward, err := a.IsAncestor(ctx, old, new)
	if err != nil || forward {
		return evidence.RefFastForward, err
	}
	back, err := a.IsAncestor(ctx, new, old)
	if err != nil || back {
		return evidence.RefRewound, err
	}
	return evidence.RefRewritten, nil
}

// commit is what a ref stands for in history: the target of an annotated tag.
func commit(r object.Ref) object.OID {
	if !r.Peeled.IsZero() {
		return r.Peeled
	}
	return r.OID
}

// head compares where HEAD points. A branch that moved under HEAD is that
// branch's change, not HEAD's.
func head(before, after Snapshot) (evidence.RefChange, bool) {
	name := func(s Snapshot) string {
		if s.Head != "" {
			return object.QuoteRef(s.Head)
		}
		if s.HeadOID.IsZero() {
			return ""
		}
		return s.HeadOID.String()
	}
	old, new := name(before), name(after)
	if old == new || old == "" || new == "" { // a protocol that does not tell is no move
		return evidence.RefChange{}, false
	}
	return evidence.RefChange{Ref: "HEAD", Kind: evidence.RefHeadMoved, Old: old, New: new}, true
}
