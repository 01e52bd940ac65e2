package forge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// ChangeKind says what is different about a repository.
type ChangeKind string

// The changes. Added and Included are what is expected to happen; the others
// are differences that people should look at.
const (
	Added      ChangeKind = "added"        // new at the forge, and on the agreed list
	Included   ChangeKind = "included"     // the agreement includes it now
	Unlisted   ChangeKind = "unlisted"     // at the forge, and not on the agreed list
	Missing    ChangeKind = "missing"      // on the agreed list, and not at the forge
	Found      ChangeKind = "found"        // was missing, and is there now
	Archived   ChangeKind = "archived"     // closed for writing
	Unarchived ChangeKind = "unarchived"   // open again
	Renamed    ChangeKind = "renamed"      // the same one under another name
	Gone       ChangeKind = "gone"         // not listed any more: deleted, moved away or hidden
	Returned   ChangeKind = "returned"     // listed again
	Hidden     ChangeKind = "made_private" // was public
	Published  ChangeKind = "made_public"  // was private
)

// Difference reports whether the change is a finding.
func (k ChangeKind) Difference() bool { return k != Added && k != Included }

// Change is one difference between two listings, or between a listing and the
// agreed list.
type Change struct {
	Kind   ChangeKind
	Remote string // its number at the forge
	Name   string
	Was    string // the name before, of a renamed one
	Module string // where it is deposited; "" if it is not
}

// Before is what a listing is compared with.
type Before struct {
	Arrangement  string
	Organisation string // module id
	Known        []escrow.ForgeRepository
	Taken        []string // module ids that are in use
	Agreed       escrow.AgreedRepositories
	Now          time.Time
}

// After is what follows from a listing.
type After struct {
	All     []escrow.ForgeRepository // how every one stands now
	Put     []escrow.ForgeRepository // those of them that differ from what is known
	Drop    []escrow.ForgeRepository // missing ones that are not missing any more
	Changes []Change
}

type identity struct{ origin, remote string }

// Compare works out what changed. The number decides which repository is which,
// so a renamed one goes on where it was. It ends nothing because of a listing
// without repositories: see [Empty].
func Compare(b Before, l *Listing) After {
	c := &comparison{Before: b, listing: l, known: map[identity]escrow.ForgeRepository{}, taken: map[string]bool{}, listed: map[identity]bool{}}
	for _, r := range b.Known {
		c.known[identity{r.Origin, r.Remote}] = r
		c.taken[r.Module] = true
	}
	for _, id := range b.Taken {
		c.taken[id] = true
	}
	for _, r := range l.Repositories {
		c.listed[identity{l.Origin, r.Remote}] = true
		c.repository(r)
	}
	for _, r := range b.Known {
		if c.listed[identity{r.Origin, r.Remote}] || r.State == escrow.ForgeMissing {
			continue
		}
		if r.State != escrow.ForgeGone {
			r.State = escrow.ForgeGone
			c.change(Change{Kind: Gone, Remote: r.Remote, Name: r.Name, Module: r.Module})
		}
		c.keep(r)
	}
	c.missing()
	return c.out
}

type comparison struct {
	Before
	listing *Listing
	known   map[identity]escrow.ForgeRepository
	listed  map[identity]bool
	taken   map[string]bool
	out     After
}

func (c *comparison) change(x Change) { c.out.Changes = append(c.out.Changes, x) }

// keep takes a row into the outcome, and among those to write if it is new.
func (c *comparison) keep(r escrow.ForgeRepository) {
	if r != c.known[identity{r.Origin, r.Remote}] {
		r.ChangedAt = c.Now
		c.out.Put = append(c.out.Put, r)
	}
	c.out.All = append(c.out.All, r)
}

