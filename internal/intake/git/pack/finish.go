package pack

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"slices"
	"strings"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/object"
)

// report checks that everything named is there and puts together what the
// pack contains.
func (c *checker) report(ctx context.Context) (*Report, error) {
	f := c.opts.Format
	for _, tip := range c.opts.Tips {
		var buf [32]byte
		if _, err := c.table.refer(tip.Append(buf[:0]), 0, none, nil); err != nil {
			return nil, err
		}
	}
	if err := c.kindsAgree(); err != nil {
		return nil, err
	}
	if err := c.connected(ctx); err != nil {
		return nil, err
	}
	c.offsets, c.bases, c.baseIDs, c.ids = nil, nil, nil, nil

	r := &Report{Format: f, Objects: c.n, Bytes: c.bytes.n.Load()}
	held := c.table.sorted(func(flags uint8) bool { return flags&typeMask != 0 })
	r.IDs = IDs{format: f, raw: make([]byte, 0, len(held)*f.Size())}
	for _, id := range held {
		r.IDs.raw = append(r.IDs.raw, c.table.bytes(id)...)
	}
	for _, in := range c.inspectors {
		r.Duplicates += in.duplicates
		r.Commits += in.counts[commit]
		r.Trees += in.counts[tree]
		r.Blobs += in.counts[blob]
		r.Tags += in.counts[tag]
		r.Warnings = append(r.Warnings, in.warnings...)
		r.WarningCount += in.warningCount
	}
	slices.SortFunc(r.Warnings, func(a, b Warning) int {
		return cmp.Or(a.Object.Compare(b.Object), strings.Compare(a.Text, b.Text))
	})
	r.Warnings = r.Warnings[:min(len(r.Warnings), MaxListed)]
	r.Graph = c.graph(r.IDs)
	c.listSubmodules(r)
	c.listLFS(r)
	return r, nil
}

// kindsAgree refuses a pack in which an object is taken for what it is not:
// Git dies when it comes to such a place.
func (c *checker) kindsAgree() error {
	return c.table.each(func(id uint32, flags uint8) error {
		k := kind(flags & typeMask >> typeShift)
		taken := flags & takenMask
		if k == 0 {
			if taken&(taken-1) == 0 {
				return nil
			}
			return damaged("object %x, which the pack does not hold, is taken for objects of different types", c.table.bytes(id))
		}
		if taken&^takenAs(k) == 0 {
			return nil
		}
		wrong := kind(1)
		for takenAs(wrong)&taken == 0 || wrong == k {
			wrong++
		}
		return damaged("%s %x is taken for a %s somewhere in the pack", k, c.table.bytes(id), wrong)
	})
}

// connected checks that every id that is named is in the pack or known.
func (c *checker) connected(ctx context.Context) error {
	absent := c.table.sorted(func(flags uint8) bool { return flags&typeMask == 0 })
	if len(absent) == 0 {
		return nil
	}
	missing := make([]object.OID, len(absent))
	for i, id := range absent {
		missing[i] = mustOID(c.opts.Format, c.table.bytes(id))
	}
	if c.opts.Known != nil {
		var err error
		if missing, err = c.opts.Known.Missing(ctx, missing); err != nil {
			return err
		}
	}
	if len(missing) == 0 {
		return nil
	}
	e := &MissingError{Total: len(missing)}
	at := 0
	for _, m := range missing[:min(len(missing), maxMissing)] {
		for at < len(absent) && mustOID(c.opts.Format, c.table.bytes(absent[at])) != m {
			at++
		}
		if at == len(absent) {
			return escrow.Errorf(escrow.Internal, "known objects: asked for what is missing, got %s, which was not asked for", m)
		}
		e.Objects = append(e.Objects, c.missing(absent[at], m))
	}
	return escrow.Errorf(escrow.Missing, "the pack is not complete: %w", e).WithHint(hintMissing)
}

// maxMissing is how many missing objects are named one by one.
const maxMissing = 100

func (c *checker) missing(id uint32, oid object.OID) MissingObject {
	m := MissingObject{ID: oid}
	s, n := c.table.shard(id)
	for k := commit; k <= tag; k++ {
		if s.flags[n]&takenAs(k) != 0 {
			m.Type = k.String()
		}
	}
	if from, name := c.table.origin(id); from != none {
		m.By = mustOID(c.opts.Format, c.table.bytes(from))
		if name != none {
			m.Path = c.path(id)
		}
	}
	return m
}

// maxPath is the longest path that is put together, in bytes: what Linux takes.
const maxPath = 4096

// path returns where a tree or blob belongs: the names that lead to it from a
// commit, or from the highest tree in the pack. Of a path that no file system
// takes only the end is given, after "...".
func (c *checker) path(id uint32) string {
	var parts []string
	for length := 0; ; {
		from, name := c.table.origin(id)
		if from == none || c.table.kindOf(from) != tree {
			break
		}
		part := "?"
		if name != none {
			part = c.table.names.list[name]
		}
		if length += len(part) + 1; length > maxPath {
			parts = append(parts, "...")
			break
		}
		parts = append(parts, part)
		id = from
	}
	slices.Reverse(parts)
	return strings.Join(parts, "/")
}

