package pack

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"holdfast/internal/intake/git/lfs/pointer"
)

// inspector hashes objects and takes note of what they name. Each goroutine
// has its own; they share the checker's id table.
type inspector struct {
	c      *checker
	hash   *hasher
	recent []recentID // ids met lately, so that most tree entries cost no look in the table

	duplicates   int
	graph        []uint32 // commit, number of parents, parents
	counts       [5]int   // by kind
	lfs          []lfsFound
	links        map[string]linkFound // commit id and name of a gitlink
	key          []byte
	unlisted     int                 // gitlinks there was no room for
	modules      map[string]urlFound // path of a submodule
	kept         int                 // bytes of text in links and modules
	warnings     []Warning
	warningCount int
}

type recentID struct {
	raw   [32]byte
	taken uint8
}

// is compares word by word: this is asked for every entry of every tree.
func (r *recentID) is(raw []byte) bool {
	if len(raw) < 20 || binary.LittleEndian.Uint64(r.raw[:]) != binary.LittleEndian.Uint64(raw) ||
		binary.LittleEndian.Uint64(r.raw[8:]) != binary.LittleEndian.Uint64(raw[8:]) ||
		binary.LittleEndian.Uint32(r.raw[16:]) != binary.LittleEndian.Uint32(raw[16:]) {
		return false
	}
	return len(raw) == 20 || bytes.Equal(r.raw[20:len(raw)], raw[20:])
}

const (
	recentIDs = 1 << 13

	// What is kept of submodules, by each goroutine.
	maxKept      = 4 * MaxListed
	maxKeptEach  = 8 << 10
	maxKeptBytes = 8 << 20

	maxModules = 64 << 10 // bytes of a .gitmodules file that are looked at
)

type lfsFound struct {
	oid  [32]byte
	size int64
	blob uint32
}

type linkFound struct {
	tree  uint32
	entry int // of the tree in the pack: packs begin with what is newest
}

type urlFound struct {
	url   string
	entry int
}

func newInspector(c *checker) *inspector {
	return &inspector{c: c, hash: newHasher(c.opts.Format), recent: make([]recentID, recentIDs),
		links: make(map[string]linkFound), modules: make(map[string]urlFound)}
}

// object takes note of entry i, whose kind is known, with the given content.
func (in *inspector) object(i int, content []byte) error {
	k := in.c.kinds[i]
	raw, err := in.hash.of(k, content)
	if err != nil {
		return fmt.Errorf("%s (%s): %w", k, in.c.place(i), err)
	}
	id, again, err := in.hashed(i, raw, k)
	if err != nil || again {
		return err
	}
	switch k {
	case blob:
		in.blob(i, id, content)
		return nil
	case tree:
		err = in.tree(i, id, content)
	case commit:
		err = in.commit(id, content)
	case tag:
		err = parseTag(in.c.opts.Format, content, func(raw []byte, k kind) error {
			_, err := in.c.table.refer(raw, k, id, nil)
			return err
		}, in.warner(id))
	}
	if errors.Is(err, errUnreadable) {
		return damaged("%s %x (%s): %w", k, in.c.table.lockedBytes(id), in.c.place(i), err)
	}
	return err
}

// hashed records the id of entry i and reports whether the pack held the
// object before.
func (in *inspector) hashed(i int, raw []byte, k kind) (id uint32, again bool, err error) {
	if id, again, err = in.c.table.hold(raw, k); err != nil {
		return 0, false, err
	}
	in.c.ids[i] = id
	if again {
		in.duplicates++
	} else {
		in.counts[k]++
	}
	return id, again, nil
}

// streamed records entry i, a blob that has gone through h and is not held.
func (in *inspector) streamed(i int, h *hasher) error {
	raw, err := h.id()
	if err != nil {
		return fmt.Errorf("blob (%s): %w", in.c.place(i), err)
	}
	_, _, err = in.hashed(i, raw, blob)
	return err
}

func (in *inspector) commit(id uint32, content []byte) error {
	at := len(in.graph)
	in.graph = append(in.graph, id, 0)
	return parseCommit(in.c.opts.Format, content, func(raw []byte) error {
		return in.name(raw, tree, id, nil)
	}, func(raw []byte) error {
		p, err := in.c.table.refer(raw, commit, id, nil)
		in.graph = append(in.graph, p)
		in.graph[at+1]++
		return err
	}, in.warner(id))
}