func (c *comparison) repository(r Repository) {
	old, known := c.known[identity{c.listing.Origin, r.Remote}]
	now := escrow.ForgeRepository{Arrangement: c.Arrangement, Organisation: c.Organisation, Origin: c.listing.Origin, Remote: r.Remote,
		Module: old.Module, Name: r.Name, URL: r.URL, Private: r.Private, State: escrow.ForgePresent, ChangedAt: old.ChangedAt}
	included := c.Agreed.Includes(r.Name)
	switch {
	case !included && old.Module == "":
		now.State = escrow.ForgeLeftOut
	case r.Archived:
		// What was included once stays so: nobody may end its deposits by
		// giving it another name.
		now.State = escrow.ForgeArchived
	}
	if now.Fetched() && now.Module == "" {
		now.Module = c.module(r)
	}
	say := func(kind ChangeKind) {
		c.change(Change{Kind: kind, Remote: r.Remote, Name: r.Name, Module: now.Module})
	}
	if !known {
		if c.Agreed.Lists(r.Name) && included {
			say(Added)
		} else {
			say(Unlisted)
		}
		if now.State == escrow.ForgeArchived {
			say(Archived)
		}
		c.keep(now)
		return
	}
	if old.Name != r.Name {
		c.change(Change{Kind: Renamed, Remote: r.Remote, Name: r.Name, Was: old.Name, Module: now.Module})
		if c.Agreed.Lists(old.Name) && !c.Agreed.Lists(r.Name) {
			say(Unlisted)
		}
	}
	if old.Private != r.Private {
		say(map[bool]ChangeKind{true: Hidden, false: Published}[r.Private])
	}
	switch was, is := old.State, now.State; {
	case was == is:
	case was == escrow.ForgeGone:
		say(Returned)
		if is == escrow.ForgeArchived {
			say(Archived)
		}
	case was == escrow.ForgeLeftOut:
		say(Included)
		if is == escrow.ForgeArchived {
			say(Archived)
		}
	case is == escrow.ForgeArchived:
		say(Archived)
	default:
		say(Unarchived)
	}
	c.keep(now)
}

// missing compares with the names that must be there.
func (c *comparison) missing() {
	there := func(name string) bool {
		return slices.ContainsFunc(c.out.All, func(r escrow.ForgeRepository) bool { return strings.EqualFold(r.Name, name) })
	}
	wanted := map[string]bool{}
	for _, name := range c.Agreed.Named() {
		key := strings.ToLower(name)
		if wanted[key] || there(name) {
			continue // one that is gone was said to be gone
		}
		wanted[key] = true
		row := escrow.ForgeRepository{Arrangement: c.Arrangement, Organisation: c.Organisation, Origin: c.listing.Origin, Remote: "=" + key,
			Name: name, State: escrow.ForgeMissing}
		if old, known := c.known[identity{row.Origin, row.Remote}]; known {
			c.out.All = append(c.out.All, old)
			continue
		}
		c.change(Change{Kind: Missing, Name: name})
		c.keep(row)
	}
	for _, r := range c.Known {
		if r.State != escrow.ForgeMissing || r.Origin == c.listing.Origin && wanted[strings.TrimPrefix(r.Remote, "=")] {
			continue
		}
		c.out.Drop = append(c.out.Drop, r)
		if there(r.Name) {
			c.change(Change{Kind: Found, Name: r.Name})
		}
	}
}

// Empty refuses a listing without repositories. A token that lost its rights
// sees nothing at most forges, and that is not that there is nothing.
func Empty(l *Listing, owner string) error {
	if len(l.Repositories) > 0 {
		return nil
	}
	return escrow.Errorf(escrow.Missing, "%s lists no repositories in %s; nothing was changed", l.Origin, owner).
		WithHint("check that the token may read the repositories of the organisation")
}

// maxSlug bounds what a repository's name adds to the id of its module.
const maxSlug = 64

// module makes the id of a repository's module. Two names that become one id
// are told apart by the number of the later one.
func (c *comparison) module(r Repository) string {
	id := c.Organisation + "/" + Slug(r.Name)
	for n := 1; c.taken[id] || !evidence.IsID(id); n++ {
		id = c.Organisation + "/" + Slug(r.Name) + "-" + Slug(r.Remote)
		if n > 1 {
			id = fmt.Sprintf("%s-%d", id, n)
		}
		if n > 1000 {
			break // the organisation's own id is too long; writing the module says so
		}
	}
	c.taken[id] = true
	return id
}

// Slug makes of a repository's name what a part of an id may be: lower case
// letters, digits, and - and _ between them.
func Slug(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && r == '_':
			b.WriteByte('_')
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	slug := b.String()
	slug = strings.TrimRight(slug[:min(len(slug), maxSlug)], "-_")
	if slug == "" {
		return "repository"
	}
	return slug
}
