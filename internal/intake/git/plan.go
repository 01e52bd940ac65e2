package git

import (
	"slices"
	"strings"

	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/wire"
)

const branches = "refs/heads/"

// plan is what one sync has found out and means to do.
type plan struct {
	format  object.Format
	head    string
	headOID object.OID
	refs    []object.Ref // by name
	refused []wire.Refused
	left    int // refs that the source's own rules leave out

	before  []object.Ref // of the last deposit; nil when the deposit will be FULL
	changed []object.Ref // new or changed refs, by name
	deleted []string     // refs of before that are gone, by name
	old     []object.OID // what changed or deleted branches pointed at
	wants   []object.OID // sorted, distinct
	haves   []object.OID // distinct, the most useful first
	tips    []object.OID // sorted, distinct: what changed refs and HEAD point at
}

// sameAs reports whether a source offers exactly what the last deposit holds.
func (p *plan) sameAs(s *State) bool {
	return p.format == s.Format && p.head == s.Head && p.headOID == s.HeadOID &&
		slices.Equal(p.refs, s.Refs) && slices.Equal(refusedNames(p.refused), s.Refused)
}

// refusedNames returns the distinct refused names in order.
func refusedNames(refused []wire.Refused) []string {
	names := make([]string, 0, len(refused))
	for _, r := range refused {
		names = append(names, r.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// newPlan takes what a source offers, without the refs that are to be left out.
func newPlan(l *wire.Listing, exclude []string) *plan {
	p := &plan{format: l.Format, head: l.Head, headOID: l.HeadOID, refs: l.Refs, refused: l.Refused}
	if len(exclude) == 0 {
		return p
	}
	p.refs = slices.DeleteFunc(l.Refs, func(r object.Ref) bool {
		return slices.ContainsFunc(exclude, func(pattern string) bool { return matches(pattern, r.Name) })
	})
	p.left = len(l.Refs) - len(p.refs)
	return p
}

// matches reports whether a pattern names a ref: exactly, as a directory
// above it, or by its beginning when the pattern ends with an asterisk.
func matches(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	dir := strings.TrimSuffix(pattern, "/")
	return name == dir && dir == pattern || strings.HasPrefix(name, dir+"/")
}

// full plans a deposit that stands alone.
func (p *plan) full() {
	p.before, p.deleted, p.old, p.haves = nil, nil, nil, nil
	p.changed = p.refs
	p.tips = make([]object.OID, 0, len(p.refs)+1)
	for _, r := range p.refs {
		p.tips = append(p.tips, r.OID)
	}
	p.finishTips()
	p.wants = p.tips
}

// increment plans a deposit of what is new since the last one. What a ref of
// the last deposit pointed at is held, with its history; everything else that
// a ref points at is wanted, also where it may be held: the source then sends
// an empty pack, while a wrong guess would leave a hole.
func (p *plan) increment(s *State) {
	p.before = s.Refs
	p.changed, p.deleted, p.old = nil, nil, nil
	after, before := p.refs, s.Refs
	for len(after) > 0 || len(before) > 0 {
		switch {
		case len(before) == 0 || len(after) > 0 && after[0].Name < before[0].Name:
			p.changed, after = append(p.changed, after[0]), after[1:]
		case len(after) == 0 || before[0].Name < after[0].Name:
			p.noteOld(before[0])
			p.deleted = append(p.deleted, before[0].Name)
			before = before[1:]
		default:
			if after[0].OID != before[0].OID {
				p.changed = append(p.changed, after[0])
				p.noteOld(before[0])
			}
			after, before = after[1:], before[1:]
		}
	}
	p.tips = make([]object.OID, 0, len(p.changed)+1)
	for _, r := range p.changed {
		p.tips = append(p.tips, r.OID)
	}
	p.finishTips()
	held := heldTips(s)
	p.wants = slices.DeleteFunc(slices.Clone(p.tips), func(o object.OID) bool {
		_, ok := slices.BinarySearchFunc(held, o, object.OID.Compare)
		return ok
	})
	p.haves = havesOf(s)
}

func (p *plan) noteOld(r object.Ref) {
	if strings.HasPrefix(r.Name, branches) {
		p.old = append(p.old, r.OID)
	}
}

func (p *plan) finishTips() {
	if !p.headOID.IsZero() {
		p.tips = append(p.tips, p.headOID)
	}
	p.tips = distinct(p.tips)
}

// heldTips returns what the last deposit's refs and HEAD pointed at, sorted.
// What a tag was said to peel to is not among it: that was the source's word.
func heldTips(s *State) []object.OID {
	held := make([]object.OID, 0, len(s.Refs)+1)
	for _, r := range s.Refs {
		held = append(held, r.OID)
	}
	if !s.HeadOID.IsZero() {
		held = append(held, s.HeadOID)
	}
	return distinct(held)
}

// havesOf returns what to offer: HEAD and branches before the rest, since an
// HTTP request takes a limited number. A tag stands for what it peels to,
// because negotiation is about commits.
func havesOf(s *State) []object.OID {
	var first, rest []object.OID
	if !s.HeadOID.IsZero() {
		first = append(first, s.HeadOID)
	}
	for _, r := range s.Refs {
		if strings.HasPrefix(r.Name, branches) {
			first = append(first, r.Tip())
		} else {
			rest = append(rest, r.Tip())
		}
	}
	first = distinct(first)
	rest = slices.DeleteFunc(distinct(rest), func(o object.OID) bool {
		_, ok := slices.BinarySearchFunc(first, o, object.OID.Compare)
		return ok
	})
	return append(first, rest...)
}

// standsAlone reports whether a pack for p.wants, with nothing in common, has
// everything that the refs reach: the source has forgotten all it had before.
func (p *plan) standsAlone(common []object.OID) bool {
	if len(common) > 0 {
		return false
	}
	for _, r := range p.refs {
		if _, ok := slices.BinarySearchFunc(p.wants, r.OID, object.OID.Compare); !ok {
			return false
		}
	}
	_, ok := slices.BinarySearchFunc(p.wants, p.headOID, object.OID.Compare)
	return ok || p.headOID.IsZero()
}

// prerequisites returns the commits that the bundle of an increment names as
// what it builds on: where changed branches stood, as far as the source still
// has that. Only these, so that the header stays small in a repository with
// many refs; the objects of the pack may build on any ref of the chain. Where
// no changed branch has one, another branch gives one.
func (p *plan) prerequisites(common []object.OID) []object.OID {
	if len(p.wants) == 0 {
		common = heldBranches(p.before) // nobody was asked
	}
	isCommon := func(o object.OID) bool {
		_, ok := slices.BinarySearchFunc(common, o, object.OID.Compare)
		return ok
	}
	list := slices.DeleteFunc(distinct(slices.Clone(p.old)), func(o object.OID) bool { return !isCommon(o) })
	if len(list) > 0 {
		return list
	}
	for _, r := range p.before {
		if strings.HasPrefix(r.Name, branches) && isCommon(r.OID) {
			return []object.OID{r.OID}
		}
	}
	return nil
}

func heldBranches(refs []object.Ref) []object.OID {
	var list []object.OID
	for _, r := range refs {
		if strings.HasPrefix(r.Name, branches) {
			list = append(list, r.OID)
		}
	}
	return distinct(list)
}

// distinct sorts ids and drops the second of equal ones, in place.
func distinct(ids []object.OID) []object.OID {
	slices.SortFunc(ids, object.OID.Compare)
	return slices.Compact(ids)
}
