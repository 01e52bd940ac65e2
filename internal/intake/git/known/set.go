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

// commits answers about the commits of a new pack and of the segments. The
// segments are read when the new pack alone cannot answer, all at once: about
// 25 bytes an object and 35 a commit.
type commits struct {
	segments []*Segment
	parts    []part // the new pack, then the segments once they are loaded
	loaded   bool
}

func (c *commits) load() error {
	if c.loaded {
		return nil
	}
	for _, s := range c.segments {
		ids, g, err := s.load()
		if err != nil {
			return err
		}
		c.parts = append(c.parts, part{ids, g})
	}
	c.loaded = true
	return nil
}

// find returns the part that has id as a commit, and its place in the graph.
func (c *commits) find(id object.OID) (part, int, bool) {
	for _, p := range c.parts {
		if place, ok := p.ids.Find(id); ok {
			if i, ok := p.commit(uint32(place)); ok {
				return p, i, true
			}
		}
	}
	return part{}, 0, false
}

// commit returns the place in Commits of the id at place.
func (p part) commit(place uint32) (int, bool) {
	lo, hi := 0, len(p.graph.Commits)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if p.graph.Commits[mid] < place {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < len(p.graph.Commits) && p.graph.Commits[lo] == place
}

// IsCommit implements git.History.
func (c *commits) IsCommit(_ context.Context, id object.OID) (bool, error) {
	if _, _, ok := c.find(id); ok {
		return true, nil
	}
	if err := c.load(); err != nil {
		return false, err
	}
	_, _, ok := c.find(id)
	return ok, nil
}

// ctxEvery is how many commits are walked between looks at the context.
const ctxEvery = 4096

// IsAncestor implements history.Ancestry. It walks from new towards the
// roots, through the new pack first: what was just added is usually between
// the two, and then the segments need not be read.
func (c *commits) IsAncestor(ctx context.Context, old, new object.OID) (bool, error) {
	if old == new {
		return true, nil
	}
	seen := map[object.OID]bool{new: true}
	queue := []object.OID{new}
	var beyond []object.OID // not in what is loaded yet
	for steps := 0; ; steps++ {
		if steps%ctxEvery == 0 && ctx.Err() != nil {
			return false, ctx.Err()
		}
		if len(queue) == 0 {
			if c.loaded || len(beyond) == 0 {
				return false, nil
			}
			if err := c.load(); err != nil {
				return false, err
			}
			queue, beyond = beyond, nil
			continue
		}
		id := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		p, i, ok := c.find(id)
		if !ok {
			beyond = append(beyond, id)
			continue
		}
		for _, place := range p.graph.ParentsOf(i) {
			parent := p.parentID(place)
			if parent == old {
				return true, nil
			}
			if !seen[parent] {
				seen[parent] = true
				queue = append(queue, parent)
			}
		}
	}
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
