package known

import (
	"bytes"
	"cmp"
	"slices"

	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/pack"
)

// part is one set with its graph.
type part struct {
	ids   pack.IDs
	graph pack.Graph
}

func (p part) parentID(place uint32) object.OID {
	if int(place) < p.ids.Len() {
		return p.ids.At(int(place))
	}
	return p.graph.Outside.At(int(place) - p.ids.Len())
}

// join makes one part of several, the newest first. Where two have the same
// commit they have the same parents: the id is the hash of both.
func join(f object.Format, all []part) (pack.IDs, pack.Graph, error) {
	lists := make([]pack.IDs, len(all))
	for i, p := range all {
		lists[i] = p.ids
	}
	ids := pack.UnionIDs(f, lists...)

	type line struct {
		commit  uint32 // place in ids
		parents []uint32
		part    int
	}
	var lines []line
	places := make([][]uint32, len(all)) // of each part's ids in ids
	outside := make([]pack.IDs, 0, len(all))
	for n, p := range all {
		places[n] = placesIn(ids, p.ids)
		for i, c := range p.graph.Commits {
			lines = append(lines, line{places[n][c], p.graph.ParentsOf(i), n})
		}
		outside = append(outside, p.graph.Outside)
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.commit, b.commit) })
	lines = slices.CompactFunc(lines, func(a, b line) bool { return a.commit == b.commit })

	g := pack.Graph{Outside: without(pack.UnionIDs(f, outside...), ids)}
	for _, l := range lines {
		g.Commits = append(g.Commits, l.commit)
		g.Starts = append(g.Starts, uint32(len(g.Parents)))
		p := all[l.part]
		for _, place := range l.parents {
			if int(place) < p.ids.Len() {
				g.Parents = append(g.Parents, places[l.part][place])
				continue
			}
			id := p.parentID(place)
			at, ok := ids.Find(id)
			if !ok {
				at, _ = g.Outside.Find(id)
				at += ids.Len()
			}
			g.Parents = append(g.Parents, uint32(at))
		}
	}
	g.Starts = append(g.Starts, uint32(len(g.Parents)))
	return ids, g, nil
}

// placesIn returns where in all each id of some is. All of some are there.
func placesIn(all, some pack.IDs) []uint32 {
	size := all.Format().Size()
	a, s := all.Raw(), some.Raw()
	out := make([]uint32, 0, some.Len())
	for at := 0; len(s) > 0; at++ {
		if bytes.Equal(a[at*size:(at+1)*size], s[:size]) {
			out = append(out, uint32(at))
			s = s[size:]
		}
	}
	return out
}

// without returns those of some that are not in all.
func without(some, all pack.IDs) pack.IDs {
	var left []object.OID
	for _, id := range some.All() {
		if _, ok := all.Find(id); !ok {
			left = append(left, id)
		}
	}
	return pack.NewIDs(some.Format(), left)
}
