package deposit

import (
	"context"
	"slices"
	"strings"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/files"
	"holdfast/internal/intake/git"
	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/images"
)

// content says which of the items that must be in a deposit are among names.
// nil when nothing is demanded.
func content(items []string, names func(yield func(string) bool)) *evidence.ContentCheck {
	if len(items) == 0 {
		return nil
	}
	held := make([]bool, len(items))
	for name := range names {
		for i, item := range items {
			held[i] = held[i] || escrow.Found(item, name)
		}
	}
	c := &evidence.ContentCheck{}
	for i, item := range items {
		if held[i] {
			c.Held = append(c.Held, item)
		} else {
			c.Missing = append(c.Missing, item)
		}
	}
	return c
}

// filesContent looks for paths, as they are under the directory that was
// deposited and with its name in front.
func filesContent(items []string, s *files.State) *evidence.ContentCheck {
	return content(items, func(yield func(string) bool) {
		for _, e := range s.Entries {
			_, below, ok := strings.Cut(e.Path, "/")
			if !yield(e.Path) || ok && !yield(below) {
				return
			}
		}
	})
}

// imagesContent looks for tags.
func imagesContent(items []string, s *images.State) *evidence.ContentCheck {
	return content(items, func(yield func(string) bool) {
		for _, i := range s.Images {
			if i.Name != "" && !yield(i.Name) {
				return
			}
		}
	})
}

// lister lists the paths of a commit; the depositor's own repository does. A
// server that fetches keeps no mirror and cannot tell.
type lister interface {
	Paths(ctx context.Context, commit object.OID) ([]string, error)
}

// gitContent looks for refs, as refs/…, and for paths in the commit that HEAD
// names. A path that nobody here can look for is neither held nor missing.
func gitContent(ctx context.Context, items []string, s *git.State, k git.Known) (*evidence.ContentCheck, error) {
	isRef := func(item string) bool { return strings.HasPrefix(item, "refs/") }
	var paths []string
	if slices.ContainsFunc(items, func(item string) bool { return !isRef(item) }) {
		if l, ok := k.(lister); !ok {
			items = slices.DeleteFunc(slices.Clone(items), func(item string) bool { return !isRef(item) })
		} else if s.HeadOID != (object.OID{}) {
			var err error
			if paths, err = l.Paths(ctx, s.HeadOID); err != nil {
				return nil, err
			}
		}
	}
	return content(items, func(yield func(string) bool) {
		for _, r := range s.Refs {
			if !yield(r.Name) {
				return
			}
		}
		for _, p := range paths {
			if !isRef(p) && !yield(p) {
				return
			}
		}
	}), nil
}