func (in *inspector) tree(i int, id uint32, content []byte) error {
	return parseTree(in.c.opts.Format, content, func(k kind, name, raw []byte) error {
		if k == 0 {
			in.gitlink(i, id, name, raw)
			return nil
		}
		return in.name(raw, k, id, name)
	}, in.warner(id))
}

// name records that object by names raw, unless this was recorded lately.
func (in *inspector) name(raw []byte, k kind, by uint32, name []byte) error {
	r := in.recentOf(raw)
	known := r.is(raw)
	if known && r.taken&takenAs(k) != 0 {
		return nil
	}
	if _, err := in.c.table.refer(raw, k, by, name); err != nil {
		return err
	}
	if !known {
		copy(r.raw[:], raw)
		r.taken = 0
	}
	r.taken |= takenAs(k)
	return nil
}

func (in *inspector) recentOf(raw []byte) *recentID {
	return &in.recent[binary.LittleEndian.Uint16(raw)%recentIDs]
}

// gitlink takes note of a submodule's commit. Nothing asks for the commit
// itself: it belongs to another repository.
func (in *inspector) gitlink(i int, tree uint32, name, raw []byte) {
	in.key = append(append(in.key[:0], raw...), name...)
	old, ok := in.links[string(in.key)]
	switch {
	case ok && old.entry <= i:
		return
	case !ok && !in.room(len(in.links), len(in.key)):
		in.unlisted++
		return
	}
	in.links[string(in.key)] = linkFound{tree, i}
}

// room reports whether one more text of n bytes may be kept beside count
// others: a pack of a few kilobytes can hold names of gigabytes.
func (in *inspector) room(count, n int) bool {
	if count >= maxKept || n > maxKeptEach || in.kept+n > maxKeptBytes {
		return false
	}
	in.kept += n
	return true
}

func (in *inspector) blob(i int, id uint32, content []byte) {
	if len(content) > maxModules {
		return
	}
	if p, err := pointer.Parse(content); err == nil {
		found := lfsFound{size: p.Size, blob: id}
		if _, err := hex.Decode(found.oid[:], []byte(p.OID)); err == nil {
			in.lfs = append(in.lfs, found)
		}
		return
	}
	if bytes.Contains(content, []byte("[submodule ")) {
		for path, url := range parseModules(content) {
			if old, ok := in.modules[path]; ok && old.entry <= i || !in.room(len(in.modules), len(path)+len(url)) {
				continue
			}
			in.modules[path] = urlFound{url, i}
		}
	}
}

// warner returns a function that records a warning about object id, each
// kind of warning once.
func (in *inspector) warner(id uint32) func(string) {
	first := len(in.warnings)
	return func(text string) {
		for _, w := range in.warnings[min(first, len(in.warnings)):] {
			if w.Text == text {
				return
			}
		}
		in.warningCount++
		if len(in.warnings) < MaxListed {
			in.warnings = append(in.warnings, Warning{mustOID(in.c.opts.Format, in.c.table.lockedBytes(id)), text})
		}
	}
}

// parseModules reads path and url of each section of a .gitmodules file. It
// knows as much of Git's configuration syntax as git submodule writes.
func parseModules(content []byte) map[string]string {
	found := make(map[string]string)
	path, url := "", ""
	flush := func() {
		if path != "" && url != "" {
			found[path] = url
		}
		path, url = "", ""
	}
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			flush()
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		if q, err := strconv.Unquote(value); err == nil && strings.HasPrefix(value, `"`) {
			value = q
		}
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "path":
			path = strings.Trim(value, "/")
		case "url":
			url = withoutSecret(value)
		}
	}
	flush()
	return found
}

// withoutSecret takes user and password out of a URL: what is listed of a
// repository is shown to people who may not read the repository itself.
func withoutSecret(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return url
	}
	host, path, _ := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		host = host[at+1:]
	}
	if path != "" {
		path = "/" + path
	}
	return scheme + "://" + host + path
}