// graph turns the numbers the inspectors noted into places in ids.
func (c *checker) graph(ids IDs) Graph {
	total, edges := 0, 0
	for _, in := range c.inspectors {
		for at := 0; at < len(in.graph); at += 2 + int(in.graph[at+1]) {
			total++
			edges += int(in.graph[at+1])
		}
	}
	type place struct {
		commit uint32
		parts  []uint32
	}
	commits := make([]place, 0, total)
	absent := make(map[uint32]object.OID)
	for _, in := range c.inspectors {
		for at := 0; at < len(in.graph); {
			parents := in.graph[at+2 : at+2+int(in.graph[at+1])]
			i, _ := ids.Find(mustOID(ids.format, c.table.bytes(in.graph[at])))
			commits = append(commits, place{uint32(i), parents})
			for _, p := range parents {
				if c.table.kindOf(p) == 0 {
					absent[p] = mustOID(ids.format, c.table.bytes(p))
				}
			}
			at += 2 + len(parents)
		}
	}
	slices.SortFunc(commits, func(a, b place) int { return cmp.Compare(a.commit, b.commit) })
	outside := make([]object.OID, 0, len(absent))
	for _, id := range absent {
		outside = append(outside, id)
	}
	g := Graph{Commits: make([]uint32, 0, total), Starts: make([]uint32, 0, total+1), Parents: make([]uint32, 0, edges), Outside: NewIDs(ids.format, outside)}
	for _, p := range commits {
		g.Commits = append(g.Commits, p.commit)
		g.Starts = append(g.Starts, uint32(len(g.Parents)))
		for _, parent := range p.parts {
			id := mustOID(ids.format, c.table.bytes(parent))
			at, ok := ids.Find(id)
			if !ok {
				at, _ = g.Outside.Find(id)
				at += ids.Len()
			}
			g.Parents = append(g.Parents, uint32(at))
		}
	}
	g.Starts = append(g.Starts, uint32(len(g.Parents)))
	return g
}

// listSubmodules puts the gitlinks in order: one commit for each path, that
// of the tree that comes first in the pack.
func (c *checker) listSubmodules(r *Report) {
	type found struct {
		linkFound
		commit object.OID
	}
	paths := make(map[string]found)
	modules := make(map[string]urlFound)
	size := c.opts.Format.Size()
	for _, in := range c.inspectors {
		for key, link := range in.links {
			path := key[size:]
			if dir := c.pathOfTree(link.tree); dir != "" {
				path = dir + "/" + path
			}
			commit := mustOID(c.opts.Format, []byte(key[:size]))
			old, ok := paths[path]
			if !ok || link.entry < old.entry || link.entry == old.entry && commit.Compare(old.commit) < 0 {
				paths[path] = found{link, commit}
			}
		}
		r.SubmoduleCount += in.unlisted
		for path, m := range in.modules {
			if old, ok := modules[path]; !ok || m.entry < old.entry {
				modules[path] = m
			}
		}
	}
	r.SubmoduleCount += len(paths)
	for path, p := range paths {
		r.Submodules = append(r.Submodules, Submodule{Path: path, Commit: p.commit, URL: modules[path].url})
	}
	slices.SortFunc(r.Submodules, func(a, b Submodule) int { return strings.Compare(a.Path, b.Path) })
	r.Submodules = r.Submodules[:min(len(r.Submodules), MaxListed)]
}

func (c *checker) pathOfTree(id uint32) string {
	if from, _ := c.table.origin(id); from == none || c.table.kindOf(from) != tree {
		return ""
	}
	return c.path(id)
}

// maxPaths is how many bytes of paths are given for LFS pointers.
const maxPaths = 64 << 20

// listLFS puts the LFS pointers in order, each content once.
func (c *checker) listLFS(r *Report) {
	var all []lfsFound
	for _, in := range c.inspectors {
		all = append(all, in.lfs...)
	}
	slices.SortFunc(all, func(a, b lfsFound) int {
		return cmp.Or(bytes.Compare(a.oid[:], b.oid[:]), cmp.Compare(a.size, b.size), bytes.Compare(c.table.bytes(a.blob), c.table.bytes(b.blob)))
	})
	paths := 0
	for i, l := range all {
		if i > 0 && l.oid == all[i-1].oid && l.size == all[i-1].size {
			continue
		}
		p := LFSPointer{OID: hex.EncodeToString(l.oid[:]), Size: l.size, Blob: mustOID(c.opts.Format, c.table.bytes(l.blob))}
		if paths < maxPaths {
			p.Path = c.path(l.blob)
			paths += len(p.Path)
		}
		r.LFS = append(r.LFS, p)
	}
}
