// Package coalition is the arithmetic of a quorum: which organisations and
// people, acting together, can open what it guards, keep it shut, or lose it
// for good. It counts an organisation once however many people act for it,
// and a human being once however many organisations he or she acts for.
//
// It imports the standard library only.
package coalition

import (
	"math/bits"
	"slices"
)

// Sides is a set of interests.
type Sides uint8

// The interests a holder or a person can stand for. The zero Sides is
// neutral.
const (
	Supplier Sides = 1 << iota
	Claimant
	Agent
)

// Holder is an organisation that holds one share.
type Holder struct {
	ID          string
	Sides       Sides    // its own, and those of whoever controls it
	Independent bool     // counts for the class rule
	People      []string // the human beings named for it; empty when nobody is named yet
	Each        int      // to how many of them its share is sealed; any one can act. At least 1.
}

// Quorum is who opens something together: Of of the Holders, among them at
// least Independent independent ones.
type Quorum struct {
	Of          int
	Independent int
	Holders     []Holder
	// Belongs says for which sides a human being stands, through whatever
	// organisation, also one that holds no share.
	Belongs map[string]Sides
}

// opens reports whether the holders at the set positions can open it.
func (q *Quorum) opens(set []bool) bool {
	n, independent := 0, 0
	for i, in := range set {
		if in {
			n++
			if q.Holders[i].Independent {
				independent++
			}
		}
	}
	return n >= q.Of && independent >= q.Independent
}

// reach marks the holders whose share the sides can use: their own, and every
// one that one of their people can act for.
func (q *Quorum) reach(sides Sides) []bool {
	set := make([]bool, len(q.Holders))
	for i, h := range q.Holders {
		set[i] = h.Sides&sides != 0 || slices.ContainsFunc(h.People, func(p string) bool { return q.Belongs[p]&sides != 0 })
	}
	return set
}

// Reach returns the ids of the holders whose share the sides can use, in
// order.
func (q *Quorum) Reach(sides Sides) []string { return q.ids(q.reach(sides)) }

// CanOpen reports whether the sides together, without anybody else, can open
// it.
func (q *Quorum) CanOpen(sides Sides) bool { return q.opens(q.reach(sides)) }

// withheld marks the holders whose share the sides can keep back: their own,
// and every one that may be sealed to their people alone.
func (q *Quorum) withheld(sides Sides) []bool {
	set := make([]bool, len(q.Holders))
	for i, h := range q.Holders {
		theirs := 0
		for _, p := range h.People {
			if q.Belongs[p]&sides != 0 {
				theirs++
			}
		}
		set[i] = h.Sides&sides != 0 || len(h.People) > 0 && theirs >= h.sealedTo()
	}
	return set
}

// CanBlock reports whether the sides together can keep it shut although
// everybody else agrees.
func (q *Quorum) CanBlock(sides Sides) bool { return !q.opens(not(q.withheld(sides))) }

// Without returns the ids of the holders that the sides cannot keep back.
func (q *Quorum) Without(sides Sides) []string { return q.ids(not(q.withheld(sides))) }

// LostWith returns an organisation whose falling away loses it, or "".
func (q *Quorum) LostWith() string {
	for i, h := range q.Holders {
		set := q.all()
		set[i] = false
		if !q.opens(set) {
			return h.ID
		}
	}
	return ""
}

// LostPeople returns one human being, or else two, whose falling away loses
// it; nil when it survives any two. Each is given with the organisation he or
// she is at; the name is "" for somebody who is not named. Where more people
// are named for an organisation than its share is sealed to, the share may be
// sealed to just those who fall away.
func (q *Quorum) LostPeople() []Somebody {
	people := q.people()
	for _, p := range people {
		if q.lostWithout(p) {
			return []Somebody{p}
		}
	}
	for i, a := range people {
		for _, b := range people[i+1:] {
			if q.lostWithout(a, b) {
				return []Somebody{a, b}
			}
		}
	}
	return nil
}

// Somebody is a human being at an organisation.
type Somebody struct {
	Name string // "" when nobody is named
	At   string // holder

	number int // tells those who are not named apart
}

// people lists everybody, each human being once.
func (q *Quorum) people() []Somebody {
	var out []Somebody
	seen := map[string]bool{}
	for _, h := range q.Holders {
		for _, p := range h.People {
			if !seen[p] {
				seen[p] = true
				out = append(out, Somebody{Name: p, At: h.ID})
			}
		}
		if len(h.People) == 0 {
			for n := range max(h.Each, 1) {
				out = append(out, Somebody{At: h.ID, number: n})
			}
		}
	}
	return out
}

func (q *Quorum) lostWithout(gone ...Somebody) bool {
	set := make([]bool, len(q.Holders))
	for i, h := range q.Holders {
		missing := 0
		for _, p := range gone {
			if p.Name == "" && p.At == h.ID || p.Name != "" && slices.Contains(h.People, p.Name) {
				missing++
			}
		}
		set[i] = missing < h.sealedTo()
	}
	return !q.opens(set)
}

// sealedTo is how many people the share is sealed to at least.
func (h Holder) sealedTo() int {
	n := max(h.Each, 1)
	if len(h.People) > 0 {
		n = min(n, len(h.People))
	}
	return n
}

// maxShared bounds the search of FewestPeople; more people than this at
// several organisations are counted only as far as the search goes.
const maxShared = 16

// FewestPeople returns the smallest number of human beings that can open it,
// and those among them who act for several organisations. It is less than Of
// only when somebody does.
func (q *Quorum) FewestPeople() (n int, shared []string) {
	var several []string
	at := map[string][]int{}
	for i, h := range q.Holders {
		for _, p := range h.People {
			at[p] = append(at[p], i)
		}
	}
	for _, p := range q.people() {
		if len(at[p.Name]) > 1 && p.Name != "" && len(several) < maxShared {
			several = append(several, p.Name)
		}
	}
	best := -1
	for s := range uint32(1) << len(several) {
		set := make([]bool, len(q.Holders))
		var who []string
		for j, p := range several {
			if s&(1<<j) != 0 {
				who = append(who, p)
				for _, i := range at[p] {
					set[i] = true
				}
			}
		}
		more, ok := q.missing(set)
		if total := bits.OnesCount32(s) + more; ok && (best < 0 || total < best) {
			best, shared = total, who
		}
	}
	return best, shared
}

// missing returns how many more holders it takes to open it; ok is false when
// all of them would not do.
func (q *Quorum) missing(set []bool) (n int, ok bool) {
	have, independent, left := 0, 0, 0
	for i, in := range set {
		switch {
		case in:
			have++
			if q.Holders[i].Independent {
				independent++
			}
		case q.Holders[i].Independent:
			left++
		}
	}
	need := max(q.Independent-independent, 0)
	n = max(q.Of-have, need, 0)
	return n, need <= left && have+n <= len(q.Holders)
}

func (q *Quorum) all() []bool {
	set := make([]bool, len(q.Holders))
	for i := range set {
		set[i] = true
	}
	return set
}

func not(set []bool) []bool {
	out := make([]bool, len(set))
	for i, in := range set {
		out[i] = !in
	}
	return out
}

func (q *Quorum) ids(set []bool) []string {
	var out []string
	for i, in := range set {
		if in {
			out = append(out, q.Holders[i].ID)
		}
	}
	return out
}
