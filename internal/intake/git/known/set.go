package known

import (
	"context"

	"holdfast/internal/intake/git"
	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/pack"
)

// Set is what the segments of a chain hold together. It implements git.Known.
type Set struct{ segments []*Segment }

var _ git.Known = (*Set)(nil)

// NewSet returns the set of segments, the oldest first. They must be of one
// object format.
func NewSet(segments ...*Segment) (*Set, error) {
	for _, s := range segments {
		if s.format != segments[0].format {
			return nil, damaged("%w", errFormat)
		}
	}
	return &Set{segments}, nil
}

// Missing implements pack.Known.
func (s *Set) Missing(ctx context.Context, ids []object.OID) ([]object.OID, error) {
	var err error
	for i := len(s.segments) - 1; i >= 0 && len(ids) > 0; i-- { // what is new refers to what was new
		if ids, err = s.segments[i].missing(ctx, ids); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// With implements git.Known.
func (s *Set) With(added *pack.Report) git.History {
	return &commits{segments: s.segments, parts: []part{{added.IDs, added.Graph}}}
}

// Keep returns how many of the oldest segments stay as they are when one with
// added ids joins them; the others are merged with it. A segment is rewritten
// only together with at least a quarter of its size, so each id is written
// about log₄ n times, and n deposits leave about log₄ n segments.
func Keep(sizes []int, added int) int {
	keep := len(sizes)
	for keep > 0 && sizes[keep-1] < 4*added {
		keep--
		added += sizes[keep]
	}
	return keep
}
