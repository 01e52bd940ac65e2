package known

import (
	"context"
	"slices"

	"holdfast/internal/intake/git/object"
)

// commits answers about the commits of a new pack and of the segments. The
// segments are read when the new pack alone cannot answer, all at once: about
// 20 bytes an object and 50 a commit.
type commits struct {
	segments []*Segment
	parts    []part // the new pack, then the segments once they are loaded
	loaded   bool
	line     lineage
}

// lineage is the commits of all parts as numbers: those of the first part,
// then those of the second, and so on.
type lineage struct {
	first   []uint32 // number of the first commit of each part
	starts  []uint32 // where a commit's parents begin in parents, and one more
	parents []uint32 // numbers, unknown for a commit that no part has
	height  []uint32 // longest way to a root: an ancestor's is less than its descendant's
	seen    []uint32 // walk in which a commit was last met
	walk    uint32
}

const unknown = ^uint32(0)

// load reads the segments and numbers all commits.
func (c *commits) load() error {
	if c.loaded {
		return nil
	}
	for i := len(c.segments) - 1; i >= 0; i-- {
		ids, g, err := c.segments[i].load()
		if err != nil {
			return err
		}
		c.parts = append(c.parts, part{ids, g})
	}
	c.loaded = true
	return c.number()
}

func (c *commits) number() error {
	l := &c.line
	*l = lineage{walk: l.walk}
	for _, p := range c.parts {
		l.first = append(l.first, uint32(len(l.starts)))
		for i := range p.graph.Commits {
			l.starts = append(l.starts, uint32(len(l.parents)))
			l.parents = append(l.parents, p.graph.ParentsOf(i)...)
		}
	}
	l.starts = append(l.starts, uint32(len(l.parents)))
	at := 0
	for n, p := range c.parts {
		// Numbers in place of places. Within a part that is a look into a
		// table, across parts a search by id.
		rank := make([]uint32, p.ids.Len())
		for i := range rank {
			rank[i] = unknown
		}
		for i, place := range p.graph.Commits {
			rank[place] = l.first[n] + uint32(i)
		}
		c.same(n, rank)
		abroad := make([]uint32, p.graph.Outside.Len())
		for i, id := range p.graph.Outside.All() {
			abroad[i] = c.find(id)
		}
		for range p.graph.Parents {
			if place := int(l.parents[at]); place < len(rank) {
				l.parents[at] = rank[place]
			} else {
				l.parents[at] = abroad[place-len(rank)]
			}
			at++
		}
	}
	l.seen = make([]uint32, len(l.starts)-1)
	return l.measure()
}

// same makes rank name a commit that a newer part has too by its number
// there, the one find gives. A source may send again what it sent before.
func (c *commits) same(n int, rank []uint32) {
	p := c.parts[n]
	for m := n - 1; m >= 0; m-- {
		newer := c.parts[m]
		for i, place := range newer.graph.Commits {
			if at, ok := p.ids.Find(newer.ids.At(int(place))); ok && rank[at] != unknown {
				rank[at] = c.line.first[m] + uint32(i)
			}
		}
	}
}

// find returns the number of the commit with the given id.
func (c *commits) find(id object.OID) uint32 {
	for n, p := range c.parts {
		if place, ok := p.ids.Find(id); ok {
			if i, ok := slices.BinarySearch(p.graph.Commits, uint32(place)); ok {
				return c.line.first[n] + uint32(i)
			}
		}
	}
	return unknown
}

// measure computes the heights, from the roots up.
func (l *lineage) measure() error {
	n := len(l.starts) - 1
	l.height = make([]uint32, n)
	const open = 1 // being measured, further down the stack
	var stack []uint32
	for i := range n {
		if l.height[i] > open {
			continue
		}
		stack = append(stack[:0], uint32(i))
		for len(stack) > 0 {
			at := stack[len(stack)-1]
			top, wait := uint32(open), false
			for _, p := range l.parents[l.starts[at]:l.starts[at+1]] {
				switch {
				case p == unknown:
				case l.height[p] > open:
					top = max(top, l.height[p])
				case l.height[p] == open:
					return damaged("a commit is its own ancestor")
				default:
					stack, wait = append(stack, p), true
				}
				if wait {
					break
				}
			}
			if wait {
				l.height[at] = open
				continue
			}
			l.height[at] = top + 1
			stack = stack[:len(stack)-1]
		}
	}
	return nil
}

// descends reports whether old can be reached from new. It meets only
// commits that are higher than old.
func (l *lineage) descends(ctx context.Context, old, new uint32) (bool, error) {
	l.walk++
	low := l.height[old]
	queue := []uint32{new}
	for steps := 1; len(queue) > 0; steps++ {
		if steps%ctxEvery == 0 && ctx.Err() != nil {
			return false, ctx.Err()
		}
		at := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if l.height[at] <= low {
			continue
		}
		for _, p := range l.parents[l.starts[at]:l.starts[at+1]] {
			if p == old {
				return true, nil
			}
			if p != unknown && l.seen[p] != l.walk {
				l.seen[p] = l.walk
				queue = append(queue, p)
			}
		}
	}
	return false, nil
}

// ctxEvery is how many commits are walked between looks at the context.
const ctxEvery = 4096

// IsCommit implements git.History.
func (c *commits) IsCommit(_ context.Context, id object.OID) (bool, error) {
	if c.line.first == nil {
		if err := c.number(); err != nil {
			return false, err
		}
	}
	if c.find(id) != unknown {
		return true, nil
	}
	if err := c.load(); err != nil {
		return false, err
	}
	return c.find(id) != unknown, nil
}

// IsAncestor implements history.Ancestry. It looks into the new pack first:
// what was just added is usually between the two, and then the segments need
// not be read.
func (c *commits) IsAncestor(ctx context.Context, old, new object.OID) (bool, error) {
	if old == new {
		return true, nil
	}
	if !c.loaded {
		found, err := c.justAdded(ctx, old, new)
		if found || err != nil {
			return found, err
		}
		if err := c.load(); err != nil {
			return false, err
		}
	}
	o, n := c.find(old), c.find(new)
	if o == unknown || n == unknown {
		return false, nil
	}
	return c.line.descends(ctx, o, n)
}

// justAdded reports whether the new pack alone leads from new to old.
func (c *commits) justAdded(ctx context.Context, old, new object.OID) (bool, error) {
	p := c.parts[0]
	abroad, outside := p.graph.Outside.Find(old)
	inside, held := p.ids.Find(old)
	if !outside && !held {
		return false, nil
	}
	target := uint32(inside)
	if !held {
		target = uint32(p.ids.Len() + abroad)
	}
	start, ok := p.ids.Find(new)
	if !ok {
		return false, nil
	}
	seen := make(map[uint32]bool)
	queue := []uint32{uint32(start)}
	for steps := 1; len(queue) > 0; steps++ {
		if steps%ctxEvery == 0 && ctx.Err() != nil {
			return false, ctx.Err()
		}
		at := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		i, ok := slices.BinarySearch(p.graph.Commits, at)
		if !ok {
			continue
		}
		for _, parent := range p.graph.ParentsOf(i) {
			if parent == target {
				return true, nil
			}
			if !seen[parent] {
				seen[parent] = true
				queue = append(queue, parent)
			}
		}
	}
	return false, nil
}
